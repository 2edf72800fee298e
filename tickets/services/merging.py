"""Duplicates become one ticket, and can be told apart again; comments become tickets; tickets are linked."""

import datetime as dt
from uuid import UUID

from django.db import transaction

from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets import search, timeline
from tickets.events import Actor, Event
from tickets.lifecycle import Status
from tickets.models import Attachment, Comment, Merge, Participant, Ticket, TicketLink, Watcher
from tickets.services import assignment, base, opening


def _lock_both(one: Ticket, other: Ticket) -> tuple[Ticket, Ticket]:
    """Both rows, locked in the order of their ids, so that two merges cannot wait for each other."""
    locked = {t.pk: base.lock(t, merged=True) for t in sorted((one, other), key=lambda t: t.pk)}
    return locked[one.pk], locked[other.pk]


@transaction.atomic
def merge(*, source: Ticket, target_id: UUID, actor: Actor, now: dt.datetime) -> Ticket:
    """Merge `source` into the ticket `target_id`, and give the target.

    Comments, files, watchers and participants move; the source's requester becomes a participant
    of the target. The source is closed and points to the target. The ledger keeps what moved.

    Raises NotFound, InvalidInput for a merge into itself, Conflict when either is merged already.
    """
    if target_id == source.pk:
        raise InvalidInput.of("target_id", "A ticket cannot be merged into itself.")
    source, target = _lock_both(source, base.find_ticket(source.workspace_id, target_id, "target_id"))
    if source.merged_into_id:
        raise Conflict(f"#{source.number} is merged already.", code="merged")
    if target.merged_into_id:
        message = f"#{target.number} is merged into another ticket; merge into that one."
        raise Conflict(message, code="merged", errors={"target_id": [message]})

    comments = Comment.objects.for_workspace(source.workspace_id).filter(ticket=source)
    files = Attachment.objects.for_workspace(source.workspace_id).filter(ticket=source)
    watchers = Watcher.objects.for_workspace(source.workspace_id).filter(ticket=source)
    people = Participant.objects.for_workspace(source.workspace_id).filter(ticket=source)
    moved: dict[str, list[str]] = {
        "comments": [str(pk) for pk in comments.values_list("pk", flat=True)],
        "attachments": [str(pk) for pk in files.exclude(comment=None).values_list("pk", flat=True)],
        "watchers": [],
        "participants": [],
    }
    comments.update(ticket=target)
    files.exclude(comment=None).update(ticket=target)
    watching = set(target.watchers.values_list("user_id", flat=True))
    for watcher in watchers.exclude(user_id__in=watching):
        new_watch = Watcher.unscoped.create(
            workspace_id=target.workspace_id, ticket=target, user_id=watcher.user_id, created_at=now
        )
        moved["watchers"].append(str(new_watch.pk))
    taking_part = {target.requester_id, *target.participants.values_list("contact_id", flat=True)}
    for contact_id in dict.fromkeys([source.requester_id, *people.values_list("contact_id", flat=True)]):
        if contact_id not in taking_part:
            participant = Participant.unscoped.create(
                workspace_id=target.workspace_id, ticket=target, contact_id=contact_id, created_at=now
            )
            moved["participants"].append(str(participant.pk))

    Merge.unscoped.create(
        workspace_id=source.workspace_id,
        source=source,
        target=target,
        merged_at=now,
        merged_by_id=actor.user_id,
        source_before={
            "status": source.status,
            "closed_at": source.closed_at.isoformat() if source.closed_at else None,
        },
        moved=moved,
    )
    before = source.status
    source.merged_into, source.status, source.closed_at = target, Status.CLOSED.value, now
    base.save(source, "merged_into", "status", "closed_at", now=now)
    if target.last_message_at and source.last_message_at:
        target.last_message_at = max(target.last_message_at, source.last_message_at)
    base.save(target, "last_message_at", now=now)
    for ticket in (source, target):
        search.index(ticket.pk)
    _record_both(Event.MERGED, source, target, before=before, actor=actor, now=now)
    return target


@transaction.atomic
def unmerge(*, source: Ticket, actor: Actor, now: dt.datetime) -> Ticket:
    """Undo the merge of `source`, and give it: what moved comes back, what came later stays.

    Raises Conflict when the ticket is not merged.
    """
    asked = [source.pk, *(merge.target_id for merge in merges_from(source))]
    # In the order of their ids, as a merge locks them; also one in the trash gives back what is not its own.
    rows = Ticket.objects.for_workspace(source.workspace_id).select_for_update().filter(pk__in=asked).order_by("pk")
    locked: dict[UUID, Ticket] = {ticket.pk: ticket for ticket in rows}
    if source.pk not in locked or locked[source.pk].trashed_at is not None:
        raise NotFound("There is no such ticket.")
    standing = merges_from(source)  # again: as it is now that nobody can change it
    if not standing:
        raise Conflict(f"#{source.number} is not merged.", code="not_merged")
    if not locked.keys() >= {merge.target_id for merge in standing}:
        raise Conflict("It was merged on just now. Please try again.", code="busy")
    ledger, *later = standing
    source, target = locked[source.pk], locked[ledger.target_id]
    # What moved on with a later merge of the target is brought back from there as well. What is not
    # there any more was taken apart already, and belongs to the ticket that it was written on.
    chain = _take_out_people(ledger)
    Comment.objects.for_workspace(source.workspace_id).filter(
        pk__in=ledger.moved["comments"], ticket_id__in=chain
    ).update(ticket=source)
    Attachment.objects.for_workspace(source.workspace_id).filter(
        pk__in=ledger.moved["attachments"], ticket_id__in=chain
    ).update(ticket=source)
    for merge in later:
        # Undone in its turn, it must not take these with it from wherever they are then.
        for kind in ("comments", "attachments"):
            merge.moved[kind] = [pk for pk in merge.moved[kind] if pk not in ledger.moved[kind]]
        merge.save(update_fields=["moved"])
    ledger.undone_at, ledger.undone_by_id = now, actor.user_id
    ledger.save(update_fields=["undone_at", "undone_by"])
    source.merged_into = None
    source.status = ledger.source_before["status"]
    closed_at = ledger.source_before["closed_at"]
    source.closed_at = dt.datetime.fromisoformat(closed_at) if closed_at else None
    base.save(source, "merged_into", "status", "closed_at", now=now)
    for pk in chain:
        base.save(locked[pk], now=now)
    for pk in (source.pk, *chain):
        search.index(pk)
    _record_both(Event.UNMERGED, source, target, before=Status.CLOSED.value, actor=actor, now=now)
    if source.status in (Status.OPEN.value, Status.PENDING.value):
        assignment.release_departed_locked(source, actor=actor, now=now)
    return source


def merges_from(source: Ticket) -> list[Merge]:
    """The merges that stand from this ticket to the end of the chain."""
    found: list[Merge] = []
    pk: UUID | None = source.pk
    while pk is not None:
        step = Merge.objects.for_workspace(source.workspace_id).filter(source_id=pk, undone_at=None).first()
        found += [step] if step else []
        pk = step.target_id if step else None
    return found


def _take_out_people(ledger: Merge) -> list[UUID]:
    """Delete the watchers and participants that a merge brought, as far as later merges carried them.

    Gives the ids of the tickets from its target to the end of the chain.
    """
    watchers = Watcher.objects.for_workspace(ledger.workspace_id)
    people = Participant.objects.for_workspace(ledger.workspace_id)
    users = list(watchers.filter(pk__in=ledger.moved["watchers"]).values_list("user_id", flat=True))
    contacts = list(people.filter(pk__in=ledger.moved["participants"]).values_list("contact_id", flat=True))
    chain: list[UUID] = []
    step: Merge | None = ledger
    while step is not None:
        watchers.filter(pk__in=step.moved["watchers"], user_id__in=users).delete()
        people.filter(pk__in=step.moved["participants"], contact_id__in=contacts).delete()
        chain.append(step.target_id)
        step = Merge.objects.for_workspace(ledger.workspace_id).filter(source_id=step.target_id, undone_at=None).first()
    return chain


def _record_both(event: Event, source: Ticket, target: Ticket, *, before: str, actor: Actor, now: dt.datetime) -> None:
    """Both tickets log it; the source also from which status to which it went (`before` is the first)."""
    pair = {
        "source_id": str(source.pk),
        "source_number": f"#{source.number}",
        "target_id": str(target.pk),
        "target_number": f"#{target.number}",
    }
    moved = [timeline.changed("status", before, source.status)] if before != source.status else []
    timeline.record(ticket=source, event=event, actor=actor, now=now, changes=moved, data=pair)
    timeline.record(ticket=target, event=event, actor=actor, now=now, data=pair)


@transaction.atomic
def split(*, comment: Comment, subject: str, actor: Actor, now: dt.datetime) -> Ticket:
    """Make a comment the beginning of a ticket of its own, linked to where it was said; gives the new one.

    The comment stays where it is, the new ticket begins with its words. Raises InvalidInput, also
    for a note: its words would be shown to the customer.
    """
    ticket = base.lock(comment.ticket)
    if comment.is_internal:
        raise InvalidInput.of("comment_id", "A note is for agents only: it cannot begin a ticket.")
    contact = comment.author_contact or ticket.requester
    new = opening.open_ticket(
        workspace=ticket.workspace,
        subject=subject,
        description=comment.body,
        requester_email=contact.email,
        requester_name=contact.name,
        priority=ticket.priority,
        category_id=ticket.category_id if ticket.category and ticket.category.archived_at is None else None,
        channel=ticket.channel,
        actor=actor,
        now=now,
    )
    link(ticket=ticket, other_id=new.pk, kind="related", actor=actor, now=now)
    timeline.record(
        ticket=ticket,
        event=Event.SPLIT,
        actor=actor,
        now=now,
        data={"comment_id": str(comment.pk), "other_id": str(new.pk), "other_number": f"#{new.number}"},
    )
    return new


@transaction.atomic
def link(*, ticket: Ticket, other_id: UUID, kind: str, actor: Actor, now: dt.datetime) -> TicketLink:
    """Relate two tickets: `related`, `parent` (of the other) or `follow_up` (the other continues this).

    Raises NotFound, InvalidInput for an unknown kind or a ticket and itself.
    """
    kind = base.choice("kind", kind, ["related", "parent", "follow_up"])
    if other_id == ticket.pk:
        raise InvalidInput.of("other_id", "A ticket cannot be linked to itself.")
    other = base.find_ticket(ticket.workspace_id, other_id, "other_id")
    made, created = TicketLink.unscoped.get_or_create(
        ticket=ticket, other=other, kind=kind, defaults={"workspace_id": ticket.workspace_id, "created_at": now}
    )
    if created:
        timeline.record(
            ticket=ticket,
            event=Event.LINKED,
            actor=actor,
            now=now,
            data={"kind": kind, "other_id": str(other.pk), "other_number": f"#{other.number}"},
        )
    return made
