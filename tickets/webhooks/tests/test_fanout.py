"""The feed becomes messages: for whom, of what, and what they say."""

import datetime as dt
import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from tickets import access, feed
from tickets.events import SYSTEM, Event
from tickets.lifecycle import Priority
from tickets.models import Activity, CustomerToken, Ticket
from tickets.services import assignment, base, conversation, editing, merging, status
from tickets.tests.factories import make_agent, make_reply, make_ticket
from tickets.webhooks import payloads
from tickets.webhooks.models import Cursor, Delivery, Endpoint
from tickets.webhooks.services import endpoints, fanout
from tickets.webhooks.tests.rows import NOW, make_endpoint, messages_for, sent_to

SECOND = dt.timedelta(seconds=1)
# Activities are recorded at the time of the clock, which no test sets; endpoints here are older.
AGES_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def workspace(db: None) -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def endpoint(workspace: Workspace) -> Endpoint:
    return make_endpoint(workspace, now=AGES_AGO)


def follow_all() -> int:
    """Read the feed to its end."""
    read = 0
    while found := fanout.follow(now=NOW):
        read += found
    return read


def data_of(ticket: Ticket, **more: Any) -> dict[str, Any]:
    return {
        "ticket_id": str(ticket.pk),
        "ticket_number": f"#{ticket.number}",
        "subject": ticket.subject,
        "priority": ticket.priority,
        **more,
    }


class TestForWhom:
    def test_an_endpoint_gets_the_events_that_it_wants_and_no_others(self, workspace: Workspace) -> None:
        created = make_endpoint(workspace, now=AGES_AGO, events=["ticket.created"])
        closed = make_endpoint(workspace, now=AGES_AGO, events=["ticket.resolved", "ticket.closed"])
        ticket = make_ticket(workspace)
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)
        follow_all()
        assert [said["event"] for said in sent_to(created)] == ["ticket.created"]
        assert [said["event"] for said in sent_to(closed)] == ["ticket.resolved"]

    def test_a_message_is_written_once_waiting_and_named_by_the_activity(self, endpoint: Endpoint) -> None:
        """Behaviours, webhooks: "The id is the same in every retry": the activity's."""
        ticket = make_ticket(endpoint.workspace)
        follow_all()
        row, activity = Delivery.unscoped.get(), Activity.unscoped.get()
        assert (row.message_id, row.activity_id, row.endpoint_id) == (activity.pk, activity.pk, endpoint.pk)
        assert (row.status, row.attempts, row.next_at, row.created_at) == ("waiting", 0, NOW, NOW)
        assert (row.workspace_id, row.event, row.is_test) == (ticket.workspace_id, "ticket.created", False)
        assert follow_all() == 0
        Cursor.objects.update(position=0)  # as if the cursor had been lost
        follow_all()
        assert Delivery.unscoped.count() == 1

    def test_another_workspace_hears_nothing(self, endpoint: Endpoint) -> None:
        make_ticket(WorkspaceFactory())
        follow_all()
        assert not Delivery.unscoped.exists()

    def test_one_that_is_off_hears_nothing_and_its_past_is_not_sent_when_it_is_on_again(
        self, workspace: Workspace
    ) -> None:
        other = make_endpoint(workspace, now=AGES_AGO)  # somebody listens, so the feed is read
        row = make_endpoint(workspace, now=AGES_AGO, is_active=False)
        make_ticket(workspace)
        follow_all()
        assert not messages_for(row)
        activity = Activity.unscoped.get()
        endpoints.change(endpoint=row, changes={"is_active": True}, now=activity.recorded_at + SECOND)
        Cursor.objects.update(position=0)
        follow_all()
        assert not messages_for(row)
        assert messages_for(other) == {activity.pk}

    def test_what_was_recorded_before_one_was_made_is_not_sent_and_what_was_recorded_then_is(
        self, workspace: Workspace
    ) -> None:
        make_ticket(workspace)
        recorded = Activity.unscoped.get().recorded_at
        late = make_endpoint(workspace, now=recorded + dt.timedelta(microseconds=1))
        just = make_endpoint(workspace, now=recorded)
        follow_all()
        assert (len(messages_for(late)), len(messages_for(just))) == (0, 1)

    def test_where_nobody_listens_the_feed_is_passed_over(self, workspace: Workspace) -> None:
        make_ticket(workspace)
        assert fanout.follow(now=NOW) == 0
        assert Cursor.objects.get().position == feed.end() > 0
        row = make_endpoint(workspace, now=AGES_AGO)
        assert follow_all() == 0
        ticket = make_ticket(workspace)
        assert follow_all() == 1
        assert [said["data"]["ticket_id"] for said in sent_to(row)] == [str(ticket.pk)]

    def test_imports_of_the_past_are_never_sent(self, endpoint: Endpoint) -> None:
        ticket = make_ticket(endpoint.workspace, actor=replace(SYSTEM, is_replay=True))
        follow_all()
        assert not Delivery.unscoped.exists()
        editing.update_ticket(ticket=ticket, changes={"priority": "high"}, actor=SYSTEM, now=NOW)
        follow_all()
        assert [said["event"] for said in sent_to(endpoint)] == ["ticket.updated"]

    def test_what_is_in_the_log_only_is_not_sent(self, endpoint: Endpoint) -> None:
        agent = make_agent(endpoint.workspace)
        ticket = make_ticket(endpoint.workspace)
        comment = make_reply(ticket, agent)
        conversation.edit_comment(comment=comment, editor=agent, body="Other words", now=NOW)
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        follow_all()
        logged = set(Activity.unscoped.values_list("event", flat=True))
        assert {"ticket.comment.edited", "ticket.trashed"} < logged
        assert {said["event"] for said in sent_to(endpoint)} == logged & set(payloads.CATALOGUE)

    def test_a_long_feed_is_read_in_parts(self, endpoint: Endpoint) -> None:
        for _ in range(5):
            make_ticket(endpoint.workspace)
        assert [fanout.follow(now=NOW, limit=2) for _ in range(4)] == [2, 2, 1, 0]
        assert len(sent_to(endpoint)) == 5

    def test_the_queries_are_as_many_for_ten_endpoints_as_for_one(
        self, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        def queries() -> int:
            make_ticket(workspace)
            feed.number()
            with django_assert_num_queries(11, exact=False) as seen:
                fanout.follow(now=NOW)
            return len(seen)

        make_endpoint(workspace, now=AGES_AGO)
        fanout.follow(now=NOW)
        few = queries()
        for _ in range(9):
            make_endpoint(workspace, now=AGES_AGO)
        assert queries() == few

    @pytest.mark.django_db(transaction=True)
    def test_while_another_process_reads_nothing_is_read(self, endpoint: Endpoint) -> None:
        make_ticket(endpoint.workspace)
        Cursor.objects.get_or_create(pk=1)
        with transaction.atomic():
            Cursor.objects.select_for_update().get()
            assert _elsewhere(lambda: fanout.follow(now=NOW)) == 0
            assert not Delivery.unscoped.exists()
        assert fanout.follow(now=NOW) == 1


def _elsewhere(call: Any) -> Any:
    """What a call gives on another connection."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return found[0]


class TestWhatIsSaid:
    """Behaviours, webhooks: "The spec's payload is unchanged."."""

    def last(self, endpoint: Endpoint, event: str) -> dict[str, Any]:
        """The newest message of this event, which must be the text that is sent, names in their order."""
        follow_all()
        row = Delivery.unscoped.filter(endpoint=endpoint, event=event).order_by("message_id").last()
        assert row is not None, event
        said: dict[str, Any] = json.loads(row.body)
        assert list(said) == ["event", "timestamp", "data"]
        assert said["event"] == event
        return said

    def test_created_is_the_specifications_example_character_by_character(self, endpoint: Endpoint) -> None:
        ticket = make_ticket(
            endpoint.workspace, subject="Need help", now=dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)
        )
        follow_all()
        assert Delivery.unscoped.get().body == (
            '{"event":"ticket.created","timestamp":"2024-01-15T10:30:00Z","data":{'
            f'"ticket_id":"{ticket.pk}","ticket_number":"#{ticket.number}",'
            '"subject":"Need help","priority":"medium"}}'
        )

    @pytest.mark.parametrize("to", ["resolved", "closed", "reopened"])
    def test_a_move_says_which_ticket(self, endpoint: Endpoint, to: str) -> None:
        ticket = make_ticket(endpoint.workspace)
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)
        if to == "closed":
            status.change_status(ticket=ticket, to="closed", actor=SYSTEM, now=NOW + SECOND)
        if to == "reopened":
            status.reopen(ticket=ticket, actor=SYSTEM, now=NOW + SECOND)
        said = self.last(endpoint, f"ticket.{to}")
        assert list(said["data"].items()) == list(data_of(ticket).items())
        assert said["timestamp"] == f"2026-03-02T09:00:0{0 if to == 'resolved' else 1}Z"

    def test_updated_says_what_changed(self, endpoint: Endpoint) -> None:
        ticket = make_ticket(endpoint.workspace)
        ticket = editing.update_ticket(ticket=ticket, changes={"priority": "high"}, actor=SYSTEM, now=NOW)
        change = {"field": "priority", "from": "medium", "to": "high"}
        assert ticket.priority == Priority.HIGH
        said = self.last(endpoint, "ticket.updated")["data"]
        assert list(said.items()) == list(data_of(ticket, changes=[change]).items())
        assert list(said["changes"][0]) == ["field", "from", "to"]

    def test_updated_comes_also_when_the_status_becomes_pending(self, endpoint: Endpoint) -> None:
        ticket = make_ticket(endpoint.workspace)
        status.change_status(ticket=ticket, to="pending", actor=SYSTEM, now=NOW)
        changes = self.last(endpoint, "ticket.updated")["data"]["changes"]
        assert changes == [{"field": "status", "from": "open", "to": "pending"}]

    def test_assigned_and_unassigned_say_to_whom(self, endpoint: Endpoint) -> None:
        ticket, agent = make_ticket(endpoint.workspace), make_agent(endpoint.workspace)
        assignment.assign(ticket=ticket, assignee_id=agent.user_id, actor=SYSTEM, now=NOW)
        said = self.last(endpoint, "ticket.assigned")["data"]
        assert list(said.items()) == list(data_of(ticket, assignee_id=str(agent.user_id)).items())
        assignment.unassign(ticket=ticket, actor=SYSTEM, now=NOW)
        said = self.last(endpoint, "ticket.unassigned")["data"]
        assert list(said.items()) == list(data_of(ticket, assignee_id=None).items())

    def test_a_comment_says_whose_it_is_and_whether_it_is_a_note_and_never_its_words(self, endpoint: Endpoint) -> None:
        ticket, agent = make_ticket(endpoint.workspace), make_agent(endpoint.workspace)
        for internal in (False, True):
            comment = make_reply(ticket, agent, body="Secret words", internal=internal)
            said = self.last(endpoint, "ticket.comment.added")["data"]
            assert said == data_of(
                ticket,
                author_type="agent",
                channel=comment.channel,
                comment_id=str(comment.pk),
                is_automatic=False,
                is_internal=internal,
            )
            assert list(said)[:4] == ["ticket_id", "ticket_number", "subject", "priority"]
        assert "Secret words" not in "".join(Delivery.unscoped.values_list("body", flat=True))

    def test_a_merge_is_told_for_both_tickets(self, endpoint: Endpoint) -> None:
        source, target = make_ticket(endpoint.workspace), make_ticket(endpoint.workspace)
        merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=NOW)
        follow_all()
        pair = {
            "source_id": str(source.pk),
            "source_number": f"#{source.number}",
            "target_id": str(target.pk),
            "target_number": f"#{target.number}",
        }
        said = [one["data"] for one in sent_to(endpoint) if one["event"] == "ticket.merged"]
        assert said == [data_of(source, **pair), data_of(target, **pair)]

    def test_what_is_said_is_of_the_moment_in_which_it_happened(self, endpoint: Endpoint) -> None:
        ticket = make_ticket(endpoint.workspace, subject="Before")
        editing.update_ticket(ticket=ticket, changes={"subject": "After"}, actor=SYSTEM, now=NOW)
        follow_all()
        assert [said["data"]["subject"] for said in sent_to(endpoint)] == ["Before", "After"]

    def test_no_message_has_a_customers_access_token(self, endpoint: Endpoint) -> None:
        workspace, agent = endpoint.workspace, make_agent(endpoint.workspace)
        ticket = make_ticket(workspace, actor=base.customer(ContactFactory(workspace=workspace)))
        token = access.issue(ticket=ticket, contact=ticket.requester, now=NOW)
        make_reply(ticket, agent)
        conversation.customer_reply(ticket=ticket, contact=ticket.requester, body="Thanks", channel="web", now=NOW)
        follow_all()
        bodies = "".join(Delivery.unscoped.values_list("body", flat=True))
        stored = CustomerToken.unscoped.get()
        assert len(token) > 20
        assert token not in bodies
        assert stored.token_hash not in bodies
        assert "token" not in bodies.lower()

    def test_the_catalogues_examples_have_the_names_that_are_really_sent(self, endpoint: Endpoint) -> None:
        """Those of service levels and ratings are compared where they come from, in `slas` and `portal`."""
        workspace, agent = endpoint.workspace, make_agent(endpoint.workspace)
        ticket, other = make_ticket(workspace), make_ticket(workspace)
        assignment.assign(ticket=ticket, assignee_id=agent.user_id, actor=SYSTEM, now=NOW)
        assignment.unassign(ticket=ticket, actor=SYSTEM, now=NOW)
        make_reply(ticket, agent)
        editing.update_ticket(ticket=ticket, changes={"priority": "high"}, actor=SYSTEM, now=NOW)
        status.resolve_and_close(ticket=ticket, actor=SYSTEM, now=NOW)
        status.reopen(ticket=ticket, actor=SYSTEM, now=NOW)
        merging.merge(source=other, target_id=ticket.pk, actor=SYSTEM, now=NOW)
        follow_all()
        really = {said["event"]: set(said["data"]) for said in sent_to(endpoint)}
        elsewhere = {"ticket.sla.at_risk", "ticket.sla.breached", "ticket.satisfaction.submitted"}
        assert really == {name: set(kind.example) for name, kind in payloads.CATALOGUE.items() if name not in elsewhere}


class TestText:
    _NAMES = st.dictionaries(st.text(max_size=10), st.none() | st.booleans() | st.integers() | st.text(max_size=20))

    @given(data=_NAMES)
    def test_keeps_every_value_and_puts_the_names_that_everybody_reads_first(self, data: dict[str, Any]) -> None:
        data = {**data, "priority": "low", "ticket_id": "x"}
        text = payloads.body_of({"data": data, "timestamp": "t", "event": "e"})
        said = json.loads(text)
        assert said == {"event": "e", "timestamp": "t", "data": data}
        assert list(said) == ["event", "timestamp", "data"]
        order = ("ticket_id", "ticket_number", "subject", "priority", "field", "from", "to")
        first = [name for name in order if name in data]
        assert list(said["data"])[: len(first)] == first
        assert list(said["data"])[len(first) :] == sorted(set(data) - set(first))

    def test_every_event_of_the_log_that_is_no_message_is_known_to_be_none(self) -> None:
        assert {event.value for event in Event} - set(payloads.CATALOGUE) == {
            "ticket.comment.edited",
            "ticket.comment.deleted",
            "ticket.attachment.added",
            "ticket.unmerged",
            "ticket.split",
            "ticket.linked",
            "ticket.trashed",
            "ticket.restored",
        }
