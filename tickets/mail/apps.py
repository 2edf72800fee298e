"""App configuration of mail."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    name = "tickets.mail"
    label = "mail"
    verbose_name = "Mail"

    def ready(self) -> None:
        """Hear of what mail providers tell."""
        from tickets.mail import webhooks

        webhooks.listen()
