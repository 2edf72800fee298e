"""What is old goes: ended messages with their attempts, and the hours of endpoints."""

import datetime as dt

from django.conf import settings
from django.db import connection, transaction

from tickets.webhooks.models import Delivery, EndpointHour

BATCH = 1000  # messages of one transaction
MOST = 200_000  # messages of one run
KEEP_HOURS = dt.timedelta(days=30)  # the hours of endpoints

# Without the ORM, which would read every attempt to delete it.
_ATTEMPTS = "DELETE FROM webhook_attempts WHERE delivery_id = ANY(%s)"
_DELIVERIES = "DELETE FROM webhook_deliveries WHERE id = ANY(%s)"


def purge(*, now: dt.datetime, most: int = MOST) -> int:
    """Delete up to `most` messages that have ended and are older than WEBHOOK_KEEP_DAYS; gives how many.

    Batch by batch, so that nobody waits for it. With 0 days messages are kept for ever; hours never are.
    """
    EndpointHour.unscoped.filter(hour__lt=now - KEEP_HOURS).delete()
    _end_what_nobody_sends(now)
    if not settings.WEBHOOK_KEEP_DAYS:
        return 0
    before = now - dt.timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    gone = 0
    while gone < most:
        found = _purge_some(before, min(BATCH, most - gone))
        gone += found
        if not found:
            break
    return gone


@transaction.atomic
def _purge_some(before: dt.datetime, count: int) -> int:
    old = Delivery.unscoped.exclude(status="waiting").filter(created_at__lt=before, ended_at__lt=before)
    ids = list(old.select_for_update(skip_locked=True).order_by("created_at").values_list("pk", flat=True)[:count])
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(_ATTEMPTS, [ids])
            cursor.execute(_DELIVERIES, [ids])
    return len(ids)


def _end_what_nobody_sends(now: dt.datetime) -> None:
    """Messages that were written in the moment in which their endpoint was switched off."""
    lost = Delivery.unscoped.filter(status="waiting", is_test=False, endpoint__is_active=False)
    lost.update(status="cancelled", next_at=None, ended_at=now, last_error="The webhook was switched off.")
