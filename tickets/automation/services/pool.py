"""Who gets a ticket: the least busy of the agents who are available, or the one whose turn it is."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from helpdesk.accounts.models import Team, User, Workspace
from helpdesk.accounts.roles import PERMISSIONS, Permission
from tickets import dispatch
from tickets.automation.levels import service_levels
from tickets.automation.models import Rule, Run, Waiting
from tickets.events import Actor, ActorKind
from tickets.lifecycle import ACTIVE, Status
from tickets.models import Activity, Ticket
from tickets.services import assignment

LEAST_BUSY, ROUND_ROBIN = "least_busy", "round_robin"
METHODS = (LEAST_BUSY, ROUND_ROBIN)
WORDS = {LEAST_BUSY: "the least busy", ROUND_ROBIN: "the next"}
SERVE_TASK = "tickets.automation.tasks.serve_waiting"
_IN_WORK = [status.value for status in ACTIVE]
_WORKERS = [role.value for role, permissions in PERMISSIONS.items() if Permission.WORK in permissions]

# Open tickets are counted, pending ones wait for the customer. Whoever was given nothing for longest breaks a tie:
# by the ids, which rise as rows are written; a worker that has waited for its turn has an older `now` than its row.
_CANDIDATES = """
SELECT m.user_id FROM accounts_membership m
JOIN accounts_user u ON u.id = m.user_id
CROSS JOIN LATERAL (
    SELECT count(*) AS open FROM tickets t
    WHERE t.workspace_id = m.workspace_id AND t.assignee_id = m.user_id AND t.status = 'open' AND t.trashed_at IS NULL
) busy
LEFT JOIN LATERAL (
    SELECT a.id AS last FROM ticket_assignments a
    WHERE a.workspace_id = m.workspace_id AND a.assignee_id = m.user_id ORDER BY a.id DESC LIMIT 1
) given ON true
WHERE m.workspace_id = %(workspace)s AND m.is_active AND m.is_available AND u.is_active AND m.role = ANY(%(workers)s)
AND m.user_id <> ALL(%(off_duty)s::uuid[]) AND (m.capacity IS NULL OR busy.open < m.capacity)
AND (%(team)s::uuid IS NULL OR EXISTS (
    SELECT FROM accounts_team_members x WHERE x.team_id = %(team)s AND x.membership_id = m.id))
ORDER BY {order} LIMIT 1
"""
_ORDERS = {
    LEAST_BUSY: "busy.open, given.last NULLS FIRST, m.created_at, m.id",
    ROUND_ROBIN: "given.last NULLS FIRST, m.created_at, m.id",
}


def take_turns(workspace_id: UUID) -> None:
    """One chooses at a time in a workspace, until the transaction ends: two would count the same tickets."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"pool of {workspace_id}"])


def choose(workspace_id: UUID, *, method: str, team_id: UUID | None, now: dt.datetime) -> UUID | None:
    """The user who gets the next ticket, of a team or of everybody; None when nobody is free.

    The caller has taken their turn (`take_turns`) in this transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _CANDIDATES.format(order=_ORDERS[method]),
            {
                "workspace": workspace_id,
                "team": team_id,
                "workers": _WORKERS,
                "off_duty": list(service_levels().off_duty(workspace_id, now)),
            },
        )
        row = cursor.fetchone()
    return row[0] if row else None


def give(
    ticket: Ticket,
    *,
    rule: Rule | None,
    run_id: UUID | None,
    method: str,
    team_id: UUID | None,
    actor: Actor,
    now: dt.datetime,
) -> UUID | None:
    """Give a (locked) ticket to whoever is chosen, or let it wait; gives the user, None when it waits.

    The run's log is completed when the waiting ends.

    It also waits, and is served after the commit, where the one who is free is awaited already.
    """
    take_turns(ticket.workspace_id)
    user_id = choose(ticket.workspace_id, method=method, team_id=team_id, now=now)
    is_awaited = user_id is not None and _awaiting(ticket, user_id).exists()
    if user_id is None or is_awaited:
        asked = {
            "workspace_id": ticket.workspace_id,
            "rule": rule,
            "run_id": run_id,
            "team_id": team_id,
            "method": method,
        }
        Waiting.unscoped.update_or_create(ticket=ticket, defaults=asked, create_defaults={**asked, "since": now})
        if is_awaited:
            dispatch.queue_after_commit(SERVE_TASK)  # what the broker loses, the next beat does
        return None
    assignment.assign(ticket=ticket, assignee_id=user_id, actor=actor, now=now)
    Waiting.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket).delete()
    return user_id


def _awaiting(ticket: Ticket, user_id: UUID) -> Any:
    """The other tickets that wait, still for good reason, and could be given to this user."""
    theirs = Team.objects.for_workspace(ticket.workspace_id).filter(members__user_id=user_id)
    rows = Waiting.objects.for_workspace(ticket.workspace_id).exclude(ticket=ticket)
    rows = rows.filter(Q(team=None) | Q(team__in=theirs.values("pk")))
    return rows.filter(ticket__assignee=None, ticket__trashed_at=None, ticket__status__in=_IN_WORK)


def serve(*, workspace: Workspace, now: dt.datetime, limit: int = 200) -> int:
    """Give waiting tickets to agents who have become free, oldest first; gives how many, `limit` at most.

    A ticket that somebody took meanwhile, or that is no longer in work, waits no more. Where nobody
    of a team is free, those who wait for it are passed over: others wait for another team.
    """
    served, busy = 0, set()
    for pk, team_id in list(_waiting(workspace.pk).values_list("ticket", "team")):
        if served >= limit or None in busy:  # nobody at all is free
            break
        if team_id in busy:
            continue
        with transaction.atomic():
            is_served = _serve(workspace, pk, now)
        served += is_served is True
        if is_served is False:
            busy.add(team_id)
    return served


def _serve(workspace: Workspace, ticket_id: UUID, now: dt.datetime) -> bool | None:
    """Give one waiting ticket; False when nobody is free for it, None when it waits no more.

    First the ticket, then the turn, as `give` does: who holds the turn never waits for a ticket.
    """
    ticket = Ticket.objects.for_workspace(workspace).select_for_update().filter(pk=ticket_id).first()
    take_turns(workspace.pk)
    row = _waiting(workspace.pk).select_related("rule", "team").filter(ticket_id=ticket_id).first()
    if ticket is None or row is None:
        return None
    if ticket.trashed_at or ticket.assignee_id or ticket.status not in _IN_WORK:
        row.delete()
        return None
    user_id = choose(workspace.pk, method=row.method, team_id=row.team_id, now=now)
    if user_id is None:
        return False
    actor = Actor(ActorKind.AUTOMATION, row.rule.name if row.rule else "Waiting list")
    assignment.assign(ticket=ticket, assignee_id=user_id, actor=actor, now=now)
    _complete_log(row, user_id, now)
    row.delete()
    return True


def _complete_log(row: Waiting, user_id: UUID, now: dt.datetime) -> None:
    """Say in the log of the run that made a ticket wait who got it, and when."""
    run = Run.objects.for_workspace(row.workspace_id).select_for_update().filter(pk=row.run_id).first()
    if run is None:
        return
    waited = max(round((now - row.since).total_seconds() / 60), 0)
    whom = f"of team {row.team}" if row.team else "of everybody"
    text = f"assigned to {User.objects.get(pk=user_id)}, {WORDS[row.method]} {whom}, after {waited:,} min of waiting"
    run.done = [*run.done, {"action": "assign", "text": text, "is_done": True}]
    run.save(update_fields=["done"])


def _waiting(workspace_id: UUID) -> Any:
    return Waiting.objects.for_workspace(workspace_id).order_by("since", "pk")


def workspaces_that_wait() -> list[Workspace]:
    """Every workspace in which a ticket waits for an agent."""
    return list(Workspace.objects.filter(pk__in=Waiting.unscoped.values("workspace_id")))


def is_freeing(activity: Activity) -> bool:
    """Whether this activity may have freed an agent for a ticket that waits."""
    return (
        any(
            change["field"] == "assignee" or (change["field"] == "status" and change["from"] == Status.OPEN.value)
            for change in activity.changes
            if "key" not in change
        )
        and _waiting(activity.workspace_id).exists()
    )
