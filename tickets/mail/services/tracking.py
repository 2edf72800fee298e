"""What mail providers tell about mails that they sent for us."""

import datetime as dt

from django.db.models import Q

from tickets.mail.models import Outgoing
from tickets.mail.services import delivery

REASONS = {
    "bounced": "The server of the recipient refused it.",
    "rejected": "The mail provider refused to send it.",
    "complained": "The recipient marked it as spam.",
}


def failed(*, provider_id: str, recipient: str, event: str, detail: str, now: dt.datetime) -> int:
    """A provider says that a mail did not arrive, or was not wanted; gives how many mails of ours that was about.

    `provider_id` is the provider's own id of the mail, or our Message-ID; `recipient` may be empty. `event` is
    one of bounced, rejected and complained; `detail` is what the provider says besides.
    """
    named = provider_id.strip()
    if not named or event not in REASONS:
        return 0
    mails = Outgoing.unscoped.filter(Q(provider_id__in={named, named.strip("<>")}) | Q(message_id=named.strip("<>")))
    if recipient:
        mails = mails.filter(recipient__iexact=recipient.strip())
    found = list(mails.exclude(status="bounced")[:20])
    said = " ".join("".join(c if c.isprintable() else " " for c in detail).split())
    reason = f"{REASONS[event]} {said}".strip()[:300]
    for mail in found:
        delivery.bounced(outgoing=mail, reason=reason, is_permanent=True, now=now)
    return len(found)
