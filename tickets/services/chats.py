"""Chatbots hand conversations over to people.

A conversation is known by the bot's own id of it and has one ticket in its workspace. Its lines are the first
entries of the ticket's conversation (`Comment.is_transcript`): they are shown and found, and nothing else happens
because of them, no activity, mail, deadline or rule. A conversation that comes again leads to the same ticket, and
adds what is new at its end.

Two requests about the same conversation are worked through one after the other, under an advisory lock.
"""

import datetime as dt
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.errors import Conflict, DomainError, InvalidInput
from tickets import access, markup, search, timeline
from tickets.events import Actor, ActorKind, Event
from tickets.lifecycle import Status
from tickets.models import Chat, ChatSettings, Comment, CustomerToken, Ticket
from tickets.services import base, conversation, editing, opening, status

KEY_PREFIX = "hdc_"
CHANNEL = "chat"
BY_KEY = "key"  # `Chat.opened_by` of a bot that had the key
VISITOR = "Chat visitor"  # the name of who gave none
VISITORS_DOMAIN = "chat.invalid"
SO_FAR = "The conversation so far is below."

ID_LENGTH = 200
MOST_LINES = 500
LINE_LENGTH = 10_000
TRANSCRIPT_LENGTH = 200_000  # characters of all lines together
CONTEXT_BYTES = 16 * 1024
CONTEXT_DEPTH = 8
OLDEST_LINE = dt.timedelta(days=3650)  # what claims to be older has no time
_TICK = dt.timedelta(microseconds=1)

# Who speaks, by the word of the bot: (kind, name where none is given).
ROLES = {
    "user": ("customer", ""),
    "customer": ("customer", ""),
    "bot": ("bot", "Bot"),
    "assistant": ("bot", "Bot"),
    "agent": ("agent", "Agent"),
    "system": ("system", "System"),
}


class KeyRefused(DomainError):
    """The integration key is missing or wrong (HTTP 401)."""

    status = 401
    code = "key_invalid"


class ConversationExists(Conflict):
    """The conversation has a ticket, and the caller has not shown that it is theirs. Tells nothing of the ticket."""

    code = "conversation_exists"


@dataclass(frozen=True)
class Sender:
    """Who calls: a bot with the workspace's key, or anybody from a network (an address, or the /64 of one)."""

    has_key: bool
    network: str

    @property
    def name(self) -> str:
        """As `Chat.opened_by` keeps it."""
        return BY_KEY if self.has_key else self.network[:80]


@dataclass(frozen=True)
class Line:
    """One line of a transcript, checked. `kind` is customer, bot, agent or system; `at` is aware, in UTC."""

    kind: str
    text: str
    name: str = ""
    at: dt.datetime | None = None


@dataclass(frozen=True)
class Request:
    """What a bot hands over, as it came. Lines of `chat_history` have `role` and `content`, and may have `name` and
    `timestamp` (a datetime). Without an address the customer is a visitor who gets no mail.
    """

    conversation_id: str
    subject: str = ""
    description: str = ""
    customer_email: str = ""
    customer_name: str = ""
    chat_history: Sequence[Mapping[str, Any]] = ()
    bot_name: str = ""
    bot_id: str = ""
    reason: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Handed:
    """The ticket of a conversation: `ticket` as the customer sees it now, `opened_as` the id that `token` opens."""

    ticket: Ticket
    opened_as: UUID
    token: str
    is_new: bool


@dataclass(frozen=True)
class _Checked:
    """A request, cleaned."""

    conversation_id: str
    subject: str
    description: str
    address: str  # empty: none was given
    name: str
    bot: str
    lines: list[Line]


# --- Who may --------------------------------------------------------------------------------------


def settings_of(workspace_id: UUID) -> ChatSettings:
    """How the workspace lets bots in; the defaults where nothing was set."""
    kept: ChatSettings | None = ChatSettings.objects.for_workspace(workspace_id).first()
    return kept or ChatSettings(workspace_id=workspace_id)


def _hashed(key: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def find_key(key: str) -> ChatSettings | None:
    """The settings whose key this is, of any workspace; None for a key that opens nothing."""
    return ChatSettings.unscoped.filter(key_hash=_hashed(key)).first() if key.startswith(KEY_PREFIX) else None


def authorize(*, workspace: Workspace, key: str) -> bool:
    """Let a caller in who sent this key (empty: none); gives whether it is the workspace's.

    Where no key is required, a token of another kind says nothing, but a wrong `hdc_…` is refused all the same:
    whoever sends one believes that it works. Raises KeyRefused (401).
    """
    own = settings_of(workspace.pk)
    if key.startswith(KEY_PREFIX):
        if not hmac.compare_digest(_hashed(key), own.key_hash or ""):
            raise KeyRefused("The integration key is not valid.")
        return True
    if own.requires_key:
        raise KeyRefused("Send this workspace’s integration key: Authorization: Bearer hdc_…", code="key_required")
    return False


@transaction.atomic
def make_key(*, workspace: Workspace, now: dt.datetime) -> str:
    """Make the workspace's integration key, or a new one: the one before ends at once. Its text is never seen again."""
    own = _locked_settings(workspace, now)
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    own.key_hash, own.key_hint, own.key_made_at, own.updated_at = _hashed(key), key[-4:], now, now
    own.save()
    return key


@transaction.atomic
def set_mode(*, workspace: Workspace, requires_key: bool, now: dt.datetime) -> ChatSettings:
    """Let anybody open tickets from chats, or only bots with the key.

    Raises Conflict when a key is to be required and there is none yet.
    """
    own = _locked_settings(workspace, now)
    if requires_key and not own.key_hash:
        why = "Make a key first: without one, no bot would be let in."
        raise Conflict(why, code="no_key", errors={"requires_key": [why]})
    if own.requires_key != requires_key:
        own.requires_key, own.updated_at = requires_key, now
        own.save(update_fields=["requires_key", "updated_at"])
    return own


def _locked_settings(workspace: Workspace, now: dt.datetime) -> ChatSettings:
    ChatSettings.unscoped.get_or_create(workspace=workspace, defaults={"updated_at": now})
    locked: ChatSettings = ChatSettings.objects.for_workspace(workspace).select_for_update().get()
    return locked


# --- The two doors --------------------------------------------------------------------------------


def _let_in() -> None:
    """Everybody may open a ticket."""


@transaction.atomic
def open_from_chat(
    *,
    workspace: Workspace,
    sender: Sender,
    request: Request,
    now: dt.datetime,
    let_in: Callable[[], None] = _let_in,
) -> Handed:
    """Open the ticket of a conversation; one that has a ticket gets what is new at the end of its history.

    A visitor without an address becomes the customer whose address is given now. The rest of a conversation that is
    known stays as it is; it is not reopened either. `let_in` is asked right before a new ticket, with all of the
    request checked, and refuses it by raising: nothing is kept then.

    Raises InvalidInput naming the field (`chat_history.3.role`), ConversationExists for a conversation that is known
    when nothing shows that it is the caller's, Conflict when its ticket is in the trash.
    """
    asked = _checked(request)
    chat = _find(workspace, asked, sender)
    if chat is None:
        base.text("subject", asked.subject, longest=base.SUBJECT_LENGTH)
        if not asked.description and not asked.lines:
            raise InvalidInput.of("description", "This must not be empty, unless there is a history.")
        let_in()
        return _open(workspace, sender, asked, asked.description or SO_FAR, now=now)
    _claim(chat, asked, now=now)
    _append(chat, asked, now=now)
    return _handed(chat, sender, now=now)


@transaction.atomic
def escalate(
    *,
    workspace: Workspace,
    sender: Sender,
    request: Request,
    now: dt.datetime,
    let_in: Callable[[], None] = _let_in,
) -> Handed:
    """A bot asks for a person: the reason and what it knew are kept, and the agents get a note.

    A conversation without a ticket gets one. One whose ticket waits or is finished opens again, as by a customer's
    answer; what was closed too long ago is continued by a new ticket. The same once more adds nothing, unless the
    ticket was finished since. `let_in` is asked right before either new ticket, as by `open_from_chat`.

    Raises as `open_from_chat`, InvalidInput for `reason`, `bot_id` and `context`, too.
    """
    reason = base.text("reason", request.reason, longest=ID_LENGTH, one_line=True)
    bot_id = base.text("bot_id", request.bot_id, longest=ID_LENGTH, required=False, one_line=True)
    context = clean_context(request.context)
    asked = _checked(_with_context(request, context))
    chat = _find(workspace, asked, sender)
    told = {"reason": reason, "bot_id": bot_id, "context": context}
    words = reason.replace("_", " ")
    description = asked.description or (
        SO_FAR if asked.lines else f"A chatbot handed this conversation over to a person: {words}."
    )
    if chat is None:
        let_in()
        subject = asked.subject or f"Chat handed over: {words}"[: base.SUBJECT_LENGTH]
        return _open(
            workspace, sender, asked, description, subject=subject, extra=told | {"escalated_at": now}, now=now
        )
    _claim(chat, asked, now=now)
    is_follow_up = _hand_over_again(chat, asked, told, description, let_in, now=now)
    _append(chat, asked, now=now)
    return _handed(chat, sender, now=now, is_new=is_follow_up)


def _open(
    workspace: Workspace,
    sender: Sender,
    asked: _Checked,
    description: str,
    *,
    now: dt.datetime,
    subject: str = "",
    extra: Mapping[str, Any] | None = None,
) -> Handed:
    address = asked.address or visitor_address(workspace.pk, asked.conversation_id)
    name = asked.name or ("" if asked.address else VISITOR)
    contact = base.find_contact(workspace.pk, address, name)
    ticket = opening.open_ticket(
        workspace=workspace,
        subject=subject or asked.subject,
        description=description,
        requester_email=address,
        requester_name=name,
        channel=CHANNEL,
        actor=_customer(contact, name),
        now=now,
    )
    chat = _keep(ticket, sender, asked, extra or {}, now=now)
    return _handed(chat, sender, now=now, is_new=True)


def keep_chat(*, ticket: Ticket, sender: Sender, request: Request, now: dt.datetime) -> Chat:
    """Keep the chat that a ticket came from, which has none yet; what `escalate` does when it opens one.

    Raises InvalidInput naming the field, as `escalate`.
    """
    told = {"reason": request.reason, "bot_id": request.bot_id, "context": clean_context(request.context)}
    return _keep(ticket, sender, _checked(request), told | {"escalated_at": now}, now=now)


def _keep(ticket: Ticket, sender: Sender, asked: _Checked, told: Mapping[str, Any], *, now: dt.datetime) -> Chat:
    chat = Chat(
        workspace_id=ticket.workspace_id,
        ticket=ticket,
        conversation_id=asked.conversation_id,
        opened_by=sender.name,
        line_count=len(asked.lines),
        lines_hash=_hash_of(asked.lines),
        created_at=now,
        **told,
    )
    chat.save(force_insert=True)
    _write_lines(chat, ticket, asked.lines, asked, now=now)
    return chat


def _find(workspace: Workspace, asked: _Checked, sender: Sender) -> Chat | None:
    """The conversation, if it has a ticket and is the caller's; nobody else works on it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('chat ' || %s || ' ' || %s, 0))",
            [str(workspace.pk), asked.conversation_id],
        )
    rows = Chat.objects.for_workspace(workspace).select_related("ticket__workspace", "ticket__requester")
    chat: Chat | None = rows.filter(conversation_id=asked.conversation_id).first()
    if chat is None:
        return None
    is_requester = asked.address == chat.ticket.requester_email and base.is_reachable(asked.address)
    is_opener = bool(sender.network) and sender.network[:80] == chat.opened_by
    if not (sender.has_key or is_opener or is_requester):
        raise ConversationExists(
            "This conversation has a ticket already. Send the integration key, or the customer’s e-mail address."
        )
    if chat.ticket.trashed_at is not None:
        raise Conflict("The ticket of this conversation was deleted.", code="conversation_deleted")
    return chat


def _handed(chat: Chat, sender: Sender, *, now: dt.datetime, is_new: bool = False) -> Handed:
    ticket = chat.ticket
    # A bot with a key speaks for many people: where it runs says nothing about one of them.
    network = "" if sender.has_key else sender.network
    token = access.issue(ticket=ticket, contact=ticket.requester, now=now, network=network)
    opened = access.open_with(ticket_id=ticket.pk, token=token, now=now)
    return Handed(opened[0] if opened else ticket, ticket.pk, token, is_new)


# --- What comes in, checked -----------------------------------------------------------------------


def _checked(request: Request) -> _Checked:
    address = request.customer_email
    return _Checked(
        conversation_id=base.text("conversation_id", request.conversation_id, longest=ID_LENGTH, one_line=True),
        subject=base.text("subject", request.subject, longest=base.SUBJECT_LENGTH, required=False, one_line=True),
        description=base.text("description", request.description, longest=base.TEXT_LENGTH, required=False),
        address=base.email_address("customer_email", address) if address else "",
        name=base.text("customer_name", request.customer_name, longest=base.NAME_LENGTH, required=False, one_line=True),
        bot=base.text("bot_name", request.bot_name, longest=base.NAME_LENGTH, required=False, one_line=True),
        lines=clean_lines(request.chat_history),
    )


def clean_lines(history: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The lines of a transcript that say something; empty ones (a bot's picture, its buttons) are left out.

    Raises InvalidInput naming `chat_history`, or the part of the line that is wrong: `chat_history.3.role`.
    """
    if len(history) > MOST_LINES:
        raise InvalidInput.of("chat_history", f"These are too many lines: {len(history)}, {MOST_LINES} are possible.")
    lines, length = [], 0
    for place, given in enumerate(history):
        path = f"chat_history.{place}"
        kind, _ = ROLES[base.choice(f"{path}.role", given.get("role"), ROLES)]
        text = base.text(f"{path}.content", given.get("content"), longest=LINE_LENGTH, required=False)
        name = base.text(
            f"{path}.name", given.get("name") or "", longest=base.NAME_LENGTH, required=False, one_line=True
        )
        length += len(text)
        if text:
            lines.append(Line(kind, text, name, given.get("timestamp")))
    if length > TRANSCRIPT_LENGTH:
        raise InvalidInput.of(
            "chat_history", f"This is too long: {length} characters together, {TRANSCRIPT_LENGTH} are possible."
        )
    return lines


def clean_context(context: Any) -> dict[str, Any]:
    """What a bot knew: any JSON object of up to 16 kB and 8 levels. Raises InvalidInput naming `context`."""
    if not isinstance(context, Mapping):
        raise InvalidInput.of("context", "This must be an object.")
    if _depth(context) > CONTEXT_DEPTH:
        raise InvalidInput.of("context", f"This is nested too deeply: {CONTEXT_DEPTH} levels are possible.")
    size = len(json.dumps(context, ensure_ascii=False, separators=(",", ":")).encode())
    if size > CONTEXT_BYTES:
        raise InvalidInput.of("context", f"This is too big: {size} bytes, {CONTEXT_BYTES} are possible.")
    return dict(context)


def _depth(value: Any) -> int:
    """How many objects and lists stand inside each other. What comes from a body is at most 20 levels deep."""
    if not isinstance(value, Mapping | list):
        return 0
    inner = value.values() if isinstance(value, Mapping) else value
    return 1 + max(map(_depth, inner), default=0)


def _with_context(request: Request, context: Mapping[str, Any]) -> Request:
    """The request with what only its context says of the customer, as far as that is acceptable."""

    def told(name: str, longest: int) -> str:
        given, value = getattr(request, name), context.get(name)
        if given or not isinstance(value, str):
            return str(given)
        try:
            if name == "customer_email":
                return base.email_address(name, value)
            return base.text(name, value, longest=longest, required=False)
        except InvalidInput:
            return ""

    return Request(
        conversation_id=request.conversation_id,
        subject=told("subject", base.SUBJECT_LENGTH),
        description=told("description", base.TEXT_LENGTH),
        customer_email=told("customer_email", 254),
        customer_name=told("customer_name", base.NAME_LENGTH),
        chat_history=request.chat_history,
        bot_name=request.bot_name,
    )


# --- The transcript -------------------------------------------------------------------------------


def _hash_of(lines: Sequence[Line]) -> str:
    return hashlib.sha256(json.dumps([[line.kind, line.text] for line in lines]).encode()).hexdigest()


def _append(chat: Chat, asked: _Checked, *, now: dt.datetime) -> None:
    """Add the lines that are new at the end; nothing when what is known is not the beginning of what came."""
    known = chat.line_count
    new = asked.lines[known:]
    if not new or _hash_of(asked.lines[:known]) != chat.lines_hash:
        return
    ticket = conversation.end_of_merges(chat.ticket)
    _write_lines(chat, ticket, new, asked, now=now)
    chat.line_count, chat.lines_hash = len(asked.lines), _hash_of(asked.lines)
    chat.save(update_fields=["line_count", "lines_hash"])
    base.save(ticket, now=now)
    timeline.record(
        ticket=ticket,
        event=Event.UPDATED,
        actor=_customer(chat.ticket.requester, chat.ticket.requester_name),
        now=now,
        changes=[timeline.changed("chat", f"{known} messages", f"{chat.line_count} messages")],
    )


def _write_lines(chat: Chat, ticket: Ticket, lines: Sequence[Line], asked: _Checked, *, now: dt.datetime) -> None:
    """Make the comments of these lines, in their order, before everything that happens from now on."""
    if not lines:
        return
    requester = chat.ticket.requester
    by_name = {"customer": chat.ticket.requester_name or requester.display_name}
    by_name |= {kind: name for kind, name in ROLES.values() if kind != "customer"}
    by_name |= {"bot": asked.bot} if asked.bot else {}
    before = Comment.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, is_transcript=True)
    last = before.aggregate(last=Max("created_at"))["last"]
    Comment.unscoped.bulk_create(
        Comment(
            workspace_id=ticket.workspace_id,
            ticket=ticket,
            author_type="customer" if line.kind == "customer" else "system",
            author_contact=requester if line.kind == "customer" else None,
            author_name=line.name or by_name[line.kind],
            body=line.text,
            body_html=markup.render_plain(line.text),
            is_transcript=True,
            channel=CHANNEL,
            created_at=at,
        )
        for line, at in zip(lines, _times(lines, last, now), strict=True)
    )
    search.index(ticket.pk)


def _times(lines: Sequence[Line], last: dt.datetime | None, now: dt.datetime) -> Iterator[dt.datetime]:
    """When each line was said: what it tells as far as that keeps the order, else right after the line before.

    All of it is before now, so that a transcript stands before what happens with the ticket.
    """
    told = [line.at if line.at and now - OLDEST_LINE <= line.at else None for line in lines]
    first = next(filter(None, told), None)
    for place, given in enumerate(told):
        latest = now - (len(lines) - place) * _TICK
        at = min(given or ((last or first) if first else None) or latest, latest)
        last = at if last is None else max(at, last + _TICK)
        yield last


# --- Conversations that are known -----------------------------------------------------------------


def visitor_address(workspace_id: UUID, conversation_id: str) -> str:
    """What stands for the address of a customer who gave none: the same for each conversation, and nobody's."""
    digest = hashlib.sha256(f"{workspace_id} {conversation_id}".encode()).hexdigest()
    return f"chat-{digest[:20]}@{VISITORS_DOMAIN}"


def _customer(contact: Contact, name: str) -> Actor:
    return Actor(ActorKind.CUSTOMER, name or contact.email.partition("@")[0], contact_id=contact.pk)


def _claim(chat: Chat, asked: _Checked, *, now: dt.datetime) -> None:
    """Make the person whose address is given now the requester, if it was a visitor without one. Their link stays."""
    visitor = chat.ticket.requester
    if not asked.address or base.is_reachable(visitor.email) or chat.ticket.merged_into_id is not None:
        return
    contact = base.find_contact(chat.workspace_id, asked.address, asked.name)
    ticket = editing.update_ticket(
        ticket=chat.ticket,
        changes={"requester_email": asked.address, "requester_name": asked.name},
        actor=_customer(contact, asked.name),
        now=now,
    )
    said = Comment.objects.for_workspace(chat.workspace_id).filter(ticket=ticket, author_contact=visitor)
    said.filter(author_name=visitor.display_name).update(author_name=asked.name or contact.display_name)
    said.update(author_contact=contact)
    tokens = CustomerToken.objects.for_workspace(chat.workspace_id).filter(ticket=ticket)
    if not tokens.filter(contact=contact).exists():
        tokens.filter(contact=visitor).update(contact=contact)
    chat.ticket = ticket


def _hand_over_again(
    chat: Chat,
    asked: _Checked,
    told: Mapping[str, Any],
    description: str,
    let_in: Callable[[], None],
    *,
    now: dt.datetime,
) -> bool:
    """Keep what the bot tells, leave a note, and open the ticket; gives whether a new ticket had to continue it."""
    ticket = conversation.end_of_merges(chat.ticket)
    is_finished = ticket.status in (Status.RESOLVED.value, Status.CLOSED.value)
    same = all(getattr(chat, name) == value for name, value in told.items())
    if chat.escalated_at is not None and same and not is_finished:
        return False
    chat.reason, chat.bot_id, chat.context, chat.escalated_at = told["reason"], told["bot_id"], told["context"], now
    is_follow_up = not conversation.can_reopen(ticket, now)
    if is_follow_up:
        let_in()
        contact = chat.ticket.requester
        chat.ticket = conversation.customer_reply(
            ticket=ticket,
            contact=contact,
            body=description,
            channel=CHANNEL,
            actor=_customer(contact, chat.ticket.requester_name),
            vouched=True,
            now=now,
        ).ticket
    chat.save(update_fields=["ticket", "reason", "bot_id", "context", "escalated_at"])
    if not is_follow_up:
        actor = Actor(ActorKind.SYSTEM, asked.bot or "Bot")
        conversation.system_note(ticket=ticket, body=_note(told), original=base.Original(), actor=actor, now=now)
        fresh = base.lock(ticket)
        if fresh.status != Status.OPEN.value:
            status.move_locked(fresh, Status.OPEN.value, actor=actor, now=now)
        if fresh.pk == chat.ticket_id:
            chat.ticket = fresh
    return is_follow_up


def _note(told: Mapping[str, Any]) -> str:
    lines = [f"{name}: {value}" for name, value in readable(told["context"])]
    head = f"Escalated by the bot: {told['reason'].replace('_', ' ')}"
    return "\n\n".join([head, *(["\n".join(lines)] if lines else [])])


def readable(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A context as pairs that people read: names of nested values are joined, a list of plain values is one value."""
    return list(_pairs(context, ""))


def _pairs(value: Any, path: str) -> Iterator[tuple[str, str]]:
    inner: Any = None
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value):
        inner = enumerate(value, 1)
    if inner is None or not value:
        if path:
            yield path, ", ".join(map(_plain, value)) or "–" if isinstance(value, list) else _plain(value)
        return
    for name, one in inner:
        yield from _pairs(one, f"{path} › {name}" if path else str(name) or "–")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None or value == "" or value == {} else str(value)
