"""Rows of webhooks for the tests of their pages: endpoints, messages and attempts as the sender leaves them."""

import datetime as dt
from uuid import uuid4

from helpdesk import sealing
from tickets.models import Activity
from tickets.tests.factories import NOW
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint, EndpointHour

SECRET = "whsec_" + "MDEy" * 10


def make_endpoint(workspace, now=NOW, **fields):
    """An endpoint that is on and wants to hear of new tickets; every field has a default."""
    given = {
        "url": "https://hooks.acme.example/helpdesk",
        "events": ["ticket.created"],
        "secret_sealed": sealing.seal(SECRET),
        "secret_changed_at": now,
        "active_since": now,
        "created_at": now,
        "updated_at": now,
    }
    if fields.get("off_reason"):
        given |= {"is_active": False, "off_at": now}
    return Endpoint.unscoped.create(workspace=workspace, **(given | fields))


def make_delivery(endpoint, now=NOW, *, ticket=None, **fields):
    """A message: of the ticket's first event, or a test; delivered unless told otherwise."""
    activity = Activity.objects.for_workspace(endpoint.workspace_id).filter(ticket=ticket).first() if ticket else None
    status = fields.get("status", "delivered")
    given = {
        "activity": activity,
        "message_id": activity.pk if activity else uuid4(),
        "event": "ticket.created",
        "body": payloads.body_of(payloads.CATALOGUE["ticket.created"].payload(now)),
        "is_test": activity is None,
        "status": status,
        "created_at": now,
        "next_at": now if status == "waiting" else None,
        "ended_at": None if status == "waiting" else now,
    }
    return Delivery.unscoped.create(workspace_id=endpoint.workspace_id, endpoint=endpoint, **(given | fields))


def make_attempt(delivery, at=NOW, **fields):
    """A try that was answered with 200."""
    given = {
        "started_at": at,
        "duration_ms": 182,
        "url": delivery.endpoint.url,
        "request_headers": {
            "content-type": "application/json",
            "user-agent": "Helpdesk-Webhooks/1.0",
            "webhook-id": str(delivery.message_id),
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        },
        "code": 200,
        "response_headers": {"content-type": "text/plain", "server": "nginx"},
        "response_body": "ok",
    }
    return Attempt.unscoped.create(workspace_id=delivery.workspace_id, delivery=delivery, **(given | fields))


def make_hours(endpoint, now, counts):
    """The hours up to `now`, oldest first, each as (delivered, failed)."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    for back, (delivered, failed) in enumerate(reversed(counts)):
        if delivered or failed:
            EndpointHour.unscoped.create(
                workspace_id=endpoint.workspace_id, endpoint=endpoint, hour=hour - dt.timedelta(hours=back),
                delivered=delivered, failed=failed, total_ms=delivered * 182,
            )  # fmt: skip
