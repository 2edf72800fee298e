"""What tickets do when something happens elsewhere."""

import datetime as dt

from helpdesk.accounts.models import Membership, User
from tickets.events import SYSTEM, Actor, ActorKind
from tickets.services import assignment


def release_tickets_of(membership: Membership, by: User | None, now: dt.datetime) -> None:
    """A member left: their tickets in work become unassigned."""
    actor = Actor(ActorKind.AGENT, str(by), user_id=by.pk) if by else SYSTEM
    assignment.release_member(membership=membership, actor=actor, now=now)
