"""Tickets that open by themselves: when, what stands in them, each exactly once."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.accounts import services as accounts
from helpdesk.accounts.models import Contact, Team, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.automation import tasks
from tickets.automation.models import RecurringRun, RecurringTicket
from tickets.automation.services import recurring
from tickets.automation.tests.factories import NOW, make_recurring, make_rule, run_rules, runs_of
from tickets.automation.tests.test_pool import in_threads
from tickets.models import Ticket
from tickets.services import setup as ticket_setup
from tickets.tests.api import unchanged
from tickets.tests.factories import CategoryFactory, make_agent

# NOW is Monday, 2 March 2026, ten in Berlin: today's nine o'clock is over.
TOMORROW = dt.datetime(2026, 3, 3, 8, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
nothing_written = partial(unchanged, RecurringTicket, RecurringRun, Ticket, Contact)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


def fresh(row: RecurringTicket) -> RecurringTicket:
    return RecurringTicket.unscoped.get(pk=row.pk)


def opened(workspace: Workspace) -> list[Ticket]:
    return list(Ticket.objects.for_workspace(workspace).order_by("number"))


def log(row: RecurringTicket) -> list[tuple[dt.datetime, bool, str]]:
    return [(run.occurrence_at, run.is_opened, run.text) for run in recurring.runs_of(row)]


def save(row: RecurringTicket, now: dt.datetime = NOW, **changes: Any) -> RecurringTicket:
    return recurring.save_recurring(workspace=row.workspace, changes=changes, now=now, recurring=row)


@pytest.mark.django_db
class TestOpening:
    def test_it_opens_a_ticket_at_its_time_and_not_before(self, workspace: Workspace) -> None:
        row = make_recurring(workspace, requester_name="IT", priority="high", tags=["Backup", "it", "backup"])
        assert row.next_at == TOMORROW
        with nothing_written():
            assert recurring.open_due(now=TOMORROW - dt.timedelta(seconds=1)) == 0
        later = TOMORROW + dt.timedelta(seconds=20)
        assert recurring.open_due(now=later) == 1
        (ticket,) = opened(workspace)
        assert (ticket.subject, ticket.description) == ("Check the backups", "Restore one of them.")
        assert (ticket.status, ticket.priority, ticket.channel) == ("open", "high", "schedule")
        assert (ticket.requester_email, ticket.requester_name) == ("it@acme.example", "IT")
        assert sorted(ticket.tags.values_list("name", flat=True)) == ["backup", "it"]
        assert ticket.created_at == later
        created = ticket.activities.get(event="ticket.created")
        assert (created.actor_kind, created.actor_name) == ("automation", "Backups")
        row = fresh(row)
        assert (row.last_at, row.last_ticket_id, row.next_at) == (TOMORROW, ticket.pk, TOMORROW + DAY)
        assert log(row) == [(TOMORROW, True, "")]
        with nothing_written():
            assert recurring.open_due(now=later) == 0

    def test_every_occurrence_opens_one(self, workspace: Workspace) -> None:
        row = make_recurring(workspace)
        for day in range(3):
            assert recurring.open_due(now=TOMORROW + day * DAY) == 1
        assert len(opened(workspace)) == 3
        assert [at for at, _, _ in log(row)] == [TOMORROW + 2 * DAY, TOMORROW + DAY, TOMORROW]

    def test_it_is_given_to_a_team_and_an_agent_in_a_category(self, workspace: Workspace) -> None:
        team, category, agent = (
            TeamFactory(workspace=workspace),
            CategoryFactory(workspace=workspace),
            make_agent(workspace),
        )
        make_recurring(workspace, team_id=team.pk, category_id=category.pk, assignee_id=agent.user_id)
        recurring.open_due(now=TOMORROW)
        (ticket,) = opened(workspace)
        assert (ticket.team_id, ticket.category_id, ticket.assignee_id) == (team.pk, category.pk, agent.user_id)

    def test_variables_are_of_the_local_day_and_replaced_literally(self, workspace: Workspace) -> None:
        make_recurring(
            workspace,
            schedule={"every": "day", "at": "00:30", "timezone": "Pacific/Auckland", "starts_on": "2026-12-31"},
            subject="Report of {{ month }} {{year}} {{unknown}} {% now %}",
            description="{{date}}, week {{week}}: {{date.year}} {{ticket}} <b>",
        )
        recurring.open_due(now=dt.datetime(2026, 12, 31, 11, 30, tzinfo=dt.UTC))
        (ticket,) = opened(workspace)
        assert ticket.subject == "Report of January 2027 {{unknown}} {% now %}"
        assert ticket.description == "1 January 2027, week 53: {{date.year}} {{ticket}} <b>"
        assert "<b>" not in ticket.description_html

    def test_rules_hear_of_it_as_of_any_ticket(self, workspace: Workspace) -> None:
        make_rule(workspace, {"do": "set_priority", "priority": "urgent"})
        make_recurring(workspace)
        recurring.open_due(now=TOMORROW)
        (ticket,) = opened(workspace)
        assert run_rules(ticket) == 1 and len(runs_of(ticket)) == 1

    def test_one_that_has_ended_opens_no_more(self, workspace: Workspace) -> None:
        row = make_recurring(
            workspace, schedule={"every": "day", "at": "09:00", "timezone": "Europe/Berlin", "ends_on": "2026-03-03"}
        )
        assert row.schedule["starts_on"] == "2026-03-02"  # today, where nothing is said
        assert recurring.open_due(now=TOMORROW) == 1
        assert (fresh(row).next_at, fresh(row).is_active) == (None, True)
        assert recurring.open_due(now=TOMORROW + 5 * DAY) == 0

    def test_the_task_of_the_beat_opens_what_is_due(self, workspace: Workspace) -> None:
        row = make_recurring(workspace, now=timezone.now() - 2 * DAY)
        assert tasks.open_recurring() == 1
        assert fresh(row).last_ticket_id == opened(workspace)[0].pk
        beat: dict[Any, Any] = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
        assert beat["tickets.automation.tasks.open_recurring"] <= 60

    def test_the_longest_due_come_first_and_no_more_than_the_limit(self, workspace: Workspace) -> None:
        for hour in ("11:00", "10:00", "12:00"):
            make_recurring(
                workspace,
                name=hour,
                subject=hour,
                schedule={"every": "day", "at": hour, "timezone": "UTC", "starts_on": "2026-01-01"},
            )
        assert recurring.open_due(now=NOW.replace(hour=13), limit=2) == 2
        assert [ticket.subject for ticket in opened(workspace)] == ["10:00", "11:00"]
        assert recurring.open_due(now=NOW.replace(hour=13)) == 1

    def test_each_costs_the_same_number_of_queries(self, workspace: Workspace) -> None:
        def cost(number: int, now: dt.datetime) -> int:
            for n in range(number):
                make_recurring(workspace, now=now - DAY, name=f"{now:%d} {n}")
            with CaptureQueriesContext(connection) as asked:
                assert recurring.open_due(now=now) >= number
            return len(asked)

        RecurringTicket.unscoped.all().delete()
        first = cost(1, TOMORROW)
        RecurringTicket.unscoped.all().delete()
        many = cost(6, TOMORROW + DAY)
        assert many - first <= 5 * (first - 1)
        assert first <= 24


@pytest.mark.django_db
class TestMissed:
    def test_after_an_outage_one_ticket_is_opened_and_the_log_names_the_others(self, workspace: Workspace) -> None:
        row = make_recurring(workspace, subject="Backups of {{date}}")
        late = TOMORROW + 3 * DAY + dt.timedelta(hours=2)
        assert recurring.open_due(now=late) == 1
        assert [ticket.subject for ticket in opened(workspace)] == ["Backups of 6 March 2026"]
        missed = [(TOMORROW + day * DAY, False, recurring.MISSED) for day in (2, 1, 0)]
        assert log(row) == [(TOMORROW + 3 * DAY, True, ""), *missed]
        assert fresh(row).next_at == TOMORROW + 4 * DAY

    def test_a_clock_that_is_put_back_opens_nothing_twice(self, workspace: Workspace) -> None:
        row = make_recurring(workspace)
        assert recurring.open_due(now=TOMORROW) == 1
        RecurringTicket.unscoped.filter(pk=row.pk).update(next_at=TOMORROW)
        assert recurring.open_due(now=TOMORROW) == 0
        assert len(opened(workspace)) == 1 and fresh(row).next_at == TOMORROW + DAY

    def test_the_database_knows_an_occurrence_once(self, workspace: Workspace) -> None:
        row = make_recurring(workspace)
        recurring.open_due(now=TOMORROW)
        (run,) = RecurringRun.unscoped.filter(recurring=row)
        for wrong in (
            {"occurrence_at": TOMORROW},
            {"is_opened": False, "text": "x"},
            {"ticket": None, "is_opened": False},
        ):
            kept = {
                "occurrence_at": TOMORROW - DAY,
                "is_opened": True,
                "ticket": run.ticket,
                "text": "",
                "ran_at": NOW + 9 * DAY,
            }
            with pytest.raises(IntegrityError), transaction.atomic():
                RecurringRun.unscoped.create(workspace=workspace, recurring=row, **(kept | wrong))


@pytest.mark.django_db
class TestWhatIsGone:
    def test_the_ticket_is_opened_without_it_and_the_notice_says_so(self, workspace: Workspace) -> None:
        owner = make_agent(workspace, "owner")
        team = TeamFactory(workspace=workspace, name="IT")
        category = CategoryFactory(workspace=workspace, name="Hardware")
        agent = make_agent(workspace, user__name="Jane Smith")
        row = make_recurring(workspace, team_id=team.pk, category_id=category.pk, assignee_id=agent.user_id)
        assert row.notice == ""
        ticket_setup.delete_category(category=category, now=NOW)
        accounts.delete_team(team=team, by=owner, now=NOW)
        accounts.deactivate_member(membership=agent, by=owner, now=NOW)
        assert recurring.open_due(now=TOMORROW) == 1
        (ticket,) = opened(workspace)
        assert (ticket.team_id, ticket.category_id, ticket.assignee_id) == (None, None, None)
        words = (
            "Opened without the category “Hardware”, which was deleted, and without the team “IT”, which was deleted, "
            "and without the assignee Jane Smith, who can no longer be given tickets."
        )
        assert fresh(row).notice == words and fresh(row).is_active
        assert log(row) == [(TOMORROW, True, words)]
        # It is mended by choosing others, and saving something else does not hide it.
        assert save(fresh(row), name="Tapes").notice == words
        assert save(fresh(row), team_id=None, category_id=None).notice.startswith("Opened without the assignee Jane")
        assert save(fresh(row), assignee_id=None).notice == ""
        assert not Team.unscoped.filter(pk=team.pk).exists()

    def test_an_agent_who_only_reads_now_is_gone_too(self, workspace: Workspace) -> None:
        agent = make_agent(workspace)
        row = make_recurring(workspace, assignee_id=agent.user_id)
        agent.role = "light"
        agent.save(update_fields=["role"])
        assert recurring.open_due(now=TOMORROW) == 1
        assert opened(workspace)[0].assignee_id is None and "no longer be given tickets" in fresh(row).notice

    def test_a_schedule_that_cannot_be_read_switches_it_off_and_no_other(self, workspace: Workspace) -> None:
        broken, well = make_recurring(workspace), make_recurring(workspace, name="Well")
        RecurringTicket.unscoped.filter(pk=broken.pk).update(schedule={"every": "blue moon"})
        assert recurring.open_due(now=TOMORROW) == 1
        with nothing_written(), pytest.raises(InvalidInput):
            save(fresh(broken), is_active=True)
        assert not fresh(broken).is_active and fresh(broken).notice.startswith(
            "Switched off: its schedule cannot be read."
        )
        assert fresh(well).last_at == TOMORROW

    def test_one_that_fails_keeps_no_other_from_being_opened_and_is_tried_again(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        bad, well = make_recurring(workspace, subject="Bad"), make_recurring(workspace, name="Well", subject="Well")
        open_ticket = recurring.opening.open_ticket

        def fails(**given: Any) -> Any:
            ticket = open_ticket(**given)
            if given["subject"] == "Bad":
                raise RuntimeError("the power went")
            return ticket

        with monkeypatch.context() as broken:
            broken.setattr(recurring.opening, "open_ticket", fails)
            assert recurring.open_due(now=TOMORROW) == 1
        assert [ticket.subject for ticket in opened(workspace)] == ["Well"]
        assert str(bad.pk) in caplog.text and log(bad) == [] and len(log(well)) == 1
        assert recurring.open_due(now=TOMORROW) == 1
        assert [ticket.subject for ticket in opened(workspace)] == ["Well", "Bad"]

    def test_one_that_the_tickets_refuse_is_logged_and_goes_on(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = make_recurring(workspace)

        def refuses(**_: Any) -> Any:
            raise InvalidInput.of("subject", "This is not nice.")

        monkeypatch.setattr(recurring.opening, "open_ticket", refuses)
        assert recurring.open_due(now=TOMORROW) == 0
        assert log(row) == [(TOMORROW, False, "Not opened: This is not nice.")]
        row = fresh(row)
        assert (row.notice, row.next_at, row.last_at) == ("Not opened: This is not nice.", TOMORROW + DAY, None)
        assert opened(workspace) == []


@pytest.mark.django_db
class TestSaving:
    def test_another_text_leaves_its_time_alone(self, workspace: Workspace) -> None:
        row = make_recurring(workspace)
        late = TOMORROW + dt.timedelta(seconds=10)
        assert save(row, late, subject="Other", schedule=row.schedule).next_at == TOMORROW
        assert recurring.open_due(now=late) == 1
        assert opened(workspace)[0].subject == "Other"

    def test_another_schedule_counts_from_now_and_the_log_says_what_was_left_out(self, workspace: Workspace) -> None:
        row = make_recurring(workspace)
        late = TOMORROW + DAY + dt.timedelta(seconds=10)
        row = save(row, late, schedule=row.schedule | {"at": "08:00"})
        assert row.next_at == dt.datetime(2026, 3, 5, 7, 0, tzinfo=dt.UTC)
        assert log(row) == [(TOMORROW + DAY, False, recurring.CHANGED), (TOMORROW, False, recurring.CHANGED)]
        assert recurring.open_due(now=late) == 0

    def test_one_that_is_paused_opens_nothing_and_goes_on_when_it_is_resumed(self, workspace: Workspace) -> None:
        row = save(make_recurring(workspace), is_active=False)
        assert row.next_at is None
        assert recurring.open_due(now=TOMORROW + 5 * DAY) == 0
        row = save(row, TOMORROW + 5 * DAY + dt.timedelta(hours=1), is_active=True)
        assert row.next_at == TOMORROW + 6 * DAY and log(row) == []

    def test_pausing_leaves_out_what_is_due_and_says_so(self, workspace: Workspace) -> None:
        row = save(make_recurring(workspace), TOMORROW, is_active=False)
        assert log(row) == [(TOMORROW, False, recurring.PAUSED)]

    def test_a_deleted_one_opens_nothing_keeps_its_tickets_and_frees_its_name(self, workspace: Workspace) -> None:
        row = make_recurring(workspace)
        recurring.open_due(now=TOMORROW)
        recurring.delete_recurring(recurring=row, now=TOMORROW)
        assert recurring.open_due(now=TOMORROW + DAY) == 0
        assert len(opened(workspace)) == 1
        assert list(recurring.recurring_tickets(workspace.pk)) == []
        with nothing_written(), pytest.raises(NotFound):
            recurring.delete_recurring(recurring=row, now=NOW)
        with nothing_written(), pytest.raises(NotFound):
            save(row, name="x")
        make_recurring(workspace)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 81}, "name"),
            ({"name": "BACKUPS"}, "name"),
            ({"subject": " "}, "subject"),
            ({"subject": "x" * 247 + "{{date}}"}, "subject"),
            ({"description": ""}, "description"),
            ({"description": "a\0b"}, "description"),
            ({"description": 5}, "description"),
            ({"requester_email": "it"}, "requester_email"),
            ({"requester_name": "x" * 121}, "requester_name"),
            ({"priority": "high!"}, "priority"),
            ({"tags": "it"}, "tags"),
            ({"tags": ["x"] * 21}, "tags"),
            ({"tags": [5]}, "tags"),
            ({"is_active": 1}, "is_active"),
            ({"schedule": None}, "schedule"),
            ({"schedule": {"every": "day", "at": "nine"}}, "schedule.at"),
            ({"schedule": {"every": "day", "at": "09:00", "timezone": "Berlin"}}, "schedule.timezone"),
            ({"schedule": {"every": "day", "at": "09:00", "timezone": "Berlin"}}, "schedule.starts_on"),
            (
                {"schedule": {"every": "day", "at": "09:00", "starts_on": "2026-01-01", "ends_on": "2026-02-01"}},
                "schedule.ends_on",
            ),
            ({"next_at": None}, "next_at"),
        ],
    )
    def test_errors_name_the_field_and_nothing_is_written(
        self, workspace: Workspace, changes: dict[str, Any], field: str
    ) -> None:
        make_recurring(workspace)
        other = make_recurring(workspace, name="Other")
        with nothing_written():
            with pytest.raises(InvalidInput) as refused:
                save(other, **changes)
            assert field in refused.value.errors
            with pytest.raises(InvalidInput) as refused:
                make_recurring(workspace, **({"name": "Third"} | changes))
            assert field in refused.value.errors

    def test_several_errors_are_told_at_once(self, workspace: Workspace) -> None:
        with nothing_written(), pytest.raises(InvalidInput) as refused:
            recurring.save_recurring(workspace=workspace, changes={}, now=NOW)
        assert set(refused.value.errors) == {
            "name", "subject", "description", "requester_email", "schedule.every",
        }  # fmt: skip

    def test_foreign_things_are_not_found(self, workspace: Workspace) -> None:
        elsewhere: Any = WorkspaceFactory()
        row = make_recurring(workspace)
        for changes in (
            {"category_id": CategoryFactory(workspace=elsewhere).pk},
            {"category_id": CategoryFactory(workspace=workspace, archived_at=NOW).pk},
            {"team_id": TeamFactory(workspace=elsewhere).pk},
            {"assignee_id": make_agent(elsewhere).user_id},
        ):
            with nothing_written(), pytest.raises(NotFound) as refused:
                save(row, **changes)
            assert set(refused.value.errors) == set(changes)
        with nothing_written(), pytest.raises(NotFound):
            recurring.save_recurring(workspace=elsewhere, changes={"name": "x"}, now=NOW, recurring=row)
        with nothing_written(), pytest.raises(InvalidInput):
            save(row, assignee_id=make_agent(workspace, "light").user_id)

    def test_there_can_be_no_more_than_the_limit(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recurring, "MAX_RECURRING", 1)
        make_recurring(workspace)
        with nothing_written(), pytest.raises(Conflict):
            make_recurring(workspace, name="Other")
        make_recurring(WorkspaceFactory())

    def test_an_ended_one_can_still_be_renamed(self, workspace: Workspace) -> None:
        row = make_recurring(
            workspace, schedule={"every": "day", "at": "09:00", "timezone": "UTC", "ends_on": "2026-03-03"}
        )
        late = TOMORROW + 9 * DAY
        assert recurring.open_due(now=late) == 1
        assert save(row, late, name="Done", schedule=fresh(row).schedule).next_at is None


WORKER = """
import sys, django
django.setup()
import datetime as dt
from tickets.automation.services import recurring
open_ticket = recurring.opening.open_ticket
def slowly(**given):
    ticket = open_ticket(**given)
    print("opened", flush=True)
    sys.stdin.readline()
    return ticket
recurring.opening.open_ticket = slowly
recurring.open_due(now=dt.datetime.fromisoformat(sys.argv[1]))
"""


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_eight_workers_open_each_once(self, workspace: Workspace) -> None:
        rows = [make_recurring(workspace, name=f"Recurring {n}", subject=f"{n}") for n in range(24)]
        counts = in_threads(8, lambda _: recurring.open_due(now=TOMORROW))
        assert sum(counts) == 24
        assert sorted(ticket.subject for ticket in opened(workspace)) == sorted(row.subject for row in rows)
        assert RecurringRun.unscoped.count() == 24
        assert {row.next_at for row in RecurringTicket.unscoped.all()} == {TOMORROW + DAY}

    def test_what_is_deleted_in_the_moment_of_opening_is_left_out_the_next_time(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        category = CategoryFactory(workspace=workspace)
        row = make_recurring(workspace, category_id=category.pk)
        open_ticket = recurring.opening.open_ticket

        def too_late(**given: Any) -> Any:
            in_threads(1, lambda _: ticket_setup.delete_category(category=category, now=NOW))
            return open_ticket(**given)

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(recurring.opening, "open_ticket", too_late)
            assert recurring.open_due(now=TOMORROW) == 0
        assert opened(workspace) == [] and log(row) == [] and fresh(row).next_at == TOMORROW
        assert recurring.open_due(now=TOMORROW) == 1
        assert opened(workspace)[0].category_id is None and "which was deleted" in fresh(row).notice

    def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_and_the_next_opens_it_once(
        self, workspace: Workspace
    ) -> None:
        row = make_recurring(workspace)
        known = connection.settings_dict
        host, port = str(known["HOST"]).replace("/", "%2F"), f":{known['PORT']}" if known["PORT"] else ""
        password = f":{known['PASSWORD']}" if known["PASSWORD"] else ""
        environment = os.environ | {
            "DATABASE_URL": f"postgres://{known['USER']}{password}@{host}{port}/{known['NAME']}",
            "ENVIRONMENT": "test",
        }
        with subprocess.Popen(
            [sys.executable, "-c", WORKER, TOMORROW.isoformat()],
            env=environment, cwd=settings.BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as worker:  # fmt: skip
            try:
                assert worker.stdout
                assert worker.stdout.readline() == "opened\n"
                # Who comes meanwhile passes it over, and waits for nobody.
                assert recurring.open_due(now=TOMORROW) == 0
            finally:
                worker.send_signal(signal.SIGKILL)
        assert opened(workspace) == [] and log(row) == [] and fresh(row).next_at == TOMORROW
        end = time.monotonic() + 20
        done = 0
        while not done and time.monotonic() < end:  # the server notices a killed client in its own time
            done = recurring.open_due(now=TOMORROW)
            time.sleep(0.05)
        assert done == 1 and recurring.open_due(now=TOMORROW) == 0
        assert len(opened(workspace)) == 1 and log(row) == [(TOMORROW, True, "")]
