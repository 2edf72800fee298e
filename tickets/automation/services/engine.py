"""When something has happened to a ticket, or a time has come: which rules match, and what they do.

All of it is one transaction with a row per rule and activity, so a task that is delivered again, or
whose worker was killed in the middle, does each thing exactly once.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Count, Q

from helpdesk.accounts.models import new_id
from helpdesk.errors import DomainError, NotFound
from tickets.automation.conditions import ConditionError, Facts, Group, Reason
from tickets.automation.models import TIMED, Due, Rule, Run
from tickets.automation.services import actions, pool, timed
from tickets.automation.services.actions import Doing
from tickets.automation.services.book import Asking, Book, book_of, open_book
from tickets.automation.services.facts import customer_messages_in_a_row, facts_of, triggers_of
from tickets.events import Actor, ActorKind, Cause
from tickets.models import Activity, Ticket
from tickets.services import base

logger = logging.getLogger(__name__)

DEEPEST = 10  # rules that follow from each other, and runs of one rule that all follow from one event
LATER = dt.timedelta(minutes=10)  # when a time that could not be dealt with is tried again

_FIND = """
SELECT a.*, b.version AS book_version FROM ticket_activities a
LEFT JOIN automation_rule_books b ON b.workspace_id = a.workspace_id WHERE a.id = %s
"""


def hear(*, activity_id: UUID, now: dt.datetime) -> int:
    """What has to be done because of an activity; gives how many rules matched.

    The rules are applied, then the times reckoned that rules wait for, then what waits is given to
    whom the activity made free.
    """
    activity, book = _find(activity_id)
    if activity is None:
        return 0
    matched = _apply(activity, book, now)
    if book.timed:
        timed.follow(workspace_id=activity.workspace_id, ticket_id=activity.ticket_id)
    if pool.is_freeing(activity):
        pool.serve(workspace=activity.workspace, now=now)
    return matched


def apply(*, activity_id: UUID, now: dt.datetime) -> int:
    """Ask every rule of the workspace about an activity, and do what those that match say; gives how many matched.

    An activity that a rule matched is done with: asking again changes nothing, also where the ticket has
    changed since. A ticket that was merged or thrown away meanwhile is left alone.
    """
    activity, book = _find(activity_id)
    return _apply(activity, book, now) if activity else 0


def _find(activity_id: UUID) -> tuple[Activity | None, Book]:
    """The activity, and the rule book of its workspace as it is now, in one query where the book is known."""
    for activity in Activity.unscoped.raw(_FIND, [activity_id]):
        return activity, book_of(activity.workspace_id, activity.book_version)  # type: ignore[attr-defined]
    return None, book_of(activity_id, None)


@dataclass
class _Event:
    """An activity that rules are asked about."""

    activity: Activity
    pulled: list[str]
    asking: Asking
    now: dt.datetime

    def __post_init__(self) -> None:
        groups = [group for _, group in self.asking if isinstance(group, Group)]
        self.fields: frozenset[str] = frozenset().union(*(group.fields for group in groups))

    def facts(self) -> Facts:
        """The facts of the ticket now, as far as any of the rules asks."""
        return facts_of(self.activity, self.now, asked=self.fields)


def _apply(activity: Activity, book: Book, now: dt.datetime) -> int:
    pulled = triggers_of(activity)
    asking = _pulled_by(activity, pulled, book)
    # Most events match no rule at all. That can be seen without the ticket's lock; to act takes it.
    event = _Event(activity, pulled, asking, now)
    if not asking or not _may_match(event):
        return 0
    with transaction.atomic():
        try:
            ticket = base.lock(activity.ticket)
        except DomainError:
            return 0
        if (
            Run.objects.for_workspace(activity.workspace_id)
            .filter(activity=activity)
            .exclude(trigger__in=TIMED)
            .exists()
        ):
            # Delivered before. Not even the rules that did not match then: one may have stopped before them.
            return 0
        return _ask(event, ticket)


def _pulled_by(activity: Activity, pulled: list[str], book: Book) -> Asking:
    """The rules that these triggers pull. How many messages came in a row is counted where a rule wants to know."""
    asking = book.pulled_by(pulled)
    if not any("customer_messages" in pulled and rule.message_count for rule, _ in asking):
        return asking
    count = customer_messages_in_a_row(activity)
    others = set(pulled) - {"customer_messages"}
    return [
        (rule, group) for rule, group in asking if rule.message_count == count or not others.isdisjoint(rule.triggers)
    ]


def _may_match(event: _Event) -> bool:
    """Whether any rule matches the ticket as it is read, or cannot be read itself."""
    facts = event.facts()
    return any(isinstance(group, ConditionError) or group.is_met(facts) for _, group in event.asking)


def _ask(event: _Event, ticket: Ticket) -> int:
    """Ask the rules about a ticket that is locked, each after what the one before it did."""
    matched = 0
    facts: Facts | None = None
    root_id, ran = _chain(event.activity)
    for rule, group in event.asking:
        if ran.get(rule.pk, 0) > DEEPEST:
            continue  # stopped, and said so
        if isinstance(group, ConditionError):  # written for another version: the other rules go on
            _switch_off(rule, f"Its conditions cannot be read. {group}", event.now)
            continue
        facts = facts or event.facts()
        if not group.is_met(facts):
            continue
        matched += 1
        trigger = next(word for word in event.pulled if word in rule.triggers)
        stopped = _stopped(event.activity, ran.get(rule.pk, 0))
        _run(rule, group.why(facts), ticket, event, trigger, root_id=root_id, stopped=stopped)
        if rule.stops:
            break
        facts = None  # the next rule sees what this one did
    return matched


def _run(
    rule: Rule, why: Reason, ticket: Ticket, event: _Event, trigger: str, *, root_id: UUID | None, stopped: str
) -> None:
    """Do what a rule says, and write down why."""
    activity, now, run_id = event.activity, event.now, new_id()
    done = [{"action": "", "text": stopped, "is_done": False}]
    if not stopped:
        actor = Actor(ActorKind.AUTOMATION, rule.name, cause=Cause(activity.pk, activity.depth))
        doing = Doing(actor, now, rule=rule, run_id=run_id, trigger=trigger)
        done = [_perform(action, ticket, rule, doing) for action in rule.actions]
    Run.unscoped.create(
        pk=run_id,
        workspace_id=ticket.workspace_id,
        rule=rule,
        ticket=ticket,
        activity=activity,
        root_id=root_id,
        trigger=trigger,
        reasons=list(met(why)),
        done=done,
        ran_at=now,
    )


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
    open_book(rule.workspace_id)
    read = Rule.objects.for_workspace(rule.workspace_id).filter(pk=rule.pk, is_active=True)
    read.filter(updated_at=rule.updated_at).update(is_active=False, notice=f"Switched off: {why}", updated_at=now)


def met(reason: Reason) -> list[str]:
    """The tests that were met, in words."""
    if not reason.parts:
        return [reason.text] if reason.is_met and reason.text not in ("all", "any") else []
    return [text for part in reason.parts for text in met(part)]


# --- When a time has come ---------------------------------------------------------------------


def fire_due(*, now: dt.datetime, limit: int = 500) -> int:
    """Let rules look at the tickets for which their time has come, the earliest first; gives how many matched.

    Any number may do so at once: each ticket is locked, and what has been done is no longer due.
    """
    due = Due.unscoped.filter(due_at__lte=now).order_by("due_at", "pk")
    return sum(_fire(pk, now) for pk in list(due.values_list("pk", flat=True)[:limit]))


def _fire(due_id: UUID, now: dt.datetime) -> bool:
    try:
        with transaction.atomic():
            return _fire_locked(due_id, now)
    except OperationalError:
        raise  # the database: the whole task is tried again
    except Exception:
        # One that cannot be dealt with does not keep the others waiting behind it.
        logger.exception("A time that came could not be dealt with.")
        Due.unscoped.filter(pk=due_id).update(due_at=now + LATER)
        return False


def _fire_locked(due_id: UUID, now: dt.datetime) -> bool:
    """First the ticket, then its times, as in every transaction that takes both."""
    due = Due.unscoped.select_related("ticket").filter(pk=due_id).first()
    if due is None:
        return False
    try:
        ticket = base.lock(due.ticket)
    except DomainError:  # merged or thrown away: what waits for it waits no more
        due.delete()
        return False
    timed.lock([ticket.pk])
    book = timed.current_book(ticket.workspace_id)
    wait = timed.reckon(ticket.workspace_id, [ticket.pk], book).get(timed.Key(ticket.pk, due.rule_id, due.trigger))
    if wait is None or wait.due_at > now:
        return False
    Due.unscoped.filter(ticket=ticket, rule=due.rule_id, trigger=due.trigger).delete()
    asking = [(rule, group) for rule, group in book.rules if rule.pk == due.rule_id]
    event = _Event(Activity.unscoped.get(pk=wait.activity_id), [due.trigger], asking, now)
    return _matches_in_time(event, ticket)


def _matches_in_time(event: _Event, ticket: Ticket) -> bool:
    ((rule, group),) = event.asking
    if isinstance(group, ConditionError):
        _switch_off(rule, f"Its conditions cannot be read. {group}", event.now)
        return False
    # The activity may be of a ticket that was merged into this one.
    event.activity.ticket = ticket
    facts = event.facts()
    if group.is_met(facts):
        _run(rule, group.why(facts), ticket, event, event.pulled[0], root_id=None, stopped="")
        return True
    return False
