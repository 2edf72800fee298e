"""How many tickets come, are finished and come back, and how many are in work meanwhile.

All of it is counted among the live tickets that are asked for: what is in the trash now never counts, also not for
the time before, and what came back from there counts as if it had never been away. A ticket that was merged into
another one counts for the time until then: it came in, and was in work until it was merged.

The backlog is the number of tickets in work, which is open or pending. What the log (`tickets.models.Activity`)
tells since a moment is taken back from what is in work now, so that the end of the history is always the queue:

    backlog after = backlog before + created + reopened + unmerged - resolved - merged
"""

import datetime as dt
from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, F, IntegerField, Q, QuerySet, TextField, Value

from analytics.metrics import cuts
from analytics.periods import Interval, Part, Period
from helpdesk.accounts.models import Workspace
from tickets.events import Event
from tickets.lifecycle import ACTIVE
from tickets.models import Activity, Ticket

_IN_WORK = "in work"


@dataclass(frozen=True, slots=True)
class Volume:
    """What happened in a span of time, and how many tickets were in work at its end."""

    created: int
    resolved: int
    closed: int
    reopened: int
    merged: int  # tickets in work that ended in another one
    unmerged: int  # tickets that came back into work that way
    backlog: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one period."""

    period: Period
    backlog_before: int
    whole: Volume
    by_part: list[tuple[Part, Volume]]


@dataclass(frozen=True, slots=True)
class Report:
    """The volume of a period, and of the one before if that was asked for."""

    interval: Interval
    now: Figures
    before: Figures | None


def report(
    *,
    workspace: Workspace,
    tickets: "QuerySet[Ticket]",
    period: Period,
    interval: Interval,
    previous: Period | None = None,
) -> Report:
    """The volume of `tickets` (live ones of the workspace) in a period and, if given, the one that ends as it begins.

    One query, so that all figures are of one moment.
    """
    before = previous.parts(interval) if previous else []
    parts = before + period.parts(interval)
    happened = _happened(workspace, tickets, [*(part.start for part in parts), period.end])

    # From the present back into the past: place 0 is the state now, the last place all that came after the period.
    backlog = happened[0][_IN_WORK] - _net(happened[-1])
    volumes: list[Volume] = []
    for counts in reversed(happened[1:-1]):
        volumes.append(_volume(counts, backlog))
        backlog -= _net(counts)
    volumes.reverse()
    cut = len(before)
    earlier = _figures(previous, before, volumes[:cut], backlog) if previous else None
    backlog = earlier.whole.backlog if earlier else backlog
    return Report(interval, _figures(period, parts[cut:], volumes[cut:], backlog), earlier)


def _happened(workspace: Workspace, tickets: "QuerySet[Ticket]", bounds: list[dt.datetime]) -> "list[Counter[str]]":
    """What happened, by event, from each bound to the next and since the last; first, what is in work now."""
    active = [status.value for status in ACTIVE]
    # A merge is logged on both tickets; only on the one that ends does it change a status.
    ended, came_back = Q(), Q()
    for status in active:
        ended |= Q(changes__contains=[{"field": "status", "from": status}])
        came_back |= Q(changes__contains=[{"field": "status", "to": status}])
    events = (
        Q(event__in=[Event.RESOLVED.value, Event.CLOSED.value, Event.REOPENED.value])
        | (Q(event=Event.MERGED.value) & ended)
        | (Q(event=Event.UNMERGED.value) & came_back)
    )
    rows = (
        tickets.filter(status__in=active)
        .values_list(Value(0, output_field=IntegerField()), Value(_IN_WORK, output_field=TextField()))
        .annotate(n=Count("pk"))
        .union(
            tickets.filter(created_at__gte=bounds[0])
            .values_list(cuts.place("created_at", bounds), Value(Event.CREATED.value, output_field=TextField()))
            .annotate(n=Count("pk")),
            Activity.objects.for_workspace(workspace)
            .filter(events, ticket__in=tickets, occurred_at__gte=bounds[0])
            .order_by()
            .values_list(cuts.place("occurred_at", bounds), F("event"))
            .annotate(n=Count("pk")),
            all=True,
        )
    )
    found: list[Counter[str]] = [Counter() for _ in range(len(bounds) + 1)]
    for place, event, n in rows:
        found[place][event] += n
    return found


def _net(counts: "Counter[str]") -> int:
    """By how much the backlog rose."""
    return (
        counts[Event.CREATED]
        + counts[Event.REOPENED]
        + counts[Event.UNMERGED]
        - counts[Event.RESOLVED]
        - counts[Event.MERGED]
    )


def _volume(counts: "Counter[str]", backlog: int) -> Volume:
    return Volume(
        created=counts[Event.CREATED],
        resolved=counts[Event.RESOLVED],
        closed=counts[Event.CLOSED],
        reopened=counts[Event.REOPENED],
        merged=counts[Event.MERGED],
        unmerged=counts[Event.UNMERGED],
        backlog=backlog,
    )


def _figures(period: Period, parts: list[Part], volumes: list[Volume], backlog_before: int) -> Figures:
    whole = Volume(
        created=sum(one.created for one in volumes),
        resolved=sum(one.resolved for one in volumes),
        closed=sum(one.closed for one in volumes),
        reopened=sum(one.reopened for one in volumes),
        merged=sum(one.merged for one in volumes),
        unmerged=sum(one.unmerged for one in volumes),
        backlog=volumes[-1].backlog,
    )
    return Figures(period, backlog_before, whole, list(zip(parts, volumes, strict=True)))
