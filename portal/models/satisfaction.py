"""What customers tell us through the portal."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from helpdesk.accounts.models import Contact, WorkspaceModel
from tickets.models import Ticket


class Satisfaction(WorkspaceModel):
    """A customer's rating (1 to 5) of how a ticket was resolved; one for each resolution."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="satisfaction")
    contact = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="+")
    rating = models.PositiveSmallIntegerField()
    feedback = models.TextField(blank=True, default="")
    resolved_at = models.DateTimeField(help_text="The resolution that is rated.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "ticket_satisfaction"
        verbose_name_plural = "satisfaction ratings"
        constraints = [
            models.CheckConstraint(condition=Q(rating__gte=1, rating__lte=5), name="rating_from_1_to_5"),
            models.UniqueConstraint(fields=["ticket", "resolved_at"], name="one_rating_per_resolution"),
        ]
        indexes = [models.Index(fields=["workspace", "created_at"], name="ticket_satisfaction_given")]  # reports

    def __str__(self) -> str:
        return f"{self.rating} for {self.ticket_id}"
