"""Exports: every row against SQL over the raw tables, written here; and what spreadsheets must not run."""

import csv
import datetime as dt
import io
import json
import tracemalloc
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given
from hypothesis import strategies as st

from analytics import exports
from analytics.exports import DANGEROUS, TABLES, What, as_csv, neutral
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from portal.services.requests import rate_request
from tickets.events import SYSTEM
from tickets.models import Comment, Ticket
from tickets.services import assignment, base, conversation, editing, merging, status
from tickets.tests.api import Api, nothing_written, refused
from tickets.tests.factories import CategoryFactory, FieldFactory, make_agent, make_reply, make_ticket

HOUR = dt.timedelta(hours=1)
NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)
MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
def maria(db: None) -> Membership:
    return make_agent(WorkspaceFactory(slug="acme", timezone="UTC"), name="Maria")


@pytest.fixture
def api(maria: Membership) -> Api:
    return Api(maria)


def got(api: Api, what: str, query: str = MARCH) -> bytes:
    """The body of an export."""
    answer = api.get(f"/tickets/analytics/export?what={what}&{query}")
    assert answer.status_code == 200, answer.content
    body: bytes = answer.getvalue()
    return body


def cells(body: bytes) -> list[list[str]]:
    """The rows of a CSV, as the standard library reads them."""
    return list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))


def objects(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.decode().split("\n") if line]


def ids(body: bytes) -> list[str]:
    return [one["id"] for one in objects(body)]


def sql(query: str, **values: Any) -> list[dict[str, Any]]:
    """What the database answers, each row as the JSON object that PostgreSQL makes of it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_json(r)::text FROM ({query}) r", values)
        return [json.loads(text) for (text,) in cursor.fetchall()]


def make_history(maria: Membership) -> dict[str, Ticket]:
    """Tickets with all that can happen to them, some of it outside of March, some in the trash, some elsewhere."""
    workspace = maria.workspace
    team = TeamFactory(workspace=workspace, name="Billing; EU")
    category = CategoryFactory(workspace=workspace, name="Money")
    FieldFactory(workspace=workspace, key="order", label="Order")
    tickets: dict[str, Ticket] = {}
    for name, at in {
        "old": NOON - 30 * 24 * HOUR,
        "late": NOON + HOUR,
        "early": NOON,
        "merged": NOON + 2 * HOUR,
        "trashed": NOON + 3 * HOUR,
        "april": NOON + 30 * 24 * HOUR,
    }.items():
        tickets[name] = make_ticket(
            workspace,
            at,
            subject=f'{name}: "quoted", über; 東京',
            description="One\nTwo\r\nThree, “four”",
            requester_email=f"{name}@customers.example",
            priority="high" if name == "early" else "low",
        )
    early = tickets["early"]
    early = editing.update_ticket(
        ticket=early,
        changes={
            "category_id": category.pk,
            "team_id": team.pk,
            "tags": ["vip", "a,b"],
            "custom_fields": {"order": "A-1"},
        },
        actor=base.agent(maria),
        now=NOON + HOUR,
    )
    early = assignment.assign(ticket=early, assignee_id=maria.user_id, actor=SYSTEM, now=NOON + HOUR)
    make_reply(early, maria, NOON + 2 * HOUR, body="Done,\nsaid she.")
    make_reply(early, maria, NOON + 3 * HOUR, body="Not for customers", internal=True)
    gone = make_reply(early, maria, NOON + 3 * HOUR, body="Taken away")
    conversation.delete_comment(comment=gone, actor=base.agent(maria), now=NOON + 4 * HOUR)
    early.refresh_from_db()
    early = status.change_status(ticket=early, to="resolved", actor=SYSTEM, now=NOON + 5 * HOUR)
    rate_request(ticket=early, contact=early.requester, rating=4, feedback="=Nice;\n\"really\"", now=NOON + 6 * HOUR)
    make_reply(tickets["old"], maria, NOON + HOUR, body="An answer in March to a ticket of February")
    make_reply(tickets["merged"], maria, NOON + 4 * HOUR, body="Moves along")
    make_reply(tickets["trashed"], maria, NOON + 4 * HOUR, body="In the trash")
    merging.merge(source=tickets["merged"], target=tickets["late"], actor=base.agent(maria), now=NOON + 5 * HOUR)
    trashed = status.change_status(
        ticket=Ticket.unscoped.get(pk=tickets["trashed"].pk), to="resolved", actor=SYSTEM, now=NOON + 5 * HOUR
    )
    rate_request(ticket=trashed, contact=trashed.requester, rating=1, feedback="", now=NOON + 6 * HOUR)
    editing.delete_ticket(ticket=trashed, actor=base.agent(maria), now=NOON + 7 * HOUR)
    make_reply(make_ticket(WorkspaceFactory(), NOON), make_agent(WorkspaceFactory()), NOON) if False else None
    foreign = make_agent(WorkspaceFactory(slug="other"))
    make_reply(make_ticket(foreign.workspace, NOON), foreign, NOON + HOUR, body="Of somebody else")
    return tickets
