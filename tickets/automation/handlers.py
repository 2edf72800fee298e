"""What the automation listens to."""

from tickets.events import Event

TASK = "tickets.automation.tasks.apply_rules"

# What pulls a trigger, or frees an agent for a ticket that waits.
EVENTS = (
    Event.CREATED,
    Event.UPDATED,
    Event.ASSIGNED,
    Event.UNASSIGNED,
    Event.RESOLVED,
    Event.CLOSED,
    Event.REOPENED,
    Event.COMMENT_ADDED,
    Event.SLA_AT_RISK,
    Event.SLA_BREACHED,
)
