"""Addresses of mail."""

from django.urls import path

from tickets.mail import webhooks
from tickets.mail.api import inbound

app_name = "mail"
urlpatterns = [
    # Ways in
    path("api/mail/inbound/<uuid:mailbox_id>", inbound.Inbound.as_view(), name="api-inbound"),
    path("mail/providers/<path:name>", webhooks.provider, name="provider"),
]
