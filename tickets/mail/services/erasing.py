"""What mail keeps of a customer who is erased: that something came and went, and when, but not what or from whom.

Call these after the tickets' own (`tickets.services.erasing`): mails are locked before tickets and comments by
whoever sends, so they have transactions of their own.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from helpdesk.errors import NotFound
from tickets.mail.models import BlockedSender, Incoming, Outgoing, Undeliverable
from tickets.mail.parsing import message
from tickets.mail.parsing.message import Unreadable
from tickets.mail.services import delivery, originals
from tickets.services.erasing import Erasure, Scope
from tickets.traces import NAME, SUBJECT, Traces

CANCELLED = "Its recipient was erased."
REASON = "erased"  # why a message that waited is ignored
_FIELDS = (
    "raw", "envelope_from", "envelope_to", "status", "outcome", "reason", "trace", "message_id", "from_address",
    "from_name", "subject", "cc", "next_at", "processed_at",
)  # fmt: skip
_PORTION = 200  # rows that are looked at in one transaction


def names_of(*, erasure: Erasure) -> set[str]:
    """The names that stand beside the address in mails that came from it."""
    rows = Incoming.objects.for_workspace(erasure.workspace_id).filter(from_address=erasure.traces.address)
    return {name.strip() for name in rows.values_list("from_name", flat=True).distinct() if name.strip()}


def counts_of(*, erasure: Erasure) -> dict[str, int]:
    """How many mails came from the address, and went to it."""
    address = erasure.traces.address
    return {
        "mails_received": Incoming.objects.for_workspace(erasure.workspace_id).filter(from_address=address).count(),
        "mails_sent": Outgoing.objects.for_workspace(erasure.workspace_id).filter(recipient=address).count(),
    }


def erase_mail_of_tickets(*, erasure: Erasure, scope: Scope, now: dt.datetime) -> None:
    """Erase the person from what came and went for these few tickets; what waits for them is not sent any more."""
    _erase_outgoing(erasure, Q(ticket__in=scope.all), now=now)
    rows = Incoming.objects.for_workspace(erasure.workspace_id).filter(
        Q(ticket__in=scope.all) | Q(comment__ticket__in=scope.all)
    )
    _erase_incoming(erasure, rows.values_list("pk", flat=True), own=set(scope.own), now=now)


def erase_mail_of_address(*, erasure: Erasure, now: dt.datetime) -> None:
    """Erase what no ticket leads to: quarantine, what was ignored, sign-in links, lists of addresses."""
    address = erasure.traces.address
    _erase_outgoing(erasure, Q(recipient=address, pk__lt=erasure.until), now=now)
    named = Q(from_address__iexact=address) | Q(envelope_from__iexact=address)
    for column in ("cc", "trace"):
        named |= Q(**{f"{column}_text__icontains": address})
    for column in ("subject", "reason", "from_name", "envelope_to", "message_id"):
        named |= Q(**{f"{column}__icontains": address})
    rows = Incoming.objects.for_workspace(erasure.workspace_id).annotate(
        cc_text=Cast("cc", TextField()), trace_text=Cast("trace", TextField())
    )
    _erase_incoming(erasure, rows.filter(named, pk__lt=erasure.until).values_list("pk", flat=True), own=set(), now=now)
    Undeliverable.objects.for_workspace(erasure.workspace_id).filter(address__iexact=address).delete()
    BlockedSender.objects.for_workspace(erasure.workspace_id).filter(pattern__iexact=address).delete()


def erase_originals_that_name(*, erasure: Erasure, alive: Callable[[], None], now: dt.datetime) -> None:
    """Delete the bytes of messages that became nothing and name the address, in Cc for example: each file is read.

    `alive` is called now and then, since there may be very many.
    """
    rows = Incoming.objects.for_workspace(erasure.workspace_id).filter(ticket=None, comment=None, pk__lt=erasure.until)
    ids = list(rows.exclude(raw="").values_list("pk", flat=True))
    address = erasure.traces.address.encode()
    for portion in _portions(ids):
        alive()
        _erase_incoming(
            erasure,
            [row.pk for row in rows.filter(pk__in=portion).only("pk", "raw") if address in _raw_of(row).lower()],
            own=set(),
            now=now,
        )


def _raw_of(incoming: Incoming) -> bytes:
    try:
        return originals.raw_of(incoming)
    except NotFound:
        return b""


def _erase_outgoing(erasure: Erasure, which: Q, *, now: dt.datetime) -> None:
    ids = list(Outgoing.objects.for_workspace(erasure.workspace_id).filter(which).values_list("pk", flat=True))
    for portion in _portions(ids):
        with transaction.atomic():
            rows = Outgoing.objects.for_workspace(erasure.workspace_id).select_for_update()
            changed, comments = [], set()
            for mail in rows.filter(pk__in=portion).order_by("pk"):
                if _clean_outgoing(erasure, mail, now):
                    changed.append(mail)
                    comments |= {mail.comment_id} if mail.comment_id else set()
            fields = ["recipient", "content", "reason", "provider_id", "status", "next_at", "ended_at"]
            Outgoing.unscoped.bulk_update(changed, fields)
            for comment_id in sorted(comments):
                delivery.refresh(comment_id)


def _clean_outgoing(erasure: Erasure, mail: Outgoing, now: dt.datetime) -> bool:
    before = (mail.recipient, mail.content, mail.reason, mail.provider_id, mail.status)
    is_theirs = mail.user_id is None and (
        mail.recipient.lower() == erasure.traces.address
        or (erasure.contact_id is not None and mail.contact_id == erasure.contact_id)
    )
    if is_theirs:
        mail.recipient, mail.provider_id = erasure.traces.stand_in, ""
        if mail.status == "waiting":
            mail.status, mail.reason, mail.next_at, mail.ended_at = "cancelled", CANCELLED, None, now
    mail.reason = erasure.traces.clean(mail.reason)[:300]
    mail.content = erasure.traces.clean_value(mail.content)
    return before != (mail.recipient, mail.content, mail.reason, mail.provider_id, mail.status)


def _erase_incoming(erasure: Erasure, ids: Any, *, own: set[Any], now: dt.datetime) -> None:
    for portion in _portions(list(ids)):
        with transaction.atomic():
            rows = Incoming.objects.for_workspace(erasure.workspace_id).select_for_update(of=("self",))
            changed = []
            for incoming in rows.filter(pk__in=portion).select_related("comment").order_by("pk"):
                before = [getattr(incoming, name) for name in _FIELDS]
                _clean_incoming(erasure, incoming, own, now)
                if before != [getattr(incoming, name) for name in _FIELDS]:
                    changed.append(incoming)
            Incoming.unscoped.bulk_update(changed, _FIELDS)


def _clean_incoming(erasure: Erasure, incoming: Incoming, own: set[Any], now: dt.datetime) -> None:
    of_text, comment = erasure.traces, incoming.comment
    is_theirs = of_text.address in (incoming.from_address.lower(), (incoming.envelope_from or "").lower()) or (
        erasure.contact_id is not None and comment is not None and comment.author_contact_id == erasure.contact_id
    )
    in_own = incoming.ticket_id in own or (comment is not None and comment.ticket_id in own)
    if incoming.raw and (is_theirs or in_own or _names(incoming, of_text)):
        # The bytes first: whoever is killed in between finds a row without them.
        incoming.raw.delete(save=False)
        incoming.raw = ""
    if is_theirs or in_own:
        incoming.subject, incoming.trace, incoming.message_id = SUBJECT if incoming.subject else "", [], ""
    if is_theirs:
        if incoming.envelope_from is not None:
            incoming.envelope_from = of_text.stand_in
        incoming.from_address, incoming.from_name, incoming.cc = of_text.stand_in, NAME, []
        if incoming.status == "waiting":
            incoming.status, incoming.outcome, incoming.reason = "done", "ignored", REASON
            incoming.next_at, incoming.processed_at = None, now
    for name, longest in (
        ("envelope_from", 320), ("envelope_to", 320), ("reason", 120), ("from_name", 120), ("subject", 255),
        ("message_id", 400),
    ):  # fmt: skip
        if kept := getattr(incoming, name):
            setattr(incoming, name, of_text.clean(kept)[:longest])
    incoming.trace = of_text.clean_value(incoming.trace)
    incoming.cc = of_text.clean_value(incoming.cc)


def _names(incoming: Incoming, of_text: Traces) -> bool:
    """Whether a message by somebody else names the person, in its headers, its text or the names of its files."""
    raw = _raw_of(incoming)
    if of_text.are_in(raw.decode("utf-8", "replace")):
        return True
    try:
        read = message.read(raw, envelope_from=incoming.envelope_from)
    except Unreadable:
        return False
    texts = [f"{name}: {value}" for name, value in read.headers]
    texts += [read.text, read.html, *(file.name for file in read.files)]
    return any(of_text.are_in(text) for text in texts)


def _portions(ids: Sequence[Any]) -> Any:
    ordered = sorted(ids)
    return (ordered[start : start + _PORTION] for start in range(0, len(ordered), _PORTION))
