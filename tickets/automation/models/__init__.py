"""Models of the automation."""

from tickets.automation.models.macros import Macro
from tickets.automation.models.rules import TRIGGERS, Rule, Run, Waiting

__all__ = ["TRIGGERS", "Macro", "Rule", "Run", "Waiting"]
