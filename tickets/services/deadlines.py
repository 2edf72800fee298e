"""The deadlines that service levels put on tickets: what lists show, sort and filter by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from tickets.deadlines import Columns

# `updated_at` stays: nobody worked on the ticket.
_PUT = """
UPDATE tickets SET sla = new.sla, sla_state = new.state, sla_missed = new.missed,
       next_deadline_at = new.next_deadline_at, next_risk_at = new.next_risk_at, version = version + %s
FROM jsonb_to_recordset(%s::jsonb)
     AS new (id uuid, sla jsonb, state varchar, missed boolean, next_deadline_at timestamptz, next_risk_at timestamptz)
WHERE tickets.id = new.id AND (
    tickets.sla IS DISTINCT FROM new.sla OR tickets.sla_state <> new.state OR tickets.sla_missed <> new.missed
    OR tickets.next_deadline_at IS DISTINCT FROM new.next_deadline_at
    OR tickets.next_risk_at IS DISTINCT FROM new.next_risk_at
)
"""


@dataclass(frozen=True)
class Put:
    """What a ticket is to tell: the document of `tickets.deadlines.write`, and the columns."""

    ticket_id: UUID
    document: dict[str, Any] | None
    columns: Columns


def put(puts: Sequence[Put], *, counts: bool) -> int:
    """Write deadlines onto tickets that the caller has locked; gives how many tell something else now.

    `counts`: it is a change of its own, and the version counts it, because that is the API's ETag
    and the API shows the deadlines. In the transaction of another change the version was counted.
    """
    if not puts:
        return 0
    rows = [
        {
            "id": one.ticket_id,
            "sla": one.document,
            "state": one.columns.state,
            "missed": one.columns.is_missed,
            "next_deadline_at": one.columns.next_deadline_at,
            "next_risk_at": one.columns.next_risk_at,
        }
        for one in puts
    ]
    with connection.cursor() as cursor:
        cursor.execute(_PUT, [int(counts), orjson.dumps(rows).decode()])
        return int(cursor.rowcount)


def mark_missed(ticket_ids: Sequence[UUID]) -> None:
    """A running deadline of these (locked) tickets has passed."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets SET sla_missed = true WHERE id = ANY(%s)", [list(ticket_ids)])
