"""Addresses of the automation."""

from django.urls import path

from helpdesk.api import people
from tickets.automation.api import dry_runs, rules
from tickets.automation.api import macros as api_macros
from tickets.automation.api import recurring as recurring_api
from tickets.automation.views import dry_run, macro_settings, macros, recurring
from tickets.automation.views import rules as pages

app_name = "automation"
urlpatterns = [
    # Console
    path("settings/macros", macro_settings.macro_list, name="macro-list"),
    path("settings/macros/new", macro_settings.macro_form, name="macro-new"),
    path("settings/macros/<uuid:macro_id>", macro_settings.macro_form, name="macro-edit"),
    path("settings/macros/<uuid:macro_id>/move", macro_settings.macro_move, name="macro-move"),
    path("settings/macros/<uuid:macro_id>/delete", macro_settings.macro_delete, name="macro-delete"),
    path("settings/automation", pages.rules, name="rules"),
    path("settings/automation/new", pages.rule, name="rule-new"),
    path("settings/automation/order", pages.rules_order, name="order"),
    path("settings/automation/<uuid:rule_id>", pages.rule, name="rule-edit"),
    path("settings/automation/<uuid:rule_id>/move", pages.rule_move, name="rule-move"),
    path("settings/automation/<uuid:rule_id>/switch", pages.rule_switch, name="rule-switch"),
    path("settings/automation/<uuid:rule_id>/delete", pages.rule_delete, name="rule-delete"),
    path("settings/automation/<uuid:rule_id>/log", pages.rule_log, name="rule-log"),
    path("tickets/<uuid:pk>/automation", pages.why, name="why"),
    path("tickets/macros", macros.choose, name="macros"),
    path("tickets/macros/run", macros.run_on_many, name="macros-run"),
    path("tickets/<uuid:pk>/macros", macros.choose_for_ticket, name="ticket-macros"),
    path("tickets/<uuid:pk>/macros/<uuid:macro_id>/run", macros.run, name="macro-run"),
    path("settings/automation/<uuid:rule_id>/dry-run", dry_run.page, name="dry-run"),
    path("settings/automation/<uuid:rule_id>/dry-run/switch-on", dry_run.switch_on, name="dry-run-switch-on"),
    path("settings/recurring-tickets", recurring.recurring_tickets, name="recurring"),
    path("settings/recurring-tickets/new", recurring.recurring_ticket, name="recurring-new"),
    path("settings/recurring-tickets/preview", recurring.preview, name="recurring-preview"),
    path("settings/recurring-tickets/<uuid:pk>", recurring.recurring_ticket, name="recurring-edit"),
    path("settings/recurring-tickets/<uuid:pk>/log", recurring.log, name="recurring-log"),
    path("settings/recurring-tickets/<uuid:pk>/switch", recurring.switch, name="recurring-switch"),
    path("settings/recurring-tickets/<uuid:pk>/delete", recurring.delete, name="recurring-delete"),
    # API
    path("api/tickets/automation-rules", rules.Rules.as_view(), name="api-rules"),
    path("api/tickets/automation-rules/order", rules.OrderOfRules.as_view(), name="api-order"),
    path("api/tickets/automation-rules/<uuid:rule_id>", rules.OneRule.as_view(), name="api-rule"),
    path("api/tickets/automation-rules/<uuid:rule_id>/log", rules.RuleLog.as_view(), name="api-rule-log"),
    path("api/tickets/automation-rules/<uuid:rule_id>/dry-runs", dry_runs.DryRuns.as_view(), name="api-dry-runs"),
    path("api/tickets/dry-runs/<uuid:dry_run_id>", dry_runs.OneDryRun.as_view(), name="api-dry-run"),
    path("api/tickets/dry-runs/<uuid:dry_run_id>/rows", dry_runs.DryRunRows.as_view(), name="api-dry-run-rows"),
    path("api/tickets/<uuid:ticket_id>/automation-log", rules.TicketLog.as_view(), name="api-ticket-log"),
    path("api/tickets/macros", api_macros.Macros.as_view(), name="api-macros"),
    path("api/tickets/macros/<uuid:macro_id>", api_macros.OneMacro.as_view(), name="api-macro"),
    path("api/tickets/macros/<uuid:macro_id>/run", api_macros.RunMacro.as_view(), name="api-macro-run"),
    path("api/tickets/recurring-tickets", recurring_api.RecurringTickets.as_view(), name="api-recurring-tickets"),
    path(
        "api/tickets/recurring-tickets/<uuid:recurring_id>",
        recurring_api.OneRecurringTicket.as_view(),
        name="api-recurring-ticket",
    ),
    path(
        "api/tickets/recurring-tickets/<uuid:recurring_id>/runs",
        recurring_api.RecurringRuns.as_view(),
        name="api-recurring-runs",
    ),
    # Who can be given tickets by a rule.
    path("api/me/availability", people.OwnAvailability.as_view(), name="api-own-availability"),
    path("api/users/<uuid:user_id>/availability", people.UserAvailability.as_view(), name="api-availability"),
]
