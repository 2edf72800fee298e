"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal.api import chat
from portal.api import requests as api
from portal.views import privacy, requests

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
    path("portal/<slug:slug>", requests.submit, name="submit"),
    # Settings: privacy
    path("settings/privacy", privacy.privacy_page, name="privacy"),
    path("settings/privacy/export", privacy.export, name="privacy-export"),
    path("settings/privacy/erase", privacy.erase, name="privacy-erase"),
    path("settings/privacy/<uuid:request_id>/file", privacy.file, name="privacy-file"),
    path("settings/privacy/<uuid:request_id>/again", privacy.again, name="privacy-again"),
]
