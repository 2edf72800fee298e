"""Macros: made, put in order, run on a ticket as the member who runs them, all or nothing; and on many."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, close_old_connections, connection, transaction

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound
from tickets.automation.models import Macro, Waiting
from tickets.automation.services import actions, macros, wording
from tickets.automation.services.macros import Refused
from tickets.automation.tests.factories import NOW, make_macro, make_rule, run_rules
from tickets.events import SYSTEM
from tickets.models import Activity, Comment, Ticket
from tickets.services import editing, merging, status
from tickets.tests.api import UNKNOWN, nothing_written, unchanged
from tickets.tests.factories import CannedResponseFactory, CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db

LATER = NOW + dt.timedelta(hours=1)
LOW: dict[str, Any] = {"do": "set_priority", "priority": "low"}
PENDING: dict[str, Any] = {"do": "set_status", "status": "pending"}
NOTE: dict[str, Any] = {"do": "add_note", "body": "Call them."}

no_macro_written = partial(unchanged, Macro)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace, user__name="Maria Rossi")


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_ticket(workspace)


def run(macro: Macro, ticket: Ticket, member: Membership) -> list[str]:
    return macros.run_macro(macro=macro, ticket=ticket, member=member, now=LATER)


def closed(ticket: Ticket) -> Ticket:
    return status.resolve_and_close(ticket=ticket, actor=SYSTEM, now=NOW)


def names(workspace: Workspace) -> list[tuple[str, int]]:
    return [(macro.name, macro.position) for macro in macros.macros(workspace.pk)]


class TestMaking:
    def test_a_new_one_comes_last_and_a_position_makes_room(self, workspace: Workspace) -> None:
        for name in "ab":
            make_macro(workspace, LOW, name=name)
        make_macro(workspace, LOW, name="c", position=1)
        assert names(workspace) == [("c", 1), ("a", 2), ("b", 3)]
        first = macros.macros(workspace.pk)[0]
        macros.save_macro(workspace=workspace, macro=first, changes={"position": 10_000}, now=LATER)
        assert names(workspace) == [("a", 1), ("b", 2), ("c", 3)]

    def test_only_what_is_given_changes(self, workspace: Workspace) -> None:
        macro = make_macro(workspace, LOW, name="Calm down", description="When it is not that bad")
        saved = macros.save_macro(workspace=workspace, macro=macro, changes={"actions": [PENDING]}, now=LATER)
        assert (saved.name, saved.description, saved.actions) == ("Calm down", "When it is not that bad", [PENDING])
        assert (saved.created_at, saved.updated_at) == (NOW, LATER)

    def test_saving_one_does_not_forget_how_often_it_was_run(
        self, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        stale = make_macro(workspace, LOW)
        run(stale, ticket, maria)
        macros.save_macro(workspace=workspace, macro=stale, changes={"name": "New"}, now=LATER)
        assert macros.find_macro(workspace.pk, stale.pk).usage_count == 1

    @pytest.mark.parametrize(
        ("changes", "places"),
        [
            ({"name": " "}, {"name"}),
            ({"name": "x" * 81}, {"name"}),
            ({"name": "HAND OVER"}, {"name"}),
            ({"description": "x" * 201}, {"description"}),
            ({"is_active": "yes"}, {"is_active"}),
            ({"position": 0}, {"position"}),
            ({"position": True}, {"position"}),
            ({"actions": []}, {"actions"}),
            ({"actions": [LOW] * 21}, {"actions"}),
            ({"actions": [LOW, {"do": "sing"}]}, {"actions.1.do"}),
            ({"name": "", "actions": [{"do": "set_priority", "priority": "x"}]}, {"name", "actions.0.priority"}),
            ({"triggers": ["created"]}, {"triggers"}),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_written(
        self, workspace: Workspace, changes: dict[str, Any], places: set[str]
    ) -> None:
        make_macro(workspace, LOW, name="Hand over")
        with no_macro_written(), pytest.raises(InvalidInput) as error:
            macros.save_macro(workspace=workspace, changes={"name": "x", "actions": [LOW], **changes}, now=NOW)
        assert set(error.value.errors) == places

    def test_an_action_cannot_name_what_is_elsewhere(self, workspace: Workspace) -> None:
        foreign = {"do": "set_team", "team_id": str(TeamFactory().pk)}
        with no_macro_written(), pytest.raises(NotFound) as error:
            make_macro(workspace, LOW, foreign)
        assert set(error.value.errors) == {"actions.1.team_id"}

    def test_there_is_an_end(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(macros, "MAX_MACROS", 1)
        make_macro(workspace, LOW)
        with no_macro_written(), pytest.raises(Conflict):
            make_macro(workspace, LOW)

    def test_a_deleted_one_is_gone_and_its_name_is_free(self, workspace: Workspace) -> None:
        macro = make_macro(workspace, LOW, name="Hand over")
        macros.delete_macro(macro=macro, now=LATER)
        with no_macro_written():
            for again in (
                partial(macros.delete_macro, macro=macro, now=LATER),
                partial(macros.save_macro, workspace=workspace, macro=macro, changes={"is_active": True}, now=LATER),
            ):
                with pytest.raises(NotFound):
                    again()
        make_macro(workspace, LOW, name="hand over")
        assert names(workspace) == [("hand over", 1)]

    @pytest.mark.parametrize(
        "wrong",
        [{"name": ""}, {"name": "CALM"}, {"actions": []}, {"actions": {}}, {"archived_at": NOW}, {"position": -1}],
    )
    def test_the_database_refuses_what_cannot_be(self, workspace: Workspace, wrong: dict[str, Any]) -> None:
        make_macro(workspace, LOW, name="Calm")
        with pytest.raises(IntegrityError), transaction.atomic():
            Macro.unscoped.create(workspace=workspace, **({"name": "Other", "actions": [LOW]} | wrong))


class TestRunning:
    def test_it_does_everything_in_order_as_the_member(
        self, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        team = TeamFactory(workspace=workspace, name="Billing")
        macro = make_macro(
            workspace,
            {"do": "set_team", "team_id": str(team.pk)},
            {"do": "set_priority", "priority": "high"},
            {"do": "escalate"},
            {"do": "add_tags", "tags": ["vip", "refund"]},
            {"do": "remove_tags", "tags": ["refund"]},
            {"do": "assign", "user_id": str(maria.user_id)},
            NOTE,
            PENDING,
        )
        assert run(macro, ticket, maria) == [
            "given to team Billing",
            "priority high",
            "escalated to urgent",
            "tags vip, refund",
            "without the tags refund",
            "assigned to Maria Rossi",
            "note added",
            "status pending",
        ]
        ticket.refresh_from_db()
        assert (ticket.team_id, ticket.priority, ticket.assignee_id, ticket.status) == (
            team.pk,
            "urgent",
            maria.user_id,
            "pending",
        )
        assert list(ticket.tags.values_list("name", flat=True)) == ["vip"]
        (note,) = Comment.objects.for_workspace(workspace).filter(ticket=ticket)
        assert (note.author_user, note.author_name, note.is_internal) == (maria.user, "Maria Rossi", True)
        log = Activity.objects.for_workspace(workspace).filter(ticket=ticket).exclude(event="ticket.created")
        assert {(row.actor_kind, row.actor_name, row.occurred_at) for row in log} == {("agent", "Maria Rossi", LATER)}
        macro.refresh_from_db()
        assert (macro.usage_count, macro.last_used_at) == (1, LATER)

    def test_rules_hear_of_it_as_of_anything_that_an_agent_does(
        self, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        make_rule(workspace, {"do": "add_tags", "tags": ["calmed"]}, triggers=["priority_changed"])
        run(make_macro(workspace, LOW), ticket, maria)
        assert run_rules(ticket, LATER) == 1
        assert list(ticket.tags.values_list("name", flat=True)) == ["calmed"]

    def test_a_refusal_names_the_action_and_nothing_is_done(
        self, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        macro = make_macro(workspace, NOTE, {"do": "add_tags", "tags": ["vip"]}, PENDING)
        closed(ticket)
        with nothing_written(), no_macro_written(), pytest.raises(Refused) as error:
            run(macro, ticket, maria)
        assert error.value.detail == "Set the status: A ticket that is closed cannot become pending."
        assert error.value.errors == {"actions.2": [error.value.detail]}
        assert (error.value.status, error.value.code) == (409, "illegal_move")

    def test_what_it_names_and_is_gone_refuses_it_without_switching_it_off(
        self, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        team, leaving = TeamFactory(workspace=workspace), make_agent(workspace)
        to_team = make_macro(workspace, LOW, {"do": "set_team", "team_id": str(team.pk)})
        to_agent = make_macro(workspace, LOW, {"do": "assign", "user_id": str(leaving.user_id)})
        team.delete()
        Membership.objects.for_workspace(workspace).filter(pk=leaving.pk).update(is_active=False)
        with nothing_written(), no_macro_written():
            with pytest.raises(Refused, match=r"^Set the team: There is no such team\.$"):
                run(to_team, ticket, maria)
            with pytest.raises(Refused, match=r"^Assign: .* cannot be given tickets\.$"):
                run(to_agent, ticket, maria)

    def test_only_who_may_work_on_tickets_runs_it(self, workspace: Workspace, ticket: Ticket) -> None:
        macro = make_macro(workspace, NOTE)
        light, left = make_agent(workspace, role="light"), make_agent(workspace, is_active=False)
        with nothing_written(), no_macro_written():
            for member in (light, left):
                with pytest.raises(NotAllowed):
                    run(macro, ticket, member)
                with pytest.raises(NotAllowed):
                    macros.run_on_many(macro=macro, ticket_ids=[ticket.pk], member=member, now=LATER)

    def test_nothing_reaches_another_workspace(self, workspace: Workspace, maria: Membership, ticket: Ticket) -> None:
        elsewhere: Any = WorkspaceFactory()
        stranger, theirs = make_agent(elsewhere), make_ticket(elsewhere)
        macro = make_macro(workspace, LOW)
        with nothing_written(), no_macro_written():
            for member, one in ((stranger, theirs), (stranger, ticket), (maria, theirs)):
                with pytest.raises(NotFound):
                    run(macro, one, member)

    def test_one_that_is_switched_off_does_nothing(
        self, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        macro = make_macro(workspace, LOW, is_active=False)
        with nothing_written(), no_macro_written(), pytest.raises(Conflict, match="switched off"):
            run(macro, ticket, maria)
        assert macros.offered(workspace.pk) == []

    def test_a_ticket_that_was_merged_or_thrown_away_is_left_alone(
        self, workspace: Workspace, maria: Membership
    ) -> None:
        macro = make_macro(workspace, LOW)
        merged, trashed = make_ticket(workspace), make_ticket(workspace)
        merging.merge(source=merged, target_id=make_ticket(workspace).pk, actor=SYSTEM, now=NOW)
        editing.trash(ticket=trashed, actor=SYSTEM, now=NOW)
        with nothing_written(), no_macro_written():
            with pytest.raises(Conflict, match="merged"):
                run(macro, merged, maria)
            with pytest.raises(NotFound):
                run(macro, trashed, maria)

    def test_least_busy_with_nobody_free_lets_the_ticket_wait(
        self, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        team = TeamFactory(workspace=workspace, name="Billing")
        macro = make_macro(workspace, {"do": "assign", "method": "least_busy", "team_id": str(team.pk)})
        assert run(macro, ticket, maria) == ["waits: nobody of team Billing is free"]
        assert Waiting.objects.for_workspace(workspace).get().rule is None


class TestOnMany:
    def test_each_ticket_stands_for_itself(self, workspace: Workspace, maria: Membership) -> None:
        tickets = [make_ticket(workspace) for _ in range(3)]
        foreign = make_ticket(WorkspaceFactory())
        closed(tickets[1])
        macro = make_macro(workspace, NOTE, PENDING)
        ids = [tickets[2].pk, tickets[1].pk, tickets[0].pk, tickets[2].pk, foreign.pk]
        results = macros.run_on_many(macro=macro, ticket_ids=ids, member=maria, now=LATER)
        assert [(result.ticket_id, result.ticket_number, result.done, result.refused) for result in results] == [
            (tickets[2].pk, "#1003", ["note added", "status pending"], ""),
            (tickets[1].pk, "#1002", [], "Set the status: A ticket that is closed cannot become pending."),
            (tickets[0].pk, "#1001", ["note added", "status pending"], ""),
            (foreign.pk, "", [], "There is no such ticket."),
        ]
        assert Comment.objects.for_workspace(workspace).count() == 2
        assert Comment.objects.for_workspace(foreign.workspace_id).count() == 0
        macro.refresh_from_db()
        assert (macro.usage_count, macro.last_used_at) == (2, LATER)

    def test_none_and_too_many_are_refused(self, workspace: Workspace, maria: Membership, ticket: Ticket) -> None:
        macro = make_macro(workspace, LOW)
        many = [ticket.pk, *(make_ticket(workspace).pk for _ in range(100))]
        with nothing_written(), no_macro_written():
            for ids in ([], many):
                with pytest.raises(InvalidInput) as error:
                    macros.run_on_many(macro=macro, ticket_ids=ids, member=maria, now=LATER)
                assert set(error.value.errors) == {"ticket_ids"}
        results = macros.run_on_many(macro=macro, ticket_ids=many[:100], member=maria, now=LATER)
        assert len(results) == 100 and all(result.is_done for result in results)


@pytest.mark.django_db(transaction=True)
def test_two_who_run_macros_on_the_same_tickets_at_once_do_not_meet_head_on() -> None:
    workspace: Any = WorkspaceFactory()
    members = [make_agent(workspace) for _ in range(4)]
    tickets = [make_ticket(workspace).pk for _ in range(12)]
    macro = make_macro(
        workspace, {"do": "add_tags", "tags": ["vip"]}, {"do": "assign", "method": "least_busy", "team_id": None}, NOTE
    )

    def work(number: int) -> int:
        ids = tickets if number % 2 else tickets[::-1]
        try:
            if number < 2:
                results = macros.run_on_many(macro=macro, ticket_ids=ids, member=members[number], now=LATER)
            else:  # as for an answer that is kept
                with transaction.atomic():
                    results = macros.run_on_many(
                        macro=macro, ticket_ids=ids, member=members[number], now=LATER, together=True
                    )
            return sum(result.is_done for result in results)
        finally:
            connection.close()
            close_old_connections()

    with ThreadPoolExecutor(4) as crew:
        assert list(crew.map(work, range(4))) == [12] * 4
    assert Comment.objects.for_workspace(workspace).count() == 48
    macro.refresh_from_db()
    assert macro.usage_count == 48


class TestTheDemo:
    def test_has_macros_that_can_be_run(self) -> None:
        call_command("demo", tickets=5, stdout=StringIO(), stderr=StringIO())
        workspace = Workspace.objects.get(slug="demo")
        maria = Membership.objects.for_workspace(workspace).get(user__email="maria@demo.example")
        ticket = make_ticket(workspace)
        offered = macros.offered(workspace.pk)
        assert len(offered) == 3
        for one in offered:
            assert len(run(one.macro, ticket, maria)) == len(one.words)
        with no_macro_written():
            call_command("demo_automation")

    def test_no_other_workspace_gets_any(self, workspace: Workspace) -> None:
        with no_macro_written():
            for slug, words in ((workspace.slug, "is not a demo"), ("nowhere", "There is no workspace")):
                with pytest.raises(CommandError, match=words):
                    call_command("demo_automation", workspace=slug)


class TestInWords:
    def test_every_action_has_a_name_and_words(self, workspace: Workspace, maria: Membership) -> None:
        team = TeamFactory(workspace=workspace, name="Billing")
        category = CategoryFactory(workspace=workspace, name="Invoices")
        response = CannedResponseFactory(workspace=workspace, title="Thanks")
        user_id, team_id = str(maria.user_id), str(team.pk)
        said = {
            "Assign to Maria Rossi": {"do": "assign", "user_id": user_id},
            "Assign to the least busy of team Billing": {"do": "assign", "method": "least_busy", "team_id": team_id},
            "Assign to the next in turn of everybody": {"do": "assign", "method": "round_robin", "team_id": None},
            "Give it to team Billing": {"do": "set_team", "team_id": team_id},
            "Set the priority to low": LOW,
            "Set the status to pending": PENDING,
            "Set the category to Invoices": {"do": "set_category", "category_id": str(category.pk)},
            "Add the tag vip": {"do": "add_tags", "tags": ["vip"]},
            "Remove the tags new and cold": {"do": "remove_tags", "tags": ["new", "cold"]},
            "Add the note “Call them. Today.”": {"do": "add_note", "body": "Call them.\n\nToday."},
            "Let Maria Rossi watch it": {"do": "add_watcher", "user_id": user_id},
            "Escalate: the priority a step up, and the lead of its team is told": {"do": "escalate"},
            "Apply an SLA policy that was deleted": {"do": "set_sla_policy", "policy_id": UNKNOWN},
            "Send the canned response “Thanks”": {
                "do": "send_canned_response",
                "canned_response_id": str(response.pk),
            },
            "Notify Maria Rossi and team Billing by e-mail": {
                "do": "notify",
                "user_ids": [user_id],
                "team_ids": [team_id],
                "body": "x",
            },
            "Send it to hooks.example.com": {"do": "send_webhook", "url": "https://hooks.example.com/in?key=secret"},
            "Dance a jig": {"do": "dance_a_jig"},
        }
        assert wording.in_words(workspace.pk, [list(said.values())]) == [list(said)]
        assert set(actions.ACTIONS) <= set(wording.TITLES)

    def test_what_is_gone_is_said_to_be(self, workspace: Workspace) -> None:
        foreign = {"do": "set_team", "team_id": str(TeamFactory(name="Secret").pk)}
        words = wording.in_words(
            workspace.pk,
            [
                [foreign, {"do": "assign", "user_id": UNKNOWN}],
                [
                    {"do": "set_category", "category_id": UNKNOWN},
                    {"do": "send_canned_response", "canned_response_id": UNKNOWN},
                    {"do": "notify", "user_ids": [UNKNOWN], "team_ids": [UNKNOWN], "body": "x"},
                ],
            ],
        )
        assert words == [
            ["Give it to a deleted team", "Assign to somebody who has left"],
            [
                "Set the category to one that was deleted",
                "Send a canned response that was deleted",
                "Notify somebody who has left and a deleted team by e-mail",
            ],
        ]

    def test_a_long_note_is_cut(self, workspace: Workspace) -> None:
        ((said,),) = wording.in_words(workspace.pk, [[{"do": "add_note", "body": "word " * 100}]])
        assert said.endswith("word…”") and len(said) < 100

    def test_many_macros_cost_no_more_queries_than_one(
        self, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        for _ in range(6):
            make_macro(
                workspace,
                {"do": "set_team", "team_id": str(TeamFactory(workspace=workspace).pk)},
                {"do": "add_watcher", "user_id": str(make_agent(workspace).user_id)},
                {"do": "set_category", "category_id": str(CategoryFactory(workspace=workspace).pk)},
            )
        with django_assert_num_queries(2):
            assert len(macros.offered(workspace.pk)) == 6
