"""The one way into the activity log, called by services in the transaction of the change."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tickets import dispatch
from tickets.events import BRIEF, Actor, Event, InsideHandler, subscriptions
from tickets.models import Activity, Ticket


def changed(field: str, before: Any, after: Any, *, key: str | None = None) -> dict[str, Any]:
    """A change for the log; None stands for nothing. The answer to a custom field also has the field's key."""
    change = {"field": field, "from": before, "to": after}
    return change if key is None else {**change, "key": key}


_gathered: ContextVar[list[Activity] | None] = ContextVar("gathered", default=None)


@contextmanager
def together(*, inform: bool = True) -> Iterator[list[Activity]]:
    """Inside a transaction: write what is recorded in one statement, at the end of the block.

    The *inside* subscribers hear all of it then, at once; without `inform` they hear nothing, and
    whoever opened the block calls `subscriptions.loaded` later. Gives the list of what waits to be written; who
    takes a step back drops from it what the step recorded.
    """
    waiting: list[Activity] = []
    token = _gathered.set(waiting)
    try:
        yield waiting
    finally:
        _gathered.reset(token)
    Activity.unscoped.bulk_create(waiting)
    if inform:
        _tell(waiting)


def _tell(activities: Sequence[Activity]) -> None:
    """Run the *inside* subscribers, each with what it listens to, and let the relay know after commit."""
    told: dict[InsideHandler, list[Activity]] = {}
    for activity in activities:
        for handler in subscriptions.inside.get(activity.event, []):
            told.setdefault(handler, []).append(activity)
    for handler, theirs in told.items():
        handler(theirs)
    if waiting := [activity.pk for activity in activities if activity.dispatched_at is None]:
        dispatch.relay_after_commit(waiting)


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
                **({} if event in BRIEF else {"subject": ticket.subject, "priority": ticket.priority}),
                **({"changes": changes} if changes and event is Event.UPDATED else {}),
                **(data or {}),
            },
        },
        cause_id=actor.cause.activity_id if actor.cause else None,
        depth=actor.cause.depth + 1 if actor.cause else 0,
        dispatched_at=now if actor.is_replay else None,
    )
    gathered = _gathered.get()
    if gathered is None:
        activity.save(force_insert=True)
        _tell([activity])
    else:
        gathered.append(activity)
    return activity
