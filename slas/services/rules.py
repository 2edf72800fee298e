"""Which policy a ticket has, and what it promises: sealed terms, read once per process."""

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from slas import calendar
from slas.calendar import ALWAYS, Calendar
from slas.clocks import Terms
from slas.models import BusinessHours, SLAPolicy, SLATerms
from tickets.deadlines import Goal
from tickets.lifecycle import Priority
from tickets.models import Category

_HOURS = {
    Goal.FIRST_RESPONSE: "first_response_hours",
    Goal.NEXT_RESPONSE: "next_response_hours",
    Goal.RESOLUTION: "resolution_hours",
}


def hours_field(goal: Goal) -> str:
    """The name under which a policy keeps the target of a goal."""
    return _HOURS[goal]


# --- Terms ------------------------------------------------------------------------------------


def calendar_document(hours: BusinessHours) -> dict[str, Any]:
    """Business hours in the shape that `slas.calendar.read` takes."""
    document: dict[str, Any] = {"timezone": hours.timezone, "schedule": hours.schedule, "holidays": hours.holidays}
    if hours.country:
        document["country"] = hours.country
    if hours.region:
        document["region"] = hours.region
    return document


def _seconds(hours: Any) -> int:
    return round(Decimal(str(hours)) * 3600)


def document_of(policy: SLAPolicy, hours: BusinessHours | None) -> dict[str, Any]:
    """What a policy with these business hours promises, as sealed terms keep it: targets in whole seconds."""
    targets: dict[str, dict[str, int]] = {}
    for priority in Priority:
        override = policy.priority_overrides.get(priority.value, {})
        targets[priority.value] = {
            goal.value: _seconds(value)
            for goal, name in _HOURS.items()
            if (value := override.get(name, getattr(policy, name))) is not None
        }
    return {
        "targets": targets,
        "pending_pauses": sorted(policy.pending_pauses),
        "at_risk_percent": policy.at_risk_percent,
        "calendar": calendar_document(hours) if hours else None,
    }


def default_hours(workspace_id: UUID) -> BusinessHours | None:
    """The business hours of policies that name none."""
    rows = BusinessHours.objects.for_workspace(workspace_id).live()
    found: BusinessHours | None = rows.filter(is_default=True).first()
    return found


def hours_of(policy: SLAPolicy, default: BusinessHours | None) -> BusinessHours | None:
    """The business hours that a policy counts by: its own, else the workspace's default; None: round the clock."""
    if not policy.business_hours_only:
        return None
    return policy.business_hours or default


def seal(workspace_id: UUID, policies: Sequence[SLAPolicy], *, now: dt.datetime) -> None:
    """Give each policy the terms that it has now; the same terms as before are the same row.

    Two queries where nothing is new, two more where something is, however many policies there are.
    """
    default = default_hours(workspace_id)
    rows = SLATerms.objects.for_workspace(workspace_id).filter(policy__in=policies)
    known = {(row.policy_id, row.digest): row for row in rows.only("pk", "policy_id", "digest")}
    made, changed = [], []
    for policy in policies:
        document = document_of(policy, hours_of(policy, default))
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        terms = known.get((policy.pk, digest))
        if terms is None:
            terms = SLATerms(workspace_id=workspace_id, policy=policy, digest=digest, document=document, created_at=now)
            made.append(terms)
        if policy.terms_id != terms.pk:
            policy.terms = terms
            changed.append(policy)
    SLATerms.unscoped.bulk_create(made)
    SLAPolicy.unscoped.bulk_update(changed, ["terms"])


def calendar_of(hours: BusinessHours) -> Calendar:
    """Business hours, ready to reckon with."""
    return _calendar(json.dumps(calendar_document(hours), sort_keys=True))


@lru_cache(maxsize=256)
def _calendar(document: str) -> Calendar:
    return calendar.read(json.loads(document))


def terms_of(policy_id: UUID, document: Mapping[str, Any], name: str = "") -> Terms:
    """Sealed terms, ready to reckon with; a policy's name is not sealed, it may be renamed."""
    hours = document["calendar"]
    return Terms(
        policy_id=policy_id,
        policy_name=name,
        calendar=ALWAYS if hours is None else _calendar(json.dumps(hours, sort_keys=True)),
        targets={
            priority: {Goal(goal): dt.timedelta(seconds=seconds) for goal, seconds in goals.items()}
            for priority, goals in document["targets"].items()
        },
        pending_pauses=frozenset(Goal(goal) for goal in document["pending_pauses"]),
        at_risk_percent=document["at_risk_percent"],
    )


_sealed: dict[UUID, Terms] = {}  # sealed terms never change, so they may be kept for as long as there is room
_ROOM = 1024


def sealed_terms(workspace_id: UUID, terms_ids: Collection[UUID]) -> dict[UUID, Terms]:
    """The sealed terms with these ids. No query for those that this process has seen."""
    found = {pk: kept for pk in terms_ids if (kept := _sealed.get(pk)) is not None}
    if missing := [pk for pk in terms_ids if pk not in found]:
        if len(_sealed) > _ROOM:
            _sealed.clear()
        for row in SLATerms.objects.for_workspace(workspace_id).filter(pk__in=missing):
            found[row.pk] = _sealed[row.pk] = terms_of(row.policy_id, row.document)
    return found


# --- Rules ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What conditions ask of a ticket."""

    category_id: UUID | None = None
    organization_id: UUID | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    given_policy_id: UUID | None = None  # by somebody or a rule, whatever conditions say


@dataclass(frozen=True)
class Rule:
    """A policy in its place: to whom it applies, and its terms."""

    policy_id: UUID
    terms_id: UUID | None  # None: a draft
    terms: Terms
    is_default: bool = False
    categories: frozenset[UUID] = frozenset()  # with those below them
    organizations: frozenset[UUID] = frozenset()
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def applies(self, facts: Facts) -> bool:
        """Whether the ticket meets every condition; a policy with none applies to no ticket by itself."""
        if self.is_default:
            return True
        if not (self.categories or self.organizations or self.attributes):
            return False
        return (
            (not self.categories or facts.category_id in self.categories)
            and (not self.organizations or facts.organization_id in self.organizations)
            and all(word(facts.attributes.get(name)) in wanted for name, wanted in self.attributes.items())
        )


def word(value: Any) -> str:
    """A customer attribute as conditions compare it: text, without regard to case."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value).strip().casefold()


@dataclass(frozen=True)
class Rules:
    """The policies of a workspace, in the order in which they are asked."""

    rules: Sequence[Rule]

    def rule(self, facts: Facts) -> Rule | None:
        """The policy that the ticket was given, while it lives, else the first that applies; None: no promise."""
        given = facts.given_policy_id
        if given is not None and (found := next((rule for rule in self.rules if rule.policy_id == given), None)):
            return found
        return next((rule for rule in self.rules if rule.applies(facts)), None)


def rules_of(workspace_id: UUID) -> Rules:
    """The live policies of a workspace with their terms. One query, and one more where conditions name categories."""
    rows = list(
        SLAPolicy.objects.for_workspace(workspace_id)
        .live()
        .order_by("is_default", "position", "created_at", "pk")
        .values_list("pk", "terms_id", "is_default", "conditions", "name")
    )
    terms = sealed_terms(workspace_id, [row[1] for row in rows if row[1]])
    parents = parents_of(workspace_id) if any(row[3].get("category_ids") for row in rows) else {}
    made = []
    for pk, terms_id, is_default, conditions, name in rows:
        if terms_id:
            named = replace(terms[terms_id], policy_name=name)
            made.append(rule_of(pk, terms_id, named, is_default=is_default, conditions=conditions, parents=parents))
    return Rules(made)


def parents_of(workspace_id: UUID) -> dict[UUID, UUID | None]:
    """The tree of categories: each with the one above it."""
    return dict(Category.objects.for_workspace(workspace_id).values_list("pk", "parent_id"))


def rule_of(
    policy_id: UUID,
    terms_id: UUID | None,
    terms: Terms,
    *,
    is_default: bool,
    conditions: Mapping[str, Any],
    parents: Mapping[UUID, UUID | None],
) -> Rule:
    """A policy as a rule; `parents` is the tree of categories."""
    wanted = {UUID(pk) for pk in conditions.get("category_ids", [])}
    return Rule(
        policy_id=policy_id,
        terms_id=terms_id,
        terms=terms,
        is_default=is_default,
        # One that was deleted for good still stands for the tickets that have it: none.
        categories=frozenset(pk for pk in {*parents, *wanted} if _is_below(pk, wanted, parents)),
        organizations=frozenset(UUID(pk) for pk in conditions.get("organization_ids", [])),
        attributes={
            name: frozenset(word(value) for value in values)
            for name, values in conditions.get("attributes", {}).items()
        },
    )


def _is_below(pk: UUID | None, wanted: Collection[UUID], parents: Mapping[UUID, UUID | None]) -> bool:
    if not wanted:
        return False
    seen: set[UUID] = set()
    while pk is not None and pk not in seen:
        if pk in wanted:
            return True
        seen.add(pk)
        pk = parents.get(pk)
    return False
