"""App configuration of the portal."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        """Know the words of the mail with a customer's link to sign in, and which sites may call from a browser."""
        from corsheaders.signals import check_request_enabled

        from portal import handlers
        from portal.services import visits
        from tickets.mail.services import composing

        composing.writers[visits.MAIL_KIND] = visits.write_mail
        check_request_enabled.connect(handlers.allow_listed_site)
