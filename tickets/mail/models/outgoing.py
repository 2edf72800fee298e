"""Every mail that goes out: queued with what wants it, sent after it."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from helpdesk.accounts.models import Contact, Membership, User, WorkspaceModel
from tickets.mail.models.mailboxes import Mailbox
from tickets.models import Comment, Ticket

KINDS = [
    ("reply", "Answer"),
    ("acknowledgement", "Acknowledgement"),
    ("resolution", "Resolution"),
    ("notice", "Notice to an agent"),
    ("sign_in", "Link to sign in"),
]
STATUSES = [
    ("waiting", "Waiting"),
    ("sent", "Sent"),
    ("failed", "Failed"),
    ("bounced", "Bounced"),
    ("held", "Held back"),
    ("cancelled", "Taken back"),
]


class Outgoing(WorkspaceModel):
    """One mail to one recipient. Its Message-ID is made with it and stays, however often it is tried."""

    mailbox = models.ForeignKey(Mailbox, null=True, blank=True, on_delete=models.SET_NULL, related_name="outgoing")
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+")
    comment = models.ForeignKey(Comment, null=True, blank=True, on_delete=models.CASCADE, related_name="outgoing")
    activity_id = models.UUIDField(help_text="What it tells of.")
    kind = models.CharField(max_length=16, choices=KINDS)
    topic = models.CharField(
        max_length=12, blank=True, default="", help_text="Of a notice: assigned, mentioned, replied or watched."
    )
    recipient = models.EmailField(max_length=254)
    contact = models.ForeignKey(Contact, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    content = models.JSONField(default=dict, blank=True, help_text="What the rows do not say when it is sent.")
    message_id = models.CharField(max_length=400, help_text="Without <>.")
    is_automatic = models.BooleanField(default=False)
    round = models.PositiveSmallIntegerField(default=0, help_text="Counts what somebody sent again by hand.")

    status = models.CharField(max_length=9, choices=STATUSES, default="waiting")
    reason = models.CharField(max_length=300, blank=True, default="", help_text="Why it is not sent, in words.")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True, help_text="The next try, or the end of a try's lease.")
    sent_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    provider_id = models.CharField(max_length=200, blank=True, default="", help_text="The mail provider's own id.")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "mail_outgoing"
        verbose_name_plural = "outgoing"
        constraints = [
            models.UniqueConstraint(fields=["message_id"], name="one_mail_per_message_id"),
            # Once per comment and recipient, however often the task is delivered.
            models.UniqueConstraint(
                fields=["activity_id", "kind", "topic", "recipient", "round"], name="one_mail_per_cause_and_recipient"
            ),
            models.CheckConstraint(
                condition=Q(status="waiting", next_at__isnull=False, ended_at=None)
                | (~Q(status="waiting") & Q(next_at=None, ended_at__isnull=False)),
                name="outgoing_waits_or_has_ended",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(status="waiting"), name="mail_outgoing_waiting"),
            models.Index("workspace", F("created_at").desc(), F("id").desc(), name="mail_outgoing_newest"),
            models.Index(fields=["comment"], condition=Q(comment__isnull=False), name="mail_outgoing_comment"),
            models.Index("ticket", "recipient", F("created_at").desc(), name="mail_outgoing_per_person"),
            models.Index(
                "workspace",
                "recipient",
                F("created_at").desc(),
                condition=Q(is_automatic=True),
                name="mail_outgoing_automatic",
            ),
            models.Index(fields=["provider_id"], condition=~Q(provider_id=""), name="mail_outgoing_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.recipient}"


class Undeliverable(WorkspaceModel):
    """An address that mail cannot reach for good: it gets no automatic mail until it writes, or an admin says so."""

    address = models.EmailField(max_length=254)
    reason = models.CharField(max_length=300, blank=True, default="")
    bounced_at = models.DateTimeField()

    class Meta:
        db_table = "mail_undeliverable"
        verbose_name_plural = "undeliverable"
        constraints = [models.UniqueConstraint(fields=["workspace", "address"], name="one_row_per_dead_address")]

    def __str__(self) -> str:
        return self.address


class NoticePreference(WorkspaceModel):
    """What a member wants to hear by mail; without a row the defaults hold."""

    membership: Any = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="notices")
    assigned = models.BooleanField(default=True, help_text="A ticket is given to me.")
    mentioned = models.BooleanField(default=True, help_text="Somebody writes @me in a note.")
    replied = models.BooleanField(default=True, help_text="A customer writes on a ticket of mine.")
    watched = models.BooleanField(default=True, help_text="Somebody writes on a ticket that I watch.")
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "mail_notice_preferences"

    def __str__(self) -> str:
        return f"notices of {self.membership_id}"
