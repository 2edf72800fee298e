"""The report on agents: its figures against SQL over the raw rows, and whose a piece of work is."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from analytics.metrics import agents
from analytics.periods import Period
from analytics.tests.weeks import NOW, Past, make_past
from helpdesk.accounts.models import User
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.services import requests
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import assignment, base, conversation, editing, merging, status
from tickets.tests.api import Api, refused
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

PATH = "/tickets/analytics/agents"
AT = dt.datetime(2024, 3, 4, 9, tzinfo=dt.UTC)
MARCH = f"{PATH}?from=2024-03-01&to=2024-03-31&timezone=UTC"


def after(**span: float) -> dt.datetime:
    """A moment after the beginning of the small stories."""
    return AT + dt.timedelta(**span)


def row(answer: dict[str, Any], user: User | None) -> dict[str, Any]:
    """What the answer says of somebody."""
    [found] = [one for one in answer["agents"] if (one["agent"] or {}).get("id") == (str(user.pk) if user else None)]
    return found


@pytest.fixture
def desk():
    workspace = WorkspaceFactory(timezone="UTC")
    return workspace, make_agent(workspace), make_agent(workspace)


# Written for the test, from the definitions; the bounds are those of the database's own timezones.
TRUTH = """
WITH bounds AS (
    SELECT %(first)s::date::timestamp AT TIME ZONE %(zone)s AS a,
           (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s AS b
), live AS (
    SELECT * FROM tickets WHERE workspace_id = %(workspace)s AND trashed_at IS NULL
), solved AS (
    SELECT a.ticket_id, a.occurred_at AS at, t.created_at,
           CASE a.actor_kind WHEN 'agent' THEN a.actor_user_id ELSE (
               SELECT max(s.assignee_id::text)::uuid FROM ticket_assignments s WHERE s.ticket_id = t.id
               AND tstzrange(s.assigned_at, s.ended_at) @> a.occurred_at) END AS who,
           (SELECT min(r.occurred_at) FROM ticket_activities r WHERE r.ticket_id = t.id
            AND r.event = 'ticket.reopened' AND r.occurred_at > a.occurred_at) IS NOT NULL AS again
    FROM ticket_activities a, live t, bounds
    WHERE a.event = 'ticket.resolved' AND a.ticket_id = t.id AND a.occurred_at >= a AND a.occurred_at < b
          AND t.merged_into_id IS NULL
), first AS (
    SELECT DISTINCT ON (t.id) t.created_at, t.first_response_at AS at, c.author_user_id AS who
    FROM live t JOIN ticket_comments c ON c.ticket_id = t.id, bounds
    WHERE c.author_type = 'agent' AND NOT c.is_internal AND t.merged_into_id IS NULL
          AND c.created_at >= t.first_response_at AND t.first_response_at >= a AND t.first_response_at < b
    ORDER BY t.id, c.created_at
)
SELECT
    (SELECT count(*) FROM ticket_assignments s, bounds WHERE s.assignee_id = %(user)s AND assigned_at >= a
     AND assigned_at < b AND ticket_id IN (SELECT id FROM live WHERE merged_into_id IS NULL)),
    (SELECT count(*) FROM ticket_comments c, bounds WHERE author_user_id = %(user)s AND NOT is_internal
     AND created_at >= a AND created_at < b AND ticket_id IN (SELECT id FROM live)),
    (SELECT count(*) FROM solved WHERE who = %(user)s),
    (SELECT count(*) FROM solved WHERE who = %(user)s AND again),
    (SELECT array_agg(extract(epoch FROM at - created_at) ORDER BY at - created_at) FROM first WHERE who = %(user)s),
    (SELECT array_agg(extract(epoch FROM at - created_at) ORDER BY at - created_at) FROM solved
     WHERE who = %(user)s AND NOT again),
    (SELECT array_agg(r.rating ORDER BY r.rating) FROM ticket_satisfaction r, bounds WHERE r.created_at >= a
     AND r.created_at < b AND r.ticket_id IN (SELECT id FROM live) AND %(user)s = (
         SELECT s.assignee_id FROM ticket_assignments s WHERE s.ticket_id = r.ticket_id
         AND tstzrange(s.assigned_at, s.ended_at) @> r.resolved_at)),
    (SELECT count(*) FROM live WHERE assignee_id = %(user)s AND status = 'open'),
    (SELECT count(*) FROM live WHERE assignee_id = %(user)s AND status = 'pending')
"""


def times(seconds: list[Any] | None) -> dict[str, Any]:
    """Count, average, median and 90th percentile of seconds in order, by hand."""
    if not seconds:
        return {"count": 0, "average": None, "median": None, "p90": None}
    values = [float(one) for one in seconds]

    def percentile(share: float) -> int:
        place = share * (len(values) - 1)
        low = int(place)
        high = min(low + 1, len(values) - 1)
        return int(values[low] + (place - low) * (values[high] - values[low]) + 0.5)

    return {
        "count": len(values),
        "average": int(sum(values) / len(values) + 0.5),
        "median": percentile(0.5),
        "p90": percentile(0.9),
    }


class TestTheFigures:
    @pytest.fixture(scope="class")
    def past(self, class_transaction: Any) -> Past:
        with class_transaction():
            make_past(9, seed=3)  # of another workspace
            return make_past()

    @pytest.mark.parametrize(
        ("first", "last", "zone"),
        [
            ("2024-10-22", "2024-11-12", "Europe/Berlin"),
            ("2024-10-27", "2024-10-27", "Europe/Berlin"),  # a day of 25 hours
            ("2024-10-24", "2024-11-03", "America/New_York"),
        ],
    )
    def test_equal_sql_over_the_raw_rows(self, past: Past, first: str, last: str, zone: str) -> None:
        answer = Api(past.agents[0]).get(f"{PATH}?from={first}&to={last}&timezone={zone}").json()
        seen = 0
        for member in past.agents:
            with connection.cursor() as cursor:
                cursor.execute(
                    TRUTH,
                    {
                        "first": first,
                        "last": last,
                        "zone": zone,
                        "workspace": past.workspace.pk,
                        "user": member.user_id,
                    },
                )
                [(assigned, replies, solved, again, responses, resolutions, ratings, is_open, pending)] = (
                    cursor.fetchall()
                )
            found = row(answer, member.user)
            assert found["agent"]["is_active"] is (member != past.agents[-1])
            assert (found["assigned"], found["replies"]) == (assigned, replies)
            assert (found["solved"], found["reopened"]) == (solved, again)
            assert found["reopen_rate"] == (round(100 * again / solved + 1e-9, 1) if solved else None)
            assert found["first_response"] == times(responses)
            assert found["resolution"] == times(resolutions)
            assert found["satisfaction"]["ratings"] == len(ratings or [])
            if ratings:
                assert found["satisfaction"]["average"] == pytest.approx(sum(ratings) / len(ratings), abs=0.005)
            assert found["load"] == {"open": is_open, "pending": pending, "total": is_open + pending}
            seen += assigned + replies + solved
        assert seen, "the history says nothing about these days"

    def test_of_all_agents_add_up_to_the_team(self, past: Past) -> None:
        answer = Api(past.agents[0]).get(f"{PATH}?from=2024-10-22&to=2024-11-12").json()
        everybody, together = answer["agents"], answer["team"]
        for name in ("assigned", "replies", "solved", "reopened"):
            assert sum(one[name] for one in everybody) == together[name] > 0
        for name in ("first_response", "resolution"):
            assert sum(one[name]["count"] for one in everybody) == together[name]["count"] > 0
        assert sum(one["satisfaction"]["ratings"] for one in everybody) == together["satisfaction"]["ratings"] > 0
        assert sum(one["load"]["total"] for one in everybody) == together["load"]["total"] > 0

    def test_of_the_period_before_are_those_of_asking_for_it(self, past: Past) -> None:
        ask = Api(past.agents[0]).get
        before = ask(f"{PATH}?from=2024-10-25&to=2024-10-31&timezone=Europe/Berlin").json()
        both = ask(f"{PATH}?from=2024-11-01&to=2024-11-07&timezone=Europe/Berlin&compare=previous").json()["previous"]
        for one in [before["team"], *before["agents"]]:
            del one["load"]
        del before["previous"]
        did = [one for one in before["agents"] if one["solved"] or one["assigned"] or one["replies"]]
        assert did
        assert before.pop("agents") == both.pop("agents")
        assert before == both

    def test_are_of_the_tickets_that_were_asked_for(self, past: Past) -> None:
        ask = Api(past.agents[0]).get
        answers = [
            ask(f"{PATH}?from=2024-10-22&to=2024-11-12&priority={word}").json()["team"]
            for word in ("low", "medium", "high", "urgent")
        ]
        together = ask(f"{PATH}?from=2024-10-22&to=2024-11-12").json()["team"]
        assert sum(one["solved"] for one in answers) == together["solved"]
        assert sum(one["replies"] for one in answers) == together["replies"]

    def test_take_the_same_queries_however_many_tickets_there_are(
        self, past: Past, django_assert_num_queries: Any, django_assert_max_num_queries: Any
    ) -> None:
        small = make_past(3)
        berlin = ZoneInfo("Europe/Berlin")
        period = Period(NOW - dt.timedelta(days=21), NOW, berlin)
        for of, counted in ((small, django_assert_max_num_queries), (past, django_assert_num_queries)):
            tickets = Ticket.objects.for_workspace(of.workspace).live()
            with counted(11):
                agents.report(workspace=of.workspace, tickets=tickets, period=period)
            with django_assert_max_num_queries(19):
                agents.report(workspace=of.workspace, tickets=tickets, period=period, previous=period.before())


class TestWhose:
    def test_a_resolution_is_of_who_resolved_it_and_not_of_who_had_it(self, desk: Any) -> None:
        workspace, one, other = desk
        ticket = make_ticket(workspace, now=AT)
        assignment.assign(ticket=ticket, assignee_id=one.user_id, actor=SYSTEM, now=after(minutes=1))
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(other), now=after(hours=1))
        answer = Api(one).get(MARCH).json()
        assert row(answer, other.user)["solved"] == 1
        assert row(answer, other.user)["resolution"] == {"count": 1, "average": 3600, "median": 3600, "p90": 3600}
        assert row(answer, one.user)["solved"] == 0
        assert row(answer, one.user)["assigned"] == 1

    def test_a_resolution_by_nobody_is_of_who_had_the_ticket_then(self, desk: Any) -> None:
        workspace, one, other = desk
        ticket = make_ticket(workspace, now=AT)
        assignment.assign(ticket=ticket, assignee_id=one.user_id, actor=SYSTEM, now=after(minutes=1))
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=after(hours=1))
        assignment.assign(ticket=ticket, assignee_id=other.user_id, actor=SYSTEM, now=after(hours=1))
        answer = Api(one).get(MARCH).json()
        # Given on at that very moment: it was the next one's already.
        assert [row(answer, who.user)["solved"] for who in (one, other)] == [0, 1]

    def test_what_nobody_had_stands_under_nobody_at_the_end(self, desk: Any) -> None:
        workspace, one, _ = desk
        status.change_status(ticket=make_ticket(workspace, now=AT), to="resolved", actor=SYSTEM, now=after(hours=1))
        answer = Api(one).get(MARCH).json()
        assert answer["agents"][-1]["agent"] is None
        assert answer["agents"][-1]["solved"] == answer["team"]["solved"] == 1

    def test_a_first_response_is_of_its_author_and_a_reopening_changes_nothing_about_it(self, desk: Any) -> None:
        workspace, one, other = desk
        ticket = make_ticket(workspace, now=AT)
        assignment.assign(ticket=ticket, assignee_id=one.user_id, actor=SYSTEM, now=after(minutes=1))
        make_reply(ticket, one, now=after(minutes=5), internal=True)
        make_reply(ticket, other, now=after(minutes=10))
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(other), now=after(hours=1))
        status.reopen(ticket=ticket, actor=base.agent(one), now=after(days=3))
        make_reply(ticket, one, now=after(days=4))
        answer = Api(one).get(MARCH).json()
        assert row(answer, other.user)["first_response"]["average"] == 600
        assert row(answer, one.user)["first_response"]["count"] == 0
        assert [row(answer, who.user)["replies"] for who in (one, other)] == [1, 1]

    def test_a_resolution_that_was_reopened_counts_for_its_agent_and_has_no_time(self, desk: Any) -> None:
        workspace, one, other = desk
        ticket = make_ticket(workspace, now=AT)
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(one), now=after(hours=1))
        status.reopen(ticket=ticket, actor=SYSTEM, now=after(days=40))  # after the period
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(other), now=after(days=41))
        answer = Api(one).get(f"{PATH}?from=2024-03-01&to=2024-04-30&timezone=UTC").json()
        assert [row(answer, one.user)[name] for name in ("solved", "reopened", "reopen_rate")] == [1, 1, 100.0]
        assert row(answer, one.user)["resolution"]["count"] == 0
        assert row(answer, other.user)["resolution"]["average"] == 41 * 24 * 3600
        assert Api(one).get(MARCH).json()["team"]["reopened"] == 1

    def test_ratings_are_of_who_had_the_ticket_when_it_was_resolved(self, desk: Any) -> None:
        workspace, one, other = desk
        ticket = make_ticket(workspace, now=AT)
        assignment.assign(ticket=ticket, assignee_id=one.user_id, actor=SYSTEM, now=after(minutes=1))
        ticket = status.change_status(ticket=ticket, to="resolved", actor=base.agent(other), now=after(hours=1))
        requests.rate_request(ticket=ticket, contact=ticket.requester, rating=4, now=after(hours=2))
        answer = Api(one).get(MARCH).json()
        assert row(answer, one.user)["satisfaction"] == {"ratings": 1, "average": 4.0, "csat": 100.0}
        assert row(answer, other.user)["satisfaction"] == {"ratings": 0, "average": None, "csat": None}


class TestWhoIsThere:
    def test_all_who_can_be_given_tickets_also_with_nothing_and_no_light_agents(self, desk: Any) -> None:
        workspace, one, other = desk
        make_agent(workspace, role="light")
        make_agent(workspace, is_active=False)
        make_agent(WorkspaceFactory())
        answer = Api(one).get(MARCH).json()
        assert {line["agent"]["id"] for line in answer["agents"]} == {str(one.user_id), str(other.user_id)}
        assert answer["team"]["solved"] == answer["team"]["load"]["total"] == 0
        assert answer["team"]["first_response"] == {"count": 0, "average": None, "median": None, "p90": None}
        assert answer["team"]["reopen_rate"] is None
        assert answer["previous"] is None

    def test_somebody_who_left_as_long_as_there_is_something_of_theirs(self, desk: Any) -> None:
        workspace, one, other = desk
        make_reply(make_ticket(workspace, now=AT), other, now=after(minutes=1))
        other.is_active = False
        other.save()
        answer = Api(one).get(MARCH).json()
        assert row(answer, other.user)["agent"]["is_active"] is False
        later = Api(one).get(f"{PATH}?from=2024-05-01&to=2024-05-31").json()
        assert [line["agent"] and line["agent"]["id"] for line in later["agents"]] == [str(one.user_id), None]

    def test_who_resolved_most_stands_first(self, desk: Any) -> None:
        workspace, one, other = desk
        for member, count in ((one, 1), (other, 2)):
            for _ in range(count):
                ticket = make_ticket(workspace, now=AT)
                status.change_status(ticket=ticket, to="resolved", actor=base.agent(member), now=after(hours=1))
        answer = Api(one).get(MARCH).json()
        assert [line["solved"] for line in answer["agents"]] == [2, 1]


class TestWhatCounts:
    def test_nothing_of_a_ticket_in_the_trash(self, desk: Any) -> None:
        workspace, one, _ = desk
        ticket = make_ticket(workspace, now=AT)
        assignment.assign(ticket=ticket, assignee_id=one.user_id, actor=SYSTEM, now=after(minutes=1))
        make_reply(ticket, one, now=after(minutes=2))
        editing.trash(ticket=ticket, actor=base.agent(one), now=after(minutes=3))
        found = row(Api(one).get(MARCH).json(), one.user)
        assert [found[name] for name in ("assigned", "replies", "solved")] == [0, 0, 0]
        assert found["load"]["total"] == found["first_response"]["count"] == 0

    def test_of_a_merged_ticket_only_the_replies_that_moved(self, desk: Any) -> None:
        workspace, one, _ = desk
        ticket, target = make_ticket(workspace, now=AT), make_ticket(workspace, now=AT)
        assignment.assign(ticket=ticket, assignee_id=one.user_id, actor=SYSTEM, now=after(minutes=1))
        make_reply(ticket, one, now=after(minutes=2))
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(one), now=after(hours=1))
        merging.merge(source=ticket, target_id=target.pk, actor=base.agent(one), now=after(hours=2))
        found = row(Api(one).get(MARCH).json(), one.user)
        assert [found[name] for name in ("assigned", "replies", "solved")] == [0, 1, 0]
        assert found["first_response"]["count"] == 0

    def test_no_answer_that_was_taken_back_before_it_was_sent(self, desk: Any) -> None:
        workspace, one, _ = desk
        ticket = make_ticket(workspace, now=AT)
        comments = [make_reply(ticket, one, now=after(minutes=minute)) for minute in (1, 2)]
        for comment, state in zip(comments, ("cancelled", "sent"), strict=True):
            conversation.delete_comment(comment=comment, editor=one, now=after(minutes=3))
            comment.refresh_from_db()
            comment.delivery = {"state": state, "at": "", "to": [], "reason": ""}
            comment.save()
        assert row(Api(one).get(MARCH).json(), one.user)["replies"] == 1

    def test_the_period_begins_with_its_first_moment_and_ends_before_its_last(self, desk: Any) -> None:
        workspace, one, _ = desk
        make_reply(make_ticket(workspace, now=AT), one, now=after(hours=1))
        make_reply(make_ticket(workspace, now=AT), one, now=after(hours=2))
        found = Api(one).get(f"{PATH}?from=2024-03-04T10:00:00Z&to=2024-03-04T11:00:00Z").json()
        assert found["team"]["replies"] == 1


def test_a_parameter_that_is_wrong_or_unknown_is_refused_by_name(desk: Any) -> None:
    refused(Api(desk[1]).get(f"{PATH}?timezone=Mars&page=2&compare=x"), 400, "timezone", "page", "compare")
