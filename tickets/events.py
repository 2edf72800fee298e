"""The names of what can happen to a ticket, who does it, and who listens. Pure.

The publisher (`tickets.timeline`) knows names only. Subscribers register in their app's
`AppConfig.ready`: *inside* ones run in the transaction of the change, *after* ones are names of
Celery tasks that are queued once the change is committed, and get the activity's id.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID


class Event(StrEnum):
    """Everything that is recorded in a ticket's activity log."""

    CREATED = "ticket.created"
    UPDATED = "ticket.updated"
    ASSIGNED = "ticket.assigned"
    UNASSIGNED = "ticket.unassigned"
    RESOLVED = "ticket.resolved"
    CLOSED = "ticket.closed"
    REOPENED = "ticket.reopened"
    COMMENT_ADDED = "ticket.comment.added"
    COMMENT_EDITED = "ticket.comment.edited"
    COMMENT_DELETED = "ticket.comment.deleted"
    ATTACHMENT_ADDED = "ticket.attachment.added"
    MERGED = "ticket.merged"
    UNMERGED = "ticket.unmerged"
    SPLIT = "ticket.split"
    LINKED = "ticket.linked"
    TRASHED = "ticket.trashed"
    RESTORED = "ticket.restored"
    SLA_AT_RISK = "ticket.sla.at_risk"
    SLA_BREACHED = "ticket.sla.breached"
    SATISFACTION_SUBMITTED = "ticket.satisfaction.submitted"


# Their payload says of the ticket only which one it is, as the specification prints it.
BRIEF = frozenset({Event.SLA_AT_RISK, Event.SLA_BREACHED})


class ActorKind(StrEnum):
    """What kind of somebody did it."""

    AGENT = "agent"
    CUSTOMER = "customer"
    SYSTEM = "system"
    AUTOMATION = "automation"


@dataclass(frozen=True)
class Cause:
    """The activity that led to this one, and how long the chain already is."""

    activity_id: UUID
    depth: int


@dataclass(frozen=True)
class Actor:
    """Who does something: a member of the workspace, a customer, or the helpdesk itself."""

    kind: ActorKind
    name: str
    user_id: UUID | None = None
    contact_id: UUID | None = None
    cause: Cause | None = field(default=None, compare=False)
    is_replay: bool = False  # an import of the past: recorded, never sent to anyone


SYSTEM = Actor(ActorKind.SYSTEM, "Helpdesk")

InsideHandler = Callable[[Sequence[Any]], None]
BulkHandler = Callable[[UUID, Sequence[UUID] | None, dt.datetime], None]


@dataclass
class Subscriptions:
    """Who listens to what. One registry serves the process; tests make their own."""

    inside: dict[str, list[InsideHandler]] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)
    bulk: list[BulkHandler] = field(default_factory=list)

    def listen_inside(self, names: Iterable[str], handler: InsideHandler) -> None:
        """Call `handler(activities)` in the transaction of changes with these names, mostly one at a time."""
        for name in names:
            handlers = self.inside.setdefault(str(name), [])
            if handler not in handlers:
                handlers.append(handler)

    def listen_after(self, names: Iterable[str], task: str) -> None:
        """Queue the Celery task named `task` with the activity's id after each commit."""
        for name in names:
            tasks = self.after.setdefault(str(name), [])
            if task not in tasks:
                tasks.append(task)

    def listen_bulk(self, handler: BulkHandler) -> None:
        """Call `handler(workspace_id, ticket_ids, now)` after an import; see `loaded`."""
        if handler not in self.bulk:
            self.bulk.append(handler)

    def loaded(self, *, workspace_id: UUID, ticket_ids: Sequence[UUID] | None, now: dt.datetime) -> None:
        """Tickets came in bulk, past the *inside* subscribers: those who keep up with tickets catch up.

        `ticket_ids` are the tickets that were written or changed; None stands for every ticket of
        the workspace that a subscriber knows nothing about yet.
        """
        for handler in self.bulk:
            handler(workspace_id, ticket_ids, now)


subscriptions = Subscriptions()
