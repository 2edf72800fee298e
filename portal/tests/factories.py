"""Test data of the portal: requests as customers send them."""

import datetime as dt
from typing import Any

import altcha
from django.contrib.postgres.search import SearchVector
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from django.utils.text import slugify

from helpdesk.accounts.models import Membership, Workspace
from portal.models import Article, PortalSettings
from portal.services import requests
from tickets.markup import render
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


def make_article(workspace: Workspace, title: str = "Reset your password", body: str = "", **fields: Any) -> Article:
    """A published article whose words the search knows; slug, text and times unless they are given."""
    at = timezone.now()
    given: dict[str, Any] = {
        "slug": f"{slugify(title)[:150]}-{Article.objects.for_workspace(workspace).count()}",
        "status": "published",
        "body_html": render(body),
        "published_at": at,
        "created_at": at,
        "updated_at": at,
    }
    article = Article.unscoped.create(workspace=workspace, title=title, body=body, **(given | fields))
    title_words = SearchVector("title", config="helpdesk", weight="A")
    words = title_words + SearchVector("body", config="helpdesk", weight="B")
    Article.unscoped.filter(pk=article.pk).update(words=words)
    return article


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
