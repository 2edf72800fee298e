"""The outbox with real processes: a worker that is killed, a broker that is away."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from helpdesk import embedded
from helpdesk.accounts import tokens
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import Activity, Tag, Ticket
from tickets.tests.factories import make_agent, make_ticket

pytestmark = pytest.mark.django_db(transaction=True)


def environment(redis_url: str) -> dict[str, str]:
    """What a child needs to work on this test's database and broker."""
    host, name, user = (connection.settings_dict[key] for key in ("HOST", "NAME", "USER"))
    return os.environ | {
        "DATABASE_URL": f"postgres://{user}@{host.replace('/', '%2F')}/{name}",
        "REDIS_URL": redis_url,
        "TASK_VISIBILITY_SECONDS": "2",
        "LOG_LEVEL": "WARNING",
    }


@contextmanager
def running(*command: str, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    child = subprocess.Popen([sys.executable, "-m", *command], cwd=settings.BASE_DIR, env=env, start_new_session=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)


def worker(env: dict[str, str]):
    return running(
        "celery", "-A", "tickets.tests.worker_with_subscriber", "worker", "--concurrency", "1",
        "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING",
        env=env,
    )  # fmt: skip


def sweep_later(env: dict[str, str]) -> None:
    """What beat does every fifteen seconds, here at once and as if it were a minute later."""
    code = (
        "import tickets.tests.worker_with_subscriber, datetime as dt\n"
        "from django.utils import timezone\n"
        "from tickets import dispatch\n"
        "dispatch.sweep(now=timezone.now() + dt.timedelta(seconds=60))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, env=env, check=True, timeout=60)


def until(condition: Callable[[], bool], seconds: float = 40) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def everything_arrived() -> bool:
    sent = {str(pk) for pk in Activity.unscoped.filter(event="ticket.created").values_list("pk", flat=True)}
    return sent == set(Tag.unscoped.values_list("name", flat=True))


@pytest.fixture
def private_valkey(tmp_path_factory) -> Iterator[embedded.Servers]:
    """A broker of this test's own, which it may stop."""
    folder = Path(tmp_path_factory.mktemp("broker"))
    with embedded.running(folder, postgres=False, durable=True) as servers:
        yield servers


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="builds the children's address from the socket")
class TestKilledWorker:
    def test_sigkill_between_commit_and_task_loses_no_activity(self):
        env = environment(settings.REDIS_URL)
        workspace = WorkspaceFactory()
        with worker(env) as first:
            make_ticket(workspace)
            assert until(lambda: Tag.unscoped.exists()), "the worker never began"
            for _ in range(25):
                make_ticket(workspace)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait(10)
        assert not everything_arrived(), "the worker was killed too late to prove anything"
        with worker(env):
            sweep_later(env)
            assert until(everything_arrived)
        assert not Activity.unscoped.filter(dispatched_at=None).exists()


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="builds the children's address from the socket")
class TestBrokerAway:
    def test_no_request_fails_and_no_activity_is_lost_while_valkey_is_away(self, private_valkey):
        env = environment(private_valkey.redis_url or "")
        workspace = WorkspaceFactory()
        _, key = tokens.make_api_key(
            membership=make_agent(workspace), name="Test", scopes=["write"], expires_at=None, now=timezone.now()
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        def create() -> tuple[int, float]:
            began = time.monotonic()
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            body = {"subject": "Help", "description": "Please", "requester_email": "jane@customers.example"}
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            server.request("POST", "/api/tickets", json.dumps(body), headers)
            status = server.getresponse().status
            server.close()
            return status, time.monotonic() - began

        def answers() -> bool:
            try:
                return create()[0] == 201
            except OSError:
                return False

        with running("gunicorn", "helpdesk.wsgi", "-b", f"127.0.0.1:{port}", "--threads", "2", env=env):
            assert until(answers), "the server never began"
            valkey = private_valkey.children["valkey"]
            valkey.ask_to_stop()
            valkey.wait_until_stopped()
            answered = [create() for _ in range(6)]
            assert [status for status, _ in answered] == [201] * 6
            assert max(seconds for _, seconds in answered) < 5
            valkey.begin()
            valkey.wait_until_ready()
            assert create()[0] == 201
        created = Ticket.objects.for_workspace(workspace).count()
        assert created >= 8
        assert Activity.unscoped.filter(event="ticket.created").count() == created
        with worker(env):
            sweep_later(env)
            assert until(everything_arrived)
        assert not Activity.unscoped.filter(dispatched_at=None).exists()
