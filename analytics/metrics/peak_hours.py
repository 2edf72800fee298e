"""At which hours of the week customers come: tickets created, and what customers write on them.

Hours are those of the clock in the period's timezone. What is in the trash does not count. A ticket that was merged
into another one was created all the same; its messages are counted where they are now.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db.models import Count, QuerySet, TextField, Value

from analytics.metrics import cuts
from analytics.periods import Period
from helpdesk.accounts.models import Workspace
from tickets.models import Comment, Ticket

BUSIEST = 5  # as many hours of the week are named
_CREATED, _MESSAGES = "created", "messages"


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of the week: ISO weekday (1 is Monday) and hour (0 to 23), and how much of it the period has."""

    weekday: int
    hour: int
    time: dt.timedelta
    created: int
    messages: int

    @property
    def hours(self) -> float:
        """How many such hours the period has, rounded half up to two decimals."""
        return _rounded(Decimal(self.time // dt.datetime.resolution) / (3600 * 10**6))

    @property
    def created_per_hour(self) -> float | None:
        """Tickets created in one such hour on average, rounded half up to two decimals; None where there is none."""
        return self._average(self.created)

    @property
    def messages_per_hour(self) -> float | None:
        """Messages in one such hour on average, rounded half up to two decimals; None where there is none."""
        return self._average(self.messages)

    def _average(self, count: int) -> float | None:
        return _rounded(Decimal(count * 3600 * 10**6) / (self.time // dt.datetime.resolution)) if self.time else None


def _rounded(value: Decimal) -> float:
    return float(value.quantize(Decimal("0.01"), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one period; `cells` are the 168 hours of a week from Monday, 0 o'clock."""

    period: Period
    cells: list[Cell]

    @property
    def created(self) -> int:
        """How many tickets were created."""
        return sum(cell.created for cell in self.cells)

    @property
    def messages(self) -> int:
        """How many messages customers wrote."""
        return sum(cell.messages for cell in self.cells)

    @property
    def busiest_by_created(self) -> list[Cell]:
        """The hours with most tickets created per hour; most first."""
        return self._busiest(lambda cell: cell.created)

    @property
    def busiest_by_messages(self) -> list[Cell]:
        """The hours with most messages per hour; most first."""
        return self._busiest(lambda cell: cell.messages)

    def _busiest(self, count: Callable[[Cell], int]) -> list[Cell]:
        # A few minutes of an hour say nothing about it.
        known = [cell for cell in self.cells if count(cell) and cell.time >= dt.timedelta(hours=1)]
        known.sort(key=lambda cell: (-Decimal(count(cell)) / (cell.time // dt.datetime.resolution), -count(cell)))
        return known[:BUSIEST]


@dataclass(frozen=True, slots=True)
class Report:
    """The hours of a period, and of the one before if that was asked for."""

    now: Figures
    before: Figures | None


def report(
    *, workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period, previous: Period | None = None
) -> Report:
    """The hours of the week of `tickets` (live ones of the workspace) in a period. One query for each period."""
    return Report(_figures(workspace, tickets, period), _figures(workspace, tickets, previous) if previous else None)


def _figures(workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period) -> Figures:
    messages = Comment.objects.for_workspace(workspace).filter(
        ticket__in=tickets, author_type="customer", is_automatic=False, is_transcript=False, deleted_at=None
    )
    rows = _counted(_CREATED, tickets, period).union(_counted(_MESSAGES, messages, period), all=True)
    counts = Counter({(kind, weekday, hour): n for kind, weekday, hour, n in rows})
    return Figures(
        period,
        [
            Cell(weekday, hour, time, counts[_CREATED, weekday, hour], counts[_MESSAGES, weekday, hour])
            for (weekday, hour), time in period.hours_of_week().items()
        ],
    )


def _counted(kind: str, rows: "QuerySet[Any]", period: Period) -> "QuerySet[Any]":
    """How many rows were created in each hour of the week: kind, weekday, hour, count."""
    return (
        rows.filter(created_at__gte=period.start, created_at__lt=period.end)
        .order_by()
        .values_list(Value(kind, output_field=TextField()), *cuts.hour_of_week("created_at", period))
        .annotate(n=Count("pk"))
    )
