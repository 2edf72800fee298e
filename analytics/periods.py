"""Spans of time that reports are about, and their cuts into hours, days, weeks and months of a timezone. Pure."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo


class Interval(StrEnum):
    """How long the parts of a period are, on the calendar of its timezone."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday (ISO 8601)
    MONTH = "month"


_NEXT: dict[Interval, Callable[[dt.date], dt.date]] = {
    Interval.DAY: lambda day: day + dt.timedelta(days=1),
    Interval.WEEK: lambda day: day + dt.timedelta(days=7 - day.weekday()),
    Interval.MONTH: lambda day: (day.replace(day=1) + dt.timedelta(days=31)).replace(day=1),
}

_HOUR, _WEEK = dt.timedelta(hours=1), dt.timedelta(days=7)
_LOOK = 6 * _HOUR  # nowhere are clocks changed twice within so few hours


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The moment (UTC) at which a day begins in a timezone.

    Where the clock jumps over midnight the day begins with the jump; where midnight comes twice, with the first.
    """
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """An hour, day, week or month of a period: from `start` until `end`, which is not in it (both aware, UTC).

    `day` is the date, in the period's timezone, on which it begins. The first and the last part of a period reach
    only as far as the period does.
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
        """Its hours, days, weeks or months, in order and without gaps.

        An hour ends where the clock of the timezone shows a whole one. One that comes twice makes two parts.
        """
        if interval is Interval.HOUR:
            return [hour for day in self.parts(Interval.DAY) for hour in _hours(day, self.zone)]
        found: list[Part] = []
        day, start = self.first_day, self.start
        while start < self.end:
            following = _NEXT[interval](day)
            end = min(midnight(following, self.zone), self.end)
            if end > start:  # a date that a timezone left out has no time at all
                found.append(Part(day, start, end))
            day, start = following, end
        return found

    def offsets(self) -> list[tuple[dt.datetime, dt.datetime, dt.timedelta]]:
        """The spans (from, until, both UTC) in which local time differs from UTC by one and the same offset."""

        def offset(moment: dt.datetime) -> dt.timedelta:
            return moment.astimezone(self.zone).replace(tzinfo=dt.UTC) - moment

        found: list[tuple[dt.datetime, dt.datetime, dt.timedelta]] = []
        begin = low = self.start
        while low < self.end:
            high = min(low + _LOOK, self.end)
            if offset(high) != offset(begin):
                while high - low > dt.datetime.resolution:  # closer and closer around the change of the clocks
                    middle = low + (high - low) // 2
                    low, high = (middle, high) if offset(middle) == offset(begin) else (low, middle)
                found.append((begin, high, offset(begin)))
                begin = high
            low = high
        return [*found, (begin, self.end, offset(begin))] if begin < self.end else found

    def hours_of_week(self) -> dict[tuple[int, int], dt.timedelta]:
        """How much time of it is in each hour of the week, by ISO weekday (1 is Monday) and hour (0 to 23).

        In two weeks that is two hours each; less where clocks were put forward, more where they were put back.
        """
        found = {(weekday, hour): dt.timedelta() for weekday in range(1, 8) for hour in range(24)}
        for start, end, offset in self.offsets():
            at, until = start + offset, end + offset  # what the clock on the wall shows
            weeks = (until - at) // _WEEK
            for cell in found:
                found[cell] += weeks * _HOUR
            at += weeks * _WEEK
            while at < until:
                following = min(at.replace(minute=0, second=0, microsecond=0) + _HOUR, until)
                found[at.isoweekday(), at.hour] += following - at
                at = following
        return found


def _hours(day: Part, zone: ZoneInfo) -> Iterator[Part]:
    """The hours of a day, as the clock of a timezone shows them."""
    start = day.start
    while start < day.end:
        clock = start.astimezone(zone)
        gone = dt.timedelta(minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond)
        end = min(start + _HOUR - gone, day.end)
        yield Part(day.day, start, end)
        start = end
