"""The overview: every figure against SQL over the raw rows, written here."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from analytics.metrics.times import whole
from analytics.tests.history import HOUR, make_history, merge, reopen, resolve, sql, trash
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from portal.services.requests import rate_request
from slas.services.sweep import sweep_all
from slas.tests.factories import make_policy
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import editing, status
from tickets.tests.api import Api, refused
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)
MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(timezone="Europe/Rome")
    return made


def ask(workspace: Workspace, query: str = MARCH) -> Any:
    member = workspace.memberships.filter(role="light").first() or make_agent(workspace, role="light")
    answer = Api(member).get(f"/tickets/analytics/overview?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


# Days by the database's own timezones: the code under test reckons its bounds without them.
BOUNDS = """
WITH p AS (SELECT %(a)s::date::timestamp AT TIME ZONE %(z)s AS a,
                  (%(b)s::date + 1)::timestamp AT TIME ZONE %(z)s AS b)
"""
CREATED = """
SELECT count(*) FROM tickets t, p
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND t.created_at >= p.a AND t.created_at < p.b
"""
# A move to another status, and the one after it, from the log.
MOVES = """,
m AS (SELECT v.event, v.occurred_at, v.ticket_id, lead(v.event) OVER moves AS next, lead(v.event, 2) OVER moves AS after
      FROM ticket_activities v JOIN tickets t ON t.id = v.ticket_id
      WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND t.merged_into_id IS NULL
        AND v.event IN ('ticket.resolved', 'ticket.closed', 'ticket.reopened')
      WINDOW moves AS (PARTITION BY v.ticket_id ORDER BY v.occurred_at, v.id))
SELECT count(*) FILTER (WHERE event = 'ticket.resolved'), count(*) FILTER (WHERE event = 'ticket.closed'),
       count(*) FILTER (WHERE event = 'ticket.reopened'),
       count(*) FILTER (WHERE event = 'ticket.resolved'
                          AND (next = 'ticket.reopened' OR (next = 'ticket.closed' AND after = 'ticket.reopened'))),
       count(*) FILTER (WHERE event = 'ticket.resolved' AND EXISTS (
         SELECT FROM ticket_satisfaction s WHERE s.ticket_id = m.ticket_id AND s.resolved_at = m.occurred_at))
FROM m, p WHERE occurred_at >= p.a AND occurred_at < p.b
"""
TIMES = """,
x AS (SELECT extract(epoch FROM t.{column} - t.created_at) AS s FROM tickets t, p
      WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND t.merged_into_id IS NULL
        AND t.{column} >= p.a AND t.{column} < p.b)
SELECT count(*), round(avg(s)), round((percentile_cont(0.5) WITHIN GROUP (ORDER BY s))::numeric),
       round((percentile_cont(0.9) WITHIN GROUP (ORDER BY s))::numeric)
FROM x
"""
SLA = """
SELECT c.goal, count(*) FILTER (WHERE c.breached_at IS NULL), count(c.breached_at)
FROM sla_clocks c JOIN tickets t ON t.id = c.ticket_id, p
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND t.merged_into_id IS NULL
  AND (c.breached_at >= p.a AND c.breached_at < p.b
       OR c.breached_at IS NULL AND c.satisfied_at >= p.a AND c.satisfied_at < p.b)
GROUP BY 1
"""
RATINGS = """
SELECT count(*), round(avg(s.rating), 2), round(100.0 * count(*) FILTER (WHERE s.rating > 3) / nullif(count(*), 0), 1)
FROM ticket_satisfaction s JOIN tickets t ON t.id = s.ticket_id, p
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND s.created_at >= p.a AND s.created_at < p.b
"""
QUEUE = """
SELECT count(*) FILTER (WHERE status = 'open'), count(*) FILTER (WHERE status = 'pending'),
       count(*) FILTER (WHERE status IN ('open', 'pending') AND assignee_id IS NULL)
FROM tickets WHERE workspace_id = %(w)s AND trashed_at IS NULL
"""


def seconds(of: dict[str, Any]) -> tuple[Any, ...]:
    return of["tickets"], of["average_seconds"], of["median_seconds"], of["p90_seconds"]


def equals_sql(found: Any, workspace: Workspace, zone: str, first: str, last: str) -> None:
    """Hold each figure of a period against SQL."""
    values = {"w": workspace.pk, "z": zone, "a": first, "b": last}
    assert [(found["created"],)] == sql(BOUNDS + CREATED, **values)
    [(resolved, closed, reopened, undone, rated)] = sql(BOUNDS + MOVES, **values)
    names = ("resolved", "closed", "reopened", "resolved_and_reopened")
    assert [found[name] for name in names] == [resolved, closed, reopened, undone]
    assert found["reopen_rate"] == pytest.approx(100 * undone / resolved, abs=0.051)
    assert found["satisfaction"]["response_rate"] == pytest.approx(100 * rated / resolved, abs=0.051)
    assert [seconds(found["first_response"])] == sql(BOUNDS + TIMES.format(column="first_response_at"), **values)
    assert [seconds(found["resolution"])] == sql(BOUNDS + TIMES.format(column="resolved_at"), **values)
    by_goal = [(one["goal"], one["met"], one["breached"]) for one in found["sla"]["by_goal"] if one["judged"]]
    assert sorted(by_goal) == sorted(sql(BOUNDS + SLA, **values))
    assert found["sla"]["met"] == sum(one[1] for one in by_goal)
    assert found["sla"]["breached"] == sum(one[2] for one in by_goal)
    ratings = found["satisfaction"]
    [(count, average, csat)] = sql(BOUNDS + RATINGS, **values)
    assert (ratings["ratings"], ratings["average"], ratings["csat"]) == (count, float(average), float(csat))


def test_the_figures_equal_sql_over_the_rows(workspace: Workspace) -> None:
    """A history with reopenings, promises, ratings, merges and the trash, over the change of clocks in both places."""
    make_history(workspace)
    make_history(WorkspaceFactory(), tickets=5, seed=1)  # somebody else's
    for zone in ("Europe/Rome", "America/New_York"):
        found = ask(workspace, f"from=2026-03-08&to=2026-04-05&timezone={zone}&compare=previous")
        equals_sql(found, workspace, zone, "2026-03-08", "2026-04-05")
        equals_sql(found["previous"], workspace, zone, "2026-02-07", "2026-03-07")
        assert [tuple(found["now"].values())] == sql(QUEUE, w=workspace.pk)
        assert min(found["resolved_and_reopened"], found["sla"]["met"], found["sla"]["breached"], found["closed"]) > 2
        assert found["previous"]["created"] > 10


def test_an_empty_workspace_has_none(workspace: Workspace) -> None:
    found = ask(workspace, f"{MARCH}&compare=previous")
    nothing = {"tickets": 0, "average_seconds": None, "median_seconds": None, "p90_seconds": None}
    promises = {"judged": 0, "met": 0, "breached": 0, "share": None}
    assert found["now"] == {"open": 0, "pending": 0, "unassigned": 0}
    for figures in (found, found["previous"]):
        assert figures["first_response"] == figures["resolution"] == nothing
        assert figures["sla"].pop("by_goal") == [
            {"goal": goal, **promises} for goal in ("first_response", "next_response", "resolution")
        ]
        assert figures["sla"] == promises
        assert [figures[name] for name in ("created", "resolved", "closed", "reopened")] == [0, 0, 0, 0]
        assert figures["reopen_rate"] is None
        assert set(figures["satisfaction"].values()) == {0, None}


class TestTimes:
    def test_are_told_with_average_median_and_p90(self, workspace: Workspace) -> None:
        agent = make_agent(workspace)
        for hours in (1, 2, 3, 4, 10):
            make_reply(make_ticket(workspace, NOON), agent, NOON + hours * HOUR)
        make_ticket(workspace, NOON)
        found = ask(workspace)["first_response"]
        # 40 % of the way from the fourth to the fifth of 4 and 10 hours is 60 %: 4 + 0.6 * 6.
        assert seconds(found) == (5, 4 * 3600, 3 * 3600, round(7.6 * 3600))

    def test_to_the_first_response_are_not_changed_by_a_reopening(self, workspace: Workspace) -> None:
        agent, ticket = make_agent(workspace), make_ticket(workspace, NOON)
        make_reply(ticket, agent, NOON + HOUR)
        ticket = reopen(resolve(ticket, NOON + 2 * HOUR), NOON + 240 * HOUR)
        make_reply(ticket, agent, NOON + 241 * HOUR)
        assert seconds(ask(workspace)["first_response"]) == (1, 3600, 3600, 3600)

    def test_to_the_resolution_are_those_of_the_last_one(self, workspace: Workspace) -> None:
        ticket = resolve(make_ticket(workspace, NOON), NOON + HOUR)
        assert seconds(ask(workspace)["resolution"]) == (1, 3600, 3600, 3600)
        ticket = reopen(ticket, NOON + 2 * HOUR)
        assert seconds(ask(workspace)["resolution"]) == (0, None, None, None)
        resolve(ticket, NOON + 5 * HOUR)
        found = ask(workspace)
        assert seconds(found["resolution"]) == (1, 5 * 3600, 5 * 3600, 5 * 3600)
        assert [found[name] for name in ("resolved", "reopened", "reopen_rate")] == [2, 1, 50.0]

    def test_belong_to_the_period_of_their_end(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, dt.datetime(2026, 2, 27, 12, tzinfo=dt.UTC))
        make_reply(ticket, make_agent(workspace), dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC))
        found = ask(workspace)
        assert (found["created"], found["first_response"]["average_seconds"]) == (0, 48 * 3600)

    def test_over_a_change_of_clocks_are_the_time_that_passed(self, workspace: Workspace) -> None:
        """From midnight to midnight of 29 March there are 23 hours in Rome."""
        begin = dt.datetime(2026, 3, 28, 23, tzinfo=dt.UTC)
        second = dt.timedelta(seconds=1)
        for at in (begin - second, begin, begin + 23 * HOUR - second, begin + 23 * HOUR):
            resolve(make_ticket(workspace, at - 23 * HOUR), at)
        found = ask(workspace, "from=2026-03-29&to=2026-03-29&compare=previous")
        assert seconds(found["resolution"]) == (2, 23 * 3600, 23 * 3600, 23 * 3600)
        assert (found["resolved"], found["previous"]["resolved"]) == (2, 1)
        assert ask(workspace, "from=2026-03-29&to=2026-03-29&timezone=UTC")["resolved"] == 2

    @pytest.mark.parametrize(("exact", "told"), [(None, None), (0.5, 1), (2.5, 3), (2.4999999999, 3), (2.4999, 2)])
    def test_are_rounded_half_up_to_seconds(self, exact: float | None, told: int | None) -> None:
        assert whole(exact) == told


class TestPromises:
    @pytest.fixture
    def ticket(self, workspace: Workspace) -> Ticket:
        """One that wants its first response in two hours and its resolution in eight."""
        make_policy(workspace, business_hours_only=False)
        return make_ticket(workspace, NOON)

    def goals(self, workspace: Workspace, query: str = MARCH) -> list[tuple[int, int]]:
        return [(one["met"], one["breached"]) for one in ask(workspace, query)["sla"]["by_goal"]]

    def test_that_are_not_due_are_not_judged(self, workspace: Workspace, ticket: Ticket) -> None:
        assert self.goals(workspace) == [(0, 0), (0, 0), (0, 0)]

    def test_that_were_kept_late_are_breached_when_they_were_due(self, workspace: Workspace, ticket: Ticket) -> None:
        make_reply(ticket, make_agent(workspace), NOON + 40 * 24 * HOUR)
        assert self.goals(workspace)[0] == (0, 1)
        assert self.goals(workspace, "from=2026-04-01&to=2026-04-30")[0] == (0, 0)

    def test_that_were_never_kept_are_breached(self, workspace: Workspace, ticket: Ticket) -> None:
        sweep_all(now=NOON + 3 * HOUR)
        assert self.goals(workspace) == [(0, 1), (0, 0), (0, 0)]
        sweep_all(now=NOON + 9 * HOUR)
        assert ask(workspace)["sla"] | {"by_goal": []} == {
            "judged": 2, "met": 0, "breached": 2, "share": 0.0, "by_goal": [],
        }  # fmt: skip

    def test_of_a_ticket_that_was_reopened_are_open_again(self, workspace: Workspace, ticket: Ticket) -> None:
        make_reply(ticket, make_agent(workspace), NOON + HOUR)
        ticket.refresh_from_db()
        ticket = resolve(ticket, NOON + 2 * HOUR)
        assert ask(workspace)["sla"]["share"] == 100.0
        ticket = reopen(ticket, NOON + 3 * HOUR)
        assert self.goals(workspace) == [(1, 0), (0, 0), (0, 0)]
        sweep_all(now=NOON + 48 * HOUR)
        assert self.goals(workspace) == [(1, 0), (0, 0), (0, 1)]

    def test_that_were_broken_stay_broken(self, workspace: Workspace, ticket: Ticket) -> None:
        sweep_all(now=NOON + 9 * HOUR)
        ticket = resolve(ticket, NOON + 10 * HOUR)
        reopen(ticket, NOON + 11 * HOUR)
        assert self.goals(workspace)[2] == (0, 1)


class TestTickets:
    def test_in_the_trash_do_not_count(self, workspace: Workspace) -> None:
        make_policy(workspace, business_hours_only=False)
        ticket = make_ticket(workspace, NOON)
        make_reply(ticket, make_agent(workspace), NOON + HOUR)
        ticket.refresh_from_db()
        ticket = resolve(ticket, NOON + 2 * HOUR)
        rate_request(ticket=ticket, contact=ticket.requester, rating=1, feedback="", now=NOON + 3 * HOUR)
        before = ask(workspace)
        assert (before["created"], before["satisfaction"]["ratings"], before["sla"]["judged"]) == (1, 1, 2)
        trash(ticket, NOON + 4 * HOUR)
        empty = ask(workspace, "from=2026-01-01&to=2026-01-31")
        assert ask(workspace) == empty | {"period": before["period"]}
        editing.restore(workspace_id=workspace.pk, ticket_id=ticket.pk, actor=SYSTEM, now=NOON + 5 * HOUR)
        assert ask(workspace) == before

    def test_that_were_merged_count_as_created_only(self, workspace: Workspace) -> None:
        make_policy(workspace, business_hours_only=False)
        ticket = make_ticket(workspace, NOON)
        make_reply(ticket, make_agent(workspace), NOON + HOUR)
        ticket.refresh_from_db()
        merge(resolve(ticket, NOON + 2 * HOUR), make_ticket(workspace, NOON + 3 * HOUR), NOON + 3 * HOUR)
        found = ask(workspace)
        assert (found["created"], found["now"]["open"]) == (2, 1)
        assert (found["resolved"], found["closed"]) == (0, 0)
        assert (found["first_response"]["tickets"], found["resolution"]["tickets"]) == (0, 0)
        assert found["sla"]["judged"] == 0

    def test_that_were_closed_and_reopened_later_make_the_resolution_undone(self, workspace: Workspace) -> None:
        ticket = resolve(make_ticket(workspace, NOON), NOON + HOUR)
        ticket = status.change_status(ticket=ticket, to="closed", actor=SYSTEM, now=NOON + 2 * HOUR)
        reopen(ticket, NOON + 30 * 24 * HOUR)
        resolve(make_ticket(workspace, NOON), NOON + HOUR)
        found = ask(workspace)
        assert (found["resolved"], found["closed"], found["reopened"]) == (2, 1, 0)
        assert (found["resolved_and_reopened"], found["reopen_rate"]) == (1, 50.0)

    def test_of_the_queue_are_those_of_now(self, workspace: Workspace) -> None:
        agent = make_agent(workspace)
        make_ticket(workspace, NOON)
        for to in ("pending", "open", "resolved"):
            ticket = make_ticket(workspace, NOON, assignee_id=agent.user_id)
            if to != "open":
                status.change_status(ticket=ticket, to=to, actor=SYSTEM, now=NOON)
        assert ask(workspace, "from=2020-01-01&to=2020-01-31")["now"] == {"open": 2, "pending": 1, "unassigned": 1}

    def test_are_those_that_the_filters_find(self, workspace: Workspace) -> None:
        make_ticket(workspace, NOON, priority="urgent", tags=["vip"])
        make_ticket(workspace, NOON)
        for query in ("priority=urgent", "tag=vip", "priority=urgent,high&tag=vip"):
            found = ask(workspace, f"{MARCH}&{query}")
            assert (found["created"], found["now"]["open"]) == (1, 1), query

    def test_of_another_workspace_are_never_found(self, workspace: Workspace) -> None:
        theirs: Any = WorkspaceFactory()
        team = TeamFactory(workspace=theirs)
        make_ticket(theirs, NOON, team_id=team.pk)
        assert ask(workspace)["created"] == 0
        assert ask(workspace, f"{MARCH}&team={team.pk}")["now"]["open"] == 0


def test_what_is_not_possible_is_refused_by_name(workspace: Workspace) -> None:
    api = Api(make_agent(workspace))
    url = "/tickets/analytics/overview"
    refused(api.get(f"{url}?from=x&priority=huge&by=status"), 400, "from", "priority", "by")
    refused(api.get(f"{url}?timezone=Mars/Base"), 400, "timezone")
    refused(Api().get(url), 401)


def test_queries_do_not_grow_with_what_is_counted(workspace: Workspace, django_assert_num_queries: Any) -> None:
    api = Api(make_agent(workspace, role="light"))
    for rows in (2, 12):
        make_history(WorkspaceFactory() if rows == 2 else workspace, tickets=rows)
        with django_assert_num_queries(7):  # who asks; the queue; 5 of the period
            api.get(f"/tickets/analytics/overview?{MARCH}")
        with django_assert_num_queries(12):  # and 5 of the one before
            api.get(f"/tickets/analytics/overview?{MARCH}&compare=previous")
    assert not Ticket.objects.for_workspace(workspace).filter(updated_at__gt=timezone.now()).exists()
