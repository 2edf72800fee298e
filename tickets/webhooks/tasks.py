"""Background work of webhooks besides sending: thin doors to the services."""

from celery import shared_task
from django.utils import timezone

from tickets.webhooks.services import keeping, notices


@shared_task
def purge_deliveries() -> int:
    """Delete messages that are kept long enough."""
    return keeping.purge(now=timezone.now())


@shared_task
def tell_owners() -> int:
    """Tell the owners of webhooks that were switched off by themselves."""
    return notices.tell_owners(now=timezone.now())
