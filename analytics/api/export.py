"""Rows as files, streamed."""

from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from analytics import exports
from analytics.api.base import REPORTS, ReportView, parameters
from analytics.exports import TABLES, Format, What
from helpdesk.errors import InvalidInput
from tickets.api.views.base import EVERYONE

Word = TypeVar("Word", bound=StrEnum)
_OWN = ("what", "format", "bom", "after")
_NOT_HERE = ("compare", "interval")  # of reports
_BOOLEANS = {"": False, "false": False, "true": True}


def _described() -> str:
    """What is exported, with every column: written from the tables themselves, so that it stays true."""
    paragraphs = [
        "Rows of the workspace as a file, streamed while they are read. What lies in the trash is left out. The "
        "filters look at the tickets as they are now, or at the tickets that the rows belong to.",
        "**CSV** is RFC 4180 in UTF-8: a head, lines that end with CR LF, nothing as an empty cell, yes and no as "
        "`true` and `false`, lists and objects as JSON. A text that a spreadsheet could run as a formula (it begins "
        "with `=`, `+`, `-`, `@` or their full-width forms, also after blanks, or with a tab or a line break) has an "
        "apostrophe before it; JSON Lines have every text as it is. Times are UTC, or those of `timezone` "
        "if it is given, with their offset.",
        "**JSON Lines** is one JSON object on each line, nothing as null, times in UTC.",
        "An export that broke off **goes on** with `after`, the first column of the last whole row, and otherwise the "
        "same parameters, `from` and `to` written out. It has no head then, so that it can be appended. Rows that are "
        "written or changed while an export runs come as they are when it gets there.",
    ]
    for what, table in TABLES.items():
        columns = [f"- `{column.name}`: {column.meaning}" for column in table.columns]
        paragraphs.append("\n".join([f"**{what}**: {table.about}", "", *columns]))
    return "\n\n".join([*paragraphs, f"For {EVERYONE}."])


_PARAMETERS = [
    OpenApiParameter("what", str, required=True, enum=list(What), description="Which rows."),
    OpenApiParameter("format", str, enum=list(Format), default=Format.CSV, description="How they are written."),
    OpenApiParameter(
        "bom",
        bool,
        default=False,
        description="Of CSV: a byte order mark first, by which some spreadsheets know UTF-8. Not with `after`.",
    ),
    OpenApiParameter(
        "after", OpenApiTypes.UUID, description="The id of a row: only those behind it come. Must be one of these rows."
    ),
    *(one for one in parameters() if one.name not in _NOT_HERE),
]


class Export(ReportView):
    """Rows as files."""

    @extend_schema(
        operation_id="analytics_export",
        summary="Export tickets, comments, activities or ratings",
        description=_described(),
        parameters=_PARAMETERS,
        responses={
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="The rows."),
            (200, "application/x-ndjson"): OpenApiResponse(OpenApiTypes.STR, description="The rows."),
        },
        tags=[REPORTS],
    )
    def get(self, request: Request) -> HttpResponseBase:
        export = self.begin()
        return StreamingHttpResponse(
            export.content,
            content_type=f"{export.media_type}; charset=utf-8",
            headers={
                "Content-Disposition": content_disposition_header(True, export.name) or "attachment",
                "Cache-Control": "private, no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Accel-Buffering": "no",  # nginx passes on what comes, when it comes
            },
        )

    def begin(self) -> exports.Export:
        """The export that the parameters ask for. Raises InvalidInput naming each that is unknown or wrong."""
        given = self.request.query_params
        errors = {name: ["There is no such parameter."] for name in _NOT_HERE if name in given}
        text = {name: given.get(name, "").strip() for name in _OWN}
        what = _one_of(What, "what", text["what"], errors)
        format = _one_of(Format, "format", text["format"] or Format.CSV, errors)
        after = _uuid(text["after"], errors)
        if text["bom"] not in _BOOLEANS:
            errors["bom"] = ["Possible: true, false."]
        elif _BOOLEANS[text["bom"]] and format is Format.JSONL:
            errors["bom"] = ["Only CSV may have a byte order mark."]
        elif _BOOLEANS[text["bom"]] and after:
            errors["bom"] = ["What is appended to a file has no byte order mark."]
        try:
            asked = self.asked(*_OWN)
        except InvalidInput as refused:
            errors = {**refused.errors, **errors}
        if errors or what is None or format is None:
            names = ", ".join(errors)
            raise InvalidInput(f"These parameters are not possible: {names}.", code="bad_parameter", errors=errors)
        return exports.begin(
            what=what,
            format=format,
            workspace=self.workspace,
            tickets=asked.tickets,
            period=asked.period,
            after=after,
            zone=asked.period.zone if given.get("timezone", "").strip() else None,
            bom=_BOOLEANS[text["bom"]],
        )


def _one_of(words: type[Word], name: str, text: str, errors: dict[str, list[str]]) -> Word | None:
    try:
        return words(text)
    except ValueError:
        errors[name] = [f"Possible: {', '.join(words)}."]
        return None


def _uuid(text: str, errors: dict[str, list[str]]) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        errors["after"] = ["Write the id of a row, a UUID."]
        return None
