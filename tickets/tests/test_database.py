"""The names that the specification gives to tables and columns: other programs read them."""

import re

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "table",
    [
        "tickets",
        "ticket_comments",
        "ticket_categories",
        "sla_policies",
        "ticket_activities",
        "ticket_assignments",
        "canned_responses",
        "ticket_satisfaction",
        "ticket_sequences",
    ],
)
def test_the_tables_have_the_names_of_the_specification(table):
    assert table in connection.introspection.table_names()


@pytest.mark.parametrize(
    ("column", "kind", "nullable"),
    [
        ("id", "uuid", False),
        ("workspace_id", "uuid", False),
        ("ticket_number", "character varying", None),
        ("subject", "character varying", False),
        ("description", "text", False),
        ("status", "character varying", False),
        ("priority", "character varying", False),
        ("requester_email", "character varying", False),
        ("assignee_id", "uuid", True),
        ("first_response_at", "timestamp with time zone", True),
        ("resolved_at", "timestamp with time zone", True),
        ("closed_at", "timestamp with time zone", True),
    ],
)
def test_a_ticket_has_the_key_fields_of_the_specification(column, kind, nullable):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data_type, is_nullable = 'YES' FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND table_name = 'tickets' AND column_name = %s",
            [column],
        )
        found = cursor.fetchone()
    assert found is not None
    assert found[0] == kind
    assert nullable is None or found[1] == nullable


@pytest.mark.parametrize(
    ("column", "words"),
    [("status", ["open", "pending", "resolved", "closed"]), ("priority", ["urgent", "high", "medium", "low"])],
)
def test_the_database_knows_no_other_words_than_the_specification(column, words):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [f"ticket_{column}"])
        (rule,) = cursor.fetchone()
    assert set(re.findall(r"'(\w+)'", rule)) == set(words)


def test_an_insert_never_waits_for_the_list_of_a_search_index_to_be_flushed():
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '%%USING gin%%'")
        found = dict(cursor.fetchall())
    assert found
    assert [name for name, index in found.items() if "fastupdate=off" not in index] == []


def test_a_change_of_a_ticket_writes_no_words_and_no_trigrams():
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'tickets' AND indexdef LIKE '%%USING gin%%'")
        assert cursor.fetchall() == []
