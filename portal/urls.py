"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal import views

app_name = "portal"
urlpatterns = [
    path("portal/tickets/<uuid:ticket_id>", views.ticket, name="ticket"),
    path("portal/tickets/<uuid:ticket_id>/files/<uuid:file_id>", views.file, name="file"),
    path("portal/<slug:slug>", views.submit, name="submit"),
]
