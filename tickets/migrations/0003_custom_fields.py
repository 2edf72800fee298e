"""Custom fields. The new column has a constant default, so PostgreSQL adds it without writing a row of `tickets`."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
import helpdesk.accounts.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("tickets", "0002_rules_in_the_database"),
    ]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="custom_fields",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                editable=False,
                help_text="The answers to the workspace's fields, by key; what is not answered is not there.",
            ),
        ),
        migrations.CreateModel(
            name="Field",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        max_length=40,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z][a-z0-9_]{0,39}\\Z",
                                "Begin with a lower-case letter; then lower-case letters, digits and _, up to 40.",
                            )
                        ],
                    ),
                ),
                ("label", models.CharField(max_length=60)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("text", "Text"),
                            ("number", "Number"),
                            ("choice", "Choice"),
                            ("checkbox", "Checkbox"),
                            ("date", "Date"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "options",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=80),
                        blank=True,
                        default=list,
                        help_text="Of a choice: 1 to 100.",
                        size=None,
                    ),
                ),
                (
                    "is_required",
                    models.BooleanField(
                        default=False, help_text="Asked of agents; a ticket that comes in is never refused for it."
                    ),
                ),
                (
                    "position",
                    models.PositiveSmallIntegerField(default=1, help_text="Its place among the fields, from 1."),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "verbose_name": "ticket field",
                "db_table": "ticket_fields",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("archived_at", None)), fields=("workspace", "key"), name="one_field_per_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["text", "number", "choice", "checkbox", "date"])),
                        name="field_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "choice"), ("options__len__range", (1, 100))),
                            models.Q(models.Q(("kind", "choice"), _negated=True), ("options", [])),
                            _connector="OR",
                        ),
                        name="choices_have_options",
                    ),
                ],
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
    ]
