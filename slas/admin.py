"""Django admin of the service levels."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError

from helpdesk.accounts.admin_site import WorkspaceAdmin, WorkspaceForm
from slas.models import SLAPolicy
from tickets.lifecycle import Priority

_TARGETS = {"first_response_hours", "resolution_hours"}


class SLAPolicyForm(WorkspaceForm):
    """Checks the overrides, which are free JSON to the database."""

    def clean_priority_overrides(self) -> dict[str, Any]:
        """Priorities with hours above zero. Raises ValidationError naming what is wrong."""
        given = self.cleaned_data["priority_overrides"]
        if not isinstance(given, dict):
            raise ValidationError("Write an object: priorities with their hours.")
        for priority, targets in given.items():
            if priority not in {known.value for known in Priority}:
                raise ValidationError(f"There is no priority {priority!r}.")
            if not isinstance(targets, dict) or set(targets) - _TARGETS:
                raise ValidationError(f"{priority}: give first_response_hours, resolution_hours or both.")
            for hours in targets.values():
                if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours < 100_000:
                    raise ValidationError(f"{priority}: hours must be a number above zero.")
        return given


@admin.register(SLAPolicy)
class SLAPolicyAdmin(WorkspaceAdmin):
    """SLA policies."""

    form = SLAPolicyForm
    list_display = ("name", "first_response_hours", "resolution_hours", "business_hours_only", "is_default")
    list_filter = ("is_default", "business_hours_only")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("created_at",)
