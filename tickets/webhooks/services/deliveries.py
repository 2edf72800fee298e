"""The log of webhooks: read, tried, and replayed."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from helpdesk.accounts.models import new_id
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.models import Activity
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import endpoints

MOST_REPLAYED = 10_000  # messages of one request
MOST_ATTEMPTS = 100  # that are shown of a message, which may be replayed without end
STATUSES = ("waiting", "delivered", "failed", "cancelled")
_CHUNK = 500
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_APART_MS = 15 * 60 * 1000  # by which the time in an activity's id and its `recorded_at` may differ
_LATEST_MS = 2**48 - 1


def message(
    endpoint: Endpoint, activity_id: UUID, event: str, payload: Mapping[str, Any], now: dt.datetime
) -> Delivery:
    """What tells an endpoint of an activity, due at once; whoever asks for it saves it."""
    return Delivery(
        workspace_id=endpoint.workspace_id,
        endpoint=endpoint,
        activity_id=activity_id,
        message_id=activity_id,
        event=event,
        body=payloads.body_of(payload),
        next_at=now,
        created_at=now,
    )


def find(endpoint: Endpoint, delivery_id: UUID) -> Delivery:
    """A message of the endpoint's log. Raises NotFound."""
    rows = Delivery.objects.for_workspace(endpoint.workspace_id)
    found: Delivery | None = rows.filter(endpoint=endpoint, pk=delivery_id).first()
    if found is None:
        raise NotFound("There is no such delivery.", errors={"delivery_id": ["There is no such delivery."]})
    return found


def log(
    endpoint: Endpoint,
    *,
    status: str = "",
    event: str = "",
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> QuerySet[Delivery]:
    """The messages of an endpoint, newest first; of one status, of one event, written in a span of time.

    Not by workspace, which the endpoint says already: so a million messages are counted in an index alone.
    """
    rows: QuerySet[Delivery] = Delivery.unscoped.filter(endpoint=endpoint)
    if status:
        rows = rows.filter(status=status)
    if event:
        rows = rows.filter(event=event)
    if since:
        rows = rows.filter(created_at__gte=since)
    if until:
        rows = rows.filter(created_at__lt=until)
    return rows.order_by("-created_at", "-pk")


def attempts(delivery: Delivery) -> list[Attempt]:
    """The last hundred attempts of a message, oldest first."""
    rows = Attempt.objects.for_workspace(delivery.workspace_id).filter(delivery=delivery)
    return list(rows.order_by("-started_at", "-pk")[:MOST_ATTEMPTS])[::-1]


@transaction.atomic
def send_test(*, endpoint: Endpoint, event: str, now: dt.datetime) -> Delivery:
    """Send the catalogue's example of an event, also to an endpoint that is off. It is tried once.

    Raises InvalidInput naming `event`, Conflict while ten tests wait.
    """
    kind = payloads.CATALOGUE.get(event)
    if kind is None:
        raise InvalidInput.of("event", "There is no such event.")
    tests = Delivery.objects.for_workspace(endpoint.workspace_id).filter(endpoint=endpoint, is_test=True)
    if tests.filter(status="waiting").count() >= 10:
        raise Conflict("Ten tests are on their way already.", code="busy")
    test: Delivery = Delivery.unscoped.create(
        workspace_id=endpoint.workspace_id,
        endpoint=endpoint,
        message_id=new_id(),
        event=event,
        body=payloads.body_of(kind.payload(now)),
        is_test=True,
        next_at=now,
        created_at=now,
    )
    return test


@transaction.atomic
def replay(*, delivery: Delivery, now: dt.datetime) -> Delivery:
    """Send a message once more, unchanged and under its id, with ten fresh attempts.

    One that waits is tried at once. Raises Conflict for an endpoint that is off, NotFound.
    """
    rows = Delivery.objects.for_workspace(delivery.workspace_id).select_related("endpoint")
    row: Delivery | None = rows.select_for_update(of=("self",)).filter(pk=delivery.pk).first()
    if row is None:
        raise NotFound("There is no such delivery.")
    if not row.is_test:
        _refuse_off(row.endpoint)
    _again(Delivery.objects.for_workspace(row.workspace_id).filter(pk=row.pk), now)
    row.refresh_from_db()
    return row


@dataclass(frozen=True)
class Replayed:
    """What a replay of a span of time brought on its way."""

    again: int  # messages that were in the log
    missed: int  # messages of events that happened while the endpoint was off, or before it was made


@transaction.atomic
def replay_range(
    *,
    endpoint: Endpoint,
    since: dt.datetime,
    until: dt.datetime,
    now: dt.datetime,
    everything: bool = False,
) -> Replayed:
    """Send what happened in a span of time: what has not arrived, with `everything` also what has.

    What the log has no message of, because the endpoint was off then or wanted other events, is written from the
    activities, with the payload of the moment. Up to 10,000 messages.

    Raises InvalidInput naming `from` or `to`, Conflict for an endpoint that is off and for too much at once.
    """
    if since >= until:
        raise InvalidInput.of("to", "This must be after the beginning.")
    if since >= now:
        raise InvalidInput.of("from", "This must be in the past.")
    # Before its messages, as whoever switches it off: two who replay at once would meet head-on.
    _refuse_off(endpoints.locked(endpoint))
    until = min(until, now)
    known = Delivery.objects.for_workspace(endpoint.workspace_id).filter(endpoint=endpoint)
    first, last = _ids_between(since, until)
    happened = Q(activity__recorded_at__gte=since, activity__recorded_at__lt=until)
    ended = ["failed", "cancelled", "delivered"] if everything else ["failed", "cancelled"]
    stopped = known.filter(happened, message_id__gte=first, message_id__lte=last, is_test=False, status__in=ended)
    missing = (
        Activity.objects.for_workspace(endpoint.workspace_id)
        .filter(pk__gte=first, pk__lte=last, recorded_at__gte=since, recorded_at__lt=until)
        .filter(event__in=endpoint.events)
        # The workspace once more: of a small one the feed has an index that leads to its few activities.
        .filter(feed_entry__is_replay=False, feed_entry__workspace=endpoint.workspace_id)
        .exclude(Exists(known.filter(message_id=OuterRef("pk"))))
        .order_by("pk")
        .values_list("pk", "event", "payload")
    )
    found = list(missing[: MOST_REPLAYED + 1])
    ids = list(stopped.order_by("message_id").values_list("pk", flat=True)[: MOST_REPLAYED + 1])
    if len(found) + len(ids) > MOST_REPLAYED:
        raise Conflict(
            f"These are more than {MOST_REPLAYED:,} messages: choose a shorter time.",
            code="too_many",
            errors={"from": ["Choose a shorter time."]},
        )
    again = _again(known.filter(pk__in=ids, status__in=ended), now)
    written = [message(endpoint, activity_id, event, payload, now) for activity_id, event, payload in found]
    Delivery.unscoped.bulk_create(written, ignore_conflicts=True, batch_size=_CHUNK)
    return Replayed(again, len(found))


def _ids_between(since: dt.datetime, until: dt.datetime) -> tuple[UUID, UUID]:
    """The ids that activities of a span of time can have: UUIDv7 begins with the time in milliseconds (RFC 9562, 5.7).

    The primary key finds them where `recorded_at` has no index. That column decides; the clocks of two processes,
    and the moments at which an activity gets the one and the other, may be `_APART_MS` apart.
    """
    first = max(int((since - _EPOCH).total_seconds() * 1000) - _APART_MS, 0)
    last = max(int((until - _EPOCH).total_seconds() * 1000) + _APART_MS, 0)
    return UUID(int=first << 80), UUID(int=min(last, _LATEST_MS) << 80 | (1 << 80) - 1)


def _again(rows: QuerySet[Delivery], now: dt.datetime) -> int:
    return rows.update(status="waiting", attempts=0, next_at=now, ended_at=None)


def _refuse_off(endpoint: Endpoint) -> None:
    if not endpoint.is_active:
        raise Conflict("Switch the webhook on first.", code="inactive")
