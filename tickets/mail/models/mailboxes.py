"""Where mail comes in and under which name it goes out, and what is done with what comes in."""

import datetime as dt
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from helpdesk.accounts.models import Team, Workspace, WorkspaceManager, WorkspaceModel
from tickets.lifecycle import Priority
from tickets.models import Category

SECURITY = [("tls", "TLS"), ("starttls", "STARTTLS"), ("none", "None (only inside one network)")]


class Mailbox(WorkspaceModel):
    """An address of a workspace. Mail to it becomes tickets, and answers are sent in its name.

    Mail reaches it in any of three ways: forwarded to our listener, fetched over IMAP, or posted over HTTPS.
    """

    address = models.EmailField(max_length=254, help_text="What customers write to; in lower case.")
    name = models.CharField(max_length=120, blank=True, default="", help_text="Beside the address in From.")
    is_active = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False, help_text="Answers on tickets of other channels come from here.")

    # What a new ticket gets.
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    priority = models.CharField(
        max_length=10, choices=[(p.value, p.value.capitalize()) for p in Priority], default=Priority.MEDIUM.value
    )
    adds_cc = models.CharField(
        max_length=10,
        choices=[
            ("verified", "When the sender is verified"),
            ("always", "Always"),
            ("never", "Never"),
        ],
        default="verified",
        help_text="Whether people in Cc take part in the ticket. Anybody can write any sender into a mail.",
    )
    trusted_host = models.CharField(
        max_length=253,
        blank=True,
        default="",
        help_text="The mail server whose Authentication-Results are believed (RFC 8601); empty: nobody's.",
    )

    # Posted over HTTPS.
    secret_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    secret_hint = models.CharField(max_length=12, blank=True, default="", editable=False)

    # Fetched over IMAP; secrets are sealed (helpdesk.sealing).
    imap_host = models.CharField(max_length=253, blank=True, default="")
    imap_port = models.PositiveIntegerField(default=993)
    imap_security = models.CharField(max_length=8, choices=SECURITY, default="tls")
    imap_user = models.CharField(max_length=254, blank=True, default="")
    imap_auth = models.CharField(
        max_length=8, choices=[("password", "Password"), ("oauth2", "OAuth 2")], default="password"
    )
    imap_secret = models.TextField(blank=True, default="", editable=False, help_text="Password or refresh token.")
    imap_folder = models.CharField(max_length=120, default="INBOX")
    imap_after = models.CharField(
        max_length=8, choices=[("seen", "Mark as read"), ("move", "Move"), ("delete", "Delete")], default="seen"
    )
    imap_move_to = models.CharField(max_length=120, blank=True, default="")
    oauth_token_url = models.CharField(max_length=500, blank=True, default="")
    oauth_client_id = models.CharField(max_length=300, blank=True, default="")
    oauth_client_secret = models.TextField(blank=True, default="", editable=False)
    fetched_at = models.DateTimeField(null=True, blank=True, help_text="The last successful fetch.")
    next_fetch_at = models.DateTimeField(null=True, blank=True, help_text="Also the lease of a running fetch.")
    fetch_failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    fetch_error = models.CharField(max_length=300, blank=True, default="", help_text="Of the last fetch, in words.")

    # Going out; without a host the deployment's own backend sends.
    smtp_host = models.CharField(max_length=253, blank=True, default="")
    smtp_port = models.PositiveIntegerField(default=587)
    smtp_security = models.CharField(max_length=8, choices=SECURITY, default="starttls")
    smtp_user = models.CharField(max_length=254, blank=True, default="")
    smtp_secret = models.TextField(blank=True, default="", editable=False)
    uses_plus_address = models.BooleanField(
        default=True, help_text="Reply-To is address+token@…: needs a server that delivers such addresses (RFC 5233)."
    )
    sent_at = models.DateTimeField(null=True, blank=True, help_text="The last mail that was accepted.")
    send_error = models.CharField(max_length=300, blank=True, default="", help_text="Of the last try, in words.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "mail_mailboxes"
        verbose_name_plural = "mailboxes"
        constraints = [
            models.UniqueConstraint(fields=["address"], name="one_mailbox_per_address"),
            models.UniqueConstraint(
                fields=["workspace"], condition=Q(is_default=True), name="one_default_mailbox_per_workspace"
            ),
            models.CheckConstraint(condition=Q(address=Lower("address")), name="mailbox_address_is_lower_case"),
        ]
        indexes = [
            models.Index(
                fields=["next_fetch_at"], condition=Q(is_active=True) & ~Q(imap_host=""), name="mailboxes_to_fetch"
            )
        ]

    def __str__(self) -> str:
        return self.address


class MailSettings(models.Model):
    """How a workspace writes to people; without a row the defaults hold."""

    workspace = models.OneToOneField(Workspace, primary_key=True, on_delete=models.CASCADE, related_name="+")
    undo_seconds = models.PositiveSmallIntegerField(default=10, help_text="An answer can be taken back for so long.")
    acknowledges = models.BooleanField(default=True, help_text="Tell customers that their request has come.")
    tells_resolution = models.BooleanField(default=True, help_text="Tell that it is resolved, and ask for a rating.")
    history = models.CharField(
        max_length=5,
        choices=[("none", "None"), ("last", "The message before"), ("all", "The whole conversation")],
        default="last",
        help_text="What stands below an answer.",
    )
    link_files_over = models.PositiveIntegerField(
        default=7 * 1024 * 1024, help_text="Bytes; files of a mail that are larger together are sent as links."
    )

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "mail_settings"
        verbose_name_plural = "mail settings"
        constraints = [
            models.CheckConstraint(condition=Q(undo_seconds__lte=120), name="undo_within_two_minutes"),
        ]

    def __str__(self) -> str:
        return f"mail settings of {self.workspace_id}"

    @property
    def undo(self) -> dt.timedelta:
        """How long an answer waits before it is sent."""
        return dt.timedelta(seconds=self.undo_seconds)


class ParsingRule(WorkspaceModel):
    """What is done with a message that comes in and matches, before it becomes a ticket or a comment.

    `tests`: a list of {"field": sender|recipient|subject|header|body, "header": name, "operator":
    is|contains|starts_with|ends_with|matches|is_not|contains_not, "value": text}; `matches` is an RE2 expression.
    `actions`: a list of {"do": "set_priority"|"set_category"|"set_team"|"assign"|"add_tags"|"drop", "value": …} and
    {"do": "map", "source": sender|subject|header|body, "header": name, "pattern": RE2 with one group,
    "target": "custom_fields.<key>"|"priority"|"category"|"tags"|"requester_email"|"requester_name"}.
    """

    mailbox = models.ForeignKey(
        Mailbox, null=True, blank=True, on_delete=models.CASCADE, related_name="rules", help_text="None: every one."
    )
    name = models.CharField(max_length=120)
    position = models.PositiveIntegerField()
    is_active = models.BooleanField(default=True)
    needs_all = models.BooleanField(default=True, help_text="Every test must be met, or one of them.")
    tests = models.JSONField(default=list, blank=True)
    actions = models.JSONField(default=list)
    stops = models.BooleanField(default=False, help_text="Later rules are not asked when this one matches.")
    matched_count = models.PositiveBigIntegerField(default=0, editable=False)
    matched_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "mail_parsing_rules"
        indexes = [models.Index(fields=["workspace", "position"], name="mail_rules_in_order")]

    def __str__(self) -> str:
        return self.name
