"""Users, workspaces, members, teams, contacts, organisations and keys.

A workspace is the tenant: every other row of the product belongs to one. The classes at the top
make that hard to forget: `Model.objects` does nothing until it is told the workspace, and the one
way around it is called `unscoped`.
"""

import datetime as dt
import re
import uuid
from typing import Any, ClassVar, Generic, TypeVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Lower, Upper
from django.utils.timezone import now as utc_now
from uuid_utils.compat import uuid7

from helpdesk.accounts.roles import Permission, Role, permits

M = TypeVar("M", bound=models.Model)


def new_id() -> uuid.UUID:
    """A new UUIDv7 (RFC 9562): ordered by time, so index inserts stay at the right edge."""
    return uuid7()


class WorkspaceRequired(RuntimeError):
    """A query on workspace rows was begun without saying which workspace: a programming error."""


class WorkspaceManager(models.Manager[M], Generic[M]):
    """The manager named `objects` of every workspace row.

    It answers only `for_workspace(…)`, which gives an ordinary QuerySet of that workspace's rows.
    Everything else raises `WorkspaceRequired`, so a query across tenants cannot be written by
    forgetting something; it has to be asked for by the name `unscoped`.
    """

    def __init__(self, queryset_class: type[models.QuerySet[Any]] = models.QuerySet) -> None:
        super().__init__()
        self._scoped_queryset_class = queryset_class

    def for_workspace(self, workspace: "Workspace | uuid.UUID") -> Any:
        """The rows of one workspace."""
        workspace_id = workspace.pk if isinstance(workspace, Workspace) else workspace
        if workspace_id is None:
            raise WorkspaceRequired(f"{self.model.__name__}: the workspace is not saved.")
        return self._scoped_queryset_class(self.model, using=self._db).filter(workspace_id=workspace_id)

    def get_queryset(self) -> models.QuerySet[M]:
        raise WorkspaceRequired(
            f"{self.model.__name__}.objects: say which workspace, with for_workspace(…), "
            f"or use {self.model.__name__}.unscoped where every workspace is meant."
        )


class WorkspaceModel(models.Model):
    """A row that belongs to one workspace, with a time-ordered id."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+")

    unscoped = models.Manager()  # first, so that Django's own machinery (relations, forms) uses it
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        abstract = True


# --- Users and workspaces ---------------------------------------------------------------------


class UserManager(BaseUserManager["User"]):
    """Makes users; addresses are kept in lower case, so that one person has one account."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save a new user; without a password the person has to reset it first."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save a new user who sees all workspaces in the admin."""
        return self.create_user(email, password, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in. What they may do is said by their memberships."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField("e-mail", max_length=254, unique=True)
    name = models.CharField(max_length=120)
    timezone = models.CharField(max_length=64, default="UTC")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """What Django's admin asks; workspace admins are let in by our admin site itself."""
        return self.is_superuser

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email


class Workspace(models.Model):
    """A tenant: one helpdesk with its own people, tickets and settings."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    timezone = models.CharField(max_length=64, default="UTC")
    is_test = models.BooleanField(
        "test workspace", default=False, help_text="A sandbox: everything works, but no mail leaves it."
    )
    auto_close_days = models.PositiveSmallIntegerField(
        default=4, help_text="Resolved tickets close by themselves after this many days; 0 keeps them."
    )
    reopen_window_days = models.PositiveSmallIntegerField(
        default=14, help_text="A customer's answer reopens a closed ticket for this many days after it was closed."
    )
    signature = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(auto_close_days__lte=365), name="workspace_auto_close_in_a_year"),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(WorkspaceModel):
    """A user's place in a workspace."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(
        max_length=10,
        choices=[
            (Role.OWNER.value, "Owner"),
            (Role.ADMIN.value, "Admin"),
            (Role.AGENT.value, "Agent"),
            (Role.LIGHT.value, "Light agent"),
        ],
        default=Role.AGENT.value,
    )
    is_active = models.BooleanField(default=True)
    is_available = models.BooleanField(
        default=True, db_default=True, help_text="Away: no ticket is given to them by a rule."
    )
    capacity = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Open tickets that rules give them at most; empty: no limit."
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    workspaces: list[Workspace]  # all of the person's, on the membership of a console request

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="one_membership_per_user"),
            models.CheckConstraint(condition=models.Q(role__in=[role.value for role in Role]), name="membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"

    def may(self, permission: Permission | str) -> bool:
        """Whether this member's role carries the permission."""
        return self.is_active and permits(self.role, Permission(permission))


class Team(WorkspaceModel):
    """A named group of members that tickets can be given to."""

    name = models.CharField(max_length=80)
    members = models.ManyToManyField(Membership, related_name="teams", blank=True)
    lead = models.ForeignKey(
        Membership,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="One of the members: hears of what is escalated.",
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_team_per_name")]

    def __str__(self) -> str:
        return self.name


class Invitation(WorkspaceModel):
    """A letter that lets an address join a workspace; only the hash of its token is kept."""

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Membership._meta.get_field("role").choices)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=utc_now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_per_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.workspace}"


# --- Customers --------------------------------------------------------------------------------


class Organization(WorkspaceModel):
    """A company or household that customers belong to."""

    name = models.CharField(max_length=160)
    attributes = models.JSONField(default=dict, blank=True, help_text="Customer attributes: any names and values.")
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_organization_per_name")]

    def __str__(self) -> str:
        return self.name


class Contact(WorkspaceModel):
    """A customer: who asks. Contacts do not sign in; they hold links to their tickets."""

    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=120, blank=True, default="")
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.SET_NULL, related_name="contacts"
    )
    attributes = models.JSONField(default=dict, blank=True, help_text="Customer attributes: any names and values.")
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "email"], name="one_contact_per_address"),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="contact_email_is_lower_case"),
        ]
        indexes = [
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="contact_name_trigram", fastupdate=False),
            GinIndex(OpClass(Upper("email"), name="gin_trgm_ops"), name="contact_email_trigram", fastupdate=False),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def display_name(self) -> str:
        """The name, or the part before the @ of an address that came without one."""
        return self.name or re.sub(r"@.*", "", self.email)


# --- Programs ---------------------------------------------------------------------------------


class ApiKey(WorkspaceModel):
    """A long-lived key (`hdk_…`) for a program; acts for the member who made it, within its scopes."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, editable=False, help_text="The first characters, to recognise it by.")
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10), default=list)
    created_at = models.DateTimeField(default=utc_now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scopes__contained_by=["read", "write", "admin"]) & models.Q(scopes__len__gt=0),
                name="api_key_scopes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_live(self, now: dt.datetime) -> bool:
        """Whether the key opens anything at `now` (aware UTC)."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
