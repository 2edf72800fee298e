"""Test data of the portal: requests as customers send them."""

import datetime as dt
from typing import Any

import altcha
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from helpdesk.accounts.models import Membership, Workspace
from portal.models import PortalSettings
from portal.services import requests
from tickets.models import Ticket
from tickets.services import base, status
from tickets.tests.factories import make_agent


def make_request(workspace: Workspace, now: dt.datetime | None = None, **fields: Any) -> tuple[Ticket, str]:
    """A request that a customer submitted, and the token that opens it; now, unless a time is given."""
    given: dict[str, Any] = {
        "subject": "Cannot log in",
        "description": "The page says my account is **locked**.",
        "requester_email": "jane@customers.example",
        "requester_name": "Jane Smith",
        "channel": "portal",
    }
    return requests.submit_request(workspace=workspace, now=now or timezone.now(), **(given | fields))


def a_file(name: str = "screen.txt", content: bytes = b"what I saw") -> SimpleUploadedFile:
    """An upload."""
    return SimpleUploadedFile(name, content)


def finish(ticket: Ticket, *moves: str, now: dt.datetime, by: Membership | None = None) -> Ticket:
    """The ticket after these moves, made by an agent."""
    actor = base.agent(by or make_agent(ticket.workspace))
    for move in moves:
        ticket = status.change_status(ticket=ticket, to=move, actor=actor, now=now)
    return ticket


def make_settings(workspace: Workspace, **fields: Any) -> PortalSettings:
    """The settings of a workspace's portal."""
    given: PortalSettings = PortalSettings.unscoped.create(
        workspace=workspace, **{"updated_at": timezone.now()} | fields
    )
    return given


def solve(puzzle: dict[str, Any]) -> str:
    """What a browser makes of a puzzle."""
    challenge = altcha.Challenge.from_dict(puzzle)
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    return altcha.Payload(challenge, solution).to_base64()
