"""Background work of the accounts."""

from celery import shared_task
from django.utils import timezone

from helpdesk.accounts import services


@shared_task
def send_password_reset(email: str) -> None:
    """Mail a link to set a new password, if anybody has this address.

    A task, so that the page answers as fast for an unknown address as for a known one.
    """
    services.send_password_reset(email=email, now=timezone.now())
