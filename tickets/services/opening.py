"""A ticket begins."""

import datetime as dt
from collections.abc import Mapping
from collections.abc import Sequence as List
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from helpdesk.accounts.models import Workspace
from tickets import markup, search, timeline
from tickets.events import Actor, ActorKind, Event
from tickets.lifecycle import Priority
from tickets.models import CHANNELS, Assignment, Attachment, Participant, Ticket, TicketTag
from tickets.services import base

_RESERVE = """
INSERT INTO ticket_sequences (workspace_id, last_number) VALUES (%s, %s)
ON CONFLICT (workspace_id) DO UPDATE SET last_number = ticket_sequences.last_number + %s
RETURNING last_number
"""
FIRST_NUMBER = 1001


def reserve_numbers(workspace_id: UUID, count: int) -> range:
    """The next `count` ticket numbers of the workspace, for nobody else from then on.

    The row stays locked until the transaction ends. So a number that is taken in the transaction
    which opens the ticket becomes visible in rising order, and is given back by a create that is
    rolled back; one that is reserved before, for tickets that several connections open, is neither.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, [workspace_id, FIRST_NUMBER + count - 1, count])
        last = int(cursor.fetchone()[0])
    return range(last - count + 1, last + 1)


@transaction.atomic
def open_ticket(
    *,
    workspace: Workspace,
    subject: str,
    description: str,
    requester_email: str,
    channel: str,
    actor: Actor,
    now: dt.datetime,
    requester_name: str = "",
    priority: str = Priority.MEDIUM.value,
    category_id: UUID | None = None,
    assignee_id: UUID | None = None,
    team_id: UUID | None = None,
    tags: List[str] = (),
    cc: List[str] = (),
    attachments: List[Attachment] = (),
    external_id: str | None = None,
    number: int | None = None,
    custom_fields: Mapping[str, Any] | None = None,
    is_complete: bool = False,
    original: base.Original | None = None,
) -> Ticket:
    """Open a ticket for a customer, who becomes a contact of the workspace if they are new.

    `is_complete` asks for every required custom field: of an agent who fills in the form, never of
    a ticket that comes in. `number` is one that the caller has reserved; otherwise it is the next.
    With an `original` the description is its plain text; otherwise it is Markdown.

    Raises InvalidInput naming the field, NotFound for a category, agent or team that is not of this
    workspace.
    """
    subject = base.text("subject", subject, longest=base.SUBJECT_LENGTH, one_line=True)
    description = base.text("description", description, longest=base.TEXT_LENGTH)
    address = base.email_address("requester_email", requester_email)
    name = base.text("requester_name", requester_name, longest=base.NAME_LENGTH, required=False, one_line=True)
    priority = base.choice("priority", priority, [p.value for p in Priority])
    channel = base.choice("channel", channel, [key for key, _ in CHANNELS])
    category = base.find_category(workspace.pk, category_id)
    team = base.find_team(workspace.pk, team_id)
    assignee = base.find_assignee(workspace.pk, assignee_id).user if assignee_id else None
    labels = base.find_tags(workspace.pk, tags) if tags else []
    asks = is_complete or custom_fields is not None
    answers = (
        base.clean_fields(workspace.pk, {} if custom_fields is None else custom_fields, complete=is_complete)
        if asks
        else {}
    )
    others = [a for a in dict.fromkeys(base.email_address("cc", a) for a in cc) if a != address]
    # In one order for everybody, and before the number: two who write to the same new people at once
    # would wait for each other.
    people = {a: base.find_contact(workspace.pk, a, name if a == address else "") for a in sorted([address, *others])}
    contact = people[address]

    ticket = Ticket(
        workspace=workspace,
        number=reserve_numbers(workspace.pk, 1)[0] if number is None else number,
        subject=subject,
        description=description,
        description_html=original.shown(description) if original else markup.render(description),
        **(original.kept() if original else {}),
        priority=priority,
        channel=channel,
        requester=contact,
        requester_email=address,
        # A customer who only says that the address is theirs must not read its owner's name off the ticket.
        requester_name=name or ("" if actor.kind is ActorKind.CUSTOMER else contact.name),
        category=category,
        team=team,
        assignee=assignee,
        first_assigned_at=now if assignee else None,
        created_by_id=actor.user_id,
        created_at=now,
        updated_at=now,
        last_message_at=now,
        external_id=external_id,
        custom_fields={field.key: value for field, value in answers.items() if value is not None},
    )
    ticket.save(force_insert=True)
    TicketTag.objects.bulk_create([TicketTag(ticket=ticket, tag=tag) for tag in labels])
    for other in others:
        Participant.unscoped.create(workspace=workspace, ticket=ticket, contact=people[other], created_at=now)
    for attachment in attachments:
        attachment.ticket = ticket
        attachment.save()
    search.index(ticket.pk, characters=len(subject) + len(description))

    data: dict[str, Any] = {}
    timeline.record(ticket=ticket, event=Event.CREATED, actor=actor, now=now, data=data)
    if assignee:
        Assignment.unscoped.create(
            workspace=workspace,
            ticket=ticket,
            assignee=assignee,
            team=team,
            assigned_by_id=actor.user_id if actor.kind is ActorKind.AGENT else None,
            assigned_at=now,
        )
        timeline.record(
            ticket=ticket,
            event=Event.ASSIGNED,
            actor=actor,
            now=now,
            changes=[timeline.changed("assignee", None, str(assignee))],
            data={"assignee_id": str(assignee.pk)},
        )
    return ticket
