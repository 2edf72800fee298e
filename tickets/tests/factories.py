"""Test data of the tickets. Tickets and comments are made by the services, as in life."""

import datetime as dt
from typing import Any

import factory

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import MembershipFactory, WorkspaceFactory, _Unscoped
from tickets.events import SYSTEM
from tickets.models import CannedResponse, Category, Comment, Field, Ticket
from tickets.services import conversation, opening

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


class CategoryFactory(_Unscoped):
    class Meta:
        model = Category

    workspace = factory.SubFactory(WorkspaceFactory)
    name = factory.Sequence(lambda n: f"Category {n}")


class FieldFactory(_Unscoped):
    class Meta:
        model = Field

    workspace = factory.SubFactory(WorkspaceFactory)
    key = factory.Sequence(lambda n: f"field_{n}")
    label = factory.Sequence(lambda n: f"Field {n}")
    kind = "text"
    position = factory.Sequence(lambda n: n + 1)


class CannedResponseFactory(_Unscoped):
    class Meta:
        model = CannedResponse

    workspace = factory.SubFactory(WorkspaceFactory)
    title = factory.Sequence(lambda n: f"Response {n}")
    shortcut = factory.Sequence(lambda n: f"response{n}")
    content = "Hello {{customer_name}}"


def make_ticket(workspace: Workspace, now: dt.datetime = NOW, **fields: Any) -> Ticket:
    """A ticket opened by the service; every field has a default."""
    given: dict[str, Any] = {
        "subject": "Cannot log in",
        "description": "The page says my account is locked.",
        "requester_email": "jane@customers.example",
        "requester_name": "Jane Smith",
        "channel": "web",
        "actor": SYSTEM,
    }
    return opening.open_ticket(workspace=workspace, now=now, **(given | fields))


def make_reply(ticket: Ticket, author: Membership, now: dt.datetime = NOW, **fields: Any) -> Comment:
    """A public reply by an agent, made by the service."""
    return conversation.agent_reply(
        ticket=ticket, author=author, now=now, **({"body": "On it.", "internal": False} | fields)
    )


def make_agent(workspace: Workspace, role: str = "agent", **fields: Any) -> Membership:
    """A member of the workspace."""
    return MembershipFactory(workspace=workspace, role=role, **fields)
