"""Background work of mail: thin doors to the services."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from tickets.mail.services import imap, sending

# --- Fetching over IMAP -----------------------------------------------------------------------


@shared_task
def fetch_mailboxes() -> int:
    """Queue the mailboxes that are due to be fetched."""
    return imap.queue_due(now=timezone.now())


@shared_task(soft_time_limit=480)
def fetch_mailbox(mailbox_id: str) -> int:
    """Fetch what is new in a mailbox."""
    return imap.fetch(mailbox_id=UUID(mailbox_id), now=timezone.now())


# --- Sending ----------------------------------------------------------------------------------


@shared_task(soft_time_limit=150)
def send_outgoing(outgoing_id: str) -> str:
    """Send a mail that is due; gives what became of it."""
    return sending.send(outgoing_id=UUID(outgoing_id), now=timezone.now())


@shared_task
def send_due() -> int:
    """Queue the mails whose next try is due."""
    return sending.queue_due(now=timezone.now())
