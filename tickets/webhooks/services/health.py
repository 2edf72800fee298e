"""How endpoints are doing, at a glance: their last 24 hours, and what waits for them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection

from tickets.webhooks.models import Endpoint, EndpointHour

HOURS = 24
MOST_WAITING = 10_000  # so many are counted of each endpoint; there may be more
ACTIVE, FAILING, OFF, UNUSED = "active", "failing", "off", "unused"
STATES = (ACTIVE, FAILING, OFF, UNUSED)
# An endpoint that has hung for days has a long list: it is counted up to the cap, in the partial index of what is due.
_WAITING = """
SELECT e.id, (SELECT count(*) FROM (
    SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.status = 'waiting' LIMIT %s
) AS capped)
FROM unnest(%s::uuid[]) AS e(id)
"""


@dataclass(frozen=True)
class Hour:
    """What one hour brought: attempts that were a success, and attempts that were none."""

    start: dt.datetime
    delivered: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Health:
    """How an endpoint is doing.

    `state` is "off", "failing" (nothing has arrived since the last failure), "unused" (nothing was sent yet) or
    "active". `delivered` and `failed` count attempts of the hour that runs and the 23 before; `average_ms` is how long
    those that were a success took, in milliseconds, None without any. `waiting` is counted up to `MOST_WAITING`.
    """

    state: str
    delivered: int = 0
    failed: int = 0
    average_ms: int | None = None
    waiting: int = 0
    hours: list[Hour] = field(default_factory=list)  # 24, oldest first


def of(endpoints: Sequence[Endpoint], *, now: dt.datetime) -> dict[UUID, Health]:
    """The health of endpoints of one workspace by id, in two queries however many there are."""
    if not endpoints:
        return {}
    ids = [endpoint.pk for endpoint in endpoints]
    this_hour = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    starts = [this_hour - dt.timedelta(hours=back) for back in reversed(range(HOURS))]
    rows: dict[UUID, dict[dt.datetime, EndpointHour]] = {}
    hours = EndpointHour.objects.for_workspace(endpoints[0].workspace_id)
    for row in hours.filter(endpoint__in=ids, hour__gte=starts[0], hour__lte=this_hour):
        rows.setdefault(row.endpoint_id, {})[row.hour] = row
    waiting = _waiting(ids)
    return {
        endpoint.pk: _health(endpoint, starts, rows.get(endpoint.pk, {}), waiting.get(endpoint.pk, 0))
        for endpoint in endpoints
    }


def state_of(endpoint: Endpoint) -> str:
    """One word for how it is doing: see `Health`."""
    if not endpoint.is_active:
        return OFF
    if endpoint.failing_since is not None:
        return FAILING
    return ACTIVE if endpoint.last_success_at or endpoint.last_failure_at else UNUSED


def _health(
    endpoint: Endpoint, starts: Sequence[dt.datetime], rows: dict[dt.datetime, EndpointHour], waiting: int
) -> Health:
    delivered = sum(row.delivered for row in rows.values())
    return Health(
        state=state_of(endpoint),
        delivered=delivered,
        failed=sum(row.failed for row in rows.values()),
        average_ms=round(sum(row.total_ms for row in rows.values()) / delivered) if delivered else None,
        waiting=waiting,
        hours=[
            Hour(start, rows[start].delivered, rows[start].failed) if start in rows else Hour(start) for start in starts
        ],
    )


def _waiting(ids: Sequence[UUID]) -> dict[UUID, int]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [MOST_WAITING, list(ids)])
        return dict(cursor.fetchall())
