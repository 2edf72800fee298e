"""Rules that wait for a time: when each will look at which ticket, kept beside the tickets and found by index.

`no_response`: since the first message of a customer that nobody has answered, in business hours. An
answer is a public one of an agent, or that the ticket was resolved. `idle`: since an agent or a
customer last did anything, round the clock. Only tickets in work wait.

The times are reckoned anew after everything that happens to a ticket, from what stands in its log
then: in whatever order workers hear of two things, the result is the same. A time that has come is
reckoned once more before anything is done. Each comes once for the activity since which it counts.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from tickets import dispatch
from tickets.automation.levels import service_levels
from tickets.automation.models import OPTIONS, TIMED, Due, Rule, RuleBook, Run
from tickets.automation.services.book import Book, book_of, open_book
from tickets.lifecycle import ACTIVE
from tickets.models import Ticket

RECKON_TASK = "tickets.automation.tasks.reckon_due"
BATCH = 500  # tickets

# The messages of tickets that were merged into one stay in the logs of those.
_SINCE = """
SELECT t.id, silent.id, silent.occurred_at, idle.id, idle.occurred_at
FROM tickets t
LEFT JOIN LATERAL (
    SELECT a.occurred_at, a.id FROM ticket_activities a
    WHERE a.ticket_id IN (SELECT t.id UNION ALL SELECT s.id FROM tickets s WHERE s.merged_into_id = t.id)
    AND ((a.ticket_id = t.id AND a.event IN ('ticket.resolved', 'ticket.closed')) OR (
        a.event = 'ticket.comment.added' AND a.payload #>> '{data,author_type}' = 'agent'
        AND COALESCE(a.payload #>> '{data,is_internal}', 'false') = 'false'
        AND COALESCE(a.payload #>> '{data,is_automatic}', 'false') = 'false'))
    ORDER BY a.occurred_at DESC, a.id DESC LIMIT 1
) answer ON true
LEFT JOIN LATERAL (
    SELECT a.id, a.occurred_at FROM ticket_activities a
    WHERE a.ticket_id IN (SELECT t.id UNION ALL SELECT s.id FROM tickets s WHERE s.merged_into_id = t.id)
    AND ((a.ticket_id = t.id AND a.event = 'ticket.created') OR (
        a.event = 'ticket.comment.added' AND a.payload #>> '{data,author_type}' = 'customer'
        AND COALESCE(a.payload #>> '{data,is_automatic}', 'false') = 'false'))
    AND (answer.id IS NULL OR (a.occurred_at, a.id) > (answer.occurred_at, answer.id))
    ORDER BY a.occurred_at, a.id LIMIT 1
) silent ON true
LEFT JOIN LATERAL (
    SELECT a.id, a.occurred_at FROM ticket_activities a
    WHERE a.ticket_id = t.id AND (a.actor_kind IN ('agent', 'customer') OR a.event = 'ticket.created')
    ORDER BY a.occurred_at DESC, a.id DESC LIMIT 1
) idle ON true
WHERE t.workspace_id = %(workspace)s AND t.id = ANY(%(ids)s) AND t.trashed_at IS NULL
AND t.merged_into_id IS NULL AND t.status = ANY(%(active)s)
"""
_IN_WORK = [status.value for status in ACTIVE]


class Key(NamedTuple):
    """For which ticket, rule and trigger."""

    ticket_id: UUID
    rule_id: UUID
    trigger: str


class Wait(NamedTuple):
    """Since which activity, and until when."""

    activity_id: UUID
    due_at: dt.datetime


def lock(ticket_ids: Iterable[UUID]) -> None:
    """One reckons the times of a ticket at a time, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('times of ' || id, 0)) FROM unnest(%s::text[]) AS id",
            [sorted(map(str, ticket_ids))],
        )


def current_book(workspace_id: UUID) -> Book:
    """The rule book as it is now."""
    rows = RuleBook.objects.for_workspace(workspace_id)
    return book_of(workspace_id, rows.values_list("version", flat=True).first())


def follow(*, workspace_id: UUID, ticket_id: UUID) -> None:
    """Something has happened to a ticket: reckon the times that rules wait for on it."""
    with transaction.atomic():
        lock([ticket_id])
        reckon(workspace_id, [ticket_id], current_book(workspace_id))


def reckon(workspace_id: UUID, ticket_ids: Sequence[UUID], book: Book) -> dict[Key, Wait]:
    """Reckon these tickets' times from their logs, and write what differs from what is kept.

    The caller has locked them (`lock`), and read the book after that.
    """
    wanted = _waits(workspace_id, ticket_ids, book.timed)
    over = set(
        Run.objects.for_workspace(workspace_id)
        .filter(ticket__in=ticket_ids, trigger__in=TIMED)
        .values_list("rule", "activity", "trigger")
    )
    wanted = {key: wait for key, wait in wanted.items() if (key.rule_id, wait.activity_id, key.trigger) not in over}
    kept = {
        Key(*row[:3]): (row[3], Wait(*row[4:]))
        for row in Due.objects.for_workspace(workspace_id)
        .filter(ticket__in=ticket_ids)
        .values_list("ticket", "rule", "trigger", "pk", "activity", "due_at")
    }
    if gone := [pk for key, (pk, _) in kept.items() if key not in wanted]:
        Due.objects.for_workspace(workspace_id).filter(pk__in=gone).delete()
    changed = [(key, wait) for key, wait in wanted.items() if key not in kept or kept[key][1] != wait]
    if changed:
        Due.unscoped.bulk_create(
            [Due(workspace_id=workspace_id, **key._asdict(), **wait._asdict()) for key, wait in changed],
            update_conflicts=True,
            unique_fields=["ticket", "rule", "trigger"],
            update_fields=["activity", "due_at"],
        )
    return wanted


def _waits(workspace_id: UUID, ticket_ids: Sequence[UUID], rules: Sequence[Rule]) -> dict[Key, Wait]:
    if not rules:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_SINCE, {"workspace": workspace_id, "ids": list(ticket_ids), "active": _IN_WORK})
        rows = cursor.fetchall()
    after_business_time = service_levels().business_time(workspace_id)
    waits = {}
    for ticket_id, silent_id, silent_since, idle_id, idle_since in rows:
        for rule in rules:
            for trigger, activity_id, since in (
                ("no_response", silent_id, silent_since),
                ("idle", idle_id, idle_since),
            ):
                if trigger in rule.triggers and activity_id is not None:
                    length = dt.timedelta(hours=float(getattr(rule, OPTIONS[trigger])))
                    due_at = after_business_time(since, length) if trigger == "no_response" else since + length
                    if due_at is not None:
                        waits[Key(ticket_id, rule.pk, trigger)] = Wait(activity_id, due_at)
    return waits


# --- For every ticket at once -----------------------------------------------------------------


@transaction.atomic
def reckon_later(workspace_id: UUID) -> None:
    """Something changed for very many tickets: a worker reckons all their times."""
    open_book(workspace_id)
    RuleBook.objects.for_workspace(workspace_id).update(version=F("version") + 1)
    dispatch.queue_after_commit(RECKON_TASK)  # what the broker loses, the next beat does


def reckon_all() -> int:
    """Reckon the times in every workspace whose rules have changed since that was done; gives how many tickets.

    A rule book that changes meanwhile is done again, as is one whose worker was killed.
    """
    books = RuleBook.unscoped.exclude(reckoned_version=F("version"))
    return sum(_reckon_workspace(row.workspace_id) for row in list(books))


def _reckon_workspace(workspace_id: UUID) -> int:
    book = current_book(workspace_id)
    if not book.timed:  # nothing waits any more, however many tickets there are
        Due.objects.for_workspace(workspace_id).delete()
    done = 0
    waiting = _in_work(workspace_id) if book.timed else iter(())
    for ticket_ids in waiting:
        with transaction.atomic():
            lock(ticket_ids)
            reckon(workspace_id, ticket_ids, current_book(workspace_id))
        done += len(ticket_ids)
    RuleBook.objects.for_workspace(workspace_id).filter(reckoned_version__lt=book.version).update(
        reckoned_version=book.version
    )
    return done


def _in_work(workspace_id: UUID) -> Iterable[list[UUID]]:
    rows = Ticket.objects.for_workspace(workspace_id).active().order_by("pk")
    last: UUID | None = None
    while ids := list((rows.filter(pk__gt=last) if last else rows).values_list("pk", flat=True)[:BATCH]):
        yield ids
        last = ids[-1]
