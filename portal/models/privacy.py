"""What somebody asked about their own data, and what was done."""

from django.db import models
from django.db.models import Q

from helpdesk.accounts.models import User, WorkspaceModel

KINDS = [("export", "Export"), ("erasure", "Erasure")]
STATUSES = [("waiting", "Waiting"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")]


class PrivacyRequest(WorkspaceModel):
    """The log of exports and erasures, and the work on them. Of an erased address it keeps a hash only."""

    kind = models.CharField(max_length=8, choices=KINDS)
    address = models.CharField(max_length=254, blank=True, default="", help_text="Empty once it was erased.")
    address_hash = models.CharField(max_length=64, help_text="Tells whether an address was meant, without naming it.")
    status = models.CharField(max_length=7, choices=STATUSES, default="waiting")
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    counts = models.JSONField(default=dict, help_text="How many rows of each kind it was about.")
    file = models.FileField(upload_to="privacy", max_length=200, blank=True, help_text="What was exported.")
    error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    file_until = models.DateTimeField(null=True, help_text="The file is deleted then.")

    # The work: whoever takes it up goes on where it stands.
    next_at = models.DateTimeField(null=True, editable=False, help_text="When it is taken up, or a lease ends.")
    attempts = models.PositiveSmallIntegerField(default=0, editable=False, help_text="In a row, without progress.")
    total = models.PositiveIntegerField(default=0, editable=False, help_text="Tickets to go through.")
    done = models.PositiveIntegerField(default=0, editable=False, help_text="Tickets that were gone through.")
    round = models.PositiveSmallIntegerField(
        default=1, editable=False, help_text="An erasure goes twice: what was on its way is erased the second time."
    )
    last_ticket_id = models.UUIDField(null=True, editable=False, help_text="Of this round.")
    work = models.JSONField(default=dict, editable=False, help_text="What is looked for; empty when it has ended.")

    class Meta:
        db_table = "privacy_requests"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "running"], next_at__isnull=False)
                | Q(status__in=["done", "failed"], next_at=None),
                name="privacy_request_waits_or_has_ended",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "created_at"], name="privacy_requests_in_order"),
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="privacy_requests_to_do"),
            models.Index(fields=["file_until"], condition=~Q(file=""), name="privacy_files_kept"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.created_at:%Y-%m-%d}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ("done", "failed")

    @property
    def percent(self) -> int:
        """How far it is, from 0 to 100."""
        if self.status == "done":
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0
