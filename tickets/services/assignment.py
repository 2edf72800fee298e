"""Who works on a ticket."""

import datetime as dt
from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from helpdesk.accounts.models import Membership, Team, User
from helpdesk.accounts.roles import Permission
from helpdesk.errors import Conflict
from tickets import timeline
from tickets.events import SYSTEM, Actor, ActorKind, Event
from tickets.lifecycle import Status
from tickets.models import Assignment, Ticket
from tickets.services import base


def assign_locked(ticket: Ticket, assignee: User | None, *, actor: Actor, now: dt.datetime) -> bool:
    """Give a ticket that the caller has locked to an agent, or take it from its agent.

    Keeps the history and records the activity; False, and nothing is written, when nothing changes.
    """
    if ticket.assignee_id == (assignee.pk if assignee else None):
        return False
    before = ticket.assignee
    if before is not None:
        # Whoever asked first may get the lock last: a span never ends before it began.
        Assignment.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, ended_at=None).update(
            ended_at=Greatest(F("assigned_at"), now)
        )
    ticket.assignee = assignee
    fields = ["assignee"]
    if assignee:
        Assignment.unscoped.create(
            workspace_id=ticket.workspace_id,
            ticket=ticket,
            assignee=assignee,
            team_id=ticket.team_id,
            assigned_by_id=actor.user_id if actor.kind is ActorKind.AGENT else None,
            assigned_at=now,
        )
        if ticket.first_assigned_at is None:
            ticket.first_assigned_at = now
            fields.append("first_assigned_at")
    base.save(ticket, *fields, now=now)
    timeline.record(
        ticket=ticket,
        event=Event.ASSIGNED if assignee else Event.UNASSIGNED,
        actor=actor,
        now=now,
        changes=[timeline.changed("assignee", str(before) if before else None, str(assignee) if assignee else None)],
        data={"assignee_id": str(assignee.pk) if assignee else None},
    )
    return True


def release_departed_locked(ticket: Ticket, *, actor: Actor, now: dt.datetime) -> bool:
    """Take a ticket that comes back into work from an agent who left while it was finished or in the trash.

    Otherwise nobody would see it: neither they nor whoever looks at what is unassigned. `actor` is
    who brought it back; False when its agent still works here, or it has none.
    """
    if ticket.assignee_id is None:
        return False
    member: Membership | None = (
        Membership.objects.for_workspace(ticket.workspace_id)
        .filter(user_id=ticket.assignee_id, user__is_active=True)
        .first()
    )
    if member is not None and member.may(Permission.WORK):
        return False
    return assign_locked(ticket, None, actor=replace(SYSTEM, is_replay=actor.is_replay), now=now)


def set_team_locked(ticket: Ticket, team: Team | None, *, actor: Actor, now: dt.datetime) -> bool:
    """Give a ticket that the caller has locked to a team; False when nothing changes."""
    if ticket.team_id == (team.pk if team else None):
        return False
    before = ticket.team
    ticket.team = team
    base.save(ticket, "team", now=now)
    timeline.record(
        ticket=ticket,
        event=Event.UPDATED,
        actor=actor,
        now=now,
        changes=[timeline.changed("team", str(before) if before else None, str(team) if team else None)],
    )
    return True


@transaction.atomic
def assign(
    *, ticket: Ticket, assignee_id: UUID, actor: Actor, now: dt.datetime, expected_version: int | None = None
) -> Ticket:
    """Give a ticket to an agent. Doing it twice changes nothing.

    Raises NotFound when the agent is not of the workspace, InvalidInput when they may not be
    given tickets, Conflict for a closed ticket, LostUpdate.
    """
    member = base.find_assignee(ticket.workspace_id, assignee_id)
    fresh = base.lock(ticket, expected_version=expected_version)
    if fresh.status == Status.CLOSED.value and fresh.assignee_id != member.user_id:
        raise Conflict("The ticket is closed. Reopen it to assign it.", code="closed")
    assign_locked(fresh, member.user, actor=actor, now=now)
    return fresh


@transaction.atomic
def unassign(*, ticket: Ticket, actor: Actor, now: dt.datetime, expected_version: int | None = None) -> Ticket:
    """Take a ticket from its agent. Doing it twice changes nothing. Raises Conflict for a closed ticket."""
    fresh = base.lock(ticket, expected_version=expected_version)
    if fresh.status == Status.CLOSED.value and fresh.assignee_id:
        raise Conflict("The ticket is closed. Reopen it to change its assignee.", code="closed")
    assign_locked(fresh, None, actor=actor, now=now)
    return fresh


def release_member(*, membership: Membership, actor: Actor, now: dt.datetime) -> int:
    """Unassign the tickets in work of a member who left; finished ones keep their agent.

    Gives how many tickets became unassigned. Called in the transaction of the deactivation.
    """
    released = 0
    theirs = Ticket.objects.for_workspace(membership.workspace_id).active().filter(assignee_id=membership.user_id)
    with transaction.atomic():
        for ticket in theirs.select_for_update().order_by("pk"):
            released += assign_locked(ticket, None, actor=actor, now=now)
    return released
