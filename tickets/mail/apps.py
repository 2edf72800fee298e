"""App configuration of mail."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    name = "tickets.mail"
    label = "mail"
    verbose_name = "Mail"
