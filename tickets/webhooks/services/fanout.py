"""The feed of activities becomes messages for the endpoints that want them.

One reader at a time holds the cursor, and moves it in the transaction that writes the messages. The unique key of
endpoint and message makes a repetition harmless all the same.
"""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from tickets import feed
from tickets.models import FeedEntry
from tickets.webhooks import payloads
from tickets.webhooks.models import Cursor, Delivery, Endpoint
from tickets.webhooks.services import deliveries

CHUNK = 500  # activities that are read at once


def follow(*, now: dt.datetime, limit: int = CHUNK) -> int:
    """Write the messages of up to `limit` activities that came since; gives how many activities were read.

    Nothing is read while another process does this.
    """
    feed.number()
    with transaction.atomic():
        Cursor.objects.get_or_create(pk=1)
        cursor: Cursor | None = Cursor.objects.select_for_update(skip_locked=True).filter(pk=1).first()
        if cursor is None:
            return 0
        last = feed.end()  # before the question, so that an endpoint that is made meanwhile gets what comes after it
        if not Endpoint.unscoped.filter(is_active=True).exists():
            Cursor.objects.filter(pk=1).update(position=last)
            return 0
        entries = feed.after(cursor.position, limit=limit)
        if not entries:
            return 0
        Delivery.unscoped.bulk_create(_messages(entries, now), ignore_conflicts=True)
        Cursor.objects.filter(pk=1).update(position=entries[-1].position)
    return len(entries)


def _messages(entries: Sequence[FeedEntry], now: dt.datetime) -> list[Delivery]:
    wanted = _endpoints({entry.workspace_id for entry in entries if not entry.is_replay})
    return [
        deliveries.message(endpoint, entry.activity_id, entry.activity.event, entry.activity.payload, now)
        for entry in entries
        if not entry.is_replay and entry.activity.event in payloads.CATALOGUE
        for endpoint in wanted.get(entry.workspace_id, ())
        if entry.activity.event in endpoint.events and entry.activity.recorded_at >= endpoint.active_since
    ]


def _endpoints(workspace_ids: set[UUID]) -> dict[UUID, list[Endpoint]]:
    found: dict[UUID, list[Endpoint]] = {}
    for endpoint in Endpoint.unscoped.filter(workspace_id__in=workspace_ids, is_active=True).order_by("pk"):
        found.setdefault(endpoint.workspace_id, []).append(endpoint)
    return found
