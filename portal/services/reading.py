"""What visitors do with help articles. Stands in until the portal's pages of articles are there."""

import re
from dataclasses import dataclass

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import F

from helpdesk.accounts.models import Workspace
from portal.models import Article


@dataclass(frozen=True)
class Found:
    """An article that a search gave, with a piece of its text."""

    article: Article
    excerpt: str


def search(*, workspace: Workspace, words: str, limit: int) -> list[Found]:
    """Published articles with all of these words, the best first."""
    return _ranked(workspace, SearchQuery(words, config="helpdesk", search_type="websearch"), limit)


def suggest(*, workspace: Workspace, text: str, limit: int) -> list[Found]:
    """Published articles with any of the words of a text, the best first."""
    words = list(dict.fromkeys(re.findall(r"\w{4,}", text[:2000].lower())))[:30]
    if not words:
        return []
    return _ranked(workspace, SearchQuery(" | ".join(words), config="helpdesk", search_type="raw"), limit)


def _ranked(workspace: Workspace, query: SearchQuery, limit: int) -> list[Found]:
    rows = Article.objects.for_workspace(workspace).filter(status="published", words=query).select_related("category")
    rows = rows.annotate(rank=SearchRank(F("words"), query)).order_by("-rank", "-view_count", "pk")[:limit]
    return [Found(row, row.body[:160]) for row in rows]
