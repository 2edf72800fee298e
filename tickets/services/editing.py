"""What a ticket says about itself: fields, tags, watchers, participants, the trash."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Coalesce

from helpdesk.accounts.models import Membership
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets import markup, search, timeline
from tickets.events import Actor, Event
from tickets.lifecycle import Priority, Status
from tickets.models import Attachment, Participant, Ticket, TicketTag, Watcher
from tickets.services import assignment, base, status

FIELDS = frozenset(
    {
        "subject",
        "description",
        "priority",
        "category_id",
        "requester_email",
        "requester_name",
        "tags",
        "cc",
        "status",
        "assignee_id",
        "team_id",
        "custom_fields",
    }
)
TRASH_DAYS = 30


@transaction.atomic
def update_ticket(
    *,
    ticket: Ticket,
    changes: Mapping[str, Any],
    actor: Actor,
    now: dt.datetime,
    expected_version: int | None = None,
) -> Ticket:
    """Change the fields that are given, all or none; `status` goes through the lifecycle.

    Fields: subject, description, priority, category_id, requester_email, requester_name, tags and
    cc (whole lists), custom_fields (only the keys that are given; None takes an answer away),
    team_id, assignee_id (None takes it away), status. What is equal already is not recorded.

    Raises InvalidInput naming the field (also an unknown one), NotFound for foreign ids, Conflict
    for an illegal move, LostUpdate when the ticket is not at `expected_version`.
    """
    if unknown := sorted(set(changes) - FIELDS):
        raise InvalidInput("There is no such field.", errors={name: ["There is no such field."] for name in unknown})
    fresh = base.lock(ticket, expected_version=expected_version)
    _change_fields(fresh, changes, actor=actor, now=now)
    if "team_id" in changes:
        team = base.find_team(fresh.workspace_id, changes["team_id"])
        assignment.set_team_locked(fresh, team, actor=actor, now=now)
    if "assignee_id" in changes:
        user_id = changes["assignee_id"]
        user = base.find_assignee(fresh.workspace_id, user_id).user if user_id else None
        if fresh.status == Status.CLOSED.value and fresh.assignee_id != user_id:
            raise Conflict("The ticket is closed. Reopen it to change its assignee.", code="closed")
        assignment.assign_locked(fresh, user, actor=actor, now=now)
    if "status" in changes:
        wanted = base.choice("status", changes["status"], [s.value for s in Status])
        if wanted != fresh.status:
            status.move_locked(fresh, wanted, actor=actor, now=now)
    return fresh


def _change_fields(ticket: Ticket, changes: Mapping[str, Any], *, actor: Actor, now: dt.datetime) -> None:
    """The plain fields of `update_ticket`, in one save and one activity."""
    log: list[dict[str, Any]] = []
    fields: list[str] = []

    def put(field: str, value: Any, label: str = "", before: Any = None, after: Any = None) -> None:
        old = getattr(ticket, field)
        if old == value:
            return
        log.append(timeline.changed(label or field, before if label else old, after if label else value))
        setattr(ticket, field, value)
        fields.append(field)

    if "subject" in changes:
        put("subject", base.text("subject", changes["subject"], longest=base.SUBJECT_LENGTH, one_line=True))
    if "description" in changes:
        put("description", base.text("description", changes["description"], longest=base.TEXT_LENGTH))
        if "description" in fields:
            ticket.description_html = markup.render(ticket.description)
            fields.append("description_html")
    if "priority" in changes:
        put("priority", base.choice("priority", changes["priority"], [p.value for p in Priority]))
    if "category_id" in changes and changes["category_id"] != ticket.category_id:
        category = base.find_category(ticket.workspace_id, changes["category_id"])
        before = str(ticket.category) if ticket.category_id else None
        put("category", category, "category", before, str(category) if category else None)
    if "requester_email" in changes:
        address = base.email_address("requester_email", changes["requester_email"])
        if address != ticket.requester_email:
            put(
                "requester",
                base.find_contact(ticket.workspace_id, address),
                "requester",
                ticket.requester_email,
                address,
            )
            ticket.requester_email, ticket.requester_name = address, ticket.requester.name
            fields += ["requester_email", "requester_name"]
    if "requester_name" in changes:
        longest = base.NAME_LENGTH
        put(
            "requester_name",
            base.text("requester_name", changes["requester_name"], longest=longest, required=False, one_line=True),
        )
    if "tags" in changes:
        log += _set_tags(ticket, changes["tags"])
    if "cc" in changes:
        log += _set_cc(ticket, changes["cc"], now=now)
    if "custom_fields" in changes and (answered := _answer(ticket, changes["custom_fields"])):
        log += answered
        fields.append("custom_fields")
    if not log:
        return
    base.save(ticket, *dict.fromkeys(fields), now=now)
    if {"subject", "description"} & set(fields):
        search.index(ticket.pk)
    timeline.record(ticket=ticket, event=Event.UPDATED, actor=actor, now=now, changes=log)


def _answer(ticket: Ticket, values: Any) -> list[dict[str, Any]]:
    before = ticket.custom_fields
    given = base.clean_fields(ticket.workspace_id, values, stored=before)
    changed = {field: value for field, value in given.items() if before.get(field.key) != value}
    after = before | {field.key: value for field, value in changed.items()}
    ticket.custom_fields = {key: value for key, value in after.items() if value is not None}
    return [
        timeline.changed(field.label, before.get(field.key), value, key=field.key) for field, value in changed.items()
    ]


def _set_tags(ticket: Ticket, names: Any) -> list[dict[str, Any]]:
    wanted = base.find_tags(ticket.workspace_id, names)
    before = sorted(ticket.tags.values_list("name", flat=True))
    after = sorted(tag.name for tag in wanted)
    if before == after:
        return []
    TicketTag.objects.filter(ticket=ticket).exclude(tag__in=wanted).delete()
    TicketTag.objects.bulk_create([TicketTag(ticket=ticket, tag=tag) for tag in wanted], ignore_conflicts=True)
    return [timeline.changed("tags", before, after)]


def _set_cc(ticket: Ticket, addresses: Any, *, now: dt.datetime) -> list[dict[str, Any]]:
    if not isinstance(addresses, list | tuple):
        raise InvalidInput.of("cc", "This must be a list of e-mail addresses.")
    if len(addresses) > 50:
        raise InvalidInput.of("cc", "A ticket can have up to 50 people in copy.")
    wanted = {base.email_address("cc", address) for address in addresses} - {ticket.requester_email}
    before = {p.contact.email: p for p in ticket.participants.select_related("contact")}
    if set(before) == wanted:
        return []
    ticket.participants.filter(pk__in=[p.pk for address, p in before.items() if address not in wanted]).delete()
    for address in sorted(wanted - set(before)):
        contact = base.find_contact(ticket.workspace_id, address)
        Participant.unscoped.create(workspace_id=ticket.workspace_id, ticket=ticket, contact=contact, created_at=now)
    return [timeline.changed("cc", sorted(before), sorted(wanted))]


@transaction.atomic
def watch(*, ticket: Ticket, member: Membership, watching: bool, now: dt.datetime) -> None:
    """Let a member hear about a ticket, or no longer."""
    fresh = base.lock(ticket, merged=True)
    if watching:
        _, is_changed = Watcher.unscoped.get_or_create(
            ticket=fresh, user_id=member.user_id, defaults={"workspace_id": fresh.workspace_id, "created_at": now}
        )
    else:
        gone, _ = fresh.watchers.filter(user_id=member.user_id).delete()
        is_changed = gone > 0
    if is_changed:
        # The API shows the watchers: its ETag must not stay. The ticket itself was not worked on, so `updated_at` does.
        fresh.version += 1
        fresh.save(update_fields=["version"])


@transaction.atomic
def trash(*, ticket: Ticket, actor: Actor, now: dt.datetime) -> None:
    """Put a ticket into the trash: gone from every list, restorable for 30 days. Raises NotFound."""
    fresh = base.lock(ticket, merged=True)
    fresh.trashed_at, fresh.trashed_by_id = now, actor.user_id
    base.save(fresh, "trashed_at", "trashed_by", now=now)
    timeline.record(ticket=fresh, event=Event.TRASHED, actor=actor, now=now)


@transaction.atomic
def restore(*, workspace_id: UUID, ticket_id: UUID, actor: Actor, now: dt.datetime) -> Ticket:
    """Take a ticket back out of the trash. Raises NotFound when it is not there."""
    rows = Ticket.objects.for_workspace(workspace_id).trashed().select_for_update()
    ticket: Ticket | None = rows.filter(pk=ticket_id).first()
    if ticket is None:
        raise NotFound("There is no such ticket in the trash.")
    ticket.trashed_at = ticket.trashed_by_id = None
    base.save(ticket, "trashed_at", "trashed_by", now=now)
    timeline.record(ticket=ticket, event=Event.RESTORED, actor=actor, now=now)
    if ticket.status in (Status.OPEN.value, Status.PENDING.value):
        assignment.release_departed_locked(ticket, actor=actor, now=now)
    return ticket


def purge_trash(*, now: dt.datetime, limit: int = 200) -> int:
    """Delete for good what has been in the trash for 30 days, with its files; gives how many tickets."""
    purged = 0
    due = Ticket.unscoped.trashed().filter(trashed_at__lt=now - dt.timedelta(days=TRASH_DAYS))
    for pk in list(due.order_by("trashed_at").values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            ticket = due.select_for_update(skip_locked=True).filter(pk=pk).first()
            if ticket is None:
                continue
            with connection.cursor() as cursor:
                # The log refuses DELETE but for this transaction.
                cursor.execute("SET LOCAL helpdesk.purge = 'on'")
            # What was merged into it stays, as a ticket closed when it was merged.
            Ticket.unscoped.filter(merged_into=ticket).update(
                merged_into=None, resolved_at=Coalesce("resolved_at", "closed_at")
            )
            for attachment in ticket.attachments.all():
                _delete_after_commit(attachment)
            ticket.delete()
            purged += 1
    return purged


def _delete_after_commit(attachment: Attachment) -> None:
    """A file goes once its row is gone for good; a storage that fails keeps the file, not the row."""
    storage, name = attachment.file.storage, str(attachment.file.name)

    def delete() -> None:
        storage.delete(name)

    transaction.on_commit(delete, robust=True)
