"""App configuration of the tickets."""

from django.apps import AppConfig


class TicketsConfig(AppConfig):
    name = "tickets"

    def ready(self) -> None:
        from helpdesk.accounts import services as accounts
        from tickets import handlers

        accounts.listen_member_left(handlers.release_tickets_of)
