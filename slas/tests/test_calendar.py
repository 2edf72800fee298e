"""Business hours: arithmetic against a reference that goes minute by minute, and documents in and out."""

import copy
import datetime as dt
import pickle
import subprocess
import sys
import threading
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import workclock
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from slas.calendar import (
    ALWAYS,
    MAX_SPAN_YEARS,
    MAX_YEARS,
    WEEKDAYS,
    Calendar,
    CalendarError,
    Exceptional,
    Interval,
    countries,
    is_timezone,
    read,
    write,
)

UTC = dt.UTC
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
HORIZON = MAX_YEARS * 366 * DAY
NINE_TO_SIX = Interval(9 * 60, 18 * 60)
CLOSED: tuple[Interval, ...] = ()

# The specification's example.
OFFICE = {
    "timezone": "America/New_York",
    "schedule": {
        "monday": {"start": "09:00", "end": "18:00"},
        "tuesday": {"start": "09:00", "end": "18:00"},
        "wednesday": {"start": "09:00", "end": "18:00"},
        "thursday": {"start": "09:00", "end": "18:00"},
        "friday": {"start": "09:00", "end": "17:00"},
    },
    "holidays": ["2024-12-25", "2024-01-01"],
}


def weekly(*hours: Interval, zone: str = "UTC", days: int = 5, **more) -> Calendar:
    return Calendar(zone, (hours,) * days + (CLOSED,) * (7 - days), **more)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=UTC)


def local(zone: str, *parts: int, fold: int = 0) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold)


def add(calendar: Calendar, start: dt.datetime, duration: dt.timedelta) -> dt.datetime | None:
    """The deadline, asked for twice: the first question builds the tables, the second finds them ready."""
    deadline = calendar.add_business_time(start, duration)
    assert calendar.add_business_time(start, duration) == deadline
    return deadline


# --- The reference: slow, and nothing of it comes from the module -------------------------------

# A zone, and a date near which something happens to its clocks.
CHANGES = [
    ("Europe/Berlin", dt.date(2024, 3, 31)),
    ("Europe/Berlin", dt.date(2024, 10, 27)),
    ("America/New_York", dt.date(2025, 3, 9)),
    ("America/New_York", dt.date(2025, 11, 2)),
    ("Australia/Lord_Howe", dt.date(2024, 4, 7)),  # by half an hour
    ("Australia/Lord_Howe", dt.date(2024, 10, 6)),
    ("America/Santiago", dt.date(2024, 4, 7)),  # at midnight
    ("America/Santiago", dt.date(2024, 9, 8)),
    ("Africa/Cairo", dt.date(2024, 4, 26)),
    ("America/St_Johns", dt.date(2006, 10, 29)),  # a minute after midnight: a piece of yesterday comes twice
    ("Pacific/Apia", dt.date(2011, 12, 30)),  # a date that there was not
    ("Asia/Kolkata", dt.date(2024, 6, 1)),  # nothing ever happens
    ("UTC", dt.date(2023, 12, 31)),
]
REACH = 8  # days that the reference knows on each side of the date


class Minutes:
    """Which minutes in UTC around a date have which time on the wall, by looking at each of them."""

    def __init__(self, zone: str, date: dt.date) -> None:
        middle = dt.datetime(date.year, date.month, date.day, tzinfo=UTC)
        self.first = middle - REACH * DAY
        self.count = 2 * REACH * 1440
        self.date, self.zone = date, ZoneInfo(zone)
        self.number: dict[dt.datetime, int] = {}
        for number in range(self.count):
            wall = (self.first + number * MINUTE).astimezone(self.zone).replace(tzinfo=None, fold=0)
            self.number.setdefault(wall, number)  # the first time counts
        self.dates = {wall.date() for wall in self.number}

    def find(self, date: dt.date, minute: int) -> int:
        """The number of the minute at which the wall says so; what is never said moves on by as much as is skipped."""
        wall = dt.datetime(date.year, date.month, date.day) + minute * MINUTE
        skipped = 0
        while wall not in self.number:
            wall -= MINUTE
            skipped += 1
        return self.number[wall] + skipped

    def open(self, calendar: Calendar) -> list[bool]:
        """For each minute whether the calendar, which has no country, is open."""
        flags = [False] * self.count
        special = {entry.date: entry.intervals for entry in calendar.exceptions}
        for offset in range(2 - REACH, REACH - 1):
            date = self.date + offset * DAY
            if date not in self.dates:
                continue
            for interval in special.get(date, calendar.week[date.weekday()]):
                for number in range(self.find(date, interval.start), self.find(date, interval.end)):
                    flags[number] = True
        return flags

    def between(self, flags: list[bool], a: dt.datetime, b: dt.datetime) -> dt.timedelta:
        total = dt.timedelta(0)
        while a < b:
            number = (a - self.first) // MINUTE
            until = min(b, self.first + (number + 1) * MINUTE)
            if flags[number]:
                total += until - a
            a = until
        return total

    def add(self, flags: list[bool], at: dt.datetime, duration: dt.timedelta) -> dt.datetime:
        while duration:
            number = (at - self.first) // MINUTE
            until = self.first + (number + 1) * MINUTE
            if flags[number]:
                if at + duration <= until:
                    return at + duration
                duration -= until - at
            at = until
        return at


@cache
def minutes_around(zone: str, date: dt.date) -> Minutes:
    return Minutes(zone, date)


# --- Strategies -----------------------------------------------------------------------------------

AWKWARD = (
    0,
    1,
    30,
    60,
    61,
    90,
    119,
    120,
    121,
    135,
    150,
    179,
    180,
    181,
    210,
    240,
    540,
    720,
    1020,
    1380,
    1410,
    1439,
    1440,
)
POINTS = st.sampled_from(AWKWARD) | st.integers(0, 1440)


@st.composite
def days(draw, most: int = 5) -> tuple[Interval, ...]:
    """Intervals that do not overlap, many of them touching."""
    points = sorted(draw(st.sets(POINTS, max_size=most)))
    kept = draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points)))
    pairs = zip(points, points[1:], kept, strict=False)
    return tuple(Interval(start, end) for start, end, keep in pairs if keep)


def exceptions(around: dt.date, within: int, most: int):
    dates = st.integers(-within, within).map(lambda offset: around + offset * DAY)
    entry = st.builds(Exceptional, dates, st.sampled_from(["", "Fair", "Audit"]), st.just(()) | days())
    return st.lists(entry, max_size=most, unique_by=lambda each: each.date).map(tuple)


@st.composite
def situations(draw):
    """A calendar beside a change of clocks, and an instant in the days before or after."""
    zone, date = draw(st.sampled_from(CHANGES))
    calendar = Calendar(zone, tuple(draw(days()) for _ in range(7)), draw(exceptions(date, REACH, 4)))
    return calendar, date, draw(instants(date, 4))


def instants(around: dt.date, within: int):
    """Instants in UTC, half of them on a minute."""
    middle = dt.datetime(around.year, around.month, around.day, tzinfo=UTC)
    whole = st.integers(-within * 1440, within * 1440).map(lambda number: middle + number * MINUTE)
    odd = st.integers(-within * 86_400_000_000, within * 86_400_000_000).map(
        lambda number: middle + dt.timedelta(microseconds=number)
    )
    return whole | odd


LONG_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata")


@st.composite
def long_calendars(draw) -> Calendar:
    week = tuple(draw(days(3)) for _ in range(7))
    assume(any(week))
    place = draw(st.sampled_from([("", ""), ("", ""), ("DE", "BY"), ("US", "")]))
    return Calendar(draw(st.sampled_from(LONG_ZONES)), week, draw(exceptions(dt.date(2024, 6, 1), 400, 8)), *place)


YEARS = instants(dt.date(2024, 6, 1), 1826)  # five years to each side


# --- Against the reference ------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(situations(), st.floats(0, 1))
def test_adding_agrees_with_going_minute_by_minute(situation, share) -> None:
    calendar, date, start = situation
    minutes = minutes_around(calendar.timezone, date)
    flags = minutes.open(calendar)
    # What has run by some instant: one in closed time means a target that ends exactly at closing time.
    until = start + dt.timedelta(minutes=int(share * 2 * 1440))
    duration = minutes.between(flags, start, until)
    assert add(calendar, start, duration) == minutes.add(flags, start, duration)


@settings(max_examples=100, deadline=None)
@given(situations(), st.data())
def test_measuring_and_explaining_agree_with_going_minute_by_minute(situation, data) -> None:
    calendar, date, a = situation
    b = data.draw(instants(date, 4))
    a, b = min(a, b), max(a, b)
    minutes = minutes_around(calendar.timezone, date)
    flags = minutes.open(calendar)
    assert calendar.business_time_between(a, b) == minutes.between(flags, a, b)
    assert calendar.is_open(a) == flags[(a - minutes.first) // MINUTE]
    for span in calendar.explain(a, b):
        expected = span.end - span.start if span.is_open else dt.timedelta(0)
        assert minutes.between(flags, span.start, span.end) == expected


@settings(max_examples=60, deadline=None)
@given(days(), days(), st.sampled_from(LONG_ZONES), st.integers(0, 3650), st.integers(0, 3650), st.booleans())
def test_years_agree_with_going_day_by_day(weekday_hours, special, zone, first, length, with_country) -> None:
    # Hours at which no clock is changed, from one local midnight to another.
    weekday_hours, special = (
        tuple(each for each in hours if each.start >= 240 and each.end <= 1380) for hours in (weekday_hours, special)
    )
    begin = dt.date(2016, 1, 1) + first * DAY
    odd_date = begin + (length // 2) * DAY
    calendar = weekly(*weekday_hours, zone=zone, days=6, country="DE" if with_country else "")
    calendar = Calendar(zone, calendar.week, (Exceptional(odd_date, "", special),), calendar.country)
    expected = 0
    for number in range(length):
        date = begin + number * DAY
        if date == odd_date:
            hours = special
        elif with_country and date in german_holidays():
            hours = ()
        else:
            hours = weekday_hours if date.weekday() < 6 else ()
        expected += sum(each.end - each.start for each in hours)
    end = begin + length * DAY
    a, b = local(zone, *begin.timetuple()[:3]), local(zone, *end.timetuple()[:3])
    assert calendar.business_time_between(a, b) == expected * MINUTE


@cache
def german_holidays() -> frozenset[dt.date]:
    import holidays

    return frozenset(holidays.country_holidays("DE", years=range(2015, 2040)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(days(3), min_size=7, max_size=7).filter(any),
    st.sets(st.integers(-300, 300), max_size=30),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    st.lists(
        st.tuples(instants(dt.date(2024, 6, 1), 700), st.integers(1, 2_000 * 3_600_000_000)), min_size=30, max_size=60
    ),
)
def test_an_independent_package_finds_the_same_deadlines(week, holidays, zone, cases) -> None:
    dates = [dt.date(2024, 6, 1) + number * DAY for number in holidays]
    calendar = Calendar(zone, tuple(week), tuple(Exceptional(date) for date in dates))
    rules: list = [workclock.Holidays(dates)] if dates else []
    for weekday, hours in enumerate(week):
        for each in hours:
            clock = [dt.time(minute % 1440 // 60, minute % 60) for minute in (each.start, each.end)]
            rules.append(workclock.WorkDay(*clock, days=[weekday]))
    other = workclock.Schedule(rules, time_zone=zone)
    for start, length in cases:
        duration = dt.timedelta(microseconds=length)
        deadline = other.add(start, duration)
        if deadline - start > HORIZON:  # a minute a week
            assert add(calendar, start, duration) is None
            continue
        assert add(calendar, start, duration) == deadline
        assert calendar.business_time_between(start, deadline) == other.between(start, deadline)


# --- Laws -----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(long_calendars(), YEARS, YEARS, YEARS)
def test_the_parts_of_a_span_add_up(calendar, a, b, c) -> None:
    a, b, c = sorted((a, b, c))
    assert calendar.business_time_between(a, b) + calendar.business_time_between(b, c) == (
        calendar.business_time_between(a, c)
    )
    assert calendar.business_time_between(c, a) == dt.timedelta(0)


TARGETS = st.timedeltas(dt.timedelta(0), dt.timedelta(hours=4000)) | st.integers(0, 400).map(
    lambda number: number * HOUR
)


@settings(max_examples=60, deadline=None)
@given(long_calendars(), YEARS, TARGETS, TARGETS)
def test_a_target_has_run_at_its_deadline_and_can_be_given_in_two_parts(calendar, start, one, two) -> None:
    deadline = add(calendar, start, one)
    assume(deadline is not None)
    assert deadline is not None
    assert calendar.business_time_between(start, deadline) == one
    later = add(calendar, deadline, two)
    assume(later is not None and later - start <= HORIZON)
    assert add(calendar, start, one + two) == (later if one + two else start)
    # No earlier instant would do.
    if one:
        assert calendar.business_time_between(start, deadline - dt.timedelta(microseconds=1)) < one


@settings(max_examples=40, deadline=None)
@given(long_calendars(), YEARS, YEARS)
def test_an_explanation_has_no_gaps_and_its_open_time_adds_up(calendar, a, b) -> None:
    a, b = min(a, b), max(a, b)
    spans = calendar.explain(a, b)
    assert [span.start for span in spans] + [b] == [a] + [span.end for span in spans]
    assert sum((span.end - span.start for span in spans if span.is_open), dt.timedelta(0)) == (
        calendar.business_time_between(a, b)
    )
    assert all(span.start < span.end and span.is_open == (span.reason == "") for span in spans)
    for earlier, later in pairwise(spans):
        assert (earlier.is_open, earlier.reason) != (later.is_open, later.reason)


@settings(max_examples=60, deadline=None)
@given(YEARS, st.timedeltas(dt.timedelta(0), 20_000 * DAY))
def test_around_the_clock_adding_is_addition(start, duration) -> None:
    assert add(ALWAYS, start, duration) == start + duration
    assert ALWAYS.business_time_between(start, start + duration) == duration


# --- Examples of deadlines ------------------------------------------------------------------------


def test_what_friday_leaves_over_runs_on_monday() -> None:
    calendar = weekly(NINE_TO_SIX, zone="Europe/Berlin")
    friday = local("Europe/Berlin", 2025, 3, 14, 17, 45)
    assert add(calendar, friday, HOUR) == local("Europe/Berlin", 2025, 3, 17, 9, 45)


def test_the_answer_is_in_utc() -> None:
    deadline = weekly(NINE_TO_SIX, zone="Europe/Berlin").add_business_time(local("Asia/Kolkata", 2025, 3, 14, 17), HOUR)
    assert deadline == utc(2025, 3, 14, 12, 30) and deadline.tzinfo is UTC


def test_a_target_that_ends_at_closing_time_ends_there() -> None:
    calendar = weekly(NINE_TO_SIX)
    assert add(calendar, utc(2025, 3, 14, 17), HOUR) == utc(2025, 3, 14, 18)
    assert add(calendar, utc(2025, 3, 14, 17), HOUR + MINUTE) == utc(2025, 3, 17, 9, 1)


def test_a_target_of_nothing_ends_at_its_start_even_when_closed() -> None:
    sunday = utc(2025, 3, 16, 3, 4)
    assert weekly(NINE_TO_SIX).add_business_time(sunday, dt.timedelta(0)) == sunday
    assert Calendar().add_business_time(sunday, dt.timedelta(0)) == sunday


def test_a_negative_target_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        weekly(NINE_TO_SIX).add_business_time(utc(2025, 1, 1), -HOUR)


def test_an_instant_without_a_timezone_is_refused() -> None:
    calendar, naive = weekly(NINE_TO_SIX), dt.datetime(2025, 1, 1)
    for ask in (
        lambda: calendar.add_business_time(naive, HOUR),
        lambda: calendar.business_time_between(naive, utc(2025, 1, 1)),
        lambda: calendar.business_time_between(utc(2025, 1, 1), naive),
        lambda: calendar.is_open(naive),
        lambda: calendar.explain(naive, utc(2025, 1, 1)),
    ):
        with pytest.raises(ValueError, match="timezone"):
            ask()


def test_lunch_is_closed() -> None:
    calendar = weekly(Interval(540, 720), Interval(780, 1020))
    assert add(calendar, utc(2025, 3, 12, 11), 2 * HOUR) == utc(2025, 3, 12, 14)
    assert not calendar.is_open(utc(2025, 3, 12, 12, 30))


def test_opening_time_is_open_and_closing_time_is_closed() -> None:
    calendar = weekly(NINE_TO_SIX)
    assert calendar.is_open(utc(2025, 3, 12, 9)) and not calendar.is_open(utc(2025, 3, 12, 18))


def test_touching_hours_are_one_stretch() -> None:
    calendar = weekly(Interval(540, 720), Interval(720, 1080))
    assert [span.is_open for span in calendar.explain(utc(2025, 3, 12, 9), utc(2025, 3, 12, 18))] == [True]


def test_a_holiday_is_closed() -> None:
    calendar = weekly(NINE_TO_SIX, exceptions=(Exceptional(dt.date(2025, 3, 17), "Founders"),))
    assert add(calendar, utc(2025, 3, 14, 17, 45), HOUR) == utc(2025, 3, 18, 9, 45)


def test_christmas_eve_can_have_a_short_day() -> None:
    eve = Exceptional(dt.date(2025, 12, 24), "Christmas Eve", (Interval(540, 720),))
    calendar = weekly(NINE_TO_SIX, zone="Europe/Berlin", exceptions=(eve,), country="DE")
    start = local("Europe/Berlin", 2025, 12, 24, 11)
    assert add(calendar, start, 2 * HOUR) == local("Europe/Berlin", 2025, 12, 29, 10)


def test_special_hours_open_a_weekend_and_a_public_holiday() -> None:
    sunday, new_year = dt.date(2025, 3, 16), dt.date(2025, 1, 1)
    calendar = weekly(
        NINE_TO_SIX,
        exceptions=(Exceptional(sunday, "", (NINE_TO_SIX,)), Exceptional(new_year, "", (NINE_TO_SIX,))),
        country="DE",
    )
    assert calendar.is_open(utc(2025, 3, 16, 12)) and calendar.is_open(utc(2025, 1, 1, 12))


def test_the_holidays_of_a_region_are_closed_there_only() -> None:
    corpus_christi = utc(2025, 6, 19, 12)
    open_in = {
        region: weekly(NINE_TO_SIX, country="DE", region=region).is_open(corpus_christi) for region in ("", "BY", "BE")
    }
    assert open_in == {"": True, "BY": False, "BE": True}


def test_a_holiday_observed_in_the_old_year_counts() -> None:
    # New Year's Day of 2022 was a Saturday.
    assert not weekly(NINE_TO_SIX, country="US").is_open(utc(2021, 12, 31, 12))


def test_a_time_that_clocks_skip_moves_forward() -> None:
    calendar = weekly(Interval(150, 240), zone="Europe/Berlin", days=7)  # 02:30–04:00
    assert add(calendar, utc(2024, 3, 31), MINUTE) == utc(2024, 3, 31, 1, 31)
    assert calendar.business_time_between(utc(2024, 3, 31), utc(2024, 3, 31, 12)) == 30 * MINUTE


def test_hours_that_clocks_skip_do_not_count_twice() -> None:
    calendar = weekly(Interval(60, 150), Interval(180, 240), zone="Europe/Berlin", days=7)  # 01:00–02:30, 03:00–04:00
    assert calendar.business_time_between(utc(2024, 3, 31), utc(2024, 3, 31, 12)) == 2 * HOUR
    within = weekly(Interval(60, 150), Interval(180, 195), zone="Europe/Berlin", days=7)
    assert within.business_time_between(utc(2024, 3, 31), utc(2024, 3, 31, 12)) == 90 * MINUTE
    swapped = weekly(Interval(150, 165), Interval(180, 190), zone="Europe/Berlin", days=7)
    assert swapped.business_time_between(utc(2024, 3, 31), utc(2024, 3, 31, 12)) == 25 * MINUTE
    vanishing = weekly(Interval(150, 180), zone="Europe/Berlin", days=7)
    assert vanishing.business_time_between(utc(2024, 3, 31), utc(2024, 3, 31, 12)) == dt.timedelta(0)


def test_a_time_that_happens_twice_is_taken_the_first_time() -> None:
    calendar = weekly(Interval(150, 240), zone="Europe/Berlin", days=7)
    assert add(calendar, utc(2024, 10, 27), MINUTE) == utc(2024, 10, 27, 0, 31)
    assert calendar.business_time_between(utc(2024, 10, 27), utc(2024, 10, 27, 12)) == 2 * HOUR + 30 * MINUTE


def test_a_start_in_the_second_of_two_equal_hours_is_understood() -> None:
    calendar = weekly(Interval(0, 1440), zone="Europe/Berlin", days=7)
    second = local("Europe/Berlin", 2024, 10, 27, 2, 30, fold=1)
    assert add(calendar, second, HOUR) == utc(2024, 10, 27, 2, 30)


def test_a_date_that_a_zone_skipped_has_no_hours() -> None:
    calendar = weekly(NINE_TO_SIX, zone="Pacific/Apia")  # there was no Friday in that week
    a, b = local("Pacific/Apia", 2011, 12, 29, 18), local("Pacific/Apia", 2012, 1, 2)
    assert calendar.business_time_between(a, b) == dt.timedelta(0)


# --- No answer, far answers -----------------------------------------------------------------------


def test_a_calendar_without_open_time_gives_no_deadline() -> None:
    for calendar in (Calendar(), Calendar(exceptions=(Exceptional(dt.date(2025, 1, 1)),), country="DE")):
        assert not calendar.has_open_time
        assert add(calendar, utc(2025, 1, 1), HOUR) is None
        assert calendar.business_time_between(utc(2025, 1, 1), utc(2026, 1, 1)) == dt.timedelta(0)


def test_hours_that_clocks_skip_are_no_open_time() -> None:
    skipped = Exceptional(dt.date(2024, 3, 31), "", (Interval(150, 180),))
    assert not Calendar("Europe/Berlin", exceptions=(skipped,)).has_open_time


def test_after_the_last_special_hours_there_is_no_deadline() -> None:
    calendar = Calendar(exceptions=(Exceptional(dt.date(2025, 1, 1), "", (NINE_TO_SIX,)),))
    assert calendar.has_open_time
    assert add(calendar, utc(2024, 1, 1), 9 * HOUR) == utc(2025, 1, 1, 18)
    assert add(calendar, utc(2024, 1, 1), 10 * HOUR) is None
    assert add(calendar, utc(2025, 1, 1, 18), MINUTE) is None
    assert add(calendar, utc(2090, 1, 1), MINUTE) is None


def test_a_deadline_beyond_sixty_years_is_none_whatever_was_asked_before() -> None:
    start = utc(2025, 1, 1)
    for number, beyond in enumerate((HORIZON + dt.timedelta(microseconds=1), dt.timedelta.max)):
        cold, warm = Calendar(f"Etc/GMT-{number + 1}", ALWAYS.week), Calendar(f"Etc/GMT+{number + 1}", ALWAYS.week)
        warm.business_time_between(utc(2000, 1, 1), utc(2140, 1, 1))
        for calendar in (cold, warm):
            assert add(calendar, start, beyond) is None
            assert add(calendar, start, HORIZON) == start + HORIZON


def test_years_at_the_ends_of_time_are_no_trouble() -> None:
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "UTC"):
        calendar = weekly(NINE_TO_SIX, zone=zone, days=7)
        first, last = dt.datetime.min.replace(tzinfo=UTC), dt.datetime.max.replace(tzinfo=UTC)
        deadline = add(calendar, first, HOUR)
        assert deadline is not None and deadline > first
        assert add(calendar, last, HOUR) is None
        assert calendar.business_time_between(last - 20 * DAY, last) > 10 * 9 * HOUR
        assert calendar.explain(last - 20 * DAY, last)[-1].end == last
        assert calendar.explain(first, first + 20 * DAY)[0].start == first
        calendar.is_open(first), calendar.is_open(last)
    before_time = dt.datetime.min.replace(tzinfo=dt.timezone(14 * HOUR))
    assert weekly(NINE_TO_SIX, days=7).add_business_time(before_time, HOUR) == utc(1, 1, 1, 10)
    assert weekly(NINE_TO_SIX, days=7).add_business_time(before_time, dt.timedelta(0)) is None
    with pytest.raises(ValueError, match="years 1 to 9999"):
        weekly(NINE_TO_SIX).explain(before_time, utc(1, 1, 3))


def test_a_span_of_centuries_is_refused_and_not_counted_for_minutes() -> None:
    with pytest.raises(ValueError, match=f"{MAX_SPAN_YEARS} years"):
        weekly(NINE_TO_SIX).business_time_between(utc(1, 1, 1), utc(9999, 1, 1))


def test_questions_from_other_centuries_do_not_disturb_each_other() -> None:
    calendar = weekly(NINE_TO_SIX)
    for year in (2025, 1, 9000, 2025, 1600, 2400, 2025, 1990):
        monday = utc(year, 3, 12, 9)
        monday += (7 - monday.weekday()) % 7 * DAY
        assert add(calendar, monday, 10 * HOUR) == monday + DAY + HOUR


def test_threads_share_a_calendar() -> None:
    calendar = weekly(NINE_TO_SIX, zone="Europe/Berlin", country="DE", region="BY")
    starts = [utc(1990 + 7 * number % 60, 5, 1) for number in range(12)]
    wrong: list[object] = []

    def ask(shift: int) -> None:
        for number in range(12):
            start = starts[(number + shift * 7) % 12]
            deadline = add(calendar, start, 2000 * HOUR)
            if deadline is None or calendar.business_time_between(start, deadline) != 2000 * HOUR:
                wrong.append(start)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- Explanations ---------------------------------------------------------------------------------


def reasons(calendar: Calendar, a: dt.datetime, b: dt.datetime) -> list[tuple[str, str, str]]:
    return [(f"{span.start:%d %H:%M}", f"{span.end:%d %H:%M}", span.reason) for span in calendar.explain(a, b)]


def test_a_night_and_a_weekend_are_one_span() -> None:
    assert reasons(weekly(NINE_TO_SIX), utc(2025, 3, 14, 17), utc(2025, 3, 17, 10)) == [
        ("14 17:00", "14 18:00", ""),
        ("14 18:00", "17 09:00", "Outside business hours"),
        ("17 09:00", "17 10:00", ""),
    ]


def test_an_explanation_from_closing_time_begins_closed() -> None:
    assert reasons(weekly(NINE_TO_SIX), utc(2025, 3, 14, 18), utc(2025, 3, 14, 19)) == [
        ("14 18:00", "14 19:00", "Outside business hours")
    ]


def test_a_holiday_divides_the_closed_time_around_it_and_says_its_name() -> None:
    calendar = weekly(NINE_TO_SIX, zone="Europe/Berlin", country="DE")
    assert reasons(calendar, utc(2025, 12, 24, 16), utc(2025, 12, 29, 9)) == [
        ("24 16:00", "24 17:00", ""),
        ("24 17:00", "24 23:00", "Outside business hours"),
        ("24 23:00", "25 23:00", "Holiday: Christmas Day"),
        ("25 23:00", "26 23:00", "Holiday: Second Day of Christmas"),
        ("26 23:00", "29 08:00", "Outside business hours"),
        ("29 08:00", "29 09:00", ""),
    ]


def test_special_hours_and_holidays_of_one_s_own_are_named() -> None:
    calendar = weekly(
        NINE_TO_SIX,
        exceptions=(
            Exceptional(dt.date(2025, 3, 11), "Fair", (Interval(600, 720),)),
            Exceptional(dt.date(2025, 3, 12)),
            Exceptional(dt.date(2025, 3, 13), "", (Interval(600, 720),)),
        ),
    )
    assert [reason for _, _, reason in reasons(calendar, utc(2025, 3, 11), utc(2025, 3, 14))] == [
        "Special hours: Fair", "", "Special hours: Fair", "Holiday", "Special hours", "", "Special hours",
    ]  # fmt: skip


def test_an_empty_span_needs_no_explanation() -> None:
    assert weekly(NINE_TO_SIX).explain(utc(2025, 3, 14), utc(2025, 3, 14)) == []
    assert weekly(NINE_TO_SIX).explain(utc(2025, 3, 14), utc(2025, 3, 13)) == []


def test_a_calendar_that_never_opens_explains_ten_years_in_one_span() -> None:
    assert [span.reason for span in Calendar().explain(utc(2015, 1, 1), utc(2025, 1, 1))] == ["Outside business hours"]


# --- Values ---------------------------------------------------------------------------------------


def test_equal_calendars_are_one_key_and_share_their_tables() -> None:
    one, two = weekly(NINE_TO_SIX, zone="Asia/Tokyo"), weekly(NINE_TO_SIX, zone="Asia/Tokyo")
    assert {one: 1}[two] == 1 and one._engine is two._engine


def test_a_calendar_is_pickled_and_copied_without_its_tables() -> None:
    calendar = weekly(NINE_TO_SIX, country="DE", region="BY")
    empty = len(pickle.dumps(calendar))
    add(calendar, utc(2025, 1, 1), HOUR)
    assert len(pickle.dumps(calendar)) == empty
    assert pickle.loads(pickle.dumps(calendar)) == calendar == copy.deepcopy(calendar)  # noqa: S301 - our own bytes


def test_values_that_mean_nothing_are_refused() -> None:
    for start, end in ((-1, 5), (5, 5), (6, 5), (0, 1441)):
        with pytest.raises(ValueError):
            Interval(start, end)
    with pytest.raises(ValueError):
        Calendar(week=((),))
    with pytest.raises(ValueError):
        Calendar(exceptions=(Exceptional(dt.date(2025, 1, 1)), Exceptional(dt.date(2025, 1, 1), "Again")))


def test_the_holidays_package_is_imported_only_when_a_country_is_asked_for() -> None:
    code = (
        "import sys, datetime as dt; from slas.calendar import *; read({'schedule': {}});"
        "ALWAYS.add_business_time(dt.datetime.now(dt.UTC), dt.timedelta(1));"
        "sys.exit('holidays' in sys.modules or 'django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_countries_have_names_and_regions() -> None:
    by_code = {country.code: country for country in countries()}
    assert len(by_code) > 200 and by_code["DE"].name == "Germany" and by_code["IM"].name == "Isle of Man"
    assert ("Bayern", "BY") in {(region.name, region.code) for region in by_code["DE"].regions}
    assert list(countries()) == sorted(countries())


# --- Documents ------------------------------------------------------------------------------------


def test_the_specification_s_example_is_read_and_written_back() -> None:
    calendar = read(OFFICE)
    assert calendar.timezone == "America/New_York"
    assert calendar.week == ((NINE_TO_SIX,),) * 4 + ((Interval(540, 1020),), (), ())
    assert write(calendar) == OFFICE | {"holidays": ["2024-01-01", "2024-12-25"]}


def test_every_shape_is_read_and_written_in_its_shortest_form() -> None:
    written = write(
        read(
            {
                "timezone": "Europe/Berlin",
                "schedule": {
                    "monday": [{"start": "13:00", "end": "24:00"}, {"start": "09:00", "end": "12:00"}],
                    "tuesday": [{"start": "00:00", "end": "00:00"}],
                    "wednesday": [],
                    "thursday": None,
                },
                "holidays": [
                    {"date": "2025-12-31", "intervals": [{"start": "09:00", "end": "12:00"}]},
                    {"date": "2025-12-24", "name": " Christmas Eve ", "start": "09:00", "end": "12:00"},
                    {"date": "2025-12-25", "name": "Christmas"},
                    {"date": "2025-12-26", "name": None, "intervals": []},
                    {
                        "date": "2025-12-30",
                        "intervals": [{"start": "12:00", "end": "13:00"}, {"start": "09:00", "end": "12:00"}],
                    },
                ],
                "country": "de",
                "region": "BY",
            }
        )
    )
    assert written == {
        "timezone": "Europe/Berlin",
        "schedule": {
            "monday": [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "24:00"}],
            "tuesday": {"start": "00:00", "end": "24:00"},
        },
        "holidays": [
            {"date": "2025-12-24", "name": "Christmas Eve", "start": "09:00", "end": "12:00"},
            {"date": "2025-12-25", "name": "Christmas"},
            "2025-12-26",
            {
                "date": "2025-12-30",
                "intervals": [{"start": "09:00", "end": "12:00"}, {"start": "12:00", "end": "13:00"}],
            },
            {"date": "2025-12-31", "start": "09:00", "end": "12:00"},
        ],
        "country": "DE",
        "region": "BY",
    }


@settings(max_examples=60, deadline=None)
@given(long_calendars())
@example(ALWAYS)
@example(Calendar())
def test_what_is_written_reads_back_the_same(calendar) -> None:
    assert read(write(calendar)) == calendar
    assert write(read(write(calendar))) == write(calendar)


HOURS = {"start": "09:00", "end": "12:00"}
WEEK = {"timezone": "UTC", "schedule": {}}
MANY_DATES = [f"{2000 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}" for number in range(1001)]


def monday(value: object) -> dict:
    return {"timezone": "UTC", "schedule": {"monday": value}}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ([], "", "object"),
        ("x", "", "object"),
        (WEEK | {"shedule": {}}, "shedule", "no such setting"),
        (WEEK | {3: {}}, "int", "no such setting"),
        (WEEK | {"timezone": None}, "timezone", "timezone"),
        (WEEK | {"timezone": ""}, "timezone", "timezone"),
        (WEEK | {"timezone": "Mars/Olympus"}, "timezone", "timezone"),
        (WEEK | {"timezone": "/etc/passwd"}, "timezone", "timezone"),
        (WEEK | {"timezone": "../../etc/passwd"}, "timezone", "timezone"),
        (WEEK | {"timezone": "Europe/../Europe/Berlin"}, "timezone", "timezone"),
        (WEEK | {"timezone": "Europe"}, "timezone", "timezone"),
        (WEEK | {"timezone": "UTC\0"}, "timezone", "timezone"),
        (WEEK | {"timezone": "UTC\n"}, "timezone", "timezone"),
        (WEEK | {"timezone": "\ud800"}, "timezone", "timezone"),
        (WEEK | {"timezone": "A" * 1_000_000}, "timezone", "timezone"),
        (WEEK | {"timezone": ["UTC"]}, "timezone", "timezone"),
        (WEEK | {"timezone": "localtime"}, "timezone", "timezone"),
        (WEEK | {"timezone": "right/UTC"}, "timezone", "timezone"),
        ({"timezone": "UTC"}, "schedule", "hours of the week"),
        (WEEK | {"schedule": []}, "schedule", "hours of the week"),
        (WEEK | {"schedule": {"Monday": HOURS}}, "schedule.Monday", "no such weekday"),
        (WEEK | {"schedule": {"fun\0day\ud800": HOURS}}, "schedule.fun?day?", "no such weekday"),
        (monday("09:00"), "schedule.monday", "Give hours"),
        (monday(True), "schedule.monday", "Give hours"),
        (monday({"start": "09:00"}), "schedule.monday", "Give hours"),
        (monday([HOURS, None]), "schedule.monday", "Give hours"),
        (monday(HOURS | {"pause": 1}), "schedule.monday.pause", "nothing else"),
        (monday({"start": "9:00", "end": "12:00"}), "schedule.monday", "start must be a time"),
        (monday({"start": "09:00", "end": "25:00"}), "schedule.monday", "end must be a time"),
        (monday({"start": "09:60", "end": "12:00"}), "schedule.monday", "start must be a time"),
        (monday({"start": "24:00", "end": "24:00"}), "schedule.monday", "start must be a time"),
        (monday({"start": "٠٩:٠٠", "end": "12:00"}), "schedule.monday", "start must be a time"),
        (monday({"start": 9, "end": None}), "schedule.monday", "end must be a time"),
        (monday({"start": "0\0:00", "end": "\ud800"}), "schedule.monday", "end must be a time"),
        (monday({"start": "9" * 1_000_000, "end": "12:00"}), "schedule.monday", "start must be a time"),
        (monday({"start": "12:00", "end": "12:00"}), "schedule.monday", "12:00 is not after the start 12:00"),
        (monday({"start": "18:00", "end": "09:00"}), "schedule.monday", "not after"),
        (monday([HOURS, {"start": "11:59", "end": "13:00"}]), "schedule.monday", "09:00–12:00 and 11:59–13:00 overlap"),
        (monday([HOURS, HOURS]), "schedule.monday", "overlap"),
        (monday([HOURS] * 25), "schedule.monday", "at most 24"),
        (WEEK | {"holidays": "2025-01-01"}, "holidays", "list"),
        (WEEK | {"holidays": {}}, "holidays", "list"),
        (WEEK | {"holidays": MANY_DATES}, "holidays", "at most 1,000"),
        (WEEK | {"holidays": ["2025-01-01", "2025-02-30"]}, "holidays.1", "no date"),
        (WEEK | {"holidays": ["0000-01-01"]}, "holidays.0", "no date"),
        (WEEK | {"holidays": ["20250101"]}, "holidays.0", "no date"),
        (WEEK | {"holidays": ["2025-W01-1"]}, "holidays.0", "no date"),
        (WEEK | {"holidays": ["2025-01-01\n"]}, "holidays.0", "no date"),
        (WEEK | {"holidays": ["\0"]}, "holidays.0", "no date"),
        (WEEK | {"holidays": ["2" * 1_000_000]}, "holidays.0", "no date"),
        (WEEK | {"holidays": [{"name": "X"}]}, "holidays.0", "no date"),
        (WEEK | {"holidays": [20250101]}, "holidays.0", "Give a holiday"),
        (WEEK | {"holidays": [None]}, "holidays.0", "Give a holiday"),
        (WEEK | {"holidays": ["2025-01-01", {"date": "2025-01-01"}]}, "holidays.1", "twice"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "colour": "red"}]}, "holidays.0.colour", "nothing else"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "name": 5}]}, "holidays.0", "text"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "name": "a\0"}]}, "holidays.0", "one line"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "name": "\udfff"}]}, "holidays.0", "one line"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "name": "a\nb"}]}, "holidays.0", "one line"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "name": "a" * 201}]}, "holidays.0", "at most 200"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "start": "09:00"}]}, "holidays.0", "Give hours"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "intervals": [HOURS], **HOURS}]}, "holidays.0", "either"),
        (WEEK | {"holidays": [{"date": "2025-01-01", "intervals": [HOURS, HOURS]}]}, "holidays.0", "overlap"),
        (WEEK | {"country": "XX"}, "country", "two letters"),
        (WEEK | {"country": "Germany"}, "country", "two letters"),
        (WEEK | {"country": 5}, "country", "two letters"),
        (WEEK | {"country": ["DE"]}, "country", "two letters"),
        (WEEK | {"country": "\0\ud800"}, "country", "two letters"),
        (WEEK | {"country": "DE", "region": "XX"}, "region", "such as"),
        (WEEK | {"country": "DE", "region": {"BY": 1}}, "region", "such as"),
        (WEEK | {"country": "IM", "region": "X"}, "region", "has none"),
        (WEEK | {"region": "BY"}, "region", "needs its country"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_mistake_is_named_at_its_field(document, path, words) -> None:
    with pytest.raises(CalendarError) as raised:
        read(document)
    assert any(words in message for message in raised.value.errors[path])
    assert len(raised.value.errors) == 1
    str(raised.value).encode()  # fit to be shown and sent


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(CalendarError) as raised:
        read(
            {
                "timezone": "Nowhere",
                "schedule": {"monday": {"start": "x", "end": "y"}, "funday": {}},
                "holidays": ["2025-01-01", "never"],
                "country": "XX",
            }
        )
    assert set(raised.value.errors) == {"timezone", "schedule.monday", "schedule.funday", "holidays.1", "country"}
    assert len(raised.value.errors["schedule.monday"]) == 2


def test_a_document_of_nonsense_gets_a_short_answer() -> None:
    with pytest.raises(CalendarError) as raised:
        read(WEEK | {f"key{number}": 1 for number in range(10_000)})
    assert len(raised.value.errors) == 10


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["09:00", "24:00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["start", "end", "date", "name", "intervals", *WEEKDAYS]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["timezone", "schedule", "holidays", "country", "region", "x"]), JSON))
def test_whatever_is_sent_is_a_calendar_or_a_calendar_error(document) -> None:
    try:
        calendar = read(document)
    except CalendarError:
        return
    assert read(write(calendar)) == calendar


def test_an_empty_week_is_legal() -> None:
    assert read(WEEK) == Calendar() and write(Calendar()) == {"timezone": "UTC", "schedule": {}, "holidays": []}


def test_zones_of_the_database_are_known() -> None:
    assert all(map(is_timezone, ("UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "US/Eastern")))
