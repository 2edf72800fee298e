"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal.api import chat
from portal.api import requests as api
from portal.views import branding, home, requests, settings

app_name = "portal"
urlpatterns = [
    path("portal/tickets/<uuid:ticket_id>", requests.ticket, name="ticket"),
    path("portal/tickets/<uuid:ticket_id>/rating", requests.rate, name="rate"),
    path("portal/tickets/<uuid:ticket_id>/files/<uuid:file_id>", requests.file, name="file"),
    path("api/public/tickets", api.PublicTickets.as_view(), name="public-tickets"),
    path("api/public/tickets/from-chat", chat.FromChat.as_view(), name="public-from-chat"),
    path("api/public/tickets/escalate", chat.Escalate.as_view(), name="public-escalate"),
    path("api/public/tickets/<uuid:ticket_id>", api.PublicTicketDetail.as_view(), name="public-ticket"),
    path("api/public/tickets/<uuid:ticket_id>/reply", api.PublicReply.as_view(), name="public-reply"),
    path(
        "api/public/tickets/<uuid:ticket_id>/satisfaction",
        api.PublicSatisfaction.as_view(),
        name="public-satisfaction",
    ),
    # Each portal: home, submit, language
    path("portal/<slug:slug>", home.home, name="home"),
    path("portal/<slug:slug>/new", requests.submit, name="submit"),
    path("portal/<slug:slug>/suggestions", home.suggest, name="suggestions"),
    path("portal/<slug:slug>/language", home.language, name="language"),
    path("portal/<slug:slug>/brand.css", branding.brand, name="brand"),
    path("portal/<slug:slug>/logo", branding.logo, name="logo"),
    # Settings → Portal
    path("settings/portal", settings.settings, name="settings"),
    path("settings/portal/accent", settings.preview, name="settings-accent"),
]
