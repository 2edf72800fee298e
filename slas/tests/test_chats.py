"""Lines of a chat move no clock, when they come and when the past is told again."""

from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.models import Clock
from slas.services import tracking
from slas.tests.factories import at, clock_of, make_policy
from tickets.models import Ticket
from tickets.services import chats, conversation
from tickets.tests.factories import make_agent, make_reply

pytestmark = pytest.mark.django_db

BOT = chats.Sender(has_key=True, network="")
HISTORY = [
    {"role": "user", "content": "Help", "timestamp": at(0, "09:00")},
    {"role": "agent", "content": "Hello", "timestamp": at(0, "09:01")},
    {"role": "user", "content": "Are you there?", "timestamp": at(0, "09:02")},
]


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    make_policy(made)
    return made


def told(workspace: Workspace, now: Any, *more: dict[str, Any]) -> Ticket:
    request = chats.Request(
        conversation_id="1", subject="Help", customer_email="jane@customers.example", chat_history=[*HISTORY, *more]
    )
    return chats.open_from_chat(workspace=workspace, sender=BOT, request=request, now=now).ticket


def clocks() -> list[dict[str, Any]]:
    return list(Clock.unscoped.order_by("goal", "cycle").values("goal", "cycle", "run", "due_at", "satisfied_at"))


def test_the_first_response_runs_from_the_ticket_and_no_line_is_one(workspace: Workspace) -> None:
    ticket = told(workspace, at(0, "10:00"))
    assert clock_of(ticket, "first_response").due_at == at(0, "12:00")
    assert clock_of(ticket, "first_response").run == "running"
    assert [row["goal"] for row in clocks()] == ["first_response", "resolution"]


def test_lines_that_come_later_ask_for_no_next_response_and_give_none(workspace: Workspace) -> None:
    ticket, maria = told(workspace, at(0, "10:00")), make_agent(workspace)
    make_reply(ticket, maria, now=at(0, "11:00"))
    more = [{"role": "user", "content": "Still there?"}, {"role": "agent", "content": "Yes"}]
    told(workspace, at(0, "11:30"), *more)
    assert [row["goal"] for row in clocks()] == ["first_response", "resolution"]
    conversation.customer_reply(
        ticket=ticket, contact=ticket.requester, body="Any news?", channel="portal", now=at(0, "12:00")
    )
    told(workspace, at(0, "12:30"), *more, {"role": "agent", "content": "Wait"})
    waiting = clock_of(ticket, "next_response")
    assert (waiting.started_at, waiting.run) == (at(0, "12:00"), "running")


def test_they_change_nothing_when_the_past_is_told_again(workspace: Workspace) -> None:
    ticket, maria = told(workspace, at(0, "10:00")), make_agent(workspace)
    make_reply(ticket, maria, now=at(0, "11:00"))
    told(workspace, at(0, "11:30"), {"role": "user", "content": "Still there?"})
    before = clocks()
    Clock.unscoped.all().delete()
    tracking.catch_up(workspace.pk, [ticket.pk], at(0, "11:30"))
    assert clocks() == before
