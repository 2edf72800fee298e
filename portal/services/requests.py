"""What customers do: submit a request, read it, answer.

Everything that leaves the helpdesk for a customer is made here, once, for the page and for the
API: public messages, their files, and names that the customer may know.

Whoever submits a request only *says* that an address is theirs. So a token opens one ticket, and
what the helpdesk already knew about the owner of that address (name, other tickets) is shown
nowhere: a message is signed with the name that was typed, or with the part before the @.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.errors import Conflict, InvalidInput, NotFound
from portal.models import Satisfaction
from tickets import access, timeline
from tickets.events import Actor, ActorKind, Event
from tickets.lifecycle import ACTIVE, Status
from tickets.models import Attachment, Comment, CustomerToken, Ticket
from tickets.services import base, conversation, files, opening

MAX_FILES = 10
FEEDBACK_LENGTH = 5000
RATING_CHANGEABLE = dt.timedelta(days=14)


@dataclass(frozen=True)
class Message:
    """One message as the customer sees it; the first one is the request itself (`id` is None)."""

    id: UUID | None
    kind: str  # customer, agent or system
    author: str
    is_own: bool
    body: str
    html: str
    created_at: dt.datetime
    edited_at: dt.datetime | None = None
    folded_text: str = ""  # quoted history and signature of a mail
    folded_html: str = ""  # the same as it looked, sanitised
    files: list[Attachment] = field(default_factory=list)
    is_chat: bool = False  # a line of the chat before the ticket


@dataclass(frozen=True)
class CustomerView:
    """A ticket as one customer may see it."""

    ticket: Ticket
    contact: Contact
    requester_name: str
    messages: list[Message]
    opened_as: UUID  # the id in the customer's link; another than the ticket's after a merge
    answer: str  # what an answer does: goes_on, reopens or follow_up


@dataclass(frozen=True)
class Answered:
    """Where an answer went; a follow-up is a new ticket, which its own token opens."""

    ticket: Ticket
    comment: Comment | None
    token: str | None = None

    @property
    def is_follow_up(self) -> bool:
        """Whether the answer began a new ticket."""
        return self.token is not None


@transaction.atomic
def submit_request(
    *,
    workspace: Workspace,
    subject: str,
    description: str,
    requester_email: str,
    requester_name: str,
    channel: str,
    now: dt.datetime,
    uploads: Sequence[UploadedFile] = (),
    network: str = "",
) -> tuple[Ticket, str]:
    """Open a ticket for a stranger, and give it with the token that opens it, which is given to `network`.

    Raises InvalidInput naming the field (`files` for the uploads).
    """
    address = base.email_address("requester_email", requester_email)
    name = base.text("requester_name", requester_name, longest=base.NAME_LENGTH, required=False, one_line=True)
    # All of it is checked before the contact is made; open_ticket checks again, for every door.
    base.text("subject", subject, longest=base.SUBJECT_LENGTH, one_line=True)
    base.text("description", description, longest=base.TEXT_LENGTH)
    attachments = _prepare(workspace.pk, uploads, now)
    contact = base.find_contact(workspace.pk, address, name)
    ticket = opening.open_ticket(
        workspace=workspace,
        subject=subject,
        description=description,
        requester_email=address,
        requester_name=name,
        channel=channel,
        actor=Actor(ActorKind.CUSTOMER, name or _local_part(address), contact_id=contact.pk),
        attachments=attachments,
        now=now,
    )
    return ticket, access.issue(ticket=ticket, contact=contact, now=now, network=network)


@transaction.atomic
def answer_request(
    *,
    ticket: Ticket,
    contact: Contact,
    body: str,
    channel: str,
    now: dt.datetime,
    uploads: Sequence[UploadedFile] = (),
    network: str = "",
) -> Answered:
    """A customer answers on a ticket that their token opened; that of a follow-up is given to `network`.

    Raises InvalidInput naming the field (`body`, `files`), NotFound when they do not take part.
    """
    delivered = conversation.customer_reply(
        ticket=ticket,
        contact=contact,
        body=body,
        channel=channel,
        attachments=_prepare(ticket.workspace_id, uploads, now),
        now=now,
    )
    token = None
    if delivered.is_follow_up:
        token = access.issue(ticket=delivered.ticket, contact=contact, now=now, network=network)
    return Answered(delivered.ticket, delivered.comment, token)


@transaction.atomic
def rate_request(
    *, ticket: Ticket, contact: Contact, rating: int, now: dt.datetime, feedback: str = ""
) -> Satisfaction:
    """A customer rates how a ticket was resolved, from 1 (bad) to 5 (very good).

    One rating for each resolution, which can be changed for 14 days; the same once more changes
    nothing. A merged ticket passes the rating on. Raises NotFound when the customer does not take part,
    InvalidInput naming the field, Conflict while the ticket is in work, and after those 14 days.
    """
    fresh = conversation.end_of_merges(ticket)
    if not access.takes_part(ticket=fresh, contact=contact):
        raise NotFound(_("There is no such ticket."))
    if isinstance(rating, bool) or not isinstance(rating, int) or not 1 <= rating <= 5:
        raise InvalidInput.of("rating", _("This must be a whole number from 1 to 5."))
    feedback = base.text("feedback", feedback, longest=FEEDBACK_LENGTH, required=False)
    if fresh.status in ACTIVE or fresh.resolved_at is None:
        raise Conflict(_("A request can be rated once it is resolved."), code="not_resolved")
    known = Satisfaction.objects.for_workspace(fresh.workspace_id).filter(ticket=fresh, resolved_at=fresh.resolved_at)
    given: Satisfaction | None = known.first()
    before = given.rating if given else None
    if given is None:
        given = Satisfaction(
            workspace_id=fresh.workspace_id,
            ticket=fresh,
            contact=contact,
            resolved_at=fresh.resolved_at,
            created_at=now,
        )
    elif (given.rating, given.feedback) == (rating, feedback):
        return given
    elif now - given.created_at > RATING_CHANGEABLE:
        raise Conflict(
            _("A rating can be changed for %(days)s days.") % {"days": RATING_CHANGEABLE.days}, code="too_late"
        )
    given.rating, given.feedback, given.updated_at = rating, feedback, now
    given.save()
    timeline.record(
        ticket=fresh,
        event=Event.SATISFACTION_SUBMITTED,
        actor=base.customer(contact),
        now=now,
        changes=[timeline.changed("rating", before, rating)] if before != rating else (),
        data={"rating": rating, "feedback": feedback},
    )
    return given


def rating_of(ticket: Ticket) -> Satisfaction | None:
    """The rating of the ticket's last resolution; None when there is none yet. No query while it is in work."""
    if ticket.resolved_at is None or ticket.status in ACTIVE:
        return None
    rows = Satisfaction.objects.for_workspace(ticket.workspace_id)
    given: Satisfaction | None = rows.filter(ticket=ticket, resolved_at=ticket.resolved_at).first()
    return given


def can_rate(ticket: Ticket, given: Satisfaction | None, now: dt.datetime) -> bool:
    """Whether the ticket can be rated now, or its rating `given` changed: what `rate_request` goes by."""
    if ticket.resolved_at is None or ticket.status in ACTIVE:
        return False
    return given is None or now - given.created_at <= RATING_CHANGEABLE


def find_workspace(workspace_id: UUID) -> Workspace:
    """The workspace that a request is sent to. Raises NotFound naming `workspace_id`."""
    workspace = Workspace.objects.filter(pk=workspace_id).select_related("portal_settings").first()
    if workspace is None:
        message = _("There is no such workspace.")
        raise NotFound(message, errors={"workspace_id": [message]})
    return workspace


def token_again(*, ticket_id: UUID, workspace: Workspace, now: dt.datetime, network: str = "") -> str | None:
    """The requester's token once more, for an answer that is repeated to `network`; None when it opens nothing now."""
    live = CustomerToken.objects.for_workspace(workspace).filter(
        ticket_id=ticket_id,
        ticket__trashed_at=None,
        contact=F("ticket__requester"),
        revoked_at=None,
        expires_at__gt=now,
    )
    row = live.select_related("ticket", "contact").first()
    token = access.issue(ticket=row.ticket, contact=row.contact, now=now, network=network) if row else ""
    # Its ticket may have been merged away.
    return token if access.open_with(ticket_id=ticket_id, token=token, now=now) else None


def read_request(*, ticket_id: UUID, token: str, now: dt.datetime) -> CustomerView:
    """The ticket that the token opens, with its public conversation, oldest first.

    Raises NotFound, the same for an unknown id and for a token that is wrong, old or revoked.
    """
    ticket, contact = open_request(ticket_id=ticket_id, token=token, now=now)
    return view_of(ticket=ticket, contact=contact, opened_as=ticket_id, now=now)


def open_request(*, ticket_id: UUID, token: str, now: dt.datetime) -> tuple[Ticket, Contact]:
    """The ticket that the token opens, and for whom. Raises NotFound as `read_request`."""
    opened = access.open_with(ticket_id=ticket_id, token=token, now=now)
    if opened is None:
        raise NotFound(_("There is no request that this link opens."))
    return opened


def view_of(*, ticket: Ticket, contact: Contact, now: dt.datetime, opened_as: UUID | None = None) -> CustomerView:
    """The ticket as `contact` may see it."""
    attached: dict[UUID | None, list[Attachment]] = {}
    for attachment in _public_files(ticket).order_by("created_at", "pk"):
        attached.setdefault(attachment.comment_id, []).append(attachment)
    requester = requester_name(ticket)
    messages = [
        Message(
            id=None,
            kind="customer",
            author=requester,
            is_own=ticket.requester_id == contact.pk,
            body=ticket.description,
            html=ticket.description_html,
            created_at=ticket.created_at,
            folded_text=ticket.folded_text,
            folded_html=ticket.folded_html,
            files=attached.get(None, []),
        )
    ]
    comments = Comment.objects.for_workspace(ticket.workspace_id).filter(
        ticket=ticket, is_internal=False, deleted_at=None
    )
    messages += [
        message_of(comment, ticket=ticket, contact=contact, attached=attached.get(comment.pk, []))
        for comment in comments.order_by("created_at", "pk")
    ]
    return CustomerView(ticket, contact, requester, messages, opened_as or ticket.pk, _what_an_answer_does(ticket, now))


def message_of(comment: Comment, *, ticket: Ticket, contact: Contact, attached: Sequence[Attachment] = ()) -> Message:
    """A public comment as `contact` may see it."""
    author = comment.author_name
    is_own = comment.author_contact_id is not None and comment.author_contact_id == contact.pk
    if comment.is_transcript and comment.author_type == "system":
        pass  # the bot, as the customer has met it
    elif comment.author_type == "system" or (comment.author_type == "agent" and "@" in author):
        # An agent without a name is known inside by their address, which stays inside.
        author = ticket.workspace.name
    elif comment.author_contact_id == ticket.requester_id:
        author = requester_name(ticket)
    elif is_own:
        author = _local_part(contact.email)
    return Message(
        id=comment.pk,
        kind=comment.author_type,
        author=author,
        is_own=is_own,
        body=comment.body,
        html=comment.body_html,
        created_at=comment.created_at,
        edited_at=comment.edited_at,
        folded_text=comment.folded_text,
        folded_html=comment.folded_html,
        files=list(attached),
        is_chat=comment.is_transcript,
    )


def file_of(*, ticket: Ticket, file_id: UUID) -> Attachment:
    """A file of a ticket that somebody has opened already. Raises NotFound as `read_request`."""
    attachment = _public_files(ticket).filter(pk=file_id).first()
    if attachment is None:
        raise NotFound(_("There is no request that this link opens."))
    return attachment


def files_of(comment: Comment) -> list[Attachment]:
    """The files of a public message."""
    return list(comment.attachments.filter(is_internal=False).order_by("created_at", "pk"))


def _public_files(ticket: Ticket) -> QuerySet[Attachment]:
    """Neither an agent's note's, nor a taken back comment's, nor one that waits for its comment (internal)."""
    shown = Q(comment=None) | Q(comment__is_internal=False, comment__deleted_at=None)
    rows: QuerySet[Attachment] = Attachment.objects.for_workspace(ticket.workspace_id)
    return rows.filter(shown, ticket=ticket, is_internal=False)


def _prepare(workspace_id: UUID, uploads: Sequence[UploadedFile], now: dt.datetime) -> list[Attachment]:
    if len(uploads) > MAX_FILES:
        raise InvalidInput.of(
            "files", _("These are too many files: up to %(most)s are possible at once.") % {"most": MAX_FILES}
        )
    prepared = []
    for upload in uploads:
        try:
            prepared.append(files.prepare(workspace_id=workspace_id, upload=upload, now=now, field="files"))
        except InvalidInput as error:
            # Of several files the customer must know which one.
            raise InvalidInput.of("files", f"{files.clean_name(upload.name or 'file')}: {error.detail}") from None
    return prepared


def requester_name(ticket: Ticket) -> str:
    """The name that was typed with the request, or the part before the @ of the address."""
    return ticket.requester_name or _local_part(ticket.requester_email)


def _local_part(address: str) -> str:
    return address.partition("@")[0]


def _what_an_answer_does(ticket: Ticket, now: dt.datetime) -> str:
    if ticket.status in (Status.OPEN.value, Status.PENDING.value):
        return "goes_on"
    return "reopens" if conversation.can_reopen(ticket, now) else "follow_up"
