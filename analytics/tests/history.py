"""A history for the reports to count: everything that can become of tickets, made by the services, as in life."""

import datetime as dt
import random
from typing import Any

from django.db import connection

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory
from portal.services.requests import rate_request
from slas.services.sweep import sweep_all
from slas.tests.factories import make_policy
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import assignment, editing, merging, setup, status
from tickets.tests.factories import CategoryFactory, make_agent, make_reply, make_ticket

HOUR = dt.timedelta(hours=1)
BEGIN = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)  # 70 days; clocks change on 8 March in New York, on 29 March in Rome
MINUTES = 70 * 24 * 60


def sql(query: str, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, numbers as Python's."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def resolve(ticket: Ticket, at: dt.datetime) -> Ticket:
    """The ticket, resolved at that moment."""
    return status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=at)


def reopen(ticket: Ticket, at: dt.datetime) -> Ticket:
    """The ticket, opened again at that moment."""
    return status.reopen(ticket=ticket, actor=SYSTEM, now=at)


def trash(ticket: Ticket, at: dt.datetime) -> None:
    """Put the ticket into the trash."""
    editing.trash(ticket=ticket, actor=SYSTEM, now=at)


def merge(source: Ticket, target: Ticket, at: dt.datetime) -> None:
    """Make the source a part of the target."""
    merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=at)


def make_history(workspace: Workspace, *, tickets: int = 60, seed: int = 8) -> None:
    """Tickets with answers, promises, reopenings, ratings, merges and the trash, over 70 days; the same every time."""
    draw = random.Random(seed)
    make_policy(workspace, business_hours_only=False, first_response_hours=6, resolution_hours=60)
    agents = [make_agent(workspace, user__name=name) for name in ("Aisha", "Ben", "")]
    teams = [TeamFactory(workspace=workspace) for _ in range(2)]
    top = CategoryFactory(workspace=workspace, name="Billing")
    middle = CategoryFactory(workspace=workspace, name="Invoices", parent=top)
    categories = [
        top,
        middle,
        CategoryFactory(workspace=workspace, parent=middle),
        CategoryFactory(workspace=workspace),
    ]
    for number in range(tickets):
        at = BEGIN + dt.timedelta(minutes=draw.randrange(MINUTES), seconds=draw.randrange(60))
        category, team = draw.choice([None, *categories]), draw.choice([None, *teams])
        ticket = make_ticket(
            workspace,
            at,
            priority=draw.choice(["urgent", "high", "medium", "low"]),
            channel=draw.choice(["web", "email", "portal"]),
            category_id=category and category.pk,
            team_id=team and team.pk,
            tags=draw.sample(["vip", "refund", "bug", "printer"], draw.choice([0, 0, 1, 2])),
        )
        at = _live(ticket, at, agents, draw)
        if number % 10 == 0:
            trash(ticket, at)
        elif number % 10 == 1:
            merge(ticket, make_ticket(workspace, at), at)
    setup.delete_category(category=categories[3], now=BEGIN)
    sweep_all(now=BEGIN + dt.timedelta(days=90))


def _live(ticket: Ticket, at: dt.datetime, agents: list[Any], draw: random.Random) -> dt.datetime:
    """What becomes of one ticket, until the moment that is given back."""

    def later(minutes: int) -> dt.datetime:
        return at + dt.timedelta(minutes=draw.randrange(1, minutes), seconds=draw.randrange(60))

    for cycle in range(draw.choice([0, 1, 1, 2, 3])):
        if cycle:
            ticket = reopen(ticket, at)
        if draw.random() < 0.6:
            at = later(600)
            ticket = assignment.assign(ticket=ticket, assignee_id=draw.choice(agents).user_id, actor=SYSTEM, now=at)
        if draw.random() < 0.7:
            at = later(900)
            make_reply(ticket, draw.choice(agents), at)
            ticket.refresh_from_db()
        if draw.random() < 0.2:
            ticket = status.change_status(ticket=ticket, to="pending", actor=SYSTEM, now=at)
            at = later(4000)
        if draw.random() < 0.2:
            return at
        at = later(3000)
        ticket = resolve(ticket, at)
        if draw.random() < 0.5:
            at = later(600)
            rate_request(ticket=ticket, contact=ticket.requester, rating=draw.randint(1, 5), feedback="", now=at)
        if draw.random() < 0.4:
            at = later(3000)
            ticket = status.change_status(ticket=ticket, to="closed", actor=SYSTEM, now=at)
        at += HOUR * draw.choice([0, 1])
    return at
"""A small made-up history: tickets that are answered, paused, resolved, reopened, rated, merged and trashed."""

import datetime as dt
import random
from dataclasses import dataclass

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from portal.services import requests
from slas.services import sweep
from slas.tests.factories import make_policy
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import assignment, base, conversation, editing, merging, status
from tickets.tests.factories import make_agent, make_ticket

# Clocks go back in Berlin on 27 October and in New York on 3 November 2024.
BEGIN = dt.datetime(2024, 10, 22, tzinfo=dt.UTC)
NOW = dt.datetime(2024, 11, 12, 12, 30, tzinfo=dt.UTC)
STEPS = [
    "assign",
    "answer",
    "answer",
    "ask",
    "write",
    "write",
    "wait",
    "resolve",
    "resolve",
    "settle",
    "reopen",
    "rate",
]


@dataclass
class Past:
    """The workspace in which it happened, and its people: the last of the agents has left."""

    workspace: Workspace
    agents: list[Membership]
    light: Membership


def make_past(tickets: int = 36, seed: int = 8) -> Past:
    """A workspace in which three weeks of work happened, the same in every run."""
    dice = random.Random(seed)
    workspace = WorkspaceFactory(timezone="Europe/Berlin")
    make_policy(workspace, pending_pauses=["first_response", "resolution"], business_hours_only=False)
    make_policy(
        workspace, name="Urgent", is_default=False, conditions={"attributes": {"plan": ["pro"]}}, resolution_hours=1
    )
    agents = [make_agent(workspace) for _ in range(4)]
    light = make_agent(workspace, role="light")
    ContactFactory(workspace=workspace, email="pro@customers.example", attributes={"plan": "pro"})
    made = []
    for place in range(tickets):
        at = BEGIN + dt.timedelta(minutes=dice.randrange(19 * 24 * 60))
        priority, address = dice.choice(["low", "medium", "high", "urgent"]), dice.choice(["jane", "pro"])
        ticket = make_ticket(workspace, now=at, priority=priority, requester_email=f"{address}@customers.example")
        for _ in range(dice.randrange(14)):
            at += dt.timedelta(seconds=dice.choice([40, 400, 4_000, 40_000]) + dice.randrange(400))
            if at >= NOW:
                break
            _step(dice.choice(STEPS), Ticket.objects.for_workspace(workspace).get(pk=ticket.pk), dice, agents, at)
        made.append(ticket)
        if place % 9 == 8:
            editing.trash(ticket=ticket, actor=base.agent(agents[0]), now=NOW)
        elif place % 9 == 4:
            merging.merge(source=ticket, target_id=made[place - 1].pk, actor=base.agent(agents[0]), now=NOW)
    agents[-1].is_active = False
    agents[-1].save()
    sweep.sweep_all(now=NOW)
    return Past(workspace, agents, light)


def _step(what: str, ticket: Ticket, dice: random.Random, agents: list[Membership], at: dt.datetime) -> None:
    """One thing that may happen next, if it can."""
    who = dice.choice(agents)
    is_finished = ticket.status in ("resolved", "closed")
    match what:
        case "assign" if ticket.status != "closed":
            assignment.assign(ticket=ticket, assignee_id=who.user_id, actor=base.agent(agents[0]), now=at)
        case "answer":
            conversation.agent_reply(ticket=ticket, author=who, body="On it.", internal=dice.random() < 0.2, now=at)
        case "ask" if not is_finished:
            conversation.agent_reply(ticket=ticket, author=who, body="Which?", internal=False, then="pending", now=at)
        case "write":
            conversation.customer_reply(
                ticket=ticket, contact=ticket.requester, body="And?", channel="email", now=at, vouched=True
            )
        case "wait" if ticket.status == "open":
            status.change_status(ticket=ticket, to="pending", actor=base.agent(who), now=at)
        case "resolve" if not is_finished:
            status.change_status(ticket=ticket, to="resolved", actor=base.agent(who), now=at)
        case "settle" if not is_finished:
            status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=at)
        case "reopen" if is_finished:
            status.reopen(ticket=ticket, actor=base.agent(who), now=at)
        case "rate" if is_finished:
            requests.rate_request(ticket=ticket, contact=ticket.requester, rating=dice.randint(1, 5), now=at)
