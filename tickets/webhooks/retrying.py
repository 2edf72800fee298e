"""When a message is tried again. Pure."""

import datetime as dt
from email.utils import parsedate_to_datetime

# After each attempt that failed, how long until the next one: ten attempts in a little more than three days.
WAITS = tuple(
    dt.timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
ATTEMPTS = len(WAITS) + 1
JITTER = 0.1  # of each wait, in either direction: what failed together does not come back together
LONGEST_ASKED = dt.timedelta(hours=24)  # of what a receiver asks for
NO_SUCCESS = dt.timedelta(hours=120)  # after so long without one success an endpoint is switched off


def next_attempt(
    *, failed: int, at: dt.datetime, chance: float, asked: dt.timedelta | None = None
) -> dt.datetime | None:
    """When to try again after `failed` attempts, the last one at `at`; None when there were enough.

    `chance` from 0 to 1 decides the jitter. A receiver that `asked` for a longer wait (Retry-After) gets it.
    """
    if failed >= ATTEMPTS:
        return None
    wait = WAITS[failed - 1] * (1 + JITTER * (2 * chance - 1))
    return at + max(wait, min(asked or dt.timedelta(0), LONGEST_ASKED))


def retry_after(header: str | None, *, at: dt.datetime) -> dt.timedelta | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date); None for nonsense, and for the past."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(dt.timedelta(seconds=int(text[:9])), LONGEST_ASKED)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=dt.UTC)) - at
    return wait if wait > dt.timedelta(0) else None
