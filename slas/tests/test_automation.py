"""What the automation learns from the service levels."""

import datetime as dt
from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.services import setup
from slas.tests.factories import make_hours
from tickets.automation.levels import service_levels
from tickets.automation.models import Due
from tickets.automation.services import engine, timed
from tickets.automation.tests.factories import make_rule, run_rules
from tickets.tests.factories import make_ticket

pytestmark = pytest.mark.django_db

FRIDAY = dt.datetime(2026, 3, 6, 17, 0, tzinfo=dt.UTC)
MONDAY = dt.datetime(2026, 3, 9, 9, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(timezone="UTC")
    return made


def due_at(ticket: Any) -> dt.datetime:
    return Due.unscoped.get(ticket=ticket).due_at


def test_business_hours_are_those_of_the_workspaces_default(workspace: Workspace) -> None:
    make_hours(workspace, name="Nine to six")
    told = service_levels()
    assert told.is_open(workspace.pk, FRIDAY) and not told.is_open(workspace.pk, FRIDAY + HOUR)
    assert told.business_time(workspace.pk)(FRIDAY, 2 * HOUR) == MONDAY + HOUR


def test_a_rule_that_waits_for_four_business_hours_waits_over_the_weekend(workspace: Workspace) -> None:
    make_hours(workspace, name="Nine to six")
    make_rule(workspace, {"do": "escalate"}, triggers=["no_response"], no_response_hours=4)
    ticket = make_ticket(workspace, now=FRIDAY)
    run_rules(ticket)
    engine.hear(activity_id=ticket.activities.earliest("pk").pk, now=FRIDAY)
    assert due_at(ticket) == MONDAY + 3 * HOUR


def test_other_business_hours_move_what_rules_wait_for(workspace: Workspace) -> None:
    hours = make_hours(workspace, name="Nine to six")
    make_rule(workspace, {"do": "escalate"}, triggers=["no_response"], no_response_hours=4)
    ticket = make_ticket(workspace, now=FRIDAY)
    timed.reckon_all()
    schedule = {"monday": {"start": "10:00", "end": "20:00"}}
    setup.save_hours(workspace=workspace, changes={"schedule": schedule}, hours=hours, now=FRIDAY)
    timed.reckon_all()
    assert due_at(ticket) == MONDAY + 5 * HOUR
