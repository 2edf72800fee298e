"""The report on service levels: its figures against SQL over the raw rows, and what is met, missed and honest."""

import datetime as dt
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection

from analytics.metrics import sla
from analytics.periods import Interval, Period
from analytics.tests.weeks import NOW, Past, make_past
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.services import sweep
from slas.tests.factories import make_policy
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import base, conversation, editing, merging, status
from tickets.tests.api import Api, refused
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

PATH = "/tickets/analytics/sla/detailed"
AT = dt.datetime(2024, 3, 4, 9, tzinfo=dt.UTC)  # a Monday
MARCH = f"{PATH}?from=2024-03-01&to=2024-03-31&timezone=UTC"
COUNTS = ("met", "breached", "running", "paused", "narrow")


def after(**span: float) -> dt.datetime:
    """A moment after the beginning of the small stories."""
    return AT + dt.timedelta(**span)


def asked(member: Any, path: str = MARCH, *, now: dt.datetime) -> dict[str, Any]:
    """The answer at a moment."""
    with time_machine.travel(now, tick=False):
        found: dict[str, Any] = Api(member).get(path).json()
    return found


def clock(group: dict[str, Any], goal: str) -> dict[str, int]:
    """The counts of one kind of promise that are not zero."""
    [found] = [one for one in group["by_clock"] if one["clock"] == goal]
    return {name: found[name] for name in COUNTS if found[name]}


@pytest.fixture
def desk():
    """Two hours to the first response, four to the next, eight to the resolution, around the clock."""
    workspace = WorkspaceFactory(timezone="UTC")
    policy = make_policy(
        workspace, business_hours_only=False, pending_pauses=["first_response", "next_response", "resolution"]
    )
    return workspace, make_agent(workspace), policy


def write(ticket: Ticket, now: dt.datetime) -> None:
    """The customer writes."""
    conversation.customer_reply(
        ticket=ticket, contact=ticket.requester, body="And?", channel="email", now=now, vouched=True
    )


# Written for the test, from the definitions. The sweep was run: every breach until then is recorded.
OUTCOMES = """
WITH bounds AS (
    SELECT %(first)s::date::timestamp AT TIME ZONE %(zone)s AS a,
           (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s AS b
), of_clocks AS (
    SELECT p.name, t.priority, c.goal, unnest(ARRAY['breached', 'met', 'running', 'paused', 'narrow']) AS what,
           unnest(ARRAY[
               c.breached_at,
               CASE WHEN c.breached_at IS NULL THEN c.satisfied_at END,
               CASE WHEN c.breached_at IS NULL AND c.run = 'running' THEN c.started_at END,
               CASE WHEN c.breached_at IS NULL AND c.run = 'paused' THEN c.started_at END,
               CASE WHEN c.breached_at IS NULL AND extract(epoch FROM c.used) / extract(epoch FROM c.target) > 0.9
                    THEN c.satisfied_at END
           ]) AS at
    FROM sla_clocks c, tickets t, sla_policies p
    WHERE c.ticket_id = t.id AND c.policy_id = p.id AND t.workspace_id = %(workspace)s
          AND t.trashed_at IS NULL AND t.merged_into_id IS NULL
)
SELECT name, priority, goal, (at AT TIME ZONE %(zone)s)::date::text, what, count(*)
FROM of_clocks, bounds WHERE at >= a AND at < b GROUP BY 1, 2, 3, 4, 5
"""
LATE = """
SELECT number, max(round(extract(epoch FROM
           coalesce(satisfied_at, CASE WHEN run = 'stopped' THEN greatest(as_of, breached_at) ELSE %(now)s END)
           - breached_at)))::int AS late
FROM sla_clocks c JOIN tickets t ON t.id = c.ticket_id
WHERE t.workspace_id = %(workspace)s AND trashed_at IS NULL AND merged_into_id IS NULL
      AND breached_at >= %(a)s AND breached_at < %(b)s
GROUP BY number ORDER BY late DESC, number LIMIT 20
"""
STOOD = """
WITH log AS (
    SELECT t.id, t.created_at AS at, 'open' AS word, 0 AS n FROM tickets t
    WHERE workspace_id = %(workspace)s AND trashed_at IS NULL AND merged_into_id IS NULL
    UNION ALL
    SELECT a.ticket_id, occurred_at, jsonb_path_query_first(changes, '$[*] ? (@.field == "status").to') #>> '{}',
           row_number() OVER (ORDER BY a.id)
    FROM ticket_activities a WHERE changes @> '[{"field": "status"}]'
), held AS (
    SELECT id, range_agg(tstzrange(at, next)) FILTER (WHERE word IN ('open', 'pending')) AS active,
           range_agg(tstzrange(at, next)) FILTER (WHERE word = 'pending') AS pending
    FROM (SELECT *, lead(at) OVER (PARTITION BY id ORDER BY at, n) AS next FROM log) x GROUP BY id
), lives AS (
    SELECT c.goal, h.active, coalesce(h.pending, '{}') AS pending,
           tstzmultirange(tstzrange(c.started_at, coalesce(c.satisfied_at, %(now)s)) * tstzrange(%(a)s, %(b)s)) AS life
    FROM sla_clocks c JOIN held h ON h.id = c.ticket_id JOIN tickets t ON t.id = c.ticket_id
    WHERE c.run <> 'stopped' AND t.workspace_id = %(workspace)s AND trashed_at IS NULL AND merged_into_id IS NULL
)
SELECT goal, count(*) FILTER (WHERE NOT isempty(life * active)),
       (SELECT coalesce(round(sum(s)), 0)::int FROM unnest(array_agg(of_range(life * active))) s),
       (SELECT coalesce(round(sum(s)), 0)::int FROM unnest(array_agg(of_range(life * pending))) s)
FROM lives GROUP BY goal
"""
OF_RANGE = """
CREATE FUNCTION pg_temp.of_range(r tstzmultirange) RETURNS numeric LANGUAGE sql AS
$$ SELECT coalesce(sum(extract(epoch FROM upper(x) - lower(x))), 0) FROM unnest(r) x $$
"""


def truth(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    """What SQL over the raw rows says."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def counted(groups: list[dict[str, Any]], name: str) -> dict[tuple[str, str, str], int]:
    """The counts of groups by what they are of, the kind of promise, and what became of it; without zeros."""
    return {
        (group["policy"]["name"] if name == "policy" else group[name], one["clock"], what): one[what]
        for group in groups
        for one in group["by_clock"]
        for what in COUNTS
        if one[what]
    }


class TestTheFigures:
    @pytest.fixture(scope="class")
    def past(self, class_transaction: Any) -> Past:
        with class_transaction():
            make_past(6, seed=3)  # of another workspace
            return make_past()

    def test_equal_sql_over_the_raw_rows(self, past: Past) -> None:
        with connection.cursor() as cursor:
            cursor.execute(OF_RANGE)
        seen: Counter[str] = Counter()
        for first, last, zone in (
            ("2024-10-22", "2024-11-12", "Europe/Berlin"),
            ("2024-10-27", "2024-10-27", "Europe/Berlin"),  # a day of 25 hours
            ("2024-10-24", "2024-11-03", "America/New_York"),
        ):
            path = f"{PATH}?from={first}&to={last}&timezone={zone}&interval=day"
            answer = asked(past.agents[0], path, now=NOW)
            by: dict[str, Counter[tuple[str, str, str]]] = {name: Counter() for name in ("policy", "priority", "start")}
            rows = truth(OUTCOMES, first=first, last=last, zone=zone, workspace=past.workspace.pk)
            for policy, priority, goal, day, what, count in rows:
                for name, value in (("policy", policy), ("priority", priority), ("start", day)):
                    by[name][value, goal, what] += count
            assert rows, "the history says nothing about these days"
            assert counted(answer["by_policy"], "policy") == by["policy"]
            assert counted(answer["by_priority"], "priority") == by["priority"]
            assert counted(answer["by_period"], "start") == by["start"]
            for what in COUNTS:
                assert answer["total"][what] == sum(row[-1] for row in rows if row[-2] == what)

            start, end = (dt.datetime.fromisoformat(answer["period"][side]) for side in ("from", "to"))
            bounds = {"a": start, "b": end, "now": NOW, "workspace": past.workspace.pk}
            assert [(one["ticket"]["number"], one["overdue_seconds"]) for one in answer["worst"]] == truth(
                LATE, **bounds
            )
            found = {
                one["clock"]: (one["promises"], one["active_seconds"], one["paused_seconds"])
                for one in answer["pauses"]
                if one["promises"]
            }
            stood = {
                goal: (count, active, 0 if goal == "next_response" else paused)
                for goal, count, active, paused in truth(STOOD.replace("of_range", "pg_temp.of_range"), **bounds)
                if count
            }
            assert found == stood
            seen.update(late=len(answer["worst"]), paused=sum(one["paused_seconds"] for one in answer["pauses"]))
        assert all(seen[what] for what in ("late", "paused")), "the history says nothing about these"

    def test_of_the_period_before_are_those_of_asking_for_it(self, past: Past) -> None:
        path = f"{PATH}?timezone=Europe/Berlin&interval=week"
        before = asked(past.agents[0], f"{path}&from=2024-10-25&to=2024-10-31", now=NOW)
        both = asked(past.agents[0], f"{path}&from=2024-11-01&to=2024-11-07&compare=previous", now=NOW)
        assert both["previous"]["total"]["met"]
        assert both["previous"] == {name: before[name] for name in both["previous"]}

    def test_take_the_same_queries_however_much_there_is(self, past: Past, django_assert_num_queries: Any) -> None:
        period = Period(NOW - dt.timedelta(days=21), NOW, ZoneInfo("Europe/Berlin"))
        for workspace, interval in ((WorkspaceFactory(), Interval.MONTH), (past.workspace, Interval.DAY)):
            tickets = Ticket.objects.for_workspace(workspace).live()
            for count, previous in ((6, None), (10, period.before())):
                with django_assert_num_queries(count):
                    sla.report(
                        workspace=workspace,
                        tickets=tickets,
                        period=period,
                        interval=interval,
                        now=NOW,
                        previous=previous,
                    )


class TestWhatBecomesOfAPromise:
    def test_one_that_is_kept_in_time_is_met(self, desk: Any) -> None:
        workspace, agent, _ = desk
        make_reply(make_ticket(workspace, now=AT), agent, now=after(hours=1))
        answer = asked(agent, now=after(hours=3))
        assert clock(answer["total"], "first_response") == {"met": 1}
        assert clock(answer["total"], "resolution") == {"running": 1}
        assert answer["total"]["met_rate"] == 100.0
        assert answer["worst"] == []

    def test_one_whose_deadline_passed_is_breached_before_any_sweep_and_for_ever(self, desk: Any) -> None:
        workspace, agent, policy = desk
        ticket = make_ticket(workspace, now=AT)
        [late] = asked(agent, now=after(hours=3))["worst"]
        assert late == {
            "ticket": {"id": str(ticket.pk), "number": ticket.number, "subject": ticket.subject, "priority": "medium"},
            "policy": {"id": str(policy.pk), "name": policy.name},
            "clock": "first_response",
            "breached_at": "2024-03-04T11:00:00Z",
            "overdue_seconds": 3600,
            "is_open": True,
        }
        sweep.sweep_all(now=after(hours=4))
        make_reply(ticket, agent, now=after(hours=5))
        answer = asked(agent, now=after(hours=6))
        assert clock(answer["total"], "first_response") == {"breached": 1}
        assert answer["total"]["met_rate"] == 0.0
        assert [(one["overdue_seconds"], one["is_open"]) for one in answer["worst"]] == [(3 * 3600, False)]

    def test_the_deadline_itself_is_in_time_and_narrow(self, desk: Any) -> None:
        workspace, agent, _ = desk
        make_reply(make_ticket(workspace, now=AT), agent, now=after(hours=2))
        make_reply(make_ticket(workspace, now=AT), agent, now=after(hours=1, minutes=48))  # 90 % exactly
        answer = asked(agent, now=after(hours=3))
        assert clock(answer["total"], "first_response") == {"met": 2, "narrow": 1}
        assert answer["honesty"]["narrow_answers"] == {"count": 1, "of": 2, "share": 50.0}

    def test_it_counts_when_it_was_decided_and_not_when_it_began(self, desk: Any) -> None:
        workspace, agent, _ = desk
        make_reply(make_ticket(workspace, now=AT), agent, now=after(hours=1))
        early, late = (
            asked(agent, f"{PATH}?from=2024-03-04T{a}:00Z&to=2024-03-04T{b}:00Z", now=after(hours=2))
            for a, b in (("09:00", "10:00"), ("10:00", "11:00"))
        )
        assert clock(early["total"], "first_response") == {}
        assert clock(late["total"], "first_response") == {"met": 1}

    def test_what_ended_without_being_needed_does_not_count(self, desk: Any) -> None:
        workspace, agent, _ = desk
        status.change_status(ticket=make_ticket(workspace, now=AT), to="resolved", actor=SYSTEM, now=after(hours=1))
        answer = asked(agent, now=after(hours=9))
        assert clock(answer["total"], "first_response") == {}
        assert clock(answer["total"], "resolution") == {"met": 1}

    def test_nothing_of_what_is_in_the_trash_or_merged_away(self, desk: Any) -> None:
        workspace, agent, _ = desk
        gone, merged, target = (make_ticket(workspace, now=AT) for _ in range(3))
        for ticket in (gone, merged):
            make_reply(ticket, agent, now=after(hours=1))
        editing.trash(ticket=gone, actor=base.agent(agent), now=after(hours=1))
        merging.merge(source=merged, target_id=target.pk, actor=base.agent(agent), now=after(hours=1))
        answer = asked(agent, now=after(hours=1))
        assert answer["total"]["met"] == 0
        assert answer["total"]["running"] == 2

    def test_twenty_tickets_are_named_each_once(self, desk: Any) -> None:
        workspace, agent, _ = desk
        for minute in range(22):
            make_ticket(workspace, now=after(minutes=minute))
        worst = asked(agent, now=after(hours=20))["worst"]
        assert [one["overdue_seconds"] for one in worst] == [18 * 3600 - 60 * minute for minute in range(20)]
        assert {one["clock"] for one in worst} == {"first_response"}


class TestPauses:
    def test_are_what_clocks_stood_still_within_the_period(self, desk: Any) -> None:
        workspace, agent, _ = desk
        ticket = make_ticket(workspace, now=AT)
        make_reply(ticket, agent, now=after(minutes=30))
        status.change_status(ticket=ticket, to="pending", actor=base.agent(agent), now=after(hours=1))
        write(ticket, after(hours=3))
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(agent), now=after(hours=4))
        path = f"{PATH}?from=2024-03-04T11:00:00Z&to=2024-03-05T00:00:00Z"
        answer = asked(agent, path, now=after(days=2))
        assert answer["pauses"] == [
            {"clock": "first_response", "promises": 0, "active_seconds": 0, "paused_seconds": 0, "share": None},
            # It ended with the resolution, without its answer.
            {"clock": "next_response", "promises": 0, "active_seconds": 0, "paused_seconds": 0, "share": None},
            {"clock": "resolution", "promises": 1, "active_seconds": 7200, "paused_seconds": 3600, "share": 50.0},
        ]

    def test_the_time_resolved_is_neither(self, desk: Any) -> None:
        workspace, agent, _ = desk
        ticket = make_ticket(workspace, now=AT)
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(agent), now=after(hours=1))
        status.reopen(ticket=ticket, actor=base.agent(agent), now=after(hours=5))
        [*_, resolution] = asked(agent, now=after(hours=6))["pauses"]
        assert (resolution["active_seconds"], resolution["paused_seconds"]) == (7200, 0)


class TestHonesty:
    def pauses(self, desk: Any, *, wrote: float, answered: float | None = None, limit: str = "") -> dict[str, Any]:
        """A pause two hours after the creation, after a customer wrote and perhaps an agent answered (minutes)."""
        workspace, agent, _ = desk
        ticket = make_ticket(workspace, now=AT)
        make_reply(ticket, agent, now=after(minutes=1))
        write(ticket, after(minutes=wrote))
        if answered is not None:
            make_reply(ticket, agent, now=after(minutes=answered))
        status.change_status(ticket=ticket, to="pending", actor=base.agent(agent), now=after(hours=2))
        found: dict[str, Any] = asked(agent, MARCH + limit, now=after(hours=3))["honesty"]["hasty_pauses"]
        return found

    def test_a_pause_right_after_a_customer_wrote_counts(self, desk: Any) -> None:
        assert self.pauses(desk, wrote=110) == {"count": 1, "of": 1, "share": 100.0}

    def test_not_one_that_came_later(self, desk: Any) -> None:
        assert self.pauses(desk, wrote=109.9)["count"] == 0

    def test_how_long_is_right_after_can_be_said(self, desk: Any) -> None:
        assert self.pauses(desk, wrote=109, limit="&pause_minutes=11")["count"] == 1

    def test_not_one_after_an_answer(self, desk: Any) -> None:
        assert self.pauses(desk, wrote=115, answered=116)["count"] == 0

    def test_not_one_that_the_answer_itself_sets(self, desk: Any) -> None:
        workspace, agent, _ = desk
        ticket = make_ticket(workspace, now=AT)
        write(ticket, after(minutes=5))
        conversation.agent_reply(
            ticket=ticket, author=agent, body="Which?", internal=False, then="pending", now=after(minutes=6)
        )
        assert asked(agent, now=after(hours=1))["honesty"]["hasty_pauses"] == {"count": 0, "of": 1, "share": 0.0}

    @pytest.mark.parametrize(("hours", "limit", "count"), [(24, "", 1), (25, "", 0), (25, "&reopen_hours=25", 1)])
    def test_a_resolution_that_was_soon_reopened_counts(self, desk: Any, hours: int, limit: str, count: int) -> None:
        workspace, agent, _ = desk
        ticket = make_ticket(workspace, now=AT)
        for start in (0, 200):  # reopened later than that the second time
            status.change_status(ticket=ticket, to="resolved", actor=base.agent(agent), now=after(hours=start))
            status.reopen(ticket=ticket, actor=SYSTEM, now=after(hours=start + hours + 10 * start))
        found = asked(agent, MARCH + limit, now=after(days=100))["honesty"]["quick_reopens"]
        assert (found["count"], found["of"]) == (count, 2)

    def test_what_was_promised_nothing_does_not_count(self) -> None:
        workspace = WorkspaceFactory()
        agent = make_agent(workspace)
        ticket = make_ticket(workspace, now=AT)
        status.change_status(ticket=ticket, to="pending", actor=base.agent(agent), now=after(hours=1))
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(agent), now=after(hours=2))
        honesty = asked(agent, now=after(hours=3))["honesty"]
        assert honesty["hasty_pauses"] == honesty["quick_reopens"] == {"count": 0, "of": 0, "share": None}


def test_an_empty_workspace_has_zeros_and_no_shares() -> None:
    agent = make_agent(WorkspaceFactory())
    answer = asked(agent, now=after(days=1))
    assert {answer["total"][name] for name in COUNTS} == {0}
    assert answer["total"]["met_rate"] is None
    assert answer["by_policy"] == answer["worst"] == []
    assert [one["priority"] for one in answer["by_priority"]] == ["urgent", "high", "medium", "low"]
    assert answer["previous"] is None


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ten", "1441", "9" * 5000, "٣"])
def test_a_limit_that_is_none_is_refused_by_name(value: str) -> None:
    agent = make_agent(WorkspaceFactory())
    refused(Api(agent).get(f"{PATH}?pause_minutes={value}&reopen_hours={value}"), 400, "pause_minutes", "reopen_hours")


def test_other_parameters_are_refused_by_name() -> None:
    refused(Api(make_agent(WorkspaceFactory())).get(f"{PATH}?from=x&page=1"), 400, "from", "page")
