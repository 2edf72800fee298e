"""Every first Monday at nine in Berlin: when something that recurs happens. Pure.

A schedule is data:

```
{"every": "day", "interval": 2, …}                                     every second day
{"every": "week", "weekdays": ["monday", "friday"], …}
{"every": "month", "day": 31, …}                                       or its last day, where it has no 31st
{"every": "month", "interval": 3, "nth": "first", "weekday": "monday", …}
{"every": "year", "month": 2, "day": 29, …}                            or "nth" and "weekday" of that month
```

Each with `at` ("09:00"), `timezone` (an IANA name), `starts_on` and, if it ends, `ends_on`: local
dates, both included. Intervals are counted from `starts_on`; weeks begin on Monday.

It happens once a day at most, at the local time, whatever the clocks do. A time that they skip is
read as if they had not been put forward yet: 02:30 is 03:30 on that day. Of a time that comes twice
the first one counts.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from dateutil.rrule import DAILY, MO, MONTHLY, WEEKLY, YEARLY, rrule, weekdays

DAY, WEEK, MONTH, YEAR = "day", "week", "month", "year"
LONGEST = {DAY: 365, WEEK: 52, MONTH: 24, YEAR: 10}  # what an interval can be
EVERY = tuple(LONGEST)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
FIRST_DAY, LAST_DAY = dt.date(2000, 1, 1), dt.date(2199, 12, 31)

_FREQUENCIES = {DAY: DAILY, WEEK: WEEKLY, MONTH: MONTHLY, YEAR: YEARLY}
_SHARED = frozenset({"every", "interval", "at", "timezone", "starts_on", "ends_on"})
_WORDS = {
    DAY: frozenset[str](),
    WEEK: frozenset({"weekdays"}),
    MONTH: frozenset({"day", "nth", "weekday"}),
    YEAR: frozenset({"month", "day", "nth", "weekday"}),
}
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class ScheduleError(ValueError):
    """A document is no schedule. `errors` says why, by the name of the field: {"at": ["…"]}."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(next(iter(errors.values()))[0])
        self.errors = {name: list(texts) for name, texts in errors.items()}


@dataclass(frozen=True)
class Schedule:
    """When something happens, again and again. A month is given by `day`, or by `nth` and `weekday`."""

    every: str
    interval: int
    at: dt.time  # local
    timezone: str
    starts_on: dt.date
    ends_on: dt.date | None = None
    weekdays: tuple[str, ...] = ()  # of a week, from Monday
    month: int | None = None  # of a year, from 1
    day: int | None = None  # of a month, from 1; beyond its end it is its last
    nth: str | None = None
    weekday: str | None = None

    def document(self) -> dict[str, Any]:
        """As it is written."""
        said: dict[str, Any] = {"every": self.every, "interval": self.interval}
        if self.every == WEEK:
            said["weekdays"] = list(self.weekdays)
        if self.every == YEAR:
            said["month"] = self.month
        if self.every in (MONTH, YEAR):
            said |= {"day": self.day} if self.day else {"nth": self.nth, "weekday": self.weekday}
        return said | {
            "at": f"{self.at:%H:%M}",
            "timezone": self.timezone,
            "starts_on": self.starts_on.isoformat(),
            "ends_on": self.ends_on.isoformat() if self.ends_on else None,
        }


# --- When -------------------------------------------------------------------------------------


def next_after(schedule: Schedule, moment: dt.datetime) -> dt.datetime | None:
    """The first time after `moment` (aware), in UTC; None when it happens no more."""
    return next(_after(schedule, moment), None)


def between(schedule: Schedule, after: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    """Every time after `after` up to and with `until` (both aware), in UTC and in order."""
    return list(takewhile(lambda moment: moment <= until, _after(schedule, after)))


def coming(schedule: Schedule, moment: dt.datetime, count: int) -> list[dt.datetime]:
    """The next `count` times after `moment` (aware), in UTC; fewer when it ends before."""
    return [found for found, _ in zip(_after(schedule, moment), range(count), strict=False)]


def local(schedule: Schedule, moment: dt.datetime) -> dt.datetime:
    """An aware moment as the clocks of the schedule's timezone show it."""
    return moment.astimezone(ZoneInfo(schedule.timezone))


def today(timezone: str, moment: dt.datetime) -> dt.date:
    """The date in a timezone at an aware moment."""
    return moment.astimezone(ZoneInfo(timezone)).date()


def _after(schedule: Schedule, moment: dt.datetime) -> Iterator[dt.datetime]:
    zone = ZoneInfo(schedule.timezone)
    # A time that the clocks skip is later than it is written, by a whole day where a zone crossed the date line.
    near = moment.astimezone(zone).date() - dt.timedelta(days=1)
    last = moment.astimezone(dt.UTC)
    for day in _rule(schedule, near):
        found = dt.datetime.combine(day.date(), schedule.at, zone).astimezone(dt.UTC)
        if found > last:
            last = found
            yield found


def _rule(schedule: Schedule, near: dt.date) -> Any:
    """The days on which it happens, from `near` or a little earlier."""
    given: dict[str, Any] = {}
    if schedule.every == WEEK:
        given["byweekday"] = [weekdays[WEEKDAYS.index(name)] for name in schedule.weekdays]
    if schedule.every == YEAR:
        given["bymonth"] = schedule.month
    if schedule.day:
        # Of the days up to this one that the month has, the last.
        given |= {"bymonthday": range(min(schedule.day, 28), schedule.day + 1), "bysetpos": -1}
    elif schedule.nth and schedule.weekday:
        given["byweekday"] = weekdays[WEEKDAYS.index(schedule.weekday)](NTH[schedule.nth])
    return rrule(
        _FREQUENCIES[schedule.every],
        dtstart=dt.datetime.combine(_start(schedule, near), dt.time.min),
        interval=schedule.interval,
        wkst=MO,
        until=dt.datetime.combine(schedule.ends_on or LAST_DAY, dt.time.min),
        **given,
    )


def _start(schedule: Schedule, near: dt.date) -> dt.date:
    """A day up to `near` from which its intervals count as they do from `starts_on`: years are not walked through."""
    start, interval = schedule.starts_on, schedule.interval
    if near <= start:
        return start
    if schedule.every in (DAY, WEEK):
        step = interval * (7 if schedule.every == WEEK else 1)
        return start + dt.timedelta(days=(near - start).days // step * step)
    months = (near.year - start.year) * 12 + near.month - start.month if schedule.every == MONTH else 0
    jump = (months if schedule.every == MONTH else near.year - start.year) // interval * interval
    if not jump:
        return start
    if schedule.every == YEAR:
        return dt.date(start.year + jump, 1, 1)
    years, month = divmod(start.month - 1 + jump, 12)
    return dt.date(start.year + years, month + 1, 1)


# --- In words ---------------------------------------------------------------------------------


def in_words(schedule: Schedule) -> str:
    """A schedule as people say it: every first Monday of the month at 09:00 (Europe/Berlin)."""
    until = f", until {_date_words(schedule.ends_on)}" if schedule.ends_on else ""
    return f"{_days_words(schedule)} at {schedule.at:%H:%M} ({schedule.timezone.replace('_', ' ')}){until}"


def _days_words(schedule: Schedule) -> str:
    many = schedule.interval > 1
    often = f"every {schedule.interval} {schedule.every}s" if many else f"every {schedule.every}"
    if schedule.every == DAY:
        return often
    if schedule.every == WEEK:
        if many:
            return f"{often} on {_week_words(schedule.weekdays)}"
        if len(schedule.weekdays) == len(WEEKDAYS):
            return "every day"
        return f"every {_week_words(schedule.weekdays)}"
    if schedule.weekday:
        nth = f"{schedule.nth} {schedule.weekday.capitalize()}"
        if schedule.every == MONTH:
            return f"{often} on the {nth}" if many else f"every {nth} of the month"
        return f"{often} on the {nth} of {_month_words(schedule)}"
    day = schedule.day or 1
    if schedule.every == MONTH:
        if day == 31:
            return f"{often} on its last day" if not many else f"{often} on the last day of the month"
        return f"{often} on the {_ordinal(day)}" + (" (or the last day)" if day > 28 else "")
    lacks = day > (28 if schedule.month == 2 else 30 if schedule.month in (4, 6, 9, 11) else 31)
    return f"{often} on {day} {_month_words(schedule)}" + (" (or its last day)" if lacks else "")


def _week_words(names: Sequence[str]) -> str:
    if tuple(names) == WEEKDAYS[:5]:
        return "Monday to Friday"
    said = [name.capitalize() for name in names]
    return " and ".join(part for part in (", ".join(said[:-1]), said[-1]) if part)


def _month_words(schedule: Schedule) -> str:
    return MONTHS[(schedule.month or 1) - 1]


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _date_words(day: dt.date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


# --- What texts can say of an occurrence ---------------------------------------------------------

VARIABLES = ("date", "week", "month", "year")


def variables(schedule: Schedule, occurrence: dt.datetime) -> dict[str, str]:
    """What stands for {{date}}, {{week}}, {{month}} and {{year}}: of the local date of an occurrence (aware).

    The week is the number of the ISO week, 1 to 53.
    """
    day = local(schedule, occurrence).date()
    return {
        "date": _date_words(day),
        "week": str(day.isocalendar().week),
        "month": MONTHS[day.month - 1],
        "year": str(day.year),
    }


def longest_variables() -> dict[str, str]:
    """The longest that each can become, so that a text can be measured before its day has come."""
    return {"date": "30 September 2199", "week": "53", "month": "September", "year": "2199"}


# --- Reading ----------------------------------------------------------------------------------


@cache
def timezones() -> frozenset[str]:
    """The names that there are."""
    return frozenset(available_timezones())


def read(document: Any) -> Schedule:
    """A schedule from its document. Raises ScheduleError with everything that is wrong, by field.

    `interval` is 1 unless given.
    """
    reader = _Reader(document)
    schedule = reader.schedule()
    if reader.errors or schedule is None:
        raise ScheduleError(reader.errors)
    return schedule


class _Reader:
    def __init__(self, document: Any) -> None:
        self.errors: dict[str, list[str]] = {}
        self.given: Mapping[str, Any] = document if isinstance(document, Mapping) else {}
        if not isinstance(document, Mapping):
            self.refuse("", "This must be an object.")

    def refuse(self, name: str, text: str) -> None:
        self.errors.setdefault(name, []).append(text)

    def schedule(self) -> Schedule | None:
        if self.errors:
            return None
        every = self.choice("every", EVERY)
        if every is None:
            return None
        known = _SHARED | _WORDS[every]
        for name in sorted(set(map(str, self.given)) - known):
            self.refuse(name[:40], f"There is no such field for every {every}.")
        starts_on, ends_on = self.date("starts_on"), self.date("ends_on", required=False)
        if starts_on and ends_on and ends_on < starts_on:
            self.refuse("ends_on", "This must not be before the first day.")
        made = {
            "every": every,
            "interval": self.number("interval", LONGEST[every], default=1),
            "at": self.time(),
            "timezone": self.timezone(),
            "starts_on": starts_on,
            "ends_on": ends_on,
            "weekdays": self.weekdays() if every == WEEK else (),
            "month": self.number("month", 12) if every == YEAR else None,
            **(self.day_of_month() if every in (MONTH, YEAR) else {}),
        }
        return None if self.errors else Schedule(**made)

    def choice(self, name: str, words: Sequence[str]) -> str | None:
        value = self.given.get(name)
        if not isinstance(value, str) or value not in words:
            self.refuse(name, f"This must be one of: {', '.join(words)}.")
            return None
        return value

    def number(self, name: str, largest: int, default: int | None = None) -> int | None:
        value = self.given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            self.refuse(name, f"This must be a whole number from 1 to {largest}.")
            return None
        return value

    def time(self) -> dt.time | None:
        value = self.given.get("at")
        found = _TIME.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self.refuse("at", "This must be a time like 09:00.")
            return None
        return dt.time(int(found[1]), int(found[2]))

    def timezone(self) -> str | None:
        value = self.given.get("timezone")
        if not isinstance(value, str) or value not in timezones():
            self.refuse("timezone", "This must be the name of a timezone, like Europe/Berlin.")
            return None
        return value

    def date(self, name: str, *, required: bool = True) -> dt.date | None:
        value = self.given.get(name)
        if value is None and not required:
            return None
        try:
            day = dt.date.fromisoformat(value) if isinstance(value, str) and _DATE.fullmatch(value) else None
        except ValueError:
            day = None
        if day is None:
            self.refuse(name, "This must be a date like 2026-03-31.")
        elif not FIRST_DAY <= day <= LAST_DAY:
            self.refuse(name, f"This must be between {FIRST_DAY.year} and {LAST_DAY.year}.")
        return day

    def weekdays(self) -> tuple[str, ...]:
        value = self.given.get("weekdays")
        if not isinstance(value, list | tuple) or not value:
            self.refuse("weekdays", "Choose one or more days of the week.")
            return ()
        if not all(isinstance(name, str) and name in WEEKDAYS for name in value):
            self.refuse("weekdays", f"Each must be one of: {', '.join(WEEKDAYS)}.")
        return tuple(name for name in WEEKDAYS if name in value)

    def day_of_month(self) -> dict[str, Any]:
        by_weekday = [name for name in ("nth", "weekday") if self.given.get(name) is not None]
        if self.given.get("day") is not None:
            for name in by_weekday:
                self.refuse(name, "This cannot be said together with a day of the month.")
            return {"day": self.number("day", 31)}
        if not by_weekday:
            self.refuse("day", "Say a day of the month, or nth and weekday.")
            return {}
        return {"nth": self.choice("nth", tuple(NTH)), "weekday": self.choice("weekday", WEEKDAYS)}
