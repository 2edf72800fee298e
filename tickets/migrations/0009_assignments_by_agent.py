"""Who was given a ticket last, asked before the next one is given; the index is made without locking out writers."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY does not run in a transaction

    dependencies = [("tickets", "0008_subject_trigrams")]

    operations = [
        AddIndexConcurrently(
            model_name="assignment",
            index=models.Index(fields=["workspace", "assignee", "id"], name="ticket_assignments_by_agent"),
        ),
    ]
