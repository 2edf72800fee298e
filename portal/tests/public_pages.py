"""The pages of the portal that anybody may meet, as data: what their tests of size, stillness and access go through.

A new address under `/portal/` fails `test_public_pages` until it is in `PAGES`, or in `NO_PAGES`.
"""

import base64
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import ArticleCategory, SignInLink
from portal.services import visits
from portal.tests.factories import a_file, finish, make_article, make_request, make_settings
from tickets.tests.factories import make_agent, make_reply

DOT = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # the smallest picture

# What answers with a file, a script, or a redirect.
NO_PAGES = {
    "portal:brand",
    "portal:logo",
    "portal:widget",
    "portal:language",
    "portal:suggestions",
    "portal:article-view",
    "portal:article-feedback",
    "portal:sign-out",
    "portal:close",
    "portal:reopen",
    "portal:rate",
    "portal:file",
}


class World:
    """A portal with its own looks and articles, and a customer with requests."""

    def __init__(self, now: dt.datetime | None = None) -> None:
        now = now or timezone.now()
        self.workspace = WorkspaceFactory(name="Acme Help", slug="acme")
        own = make_settings(self.workspace, accent="#0f766e", welcome_title="Welcome", logo_type="image/gif")
        own.logo_width = own.logo_height = 24
        own.logo.save("logo", ContentFile(base64.b64decode(DOT)))
        shelf = ArticleCategory.unscoped.create(
            workspace=self.workspace, name="Passwords", slug="passwords", created_at=now, updated_at=now
        )
        for number in range(12):
            text = f"Choose **Forgot** on page {number}.\n\n" + "A line of words that explain. " * 20
            title = f"Reset your password {number}"
            make_article(self.workspace, title=title, body=text, slug=f"article-{number}", category=shelf)
        agent = make_agent(self.workspace, user__name="Maria Rossi")
        self.ticket, self.token = make_request(self.workspace, uploads=[a_file()])
        for number in range(5):
            make_reply(self.ticket, agent, now=now, body=f"Please try it once more, way {number}. " * 10)
        finish(self.ticket, "resolved", now=now, by=agent)
        for number in range(25):
            make_request(self.workspace, subject=f"One of many requests, number {number}")
        self.open, self.open_token = make_request(self.workspace)
        visits.send_links(workspace_id=self.workspace.pk, address="jane@customers.example", now=now)
        link = SignInLink.unscoped.get()
        self.visit = {visits.cookie_name(self.workspace.pk): visits.cookie_of(link)}


@dataclass(frozen=True)
class Page:
    """A page as it is met: its address with arguments, and the cookies that the browser has."""

    title: str
    name: str
    args: Callable[[World], tuple[Any, ...]] = lambda world: ("acme",)
    query: str = ""
    cookies: Callable[[World], dict[str, str]] = lambda world: {}
    status: int = 200

    def address(self, world: World) -> str:
        """Where it is."""
        return reverse(self.name, args=self.args(world)) + self.query

    def __str__(self) -> str:
        return self.title


def _visit(world: World) -> dict[str, str]:
    return world.visit


PAGES = [
    Page("home", "portal:home"),
    Page("home of a visitor", "portal:home", cookies=_visit),
    Page("new request", "portal:submit"),
    Page("new request of a visitor", "portal:submit", cookies=_visit),
    Page("an article", "portal:article", lambda world: ("acme", "article-1")),
    Page("a category", "portal:category", lambda world: ("acme", "passwords")),
    Page("what a search finds", "portal:search", query="?q=password"),
    Page("a search that finds nothing", "portal:search", query="?q=bicycle"),
    Page("find my requests", "portal:requests"),
    Page("my requests", "portal:requests", cookies=_visit),
    Page("my open requests, second page", "portal:requests", query="?show=open&page=2", cookies=_visit),
    Page("a sign-in link that is gone", "portal:sign-in", query="?token=x", status=404),
    Page(
        "a resolved request",
        "portal:ticket",
        lambda world: (world.ticket.pk,),
        cookies=lambda world: {"request_token": world.token},
    ),
    Page(
        "an open request",
        "portal:ticket",
        lambda world: (world.open.pk,),
        cookies=lambda world: {"request_token": world.open_token},
    ),
    Page("a request of a visitor", "portal:ticket", lambda world: (world.ticket.pk,), cookies=_visit),
    Page("a link that opens nothing", "portal:ticket", lambda world: (world.ticket.pk,), status=404),
    Page("nothing here", "portal:article", lambda world: ("acme", "none"), status=404),
]
