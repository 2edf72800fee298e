"""The project: settings, the ground floor (accounts, API bases) and everything that runs it."""

from helpdesk.celery import app as celery_app

__all__ = ["celery_app"]
