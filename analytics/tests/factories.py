"""Test data of the reports: tickets that were resolved and rated, made by the services, as in life."""

import datetime as dt
from typing import Any

from helpdesk.accounts.models import Membership, Workspace
from portal.models import Satisfaction
from portal.services.requests import rate_request
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import assignment, status
from tickets.tests.factories import make_ticket

HOUR = dt.timedelta(hours=1)


def resolve(ticket: Ticket, at: dt.datetime) -> Ticket:
    """The ticket, resolved at that moment."""
    return status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=at)


def rate(ticket: Ticket, rating: int, at: dt.datetime, feedback: str = "") -> Satisfaction:
    """The rating of the ticket's last resolution by its requester."""
    return rate_request(ticket=ticket, contact=ticket.requester, rating=rating, feedback=feedback, now=at)


def give(ticket: Ticket, agent: Membership, at: dt.datetime) -> Ticket:
    """The ticket in the hands of an agent."""
    return assignment.assign(ticket=ticket, assignee_id=agent.user_id, actor=SYSTEM, now=at)


def make_rated(
    workspace: Workspace,
    rating: int,
    at: dt.datetime,
    *,
    agent: Membership | None = None,
    feedback: str = "",
    **fields: Any,
) -> Ticket:
    """A ticket that was resolved an hour before `at`, by `agent` if one is given, and rated then."""
    ticket = make_ticket(workspace, at - 3 * HOUR, **fields)
    if agent:
        ticket = give(ticket, agent, at - 2 * HOUR)
    ticket = resolve(ticket, at - HOUR)
    rate(ticket, rating, at, feedback)
    return ticket
