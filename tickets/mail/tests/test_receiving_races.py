"""Workers beside each other and workers that die: nothing is lost, and there is one comment."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections

from tickets import dispatch, search
from tickets.mail import tokens
from tickets.mail.models import Incoming
from tickets.mail.services import delivery, receiving, threading
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import NOW, letter
from tickets.models import Attachment, Comment, Ticket
from tickets.services import conversation, files
from tickets.tests.factories import make_ticket

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + 2 * receiving.LEASE


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    monkeypatch.setattr(dispatch, "_queue", lambda *args: None)


@pytest.fixture
def mailbox():
    return MailboxFactory(address="support@acme.example")


@pytest.fixture
def ticket(mailbox):
    return make_ticket(mailbox.workspace)


def accepted(mailbox, raw) -> Incoming:
    return receiving.accept(
        raw=raw, mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=NOW, is_queued=False
    )


def answer(ticket, mailbox, **fields) -> bytes:
    """A letter that goes on with the ticket, with a file."""
    address = tokens.reply_address(ticket_id=ticket.pk, address=mailbox.address)
    return letter(to=address, files=[("a.txt", b"hello")], **fields)


def side_by_side(*calls: Callable[[], Any]) -> list[Any]:
    """What calls give that begin at the same moment, each on a connection of its own."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(20)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class TestSideBySide:
    def test_two_workers_on_the_same_message_make_one_comment(self, mailbox, ticket):
        incoming = accepted(mailbox, answer(ticket, mailbox))
        side_by_side(*[lambda: receiving.process(incoming_id=incoming.pk, now=NOW)] * 2)
        incoming.refresh_from_db()
        assert (incoming.outcome, incoming.attempts) == ("comment_added", 1)
        assert (Comment.unscoped.count(), Attachment.unscoped.count()) == (1, 1)

    def test_a_worker_whose_lease_ended_and_the_next_one_make_one_comment(self, mailbox, ticket):
        incoming = accepted(mailbox, answer(ticket, mailbox))
        side_by_side(
            lambda: receiving.process(incoming_id=incoming.pk, now=NOW),
            lambda: receiving.process(incoming_id=incoming.pk, now=LATER),
        )
        assert Comment.unscoped.count() == 1

    @pytest.mark.parametrize("has_id", [True, False])
    def test_the_same_message_twice_at_once_is_one_ticket(self, mailbox, has_id):
        raw = letter(files=[("a.txt", b"hello")], **({} if has_id else {"message_id": None}))
        rows = [accepted(mailbox, raw) for _ in range(4)]
        done = side_by_side(*[lambda pk=row.pk: receiving.process(incoming_id=pk, now=NOW) for row in rows])
        assert sorted(row.outcome for row in done) == ["duplicate"] * 3 + ["ticket_created"]
        assert len({row.ticket_id for row in done}) == 1
        assert (Ticket.unscoped.count(), Attachment.unscoped.count()) == (1, 1)
        kept = Attachment.unscoped.get()
        folder = Path(kept.file.path).parents[1]
        found = [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".eml"]
        assert found == [kept.id.hex]

    def test_the_number_that_a_copy_gave_back_is_the_next(self, mailbox):
        rows = [accepted(mailbox, letter(message_id="<same@customers.example>")) for _ in range(2)]
        side_by_side(*[lambda pk=row.pk: receiving.process(incoming_id=pk, now=NOW) for row in rows])
        last = receiving.process(incoming_id=accepted(mailbox, letter()).pk, now=NOW)
        assert last.ticket.number == 1002

    def test_many_answers_at_once_are_all_kept(self, mailbox, ticket):
        rows = [accepted(mailbox, answer(ticket, mailbox, From=f"p{n}@customers.example")) for n in range(6)]
        side_by_side(*[lambda pk=row.pk: receiving.process(incoming_id=pk, now=NOW) for row in rows])
        assert Comment.unscoped.count() == 6


class Killed(BaseException):
    """What no handler of errors catches, as SIGKILL."""


# Every place between two steps at which a worker may die: the function that is called there.
PLACES = [
    (receiving.messages, "read"),
    (threading, "find"),
    (files, "prepare"),
    (conversation, "customer_reply"),
    (search, "add_words"),
    (conversation.timeline, "record"),
    (delivery, "reachable_again"),
    (receiving._Work, "finish"),
]


class TestAWorkerThatDies:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
    def test_at_any_step_leaves_nothing_and_the_next_makes_one_comment(
        self, mailbox, ticket, monkeypatch, place, after
    ):
        incoming = accepted(mailbox, answer(ticket, mailbox))
        where, name = place
        real = getattr(where, name)

        def die(*args: Any, **kwargs: Any) -> Any:
            if after:
                real(*args, **kwargs)
            raise Killed

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(where, name, die)
            receiving.process(incoming_id=incoming.pk, now=NOW)
        incoming.refresh_from_db()
        assert (incoming.status, incoming.attempts, Comment.unscoped.count()) == ("waiting", 1, 0)
        assert not Attachment.unscoped.exists()
        assert receiving.queue_due(now=LATER) == 1
        assert receiving.process(incoming_id=incoming.pk, now=LATER).outcome == "comment_added"
        assert receiving.process(incoming_id=incoming.pk, now=LATER + receiving.LEASE).attempts == 2
        assert (Comment.unscoped.count(), Attachment.unscoped.count()) == (1, 1)

    def test_three_times_is_quarantine_and_the_message_is_kept(self, mailbox, monkeypatch):
        incoming = accepted(mailbox, letter())

        def die(*args: Any, **kwargs: Any) -> Any:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(receiving.messages, "read", die)
            for turn in range(3):
                with pytest.raises(Killed):
                    receiving.process(incoming_id=incoming.pk, now=NOW + turn * receiving.LEASE)
            last = receiving.process(incoming_id=incoming.pk, now=NOW + 3 * receiving.LEASE)
        assert (last.outcome, last.reason) == ("quarantined", "killed_worker") and last.raw

    @pytest.mark.parametrize("place", ["customer_reply", "finish", "commit"])
    def test_by_sigkill_loses_nothing(self, mailbox, ticket, place):
        incoming = accepted(mailbox, answer(ticket, mailbox))
        connections.close_all()  # the child must not use this process's connection
        child = multiprocessing.get_context("fork").Process(target=_work_and_die, args=(incoming.pk, place))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        is_committed = place == "commit"
        incoming.refresh_from_db()
        assert (incoming.status == "done", Comment.unscoped.count()) == (is_committed, int(is_committed))
        again = receiving.process(incoming_id=incoming.pk, now=LATER)
        assert (again.outcome, Comment.unscoped.count(), Attachment.unscoped.count()) == ("comment_added", 1, 1)

    def test_between_the_stored_message_and_the_word_that_it_was_stored_makes_one(self, mailbox):
        raw = letter()
        accepted(mailbox, raw)  # the door died before it said yes, so the other server sends it again
        accepted(mailbox, raw)
        done = [receiving.process(incoming_id=pk, now=NOW) for pk in Incoming.unscoped.values_list("pk", flat=True)]
        assert sorted(row.outcome for row in done) == ["duplicate", "ticket_created"]


def _work_and_die(incoming_id: Any, place: str) -> None:
    """In a process of its own: work the message through and be killed at a place."""

    def die(*args: Any, **kwargs: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    if place == "customer_reply":
        real = conversation.customer_reply
        setattr(receiving.conversation, "customer_reply", lambda **given: (real(**given), die()))  # noqa: B010
    elif place == "finish":
        setattr(receiving._Work, "finish", die)  # noqa: B010
    receiving.process(incoming_id=incoming_id, now=NOW)
    die()
