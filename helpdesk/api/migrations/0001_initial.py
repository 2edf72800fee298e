import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
import helpdesk.accounts.models
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "caller",
                    models.CharField(help_text="Whose key it is: the member, or the public form.", max_length=80),
                ),
                ("key", models.CharField(max_length=200)),
                ("endpoint", models.CharField(max_length=200)),
                ("body_hash", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("body", models.JSONField(null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "db_table": "idempotency_keys",
                "indexes": [models.Index(fields=["created_at"], name="idempotency_keys_by_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "caller", "key"), name="one_answer_per_idempotency_key"
                    )
                ],
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
    ]
