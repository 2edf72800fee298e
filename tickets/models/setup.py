"""What a workspace sets up before tickets come: numbers, categories, fields, tags, canned responses, views."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from helpdesk.accounts.models import Team, User, Workspace, WorkspaceManager, WorkspaceModel

SHORTCUT = RegexValidator(r"\A[a-z0-9][a-z0-9_-]{0,39}\Z", "Use lower-case letters, digits, - and _, up to 40.")
FIELD_KEY = RegexValidator(
    r"\A[a-z][a-z0-9_]{0,39}\Z", "Begin with a lower-case letter; then lower-case letters, digits and _, up to 40."
)
COLOR = RegexValidator(r"\A#[0-9a-fA-F]{6}\Z", "Write the colour as # and six hexadecimal digits, like #3B82F6.")

FIELD_KINDS = [
    ("text", "Text"),
    ("number", "Number"),
    ("choice", "Choice"),
    ("checkbox", "Checkbox"),
    ("date", "Date"),
]


class Sequence(models.Model):
    """The last ticket number given in a workspace; its row is the lock that makes numbers unique."""

    workspace = models.OneToOneField(Workspace, primary_key=True, on_delete=models.CASCADE, related_name="+")
    last_number = models.PositiveBigIntegerField(default=1000)

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "ticket_sequences"

    def __str__(self) -> str:
        return f"{self.workspace}: {self.last_number}"


class Category(WorkspaceModel):
    """A topic of tickets; categories form a tree. A deleted one is archived: its tickets keep it."""

    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, default="")
    color = models.CharField(max_length=7, default="#64748B", validators=[COLOR])
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "ticket_categories"
        verbose_name = "ticket category"
        verbose_name_plural = "ticket categories"
        constraints = [
            models.UniqueConstraint(
                "workspace",
                "parent",
                Lower("name"),
                condition=models.Q(archived_at=None),
                nulls_distinct=False,
                name="one_category_per_name_and_parent",
            ),
            models.CheckConstraint(condition=~models.Q(parent=models.F("id")), name="category_is_not_its_own_parent"),
        ]

    def __str__(self) -> str:
        return self.name


class Field(WorkspaceModel):
    """A question that a workspace asks of its tickets, answered in `Ticket.custom_fields` under its key.

    The key and the kind stay what they are, because answers stand under them. A deleted field is
    archived: the answers stay where they are, unseen, and come back with a field of the same key.
    """

    key = models.CharField(max_length=40, validators=[FIELD_KEY])
    label = models.CharField(max_length=60)
    kind = models.CharField(max_length=10, choices=FIELD_KINDS)
    options = ArrayField(models.CharField(max_length=80), default=list, blank=True, help_text="Of a choice: 1 to 100.")
    is_required = models.BooleanField(
        default=False, help_text="Asked of agents; a ticket that comes in is never refused for it."
    )
    position = models.PositiveSmallIntegerField(default=1, help_text="Its place among the fields, from 1.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "ticket_fields"
        verbose_name = "ticket field"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "key"], condition=models.Q(archived_at=None), name="one_field_per_key"
            ),
            models.CheckConstraint(condition=models.Q(kind__in=[kind for kind, _ in FIELD_KINDS]), name="field_kind"),
            models.CheckConstraint(
                condition=models.Q(kind="choice", options__len__range=(1, 100))
                | (~models.Q(kind="choice") & models.Q(options=[])),
                name="choices_have_options",
            ),
        ]

    def __str__(self) -> str:
        return self.label


class Tag(WorkspaceModel):
    """A word that agents put on tickets; kept in lower case."""

    name = models.CharField(max_length=40)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="one_tag_per_name"),
            models.CheckConstraint(condition=models.Q(name=Lower("name")), name="tag_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.name


class CannedResponse(WorkspaceModel):
    """A saved reply, inserted by its shortcut (`/thanks`); variables are filled in literally."""

    title = models.CharField(max_length=120)
    shortcut = models.CharField(max_length=40, validators=[SHORTCUT])
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    content = models.TextField()
    usage_count = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(User, null=True, editable=False, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "canned_responses"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "shortcut"], name="one_canned_response_per_shortcut")
        ]

    def __str__(self) -> str:
        return self.title


class View(WorkspaceModel):
    """A saved filter of the queue: a name for a query string, for one person, a team or everybody."""

    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, help_text="The filters, as they stand in the queue's address.")
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "ticket_views"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(owner=None) | models.Q(team=None), name="view_is_of_a_person_or_a_team"
            ),
        ]

    def __str__(self) -> str:
        return self.name
