"""Background work of the automation: thin doors to the services."""

from uuid import UUID

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from tickets.automation.services import engine, pool, recurring


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


@shared_task
def open_recurring() -> int:
    """Open the recurring tickets whose time has come."""
    return recurring.open_due(now=timezone.now())
