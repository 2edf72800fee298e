"""App configuration of the automation."""

from django.apps import AppConfig


class AutomationConfig(AppConfig):
    name = "tickets.automation"
    label = "automation"
    verbose_name = "Automation"

    def ready(self) -> None:
        from tickets.automation import handlers
        from tickets.events import subscriptions

        subscriptions.listen_after(handlers.EVENTS, handlers.TASK)
        subscriptions.listen_bulk(handlers.catch_up)
