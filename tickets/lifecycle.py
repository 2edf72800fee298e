"""The lifecycle of a ticket: which moves between statuses are legal. Pure.

```
open ⇄ pending      open, pending → resolved      resolved → closed
resolved, closed → open (reopen)
```

*New* is not stored: it is an open ticket that no agent has been assigned to or has answered.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What a ticket waits for."""

    OPEN = "open"  # the agents
    PENDING = "pending"  # the customer
    RESOLVED = "resolved"  # the customer's agreement, or time
    CLOSED = "closed"  # nothing


class Priority(StrEnum):
    """How soon a ticket wants an answer."""

    URGENT = "urgent"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


ACTIVE = (Status.OPEN, Status.PENDING)

_MOVES: dict[Status, frozenset[Status]] = {
    Status.OPEN: frozenset({Status.PENDING, Status.RESOLVED}),
    Status.PENDING: frozenset({Status.OPEN, Status.RESOLVED}),
    Status.RESOLVED: frozenset({Status.OPEN, Status.CLOSED}),
    Status.CLOSED: frozenset({Status.OPEN}),
}

RANK: dict[Priority, int] = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.MEDIUM: 2, Priority.LOW: 3}


class IllegalMove(ValueError):
    """The lifecycle has no such move."""

    def __init__(self, current: str, wanted: str) -> None:
        self.current, self.wanted = current, wanted
        super().__init__(f"A ticket that is {current} cannot become {wanted}.")


@dataclass(frozen=True)
class Move:
    """A legal change of status and what it means for the ticket's times."""

    before: Status
    after: Status

    @property
    def is_reopen(self) -> bool:
        """Whether a finished ticket comes back to the agents."""
        return self.before in (Status.RESOLVED, Status.CLOSED) and self.after is Status.OPEN


def moves_from(current: str) -> frozenset[Status]:
    """The statuses that `current` can become."""
    return _MOVES[Status(current)]


def move(current: str, wanted: str) -> Move:
    """The move from `current` to `wanted`.

    Raises IllegalMove when the lifecycle has none, also for staying where one is.
    """
    before, after = Status(current), Status(wanted)
    if after not in _MOVES[before]:
        raise IllegalMove(before.value, after.value)
    return Move(before, after)
