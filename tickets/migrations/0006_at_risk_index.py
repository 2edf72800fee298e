"""The index behind the filter *at risk*, made without locking out writers."""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY does not run in a transaction

    dependencies = [("tickets", "0005_deadlines_on_tickets")]

    operations = [
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                F("workspace"),
                F("next_risk_at"),
                condition=Q(("trashed_at", None), ("status__in", ["open", "pending"]), ("sla_state", "running")),
                name="tickets_at_risk",
            ),
        ),
        ValidateConstraint(model_name="ticket", name="ticket_sla_state"),
    ]
