"""What visitors do with help articles: find them, read them, and say whether they helped. Published ones only.

A search asks for the words as they were typed (full text, configuration `helpdesk`). Where few articles have them, it
asks once more for words that come close: a word that no article has stands for the nearest ones that some article has
(`ArticleWord`, edit distance), and titles also match by trigrams, which finds "login" in "Log in".
"""

import datetime as dt
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchRank, TrigramWordSimilarity
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet, TextField, Value, Window
from django.db.models.functions import Cast, RowNumber, Upper
from django.utils.crypto import salted_hmac
from django.utils.html import format_html_join, strip_tags
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from helpdesk.accounts.models import Workspace
from helpdesk.api.throttles import seconds_to_wait
from helpdesk.errors import NotFound
from portal.models import Article, ArticleCategory, ArticleFeedback
from tickets.search import WordsQuery
from tickets.services.base import text as clean_text

LONGEST_QUERY = 200  # characters
LONGEST_TEXT = 5_000  # characters of a ticket that suggestions are made from
COMMENT_LENGTH = 1000
FEW = 3  # exact matches from which on nobody is offered what only comes close
MOST_WORDS = 12  # of a query that are looked at one by one
NEAR_WORDS = 3  # that a misspelt word may stand for
ON_A_SHELF = 5
POPULAR = 6
RELATED = 3
MOST_READERS = 50  # of an article, counted from one network in a day
_DAY = 24 * 60 * 60
_EXCERPT = 180  # characters
_A_WORD = 12  # characters
_SHORT_EXCERPT = 110  # of an article that nobody searched for
_SEARCHED_FOR_EXCERPT = 10_000  # characters of an article that its excerpt is looked for in
_WEIGHTS = [0.05, 0.1, 0.2, 1.0]  # of D, C, B and A: a word in the title counts more than any number in the body
_WORD = re.compile(r"\w+")
_HEADING_ENDS = re.compile(r"(?<=[^.:;!?])(?=</h[1-6]>\s*<)")
_MEANS_IT = re.compile(r"\"|(^|\s)-")
# Private use characters, which are taken out of the text first: no text can pretend to be marked.
_START, _STOP = "\ue000", "\ue001"
_NO_MARKS = str.maketrans("", "", _START + _STOP)


_BEST_FIRST = ("-score", "-view_count", "title", "pk")


@dataclass(frozen=True)
class Found:
    """An article that a search, a suggestion or a shelf names.

    `title_html` and `excerpt_html` are escaped, with the words that matched in `<mark>`. `score` orders the articles of
    one answer and compares with nothing else. `is_close`: it has not what was typed, only something near it.
    """

    id: UUID
    title: str
    slug: str
    category_name: str
    category_slug: str
    updated_at: dt.datetime
    score: float = 0.0
    is_close: bool = False
    excerpt: str = ""
    title_html: SafeString = field(default_factory=SafeString)
    excerpt_html: SafeString = field(default_factory=SafeString)


@dataclass(frozen=True)
class Shelf:
    """A category with its first articles; `count` says how many it has. Without a name: what is in no category."""

    name: str
    slug: str
    description: str
    articles: list[Found]
    count: int


class Lexemes(SearchQuery):
    """A full-text query that is made of words as they stand in the index: nothing cuts them to stems again."""

    def __init__(self, query: str) -> None:
        self.query = query
        super().__init__(query, search_type="raw")

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        return "%s::tsquery", [self.query]


def published(workspace: Workspace) -> "QuerySet[Article]":
    """What visitors of a workspace's portal can read."""
    return Article.objects.for_workspace(workspace).filter(status="published")


# --- Searching ------------------------------------------------------------------------------------


def search(*, workspace: Workspace, words: str, limit: int = 10) -> list[Found]:
    """Published articles that match what a person typed, best first; none for an empty text. Five queries at most.

    Quotes, `or` and a leading `-` mean what they do elsewhere on the web. The last word matches as a beginning, too.
    Where fewer than three articles match, those that come close follow, marked `is_close`; not for somebody who uses
    quotes or a minus, who means what they say.
    """
    words = " ".join(words.replace("\0", " ").split())[:LONGEST_QUERY]
    if not words or limit < 1:
        return []
    query = WordsQuery(words)
    exact = (
        published(workspace)
        .filter(words=query)
        .annotate(score=SearchRank(F("words"), query, weights=_WEIGHTS), query=Cast(query, TextField()))
        .order_by(*_BEST_FIRST)
    )
    rows = _rows(exact, limit, "query")
    asked = rows[0]["query"] if rows else ""
    found = [_found(row) for row in rows]
    if len(found) < min(FEW, limit) and not _MEANS_IT.search(words):
        close, close_query = _close(workspace, words, limit - len(found), exclude=[one.id for one in found])
        rows += close
        found += [replace(_found(row), is_close=True) for row in close]
        asked = " | ".join(f"({one})" for one in (asked, close_query) if one)
    return _with_excerpts(found, [row["body_html"] for row in rows], asked)


def _rows(articles: "QuerySet[Article]", limit: int, *more: str) -> list[dict[str, Any]]:
    return list(
        articles.values(
            "id", "title", "slug", "updated_at", "body_html", "score", "category__name", "category__slug", *more
        )[:limit]
    )


def _found(row: dict[str, Any]) -> Found:
    return Found(
        id=row["id"],
        title=row["title"],
        slug=row["slug"],
        category_name=row["category__name"] or "",
        category_slug=row["category__slug"] or "",
        updated_at=row["updated_at"],
        score=float(row.get("score") or 0.0),
    )


# Words that say nothing are left out in the four languages of the portal. A word that a published article has (the last
# one: that one begins with) is known. For others the nearest words are looked for among those that begin with one of
# its first two letters, by edit distance (Levenshtein); where one is longer, its beginning may be near, too, which
# costs 1 more. Or it is two words that were written as one. Only what a published article has is named: drafts tell
# nothing.
_NEAR = """
WITH asked AS (
    SELECT typed.n, typed.n = max(typed.n) OVER () AS is_last, lexeme, typed.word AS typed
    FROM unnest(%(words)s::text[]) WITH ORDINALITY AS typed (word, n)
    CROSS JOIN LATERAL unnest(tsvector_to_array(to_tsvector('helpdesk', typed.word))) AS lexeme
    WHERE ts_lexize('german_stem', lower(typed.word)) <> '{}' AND ts_lexize('french_stem', lower(typed.word)) <> '{}'
      AND ts_lexize('spanish_stem', lower(typed.word)) <> '{}'
), told AS (
    SELECT asked.*, length(lexeme) AS long, EXISTS (
        SELECT 1 FROM articles
        WHERE workspace_id = %(workspace)s AND status = 'published'
          AND words @@ (quote_literal(lexeme) || CASE WHEN is_last THEN ':*' ELSE '' END)::tsquery
    ) AS is_known
    FROM asked
)
SELECT told.n, told.lexeme, told.is_last, told.is_known, near.word, near.distance, near.is_phrase
FROM told LEFT JOIN LATERAL (
    (SELECT word, distance, similarity(word, lexeme) AS likeness, false AS is_phrase
     FROM (
        SELECT word, least(
            levenshtein_less_equal(word, lexeme, 3),
            CASE WHEN length(word) > long THEN levenshtein_less_equal(left(word, long), lexeme, 2) + 1
                 WHEN length(word) BETWEEN 5 AND long
                 THEN levenshtein_less_equal(word, left(lexeme, length(word)), 2) + 1
            END
        ) AS distance
        FROM article_words
        WHERE workspace_id = %(workspace)s AND left(word, 1) IN (left(lexeme, 1), substr(lexeme, 2, 1))
          AND length(word) >= long - 5 AND (length(word) <= long + 3 OR is_last)
     ) AS measured
     WHERE distance <= 3 AND EXISTS (
        SELECT 1 FROM articles
        WHERE workspace_id = %(workspace)s AND status = 'published' AND words @@ quote_literal(word)::tsquery
     )
     ORDER BY distance, likeness DESC, word
     LIMIT 20)
    UNION ALL
    (SELECT phrase::text, 1, 0, true
     FROM generate_series(2, long - 2) AS part
     CROSS JOIN LATERAL phraseto_tsquery('helpdesk', left(typed, part) || ' ' || substr(typed, part + 1)) AS phrase
     WHERE numnode(phrase) > 0 AND EXISTS (
        SELECT 1 FROM articles WHERE workspace_id = %(workspace)s AND status = 'published' AND words @@ phrase
     )
     LIMIT 3)
) AS near ON NOT is_known AND long BETWEEN 3 AND 40
ORDER BY told.n, near.distance, near.likeness DESC, near.word
"""


def _close(workspace: Workspace, words: str, limit: int, exclude: list[UUID]) -> tuple[list[dict[str, Any]], str]:
    """Articles that have words near to all of these; if few, also to some of them, or a title that is like them.

    And the full-text query of all near words, which is what excerpts mark.
    """
    typed = [word[:40] for word in _WORD.findall(words)][:MOST_WORDS]
    groups = _near_words(workspace, typed) if typed else None
    if groups is None:
        return [], ""
    every, best, some = (
        joined.join(f"({' | '.join(group[:most])})" for group in groups)
        for joined, most in ((" & ", NEAR_WORDS), (" & ", 1), (" | ", NEAR_WORDS))
    )
    articles = published(workspace).exclude(pk__in=exclude)
    rows: list[dict[str, Any]] = []
    if groups:
        by_words = SearchRank(F("words"), Lexemes(best), weights=_WEIGHTS)
        rows = _rows(articles.filter(words=Lexemes(every)).annotate(score=by_words).order_by(*_BEST_FIRST), limit)
    if len(exclude) + len(rows) < min(FEW, limit):
        likeness: Any = TrigramWordSimilarity(words, "title")
        alike = Q(upper_title__trigram_word_similar=Upper(Value(words)))
        if groups:
            likeness += SearchRank(F("words"), Lexemes(some), weights=_WEIGHTS)
            alike |= Q(words=Lexemes(some))
        others = articles.exclude(pk__in=[row["id"] for row in rows])
        others = others.annotate(upper_title=Upper("title"), score=likeness)
        rows += _rows(others.filter(alike).order_by(*_BEST_FIRST), limit - len(rows))
    return rows, some


def forget_words(*, workspace_id: UUID) -> int:
    """Delete the words that no article of the workspace has any more, drafts counted in; gives how many.

    Searches do not need it. Erasing a person does: their name may have stood in an article.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM article_words AS known
            WHERE known.workspace_id = %(workspace)s AND NOT EXISTS (
                SELECT 1 FROM articles
                WHERE workspace_id = %(workspace)s AND words @@ quote_literal(known.word)::tsquery
            )
            """,
            {"workspace": workspace_id},
        )
        return cursor.rowcount


def _near_words(workspace: Workspace, typed: Sequence[str]) -> list[list[str]] | None:
    """For each word that can match anything: itself, or what it may have meant, nearest first, as terms of a query.

    None where all words are of the kind that says nothing, such as "the".
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEAR, {"workspace": workspace.pk, "words": list(typed)})
        rows = cursor.fetchall()
    if not rows:
        return None
    groups: dict[int, list[tuple[int, str]]] = {}
    for n, lexeme, is_last, is_known, word, distance, is_phrase in rows:
        group = groups.setdefault(n, [])
        if is_known:
            group.append((0, _term(lexeme) + (":*" if is_last else "")))
        elif is_phrase:
            group.append((distance, f"({word})"))
        elif word is not None and (steps := _steps(lexeme, word, distance)) <= _allowed(lexeme):
            group.append((steps, _term(word)))
    # A sort keeps what the query has ordered by likeness. Only the nearest count: one letter off hides two letters off.
    return [
        [term for steps, term in sorted(group, key=lambda one: one[0]) if steps == min(group)[0]]
        for group in groups.values()
        if group
    ]


def _term(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def _allowed(lexeme: str) -> int:
    """How many slips a word of this length may have: none in three letters, three in ten and more."""
    return 0 if len(lexeme) < 4 else 1 if len(lexeme) < 7 else 2 if len(lexeme) < 10 else 3


def _steps(typed: str, word: str, distance: int) -> int:
    """The distance, where two neighbours that changed places are one slip (Damerau), not two."""
    if distance == 2 and len(typed) == len(word):
        differ = [n for n, (one, other) in enumerate(zip(typed, word, strict=True)) if one != other]
        if len(differ) == 2 and differ[1] == differ[0] + 1 and typed[differ[0]] == word[differ[1]]:
            return 1
    return distance


# --- Excerpts -------------------------------------------------------------------------------------

_HEADLINES = """
SELECT ts_headline('helpdesk', title, query, %(title)s), ts_headline('helpdesk', body, query, %(body)s)
FROM (SELECT CAST(%(query)s AS tsquery) AS query) AS asked
CROSS JOIN unnest(%(titles)s::text[], %(bodies)s::text[]) WITH ORDINALITY AS one (title, body, n)
ORDER BY n
"""
_MARKS = f"StartSel={_START}, StopSel={_STOP}"


def _with_excerpts(found: list[Found], bodies: Iterable[str], query: str) -> list[Found]:
    """The same articles with their excerpts; words that match the query are marked, where there is one. One query."""
    if not found:
        return []
    texts = [plain(body)[:_SEARCHED_FOR_EXCERPT] for body in bodies]
    titles = [one.title.translate(_NO_MARKS) for one in found]
    headlines = [(title, "") for title in titles]
    if query:
        with connection.cursor() as cursor:
            cursor.execute(
                _HEADLINES,
                {
                    "query": query,
                    "titles": titles,
                    "bodies": texts,
                    "title": f"{_MARKS}, HighlightAll=true",
                    "body": f"{_MARKS}, MaxFragments=1, MinWords=12, MaxWords=28",
                },
            )
            headlines = cursor.fetchall()
    return [
        replace(one, title_html=_marked(title), excerpt_html=_marked(excerpt), excerpt=excerpt.translate(_NO_MARKS))
        for one, text, (title, body) in zip(found, texts, headlines, strict=True)
        for excerpt in [_whole(body, text) if _START in body else beginning(text, _EXCERPT)]
    ]


def _whole(excerpt: str, text: str) -> str:
    """The excerpt, with dots where the text goes on before or after it; a word or a full stop is put back instead."""
    before, found, after = text.partition(excerpt.translate(_NO_MARKS))
    if not found:
        return excerpt
    return (before if len(before) <= _A_WORD else "… ") + excerpt + (after if len(after) <= _A_WORD else " …")


def _marked(text: str) -> SafeString:
    """Text as HTML, with what stands between the marks in <mark>; everything else is escaped."""
    pieces = re.split(f"{_START}([^{_START}{_STOP}]*){_STOP}", text)
    shown = [(text.translate(_NO_MARKS), "") for text in pieces]
    shown = [("", piece[0]) if n % 2 else piece for n, piece in enumerate(shown)]
    return format_html_join("", "{}{}", ((plain, _mark(mark)) for plain, mark in shown))


def _mark(text: str) -> SafeString:
    return format_html_join("", "<mark>{}</mark>", [(text,)] if text else [])


def beginning(text: str, longest: int) -> str:
    """The first words of a text, with dots where it goes on; of a text without spaces, its first characters."""
    short = textwrap.shorten(text, longest, placeholder=" …")
    return short if short != "…" and short.strip() else Truncator(text).chars(longest)


def plain(html: str) -> str:
    """The words of sanitised HTML in one line, without markup and without characters that mark excerpts.

    A heading ends with a colon, so that it does not run into what follows.
    """
    html = _HEADING_ENDS.sub(":", html)
    return " ".join(unescape(strip_tags(html)).translate(_NO_MARKS).split())


# --- Suggesting -----------------------------------------------------------------------------------

MOST_COMMON = 300  # articles from which on a word says nothing about what somebody means
_TELLING = 10  # words that suggestions are made from
_ENOUGH = 0.3  # of the weight of these words

# The words of a text that tell most: those that few articles have. What it says in its beginning (the subject) counts
# twice, and so does a title that has the word. An article must have a good part of all that the text is about, and
# unless the text is about one thing only, more than one word of it.
_SUGGEST = """
WITH tokens AS (
    SELECT lower(token) AS token, min(n) AS n, count(*) AS times
    FROM ts_parse('default', %(text)s) WITH ORDINALITY AS parsed (tokid, token, n)
    WHERE tokid IN (1, 2, 3, 9, 10, 11) AND length(token) BETWEEN 2 AND 40
    GROUP BY 1
), lexemes AS (
    SELECT lexeme, min(n) AS n, sum(times) AS times
    FROM tokens CROSS JOIN LATERAL unnest(tsvector_to_array(to_tsvector('helpdesk', token))) AS lexeme
    WHERE ts_lexize('german_stem', token) <> '{}' AND ts_lexize('french_stem', token) <> '{}'
      AND ts_lexize('spanish_stem', token) <> '{}'
    GROUP BY 1 ORDER BY min(n) < %(beginning)s DESC, sum(times) DESC, min(n) LIMIT 40
), everything AS (
    SELECT count(*) AS total FROM articles WHERE workspace_id = %(workspace)s AND status = 'published'
), counted AS (
    SELECT lexeme, n, quote_literal(lexeme) AS term, (
        SELECT count(*) FROM (
            SELECT 1 FROM articles
            WHERE workspace_id = %(workspace)s AND status = 'published' AND words @@ quote_literal(lexeme)::tsquery
            LIMIT %(common)s
        ) AS having_it
    ) AS articles
    FROM lexemes
), telling AS MATERIALIZED (
    SELECT term, ln(1 + total::float / articles) * CASE WHEN n < %(beginning)s THEN 2 ELSE 1 END AS weight
    FROM counted, everything
    WHERE articles > 0 AND articles < %(common)s AND (total < 4 OR articles <= total * 0.6)
    ORDER BY weight DESC LIMIT %(telling)s
), scored AS (
    SELECT articles.id, count(*) AS words_in_it,
           sum(weight * CASE WHEN words @@ (term || ':A')::tsquery THEN 2 ELSE 1 END) AS score,
           bool_or(words @@ (term || ':A')::tsquery) AS in_title
    FROM telling JOIN articles ON words @@ term::tsquery
    WHERE workspace_id = %(workspace)s AND status = 'published' AND id <> ALL(%(without)s::uuid[])
    GROUP BY articles.id
)
SELECT id, score FROM scored, (SELECT sum(weight) AS weight, count(*) AS telling FROM telling) AS all_words
WHERE score >= all_words.weight * %(enough)s AND (words_in_it > 1 OR (in_title AND telling <= 2))
ORDER BY score DESC, id LIMIT %(limit)s
"""
_BEGINNING = 12  # words


def suggest(*, workspace: Workspace, text: str, limit: int = 5, without: Sequence[UUID] = ()) -> list[Found]:
    """Published articles that a long text (a ticket's subject, then its description) may be about, likeliest first.

    Nothing is suggested for a text that shares too little with any article. Only the first 5,000 characters are read.
    `without` names articles that are known already. Two queries at most.
    """
    text = text.replace("\0", " ")[:LONGEST_TEXT]
    if not text.strip() or limit < 1:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _SUGGEST,
            {
                "workspace": workspace.pk,
                "text": text,
                "beginning": _BEGINNING,
                "common": MOST_COMMON,
                "telling": _TELLING,
                "enough": _ENOUGH,
                "without": list(without),
                "limit": limit,
            },
        )
        scores: dict[UUID, float] = dict(cursor.fetchall())
    if not scores:
        return []
    rows = _rows(published(workspace).filter(pk__in=scores).annotate(score=Value(0.0)), limit)
    rows.sort(key=lambda row: -scores[row["id"]])
    found = [replace(_found(row), score=scores[row["id"]]) for row in rows]
    return _with_excerpts(found, [row["body_html"] for row in rows], "")


# --- Looking around -------------------------------------------------------------------------------


def shelves(workspace: Workspace, *, most: int = ON_A_SHELF) -> list[Shelf]:
    """Categories that have published articles, in their order, with the first `most` of each. Two queries.

    What is in no category comes last, on a shelf without a name and slug.
    """
    counts: dict[UUID | None, int] = {}
    articles: dict[UUID | None, list[Found]] = {}
    in_order = [F("position").asc(), F("title").asc(), F("pk").asc()]
    rows = _rows(
        published(workspace)
        .annotate(
            score=Value(0.0),
            place=Window(RowNumber(), partition_by=[F("category")], order_by=in_order),
            count=Window(Count("pk"), partition_by=[F("category")]),
        )
        .filter(place__lte=most)
        .order_by("place"),
        most * 500,
        "category_id",
        "count",
    )
    for row in rows:
        counts[row["category_id"]] = row["count"]
        articles.setdefault(row["category_id"], []).append(_listed(row))
    shown = [
        Shelf(category.name, category.slug, category.description, articles[category.pk], counts[category.pk])
        for category in ArticleCategory.objects.for_workspace(workspace).order_by("position", "name", "pk")
        if category.pk in counts
    ]
    return shown + ([Shelf("", "", "", articles[None], counts[None])] if None in counts else [])


def _listed(row: dict[str, Any]) -> Found:
    """An article of a list that nobody searched: its excerpt is its beginning."""
    found = _found(row)
    excerpt = beginning(plain(row["body_html"][:2000]), _SHORT_EXCERPT)
    return replace(found, excerpt=excerpt, title_html=_marked(found.title), excerpt_html=_marked(excerpt))


def popular(workspace: Workspace, limit: int = POPULAR) -> list[Found]:
    """The published articles that are read most, one query; those that nobody has read are not popular."""
    read = published(workspace).filter(view_count__gt=0).annotate(score=F("view_count"))
    return [_listed(row) for row in _rows(read.order_by("-view_count", "title", "pk"), limit)]


def find_category(workspace: Workspace, slug: str) -> "tuple[ArticleCategory, QuerySet[Article]]":
    """A category and its published articles in their order. Raises NotFound, also for one without any."""
    category = ArticleCategory.objects.for_workspace(workspace).filter(slug=slug).first()
    articles = published(workspace).filter(category=category).order_by("position", "title", "pk")
    if category is None or not articles.exists():
        raise NotFound("There is no such category.")
    return category, articles


def listed(articles: "QuerySet[Article]", start: int, end: int) -> list[Found]:
    """Articles of a category, from one place to another, as a list shows them. One query."""
    return [_listed(row) for row in _rows(articles.annotate(score=Value(0.0))[start:end], end - start)]


def find_article(workspace: Workspace, slug: str) -> Article:
    """A published article with its category, by its address. Raises NotFound: also for drafts, whoever asks."""
    article = published(workspace).filter(slug=slug).select_related("category").defer("words", "body").first()
    if article is None:
        raise NotFound("There is no such article.")
    return article


_HEADING = re.compile(r"<h([1-4])>(.*?)</h\1>", re.DOTALL)
_LOWEST_HEADING = 6


@dataclass(frozen=True)
class Part:
    """A part of an article: where it begins (an id in the page) and what its heading says."""

    anchor: str
    title: str


def laid_out(html: str) -> tuple[str, list[Part]]:
    """The sanitised text of an article as its page shows it, and its main parts.

    Whatever headings its author chose, the highest of them stand right below the title (h2), and each has an id.
    """
    levels = [int(level) for level, _ in _HEADING.findall(html)]
    parts: list[Part] = []
    lower = 2 - min(levels, default=2)
    number = 0

    def heading(found: re.Match[str]) -> str:
        nonlocal number
        number += 1
        level, anchor = min(int(found[1]) + lower, _LOWEST_HEADING), f"part-{number}"
        if level == 2 and (title := plain(found[2])):
            parts.append(Part(anchor, title))
        return f'<h{level} id="{anchor}">{found[2]}</h{level}>'

    return _HEADING.sub(heading, html), parts


def related(article: Article, limit: int = RELATED) -> list[Found]:
    """Published articles that share words with the title of this one, then others of its category. Three queries."""
    found = suggest(workspace=article.workspace, text=article.title, limit=limit, without=[article.pk])
    if len(found) < limit and article.category_id:
        others = (
            published(article.workspace)
            .filter(category=article.category_id)
            .exclude(pk__in=[article.pk, *(one.id for one in found)])
            .annotate(score=Value(0.0))
        )
        found += [_listed(row) for row in _rows(others.order_by("-view_count", "position", "pk"), limit - len(found))]
    return found


# --- Saying whether it helped ---------------------------------------------------------------------


def visitor_of(*, network: str, agent: str, about: str) -> str:
    """A name for a browser that tells nothing about it: HMAC-SHA256 under the server's secret (RFC 2104), as hex.

    `network` is the neighbourhood of its address, `agent` its User-Agent. `about` (an article, a day) makes names that
    cannot be compared with those about anything else.
    """
    said = "\0".join([network, agent[:500], about])
    return salted_hmac("portal.visitor", said, algorithm="sha256").hexdigest()


def rate_article(
    *, article: Article, visitor: str, is_helpful: bool, comment: str | None = None, now: dt.datetime
) -> ArticleFeedback:
    """Keep whether an article helped this visitor; a second answer replaces the first, and the counts follow.

    Without a comment (None) an earlier one stays, unless the answer changes. Raises InvalidInput (`comment`: no text,
    or longer than 1,000 characters) and NotFound (the article is not published any more). The article is locked, so
    that two answers at the same time are both counted, and two of the same visitor as one.
    """
    if comment is not None:
        comment = clean_text("comment", comment, longest=COMMENT_LENGTH, required=False)
    with transaction.atomic():
        locked = published(article.workspace).select_for_update(of=("self",)).filter(pk=article.pk).only("pk").first()
        if locked is None:
            raise NotFound("There is no such article.")
        feedback = (
            ArticleFeedback.objects.for_workspace(article.workspace).filter(article=locked, visitor=visitor).first()
        )
        before = feedback.is_helpful if feedback else None
        if feedback is None:
            feedback = ArticleFeedback(
                workspace_id=article.workspace_id, article=locked, visitor=visitor, created_at=now
            )
        if comment is None:
            comment = feedback.comment if before is is_helpful else ""
        feedback.is_helpful, feedback.comment, feedback.updated_at = is_helpful, comment, now
        feedback.save()
        if before is not is_helpful:
            published(article.workspace).filter(pk=article.pk).update(
                helpful_count=F("helpful_count") + int(is_helpful) - int(before is True),
                unhelpful_count=F("unhelpful_count") + int(not is_helpful) - int(before is False),
            )
    return feedback


def count_view(*, article: Article, visitor: str, network: str) -> bool:
    """Count that somebody read an article; whether it was counted.

    Once per visitor, whose name lasts for a day (`visitor_of`). A browser may call itself anything, so of one `network`
    (a name of that kind, too) no more than fifty are counted in a day: nobody makes an article popular alone. Valkey
    remembers who was counted; while it is away nothing is counted, which is better than counting everything.
    """
    if not cache.add(f"article-view:{article.pk}:{visitor}", 1, timeout=_DAY):
        return False
    if seconds_to_wait("readers", f"{article.pk}:{network}", (MOST_READERS, _DAY)) is not None:
        return False
    return published(article.workspace).filter(pk=article.pk).update(view_count=F("view_count") + 1) == 1
