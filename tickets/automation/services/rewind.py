"""Tickets as they were: what stands on them now, with the changes undone that the log recorded since.

What belongs to one change is recorded with one time, so a moment has everything of its instant done,
as rules see it after the commit. Nothing is looked up per event: `read` gives whole batches.

The log names categories, teams and people in words. Agents are known by their assignments; a category
or team that was renamed or deleted since keeps its old name, and is then no category or team that a
rule can ask for. What the log does not keep is as it is today: what is known about a customer and
their organisation. The SLA state is reckoned from the promises that stand on the ticket today, so a
clock that was paused or moved meanwhile may tell it wrongly.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from helpdesk.accounts.models import Contact
from tickets import deadlines
from tickets.automation.conditions import Facts, plain
from tickets.automation.levels import service_levels
from tickets.automation.services.facts import words_of
from tickets.automation.services.names import Names
from tickets.deadlines import Deadline, Run, State
from tickets.events import Event
from tickets.lifecycle import Status
from tickets.models import Comment

# --- Reading ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Happening:
    """A row of the log, as far as it is read."""

    activity_id: str
    event: str
    at: dt.datetime
    actor_kind: str
    changes: list[dict[str, Any]]
    data: dict[str, Any]

    @property
    def payload(self) -> dict[str, Any]:
        """As an activity has it."""
        return {"data": self.data}


@dataclass(slots=True)
class Customer:
    """A requester, as known today; each attribute of their own before their organisation's."""

    email: str
    organization: str | None
    attributes: Mapping[str, Any]


@dataclass(slots=True)
class Ticket:
    """What of a ticket changes, at some moment. Ids are text; what a name no longer leads to is that name."""

    status: str
    priority: str
    subject: str
    description: str
    category: str | None
    team: str | None
    assignee: str | None
    tags: frozenset[str]
    requester: str
    is_new: bool = False

    @property
    def shown_status(self) -> str:
        """The status people see."""
        return "new" if self.is_new else self.status


@dataclass(slots=True)
class Past:
    """A ticket as it is now, and what happened to it, oldest first."""

    ticket_id: UUID
    channel: str
    now: Ticket
    first_assigned_at: dt.datetime | None
    first_response_at: dt.datetime | None
    deadlines: list[Deadline]
    spans: list[tuple[str, dt.datetime, dt.datetime | None]]  # who had it, from when until when
    log: list[Happening]
    customers: Mapping[str, Customer]
    bodies: Mapping[str, str]


# One statement, so that ticket and log are of one moment. Times come as text: the driver's own take longer.
_READ = """
SELECT t.id, t.channel, t.status, t.priority, t.subject, {description}, t.category_id::text, t.team_id::text,
       t.assignee_id::text, t.first_assigned_at::text, t.first_response_at::text, {sla},
       c.email, c.organization_id::text, c.attributes::text, o.attributes::text,
       {tags},
       CASE WHEN t.first_assigned_at IS NULL THEN NULL ELSE (
           SELECT json_agg(json_build_array(s.assignee_id, s.assigned_at, s.ended_at))::text
           FROM ticket_assignments s WHERE s.ticket_id = t.id) END,
       (SELECT json_agg(json_build_array(a.id, a.event, a.occurred_at, a.actor_kind, a.changes,
            CASE WHEN a.event = ANY(%(with_data)s) THEN a.payload -> 'data' END) ORDER BY a.occurred_at, a.id)::text
        FROM ticket_activities a WHERE a.ticket_id = t.id AND a.occurred_at >= %(since)s
        AND (%(all)s OR a.changes <> '[]'::jsonb OR a.event = ANY(%(events)s)))
FROM tickets t
JOIN accounts_contact c ON c.id = t.requester_id
LEFT JOIN accounts_organization o ON o.id = c.organization_id
WHERE t.workspace_id = %(workspace)s AND t.id = ANY(%(ids)s)
"""
_TAGS = "ARRAY(SELECT g.name FROM ticket_tags x JOIN tickets_tag g ON g.id = x.tag_id WHERE x.ticket_id = t.id)"
_WITH_DATA = [Event.COMMENT_ADDED.value, Event.COMMENT_EDITED.value, Event.SATISFACTION_SUBMITTED.value]


def read(
    workspace_id: UUID,
    ticket_ids: Sequence[UUID],
    *,
    since: dt.datetime | None,
    events: Collection[str] | None,
    asked: Collection[str],
    names: Names,
) -> list[Past]:
    """These tickets with their logs since `since` (None: all of them), in the order of `ticket_ids`.

    Of the log are read the changes, and these events (None: all). The texts, tags and deadlines are
    read where `asked` names them: subject, body, tag, sla_state. Three queries at most, however many
    tickets there are.
    """
    statement = _READ.format(
        description="t.description" if "body" in asked else "''",
        sla="t.sla::text" if "sla_state" in asked else "NULL",
        tags=_TAGS if "tag" in asked else "NULL::text[]",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "workspace": workspace_id,
                "ids": list(ticket_ids),
                "since": since or dt.datetime.min.replace(tzinfo=dt.UTC),
                "all": events is None,
                "events": list(events or ()),
                "with_data": _WITH_DATA,
            },
        )
        found = {row[0]: _past(*row, names=names) for row in cursor.fetchall()}
    pasts = [found[pk] for pk in ticket_ids if pk in found]
    _know_customers(workspace_id, pasts)
    if "body" in asked:
        _know_bodies(workspace_id, pasts)
    return pasts


def _past(
    ticket_id: UUID,
    channel: str,
    status: str,
    priority: str,
    subject: str,
    description: str,
    category: str | None,
    team: str | None,
    assignee: str | None,
    first_assigned_at: str | None,
    first_response_at: str | None,
    sla: str | None,
    email: str,
    organization: str | None,
    own: str,
    companys: str | None,
    tags: list[str] | None,
    spans: str | None,
    log: str | None,
    *,
    names: Names,
) -> Past:
    now = Ticket(status, priority, subject, description, category, team, assignee, frozenset(tags or ()), email)
    return Past(
        ticket_id=ticket_id,
        channel=channel,
        now=now,
        first_assigned_at=_at(first_assigned_at),
        first_response_at=_at(first_response_at),
        deadlines=deadlines.read(orjson.loads(sla)) if sla else [],
        spans=[
            (user, dt.datetime.fromisoformat(began), _at(ended)) for user, began, ended in orjson.loads(spans or "[]")
        ],
        log=[
            Happening(pk, event, dt.datetime.fromisoformat(at), kind, changes, data or {})
            for pk, event, at, kind, changes, data in orjson.loads(log or "[]")
        ],
        customers={email: Customer(email, organization, _attributes(own, companys))},
        bodies={},
    )


def _at(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


@lru_cache(maxsize=4096)
def _attributes(own: str, companys: str | None) -> Mapping[str, Any]:
    """What is known about a customer; people may have written any JSON."""
    read = [orjson.loads(text or "null") for text in (companys, own)]
    return {name: value for one in read if isinstance(one, dict) for name, value in one.items()}


def _know_customers(workspace_id: UUID, pasts: Sequence[Past]) -> None:
    """The requesters that tickets had before, where one was changed."""
    wanted = {
        past.ticket_id: {change["from"] for one in past.log for change in _of(one.changes, "requester")}
        for past in pasts
    }
    emails = set().union(*wanted.values())
    if not emails:
        return
    rows = Contact.objects.for_workspace(workspace_id).filter(email__in=emails).select_related("organization")
    found = {
        row.email: Customer(
            row.email,
            str(row.organization_id) if row.organization_id else None,
            {
                **_dict(row.organization.attributes if row.organization else None),
                **_dict(row.attributes),
            },
        )
        for row in rows
    }
    for past in pasts:
        past.customers = {**{one: found[one] for one in wanted[past.ticket_id] if one in found}, **past.customers}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _know_bodies(workspace_id: UUID, pasts: Sequence[Past]) -> None:
    ids = [one.data["comment_id"] for past in pasts for one in past.log if one.event == Event.COMMENT_ADDED]
    if not ids:
        return
    rows = Comment.objects.for_workspace(workspace_id).filter(pk__in=ids).values_list("pk", "body")
    bodies = {str(pk): body for pk, body in rows}
    for past in pasts:
        past.bodies = bodies


def _of(changes: Sequence[Mapping[str, Any]], field_name: str) -> list[Mapping[str, Any]]:
    """The changes of a ticket's own field: a custom one may have the same name, but has a key."""
    return [change for change in changes if change["field"] == field_name and "key" not in change]


# --- Undoing ----------------------------------------------------------------------------------


class Rewinder:
    """Takes one ticket back in time; moments are asked for from the newest to the oldest."""

    def __init__(self, past: Past, names: Names) -> None:
        now = past.now
        self.past, self._names = past, names
        self._left = len(past.log)
        # Not a copy by name: a hundred thousand of them are made.
        self._ticket = Ticket(
            now.status, now.priority, now.subject, now.description, now.category, now.team, now.assignee, now.tags,
            now.requester,
        )  # fmt: skip

    def to(self, moment: dt.datetime) -> Ticket:
        """The ticket as it was at this moment, with everything done that happened in its instant.

        It is one object that goes further back with each call.
        """
        past, ticket = self.past, self._ticket
        while self._left and past.log[self._left - 1].at > moment:
            self._left -= 1
            for change in past.log[self._left].changes:
                if "key" not in change and (undo := _UNDO.get(change["field"])):
                    undo(ticket, change["from"], self._names)
        ticket.assignee = self._assignee(moment)
        ticket.is_new = ticket.status == Status.OPEN and not (
            _is_past(past.first_assigned_at, moment) or _is_past(past.first_response_at, moment)
        )
        return ticket

    def _assignee(self, moment: dt.datetime) -> str | None:
        spans = self.past.spans
        return next(
            (user for user, began, ended in spans if began <= moment and (ended is None or ended > moment)), None
        )

    def body(self, about: Happening, moment: dt.datetime) -> str:
        """The text that came with an event: the message as it stood then, or the description."""
        if about.event != Event.COMMENT_ADDED:
            return self._ticket.description
        comment_id = about.data["comment_id"]
        body = self.past.bodies.get(comment_id, "")
        for one in reversed(self.past.log):
            if one.at <= moment:
                break
            if one.event == Event.COMMENT_EDITED and one.data.get("comment_id") == comment_id:
                body = next((change["from"] for change in _of(one.changes, "body")), body)
        return body


def _is_past(at: dt.datetime | None, moment: dt.datetime) -> bool:
    return at is not None and at <= moment


def _set_category(ticket: Ticket, before: Any, names: Names) -> None:
    ticket.category = names.categories_by_name.get(before, before) if before else None


def _set_team(ticket: Ticket, before: Any, names: Names) -> None:
    ticket.team = names.teams_by_name.get(before, before) if before else None


def _set(name: str) -> Callable[[Ticket, Any, Names], None]:
    return lambda ticket, before, _names: setattr(ticket, name, before)


def _set_tags(ticket: Ticket, before: Any, names: Names) -> None:
    ticket.tags = frozenset(before or ())


_UNDO: dict[str, Callable[[Ticket, Any, Names], None]] = {
    **{name: _set(name) for name in ("status", "priority", "subject", "description", "requester")},
    "category": _set_category,
    "team": _set_team,
    "tags": _set_tags,
}

# --- Facts ------------------------------------------------------------------------------------


class Asked:
    """What a rule asks about, and how it is read off a ticket of the past."""

    def __init__(self, workspace_id: UUID, fields: Collection[str], names: Names) -> None:
        self.fields, self._names = frozenset(fields), names
        self._is_open = service_levels().opening(workspace_id) if "business_hours" in self.fields else None

    def facts(self, rewinder: Rewinder, about: Happening, moment: dt.datetime) -> Facts:
        """The facts of a ticket at a moment, about what happened then."""
        ticket, past, asked = rewinder.to(moment), rewinder.past, self.fields
        customer = past.customers.get(ticket.requester)
        attributes = customer.attributes if customer else {}
        choices: dict[str, frozenset[str]] = {}
        for name in asked:
            if name == "category":
                choices[name] = self._names.line_of(ticket.category)
            elif name in ("priority", "team", "assignee"):
                choices[name] = _one(getattr(ticket, name))
            elif name == "status":
                choices[name] = _pair(ticket.status, ticket.shown_status)
            elif name == "channel":
                choices[name] = _one(past.channel)
            elif name == "organization":
                choices[name] = _one(customer.organization if customer else None)
            elif name == "tag":
                choices[name] = frozenset(map(plain, ticket.tags))
            elif name == "language":
                choices[name] = words_of(attributes.get("language"))
            elif name == "requester":
                choices[name] = _address(ticket.requester)
            elif name == "sla_state":
                choices[name] = _one(state.value if (state := state_then(past.deadlines, moment)) else None)
            elif name == "rating" and about.event == Event.SATISFACTION_SUBMITTED:
                choices[name] = words_of(about.data["rating"])
        return Facts(
            choices=choices,
            texts={
                **({"subject": ticket.subject} if "subject" in asked else {}),
                **({"body": rewinder.body(about, moment)} if "body" in asked else {}),
            },
            attributes=attributes,
            in_business_hours=self._is_open is None or self._is_open(moment),
        )


@lru_cache(maxsize=8192)
def _one(value: str | None) -> frozenset[str]:
    return frozenset() if value is None else frozenset({plain(value)})


@lru_cache(maxsize=64)
def _pair(one: str, other: str) -> frozenset[str]:
    return frozenset({one, other})


@lru_cache(maxsize=8192)
def _address(email: str) -> frozenset[str]:
    return frozenset(map(plain, (email, "@" + email.rpartition("@")[2])))


def state_then(promises: Sequence[Deadline], moment: dt.datetime) -> State | None:
    """How it stood with a ticket's promises at an earlier moment, told from the promises of today.

    What was kept later was not kept yet; what began later was not promised yet.
    """
    then = [
        one._replace(run=Run.RUNNING, satisfied_at=None) if one.satisfied_at and one.satisfied_at > moment else one
        for one in promises
        if one.started_at <= moment
    ]
    return deadlines.state(then, moment)
