"""Addresses of webhooks."""

from django.urls import path

from tickets.webhooks.views import deliveries, endpoints

app_name = "webhooks"

# Settings, as admins see them
PAGES = [
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

urlpatterns = PAGES
