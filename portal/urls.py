"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal import views
from portal.api import chat, requests

app_name = "portal"
urlpatterns = [
    path("portal/tickets/<uuid:ticket_id>", views.ticket, name="ticket"),
    path("portal/tickets/<uuid:ticket_id>/rating", views.rate, name="rate"),
    path("portal/tickets/<uuid:ticket_id>/files/<uuid:file_id>", views.file, name="file"),
    path("api/public/tickets", requests.PublicTickets.as_view(), name="public-tickets"),
    path("api/public/tickets/from-chat", chat.FromChat.as_view(), name="public-from-chat"),
    path("api/public/tickets/escalate", chat.Escalate.as_view(), name="public-escalate"),
    path("api/public/tickets/<uuid:ticket_id>", requests.PublicTicketDetail.as_view(), name="public-ticket"),
    path("api/public/tickets/<uuid:ticket_id>/reply", requests.PublicReply.as_view(), name="public-reply"),
    path(
        "api/public/tickets/<uuid:ticket_id>/satisfaction",
        requests.PublicSatisfaction.as_view(),
        name="public-satisfaction",
    ),
    path("portal/<slug:slug>", views.submit, name="submit"),
]
