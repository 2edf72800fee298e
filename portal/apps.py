"""App configuration of the portal."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        """Know the words of the mail with a customer's link to sign in."""
        from portal.services import visits
        from tickets.mail.services import composing

        composing.writers[visits.MAIL_KIND] = visits.write_mail
