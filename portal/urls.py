"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal import api, views

app_name = "portal"
urlpatterns = [
    path("portal/tickets/<uuid:ticket_id>", views.ticket, name="ticket"),
    path("portal/tickets/<uuid:ticket_id>/rating", views.rate, name="rate"),
    path("portal/tickets/<uuid:ticket_id>/files/<uuid:file_id>", views.file, name="file"),
    path("api/public/tickets", api.PublicTickets.as_view(), name="public-tickets"),
    path("api/public/tickets/<uuid:ticket_id>", api.PublicTicketDetail.as_view(), name="public-ticket"),
    path("api/public/tickets/<uuid:ticket_id>/reply", api.PublicReply.as_view(), name="public-reply"),
    path("portal/<slug:slug>", views.submit, name="submit"),
]
