"""Signed names of tickets in our Message-IDs and reply addresses, so that an answer finds its ticket.

Both carry ids and a MAC (HMAC-SHA256, RFC 2104, truncated) under a key derived from SECRET_KEY, with
SECRET_KEY_FALLBACKS accepted. Base32 in lower case, because mail servers may change the case of an
address (RFC 5321 lets them not, but some do).
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

KINDS = {
    "reply": "r",
    "acknowledgement": "a",
    "resolution": "s",
    "notice": "n",
    "sign_in": "l",
}
_LETTERS = {letter: kind for kind, letter in KINDS.items()}
_ID_MAC_BYTES = 20  # 160 bits
_ADDRESS_MAC_BYTES = 10  # 80 bits: 16 characters, so that the local part stays within 64 (RFC 5321, 4.5.3.1.1)
_MESSAGE_ID = re.compile(r"hd([a-z])\.([a-z2-7]{26})\.([a-z2-7]{26})\.([a-z2-7]{32})@[^\s<>@]{1,255}")
_ADDRESS = re.compile(r"[^\s<>@]{1,64}\+t([a-z2-7]{26})\.([a-z2-7]{16})@[^\s<>@]{1,255}")
LONGEST_LOCAL_PART = 64


@dataclass(frozen=True)
class Signed:
    """What one of our Message-IDs says: the kind of mail, its ticket, and its row of `Outgoing`."""

    kind: str  # a key of KINDS
    ticket_id: UUID
    outgoing_id: UUID


def message_id(*, kind: str, ticket_id: UUID, outgoing_id: UUID, domain: str) -> str:
    """The Message-ID (without <>) of a mail about a ticket: the same for the same row, always."""
    letter = KINDS[kind]
    mac = _macs(f"id:{letter}", ticket_id.bytes + outgoing_id.bytes, _ID_MAC_BYTES)[0]
    return f"hd{letter}.{_text(ticket_id.bytes)}.{_text(outgoing_id.bytes)}.{mac}@{domain}"


def read_message_id(value: str) -> Signed | None:
    """What a Message-ID (with or without <>) says, if we made it; None for any other and for a wrong MAC."""
    found = _MESSAGE_ID.fullmatch(value.strip().strip("<>").lower())
    if found is None or found[1] not in _LETTERS:
        return None
    ticket, row = _bytes(found[2]), _bytes(found[3])
    if ticket is None or row is None or not _is_good(f"id:{found[1]}", ticket + row, found[4], _ID_MAC_BYTES):
        return None
    return Signed(_LETTERS[found[1]], UUID(bytes=ticket), UUID(bytes=row))


def looks_ours(value: str) -> bool:
    """Whether a Message-ID has the form of ours, whatever its MAC: such a one threads by its MAC or not at all."""
    return _MESSAGE_ID.fullmatch(value.strip().strip("<>").lower()) is not None


def reply_address(*, ticket_id: UUID, address: str) -> str:
    """The mailbox's address with the signed ticket after a plus (RFC 5233); as it is where that gets too long."""
    local, _, domain = address.rpartition("@")
    mac = _macs("address", ticket_id.bytes, _ADDRESS_MAC_BYTES)[0]
    signed = f"{local}+t{_text(ticket_id.bytes)}.{mac}"
    return f"{signed}@{domain}" if len(signed) <= LONGEST_LOCAL_PART else address


def read_address(value: str) -> UUID | None:
    """The ticket that a reply address names, if we made it; None for any other and for a wrong MAC."""
    found = _ADDRESS.fullmatch(value.strip().lower())
    ticket = _bytes(found[1]) if found else None
    if found is None or ticket is None or not _is_good("address", ticket, found[2], _ADDRESS_MAC_BYTES):
        return None
    return UUID(bytes=ticket)


def without_token(value: str) -> str:
    """An address without what stands after the plus, in lower case: `support+t…@x` is `support@x`."""
    local, at, domain = value.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def _macs(purpose: str, content: bytes, length: int) -> list[str]:
    """The MAC under each configured key, the present one first."""
    macs = []
    for secret in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
        key = hashlib.sha256(b"helpdesk mail token:" + secret.encode()).digest()
        macs.append(_text(hmac.new(key, purpose.encode() + b"\0" + content, hashlib.sha256).digest()[:length]))
    return macs


def _is_good(purpose: str, content: bytes, mac: str, length: int) -> bool:
    # Every key is compared, so that the time tells nothing.
    return any([hmac.compare_digest(mac, good) for good in _macs(purpose, content, length)])  # noqa: C419


def _text(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()


def _bytes(text: str) -> bytes | None:
    try:
        content = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error:
        return None
    # Base32 has spare bits at the end: only the one spelling that we write is ours.
    return content if len(content) == 16 and _text(content) == text else None
