"""What rules ask about: a ticket as it is at the moment of an event."""

import datetime as dt
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection

from tickets import deadlines
from tickets.automation.conditions import FIELDS, NONE, Facts, plain
from tickets.automation.levels import service_levels
from tickets.events import Event
from tickets.models import Activity

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
    Event.SATISFACTION_SUBMITTED: "satisfaction_rated",
}


def triggers_of(activity: Activity) -> list[str]:
    """The triggers that an activity pulls; those that wait for a time are pulled by the time alone.

    `customer_messages` is among them wherever a customer wrote; whether it was the last one of so
    many in a row, `customer_messages_in_a_row` counts.
    """
    found = [_EVENTS[Event(activity.event)]] if activity.event in _EVENTS else []
    if activity.event == Event.COMMENT_ADDED:
        data = activity.payload["data"]
        if (
            not data.get("is_internal")
            and not data.get("is_automatic")
            and data["author_type"] in ("agent", "customer")
        ):
            found.append(f"{data['author_type']}_replied")
            found += ["customer_messages"] if data["author_type"] == "customer" else []
    found += [
        _CHANGES[change["field"]] for change in activity.changes if change["field"] in _CHANGES and "key" not in change
    ]
    return list(dict.fromkeys(found))


_IN_A_ROW = """
SELECT count(*) FROM ticket_comments m
JOIN ticket_comments said ON said.id = %(comment)s AND said.ticket_id = m.ticket_id
WHERE m.author_type = 'customer' AND NOT m.is_internal AND NOT m.is_automatic AND NOT m.is_transcript
AND (m.created_at, m.id) <= (said.created_at, said.id)
AND NOT EXISTS (
    SELECT FROM ticket_comments answer
    WHERE answer.ticket_id = m.ticket_id AND answer.author_type = 'agent'
    AND NOT answer.is_internal AND NOT answer.is_automatic
    AND (answer.created_at, answer.id) > (m.created_at, m.id)
    AND (answer.created_at, answer.id) < (said.created_at, said.id)
)
"""


def customer_messages_in_a_row(activity: Activity) -> int:
    """How many messages the customers have written, up to this one, since an agent last answered."""
    with connection.cursor() as cursor:
        cursor.execute(_IN_A_ROW, {"comment": activity.payload["data"]["comment_id"]})
        return int(cursor.fetchone()[0])


# --- Facts ------------------------------------------------------------------------------------

# What is read of the ticket for each field, so that nothing is looked up that no rule asks about.
_COLUMNS = {
    "category": """ARRAY(
        WITH RECURSIVE up AS (
            SELECT k.id, k.parent_id FROM ticket_categories k WHERE k.id = t.category_id
            UNION SELECT k.id, k.parent_id FROM ticket_categories k JOIN up ON k.id = up.parent_id
        ) SELECT up.id::text FROM up)""",
    "priority": "t.priority",
    "status": "ARRAY[t.status, CASE WHEN t.is_new THEN 'new' ELSE t.status END]",
    "channel": "t.channel",
    "assignee": "t.assignee_id",
    "team": "t.team_id",
    "organization": "c.organization_id",
    "tag": "ARRAY(SELECT g.name FROM ticket_tags x JOIN tickets_tag g ON g.id = x.tag_id WHERE x.ticket_id = t.id)",
    "sla_state": "t.sla::text",
    "requester": "c.email",
    "subject": "t.subject",
    "body": "COALESCE((SELECT m.body FROM ticket_comments m WHERE m.id = %(comment)s::uuid), t.description)",
}
_ATTRIBUTES = ("c.attributes::text", "o.attributes::text")
_CHOICES = ("category", "priority", "status", "channel", "assignee", "team", "organization", "tag")


@lru_cache(maxsize=256)
def _statement(asked: frozenset[str]) -> tuple[str, list[str]]:
    """How these fields of a ticket are read, and the fields in the order of the columns."""
    fields = [field for field in _COLUMNS if field in asked]
    columns = ["t.id", *_ATTRIBUTES, *(_COLUMNS[field] for field in fields)]
    return (
        f"SELECT {', '.join(columns)} FROM tickets t "  # noqa: S608 - columns from the table above
        "JOIN accounts_contact c ON c.id = t.requester_id "
        "LEFT JOIN accounts_organization o ON o.id = c.organization_id "
        "WHERE t.workspace_id = %(workspace)s AND t.id = %(ticket)s"
    ), fields


def facts_of(activity: Activity, now: dt.datetime, *, asked: Collection[str] = FIELDS.keys()) -> Facts:
    """The facts of the activity's ticket as it is now: one query, and one for business hours where `asked`.

    The text is that of the message that the activity is about, else the ticket's description.
    """
    statement, fields = _statement(frozenset(asked))
    is_about = activity.payload["data"].get("comment_id") if activity.event == Event.COMMENT_ADDED else None
    with connection.cursor() as cursor:
        cursor.execute(
            statement, {"workspace": activity.workspace_id, "ticket": activity.ticket_id, "comment": is_about}
        )
        _, own, companys, *values = cursor.fetchone()
    read = dict(zip(fields, values, strict=True))
    attributes = {**_attributes(companys), **_attributes(own)}
    choices = {name: words_of(read[name]) for name in _CHOICES if name in read}
    choices["language"] = words_of(attributes.get("language"))
    if "requester" in read:
        choices["requester"] = frozenset(map(plain, (read["requester"], "@" + read["requester"].rpartition("@")[2])))
    if "sla_state" in read:
        state = deadlines.state(deadlines.read(orjson.loads(read["sla_state"] or "null")), now)
        choices["sla_state"] = words_of(state.value if state else None)
    if "rating" in asked and activity.event == Event.SATISFACTION_SUBMITTED:
        choices["rating"] = words_of(activity.payload["data"]["rating"])
    return Facts(
        choices=choices,
        texts={name: read[name] for name in ("subject", "body") if name in read},
        attributes=attributes,
        in_business_hours="business_hours" not in asked or service_levels().is_open(activity.workspace_id, now),
    )


def words_of(value: Any) -> frozenset[str]:
    """What a ticket has, as tests compare it."""
    words = map(plain, value if isinstance(value, list) else [value])
    return frozenset(word for word in words if word != NONE)


def _attributes(kept: str | None) -> dict[str, Any]:
    """What is known about a customer; people may have written any JSON."""
    read = orjson.loads(kept or "null")
    return read if isinstance(read, dict) else {}
