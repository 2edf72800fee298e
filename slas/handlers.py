"""What the service levels do when something happens elsewhere."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone

from helpdesk.accounts.models import Workspace
from slas.services import giving, rules, setup, tracking, working
from tickets.automation.levels import Reckoner, ServiceLevels
from tickets.events import Actor, Event

# What starts, pauses, satisfies or re-derives a clock.
EVENTS = (
    Event.CREATED,
    Event.UPDATED,
    Event.RESOLVED,
    Event.CLOSED,
    Event.REOPENED,
    Event.COMMENT_ADDED,
    Event.COMMENT_DELETED,
    Event.MERGED,
    Event.UNMERGED,
    Event.TRASHED,
    Event.RESTORED,
)


def follow_tickets(activities: Sequence[Any]) -> None:
    """Move the clocks in the transaction of the change that moves them."""
    tracking.follow(activities, now=timezone.now())


def catch_up(workspace_id: UUID, ticket_ids: Sequence[UUID] | None, now: dt.datetime) -> None:
    """Tickets came in bulk: reckon their clocks."""
    tracking.catch_up(workspace_id, ticket_ids, now)


class Levels(ServiceLevels):
    """What the automation asks of the service levels."""

    def opening(self, workspace_id: UUID) -> Callable[[dt.datetime], bool]:
        """By the workspace's default business hours as they are today."""
        hours = rules.default_hours(workspace_id)
        return super().opening(workspace_id) if hours is None else rules.calendar_of(hours).is_open

    def business_time(self, workspace_id: UUID) -> Reckoner:
        """By the workspace's default business hours; round the clock where there are none."""
        hours = rules.default_hours(workspace_id)
        return super().business_time(workspace_id) if hours is None else rules.calendar_of(hours).add_business_time

    def off_duty(self, workspace_id: UUID, now: dt.datetime) -> frozenset[UUID]:
        """The users whose own working hours are closed now."""
        return working.off_duty(workspace_id, now)

    def policies(self, workspace_id: UUID) -> Sequence[tuple[UUID, str]]:
        """The live policies, with their names."""
        return giving.names(workspace_id)

    def give_policy(self, *, ticket: Any, policy_id: UUID, actor: Actor, now: dt.datetime) -> str:
        """Give a ticket this policy; its clocks follow in the same transaction. Raises NotFound, Conflict."""
        return giving.give_policy(ticket=ticket, policy_id=policy_id, actor=actor, now=now)


def choose_policies_anew(workspace_id: UUID, now: dt.datetime) -> None:
    """What conditions ask about has changed: tickets in work may have another policy now."""
    setup.choose_anew(workspace_id=workspace_id, now=now)


def furnish_workspace(workspace: Workspace, now: dt.datetime) -> None:
    """A workspace was made: it begins with business hours and a default policy."""
    setup.furnish(workspace, now)
