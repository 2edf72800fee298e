"""The clocks of tickets, kept as their history says: in the transaction of each change, or for very many at once.

There is one way to write clocks: read what happened, reckon all of them anew (`slas.clocks`), and
write what differs from what is stored. What was satisfied stays as it was judged then.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection, transaction

from helpdesk.accounts.models import new_id
from slas import clocks
from slas.clocks import TRASHED, History
from slas.models import Clock
from slas.services.rules import Facts, Rule, rules_of
from tickets import timeline
from tickets.deadlines import Deadline, Goal, Run, columns, write
from tickets.events import SYSTEM, Event
from tickets.lifecycle import Priority, Status
from tickets.models import Activity, Ticket
from tickets.services import deadlines

GIVEN = "sla policy"  # the field that the log names when a ticket is given a policy
BATCH = 1000  # tickets that are locked at a time, for a fifth of a second, when very many are reckoned

# --- What happened ----------------------------------------------------------------------------

# The log's own moves, and what people said. Of a ticket that was just created there is neither. Times come as text:
# reading that is a tenth of the work of the driver's own datetimes, which was a third of it all.
_PAST = """
SELECT t.id, t.number, t.created_at::text, t.updated_at::text, t.status, t.priority, t.first_response_at::text,
       t.trashed_at::text,
       t.category_id, t.sla_policy_id, c.organization_id, c.attributes, o.attributes,
       (SELECT json_agg(json_build_array(a.occurred_at, a.event, a.changes) ORDER BY a.occurred_at, a.id)::text
        FROM ticket_activities a WHERE a.ticket_id = t.id AND a.event = ANY(%(moves)s)),
       (SELECT json_agg(json_build_array(m.created_at, m.author_type = 'customer') ORDER BY m.created_at, m.id)::text
        FROM ticket_comments m WHERE m.ticket_id = t.id AND NOT m.is_internal AND NOT m.is_automatic
        AND NOT m.is_transcript
        AND (m.deleted_at IS NULL
             OR m.author_type <> 'customer' AND m.delivery->>'state' IS DISTINCT FROM 'cancelled')
        AND m.created_at > t.first_response_at)
FROM tickets t
JOIN accounts_contact c ON c.id = t.requester_id
LEFT JOIN accounts_organization o ON o.id = c.organization_id
WHERE t.workspace_id = %(workspace)s AND t.id = ANY(%(ids)s)
ORDER BY t.id
"""
# In a statement of its own: one that waited for the lock would still see the log as it was before.
_LOCK = "SELECT id FROM tickets WHERE workspace_id = %s AND id = ANY(%s) ORDER BY id FOR UPDATE"
_MOVES = [
    event.value
    for event in (
        Event.UPDATED,
        Event.RESOLVED,
        Event.CLOSED,
        Event.REOPENED,
        Event.MERGED,
        Event.UNMERGED,
        Event.TRASHED,
        Event.RESTORED,
    )
]
_STATUSES = frozenset(status.value for status in Status)
_PRIORITIES = frozenset(priority.value for priority in Priority)


@dataclass(frozen=True)
class Past:
    """A ticket as the service levels see it."""

    ticket_id: UUID
    number: int
    facts: Facts
    history: History

    @property
    def priority(self) -> str:
        """Today's priority."""
        return self.history.priority()


def pasts(workspace_id: UUID, ticket_ids: Sequence[UUID]) -> list[Past]:
    """What happened to these tickets, in one query, in the order of their ids."""
    with connection.cursor() as cursor:
        cursor.execute(_PAST, {"workspace": workspace_id, "ids": list(ticket_ids), "moves": _MOVES})
        return [_past(*row) for row in cursor.fetchall()]


def _past(
    ticket_id: UUID,
    number: int,
    created: str,
    updated: str,
    status: str,
    priority: str,
    first_response: str | None,
    trashed: str | None,
    category_id: UUID | None,
    given_policy_id: UUID | None,
    organization_id: UUID | None,
    own_attributes: str,
    company_attributes: str | None,
    moves: Any,
    messages: Any,
) -> Past:
    created_at = dt.datetime.fromisoformat(created)
    statuses: list[tuple[dt.datetime, str]] = [(created_at, Status.OPEN.value)]
    priorities: list[tuple[dt.datetime, str]] = []
    for said_at, event, changes in _json(moves) or []:
        at = max(dt.datetime.fromisoformat(said_at), statuses[-1][0])
        if event == Event.TRASHED:
            statuses.append((at, TRASHED))
        elif event == Event.RESTORED:
            statuses.append((at, _before_trash(statuses)))
        for change in changes:
            # The answer to a custom field carries its key: a field may be called "priority" by its workspace.
            if "key" in change:
                continue
            if change["field"] == "status" and change["to"] in _STATUSES:
                statuses.append((at, change["to"]))
            elif change["field"] == "priority" and change["to"] in _PRIORITIES:
                priorities = priorities or [(created_at, change["from"])]
                priorities.append((at, change["to"]))
    now_is = TRASHED if trashed else status
    if statuses[-1][1] != now_is:
        # A ticket that was not written by the services (a bulk load) may have no log of its last move.
        statuses.append((max(dt.datetime.fromisoformat(trashed or updated), statuses[-1][0]), now_is))
    attributes = {**(_json(company_attributes) or {}), **(_json(own_attributes) or {})}
    return Past(
        ticket_id,
        number,
        Facts(category_id, organization_id, attributes, given_policy_id),
        History(
            created_at=created_at,
            statuses=statuses,
            priorities=priorities or [(created_at, priority)],
            messages=[(dt.datetime.fromisoformat(at), by_customer) for at, by_customer in _json(messages) or []],
            first_response_at=_at(first_response),
        ),
    )


def _before_trash(statuses: Sequence[tuple[dt.datetime, str]]) -> str:
    return next(status for _, status in reversed(statuses) if status != TRASHED)


def _json(value: Any) -> Any:
    # A bare cursor of Django gives JSON as text; most customers have no attributes.
    return None if value is None or value == "{}" else orjson.loads(value)


# --- What is stored ---------------------------------------------------------------------------

_STORED = """
SELECT id, ticket_id, policy_id::text, terms_id::text, goal, cycle, run, extract(epoch FROM target),
       extract(epoch FROM used), started_at::text, as_of::text, due_at::text, at_risk_at::text, satisfied_at::text,
       deadline_set_at::text, warned_at::text, breached_at::text, sweep_at::text, quiet_until::text,
       extract(epoch FROM warned_target)
FROM sla_clocks WHERE ticket_id = ANY(%s) ORDER BY ticket_id, goal, cycle
"""
# Adds and changes in one statement. A clock never changes its ticket, goal, cycle or start.
_WRITE = """
INSERT INTO sla_clocks (id, workspace_id, ticket_id, policy_id, terms_id, goal, cycle, run, target, used, started_at,
    as_of, due_at, at_risk_at, satisfied_at, deadline_set_at, warned_at, breached_at, sweep_at, quiet_until,
    warned_target)
SELECT id, %s, ticket_id, policy_id, terms_id, goal, cycle, run, target, used, started_at,
       as_of, due_at, at_risk_at, satisfied_at, deadline_set_at, warned_at, breached_at, sweep_at, quiet_until,
       warned_target
FROM jsonb_to_recordset(%s::jsonb) AS new (
    id uuid, ticket_id uuid, policy_id uuid, terms_id uuid, goal varchar, cycle integer, run varchar, target interval,
    used interval, started_at timestamptz, as_of timestamptz, due_at timestamptz, at_risk_at timestamptz,
    satisfied_at timestamptz, deadline_set_at timestamptz, warned_at timestamptz, breached_at timestamptz,
    sweep_at timestamptz, quiet_until timestamptz, warned_target interval)
ON CONFLICT (id) DO UPDATE SET
    policy_id = EXCLUDED.policy_id, terms_id = EXCLUDED.terms_id, run = EXCLUDED.run, target = EXCLUDED.target,
    used = EXCLUDED.used, as_of = EXCLUDED.as_of, due_at = EXCLUDED.due_at, at_risk_at = EXCLUDED.at_risk_at,
    satisfied_at = EXCLUDED.satisfied_at, deadline_set_at = EXCLUDED.deadline_set_at, warned_at = EXCLUDED.warned_at,
    breached_at = EXCLUDED.breached_at, sweep_at = EXCLUDED.sweep_at, quiet_until = EXCLUDED.quiet_until,
    warned_target = EXCLUDED.warned_target
"""


class Kept(NamedTuple):
    """A row of `sla_clocks`."""

    id: UUID
    ticket_id: UUID
    policy_id: UUID
    terms_id: UUID
    cycle: int
    clock: Deadline
    deadline_set_at: dt.datetime
    warned_at: dt.datetime | None = None
    breached_at: dt.datetime | None = None
    sweep_at: dt.datetime | None = None
    quiet_until: dt.datetime | None = None
    warned_target: dt.timedelta | None = None  # the target whose share was warned of

    def swept(self) -> "Kept":
        """The same with the moment at which the sweep has to look at it: at risk, then breached, each once."""
        clock, at = self.clock, None
        if clock.run is Run.RUNNING and self.breached_at is None and clock.due_at is not None:
            is_warned = self.warned_target == clock.target or clock.at_risk_at is None
            at = clock.due_at if is_warned else min(clock.at_risk_at or clock.due_at, clock.due_at)
        return self if at == self.sweep_at else self._replace(sweep_at=at)


_GOALS, _RUNS = {goal.value: goal for goal in Goal}, {run.value: run for run in Run}
_id = lru_cache(maxsize=1024)(UUID)  # policies and their terms are few


def _at(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _span(seconds: Decimal) -> dt.timedelta:
    return dt.timedelta(microseconds=int(seconds * 1_000_000))


def stored(ticket_ids: Sequence[UUID]) -> dict[UUID, list[Kept]]:
    """The clocks of these tickets, by ticket, in the order of goal and cycle."""
    found: dict[UUID, list[Kept]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [list(ticket_ids)])
        for pk, ticket_id, policy_id, terms_id, goal, cycle, run, target, used, *times, warned in cursor.fetchall():
            of_clock, of_row = map(_at, times[:5]), map(_at, times[5:])
            clock = Deadline(_GOALS[goal], _RUNS[run], _span(target), _span(used), *of_clock)  # type: ignore[arg-type]
            kept = Kept(pk, ticket_id, _id(policy_id), _id(terms_id), cycle, clock, *of_row)  # type: ignore[arg-type]
            if warned is not None:
                kept = kept._replace(warned_target=_span(warned))
            found.setdefault(ticket_id, []).append(kept)
    return found


def _write(workspace_id: UUID, rows: Sequence[Kept]) -> None:
    if not rows:
        return

    document = [
        {
            "id": row.id,
            "ticket_id": row.ticket_id,
            "policy_id": row.policy_id,
            "terms_id": row.terms_id,
            "goal": row.clock.goal.value,
            "cycle": row.cycle,
            "run": row.clock.run.value,
            "target": _interval(row.clock.target),
            "used": _interval(row.clock.used),
            "started_at": row.clock.started_at,
            "as_of": row.clock.as_of,
            "due_at": row.clock.due_at,
            "at_risk_at": row.clock.at_risk_at,
            "satisfied_at": row.clock.satisfied_at,
            "deadline_set_at": row.deadline_set_at,
            "warned_at": row.warned_at,
            "breached_at": row.breached_at,
            "sweep_at": row.sweep_at,
            "quiet_until": row.quiet_until,
            "warned_target": None if row.warned_target is None else _interval(row.warned_target),
        }
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [workspace_id, orjson.dumps(document).decode()])


def _interval(span: dt.timedelta) -> str:
    return f"{span // _MICROSECOND} microseconds"


_MICROSECOND = dt.timedelta(microseconds=1)


# --- Reckoning --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Change:
    """What asks for a reckoning.

    `at` is when it happened, `now` the present. `is_past`: a past is told again. `is_whole`: not
    one change of it but all at once, so that `at` says nothing about what had been due before.
    """

    at: dt.datetime
    now: dt.datetime
    is_past: bool = False
    is_whole: bool = False


@dataclass
class _Outcome:
    current: list[Kept]  # the clocks of what the customer waits or waited for
    written: list[Kept]  # all that differ from what is stored, also those of waits that are gone
    breaches: list[Kept]  # those whose breach is to be recorded
    is_moved: bool  # whether any has another deadline or target than before


def _settled(row: Kept, change: _Change) -> Kept:
    """The row with a breach that nobody has recorded yet: what happens now must not make it undone."""
    due = row.clock.due_at
    is_due = row.clock.run is Run.RUNNING and due is not None and due < change.at
    if due is not None and is_due and row.breached_at is None and not change.is_whole:
        return row._replace(breached_at=max(due, row.deadline_set_at))
    return row


def _judged(row: Kept) -> Kept:
    """The row, with its breach where it came to stand still, stopped or was satisfied after its deadline."""
    clock = row.clock
    if row.breached_at is not None or clock.due_at is None or clock.run is Run.RUNNING:
        return row
    if clock.satisfied_at is not None and clock.due_at >= clock.satisfied_at:
        return row
    return row._replace(breached_at=max(clock.due_at, row.deadline_set_at))


def _reckon(
    past: Past, rows: Sequence[Kept], rule: Rule | None, change: _Change, elsewhere: Mapping[dt.datetime, Kept]
) -> _Outcome:
    """All clocks of a ticket anew, each beside the one that is stored; what was judged stays as it was judged.

    `elsewhere` are next responses of tickets that a merge joined with this one or took apart, by
    their start: what was recorded about a message there is not recorded again here.
    """
    before = {row.id: row for row in rows}
    known = {_key(row.clock.goal, row.clock.started_at): row for row in rows}
    cycle = max((row.cycle for row in rows if row.clock.goal is Goal.NEXT_RESPONSE), default=0)
    current: list[Kept] = []
    if rule is not None and rule.terms_id is not None:
        read = clocks.reader(past.history, rule.terms)
        for wait in clocks.waits(past.history):
            row = known.get(_key(wait.goal, wait.start))
            if row is not None and _is_judged(row, wait):
                current.append(row)
                continue
            clock = read(wait)
            if clock is None:
                continue  # no longer promised
            if row is not None and Run.STOPPED is row.clock.run is clock.run:
                current.append(row)  # it ended without having been needed, under the terms of its time
            elif row is not None:
                current.append(_moved(row, clock, rule, rule.terms_id, change, elsewhere))
            elif change.is_past or not _is_over(wait, clock, change):
                cycle += wait.goal is Goal.NEXT_RESPONSE
                current.append(_begun(past, clock, rule, rule.terms_id, cycle, change, elsewhere))
    seen = {row.id for row in current}
    # Not promised by this policy, or a message that a merge moved away.
    gone = [_ended(row, change) for row in rows if row.id not in seen]
    after = [*current, *gone]
    inherited = {one.breached_at for one in elsewhere.values()}
    breaches = [
        row
        for row in after
        if row.breached_at
        and not (row.id in before and before[row.id].breached_at)
        and not (row.clock.started_at in elsewhere and row.breached_at in inherited)
    ]
    written = [row for row in after if row != before.get(row.id)]
    moved = any(_deadline(row) != _deadline(before.get(row.id)) for row in written)
    return _Outcome(current, written, breaches, moved)


def _deadline(row: Kept | None) -> tuple[Any, ...]:
    return (row.clock.due_at, row.clock.target) if row else ()


def _key(goal: Goal, start: dt.datetime) -> tuple[Goal, dt.datetime | None]:
    """Which clock of a ticket it is: there are many waits for a next response, of the others there is one."""
    return goal, start if goal is Goal.NEXT_RESPONSE else None


def _is_judged(row: Kept, wait: clocks.Wait) -> bool:
    """Whether the promise was kept or missed for good: not the resolution of a ticket that was reopened, nor an
    answer that was taken back before anybody got it.
    """
    judged = row.clock.satisfied_at
    if judged is None or wait.goal is Goal.RESOLUTION:
        return judged is not None and wait.satisfied_at == judged
    return wait.satisfied_at is not None and wait.satisfied_at <= judged


def _is_over(wait: clocks.Wait, clock: Deadline, change: _Change) -> bool:
    """Whether a wait had ended before there was a promise about it: only a past that is told again judges it."""
    return clock.run is Run.STOPPED or (wait.end is not None and wait.end < change.at)


def _inherit(row: Kept, elsewhere: Mapping[dt.datetime, Kept]) -> Kept:
    """The row with what was recorded about the same message on the ticket that it was on before."""
    there = elsewhere.get(row.clock.started_at) if row.clock.goal is Goal.NEXT_RESPONSE else None
    if there is None or row.breached_at is not None:
        return row
    return row._replace(
        breached_at=there.breached_at,
        warned_at=row.warned_at or there.warned_at,
        warned_target=row.warned_target or there.warned_target,
    )


def _moved(
    row: Kept,
    clock: Deadline,
    rule: Rule,
    terms_id: UUID,
    change: _Change,
    elsewhere: Mapping[dt.datetime, Kept],
) -> Kept:
    row = _settled(_inherit(row, elsewhere), change)
    set_at = row.deadline_set_at
    if row.clock.target != clock.target or (row.terms_id != terms_id and row.clock.due_at != clock.due_at):
        set_at = clock.started_at if change.is_past else change.at
    moved = row._replace(
        policy_id=rule.policy_id,
        terms_id=terms_id,
        clock=clock,
        deadline_set_at=set_at,
        quiet_until=change.now if change.is_past else row.quiet_until,
    )
    return _judged(moved).swept()


def _begun(
    past: Past,
    clock: Deadline,
    rule: Rule,
    terms_id: UUID,
    cycle: int,
    change: _Change,
    elsewhere: Mapping[dt.datetime, Kept],
) -> Kept:
    begun = Kept(
        id=new_id(),
        ticket_id=past.ticket_id,
        policy_id=rule.policy_id,
        terms_id=terms_id,
        cycle=cycle if clock.goal is Goal.NEXT_RESPONSE else 1,
        clock=clock,
        deadline_set_at=clock.started_at if change.is_past else max(clock.started_at, change.at),
        quiet_until=change.now if change.is_past else None,
    )
    return _judged(_inherit(begun, elsewhere)).swept()


def _ended(row: Kept, change: _Change) -> Kept:
    if row.clock.run in (Run.SATISFIED, Run.STOPPED):
        return row
    row = _settled(row, change)
    due = row.clock.due_at if row.breached_at else None
    return row._replace(clock=row.clock._replace(run=Run.STOPPED, due_at=due, at_risk_at=None)).swept()


def track(
    *,
    workspace_id: UUID,
    ticket_ids: Sequence[UUID],
    at: dt.datetime,
    now: dt.datetime,
    is_past: bool = False,
    is_new: bool = False,
    related: Collection[UUID] = (),
) -> int:
    """Bring the clocks of tickets to what their history says, in the transaction of the change that holds them.

    `at` is when the change happened that asks for it, `now` the present. `is_past` says that a past
    is told again, whose breaches are recorded but never sent. `is_new`: the tickets were just made.
    `related` are tickets that a merge joined with these or took apart. Gives how many of the
    tickets have another deadline than before.
    """
    return _track(workspace_id, ticket_ids, _Change(at, now, is_past), is_new=is_new, related=related)


def _track(
    workspace_id: UUID,
    ticket_ids: Sequence[UUID],
    change: _Change,
    *,
    is_new: bool = False,
    related: Collection[UUID] = (),
    is_background: bool = False,
    skips_known: bool = False,
) -> int:
    rules = rules_of(workspace_id)
    if not rules.rules and is_new:
        return 0
    found = pasts(workspace_id, ticket_ids)
    known = {} if is_new else stored([past.ticket_id for past in found])
    if not rules.rules and not known:
        return 0
    elsewhere = {
        row.clock.started_at: row
        for rows in (stored(list(related)) if related else {}).values()
        for row in rows
        if row.clock.goal is Goal.NEXT_RESPONSE
    }
    outcomes = [
        (past, rule, _reckon(past, known.get(past.ticket_id, []), rule, change, elsewhere))
        for past in found
        if not (skips_known and past.ticket_id in known)
        for rule in [rules.rule(past.facts)]
    ]
    _write(workspace_id, [row for _, _, outcome in outcomes for row in outcome.written])
    deadlines.put(
        [_put(past.ticket_id, outcome.current, rule, change.now) for past, rule, outcome in outcomes],
        counts=is_background,
    )
    with timeline.together():
        for past, _, outcome in outcomes:
            for row in outcome.breaches:
                record(workspace_id, past.number, row, Event.SLA_BREACHED, row.breached_at or change.now)
    return sum(outcome.is_moved for _, _, outcome in outcomes)


def _in_background(
    workspace_id: UUID, ticket_ids: Sequence[UUID], change: _Change, *, skips_known: bool = False
) -> int:
    """Reckon many tickets in a transaction of their own.

    They are locked first, in the order of their ids, and everything is read after: what was
    committed while we waited counts.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [workspace_id, list(ticket_ids)])
        return _track(workspace_id, ticket_ids, change, is_background=True, skips_known=skips_known)


def _put(ticket_id: UUID, rows: Sequence[Kept], rule: Rule | None, now: dt.datetime) -> deadlines.Put:
    """What the ticket tells of its clocks: of the answers the customer waited for, the latest."""
    latest: dict[Goal, Kept] = {}
    for row in sorted(rows, key=lambda row: row.clock.started_at):
        latest[row.clock.goal] = row
    shown = [latest[goal].clock for goal in Goal if goal in latest]
    document = None
    if rule is not None:
        document = write(shown, policy_id=str(rule.policy_id), policy_name=rule.terms.policy_name)
    return deadlines.Put(ticket_id, document, columns(shown if document else [], now))


def record(workspace_id: UUID, number: int, row: Kept, event: Event, at: dt.datetime) -> None:
    """Write the activity of a breach or a warning at its own true time; what is of an imported past goes to nobody."""
    timeline.record(
        ticket=Ticket(pk=row.ticket_id, workspace_id=workspace_id, number=number),
        event=event,
        actor=replace(SYSTEM, is_replay=row.quiet_until is not None and at <= row.quiet_until),
        now=at,
        data={"breach_type": row.clock.goal.value, "sla_policy_id": str(row.policy_id)},
    )


# --- Following changes ------------------------------------------------------------------------

# The changes of a ticket's fields that say which policy it has, and what that promises.
_FIELDS = frozenset({"status", "priority", "category", "requester", GIVEN})


def follow(activities: Sequence[Activity], now: dt.datetime) -> None:
    """Keep up with what just happened to tickets, in the same transaction.

    What happens now says so itself; `now` is the present for a past that is told again.
    """
    touched: dict[UUID, list[Activity]] = {}
    for activity in activities:
        if _matters(activity):
            touched.setdefault(activity.workspace_id, []).append(activity)
    for workspace_id, theirs in touched.items():
        at = max(activity.occurred_at for activity in theirs)
        is_past = all(activity.dispatched_at is not None for activity in theirs)
        track(
            workspace_id=workspace_id,
            ticket_ids=list({activity.ticket_id for activity in theirs}),
            at=at,
            now=now if is_past else at,
            is_past=is_past,
            is_new=all(activity.event == Event.CREATED for activity in theirs),
            related={pk for activity in theirs for pk in _related(activity)},
        )


def _related(activity: Activity) -> list[UUID]:
    if activity.event not in (Event.MERGED, Event.UNMERGED):
        return []
    data: Mapping[str, str] = activity.payload["data"]
    both = [UUID(data["source_id"]), UUID(data["target_id"])]
    return [pk for pk in both if pk != activity.ticket_id]


def _matters(activity: Activity) -> bool:
    if activity.event == Event.UPDATED:
        return any(change["field"] in _FIELDS and "key" not in change for change in activity.changes)
    if activity.event in (Event.COMMENT_ADDED, Event.COMMENT_DELETED):
        data: Mapping[str, Any] = activity.payload["data"]
        return not data.get("is_internal") and not data.get("is_automatic")
    return True


def catch_up(workspace_id: UUID, ticket_ids: Sequence[UUID] | None, now: dt.datetime) -> None:
    """Tickets were written past the services (`Subscriptions.loaded`): their clocks are reckoned as those of a past."""
    if not rules_of(workspace_id).rules:
        return
    change = _Change(at=now, now=now, is_past=True, is_whole=True)
    for batch in batches(ticket_ids if ticket_ids is not None else _without_clocks(workspace_id)):
        # One that got its clocks meanwhile, by a change of its own, is no past.
        _in_background(workspace_id, batch, change, skips_known=ticket_ids is None)


def batches(ids: Iterable[UUID], size: int = BATCH) -> Iterator[list[UUID]]:
    """The ids in runs of as many tickets as are locked at a time."""
    batch: list[UUID] = []
    for pk in ids:
        batch.append(pk)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _without_clocks(workspace_id: UUID) -> Iterator[UUID]:
    has_clock = Clock.objects.for_workspace(workspace_id)
    tickets = Ticket.objects.for_workspace(workspace_id).exclude(pk__in=has_clock.values("ticket_id"))
    yield from list(tickets.order_by("pk").values_list("pk", flat=True))


def in_work(workspace_id: UUID) -> list[UUID]:
    """The ids of the workspace's open and pending tickets, in their order."""
    return list(Ticket.objects.for_workspace(workspace_id).active().order_by("pk").values_list("pk", flat=True))


def retrack(*, workspace_id: UUID, ticket_ids: Sequence[UUID], now: dt.datetime) -> int:
    """Reckon tickets in work anew, in a transaction: a policy or a calendar has changed.

    Gives how many of them have another deadline than before.
    """
    return _in_background(workspace_id, ticket_ids, _Change(at=now, now=now))
