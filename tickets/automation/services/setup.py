"""Making, changing and ordering rules."""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from helpdesk.accounts.models import Membership, Organization, Team, Workspace
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets import dispatch
from tickets.automation import conditions
from tickets.automation.conditions import ConditionError, Group, Test
from tickets.automation.models import OPTIONS, TRIGGERS, Rule
from tickets.automation.services import actions, timed
from tickets.automation.services.book import open_book
from tickets.models import Category
from tickets.services import base

FIELDS = frozenset({"name", "is_active", "triggers", "conditions", "actions", "stops", "position", *OPTIONS.values()})
LONGEST_HOURS = 8784  # of a time that a rule waits for: a leap year
MESSAGES = (2, 50)  # in a row
MAX_RULES = 500
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What conditions name by its id: among which rows, and by which column.
_NAMED: dict[str, Callable[[UUID], tuple[Any, str]]] = {
    "category": lambda pk: (Category.objects.for_workspace(pk).filter(archived_at=None), "pk"),
    "team": lambda pk: (Team.objects.for_workspace(pk), "pk"),
    "organization": lambda pk: (Organization.objects.for_workspace(pk), "pk"),
    "assignee": lambda pk: (Membership.objects.for_workspace(pk).filter(is_active=True), "user_id"),
}


def find_rule(workspace_id: UUID, rule_id: UUID) -> Rule:
    """A rule of the workspace. Raises NotFound, also for a foreign id and an archived one."""
    found: Rule | None = Rule.objects.for_workspace(workspace_id).filter(pk=rule_id, archived_at=None).first()
    if found is None:
        raise NotFound("There is no such rule.", errors={"id": ["There is no such rule."]})
    return found


def rules(workspace_id: UUID) -> list[Rule]:
    """The rules of a workspace in their order."""
    rows = Rule.objects.for_workspace(workspace_id).filter(archived_at=None)
    return list(rows.order_by("position", "created_at", "pk"))


@transaction.atomic
def save_rule(*, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, rule: Rule | None = None) -> Rule:
    """Make a rule, or change the given fields: name, triggers, conditions, actions, is_active, stops, position.

    What some triggers need besides: `no_response_hours` (business hours), `idle_hours` (hours),
    `message_count`; without its trigger an option is dropped. `position` is its place from 1; the
    others make room. A rule that is switched on loses its notice. Raises InvalidInput naming every
    place that is wrong, NotFound for what an action names and is not there, Conflict beyond 500
    rules.
    """
    if unknown := sorted(set(changes) - FIELDS):
        raise InvalidInput("There is no such field.", errors={name: ["There is no such field."] for name in unknown})
    open_book(workspace.pk)  # one order of rules, whoever saves meanwhile
    others = [other for other in rules(workspace.pk) if rule is None or other.pk != rule.pk]
    if rule is None:
        if len(others) >= MAX_RULES:
            raise Conflict(f"A workspace can have up to {MAX_RULES} rules.", code="too_many")
        rule = Rule(workspace=workspace, position=len(others) + 1, created_at=now)
        changes = {"name": "", "triggers": [], "conditions": {"all": []}, "actions": [], **changes}
    else:
        rule = find_rule(workspace.pk, rule.pk)
    errors: dict[str, list[str]] = {}
    for name in ("name", "triggers", "conditions", "actions", "is_active", "stops"):
        if name in changes:
            try:
                setattr(rule, name, _clean(workspace.pk, name, changes[name]))
            except InvalidInput as error:
                errors |= error.errors
    _set_options(rule, changes, errors)
    place = changes.get("position", rule.position)
    if isinstance(place, bool) or not isinstance(place, int) or not 1 <= place <= 10_000:
        errors["position"] = ["This must be a whole number from 1."]
    if errors:
        raise InvalidInput.of_all(errors)
    rule.updated_at = now
    if rule.is_active:
        rule.notice = ""
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError:
        raise InvalidInput.of("name", "There is a rule with this name already.") from None
    _order([*others[: place - 1], rule, *others[place - 1 :]])
    dispatch.queue_after_commit(timed.RECKON_TASK)  # what the broker loses, the next beat does
    return rule


def _set_options(rule: Rule, changes: Mapping[str, Any], errors: dict[str, list[str]]) -> None:
    for trigger, name in OPTIONS.items():
        value = changes.get(name, getattr(rule, name))
        if trigger not in (rule.triggers or ()):  # none: those of a new rule were refused
            setattr(rule, name, None)
            continue
        try:
            setattr(rule, name, (_count if name == "message_count" else _hours)(name, value))
        except InvalidInput as error:
            errors |= error.errors


def _hours(field: str, value: Any) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise InvalidOperation
        hours = Decimal(str(value)).quantize(Decimal("0.01"))
    except InvalidOperation:
        raise InvalidInput.of(field, "Say after how many hours.") from None
    if not 0 < hours <= LONGEST_HOURS:
        raise InvalidInput.of(field, f"This must be more than 0 and up to {LONGEST_HOURS:,} hours.")
    return hours


def _count(field: str, value: Any) -> int:
    lowest, highest = MESSAGES
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidInput.of(field, f"This must be a whole number from {lowest} to {highest}.")
    return value


def _clean(workspace_id: UUID, name: str, value: Any) -> Any:
    if name == "name":
        return base.text("name", value, longest=80, one_line=True)
    if name in ("is_active", "stops"):
        if not isinstance(value, bool):
            raise InvalidInput.of(name, "This must be true or false.")
        return value
    if name == "triggers":
        if not isinstance(value, list | tuple) or not value:
            raise InvalidInput.of("triggers", "This must be a list of one or more triggers.")
        known = [word for word, _ in TRIGGERS]
        wanted = {base.choice("triggers", word, known) for word in value}
        return [word for word in known if word in wanted]
    if name == "actions":
        return actions.clean(workspace_id, value)
    try:
        group = conditions.read(value)
    except ConditionError as error:
        places = {f"conditions.{place}".rstrip("."): texts for place, texts in error.errors.items()}
        raise InvalidInput.of_all(places) from None
    _named_are_there(workspace_id, group)
    return group.document()


def _named_are_there(workspace_id: UUID, group: Group) -> None:
    """What conditions name by its id must be of the workspace. Raises InvalidInput, NotFound naming the place."""
    wanted: dict[str, dict[str, list[str]]] = {}
    for place, test in _placed(group, "conditions"):
        if test.field in _NAMED:
            for value in set(test.values) - {conditions.NONE}:
                if not _ID.fullmatch(value):
                    raise InvalidInput.of(f"{place}.{test.word}", "This must be a list of ids.")
                wanted.setdefault(test.field, {}).setdefault(value, []).append(f"{place}.{test.word}")
    for field, places in wanted.items():
        rows, key = _NAMED[field](workspace_id)
        there = {str(pk) for pk in rows.filter(**{f"{key}__in": list(places)}).values_list(key, flat=True)}
        if missing := [place for value, named in places.items() if value not in there for place in named]:
            text = f"There is no such {field}."
            raise NotFound(text, errors={place: [text] for place in missing})


def _placed(group: Group, place: str) -> Iterator[tuple[str, Test]]:
    for number, part in enumerate(group.parts):
        inside = f"{place}.{group.word}.{number}"
        if isinstance(part, Group):
            yield from _placed(part, inside)
        else:
            yield inside, part


def _order(wanted: list[Rule]) -> None:
    moved = []
    for number, rule in enumerate(wanted, start=1):
        if rule.position != number:
            rule.position = number
            moved.append(rule)
    Rule.unscoped.bulk_update(moved, ["position"])


@transaction.atomic
def order_rules(*, workspace: Workspace, rule_ids: Sequence[UUID], now: dt.datetime) -> list[Rule]:
    """Put the rules into this order. Raises InvalidInput unless every live rule is named once."""
    open_book(workspace.pk)
    known = {rule.pk: rule for rule in rules(workspace.pk)}
    if sorted(rule_ids) != sorted(known):
        raise InvalidInput.of("rule_ids", "Name every rule of the workspace once.")
    wanted = [known[pk] for pk in rule_ids]
    _order(wanted)
    return wanted


@transaction.atomic
def delete_rule(*, rule: Rule, now: dt.datetime) -> None:
    """Archive a rule: it is asked no more, the log keeps what it did."""
    open_book(rule.workspace_id)
    fresh = find_rule(rule.workspace_id, rule.pk)
    fresh.archived_at, fresh.is_active = now, False
    fresh.save(update_fields=["archived_at", "is_active"])
    dispatch.queue_after_commit(timed.RECKON_TASK)
