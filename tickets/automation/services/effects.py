"""Mail and calls that leave the helpdesk: queued with what wants them, sent after it, and again when that fails.

An effect is leased for a try, sent, and marked. A worker that is killed in between leaves it to be
sent once more; mail then has the same Message-ID, a call the same `webhook-id`.
"""

import datetime as dt
import logging
import smtplib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from helpdesk import outbound
from tickets import dispatch
from tickets.automation.models import Effect
from tickets.models import Ticket

logger = logging.getLogger(__name__)

SEND_TASK = "tickets.automation.tasks.send_effect"
LEASE = dt.timedelta(minutes=2)  # for one try; longer than any takes
# The waits before each further try; after the last one it has failed.
WAITS = tuple(dt.timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000))


def queue_mail(*, ticket: Ticket, to: str, subject: str, text: str, run_id: UUID | None, now: dt.datetime) -> Effect:
    """Send a member a mail about a ticket once the transaction is committed. A test workspace sends none."""
    return _queue(ticket, "mail", to, {"subject": subject, "text": text}, run_id, now)


def queue_call(
    *, ticket: Ticket, url: str, payload: Mapping[str, Any], run_id: UUID | None, now: dt.datetime
) -> Effect:
    """Post a document to a web address once the transaction is committed. A test workspace calls nobody."""
    return _queue(ticket, "webhook", url, dict(payload), run_id, now)


def _queue(
    ticket: Ticket, kind: str, target: str, content: Mapping[str, Any], run_id: UUID | None, now: dt.datetime
) -> Effect:
    is_held = ticket.workspace.is_test
    effect: Effect = Effect.unscoped.create(
        workspace_id=ticket.workspace_id,
        ticket=ticket,
        run_id=run_id,
        kind=kind,
        target=target,
        content=content,
        status="held" if is_held else "waiting",
        next_at=None if is_held else now,
        created_at=now,
        ended_at=now if is_held else None,
    )
    if not is_held:
        dispatch.queue_after_commit(SEND_TASK, str(effect.pk))
    return effect


def queue_due(*, now: dt.datetime, limit: int = 500) -> int:
    """Queue a task for each effect whose next try is due; gives how many."""
    due = Effect.unscoped.filter(status="waiting", next_at__lte=now).order_by("next_at")
    ids = list(due.values_list("pk", flat=True)[:limit])
    with transaction.atomic():
        for pk in ids:
            dispatch.queue_after_commit(SEND_TASK, str(pk))
    return len(ids)


def send(*, effect_id: UUID, now: dt.datetime) -> bool:
    """Try to send an effect that is due; whether it was sent. Nobody else tries meanwhile."""
    mine = Effect.unscoped.filter(pk=effect_id, status="waiting", next_at__lte=now)
    if not mine.update(next_at=now + LEASE):
        return False
    effect: Effect = Effect.unscoped.select_related("ticket", "workspace").get(pk=effect_id)
    try:
        (_mail if effect.kind == "mail" else _call)(effect, now)
    except (outbound.OutboundError, smtplib.SMTPException, OSError) as error:
        logger.warning("The %s of a rule was not sent: %s", effect.kind, _said(error))
        _failed(effect, error, now)
        return False
    except Exception as error:  # a mistake of ours: seen in the log, and it does not go on for ever
        logger.exception("The %s of a rule could not be made.", effect.kind)
        _failed(effect, error, now)
        return False
    _end(effect, "sent", now, error="")
    return True


def _end(effect: Effect, status: str, now: dt.datetime, *, error: str) -> None:
    Effect.unscoped.filter(pk=effect.pk).update(
        status=status, next_at=None, ended_at=now, attempts=effect.attempts + 1, error=error[:300]
    )


def _failed(effect: Effect, error: Exception, now: dt.datetime) -> None:
    """Wait longer each time; give up after the last try, and where an address may never be called."""
    text = _said(error)
    if effect.attempts >= len(WAITS) or isinstance(error, outbound.Refused):
        _end(effect, "failed", now, error=text)
        return
    Effect.unscoped.filter(pk=effect.pk).update(
        next_at=now + WAITS[effect.attempts], attempts=effect.attempts + 1, error=text[:300]
    )


def _said(error: Exception) -> str:
    """What a mail server says may contain addresses; what the way out says never does."""
    return str(error) if isinstance(error, outbound.OutboundError) else type(error).__name__


def _mail(effect: Effect, now: dt.datetime) -> None:
    ticket = effect.ticket
    context = {
        "workspace": effect.workspace,
        "ticket": ticket,
        "subject": effect.content["subject"],
        "text": effect.content["text"],
        "url": settings.SITE_URL + reverse("tickets:ticket", args=[ticket.pk]),
    }
    mail = EmailMultiAlternatives(
        " ".join(render_to_string("email/rule_notice.subject.txt", context).split()),
        render_to_string("email/rule_notice.txt", context),
        to=[effect.target],
        headers={"Message-ID": f"<rule.{effect.pk}@helpdesk.invalid>", "Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(render_to_string("email/rule_notice.html", context), "text/html")
    mail.send()


def _call(effect: Effect, now: dt.datetime) -> None:
    answer = outbound.post(
        effect.target,
        body=orjson.dumps(effect.content),
        headers={
            "Content-Type": "application/json",
            "User-Agent": "Helpdesk",
            "webhook-id": str(effect.pk),
            "webhook-timestamp": str(int(now.timestamp())),
        },
    )
    if not answer.is_success:
        raise outbound.OutboundError(f"The answer was {answer.status}.")
