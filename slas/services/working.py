"""The hours of agents: while those are closed, rules and the pool give them no tickets."""

import datetime as dt
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import transaction
from django.db.models import Q

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.roles import PERMISSIONS, Permission
from helpdesk.errors import InvalidInput, NotFound
from slas.models import BusinessHours, WorkingHours
from slas.services import rules

_WORKERS = [role.value for role, permissions in PERMISSIONS.items() if Permission.WORK in permissions]
MOST = 1000  # agents who are named at once


def agents(workspace_id: UUID, hours: BusinessHours | None = None) -> list[Membership]:
    """Everybody who can be given tickets, and who works these hours already, by name; `hours_of` says theirs."""
    rows = Membership.objects.for_workspace(workspace_id).select_related("user", "working_hours__business_hours")
    who = Q(is_active=True, user__is_active=True, role__in=_WORKERS)
    if hours is not None and not hours._state.adding:
        who |= Q(working_hours__business_hours=hours)
    return list(rows.filter(who).order_by("user__name", "user__email", "pk"))


def can_be_given(member: Membership) -> bool:
    """Whether tickets can be given to somebody whom `agents` gave."""
    return member.user.is_active and member.may(Permission.WORK)


def hours_of(member: Membership) -> BusinessHours | None:
    """The working hours of somebody whom `agents` gave; None: they have none, and work whenever they are available."""
    found: Any = getattr(member, "working_hours", None)
    return found.business_hours if found else None


def agents_of(hours: BusinessHours) -> list[UUID]:
    """The ids of the users who work these hours, those who cannot be given tickets now included."""
    rows = WorkingHours.objects.for_workspace(hours.workspace_id).filter(business_hours=hours)
    return list(rows.order_by("membership__user_id").values_list("membership__user_id", flat=True))


@transaction.atomic
def set_agents(*, hours: BusinessHours, user_ids: Collection[UUID], now: dt.datetime) -> None:
    """Say which agents work these hours, all of them; who worked other hours works these from now on.

    An agent of none works whenever they are available. One who was set before and can no longer be
    given tickets may stay. Raises InvalidInput naming user_ids, NotFound for hours that are gone.
    """
    Workspace.objects.select_for_update().get(pk=hours.workspace_id)  # as those do who delete hours
    if not BusinessHours.objects.for_workspace(hours.workspace_id).live().filter(pk=hours.pk).exists():
        raise NotFound("There are no such business hours.", errors={"id": ["There are no such business hours."]})
    wanted = set(user_ids)
    if len(wanted) > MOST:
        raise InvalidInput.of("user_ids", f"Name up to {MOST:,} agents.")
    theirs = WorkingHours.objects.for_workspace(hours.workspace_id)
    before = dict(theirs.filter(business_hours=hours).values_list("membership__user_id", "membership_id"))
    known = {member.user_id: member.pk for member in agents(hours.workspace_id, hours)}
    if not wanted <= known.keys():
        raise InvalidInput.of("user_ids", "Some of these are not members who can be given tickets.")
    coming = [known[pk] for pk in wanted - before.keys()]
    going = [before[pk] for pk in before.keys() - wanted]
    theirs.filter(membership__in=[*coming, *going]).delete()
    WorkingHours.unscoped.bulk_create(
        WorkingHours(workspace_id=hours.workspace_id, membership_id=pk, business_hours=hours, created_at=now)
        for pk in coming
    )


def off_duty(workspace_id: UUID, now: dt.datetime) -> frozenset[UUID]:
    """The users whose own hours are closed at `now`. One query, a row for each calendar that somebody works by."""
    rows = BusinessHours.objects.for_workspace(workspace_id).filter(workers__isnull=False)
    worked = rows.annotate(user_ids=ArrayAgg("workers__membership__user_id"))
    return frozenset(
        user_id for hours in worked if not rules.calendar_of(hours).is_open(now) for user_id in hours.user_ids
    )
