"""What other servers tell of mail that went out."""

import datetime as dt
from collections.abc import Sequence

from tickets.mail import tokens
from tickets.mail.models import Mailbox, Outgoing
from tickets.mail.parsing.report import Report
from tickets.mail.services import delivery
from tickets.mail.services.trace import Trace

# RFC 3463: what the numbers of a status mean, for a report that has no words of its own.
_WORDS = {
    "1.1": "There is no such mailbox",
    "1.2": "There is no such domain",
    "1.10": "The domain takes no mail",
    "2.1": "The mailbox is disabled",
    "2.2": "The mailbox is full",
    "2.3": "The message is too large for the mailbox",
    "3.4": "The message is too large",
    "4.4": "The domain cannot be reached",
    "4.7": "The server could not be reached in time",
    "7.1": "The server refuses the message",
}


def take(
    *, report: Report, mailbox: Mailbox, recipients: Sequence[str], trace: Trace, now: dt.datetime
) -> tuple[Outgoing | None, str]:
    """Note on our mail what a report (RFC 3464) says of it; gives the mail and a short code.

    `failed`: it did not arrive; its comment says so, and where the address itself does not work, automatic mail to it
    ends. `delayed`: the server goes on trying, nothing changes. `unmatched`: no mail of this workspace is named.
    """
    outgoing = _named(report, mailbox, recipients, trace)
    if outgoing is None:
        trace.add("bounce", "unmatched", "It names no mail of this workspace.")
        return None, "unmatched"
    if report.kind != "failed":
        trace.add("bounce", report.kind, f"The mail to {outgoing.recipient}: nothing changes.")
        return outgoing, report.kind
    reason = in_words(report, outgoing.recipient)
    delivery.bounced(outgoing=outgoing, reason=reason, is_permanent=report.is_permanent, now=now)
    trace.add("bounce", "failed", f"The mail to {outgoing.recipient} did not arrive: {reason}")
    return outgoing, "failed"


def _named(report: Report, mailbox: Mailbox, recipients: Sequence[str], trace: Trace) -> Outgoing | None:
    """Our mail that a report is about: by its signed Message-ID, by the provider's own id, else by the signed address
    that the report was sent to and the recipient that failed."""
    mails = Outgoing.objects.for_workspace(mailbox.workspace_id)
    for value in report.original_message_ids:
        signed = tokens.read_message_id(value)
        if signed and (found := mails.filter(pk=signed.outgoing_id, ticket_id=signed.ticket_id).first()):
            trace.add("bounce", "signed Message-ID", value)
            return found
        if tokens.looks_ours(value) and not signed:
            trace.add("bounce", "wrong signature", value)
        elif found := mails.filter(provider_id__in=[value, value.partition("@")[0]]).exclude(provider_id="").first():
            trace.add("bounce", "the provider's id", value)
            return found
    failed = [address for address, *_ in report.recipients]
    for address in recipients:
        ticket_id = tokens.read_address(address)
        if ticket_id and failed:
            theirs = mails.filter(ticket_id=ticket_id, recipient__in=failed).exclude(sent_at=None)
            if found := theirs.order_by("-created_at").first():
                trace.add("bounce", "signed reply address", address)
                return found
    return None


def in_words(report: Report, recipient: str) -> str:
    """Why a mail to `recipient` did not arrive: in the server's words, or in ours for its status."""
    about = [each for each in report.recipients if each[0] == recipient] or list(report.recipients)
    if not about:
        return "The server gave no reason."
    _, status, _, diagnostic = about[0]
    words = diagnostic or _WORDS.get(status.partition(".")[2], "")
    if status and status not in words:
        return f"{words or 'The server refused it'} ({status})"
    return words or "The server gave no reason."
