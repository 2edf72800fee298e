"""`manage.py mailserver` as a process: it listens, takes mail, ends when it is told to, and needs little memory."""

import datetime as dt
import os
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from tickets.mail.models import Incoming
from tickets.mail.services import receiving
from tickets.mail.tests.factories import MailboxFactory
from tickets.models import Ticket

pytestmark = pytest.mark.django_db(transaction=True)
MEGABYTE = 1024 * 1024


def command(*options: str) -> "subprocess.Popen[str]":
    """The command on this test's database."""
    parameters = connection.settings_dict
    address = f"postgres://{parameters['USER']}:{parameters['PASSWORD']}@{parameters['HOST'].replace('/', '%2F')}"
    environment = os.environ | {
        "DATABASE_URL": f"{address}:{parameters['PORT']}/{parameters['NAME']}",
        "DATA_DIR": str(settings.DATA_DIR),
        "ENVIRONMENT": "test",
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "mailserver", *options],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def server() -> Iterator[tuple[Any, int]]:
    """The running command and its port."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    process = command("--bind", "127.0.0.1", "--port", str(port))
    try:
        assert process.stdout
        assert process.stdout.readline() == f"Listening for mail on {port}.\n", process.stderr
        yield process, port
    finally:
        process.kill()
        process.communicate()


def peak(process: Any) -> int:
    """The most memory that the process ever had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_it_takes_a_message_of_25_megabytes_in_little_memory_and_ends_when_told(server: tuple[Any, int]) -> None:
    process, port = server
    MailboxFactory(address="support@acme.example")
    line = b"QUJD" * 19 + b"\r\n"
    message = b"Subject: A large file\r\n\r\n" + line * (25 * MEGABYTE // len(line))
    before = peak(process)
    with smtplib.SMTP("127.0.0.1", port, local_hostname="x", timeout=60) as client:
        assert client.sendmail("jane@secret.example", ["support@acme.example"], message) == {}
        print(f"peak {before / MEGABYTE:.0f} MB before, {peak(process) / MEGABYTE:.0f} MB after")  # noqa: T201
    assert [incoming.size for incoming in Incoming.unscoped.all()] == [len(message)]
    assert peak(process) < 300 * MEGABYTE

    process.send_signal(signal.SIGTERM)
    _, logged = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "was stored for mailbox" in logged
    assert "secret" not in logged and "acme" not in logged and "large file" not in logged


def test_what_it_said_yes_to_outlives_its_being_killed_and_comes_again_as_a_duplicate(
    server: tuple[Any, int], now: dt.datetime
) -> None:
    process, port = server
    MailboxFactory(address="support@acme.example")
    message = b"From: Jane <jane@c.example>\r\nSubject: Help\r\nMessage-ID: <1@c.example>\r\n\r\nCannot log in.\r\n"
    with smtplib.SMTP("127.0.0.1", port, local_hostname="x", timeout=60) as client:
        for _ in range(2):  # the second time as if the first answer had been lost
            assert client.sendmail("jane@c.example", ["support@acme.example"], message) == {}
        process.kill()
        process.wait()
        client.close()
    ids = list(Incoming.unscoped.order_by("pk").values_list("pk", flat=True))
    outcomes = [receiving.process(incoming_id=pk, now=now).outcome for pk in ids]
    assert outcomes == ["ticket_created", "duplicate"]
    ticket = Ticket.unscoped.get()
    assert (ticket.subject, ticket.requester.email) == ("Help", "jane@c.example")


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = command("--bind", "127.0.0.1", "--port", str(taken.getsockname()[1]))
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith("CommandError: Cannot listen for mail on 127.0.0.1: ") and said.count("\n") == 1


def test_nothing_to_listen_to_is_said() -> None:
    process = command("--port", "0")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and said.startswith("CommandError: There is nothing to listen to")
