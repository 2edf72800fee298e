"""What webhooks say, and how they are signed. Pure.

Signatures are those of the Standard Webhooks specification (standardwebhooks.com, 1.0.0): HMAC-SHA256 of
`id.timestamp.body`, so that any of its libraries verifies them.
"""

import base64
import datetime as dt
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRET_PREFIX = "whsec_"  # noqa: S105 (a prefix)
_SECRET_BYTES = 32  # the specification asks for 24 to 64

_TICKET = "018f3a5e-7c1d-7b2a-9f60-3d0c5b7a1e01"
_OTHER = "018f3a5e-7c1d-7b2a-9f60-3d0c5b7a1e02"
_PERSON = "018f3a5e-7c1d-7b2a-9f60-3d0c5b7a1e03"
_POLICY = "018f3a5e-7c1d-7b2a-9f60-3d0c5b7a1e04"
_COMMENT = "018f3a5e-7c1d-7b2a-9f60-3d0c5b7a1e05"
_WHICH = {"ticket_id": _TICKET, "ticket_number": "#1001"}
_ABOUT = {**_WHICH, "subject": "Need help", "priority": "medium"}
_BREACH = {**_WHICH, "breach_type": "first_response", "sla_policy_id": _POLICY}
_MERGE = {"source_id": _TICKET, "source_number": "#1001", "target_id": _OTHER, "target_number": "#1000"}


@dataclass(frozen=True)
class Kind:
    """An event that endpoints can subscribe to: its name, when it comes, and the `data` of an example."""

    name: str
    description: str
    example: Mapping[str, Any]

    def payload(self, at: dt.datetime) -> dict[str, Any]:
        """An example in the frame that every event has."""
        return {"event": self.name, "timestamp": timestamp(at), "data": dict(self.example)}


CATALOGUE: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("ticket.created", "A ticket was opened.", _ABOUT),
        Kind(
            "ticket.updated",
            "Priority, category, subject, team or another field changed, or the status became pending. "
            "`changes` says from what to what.",
            {**_ABOUT, "changes": [{"field": "priority", "from": "medium", "to": "high"}]},
        ),
        Kind("ticket.assigned", "A ticket was given to an agent.", {**_ABOUT, "assignee_id": _PERSON}),
        Kind("ticket.unassigned", "A ticket has no agent any more.", {**_ABOUT, "assignee_id": None}),
        Kind(
            "ticket.comment.added",
            "Somebody wrote: a customer, an agent, or the helpdesk. `is_internal` tells a note among agents.",
            {
                **_ABOUT,
                "comment_id": _COMMENT,
                "is_internal": False,
                "is_automatic": False,
                "author_type": "customer",
                "channel": "email",
            },
        ),
        Kind("ticket.resolved", "A ticket was resolved.", _ABOUT),
        Kind("ticket.closed", "A ticket was closed.", _ABOUT),
        Kind("ticket.reopened", "A resolved or closed ticket is in work again.", _ABOUT),
        Kind(
            "ticket.merged",
            "A ticket was merged into another one. It comes for both: `ticket_id` says for which.",
            {**_ABOUT, **_MERGE},
        ),
        Kind("ticket.sla.at_risk", "A deadline comes near.", _BREACH),
        Kind("ticket.sla.breached", "A deadline was missed.", _BREACH),
        Kind(
            "ticket.satisfaction.submitted",
            "A customer rated how a ticket was resolved, from 1 (bad) to 5 (very good), or changed the rating.",
            {**_ABOUT, "rating": 5, "feedback": "Quick and friendly."},
        ),
    )
}


def timestamp(at: dt.datetime) -> str:
    """A time as payloads write it."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def body_of(payload: Mapping[str, Any]) -> str:
    """The text of a payload, its names in the order in which people read them.

    It is kept and sent as it is: what is signed are these characters.
    """
    ordered = {name: _ordered(payload[name]) for name in ("event", "timestamp", "data")}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


# Of a ticket, and of a change; the database keeps names by their length. Others follow in the order of the alphabet.
_FIRST = ("ticket_id", "ticket_number", "subject", "priority", "field", "from", "to")


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in sorted(value, key=_place)}
    return [_ordered(one) for one in value] if isinstance(value, list) else value


def _place(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST)), name


def new_secret() -> str:
    """A secret as the specification writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(*, message_id: str, body: str, keys: Sequence[str], at: dt.datetime) -> dict[str, str]:
    """The three headers of a message that is sent at `at`, with a signature for each secret in `keys`.

    Two secrets are there while one takes the place of the other: receivers accept either signature.
    """
    at = at.astimezone(dt.UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, at, body) for key in keys),
    }
