"""What the database itself guards and keeps: the append-only log, kept totals, the search configuration."""

from django.db import migrations

# The activity log is append-only. `dispatched_at` is bookkeeping, not a fact, and may change;
# purging the trash says so in its transaction with SET LOCAL helpdesk.purge = 'on'.
LOG = """
CREATE FUNCTION ticket_activities_are_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF current_setting('helpdesk.purge', true) = 'on' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'ticket_activities is append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    IF to_jsonb(NEW) - 'dispatched_at' IS DISTINCT FROM to_jsonb(OLD) - 'dispatched_at' THEN
        RAISE EXCEPTION 'ticket_activities is append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ticket_activities_are_facts BEFORE UPDATE OR DELETE ON ticket_activities
    FOR EACH ROW EXECUTE FUNCTION ticket_activities_are_facts();
"""
LOG_UNDO = """
DROP TRIGGER ticket_activities_are_facts ON ticket_activities;
DROP FUNCTION ticket_activities_are_facts();
"""

# Totals are kept as additions, one statement's worth at a time: nobody waits for a shared row.
COUNTS = """
CREATE FUNCTION tickets_are_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO ticket_counts (workspace_id, facet, key, status, priority, is_new, tickets)
        SELECT workspace_id, facet, key, status, priority, is_new, count(*)
        FROM new_rows, LATERAL (VALUES ('assignee', assignee_id), ('category', category_id)) AS f (facet, key)
        WHERE trashed_at IS NULL
        GROUP BY 1, 2, 3, 4, 5, 6;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO ticket_counts (workspace_id, facet, key, status, priority, is_new, tickets)
        SELECT workspace_id, facet, key, status, priority, is_new, -count(*)
        FROM old_rows, LATERAL (VALUES ('assignee', assignee_id), ('category', category_id)) AS f (facet, key)
        WHERE trashed_at IS NULL
        GROUP BY 1, 2, 3, 4, 5, 6;
    ELSE
        INSERT INTO ticket_counts (workspace_id, facet, key, status, priority, is_new, tickets)
        SELECT workspace_id, facet, key, status, priority, is_new, sum(n)
        FROM (
            SELECT workspace_id, assignee_id, category_id, status, priority, is_new, 1 AS n
            FROM new_rows WHERE trashed_at IS NULL
            UNION ALL
            SELECT workspace_id, assignee_id, category_id, status, priority, is_new, -1
            FROM old_rows WHERE trashed_at IS NULL
        ) AS changed, LATERAL (VALUES ('assignee', assignee_id), ('category', category_id)) AS f (facet, key)
        GROUP BY 1, 2, 3, 4, 5, 6
        HAVING sum(n) <> 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tickets_are_counted_insert AFTER INSERT ON tickets
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tickets_are_counted();
CREATE TRIGGER tickets_are_counted_update AFTER UPDATE ON tickets
    REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tickets_are_counted();
CREATE TRIGGER tickets_are_counted_delete AFTER DELETE ON tickets
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tickets_are_counted();
"""
COUNTS_UNDO = """
DROP TRIGGER tickets_are_counted_insert ON tickets;
DROP TRIGGER tickets_are_counted_update ON tickets;
DROP TRIGGER tickets_are_counted_delete ON tickets;
DROP FUNCTION tickets_are_counted();
"""

# Accents do not matter and English endings are cut: "invoices" finds "Invoice", "resume" finds "résumé".
SEARCH = """
CREATE TEXT SEARCH CONFIGURATION helpdesk (COPY = english);
ALTER TEXT SEARCH CONFIGURATION helpdesk
    ALTER MAPPING FOR hword, hword_part, word WITH unaccent, english_stem;
"""
SEARCH_UNDO = "DROP TEXT SEARCH CONFIGURATION helpdesk;"


class Migration(migrations.Migration):
    dependencies = [("tickets", "0001_initial")]

    operations = [
        migrations.RunSQL(LOG, LOG_UNDO),
        migrations.RunSQL(COUNTS, COUNTS_UNDO),
        migrations.RunSQL(SEARCH, SEARCH_UNDO),
    ]
