"""Addresses of the automation."""

from django.urls import path

from helpdesk.api import people
from tickets.automation.api import recurring as recurring_api
from tickets.automation.api import rules
from tickets.automation.views import recurring

app_name = "automation"
urlpatterns = [
    # Console
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
    path("api/tickets/<uuid:ticket_id>/automation-log", rules.TicketLog.as_view(), name="api-ticket-log"),
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
