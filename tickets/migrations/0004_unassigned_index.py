"""An index of its own for the view Unassigned; made without locking out writers."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY does not run in a transaction

    dependencies = [("tickets", "0003_custom_fields")]

    operations = [
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                F("workspace"),
                F("created_at").desc(),
                F("id").desc(),
                condition=Q(("trashed_at", None), ("status__in", ["open", "pending"]), ("assignee", None)),
                name="tickets_active_unassigned",
            ),
        ),
    ]
