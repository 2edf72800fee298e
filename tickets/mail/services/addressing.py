"""Which mailbox an address belongs to."""

import base64
import binascii
from uuid import UUID

from django.conf import settings

from tickets.mail import tokens
from tickets.mail.models import Mailbox


def forwarding_address(mailbox: Mailbox) -> str:
    """Where a customer's own mail server forwards to, so that it reaches our listener."""
    return f"m{base64.b32encode(mailbox.pk.bytes).decode().rstrip('=').lower()}@{settings.MAIL_DOMAIN}"


def find_mailbox(address: str) -> Mailbox | None:
    """The active mailbox that mail to this address belongs to: its own address, with or without
    a token after the plus, or the one that mail is forwarded to. None for any other.
    """
    plain = tokens.without_token(address)
    if not plain.isascii() or "\0" in plain:
        return None
    local, _, domain = plain.rpartition("@")
    if domain == settings.MAIL_DOMAIN and (pk := _mailbox_id(local)):
        return Mailbox.unscoped.select_related("workspace").filter(pk=pk, is_active=True).first()
    return Mailbox.unscoped.select_related("workspace").filter(address=plain, is_active=True).first()


def _mailbox_id(local: str) -> UUID | None:
    if len(local) != 27 or not local.startswith("m"):
        return None
    try:
        return UUID(bytes=base64.b32decode(local[1:].upper() + "======"))
    except (binascii.Error, ValueError):
        return None


def default_mailbox(workspace_id: UUID) -> Mailbox | None:
    """The mailbox that answers on tickets of other channels come from; None where there is no mailbox."""
    mailboxes = Mailbox.objects.for_workspace(workspace_id).filter(is_active=True)
    found: Mailbox | None = mailboxes.order_by("-is_default", "created_at", "pk").first()
    return found
