"""Every message that came in: its bytes, and what was done with it."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from helpdesk.accounts.models import WorkspaceModel
from tickets.mail.models.mailboxes import Mailbox
from tickets.models import Comment, Ticket

OUTCOMES = [
    ("ticket_created", "Became a ticket"),
    ("comment_added", "Became a message"),
    ("duplicate", "Came before"),
    ("ignored", "Was ignored"),
    ("bounce", "Told of a mail that did not arrive"),
    ("quarantined", "In quarantine"),
]
WAYS = [
    ("smtp", "SMTP"),
    ("imap", "IMAP"),
    ("http", "HTTPS"),
    ("provider", "Mail provider"),
    ("command", "Command"),
]


def raw_path(incoming: "Incoming", filename: str) -> str:
    """Where the bytes of a message are kept."""
    return f"{incoming.workspace_id}/mail/{incoming.id.hex[-2:]}/{incoming.id.hex}.eml"


class Incoming(WorkspaceModel):
    """A message as it came, stored before anybody is told that it was taken.

    It waits until it is worked through; `outcome` and `reason` then say what became of it, and `trace`
    each step that matched, suppressed or quarantined it: {"step", "result", "detail"}.
    """

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="incoming")
    raw: Any = models.FileField(upload_to=raw_path, max_length=200, editable=False)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    way = models.CharField(max_length=8, choices=WAYS)
    envelope_from = models.CharField(max_length=320, null=True, blank=True, help_text="Empty: the null sender.")
    envelope_to = models.CharField(max_length=320, blank=True, default="")
    received_at = models.DateTimeField()

    status = models.CharField(
        max_length=8, choices=[("waiting", "Waiting"), ("done", "Done")], default="waiting", editable=False
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often somebody began to work it through.")
    next_at = models.DateTimeField(null=True, blank=True, help_text="When it is worked through, or the lease ends.")
    outcome = models.CharField(max_length=14, choices=OUTCOMES, blank=True, default="")
    reason = models.CharField(max_length=120, blank=True, default="", help_text="A short code, or in words.")
    trace = models.JSONField(default=list, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    # What stands in it, for search; known once it was read.
    dedup_key = models.CharField(
        max_length=64, null=True, blank=True, editable=False, help_text="Hash of its Message-ID, or of its bytes."
    )
    message_id = models.CharField(max_length=400, blank=True, default="", help_text="Without <>.")
    from_address = models.CharField(max_length=320, blank=True, default="")
    from_name = models.CharField(max_length=120, blank=True, default="")
    subject = models.CharField(max_length=255, blank=True, default="")
    cc = models.JSONField(default=list, blank=True, help_text="Addresses besides ours that it also went to.")
    is_automatic = models.BooleanField(default=False)
    is_verified = models.BooleanField(default=False, help_text="The trusted host vouches for its sender.")

    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    comment = models.ForeignKey(Comment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        db_table = "mail_incoming"
        verbose_name_plural = "incoming"
        constraints = [
            # One comment per message: the row that made it holds the key, later ones are its duplicates.
            models.UniqueConstraint(fields=["workspace", "dedup_key"], name="one_result_per_message"),
            models.CheckConstraint(
                condition=Q(status="waiting", outcome="") | (Q(status="done") & ~Q(outcome="")),
                name="incoming_waits_or_has_an_outcome",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(status="waiting"), name="mail_incoming_waiting"),
            models.Index("workspace", F("received_at").desc(), F("id").desc(), name="mail_incoming_newest"),
            models.Index(
                "workspace",
                F("received_at").desc(),
                condition=Q(outcome="quarantined"),
                name="mail_incoming_quarantine",
            ),
            models.Index(
                fields=["received_at"],
                condition=Q(status="done") & ~Q(outcome="quarantined") & ~Q(raw=""),
                name="mail_incoming_kept",
            ),
            models.Index(fields=["workspace", "message_id"], name="mail_incoming_message_id"),
            models.Index(fields=["workspace", "from_address"], name="mail_incoming_from"),
            models.Index(fields=["ticket"], condition=Q(ticket__isnull=False), name="mail_incoming_ticket"),
            models.Index(fields=["comment"], condition=Q(comment__isnull=False), name="mail_incoming_comment"),
        ]

    def __str__(self) -> str:
        return f"{self.from_address or 'somebody'}: {self.subject[:60]}"


class BlockedSender(WorkspaceModel):
    """An address, or a whole domain (`@example.com`), whose mail is ignored."""

    pattern = models.CharField(max_length=320)
    reason = models.CharField(max_length=200, blank=True, default="")
    created_by: Any = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "mail_blocked_senders"
        constraints = [models.UniqueConstraint(fields=["workspace", "pattern"], name="one_block_per_sender")]

    def __str__(self) -> str:
        return self.pattern
