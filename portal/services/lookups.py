"""Lookup: which requests an address has, told to whoever shows that the address is theirs.

To anybody else nothing is told: not even whether there are any. A task mails the links, or does not; what the caller
sees is the same, and takes as long. docs/adr/0002 says why a token that was given on the spot shows so little.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, QuerySet

from helpdesk.accounts.models import Workspace
from helpdesk.api.throttles import seconds_to_wait
from portal.services import visits
from portal.services.strangers import TooManyRequests
from tickets import access, dispatch
from tickets.models import Ticket
from tickets.services import base

MAIL_TASK = "portal.tasks.mail_links"
LIMIT = "lookup"  # of mails that a workspace lets strangers ask for; see DEFAULT_THROTTLE_RATES
ANY_WORKSPACE = "any"


@dataclass(frozen=True)
class Found:
    """What a token shows of its customer's requests."""

    rows: QuerySet[Ticket]  # newest first
    own_ticket_id: UUID
    own_opened_as: UUID  # the id with which the token opens that one; another after a merge

    def opened_as(self, ticket: Ticket) -> UUID:
        """The id by which a customer opens a ticket of the list."""
        return self.own_opened_as if ticket.pk == self.own_ticket_id else ticket.pk


def clean_address(value: str) -> str:
    """The address that is looked up, as the helpdesk keeps addresses. Raises InvalidInput naming `email`."""
    return base.email_address("email", value)


def find(*, address: str, token: str, workspace: Workspace | None, network: str, now: dt.datetime) -> Found | None:
    """The requests that a token shows, of the (clean) address that it was made for.

    With the proof of a mail: all that its customer asked or takes part in, in the token's workspace. Without: the
    token's own, and, where the token itself was given to `network` on the spot, those whose tokens were given to it,
    too. Never what is in the trash; what was merged is told by what it was merged into. None for a token that opens
    nothing, is another address's or another workspace's.
    """
    opened = access.open_any(token=token, now=now) if token else None
    if opened is None or opened.contact.email != address:
        return None
    if workspace is not None and opened.row.workspace_id != workspace.pk:
        return None
    rows = visits.requests_of(opened.contact)
    if not access.is_proven(token):
        rows = rows.filter(pk__in=_ends(opened, network, now))
    shown = rows.defer("description_html", "folded_text", "folded_html", "custom_fields", "sla")
    return Found(shown.order_by(F("created_at").desc(), F("number").desc()), opened.ticket.pk, opened.row.ticket_id)


def ask_for_links(*, workspace: Workspace | None, address: str, language: str = "") -> None:
    """Have the links to the requests of a (clean) address mailed to it, if there are any: in one workspace or in all.

    Here nothing is looked up. The task does, and sends at most three mails to an address in an hour
    (`visits.send_links`). What the broker loses is lost: whoever waits for the mail asks again. Raises TooManyRequests
    when too much is asked of the workspace, whatever the addresses.
    """
    wait = seconds_to_wait(LIMIT, str(workspace.pk) if workspace else ANY_WORKSPACE)
    if wait is not None:
        raise TooManyRequests(wait)
    dispatch.queue_after_commit(MAIL_TASK, str(workspace.pk) if workspace else None, address, language)


def _ends(opened: access.Opened, network: str, now: dt.datetime) -> set[UUID]:
    """The tickets to which a token without proof leads, with those whose tokens went the same way."""
    given = set(access.given_to(contact=opened.contact, network=network, now=now).values_list("ticket_id", flat=True))
    if opened.row.ticket_id not in given:
        return {opened.ticket.pk}  # it comes from somewhere else: being here says nothing
    return {opened.ticket.pk} | _merged_into(opened.row.workspace_id, given)


def _merged_into(workspace_id: UUID, ids: Iterable[UUID]) -> set[UUID]:
    """Where tickets are now: themselves, or the end of their merges. A query for each link of the longest chain."""
    ends, left = set(), set(ids)
    while left:  # chains are short, and cannot be circles
        rows = Ticket.objects.for_workspace(workspace_id).live().filter(pk__in=left)
        found = dict(rows.values_list("pk", "merged_into_id"))
        ends |= {pk for pk, into in found.items() if into is None}
        left = {into for into in found.values() if into is not None}
    return ends
