"""Secrets of mailboxes: who knows one may post mail to its mailbox over HTTPS."""

import hashlib
import hmac
import secrets
from uuid import UUID

from tickets.mail.models import Mailbox

PREFIX = "hdm_"
_SHOWN = 12  # characters of the hint: enough to tell two apart


def make_secret(mailbox: Mailbox) -> str:
    """A new secret of the mailbox in plain text, which is never seen again; the one before ends."""
    plain = PREFIX + secrets.token_urlsafe(32)
    mailbox.secret_hash, mailbox.secret_hint = _hashed(plain), plain[:_SHOWN]
    mailbox.save(update_fields=["secret_hash", "secret_hint"])
    return plain


def opens(mailbox: Mailbox | None, secret: str) -> bool:
    """Whether this is the mailbox's secret; takes as long for a mailbox that is not there, or has none."""
    known = mailbox.secret_hash if mailbox else ""
    is_right = hmac.compare_digest(_hashed(secret), known or "0" * 64)
    return is_right and bool(known)


def find(mailbox_id: UUID, secret: str) -> Mailbox | None:
    """The active mailbox, with its workspace, if this is its secret; None for any other, and for an unknown one."""
    mailbox = Mailbox.unscoped.select_related("workspace").filter(pk=mailbox_id, is_active=True).first()
    return mailbox if opens(mailbox, secret) else None


def _hashed(plain: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
