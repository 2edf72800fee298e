"""What each agent did: what they were given, answered, resolved, how fast, and how their customers liked it.

Whose a piece of work is: a reply is its author's; a resolution is that of the agent who resolved the ticket, and where
no agent did it (a customer, a rule, the helpdesk) of who had the ticket at that moment; a first response is that of
the author of the answer. What nobody can be named for stands under nobody, so that agents add up to the team.

Of a ticket that is merged into another one only the replies count, which moved there, and its ratings. What lies in
the trash does not count. All times are of the wall clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from analytics.metrics import csat, raw
from analytics.metrics.csat import RATINGS, Score, share
from analytics.periods import Period
from helpdesk.accounts.models import Membership, User, Workspace
from helpdesk.accounts.roles import Permission
from tickets.models import Ticket

_HAD_IT = """(
    SELECT s.assignee_id FROM ticket_assignments s
    WHERE s.ticket_id = {ticket} AND s.assigned_at <= {moment} AND (s.ended_at IS NULL OR s.ended_at > {moment})
    ORDER BY s.assigned_at DESC LIMIT 1
)"""
_TIMES = """
    round(avg({seconds}) FILTER (WHERE {which}))::bigint,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY {seconds}) FILTER (WHERE {which}))::numeric)::bigint,
    round((percentile_cont(0.9) WITHIN GROUP (ORDER BY {seconds}) FILTER (WHERE {which}))::numeric)::bigint
"""

# The last column of each but the loads says whether the row is of all agents together.
_ASSIGNED = """
SELECT s.assignee_id, count(*), grouping(s.assignee_id) = 1
FROM ticket_assignments s JOIN {asked} t ON t.id = s.ticket_id
WHERE s.workspace_id = %(workspace)s AND s.assigned_at >= %(start)s AND s.assigned_at < %(end)s
      AND t.merged_into_id IS NULL
GROUP BY GROUPING SETS ((s.assignee_id), ())
"""
_REPLIES = """
SELECT c.author_user_id, count(*), grouping(c.author_user_id) = 1
FROM ticket_comments c JOIN {asked} t ON t.id = c.ticket_id
WHERE c.workspace_id = %(workspace)s AND c.created_at >= %(start)s AND c.created_at < %(end)s
      AND c.author_type = 'agent' AND NOT c.is_internal AND NOT c.is_automatic AND NOT c.is_transcript
      AND (c.deleted_at IS NULL OR c.delivery->>'state' IS DISTINCT FROM 'cancelled')
GROUP BY GROUPING SETS ((c.author_user_id), ())
"""
_RESPONSES = f"""
SELECT r.agent, count(*), {_TIMES.format(seconds="r.seconds", which="true")}, grouping(r.agent) = 1
FROM (
    SELECT extract(epoch FROM t.first_response_at - t.created_at) AS seconds, coalesce((
        SELECT c.author_user_id FROM ticket_comments c
        WHERE c.ticket_id = t.id AND c.created_at = t.first_response_at
              AND c.author_type = 'agent' AND NOT c.is_internal AND NOT c.is_automatic AND NOT c.is_transcript
        ORDER BY c.id LIMIT 1
    ), {_HAD_IT.format(ticket="t.id", moment="t.first_response_at")}) AS agent
    FROM {{asked}} t
    WHERE t.first_response_at >= %(start)s AND t.first_response_at < %(end)s AND t.merged_into_id IS NULL
) r
GROUP BY GROUPING SETS ((r.agent), ())
"""  # noqa: S608  constants
_RESOLUTIONS = f"""
SELECT r.agent, count(*), count(*) FILTER (WHERE r.is_reopened),
       {_TIMES.format(seconds="r.seconds", which="NOT r.is_reopened")}, grouping(r.agent) = 1
FROM (
    SELECT extract(epoch FROM a.occurred_at - t.created_at) AS seconds,
           coalesce(CASE WHEN a.actor_kind = 'agent' THEN a.actor_user_id END,
                    {_HAD_IT.format(ticket="t.id", moment="a.occurred_at")}) AS agent,
           EXISTS (
               SELECT FROM ticket_activities b
               WHERE b.ticket_id = a.ticket_id AND b.event = 'ticket.reopened'
                     AND (b.occurred_at, b.id) > (a.occurred_at, a.id)
           ) AS is_reopened
    FROM ticket_activities a JOIN {{asked}} t ON t.id = a.ticket_id
    WHERE a.workspace_id = %(workspace)s AND a.event = 'ticket.resolved'
          AND a.occurred_at >= %(start)s AND a.occurred_at < %(end)s AND t.merged_into_id IS NULL
) r
GROUP BY GROUPING SETS ((r.agent), ())
"""  # noqa: S608  constants
_LOADS = """
SELECT t.assignee_id, count(*) FILTER (WHERE t.status = 'open'), count(*) FILTER (WHERE t.status = 'pending')
FROM {asked} t WHERE t.status IN ('open', 'pending') GROUP BY t.assignee_id
"""


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in whole seconds of the wall clock, rounded half up; None of nothing.

    `median` and `p90` lie between two values where no single one is it (`percentile_cont`).
    """

    count: int = 0
    average: int | None = None
    median: int | None = None
    p90: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """The tickets in work that somebody has now."""

    open: int = 0
    pending: int = 0

    @property
    def total(self) -> int:
        """Both."""
        return self.open + self.pending


@dataclass(slots=True)
class Figures:
    """What an agent, or all together, did in a period."""

    assigned: int = 0
    replies: int = 0
    solved: int = 0
    reopened: int = 0
    first_response: Times = field(default_factory=Times)
    resolution: Times = field(default_factory=Times)
    score: Score = field(default_factory=lambda: Score(dict.fromkeys(RATINGS, 0)))

    @property
    def reopen_rate(self) -> float | None:
        """Of the resolutions, how many were reopened, in percent; None when nothing was resolved."""
        return share(self.reopened, self.solved)


@dataclass(frozen=True, slots=True)
class OfAgent:
    """The figures of one agent; no user for what nobody can be named for. `load` is None of a period before."""

    user_id: UUID | None
    name: str
    is_active: bool  # whether they are a member now who can be given tickets
    figures: Figures
    load: Load | None


@dataclass(frozen=True, slots=True)
class Team:
    """A period: all agents, and all of them together."""

    period: Period
    agents: list[OfAgent]
    whole: Figures
    load: Load | None


@dataclass(frozen=True, slots=True)
class Report:
    """What agents did in a period, and in the one before."""

    now: Team
    before: Team | None


def report(
    *, workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period, previous: Period | None = None
) -> Report:
    """What agents did with `tickets` (live ones of the workspace) in a period.

    Eleven queries, nineteen with `previous`, however many agents and tickets there are; fewer where nobody was rated
    or everybody who did something is still there.
    """
    found = _figures(workspace, tickets, period)
    earlier = _figures(workspace, tickets, previous) if previous else None
    loads: dict[UUID | None, Load] = {
        user_id: Load(is_open, pending) for user_id, is_open, pending in raw.rows(_LOADS, tickets=tickets)
    }
    active = _active(workspace)
    seen = {*loads, *found.by_agent, *(earlier.by_agent if earlier else ())} - active.keys() - {None}
    former = {user.pk: user for user in User.objects.filter(pk__in=seen)} if seen else {}
    names = {pk: user.name or user.email for pk, user in (active | former).items()}
    return Report(
        now=_team(period, found, loads, names, active),
        before=_team(previous, earlier, None, names, active) if previous and earlier else None,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    by_agent: dict[UUID | None, Figures]
    whole: Figures


def _figures(workspace: Workspace, tickets: "QuerySet[Ticket]", period: Period) -> _Found:
    by_agent: dict[UUID | None, Figures] = {}
    whole = Figures()

    def read(sql: str) -> Iterable[tuple[Figures, tuple[Any, ...]]]:
        of_period = {"workspace": workspace.pk, "start": period.start, "end": period.end}
        for user_id, *values, is_whole in raw.rows(sql, tickets=tickets, **of_period):
            yield whole if is_whole else by_agent.setdefault(user_id, Figures()), tuple(values)

    for of, (count,) in read(_ASSIGNED):
        of.assigned = count
    for of, (count,) in read(_REPLIES):
        of.replies = count
    for of, times in read(_RESPONSES):
        of.first_response = Times(*times)
    for of, (solved, reopened, *times_that_held) in read(_RESOLUTIONS):
        of.solved, of.reopened, of.resolution = solved, reopened, Times(solved - reopened, *times_that_held)
    ratings = csat.report(workspace=workspace, tickets=tickets, period=period, interval=period.usual_interval())
    whole.score = ratings.now.score
    for one in ratings.by_agent:
        by_agent.setdefault(one.user_id, Figures()).score = one.score
    return _Found(by_agent, whole)


def _active(workspace: Workspace) -> dict[UUID, User]:
    """Who is a member now and may be given tickets."""
    members = Membership.objects.for_workspace(workspace).filter(is_active=True, user__is_active=True)
    return {member.user_id: member.user for member in members.select_related("user") if member.may(Permission.WORK)}


def _team(
    period: Period,
    found: _Found,
    loads: Mapping[UUID | None, Load] | None,
    names: Mapping[UUID, str],
    active: Mapping[UUID, User],
) -> Team:
    people: set[UUID | None] = {*active, *found.by_agent, *(loads or {})}
    agents = [
        OfAgent(
            user_id=pk,
            name=names[pk] if pk else "",
            is_active=pk in active,
            figures=found.by_agent.get(pk) or Figures(),
            load=None if loads is None else loads.get(pk, Load()),
        )
        for pk in people
    ]
    return Team(
        period=period,
        agents=sorted(agents, key=_order),
        whole=found.whole,
        load=None
        if loads is None
        else Load(sum(one.open for one in loads.values()), sum(one.pending for one in loads.values())),
    )


def _order(one: OfAgent) -> tuple[Any, ...]:
    """Who resolved most first, then who answered most; nobody last."""
    return (
        one.user_id is None,
        -one.figures.solved,
        -one.figures.replies,
        -one.figures.assigned,
        one.name.casefold(),
        str(one.user_id),
    )
