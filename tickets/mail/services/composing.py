"""A queued mail as the bytes that leave: made at the moment it is sent, from what the rows say then."""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.encoders import encode_base64
from email.mime.base import MIMEBase
from email.policy import Compat32
from email.utils import formataddr
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from tickets import access, markup
from tickets.lifecycle import ACTIVE
from tickets.mail import tokens
from tickets.mail.models import Incoming, MailSettings, Outgoing
from tickets.mail.parsing.quotes import REPLY_MARKER
from tickets.models import Attachment, Comment, Participant

NAMED_FIRST, NAMED_LAST = 20, 20  # Message-IDs in References
MOST_QUOTED = 50  # messages of "the whole conversation"
LONGEST_QUOTED = 100_000  # characters of them together
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class _WholeIds(Compat32):
    """How lines are folded: every Message-ID in a line with nothing before it but the name of its header.

    Ours are longer than the 78 characters at which Python begins a new line, which leaves the first line
    empty. RFC 5322, 2.1.1 allows 998; some servers do not read an id that begins on the second line.
    """

    def fold(self, name: str, value: Any) -> str:
        """The lines of a header."""
        if name.lower() in ("message-id", "in-reply-to", "references"):
            return f"{name}: {f'{self.linesep} '.join(str(value).split())}{self.linesep}"
        return super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        """The lines of a header, as they are sent."""
        return self.fold(name, value).encode("ascii", "surrogateescape")


class Letter(EmailMultiAlternatives):
    """A mail whose Message-IDs are not broken."""

    def message(self) -> Any:  # type: ignore[override]  # the stubs are of a later Django
        """The mail as it is sent."""
        made = super().message()
        made.policy = _WholeIds()
        return made


class NothingToSend(Exception):
    """What the mail was to tell is gone; the text says so in words."""


@dataclass(frozen=True)
class Written:
    """What a mail says that is about more than its ticket: its subject, and what its templates show."""

    subject: str
    context: dict[str, Any]
    language: str = "en"


# By the kind of mail: who knows its words, when apps above this one send it. They sign up in their `AppConfig.ready`.
writers: dict[str, Callable[[Outgoing, dt.datetime], Written]] = {}


@dataclass(frozen=True)
class Quoted:
    """A message before, as it stands below an answer."""

    author: str
    at: dt.datetime
    text: str
    html: str

    @property
    def quoted_text(self) -> str:
        """Each line behind `> `, as mail programs quote (RFC 3676, 4.5)."""
        return "\n".join(f"> {line}".rstrip() for line in self.text.splitlines())


def compose(outgoing: Outgoing, *, now: dt.datetime) -> EmailMultiAlternatives:
    """The mail of a row, whose ticket, workspace, mailbox, comment, contact and user are loaded.

    Its envelope has the one recipient; its header may name everybody who takes part. Raises NothingToSend when
    the comment was deleted, the ticket is in the trash, or it was opened again and is not resolved any more.
    """
    if outgoing.kind in writers:
        return _letter(outgoing, writers[outgoing.kind](outgoing, now))
    ticket, comment = outgoing.ticket, outgoing.comment
    if ticket.trashed_at is not None:
        raise NothingToSend("The ticket is in the trash.")
    if comment is not None and comment.deleted_at is not None:
        raise NothingToSend("The message was deleted.")
    if outgoing.kind == "resolution" and ticket.status in ACTIVE:
        raise NothingToSend("The ticket was opened again.")
    own = MailSettings.objects.for_workspace(outgoing.workspace_id).first() or MailSettings()
    files = _files(outgoing, comment)
    context: dict[str, Any] = {
        "kind": outgoing.kind,
        "topic": outgoing.topic,
        "workspace": outgoing.workspace,
        "ticket": ticket,
        "comment": comment,
        "body_html": markup.sanitise(comment.body_html) if comment else "",
        "marker": "" if outgoing.kind == "notice" else REPLY_MARKER,
        "signature": outgoing.workspace.signature.strip() if outgoing.kind == "reply" else "",
        "is_resolved": outgoing.kind == "resolution" or bool(outgoing.content.get("is_resolved")),
        "history": _history(outgoing, comment, own.history),
        "timezone": ZoneInfo(outgoing.workspace.timezone),
    }
    if outgoing.contact is not None:
        token = access.issue(ticket=ticket, contact=outgoing.contact, now=now)
        page = settings.SITE_URL + reverse("portal:ticket", args=[ticket.pk])
        context["url"] = f"{page}?{urlencode({'token': access.mailed(token)})}"
        context["rate_url"] = f"{context['url']}#rate"
    else:
        anchor = f"#message-{comment.pk}" if comment else ""
        context["url"] = settings.SITE_URL + reverse("tickets:ticket", args=[ticket.pk]) + anchor
    attached = files if sum(file.size for file in files) <= own.link_files_over else []
    context["linked"] = [
        {
            "name": file.name,
            "size": file.size,
            # The page has them: a file by itself is opened by the page's cookie only.
            "url": f"{context['url']}#message-{file.comment_id}",
        }
        for file in files
        if not attached
    ]
    mail = Letter(
        _subject(outgoing),
        _rendered(outgoing.kind, "txt", context).strip() + "\n",
        from_email=formataddr((_sender_name(outgoing, comment), _address(outgoing))),
        to=[outgoing.recipient],
        headers=_headers(outgoing),
        reply_to=_reply_to(outgoing),
    )
    mail.attach_alternative(_inlined(_rendered(outgoing.kind, "html", context)), "text/html")
    for file in attached:
        with file.file.open("rb") as content:
            mail.attach(_part(file, content.read()))
    return mail


def _letter(outgoing: Outgoing, written: Written) -> Letter:
    """A mail whose words come from elsewhere. It belongs to no conversation, so it names no other mail."""
    context = {"workspace": outgoing.workspace, "language": written.language, **written.context}
    with translation.override(written.language):
        mail = Letter(
            one_line(written.subject),
            _rendered(outgoing.kind, "txt", context).strip() + "\n",
            from_email=formataddr((_sender_name(outgoing, None), _address(outgoing))),
            to=[outgoing.recipient],
            headers=_headers(outgoing, in_conversation=False),
        )
        mail.attach_alternative(_inlined(_rendered(outgoing.kind, "html", context)), "text/html")
    return mail


def _part(file: Attachment, content: bytes) -> MIMEBase:
    """A file as a part of a mail, in base64: as text its line ends and its charset would change on the way."""
    main, _, sub = _safe_type(file.content_type).partition("/")
    part = MIMEBase(main, sub)
    part.set_payload(content)
    encode_base64(part)
    name = file.name if file.name.isascii() else ("utf-8", "", file.name)  # RFC 2231
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def _rendered(kind: str, ending: str, context: dict[str, Any]) -> str:
    return render_to_string(f"email/{kind}.{ending}", context)


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    # Rules in @media (dark mode, narrow screens) cannot be inlined and stay where they are.
    return css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


def _inlined(html: str) -> str:
    return str(_inliner().inline(html))


def one_line(value: str) -> str:
    """A text that is safe in a header: no line breaks (RFC 5322, 2.2), nothing that controls a terminal."""
    return " ".join(_CONTROL.sub(" ", value).split())


def _address(outgoing: Outgoing) -> str:
    if outgoing.mailbox is not None:
        return outgoing.mailbox.address
    return settings.DEFAULT_FROM_EMAIL.rpartition("<")[2].rstrip("> ")


def _sender_name(outgoing: Outgoing, comment: Comment | None) -> str:
    """`Ann Miller (Acme)` for what an agent wrote, otherwise the mailbox's or the workspace's own name."""
    workspace = one_line(outgoing.workspace.name)
    if outgoing.kind == "reply" and comment is not None and comment.author_type == "agent":
        author = _author(comment, outgoing)
        return workspace if author == workspace else f"{author} ({workspace})"
    return one_line(outgoing.mailbox.name if outgoing.mailbox and outgoing.mailbox.name else "") or workspace


def _author(comment: Comment, outgoing: Outgoing) -> str:
    """Who wrote a message, as customers may know it: the requester by the name that they gave; an agent without a
    name is known inside by their own address, which stays inside.
    """
    is_nameless = comment.author_type == "agent" and re.fullmatch(r"\S+@\S+", comment.author_name)
    if comment.author_type == "system" or is_nameless:
        return one_line(outgoing.workspace.name)
    if comment.author_contact_id is not None and comment.author_contact_id == outgoing.ticket.requester_id:
        return one_line(outgoing.ticket.requester_label)
    return one_line(comment.author_name)


def _reply_to(outgoing: Outgoing) -> list[str]:
    mailbox = outgoing.mailbox
    if mailbox is None or not mailbox.uses_plus_address or outgoing.kind == "notice":
        return []
    signed = tokens.reply_address(ticket_id=outgoing.ticket_id, address=mailbox.address)
    return [formataddr((one_line(mailbox.name or outgoing.workspace.name), signed))]


def _subject(outgoing: Outgoing) -> str:
    ticket = outgoing.ticket
    number, subject = f"[#{ticket.number}]", one_line(ticket.subject)
    if outgoing.kind == "acknowledgement":
        # Anybody can write any address into a form or a mail: what they wrote goes to nobody (no relay for spam).
        return f"We have received your request {number}"
    if outgoing.kind == "notice":
        said = {
            "assigned": "Assigned to you",
            "mentioned": "You were mentioned",
            "replied": "New answer",
            "watched": "News on a ticket that you watch",
        }
        return f"{said.get(outgoing.topic, 'News')}: {subject} {number}"
    return f"Re: {_without_re(subject)} {number}"


def _without_re(subject: str) -> str:
    return re.sub(r"^(?:re\s*:\s*)+", "", subject, flags=re.IGNORECASE) or subject


def _headers(outgoing: Outgoing, *, in_conversation: bool = True) -> dict[str, str]:
    headers = {
        "Message-ID": f"<{outgoing.message_id}>",
        "X-Helpdesk": str(outgoing.workspace_id),
    }
    if outgoing.is_automatic or outgoing.kind == "notice":
        # RFC 3834, 5; then what Exchange listens to, and what older absence notices do.
        headers |= {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "Precedence": "bulk"}
    if in_conversation and (named := references(outgoing)):
        headers["In-Reply-To"] = f"<{named[-1]}>"
        headers["References"] = " ".join(f"<{message_id}>" for message_id in named)
    if outgoing.kind == "reply" and not settings.EMAIL_BACKEND.startswith("anymail."):
        # Providers' programming interfaces take the header for the envelope: there it is the one recipient only.
        headers |= _shown_recipients(outgoing)
    return headers


def _shown_recipients(outgoing: Outgoing) -> dict[str, str]:
    """To: the requester and Cc: who else takes part, so that "reply all" reaches them.

    Those by their addresses alone: anybody can put any address into Cc, and must not learn from our answer which
    name the helpdesk knows of it.
    """
    ticket = outgoing.ticket
    shown = {"To": formataddr((one_line(ticket.requester_name), ticket.requester_email))}
    others = Participant.objects.for_workspace(outgoing.workspace_id).filter(ticket=ticket)
    rows = others.exclude(contact__email=ticket.requester_email).order_by("created_at", "pk")
    people = list(rows.values_list("contact__email", flat=True))
    if outgoing.recipient not in {ticket.requester_email, *people}:
        return {}
    if people:
        shown["Cc"] = ", ".join(people)
    return shown


def references(outgoing: Outgoing) -> list[str]:
    """The Message-IDs of the conversation before this mail, oldest first and without <>: of a long one the first
    and the last, so that the header stays within what servers take and every mail program still finds the thread.
    """
    ticket_id, before = outgoing.ticket_id, outgoing.created_at
    if outgoing.kind == "notice":
        sent = Outgoing.unscoped.filter(ticket_id=ticket_id, kind="notice", recipient=outgoing.recipient)
        came: Any = []
    else:
        sent = Outgoing.unscoped.filter(ticket_id=ticket_id, recipient=outgoing.recipient)
        sent = sent.exclude(kind__in=["notice", "sign_in"])
        came = (
            Incoming.unscoped.filter(ticket_id=ticket_id, outcome__in=["ticket_created", "comment_added"])
            .exclude(message_id="")
            .filter(received_at__lte=before)
            .values_list("received_at", "message_id")
        )
    # Its own id is never named, nor one of the same moment: only what was there before.
    mine = (
        sent.filter(Q(created_at__lt=before), status__in=["sent", "bounced"])
        .exclude(pk=outgoing.pk)
        .values_list("created_at", "message_id")
    )
    ordered = [message_id for _, message_id in sorted([*came, *mine], key=lambda row: row[0])]
    named = [one for one in dict.fromkeys(ordered) if re.fullmatch(r"[^\s<>]+", one)]
    if len(named) > NAMED_FIRST + NAMED_LAST:
        named = [*named[:NAMED_FIRST], *named[-NAMED_LAST:]]
    return named


def _history(outgoing: Outgoing, comment: Comment | None, wanted: str) -> list[Quoted]:
    """What was said before the answer, newest first; nothing that customers do not see, and not the chat before it."""
    if outgoing.kind != "reply" or comment is None or wanted == "none":
        return []
    ticket = outgoing.ticket
    most = 1 if wanted == "last" else MOST_QUOTED
    before = ticket.comments.filter(is_internal=False, is_transcript=False, deleted_at=None).filter(
        Q(created_at__lt=comment.created_at) | Q(created_at=comment.created_at, pk__lt=comment.pk)
    )
    quoted = [
        Quoted(_author(one, outgoing), one.created_at, one.body, markup.sanitise(one.body_html))
        for one in before.order_by("-created_at", "-pk")[:most]
    ]
    if len(quoted) < most:
        quoted.append(
            Quoted(
                one_line(ticket.requester_label),
                ticket.created_at,
                ticket.description,
                markup.sanitise(ticket.description_html),
            )
        )
    kept: list[Quoted] = []
    for one in quoted:
        if sum(len(each.html) + len(each.text) for each in [*kept, one]) > LONGEST_QUOTED:
            break
        kept.append(one)
    return kept


def _files(outgoing: Outgoing, comment: Comment | None) -> Sequence[Attachment]:
    if outgoing.kind != "reply" or comment is None:
        return []
    return list(comment.attachments.filter(is_internal=False).order_by("created_at", "pk"))


def _safe_type(content_type: str) -> str:
    """A type that may be written into a header; a message inside a message would be read as one."""
    plain = re.fullmatch(r"[\w.+-]+/[\w.+-]+", content_type)
    return (
        content_type
        if plain and not content_type.startswith(("message/", "multipart/"))
        else ("application/octet-stream")
    )
