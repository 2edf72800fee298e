"""Models of the automation."""

from tickets.automation.models.rules import TRIGGERS, Rule, Run, Waiting

__all__ = ["TRIGGERS", "Rule", "Run", "Waiting"]
