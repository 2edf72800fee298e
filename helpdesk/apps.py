"""The ground floor as an app: commands, health checks, background heartbeat."""

from django.apps import AppConfig


class HelpdeskConfig(AppConfig):
    name = "helpdesk"
