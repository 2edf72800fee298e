"""Where clocks meet merges, late news, other hands, and what was promised only later."""

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import MembershipFactory, WorkspaceFactory
from slas.models import BusinessHours, Clock, Job, SLAPolicy
from slas.services import jobs, setup, sweep, tracking
from slas.tests.factories import at, clock_of, make_policy, sla_events
from tickets.events import SYSTEM, subscriptions
from tickets.models import Ticket
from tickets.services import conversation, editing, merging, status
from tickets.services import setup as tickets_setup
from tickets.tests.factories import CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def policy(workspace: Workspace) -> SLAPolicy:
    return make_policy(workspace)


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace, role="admin")


def write(ticket: Ticket, now: dt.datetime) -> Any:
    said = conversation.customer_reply(
        ticket=ticket, contact=ticket.requester, body="Any news?", channel="portal", now=now
    )
    return said.comment


def move(ticket: Ticket, to: str, now: dt.datetime) -> None:
    status.change_status(ticket=ticket, to=to, actor=SYSTEM, now=now)


def goals_of(ticket: Ticket) -> list[str]:
    """What the ticket's row tells of."""
    return list((ticket.sla or {})["goals"])


def breaches(ticket: Ticket, goal: str) -> list[dt.datetime]:
    return [when for event, of, when in sla_events(ticket) if event == "ticket.sla.breached" and of == goal]


class TestMerging:
    @pytest.fixture
    def two(self, workspace: Workspace, policy: SLAPolicy, maria: Membership) -> tuple[Ticket, Ticket]:
        """Two tickets that were answered at 9:05 and 9:10."""
        source, target = (make_ticket(workspace, now=at(0, "09:00")) for _ in range(2))
        make_reply(target, maria, now=at(0, "09:05"))
        make_reply(source, maria, now=at(0, "09:10"))
        return source, target

    def test_the_ticket_tells_of_the_latest_wait_not_of_the_one_that_came_last(
        self, two: tuple[Ticket, Ticket], maria: Membership
    ) -> None:
        source, target = two
        write(source, at(0, "09:20"))
        make_reply(source, maria, now=at(0, "09:30"))
        write(target, at(0, "10:00"))
        merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=at(0, "10:10"))
        target.refresh_from_db()
        assert target.next_deadline_at == at(0, "14:00")

    def test_an_unmerge_gives_the_wait_back(self, two: tuple[Ticket, Ticket]) -> None:
        source, target = two
        write(source, at(0, "09:20"))
        merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=at(0, "10:10"))
        target.refresh_from_db()
        assert target.next_deadline_at == at(0, "13:20")
        source.refresh_from_db()
        merging.unmerge(source=source, actor=SYSTEM, now=at(0, "11:00"))
        source.refresh_from_db()
        target.refresh_from_db()
        # The fifty minutes in which it was closed are taken off, as always.
        assert source.next_deadline_at == at(0, "14:10")
        assert target.next_deadline_at == at(0, "17:00") and "next_response" not in goals_of(target)

    def test_a_message_that_was_breached_on_the_source_is_not_breached_again(self, two: tuple[Ticket, Ticket]) -> None:
        source, target = two
        write(source, at(0, "09:20"))
        sweep.sweep_all(now=at(0, "14:00"))
        merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=at(0, "14:10"))
        sweep.sweep_all(now=at(0, "15:00"))
        assert breaches(source, "next_response") == [at(0, "13:20")] and breaches(target, "next_response") == []
        target.refresh_from_db()
        assert target.sla_missed
        source.refresh_from_db()
        merging.unmerge(source=source, actor=SYSTEM, now=at(0, "15:10"))
        sweep.sweep_all(now=at(0, "16:00"))
        assert breaches(source, "next_response") == [at(0, "13:20")]
        target.refresh_from_db()
        assert not target.sla_missed


class TestOver:
    """What ended before a promise was made, or was judged under other terms, is left as it was."""

    def test_a_stopped_first_response_is_not_judged_by_a_later_priority(self, workspace: Workspace) -> None:
        make_policy(workspace, priority_overrides={"urgent": {"first_response_hours": 0.25}})
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        move(ticket, "resolved", at(0, "09:30"))
        editing.update_ticket(ticket=ticket, changes={"priority": "urgent"}, actor=SYSTEM, now=at(2))
        assert sla_events(ticket) == []

    def test_a_wait_that_resolving_ended_is_not_judged_by_later_terms(
        self, workspace: Workspace, policy: SLAPolicy, maria: Membership
    ) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(ticket, maria, now=at(0, "09:10"))
        write(ticket, at(0, "09:30"))
        move(ticket, "resolved", at(0, "11:30"))
        write(ticket, at(0, "11:40"))
        setup.save_policy(workspace=workspace, policy=policy, changes={"next_response_hours": 1}, now=at(0, "11:50"))
        tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(0, "11:51"))
        assert breaches(ticket, "next_response") == []

    def test_a_promise_that_is_made_today_was_not_broken_on_monday(
        self, workspace: Workspace, maria: Membership
    ) -> None:
        policy = make_policy(workspace, next_response_hours=None, resolution_hours=1000)
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(ticket, maria, now=at(0, "09:10"))
        write(ticket, at(0, "10:00"))
        make_reply(ticket, maria, now=at(0, "15:00"))
        setup.save_policy(workspace=workspace, policy=policy, changes={"next_response_hours": 1}, now=at(3))
        tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(3, "00:01"))
        assert sla_events(ticket) == []
        ticket.refresh_from_db()
        assert not ticket.sla_missed

    def test_a_ticket_that_had_no_clocks_is_not_breached_for_what_was_over_before(
        self, workspace: Workspace, maria: Membership
    ) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(ticket, maria, now=at(0, "15:00"))
        make_policy(workspace)
        move(ticket, "pending", at(0, "15:30"))
        assert sla_events(ticket) == [] and not Clock.unscoped.filter(goal="first_response").exists()


def test_a_deleted_message_of_the_customer_is_no_longer_waited_for(
    workspace: Workspace, policy: SLAPolicy, maria: Membership
) -> None:
    ticket = make_ticket(workspace, now=at(0, "09:00"))
    make_reply(ticket, maria, now=at(0, "09:10"))
    comment = write(ticket, at(0, "10:00"))
    conversation.delete_comment(comment=comment, editor=maria, now=at(0, "10:05"))
    sweep.sweep_all(now=at(0, "16:00"))
    assert breaches(ticket, "next_response") == []
    ticket.refresh_from_db()
    assert "next_response" not in goals_of(ticket)


def test_a_deleted_answer_was_still_an_answer(workspace: Workspace, policy: SLAPolicy, maria: Membership) -> None:
    ticket = make_ticket(workspace, now=at(0, "09:00"))
    make_reply(ticket, maria, now=at(0, "09:10"))
    write(ticket, at(0, "10:00"))
    answer = make_reply(ticket, maria, now=at(0, "11:00"))
    conversation.delete_comment(comment=answer, editor=maria, now=at(0, "11:05"))
    assert clock_of(ticket, "next_response").satisfied_at == at(0, "11:00")


def test_a_deadline_that_comes_back_warns_once(workspace: Workspace) -> None:
    make_policy(workspace, priority_overrides={"low": {"first_response_hours": 6}})
    ticket = make_ticket(workspace, now=at(0, "09:00"))
    sweep.sweep_all(now=at(0, "10:31"))
    for minute, priority in ((41, "low"), (42, "medium")):
        editing.update_ticket(ticket=ticket, changes={"priority": priority}, actor=SYSTEM, now=at(0, f"10:{minute}"))
    sweep.sweep_all(now=at(0, "10:45"))
    assert [when for event, _, when in sla_events(ticket) if event == "ticket.sla.at_risk"] == [at(0, "10:30")]


class TestCustomers:
    """Who the customer is decides what is promised: tickets in work follow."""

    @pytest.fixture
    def gold(self, workspace: Workspace, policy: SLAPolicy) -> SLAPolicy:
        asked = {"attributes": {"plan": ["gold"]}}
        return make_policy(workspace, name="Gold", is_default=False, conditions=asked)

    def derives(self, workspace: Workspace) -> int:
        Job.unscoped.filter(state="waiting").update(state="done")
        return Job.unscoped.filter(workspace=workspace, kind="derive").count()

    def test_another_attribute_of_a_customer_chooses_their_policy_anew(
        self, workspace: Workspace, gold: SLAPolicy, client: Client
    ) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        before = self.derives(workspace)
        client.force_login(MembershipFactory(workspace=workspace, role="owner").user)
        url = reverse("admin:accounts_contact_change", args=[ticket.requester_id])
        assert client.post(url, {"name": "Jane", "attributes": '{"plan": "gold"}'}).status_code == 302
        assert self.derives(workspace) == before + 1
        tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(0, "09:01"))
        assert clock_of(ticket, "resolution").policy_id == gold.pk

    def test_a_category_that_is_moved_below_another_does_too(self, workspace: Workspace, policy: SLAPolicy) -> None:
        above, below = CategoryFactory(workspace=workspace), CategoryFactory(workspace=workspace)
        make_policy(workspace, name="Billing", is_default=False, conditions={"category_ids": [str(above.pk)]})
        before = self.derives(workspace)
        tickets_setup.save_category(
            workspace=workspace, category=below, changes={"parent_id": above.pk}, now=at(0, "09:00")
        )
        assert self.derives(workspace) == before + 1

    def test_where_no_policy_asks_nothing_is_derived(self, workspace: Workspace, policy: SLAPolicy) -> None:
        before = self.derives(workspace)
        setup.choose_anew(workspace_id=workspace.pk, now=at(0))
        assert self.derives(workspace) == before


@pytest.mark.django_db(transaction=True)
class TestOtherHands:
    def while_held(self, change: Any, meanwhile: Any) -> None:
        """Do `meanwhile` in another connection while this one's transaction has made `change` and is not committed."""
        began = threading.Event()

        def other() -> None:
            began.set()
            try:
                meanwhile()
            finally:
                connection.close()

        thread = threading.Thread(target=other)
        with transaction.atomic():
            change()
            thread.start()
            began.wait(10)
            thread.join(0.5)  # it waits for our lock
            assert thread.is_alive()
        thread.join(20)

    def test_deriving_sees_what_a_customer_wrote_while_it_waited_for_the_ticket(self) -> None:
        workspace: Any = WorkspaceFactory()
        policy = make_policy(workspace)
        maria = make_agent(workspace)
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(ticket, maria, now=at(0, "09:10"))
        self.while_held(
            lambda: write(ticket, at(0, "10:00")),
            lambda: tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(0, "10:01")),
        )
        ticket.refresh_from_db()
        assert clock_of(ticket, "next_response").run == "running" and policy.pk
        assert ticket.next_deadline_at == at(0, "14:00")

    def test_deriving_sees_the_priority_that_was_set_while_it_waited(self) -> None:
        workspace: Any = WorkspaceFactory()
        make_policy(workspace, priority_overrides={"urgent": {"first_response_hours": 0.25}})
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        self.while_held(
            lambda: editing.update_ticket(
                ticket=ticket, changes={"priority": "urgent"}, actor=SYSTEM, now=at(0, "09:01")
            ),
            lambda: tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(0, "09:02")),
        )
        assert clock_of(ticket, "first_response").target == dt.timedelta(minutes=15)


def test_a_policy_that_is_saved_while_tickets_are_caught_up_with_counts(
    workspace: Workspace, policy: SLAPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = [make_ticket(workspace, now=at(0, "09:00")) for _ in range(3)]
    Clock.unscoped.all().delete()
    plain = tracking.batches

    def batches(ids: Any, size: int = 1) -> Any:
        for number, batch in enumerate(plain(ids, 1)):
            if number == 1:
                setup.save_policy(
                    workspace=workspace, policy=policy, changes={"resolution_hours": 4}, now=at(0, "09:30")
                )
            yield batch

    monkeypatch.setattr(tracking, "batches", batches)
    subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=None, now=at(0, "10:00"))
    due = sorted(str(clock_of(ticket, "resolution").due_at) for ticket in tickets)
    assert due == sorted([str(at(0, "17:00")), *[str(at(0, "13:00"))] * 2])


@pytest.mark.django_db(transaction=True)
def test_workspaces_from_before_get_what_new_ones_begin_with() -> None:
    """Migration 0003 on a database with data, also when it is run again."""
    executor = MigrationExecutor(connection)
    executor.migrate([("slas", "0002_business_hours_and_clocks")])
    try:
        bare, own = WorkspaceFactory(), WorkspaceFactory()
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO sla_policies (id, workspace_id, name, first_response_hours, resolution_hours, "
                "priority_overrides, business_hours_only, is_default, created_at, at_risk_percent, conditions, "
                "pending_pauses, position, updated_at) VALUES (gen_random_uuid(), %s, 'Ours', 3, 9, "
                "'{\"urgent\": {\"resolution_hours\": 1.5}}', true, true, now(), 75, '{}', '{}', 1, now())",
                [own.pk],
            )
        for _ in range(2):
            MigrationExecutor(connection).migrate([("slas", "0003_defaults_for_existing_workspaces")])
            MigrationExecutor(connection).migrate([("slas", "0002_business_hours_and_clocks")])
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    standard, ours = SLAPolicy.unscoped.get(workspace=bare), SLAPolicy.unscoped.get(workspace=own)
    assert (standard.name, standard.is_default, standard.business_hours_only) == ("Standard", True, False)
    assert ours.terms is not None
    assert ours.terms.document["targets"]["urgent"] == {"first_response": 10800, "resolution": 5400}
    assert ours.terms.document["calendar"]["schedule"]["friday"] == {"start": "09:00", "end": "18:00"}
    assert BusinessHours.unscoped.filter(is_default=True).count() == 2
    ticket = make_ticket(own, priority="urgent", now=at(0, "09:00"))
    assert clock_of(ticket, "resolution").due_at == at(0, "10:30")
    assert jobs.latest(own.pk, "derive") is None
