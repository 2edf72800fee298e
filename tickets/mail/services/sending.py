"""Sends what is queued (placeholder of the branch that sends)."""

import datetime as dt

from helpdesk.accounts.models import Membership
from helpdesk.errors import Conflict
from tickets.models import Comment


def resend(*, comment: Comment, member: Membership, now: dt.datetime) -> None:
    """Send the mails of a message again."""
    raise Conflict("Nothing waits to be sent.")


def take_back(*, comment: Comment, member: Membership, now: dt.datetime) -> str:
    """Take a message back that still waits, and give its text."""
    raise Conflict("Nothing waits to be sent.")
