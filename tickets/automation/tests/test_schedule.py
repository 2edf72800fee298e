"""When something that recurs happens, against a reference that looks at every single day."""

import calendar
import datetime as dt
import itertools
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.automation.schedule import (
    LONGEST,
    NTH,
    WEEKDAYS,
    Schedule,
    ScheduleError,
    between,
    coming,
    in_words,
    longest_variables,
    next_after,
    read,
    variables,
)

BERLIN = {"at": "09:00", "timezone": "Europe/Berlin", "starts_on": "2026-01-01"}
NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)  # a Monday
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
]


def schedule(**said: Any) -> Schedule:
    return read({"every": "day"} | BERLIN | said)


# --- The reference --------------------------------------------------------------------------------


def is_on(it: Schedule, day: dt.date) -> bool:
    """Whether it happens on a day, told by looking at nothing but that day."""
    if day < it.starts_on or (it.ends_on and day > it.ends_on):
        return False
    start, last = it.starts_on, calendar.monthrange(day.year, day.month)[1]
    if it.every == "day":
        return (day - start).days % it.interval == 0
    if it.every == "week":
        monday = dt.timedelta(days=day.weekday()), dt.timedelta(days=start.weekday())
        weeks = ((day - monday[0]) - (start - monday[1])).days // 7
        return weeks % it.interval == 0 and WEEKDAYS[day.weekday()] in it.weekdays
    if it.every == "month" and ((day.year - start.year) * 12 + day.month - start.month) % it.interval:
        return False
    if it.every == "year" and ((day.year - start.year) % it.interval or day.month != it.month):
        return False
    if it.day:
        return day.day == min(it.day, last)
    if WEEKDAYS[day.weekday()] != it.weekday:
        return False
    return day.day + 7 > last if it.nth == "last" else (day.day - 1) // 7 + 1 == NTH[str(it.nth)]


def moment_on(it: Schedule, day: dt.date) -> dt.datetime:
    """The first minute of UTC at which clocks show the local time, or at which they have just skipped it."""
    zone, wanted = ZoneInfo(it.timezone), dt.datetime.combine(day, it.at)
    start = wanted.replace(tzinfo=dt.UTC) - dt.timedelta(hours=26)
    minute, before = start, (start - dt.timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    while True:
        shown = minute.astimezone(zone).replace(tzinfo=None)
        if shown == wanted:
            return minute
        if before < wanted < shown:
            # Skipped: so long after the jump as the time is written after it.
            return minute + (wanted - before) - dt.timedelta(minutes=1)
        minute, before = minute + dt.timedelta(minutes=1), shown


DAYS_OF_MONTH = st.one_of(
    st.fixed_dictionaries({"day": st.integers(1, 31)}),
    st.fixed_dictionaries({"nth": st.sampled_from(list(NTH)), "weekday": st.sampled_from(WEEKDAYS)}),
)


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    every = draw(st.sampled_from(list(LONGEST)))
    starts_on = draw(st.dates(dt.date(2000, 1, 1), dt.date(2030, 12, 31)))
    said: dict[str, Any] = {
        "every": every,
        "interval": draw(st.one_of(st.integers(1, 3), st.integers(1, LONGEST[every]))),
        "at": f"{draw(st.integers(0, 23)):02}:{draw(st.integers(0, 59)):02}",
        "timezone": draw(st.sampled_from(ZONES)),
        "starts_on": starts_on.isoformat(),
        "ends_on": None,
    }
    if every == "week":
        said["weekdays"] = draw(st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True))
    if every == "year":
        said["month"] = draw(st.integers(1, 12))
    if every in ("month", "year"):
        said |= draw(DAYS_OF_MONTH)
    if draw(st.booleans()):
        said["ends_on"] = (starts_on + dt.timedelta(days=draw(st.integers(0, 2000)))).isoformat()
    return said


class TestAgainstEverySingleDay:
    @settings(max_examples=150, deadline=None)
    @given(documents(), st.integers(-100, 4000))
    def test_the_next_times_are_those_of_the_reference(self, document: dict[str, Any], days: int) -> None:
        it = read(document)
        zone = ZoneInfo(it.timezone)
        moment = dt.datetime.combine(it.starts_on, dt.time(12), dt.UTC) + dt.timedelta(days=days)
        here = moment.astimezone(zone).date()
        expected: list[dt.date] = []
        day = here - dt.timedelta(days=2)
        while len(expected) < 6 and day < here + dt.timedelta(days=366 * 25):
            if is_on(it, day):
                expected.append(day)
            day += dt.timedelta(days=1)
        moments = sorted({found for one in expected if (found := moment_on(it, one)) > moment})[:3]
        assert coming(it, moment, 3)[: len(moments)] == moments
        assert next_after(it, moment) == (moments[0] if moments else None)

    @settings(max_examples=60, deadline=None)
    @given(documents(), st.integers(0, 4000))
    def test_a_walk_from_one_to_the_next_leaves_none_out_and_never_stands_still(
        self, document: dict[str, Any], days: int
    ) -> None:
        it = read(document)
        start = dt.datetime.combine(it.starts_on, dt.time(12), dt.UTC) + dt.timedelta(days=days)
        found = coming(it, start, 8)
        assert all(a < b for a, b in itertools.pairwise(found))
        walked, moment = [], start
        for _ in found:
            step = next_after(it, moment)
            assert step is not None and step > moment and step.tzinfo is dt.UTC
            moment = step
            walked.append(moment)
        assert walked == found
        if found:
            assert between(it, start, found[-1]) == found
            assert between(it, start, found[-1] - dt.timedelta(microseconds=1)) == found[:-1]

    @settings(max_examples=150, deadline=None)
    @given(documents())
    def test_what_is_written_is_read_again(self, document: dict[str, Any]) -> None:
        it = read(document)
        assert read(it.document()) == it
        assert set(it.document()) == set(document)
        assert in_words(it).startswith("every ")

    @settings(max_examples=300, deadline=None)
    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=5)
            | st.sampled_from(["day", "month", "09:00"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["every", "interval", "at", "timezone", "starts_on", "day", "nth", "weekdays", "x"]
                    ),
                    inner,
                    max_size=9,
                )
            ),
            max_leaves=12,
        )
    )
    def test_nonsense_is_refused_with_the_fields_at_fault(self, document: Any) -> None:
        with pytest.raises(ScheduleError) as refused:
            read(document)
        assert refused.value.errors and all(texts for texts in refused.value.errors.values())


class TestDays:
    def said(self, moment: dt.datetime = NOW, count: int = 4, **said: Any) -> list[str]:
        return [f"{found:%Y-%m-%d %H:%M}" for found in coming(schedule(**said), moment, count)]

    def test_every_first_monday_at_nine_in_berlin(self) -> None:
        # At nine in UTC it is ten in Berlin: today's is over. In April the clocks are an hour ahead.
        assert self.said(every="month", nth="first", weekday="monday", count=2) == [
            "2026-04-06 07:00",
            "2026-05-04 07:00",
        ]

    def test_a_day_that_a_month_lacks_is_its_last(self) -> None:
        days = [when[:10] for when in self.said(every="month", day=31)]
        assert days == ["2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"]
        assert self.said(every="month", day=29, moment=NOW.replace(month=2), count=1) == ["2026-02-28 08:00"]
        leap = [when[:10] for when in self.said(every="year", month=2, day=29)]
        assert leap == ["2027-02-28", "2028-02-29", "2029-02-28", "2030-02-28"]

    def test_the_second_week_begins_on_monday(self) -> None:
        # The first of January 2026 is a Thursday: its week counts as the first, from its Monday.
        days = self.said(
            every="week", interval=2, weekdays=["sunday", "monday"], moment=NOW.replace(year=2025), count=3
        )
        assert [when[:10] for when in days] == ["2026-01-04", "2026-01-12", "2026-01-18"]

    def test_it_begins_and_ends_with_its_days(self) -> None:
        given = {"starts_on": "2026-03-10", "ends_on": "2026-03-11"}
        assert self.said(**given) == ["2026-03-10 08:00", "2026-03-11 08:00"]
        assert next_after(schedule(**given), dt.datetime(2026, 3, 11, 8, 0, tzinfo=dt.UTC)) is None

    def test_it_is_strictly_after(self) -> None:
        at = dt.datetime(2026, 3, 3, 8, 0, tzinfo=dt.UTC)
        assert next_after(schedule(), at - dt.timedelta(microseconds=1)) == at
        assert next_after(schedule(), at) == at + dt.timedelta(days=1)

    def test_years_that_have_passed_cost_nothing(self) -> None:
        it = schedule(starts_on="2000-01-01")
        assert next_after(it, dt.datetime(2199, 12, 30, 9, 0, tzinfo=dt.UTC)) == dt.datetime(
            2199, 12, 31, 8, 0, tzinfo=dt.UTC
        )
        assert next_after(it, dt.datetime(2199, 12, 31, 9, 0, tzinfo=dt.UTC)) is None


class TestClocksThatChange:
    def test_a_time_that_the_clocks_skip_is_as_if_they_had_not_been_put_forward(self) -> None:
        # On 29 March 2026 in Berlin, 01:59 is followed by 03:00.
        found = coming(schedule(at="02:30"), dt.datetime(2026, 3, 28, 0, tzinfo=dt.UTC), 3)
        assert [f"{one.astimezone(ZoneInfo('Europe/Berlin')):%d %H:%M}" for one in found] == [
            "28 02:30",
            "29 03:30",
            "30 02:30",
        ]

    def test_of_a_time_that_comes_twice_the_first_counts_and_only_it(self) -> None:
        # On 25 October 2026 in Berlin, 02:59 in summer is followed by 02:00 in winter.
        found = coming(schedule(at="02:30"), dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC), 2)
        assert found == [
            dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC),
            dt.datetime(2026, 10, 26, 1, 30, tzinfo=dt.UTC),
        ]
        between_the_two = dt.datetime(2026, 10, 25, 1, 0, tzinfo=dt.UTC)
        assert next_after(schedule(at="02:30"), between_the_two) == found[1]

    def test_the_local_time_stays_when_the_offset_changes(self) -> None:
        found = coming(schedule(every="week", weekdays=["monday"]), dt.datetime(2026, 3, 20, tzinfo=dt.UTC), 2)
        assert [one.hour for one in found] == [8, 7]

    def test_a_day_that_a_place_skipped_is_no_second_one(self) -> None:
        # Samoa crossed the date line: there was no 30 December 2011.
        it = read({"every": "day", "at": "09:00", "timezone": "Pacific/Apia", "starts_on": "2011-12-01"})
        found = coming(it, dt.datetime(2011, 12, 29, tzinfo=dt.UTC), 3)
        assert [f"{one.astimezone(ZoneInfo('Pacific/Apia')):%d %H:%M}" for one in found] == [
            "29 09:00",
            "31 09:00",
            "01 09:00",
        ]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "every day at 09:00 (Europe/Berlin)"),
        ({"interval": 2, "timezone": "UTC"}, "every 2 days at 09:00 (UTC)"),
        ({"every": "week", "weekdays": ["monday"]}, "every Monday at 09:00 (Europe/Berlin)"),
        (
            {"every": "week", "weekdays": ["friday", "monday", "tuesday"], "timezone": "America/New_York"},
            "every Monday, Tuesday and Friday at 09:00 (America/New York)",
        ),
        ({"every": "week", "weekdays": list(WEEKDAYS[:5])}, "every Monday to Friday at 09:00 (Europe/Berlin)"),
        ({"every": "week", "weekdays": list(WEEKDAYS)}, "every day at 09:00 (Europe/Berlin)"),
        (
            {"every": "week", "interval": 2, "weekdays": ["monday", "sunday"]},
            "every 2 weeks on Monday and Sunday at 09:00 (Europe/Berlin)",
        ),
        ({"every": "month", "day": 2}, "every month on the 2nd at 09:00 (Europe/Berlin)"),
        ({"every": "month", "day": 13}, "every month on the 13th at 09:00 (Europe/Berlin)"),
        ({"every": "month", "day": 30}, "every month on the 30th (or the last day) at 09:00 (Europe/Berlin)"),
        ({"every": "month", "day": 31}, "every month on its last day at 09:00 (Europe/Berlin)"),
        (
            {"every": "month", "day": 31, "interval": 3},
            "every 3 months on the last day of the month at 09:00 (Europe/Berlin)",
        ),
        (
            {"every": "month", "nth": "first", "weekday": "monday"},
            "every first Monday of the month at 09:00 (Europe/Berlin)",
        ),
        (
            {"every": "month", "nth": "last", "weekday": "friday", "interval": 6},
            "every 6 months on the last Friday at 09:00 (Europe/Berlin)",
        ),
        (
            {"every": "year", "month": 3, "day": 31, "ends_on": "2030-01-31"},
            "every year on 31 March at 09:00 (Europe/Berlin), until 31 January 2030",
        ),
        (
            {"every": "year", "month": 2, "day": 29},
            "every year on 29 February (or its last day) at 09:00 (Europe/Berlin)",
        ),
        (
            {"every": "year", "interval": 2, "month": 10, "nth": "second", "weekday": "sunday"},
            "every 2 years on the second Sunday of October at 09:00 (Europe/Berlin)",
        ),
    ],
)
def test_it_is_said_in_words(said: dict[str, Any], words: str) -> None:
    assert in_words(schedule(**said)) == words


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"every": "hour"}, {"every"}),
        ({"every": ["day"]}, {"every"}),
        ({"every": None}, {"every"}),
        ({"interval": 0}, {"interval"}),
        ({"interval": True}, {"interval"}),
        ({"interval": 366}, {"interval"}),
        ({"every": "month", "day": 1, "interval": 25}, {"interval"}),
        ({"at": "24:00"}, {"at"}),
        ({"at": "9:00"}, {"at"}),
        ({"at": "09:00:00"}, {"at"}),
        ({"at": 900}, {"at"}),
        ({"timezone": "Berlin"}, {"timezone"}),
        ({"timezone": "../../etc/passwd"}, {"timezone"}),
        ({"timezone": None}, {"timezone"}),
        ({"starts_on": "2026-02-30"}, {"starts_on"}),
        ({"starts_on": "20260202"}, {"starts_on"}),
        ({"starts_on": "1999-12-31"}, {"starts_on"}),
        ({"starts_on": None}, {"starts_on"}),
        ({"ends_on": "2025-12-31"}, {"ends_on"}),
        ({"ends_on": "2200-01-01"}, {"ends_on"}),
        ({"day": 1}, {"day"}),
        ({"weekdays": ["monday"]}, {"weekdays"}),
        ({"every": "week"}, {"weekdays"}),
        ({"every": "week", "weekdays": []}, {"weekdays"}),
        ({"every": "week", "weekdays": "monday"}, {"weekdays"}),
        ({"every": "week", "weekdays": ["Monday"]}, {"weekdays"}),
        ({"every": "week", "weekdays": [1]}, {"weekdays"}),
        ({"every": "month"}, {"day"}),
        ({"every": "month", "day": 32}, {"day"}),
        ({"every": "month", "day": 1, "nth": "first", "weekday": "monday"}, {"nth", "weekday"}),
        ({"every": "month", "nth": "first"}, {"weekday"}),
        ({"every": "month", "nth": "fifth", "weekday": "monday"}, {"nth"}),
        ({"every": "month", "weekday": "monday"}, {"nth"}),
        ({"every": "month", "month": 3, "day": 1}, {"month"}),
        ({"every": "year", "day": 1}, {"month"}),
        ({"every": "year", "month": 13}, {"month", "day"}),
        ({"every": "year", "month": 0, "day": 0, "interval": 11, "at": ""}, {"month", "day", "interval", "at"}),
    ],
)
def test_errors_name_the_fields(said: dict[str, Any], fields: set[str]) -> None:
    with pytest.raises(ScheduleError) as refused:
        read({"every": "day"} | BERLIN | said)
    assert set(refused.value.errors) == fields


def test_the_variables_are_of_the_local_date_and_none_is_longer_than_foreseen() -> None:
    it = schedule(at="00:30", timezone="Pacific/Auckland")
    late = dt.datetime(2026, 12, 31, 11, 30, tzinfo=dt.UTC)  # in Auckland it is the new year
    assert variables(it, late) == {"date": "1 January 2027", "week": "53", "month": "January", "year": "2027"}
    longest = longest_variables()
    for day in range(366):
        for name, value in variables(it, late + dt.timedelta(days=day)).items():
            assert len(value) <= len(longest[name])
