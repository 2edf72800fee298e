"""Sending with real processes: a worker that is killed before, and after, the mail server took the mail."""

import asyncio
import email
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings
from django.utils import timezone

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.mail.models import MailSettings, Outgoing
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.servers import free_port
from tickets.tests.factories import make_agent, make_reply, make_ticket
from tickets.tests.test_outbox_processes import environment, running, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="builds the children's address from the socket"),
]
MAILS = 12


class Sink:
    """A mail server that keeps what it takes, and can make the worker wait just before or just after that."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.holds_before = self.holds_after = self.is_held = False

    async def handle_DATA(self, server, session, envelope):  # aiosmtpd calls it so
        if self.holds_before:
            await self._hold()
            return "451 4.3.0 Gone"
        self.taken.append(email.message_from_bytes(envelope.content)["Message-ID"].strip("<>"))
        if self.holds_after and len(self.taken) > 3:
            await self._hold()
        return "250 OK"

    async def _hold(self) -> None:
        self.is_held = True
        while self.holds_before or self.holds_after:
            await asyncio.sleep(0.02)


@contextmanager
def listening() -> Iterator[tuple[Sink, int]]:
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield sink, controller.port
    finally:
        sink.holds_before = sink.holds_after = False
        controller.stop()


def worker(env):
    return running(
        "celery", "-A", "helpdesk", "worker", "--concurrency", "1",
        "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING",
        env=env,
    )  # fmt: skip


def sweep(env) -> None:
    """What beat does every fifteen seconds, as if it were a minute later."""
    code = (
        "import django, datetime as dt; django.setup()\n"
        "from django.utils import timezone\n"
        "from tickets.mail.services import sending\n"
        "sending.queue_due(now=timezone.now() + dt.timedelta(seconds=60))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, env=env, check=True, timeout=60)


@pytest.mark.parametrize("killed", ["before the server took it", "after the server took it"])
def test_a_worker_killed_while_sending_loses_nothing_and_duplicates_at_most_one_mail_with_the_same_id(killed):
    workspace = WorkspaceFactory()
    MailSettings.unscoped.create(workspace=workspace, undo_seconds=0)
    MailboxFactory(workspace=workspace)
    agent = make_agent(workspace)
    with listening() as (sink, port):
        env = environment(settings.REDIS_URL) | {"EMAIL_URL": f"smtp://127.0.0.1:{port}"}
        if killed.startswith("before"):
            sink.holds_before = True
        else:
            sink.holds_after = True
        with worker(env) as first:
            for number in range(MAILS):
                ticket = make_ticket(workspace, requester_email=f"customer{number}@customers.example")
                make_reply(ticket, agent, now=timezone.now())
            assert until(lambda: sink.is_held), "the worker never sent anything"
            os.killpg(first.pid, signal.SIGKILL)
            first.wait(10)
        sink.holds_before = sink.holds_after = False
        named = {row.message_id for row in Outgoing.unscoped.all()}
        assert len(named) == MAILS
        (leased,) = Outgoing.unscoped.filter(status="waiting", attempts=1)
        assert (leased.message_id in sink.taken) is killed.startswith("after")
        # Five minutes pass: the lease of who was killed ends.
        Outgoing.unscoped.filter(pk=leased.pk).update(next_at=timezone.now())
        with worker(env):
            sweep(env)
            assert until(lambda: not Outgoing.unscoped.exclude(status="sent").exists())
    assert set(sink.taken) == named
    again = [one for one in named if sink.taken.count(one) > 1]
    assert again == ([leased.message_id] if killed.startswith("after") else [])
    assert len(sink.taken) == MAILS + len(again)
