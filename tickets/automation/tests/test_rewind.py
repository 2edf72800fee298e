"""Tickets as they were: random histories made by the services, told backwards."""

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import OrganizationFactory, TeamFactory, WorkspaceFactory
from helpdesk.errors import DomainError
from tickets.automation import conditions
from tickets.automation.conditions import FIELDS, Facts
from tickets.automation.services import facts, rewind
from tickets.automation.services.names import names_of
from tickets.automation.services.rewind import Asked, Rewinder, state_then
from tickets.deadlines import Deadline, Goal, State
from tickets.deadlines import Run as ClockRun
from tickets.events import SYSTEM
from tickets.lifecycle import Priority, Status
from tickets.models import Category, Comment, Ticket
from tickets.services import assignment, base, conversation, editing, merging, status
from tickets.tests.factories import NOW, CategoryFactory, FieldFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
# The state of clocks is told from today's document; everything else must be what it was.
ASKED = frozenset(FIELDS) - {"sla_state"}


class World:
    """A workspace, and everything that can happen to a ticket of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.workspace: Workspace = WorkspaceFactory()  # type: ignore[assignment]
        self.agents = [make_agent(self.workspace, user__name=name) for name in ("Sam", "Maria", "Ines")]
        self.teams = [TeamFactory(workspace=self.workspace, name=name).pk for name in ("Billing", "Second line")]
        above = CategoryFactory(workspace=self.workspace, name="Money")
        self.categories = [above.pk, CategoryFactory(workspace=self.workspace, name="Refunds", parent=above).pk]
        # A custom field may be called as one of the ticket's own.
        FieldFactory(workspace=self.workspace, key="prio", label="priority")
        acme = OrganizationFactory(workspace=self.workspace, name="Acme", attributes={"plan": "pro", "language": "de"})
        Contact.unscoped.create(
            workspace=self.workspace, email="ann@acme.example", organization=acme, attributes={"seats": 5}
        )
        self.ticket = make_ticket(self.workspace, tags=["first"], category_id=self.categories[1])
        self.at = NOW

    def one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def happen(self) -> None:
        """Something happens, later than what happened before; what is not allowed is tried anew."""
        while True:
            self.at += dt.timedelta(seconds=self.random.randint(1, 90_000))
            try:
                self.random.choice(self.acts)()
            except DomainError:
                continue
            return

    def change(self, **changes: Any) -> None:
        editing.update_ticket(ticket=self.ticket, changes=changes, actor=SYSTEM, now=self.at)

    def write(self) -> None:
        contact = Ticket.unscoped.get(pk=self.ticket.pk).requester
        conversation.customer_reply(
            ticket=self.ticket, contact=contact, body=f"Hello {self.random.random()}", channel="email", now=self.at
        )

    def edit(self) -> None:
        written = Comment.unscoped.filter(ticket=self.ticket, author_type="agent", deleted_at=None)
        if comments := list(written.order_by("pk")):
            comment = self.random.choice(comments)
            editor = next(one for one in self.agents if one.user_id == comment.author_user_id)
            body = f"Edited {self.random.random()}"
            conversation.edit_comment(comment=comment, editor=editor, body=body, now=self.at)

    def reassign(self) -> None:
        agent = self.one(None, *self.agents)
        if agent is None:
            assignment.unassign(ticket=self.ticket, actor=SYSTEM, now=self.at)
        else:
            assignment.assign(ticket=self.ticket, assignee_id=agent.user_id, actor=SYSTEM, now=self.at)

    def merge_and_back(self) -> None:
        target = make_ticket(self.workspace, now=self.at)
        merging.merge(source=self.ticket, target_id=target.pk, actor=SYSTEM, now=self.at)
        self.at += dt.timedelta(seconds=5)
        merging.unmerge(source=Ticket.unscoped.get(pk=self.ticket.pk), actor=SYSTEM, now=self.at)

    @property
    def acts(self) -> list[Callable[[], Any]]:
        return [
            lambda: self.change(priority=self.one(*Priority).value),
            lambda: self.change(subject=f"Subject {self.random.random()}"),
            lambda: self.change(description=f"Text {self.random.random()}"),
            lambda: self.change(category_id=self.one(None, *self.categories)),
            lambda: self.change(team_id=self.one(None, *self.teams)),
            lambda: self.change(tags=self.random.sample(["a", "b", "c", "first"], self.random.randint(0, 3))),
            lambda: self.change(requester_email=self.one("ann@acme.example", "bob@other.example")),
            lambda: self.change(custom_fields={"prio": self.one("urgent", "low")}),
            lambda: self.change(
                priority=self.one(*Priority).value, tags=["z"], team_id=self.one(None, *self.teams), status="pending"
            ),
            self.reassign,
            lambda: status.change_status(
                ticket=self.ticket, to=self.one(*Status).value, actor=base.agent(self.agents[0]), now=self.at
            ),
            lambda: make_reply(
                self.ticket, self.one(*self.agents), body=f"Answer {self.random.random()}", now=self.at,
                internal=self.one(True, False), then=self.one(None, "pending"),
            ),
            self.write,
            self.edit,
            self.merge_and_back,
        ]  # fmt: skip

    def facts_now(self) -> dict[Any, Facts]:
        """What the engine would see now about what happened last."""
        newest = self.ticket.activities.filter(occurred_at=self.at)
        return {one.pk: facts.facts_of(one, self.at, asked=ASKED) for one in newest}

    def facts_then(self, activity_ids: list[Any]) -> dict[Any, Facts]:
        """The same, told backwards when all of it is over."""
        names = names_of(self.workspace.pk, conditions.read({"all": []}), [])
        (past,) = rewind.read(self.workspace.pk, [self.ticket.pk], since=NOW, events=None, asked=ASKED, names=names)
        asked = Asked(self.workspace.pk, ASKED, names)
        rewinder = Rewinder(past, names)
        wanted = {str(pk) for pk in activity_ids}
        return {
            pk: asked.facts(rewinder, one, one.at)
            for one in reversed(past.log)
            for pk in activity_ids
            if one.activity_id in wanted and str(pk) == one.activity_id
        }


@pytest.mark.parametrize("seed", range(12))
def test_rewound_facts_are_those_that_were_recorded_when_they_happened(seed: int) -> None:
    world = World(seed)
    recorded = world.facts_now()
    for _ in range(18):
        world.happen()
        recorded |= world.facts_now()
    told = world.facts_then(list(recorded))
    assert told.keys() == recorded.keys()
    for pk, then in recorded.items():
        assert told[pk].texts == then.texts
        assert told[pk].attributes == then.attributes
        assert {name: words for name, words in told[pk].choices.items() if words} == {
            name: words for name, words in then.choices.items() if words
        }


def test_a_category_that_was_renamed_is_known_by_its_old_name_and_is_not_none() -> None:
    world = World(0)
    recorded = world.facts_now()
    world.at += dt.timedelta(hours=1)
    world.change(category_id=None)
    Category.unscoped.filter(name="Refunds").update(name="Money back")
    (then,) = world.facts_then(list(recorded)).values()
    assert then.choices["category"] == {"Refunds"}


def test_promises_are_told_as_they_stood() -> None:
    def hour(number: float) -> dt.datetime:
        return NOW + dt.timedelta(hours=number)

    kept = Deadline(
        goal=Goal.FIRST_RESPONSE, run=ClockRun.SATISFIED, target=dt.timedelta(hours=4), used=dt.timedelta(hours=3),
        started_at=hour(0), as_of=hour(3), due_at=hour(4), at_risk_at=hour(2), satisfied_at=hour(3),
    )  # fmt: skip
    later = kept._replace(goal=Goal.NEXT_RESPONSE, started_at=hour(5), due_at=hour(9), satisfied_at=hour(10))
    told = {at: state_then([kept, later], hour(at)) for at in (-1, 1, 2, 3, 6, 9.5, 11)}
    assert told == {
        -1: None, 1: State.ON_TRACK, 2: State.AT_RISK, 3: State.MET, 6: State.AT_RISK, 9.5: State.BREACHED,
        11: State.BREACHED,
    }  # fmt: skip
