"""A message comes in: it is stored, and then worked through, once, whatever happens in between.

`accept` stores the bytes and a row and commits; only then does a door say that the message was taken. `process` works
it through in one transaction: the ticket or comment, its files, and what is noted on the row come together or not at
all. A worker that is killed leaves the row waiting, and the sweep (`queue_due`) finds it.
"""

import datetime as dt
import hashlib
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F, Q

from helpdesk.errors import Conflict, DomainError, InvalidInput, NotFound
from tickets import access, dispatch
from tickets.events import SYSTEM, Actor, ActorKind
from tickets.mail import tokens
from tickets.mail.models import Incoming, Mailbox
from tickets.mail.parsing import authentication, charsets, headers, languages, quotes
from tickets.mail.parsing import message as messages
from tickets.mail.parsing.headers import Address, all_of
from tickets.mail.parsing.html import is_affordable
from tickets.mail.parsing.message import Message
from tickets.mail.services import blocking, bounces, delivery, rules, threading
from tickets.mail.services.rules import Decision
from tickets.mail.services.threading import Thread
from tickets.mail.services.trace import Trace
from tickets.models import Attachment, Comment, Ticket
from tickets.services import base, conversation, editing, files, opening

logger = logging.getLogger(__name__)

TASK = "tickets.mail.tasks.process_incoming"
GRACE = dt.timedelta(seconds=60)  # until the sweep asks for a message that the broker has
LEASE = dt.timedelta(seconds=60)  # until a message whose worker died is begun again
AGAIN = dt.timedelta(seconds=20)  # after the database or the disk refused
BEHIND = dt.timedelta(seconds=3)  # behind a message that it answers and that waits itself
LONGEST_BEHIND = dt.timedelta(minutes=5)
MOST_ATTEMPTS = 3
MOST_FILES = 50
MOST_HTML = 60_000  # see `parsing.html.cost`: what is sanitised in a quarter of a second
MOST_GUESTS = 20  # people in To and Cc who begin to take part
MOST_OTHERS = 100  # that are kept in `Incoming.cc`
NO_TEXT = "(This message has no text.)"
NO_SUBJECT = "(no subject)"
CUT = "\n\n[The rest of this message is in the attached message.txt.]"
IDENTITY_HEADER = "x-helpdesk"

# "Re:", "AW:", "SV:", "Fwd[2]:" and the like, as mail clients of many languages write them before a subject.
_PREFIX = re.compile(
    r"\s*(?:re|aw|antw|antwort|sv|svar|vs|ref|r|rif|res|odp|bls|ynt|yan|cev|vá|válasz|atb|sky|ats|απ|σχετ|отв|ответ|hа"
    r"|回复|答复|回覆|返信|회신|رد|תשובה|fwd?|wg|wtr|tr|vb|vl|vid|doorst|enc|rv|i|pd|ilt|továbbítás|prosl|přep|πρθ|пересл"
    r"|пер|转发|轉寄|転送|전달|إعادة توجيه|הועבר)"
    r"\s*(?:\[\d{1,3}\]|\(\d{1,3}\)|\^\d{1,3})?\s*[:：]\s*",
    re.IGNORECASE,
)

_LONGEST_HEADER = 64 * 1024  # bytes in which a Message-ID is looked for before a message is read

# Of PostgreSQL's errors those that pass (SQLSTATE classes): connections, deadlocks, resources, locks, intervention.
_PASSING = ("08", "40", "53", "55", "57", "58")


# --- Storing ----------------------------------------------------------------------------------------


def accept(
    *,
    raw: bytes,
    mailbox: Mailbox,
    way: str,
    envelope_from: str | None,
    envelope_to: str,
    now: dt.datetime,
    is_queued: bool = True,
) -> Incoming:
    """Store a message that came for a mailbox, whatever its bytes; once this returns, it is not lost any more.

    `envelope_from` is the sender that the server was told ("" for the null sender, None when it is not known),
    `envelope_to` the recipient. Without `is_queued` the caller works it through at once; should it die before, the
    sweep does. Raises what the disk and the database raise; then nothing is kept, but perhaps a file that nobody
    knows.
    """
    incoming = Incoming(
        workspace_id=mailbox.workspace_id,
        mailbox=mailbox,
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        way=way,
        envelope_from=None if envelope_from is None else _envelope(envelope_from),
        envelope_to=_envelope(envelope_to),
        received_at=now,
        next_at=now + GRACE,
        message_id=_message_id(raw)[:400],
    )
    incoming.raw.save("", ContentFile(raw), save=False)
    try:
        _to_disk(incoming)
        with transaction.atomic():
            incoming.save(force_insert=True)
            if is_queued:
                dispatch.queue_after_commit(TASK, str(incoming.pk))
    except Exception:
        incoming.raw.delete(save=False)
        raise
    return incoming


def _envelope(address: str) -> str:
    return charsets.storable(address).strip().strip("<>").strip()[:320]


def _message_id(raw: bytes) -> str:
    """The Message-ID, already while it waits: an answer that comes just behind it is worked through after it."""
    block = headers.split(raw, 0, min(len(raw), _LONGEST_HEADER))
    return headers.message_id(headers.text_of(block.raw("message-id")))


def _to_disk(incoming: Incoming) -> None:
    """Wait until the file would outlive the machine, as the row will."""
    try:
        path = incoming.raw.path
    except NotImplementedError:  # kept elsewhere, by a service that says yes when it has it
        return
    for name in (path, Path(path).parent):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --- Whose turn it is -------------------------------------------------------------------------------


def process(*, incoming_id: UUID, now: dt.datetime) -> Incoming:
    """Work a message through, unless that is done or somebody is at it; gives the row as it stands then.

    What the database or the disk refuses for now leaves it waiting. Whatever else goes wrong puts it into quarantine
    with a reason, as does the fourth try after three workers died with it. Raises NotFound for no row.
    """
    mine = Incoming.unscoped.filter(Q(attempts=0) | Q(next_at__lte=now), pk=incoming_id, status="waiting")
    if not mine.update(attempts=F("attempts") + 1, next_at=now + LEASE):
        incoming = Incoming.unscoped.filter(pk=incoming_id).first()
        if incoming is None:
            raise NotFound("There is no such message.")
        return incoming
    return _work_through(incoming_id, now=now)


def queue_due(*, now: dt.datetime, limit: int = 1000) -> int:
    """Queue the messages that wait for too long: the broker lost them, or their worker died; gives how many."""
    with transaction.atomic():
        due = Incoming.unscoped.filter(status="waiting", next_at__lte=now).order_by("next_at")
        found = list(due.select_for_update(skip_locked=True).values_list("pk", "attempts")[:limit])
        # One that nobody has begun is asked for again only after a while: the broker may have very many before it.
        Incoming.unscoped.filter(pk__in=[pk for pk, attempts in found if not attempts]).update(next_at=now + GRACE)
        for pk, _ in found:
            dispatch.queue_after_commit(TASK, str(pk))
    return len(found)


def rerun(*, incoming: Incoming, now: dt.datetime) -> Incoming:
    """Work a message once more that is in quarantine or was ignored; what a filter called spam is believed to be none.

    Raises NotFound for no row, Conflict for one that became something, or whose bytes are not kept any more.
    """
    with transaction.atomic():
        rows = Incoming.objects.for_workspace(incoming.workspace_id).select_for_update()
        fresh = rows.filter(pk=incoming.pk).first()
        if fresh is None:
            raise NotFound("There is no such message.")
        if fresh.outcome not in ("quarantined", "ignored"):
            raise Conflict("Only what is in quarantine or was ignored can be run again.", code="not_in_quarantine")
        if not fresh.raw:
            raise Conflict("The message itself is not kept any more.", code="not_kept")
        overlooks_spam = fresh.reason == "spam"
        fresh.status, fresh.outcome, fresh.reason, fresh.processed_at = "waiting", "", "", None
        fresh.attempts, fresh.next_at = 1, now + LEASE
        fresh.save(update_fields=["status", "outcome", "reason", "processed_at", "attempts", "next_at"])
    return _work_through(fresh.pk, now=now, overlooks_spam=overlooks_spam)


def purge_raw(*, now: dt.datetime, limit: int = 1000) -> int:
    """Delete the bytes of messages that came longer than MAIL_KEEP_DAYS ago, but in quarantine; gives how many.

    What became of them stays in the trace. 0 days keeps everything.
    """
    if not settings.MAIL_KEEP_DAYS:
        return 0
    moment = now - dt.timedelta(days=settings.MAIL_KEEP_DAYS)
    old = Incoming.unscoped.filter(status="done", received_at__lt=moment).exclude(outcome="quarantined").exclude(raw="")
    found = list(old.only("pk", "raw").order_by("received_at")[:limit])
    for incoming in found:
        incoming.raw.delete(save=False)
    Incoming.unscoped.filter(pk__in=[incoming.pk for incoming in found]).update(raw="")
    return len(found)


def _work_through(incoming_id: UUID, *, now: dt.datetime, overlooks_spam: bool = False) -> Incoming:
    for is_last in (False, True):
        work = _Work(now=now, overlooks_spam=overlooks_spam)
        try:
            with transaction.atomic():
                return work.run(incoming_id)
        except _Behind:
            return _put_off(incoming_id, now)
        except IntegrityError as error:
            work.forget_files()
            # The same message was worked through beside this one, and ended first: now it is known.
            if is_last or "one_result_per_message" not in str(error):
                return _quarantine(incoming_id, work, error, now)
        except Exception as error:
            work.forget_files()
            if not _passes(error):
                return _quarantine(incoming_id, work, error, now)
            logger.warning("A message waits: %s.", type(error).__name__)
            Incoming.unscoped.filter(pk=incoming_id, status="waiting").update(
                attempts=F("attempts") - 1, next_at=now + AGAIN
            )
            return Incoming.unscoped.get(pk=incoming_id)
    raise AssertionError("The second turn ends in every case.")  # pragma: no cover


def _put_off(incoming_id: UUID, now: dt.datetime) -> Incoming:
    """Let a message wait for the one that it answers."""
    with transaction.atomic():
        Incoming.unscoped.filter(pk=incoming_id, status="waiting").update(
            attempts=F("attempts") - 1, next_at=now + BEHIND
        )
        dispatch.queue_after_commit(TASK, str(incoming_id), delay=BEHIND.total_seconds())
    return Incoming.unscoped.get(pk=incoming_id)


def _passes(error: Exception) -> bool:
    """Whether the same message may go through later."""
    if isinstance(error, OperationalError):
        state = getattr(error.__cause__, "sqlstate", None)
        return state is None or state[:2] in _PASSING
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


def _quarantine(incoming_id: UUID, work: "_Work", error: Exception, now: dt.datetime) -> Incoming:
    """Keep a message aside that could not be worked through; the log has where, the trace has what."""
    is_lost = isinstance(error, FileNotFoundError) and work.message is None
    logger.error("A message is in quarantine: %s.", type(error).__name__, exc_info=error)
    work.trace.add("error", type(error).__name__, error.detail if isinstance(error, DomainError) else "")
    with transaction.atomic():
        incoming = Incoming.unscoped.select_for_update().get(pk=incoming_id)
        if incoming.status == "waiting":
            work.finish(incoming, _Result("quarantined", "no_bytes" if is_lost else "error"))
    return incoming


# --- Working through --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Result:
    """What becomes of a message."""

    outcome: str
    reason: str = ""
    ticket: Ticket | None = None
    comment: Comment | None = None
    ticket_id: UUID | None = None
    comment_id: UUID | None = None


@dataclass(frozen=True)
class _Words:
    """What a message says, as it is kept."""

    body: str
    original: base.Original
    whole: str = ""  # of one that is cut


class _Stop(Exception):
    """A step says what becomes of the message: the steps behind it are not asked."""

    def __init__(self, outcome: str, reason: str, **fields: Any) -> None:
        self.result = _Result(outcome, reason, **fields)
        super().__init__(reason)


class _Behind(Exception):
    """The message answers one that another worker has not yet worked through."""


@dataclass
class _Work:
    """One message on its way through the steps."""

    now: dt.datetime
    overlooks_spam: bool = False
    trace: Trace = field(default_factory=Trace)
    message: Message | None = None
    attachments: list[Attachment] = field(default_factory=list)

    def run(self, incoming_id: UUID) -> Incoming:
        """Work through the message of a row that is claimed; in a transaction."""
        rows = Incoming.unscoped.select_related("mailbox__workspace", "mailbox__category")
        incoming = rows.select_for_update(of=("self",)).get(pk=incoming_id)
        if incoming.status != "waiting":
            return incoming
        try:
            result = self._become(incoming)
        except _Stop as stop:
            result = stop.result
        self.finish(incoming, result)
        return incoming

    def finish(self, incoming: Incoming, result: _Result) -> None:
        """Write on the locked row what the message says and what became of it."""
        self.trace.add("result", result.outcome, result.reason)
        if self.message is not None:
            _note(incoming, self.message)
        makes = result.outcome in ("ticket_created", "comment_added", "bounce")
        incoming.dedup_key = _dedup_key(incoming, self.message) if makes else None
        incoming.status, incoming.outcome, incoming.reason = "done", result.outcome, result.reason[:120]
        incoming.trace, incoming.processed_at, incoming.next_at = self.trace.steps, self.now, None
        incoming.ticket_id = result.ticket.pk if result.ticket else result.ticket_id
        incoming.comment_id = result.comment.pk if result.comment else result.comment_id
        incoming.save(
            update_fields=[
                "status", "outcome", "reason", "trace", "processed_at", "next_at", "dedup_key", "message_id",
                "from_address", "from_name", "subject", "cc", "is_automatic", "is_verified", "ticket", "comment",
            ]
        )  # fmt: skip

    def forget_files(self) -> None:
        """Delete the files that were kept in a transaction which was rolled back."""
        for attachment in self.attachments:
            if attachment.file and not attachment._state.adding:
                attachment.file.delete(save=False)

    # --- The steps ------------------------------------------------------------------------------

    def _become(self, incoming: Incoming) -> _Result:
        mailbox, trace = incoming.mailbox, self.trace
        if incoming.attempts > MOST_ATTEMPTS:
            trace.add("attempts", "too many", f"{incoming.attempts - 1} workers began with it and died.")
            raise _Stop("quarantined", "killed_worker")
        message = self._read(incoming)
        recipients = _recipients(incoming, message)
        self._stop_duplicate(incoming, message)
        self._stop_loop(incoming, message)
        self._stop_report(incoming, message, recipients)
        self._stop_blocked(incoming, message)
        self._stop_spam(message)
        own = _own_addresses(mailbox)
        person = self._person(message, own)
        incoming.is_verified = self._is_verified(mailbox, message)
        incoming.cc = _others(message, own, person.email)
        thread = threading.find(
            message=message, mailbox=mailbox, recipients=recipients, sender=person.email, trace=trace
        )
        if thread is None:
            self._wait_for_what_it_answers(incoming, message)
            trace.add("thread", "none", "It begins a ticket.")
        decision = self._rules(incoming, message)
        words = self._words(message)
        words = self._prepare_files(mailbox.workspace_id, message, words)
        guests = self._guests(incoming, message, thread)
        result = None
        if thread is not None and decision.matched:
            self.trace.add("rules", "not asked to change", "What rules set is for tickets that begin.")
        if thread is not None and thread.answers_notice:
            result = self._note_for_agents(thread, person, words)
        elif thread is not None:
            result = self._reply(incoming, message, thread, person, words, guests)
        result = result or self._open(incoming, message, person, words, guests, decision)
        if message.automatic or incoming.is_automatic:
            trace.add("answers", "none", f"It is automatic ({message.automatic or 'our own'}).")
        else:
            delivery.reachable_again(workspace_id=mailbox.workspace_id, address=person.email)
        return result

    def _read(self, incoming: Incoming) -> Message:
        with incoming.raw.open("rb") as file:
            raw = file.read()
        try:
            self.message = message = messages.read(raw, envelope_from=incoming.envelope_from)
        except messages.Unreadable as error:
            self.trace.add("read", "unreadable", str(error))
            raise _Stop("quarantined", "unreadable") from None
        _note(incoming, message)
        self.trace.add("read", "ok", "; ".join(message.problems))
        return message

    def _stop_duplicate(self, incoming: Incoming, message: Message) -> None:
        known = Incoming.objects.for_workspace(incoming.workspace_id)
        key = _dedup_key(incoming, message)
        before = known.filter(dedup_key=key).values_list("pk", "ticket_id", "comment_id").first()
        if before is None:
            by = "its Message-ID" if message.message_id else "its bytes: it has no Message-ID"
            self.trace.add("duplicate", "no", f"Known by {by}.")
            return
        self.trace.add("duplicate", "yes", f"The same message came as {before[0]}.")
        raise _Stop("duplicate", "came_before", ticket_id=before[1], comment_id=before[2])

    def _stop_loop(self, incoming: Incoming, message: Message) -> None:
        """Our own mail that comes back is ignored; one of another workspace here is mail like any other.

        The header field counts besides the Message-ID: some providers write a Message-ID of their own.
        """
        signed = tokens.read_message_id(message.message_id)
        tickets = Ticket.objects.for_workspace(incoming.workspace_id)
        is_own = str(incoming.workspace_id) in all_of(message.headers, IDENTITY_HEADER)
        if is_own or (signed and tickets.filter(pk=signed.ticket_id).exists()):
            self.trace.add("loop", "yes", "It is mail of this workspace that came back.")
            raise _Stop("ignored", "loop")
        if signed:
            incoming.is_automatic = True
            self.trace.add("loop", "no", "It is mail of another workspace here.")
        else:
            self.trace.add("loop", "no")

    def _stop_report(self, incoming: Incoming, message: Message, recipients: Sequence[str]) -> None:
        if message.report is None:
            return
        outgoing, code = bounces.take(
            report=message.report, mailbox=incoming.mailbox, recipients=recipients, trace=self.trace, now=self.now
        )
        found = {"ticket_id": outgoing.ticket_id, "comment_id": outgoing.comment_id} if outgoing else {}
        is_good_news = message.report.kind not in ("failed", "delayed")
        raise _Stop("ignored" if is_good_news else "bounce", code, **found)

    def _stop_blocked(self, incoming: Incoming, message: Message) -> None:
        address = message.sender.email
        pattern = blocking.blocks(workspace_id=incoming.workspace_id, address=address) if address else ""
        if pattern:
            self.trace.add("blocked", "yes", f"{pattern} is blocked.")
            raise _Stop("ignored", "blocked")
        self.trace.add("blocked", "no")

    def _stop_spam(self, message: Message) -> None:
        if not message.is_spam:
            self.trace.add("spam", "no")
        elif self.overlooks_spam:
            self.trace.add("spam", "overlooked", f"{message.is_spam} says so; somebody ran it again.")
        else:
            self.trace.add("spam", "yes", f"{message.is_spam} says so.")
            raise _Stop("quarantined", "spam")

    def _person(self, message: Message, own: frozenset[str]) -> Address:
        """Who wrote it: From. Where that is a mailbox of ours, as forms on web sites write it, Reply-To."""
        sender = message.sender
        others = [each for each in message.reply_to if each.email and each.email != sender.email]
        if sender.email and _is_ours(sender.email, own):
            people = [each for each in others if not _is_ours(each.email, own)]
            if not people:
                self.trace.add("sender", "our own", f"{sender.email} is a mailbox here; nobody else is named.")
                raise _Stop("ignored" if message.automatic else "quarantined", "own_address")
            self.trace.add("sender", "Reply-To", f"{sender.email} is a mailbox here: it is from {people[0].email}.")
            sender = people[0]
        elif others:
            names = ", ".join(each.email for each in others[:5])
            self.trace.add("sender", "From", f"{sender.email}; answers are wanted at {names}.")
        if not sender.email:
            self.trace.add("sender", "none", "Nobody is named who could be answered.")
            raise _Stop("quarantined", "no_sender")
        try:
            return Address(email=base.email_address("from", sender.email), name=sender.name[: base.NAME_LENGTH])
        except InvalidInput:
            self.trace.add("sender", "no address", f"{sender.email} is no address that can be answered.")
            raise _Stop("quarantined", "bad_sender") from None

    def _is_verified(self, mailbox: Mailbox, message: Message) -> bool:
        if not mailbox.trusted_host:
            return False
        found = authentication.verified(message.headers, trusted_host=mailbox.trusted_host, sender=message.sender.email)
        self.trace.add("verified", "yes" if found else "no", f"By {mailbox.trusted_host}.")
        return found

    def _wait_for_what_it_answers(self, incoming: Incoming, message: Message) -> None:
        """Two messages that come together are worked through by two workers: the answer goes behind."""
        asked = threading.newest_first(message)
        if not asked or self.now - incoming.received_at > LONGEST_BEHIND:
            return
        others = Incoming.objects.for_workspace(incoming.workspace_id).exclude(pk=incoming.pk)
        if others.filter(message_id__in=asked, status="waiting").exists():
            raise _Behind

    def _rules(self, incoming: Incoming, message: Message) -> Decision:
        decision = rules.decide(mailbox=incoming.mailbox, message=message, envelope_to=incoming.envelope_to)
        for matched in decision.matched:
            self.trace.add("rule", matched.rule.name, matched.why)
        rules.note_matches(decision=decision, now=self.now)
        if decision.is_dropped:
            raise _Stop("ignored", f"rule: {decision.dropped_by}")
        return decision

    # --- What it says ---------------------------------------------------------------------------

    def _words(self, message: Message) -> _Words:
        folded = quotes.fold(message.text, message.html, forwarded=languages.is_forward_subject(message.subject))
        if not is_affordable(folded.html + folded.folded_html, budget=MOST_HTML):
            self.trace.add("html", "left out", "It would take too long to make it safe; its text is shown.")
            folded = replace(folded, html="", folded_html="")
        body = folded.text.strip()
        if folded.folded_text:
            self.trace.add("fold", "folded", f"{len(folded.folded_text)} characters of history and signature.")
        if len(body) > base.TEXT_LENGTH:
            self.trace.add("text", "cut", f"Of {len(body)} characters; the whole is attached.")
            cut = body[: base.TEXT_LENGTH - len(CUT)].rstrip() + CUT
            return _Words(cut, base.Original(folded_text=folded.folded_text), whole=message.text)
        if not body:
            return _Words(NO_TEXT, base.Original(folded_text=folded.folded_text, folded_html=folded.folded_html))
        original = base.Original(html=folded.html, folded_text=folded.folded_text, folded_html=folded.folded_html)
        return _Words(body, original)

    def _prepare_files(self, workspace_id: UUID, message: Message, words: _Words) -> _Words:
        """Make its files ready to be kept; gives the words with a note of those that are not."""
        found = [(each.name, each.content) for each in message.files]
        if words.whole:
            found.insert(0, ("message.txt", words.whole.encode()))
        notes = []
        for number, (name, content) in enumerate(found):
            if len(self.attachments) == MOST_FILES:
                notes.append(f"The message has {len(found)} files; the last {len(found) - number} are not kept here.")
                self.trace.add("file", "left out", notes[-1])
                break
            try:
                upload = SimpleUploadedFile(name or "file", content)
                self.attachments.append(files.prepare(workspace_id=workspace_id, upload=upload, now=self.now))
            except InvalidInput as error:
                self.trace.add("file", "left out", f"{name}: {error.detail}")
                if content:
                    notes.append(f"{files.clean_name(name)} is not kept here. {error.detail}")
        return _with_notes(words, notes)

    # --- What it becomes ------------------------------------------------------------------------

    def _guests(self, incoming: Incoming, message: Message, thread: Thread | None) -> list[str]:
        """The people besides sender and us who begin to take part."""
        mailbox = incoming.mailbox
        if not incoming.cc or (thread and thread.answers_notice):
            return []
        if message.automatic:
            why = "it is automatic"
        elif mailbox.adds_cc == "never":
            why = "the mailbox adds nobody"
        elif mailbox.adds_cc == "verified" and not incoming.is_verified:
            why = "its sender is not verified"
        else:
            return _valid(incoming.cc)[:MOST_GUESTS]
        self.trace.add("cc", "nobody added", f"{', '.join(incoming.cc)}: {why}.")
        return []

    def _open(
        self,
        incoming: Incoming,
        message: Message,
        person: Address,
        words: _Words,
        guests: Sequence[str],
        decision: Decision,
    ) -> _Result:
        mailbox = incoming.mailbox
        wanted = _wanted(mailbox, decision)
        while True:
            try:
                ticket = self._opened(mailbox, message, person, words, guests, wanted)
            except DomainError as error:
                refused = {name.partition(".")[0] for name in error.errors} & set(wanted)
                if not refused:
                    raise
                for name in refused:
                    del wanted[name]
                self.trace.add("rule", "refused", f"{', '.join(sorted(refused))}: {error.detail}")
            else:
                break
        if guests:
            self.trace.add("cc", "added", ", ".join(guests))
        self.trace.add("ticket", "opened", f"#{ticket.number}")
        return _Result("ticket_created", ticket=ticket)

    def _opened(
        self,
        mailbox: Mailbox,
        message: Message,
        person: Address,
        words: _Words,
        guests: Sequence[str],
        wanted: Mapping[str, Any],
    ) -> Ticket:
        given = dict(wanted)
        address = base.email_address("requester_email", given.pop("requester_email", person.email))
        is_sender = address == person.email
        name = given.pop("requester_name", "") or (person.name if is_sender else "")
        return opening.open_ticket(
            workspace=mailbox.workspace,
            subject=clean_subject(message.subject),
            description=words.body,
            requester_email=address,
            requester_name=name,
            channel="email",
            # The contact is made with the ticket, in the order of all its people.
            actor=Actor(ActorKind.CUSTOMER, name or address.partition("@")[0]),
            cc=guests,
            attachments=self.attachments,
            original=words.original,
            now=self.now,
            **given,
        )

    def _reply(
        self,
        incoming: Incoming,
        message: Message,
        thread: Thread,
        person: Address,
        words: _Words,
        guests: Sequence[str],
    ) -> _Result | None:
        """A comment on the ticket, or the follow-up of one that is closed; None when it is gone meanwhile."""
        workspace_id = incoming.workspace_id
        # Everybody in one order and before the ticket is locked: two messages to the same new people would wait for
        # each other.
        people = {
            address: base.find_contact(workspace_id, address, person.name if address == person.email else "")
            for address in sorted({person.email, *guests})
        }
        contact = people[person.email]
        was = thread.ticket.status
        try:
            delivered = conversation.customer_reply(
                ticket=thread.ticket,
                contact=contact,
                body=words.body,
                channel="email",
                automatic=bool(message.automatic),
                attachments=self.attachments,
                original=words.original,
                vouched=thread.is_vouched,
                now=self.now,
            )
        except NotFound:
            self.trace.add("ticket", "gone", f"#{thread.ticket.number} cannot be answered any more.")
            return None
        ticket = delivered.ticket
        if delivered.is_follow_up:
            self.trace.add("ticket", "follow-up", f"#{thread.ticket.number} is closed; #{ticket.number} goes on.")
            return _Result("ticket_created", "follow_up", ticket=ticket)
        if guests:
            self._add_guests(ticket, contact, guests)
        moved = f"; it was {was}" if ticket.status != was else ""
        self.trace.add("ticket", "comment added", f"#{ticket.number}{moved}")
        return _Result("comment_added", ticket=ticket, comment=delivered.comment)

    def _add_guests(self, ticket: Ticket, contact: Any, guests: Sequence[str]) -> None:
        """Let people in copy take part, if the one who copied them does."""
        if not access.takes_part(ticket=ticket, contact=contact):
            self.trace.add("cc", "nobody added", f"{contact.email} does not take part.")
            return
        known = list(ticket.participants.values_list("contact__email", flat=True))
        new = [each for each in guests if each not in known and each != ticket.requester_email]
        room = new[: max(0, 50 - len(known))]
        if room:
            changes = {"cc": [*known, *room]}
            editing.update_ticket(ticket=ticket, changes=changes, actor=base.customer(contact), now=self.now)
            self.trace.add("cc", "added", ", ".join(room))

    def _note_for_agents(self, thread: Thread, person: Address, words: _Words) -> _Result:
        """An answer to a mail that only agents get: anybody can write any sender, so it stays among agents."""
        quoted = "\n".join(f"> {line}" for line in words.body.splitlines())
        who = f"{person.name} <{person.email}>" if person.name else person.email
        head = f"{who.replace('<', '&lt;')} answered a notice by mail. The sender is not verified.\n\n"
        note = conversation.system_note(
            ticket=thread.ticket, body=(head + quoted)[: base.TEXT_LENGTH], actor=SYSTEM, now=self.now
        )
        for attachment in self.attachments:
            attachment.ticket, attachment.comment, attachment.is_internal = thread.ticket, note, True
            attachment.save()
        self.trace.add("ticket", "note added", f"#{thread.ticket.number}: it answers a notice.")
        return _Result("comment_added", "answers_notice", ticket=thread.ticket, comment=note)


# --- Of a message -----------------------------------------------------------------------------------


def _note(incoming: Incoming, message: Message) -> None:
    """Write on the row what is asked for in search."""
    incoming.message_id = message.message_id[:400]
    incoming.from_address = message.sender.email[:320]
    incoming.from_name = message.sender.name[: base.NAME_LENGTH]
    incoming.subject = message.subject[: base.SUBJECT_LENGTH]
    incoming.is_automatic = incoming.is_automatic or bool(message.automatic)


def _dedup_key(incoming: Incoming, message: Message | None) -> str:
    """What two copies of one message have in common: the Message-ID, or all bytes where there is none."""
    known_by = f"id:{message.message_id}" if message and message.message_id else f"bytes:{incoming.sha256}"
    return hashlib.sha256(known_by.encode()).hexdigest()


def _recipients(incoming: Incoming, message: Message) -> list[str]:
    """Every address it was sent to, as far as anybody says so: the envelope first."""
    named = [each.email for each in (*message.to, *message.cc)]
    return [each for each in dict.fromkeys([incoming.envelope_to.lower(), *message.delivered_to, *named]) if each]


def _own_addresses(mailbox: Mailbox) -> frozenset[str]:
    return frozenset(Mailbox.objects.for_workspace(mailbox.workspace_id).values_list("address", flat=True))


def _is_ours(address: str, own: frozenset[str]) -> bool:
    """Whether mail to an address comes back to us: a mailbox of the workspace, or where mail is forwarded to."""
    plain = tokens.without_token(address)
    local, _, domain = plain.rpartition("@")
    return plain in own or (domain == settings.MAIL_DOMAIN and bool(re.fullmatch(r"m[a-z2-7]{26}", local)))


def _others(message: Message, own: frozenset[str], sender: str) -> list[str]:
    """Whom else it went to: neither us nor the sender."""
    named = dict.fromkeys(each.email for each in (*message.to, *message.cc) if each.email)
    return [each for each in named if each != sender and not _is_ours(each, own)][:MOST_OTHERS]


def _with_notes(words: _Words, notes: Sequence[str]) -> _Words:
    """The words with notes of ours below what is folded."""
    if not notes:
        return words
    original = words.original
    text = "\n".join(f"[{note}]" for note in notes)
    html = "".join(f"<p>[{escape(note)}]</p>" for note in notes)
    folded = replace(
        original,
        folded_text=f"{original.folded_text}\n\n{text}".strip(),
        folded_html=original.folded_html + html if original.folded_html else "",
    )
    return replace(words, original=folded)


def _valid(addresses: Iterable[str]) -> list[str]:
    """Those of the addresses that a contact can have."""
    good = []
    for address in addresses:
        try:
            good.append(base.email_address("cc", address))
        except InvalidInput:
            continue
    return good


def _wanted(mailbox: Mailbox, decision: Decision) -> dict[str, Any]:
    """The fields of a new ticket: what the mailbox gives, and over it what the parsing rules say."""
    category = mailbox.category
    wanted: dict[str, Any] = {
        "priority": mailbox.priority,
        "team_id": mailbox.team_id,
        "category_id": category.pk if category and category.archived_at is None else None,
    }
    for name in (
        "priority", "category_id", "team_id", "assignee_id", "tags", "custom_fields", "requester_email",
        "requester_name",
    ):  # fmt: skip
        if value := getattr(decision, name):
            wanted[name] = value
    return {name: value for name, value in wanted.items() if value}


def clean_subject(subject: str) -> str:
    """The subject of a new ticket: without "Re:", "Fwd:" and the like before it, of up to 255 characters."""
    rest = subject[: 4 * base.SUBJECT_LENGTH]
    while match := _PREFIX.match(rest):
        rest = rest[match.end() :]
    rest = re.sub(r"\s+", " ", rest).strip() or NO_SUBJECT
    return rest if len(rest) <= base.SUBJECT_LENGTH else f"{rest[: base.SUBJECT_LENGTH - 1].rstrip()}…"


def told(incoming: Incoming) -> dict[str, Any]:
    """What a message is and what became of it, for `receive_mail`: what its sender wrote now, and its files.

    Of one that became neither ticket nor comment the text is whole.
    """
    try:
        with incoming.raw.open("rb") as file:
            message = messages.read(file.read(), envelope_from=incoming.envelope_from)
    except messages.Unreadable:
        message = None
    body, attachments = "", []
    if message is not None:
        body = message.text
        if incoming.outcome in ("ticket_created", "comment_added"):
            forwarded = languages.is_forward_subject(message.subject)
            body = quotes.fold(message.text, message.html, forwarded=forwarded).text
        attachments = [
            {
                "name": files.clean_name(each.name),
                "size": len(each.content),
                "md5": hashlib.md5(each.content, usedforsecurity=False).hexdigest(),
            }
            for each in message.files
            if each.content
        ]
    return {
        "outcome": incoming.outcome,
        "reason": incoming.reason,
        "ticket_number": f"#{incoming.ticket.number}" if incoming.ticket else None,
        "from": incoming.from_address,
        "from_name": incoming.from_name,
        "subject": message.subject if message else incoming.subject,
        "body": body.strip(),
        "attachments": attachments,
    }
