"""How promises were kept: what was met and missed, how late, how long clocks stood still, and how honestly.

A promise is one clock of a ticket. It is *missed* at the moment of its breach: its deadline, or, where that had passed
already when it came to hold, that moment; what was missed stays missed. It is *met* at the moment at which it was kept
without having been missed. Of a resolution counts what it is now: kept, reopened and then missed is missed. What
ended without being needed (resolved without the answer that was waited for) is neither. Priorities are those that
tickets have now. A ticket that is merged into another one is left out, as what lies in the trash.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from analytics.metrics import raw
from analytics.metrics.csat import share
from analytics.periods import Interval, Part, Period
from helpdesk.accounts.models import Workspace
from slas.models import SLAPolicy
from tickets.deadlines import Goal
from tickets.lifecycle import Priority
from tickets.models import Ticket

WORST = 20  # tickets that are named
NARROW = "0.9"  # of the target: what is kept with more than this used was kept in its last tenth

_PROMISES = """
    SELECT c.*, t.number, t.subject, t.priority, coalesce(c.breached_at, CASE
               WHEN c.run = 'running' AND c.due_at < %(now)s THEN greatest(c.due_at, c.deadline_set_at)
           END) AS missed_at
    FROM sla_clocks c JOIN {asked} t ON t.id = c.ticket_id
    WHERE c.workspace_id = %(workspace)s AND c.started_at < %(end)s AND t.merged_into_id IS NULL
"""
_OUTCOMES = f"""
SELECT grouping(p.part) = 0, p.policy_id, p.priority, p.part, p.goal,
       count(*) FILTER (WHERE p.outcome = 'met'), count(*) FILTER (WHERE p.outcome = 'missed'),
       count(*) FILTER (WHERE p.outcome = 'undecided' AND p.run = 'running'),
       count(*) FILTER (WHERE p.outcome = 'undecided' AND p.run = 'paused'),
       count(*) FILTER (WHERE p.outcome = 'met' AND p.used > p.target * {NARROW})
FROM (
    SELECT o.*, width_bucket(o.at, %(parts)s::timestamptz[]) - 1 AS part
    FROM (
        SELECT q.*,
            CASE WHEN q.missed_at IS NOT NULL THEN 'missed' WHEN q.run = 'satisfied' THEN 'met'
                 WHEN q.run <> 'stopped' THEN 'undecided' END AS outcome,
            CASE WHEN q.missed_at IS NOT NULL THEN q.missed_at WHEN q.run = 'satisfied' THEN q.satisfied_at
                 WHEN q.run <> 'stopped' THEN q.started_at END AS at
        FROM ({_PROMISES}) q
    ) o
    WHERE o.at >= %(start)s AND o.at < %(end)s
) p
GROUP BY GROUPING SETS ((p.policy_id, p.priority, p.goal), (p.part, p.goal))
"""  # noqa: S608  constants
_WORST = f"""
SELECT w.ticket_id, w.number, w.subject, w.priority, w.policy_id, w.goal, w.missed_at, w.is_open,
       round(w.seconds)::bigint
FROM (
    SELECT DISTINCT ON (o.ticket_id) o.*
    FROM (
        SELECT q.*, q.run IN ('running', 'paused') AS is_open, extract(epoch FROM greatest(CASE
                   WHEN q.run = 'satisfied' THEN q.satisfied_at WHEN q.run = 'stopped' THEN q.as_of ELSE %(now)s
               END, q.missed_at) - q.missed_at) AS seconds
        FROM ({_PROMISES}) q WHERE q.missed_at >= %(start)s AND q.missed_at < %(end)s
    ) o
    ORDER BY o.ticket_id, o.seconds DESC, o.id
) w
ORDER BY w.seconds DESC, w.number LIMIT {WORST}
"""  # noqa: S608  constants

# The statuses of tickets whose promises lived in the period, by the log, and how long each held while a clock lived.
_STANDING = """
WITH lives AS (
    SELECT c.id, c.ticket_id, c.goal, t.created_at AS born,
           jsonb_exists(d.document->'pending_pauses', c.goal) AS pauses,
           greatest(c.started_at, %(start)s) AS since, least(coalesce(c.satisfied_at, %(now)s), %(end)s) AS until
    FROM sla_clocks c JOIN {asked} t ON t.id = c.ticket_id JOIN sla_terms d ON d.id = c.terms_id
    WHERE c.workspace_id = %(workspace)s AND c.run <> 'stopped' AND t.merged_into_id IS NULL
          AND c.started_at < least(%(end)s, %(now)s) AND coalesce(c.satisfied_at, %(now)s) > %(start)s
), moves AS (
    SELECT a.ticket_id, a.occurred_at AS at, a.id, c->>'to' AS status
    FROM ticket_activities a CROSS JOIN LATERAL jsonb_array_elements(a.changes) c
    WHERE a.ticket_id IN (SELECT ticket_id FROM lives) AND a.occurred_at < %(end)s AND a.event = ANY(%(moves)s)
          AND c->>'field' = 'status' AND NOT jsonb_exists(c, 'key')
    UNION ALL
    SELECT DISTINCT l.ticket_id, l.born, NULL::uuid, 'open' FROM lives l
), spans AS (
    SELECT m.ticket_id, m.status, m.at AS since,
           lead(m.at, 1, 'infinity'::timestamptz)
               OVER (PARTITION BY m.ticket_id ORDER BY m.at, m.id NULLS FIRST) AS until
    FROM moves m WHERE m.status IS NOT NULL
)
SELECT o.goal, count(DISTINCT o.id), round(sum(o.seconds))::bigint,
       coalesce(round(sum(o.seconds) FILTER (WHERE o.is_paused)), 0)::bigint
FROM (
    SELECT l.id, l.goal, s.status = 'pending' AND l.pauses AS is_paused,
           extract(epoch FROM least(l.until, s.until) - greatest(l.since, s.since)) AS seconds
    FROM lives l JOIN spans s ON s.ticket_id = l.ticket_id AND s.since < l.until AND s.until > l.since
    WHERE s.status IN ('open', 'pending')
) o
GROUP BY o.goal
"""
_PAUSES = """
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT FROM ticket_comments m
    WHERE m.ticket_id = a.ticket_id AND m.created_at <= a.occurred_at AND m.created_at >= a.occurred_at - %(within)s
          AND m.author_type = 'customer' AND NOT m.is_automatic AND NOT m.is_transcript AND m.deleted_at IS NULL
          AND NOT EXISTS (
              SELECT FROM ticket_comments r
              WHERE r.ticket_id = m.ticket_id AND r.created_at >= m.created_at AND r.created_at <= a.occurred_at
                    AND r.author_type = 'agent' AND NOT r.is_internal AND NOT r.is_automatic AND NOT r.is_transcript
                    AND (r.deleted_at IS NULL OR r.delivery->>'state' IS DISTINCT FROM 'cancelled')
          )
))
FROM ticket_activities a JOIN {asked} t ON t.id = a.ticket_id
WHERE a.workspace_id = %(workspace)s AND a.event = 'ticket.updated'
      AND a.occurred_at >= %(start)s AND a.occurred_at < %(end)s
      AND a.changes @> '[{"field": "status", "to": "pending"}]'
      AND EXISTS (SELECT FROM jsonb_array_elements(a.changes) c
                  WHERE c->>'field' = 'status' AND c->>'to' = 'pending' AND NOT jsonb_exists(c, 'key'))
      AND t.merged_into_id IS NULL AND EXISTS (SELECT FROM sla_clocks k WHERE k.ticket_id = t.id)
"""
_REOPENS = """
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT FROM ticket_activities b
    WHERE b.ticket_id = a.ticket_id AND b.event = 'ticket.reopened'
          AND (b.occurred_at, b.id) > (a.occurred_at, a.id) AND b.occurred_at <= a.occurred_at + %(within)s
))
FROM ticket_activities a JOIN {asked} t ON t.id = a.ticket_id
WHERE a.workspace_id = %(workspace)s AND a.event = 'ticket.resolved'
      AND a.occurred_at >= %(start)s AND a.occurred_at < %(end)s
      AND t.merged_into_id IS NULL AND EXISTS (SELECT FROM sla_clocks k WHERE k.ticket_id = t.id)
"""
# What of the log moves a ticket between statuses.
_MOVES = [f"ticket.{what}" for what in ("updated", "resolved", "closed", "reopened", "merged", "unmerged")]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many promises were met and missed in a time, and how many began in it and are undecided.

    `narrow` are those of `met` that were kept in the last tenth of their target's business time.
    """

    met: int = 0
    missed: int = 0
    running: int = 0
    paused: int = 0
    narrow: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.met + other.met,
            self.missed + other.missed,
            self.running + other.running,
            self.paused + other.paused,
            self.narrow + other.narrow,
        )

    @property
    def rate(self) -> float | None:
        """The met among the met and missed in percent; None where nothing was decided."""
        return share(self.met, self.met + self.missed)


@dataclass(slots=True)
class ByGoal:
    """Outcomes by what was promised."""

    of: dict[Goal, Outcome] = field(default_factory=lambda: dict.fromkeys(Goal, Outcome()))

    def add(self, goal: Goal, outcome: Outcome) -> None:
        """Count more."""
        self.of[goal] += outcome

    @property
    def whole(self) -> Outcome:
        """Of all goals together."""
        return sum(self.of.values(), Outcome())


@dataclass(frozen=True, slots=True)
class Policy:
    """An SLA policy, also one that was deleted since."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Late:
    """A ticket with a promise that was missed, by `seconds` of the wall clock since its breach, to this moment if
    `is_open`.
    """

    ticket_id: UUID
    number: int
    subject: str
    priority: str
    policy: Policy
    goal: Goal
    missed_at: dt.datetime
    is_open: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How long the clocks of a goal stood still in a period, of the time in which their tickets were in work."""

    promises: int = 0
    active_seconds: int = 0
    paused_seconds: int = 0

    @property
    def share(self) -> float | None:
        """Paused of active in percent; None of no time."""
        return share(self.paused_seconds, self.active_seconds)


@dataclass(frozen=True, slots=True)
class Seldom:
    """Something that should be seldom: how often it was, of how many."""

    count: int
    of: int

    @property
    def share(self) -> float | None:
        """In percent; None of none."""
        return share(self.count, self.of)


@dataclass(frozen=True, slots=True)
class Honesty:
    """What makes figures look better than the service was."""

    hasty_pauses: Seldom
    quick_reopens: Seldom
    narrow_answers: Seldom


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still *right after*: `pause` after a customer's message, `reopen` after a resolution."""

    pause: dt.timedelta = dt.timedelta(minutes=10)
    reopen: dt.timedelta = dt.timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one period."""

    period: Period
    by_goal: ByGoal
    by_policy: list[tuple[Policy, ByGoal]]
    by_priority: list[tuple[str, ByGoal]]
    by_part: list[tuple[Part, ByGoal]]
    standing: Mapping[Goal, Standing]
    honesty: Honesty


@dataclass(frozen=True, slots=True)
class Report:
    """All about the promises of a period. `worst` are the tickets that were longest overdue, the longest first."""

    interval: Interval
    limits: Limits
    now: Figures
    before: Figures | None
    worst: list[Late]


def report(
    *,
    workspace: Workspace,
    tickets: "QuerySet[Ticket]",
    period: Period,
    interval: Interval,
    now: dt.datetime,
    previous: Period | None = None,
    limits: Limits | None = None,
) -> Report:
    """The promises made on `tickets` (live ones of the workspace) in a period, as they stand at `now` (aware UTC).

    Six queries, ten with `previous`, however many promises, policies and parts there are.
    """
    asked = _Asking(workspace, tickets, interval, now, limits or Limits(), _policies(workspace))
    return Report(
        interval=interval,
        limits=asked.limits,
        now=asked.figures(period),
        before=asked.figures(previous) if previous else None,
        worst=asked.worst(period),
    )


def _policies(workspace: Workspace) -> dict[UUID, Policy]:
    """All that there ever were, by id, in their order."""
    rows = SLAPolicy.objects.for_workspace(workspace).order_by("archived_at", "position", "name")
    return {pk: Policy(pk, name) for pk, name in rows.values_list("pk", "name")}


@dataclass(frozen=True, slots=True)
class _Asking:
    """A report in the making: what all its queries share."""

    workspace: Workspace
    tickets: "QuerySet[Ticket]"
    interval: Interval
    now: dt.datetime
    limits: Limits
    policies: Mapping[UUID, Policy]

    def rows(self, sql: str, period: Period, **values: Any) -> list[tuple[Any, ...]]:
        of_period = {"start": period.start, "end": period.end, "now": self.now, "workspace": self.workspace.pk}
        return raw.rows(sql, tickets=self.tickets, **of_period, **values)

    def figures(self, period: Period) -> Figures:
        """The figures of one period. Four queries."""
        parts = period.parts(self.interval)
        by_goal, by_part = ByGoal(), [ByGoal() for _ in parts]
        by_policy: dict[UUID, ByGoal] = {}
        by_priority = {priority.value: ByGoal() for priority in Priority}
        counted = self.rows(_OUTCOMES, period, parts=[part.start for part in parts])
        for is_part, policy_id, priority, place, goal, *counts in counted:
            outcome = Outcome(*counts)
            if is_part:
                by_part[place].add(Goal(goal), outcome)
                continue
            for one in (by_goal, by_priority[priority], by_policy.setdefault(policy_id, ByGoal())):
                one.add(Goal(goal), outcome)
        return Figures(
            period=period,
            by_goal=by_goal,
            by_policy=[(policy, by_policy[pk]) for pk, policy in self.policies.items() if pk in by_policy],
            by_priority=list(by_priority.items()),
            by_part=list(zip(parts, by_part, strict=True)),
            standing=dict.fromkeys(Goal, Standing())
            | {Goal(goal): Standing(*values) for goal, *values in self.rows(_STANDING, period, moves=_MOVES)},
            honesty=self._honesty(period, by_goal),
        )

    def _honesty(self, period: Period, by_goal: ByGoal) -> Honesty:
        answers = by_goal.of[Goal.FIRST_RESPONSE] + by_goal.of[Goal.NEXT_RESPONSE]
        return Honesty(
            hasty_pauses=_seldom(self.rows(_PAUSES, period, within=self.limits.pause)),
            quick_reopens=_seldom(self.rows(_REOPENS, period, within=self.limits.reopen)),
            narrow_answers=Seldom(answers.narrow, answers.met),
        )

    def worst(self, period: Period) -> list[Late]:
        """One query."""
        return [
            Late(pk, number, subject, priority, self.policies[policy_id], Goal(goal), missed_at, is_open, seconds)
            for pk, number, subject, priority, policy_id, goal, missed_at, is_open, seconds in self.rows(_WORST, period)
        ]


def _seldom(found: Iterable[tuple[int, int]]) -> Seldom:
    """Of a row with how many there are, and how many of them are so."""
    for of, count in found:
        return Seldom(count, of)
    return Seldom(0, 0)
