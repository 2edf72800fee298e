"""`Idempotency-Key`: a create that is sent twice happens once.

`@idempotent` on a view's method. With the header, the first request runs the method and keeps its
answer for a day, in the same transaction as the effect; the same request again gets the same
answer, with `Idempotency-Replayed: true`. A second request that comes while the first still runs
waits for it. What was refused is not kept, so it may be mended and tried again.
"""

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.api.models import IdempotencyKey
from helpdesk.errors import DomainError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = ("Location", "ETag")

Method = TypeVar("Method", bound=Callable[..., HttpResponseBase])


class KeyReused(DomainError):
    """The key was used before for something else (HTTP 422)."""

    status = 422
    code = "idempotency_mismatch"


def _fingerprint(data: Any) -> str:
    """The same for the same body, whatever its white space and the order of its names."""
    digest = hashlib.sha256()
    if hasattr(data, "lists"):  # a form, with or without files
        for name, values in sorted(data.lists()):
            for value in values:
                digest.update(f"\0{name}\0".encode())
                if isinstance(value, UploadedFile):
                    digest.update(f"{value.name}\0".encode())
                    for chunk in value.chunks():
                        digest.update(chunk)
                    value.seek(0)
                else:
                    digest.update(str(value).encode())
    else:
        digest.update(json.dumps(data, sort_keys=True).encode())
    return digest.hexdigest()


def _endpoint(request: Request) -> str:
    text = f"{request.method} {request.path.rstrip('/')}"
    return text if len(text) <= 200 else hashlib.sha256(text.encode()).hexdigest()


def _kept_body(response: Any) -> dict[str, Any]:
    # As text: jsonb would sort the names, and the answer would not be the same again.
    return {
        "text": JSONRenderer().render(response.data).decode(),
        "headers": {name: response[name] for name in KEPT_HEADERS if response.has_header(name)},
    }


def _replay(record: IdempotencyKey) -> HttpResponse:
    body = record.body or {}
    return HttpResponse(
        body.get("text", ""),
        status=record.status,
        content_type="application/json",
        headers={**body.get("headers", {}), REPLAYED: "true"},
    )


def idempotent(method: Method) -> Method:
    """Make a creating method of an `ApiView` honour `Idempotency-Key`.

    Raises ValidationError naming the header for a malformed key, KeyReused when the key came
    before with another body or to another endpoint.
    """

    @wraps(method)
    def once(self: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if key is None:
            return method(self, request, *args, **kwargs)
        if not re.fullmatch(r"[\x21-\x7e]{1,200}", key):
            raise ValidationError({HEADER: ["Send 1 to 200 visible ASCII characters."]})
        workspace, caller = self.idempotency_owner()
        mine = IdempotencyKey(
            workspace=workspace,
            caller=caller,
            key=key,
            endpoint=_endpoint(request),
            body_hash=_fingerprint(request.data),
            created_at=self.now,
        )
        with transaction.atomic():
            # The unique key is the lock: while another transaction holds the same one, this
            # insert waits until that one has committed (then it does nothing) or failed.
            IdempotencyKey.unscoped.bulk_create([mine], ignore_conflicts=True)
            kept = IdempotencyKey.unscoped.get(workspace=workspace, caller=caller, key=key)
            if kept.pk != mine.pk:
                if (kept.endpoint, kept.body_hash) != (mine.endpoint, mine.body_hash):
                    raise KeyReused(
                        "This Idempotency-Key was used for another request.",
                        errors={HEADER: ["It was used for another request."]},
                    )
                return _replay(kept)
            response: Any = method(self, request, *args, **kwargs)
            if isinstance(response, Response) and 200 <= response.status_code < 300:
                kept.status, kept.body = response.status_code, _kept_body(response)
                kept.save(update_fields=["status", "body"])
            else:
                transaction.set_rollback(True)
            return response

    once.is_idempotent = True  # type: ignore[attr-defined]
    return once  # type: ignore[return-value]
