"""Spans of time that reports are about, and their cuts into days, weeks and months of a timezone. Pure."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo


class Interval(StrEnum):
    """How long the parts of a period are, on the calendar of its timezone."""

    DAY = "day"
    WEEK = "week"  # from Monday (ISO 8601)
    MONTH = "month"


_NEXT: dict[Interval, Callable[[dt.date], dt.date]] = {
    Interval.DAY: lambda day: day + dt.timedelta(days=1),
    Interval.WEEK: lambda day: day + dt.timedelta(days=7 - day.weekday()),
    Interval.MONTH: lambda day: (day.replace(day=1) + dt.timedelta(days=31)).replace(day=1),
}


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The moment (UTC) at which a day begins in a timezone.

    Where the clock jumps over midnight the day begins with the jump; where midnight comes twice, with the first.
    """
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """A day, week or month of a period: from `start` until `end`, which is not in it (both aware, UTC).

    `day` is the date, in the period's timezone, on which it begins. The first and the last week or month of a
    period reach only as far as the period does.
    """

    day: dt.date
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until `end`, which is not in it (both aware, UTC), as a timezone has it."""

    start: dt.datetime
    end: dt.datetime
    zone: ZoneInfo

    @property
    def first_day(self) -> dt.date:
        """The date on which it begins."""
        return self.start.astimezone(self.zone).date()

    @property
    def last_day(self) -> dt.date:
        """The date of its last moment."""
        return (self.end - dt.datetime.resolution).astimezone(self.zone).date()

    @property
    def days(self) -> int:
        """How many dates it touches."""
        return (self.last_day - self.first_day).days + 1

    @property
    def is_of_whole_days(self) -> bool:
        """Whether it begins and ends with a day."""
        return (self.start, self.end) == (
            midnight(self.first_day, self.zone),
            midnight(self.last_day + dt.timedelta(days=1), self.zone),
        )

    def before(self) -> "Period":
        """The period that ends where this one begins and is as long: in days if it is of whole days, else in hours.

        So thirty days are compared with thirty days, also where one of them has 23 hours.
        """
        if self.is_of_whole_days:
            start = midnight(self.first_day - dt.timedelta(days=self.days), self.zone)
        else:
            start = self.start - (self.end - self.start)
        return Period(start, self.start, self.zone)

    def usual_interval(self) -> Interval:
        """What a chart of it can show: days up to a month, weeks up to half a year, else months."""
        return Interval.DAY if self.days <= 31 else Interval.WEEK if self.days <= 184 else Interval.MONTH

    def parts(self, interval: Interval) -> list[Part]:
        """Its days, weeks or months, in order and without gaps."""
        found: list[Part] = []
        day, start = self.first_day, self.start
        while start < self.end:
            following = _NEXT[interval](day)
            end = min(midnight(following, self.zone), self.end)
            if end > start:  # a date that a timezone left out has no time at all
                found.append(Part(day, start, end))
            day, start = following, end
        return found
