"""How satisfied customers are: the ratings of the portal.

A rating belongs to the moment at which it was first given and counts with the value that it has now. A ticket that
was reopened and resolved again can be rated again. What lies in the trash does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Count,
    DateTimeField,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)

from analytics.periods import Interval, Part, Period
from helpdesk.accounts.models import User, Workspace
from portal.models import Satisfaction
from tickets.events import Event
from tickets.models import Activity, Assignment, Ticket

RATINGS = (5, 4, 3, 2, 1)
SATISFIED = 4  # a rating of 4 or 5 is a satisfied customer


def share(part: int, whole: int) -> float | None:
    """`part` of `whole` in percent, rounded half up to one decimal; None of nothing."""
    return _rounded(Decimal(100 * part) / whole, "0.1") if whole else None


def _rounded(value: Decimal, step: str) -> float:
    return float(value.quantize(Decimal(step), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Score:
    """Ratings by value: `counts[4]` is how many gave a 4."""

    counts: Mapping[int, int]

    @property
    def ratings(self) -> int:
        """How many ratings there are."""
        return sum(self.counts.values())

    @property
    def average(self) -> float | None:
        """The arithmetic mean, rounded to two decimals; None without ratings."""
        total = Decimal(sum(rating * count for rating, count in self.counts.items()))
        return _rounded(total / self.ratings, "0.01") if self.ratings else None

    @property
    def satisfied(self) -> int:
        """How many are 4 or 5."""
        return sum(count for rating, count in self.counts.items() if rating >= SATISFIED)

    @property
    def csat(self) -> float | None:
        """The share of 4 and 5 among all ratings in percent; None without ratings."""
        return share(self.satisfied, self.ratings)

    @property
    def distribution(self) -> list[tuple[int, int, float | None]]:
        """From 5 to 1: the rating, how many there are, and their share in percent."""
        return [(rating, count, share(count, self.ratings)) for rating in RATINGS for count in [self.counts[rating]]]


@dataclass(frozen=True, slots=True)
class Responses:
    """Of the resolutions in a period, how many were rated, whenever that was."""

    resolutions: int
    rated: int

    @property
    def rate(self) -> float | None:
        """In percent; None when nothing was resolved."""
        return share(self.rated, self.resolutions)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one period."""

    period: Period
    score: Score
    responses: Responses
    by_part: list[tuple[Part, Score]]
    comments: int  # how many ratings came with words


@dataclass(frozen=True, slots=True)
class OfAgent:
    """The ratings of what one agent had when it was resolved; no agent for what nobody had."""

    user_id: UUID | None
    name: str
    score: Score


@dataclass(frozen=True, slots=True)
class Report:
    """All about the ratings of a period. `comments` are the ratings with words, newest first, not read yet."""

    interval: Interval
    now: Figures
    before: Figures | None
    by_agent: list[OfAgent]
    comments: "QuerySet[Satisfaction]"


def report(
    *,
    workspace: Workspace,
    tickets: "QuerySet[Ticket]",
    period: Period,
    interval: Interval,
    previous: Period | None = None,
) -> Report:
    """The ratings of `tickets` (live ones of the workspace) in a period.

    Four queries, six with `previous`, however many ratings, agents and parts there are.
    """
    given = Satisfaction.objects.for_workspace(workspace)
    resolutions = Activity.objects.for_workspace(workspace).filter(event=Event.RESOLVED.value)
    rows = _within(given.filter(ticket__in=tickets), "created_at", period)

    def figures(of: Period) -> Figures:
        return _figures(
            ratings=_within(given.filter(ticket__in=tickets), "created_at", of),
            # A ticket that was merged away passes the question on to the one that it became part of.
            resolutions=_within(
                resolutions.filter(ticket__in=tickets.filter(merged_into=None)), "occurred_at", of
            ).annotate(is_rated=Exists(given.filter(ticket=OuterRef("ticket"), resolved_at=OuterRef("occurred_at")))),
            period=of,
            interval=interval,
        )

    return Report(
        interval=interval,
        now=figures(period),
        before=figures(previous) if previous else None,
        by_agent=_by_agent(rows, workspace),
        comments=rows.exclude(feedback="").select_related("ticket").order_by("-created_at", "-pk"),
    )


def _within(rows: "QuerySet[Any]", column: str, period: Period) -> "QuerySet[Any]":
    return rows.filter(**{f"{column}__gte": period.start, f"{column}__lt": period.end})


def _figures(
    *, ratings: "QuerySet[Satisfaction]", resolutions: "QuerySet[Activity]", period: Period, interval: Interval
) -> Figures:
    """The figures of one period from what lies in it. Two queries."""
    parts = period.parts(interval)
    # The bounds are reckoned here and not by the database, whose timezones may be of another year.
    cut = Func(
        F("created_at"),
        Value([part.start for part in parts], output_field=ArrayField(DateTimeField())),
        function="width_bucket",
        output_field=IntegerField(),
    )
    counted = (
        ratings.order_by()
        .values_list(cut, "rating")
        .annotate(n=Count("pk"), with_words=Count("pk", filter=~Q(feedback="")))
    )
    counts = [dict.fromkeys(RATINGS, 0) for _ in parts]
    whole, comments = dict.fromkeys(RATINGS, 0), 0
    for place, rating, n, with_words in counted:
        counts[place - 1][rating] += n
        whole[rating] += n
        comments += with_words
    responses = resolutions.aggregate(resolutions=Count("pk"), rated=Count("pk", filter=Q(is_rated=True)))
    return Figures(
        period=period,
        score=Score(whole),
        responses=Responses(**responses),
        by_part=list(zip(parts, map(Score, counts), strict=True)),
        comments=comments,
    )


def _by_agent(rows: "QuerySet[Satisfaction]", workspace: Workspace) -> list[OfAgent]:
    """By who had the ticket at the moment of the resolution that is rated; most ratings first."""
    # Spans follow each other: one that ends at this very moment has been handed on.
    spans = (
        Assignment.objects.for_workspace(workspace)
        .filter(ticket=OuterRef("ticket"), assigned_at__lte=OuterRef("resolved_at"))
        .filter(Q(ended_at=None) | Q(ended_at__gt=OuterRef("resolved_at")))
        .order_by("-assigned_at")
    )
    counted = rows.order_by().values_list(Subquery(spans.values("assignee")[:1]), "rating").annotate(n=Count("pk"))
    counts: dict[UUID | None, dict[int, int]] = {}
    for user_id, rating, n in counted:
        counts.setdefault(user_id, dict.fromkeys(RATINGS, 0))[rating] += n
    people = User.objects.in_bulk([pk for pk in counts if pk is not None])
    found = [
        OfAgent(pk, (people[pk].name or people[pk].email) if pk else "", Score(their)) for pk, their in counts.items()
    ]
    return sorted(
        found, key=lambda one: (-one.score.ratings, one.user_id is None, one.name.casefold(), str(one.user_id))
    )
