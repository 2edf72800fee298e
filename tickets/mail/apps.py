"""App configuration of mail."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    name = "tickets.mail"
    label = "mail"
    verbose_name = "Mail"

    def ready(self) -> None:
        """Hear of what mail providers tell, and of what happens on tickets."""
        from tickets.events import subscriptions
        from tickets.mail import handlers, webhooks

        webhooks.listen()
        subscriptions.listen_inside(handlers.EVENTS, handlers.queue_mail)
