"""The demo's mail: each one a file in `DATA_DIR/mail` instead of a message to somebody, and how they are read.

`FileBackend` is Django's mail backend of `ENVIRONMENT=demo`; the pages at `/dev/mail` show what it wrote.
"""

import datetime as dt
import email
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage as ParsedMessage
from email.message import MIMEPart
from email.parser import BytesHeaderParser
from email.utils import formataddr, getaddresses, parseaddr
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

NAME = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}\.eml")
_NAMED_AT = "%Y%m%dT%H%M%S%fZ"
_HEADERS_WITHIN = 64 * 1024  # bytes of a file that are read for a list
_SHOWN = ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References")


@dataclass(frozen=True)
class Line:
    """What a list shows of a mail. `to` is who it went to, `written_at` when."""

    name: str
    written_at: dt.datetime
    sender: str
    to: str
    subject: str


@dataclass(frozen=True)
class Attached:
    """A file in a mail; `size` in bytes."""

    name: str
    content_type: str
    size: int


@dataclass(frozen=True)
class Letter:
    """A mail as it is read: `headers` are those that people know, `more` the others."""

    name: str
    written_at: dt.datetime
    to: str
    subject: str
    headers: list[tuple[str, str]]
    more: list[tuple[str, str]]
    text: str
    html: str
    files: list[Attached]


class FileBackend(BaseEmailBackend):
    """Writes each mail into a file of its own, whole or not at all, readable by nobody else.

    Who it went to stands on top (Return-Path, RFC 5321 4.4, and Delivered-To): the headers below may name others.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write them; gives how many. Raises OSError when the folder cannot be written."""
        written = 0
        for message in email_messages:
            if recipients := message.recipients():
                trace = [f"Return-Path: <{_address(message.from_email)}>"]
                trace += [f"Delivered-To: {_address(to)}" for to in recipients]
                top = "".join(f"{_one_line(line)}\r\n" for line in trace).encode()
                made: Any = message.message()
                keep(top + made.as_bytes(linesep="\r\n"), now=dt.datetime.now(dt.UTC))
                written += 1
        return written


def folder() -> Path:
    """Where the mails are."""
    return Path(settings.DATA_DIR) / "mail"


def keep(raw: bytes, *, now: dt.datetime) -> str:
    """Write a mail; gives the name of its file. Names sort by time."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{now.astimezone(dt.UTC).strftime(_NAMED_AT)}-{secrets.token_hex(4)}.eml"
    unfinished = folder() / f".{name}"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(raw)
    unfinished.rename(folder() / name)
    return name


def names() -> list[str]:
    """The mails there are, newest first."""
    try:
        found = [entry.name for entry in os.scandir(folder()) if NAME.fullmatch(entry.name)]
    except FileNotFoundError:
        return []
    return sorted(found, reverse=True)


def lines(some: Sequence[str]) -> list[Line]:
    """What a list shows of these mails; one that is gone meanwhile is left out."""
    found = []
    for name in some:
        try:
            with (folder() / name).open("rb") as file:
                top = file.read(_HEADERS_WITHIN)
        except FileNotFoundError:
            continue
        head = BytesHeaderParser(policy=policy.default).parsebytes(top)
        found.append(Line(name, _written_at(name), _header(head, "From"), _to(head), _header(head, "Subject")))
    return found


def raw(name: str) -> bytes | None:
    """The bytes of a mail; None where there is none of this name."""
    if not NAME.fullmatch(name):
        return None
    try:
        return (folder() / name).read_bytes()
    except FileNotFoundError:
        return None


def read(name: str) -> Letter | None:
    """A mail to be read; None where there is none of this name."""
    content = raw(name)
    if content is None:
        return None
    message = email.message_from_bytes(content, policy=policy.default)
    shown = [(header, _header(message, header)) for header in _SHOWN if header in message]
    more = [
        (header, _words(value))
        for header, value in message.items()
        if header.lower() not in {one.lower() for one in _SHOWN}
    ]
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    return Letter(
        name=name,
        written_at=_written_at(name),
        to=_to(message),
        subject=_header(message, "Subject"),
        headers=shown,
        more=more,
        text=_text(text),
        html=_text(html),
        files=[_attached(part) for part in message.iter_attachments()],
    )


def _address(named: str) -> str:
    return parseaddr(named)[1]


def _to(head: ParsedMessage) -> str:
    """Who it went to; the name beside the address where the headers say it."""
    named = getaddresses([str(value) for name in ("To", "Cc") for value in head.get_all(name, [])])
    names_of = {address.lower(): name for name, address in named}
    went_to = [str(value).strip() for value in head.get_all("Delivered-To", [])] or [address for _, address in named]
    return ", ".join(formataddr((names_of.get(to.lower(), ""), to), "utf-8").strip() for to in went_to)


def _header(message: ParsedMessage, name: str) -> str:
    return _words(message.get(name, ""))


def _words(value: object) -> str:
    return _one_line(str(value)).encode("utf-8", "replace").decode()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(part: MIMEPart | None) -> str:
    if part is None:
        return ""
    content = part.get_payload(decode=True)
    charset = part.get_content_charset("utf-8")
    try:
        return bytes(content).decode(charset, "replace") if isinstance(content, bytes) else ""
    except LookupError:
        return bytes(content).decode("utf-8", "replace") if isinstance(content, bytes) else ""


def _attached(part: MIMEPart) -> Attached:
    content = part.get_payload(decode=True)
    size = len(content) if isinstance(content, bytes) else len(part.as_bytes())
    return Attached(part.get_filename() or "without a name", part.get_content_type(), size)


def _written_at(name: str) -> dt.datetime:
    return dt.datetime.strptime(name.partition("-")[0], _NAMED_AT).replace(tzinfo=dt.UTC)
