"""Django admin of mail: Settings changes it, here it is looked at. Secrets and contents of mails are left out."""

from django.contrib import admin

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from tickets.admin_site import OfTicket
from tickets.mail.models import (
    BlockedSender,
    Incoming,
    Mailbox,
    MailSettings,
    NoticePreference,
    Outgoing,
    ParsingRule,
    Undeliverable,
)


@admin.register(Mailbox)
class MailboxAdmin(ReadOnlyAdmin):
    """Mailboxes; the settings of the console change them."""

    list_display = (
        "address",
        "name",
        "is_active",
        "is_default",
        "imap_host",
        "fetched_at",
        "fetch_error",
        "send_error",
    )
    list_filter = ("is_active", "is_default", "imap_auth")
    search_fields = ("address", "name")
    ordering = ("address",)


@admin.register(MailSettings)
class MailSettingsAdmin(ReadOnlyAdmin):
    """How workspaces write."""

    list_display = ("workspace", "undo_seconds", "acknowledges", "tells_resolution", "history", "link_files_over")
    list_select_related = ("workspace",)
    search_fields = ("workspace__name",)


@admin.register(ParsingRule)
class ParsingRuleAdmin(ReadOnlyAdmin):
    """Parsing rules; the settings of the console change them."""

    list_display = ("name", "mailbox", "position", "is_active", "stops", "matched_count", "matched_at")
    list_filter = ("is_active",)
    list_select_related = ("mailbox",)
    search_fields = ("name",)
    ordering = ("position",)


@admin.register(Incoming)
class IncomingAdmin(ReadOnlyAdmin):
    """Messages that came, and what became of them."""

    list_display = ("received_at", "from_address", "subject", "mailbox", "way", "status", "outcome", "reason")
    list_filter = ("status", "outcome", "way")
    list_select_related = ("mailbox",)
    search_fields = ("=from_address", "=message_id")
    ordering = ("-received_at", "-id")
    big = True


@admin.register(BlockedSender)
class BlockedSenderAdmin(ReadOnlyAdmin):
    """Senders whose mail is ignored."""

    list_display = ("pattern", "reason", "created_by", "created_at")
    list_select_related = ("created_by",)
    search_fields = ("pattern",)
    ordering = ("pattern",)


@admin.register(Outgoing)
class OutgoingAdmin(OfTicket):
    """Mails that were to go out, and how they fared."""

    list_display = ("created_at", "kind", "recipient", "ticket", "status", "attempts", "next_at", "reason")
    list_filter = ("kind", "status", "is_automatic")
    list_select_related = ("ticket",)
    exclude = ("content",)


@admin.register(Undeliverable)
class UndeliverableAdmin(ReadOnlyAdmin):
    """Addresses that mail does not reach."""

    list_display = ("address", "reason", "bounced_at")
    search_fields = ("address",)
    ordering = ("-bounced_at",)


@admin.register(NoticePreference)
class NoticePreferenceAdmin(ReadOnlyAdmin):
    """What members want to hear by mail."""

    list_display = ("membership", "assigned", "mentioned", "replied", "watched", "updated_at")
    list_select_related = ("membership__user",)
    search_fields = ("membership__user__email", "membership__user__name")
