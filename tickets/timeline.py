"""The one way into the activity log, called by services in the transaction of the change."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tickets import dispatch
from tickets.events import Actor, Event, subscriptions
from tickets.models import Activity, Ticket


def changed(field: str, before: Any, after: Any) -> dict[str, Any]:
    """A change for the log; None stands for nothing."""
    return {"field": field, "from": before, "to": after}


_replayed: ContextVar[list[Activity] | None] = ContextVar("replayed", default=None)


@contextmanager
def replaying() -> Iterator[list[Activity]]:
    """Inside the transaction of an import: write what is replayed in one statement, at the end of the block.

    Gives the list of what waits to be written; who takes a step back drops from it what the step recorded.
    """
    waiting: list[Activity] = []
    token = _replayed.set(waiting)
    try:
        yield waiting
        Activity.unscoped.bulk_create(waiting)
    finally:
        _replayed.reset(token)


def record(
    *,
    ticket: Ticket,
    event: Event,
    actor: Actor,
    now: dt.datetime,
    changes: Iterable[Mapping[str, Any]] = (),
    data: Mapping[str, Any] | None = None,
) -> Activity:
    """Write what happened, run the *inside* subscribers, and let the relay know after commit.

    `now` is when it happened (aware UTC). `data` goes into the payload beside the ticket's own
    fields. A replay of the past (`actor.is_replay`) is recorded but never dispatched: nobody
    wants mail about what happened years ago.
    """
    changes = [dict(change) for change in changes]
    activity = Activity(
        workspace_id=ticket.workspace_id,
        ticket=ticket,
        event=event.value,
        occurred_at=now,
        actor_kind=actor.kind.value,
        actor_user_id=actor.user_id,
        actor_contact_id=actor.contact_id,
        actor_name=actor.name[:120],
        changes=changes,
        payload={
            "event": event.value,
            "timestamp": now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "data": {
                "ticket_id": str(ticket.pk),
                "ticket_number": f"#{ticket.number}",
                "subject": ticket.subject,
                "priority": ticket.priority,
                **({"changes": changes} if changes and event is Event.UPDATED else {}),
                **(data or {}),
            },
        },
        cause_id=actor.cause.activity_id if actor.cause else None,
        depth=actor.cause.depth + 1 if actor.cause else 0,
        dispatched_at=now if actor.is_replay else None,
    )
    waiting = _replayed.get() if actor.is_replay else None
    if waiting is None:
        activity.save(force_insert=True)
    else:
        waiting.append(activity)
    for handler in subscriptions.inside.get(event.value, []):
        handler(activity)
    if not actor.is_replay:
        dispatch.relay_after_commit(activity.pk)
    return activity
