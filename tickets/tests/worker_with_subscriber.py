"""A Celery worker with one subscriber, for the tests of the outbox across processes.

Run as `celery -A tickets.tests.worker_with_subscriber worker`. The subscriber leaves a tag named
after the activity, which is how the tests see whom it reached.
"""

import time

import django

django.setup()

from helpdesk.celery import app  # noqa: E402
from tickets.events import Event, subscriptions  # noqa: E402
from tickets.models import Activity, Tag  # noqa: E402

NAME = "tickets.tests.remember"


@app.task(name=NAME)
def remember(activity_id: str) -> None:
    """Slow enough to be killed in the middle, and harmless when it comes twice."""
    activity = Activity.unscoped.get(pk=activity_id)
    time.sleep(0.02)
    Tag.unscoped.get_or_create(workspace_id=activity.workspace_id, name=activity_id)


subscriptions.listen_after([Event.CREATED], NAME)
