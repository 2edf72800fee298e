"""Webhooks with real processes: senders that are killed, a broker that stops, a database that is started anew."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from helpdesk import embedded
from tickets.tests.test_outbox_processes import running, until
from tickets.webhooks.management import receiver

EVENTS = 5000

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="copies the schema through the socket"),
]


@pytest.fixture
def servers() -> Iterator[embedded.Servers]:
    """Servers of this test's own, which it may stop; the database has the schema of the tests' own."""
    with tempfile.TemporaryDirectory(prefix="helpdesk-test-") as name, embedded.running(_opened(name)) as started:
        tools = embedded._installation() / "bin"
        known = connection.settings_dict
        dump = subprocess.run(
            [tools / "pg_dump", "-h", known["HOST"], "-U", known["USER"], known["NAME"]],
            check=True,
            capture_output=True,
        )
        address = settings_of(started)
        subprocess.run(
            [tools / "psql", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-d", address],
            input=dump.stdout,
            check=True,
            timeout=60,
        )
        yield started


def _opened(folder: str) -> Path:
    """Where root runs the tests, PostgreSQL runs as nobody and must get into its folder."""
    Path(folder).chmod(0o711)
    return Path(folder)


def settings_of(servers: embedded.Servers) -> str:
    """The address of the database, as psql and psycopg read it."""
    return (servers.database_url or "").replace("postgres://", "postgresql://")


def counted(database: psycopg.Connection, condition: str) -> int:
    """How many messages meet a condition."""
    row: Any = database.execute(f"SELECT count(*) FROM webhook_deliveries WHERE {condition}").fetchone()
    return int(row[0])


@pytest.fixture
def received(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A receiver that answers 204, and the file in which it writes what came."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "received"
    log.touch()
    process = subprocess.Popen([sys.executable, receiver.__file__, str(port), str(log)])
    try:
        yield f"http://127.0.0.1:{port}/hooks", log
    finally:
        process.kill()
        process.wait(10)


def test_5000_events_arrive_each_under_its_one_id_whatever_is_killed_or_restarted_meanwhile(servers, received):
    url, log = received
    env = os.environ | {
        "DATABASE_URL": servers.database_url or "",
        "REDIS_URL": servers.redis_url or "",
        "OUTBOUND_ALLOW": "127.0.0.0/8",
        "LOG_LEVEL": "ERROR",
    }

    def arrived() -> list[str]:
        return [line.split()[1] for line in log.read_text().splitlines()]

    def after(count: int) -> None:
        assert until(lambda: len(set(arrived())) >= count, 60), f"only {len(set(arrived()))} of {count} arrived"

    def sender():
        return running("manage", "send_webhooks", env=env)

    postgres, valkey = servers.children["postgres"], servers.children["valkey"]
    with running("tickets.webhooks.tests.writer", str(EVENTS), url, env=env) as writer:
        with sender() as first:
            after(500)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait(10)
        with sender() as second:
            after(1200)
            valkey.ask_to_stop()
            valkey.wait_until_stopped()
            after(2000)
            postgres.ask_to_stop()
            postgres.wait_until_stopped()
            postgres.begin()
            postgres.wait_until_ready()
            after(3000)
            os.killpg(second.pid, signal.SIGKILL)
            second.wait(10)
        valkey.begin()
        assert writer.wait(120) == 0
        with psycopg.connect(settings_of(servers), autocommit=True) as database:
            waiting = counted(database, "status = 'waiting'")
            # A minute passes: the leases of who was killed end.
            database.execute("UPDATE webhook_deliveries SET next_at = now() WHERE status = 'waiting'")
            assert waiting > 0, "the senders were killed too late to prove anything"
            with sender():
                after(EVENTS)
                assert until(lambda: not counted(database, "status <> 'delivered'"), 30)
            rows = database.execute(
                "SELECT id::text FROM ticket_activities WHERE event = 'ticket.unassigned'"
            ).fetchall()
    happened = {row[0] for row in rows}
    counts = Counter(arrived())
    assert len(happened) >= EVENTS
    assert set(counts) == happened
    # What was in flight when a sender was killed, or unwritten when the database went, came twice: under its id.
    assert sum(counts.values()) < len(happened) * 1.5
