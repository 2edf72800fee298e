"""What came and what went, for whoever looks for a message: search, page by page, and clearing away."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.dateparse import parse_datetime

from helpdesk.errors import Conflict, NotFound
from tickets.mail.models import BlockedSender, Incoming, Outgoing, Undeliverable
from tickets.markup import is_text

PAGE = 50
LONGEST_QUERY = 200  # characters
WAITING = "waiting"  # besides the outcomes, as a filter
NEVER = Q(pk__in=[])
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Page:
    """Some rows, newest first, and what names the place where the older ones begin ("" after the last)."""

    rows: list[Any]
    older: str
    is_first: bool


# --- What came ----------------------------------------------------------------------------------


def incoming(
    *, workspace_id: UUID, query: str = "", outcome: str = "", mailbox_id: UUID | None = None, before: str = ""
) -> Page:
    """A page of what came, newest first. One query.

    `query` is an address (or `@example.com`, a domain), a Message-ID, or words of the subject; `outcome` one of the
    outcomes or `waiting`; `before` is the `older` of the page before. What cannot be understood finds nothing.
    """
    rows = Incoming.objects.for_workspace(workspace_id).select_related("mailbox", "ticket")
    if outcome == WAITING:
        rows = rows.filter(status="waiting")
    elif outcome:
        rows = rows.filter(outcome=outcome)
    if mailbox_id:
        rows = rows.filter(mailbox=mailbox_id)
    rows = rows.filter(_asked(query, address="from_address", message_id="message_id", words="subject"))
    return _page(rows.defer("trace", "cc"), "received_at", before)


def find_incoming(workspace_id: UUID, incoming_id: UUID) -> Incoming:
    """A message that came to the workspace. Raises NotFound, also for a foreign id."""
    rows = Incoming.objects.for_workspace(workspace_id).select_related("mailbox", "ticket", "comment")
    found: Incoming | None = rows.filter(pk=incoming_id).first()
    if found is None:
        raise NotFound("There is no such message.", errors={"id": ["There is no such message."]})
    return found


@transaction.atomic
def delete_incoming(*, incoming: Incoming) -> None:
    """Delete a message, its bytes and its trace; what it became stays. Raises NotFound, Conflict while it waits."""
    rows = Incoming.objects.for_workspace(incoming.workspace_id).select_for_update(of=("self",))
    row = rows.filter(pk=incoming.pk).first()
    if row is None:
        raise NotFound("There is no such message.")
    if row.status == "waiting":
        raise Conflict("This message still waits to be worked through.", code="waiting")
    raw = row.raw
    row.delete()
    if raw:
        transaction.on_commit(lambda: raw.storage.delete(raw.name))


# --- What went ----------------------------------------------------------------------------------


def outgoing(
    *, workspace_id: UUID, query: str = "", status: str = "", mailbox_id: UUID | None = None, before: str = ""
) -> Page:
    """A page of what was to go out, newest first, as `incoming`; words are searched in the tickets' subjects."""
    rows = Outgoing.objects.for_workspace(workspace_id).select_related("mailbox", "ticket", "comment")
    if status:
        rows = rows.filter(status=status)
    if mailbox_id:
        rows = rows.filter(mailbox=mailbox_id)
    rows = rows.filter(_asked(query, address="recipient", message_id="message_id", words="ticket__subject"))
    return _page(rows.defer("content"), "created_at", before)


def find_outgoing(workspace_id: UUID, outgoing_id: UUID) -> Outgoing:
    """A mail of the workspace. Raises NotFound, also for a foreign id."""
    rows = Outgoing.objects.for_workspace(workspace_id).select_related("ticket", "comment")
    found: Outgoing | None = rows.filter(pk=outgoing_id).first()
    if found is None:
        raise NotFound("There is no such mail.", errors={"id": ["There is no such mail."]})
    return found


# --- Addresses ----------------------------------------------------------------------------------


def undeliverable(*, workspace_id: UUID, before: str = "") -> Page:
    """A page of the addresses that mail does not reach, the newest first. One query."""
    return _page(Undeliverable.objects.for_workspace(workspace_id), "bounced_at", before)


def blocked(*, workspace_id: UUID, before: str = "") -> Page:
    """A page of the senders whose mail is ignored, the newest first. One query."""
    return _page(BlockedSender.objects.for_workspace(workspace_id).select_related("created_by"), "created_at", before)


# --- Searching ----------------------------------------------------------------------------------


def _asked(query: str, *, address: str, message_id: str, words: str) -> Q:
    """What a search asks for. Each kind of question has its index; only words of a subject are looked for in rows."""
    query = " ".join(query.split())[:LONGEST_QUERY]
    if not query:
        return Q()
    if not is_text(query):
        return NEVER
    plain = query.strip("<>")
    if "@" in plain and " " not in plain:
        if plain.startswith("@"):
            return Q(**{f"{address}__endswith": plain.lower()})
        return Q(**{address: plain.lower()}) | Q(**{message_id: plain})
    return Q(**{f"{words}__icontains": query}) | Q(**{message_id: plain})


def _page(rows: QuerySet[Any], column: str, before: str) -> Page:
    """A page by keyset: as fast at the end as at the beginning."""
    place = _place(before)
    if before and place is None:
        return Page([], "", False)
    if place is not None:
        moment, pk = place
        rows = rows.filter(Q(**{f"{column}__lt": moment}) | Q(**{column: moment, "pk__lt": pk}))
        rows = rows.filter(**{f"{column}__lte": moment})  # what the index can begin at
    found = list(rows.order_by(F(column).desc(), F("pk").desc())[: PAGE + 1])
    older = ""
    if len(found) > PAGE:
        last = found[PAGE - 1]
        older = f"{getattr(last, column).astimezone(dt.UTC).isoformat()}_{last.pk}"
    return Page(found[:PAGE], older, is_first=not before)


def _place(before: str) -> tuple[dt.datetime, UUID] | None:
    moment, _, pk = before.partition("_")
    if not _ID.fullmatch(pk):
        return None
    try:
        at = parse_datetime(moment)
    except ValueError:
        return None
    return (at, UUID(pk)) if at and at.tzinfo else None


# --- In words -----------------------------------------------------------------------------------

_REASONS: Mapping[str, str] = {
    "": "",
    "spam": "A spam filter on the way marked it.",
    "blocked": "Its sender is on the block list.",
    "blocked_sender": "Its sender is on the block list.",
    "loop": "It is mail of ours that came back.",
    "no_sender": "It names nobody who could be answered.",
    "bad_sender": "Its sender is no address that can be answered.",
    "own_address": "It says that it comes from one of your own mailboxes.",
    "killed_worker": "Working it through was broken off several times.",
    "unreadable": "It cannot be read: it is too large, too deeply nested or empty.",
    "no_bytes": "Its file is gone.",
    "error": "Something went wrong with it. Run it again; if it stays here, tell whoever runs this server.",
    "came_before": "The same message had come before.",
    "duplicate": "The same message had come before.",
    "follow_up": "It answers a ticket that is closed for long, so a new one goes on.",
    "answers_notice": "It answers a notice to an agent, so it became an internal note.",
    "not_a_ticket": "An agent said that it is no request.",
    "failed": "A mail of ours did not arrive.",
    "delayed": "A mail of ours is delayed.",
    "delivered": "A mail of ours arrived.",
    "relayed": "A mail of ours was handed on.",
    "expanded": "A mail of ours went to a list.",
    "unmatched": "It tells of a mail that is not ours.",
    "dropped": "A parsing rule dropped it.",
}


def reason_words(reason: str) -> str:
    """Why something became of a message, as a sentence; a code that is not known is said as it is."""
    if reason in _REASONS:
        return _REASONS[reason]
    kind, _, name = reason.partition(": ")
    if kind == "rule" and name:
        return f"The parsing rule “{name}” dropped it."
    words = reason.replace("_", " ").strip()
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}" if words else ""


_STEPS: Mapping[str, str] = {
    "read": "Read",
    "attempts": "Tries",
    "duplicate": "Came before?",
    "loop": "Our own mail?",
    "bounce": "Tells of a mail of ours?",
    "blocked": "Blocked sender?",
    "spam": "Spam?",
    "sender": "Who wrote it",
    "verified": "Sender verified?",
    "thread": "Which ticket it belongs to",
    "rule": "Parsing rule",
    "rules": "Parsing rules",
    "fold": "Quoted history",
    "text": "Text",
    "html": "Its look",
    "file": "File",
    "cc": "People in copy",
    "answers": "Automatic answers",
    "ticket": "Ticket",
    "error": "Went wrong",
    "result": "Result",
}


def step_words(step: str) -> str:
    """The heading of a step of the trace; one that is not known is said as it is."""
    return _STEPS.get(step) or step.replace("_", " ").capitalize()
