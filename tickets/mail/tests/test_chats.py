"""Mail about tickets that came from a chat: whom it reaches, and what it quotes."""

import datetime as dt
from typing import Any

import pytest
from django.core import mail

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.events import SYSTEM
from tickets.mail.models import MailSettings
from tickets.mail.services import sending
from tickets.mail.tests.out import queued
from tickets.models import Ticket
from tickets.services import chats, editing, status
from tickets.tests.factories import NOW, make_agent, make_reply

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
HISTORY = [
    {"role": "user", "content": "My lamp is broken"},
    {"role": "bot", "content": "Have you tried the other switch?"},
]


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(name="Acme")
    return made


def told(workspace: Workspace, *, now: dt.datetime = NOW, **fields: Any) -> Ticket:
    given = {"conversation_id": "1", "subject": "Lamp", "chat_history": HISTORY} | fields
    sender = chats.Sender(has_key=True, network="")
    return chats.open_from_chat(workspace=workspace, sender=sender, request=chats.Request(**given), now=now).ticket


def test_the_opening_is_acknowledged_and_no_line_is_mailed(workspace: Workspace) -> None:
    told(workspace, customer_email="jane@customers.example")
    more = [*HISTORY, {"role": "agent", "content": "Hello"}]
    told(workspace, customer_email="jane@customers.example", chat_history=more, now=NOW + HOUR)
    assert [(row.kind, row.recipient) for row in queued()] == [("acknowledgement", "jane@customers.example")]


def test_a_visitor_without_an_address_is_never_written_to(workspace: Workspace) -> None:
    ticket, maria = told(workspace), make_agent(workspace)
    comment = make_reply(ticket, maria, now=NOW + HOUR)
    status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW + HOUR)
    assert list(queued()) == []
    comment.refresh_from_db()
    assert comment.delivery is None


def test_who_takes_part_beside_a_visitor_is(workspace: Workspace) -> None:
    ticket, maria = told(workspace), make_agent(workspace)
    editing.update_ticket(ticket=ticket, changes={"cc": ["boss@customers.example"]}, actor=SYSTEM, now=NOW)
    make_reply(ticket, maria, now=NOW + HOUR)
    assert [row.recipient for row in queued(kind="reply")] == ["boss@customers.example"]


def test_a_visitor_who_gives_an_address_is_from_then_on(workspace: Workspace) -> None:
    ticket, maria = told(workspace), make_agent(workspace)
    told(workspace, customer_email="jane@customers.example", now=NOW + HOUR)
    make_reply(ticket, maria, now=NOW + 2 * HOUR)
    assert [(row.kind, row.recipient) for row in queued()] == [("reply", "jane@customers.example")]


@pytest.mark.parametrize("history", ["last", "all"])
def test_an_answer_quotes_the_request_and_not_the_chat(workspace: Workspace, history: str) -> None:
    MailSettings.unscoped.create(workspace=workspace, history=history)
    ticket = told(workspace, customer_email="jane@customers.example", description="A person, please.")
    make_reply(ticket, make_agent(workspace), now=NOW + HOUR, body="On it.")
    (row,) = queued(kind="reply")
    assert sending.send(outgoing_id=row.pk, now=NOW + 2 * HOUR) == "sent"
    assert "A person, please." in mail.outbox[-1].body and "switch" not in mail.outbox[-1].body
