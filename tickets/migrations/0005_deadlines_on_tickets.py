"""What lists show of the service levels, on the ticket's row: columns with constant defaults, so no row is rewritten."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q

EVENTS = [
    "ticket.created", "ticket.updated", "ticket.assigned", "ticket.unassigned", "ticket.resolved", "ticket.closed",
    "ticket.reopened", "ticket.comment.added", "ticket.comment.edited", "ticket.comment.deleted",
    "ticket.attachment.added", "ticket.merged", "ticket.unmerged", "ticket.split", "ticket.linked", "ticket.trashed",
    "ticket.restored", "ticket.sla.at_risk", "ticket.sla.breached",
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("tickets", "0004_unassigned_index")]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="next_risk_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When the nearest of the deadlines that run is at risk.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="sla",
            field=models.JSONField(
                blank=True,
                editable=False,
                help_text="What rows show of the clocks: `tickets.deadlines.write`.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="sla_state",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="See `tickets.deadlines.Columns`.",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="sla_missed",
            field=models.BooleanField(
                db_default=False, default=False, editable=False, help_text="Some target was missed."
            ),
        ),
        migrations.AlterField(
            model_name="activity",
            name="event",
            field=models.CharField(choices=[(name, name) for name in EVENTS], max_length=40),
        ),
        AddConstraintNotValid(
            model_name="ticket",
            constraint=models.CheckConstraint(
                condition=Q(("sla_state__in", ["", "running", "paused", "met"])), name="ticket_sla_state"
            ),
        ),
    ]
