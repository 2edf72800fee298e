"""The log: append-only, the outbox, its relay and its sweep."""

import datetime as dt

import pytest
from django.db import IntegrityError, connection, transaction
from kombu.exceptions import OperationalError

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets import dispatch, timeline
from tickets.events import SYSTEM, Event, Subscriptions, subscriptions
from tickets.models import Activity, Ticket
from tickets.tests.factories import NOW, make_ticket

pytestmark = pytest.mark.django_db
FACTS = sorted(field.attname for field in Activity._meta.concrete_fields if field.name != "dispatched_at")


@pytest.fixture
def ticket():
    return make_ticket(WorkspaceFactory())


@pytest.fixture
def broker(monkeypatch):
    """Stands at the door of the broker: what is sent, and whether it answers."""

    class Broker:
        away = False

        def __init__(self):
            self.sent = []

        def send_task(self, name, args=(), countdown=None):
            if self.away:
                raise OperationalError("away")
            self.sent.append((name, list(args)))

    stand_in = Broker()
    monkeypatch.setattr(dispatch.celery_app, "send_task", stand_in.send_task)
    monkeypatch.setattr(dispatch, "_broker_away_until", 0.0)
    return stand_in


class TestAppendOnly:
    def test_facts_cannot_be_changed(self, ticket):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            ticket.activities.update(actor_name="Somebody else")

    @pytest.mark.parametrize("column", FACTS)
    def test_no_fact_can_be_changed_not_even_beside_what_may(self, ticket, column):
        kind = Activity._meta.get_field(column.removesuffix("_id")).get_internal_type()
        value = {"JSONField": "'{}'", "DateTimeField": "now()", "CharField": "'x'"}.get(kind, "gen_random_uuid()")
        value = "depth + 1" if column == "depth" else value
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE ticket_activities SET {column} = {value}, dispatched_at = now()")

    def test_nothing_can_be_deleted(self, ticket):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            ticket.activities.all().delete()
        assert ticket.activities.count() == 1

    def test_that_it_was_dispatched_may_be_noted(self, ticket):
        assert ticket.activities.update(dispatched_at=NOW) == 1


class TestRelay:
    @pytest.mark.django_db(transaction=True)
    def test_after_commit_a_relay_is_queued(self, broker):
        ticket = make_ticket(WorkspaceFactory())
        assert broker.sent == [(dispatch.RELAY_TASK, [[str(ticket.activities.get().pk)]])]

    @pytest.mark.django_db(transaction=True)
    def test_a_change_that_is_rolled_back_queues_nothing(self, broker):
        workspace = WorkspaceFactory()
        with pytest.raises(RuntimeError), transaction.atomic():
            make_ticket(workspace)
            raise RuntimeError
        assert broker.sent == []

    @pytest.mark.django_db(transaction=True)
    def test_one_relay_tells_of_all_that_a_transaction_recorded(self, broker):
        workspace = WorkspaceFactory()
        with transaction.atomic():
            first = make_ticket(workspace)
            with pytest.raises(RuntimeError), transaction.atomic():
                gone = make_ticket(workspace).pk
                raise RuntimeError
            second = make_ticket(workspace)
        ((task, ((*ids,),)),) = broker.sent
        expected = [str(ticket.activities.get().pk) for ticket in (first, second)]
        assert task == dispatch.RELAY_TASK and [pk for pk in ids if pk in expected] == expected
        assert dispatch.relay(activity_ids=ids, now=NOW) == 2 and not Ticket.unscoped.filter(pk=gone).exists()

    @pytest.mark.django_db(transaction=True)
    def test_a_step_that_was_taken_back_does_not_take_the_relay_with_it(self, broker):
        workspace = WorkspaceFactory()
        with transaction.atomic():
            with pytest.raises(RuntimeError), transaction.atomic():
                make_ticket(workspace)
                raise RuntimeError
            kept = make_ticket(workspace)
        assert broker.sent == [(dispatch.RELAY_TASK, [[str(kept.activities.get().pk)]])]

    @pytest.mark.django_db(transaction=True)
    def test_without_a_broker_the_request_succeeds_and_the_sweep_sends_later(self, broker):
        broker.away = True
        ticket = make_ticket(WorkspaceFactory())
        activity = ticket.activities.get()
        assert activity.dispatched_at is None
        broker.away = False
        later = activity.recorded_at + dt.timedelta(seconds=11)
        assert dispatch.sweep(now=activity.recorded_at + dt.timedelta(seconds=9)) == 0
        assert dispatch.sweep(now=later) == 1
        assert dispatch.sweep(now=later) == 0

    @pytest.mark.django_db(transaction=True)
    def test_after_a_failure_the_broker_is_left_alone_for_a_while(self, broker, monkeypatch):
        broker.away = True
        workspace = WorkspaceFactory()
        make_ticket(workspace)
        broker.away = False
        make_ticket(workspace)
        assert broker.sent == []

    def test_each_after_subscriber_gets_one_task_and_the_activity_is_marked(self, ticket, broker):
        registry = Subscriptions()
        registry.listen_after([Event.CREATED], "mail.send")
        registry.listen_after([Event.CREATED], "webhooks.send")
        registry.listen_after([Event.CLOSED], "other.send")
        activity = ticket.activities.get()
        assert dispatch.relay(activity_ids=[activity.pk], now=NOW, registry=registry) == 1
        assert dispatch.relay(activity_ids=[activity.pk], now=NOW, registry=registry) == 0
        assert broker.sent == [("mail.send", [str(activity.pk)]), ("webhooks.send", [str(activity.pk)])]
        activity.refresh_from_db()
        assert activity.dispatched_at == NOW

    def test_a_broker_that_fails_halfway_leaves_the_activity_undispatched(self, ticket, broker):
        registry = Subscriptions()
        registry.listen_after([Event.CREATED], "mail.send")
        broker.away = True
        with pytest.raises(OperationalError):
            dispatch.relay(activity_ids=[ticket.activities.get().pk], now=NOW, registry=registry)
        assert ticket.activities.get().dispatched_at is None


def test_inside_subscribers_run_in_the_transaction_of_the_change(ticket, monkeypatch):
    seen = []

    def refuse(activities):
        seen.extend(activity.event for activity in activities)
        raise RuntimeError

    monkeypatch.setattr(timeline, "subscriptions", Subscriptions(inside={Event.UPDATED.value: [refuse]}))
    with pytest.raises(RuntimeError), transaction.atomic():
        timeline.record(ticket=ticket, event=Event.UPDATED, actor=SYSTEM, now=NOW)
    assert seen == ["ticket.updated"]
    assert Activity.unscoped.filter(event="ticket.updated").count() == 0


def test_the_map_of_events_and_subscribers():
    """Who hears what; a new subscriber is written down here."""
    mailed = ("ticket.created", "ticket.comment.added", "ticket.resolved")
    assert {
        event: [handler.__qualname__ for handler in handlers] for event, handlers in subscriptions.inside.items()
    } == {
        name: ["queue_mail", "follow_tickets"] if name in mailed else ["follow_tickets"]
        for name in (
            "ticket.created",
            "ticket.updated",
            "ticket.resolved",
            "ticket.closed",
            "ticket.reopened",
            "ticket.comment.added",
            "ticket.comment.deleted",
            "ticket.merged",
            "ticket.unmerged",
            "ticket.trashed",
            "ticket.restored",
        )
    } | {"ticket.assigned": ["queue_mail"]}
    # The automation hears everything: anything that somebody does ends a time of silence.
    assert subscriptions.after == {event.value: ["tickets.automation.tasks.apply_rules"] for event in Event}
    assert [handler.__module__ for handler in subscriptions.bulk] == [
        "tickets.automation.handlers",
        "slas.handlers",
    ]
