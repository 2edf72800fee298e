"""App configuration of the portal."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        from corsheaders.signals import check_request_enabled

        from portal import handlers

        check_request_enabled.connect(handlers.allow_listed_site)
