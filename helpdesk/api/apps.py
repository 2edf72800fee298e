"""App configuration of the API bases."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "helpdesk.api"
    label = "api"
    verbose_name = "API"
