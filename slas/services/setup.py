"""Policies and business hours: what a workspace promises, and when its clocks run."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from uuid import UUID

from django.db import IntegrityError, transaction

from helpdesk.accounts.models import Organization, User, Workspace
from helpdesk.errors import Conflict, InvalidInput, NotFound
from slas import calendar
from slas.calendar import CalendarError
from slas.models import LONGEST_HOURS, BusinessHours, SLAPolicy
from slas.services import jobs, rules, working
from tickets.automation.services import timed
from tickets.deadlines import Goal
from tickets.lifecycle import Priority
from tickets.models import Category
from tickets.services import base

HOURS_FIELDS = frozenset({"name", "timezone", "schedule", "holidays", "country", "region", "is_default"})
POLICY_FIELDS = frozenset(
    {
        "name",
        "first_response_hours",
        "next_response_hours",
        "resolution_hours",
        "priority_overrides",
        "business_hours_only",
        "business_hours_id",
        "pending_pauses",
        "at_risk_percent",
        "conditions",
        "is_default",
        "position",
    }
)
_TARGETS = tuple(rules.hours_field(goal) for goal in Goal)
_SMALLEST = Decimal("0.0001")
MAX_POLICIES = 200
MAX_CALENDARS = 200
STANDARD_WEEK = {
    day: {"start": "09:00", "end": "18:00"} for day in ("monday", "tuesday", "wednesday", "thursday", "friday")
}
# The specification's table; medium is what the policy itself says.
STANDARD_TARGETS: dict[str, tuple[int, int]] = {"urgent": (1, 4), "high": (4, 8), "medium": (8, 24), "low": (24, 72)}


def _known(changes: Mapping[str, Any], fields: frozenset[str]) -> None:
    if unknown := sorted(set(changes) - fields):
        raise InvalidInput("There is no such field.", errors={name: ["There is no such field."] for name in unknown})


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.of(field, "This must be true or false.")
    return value


def _missing(field: str, what: str) -> NoReturn:
    raise NotFound(f"There is no such {what}.", errors={field: [f"There is no such {what}."]})


@contextmanager
def _collecting(errors: dict[str, list[str]]) -> Iterator[None]:
    """A refusal in the block is added to `errors`, so that all are told at once."""
    try:
        yield
    except InvalidInput as error:
        errors.update(error.errors)


def _refuse(errors: dict[str, list[str]]) -> None:
    if errors:
        raise InvalidInput.of_all(errors)


# --- Business hours ---------------------------------------------------------------------------


def find_hours(workspace_id: UUID, hours_id: UUID, field: str = "id") -> BusinessHours:
    """Business hours of the workspace. Raises NotFound, also for a foreign id and archived ones."""
    found: BusinessHours | None = BusinessHours.objects.for_workspace(workspace_id).live().filter(pk=hours_id).first()
    return found or _missing(field, "business hours")


def calendar_of(document: Mapping[str, Any]) -> calendar.Calendar:
    """Business hours in the API's shape, as something to reckon with. Raises InvalidInput naming the fields."""
    try:
        return calendar.read(document)
    except CalendarError as error:
        raise InvalidInput.of_all(error.errors) from None


@transaction.atomic
def save_hours(
    *,
    workspace: Workspace,
    changes: Mapping[str, Any],
    now: dt.datetime,
    hours: BusinessHours | None = None,
    user_ids: Collection[UUID] | None = None,
    by: User | None = None,
) -> BusinessHours:
    """Make business hours, or change the given fields: name, timezone, schedule, holidays, country, region, is_default.

    `schedule` and `holidays` are whole, in the shape that `slas.calendar.read` documents. The clocks
    of tickets in work are reckoned anew in the background. The workspace's first business hours are
    its default. `user_ids` are the agents who work these hours (`working.set_agents`); None leaves
    them. Raises InvalidInput naming every field that is wrong, Conflict.
    """
    _known(changes, HOURS_FIELDS)
    Workspace.objects.select_for_update().get(pk=workspace.pk)  # one default, whoever saves at the same time
    others = BusinessHours.objects.for_workspace(workspace).live()
    if hours is None:
        if others.count() >= MAX_CALENDARS:
            raise Conflict(f"A workspace can have up to {MAX_CALENDARS} business hours.", code="too_many")
        hours = BusinessHours(
            workspace=workspace, timezone=workspace.timezone, is_default=not others.exists(), created_at=now
        )
        changes = {"name": _free_name(others) if "name" not in changes else "", **changes}
        if hours.is_default:  # the first ones are the default, asked or not
            changes = {name: value for name, value in changes.items() if name != "is_default"}
    else:
        hours = find_hours(workspace.pk, hours.pk)
    errors: dict[str, list[str]] = {}
    document = rules.calendar_document(hours) | {
        name: changes[name] for name in ("timezone", "schedule", "holidays", "country", "region") if name in changes
    }
    was_default = becomes_default = hours.is_default
    written: dict[str, Any] = {}
    with _collecting(errors):
        written = calendar.write(calendar_of(document))
    if "name" in changes:
        with _collecting(errors):
            hours.name = base.text("name", changes["name"], longest=80, one_line=True)
    with _collecting(errors):
        becomes_default = _flag("is_default", changes.get("is_default", was_default))
    if was_default and not becomes_default:
        errors["is_default"] = ["There is always a default; make other business hours the default instead."]
    _refuse(errors)
    # As they were sent: who reads them back finds their own list.
    place = {_date_of(entry): number for number, entry in enumerate(document["holidays"] or ())}
    written["holidays"].sort(key=lambda entry: place[_date_of(entry)])
    hours.timezone, hours.schedule, hours.holidays = written["timezone"], written["schedule"], written["holidays"]
    hours.country, hours.region = written.get("country", ""), written.get("region", "")
    if becomes_default:
        others.exclude(pk=hours.pk).filter(is_default=True).update(is_default=False)
    hours.is_default, hours.updated_at = becomes_default, now
    try:
        with transaction.atomic():
            hours.save()
    except IntegrityError:
        raise InvalidInput.of("name", "There are business hours with this name already.") from None
    if user_ids is not None:
        working.set_agents(hours=hours, user_ids=user_ids, now=now)
    _seal_all(workspace, now=now, by=by)
    timed.reckon_later(workspace.pk)  # rules wait in business hours, too
    return hours


def _date_of(holiday: str | Mapping[str, Any]) -> str:
    return holiday if isinstance(holiday, str) else holiday["date"]


def _free_name(others: Any) -> str:
    """The name of business hours that were given none: what a workspace begins with has the first."""
    taken = {name.lower() for name in others.values_list("name", flat=True)}
    names = ("Business hours", *(f"Business hours {number}" for number in range(2, MAX_CALENDARS + 2)))
    return next(name for name in names if name.lower() not in taken)


@transaction.atomic
def delete_hours(*, hours: BusinessHours, now: dt.datetime) -> None:
    """Archive business hours. Raises Conflict for the default, and while a policy or an agent's work goes by them."""
    Workspace.objects.select_for_update().get(pk=hours.workspace_id)
    fresh = find_hours(hours.workspace_id, hours.pk)
    if fresh.is_default:
        raise Conflict("These are the default; make other business hours the default first.", code="is_default")
    used = SLAPolicy.objects.for_workspace(fresh.workspace_id).live().filter(business_hours=fresh).first()
    if used is not None:
        raise Conflict(f"The policy “{used.name}” counts by these business hours.", code="in_use")
    if working.agents_of(fresh):
        # Without them they would be given tickets round the clock.
        raise Conflict("Agents work these hours; untick them first.", code="in_use")
    fresh.archived_at = now
    fresh.save(update_fields=["archived_at"])


def _seal_all(workspace: Workspace, *, now: dt.datetime, by: User | None) -> None:
    """Give every policy its terms as they are now, and have the clocks of tickets in work reckoned anew."""
    rows = SLAPolicy.objects.for_workspace(workspace).live().select_related("business_hours")
    rules.seal(workspace.pk, list(rows), now=now)
    jobs.start(workspace=workspace, kind="derive", now=now, by=by)


# --- Policies ---------------------------------------------------------------------------------


def find_policy(workspace_id: UUID, policy_id: UUID, field: str = "id") -> SLAPolicy:
    """A policy of the workspace. Raises NotFound, also for a foreign id and archived ones."""
    rows = SLAPolicy.objects.for_workspace(workspace_id).live().select_related("business_hours")
    found: SLAPolicy | None = rows.filter(pk=policy_id).first()
    return found or _missing(field, "policy")


def policies(workspace_id: UUID) -> list[SLAPolicy]:
    """The live policies in the order in which they are asked, the default last."""
    rows = SLAPolicy.objects.for_workspace(workspace_id).live().select_related("business_hours")
    return list(rows.order_by("is_default", "position", "created_at", "pk"))


def hours_value(field: str, value: Any) -> Decimal:
    """A target in hours, fractions included, up to four decimals. Raises InvalidInput naming `field`."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidInput.of(field, "This must be a number of hours.")
    try:
        hours = Decimal(str(value))
        if not hours.is_finite():
            raise InvalidOperation
        rounded = hours.quantize(_SMALLEST)
    except InvalidOperation:
        raise InvalidInput.of(field, "This must be a number of hours.") from None
    if hours <= 0:
        raise InvalidInput.of(field, "A target must be more than zero hours.")
    if round(rounded * 3600) < 1:
        raise InvalidInput.of(field, "A target must be a second or more.")
    if rounded >= LONGEST_HOURS:
        raise InvalidInput.of(field, f"A target must be less than {LONGEST_HOURS:,} hours.")
    return rounded


def clean_policy(policy: SLAPolicy, changes: Mapping[str, Any]) -> SLAPolicy:
    """Put the given changes onto a policy that is not saved, checked: also what a draft is made with.

    `is_default` and `position` are not put on. Raises InvalidInput naming every field that is wrong,
    NotFound for foreign business hours, categories and organisations.
    """
    errors: dict[str, list[str]] = {}
    if "name" in changes:
        with _collecting(errors):
            policy.name = base.text("name", changes["name"], longest=80, one_line=True)
    for name in _TARGETS:
        if name in changes:
            value = changes[name]
            may_be_none = name == rules.hours_field(Goal.NEXT_RESPONSE)
            with _collecting(errors):
                setattr(policy, name, None if value is None and may_be_none else hours_value(name, value))
    if "priority_overrides" in changes:
        policy.priority_overrides = _overrides(changes["priority_overrides"], errors)
    if "business_hours_only" in changes:
        with _collecting(errors):
            policy.business_hours_only = _flag("business_hours_only", changes["business_hours_only"])
    if "pending_pauses" in changes:
        with _collecting(errors):
            policy.pending_pauses = _goals(changes["pending_pauses"])
    if "at_risk_percent" in changes:
        percent = changes["at_risk_percent"]
        if isinstance(percent, bool) or not isinstance(percent, int) or not 1 <= percent <= 99:
            errors["at_risk_percent"] = ["This must be a whole number from 1 to 99."]
        else:
            policy.at_risk_percent = percent
    if "conditions" in changes:
        policy.conditions = _conditions(policy.workspace_id, changes["conditions"], errors)
    _refuse(errors)
    if "business_hours_id" in changes:
        hours_id = changes["business_hours_id"]
        policy.business_hours = (
            find_hours(policy.workspace_id, hours_id, "business_hours_id") if hours_id is not None else None
        )
    if policy.business_hours_only and rules.hours_of(policy, rules.default_hours(policy.workspace_id)) is None:
        raise InvalidInput.of("business_hours_only", "There are no business hours yet; make them first.")
    return policy


def _goals(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise InvalidInput.of("pending_pauses", "This must be a list of clocks.")
    return [goal.value for goal in Goal if goal.value in {base.choice("pending_pauses", v, list(Goal)) for v in value}]


def _overrides(value: Any, errors: dict[str, list[str]]) -> dict[str, dict[str, float | int]]:
    if not isinstance(value, Mapping):
        errors["priority_overrides"] = ["This must be an object: priorities and their targets."]
        return {}
    cleaned: dict[str, dict[str, float | int]] = {}
    for priority, targets in value.items():
        at = f"priority_overrides.{priority}"
        if priority not in {known.value for known in Priority}:
            errors[at] = ["There is no such priority."]
        elif not isinstance(targets, Mapping):
            errors[at] = ["This must be an object: targets in hours."]
        else:
            for name, hours in targets.items():
                if name not in _TARGETS:
                    errors[f"{at}.{name}"] = ["There is no such target."]
                elif hours is not None:
                    with _collecting(errors):
                        checked = hours_value(f"{at}.{name}", hours)
                        cleaned.setdefault(priority, {})[name] = plain_hours(checked)
    # In the order in which people read them.
    return {p.value: cleaned[p.value] for p in Priority if p.value in cleaned}


def plain_hours(hours: Decimal | float | int) -> float | int:
    """Hours as JSON writes them: a whole number without a fraction."""
    return int(hours) if hours == int(hours) else float(hours)


def _conditions(workspace_id: UUID, value: Any, errors: dict[str, list[str]]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        errors["conditions"] = ["This must be an object."]
        return {}
    cleaned: dict[str, Any] = {}
    for name, given in value.items():
        at = f"conditions.{name}"
        if name == "attributes":
            if attributes := _attributes(given, errors):
                cleaned[name] = attributes
        elif name in ("category_ids", "organization_ids"):
            model: Any = Category if name == "category_ids" else Organization
            with _collecting(errors):
                if ids := _ids(workspace_id, model, given, at):
                    cleaned[name] = ids
        else:
            errors[at] = ["There is no such condition."]
    return cleaned


def _ids(workspace_id: UUID, model: Any, value: Any, field: str) -> list[str]:
    if not isinstance(value, list | tuple) or len(value) > 200:
        raise InvalidInput.of(field, "This must be a list of up to 200 ids.")
    try:
        wanted = list(dict.fromkeys(UUID(str(pk)) for pk in value))
    except ValueError:
        raise InvalidInput.of(field, "This must be a list of ids.") from None
    known = set(model.objects.for_workspace(workspace_id).filter(pk__in=wanted).values_list("pk", flat=True))
    if known != set(wanted):
        _missing(field, "category" if model is Category else "organisation")
    return [str(pk) for pk in wanted]


def _attributes(value: Any, errors: dict[str, list[str]]) -> dict[str, list[str]]:
    field = "conditions.attributes"
    if not isinstance(value, Mapping) or len(value) > 20:
        errors[field] = ["This must be an object of up to 20 attributes, each with a list of values."]
        return {}
    cleaned: dict[str, list[str]] = {}
    for name, values in value.items():
        at = f"{field}.{name}"
        if not isinstance(values, list | tuple) or not 1 <= len(values) <= 50:
            errors[at] = ["This must be a list of 1 to 50 values."]
            continue
        with _collecting(errors):
            label = base.text(field, name, longest=80, one_line=True)
            cleaned[label] = [base.text(at, _as_text(value), longest=200) for value in values]
    return cleaned


def _as_text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


@transaction.atomic
def save_policy(
    *,
    workspace: Workspace,
    changes: Mapping[str, Any],
    now: dt.datetime,
    policy: SLAPolicy | None = None,
    by: User | None = None,
) -> SLAPolicy:
    """Make a policy, or change the given fields (`POLICY_FIELDS`); targets are hours, fractions included.

    `business_hours_id` None counts by the workspace's default. `conditions` say whose tickets it is
    for; a policy with none that is not the default applies to no ticket by itself. `position` is
    its place among those that are not the default. The clocks of tickets in work are reckoned anew
    in the background.

    Raises InvalidInput naming every field that is wrong (also a name that is taken), NotFound for
    foreign business hours, Conflict.
    """
    _known(changes, POLICY_FIELDS)
    Workspace.objects.select_for_update().get(pk=workspace.pk)  # one default and one order, whoever saves meanwhile
    others = [other for other in policies(workspace.pk) if policy is None or other.pk != policy.pk]
    if policy is None:
        if len(others) >= MAX_POLICIES:
            raise Conflict(f"A workspace can have up to {MAX_POLICIES} policies.", code="too_many")
        policy = SLAPolicy(workspace=workspace, pending_pauses=[Goal.RESOLUTION.value], created_at=now)
        policy.position = len(others) + 1
        changes = {"name": "", "first_response_hours": None, "resolution_hours": None, **changes}
    else:
        policy = find_policy(workspace.pk, policy.pk)
    errors: dict[str, list[str]] = {}
    was_default = becomes_default = policy.is_default
    with _collecting(errors):
        becomes_default = _flag("is_default", changes.get("is_default", was_default))
    if was_default and not becomes_default:
        errors["is_default"] = ["There is always a default; make another policy the default instead."]
    place = changes.get("position", policy.position)
    if isinstance(place, bool) or not isinstance(place, int) or not 1 <= place <= 1000:
        errors["position"] = ["This must be a whole number from 1."]
    with _collecting(errors):
        clean_policy(policy, changes)
    if becomes_default and policy.conditions:
        errors["conditions"] = ["The default takes every ticket that is left: it has no conditions."]
    _refuse(errors)
    if becomes_default:
        for other in others:
            if other.is_default:
                other.is_default = False
                other.save(update_fields=["is_default"])
    policy.is_default, policy.updated_at = becomes_default, now
    try:
        with transaction.atomic():
            policy.save()
    except IntegrityError:
        raise InvalidInput.of("name", "There is a policy with this name already.") from None
    _place(policy, others, place)
    _seal_all(workspace, now=now, by=by)
    policy.refresh_from_db(fields=["terms"])
    return policy


def _place(policy: SLAPolicy, others: list[SLAPolicy], place: int) -> None:
    """Give the policies their places from 1, this one the place that was asked for; the default stands last."""
    order = [other for other in others if not other.is_default]
    if policy.is_default:
        order = [*order, policy]
    else:
        order.insert(min(place, len(order) + 1) - 1, policy)
        order += [other for other in others if other.is_default]
    moved = []
    for number, one in enumerate(order, start=1):
        if one.position != number:
            one.position = number
            moved.append(one)
    SLAPolicy.unscoped.bulk_update(moved, ["position"])


@transaction.atomic
def delete_policy(*, policy: SLAPolicy, now: dt.datetime, by: User | None = None) -> None:
    """Archive a policy; its tickets in work get another one in the background. Raises Conflict for the default."""
    Workspace.objects.select_for_update().get(pk=policy.workspace_id)
    fresh = find_policy(policy.workspace_id, policy.pk)
    if fresh.is_default:
        raise Conflict("This is the default; make another policy the default first.", code="is_default")
    fresh.archived_at = now
    fresh.save(update_fields=["archived_at"])
    jobs.start(workspace=fresh.workspace, kind="derive", now=now, by=by)


def choose_anew(*, workspace_id: UUID, now: dt.datetime) -> None:
    """Have the policies of tickets in work chosen anew in the background, where any policy has conditions."""
    rows = SLAPolicy.objects.for_workspace(workspace_id).live()
    if rows.exclude(conditions={}).exists():
        jobs.start(workspace=Workspace.objects.get(pk=workspace_id), kind="derive", now=now)


# --- What every workspace begins with ---------------------------------------------------------


@transaction.atomic
def furnish(workspace: Workspace, now: dt.datetime) -> None:
    """Business hours Monday to Friday, 9 to 18, and a default policy with the targets of the specification's table.

    The policy counts round the clock, as the table does; does nothing where there is a policy.
    """
    if SLAPolicy.objects.for_workspace(workspace).exists():
        return
    if not BusinessHours.objects.for_workspace(workspace).exists():
        save_hours(
            workspace=workspace,
            changes={"name": "Business hours", "schedule": STANDARD_WEEK, "is_default": True},
            now=now,
        )
    first, resolution = STANDARD_TARGETS["medium"]
    save_policy(
        workspace=workspace,
        changes={
            "name": "Standard",
            "first_response_hours": first,
            "resolution_hours": resolution,
            "priority_overrides": {
                priority: {"first_response_hours": a, "resolution_hours": b}
                for priority, (a, b) in STANDARD_TARGETS.items()
                if priority != "medium"
            },
            "business_hours_only": False,
            "is_default": True,
        },
        now=now,
    )
