"""Pages of a list: `?page=1&limit=20`, and the envelope that every list answers in.

{"tickets": […], "pagination": {"page": 1, "limit": 20, "total": 150, "totalPages": 8}}
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.errors import NotFound

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows were asked for: `number` counts from 1, `limit` is rows per page."""

    number: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit

    def pages(self, total: int) -> int:
        """How many pages `total` rows make; none for no rows."""
        return -(-total // self.limit)


def page_asked(request: Request) -> Page:
    """Read `page` and `limit`; raises ValidationError that names the bad one."""
    errors: dict[str, list[str]] = {}
    values = {"page": 1, "limit": DEFAULT_LIMIT}
    for name, most in (("page", MAX_PAGE), ("limit", MAX_LIMIT)):
        text = request.query_params.get(name)
        if text is None:
            continue
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            errors[name] = [f"Give a whole number from 1 to {most}."]
        else:
            values[name] = int(text)
    if errors:
        raise ValidationError(errors)
    return Page(values["page"], values["limit"])


def rows_of(
    page: Page, rows: "QuerySet[Any] | Sequence[Any]", total: Callable[[], int] | None
) -> tuple[list[Any], int]:
    """The rows of the page and the number of all; raises NotFound for a page behind the last.

    `total` counts where the caller knows a cheaper way than `COUNT(*)`. A page that is not full
    tells the total by itself, so that short lists are never counted.
    """
    found = list(rows[page.offset : page.offset + page.limit])
    if len(found) < page.limit and (found or page.number == 1):
        return found, page.offset + len(found)
    counted = total() if total else rows.count() if isinstance(rows, QuerySet) else len(rows)
    if not found:
        last = page.pages(counted)
        text = f"There are only {last} pages." if last > 1 else "There is only 1 page."
        raise NotFound(text, code="no_such_page", errors={"page": [text]})
    return found, max(counted, page.offset + len(found))


def envelope(plural: str, items: Iterable[Any], *, page: Page, total: int) -> dict[str, Any]:
    """The body of a list answer."""
    return {
        plural: list(items),
        "pagination": {
            "page": page.number,
            "limit": page.limit,
            "total": total,
            "totalPages": page.pages(total),
        },
    }


def paginated(
    request: Request,
    rows: "QuerySet[Any] | Sequence[Any]",
    *,
    plural: str,
    to_json: Callable[[list[Any]], Iterable[Any]],
    total: Callable[[], int] | None = None,
) -> Response:
    """The page of `rows` that the request asks for, under its plural name.

    `to_json` gets the list of the page's rows. Raises ValidationError or NotFound naming `page`
    or `limit`.
    """
    page = page_asked(request)
    found, counted = rows_of(page, rows, total)
    return Response(envelope(plural, to_json(found), page=page, total=counted))
