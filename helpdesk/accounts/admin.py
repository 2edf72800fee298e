"""Django admin of the accounts."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from helpdesk.accounts import services, tokens
from helpdesk.accounts.admin_site import (
    ReadOnlyAdmin,
    ScopedRelatedFilter,
    WorkspaceAdmin,
    WorkspaceForm,
    administered,
    is_superuser,
    within,
)
from helpdesk.accounts.models import ApiKey, Contact, Invitation, Membership, Organization, Team, User, Workspace
from helpdesk.accounts.roles import Permission
from helpdesk.errors import DomainError

# Rights come from the role in a workspace; Django's groups would be a second truth.
admin.site.unregister(Group)


def _acting(request: HttpRequest, workspace_id: Any) -> Membership | None:
    """The person's own membership in a workspace; None for a superuser, who needs none."""
    if is_superuser(request):
        return None
    return Membership.objects.for_workspace(workspace_id).select_related("user").get(user_id=request.user.pk)


class MembershipInline(admin.TabularInline):
    """Where a person belongs: only the workspaces that the reader administers; changed on its own page."""

    model = Membership
    fields = readonly_fields = ("workspace", "role", "is_active", "created_at")
    extra = 0
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> Any:
        return within(request, super().get_queryset(request)).select_related("workspace", "user")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission: Any = has_add_permission
    has_delete_permission: Any = has_add_permission


class NewUserForm(AdminUserCreationForm):
    """A new user, by a superuser."""

    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


class ChangeUserForm(UserChangeForm):
    """What is changed about a user; the address stays in lower case."""

    class Meta:
        model = User
        fields = ("email", "name", "timezone", "is_active", "is_superuser")

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


@admin.register(User)
class UserAdmin(StockUserAdmin, WorkspaceAdmin):
    """People. Workspace admins see those of their workspaces, and change the name of those who are nowhere else.

    Address, password and superuser are a superuser's business: an address or a password opens
    every workspace that the person belongs to.
    """

    form = ChangeUserForm
    add_form = NewUserForm
    may_delete = False
    inlines = (MembershipInline,)
    list_display = ("name", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    list_select_related = False
    search_fields = ("name", "email")
    ordering: Any = ("name", "email")
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "name", "timezone", "password")}),
        ("Rights", {"fields": ("is_active", "is_superuser")}),
        ("Times", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or is_superuser(request):
            return super().get_fieldsets(request, obj)
        return [(None, {"fields": ("email", "name", "timezone", "is_active", "last_login", "created_at")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = tuple(super().get_readonly_fields(request, obj))
        return given if is_superuser(request) else (*given, "email", "is_active", "is_superuser", "password")

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display if is_superuser(request) else ("name", "email", "is_active")

    def get_list_filter(self, request: HttpRequest) -> Any:
        return self.list_filter if is_superuser(request) else ("is_active",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if is_superuser(request) or not super().has_change_permission(request, obj):
            return is_superuser(request)
        if obj is None:
            return True
        elsewhere = Membership.unscoped.filter(user=obj).exclude(workspace_id__in=administered(request))
        return not obj.is_superuser and not elsewhere.exists()

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        if not is_superuser(request):
            raise PermissionDenied("Only a superuser sets somebody else's password; they can reset it themselves.")
        answer: Any = super().user_change_password(request, id, form_url)
        return answer

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change and "is_active" in form.changed_data and not obj.is_active:
            for member in Membership.unscoped.filter(user=obj, is_active=True):
                services.deactivate_member(membership=member, by=None, actor=request.user, now=timezone.now())  # type: ignore[arg-type]
        super().save_model(request, obj, form, change)


@admin.register(Workspace)
class WorkspaceOwnAdmin(WorkspaceAdmin):
    """Workspaces; superusers make them."""

    form = forms.ModelForm
    may_delete = False
    list_display = ("name", "slug", "timezone", "is_test", "auto_close_days", "reopen_window_days", "created_at")
    list_filter = ("is_test",)
    search_fields = ("name", "slug")
    ordering = ("name",)
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = tuple(super().get_readonly_fields(request, obj))
        return given if is_superuser(request) else (*given, "slug", "is_test")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            services.furnish_workspace(workspace=obj, now=timezone.now())


class MembershipForm(WorkspaceForm):
    """Lets somebody in who is not a member yet."""

    newcomers = ("user",)


@admin.register(Membership)
class MembershipAdmin(WorkspaceAdmin):
    """Who belongs where. Role and leaving go through the same services as on the members page."""

    form = MembershipForm
    may_delete = False
    list_display = ("user", "email", "role", "is_active", "created_at")
    list_filter = ("role", "is_active")
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    fields = ("workspace", "user", "role", "is_active", "created_at")
    readonly_fields = ("created_at",)
    autocomplete_fields = ("user",)

    @admin.display(ordering="user__email")
    def email(self, obj: Membership) -> str:
        """The person's address."""
        return obj.user.email

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = tuple(super().get_readonly_fields(request, obj))
        return (*given, "user") if obj else given

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Members are invited; a superuser gives a new workspace its first owner."""
        return is_superuser(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        now, by = timezone.now(), _acting(request, obj.workspace_id)
        if "role" in form.changed_data:
            services.change_role(membership=obj, role=obj.role, by=by, now=now)
        if "is_active" in form.changed_data:
            if obj.is_active:
                services.reactivate_member(membership=obj, by=by, now=now)
            else:
                services.deactivate_member(membership=obj, by=by, actor=request.user, now=now)  # type: ignore[arg-type]


@admin.register(Team)
class TeamAdmin(WorkspaceAdmin):
    """Teams and who is in them; who leads one is said on the teams page, where it is checked."""

    list_display = ("name", "lead", "created_at")
    list_select_related = ("lead__user",)
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("lead", "created_at")
    autocomplete_fields = ("members",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations; they are sent on the members page and withdrawn here or there."""

    list_display = ("email", "role", "invited_by", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("role",)
    list_select_related = ("invited_by", "workspace")  # an invitation is named after its workspace
    search_fields = ("email",)
    actions = ("withdraw",)

    @admin.action(description="Withdraw the selected invitations", permissions=["work"])
    def withdraw(self, request: HttpRequest, queryset: Any) -> None:
        """Withdraw what is still open."""
        done = 0
        for invitation in queryset.filter(accepted_at=None, revoked_at=None):
            by = _acting(request, invitation.workspace_id) or _owner(invitation.workspace_id)
            try:
                services.revoke_invitation(invitation=invitation, by=by, now=timezone.now())
                done += 1
            except DomainError as error:
                self.message_user(request, f"{invitation.email}: {error.detail}", messages.ERROR)
        self.message_user(request, f"{done} withdrawn.")


def _owner(workspace_id: Any) -> Membership:
    """For whom a superuser acts: an unsaved owner of the workspace."""
    return Membership(workspace_id=workspace_id, role="owner", is_active=True)


class CustomerAdmin(WorkspaceAdmin):
    """Who customers are: what is said about them decides what is promised to them."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and {"organization", "attributes"} & set(form.changed_data):
            services.facts_changed(workspace_id=obj.workspace_id, now=timezone.now())


@admin.register(Organization)
class OrganizationAdmin(CustomerAdmin):
    """Companies and households of customers."""

    list_display = ("name", "created_at")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("created_at",)


@admin.register(Contact)
class ContactAdmin(CustomerAdmin):
    """Customers. The address stays: tickets and links were sent to it."""

    big = True
    list_display = ("email", "name", "organization", "created_at")
    list_filter = (("organization", ScopedRelatedFilter),)
    list_select_related = ("organization",)
    search_fields = ("name", "email")
    search_help_text = "A part of the name or the address"
    sortable_by = ()
    readonly_fields = ("created_at",)
    autocomplete_fields = ("organization",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = tuple(super().get_readonly_fields(request, obj))
        return (*given, "email") if obj else given


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys of programs; their owners make them on the profile page."""

    list_display = ("name", "prefix", "membership", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("membership__user",)
    search_fields = ("name", "prefix", "membership__user__email")
    actions = ("revoke",)

    @admin.action(description="Revoke the selected keys", permissions=["work"])
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        """End the keys for good."""
        for key in queryset:
            if not _may_touch(request, key):
                self.message_user(request, f"{key.name}: only owners may revoke an owner's key.", messages.ERROR)
                continue
            tokens.revoke_api_key(key=key, now=timezone.now())


def _may_touch(request: HttpRequest, key: ApiKey) -> bool:
    by = _acting(request, key.workspace_id)
    return by is None or key.membership.role != "owner" or by.may(Permission.OWN)
