"""The SLA policy that somebody or a rule gave to a ticket. A column without a value: no row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0010_satisfaction_event")]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="sla_policy_id",
            field=models.UUIDField(
                blank=True,
                editable=False,
                help_text="The SLA policy that somebody or a rule gave it; empty: by the policies' conditions.",
                null=True,
            ),
        ),
    ]
