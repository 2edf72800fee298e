"""A copy of what is stored about a customer: one ZIP file with `export.json` and the files they can have.

Agents' notes are left out, since they may be about others; how many there are is said. So are secrets: of a link the
export says when it was made and until when it opens, not what it is. It is written to the disk as it is read, ticket
by ticket and file by file, so that its size does not matter to the memory.
"""

import datetime as dt
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any
from uuid import UUID

from django.core.files import File
from django.db.models import Q

from helpdesk.accounts.models import Contact
from portal.models import PrivacyRequest, Satisfaction, SignInLink
from portal.services import privacy_work, requests
from tickets.mail.models import BlockedSender, Incoming, Outgoing, Undeliverable
from tickets.models import Attachment, Chat, Comment, CustomerToken, Participant, Ticket
from tickets.services import files

FILE_DAYS = 7
EXPLANATION = (
    "This is what the helpdesk stores about you: your requests with the public conversation, what you sent and rated, "
    "mails from and to your address, and the links that were made for you. Notes that agents write for each other are "
    "left out, since they may be about others; notes_left_out says how many there are."
)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # what a ZIP file can say at the earliest
_CHUNK = 100  # rows that are read at a time


def go_on(request: PrivacyRequest, *, clock: Callable[[], dt.datetime]) -> None:
    """Make the file and keep it for seven days. Raises `privacy_work.Superseded`."""
    with tempfile.TemporaryFile() as made:
        export = _Export(request, clock)
        export.write(made)
        made.seek(0)
        privacy_work.renew(request, now=clock())
        discard(request)  # what a worker left that was killed behind this line
        request.file.save(_stored_as(request), File(made), save=False)
    now = clock()
    try:
        privacy_work.end(
            request,
            now=now,
            counts=export.counts,
            file=request.file.name,
            file_until=now + dt.timedelta(days=FILE_DAYS),
        )
    except privacy_work.Superseded:
        rows = PrivacyRequest.objects.for_workspace(request.workspace_id).filter(pk=request.pk)
        if rows.filter(status="failed").exists():  # somebody who goes on with it writes the same file anew
            discard(request)
        raise


def discard(request: PrivacyRequest) -> None:
    """Delete the file of an export, also one that the row does not know of yet."""
    storage = request.file.storage
    storage.delete(request.file.field.generate_filename(request, _stored_as(request)))


def _stored_as(request: PrivacyRequest) -> str:
    """A name made here, never one that was sent."""
    return f"{request.workspace_id}/{request.pk.hex}.zip"


class _Export:
    """One export, while it is written."""

    def __init__(self, request: PrivacyRequest, clock: Callable[[], dt.datetime]) -> None:
        self.request, self.clock = request, clock
        self.workspace_id, self.address = request.workspace_id, request.address
        contacts = Contact.objects.for_workspace(self.workspace_id).select_related("organization")
        self.contact: Contact | None = contacts.filter(email=self.address).first()
        self.counts: dict[str, int] = {"tickets": 0, "messages": 0, "files": 0, "mails": 0, "notes_left_out": 0}
        self._renewed = 0

    def write(self, out: IO[bytes]) -> None:
        """Write the ZIP file: the document first, then each file that it names."""
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(zipfile.ZipInfo("export.json", _time(self.clock())), "w", force_zip64=True) as document:
                _write_object(document, self._sections())
            for name, at, stored in self._files():
                self._pack(archive, name, at, stored)
        self.counts["files"] = sum(1 for info in archive.infolist() if info.filename != "export.json")

    def _pack(self, archive: zipfile.ZipFile, name: str, at: dt.datetime, stored: Any) -> None:
        self._alive()
        try:
            source = stored.open("rb")
        except (OSError, ValueError):  # not kept any more; the document still tells of it
            return
        # What people send is compressed already, most of it.
        with source, archive.open(zipfile.ZipInfo(name, _time(at)), "w", force_zip64=True) as packed:
            shutil.copyfileobj(source, packed, 256 * 1024)

    def _alive(self) -> None:
        self._renewed += 1
        if self._renewed % 50 == 0:
            privacy_work.renew(self.request, now=self.clock())

    # --- The document -------------------------------------------------------------------------

    def _sections(self) -> Iterator[tuple[str, Any]]:
        """What stands in the document, in its order; a list may be an iterator that is read while it is written."""
        yield (
            "about",
            {
                "address": self.address,
                "workspace": self.request.workspace.name,
                "made_at": _said(self.clock()),
                "explanation": EXPLANATION,
            },
        )
        yield "contact", self._contact()
        yield "tickets", self._tickets()
        yield "mails_received", self._received()
        yield "mails_sent", self._sent()
        yield "sign_in_links", self._links()
        yield "lists", self._lists()
        yield "notes_left_out", self.counts["notes_left_out"]

    def _contact(self) -> dict[str, Any] | None:
        if self.contact is None:
            return None
        organization = self.contact.organization
        return {
            "email": self.contact.email,
            "name": self.contact.name,
            "organization": organization.name if organization else None,
            "attributes": self.contact.attributes,
            "created_at": _said(self.contact.created_at),
        }

    def _found(self) -> Iterator[tuple[Ticket, Contact, str]]:
        """The tickets and what the person is in each: the requester, a participant, or the writer of something."""
        contact = self.contact
        if contact is None:
            return
        rows = Ticket.objects.for_workspace(self.workspace_id).select_related("category", "workspace")
        people = Participant.objects.for_workspace(self.workspace_id).filter(contact=contact)
        wrote = Comment.objects.for_workspace(self.workspace_id).filter(author_contact=contact)
        taking_part = set(people.values_list("ticket_id", flat=True))
        rows = rows.filter(
            Q(requester=contact) | Q(pk__in=taking_part) | Q(pk__in=wrote.values_list("ticket_id", flat=True))
        )
        for ticket in rows.order_by("pk").iterator(chunk_size=_CHUNK):
            is_own = ticket.requester_id == contact.pk
            yield ticket, contact, "requester" if is_own else "participant" if ticket.pk in taking_part else "writer"

    def _tickets(self) -> Iterator[dict[str, Any]]:
        for ticket, contact, role in self._found():
            self._alive()
            self.counts["tickets"] += 1
            yield self._ticket(ticket, contact, role)

    def _ticket(self, ticket: Ticket, contact: Contact, role: str) -> dict[str, Any]:
        of_ticket = {"ticket": ticket}
        comments = Comment.objects.for_workspace(self.workspace_id).filter(**of_ticket)
        notes = comments.filter(is_internal=True).count()
        self.counts["notes_left_out"] += notes
        named: dict[UUID | None, list[dict[str, Any]]] = {}
        for attachment in self._attachments(ticket, role):
            named.setdefault(attachment.comment_id, []).append(_file(ticket, attachment))
        said: dict[str, Any] = {
            "number": ticket.number,
            "id": str(ticket.pk),
            "you_are": role,
            "subject": ticket.subject,
            "status": ticket.status,
            "channel": ticket.channel,
            "created_at": _said(ticket.created_at),
            "resolved_at": _said(ticket.resolved_at),
            "closed_at": _said(ticket.closed_at),
            "in_trash": ticket.trashed_at is not None,
            "notes_left_out": notes,
        }
        if role != "writer":
            said |= {"description": ticket.description, "quoted_below": ticket.folded_text}
            said["files"] = named.get(None, [])
        if role == "requester":
            said |= {
                "requester_name": ticket.requester_name,
                "requester_email": ticket.requester_email,
                "category": ticket.category.name if ticket.category else None,
                "custom_fields": ticket.custom_fields,
                "chat": self._chat(ticket),
            }
        said["messages"] = [
            self._message(comment, ticket, contact, named) for comment in self._comments(comments, role)
        ]
        said["ratings"] = [
            {"rating": one.rating, "feedback": one.feedback, "given_at": _said(one.created_at)}
            for one in Satisfaction.objects.for_workspace(self.workspace_id)
            .filter(**of_ticket, contact=contact)
            .order_by("created_at")
        ]
        said["links"] = [
            _link(one)
            for one in CustomerToken.objects.for_workspace(self.workspace_id).filter(**of_ticket, contact=contact)
        ]
        return said

    def _comments(self, comments: Any, role: str) -> Iterable[Comment]:
        # What an author took back is there no more for those who read; who wrote it themselves is told.
        shown = Q(author_contact=self.contact)
        if role != "writer":
            shown |= Q(deleted_at=None)
        rows: Iterable[Comment] = (
            comments.filter(shown, is_internal=False).order_by("created_at", "pk").iterator(chunk_size=_CHUNK)
        )
        return rows

    def _message(
        self, comment: Comment, ticket: Ticket, contact: Contact, named: dict[UUID | None, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        shown = requests.message_of(comment, ticket=ticket, contact=contact)
        self.counts["messages"] += 1
        return {
            "author": shown.author,
            "author_is": shown.kind,
            "is_yours": shown.is_own,
            "written_at": _said(comment.created_at),
            "deleted_at": _said(comment.deleted_at),
            "text": comment.body,
            "quoted_below": comment.folded_text,
            "files": named.get(comment.pk, []),
        }

    def _chat(self, ticket: Ticket) -> dict[str, Any] | None:
        chat = Chat.objects.for_workspace(self.workspace_id).filter(ticket=ticket).first()
        if chat is None:
            return None
        return {
            "conversation_id": chat.conversation_id,
            "reason": chat.reason,
            "context": chat.context,
            "network": "" if chat.opened_by == "key" else chat.opened_by,
            "created_at": _said(chat.created_at),
        }

    def _mails(self) -> Any:
        rows = Incoming.objects.for_workspace(self.workspace_id).filter(from_address=self.address)
        return rows.order_by("received_at", "pk").iterator(chunk_size=_CHUNK)

    def _received(self) -> Iterator[dict[str, Any]]:
        for mail in self._mails():
            self.counts["mails"] += 1
            yield {
                "from": mail.from_address,
                "from_name": mail.from_name,
                "to": mail.envelope_to,
                "cc": mail.cc,
                "subject": mail.subject,
                "message_id": mail.message_id,
                "received_at": _said(mail.received_at),
                "became": mail.outcome or "waiting",
                "bytes": mail.size,
                "original": _mail_name(mail) if mail.raw else None,
            }

    def _sent(self) -> Iterator[dict[str, Any]]:
        rows = Outgoing.objects.for_workspace(self.workspace_id).filter(recipient=self.address, user=None)
        for mail in rows.select_related("ticket").order_by("created_at", "pk").iterator(chunk_size=_CHUNK):
            self.counts["mails"] += 1
            yield {
                "kind": mail.get_kind_display(),
                "to": mail.recipient,
                "ticket": mail.ticket.number if mail.ticket else None,
                "message_id": mail.message_id,
                "state": mail.status,
                "created_at": _said(mail.created_at),
                "sent_at": _said(mail.sent_at),
            }

    def _links(self) -> list[dict[str, Any]]:
        rows = SignInLink.objects.for_workspace(self.workspace_id).filter(contact=self.contact) if self.contact else []
        return [
            {
                "made_at": _said(one.created_at),
                "opens_until": _said(one.expires_at),
                "revoked_at": _said(one.revoked_at),
            }
            for one in rows
        ]

    def _lists(self) -> dict[str, Any]:
        dead = Undeliverable.objects.for_workspace(self.workspace_id).filter(address=self.address).first()
        blocked = BlockedSender.objects.for_workspace(self.workspace_id).filter(pattern=self.address).first()
        return {
            "undeliverable": {"since": _said(dead.bounced_at), "reason": dead.reason} if dead else None,
            "blocked": {"since": _said(blocked.created_at), "reason": blocked.reason} if blocked else None,
        }

    # --- The files ----------------------------------------------------------------------------

    def _attachments(self, ticket: Ticket, role: str) -> Any:
        shown = Q(comment__author_contact=self.contact)
        if role != "writer":
            shown |= Q(comment=None) | Q(comment__is_internal=False, comment__deleted_at=None)
        rows = Attachment.objects.for_workspace(self.workspace_id).filter(shown, ticket=ticket, is_internal=False)
        return rows.order_by("created_at", "pk").iterator(chunk_size=_CHUNK)

    def _files(self) -> Iterator[tuple[str, dt.datetime, Any]]:
        """Name in the archive, time, and file, of everything that the document names."""
        for ticket, _, role in self._found():
            for attachment in self._attachments(ticket, role):
                yield _file_name(ticket, attachment), attachment.created_at, attachment.file
        for mail in self._mails():
            if mail.raw:
                yield _mail_name(mail), mail.received_at, mail.raw


def _link(one: Any) -> dict[str, Any]:
    """When a link was made and how long it opens; never what it is."""
    return {"made_at": _said(one.created_at), "opens_until": _said(one.expires_at), "revoked_at": _said(one.revoked_at)}


def _file(ticket: Ticket, attachment: Attachment) -> dict[str, Any]:
    return {
        "name": attachment.name,
        "bytes": attachment.size,
        "type": attachment.content_type,
        "sha256": attachment.sha256,
        "path": _file_name(ticket, attachment),
    }


def _file_name(ticket: Ticket, attachment: Attachment) -> str:
    """Unlike any other's and safe to unpack: a folder of ours, an id of ours, and a name without any path."""
    return f"files/{ticket.number}/{attachment.pk.hex[-12:]}-{files.clean_name(attachment.name)}"


def _mail_name(mail: Incoming) -> str:
    return f"mails/{mail.pk.hex}.eml"


def _said(at: dt.datetime | None) -> str | None:
    return at.astimezone(dt.UTC).isoformat() if at else None


def _time(at: dt.datetime) -> tuple[int, int, int, int, int, int]:
    at = at.astimezone(dt.UTC)
    return max(_EPOCH, (at.year, at.month, at.day, at.hour, at.minute, at.second))


def _write_object(out: IO[bytes], sections: Iterable[tuple[str, Any]]) -> None:
    """Write a JSON object whose lists may be iterators: each of their entries is written as it comes."""
    out.write(b"{")
    for place, (name, value) in enumerate(sections):
        out.write(f"{',' if place else ''}\n{json.dumps(name)}: ".encode())
        if isinstance(value, Iterator):
            out.write(b"[")
            for number, entry in enumerate(value):
                out.write(b",\n" if number else b"\n")
                out.write(json.dumps(entry, ensure_ascii=False, indent=1).encode())
            out.write(b"]")
        else:
            out.write(json.dumps(value, ensure_ascii=False, indent=1).encode())
    out.write(b"\n}\n")
