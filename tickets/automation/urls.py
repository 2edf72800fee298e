"""Addresses of the automation."""

from django.urls import path

from helpdesk.api import people
from tickets.automation.api import rules

app_name = "automation"
urlpatterns = [
    path("api/tickets/automation-rules", rules.Rules.as_view(), name="api-rules"),
    path("api/tickets/automation-rules/order", rules.OrderOfRules.as_view(), name="api-order"),
    path("api/tickets/automation-rules/<uuid:rule_id>", rules.OneRule.as_view(), name="api-rule"),
    path("api/tickets/automation-rules/<uuid:rule_id>/log", rules.RuleLog.as_view(), name="api-rule-log"),
    path("api/tickets/<uuid:ticket_id>/automation-log", rules.TicketLog.as_view(), name="api-ticket-log"),
    # Who can be given tickets by a rule.
    path("api/me/availability", people.OwnAvailability.as_view(), name="api-own-availability"),
    path("api/users/<uuid:user_id>/availability", people.UserAvailability.as_view(), name="api-availability"),
]
