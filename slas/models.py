"""Service level policies."""

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from helpdesk.accounts.models import WorkspaceModel

_POSITIVE = [MinValueValidator(Decimal("0.01"))]


class SLAPolicy(WorkspaceModel):
    """Targets in hours, with overrides per priority."""

    name = models.CharField(max_length=80)
    first_response_hours = models.DecimalField(max_digits=7, decimal_places=2, validators=_POSITIVE)
    resolution_hours = models.DecimalField(max_digits=7, decimal_places=2, validators=_POSITIVE)
    priority_overrides = models.JSONField(
        default=dict, blank=True, help_text='{"urgent": {"first_response_hours": 1, "resolution_hours": 4}}'
    )
    business_hours_only = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "sla_policies"
        verbose_name = "SLA policy"
        verbose_name_plural = "SLA policies"
        constraints = [
            models.UniqueConstraint("workspace", Lower("name"), name="one_sla_policy_per_name"),
            models.UniqueConstraint(
                fields=["workspace"], condition=Q(is_default=True), name="one_default_sla_policy_per_workspace"
            ),
            models.CheckConstraint(
                condition=Q(first_response_hours__gt=0, resolution_hours__gt=0), name="sla_targets_are_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.name
