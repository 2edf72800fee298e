"""Messages that are due are taken, and what became of them is written.

Neither waits for a lock that another one holds: an endpoint that is being deleted, or a second sender, delays
nobody else's messages. A message that is taken has a lease (`next_at`); when its sender dies, it is due again.
"""

import datetime as dt
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from helpdesk import sealing
from helpdesk.accounts.models import new_id
from helpdesk.outbound import Answer
from tickets.webhooks import payloads, retrying
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import endpoints

LEASE = dt.timedelta(seconds=60)  # longer than any attempt
SLOW_SLOTS = 1  # attempts at a time to an endpoint that lately let us wait
FAILING_SLOTS = 2  # to one that had no success since a failure: after a start nobody knows yet who lets us wait
NOT_TRIED = dt.timedelta(seconds=5)  # until the next try of what could not be tried
MOST_HEADERS = 50  # of an answer that are kept
LONGEST_HEADER = 2000  # characters of each
LONGEST_BODY = 10_000  # characters of an answer that are kept
_SECRET_ANSWERS = frozenset({"set-cookie", "set-cookie2", "authentication-info", "proxy-authenticate"})
GONE = 410  # RFC 9110, 15.5.11: it will not come back


@dataclass(frozen=True)
class Claimed:
    """A message that is ours until its lease ends, with all that its attempt needs."""

    delivery_id: UUID
    endpoint_id: UUID
    workspace_id: UUID
    message_id: UUID
    url: str
    body: str
    headers: Mapping[str, str] = field(repr=False)  # the admin's own
    keys: Sequence[str] = field(repr=False)
    leased_until: dt.datetime
    problem: str = ""  # why it cannot be sent

    def request_headers(self, at: dt.datetime) -> dict[str, str]:
        """The header fields of an attempt at `at`, signed anew."""
        ours = payloads.signed_headers(message_id=str(self.message_id), body=self.body, keys=self.keys, at=at)
        return {
            **self.headers,
            "Content-Type": "application/json",
            "User-Agent": f"Helpdesk-Webhooks/{settings.VERSION}",
            **ours,
        }

    def shown(self, sent: Mapping[str, str]) -> dict[str, str]:
        """Header fields that were sent, as the log may keep them."""
        return {name: endpoints.HIDDEN if name in self.headers else value for name, value in sent.items()}


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt."""

    claimed: Claimed
    started_at: dt.datetime
    ms: int = 0
    sent: Mapping[str, str] = field(default_factory=dict)  # header fields as the log keeps them
    answer: Answer | None = None
    error: str = ""  # why there is no answer
    is_tried: bool = True  # no: it had to wait here, which says nothing about the endpoint
    id: UUID = field(default_factory=new_id)

    @property
    def is_success(self) -> bool:
        """Only 2xx is success; a redirect is none."""
        return self.answer is not None and self.answer.is_success

    @property
    def code(self) -> int | None:
        """The status of the answer; none without an answer."""
        return self.answer.status if self.answer else None

    @property
    def ended_at(self) -> dt.datetime:
        """When the answer was there, or the attempt was given up."""
        return self.started_at + dt.timedelta(milliseconds=self.ms)

    @property
    def reason(self) -> str:
        """Why it was no success, for people; empty where it was."""
        if self.is_success:
            return ""
        if self.answer is None:
            return self.error[:300]
        if 300 <= self.answer.status < 400:
            return f"The answer was {self.answer.status}: redirects are not followed."
        return f"The answer was {self.answer.status}."


# --- Taking -------------------------------------------------------------------------------------

# Every endpoint for which something waits with its earliest time: one step in the index for each, however many
# messages it has (a loose index scan).
_WAITING = """
    (SELECT endpoint_id, next_at FROM webhook_deliveries WHERE status = 'waiting' ORDER BY endpoint_id, next_at LIMIT 1)
    UNION ALL
    SELECT following.endpoint_id, following.next_at FROM waiting CROSS JOIN LATERAL (
        SELECT endpoint_id, next_at FROM webhook_deliveries
        WHERE status = 'waiting' AND endpoint_id > waiting.endpoint_id ORDER BY endpoint_id, next_at LIMIT 1
    ) AS following
"""
_PEEK = f"""
WITH RECURSIVE waiting AS ({_WAITING})
SELECT
    EXISTS (SELECT FROM ticket_feed WHERE position IS NULL) OR
        coalesce((SELECT position FROM ticket_feed WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1), 0)
        > coalesce((SELECT position FROM webhook_cursor), -1),
    EXISTS (SELECT FROM waiting WHERE next_at <= %(now)s)
"""  # noqa: S608  constants
# Turn by turn: the first message of every endpoint, then every second one.
_CLAIM = f"""
WITH RECURSIVE waiting AS ({_WAITING}),
given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(busy)s::int[], %(slow)s::boolean[]) AS given (endpoint_id, busy, is_slow)
), due AS MATERIALIZED (
    SELECT first.id, waiting.endpoint_id, first.next_at, coalesce(given.is_slow, false) AS is_slow,
        coalesce(given.busy, 0) + row_number() OVER (PARTITION BY waiting.endpoint_id ORDER BY first.next_at) AS turn
    FROM waiting
    JOIN webhook_endpoints AS endpoint ON endpoint.id = waiting.endpoint_id
    LEFT JOIN given ON given.endpoint_id = waiting.endpoint_id
    CROSS JOIN LATERAL (
        SELECT id, next_at FROM webhook_deliveries AS delivery
        WHERE delivery.endpoint_id = waiting.endpoint_id AND status = 'waiting' AND next_at <= %(now)s
            AND (endpoint.is_active OR is_test)
        ORDER BY next_at
        LIMIT greatest(
            0,
            CASE WHEN given.is_slow THEN %(slow_slots)s
                WHEN endpoint.failing_since IS NOT NULL THEN least(%(failing_slots)s, %(per_endpoint)s)
                ELSE %(per_endpoint)s END - coalesce(given.busy, 0))
        FOR UPDATE SKIP LOCKED
    ) AS first
    WHERE waiting.next_at <= %(now)s
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY is_slow ORDER BY turn, next_at, id) AS place FROM due
), taken AS (
    SELECT id, endpoint_id, next_at FROM placed
    WHERE NOT is_slow OR place <= %(slow_room)s ORDER BY is_slow, place LIMIT %(room)s
)
UPDATE webhook_deliveries AS delivery SET next_at = %(leased_until)s
FROM taken JOIN webhook_endpoints AS endpoint ON endpoint.id = taken.endpoint_id
WHERE delivery.id = taken.id
RETURNING taken.next_at, delivery.id, endpoint.id, delivery.workspace_id, delivery.message_id, endpoint.url,
    delivery.body, endpoint.headers_sealed, endpoint.secret_sealed, endpoint.old_secret_sealed,
    endpoint.old_secret_until
"""  # noqa: S608  constants


def peek(*, now: dt.datetime) -> tuple[bool, bool]:
    """Whether the feed has something new, and whether a message is due: one cheap query."""
    with connection.cursor() as cursor:
        cursor.execute(_PEEK, {"now": now})
        has_news, is_due = cursor.fetchone()
    return bool(has_news), bool(is_due)


def claim(
    *,
    busy: Mapping[UUID, int],
    room: int,
    per_endpoint: int,
    now: dt.datetime,
    slow: Collection[UUID] = (),
    slow_room: int | None = None,
) -> list[Claimed]:
    """Take up to `room` messages that are due, the oldest of each endpoint first.

    An endpoint gets up to `per_endpoint` attempts at a time, of which `busy` says how many it has now; one that is
    failing gets two, those in `slow` one, and all of these together `slow_room` of what is taken. One statement,
    which waits for nobody.
    """
    known = list({*busy, *slow})
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "ids": known,
                "busy": [busy.get(pk, 0) for pk in known],
                "slow": [pk in slow for pk in known],
                "slow_slots": SLOW_SLOTS,
                "failing_slots": FAILING_SLOTS,
                "per_endpoint": per_endpoint,
                "room": room,
                "slow_room": room if slow_room is None else slow_room,
                "now": now,
                "leased_until": now + LEASE,
            },
        )
        rows = sorted(cursor.fetchall(), key=lambda row: (row[0], row[1]))
    opened: dict[UUID, tuple[dict[str, str], list[str], str]] = {}
    found = []
    for _, delivery_id, endpoint_id, workspace_id, message_id, url, body, *sealed in rows:
        if endpoint_id not in opened:
            opened[endpoint_id] = _open(sealed, now)
        headers, keys, problem = opened[endpoint_id]
        found.append(
            Claimed(
                delivery_id=delivery_id,
                endpoint_id=endpoint_id,
                workspace_id=workspace_id,
                message_id=message_id,
                url=url,
                body=body,
                headers=headers,
                keys=keys,
                leased_until=now + LEASE,
                problem=problem,
            )
        )
    return found


def _open(sealed: Sequence[Any], now: dt.datetime) -> tuple[dict[str, str], list[str], str]:
    headers, secret, old_secret, until = sealed
    row = Endpoint(headers_sealed=headers, secret_sealed=secret, old_secret_sealed=old_secret, old_secret_until=until)
    try:
        return endpoints.headers_of(row), endpoints.keys_of(row, now), ""
    except sealing.Unopenable:
        return {}, [], "The secret or the headers cannot be opened with the SECRET_KEY of this server: set them anew."


# --- Writing ------------------------------------------------------------------------------------

_UPDATE_DELIVERIES = """
UPDATE webhook_deliveries AS delivery
SET status = given.status, attempts = given.attempts, next_at = given.next_at, ended_at = given.ended_at,
    last_code = given.last_code, last_error = given.last_error, last_ms = given.last_ms
FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[], %s::int[])
    AS given (id, status, attempts, next_at, ended_at, last_code, last_error, last_ms)
WHERE delivery.id = given.id
"""
_DELIVERY_FIELDS = ("pk", "status", "attempts", "next_at", "ended_at", "last_code", "last_error", "last_ms")
_UPDATE_ENDPOINTS = """
UPDATE webhook_endpoints AS endpoint
SET failing_since = given.failing_since, last_success_at = given.last_success_at,
    last_failure_at = given.last_failure_at, last_error = given.last_error
FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[])
    AS given (id, failing_since, last_success_at, last_failure_at, last_error)
WHERE endpoint.id = given.id
"""
_ENDPOINT_FIELDS = ("pk", "failing_since", "last_success_at", "last_failure_at", "last_error")
_ADD_HOURS = """
INSERT INTO webhook_endpoint_hours (workspace_id, endpoint_id, hour, delivered, failed, total_ms)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int[], %s::int[], %s::bigint[])
ON CONFLICT (endpoint_id, hour) DO UPDATE SET
    delivered = webhook_endpoint_hours.delivered + EXCLUDED.delivered,
    failed = webhook_endpoint_hours.failed + EXCLUDED.failed,
    total_ms = webhook_endpoint_hours.total_ms + EXCLUDED.total_ms
"""


@transaction.atomic
def record(
    outcomes: Sequence[Outcome], *, now: dt.datetime, chance: Callable[[], float] = random.random
) -> list[Outcome]:
    """Write what came of attempts; gives those that could not be written yet: somebody holds their rows. Ask again.

    The number of statements does not depend on how many there are. An outcome that was written already is passed
    over. `chance` decides the jitter of further attempts.
    """
    if not outcomes:
        return []
    # Locked in this order everywhere: the endpoint, then its messages.
    hosts = _locked(Endpoint.unscoped.all(), {outcome.claimed.endpoint_id for outcome in outcomes})
    ours = {outcome.claimed.delivery_id for outcome in outcomes if outcome.claimed.endpoint_id in hosts}
    rows = _locked(Delivery.unscoped.defer("body"), ours)
    known = set(Attempt.unscoped.filter(pk__in=[outcome.id for outcome in outcomes]).values_list("pk", flat=True))
    tried: list[Outcome] = []
    changed: dict[UUID, Delivery] = {}
    later: list[Outcome] = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.ended_at):
        host, row = hosts.get(outcome.claimed.endpoint_id), rows.get(outcome.claimed.delivery_id)
        if host is None or row is None:
            later.append(outcome)
        elif outcome.id not in known:
            if outcome.is_tried:
                tried.append(outcome)
            if _settle(row, outcome, now, chance):
                changed[row.pk] = row
    _write(_UPDATE_DELIVERIES, list(changed.values()), _DELIVERY_FIELDS)
    if tried:
        Attempt.unscoped.bulk_create([_attempt(outcome) for outcome in tried])
        _count(tried)
        _judge(tried, hosts, rows, now)
    return _still_there(later) if later else []


def _locked(rows: QuerySet[Any], ids: Collection[UUID]) -> dict[UUID, Any]:
    locked = rows.select_for_update(skip_locked=True, no_key=True).filter(pk__in=ids).order_by("pk")
    return {row.pk: row for row in locked}


def _still_there(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those whose messages were not deleted meanwhile."""
    ids = [outcome.claimed.delivery_id for outcome in outcomes]
    there = set(Delivery.unscoped.filter(pk__in=ids).values_list("pk", flat=True))
    return [outcome for outcome in outcomes if outcome.claimed.delivery_id in there]


def _settle(row: Delivery, outcome: Outcome, now: dt.datetime, chance: Callable[[], float]) -> bool:
    """What an outcome makes of its message; whether anything."""
    # Not ours any more: it was replayed, or our lease ended and another sender has it.
    is_ours = row.status == "waiting" and row.next_at == outcome.claimed.leased_until
    if not outcome.is_tried:
        if is_ours:
            row.next_at = now if not outcome.error else now + NOT_TRIED
        return is_ours
    if row.status == "cancelled" or (not is_ours and not outcome.is_success):
        return False
    row.last_code, row.last_error, row.last_ms = outcome.code, outcome.reason, outcome.ms
    row.attempts += 1
    if outcome.is_success:
        # A message that another attempt delivered keeps the time of that.
        row.ended_at = row.ended_at if row.status == "delivered" else now
        row.status, row.next_at = "delivered", None
        return True
    row.next_at = _next_attempt(row, outcome, chance)
    if row.next_at is None:
        row.status, row.ended_at = "failed", now
    return True


def _next_attempt(row: Delivery, outcome: Outcome, chance: Callable[[], float]) -> dt.datetime | None:
    if row.is_test or outcome.code == GONE:
        return None
    at = outcome.ended_at
    asked = retrying.retry_after(outcome.answer.headers.get("retry-after"), at=at) if outcome.answer else None
    return retrying.next_attempt(failed=row.attempts, at=at, chance=chance(), asked=asked)


def _attempt(outcome: Outcome) -> Attempt:
    answer = outcome.answer
    return Attempt(
        pk=outcome.id,
        workspace_id=outcome.claimed.workspace_id,
        delivery_id=outcome.claimed.delivery_id,
        started_at=outcome.started_at,
        duration_ms=outcome.ms,
        url=outcome.claimed.url,
        request_headers=dict(outcome.sent),
        code=outcome.code,
        response_headers=_kept_headers(answer) if answer else {},
        response_body=_plain(answer.body.decode(errors="replace"))[:LONGEST_BODY] if answer else "",
        error=outcome.reason,
    )


def _kept_headers(answer: Answer) -> dict[str, str]:
    return {
        _plain(name)[:200]: endpoints.HIDDEN if name.lower() in _SECRET_ANSWERS else _plain(value)[:LONGEST_HEADER]
        for name, value in list(answer.headers.items())[:MOST_HEADERS]
    }


def _plain(text: str) -> str:
    """PostgreSQL keeps no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _count(tried: Sequence[Outcome]) -> None:
    hours: dict[tuple[UUID, dt.datetime], list[Any]] = {}
    for outcome in tried:
        claimed = outcome.claimed
        hour = outcome.ended_at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
        row = hours.setdefault((claimed.endpoint_id, hour), [claimed.workspace_id, claimed.endpoint_id, hour, 0, 0, 0])
        row[3 if outcome.is_success else 4] += 1
        row[5] += outcome.ms if outcome.is_success else 0
    with connection.cursor() as cursor:
        cursor.execute(_ADD_HOURS, [list(column) for column in zip(*sorted(hours.values(), key=_place), strict=True)])


def _place(row: Sequence[Any]) -> tuple[UUID, dt.datetime]:
    return row[1], row[2]


def _judge(
    tried: Sequence[Outcome], hosts: Mapping[UUID, Endpoint], rows: Mapping[UUID, Delivery], now: dt.datetime
) -> None:
    """The health of endpoints, and the end of those that are gone or have failed for too long."""
    off: dict[UUID, str] = {}
    seen: dict[UUID, Endpoint] = {}
    for outcome in tried:
        host = seen[outcome.claimed.endpoint_id] = hosts[outcome.claimed.endpoint_id]
        if outcome.is_success:
            host.failing_since, host.last_error = None, ""
            host.last_success_at = max(outcome.ended_at, host.last_success_at or outcome.ended_at)
            off.pop(host.pk, None)
            continue
        host.last_failure_at = max(outcome.ended_at, host.last_failure_at or outcome.ended_at)
        host.last_error = outcome.reason
        is_test = rows[outcome.claimed.delivery_id].is_test
        if not is_test and host.failing_since is None:
            # A test that fails is no reason to count: somebody is just trying.
            host.failing_since = outcome.ended_at
        if outcome.code == GONE and host.url == outcome.claimed.url:
            off[host.pk] = "gone"
        elif not is_test and host.failing_since and outcome.ended_at - host.failing_since > retrying.NO_SUCCESS:
            off.setdefault(host.pk, "failing")
    _write(_UPDATE_ENDPOINTS, list(seen.values()), _ENDPOINT_FIELDS)
    for pk, reason in off.items():
        if seen[pk].is_active:
            endpoints.switch_off(seen[pk], reason=reason, now=now)
            seen[pk].told_at = None
            seen[pk].save(update_fields=["is_active", "off_reason", "off_at", "told_at"])


def _write(statement: str, rows: Sequence[Any], names: Sequence[str]) -> None:
    """Write these fields of all rows in one statement."""
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, [[getattr(row, name) for row in rows] for name in names])
