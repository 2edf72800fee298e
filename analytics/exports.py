"""Rows as files: tickets, comments, activities and ratings as CSV or JSON Lines, written while they are read.

The rows are read in chunks by keyset: each query begins after the last row of the one before, so no cursor and no
transaction stays open while somebody downloads slowly, a connection pool may give each query to another connection,
and an export that broke off goes on after any row. A chunk is keys first, then the rows in portions of a few megabytes
of text, so that long messages cost no more memory than short ones.
"""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Func, IntegerField, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import GreaterThan

from analytics.periods import Period
from helpdesk.accounts.models import Workspace
from helpdesk.errors import InvalidInput
from portal.models import Satisfaction
from tickets.models import Activity, Comment, Ticket, TicketTag

CHUNK = 1000  # keys read at a time
PORTION = 4_000_000  # bytes of long texts read at a time, give or take one row
BOM = "\ufeff".encode()
# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection"), full-width forms included, also
# where blanks stand before it.
DANGEROUS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


class What(StrEnum):
    """What can be exported."""

    TICKETS = "tickets"
    COMMENTS = "comments"
    ACTIVITIES = "activities"
    RATINGS = "ratings"


class Format(StrEnum):
    """How a file is written: CSV (RFC 4180), or JSON Lines: one JSON object (RFC 8259) on each line."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what it means, and where it is read: the path of a field, or an expression."""

    name: str
    meaning: str
    source: Any = ""

    @property
    def expression(self) -> Any:
        """What the database is asked for."""
        return self.source or self.name


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that can be exported. The first column is the row's id.

    `moment` is the field by which the period looks at them, `order` the fields of the index that they are read along
    (together unique), `conditions` leave out what is no row of it, and `weight` is how many bytes of long text one has.
    """

    model: Any
    columns: tuple[Column, ...]
    moment: str
    order: tuple[str, ...]
    about: str
    weight: Any
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


def _bytes_of(expression: Any) -> Func:
    return Func(expression, function="octet_length", output_field=IntegerField())


_ID = "The UUID; `after` takes it."
_TICKET = (
    Column("ticket_id", "The UUID of the ticket."),
    Column("ticket_number", "Its number, like #1042.", "ticket__ticket_number"),
)
_TAGS = TicketTag.objects.filter(ticket=OuterRef("pk")).order_by("tag__name").values("tag__name")

TABLES: dict[What, Table] = {
    What.TICKETS: Table(
        model=Ticket,
        moment="created_at",
        order=("created_at", "id"),
        about="Tickets that were created in the period, oldest first, as they are now. One that was merged into "
        "another is a row of its own and says so in `merged_into_id`.",
        weight=_bytes_of("description"),
        columns=(
            Column("id", _ID),
            Column("ticket_number", "The number, like #1042."),
            Column("subject", "The subject."),
            Column("description", "The first message: Markdown, without quoted history."),
            Column("status", "open, pending, resolved or closed."),
            Column("is_new", "Whether it is open and no agent has been assigned or has answered."),
            Column("priority", "urgent, high, medium or low."),
            Column("channel", "How it came: web, email, api, chat, import or schedule."),
            Column("requester_id", "The UUID of the customer."),
            Column("requester_email", "Their e-mail address."),
            Column("requester_name", "Their name; empty when they gave none."),
            Column("organization", "The name of their company, or nothing.", "requester__organization__name"),
            Column("assignee_id", "The UUID of the agent who has it, or nothing."),
            Column("assignee_name", "Their name.", "assignee__name"),
            Column("team_id", "The UUID of the team, or nothing."),
            Column("team", "Its name.", "team__name"),
            Column("category_id", "The UUID of the category, or nothing."),
            Column("category", "Its name.", "category__name"),
            Column("tags", "The tags by the alphabet: JSON list of words.", ArraySubquery(_TAGS)),
            Column("created_at", "When it was created."),
            Column("updated_at", "When anything about it last changed."),
            Column("first_assigned_at", "When it first had an assignee, or nothing."),
            Column("first_response_at", "The first public answer of an agent, or nothing."),
            Column("resolved_at", "The last resolution, if it has not been reopened since."),
            Column("closed_at", "When it was closed, if it has not been reopened since."),
            Column("last_message_at", "The newest public message of anyone."),
            Column("sla_missed", "Whether any target of its service levels was missed."),
            Column("merged_into_id", "The UUID of the ticket that it became part of, or nothing."),
            Column("external_id", "Its id in the system that it was imported from, or nothing."),
            Column("custom_fields", "The answers to custom fields: JSON object by key."),
        ),
    ),
    What.COMMENTS: Table(
        model=Comment,
        moment="created_at",
        order=("id",),
        about="Comments that were written in the period, internal notes included, in the order in which they were "
        "recorded. Those of merged tickets are rows of the ticket that they were moved to; deleted ones are left out.",
        conditions={"deleted_at": None},
        weight=_bytes_of("body"),
        columns=(
            Column("id", _ID),
            *_TICKET,
            Column("author_type", "agent, customer or system."),
            Column(
                "author_id",
                "The UUID of the agent or the customer, or nothing.",
                Coalesce("author_user_id", "author_contact_id"),
            ),
            Column("author_name", "Their name when they wrote it."),
            Column("is_internal", "Whether it is a note that only members see."),
            Column("is_automatic", "Whether a machine sent it: never a first response."),
            Column("is_transcript", "Whether it is a line of a chat that came before the ticket."),
            Column("channel", "How it came."),
            Column("body", "The text: Markdown, without quoted history."),
            Column("created_at", "When it was written."),
            Column("edited_at", "When it was last edited, or nothing."),
        ),
    ),
    What.ACTIVITIES: Table(
        model=Activity,
        moment="occurred_at",
        order=("id",),
        about="Everything in the log of tickets that happened in the period, in the order in which it was recorded.",
        weight=_bytes_of(Cast("changes", TextField())),
        columns=(
            Column("id", _ID),
            *_TICKET,
            Column("event", "What happened, by its name, like ticket.resolved."),
            Column("occurred_at", "When it happened; for imports, in the past."),
            Column("recorded_at", "When it was recorded."),
            Column("actor_type", "agent, customer, system or automation.", "actor_kind"),
            Column(
                "actor_id",
                "The UUID of the agent or the customer, or nothing.",
                Coalesce("actor_user_id", "actor_contact_id"),
            ),
            Column("actor_name", "Their name at that time."),
            Column("changes", "What changed: JSON list of `field`, `from` and `to`."),
        ),
    ),
    What.RATINGS: Table(
        model=Satisfaction,
        moment="created_at",
        order=("id",),
        about="Ratings of customers that were first given in the period, as they are now, in the order in which they "
        "were given.",
        weight=_bytes_of("feedback"),
        columns=(
            Column("id", _ID),
            *_TICKET,
            Column("customer_id", "The UUID of the customer.", "contact_id"),
            Column("customer_email", "Their e-mail address.", "contact__email"),
            Column("rating", "From 1 (bad) to 5 (very good)."),
            Column("feedback", "Their words, or nothing."),
            Column("resolved_at", "The resolution that is rated."),
            Column("created_at", "When the rating was first given."),
            Column("updated_at", "When it was last changed."),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Export:
    """An export that can begin: its file's name and media type, and its bytes, which are read while they are written.

    `content` can be iterated once. Each piece ends with a row; the first one is there before any row is read.
    """

    name: str
    media_type: str
    content: Iterator[bytes]


def begin(
    *,
    what: What,
    format: Format,
    workspace: Workspace,
    tickets: "QuerySet[Ticket]",
    period: Period,
    after: UUID | None = None,
    zone: ZoneInfo | None = None,
    bom: bool = False,
) -> Export:
    """The rows of `tickets` (live ones of the workspace) whose moment lies in `period`, in their table's order.

    `after` is the id of a row: only those behind it come, and without a head, so that they can be appended to what
    was got before. `zone` is the timezone of the times in CSV (UTC without it); `bom` puts a byte order mark before
    the head of a CSV. Raises InvalidInput naming `after` when the workspace has no such row.
    """
    table = TABLES[what]
    seek: tuple[Any, ...] | None = None
    if after is not None:
        # Also one that has come into the trash, or was deleted, since: it still says where to go on.
        seek = table.model.objects.for_workspace(workspace).filter(pk=after).values_list(*table.order).first()
        if seek is None:
            raise InvalidInput.of("after", f"Among the {what} of this workspace there is no such id.")
    if what is What.TICKETS:
        rows: QuerySet[Any] = tickets
    else:
        rows = table.model.objects.for_workspace(workspace).filter(ticket__in=tickets, **table.conditions)
    rows = rows.filter(**{f"{table.moment}__gte": period.start, f"{table.moment}__lt": period.end})
    portions = read(table, rows, seek)
    if format is Format.CSV:
        head = None if seek else table.names
        content = as_csv(head, portions, zone=zone, bom=bom)
    else:
        content = as_json_lines(table.names, portions)
    return Export(
        name=f"{workspace.slug}-{what}-{period.first_day}-{period.last_day}.{format}",
        media_type={Format.CSV: "text/csv", Format.JSONL: "application/x-ndjson"}[format],
        content=content,
    )


# --- Reading ----------------------------------------------------------------------------------


def read(table: Table, rows: "QuerySet[Any]", seek: Sequence[Any] | None) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in portions, in the order of the table, those behind `seek` (values of `order`) only.

    Each portion is read when it is asked for. A row that is changed meanwhile comes as it is then; one that is taken
    away before its portion is read does not come.
    """
    rows = rows.order_by(*table.order)
    columns = [column.expression for column in table.columns]
    while True:
        ahead = rows.filter(_behind(table.order, seek)) if seek else rows
        keys = list(ahead.values_list("pk", table.weight, *table.order)[:CHUNK])
        for ids in _portions(keys):
            yield list(rows.filter(pk__in=ids).values_list(*columns))
        if len(keys) < CHUNK:
            return
        seek = keys[-1][2:]


def _behind(order: Sequence[str], seek: Sequence[Any]) -> GreaterThan:
    """The comparison of rows (SQL standard), which an index answers from where it stands: `(a, b) > (1, 2)`."""

    def row(values: Iterable[Any]) -> Func:
        return Func(*values, template="(%(expressions)s)", output_field=BooleanField())

    return GreaterThan(row(order), row(Value(value) for value in seek))


def _portions(keys: Iterable[Sequence[Any]]) -> Iterator[list[UUID]]:
    """The ids of keys (id, weight, …) in lists that weigh at most PORTION, or have one id."""
    ids: list[UUID] = []
    weight = 0
    for pk, own, *_ in keys:
        if ids and weight + own > PORTION:
            yield ids
            ids, weight = [], 0
        ids.append(pk)
        weight += own
    if ids:
        yield ids


# --- Writing ----------------------------------------------------------------------------------


def as_csv(
    head: Sequence[str] | None,
    portions: Iterable[Iterable[Sequence[Any]]],
    *,
    zone: ZoneInfo | None = None,
    bom: bool = False,
) -> Iterator[bytes]:
    """RFC 4180 in UTF-8: a piece for the head, empty without one, so that an answer begins; one for each portion."""
    yield (BOM if bom else b"") + (_csv([head]) if head else b"")
    for rows in portions:
        yield _csv([_cell(value, zone) for value in row] for row in rows)


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()


def _cell(value: Any, zone: ZoneInfo | None) -> str:
    """A value as the text of a cell; nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return neutral(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return _time(value, zone)
    if isinstance(value, list | dict):
        return _json(value)
    return str(value)


def neutral(text: str) -> str:
    """Text that no spreadsheet runs: with an apostrophe before it, if it could be taken for a formula.

    That is what begins, after any blanks, with one of DANGEROUS, or itself with a tab or a line break.
    """
    return f"'{text}" if text[:1] in ("\t", "\r", "\n") or text.lstrip().startswith(DANGEROUS) else text


def as_json_lines(names: Sequence[str], portions: Iterable[Iterable[Sequence[Any]]]) -> Iterator[bytes]:
    """One JSON object on each line, in UTF-8: an empty piece, so that an answer begins, and one for each portion."""
    yield b""
    for rows in portions:
        yield "".join(f"{_json(dict(zip(names, row, strict=True)))}\n" for row in rows).encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return _time(value) if isinstance(value, dt.datetime) else str(value)


def _time(moment: dt.datetime, zone: ZoneInfo | None = None) -> str:
    """ISO 8601, whole seconds: UTC as 2024-01-15T10:30:00Z, in a timezone as 2024-01-15T11:30:00+01:00."""
    if zone:
        return moment.astimezone(zone).isoformat(timespec="seconds")
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
