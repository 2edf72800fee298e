"""What the API of the service levels takes and gives.

Input serializers check types and name what is unknown; the services judge the values. The
functions at the end write the answers.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from helpdesk.api.views import StrictSerializer
from helpdesk.errors import InvalidInput
from slas import calendar
from slas.clocks import Kind
from slas.models import GOALS, LONGEST_HOURS, BusinessHours, Job, SLAPolicy
from slas.services import rules, setup, working
from slas.services.explaining import Explained
from tickets import deadlines
from tickets.api.serializers import Id, iso, of, plain
from tickets.deadlines import STATES, Run, State
from tickets.models import Ticket

GOAL_NAMES = [goal for goal, _ in GOALS]
TICKET_STATES = [state.value for state in STATES]
CLOCK_STATES = [state.value for state in State]
RUNS = [run.value for run in Run]
SPAN_KINDS = [kind.value for kind in Kind]
JOB_KINDS = [kind for kind, _ in Job.KINDS]
JOB_STATES = [state for state, _ in Job.STATES]
NEVER_OPEN = "There is no open time: clocks that count by these business hours have no deadline."
NO_DEADLINE = "There is no deadline: the business hours never open for long enough."

# --- Fields -----------------------------------------------------------------------------------


@extend_schema_field({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": LONGEST_HOURS})
class Hours(serializers.FloatField):
    """A target in hours: a JSON number, fractions included."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            setup.hours_value("hours", data)
        except InvalidInput as error:
            raise serializers.ValidationError(error.detail) from None
        return data

    def to_representation(self, value: Any) -> Any:
        return setup.plain_hours(value)


@extend_schema_field({"type": ["string", "number", "boolean"]})
class Scalar(serializers.Field):
    """The value of a customer's attribute, as text in the answers."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str | int | float):
            raise serializers.ValidationError("This must be a text, a number, true or false.")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


_TIME = {"type": "string", "description": "Like 09:00; an end may be 24:00."}
_INTERVAL = {
    "type": "object",
    "properties": {"start": _TIME, "end": _TIME},
    "required": ["start", "end"],
    "additionalProperties": False,
}
_HOURS_OF_A_DAY = {"oneOf": [_INTERVAL, {"type": "array", "items": _INTERVAL}]}
_HOLIDAY = {
    "oneOf": [
        {"type": "string", "description": "A date like 2026-12-25, closed."},
        {
            "type": "object",
            "properties": {
                "date": {"type": "string", "description": "Like 2026-12-24."},
                "name": {"type": "string"},
                "start": _TIME,
                "end": _TIME,
                "intervals": {"type": "array", "items": _INTERVAL},
            },
            "required": ["date"],
            "additionalProperties": False,
        },
    ]
}


@extend_schema_field(
    {
        "type": "object",
        "propertyNames": {"enum": list(calendar.WEEKDAYS)},
        "additionalProperties": _HOURS_OF_A_DAY,
        "description": "The hours of each weekday, or a list of them; a weekday that is not there is closed.",
    }
)
class Schedule(serializers.JSONField):
    """The week; the service reads it."""


@extend_schema_field(
    {
        "type": "array",
        "items": _HOLIDAY,
        "description": "Dates that are closed, or that have a name or hours of their own.",
    }
)
class Holidays(serializers.JSONField):
    """The dates that are different; the service reads them."""


# --- Input ------------------------------------------------------------------------------------


class Targets(StrictSerializer):
    """The targets of a priority; what is not sent, or null, is as the policy says."""

    first_response_hours = Hours(required=False, allow_null=True)
    next_response_hours = Hours(required=False, allow_null=True)
    resolution_hours = Hours(required=False, allow_null=True)


class PriorityOverrides(StrictSerializer):
    """Targets of single priorities. All of them: what is not sent has none."""

    urgent = Targets(required=False)
    high = Targets(required=False)
    medium = Targets(required=False)
    low = Targets(required=False)


class Conditions(StrictSerializer):
    """Whose tickets a policy is for: those that meet every condition that is set."""

    category_ids = serializers.ListField(
        child=Id(), max_length=200, required=False, help_text="Any of these, or what is below them."
    )
    organization_ids = serializers.ListField(
        child=Id(), max_length=200, required=False, help_text="The requester's is any of these."
    )
    attributes = serializers.DictField(
        child=serializers.ListField(child=Scalar(), min_length=1, max_length=50),
        required=False,
        help_text="Of the requester or their organisation, each with the values that will do.",
    )


class GivenPolicy(StrictSerializer):
    """The policy that a ticket is given."""

    policy_id = Id(allow_null=True, help_text="null: the first policy whose conditions the ticket meets.")


class Agents(StrictSerializer):
    """Who works some business hours."""

    user_ids = serializers.ListField(child=Id(), max_length=working.MOST)


class PolicyIn(StrictSerializer):
    """A new policy."""

    name = serializers.CharField(max_length=80)
    first_response_hours = Hours()
    next_response_hours = Hours(
        required=False, allow_null=True, help_text="To each later answer that the customer waits for; null: no target."
    )
    resolution_hours = Hours()
    priority_overrides = PriorityOverrides(required=False)
    business_hours_only = serializers.BooleanField(
        required=False, help_text="`true` unless given; `false` counts round the clock."
    )
    business_hours_id = Id(required=False, allow_null=True, help_text="null: the workspace's default.")
    pending_pauses = serializers.ListField(
        child=serializers.ChoiceField(choices=GOAL_NAMES),
        max_length=10,
        required=False,
        help_text="Clocks that stand still while the ticket is pending; `resolution` unless given.",
    )
    at_risk_percent = serializers.IntegerField(
        min_value=1, max_value=99, required=False, help_text="How much of a target is used when it is at risk; 75."
    )
    conditions = Conditions(required=False)
    position = serializers.IntegerField(
        min_value=1,
        max_value=1000,
        required=False,
        help_text="Its place in the order in which policies are asked, from 1; the default stands last.",
    )
    is_default = serializers.BooleanField(
        required=False, help_text="It takes every ticket that is left. There is always one: making it one moves it."
    )


class PolicyChanges(PolicyIn):
    """The fields to change; those that are not sent stay."""

    name = serializers.CharField(max_length=80, required=False)
    first_response_hours = Hours(required=False)
    resolution_hours = Hours(required=False)


class HoursIn(StrictSerializer):
    """New business hours."""

    name = serializers.CharField(max_length=80, required=False, help_text="“Business hours” unless given.")
    timezone = serializers.CharField(max_length=64, required=False, help_text="Like America/New_York.")
    schedule = Schedule()
    holidays = Holidays(required=False)
    country = serializers.CharField(
        max_length=2, required=False, allow_blank=True, help_text="Like DE: its public holidays are closed."
    )
    region = serializers.CharField(
        max_length=10, required=False, allow_blank=True, help_text="Like BY: with the holidays of this part of it."
    )
    is_default = serializers.BooleanField(
        required=False, help_text="For policies that name none. There is always one: making it one moves it."
    )


class HoursChanges(HoursIn):
    """The fields to change; those that are not sent stay."""

    schedule = Schedule(required=False)


def _days() -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=1,
        max_value=36_500,
        required=False,
        allow_null=True,
        default=30,
        help_text="Tickets that came in during these days; null: all.",
    )


class PolicyDraft(StrictSerializer):
    """Changes of a policy to try. What `is_default` and `position` would change is not tried."""

    days = _days()
    changes = PolicyChanges()


class HoursDraft(StrictSerializer):
    """Changes of business hours to try."""

    days = _days()
    changes = HoursChanges()


# --- Output, as the schema shows it -----------------------------------------------------------


class TargetsOut(serializers.Serializer):
    """The targets of a priority."""

    first_response_hours = Hours(required=False)
    next_response_hours = Hours(required=False)
    resolution_hours = Hours(required=False)


class PriorityOverridesOut(serializers.Serializer):
    """The priorities that have targets of their own."""

    urgent = TargetsOut(required=False)
    high = TargetsOut(required=False)
    medium = TargetsOut(required=False)
    low = TargetsOut(required=False)


class ConditionsOut(serializers.Serializer):
    """Whose tickets a policy is for."""

    category_ids = serializers.ListField(child=serializers.UUIDField())
    organization_ids = serializers.ListField(child=serializers.UUIDField())
    attributes = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))


class PolicyOut(serializers.Serializer):
    """What is promised to whom."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    first_response_hours = Hours()
    next_response_hours = Hours(allow_null=True)
    resolution_hours = Hours()
    priority_overrides = PriorityOverridesOut()
    business_hours_only = serializers.BooleanField()
    business_hours_id = serializers.UUIDField(allow_null=True)
    pending_pauses = serializers.ListField(child=serializers.ChoiceField(choices=GOAL_NAMES))
    at_risk_percent = serializers.IntegerField()
    conditions = ConditionsOut()
    position = serializers.IntegerField()
    is_default = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class HoursOut(serializers.Serializer):
    """When clocks run."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    timezone = serializers.CharField()
    schedule = Schedule()
    holidays = Holidays()
    country = serializers.CharField(help_text="Empty for none.")
    region = serializers.CharField(help_text="Empty for none.")
    is_default = serializers.BooleanField()
    has_open_time = serializers.BooleanField()
    warning = serializers.CharField(allow_null=True, help_text="What is wrong with them, if anything.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NamedPolicy(serializers.Serializer):
    """The policy that a ticket has."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class SpanOut(serializers.Serializer):
    """A stretch of a clock's life."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    kind = serializers.ChoiceField(
        choices=SPAN_KINDS, help_text="Those `counted` and `ahead` add up to the target wherever there is a deadline."
    )
    reason = serializers.CharField()
    business_seconds = serializers.IntegerField(help_text="What of it belongs to the target.")


class ClockOut(serializers.Serializer):
    """One promise on a ticket, and why its deadline is what it is."""

    goal = serializers.ChoiceField(choices=GOAL_NAMES)
    cycle = serializers.IntegerField(help_text="Which of the answers that the customer waited for; else 1.")
    state = serializers.ChoiceField(choices=CLOCK_STATES)
    run = serializers.ChoiceField(choices=RUNS)
    policy_id = serializers.UUIDField(help_text="The policy that it was counted by, also when it was deleted since.")
    policy_name = serializers.CharField(help_text="As it was then.")
    timezone = serializers.CharField()
    target_seconds = serializers.IntegerField(help_text="Business time.")
    started_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is paused and was not due before.")
    at_risk_at = serializers.DateTimeField(allow_null=True)
    satisfied_at = serializers.DateTimeField(allow_null=True)
    breached_at = serializers.DateTimeField(allow_null=True, help_text="When the breach was recorded to have been.")
    counted_seconds = serializers.IntegerField(help_text="Business time that is used.")
    remaining_seconds = serializers.IntegerField(help_text="Business time that is left of the target.")
    warning = serializers.CharField(allow_null=True, help_text="Why a clock that runs has no deadline.")
    timeline = SpanOut(many=True)


class SLAOut(serializers.Serializer):
    """The service levels of a ticket, explained."""

    policy = NamedPolicy(allow_null=True, help_text="Null where nothing is promised.")
    is_given = serializers.BooleanField(help_text="By somebody or by a rule, not by the policy's conditions.")
    state = serializers.ChoiceField(
        choices=TICKET_STATES, allow_null=True, help_text="The worst of the latest clock of each goal."
    )
    clocks = ClockOut(many=True)


class JobOut(serializers.Serializer):
    """Work over many tickets in the background."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(
        choices=JOB_KINDS, help_text="`derive`: clocks follow changed rules; `what_if`: a draft is tried."
    )
    state = serializers.ChoiceField(choices=JOB_STATES)
    percent = serializers.IntegerField(help_text="How far it is, from 0 to 100.")
    done = serializers.IntegerField(help_text="Tickets.")
    total = serializers.IntegerField(help_text="Tickets; 0 until they are counted.")
    policy_id = serializers.UUIDField(allow_null=True, help_text="Of `what_if`: the policy of the draft.")
    business_hours_id = serializers.UUIDField(allow_null=True, help_text="Of `what_if`: the business hours of it.")
    days = serializers.IntegerField(allow_null=True)
    changes = serializers.DictField(allow_null=True, help_text="Of `what_if`: what is tried.")
    result = serializers.DictField(
        allow_null=True,
        help_text="Of `derive`: `tickets` and how many `moved`. Of `what_if`: `tickets`; promises breached `now` and "
        "`then`, also `by_priority` and `by_goal`; `gained`, `lost`; how many tickets are `differing`, and the first "
        "200 of them in `changed`. When it failed: `error`.",
    )
    created_by_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


# --- Output, as it is written -----------------------------------------------------------------

_POLICY_FIELDS = (
    "id",
    "name",
    "priority_overrides",
    "business_hours_only",
    "business_hours_id",
    "at_risk_percent",
    "position",
    "is_default",
    "created_at",
    "updated_at",
)
_HOURS_FIELDS = (
    "id",
    "name",
    "timezone",
    "schedule",
    "holidays",
    "country",
    "region",
    "is_default",
    "created_at",
    "updated_at",
)
_JOB_FIELDS = (
    "id",
    "kind",
    "state",
    "percent",
    "done",
    "total",
    "result",
    "created_by_id",
    "created_at",
    "finished_at",
)


def policy(row: SLAPolicy) -> dict[str, Any]:
    """A policy."""
    upcoming = row.next_response_hours
    return of(row, _POLICY_FIELDS) | {
        "first_response_hours": setup.plain_hours(row.first_response_hours),
        "next_response_hours": None if upcoming is None else setup.plain_hours(upcoming),
        "resolution_hours": setup.plain_hours(row.resolution_hours),
        "pending_pauses": list(row.pending_pauses),
        "conditions": {"category_ids": [], "organization_ids": [], "attributes": {}} | row.conditions,
    }


def business_hours(row: BusinessHours) -> dict[str, Any]:
    """Business hours."""
    is_ever_open = setup.calendar_of(rules.calendar_document(row)).has_open_time
    return of(row, _HOURS_FIELDS) | {"has_open_time": is_ever_open, "warning": None if is_ever_open else NEVER_OPEN}


def draft(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The checked changes as a job keeps them: JSON, with ids as text."""
    written: dict[str, Any] = {}
    for name, value in changes.items():
        if isinstance(value, Mapping):
            value = draft(value)
        elif isinstance(value, list):
            value = [str(one) if isinstance(one, UUID) else one for one in value]
        written[name] = str(value) if isinstance(value, UUID) else value
    return written


def job(row: Job) -> dict[str, Any]:
    """A job."""
    asked = row.draft or {}
    return of(row, _JOB_FIELDS) | {
        "policy_id": asked.get("policy_id"),
        "business_hours_id": asked.get("hours_id"),
        "days": asked.get("days"),
        "changes": asked.get("changes"),
        "finished_at": iso(row.finished_at) if row.finished_at else None,
    }


def ticket_sla(ticket: Ticket, explained: list[Explained], now: dt.datetime) -> dict[str, Any]:
    """The service levels of a ticket as they stand at `now`."""
    state = deadlines.state(deadlines.read(ticket.sla), now)
    policy = ticket.sla["policy"] if ticket.sla else None
    return {
        "policy": policy,
        "is_given": policy is not None and policy["id"] == str(ticket.sla_policy_id),
        "state": state.value if state else None,
        "clocks": [_clock(one) for one in explained],
    }


def _clock(one: Explained) -> dict[str, Any]:
    target, timeline = int(one.clock.target.total_seconds()), _timeline(one)
    counted = sum(span["business_seconds"] for span in timeline if span["kind"] == Kind.COUNTED.value)
    return plain(
        {
            "goal": one.clock.goal.value,
            "cycle": one.cycle,
            "state": one.state.value,
            "run": one.clock.run.value,
            "policy_id": one.policy_id,
            "policy_name": one.terms.policy_name,
            "timezone": one.terms.calendar.timezone,
            "target_seconds": target,
            "started_at": one.clock.started_at,
            "due_at": one.clock.due_at,
            "at_risk_at": one.clock.at_risk_at,
            "satisfied_at": one.clock.satisfied_at,
            "breached_at": one.breached_at,
            "counted_seconds": counted,
            "remaining_seconds": max(0, target - counted),
            "warning": NO_DEADLINE if one.has_no_deadline else None,
            "timeline": timeline,
        }
    )


def _timeline(one: Explained) -> list[dict[str, Any]]:
    """The spans in whole seconds; what one rounds off the next one gets, so that they still add up."""
    spans: list[dict[str, Any]] = []
    so_far = dt.timedelta()
    for piece in one.pieces:
        before, so_far = so_far, so_far + piece.business
        spans.append(
            {
                "start": iso(piece.start),
                "end": iso(piece.end),
                "kind": piece.kind.value,
                "reason": piece.reason,
                "business_seconds": int(so_far.total_seconds()) - int(before.total_seconds()),
            }
        )
    return spans
