"""The report on volume: every figure against SQL over the raw rows, written here."""

import datetime as dt
import random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import DomainError
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import assignment, editing, merging, status
from tickets.tests.api import nothing_written, refused
from tickets.tests.factories import make_agent, make_ticket

pytestmark = pytest.mark.django_db
URL = "/api/tickets/analytics/volume"
BEGIN = dt.datetime(2026, 2, 20, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
KINDS = ("created", "resolved", "closed", "reopened", "merged", "unmerged")


def get(workspace: Workspace, role: str = "light", **given: Any) -> Any:
    member = workspace.memberships.filter(role=role).first() or make_agent(workspace, role=role)
    access = tokens.issue(membership=member, now=timezone.now()).access
    return Client().get(URL, given, headers={"Authorization": f"Bearer {access}"})


def ask(workspace: Workspace, **given: Any) -> Any:
    answer = get(workspace, **given)
    assert answer.status_code == 200, answer.content
    return answer.json()


def move(ticket: Ticket, to: str, at: dt.datetime) -> None:
    status.change_status(ticket=ticket, to=to, actor=SYSTEM, now=at)


def merge(source: Ticket, target: Ticket, at: dt.datetime) -> None:
    merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=at)


def trash(ticket: Ticket, at: dt.datetime) -> None:
    editing.trash(ticket=ticket, actor=SYSTEM, now=at)


def live_a_life(workspace: Workspace, draw: random.Random, steps: int) -> None:
    """Tickets that come, go, come back, become one, are told apart, are thrown away and found again."""
    at = BEGIN
    for _ in range(steps):
        at += dt.timedelta(seconds=draw.randrange(1, 8 * 3600))
        if draw.random() < 0.02:  # exactly where a day begins in Berlin
            at = dt.datetime.combine(at.date() + DAY, dt.time(), ZoneInfo("Europe/Berlin")).astimezone(dt.UTC)
        there = list(Ticket.unscoped.filter(workspace=workspace).order_by("number"))
        step = draw.choice(
            ["create"] * 4
            + ["open", "pending", "resolved", "closed"] * 3
            + ["merge", "unmerge"] * 2
            + ["trash", "restore"]
        )
        if step == "create" or len(there) < 3:
            make_ticket(workspace, at)
            continue
        one, other = draw.sample(there, 2)
        try:
            if step == "merge":
                merge(one, other, at)
            elif step == "unmerge":
                merging.unmerge(
                    source=draw.choice([t for t in there if t.merged_into_id] or there), actor=SYSTEM, now=at
                )
            elif step == "trash":
                trash(one, at)
            elif step == "restore":
                editing.restore(workspace_id=workspace.pk, ticket_id=one.pk, actor=SYSTEM, now=at)
            else:
                move(one, step, at)
        except DomainError:
            pass  # the lifecycle refused: nothing happened


@pytest.fixture(scope="module")
def history(module_transaction: Any) -> Workspace:
    """Some seven weeks of a workspace, and of another one that nobody asks about."""
    with module_transaction():
        made: Any = WorkspaceFactory(timezone="Europe/Berlin")
        live_a_life(WorkspaceFactory(), random.Random(2), 30)
        live_a_life(made, random.Random(1), 240)
    return made


# Where parts begin and end by the database's own timezones; hours are the same in all zones of whole hours.
PARTS = """
SELECT greatest(g, %(a)s) AS a, least(lead(g, 1, 'infinity') OVER (ORDER BY g), %(b)s) AS b
FROM (
    SELECT generate_series(date_trunc('hour', %(a)s::timestamptz), %(b)s::timestamptz - interval '1 microsecond',
                           interval '1 hour') AS g
    WHERE %(i)s = 'hour'
    UNION ALL
    SELECT generate_series(date_trunc(%(i)s, %(a)s::timestamptz AT TIME ZONE %(z)s),
                           %(b)s::timestamptz AT TIME ZONE %(z)s - interval '1 microsecond',
                           ('1 ' || %(i)s)::interval) AT TIME ZONE %(z)s
    WHERE %(i)s <> 'hour'
) AS begins
"""
COUNTS = """
SELECT
    (SELECT count(*) FROM live WHERE created_at >= p.a AND created_at < p.b),
    (SELECT count(*) FROM moves m WHERE m.event = 'ticket.resolved' AND m.at >= p.a AND m.at < p.b),
    (SELECT count(*) FROM moves m WHERE m.event = 'ticket.closed' AND m.at >= p.a AND m.at < p.b),
    (SELECT count(*) FROM moves m WHERE m.event = 'ticket.reopened' AND m.at >= p.a AND m.at < p.b),
    (SELECT count(*) FROM moves m WHERE m.event = 'ticket.merged' AND m.from_status IN ('open', 'pending')
        AND m.at >= p.a AND m.at < p.b),
    (SELECT count(*) FROM moves m WHERE m.event = 'ticket.unmerged' AND m.to_status IN ('open', 'pending')
        AND m.at >= p.a AND m.at < p.b)
"""
# The backlog told forwards: of each ticket that was there, the last status that the log knows before the moment.
BACKLOG = """
    (SELECT count(*) FROM live WHERE created_at < {moment} AND coalesce(
        (SELECT m.to_status FROM moves m WHERE m.ticket_id = live.id AND m.at < {moment}
         ORDER BY m.at DESC, m.id DESC LIMIT 1), 'open') IN ('open', 'pending'))
"""
WITH = f"""
WITH live AS (SELECT * FROM tickets WHERE workspace_id = %(w)s AND trashed_at IS NULL),
moves AS (
    SELECT a.id, a.ticket_id, a.event, a.occurred_at AS at, c ->> 'from' AS from_status, c ->> 'to' AS to_status
    FROM ticket_activities a JOIN live ON live.id = a.ticket_id, jsonb_array_elements(a.changes) AS c
    WHERE c ->> 'field' = 'status'
),
p AS ({PARTS})
"""
BY_PERIOD = f"{WITH} {COUNTS}, {BACKLOG.format(moment='p.b')}, p.a, p.b FROM p ORDER BY p.a"
WHOLE = f"""
{WITH} {COUNTS}, {BACKLOG.format(moment="p.b")}, {BACKLOG.format(moment="p.a")}
FROM (SELECT %(a)s::timestamptz AS a, %(b)s::timestamptz AS b) AS p
"""


def sql(query: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def row(of: dict[str, Any], *also: str) -> tuple[Any, ...]:
    return tuple(of[name] for name in (*KINDS, "backlog", *also))


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


SPANS = [
    ("2026-03-01T00:00:00+01:00", "2026-04-05T00:00:00+02:00"),  # clocks are put forward in it
    ("2026-03-07T10:20:00Z", "2026-03-30T17:45:00Z"),
]


class TestFigures:
    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
    @pytest.mark.parametrize("interval", ["day", "week", "month"])
    @pytest.mark.parametrize(("start", "end"), SPANS)
    def test_equal_sql_over_the_rows(self, history: Workspace, zone: str, interval: str, start: str, end: str) -> None:
        self.compare(history, zone, interval, start, end)

    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
    def test_equal_sql_by_hour(self, history: Workspace, zone: str) -> None:
        self.compare(history, zone, "hour", "2026-03-07T10:20:00Z", "2026-03-30T17:45:00Z")

    def compare(self, history: Workspace, zone: str, interval: str, start: str, end: str) -> None:
        given = {"from": start, "to": end, "timezone": zone, "interval": interval, "compare": "previous"}
        found = ask(history, **given)
        before = found["previous"]
        assert before["period"]["to"] == found["period"]["from"]
        for figures in (found, before):
            a, b = (moment(figures["period"][side]) for side in ("from", "to"))
            values = {"w": history.pk, "a": a, "b": b, "z": zone, "i": interval}
            parts = [(*row(one), moment(one["from"]), moment(one["to"])) for one in figures["by_period"]]
            assert parts == sql(BY_PERIOD, **values)
            assert [row(figures, "backlog_before")] == sql(WHOLE, **values)
            assert all(
                one["start"] == str(moment(one["from"]).astimezone(ZoneInfo(zone)).date())
                for one in figures["by_period"]
            )

    def test_the_history_has_some_of_everything(self, history: Workspace) -> None:
        found = ask(history, **{"from": "2026-02-20", "to": "2026-05-01"})
        assert all(found[name] >= 3 for name in KINDS), found
        assert Ticket.unscoped.filter(workspace=history, trashed_at__isnull=False).count() >= 3

    def test_the_books_balance(self, history: Workspace) -> None:
        found = ask(history, **{"from": "2026-03-01", "to": "2026-03-31", "interval": "hour"})
        backlog = found["backlog_before"]
        for one in found["by_period"]:
            backlog += one["created"] + one["reopened"] + one["unmerged"] - one["resolved"] - one["merged"]
            assert one["backlog"] == backlog
        assert found["backlog"] == backlog
        for name in KINDS:
            assert found[name] == sum(one[name] for one in found["by_period"])

    def test_the_backlog_of_today_is_the_queue(self, history: Workspace) -> None:
        queue = sql(
            "SELECT count(*) FROM tickets WHERE workspace_id = %(w)s AND trashed_at IS NULL "
            "AND status IN ('open', 'pending')",
            w=history.pk,
        )[0][0]
        assert queue > 5
        assert ask(history)["backlog"] == queue

    def test_nothing_comes_of_nothing(self) -> None:
        found = ask(WorkspaceFactory(), **{"from": "2026-03-01", "to": "2026-03-03", "compare": "previous"})
        zeros = (0,) * 7
        assert row(found, "backlog_before") == (*zeros, 0)
        assert [row(one) for one in found["by_period"]] == [zeros] * 3
        assert row(found["previous"]) == zeros


class TestBacklog:
    """What a ticket was at a moment, whatever became of it later. Days of March 2026, in UTC."""

    @pytest.fixture
    def workspace(self) -> Workspace:
        made: Any = WorkspaceFactory(timezone="UTC")
        return made

    def days(self, workspace: Workspace, name: str = "backlog", **given: Any) -> list[int]:
        found = ask(workspace, **{"from": "2026-03-01", "to": "2026-03-06", **given})
        return [one[name] for one in found["by_period"]]

    def at(self, day: int, hour: int = 12) -> dt.datetime:
        return dt.datetime(2026, 3, day, hour, tzinfo=dt.UTC)

    def test_a_reopened_ticket_was_away_in_between(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, self.at(1))
        move(ticket, "pending", self.at(1, 14))
        move(ticket, "resolved", self.at(2))
        move(ticket, "closed", self.at(3))
        move(ticket, "open", self.at(4))
        move(ticket, "resolved", self.at(6))
        assert self.days(workspace) == [1, 0, 0, 1, 1, 0]
        assert self.days(workspace, "resolved") == [0, 1, 0, 0, 0, 1]
        assert self.days(workspace, "closed") == [0, 0, 1, 0, 0, 0]
        assert self.days(workspace, "reopened") == [0, 0, 0, 1, 0, 0]

    def test_a_merged_ticket_was_in_work_until_then(self, workspace: Workspace) -> None:
        target = make_ticket(workspace, self.at(1))
        source = make_ticket(workspace, self.at(1))
        merge(source, target, self.at(3))
        merging.unmerge(source=source, actor=SYSTEM, now=self.at(5))
        assert self.days(workspace) == [2, 2, 1, 1, 2, 2]
        assert self.days(workspace, "created") == [2, 0, 0, 0, 0, 0]
        assert self.days(workspace, "merged") == [0, 0, 1, 0, 0, 0]
        assert self.days(workspace, "unmerged") == [0, 0, 0, 0, 1, 0]
        assert self.days(workspace, "closed") == [0] * 6

    def test_a_finished_ticket_that_is_merged_leaves_no_second_time(self, workspace: Workspace) -> None:
        target = make_ticket(workspace, self.at(1))
        source = make_ticket(workspace, self.at(1))
        move(source, "resolved", self.at(2))
        merge(source, target, self.at(3))
        merging.unmerge(source=source, actor=SYSTEM, now=self.at(4))
        assert self.days(workspace) == [2, 1, 1, 1, 1, 1]
        assert self.days(workspace, "merged") == self.days(workspace, "unmerged") == [0] * 6

    def test_what_was_merged_into_a_ticket_that_is_purged_keeps_its_past(self, workspace: Workspace) -> None:
        target = make_ticket(workspace, self.at(1))
        source = make_ticket(workspace, self.at(1))
        merge(source, target, self.at(3))
        trash(target, self.at(4))
        assert self.days(workspace) == [1, 1, 0, 0, 0, 0]
        editing.purge_trash(now=self.at(4) + 31 * DAY)
        assert not Ticket.unscoped.filter(pk=target.pk).exists()
        assert self.days(workspace) == [1, 1, 0, 0, 0, 0]

    def test_trash_never_counted_and_what_came_back_was_never_away(self, workspace: Workspace) -> None:
        gone, back = make_ticket(workspace, self.at(1)), make_ticket(workspace, self.at(2))
        move(gone, "resolved", self.at(2))
        trash(gone, self.at(3))
        trash(back, self.at(3))
        assert self.days(workspace) == self.days(workspace, "created") == self.days(workspace, "resolved") == [0] * 6
        editing.restore(workspace_id=workspace.pk, ticket_id=back.pk, actor=SYSTEM, now=self.at(5))
        assert self.days(workspace) == [0, 1, 1, 1, 1, 1]

    def test_the_last_moment_of_a_day_is_the_next_days(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, self.at(1))
        move(ticket, "resolved", self.at(3, 0))
        assert self.days(workspace) == [1, 1, 0, 0, 0, 0]
        assert self.days(workspace, "resolved") == [0, 0, 1, 0, 0, 0]

    def test_what_comes_after_the_period_is_taken_back(self, workspace: Workspace) -> None:
        make_ticket(workspace, self.at(1) - 300 * DAY)
        ticket = make_ticket(workspace, self.at(2))
        move(ticket, "resolved", self.at(20))
        make_ticket(workspace, self.at(10))
        assert self.days(workspace) == [1, 2, 2, 2, 2, 2]

    def test_filters_look_at_tickets_as_they_are_now(self, workspace: Workspace) -> None:
        agent = make_agent(workspace)
        make_ticket(workspace, self.at(1))
        theirs = make_ticket(workspace, self.at(1), priority="urgent")
        assignment.assign(ticket=theirs, assignee_id=agent.user_id, actor=SYSTEM, now=self.at(5))
        move(theirs, "resolved", self.at(4))
        assert self.days(workspace, assignee=str(agent.user_id)) == [1, 1, 1, 0, 0, 0]
        assert self.days(workspace, priority="urgent,high") == [1, 1, 1, 0, 0, 0]
        assert self.days(workspace, status="resolved") == [1, 1, 1, 0, 0, 0]
        assert self.days(workspace, status="open") == [1, 1, 1, 1, 1, 1]

    def test_another_workspace_is_not_looked_into(self, workspace: Workspace) -> None:
        move(make_ticket(WorkspaceFactory(), self.at(1)), "resolved", self.at(3))
        assert self.days(workspace) == [0] * 6


class TestHours:
    def test_days_of_23_and_25_hours(self) -> None:
        workspace = WorkspaceFactory(timezone="Europe/Berlin")
        first = make_ticket(workspace, dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC))  # 2:30, summer time
        make_ticket(workspace, dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.UTC))  # 2:30 once more
        move(first, "resolved", dt.datetime(2026, 10, 25, 1, 0, tzinfo=dt.UTC))
        found = ask(workspace, **{"from": "2026-10-25", "to": "2026-10-25", "interval": "hour"})
        assert len(found["by_period"]) == 25
        assert [
            (one["from"], one["to"], one["created"], one["resolved"], one["backlog"]) for one in found["by_period"][2:4]
        ] == [
            ("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", 1, 0, 1),
            ("2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", 1, 1, 1),
        ]
        assert {one["start"] for one in found["by_period"]} == {"2026-10-25"}
        assert len(ask(workspace, **{"from": "2026-03-29", "to": "2026-03-29", "interval": "hour"})["by_period"]) == 23

    def test_a_month_is_the_most(self) -> None:
        workspace = WorkspaceFactory()
        assert ask(workspace, **{"from": "2026-03-01", "to": "2026-03-31", "interval": "hour"})["interval"] == "hour"
        with nothing_written():
            refused(get(workspace, **{"from": "2026-03-01", "to": "2026-04-01", "interval": "hour"}), 400, "interval")

    def test_hours_begin_where_the_clock_shows_them(self) -> None:
        found = ask(
            WorkspaceFactory(timezone="Asia/Kolkata"),
            **{"from": "2026-03-02T10:10:00", "to": "2026-03-02T12:00:00", "interval": "hour"},
        )
        assert [one["from"] for one in found["by_period"]] == ["2026-03-02T04:40:00Z", "2026-03-02T05:30:00Z"]


class TestDoors:
    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"interval": "year"}, "interval"),
            ({"timezone": "Mars/Olympus"}, "timezone"),
            ({"from": "soon"}, "from"),
            ({"compare": "next"}, "compare"),
            ({"asignee": "me"}, "asignee"),
            ({"assignee": "somebody"}, "assignee"),
        ],
    )
    def test_refusals_name_the_parameter(self, given: dict[str, str], field: str) -> None:
        workspace = WorkspaceFactory()
        make_agent(workspace, role="light")
        with nothing_written():
            refused(get(workspace, **given), 400, field)

    def test_other_reports_are_not_cut_into_hours(self) -> None:
        workspace = WorkspaceFactory()
        member = make_agent(workspace)
        access = tokens.issue(membership=member, now=timezone.now()).access
        answer = Client().get(
            "/api/tickets/analytics/csat", {"interval": "hour"}, headers={"Authorization": f"Bearer {access}"}
        )
        refused(answer, 400, "interval")

    def test_one_query_whatever_is_asked(self, history: Workspace) -> None:
        def queries(**given: Any) -> list[str]:
            access = tokens.issue(membership=make_agent(history), now=timezone.now()).access
            with CaptureQueriesContext(connection) as captured:
                answer = Client().get(URL, given, headers={"Authorization": f"Bearer {access}"})
            assert answer.status_code == 200
            return [query["sql"] for query in captured]

        small = queries(**{"from": "2026-03-01", "to": "2026-03-01"})
        big = queries(**{"from": "2026-03-01", "to": "2026-03-31", "interval": "hour", "compare": "previous"})
        assert len(small) == len(big) == 2  # who asks, and the figures
        assert "width_bucket" in big[-1]
