"""When, if, then: what rules do to tickets, in which order, how often, and what the log says of it."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk.accounts import services as accounts
from helpdesk.accounts.models import Contact, Membership, Workspace
from helpdesk.accounts.tests.factories import ContactFactory, OrganizationFactory, TeamFactory, WorkspaceFactory
from helpdesk.errors import InvalidInput, NotFound
from tickets import deadlines
from tickets.automation import handlers, levels, tasks
from tickets.automation.models import TIMED, TRIGGERS, Rule, Run
from tickets.automation.services import actions, engine, facts, setup
from tickets.automation.tests.factories import NOW, OPTIONS_OF, make_rule, run_rules, runs_of
from tickets.automation.tests.test_pool import in_threads
from tickets.events import SYSTEM, Event, subscriptions
from tickets.models import Activity, Comment, Ticket
from tickets.services import conversation, editing, merging, status
from tickets.tests.factories import CategoryFactory, FieldFactory, make_agent, make_reply, make_ticket

NOTE = {"do": "add_note", "body": "Seen."}


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def agent(workspace: Workspace) -> Membership:
    return make_agent(workspace)


def last(ticket: Ticket, event: str = "") -> Activity:
    rows = ticket.activities.filter(event=event) if event else ticket.activities.all()
    found = rows.order_by("pk").last()
    assert found is not None
    return found


def apply(activity: Activity, now: dt.datetime = NOW) -> int:
    return engine.apply(activity_id=activity.pk, now=now)


def notes(ticket: Ticket) -> list[str]:
    return list(
        Comment.unscoped.filter(ticket=ticket, author_type="system").order_by("pk").values_list("body", flat=True)
    )


def texts(run: Run) -> list[str]:
    return [one["text"] for one in run.done]


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.unscoped.get(pk=ticket.pk)


# --- When -----------------------------------------------------------------------------------------


def _created(ticket: Ticket, agent: Membership) -> None:
    pass


def _customer_replied(ticket: Ticket, agent: Membership) -> None:
    conversation.customer_reply(ticket=ticket, contact=ticket.requester, body="Hello?", channel="email", now=NOW)


def _agent_replied(ticket: Ticket, agent: Membership) -> None:
    make_reply(ticket, agent)


def _status_changed(ticket: Ticket, agent: Membership) -> None:
    status.change_status(ticket=ticket, to="pending", actor=SYSTEM, now=NOW)


def _priority_changed(ticket: Ticket, agent: Membership) -> None:
    editing.update_ticket(ticket=ticket, changes={"priority": "low"}, actor=SYSTEM, now=NOW)


def _category_changed(ticket: Ticket, agent: Membership) -> None:
    category: Any = CategoryFactory(workspace=ticket.workspace)
    editing.update_ticket(ticket=ticket, changes={"category_id": category.pk}, actor=SYSTEM, now=NOW)


def _assignee_changed(ticket: Ticket, agent: Membership) -> None:
    editing.update_ticket(ticket=ticket, changes={"assignee_id": agent.user_id}, actor=SYSTEM, now=NOW)


def _recorded(event: Event, **data: Any) -> Any:
    """What the floors above record: the sweep of the service levels, and the portal."""
    return lambda ticket, agent: Activity.unscoped.create(
        workspace=ticket.workspace,
        ticket=ticket,
        event=event.value,
        occurred_at=NOW,
        actor_kind="system",
        actor_name="Helpdesk",
        payload={"data": data},
    )


HAPPENINGS = {
    "created": _created,
    "customer_replied": _customer_replied,
    "agent_replied": _agent_replied,
    "status_changed": _status_changed,
    "priority_changed": _priority_changed,
    "category_changed": _category_changed,
    "assignee_changed": _assignee_changed,
    "sla_at_risk": _recorded(Event.SLA_AT_RISK),
    "sla_breached": _recorded(Event.SLA_BREACHED),
    "satisfaction_rated": _recorded(Event.SATISFACTION_SUBMITTED, rating=2),
}


@pytest.mark.django_db
class TestWhen:
    def test_every_trigger_is_tried_here(self) -> None:
        elsewhere = {*TIMED, "customer_messages"}  # in test_timed.py, and below
        assert list(HAPPENINGS) == [word for word, _ in TRIGGERS if word not in elsewhere]

    @pytest.mark.parametrize("trigger", HAPPENINGS)
    def test_what_happens_pulls_its_trigger_and_no_other(
        self, workspace: Workspace, agent: Membership, trigger: str
    ) -> None:
        for word, _ in TRIGGERS:
            make_rule(workspace, NOTE, name=word, triggers=[word], **OPTIONS_OF.get(word, {}))
        ticket = make_ticket(workspace)
        if trigger != "created":
            Rule.unscoped.filter(name="created").update(is_active=False)
        HAPPENINGS[trigger](ticket, agent)
        run_rules(ticket)
        (run,) = runs_of(ticket)
        assert (run.rule.name, run.trigger) == (trigger, trigger)

    @pytest.mark.parametrize("trigger", HAPPENINGS)
    def test_what_happens_is_an_event_that_the_automation_hears(
        self, workspace: Workspace, agent: Membership, trigger: str
    ) -> None:
        ticket = make_ticket(workspace)
        HAPPENINGS[trigger](ticket, agent)
        also = ["customer_messages"] if trigger == "customer_replied" else []
        assert facts.triggers_of(last(ticket)) == [trigger, *also]
        assert last(ticket).event in handlers.EVENTS
        assert handlers.TASK in subscriptions.after[last(ticket).event]

    def test_resolving_closing_and_reopening_change_the_status(self, workspace: Workspace) -> None:
        make_rule(workspace, NOTE, triggers=["status_changed"])
        ticket = make_ticket(workspace)
        for word in ("resolved", "closed", "open"):
            status.change_status(ticket=ticket, to=word, actor=SYSTEM, now=NOW)
        assert run_rules(ticket) == 3

    def test_a_note_is_no_reply_and_automatic_mail_is_none(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, NOTE, triggers=["customer_replied", "agent_replied"])
        ticket = make_ticket(workspace)
        make_reply(ticket, agent, internal=True)
        conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="I am away.", channel="email", now=NOW, automatic=True
        )
        assert run_rules(ticket) == 0

    def test_a_custom_field_that_is_called_priority_is_no_priority(self, workspace: Workspace) -> None:
        FieldFactory(workspace=workspace, key="prio", label="priority")
        make_rule(workspace, NOTE, triggers=["priority_changed"])
        ticket = make_ticket(workspace)
        editing.update_ticket(ticket=ticket, changes={"custom_fields": {"prio": "x"}}, actor=SYSTEM, now=NOW)
        assert run_rules(ticket) == 0

    def test_what_pulls_two_triggers_of_a_rule_runs_it_once(self, workspace: Workspace) -> None:
        category: Any = CategoryFactory(workspace=workspace)
        make_rule(workspace, NOTE, triggers=["priority_changed", "category_changed"])
        ticket = make_ticket(workspace)
        changes = {"priority": "low", "category_id": category.pk}
        editing.update_ticket(ticket=ticket, changes=changes, actor=SYSTEM, now=NOW)
        assert run_rules(ticket) == 1

    def test_rules_that_are_off_or_deleted_or_of_another_workspace_are_not_asked(self, workspace: Workspace) -> None:
        make_rule(workspace, NOTE, is_active=False)
        setup.delete_rule(rule=make_rule(workspace, NOTE), now=NOW)
        make_rule(WorkspaceFactory(), NOTE)  # type: ignore[arg-type]
        assert run_rules(make_ticket(workspace)) == 0

    def test_an_activity_that_is_not_there_is_nothing(self) -> None:
        assert engine.apply(activity_id=uuid4(), now=NOW) == 0
        assert tasks.apply_rules(str(uuid4())) == 0

    def test_a_merged_ticket_and_one_in_the_trash_are_left_alone(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, NOTE)
        merged, target, trashed = (make_ticket(workspace) for _ in range(3))
        merging.merge(source=merged, target_id=target.pk, actor=SYSTEM, now=NOW)
        editing.trash(ticket=trashed, actor=SYSTEM, now=NOW)
        log = Activity.unscoped.count()
        assert run_rules(merged) == run_rules(trashed) == 0
        assert Activity.unscoped.count() == log and not Run.unscoped.exists()


# --- If -------------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestFacts:
    def told(self, ticket: Ticket, activity: Activity | None = None) -> Any:
        return facts.facts_of(activity or last(ticket), NOW)

    def test_a_plain_ticket(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        known = self.told(ticket)
        assert known.choices["priority"] == {"medium"} and known.choices["channel"] == {"web"}
        assert known.choices["status"] == {"open", "new"}
        assert known.choices["requester"] == {"jane@customers.example", "@customers.example"}
        for name in ("category", "assignee", "team", "organization", "tag", "sla_state", "language"):
            assert known.choices[name] == set(), name
        assert known.texts == {"subject": ticket.subject, "body": ticket.description}

    def test_an_answered_ticket_is_no_longer_new(self, workspace: Workspace, agent: Membership) -> None:
        ticket = make_ticket(workspace)
        make_reply(ticket, agent)
        assert self.told(ticket).choices["status"] == {"open"}

    def test_who_has_it_which_team_and_which_tags(self, workspace: Workspace, agent: Membership) -> None:
        team: Any = TeamFactory(workspace=workspace)
        ticket = make_ticket(workspace, assignee_id=agent.user_id, team_id=team.pk, tags=["vip", "straße"])
        known = self.told(ticket)
        assert known.choices["assignee"] == {str(agent.user_id)} and known.choices["team"] == {str(team.pk)}
        make_rule(workspace, NOTE, conditions={"all": [{"field": "tag", "is": ["Straße"]}]})
        assert run_rules(ticket) == 1

    def test_a_category_is_also_those_above_it(self, workspace: Workspace) -> None:
        top: Any = CategoryFactory(workspace=workspace)
        inner: Any = CategoryFactory(workspace=workspace, parent=top)
        assert self.told(make_ticket(workspace, category_id=inner.pk)).choices["category"] == {
            str(top.pk), str(inner.pk)
        }  # fmt: skip
        assert self.told(make_ticket(workspace, category_id=top.pk)).choices["category"] == {str(top.pk)}

    def test_the_attributes_are_the_contacts_before_those_of_the_organisation(self, workspace: Workspace) -> None:
        company: Any = OrganizationFactory(workspace=workspace, attributes={"plan": "pro", "language": " DE "})
        contact: Any = ContactFactory(workspace=workspace, organization=company, attributes={"plan": "basic"})
        ticket = make_ticket(workspace, requester_email=contact.email)
        known = self.told(ticket)
        assert known.attributes == {"plan": "basic", "language": " DE "}
        assert known.choices["language"] == {"de"} and known.choices["organization"] == {str(company.pk)}
        Contact.unscoped.update(attributes={"language": "en"})
        assert self.told(ticket).choices["language"] == {"en"}

    @pytest.mark.parametrize("kept", [[], ["a"], "text", 5])
    def test_attributes_that_are_no_object_are_none(self, workspace: Workspace, kept: Any) -> None:
        ticket = make_ticket(workspace)
        Contact.unscoped.update(attributes=kept)
        assert self.told(ticket).attributes == {}

    def test_a_requester_who_was_exchanged_is_asked_about(self, workspace: Workspace) -> None:
        make_rule(workspace, {"do": "add_tags", "tags": ["seen"]})
        make_rule(workspace, NOTE, conditions={"all": [{"field": "requester", "is": ["new@customers.example"]}]})
        ticket = make_ticket(workspace)
        changes = {"requester_email": "new@customers.example"}
        editing.update_ticket(ticket=ticket, changes=changes, actor=SYSTEM, now=NOW)
        assert run_rules(ticket) == 2

    def test_the_body_is_the_message_that_came_or_the_description(
        self, workspace: Workspace, agent: Membership
    ) -> None:
        ticket = make_ticket(workspace, description="First")
        make_reply(ticket, agent, body="Second")
        assert self.told(ticket, last(ticket, "ticket.comment.added")).texts["body"] == "Second"
        assert self.told(ticket, last(ticket, "ticket.created")).texts["body"] == "First"

    def test_the_state_of_the_service_level(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        due = NOW - dt.timedelta(minutes=1)
        one = deadlines.Deadline(
            goal=deadlines.Goal.RESOLUTION, run=deadlines.Run.RUNNING, target=dt.timedelta(hours=1),
            used=dt.timedelta(0), started_at=NOW - dt.timedelta(hours=1), as_of=NOW - dt.timedelta(hours=1), due_at=due,
        )  # fmt: skip
        written = deadlines.write([one], policy_id=str(uuid4()), policy_name="P")
        document = json.loads(json.dumps(written, default=dt.datetime.isoformat))
        Ticket.unscoped.filter(pk=ticket.pk).update(sla=document)
        assert self.told(ticket).choices["sla_state"] == {"breached"}

    @pytest.mark.parametrize("is_open", [True, False])
    def test_business_hours_are_told_by_whoever_knows_them(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, is_open: bool
    ) -> None:
        asked: list[Any] = []

        class Told(levels.ServiceLevels):
            def is_open(self, *given: Any) -> bool:
                asked.append(given)
                return is_open

        monkeypatch.setattr(levels, "_told_by", [])
        levels.are_told_by(Told())
        make_rule(workspace, NOTE, conditions={"all": [{"field": "business_hours", "is": [False]}]})
        assert run_rules(make_ticket(workspace)) == (not is_open)
        assert asked[0] == (workspace.pk, NOW)

    def test_where_nobody_knows_business_hours_it_is_always_open(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(levels, "_told_by", [levels.ServiceLevels()])
        assert self.told(make_ticket(workspace)).in_business_hours is True


@pytest.mark.django_db
class TestAsking:
    """Most events match no rule: that must cost little, however many rules there are."""

    ASKED = (
        {"field": "subject", "contains": ["nothing"]},
        {"field": "body", "contains": ["nothing"]},
        {"field": "category", "is": ["none"]},
        {"field": "tag", "is": ["nothing"]},
        {"field": "business_hours", "is": [True]},
        {"field": "attribute", "name": "plan", "is": ["nothing"]},
    )

    def asking(self, activity: Activity) -> list[str]:
        assert apply(activity) == 0  # reads the rules once
        with CaptureQueriesContext(connection) as queries:
            assert apply(activity) == 0
        return [query["sql"] for query in queries.captured_queries]

    def test_two_hundred_rules_take_as_many_queries_as_two(self, workspace: Workspace) -> None:
        category: Any = CategoryFactory(workspace=workspace)
        ticket = make_ticket(workspace, category_id=category.pk)
        for number in range(2):
            make_rule(workspace, NOTE, name=f"Few {number}", conditions={"all": list(self.ASKED)})
        few = self.asking(last(ticket))
        for number in range(198):
            make_rule(workspace, NOTE, name=f"Many {number}", conditions={"all": list(self.ASKED)})
        many = self.asking(last(ticket))
        assert len(many) == len(few) == 3
        assert not notes(ticket)

    def test_where_no_rule_matches_the_ticket_is_not_locked(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        make_rule(workspace, NOTE, conditions={"all": [{"field": "subject", "contains": ["nothing"]}]})
        statements = self.asking(last(ticket))
        assert len(statements) == 2
        assert not any("FOR UPDATE" in sql for sql in statements)

    def test_what_nobody_asks_about_is_not_looked_up(self, workspace: Workspace) -> None:
        make_rule(workspace, NOTE, conditions={"any": [{"field": "tag", "is": ["nothing"]}]})
        statements = self.asking(last(make_ticket(workspace)))
        assert len(statements) == 2 and "ticket_tags" in statements[-1]
        assert "ticket_categories" not in statements[-1] and "description" not in statements[-1]

    @pytest.mark.parametrize("field", ["category", "tag", "body", "business_hours"])
    def test_what_a_rule_asks_about_is_looked_up(self, workspace: Workspace, field: str) -> None:
        category: Any = CategoryFactory(workspace=workspace)
        ticket = make_ticket(workspace, category_id=category.pk, description="My refund, please.", tags=["vip"])
        asked = {
            "category": {"field": "category", "is": [str(category.pk)]},
            "tag": {"field": "tag", "is": ["vip"]},
            "body": {"field": "body", "contains": ["refund"]},
            "business_hours": {"field": "business_hours", "is": [True]},
        }
        make_rule(workspace, NOTE, conditions={"all": [asked[field]]})
        assert apply(last(ticket, "ticket.created")) == 1
        assert notes(ticket) == ["Seen."]


# --- Then -----------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestThen:
    def do(self, ticket: Ticket, *wanted: dict[str, Any], **changes: Any) -> Run:
        """One rule with these actions, asked; gives its run."""
        rule = make_rule(ticket.workspace, *wanted, name="The rule", **changes)
        run_rules(ticket)
        return Run.unscoped.get(ticket=ticket, rule=rule)

    def by_the_rule(self, activity: Activity) -> bool:
        created = last(fresh(activity.ticket), "ticket.created")
        return (activity.actor_kind, activity.actor_name, activity.cause_id, activity.depth) == (
            "automation", "The rule", created.pk, 1,
        )  # fmt: skip

    def test_every_action_is_tried_here(self) -> None:
        assert set(actions.ACTIONS) == {
            "assign", "set_team", "set_priority", "set_status", "set_category", "add_tags", "remove_tags", "add_note",
            "add_watcher", "set_sla_policy", "send_canned_response", "notify", "send_webhook", "escalate",
        }  # fmt: skip

    def test_assign_to_an_agent(self, workspace: Workspace, agent: Membership) -> None:
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "assign", "user_id": str(agent.user_id)})
        assert fresh(ticket).assignee_id == agent.user_id and texts(run) == [f"assigned to {agent.user}"]
        assert self.by_the_rule(last(ticket, "ticket.assigned"))

    @pytest.mark.parametrize(("method", "words"), [("least_busy", "the least busy"), ("round_robin", "the next")])
    def test_assign_to_whoever_is_chosen(
        self, workspace: Workspace, agent: Membership, method: str, words: str
    ) -> None:
        team: Any = TeamFactory(workspace=workspace)
        team.members.add(agent)
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "assign", "method": method, "team_id": str(team.pk)})
        assert fresh(ticket).assignee_id == agent.user_id
        assert texts(run) == [f"assigned to {agent.user}, {words} of team {team}"]
        assert self.by_the_rule(last(ticket, "ticket.assigned"))

    def test_set_team(self, workspace: Workspace) -> None:
        team: Any = TeamFactory(workspace=workspace)
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "set_team", "team_id": str(team.pk)})
        assert fresh(ticket).team_id == team.pk and texts(run) == [f"given to team {team}"]
        assert self.by_the_rule(last(ticket, "ticket.updated"))

    def test_set_priority(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "set_priority", "priority": "urgent"})
        assert fresh(ticket).priority == "urgent" and texts(run) == ["priority urgent"]
        assert self.by_the_rule(last(ticket, "ticket.updated"))

    def test_set_status(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "set_status", "status": "resolved"})
        assert fresh(ticket).status == "resolved" and texts(run) == ["status resolved"]
        assert self.by_the_rule(last(ticket, "ticket.resolved"))

    def test_set_category(self, workspace: Workspace) -> None:
        category: Any = CategoryFactory(workspace=workspace)
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "set_category", "category_id": str(category.pk)})
        assert fresh(ticket).category_id == category.pk and texts(run) == [f"category {category}"]
        assert self.by_the_rule(last(ticket, "ticket.updated"))

    def test_add_and_remove_tags(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, tags=["old", "kept"])
        run = self.do(ticket, {"do": "add_tags", "tags": ["New", "kept"]}, {"do": "remove_tags", "tags": ["old", "x"]})
        assert set(ticket.tags.values_list("name", flat=True)) == {"kept", "new"}
        assert texts(run) == ["tags new, kept", "without the tags old, x"]
        assert self.by_the_rule(last(ticket, "ticket.updated"))

    def test_add_note(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "add_note", "body": "Call **them**."})
        note = Comment.unscoped.get(ticket=ticket)
        assert (note.author_type, note.author_name, note.is_internal) == ("system", "The rule", True)
        assert "<strong>them</strong>" in note.body_html and texts(run) == ["note added"]
        assert fresh(ticket).first_response_at is None and fresh(ticket).display_status == "new"
        assert self.by_the_rule(last(ticket, "ticket.comment.added"))

    def test_add_watcher(self, workspace: Workspace, agent: Membership) -> None:
        ticket = make_ticket(workspace)
        run = self.do(ticket, *[{"do": "add_watcher", "user_id": str(agent.user_id)}] * 2)
        assert [watcher.user_id for watcher in ticket.watchers.all()] == [agent.user_id]
        assert texts(run) == [f"watched by {agent.user}"] * 2

    @pytest.mark.parametrize(
        ("before", "after", "text"),
        [
            ("low", "medium", "escalated to medium"),
            ("medium", "high", "escalated to high"),
            ("high", "urgent", "escalated to urgent"),
            ("urgent", "urgent", "urgent already"),
        ],
    )
    def test_escalate_is_a_step_up(self, workspace: Workspace, before: str, after: str, text: str) -> None:
        ticket = make_ticket(workspace, priority=before)
        run = self.do(ticket, {"do": "escalate"})
        assert fresh(ticket).priority == after and texts(run) == [text]
        assert run.done[0]["is_done"] is True

    def test_what_is_so_already_is_not_recorded(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        self.do(ticket, {"do": "set_priority", "priority": "medium"}, {"do": "set_status", "status": "open"})
        assert [activity.event for activity in ticket.activities.all()] == ["ticket.created"]

    def test_the_run_says_why(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, subject="Refund please", priority="high")
        run = self.do(
            ticket, NOTE,
            conditions={"all": [
                {"any": [{"field": "subject", "contains": ["refund"]}, {"field": "priority", "is": ["low"]}]},
                {"field": "priority", "is": ["high"]},
            ]},
        )  # fmt: skip
        assert run.reasons == ["subject contains refund", "priority is high"]
        assert (run.trigger, run.ran_at, run.activity) == ("created", NOW, last(ticket, "ticket.created"))

    def test_what_the_lifecycle_refuses_is_logged_and_the_rest_is_done(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        run = self.do(ticket, {"do": "set_status", "status": "closed"}, NOTE)
        assert run.done == [
            {"action": "set_status", "text": "A ticket that is open cannot become closed.", "is_done": False},
            {"action": "add_note", "text": "note added", "is_done": True},
        ]
        assert fresh(ticket).status == "open" and notes(ticket) == ["Seen."]
        run.rule.refresh_from_db()
        assert run.rule.is_active and run.rule.notice == ""

    def test_too_many_tags_are_logged_and_the_rest_is_done(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, tags=[f"t{n}" for n in range(50)])
        run = self.do(ticket, {"do": "add_tags", "tags": ["one more"]}, NOTE)
        assert [one["is_done"] for one in run.done] == [False, True]


# --- In order, and not for ever -------------------------------------------------------------------


@pytest.mark.django_db
class TestOrder:
    def test_rules_are_asked_in_their_order(self, workspace: Workspace) -> None:
        for name, position in (("a", 1), ("b", 1), ("c", 2)):
            make_rule(workspace, {"do": "add_note", "body": name}, name=name, position=position)
        ticket = make_ticket(workspace)
        run_rules(ticket)
        assert notes(ticket) == ["b", "c", "a"]

    def test_one_that_stops_is_the_last_but_only_where_it_matches(self, workspace: Workspace) -> None:
        only_high = {"all": [{"field": "priority", "is": ["high"]}]}
        make_rule(workspace, {"do": "add_note", "body": "first"}, conditions=only_high, stops=True)
        make_rule(workspace, {"do": "add_note", "body": "second"})
        high, low = make_ticket(workspace, priority="high"), make_ticket(workspace, priority="low")
        run_rules(high), run_rules(low)
        assert notes(high) == ["first"] and notes(low) == ["second"]

    def test_a_later_rule_sees_what_an_earlier_one_did_and_an_earlier_one_does_not(self, workspace: Workspace) -> None:
        only_vip = {"all": [{"field": "tag", "is": ["vip"]}, {"field": "priority", "is": ["urgent"]}]}
        make_rule(workspace, {"do": "add_note", "body": "earlier"}, conditions=only_vip)
        make_rule(workspace, {"do": "add_tags", "tags": ["vip"]}, {"do": "set_priority", "priority": "urgent"})
        make_rule(workspace, {"do": "add_note", "body": "later"}, conditions=only_vip)
        ticket = make_ticket(workspace)
        run_rules(ticket)
        assert notes(ticket) == ["later"]

    def test_a_rule_hears_of_what_another_did(self, workspace: Workspace) -> None:
        make_rule(workspace, {"do": "escalate"}, name="one")
        make_rule(workspace, NOTE, name="two", triggers=["priority_changed"])
        ticket = make_ticket(workspace)
        run_rules(ticket)
        note = last(ticket, "ticket.comment.added")
        change = last(ticket, "ticket.updated")
        assert (note.cause_id, note.depth, change.depth) == (change.pk, 2, 1)

    def undo_each_other(self, workspace: Workspace, **changes: Any) -> Ticket:
        for here, there in (("high", "low"), ("low", "high")):
            make_rule(
                workspace,
                {"do": "set_priority", "priority": there},
                triggers=["priority_changed"],
                conditions={"all": [{"field": "priority", "is": [here]}]},
                **changes,
            )
        ticket = make_ticket(workspace)
        editing.update_ticket(ticket=ticket, changes={"priority": "high"}, actor=SYSTEM, now=NOW)
        return ticket

    def test_two_rules_that_undo_each_other_stop_at_ten_and_say_so(self, workspace: Workspace) -> None:
        ticket = self.undo_each_other(workspace, stops=True)
        assert run_rules(ticket) == 11
        changes = list(ticket.activities.filter(event="ticket.updated").order_by("pk").values_list("depth", flat=True))
        assert changes == list(range(11))
        *done, stopped = runs_of(ticket)
        assert all(run.done[0]["is_done"] for run in done)
        assert stopped.done == [
            {
                "action": "",
                "text": "Stopped: 10 rules have followed from each other. Do two of them undo each other?",
                "is_done": False,
            }
        ]
        assert fresh(ticket).priority == "high"

    def test_also_where_each_of_their_events_makes_both_run(self, workspace: Workspace) -> None:
        """Ten steps of two runs each would be a thousand runs."""
        ticket = self.undo_each_other(workspace)
        assert run_rules(ticket) == 21
        runs = runs_of(ticket)
        assert [run.done[0]["is_done"] for run in runs] == [True] * 20 + [False]
        assert texts(runs[-1]) == ["Stopped: it has run 10 times because of one event. Do two rules undo each other?"]
        first = ticket.activities.get(event="ticket.updated", depth=0)
        assert {run.root_id for run in runs if run.activity_id != first.pk} == {first.pk}
        assert {run.root_id for run in runs if run.activity_id == first.pk} == {None}
        editing.update_ticket(ticket=ticket, changes={"priority": "medium"}, actor=SYSTEM, now=NOW)
        editing.update_ticket(ticket=ticket, changes={"priority": "low"}, actor=SYSTEM, now=NOW)
        assert engine.apply(activity_id=last(ticket).pk, now=NOW) == 1  # another event, another beginning


@pytest.mark.django_db
class TestOnce:
    def test_an_activity_that_is_delivered_again_changes_nothing(self, workspace: Workspace) -> None:
        make_rule(workspace, NOTE, {"do": "escalate"})
        ticket = make_ticket(workspace)
        created = last(ticket)
        assert [apply(created), apply(created)] == [1, 0]
        assert notes(ticket) == ["Seen."] and fresh(ticket).priority == "high" and len(runs_of(ticket)) == 1

    def test_nor_does_it_reach_rules_that_one_had_stopped_before(self, workspace: Workspace) -> None:
        make_rule(workspace, NOTE, stops=True)
        make_rule(workspace, {"do": "add_note", "body": "never"})
        ticket = make_ticket(workspace)
        created = last(ticket)
        assert [apply(created), apply(created)] == [1, 0] and notes(ticket) == ["Seen."]

    def test_nor_rules_that_match_only_since(self, workspace: Workspace) -> None:
        urgent = {"all": [{"field": "priority", "is": ["urgent"]}]}
        make_rule(workspace, {"do": "add_note", "body": "never"}, conditions=urgent)
        make_rule(workspace, {"do": "set_priority", "priority": "urgent"})
        ticket = make_ticket(workspace)
        created = last(ticket)
        assert [apply(created), apply(created)] == [1, 0] and notes(ticket) == []

    def test_a_second_activity_runs_it_again(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, NOTE, triggers=["agent_replied"])
        ticket = make_ticket(workspace)
        make_reply(ticket, agent), make_reply(ticket, agent)
        assert run_rules(ticket) == 2


# --- What is gone ---------------------------------------------------------------------------------


@pytest.mark.django_db
class TestGone:
    def gone(self, workspace: Workspace, what: str) -> tuple[dict[str, Any], Any]:
        """An action, and how what it names goes."""
        team: Any = TeamFactory(workspace=workspace)
        category: Any = CategoryFactory(workspace=workspace)
        member = make_agent(workspace)
        return {
            "team": ({"do": "set_team", "team_id": str(team.pk)}, team.delete),
            "team of the least busy": (
                {"do": "assign", "method": "least_busy", "team_id": str(team.pk)}, team.delete
            ),
            "category": (
                {"do": "set_category", "category_id": str(category.pk)},
                lambda: type(category).unscoped.filter(pk=category.pk).update(archived_at=NOW),
            ),
            "agent who left": (
                {"do": "assign", "user_id": str(member.user_id)},
                lambda: accounts.deactivate_member(membership=member, by=None, now=NOW),
            ),
            "agent who only reads": (
                {"do": "assign", "user_id": str(member.user_id)},
                lambda: Membership.unscoped.filter(pk=member.pk).update(role="light"),
            ),
            "membership": (
                {"do": "assign", "user_id": str(member.user_id)},
                lambda: Membership.unscoped.filter(pk=member.pk).delete(),
            ),
            "watcher": (
                {"do": "add_watcher", "user_id": str(member.user_id)},
                lambda: accounts.deactivate_member(membership=member, by=None, now=NOW),
            ),
        }[what]  # fmt: skip

    @pytest.mark.parametrize(
        ("what", "notice"),
        [
            ("team", "Switched off: There is no such team. (set team)"),
            ("team of the least busy", "Switched off: There is no such team. (assign)"),
            ("category", "Switched off: There is no such category. (set category)"),
            ("agent who left", "cannot be given tickets. (assign)"),
            ("agent who only reads", "cannot be given tickets. (assign)"),
            ("membership", "Switched off: There is no such agent. (assign)"),
            ("watcher", "Switched off: There is no such agent. (add watcher)"),
        ],
    )
    def test_a_rule_that_names_it_is_switched_off_with_a_notice_and_nothing_else_fails(
        self, workspace: Workspace, what: str, notice: str
    ) -> None:
        action, go = self.gone(workspace, what)
        rule = make_rule(workspace, {"do": "escalate"}, action, NOTE)
        make_rule(workspace, {"do": "add_note", "body": "other"})
        go()
        ticket = make_ticket(workspace)
        run_rules(ticket)
        rule.refresh_from_db()
        assert not rule.is_active and rule.notice.endswith(notice) and rule.notice.startswith("Switched off: ")
        first, second = runs_of(ticket)
        assert [one["is_done"] for one in first.done] == [True, False, True]
        assert second.done[0]["is_done"] and notes(ticket) == ["Seen.", "other"]
        assert fresh(ticket).priority == "high"
        another = make_ticket(workspace)
        assert run_rules(another) == 1 and notes(another) == ["other"]

    def test_one_that_is_switched_on_again_loses_the_notice(self, workspace: Workspace) -> None:
        rule = make_rule(workspace, NOTE)
        Rule.unscoped.update(is_active=False, notice="Switched off: …")
        rule = setup.save_rule(workspace=workspace, rule=rule, changes={"name": "Other"}, now=NOW)
        assert rule.notice
        rule = setup.save_rule(workspace=workspace, rule=rule, changes={"is_active": True}, now=NOW)
        assert rule.is_active and rule.notice == ""

    def test_one_that_was_mended_meanwhile_stays_on(self, workspace: Workspace) -> None:
        team: Any = TeamFactory(workspace=workspace)
        stale = make_rule(workspace, {"do": "set_team", "team_id": str(team.pk)})
        later = NOW + dt.timedelta(seconds=1)
        setup.save_rule(workspace=workspace, rule=stale, changes={"actions": [NOTE]}, now=later)
        engine._switch_off(stale, "There is no such team.", later)
        stale.refresh_from_db()
        assert stale.is_active and stale.notice == ""

    def test_conditions_that_nobody_can_read_switch_off_their_rule_alone(self, workspace: Workspace) -> None:
        broken = make_rule(workspace, NOTE)
        Rule.unscoped.update(conditions={"all": [{"field": "moon", "is": ["full"]}]})
        make_rule(workspace, {"do": "add_note", "body": "other"})
        ticket = make_ticket(workspace)
        assert run_rules(ticket) == 1 and notes(ticket) == ["other"]
        broken.refresh_from_db()
        assert not broken.is_active and "There is no field 'moon'." in broken.notice


@pytest.mark.django_db
class TestSaving:
    @pytest.mark.parametrize(
        ("action", "place"),
        [
            (None, "actions.0.do"),
            ({"do": "explode"}, "actions.0.do"),
            ({"do": []}, "actions.0.do"),
            ({"do": "set_team", "team_id": None}, "actions.0.team_id"),
            ({"do": "set_team"}, "actions.0.team_id"),
            ({"do": "set_team", "team_id": 5}, "actions.0.team_id"),
            ({"do": "assign"}, "actions.0.method"),
            ({"do": "assign", "method": ["least_busy"]}, "actions.0.method"),
            ({"do": "assign", "user_id": None}, "actions.0.user_id"),
            ({"do": "assign", "user_id": "x", "method": "least_busy"}, "actions.0.method"),
            ({"do": "set_priority", "priority": {}}, "actions.0.priority"),
            ({"do": "set_status", "status": "new"}, "actions.0.status"),
            ({"do": "set_category", "category_id": None}, "actions.0.category_id"),
            ({"do": "add_tags", "tags": []}, "actions.0.tags"),
            ({"do": "add_tags", "tags": [5]}, "actions.0.tags"),
            ({"do": "add_note", "body": " "}, "actions.0.body"),
            ({"do": "add_note", "body": "a\0"}, "actions.0.body"),
            ({"do": "escalate", "loudly": True}, "actions.0.loudly"),
        ],
    )
    def test_an_action_that_is_wrong_is_refused_by_its_place(
        self, workspace: Workspace, action: Any, place: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            make_rule(workspace, action)
        assert list(refused.value.errors) == [place]
        assert not Rule.unscoped.exists()

    def test_foreign_teams_categories_and_people_are_not_there(self, workspace: Workspace) -> None:
        team: Any = TeamFactory()
        category: Any = CategoryFactory()
        stranger = make_agent(WorkspaceFactory())  # type: ignore[arg-type]
        for action in (
            {"do": "set_team", "team_id": str(team.pk)},
            {"do": "assign", "method": "least_busy", "team_id": str(team.pk)},
            {"do": "set_category", "category_id": str(category.pk)},
            {"do": "assign", "user_id": str(stranger.user_id)},
            {"do": "add_watcher", "user_id": str(stranger.user_id)},
        ):
            with pytest.raises(NotFound):
                make_rule(workspace, action)
        assert not Rule.unscoped.exists()

    def test_a_light_agent_can_watch_and_not_be_given_tickets(self, workspace: Workspace) -> None:
        light = make_agent(workspace, "light")
        make_rule(workspace, {"do": "add_watcher", "user_id": str(light.user_id)})
        with pytest.raises(InvalidInput) as refused:
            make_rule(workspace, {"do": "assign", "user_id": str(light.user_id)})
        assert list(refused.value.errors) == ["actions.0.user_id"]

    def test_conditions_are_refused_by_their_place(self, workspace: Workspace) -> None:
        with pytest.raises(InvalidInput) as refused:
            make_rule(workspace, NOTE, conditions={"all": [{"field": "moon"}]})
        assert list(refused.value.errors) == ["conditions.all.0.field"]


# --- How much it costs ----------------------------------------------------------------------------


@pytest.mark.django_db
class TestCost:
    def queries(self, ticket: Ticket) -> int:
        activity = last(ticket)
        assert apply(activity) == 0  # reads the rules once
        with CaptureQueriesContext(connection) as caught:
            assert apply(activity) == 0
        return len(caught)

    def test_fifty_rules_that_match_nothing_cost_as_many_queries_as_one(self, workspace: Workspace) -> None:
        company: Any = OrganizationFactory(workspace=workspace)
        ContactFactory(workspace=workspace, organization=company, email="jane@customers.example")
        category: Any = CategoryFactory(workspace=workspace)
        ticket = make_ticket(workspace, tags=["a"], category_id=category.pk)
        nothing = {
            "all": [
                {"field": "subject", "contains": ["refund"]},
                {"field": "category", "is": ["none"]},
                {"field": "organization", "is": ["none"]},
                {"field": "business_hours", "is": [False]},
            ]
        }
        make_rule(workspace, NOTE, conditions=nothing)
        one = self.queries(ticket)
        for _ in range(49):
            make_rule(workspace, NOTE, conditions=nothing)
        assert self.queries(ticket) == one <= 3

    def test_an_event_that_pulls_no_trigger_costs_one_query(self, workspace: Workspace) -> None:
        make_rule(workspace, NOTE)
        ticket = make_ticket(workspace)
        editing.update_ticket(ticket=ticket, changes={"subject": "Other"}, actor=SYSTEM, now=NOW)
        assert self.queries(ticket) == 1


# --- A worker that dies in the middle -------------------------------------------------------------

WORKER = """
import sys, time, django
django.setup()
import datetime as dt
from uuid import UUID
from tickets.automation.services import actions, engine
perform = actions.perform
def slowly(action, ticket, doing):
    text = perform(action, ticket, doing)
    print("done", action["do"], flush=True)
    sys.stdin.readline()
    return text
actions.perform = slowly
engine.apply(activity_id=UUID(sys.argv[1]), now=dt.datetime.fromisoformat(sys.argv[2]))
"""


@pytest.mark.django_db(transaction=True)
class TestKilled:
    ACTIONS = (NOTE, {"do": "escalate"}, {"do": "assign", "method": "least_busy", "team_id": None})

    def whole(self, ticket: Ticket, agent: Membership) -> None:
        """Everything happened, once."""
        assert notes(ticket) == ["Seen."] and fresh(ticket).priority == "high"
        assert fresh(ticket).assignee_id == agent.user_id and ticket.assignments.count() == 1
        assert len(runs_of(ticket)) == 1
        assert [activity.event for activity in ticket.activities.order_by("pk")] == [
            "ticket.created", "ticket.comment.added", "ticket.updated", "ticket.assigned",
        ]  # fmt: skip

    def nothing(self, ticket: Ticket) -> None:
        assert notes(ticket) == [] and fresh(ticket).priority == "medium" and runs_of(ticket) == []
        assert ticket.activities.count() == 1

    def test_an_error_after_the_first_action_leaves_nothing_and_the_second_delivery_does_it_all(
        self, workspace: Workspace, agent: Membership, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_rule(workspace, *self.ACTIONS)
        ticket = make_ticket(workspace)
        created = last(ticket)

        def fails(*_: Any, **__: Any) -> None:
            raise RuntimeError("the power went")

        with monkeypatch.context() as broken:
            broken.setitem(actions._DO, "escalate", fails)
            with pytest.raises(RuntimeError):
                apply(created)
        self.nothing(ticket)
        assert [apply(created), apply(created)] == [1, 0]
        self.whole(ticket, agent)

    def test_a_worker_that_is_killed_between_two_actions_leaves_nothing_and_the_next_does_each_once(
        self, workspace: Workspace, agent: Membership
    ) -> None:
        make_rule(workspace, *self.ACTIONS)
        ticket = make_ticket(workspace)
        created = last(ticket)
        known = connection.settings_dict
        host, port = str(known["HOST"]).replace("/", "%2F"), f":{known['PORT']}" if known["PORT"] else ""
        password = f":{known['PASSWORD']}" if known["PASSWORD"] else ""
        environment = os.environ | {
            "DATABASE_URL": f"postgres://{known['USER']}{password}@{host}{port}/{known['NAME']}",
            "ENVIRONMENT": "test",
        }
        with subprocess.Popen(
            [sys.executable, "-c", WORKER, str(created.pk), NOW.isoformat()],
            env=environment, cwd=settings.BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as worker:  # fmt: skip
            try:
                assert worker.stdout and worker.stdin
                assert worker.stdout.readline() == "done add_note\n"
                worker.stdin.write("go on\n")
                worker.stdin.flush()
                assert worker.stdout.readline() == "done escalate\n"
                self.nothing(ticket)
            finally:
                worker.send_signal(signal.SIGKILL)
        self.nothing(ticket)
        end = time.monotonic() + 20
        while time.monotonic() < end:  # the server notices a killed client in its own time; then its row is free
            with transaction.atomic():
                if Ticket.unscoped.select_for_update(skip_locked=True).filter(pk=ticket.pk).exists():
                    break
            time.sleep(0.05)
        assert [apply(created), apply(created)] == [1, 0]
        self.whole(ticket, agent)

    def test_two_workers_with_the_same_activity_run_it_once(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, *self.ACTIONS)
        ticket = make_ticket(workspace)
        created = last(ticket)
        assert sorted(in_threads(4, lambda _: apply(created))) == [0, 0, 0, 1]
        self.whole(ticket, agent)
