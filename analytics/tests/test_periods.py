"""Periods and their parts, on the calendars of timezones."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import forms
from analytics.periods import Interval, Part, Period, midnight

ZONES = ["UTC", "Europe/Rome", "America/Havana", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia", "Asia/Kathmandu"]
DAYS = st.dates(dt.date(1995, 1, 1), dt.date(2035, 1, 1))


def of_days(first: str, last: str, zone: str = "Europe/Rome") -> Period:
    tz = ZoneInfo(zone)
    end = dt.date.fromisoformat(last) + dt.timedelta(days=1)
    return Period(midnight(dt.date.fromisoformat(first), tz), midnight(end, tz), tz)


@given(zone=st.sampled_from(ZONES), first=DAYS, days=st.integers(1, 731), interval=st.sampled_from(forms.LONG))
def test_parts_fill_the_period_without_gaps(zone: str, first: dt.date, days: int, interval: Interval) -> None:
    tz = ZoneInfo(zone)
    period = Period(midnight(first, tz), midnight(first + dt.timedelta(days=days), tz), tz)
    if period.start >= period.end:
        return  # one day, which this timezone left out
    parts = period.parts(interval)
    assert [parts[0].start, *(part.end for part in parts)] == [*(part.start for part in parts), period.end]
    assert all(part.start < part.end for part in parts)
    for part in parts:
        assert part.start.astimezone(tz).date() == part.day
        inside = [part.day, (part.end - dt.datetime.resolution).astimezone(tz).date()]
        key = {Interval.DAY: "%Y-%m-%d", Interval.WEEK: "%G-%V", Interval.MONTH: "%Y-%m"}[interval]
        assert len({day.strftime(key) for day in inside}) == 1
    days_of_parts = [part.day for part in parts]
    assert days_of_parts == sorted(set(days_of_parts))


@given(zone=st.sampled_from(ZONES), first=DAYS, hours=st.integers(1, 5000))
def test_the_period_before_ends_where_this_one_begins(zone: str, first: dt.date, hours: int) -> None:
    tz = ZoneInfo(zone)
    start = midnight(first, tz)
    period = Period(start, start + dt.timedelta(hours=hours, minutes=1), tz)
    before = period.before()
    assert before.end == period.start and before.end - before.start == period.end - period.start


def test_as_many_days_are_compared_whatever_the_clocks_do() -> None:
    march = of_days("2026-03-01", "2026-03-31")  # one of them has 23 hours
    assert march.before() == of_days("2026-01-29", "2026-02-28") and march.days == march.before().days == 31
    assert march.end - march.start == dt.timedelta(days=31, hours=-1)


def test_a_day_begins_with_the_jump_over_midnight_and_with_the_first_of_two() -> None:
    """Cairo goes from 23:59:59 to 1:00; Havana sees midnight twice."""
    assert midnight(dt.date(2024, 4, 26), ZoneInfo("Africa/Cairo")) == dt.datetime(2024, 4, 25, 22, tzinfo=dt.UTC)
    assert midnight(dt.date(2024, 11, 3), ZoneInfo("America/Havana")) == dt.datetime(2024, 11, 3, 4, tzinfo=dt.UTC)


def test_a_date_that_a_timezone_left_out_is_no_part() -> None:
    """Samoa went from 29 to 31 December 2011."""
    days = [part.day.day for part in of_days("2011-12-28", "2012-01-01", "Pacific/Apia").parts(Interval.DAY)]
    assert days == [28, 29, 31, 1]


def test_the_first_and_the_last_week_reach_as_far_as_the_period() -> None:
    period = of_days("2026-03-04", "2026-03-17")
    parts = period.parts(Interval.WEEK)
    assert [part.day.day for part in parts] == [4, 9, 16]
    assert parts[0] == Part(dt.date(2026, 3, 4), period.start, midnight(dt.date(2026, 3, 9), period.zone))


@pytest.mark.parametrize(
    ("last", "interval"),
    [("2026-01-31", "day"), ("2026-02-01", "week"), ("2026-07-03", "week"), ("2026-07-04", "month")],
)
def test_longer_periods_are_cut_more_coarsely(last: str, interval: str) -> None:
    assert of_days("2026-01-01", last).usual_interval() == interval
