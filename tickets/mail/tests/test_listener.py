"""The SMTP and LMTP listener, as mail servers speak to it."""

import asyncio
import smtplib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from helpdesk.tests.certificates import make_certificate
from tickets.mail import listener as listening
from tickets.mail import tokens
from tickets.mail.listener import Listener
from tickets.mail.models import Incoming, Mailbox
from tickets.mail.services import addressing, receiving
from tickets.mail.tests.factories import MailboxFactory
from tickets.tests.factories import make_ticket

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGE = b"From: Jane <jane@customer.example>\r\nSubject: Cannot log in\r\nMessage-ID: <1@c.example>\r\n\r\nHelp!\r\n"


class Running:
    """A listener on ports of its own, in a thread of its own."""

    def __init__(self, **where: Any) -> None:
        self.ready = threading.Event()
        self.where = where or {"smtp": ("127.0.0.1", 0), "lmtp": ("127.0.0.1", 0)}
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        self.listener = Listener(**self.where)
        await self.listener.start()
        self.ports = self.listener.ports
        self.ready.set()
        await self.stopping.wait()
        await self.listener.stop()

    def __enter__(self) -> "Running":
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_: Any) -> None:
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(15)
        assert not self.thread.is_alive()

    def smtp(self) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.ports[0], local_hostname="mx.customer.example", timeout=20)
        client.ehlo()
        return client

    def lmtp(self) -> smtplib.LMTP:
        client = smtplib.LMTP("127.0.0.1", self.ports[1], local_hostname="mx.customer.example", timeout=20)
        client.ehlo()
        return client


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as it:
        yield it


@pytest.fixture
def mailbox() -> Mailbox:
    return MailboxFactory(address="support@acme.example")


def stored() -> list[Incoming]:
    return list(Incoming.unscoped.order_by("received_at", "pk").select_related("mailbox"))


def read(incoming: Incoming) -> bytes:
    """The bytes that were stored."""
    with incoming.raw.open() as file:
        content: bytes = file.read()
    return content


def data(client: smtplib.SMTP, sender: str, *recipients: str, message: bytes = MESSAGE) -> tuple[int, bytes]:
    """MAIL, RCPT and DATA by hand; gives the answer to the message."""
    assert client.mail(sender)[0] == 250
    for recipient in recipients:
        assert client.rcpt(recipient)[0] == 250
    return client.data(message)


class TestTaking:
    def test_a_message_is_stored_before_the_sender_is_told_so(self, running: Running, mailbox: Mailbox) -> None:
        with running.smtp() as client:
            assert client.sendmail("jane@customer.example", ["Support@ACME.example"], MESSAGE) == {}
            (incoming,) = stored()
        assert read(incoming) == MESSAGE and incoming.size == len(MESSAGE)
        assert (incoming.mailbox, incoming.way, incoming.status) == (mailbox, "smtp", "waiting")
        assert (incoming.envelope_from, incoming.envelope_to) == ("jane@customer.example", "Support@ACME.example")

    def test_the_null_sender_of_a_bounce_is_kept_as_such(self, running: Running, mailbox: Mailbox) -> None:
        with running.smtp() as client:
            client.sendmail("", ["support@acme.example"], MESSAGE)
        assert [incoming.envelope_from for incoming in stored()] == [""]

    def test_any_bytes_come_through_unchanged(self, running: Running, mailbox: Mailbox) -> None:
        message = (
            b"Subject: \xff\xfe\x00\r\n\r\n.\r\n..\r\n" + bytes(set(range(256)) - {10, 13}) + b"\r\n" + b"x" * 5000
        )
        with running.smtp() as client:
            assert client.sendmail("j@customer.example", ["support@acme.example"], message, ["BODY=8BITMIME"]) == {}
        (incoming,) = stored()
        assert read(incoming) == message + b"\r\n"

    def test_an_address_in_other_letters_may_send(self, running: Running, mailbox: Mailbox) -> None:
        with running.smtp() as client:
            assert "smtputf8" in client.esmtp_features
            client.sendmail("jürgen@straße.example", ["support@acme.example"], MESSAGE, ["SMTPUTF8", "BODY=8BITMIME"])
        assert [incoming.envelope_from for incoming in stored()] == ["jürgen@straße.example"]

    def test_the_forwarding_address_and_a_signed_one_lead_to_the_mailbox(
        self, running: Running, mailbox: Mailbox
    ) -> None:
        signed = tokens.reply_address(ticket_id=make_ticket(mailbox.workspace).pk, address=mailbox.address)
        forwarding = addressing.forwarding_address(mailbox)
        with running.smtp() as client:
            for address in (forwarding, signed):
                assert data(client, "a@b.example", address)[0] == 250
        assert [(one.mailbox, one.envelope_to) for one in stored()] == [(mailbox, forwarding), (mailbox, signed)]

    def test_several_messages_of_one_session_are_several(self, running: Running, mailbox: Mailbox) -> None:
        with running.smtp() as client:
            for _ in range(3):
                client.sendmail("a@b.example", ["support@acme.example"], MESSAGE)
        assert len(stored()) == 3

    def test_commands_may_come_all_at_once(self, running: Running, mailbox: Mailbox) -> None:
        with socket.create_connection(("127.0.0.1", running.ports[0]), timeout=20) as peer:
            peer.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<support@acme.example>\r\nDATA\r\n")
            lines = peer.makefile("rb")
            while not lines.readline().startswith(b"354"):
                pass
            peer.sendall(MESSAGE + b".\r\nQUIT\r\n")
            assert [lines.readline()[:3], lines.readline()[:3]] == [b"250", b"221"]
        assert len(stored()) == 1

    def test_of_several_recipients_each_mailbox_gets_it_once(self, running: Running, mailbox: Mailbox) -> None:
        other = MailboxFactory(address="billing@acme.example")
        signed = tokens.reply_address(ticket_id=make_ticket(mailbox.workspace).pk, address=mailbox.address)
        to = ["support@acme.example", "billing@acme.example", signed, "SUPPORT@acme.example"]
        with running.smtp() as client:
            assert data(client, "a@b.example", *to)[0] == 250
        assert {one.mailbox: one.envelope_to for one in stored()} == {mailbox: signed, other: "billing@acme.example"}
        assert len(stored()) == 2

    def test_over_starttls(self, mailbox: Mailbox, settings: Any, tmp_path: Path) -> None:
        made = make_certificate(tmp_path, "localhost")
        settings.MAIL_TLS_CERT, settings.MAIL_TLS_KEY = str(made.certificate), str(made.key)
        with Running() as running, running.smtp() as client:
            client._host = "localhost"  # type: ignore[attr-defined]
            assert client.starttls(context=made.trusting())[0] == 220
            client.ehlo()
            assert "auth" not in client.esmtp_features
            client.sendmail("a@b.example", ["support@acme.example"], MESSAGE)
        assert len(stored()) == 1


class TestLmtp:
    def test_every_recipient_has_an_answer_of_its_own(
        self, running: Running, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = MailboxFactory(address="billing@acme.example")
        accept = receiving.accept

        def sometimes(**given: Any) -> Incoming:
            if given["mailbox"] == other:
                raise OperationalError("away")
            return accept(**given)

        monkeypatch.setattr(receiving, "accept", sometimes)
        with running.lmtp() as client:
            first = data(client, "a@b.example", "support@acme.example", "billing@acme.example", "support@acme.example")
            assert [first[0], client.getreply()[0], client.getreply()[0]] == [250, 451, 250]
            assert client.noop()[0] == 250
        assert [one.mailbox for one in stored()] == [mailbox]

    def test_it_greets_with_lhlo_only(self, running: Running) -> None:
        with running.lmtp() as client:
            assert client.docmd("EHLO", "x")[0] == 500
            assert client.docmd("LHLO", "x")[0] == 250

    def test_over_a_unix_socket(self, mailbox: Mailbox, tmp_path: Path) -> None:
        path = tmp_path / "lmtp.sock"
        with Running(smtp=None, socket=path):
            client = smtplib.LMTP(str(path), local_hostname="x", timeout=20)
            assert client.sendmail("a@b.example", ["support@acme.example"], MESSAGE) == {}
            client.quit()
        assert len(stored()) == 1 and not path.exists()


class TestRefusing:
    @pytest.mark.parametrize(
        "address",
        [
            "nobody@acme.example",
            "support@elsewhere.example",
            "somebody@gmail.example",
            "support%elsewhere.example@acme.example",
            "@acme.example:victim@elsewhere.example",
            '"support@acme.example"@elsewhere.example',
            "postmaster",
            "süpport@acme.example",
        ],
    )
    def test_it_is_no_open_relay(self, running: Running, mailbox: Mailbox, address: str) -> None:
        with running.smtp() as client:
            client.mail("support@acme.example", ["SMTPUTF8"])
            client.send(f"RCPT TO:<{address}>\r\n".encode())
            code, _ = client.getreply()
            assert code in (550, 553)
            assert client.docmd("DATA")[0] == 503
        assert stored() == []

    def test_a_mailbox_that_is_switched_off_is_unknown(self, running: Running) -> None:
        MailboxFactory(address="old@acme.example", is_active=False)
        with running.smtp() as client:
            client.mail("a@b.example")
            assert client.rcpt("old@acme.example") == (550, b"5.1.1 There is no such mailbox here")

    def test_what_is_too_large_is_refused_by_its_word_and_by_its_bytes(self, mailbox: Mailbox, settings: Any) -> None:
        settings.MAIL_MAX_BYTES = 10_000
        with Running() as running, running.smtp() as client:
            assert client.esmtp_features["size"] == "10000"
            assert client.mail("a@b.example", ["SIZE=10001"])[0] == 552
            assert data(client, "a@b.example", "support@acme.example", message=b"x" * 70 + b"\r\n" * 5000)[0] == 552
            assert stored() == []
            assert data(client, "a@b.example", "support@acme.example")[0] == 250
        assert len(stored()) == 1

    def test_nobody_can_sign_in(self, running: Running) -> None:
        with running.smtp() as client:
            assert "auth" not in client.esmtp_features
            assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] >= 500

    def test_too_many_recipients(self, running: Running, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listening, "MOST_RECIPIENTS", 2)
        with running.smtp() as client:
            client.mail("a@b.example")
            assert [client.rcpt("support@acme.example")[0] for _ in range(3)] == [250, 250, 452]


class TestWhatGoesWrong:
    def test_when_the_message_cannot_be_stored_the_sender_keeps_it(
        self, running: Running, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for error in (OperationalError("the database is away"), OSError(28, "No space left"), KeyError("jane@secret")):

            def fail(error: Exception = error, **_: Any) -> Incoming:
                raise error

            monkeypatch.setattr(receiving, "accept", fail)
            with running.smtp() as client:
                assert data(client, "jane@secret.example", "support@acme.example")[0] == 451
        assert stored() == []
        assert "could not be stored: OperationalError" in caplog.text
        assert "secret" not in caplog.text and "Cannot log in" not in caplog.text

    def test_when_the_database_is_away_a_recipient_is_put_off(
        self, running: Running, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(address: str) -> Mailbox:
            raise OperationalError

        monkeypatch.setattr(addressing, "find_mailbox", fail)
        with running.smtp() as client:
            client.mail("a@b.example")
            assert client.rcpt("support@acme.example")[0] == 451

    def test_a_database_that_came_back_is_used_again(self, running: Running, mailbox: Mailbox) -> None:
        with running.smtp() as client:
            assert data(client, "a@b.example", "support@acme.example")[0] == 250
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            assert data(client, "a@b.example", "support@acme.example")[0] == 250
        assert len(stored()) == 2

    def test_a_client_that_leaves_before_the_end_leaves_nothing(self, running: Running, mailbox: Mailbox) -> None:
        with socket.create_connection(("127.0.0.1", running.ports[0]), timeout=20) as peer:
            peer.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<support@acme.example>\r\nDATA\r\nSubject: x\r\n")
            peer.recv(100)
        with running.smtp() as client:
            assert client.noop()[0] == 250
        assert stored() == []

    def test_nonsense_is_answered_and_ended(self, running: Running) -> None:
        with socket.create_connection(("127.0.0.1", running.ports[0]), timeout=20) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n" * 20 + b"\xff\xfe\r\n" + b"x" * 100_000 + b"\r\n")
            answer = b"".join(iter(lambda: peer.recv(4096), b""))
        assert b"Too many unrecognized commands" in answer


class TestLimits:
    def test_one_connection_too_many_is_told_to_come_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listening, "MOST_CONNECTIONS", 2)
        with Running() as running, running.smtp() as first, running.smtp():
            with socket.create_connection(("127.0.0.1", running.ports[0]), timeout=20) as third:
                third.sendall(b"EHLO x\r\n")
                assert third.recv(100).startswith(b"421 4.3.2")
            first.quit()
            with running.smtp() as fourth:
                assert fourth.noop()[0] == 250

    def test_whoever_says_nothing_is_left(self, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox) -> None:
        monkeypatch.setattr(listening, "IDLE_SECONDS", 0.3)
        with Running() as running, socket.create_connection(("127.0.0.1", running.ports[0]), timeout=20) as peer:
            peer.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<support@acme.example>\r\nDATA\r\n")
            # A message must be through in time, too: a drip of lines does not hold its place.
            while peer.recv(4096):
                try:
                    peer.sendall(b"x\r\n")
                except OSError:
                    break
        assert stored() == []

    def test_few_messages_are_received_at_once(self, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox) -> None:
        monkeypatch.setattr(listening, "MESSAGES_AT_ONCE", 1)
        with Running() as running, running.smtp() as first, running.smtp() as second:
            for client in (first, second):
                client.mail("a@b.example")
                client.rcpt("support@acme.example")
            assert first.docmd("DATA")[0] == 354
            second.putcmd("DATA")
            second.sock.settimeout(0.2)  # type: ignore[union-attr]
            with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
                second.getreply()
            first.send(MESSAGE + b".\r\n")
            assert first.getreply()[0] == 250
        assert len(stored()) == 1


def test_a_message_that_is_being_stored_is_waited_for_when_the_listener_stops(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, begun, go_on = receiving.accept, threading.Event(), threading.Event()

    def slowly(**given: Any) -> Incoming:
        begun.set()
        assert go_on.wait(10)
        return accept(**given)

    monkeypatch.setattr(receiving, "accept", slowly)
    answers: list[tuple[int, bytes]] = []
    with Running() as running:
        client, idle = running.smtp(), running.smtp()
        sender = threading.Thread(target=lambda: answers.append(data(client, "", "support@acme.example")))
        sender.start()
        assert begun.wait(10)
        running.loop.call_soon_threadsafe(running.stopping.set)
        assert idle.getreply()[0] == 421
        go_on.set()
        sender.join(10)
        client.close()
        idle.close()
    assert [code for code, _ in answers] == [250]
    assert len(stored()) == 1
