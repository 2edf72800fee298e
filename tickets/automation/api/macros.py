"""The REST API of the macros: lists of actions that agents run by hand."""

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import HEADER, idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.api.views import StrictSerializer
from tickets.api.schema import described
from tickets.api.serializers import Id, of
from tickets.api.views.base import ADMINS, AGENTS, EVERYONE, TicketView
from tickets.automation.api.rules import AUTOMATION, Actions
from tickets.automation.models import Macro
from tickets.automation.services import macros
from tickets.automation.services.macros import Result

# --- Shapes -----------------------------------------------------------------------------------


class MacroIn(StrictSerializer):
    """A new macro."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(
        max_length=200, required=False, allow_blank=True, help_text="When to use it; shown to agents."
    )
    actions = Actions()
    position = serializers.IntegerField(
        min_value=1,
        max_value=10_000,
        required=False,
        help_text="Its place in the order, from 1; the last unless given. The others make room.",
    )
    is_active = serializers.BooleanField(required=False, help_text="`true` unless given.")


class MacroChanges(MacroIn):
    """The fields to change; those that are not sent stay. `actions` are whole."""

    name = serializers.CharField(max_length=80, required=False)
    actions = Actions(required=False)


class MacroOut(serializers.Serializer):
    """A named list of actions."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    actions = Actions()
    position = serializers.IntegerField()
    is_active = serializers.BooleanField()
    usage_count = serializers.IntegerField(help_text="On how many tickets it was run.")
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class MacroRunIn(StrictSerializer):
    """The tickets to run it on; one that is named twice counts once."""

    ticket_ids = serializers.ListField(child=Id(), allow_empty=False, max_length=macros.MAX_TICKETS)


class MacroResultOut(serializers.Serializer):
    """What became of one ticket."""

    ticket_id = serializers.UUIDField()
    ticket_number = serializers.CharField(help_text="Empty where there is no such ticket.")
    is_done = serializers.BooleanField(help_text="All actions were done; otherwise none was.")
    done = serializers.ListField(child=serializers.CharField(), help_text="What was done, in words.")
    detail = serializers.CharField(help_text="Why not; empty where it was done.")


class MacroRunOut(serializers.Serializer):
    """What became of the tickets, in the order in which they were sent."""

    results = MacroResultOut(many=True)


_FIELDS = (
    "id",
    "name",
    "description",
    "actions",
    "position",
    "is_active",
    "usage_count",
    "last_used_at",
    "created_at",
    "updated_at",
)


def macro_json(macro: Macro) -> dict[str, Any]:
    """A macro."""
    return of(macro, _FIELDS)


def result_json(result: Result) -> dict[str, Any]:
    """What became of one ticket."""
    return {
        "ticket_id": str(result.ticket_id),
        "ticket_number": result.ticket_number,
        "is_done": result.is_done,
        "done": result.done,
        "detail": result.refused,
    }


# --- Macros -----------------------------------------------------------------------------------


class Macros(TicketView):
    """What agents can run by hand."""

    permissions = {"POST": Permission.MANAGE}

    @described(
        "macros_list",
        "List macros",
        answer=envelope_of("macros", MacroOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="In their order, with those that are switched off.",
        tag=AUTOMATION,
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = Macro.objects.for_workspace(self.workspace).filter(archived_at=None)
        return self.page(
            rows.order_by("position", "created_at", "pk"),
            plural="macros",
            to_json=lambda page: [macro_json(row) for row in page],
        )

    @described(
        "macros_create",
        "Create a macro",
        request=MacroIn,
        answer=MacroOut,
        status=201,
        needs=ADMINS,
        tag=AUTOMATION,
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = macros.save_macro(workspace=self.workspace, changes=self.read(MacroIn), now=self.now)
        return Response(macro_json(made), status=201, headers={"Location": f"/api/tickets/macros/{made.pk}"})


class OneMacro(TicketView):
    """A macro."""

    permissions = {"PUT": Permission.MANAGE, "PATCH": Permission.MANAGE, "DELETE": Permission.MANAGE}

    @described("macros_get", "Get a macro", answer=MacroOut, needs=EVERYONE, tag=AUTOMATION)
    def get(self, request: Request, macro_id: UUID) -> HttpResponseBase:
        return Response(macro_json(macros.find_macro(self.workspace.pk, macro_id)))

    @described(
        "macros_update",
        "Update a macro",
        request=MacroChanges,
        answer=MacroOut,
        needs=ADMINS,
        description="Changes the fields that are sent; `actions` are whole.",
        tag=AUTOMATION,
    )
    def put(self, request: Request, macro_id: UUID) -> HttpResponseBase:
        changes = self.read(MacroChanges)
        macro = macros.find_macro(self.workspace.pk, macro_id)
        saved = macros.save_macro(workspace=self.workspace, changes=changes, macro=macro, now=self.now)
        return Response(macro_json(saved))

    @described(
        "macros_patch",
        "Update a macro",
        request=MacroChanges,
        answer=MacroOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag=AUTOMATION,
    )
    def patch(self, request: Request, macro_id: UUID) -> HttpResponseBase:
        return self.put(request, macro_id)

    @described(
        "macros_delete",
        "Delete a macro",
        answer=None,
        status=204,
        needs=ADMINS,
        description="It can no longer be run; what it did stays done.",
        tag=AUTOMATION,
    )
    def delete(self, request: Request, macro_id: UUID) -> HttpResponseBase:
        macros.delete_macro(macro=macros.find_macro(self.workspace.pk, macro_id), now=self.now)
        return Response(status=204)


class RunMacro(TicketView):
    """A macro, run by hand."""

    permissions = {"POST": Permission.WORK}

    @described(
        "macros_run",
        "Run a macro on tickets",
        request=MacroRunIn,
        answer=MacroRunOut,
        needs=AGENTS,
        description="You do what it says, on each ticket all of it or nothing. A ticket that is refused does not "
        "keep the others from being done: see its `detail`. 409 for a macro that is switched off.",
        tag=AUTOMATION,
    )
    @idempotent
    def post(self, request: Request, macro_id: UUID) -> HttpResponseBase:
        results = macros.run_on_many(
            macro=macros.find_macro(self.workspace.pk, macro_id),
            ticket_ids=self.read(MacroRunIn)["ticket_ids"],
            member=self.membership,
            now=self.now,
            together=HEADER in request.headers,  # the answer is kept in one transaction with all of it
        )
        return Response({"results": [result_json(result) for result in results]})
