"""The dry run of a rule: what would have matched in the last days, as of then, and nothing is written."""

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import OrganizationFactory, TeamFactory, WorkspaceFactory
from helpdesk.errors import NotFound
from tickets.automation import levels, tasks
from tickets.automation.models import DryRun, DryRunRow, Rule, Run
from tickets.automation.services import dry_run, engine, setup
from tickets.automation.tests.factories import NOW, make_rule
from tickets.events import SYSTEM, Event
from tickets.models import Activity, Comment, Ticket
from tickets.services import base, conversation, editing, merging, status
from tickets.tests.factories import CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
NOTE = {"do": "add_note", "body": "Call them."}


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def agent(workspace: Workspace) -> Membership:
    return make_agent(workspace, user__name="Sam")


def asking(field: str, *values: Any, word: str = "is") -> dict[str, Any]:
    return {"all": [{"field": field, word: list(values)}]}


def try_rule(rule: Rule, now: dt.datetime) -> DryRun:
    asked = dry_run.ask(rule=rule, member=None, now=now)
    assert dry_run.run(dry_run_id=asked.pk, clock=lambda: now)
    asked.refresh_from_db()
    assert (asked.status, asked.error, asked.percent) == ("done", "", 100)
    return asked


def rows(asked: DryRun, matched: bool | None = None) -> list[DryRunRow]:
    return list(dry_run.rows_of(asked, matched=matched).select_related("ticket"))


def texts(row: DryRunRow) -> list[str]:
    return [change["text"] for change in row.changes]


def write(ticket: Ticket, at: dt.datetime, **changes: Any) -> None:
    given = {"body": "Hello?", "channel": "email", **changes}
    conversation.customer_reply(ticket=ticket, contact=ticket.requester, now=at, **given)


def change(ticket: Ticket, at: dt.datetime, **changes: Any) -> None:
    editing.update_ticket(ticket=ticket, changes=changes, actor=SYSTEM, now=at)


# --- What it finds ----------------------------------------------------------------------------


class TestFinding:
    def test_counts_what_matches_and_says_why_the_others_do_not(self, workspace: Workspace) -> None:
        rule = make_rule(
            workspace,
            {"do": "set_priority", "priority": "urgent"},
            conditions={
                "all": [
                    {"field": "priority", "is": ["high", "urgent"]},
                    {"any": [{"field": "subject", "contains": ["refund"]}, {"field": "channel", "is": ["email"]}]},
                ]
            },
        )
        hit = make_ticket(workspace, subject="A refund please", priority="high")
        miss = make_ticket(workspace, now=NOW + hours(1))
        asked = try_rule(rule, NOW + hours(2))
        assert (asked.events, asked.tickets, asked.matched_events, asked.matched_tickets) == (2, 2, 1, 1)
        assert (asked.done, asked.total) == (2, 2)
        (matched,) = rows(asked, matched=True)
        assert (matched.ticket, matched.trigger, matched.happened_at) == (hit, "created", NOW)
        assert texts(matched) == ["priority high → urgent"]
        assert [(one["text"], one["is_met"], one["was"], one["depth"]) for one in matched.reasons] == [
            ("priority is high or urgent", True, "high", 0),
            ("any of these", True, "", 0),
            ("subject contains “refund”", True, "", 1),
            ("channel is email", False, "web", 1),
        ]
        (other,) = rows(asked, matched=False)
        assert (other.ticket, other.changes) == (miss, [])
        assert other.reasons[0] == {
            "text": "priority is high or urgent", "is_met": False, "was": "medium", "depth": 0,
        }  # fmt: skip

    def test_facts_are_those_of_the_moment_not_those_of_today(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, priority="low")
        change(ticket, NOW + hours(1), priority="urgent")
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW + hours(2))
        rule = make_rule(
            workspace,
            {"do": "set_priority", "priority": "high"},
            conditions={"all": [{"field": "priority", "is": ["low"]}, {"field": "status", "is": ["new"]}]},
        )
        asked = try_rule(rule, NOW + hours(3))
        assert asked.matched_events == 1
        assert texts(rows(asked)[0]) == ["priority low → high"]

    @pytest.mark.parametrize("word", ["category", "team", "assignee", "organization"])
    def test_names_stand_in_the_place_of_ids(self, workspace: Workspace, agent: Membership, word: str) -> None:
        team, category = (
            TeamFactory(workspace=workspace, name="Billing"),
            CategoryFactory(workspace=workspace, name="Money"),
        )
        acme = OrganizationFactory(workspace=workspace, name="Acme")
        known = {"category": category.pk, "team": team.pk, "assignee": agent.user_id, "organization": acme.pk}
        names = {"category": "Money", "team": "Billing", "assignee": "Sam", "organization": "Acme"}
        make_ticket(workspace)
        rule = make_rule(workspace, NOTE, conditions=asking(word, str(known[word]), "none"))
        label = "organisation" if word == "organization" else word
        (row,) = rows(try_rule(rule, NOW + hours(1)))
        assert row.reasons == [{"text": f"{label} is {names[word]} or none", "is_met": True, "was": "none", "depth": 0}]

    def test_a_category_has_those_above_it(self, workspace: Workspace) -> None:
        above = CategoryFactory(workspace=workspace, name="Money")
        below = CategoryFactory(workspace=workspace, name="Refunds", parent=above)
        make_ticket(workspace, category_id=below.pk)
        rule = make_rule(workspace, NOTE, conditions=asking("category", str(above.pk)))
        (row,) = rows(try_rule(rule, NOW + hours(1)))
        assert (row.is_matched, row.reasons[0]["was"]) == (True, "Refunds")

    def test_only_the_last_thirty_days_count(self, workspace: Workspace) -> None:
        make_ticket(workspace, now=NOW - dt.timedelta(days=31))
        inside = make_ticket(workspace, now=NOW - dt.timedelta(days=29))
        asked = try_rule(make_rule(workspace, NOTE), NOW)
        assert [row.ticket for row in rows(asked)] == [inside]

    def test_other_workspaces_are_not_seen(self, workspace: Workspace) -> None:
        make_ticket(WorkspaceFactory())
        asked = try_rule(make_rule(workspace, NOTE), NOW + hours(1))
        assert (asked.total, asked.events) == (0, 0)

    def test_merged_and_trashed_tickets_are_left_alone_as_by_the_engine(self, workspace: Workspace) -> None:
        kept, merged, trashed = (make_ticket(workspace) for _ in range(3))
        merging.merge(source=merged, target_id=kept.pk, actor=SYSTEM, now=NOW + hours(1))
        editing.trash(ticket=trashed, actor=SYSTEM, now=NOW + hours(1))
        asked = try_rule(make_rule(workspace, NOTE), NOW + hours(2))
        assert [row.ticket for row in rows(asked)] == [kept]

    def test_the_text_is_that_of_the_message_as_it_stood(self, workspace: Workspace, agent: Membership) -> None:
        ticket = make_ticket(workspace, description="Nothing of the kind.")
        reply = make_reply(ticket, agent, body="Here is your refund.", now=NOW + hours(1))
        conversation.edit_comment(comment=reply, editor=agent, body="No.", now=NOW + hours(2))
        rule = make_rule(
            workspace,
            NOTE,
            triggers=["agent_replied", "created"],
            conditions=asking("body", "refund", word="contains"),
        )
        asked = try_rule(rule, NOW + hours(3))
        assert [(row.trigger, row.is_matched) for row in rows(asked)] == [("agent_replied", True), ("created", False)]

    def test_business_hours_are_those_of_the_moment(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Mornings(levels.ServiceLevels):
            def opening(self, workspace_id: UUID) -> Any:
                return lambda moment: moment.hour < 12

        monkeypatch.setattr(levels, "_told_by", [Mornings()])
        make_ticket(workspace, now=NOW)
        make_ticket(workspace, now=NOW + hours(4))
        rule = make_rule(workspace, NOTE, conditions=asking("business_hours", False))
        found = rows(try_rule(rule, NOW + hours(5)))
        assert [(row.is_matched, row.reasons[0]["text"], row.reasons[0]["was"]) for row in found] == [
            (True, "outside business hours", "outside"),
            (False, "outside business hours", "within"),
        ]

    def test_a_rule_without_conditions_matches_everything(self, workspace: Workspace) -> None:
        make_ticket(workspace)
        (row,) = rows(try_rule(make_rule(workspace, NOTE), NOW + hours(1)))
        assert (row.is_matched, row.reasons) == (True, [])

    def test_it_finds_what_the_engine_did(self, workspace: Workspace, agent: Membership) -> None:
        """Rules that ran as things happened, and the same ones tried afterwards, match the same."""
        rules = [
            make_rule(workspace, {"do": "add_tags", "tags": ["seen"]}, triggers=["customer_replied"]),
            make_rule(
                workspace, {"do": "add_tags", "tags": ["b"]}, triggers=["status_changed", "priority_changed"],
                conditions=asking("status", "open"),
            ),
            make_rule(
                workspace, {"do": "add_tags", "tags": ["c"]}, triggers=["customer_messages"], message_count=2,
            ),
            make_rule(
                workspace, {"do": "add_tags", "tags": ["d"]}, triggers=["agent_replied", "assignee_changed"],
                conditions=asking("tag", "seen"),
            ),
        ]  # fmt: skip
        heard: set[UUID] = set()

        def hear_new(ticket: Ticket, now: dt.datetime) -> None:
            """Each activity once, as workers do, and what follows from it."""
            while new := [one for one in ticket.activities.order_by("pk") if one.pk not in heard]:
                for one in new:
                    heard.add(one.pk)
                    engine.apply(activity_id=one.pk, now=now)

        tickets = [make_ticket(workspace, now=NOW + hours(n)) for n in range(2)]
        at = NOW + hours(3)
        for ticket in tickets:
            for step in (
                lambda t, now: write(t, now),
                lambda t, now: write(t, now),
                lambda t, now: change(t, now, priority="high"),
                lambda t, now: make_reply(t, agent, now=now, then="pending"),
                lambda t, now: change(t, now, assignee_id=agent.user_id),
                lambda t, now: write(t, now),
                lambda t, now: write(t, now),
                lambda t, now: status.change_status(ticket=t, to="resolved", actor=SYSTEM, now=now),
                lambda t, now: write(t, now),
            ):
                at += hours(1)
                step(ticket, at)
                hear_new(ticket, at + dt.timedelta(seconds=1))
        ran = {(run.rule_id, run.activity_id) for run in Run.unscoped.all()}
        tried = {
            (rule.pk, row.activity_id) for rule in rules for row in rows(try_rule(rule, at + hours(1)), matched=True)
        }
        assert tried == ran and len(ran) > 20


class TestTimes:
    def test_no_response_since_the_first_message_that_nobody_answered(
        self, workspace: Workspace, agent: Membership
    ) -> None:
        rule = make_rule(workspace, NOTE, triggers=["no_response"], no_response_hours=4)
        ticket = make_ticket(workspace)
        write(ticket, NOW + hours(1))
        make_reply(ticket, agent, internal=True, now=NOW + hours(2))  # a note answers nothing
        make_reply(ticket, agent, now=NOW + hours(5))
        write(ticket, NOW + hours(10))
        make_reply(ticket, agent, now=NOW + hours(13))  # in time
        write(ticket, NOW + hours(20))
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW + hours(21))  # answers, too
        asked = try_rule(rule, NOW + hours(40))
        assert [(row.trigger, row.happened_at) for row in rows(asked)] == [("no_response", NOW + hours(4))]
        write(ticket, NOW + hours(41))
        assert [row.happened_at for row in rows(try_rule(rule, NOW + hours(50)))] == [NOW + hours(45), NOW + hours(4)]
        # What has not come yet would not have been.
        assert len(rows(try_rule(rule, NOW + hours(44)))) == 1

    def test_it_counts_business_hours(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        class Slow(levels.ServiceLevels):
            def business_time(self, workspace_id: UUID) -> levels.Reckoner:
                return lambda start, duration: start + 3 * duration

        monkeypatch.setattr(levels, "_told_by", [Slow()])
        make_ticket(workspace)
        rule = make_rule(workspace, NOTE, triggers=["no_response"], no_response_hours=4)
        assert [row.happened_at for row in rows(try_rule(rule, NOW + hours(40)))] == [NOW + hours(12)]

    def test_a_wait_that_began_before_these_days_ends_in_them(self, workspace: Workspace) -> None:
        rule = make_rule(workspace, NOTE, triggers=["no_response", "idle"], no_response_hours=72, idle_hours=96)
        make_ticket(workspace, now=NOW - dt.timedelta(days=32))
        assert [(row.trigger, row.happened_at) for row in rows(try_rule(rule, NOW))] == [
            ("idle", NOW - dt.timedelta(days=28)),
            ("no_response", NOW - dt.timedelta(days=29)),
        ]

    def test_idle_since_an_agent_or_a_customer_last_did_anything(self, workspace: Workspace, agent: Membership) -> None:
        rule = make_rule(workspace, NOTE, triggers=["idle"], idle_hours=10)
        ticket = make_ticket(workspace)
        change(ticket, NOW + hours(9), priority="low")  # the helpdesk itself is nobody
        make_reply(ticket, agent, now=NOW + hours(11))
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(agent), now=NOW + hours(15))
        asked = try_rule(rule, NOW + hours(100))  # resolved: nobody waits
        assert [(row.happened_at, row.trigger) for row in rows(asked)] == [(NOW + hours(10), "idle")]
        (row,) = rows(asked)
        assert row.activity_id == ticket.activities.get(event="ticket.created").pk

    def test_as_many_messages_in_a_row_as_asked_for_count_once_per_row(
        self, workspace: Workspace, agent: Membership
    ) -> None:
        rule = make_rule(workspace, NOTE, triggers=["customer_messages"], message_count=2)
        ticket = make_ticket(workspace)
        for n in (1, 2, 3):
            write(ticket, NOW + hours(n))
        make_reply(ticket, agent, now=NOW + hours(4))
        write(ticket, NOW + hours(5))
        write(ticket, NOW + hours(6), automatic=True)  # a machine's
        make_reply(ticket, agent, internal=True, now=NOW + hours(7))
        write(ticket, NOW + hours(8))
        asked = try_rule(rule, NOW + hours(9))
        assert [row.happened_at for row in rows(asked)] == [NOW + hours(8), NOW + hours(2)]

    def test_a_rating_is_seen_though_the_ticket_was_not_touched(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=NOW - dt.timedelta(days=40))
        for n, rating in enumerate((1, 5)):
            Activity.unscoped.create(
                workspace=workspace,
                ticket=ticket,
                event=Event.SATISFACTION_SUBMITTED,
                occurred_at=NOW + hours(n),
                actor_kind="customer",
                actor_name="Jane",
                payload={"data": {"rating": rating, "feedback": ""}},
            )
        rule = make_rule(workspace, NOTE, triggers=["satisfaction_rated"], conditions=asking("rating", "1", "2"))
        found = rows(try_rule(rule, NOW + hours(2)))
        assert [(row.is_matched, row.reasons[0]["was"]) for row in found] == [(False, "5"), (True, "1")]


# --- How it is done ---------------------------------------------------------------------------


def everything() -> list[Any]:
    models = (Ticket, Activity, Comment, Rule, Run)
    return [list(model.unscoped.order_by("pk").values()) for model in models]


class TestReadingOnly:
    def test_nothing_but_its_own_rows_is_written(self, workspace: Workspace, agent: Membership) -> None:
        ticket = make_ticket(workspace)
        make_reply(ticket, agent, now=NOW + hours(1))
        rule = make_rule(workspace, NOTE, {"do": "escalate"}, triggers=["created", "agent_replied"])
        before = everything()
        assert try_rule(rule, NOW + hours(2)).matched_events == 2
        assert everything() == before

    def test_the_database_refuses_to_write(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        with pytest.raises(DatabaseError, match="read-only"), dry_run.reading_only():
            change(ticket, NOW, priority="urgent")
        assert not connection.needs_rollback

    def test_a_batch_that_would_write_is_refused(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        ticket = make_ticket(workspace)
        rule = make_rule(workspace, NOTE)

        def meddle(*_: Any) -> Any:
            change(ticket, NOW, priority="urgent")

        monkeypatch.setattr(dry_run, "preview", meddle)
        asked = dry_run.ask(rule=rule, member=None, now=NOW + hours(1))
        before = everything()
        with pytest.raises(DatabaseError, match="read-only"):
            dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW)
        assert everything() == before


class TestAsking:
    def test_it_is_queued_after_the_commit(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        queued: list[Any] = []
        monkeypatch.setattr(
            "tickets.dispatch.celery_app.send_task", lambda name, args, **more: queued.append((name, args))
        )
        rule = make_rule(workspace, NOTE)
        with django_capture_on_commit_callbacks() as callbacks:
            asked = dry_run.ask(rule=rule, member=None, now=NOW)
        assert queued == []
        for callback in callbacks:
            callback()
        assert (dry_run.TASK, [str(asked.pk)]) in queued
        assert tasks.run_dry_run.name == dry_run.TASK

    def test_asking_again_while_it_runs_gives_the_same(self, workspace: Workspace) -> None:
        rule = make_rule(workspace, NOTE)
        first = dry_run.ask(rule=rule, member=None, now=NOW)
        assert dry_run.ask(rule=rule, member=None, now=NOW) == first
        changed = setup.save_rule(workspace=workspace, rule=rule, changes={"actions": [{"do": "escalate"}]}, now=NOW)
        assert dry_run.ask(rule=changed, member=None, now=NOW) != first

    def test_the_last_three_of_a_rule_are_kept(self, workspace: Workspace) -> None:
        make_ticket(workspace)
        rule, other = make_rule(workspace, NOTE), make_rule(workspace, NOTE)
        kept = try_rule(other, NOW)
        made = [try_rule(rule, NOW + hours(n)) for n in range(1, 6)]
        assert list(dry_run.of_rule(rule)) == made[:1:-1]
        assert list(dry_run.of_rule(other)) == [kept]
        assert DryRunRow.unscoped.filter(dry_run__rule=rule).count() == 3

    def test_it_is_about_the_rule_as_it_was_asked(self, workspace: Workspace) -> None:
        make_ticket(workspace)
        rule = make_rule(workspace, NOTE)
        asked = dry_run.ask(rule=rule, member=None, now=NOW + hours(1))
        setup.save_rule(workspace=workspace, rule=rule, changes={"conditions": asking("priority", "low")}, now=NOW)
        dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW)
        assert rows(asked)[0].is_matched

    def test_a_deleted_rule_cannot_be_tried(self, workspace: Workspace) -> None:
        rule = make_rule(workspace, NOTE)
        asked = try_rule(rule, NOW)
        setup.delete_rule(rule=rule, now=NOW)
        with pytest.raises(NotFound):
            dry_run.ask(rule=rule, member=None, now=NOW)
        with pytest.raises(NotFound):
            dry_run.find(workspace.pk, asked.pk)
        assert DryRun.unscoped.count() == 1

    def test_rows_are_capped_and_counts_are_of_all(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dry_run, "KEPT", 3)
        monkeypatch.setattr(dry_run, "BATCH", 2)
        for n in range(10):
            make_ticket(workspace, now=NOW + hours(n), priority="low" if n % 2 else "high")
        asked = try_rule(make_rule(workspace, NOTE, conditions=asking("priority", "low")), NOW + hours(20))
        assert (asked.events, asked.matched_events, asked.total) == (10, 5, 10)
        assert len(rows(asked, matched=True)) == len(rows(asked, matched=False)) == 3
        assert rows(asked)[0].happened_at == NOW + hours(9)  # the newest are kept


class TestWorkers:
    @pytest.fixture
    def asked(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> DryRun:
        monkeypatch.setattr(dry_run, "BATCH", 2)
        for n in range(7):
            make_ticket(workspace, now=NOW + hours(n), priority="low" if n % 2 else "high")
        rule = make_rule(workspace, NOTE, conditions=asking("priority", "low"))
        return dry_run.ask(rule=rule, member=None, now=NOW + hours(20))

    def outcome(self, asked: DryRun) -> Any:
        asked.refresh_from_db()
        counts = (asked.events, asked.tickets, asked.matched_events, asked.matched_tickets, asked.done, asked.total)
        return asked.status, counts, len({row.activity_id for row in rows(asked)}), len(rows(asked))

    WHOLE = ("done", (7, 7, 3, 3, 7, 7), 7, 7)

    def test_running_it_twice_is_harmless(self, asked: DryRun) -> None:
        assert dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW)
        assert not dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW + hours(1))
        assert self.outcome(asked) == self.WHOLE

    @pytest.mark.parametrize("batches", [0, 1, 2, 3])
    def test_a_killed_worker_is_followed_by_one_that_goes_on(
        self, asked: DryRun, monkeypatch: pytest.MonkeyPatch, batches: int
    ) -> None:
        class Killed(BaseException):
            pass

        read, seen = dry_run.rewind.read, []

        def die(*args: Any, **kwargs: Any) -> Any:
            seen.append(args)
            if len(seen) > batches:
                raise Killed
            return read(*args, **kwargs)

        monkeypatch.setattr(dry_run.rewind, "read", die)
        with pytest.raises(Killed):
            dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW)
        monkeypatch.setattr(dry_run.rewind, "read", read)
        assert self.outcome(asked)[0] == "running" and asked.done == batches * 2
        # While it may still be alive nobody takes it; later it is found.
        assert not dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW + dt.timedelta(minutes=1))
        assert dry_run.lost(now=NOW + dt.timedelta(minutes=1)) == []
        assert dry_run.lost(now=NOW + dt.timedelta(minutes=3)) == [asked.pk]
        assert dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW + dt.timedelta(minutes=3))
        assert self.outcome(asked) == self.WHOLE

    def test_a_worker_that_was_thought_dead_writes_no_more(self, asked: DryRun) -> None:
        late = dry_run._take(asked.pk, NOW)
        assert late is not None
        assert dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW + hours(1))
        assert self.outcome(asked) == self.WHOLE
        with pytest.raises(dry_run._Superseded):
            dry_run._keep(late, [late.pk], dry_run._Found(events=5), NOW + hours(2))
        dry_run._end(late, NOW + hours(2), error="Late.")
        dry_run._give_back(late, NOW + hours(2))
        assert self.outcome(asked) == self.WHOLE

    def test_what_goes_wrong_is_tried_again_and_says_so_after_the_last_time(
        self, asked: DryRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError

        monkeypatch.setattr(dry_run.rewind, "read", fail)
        for attempt in range(dry_run.ATTEMPTS):
            asked.refresh_from_db()
            assert asked.status == "waiting", attempt
            with pytest.raises(RuntimeError):
                tasks.run_dry_run(str(asked.pk))
        asked.refresh_from_db()
        assert (asked.status, asked.error) == ("failed", dry_run.WRONG)

    def test_one_whose_workers_all_die_is_given_up(self, asked: DryRun) -> None:
        for n in range(dry_run.ATTEMPTS):
            assert dry_run._take(asked.pk, NOW + hours(n))
        assert dry_run.lost(now=NOW + hours(9)) == []
        asked.refresh_from_db()
        assert asked.status == "failed" and asked.error

    def test_what_the_broker_lost_is_found_by_the_beat(self, asked: DryRun, monkeypatch: pytest.MonkeyPatch) -> None:
        queued: list[str] = []
        monkeypatch.setattr(tasks.run_dry_run, "delay", queued.append)
        assert tasks.take_up_lost_dry_runs() == 1 and queued == [str(asked.pk)]

    def test_conditions_that_cannot_be_read_are_said(self, asked: DryRun) -> None:
        DryRun.unscoped.filter(pk=asked.pk).update(asked={**asked.asked, "conditions": {"some": []}})
        assert dry_run.run(dry_run_id=asked.pk, clock=lambda: NOW)
        asked.refresh_from_db()
        assert asked.status == "failed" and asked.error.startswith("The conditions of the rule cannot be read.")

    def test_one_that_was_deleted_meanwhile_is_nothing(self, asked: DryRun) -> None:
        asked.delete()
        assert not tasks.run_dry_run(str(UUID(int=1)))

    def test_a_batch_costs_the_same_however_many_tickets_are_in_it(
        self, asked: DryRun, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dry_run, "BATCH", 500)

        def cost() -> int:
            again = dry_run.ask(rule=asked.rule, member=None, now=NOW + hours(20))
            with CaptureQueriesContext(connection) as queries:
                assert dry_run.run(dry_run_id=again.pk, clock=lambda: NOW)
            return len(queries)

        few = cost()
        for n in range(20):
            change(make_ticket(workspace, now=NOW + hours(n)), NOW + hours(n), requester_email=f"{n}@new.example")
        more = cost()
        for n in range(20):
            change(make_ticket(workspace, now=NOW + hours(n)), NOW + hours(n), requester_email=f"{n}@new.example")
        assert cost() == more == few + 1  # those who asked before are looked up once


def test_the_engine_still_runs_rules_that_were_tried(workspace: Workspace) -> None:
    rule = make_rule(workspace, NOTE)
    ticket = make_ticket(workspace)
    try_rule(rule, NOW + hours(1))
    assert sum(engine.apply(activity_id=one.pk, now=NOW) for one in ticket.activities.all()) == 1
