"""How much mail one address may get, and which automatic mail is better not sent: two machines that answer each
other, or a form that somebody fills in with a stranger's address, must not become a flood.
"""

import datetime as dt
import re

from tickets.mail.models import Incoming, Outgoing
from tickets.mail.services import addressing, delivery

# So many mails to one address within so long. Notices to agents are counted for each ticket, everything
# else over all tickets of the workspace.
LIMITS = (
    (dt.timedelta(minutes=10), 10),
    (dt.timedelta(hours=1), 20),
    (dt.timedelta(hours=24), 40),
)
# Of acknowledgements of a form or a program, which anybody fills in with any address.
UNPROVEN = (dt.timedelta(hours=1), 3)
# Whose owner says that nobody reads it, and what servers send their own reports from (RFC 3834, 2; RFC 5321, 4.5.5).
_NOBODY = re.compile(r"(?:no|donot|do[._-]not)[._-]?reply|mailer-daemon|bounces?")
_LATEST = dt.timedelta(hours=24 + 18)  # what is sent now was queued at most so long before it was sent


def held(mail: Outgoing, *, now: dt.datetime) -> str:
    """Why this mail must not be sent, in words; empty when it may."""
    mailbox = addressing.find_mailbox(mail.recipient)
    if mailbox is not None and (mail.is_automatic or mailbox.workspace_id == mail.workspace_id):
        return "The recipient is a mailbox of this helpdesk: the mail would come back."
    if not mail.is_automatic or mail.round:
        return ""  # what a person sends
    if _NOBODY.fullmatch(mail.recipient.partition("@")[0].partition("+")[0]):
        return "Nobody reads mail to this address; it gets no automatic mail."
    if delivery.is_undeliverable(workspace_id=mail.workspace_id, address=mail.recipient):
        return "Mail to this address came back before; it gets no automatic mail."
    # A sign-in link was asked for on a page, where no machine answers.
    if mail.kind not in ("notice", "sign_in") and _wrote_automatically(mail):
        return "The last message from this address was automatic; an automatic answer could go on for ever."
    times = _times(mail, now)
    for within, most in LIMITS:
        if sum(1 for at in times if at > now - within) >= most:
            return f"This address got {most} automatic mails within {_in_words(within)} already."
    if mail.kind == "acknowledgement" and mail.ticket.channel != "email":
        within, most = UNPROVEN
        if _sent(mail, now - within).filter(kind="acknowledgement").count() >= most:
            return f"This address got {most} acknowledgements within {_in_words(within)} already."
    return ""


def free_at(mail: Outgoing, *, now: dt.datetime) -> dt.datetime | None:
    """When an agent's answer may be sent to an address that got many; None for now. It is late, never lost."""
    if mail.is_automatic or mail.round:
        return None
    times = _times(mail, now)
    # The newest that must have left the window before there is room for one more.
    waits = [times[most - 1] + within for within, most in LIMITS if len(times) >= most]
    later = [at for at in waits if at > now]
    return max(later) if later else None


def _sent(mail: Outgoing, since: dt.datetime):  # type: ignore[no-untyped-def]  # a QuerySet of Outgoing
    rows = Outgoing.objects.for_workspace(mail.workspace_id).filter(
        recipient=mail.recipient,
        is_automatic=mail.is_automatic,
        created_at__gt=since - _LATEST,
        sent_at__gt=since,
    )
    if mail.kind == "notice":
        return rows.filter(kind="notice", ticket_id=mail.ticket_id)
    return rows.exclude(kind="notice")


def _times(mail: Outgoing, now: dt.datetime) -> list[dt.datetime]:
    """When the last mails of this sort to the address were sent, newest first, of a day."""
    window, most = LIMITS[-1]
    return list(_sent(mail, now - window).order_by("-sent_at").values_list("sent_at", flat=True)[: most + 1])


def _wrote_automatically(mail: Outgoing) -> bool:
    came = Incoming.objects.for_workspace(mail.workspace_id).filter(
        ticket_id=mail.ticket_id, from_address=mail.recipient
    )
    newest = came.order_by("-received_at", "-pk").values_list("is_automatic", flat=True).first()
    return bool(newest)


def _in_words(within: dt.timedelta) -> str:
    minutes = int(within.total_seconds()) // 60
    return f"{minutes} minutes" if minutes < 60 else "an hour" if minutes == 60 else f"{minutes // 60} hours"
