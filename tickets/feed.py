"""The feed: every activity once, in an order that never changes and in which nothing appears late.

Ids and times say when something began to be written, not when others could see it: of two transactions the
one that began first may commit last, and who reads by id would have gone past it. So an activity gets its
`position` after the commit. Whoever numbers holds a lock until its own commit and sees all earlier numbers; so who
has seen a position never sees a smaller one appear.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection, transaction

from tickets.models import FeedEntry

_LOCK = 0x66656564  # one for the whole database
_WAITING = "SELECT EXISTS (SELECT FROM ticket_feed WHERE position IS NULL)"
_NUMBER = """
WITH waiting AS MATERIALIZED (
    SELECT activity_id FROM ticket_feed WHERE position IS NULL ORDER BY activity_id LIMIT %s
), numbered AS MATERIALIZED (
    SELECT activity_id, nextval('ticket_feed_position') AS position FROM waiting ORDER BY activity_id
)
UPDATE ticket_feed SET position = numbered.position FROM numbered WHERE ticket_feed.activity_id = numbered.activity_id
"""


def number(*, limit: int = 5000) -> int:
    """Give up to `limit` activities that have become visible their positions; gives how many. Not in a transaction.

    Readers of the feed call it first. It costs one query where nothing waits.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        if not cursor.fetchone()[0]:
            return 0
        with transaction.atomic():
            # A statement of its own: the next one must see what the holder before us has committed.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            cursor.execute(_NUMBER, [limit])
            return int(cursor.rowcount)


def after(position: int, *, limit: int, workspace_id: UUID | None = None) -> Sequence[FeedEntry]:
    """The entries after a position in their order, with their activities: of one workspace, or of all."""
    rows = FeedEntry.unscoped if workspace_id is None else FeedEntry.objects.for_workspace(workspace_id)
    return list(rows.filter(position__gt=position).select_related("activity").order_by("position")[:limit])


def end(workspace_id: UUID | None = None) -> int:
    """The last position, of a workspace or of all: who reads after it gets what happens from now on."""
    rows = FeedEntry.unscoped.all() if workspace_id is None else FeedEntry.objects.for_workspace(workspace_id)
    last = rows.exclude(position=None).order_by("-position").values_list("position", flat=True).first()
    return int(last or 0)
