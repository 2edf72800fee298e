"""Django admin of the service levels; policies and business hours are saved by the services, clocks are to look at."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import DecimalField
from django.http import HttpRequest
from django.utils import timezone

from helpdesk.accounts.admin_site import ReadOnlyAdmin, WorkspaceAdmin, WorkspaceForm
from helpdesk.errors import DomainError
from slas.models import GOALS, BusinessHours, Clock, Job, SLAPolicy, SLATerms, WorkingHours
from slas.services import setup
from tickets.admin_site import OfTicket


class _ServiceForm(WorkspaceForm):
    """Asks the service what it would say to the whole form, and puts each answer at its field.

    Unlike a page of ours the admin has no way to show what a service says while it saves.
    """

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            try:
                self.check(cleaned)
            except DomainError as error:
                for name, texts in error.errors.items():
                    field = name.partition(".")[0].removesuffix("_id")
                    text = texts[0] if field == name else f"{name.partition('.')[2]}: {texts[0]}"
                    self.add_error(field if field in self.fields else None, text)
        return cleaned

    def check(self, cleaned: dict[str, Any]) -> None:
        """Raises DomainError for what the service would refuse."""


class SLAPolicyForm(_ServiceForm):
    """A policy as the service takes it."""

    pending_pauses = forms.MultipleChoiceField(
        choices=GOALS, required=False, widget=forms.CheckboxSelectMultiple, help_text="Clocks that pending pauses."
    )

    def check(self, cleaned: dict[str, Any]) -> None:
        workspace = cleaned.get("workspace") or self.instance.workspace
        setup.clean_policy(SLAPolicy(workspace=workspace), changes_of(cleaned))


def changes_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    """The fields of a form as `setup.save_policy` takes them."""
    changes = {name: cleaned[name] for name in setup.POLICY_FIELDS if name in cleaned}
    if "business_hours" in cleaned:
        hours = cleaned["business_hours"]
        changes["business_hours_id"] = hours.pk if hours else None
    return {name: value if value is not None or name in _MAY_BE_NONE else {} for name, value in changes.items()}


_MAY_BE_NONE = {"business_hours_id", "next_response_hours"}


class _SetUpAdmin(WorkspaceAdmin):
    """What a workspace sets up, changed through the services; deleted is archived."""

    may_delete = False
    actions = ("archive",)
    list_filter: Any = ("is_default", ("archived_at", admin.EmptyFieldListFilter))
    search_fields: Any = ("name",)
    ordering = ("name",)
    formfield_overrides = {DecimalField: {"widget": AdminTextInputWidget}}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.archived_at is None)

    def delete_one(self, row: Any) -> None:
        """Archive a row through its service; raises DomainError."""
        raise NotImplementedError

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: Any) -> None:
        """No ticket gets it any more; clocks that ended under it keep it."""
        done = 0
        for row in queryset.filter(archived_at=None):
            try:
                self.delete_one(row)
                done += 1
            except DomainError as error:
                self.message_user(request, f"{row}: {error.detail}", messages.ERROR)
        self.message_user(request, f"{done} archived.")


@admin.register(SLAPolicy)
class SLAPolicyAdmin(_SetUpAdmin):
    """SLA policies."""

    form = SLAPolicyForm
    list_display = (
        "name",
        "first_response_hours",
        "next_response_hours",
        "resolution_hours",
        "business_hours_only",
        "is_default",
        "position",
        "archived_at",
    )
    fields = (
        "workspace", "name", "first_response_hours", "next_response_hours", "resolution_hours", "priority_overrides",
        "business_hours_only", "business_hours", "pending_pauses", "at_risk_percent", "conditions", "is_default",
        "position", "created_at", "updated_at", "archived_at",
    )  # fmt: skip
    readonly_fields = ("created_at", "updated_at", "archived_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = SLAPolicy.objects.for_workspace(obj.workspace_id).get(pk=obj.pk) if change else None
        saved = setup.save_policy(
            workspace=obj.workspace, changes=changes_of(form.cleaned_data), policy=stored, now=timezone.now()
        )
        obj.pk = saved.pk

    def delete_one(self, row: Any) -> None:
        setup.delete_policy(policy=row, now=timezone.now())


class BusinessHoursForm(_ServiceForm):
    """Business hours as the service takes them."""

    def check(self, cleaned: dict[str, Any]) -> None:
        setup.calendar_of({name: cleaned[name] for name in _CALENDAR if cleaned.get(name) or name == "schedule"})


_CALENDAR = ("timezone", "schedule", "holidays", "country", "region")


@admin.register(BusinessHours)
class BusinessHoursAdmin(_SetUpAdmin):
    """Business hours."""

    form = BusinessHoursForm
    list_display = ("name", "timezone", "country", "region", "is_default", "updated_at", "archived_at")
    search_fields = ("name", "timezone")
    fields = (
        "workspace",
        "name",
        *_CALENDAR,
        "is_default",
        "created_at",
        "updated_at",
        "archived_at",
    )
    readonly_fields = ("created_at", "updated_at", "archived_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = BusinessHours.objects.for_workspace(obj.workspace_id).get(pk=obj.pk) if change else None
        changes = {name: form.cleaned_data[name] for name in setup.HOURS_FIELDS if name in form.cleaned_data}
        changes["holidays"] = changes.get("holidays") or []
        saved = setup.save_hours(workspace=obj.workspace, changes=changes, hours=stored, now=timezone.now())
        obj.pk = saved.pk

    def delete_one(self, row: Any) -> None:
        setup.delete_hours(hours=row, now=timezone.now())


@admin.register(Clock)
class ClockAdmin(OfTicket):
    """The clocks of tickets, as they are reckoned from what happened."""

    list_display = ("ticket", "goal", "cycle", "run", "policy", "due_at", "satisfied_at", "breached_at")
    list_filter = ("goal", "run", ("breached_at", admin.EmptyFieldListFilter))
    list_select_related = ("ticket", "policy")


@admin.register(WorkingHours)
class WorkingHoursAdmin(ReadOnlyAdmin):
    """Which agents work which hours; the page of the hours changes it."""

    list_display = ("membership", "business_hours", "created_at")
    list_select_related = ("membership__user", "business_hours")
    search_fields = ("membership__user__name", "business_hours__name")


@admin.register(SLATerms)
class SLATermsAdmin(ReadOnlyAdmin):
    """What policies said at some time; clocks keep the terms that they were reckoned by."""

    list_display = ("policy", "created_at", "digest")
    list_select_related = ("policy",)
    search_fields = ("policy__name", "digest")


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Work over many tickets in the background."""

    list_display = ("kind", "state", "done", "total", "created_by", "created_at", "finished_at")
    list_filter = ("kind", "state")
    list_select_related = ("created_by",)
    search_fields = ("created_by__name", "created_by__email")
