"""What was said: comments and files."""

from typing import Any, TypedDict

from django.db import models
from django.db.models import Q
from django.utils import timezone

from helpdesk.accounts.models import Contact, User, WorkspaceModel
from tickets.models.ticket import CHANNELS, Ticket


class Delivery(TypedDict):
    """How the mail of a comment fares, for whoever shows the comment; written by what sends it."""

    state: str  # waiting, sent, partly (some recipients only), failed, bounced, held or cancelled
    at: str  # since when, ISO 8601 in UTC; of a waiting one: when it will be sent
    to: list[str]  # the addresses
    reason: str  # why it failed, bounced or is held, in words; else empty


class Comment(WorkspaceModel):
    """A message in a ticket's conversation: public, or an internal note among agents."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="comments")
    author_type = models.CharField(
        max_length=10, choices=[("agent", "Agent"), ("customer", "Customer"), ("system", "System")]
    )
    author_user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    author_contact = models.ForeignKey(Contact, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    author_name = models.CharField(max_length=120)
    body = models.TextField()
    body_html = models.TextField(editable=False, help_text="Made from the body, sanitised.")
    folded_text = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="Quoted history and signature of a mail: kept, shown on demand.",
    )
    folded_html = models.TextField(
        blank=True, default="", db_default="", editable=False, help_text="The same as it looked, sanitised."
    )
    is_internal = models.BooleanField(default=False)
    is_automatic = models.BooleanField(default=False, help_text="Sent by a machine: never a first response.")
    is_transcript = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A line of the chat before the ticket: no message that waits for an answer, and no answer.",
    )
    channel = models.CharField(max_length=10, choices=CHANNELS)
    delivery = models.JSONField(
        null=True, blank=True, editable=False, help_text="How its mail fares: `tickets.models.conversation.Delivery`."
    )
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ticket_comments"
        indexes = [models.Index(fields=["ticket", "created_at", "id"], name="ticket_comments_in_order")]
        constraints = [
            models.CheckConstraint(
                condition=~Q(author_type="customer") | Q(is_internal=False), name="customers_write_no_notes"
            ),
            models.CheckConstraint(
                condition=Q(author_type="agent", author_user__isnull=False)
                | Q(author_type="customer", author_contact__isnull=False)
                | Q(author_type="system"),
                name="comment_has_its_author",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.author_name}: {self.body[:60]}"


def attachment_path(attachment: "Attachment", filename: str) -> str:
    """Where a file is kept: a name made here, never the one that was sent."""
    return f"{attachment.workspace_id}/{attachment.id.hex[:2]}/{attachment.id.hex}"


class Attachment(WorkspaceModel):
    """A file of a ticket; without a comment it belongs to the description, or is not yet used."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="attachments")
    comment: Any = models.ForeignKey(
        Comment, null=True, blank=True, on_delete=models.CASCADE, related_name="attachments"
    )
    file = models.FileField(upload_to=attachment_path, max_length=200)
    name = models.CharField(max_length=160)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    content_type = models.CharField(max_length=100, help_text="Recognised from the content.")
    sha256 = models.CharField(max_length=64)
    is_internal = models.BooleanField(default=False, help_text="Seen by agents only, as the note it belongs to.")
    uploaded_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "ticket_attachments"
        indexes = [models.Index(fields=["ticket", "created_at"], name="ticket_attachments_in_order")]

    def __str__(self) -> str:
        return self.name
