"""App configuration of the service levels."""

from django.apps import AppConfig


class SlasConfig(AppConfig):
    name = "slas"
    verbose_name = "Service levels"

    def ready(self) -> None:
        from helpdesk.accounts import services as accounts
        from slas import handlers
        from tickets.automation import levels
        from tickets.events import subscriptions

        subscriptions.listen_inside(handlers.EVENTS, handlers.follow_tickets)
        subscriptions.listen_bulk(handlers.catch_up)
        accounts.listen_workspace_made(handlers.furnish_workspace)
        accounts.listen_facts_changed(handlers.choose_policies_anew)
        levels.are_told_by(handlers.Levels())
