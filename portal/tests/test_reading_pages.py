"""The pages of help articles, as visitors meet them."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import Article, ArticleCategory, ArticleFeedback
from portal.services import reading
from portal.tests.factories import make_article
from tickets.tests.factories import NOW, make_agent

pytestmark = pytest.mark.django_db

MOST_QUERIES = 6


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def category(workspace: Workspace) -> ArticleCategory:
    return ArticleCategory.unscoped.create(
        workspace=workspace, name="Access", slug="access", description="Getting in.", created_at=NOW, updated_at=NOW
    )


def address(article: Article, name: str = "article") -> str:
    return reverse(f"portal:{name}", args=[article.workspace.slug, article.slug])


class TestTheArticle:
    def test_is_there_for_everybody(self, client: Client, workspace: Workspace, category: ArticleCategory) -> None:
        article = make_article(
            workspace, "Reset your password", "## Steps\n\nChoose **Forgotten**.", category=category, slug="reset"
        )
        answer = client.get(address(article))
        assert answer.status_code == 200
        assert '<h2 id="part-1">Steps</h2>' in answer.text and "<strong>Forgotten</strong>" in answer.text
        assert reverse("portal:category", args=["acme", "access"]) in answer.text
        assert "Was this helpful?" in answer.text
        assert f"{reverse('portal:submit', args=['acme'])}?subject=Reset+your+password" in answer.text

    def test_may_be_found_by_search_engines_at_one_address(
        self, client: Client, workspace: Workspace, settings: Any
    ) -> None:
        settings.SITE_URL = "https://help.acme.example"
        article = make_article(workspace, "Reset", 'Say "friend" & <enter>. ' * 20, slug="reset")
        answer = client.get(address(article) + "?said=yes")
        assert '<link rel="canonical" href="https://help.acme.example/portal/acme/articles/reset">' in answer.text
        (description,) = re.findall(r'<meta name="description" content="([^"]*)">', answer.text)
        assert description.startswith("Say &quot;friend&quot; &amp; &lt;enter&gt;.") and description.endswith("…")
        assert '<meta name="robots" content="index, follow">' in answer.text and "X-Robots-Tag" not in answer

    def test_shows_what_is_in_it_when_it_has_several_parts(self, client: Client, workspace: Workspace) -> None:
        short = make_article(workspace, "Short", "# One\n\nx\n\n# Two\n\ny")
        long = make_article(workspace, "Long", "# One\n\nx\n\n# Two\n\ny\n\n# Three <b>\n\nz")
        assert "On this page" not in client.get(address(short)).text
        page = client.get(address(long)).text
        assert "On this page" in page and '<a href="#part-3" dir="auto">Three &lt;b&gt;</a>' in page

    @pytest.mark.parametrize("role", [None, "owner"])
    def test_is_not_there_as_a_draft_whoever_asks(self, client: Client, workspace: Workspace, role: str | None) -> None:
        draft = make_article(workspace, "Secret plan", "hush", status="draft", published_at=None)
        if role:
            client.force_login(make_agent(workspace, role).user)
        for method, name in (("get", "article"), ("post", "article-feedback"), ("post", "article-view")):
            answer = getattr(client, method)(address(draft, name), {"helpful": "yes"})
            assert answer.status_code == 404
            assert "Secret" not in answer.text and "hush" not in answer.text
        assert not ArticleFeedback.unscoped.exists()

    def test_of_another_workspace_or_none_is_not_there_and_the_page_offers_the_search(
        self, client: Client, workspace: Workspace
    ) -> None:
        make_article(WorkspaceFactory(), "Elsewhere", slug="elsewhere")
        foreign, unknown = (client.get(reverse("portal:article", args=["acme", slug])) for slug in ("elsewhere", "no"))
        assert foreign.status_code == unknown.status_code == 404
        assert "This article is not here" in foreign.text and 'role="search"' in foreign.text
        assert foreign["X-Robots-Tag"] == "noindex"
        assert client.get(reverse("portal:article", args=["nobody", "x"])).status_code == 404

    def test_shows_what_people_wrote_as_text(self, client: Client, workspace: Workspace) -> None:
        attack = "<script>alert(1)</script>"
        category = ArticleCategory.unscoped.create(
            workspace=workspace, name=attack, slug="x", description=attack, created_at=NOW, updated_at=NOW
        )
        article = make_article(workspace, f"{attack} lighthouse", f"{attack}\n\n# {attack}", category=category)
        make_article(workspace, f"{attack} lighthouse two", attack, category=category)
        for url in (
            address(article),
            reverse("portal:category", args=["acme", "x"]),
            reverse("portal:search", args=["acme"]) + "?q=lighthouse",
            reverse("portal:search", args=["acme"]) + f"?q={attack}",
            reverse("portal:search", args=["acme"]) + f"?q=zzzzz+{attack}",
        ):
            page = client.get(url).text
            assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page

    def test_tells_nothing_that_only_agents_know(self, client: Client, workspace: Workspace) -> None:
        agent = make_agent(workspace, user__name="Maria Rossi")
        article = make_article(workspace, "Reset", "x", created_by=agent.user, updated_by=agent.user, view_count=98765)
        page = client.get(address(article)).text
        assert "Maria" not in page and "98765" not in page and str(workspace.pk) not in page

    def test_takes_few_queries_however_much_there_is(
        self, client: Client, workspace: Workspace, category: ArticleCategory, django_assert_max_num_queries: Any
    ) -> None:
        articles = [make_article(workspace, f"Reset password {n}", "x", category=category) for n in range(12)]
        for url in (
            address(articles[0]),
            reverse("portal:category", args=["acme", "access"]),
            *(
                reverse("portal:search", args=["acme"]) + f"?q={words}"
                for words in ("reset", "resset pasword 3", "zzzzz+yyyyy", "")
            ),
        ):
            with django_assert_max_num_queries(MOST_QUERIES):
                assert client.get(url).status_code == 200


class TestTheCategory:
    def test_shows_its_published_articles_in_order(
        self, client: Client, workspace: Workspace, category: ArticleCategory
    ) -> None:
        for position, title in ((2, "Second"), (1, "First")):
            make_article(workspace, title, "Some words.", category=category, position=position)
        make_article(workspace, "Secret", category=category, status="draft", published_at=None)
        answer = client.get(reverse("portal:category", args=["acme", "access"]))
        assert re.findall(r"<b>(\w+)</b>", answer.text.partition("</header>")[2])[:2] == ["First", "Second"]
        assert "Getting in." in answer.text and "Some words." in answer.text and "Secret" not in answer.text
        assert answer["X-Robots-Tag"] == "noindex, follow"

    def test_goes_on_on_further_pages(self, client: Client, workspace: Workspace, category: ArticleCategory) -> None:
        for n in range(51):
            make_article(workspace, f"Article {n:02}", category=category, position=n)
        url = reverse("portal:category", args=["acme", "access"])
        assert "Page 1 of 2" in client.get(url).text and "Article 50" not in client.get(url).text
        assert "Article 50" in client.get(f"{url}?page=2").text
        for odd in ("x", "0", "99", "-1"):
            assert client.get(f"{url}?page={odd}").status_code == 200

    def test_with_drafts_only_is_not_there(
        self, client: Client, workspace: Workspace, category: ArticleCategory
    ) -> None:
        make_article(workspace, "Secret", category=category, status="draft", published_at=None)
        answer = client.get(reverse("portal:category", args=["acme", "access"]))
        assert answer.status_code == 404 and "Access" not in answer.text


class TestTheSearch:
    def test_shows_what_matched_and_keeps_the_words(self, client: Client, workspace: Workspace) -> None:
        make_article(workspace, "Reset your password", "Choose forgotten.")
        answer = client.get(reverse("portal:search", args=["acme"]), {"q": "  password   reset "})
        assert 'value="password reset"' in answer.text and "1 article</h2>" in answer.text
        assert "<mark>Reset</mark> your <mark>password</mark>" in answer.text
        assert answer["X-Robots-Tag"] == "noindex"

    def test_says_that_something_only_comes_close(self, client: Client, workspace: Workspace) -> None:
        make_article(workspace, "Reset your password", "Choose forgotten.")
        page = client.get(reverse("portal:search", args=["acme"]), {"q": "pasword"}).text
        assert "These come close" in page and "Reset your <mark>password</mark>" in page

    def test_offers_to_ask_where_nothing_is_found(self, client: Client, workspace: Workspace) -> None:
        make_article(workspace, "Read by many", view_count=3)
        page = client.get(reverse("portal:search", args=["acme"]), {"q": "giraffe & lion"}).text
        assert "No article has these words" in page and "Read by many" in page
        assert f"{reverse('portal:submit', args=['acme'])}?subject=giraffe+%26+lion" in page

    def test_without_words_shows_the_form(self, client: Client, workspace: Workspace) -> None:
        answer = client.get(reverse("portal:search", args=["acme"]))
        assert answer.status_code == 200 and "No article has" not in answer.text

    def test_is_refused_for_a_while_when_a_machine_asks(
        self, client: Client, workspace: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from rest_framework.settings import api_settings

        monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "reading", "2/min")
        url = reverse("portal:search", args=["acme"])
        assert [client.get(url, {"q": "x"}).status_code for _ in range(3)] == [200, 200, 429]


class TestWhetherItHelped:
    def test_is_said_without_scripts(self, client: Client, workspace: Workspace) -> None:
        article = make_article(workspace, "Reset")
        answer = client.post(address(article, "article-feedback"), {"helpful": "yes"})
        assert answer.status_code == 302 and answer["Location"] == f"{address(article)}?said=yes#helpful"
        article.refresh_from_db()
        assert (article.helpful_count, article.unhelpful_count) == (1, 0)
        page = client.get(f"{address(article)}?said=yes").text
        assert "Thank you for telling us" in page and "Was this helpful?" not in page

    def test_asks_what_was_missing_after_a_no_which_counts_at_once(self, client: Client, workspace: Workspace) -> None:
        article = make_article(workspace, "Reset")
        answer = client.post(address(article, "article-feedback"), {"helpful": "no"})
        assert answer["Location"] == f"{address(article)}?said=no#helpful"
        assert 'name="comment"' in client.get(f"{address(article)}?said=no").text
        answer = client.post(address(article, "article-feedback"), {"helpful": "no", "comment": "It is <old>."})
        assert answer["Location"] == f"{address(article)}?said=comment#helpful"
        feedback = ArticleFeedback.objects.for_workspace(workspace).get()
        assert (feedback.is_helpful, feedback.comment) == (False, "It is <old>.")
        article.refresh_from_db()
        assert (article.helpful_count, article.unhelpful_count) == (0, 1)

    def test_is_one_answer_of_each_browser_which_is_named_by_nothing_that_tells_of_it(
        self, client: Client, workspace: Workspace
    ) -> None:
        article, other = make_article(workspace, "Reset"), make_article(workspace, "Other")
        for agent in ("Firefox", "Firefox", "Chrome"):
            client.post(address(article, "article-feedback"), {"helpful": "yes"}, headers={"user-agent": agent})
        client.post(address(other, "article-feedback"), {"helpful": "yes"}, headers={"user-agent": "Firefox"})
        article.refresh_from_db()
        assert article.helpful_count == 2
        visitors = list(ArticleFeedback.objects.for_workspace(workspace).values_list("visitor", flat=True))
        assert len(set(visitors)) == 3 and all(re.fullmatch(r"[0-9a-f]{64}", visitor) for visitor in visitors)

    @pytest.mark.parametrize(
        ("sent", "said"),
        [
            ({}, "Please choose yes or no."),
            ({"helpful": "maybe"}, "Please choose yes or no."),
            ({"helpful": "no", "comment": "x" * 1001}, "This is too long"),
            ({"helpful": "no", "comment": "a\0b"}, "Null characters are not allowed"),
        ],
    )
    def test_comes_back_where_it_is_not_understood(
        self, client: Client, workspace: Workspace, sent: dict[str, str], said: str
    ) -> None:
        article = make_article(workspace, "Reset")
        answer = client.post(address(article, "article-feedback"), sent)
        assert answer.status_code == 400 and said in answer.text
        assert not ArticleFeedback.unscoped.exists()

    def test_needs_the_token_of_the_page(self, workspace: Workspace) -> None:
        client = Client(enforce_csrf_checks=True)
        article = make_article(workspace, "Reset")
        for name in ("article-feedback", "article-view"):
            assert client.post(address(article, name), {"helpful": "yes"}).status_code == 403
        article.refresh_from_db()
        assert (article.helpful_count, article.view_count) == (0, 0)

    def test_is_not_changed_by_reading(self, client: Client, workspace: Workspace) -> None:
        article = make_article(workspace, "Reset")
        for query in ("?said=yes", "?helpful=yes", "?said=no&comment=x"):
            client.get(address(article) + query)
        for name in ("article-feedback", "article-view"):
            assert client.get(address(article, name)).status_code == 405
        article.refresh_from_db()
        assert (article.helpful_count, article.view_count) == (0, 0) and not ArticleFeedback.unscoped.exists()


class TestViews:
    def test_are_counted_once_a_day_for_each_browser(self, client: Client, workspace: Workspace) -> None:
        article = make_article(workspace, "Reset")
        for agent in ("Firefox", "Firefox", "Chrome"):
            answer = client.post(address(article, "article-view"), headers={"user-agent": agent})
            assert (answer.status_code, answer.content) == (204, b"")
        article.refresh_from_db()
        assert article.view_count == 2

    def test_is_counted_fifty_times_a_day_from_one_network_whatever_browsers_call_themselves(
        self, client: Client, workspace: Workspace
    ) -> None:
        article = make_article(workspace, "Reset")
        for number in range(reading.MOST_READERS + 10):
            client.post(address(article, "article-view"), headers={"user-agent": f"Browser {number}"})
        other = client.post(address(article, "article-view"), REMOTE_ADDR="192.0.2.83")
        article.refresh_from_db()
        assert other.status_code == 204 and article.view_count == reading.MOST_READERS + 1
