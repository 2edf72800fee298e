"""Which ticket a message belongs to."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from helpdesk.accounts.models import Contact
from tickets import access
from tickets.mail import tokens
from tickets.mail.models import Incoming, Mailbox, Outgoing
from tickets.mail.parsing.message import Message
from tickets.mail.services.trace import Trace
from tickets.models import Ticket

# "#1042" or "[Ticket #1042]", as people write it into a subject; not a part of a longer word.
_NUMBER = re.compile(r"(?<![\w#&])#(\d{1,15})(?!\w)")
_MOST_NUMBERS = 5
_LONGEST_ID = 400  # characters that are kept of a Message-ID
_LONGEST_CHAIN = 20  # of merges


@dataclass(frozen=True)
class Thread:
    """The ticket that a message belongs to, and what says so."""

    ticket: Ticket  # the end of its merges
    is_vouched: bool  # who wrote it has seen a message of this ticket, or names one that the helpdesk knows
    answers_notice: bool = False  # it answers a mail that went to an agent


def find(*, message: Message, mailbox: Mailbox, recipients: Sequence[str], sender: str, trace: Trace) -> Thread | None:
    """The live ticket of the mailbox's workspace that a message goes on with; None when it begins one.

    In this order: a Message-ID of ours with a good signature, the newest first; a signed reply address among
    `recipients`; a Message-ID that is known, the newest first; a number in the subject, when `sender` (an address)
    takes part in that ticket. What has the form of a Message-ID of ours and a wrong signature leads nowhere.
    """
    workspace_id = mailbox.workspace_id
    ids = newest_first(message)
    return (
        _by_signed_id(workspace_id, ids, trace)
        or _by_reply_address(workspace_id, recipients, trace)
        or _by_known_id(workspace_id, ids, trace)
        or _by_number(workspace_id, message.subject, sender, trace)
    )


def newest_first(message: Message) -> list[str]:
    """What it answers: In-Reply-To, then References, whose newest stands last (RFC 5322, 3.6.4)."""
    return list(dict.fromkeys([*message.in_reply_to, *reversed(message.references)]))


def _by_signed_id(workspace_id: UUID, ids: Iterable[str], trace: Trace) -> Thread | None:
    for value in ids:
        signed = tokens.read_message_id(value)
        if signed is None:
            if tokens.looks_ours(value):
                trace.add("thread", "wrong signature", f"{value} has the form of a Message-ID of ours.")
            continue
        if signed.kind == "sign_in":
            trace.add("thread", "about no single ticket", f"{value} is a mail with links to all requests.")
            continue
        ticket = live(workspace_id, signed.ticket_id)
        if ticket is None:
            trace.add("thread", "no ticket", f"{value} is signed; its ticket is not here, or in the trash.")
            continue
        trace.add("thread", "signed Message-ID", f"{value} leads to #{ticket.number}.")
        return Thread(ticket, is_vouched=True, answers_notice=signed.kind == "notice")
    return None


def _by_reply_address(workspace_id: UUID, recipients: Iterable[str], trace: Trace) -> Thread | None:
    for address in recipients:
        ticket_id = tokens.read_address(address)
        if ticket_id is None:
            continue
        ticket = live(workspace_id, ticket_id)
        if ticket is None:
            trace.add("thread", "no ticket", f"{address} is signed; its ticket is not here, or in the trash.")
            continue
        trace.add("thread", "signed reply address", f"{address} leads to #{ticket.number}.")
        return Thread(ticket, is_vouched=True)
    return None


def _by_known_id(workspace_id: UUID, ids: Iterable[str], trace: Trace) -> Thread | None:
    """A message that came in, or one that went out and was given another Message-ID by the mail provider."""
    asked = [value for value in ids if len(value) <= _LONGEST_ID and not tokens.looks_ours(value)]
    if not asked:
        return None
    came = Incoming.objects.for_workspace(workspace_id).filter(message_id__in=asked, ticket__isnull=False)
    known = dict(came.values_list("message_id", "ticket_id"))
    # Amazon SES, for example, puts its own id before the @.
    local_parts = {value.partition("@")[0]: value for value in reversed(asked)}
    names = [*asked, *local_parts]
    sent = Outgoing.objects.for_workspace(workspace_id).filter(provider_id__in=names).exclude(provider_id="")
    for provider_id, ticket_id, kind in sent.values_list("provider_id", "ticket_id", "kind"):
        if kind not in ("notice", "sign_in"):
            known.setdefault(local_parts.get(provider_id, provider_id), ticket_id)
    for value in asked:
        if value in known and (ticket := live(workspace_id, known[value])):
            trace.add("thread", "known Message-ID", f"{value} leads to #{ticket.number}.")
            return Thread(ticket, is_vouched=True)
    return None


def _by_number(workspace_id: UUID, subject: str, sender: str, trace: Trace) -> Thread | None:
    numbers = list(dict.fromkeys(int(found) for found in _NUMBER.findall(subject)))[:_MOST_NUMBERS]
    if not numbers:
        return None
    contact = Contact.objects.for_workspace(workspace_id).filter(email=sender).first()
    tickets = Ticket.objects.for_workspace(workspace_id).live().filter(number__in=numbers)
    found = {ticket.number: ticket for ticket in tickets.select_related("workspace")}
    for number in numbers:
        ticket = found.get(number)
        end = _end(ticket) if ticket else None
        if ticket is None or end is None:
            trace.add("thread", "no ticket", f"The subject names #{number}; there is no such ticket.")
        elif contact is None or not access.takes_part(ticket=end, contact=contact):
            trace.add("thread", "not theirs", f"The subject names #{number}; {sender} does not take part in it.")
        else:
            trace.add("thread", "number in the subject", f"#{number}, in which {sender} takes part.")
            return Thread(end, is_vouched=False)
    return None


def live(workspace_id: UUID, ticket_id: UUID) -> Ticket | None:
    """The ticket of the workspace, or the one it was merged into; None for a foreign one and for one in the trash."""
    tickets = Ticket.objects.for_workspace(workspace_id).live().select_related("workspace")
    ticket: Ticket | None = tickets.filter(pk=ticket_id).first()
    return _end(ticket) if ticket else None


def _end(ticket: Ticket) -> Ticket | None:
    """Where its merges lead; None when that is in the trash."""
    end: Ticket | None = ticket
    for _ in range(_LONGEST_CHAIN):
        if end is None or end.merged_into_id is None:
            break
        tickets = Ticket.objects.for_workspace(end.workspace_id).live().select_related("workspace")
        end = tickets.filter(pk=end.merged_into_id).first()
    return end
