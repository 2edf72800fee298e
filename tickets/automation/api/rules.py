"""The REST API of the rules: what happens by itself, in which order, and what each did and why."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
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
from tickets.api.serializers import Id, of, plain
from tickets.api.views.base import ADMINS, EVERYONE, TicketView
from tickets.automation import conditions
from tickets.automation.models import TRIGGERS, Rule, Run
from tickets.automation.services import actions, setup, wording

AUTOMATION = "Automation"
TRIGGER_WORDS = [word for word, _ in TRIGGERS]
ACTION_WORDS = list(actions.ACTIONS)

# --- Shapes -----------------------------------------------------------------------------------

_PARTS = {"type": "array", "items": {"type": "object"}}


@extend_schema_field(
    {
        "type": "object",
        "properties": {"all": _PARTS, "any": _PARTS},
        "additionalProperties": False,
        "description": (
            "`all` or `any` of a list. In it stand groups again, up to "
            f'{conditions.MAX_DEPTH} deep, and tests like {{"field": "subject", "contains": ["refund"]}} or '
            '{"field": "attribute", "name": "plan", "is": ["pro"]}. A list of values means any of them; `is_not` and '
            "`contains_not` mean none of them; the value `none` stands for having none. Text is compared without "
            "regard to case, and comes back in lower case. Fields: "
            + "; ".join(f"`{name}` ({', '.join(words)})" for name, words in conditions.FIELDS.items())
            + "."
        ),
    }
)
class Conditions(serializers.JSONField):
    """Which tickets a rule is for; the service reads it."""


@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": actions.MAX_ACTIONS,
        "items": {
            "type": "object",
            "properties": {"do": {"type": "string", "enum": ACTION_WORDS}},
            "required": ["do"],
        },
        "description": (
            'What is done, in this order: `assign` with a `user_id`, or with a `method` ("least_busy", '
            '"round_robin") and a `team_id` that may be null; `set_team` (`team_id`), `set_priority` (`priority`), '
            "`set_status` (`status`), `set_category` (`category_id`), `add_tags` and `remove_tags` (`tags`), "
            "`add_note` (`body`), `add_watcher` (`user_id`), `set_sla_policy` (`policy_id`), `send_canned_response` "
            "(`canned_response_id`) to the customer, `notify` (`user_ids`, `team_ids`, `body`) by mail, `send_webhook` "
            "(`url`), `escalate`: the priority a step up, and the lead of the ticket's team is told."
        ),
    }
)
class Actions(serializers.JSONField):
    """What a rule does; the service reads it."""


class RuleIn(StrictSerializer):
    """A new rule."""

    name = serializers.CharField(max_length=80)
    position = serializers.IntegerField(
        min_value=1,
        max_value=10_000,
        required=False,
        help_text="Its place in the order, from 1; the last unless given. The others make room.",
    )
    is_active = serializers.BooleanField(required=False, help_text="`true` unless given.")
    triggers = serializers.ListField(
        child=serializers.ChoiceField(choices=TRIGGER_WORDS),
        allow_empty=False,
        max_length=50,
        help_text="What makes it look at a ticket.",
    )
    no_response_hours = serializers.DecimalField(
        max_digits=7,
        decimal_places=2,
        required=False,
        allow_null=True,
        coerce_to_string=False,
        help_text="Business hours, for the trigger `no_response`.",
    )
    idle_hours = serializers.DecimalField(
        max_digits=7,
        decimal_places=2,
        required=False,
        allow_null=True,
        coerce_to_string=False,
        help_text="Hours, for the trigger `idle`.",
    )
    message_count = serializers.IntegerField(
        min_value=2,
        max_value=50,
        required=False,
        allow_null=True,
        help_text="Messages in a row, for the trigger `customer_messages`.",
    )
    conditions = Conditions(required=False)
    actions = Actions()
    stops = serializers.BooleanField(
        required=False, help_text="Where it matched, the rules after it are not asked. `false` unless given."
    )


class RuleChanges(RuleIn):
    """The fields to change; those that are not sent stay. `conditions` and `actions` are whole."""

    name = serializers.CharField(max_length=80, required=False)
    triggers = serializers.ListField(
        child=serializers.ChoiceField(choices=TRIGGER_WORDS), allow_empty=False, max_length=50, required=False
    )
    actions = Actions(required=False)


class RuleOrder(StrictSerializer):
    """Every rule of the workspace once, in the order in which they are to be asked."""

    rule_ids = serializers.ListField(child=Id(), max_length=setup.MAX_RULES)


class RuleOut(serializers.Serializer):
    """When … if … then: a rule."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    position = serializers.IntegerField()
    is_active = serializers.BooleanField()
    triggers = serializers.ListField(child=serializers.ChoiceField(choices=TRIGGER_WORDS))
    no_response_hours = serializers.FloatField(allow_null=True)
    idle_hours = serializers.FloatField(allow_null=True)
    message_count = serializers.IntegerField(allow_null=True)
    conditions = Conditions()
    actions = Actions()
    stops = serializers.BooleanField()
    notice = serializers.CharField(help_text="Why it was switched off by itself; empty otherwise.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class DoneOut(serializers.Serializer):
    """What became of one action."""

    action = serializers.CharField(help_text="Its `do`; empty where the rule was stopped.")
    text = serializers.CharField(help_text="What was done, or why not.")
    is_done = serializers.BooleanField()


class RunOut(serializers.Serializer):
    """That a rule matched a ticket: why, and what it did."""

    id = serializers.UUIDField()
    rule_id = serializers.UUIDField()
    rule_name = serializers.CharField()
    ticket_id = serializers.UUIDField()
    ticket_number = serializers.CharField()
    trigger = serializers.ChoiceField(choices=TRIGGER_WORDS)
    reasons = serializers.ListField(
        child=serializers.CharField(), help_text="The conditions that were met, in words, with names instead of ids."
    )
    done = DoneOut(many=True)
    ran_at = serializers.DateTimeField()


_RULE_FIELDS = (
    "id",
    "name",
    "position",
    "is_active",
    "triggers",
    "no_response_hours",
    "idle_hours",
    "message_count",
    "conditions",
    "actions",
    "stops",
    "notice",
    "created_at",
    "updated_at",
)
# As the answer names them, and where they stand.
_RUN_FIELDS = {
    "id": "pk",
    "rule_id": "rule_id",
    "rule_name": "rule__name",
    "ticket_id": "ticket_id",
    "ticket_number": "ticket__ticket_number",
    "trigger": "trigger",
    "reasons": "reasons",
    "done": "done",
    "ran_at": "ran_at",
}


def rule_json(rule: Rule) -> dict[str, Any]:
    """A rule."""
    hours = {name: getattr(rule, name) for name in ("no_response_hours", "idle_hours")}
    return of(rule, _RULE_FIELDS) | {name: None if value is None else float(value) for name, value in hours.items()}


def run_json(row: Mapping[str, Any], names: wording.Names) -> dict[str, Any]:
    """A run, of a row of values; its reasons name what they are about."""
    run = plain({name: row[where] for name, where in _RUN_FIELDS.items()})
    return run | {"reasons": [wording.reason_words(text, names) for text in row["reasons"]]}


# --- Rules ------------------------------------------------------------------------------------


class Rules(TicketView):
    """What happens by itself."""

    permissions = {"POST": Permission.MANAGE}

    @described(
        "automation_rules_list",
        "List automation rules",
        answer=envelope_of("automation_rules", RuleOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="In the order in which they are asked.",
        tag=AUTOMATION,
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = Rule.objects.for_workspace(self.workspace).filter(archived_at=None)
        return self.page(
            rows.order_by("position", "created_at", "pk"),
            plural="automation_rules",
            to_json=lambda page: [rule_json(row) for row in page],
        )

    @described(
        "automation_rules_create",
        "Create an automation rule",
        request=RuleIn,
        answer=RuleOut,
        status=201,
        needs=ADMINS,
        description="Without `conditions` it is for every ticket.",
        tag=AUTOMATION,
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = setup.save_rule(workspace=self.workspace, changes=self.read(RuleIn), now=self.now)
        headers = {"Location": f"/api/tickets/automation-rules/{made.pk}"}
        return Response(rule_json(made), status=201, headers=headers)


class OneRule(TicketView):
    """A rule."""

    permissions = {"PUT": Permission.MANAGE, "PATCH": Permission.MANAGE, "DELETE": Permission.MANAGE}

    @described("automation_rules_get", "Get an automation rule", answer=RuleOut, needs=EVERYONE, tag=AUTOMATION)
    def get(self, request: Request, rule_id: UUID) -> HttpResponseBase:
        return Response(rule_json(setup.find_rule(self.workspace.pk, rule_id)))

    @described(
        "automation_rules_update",
        "Update an automation rule",
        request=RuleChanges,
        answer=RuleOut,
        needs=ADMINS,
        description="Changes the fields that are sent; `conditions` and `actions` are whole. Switching it on takes "
        "its `notice` away.",
        tag=AUTOMATION,
    )
    def put(self, request: Request, rule_id: UUID) -> HttpResponseBase:
        changes = self.read(RuleChanges)
        rule = setup.find_rule(self.workspace.pk, rule_id)
        return Response(rule_json(setup.save_rule(workspace=self.workspace, changes=changes, rule=rule, now=self.now)))

    @described(
        "automation_rules_patch",
        "Update an automation rule",
        request=RuleChanges,
        answer=RuleOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag=AUTOMATION,
    )
    def patch(self, request: Request, rule_id: UUID) -> HttpResponseBase:
        return self.put(request, rule_id)

    @described(
        "automation_rules_delete",
        "Delete an automation rule",
        answer=None,
        status=204,
        needs=ADMINS,
        description="It is asked no more; what it did stays in the logs of its tickets.",
        tag=AUTOMATION,
    )
    def delete(self, request: Request, rule_id: UUID) -> HttpResponseBase:
        setup.delete_rule(rule=setup.find_rule(self.workspace.pk, rule_id), now=self.now)
        return Response(status=204)


class OrderOfRules(TicketView):
    """Which rule is asked before which."""

    permissions = {"PUT": Permission.MANAGE}
    problems = {}

    @described(
        "automation_rules_order",
        "Put the automation rules in order",
        request=RuleOrder,
        answer=RuleOrder,
        needs=ADMINS,
        description="Names every rule of the workspace once.",
        tag=AUTOMATION,
    )
    def put(self, request: Request) -> HttpResponseBase:
        wanted = self.read(RuleOrder)["rule_ids"]
        ordered = setup.order_rules(workspace=self.workspace, rule_ids=wanted, now=self.now)
        return Response({"rule_ids": [str(rule.pk) for rule in ordered]})


# --- Logs -------------------------------------------------------------------------------------


class LogView(TicketView):
    """What the logs share."""

    problems = {}

    def log(self, rows: QuerySet[Run]) -> Response:
        """A page of these runs, newest first."""
        return self.page(
            rows.order_by("-ran_at", "-pk").values(*_RUN_FIELDS.values()),
            plural="runs",
            to_json=self._runs,
        )

    def _runs(self, page: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The runs of a page. One query for all names in them."""
        rows = list(page)
        names = wording.names_of(self.workspace.pk, *(row["reasons"] for row in rows))
        return [run_json(row, names) for row in rows]


class RuleLog(LogView):
    """What a rule did."""

    @described(
        "automation_rules_log",
        "List what an automation rule did",
        answer=envelope_of("runs", RunOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="Newest first.",
        tag=AUTOMATION,
    )
    def get(self, request: Request, rule_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        rule = setup.find_rule(self.workspace.pk, rule_id)
        return self.log(Run.objects.for_workspace(self.workspace).filter(rule=rule))


class TicketLog(LogView):
    """What rules did to a ticket."""

    @described(
        "tickets_automation_log",
        "List what automation did to a ticket",
        answer=envelope_of("runs", RunOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="Newest first: why was this assigned? Rules that were deleted since are named, too.",
        tag=AUTOMATION,
    )
    def get(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        self.only_parameters()
        ticket = self.ticket(ticket_id)
        return self.log(Run.objects.for_workspace(self.workspace).filter(ticket=ticket))
