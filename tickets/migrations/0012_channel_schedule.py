"""Tickets that open on a schedule say so; nothing changes in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tickets", "0011_sla_policy_given"),
    ]

    operations = [
        migrations.AlterField(
            model_name="comment",
            name="channel",
            field=models.CharField(
                choices=[
                    ("web", "Console"),
                    ("portal", "Portal"),
                    ("email", "E-mail"),
                    ("api", "API"),
                    ("chat", "Chat"),
                    ("import", "Import"),
                    ("schedule", "Schedule"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="ticket",
            name="channel",
            field=models.CharField(
                choices=[
                    ("web", "Console"),
                    ("portal", "Portal"),
                    ("email", "E-mail"),
                    ("api", "API"),
                    ("chat", "Chat"),
                    ("import", "Import"),
                    ("schedule", "Schedule"),
                ],
                max_length=10,
            ),
        ),
    ]
