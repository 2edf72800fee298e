"""The admin site that workspace admins share with superusers, and what every admin of workspace rows builds on.

It stands apart from `admin.py`: Django makes the site while it imports this module, and a module that
registers models at the same time would register them on a site that is thrown away.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.views import LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse_lazy
from django.utils.functional import cached_property

from helpdesk.accounts.models import Membership, User, Workspace
from helpdesk.accounts.roles import PERMISSIONS, Permission
from helpdesk.errors import DomainError

_MANAGERS = [role.value for role, permissions in PERMISSIONS.items() if Permission.MANAGE in permissions]
COUNTED_UP_TO = 10_000


class HelpdeskAdminSite(admin.AdminSite):
    """Open to superusers, and to admins and owners of the workspace that they are in."""

    site_header = "Helpdesk administration"
    site_title = "Helpdesk administration"
    index_title = "Everything in your workspaces"
    empty_value_display = "–"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the person may see the admin at all."""
        user: Any = request.user
        if not (user.is_authenticated and user.is_active):
            return False
        membership: Any = getattr(request, "membership", None)
        return bool(user.is_superuser or (membership and membership.may(Permission.MANAGE)))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one sign-in, with one count of failures. Raises PermissionDenied for agents."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied("Only admins and owners of a workspace may see this.")
        return redirect_to_login(request.GET.get("next") or str(reverse_lazy("admin:index")))

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Ends the session, as in the console."""
        return LogoutView.as_view(next_page=reverse_lazy("accounts:signed-out"))(request)


def administered(request: HttpRequest) -> list[UUID]:
    """The ids of the workspaces that the person is an admin or owner of; looked up once per request."""
    holder: Any = request
    if not hasattr(holder, "_administered"):
        user: Any = request.user
        rows = Membership.unscoped.filter(user=user, is_active=True, role__in=_MANAGERS)
        holder._administered = list(rows.values_list("workspace_id", flat=True))
    ids: list[UUID] = holder._administered
    return ids


def is_superuser(request: HttpRequest) -> bool:
    """Whether the person sees every workspace."""
    return bool(getattr(request.user, "is_superuser", False))


def within(request: HttpRequest, queryset: Any) -> Any:
    """The rows of a queryset that the person may see or choose: those of the workspaces they administer."""
    if is_superuser(request):
        return queryset
    model, ids = queryset.model, administered(request)
    if model is Workspace:
        return queryset.filter(pk__in=ids)
    if model is User:
        return queryset.filter(pk__in=Membership.unscoped.filter(workspace_id__in=ids).values("user_id"))
    if any(field.name == "workspace" for field in model._meta.get_fields()):
        return queryset.filter(workspace_id__in=ids)
    return queryset


class ScopedRelatedFilter(admin.RelatedFieldListFilter):
    """A filter whose choices are those that the person may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        rows = within(request, field.related_model._default_manager.all())
        return [(str(row.pk), str(row)) for row in rows.order_by("name")[:200]]


class CountingUpTo(Paginator):
    """Counts no further than ten thousand rows, so that a page of a table of millions costs what a small one does."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNTED_UP_TO + 1].count())


class WorkspaceForm(forms.ModelForm):
    """A form of a row that belongs to a workspace: what it points to must belong there too."""

    current_workspace: Workspace | None = None
    newcomers: tuple[str, ...] = ()  # fields whose people need not be members yet

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._keeps_workspace() and self.instance.workspace_id is None and "workspace" not in self.fields:
            self.instance.workspace = self.current_workspace

    def _keeps_workspace(self) -> bool:
        return hasattr(type(self.instance), "workspace_id")

    def _get_validation_exclusions(self) -> set[str]:
        # Otherwise Django skips every unique rule that names the workspace, and the database refuses with a 500.
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return exclusions - {"workspace"}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        home = cleaned.get("workspace") or (self.instance.workspace if self.instance.workspace_id else None)
        for name, value in list(cleaned.items()):
            related: Iterable[Any] = value if isinstance(value, models.QuerySet) else [value]
            if home is None or name in self.newcomers:
                continue
            if any(isinstance(row, models.Model) and not _at_home(row, home) for row in related):
                self.add_error(name, "This belongs to another workspace.")
        return cleaned


def _at_home(row: Any, workspace: Workspace) -> bool:
    if isinstance(row, User):
        return Membership.objects.for_workspace(workspace).filter(user=row).exists()
    return getattr(row, "workspace_id", workspace.pk) == workspace.pk


class WorkspaceAdmin(admin.ModelAdmin):
    """Rows of workspaces: a workspace admin sees and changes those of their own workspaces only.

    A foreign row answers 404. What a service refuses is shown as a message, and nothing is written.
    """

    form: Any = WorkspaceForm
    may_add = may_change = may_delete = True
    big = False  # many rows: counted only so far, and never offered as a list of choices
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count the whole table once for each choice
    list_per_page = 50
    list_max_show_all = 200
    view_on_site = False
    ordering: tuple[str, ...] = ("-pk",)  # type: ignore[assignment,misc]

    # --- Which rows ---

    def get_queryset(self, request: HttpRequest) -> Any:
        return within(request, super().get_queryset(request))

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, orphans: int = 0, allow_empty_first_page: bool = True
    ) -> Paginator:
        kind = CountingUpTo if self.big else Paginator
        return kind(queryset, per_page, orphans, allow_empty_first_page)

    def get_list_display(self, request: HttpRequest) -> Any:
        """The workspace is a column for those who see several."""
        shown = tuple(super().get_list_display(request))
        return (*shown, "workspace") if self._tells_workspaces_apart(request) else shown

    def get_list_select_related(self, request: HttpRequest) -> Any:
        given: Any = super().get_list_select_related(request)
        related = tuple(given) if isinstance(given, list | tuple) else ()
        return (*related, "workspace") if self._tells_workspaces_apart(request) else (related or False)

    def get_list_filter(self, request: HttpRequest) -> Any:
        given = tuple(super().get_list_filter(request))
        return (*given, ("workspace", ScopedRelatedFilter)) if self._tells_workspaces_apart(request) else given

    def _tells_workspaces_apart(self, request: HttpRequest) -> bool:
        return hasattr(self.model, "workspace_id") and (is_superuser(request) or len(administered(request)) > 1)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        raise Http404("There is no such row.")

    # --- Who may ---

    def _allowed(self, request: HttpRequest, obj: Any, flag: bool) -> bool:
        if not flag or not self.admin_site.has_permission(request):
            return False
        if obj is None or is_superuser(request):
            return True
        workspace_id = obj.pk if isinstance(obj, Workspace) else getattr(obj, "workspace_id", None)
        return workspace_id is None or workspace_id in administered(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, obj, True)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._allowed(request, None, self.may_add)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, obj, self.may_change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, obj, self.may_delete)

    def has_work_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For actions that go through a service, also where the fields are read-only."""
        return self._allowed(request, obj, True)

    # --- Forms ---

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        given = tuple(super().get_exclude(request, obj) or ())
        return given if is_superuser(request) else (*given, "workspace")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = super().get_fields(request, obj)
        return given if is_superuser(request) else [name for name in given if name != "workspace"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = tuple(super().get_readonly_fields(request, obj))
        # Rows stay where they are.
        moves = obj is not None and is_superuser(request) and hasattr(self.model, "workspace_id")
        return (*given, "workspace") if moves else given

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        if issubclass(form, WorkspaceForm):
            membership: Any = getattr(request, "membership", None)
            form.current_workspace = membership.workspace if membership else None
        return form

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self._choices(db_field, request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self._choices(db_field, request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def _choices(self, db_field: Any, request: HttpRequest) -> Any:
        rows = within(request, db_field.related_model._default_manager.all())
        return rows.select_related("user") if db_field.related_model is Membership else rows

    # --- Refusals ---

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:  # the transaction of the view is rolled back
            texts = [text for texts in error.errors.values() for text in texts]
            self.message_user(request, " ".join(texts) or error.detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class ReadOnlyAdmin(WorkspaceAdmin):
    """Rows that are written by services only: to look at, for everybody."""

    may_add = may_change = may_delete = False
