"""From what happened to the clocks: first response, next response, resolution, and why."""

import datetime as dt
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slas import clocks
from slas.calendar import ALWAYS, Calendar, read
from slas.clocks import TRASHED, History, Kind, Terms
from slas.tests.factories import WEEK, at
from tickets.deadlines import Deadline, Goal, Run, State, columns, state

OFFICE = read({"timezone": "UTC", "schedule": WEEK, "holidays": ["2024-03-07"]})
HOUR = dt.timedelta(hours=1)
OPENED = at(0, "09:00")
TARGETS = {Goal.FIRST_RESPONSE: 2 * HOUR, Goal.NEXT_RESPONSE: 4 * HOUR, Goal.RESOLUTION: 8 * HOUR}


def terms(calendar: Calendar = OFFICE, **more: Any) -> Terms:
    targets = dict.fromkeys(("high", "medium", "low"), TARGETS) | {
        "urgent": {goal: target / 4 for goal, target in TARGETS.items()}
    }
    return Terms(UUID(int=1), "Gold", calendar, **({"targets": targets} | more))


def history(
    *moves: tuple[dt.datetime, str],
    created: dt.datetime = OPENED,
    priorities: Any = (),
    messages: Any = (),
    answered: dt.datetime | None = None,
) -> History:
    return History(
        created_at=created,
        statuses=[(created, "open"), *moves],
        priorities=[(created, "medium"), *priorities],
        messages=messages,
        first_response_at=answered,
    )


def derived(past: History, goal: Goal, under: Terms | None = None) -> Deadline:
    return [clock for clock in clocks.derive(past, under or terms()) if clock.goal is goal][-1]


class TestFirstResponse:
    def test_is_due_when_the_targets_business_time_has_run(self) -> None:
        assert derived(history(created=at(0, "17:00")), Goal.FIRST_RESPONSE).due_at == at(1, "10:00")

    def test_that_ends_exactly_at_closing_time_ends_at_closing_time(self) -> None:
        assert derived(history(created=at(0, "16:00")), Goal.FIRST_RESPONSE).due_at == at(0, "18:00")

    def test_is_met_by_the_first_public_message_of_an_agent(self) -> None:
        clock = derived(history(answered=at(0, "10:59")), Goal.FIRST_RESPONSE)
        assert clock.run is Run.SATISFIED and clock.state(at(9)) is State.MET

    def test_at_the_deadline_itself_is_in_time_and_a_moment_later_is_late(self) -> None:
        assert not derived(history(answered=at(0, "11:00")), Goal.FIRST_RESPONSE).is_breached(at(9))
        late = derived(history(answered=at(0, "11:00:01")), Goal.FIRST_RESPONSE)
        assert late.is_breached(at(9)) and late.state(at(9)) is State.BREACHED

    def test_goes_on_while_the_ticket_is_pending_unless_the_policy_says_otherwise(self) -> None:
        past = history((at(0, "10:00"), "pending"), (at(1, "10:00"), "open"))
        assert derived(past, Goal.FIRST_RESPONSE).due_at == at(0, "11:00")
        paused = terms(pending_pauses=frozenset(Goal))
        assert derived(past, Goal.FIRST_RESPONSE, paused).due_at == at(1, "11:00")

    def test_of_a_ticket_that_was_resolved_without_one_stops_and_runs_on_when_it_is_reopened(self) -> None:
        past = history((at(0, "10:00"), "resolved"))
        assert derived(past, Goal.FIRST_RESPONSE).run is Run.STOPPED
        again = history((at(0, "10:00"), "resolved"), (at(1, "09:00"), "open"))
        assert derived(again, Goal.FIRST_RESPONSE).due_at == at(1, "10:00")

    def test_that_was_late_stays_late_whatever_happens_to_the_priority(self) -> None:
        """The priority at the time of the answer judges it."""
        past = history(answered=at(0, "10:00"), priorities=[(at(0, "09:05"), "urgent"), (at(0, "12:00"), "low")])
        assert derived(past, Goal.FIRST_RESPONSE).is_breached(at(9))


class TestNextResponse:
    FIRST = at(0, "10:00")

    def test_runs_from_the_oldest_unanswered_customer_message(self) -> None:
        past = history(answered=self.FIRST, messages=[(at(0, "12:00"), True), (at(0, "15:00"), True)])
        clock = derived(past, Goal.NEXT_RESPONSE)
        assert (clock.started_at, clock.due_at) == (at(0, "12:00"), at(0, "16:00"))

    def test_is_satisfied_by_an_agents_answer_and_each_wait_is_a_cycle(self) -> None:
        past = history(
            answered=self.FIRST,
            messages=[(at(0, "12:00"), True), (at(0, "13:00"), False), (at(1, "09:00"), True), (at(1, "09:30"), False)],
        )
        cycles = [clock for clock in clocks.derive(past, terms()) if clock.goal is Goal.NEXT_RESPONSE]
        assert [(one.started_at, one.satisfied_at) for one in cycles] == [
            (at(0, "12:00"), at(0, "13:00")),
            (at(1, "09:00"), at(1, "09:30")),
        ]

    def test_begins_only_after_the_first_response(self) -> None:
        past = history(messages=[(at(0, "09:30"), True)])
        assert Goal.NEXT_RESPONSE not in {clock.goal for clock in clocks.derive(past, terms())}
        past = history(answered=self.FIRST, messages=[(at(0, "09:30"), True)])
        assert Goal.NEXT_RESPONSE not in {clock.goal for clock in clocks.derive(past, terms())}

    def test_ends_when_the_ticket_is_resolved_and_does_not_come_back_by_itself(self) -> None:
        past = history(
            (at(0, "13:00"), "resolved"),
            (at(1, "09:00"), "open"),
            answered=self.FIRST,
            messages=[(at(0, "12:00"), True)],
        )
        assert derived(past, Goal.NEXT_RESPONSE).run is Run.STOPPED

    def test_is_not_there_where_the_policy_promises_none(self) -> None:
        without = terms(targets={p: {Goal.RESOLUTION: HOUR} for p in ("urgent", "high", "medium", "low")})
        past = history(answered=self.FIRST, messages=[(at(0, "12:00"), True)])
        assert [clock.goal for clock in clocks.derive(past, without)] == [Goal.RESOLUTION]


class TestResolution:
    def test_pending_takes_off_the_business_time_inside_the_pause_and_never_raw_time(self) -> None:
        """From Monday 16:00 to Tuesday 10:00 there are three business hours, not eighteen."""
        past = history((at(0, "16:00"), "pending"), (at(1, "10:00"), "open"))
        assert derived(history(), Goal.RESOLUTION).due_at == at(0, "17:00")
        assert (
            derived(past, Goal.RESOLUTION).due_at
            == OFFICE.add_business_time(at(0, "17:00"), 3 * HOUR)
            == at(1, "11:00")
        )

    def test_while_it_is_paused_there_is_no_deadline_but_a_rest(self) -> None:
        clock = derived(history((at(0, "12:00"), "pending")), Goal.RESOLUTION)
        assert (clock.run, clock.due_at) == (Run.PAUSED, None)
        assert clock.left(at(3)) == 5 * HOUR and clock.state(at(9)) is State.PAUSED

    def test_a_breach_before_the_pause_is_not_undone_by_it(self) -> None:
        clock = derived(history((at(1, "12:00"), "pending")), Goal.RESOLUTION)
        assert clock.due_at == at(0, "17:00") and clock.state(at(9)) is State.BREACHED

    def test_a_change_of_priority_counts_from_the_creation_plus_pauses_never_from_now(self) -> None:
        past = history((at(0, "10:00"), "pending"), (at(0, "12:00"), "open"), priorities=[(at(0, "16:00"), "urgent")])
        assert derived(past, Goal.RESOLUTION).due_at == at(0, "13:00")

    def test_a_reopened_ticket_runs_on_from_where_it_stopped(self) -> None:
        past = history((at(0, "10:00"), "resolved"), (at(4, "10:00"), "open"))
        assert derived(past, Goal.RESOLUTION).due_at == at(4, "17:00")

    def test_is_satisfied_when_it_was_resolved_also_after_it_is_closed(self) -> None:
        clock = derived(history((at(0, "10:00"), "resolved"), (at(4, "10:00"), "closed")), Goal.RESOLUTION)
        assert (clock.run, clock.satisfied_at) == (Run.SATISFIED, at(0, "10:00"))

    def test_that_was_kept_while_pending_is_in_time_however_long_it_waited(self) -> None:
        clock = derived(history((at(0, "10:00"), "pending"), (at(8, "10:00"), "resolved")), Goal.RESOLUTION)
        assert clock.state(at(9)) is State.MET

    def test_a_ticket_that_was_merged_is_not_resolved(self) -> None:
        clock = derived(history((at(0, "10:00"), "closed")), Goal.RESOLUTION)
        assert (clock.run, clock.satisfied_at, clock.due_at) == (Run.STOPPED, None, None)

    def test_time_in_the_trash_is_taken_off(self) -> None:
        past = history((at(0, "10:00"), TRASHED), (at(1, "10:00"), "open"))
        assert derived(past, Goal.RESOLUTION).due_at == at(1, "17:00")

    def test_is_at_risk_from_the_policys_share_of_the_target_on(self) -> None:
        clock = derived(history(), Goal.RESOLUTION)
        assert clock.at_risk_at == at(0, "15:00")
        assert clock.state(at(0, "14:59")) is State.ON_TRACK and clock.state(at(0, "15:00")) is State.AT_RISK
        early = derived(history(), Goal.RESOLUTION, terms(at_risk_percent=25))
        assert early.at_risk_at == at(0, "11:00")

    def test_under_a_calendar_that_never_opens_has_no_deadline(self) -> None:
        never = read({"timezone": "UTC", "schedule": {}})
        clock = derived(history(), Goal.RESOLUTION, terms(never))
        assert (clock.run, clock.due_at, clock.at_risk_at) == (Run.RUNNING, None, None)
        assert clock.state(at(900)) is State.ON_TRACK

    def test_round_the_clock_is_plain_addition(self) -> None:
        assert derived(history(created=at(5, "23:00")), Goal.RESOLUTION, terms(ALWAYS)).due_at == at(6, "07:00")


class TestExplanation:
    def test_says_counted_closed_and_paused_spans(self) -> None:
        past = history((at(0, "12:00"), "pending"), (at(0, "14:00"), "open"), created=at(0, "08:00"))
        clock = derived(past, Goal.RESOLUTION)
        told = [(p.kind, p.start, p.end) for p in clocks.explain(past, terms(), clock, at(0, "15:00"))]
        assert told == [
            (Kind.CLOSED, at(0, "08:00"), at(0, "09:00")),
            (Kind.COUNTED, at(0, "09:00"), at(0, "12:00")),
            (Kind.PAUSED, at(0, "12:00"), at(0, "14:00")),
            (Kind.COUNTED, at(0, "14:00"), at(0, "15:00")),
            (Kind.AHEAD, at(0, "15:00"), at(0, "18:00")),
            (Kind.CLOSED, at(0, "18:00"), at(1, "09:00")),
            (Kind.AHEAD, at(1, "09:00"), at(1, "10:00")),
        ]

    def test_names_the_holiday_that_a_deadline_jumps_over(self) -> None:
        past = history(created=at(2, "17:00"))
        pieces = clocks.explain(past, terms(), derived(past, Goal.FIRST_RESPONSE), at(2, "17:00"))
        assert any(piece.reason.startswith("Holiday") for piece in pieces)
        assert pieces[-1].end == at(4, "10:00")

    def test_of_a_breached_clock_shows_what_came_after_the_deadline(self) -> None:
        past = history()
        pieces = clocks.explain(past, terms(), derived(past, Goal.FIRST_RESPONSE), at(0, "12:00"))
        assert (pieces[-1].kind, pieces[-1].start, pieces[-1].end) == (Kind.LATE, at(0, "11:00"), at(0, "12:00"))


# --- Laws -------------------------------------------------------------------------------------

_STATUSES = ("open", "pending", "resolved", "closed", TRASHED)
CALENDARS = (
    OFFICE,
    ALWAYS,
    read(
        {
            "timezone": "America/New_York",
            "schedule": {
                "monday": [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "17:30"}],
                "sunday": {"start": "01:00", "end": "03:30"},
            },
        }
    ),
)


@st.composite
def pasts(draw: st.DrawFn) -> History:
    minutes = st.integers(1, 4000)
    created = at(0) + dt.timedelta(minutes=draw(st.integers(0, 20_000)))
    now, status, moves = created, "open", []
    for _ in range(draw(st.integers(0, 6))):
        now += dt.timedelta(minutes=draw(minutes))
        status = draw(st.sampled_from([other for other in _STATUSES if other != status]))
        moves.append((now, status))
    answered = draw(st.none() | minutes.map(lambda n: created + dt.timedelta(minutes=n)))
    said = sorted(draw(st.lists(st.tuples(minutes, st.booleans()), max_size=6)))
    messages = [((answered or created) + dt.timedelta(minutes=n), by) for n, by in said]
    return history(*moves, created=created, messages=messages, answered=answered)


@given(pasts(), st.sampled_from(CALENDARS), st.integers(0, 60_000))
@settings(max_examples=150, deadline=None)
def test_the_spans_of_every_clock_follow_each_other_and_add_up_to_the_target(
    past: History, calendar: Calendar, later: int
) -> None:
    last = max([past.created_at, *(when for when, _ in past.statuses), *(when for when, _ in past.messages)])
    now = max(last, past.first_response_at or last) + dt.timedelta(minutes=later)
    under = terms(calendar)
    for clock in clocks.derive(past, under):
        pieces = clocks.explain(past, under, clock, now)
        assert all(a.end == b.start for a, b in pairwise(pieces))
        business = sum((piece.business for piece in pieces), dt.timedelta())
        if clock.due_at is None:
            assert business == clock.used < clock.target
        else:
            assert business == clock.target
            assert not [p for p in pieces if p.business and p.end > clock.due_at]
            assert not [p for p in pieces if p.kind is Kind.LATE and p.start < clock.due_at]


@given(pasts(), st.sampled_from(CALENDARS))
@settings(max_examples=150, deadline=None)
def test_a_clock_is_the_same_however_late_one_looks(past: History, calendar: Calendar) -> None:
    """What the columns of the queue say is what the clocks say."""
    told = clocks.derive(past, terms(calendar))
    by_goal = list({clock.goal: clock for clock in told}.values())
    for hours in (0, 5, 50, 500):
        now = past.statuses[-1][0] + dt.timedelta(hours=hours)
        kept = columns(by_goal, now)
        worst = state(by_goal, now)
        assert kept.is_missed == (worst is State.BREACHED)
        if worst is not State.BREACHED:
            assert kept.state == {State.ON_TRACK: "running", State.AT_RISK: "running"}.get(worst, worst or "")


@pytest.mark.parametrize("goal", list(Goal))
def test_every_goal_has_its_name_for_people(goal: Goal) -> None:
    from slas.templatetags.sla_tags import goal_name

    assert goal_name(goal)
