"""The feed: nobody who reads it misses anything, in whatever order writers commit."""

import datetime as dt
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import InvalidInput
from tickets import dispatch, feed, timeline
from tickets.events import SYSTEM, Actor, Event
from tickets.management import demo_bulk
from tickets.models import Activity, FeedEntry, Ticket
from tickets.services import editing
from tickets.tests.factories import NOW, CategoryFactory, make_agent, make_ticket

in_transaction = pytest.mark.django_db
really = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said to the broker is not what these tests are about."""
    monkeypatch.setattr(dispatch.celery_app, "send_task", lambda *_args, **_more: None)


class Somebody:
    """A thread with a database connection of its own, which does one thing after the other as it is told."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._atomic: Any = None

    def begin_to(self, do: Any, *args: Any, **named: Any) -> Future[Any]:
        return self._thread.submit(do, *args, **named)

    def does(self, do: Any, *args: Any, **named: Any) -> Any:
        return self.begin_to(do, *args, **named).result(timeout=30)

    def begins(self) -> None:
        def begin() -> None:
            self._atomic = transaction.atomic()
            self._atomic.__enter__()

        self.does(begin)

    def commits(self) -> None:
        self.does(lambda: self._atomic.__exit__(None, None, None))

    def rolls_back(self) -> None:
        self.does(lambda: self._atomic.__exit__(RuntimeError, RuntimeError(), None))

    def leaves(self) -> None:
        self.does(lambda: connection.close())  # the one of that thread
        self._thread.shutdown()


@pytest.fixture
def people() -> Iterator[Any]:
    """A function that brings somebody with a connection of their own."""
    came: list[Somebody] = []

    def bring() -> Somebody:
        came.append(Somebody())
        return came[-1]

    yield bring
    for one in came:
        one.leaves()


def activity_of(ticket: Ticket, word: str = "", **fields: Any) -> Activity:
    return Activity(
        workspace_id=ticket.workspace_id,
        ticket=ticket,
        event="ticket.updated",
        occurred_at=NOW,
        actor_kind="system",
        actor_name="Helpdesk",
        payload={"data": {"word": word}},
        **fields,
    )


def write(ticket: Ticket, *words: str) -> None:
    Activity.unscoped.bulk_create([activity_of(ticket, word) for word in words])


def word_of(entry: FeedEntry) -> str:
    return str(entry.activity.payload["data"].get("word"))


def read_on(workspace_id: UUID, position: int, limit: int = 3) -> tuple[list[str], int]:
    """What a consumer sees that pages from a position until there is no more, and where it stands then."""
    words: list[str] = []
    while True:
        page = feed.page(workspace_id=workspace_id, after=position, limit=limit)
        words += [word_of(entry) for entry in page.entries]
        position = page.next
        if not page.has_more:
            return words, position


class TestEveryActivityHasAnEntry:
    @in_transaction
    def test_one_that_is_recorded_and_many_that_are_written_at_once(self) -> None:
        ticket = make_ticket(WorkspaceFactory())
        write(ticket, "a", "b", "c")
        assert not Activity.unscoped.filter(feed_entry=None).exists()
        assert feed.number() == Activity.unscoped.count() >= 4
        assert [word_of(entry) for entry in feed.after(0, limit=9)][-3:] == ["a", "b", "c"]

    @in_transaction
    def test_those_that_a_loader_copies_in_which_looks_up_no_foreign_keys(self) -> None:
        workspace = WorkspaceFactory()
        make_agent(workspace)
        CategoryFactory(workspace=workspace)
        demo_bulk.copy_tickets(workspace=workspace, count=20, seed=1, now=NOW)
        assert Activity.unscoped.count() > 20
        assert not Activity.unscoped.filter(feed_entry=None).exists()
        assert set(FeedEntry.unscoped.values_list("is_replay", flat=True)) == {True}

    @in_transaction
    def test_the_past_is_marked_as_such(self) -> None:
        ticket = make_ticket(WorkspaceFactory())
        past = Actor(SYSTEM.kind, "Import", is_replay=True)
        timeline.record(ticket=ticket, event=Event.UPDATED, actor=past, now=NOW)
        feed.number()
        assert [entry.is_replay for entry in feed.after(0, limit=9)] == [False, True]

    @in_transaction
    def test_what_is_taken_back_has_none(self) -> None:
        ticket = make_ticket(WorkspaceFactory())
        with pytest.raises(RuntimeError), transaction.atomic():
            write(ticket, "gone")
            raise RuntimeError
        write(ticket, "stays")
        feed.number()
        assert [word_of(entry) for entry in feed.after(0, limit=9)][1:] == ["stays"]

    @in_transaction
    def test_a_ticket_that_is_deleted_for_good_takes_its_entries_along_and_cursors_stay_valid(self) -> None:
        workspace = WorkspaceFactory()
        ticket, other = make_ticket(workspace), make_ticket(workspace)
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        feed.number()
        words = [entry.activity.event for entry in feed.after(0, limit=9, workspace_id=workspace.pk)]
        assert words == ["ticket.created", "ticket.created", "ticket.trashed"]
        last = feed.end(workspace.pk)
        assert editing.purge_trash(now=NOW + dt.timedelta(days=31)) == 1
        assert [entry.activity.ticket_id for entry in feed.after(0, limit=9)] == [other.pk]
        write(other, "later")
        assert read_on(workspace.pk, last)[0] == ["later"]
        assert feed.end() > last

    @in_transaction
    def test_the_migration_can_be_taken_back_and_numbers_what_was_there_before_it(self) -> None:
        migration = import_module("tickets.migrations.0014_feed")
        ticket = make_ticket(WorkspaceFactory())
        past = Actor(SYSTEM.kind, "Import", is_replay=True)
        timeline.record(ticket=ticket, event=Event.UPDATED, actor=past, now=NOW)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(migration.FEED_UNDO)
            cursor.execute("TRUNCATE ticket_feed")
        write(ticket, "before there was a trigger")
        with connection.cursor() as cursor:
            cursor.execute(migration.HISTORY)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(migration.FEED)
            cursor.execute(migration.HISTORY)
        assert feed.number() == 0
        assert [entry.is_replay for entry in feed.after(0, limit=9)] == [False, True, False]
        write(ticket, "since")
        assert feed.number() == 1


class TestOrder:
    @in_transaction
    def test_what_happens_to_a_ticket_keeps_its_order_where_the_clocks_of_two_machines_differ(self) -> None:
        ticket = make_ticket(WorkspaceFactory())
        early, late = sorted([activity_of(ticket, "second"), activity_of(ticket, "first")], key=lambda row: row.pk)
        late.payload, early.payload = {"data": {"word": "first"}}, {"data": {"word": "second"}}
        for activity in (late, early):  # the one with the greater id happens first
            Activity.unscoped.bulk_create([activity])
        assert read_on(ticket.workspace_id, 0)[0][1:] == ["first", "second"]

    @really
    def test_who_commits_last_is_read_last_and_not_missed(self, people: Any) -> None:
        """Of two transactions the one that begins first commits last: who reads by id or time goes past it."""
        workspace = WorkspaceFactory()
        one, other = make_ticket(workspace), make_ticket(workspace)
        start = feed.latest(workspace_id=workspace.pk)
        slow, quick = people(), people()
        slow.begins()
        slow.does(write, one, "began first")
        quick.does(write, other, "committed first")

        first, position = read_on(workspace.pk, start)
        by_id = Activity.objects.for_workspace(workspace).filter(event="ticket.updated").order_by("pk")
        seen = by_id.get()
        assert first == ["committed first"]
        assert read_on(workspace.pk, position) == ([], position)

        slow.commits()
        assert read_on(workspace.pk, position)[0] == ["began first"]
        ids = [entry.activity_id for entry in feed.after(start, limit=9)]
        assert ids == sorted(ids, reverse=True)  # positions are not in the order of ids here
        # What a reader by id, or by the time of recording, would have got after the first reading.
        assert by_id.count() == 2
        assert not by_id.filter(pk__gt=seen.pk).exists()
        assert not by_id.filter(recorded_at__gt=seen.recorded_at).exists()

    @really
    def test_latest_is_behind_all_that_is_visible_and_before_what_is_committed_later(self, people: Any) -> None:
        workspace = WorkspaceFactory()
        ticket = make_ticket(workspace)
        slow = people()
        slow.begins()
        slow.does(write, ticket, "later")
        write(ticket, "before")
        position = feed.latest(workspace_id=workspace.pk)
        slow.commits()
        assert read_on(workspace.pk, position)[0] == ["later"]


class TestNumbering:
    def waiting_for_a_lock(self, pid: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [pid])
            return bool(cursor.fetchone()[0])

    def pid(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    @really
    def test_two_who_number_at_once_wait_for_each_other_and_number_everything_once(self, people: Any) -> None:
        ticket = make_ticket(WorkspaceFactory())
        write(ticket, "a", "b")
        first, second = people(), people()
        first.begins()
        assert first.does(feed.number) == 3
        write(ticket, "c")
        pid = second.does(self.pid)
        numbered = second.begin_to(feed.number)
        until = time.monotonic() + 20
        while not self.waiting_for_a_lock(pid):
            assert time.monotonic() < until
        assert feed.after(0, limit=9) == []  # nothing of this is visible yet
        first.commits()
        assert numbered.result(timeout=20) == 1
        assert [word_of(entry) for entry in feed.after(0, limit=9)] == ["None", "a", "b", "c"]
        assert FeedEntry.unscoped.count() == 4

    @really
    def test_one_who_is_killed_while_numbering_leaves_nothing_and_loses_nothing(self, people: Any) -> None:
        ticket = make_ticket(WorkspaceFactory())
        write(ticket, "a", "b")
        victim = people()
        victim.begins()
        assert victim.does(feed.number) == 3
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 20000)", [victim.does(self.pid)])
        write(ticket, "c")
        assert read_on(ticket.workspace_id, 0)[0] == ["None", "a", "b", "c"]
        with pytest.raises((OperationalError, InterfaceError)):
            victim.does(self.pid)
        victim.rolls_back()

    @really
    def test_a_purge_that_is_under_way_is_not_waited_for(self, people: Any) -> None:
        workspace = WorkspaceFactory()
        gone, stays = make_ticket(workspace), make_ticket(workspace)
        editing.trash(ticket=gone, actor=SYSTEM, now=NOW)
        purger, reader = people(), people()
        purger.begins()
        assert purger.does(editing.purge_trash, now=NOW + dt.timedelta(days=31)) == 1
        page = reader.begin_to(feed.page, workspace_id=workspace.pk, after=0, limit=9)
        try:
            found = page.result(timeout=10)
        except NotYet:  # pragma: no cover (the failure of this test)
            pytest.fail("it waits for the purge")
        finally:
            purger.commits()
        assert [entry.activity.ticket_id for entry in found.entries] == [stays.pk]
        assert feed.number() == 0
        assert FeedEntry.unscoped.filter(position=None).count() == 0


class TestPages:
    @in_transaction
    def test_go_past_what_is_not_wanted_and_look_at_so_many_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "SCANNED", 3)
        workspace = WorkspaceFactory()
        ticket = make_ticket(workspace)
        write(ticket, *"abcdef")
        timeline.record(ticket=ticket, event=Event.RESOLVED, actor=SYSTEM, now=NOW)
        write(ticket, "g", "h")
        position, answers = 0, []
        while True:
            page = feed.page(workspace_id=workspace.pk, after=position, limit=2, events={"ticket.resolved"})
            answers.append([entry.activity.event for entry in page.entries])
            assert page.next > position
            position = page.next
            if not page.has_more:
                break
        assert answers == [[], [], ["ticket.resolved"], []]
        assert position == feed.end(workspace.pk)

    @in_transaction
    def test_of_what_is_wanted_end_with_the_last_that_was_given(self) -> None:
        workspace = WorkspaceFactory()
        write(make_ticket(workspace), "a", "b", "c")
        wanted = {"events": {"ticket.updated"}, "workspace_id": workspace.pk}
        page = feed.page(after=0, limit=2, **wanted)
        assert ([word_of(entry) for entry in page.entries], page.has_more) == (["a", "b"], True)
        page = feed.page(after=page.next, limit=2, **wanted)
        assert ([word_of(entry) for entry in page.entries], page.has_more) == (["c"], False)
        assert feed.page(after=page.next, limit=2, **wanted) == feed.Page([], page.next, False)

    @in_transaction
    def test_say_that_there_is_more_while_much_has_no_position_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "_BATCH", 2)
        workspace = WorkspaceFactory()
        write(make_ticket(workspace), "a", "b", "c", "d")
        page = feed.page(workspace_id=workspace.pk, after=0, limit=9)
        assert (len(page.entries), page.has_more) == (2, True)
        words, position = read_on(workspace.pk, page.next)
        assert words == ["b", "c", "d"]
        write(Ticket.unscoped.get(), *"efghi")
        assert read_on(workspace.pk, feed.latest(workspace_id=workspace.pk)) == ([], position + 5)

    @in_transaction
    def test_of_a_workspace_have_nothing_of_another(self) -> None:
        here, there = make_ticket(WorkspaceFactory()), make_ticket(WorkspaceFactory())
        write(there, "there")
        write(here, "here")
        assert read_on(here.workspace_id, 0)[0] == ["None", "here"]

    @in_transaction
    def test_of_a_workspace_are_never_looked_for_among_the_entries_of_all(self) -> None:
        """Even where there is nothing better: what others have written since may be millions of rows."""
        ticket = make_ticket(WorkspaceFactory())
        feed.number()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("DROP INDEX ticket_feed_of_workspace")
            cursor.execute("SET LOCAL enable_seqscan = off")
        with CaptureQueriesContext(connection) as asked:
            feed.page(workspace_id=ticket.workspace_id, after=0, limit=9)
            feed.page(workspace_id=ticket.workspace_id, after=0, limit=9, events={"ticket.created"})
            feed.end(ticket.workspace_id)
        queries = [query["sql"] for query in asked if '"ticket_feed"' in query["sql"]]
        assert len(queries) == 4
        for query in [*queries, 'SELECT * FROM "ticket_feed" WHERE position > 0 ORDER BY position LIMIT 9']:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {query}")
                plan = " ".join(line for (line,) in cursor.fetchall())
            assert ("ticket_feed_has_one_order" in plan) == (query not in queries), plan

    @in_transaction
    def test_after_a_position_that_was_never_given_are_refused(self) -> None:
        ticket = make_ticket(WorkspaceFactory())
        with pytest.raises(InvalidInput) as refusal:
            feed.page(workspace_id=ticket.workspace_id, after=2**62, limit=9)
        assert list(refusal.value.errors) == ["after"]


class TestCursors:
    @given(st.integers(0, 2**63 - 1))
    def test_come_back_as_the_position_they_stand_for(self, position: int) -> None:
        assert feed.position_of(feed.cursor_of(position)) == position

    @given(st.text(max_size=20) | st.from_regex(r"1-[0-9a-z]{0,14}", fullmatch=True))
    def test_are_refused_unless_they_are_written_as_we_write_them(self, text: str) -> None:
        try:
            position = feed.position_of(text)
        except InvalidInput as refusal:
            named = list(refusal.errors)
        else:
            named = ["after"] if feed.cursor_of(position) == text else []
        assert named == ["after"]


# --- Many at once -----------------------------------------------------------------------------


@really
def test_readers_miss_nothing_and_see_nothing_twice_while_eight_write() -> None:
    """Writers wait, roll back whole transactions and parts of them; readers page and number beside them."""
    workspace: Any = WorkspaceFactory()
    tickets = [make_ticket(workspace) for _ in range(5)]
    start = feed.latest(workspace_id=workspace.pk)
    committed: set[str] = set()
    taken_back: set[str] = set()
    is_over = threading.Event()

    def write_on(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for turn in range(12):
                kept: set[str] = set()
                try:
                    with transaction.atomic():
                        # As every service does: the ticket's row is locked until the end.
                        ticket = Ticket.unscoped.select_for_update().get(pk=chance.choice(tickets).pk)
                        for step in range(chance.randint(1, 4)):
                            count = Activity.unscoped.filter(ticket=ticket).count()
                            word = f"{ticket.number} {count:05} {seed}/{turn}/{step}"
                            try:
                                with transaction.atomic():
                                    write(ticket, word)
                                    time.sleep(chance.random() * 0.004)
                                    if chance.random() < 0.25:
                                        raise RuntimeError
                                kept.add(word)
                            except RuntimeError:
                                taken_back.add(word)
                        time.sleep(chance.random() * 0.01)
                        if chance.random() < 0.2:
                            raise RuntimeError
                    committed.update(kept)
                except RuntimeError:
                    taken_back.update(kept)
        finally:
            connection.close()

    def follow(limit: int) -> list[str]:
        words: list[str] = []
        position = start
        try:
            while True:
                was_over = is_over.is_set()
                more, position = read_on(workspace.pk, position, limit)
                words += more
                if was_over:
                    return words
        finally:
            connection.close()

    with ThreadPoolExecutor(11) as crew:
        readers = [crew.submit(follow, limit) for limit in (1, 2, 7)]
        writers = [crew.submit(write_on, seed) for seed in range(8)]
        try:
            for one in writers:
                one.result(timeout=60)
        finally:
            is_over.set()
        seen = [one.result(timeout=60) for one in readers]

    assert len(committed) > 50 and len(taken_back) > 10
    assert seen[0] == seen[1] == seen[2]
    assert sorted(seen[0]) == sorted(committed)  # each once, and nothing that was rolled back
    assert not set(seen[0]) & taken_back
    for ticket in tickets:
        of_ticket = [word for word in seen[0] if word.startswith(f"{ticket.number} ")]
        assert of_ticket == sorted(of_ticket)  # in the order in which it happened


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "commit", "roll back"]), st.integers(0, 2))
    | st.tuples(st.sampled_from(["number", "read"]), st.integers(1, 3)),
    max_size=30,
)


@really
def test_whatever_the_order_of_steps_every_reader_gets_what_is_committed_once(people: Any) -> None:
    workspace: Any = WorkspaceFactory()
    writers = [people() for _ in range(3)]
    tickets = [make_ticket(workspace) for _ in writers]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(STEPS)
    def check(steps: list[tuple[str, int]]) -> None:
        start = position = feed.latest(workspace_id=workspace.pk)
        written: dict[int, list[str]] = {}
        committed: list[str] = []
        words: list[str] = []
        for place, (step, n) in enumerate([*steps, *(("commit", n) for n in range(3))]):
            if step == "write":
                if n not in written:
                    writers[n].begins()
                written.setdefault(n, []).append(f"{n}/{place}")
                writers[n].does(write, tickets[n], f"{n}/{place}")
            elif step == "commit" and n in written:
                writers[n].commits()
                committed += written.pop(n)
            elif step == "roll back" and n in written:
                writers[n].rolls_back()
                del written[n]
            elif step == "number":
                feed.number(limit=n)
            elif step == "read":
                page = feed.page(workspace_id=workspace.pk, after=position, limit=n)
                words += [word_of(entry) for entry in page.entries]
                position = page.next
        words += read_on(workspace.pk, position)[0]
        assert sorted(words) == sorted(committed)
        assert words == read_on(workspace.pk, start, limit=100)[0]  # who comes later reads the same
        for n in range(3):
            mine = [word for word in words if word.startswith(f"{n}/")]
            assert mine == sorted(mine, key=lambda word: int(word[2:]))

    check()
