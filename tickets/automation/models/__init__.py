"""Models of the automation."""

from tickets.automation.models.dry_runs import DryRun, DryRunRow
from tickets.automation.models.effects import Effect
from tickets.automation.models.macros import Macro
from tickets.automation.models.recurring import RecurringRun, RecurringTicket
from tickets.automation.models.rules import OPTIONS, TIMED, TRIGGERS, Due, Rule, RuleBook, Run, Waiting

__all__ = [
    "OPTIONS",
    "TIMED",
    "TRIGGERS",
    "DryRun",
    "DryRunRow",
    "Due",
    "Effect",
    "Macro",
    "RecurringRun",
    "RecurringTicket",
    "Rule",
    "RuleBook",
    "Run",
    "Waiting",
]
