"""Service levels for tests: a calendar 9 to 18, and policies under it."""

import datetime as dt
from typing import Any

from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.models import BusinessHours, Clock, SLAPolicy
from slas.services import setup
from tickets.models import Ticket

WEEK = setup.STANDARD_WEEK
SET_UP = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
MONDAY = dt.datetime(2024, 3, 4, tzinfo=dt.UTC)  # a Monday; the tests count from here


def at(day: int, time: str = "00:00") -> dt.datetime:
    """A time of the week that begins on `MONDAY`: day 0 is Monday, in UTC."""
    hour, minute, *second = map(int, time.split(":"))
    return MONDAY + dt.timedelta(days=day, hours=hour, minutes=minute, seconds=second[0] if second else 0)


def make_hours(workspace: Any = None, **changes: Any) -> BusinessHours:
    """Business hours, Monday to Friday, 9 to 18, in UTC."""
    workspace = workspace or WorkspaceFactory()
    changes = {"name": "Nine to six", "timezone": "UTC", "schedule": WEEK, **changes}
    return setup.save_hours(workspace=workspace, changes=changes, now=SET_UP)


def make_policy(workspace: Any = None, **changes: Any) -> SLAPolicy:
    """The default policy: 2 hours to the first response, 4 to the next, 8 to the resolution, by business hours."""
    workspace = workspace or WorkspaceFactory()
    if not BusinessHours.objects.for_workspace(workspace).live().exists():
        make_hours(workspace)
    changes = {
        "name": "Nine to six",
        "first_response_hours": 2,
        "next_response_hours": 4,
        "resolution_hours": 8,
        "is_default": True,
        **changes,
    }
    return setup.save_policy(workspace=workspace, changes=changes, now=SET_UP)


def clock_of(ticket: Ticket, goal: str, cycle: int = 1) -> Clock:
    """A clock of the ticket, as it is stored."""
    found: Clock = Clock.objects.for_workspace(ticket.workspace_id).get(ticket=ticket, goal=goal, cycle=cycle)
    return found


def sla_events(ticket: Ticket) -> list[tuple[str, str, dt.datetime]]:
    """What was recorded about the clocks of the ticket: event, goal and time."""
    rows = ticket.activities.filter(event__startswith="ticket.sla.").order_by("occurred_at", "pk")
    return [(row.event, row.payload["data"]["breach_type"], row.occurred_at) for row in rows]
