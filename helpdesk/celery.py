"""The Celery application: `celery -A helpdesk worker`, `celery -A helpdesk beat`."""

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import task_postrun, task_prerun
from django.db import close_old_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")

app = Celery("helpdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery closes the database's connection after each task, and to open one costs more than most tasks do.
# Workers keep it as requests do: its health is checked before it is used, and it ends at CONN_MAX_AGE.
app.conf.update({"CELERY_DB_REUSE_MAX": sys.maxsize})
app.autodiscover_tasks()


@task_prerun.connect
@task_postrun.connect
def look_after_connections(task: Any, **_: Any) -> None:
    """Close connections that broke or became too old, before a task and after it; an eager task is its caller's."""
    if not task.request.is_eager:
        close_old_connections()
