"""What came by mail and is no request: away with it, and the sender's mail is ignored from now on."""

import datetime as dt

from django.db import transaction

from helpdesk.accounts.models import Membership
from helpdesk.accounts.roles import Permission
from helpdesk.errors import Conflict, InvalidInput, NotAllowed
from tickets.mail.models import Mailbox
from tickets.mail.services import blocking
from tickets.models import Ticket
from tickets.services import base, editing


def pattern_of(ticket: Ticket, *, whole_domain: bool) -> str:
    """What would be blocked: the requester's address, or `@` and its domain."""
    address = ticket.requester_email.lower()
    return f"@{address.rpartition('@')[2]}" if whole_domain else address


@transaction.atomic
def not_a_ticket(*, ticket: Ticket, member: Membership, whole_domain: bool, now: dt.datetime) -> str:
    """Move a ticket that came by mail to the trash, and ignore the mail of its requester from now on; with
    `whole_domain` that of everybody under the same domain. Gives the pattern that is blocked.

    Raises NotAllowed when the role may not work on tickets, Conflict for a ticket that did not come by mail and
    for a merged one, InvalidInput naming `whole_domain` or `requester` for an address of the workspace itself,
    NotFound when the ticket is gone.
    """
    if not member.may(Permission.WORK):
        raise NotAllowed("Your role does not allow this.")
    fresh = base.lock(ticket)
    if fresh.channel != "email":
        raise Conflict("Only a ticket that came by mail can be called not a ticket.", code="not_by_mail")
    pattern = pattern_of(fresh, whole_domain=whole_domain)
    ours = Mailbox.objects.for_workspace(fresh.workspace_id).values_list("address", flat=True)
    if pattern in ours:
        raise InvalidInput.of("requester", "This is an address of your own mailboxes; it cannot be blocked.")
    if whole_domain and any(address.endswith(pattern) for address in ours):
        raise InvalidInput.of("whole_domain", f"{pattern} is the domain of your own mailboxes; block the address.")
    blocking.block(
        workspace_id=fresh.workspace_id, pattern=pattern, by=member.user, reason=f"#{fresh.number} was not a ticket"
    )
    editing.trash(ticket=fresh, actor=base.agent(member), now=now)
    return pattern


def unblock(*, pattern: str, member: Membership) -> None:
    """Take mail of an address or a domain again. Raises NotAllowed when the role may not work on tickets."""
    if not member.may(Permission.WORK):
        raise NotAllowed("Your role does not allow this.")
    blocking.unblock(workspace_id=member.workspace_id, pattern=pattern.strip().lower())
