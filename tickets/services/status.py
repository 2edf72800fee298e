"""Moves between statuses. No other module writes `status` (a merge closes through here, too)."""

import datetime as dt

from django.db import transaction

from helpdesk.errors import Conflict
from tickets import timeline
from tickets.events import SYSTEM, Actor, Event
from tickets.lifecycle import IllegalMove, Move, Status, move
from tickets.models import Ticket
from tickets.services import assignment, base

_EVENTS = {Status.RESOLVED: Event.RESOLVED, Status.CLOSED: Event.CLOSED}


def move_locked(ticket: Ticket, to: str, *, actor: Actor, now: dt.datetime) -> Move:
    """Move a ticket that the caller has locked, and record it. Raises Conflict for an illegal move."""
    try:
        step = move(ticket.status, to)
    except IllegalMove as error:
        raise Conflict(str(error), code="illegal_move", errors={"status": [str(error)]}) from None
    ticket.status = step.after.value
    fields = ["status"]
    if step.after is Status.RESOLVED:
        ticket.resolved_at = now
        fields.append("resolved_at")
    elif step.after is Status.CLOSED:
        ticket.closed_at = now
        fields.append("closed_at")
    elif step.is_reopen:
        ticket.resolved_at = ticket.closed_at = None
        fields += ["resolved_at", "closed_at"]
    base.save(ticket, *fields, now=now)
    timeline.record(
        ticket=ticket,
        event=Event.REOPENED if step.is_reopen else _EVENTS.get(step.after, Event.UPDATED),
        actor=actor,
        now=now,
        changes=[timeline.changed("status", step.before.value, step.after.value)],
    )
    if step.is_reopen:
        assignment.release_departed_locked(ticket, actor=actor, now=now)
    return step


@transaction.atomic
def change_status(
    *, ticket: Ticket, to: str, actor: Actor, now: dt.datetime, expected_version: int | None = None
) -> Ticket:
    """Move a ticket to another status.

    Raises InvalidInput for a word that is no status, Conflict when the lifecycle has no such move,
    LostUpdate when the ticket is not at `expected_version`.
    """
    to = base.choice("status", to, [status.value for status in Status])
    fresh = base.lock(ticket, expected_version=expected_version)
    move_locked(fresh, to, actor=actor, now=now)
    return fresh


@transaction.atomic
def reopen(*, ticket: Ticket, actor: Actor, now: dt.datetime, expected_version: int | None = None) -> Ticket:
    """Bring a finished ticket back to the agents.

    Raises Conflict for one that is not resolved or closed (a pending one is opened, not reopened),
    LostUpdate when the ticket is not at `expected_version`.
    """
    fresh = base.lock(ticket, expected_version=expected_version)
    if fresh.status not in (Status.RESOLVED.value, Status.CLOSED.value):
        message = f"A ticket that is {fresh.status} cannot be reopened."
        raise Conflict(message, code="illegal_move", errors={"status": [message]})
    move_locked(fresh, Status.OPEN.value, actor=actor, now=now)
    return fresh


@transaction.atomic
def resolve_and_close(*, ticket: Ticket, actor: Actor, now: dt.datetime) -> Ticket:
    """Finish a ticket in one action made of two moves. Raises Conflict as `change_status`."""
    fresh = base.lock(ticket)
    if fresh.status != Status.RESOLVED.value:
        move_locked(fresh, Status.RESOLVED.value, actor=actor, now=now)
    move_locked(fresh, Status.CLOSED.value, actor=actor, now=now)
    return fresh


def close_resolved(*, now: dt.datetime, limit: int = 500) -> int:
    """Close the tickets that were resolved longer ago than their workspace waits; gives how many.

    Each ticket is closed in its own transaction; one that is locked or was moved meanwhile is
    passed over.
    """
    from helpdesk.accounts.models import Workspace

    closed = 0
    for workspace in Workspace.objects.filter(auto_close_days__gt=0):
        moment = now - dt.timedelta(days=workspace.auto_close_days)
        due = Ticket.objects.for_workspace(workspace).resolved_before(moment).filter(merged_into=None)
        for pk in list(due.order_by("resolved_at").values_list("pk", flat=True)[:limit]):
            with transaction.atomic():
                ticket = due.select_for_update(skip_locked=True).filter(pk=pk).first()
                if ticket is not None:
                    move_locked(ticket, Status.CLOSED.value, actor=SYSTEM, now=now)
                    closed += 1
    return closed
