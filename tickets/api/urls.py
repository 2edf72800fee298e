"""Addresses of the tickets API; words stand before ids."""

from django.urls import path

from tickets.api import views

app_name = "tickets_api"
urlpatterns = [
    path("tickets", views.Tickets.as_view(), name="tickets"),
    path("tickets/trash", views.Trash.as_view(), name="trash"),
    path("tickets/categories", views.Categories.as_view(), name="categories"),
    path("tickets/categories/<uuid:category_id>", views.OneCategory.as_view(), name="category"),
    path("tickets/fields", views.Fields.as_view(), name="fields"),
    path("tickets/fields/<uuid:field_id>", views.OneField.as_view(), name="field"),
    path("tickets/canned-responses", views.CannedResponses.as_view(), name="canned-responses"),
    path("tickets/canned-responses/<uuid:response_id>", views.OneCannedResponse.as_view(), name="canned-response"),
    path(
        "tickets/canned-responses/<uuid:response_id>/use", views.UseCannedResponse.as_view(), name="canned-response-use"
    ),
    path("tickets/<uuid:ticket_id>", views.OneTicket.as_view(), name="ticket"),
    path("tickets/<uuid:ticket_id>/resolve", views.Resolve.as_view(), name="resolve"),
    path("tickets/<uuid:ticket_id>/close", views.Close.as_view(), name="close"),
    path("tickets/<uuid:ticket_id>/reopen", views.Reopen.as_view(), name="reopen"),
    path("tickets/<uuid:ticket_id>/assign", views.Assign.as_view(), name="assign"),
    path("tickets/<uuid:ticket_id>/unassign", views.Unassign.as_view(), name="unassign"),
    path("tickets/<uuid:ticket_id>/merge", views.Merge.as_view(), name="merge"),
    path("tickets/<uuid:ticket_id>/unmerge", views.Unmerge.as_view(), name="unmerge"),
    path("tickets/<uuid:ticket_id>/split", views.Split.as_view(), name="split"),
    path("tickets/<uuid:ticket_id>/links", views.Links.as_view(), name="links"),
    path("tickets/<uuid:ticket_id>/watch", views.Watch.as_view(), name="watch"),
    path("tickets/<uuid:ticket_id>/restore", views.Restore.as_view(), name="restore"),
    path("tickets/<uuid:ticket_id>/activities", views.Activities.as_view(), name="activities"),
    path("tickets/<uuid:ticket_id>/comments", views.Comments.as_view(), name="comments"),
    path("tickets/<uuid:ticket_id>/comments/<uuid:comment_id>", views.OneComment.as_view(), name="comment"),
    path("tickets/<uuid:ticket_id>/attachments", views.Attachments.as_view(), name="attachments"),
    path("attachments/<uuid:attachment_id>", views.Download.as_view(), name="attachment"),
    path("tags", views.Tags.as_view(), name="tags"),
]
