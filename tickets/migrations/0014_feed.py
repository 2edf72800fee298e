"""The feed of activities: a narrow row for each, with its place in the order in which they became visible.

One transaction, so that an interrupted migration leaves nothing. What was recorded before there was a feed is
written while writers go on; the trigger, whose lock keeps them out until the end, comes after it, and then only
what was recorded meanwhile is left to write.
"""

import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

SEQUENCES = "CREATE SEQUENCE ticket_feed_arrival; CREATE SEQUENCE ticket_feed_position;"
SEQUENCES_UNDO = "DROP SEQUENCE ticket_feed_arrival; DROP SEQUENCE ticket_feed_position;"
# The past has its positions at once: who asks for what happens from now on must not be told it.
HISTORY = """
INSERT INTO ticket_feed (activity_id, workspace_id, is_replay, arrival, position)
SELECT id, workspace_id, is_replay, nextval('ticket_feed_arrival'), nextval('ticket_feed_position')
FROM (
    SELECT id, workspace_id, dispatched_at IS NOT DISTINCT FROM occurred_at AS is_replay
    FROM ticket_activities
    WHERE NOT EXISTS (SELECT FROM ticket_feed WHERE activity_id = ticket_activities.id)
    ORDER BY id
) AS past;
"""
# Before an activity is visible its row waits; `tickets.feed.number` gives it a position. ALWAYS: also where a loader
# asks for no foreign keys to be looked up (session_replication_role), an activity has its place.
FEED = """
CREATE FUNCTION ticket_activities_are_fed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ticket_feed (activity_id, workspace_id, is_replay, arrival)
    SELECT id, workspace_id, dispatched_at IS NOT NULL, nextval('ticket_feed_arrival') FROM new_rows;
    RETURN NULL;
END $$;
CREATE TRIGGER ticket_activities_are_fed AFTER INSERT ON ticket_activities
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ticket_activities_are_fed();
ALTER TABLE ticket_activities ENABLE ALWAYS TRIGGER ticket_activities_are_fed;
"""
FEED_UNDO = """
DROP TRIGGER ticket_activities_are_fed ON ticket_activities;
DROP FUNCTION ticket_activities_are_fed();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_team_lead"), ("tickets", "0013_mail_of_messages")]

    operations = [
        migrations.RunSQL(SEQUENCES, SEQUENCES_UNDO),
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
                (
                    "arrival",
                    models.BigIntegerField(
                        help_text="Rises with each row that is written. What happens to one ticket is written in the order in which it happens, as its writers wait for each other; clocks of two machines, which make the ids, may differ."
                    ),
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
            },
            managers=[("unscoped", django.db.models.manager.Manager())],
        ),
        migrations.RunSQL(HISTORY, migrations.RunSQL.noop),
        # Built once the history is there, and before the lock of the trigger.
        migrations.AddIndex(
            model_name="feedentry",
            index=models.Index(fields=["workspace", "position"], name="ticket_feed_of_workspace"),
        ),
        migrations.AddIndex(
            model_name="feedentry",
            index=models.Index(condition=models.Q(("position", None)), fields=["arrival"], name="ticket_feed_waiting"),
        ),
        migrations.AddConstraint(
            model_name="feedentry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("position__isnull", False)),
                fields=("position",),
                name="ticket_feed_has_one_order",
            ),
        ),
        migrations.RunSQL(FEED, FEED_UNDO),
        migrations.RunSQL(HISTORY, migrations.RunSQL.noop),
    ]
