"""Models of the automation."""

from tickets.automation.models.recurring import RecurringRun, RecurringTicket
from tickets.automation.models.rules import TRIGGERS, Rule, Run, Waiting

__all__ = ["TRIGGERS", "RecurringRun", "RecurringTicket", "Rule", "Run", "Waiting"]
