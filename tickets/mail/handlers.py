"""What mail does when something happens on tickets."""

from collections.abc import Sequence
from typing import Any

from tickets.events import Event
from tickets.mail.services import queueing

# What somebody may hear of by mail.
EVENTS = (Event.CREATED, Event.COMMENT_ADDED, Event.RESOLVED, Event.ASSIGNED)


def queue_mail(activities: Sequence[Any]) -> None:
    """Queue the mails about these activities, in their transaction."""
    queueing.follow(activities)
