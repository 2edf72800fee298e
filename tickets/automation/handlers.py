"""What the automation listens to: everything, because anything that somebody does ends a time of silence."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from tickets.automation.services import timed
from tickets.events import Event

TASK = "tickets.automation.tasks.apply_rules"
EVENTS = tuple(Event)


def catch_up(workspace_id: UUID, ticket_ids: Sequence[UUID] | None, now: dt.datetime) -> None:
    """Tickets came in bulk: reckon the times that rules wait for."""
    timed.reckon_later(workspace_id)
