"""Rules, what each did to a ticket and why, and the tickets that wait for an agent."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from helpdesk.accounts.models import Team, Workspace, WorkspaceModel
from tickets.models import Activity, Ticket

TRIGGERS = [
    ("created", "A ticket is created"),
    ("customer_replied", "The customer replies"),
    ("agent_replied", "An agent replies"),
    ("status_changed", "The status changes"),
    ("priority_changed", "The priority changes"),
    ("category_changed", "The category changes"),
    ("assignee_changed", "The assignee changes"),
    ("sla_at_risk", "An SLA target is at risk"),
    ("sla_breached", "An SLA target is breached"),
    ("no_response", "A customer has waited for an answer for so many business hours"),
    ("customer_messages", "A customer has written so many messages in a row"),
    ("idle", "Nobody has done anything for so many hours"),
    ("satisfaction_rated", "A customer rates the service"),
]
TIMED = ("no_response", "idle")  # pulled by a time that comes, not by something that happens
# What a trigger needs to know besides, and where a rule keeps it.
OPTIONS = {"no_response": "no_response_hours", "idle": "idle_hours", "customer_messages": "message_count"}


def _option(trigger: str, field: str, lowest: int, highest: int) -> models.CheckConstraint:
    """A rule has the option of a trigger exactly where it has the trigger."""
    pulls = Q(triggers__contains=[trigger])
    fits = Q(**{f"{field}__gte" if lowest else f"{field}__gt": lowest, f"{field}__lte": highest})
    return models.CheckConstraint(
        condition=(pulls & Q(**{f"{field}__isnull": False}) & fits) | (~pulls & Q(**{field: None})),
        name=f"automation_rule_{field}",
    )


class Rule(WorkspaceModel):
    """When one of its triggers happens to a ticket that meets its conditions, its actions are done."""

    name = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField(default=1, help_text="Its place in the order, from 1.")
    is_active = models.BooleanField(default=True)
    triggers = ArrayField(models.CharField(max_length=20, choices=TRIGGERS))
    conditions = models.JSONField(default=dict, help_text="See `tickets.automation.conditions`.")
    actions = models.JSONField(default=list, help_text="See `tickets.automation.services.actions`.")
    no_response_hours = models.DecimalField(
        max_digits=7, decimal_places=2, null=True, blank=True, help_text="Business hours until `no_response`."
    )
    idle_hours = models.DecimalField(
        max_digits=7, decimal_places=2, null=True, blank=True, help_text="Hours until `idle`."
    )
    message_count = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Messages in a row until `customer_messages`."
    )
    stops = models.BooleanField(default=False, help_text="Where it matched, the rules after it are not asked.")
    notice = models.TextField(blank=True, default="", editable=False, help_text="Why it was switched off by itself.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "automation_rules"
        constraints = [
            models.UniqueConstraint(
                "workspace", Lower("name"), condition=Q(archived_at=None), name="one_automation_rule_per_name"
            ),
            models.CheckConstraint(
                condition=Q(triggers__contained_by=[word for word, _ in TRIGGERS]) & Q(triggers__len__gt=0),
                name="automation_rule_triggers",
            ),
            _option("no_response", "no_response_hours", 0, 8784),
            _option("idle", "idle_hours", 0, 8784),
            _option("customer_messages", "message_count", 2, 50),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "position"],
                condition=Q(is_active=True, archived_at=None),
                name="automation_rules_active",
            )
        ]

    def __str__(self) -> str:
        return self.name


class RuleBook(WorkspaceModel):
    """How often the rules of a workspace have changed; a trigger on the rules counts. Workers keep rules by it."""

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, related_name="+")
    version = models.PositiveBigIntegerField(default=0)
    reckoned_version = models.PositiveBigIntegerField(
        default=0, help_text="The version by which the times that rules wait for were reckoned for all tickets."
    )

    class Meta:
        db_table = "automation_rule_books"
        indexes = [
            models.Index(fields=["id"], condition=~Q(reckoned_version=F("version")), name="automation_books_to_reckon")
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.version}"


class Run(WorkspaceModel):
    """That a rule was asked about an activity and matched: why, and what it did.

    Once per rule and activity, and once more for each time that came because of it.
    """

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+")
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+")
    activity = models.ForeignKey(Activity, on_delete=models.CASCADE, related_name="+")
    root_id = models.UUIDField(
        null=True, help_text="The activity that this one followed from, through other rules; empty for a first one."
    )
    trigger = models.CharField(max_length=20)
    reasons = models.JSONField(default=list, help_text="The tests that were met, in words.")
    done = models.JSONField(default=list, help_text='[{"action", "text", "is_done"}]')
    ran_at = models.DateTimeField()

    class Meta:
        db_table = "automation_runs"
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "activity"],
                condition=~Q(trigger__in=TIMED),
                name="a_rule_runs_once_per_activity",
            ),
            models.UniqueConstraint(
                fields=["rule", "activity", "trigger"],
                condition=Q(trigger__in=TIMED),
                name="a_time_comes_once_per_activity",
            ),
        ]
        indexes = [
            models.Index(fields=["ticket", "ran_at"], name="automation_runs_of_ticket"),
            models.Index(fields=["rule", "-ran_at"], name="automation_runs_of_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.ticket_id}"


class Due(WorkspaceModel):
    """When a rule that waits for a time will look at a ticket, and the activity since which it waits."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+")
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+")
    trigger = models.CharField(max_length=20, choices=[row for row in TRIGGERS if row[0] in TIMED])
    activity = models.ForeignKey(Activity, on_delete=models.CASCADE, related_name="+")
    due_at = models.DateTimeField()

    class Meta:
        db_table = "automation_due"
        constraints = [
            models.UniqueConstraint(fields=["ticket", "rule", "trigger"], name="a_rule_waits_once_per_ticket")
        ]
        indexes = [models.Index(fields=["due_at", "id"], name="automation_due_next")]

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.ticket_id} at {self.due_at}"


class Waiting(WorkspaceModel):
    """A ticket that could be given to nobody: it gets the next agent who is free, oldest first."""

    ticket = models.OneToOneField(Ticket, on_delete=models.CASCADE, related_name="+")
    rule = models.ForeignKey(Rule, null=True, on_delete=models.CASCADE, related_name="+")  # none: by a macro
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="+")  # whose log it ends
    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="+")
    method = models.CharField(max_length=12, choices=[("least_busy", "Least busy"), ("round_robin", "Round robin")])
    since = models.DateTimeField()

    class Meta:
        db_table = "automation_waiting"
        indexes = [models.Index(fields=["workspace", "since", "id"], name="automation_waiting_oldest")]

    def __str__(self) -> str:
        return str(self.ticket_id)
