"""The ticket itself and the rows that hang on it."""

import datetime as dt
from typing import Any, ClassVar, Self

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Cast, Concat, Upper
from django.utils import timezone

from helpdesk.accounts.models import Contact, Team, User, WorkspaceManager, WorkspaceModel
from tickets.lifecycle import ACTIVE, RANK, Priority, Status
from tickets.models.setup import Category, Tag

CHANNELS = [
    ("web", "Console"),
    ("portal", "Portal"),
    ("email", "E-mail"),
    ("api", "API"),
    ("chat", "Chat"),
    ("import", "Import"),
    ("schedule", "Schedule"),
]
STATUSES = [(status.value, status.value.capitalize()) for status in Status]
PRIORITIES = [(priority.value, priority.value.capitalize()) for priority in Priority]
LIVE = Q(trashed_at=None)
IN_WORK = LIVE & Q(status__in=[status.value for status in ACTIVE])


class TicketQuerySet(models.QuerySet["Ticket"]):
    """Reads of tickets, named as people ask for them."""

    def live(self) -> Self:
        """Not in the trash."""
        return self.filter(trashed_at=None)

    def trashed(self) -> Self:
        """In the trash, restorable until it is purged."""
        return self.exclude(trashed_at=None)

    def active(self) -> Self:
        """Live and still in work: open or pending."""
        return self.filter(IN_WORK)

    def with_people(self) -> Self:
        """With what a row or a page shows, in the same query."""
        return self.select_related("requester", "requester__organization", "assignee", "team", "category")

    def resolved_before(self, moment: dt.datetime) -> Self:
        """Live, resolved and untouched since before `moment`."""
        return self.live().filter(status=Status.RESOLVED.value, resolved_at__lt=moment)


class Ticket(WorkspaceModel):
    """A customer's request and where it stands. Written only by `tickets.services`."""

    number = models.PositiveBigIntegerField(editable=False)
    ticket_number = models.GeneratedField(
        expression=Concat(Value("#"), Cast("number", models.CharField(max_length=20))),
        output_field=models.CharField(max_length=21),
        db_persist=True,
    )
    subject = models.CharField(max_length=255)
    description = models.TextField()
    description_html = models.TextField(editable=False, help_text="Made from the description, sanitised.")
    folded_text = models.TextField(
        blank=True, default="", db_default="", help_text="Quoted history and signature of the mail that opened it."
    )
    folded_html = models.TextField(
        blank=True, default="", db_default="", editable=False, help_text="The same as it looked, sanitised."
    )
    status = models.CharField(max_length=10, choices=STATUSES, default=Status.OPEN.value)
    priority = models.CharField(max_length=10, choices=PRIORITIES, default=Priority.MEDIUM.value)
    priority_rank = models.GeneratedField(
        expression=Case(
            *[When(priority=priority.value, then=Value(rank)) for priority, rank in RANK.items()],
            default=Value(9),
            output_field=models.SmallIntegerField(),
        ),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    channel = models.CharField(max_length=10, choices=CHANNELS)

    requester = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="tickets")
    requester_email = models.EmailField(max_length=254)
    requester_name = models.CharField(max_length=120, blank=True, default="")
    assignee = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    tags = models.ManyToManyField(Tag, through="TicketTag", related_name="tickets")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    custom_fields = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        editable=False,
        help_text="The answers to the workspace's fields, by key; what is not answered is not there.",
    )

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    first_assigned_at = models.DateTimeField(null=True, blank=True)
    first_response_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    last_message_at = models.DateTimeField(null=True, blank=True, help_text="The newest public message of anyone.")
    next_deadline_at = models.DateTimeField(null=True, blank=True, help_text="The nearest SLA deadline that runs.")
    next_risk_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the nearest of the deadlines that run is at risk."
    )
    sla_state = models.CharField(
        max_length=8,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="See `tickets.deadlines.Columns`.",
    )
    sla_missed = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Some target was missed."
    )
    sla_policy_id = models.UUIDField(  # no foreign key: the service levels stand above the tickets
        null=True,
        blank=True,
        editable=False,
        help_text="The SLA policy that somebody or a rule gave it; empty: by the policies' conditions.",
    )
    sla = models.JSONField(
        null=True, blank=True, editable=False, help_text="What rows show of the clocks: `tickets.deadlines.write`."
    )
    is_new = models.GeneratedField(
        expression=Case(
            When(Q(status="open", first_assigned_at=None, first_response_at=None), then=Value(True)),
            default=Value(False),
            output_field=models.BooleanField(),
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    trashed_at = models.DateTimeField(null=True, blank=True)
    trashed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=1, help_text="Counts changes; the API's ETag.")
    external_id = models.CharField(
        max_length=120, null=True, blank=True, help_text="The id in the system it was imported from."
    )

    unscoped = TicketQuerySet.as_manager()  # type: ignore[misc]
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager(TicketQuerySet)

    class Meta:
        db_table = "tickets"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "number"], name="one_ticket_per_number"),
            models.UniqueConstraint(
                fields=["workspace", "external_id"],
                condition=Q(external_id__isnull=False),
                name="one_ticket_per_external_id",
            ),
            models.CheckConstraint(condition=Q(status__in=[s.value for s in Status]), name="ticket_status"),
            models.CheckConstraint(condition=Q(priority__in=[p.value for p in Priority]), name="ticket_priority"),
            models.CheckConstraint(
                condition=~Q(status__in=["resolved", "closed"])
                | Q(resolved_at__isnull=False)
                | Q(merged_into__isnull=False),
                name="finished_ticket_has_its_time",
            ),
            models.CheckConstraint(condition=~Q(merged_into=F("id")), name="ticket_is_not_merged_into_itself"),
            models.CheckConstraint(
                condition=Q(sla_state__in=["", "running", "paused", "met"]), name="ticket_sla_state"
            ),
        ]
        # Chosen from EXPLAIN (ANALYZE, BUFFERS) on a million tickets: docs/benchmarks.
        indexes = [
            models.Index("workspace", F("created_at").desc(), F("id").desc(), condition=LIVE, name="tickets_created"),
            models.Index("workspace", F("updated_at").desc(), F("id").desc(), condition=LIVE, name="tickets_updated"),
            models.Index(
                "workspace", "status", F("created_at").desc(), F("id").desc(), condition=LIVE, name="tickets_status"
            ),
            models.Index(
                "workspace",
                "status",
                "priority",
                F("created_at").desc(),
                F("id").desc(),
                condition=LIVE,
                name="tickets_status_priority",
            ),
            models.Index(
                "workspace", "assignee", F("created_at").desc(), F("id").desc(), condition=LIVE, name="tickets_assignee"
            ),
            models.Index(
                "workspace", "category", F("created_at").desc(), F("id").desc(), condition=LIVE, name="tickets_category"
            ),
            models.Index("requester", F("created_at").desc(), condition=LIVE, name="tickets_requester"),
            models.Index(
                "workspace", F("created_at").desc(), F("id").desc(), condition=IN_WORK, name="tickets_active_created"
            ),
            models.Index(
                "workspace",
                "assignee",
                F("created_at").desc(),
                F("id").desc(),
                condition=IN_WORK,
                name="tickets_active_assignee",
            ),
            # An index on the assignee gives no order among NULLs: without this one the view Unassigned sorts them all.
            models.Index(
                "workspace",
                F("created_at").desc(),
                F("id").desc(),
                condition=IN_WORK & Q(assignee=None),
                name="tickets_active_unassigned",
            ),
            models.Index(
                "workspace",
                "priority_rank",
                F("created_at").desc(),
                F("id").desc(),
                condition=IN_WORK,
                name="tickets_active_priority",
            ),
            models.Index(
                "workspace",
                F("next_deadline_at").asc(nulls_last=True),
                F("created_at").desc(),
                F("id").desc(),
                condition=IN_WORK,
                name="tickets_active_deadline",
            ),
            models.Index(
                "workspace", "next_risk_at", condition=IN_WORK & Q(sla_state="running"), name="tickets_at_risk"
            ),
            models.Index("resolved_at", condition=LIVE & Q(status="resolved"), name="tickets_to_close"),
            models.Index("trashed_at", condition=Q(trashed_at__isnull=False), name="tickets_trash"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"

    @property
    def display_status(self) -> str:
        """The status people see: `new` for an open ticket that no agent has touched."""
        is_new = self.status == Status.OPEN and self.first_assigned_at is None and self.first_response_at is None
        return "new" if is_new else self.status

    @property
    def requester_label(self) -> str:
        """The requester's name, or their address when they gave none."""
        return self.requester_name or self.requester_email


class TicketTag(models.Model):
    """A tag on a ticket."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE)
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE)

    class Meta:
        db_table = "ticket_tags"
        constraints = [models.UniqueConstraint(fields=["tag", "ticket"], name="one_of_each_tag_per_ticket")]

    def __str__(self) -> str:
        return str(self.tag_id)


class Watcher(WorkspaceModel):
    """A member who wants to hear about a ticket."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="watchers")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "ticket_watchers"
        constraints = [models.UniqueConstraint(fields=["ticket", "user"], name="one_watch_per_member")]

    def __str__(self) -> str:
        return str(self.user_id)


class Participant(WorkspaceModel):
    """A customer besides the requester who takes part (Cc, or the requester of a merged ticket)."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="participants")
    contact = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "ticket_participants"
        constraints = [models.UniqueConstraint(fields=["ticket", "contact"], name="one_participation_per_contact")]

    def __str__(self) -> str:
        return str(self.contact_id)


class TicketLink(WorkspaceModel):
    """A relation between two tickets: related, `ticket` is the parent, or `other` follows it up."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="links")
    other = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="linked_from")
    kind = models.CharField(
        max_length=10, choices=[("related", "Related"), ("parent", "Parent of"), ("follow_up", "Followed up by")]
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "ticket_links"
        constraints = [
            models.UniqueConstraint(fields=["ticket", "other", "kind"], name="one_link_of_a_kind"),
            models.CheckConstraint(condition=~Q(ticket=F("other")), name="no_link_to_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id} {self.kind} {self.other_id}"


class CustomerToken(WorkspaceModel):
    """What opens one ticket for one customer; `tickets.access` makes and checks the secret itself."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="customer_tokens")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="+")
    nonce = models.BinaryField(max_length=32, editable=False)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    network_hash = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Of the network that it was given to on the spot; empty for one that was mailed.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ticket_customer_tokens"
        constraints = [models.UniqueConstraint(fields=["ticket", "contact"], name="one_token_per_ticket_and_customer")]

    def __str__(self) -> str:
        return f"token of {self.contact_id} for {self.ticket_id}"


class SearchDocument(models.Model):
    """The words of a ticket and its comments, and its subject once more, for its fragments.

    Apart from the ticket, whose row changes with every step: each would write the subject's trigrams anew.
    """

    ticket = models.OneToOneField(Ticket, primary_key=True, on_delete=models.CASCADE, related_name="+")
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+")
    words = SearchVectorField()
    subject = models.CharField(max_length=255, default="", db_default="", editable=False)

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "ticket_search"
        # fastupdate makes single inserts stall for half a second when its list is flushed.
        indexes = [
            GinIndex(fields=["words"], name="ticket_search_words", fastupdate=False),
            GinIndex(OpClass(Upper("subject"), name="gin_trgm_ops"), name="ticket_search_subject", fastupdate=False),
        ]

    def __str__(self) -> str:
        return str(self.ticket_id)


class TicketCount(models.Model):
    """Kept totals: the sum of `tickets` over matching rows is an exact count of live tickets.

    A trigger on `tickets` adds rows (also negative ones) in the transaction of the change, and a
    task folds them together; nobody waits for a shared counter. Two facets are kept because a
    total is asked by assignee or by category, seldom by both.
    """

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+")
    facet = models.CharField(max_length=8)  # "assignee" or "category"
    key = models.UUIDField(null=True)  # the assignee's or the category's id
    status = models.CharField(max_length=10)
    priority = models.CharField(max_length=10)
    is_new = models.BooleanField()
    tickets = models.BigIntegerField()

    unscoped = models.Manager()
    objects: ClassVar[WorkspaceManager[Any]] = WorkspaceManager()

    class Meta:
        db_table = "ticket_counts"
        indexes = [models.Index(fields=["workspace", "facet"], name="ticket_counts_facet")]

    def __str__(self) -> str:
        return f"{self.status} {self.priority}: {self.tickets}"
