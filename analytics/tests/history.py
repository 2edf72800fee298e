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
