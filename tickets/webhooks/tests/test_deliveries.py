"""The log of webhooks: read, tests, and replays of one message and of a span of time."""

import datetime as dt
import json
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.accounts.models import Workspace, new_id
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets import feed
from tickets.events import SYSTEM
from tickets.models import Activity, Ticket
from tickets.services import editing
from tickets.tests.api import unchanged
from tickets.tests.factories import make_ticket
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import deliveries, endpoints, fanout
from tickets.webhooks.services.deliveries import Replayed
from tickets.webhooks.tests.rows import NOW, make_attempt, make_delivery, make_endpoint, messages_for

SECOND, HOUR, DAY = dt.timedelta(seconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)
LATER = NOW + DAY
nothing_written = partial(unchanged, Endpoint, Delivery, Attempt)


@pytest.fixture
def workspace(db: None) -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def endpoint(workspace: Workspace) -> Endpoint:
    return make_endpoint(workspace)


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_ticket(workspace)


def recorded(ticket: Ticket, at: dt.datetime, *, id_at: dt.datetime | None = None, **fields: Any) -> Activity:
    """An activity that was recorded at a time, with an id of that time unless another is given."""
    milliseconds = int((id_at or at).timestamp() * 1000)
    made: Activity = Activity.unscoped.create(
        pk=UUID(int=milliseconds << 80 | new_id().int % (1 << 80)),
        workspace_id=ticket.workspace_id,
        ticket=ticket,
        occurred_at=at,
        recorded_at=at,
        actor_kind="system",
        actor_name="Helpdesk",
        **{"event": "ticket.updated", "payload": payloads.CATALOGUE["ticket.updated"].payload(at)} | fields,
    )
    return made


def logged(endpoint: Endpoint, activity: Activity, status: str = "failed", **fields: Any) -> Delivery:
    """The message of an activity."""
    return make_delivery(
        endpoint, activity=activity, message_id=activity.pk, event=activity.event, status=status, **fields
    )


class TestLog:
    def test_is_newest_first_and_of_this_endpoint_only(self, workspace: Workspace, endpoint: Endpoint) -> None:
        rows = [make_delivery(endpoint, NOW + n * SECOND) for n in range(3)]
        make_delivery(make_endpoint(workspace))
        assert list(deliveries.log(endpoint)) == rows[::-1]

    def test_is_of_one_status_of_one_event_and_of_a_span_of_time(self, endpoint: Endpoint) -> None:
        first = make_delivery(endpoint, NOW, status="failed", event="ticket.closed")
        second = make_delivery(endpoint, NOW + HOUR, status="failed")
        third = make_delivery(endpoint, NOW + 2 * HOUR, status="delivered", event="ticket.closed")
        assert list(deliveries.log(endpoint, status="failed")) == [second, first]
        assert list(deliveries.log(endpoint, event="ticket.closed")) == [third, first]
        assert list(deliveries.log(endpoint, since=NOW + HOUR)) == [third, second]
        assert list(deliveries.log(endpoint, until=NOW + HOUR)) == [first]
        assert list(deliveries.log(endpoint, status="failed", event="ticket.closed", since=NOW + SECOND)) == []

    def test_is_counted_in_an_index_alone(self, endpoint: Endpoint) -> None:
        """No index has the workspace, so a count that asked for it would read every message."""
        with CaptureQueriesContext(connection) as seen:
            filters: dict[str, Any]
            for filters in ({}, {"status": "failed"}, {"since": NOW, "until": LATER}):
                deliveries.log(endpoint, **filters).count()
        assert len(seen) == 3
        assert not [query["sql"] for query in seen.captured_queries if "workspace_id" in query["sql"]]

    def test_shows_the_last_attempts_of_a_message_oldest_first(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deliveries, "MOST_ATTEMPTS", 2)
        row = make_delivery(endpoint)
        tries = [make_attempt(row, NOW + n * SECOND) for n in range(3)]
        assert deliveries.attempts(row) == tries[1:]

    def test_finds_no_message_of_another_endpoint(self, workspace: Workspace, endpoint: Endpoint) -> None:
        row = make_delivery(make_endpoint(workspace))
        with pytest.raises(NotFound):
            deliveries.find(endpoint, row.pk)


class TestATest:
    def test_is_the_catalogues_example_of_this_moment(self, endpoint: Endpoint) -> None:
        """Behaviours, webhooks: "a test button"."""
        row = deliveries.send_test(endpoint=endpoint, event="ticket.sla.breached", now=NOW)
        row.refresh_from_db()
        assert (row.is_test, row.status, row.next_at, row.activity_id) == (True, "waiting", NOW, None)
        assert json.loads(row.body) == payloads.CATALOGUE["ticket.sla.breached"].payload(NOW)

    def test_goes_to_an_endpoint_that_is_off_too(self, endpoint: Endpoint) -> None:
        off = endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW)
        assert deliveries.send_test(endpoint=off, event="ticket.created", now=NOW).status == "waiting"

    def test_of_an_unknown_event_is_refused(self, endpoint: Endpoint) -> None:
        with nothing_written(), pytest.raises(InvalidInput) as caught:
            deliveries.send_test(endpoint=endpoint, event="ticket.trashed", now=NOW)
        assert set(caught.value.errors) == {"event"}

    def test_waits_for_ten_others_to_arrive(self, endpoint: Endpoint) -> None:
        for _ in range(10):
            deliveries.send_test(endpoint=endpoint, event="ticket.created", now=NOW)
        with nothing_written(), pytest.raises(Conflict) as caught:
            deliveries.send_test(endpoint=endpoint, event="ticket.created", now=NOW)
        assert caught.value.code == "busy"
        Delivery.unscoped.update(status="delivered", next_at=None, ended_at=NOW)
        assert deliveries.send_test(endpoint=endpoint, event="ticket.created", now=NOW)


class TestReplayOfOne:
    @pytest.mark.parametrize("status", ["failed", "delivered", "cancelled", "waiting"])
    def test_sends_the_snapshot_under_its_id_with_fresh_attempts(self, endpoint: Endpoint, status: str) -> None:
        """Behaviours, webhooks: "replay of the original snapshot"."""
        row = make_delivery(endpoint, status=status, attempts=10, last_error="Oh no")
        body, message_id = row.body, row.message_id
        make_attempt(row)
        again = deliveries.replay(delivery=row, now=LATER)
        again.refresh_from_db()
        assert (again.body, again.message_id, again.pk) == (body, message_id, row.pk)
        assert (again.status, again.attempts, again.next_at, again.ended_at) == ("waiting", 0, LATER, None)
        assert len(deliveries.attempts(again)) == 1  # what was tried stays in the log

    def test_for_an_endpoint_that_is_off_is_refused_unless_it_is_a_test(self, endpoint: Endpoint) -> None:
        row, test = make_delivery(endpoint, status="failed"), make_delivery(endpoint, status="failed", is_test=True)
        endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW)
        with nothing_written(), pytest.raises(Conflict) as caught:
            deliveries.replay(delivery=row, now=LATER)
        assert caught.value.code == "inactive"
        assert deliveries.replay(delivery=test, now=LATER).status == "waiting"

    def test_of_one_that_is_gone_is_refused(self, endpoint: Endpoint) -> None:
        row = make_delivery(endpoint)
        Delivery.unscoped.all().delete()
        with pytest.raises(NotFound):
            deliveries.replay(delivery=row, now=LATER)


class TestReplayOfASpan:
    def replay(self, endpoint: Endpoint, since: dt.datetime = NOW, until: dt.datetime = LATER, **more: Any) -> Replayed:
        return deliveries.replay_range(endpoint=endpoint, since=since, until=until, now=LATER + DAY, **more)

    def test_sends_what_has_not_arrived_and_leaves_what_has(self, endpoint: Endpoint, ticket: Ticket) -> None:
        rows = {
            status: logged(endpoint, recorded(ticket, NOW + HOUR), status, attempts=3)
            for status in ("failed", "cancelled", "delivered", "waiting")
        }
        assert self.replay(endpoint) == Replayed(again=2, missed=0)
        after = {row.pk: row for row in Delivery.unscoped.all()}
        assert {status: after[row.pk].status for status, row in rows.items()} == {
            "failed": "waiting",
            "cancelled": "waiting",
            "delivered": "delivered",
            "waiting": "waiting",
        }
        assert {status: after[row.pk].attempts for status, row in rows.items()} == {
            "failed": 0,
            "cancelled": 0,
            "delivered": 3,
            "waiting": 3,
        }

    def test_with_everything_sends_also_what_has_arrived(self, endpoint: Endpoint, ticket: Ticket) -> None:
        row = logged(endpoint, recorded(ticket, NOW), "delivered")
        assert self.replay(endpoint, everything=True) == Replayed(again=1, missed=0)
        row.refresh_from_db()
        assert (row.status, row.next_at, row.ended_at) == ("waiting", LATER + DAY, None)

    def test_writes_what_was_missed_with_the_payload_of_the_moment(self, endpoint: Endpoint, ticket: Ticket) -> None:
        activity = recorded(ticket, NOW + HOUR)
        editing.update_ticket(ticket=ticket, changes={"subject": "Later words"}, actor=SYSTEM, now=LATER)
        assert self.replay(endpoint) == Replayed(again=0, missed=1)
        row = Delivery.unscoped.get()
        assert (row.message_id, row.activity_id, row.status) == (activity.pk, activity.pk, "waiting")
        assert row.body == payloads.body_of(activity.payload)
        assert self.replay(endpoint) == Replayed(again=0, missed=0)  # it is in the log now

    def test_leaves_out_what_the_endpoint_does_not_want_and_imports(self, workspace: Workspace, ticket: Ticket) -> None:
        endpoint = make_endpoint(workspace, events=["ticket.closed"])
        wanted = recorded(ticket, NOW + HOUR, event="ticket.closed")
        recorded(ticket, NOW + HOUR)
        recorded(ticket, NOW + HOUR, event="ticket.closed", dispatched_at=NOW)  # an import
        assert self.replay(endpoint) == Replayed(again=0, missed=1)
        assert messages_for(endpoint) == {wanted.pk}

    def test_knows_no_other_workspace_and_no_other_endpoint(
        self, workspace: Workspace, endpoint: Endpoint, ticket: Ticket
    ) -> None:
        recorded(make_ticket(WorkspaceFactory()), NOW + HOUR)
        other = make_endpoint(workspace)
        activity = recorded(ticket, NOW + HOUR)
        theirs = logged(other, activity, "failed")
        assert self.replay(endpoint) == Replayed(again=0, missed=1)
        theirs.refresh_from_db()
        assert theirs.status == "failed"
        assert messages_for(endpoint) == {activity.pk}

    def test_begins_with_its_beginning_and_ends_before_its_end(self, endpoint: Endpoint, ticket: Ticket) -> None:
        tick = dt.timedelta(microseconds=1)
        inside = {recorded(ticket, at).pk for at in (NOW, LATER - tick)}
        for at in (NOW - tick, LATER):
            recorded(ticket, at)
        assert self.replay(endpoint) == Replayed(again=0, missed=2)
        assert messages_for(endpoint) == inside

    @pytest.mark.parametrize("apart", [-900, -5, -1, 1, 5, 900])
    def test_loses_nothing_when_the_time_in_an_id_is_another_one(
        self, endpoint: Endpoint, ticket: Ticket, apart: int
    ) -> None:
        """Activities are found by their ids; when they were recorded decides."""
        last = LATER - dt.timedelta(milliseconds=1)
        inside = {recorded(ticket, at, id_at=at + apart * SECOND) for at in (NOW, NOW + HOUR, last)}
        for at in (NOW - SECOND, LATER + SECOND):
            recorded(ticket, at, id_at=at + apart * SECOND)
        known = inside.pop()
        logged(endpoint, known, "failed")
        assert self.replay(endpoint) == Replayed(again=1, missed=2)
        assert messages_for(endpoint) == {known.pk, *(activity.pk for activity in inside)}

    def test_does_not_send_tests_again(self, endpoint: Endpoint) -> None:
        make_delivery(endpoint, NOW + HOUR, status="failed", is_test=True)
        assert self.replay(endpoint) == Replayed(again=0, missed=0)

    def test_is_no_trouble_to_the_reader_of_the_feed(self, workspace: Workspace, ticket: Ticket) -> None:
        endpoint = make_endpoint(workspace, now=NOW - 365 * DAY)
        activity = recorded(ticket, NOW + HOUR)
        assert self.replay(endpoint) == Replayed(again=0, missed=1)
        while fanout.follow(now=LATER):
            pass
        assert activity.pk in messages_for(endpoint)
        assert Delivery.unscoped.filter(message_id=activity.pk).count() == 1
        assert feed.end() > 0

    @pytest.mark.parametrize(
        ("since", "until", "field"),
        [
            (LATER, NOW, "to"),
            (NOW, NOW, "to"),
            (LATER + 2 * DAY, LATER + 3 * DAY, "from"),
        ],
    )
    def test_of_no_time_or_of_the_future_is_refused(
        self, endpoint: Endpoint, ticket: Ticket, since: dt.datetime, until: dt.datetime, field: str
    ) -> None:
        recorded(ticket, NOW)
        with nothing_written(), pytest.raises(InvalidInput) as caught:
            self.replay(endpoint, since, until)
        assert set(caught.value.errors) == {field}

    def test_of_all_time_is_possible(self, endpoint: Endpoint, ticket: Ticket) -> None:
        activity = recorded(ticket, NOW)
        ends = dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
        assert self.replay(endpoint, *ends).missed == 1
        assert activity.pk in messages_for(endpoint)

    def test_of_too_much_at_once_is_refused(
        self, endpoint: Endpoint, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deliveries, "MOST_REPLAYED", 3)
        for _ in range(2):
            recorded(ticket, NOW)
            logged(endpoint, recorded(ticket, NOW), "failed")
        with nothing_written(), pytest.raises(Conflict) as caught:
            self.replay(endpoint)
        assert (caught.value.code, set(caught.value.errors)) == ("too_many", {"from"})
        monkeypatch.setattr(deliveries, "MOST_REPLAYED", 4)
        assert self.replay(endpoint) == Replayed(again=2, missed=2)

    def test_for_an_endpoint_that_is_off_is_refused(self, endpoint: Endpoint, ticket: Ticket) -> None:
        recorded(ticket, NOW)
        off = endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW)
        with nothing_written(), pytest.raises(Conflict) as caught:
            self.replay(off)
        assert caught.value.code == "inactive"

    def test_what_happened_while_it_was_off_can_be_had_afterwards(self, workspace: Workspace) -> None:
        endpoint = make_endpoint(workspace, now=NOW)
        endpoint = endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW)
        make_ticket(workspace)
        make_ticket(workspace, actor=replace(SYSTEM, is_replay=True))
        activity = Activity.unscoped.get(dispatched_at=None)
        on_at = activity.recorded_at + HOUR
        endpoint = endpoints.change(endpoint=endpoint, changes={"is_active": True}, now=on_at)
        while fanout.follow(now=on_at):
            pass
        assert not messages_for(endpoint)
        found = deliveries.replay_range(endpoint=endpoint, since=NOW, until=on_at, now=on_at)
        assert found == Replayed(again=0, missed=1)
        assert messages_for(endpoint) == {activity.pk}

    @given(
        since=st.datetimes(timezones=st.just(dt.UTC)),
        length=st.timedeltas(min_value=dt.timedelta(0), max_value=40 * DAY),
        apart=st.timedeltas(-dt.timedelta(minutes=15), dt.timedelta(minutes=15)),
    )
    def test_the_ids_of_a_span_hold_those_of_every_moment_in_it(
        self, since: dt.datetime, length: dt.timedelta, apart: dt.timedelta
    ) -> None:
        until = since + min(length, dt.datetime.max.replace(tzinfo=dt.UTC) - since)
        first, last = deliveries._ids_between(since, until)
        for at in (since, until):
            milliseconds = (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + apart) // dt.timedelta(milliseconds=1)
            if 0 <= milliseconds < 2**48:
                assert first.int <= milliseconds << 80 <= last.int
                assert (milliseconds << 80 | (1 << 80) - 1) >= first.int
