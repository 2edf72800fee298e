"""When something has happened to a ticket: which rules match, and what they do.

All of it is one transaction with a row per rule and activity, so a task that is delivered again, or
whose worker was killed in the middle, does each thing exactly once.
"""

import datetime as dt
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Count, Q

from helpdesk.errors import DomainError, NotFound
from tickets.automation import conditions
from tickets.automation.conditions import ConditionError, Facts, Group, Reason
from tickets.automation.models import Rule, Run
from tickets.automation.services import actions, pool
from tickets.automation.services.actions import Doing
from tickets.automation.services.facts import facts_of, triggers_of
from tickets.events import Actor, ActorKind, Cause
from tickets.models import Activity, Ticket
from tickets.services import base

DEEPEST = 10  # rules that follow from each other, and runs of one rule that all follow from one event

# Rules in their order, each with its conditions, or with why they cannot be read.
Asking = list[tuple[Rule, Group | ConditionError]]


def hear(*, activity_id: UUID, now: dt.datetime) -> int:
    """What has to be done because of an activity: apply the rules, then give what waits to whom that made free."""
    activity = _find(activity_id)
    if activity is None:
        return 0
    matched = _apply(activity, now)
    if pool.is_freeing(activity):
        pool.serve(workspace=activity.workspace, now=now)
    return matched


def apply(*, activity_id: UUID, now: dt.datetime) -> int:
    """Ask every rule of the workspace about an activity, and do what those that match say; gives how many matched.

    An activity that a rule matched is done with: asking again changes nothing, also where the ticket has
    changed since. A ticket that was merged or thrown away meanwhile is left alone.
    """
    activity = _find(activity_id)
    return _apply(activity, now) if activity else 0


def _find(activity_id: UUID) -> Activity | None:
    """The activity, its ticket and whose it is, as they are now."""
    return Activity.unscoped.select_related("ticket__requester__organization").filter(pk=activity_id).first()


def _apply(activity: Activity, now: dt.datetime) -> int:
    pulled = triggers_of(activity)
    if not pulled:
        return 0
    known = Rule.objects.for_workspace(activity.workspace_id).filter(is_active=True, archived_at=None)
    known = known.filter(triggers__overlap=pulled).order_by("position", "created_at", "pk")
    asking = [(rule, _group_or_error(rule)) for rule in known]
    # Most events match no rule at all. That can be seen without the ticket's lock; to act takes it.
    if not asking or not _may_match(asking, activity, now):
        return 0
    with transaction.atomic():
        try:
            ticket = base.lock(activity.ticket)
        except DomainError:
            return 0
        if Run.objects.for_workspace(activity.workspace_id).filter(activity=activity).exists():
            # Delivered before. Not even the rules that did not match then: one may have stopped before them.
            return 0
        return _ask(asking, ticket, activity, pulled, now)


def _may_match(asking: Asking, activity: Activity, now: dt.datetime) -> bool:
    """Whether any rule matches the ticket as it was read, or cannot be read itself."""
    facts = facts_of(activity.ticket, activity, now, asked=_fields(asking))
    return any(isinstance(group, ConditionError) or group.is_met(facts) for _, group in asking)


def _ask(asking: Asking, ticket: Ticket, activity: Activity, pulled: list[str], now: dt.datetime) -> int:
    matched, fields = 0, _fields(asking)
    facts: Facts | None = facts_of(ticket, activity, now, asked=fields)
    root_id, ran = _chain(activity)
    for rule, group in asking:
        if ran.get(rule.pk, 0) > DEEPEST:
            continue  # stopped, and said so
        if isinstance(group, ConditionError):  # written for another version: the other rules go on
            _switch_off(rule, f"Its conditions cannot be read. {group}", now)
            continue
        if facts is None:  # this rule sees what the one before it did
            ticket = base.lock(ticket)
            facts = facts_of(ticket, activity, now, asked=fields)
        if not group.is_met(facts):
            continue
        matched += 1
        why = group.why(facts)
        stopped = _stopped(activity, ran.get(rule.pk, 0))
        done = [{"action": "", "text": stopped, "is_done": False}] if stopped else _do(rule, ticket, activity, now)
        Run.unscoped.create(
            workspace_id=ticket.workspace_id,
            rule=rule,
            ticket=ticket,
            activity=activity,
            root_id=root_id,
            trigger=next(word for word in pulled if word in rule.triggers),
            reasons=list(met(why)),
            done=done,
            ran_at=now,
        )
        if rule.stops:
            break
        facts = None
    return matched


def _fields(asking: Asking) -> frozenset[str]:
    """What these rules ask about, so that nothing else is looked up."""
    return frozenset().union(*(group.fields for _, group in asking if isinstance(group, Group)))


def _group_or_error(rule: Rule) -> Group | ConditionError:
    try:
        return group_of(rule)
    except ConditionError as error:
        return error


def group_of(rule: Rule) -> Group:
    """The conditions of a rule. Raises ConditionError where they cannot be read."""
    return _read(orjson.dumps(rule.conditions))


@lru_cache(maxsize=4096)
def _read(document: bytes) -> Group:
    """Conditions as they are kept, read once per process."""
    return conditions.read(orjson.loads(document))


def _chain(activity: Activity) -> tuple[UUID | None, dict[UUID, int]]:
    """The activity that this one followed from through other rules, if any, and how often each has run since.

    Their depth alone does not end a loop: where each event makes two rules run, ten steps are a
    thousand runs.
    """
    if activity.cause_id is None:
        return None, {}
    runs = Run.objects.for_workspace(activity.workspace_id).filter(ticket=activity.ticket_id)
    root_id = runs.filter(activity=activity.cause_id).values_list("root_id", flat=True).first() or activity.cause_id
    since = runs.filter(Q(activity=root_id) | Q(root_id=root_id))
    return root_id, dict(since.values_list("rule").annotate(Count("pk")))


def _stopped(activity: Activity, times: int) -> str:
    """Why a rule that matched does nothing, in words; empty when it may."""
    if activity.depth >= DEEPEST:
        return f"Stopped: {DEEPEST} rules have followed from each other. Do two of them undo each other?"
    if times >= DEEPEST:
        return f"Stopped: it has run {DEEPEST} times because of one event. Do two rules undo each other?"
    return ""


def _do(rule: Rule, ticket: Ticket, activity: Activity, now: dt.datetime) -> list[dict[str, Any]]:
    actor = Actor(ActorKind.AUTOMATION, rule.name, cause=Cause(activity.pk, activity.depth))
    doing = Doing(actor, now, rule)
    return [_perform(action, ticket, rule, doing) for action in rule.actions]


def _perform(action: dict[str, Any], ticket: Ticket, rule: Rule, doing: Doing) -> dict[str, Any]:
    """Do an action, or say why not; one that fails does not keep the others from being done."""
    try:
        with transaction.atomic():
            text = actions.perform(action, base.lock(ticket), doing)
    except NotFound as error:
        _switch_off(rule, f"{error.detail} ({action['do'].replace('_', ' ')})", doing.now)
        return {"action": action["do"], "text": error.detail, "is_done": False}
    except DomainError as error:
        return {"action": action["do"], "text": error.detail, "is_done": False}
    return {"action": action["do"], "text": text, "is_done": True}


def _switch_off(rule: Rule, why: str, now: dt.datetime) -> None:
    """A rule that names what is gone would fail with every ticket: it is switched off, and says so.

    Unless somebody has changed it since it was read, and perhaps mended it.
    """
    read = Rule.objects.for_workspace(rule.workspace_id).filter(pk=rule.pk, is_active=True)
    read.filter(updated_at=rule.updated_at).update(is_active=False, notice=f"Switched off: {why}", updated_at=now)


def met(reason: Reason) -> list[str]:
    """The tests that were met, in words."""
    if not reason.parts:
        return [reason.text] if reason.is_met and reason.text not in ("all", "any") else []
    return [text for part in reason.parts for text in met(part)]
