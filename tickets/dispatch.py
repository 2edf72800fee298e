"""The relay: what is recorded reaches its *after* subscribers, at least once.

After commit a task is queued for each new activity. What the broker loses, or never got, keeps
`dispatched_at` NULL and is found by the sweep. Subscribers therefore guard themselves with a
unique key that contains the activity's id.
"""

import datetime as dt
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from helpdesk.celery import app as celery_app
from tickets.events import Subscriptions, subscriptions
from tickets.models import Activity

logger = logging.getLogger(__name__)

RELAY_TASK = "tickets.tasks.relay"
BROKER_REST_SECONDS = 10.0  # after a failure, leave the broker alone: the sweep will send
SWEEP_AFTER = dt.timedelta(seconds=10)

_broker_away_until = 0.0


def relay_after_commit(activity_ids: Sequence[UUID]) -> None:
    """Queue the relay of these activities once the running transaction is committed: one for all of it."""
    waiting = [entry[1] for entry in connection.run_on_commit if isinstance(entry[1], _Relay)]
    if waiting:
        # Those of a savepoint that is rolled back are not found later. Its hook goes with it, if it was the first.
        waiting[-1].ids.extend(map(str, activity_ids))
    else:
        transaction.on_commit(_Relay([str(pk) for pk in activity_ids]), robust=True)


@dataclass
class _Relay:
    """What a transaction does once it is committed: tell of everything that was recorded in it."""

    ids: list[str]

    def __call__(self) -> None:
        _queue(RELAY_TASK, [self.ids])


def queue_after_commit(task: str, *arguments: Any, delay: float = 0) -> None:
    """Queue a task once the running transaction is committed, to run after `delay` seconds (up to 300).

    It must also be found by a sweep: a broker that is away neither fails the request nor loses anything then.
    """
    transaction.on_commit(lambda: _queue(task, arguments, delay), robust=True)


def _queue(task: str, arguments: Sequence[Any], delay: float = 0) -> None:
    global _broker_away_until
    if time.monotonic() < _broker_away_until:
        return
    try:
        celery_app.send_task(task, args=list(arguments), countdown=delay or None)
    except (OperationalError, RedisError, OSError) as error:
        # The request must not fail: the row is committed and the sweep will find it.
        _broker_away_until = time.monotonic() + BROKER_REST_SECONDS
        logger.warning("The broker is away (%s); the sweep will send.", type(error).__name__)


def relay(*, activity_ids: Iterable[UUID | str], now: dt.datetime, registry: Subscriptions = subscriptions) -> int:
    """Queue the *after* subscribers of these activities and mark them dispatched; gives how many.

    An activity that another relay holds or has sent is passed over. Raises what the broker
    raises; the activity then stays undispatched.
    """
    with transaction.atomic():
        waiting = list(
            Activity.unscoped.select_for_update(skip_locked=True)
            .filter(pk__in=list(activity_ids), dispatched_at=None)
            .order_by("pk")
            .only("pk", "event")
        )
        for activity in waiting:
            for task in registry.after.get(activity.event, []):
                celery_app.send_task(task, args=[str(activity.pk)])
        Activity.unscoped.filter(pk__in=[activity.pk for activity in waiting]).update(dispatched_at=now)
    return len(waiting)


def sweep(*, now: dt.datetime, limit: int = 1000, registry: Subscriptions = subscriptions) -> int:
    """Relay what has waited for too long, oldest first; gives how many were relayed."""
    stale = Activity.unscoped.filter(dispatched_at=None, recorded_at__lt=now - SWEEP_AFTER).order_by("pk")
    return relay(activity_ids=list(stale.values_list("pk", flat=True)[:limit]), now=now, registry=registry)
