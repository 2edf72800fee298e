"""Addresses of the console."""

from django.urls import path

from tickets.views import queue, setup, ticket

app_name = "tickets"
urlpatterns = [
    path("tickets", queue.everything, name="all"),
    path("tickets/view/<slug:view>", queue.queue, name="queue"),
    path("tickets/view/<slug:view>/save", queue.save_view, name="view-save"),
    path("tickets/views/<uuid:pk>/delete", queue.delete_view, name="view-delete"),
    path("tickets/trash", queue.trash, name="trash"),
    path("tickets/trash/<uuid:pk>/restore", queue.restore, name="restore"),
    path("tickets/new", ticket.new, name="new"),
    path("tickets/similar", ticket.similar, name="similar"),
    path("tickets/attachments/<uuid:pk>", ticket.attachment, name="attachment"),
    path("tickets/comments/<uuid:pk>/edit", ticket.edit_comment, name="comment-edit"),
    path("tickets/comments/<uuid:pk>/delete", ticket.delete_comment, name="comment-delete"),
    path("tickets/comments/<uuid:pk>/split", ticket.split, name="comment-split"),
    path("tickets/<uuid:pk>", ticket.show, name="ticket"),
    path("tickets/<uuid:pk>/reply", ticket.reply, name="reply"),
    path("tickets/preview", ticket.preview, name="preview"),
    path("tickets/<uuid:pk>/assign", ticket.assign, name="assign"),
    path("tickets/<uuid:pk>/unassign", ticket.unassign, name="unassign"),
    path("tickets/<uuid:pk>/assign-to-me", ticket.assign_to_me, name="assign-to-me"),
    path("tickets/<uuid:pk>/status", ticket.status, name="status"),
    path("tickets/<uuid:pk>/update", ticket.update, name="update"),
    path("tickets/<uuid:pk>/merge", ticket.merge, name="merge"),
    path("tickets/<uuid:pk>/unmerge", ticket.unmerge, name="unmerge"),
    path("tickets/<uuid:pk>/link", ticket.link, name="link"),
    path("tickets/<uuid:pk>/cc", ticket.add_cc, name="cc-add"),
    path("tickets/<uuid:pk>/watch", ticket.watch, name="watch"),
    path("tickets/<uuid:pk>/trash", ticket.trash, name="ticket-trash"),
    path("canned-responses/search", setup.canned_search, name="canned-search"),
    path("canned-responses/<uuid:pk>/use", setup.canned_use, name="canned-use"),
    path("settings/categories", setup.categories, name="settings-categories"),
    path("settings/categories/new", setup.category, name="category-new"),
    path("settings/categories/<uuid:pk>", setup.category, name="category-edit"),
    path("settings/categories/<uuid:pk>/delete", setup.category_delete, name="category-delete"),
    path("settings/fields", setup.fields, name="settings-fields"),
    path("settings/fields/new", setup.field, name="field-new"),
    path("settings/fields/<uuid:pk>", setup.field, name="field-edit"),
    path("settings/fields/<uuid:pk>/delete", setup.field_delete, name="field-delete"),
    path("settings/canned-responses", setup.canned_responses, name="settings-canned-responses"),
    path("settings/canned-responses/new", setup.canned_response, name="canned-response-new"),
    path("settings/canned-responses/<uuid:pk>", setup.canned_response, name="canned-response-edit"),
    path("settings/canned-responses/<uuid:pk>/delete", setup.canned_response_delete, name="canned-response-delete"),
]
