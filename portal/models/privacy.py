"""What somebody asked about their own data, and what was done."""

from django.db import models

from helpdesk.accounts.models import User, WorkspaceModel


class PrivacyRequest(WorkspaceModel):
    """The log of exports and erasures. Of an erased address it keeps a hash only."""

    kind = models.CharField(max_length=8, choices=[("export", "Export"), ("erasure", "Erasure")])
    address = models.CharField(max_length=254, blank=True, default="", help_text="Empty once it was erased.")
    address_hash = models.CharField(max_length=64, help_text="Tells whether an address was meant, without naming it.")
    status = models.CharField(
        max_length=7, choices=[("waiting", "Waiting"), ("done", "Done"), ("failed", "Failed")], default="waiting"
    )
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    counts = models.JSONField(default=dict, help_text="How many rows of each kind it was about.")
    file = models.FileField(upload_to="privacy", max_length=200, blank=True, help_text="What was exported.")
    error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    file_until = models.DateTimeField(null=True, help_text="The file is deleted then.")

    class Meta:
        db_table = "privacy_requests"
        indexes = [models.Index(fields=["workspace", "created_at"], name="privacy_requests_in_order")]

    def __str__(self) -> str:
        return f"{self.kind} {self.created_at:%Y-%m-%d}"
