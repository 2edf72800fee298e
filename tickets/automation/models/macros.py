"""Macros: named lists of actions that an agent runs by hand."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from helpdesk.accounts.models import WorkspaceModel


class Macro(WorkspaceModel):
    """What an agent does to a ticket with one click: all of its actions, or none of them."""

    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True, default="", help_text="When to use it.")
    actions = models.JSONField(help_text="See `tickets.automation.services.actions`.")
    position = models.PositiveSmallIntegerField(default=1, help_text="Its place in the order, from 1.")
    is_active = models.BooleanField(default=True)
    usage_count = models.PositiveIntegerField(default=0, editable=False, help_text="On how many tickets it was run.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "automation_macros"
        constraints = [
            models.UniqueConstraint(
                "workspace", Lower("name"), condition=Q(archived_at=None), name="one_automation_macro_per_name"
            ),
            models.CheckConstraint(condition=Q(name__gt=""), name="automation_macro_name"),
            models.CheckConstraint(condition=Q(actions__contains=[{}]), name="automation_macro_actions"),
            models.CheckConstraint(
                condition=Q(archived_at=None) | Q(is_active=False), name="automation_macro_archived_is_off"
            ),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "position"], condition=Q(archived_at=None), name="automation_macros_in_order"
            )
        ]

    def __str__(self) -> str:
        return self.name
