"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal.api import chat, puzzle
from portal.api import requests as api
from portal.views import requests, widget

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
    # Other sites: the widget, and the puzzle before a request
    path("api/public/challenge", puzzle.Challenge.as_view(), name="public-challenge"),
    path("portal/<slug:slug>/widget.js", widget.script, name="widget"),
    path("portal/<slug:slug>", requests.submit, name="submit"),
]
