"""Help articles for tests, made by the services."""

import datetime as dt
from typing import Any

from helpdesk.accounts.models import Membership, Workspace
from portal.models import Article, ArticleCategory, ArticleFeedback
from portal.services import articles
from tickets.tests.factories import NOW, make_agent


def make_article(workspace: Workspace, by: Membership | None = None, now: dt.datetime = NOW, **fields: Any) -> Article:
    """A published article; every field has a default."""
    given = {
        "title": "How to reset your password",
        "body": "Open **Settings** and choose *Reset*.",
        "publish": True,
    }
    return articles.create(workspace=workspace, by=by or make_agent(workspace), now=now, **(given | fields))


def make_category(workspace: Workspace, name: str = "Getting started", now: dt.datetime = NOW) -> ArticleCategory:
    """A category at the end of the others."""
    return articles.save_category(workspace=workspace, changes={"name": name}, now=now)


def make_feedback(article: Article, now: dt.datetime = NOW, **fields: Any) -> ArticleFeedback:
    """What a reader said; the counts of the article are not touched."""
    given = {"visitor": f"{ArticleFeedback.unscoped.count():064}", "is_helpful": True, "comment": ""}
    return ArticleFeedback.unscoped.create(
        workspace_id=article.workspace_id, article=article, created_at=now, updated_at=now, **(given | fields)
    )
