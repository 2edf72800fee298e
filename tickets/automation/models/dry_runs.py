"""Dry runs: what a rule would have matched and changed in the last days, without changing anything."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from helpdesk.accounts.models import User, WorkspaceModel
from tickets.automation.models.rules import TRIGGERS, Rule
from tickets.models import Activity, Ticket

STATUSES = [("waiting", "Waiting"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")]


class DryRun(WorkspaceModel):
    """That somebody asked what a rule would have done, how far that is, and what came of it.

    Its counts are of all that was asked; of the rows only so many are kept.
    """

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+")
    asked = models.JSONField(help_text="The rule as it was: triggers, their options, conditions, actions.")
    since = models.DateTimeField()
    until = models.DateTimeField()
    status = models.CharField(max_length=10, choices=STATUSES, default="waiting")
    total = models.PositiveIntegerField(default=0, help_text="Tickets to look at.")
    done = models.PositiveIntegerField(default=0, help_text="Tickets that were looked at.")
    last_ticket_id = models.UUIDField(null=True, editable=False, help_text="Whoever goes on, goes on after this one.")
    events = models.PositiveIntegerField(default=0, help_text="How often the rule was asked.")
    tickets = models.PositiveIntegerField(default=0, help_text="Tickets about which it was asked.")
    matched_events = models.PositiveIntegerField(default=0)
    matched_tickets = models.PositiveIntegerField(default=0)
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often somebody took it up.")
    seen_at = models.DateTimeField(null=True, help_text="The last sign of life of the worker.")
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True, default="", help_text="Why it failed, in plain words.")

    class Meta:
        db_table = "automation_dry_runs"
        constraints = [
            models.CheckConstraint(condition=Q(status__in=[word for word, _ in STATUSES]), name="dry_run_status"),
            models.CheckConstraint(condition=Q(since__lt=F("until")), name="dry_run_ends_after_it_begins"),
            models.CheckConstraint(
                condition=Q(matched_events__lte=F("events")) & Q(matched_tickets__lte=F("tickets")),
                name="dry_run_matches_what_it_asked",
            ),
        ]
        indexes = [
            models.Index("rule", F("created_at").desc(), F("id").desc(), name="dry_runs_newest"),
            models.Index(fields=["id"], condition=Q(status__in=["waiting", "running"]), name="dry_runs_to_do"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.status}"

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


class DryRunRow(WorkspaceModel):
    """One moment at which the rule would have been asked about a ticket, and the answer."""

    dry_run = models.ForeignKey(DryRun, on_delete=models.CASCADE, related_name="rows")
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+")
    activity = models.ForeignKey(Activity, on_delete=models.CASCADE, related_name="+")
    trigger = models.CharField(max_length=20, choices=TRIGGERS)
    happened_at = models.DateTimeField(help_text="The moment as of which the rule was asked.")
    is_matched = models.BooleanField()
    reasons = models.JSONField(default=list, help_text='[{"text", "is_met", "was", "depth"}]')
    changes = models.JSONField(default=list, help_text='[{"action", "text", "is_change"}]')

    class Meta:
        db_table = "automation_dry_run_rows"
        constraints = [
            models.UniqueConstraint(fields=["dry_run", "activity", "trigger"], name="one_answer_per_dry_run_and_event")
        ]
        indexes = [
            models.Index("dry_run", "is_matched", F("happened_at").desc(), F("id").desc(), name="dry_run_rows_newest")
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id} at {self.happened_at}"
