"""Reading a JSON body, strictly.

Kept apart from the views: `rest_framework.views` imports what the settings name while it is
itself being imported.
"""

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser

from helpdesk.api.errors import BodyTooBig

DEEPEST = 20
LARGEST_NUMBER = 2**63 - 1
# A body that is too big is read to its end, up to here, and thrown away: a client that is still
# sending would see a broken connection instead of our answer.
DRAINED_BYTES = 32 * 1024 * 1024


class _Unacceptable:
    """Stands for a JSON value that was refused, until we know its path."""

    def __init__(self, why: str) -> None:
        self.why = why


_NOT_A_NUMBER = _Unacceptable("This is not a number of JSON.")
_TOO_LARGE = _Unacceptable("This number is too large.")


def _whole(text: str) -> int | _Unacceptable:
    # Twenty characters hold every 64-bit number; longer ones take quadratic time to convert.
    value = int(text) if len(text) <= 20 else None
    return value if value is not None and abs(value) <= LARGEST_NUMBER else _TOO_LARGE


def _fraction(text: str) -> float | _Unacceptable:
    value = float(text)
    return value if math.isfinite(value) else _TOO_LARGE


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValidationError({_printable(name): ["This name is given twice."]})
            seen.add(name)
    return found


def _printable(name: str) -> str:
    """A name that can stand in an answer, whatever is in it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[:100])


def text_problem(text: str) -> str | None:
    """Why a string cannot be stored as text, or None."""
    if "\0" in text:
        return "NUL characters are not allowed."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "This is not text: it has half of a surrogate pair."
    return None


def _check(value: Any, path: str, depth: int, errors: dict[str, list[str]]) -> None:
    if isinstance(value, str):
        if why := text_problem(value):
            errors[path] = [why]
    elif isinstance(value, _Unacceptable):
        errors[path] = [value.why]
    elif isinstance(value, dict | list):
        if depth >= DEEPEST:
            errors[path or "body"] = [f"This is nested more than {DEEPEST} levels deep."]
            return
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(name, str) and text_problem(name):
                errors[".".join(part for part in (path, _printable(name)) if part)] = ["This name is not text."]
                continue
            _check(inner, f"{path}.{name}" if path else str(name), depth + 1, errors)


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object, refusing what cannot be stored or has no meaning.

    Raises ParseError (saying where) for what is no JSON, ValidationError naming the path for NaN
    and infinities, NUL characters, lone surrogates, names given twice, nesting deeper than 20
    and numbers beyond 64 bits.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: byte {error.start} is wrong.") from None
    try:
        data = json.loads(
            text,
            parse_int=_whole,
            parse_float=_fraction,
            parse_constant=lambda _: _NOT_A_NUMBER,
            object_pairs_hook=_named_once,
        )
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: {error.msg}, line {error.lineno} column {error.colno}.") from None
    except RecursionError:
        raise ValidationError({"body": [f"This is nested more than {DEEPEST} levels deep."]}) from None
    if not isinstance(data, dict):
        raise ValidationError({"body": ["Send a JSON object."]})
    errors: dict[str, list[str]] = {}
    _check(data, "", 0, errors)
    if errors:
        raise ValidationError(errors)
    return data


def read_limited(stream: IO[bytes], *, declared: str | None, most: int) -> bytes:
    """The whole body of at most `most` bytes; raises BodyTooBig, after reading a longer one away."""
    length = int(declared) if declared and declared.isdigit() else 0
    raw = b"" if length > most else stream.read(most + 1)
    if length <= most and len(raw) <= most:
        return raw
    drained = len(raw)
    while drained < DRAINED_BYTES and (chunk := stream.read(64 * 1024)):
        drained += len(chunk)
    raise BodyTooBig


class StrictJSONParser(BaseParser):
    """Reads `application/json`; see `parse_json_object` for what it refuses."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        request = (parser_context or {}).get("request")
        if request is not None:
            charset = (request.content_params or {}).get("charset") if hasattr(request, "content_params") else None
            if charset and charset.strip("\"' ").lower() not in ("utf-8", "utf8", "us-ascii"):
                raise ParseError("JSON is sent as UTF-8.")
        declared = request.META.get("CONTENT_LENGTH") if request is not None else None
        return parse_json_object(read_limited(stream, declared=declared, most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE))
