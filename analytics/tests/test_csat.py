"""The report on satisfaction: every figure against SQL over the raw rows, written here."""

import datetime as dt
import random
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from analytics.tests.factories import HOUR, give, make_rated, rate, resolve
from helpdesk.accounts import tokens
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.events import SYSTEM
from tickets.services import base, editing, merging, status
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db
URL = "/api/tickets/analytics/csat"
NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(timezone="Europe/Rome")
    return made


def ask(workspace: Workspace, expect: int = 200, role: str = "light", **given: Any) -> Any:
    member = workspace.memberships.filter(role=role).first() or make_agent(workspace, role=role)
    access = tokens.issue(membership=member, now=timezone.now()).access
    answer = Client().get(URL, given, headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code == expect, answer.content
    return answer.json()


def march(**given: Any) -> dict[str, Any]:
    return {"from": "2026-03-01", "to": "2026-03-31", **given}


def sql(query: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [tuple(float(x) if isinstance(x, Decimal) else x for x in row) for row in cursor.fetchall()]


SCORE = """
SELECT count(*), round(avg(s.rating), 2), round(100.0 * count(*) FILTER (WHERE s.rating > 3) / nullif(count(*), 0), 1)
FROM ticket_satisfaction s JOIN tickets t ON t.id = s.ticket_id
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND s.created_at >= %(a)s AND s.created_at < %(b)s
"""
DISTRIBUTION = """
SELECT g, (SELECT count(*) FROM ticket_satisfaction s JOIN tickets t ON t.id = s.ticket_id
           WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND s.rating = g
             AND s.created_at >= %(a)s AND s.created_at < %(b)s)
FROM generate_series(5, 1, -1) g
"""
RESPONSES = """
SELECT count(*), count(s.id) FROM ticket_activities a JOIN tickets t ON t.id = a.ticket_id
LEFT JOIN ticket_satisfaction s ON s.ticket_id = a.ticket_id AND s.resolved_at = a.occurred_at
WHERE a.workspace_id = %(w)s AND a.event = 'ticket.resolved' AND t.trashed_at IS NULL AND t.merged_into_id IS NULL
  AND a.occurred_at >= %(a)s AND a.occurred_at < %(b)s
"""
# Dates by the database's own timezones: the code under test reckons its bounds without them.
BY_PERIOD = """
SELECT greatest(g::date, (%(a)s::timestamptz AT TIME ZONE %(z)s)::date)::text,
       count(s.id), round(avg(s.rating), 2),
       round(100.0 * count(s.id) FILTER (WHERE s.rating > 3) / nullif(count(s.id), 0), 1)
FROM generate_series(date_trunc(%(i)s, %(a)s::timestamptz AT TIME ZONE %(z)s),
                     %(b)s::timestamptz AT TIME ZONE %(z)s - interval '1 microsecond', ('1 ' || %(i)s)::interval) g
LEFT JOIN (ticket_satisfaction s JOIN tickets t ON t.id = s.ticket_id AND t.trashed_at IS NULL)
       ON s.workspace_id = %(w)s AND date_trunc(%(i)s, s.created_at AT TIME ZONE %(z)s) = g
      AND s.created_at >= %(a)s AND s.created_at < %(b)s
GROUP BY g ORDER BY g
"""
BY_ASSIGNEE = """
SELECT h.assignee_id::text, count(*), round(avg(s.rating), 2)
FROM ticket_satisfaction s JOIN tickets t ON t.id = s.ticket_id
LEFT JOIN ticket_assignments h ON h.ticket_id = s.ticket_id AND h.assigned_at <= s.resolved_at
      AND coalesce(h.ended_at, 'infinity') > s.resolved_at
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND s.created_at >= %(a)s AND s.created_at < %(b)s
GROUP BY h.assignee_id
"""


def compare(workspace: Workspace, start: dt.datetime, end: dt.datetime, zone: str, interval: str) -> Any:
    """Ask for the report and hold each of its figures against SQL."""
    asked = {"from": start.isoformat(), "to": end.isoformat(), "timezone": zone, "interval": interval}
    found = ask(workspace, compare="previous", **asked)
    for figures, a, b in ((found, start, end), (found["previous"], start - (end - start), start)):
        values = {"w": workspace.pk, "a": a, "b": b, "z": zone, "i": interval}
        assert [(figures["ratings"], figures["average"], figures["csat"])] == sql(SCORE, **values)
        assert [(one["rating"], one["ratings"]) for one in figures["distribution"]] == sql(DISTRIBUTION, **values)
        responses = figures["responses"]
        assert [(responses["resolutions"], responses["rated"])] == sql(RESPONSES, **values)
        by_period = [(one["start"], one["ratings"], one["average"], one["csat"]) for one in figures["by_period"]]
        assert by_period == sql(BY_PERIOD, **values)
    values = {"w": workspace.pk, "a": start, "b": end}
    by_assignee = [
        (one["assignee"] and one["assignee"]["id"], one["ratings"], one["average"]) for one in found["by_assignee"]
    ]
    assert sorted(by_assignee, key=str) == sorted(sql(BY_ASSIGNEE, **values), key=str)
    return found


class TestFigures:
    def test_equal_sql_over_the_rows(self, workspace: Workspace) -> None:
        """With reopenings, changed ratings, hand-overs, merges and the trash, around two changes of the clocks."""
        draw = random.Random(7)
        agents = [make_agent(workspace) for _ in range(3)]
        begin = dt.datetime(2026, 2, 20, tzinfo=dt.UTC)
        for number in range(60):
            at = begin + dt.timedelta(minutes=draw.randrange(50 * 24 * 60))
            ticket = make_ticket(workspace, at)
            for cycle in range(draw.choice([1, 1, 2, 3])):
                if cycle:
                    ticket = status.reopen(ticket=ticket, actor=SYSTEM, now=at)
                if draw.random() < 0.7:
                    ticket = give(ticket, draw.choice(agents), at)
                at += dt.timedelta(minutes=draw.randrange(1, 3000))
                ticket = resolve(ticket, at)
                if draw.random() < 0.6:
                    at += dt.timedelta(minutes=draw.randrange(600))
                    rate(ticket, draw.randint(1, 5), at, draw.choice(["", "Thanks"]))
                    if draw.random() < 0.3:
                        rate(ticket, draw.randint(1, 5), at + HOUR)
                if draw.random() < 0.3:
                    ticket = give(ticket, draw.choice(agents), at)  # who has it later had no part in it
                at += HOUR
            if number % 10 == 0:
                editing.trash(ticket=ticket, actor=SYSTEM, now=at)
            elif number % 10 == 1:
                merging.merge(source=ticket, target_id=make_ticket(workspace, at).pk, actor=SYSTEM, now=at)
        make_rated(WorkspaceFactory(), 1, NOON)  # somebody else's
        for zone in ("Europe/Rome", "America/New_York", "Pacific/Apia", "UTC"):
            tz = ZoneInfo(zone)
            # By date, or by hours: the middle of a day to the middle of another.
            start, end = (dt.datetime(2026, month, 8, 13, 5, tzinfo=tz).astimezone(dt.UTC) for month in (3, 4))
            for interval in ("day", "week", "month"):
                found = compare(workspace, start, end, zone, interval)
                assert found["ratings"] > 20 and found["previous"]["ratings"] > 5 and len(found["by_assignee"]) == 4

    def test_of_nothing_are_none(self, workspace: Workspace) -> None:
        found = ask(workspace, **march(interval="month"))
        assert (found["ratings"], found["average"], found["csat"], found["previous"]) == (0, None, None, None)
        assert found["responses"] == {"resolutions": 0, "rated": 0, "rate": None}
        assert found["by_period"] == [{"start": "2026-03-01", "ratings": 0, "average": None, "csat": None}]
        assert found["distribution"][0] == {"rating": 5, "ratings": 0, "share": None} and found["comments"] == []

    def test_are_rounded_half_up(self, workspace: Workspace) -> None:
        for rating in (5, 5, 5, 5, 5, 5, 5, 4):  # 4.875 and, of sixteen, 6.25 %
            make_rated(workspace, rating, NOON)
        assert ask(workspace, **march())["average"] == 4.88
        for rating in (4, 4, 4, 4, 4, 4, 4, 1):
            make_rated(workspace, rating, NOON)
        assert [one["share"] for one in ask(workspace, **march())["distribution"]] == [43.8, 50.0, 0.0, 0.0, 6.3]


class TestARating:
    def test_counts_once_for_each_resolution(self, workspace: Workspace) -> None:
        ticket = make_rated(workspace, 2, NOON)
        ticket = resolve(status.reopen(ticket=ticket, actor=SYSTEM, now=NOON + HOUR), NOON + 2 * HOUR)
        assert ask(workspace, **march())["responses"] == {"resolutions": 2, "rated": 1, "rate": 50.0}
        rate(ticket, 5, NOON + 3 * HOUR)
        found = ask(workspace, **march())
        assert (found["ratings"], found["average"], found["csat"]) == (2, 3.5, 50.0)
        assert found["responses"] == {"resolutions": 2, "rated": 2, "rate": 100.0}

    def test_that_is_changed_counts_when_it_was_given_with_its_last_value(self, workspace: Workspace) -> None:
        ticket = make_rated(workspace, 1, dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC))
        rate(ticket, 4, dt.datetime(2026, 4, 2, tzinfo=dt.UTC), "Better now")
        found = ask(workspace, **march())
        assert (found["ratings"], found["average"], found["comments"][0]["feedback"]) == (1, 4.0, "Better now")
        assert ask(workspace, **{"from": "2026-04-01", "to": "2026-04-30"})["ratings"] == 0

    def test_of_a_resolution_before_the_period_is_a_rating_but_no_response(self, workspace: Workspace) -> None:
        ticket = resolve(make_ticket(workspace, NOON), dt.datetime(2026, 2, 27, tzinfo=dt.UTC))
        rate(ticket, 5, NOON)
        found = ask(workspace, **march())
        assert (found["ratings"], found["responses"]["resolutions"]) == (1, 0)

    def test_belongs_to_who_had_the_ticket_when_it_was_resolved(self, workspace: Workspace) -> None:
        first, second = make_agent(workspace, user__name="Aisha"), make_agent(workspace, user__name="Ben")
        ticket = make_rated(workspace, 5, NOON, agent=first)
        give(ticket, second, NOON)
        # Given and resolved by one request, at one moment: whose it is then.
        ticket = give(make_ticket(workspace, NOON), first, NOON)
        ticket = editing.update_ticket(
            ticket=ticket,
            changes={"assignee_id": second.user_id, "status": "resolved"},
            actor=base.agent(second),
            now=NOON + HOUR,
        )
        rate(ticket, 1, NOON + HOUR)
        make_rated(workspace, 3, NOON)
        found = ask(workspace, **march())["by_assignee"]
        assert [(one["assignee"] and one["assignee"]["name"], one["average"]) for one in found] == [
            ("Aisha", 5.0),
            ("Ben", 1.0),
            (None, 3.0),
        ]

    def test_of_a_ticket_in_the_trash_does_not_count(self, workspace: Workspace) -> None:
        ticket = make_rated(workspace, 1, NOON, feedback="Bad")
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOON)
        found = ask(workspace, **march())
        assert (found["ratings"], found["responses"]["resolutions"], found["comments"]) == (0, 0, [])


class TestDays:
    @pytest.mark.parametrize(("zone", "begins"), [("Europe/Rome", "2026-03-28T23:00"), ("UTC", "2026-03-29T00:00")])
    def test_are_those_of_the_timezone(self, workspace: Workspace, zone: str, begins: str) -> None:
        """In Rome 29 March 2026 has 23 hours."""
        start = dt.datetime.fromisoformat(begins).replace(tzinfo=dt.UTC)
        length = dt.timedelta(hours=23 if zone != "UTC" else 24)
        second = dt.timedelta(seconds=1)
        for at in (start - second, start, start + length - second, start + length):
            make_rated(workspace, 4, at)
        asked = {"from": "2026-03-28", "to": "2026-03-30", "timezone": zone}
        found = ask(workspace, **asked)
        assert [(one["start"], one["ratings"]) for one in found["by_period"]] == [
            ("2026-03-28", 1),
            ("2026-03-29", 2),
            ("2026-03-30", 1),
        ]
        one_day = ask(workspace, **{"from": "2026-03-29", "to": "2026-03-29", "timezone": zone, "compare": "previous"})
        assert (one_day["ratings"], one_day["previous"]["ratings"]) == (2, 1)
        assert one_day["period"]["from"] == begins + ":00Z" and one_day["previous"]["period"]["to"] == begins + ":00Z"

    def test_are_the_last_thirty_of_the_workspace_unless_said_otherwise(self, workspace: Workspace) -> None:
        period = ask(workspace)["period"]
        today = timezone.now().astimezone(ZoneInfo("Europe/Rome")).date()
        midnight = dt.datetime.combine(today + dt.timedelta(days=1), dt.time(), ZoneInfo("Europe/Rome"))
        assert period["to"] == midnight.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert period["timezone"] == "Europe/Rome" and len(ask(workspace)["by_period"]) == 30


class TestFilters:
    def test_are_those_of_the_list_of_tickets(self, workspace: Workspace) -> None:
        parent = CategoryFactory(workspace=workspace)
        child = CategoryFactory(workspace=workspace, parent=parent)
        team, agent = TeamFactory(workspace=workspace), make_agent(workspace)
        make_rated(workspace, 5, NOON, category_id=child.pk, tags=["vip"], priority="urgent", team_id=team.pk)
        make_rated(workspace, 1, NOON, agent=agent, requester_email="lou@customers.example")
        for given in (
            {"category": str(parent.pk)},
            {"tag": "vip"},
            {"priority": "urgent,high"},
            {"team": str(team.pk)},
            {"assignee": "none"},
            {"requester": "jane@customers.example"},
        ):
            found = ask(workspace, **march(**given))
            assert (found["ratings"], found["average"], found["responses"]["rate"]) == (1, 5.0, 100.0), given
        assert ask(workspace, **march(assignee=str(agent.user_id), status="resolved"))["average"] == 1.0
        assert ask(workspace, **march(status="open"))["ratings"] == 0

    def test_of_another_workspace_find_nothing(self, workspace: Workspace) -> None:
        theirs: Any = WorkspaceFactory()
        team = TeamFactory(workspace=theirs)
        make_rated(theirs, 1, NOON, team_id=team.pk, feedback="Secret")
        assert ask(workspace, **march(team=str(team.pk)))["ratings"] == 0
        found = ask(workspace, **march())
        assert (found["ratings"], found["responses"]["resolutions"]) == (0, 0) and "Secret" not in str(found)


class TestComments:
    def test_are_the_ratings_with_words_newest_first_by_page(self, workspace: Workspace) -> None:
        rated = [make_rated(workspace, 4, NOON + day * 24 * HOUR, feedback=f"Words {day}") for day in range(3)]
        make_rated(workspace, 1, NOON)
        found = ask(workspace, **march(limit=2))
        assert [one["feedback"] for one in found["comments"]] == ["Words 2", "Words 1"]
        assert found["comments"][0] == {
            "rating": 4,
            "feedback": "Words 2",
            "created_at": "2026-03-12T12:00:00Z",
            "ticket": {"id": str(rated[2].pk), "number": rated[2].number, "subject": "Cannot log in"},
        }
        assert found["pagination"] == {"page": 1, "limit": 2, "total": 3, "totalPages": 2}
        assert [one["feedback"] for one in ask(workspace, **march(limit=2, page=2))["comments"]] == ["Words 0"]
        assert ask(workspace, 404, **march(page=9))["code"] == "no_such_page"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"from": "yesterday"}, ["from"]),
        ({"from": "2026-02-30", "to": "31.12.2026"}, ["from", "to"]),
        ({"to": "0001-01-01"}, ["to"]),
        ({"from": "9999-12-31"}, ["from"]),
        ({"from": "2026-03-02", "to": "2026-03-01"}, ["to"]),
        ({"from": "2099-01-01"}, ["from"]),
        ({"from": "2024-01-01", "to": "2026-01-01"}, ["from"]),
        ({"timezone": "Mars/Base"}, ["timezone"]),
        ({"timezone": "../etc/passwd"}, ["timezone"]),
        ({"compare": "next"}, ["compare"]),
        ({"interval": "hour"}, ["interval"]),
        ({"sort": "number"}, ["sort"]),
        ({"agent": "me", "priority": "huge"}, ["agent", "priority"]),
        ({"team": "1", "from": "x"}, ["team", "from"]),
        ({"limit": "0"}, ["limit"]),
    ],
)
def test_what_is_not_possible_is_refused_by_name(workspace: Workspace, given: dict[str, str], named: list[str]) -> None:
    assert sorted(ask(workspace, 400, **given)["errors"]) == sorted(named)


def test_two_years_are_possible(workspace: Workspace) -> None:
    assert len(ask(workspace, **{"from": "2024-01-01", "to": "2025-12-31", "interval": "day"})["by_period"]) == 731


def test_queries_do_not_grow_with_what_is_counted(workspace: Workspace, django_assert_num_queries: Any) -> None:
    member = make_agent(workspace, role="light")
    headers = {"Authorization": f"Bearer {tokens.issue(membership=member, now=timezone.now()).access}"}
    for day in range(6):
        make_rated(workspace, 1 + day % 5, NOON + day * 24 * HOUR, agent=make_agent(workspace), feedback="Words")
        with django_assert_num_queries(8):  # who asks; 4 figures and names, 2 of the period before; the comments
            Client().get(URL, march(compare="previous"), headers=headers)
