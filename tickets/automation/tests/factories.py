"""Rules for tests."""

import datetime as dt
from typing import Any

from helpdesk.accounts.models import Workspace
from tickets.automation.models import Macro, RecurringTicket, Rule, Run
from tickets.automation.services import engine, macros, recurring, setup
from tickets.models import Activity, Ticket

# What a trigger needs besides.
OPTIONS_OF: dict[str, dict[str, Any]] = {
    "no_response": {"no_response_hours": 4},
    "idle": {"idle_hours": 72},
    "customer_messages": {"message_count": 3},
}
NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


def make_rule(workspace: Workspace, *actions: dict[str, Any], **changes: Any) -> Rule:
    """A rule that does these actions when a ticket is created, unless told otherwise."""
    number = len(setup.rules(workspace.pk)) + 1
    given = {"name": f"Rule {number}", "triggers": ["created"], "actions": list(actions), **changes}
    return setup.save_rule(workspace=workspace, changes=given, now=NOW)


def make_macro(workspace: Workspace, *actions: dict[str, Any], **changes: Any) -> Macro:
    """A macro that does these actions."""
    number = len(macros.macros(workspace.pk)) + 1
    given = {"name": f"Macro {number}", "actions": list(actions), **changes}
    return macros.save_macro(workspace=workspace, changes=given, now=NOW)


def run_rules(ticket: Ticket, now: dt.datetime = NOW) -> int:
    """Let the rules hear of all that happened to the ticket, and of what they do themselves, as workers would."""
    heard: set[Any] = set()
    matched = 0
    while waiting := [a for a in Activity.unscoped.filter(ticket=ticket).order_by("pk") if a.pk not in heard]:
        for activity in waiting:
            heard.add(activity.pk)
            matched += engine.apply(activity_id=activity.pk, now=now)
    return matched


def runs_of(ticket: Ticket) -> list[Run]:
    """What rules did to the ticket, in order."""
    return list(Run.unscoped.filter(ticket=ticket).select_related("rule").order_by("pk"))


def make_recurring(workspace: Workspace, now: dt.datetime = NOW, **changes: Any) -> RecurringTicket:
    """A ticket that opens every day at nine in Berlin, unless told otherwise; saved at `now`."""
    given = {
        "name": "Backups",
        "schedule": {"every": "day", "at": "09:00", "timezone": "Europe/Berlin", "starts_on": "2026-01-01"},
        "subject": "Check the backups",
        "description": "Restore one of them.",
        "requester_email": "it@acme.example",
        **changes,
    }
    return recurring.save_recurring(workspace=workspace, changes=given, now=now)
