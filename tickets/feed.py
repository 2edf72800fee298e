"""The feed: every activity once, in an order that never changes and in which nothing appears late.

Ids and times say when something began to be written, not when others could see it: of two transactions the
one that began first may commit last, and who reads by id would have gone past it. So an activity gets its
`position` after the commit. Whoever numbers holds a lock until its own commit and sees all earlier numbers; so who
has seen a position never sees a smaller one appear.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models import BooleanField, Count, Max, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.http import base36_to_int, int_to_base36

from helpdesk.errors import InvalidInput
from tickets.models import FeedEntry

SCANNED = 2000  # activities that one request with a filter looks at
_BATCH = 5000
_MOST_BATCHES = 40
_LATEST = 2**63 - 1
_LOCK = 0x66656564  # one for the whole database
# Whether something waits, asked in the order of the index of what waits, lest the planner walk the whole table;
# and the last position that was given.
_LOOK = """
SELECT (SELECT true FROM ticket_feed WHERE position IS NULL ORDER BY arrival LIMIT 1),
       CASE WHEN is_called THEN last_value ELSE 0 END
FROM ticket_feed_position
"""
# What a purge of the trash is about to delete is passed over: who waits for nobody's rows is in no deadlock.
_NUMBER = """
WITH waiting AS MATERIALIZED (
    SELECT activity_id, arrival FROM ticket_feed WHERE position IS NULL
    ORDER BY arrival LIMIT %s FOR UPDATE SKIP LOCKED
), numbered AS MATERIALIZED (
    SELECT activity_id, nextval('ticket_feed_position') AS position
    FROM (SELECT activity_id FROM waiting ORDER BY arrival) AS in_order
)
UPDATE ticket_feed SET position = numbered.position FROM numbered WHERE ticket_feed.activity_id = numbered.activity_id
"""
_IN_ORDER = ("workspace_id", "position")
_PAIR = '("ticket_feed"."workspace_id", "ticket_feed"."position")'
_CURSOR = re.compile(r"1-(0|[1-9a-z][0-9a-z]{0,12})")  # a version, and the position in base 36


def _entries(workspace_id: UUID, *, after: int, until: int = _LATEST) -> QuerySet[FeedEntry]:
    """The entries of one workspace behind a position, up to another. Order them by `_IN_ORDER`.

    Pairs are compared instead of each column, so that there is one index to answer from, and one stretch of it to
    read. From plain comparisons the planner may choose the index of all positions, and walk through everything that
    other workspaces have written since.
    """
    stretch = RawSQL(  # noqa: S611 (nothing is put into the text)
        f"{_PAIR} > (%s, %s) AND {_PAIR} <= (%s, %s)", [workspace_id, after, workspace_id, until], BooleanField()
    )
    return FeedEntry.unscoped.filter(stretch)


@dataclass(frozen=True)
class Page:
    """A stretch of a workspace's feed; who has worked it through goes on after the position `next`."""

    entries: Sequence[FeedEntry]
    next: int
    has_more: bool


def number(*, limit: int = _BATCH) -> int:
    """Give up to `limit` activities that have become visible their positions; gives how many. Not in a transaction.

    Readers of the feed call it first. It costs one query where nothing waits. What happens to one ticket is
    numbered in the order in which it happened.
    """
    something_waits, _ = _look()
    return _number(limit) if something_waits else 0


def _look() -> tuple[bool, int]:
    with connection.cursor() as cursor:
        cursor.execute(_LOOK)
        waits, last = cursor.fetchone()
    return bool(waits), last


@transaction.atomic
def _number(limit: int) -> int:
    with connection.cursor() as cursor:
        # A statement of its own: the next one must see what the holder before us has committed.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_NUMBER, [limit])
        return int(cursor.rowcount)


def after(position: int, *, limit: int, workspace_id: UUID | None = None) -> Sequence[FeedEntry]:
    """The entries after a position in their order, with their activities: of one workspace, or of all."""
    if workspace_id is None:
        rows = FeedEntry.unscoped.filter(position__gt=position).order_by("position")
    else:
        rows = _entries(workspace_id, after=position).order_by(*_IN_ORDER)
    return list(rows.select_related("activity")[:limit])


def end(workspace_id: UUID | None = None) -> int:
    """The last position, of a workspace or of all: who reads after it gets what happens from now on."""
    if workspace_id is None:
        rows = FeedEntry.unscoped.exclude(position=None).order_by("-position")
    else:
        rows = _entries(workspace_id, after=0).order_by(*_IN_ORDER).reverse()
    return int(rows.values_list("position", flat=True).first() or 0)


def page(*, workspace_id: UUID, after: int, limit: int, events: Collection[str] = ()) -> Page:
    """Up to `limit` activities of a workspace after a position; of `events` only, if any are named.

    Then at most 2,000 are looked at, and `next` is behind all of them, also behind those that were not wanted.
    `has_more` says whether it is worth to ask again at once. Raises InvalidInput naming `after` for a position that
    has not been given yet, as after the database was restored from a copy: what comes up to there would be missed.
    """
    something_waits, last = _look()
    if after > last:
        raise InvalidInput.of("after", "This feed has not come so far yet. Begin anew, or with `latest`.")
    is_behind = something_waits and _number(_BATCH) == _BATCH
    wanted, reach = _entries(workspace_id, after=after), None
    if events:
        stretch = wanted.order_by(*_IN_ORDER).values("position")[:SCANNED]
        reach = stretch.aggregate(last=Max("position"), seen=Count("position"))
        wanted = _entries(workspace_id, after=after, until=reach["last"] or after).filter(activity__event__in=events)
    found = list(wanted.select_related("activity").order_by(*_IN_ORDER)[: limit + 1])
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].position or after, True)
    if reach is not None:
        return Page(found, reach["last"] or after, is_behind or reach["seen"] == SCANNED)
    return Page(found, (found[-1].position if found else None) or after, is_behind)


def latest(*, workspace_id: UUID) -> int:
    """The position after which comes what happens from now on: all that is visible now is before it.

    Behind an import of hundreds of thousands that nobody has read yet it gives up: some of that comes after it.
    """
    for _ in range(_MOST_BATCHES):
        if number() < _BATCH:
            break
    return end(workspace_id)


def cursor_of(position: int) -> str:
    """A position as programs keep it."""
    return f"1-{int_to_base36(position)}"


def position_of(cursor: str) -> int:
    """The position that a cursor stands for. Raises InvalidInput naming `after`."""
    found = _CURSOR.fullmatch(cursor)
    position = base36_to_int(found[1]) if found else -1
    if not 0 <= position <= _LATEST:
        raise InvalidInput.of("after", "This is no cursor of this feed: give one that it answered with, or `latest`.")
    return position
