"""What the automation asks of the service levels, which stand above it.

Tickets know neither calendars nor policies. Whoever does says so once, in `AppConfig.ready`, with
`are_told_by`. Where nobody does it is always open, everybody works, and there is no policy.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from helpdesk.errors import NotFound
from tickets.events import Actor

Reckoner = Callable[[dt.datetime, dt.timedelta], dt.datetime | None]


class ServiceLevels:
    """A helpdesk without service levels; who knows better overrides all of it. Times are aware UTC."""

    def is_open(self, workspace_id: UUID, now: dt.datetime) -> bool:
        """Whether it is business hours in the workspace."""
        return self.opening(workspace_id)(now)

    def opening(self, workspace_id: UUID) -> Callable[[dt.datetime], bool]:
        """What tells whether it is business hours at a moment: for very many moments, `is_open` asks each time."""
        return lambda moment: True

    def business_time(self, workspace_id: UUID) -> Reckoner:
        """What tells when so much business time has passed since a moment; None where it never does."""
        return lambda start, duration: start + duration

    def off_duty(self, workspace_id: UUID, now: dt.datetime) -> frozenset[UUID]:
        """The users whose own working hours say that they do not work now."""
        return frozenset()

    def policies(self, workspace_id: UUID) -> Sequence[tuple[UUID, str]]:
        """The SLA policies that a ticket can be given, with their names."""
        return ()

    def give_policy(self, *, ticket: Any, policy_id: UUID, actor: Actor, now: dt.datetime) -> str:
        """Give a ticket this policy, whatever its conditions say; gives its name. Raises NotFound."""
        raise NotFound("There is no such SLA policy.", errors={"policy_id": ["There is no such SLA policy."]})


_told_by = [ServiceLevels()]


def are_told_by(levels: ServiceLevels) -> None:
    """Who knows the service levels signs up here."""
    _told_by[:] = [levels]


def service_levels() -> ServiceLevels:
    """Whoever knows the service levels."""
    return _told_by[0]
