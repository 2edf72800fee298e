"""An event log becomes tickets, row by row, and what cannot be applied is said.

`replay` counts what must come out with a state machine of its own, which shares no code with the
product. To run it on a bigger log: HELPDESK_LOG=path pytest tickets/tests/test_import_log.py
"""

import csv
import datetime as dt
import io
import os
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput
from tickets.events import Subscriptions
from tickets.models import Activity, Assignment, Comment, Ticket
from tickets.services import editing, importing, status
from tickets.services.base import customer

pytestmark = pytest.mark.django_db

SAMPLE = Path(__file__).parent / "data" / "event_log.csv"
LOG = Path(os.environ.get("HELPDESK_LOG") or SAMPLE)
NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


def replay(path: Path) -> tuple["Counter[str]", list[int], int]:
    """How many tickets end in each status, the lines that must be refused, and how many rows there are.

    Written from the lifecycle as people describe it, with nothing of the product's code.
    """
    cases: dict[str, list[tuple[str, int, str, str]]] = {}
    with path.open(newline="") as file:
        for line, record in enumerate(csv.DictReader(file), start=2):
            event = (record["at"], line, record["activity"], record["resource"])
            cases.setdefault(record["case"], []).append(event)
    ends: Counter[str] = Counter()
    refused: list[int] = []
    for events in cases.values():
        state = "absent"
        for _at, line, activity, _resource in sorted(events):
            here = "open" if state == "absent" else state
            if activity == "Wait":
                legal, after = here == "open", "pending"
            elif activity == "Resolve ticket":
                legal, after = here in ("open", "pending"), "resolved"
            elif activity == "Closed":
                legal, after = here == "resolved", "closed"
            elif activity == "Take in charge ticket":
                legal, after = True, "open"
            else:
                legal, after = True, here
            if legal:
                state = after
            else:
                refused.append(line)
        if state != "absent":
            ends[state] += 1
    return ends, sorted(refused), sum(map(len, cases.values()))


def load(text: str) -> tuple[list[importing.Row], list[importing.Refusal]]:
    heading = "" if text.startswith("case,") else "case,activity,resource,at\n"
    return importing.read_log(io.StringIO(heading + text))


def run(workspace: Workspace, text: str) -> importing.Report:
    rows, unreadable = load(text)
    assert not unreadable
    return importing.import_log(workspace=workspace, rows=rows, now=NOW)


def statuses(workspace: Workspace) -> "Counter[str]":
    return Counter(Ticket.objects.for_workspace(workspace).values_list("status", flat=True))


class TestTheWholeLog:
    def test_comes_out_as_an_independent_count_says(self):
        workspace = WorkspaceFactory()
        ends, refused, total = replay(LOG)
        with LOG.open(newline="") as file:
            rows, unreadable = importing.read_log(file)
        report = importing.import_log(workspace=workspace, rows=rows, now=NOW)
        assert unreadable == []
        assert statuses(workspace) == ends
        assert [refusal.line for refusal in report.refused] == refused
        assert report.rows == total == report.applied + len(report.refused)
        assert report.tickets == sum(ends.values()) and report.known == 0

    def test_a_second_run_adds_nothing(self):
        workspace = WorkspaceFactory()
        with SAMPLE.open(newline="") as file:
            rows, _ = importing.read_log(file)
        first = importing.import_log(workspace=workspace, rows=rows, now=NOW)
        before = [model.objects.for_workspace(workspace).count() for model in (Ticket, Activity, Comment, Assignment)]
        second = importing.import_log(workspace=workspace, rows=rows, now=NOW)
        after = [model.objects.for_workspace(workspace).count() for model in (Ticket, Activity, Comment, Assignment)]
        assert before == after
        assert second.applied == 0 and second.tickets == 0
        assert second.rows == first.rows == second.known + len(second.refused)

    def test_half_of_it_and_then_the_whole_is_the_same_as_the_whole_at_once(self):
        halves, whole = WorkspaceFactory(), WorkspaceFactory()
        with SAMPLE.open(newline="") as file:
            rows, _ = importing.read_log(file)
        # Cut in the middle of a case, by time, as when the log was exported earlier.
        cut = sorted(row.at for row in rows)[len(rows) // 2]
        importing.import_log(workspace=halves, rows=[row for row in rows if row.at <= cut], now=NOW)
        importing.import_log(workspace=halves, rows=rows, now=NOW)
        importing.import_log(workspace=whole, rows=rows, now=NOW)

        def story(workspace: Workspace) -> list[tuple[object, ...]]:
            activities = Activity.objects.for_workspace(workspace)
            return sorted(activities.values_list("ticket__external_id", "occurred_at", "event", "actor_name"))

        assert story(halves) == story(whole)
        assert statuses(halves) == statuses(whole)

    def test_nothing_of_the_past_is_sent_to_anyone(self):
        workspace = WorkspaceFactory()
        run(workspace, "C1,Assign seriousness,Ann,2024-01-02 08:00:00+00:00\n")
        assert not Activity.objects.for_workspace(workspace).filter(dispatched_at=None).exists()


class TestWhatARowMeans:
    def test_times_people_and_history_are_those_of_the_log(self):
        workspace = WorkspaceFactory()
        report = run(
            workspace,
            "C1,Assign seriousness,Ann,2024-01-02 08:00:00+00:00\n"
            "C1,Take in charge ticket,Bob,2024-01-02 09:00:00+00:00\n"
            "C1,Wait,Bob,2024-01-02 10:00:00+00:00\n"
            "C1,Take in charge ticket,Ann,2024-01-03 10:00:00+00:00\n"
            "C1,Resolve ticket,Ann,2024-01-03 11:00:00+00:00\n"
            "C1,Closed,Bob,2024-01-08 11:00:00+01:00\n",
        )
        assert (report.applied, report.refused) == (6, [])
        ticket = Ticket.objects.for_workspace(workspace).get(external_id="C1")
        assert ticket.status == "closed" and ticket.priority == "medium" and ticket.channel == "import"
        assert ticket.created_at == dt.datetime(2024, 1, 2, 8, tzinfo=dt.UTC)
        assert ticket.first_assigned_at == dt.datetime(2024, 1, 2, 9, tzinfo=dt.UTC)
        assert ticket.closed_at == dt.datetime(2024, 1, 8, 10, tzinfo=dt.UTC)
        assert ticket.first_response_at is None
        spans = list(ticket.assignments.order_by("assigned_at").values_list("assignee__name", "ended_at"))
        assert spans == [("Bob", dt.datetime(2024, 1, 3, 10, tzinfo=dt.UTC)), ("Ann", None)]
        events = list(ticket.activities.order_by("occurred_at", "pk").values_list("event", "actor_name"))
        assert events == [
            ("ticket.created", "Ann"),
            ("ticket.assigned", "Bob"),
            ("ticket.updated", "Bob"),
            ("ticket.updated", "Ann"),
            ("ticket.assigned", "Ann"),
            ("ticket.resolved", "Ann"),
            ("ticket.closed", "Bob"),
        ]

    def test_each_further_assessment_raises_the_priority_by_a_step(self):
        workspace = WorkspaceFactory()
        lines = ["C1,Insert ticket,Ann,2024-01-02 07:00:00+00:00"]
        for hour, expected in enumerate(["low", "medium", "high", "urgent"], start=8):
            run(workspace, "\n".join(lines))
            assert Ticket.objects.for_workspace(workspace).get().priority == expected
            lines.append(f"C1,Assign seriousness,Ann,2024-01-02 {hour:02}:00:00+00:00")
        notes = Comment.objects.for_workspace(workspace)
        assert list(notes.values_list("body", "is_internal")) == []
        run(workspace, "\n".join(lines))
        assert list(notes.values_list("body", "is_internal")) == [("Assign seriousness", True)]

    def test_words_about_the_software_are_internal_notes(self):
        workspace = WorkspaceFactory()
        run(
            workspace,
            "C1,Assign seriousness,Ann,2024-01-02 08:00:00+00:00\nC1,Create SW anomaly,Bob,2024-01-02 09:00:00+00:00\n",
        )
        note = Comment.objects.for_workspace(workspace).get()
        assert (note.body, note.is_internal, note.author_name) == ("Create SW anomaly", True, "Bob")

    def test_taking_a_resolved_ticket_in_charge_reopens_it(self):
        workspace = WorkspaceFactory()
        run(
            workspace,
            "C1,Take in charge ticket,Ann,2024-01-02 08:00:00+00:00\n"
            "C1,Resolve ticket,Ann,2024-01-02 09:00:00+00:00\n"
            "C1,Take in charge ticket,Ann,2024-01-02 10:00:00+00:00\n",
        )
        ticket = Ticket.objects.for_workspace(workspace).get()
        assert ticket.status == "open" and ticket.resolved_at is None
        assert ticket.activities.filter(event="ticket.reopened").count() == 1

    def test_its_agents_are_members_who_cannot_sign_in(self):
        workspace = WorkspaceFactory()
        run(workspace, "C1,Take in charge ticket,Value 2,2024-01-02 08:00:00+00:00\n")
        agent = Membership.objects.for_workspace(workspace).get()
        assert agent.user.email == "value-2@import.example" and not agent.user.has_usable_password()


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("activity", "reason"),
        [
            ("Closed", "A ticket that is open cannot become closed."),
            ("Wait,Wait", "A ticket that is pending cannot become pending."),
            ("Resolve ticket,Resolve ticket", "A ticket that is resolved cannot become resolved."),
            ("Resolve ticket,Wait", "A ticket that is resolved cannot become pending."),
            ("Resolve ticket,Closed,Closed", "A ticket that is closed cannot become closed."),
        ],
    )
    def test_a_move_that_the_lifecycle_has_not(self, activity, reason):
        workspace = WorkspaceFactory()
        words = ["Assign seriousness", *activity.split(",")]
        lines = [f"C1,{word},Ann,2024-01-02 {8 + i:02}:00:00+00:00" for i, word in enumerate(words)]
        report = run(workspace, "\n".join(lines))
        assert report.applied == len(words) - 1
        assert [(refusal.line, refusal.reason) for refusal in report.refused] == [(len(words) + 1, reason)]
        assert Activity.objects.for_workspace(workspace).count() == len(words) - 1

    def test_a_case_that_begins_with_a_refused_row_begins_with_the_next(self):
        workspace = WorkspaceFactory()
        report = run(
            workspace, "C1,Closed,Ann,2024-01-02 08:00:00+00:00\nC1,Assign seriousness,Ann,2024-01-03 08:00:00+00:00\n"
        )
        assert report.applied == 1 and report.refused[0].line == 2
        ticket = Ticket.objects.for_workspace(workspace).get()
        assert ticket.created_at.day == 3 and ticket.activities.count() == 1

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("C1,Dance,Ann,2024-01-02 08:00:00+00:00", "There is no such activity."),
            ("C1,Wait,Ann,yesterday", "The time cannot be read."),
            ("C1,Wait,Ann,2024-01-02 08:00:00", "The time says no zone."),
            ("C1,Wait,,2024-01-02 08:00:00+00:00", "The column resource is empty."),
            ("C1,Wait", "The column resource is empty."),
        ],
    )
    def test_a_row_that_cannot_be_read(self, line, reason):
        rows, unreadable = load(line + "\n")
        assert rows == []
        assert [(refusal.line, refusal.reason) for refusal in unreadable] == [(2, reason)]

    def test_a_file_that_is_no_log(self):
        with pytest.raises(InvalidInput, match="column activity is missing"):
            load("case,what\nC1,x\n")

    def test_a_row_of_the_future_and_nothing_is_written(self):
        workspace = WorkspaceFactory()
        with pytest.raises(InvalidInput, match="Line 3 is in the future"):
            run(workspace, "C1,Wait,A,2024-01-02 08:00:00+00:00\nC1,Wait,A,2036-01-02 08:00:00+00:00\n")
        assert not Ticket.objects.for_workspace(workspace).exists()

    def test_rows_older_than_what_people_did_since_are_known_and_change_nothing(self):
        workspace = WorkspaceFactory()
        log = "C1,Assign seriousness,Ann,2024-01-02 08:00:00+00:00\n"
        run(workspace, log)
        ticket = Ticket.objects.for_workspace(workspace).get()
        status.change_status(ticket=ticket, to="pending", actor=customer(ticket.requester), now=NOW)
        report = run(workspace, log + "C1,Resolve ticket,Ann,2024-02-02 08:00:00+00:00\n")
        assert report.known == 2 and report.applied == 0
        assert Ticket.objects.for_workspace(workspace).get().status == "pending"

    def test_a_case_that_lies_in_the_trash_is_left_there(self):
        workspace = WorkspaceFactory()
        log = "C1,Assign seriousness,Ann,2024-01-02 08:00:00+00:00\n"
        run(workspace, log)
        ticket = Ticket.objects.for_workspace(workspace).get()
        moment = dt.datetime(2024, 1, 5, tzinfo=dt.UTC)
        editing.trash(ticket=ticket, actor=customer(ticket.requester), now=moment)
        report = run(workspace, log + "C1,Resolve ticket,Ann,2024-02-02 08:00:00+00:00\n")
        assert [refusal.reason for refusal in report.refused] == ["There is no such ticket."]


class TestTheCommand:
    def call(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command("import_log", *arguments, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    def test_says_what_became_of_every_row(self, tmp_path):
        workspace = WorkspaceFactory(slug="acme")
        log = tmp_path / "log.csv"
        log.write_text(
            "case,activity,resource,at\n"
            "C1,Assign seriousness,Ann,2024-01-02 08:00:00+00:00\n"
            "C1,Closed,Ann,2024-01-02 09:00:00+00:00\n"
            "C1,Dance,Ann,2024-01-02 09:00:00+00:00\n"
        )
        said = self.call(str(log), "--workspace", "acme")
        assert "line 3: C1 Closed: refused. A ticket that is open cannot become closed." in said
        assert "line 4: C1 Dance: refused. There is no such activity." in said
        assert "3 rows: 1 applied, 0 known from an earlier run, 2 refused. 1 new tickets." in said
        assert re.search(r"\d events/s", said)
        assert Ticket.objects.for_workspace(workspace).count() == 1

    def test_names_the_workspaces_there_are(self, tmp_path):
        WorkspaceFactory(slug="acme")
        with pytest.raises(CommandError, match=r"no workspace nowhere \(there are: acme\)"):
            self.call(str(SAMPLE), "--workspace", "nowhere")

    def test_says_in_one_line_that_a_file_is_missing_or_not_text(self, tmp_path):
        WorkspaceFactory(slug="acme")
        with pytest.raises(CommandError, match="Cannot read"):
            self.call(str(tmp_path / "none.csv"), "--workspace", "acme")
        (tmp_path / "bytes.csv").write_bytes(b"case,activity,resource,at\n\xff\xfe\n")
        with pytest.raises(CommandError, match="not text in UTF-8"):
            self.call(str(tmp_path / "bytes.csv"), "--workspace", "acme")


class TestWhoKeepsUpWithTickets:
    """Subscribers that are not called for each activity of an import hear of its tickets afterwards."""

    @pytest.fixture
    def heard(self, monkeypatch):
        calls: list[tuple[UUID, list[UUID] | None, dt.datetime]] = []
        registry = Subscriptions()
        registry.listen_bulk(
            lambda workspace_id, ticket_ids, now: calls.append(
                (workspace_id, None if ticket_ids is None else list(ticket_ids), now)
            )
        )
        monkeypatch.setattr(importing, "subscriptions", registry)
        return calls

    def test_hear_of_what_was_touched_and_nothing_of_what_was_known(self, heard, monkeypatch):
        monkeypatch.setattr(importing, "BATCH", 2)
        workspace = WorkspaceFactory()
        log = "".join(f"C{n},Insert ticket,Ann,2024-01-0{n} 08:00:00+00:00\n" for n in range(1, 6))
        run(workspace, log)
        ids = dict(Ticket.objects.for_workspace(workspace).values_list("external_id", "pk"))
        names = {pk: name for name, pk in ids.items()}
        assert {(workspace_id, now) for workspace_id, _, now in heard} == {(workspace.pk, NOW)}
        told = [None if pks is None else [names[pk] for pk in pks] for _, pks, _ in heard]
        assert told == [["C1", "C2"], ["C3", "C4"], ["C5"], None]

        heard.clear()
        run(workspace, log)
        assert heard == [(workspace.pk, None, NOW)]

        # C2 goes on, C3 has only a row that is refused, C9 never begins.
        heard.clear()
        run(
            workspace,
            log
            + "C2,Wait,Ann,2024-01-09 08:00:00+00:00\n"
            + "C3,Closed,Ann,2024-01-09 08:00:00+00:00\n"
            + "C9,Closed,Ann,2024-01-09 08:00:00+00:00\n",
        )
        assert heard == [(workspace.pk, [ids["C2"]], NOW), (workspace.pk, None, NOW)]

    @pytest.mark.django_db(transaction=True)
    def test_hear_of_a_batch_that_broke_off(self, heard, monkeypatch):
        workspace = WorkspaceFactory()
        _break_at(monkeypatch, "C3")
        with pytest.raises(RuntimeError):
            run(workspace, MANY)
        told = [pk for _, pks, _ in heard for pk in pks]
        assert sorted(told) == sorted(Ticket.objects.for_workspace(workspace).values_list("pk", flat=True))


MANY = "".join(
    f"C{n},{activity},{agent},2024-01-02 {hour:02}:{n:02}:00+00:00\n"
    for n in range(40)
    for hour, activity, agent in (
        (8, "Assign seriousness", "Ann"),
        (9, "Take in charge ticket", "Bob"),
        (9, "Wait", "Bob"),
    )
)


def _break_at(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """Let something fail, with no DomainError, in the third row of this case."""
    move = status.move_locked

    def failing(ticket: Ticket, to: str, **rest: Any) -> Any:
        if ticket.external_id == case:
            raise RuntimeError(case)
        return move(ticket, to, **rest)

    monkeypatch.setattr(status, "move_locked", failing)


@pytest.mark.django_db(transaction=True)
class TestTwoConnections:
    @pytest.fixture(autouse=True)
    def told_by(self, monkeypatch):
        """The threads that told each case; the first two cases wait for each other, so that both connections work."""
        threads: dict[str, int] = {}
        both, tell = threading.Barrier(2, timeout=30), importing._tell_case

        def telling(workspace: Workspace, case: Any, agents: Any) -> Any:
            first_time = len(threads) < 2
            threads[case.rows[0].case] = threading.get_ident()
            if first_time:
                both.wait()
            return tell(workspace, case, agents)

        monkeypatch.setattr(importing, "_tell_case", telling)
        return threads

    def test_numbers_rise_with_the_cases_and_are_unique(self, told_by, monkeypatch):
        monkeypatch.setattr(importing, "BATCH", 15)
        workspace = WorkspaceFactory()
        told: list[int] = []
        rows, _ = load(MANY)
        report = importing.import_log(workspace=workspace, rows=rows, now=NOW, progress=told.append)
        assert len(set(told_by.values())) > 1 and threading.get_ident() not in told_by.values()
        assert (report.applied, report.tickets, report.refused) == (120, 40, [])
        assert sum(told) == len(rows)
        tickets = Ticket.objects.for_workspace(workspace).order_by("created_at")
        assert list(tickets.values_list("external_id", "number")) == [(f"C{n}", 1001 + n) for n in range(40)]
        assert statuses(workspace) == {"pending": 40}
        assert Activity.objects.for_workspace(workspace).count() == 120

        told.clear()
        again = importing.import_log(workspace=workspace, rows=rows, now=NOW, progress=told.append)
        assert (again.known, again.applied, again.tickets) == (120, 0, 0) and sum(told) == len(rows)

    def test_a_case_that_fails_leaves_nothing_and_the_next_run_completes(self, monkeypatch):
        workspace = WorkspaceFactory()
        with monkeypatch.context() as patched:
            _break_at(patched, "C3")
            with pytest.raises(RuntimeError, match="C3"):
                run(workspace, MANY)
        there = Ticket.objects.for_workspace(workspace)
        # What was in hand beside it is whole; what comes later was not begun.
        assert {"C0", "C1", "C2"} <= set(there.values_list("external_id", flat=True)) and there.count() < 40
        assert not there.filter(external_id="C3").exists()
        assert statuses(workspace) == {"pending": there.count()}
        assert Activity.objects.for_workspace(workspace).count() == 3 * there.count()
        assert Assignment.objects.for_workspace(workspace).count() == there.count()

        report = run(workspace, MANY)
        assert report.known + report.applied == 120
        assert statuses(workspace) == {"pending": 40}
        numbers = list(there.values_list("number", flat=True))
        assert len(set(numbers)) == 40


@pytest.mark.django_db(transaction=True)
def test_two_imports_do_not_run_at_once():
    from django.db import connection

    workspace = WorkspaceFactory()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [importing._LOCK])
        with pytest.raises(Conflict, match="Another import is running"):
            run(workspace, "C1,Assign seriousness,Ann,2024-01-02 08:00:00+00:00\n")
    finally:
        other.close()
