"""What happens on tickets becomes mail: rows that are queued in the transaction of the change itself.

A change that is rolled back takes its mails with it, and a change that is committed has them. Nothing is
sent here; `services.sending` does, after the commit.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection

from helpdesk.accounts.models import Contact, new_id
from tickets import dispatch
from tickets.events import ActorKind, Event
from tickets.mail import tokens
from tickets.mail.models import Incoming, Mailbox, MailSettings, Outgoing
from tickets.mail.services import delivery, notices
from tickets.mail.services.base import Member, Person
from tickets.models import Activity, Ticket
from tickets.services.base import is_reachable

SEND_TASK = "tickets.mail.tasks.send_outgoing"
IS_TEST = "This is a test workspace."
# A customer who came in by one of these is told that the request has come.
ACKNOWLEDGED = frozenset({"email", "portal", "chat", "api"})


@dataclass(frozen=True)
class Context:
    """What is asked of a ticket and its workspace before mail about it is queued."""

    is_test: bool
    undo: dt.timedelta
    acknowledges: bool
    tells_resolution: bool
    mailbox_id: UUID | None
    domain: str
    customers: tuple[Person, ...]  # the requester first, then who takes part besides; each address once


# In SQL of its own: each message that comes in asks it, and to put it together anew takes longer than to answer it.
_CONTEXTS = """
SELECT ticket.id, ticket.requester_id, ticket.requester_email, ticket.requester_name, workspace.is_test,
       own.undo_seconds, own.acknowledges, own.tells_resolution, mailbox.id, mailbox.address,
       (SELECT jsonb_agg(jsonb_build_array(contact.id, contact.email, contact.name)
                         ORDER BY participant.created_at, participant.id)
          FROM ticket_participants participant
          JOIN accounts_contact contact ON contact.id = participant.contact_id
         WHERE participant.ticket_id = ticket.id)::text
  FROM tickets ticket
  JOIN accounts_workspace workspace ON workspace.id = ticket.workspace_id
  LEFT JOIN mail_settings own ON own.workspace_id = ticket.workspace_id
  LEFT JOIN mail_mailboxes mailbox ON mailbox.id = COALESCE(
       (SELECT came_to.id
          FROM mail_incoming incoming
          JOIN mail_mailboxes came_to ON came_to.id = incoming.mailbox_id AND came_to.is_active
         WHERE incoming.ticket_id = ticket.id
         ORDER BY incoming.received_at DESC, incoming.id DESC LIMIT 1),
       (SELECT other.id
          FROM mail_mailboxes other
         WHERE other.workspace_id = ticket.workspace_id AND other.is_active
         ORDER BY other.is_default DESC, other.created_at, other.id LIMIT 1))
 WHERE ticket.id = ANY(%s)
"""


def contexts(tickets: Iterable[Ticket]) -> dict[UUID, Context]:
    """The context of each ticket by its id, in one query."""
    default = MailSettings()
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(_CONTEXTS, [list({ticket.pk for ticket in tickets})])
        for pk, requester_id, email, name, is_test, undo, acknowledges, tells, mailbox_id, address, others in cursor:
            people = [Person(requester_id, email, name)]
            people += [Person(UUID(other[0]), other[1], other[2]) for other in orjson.loads(others or "[]")]
            found[pk] = Context(
                is_test=is_test,
                undo=default.undo if undo is None else dt.timedelta(seconds=undo),
                acknowledges=default.acknowledges if acknowledges is None else acknowledges,
                tells_resolution=default.tells_resolution if tells is None else tells,
                mailbox_id=mailbox_id,
                domain=address.rpartition("@")[2] if address else settings.MAIL_DOMAIN,
                customers=_each_once(people),
            )
    return found


def _each_once(people: Iterable[Person]) -> tuple[Person, ...]:
    found: dict[str, Person] = {}
    for person in people:
        found.setdefault(person.email, person)
    return tuple(found.values())


def mailbox_of(ticket_id: UUID) -> Mailbox | None:
    """The active mailbox that the newest message on the ticket came to, if any did.

    A mail is told of while it is worked through: only afterwards is it known to have become this ticket.
    """
    came = Incoming.unscoped.filter(ticket_id=ticket_id, mailbox__is_active=True).select_related("mailbox")
    newest = came.order_by("-received_at", "-pk").first()
    return newest.mailbox if newest else None


@dataclass(frozen=True)
class Wish:
    """One mail that an activity asks for, before it is a row."""

    activity: Activity
    kind: str
    recipient: Person | Member
    topic: str = ""
    comment_id: UUID | None = None
    is_automatic: bool = True
    content: dict[str, Any] | None = None


def follow(activities: Sequence[Activity]) -> list[Outgoing]:
    """Queue the mails that these activities ask for; call it in their transaction. Gives the new rows.

    Replays of the past ask for none.
    """
    fresh = [activity for activity in activities if activity.dispatched_at is None]
    told = [activity for activity in fresh if _concerns_customers(activity)]
    interested = notices.wanted(fresh)
    if not told and not interested:
        return []
    known = contexts([activity.ticket for activity in [*told, *(notice.activity for notice in interested)]])
    wishes = [wish for activity in told for wish in _to_customers(activity, known[activity.ticket_id])]
    wishes += [
        Wish(
            notice.activity,
            "notice",
            notice.member,
            topic=notice.topic,
            comment_id=notice.comment_id,
        )
        for notice in interested
    ]
    return put(wishes, known)


def put(wishes: Sequence[Wish], known: dict[UUID, Context], *, round: int = 0) -> list[Outgoing]:
    """Make the rows of these mails, and queue their tasks for after the commit. Gives the rows.

    Who has no address (a visitor of a chat) gets none.
    """
    reached = [wish for wish in wishes if is_reachable(wish.recipient.email)]
    rows = [_row(wish, known[wish.activity.ticket_id], round) for wish in reached]
    if not rows:
        return rows
    Outgoing.unscoped.bulk_create(rows)
    delivery.tell([row for row in rows if row.kind == "reply"])
    for row in rows:
        if row.next_at is not None:
            wait = (row.next_at - row.created_at).total_seconds()
            dispatch.queue_after_commit(SEND_TASK, str(row.pk), delay=wait)
    return rows


def put_letter(
    *, kind: str, ticket: Ticket, contact: Contact, cause_id: UUID, content: dict[str, Any], now: dt.datetime
) -> Outgoing | None:
    """Queue an automatic mail to a customer that no activity asks for, and that `composing.writers` has the words of.

    `ticket` is one of theirs, from whose mailbox it is sent. `cause_id` is what it is sent for: one mail for each.
    Call it in the transaction of its cause. None for an address that no mail is sent to.
    """
    if not is_reachable(contact.email):
        return None
    context, pk = contexts([ticket])[ticket.pk], new_id()
    row: Outgoing = Outgoing.unscoped.create(
        pk=pk,
        workspace_id=ticket.workspace_id,
        mailbox_id=context.mailbox_id,
        ticket=ticket,
        activity_id=cause_id,
        kind=kind,
        recipient=contact.email,
        contact=contact,
        content=content,
        message_id=tokens.message_id(kind=kind, ticket_id=ticket.pk, outgoing_id=pk, domain=context.domain),
        is_automatic=True,
        status="held" if context.is_test else "waiting",
        reason=IS_TEST if context.is_test else "",
        next_at=None if context.is_test else now,
        ended_at=now if context.is_test else None,
        created_at=now,
    )
    if not context.is_test:
        dispatch.queue_after_commit(SEND_TASK, str(pk))
    return row


def _concerns_customers(activity: Activity) -> bool:
    """Whether customers hear of this by mail, as far as the activity itself says."""
    data = activity.payload["data"]
    match activity.event:
        case Event.COMMENT_ADDED:
            return not data["is_internal"] and data["author_type"] in ("agent", "system")
        case Event.CREATED:
            return activity.actor_kind == ActorKind.CUSTOMER and activity.ticket.channel in ACKNOWLEDGED
        case Event.RESOLVED:
            # Who says so themselves needs no mail about it.
            return activity.actor_kind != ActorKind.CUSTOMER
    return False


def _answer_tells(activity: Activity) -> bool:
    """Whether an answer of the same moment tells of the resolution, too: "send and resolve" is one mail."""
    answers = Outgoing.unscoped.filter(
        ticket_id=activity.ticket_id,
        kind="reply",
        created_at=activity.occurred_at,
        attempts=0,
        status__in=("waiting", "held"),
    )
    return bool(answers.update(content={"is_resolved": True}))


def _to_customers(activity: Activity, context: Context) -> list[Wish]:
    match activity.event:
        case Event.COMMENT_ADDED:
            data = activity.payload["data"]
            comment_id = UUID(data["comment_id"])
            is_automatic = data["author_type"] != "agent" or data["is_automatic"]
            return [
                Wish(activity, "reply", person, comment_id=comment_id, is_automatic=is_automatic)
                for person in context.customers
            ]
        case Event.CREATED if context.acknowledges:
            return [Wish(activity, "acknowledgement", context.customers[0])]
        case Event.RESOLVED if context.tells_resolution and not _answer_tells(activity):
            return [Wish(activity, "resolution", person) for person in context.customers]
    return []


def _can_be_taken_back(activity: Activity) -> bool:
    """Whether it tells of an agent's answer, which nobody hears of, colleagues neither, while it can be undone."""
    data = activity.payload["data"]
    return bool(
        activity.event == Event.COMMENT_ADDED
        and data["author_type"] == "agent"
        and not data["is_internal"]
        and not data["is_automatic"]
    )


def _row(wish: Wish, context: Context, round: int) -> Outgoing:
    activity, pk = wish.activity, new_id()
    at = activity.occurred_at
    waits = context.undo if _can_be_taken_back(activity) and round == 0 else dt.timedelta()
    is_agent = isinstance(wish.recipient, Member)
    return Outgoing(
        pk=pk,
        workspace_id=activity.workspace_id,
        mailbox_id=context.mailbox_id,
        ticket_id=activity.ticket_id,
        comment_id=wish.comment_id,
        activity_id=activity.pk,
        kind=wish.kind,
        topic=wish.topic,
        recipient=wish.recipient.email,
        contact_id=None if is_agent else wish.recipient.id,
        user_id=wish.recipient.id if is_agent else None,
        content=wish.content or {},
        message_id=tokens.message_id(
            kind=wish.kind, ticket_id=activity.ticket_id, outgoing_id=pk, domain=context.domain
        ),
        is_automatic=wish.is_automatic,
        round=round,
        status="held" if context.is_test else "waiting",
        reason=IS_TEST if context.is_test else "",
        next_at=None if context.is_test else at + waits,
        ended_at=at if context.is_test else None,
        created_at=at,
    )
