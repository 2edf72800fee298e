"""App configuration of the portal."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
