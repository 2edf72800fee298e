"""What rules ask about: a ticket as it is at the moment of an event."""

import datetime as dt
from collections.abc import Collection
from typing import Any
from uuid import UUID

from tickets import deadlines
from tickets.automation.conditions import FIELDS, NONE, Facts, plain
from tickets.automation.levels import service_levels
from tickets.events import Event
from tickets.models import Activity, Category, Comment, Ticket, TicketTag

_CHANGES = {
    "status": "status_changed",
    "priority": "priority_changed",
    "category": "category_changed",
    "assignee": "assignee_changed",
}
_EVENTS = {
    Event.CREATED: "created",
    Event.SLA_AT_RISK: "sla_at_risk",
    Event.SLA_BREACHED: "sla_breached",
}


def triggers_of(activity: Activity) -> list[str]:
    """The triggers that an activity pulls."""
    found = [_EVENTS[Event(activity.event)]] if activity.event in _EVENTS else []
    if activity.event == Event.COMMENT_ADDED:
        data = activity.payload["data"]
        if (
            not data.get("is_internal")
            and not data.get("is_automatic")
            and data["author_type"] in ("agent", "customer")
        ):
            found.append(f"{data['author_type']}_replied")
    found += [
        _CHANGES[change["field"]] for change in activity.changes if change["field"] in _CHANGES and "key" not in change
    ]
    return list(dict.fromkeys(found))


def facts_of(ticket: Ticket, activity: Activity, now: dt.datetime, *, asked: Collection[str] = FIELDS.keys()) -> Facts:
    """The facts of a (fresh) ticket.

    What takes a query of its own is looked up where `asked` names its field: however many rules
    ask for it, it is one query.
    """
    requester = ticket.requester
    company = requester.organization
    attributes = {**_attributes(company.attributes if company else None), **_attributes(requester.attributes)}
    state = deadlines.state(deadlines.read(ticket.sla), now)
    return Facts(
        choices={
            "category": _with_those_above(ticket) if "category" in asked else frozenset(),
            "priority": frozenset({ticket.priority}),
            "status": frozenset({ticket.status, ticket.display_status}),
            "channel": frozenset({ticket.channel}),
            "assignee": _one(ticket.assignee_id),
            "team": _one(ticket.team_id),
            "organization": _one(requester.organization_id),
            "tag": _tags(ticket) if "tag" in asked else frozenset(),
            "sla_state": _one(state.value if state else None),
            "language": _one(attributes.get("language")),
            "requester": frozenset(map(plain, (requester.email, "@" + requester.email.rpartition("@")[2]))),
        },
        texts={"subject": ticket.subject, "body": _body(ticket, activity) if "body" in asked else ""},
        attributes=attributes,
        in_business_hours="business_hours" not in asked or service_levels().is_open(ticket.workspace_id, now),
    )


def _one(value: Any) -> frozenset[str]:
    word = plain(value)
    return frozenset({word}) if word != NONE else frozenset()


def _attributes(kept: Any) -> dict[str, Any]:
    """What is known about a customer; people may have written any JSON."""
    return kept if isinstance(kept, dict) else {}


def _tags(ticket: Ticket) -> frozenset[str]:
    return frozenset(map(plain, TicketTag.objects.filter(ticket=ticket).values_list("tag__name", flat=True)))


def _body(ticket: Ticket, activity: Activity) -> str:
    """The text that came with the event: the message, or the description."""
    if activity.event != Event.COMMENT_ADDED:
        return ticket.description
    comment_id = activity.payload["data"]["comment_id"]
    bodies = Comment.objects.for_workspace(ticket.workspace_id).filter(pk=comment_id).values_list("body", flat=True)
    return str(bodies.first() or "")


def _with_those_above(ticket: Ticket) -> frozenset[str]:
    if ticket.category_id is None:
        return frozenset()
    parents = dict(Category.objects.for_workspace(ticket.workspace_id).values_list("pk", "parent_id"))
    found: set[str] = set()
    pk: UUID | None = ticket.category_id
    while pk is not None and str(pk) not in found:
        found.add(str(pk))
        pk = parents.get(pk)
    return frozenset(found)
