"""Senders whose mail is ignored."""

import re
from uuid import UUID

from helpdesk.accounts.models import User
from helpdesk.errors import InvalidInput
from tickets.mail.models import BlockedSender
from tickets.services import base

_DOMAIN = re.compile(r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


def clean_pattern(value: str) -> str:
    """An address, or `@` and a domain, in lower case. Raises InvalidInput naming `pattern`."""
    pattern = base.text("pattern", value, longest=254, one_line=True).lower()
    if _DOMAIN.fullmatch(pattern):
        return pattern
    try:
        return base.email_address("pattern", pattern)
    except InvalidInput:
        message = "This must be an address like jane@example.com, or a whole domain like @example.com."
        raise InvalidInput.of("pattern", message) from None


def block(*, workspace_id: UUID, pattern: str, by: User | None, reason: str = "") -> BlockedSender:
    """Ignore mail of an address or a domain from now on; the same twice is one. Raises InvalidInput."""
    blocked, _ = BlockedSender.unscoped.get_or_create(
        workspace_id=workspace_id,
        pattern=clean_pattern(pattern),
        defaults={"created_by": by, "reason": base.text("reason", reason, longest=200, required=False, one_line=True)},
    )
    return blocked


def unblock(*, workspace_id: UUID, pattern: str) -> None:
    """Take mail of an address or a domain again."""
    BlockedSender.objects.for_workspace(workspace_id).filter(pattern=pattern).delete()


def blocks(*, workspace_id: UUID, address: str) -> str:
    """The pattern that blocks the address; empty when none does. A domain blocks its subdomains, too."""
    domain = address.rpartition("@")[2].lower()
    labels = domain.split(".")
    candidates = [address.lower(), *(f"@{'.'.join(labels[start:])}" for start in range(len(labels) - 1))]
    found = BlockedSender.objects.for_workspace(workspace_id).filter(pattern__in=candidates)
    return str(found.values_list("pattern", flat=True).first() or "")
