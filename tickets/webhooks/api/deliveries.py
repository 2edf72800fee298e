"""The REST API of the log of webhooks: what was sent and what came back, tests, and replays."""

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.api.views import StrictSerializer
from tickets.api.schema import described
from tickets.api.serializers import of
from tickets.api.views.base import ADMINS, PAGING, TicketView
from tickets.webhooks.api.webhooks import EVENTS, MANAGED, WEBHOOKS
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import deliveries, endpoints

STATUSES = list(deliveries.STATUSES)

# --- Shapes -----------------------------------------------------------------------------------


class _Span(StrictSerializer):
    """A span of time under the names that the API has for its ends; Python keeps `from` for itself."""

    def get_fields(self) -> dict[str, Any]:
        return {{"since": "from", "until": "to"}.get(name, name): field for name, field in super().get_fields().items()}


class LogFilters(_Span):
    """Which deliveries."""

    status = serializers.ChoiceField(choices=STATUSES, required=False)
    event = serializers.ChoiceField(choices=EVENTS, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class WebhookTestIn(StrictSerializer):
    """Which example to send."""

    event = serializers.ChoiceField(choices=EVENTS, required=False, help_text="`ticket.created` unless given.")


class WebhookReplayIn(_Span):
    """A span of time."""

    since = serializers.DateTimeField(help_text="What happened from then on.")
    until = serializers.DateTimeField(help_text="What happened before then.")
    everything = serializers.BooleanField(required=False, help_text="Also what has arrived; `false` unless given.")


class WebhookReplayed(serializers.Serializer[Any]):
    """What is on its way."""

    again = serializers.IntegerField(help_text="Deliveries of the log that are sent again.")
    missed = serializers.IntegerField(
        help_text="Events that the log has no delivery of, because the webhook was off or did not want them then."
    )


class WebhookDelivery(serializers.Serializer[Any]):
    """One message for one webhook."""

    id = serializers.UUIDField()
    message_id = serializers.UUIDField(help_text="The `webhook-id` of each attempt, and of each replay.")
    event = serializers.ChoiceField(choices=EVENTS)
    is_test = serializers.BooleanField()
    status = serializers.ChoiceField(
        choices=STATUSES,
        help_text="`waiting` for its next attempt, `delivered`, `failed` after the last attempt, or `cancelled` when "
        "the webhook was switched off.",
    )
    attempt_count = serializers.IntegerField(help_text="Attempts since it was written, or last replayed.")
    next_at = serializers.DateTimeField(allow_null=True, help_text="When it is tried next; null when it has ended.")
    last_code = serializers.IntegerField(allow_null=True, help_text="The status of the last answer.")
    last_error = serializers.CharField(help_text="Why the last attempt was no success; else empty.")
    last_ms = serializers.IntegerField(allow_null=True, help_text="Milliseconds that the last attempt took.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class WebhookSent(serializers.Serializer[Any]):
    """What is sent."""

    url = serializers.CharField(help_text="Of the last attempt; before the first one, of the webhook.")
    headers = serializers.DictField(
        child=serializers.CharField(), help_text="Of the last attempt. Values of your own headers are left out."
    )
    body = serializers.CharField(help_text="The characters that are signed.")


class WebhookAttempt(serializers.Serializer[Any]):
    """One try, and what came back."""

    started_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField()
    code = serializers.IntegerField(allow_null=True, help_text="The status; null when there was no answer.")
    error = serializers.CharField(help_text="Why it was no success; else empty.")
    request_headers = serializers.DictField(child=serializers.CharField())
    response_headers = serializers.DictField(child=serializers.CharField())
    response_body = serializers.CharField(help_text="The beginning of it.")


class WebhookDeliveryDetail(WebhookDelivery):
    """One message with its attempts, oldest first."""

    request = WebhookSent()
    attempts = WebhookAttempt(many=True, help_text=f"The last {deliveries.MOST_ATTEMPTS}, oldest first.")


_FIELDS = (
    "id",
    "message_id",
    "event",
    "is_test",
    "status",
    "next_at",
    "last_code",
    "last_error",
    "last_ms",
    "created_at",
    "ended_at",
)
_ATTEMPT_FIELDS = (
    "started_at",
    "duration_ms",
    "code",
    "error",
    "request_headers",
    "response_headers",
    "response_body",
)


def delivery_json(row: Delivery) -> dict[str, Any]:
    """A delivery, as lists show it."""
    return of(row, _FIELDS) | {"attempt_count": row.attempts}


def detail_json(row: Delivery, endpoint: Endpoint, tries: list[Attempt]) -> dict[str, Any]:
    """A delivery in full."""
    last = tries[-1] if tries else None
    request = {
        "url": last.url if last else endpoint.url,
        "headers": last.request_headers if last else {},
        "body": row.body,
    }
    return delivery_json(row) | {"request": request, "attempts": [of(one, _ATTEMPT_FIELDS) for one in tries]}


# --- Endpoints --------------------------------------------------------------------------------


class LogView(TicketView):
    """What the views of one webhook's log share."""

    permissions = MANAGED
    problems = {"POST": (409,)}

    def endpoint(self, webhook_id: UUID) -> Endpoint:
        """The webhook of the address. Raises NotFound, also for a foreign one."""
        return endpoints.find(self.workspace.pk, webhook_id)

    def on_its_way(self, row: Delivery) -> Response:
        """A delivery that was taken on."""
        where = f"/api/webhooks/{row.endpoint_id}/deliveries/{row.pk}"
        return Response(delivery_json(row), status=202, headers={"Location": where})


class Deliveries(LogView):
    """The log of a webhook."""

    parameters = (*PAGING, "status", "event", "from", "to")

    @described(
        "webhooks_deliveries",
        "List what a webhook was sent",
        answer=envelope_of("deliveries", WebhookDelivery),
        parameters=[
            OpenApiParameter("status", str, enum=STATUSES, description="Only these."),
            OpenApiParameter("event", str, enum=EVENTS, description="Only these."),
            OpenApiParameter(
                "from", {"type": "string", "format": "date-time"}, description="Only what was written from then on."
            ),
            OpenApiParameter(
                "to", {"type": "string", "format": "date-time"}, description="Only what was written before then."
            ),
            *PAGE_PARAMETERS,
        ],
        needs=ADMINS,
        description="Newest first.",
        tag=WEBHOOKS,
    )
    def get(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        given = {name: value for name, value in request.query_params.items() if name not in PAGING}
        checked = LogFilters(data=given)
        checked.is_valid(raise_exception=True)
        asked = checked.validated_data
        rows = deliveries.log(
            self.endpoint(webhook_id),
            status=asked.get("status", ""),
            event=asked.get("event", ""),
            since=asked.get("from"),
            until=asked.get("to"),
        )
        return self.page(
            rows.defer("body"), plural="deliveries", to_json=lambda page: [delivery_json(row) for row in page]
        )


class OneDelivery(LogView):
    """One message for a webhook."""

    @described(
        "webhooks_delivery",
        "Get what a webhook was sent",
        answer=WebhookDeliveryDetail,
        needs=ADMINS,
        description="With the request as it was sent, and what came back.",
        tag=WEBHOOKS,
    )
    def get(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> HttpResponseBase:
        endpoint = self.endpoint(webhook_id)
        row = deliveries.find(endpoint, delivery_id)
        return Response(detail_json(row, endpoint, deliveries.attempts(row)))


class SendTest(LogView):
    """A try."""

    @described(
        "webhooks_test",
        "Send a test to a webhook",
        request=WebhookTestIn,
        answer=WebhookDelivery,
        status=202,
        needs=ADMINS,
        description="Sends the catalogue's example of an event once, signed like any other, also to a webhook that is "
        "off. 409 while ten tests are on their way.",
        tag=WEBHOOKS,
    )
    @idempotent
    def post(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        given = self.read(WebhookTestIn)
        event = given.get("event", "ticket.created")
        return self.on_its_way(deliveries.send_test(endpoint=self.endpoint(webhook_id), event=event, now=self.now))


class ReplayDelivery(LogView):
    """One message, again."""

    @described(
        "webhooks_delivery_replay",
        "Send a delivery again",
        answer=WebhookDelivery,
        status=202,
        needs=ADMINS,
        description="The same body under the same `webhook-id`, with ten fresh attempts; one that waits is tried at "
        "once. 409 for a webhook that is off.",
        tag=WEBHOOKS,
    )
    @idempotent
    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> HttpResponseBase:
        row = deliveries.find(self.endpoint(webhook_id), delivery_id)
        return self.on_its_way(deliveries.replay(delivery=row, now=self.now))


class Replay(LogView):
    """What happened in a span of time, again."""

    @described(
        "webhooks_replay",
        "Send a span of time again",
        request=WebhookReplayIn,
        answer=WebhookReplayed,
        status=202,
        needs=ADMINS,
        description="Sends what has not arrived of what happened then, and what the webhook missed because it was off "
        f"or did not want it; with `everything` also what has arrived. 409 for more than {deliveries.MOST_REPLAYED:,} "
        "messages, and for a webhook that is off.",
        tag=WEBHOOKS,
    )
    @idempotent
    def post(self, request: Request, webhook_id: UUID) -> HttpResponseBase:
        given = self.read(WebhookReplayIn)
        sent = deliveries.replay_range(
            endpoint=self.endpoint(webhook_id),
            since=given["from"],
            until=given["to"],
            everything=given.get("everything", False),
            now=self.now,
        )
        return Response({"again": sent.again, "missed": sent.missed}, status=202)
