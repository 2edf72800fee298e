"""The messages themselves in the OpenAPI document: what a receiver is sent, event by event."""

from typing import Any

from drf_spectacular.utils import OpenApiWebhook

from tickets.webhooks import payloads
from tickets.webhooks.api.webhooks import EXAMPLE_AT, WEBHOOKS

_HEADERS = {
    "webhook-id": "The same in every attempt and replay of a message: what was seen already can be dropped.",
    "webhook-timestamp": "When the attempt was made, in seconds since 1970.",
    "webhook-signature": "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; two of them, parted by a "
    "space, while the secret changes.",
}


def _schema(value: Any) -> dict[str, Any]:
    """The type of an example."""
    if isinstance(value, dict):
        names = {name: _schema(inner) for name, inner in value.items()}
        return {"type": "object", "properties": names, "required": list(names)}
    if isinstance(value, list):
        return {"type": "array", "items": {"type": "object"}}
    kinds = {bool: "boolean", int: "integer", str: "string", type(None): "null"}
    return {"type": kinds[type(value)]}


def _message(kind: payloads.Kind) -> OpenApiWebhook:
    example = kind.payload(EXAMPLE_AT)
    operation = {
        "summary": kind.name,
        "description": kind.description,
        "tags": [WEBHOOKS],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _schema(example), "example": example}},
        },
        "responses": {"2XX": {"description": "It has arrived. Anything else is tried again; 410 ends the webhook."}},
    }
    return OpenApiWebhook(name=kind.name, decorator={"post": operation})


MESSAGES = [_message(kind) for kind in payloads.CATALOGUE.values()]
