"""Marks everything that is stored, but for what customers may see, and finds the marks in whatever leaves the helpdesk.

`plant` writes a word of its own into every text, number and time of every row of every model, as far as `PUBLIC` does
not say that a customer may see it. Ids are marks as they are. A new model or column is covered without a change here;
one that cannot hold a mark has to be named in `KEPT`, with the reason.
"""

import base64
import binascii
import datetime as dt
import gzip
import html
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import DatabaseError, connection, models, transaction

LABELS = ("accounts", "api", "tickets", "automation", "mail", "webhooks", "slas", "portal")
SHORTEST = 12  # characters of a column that has room for a mark
A_MARK = re.compile(r"zq\d{8}")
A_NUMBER = re.compile(r"(?<![0-9a-zA-Z])19\d{8}(?![0-9a-zA-Z])")
AN_ID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}")
A_TIME = re.compile(r"\b2041-07-01|\bjul[a-z.]* (?:1, )?2041\b")
IN_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{14,}")

# What customers may see of a row that is theirs.
PUBLIC = {
    "accounts.Workspace": {"id", "name", "slug", "signature"},
    "accounts.Contact": {"email"},
    "accounts.User": {"name"},
    "tickets.Ticket": {
        "id", "number", "subject", "description", "description_html", "folded_text", "folded_html", "requester_name",
        "requester_email",
    },
    "tickets.Comment": {
        "id", "ticket", "body", "body_html", "folded_text", "folded_html", "author_name", "edited_at",
    },
    "tickets.Attachment": {"id", "ticket", "comment", "name", "size", "content_type"},
    "tickets.Chat": {"ticket", "conversation_id"},
    "mail.Mailbox": {"address", "name"},
    "portal.Satisfaction": {"ticket", "rating", "feedback", "updated_at"},
    "portal.ArticleCategory": {"name", "slug", "description"},
    "portal.Article": {"title", "slug", "body", "body_html", "updated_at"},
    "portal.PortalSettings": {"welcome_title", "welcome_text", "accent", "language", "logo_width", "logo_height"},
    "portal.SignInLink": {"id"},
}  # fmt: skip

# What keeps its value, because something reads it while the doors are tried. Twelve characters of it are a mark, too.
KEPT = {
    "automation.DryRun.matched_events": "counted together with others",
    "automation.DryRun.matched_tickets": "counted together with others",
    "automation.DryRun.since": "before another time",
    "automation.Rule.triggers": "a list of known words",
    "slas.SLAPolicy.pending_pauses": "a list of known words",
    "tickets.Field.options": "only a choice has some",
    "accounts.ApiKey.scopes": "a list of known words",
    "tickets.Sequence.last_number": "the next request's number follows it",
    "accounts.User.timezone": "the name of a time zone",
    "accounts.User.password": "a hash",
    "accounts.Workspace.timezone": "the name of a time zone",
    "tickets.CustomerToken.token_hash": "opens the ticket",
    "tickets.CustomerToken.expires_at": "opens the ticket",
    "tickets.Chat.line_count": "tells old lines of a chat from new ones",
    "tickets.Chat.lines_hash": "tells old lines of a chat from new ones",
    "tickets.Chat.opened_by": "says who may continue a chat",
    "tickets.Field.key": "the name that answers stand under",
    "slas.BusinessHours.timezone": "the name of a time zone",
    "slas.BusinessHours.schedule": "reckoned with",
    "slas.BusinessHours.holidays": "reckoned with",
    "slas.SLAPolicy.conditions": "reckoned with",
    "slas.SLAPolicy.priority_overrides": "reckoned with",
    "slas.SLATerms.document": "reckoned with",
    "slas.SLATerms.digest": "found again by it",
    "portal.SignInLink.token_hash": "signs in",
    "portal.SignInLink.expires_at": "signs in",
    "portal.PortalSettings.requests_per_hour": "limits",
    "portal.PortalSettings.allowed_origins": "says who may ask",
    "portal.PortalSettings.logo_type": "a content type",
}


@dataclass
class Marks:
    """What must be found nowhere: each mark, number, id and value with the place where it stands."""

    words: dict[str, str] = field(default_factory=dict)  # in lower case
    ids: dict[UUID, str] = field(default_factory=dict)
    shown_ids: set[UUID] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)  # columns that would not take a mark, and why
    rows: dict[str | UUID, Any] = field(default_factory=dict)  # the key of the row that a mark or an id stands in

    def found_in(self, said: str | bytes, *, known: Collection[Any] = (), asked: str = "") -> set[str]:
        """Where that which is given away stands: `app.Model.column`; however it is written or escaped.

        Of the rows whose keys are `known`, what `PUBLIC` has may be seen; and marks that were `asked` for.
        """
        found: dict[str | UUID, str] = {}
        for text in _as_it_may_be_read(said):
            low = text.lower()
            found |= {"2041": "a time"} if A_TIME.search(low) else {}
            found |= {mark: self.words[mark] for mark in A_MARK.findall(low) if mark in self.words}
            found |= {mark: self.words[mark] for mark in A_NUMBER.findall(low) if mark in self.words}
            found |= {value: place for value, place in self.others.items() if value in low}
            ids = {UUID(match[0]) for match in AN_ID.finditer(low)} & self.ids.keys() - self.shown_ids
            found |= {one: self.ids[one] for one in ids}
        own = set(A_MARK.findall(asked.lower()))
        leaks = {mark: place for mark, place in found.items() if mark not in own}
        return {place for mark, place in leaks.items() if not (self.rows.get(mark) in known and _is_public(place))}

    @cached_property
    def others(self) -> dict[str, str]:
        """Values that are marks as they are."""
        return {value: place for value, place in self.words.items() if not re.fullmatch(r"zq\d{8}|19\d{8}", value)}


def _is_public(place: str) -> bool:
    label, _, name = place.rpartition(".")
    return name in PUBLIC.get(label, set())


def plant(*, shown_of: Callable[[Any], set[str]]) -> Marks:
    """Mark every row that there is, but for the columns that `shown_of` gives for it."""
    marks, number = Marks(), 0
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE ticket_activities DISABLE TRIGGER USER")  # the log takes no changes
    for model in every_model():
        for row in model._base_manager.order_by("pk"):
            shown, changes = shown_of(row), {}
            for column in model._meta.concrete_fields:
                place = f"{model._meta.label}.{column.name}"
                value = getattr(row, column.attname)
                if isinstance(value, UUID):
                    if column.name in shown:
                        marks.shown_ids.add(value)
                    else:
                        marks.ids.setdefault(value, place)
                        marks.rows.setdefault(value, row.pk)
                elif column.name in shown or place in marks.refused:
                    continue
                elif place in KEPT or isinstance(column, models.FileField):
                    if isinstance(value, str) and len(value) >= SHORTEST and "/" not in value[:SHORTEST]:
                        marks.words[value.lower()] = place
                    elif column.get_internal_type() == "FileField" and value:
                        marks.words[str(value).lower()] = place
                else:
                    number += 1
                    marked = _marked(column, value, number)
                    if marked is not None:
                        changes[column.name] = (marked, _key(column, number))
            _write(row, changes, marks)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ticket_activities ENABLE TRIGGER USER")
    return marks


def every_model() -> list[type[models.Model]]:
    """The models of the product."""
    return [model for label in LABELS for model in apps.get_app_config(label).get_models()]


def _write(row: models.Model, changes: Mapping[str, tuple[Any, str]], marks: Marks) -> None:
    """All at once; where the database refuses that, what it takes."""
    label = row._meta.label
    for some in [[*changes], *([name] for name in changes)]:
        if not some:
            return
        try:
            with transaction.atomic():
                type(row)._base_manager.filter(pk=row.pk).update(**{name: changes[name][0] for name in some})
        except (DatabaseError, ValueError) as error:
            if len(some) == 1:
                marks.refused[f"{label}.{some[0]}"] = str(error).partition("\n")[0]
        else:
            for name in some:
                marks.words[changes[name][1]], marks.rows[changes[name][1]] = f"{label}.{name}", row.pk
            if len(some) == len(changes):
                return


def _key(column: Any, number: int) -> str:
    return f"19{number:08d}" if isinstance(column, models.IntegerField) else f"zq{number:08d}"


def _marked(column: Any, value: Any, number: int) -> Any:
    """The value with a mark in it; None for one that has no room."""
    mark = f"zq{number:08d}"
    if column.generated or column.choices or isinstance(column, SearchVectorField | models.BinaryField):
        return None
    if isinstance(column, models.EmailField):
        return f"{mark}@marked.example"
    if isinstance(column, models.CharField | models.TextField):
        if column.max_length is not None and column.max_length < SHORTEST:
            return None
        words = f"{mark} & <b>" if isinstance(column, models.TextField) else mark
        return f"{mark}@marked.example" if "@" in str(value) else words
    if isinstance(column, ArrayField) and isinstance(column.base_field, models.CharField):
        return [*(value or []), mark]
    if isinstance(column, models.JSONField) and value is not None:
        if isinstance(value, list):
            return [*value, {"field": mark, "from": mark, "to": mark}]
        return {**value, mark: mark} if isinstance(value, dict) else {mark: mark}
    if isinstance(column, models.DateTimeField):
        return None if value is None or column.name in TIMES else dt.datetime(2041, 7, 1, tzinfo=dt.UTC)
    if type(column) in (models.IntegerField, models.PositiveIntegerField, models.BigIntegerField) or isinstance(
        column, models.PositiveBigIntegerField
    ):
        return 1_900_000_000 + number
    return None


# Times that say what is the case: a comment with one is deleted, a ticket with another resolved.
TIMES = {
    "deleted_at", "archived_at", "revoked_at", "accepted_at", "trashed_at", "resolved_at", "closed_at", "undone_at",
    "published_at", "first_assigned_at", "first_response_at", "ended_at", "created_at", "last_message_at",
    "dispatched_at", "occurred_at", "recorded_at", "merged_at", "assigned_at",
}  # fmt: skip


def _as_it_may_be_read(said: str | bytes) -> Iterator[str]:
    """The text, and what can be made of it: unescaped, unquoted, out of base64 and gzip, once and twice."""
    seen: set[str] = set()
    waiting = [(_text(said), 0)]
    if isinstance(said, bytes) and said[:2] == b"\x1f\x8b":
        waiting.append((_text(gzip.decompress(said)), 0))
    while waiting:
        text, depth = waiting.pop()
        if text in seen:
            continue
        seen.add(text)
        yield text
        if depth < 2:
            waiting += [(other, depth + 1) for other in _decoded(text)]


def _decoded(text: str) -> Iterable[str]:
    yield html.unescape(text)
    yield unquote_plus(text)
    if "\\" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text).replace("\\/", "/")
    if "=\n" in text or "=\r\n" in text:
        yield re.sub(r"=\r?\n", "", text)  # quoted-printable
    inside = [
        piece
        for run in IN_BASE64.findall(text)
        for shift in range(4)
        if (piece := _out_of_base64(run[shift:].replace("-", "+").replace("_", "/")))
    ]
    if inside:
        yield "\n".join(inside)


def _out_of_base64(run: str) -> str:
    run = run[:-1] if len(run) % 4 == 1 else run
    try:
        return _text(base64.b64decode(run + "=" * (-len(run) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _text(said: str | bytes) -> str:
    return said if isinstance(said, str) else said.decode("utf-8", "replace")


def everything_in(answer: Any) -> bytes:
    """All that an answer says: status, headers, cookies and body."""
    body = b"".join(answer.streaming_content) if getattr(answer, "streaming", False) else answer.content
    head = [f"{answer.status_code} {answer.reason_phrase}", *(f"{name}: {value}" for name, value in answer.items())]
    head += [morsel.OutputString() for morsel in answer.cookies.values()]
    return "\n".join(head).encode() + b"\n\n" + body


def spellings_of(word: str) -> dict[str, bytes]:
    """The same in every way in which an answer may hold it; what `found_in` is tried with."""
    return {
        "plain": word.encode(),
        "upper case": word.upper().encode(),
        "json": json.dumps({"a": word}).encode(),
        "html": "".join(f"&#{ord(letter)};" for letter in word).encode(),
        "escaped": "".join(f"\\u{ord(letter):04x}" for letter in word).encode(),
        "address": "".join(f"%{ord(letter):02X}" for letter in word).encode(),
        "base64": base64.b64encode(f"x{word}".encode()),
        "base64 of an address": base64.urlsafe_b64encode(f"a=1&b={word}".encode()).rstrip(b"="),
        "base64 in an address": base64.b64encode(word.encode()).replace(b"=", b"%3D"),
        "gzip": gzip.compress(word.encode()),
    }
