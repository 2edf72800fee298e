"""Service levels: policies, business hours, the clocks of tickets, and work over many of them in the background."""

from decimal import Decimal
from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.timezone import now as utc_now

from helpdesk.accounts.models import Membership, User, WorkspaceManager, WorkspaceModel
from tickets.deadlines import Goal, Run
from tickets.models import Ticket

_POSITIVE = [MinValueValidator(Decimal("0.0001"))]
GOALS = [(goal.value, goal.value.replace("_", " ").capitalize()) for goal in Goal]
LONGEST_HOURS = 100_000  # eleven years


class LiveQuerySet(models.QuerySet):
    """Rows that are archived instead of deleted: clocks that ended under them keep them."""

    def live(self) -> Self:
        """Those that are not archived."""
        return self.filter(archived_at=None)


def _hours(**options: Any) -> "models.DecimalField[Any, Any]":
    return models.DecimalField(max_digits=9, decimal_places=4, validators=_POSITIVE, **options)


class BusinessHours(WorkspaceModel):
    """When clocks run: a week, a time zone, and days that are different. `slas.calendar` reads it.

    `schedule` and `holidays` are in the shape of the API. One row is one calendar: it is read whole
    with every change of a ticket, and edited whole.
    """

    name = models.CharField(max_length=80)
    timezone = models.CharField(max_length=64, default="UTC")
    schedule = models.JSONField(default=dict, help_text='{"monday": {"start": "09:00", "end": "18:00"}}')
    holidays = models.JSONField(default=list, blank=True, help_text='["2026-12-25"]')
    country = models.CharField(max_length=2, blank=True, default="", help_text="Its public holidays are closed.")
    region = models.CharField(max_length=10, blank=True, default="")
    is_default = models.BooleanField(default=False, help_text="For policies that name no business hours.")
    created_at = models.DateTimeField(default=utc_now, editable=False)
    updated_at = models.DateTimeField(default=utc_now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    unscoped = LiveQuerySet.as_manager()  # type: ignore[misc]
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager(LiveQuerySet)

    class Meta:
        db_table = "business_hours"
        verbose_name = "business hours"
        verbose_name_plural = "business hours"
        constraints = [
            models.UniqueConstraint(
                "workspace", Lower("name"), condition=Q(archived_at=None), name="one_calendar_per_name"
            ),
            models.UniqueConstraint(
                fields=["workspace"], condition=Q(is_default=True), name="one_default_calendar_per_workspace"
            ),
            models.CheckConstraint(
                condition=Q(archived_at=None) | Q(is_default=False), name="default_calendar_is_not_archived"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WorkingHours(WorkspaceModel):
    """The business hours that an agent works; outside of them no ticket is given to them by a rule."""

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="working_hours")
    business_hours = models.ForeignKey(BusinessHours, on_delete=models.PROTECT, related_name="workers")
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        db_table = "working_hours"
        verbose_name = "working hours"
        verbose_name_plural = "working hours"

    def __str__(self) -> str:
        return f"{self.membership_id} works {self.business_hours_id}"


class SLAPolicy(WorkspaceModel):
    """What is promised to whom: targets in hours, with overrides per priority.

    The first policy in order whose conditions a ticket meets is its policy; the default, which has
    none, takes what is left. A deleted policy is archived.
    """

    name = models.CharField(max_length=80)
    first_response_hours = _hours()
    next_response_hours = _hours(null=True, blank=True)
    resolution_hours = _hours()
    priority_overrides = models.JSONField(
        default=dict, blank=True, help_text='{"urgent": {"first_response_hours": 1, "resolution_hours": 4}}'
    )
    business_hours_only = models.BooleanField(default=True)
    business_hours = models.ForeignKey(
        BusinessHours, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="None: the default."
    )
    pending_pauses = ArrayField(
        models.CharField(max_length=20, choices=GOALS),
        default=list,
        blank=True,
        help_text="Which clocks stand still while the ticket waits for the customer.",
    )
    at_risk_percent = models.PositiveSmallIntegerField(
        default=75, validators=[MinValueValidator(1), MaxValueValidator(99)]
    )
    conditions = models.JSONField(
        default=dict,
        blank=True,
        help_text='{"category_ids": [], "organization_ids": [], "attributes": {"plan": ["pro"]}}',
    )
    terms = models.ForeignKey(
        "slas.SLATerms", null=True, editable=False, on_delete=models.SET_NULL, related_name="+", help_text="Today's."
    )
    is_default = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=1, help_text="Its place in the order, from 1.")
    created_at = models.DateTimeField(default=utc_now, editable=False)
    updated_at = models.DateTimeField(default=utc_now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    unscoped = LiveQuerySet.as_manager()  # type: ignore[misc]
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager(LiveQuerySet)

    class Meta:
        db_table = "sla_policies"
        verbose_name = "SLA policy"
        verbose_name_plural = "SLA policies"
        constraints = [
            models.UniqueConstraint(
                "workspace", Lower("name"), condition=Q(archived_at=None), name="one_sla_policy_per_name"
            ),
            models.UniqueConstraint(
                fields=["workspace"], condition=Q(is_default=True), name="one_default_sla_policy_per_workspace"
            ),
            models.CheckConstraint(
                condition=Q(first_response_hours__gt=0, resolution_hours__gt=0)
                & (Q(next_response_hours=None) | Q(next_response_hours__gt=0)),
                name="sla_targets_are_positive",
            ),
            models.CheckConstraint(condition=Q(at_risk_percent__range=(1, 99)), name="sla_at_risk_is_a_percentage"),
            models.CheckConstraint(
                condition=Q(pending_pauses__contained_by=[goal.value for goal in Goal]), name="sla_pauses_are_goals"
            ),
            models.CheckConstraint(
                condition=Q(archived_at=None) | Q(is_default=False), name="default_sla_policy_is_not_archived"
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(conditions={}), name="default_sla_policy_has_no_conditions"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SLATerms(WorkspaceModel):
    """What a policy said at some time, its calendar included: never changed, so that a clock can be explained forever.

    Saving a policy or its business hours seals new terms; clocks point to those they were reckoned by.
    """

    policy = models.ForeignKey("slas.SLAPolicy", on_delete=models.CASCADE, related_name="+")
    document = models.JSONField(help_text="See `slas.services.rules.seal`.")
    digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the document.")
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        db_table = "sla_terms"
        verbose_name = "SLA terms"
        verbose_name_plural = "SLA terms"
        constraints = [models.UniqueConstraint(fields=["policy", "digest"], name="one_sealing_of_the_same_terms")]

    def __str__(self) -> str:
        return f"{self.policy_id} of {self.created_at:%Y-%m-%d %H:%M}"


class Clock(WorkspaceModel):
    """One promise on one ticket, as `slas.clocks` reckons it. Written by `slas.services` only.

    `cycle` counts the answers that a customer waited for; first response and resolution have one.
    `due_at` is None while the clock stands still and was not due before, and where the calendar
    never opens long enough. What was satisfied stays as it was judged then, late or in time.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+")
    policy = models.ForeignKey(SLAPolicy, on_delete=models.PROTECT, related_name="+")
    terms = models.ForeignKey(SLATerms, on_delete=models.PROTECT, related_name="+")
    goal = models.CharField(max_length=20, choices=GOALS)
    cycle = models.PositiveIntegerField(default=1)
    run = models.CharField(max_length=10, choices=[(run.value, run.value) for run in Run])
    target = models.DurationField(help_text="Business time.")
    used = models.DurationField(help_text="Business time that had run at `as_of`.")
    started_at = models.DateTimeField()
    as_of = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    at_risk_at = models.DateTimeField(null=True)
    satisfied_at = models.DateTimeField(null=True)
    deadline_set_at = models.DateTimeField(help_text="When this deadline came to hold; a breach is not earlier.")
    warned_at = models.DateTimeField(null=True, help_text="When this deadline was recorded to be at risk.")
    warned_target = models.DurationField(null=True, help_text="The target whose share was warned of: once for each.")
    breached_at = models.DateTimeField(null=True, help_text="When it was breached; set with the activity, once.")
    sweep_at = models.DateTimeField(null=True, help_text="When the sweep has something to record next.")
    quiet_until = models.DateTimeField(
        null=True, help_text="What was breached until then is of an imported past: recorded, never sent to anyone."
    )

    class Meta:
        db_table = "sla_clocks"
        constraints = [
            models.UniqueConstraint(fields=["ticket", "goal", "cycle"], name="one_clock_per_ticket_goal_and_cycle"),
            models.CheckConstraint(condition=Q(goal__in=[goal.value for goal in Goal]), name="clock_goal"),
            models.CheckConstraint(condition=Q(run__in=[run.value for run in Run]), name="clock_run"),
            models.CheckConstraint(
                condition=Q(run="satisfied", satisfied_at__isnull=False)
                | (~Q(run="satisfied") & Q(satisfied_at__isnull=True)),
                name="satisfied_clock_has_its_time",
            ),
            models.CheckConstraint(condition=Q(sweep_at=None) | Q(run="running"), name="only_a_running_clock_is_swept"),
        ]
        # The sweep asks "what is due?"; nothing else is in the index.
        indexes = [models.Index(fields=["sweep_at"], condition=Q(sweep_at__isnull=False), name="sla_clocks_due")]

    def __str__(self) -> str:
        return f"{self.goal} of {self.ticket_id}"


class Job(WorkspaceModel):
    """Work over many tickets in the background: deriving clocks anew, or asking what a draft would change."""

    KINDS = [("derive", "Derive"), ("what_if", "What if")]
    STATES = [("waiting", "Waiting"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")]

    kind = models.CharField(max_length=10, choices=KINDS)
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    draft = models.JSONField(default=dict, help_text="What is asked; see `slas.services.what_if`.")
    result = models.JSONField(null=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=utc_now, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often somebody took it up.")
    seen_at = models.DateTimeField(null=True, help_text="The last sign of life of the worker.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sla_jobs"
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["derive", "what_if"]), name="sla_job_kind"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running", "done", "failed"]), name="sla_job_state"
            ),
        ]
        indexes = [models.Index("workspace", F("created_at").desc(), name="sla_jobs_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def percent(self) -> int:
        """How far it is, from 0 to 100."""
        if self.state == "done":
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0
