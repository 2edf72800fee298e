"""What tickets keep of a customer who is erased: numbers, times, states and counts, but no word of theirs.

Tickets are done a few at a time, each batch in a transaction of its own: whoever is killed goes on with the batch
that was not committed, and doing one twice changes nothing. Higher apps erase what they keep by functions of the
same shape, after the batch of tickets is committed, so that nothing new can repeat what was in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db import connection, transaction
from django.db.models import F, Q

from helpdesk.accounts.models import Contact
from tickets import markup, search, traces
from tickets.events import ActorKind, Event
from tickets.models import (
    Activity,
    Attachment,
    Chat,
    Comment,
    CustomerToken,
    Field,
    Participant,
    SearchDocument,
    Ticket,
)
from tickets.traces import NAME, SUBJECT, TEXT, Traces

BATCH = 20  # tickets of one transaction
AT_ONCE = 200  # comments or activities that are read and written at a time
# Answers that class a ticket, as its category does, and say nothing else about a person.
_KEPT_ANSWERS = ("choice", "checkbox")
_OWN_WORDS = ("subject", "description", "requester_name")


@dataclass(frozen=True)
class Erasure:
    """Who is erased: the contact (None: no customer has the address) and what to look for.

    Rows found by the address alone are older than `until`, an id (they are ordered by time): whoever writes from
    the address later is somebody new.
    """

    workspace_id: UUID
    contact_id: UUID | None
    traces: Traces
    until: UUID


@dataclass(frozen=True)
class Scope:
    """The tickets that an erasure is about, in the order of their ids.

    `own` are requests of the person, whose words go altogether; `near` those of others in which the person took
    part or is named.
    """

    own: list[UUID]
    near: list[UUID]

    @property
    def all(self) -> list[UUID]:
        """Both, in the order in which they are locked."""
        return sorted([*self.own, *self.near])

    def part(self, ticket_ids: Iterable[UUID]) -> "Scope":
        """The same of a few tickets."""
        few = set(ticket_ids)
        return Scope([pk for pk in self.own if pk in few], [pk for pk in self.near if pk in few])


# --- Finding ----------------------------------------------------------------------------------


def find_scope(*, workspace_id: UUID, contact_id: UUID | None, address: str) -> Scope:
    """The tickets about a customer, also those in the trash and those merged away."""
    tickets = Ticket.objects.for_workspace(workspace_id)
    own: set[UUID] = set()
    near = set(tickets.filter(requester_email=address).values_list("pk", flat=True)) if contact_id is None else set()
    if contact_id is not None:
        activities = Activity.objects.for_workspace(workspace_id).filter(actor_contact=contact_id)
        own |= set(tickets.filter(requester=contact_id).values_list("pk", flat=True))
        # Given to somebody else since: the words are still theirs.
        own |= set(activities.filter(event=Event.CREATED.value).values_list("ticket_id", flat=True))
        near |= set(activities.values_list("ticket_id", flat=True).distinct())
        for model, person in ((Comment, "author_contact"), (Participant, "contact"), (CustomerToken, "contact")):
            rows = model.objects.for_workspace(workspace_id).filter(**{person: contact_id})
            near |= set(rows.values_list("ticket_id", flat=True).distinct())
    # Who writes an address into a note, or into another request: found by the words of the search.
    named = SearchDocument.objects.for_workspace(workspace_id).filter(
        words=SearchQuery(address, config="helpdesk", search_type="phrase")
    )
    near |= set(named.values_list("ticket_id", flat=True))
    return Scope(sorted(own), sorted(near - own))


def names_of(*, workspace_id: UUID, contact: Contact) -> set[str]:
    """The names under which the customer is known: their own, and those that they gave with what they wrote."""
    names = {contact.name}
    tickets = Ticket.objects.for_workspace(workspace_id).filter(requester=contact)
    names |= set(tickets.values_list("requester_name", flat=True).distinct())
    comments = Comment.objects.for_workspace(workspace_id).filter(author_contact=contact)
    names |= set(comments.values_list("author_name", flat=True).distinct())
    activities = Activity.objects.for_workspace(workspace_id).filter(actor_contact=contact)
    names |= set(activities.values_list("actor_name", flat=True).distinct())
    # Who gave no name is called by the part before the @: that is no name of a person, but may be any word.
    called = contact.email.partition("@")[0]
    return {name.strip() for name in names if name.strip() and name not in (NAME, TEXT, called)}


def counts_of(*, workspace_id: UUID, contact_id: UUID | None, scope: Scope) -> dict[str, int]:
    """How many rows an erasure of these tickets is about."""
    theirs = Comment.objects.for_workspace(workspace_id).filter(author_contact=contact_id) if contact_id else None
    return {
        "tickets": len(scope.own),
        "tickets_of_others": len(scope.near),
        "messages": theirs.count() if theirs is not None else 0,
        "files": _their_files(workspace_id, contact_id, scope).count() if contact_id else 0,
    }


def _their_files(workspace_id: UUID, contact_id: UUID | None, scope: Scope) -> Any:
    """The files that the person sent: with messages, and with requests."""
    with_requests = Q(comment=None, is_internal=False, ticket__in=scope.own)
    return Attachment.objects.for_workspace(workspace_id).filter(
        Q(comment__author_contact=contact_id, comment__author_contact__isnull=False) | with_requests
    )


# --- Erasing ----------------------------------------------------------------------------------


def erase_contact(*, contact: Contact, stand_in: str) -> None:
    """The row that stays of a locked customer: nobody, under an address that nobody has."""
    contact.email, contact.name, contact.organization, contact.attributes = stand_in, NAME, None, {}
    contact.save(update_fields=["email", "name", "organization", "attributes"])


@transaction.atomic
def erase_tickets(*, erasure: Erasure, scope: Scope) -> None:
    """Erase the person from these few tickets. Locks them in the order of their ids, as everybody does.

    Nothing is recorded, no version of the past changes: who reads the tickets by their ETag reads them anew.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('helpdesk.erasing', 'on', true)")
    own = set(scope.own)
    kinds = _kinds(erasure.workspace_id)
    tickets = Ticket.objects.for_workspace(erasure.workspace_id).select_for_update(of=("self",))
    for ticket in list(tickets.filter(pk__in=scope.all).order_by("pk")):
        is_own = ticket.pk in own
        took_part = is_own or _took_part(ticket, erasure.contact_id)
        theirs = _erase_comments(erasure, ticket, is_own=is_own, took_part=took_part)
        _erase_files(erasure, ticket, theirs, is_own=is_own)
        _erase_activities(erasure, ticket, theirs, is_own=is_own, kinds=kinds)
        _erase_ticket(erasure, ticket, is_own=is_own, took_part=took_part, kinds=kinds)
        _erase_chat(erasure, ticket, is_own=is_own)
        if erasure.contact_id is not None:
            for model in (Participant, CustomerToken):
                rows = model.objects.for_workspace(erasure.workspace_id)
                rows.filter(ticket=ticket, contact=erasure.contact_id).delete()
        search.index(ticket.pk)


def _took_part(ticket: Ticket, contact_id: UUID | None) -> bool:
    if contact_id is None:
        return False
    people = Participant.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, contact=contact_id)
    comments = Comment.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, author_contact=contact_id)
    return people.exists() or comments.exists()


def _kinds(workspace_id: UUID) -> dict[str, str]:
    """The kinds of the custom fields by their keys, archived ones too: a key has one kind for ever."""
    return dict(Field.objects.for_workspace(workspace_id).values_list("key", "kind"))


def _erase_ticket(erasure: Erasure, ticket: Ticket, *, is_own: bool, took_part: bool, kinds: Mapping[str, str]) -> None:
    of_text = erasure.traces
    new: dict[str, Any] = {}
    if is_own:
        new = {
            "subject": SUBJECT,
            "description": TEXT,
            "description_html": markup.render_plain(TEXT),
            "folded_text": "",
            "folded_html": "",
            "custom_fields": {
                key: value for key, value in ticket.custom_fields.items() if kinds.get(key) in _KEPT_ANSWERS
            },
        }
    else:
        for name in ("subject", "description", "description_html"):
            new[name] = of_text.clean(getattr(ticket, name))
        # What is quoted below a message of somebody who wrote with them is the conversation, their words in it.
        for name in ("folded_text", "folded_html"):
            new[name] = "" if took_part else of_text.clean(getattr(ticket, name))
        new["subject"] = new["subject"][:255]
        new["custom_fields"] = of_text.clean_value(ticket.custom_fields)
    if ticket.requester_id == erasure.contact_id or ticket.requester_email == of_text.address:
        new |= {"requester_email": of_text.stand_in, "requester_name": NAME}
    changed = {name: value for name, value in new.items() if getattr(ticket, name) != value}
    if changed:
        rows = Ticket.objects.for_workspace(erasure.workspace_id).filter(pk=ticket.pk)
        rows.update(**changed, version=F("version") + 1)


def _erase_comments(erasure: Erasure, ticket: Ticket, *, is_own: bool, took_part: bool) -> set[UUID]:
    """Gives the ids of the person's own comments."""
    rows = Comment.objects.for_workspace(erasure.workspace_id).filter(ticket=ticket).order_by("pk")
    theirs: set[UUID] = set()
    html = markup.render_plain(TEXT)
    fields = ("body", "body_html", "folded_text", "folded_html", "author_name")
    for comments in _in_portions(rows):
        changed = []
        for comment in comments:
            before = [getattr(comment, name) for name in fields]
            if erasure.contact_id is not None and comment.author_contact_id == erasure.contact_id:
                theirs.add(comment.pk)
                comment.body, comment.body_html, comment.author_name = TEXT, html, NAME
                comment.folded_text = comment.folded_html = ""
            else:
                comment.body = erasure.traces.clean(comment.body, parts=is_own)
                comment.body_html = erasure.traces.clean(comment.body_html, parts=is_own)
                for name in ("folded_text", "folded_html"):
                    kept = "" if took_part else erasure.traces.clean(getattr(comment, name))
                    setattr(comment, name, kept)
                comment.author_name = erasure.traces.without_address(comment.author_name)[:120]
            if before != [getattr(comment, name) for name in fields]:
                changed.append(comment)
        Comment.unscoped.bulk_update(changed, fields)
    return theirs


def _erase_files(erasure: Erasure, ticket: Ticket, theirs: set[UUID], *, is_own: bool) -> None:
    for attachment in Attachment.objects.for_workspace(erasure.workspace_id).filter(ticket=ticket).order_by("pk"):
        with_request = is_own and attachment.comment_id is None and not attachment.is_internal
        if attachment.comment_id in theirs or with_request:
            # The file first: whoever is killed in between finds the row again, and with it the file.
            attachment.file.delete(save=False)
            attachment.delete()
            continue
        name = erasure.traces.clean(attachment.name, parts=is_own)
        if name != attachment.name:
            Attachment.objects.for_workspace(erasure.workspace_id).filter(pk=attachment.pk).update(name=name[:160])


def _erase_activities(
    erasure: Erasure, ticket: Ticket, theirs: set[UUID], *, is_own: bool, kinds: Mapping[str, str]
) -> None:
    rows = Activity.objects.for_workspace(erasure.workspace_id).filter(ticket=ticket).order_by("pk")
    comments = {str(pk) for pk in theirs}
    for activities in _in_portions(rows):
        changed = []
        for activity in activities:
            before = (activity.changes, activity.payload, activity.actor_name)
            is_theirs = erasure.contact_id is not None and activity.actor_contact_id == erasure.contact_id
            data = dict(activity.payload.get("data") or {})
            words_go = data.get("comment_id") in comments
            activity.changes = [
                _clean_change(erasure.traces, change, is_own=is_own, words_go=words_go, kinds=kinds)
                for change in activity.changes
            ]
            if is_own and "subject" in data:
                data["subject"] = SUBJECT
            if is_theirs and data.get("feedback"):
                data["feedback"] = ""
            if "changes" in data:
                data["changes"] = activity.changes
            data = erasure.traces.clean_value(data, parts=is_own)
            activity.payload = {**activity.payload, "data": data}
            is_customer = activity.actor_kind == ActorKind.CUSTOMER.value
            if is_theirs or (
                # Whoever wrote the mail that opened the request is known by name only.
                is_own and is_customer and activity.actor_contact_id is None and activity.event == Event.CREATED.value
            ):
                activity.actor_name = NAME
            elif is_customer:
                activity.actor_name = erasure.traces.clean(activity.actor_name)[:120]
            if before != (activity.changes, activity.payload, activity.actor_name):
                changed.append(activity)
        Activity.unscoped.bulk_update(changed, ["changes", "payload", "actor_name"])


def _clean_change(
    of_text: Traces, change: Mapping[str, Any], *, is_own: bool, words_go: bool, kinds: Mapping[str, str]
) -> dict[str, Any]:
    """A change as the log keeps it: of what was said by the person, only that it was."""
    answers = "key" in change and kinds.get(change["key"]) not in _KEPT_ANSWERS
    if (is_own and (answers or ("key" not in change and change["field"] in _OWN_WORDS))) or words_go:
        shown = {"subject": SUBJECT, "requester_name": NAME}.get(change["field"], TEXT)
        gone = {side: None if change[side] is None else shown for side in ("from", "to")}
        return {**change, **gone}
    return {**change, **{side: of_text.clean_value(change[side], parts=is_own) for side in ("from", "to")}}


def _erase_chat(erasure: Erasure, ticket: Ticket, *, is_own: bool) -> None:
    chat = Chat.objects.for_workspace(erasure.workspace_id).filter(ticket=ticket).first()
    if chat is None:
        return
    if is_own:
        # The bot's id of the conversation leads to it in the bot's own books, and would add to this ticket.
        chat.conversation_id, chat.reason, chat.context = f"{traces.FILE}-{chat.pk.hex}", "", {}
        chat.lines_hash, chat.opened_by = "", traces.FILE
    else:
        chat.reason = erasure.traces.clean(chat.reason)[:200]
        chat.context = erasure.traces.clean_value(chat.context)
    chat.save(update_fields=["conversation_id", "reason", "context", "lines_hash", "opened_by"])


def _in_portions(rows: Any) -> Iterable[Sequence[Any]]:
    """The rows in the order of their ids, a bounded number at a time."""
    last: UUID | None = None
    while True:
        found = list((rows if last is None else rows.filter(pk__gt=last))[:AT_ONCE])
        if not found:
            return
        yield found
        last = found[-1].pk
