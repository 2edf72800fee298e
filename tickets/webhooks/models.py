"""Rows of webhooks: who wants to hear what, every message for them, every attempt to hand it over."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from helpdesk.accounts.models import User, Workspace, WorkspaceManager, WorkspaceModel
from tickets.models import Activity


class Endpoint(WorkspaceModel):
    """An address of another program, and the events that it wants to hear of."""

    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=200, blank=True, default="")
    events = ArrayField(models.CharField(max_length=40), help_text="Names in `tickets.webhooks.payloads.CATALOGUE`.")
    headers_sealed = models.TextField(
        blank=True, default="", editable=False, help_text="Headers of the admin's own, as a JSON object, sealed."
    )
    secret_sealed = models.TextField(editable=False)
    old_secret_sealed = models.TextField(blank=True, default="", editable=False)
    old_secret_until = models.DateTimeField(null=True, help_text="Until then messages are signed with both secrets.")
    secret_changed_at = models.DateTimeField()

    is_active = models.BooleanField(default=True)
    active_since = models.DateTimeField(help_text="Events from then on are sent.")
    off_reason = models.CharField(
        max_length=8,
        blank=True,
        default="",
        choices=[
            ("member", "By an admin"),
            ("gone", "It said that it is gone"),
            ("failing", "No success for too long"),
        ],
        help_text="Why it is off.",
    )
    off_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When its owner was told that it was switched off by itself.")

    failing_since = models.DateTimeField(null=True, help_text="The first failure since the last success.")
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")

    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "webhook_endpoints"
        constraints = [
            models.CheckConstraint(condition=~Q(events=[]), name="webhook_wants_something"),
            models.CheckConstraint(
                condition=Q(is_active=True, off_reason="", off_at=None)
                | (Q(is_active=False, off_at__isnull=False) & ~Q(off_reason="")),
                name="webhook_is_on_or_says_why",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "created_at"], name="webhook_endpoints_in_order"),
            models.Index(
                fields=["off_at"],
                condition=Q(told_at=None, off_reason__in=["gone", "failing"]),
                name="webhook_endpoints_to_tell",
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.url[:80]


class Delivery(WorkspaceModel):
    """One message for one endpoint: what is said, and how far it has come. The log of webhooks."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    activity = models.ForeignKey(Activity, null=True, on_delete=models.CASCADE, related_name="+")  # none: a test
    message_id = models.UUIDField(help_text="`webhook-id`: the same in every attempt and replay; the activity's id.")
    event = models.CharField(max_length=40)
    body = models.TextField(help_text="The characters that are signed and sent: a snapshot of the moment.")
    is_test = models.BooleanField(default=False)
    status = models.CharField(
        max_length=9,
        choices=[
            ("waiting", "Waiting"),
            ("delivered", "Delivered"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
        ],
        default="waiting",
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Since it was written, or last replayed.")
    next_at = models.DateTimeField(null=True, help_text="The next attempt; while one runs, when its lease ends.")
    last_code = models.PositiveSmallIntegerField(null=True, help_text="The status of the last answer.")
    last_error = models.CharField(max_length=300, blank=True, default="")
    last_ms = models.PositiveIntegerField(null=True, help_text="How long the last attempt took, in milliseconds.")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhook_deliveries"
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "message_id"], name="webhook_message_once_per_endpoint"),
            models.CheckConstraint(
                condition=Q(status="waiting", next_at__isnull=False, ended_at=None)
                | (~Q(status="waiting") & Q(next_at=None, ended_at__isnull=False)),
                name="webhook_delivery_waits_or_has_ended",
            ),
        ]
        indexes = [
            # What is due, endpoint by endpoint: one that hangs has a long list, which nobody else walks.
            models.Index(fields=["endpoint", "next_at"], condition=Q(status="waiting"), name="webhook_deliveries_due"),
            models.Index(fields=["endpoint", "created_at", "id"], name="webhook_deliveries_in_order"),
            models.Index(fields=["endpoint", "status", "created_at"], name="webhook_deliveries_by_status"),
            models.Index(fields=["created_at"], condition=~Q(status="waiting"), name="webhook_deliveries_old"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.message_id}"


class Attempt(WorkspaceModel):
    """One try to hand a message over, and what came back."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    url = models.CharField(max_length=2000)
    request_headers = models.JSONField(help_text="As they were sent; values of the admin's own headers are left out.")
    code = models.PositiveSmallIntegerField(null=True, help_text="The status of the answer; none: there was no answer.")
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True, default="", help_text="The beginning of it.")
    error = models.CharField(max_length=300, blank=True, default="", help_text="Why it was no success.")

    class Meta:
        db_table = "webhook_attempts"

    def __str__(self) -> str:
        return f"{self.code or self.error} at {self.started_at:%Y-%m-%d %H:%M:%S}"


class EndpointHour(models.Model):
    """What an hour brought an endpoint: for its health at a glance, without counting its log."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="hours", db_index=False)
    hour = models.DateTimeField()
    delivered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0, help_text="Attempts that were no success.")
    total_ms = models.PositiveBigIntegerField(default=0, help_text="Of those that were.")

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "webhook_endpoint_hours"
        constraints = [models.UniqueConstraint(fields=["endpoint", "hour"], name="webhook_one_row_per_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h"


class Cursor(models.Model):
    """How far messages were made of the feed of activities: one row. Whoever reads on holds it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    position = models.BigIntegerField(default=0)

    class Meta:
        db_table = "webhook_cursor"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="webhook_cursor_is_one")]

    def __str__(self) -> str:
        return str(self.position)
