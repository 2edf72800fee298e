"""Business hours: when a team is open, and arithmetic on its open time. Pure.

A calendar is a value: a timezone, a week of local hours, dates with hours of their own, and a
country whose public holidays are free. On a local date the first of these decides:

1. the calendar's own entry for the date, a holiday or special hours;
2. a public holiday of the country and region: closed;
3. the hours of the weekday.

Local hours become UTC by two rules. A time that does not exist, because clocks were put forward,
moves forward by as much; one that happens twice is taken the first time. What is left of a day's
hours is united, so that no minute counts twice, and a date that a zone skipped has no hours.

The arithmetic stands on tables of all open stretches of some years: where each begins and ends, and
how much open time has run by its end. A deadline is then two binary searches, however long the target
is. Everything is counted in whole microseconds since 1970, never in floats.
"""

import datetime as dt
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

OUTSIDE_HOURS = "Outside business hours"

MAX_INTERVALS = 24  # of one day
MAX_EXCEPTIONS = 1000
MAX_NAME = 200  # characters
MAX_YEARS = 60  # how far a deadline is looked for
MAX_SPAN_YEARS = 150  # between two instants whose open time is asked for

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_MICROSECOND = dt.timedelta(microseconds=1)
_MINUTE = 60_000_000
_DAY = 1440 * _MINUTE
_MIDNIGHT = 1440

# The end of a day is the beginning of the next, so the last date that there is has none.
_LAST_DAY = dt.date.max.toordinal() - 1
_HORIZON = MAX_YEARS * 366 * _DAY
_FOREVER = 1 << 62


# --- The values -----------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Interval:
    """Hours of a day by the clock on the wall, in minutes after midnight: from `start`, before `end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= _MIDNIGHT:
            raise ValueError(f"No hours of a day: {self.start} to {self.end} minutes.")


@dataclass(frozen=True)
class Exceptional:
    """A date with hours of its own; without any it is a holiday."""

    date: dt.date
    name: str = ""
    intervals: tuple[Interval, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.strip())
        object.__setattr__(self, "intervals", tuple(sorted(self.intervals)))

    @property
    def reason(self) -> str:
        """Why one cannot count on the date's usual hours."""
        kind = "Special hours" if self.intervals else "Holiday"
        return f"{kind}: {self.name}" if self.name else kind


@dataclass(frozen=True)
class Span:
    """A stretch of time that is open or closed throughout; `reason` says why it is closed."""

    start: dt.datetime
    end: dt.datetime
    is_open: bool
    reason: str


@dataclass(frozen=True)
class Calendar:
    """When a team is open. Equal calendars are interchangeable, share their tables, and may be dict keys.

    `week` has seven entries, Monday first. Touching intervals stay as they were given, for the form to show;
    the arithmetic unites them. `country` and `region` are codes of the `holidays` package.
    """

    timezone: str = "UTC"
    week: tuple[tuple[Interval, ...], ...] = ((),) * 7
    exceptions: tuple[Exceptional, ...] = ()
    country: str = ""
    region: str = ""

    def __post_init__(self) -> None:
        if len(self.week) != len(WEEKDAYS):
            raise ValueError("A week has seven days.")
        if len({exceptional.date for exceptional in self.exceptions}) != len(self.exceptions):
            raise ValueError("A date is listed twice.")
        object.__setattr__(self, "week", tuple(tuple(sorted(day)) for day in self.week))
        object.__setattr__(self, "exceptions", tuple(sorted(self.exceptions, key=lambda entry: entry.date)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the value without its tables."""
        return Calendar, (self.timezone, self.week, self.exceptions, self.country, self.region)

    @cached_property
    def _engine(self) -> "_Engine":
        # Kept on the instance: to hash a calendar with a hundred holidays takes longer than a deadline.
        return _compiled(self)

    @property
    def has_open_time(self) -> bool:
        """Whether there is any open time at all, past or future."""
        return self._engine.has_open_time

    def add_business_time(self, start: dt.datetime, duration: dt.timedelta) -> dt.datetime | None:
        """The instant in UTC at which `duration` of open time has run since `start`.

        What ends exactly at closing time ends there, not when it opens again; no duration at all ends at
        `start`. None: there is no such instant within sixty years. Raises ValueError for a `start` without
        a timezone and for a negative duration.
        """
        # Every overdue clock and every row of a replay comes through here: keep it short.
        try:
            begin = (start - _EPOCH) // _MICROSECOND
        except TypeError:
            raise ValueError("An instant needs a timezone.") from None
        length = duration // _MICROSECOND
        starts, ends, through, shift, first, last = self._engine.table.arrays
        if length > 0 and first <= begin < last:
            index = bisect_right(starts, begin) - 1
            end = ends[index]
            target = through[index] + length
            if begin < end:
                target += begin - end
            if target <= through[-1]:
                found = shift[bisect_left(through, target, index)] + target
                return _EPOCH + dt.timedelta(0, 0, found) if found - begin <= _HORIZON else None
        return self._engine.search(begin, length)

    def business_time_between(self, a: dt.datetime, b: dt.datetime) -> dt.timedelta:
        """The open time from `a` to `b`; none if `b` is not later.

        Raises ValueError for an instant without a timezone and for more than 150 years.
        """
        begin, end = _ticks(a), _ticks(b)
        if end <= begin:
            return dt.timedelta(0)
        table = self._engine.covering(begin, end)
        return dt.timedelta(0, 0, table.elapsed(end) - table.elapsed(begin))

    def is_open(self, at: dt.datetime) -> bool:
        """Whether the team is open at this instant. At closing time it is not."""
        tick = _ticks(at)
        table = self._engine.covering(tick, tick)
        return tick < table.ends[bisect_right(table.starts, tick) - 1]

    def explain(self, a: dt.datetime, b: dt.datetime) -> list[Span]:
        """Why the open time from `a` to `b` is what it is: spans without gaps, each open or closed.

        Neighbouring closed stretches with the same reason are one span: a night with its weekend is one, a
        holiday between them divides it. Raises ValueError as `business_time_between` does.
        """
        begin, end = _ticks(a), _ticks(b)
        pieces: list[tuple[int, int, bool, str]] = []
        for piece in self._engine.pieces(begin, end) if begin < end else ():
            if pieces and pieces[-1][2:] == piece[2:]:
                pieces[-1] = (pieces[-1][0], *piece[1:])
            else:
                pieces.append(piece)
        try:
            return [Span(_instant(start), _instant(stop), is_open, reason) for start, stop, is_open, reason in pieces]
        except OverflowError:
            raise ValueError("An instant lies outside the years 1 to 9999.") from None


def _ticks(at: dt.datetime) -> int:
    """Microseconds since 1970."""
    try:
        return (at - _EPOCH) // _MICROSECOND
    except TypeError:
        raise ValueError("An instant needs a timezone.") from None


def _instant(ticks: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(0, 0, ticks)


# --- The tables -----------------------------------------------------------------------------------


class _Arrays(NamedTuple):
    """What the arithmetic reads. Index 0 is an empty stretch before all time, so that a search always finds one."""

    starts: list[int]
    ends: list[int]
    through: list[int]  # the open time from the table's beginning to the end of each stretch
    shift: list[int]  # ends - through: from an amount of open time within a stretch to its instant
    first: int  # the table knows everything from `first`, before `last`
    last: int


@dataclass(frozen=True, slots=True)
class _Table:
    """All open stretches of some whole years in UTC, both included. Never changed: a longer one replaces it."""

    arrays: _Arrays
    first_year: int
    last_year: int
    holidays: Mapping[int, str]  # public ones, by ordinal

    @property
    def starts(self) -> list[int]:
        return self.arrays.starts

    @property
    def ends(self) -> list[int]:
        return self.arrays.ends

    def elapsed(self, tick: int) -> int:
        """The open time from the table's beginning to `tick`."""
        index = bisect_right(self.starts, tick) - 1
        return self.arrays.through[index] - max(0, self.ends[index] - tick)


_NOTHING = _Table(_Arrays([-_FOREVER], [-_FOREVER], [0], [-_FOREVER], 0, 0), 0, 0, {})


class _Engine:
    """The tables of one calendar, shared by all that equal it and by all threads.

    A table grows by replacing it in one assignment. Two threads that grow it at once both get a right one;
    the later assignment stays.
    """

    __slots__ = ("_country", "_exceptions", "_region", "_week", "_zone", "table")

    def __init__(self, calendar: Calendar) -> None:
        self._zone = ZoneInfo(calendar.timezone)
        self._week = calendar.week
        self._exceptions = {entry.date.toordinal(): entry for entry in calendar.exceptions}
        self._country, self._region = calendar.country, calendar.region
        self.table = _NOTHING

    @property
    def has_open_time(self) -> bool:
        # No list of dates and no country closes a weekday for ever. The hours of a single date can
        # vanish, though, where clocks are put forward.
        return any(self._week) or any(
            begin < end for day, entry in self._exceptions.items() for begin, end in self._hours(day, entry.intervals)
        )

    # Questions that go beyond a table.

    def search(self, begin: int, length: int) -> dt.datetime | None:
        """What `add_business_time` answers, growing the table until it holds the answer or the horizon."""
        if length < 0:
            raise ValueError("A duration cannot be negative.")
        if length == 0:
            found = begin
        else:
            limit = min(_year(begin) + MAX_YEARS + 1, dt.MAXYEAR)
            if not any(self._week):  # nothing opens after the last special date
                last = max((day for day, entry in self._exceptions.items() if entry.intervals), default=None)
                if last is None or (last - _EPOCH_DAY + 2) * _DAY < begin:
                    return None
                limit = min(limit, dt.date.fromordinal(min(last + 2, _LAST_DAY)).year)
            reach = _year(begin) + 1
            while True:
                table = self._grown(_year(begin), min(reach, limit))
                target = table.elapsed(begin) + length
                if target <= table.arrays.through[-1]:
                    break
                if table.last_year >= limit:
                    return None
                reach = table.last_year + 1
            found = table.arrays.shift[bisect_left(table.arrays.through, target)] + target
            if found - begin > _HORIZON:
                return None
        try:
            return _instant(found)
        except OverflowError:  # a start so early in the year 1 that it lies before it in UTC
            return None

    def covering(self, begin: int, end: int) -> _Table:
        """A table that knows everything from `begin` to `end`."""
        table = self.table
        if table.arrays.first <= begin and end < table.arrays.last:
            return table
        if _year(end) - _year(begin) > MAX_SPAN_YEARS:
            raise ValueError(f"More than {MAX_SPAN_YEARS} years cannot be measured.")
        return self._grown(_year(begin), _year(end))

    def pieces(self, begin: int, end: int) -> Iterator[tuple[int, int, bool, str]]:
        """Open stretches, and closed ones cut at every local midnight: start, end, whether open, reason."""
        table = self.covering(begin, end)
        day = max(1, min(_EPOCH_DAY + begin // _DAY - 2, _LAST_DAY))
        midnight = self._utc(day + 1, 0)
        cursor = begin
        index = bisect_right(table.ends, begin)
        while cursor < end:
            known = index < len(table.ends)
            opening = min(table.starts[index], end) if known else end
            while cursor < opening:
                while midnight <= cursor and day < _LAST_DAY:
                    day += 1
                    midnight = self._utc(day + 1, 0)
                until = min(opening, midnight) if day < _LAST_DAY else opening
                yield cursor, until, False, self._reason(day, table)
                cursor = until
            if known and cursor < end:
                until = min(table.ends[index], end)
                yield cursor, until, True, ""
                cursor, index = until, index + 1

    def _reason(self, day: int, table: _Table) -> str:
        if day in self._exceptions:
            return self._exceptions[day].reason
        return f"Holiday: {table.holidays[day]}" if day in table.holidays else OUTSIDE_HOURS

    # Growing.

    def _grown(self, first_year: int, last_year: int) -> _Table:
        """A table with at least these years; the new one is at least twice as long, so growing stays cheap."""
        table = self.table
        if table.first_year <= first_year and last_year <= table.last_year:
            return table
        low, high = max(first_year - 1, 1), min(last_year + 1, dt.MAXYEAR)
        if table is not _NOTHING:
            length = min(table.last_year - table.first_year + 1, MAX_YEARS)
            if first_year < table.first_year:
                low = max(min(low, table.first_year - length), 1)
            if last_year > table.last_year:
                high = min(max(high, table.last_year + length), dt.MAXYEAR)
            united_low, united_high = min(low, table.first_year), max(high, table.last_year)
            # Years far from all that was asked so far begin a table of their own.
            if united_high - united_low <= 2 * MAX_SPAN_YEARS:
                low, high = united_low, united_high
        self.table = table = self._built(low, high)
        return table

    def _built(self, first_year: int, last_year: int) -> _Table:
        """The stretches of these years, cut where the years begin and end in UTC."""
        first = (dt.date(first_year, 1, 1).toordinal() - _EPOCH_DAY) * _DAY
        last = (dt.date(last_year, 12, 31).toordinal() + 1 - _EPOCH_DAY) * _DAY
        holidays = self._public_holidays(first_year, last_year)
        exceptions, week = self._exceptions, self._week
        stretches: list[tuple[int, int]] = []
        # No zone is two days away from UTC: these dates have all hours that reach into the years.
        low, high = max(first // _DAY + _EPOCH_DAY - 2, 1), min(last // _DAY + _EPOCH_DAY + 2, _LAST_DAY)
        for day in range(low, high + 1):
            if day in exceptions:
                intervals = exceptions[day].intervals
            elif day in holidays:
                continue
            else:
                intervals = week[(day - 1) % 7]  # the first of January of the year 1 was a Monday
            if intervals:
                stretches += self._hours(day, intervals)
        stretches.sort()

        starts, ends = [-_FOREVER], [-_FOREVER]
        for begin, end in stretches:
            begin, end = max(begin, first), min(end, last)
            if begin >= end:
                continue
            if begin <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(begin)
                ends.append(end)
        through, total = [], 0
        for begin, end in zip(starts, ends, strict=True):
            total += end - begin
            through.append(total)
        shift = [end - done for end, done in zip(ends, through, strict=True)]
        # Beyond the first and the last year there is no time that a datetime could name.
        known = (first if first_year > 1 else -_FOREVER, last if last_year < dt.MAXYEAR else _FOREVER)
        return _Table(_Arrays(starts, ends, through, shift, *known), first_year, last_year, holidays)

    def _hours(self, day: int, intervals: tuple[Interval, ...]) -> list[tuple[int, int]]:
        """A date's hours in UTC. Those that vanish are left out by whoever unites them."""
        utc = self._utc
        hours = [(utc(day, interval.start), utc(day, interval.end)) for interval in intervals]
        # A zone that crossed the date line westward skipped a whole date: its hours would otherwise move
        # into the next one. Such a date begins when the next one does.
        if hours and hours[0][0] >= utc(day + 1, 0) == utc(day, 0):
            return []
        return hours

    def _utc(self, day: int, minute: int) -> int:
        """The instant of a local time. `fold` stays 0: twice means the first time, never means moved forward."""
        if minute == _MIDNIGHT:
            day, minute = day + 1, 0
        date = dt.date.fromordinal(day)
        local = dt.datetime(date.year, date.month, date.day, minute // 60, minute % 60, tzinfo=self._zone)
        offset = local.utcoffset()
        assert offset is not None  # noqa: S101 - a ZoneInfo has one for every datetime
        return (day - _EPOCH_DAY) * _DAY + minute * _MINUTE - offset // _MICROSECOND

    def _public_holidays(self, first_year: int, last_year: int) -> Mapping[int, str]:
        """The names of the country's holidays by ordinal, of these years and their neighbours."""
        if not self._country:
            return {}
        years = range(max(first_year - 1, 1), min(last_year + 1, dt.MAXYEAR) + 1)
        return {date.toordinal(): name for date, name in public_holidays(self._country, self._region, years).items()}


def public_holidays(country: str, region: str, years: Iterable[int]) -> Mapping[dt.date, str]:
    """The public holidays of these years by date; none for a country or a region that is not known."""
    import holidays  # slow to import, and many calendars need none

    try:
        # The language is named because the package otherwise asks the server's environment.
        found: Mapping[dt.date, str] = holidays.country_holidays(
            country, subdiv=region or None, years=years, expand=False, language="en_US"
        )
    except NotImplementedError:
        return {}
    return found


def _year(ticks: int) -> int:
    """The year in UTC, kept within those that there are."""
    return dt.date.fromordinal(max(1, min(_EPOCH_DAY + ticks // _DAY, _LAST_DAY + 1))).year


@lru_cache(maxsize=128)
def _compiled(calendar: Calendar) -> _Engine:
    return _Engine(calendar)


ALWAYS = Calendar(week=((Interval(0, _MIDNIGHT),),) * 7)
"""Round the clock, for policies without business hours: adding to it is plain addition."""


# --- Reading and writing --------------------------------------------------------------------------


class CalendarError(ValueError):
    """A document that is no calendar: everything that is wrong with it, by the field's path."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        self.errors = errors
        super().__init__(" ".join(f"{path}: {message}" for path, messages in errors.items() for message in messages))


_KEYS = ("timezone", "schedule", "holidays", "country", "region")
_INTERVAL_KEYS = ("start", "end")
_EXCEPTION_KEYS = ("date", "name", "start", "end", "intervals")

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,3}")
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, halves of a character, line ends
# Files among the zones that are none, that depend on the machine, or that count leap seconds.
_NO_ZONES = frozenset({"localtime", "posixrules", "posix", "right", "Factory", "leapseconds", "leap-seconds"})


def read(document: Mapping[str, Any]) -> Calendar:
    """The calendar that a JSON document describes; `write` gives its shape.

    Besides that shape a day may be null, [] or a list of one, and an end of 00:00 means the midnight at the
    end of the day. Raises CalendarError, which names all mistakes at once.
    """
    return _Reader().calendar(document)


def write(calendar: Calendar) -> dict[str, Any]:
    """The calendar as a JSON document.

    One interval of a day is an object, several are a list, a closed day is absent. A holiday is its date, or
    an object when it has a name or hours. Country and region are there when they are set.
    """
    document: dict[str, Any] = {
        "timezone": calendar.timezone,
        "schedule": {name: _written_hours(day) for name, day in zip(WEEKDAYS, calendar.week, strict=True) if day},
        "holidays": [_written_exception(entry) for entry in calendar.exceptions],
    }
    if calendar.country:
        document["country"] = calendar.country
    if calendar.region:
        document["region"] = calendar.region
    return document


def _written_hours(day: tuple[Interval, ...]) -> dict[str, str] | list[dict[str, str]]:
    hours = [{"start": _clock(interval.start), "end": _clock(interval.end)} for interval in day]
    return hours[0] if len(hours) == 1 else hours


def _written_exception(entry: Exceptional) -> str | dict[str, Any]:
    if not entry.name and not entry.intervals:
        return entry.date.isoformat()
    written: dict[str, Any] = {"date": entry.date.isoformat()}
    if entry.name:
        written["name"] = entry.name
    if entry.intervals:
        hours = _written_hours(entry.intervals)
        written |= hours if isinstance(hours, dict) else {"intervals": hours}
    return written


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


class _Reader:
    """Reads one document and collects what is wrong with it."""

    def __init__(self) -> None:
        self._errors: dict[str, list[str]] = {}

    def calendar(self, document: object) -> Calendar:
        if not isinstance(document, Mapping):
            raise CalendarError({"": ["Business hours must be an object."]})
        self._known(document, _KEYS, "", "There is no such setting.")
        timezone = self._timezone(document.get("timezone", "UTC"))
        week = self._week(document.get("schedule"))
        exceptions = self._exceptions(document.get("holidays"))
        country, region = self._place(document.get("country"), document.get("region"))
        if self._errors:
            raise CalendarError(self._errors)
        return Calendar(timezone, week, exceptions, country, region)

    def _wrong(self, path: str, message: str) -> None:
        self._errors.setdefault(path, []).append(message)

    def _known(self, given: Mapping[Any, Any], names: tuple[str, ...], path: str, message: str) -> None:
        unknown = [key for key in given if key not in names]
        for key in unknown[:10]:  # a document of nothing but nonsense needs no page of errors
            self._wrong(f"{path}.{_shown(key)}".lstrip("."), message)

    def _timezone(self, value: object) -> str:
        if not isinstance(value, str) or not is_timezone(value):
            self._wrong("timezone", "Choose a timezone by its name, such as Europe/Berlin.")
            return "UTC"
        return value

    def _week(self, schedule: object) -> tuple[tuple[Interval, ...], ...]:
        closed: tuple[Interval, ...] = ()
        if not isinstance(schedule, Mapping):
            self._wrong("schedule", "Give the hours of the week as an object with one entry for each open weekday.")
            return (closed,) * 7
        self._known(schedule, WEEKDAYS, "schedule", f"There is no such weekday; they are {', '.join(WEEKDAYS)}.")
        return tuple(self._hours(schedule.get(name), f"schedule.{name}") for name in WEEKDAYS)

    def _hours(self, value: object, path: str) -> tuple[Interval, ...]:
        """The hours of a day: an object, a list of them, or nothing."""
        if value is None:
            return ()
        given = value if isinstance(value, list | tuple) else [value]
        if len(given) > MAX_INTERVALS:
            self._wrong(path, f"A day has at most {MAX_INTERVALS} intervals.")
            return ()
        found = [self._interval(entry, path) for entry in given]
        intervals = sorted(interval for interval in found if interval is not None)
        for earlier, later in pairwise(intervals):
            if later.start < earlier.end:
                self._wrong(path, f"{_shown_interval(earlier)} and {_shown_interval(later)} overlap.")
        return tuple(intervals)

    def _interval(self, value: object, path: str) -> Interval | None:
        if not isinstance(value, Mapping) or not all(name in value for name in _INTERVAL_KEYS):
            self._wrong(path, 'Give hours as {"start": "09:00", "end": "17:00"}.')
            return None
        self._known(value, _INTERVAL_KEYS, path, "Hours have a start and an end and nothing else.")
        start, end = self._time(value["start"]), self._time(value["end"], is_end=True)
        for name, minute in (("start", start), ("end", end)):
            if minute is None:
                self._wrong(path, f"The {name} must be a time such as {'09:00' if name == 'start' else '17:00'}.")
        if start is None or end is None:
            return None
        if start >= end:
            self._wrong(path, f"The end {_clock(end)} is not after the start {_clock(start)}.")
            return None
        return Interval(start, end)

    @staticmethod
    def _time(value: object, *, is_end: bool = False) -> int | None:
        if not isinstance(value, str) or len(value) > 5:
            return None
        if is_end and value in ("24:00", "00:00"):
            return _MIDNIGHT
        match = _TIME.fullmatch(value)
        return int(match[1]) * 60 + int(match[2]) if match else None

    def _exceptions(self, value: object) -> tuple[Exceptional, ...]:
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            self._wrong("holidays", "Give the holidays as a list of dates.")
            return ()
        if len(value) > MAX_EXCEPTIONS:
            self._wrong("holidays", f"A calendar has at most {MAX_EXCEPTIONS:,} dates.")
            return ()
        found: dict[dt.date, Exceptional] = {}
        for number, entry in enumerate(value):
            exceptional = self._exceptional(entry, f"holidays.{number}")
            if exceptional is None:
                continue
            if exceptional.date in found:
                self._wrong(f"holidays.{number}", f"{exceptional.date} is listed twice.")
            found[exceptional.date] = exceptional
        return tuple(found.values())

    def _exceptional(self, value: object, path: str) -> Exceptional | None:
        if isinstance(value, str):
            value = {"date": value}
        if not isinstance(value, Mapping):
            self._wrong(path, "Give a holiday as a date such as 2025-12-25, or as an object with a date.")
            return None
        self._known(value, _EXCEPTION_KEYS, path, f"A date has {', '.join(_EXCEPTION_KEYS)} and nothing else.")
        date, name = self._date(value.get("date"), path), self._name(value.get("name"), path)
        hours = {key: value[key] for key in _INTERVAL_KEYS if value.get(key) is not None}
        if hours and value.get("intervals") is not None:
            self._wrong(path, "Give either a start and an end, or intervals.")
            intervals: tuple[Interval, ...] = ()
        else:
            intervals = self._hours(hours or value.get("intervals"), path)
        return Exceptional(date, name, intervals) if date else None

    def _date(self, value: object, path: str) -> dt.date | None:
        if isinstance(value, str) and len(value) == 10 and _DATE.fullmatch(value):
            try:
                return dt.date.fromisoformat(value)
            except ValueError:
                pass  # the thirtieth of February
        self._wrong(path, "This is no date; write it as 2025-12-25.")
        return None

    def _name(self, value: object, path: str) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            self._wrong(path, "A name must be text.")
        elif len(value) > MAX_NAME:
            self._wrong(path, f"A name has at most {MAX_NAME} characters.")
        elif any(unicodedata.category(letter) in _NO_TEXT for letter in value):
            self._wrong(path, "A name is one line of text, without control characters.")
        else:
            return value
        return ""

    def _place(self, country: object, region: object) -> tuple[str, str]:
        if country in (None, ""):
            if region not in (None, ""):
                self._wrong("region", "A region needs its country.")
            return "", ""
        known = _regions_by_country()
        code = country.upper() if isinstance(country, str) and len(country) == 2 else ""
        if code not in known:
            self._wrong("country", "Choose a country by its code of two letters, such as DE.")
            return "", ""
        if region in (None, ""):
            return code, ""
        if not isinstance(region, str) or region not in known[code]:
            some = f", such as {known[code][0]}" if known[code] else "; this country has none"
            self._wrong("region", f"Choose a region by its code{some}.")
            return code, ""
        return code, region


def _shown(value: object) -> str:
    """Text from outside, short and harmless enough to stand in a message."""
    text = value if isinstance(value, str) else type(value).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text[:40])


def _shown_interval(interval: Interval) -> str:
    return f"{_clock(interval.start)}–{_clock(interval.end)}"


def is_timezone(name: str) -> bool:
    """Whether the IANA database has this zone. Names that would leave its folder never reach the disk."""
    if not _ZONE.fullmatch(name) or name.partition("/")[0] in _NO_ZONES:
        return False
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


# --- Countries ------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Region:
    """A part of a country with public holidays of its own."""

    name: str
    code: str


@dataclass(frozen=True, order=True)
class Country:
    """A country whose public holidays are known, with its regions."""

    name: str
    code: str
    regions: tuple[Region, ...] = ()


class _Package(Protocol):
    """What is used of a country's class in the `holidays` package."""

    subdivisions_aliases: dict[str, str]


@lru_cache(maxsize=1)
def countries() -> tuple[Country, ...]:
    """All countries whose public holidays are known, by name, each with its regions by name."""
    import holidays
    from holidays.registry import COUNTRIES

    names = {entry[1]: _spelled(key) for key, entry in COUNTRIES.items()}
    found = []
    for code, regions in _regions_by_country().items():
        package: _Package = getattr(holidays, code)
        # Some regions have several names; the first is the official one.
        regional = {region: name for name, region in reversed(package.subdivisions_aliases.items())}
        found.append(
            Country(
                names.get(code, code),
                code,
                tuple(sorted(Region(regional.get(region, region), region) for region in regions)),
            )
        )
    return tuple(sorted(found))


@lru_cache(maxsize=1)
def _regions_by_country() -> Mapping[str, list[str]]:
    from holidays.utils import list_supported_countries

    found: Mapping[str, list[str]] = list_supported_countries(include_aliases=False)
    return found


def _spelled(key: str) -> str:
    """The package knows countries by words such as isle_of_man."""
    small = {"and", "of", "the"}
    return " ".join(word if word in small else word.capitalize() for word in key.split("_"))
