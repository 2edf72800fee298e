"""What if a policy or business hours were different: past tickets told again under a draft, writing nothing."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from helpdesk.accounts.models import Workspace
from helpdesk.errors import InvalidInput
from slas import clocks
from slas.models import BusinessHours, Job, SLAPolicy
from slas.services import jobs, rules, setup, tracking
from slas.services.rules import Rule, Rules
from slas.services.tracking import Past
from tickets.deadlines import Deadline, Goal
from tickets.lifecycle import Priority
from tickets.models import Ticket

BATCH = 500
LISTED = 200  # tickets that the result names; its numbers count all
SPANS = (7, 30, 90, 365)  # days that can be asked for; None: everything


@dataclass(frozen=True)
class Draft:
    """What is asked: a policy or business hours, with the changes that are tried, and how far back."""

    policy_id: UUID | None = None
    hours_id: UUID | None = None
    changes: Mapping[str, Any] | None = None
    days: int | None = 30

    def document(self) -> dict[str, Any]:
        """As a job keeps it."""
        return {
            "policy_id": str(self.policy_id) if self.policy_id else None,
            "hours_id": str(self.hours_id) if self.hours_id else None,
            "changes": dict(self.changes or {}),
            "days": self.days,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Draft":
        """From what `document` gave."""
        return cls(
            UUID(document["policy_id"]) if document["policy_id"] else None,
            UUID(document["hours_id"]) if document["hours_id"] else None,
            document["changes"],
            document["days"],
        )


def ask(*, workspace: Workspace, draft: Draft, now: dt.datetime, by: Any = None) -> Job:
    """Have a draft tried in the background. Raises InvalidInput naming the fields of the draft, NotFound."""
    if draft.days is not None and not 1 <= draft.days <= 36_500:
        raise InvalidInput.of("days", "Choose from 1 to 36500 days.")
    drafted_rules(workspace, draft)
    return jobs.start(workspace=workspace, kind="what_if", now=now, by=by, draft=draft.document())


def drafted_rules(workspace: Workspace, draft: Draft) -> Rules:
    """The workspace's policies as they would be with the draft; nothing is saved. Raises InvalidInput, NotFound."""
    policies = setup.policies(workspace.pk)
    hours: BusinessHours | None = None
    if draft.hours_id:
        hours = setup.find_hours(workspace.pk, draft.hours_id)
        changed = {
            name: value
            for name, value in (draft.changes or {}).items()
            if name in ("timezone", "schedule", "holidays", "country", "region")
        }
        setup.calendar_of(rules.calendar_document(hours) | changed)
        for name, value in changed.items():
            setattr(hours, name, value)
    if draft.policy_id:
        policy = setup.find_policy(workspace.pk, draft.policy_id)
        setup.clean_policy(
            policy, {k: v for k, v in (draft.changes or {}).items() if k not in ("is_default", "position")}
        )
        policies = [policy if other.pk == policy.pk else other for other in policies]
        if (draft.changes or {}).get("is_default") is True and not policy.is_default:
            for other in policies:
                other.is_default = other.pk == policy.pk
            policies.sort(key=lambda other: other.is_default)  # the default is asked last
    parents, default = rules.parents_of(workspace.pk), rules.default_hours(workspace.pk)
    return Rules([_rule(policy, rules.hours_of(policy, default), hours, parents) for policy in policies])


def _rule(
    policy: SLAPolicy, hours: BusinessHours | None, draft: BusinessHours | None, parents: Mapping[UUID, UUID | None]
) -> Rule:
    if draft is not None and hours is not None and hours.pk == draft.pk:
        hours = draft
    terms = rules.terms_of(policy.pk, rules.document_of(policy, hours), policy.name)
    return rules.rule_of(
        policy.pk, None, terms, is_default=policy.is_default, conditions=policy.conditions, parents=parents
    )


_Waits = set[tuple[Goal, dt.datetime]]  # the promises of a ticket that were breached, by their start


@dataclass
class _Count:
    """Tickets, and their breached promises under the policies as they are and as they would be."""

    tickets: int = 0
    now: int = 0
    then: int = 0

    def add(self, before: _Waits, after: _Waits) -> None:
        """Count one more ticket."""
        self.tickets += 1
        self.now += len(before)
        self.then += len(after)


def replay(
    *,
    workspace: Workspace,
    draft: Draft,
    now: dt.datetime,
    progress: Callable[[int, int], object] = lambda _d, _t: None,
) -> dict[str, Any]:
    """Tell the tickets of the draft's days again, under the policies as they are and as they would be.

    Reads only, in transactions that could not write. Gives, for all and per priority (today's), how
    many promises were breached under either, and the tickets for which that differs. `progress` is
    called with the tickets done and all of them.
    """
    with _reading_only():
        as_is, as_would_be = rules.rules_of(workspace.pk), drafted_rules(workspace, draft)
        ids = _tickets(workspace, draft, now)
    counts = {priority.value: _Count() for priority in Priority}
    goals = {goal.value: _Count() for goal in Goal}
    changed: list[dict[str, Any]] = []
    gained = lost = differing = 0
    for first in range(0, len(ids), BATCH):
        batch = ids[first : first + BATCH]
        with _reading_only():
            found = tracking.pasts(workspace.pk, batch)
        for past in found:
            before, after = _breached(past, as_is, now), _breached(past, as_would_be, now)
            counts[past.priority].add(before, after)
            for goal in Goal:
                goals[goal.value].add(*({wait for wait in waits if wait[0] is goal} for waits in (before, after)))
            if before != after:
                differing, gained, lost = differing + 1, gained + len(after - before), lost + len(before - after)
                if len(changed) < LISTED:
                    changed.append(_changed(past, after - before, before - after))
        progress(first + len(batch), len(ids))
    with _reading_only():
        _name(workspace, changed)
    return {
        "tickets": len(ids),
        "now": sum(count.now for count in counts.values()),
        "then": sum(count.then for count in counts.values()),
        "gained": gained,
        "lost": lost,
        "differing": differing,
        "by_priority": {name: vars(count) for name, count in counts.items()},
        "by_goal": {name: vars(count) for name, count in goals.items()},
        "changed": changed,
    }


@contextmanager
def _reading_only() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        yield


def _tickets(workspace: Workspace, draft: Draft, now: dt.datetime) -> list[UUID]:
    rows = Ticket.objects.for_workspace(workspace).live()
    if draft.days is not None:
        rows = rows.filter(created_at__gte=now - dt.timedelta(days=draft.days))
    return list(rows.order_by("-created_at", "-pk").values_list("pk", flat=True))


def _breached(past: Past, with_rules: Rules, now: dt.datetime) -> _Waits:
    rule = with_rules.rule(past.facts)
    if rule is None:
        return set()
    derived: list[Deadline] = clocks.derive(past.history, rule.terms)
    return {(clock.goal, clock.started_at) for clock in derived if clock.is_breached(now)}


def _changed(past: Past, more: _Waits, fewer: _Waits) -> dict[str, Any]:
    return {
        "id": str(past.ticket_id),
        "number": past.number,
        "priority": past.priority,
        "gained": sorted(goal.value for goal, _ in more),
        "lost": sorted(goal.value for goal, _ in fewer),
    }


def _name(workspace: Workspace, changed: list[dict[str, Any]]) -> None:
    rows = Ticket.objects.for_workspace(workspace).filter(pk__in=[row["id"] for row in changed])
    subjects = dict(rows.values_list("pk", "subject"))
    for row in changed:
        row["subject"] = subjects[UUID(row["id"])]


def run(job: Job, *, clock: Callable[[], dt.datetime]) -> None:
    """Try a job's draft, and keep what came of it. `clock()` tells the time."""

    def progress(done: int, total: int) -> None:
        jobs.progress(job, done=done, total=total, now=clock())

    result = replay(workspace=job.workspace, draft=Draft.of(job.draft), now=clock(), progress=progress)
    jobs.finish(job, result=result, now=clock())
