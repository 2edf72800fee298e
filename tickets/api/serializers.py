"""What the tickets API takes and gives.

Input serializers check types and name what is unknown; the services judge the values. Output
serializers describe the answers for the schema; the functions at the end write them, from plain
rows, because a page of twenty tickets should not cost twenty serializers.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import OuterRef
from django.urls import reverse
from rest_framework import serializers

from helpdesk.api.views import StrictSerializer
from tickets import deadlines, feed
from tickets.deadlines import STATES, Deadline, Goal, State
from tickets.events import Event
from tickets.lifecycle import Priority, Status
from tickets.models import (
    CHANNELS,
    Activity,
    Attachment,
    CannedResponse,
    Category,
    FeedEntry,
    Field,
    Participant,
    Ticket,
    Watcher,
)
from tickets.models.setup import FIELD_KINDS
from tickets.models.ticket import TicketTag
from tickets.services import base, files

STATUSES = [status.value for status in Status]
PRIORITIES = [priority.value for priority in Priority]
KINDS = [kind for kind, _ in FIELD_KINDS]
LINK_KINDS = ["related", "parent", "follow_up"]
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


# --- Fields -----------------------------------------------------------------------------------


class Id(serializers.UUIDField):
    """A UUID as text, with its hyphens."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value=data)
        return UUID(data)


def _addresses() -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=254), max_length=50, required=False)


def _tags() -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=40), max_length=50, required=False)


def _answers() -> serializers.DictField:
    return serializers.DictField(
        required=False,
        help_text="Custom fields by key: a line of text, a number, an option, true or false, or a date like "
        "2026-03-31. Null takes an answer away; keys that are not sent stay.",
    )


# --- Input ------------------------------------------------------------------------------------


class TicketIn(StrictSerializer):
    """A new ticket."""

    subject = serializers.CharField(max_length=base.SUBJECT_LENGTH)
    description = serializers.CharField(max_length=base.TEXT_LENGTH)
    requester_email = serializers.CharField(max_length=254, help_text="The customer's e-mail address.")
    requester_name = serializers.CharField(max_length=base.NAME_LENGTH, required=False, allow_blank=True)
    priority = serializers.ChoiceField(choices=PRIORITIES, required=False, help_text="`medium` unless given.")
    category_id = Id(required=False, allow_null=True)
    assignee_id = Id(required=False, allow_null=True)
    team_id = Id(required=False, allow_null=True)
    tags = _tags()
    cc = _addresses()
    custom_fields = _answers()


class TicketChanges(StrictSerializer):
    """The fields to change; those that are not sent stay."""

    subject = serializers.CharField(max_length=base.SUBJECT_LENGTH, required=False)
    description = serializers.CharField(max_length=base.TEXT_LENGTH, required=False)
    requester_email = serializers.CharField(max_length=254, required=False)
    requester_name = serializers.CharField(max_length=base.NAME_LENGTH, required=False, allow_blank=True)
    status = serializers.ChoiceField(
        choices=STATUSES, required=False, help_text="Goes through the lifecycle: an illegal move is a 409."
    )
    priority = serializers.ChoiceField(choices=PRIORITIES, required=False)
    category_id = Id(required=False, allow_null=True)
    assignee_id = Id(required=False, allow_null=True)
    team_id = Id(required=False, allow_null=True)
    tags = _tags()
    cc = _addresses()
    custom_fields = _answers()


class Nothing(StrictSerializer):
    """An action that takes no fields."""


class AssignIn(StrictSerializer):
    """Whom to give the ticket to."""

    assignee_id = Id()


class MergeIn(StrictSerializer):
    """The ticket that this one becomes a part of."""

    target_id = Id()


class SplitIn(StrictSerializer):
    """The comment that begins the new ticket."""

    comment_id = Id()
    subject = serializers.CharField(max_length=base.SUBJECT_LENGTH)


class LinkIn(StrictSerializer):
    """Another ticket and what it is to this one."""

    other_id = Id()
    kind = serializers.ChoiceField(
        choices=LINK_KINDS, help_text="`parent`: this ticket is the parent; `follow_up`: the other follows."
    )


class CommentIn(StrictSerializer):
    """A new comment."""

    body = serializers.CharField(max_length=base.TEXT_LENGTH, help_text="Markdown.")
    is_internal = serializers.BooleanField(required=False, default=False, help_text="A note that only agents see.")
    attachment_ids = serializers.ListField(
        child=Id(), max_length=50, required=False, help_text="Files that you uploaded to this ticket before."
    )


class CommentChanges(StrictSerializer):
    """The new text of a comment."""

    body = serializers.CharField(max_length=base.TEXT_LENGTH, help_text="Markdown.")


class CategoryIn(StrictSerializer):
    """A new category."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    color = serializers.CharField(max_length=7, required=False, help_text="Like #3B82F6.")
    parent_id = Id(required=False, allow_null=True)


class CategoryChanges(CategoryIn):
    """The fields to change; those that are not sent stay."""

    name = serializers.CharField(max_length=80, required=False)


class FieldIn(StrictSerializer):
    """A new custom field."""

    key = serializers.CharField(
        max_length=40, help_text="A lower-case letter, then lower-case letters, digits and _. It stays."
    )
    # `label` is also an attribute of every field of Django REST framework.
    label = serializers.CharField(max_length=60, help_text="What people read.")  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=KINDS, help_text="It stays.")
    options = serializers.ListField(
        child=serializers.CharField(max_length=80), max_length=100, required=False, help_text="Of a choice: 1 to 100."
    )
    is_required = serializers.BooleanField(
        required=False, help_text="Asked of agents in the console; a ticket that comes in is never refused for it."
    )
    position = serializers.IntegerField(
        min_value=1, required=False, help_text="Its place, from 1; the others make room. The last unless given."
    )


class FieldChanges(FieldIn):
    """The properties to change; those that are not sent stay. The key and the kind can only be sent as they are."""

    key = serializers.CharField(max_length=40, required=False)
    label = serializers.CharField(max_length=60, required=False)  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=KINDS, required=False)


class CannedResponseIn(StrictSerializer):
    """A new canned response."""

    title = serializers.CharField(max_length=120)
    shortcut = serializers.CharField(
        max_length=41, help_text="Lower-case letters, digits, - and _; a / before it is dropped."
    )
    content = serializers.CharField(
        max_length=20_000, help_text="`{{customer_name}}`, `{{ticket_number}}` and `{{agent_name}}` are filled in."
    )
    category_id = Id(required=False, allow_null=True)


class CannedResponseChanges(CannedResponseIn):
    """The fields to change; those that are not sent stay."""

    title = serializers.CharField(max_length=120, required=False)
    shortcut = serializers.CharField(max_length=41, required=False)
    content = serializers.CharField(max_length=20_000, required=False)


class Upload(StrictSerializer):
    """A file, as multipart/form-data."""

    file = serializers.FileField(allow_empty_file=True, max_length=None)


# --- Output, as the schema shows it -----------------------------------------------------------


class PromiseOut(serializers.Serializer):
    """How it stands with one promise of the service levels."""

    state = serializers.ChoiceField(choices=[state.value for state in State])
    target_seconds = serializers.IntegerField(help_text="Business time.")
    due_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is paused and was not due before.")
    at_risk_at = serializers.DateTimeField(allow_null=True)
    satisfied_at = serializers.DateTimeField(allow_null=True)


class TicketSLA(serializers.Serializer):
    """How it stands with the service levels; `GET /api/tickets/:id/sla` explains it."""

    state = serializers.ChoiceField(
        choices=[state.value for state in STATES], allow_null=True, help_text="The worst of them."
    )
    policy_id = serializers.UUIDField()
    policy_name = serializers.CharField()
    first_response = PromiseOut(allow_null=True)
    next_response = PromiseOut(allow_null=True, help_text="The latest answer that the customer waited for.")
    resolution = PromiseOut(allow_null=True)


class TicketItem(serializers.Serializer):
    """A ticket in a list."""

    id = serializers.UUIDField()
    ticket_number = serializers.CharField(help_text="Like #1001.")
    subject = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    priority = serializers.ChoiceField(choices=PRIORITIES)
    requester_email = serializers.CharField()
    requester_name = serializers.CharField()
    assignee_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    sla = TicketSLA(allow_null=True, help_text="Null where nothing is promised.")


class TrashedItem(TicketItem):
    """A ticket in the trash."""

    trashed_at = serializers.DateTimeField()


class TicketCreated(serializers.Serializer):
    """A ticket that was just made."""

    id = serializers.UUIDField()
    ticket_number = serializers.CharField()
    subject = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    priority = serializers.ChoiceField(choices=PRIORITIES)
    created_at = serializers.DateTimeField()


class TicketDetail(TicketItem):
    """A ticket with everything it says about itself."""

    description = serializers.CharField()
    is_new = serializers.BooleanField(help_text="Open, and no agent has been assigned or has answered.")
    category_id = serializers.UUIDField(allow_null=True)
    team_id = serializers.UUIDField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    cc = serializers.ListField(child=serializers.CharField(), help_text="Addresses of customers who take part.")
    watcher_ids = serializers.ListField(child=serializers.UUIDField())
    channel = serializers.ChoiceField(choices=[key for key, _ in CHANNELS])
    first_response_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    next_deadline_at = serializers.DateTimeField(allow_null=True)
    merged_into_id = serializers.UUIDField(allow_null=True)
    custom_fields = serializers.DictField(
        help_text="Every custom field by its key, in their order; null without an answer."
    )
    version = serializers.IntegerField(help_text="Counts changes; the ETag.")


class AttachmentOut(serializers.Serializer):
    """A file."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    content_type = serializers.CharField(help_text="Recognised from the content.")
    url = serializers.CharField(help_text="Where to download it, for 15 minutes, without a token.")


class TicketAttachmentOut(AttachmentOut):
    """A file of a ticket and where it belongs."""

    comment_id = serializers.UUIDField(allow_null=True, help_text="None: of the description, or waiting for a comment.")
    is_internal = serializers.BooleanField(help_text="Seen by agents only.")
    created_at = serializers.DateTimeField()


class DeliveryOut(serializers.Serializer):
    """How the mail of a message fares."""

    state = serializers.ChoiceField(
        choices=["waiting", "sent", "partly", "failed", "bounced", "held", "cancelled"],
        help_text="`partly`: some recipients only.",
    )
    at = serializers.DateTimeField(help_text="Since when; of `waiting`: when it will be sent.")
    to = serializers.ListField(child=serializers.CharField(), help_text="Addresses.")
    reason = serializers.CharField(help_text="Why it failed, bounced or is held, in words; else empty.")


class CommentOut(serializers.Serializer):
    """A message or a note."""

    id = serializers.UUIDField()
    ticket_id = serializers.UUIDField()
    body = serializers.CharField()
    author_type = serializers.ChoiceField(choices=["agent", "customer", "system"])
    author_name = serializers.CharField()
    is_internal = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    body_html = serializers.CharField(help_text="The body as sanitised HTML.")
    attachments = AttachmentOut(many=True)
    edited_at = serializers.DateTimeField(allow_null=True)
    channel = serializers.ChoiceField(choices=[key for key, _ in CHANNELS])
    folded_text = serializers.CharField(help_text="Quoted history and signature of a mail; else empty.")
    delivery = DeliveryOut(allow_null=True, help_text="Null where no mail was to be sent.")


class ChangeOut(serializers.Serializer):
    """What changed, in words that people read."""

    field = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field]:
        # `from` is a word of Python.
        return super().get_fields() | {
            "from": serializers.JSONField(allow_null=True),
            "to": serializers.JSONField(allow_null=True),
            "key": serializers.CharField(required=False, help_text="Of the answer to a custom field: its key."),
        }


class ActivityOut(serializers.Serializer):
    """Something that happened to a ticket."""

    id = serializers.UUIDField()
    event = serializers.CharField(help_text="Like ticket.created.")
    occurred_at = serializers.DateTimeField()
    actor_type = serializers.CharField(help_text="agent, customer, system or automation.")
    actor_id = serializers.UUIDField(allow_null=True)
    actor_name = serializers.CharField()
    changes = ChangeOut(many=True)
    data = serializers.DictField(  # type: ignore[assignment]
        help_text="What belongs to this event, like a comment's id."
    )


class FeedEventOut(serializers.Serializer):
    """Something that happened, as the feed tells it. `event`, `timestamp` and `data` are those of its webhook."""

    cursor = serializers.CharField(help_text="Where it stands in the feed.")
    id = serializers.UUIDField(help_text="The same as the activity's, and as `webhook-id`.")
    event = serializers.ChoiceField(choices=[event.value for event in Event])
    timestamp = serializers.DateTimeField(help_text="When it happened; for imports, in the past.")
    recorded_at = serializers.DateTimeField(help_text="When it was written down.")
    ticket_id = serializers.UUIDField()
    ticket_number = serializers.CharField()
    actor_type = serializers.CharField(help_text="agent, customer, system or automation.")
    actor_id = serializers.UUIDField(allow_null=True)
    actor_name = serializers.CharField()
    changes = ChangeOut(many=True)
    data = serializers.DictField(  # type: ignore[assignment]
        help_text="What webhooks say of it: the ticket as it was then, and what belongs to this event."
    )
    is_replay = serializers.BooleanField(help_text="The past, told by an import.")


class LinkOut(serializers.Serializer):
    """A related ticket."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(
        choices=[*LINK_KINDS, "child", "follows"],
        help_text="What this ticket is to the other. `follow_up`: the other comes after it; `follows`: before it.",
    )
    other_id = serializers.UUIDField()
    other_number = serializers.CharField()
    other_subject = serializers.CharField()
    other_status = serializers.CharField(help_text="One of the four statuses.")
    created_at = serializers.DateTimeField()


class CategoryOut(serializers.Serializer):
    """A topic of tickets."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    color = serializers.CharField()
    parent_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()


class FieldOut(serializers.Serializer):
    """A custom field of tickets."""

    id = serializers.UUIDField()
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=KINDS)
    options = serializers.ListField(child=serializers.CharField())
    is_required = serializers.BooleanField()
    position = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class CannedResponseOut(serializers.Serializer):
    """A saved reply."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    shortcut = serializers.CharField()
    category_id = serializers.UUIDField(allow_null=True)
    content = serializers.CharField()
    usage_count = serializers.IntegerField()
    created_by_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TagOut(serializers.Serializer):
    """A word that agents put on tickets."""

    id = serializers.UUIDField()
    name = serializers.CharField()


# --- Output, as it is written -----------------------------------------------------------------

ITEM_FIELDS = (
    "id",
    "ticket_number",
    "subject",
    "status",
    "priority",
    "requester_email",
    "requester_name",
    "assignee_id",
    "created_at",
    "updated_at",
    "sla",
)
_DETAIL_FIELDS = (
    *ITEM_FIELDS,
    "description",
    "is_new",
    "category_id",
    "team_id",
    "channel",
    "first_response_at",
    "resolved_at",
    "closed_at",
    "next_deadline_at",
    "merged_into_id",
    "custom_fields",
    "version",
)
COMMENT_FIELDS = (
    "id",
    "ticket_id",
    "body",
    "author_type",
    "author_name",
    "is_internal",
    "created_at",
    "body_html",
    "edited_at",
    "channel",
    "folded_text",
    "delivery",
)
CATEGORY_FIELDS = ("id", "name", "description", "color", "parent_id", "created_at")
FIELD_FIELDS = ("id", "key", "label", "kind", "options", "is_required", "position", "created_at")
CANNED_FIELDS = (
    "id",
    "title",
    "shortcut",
    "category_id",
    "content",
    "usage_count",
    "created_by_id",
    "created_at",
    "updated_at",
)


def iso(moment: dt.datetime) -> str:
    """A time as the API writes it: UTC, whole seconds, like 2024-01-15T10:30:00Z."""
    if moment.tzinfo is not dt.UTC:
        moment = moment.astimezone(dt.UTC)
    return moment.isoformat()[:19] + "Z"


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of values as JSON writes it: ids and times become text."""
    written: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dt.datetime):
            value = iso(value)
        elif isinstance(value, UUID):
            value = str(value)
        written[name] = value
    return written


def ticket_item(row: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    """A ticket in a list, as it stands at `now`."""
    return plain(row) | {"sla": ticket_sla(row["sla"], now)}


def ticket_sla(document: Mapping[str, Any] | None, now: dt.datetime) -> dict[str, Any] | None:
    """What a ticket tells of its deadlines at `now`."""
    if not document:
        return None
    told = deadlines.read(document)
    state = deadlines.state(told, now)
    by_goal = {one.goal: one for one in told}
    return {
        "state": state.value if state else None,
        "policy_id": document["policy"]["id"],
        "policy_name": document["policy"]["name"],
        **{goal.value: _promise(by_goal[goal], now) if goal in by_goal else None for goal in Goal},
    }


def _promise(one: Deadline, now: dt.datetime) -> dict[str, Any]:
    return {
        "state": one.state(now).value,
        "target_seconds": int(one.target.total_seconds()),
        "due_at": iso(one.due_at) if one.due_at else None,
        "at_risk_at": iso(one.at_risk_at) if one.at_risk_at else None,
        "satisfied_at": iso(one.satisfied_at) if one.satisfied_at else None,
    }


def of(row: Any, fields: Iterable[str]) -> dict[str, Any]:
    """These fields of a model's instance, as JSON writes them."""
    return plain({name: getattr(row, name) for name in fields})


def ticket_created(ticket: Ticket) -> dict[str, Any]:
    """The answer to a create."""
    fields = ("id", "ticket_number", "subject", "status", "priority", "created_at")
    return of(ticket, fields)


_SOME_WORKSPACE, _SOME_TICKET = UUID(int=1), UUID(int=2)


@cache
def _detail_query() -> tuple[str, tuple[Any, ...]]:
    """The SQL of one ticket in full, with stand-ins for the ids.

    Written by Django once for each process: that takes three times as long as running it.
    """
    tags = TicketTag.objects.filter(ticket=OuterRef("pk")).order_by("tag__name").values("tag__name")
    cc = Participant.unscoped.filter(ticket=OuterRef("pk")).order_by("contact__email").values("contact__email")
    watchers = Watcher.unscoped.filter(ticket=OuterRef("pk")).order_by("created_at", "pk").values("user_id")
    keys = Field.objects.for_workspace(_SOME_WORKSPACE).filter(archived_at=None).order_by("position").values("key")
    live = Ticket.objects.for_workspace(_SOME_WORKSPACE).live().filter(pk=_SOME_TICKET)
    query: tuple[str, tuple[Any, ...]] = live.values(
        *_DETAIL_FIELDS,
        tag_names=ArraySubquery(tags),
        cc=ArraySubquery(cc),
        watcher_ids=ArraySubquery(watchers),
        field_keys=ArraySubquery(keys),
    ).query.sql_with_params()
    return query


def ticket_detail(workspace_id: UUID, ticket_id: UUID, now: dt.datetime) -> tuple[dict[str, Any], str] | None:
    """A live ticket of the workspace in full at `now`, and its ETag, in one query; None when there is none.

    The ETag is the version, and how many deadlines have come since: what the ticket tells of its
    service levels changes with the time, too.
    """
    sql, stand_ins = _detail_query()
    ids = {_SOME_WORKSPACE: workspace_id, _SOME_TICKET: ticket_id}
    with connection.cursor() as cursor:
        cursor.execute(sql, [ids.get(value, value) for value in stand_ins])
        row = cursor.fetchone()
        names = [column.name for column in cursor.description]
    if row is None:
        return None
    found = dict(zip(names, row, strict=True))
    found["watcher_ids"] = [str(pk) for pk in found["watcher_ids"]]
    found["tags"] = found.pop("tag_names")
    answers = json.loads(found["custom_fields"])  # a bare cursor of Django gives JSON as text
    found["custom_fields"] = {key: answers.get(key) for key in found.pop("field_keys")}
    document = json.loads(found["sla"]) if found["sla"] else None
    found["sla"] = ticket_sla(document, now)
    passed = deadlines.crossed(deadlines.read(document), now)
    return plain(found), f"{found['version']}-{passed}" if passed else f"{found['version']}"


def attachment(row: Attachment) -> dict[str, Any]:
    """A file with a link that opens it for 15 minutes."""
    url = reverse("tickets_api:attachment", args=[row.pk])
    return {
        "id": str(row.pk),
        "name": row.name,
        "size": row.size,
        "content_type": row.content_type,
        "url": f"{url}?signature={files.sign(row)}",
    }


def ticket_attachment(row: Attachment) -> dict[str, Any]:
    """A file with where it belongs."""
    return attachment(row) | of(row, ("comment_id", "is_internal", "created_at"))


def comments(rows: Iterable[Mapping[str, Any]], attached: Iterable[Attachment]) -> list[dict[str, Any]]:
    """Comments with their files."""
    by_comment: dict[Any, list[dict[str, Any]]] = {}
    for row in attached:
        by_comment.setdefault(row.comment_id, []).append(attachment(row))
    return [
        plain(row) | {"delivery": _delivery(row["delivery"]), "attachments": by_comment.get(row["id"], [])}
        for row in rows
    ]


def _delivery(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How a comment's mail fares, with its time as the API writes times."""
    return {**told, "at": iso(dt.datetime.fromisoformat(told["at"]))} if told else None


def activity(row: Activity) -> dict[str, Any]:
    """A line of the log."""
    data = row.payload.get("data", {})
    known = {"ticket_id", "ticket_number", "subject", "priority", "changes"}
    return {
        "id": str(row.pk),
        "event": row.event,
        "occurred_at": iso(row.occurred_at),
        "actor_type": row.actor_kind,
        "actor_id": str(row.actor_user_id or row.actor_contact_id or "") or None,
        "actor_name": row.actor_name,
        "changes": row.changes,
        "data": {name: value for name, value in data.items() if name not in known},
    }


def feed_event(entry: FeedEntry) -> dict[str, Any]:
    """An entry of the feed, with its activity loaded."""
    told, data = activity(entry.activity), entry.activity.payload.get("data", {})
    return {
        "cursor": feed.cursor_of(entry.position or 0),
        "id": told["id"],
        "event": told["event"],
        "timestamp": told["occurred_at"],
        "recorded_at": iso(entry.activity.recorded_at),
        "ticket_id": str(entry.activity.ticket_id),
        "ticket_number": data.get("ticket_number", ""),
        "actor_type": told["actor_type"],
        "actor_id": told["actor_id"],
        "actor_name": told["actor_name"],
        "changes": told["changes"],
        "data": data,
        "is_replay": entry.is_replay,
    }


def category(row: Category) -> dict[str, Any]:
    """A category."""
    return of(row, CATEGORY_FIELDS)


def field(row: Field) -> dict[str, Any]:
    """A custom field."""
    return of(row, FIELD_FIELDS)


def canned_response(row: CannedResponse) -> dict[str, Any]:
    """A canned response."""
    return of(row, CANNED_FIELDS)


_OTHER_SIDE = {"related": "related", "parent": "child", "follow_up": "follows"}


def link(row: Any, ticket_id: UUID) -> dict[str, Any]:
    """A link (with both its tickets loaded), seen from the ticket `ticket_id`."""
    is_ours = row.ticket_id == ticket_id
    other: Ticket = row.other if is_ours else row.ticket
    return {
        "id": str(row.pk),
        "kind": row.kind if is_ours else _OTHER_SIDE[row.kind],
        "other_id": str(other.pk),
        "other_number": other.ticket_number,
        "other_subject": other.subject,
        "other_status": other.status,
        "created_at": iso(row.created_at),
    }
