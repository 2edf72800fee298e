"""The REST API of dry runs: what a rule would have done in the last 30 days."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.errors import InvalidInput
from tickets.api.schema import described
from tickets.api.serializers import of, plain
from tickets.api.views.base import ADMINS, EVERYONE, TicketView
from tickets.automation.api.rules import ACTION_WORDS, AUTOMATION, TRIGGER_WORDS, Actions, Conditions
from tickets.automation.models import DryRun
from tickets.automation.models.dry_runs import STATUSES
from tickets.automation.services import dry_run, setup

STATUS_WORDS = [word for word, _ in STATUSES]

# --- Shapes -----------------------------------------------------------------------------------


class AskedOut(serializers.Serializer):
    """The rule as it was when the dry run was asked for."""

    name = serializers.CharField()
    triggers = serializers.ListField(child=serializers.ChoiceField(choices=TRIGGER_WORDS))
    no_response_hours = serializers.FloatField(allow_null=True)
    idle_hours = serializers.FloatField(allow_null=True)
    message_count = serializers.IntegerField(allow_null=True)
    conditions = Conditions()
    actions = Actions()


class DryRunOut(serializers.Serializer):
    """How far it is, and what came of it. The counts are of all that was asked."""

    id = serializers.UUIDField()
    rule_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUS_WORDS)
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    total = serializers.IntegerField(help_text="Tickets to look at.")
    done = serializers.IntegerField(help_text="Tickets that were looked at.")
    events = serializers.IntegerField(help_text="How often the rule would have been asked.")
    tickets = serializers.IntegerField(help_text="About how many tickets.")
    matched_events = serializers.IntegerField()
    matched_tickets = serializers.IntegerField()
    asked = AskedOut()
    requested_by_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(help_text="Why it failed; empty otherwise.")


class ReasonOut(serializers.Serializer):
    """A condition, or the beginning of a group of them."""

    text = serializers.CharField()
    is_met = serializers.BooleanField()
    was = serializers.CharField(help_text="What the ticket had then; empty where that is long.")
    depth = serializers.IntegerField(help_text="How deep it stands in groups.")


class WouldChangeOut(serializers.Serializer):
    """What one action would have done."""

    action = serializers.ChoiceField(choices=ACTION_WORDS)
    text = serializers.CharField()
    is_change = serializers.BooleanField(help_text="`false` where it would have left everything as it was.")


class DryRunRowOut(serializers.Serializer):
    """A moment at which the rule would have been asked about a ticket, and the answer."""

    id = serializers.UUIDField()
    ticket_id = serializers.UUIDField()
    ticket_number = serializers.CharField()
    subject = serializers.CharField(help_text="As it is today.")
    activity_id = serializers.UUIDField(help_text="What happened, or since which a time was waited for.")
    trigger = serializers.ChoiceField(choices=TRIGGER_WORDS)
    happened_at = serializers.DateTimeField()
    is_matched = serializers.BooleanField()
    reasons = ReasonOut(many=True)
    changes = WouldChangeOut(many=True)


_FIELDS = (
    "id",
    "rule_id",
    "status",
    "since",
    "until",
    "total",
    "done",
    "events",
    "tickets",
    "matched_events",
    "matched_tickets",
    "asked",
    "requested_by_id",
    "created_at",
    "finished_at",
    "error",
)
# As the answer names them, and where they stand.
_ROW_FIELDS = {
    "id": "pk",
    "ticket_id": "ticket_id",
    "ticket_number": "ticket__ticket_number",
    "subject": "ticket__subject",
    "activity_id": "activity_id",
    "trigger": "trigger",
    "happened_at": "happened_at",
    "is_matched": "is_matched",
    "reasons": "reasons",
    "changes": "changes",
}


def dry_run_json(row: DryRun) -> dict[str, Any]:
    """A dry run."""
    return of(row, _FIELDS)


def _row_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return plain({name: row[where] for name, where in _ROW_FIELDS.items()})


# --- Doors ------------------------------------------------------------------------------------


class DryRuns(TicketView):
    """What a rule would have done."""

    permissions = {"POST": Permission.MANAGE}
    problems = {}

    @described(
        "automation_rules_dry_runs",
        "List the dry runs of an automation rule",
        answer=envelope_of("dry_runs", DryRunOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description=f"Newest first; the last {dry_run.KEPT_RUNS} are kept.",
        tag=AUTOMATION,
    )
    def get(self, request: Request, rule_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        rule = setup.find_rule(self.workspace.pk, rule_id)
        return self.page(
            dry_run.of_rule(rule), plural="dry_runs", to_json=lambda page: [dry_run_json(row) for row in page]
        )

    @described(
        "automation_rules_dry_run",
        "Try an automation rule on the past",
        answer=DryRunOut,
        status=202,
        needs=ADMINS,
        description=f"Asks in the background what the rule, as it is now, would have done in the last {dry_run.DAYS} "
        "days. Nothing is changed. One that is under way already for the same rule is given again.",
        tag=AUTOMATION,
    )
    @idempotent
    def post(self, request: Request, rule_id: UUID) -> HttpResponseBase:
        rule = setup.find_rule(self.workspace.pk, rule_id)
        asked = dry_run.ask(rule=rule, member=self.membership, now=self.now)
        return Response(dry_run_json(asked), status=202, headers={"Location": f"/api/tickets/dry-runs/{asked.pk}"})


class OneDryRun(TicketView):
    """A dry run."""

    problems = {}

    @described("automation_dry_runs_get", "Get a dry run", answer=DryRunOut, needs=EVERYONE, tag=AUTOMATION)
    def get(self, request: Request, dry_run_id: UUID) -> HttpResponseBase:
        return Response(dry_run_json(dry_run.find(self.workspace.pk, dry_run_id)))


class DryRunRows(TicketView):
    """The tickets of a dry run."""

    problems = {}

    @described(
        "automation_dry_runs_rows",
        "List what a dry run found",
        answer=envelope_of("dry_run_rows", DryRunRowOut),
        parameters=[
            OpenApiParameter("matched", bool, description="Only what matched, or only what did not."),
            *PAGE_PARAMETERS,
        ],
        needs=EVERYONE,
        description=f"Newest first. Up to {dry_run.KEPT:,} that matched and {dry_run.KEPT:,} that did not are kept; "
        "the counts of the dry run are of all.",
        tag=AUTOMATION,
    )
    def get(self, request: Request, dry_run_id: UUID) -> HttpResponseBase:
        self.only_parameters("matched")
        rows = dry_run.rows_of(dry_run.find(self.workspace.pk, dry_run_id), matched=self._matched())
        return self.page(
            rows.values(*_ROW_FIELDS.values()),
            plural="dry_run_rows",
            to_json=lambda page: [_row_json(row) for row in page],
        )

    def _matched(self) -> bool | None:
        given = self.request.query_params.get("matched")
        if given is None:
            return None
        if given not in ("true", "false"):
            raise InvalidInput.of("matched", "This must be true or false.")
        return given == "true"
