"""The SMTP (RFC 5321) and LMTP (RFC 2033) listener that mail servers forward to.

It takes mail for our mailboxes only, so there is nothing to relay: an address that is none of ours is refused at
RCPT. A message is answered with 250 after it was stored and committed, never before; whatever goes wrong is
answered with 451, and the sender keeps it and tries again. Sessions share one event loop; the database is asked
in threads. Neither content nor addresses are logged.
"""

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from django.utils import timezone

from tickets.mail import tokens
from tickets.mail.models import Mailbox
from tickets.mail.services import addressing, receiving

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 100
MOST_RECIPIENTS = 100  # of one message; RFC 5321, 4.5.3.1.8 wants as many to be taken
MESSAGES_AT_ONCE = 10  # being received: each may be held in memory up to MAIL_MAX_BYTES
IDLE_SECONDS = 300  # between two commands, and for the whole of a message (RFC 5321, 4.5.3.2)
COMMANDS_OF_A_SESSION = 2000  # of each kind
LONGEST_LINE = 1024 * 1024  # bytes; RFC 5321 has 1,000, but what is longer comes, too, and nothing may be lost
THREADS = 4
STOP_SECONDS = 8.0

TAKEN = "250 2.6.0 The message was stored"
LATER = "451 4.3.0 This cannot be taken now, try again later"
UNKNOWN = "550 5.1.1 There is no such mailbox here"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"
FULL = b"421 4.3.2 Too many connections, try again later\r\n"
CLOSING = b"421 4.3.2 The server stops, try again later\r\n"


class Room:
    """How many sessions there are, and who of them is storing a message."""

    def __init__(self) -> None:
        self.sessions: set[Any] = set()
        self.receiving = asyncio.Semaphore(MESSAGES_AT_ONCE)

    def has_place(self) -> bool:
        """Whether one more session is let in."""
        return len(self.sessions) < MOST_CONNECTIONS

    @property
    def storing(self) -> list[Any]:
        """The sessions that must be left alone: their message is being stored, or its answer sent."""
        return [session for session in self.sessions if session.is_storing]


class Handler:
    """What is said to MAIL, RCPT and DATA: aiosmtpd calls its hooks by their names."""

    def __init__(self, threads: ThreadPoolExecutor, *, is_lmtp: bool) -> None:
        self._threads = threads
        self._is_lmtp = is_lmtp

    async def handle_EHLO(  # noqa: N802  the library's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Commands are read one after the other from one buffer, so they may be sent so, too (RFC 2920).

        There is no signing in: the library names AUTH even where it has no mechanism left.
        """
        session.host_name = hostname  # type: ignore[assignment]
        kept = [line for line in responses if not line[4:].startswith("AUTH")]
        return [*kept[:-1], "250-PIPELINING", kept[-1]]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Every sender may write to us. `<>` is the null sender (RFC 5321, 4.5.5)."""
        envelope.mail_from = address or "<>"
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only our own mailboxes: 550 for any other, so nothing is ever relayed."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return TOO_MANY_RECIPIENTS
        try:
            mailbox = await self._in_thread(addressing.find_mailbox, address)
        except (DatabaseError, OSError) as error:
            log.error("A recipient cannot be looked up: %s", type(error).__name__)
            return LATER
        if mailbox is None:
            return UNKNOWN
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the message for each mailbox, and only then say so: in LMTP for each recipient."""
        server.is_storing = True
        sender = "" if envelope.mail_from in (None, "<>") else _printable(str(envelope.mail_from))
        raw = envelope.original_content or b""
        recipients = list(envelope.rcpt_tos)
        # The envelope would hold the bytes for as long as the thread has them.
        envelope.content = envelope.original_content = None
        answers = await self._in_thread(take, raw, sender, recipients)
        if self._is_lmtp:
            return "\r\n".join(answers)
        # One answer for all: whoever is told 451 sends it again, and what we have by then is known as a duplicate.
        return answers[0] if len(set(answers)) == 1 else LATER

    async def handle_exception(self, error: Exception) -> str:
        """Nothing that goes wrong says more than that it did."""
        log.error("A session failed: %s", type(error).__name__)
        return LATER

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(_with_connection, function, *arguments))


def take(raw: bytes, sender: str, recipients: list[str]) -> list[str]:
    """Store a message once for each mailbox; gives what is answered for each recipient, in their order."""
    mailboxes: dict[str, Mailbox | None] = {}
    answers: dict[Any, str] = {None: UNKNOWN}
    try:
        mailboxes = {address: addressing.find_mailbox(address) for address in recipients}
    except (DatabaseError, OSError) as error:
        log.error("A recipient cannot be looked up: %s", type(error).__name__)
        return [LATER for _ in recipients]
    for mailbox in {found.pk: found for found in mailboxes.values() if found}.values():
        its = [address for address, found in mailboxes.items() if found and found.pk == mailbox.pk]
        # A signed address says which ticket is answered.
        address = next((one for one in its if tokens.read_address(one)), its[0])
        try:
            receiving.accept(
                raw=raw,
                mailbox=mailbox,
                way="smtp",
                envelope_from=sender,
                envelope_to=_printable(address),
                now=timezone.now(),
            )
        except Exception as error:
            # Whatever it is, the sender still has the message and must keep it.
            log.error("A message of %s bytes could not be stored: %s", len(raw), type(error).__name__)
            answers[mailbox.pk] = LATER
        else:
            log.info("A message of %s bytes was stored for mailbox %s", len(raw), mailbox.pk)
            answers[mailbox.pk] = TAKEN
    return [answers[found.pk if (found := mailboxes[address]) else None] for address in recipients]


def _with_connection(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a thread that keeps its database connection from one call to the next, while it is good."""
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()


def _printable(address: str) -> str:
    """An address of the envelope as it can be stored: whatever bytes came, at most 320 characters."""
    text = address.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "")
    return text[:320]


class _Polite:
    """What both protocols need besides: a limit of sessions, and of messages that are received at once."""

    line_length_limit = LONGEST_LINE
    room: Room
    is_storing = False
    _was_refused = False

    def connection_made(self: Any, transport: Any) -> None:
        is_new = self._original_transport is None
        if is_new and not self.room.has_place():
            self._was_refused = True
            transport.write(FULL)
            transport.close()
            return
        self.room.sessions.add(self)
        super().connection_made(transport)  # type: ignore[misc]

    def connection_lost(self: Any, error: Exception | None) -> None:
        self.room.sessions.discard(self)
        if not self._was_refused:
            super().connection_lost(error)  # type: ignore[misc]

    def data_received(self: Any, data: bytes) -> None:
        if not self._was_refused:
            super().data_received(data)  # type: ignore[misc]

    def eof_received(self: Any) -> bool | None:
        if self._was_refused:
            return None
        answer: bool | None = super().eof_received()  # type: ignore[misc]
        return answer

    async def smtp_DATA(self: Any, arg: str | None) -> None:  # noqa: N802
        async with self.room.receiving:
            self._reset_timeout()
            try:
                await super().smtp_DATA(arg)  # type: ignore[misc]
            finally:
                self.is_storing = False

    def say_goodbye(self: Any) -> None:
        """End a session that stores nothing at the moment."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(CLOSING)
            self.transport.close()


# aiosmtpd reads the syntax of a command, for HELP and for its errors, from attributes of its method.
_Polite.smtp_DATA.__dict__.update(SMTP.smtp_DATA.__dict__)


class _Smtp(_Polite, SMTP):
    """A session of SMTP."""


class _Lmtp(_Polite, LMTP):
    """A session of LMTP."""


class Listener:
    """Listens until `stop`. Each of `smtp` and `lmtp` is (host, port), `socket` the path of a Unix socket for LMTP."""

    def __init__(
        self,
        *,
        smtp: tuple[str, int] | None,
        lmtp: tuple[str, int] | None = None,
        socket: Path | None = None,
    ) -> None:
        self._smtp, self._lmtp, self._socket = smtp, lmtp, socket
        self._servers: list[asyncio.Server] = []
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")
        self._room = Room()
        self._tls = _tls()

    async def start(self) -> None:
        """Listen. Raises OSError when an address cannot be had."""
        loop = asyncio.get_running_loop()
        if self._smtp:
            host, port = self._smtp
            self._servers.append(await loop.create_server(self._session(is_lmtp=False), host, port))
        if self._lmtp:
            host, port = self._lmtp
            self._servers.append(await loop.create_server(self._session(is_lmtp=True), host, port))
        if self._socket:
            self._servers.append(await loop.create_unix_server(self._session(is_lmtp=True), str(self._socket)))
            self._socket.chmod(0o660)

    @property
    def ports(self) -> list[int]:
        """The ports that are listened to, in the order SMTP, LMTP."""
        return [
            found.getsockname()[1]
            for server in self._servers
            for found in server.sockets[:1]
            if isinstance(found.getsockname(), tuple)
        ]

    async def stop(self) -> None:
        """Take no new session, end the idle ones, and wait up to 8 seconds for messages that are being stored."""
        for server in self._servers:
            server.close()
        ends_at = asyncio.get_running_loop().time() + STOP_SECONDS
        while sessions := list(self._room.sessions):
            for session in sessions:
                if not session.is_storing:
                    session.say_goodbye()
            if not self._room.storing or asyncio.get_running_loop().time() > ends_at:
                break
            await asyncio.sleep(0.02)
        if not self._room.storing:
            await asyncio.gather(*self._close_connections())
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._socket:
            self._socket.unlink(missing_ok=True)

    def _close_connections(self) -> list[Any]:
        """Let each thread close its database connection; a thread takes one of these, as they wait for each other."""
        all_of_them = threading.Barrier(THREADS)

        def close() -> None:
            with contextlib.suppress(threading.BrokenBarrierError):
                all_of_them.wait(1)
            connections.close_all()

        loop = asyncio.get_running_loop()
        return [loop.run_in_executor(self._threads, close) for _ in range(THREADS)]

    def _session(self, *, is_lmtp: bool) -> Callable[[], SMTP]:
        handler = Handler(self._threads, is_lmtp=is_lmtp)

        def make() -> SMTP:
            session = (_Lmtp if is_lmtp else _Smtp)(
                handler,
                data_size_limit=settings.MAIL_MAX_BYTES,
                enable_SMTPUTF8=True,
                hostname=settings.MAIL_DOMAIN,
                ident="Helpdesk",
                tls_context=self._tls,
                timeout=IDLE_SECONDS,
                auth_exclude_mechanism=["LOGIN", "PLAIN"],
                command_call_limit=COMMANDS_OF_A_SESSION,
                loop=asyncio.get_running_loop(),
            )
            session.room = self._room
            return session

        return make


def _tls() -> ssl.SSLContext | None:
    """For STARTTLS (RFC 3207), where a certificate is configured. Raises OSError when it cannot be read."""
    if not settings.MAIL_TLS_CERT:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.MAIL_TLS_CERT, settings.MAIL_TLS_KEY or None)
    return context
