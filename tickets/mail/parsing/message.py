"""The bytes of a mail, read: who wrote it, to whom, in answer to what, what it says and what came with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tickets.mail.parsing import automatic, bodies, headers, spam, structure
from tickets.mail.parsing import report as reports
from tickets.mail.parsing.bodies import File
from tickets.mail.parsing.headers import Address
from tickets.mail.parsing.report import Report
from tickets.mail.parsing.structure import Part, Unreadable

__all__ = ["Address", "File", "Message", "Report", "Unreadable", "read"]

MAX_SUBJECT: Final = 998  # characters: a line of a mail has no more
MAX_PROBLEMS: Final = 50

# Where the servers on the way note for whom a message is, when To names somebody else.
_DELIVERED_TO: Final = (
    "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "x-forwarded-to",
    "x-original-recipient", "x-rcpt-to", "original-recipient", "apparently-to", "x-apparently-to",
)  # fmt: skip


@dataclass(frozen=True)
class Message:
    """A message. Every string can be stored and shown: no NUL, no lone surrogate; one line where one is meant."""

    message_id: str  # without its brackets, "" when it has none
    in_reply_to: tuple[str, ...]  # ids without their brackets
    references: tuple[str, ...]  # the same; of a long thread the first and the newest
    sender: Address  # From, else Sender, Reply-To, Return-Path; both fields may be ""
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    delivered_to: tuple[str, ...]  # addresses the servers on the way delivered to, in lower case
    subject: str  # "" when it has none
    date: datetime | None  # UTC; None when it is missing or absurd
    headers: tuple[tuple[str, str], ...]  # every field, decoded, in order
    text: str  # what was written as plain text, whole: quotes and signatures are still in it
    html: str  # the same as HTML as it was sent, NOT sanitised; "" when there is none
    files: tuple[File, ...]
    automatic: str  # why it counts as written by a machine, a code of `automatic`; "" when a person wrote it
    report: Report | None  # what became of a message we sent
    is_spam: str  # the header field in which a filter calls it spam, "" when none does
    problems: tuple[str, ...]  # what was broken, in words


def read(raw: bytes, *, envelope_from: str | None = None) -> Message:
    """The message that some bytes are.

    `envelope_from`: the sender the server was told in MAIL FROM ("" for the null sender), None when it is not known.
    Whatever the bytes, there is a message, in time that grows with their number only.

    Raises Unreadable for bytes that are too many, too deeply nested, in too many parts, or none at all.
    """
    problems: list[str] = []
    root = structure.parse(bytes(raw), problems)
    hint = _charset_of(root)
    fields = tuple((name, headers.text_of(value, hint=hint)) for name, value in root.block.fields)
    content = bodies.read(root, hint=hint, problems=problems)

    def people(name: str) -> tuple[Address, ...]:
        found: list[Address] = []
        for key, value in root.block.fields:
            if key.lower() == name:
                found += headers.addresses(headers.raw_text(value, hint=hint))
        return tuple(dict.fromkeys(found))[: headers.MAX_ADDRESSES]

    if len(headers.all_of(fields, "from")) > 1:
        problems.append("several From fields")
    sender = _sender(people)
    subject = headers.first(fields, "subject")[:MAX_SUBJECT]
    envelope_empty = envelope_from is not None and not envelope_from.strip("<> ")
    envelope_empty = envelope_empty or any(value == "<>" for value in headers.all_of(fields, "return-path"))
    report = reports.read(
        root, fields, subject=subject, sender=sender.email, text=content.text, envelope_empty=envelope_empty
    )
    date = headers.date(headers.first(fields, "date"))
    if date is None:
        problems.append("no Date that can be read" if headers.first(fields, "date") else "no Date")
    message_id = headers.message_id(headers.first(fields, "message-id"))
    if not message_id:
        problems.append("no Message-ID")
    if not sender.email:
        problems.append("no sender's address")
    return Message(
        message_id=message_id,
        in_reply_to=headers.capped(_ids(fields, "in-reply-to")),
        references=headers.capped(_ids(fields, "references")),
        sender=sender,
        reply_to=people("reply-to"),
        to=people("to"),
        cc=people("cc"),
        delivered_to=headers.emails(value for name in _DELIVERED_TO for value in headers.all_of(fields, name)),
        subject=subject,
        date=date,
        headers=fields,
        text=content.text,
        html=content.html,
        files=content.files,
        automatic=automatic.reason(
            fields,
            subject=subject,
            sender=sender.email,
            content_type=root.content_type,
            report_type="delivery" if report else "",
            envelope_from=envelope_from,
        ),
        report=report,
        is_spam=spam.named_by(fields),
        problems=_in_short(problems),
    )


def _charset_of(root: Part) -> str:
    """The charset the message's texts are declared in: raw bytes in its header are mostly in the same one."""
    for part in root.walk():
        if part.charset and part.content_type.startswith("text/"):
            return part.charset
    return ""


def _sender(people: Callable[[str], tuple[Address, ...]]) -> Address:
    """Who sent it: the first address of From, else of the fields that may stand for it (RFC 5322, 3.6.2)."""
    named = ""
    for field in ("from", "sender", "reply-to", "return-path"):
        for address in people(field):
            if address.email:
                return Address(email=address.email, name=address.name or named)
            named = named or address.name
    return Address(email="", name=named)


def _ids(fields: Iterable[tuple[str, str]], name: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value in headers.all_of(list(fields), name):
        found |= dict.fromkeys(headers.ids(value))
    return tuple(found)


def _in_short(problems: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(headers.one_line(each)[:200] for each in problems))[:MAX_PROBLEMS]
