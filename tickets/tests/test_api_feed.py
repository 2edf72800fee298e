"""GET /api/tickets/events: the live feed, through the door."""

import datetime as dt
from typing import Any

import pytest
from django.urls import resolve

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets import feed
from tickets.events import SYSTEM, Actor
from tickets.models import FeedEntry, Ticket
from tickets.services import base, editing, opening, status
from tickets.tests.api import ROLES, Api, refused, unchanged
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def maria() -> Membership:
    return make_agent(WorkspaceFactory())


@pytest.fixture
def api(maria: Membership) -> Api:
    return Api(maria)


@pytest.fixture
def ticket(maria: Membership) -> Ticket:
    return make_ticket(maria.workspace)


def events(api: Api, query: str = "") -> Any:
    answer = api.get(f"/tickets/events{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def names(answer: Any) -> list[str]:
    return [event["event"] for event in answer["events"]]


class TestAnEvent:
    def test_says_what_its_webhook_says_and_what_the_log_says(self, api: Api, maria: Membership, ticket: Ticket):
        editing.update_ticket(ticket=ticket, changes={"priority": "high"}, actor=base.agent(maria), now=NOW)
        activity = ticket.activities.get(event="ticket.updated")
        told = events(api)["events"][-1]
        assert told == {
            "cursor": feed.cursor_of(feed.end()),
            "id": str(activity.pk),
            "event": "ticket.updated",
            "timestamp": "2026-03-02T09:00:00Z",
            "recorded_at": activity.recorded_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ticket_id": str(ticket.pk),
            "ticket_number": ticket.ticket_number,
            "actor_type": "agent",
            "actor_id": str(maria.user_id),
            "actor_name": maria.user.name,
            "changes": [{"field": "priority", "from": "medium", "to": "high"}],
            "data": activity.payload["data"],
            "is_replay": False,
        }
        assert {name: told[name] for name in ("event", "timestamp", "data")} == activity.payload
        (line,) = (
            line
            for line in api.get(f"/tickets/{ticket.pk}/activities").json()["activities"]
            if line["id"] == told["id"]
        )
        same = ("id", "event", "actor_type", "actor_id", "actor_name", "changes")
        assert {name: told[name] for name in same} == {name: line[name] for name in same}

    def test_of_the_past_that_an_import_tells_is_marked(self, api: Api, maria: Membership):
        past = Actor(SYSTEM.kind, "Import", is_replay=True)
        opening.open_ticket(
            workspace=maria.workspace,
            subject="s",
            description="d",
            requester_email="a@customers.example",
            requester_name="A",
            channel="web",
            actor=past,
            now=NOW - dt.timedelta(days=900),
        )
        (told,) = events(api)["events"]
        assert (told["is_replay"], told["timestamp"]) == (True, "2023-09-14T09:00:00Z")

    def test_of_a_note_has_no_word_of_it(self, api: Api, maria: Membership, ticket: Ticket):
        make_reply(ticket, maria, body="Secret plan", internal=True)
        answer = api.get("/tickets/events")
        assert "ticket.comment.added" in names(answer.json())
        assert b"Secret plan" not in answer.content


class TestFollowing:
    def test_from_the_beginning_page_by_page_gives_every_event_once_and_then_waits(
        self, api: Api, maria: Membership, ticket: Ticket
    ):
        for n in range(4):
            editing.update_ticket(ticket=ticket, changes={"subject": f"s{n}"}, actor=SYSTEM, now=NOW)
        seen, query = [], "?limit=2"
        while True:
            answer = events(api, query)
            seen += answer["events"]
            query = f"?limit=2&after={answer['next']}"
            if not answer["has_more"]:
                break
        ids = [str(pk) for pk in FeedEntry.unscoped.order_by("arrival").values_list("pk", flat=True)]
        assert [event["id"] for event in seen] == ids
        assert events(api, query) == {"events": [], "next": answer["next"], "has_more": False}
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(maria), now=NOW)
        assert "ticket.resolved" in names(events(api, query))

    def test_the_cursor_of_any_event_is_a_place_to_go_on_from(self, api: Api, ticket: Ticket):
        make_ticket(ticket.workspace)
        first, *rest = events(api)["events"]
        assert events(api, f"?after={first['cursor']}")["events"] == rest

    def test_latest_gives_only_what_happens_from_now_on(self, api: Api, ticket: Ticket):
        answer = events(api, "?after=latest")
        assert (answer["events"], answer["has_more"]) == ([], False)
        other = make_ticket(ticket.workspace)
        (told,) = events(api, f"?after={answer['next']}")["events"]
        assert told["ticket_id"] == str(other.pk)

    def test_an_empty_workspace_has_a_cursor_too(self, api: Api):
        make_ticket(WorkspaceFactory())
        for query in ("", "?after=latest"):
            cursor = events(api, query)["next"]
            assert events(api, f"?after={cursor}") == {"events": [], "next": cursor, "has_more": False}

    def test_only_what_is_asked_for_while_the_cursor_goes_past_the_rest(self, api: Api, ticket: Ticket):
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)
        last = make_ticket(ticket.workspace)
        answer = events(api, "?events=ticket.resolved,ticket.closed")
        assert names(answer) == ["ticket.resolved"]
        end = FeedEntry.unscoped.get(activity__ticket=last, activity__event="ticket.created").position
        assert answer["next"] == feed.cursor_of(end)

    def test_a_ticket_in_the_trash_stays_in_the_feed_until_it_is_deleted_for_good(self, api: Api, ticket: Ticket):
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        answer = events(api)
        assert names(answer) == ["ticket.created", "ticket.trashed"]
        editing.purge_trash(now=NOW + dt.timedelta(days=31))
        assert names(events(api)) == []
        assert events(api, f"?after={answer['next']}")["events"] == []

    def test_another_workspace_is_not_seen_whatever_the_cursor(self, api: Api, ticket: Ticket):
        other = make_ticket(WorkspaceFactory())
        feed.number()
        theirs = FeedEntry.unscoped.values_list("position", flat=True).get(activity__ticket=other)
        assert {event["ticket_id"] for event in events(api)["events"]} == {str(ticket.pk)}
        assert events(api, f"?after={feed.cursor_of((theirs or 0) - 1)}")["events"] == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("after=", "after"),
            ("after=LATEST", "after"),
            ("after=2-a", "after"),
            ("after=1-01", "after"),
            ("after=1-A", "after"),
            ("after=1-zzzzzzzzzzzzz", "after"),
            ("after=1-%D9%A1", "after"),
            ("after=1-2s%0A", "after"),
            ("after=1-1y2p0ij32e8e7", "after"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=1.5", "limit"),
            ("limit=", "limit"),
            ("events=", "events"),
            ("events=ticket.opened", "events"),
            ("events=ticket.created,", "events"),
            ("event=ticket.created", "event"),
            ("page=2", "page"),
        ],
    )
    def test_name_what_is_wrong(self, api: Api, ticket: Ticket, query: str, field: str):
        with unchanged(FeedEntry):
            refused(api.get(f"/tickets/events?{query}"), 400, field)

    def test_nobody_is_told_without_a_token(self, ticket: Ticket):
        refused(Api().get("/tickets/events"), 401)

    @pytest.mark.parametrize("role", ROLES)
    def test_every_member_may_follow_as_they_may_read_the_log_of_a_ticket(self, ticket: Ticket, role: str):
        api = Api(make_agent(ticket.workspace, role=role))
        assert api.get(f"/tickets/{ticket.pk}/activities").status_code == 200
        assert names(events(api)) == ["ticket.created"]

    def test_the_word_is_no_id_of_a_ticket(self):
        assert resolve("/api/tickets/events").url_name == "feed"


class TestCost:
    def test_an_empty_poll_and_a_page_are_three_queries_however_much_there_is(
        self, api: Api, ticket: Ticket, django_assert_num_queries: Any
    ):
        cursor = events(api)["next"]
        with django_assert_num_queries(3):  # who asks, whether something waits, the page
            events(api, f"?after={cursor}")
        for _ in range(5):
            make_ticket(ticket.workspace)
        events(api)
        with django_assert_num_queries(3):
            assert len(events(api)["events"]) > 5

    def test_a_filter_is_one_more(self, api: Api, ticket: Ticket, django_assert_num_queries: Any):
        events(api)
        with django_assert_num_queries(4):  # how far it looks
            events(api, "?events=ticket.created")

    def test_too_many_requests_are_told_when_to_come_again(self, api: Api, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda _scope: (1, 60))
        events(api)
        answer = api.get("/tickets/events")
        refused(answer, 429)
        assert 1 <= int(answer["Retry-After"]) <= 60
