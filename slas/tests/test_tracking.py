"""The clocks follow what happens to tickets, in the same transaction."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import OrganizationFactory, WorkspaceFactory
from slas.models import Clock, SLAPolicy
from slas.services import setup, sweep, tracking
from slas.tests.factories import at, clock_of, make_policy, sla_events
from tickets.events import SYSTEM, subscriptions
from tickets.models import Activity, Ticket
from tickets.services import assignment, base, conversation, editing, merging, status
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
    return make_agent(workspace)


@pytest.fixture
def ticket(workspace: Workspace, policy: SLAPolicy) -> Ticket:
    return make_ticket(workspace, now=at(0, "09:00"))


def move(ticket: Ticket, to: str, now: dt.datetime) -> None:
    status.change_status(ticket=ticket, to=to, actor=SYSTEM, now=now)


def write(ticket: Ticket, now: dt.datetime, **more: Any) -> None:
    conversation.customer_reply(
        ticket=ticket, contact=ticket.requester, body="Any news?", channel="portal", now=now, **more
    )


class TestStarting:
    def test_a_new_ticket_has_a_clock_for_its_first_response_and_its_resolution(self, ticket: Ticket) -> None:
        assert clock_of(ticket, "first_response").due_at == at(0, "11:00")
        assert clock_of(ticket, "resolution").due_at == at(0, "17:00")
        assert Clock.unscoped.count() == 2

    def test_the_nearest_deadline_that_runs_stands_on_the_ticket(self, ticket: Ticket) -> None:
        ticket.refresh_from_db()
        assert (ticket.next_deadline_at, ticket.next_risk_at) == (at(0, "11:00"), at(0, "10:30"))
        assert ticket.sla_state == "running" and ticket.version == 1

    def test_without_a_policy_nothing_is_promised_and_nothing_is_written(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        ticket.refresh_from_db()
        assert ticket.sla is None and ticket.next_deadline_at is None and Clock.unscoped.count() == 0

    def test_clocks_are_rolled_back_with_the_change_that_moves_them(self, ticket: Ticket, maria: Membership) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            make_reply(ticket, maria, now=at(0, "10:00"))
            raise RuntimeError
        assert clock_of(ticket, "first_response").run == "running"

    def test_a_policy_counts_by_its_own_calendar_in_its_own_timezone(self, workspace: Workspace) -> None:
        hours = setup.save_hours(
            workspace=workspace,
            changes={
                "name": "Tokyo",
                "timezone": "Asia/Tokyo",
                "schedule": {"monday": {"start": "09:00", "end": "18:00"}},
            },
            now=at(0),
        )
        make_policy(workspace, business_hours_id=hours.pk)
        ticket = make_ticket(workspace, now=at(0, "08:00"))  # Monday 17:00 in Tokyo
        assert clock_of(ticket, "first_response").due_at == at(7, "01:00")  # next Monday, 10:00 in Tokyo


class TestAnswering:
    def test_the_first_public_message_of_an_agent_is_the_first_response(
        self, ticket: Ticket, maria: Membership
    ) -> None:
        make_reply(ticket, maria, now=at(0, "10:30"))
        clock = clock_of(ticket, "first_response")
        assert (clock.run, clock.satisfied_at, clock.sweep_at) == ("satisfied", at(0, "10:30"), None)

    def test_notes_automatic_mail_and_status_changes_are_no_first_response(
        self, ticket: Ticket, maria: Membership
    ) -> None:
        make_reply(ticket, maria, now=at(0, "09:10"), internal=True)
        move(ticket, "pending", at(0, "09:20"))
        write(ticket, at(0, "09:30"), automatic=True)
        assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=SYSTEM, now=at(0, "09:40"))
        assert clock_of(ticket, "first_response").run == "running"

    def test_next_response_runs_from_the_oldest_unanswered_customer_message(
        self, ticket: Ticket, maria: Membership
    ) -> None:
        make_reply(ticket, maria, now=at(0, "09:30"))
        write(ticket, at(0, "10:00"))
        write(ticket, at(0, "12:00"))
        assert clock_of(ticket, "next_response").due_at == at(0, "14:00")
        make_reply(ticket, maria, now=at(0, "13:00"))
        write(ticket, at(1, "09:00"))
        assert clock_of(ticket, "next_response", 1).satisfied_at == at(0, "13:00")
        assert clock_of(ticket, "next_response", 2).due_at == at(1, "13:00")

    def test_automatic_mail_starts_no_next_response(self, ticket: Ticket, maria: Membership) -> None:
        make_reply(ticket, maria, now=at(0, "09:30"))
        write(ticket, at(0, "10:00"), automatic=True)
        assert not Clock.unscoped.filter(goal="next_response").exists()

    def test_an_answer_after_the_deadline_records_the_breach_at_its_true_time_and_first(
        self, ticket: Ticket, maria: Membership
    ) -> None:
        make_reply(ticket, maria, now=at(0, "11:20"))
        assert sla_events(ticket) == [("ticket.sla.breached", "first_response", at(0, "11:00"))]
        assert sweep.sweep_all(now=at(0, "11:30")) == 0
        assert clock_of(ticket, "first_response").breached_at == at(0, "11:00")

    def test_a_late_first_response_stays_late(self, ticket: Ticket, maria: Membership, policy: SLAPolicy) -> None:
        make_reply(ticket, maria, now=at(0, "11:20"))
        editing.update_ticket(ticket=ticket, changes={"priority": "low"}, actor=SYSTEM, now=at(0, "11:30"))
        setup.save_policy(
            workspace=policy.workspace, policy=policy, changes={"first_response_hours": 8}, now=at(0, "12:00")
        )
        tracking.retrack(workspace_id=ticket.workspace_id, ticket_ids=[ticket.pk], now=at(0, "12:01"))
        ticket.refresh_from_db()
        assert clock_of(ticket, "first_response").due_at == at(0, "11:00")
        assert ticket.sla_missed


class TestPausing:
    def test_pending_pauses_the_resolution_and_coming_back_shifts_it_by_business_time_only(
        self, ticket: Ticket
    ) -> None:
        move(ticket, "pending", at(0, "16:00"))
        clock = clock_of(ticket, "resolution")
        assert (clock.run, clock.due_at, clock.used, clock.sweep_at) == ("paused", None, dt.timedelta(hours=7), None)
        move(ticket, "open", at(1, "10:00"))
        assert clock_of(ticket, "resolution").due_at == at(1, "11:00")

    def test_a_paused_deadline_is_no_next_deadline(self, ticket: Ticket, maria: Membership) -> None:
        make_reply(ticket, maria, now=at(0, "09:30"), then="pending")
        ticket.refresh_from_db()
        assert ticket.next_deadline_at is None and ticket.sla_state == "paused"

    def test_a_policy_may_pause_the_responses_too(self, workspace: Workspace) -> None:
        make_policy(workspace, pending_pauses=["first_response", "resolution"])
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        move(ticket, "pending", at(0, "10:00"))
        assert clock_of(ticket, "first_response").run == "paused"

    def test_resolving_stops_and_reopening_runs_on_with_the_time_resolved_taken_off(self, ticket: Ticket) -> None:
        move(ticket, "resolved", at(0, "10:00"))
        assert clock_of(ticket, "resolution").satisfied_at == at(0, "10:00")
        assert clock_of(ticket, "first_response").run == "stopped"
        assert sweep.sweep_all(now=at(3)) == 0
        status.reopen(ticket=ticket, actor=SYSTEM, now=at(4, "10:00"))
        assert clock_of(ticket, "resolution").due_at == at(4, "17:00")
        assert clock_of(ticket, "first_response").due_at == at(4, "11:00")

    def test_the_trash_stops_every_clock_until_the_ticket_is_restored(self, ticket: Ticket) -> None:
        editing.trash(ticket=ticket, actor=SYSTEM, now=at(0, "10:00"))
        assert sweep.sweep_all(now=at(3)) == 0
        editing.restore(workspace_id=ticket.workspace_id, ticket_id=ticket.pk, actor=SYSTEM, now=at(1, "10:00"))
        assert clock_of(ticket, "first_response").due_at == at(1, "11:00")

    def test_a_merged_ticket_has_no_clock_that_runs_and_an_unmerged_one_goes_on(
        self, workspace: Workspace, ticket: Ticket
    ) -> None:
        source = make_ticket(workspace, now=at(0, "09:30"))
        merging.merge(source=source, target_id=ticket.pk, actor=SYSTEM, now=at(0, "10:00"))
        assert set(Clock.unscoped.filter(ticket=source).values_list("run", flat=True)) == {"stopped"}
        source.refresh_from_db()
        merging.unmerge(source=source, actor=SYSTEM, now=at(0, "12:00"))
        assert clock_of(source, "first_response").due_at == at(0, "13:30")

    def test_a_customers_message_that_a_merge_brings_is_waited_for(
        self, workspace: Workspace, ticket: Ticket, maria: Membership
    ) -> None:
        make_reply(ticket, maria, now=at(0, "09:10"))
        source = make_ticket(workspace, now=at(0, "09:15"))
        write(source, at(0, "10:00"))
        merging.merge(source=source, target_id=ticket.pk, actor=SYSTEM, now=at(0, "12:00"))
        assert clock_of(ticket, "next_response").due_at == at(0, "14:00")


class TestChanging:
    @pytest.fixture
    def policy(self, workspace: Workspace) -> SLAPolicy:
        overrides = {"urgent": {"first_response_hours": 0.5, "resolution_hours": 2}, "low": {"resolution_hours": 16}}
        return make_policy(workspace, priority_overrides=overrides)

    def change(self, ticket: Ticket, now: dt.datetime, **changes: Any) -> None:
        editing.update_ticket(ticket=ticket, changes=changes, actor=SYSTEM, now=now)

    def test_a_change_of_priority_counts_from_the_creation_and_may_breach_at_once(self, ticket: Ticket) -> None:
        self.change(ticket, at(0, "12:00"), priority="urgent")
        clock = clock_of(ticket, "resolution")
        assert clock.due_at == at(0, "11:00")
        sweep.sweep_all(now=at(0, "12:00:15"))
        # The deadline came to hold when the priority was raised: it was not breached before.
        assert ("ticket.sla.breached", "resolution", at(0, "12:00")) in sla_events(ticket)

    def test_a_breach_that_nobody_swept_yet_is_not_undone_by_a_later_deadline(self, ticket: Ticket) -> None:
        self.change(ticket, at(0, "18:00"), priority="low")
        assert ("ticket.sla.breached", "resolution", at(0, "17:00")) in sla_events(ticket)
        clock = clock_of(ticket, "resolution")
        assert clock.due_at == at(1, "16:00") and clock.breached_at == at(0, "17:00")
        sweep.sweep_all(now=at(5))
        assert [event for event in sla_events(ticket) if event[1] == "resolution"] == [
            ("ticket.sla.breached", "resolution", at(0, "17:00"))
        ]

    def test_a_policy_is_chosen_anew_when_what_it_asks_for_changes(self, workspace: Workspace, ticket: Ticket) -> None:
        category = CategoryFactory(workspace=workspace)
        vip = make_policy(
            workspace,
            name="Billing",
            is_default=False,
            conditions={"category_ids": [str(category.pk)]},
            resolution_hours=1,
        )
        self.change(ticket, at(0, "09:30"), category_id=category.pk)
        clock = clock_of(ticket, "resolution")
        assert (clock.policy_id, clock.due_at) == (vip.pk, at(0, "10:00"))

    def test_a_custom_field_that_is_called_priority_changes_no_clock(
        self, workspace: Workspace, ticket: Ticket
    ) -> None:
        from tickets.services import setup as tickets_setup

        asked = {"key": "p", "label": "priority", "kind": "choice", "options": ["urgent", "low"]}
        tickets_setup.save_field(workspace=workspace, changes=asked, now=at(0))
        self.change(ticket, at(0, "09:30"), custom_fields={"p": "urgent"})
        self.change(ticket, at(0, "09:40"), subject="Something that is recorded")
        move(ticket, "pending", at(0, "10:00"))
        move(ticket, "open", at(0, "11:00"))
        assert clock_of(ticket, "resolution").target == dt.timedelta(hours=8)


class TestPast:
    """An import tells the past again: its breaches are recorded, and go to nobody."""

    ACTOR = replace(SYSTEM, is_replay=True)

    def test_a_replayed_breach_is_recorded_but_never_sent(self, workspace: Workspace, policy: SLAPolicy) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"), actor=self.ACTOR)
        status.change_status(ticket=ticket, to="resolved", actor=self.ACTOR, now=at(1, "10:00"))
        assert ("ticket.sla.breached", "resolution", at(0, "17:00")) in sla_events(ticket)
        assert not Activity.unscoped.filter(dispatched_at=None).exists()

    def test_what_is_breached_after_the_import_is_news(self, workspace: Workspace, policy: SLAPolicy) -> None:
        old = make_ticket(workspace, now=at(0, "09:00"), actor=self.ACTOR)
        tracking.catch_up(workspace.pk, [old.pk], at(0, "10:00"))
        sweep.sweep_all(now=at(2))
        told = Activity.unscoped.filter(event="ticket.sla.breached")
        assert {activity.dispatched_at for activity in told} == {None} and told.count() == 2

    def test_tickets_that_were_copied_past_the_services_get_clocks_from_their_log(
        self, workspace: Workspace, maria: Membership
    ) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(ticket, maria, now=at(0, "10:00"))
        move(ticket, "pending", at(0, "12:00"))
        move(ticket, "open", at(0, "13:00"))
        make_policy(workspace)
        subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=None, now=at(9))
        assert clock_of(ticket, "resolution").due_at == at(0, "18:00")
        assert clock_of(ticket, "first_response").satisfied_at == at(0, "10:00")
        sweep.sweep_all(now=at(9))
        assert sla_events(ticket) == [("ticket.sla.breached", "resolution", at(0, "18:00"))]
        assert not Activity.unscoped.filter(event__startswith="ticket.sla", dispatched_at=None).exists()


def queries(do: Any) -> int:
    with CaptureQueriesContext(connection) as seen:
        do()
    return len(seen)


def test_following_a_change_costs_the_same_whatever_the_ticket_has_been_through(
    workspace: Workspace, policy: SLAPolicy, maria: Membership
) -> None:
    short, long = (make_ticket(workspace, now=at(0, "09:00")) for _ in range(2))
    for hour in range(20):
        make_reply(long, maria, now=at(1) + dt.timedelta(hours=hour))
        write(long, at(1) + dt.timedelta(hours=hour, minutes=30))
    sweep.sweep_all(now=at(3))
    few, many = (queries(lambda ticket=ticket: move(ticket, "pending", at(3))) for ticket in (short, long))
    assert few == many


def test_a_policy_may_ask_for_the_organisation_and_for_attributes_of_the_customer(workspace: Workspace) -> None:
    make_policy(workspace)
    acme: Any = OrganizationFactory(workspace=workspace, attributes={"plan": "Enterprise", "vip": True})
    asked = {"attributes": {"plan": ["enterprise", "pro"], "vip": ["yes"]}}
    vip = make_policy(workspace, name="VIP", is_default=False, conditions=asked)
    contact = base.find_contact(workspace.pk, "jane@acme.example")
    contact.organization = acme
    contact.save()
    theirs = make_ticket(workspace, requester_email="jane@acme.example", now=at(0, "09:00"))
    others = make_ticket(workspace, now=at(0, "09:00"))
    assert clock_of(theirs, "resolution").policy_id == vip.pk
    assert clock_of(others, "resolution").policy_id != vip.pk
    contact.attributes = {"plan": "free"}  # the person's own word goes before the company's
    contact.save()
    third = make_ticket(workspace, requester_email="jane@acme.example", now=at(0, "09:00"))
    assert clock_of(third, "resolution").policy_id != vip.pk


def test_a_new_ticket_costs_four_queries_more_for_its_clocks(workspace: Workspace, policy: SLAPolicy) -> None:
    """The policies, the ticket's facts, its clocks, and what stands on the ticket."""
    without = WorkspaceFactory()
    for each in (workspace, without):
        make_ticket(each, now=at(0, "09:00"))  # the terms are read once per process
    more = queries(lambda: make_ticket(workspace, now=at(0, "09:00")))
    assert more - queries(lambda: make_ticket(without, now=at(0, "09:00"))) == 3  # both ask for the policies


class TestMissedBeforeItStoodStill:
    """A deadline that was missed is a breach on record, also where the clock no longer runs."""

    def test_when_a_past_is_told_at_once(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        move(ticket, "resolved", at(1, "10:00"))  # with no answer, after both deadlines
        make_policy(workspace)
        subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=None, now=at(9))
        assert sla_events(ticket) == [
            ("ticket.sla.breached", "first_response", at(0, "11:00")),
            ("ticket.sla.breached", "resolution", at(0, "17:00")),
        ]
        assert clock_of(ticket, "first_response").run == "stopped"

    def test_when_a_paused_ticket_gets_an_earlier_deadline(self, workspace: Workspace) -> None:
        make_policy(workspace, priority_overrides={"urgent": {"resolution_hours": 1}})
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        move(ticket, "pending", at(0, "10:30"))
        editing.update_ticket(ticket=ticket, changes={"priority": "urgent"}, actor=SYSTEM, now=at(0, "10:40"))
        assert sla_events(ticket) == [("ticket.sla.breached", "resolution", at(0, "10:40"))]
        sweep.sweep_all(now=at(0, "10:50"))
        ticket.refresh_from_db()
        assert ticket.sla_missed
        assert len([event for event in sla_events(ticket) if event[1] == "resolution"]) == 1
