"""Delivery reports: what became of a message we sent (RFC 3464), and the forms that follow no standard."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tickets.mail.parsing import charsets, headers
from tickets.mail.parsing.headers import Fields
from tickets.mail.parsing.structure import Part

MAX_RECIPIENTS: Final = 200
MAX_IDS: Final = 20  # ids of returned messages
MAX_DIAGNOSTIC: Final = 500  # characters
_MAX_READ: Final = 200_000  # bytes of a part, characters of a text, that are searched

_STATUS_PARTS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED_PARTS: Final = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"}
)
_ACTIONS: Final = ("failed", "delayed", "delivered", "relayed", "expanded")

_DAEMONS: Final = re.compile(r"(?:mailer-?daemon|mail-?daemon|postmaster|microsoftexchange[0-9a-f]*)\b", re.IGNORECASE)
_FAILED_SUBJECT: Final = re.compile(
    r"\s*(?:undeliver(?:ed|able)\b|mail delivery (?:failed|failure|system)"
    r"|delivery (?:status notification|failure|failed|notification)"
    r"|failure notice|returned mail|mail system error|message (?:delivery )?(?:failed|failure|undeliverable)"
    r"|delivery has failed|unzustellbar|nicht zustellbar|non remis|échec de la remise|no se puede entregar"
    r"|non recapitabile|onbestelbaar|não entregue|недоставленное сообщение|не доставлено"
    r"|warning: (?:message|could not send))",
    re.IGNORECASE,
)  # fmt: skip
_DELAYED: Final = re.compile(
    r"\b(?:delay(?:ed)?|warning|will (?:continue to try|be retried|keep trying)|not yet been delivered)\b",
    re.IGNORECASE,
)
_STATUS: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY: Final = re.compile(r"(?<![\d.])([45])([0-5]\d)(?= |-)")
_ADDRESS_WORDS: Final = re.compile(r"user|mailbox|recipient|address|account", re.IGNORECASE)
_SECTION: Final = re.compile(r"\n[ \t]*\n")
# The line of qmail and Exim that names whom it concerns.
_NAMED: Final = re.compile(r"^[ \t]*<?([^\s<>@:;,()\"]{1,64}@[^\s<>@:;,()\"]{1,190})>?[ \t]*+:?[ \t]*+$", re.MULTILINE)
_IN_BRACKETS: Final = re.compile(r"<([^\s<>@:;,()\"]{1,64}@[^\s<>@:;,()\"]{1,190})>")
_IDS: Final = re.compile(r"<([^\s<>@]{1,400}@[^\s<>@]{1,400})>")
_ID_FIELD: Final = re.compile(r"^[ \t>]*Message-ID:\s*<([^<>\s]{1,900})>", re.IGNORECASE | re.MULTILINE)
_RETURNED: Final = re.compile(
    r"^[ \t]*+-*+[ \t]*+(?:below this line is a copy|this is a copy of the message|original message"
    r"|the (?:header|original message)"
    r"|.{0,40}(?:returned|original) (?:message|headers)|message header).{0,80}$"
    r"|^[ \t>]*(?:message-id|received|return-path|mime-version|dkim-signature):",
    re.IGNORECASE | re.MULTILINE,
)
# Failures that say nothing about the address itself: a full mailbox, a message too large, its content, a policy.
_NOT_THE_ADDRESS: Final = re.compile(r"5\.(?:2\.[23]|3\.4|[67]\.\d+)")


@dataclass(frozen=True)
class Report:
    """What became of a message: `kind` is "failed", "delayed", "delivered", "relayed" or "expanded"."""

    kind: str
    recipients: tuple[tuple[str, str, str, str], ...]  # address, status like "5.1.1", action, diagnostic in words
    original_message_ids: tuple[str, ...]  # without brackets, the likeliest first
    is_permanent: bool  # the address does not work and will not: unknown user, no such domain, disabled


def read(root: Part, fields: Fields, *, subject: str, sender: str, text: str, envelope_empty: bool) -> Report | None:
    """The delivery report that a message is, None when it is none.

    `envelope_empty`: it came with the null sender, as reports do (RFC 5321, 6.1).
    """
    parts = list(root.walk())
    status_parts = [part for part in parts if part.content_type in _STATUS_PARTS]
    if status_parts:
        report = _standard(status_parts, parts, text)
        if report:
            return report
    failed = headers.emails(headers.all_of(fields, "x-failed-recipients"))
    from_daemon = envelope_empty or bool(_DAEMONS.match(sender.partition("@")[0]))
    looks_returned = bool(_FAILED_SUBJECT.match(subject))
    calls_itself_one = root.declared_type == "multipart/report" and root.parameters.get("report-type", "").lower() in (
        "delivery-status",
        "global-delivery-status",
    )
    if failed or calls_itself_one or (from_daemon and looks_returned):
        return _free_form(parts, failed, subject=subject, text=text)
    return None


def _standard(status_parts: Sequence[Part], parts: Sequence[Part], text: str) -> Report | None:
    sections: list[str] = []
    for part in status_parts[:MAX_RECIPIENTS]:
        body = charsets.decode(part.content([])[:_MAX_READ])[0]
        sections += _SECTION.split(body.strip(), maxsplit=MAX_RECIPIENTS)
    known = dict.fromkeys(filter(None, map(_recipient, sections[: 2 * MAX_RECIPIENTS])))
    recipients = list(known)[:MAX_RECIPIENTS]
    if not recipients:
        return None
    ids = _returned_ids(parts) or _ids_in(text, [address for address, *_ in recipients])
    return _report(recipients, ids)


def _recipient(section: str) -> tuple[str, str, str, str] | None:
    """The fields about one recipient (RFC 3464, 2.3); None for the section about the message."""
    data = section.encode("utf-8", "replace")
    block = headers.split(data, 0, len(data), most=50)
    fields = [(name, headers.text_of(value)) for name, value in block.fields]
    address = ""
    # The original one is what we wrote to; the final one may be what it was forwarded to.
    for name in ("original-recipient", "final-recipient", "x-actual-recipient"):
        value = headers.first(fields, name).rpartition(";")[2].strip()
        found = headers.addresses(value)
        address = address or next((each.email for each in found if each.email), "")
    action = headers.first(fields, "action").partition("(")[0].strip().lower()
    match = _STATUS.search(headers.first(fields, "status"))
    diagnostic = _words(
        headers.first(fields, "diagnostic-code").partition(";")[2] or headers.first(fields, "diagnostic-code")
    )
    status = match[1] if match else _status_in(diagnostic)
    if action not in _ACTIONS:
        action = {"5": "failed", "4": "delayed", "2": "delivered"}.get(status[:1], "")
    if not address and not headers.first(fields, "final-recipient"):
        return None
    return (address, status, action, diagnostic) if action else None


def _free_form(parts: Sequence[Part], failed: Sequence[str], *, subject: str, text: str) -> Report:
    text = text[:_MAX_READ]
    returned = _RETURNED.search(text)
    told = text[: returned.start()] if returned else text
    status = _status_in(told)
    delayed = bool(_DELAYED.search(subject)) or (bool(_DELAYED.search(told[:2000])) and not status.startswith("5"))
    action = "delayed" if delayed else "failed"
    named = (
        list(failed)
        or [found.lower() for found in _NAMED.findall(told)]
        or [found.lower() for found in _IN_BRACKETS.findall(told)]
    )
    recipients = []
    lowered = told.lower() if len(told.lower()) == len(told) else told
    for address in list(dict.fromkeys(named))[:MAX_RECIPIENTS]:
        place = lowered.find(address)
        behind = told[place + len(address) :][:1000] if place >= 0 else ""
        own = _status_in(behind) or status
        recipients.append((address, own or ("4.0.0" if delayed else "5.0.0"), action, _words(behind.lstrip("> :\n"))))
    ids = _returned_ids(parts) or _ids_in(text, named)
    if not recipients:
        return Report(kind=action, recipients=(), original_message_ids=ids, is_permanent=False)
    return _report(recipients, ids)


def _report(recipients: Sequence[tuple[str, str, str, str]], ids: tuple[str, ...]) -> Report:
    actions = {action for _, _, action, _ in recipients}
    kind = next(action for action in _ACTIONS if action in actions)
    permanent = any(
        action == "failed" and status.startswith("5") and not _NOT_THE_ADDRESS.fullmatch(status)
        for _, status, action, _ in recipients
    )
    return Report(kind=kind, recipients=tuple(recipients), original_message_ids=ids, is_permanent=permanent)


def _returned_ids(parts: Sequence[Part]) -> tuple[str, ...]:
    found: list[str] = []
    returned = [part for part in parts if part.content_type in _RETURNED_PARTS]
    for part in returned[:MAX_IDS]:
        content = part.content([])[:_MAX_READ].lstrip(b"\r\n")
        value = headers.text_of(headers.split(content, 0, len(content)).raw("message-id"))
        if value and (message_id := headers.message_id(value)):
            found.append(message_id)
    return tuple(dict.fromkeys(found))


def _ids_in(text: str, not_these: Sequence[str]) -> tuple[str, ...]:
    """What may be the ids of returned messages in a text: those in a Message-ID line first."""
    found = _ID_FIELD.findall(text[:_MAX_READ]) + _IDS.findall(text[:_MAX_READ])
    return tuple(dict.fromkeys(each for each in found if each.lower() not in not_these))[:MAX_IDS]


def _status_in(text: str) -> str:
    """An enhanced status code (RFC 3463), or one made of a reply code (RFC 5321): "550" is "5.0.0"."""
    match = _STATUS.search(text)
    if match:
        return match[1]
    reply = _REPLY.search(text)
    if not reply:
        return ""
    about_the_address = reply[0] in ("550", "551", "553") and _ADDRESS_WORDS.search(text[reply.end() :][:80])
    return "5.1.1" if about_the_address else f"{reply[1]}.0.0"


def _words(text: str) -> str:
    return headers.one_line(text.partition("\n\n")[0])[:MAX_DIAGNOSTIC]
