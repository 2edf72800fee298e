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
