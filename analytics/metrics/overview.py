"""How the helpdesk does, in one look: what came, what was finished, how fast, what was promised, and how it was liked.

What happened is told of the period in which it happened: a ticket that came in May and was answered in June is one of
the tickets created in May and of the first responses of June. What lies in the trash does not count. A ticket that was
merged into another one came in, so it counts as created; whatever else became of it is told by the other one.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, DateTimeField, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from analytics.metrics import times
from analytics.metrics.csat import RATINGS, Responses, Score, share
from analytics.metrics.times import Times
from analytics.periods import Period
from helpdesk.accounts.models import Workspace
from portal.models import Satisfaction
from slas.models import Clock
from tickets.deadlines import Goal
from tickets.events import Event
from tickets.lifecycle import Status
from tickets.models import Activity, Ticket
from tickets.models.ticket import IN_WORK


@dataclass(frozen=True, slots=True)
class Queue:
    """What is to be done at this moment. `unassigned` are those of the others that nobody has."""

    open: int
    pending: int
    unassigned: int


@dataclass(frozen=True, slots=True)
class Moves:
    """How often tickets were moved in a period; `undone` are those of the resolutions that were reopened since."""

    resolved: int
    closed: int
    reopened: int
    undone: int

    @property
    def reopen_rate(self) -> float | None:
        """The share of the resolutions that were reopened, in percent; None when nothing was resolved."""
        return share(self.undone, self.resolved)


@dataclass(frozen=True, slots=True)
class Promises:
    """What was promised and judged in a period."""

    met: int
    breached: int

    @property
    def judged(self) -> int:
        """How many were judged, either way."""
        return self.met + self.breached

    @property
    def share(self) -> float | None:
        """How many were met, in percent; None when nothing was judged."""
        return share(self.met, self.judged)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one period."""

    period: Period
    created: int
    moves: Moves
    first_response: Times
    resolution: Times
    sla: Promises
    sla_by_goal: dict[Goal, Promises]
    satisfaction: Score
    responses: Responses


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period, those of the one before if they were asked for, and what is to be done now."""

    queue: Queue
    figures: Figures
    before: Figures | None


def report(
    *, workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period, previous: Period | None = None
) -> Report:
    """The figures of `tickets` (live ones of the workspace) in a period.

    Six queries, eleven with `previous`, however many tickets there are.
    """
    return Report(
        queue=_queue(tickets),
        figures=_figures(workspace, tickets, period),
        before=_figures(workspace, tickets, previous) if previous else None,
    )


def _figures(workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period) -> Figures:
    """The figures of one period. Five queries."""
    kept = tickets.filter(merged_into=None)
    moves, responses = _moves(workspace, kept, period)
    took = _times(kept, period)
    by_goal = _promises(workspace, kept, period)
    return Figures(
        period=period,
        created=tickets.filter(_within("created_at", period)).count(),
        moves=moves,
        first_response=times.read("first_response", took),
        resolution=times.read("resolution", took),
        sla=Promises(sum(one.met for one in by_goal.values()), sum(one.breached for one in by_goal.values())),
        sla_by_goal=by_goal,
        satisfaction=_satisfaction(workspace, tickets, period),
        responses=responses,
    )


def _within(column: str, period: Period) -> Q:
    return Q(**{f"{column}__gte": period.start, f"{column}__lt": period.end})


def _queue(tickets: "QuerySet[Ticket]") -> Queue:
    counted = tickets.filter(IN_WORK).aggregate(
        open=Count("pk", filter=Q(status=Status.OPEN.value)),
        pending=Count("pk", filter=Q(status=Status.PENDING.value)),
        unassigned=Count("pk", filter=Q(assignee=None)),
    )
    return Queue(**counted)


def _moves(workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period) -> tuple[Moves, Responses]:
    """What was resolved, closed and reopened; and of the resolutions, how many were undone and how many rated."""
    log = Activity.objects.for_workspace(workspace)
    # In the order of the log: of what happened at one moment, the id tells which came first. Between two resolutions
    # there is a reopening, so that any later one stands for the one that undid this.
    reopenings = log.filter(ticket=OuterRef("ticket"), event=Event.REOPENED.value).filter(
        Q(occurred_at__gt=OuterRef("occurred_at")) | Q(pk__gt=OuterRef("pk")),
        occurred_at__gte=OuterRef("occurred_at"),  # a range of the index
    )
    ratings = Satisfaction.objects.for_workspace(workspace).filter(
        ticket=OuterRef("ticket"), resolved_at=OuterRef("occurred_at")
    )
    resolved = Q(event=Event.RESOLVED.value)
    counted = (
        log.filter(_within("occurred_at", period), ticket__in=tickets)
        .filter(event__in=[Event.RESOLVED.value, Event.CLOSED.value, Event.REOPENED.value])
        .aggregate(
            resolved=Count("pk", filter=resolved),
            closed=Count("pk", filter=Q(event=Event.CLOSED.value)),
            reopened=Count("pk", filter=Q(event=Event.REOPENED.value)),
            undone=Count("pk", filter=resolved & Q(Exists(reopenings))),
            rated=Count("pk", filter=resolved & Q(Exists(ratings))),
        )
    )
    rated = counted.pop("rated")
    return Moves(**counted), Responses(resolutions=counted["resolved"], rated=rated)


def _times(tickets: "QuerySet[Ticket]", period: Period) -> dict[str, Any]:
    answered, resolved = _within("first_response_at", period), _within("resolved_at", period)
    found: dict[str, Any] = tickets.filter(answered | resolved, created_at__lt=period.end).aggregate(
        **times.aggregates("first_response", start="created_at", end="first_response_at", within=answered),
        **times.aggregates("resolution", start="created_at", end="resolved_at", within=resolved),
    )
    return found


def _promises(workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period) -> dict[Goal, Promises]:
    """What was judged in the period, by what was promised."""
    # A promise is judged when it is broken or else when it is kept. A breach that was recorded stays one, whatever
    # the ticket's priority or policy became later: people were told of it.
    counted = (
        Clock.objects.for_workspace(workspace)
        .annotate(judged_at=Coalesce("breached_at", "satisfied_at", output_field=DateTimeField()))
        .filter(_within("judged_at", period), ticket__in=tickets)
        .order_by()
        .values_list("goal")
        .annotate(met=Count("pk", filter=Q(breached_at=None)), breached=Count(F("breached_at")))
    )
    found = {goal: Promises(met, breached) for goal, met, breached in counted}
    return {goal: found.get(goal.value, Promises(0, 0)) for goal in Goal}


def _satisfaction(workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period) -> Score:
    counted = (
        Satisfaction.objects.for_workspace(workspace)
        .filter(_within("created_at", period), ticket__in=tickets)
        .order_by()
        .values_list("rating")
        .annotate(n=Count("pk"))
    )
    return Score(dict.fromkeys(RATINGS, 0) | dict(counted))
