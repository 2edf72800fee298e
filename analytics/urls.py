"""Addresses of the reports."""

from django.urls import path
from django.views.generic import RedirectView

from analytics.api.agents import Agents
from analytics.api.csat import Csat
from analytics.api.distribution import Distribution
from analytics.api.export import Export
from analytics.api.overview import Overview
from analytics.api.peak_hours import PeakHours
from analytics.api.sla import SlaDetailed
from analytics.api.volume import TicketVolume
from analytics.views import csat

app_name = "analytics"
urlpatterns = [
    # Console
    path("reports", RedirectView.as_view(pattern_name="analytics:csat"), name="reports"),
    path("reports/csat", csat.page, name="csat"),
    # API; words stand before the ids of tickets
    path("api/tickets/analytics/csat", Csat.as_view(), name="api-csat"),
    path("api/tickets/analytics/export", Export.as_view(), name="api-export"),
    path("api/tickets/analytics/distribution", Distribution.as_view(), name="api-distribution"),
    path("api/tickets/analytics/overview", Overview.as_view(), name="api-overview"),
    path("api/tickets/analytics/agents", Agents.as_view(), name="api-agents"),
    path("api/tickets/analytics/sla/detailed", SlaDetailed.as_view(), name="api-sla-detailed"),
    path("api/tickets/analytics/volume", TicketVolume.as_view(), name="api-volume"),
    path("api/tickets/analytics/peak-hours", PeakHours.as_view(), name="api-peak-hours"),
]
