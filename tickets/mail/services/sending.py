"""Queued mail leaves: each once, as far as that can be had.

A mail is leased, sent and marked. Whoever is killed in between leaves the lease, which ends; the next try sends
the same Message-ID, so that of a mail that the server had taken already there is one duplicate at most, and one
that mail programs recognise.
"""

import contextlib
import datetime as dt
import logging
import smtplib
from email.utils import formataddr, make_msgid
from uuid import UUID

from anymail.exceptions import AnymailError, AnymailRecipientsRefused
from django.conf import settings
from django.core import mail as django_mail
from django.core.mail import EmailMultiAlternatives
from django.db import transaction

from helpdesk import outbound, sealing
from helpdesk.accounts.models import Membership, new_id
from helpdesk.accounts.roles import Permission
from helpdesk.errors import Conflict, NotAllowed, NotFound
from tickets import dispatch
from tickets.mail import tokens
from tickets.mail.models import Mailbox, MailSettings, Outgoing
from tickets.mail.services import caps, composing, delivery, notices, queueing, smtp
from tickets.mail.services.queueing import IS_TEST, SEND_TASK
from tickets.models import Comment
from tickets.services import base, conversation

logger = logging.getLogger(__name__)

# After each try that failed: how long until the next one. Eighteen hours in all.
WAITS = (
    dt.timedelta(seconds=5),
    dt.timedelta(minutes=5),
    dt.timedelta(minutes=30),
    dt.timedelta(hours=2),
    dt.timedelta(hours=5),
    dt.timedelta(hours=10),
)
MOST_TRIES = len(WAITS) + 1  # also of those whose worker dies of it each time, and which nobody marks
LEASE = dt.timedelta(minutes=5)  # longer than a try may take
LOST_AFTER = dt.timedelta(seconds=10)  # what is due for so long has no task any more
_WITH = ("workspace", "mailbox", "ticket", "ticket__requester", "comment", "contact", "user")


def queue_due(*, now: dt.datetime, limit: int = 500) -> int:
    """Queue a task for each mail that is due and that no task has taken, oldest first; gives how many."""
    due = Outgoing.unscoped.filter(status="waiting", next_at__lte=now - LOST_AFTER).order_by("next_at")
    ids = list(due.values_list("pk", flat=True)[:limit])
    with transaction.atomic():
        for pk in ids:
            dispatch.queue_after_commit(SEND_TASK, str(pk))
    return len(ids)


def send(*, outgoing_id: UUID, now: dt.datetime) -> str:
    """Try to send a mail that is due; gives its status then, and an empty text when it was not due.

    What goes wrong is written into the row, never raised: it is tried again for eighteen hours.
    """
    mail = _lease(outgoing_id, now)
    if mail is None:
        return ""
    if mail.attempts > MOST_TRIES:
        return _end(mail, "failed", now, reason="Each try was cut off before it ended; the server's log may say why.")
    try:
        return _try(mail, now)
    except composing.NothingToSend as nothing:
        return _end(mail, "cancelled", now, reason=str(nothing))
    except Exception as error:
        return _failed(mail, error, now)


def _lease(outgoing_id: UUID, now: dt.datetime) -> Outgoing | None:
    """The mail, if it is due and nobody else tries it: for the time of the lease it is ours."""
    with transaction.atomic():
        mail: Outgoing | None = (
            Outgoing.unscoped.select_for_update(skip_locked=True)
            .filter(pk=outgoing_id, status="waiting", next_at__lte=now)
            .first()
        )
        if mail is None:
            return None
        Outgoing.unscoped.filter(pk=mail.pk).update(next_at=now + LEASE, attempts=mail.attempts + 1)
    leased: Outgoing = Outgoing.unscoped.select_related(*_WITH).get(pk=outgoing_id)
    return leased


def _try(mail: Outgoing, now: dt.datetime) -> str:
    if mail.workspace.is_test:
        return _end(mail, "held", now, reason=IS_TEST)
    if mail.user_id and not notices.is_member(workspace_id=mail.workspace_id, user_id=mail.user_id):
        return _end(mail, "cancelled", now, reason="The recipient left the workspace.")
    if reason := caps.held(mail, now=now):
        return _end(mail, "held", now, reason=reason)
    if mail.attempts == 1 and mail.is_automatic and (mailbox := queueing.mailbox_of(mail.ticket_id)):
        mail.mailbox = mailbox
        Outgoing.unscoped.filter(pk=mail.pk).update(mailbox=mailbox)
    if until := caps.free_at(mail, now=now):
        return _wait(mail, until, reason="The recipient got many mails lately; this one waits.", attempts=0)
    message = composing.compose(mail, now=now)
    provider_id = _hand_over(message, mail.mailbox)
    return _end(mail, "sent", now, provider_id=provider_id)


def _hand_over(message: EmailMultiAlternatives, mailbox: Mailbox | None) -> str:
    """Give a mail to the mailbox's own server, or the deployment's; gives the provider's id, where there is one.

    Raises what the server or the way to it raises.
    """
    connection = smtp.connection(mailbox) if mailbox and mailbox.smtp_host else django_mail.get_connection()
    try:
        connection.send_messages([message])
    finally:
        # Where signing in or TLS fails, the backend leaves its connection open.
        with contextlib.suppress(Exception):
            connection.close()
    status = getattr(message, "anymail_status", None)
    return str(getattr(status, "message_id", None) or "")[:200]


def _mark(mail: Outgoing, **fields: object) -> bool:
    """Write what became of our try; False when somebody else has the row now."""
    mine = Outgoing.unscoped.filter(pk=mail.pk, status="waiting", attempts=mail.attempts)
    return bool(mine.update(**fields))


@transaction.atomic
def _end(mail: Outgoing, status: str, now: dt.datetime, *, reason: str = "", provider_id: str = "") -> str:
    sent_at = {"sent_at": now} if status == "sent" else {}
    fields = {"status": status, "reason": reason[:300], "next_at": None, "ended_at": now}
    if _mark(mail, **fields, **sent_at, provider_id=provider_id):
        _tell(mail)
    if status == "sent" and mail.mailbox_id:
        Mailbox.unscoped.filter(pk=mail.mailbox_id).update(sent_at=now, send_error="")
    return status


@transaction.atomic
def _wait(mail: Outgoing, until: dt.datetime, *, reason: str, attempts: int | None = None) -> str:
    fields = {} if attempts is None else {"attempts": attempts}
    if _mark(mail, next_at=until, reason=reason[:300], **fields):
        _tell(mail)
    return "waiting"


def _tell(mail: Outgoing) -> None:
    if mail.comment_id and mail.kind == "reply":
        delivery.refresh(mail.comment_id)


def _failed(mail: Outgoing, error: Exception, now: dt.datetime) -> str:
    """A recipient who is refused for good has bounced; anything else is tried again, longer apart each time."""
    reason = said(error)
    if isinstance(error, _EXPECTED):
        logger.warning("Mail %s was not sent: %s", mail.pk, type(error).__name__)
    else:  # a mistake of ours: seen in the log, and it does not go on for ever
        logger.exception("Mail %s could not be made.", mail.pk)
    if is_refusal_of_recipient(error):
        with transaction.atomic():
            delivery.bounced(outgoing=mail, reason=reason, is_permanent=True, now=now)
        return "bounced"
    if mail.mailbox_id and _concerns_mailbox(error):
        Mailbox.unscoped.filter(pk=mail.mailbox_id).update(send_error=reason[:300])
    if mail.attempts >= MOST_TRIES or _is_final(error):
        return _end(mail, "failed", now, reason=reason)
    wait = WAITS[mail.attempts - 1]
    status = _wait(mail, now + wait, reason=reason)
    if wait <= dt.timedelta(minutes=5):
        with transaction.atomic():
            dispatch.queue_after_commit(SEND_TASK, str(mail.pk), delay=wait.total_seconds())
    return status


_EXPECTED = (smtplib.SMTPException, OSError, outbound.OutboundError, sealing.Unopenable, AnymailError)


def _answer(error: Exception) -> tuple[int, str]:
    """The code and the text that a server answered (RFC 5321, 4.2); 0 where it answered none."""
    text: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused) and error.recipients:
        code, text = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, text = error.smtp_code, error.smtp_error
    else:
        return 0, ""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return int(code), composing.one_line(shown)


def is_refusal_of_recipient(error: Exception) -> bool:
    """Whether a server says for good that the address takes no mail.

    5.7.x (RFC 3463: security and policy, like "relaying denied") speaks of us, not of the address.
    """
    if isinstance(error, AnymailRecipientsRefused):
        return True
    code, text = _answer(error)
    return isinstance(error, smtplib.SMTPRecipientsRefused) and code >= 500 and not text.startswith("5.7.")


def _concerns_mailbox(error: Exception) -> bool:
    """Whether the mailbox cannot send: not where one recipient is to be tried later, nor a mistake of ours."""
    is_greylisted = isinstance(error, smtplib.SMTPRecipientsRefused) and _answer(error)[0] < 500
    return isinstance(error, _EXPECTED) and not is_greylisted


def _is_final(error: Exception) -> bool:
    """Whether trying again leads to the same: the server has read the mail, or the recipient, and says no for good."""
    is_answer = isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError)
    return isinstance(error, outbound.Refused) or (is_answer and _answer(error)[0] >= 500)


def said(error: Exception) -> str:
    """What went wrong, in words that an admin can act on; nothing secret."""
    code, text = _answer(error)
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"The mail server does not accept the user name and password: {code} {text}"[:300]
        case smtplib.SMTPRecipientsRefused():
            return f"The mail server refused the recipient: {code} {text}"[:300]
        case smtplib.SMTPSenderRefused():
            return f"The mail server refused the sender: {code} {text}"[:300]
        case smtplib.SMTPDataError():
            return f"The mail server refused the mail: {code} {text}"[:300]
        case smtplib.SMTPNotSupportedError():
            return "The mail server does not offer what is set: STARTTLS or signing in."
        case smtplib.SMTPServerDisconnected() if isinstance(error.__context__, TimeoutError):
            return "The mail server did not answer in time."  # smtplib tells of both alike
        case smtplib.SMTPServerDisconnected():
            return "The mail server closed the connection."
        case smtplib.SMTPResponseException():
            return f"The mail server answered: {code} {text}"[:300]
        case outbound.OutboundError() | sealing.Unopenable():
            return str(error)[:300]
        case ConnectionRefusedError():
            return "Nothing answers at the mail server's address and port."
        case TimeoutError():
            return "The mail server did not answer in time."
        case AnymailError():
            return "The mail provider refused the mail."
        case OSError():
            name = getattr(error, "verify_message", "") or getattr(error, "reason", "") or type(error).__name__
            return f"The connection to the mail server failed: {name}."[:300]
    return "The mail could not be made; the server's log says why."


# --- By hand ----------------------------------------------------------------------------------


@transaction.atomic
def resend(*, comment: Comment, member: Membership, now: dt.datetime) -> list[Outgoing]:
    """Send an answer again to whom it did not reach: failed, bounced or held back. Gives the new mails.

    Each is a new mail with a new Message-ID, and sent at once, whatever is held otherwise: a person wants it.

    Raises NotAllowed for a role that may not answer customers, NotFound for a deleted comment or one in the trash,
    Conflict in a test workspace, and when there is nothing to send again.
    """
    if not member.may(Permission.WORK):
        raise NotAllowed("Your role may write notes, not answer customers.")
    before = list(
        Outgoing.objects.for_workspace(member.workspace_id)
        .select_for_update(of=("self",))
        .select_related("workspace", "mailbox")
        .filter(comment_id=comment.pk, kind="reply")
        .order_by("round", "created_at", "pk")
    )
    ticket = base.find_ticket(member.workspace_id, comment.ticket_id)
    if not ticket.comments.filter(pk=comment.pk, deleted_at=None).exists():
        raise NotFound("There is no such comment.")
    newest = {mail.recipient: mail for mail in before}
    again = [mail for mail in newest.values() if mail.status in ("failed", "bounced", "held")]
    if again and again[0].workspace.is_test:
        raise Conflict("This is a test workspace: no mail leaves it.", code="test_workspace")
    if not again:
        raise Conflict("There is nothing to send again.", code="nothing_to_send")
    mails = [_again(mail, now) for mail in again]
    Outgoing.unscoped.bulk_create(mails)
    delivery.refresh(comment.pk)
    for mail in mails:
        dispatch.queue_after_commit(SEND_TASK, str(mail.pk))
    return mails


def _again(mail: Outgoing, now: dt.datetime) -> Outgoing:
    pk = new_id()
    domain = mail.mailbox.address.rpartition("@")[2] if mail.mailbox else settings.MAIL_DOMAIN
    return Outgoing(
        pk=pk,
        workspace_id=mail.workspace_id,
        mailbox_id=mail.mailbox_id,
        ticket_id=mail.ticket_id,
        comment_id=mail.comment_id,
        activity_id=mail.activity_id,
        kind=mail.kind,
        topic=mail.topic,
        recipient=mail.recipient,
        contact_id=mail.contact_id,
        user_id=mail.user_id,
        content=mail.content,
        message_id=tokens.message_id(kind=mail.kind, ticket_id=mail.ticket_id, outgoing_id=pk, domain=domain),
        is_automatic=mail.is_automatic,
        round=mail.round + 1,
        status="waiting",
        next_at=now,
        created_at=now,
    )


@transaction.atomic
def take_back(*, comment: Comment, member: Membership, now: dt.datetime) -> str:
    """Its author takes an answer back before it is sent; gives its text. See `conversation.take_back`.

    Raises Conflict when the time for it is over or somebody has got it, NotAllowed, NotFound.
    """
    # Before the ticket and the comment: whoever sends locks in this order, too.
    mails = list(
        Outgoing.objects.for_workspace(member.workspace_id)
        .select_for_update()
        .filter(comment_id=comment.pk, kind="reply")
        .order_by("pk")
    )
    own = MailSettings.objects.for_workspace(member.workspace_id).first() or MailSettings()
    base.lock(comment.ticket)
    if comment.author_user_id != member.user_id:
        raise NotAllowed("Only its author may take an answer back.")
    untouched = all(mail.attempts == 0 and mail.status in ("waiting", "held") for mail in mails)
    if not mails or not untouched or now > comment.created_at + own.undo:
        raise Conflict("It is too late to take this back.", code="too_late")
    Outgoing.unscoped.filter(pk__in=[mail.pk for mail in mails]).update(
        status="cancelled", reason="Its author took it back.", next_at=None, ended_at=now
    )
    delivery.refresh(comment.pk)
    return conversation.take_back(comment=comment, author=member, now=now)


def try_mailbox(*, mailbox: Mailbox, to: str, now: dt.datetime) -> str:
    """Send a mail that says that this works; gives what went wrong, in words, or an empty text when it was taken."""
    if mailbox.workspace.is_test:
        return "This is a test workspace: no mail leaves it."
    name = composing.one_line(mailbox.name or mailbox.workspace.name)
    message = EmailMultiAlternatives(
        f"Mail from {mailbox.address} works",
        f"This was sent to try the mailbox {mailbox.address} of {composing.one_line(mailbox.workspace.name)}.\n",
        from_email=formataddr((name, mailbox.address)),
        to=[to],
        headers={
            "Message-ID": make_msgid(domain=mailbox.address.rpartition("@")[2]),
            "Auto-Submitted": "auto-generated",
            "X-Helpdesk": str(mailbox.workspace_id),
        },
    )
    try:
        _hand_over(message, mailbox)
    except Exception as error:
        if not isinstance(error, _EXPECTED):
            logger.exception("A mailbox could not be tried.")
        problem = said(error)
        Mailbox.unscoped.filter(pk=mailbox.pk).update(send_error=problem)
        return problem
    Mailbox.unscoped.filter(pk=mailbox.pk).update(sent_at=now, send_error="")
    return ""
