"""What is due: breaches and warnings, each recorded once, however many sweep at a time."""

import datetime as dt
from uuid import UUID

from django.db import connection, transaction

from slas.services import tracking
from slas.services.tracking import Kept
from tickets import timeline
from tickets.deadlines import Deadline, Goal, Run
from tickets.events import Event
from tickets.services import deadlines

BATCH = 500

# The ticket is locked with its clock, and neither is waited for: who answers the customer in this
# very moment holds the ticket first and the clock after, and would wait for us as we for them.
_CLAIM = """
SELECT c.id, c.ticket_id, c.policy_id, c.terms_id, c.cycle, c.goal, c.target, c.used, c.started_at, c.as_of, c.due_at,
       c.at_risk_at, c.deadline_set_at, c.warned_at, c.quiet_until, c.workspace_id, t.number
FROM sla_clocks c JOIN tickets t ON t.id = c.ticket_id
WHERE c.sweep_at < %s ORDER BY c.sweep_at LIMIT %s FOR UPDATE OF c, t SKIP LOCKED
"""
_BREACHED = """
UPDATE sla_clocks SET breached_at = new.at, sweep_at = NULL
FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (id, at) WHERE sla_clocks.id = new.id
"""
_WARNED = "UPDATE sla_clocks SET warned_at = %s, warned_target = target, sweep_at = due_at WHERE id = ANY(%s)"


def sweep(*, now: dt.datetime, limit: int = BATCH) -> int:
    """Record what has become due before `now` (aware UTC), the oldest `limit` of it; gives how many clocks.

    A clock past its deadline is a breach, at the deadline's own time however late we come; one
    that only reached its share of the target is a warning. Safe with any number of sweepers.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, [now, limit])
        claimed = [_claimed(*row) for row in cursor.fetchall()]
        breached, warned = list[tuple[Kept, dt.datetime]](), list[Kept]()
        with timeline.together():
            for workspace_id, number, row in claimed:
                due, risk = row.clock.due_at, row.clock.at_risk_at
                if due is not None and due < now:
                    at = max(due, row.deadline_set_at)
                    tracking.record(workspace_id, number, row, Event.SLA_BREACHED, at)
                    breached.append((row, at))
                elif risk is not None:
                    tracking.record(workspace_id, number, row, Event.SLA_AT_RISK, max(risk, row.deadline_set_at))
                    warned.append(row)
        if breached:
            cursor.execute(_BREACHED, [[row.id for row, _ in breached], [at for _, at in breached]])
            deadlines.mark_missed(list({row.ticket_id for row, _ in breached}))
        if warned:
            cursor.execute(_WARNED, [now, [row.id for row in warned]])
    return len(claimed)


def _claimed(
    pk: UUID, ticket_id: UUID, policy_id: UUID, terms_id: UUID, cycle: int, goal: str, target: dt.timedelta,
    used: dt.timedelta, started_at: dt.datetime, as_of: dt.datetime, due_at: dt.datetime,
    at_risk_at: dt.datetime | None, deadline_set_at: dt.datetime, warned_at: dt.datetime | None,
    quiet_until: dt.datetime | None, workspace_id: UUID, number: int,
) -> tuple[UUID, int, Kept]:  # fmt: skip
    clock = Deadline(Goal(goal), Run.RUNNING, target, used, started_at, as_of, due_at, at_risk_at)
    row = Kept(pk, ticket_id, policy_id, terms_id, cycle, clock, deadline_set_at, warned_at, quiet_until=quiet_until)
    return workspace_id, number, row


def sweep_all(*, now: dt.datetime, limit: int = BATCH) -> int:
    """Sweep until nothing is due, batch by batch, each in its own transaction; gives how many clocks."""
    swept = 0
    while done := sweep(now=now, limit=limit):
        swept += done
    return swept
