"""From a ticket's history and the terms of its policy to its clocks. Pure.

Every clock follows from what happened, so there is one way to reckon it: from the beginning.
Starting, pausing, resuming, satisfying and a change of priority or policy are all the same
reckoning with one more fact.

- *First response* runs from the creation until the first public message of an agent.
- *Next response* runs from the oldest customer message that is unanswered, after the first
  response, until an agent's public message. Each such wait is a cycle.
- *Resolution* runs from the creation until the ticket is resolved; a reopened ticket runs on from
  where it stopped.

A clock runs while the ticket is open. While it is pending the clocks that the policy names stand
still; while it is resolved, closed or in the trash all do. What the calendar has open between the
two ends of a standstill is taken off, never raw time. A ticket that is closed without having been
resolved was merged: its clocks stop. Resolving ends the wait for an answer.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from slas.calendar import Calendar
from tickets.deadlines import Deadline, Goal, Run
from tickets.lifecycle import Status

TRASHED = "trashed"  # stands beside the statuses in a history
_OPEN = Status.OPEN.value
_ACTIVE = (_OPEN, Status.PENDING.value)
_FINISHED = (Status.RESOLVED.value, Status.CLOSED.value)
_ZERO = dt.timedelta()


@dataclass(frozen=True)
class History:
    """What happened to a ticket, as far as clocks care; all in the order of time, aware UTC.

    `statuses` says from when on which status held and begins with (creation, "open"); `priorities`
    likewise. `messages` are public and written by people: when, and whether by the customer.
    """

    created_at: dt.datetime
    statuses: Sequence[tuple[dt.datetime, str]]
    priorities: Sequence[tuple[dt.datetime, str]]
    messages: Sequence[tuple[dt.datetime, bool]] = ()
    first_response_at: dt.datetime | None = None

    def priority(self, at: dt.datetime | None = None) -> str:
        """The priority at a moment; the current one for None."""
        if at is not None:
            for since, priority in reversed(self.priorities):
                if since <= at:
                    return priority
            return self.priorities[0][1]
        return self.priorities[-1][1]


@dataclass(frozen=True)
class Terms:
    """What a policy promises. `targets` has the business time by priority and goal; a goal may be missing."""

    policy_id: UUID
    policy_name: str
    calendar: Calendar
    targets: Mapping[str, Mapping[Goal, dt.timedelta]]
    pending_pauses: frozenset[Goal] = frozenset({Goal.RESOLUTION})
    at_risk_percent: int = 75

    def target(self, priority: str, goal: Goal) -> dt.timedelta | None:
        """The target for a priority; None where nothing is promised."""
        return self.targets[priority].get(goal)


class Wait(NamedTuple):
    """One time span that a goal is about: from `start` to when it was satisfied, ended, or still open."""

    goal: Goal
    start: dt.datetime
    satisfied_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None  # without having been satisfied

    @property
    def end(self) -> dt.datetime | None:
        """When it was over, either way."""
        return self.satisfied_at or self.ended_at


class Phase(NamedTuple):
    """A span in which a clock runs or stands still; the last one has no end."""

    start: dt.datetime
    end: dt.datetime | None
    runs: bool
    status: str


def waits(history: History) -> list[Wait]:
    """What the customer waits or waited for: first response, each next response, resolution."""
    first = Wait(Goal.FIRST_RESPONSE, history.created_at, satisfied_at=history.first_response_at)
    return [first, *_next_responses(history), _resolution(history)]


def _next_responses(history: History) -> Iterator[Wait]:
    if history.first_response_at is None:
        return
    # Resolving ends the wait; a merge, which closes without resolving, takes the messages along.
    finished = [at for at, status in history.statuses if status == Status.RESOLVED.value]
    events = [(at, 0 if by_customer else 1) for at, by_customer in history.messages if at > history.first_response_at]
    # At the same instant an answer comes before the move that it made.
    events = sorted([*events, *((at, 2) for at in finished)])
    start: dt.datetime | None = None
    for at, what in events:
        if what == 0:
            start = start or at
        elif start is not None:
            yield Wait(Goal.NEXT_RESPONSE, start, *((at, None) if what == 1 else (None, at)))
            start = None
    if start is not None:
        yield Wait(Goal.NEXT_RESPONSE, start)


def _resolution(history: History) -> Wait:
    before, satisfied_at, ended_at = Status.OPEN.value, None, None
    for at, status in history.statuses:
        if status == TRASHED:
            continue
        if status in _ACTIVE:
            satisfied_at = ended_at = None
        elif before in _ACTIVE:
            if status == Status.RESOLVED.value:
                satisfied_at = at
            else:
                ended_at = at  # closed without a resolution: merged
        before = status
    return Wait(Goal.RESOLUTION, history.created_at, satisfied_at, ended_at)


def phases(history: History, *, pending_pauses: bool) -> list[Phase]:
    """When the ticket lets a clock run, from the creation on; `pending_pauses` says whether pending does not."""
    running = (_OPEN,) if pending_pauses else _ACTIVE
    ends = [at for at, _ in history.statuses[1:]]
    return [
        Phase(start, end, status in running, status)
        for (start, status), end in zip(history.statuses, [*ends, None], strict=True)
    ]


def _clipped(all_phases: Sequence[Phase], wait: Wait) -> Iterator[Phase]:
    over = wait.end
    for phase in all_phases:
        start = max(phase.start, wait.start)
        end = phase.end if over is None else min(phase.end or over, over)
        if end is None or start < end:
            yield Phase(start, end, phase.runs, phase.status)


def read(history: History, terms: Terms, wait: Wait, when: Sequence[Phase]) -> Deadline | None:
    """The clock of a wait, that runs as the phases `when` say; None where the policy promises nothing for its goal.

    A satisfied one is judged by the priority that the ticket had then, a running one by today's.
    """
    target = terms.target(history.priority(wait.satisfied_at), wait.goal)
    if target is None:
        return None
    calendar, risk_after = terms.calendar, target * terms.at_risk_percent / 100
    add, between = calendar.add_business_time, calendar.business_time_between
    used, as_of, run = _ZERO, wait.start, Run.RUNNING
    due_at: dt.datetime | None = None
    at_risk_at: dt.datetime | None = None
    for phase in _clipped(when, wait):
        if not phase.runs:
            run = Run.PAUSED
            continue
        run = Run.RUNNING
        spent = None if phase.end is None else between(phase.start, phase.end)
        if at_risk_at is None and (spent is None or used + spent >= risk_after):
            at_risk_at = add(phase.start, risk_after - used)
        if due_at is None and (spent is None or used + spent >= target):
            due_at = add(phase.start, target - used)
        as_of = phase.start
        if spent is not None and phase.end is not None:
            used, as_of = used + spent, phase.end
    if wait.satisfied_at is not None:
        run = Run.SATISFIED
        if due_at is None:
            due_at = add(wait.satisfied_at, target - used)
    elif wait.ended_at is not None or (run is Run.PAUSED and history.statuses[-1][1] in _FINISHED):
        run = Run.STOPPED
    return Deadline(wait.goal, run, target, used, wait.start, as_of, due_at, at_risk_at, wait.satisfied_at)


def derive(history: History, terms: Terms) -> list[Deadline]:
    """All clocks of a ticket: first response, every next response in order, resolution."""
    one = reader(history, terms)
    return [clock for wait in waits(history) if (clock := one(wait)) is not None]


def reader(history: History, terms: Terms) -> Callable[[Wait], Deadline | None]:
    """A function that reads the clocks of this history's waits under these terms."""
    when: dict[bool, list[Phase]] = {}

    def one(wait: Wait) -> Deadline | None:
        pauses = wait.goal in terms.pending_pauses
        if pauses not in when:
            when[pauses] = phases(history, pending_pauses=pauses)
        return read(history, terms, wait, when[pauses])

    return one


# --- Why this deadline ------------------------------------------------------------------------


class Kind(StrEnum):
    """What a span of a clock's life was."""

    COUNTED = "counted"  # business time that was used
    CLOSED = "closed"  # outside business hours
    PAUSED = "paused"  # the ticket let the clock stand still
    AHEAD = "ahead"  # business time that is left
    LATE = "late"  # after the deadline, open or closed


@dataclass(frozen=True)
class Piece:
    """A span of the explanation; `business` is the business time in it that belongs to the target."""

    start: dt.datetime
    end: dt.datetime
    kind: Kind
    reason: str
    business: dt.timedelta = _ZERO


_WHY_PAUSED = {
    Status.PENDING.value: "Waiting for the customer",
    Status.RESOLVED.value: "Resolved",
    Status.CLOSED.value: "Closed",
    TRASHED: "In the trash",
}


def explain(history: History, terms: Terms, clock: Deadline, now: dt.datetime) -> list[Piece]:
    """The life of a clock from its start to its deadline or to `now`, whichever is later, in consecutive spans.

    The counted and the ahead ones add up to the target wherever there is a deadline.
    """
    wait = Wait(clock.goal, clock.started_at, clock.satisfied_at, None if clock.satisfied_at else _ended(clock))
    horizon = max(filter(None, (clock.due_at, wait.end or now)))
    pieces: list[Piece] = []
    open_end = wait.end is None
    last_end = wait.start
    for phase in _clipped(phases(history, pending_pauses=clock.goal in terms.pending_pauses), wait):
        end = phase.end or (horizon if phase.runs else max(now, phase.start))
        pieces += _running(terms.calendar, phase.start, end, clock.due_at, now) if phase.runs else _standing(phase, end)
        last_end = end
    if not open_end and clock.due_at is not None and clock.due_at > last_end:
        # Kept in time: what was left of the target.
        pieces += _running(terms.calendar, last_end, clock.due_at, clock.due_at, last_end)
    return _joined(piece for piece in pieces if piece.start < piece.end)


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbours of one kind and reason as one span: a move between two statuses that both count is no news."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and (last.kind, last.reason, last.end) == (piece.kind, piece.reason, piece.start):
            joined[-1] = replace(last, end=piece.end, business=last.business + piece.business)
        else:
            joined.append(piece)
    return joined


def _ended(clock: Deadline) -> dt.datetime | None:
    return clock.as_of if clock.run is Run.STOPPED else None


def _standing(phase: Phase, end: dt.datetime) -> list[Piece]:
    return [Piece(phase.start, end, Kind.PAUSED, _WHY_PAUSED.get(phase.status, phase.status))]


def _running(
    calendar: Calendar, start: dt.datetime, end: dt.datetime, due_at: dt.datetime | None, now: dt.datetime
) -> Iterator[Piece]:
    until = end if due_at is None else max(start, min(end, due_at))
    cuts = sorted({start, until, *([now] if start < now < until else [])})
    for a, b in pairwise(cuts):
        for span in calendar.explain(a, b):
            if not span.is_open:
                yield Piece(span.start, span.end, Kind.CLOSED, span.reason)
                continue
            kind = Kind.AHEAD if span.start >= now else Kind.COUNTED
            reason = "Still to run" if kind is Kind.AHEAD else "Counted"
            yield Piece(span.start, span.end, kind, reason, span.end - span.start)
    # What comes after the deadline is one span: what is open in it counts for nothing any more.
    yield Piece(until, end, Kind.LATE, "After the deadline")
