"""Help articles on the portal's home, and what is offered while a subject is typed."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import ArticleCategory, SignInLink
from portal.services import visits
from portal.tests.factories import make_article, make_request
from tickets.tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["", "/search?q=password", "/categories/start", "/articles/reset"])
class TestEachPage:
    @pytest.fixture(autouse=True)
    def article(self) -> None:
        workspace = WorkspaceFactory(slug="acme")
        shelf = ArticleCategory.unscoped.create(
            workspace=workspace, name="Start", slug="start", created_at=NOW, updated_at=NOW
        )
        make_article(workspace, slug="reset", category=shelf)

    def test_is_kept_by_nobody_but_the_visitor(self, client: Client, path: str) -> None:
        answer = client.get(f"/portal/acme{path}")
        assert answer.status_code == 200 and "csrfmiddlewaretoken" in answer.text
        assert answer["Cache-Control"] == "private, no-cache"

    def test_is_limited_by_network_in_the_visitors_language(
        self, client: Client, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (1, 60))
        ask = {"REMOTE_ADDR": "192.0.2.81", "HTTP_ACCEPT_LANGUAGE": "de"}
        first, second = (client.get(f"/portal/acme{path}", **ask) for _ in range(2))
        assert (first.status_code, second.status_code) == (200, 429)
        assert int(second["Retry-After"]) > 0 and "Bitte versuchen Sie es" in second.text, second.text


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def category(workspace: Workspace) -> ArticleCategory:
    at = timezone.now()
    return ArticleCategory.unscoped.create(
        workspace=workspace, name="Signing in", slug="signing-in", created_at=at, updated_at=at
    )


@pytest.fixture
def home(workspace: Workspace) -> str:
    return reverse("portal:home", args=["acme"])


def offered(client: Client, words: str) -> str:
    return str(client.get(reverse("portal:suggestions", args=["acme"]), {"q": words}).text).strip()


def sign_in(client: Client, workspace: Workspace, contact: Contact) -> None:
    """As a mailed link does."""
    now = timezone.now()
    link = SignInLink.unscoped.create(
        workspace=workspace, contact=contact, token_hash="x", created_at=now, expires_at=now + visits.LINK_LIFETIME
    )
    client.cookies[visits.cookie_name(workspace.pk)] = visits.cookie_of(link)


class TestHome:
    def test_shows_published_articles_by_topic_and_those_that_are_read_most(
        self, client: Client, workspace: Workspace, category: ArticleCategory, home: str
    ) -> None:
        for number in range(6):
            make_article(workspace, f"Password {number}", category=category)
        read = make_article(workspace, "Why accounts are locked", view_count=3)
        make_article(workspace, "Not yet", status="draft", published_at=None)
        make_article(WorkspaceFactory(), "Elsewhere")
        html = client.get(home).text
        assert reverse("portal:category", args=["acme", "signing-in"]) in html and "All 6 articles" in html
        assert html.count(reverse("portal:article", args=["acme", read.slug])) == 2  # most read, and on its shelf
        assert "Password 0" in html and "Password 5" not in html
        assert "Not yet" not in html and "Elsewhere" not in html
        assert f'action="{reverse("portal:search", args=["acme"])}"' in html

    def test_without_articles_offers_no_search(self, client: Client, workspace: Workspace, home: str) -> None:
        make_article(workspace, "Not yet", status="draft", published_at=None)
        html = client.get(home).text
        assert 'type="search"' not in html and "By topic" not in html
        assert reverse("portal:requests", args=["acme"]) in html

    def test_takes_as_many_queries_for_many_articles_as_for_one(
        self,
        client: Client,
        workspace: Workspace,
        category: ArticleCategory,
        home: str,
        django_assert_num_queries: Any,
    ) -> None:
        make_article(workspace, "First", category=category, view_count=1)
        with django_assert_num_queries(4):  # the portal, articles, categories, those that are read most
            client.get(home)
        for number in range(20):
            make_article(workspace, f"Article {number}", category=category, view_count=number)
        with django_assert_num_queries(4):
            client.get(home)


class TestSuggestions:
    def test_name_articles(self, client: Client, workspace: Workspace, category: ArticleCategory) -> None:
        article = make_article(workspace, "Reset a forgotten password", category=category)
        make_article(workspace, "Reset your password in the new app", status="draft", published_at=None)
        html = offered(client, "forgotten passwrd")
        assert reverse("portal:article", args=["acme", article.slug]) in html and "new app" not in html
        assert offered(client, "invoice") == ""

    def test_name_own_requests_to_whom_a_link_signed_in_and_nobody_elses(
        self, client: Client, workspace: Workspace
    ) -> None:
        own, _ = make_request(workspace, subject="The export of invoices is empty")
        make_request(workspace, subject="The export of invoices is slow", requester_email="sam@customers.example")
        assert offered(client, "export of invoices") == ""
        sign_in(client, workspace, own.requester)
        html = offered(client, "export of invoices")
        assert reverse("portal:ticket", args=[own.pk]) in html and f"Your request {own.ticket_number}" in html
        assert "is slow" not in html

    def test_take_few_queries(self, client: Client, workspace: Workspace, django_assert_max_num_queries: Any) -> None:
        own, _ = make_request(workspace, subject="Password forgotten")
        make_article(workspace, "Reset a forgotten password")
        sign_in(client, workspace, own.requester)
        # The portal, the visit; at most five of the search; the visitor's requests.
        with django_assert_max_num_queries(8):
            assert "Your request" in offered(client, "password forgotten")
