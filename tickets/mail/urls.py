"""Addresses of mail."""

from django.urls import path

from tickets.mail import webhooks
from tickets.mail.api import inbound
from tickets.mail.views import messages, notices

app_name = "mail"
urlpatterns = [
    # Ways in
    path("api/mail/inbound/<uuid:mailbox_id>", inbound.Inbound.as_view(), name="api-inbound"),
    path("mail/providers/<path:name>", webhooks.provider, name="provider"),
    # Messages, as agents see them
    path("mail/messages/<uuid:pk>", messages.original, name="original"),
    path("mail/messages/<uuid:pk>/inline/<int:place>", messages.inline, name="original-inline"),
    path("mail/messages/<uuid:pk>/download", messages.download, name="original-download"),
    path("tickets/<uuid:pk>/original", messages.ticket_original, name="ticket-original"),
    path("tickets/<uuid:pk>/not-a-ticket", messages.not_a_ticket, name="not-a-ticket"),
    path("tickets/comments/<uuid:pk>/original", messages.comment_original, name="comment-original"),
    path("tickets/comments/<uuid:pk>/delivery", messages.delivery, name="delivery"),
    path("tickets/comments/<uuid:pk>/resend", messages.resend, name="resend"),
    path("tickets/comments/<uuid:pk>/take-back", messages.take_back, name="take-back"),
    path("mail/unblock", messages.unblock, name="unblock"),
    path("profile/notices", notices.preferences, name="notices"),
    path("tickets/mentions", notices.mentions, name="mentions"),
]
