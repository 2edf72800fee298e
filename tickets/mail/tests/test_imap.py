"""Fetching mail over IMAP, from a real server and from some that misbehave."""

import base64
import contextlib
import datetime as dt
import imaplib
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from helpdesk import outbound, sealing
from helpdesk.tests.certificates import Made, make_certificate
from tickets.mail.models import Incoming, Mailbox
from tickets.mail.services import imap, oauth, receiving
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.servers import free_port, until_it_listens
from tickets.models import Ticket

pytestmark = pytest.mark.django_db
USER, PASSWORD = "support", "pass word"
# What the program `pymap` runs. It derives a key of the password in 500,000 rounds at each sign-in, a quarter of a
# second, and has no option for fewer.
PYMAP = """
import sys
from pymap import config, main
from pysasl.hashing import BuiltinHash
config.BuiltinHash = lambda: BuiltinHash(rounds=1)
sys.exit(main.main())
"""


class Server:
    """An IMAP server with one account, and another client of it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def client(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=20)
        client.login(USER, PASSWORD)
        client.select("INBOX")
        return client

    def put(self, *messages: bytes, flags: str | None = None) -> None:
        with self.client() as client:
            for message in messages:
                assert client.append("INBOX", flags, None, message)[0] == "OK"

    def found(self, criteria: str = "ALL", folder: str = "INBOX") -> int:
        with self.client() as client:
            client.select(folder)
            return len(client.search(None, criteria)[1][0].split())

    def empty(self) -> None:
        with self.client() as client:
            client.store("1:*", "+FLAGS", r"(\Deleted)")
            client.expunge()
            for line in client.list()[1]:
                name = line.decode().partition('"/" ')[2] if isinstance(line, bytes) else ""
                if name.strip('"').upper() != "INBOX":
                    client.delete(name)

    def make_folder(self, name: str) -> None:
        with self.client() as client:
            client.create(name)


@contextlib.contextmanager
def pymap(*options: str) -> Iterator[Server]:
    port = free_port()
    account = ["--demo-user", USER, "--demo-password", PASSWORD]
    command = [sys.executable, "-c", PYMAP, "--host", "127.0.0.1", "--port", str(port), *options, "dict", *account]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_it_listens(port)
        yield Server(port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with pymap("--no-tls") as it:
        yield it


@pytest.fixture
def server(running: Server) -> Server:
    """The same server for every test, with an empty inbox and no other folder."""
    running.empty()
    return running


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]


def make_mailbox(port: int, **more: Any) -> Mailbox:
    given = {
        "address": "support@acme.example",
        "imap_host": "localhost",
        "imap_port": port,
        "imap_security": "none",
        "imap_user": USER,
        "imap_secret": sealing.seal(PASSWORD),
    }
    return MailboxFactory(**given | more)


def message(number: int, more: bytes = b"") -> bytes:
    head = f"From: Jane <jane@customer.example>\r\nSubject: No. {number}\r\nMessage-ID: <{number}@c.example>\r\n"
    return head.encode() + b"\r\nHelp!\r\n" + more


def fetch(mailbox: Mailbox, now: dt.datetime) -> int:
    """Fetch; the mailbox's state is read anew."""
    stored = imap.fetch(mailbox_id=mailbox.pk, now=now)
    mailbox.refresh_from_db()
    return stored


def raws() -> list[bytes]:
    found = []
    for incoming in Incoming.unscoped.order_by("pk"):
        with incoming.raw.open() as file:
            found.append(file.read())
    return found


class TestFetching:
    def test_new_messages_are_stored_and_then_marked_as_read(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port)
        server.put(message(1), message(2, b"\xff\x00\xfe" + b"x" * 3000 + b"\r\n"))
        server.put(message(3), flags=r"(\Seen)")
        assert fetch(mailbox, now) == 2
        assert raws() == [message(1), message(2, b"\xff\x00\xfe" + b"x" * 3000 + b"\r\n")]
        assert {(one.way, one.envelope_from, one.mailbox_id) for one in Incoming.unscoped.all()} == {
            ("imap", None, mailbox.pk)
        }
        assert server.found("UNSEEN") == 0 and server.found() == 3
        assert (mailbox.fetched_at, mailbox.fetch_error, mailbox.fetch_failures) == (now, "", 0)
        assert mailbox.next_fetch_at == now + dt.timedelta(seconds=60)

    def test_nothing_is_fetched_twice(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port)
        server.put(message(1))
        assert [fetch(mailbox, now), fetch(mailbox, now), fetch(mailbox, now + dt.timedelta(minutes=1))] == [1, 0, 0]
        assert len(raws()) == 1

    def test_messages_can_be_moved_read_or_not(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port, imap_after="move", imap_move_to="Done & dusted")
        server.make_folder('"Done &- dusted"')
        server.put(message(1))
        server.put(message(2), flags=r"(\Seen)")
        assert fetch(mailbox, now) == 2
        assert server.found() == 0 and server.found(folder='"Done &- dusted"') == 2

    def test_messages_can_be_deleted_and_others_stay(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port, imap_after="delete")
        server.put(message(1), message(2))
        server.put(message(3), flags=r"(\Deleted)")
        assert fetch(mailbox, now) == 2
        assert server.found() == 1, "what somebody else has marked is not ours to delete"

    def test_many_come_in_batches(self, server: Server, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(imap, "BATCH_MESSAGES", 2)
        monkeypatch.setattr(imap, "SIZES_AT_ONCE", 3)
        mailbox = make_mailbox(server.port)
        server.put(*(message(number) for number in range(9)))
        assert fetch(mailbox, now) == 9
        assert raws() == [message(number) for number in range(9)]

    def test_what_is_left_of_very_many_is_fetched_at_once_afterwards(
        self, server: Server, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(imap, "BATCH_MESSAGES", 2)
        monkeypatch.setattr(imap, "MOST_MESSAGES", 4)
        mailbox = make_mailbox(server.port)
        server.put(*(message(number) for number in range(5)))
        assert fetch(mailbox, now) == 4 and mailbox.next_fetch_at == now
        assert fetch(mailbox, now) == 1 and len(raws()) == 5

    def test_what_is_too_large_is_left_and_said(self, server: Server, now: dt.datetime, settings: Any) -> None:
        settings.MAIL_MAX_BYTES = 1024 * 1024
        mailbox = make_mailbox(server.port, imap_after="delete")
        server.put(message(1, b"x" * 1024 * 1024), message(2))
        assert fetch(mailbox, now) == 1
        assert raws() == [message(2)] and server.found() == 1
        assert mailbox.fetch_error == "1 message is larger than 1 MB and left in the folder."
        assert mailbox.fetched_at == now and mailbox.fetch_failures == 0

    def test_a_folder_in_another_language(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port, imap_folder="Eingänge")
        server.make_folder("Eing&AOQ-nge")
        with server.client() as client:
            client.append("Eing&AOQ-nge", None, None, message(1))
        assert fetch(mailbox, now) == 1


class TestNothingIsLost:
    def test_killed_between_storing_and_marking_it_comes_again(
        self, server: Server, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mailbox = make_mailbox(server.port)
        server.put(message(1))

        class Killed(BaseException):
            pass

        def die(*_: Any) -> None:
            raise Killed

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(imap, "_mark", die)
            imap.fetch(mailbox_id=mailbox.pk, now=now)
        assert len(raws()) == 1 and server.found("UNSEEN") == 1
        assert fetch(mailbox, now) == 0, "the lease of the dead one still runs"
        assert fetch(mailbox, now + imap.LEASE) == 1
        assert server.found("UNSEEN") == 0
        ids = list(Incoming.unscoped.order_by("pk").values_list("pk", flat=True))
        outcomes = [receiving.process(incoming_id=pk, now=now + imap.LEASE).outcome for pk in ids]
        assert outcomes == ["ticket_created", "duplicate"]
        assert Ticket.unscoped.count() == 1

    def test_when_it_cannot_be_stored_it_stays_unmarked_and_what_was_stored_is_marked(
        self, server: Server, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mailbox = make_mailbox(server.port)
        server.put(message(1), message(2), message(3))
        accept = receiving.accept

        def sometimes(**given: Any) -> Incoming:
            if b"No. 2" in given["raw"]:
                raise OperationalError("away")
            return accept(**given)

        with monkeypatch.context() as patched:
            patched.setattr(receiving, "accept", sometimes)
            assert fetch(mailbox, now) == 1
        assert server.found("UNSEEN") == 2
        assert mailbox.fetch_error == "A message could not be stored here; it is fetched again."
        assert fetch(mailbox, now + dt.timedelta(minutes=1)) == 2
        assert raws() == [message(1), message(2), message(3)]

    def test_a_task_that_is_delivered_again_finds_it_leased(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port, next_fetch_at=now + dt.timedelta(seconds=1))
        server.put(message(1))
        assert fetch(mailbox, now) == 0 and raws() == []


class TestWhen:
    def test_due_mailboxes_are_queued_and_no_others(self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        queued: list[Any] = []
        monkeypatch.setattr(imap.dispatch, "queue_after_commit", lambda *given: queued.append(given))
        new = make_mailbox(1, address="a@acme.example")
        due = make_mailbox(1, address="b@acme.example", next_fetch_at=now)
        make_mailbox(1, address="c@acme.example", next_fetch_at=now + dt.timedelta(seconds=1))
        make_mailbox(1, address="d@acme.example", is_active=False)
        make_mailbox(1, address="e@acme.example", imap_host="")
        assert imap.queue_due(now=now) == 2
        assert sorted(queued) == sorted((imap.FETCH_TASK, str(mailbox.pk)) for mailbox in (new, due))

    def test_one_that_is_switched_off_is_not_fetched(self, now: dt.datetime) -> None:
        mailbox = make_mailbox(1, is_active=False)
        assert fetch(mailbox, now) == 0 and mailbox.next_fetch_at is None

    def test_after_failures_the_waits_grow_to_half_an_hour(self, now: dt.datetime) -> None:
        mailbox = make_mailbox(free_port())
        waits = []
        for _ in range(8):
            assert fetch(mailbox, now) == 0
            assert mailbox.next_fetch_at
            waits.append((mailbox.next_fetch_at - now).total_seconds())
            now = mailbox.next_fetch_at
        assert waits == [60, 120, 240, 480, 960, 1800, 1800, 1800]
        assert mailbox.fetch_failures == 8 and mailbox.fetched_at is None


class TestTheSettingsPage:
    def test_a_try_says_what_is_there_and_changes_nothing(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port)
        server.put(message(1), message(2))
        server.put(message(3), flags=r"(\Seen)")
        assert imap.try_mailbox(mailbox=mailbox, now=now) == "Signed in: 3 messages in INBOX, 2 of them to fetch."
        assert server.found("UNSEEN") == 2 and raws() == []

    def test_a_mailbox_need_not_be_saved(self, server: Server, now: dt.datetime) -> None:
        mailbox = Mailbox(
            imap_host="localhost",
            imap_port=server.port,
            imap_security="none",
            imap_user=USER,
            imap_secret=sealing.seal(PASSWORD),
        )
        assert imap.try_mailbox(mailbox=mailbox, now=now).startswith("Signed in: 0 messages in INBOX")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"imap_secret": sealing.seal("wrong")}, "The server refused the password."),
            ({"imap_secret": sealing.seal("wröng")}, "The server refused the password."),
            ({"imap_user": "nobody"}, "The server refused the password."),
            ({"imap_folder": "Nowhere"}, "No such folder: “Nowhere”."),
            ({"imap_after": "move", "imap_move_to": "Off"}, "There is no folder “Off” to move messages to."),
            ({"imap_security": "starttls"}, "The server has no STARTTLS: try TLS, or another port."),
            ({"imap_user": 'x"\r\nA1 LOGOUT'}, "User, password and folders may have no control characters."),
            ({"imap_secret": "nonsense"}, "The stored secret cannot be opened with the configured SECRET_KEY."),
        ],
    )
    def test_what_is_wrong_is_said_in_words(
        self, server: Server, now: dt.datetime, given: dict[str, Any], said: str
    ) -> None:
        mailbox = make_mailbox(server.port, **given)
        with pytest.raises(imap.CannotFetch) as refused:
            imap.try_mailbox(mailbox=mailbox, now=now)
        assert refused.value.detail == said
        assert fetch(mailbox, now) == 0 and mailbox.fetch_error == said


class TestTLS:
    def test_a_certificate_of_the_name_is_needed(
        self, server: Server, now: dt.datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good, other = make_certificate(tmp_path, "localhost"), make_certificate(tmp_path, "mail.example")
        server.put(message(1))
        with in_tls(server.port, good) as port:
            mailbox = make_mailbox(port, imap_security="tls")
            assert fetch(mailbox, now) == 0
            said = "The certificate of localhost cannot be trusted (self-signed certificate)."
            assert mailbox.fetch_error == said and raws() == []
            monkeypatch.setenv("SSL_CERT_FILE", str(good.certificate))
            assert fetch(mailbox, now + dt.timedelta(minutes=1)) == 1
        monkeypatch.setenv("SSL_CERT_FILE", str(other.certificate))
        with in_tls(server.port, other) as port:
            mailbox.imap_port = port
            mailbox.save()
            assert fetch(mailbox, now + dt.timedelta(minutes=2)) == 0
            assert mailbox.fetch_error == "The certificate is for another name than localhost."

    def test_over_starttls_the_password_goes_out_encrypted_or_not_at_all(
        self, now: dt.datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good = make_certificate(tmp_path, "localhost")
        with pymap("--cert", str(good.certificate), "--key", str(good.key)) as server:
            mailbox = make_mailbox(server.port, imap_security="starttls")
            assert fetch(mailbox, now) == 0
            assert mailbox.fetch_error.startswith("The certificate of localhost cannot be trusted")
            monkeypatch.setenv("SSL_CERT_FILE", str(good.certificate))
            assert imap.try_mailbox(mailbox=mailbox, now=now).startswith("Signed in")

    def test_a_port_without_tls(self, server: Server, now: dt.datetime) -> None:
        mailbox = make_mailbox(server.port, imap_security="tls")
        assert fetch(mailbox, now) == 0
        assert mailbox.fetch_error == (
            f"The server does not speak TLS at port {server.port}: try STARTTLS, or another port."
        )


class TestWhereItMayLead:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "2130706433"])
    def test_nothing_inside_is_called(self, now: dt.datetime, settings: Any, host: str) -> None:
        settings.OUTBOUND_ALLOW = []
        with socket.create_server(("127.0.0.1", 0)) as listening:
            mailbox = make_mailbox(listening.getsockname()[1], imap_host=host)
            assert fetch(mailbox, now) == 0
            assert mailbox.fetch_error == (
                "This leads to an address inside a private network, which may not be called."
            )
            listening.settimeout(0.05)
            with pytest.raises(TimeoutError):
                listening.accept()

    def test_a_name_that_changes_its_mind_gains_nothing(
        self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        settings.OUTBOUND_ALLOW = []
        answers = iter(["93.184.216.34", "127.0.0.1"])
        called: list[str] = []
        monkeypatch.setattr(
            outbound.socket,
            "getaddrinfo",
            lambda host, port, **_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))],
        )

        def connect(address: tuple[str, int], timeout: float | None) -> socket.socket:
            called.append(address[0])
            raise ConnectionRefusedError

        monkeypatch.setattr(imap.socket, "create_connection", connect)
        mailbox = make_mailbox(993, imap_host="mail.example")
        assert fetch(mailbox, now) == 0
        assert called == ["93.184.216.34"]
        assert mailbox.fetch_error == "Nobody listens at port 993 of mail.example."

    def test_a_name_without_an_address(self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise socket.gaierror

        monkeypatch.setattr(outbound.socket, "getaddrinfo", fail)
        mailbox = make_mailbox(993, imap_host="mail.example")
        assert fetch(mailbox, now) == 0 and mailbox.fetch_error == "There is no such host."


class TestServersThatMisbehave:
    def said(self, now: dt.datetime, speak: Callable[[Any], None]) -> str:
        with speaking(speak) as port:
            mailbox = make_mailbox(port)
            assert fetch(mailbox, now) == 0
        assert raws() == []
        return mailbox.fetch_error

    def test_one_that_says_nothing(self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(imap, "TIMEOUT_SECONDS", 0.3)
        assert self.said(now, lambda peer: peer.readline()).startswith("The server did not answer within")

    def test_one_that_speaks_something_else(self, now: dt.datetime) -> None:
        said = self.said(now, lambda peer: peer.write(b"220 mail.example ESMTP\r\n"))
        assert said.endswith("does not speak IMAP.")

    def test_one_that_hangs_up_when_we_sign_in(self, now: dt.datetime) -> None:
        def speak(peer: Any) -> None:
            peer.write(b"* OK ready\r\n")
            answer(peer, b"* CAPABILITY IMAP4rev1\r\n")
            peer.readline()

        assert self.said(now, speak) == "The server closed the connection when we signed in."

    def test_one_that_announces_a_flood(self, now: dt.datetime, settings: Any) -> None:
        settings.MAIL_MAX_BYTES = 1000

        def speak(peer: Any) -> None:
            peer.write(b"* OK ready\r\n")
            for said in (
                b"* CAPABILITY IMAP4rev1\r\n",
                b"",
                b"* CAPABILITY IMAP4rev1\r\n",
                b"* 1 EXISTS\r\n",
                b"* SEARCH 1\r\n",
                b"* 1 FETCH (UID 1 RFC822.SIZE 10)\r\n",
            ):
                answer(peer, said)
            peer.readline()
            peer.write(b"* 1 FETCH (UID 1 BODY[] {9999999999}\r\n")

        assert self.said(now, speak) == "The connection broke off."

    def test_a_uid_behind_the_bytes_and_messages_nobody_asked_for(self, now: dt.datetime) -> None:
        asked: list[bytes] = []

        def speak(peer: Any) -> None:
            peer.write(b"* OK ready\r\n")
            for said in (
                b"* CAPABILITY IMAP4rev1\r\n",
                b"",
                b"* CAPABILITY IMAP4rev1\r\n",
                b"* 2 EXISTS\r\n",
                b"* SEARCH 7\r\n",
                b"* 1 FETCH (RFC822.SIZE 3 UID 7)\r\n",
                b"* 1 FETCH (BODY[] {3}\r\nabc UID 7)\r\n* 2 FETCH (UID 8 BODY[] {3}\r\nxyz)\r\n",
                b"",
                b"",
            ):
                asked.append(answer(peer, said))

        with speaking(speak) as port:
            mailbox = make_mailbox(port)
            assert fetch(mailbox, now) == 1
        assert raws() == [b"abc"]
        assert b"UID STORE 7 +FLAGS (\\Seen)\r\n" in [line.partition(b" ")[2] for line in asked]

    def test_one_that_can_neither_move_nor_expunge_some(self, now: dt.datetime) -> None:
        asked: list[bytes] = []

        def speak(peer: Any) -> None:
            peer.write(b"* OK ready\r\n")
            for said in (
                b"* CAPABILITY IMAP4rev1\r\n",
                b"",
                b"* CAPABILITY IMAP4rev1\r\n",
                b"* 1 EXISTS\r\n",
                b'* LIST () "/" Done\r\n',
                b"* SEARCH 7\r\n",
                b"* 1 FETCH (UID 7 RFC822.SIZE 3)\r\n",
                b"* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n",
                b"",
                b"",
                b"",
            ):
                asked.append(answer(peer, said).partition(b" ")[2].strip())

        with speaking(speak) as port:
            mailbox = make_mailbox(port, imap_after="move", imap_move_to="Done")
            assert fetch(mailbox, now) == 1
        assert asked[5:] == [
            b"UID SEARCH UNDELETED",
            b"UID FETCH 7 (UID RFC822.SIZE)",
            b"UID FETCH 7 (UID BODY.PEEK[])",
            b'UID COPY 7 "Done"',
            b"UID STORE 7 +FLAGS (\\Deleted)",
            b"LOGOUT",
        ]


class TestOAuth:
    def test_the_access_token_signs_in(self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        posted = provider(monkeypatch, 200, {"access_token": "fresh", "expires_in": 3600})
        given: list[str] = []

        def speak(peer: Any) -> None:
            peer.write(b"* OK ready\r\n")
            answer(peer, b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n")
            tag = peer.readline().split()[0]
            peer.write(b"+ \r\n")
            given.append(base64.b64decode(peer.readline()).decode())
            peer.write(tag + b" OK done\r\n")
            for said in (b"* CAPABILITY IMAP4rev1\r\n", b"* 0 EXISTS\r\n", b"* SEARCH\r\n", b""):
                answer(peer, said)

        with speaking(speak) as port:
            mailbox = make_mailbox(port, **OAUTH)
            assert fetch(mailbox, now) == 0
        assert given == [f"user={USER}\1auth=Bearer fresh\1\1"]
        ((url, body),) = posted
        assert url == "https://login.example/token"
        assert body == ("grant_type=refresh_token&refresh_token=long+lived&client_id=helpdesk&client_secret=s%26cret")
        assert mailbox.fetch_error == "" and mailbox.fetched_at == now

    def test_a_new_refresh_token_takes_the_place_of_the_old_one(
        self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider(monkeypatch, 200, {"access_token": "fresh", "refresh_token": "newer"})
        mailbox = make_mailbox(1, **OAUTH)
        assert oauth.access_token(mailbox) == "fresh"
        mailbox.refresh_from_db()
        assert sealing.unseal(mailbox.imap_secret) == "newer" and "newer" not in mailbox.imap_secret

    @pytest.mark.parametrize(
        ("status", "said", "word"),
        [
            (400, {"error": "invalid_grant", "error_description": "secret"}, "invalid_grant"),
            (200, {"nothing": 1}, "status 200"),
            (500, {"error": "<script>"}, "status 500"),
        ],
    )
    def test_a_refusal_is_said_in_words(
        self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch, status: int, said: Any, word: str
    ) -> None:
        provider(monkeypatch, status, said)
        mailbox = make_mailbox(1, **OAUTH)
        assert fetch(mailbox, now) == 0
        assert mailbox.fetch_error == f"The provider gives no token ({word}): connect the mailbox again."

    def test_what_is_no_json_or_no_https(self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        provider(monkeypatch, 502, None)
        mailbox = make_mailbox(1, **OAUTH)
        fetch(mailbox, now)
        assert mailbox.fetch_error == "The address for tokens answered with status 502 and no JSON."
        Mailbox.unscoped.update(oauth_token_url="http://login.example/token", next_fetch_at=None)
        fetch(mailbox, now)
        assert mailbox.fetch_error == "The address for tokens must begin with https://."

    def test_a_token_that_the_server_refuses(self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        provider(monkeypatch, 200, {"access_token": "stale"})

        def speak(peer: Any) -> None:
            peer.write(b"* OK ready\r\n")
            answer(peer, b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n")
            tag = peer.readline().split()[0]
            peer.write(b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n")
            peer.readline()
            peer.write(tag + b" NO invalid credentials\r\n")
            answer(peer, b"")

        with speaking(speak) as port:
            mailbox = make_mailbox(port, **OAUTH)
            fetch(mailbox, now)
        assert mailbox.fetch_error == "The server refused the token."


OAUTH: dict[str, Any] = {
    "imap_auth": "oauth2",
    "imap_secret": sealing.seal("long lived"),
    "oauth_token_url": "https://login.example/token",
    "oauth_client_id": "helpdesk",
    "oauth_client_secret": sealing.seal("s&cret"),
}


def provider(monkeypatch: pytest.MonkeyPatch, status: int, said: Any) -> list[tuple[str, str]]:
    """A provider of tokens that answers so; gives what it is asked."""
    posted: list[tuple[str, str]] = []

    def post(url: str, *, body: bytes, headers: Any) -> outbound.Answer:
        posted.append((url, body.decode()))
        return outbound.Answer(status=status, headers={}, body=b"<html>" if said is None else json.dumps(said).encode())

    monkeypatch.setattr(outbound, "post", post)
    return posted


def answer(peer: Any, said: bytes) -> bytes:
    """Read a command and answer it; gives the command."""
    line: bytes = peer.readline()
    if line:
        peer.write(said + line.split()[0] + b" OK done\r\n")
    return line


@contextlib.contextmanager
def speaking(speak: Callable[[Any], None]) -> Iterator[int]:
    """A server that says to each client what `speak` makes it say; gives its port."""

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, connection.makefile("rwb", buffering=0) as peer:
                    speak(peer)

    with serving(serve) as port:
        yield port


@contextlib.contextmanager
def in_tls(behind: int, made: Made) -> Iterator[int]:
    """TLS from the first byte, in front of a server that speaks without; gives its port."""

    def pass_on(source: Any, target: Any) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with contextlib.suppress(ssl.SSLError):
                    outside = made.serving().wrap_socket(connection, server_side=True)
                    with outside, socket.create_connection(("127.0.0.1", behind)) as inside:
                        inward = threading.Thread(target=pass_on, args=(outside, inside))
                        inward.start()
                        pass_on(inside, outside)
                        inward.join()

    with serving(serve) as port:
        yield port


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
