"""Addresses of the service levels."""

from django.urls import path

from slas.api import views as api
from slas.views import settings, ticket

app_name = "slas"
urlpatterns = [
    # Console: settings
    path("settings/sla-policies", settings.policies, name="policies"),
    path("settings/sla-policies/new", settings.policy, name="policy-new"),
    path("settings/sla-policies/<uuid:pk>", settings.policy, name="policy-edit"),
    path("settings/sla-policies/<uuid:pk>/move", settings.policy_move, name="policy-move"),
    path("settings/sla-policies/<uuid:pk>/delete", settings.policy_delete, name="policy-delete"),
    path("settings/sla-policies/<uuid:pk>/what-if", settings.policy_what_if, name="policy-what-if"),
    path("settings/business-hours", settings.business_hours, name="business-hours"),
    path("settings/business-hours/new", settings.hours, name="hours-new"),
    path("settings/business-hours/preview", settings.hours_preview, name="hours-preview"),
    path("settings/business-hours/regions", settings.regions, name="hours-regions"),
    path("settings/business-hours/<uuid:pk>", settings.hours, name="hours-edit"),
    path("settings/business-hours/<uuid:pk>/delete", settings.hours_delete, name="hours-delete"),
    path("settings/business-hours/<uuid:pk>/what-if", settings.hours_what_if, name="hours-what-if"),
    path("settings/sla-jobs/<uuid:pk>", settings.job, name="job"),
    path("tickets/<uuid:pk>/sla", ticket.why, name="why"),
    path("tickets/<uuid:pk>/sla/policy", ticket.give_policy, name="give-policy"),
    # API
    path("api/tickets/sla-policies", api.Policies.as_view(), name="api-policies"),
    path("api/tickets/sla-policies/<uuid:policy_id>", api.OnePolicy.as_view(), name="api-policy"),
    path("api/tickets/sla-policies/<uuid:policy_id>/what-if", api.PolicyWhatIf.as_view(), name="api-policy-what-if"),
    path("api/tickets/business-hours", api.ManyHours.as_view(), name="api-hours-list"),
    path("api/tickets/business-hours/<uuid:hours_id>", api.OneHours.as_view(), name="api-hours"),
    path("api/tickets/business-hours/<uuid:hours_id>/what-if", api.HoursWhatIf.as_view(), name="api-hours-what-if"),
    path("api/tickets/business-hours/<uuid:hours_id>/agents", api.HoursAgents.as_view(), name="api-hours-agents"),
    path("api/tickets/sla-jobs", api.Jobs.as_view(), name="api-jobs"),
    path("api/tickets/sla-jobs/<uuid:job_id>", api.OneJob.as_view(), name="api-job"),
    path("api/tickets/<uuid:ticket_id>/sla", api.TicketSLA.as_view(), name="api-ticket-sla"),
]
