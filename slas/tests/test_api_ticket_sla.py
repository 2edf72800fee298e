"""The service levels of a ticket, explained over the API."""

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.api.views import TicketSLA
from slas.tests.factories import at, make_hours, make_policy
from tickets.deadlines import State
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import base, conversation, editing, status
from tickets.tests.api import ROLES, UNKNOWN, Api, refused
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

HOUR = 3600
CLOCK = {
    "goal",
    "cycle",
    "state",
    "run",
    "policy_id",
    "policy_name",
    "timezone",
    "target_seconds",
    "started_at",
    "due_at",
    "at_risk_at",
    "satisfied_at",
    "breached_at",
    "counted_seconds",
    "remaining_seconds",
    "warning",
    "timeline",
}

Look = Callable[[Ticket, dt.datetime], dict[str, Any]]


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def agent(workspace: Workspace) -> Membership:
    return make_agent(workspace)


@pytest.fixture
def look(agent: Membership, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What the API tells of a ticket at some moment."""

    def told(ticket: Ticket, now: dt.datetime) -> dict[str, Any]:
        monkeypatch.setattr(TicketSLA, "now", now)
        response = Api(agent).get(f"/tickets/{ticket.pk}/sla")
        assert response.status_code == 200, response.content
        answer: dict[str, Any] = response.json()
        return answer

    return told


def move(ticket: Ticket, to: str, now: dt.datetime) -> None:
    status.change_status(ticket=ticket, to=to, actor=SYSTEM, now=now)


def answered_by_customer(ticket: Ticket, now: dt.datetime) -> None:
    conversation.customer_reply(ticket=ticket, contact=ticket.requester, body="Still broken.", channel="web", now=now)


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, once its spans are consecutive and add up."""
    for clock in answer["clocks"]:
        assert set(clock) == CLOCK
        spans = clock["timeline"]
        if spans:
            assert spans[0]["start"] == clock["started_at"]
        for earlier, later in itertools.pairwise(spans):
            assert earlier["end"] == later["start"]
        sums = dict.fromkeys(("counted", "closed", "paused", "ahead", "late"), 0)
        for span in spans:
            sums[span["kind"]] += span["business_seconds"]
        if clock["due_at"]:
            assert sums["counted"] + sums["ahead"] == clock["target_seconds"], clock
            assert clock["remaining_seconds"] == sums["ahead"]
        assert sums["closed"] == sums["paused"] == sums["late"] == 0
        assert clock["counted_seconds"] == sums["counted"]
        assert clock["counted_seconds"] + clock["remaining_seconds"] == clock["target_seconds"]
    return answer


def test_a_clock_is_told_span_by_span(workspace: Workspace, look: Look) -> None:
    policy = make_policy(workspace)  # 2 hours to the answer, 9 to 18 in UTC
    ticket = make_ticket(workspace, now=at(0, "17:00"))
    answer = checked(look(ticket, at(0, "17:30")))
    assert answer["policy"] == {"id": str(policy.pk), "name": "Nine to six"}
    assert answer["state"] == "on_track"
    assert [clock["goal"] for clock in answer["clocks"]] == ["first_response", "resolution"]
    assert answer["clocks"][0] == {
        "goal": "first_response",
        "cycle": 1,
        "state": "on_track",
        "run": "running",
        "policy_id": str(policy.pk),
        "policy_name": "Nine to six",
        "timezone": "UTC",
        "target_seconds": 2 * HOUR,
        "started_at": "2024-03-04T17:00:00Z",
        "due_at": "2024-03-05T10:00:00Z",
        "at_risk_at": "2024-03-05T09:30:00Z",
        "satisfied_at": None,
        "breached_at": None,
        "counted_seconds": 1800,
        "remaining_seconds": 5400,
        "warning": None,
        "timeline": [
            span("2024-03-04T17:00:00Z", "2024-03-04T17:30:00Z", "counted", "Counted", 1800),
            span("2024-03-04T17:30:00Z", "2024-03-04T18:00:00Z", "ahead", "Still to run", 1800),
            span("2024-03-04T18:00:00Z", "2024-03-05T09:00:00Z", "closed", "Outside business hours", 0),
            span("2024-03-05T09:00:00Z", "2024-03-05T10:00:00Z", "ahead", "Still to run", 3600),
        ],
    }


def span(start: str, end: str, kind: str, reason: str, seconds: int) -> dict[str, Any]:
    return {"start": start, "end": end, "kind": kind, "reason": reason, "business_seconds": seconds}


def test_a_pause_is_told_and_has_no_deadline(workspace: Workspace, look: Look) -> None:
    make_policy(workspace)
    ticket = make_ticket(workspace, now=at(0, "10:00"))
    move(ticket, "pending", at(0, "11:00"))
    resolution = checked(look(ticket, at(0, "12:00")))["clocks"][1]
    assert (resolution["state"], resolution["run"], resolution["due_at"]) == ("paused", "paused", None)
    assert (resolution["counted_seconds"], resolution["remaining_seconds"]) == (HOUR, 7 * HOUR)
    assert resolution["timeline"][-1]["reason"] == "Waiting for the customer" and resolution["warning"] is None
    move(ticket, "open", at(0, "13:00"))
    resolution = checked(look(ticket, at(0, "13:00")))["clocks"][1]
    assert [one["kind"] for one in resolution["timeline"]] == ["counted", "paused", "ahead", "closed", "ahead"]
    assert resolution["due_at"] == "2024-03-05T11:00:00Z"


def test_a_late_answer_is_told_with_its_breach(workspace: Workspace, agent: Membership, look: Look) -> None:
    make_policy(workspace)
    ticket = make_ticket(workspace, now=at(0, "10:00"))
    make_reply(ticket, agent, now=at(0, "14:00"))
    answer = checked(look(ticket, at(0, "15:00")))
    first = answer["clocks"][0]
    assert answer["state"] == first["state"] == "breached" and first["run"] == "satisfied"
    assert first["breached_at"] == first["due_at"] == "2024-03-04T12:00:00Z"
    assert first["satisfied_at"] == "2024-03-04T14:00:00Z"
    assert [one["kind"] for one in first["timeline"]] == ["counted", "late"]
    assert (first["counted_seconds"], first["remaining_seconds"]) == (2 * HOUR, 0)


def test_each_answer_that_the_customer_waited_for_has_its_clock(
    workspace: Workspace, agent: Membership, look: Look
) -> None:
    make_policy(workspace, resolution_hours=80)
    ticket = make_ticket(workspace, now=at(0, "10:00"))
    make_reply(ticket, agent, now=at(0, "10:30"))
    answered_by_customer(ticket, at(0, "11:00"))
    make_reply(ticket, agent, now=at(0, "12:00"))
    answered_by_customer(ticket, at(1, "11:00"))
    clocks = checked(look(ticket, at(1, "12:00")))["clocks"]
    assert [(clock["goal"], clock["cycle"], clock["state"]) for clock in clocks] == [
        ("first_response", 1, "met"),
        ("next_response", 1, "met"),
        ("next_response", 2, "on_track"),
        ("resolution", 1, "on_track"),
    ]


MOVES: list[list[tuple[str, dt.datetime]]] = [
    [],
    [("pending", at(0, "10:20"))],
    [("pending", at(0, "10:20")), ("open", at(2, "08:00"))],
    [("pending", at(0, "19:00")), ("open", at(1, "20:00")), ("pending", at(2, "10:00")), ("open", at(2, "11:11"))],
    [("resolved", at(0, "11:00"))],
    [("resolved", at(3, "11:00"))],
    [("resolved", at(0, "11:00")), ("open", at(1, "11:00"))],
    [("resolved", at(0, "11:00")), ("closed", at(0, "12:00"))],
    [("resolved", at(0, "11:00")), ("closed", at(0, "12:00")), ("open", at(5, "12:00"))],
]


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_spans_add_up_to_the_target_whatever_happened(workspace: Workspace, look: Look, timezone: str) -> None:
    make_hours(workspace, timezone=timezone, holidays=["2024-03-06"])
    make_policy(workspace, first_response_hours=0.7501, resolution_hours=10.0003)
    odd = dt.timedelta(microseconds=333_333)
    for moves in MOVES:
        ticket = make_ticket(workspace, now=at(0, "10:00:07") + odd)
        for to, moment in moves:
            move(ticket, to, moment + odd * 2)
        for now in (at(0, "12:00:01") + odd, at(2, "12:00"), at(7, "23:59:59"), at(60)):
            if not moves or moves[-1][1] < now:
                checked(look(ticket, now))


def test_a_clock_without_a_deadline_says_why(workspace: Workspace, look: Look) -> None:
    never = make_hours(workspace, name="Never", schedule={}, is_default=True)
    make_policy(workspace, business_hours_id=never.pk)
    for clock in checked(look(make_ticket(workspace, now=at(0, "10:00")), at(4)))["clocks"]:
        assert clock["due_at"] is None and clock["state"] == "on_track"
        assert "never open for long enough" in clock["warning"]
        assert clock["remaining_seconds"] == clock["target_seconds"]
        assert {one["kind"] for one in clock["timeline"]} == {"closed"}


def test_where_nothing_is_promised_there_is_nothing_to_tell(workspace: Workspace, look: Look) -> None:
    assert look(make_ticket(workspace), at(0)) == {"policy": None, "is_given": False, "state": None, "clocks": []}


def test_the_longest_targets_are_answered_in_time(workspace: Workspace, look: Look) -> None:
    make_policy(workspace, first_response_hours=1, resolution_hours=99_999)
    answer = checked(look(make_ticket(workspace, now=at(0, "10:00")), at(1)))
    assert answer["clocks"][1]["due_at"].startswith("2066")


def test_it_costs_the_same_for_any_number_of_clocks(
    workspace: Workspace, agent: Membership, look: Look, django_assert_max_num_queries: Any
) -> None:
    make_policy(workspace)
    ticket = make_ticket(workspace, now=at(0, "09:00"))
    for hour in range(10, 15):
        make_reply(ticket, agent, now=at(0, f"{hour}:00"))
        answered_by_customer(ticket, at(0, f"{hour}:30"))
    with django_assert_max_num_queries(6):
        assert len(look(ticket, at(0, "16:00"))["clocks"]) == 7


@pytest.mark.parametrize("role", ROLES)
def test_every_member_may_look(workspace: Workspace, role: str) -> None:
    make_policy(workspace)
    ticket = make_ticket(workspace)
    answer = Api(make_agent(workspace, role)).get(f"/tickets/{ticket.pk}/sla")
    assert answer.status_code == 200
    assert answer.json()["state"] in list(State)


def test_foreign_unknown_and_trashed_tickets_are_not_found(workspace: Workspace, agent: Membership) -> None:
    api, ticket = Api(agent), make_ticket(workspace)
    editing.trash(ticket=ticket, actor=base.agent(agent), now=at(0))
    for pk in (make_ticket(WorkspaceFactory()).pk, ticket.pk, UNKNOWN):
        refused(api.get(f"/tickets/{pk}/sla"), 404, "id")


def test_no_other_method_is_taken_and_nothing_without_a_token(workspace: Workspace, agent: Membership) -> None:
    ticket = make_ticket(workspace)
    for method in ("POST", "PATCH", "DELETE"):
        refused(Api(agent)(method, f"/tickets/{ticket.pk}/sla", {}), 405)
    refused(Api().get(f"/tickets/{ticket.pk}/sla"), 401)
