"""Every refusal of the API in one shape: RFC 9457 `application/problem+json`.

    {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "a sentence",
     "code": "a_word", "errors": {"field": ["why"]}}

`code` is stable and for programs, `detail` is for people, `errors` names the fields at fault by
their path in the body (`priority_overrides.urgent`, `tags.0`); `body` stands for the whole body.
"""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
    ValidationError,
)
from django.db import DataError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from helpdesk.errors import DomainError

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
BEARER = 'Bearer realm="api"'
NOTHING_HERE = "There is nothing at this address."
TOO_BIG = "The body is too big."


class BodyTooBig(exceptions.APIException):
    """The body is longer than this endpoint reads (HTTP 413)."""

    status_code = 413
    default_code = "too_big"
    default_detail = TOO_BIG


class LengthRequired(exceptions.APIException):
    """The body came in chunks, without a `Content-Length` (HTTP 411)."""

    status_code = 411
    default_code = "length_required"
    default_detail = "Send the length of the body in Content-Length."


def problem_body(
    status: int, detail: str, *, code: str, errors: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """The members of a problem answer."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": dict(errors or {}),
    }


def answer(
    status: int,
    detail: str,
    *,
    code: str,
    errors: Mapping[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response, for the few that are not raised."""
    return Response(
        problem_body(status, detail, code=code, errors=errors),
        status=status,
        headers=dict(headers or {}),
        content_type=CONTENT_TYPE,
    )


def flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Nested errors of a serializer as `{"outer.inner": ["…"]}`."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            step = "" if name in ("non_field_errors", "__all__") else str(name)
            for where, texts in flatten(inner, ".".join(part for part in (path, step) if part)).items():
                found.setdefault(where, []).extend(texts)
        return found
    if isinstance(detail, list | tuple):
        if any(isinstance(inner, Mapping | list | tuple) for inner in detail):
            # A list of rows, each with its own errors (an empty one is a row without).
            return flatten({str(row): inner for row, inner in enumerate(detail) if inner}, path)
        return {path or "body": [str(text) for text in detail]} if detail else {}
    return {path or "body": [str(detail)]}


def _in_words(errors: Mapping[str, list[str]]) -> str:
    if len(errors) == 1:
        ((name, texts),) = errors.items()
        return texts[0] if name == "body" else f"{name}: {texts[0]}"
    return f"These fields are not acceptable: {', '.join(errors)}."


def problem(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Translate what a view raised; `None` for what is our own fault, which then becomes a logged 500."""
    if isinstance(exc, DomainError):
        headers = {"WWW-Authenticate": BEARER} if exc.status == 401 else {}
        if (seconds := getattr(exc, "retry_after", None)) is not None:
            headers["Retry-After"] = str(seconds)
        return answer(exc.status, exc.detail, code=exc.code, errors=exc.errors, headers=headers)
    if isinstance(exc, exceptions.ValidationError):
        errors = flatten(exc.detail)
        return answer(400, _in_words(errors), code="invalid", errors=errors)
    if isinstance(exc, ValidationError):
        errors = flatten(exc.message_dict if hasattr(exc, "error_dict") else exc.messages)
        return answer(400, _in_words(errors), code="invalid", errors=errors)
    if isinstance(exc, Http404 | exceptions.NotFound):
        return answer(404, NOTHING_HERE, code="not_found")
    if isinstance(exc, PermissionDenied | exceptions.PermissionDenied):
        return answer(403, str(exc) or "This is not allowed.", code="not_allowed")
    if isinstance(exc, exceptions.Throttled):
        wait = max(1, math.ceil(getattr(exc, "wait", None) or 1))
        return answer(
            429,
            f"Too many requests. Try again in {wait} seconds.",
            code="throttled",
            headers={"Retry-After": str(wait)},
        )
    if isinstance(exc, exceptions.ParseError):
        return answer(400, str(exc.detail), code="malformed", errors={"body": [str(exc.detail)]})
    if isinstance(exc, BodyTooBig | RequestDataTooBig):
        return answer(413, TOO_BIG, code="too_big", errors={"body": [TOO_BIG]})
    if isinstance(exc, TooManyFieldsSent | TooManyFilesSent | UnreadablePostError | SuspiciousOperation):
        return answer(400, "The body cannot be read.", code="malformed", errors={"body": ["It cannot be read."]})
    if isinstance(exc, exceptions.APIException):
        challenge = getattr(exc, "auth_header", None)
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        code = exc.get_codes()
        return answer(
            exc.status_code, str(exc.detail), code=code if isinstance(code, str) else "error", headers=headers
        )
    if isinstance(exc, DataError):
        # PostgreSQL will not store a value that our own checks let through: a hole to close, but
        # for the caller it is what it is, a value that is not acceptable.
        log.error("A value reached the database unchecked", exc_info=exc)
        return answer(400, "A value cannot be stored.", code="invalid", errors={"body": ["A value cannot be stored."]})
    if isinstance(exc, OperationalError):
        # The database is away, or chose this transaction to break a deadlock: a later try may work.
        log.error("The database did not answer", exc_info=exc)
        return answer(503, "The database does not answer. Try again.", code="unavailable", headers={"Retry-After": "5"})
    return None
