"""The REST API of webhooks: who wants to hear what, their secrets, and the events that there are."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk import outbound
from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.api.views import ApiView, StrictSerializer
from tickets.api.schema import described
from tickets.api.serializers import of, plain
from tickets.api.views.base import ADMINS, EVERYONE, TicketView
from tickets.webhooks import payloads
from tickets.webhooks.models import Endpoint
from tickets.webhooks.services import endpoints, health

WEBHOOKS = "Webhooks"
EVENTS = list(payloads.CATALOGUE)
OFF_REASONS = ["member", "gone", "failing"]
STATES = list(health.STATES)
MANAGED = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), Permission.MANAGE)
_PRINTED = [  # the events of the specification
    "ticket.created",
    "ticket.updated",
    "ticket.resolved",
    "ticket.closed",
    "ticket.comment.added",
    "ticket.assigned",
    "ticket.sla.breached",
]
EXAMPLE_AT = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)  # of examples

# --- Shapes -----------------------------------------------------------------------------------


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": endpoints.MOST_HEADERS,
        "additionalProperties": {"type": "string"},
        "description": (
            "Headers of your own that each request carries, like `Authorization`. Their values are never shown again: "
            f"they come back as `{endpoints.HIDDEN}`, and a value that is sent as `{endpoints.HIDDEN}` stays as it is."
        ),
    }
)
class Headers(serializers.DictField):
    """Names and values; the service checks them."""


class WebhookIn(StrictSerializer):
    """A new webhook."""

    url = serializers.CharField(
        max_length=outbound.MAX_URL,
        help_text="Where events are sent: `https://` or `http://`, and no address inside a private network.",
    )
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS),
        allow_empty=False,
        max_length=50,
        help_text="What is sent: names of `GET /api/webhooks/events`.",
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    headers = Headers(required=False)
    active = serializers.BooleanField(required=False, source="is_active", help_text="`true` unless given.")


class WebhookChanges(WebhookIn):
    """The fields to change; those that are not sent stay. `events` and `headers` are whole."""

    url = serializers.CharField(max_length=outbound.MAX_URL, required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS), allow_empty=False, max_length=50, required=False
    )


class WebhookHealth(serializers.Serializer[Any]):
    """How it is doing. `…_24h` are the hour that runs and the 23 before."""

    state = serializers.ChoiceField(
        choices=STATES,
        help_text="`failing`: nothing has arrived since the last failure; `unused`: nothing was sent yet.",
    )
    failing_since = serializers.DateTimeField(allow_null=True, help_text="The first failure since the last success.")
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_failure_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(help_text="Why the last attempt was no success; empty when it was one.")
    delivered_24h = serializers.IntegerField(help_text="Attempts that were a success.")
    failed_24h = serializers.IntegerField(help_text="Attempts that were none.")
    average_ms_24h = serializers.IntegerField(allow_null=True, help_text="Milliseconds until a success, on average.")
    waiting = serializers.IntegerField(
        help_text=f"Deliveries that are on their way or wait for another attempt; {health.MOST_WAITING:,} means that "
        "many, or more."
    )


class WebhookOut(serializers.Serializer[Any]):
    """An address that hears of events."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(choices=EVENTS))
    headers = Headers()
    active = serializers.BooleanField(source="is_active")
    off_reason = serializers.ChoiceField(
        choices=OFF_REASONS,
        allow_null=True,
        help_text="Why it is off: `member`, an admin switched it off; `gone`, it answered 410; `failing`, nothing has "
        "arrived for five days.",
    )
    off_at = serializers.DateTimeField(allow_null=True)
    secret_changed_at = serializers.DateTimeField()
    old_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then the secret before signs, too. Null: there is none."
    )
    health = WebhookHealth()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


_SECRET: dict[str, Any] = {
    "allow_null": True,
    "help_text": "`whsec_…`, shown in this answer only. Null in an answer that is repeated (`Idempotency-Replayed`): "
    "then ask for a new one.",
}


class WebhookMade(WebhookOut):
    """A new webhook with its secret."""

    secret = serializers.CharField(**_SECRET)


class WebhookSecretIn(StrictSerializer):
    """How to change the secret."""

    both_for_hours = serializers.IntegerField(
        min_value=0,
        max_value=168,
        required=False,
        help_text="So long each message has two signatures, of the new and of the old secret; 24 unless given. "
        "0 ends the old one at once.",
    )


class WebhookSecret(serializers.Serializer[Any]):
    """The new secret."""

    id = serializers.UUIDField()
    secret = serializers.CharField(**_SECRET)
    secret_changed_at = serializers.DateTimeField()
    old_secret_until = serializers.DateTimeField(allow_null=True)


class WebhookPayload(serializers.Serializer[Any]):
    """The body of a message."""

    event = serializers.ChoiceField(choices=EVENTS)
    timestamp = serializers.CharField(help_text="When it happened, like `2024-01-15T10:30:00Z`.")
    data = serializers.DictField()  # type: ignore[assignment]  # the name that the payload has


class WebhookEvent(serializers.Serializer[Any]):
    """An event that a webhook can be sent."""

    name = serializers.ChoiceField(choices=EVENTS)
    description = serializers.CharField()
    example = WebhookPayload()


_FIELDS = ("id", "url", "description", "events", "secret_changed_at", "created_at", "updated_at")
_HEALTH_FIELDS = ("failing_since", "last_success_at", "last_failure_at", "last_error")


def webhooks_json(rows: Sequence[Endpoint], now: dt.datetime) -> list[dict[str, Any]]:
    """Webhooks with their health, in two queries however many there are."""
    known = health.of(rows, now=now)
    return [_webhook_json(row, known[row.pk], now) for row in rows]


def webhook_json(row: Endpoint, now: dt.datetime) -> dict[str, Any]:
    """A webhook with its health."""
    return webhooks_json([row], now)[0]


def _webhook_json(row: Endpoint, known: health.Health, now: dt.datetime) -> dict[str, Any]:
    shown = plain(
        {
            "headers": endpoints.shown_headers(row),
            "active": row.is_active,
            "off_reason": row.off_reason or None,
            "off_at": row.off_at,
            "old_secret_until": endpoints.old_secret_until(row, now),
        }
    )
    how = {
        "state": known.state,
        **of(row, _HEALTH_FIELDS),
        "delivered_24h": known.delivered,
        "failed_24h": known.failed,
        "average_ms_24h": known.average_ms,
        "waiting": known.waiting,
    }
    return of(row, _FIELDS) | shown | {"health": how}


def event_json(kind: payloads.Kind, now: dt.datetime) -> dict[str, Any]:
    """An event of the catalogue."""
    return {"name": kind.name, "description": kind.description, "example": kind.payload(now)}


# --- Webhooks ---------------------------------------------------------------------------------


class ShowsSecret(ApiView):
    """Puts a new secret into the answer at the very end: the one that an Idempotency-Key keeps has none."""

    secret: str | None = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if self.secret is not None and isinstance(final, Response) and final.status_code in (200, 201):
            final.data["secret"] = self.secret
            # Nobody on the way keeps it either.
            final.headers["Cache-Control"] = "no-store"
        return final


class Webhooks(ShowsSecret, TicketView):
    """The webhooks of the workspace."""

    permissions = MANAGED
    problems = {"POST": (409,)}

    @described(
        "webhooks_list",
        "List webhooks",
        answer=envelope_of("webhooks", WebhookOut),
        parameters=PAGE_PARAMETERS,
        needs=ADMINS,
        description="Oldest first.",
        tag=WEBHOOKS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = Endpoint.objects.for_workspace(self.workspace).order_by("created_at", "pk")
        return self.page(rows, plural="webhooks", to_json=lambda page: webhooks_json(page, self.now))

    @described(
        "webhooks_create",
        "Create a webhook",
        request=WebhookIn,
        answer=WebhookMade,
        status=201,
        needs=ADMINS,
        description="It is sent what happens from now on. Each message is signed with the `secret`, which is shown "
        f"this once. 409 beyond {endpoints.MOST} webhooks.",
        tag=WEBHOOKS,
        examples=[
            OpenApiExample(
                "The events of a ticket's life",
                value={"url": "https://your-app.example/webhooks", "events": _PRINTED},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made, self.secret = endpoints.create(
            workspace=self.workspace, by=self.membership, now=self.now, **self.read(WebhookIn)
        )
        body = webhook_json(made, self.now) | {"secret": None}
        return Response(body, status=201, headers={"Location": f"/api/webhooks/{made.pk}"})


class OneWebhook(TicketView):
    """A webhook."""

    permissions = MANAGED
    problems = {}

    @described("webhooks_get", "Get a webhook", answer=WebhookOut, needs=ADMINS, tag=WEBHOOKS)
    def get(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        return Response(webhook_json(endpoints.find(self.workspace.pk, webhook_id), self.now))

    @described(
        "webhooks_update",
        "Update a webhook",
        request=WebhookChanges,
        answer=WebhookOut,
        needs=ADMINS,
        description="Changes the fields that are sent; `events` and `headers` are whole. Switching off cancels what "
        "waits; switching on begins anew, and what happened in between can be replayed. A `url` on another server "
        "needs the values of the headers again.",
        tag=WEBHOOKS,
    )
    def put(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        changes = self.read(WebhookChanges)
        row = endpoints.find(self.workspace.pk, webhook_id)
        return Response(webhook_json(endpoints.change(endpoint=row, changes=changes, now=self.now), self.now))

    @described(
        "webhooks_patch",
        "Update a webhook",
        request=WebhookChanges,
        answer=WebhookOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag=WEBHOOKS,
    )
    def patch(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        return self.put(request, webhook_id)

    @described(
        "webhooks_delete",
        "Delete a webhook",
        answer=None,
        status=204,
        needs=ADMINS,
        description="Its deliveries go with it; what waits is not sent.",
        tag=WEBHOOKS,
    )
    def delete(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        endpoints.delete(endpoint=endpoints.find(self.workspace.pk, webhook_id))
        return Response(status=204)


class Secret(ShowsSecret, TicketView):
    """The secret that a webhook's messages are signed with."""

    permissions = MANAGED
    problems = {}

    @described(
        "webhooks_rotate_secret",
        "Change the secret of a webhook",
        request=WebhookSecretIn,
        answer=WebhookSecret,
        needs=ADMINS,
        description="For `both_for_hours` messages carry a signature of each of the two secrets, so that receivers "
        "can change theirs meanwhile; an older one ends at once.",
        tag=WEBHOOKS,
    )
    @idempotent
    def post(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        given = self.read(WebhookSecretIn)
        hours = given.get("both_for_hours")
        both_for = endpoints.BOTH_SECRETS if hours is None else dt.timedelta(hours=hours)
        row = endpoints.find(self.workspace.pk, webhook_id)
        row, self.secret = endpoints.rotate_secret(endpoint=row, now=self.now, both_for=both_for)
        return Response(of(row, ("id", "secret_changed_at", "old_secret_until")) | {"secret": None})


class Events(TicketView):
    """The events that a webhook can be sent."""

    problems = {}

    @described(
        "webhooks_events",
        "List the events of webhooks",
        answer=envelope_of("events", WebhookEvent),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="Each with an example of what is sent.",
        tag=WEBHOOKS,
        examples=[
            OpenApiExample(
                name,
                value={
                    "events": [event_json(payloads.CATALOGUE[name], EXAMPLE_AT)],
                    "pagination": {"page": 1, "limit": 20, "total": len(EVENTS), "totalPages": 1},
                },
                response_only=True,
            )
            for name in _PRINTED
        ],
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        return self.page(
            list(payloads.CATALOGUE.values()),
            plural="events",
            to_json=lambda page: [event_json(kind, self.now) for kind in page],
        )
