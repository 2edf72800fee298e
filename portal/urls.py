"""Addresses of the portal's pages and of the public API."""

from django.urls import path

from portal.api import chat, lookup, puzzle
from portal.api import requests as api
from portal.views import articles, branding, home, privacy, reading, requests, settings, visits, widget

app_name = "portal"
urlpatterns = [
    path("portal/tickets/<uuid:ticket_id>", requests.ticket, name="ticket"),
    path("portal/tickets/<uuid:ticket_id>/rating", requests.rate, name="rate"),
    # Find my requests, and what customers do with one.
    path("portal/<slug:slug>/requests", visits.requests, name="requests"),
    path("portal/<slug:slug>/sign-in", visits.sign_in, name="sign-in"),
    path("portal/<slug:slug>/sign-out", visits.sign_out, name="sign-out"),
    path("portal/tickets/<uuid:ticket_id>/close", requests.close, name="close"),
    path("portal/tickets/<uuid:ticket_id>/reopen", requests.reopen, name="reopen"),
    path("portal/tickets/<uuid:ticket_id>/files/<uuid:file_id>", requests.file, name="file"),
    path("api/public/tickets", api.PublicTickets.as_view(), name="public-tickets"),
    path("api/public/tickets/from-chat", chat.FromChat.as_view(), name="public-from-chat"),
    path("api/public/tickets/escalate", chat.Escalate.as_view(), name="public-escalate"),
    path("api/public/tickets/lookup", lookup.Lookup.as_view(), name="public-lookup"),
    path("api/public/tickets/<uuid:ticket_id>", api.PublicTicketDetail.as_view(), name="public-ticket"),
    path(
        "api/public/tickets/<uuid:ticket_id>/attachments/<uuid:file_id>",
        api.PublicFile.as_view(),
        name="public-attachment",
    ),
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
    # Settings: privacy
    path("settings/privacy", privacy.privacy_page, name="privacy"),
    path("settings/privacy/export", privacy.export, name="privacy-export"),
    path("settings/privacy/erase", privacy.erase, name="privacy-erase"),
    path("settings/privacy/<uuid:request_id>/file", privacy.file, name="privacy-file"),
    path("settings/privacy/<uuid:request_id>/again", privacy.again, name="privacy-again"),
    # Help articles
    path("portal/<slug:slug>/search", reading.search, name="search"),
    path("portal/<slug:slug>/categories/<slug:category_slug>", reading.category, name="category"),
    path("portal/<slug:slug>/articles/<slug:article_slug>", reading.article, name="article"),
    path("portal/<slug:slug>/articles/<slug:article_slug>/feedback", reading.feedback, name="article-feedback"),
    path("portal/<slug:slug>/articles/<slug:article_slug>/view", reading.viewed, name="article-view"),
    # Other sites: the widget, and the puzzle before a request
    path("api/public/challenge", puzzle.Challenge.as_view(), name="public-challenge"),
    path("portal/<slug:slug>/widget.js", widget.script, name="widget"),
]

# Help articles in the console.
urlpatterns += [
    path("articles", articles.article_list, name="articles"),
    path("articles/new", articles.article_new, name="article-new"),
    path("articles/for-ticket/<uuid:ticket_id>", articles.for_ticket, name="articles-for-ticket"),
    path("articles/from-ticket/<uuid:ticket_id>", articles.from_ticket, name="article-from-ticket"),
    path("articles/categories", articles.category_list, name="article-categories"),
    path("articles/categories/new", articles.category, name="article-category-new"),
    path("articles/categories/order", articles.category_order, name="article-category-order"),
    path("articles/categories/<uuid:pk>", articles.category, name="article-category-edit"),
    path("articles/categories/<uuid:pk>/move", articles.category_move, name="article-category-move"),
    path("articles/categories/<uuid:pk>/delete", articles.category_delete, name="article-category-delete"),
    path("articles/<uuid:pk>", articles.article_edit, name="article-edit"),
    path("articles/<uuid:pk>/text", articles.article_text, name="article-text"),
    path("articles/<uuid:pk>/unpublish", articles.article_unpublish, name="article-unpublish"),
    path("articles/<uuid:pk>/delete", articles.article_delete, name="article-delete"),
]
