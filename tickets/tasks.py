"""Background work of the tickets: thin doors to the services."""

from celery import shared_task
from django.utils import timezone

from tickets import dispatch
from tickets.models.counting import fold
from tickets.services import editing, status


@shared_task
def relay(activity_ids: list[str]) -> int:
    """Queue the subscribers of activities that were just committed."""
    return dispatch.relay(activity_ids=activity_ids, now=timezone.now())


@shared_task
def sweep_undispatched() -> int:
    """Relay what the broker lost."""
    return dispatch.sweep(now=timezone.now())


@shared_task
def close_resolved() -> int:
    """Close tickets that stayed resolved for their workspace's days."""
    return status.close_resolved(now=timezone.now())


@shared_task
def purge_trash() -> int:
    """Delete for good what has been in the trash for 30 days."""
    return editing.purge_trash(now=timezone.now())


@shared_task
def fold_counts() -> int:
    """Fold the kept totals together."""
    return fold()
