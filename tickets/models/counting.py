"""Reading and folding the kept totals."""

from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from tickets.lifecycle import ACTIVE
from tickets.models.ticket import TicketCount

_FOLD = """
WITH taken AS (DELETE FROM ticket_counts RETURNING workspace_id, facet, key, status, priority, is_new, tickets)
INSERT INTO ticket_counts (workspace_id, facet, key, status, priority, is_new, tickets)
SELECT workspace_id, facet, key, status, priority, is_new, sum(tickets) FROM taken
GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(tickets) <> 0
"""
_WORTH_FOLDING = 200  # rows more than distinct cells
_LOCK = 7_310_441  # any constant of our own: one folder at a time


def fold() -> int:
    """Fold the additions into one row per cell; gives how many rows went away. Safe beside writers."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            "SELECT count(*), count(DISTINCT (workspace_id, facet, key, status, priority, is_new)) FROM ticket_counts"
        )
        rows, cells = cursor.fetchone()
        if rows - cells < _WORTH_FOLDING:
            return 0
        cursor.execute(_FOLD)
        return rows - cursor.rowcount


def total(condition: Q) -> Any:
    """An aggregate for the exact number of live tickets in the kept totals that meet `condition`."""
    return Coalesce(Sum("tickets", filter=condition), 0)


def kept_counts(workspace_id: UUID) -> "QuerySet[TicketCount]":
    """The kept totals of a workspace; filter by `facet` before summing."""
    rows: QuerySet[TicketCount] = TicketCount.objects.for_workspace(workspace_id)
    return rows


def queue_counts(workspace_id: UUID, user_id: UUID) -> dict[str, int]:
    """Tickets in work: `mine`, `unassigned` and `all`. One query."""
    active = Q(status__in=[status.value for status in ACTIVE])
    return (
        kept_counts(workspace_id)
        .filter(facet="assignee")
        .aggregate(
            mine=total(active & Q(key=user_id)),
            unassigned=total(active & Q(key=None)),
            all=total(active),
        )
    )
