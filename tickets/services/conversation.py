"""What people say to each other on a ticket."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from helpdesk.accounts.models import Contact, Membership
from helpdesk.accounts.roles import Permission
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound
from tickets import access, markup, search, timeline
from tickets.events import Actor, Event
from tickets.lifecycle import Status
from tickets.models import Activity, Attachment, Comment, Ticket, TicketLink
from tickets.services import base, opening, status


class StaleReply(Conflict):
    """Somebody wrote while the agent was writing; `comments` is what they have not seen."""

    code = "stale_reply"

    def __init__(self, comments: list[Comment]) -> None:
        self.comments = comments
        names = ", ".join(dict.fromkeys(comment.author_name for comment in comments))
        super().__init__(f"{names} wrote while you were writing. Read it, then send, change or discard your reply.")


@dataclass(frozen=True)
class Delivered:
    """Where a customer's message went: the ticket (a new one for a follow-up) and the comment, if any."""

    ticket: Ticket
    comment: Comment | None
    is_follow_up: bool = False


def _add(
    ticket: Ticket,
    *,
    author_type: str,
    actor: Actor,
    body: str,
    channel: str,
    now: dt.datetime,
    internal: bool = False,
    automatic: bool = False,
    attachment_ids: Sequence[UUID] = (),
    author_name: str = "",
    original: base.Original | None = None,
) -> Comment:
    body = base.text("body", body, longest=base.TEXT_LENGTH)
    comment = Comment(
        workspace_id=ticket.workspace_id,
        ticket=ticket,
        author_type=author_type,
        author_user_id=actor.user_id,
        author_contact_id=actor.contact_id,
        author_name=(author_name or actor.name)[: base.NAME_LENGTH],
        body=body,
        body_html=original.shown(body) if original else markup.render(body),
        **(original.kept() if original else {}),
        is_internal=internal,
        is_automatic=automatic,
        channel=channel,
        created_at=now,
    )
    comment.save(force_insert=True)
    _attach(comment, attachment_ids, actor=actor)
    search.add_words(ticket.pk, body)
    fields = []
    if not internal:
        ticket.last_message_at = now
        fields.append("last_message_at")
        if author_type == "agent" and not automatic and ticket.first_response_at is None:
            ticket.first_response_at = now
            fields.append("first_response_at")
    base.save(ticket, *fields, now=now)
    timeline.record(
        ticket=ticket,
        event=Event.COMMENT_ADDED,
        actor=actor,
        now=now,
        data={
            "comment_id": str(comment.pk),
            "is_internal": internal,
            "is_automatic": automatic,
            "author_type": author_type,
            "channel": channel,
        },
    )
    return comment


def _attach(comment: Comment, attachment_ids: Sequence[UUID], *, actor: Actor) -> None:
    """Put uploaded files that nobody uses yet on the comment. Raises NotFound for any other."""
    if not attachment_ids:
        return
    # A file waits for the comment of whoever uploaded it, not for somebody else's.
    waiting = Attachment.objects.for_workspace(comment.workspace_id).filter(
        pk__in=list(attachment_ids), ticket=comment.ticket, comment=None, uploaded_by_id=actor.user_id
    )
    if waiting.update(comment=comment, is_internal=comment.is_internal) != len(set(attachment_ids)):
        message = "There is no such file waiting for a comment."
        raise NotFound(message, errors={"attachment_ids": [message]})


@transaction.atomic
def agent_reply(
    *,
    ticket: Ticket,
    author: Membership,
    body: str,
    internal: bool,
    now: dt.datetime,
    channel: str = "web",
    attachment_ids: Sequence[UUID] = (),
    then: str | None = None,
    seen_until: dt.datetime | None = None,
    actor: Actor | None = None,
) -> Comment:
    """An agent answers the customer, or leaves a note for the other agents (`internal`).

    `then` moves the ticket to another status in the same transaction. With `seen_until` (when the
    newest message was written that the agent had before them) the reply is held if somebody else
    wrote since.

    Raises NotAllowed when the role may only write notes, StaleReply, InvalidInput for the body,
    Conflict for an illegal move or a merged ticket.
    """
    if not author.may(Permission.NOTE if internal and then is None else Permission.WORK):
        raise NotAllowed("Your role may write notes, not answer customers.")
    fresh = base.lock(ticket)
    actor = actor or base.agent(author)
    if seen_until is not None:
        newer = fresh.comments.filter(created_at__gt=seen_until, deleted_at=None).exclude(author_user_id=actor.user_id)
        if unseen := list(newer.order_by("created_at", "pk")):
            raise StaleReply(unseen)
    comment = _add(
        fresh,
        author_type="agent",
        actor=actor,
        body=body,
        channel=channel,
        now=now,
        internal=internal,
        attachment_ids=attachment_ids,
    )
    if then is not None and then != fresh.status:
        status.move_locked(fresh, base.choice("then", then, [s.value for s in Status]), actor=actor, now=now)
    comment.ticket = fresh
    return comment


@transaction.atomic
def system_note(
    *, ticket: Ticket, body: str, actor: Actor, now: dt.datetime, original: base.Original | None = None
) -> Comment:
    """The helpdesk itself leaves a note for the agents. Raises InvalidInput for the body, Conflict when merged.

    With an `original` the body is its plain text; otherwise it is Markdown.
    """
    fresh = base.lock(ticket)
    return _add(
        fresh, author_type="system", actor=actor, body=body, channel="web", now=now, internal=True, original=original
    )


@transaction.atomic
def automatic_reply(*, ticket: Ticket, body: str, actor: Actor, now: dt.datetime) -> Comment:
    """The helpdesk itself answers the customer, in the name of the workspace; it is never a first response.

    Customers do not learn which rule (`actor`) wrote it. Raises InvalidInput for the body, Conflict when merged.
    """
    fresh = base.lock(ticket)
    return _add(
        fresh,
        author_type="system",
        actor=actor,
        body=body,
        channel="web",
        now=now,
        automatic=True,
        author_name=fresh.workspace.name,
    )


@transaction.atomic
def customer_reply(
    *,
    ticket: Ticket,
    contact: Contact,
    body: str,
    channel: str,
    now: dt.datetime,
    automatic: bool = False,
    attachments: Sequence[Attachment] = (),
    actor: Actor | None = None,
    original: base.Original | None = None,
    vouched: bool = False,
) -> Delivered:
    """A customer writes on a ticket they take part in, or for which the door vouches: it has seen a proof that they
    got a message of it, like a signed Message-ID. That alone does not make them take part.

    A pending or resolved ticket opens again. A closed one does within the workspace's window since
    its last close; later a new ticket is opened and linked as follow-up. Automatic mail is kept
    with the conversation and never moves the ticket. A merged ticket passes the message on.
    With an `original` the body is its plain text; otherwise it is Markdown.

    Raises NotFound when the customer does not take part, InvalidInput for the body.
    """
    fresh = end_of_merges(ticket)
    actor = actor or base.customer(contact)
    if not vouched and not access.takes_part(ticket=fresh, contact=contact):
        raise NotFound("There is no such ticket.")
    if not automatic and not can_reopen(fresh, now):
        return Delivered(_follow_up(fresh, contact, body, channel, attachments, actor, now, original), None, True)
    comment = _add(
        fresh,
        author_type="customer",
        actor=actor,
        body=body,
        channel=channel,
        now=now,
        automatic=automatic,
        original=original,
    )
    for attachment in attachments:
        attachment.ticket, attachment.comment = fresh, comment
        attachment.save()
    if not automatic and fresh.status != Status.OPEN.value:
        status.move_locked(fresh, Status.OPEN.value, actor=actor, now=now)
    return Delivered(fresh, comment)


def can_reopen(ticket: Ticket, now: dt.datetime) -> bool:
    """Whether a customer's answer stays on the ticket; on one that closed too long ago it begins a new one."""
    if ticket.status != Status.CLOSED.value:
        return True
    window = dt.timedelta(days=ticket.workspace.reopen_window_days)
    return ticket.closed_at is not None and now - ticket.closed_at <= window


def end_of_merges(ticket: Ticket) -> Ticket:
    """The locked ticket at the end of the chain of merges.

    Only the end is locked: a merge locks two rows in the order of their ids, and a chain walked
    under locks could meet it head-on.
    """
    while True:
        end = ticket
        while end.merged_into_id:
            end = Ticket.objects.for_workspace(end.workspace_id).get(pk=end.merged_into_id)
        locked = base.lock(end, merged=True)
        if locked.merged_into_id is None:
            return locked
        ticket = locked  # merged while we looked: go on from there


def _follow_up(
    old: Ticket,
    contact: Contact,
    body: str,
    channel: str,
    attachments: Sequence[Attachment],
    actor: Actor,
    now: dt.datetime,
    original: base.Original | None,
) -> Ticket:
    """A new ticket that continues one that was closed too long ago to reopen."""
    try:
        new = opening.open_ticket(
            workspace=old.workspace,
            subject=old.subject,
            description=body,
            requester_email=contact.email,
            # What the customer typed then, not what the helpdesk knows: the address may not be theirs.
            requester_name=old.requester_name if contact.pk == old.requester_id else "",
            priority=old.priority,
            category_id=old.category_id if old.category and old.category.archived_at is None else None,
            channel=channel,
            actor=actor,
            attachments=attachments,
            original=original,
            now=now,
        )
    except InvalidInput as error:
        errors = {"body" if field == "description" else field: texts for field, texts in error.errors.items()}
        raise InvalidInput(error.detail, errors=errors) from None
    TicketLink.unscoped.create(workspace_id=old.workspace_id, ticket=old, other=new, kind="follow_up", created_at=now)
    timeline.record(
        ticket=old,
        event=Event.LINKED,
        actor=actor,
        now=now,
        data={"kind": "follow_up", "other_number": f"#{new.number}", "other_id": str(new.pk)},
    )
    return new


def _own(comment: Comment, editor: Membership) -> tuple[Ticket, Comment]:
    """The locked ticket and comment, if the member may change it.

    Raises NotFound for a deleted comment, NotAllowed for one of somebody else, unless by an admin,
    and for a public one of a member whose role only writes notes now.
    """
    ticket = base.lock(comment.ticket)
    fresh = ticket.comments.select_for_update().filter(pk=comment.pk, deleted_at=None).first()
    if fresh is None:
        raise NotFound("There is no such comment.")
    if fresh.author_user_id != editor.user_id and not editor.may(Permission.MANAGE):
        raise NotAllowed("Only its author or an admin may change a comment.")
    if not fresh.is_internal and not editor.may(Permission.WORK):
        raise NotAllowed("Your role may write notes, not answer customers.")
    return ticket, fresh


@transaction.atomic
def edit_comment(*, comment: Comment, editor: Membership, body: str, now: dt.datetime) -> Comment:
    """Change what an agent wrote; the log keeps the text from before.

    Raises NotAllowed for somebody else's comment (admins may) and for a customer's words,
    NotFound, InvalidInput for the body.
    """
    ticket, fresh = _own(comment, editor)
    if fresh.author_type != "agent":
        raise NotAllowed("A customer's words stay as they were written.")
    body = base.text("body", body, longest=base.TEXT_LENGTH)
    if body == fresh.body:
        return fresh
    before, fresh.body, fresh.body_html, fresh.edited_at = fresh.body, body, markup.render(body), now
    fresh.save(update_fields=["body", "body_html", "edited_at"])
    base.save(ticket, now=now)
    search.index(ticket.pk)
    timeline.record(
        ticket=ticket,
        event=Event.COMMENT_EDITED,
        actor=base.agent(editor),
        now=now,
        changes=[timeline.changed("body", before, body)],
        data={"comment_id": str(fresh.pk), "is_internal": fresh.is_internal},
    )
    return fresh


@transaction.atomic
def delete_comment(*, comment: Comment, editor: Membership, now: dt.datetime) -> None:
    """Take a comment out of the conversation; the log keeps what it said.

    Raises NotAllowed for somebody else's comment (admins may), NotFound.
    """
    ticket, fresh = _own(comment, editor)
    fresh.deleted_at = now
    fresh.save(update_fields=["deleted_at"])
    base.save(ticket, now=now)
    search.index(ticket.pk)
    timeline.record(
        ticket=ticket,
        event=Event.COMMENT_DELETED,
        actor=base.agent(editor),
        now=now,
        changes=[timeline.changed("body", fresh.body, None)],
        data={"comment_id": str(fresh.pk), "is_internal": fresh.is_internal},
    )


@transaction.atomic
def take_back(*, comment: Comment, author: Membership, now: dt.datetime) -> str:
    """An agent takes back an answer that nobody has got yet; gives its text, to be written on. Its files wait.

    It leaves the conversation, the log says so. What it did to the ticket is undone: the move to another status
    that came with it, where the lifecycle leads back and nobody has moved the ticket since, and the first response
    if it was that. Whoever sends it must have stopped that before.

    Raises NotFound for a deleted comment, NotAllowed for one of somebody else, Conflict for a note.
    """
    ticket = base.lock(comment.ticket)
    fresh = ticket.comments.select_for_update().filter(pk=comment.pk, deleted_at=None).first()
    if fresh is None:
        raise NotFound("There is no such comment.")
    if fresh.author_type != "agent" or fresh.author_user_id != author.user_id:
        raise NotAllowed("Only its author may take an answer back.")
    if not author.may(Permission.WORK):
        raise NotAllowed("Your role may write notes, not answer customers.")
    if fresh.is_internal:
        raise Conflict("A note is sent to nobody; it can be deleted.", code="not_sent")
    fresh.deleted_at = now
    fresh.save(update_fields=["deleted_at"])
    # Its files wait for the comment that is written instead.
    own = Attachment.objects.for_workspace(ticket.workspace_id).filter(comment=fresh, uploaded_by_id=author.user_id)
    own.update(comment=None, is_internal=True)
    public = ticket.comments.filter(is_internal=False, is_transcript=False)
    newest = public.filter(deleted_at=None).order_by("-created_at").values_list("created_at", flat=True).first()
    ticket.last_message_at = newest or ticket.created_at
    fields = ["last_message_at"]
    if ticket.first_response_at == fresh.created_at:
        answers = public.filter(author_type="agent", is_automatic=False, created_at__gte=fresh.created_at)
        later = answers.exclude(pk=fresh.pk).order_by("created_at").values_list("created_at", flat=True)
        ticket.first_response_at = later.first()
        fields.append("first_response_at")
    base.save(ticket, *fields, now=now)
    search.index(ticket.pk)
    actor = base.agent(author)
    timeline.record(
        ticket=ticket,
        event=Event.COMMENT_DELETED,
        actor=actor,
        now=now,
        changes=[timeline.changed("body", fresh.body, None)],
        data={"comment_id": str(fresh.pk), "is_internal": False},
    )
    _move_back(ticket, fresh, actor=actor, now=now)
    comment.ticket = ticket
    return str(fresh.body)


def _move_back(ticket: Ticket, comment: Comment, *, actor: Actor, now: dt.datetime) -> None:
    """Undo the move to another status that was made together with the comment, unless something else moved it since."""
    log = Activity.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket)
    said = log.filter(event=Event.COMMENT_ADDED.value, payload__data__comment_id=str(comment.pk)).first()
    moves = [
        (activity, change)
        for activity in log.filter(occurred_at__gte=comment.created_at).order_by("occurred_at", "pk")
        for change in activity.changes
        if change["field"] == "status" and "key" not in change
    ]
    if said is None or len(moves) != 1:
        return
    activity, change = moves[0]
    together = activity.occurred_at == comment.created_at and activity.actor_user_id == comment.author_user_id
    if not together or activity.pk < said.pk or activity.cause_id is not None or ticket.status != change["to"]:
        return
    if change["from"] == Status.OPEN.value:
        status.move_locked(ticket, Status.OPEN.value, actor=actor, now=now)
    elif change["from"] == Status.PENDING.value:
        # From resolved there is no way but through open.
        if ticket.status != Status.OPEN.value:
            status.move_locked(ticket, Status.OPEN.value, actor=actor, now=now)
        status.move_locked(ticket, Status.PENDING.value, actor=actor, now=now)
