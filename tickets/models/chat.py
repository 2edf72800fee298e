"""Conversations with chatbots that became tickets, and how a workspace lets bots in."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from helpdesk.accounts.models import Workspace, WorkspaceManager, WorkspaceModel
from tickets.models.ticket import Ticket


class Chat(WorkspaceModel):
    """A conversation with a chatbot and the ticket that continues it.

    The lines of its transcript are comments of the ticket (`Comment.is_transcript`). How many there are and a hash
    of them stand here, so that lines which come later are told from those that came before, whatever becomes of the
    comments.
    """

    ticket = models.OneToOneField(Ticket, on_delete=models.CASCADE, related_name="chat")
    conversation_id = models.CharField(max_length=200, help_text="The bot's own id of the conversation.")
    bot_id = models.CharField(max_length=200, blank=True, default="", help_text="Which bot it was; empty: not told.")
    reason = models.CharField(max_length=200, blank=True, default="", help_text="Why the bot handed it over.")
    context = models.JSONField(default=dict, blank=True, help_text="What the bot knew: any object, shown as it is.")
    line_count = models.PositiveIntegerField(default=0, help_text="Lines of the transcript.")
    lines_hash = models.CharField(max_length=64, blank=True, default="", editable=False, help_text="SHA-256 of them.")
    opened_by = models.CharField(
        max_length=80, help_text="Who opened it: “key”, or the network of a caller without one."
    )
    created_at = models.DateTimeField(default=timezone.now)
    escalated_at = models.DateTimeField(null=True, blank=True, help_text="When the bot last asked for a person.")

    class Meta:
        db_table = "ticket_chats"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "conversation_id"], name="one_chat_per_conversation"),
            models.CheckConstraint(condition=~Q(conversation_id=""), name="chat_has_its_conversation"),
        ]

    def __str__(self) -> str:
        return self.conversation_id


class ChatSettings(models.Model):
    """Who may open tickets from chats in a workspace; without a row anybody may, as with the public form."""

    workspace = models.OneToOneField(Workspace, primary_key=True, on_delete=models.CASCADE, related_name="+")
    requires_key = models.BooleanField(default=False, help_text="Only a bot with the integration key is let in.")
    key_hash = models.CharField(max_length=64, null=True, blank=True, unique=True, editable=False)
    key_hint = models.CharField(max_length=4, blank=True, default="", editable=False, help_text="The key's last four.")
    key_made_at = models.DateTimeField(null=True, blank=True, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "ticket_chat_settings"
        verbose_name_plural = "chat settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(requires_key=False) | Q(key_hash__isnull=False), name="required_key_is_there"
            ),
        ]

    def __str__(self) -> str:
        return f"chat settings of {self.workspace_id}"
