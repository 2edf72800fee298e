"""Django admin of the API's own rows."""

from django.contrib import admin

from helpdesk.accounts.admin_site import ReadOnlyAdmin
from helpdesk.api.models import IdempotencyKey


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Answers that are given again; a task forgets them after a day."""

    big = True
    list_display = ("key", "caller", "endpoint", "status", "created_at")
    list_filter = ("status",)
    search_fields = ("=key",)
    date_hierarchy = "created_at"
    sortable_by = ()
