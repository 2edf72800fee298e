"""The puzzle (proof of work) that a workspace may ask for before it takes a stranger's request.

ALTCHA, version 2, with PBKDF2 (RFC 8018): a browser tries numbers until the key that is derived from one of them
begins as the puzzle says. It is the browser's own cryptography that works, for about a second; nobody is asked to
read anything, and no other service takes part. A puzzle is signed for one workspace, ends after ten minutes, and its
solution is good for one request.

Used solutions are remembered in Valkey. While Valkey is away a solution may be used again until it ends: as with the
limits, nobody is refused for it.
"""

import datetime as dt
import secrets
from typing import Any

import altcha
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from helpdesk.accounts.models import Workspace
from helpdesk.api.throttles import seconds_to_wait
from helpdesk.errors import InvalidInput

LIFETIME = dt.timedelta(minutes=10)
ALGORITHM = "PBKDF2/SHA-256"
COST = 2_000  # rounds for one try: about a millisecond of a laptop, several of an old phone
TRIES = 1_000  # at most; half of them on average


def make(*, workspace: Workspace, now: dt.datetime) -> dict[str, Any]:
    """A new puzzle of the workspace, in the form that ALTCHA's clients read: `parameters` and their `signature`."""
    challenge = altcha.create_challenge(
        ALGORITHM,
        COST,
        counter=secrets.randbelow(TRIES),
        expires_at=now + LIFETIME,
        hmac_secret=_key("puzzle", workspace),
        hmac_key_secret=_key("solution", workspace),
    )
    made: dict[str, Any] = challenge.to_dict()
    return made


def check(*, workspace: Workspace, proof: str, now: dt.datetime) -> None:
    """Use up a solution (`proof` is ALTCHA's payload: JSON in base64).

    Raises InvalidInput naming `proof`: for none, a wrong one, one of another workspace, one that came too late, and
    one that was used before.
    """
    if not proof:
        raise _refused(_("Please solve the puzzle first."))
    try:
        payload = altcha.Payload.from_base64(proof)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _refused(_("This is not the solution of a puzzle.")) from None
    result = altcha.verify_solution(payload, _key("puzzle", workspace), hmac_key_secret=_key("solution", workspace))
    ends = payload.challenge.parameters.expires_at
    if result.expired or (result.verified and (ends or 0) < now.timestamp()):
        raise _refused(_("The time for this puzzle is over. Please send it again."))
    if not result.verified:
        raise _refused(_("This is not the solution of the puzzle."))
    # Once in a window that lasts longer than the puzzle: what a throttle of one request is.
    window = (1, int(LIFETIME.total_seconds()) + 60)
    if seconds_to_wait("proof", str(payload.challenge.parameters.nonce), window) is not None:
        raise _refused(_("This solution was used before. Please send it again."))


def _refused(message: str) -> InvalidInput:
    return InvalidInput.of("proof", message)


def _key(purpose: str, workspace: Workspace) -> bytes:
    """A key of the server's secret for one workspace. After a change of the secret puzzles have to be asked anew."""
    return salted_hmac(f"portal.{purpose}", str(workspace.pk), algorithm="sha256").digest()
