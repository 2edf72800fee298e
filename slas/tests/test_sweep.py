"""Breaches and warnings: each recorded once, at its true time, however many sweep and whoever dies."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.models import Clock
from slas.services import sweep, tracking
from slas.tests.factories import at, clock_of, make_policy, sla_events
from tickets.events import SYSTEM
from tickets.models import Activity, Ticket
from tickets.services import editing, status
from tickets.tests.factories import make_ticket


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    make_policy(made)
    return made


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_ticket(workspace, now=at(0, "09:00"))


@pytest.mark.django_db
class TestOne:
    def test_nothing_is_recorded_before_it_is_due_and_not_at_the_instant_itself(self, ticket: Ticket) -> None:
        assert sweep.sweep_all(now=at(0, "10:30")) == 0
        assert sweep.sweep_all(now=at(0, "10:30:01")) == 1

    def test_a_share_of_the_target_warns_once_and_the_deadline_breaches_once(self, ticket: Ticket) -> None:
        for minute in range(0, 240, 5):
            sweep.sweep_all(now=at(0, "09:00") + dt.timedelta(minutes=minute))
        assert sla_events(ticket) == [
            ("ticket.sla.at_risk", "first_response", at(0, "10:30")),
            ("ticket.sla.breached", "first_response", at(0, "11:00")),
        ]

    def test_the_payload_is_that_of_the_specification(self, ticket: Ticket) -> None:
        sweep.sweep_all(now=at(0, "12:00"))
        activity = ticket.activities.get(event="ticket.sla.breached")
        assert activity.payload == {
            "event": "ticket.sla.breached",
            "timestamp": "2024-03-04T11:00:00Z",
            "data": {
                "ticket_id": str(ticket.pk),
                "ticket_number": f"#{ticket.number}",
                "breach_type": "first_response",
                "sla_policy_id": str(clock_of(ticket, "first_response").policy_id),
            },
        }
        assert activity.actor_kind == "system" and activity.dispatched_at is None

    def test_after_an_outage_of_days_there_is_one_breach_with_its_true_time_and_no_stale_warning(
        self, ticket: Ticket
    ) -> None:
        sweep.sweep_all(now=at(4, "12:00"))
        sweep.sweep_all(now=at(4, "12:00"))
        assert sla_events(ticket) == [
            ("ticket.sla.breached", "first_response", at(0, "11:00")),
            ("ticket.sla.breached", "resolution", at(0, "17:00")),
        ]

    def test_the_ticket_says_that_it_is_breached(self, ticket: Ticket) -> None:
        sweep.sweep_all(now=at(0, "12:00"))
        ticket.refresh_from_db()
        assert ticket.sla_missed and ticket.next_deadline_at == at(0, "11:00")

    def test_pausing_and_coming_back_does_not_warn_again(self, ticket: Ticket) -> None:
        sweep.sweep_all(now=at(0, "15:30"))
        status.change_status(ticket=ticket, to="pending", actor=SYSTEM, now=at(0, "15:40"))
        status.change_status(ticket=ticket, to="open", actor=SYSTEM, now=at(1, "10:00"))
        sweep.sweep_all(now=at(1, "10:30"))
        warned = [event for event in sla_events(ticket) if event[0] == "ticket.sla.at_risk"]
        assert warned == [("ticket.sla.at_risk", "resolution", at(0, "15:00"))]

    def test_a_new_deadline_has_a_warning_of_its_own(self, workspace: Workspace) -> None:
        make_policy(workspace, name="New", priority_overrides={"low": {"first_response_hours": 4}})
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        sweep.sweep_all(now=at(0, "10:31"))
        editing.update_ticket(ticket=ticket, changes={"priority": "low"}, actor=SYSTEM, now=at(0, "10:32"))
        sweep.sweep_all(now=at(0, "12:01"))
        warned = [event[2] for event in sla_events(ticket) if event[:2] == ("ticket.sla.at_risk", "first_response")]
        assert warned == [at(0, "10:30"), at(0, "12:00")]

    def test_what_is_due_is_found_by_its_index_and_nothing_else_is_read(self, ticket: Ticket) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sweep._CLAIM}", [at(1), 10])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "sla_clocks_due" in plan


def prepare(count: int) -> Workspace:
    """A workspace with so many tickets whose first response is due; committed."""
    workspace = WorkspaceFactory()
    make_policy(workspace)
    first = make_ticket(workspace, now=at(0, "09:00"))
    with connection.cursor() as cursor:
        # The rows of a real ticket, many times over: opening 10,000 takes a minute and shows nothing more.
        columns = {
            table: ", ".join(f.column for f in model._meta.concrete_fields if not f.generated and f.column not in mine)
            for model, mine in ((Ticket, ("id", "number")), (Clock, ("id", "ticket_id")))
            for table in [model._meta.db_table]
        }
        cursor.execute(
            f"INSERT INTO tickets (id, number, {columns['tickets']}) "
            f"SELECT gen_random_uuid(), number + n, {columns['tickets']} FROM tickets, generate_series(1, %s) n",
            [count - 1],
        )
        cursor.execute(
            f"INSERT INTO sla_clocks (id, ticket_id, {columns['sla_clocks']}) "
            f"SELECT gen_random_uuid(), t.id, {', '.join('c.' + name for name in columns['sla_clocks'].split(', '))} "
            "FROM sla_clocks c, tickets t WHERE t.id <> %s AND c.goal = 'first_response'",
            [first.pk],
        )
    Clock.unscoped.filter(goal="resolution").update(sweep_at=None)
    return workspace


SWEEPER = """
import os, sys, django
sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "helpdesk.settings"
django.setup()
import datetime as dt
from slas.services import sweep
print("ready", flush=True)
sys.stdin.readline()
while sweep.sweep(now=dt.datetime.fromisoformat(sys.argv[1]), limit=100):
    print("batch", flush=True)
"""


def start(database: str, now: dt.datetime) -> "subprocess.Popen[str]":
    known = connection.settings_dict
    host = str(known["HOST"]).replace("/", "%2F")
    port = f":{known['PORT']}" if known["PORT"] else ""
    password = f":{known['PASSWORD']}" if known["PASSWORD"] else ""
    environment = os.environ | {
        "DATABASE_URL": f"postgres://{known['USER']}{password}@{host}{port}/{database}",
        "ENVIRONMENT": "test",
    }
    return subprocess.Popen(
        [sys.executable, "-c", SWEEPER, now.isoformat()],
        env=environment,
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.django_db(transaction=True)
class TestMany:
    def test_two_sweepers_on_ten_thousand_due_clocks_one_killed_half_way(self) -> None:
        """Exactly 10,000 breaches, each once, each at the true time."""
        count, now = 10_000, at(0, "12:00")
        prepare(count)
        sweepers = [start(connection.settings_dict["NAME"], now) for _ in range(2)]
        try:
            for one in sweepers:
                assert one.stdout and one.stdin
                assert one.stdout.readline() == "ready\n"
            for one in sweepers:
                assert one.stdin
                one.stdin.write("go\n")
                one.stdin.flush()
            victim, other = sweepers
            for _ in range(20):
                assert victim.stdout and victim.stdout.readline() == "batch\n"
            victim.send_signal(signal.SIGKILL)
            assert other.communicate(timeout=120) and other.returncode == 0
        finally:
            for one in sweepers:
                if one.poll() is None:
                    one.kill()
                one.wait()
                for pipe in (one.stdin, one.stdout):
                    if pipe and not pipe.closed:
                        pipe.close()
        for _ in range(100):  # the server notices a killed client in its own time; then its rows are free
            sweep.sweep_all(now=now)
            if not Clock.unscoped.filter(sweep_at__lt=now).exists():
                break
            time.sleep(0.1)
        breaches = Activity.unscoped.filter(event="ticket.sla.breached")
        assert breaches.count() == breaches.values("ticket").distinct().count() == count
        assert set(breaches.values_list("occurred_at", flat=True).distinct()) == {at(0, "11:00")}
        assert Clock.unscoped.filter(goal="first_response", breached_at=at(0, "11:00")).count() == count
        assert Ticket.unscoped.filter(sla_missed=True).count() == count

    def test_a_sweeper_passes_over_a_ticket_that_somebody_works_on_and_comes_back_to_it(self) -> None:
        workspace = WorkspaceFactory()
        make_policy(workspace)
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic():
                Ticket.unscoped.select_for_update().get(pk=ticket.pk)
                held.set()
                go_on.wait(30)
            connection.close()

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(30)
        try:
            assert sweep.sweep_all(now=at(0, "12:00")) == 0
        finally:
            go_on.set()
            holder.join()
        assert sweep.sweep_all(now=at(0, "12:00")) == 1
        assert len(sla_events(ticket)) == 1

    def test_an_answer_and_a_sweep_in_the_same_moment_record_one_breach(self) -> None:
        workspace = WorkspaceFactory()
        make_policy(workspace)
        tickets = [make_ticket(workspace, now=at(0, "09:00")) for _ in range(12)]
        start_together = threading.Barrier(2)
        problems: list[Any] = []

        def answer() -> None:
            start_together.wait()
            try:
                for ticket in tickets:
                    status.change_status(ticket=ticket, to="pending", actor=SYSTEM, now=at(0, "17:30"))
            except Exception as problem:
                problems.append(problem)
            finally:
                connection.close()

        agent = threading.Thread(target=answer)
        agent.start()
        start_together.wait()
        for _ in range(20):
            sweep.sweep_all(now=at(0, "17:30"))
        agent.join()
        sweep.sweep_all(now=at(0, "17:30"))
        assert problems == []
        for ticket in tickets:
            assert sla_events(ticket) == [
                ("ticket.sla.breached", "first_response", at(0, "11:00")),
                ("ticket.sla.breached", "resolution", at(0, "17:00")),
            ]


@pytest.mark.django_db
def test_reckoning_anew_records_what_was_due_and_changes_nothing_else(ticket: Ticket) -> None:
    tracking.retrack(workspace_id=ticket.workspace_id, ticket_ids=[ticket.pk], now=at(0, "12:00"))
    tracking.retrack(workspace_id=ticket.workspace_id, ticket_ids=[ticket.pk], now=at(0, "12:00"))
    assert [event[1] for event in sla_events(ticket)] in ([], ["first_response"])
    sweep.sweep_all(now=at(0, "12:00"))
    assert sla_events(ticket) == [("ticket.sla.breached", "first_response", at(0, "11:00"))]
