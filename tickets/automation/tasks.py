"""Background work of the automation: thin doors to the services."""

from uuid import UUID

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from tickets.automation.services import dry_run, effects, engine, pool, recurring, timed


@shared_task(autoretry_for=(OperationalError,), retry_backoff=1, max_retries=8)
def apply_rules(activity_id: str) -> int:
    """Let the automation hear of something that has happened.

    A task that fails is not delivered again: where the database was away, or broke a deadlock, it
    asks for that itself.
    """
    return engine.hear(activity_id=UUID(activity_id), now=timezone.now())


@shared_task
def serve_waiting() -> int:
    """Give tickets that wait to agents who have become free."""
    now = timezone.now()
    return sum(pool.serve(workspace=workspace, now=now) for workspace in pool.workspaces_that_wait())


@shared_task(autoretry_for=(OperationalError,), retry_backoff=1, max_retries=3)
def fire_due() -> int:
    """Let rules look at the tickets for which their time has come."""
    return engine.fire_due(now=timezone.now())


@shared_task
def reckon_due() -> int:
    """Reckon the times that rules wait for, where rules have changed."""
    return timed.reckon_all()


@shared_task
def send_effect(effect_id: str) -> bool:
    """Send a mail or call a webhook."""
    return effects.send(effect_id=UUID(effect_id), now=timezone.now())


@shared_task
def send_due_effects() -> int:
    """Queue what is due to be sent: again, or because the broker lost it."""
    return effects.queue_due(now=timezone.now())


@shared_task(time_limit=3600)
def run_dry_run(dry_run_id: str) -> bool:
    """Try a rule on the past, unless somebody does that already."""
    return dry_run.run(dry_run_id=UUID(dry_run_id), clock=timezone.now)


@shared_task
def take_up_lost_dry_runs() -> int:
    """Queue the dry runs that the broker lost or whose worker was killed."""
    found = dry_run.lost(now=timezone.now())
    for pk in found:
        run_dry_run.delay(str(pk))
    return len(found)


@shared_task
def open_recurring() -> int:
    """Open the recurring tickets whose time has come."""
    return recurring.open_due(now=timezone.now())
