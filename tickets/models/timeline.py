"""What happened: the activity log (which is the outbox), assignments, merges."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from helpdesk.accounts.models import Contact, Team, User, Workspace, WorkspaceManager, WorkspaceModel
from tickets.events import ActorKind, Event
from tickets.models.ticket import Ticket


class Activity(WorkspaceModel):
    """One thing that happened to a ticket: who, when, from, to. Written by `tickets.timeline` only.

    The log is append-only: a trigger refuses DELETE, and UPDATE of anything but `dispatched_at`.
    That column makes the log the outbox: NULL until every *after* subscriber has been queued.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="activities")
    event = models.CharField(max_length=40, choices=[(event.value, event.value) for event in Event])
    occurred_at = models.DateTimeField(help_text="When it happened; for imports, in the past.")
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    actor_kind = models.CharField(max_length=10, choices=[(kind.value, kind.value) for kind in ActorKind])
    actor_user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    actor_contact = models.ForeignKey(Contact, null=True, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=120)
    changes = models.JSONField(default=list, help_text='[{"field", "from", "to"}], in words that people read.')
    payload = models.JSONField(default=dict, help_text="What webhooks will send: a snapshot of the moment.")
    cause = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    depth = models.PositiveSmallIntegerField(default=0, help_text="Length of the chain of causes.")
    dispatched_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ticket_activities"
        verbose_name_plural = "activities"
        indexes = [
            models.Index(fields=["ticket", "occurred_at", "id"], name="ticket_activities_in_order"),
            models.Index(fields=["id"], condition=Q(dispatched_at=None), name="ticket_activities_waiting"),
            # What reports count over a period.
            models.Index(
                fields=["workspace", "occurred_at"],
                include=["ticket", "event"],
                condition=Q(
                    event__in=[
                        Event.RESOLVED.value,
                        Event.CLOSED.value,
                        Event.REOPENED.value,
                        Event.MERGED.value,
                        Event.UNMERGED.value,
                    ]
                ),
                name="ticket_activities_of_reports",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} by {self.actor_name}"


class Assignment(WorkspaceModel):
    """A span in which a ticket had an assignee; `ended_at` is NULL for the current one."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="assignments")
    assignee = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    assigned_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    assigned_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ticket_assignments"
        indexes = [
            models.Index(fields=["ticket", "assigned_at"], name="ticket_assignments_in_order"),
            models.Index(fields=["workspace", "assignee", "id"], name="ticket_assignments_by_agent"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["ticket"], condition=Q(ended_at=None), name="one_current_assignment_per_ticket"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("assigned_at")), name="assignment_ends_after_it_begins"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id} to {self.assignee_id}"


class Merge(WorkspaceModel):
    """The ledger of a merge: the ids of the rows that moved, so that it can be undone."""

    source = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="merges_away")
    target = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="merges_in")
    merged_at = models.DateTimeField()
    merged_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    source_before = models.JSONField(help_text="Status and times of the source before the merge.")
    moved = models.JSONField(help_text='{"comments": [ids], "attachments": [ids], "watchers": [ids], …}')
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "ticket_merges"
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(undone_at=None), name="merged_once_at_a_time"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="no_merge_into_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} into {self.target_id}"


class FeedEntry(models.Model):
    """The place of an activity in the feed of its workspace: `tickets.feed` says what that is good for.

    A trigger adds the row in the transaction that writes the activity. `position` is given after the commit.
    """

    activity = models.OneToOneField(Activity, primary_key=True, on_delete=models.CASCADE, related_name="feed_entry")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    is_replay = models.BooleanField(help_text="The past, told again by an import: nobody is sent it.")
    arrival = models.BigIntegerField(
        help_text="Rises with each row that is written. What happens to one ticket is written in the order in which "
        "it happens, as its writers wait for each other; clocks of two machines, which make the ids, may differ."
    )
    position = models.BigIntegerField(null=True)

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "ticket_feed"
        verbose_name_plural = "feed entries"
        constraints = [
            models.UniqueConstraint(
                fields=["position"], condition=Q(position__isnull=False), name="ticket_feed_has_one_order"
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "position"], name="ticket_feed_of_workspace"),
            models.Index(fields=["arrival"], condition=Q(position=None), name="ticket_feed_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.activity_id}"
