"""Addresses of webhooks."""

from django.urls import path

from tickets.webhooks.api import deliveries, webhooks

app_name = "webhooks"
urlpatterns = [
    # API
    path("api/webhooks", webhooks.Webhooks.as_view(), name="api-webhooks"),
    path("api/webhooks/events", webhooks.Events.as_view(), name="api-events"),
    path("api/webhooks/<uuid:webhook_id>", webhooks.OneWebhook.as_view(), name="api-webhook"),
    path("api/webhooks/<uuid:webhook_id>/secret", webhooks.Secret.as_view(), name="api-secret"),
    path("api/webhooks/<uuid:webhook_id>/test", deliveries.SendTest.as_view(), name="api-test"),
    path("api/webhooks/<uuid:webhook_id>/replay", deliveries.Replay.as_view(), name="api-replay"),
    path("api/webhooks/<uuid:webhook_id>/deliveries", deliveries.Deliveries.as_view(), name="api-deliveries"),
    path(
        "api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>",
        deliveries.OneDelivery.as_view(),
        name="api-delivery",
    ),
    path(
        "api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay",
        deliveries.ReplayDelivery.as_view(),
        name="api-delivery-replay",
    ),
]
