"""The REST API of the recurring tickets: what opens by itself, when, and what became of each occurrence."""

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.api.views import StrictSerializer
from tickets.api.schema import described
from tickets.api.serializers import PRIORITIES, Id, of, plain
from tickets.api.views.base import ADMINS, EVERYONE, TicketView
from tickets.automation import schedule as schedules
from tickets.automation.models import RecurringRun, RecurringTicket
from tickets.automation.services import recurring
from tickets.services import base

AUTOMATION = "Automation"

# --- Shapes -----------------------------------------------------------------------------------

_DATE = {"type": "string", "format": "date"}
_SCHEDULE = {
    "every": {"type": "string", "enum": list(schedules.EVERY)},
    "interval": {"type": "integer", "minimum": 1, "maximum": max(schedules.LONGEST.values())},
    "weekdays": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(schedules.WEEKDAYS)}},
    "month": {"type": "integer", "minimum": 1, "maximum": 12},
    "day": {"type": "integer", "minimum": 1, "maximum": 31},
    "nth": {"type": "string", "enum": list(schedules.NTH)},
    "weekday": {"type": "string", "enum": list(schedules.WEEKDAYS)},
    "at": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
    "timezone": {"type": "string"},
    "starts_on": _DATE,
    "ends_on": {**_DATE, "type": ["string", "null"]},
}


@extend_schema_field(
    {
        "type": "object",
        "properties": _SCHEDULE,
        "required": ["every", "at"],
        "additionalProperties": False,
        "description": (
            '`{"every": "month", "nth": "first", "weekday": "monday", "at": "09:00", "timezone": "Europe/Berlin"}`. '
            "A week has `weekdays`; a month has a `day` (its last where it is shorter), or `nth` and `weekday`; a "
            "year has a `month` besides. `interval` is 1 unless given ("
            + ", ".join(f"up to {longest} {every}s" for every, longest in schedules.LONGEST.items())
            + "), `timezone` the workspace's, `starts_on` today; `starts_on` and `ends_on` are local dates, both "
            "included. A time that the clocks skip is read as if they had not been put forward yet; of one that comes "
            "twice the first counts."
        ),
    }
)
class ScheduleField(serializers.JSONField):
    """When it happens; the service reads it."""


class RecurringIn(StrictSerializer):
    """A new recurring ticket."""

    name = serializers.CharField(max_length=80)
    schedule = ScheduleField()
    subject = serializers.CharField(
        max_length=base.SUBJECT_LENGTH,
        help_text="It and the description may hold {{date}}, {{week}}, {{month}} and {{year}} of the local day.",
    )
    description = serializers.CharField(max_length=base.TEXT_LENGTH)
    requester_email = serializers.CharField(max_length=254, help_text="For whom the ticket is opened.")
    requester_name = serializers.CharField(max_length=base.NAME_LENGTH, required=False, allow_blank=True)
    priority = serializers.ChoiceField(choices=PRIORITIES, required=False, help_text="`medium` unless given.")
    category_id = Id(required=False, allow_null=True)
    team_id = Id(required=False, allow_null=True)
    assignee_id = Id(required=False, allow_null=True)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=recurring.MAX_TAGS, required=False
    )
    is_active = serializers.BooleanField(required=False, help_text="`true` unless given; `false` pauses it.")


class RecurringChanges(RecurringIn):
    """The fields to change; those that are not sent stay. `schedule` and `tags` are whole."""

    name = serializers.CharField(max_length=80, required=False)
    schedule = ScheduleField(required=False)
    subject = serializers.CharField(max_length=base.SUBJECT_LENGTH, required=False)
    description = serializers.CharField(max_length=base.TEXT_LENGTH, required=False)
    requester_email = serializers.CharField(max_length=254, required=False)


class RecurringOut(serializers.Serializer):
    """A ticket that is opened again and again."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    schedule = ScheduleField()
    schedule_text = serializers.CharField(help_text="The schedule in words.")
    subject = serializers.CharField()
    description = serializers.CharField()
    requester_email = serializers.CharField()
    requester_name = serializers.CharField()
    priority = serializers.ChoiceField(choices=PRIORITIES)
    category_id = serializers.UUIDField(allow_null=True)
    team_id = serializers.UUIDField(allow_null=True)
    assignee_id = serializers.UUIDField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    is_active = serializers.BooleanField()
    next_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is paused, and after its end.")
    last_at = serializers.DateTimeField(allow_null=True, help_text="The occurrence that was opened last.")
    last_ticket_id = serializers.UUIDField(allow_null=True)
    notice = serializers.CharField(help_text="What is wrong with it, like a team that was deleted; empty otherwise.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class RecurringRunOut(serializers.Serializer):
    """What became of an occurrence."""

    id = serializers.UUIDField()
    occurrence_at = serializers.DateTimeField(help_text="When it was due.")
    is_opened = serializers.BooleanField()
    text = serializers.CharField(help_text="Why it was not opened, or without what; empty otherwise.")
    ticket_id = serializers.UUIDField(allow_null=True, help_text="Null also where the ticket was purged since.")
    ticket_number = serializers.CharField(allow_null=True)
    ran_at = serializers.DateTimeField()


_FIELDS = (
    "id",
    "name",
    "schedule",
    "subject",
    "description",
    "requester_email",
    "requester_name",
    "priority",
    "category_id",
    "team_id",
    "assignee_id",
    "tags",
    "is_active",
    "next_at",
    "last_at",
    "last_ticket_id",
    "notice",
    "created_at",
    "updated_at",
)
_RUN_FIELDS = ("id", "occurrence_at", "is_opened", "text", "ticket_id", "ran_at")


def recurring_json(row: RecurringTicket) -> dict[str, Any]:
    """A recurring ticket."""
    return of(row, _FIELDS) | {"schedule_text": recurring.words_of(row)}


def run_json(run: RecurringRun) -> dict[str, Any]:
    """What became of an occurrence."""
    number = run.ticket.ticket_number if run.ticket else None
    return of(run, _RUN_FIELDS) | plain({"ticket_number": number})


# --- Endpoints --------------------------------------------------------------------------------


class RecurringTickets(TicketView):
    """What opens by itself."""

    permissions = {"POST": Permission.MANAGE}

    @described(
        "recurring_tickets_list",
        "List recurring tickets",
        answer=envelope_of("recurring_tickets", RecurringOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="By name.",
        tag=AUTOMATION,
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        return self.page(
            recurring.recurring_tickets(self.workspace.pk),
            plural="recurring_tickets",
            to_json=lambda page: [recurring_json(row) for row in page],
        )

    @described(
        "recurring_tickets_create",
        "Create a recurring ticket",
        request=RecurringIn,
        answer=RecurringOut,
        status=201,
        needs=ADMINS,
        tag=AUTOMATION,
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = recurring.save_recurring(workspace=self.workspace, changes=self.read(RecurringIn), now=self.now)
        headers = {"Location": f"/api/tickets/recurring-tickets/{made.pk}"}
        return Response(recurring_json(made), status=201, headers=headers)


class OneRecurringTicket(TicketView):
    """A recurring ticket."""

    permissions = {"PUT": Permission.MANAGE, "PATCH": Permission.MANAGE, "DELETE": Permission.MANAGE}

    @described("recurring_tickets_get", "Get a recurring ticket", answer=RecurringOut, needs=EVERYONE, tag=AUTOMATION)
    def get(self, request: Request, recurring_id: UUID) -> HttpResponseBase:
        return Response(recurring_json(recurring.find_recurring(self.workspace.pk, recurring_id)))

    @described(
        "recurring_tickets_update",
        "Update a recurring ticket",
        request=RecurringChanges,
        answer=RecurringOut,
        needs=ADMINS,
        description="Changes the fields that are sent; `schedule` and `tags` are whole. A schedule that is changed, "
        "paused or resumed counts from now: what was due and is not opened yet is left out, and its log says so.",
        tag=AUTOMATION,
    )
    def put(self, request: Request, recurring_id: UUID) -> HttpResponseBase:
        changes = self.read(RecurringChanges)
        row = recurring.find_recurring(self.workspace.pk, recurring_id)
        saved = recurring.save_recurring(workspace=self.workspace, changes=changes, now=self.now, recurring=row)
        return Response(recurring_json(saved))

    @described(
        "recurring_tickets_patch",
        "Update a recurring ticket",
        request=RecurringChanges,
        answer=RecurringOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag=AUTOMATION,
    )
    def patch(self, request: Request, recurring_id: UUID) -> HttpResponseBase:
        return self.put(request, recurring_id)

    @described(
        "recurring_tickets_delete",
        "Delete a recurring ticket",
        answer=None,
        status=204,
        needs=ADMINS,
        description="It opens no more tickets; those that it opened stay.",
        tag=AUTOMATION,
    )
    def delete(self, request: Request, recurring_id: UUID) -> HttpResponseBase:
        row = recurring.find_recurring(self.workspace.pk, recurring_id)
        recurring.delete_recurring(recurring=row, now=self.now)
        return Response(status=204)


class RecurringRuns(TicketView):
    """What became of the occurrences of one."""

    problems = {}

    @described(
        "recurring_tickets_runs",
        "List what a recurring ticket opened",
        answer=envelope_of("recurring_runs", RecurringRunOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="Newest first, with those that were missed or left out, and why.",
        tag=AUTOMATION,
    )
    def get(self, request: Request, recurring_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        row = recurring.find_recurring(self.workspace.pk, recurring_id)
        return self.page(
            recurring.runs_of(row), plural="recurring_runs", to_json=lambda page: [run_json(run) for run in page]
        )
