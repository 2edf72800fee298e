"""Fragments of subjects are found in `ticket_search`: filled in, indexed, and the index on `tickets` dropped.

Every change of a ticket wrote the trigrams of its subject anew. Nothing here locks writers out, and
whatever breaks off before the index is made can be run again.
"""

from typing import Any
from uuid import UUID

import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations

BATCH = 1000
# Rows that somebody is writing are left for later: a merge writes two, and would wait for us as we for it.
FILL = """
WITH batch AS (
    SELECT ticket_id FROM ticket_search WHERE subject = '' AND ticket_id > %s
    ORDER BY ticket_id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE ticket_search s SET subject = t.subject
FROM batch JOIN tickets t ON t.id = batch.ticket_id
WHERE s.ticket_id = batch.ticket_id
RETURNING s.ticket_id
"""
# Whoever held the row may have written a newer subject: that one stays.
FILL_ONE = """
UPDATE ticket_search s SET subject = t.subject FROM tickets t
WHERE t.id = s.ticket_id AND t.id = %s AND s.subject = ''
"""


def fill(_apps: Any, schema_editor: Any) -> None:
    """Write every subject, a thousand in a transaction, in the order in which the tickets came."""
    with schema_editor.connection.cursor() as cursor:
        last = UUID(int=0)
        while True:
            cursor.execute(FILL, [last, BATCH])
            filled = cursor.fetchall()
            if not filled:
                break
            last = max(ticket_id for (ticket_id,) in filled)
        cursor.execute("SELECT ticket_id FROM ticket_search WHERE subject = ''")
        for row in cursor.fetchall():
            cursor.execute(FILL_ONE, row)


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY does not run in a transaction, and the batches are one each

    dependencies = [("tickets", "0007_subject_in_search")]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name="searchdocument",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("subject"), name="gin_trgm_ops"
                ),
                fastupdate=False,
                name="ticket_search_subject",
            ),
        ),
        RemoveIndexConcurrently(model_name="ticket", name="tickets_subject_trigram"),
    ]
