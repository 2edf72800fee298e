"""How a workspace's portal looks and who may use it from where."""

from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models

from helpdesk.accounts.models import Workspace, WorkspaceModel


def logo_path(row: "PortalSettings", filename: str) -> str:
    """Where a logo is kept: a new name for each, made here, never the one that was sent."""
    return f"{row.workspace_id}/portal/{uuid4().hex}"


class PortalSettings(WorkspaceModel):
    """Branding, languages and doors of a portal. A workspace without a row has the defaults."""

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, related_name="portal_settings")
    welcome_title = models.CharField(max_length=120, blank=True, default="")
    welcome_text = models.CharField(max_length=500, blank=True, default="")
    accent = models.CharField(max_length=7, blank=True, default="", help_text="A colour as #rrggbb; empty: ours.")
    logo = models.FileField(upload_to=logo_path, max_length=200, blank=True)
    logo_width = models.PositiveIntegerField(
        db_default=0, default=0, editable=False, help_text="In pixels; 0 without a logo."
    )
    logo_height = models.PositiveIntegerField(
        db_default=0, default=0, editable=False, help_text="In pixels; 0 without a logo."
    )
    logo_type = models.CharField(max_length=40, blank=True, default="", help_text="Recognised from the content.")
    language = models.CharField(
        max_length=5, blank=True, default="", help_text="For every visitor; empty: what their browser asks for."
    )
    allowed_origins = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="Sites whose pages may call the public API from a browser (CORS).",
    )
    asks_proof = models.BooleanField(
        default=False, help_text="Whether browsers must solve a small puzzle before they submit a request."
    )
    requests_per_hour = models.PositiveIntegerField(
        default=1000, help_text="Requests that the workspace takes from strangers in an hour at most."
    )
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "portal_settings"
        verbose_name_plural = "portal settings"

    def __str__(self) -> str:
        return f"portal of {self.workspace_id}"
