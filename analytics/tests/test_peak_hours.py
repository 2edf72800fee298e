"""The report on the hours of the week: every figure against SQL over the raw rows, written here."""

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.events import SYSTEM
from tickets.models import Comment, Ticket
from tickets.services import conversation, editing, merging
from tickets.tests.api import nothing_written, refused
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
URL = "/api/tickets/analytics/peak-hours"
BEGIN = dt.datetime(2026, 2, 20, tzinfo=dt.UTC)
SUNDAY = 7


def get(workspace: Workspace, role: str = "light", **given: Any) -> Any:
    member = workspace.memberships.filter(role=role).first() or make_agent(workspace, role=role)
    access = tokens.issue(membership=member, now=timezone.now()).access
    return Client().get(URL, given, headers={"Authorization": f"Bearer {access}"})


def ask(workspace: Workspace, **given: Any) -> Any:
    answer = get(workspace, **given)
    assert answer.status_code == 200, answer.content
    return answer.json()


def write(ticket: Ticket, at: dt.datetime, **fields: Any) -> Comment:
    """The requester writes on the ticket."""
    said = conversation.customer_reply(
        ticket=ticket, contact=ticket.requester, body="And now?", channel="email", now=at, **fields
    ).comment
    assert said is not None
    return said


def cell(found: dict[str, Any], weekday: int, hour: int) -> dict[str, Any]:
    (one,) = [one for one in found["cells"] if (one["weekday"], one["hour"]) == (weekday, hour)]
    return one


@pytest.fixture(scope="module")
def history(module_transaction: Any) -> Workspace:
    """Some seven weeks of a workspace, and of another one that nobody asks about."""
    with module_transaction():
        made: Any = WorkspaceFactory(timezone="Europe/Berlin")
        for workspace, draw, number in ((WorkspaceFactory(), random.Random(2), 10), (made, random.Random(1), 80)):
            agent = make_agent(workspace)
            tickets: list[Ticket] = []
            for _ in range(number):
                at = BEGIN + dt.timedelta(seconds=draw.randrange(50 * 24 * 3600))
                ticket = make_ticket(workspace, at)
                for _ in range(draw.randrange(4)):
                    at += dt.timedelta(seconds=draw.randrange(1, 48 * 3600))
                    if draw.random() < 0.6:
                        said = write(ticket, at, automatic=draw.random() < 0.2)
                        if draw.random() < 0.1:
                            Comment.unscoped.filter(pk=said.pk).update(deleted_at=at)
                        if draw.random() < 0.1:
                            Comment.unscoped.filter(pk=said.pk).update(is_transcript=True)
                    else:
                        make_reply(ticket, agent, at, internal=draw.random() < 0.5)
                tickets.append(ticket)
                later = at + dt.timedelta(days=1)
                if draw.random() < 0.15:
                    merging.merge(source=ticket, target_id=tickets[0].pk, actor=SYSTEM, now=later) if tickets[1:] else 0
                elif draw.random() < 0.15 and tickets[1:]:
                    editing.trash(ticket=ticket, actor=SYSTEM, now=later)
    return made


# Weekdays and hours by the database's own timezones; how much time each has, minute by minute.
CELLS = """
WITH live AS (SELECT * FROM tickets WHERE workspace_id = %(w)s AND trashed_at IS NULL),
happened AS (
    SELECT created_at AS at, 1 AS created, 0 AS message FROM live
    UNION ALL
    SELECT m.created_at, 0, 1 FROM ticket_comments m JOIN live ON live.id = m.ticket_id
    WHERE m.author_type = 'customer' AND m.deleted_at IS NULL AND NOT m.is_automatic AND NOT m.is_transcript
),
minutes AS (
    SELECT extract(isodow FROM g AT TIME ZONE %(z)s) AS d, extract(hour FROM g AT TIME ZONE %(z)s) AS h,
           count(*) / 60.0 AS hours
    FROM generate_series(%(a)s::timestamptz, %(b)s::timestamptz - interval '1 minute', interval '1 minute') g
    GROUP BY 1, 2
),
counts AS (
    SELECT extract(isodow FROM at AT TIME ZONE %(z)s) AS d, extract(hour FROM at AT TIME ZONE %(z)s) AS h,
           sum(created) AS created, sum(message) AS messages
    FROM happened WHERE at >= %(a)s AND at < %(b)s GROUP BY 1, 2
)
SELECT d::int, h::int, round(coalesce(hours, 0), 2), coalesce(created, 0)::int, round(coalesce(created, 0) / hours, 2),
       coalesce(messages, 0)::int, round(coalesce(messages, 0) / hours, 2)
FROM generate_series(1, 7) d CROSS JOIN generate_series(0, 23) h
LEFT JOIN minutes USING (d, h) LEFT JOIN counts USING (d, h)
ORDER BY d, h
"""


def sql(**values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(CELLS, values)
        return [tuple(float(x) if isinstance(x, Decimal) else x for x in row) for row in cursor.fetchall()]


def rows(figures: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("weekday", "hour", "hours", "created", "created_per_hour", "messages", "messages_per_hour")
    return [tuple(one[name] for name in names) for one in figures["cells"]]


class TestFigures:
    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("2026-03-01T00:00:00+01:00", "2026-04-08T00:00:00+02:00"),  # clocks are changed in it, in all but one
            ("2026-03-07T10:20:00Z", "2026-03-16T17:45:00Z"),
        ],
    )
    def test_equal_sql_over_the_rows(self, history: Workspace, zone: str, start: str, end: str) -> None:
        found = ask(history, **{"from": start, "to": end, "timezone": zone, "compare": "previous"})
        for figures in (found, found["previous"]):
            a, b = (dt.datetime.fromisoformat(figures["period"][side]) for side in ("from", "to"))
            assert rows(figures) == sql(w=history.pk, a=a, b=b, z=zone)
            assert figures["created"] == sum(one["created"] for one in figures["cells"])
            assert figures["messages"] == sum(one["messages"] for one in figures["cells"])
        assert found["created"] > 10
        assert found["messages"] > 10

    def test_nothing_comes_of_nothing(self) -> None:
        found = ask(WorkspaceFactory(timezone="UTC"), **{"from": "2026-03-02", "to": "2026-03-08"})
        assert rows(found) == [(day, hour, 1.0, 0, 0.0, 0, 0.0) for day in range(1, 8) for hour in range(24)]
        assert found["busiest"] == {"created": [], "messages": []}
        assert found["previous"] is None


class TestClocks:
    def test_an_hour_that_comes_twice_is_two_hours(self) -> None:
        workspace = WorkspaceFactory(timezone="Europe/Berlin")
        for hour in (0, 0, 1):  # 2:30 in summer time, twice, and 2:30 once more
            make_ticket(workspace, dt.datetime(2026, 10, 25, hour, 30, tzinfo=dt.UTC))
        found = cell(ask(workspace, **{"from": "2026-10-25", "to": "2026-10-25"}), SUNDAY, 2)
        assert (found["created"], found["hours"], found["created_per_hour"]) == (3, 2.0, 1.5)

    def test_an_hour_that_is_left_out_has_no_average(self) -> None:
        found = ask(WorkspaceFactory(timezone="Europe/Berlin"), **{"from": "2026-03-29", "to": "2026-03-29"})
        assert [
            (one["hours"], one["created_per_hour"], one["messages_per_hour"])
            for one in (cell(found, SUNDAY, hour) for hour in (1, 2, 3))
        ] == [(1.0, 0.0, 0.0), (0.0, None, None), (1.0, 0.0, 0.0)]

    def test_the_weekday_is_that_of_the_timezone(self) -> None:
        workspace = WorkspaceFactory(timezone="UTC")
        make_ticket(workspace, dt.datetime(2026, 3, 1, 23, 15, tzinfo=dt.UTC))  # a Sunday
        span = {"from": "2026-02-28T00:00Z", "to": "2026-03-04T00:00Z"}
        assert cell(ask(workspace, **span), SUNDAY, 23)["created"] == 1
        assert cell(ask(workspace, **span, timezone="Asia/Kolkata"), 1, 4)["created"] == 1


class TestWhatCounts:
    @pytest.fixture
    def workspace(self) -> Workspace:
        made: Any = WorkspaceFactory(timezone="UTC")
        return made

    def at(self, day: int, hour: int = 9) -> dt.datetime:
        return dt.datetime(2026, 3, day, hour, tzinfo=dt.UTC)  # the 2nd is a Monday

    def march(self, workspace: Workspace, **given: Any) -> Any:
        return ask(workspace, **{"from": "2026-03-02", "to": "2026-03-15", **given})

    def test_only_what_customers_say_in_public_is_a_message(self, workspace: Workspace) -> None:
        agent = make_agent(workspace)
        ticket = make_ticket(workspace, self.at(2))
        make_reply(ticket, agent, self.at(2))
        make_reply(ticket, agent, self.at(2), internal=True)
        conversation.automatic_reply(ticket=ticket, body="We got it.", actor=SYSTEM, now=self.at(2))
        write(ticket, self.at(2), automatic=True)
        assert self.march(workspace)["messages"] == 0
        write(ticket, self.at(2))
        assert self.march(workspace)["messages"] == cell(self.march(workspace), 1, 9)["messages"] == 1

    def test_messages_of_a_merged_ticket_go_with_them(self, workspace: Workspace) -> None:
        target, source = make_ticket(workspace, self.at(2)), make_ticket(workspace, self.at(3))
        write(source, self.at(4))
        merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=self.at(5))
        found = self.march(workspace)
        assert (found["created"], found["messages"]) == (2, 1)
        editing.trash(ticket=target, actor=SYSTEM, now=self.at(6))
        found = self.march(workspace)
        assert (found["created"], found["messages"]) == (1, 0)

    def test_the_busiest_are_those_with_most_in_one_such_hour(self, workspace: Workspace) -> None:
        for day in (2, 9, 16):  # three Mondays, 9 o'clock
            make_ticket(workspace, self.at(day))
        for _ in range(2):  # twice on one of two Tuesdays, 10 o'clock
            make_ticket(workspace, self.at(3, 10))
        make_ticket(workspace, self.at(7, 23))
        found = self.march(workspace, to="2026-03-16")["busiest"]
        assert [(one["weekday_name"], one["hour"], one["created_per_hour"]) for one in found["created"]] == [
            ("Monday", 9, 1.0),
            ("Tuesday", 10, 1.0),
            ("Saturday", 23, 0.5),
        ]
        make_ticket(workspace, self.at(10, 10))
        found = self.march(workspace, to="2026-03-16")["busiest"]
        assert [one["weekday_name"] for one in found["created"]] == ["Tuesday", "Monday", "Saturday"]

    def test_a_few_minutes_of_an_hour_are_no_peak(self, workspace: Workspace) -> None:
        make_ticket(workspace, self.at(2))
        found = ask(workspace, **{"from": "2026-03-02T08:00Z", "to": "2026-03-02T09:01Z"})
        assert cell(found, 1, 9)["created_per_hour"] == 60.0
        assert found["busiest"]["created"] == []

    def test_at_most_five_are_named(self, workspace: Workspace) -> None:
        for hour in range(8):
            make_ticket(workspace, self.at(2, hour))
        assert [one["hour"] for one in self.march(workspace)["busiest"]["created"]] == [0, 1, 2, 3, 4]

    def test_filters_look_at_tickets_as_they_are_now(self, workspace: Workspace) -> None:
        write(make_ticket(workspace, self.at(2), priority="urgent"), self.at(3))
        write(make_ticket(workspace, self.at(2)), self.at(3))
        found = self.march(workspace, priority="urgent")
        assert (found["created"], found["messages"]) == (1, 1)

    def test_another_workspace_is_not_looked_into(self, workspace: Workspace) -> None:
        write(make_ticket(WorkspaceFactory(), self.at(2)), self.at(3))
        found = self.march(workspace)
        assert (found["created"], found["messages"]) == (0, 0)


class TestDoors:
    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"interval": "day"}, "interval"),
            ({"timezone": "Mars/Olympus"}, "timezone"),
            ({"to": "soon"}, "to"),
            ({"compare": "next"}, "compare"),
            ({"status": "lost"}, "status"),
        ],
    )
    def test_refusals_name_the_parameter(self, given: dict[str, str], field: str) -> None:
        workspace = WorkspaceFactory()
        make_agent(workspace, role="light")
        with nothing_written():
            refused(get(workspace, **given), 400, field)

    def test_one_query_for_each_period(self, history: Workspace) -> None:
        def queries(**given: Any) -> int:
            access = tokens.issue(membership=make_agent(history), now=timezone.now()).access
            with CaptureQueriesContext(connection) as captured:
                answer = Client().get(URL, given, headers={"Authorization": f"Bearer {access}"})
            assert answer.status_code == 200
            return len(captured)

        assert queries(**{"from": "2026-03-01", "to": "2026-03-01"}) == 2  # who asks, and the figures
        assert queries(**{"from": "2025-03-01", "to": "2026-05-31", "compare": "previous"}) == 3
