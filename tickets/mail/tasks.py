"""Background work of mail: thin doors to the services."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from tickets.mail.services import imap, receiving, sending

# --- Fetching over IMAP -----------------------------------------------------------------------


@shared_task
def fetch_mailboxes() -> int:
    """Queue the mailboxes that are due to be fetched."""
    return imap.queue_due(now=timezone.now())


@shared_task(soft_time_limit=480)
def fetch_mailbox(mailbox_id: str) -> int:
    """Fetch what is new in a mailbox."""
    return imap.fetch(mailbox_id=UUID(mailbox_id), now=timezone.now())


# --- Receiving --------------------------------------------------------------------------------


@shared_task
def process_incoming(incoming_id: str) -> str:
    """Work through a message that came in."""
    return receiving.process(incoming_id=UUID(incoming_id), now=timezone.now()).outcome


@shared_task
def sweep_incoming() -> int:
    """Queue the messages that the broker lost or whose worker was killed."""
    return receiving.queue_due(now=timezone.now())


@shared_task
def purge_incoming() -> int:
    """Delete the bytes of messages that are kept long enough."""
    return receiving.purge_raw(now=timezone.now())


# --- Sending ----------------------------------------------------------------------------------


@shared_task(soft_time_limit=150)
def send_outgoing(outgoing_id: str) -> str:
    """Send a mail that is due; gives what became of it."""
    return sending.send(outgoing_id=UUID(outgoing_id), now=timezone.now())


@shared_task
def send_due() -> int:
    """Queue the mails whose next try is due."""
    return sending.queue_due(now=timezone.now())
