"""The log stays append-only, but for the words in it that are erased with a person."""

from django.db import migrations

# An erasure says so in its transaction (`tickets.services.erasing`). It may write what people read, never what
# happened: event, ticket, times, ids of actors and causes stay as they were recorded.
FORWARD = """
CREATE OR REPLACE FUNCTION ticket_activities_are_facts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    free text[] := ARRAY['dispatched_at'];
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF current_setting('helpdesk.purge', true) = 'on' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'ticket_activities is append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    IF current_setting('helpdesk.erasing', true) = 'on' THEN
        free := free || ARRAY['changes', 'payload', 'actor_name'];
    END IF;
    IF to_jsonb(NEW) - free IS DISTINCT FROM to_jsonb(OLD) - free THEN
        RAISE EXCEPTION 'ticket_activities is append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""
BACK = """
CREATE OR REPLACE FUNCTION ticket_activities_are_facts() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""


class Migration(migrations.Migration):
    dependencies = [("tickets", "0016_network_of_tokens")]

    operations = [migrations.RunSQL(FORWARD, BACK)]
