"""The feed of activities: a narrow row for each, with its place in the order in which they became visible."""

import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

# Before an activity is visible its row waits; `tickets.feed.number` gives it a position from this sequence.
FEED = """
CREATE SEQUENCE ticket_feed_position;
CREATE FUNCTION ticket_activities_are_fed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ticket_feed (activity_id, workspace_id, is_replay)
    SELECT id, workspace_id, dispatched_at IS NOT NULL FROM new_rows;
    RETURN NULL;
END $$;
CREATE TRIGGER ticket_activities_are_fed AFTER INSERT ON ticket_activities
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ticket_activities_are_fed();
"""
FEED_UNDO = """
DROP TRIGGER ticket_activities_are_fed ON ticket_activities;
DROP FUNCTION ticket_activities_are_fed();
DROP SEQUENCE ticket_feed_position;
"""
# What was recorded before there was a feed. Not in the transaction of the trigger, whose lock keeps writers out.
HISTORY = """
INSERT INTO ticket_feed (activity_id, workspace_id, is_replay)
SELECT id, workspace_id, dispatched_at IS NOT DISTINCT FROM occurred_at FROM ticket_activities
ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0003_team_lead"), ("tickets", "0013_mail_of_messages")]

    operations = [
        migrations.CreateModel(
            name="FeedEntry",
            fields=[
                (
                    "activity",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="feed_entry",
                        serialize=False,
                        to="tickets.activity",
                    ),
                ),
                (
                    "is_replay",
                    models.BooleanField(help_text="The past, told again by an import: nobody is sent it."),
                ),
                ("position", models.BigIntegerField(null=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "feed entries",
                "db_table": "ticket_feed",
                "indexes": [
                    models.Index(fields=["workspace", "position"], name="ticket_feed_of_workspace"),
                    models.Index(
                        condition=models.Q(("position", None)), fields=["activity"], name="ticket_feed_waiting"
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("position",), name="ticket_feed_has_one_order")],
            },
            managers=[("unscoped", django.db.models.manager.Manager())],
        ),
        migrations.RunSQL(FEED, FEED_UNDO),
        migrations.RunSQL(HISTORY, migrations.RunSQL.noop),
    ]
