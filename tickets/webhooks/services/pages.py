"""What the pages of webhooks read: the log page by page, the tries of a message, and what an endpoint missed."""

import datetime as dt
import re
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from helpdesk.errors import NotFound
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import deliveries

PAGE = 50  # rows of a page of the log
MOST_TRIES = 30  # of a message that are shown: the latest ones
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a row of the log shows: neither the bodies nor all that is known of its ticket.
_SHOWN = (
    *("endpoint_id", "workspace_id", "event", "is_test", "status", "attempts", "next_at", "last_code", "last_error"),
    *("last_ms", "created_at", "ended_at"),
    *(f"activity__ticket__{name}" for name in ("number", "subject", "trashed_at")),
)


@dataclass(frozen=True)
class Page:
    """Some messages, newest first, and what names the place where the older ones begin ("" after the last)."""

    rows: list[Delivery]
    older: str
    is_first: bool


def endpoints(workspace_id: UUID) -> list[Endpoint]:
    """The endpoints of a workspace, oldest first."""
    return list(Endpoint.objects.for_workspace(workspace_id).order_by("created_at", "pk"))


def log(endpoint: Endpoint, *, status: str = "", event: str = "", before: str = "") -> Page:
    """A page of an endpoint's log, newest first, with the tickets. One query, by keyset: deep pages cost the same.

    `before` is the `older` of another page; anything else finds nothing.
    """
    rows = deliveries.log(endpoint, status=status, event=event)
    place = _place(before)
    if before and place is None:
        return Page([], "", False)
    if place is not None:
        moment, pk = place
        rows = rows.filter(created_at__lte=moment).filter(Q(created_at__lt=moment) | Q(created_at=moment, pk__lt=pk))
    found = list(rows.select_related("activity__ticket").only(*_SHOWN)[: PAGE + 1])
    older = ""
    if len(found) > PAGE:
        last = found[PAGE - 1]
        older = f"{last.created_at.astimezone(dt.UTC).isoformat()}_{last.pk}"
    return Page(found[:PAGE], older, is_first=not before)


def find(endpoint: Endpoint, delivery_id: UUID) -> Delivery:
    """A message of the log with its ticket. Raises NotFound."""
    found = deliveries.log(endpoint).select_related("activity__ticket").filter(pk=delivery_id).first()
    if found is None:
        raise NotFound("There is no such delivery.", errors={"delivery_id": ["There is no such delivery."]})
    return found


def tries(delivery: Delivery) -> tuple[list[Attempt], bool]:
    """The latest attempts of a message, newest first, and whether there are older ones."""
    rows = Attempt.objects.for_workspace(delivery.workspace_id).filter(delivery=delivery)
    found = list(rows.order_by("-started_at", "-pk")[: MOST_TRIES + 1])
    return found[:MOST_TRIES], len(found) > MOST_TRIES


def missed_since(endpoint: Endpoint) -> dt.datetime | None:
    """From when on an endpoint that is off may have missed something, to the minute; None for one that is on.

    That is when it was switched off, or before: when what was cancelled then had happened, and when it began to fail;
    but not before it was last switched on.
    """
    if endpoint.is_active or endpoint.off_at is None:
        return None
    rows = Delivery.objects.for_workspace(endpoint.workspace_id).filter(endpoint=endpoint, status="cancelled")
    # Ids of activities begin with the time, so the smallest is the one that happened first.
    first = rows.filter(ended_at=endpoint.off_at, is_test=False).order_by("message_id")
    happened = first.values_list("activity__recorded_at", flat=True).first()
    known = [moment for moment in (endpoint.off_at, happened, endpoint.failing_since) if moment]
    return max(min(known), endpoint.active_since).replace(second=0, microsecond=0)


def _place(before: str) -> tuple[dt.datetime, UUID] | None:
    moment, _, pk = before.partition("_")
    if not _ID.fullmatch(pk):
        return None
    try:
        at = parse_datetime(moment)
    except ValueError:
        return None
    return (at, UUID(pk)) if at and at.tzinfo else None
