"""Django admin of webhooks: Settings and the API change them, here they are looked at. Secrets are left out."""

from django.contrib import admin
from django.http import HttpRequest

from helpdesk.accounts.admin_site import ReadOnlyAdmin, is_superuser
from tickets.webhooks.models import Attempt, Cursor, Delivery, Endpoint, EndpointHour


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    """Who hears of events."""

    list_display = ("url", "description", "is_active", "off_reason", "failing_since", "last_success_at", "created_at")
    list_filter = ("is_active", "off_reason")
    search_fields = ("url", "description")
    ordering = ("created_at",)
    exclude = ("headers_sealed", "secret_sealed", "old_secret_sealed")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Messages, and how far they have come."""

    list_display = ("created_at", "event", "endpoint", "status", "attempts", "next_at", "last_code", "last_error")
    list_filter = ("status", "event", "is_test")
    list_select_related = ("endpoint",)
    search_fields = ("=message_id",)
    search_help_text = "The id of a message"
    ordering = ("-id",)
    raw_id_fields = ("activity",)
    big = True


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Tries to hand messages over, and what came back."""

    list_display = ("started_at", "url", "code", "duration_ms", "error")
    search_fields = ("=delivery__message_id",)
    search_help_text = "The id of a message"
    ordering = ("-id",)
    raw_id_fields = ("delivery",)
    big = True


@admin.register(EndpointHour)
class EndpointHourAdmin(ReadOnlyAdmin):
    """What each hour brought."""

    list_display = ("hour", "endpoint", "delivered", "failed", "total_ms")
    list_select_related = ("endpoint",)
    search_fields = ("endpoint__url",)
    ordering = ("-hour",)
    big = True


@admin.register(Cursor)
class CursorAdmin(ReadOnlyAdmin):
    """How far messages were made of the feed: of all workspaces, so it is for superusers."""

    list_display = ("id", "position")
    search_fields = ("position",)

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether the person may see it."""
        return is_superuser(request)
