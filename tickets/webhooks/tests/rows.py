"""Webhooks for tests. Endpoints are made by their service, as in life; messages are written directly."""

import datetime as dt
import json
from typing import Any
from uuid import UUID

from helpdesk.accounts.models import Workspace, new_id
from tickets.tests.factories import make_agent
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import endpoints

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
URL = "http://93.184.215.14/hook"  # an address, so that no name is looked up


def make_endpoint(workspace: Workspace, now: dt.datetime = NOW, **fields: Any) -> Endpoint:
    """An endpoint that wants every event, unless told otherwise."""
    given = {"url": URL, "events": list(payloads.CATALOGUE)} | fields
    by = given.pop("by", None) or make_agent(workspace, role="admin")
    made, _ = endpoints.create(workspace=workspace, by=by, now=now, **given)
    return made


def make_delivery(endpoint: Endpoint, now: dt.datetime = NOW, **fields: Any) -> Delivery:
    """A message that waits, unless told otherwise; one that has ended did so at once."""
    event = fields.get("event", "ticket.created")
    ended = fields.get("status", "waiting") != "waiting"
    given: dict[str, Any] = {
        "message_id": new_id(),
        "event": event,
        "body": payloads.body_of(payloads.CATALOGUE[event].payload(now)),
        "next_at": None if ended else now,
        "ended_at": now if ended else None,
        "created_at": now,
    }
    row: Delivery = Delivery.unscoped.create(workspace_id=endpoint.workspace_id, endpoint=endpoint, **given | fields)
    return row


def make_attempt(delivery: Delivery, at: dt.datetime = NOW, **fields: Any) -> Attempt:
    """An attempt that was answered with 500, unless told otherwise."""
    given: dict[str, Any] = {
        "duration_ms": 35,
        "url": URL,
        "request_headers": {"webhook-id": str(delivery.message_id)},
        "code": 500,
        "response_headers": {"content-type": "text/plain"},
        "response_body": "Oh no",
        "error": "It answered 500.",
    }
    row: Attempt = Attempt.unscoped.create(
        workspace_id=delivery.workspace_id, delivery=delivery, started_at=at, **given | fields
    )
    return row


def sent_to(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What was written for an endpoint, in the order in which it happened."""
    rows = Delivery.unscoped.filter(endpoint=endpoint).order_by("message_id")
    return [json.loads(row.body) for row in rows]


def messages_for(endpoint: Endpoint) -> set[UUID]:
    """The ids of the messages of an endpoint."""
    return set(Delivery.unscoped.filter(endpoint=endpoint).values_list("message_id", flat=True))
