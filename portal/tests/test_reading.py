"""Help articles: what is on the shelves, whether an article helped, and how often it was read."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import InvalidInput, NotFound
from portal.models import Article, ArticleCategory, ArticleFeedback, ArticleWord
from portal.services import reading
from portal.tests.factories import make_article
from tickets.tests.factories import NOW


def make_category(workspace: Workspace, name: str, position: int = 0) -> ArticleCategory:
    return ArticleCategory.unscoped.create(
        workspace=workspace, name=name, slug=name.lower(), position=position, created_at=NOW, updated_at=NOW
    )


def counts(article: Article) -> tuple[int, int]:
    article.refresh_from_db()
    return article.helpful_count, article.unhelpful_count


@pytest.fixture
def workspace(db: None) -> Workspace:
    return WorkspaceFactory()


class TestShelves:
    def test_stand_in_order_with_their_first_articles_and_those_without_one_last(self, workspace: Workspace) -> None:
        second, first = make_category(workspace, "Second", 2), make_category(workspace, "First", 1)
        make_article(workspace, "Loose")
        for position, title in enumerate(["C", "B", "A"]):
            make_article(workspace, title, category=second, position=position)
        make_article(workspace, "One", category=first)
        shown = reading.shelves(workspace, most=2)
        assert [(shelf.name, [one.title for one in shelf.articles], shelf.count) for shelf in shown] == [
            ("First", ["One"], 1),
            ("Second", ["C", "B"], 3),
            ("", ["Loose"], 1),
        ]

    def test_show_neither_drafts_nor_categories_with_nothing_else(self, workspace: Workspace) -> None:
        plans, shown = make_category(workspace, "Plans"), make_category(workspace, "Shown")
        make_article(workspace, "Secret", category=plans, status="draft", published_at=None)
        make_article(workspace, "Also secret", category=shown, status="draft", published_at=None)
        make_article(workspace, "Open", category=shown)
        make_article(WorkspaceFactory(), "Elsewhere")
        (shelf,) = reading.shelves(workspace)
        assert (shelf.name, [one.title for one in shelf.articles], shelf.count) == ("Shown", ["Open"], 1)
        with pytest.raises(NotFound):
            reading.find_category(workspace, "plans")
        assert reading.shelves(WorkspaceFactory()) == []

    def test_take_two_queries_however_many_there_are(
        self, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        for name in "ABC":
            category = make_category(workspace, name)
            for title in "xyz":
                make_article(workspace, title, category=category)
        with django_assert_num_queries(2):
            assert [shelf.count for shelf in reading.shelves(workspace)] == [3, 3, 3]

    def test_popular_are_those_that_are_read(self, workspace: Workspace) -> None:
        for title, views in (("Never", 0), ("Often", 9), ("Once", 1)):
            make_article(workspace, title, view_count=views)
        make_article(workspace, "Draft", view_count=99, status="draft", published_at=None)
        assert [one.title for one in reading.popular(workspace)] == ["Often", "Once"]
        assert [one.title for one in reading.popular(workspace, 1)] == ["Often"]


class TestAnArticle:
    def test_is_found_by_its_address_when_it_is_published(self, workspace: Workspace) -> None:
        article = make_article(workspace, slug="reset")
        assert reading.find_article(workspace, "reset") == article

    @pytest.mark.parametrize("case", ["draft", "foreign", "unknown"])
    def test_that_is_not_published_here_is_not_there(self, workspace: Workspace, case: str) -> None:
        make_article(workspace, slug="draft", status="draft", published_at=None)
        make_article(WorkspaceFactory(), slug="foreign")
        with pytest.raises(NotFound):
            reading.find_article(workspace, case)

    def test_is_related_to_those_with_its_words_then_to_its_category(self, workspace: Workspace) -> None:
        category = make_category(workspace, "Access")
        article = make_article(workspace, "Reset your password", category=category)
        make_article(workspace, "Roof tiles", category=category, view_count=3)
        make_article(workspace, "Password rules")
        make_article(workspace, "Weather")
        make_article(workspace, "Draft", category=category, status="draft", published_at=None)
        assert [one.title for one in reading.related(article)] == ["Password rules", "Roof tiles"]

    def test_has_headings_below_its_title_and_says_its_parts(self) -> None:
        html, parts = reading.laid_out("<h1>A &amp; <em>b</em></h1>\n<p>x</p>\n<h2>C</h2>\n<h1>D</h1>")
        assert html == (
            '<h2 id="part-1">A &amp; <em>b</em></h2>\n<p>x</p>\n<h3 id="part-2">C</h3>\n<h2 id="part-3">D</h2>'
        )
        assert parts == [reading.Part("part-1", "A & b"), reading.Part("part-3", "D")]
        assert reading.laid_out("<h3>A</h3><h4>B</h4>")[0] == '<h2 id="part-1">A</h2><h3 id="part-2">B</h3>'
        assert reading.laid_out("<p>&lt;h1&gt;</p>") == ("<p>&lt;h1&gt;</p>", [])


class TestWhetherItHelped:
    def test_is_kept_once_for_each_visitor_who_may_change_it(self, workspace: Workspace) -> None:
        article = make_article(workspace)
        for visitor, is_helpful, expected in (
            ("a", True, (1, 0)),
            ("a", True, (1, 0)),
            ("b", False, (1, 1)),
            ("a", False, (0, 2)),
            ("b", True, (1, 1)),
        ):
            reading.rate_article(article=article, visitor=visitor, is_helpful=is_helpful, now=NOW)
            assert counts(article) == expected
        assert ArticleFeedback.objects.for_workspace(workspace).count() == 2

    def test_keeps_the_comment_unless_the_answer_changes(self, workspace: Workspace) -> None:
        article = make_article(workspace)

        def comment_after(is_helpful: bool, comment: str | None = None) -> str:
            kept = reading.rate_article(article=article, visitor="a", is_helpful=is_helpful, comment=comment, now=NOW)
            kept.refresh_from_db()
            return kept.comment

        assert comment_after(False, "  The picture is old. ") == "The picture is old."
        assert comment_after(False) == "The picture is old."
        assert comment_after(False, "It is still old.") == "It is still old."
        assert comment_after(True) == ""

    @pytest.mark.parametrize("comment", ["x" * 1001, "a\0b", "\ud800"])
    def test_refuses_comments_that_are_no_text_or_too_long(self, workspace: Workspace, comment: str) -> None:
        article = make_article(workspace)
        with pytest.raises(InvalidInput) as refused:
            reading.rate_article(article=article, visitor="a", is_helpful=False, comment=comment, now=NOW)
        assert list(refused.value.errors) == ["comment"]
        assert counts(article) == (0, 0) and not ArticleFeedback.unscoped.exists()

    def test_is_not_taken_for_what_is_not_published_any_more(self, workspace: Workspace) -> None:
        article = make_article(workspace)
        Article.unscoped.filter(pk=article.pk).update(status="draft")
        with pytest.raises(NotFound):
            reading.rate_article(article=article, visitor="a", is_helpful=True, now=NOW)
        assert counts(article) == (0, 0) and not ArticleFeedback.unscoped.exists()


def at_once(*work: Callable[[], object]) -> None:
    """Do each in a thread with a connection of its own, and raise what one of them raised."""

    def done(one: Callable[[], object]) -> None:
        try:
            one()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(work)) as crew:
        for one in [crew.submit(done, one) for one in work]:
            one.result(timeout=60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("visitors", [["a", "a"], ["a", "b"]], ids=["the same visitor", "two visitors"])
def test_two_answers_at_once_are_counted_right(visitors: list[str]) -> None:
    article = make_article(WorkspaceFactory())
    together = threading.Barrier(2)

    def answer(visitor: str) -> None:
        for n in range(5):
            together.wait(timeout=20)
            reading.rate_article(article=article, visitor=visitor, is_helpful=n % 2 == 0, now=NOW)

    at_once(*(partial(answer, visitor) for visitor in visitors))
    kept = list(ArticleFeedback.objects.for_workspace(article.workspace).values_list("is_helpful", flat=True))
    assert len(kept) == len(set(visitors))
    assert counts(article) == (kept.count(True), kept.count(False)) == (len(kept), 0)


@pytest.mark.django_db(transaction=True)
def test_two_articles_with_the_same_new_words_are_written_at_once() -> None:
    workspace = WorkspaceFactory()
    words = [first + second + third for first in "abc" for second in "eiou" for third in ("ner", "lat", "mos")]
    together = threading.Barrier(2)

    def write(words: list[str], name: str) -> None:
        for n in range(5):
            together.wait(timeout=20)
            make_article(workspace, f"{name} {n}", " ".join(f"{word}{'xyzvw'[n]}" for word in words), slug=f"{name}{n}")

    at_once(partial(write, words, "one"), partial(write, words[::-1], "two"))
    assert ArticleWord.objects.for_workspace(workspace).filter(word="aenerx").count() == 1
    assert Article.objects.for_workspace(workspace).count() == 10


class TestViews:
    def test_are_counted_once_for_each_visitor(self, workspace: Workspace) -> None:
        article = make_article(workspace)
        assert [reading.count_view(article=article, visitor=one, network="n") for one in "aabab"] == [
            True,
            False,
            True,
            False,
            False,
        ]
        article.refresh_from_db()
        assert article.view_count == 2

    def test_are_not_counted_while_nobody_can_remember_them(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        article = make_article(workspace)
        monkeypatch.setattr(cache, "add", lambda *args, **options: False)  # what the cache answers while it is away
        assert not reading.count_view(article=article, visitor="a", network="n")
        article.refresh_from_db()
        assert article.view_count == 0

    def test_are_not_counted_for_drafts(self, workspace: Workspace) -> None:
        article = make_article(workspace, status="draft", published_at=None)
        assert not reading.count_view(article=article, visitor="a", network="n")

    def test_name_visitors_by_what_tells_nothing_about_them(self, settings: Any) -> None:
        seen = {"network": "192.0.2.1", "agent": "Firefox", "about": "2025-03-12"}
        name = reading.visitor_of(**seen)
        assert len(name) == 64 and name == reading.visitor_of(**seen)
        for changed in ({"network": "192.0.2.2"}, {"agent": "Chrome"}, {"about": "2025-03-13"}):
            assert reading.visitor_of(**(seen | changed)) != name
        settings.SECRET_KEY = "x" * 60
        assert reading.visitor_of(**seen) != name
