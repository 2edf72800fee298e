"""Rules that wait for a time: no response, idle, so many messages in a row; when they look, and how often."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.automation import levels
from tickets.automation.models import Due, Rule, RuleBook, Run
from tickets.automation.services import engine, setup, timed
from tickets.automation.tests.factories import NOW, make_rule, run_rules, runs_of
from tickets.automation.tests.test_pool import in_threads
from tickets.events import SYSTEM, subscriptions
from tickets.models import Comment, Ticket
from tickets.services import conversation, editing, merging, status
from tickets.tests.factories import make_agent, make_reply, make_ticket

NOTE = {"do": "add_note", "body": "Seen."}


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def agent(workspace: Workspace) -> Membership:
    return make_agent(workspace)


def hear(ticket: Ticket, now: dt.datetime = NOW) -> None:
    """What workers do once something has happened."""
    run_rules(ticket, now)
    for activity in ticket.activities.all():
        engine.hear(activity_id=activity.pk, now=now)


def answer(ticket: Ticket, by: Membership, at: dt.datetime, **changes: Any) -> None:
    make_reply(ticket, by, now=at, **changes)
    hear(ticket, at)


def write(ticket: Ticket, at: dt.datetime, **changes: Any) -> None:
    given = {"body": "Hello?", "channel": "email", **changes}
    conversation.customer_reply(ticket=ticket, contact=ticket.requester, now=at, **given)
    hear(ticket, at)


def due_of(ticket: Ticket) -> list[dt.datetime]:
    return list(Due.unscoped.filter(ticket=ticket).order_by("due_at").values_list("due_at", flat=True))


def notes(ticket: Ticket) -> int:
    return Comment.unscoped.filter(ticket=ticket, author_type="system").count()


@pytest.fixture
def impatient(workspace: Workspace) -> Rule:
    """A rule that looks after four hours without an answer."""
    return make_rule(workspace, NOTE, triggers=["no_response"], no_response_hours=4)


@pytest.mark.django_db
class TestNoResponse:
    def test_it_looks_once_so_many_hours_after_the_first_message(self, workspace: Workspace, impatient: Rule) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        write(ticket, NOW + hours(1))  # the customer waits since the first one
        assert due_of(ticket) == [NOW + hours(4)]
        assert engine.fire_due(now=NOW + hours(4) - dt.timedelta(seconds=1)) == 0
        assert engine.fire_due(now=NOW + hours(4)) == 1
        assert engine.fire_due(now=NOW + hours(400)) == 0
        hear(ticket, NOW + hours(5))
        assert engine.fire_due(now=NOW + hours(400)) == 0
        (run,) = runs_of(ticket)
        assert (run.trigger, run.activity.event, run.ran_at) == ("no_response", "ticket.created", NOW + hours(4))
        assert notes(ticket) == 1

    def test_an_answer_ends_it_and_the_next_message_begins_it_anew(
        self, workspace: Workspace, agent: Membership, impatient: Rule
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        answer(ticket, agent, NOW + hours(1))
        assert due_of(ticket) == []
        write(ticket, NOW + hours(10))
        assert due_of(ticket) == [NOW + hours(14)]
        assert engine.fire_due(now=NOW + hours(14)) == 1
        assert runs_of(ticket)[0].activity.event == "ticket.comment.added"
        # The next silence is another cause.
        answer(ticket, agent, NOW + hours(15))
        write(ticket, NOW + hours(20))
        assert engine.fire_due(now=NOW + hours(24)) == 1

    def test_notes_and_automatic_mail_answer_nothing_and_ask_nothing(
        self, workspace: Workspace, agent: Membership, impatient: Rule
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        answer(ticket, agent, NOW + hours(1), internal=True)
        assert due_of(ticket) == [NOW + hours(4)]
        answer(ticket, agent, NOW + hours(2))
        write(ticket, NOW + hours(3), automatic=True)
        assert due_of(ticket) == []

    def test_a_resolution_is_an_answer_and_a_finished_ticket_does_not_wait(
        self, workspace: Workspace, impatient: Rule
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW + hours(1))
        hear(ticket)
        assert due_of(ticket) == []
        write(ticket, NOW + hours(2))  # opens it again
        assert due_of(ticket) == [NOW + hours(6)]

    def test_it_counts_business_hours(
        self, workspace: Workspace, impatient: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Slow(levels.ServiceLevels):
            def business_time(self, workspace_id: Any) -> levels.Reckoner:
                return lambda start, duration: start + 3 * duration

        monkeypatch.setattr(levels, "_told_by", [Slow()])
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        assert due_of(ticket) == [NOW + hours(12)]

    def test_hours_that_never_open_never_come(
        self, workspace: Workspace, impatient: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Closed(levels.ServiceLevels):
            def business_time(self, workspace_id: Any) -> levels.Reckoner:
                return lambda start, duration: None

        monkeypatch.setattr(levels, "_told_by", [Closed()])
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        assert due_of(ticket) == []

    def test_a_merge_brings_the_message_that_waits_along(
        self, workspace: Workspace, agent: Membership, impatient: Rule
    ) -> None:
        target, source = make_ticket(workspace, now=NOW), make_ticket(workspace, now=NOW)
        answer(target, agent, NOW + hours(1))
        write(source, NOW + hours(2))
        merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=NOW + hours(3))
        hear(source, NOW + hours(3))
        hear(target, NOW + hours(3))
        assert due_of(source) == [] and due_of(target) == [NOW + hours(6)]
        assert engine.fire_due(now=NOW + hours(6)) == 1
        assert notes(target) == 1 and notes(source) == 0


@pytest.mark.django_db
class TestIdle:
    @pytest.fixture
    def idle(self, workspace: Workspace) -> Rule:
        return make_rule(workspace, NOTE, triggers=["idle"], idle_hours=72)

    def test_it_looks_so_many_hours_after_anybody_did_anything(
        self, workspace: Workspace, agent: Membership, idle: Rule
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        assert due_of(ticket) == [NOW + hours(72)]
        answer(ticket, agent, NOW + hours(5), internal=True)
        assert due_of(ticket) == [NOW + hours(77)]
        assert engine.fire_due(now=NOW + hours(77)) == 1
        # What the rule itself did is nobody's doing: it does not begin again by itself.
        hear(ticket, NOW + hours(77))
        assert due_of(ticket) == [] and engine.fire_due(now=NOW + hours(1000)) == 0
        write(ticket, NOW + hours(80))
        assert due_of(ticket) == [NOW + hours(152)]

    def test_what_waits_for_the_customer_is_idle_too(self, workspace: Workspace, idle: Rule) -> None:
        ticket = make_ticket(workspace, now=NOW)
        status.change_status(ticket=ticket, to="pending", actor=SYSTEM, now=NOW)
        hear(ticket)
        assert engine.fire_due(now=NOW + hours(72)) == 1

    def test_a_rule_can_wait_for_two_times(self, workspace: Workspace) -> None:
        changes = {"triggers": ["idle", "no_response", "created"], "idle_hours": 2.5, "no_response_hours": 0.25}
        make_rule(workspace, NOTE, **changes)
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        assert due_of(ticket) == [NOW + dt.timedelta(minutes=15), NOW + dt.timedelta(minutes=150)]
        assert engine.fire_due(now=NOW + hours(3)) == 2
        assert [run.trigger for run in runs_of(ticket)] == ["created", "no_response", "idle"]


@pytest.mark.django_db
class TestLooking:
    def test_the_conditions_are_asked_when_the_time_comes(self, workspace: Workspace) -> None:
        urgent = {"all": [{"field": "priority", "is": ["urgent"]}]}
        make_rule(workspace, NOTE, triggers=["no_response"], no_response_hours=4, conditions=urgent)
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        assert engine.fire_due(now=NOW + hours(4)) == 0 and due_of(ticket) == []
        # Overdue already, and now it meets them: it is asked again because something has happened.
        editing.update_ticket(ticket=ticket, changes={"priority": "urgent"}, actor=SYSTEM, now=NOW + hours(5))
        hear(ticket, NOW + hours(5))
        assert engine.fire_due(now=NOW + hours(5)) == 1

    def test_the_body_is_that_of_the_message_that_waits(self, workspace: Workspace, agent: Membership) -> None:
        refund = {"all": [{"field": "body", "contains": ["refund"]}]}
        make_rule(workspace, NOTE, triggers=["no_response"], no_response_hours=4, conditions=refund)
        ticket = make_ticket(workspace, now=NOW)
        answer(ticket, agent, NOW)
        write(ticket, NOW + hours(1), body="My refund?")
        assert engine.fire_due(now=NOW + hours(5)) == 1

    def test_a_ticket_that_was_thrown_away_waits_no_more(self, workspace: Workspace, impatient: Rule) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        assert engine.fire_due(now=NOW + hours(4)) == 0 and due_of(ticket) == [] and notes(ticket) == 0
        editing.restore(workspace_id=workspace.pk, ticket_id=ticket.pk, actor=SYSTEM, now=NOW + hours(5))
        hear(ticket)
        assert engine.fire_due(now=NOW + hours(5)) == 1

    def test_what_nobody_had_heard_of_yet_is_reckoned_before_anything_is_done(
        self, workspace: Workspace, agent: Membership, impatient: Rule
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        make_reply(ticket, agent, now=NOW + hours(1))  # the worker is slow
        assert engine.fire_due(now=NOW + hours(4)) == 0 and notes(ticket) == 0

    def test_in_whatever_order_workers_hear_of_things_the_times_are_the_same(
        self, workspace: Workspace, agent: Membership, impatient: Rule
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        make_reply(ticket, agent, now=NOW + hours(1))
        conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="And?", channel="email", now=NOW + hours(2)
        )
        for activity in ticket.activities.order_by("-pk"):
            engine.hear(activity_id=activity.pk, now=NOW + hours(2))
            assert due_of(ticket) == [NOW + hours(6)]

    def test_one_that_cannot_be_dealt_with_does_not_hold_the_others(
        self, workspace: Workspace, impatient: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tickets = [make_ticket(workspace, now=NOW + dt.timedelta(minutes=n)) for n in range(3)]
        for ticket in tickets:
            hear(ticket)
        real = engine.facts_of

        def broken(activity: Any, *args: Any, **options: Any) -> Any:
            if activity.ticket_id == tickets[0].pk:
                raise RuntimeError
            return real(activity, *args, **options)

        monkeypatch.setattr(engine, "facts_of", broken)
        assert engine.fire_due(now=NOW + hours(5)) == 2
        assert due_of(tickets[0]) == [NOW + hours(5) + engine.LATER] and notes(tickets[0]) == 0
        monkeypatch.setattr(engine, "facts_of", real)
        assert engine.fire_due(now=NOW + hours(6)) == 1

    def test_what_is_due_is_found_by_its_index(self, workspace: Workspace, impatient: Rule) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            rows = Due.unscoped.filter(due_at__lte=NOW).order_by("due_at", "pk")
            assert "automation_due_next" in rows.explain()

    def test_where_no_rule_waits_nothing_is_looked_up(self, workspace: Workspace) -> None:
        make_rule(workspace, NOTE, triggers=["priority_changed"])
        ticket = make_ticket(workspace, now=NOW)
        activity = ticket.activities.get()
        engine.hear(activity_id=activity.pk, now=NOW)
        with CaptureQueriesContext(connection) as queries:
            engine.hear(activity_id=activity.pk, now=NOW)
        assert len(queries) == 1


@pytest.mark.django_db
class TestRulesThatChange:
    def test_a_new_rule_waits_for_the_tickets_that_are_there(self, workspace: Workspace) -> None:
        tickets = [make_ticket(workspace, now=NOW) for _ in range(3)]
        make_ticket(WorkspaceFactory(), now=NOW)  # type: ignore[arg-type]
        make_rule(workspace, NOTE, triggers=["idle"], idle_hours=1)
        assert timed.reckon_all() == 3 and timed.reckon_all() == 0
        assert [due_of(ticket) for ticket in tickets] == [[NOW + hours(1)]] * 3

    @pytest.mark.parametrize("change", [{"is_active": False}, {"triggers": ["created"]}])
    def test_one_that_waits_no_more_does_not_look(
        self, workspace: Workspace, impatient: Rule, change: dict[str, Any]
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        setup.save_rule(workspace=workspace, changes=change, rule=impatient, now=NOW)
        assert engine.fire_due(now=NOW + hours(5)) == 0 and notes(ticket) == 0
        timed.reckon_all()
        assert due_of(ticket) == []

    def test_a_deleted_one_neither(self, workspace: Workspace, impatient: Rule) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        setup.delete_rule(rule=impatient, now=NOW)
        timed.reckon_all()
        assert due_of(ticket) == [] and engine.fire_due(now=NOW + hours(5)) == 0

    def test_other_hours_move_the_times(self, workspace: Workspace, impatient: Rule) -> None:
        ticket = make_ticket(workspace, now=NOW)
        hear(ticket)
        setup.save_rule(workspace=workspace, changes={"no_response_hours": 1}, rule=impatient, now=NOW)
        timed.reckon_all()
        assert due_of(ticket) == [NOW + hours(1)]

    def test_tickets_that_came_in_bulk_are_reckoned(self, workspace: Workspace, impatient: Rule) -> None:
        timed.reckon_all()
        ticket = make_ticket(workspace, now=NOW)
        subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=NOW)
        timed.reckon_all()
        assert due_of(ticket) == [NOW + hours(4)]

    def test_a_book_that_changes_meanwhile_is_done_again(
        self, workspace: Workspace, impatient: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_ticket(workspace, now=NOW)
        real, changes = timed.reckon, [{"no_response_hours": 2}]

        def reckon(*args: Any) -> Any:
            if changes:
                setup.save_rule(workspace=workspace, changes=changes.pop(), rule=impatient, now=NOW)
            return real(*args)

        monkeypatch.setattr(timed, "reckon", reckon)
        timed.reckon_all()
        assert timed.reckon_all() == 1 and timed.reckon_all() == 0

    def test_every_change_of_a_rule_is_counted_however_it_is_made(self, workspace: Workspace) -> None:
        def version() -> int:
            return RuleBook.objects.for_workspace(workspace).get().version

        rule = make_rule(workspace, NOTE)
        before = version()
        Rule.unscoped.filter(pk=rule.pk).update(name="Other")
        assert version() == before + 1
        Rule.unscoped.filter(pk=rule.pk).delete()
        assert version() == before + 2
        workspace.delete()
        assert not RuleBook.unscoped.exists()


@pytest.mark.django_db
class TestMessagesInARow:
    @pytest.fixture(autouse=True)
    def third(self, workspace: Workspace) -> Rule:
        return make_rule(workspace, NOTE, triggers=["customer_messages"], message_count=3)

    def test_it_looks_at_the_third_message_without_an_answer_and_once(
        self, workspace: Workspace, agent: Membership
    ) -> None:
        ticket = make_ticket(workspace, now=NOW)
        for number in range(1, 6):
            write(ticket, NOW + hours(number))
            assert notes(ticket) == (number >= 3)
        answer(ticket, agent, NOW + hours(7))
        for number in range(8, 10):
            write(ticket, NOW + hours(number))
        assert notes(ticket) == 1
        write(ticket, NOW + hours(11))
        assert notes(ticket) == 2

    def test_notes_and_automatic_mail_do_not_count(self, workspace: Workspace, agent: Membership) -> None:
        ticket = make_ticket(workspace, now=NOW)
        write(ticket, NOW + hours(1))
        write(ticket, NOW + hours(2), automatic=True)
        answer(ticket, agent, NOW + hours(3), internal=True)
        write(ticket, NOW + hours(4))
        assert notes(ticket) == 0
        write(ticket, NOW + hours(5))
        assert notes(ticket) == 1

    def test_a_slow_worker_counts_up_to_the_message_that_it_hears_of(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=NOW)
        for number in range(1, 5):
            conversation.customer_reply(
                ticket=ticket, contact=ticket.requester, body="?", channel="email", now=NOW + hours(number)
            )
        run_rules(ticket)
        (run,) = runs_of(ticket)
        assert run.activity.occurred_at == NOW + hours(3)

    def test_a_rule_that_any_reply_pulls_is_not_held_back_by_the_count(self, workspace: Workspace) -> None:
        make_rule(
            workspace, {"do": "add_tags", "tags": ["x"]}, triggers=["customer_replied", "customer_messages"],
            message_count=9,
        )  # fmt: skip
        ticket = make_ticket(workspace, now=NOW)
        write(ticket, NOW)
        assert [run.trigger for run in runs_of(ticket)] == ["customer_replied"]


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_do_each_thing_once(workspace: Workspace) -> None:
    make_rule(workspace, NOTE, triggers=["no_response"], no_response_hours=4)
    tickets = [make_ticket(workspace, now=NOW) for _ in range(20)]
    for ticket in tickets:
        hear(ticket)
    fired = in_threads(4, lambda _: engine.fire_due(now=NOW + hours(5)))
    assert sum(fired) == 20 and Run.unscoped.count() == 20 and not Due.unscoped.exists()
    assert [notes(ticket) for ticket in tickets] == [1] * 20
