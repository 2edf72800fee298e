"""Hours of a period and of the week, by the clocks of many timezones."""

import datetime as dt
from collections import Counter
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.periods import Interval, Period, midnight

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # clocks go by half an hour
    "America/Sao_Paulo",  # clocks jumped over midnight
    "Africa/Casablanca",  # back and forth around Ramadan
    "Pacific/Apia",  # a day that never was: 2011-12-30
]
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
moments = st.datetimes(dt.datetime(2008, 1, 1), dt.datetime(2027, 1, 1)).map(
    lambda moment: moment.replace(second=0, microsecond=0, tzinfo=dt.UTC)
)
periods = st.builds(
    lambda start, minutes, zone: Period(start, start + minutes * MINUTE, ZoneInfo(zone)),
    moments,
    st.integers(1, 20 * 24 * 60),
    st.sampled_from(ZONES),
)


def day(text: str, zone: str) -> Period:
    date = dt.date.fromisoformat(text)
    return Period(midnight(date, ZoneInfo(zone)), midnight(date + dt.timedelta(days=1), ZoneInfo(zone)), ZoneInfo(zone))


@given(periods)
def test_hours_of_the_week_are_what_the_clock_shows_minute_by_minute(period: Period) -> None:
    shown: Counter[tuple[int, int]] = Counter()
    for minute in range((period.end - period.start) // MINUTE):
        clock = (period.start + minute * MINUTE).astimezone(period.zone)
        shown[clock.isoweekday(), clock.hour] += 1
    found = period.hours_of_week()
    assert len(found) == 168
    assert {cell: time // MINUTE for cell, time in found.items() if time} == shown


@given(periods)
def test_hours_fill_the_period_and_lie_within_its_days(period: Period) -> None:
    hours = period.parts(Interval.HOUR)
    assert (hours[0].start, hours[-1].end) == (period.start, period.end)
    assert all(one.end == following.start for one, following in pairwise(hours))
    assert all(dt.timedelta() < one.end - one.start <= HOUR for one in hours)
    assert all(one.start.astimezone(period.zone).date() == one.day for one in hours)
    for one in hours[1:]:
        clock = one.start.astimezone(period.zone)
        assert clock.minute == 0 or period.zone.key == "Australia/Lord_Howe"


@given(periods)
def test_spans_of_one_offset_fill_the_period(period: Period) -> None:
    spans = period.offsets()
    assert (spans[0][0], spans[-1][1]) == (period.start, period.end)
    assert all(one[1] == following[0] and one[2] != following[2] for one, following in pairwise(spans))
    for start, end, offset in spans:
        for moment in (start, start + (end - start) / 2, end - dt.datetime.resolution):
            assert moment.astimezone(period.zone).utcoffset() == offset


@pytest.mark.parametrize(
    ("date", "zone", "hours"),
    [
        ("2026-03-28", "Europe/Berlin", 24),
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2018-11-04", "America/Sao_Paulo", 23),
        ("2026-10-25", "Asia/Kolkata", 24),
        ("2026-04-05", "Australia/Lord_Howe", 25),  # the last is half an hour that the clock shows again
    ],
)
def test_a_day_has_the_hours_that_its_clocks_show(date: str, zone: str, hours: int) -> None:
    assert len(day(date, zone).parts(Interval.HOUR)) == hours


def test_an_hour_that_comes_twice_is_two_hours() -> None:
    found = day("2026-10-25", "Europe/Berlin").hours_of_week()
    assert {cell: time for cell, time in found.items() if time not in (HOUR, dt.timedelta())} == {(7, 2): 2 * HOUR}


def test_an_hour_that_is_left_out_is_none() -> None:
    found = day("2026-03-29", "Europe/Berlin").hours_of_week()
    assert [cell for cell, time in found.items() if cell[0] == 7 and not time] == [(7, 2)]
