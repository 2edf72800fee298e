"""What stands between a stranger and a new request: a trap for machines, the puzzle, and the workspace's limit."""

import datetime as dt
import math

from django.utils.translation import ngettext

from helpdesk.api.throttles import seconds_to_wait
from helpdesk.errors import DomainError, InvalidInput
from portal.services import puzzles
from portal.services.portals import Portal

HOUR = 3600


class TooManyRequests(DomainError):
    """The workspace takes no more requests from strangers for now (HTTP 429); `retry_after` is in seconds."""

    status = 429
    code = "throttled"

    def __init__(self, seconds: int) -> None:
        minutes = math.ceil(seconds / 60)
        super().__init__(
            ngettext(
                "Too many requests were sent to us. Please try again in %(minutes)s minute.",
                "Too many requests were sent to us. Please try again in %(minutes)s minutes.",
                minutes,
            )
            % {"minutes": minutes}
        )
        self.retry_after = seconds


def let_in(*, portal: Portal, proof: str, is_proof_needed: bool, now: dt.datetime, trap: str = "") -> None:
    """Refuse a stranger's request that the portal does not take. To be asked right before it becomes a ticket.

    `trap` is a field that people do not see. `proof` solves a puzzle (`portal.services.puzzles`) where the workspace
    asks for one; without `is_proof_needed` it may be missing, as from a browser without scripts, but not be wrong.
    The workspace's limit counts what comes this far through API, form and widget together (and what chatbots without
    a key open, see `count`), also what a later check of its fields refuses.

    Raises InvalidInput naming `website` (the trap) or `proof`, and TooManyRequests.
    """
    if trap:
        raise InvalidInput.of("website", "This must be empty: only machines fill it in.")
    if portal.settings.asks_proof and (proof or is_proof_needed):
        puzzles.check(workspace=portal.workspace, proof=proof, now=now)
    count(portal=portal)


def count(*, portal: Portal) -> None:
    """Count one new request of a stranger against the workspace's limit of an hour; raises TooManyRequests.

    Part of `let_in`; alone for a chatbot without the integration key, which cannot solve a puzzle.
    """
    wait = seconds_to_wait("strangers", str(portal.workspace.pk), (portal.settings.requests_per_hour, HOUR))
    if wait is not None:
        raise TooManyRequests(wait)
