from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("portal", "0005_logo_size")]

    operations = [
        migrations.AlterField(
            model_name="privacyrequest",
            name="status",
            field=models.CharField(
                choices=[("waiting", "Waiting"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")],
                default="waiting",
                max_length=7,
            ),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="next_at",
            field=models.DateTimeField(editable=False, help_text="When it is taken up, or a lease ends.", null=True),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="attempts",
            field=models.PositiveSmallIntegerField(default=0, editable=False, help_text="In a row, without progress."),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="total",
            field=models.PositiveIntegerField(default=0, editable=False, help_text="Tickets to go through."),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="done",
            field=models.PositiveIntegerField(default=0, editable=False, help_text="Tickets that were gone through."),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="round",
            field=models.PositiveSmallIntegerField(
                default=1,
                editable=False,
                help_text="An erasure goes twice: what was on its way is erased the second time.",
            ),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="last_ticket_id",
            field=models.UUIDField(editable=False, help_text="Of this round.", null=True),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="work",
            field=models.JSONField(
                default=dict, editable=False, help_text="What is looked for; empty when it has ended."
            ),
        ),
        migrations.AddConstraint(
            model_name="privacyrequest",
            constraint=models.CheckConstraint(
                condition=Q(status__in=["waiting", "running"], next_at__isnull=False)
                | Q(status__in=["done", "failed"], next_at=None),
                name="privacy_request_waits_or_has_ended",
            ),
        ),
        migrations.AddIndex(
            model_name="privacyrequest",
            index=models.Index(
                condition=Q(("next_at__isnull", False)), fields=["next_at"], name="privacy_requests_to_do"
            ),
        ),
        migrations.AddIndex(
            model_name="privacyrequest",
            index=models.Index(
                condition=Q(("file", ""), _negated=True), fields=["file_until"], name="privacy_files_kept"
            ),
        ),
    ]
