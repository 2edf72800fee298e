"""What leaves the helpdesk because of a rule or a macro: mail to its people, and calls of webhooks."""

from django.db import models
from django.db.models import Q

from helpdesk.accounts.models import WorkspaceModel
from tickets.automation.models.rules import Run
from tickets.models import Ticket


class Effect(WorkspaceModel):
    """One mail or call, queued in the transaction that wants it, and sent after it. Its id is the key of every try."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="effects")  # none: by a macro
    kind = models.CharField(max_length=8, choices=[("mail", "Mail"), ("webhook", "Webhook")])
    target = models.CharField(max_length=2000, help_text="The address or the URL.")
    content = models.JSONField(help_text="As it was when it was queued.")
    status = models.CharField(
        max_length=8,
        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("failed", "Failed"), ("held", "Held back")],
        default="waiting",
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, help_text="The next try; empty when there is none.")
    error = models.CharField(max_length=300, blank=True, default="", help_text="Why the last try failed.")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "automation_effects"
        constraints = [
            models.CheckConstraint(
                condition=Q(status="waiting", next_at__isnull=False, ended_at=None)
                | (~Q(status="waiting") & Q(next_at=None, ended_at__isnull=False)),
                name="automation_effect_waits_or_has_ended",
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(status="waiting"), name="automation_effects_next"),
            models.Index(fields=["run"], name="automation_effects_of_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.target[:60]}"
