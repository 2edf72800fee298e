"""Reports ask what was resolved, closed, reopened and merged in a period; the index is made without locking out writers."""

from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY does not run in a transaction

    dependencies = [
        ("accounts", "0003_team_lead"),
        ("tickets", "0017_erasing"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="activity",
            index=models.Index(
                condition=models.Q(
                    (
                        "event__in",
                        ["ticket.resolved", "ticket.closed", "ticket.reopened", "ticket.merged", "ticket.unmerged"],
                    )
                ),
                fields=["workspace", "occurred_at"],
                include=("ticket", "event"),
                name="ticket_activities_of_reports",
            ),
        ),
    ]
