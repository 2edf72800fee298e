"""Why a deadline is what it is: the life of each clock of a ticket, in spans that add up."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from slas import clocks
from slas.clocks import Piece, Terms
from slas.models import SLAPolicy
from slas.services import tracking
from slas.services.rules import sealed_terms
from slas.services.tracking import Kept
from tickets.deadlines import Deadline, Goal, State
from tickets.models import Ticket


@dataclass(frozen=True)
class Explained:
    """A clock, the terms it was reckoned by, and its life until `now` or its deadline."""

    cycle: int
    clock: Deadline
    policy_id: UUID
    terms: Terms
    state: State
    pieces: Sequence[Piece]
    breached_at: dt.datetime | None

    @property
    def counted(self) -> dt.timedelta:
        """The business time of all spans: the target, wherever there is a deadline."""
        return sum((piece.business for piece in self.pieces), dt.timedelta())

    @property
    def has_no_deadline(self) -> bool:
        """Whether it runs though its calendar never opens long enough: somebody should see to the calendar."""
        return self.clock.due_at is None and self.state in (State.ON_TRACK, State.AT_RISK)


def explain(*, ticket: Ticket, now: dt.datetime) -> list[Explained]:
    """Every clock of a ticket in the order of goal and cycle, explained. Reads only."""
    rows = tracking.stored([ticket.pk]).get(ticket.pk, [])
    if not rows:
        return []
    past = tracking.pasts(ticket.workspace_id, [ticket.pk])[0]
    terms = sealed_terms(ticket.workspace_id, {row.terms_id for row in rows})
    names = dict(SLAPolicy.objects.for_workspace(ticket.workspace_id).values_list("pk", "name"))
    order = list(Goal)
    waited = {(wait.goal, wait.start) for wait in clocks.waits(past.history)}
    return [
        _explained(row, past.history, replace(terms[row.terms_id], policy_name=names[row.policy_id]), now)
        for row in sorted(rows, key=lambda row: (order.index(row.clock.goal), row.clock.started_at))
        if (row.clock.goal, row.clock.started_at) in waited  # not of a message that a merge moved away
    ]


def _explained(row: Kept, history: clocks.History, terms: Terms, now: dt.datetime) -> Explained:
    return Explained(
        cycle=row.cycle,
        clock=row.clock,
        policy_id=row.policy_id,
        terms=terms,
        state=row.clock.state(now),
        pieces=clocks.explain(history, terms, row.clock, now),
        breached_at=row.breached_at,
    )
