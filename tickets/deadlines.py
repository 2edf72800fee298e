"""What a ticket's row tells of its deadlines. Pure.

The service levels reckon the clocks and leave on each ticket what lists and pages show of them:
a document (`write`, `read`) and what the queue sorts and filters by (`columns`). What depends on
the time of looking, like *at risk*, is never stored: `Deadline.state` tells it for a moment.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Goal(StrEnum):
    """What a customer was promised."""

    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    RESOLUTION = "resolution"


class Run(StrEnum):
    """What a clock does."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"  # it ended without being needed: resolved with no answer, merged
    SATISFIED = "satisfied"  # in time or late


class State(StrEnum):
    """How it stands with a promise, at some moment."""

    ON_TRACK = "on_track"
    AT_RISK = "at_risk"
    BREACHED = "breached"
    PAUSED = "paused"
    MET = "met"
    STOPPED = "stopped"


# What people filter by; a ticket whose clocks all stopped has no state.
STATES = (State.ON_TRACK, State.AT_RISK, State.BREACHED, State.PAUSED, State.MET)


class Deadline(NamedTuple):
    """One promise: all times are aware UTC, `target` and `used` are business time.

    `due_at` is None while it is paused or stopped and was not reached before, and where the
    calendar never opens long enough. For a promise that was kept it is when it would have been due.
    """

    goal: Goal
    run: Run
    target: dt.timedelta
    used: dt.timedelta  # at `as_of`
    started_at: dt.datetime
    as_of: dt.datetime
    due_at: dt.datetime | None = None
    at_risk_at: dt.datetime | None = None
    satisfied_at: dt.datetime | None = None

    def is_breached(self, now: dt.datetime) -> bool:
        """Whether the deadline passed before the promise was kept. The deadline itself is still in time."""
        return self.due_at is not None and self.due_at < (self.satisfied_at or now)

    def state(self, now: dt.datetime) -> State:
        """How it stands at `now` (aware UTC)."""
        if self.is_breached(now):
            return State.BREACHED
        if self.run is Run.SATISFIED:
            return State.MET
        if self.run is Run.STOPPED:
            return State.STOPPED
        if self.run is Run.PAUSED:
            return State.PAUSED
        return State.AT_RISK if self.at_risk_at is not None and self.at_risk_at <= now else State.ON_TRACK

    def left(self, now: dt.datetime) -> dt.timedelta | None:
        """The time until the deadline, negative after it; the business time left of a paused one; else None."""
        if self.due_at is not None:
            return self.due_at - (self.satisfied_at or (self.as_of if self.run is Run.STOPPED else now))
        return self.target - self.used if self.run is Run.PAUSED else None

    def share(self, now: dt.datetime) -> float:
        """How much of the target is used at `now`, from 0 to 1; between what is known, in proportion to the time."""
        if self.is_breached(now):
            return 1.0
        used, end = self.used / self.target, self.due_at
        if self.run is not Run.RUNNING or end is None or now <= self.as_of or end <= self.as_of:
            return max(0.0, min(1.0, used))
        return min(1.0, used + (1 - used) * ((now - self.as_of) / (end - self.as_of)))


# --- On the ticket's row ----------------------------------------------------------------------

# The times of a deadline, in their order, under short names: a million tickets carry them.
_TIMES = {"started_at": "from", "as_of": "as_of", "due_at": "due", "at_risk_at": "risk", "satisfied_at": "done"}


def write(deadlines: Sequence[Deadline], *, policy_id: str, policy_name: str) -> dict[str, Any] | None:
    """The deadlines of a ticket as its row keeps them, None for none; times become text with the JSON that it is."""
    if not deadlines:
        return None
    goals: dict[str, Any] = {}
    for one in deadlines:
        kept = {"run": one.run.value, "target": one.target.total_seconds(), "used": one.used.total_seconds()}
        goals[one.goal.value] = kept | {
            short: at for short, at in zip(_TIMES.values(), one[-5:], strict=True) if at is not None
        }
    return {"policy": {"id": policy_id, "name": policy_name}, "goals": goals}


def read(document: Mapping[str, Any] | None) -> list[Deadline]:
    """The deadlines that `write` kept, in the order of `Goal`."""
    if not document:
        return []
    goals = document["goals"]
    found = []
    for goal in Goal:
        kept = goals.get(goal.value)
        if kept is not None:
            times = {
                name: dt.datetime.fromisoformat(kept[short]) if short in kept else None
                for name, short in _TIMES.items()
            }
            target, used = dt.timedelta(seconds=kept["target"]), dt.timedelta(seconds=kept["used"])
            found.append(Deadline(goal=goal, run=Run(kept["run"]), target=target, used=used, **times))  # type: ignore[arg-type]
    return found


def state(deadlines: Iterable[Deadline], now: dt.datetime) -> State | None:
    """The worst of a ticket's deadlines at `now`: breached, at risk, on track, paused, met; None for none."""
    states = {one.state(now) for one in deadlines}
    worst_first = (State.BREACHED, State.AT_RISK, State.ON_TRACK, State.PAUSED, State.MET)
    return next((known for known in worst_first if known in states), None)


def crossed(deadlines: Iterable[Deadline], now: dt.datetime) -> int:
    """How many thresholds the running clocks have passed at `now`: what they tell changes with each."""
    return sum(
        at is not None and at <= now
        for one in deadlines
        if one.run is Run.RUNNING
        for at in (one.at_risk_at, one.due_at)
    )


@dataclass(frozen=True)
class Columns:
    """What the queue sorts and filters by.

    `state` is that of what is still promised: `running`, `paused`, or else `met`, or empty. Beside
    it, `is_missed` says that some target was missed, as of the writing; the sweep sees to it when a
    running one passes its deadline.
    """

    state: str
    is_missed: bool
    next_deadline_at: dt.datetime | None
    next_risk_at: dt.datetime | None


def columns(deadlines: Sequence[Deadline], now: dt.datetime) -> Columns:
    """The columns for these deadlines, written at `now`."""
    running = [one for one in deadlines if one.run is Run.RUNNING]
    runs = {one.run for one in deadlines}
    words = {Run.RUNNING: "running", Run.PAUSED: "paused", Run.SATISFIED: "met"}
    return Columns(
        state=next((word for run, word in words.items() if run in runs), ""),
        is_missed=any(one.is_breached(now) for one in deadlines),
        next_deadline_at=min((one.due_at for one in running if one.due_at), default=None),
        next_risk_at=min((one.at_risk_at for one in running if one.at_risk_at), default=None),
    )
