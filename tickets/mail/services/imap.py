"""Mail that is fetched over IMAP (RFC 9051).

A mailbox is leased for a fetch. Its messages are read without being marked, by their UIDs and in small batches;
each batch is stored, and only then marked, moved or deleted on the server. A worker that is killed between the two
leaves messages that are fetched once more, and known by then. So nothing depends on UIDVALIDITY.
"""

import datetime as dt
import imaplib
import logging
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from imap_tools import BaseMailBox
from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError

from helpdesk import outbound, sealing
from helpdesk.errors import DomainError
from tickets import dispatch
from tickets.mail.models import Mailbox
from tickets.mail.services import oauth, receiving

logger = logging.getLogger(__name__)

FETCH_TASK = "tickets.mail.tasks.fetch_mailbox"
LEASE = dt.timedelta(minutes=12)  # longer than the task may take
LONGEST_WAIT = dt.timedelta(minutes=30)  # after failures
TIMEOUT_SECONDS = 20.0  # of each step of the protocol
FETCH_SECONDS = 240  # after so long the rest is left to the next fetch
MOST_MESSAGES = 500  # of one fetch
BATCH_MESSAGES = 20
BATCH_BYTES = 8 * 1024 * 1024
SIZES_AT_ONCE = 500

_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_FLAG = {"seen": r"(\Seen)", "delete": r"(\Deleted)"}


class CannotFetch(DomainError):
    """The mailbox cannot be read; the text says why, in words for its admin."""

    code = "cannot_fetch"


# --- When -------------------------------------------------------------------------------------


def queue_due(*, now: dt.datetime, limit: int = 500) -> int:
    """Queue a task for each mailbox that is due to be fetched; gives how many."""
    due = Mailbox.unscoped.filter(_due(now), is_active=True).exclude(imap_host="").order_by("next_fetch_at")
    ids = list(due.values_list("pk", flat=True)[:limit])
    with transaction.atomic():
        for pk in ids:
            dispatch.queue_after_commit(FETCH_TASK, str(pk))
    return len(ids)


def fetch(*, mailbox_id: UUID, now: dt.datetime) -> int:
    """Fetch what is new in a mailbox that is due, unless somebody does; gives how many messages were stored.

    What goes wrong is kept in the mailbox, in words, and tried again after a wait that doubles up to 30 minutes.
    """
    mine = Mailbox.unscoped.filter(_due(now), pk=mailbox_id, is_active=True).exclude(imap_host="")
    if not mine.update(next_fetch_at=now + LEASE):
        return 0
    mailbox = Mailbox.unscoped.select_related("workspace").get(pk=mailbox_id)
    fetched = _Fetched()
    try:
        _fetch(mailbox, fetched, now)
    except CannotFetch as problem:
        failures = mailbox.fetch_failures + 1
        wait = dt.timedelta(seconds=settings.MAIL_FETCH_SECONDS) * 2 ** min(failures - 1, 10)
        Mailbox.unscoped.filter(pk=mailbox_id).update(
            fetch_error=problem.detail[:300], fetch_failures=failures, next_fetch_at=now + min(wait, LONGEST_WAIT)
        )
    else:
        next_at = now if fetched.is_cut_short else now + dt.timedelta(seconds=settings.MAIL_FETCH_SECONDS)
        Mailbox.unscoped.filter(pk=mailbox_id).update(
            fetched_at=now, fetch_error=fetched.note, fetch_failures=0, next_fetch_at=next_at
        )
    return fetched.stored


def try_mailbox(*, mailbox: Mailbox, now: dt.datetime) -> str:
    """Sign in and look into the folder; says in words what is there. Changes nothing, here or there.

    The mailbox need not be saved. Raises CannotFetch.
    """
    with _signed_in(mailbox, is_reading=True) as box:
        all_of_them, new = len(box.uids("ALL", None)), len(box.uids(_wanted(mailbox), None))
    plural = "" if all_of_them == 1 else "s"
    return f"Signed in: {all_of_them:,} message{plural} in {mailbox.imap_folder}, {new:,} of them to fetch."


def _due(now: dt.datetime) -> Q:
    return Q(next_fetch_at=None) | Q(next_fetch_at__lte=now)


# --- Fetching ---------------------------------------------------------------------------------


class _Fetched:
    """What a fetch has come to."""

    def __init__(self) -> None:
        self.stored = 0
        self.too_large = 0
        self.is_cut_short = False

    @property
    def note(self) -> str:
        """What the mailbox's state says after it; empty when all is well."""
        if not self.too_large:
            return ""
        most = settings.MAIL_MAX_BYTES // (1024 * 1024)
        what = "1 message is" if self.too_large == 1 else f"{self.too_large:,} messages are"
        return f"{what} larger than {most} MB and left in the folder."


def _fetch(mailbox: Mailbox, fetched: _Fetched, now: dt.datetime) -> None:
    ends_at = time.monotonic() + FETCH_SECONDS
    with _signed_in(mailbox) as box:
        waiting = box.uids(_wanted(mailbox), None)
        for batch in _batches(box, waiting, fetched):
            if fetched.stored >= MOST_MESSAGES or time.monotonic() > ends_at:
                fetched.is_cut_short = True
                return
            stored: list[str] = []
            try:
                for uid, raw in _messages(box, batch):
                    _store(mailbox, raw, now)
                    stored.append(uid)
            finally:
                _mark(box, mailbox, stored)
                fetched.stored += len(stored)


def _store(mailbox: Mailbox, raw: bytes, now: dt.datetime) -> None:
    try:
        receiving.accept(raw=raw, mailbox=mailbox, way="imap", envelope_from=None, envelope_to="", now=now)
    except Exception as error:
        # Whatever it is, the message is still on the server, unmarked, and comes again.
        logger.error("A message of %s bytes could not be stored: %s", len(raw), type(error).__name__)
        raise CannotFetch("A message could not be stored here; it is fetched again.") from None


def _wanted(mailbox: Mailbox) -> str:
    """What is searched for. Where messages leave the folder, whatever is in it is new, read by somebody or not."""
    return "UNSEEN UNDELETED" if mailbox.imap_after == "seen" else "UNDELETED"


def _batches(box: BaseMailBox, uids: Sequence[str], fetched: _Fetched) -> Iterator[list[str]]:
    """The messages that are small enough, in batches of bounded size; counts those that are too large."""
    batch: list[str] = []
    total = 0
    for start in range(0, len(uids), SIZES_AT_ONCE):
        for uid, size in _sizes(box, uids[start : start + SIZES_AT_ONCE]):
            if size > settings.MAIL_MAX_BYTES:
                fetched.too_large += 1
                continue
            if batch and (len(batch) >= BATCH_MESSAGES or total + size > BATCH_BYTES):
                yield batch
                batch, total = [], 0
            batch.append(uid)
            total += size
    if batch:
        yield batch


def _sizes(box: BaseMailBox, uids: Sequence[str]) -> Iterator[tuple[str, int]]:
    lines = _done(box.client.uid("FETCH", ",".join(uids), "(UID RFC822.SIZE)"))
    for line in lines:
        uid, size = _UID.search(_head(line)), _SIZE.search(_head(line))
        if uid and size:
            yield uid[1].decode(), int(size[1])


def _messages(box: BaseMailBox, uids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The bytes of messages by UID; one that is gone meanwhile is not among them."""
    parts = _done(box.client.uid("FETCH", ",".join(uids), "(UID BODY.PEEK[])"))
    for number, part in enumerate(parts):
        if isinstance(part, tuple):
            # The UID may stand before the bytes or behind them.
            behind = parts[number + 1] if number + 1 < len(parts) else b""
            uid = _UID.search(part[0]) or _UID.search(behind if isinstance(behind, bytes) else b"")
            if uid and uid[1].decode() in uids:
                yield uid[1].decode(), part[1]
        parts[number] = b"" if isinstance(part, tuple) else part  # let go of what was stored


def _mark(box: BaseMailBox, mailbox: Mailbox, uids: Sequence[str]) -> None:
    """Say on the server that these were fetched: by a flag, by moving or by deleting them."""
    if not uids:
        return
    if mailbox.imap_after == "move":
        if "MOVE" in box.client.capabilities:  # RFC 6851
            box.move(uids, mailbox.imap_move_to)
            return
        box.copy(uids, mailbox.imap_move_to)
    flag = _FLAG["seen" if mailbox.imap_after == "seen" else "delete"]
    _done(box.client.uid("STORE", ",".join(uids), "+FLAGS", flag))
    # Without UIDPLUS (RFC 4315) an EXPUNGE takes whatever anybody has marked: they stay marked, and are passed over.
    if mailbox.imap_after != "seen" and "UIDPLUS" in box.client.capabilities:
        _done(box.client.uid("EXPUNGE", ",".join(uids)))


def _head(line: Any) -> bytes:
    return line[0] if isinstance(line, tuple) else line or b""


def _done(result: tuple[str, list[Any]]) -> list[Any]:
    status, lines = result
    if status != "OK":
        raise imaplib.IMAP4.error("refused")
    return [line for line in lines if line is not None]


# --- Connecting -------------------------------------------------------------------------------


class _Checked:
    """Connects to a checked address; TLS asks for the certificate of the name. Reads no more than it asked for."""

    host: str
    port: int

    def _reach(self, timeout: float | None) -> socket.socket:
        problem: Exception = outbound.OutboundError("There is no such host.")
        for address in outbound.checked_addresses(self.host, self.port):
            try:
                return socket.create_connection((str(address), self.port), timeout)
            except OSError as error:
                problem = error
        raise problem

    def read(self, size: int) -> bytes:
        """Bytes of a literal, whose length the server says."""
        if size > settings.MAIL_MAX_BYTES + BATCH_BYTES:
            raise imaplib.IMAP4.abort("the server sends more than it said")
        content: bytes = super().read(size)  # type: ignore[misc]
        return content


class _Plain(_Checked, imaplib.IMAP4):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._reach(timeout)


class _OverTLS(_Checked, imaplib.IMAP4_SSL):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        connection = self._reach(timeout)
        try:
            return self.ssl_context.wrap_socket(connection, server_hostname=self.host)
        except OSError:
            connection.close()
            raise


class _Box(BaseMailBox):
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        host, port = self._mailbox.imap_host, self._mailbox.imap_port
        if self._mailbox.imap_security == "tls":
            return _OverTLS(host, port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT_SECONDS)
        client = _Plain(host, port, timeout=TIMEOUT_SECONDS)
        if self._mailbox.imap_security == "starttls":
            try:
                if "STARTTLS" not in client.capabilities:
                    raise CannotFetch("The server has no STARTTLS: try TLS, or another port.")
                client.starttls(ssl.create_default_context())
            except BaseException:
                with suppress(OSError):
                    client.shutdown()
                raise
        return client


@contextmanager
def _signed_in(mailbox: Mailbox, *, is_reading: bool = False) -> Iterator[BaseMailBox]:
    """The mailbox's folder, opened. Whatever fails, here or in the block, is raised as CannotFetch."""
    step = "connect"
    box: BaseMailBox | None = None
    try:
        secret = _secret(mailbox)
        box = _Box(mailbox)
        step = "sign in"
        _sign_in(box, mailbox, secret)
        # What a server can do is often told only to who has signed in.
        box.client.capabilities = tuple(_done(box.client.capability())[0].decode("ascii", "replace").upper().split())
        step = "folder"
        box.folder.set(mailbox.imap_folder, readonly=is_reading)
        if mailbox.imap_after == "move" and not box.folder.exists(mailbox.imap_move_to):
            raise CannotFetch(f"There is no folder “{mailbox.imap_move_to}” to move messages to.")
        step = "fetch"
        yield box
    except (CannotFetch, outbound.OutboundError, sealing.Unopenable, oauth.TokenRefused) as problem:
        raise CannotFetch(str(problem)) from None
    except (OSError, imaplib.IMAP4.error, ImapToolsError, UnicodeError, SoftTimeLimitExceeded) as problem:
        logger.info("Mailbox %s cannot be read: %s at %s", mailbox.pk, type(problem).__name__, step)
        raise CannotFetch(_in_words(problem, step, mailbox)) from None
    finally:
        if box is not None:
            with suppress(OSError, imaplib.IMAP4.error, ImapToolsError):
                box.logout()
            with suppress(OSError):
                box.client.shutdown()


def _secret(mailbox: Mailbox) -> str:
    """The password, or an access token. Raises CannotFetch for what would be read as another command."""
    secret = oauth.access_token(mailbox) if mailbox.imap_auth == "oauth2" else sealing.unseal(mailbox.imap_secret)
    for value in (secret, mailbox.imap_user, mailbox.imap_folder, mailbox.imap_move_to):
        if not value.isprintable():
            raise CannotFetch("User, password and folders may have no control characters.")
    return secret


def _sign_in(box: BaseMailBox, mailbox: Mailbox, secret: str) -> None:
    if mailbox.imap_auth == "oauth2":
        box.xoauth2(mailbox.imap_user, secret, initial_folder=None)
    elif (mailbox.imap_user + secret).isascii():
        box.login(mailbox.imap_user, secret, initial_folder=None)
    else:
        box.login_utf8(mailbox.imap_user, secret, initial_folder=None)


def _in_words(problem: BaseException, step: str, mailbox: Mailbox) -> str:
    """What an admin reads. What the server says is not repeated: it may hold anything."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        if "match" in problem.verify_message.lower():
            return f"The certificate is for another name than {mailbox.imap_host}."
        return f"The certificate of {mailbox.imap_host} cannot be trusted ({problem.verify_message})."
    if isinstance(problem, ssl.SSLError):
        return f"The server does not speak TLS at port {mailbox.imap_port}: try STARTTLS, or another port."
    if isinstance(problem, TimeoutError | SoftTimeLimitExceeded):
        return f"The server did not answer within {TIMEOUT_SECONDS:.0f} seconds."
    if isinstance(problem, ConnectionRefusedError):
        return f"Nobody listens at port {mailbox.imap_port} of {mailbox.imap_host}."
    if step == "sign in" and isinstance(problem, imaplib.IMAP4.abort | OSError):
        return "The server closed the connection when we signed in."
    if step == "sign in" and isinstance(problem, MailboxLoginError | imaplib.IMAP4.error):
        return "The server refused the token." if mailbox.imap_auth == "oauth2" else "The server refused the password."
    if step == "connect" and isinstance(problem, imaplib.IMAP4.error):
        return f"What answers at port {mailbox.imap_port} of {mailbox.imap_host} does not speak IMAP."
    if step == "folder" and isinstance(problem, MailboxFolderSelectError | imaplib.IMAP4.error):
        return f"No such folder: “{mailbox.imap_folder}”."
    if isinstance(problem, imaplib.IMAP4.abort | OSError):
        return "The connection broke off."
    return "The server refused what was asked of it."
