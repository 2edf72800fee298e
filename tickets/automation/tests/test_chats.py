"""Lines of a chat pull no trigger and count for none."""

import datetime as dt
from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.automation.models import Due
from tickets.automation.services import engine
from tickets.automation.tests.factories import NOW, make_rule, run_rules, runs_of
from tickets.models import Ticket
from tickets.services import chats, conversation
from tickets.tests.factories import make_agent, make_reply

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
HISTORY = [{"role": role, "content": "Hello"} for role in ("user", "bot", "user", "agent", "user")]


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


def told(workspace: Workspace, *more: str, now: dt.datetime = NOW) -> Ticket:
    request = chats.Request(
        conversation_id="1",
        subject="Help",
        customer_email="jane@customers.example",
        chat_history=[*HISTORY, *({"role": role, "content": "More"} for role in more)],
    )
    sender = chats.Sender(has_key=True, network="")
    return chats.open_from_chat(workspace=workspace, sender=sender, request=request, now=now).ticket


def test_only_the_opening_is_heard_of(workspace: Workspace) -> None:
    opened = make_rule(workspace, {"do": "escalate"}, triggers=["created"])
    make_rule(workspace, {"do": "escalate"}, triggers=["customer_replied", "agent_replied"])
    ticket = told(workspace)
    told(workspace, "user", "agent", now=NOW + HOUR)
    run_rules(ticket, NOW + HOUR)
    assert [run.rule for run in runs_of(ticket)] == [opened]


def test_they_are_no_messages_in_a_row(workspace: Workspace) -> None:
    make_rule(workspace, {"do": "escalate"}, triggers=["customer_messages"], message_count=2)
    ticket = told(workspace)
    for number in (1, 2):
        at = NOW + number * HOUR
        conversation.customer_reply(ticket=ticket, contact=ticket.requester, body="?", channel="portal", now=at)
        told(workspace, *["agent"] * number, now=at)
        run_rules(ticket, at)
        assert len(runs_of(ticket)) == number - 1


def test_no_response_counts_from_the_ticket_until_an_agent_answers_there(workspace: Workspace) -> None:
    make_rule(workspace, {"do": "escalate"}, triggers=["no_response"], no_response_hours=4)
    ticket = told(workspace)

    def due() -> list[dt.datetime]:
        run_rules(ticket, NOW)
        for activity in ticket.activities.all():
            engine.hear(activity_id=activity.pk, now=NOW)
        return list(Due.unscoped.values_list("due_at", flat=True))

    told(workspace, "agent", "user", now=NOW + HOUR)
    assert due() == [NOW + 4 * HOUR]
    make_reply(ticket, make_agent(workspace), now=NOW + 2 * HOUR)
    told(workspace, "agent", "user", "user", now=NOW + 3 * HOUR)
    assert due() == []
