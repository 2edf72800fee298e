"""Addresses of webhooks."""

from django.urls import path

from tickets.webhooks.api import deliveries as api_deliveries
from tickets.webhooks.api import webhooks as api_webhooks
from tickets.webhooks.views import deliveries, endpoints

app_name = "webhooks"
urlpatterns = [
    # API
    path("api/webhooks", api_webhooks.Webhooks.as_view(), name="api-webhooks"),
    path("api/webhooks/events", api_webhooks.Events.as_view(), name="api-events"),
    path("api/webhooks/<uuid:webhook_id>", api_webhooks.OneWebhook.as_view(), name="api-webhook"),
    path("api/webhooks/<uuid:webhook_id>/secret", api_webhooks.Secret.as_view(), name="api-secret"),
    path("api/webhooks/<uuid:webhook_id>/test", api_deliveries.SendTest.as_view(), name="api-test"),
    path("api/webhooks/<uuid:webhook_id>/replay", api_deliveries.Replay.as_view(), name="api-replay"),
    path("api/webhooks/<uuid:webhook_id>/deliveries", api_deliveries.Deliveries.as_view(), name="api-deliveries"),
    path(
        "api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>",
        api_deliveries.OneDelivery.as_view(),
        name="api-delivery",
    ),
    path(
        "api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay",
        api_deliveries.ReplayDelivery.as_view(),
        name="api-delivery-replay",
    ),
    # Settings
    path("settings/webhooks", endpoints.endpoint_list, name="endpoints"),
    path("settings/webhooks/new", endpoints.new, name="new"),
    path("settings/webhooks/<uuid:endpoint_id>", endpoints.endpoint, name="endpoint"),
    path("settings/webhooks/<uuid:endpoint_id>/switch", endpoints.switch, name="switch"),
    path("settings/webhooks/<uuid:endpoint_id>/rotate", endpoints.rotate, name="rotate"),
    path("settings/webhooks/<uuid:endpoint_id>/test", endpoints.test, name="test"),
    path("settings/webhooks/<uuid:endpoint_id>/replay", endpoints.replay_range, name="replay-range"),
    path("settings/webhooks/<uuid:endpoint_id>/delete", endpoints.delete, name="delete"),
    path("settings/webhooks/<uuid:endpoint_id>/deliveries", deliveries.delivery_list, name="deliveries"),
    path("settings/webhooks/<uuid:endpoint_id>/deliveries/<uuid:pk>", deliveries.delivery, name="delivery"),
    path("settings/webhooks/<uuid:endpoint_id>/deliveries/<uuid:pk>/replay", deliveries.replay, name="replay"),
]
