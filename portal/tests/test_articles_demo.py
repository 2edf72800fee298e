"""The help articles of the demo: there once, read and rated, and fitting what its customers ask."""

import datetime as dt
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.management import demo_articles
from portal.models import Article, ArticleFeedback
from portal.services import articles, reading
from tickets.management import demo_data

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 4, 15, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def workspace(module_transaction: Any) -> Workspace:
    with module_transaction():
        made = demo_data.make_demo(slug="demo", tickets=5, seed=7, now=NOW)
        call_command("demo_articles", workspace="demo")
        return made


def test_stand_in_their_categories_published_but_for_one_draft(workspace):
    shelves = articles.categories(workspace.pk)
    assert [shelf.name for shelf in shelves] == [name for name, _ in demo_articles.CATEGORIES]
    assert [shelf.articles_count for shelf in shelves] == [3, 3, 3]
    rows = Article.objects.for_workspace(workspace)
    assert (rows.filter(status="published").count(), rows.filter(status="draft").count()) == (8, 1)
    assert not rows.filter(body_html__contains="<p>|").exists()


def test_count_as_many_answers_as_there_are(workspace):
    for article in Article.objects.for_workspace(workspace):
        given = ArticleFeedback.objects.for_workspace(workspace).filter(article=article)
        assert given.filter(is_helpful=True).count() == article.helpful_count
        assert given.filter(is_helpful=False).count() == article.unhelpful_count
        assert article.view_count >= article.helpful_count + article.unhelpful_count


def test_come_once_and_to_demos_only(workspace):
    call_command("demo_articles", workspace="demo")
    assert Article.objects.for_workspace(workspace).count() == 9
    WorkspaceFactory(slug="real")
    for slug in ("real", "no-such-workspace"):
        with pytest.raises(CommandError):
            call_command("demo_articles", workspace=slug)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("Locked out of my account. The page says my account is locked after too many attempts", "I cannot sign in"),
        ("Charged twice for March: our bank statement shows two payments, please refund one", "When a payment fails"),
        ("Labels come out rotated, only a quarter of the page is used by the label printer", "Shipping labels"),
        ("How do we set up SSO with Okta? Which claims do you need?", "Set up single sign-on"),
    ],
)
def test_fit_what_customers_ask(workspace, asked, answered):
    offered = reading.suggest(workspace=workspace, text=asked, limit=3)
    assert any(one.title.startswith(answered) for one in offered)
