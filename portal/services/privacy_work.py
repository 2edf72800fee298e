"""How a worker holds a privacy request: a lease that ends by itself, and progress that renews it."""

import datetime as dt
from typing import Any

from portal.models import PrivacyRequest

LEASE = dt.timedelta(minutes=5)  # longer than a portion takes
ATTEMPTS = 5  # in a row, without progress


class Superseded(Exception):
    """Our lease ended, and somebody else has taken the work up."""


def renew(request: PrivacyRequest, *, now: dt.datetime, **fields: Any) -> None:
    """Write down how far it has come, and hold it on. Raises Superseded."""
    _write(request, next_at=now + LEASE, attempts=0, **fields)


def pause(request: PrivacyRequest, *, until: dt.datetime, **fields: Any) -> None:
    """Leave it, so that it is taken up again at a later time. Raises Superseded."""
    _write(request, status="waiting", next_at=until, attempts=0, **fields)


def end(request: PrivacyRequest, *, now: dt.datetime, **fields: Any) -> None:
    """It is done; what was looked for is forgotten. Raises Superseded."""
    _write(request, status="done", next_at=None, ended_at=now, error="", work={}, last_ticket_id=None, **fields)


def _write(request: PrivacyRequest, **fields: Any) -> None:
    mine = PrivacyRequest.objects.for_workspace(request.workspace_id).filter(
        pk=request.pk, status="running", next_at=request.next_at
    )
    if not mine.update(**fields):
        raise Superseded
    for name, value in fields.items():
        setattr(request, name, value)
