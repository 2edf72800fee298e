"""Addresses of mail."""

from django.urls import path

from tickets.mail import webhooks
from tickets.mail.api import inbound
from tickets.mail.views import mailboxes, messages, notices, rules, trace

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
    # Settings
    path("settings/mailboxes", mailboxes.mailbox_list, name="mailboxes"),
    path("settings/mailboxes/new", mailboxes.mailbox, name="mailbox-new"),
    path("settings/mailboxes/<uuid:mailbox_id>", mailboxes.mailbox, name="mailbox-edit"),
    path("settings/mailboxes/<uuid:mailbox_id>/secret", mailboxes.mailbox_secret, name="mailbox-secret"),
    path("settings/mailboxes/<uuid:mailbox_id>/default", mailboxes.mailbox_default, name="mailbox-default"),
    path("settings/mailboxes/<uuid:mailbox_id>/switch", mailboxes.mailbox_switch, name="mailbox-switch"),
    path("settings/mailboxes/<uuid:mailbox_id>/delete", mailboxes.mailbox_delete, name="mailbox-delete"),
    path("settings/mail/writing", mailboxes.writing, name="writing"),
    path("settings/mail/rules", rules.rule_list, name="rules"),
    path("settings/mail/rules/new", rules.rule, name="rule-new"),
    path("settings/mail/rules/try", rules.rules_try, name="rules-try"),
    path("settings/mail/rules/<uuid:rule_id>", rules.rule, name="rule-edit"),
    path("settings/mail/rules/<uuid:rule_id>/move", rules.rule_move, name="rule-move"),
    path("settings/mail/rules/<uuid:rule_id>/switch", rules.rule_switch, name="rule-switch"),
    path("settings/mail/rules/<uuid:rule_id>/delete", rules.rule_delete, name="rule-delete"),
    path("settings/mail/trace", trace.incoming_list, name="trace"),
    path("settings/mail/trace/<uuid:pk>", trace.incoming, name="incoming"),
    path("settings/mail/trace/<uuid:pk>/rerun", trace.incoming_rerun, name="incoming-rerun"),
    path("settings/mail/trace/<uuid:pk>/delete", trace.incoming_delete, name="incoming-delete"),
    path("settings/mail/sent", trace.outgoing_list, name="outgoing"),
    path("settings/mail/sent/<uuid:pk>/resend", trace.outgoing_resend, name="outgoing-resend"),
    path("settings/mail/addresses", trace.addresses, name="addresses"),
    path("settings/mail/addresses/unblock", trace.unblock, name="sender-unblock"),
    path("settings/mail/addresses/reachable", trace.reachable, name="reachable"),
]
