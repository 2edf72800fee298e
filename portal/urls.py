"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal.api import chat
from portal.api import requests as api
from portal.views import reading, requests

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
    # Help articles
    path("portal/<slug:slug>/search", reading.search, name="search"),
    path("portal/<slug:slug>/categories/<slug:category_slug>", reading.category, name="category"),
    path("portal/<slug:slug>/articles/<slug:article_slug>", reading.article, name="article"),
    path("portal/<slug:slug>/articles/<slug:article_slug>/feedback", reading.feedback, name="article-feedback"),
    path("portal/<slug:slug>/articles/<slug:article_slug>/view", reading.viewed, name="article-view"),
]
