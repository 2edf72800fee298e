"""Tickets that open by themselves on a schedule, and what became of each occurrence."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from helpdesk.accounts.models import Team, User, WorkspaceModel
from tickets.lifecycle import Priority
from tickets.models import Category, Ticket

PRIORITIES = [(priority.value, priority.value.capitalize()) for priority in Priority]


class RecurringTicket(WorkspaceModel):
    """A ticket that is opened again and again: when, and what stands in it."""

    name = models.CharField(max_length=80)
    schedule = models.JSONField(help_text="See `tickets.automation.schedule`.")
    subject = models.CharField(max_length=255)
    description = models.TextField()
    requester_email = models.EmailField(max_length=254)
    requester_name = models.CharField(max_length=120, blank=True, default="")
    priority = models.CharField(max_length=10, choices=PRIORITIES, default=Priority.MEDIUM.value)
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    team_name = models.CharField(
        max_length=80, blank=True, default="", editable=False, help_text="A team that is deleted leaves its name here."
    )
    assignee = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    is_active = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Empty: paused, or it has ended.")
    last_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="The occurrence last opened.")
    last_ticket = models.ForeignKey(
        Ticket, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    notice = models.TextField(blank=True, default="", editable=False, help_text="What it names that is gone.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "automation_recurring_tickets"
        constraints = [
            models.UniqueConstraint(
                "workspace", Lower("name"), condition=Q(archived_at=None), name="one_recurring_ticket_per_name"
            ),
            models.CheckConstraint(
                condition=Q(priority__in=[word for word, _ in PRIORITIES]), name="recurring_ticket_priority"
            ),
            models.CheckConstraint(
                condition=Q(next_at=None) | Q(is_active=True, archived_at=None), name="only_an_active_one_is_due"
            ),
            models.CheckConstraint(condition=Q(team=None) | ~Q(team_name=""), name="recurring_ticket_keeps_team_name"),
        ]
        indexes = [
            models.Index(
                fields=["next_at"], condition=Q(is_active=True, archived_at=None), name="recurring_tickets_due"
            )
        ]

    def __str__(self) -> str:
        return self.name


class RecurringRun(WorkspaceModel):
    """What became of one occurrence: a ticket, or why there is none. Once for each."""

    recurring = models.ForeignKey(RecurringTicket, on_delete=models.CASCADE, related_name="runs")
    occurrence_at = models.DateTimeField(help_text="When it was due.")
    is_opened = models.BooleanField()
    ticket = models.ForeignKey(Ticket, null=True, on_delete=models.SET_NULL, related_name="+")
    text = models.TextField(blank=True, default="", help_text="Why it was not opened, or without what.")
    ran_at = models.DateTimeField()

    class Meta:
        db_table = "automation_recurring_runs"
        constraints = [
            models.UniqueConstraint(fields=["recurring", "occurrence_at"], name="an_occurrence_runs_once"),
            models.CheckConstraint(condition=Q(is_opened=True) | Q(ticket=None), name="what_is_skipped_has_no_ticket"),
            models.CheckConstraint(condition=Q(is_opened=True) | ~Q(text=""), name="what_is_skipped_says_why"),
            models.CheckConstraint(condition=Q(ran_at__gte=F("occurrence_at")), name="nothing_runs_before_its_time"),
        ]

    def __str__(self) -> str:
        return f"{self.recurring_id} of {self.occurrence_at:%Y-%m-%d %H:%M}"
