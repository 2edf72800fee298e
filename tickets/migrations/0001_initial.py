import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.text
import django.db.models.manager
import django.utils.timezone
import helpdesk.accounts.models
import tickets.models.conversation
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Ticket",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveBigIntegerField(editable=False)),
                (
                    "ticket_number",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.functions.text.Concat(
                            models.Value("#"),
                            django.db.models.functions.comparison.Cast("number", models.CharField(max_length=20)),
                        ),
                        output_field=models.CharField(max_length=21),
                    ),
                ),
                ("subject", models.CharField(max_length=255)),
                ("description", models.TextField()),
                (
                    "description_html",
                    models.TextField(editable=False, help_text="Made from the description, sanitised."),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("pending", "Pending"),
                            ("resolved", "Resolved"),
                            ("closed", "Closed"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "priority",
                    models.CharField(
                        choices=[("urgent", "Urgent"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        default="medium",
                        max_length=10,
                    ),
                ),
                (
                    "priority_rank",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(priority="urgent", then=models.Value(0)),
                            models.When(priority="high", then=models.Value(1)),
                            models.When(priority="medium", then=models.Value(2)),
                            models.When(priority="low", then=models.Value(3)),
                            default=models.Value(9),
                            output_field=models.SmallIntegerField(),
                        ),
                        output_field=models.SmallIntegerField(),
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("web", "Console"),
                            ("portal", "Portal"),
                            ("email", "E-mail"),
                            ("api", "API"),
                            ("chat", "Chat"),
                            ("import", "Import"),
                        ],
                        max_length=10,
                    ),
                ),
                ("requester_email", models.EmailField(max_length=254)),
                ("requester_name", models.CharField(blank=True, default="", max_length=120)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("first_assigned_at", models.DateTimeField(blank=True, null=True)),
                ("first_response_at", models.DateTimeField(blank=True, null=True)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "last_message_at",
                    models.DateTimeField(blank=True, help_text="The newest public message of anyone.", null=True),
                ),
                (
                    "next_deadline_at",
                    models.DateTimeField(blank=True, help_text="The nearest SLA deadline that runs.", null=True),
                ),
                (
                    "is_new",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(
                                models.Q(("first_assigned_at", None), ("first_response_at", None), ("status", "open")),
                                then=models.Value(True),
                            ),
                            default=models.Value(False),
                            output_field=models.BooleanField(),
                        ),
                        output_field=models.BooleanField(),
                    ),
                ),
                ("trashed_at", models.DateTimeField(blank=True, null=True)),
                ("version", models.PositiveIntegerField(default=1, help_text="Counts changes; the API's ETag.")),
                (
                    "external_id",
                    models.CharField(
                        blank=True, help_text="The id in the system it was imported from.", max_length=120, null=True
                    ),
                ),
                (
                    "assignee",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "tickets",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Sequence",
            fields=[
                (
                    "workspace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="accounts.workspace",
                    ),
                ),
                ("last_number", models.PositiveBigIntegerField(default=1000)),
            ],
            options={
                "db_table": "ticket_sequences",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Category",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("description", models.TextField(blank=True, default="")),
                (
                    "color",
                    models.CharField(
                        default="#64748B",
                        max_length=7,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A#[0-9a-fA-F]{6}\\Z",
                                "Write the colour as # and six hexadecimal digits, like #3B82F6.",
                            )
                        ],
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="tickets.category",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "verbose_name": "ticket category",
                "verbose_name_plural": "ticket categories",
                "db_table": "ticket_categories",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="CannedResponse",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("title", models.CharField(max_length=120)),
                (
                    "shortcut",
                    models.CharField(
                        max_length=40,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z0-9][a-z0-9_-]{0,39}\\Z", "Use lower-case letters, digits, - and _, up to 40."
                            )
                        ],
                    ),
                ),
                ("content", models.TextField()),
                ("usage_count", models.PositiveIntegerField(default=0, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "created_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "category",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="tickets.category",
                    ),
                ),
            ],
            options={
                "db_table": "canned_responses",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="SearchDocument",
            fields=[
                (
                    "ticket",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="tickets.ticket",
                    ),
                ),
                ("words", django.contrib.postgres.search.SearchVectorField()),
            ],
            options={
                "db_table": "ticket_search",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name="ticket",
            name="category",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tickets.category",
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="merged_into",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tickets.ticket",
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="requester",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="tickets", to="accounts.contact"
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="team",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="accounts.team",
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="trashed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="workspace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
            ),
        ),
        migrations.CreateModel(
            name="Participant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "contact",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.contact"
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="participants", to="tickets.ticket"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_participants",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Merge",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("merged_at", models.DateTimeField()),
                ("source_before", models.JSONField(help_text="Status and times of the source before the merge.")),
                (
                    "moved",
                    models.JSONField(help_text='{"comments": [ids], "attachments": [ids], "watchers": [ids], …}'),
                ),
                ("undone_at", models.DateTimeField(blank=True, null=True)),
                (
                    "merged_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "undone_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="merges_away", to="tickets.ticket"
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="merges_in", to="tickets.ticket"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_merges",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="CustomerToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("nonce", models.BinaryField(max_length=32)),
                ("token_hash", models.CharField(editable=False, max_length=64, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "contact",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.contact"
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="customer_tokens", to="tickets.ticket"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_customer_tokens",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Comment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "author_type",
                    models.CharField(
                        choices=[("agent", "Agent"), ("customer", "Customer"), ("system", "System")], max_length=10
                    ),
                ),
                ("author_name", models.CharField(max_length=120)),
                ("body", models.TextField()),
                ("body_html", models.TextField(editable=False, help_text="Made from the body, sanitised.")),
                ("is_internal", models.BooleanField(default=False)),
                (
                    "is_automatic",
                    models.BooleanField(default=False, help_text="Sent by a machine: never a first response."),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("web", "Console"),
                            ("portal", "Portal"),
                            ("email", "E-mail"),
                            ("api", "API"),
                            ("chat", "Chat"),
                            ("import", "Import"),
                        ],
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("edited_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "author_contact",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.contact",
                    ),
                ),
                (
                    "author_user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="comments", to="tickets.ticket"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_comments",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Attachment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("file", models.FileField(max_length=200, upload_to=tickets.models.conversation.attachment_path)),
                ("name", models.CharField(max_length=160)),
                ("size", models.PositiveBigIntegerField(help_text="Bytes.")),
                ("content_type", models.CharField(help_text="Recognised from the content.", max_length=100)),
                ("sha256", models.CharField(max_length=64)),
                (
                    "is_internal",
                    models.BooleanField(default=False, help_text="Seen by agents only, as the note it belongs to."),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "comment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attachments",
                        to="tickets.comment",
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="attachments", to="tickets.ticket"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_attachments",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Assignment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("assigned_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "assigned_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "assignee",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="accounts.team",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="assignments", to="tickets.ticket"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_assignments",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Activity",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "event",
                    models.CharField(
                        choices=[
                            ("ticket.created", "ticket.created"),
                            ("ticket.updated", "ticket.updated"),
                            ("ticket.assigned", "ticket.assigned"),
                            ("ticket.unassigned", "ticket.unassigned"),
                            ("ticket.resolved", "ticket.resolved"),
                            ("ticket.closed", "ticket.closed"),
                            ("ticket.reopened", "ticket.reopened"),
                            ("ticket.comment.added", "ticket.comment.added"),
                            ("ticket.comment.edited", "ticket.comment.edited"),
                            ("ticket.comment.deleted", "ticket.comment.deleted"),
                            ("ticket.attachment.added", "ticket.attachment.added"),
                            ("ticket.merged", "ticket.merged"),
                            ("ticket.unmerged", "ticket.unmerged"),
                            ("ticket.split", "ticket.split"),
                            ("ticket.linked", "ticket.linked"),
                            ("ticket.trashed", "ticket.trashed"),
                            ("ticket.restored", "ticket.restored"),
                        ],
                        max_length=40,
                    ),
                ),
                ("occurred_at", models.DateTimeField(help_text="When it happened; for imports, in the past.")),
                ("recorded_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("agent", "agent"),
                            ("customer", "customer"),
                            ("system", "system"),
                            ("automation", "automation"),
                        ],
                        max_length=10,
                    ),
                ),
                ("actor_name", models.CharField(max_length=120)),
                (
                    "changes",
                    models.JSONField(default=list, help_text='[{"field", "from", "to"}], in words that people read.'),
                ),
                (
                    "payload",
                    models.JSONField(default=dict, help_text="What webhooks will send: a snapshot of the moment."),
                ),
                ("depth", models.PositiveSmallIntegerField(default=0, help_text="Length of the chain of causes.")),
                ("dispatched_at", models.DateTimeField(null=True)),
                (
                    "actor_contact",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.contact"
                    ),
                ),
                (
                    "actor_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "cause",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tickets.activity"
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="activities", to="tickets.ticket"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "activities",
                "db_table": "ticket_activities",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=40)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="TicketCount",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("facet", models.CharField(max_length=8)),
                ("key", models.UUIDField(null=True)),
                ("status", models.CharField(max_length=10)),
                ("priority", models.CharField(max_length=10)),
                ("is_new", models.BooleanField()),
                ("tickets", models.BigIntegerField()),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_counts",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="TicketLink",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("related", "Related"), ("parent", "Parent of"), ("follow_up", "Followed up by")],
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "other",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="linked_from", to="tickets.ticket"
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="links", to="tickets.ticket"
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_links",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="TicketTag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tag", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="tickets.tag")),
                ("ticket", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="tickets.ticket")),
            ],
            options={
                "db_table": "ticket_tags",
            },
        ),
        migrations.AddField(
            model_name="ticket",
            name="tags",
            field=models.ManyToManyField(related_name="tickets", through="tickets.TicketTag", to="tickets.tag"),
        ),
        migrations.CreateModel(
            name="View",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                (
                    "query",
                    models.CharField(help_text="The filters, as they stand in the queue's address.", max_length=1000),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.team",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_views",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Watcher",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=helpdesk.accounts.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "ticket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="watchers", to="tickets.ticket"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
                    ),
                ),
            ],
            options={
                "db_table": "ticket_watchers",
            },
            managers=[
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddConstraint(
            model_name="category",
            constraint=models.UniqueConstraint(
                models.F("workspace"),
                models.F("parent"),
                django.db.models.functions.text.Lower("name"),
                condition=models.Q(("archived_at", None)),
                name="one_category_per_name_and_parent",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="category",
            constraint=models.CheckConstraint(
                condition=models.Q(("parent", models.F("id")), _negated=True), name="category_is_not_its_own_parent"
            ),
        ),
        migrations.AddConstraint(
            model_name="cannedresponse",
            constraint=models.UniqueConstraint(
                fields=("workspace", "shortcut"), name="one_canned_response_per_shortcut"
            ),
        ),
        migrations.AddField(
            model_name="searchdocument",
            name="workspace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.workspace"
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.UniqueConstraint(fields=("ticket", "contact"), name="one_participation_per_contact"),
        ),
        migrations.AddConstraint(
            model_name="merge",
            constraint=models.UniqueConstraint(
                condition=models.Q(("undone_at", None)), fields=("source",), name="merged_once_at_a_time"
            ),
        ),
        migrations.AddConstraint(
            model_name="merge",
            constraint=models.CheckConstraint(
                condition=models.Q(("source", models.F("target")), _negated=True), name="no_merge_into_itself"
            ),
        ),
        migrations.AddConstraint(
            model_name="customertoken",
            constraint=models.UniqueConstraint(fields=("ticket", "contact"), name="one_token_per_ticket_and_customer"),
        ),
        migrations.AddIndex(
            model_name="comment",
            index=models.Index(fields=["ticket", "created_at", "id"], name="ticket_comments_in_order"),
        ),
        migrations.AddConstraint(
            model_name="comment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("author_type", "customer"), _negated=True), ("is_internal", False), _connector="OR"
                ),
                name="customers_write_no_notes",
            ),
        ),
        migrations.AddConstraint(
            model_name="comment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("author_type", "agent"), ("author_user__isnull", False)),
                    models.Q(("author_contact__isnull", False), ("author_type", "customer")),
                    ("author_type", "system"),
                    _connector="OR",
                ),
                name="comment_has_its_author",
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["ticket", "created_at"], name="ticket_attachments_in_order"),
        ),
        migrations.AddIndex(
            model_name="assignment",
            index=models.Index(fields=["ticket", "assigned_at"], name="ticket_assignments_in_order"),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at", None)), fields=("ticket",), name="one_current_assignment_per_ticket"
            ),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.CheckConstraint(
                condition=models.Q(("ended_at", None), ("ended_at__gte", models.F("assigned_at")), _connector="OR"),
                name="assignment_ends_after_it_begins",
            ),
        ),
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(fields=["ticket", "occurred_at", "id"], name="ticket_activities_in_order"),
        ),
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(
                condition=models.Q(("dispatched_at", None)), fields=["id"], name="ticket_activities_waiting"
            ),
        ),
        migrations.AddConstraint(
            model_name="tag",
            constraint=models.UniqueConstraint(fields=("workspace", "name"), name="one_tag_per_name"),
        ),
        migrations.AddConstraint(
            model_name="tag",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", django.db.models.functions.text.Lower("name"))), name="tag_is_lower_case"
            ),
        ),
        migrations.AddIndex(
            model_name="ticketcount",
            index=models.Index(fields=["workspace", "facet"], name="ticket_counts_facet"),
        ),
        migrations.AddConstraint(
            model_name="ticketlink",
            constraint=models.UniqueConstraint(fields=("ticket", "other", "kind"), name="one_link_of_a_kind"),
        ),
        migrations.AddConstraint(
            model_name="ticketlink",
            constraint=models.CheckConstraint(
                condition=models.Q(("ticket", models.F("other")), _negated=True), name="no_link_to_itself"
            ),
        ),
        migrations.AddConstraint(
            model_name="tickettag",
            constraint=models.UniqueConstraint(fields=("tag", "ticket"), name="one_of_each_tag_per_ticket"),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None)),
                name="tickets_created",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.OrderBy(models.F("updated_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None)),
                name="tickets_updated",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.F("status"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None)),
                name="tickets_status",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.F("status"),
                models.F("priority"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None)),
                name="tickets_status_priority",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.F("assignee"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None)),
                name="tickets_assignee",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.F("category"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None)),
                name="tickets_category",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("requester"),
                models.OrderBy(models.F("created_at"), descending=True),
                condition=models.Q(("trashed_at", None)),
                name="tickets_requester",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None), ("status__in", ["open", "pending"])),
                name="tickets_active_created",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.F("assignee"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None), ("status__in", ["open", "pending"])),
                name="tickets_active_assignee",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.F("priority_rank"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None), ("status__in", ["open", "pending"])),
                name="tickets_active_priority",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("workspace"),
                models.OrderBy(models.F("next_deadline_at"), nulls_last=True),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("trashed_at", None), ("status__in", ["open", "pending"])),
                name="tickets_active_deadline",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("resolved_at"),
                condition=models.Q(("trashed_at", None), ("status", "resolved")),
                name="tickets_to_close",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("trashed_at"), condition=models.Q(("trashed_at__isnull", False)), name="tickets_trash"
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("subject"), name="gin_trgm_ops"
                ),
                fastupdate=False,
                name="tickets_subject_trigram",
            ),
        ),
        migrations.AddConstraint(
            model_name="ticket",
            constraint=models.UniqueConstraint(fields=("workspace", "number"), name="one_ticket_per_number"),
        ),
        migrations.AddConstraint(
            model_name="ticket",
            constraint=models.UniqueConstraint(
                condition=models.Q(("external_id__isnull", False)),
                fields=("workspace", "external_id"),
                name="one_ticket_per_external_id",
            ),
        ),
        migrations.AddConstraint(
            model_name="ticket",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["open", "pending", "resolved", "closed"])), name="ticket_status"
            ),
        ),
        migrations.AddConstraint(
            model_name="ticket",
            constraint=models.CheckConstraint(
                condition=models.Q(("priority__in", ["urgent", "high", "medium", "low"])), name="ticket_priority"
            ),
        ),
        migrations.AddConstraint(
            model_name="ticket",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status__in", ["resolved", "closed"]), _negated=True),
                    ("resolved_at__isnull", False),
                    ("merged_into__isnull", False),
                    _connector="OR",
                ),
                name="finished_ticket_has_its_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="ticket",
            constraint=models.CheckConstraint(
                condition=models.Q(("merged_into", models.F("id")), _negated=True),
                name="ticket_is_not_merged_into_itself",
            ),
        ),
        migrations.AddConstraint(
            model_name="view",
            constraint=models.CheckConstraint(
                condition=models.Q(("owner", None), ("team", None), _connector="OR"),
                name="view_is_of_a_person_or_a_team",
            ),
        ),
        migrations.AddConstraint(
            model_name="watcher",
            constraint=models.UniqueConstraint(fields=("ticket", "user"), name="one_watch_per_member"),
        ),
        migrations.AddIndex(
            model_name="searchdocument",
            index=django.contrib.postgres.indexes.GinIndex(
                fastupdate=False, fields=["words"], name="ticket_search_words"
            ),
        ),
    ]
