"""Addresses of the tickets API; words stand before ids."""

from django.urls import path

from tickets.api.views import conversation, feed, setup, ticket

app_name = "tickets_api"
urlpatterns = [
    path("tickets", ticket.Tickets.as_view(), name="tickets"),
    path("tickets/trash", ticket.Trash.as_view(), name="trash"),
    path("tickets/events", feed.Feed.as_view(), name="feed"),
    path("tickets/categories", setup.Categories.as_view(), name="categories"),
    path("tickets/categories/<uuid:category_id>", setup.OneCategory.as_view(), name="category"),
    path("tickets/fields", setup.Fields.as_view(), name="fields"),
    path("tickets/fields/<uuid:field_id>", setup.OneField.as_view(), name="field"),
    path("tickets/canned-responses", setup.CannedResponses.as_view(), name="canned-responses"),
    path("tickets/canned-responses/<uuid:response_id>", setup.OneCannedResponse.as_view(), name="canned-response"),
    path(
        "tickets/canned-responses/<uuid:response_id>/use", setup.UseCannedResponse.as_view(), name="canned-response-use"
    ),
    path("tickets/<uuid:ticket_id>", ticket.OneTicket.as_view(), name="ticket"),
    path("tickets/<uuid:ticket_id>/resolve", ticket.Resolve.as_view(), name="resolve"),
    path("tickets/<uuid:ticket_id>/close", ticket.Close.as_view(), name="close"),
    path("tickets/<uuid:ticket_id>/reopen", ticket.Reopen.as_view(), name="reopen"),
    path("tickets/<uuid:ticket_id>/assign", ticket.Assign.as_view(), name="assign"),
    path("tickets/<uuid:ticket_id>/unassign", ticket.Unassign.as_view(), name="unassign"),
    path("tickets/<uuid:ticket_id>/merge", ticket.Merge.as_view(), name="merge"),
    path("tickets/<uuid:ticket_id>/unmerge", ticket.Unmerge.as_view(), name="unmerge"),
    path("tickets/<uuid:ticket_id>/split", ticket.Split.as_view(), name="split"),
    path("tickets/<uuid:ticket_id>/links", ticket.Links.as_view(), name="links"),
    path("tickets/<uuid:ticket_id>/watch", ticket.Watch.as_view(), name="watch"),
    path("tickets/<uuid:ticket_id>/restore", ticket.Restore.as_view(), name="restore"),
    path("tickets/<uuid:ticket_id>/activities", ticket.Activities.as_view(), name="activities"),
    path("tickets/<uuid:ticket_id>/comments", conversation.Comments.as_view(), name="comments"),
    path("tickets/<uuid:ticket_id>/comments/<uuid:comment_id>", conversation.OneComment.as_view(), name="comment"),
    path("tickets/<uuid:ticket_id>/attachments", conversation.Attachments.as_view(), name="attachments"),
    path("attachments/<uuid:attachment_id>", conversation.Download.as_view(), name="attachment"),
    path("tags", setup.Tags.as_view(), name="tags"),
]
