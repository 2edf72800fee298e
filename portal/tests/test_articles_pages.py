"""Help articles in the console: the list, the editor, categories, and what a ticket's page offers of them."""

import datetime as dt
import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import Article, ArticleCategory
from portal.services import articles
from portal.tests.article_rows import make_article, make_category, make_feedback
from tickets.services import base, merging
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def workspace() -> Any:
    return WorkspaceFactory(slug="acme")


@pytest.fixture
def members(workspace: Any) -> dict[str, Any]:
    return {role: make_agent(workspace, role=role) for role in ("light", "agent", "admin")}


@pytest.fixture
def client_of(members: Any) -> Any:
    def signed_in(role: str = "agent") -> Client:
        client = Client()
        client.force_login(members[role].user)
        return client

    return signed_in


def words(answer: Any) -> str:
    """The text of a page, without markup."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())))


def edit(article: Article) -> str:
    return reverse("portal:article-edit", args=[article.pk])


class TestTheList:
    url = "/articles"

    def test_is_empty_with_the_one_thing_to_do_next(self, client_of):
        page = client_of().get(self.url)
        assert "Write the first one" in words(page)
        assert "Write the first one" not in words(client_of("light").get(self.url))

    def test_tells_how_each_article_fares(self, workspace, members, client_of):
        shelf = make_category(workspace, "Billing")
        made = make_article(workspace, members["agent"], category_id=shelf.pk, title="<b>Pay</b>")
        Article.unscoped.filter(pk=made.pk).update(view_count=1234, helpful_count=2, unhelpful_count=1)
        make_article(workspace, members["agent"], publish=False, title="Not yet")
        page = client_of("light").get(self.url)
        said = words(page)
        assert "<b>Pay</b> Published Billing 1,234 67 %" in said
        assert "&lt;b&gt;Pay&lt;/b&gt;" in page.content.decode()
        assert "Not yet Draft – 0 – nobody answered yet" in said

    def test_is_narrowed_by_status_category_and_words_of_the_title(self, workspace, members, client_of):
        shelf = make_category(workspace, "Billing")
        make_article(workspace, members["agent"], title="Paying by card", category_id=shelf.pk)
        make_article(workspace, members["agent"], title="Scanners", publish=False)

        def listed(**query: str) -> list[str]:
            answer = client_of().get(self.url, query)
            return re.findall(r'dir="auto">([^<]+)</a></th>', answer.content.decode())

        assert listed() == ["Scanners", "Paying by card"]
        assert listed(status="draft") == ["Scanners"]
        assert listed(category=str(shelf.pk)) == ["Paying by card"]
        assert listed(category="none") == ["Scanners"]
        assert listed(q="ING BY") == ["Paying by card"]
        assert listed(q="100%") == []
        assert listed(q="") == listed()
        assert listed(status="x", category="y") == ["Scanners", "Paying by card"]
        assert "No such article" in words(client_of().get(self.url, {"q": "zzz"}))

    def test_shows_fifty_on_a_page_in_a_fixed_number_of_queries(self, workspace, members, client_of):
        client = client_of()
        for number in range(51):
            make_article(workspace, members["agent"], title=f"Article {number}", now=NOW + dt.timedelta(minutes=number))
            if number in (0, 50):
                with CaptureQueriesContext(connection) as asked:
                    page = client.get(self.url)
                assert len(asked) == 8, [query["sql"] for query in asked]
        assert "1–50 of 51 articles" in words(page)
        assert "Article 0" in words(client.get(self.url, {"page": 2}))

    def test_shows_no_article_of_another_workspace(self, client_of):
        make_article(WorkspaceFactory(), title="Foreign")
        assert "Foreign" not in words(client_of().get(self.url))


class TestTheEditor:
    new = "/articles/new"

    def test_saves_a_draft(self, workspace, members, client_of):
        shelf = make_category(workspace)
        data = {"title": "First steps", "body": "Hello", "category_id": str(shelf.pk)}
        answer = client_of().post(self.new, data)
        made = Article.objects.for_workspace(workspace).get()
        assert (made.title, made.body, made.category, made.status, made.created_by) == (
            "First steps", "Hello", shelf, "draft", members["agent"].user,
        )  # fmt: skip
        assert answer["Location"] == edit(made)
        assert "Saved the draft. Only agents see it." in words(answer.client.get(answer["Location"]))

    def test_saves_and_publishes_in_one_go(self, workspace, client_of):
        client_of().post(self.new, {"title": "First steps", "body": "Hello", "then": "publish"})
        made = Article.objects.for_workspace(workspace).get()
        assert made.status == "published" and made.published_at
        client_of().post(edit(made), {"title": "First steps", "body": "Hello again", "version": 1})
        made.refresh_from_db()
        assert (made.status, made.body, made.version) == ("published", "Hello again", 2)

    @pytest.mark.parametrize(
        ("data", "named"),
        [
            ({"title": "", "body": "typed words"}, "id_title_error"),
            ({"title": "x" * 161, "body": "typed words"}, "id_title_error"),
            ({"title": "typed words", "body": ""}, "id_body_error"),
            ({"title": "typed words", "body": "x" * 50_001}, "id_body_error"),
            ({"title": "typed words", "body": "x", "category_id": "nonsense"}, "id_category_id_error"),
        ],
    )
    def test_comes_back_filled_in_with_what_is_wrong(self, workspace, members, client_of, data, named):
        kept = make_article(workspace, members["agent"])
        for url, extra in ((self.new, {}), (edit(kept), {"version": 1})):
            answer = client_of().post(url, data | extra)
            page = answer.content.decode()
            assert answer.status_code == 400
            assert f'id="{named}"' in page and "typed words" in page
        kept.refresh_from_db()
        assert kept.version == 1 and Article.objects.for_workspace(workspace).count() == 1

    def test_takes_no_category_of_another_workspace(self, workspace, client_of):
        foreign = make_category(WorkspaceFactory())
        answer = client_of().post(self.new, {"title": "x", "body": "x", "category_id": str(foreign.pk)})
        assert answer.status_code == 400 and not Article.objects.for_workspace(workspace).exists()

    def test_shows_both_texts_where_somebody_else_saved_meanwhile(self, workspace, members, client_of):
        kept = make_article(workspace, members["agent"], title="Old")
        theirs = {"title": "Theirs", "body": "their <words>"}
        articles.edit(article=kept, changes=theirs, version=1, by=members["admin"], now=NOW)
        mine = {"title": "Mine", "body": "my words", "version": "1", "then": "publish"}
        answer = client_of().post(edit(kept), mine)
        said, page = words(answer), answer.content.decode()
        assert answer.status_code == 409
        assert f"{members['admin'].user} saved this article while you were writing" in said
        assert "their <words>" in said and "my words" in said and 'value="Mine"' in page
        kept.refresh_from_db()
        assert (kept.title, kept.version) == ("Theirs", 2)
        # Saving the form as it came back is a choice, and overwrites.
        version = re.search(r'name="version" value="(\d+)"', page)
        assert version is not None
        client_of().post(edit(kept), {**mine, "version": version[1]})
        kept.refresh_from_db()
        assert (kept.title, kept.body, kept.version) == ("Mine", "my words", 3)

    @pytest.mark.parametrize("version", ["", "0", "-1", "x", "99999999999999999999"])
    def test_without_the_right_version_nothing_is_overwritten(self, workspace, members, client_of, version):
        kept = make_article(workspace, members["agent"], title="Old")
        answer = client_of().post(edit(kept), {"title": "Mine", "body": "my words", "version": version})
        assert answer.status_code in (400, 409) and 'value="Mine"' in answer.content.decode()
        kept.refresh_from_db()
        assert kept.title == "Old"

    def test_tells_what_readers_said(self, workspace, members, client_of):
        kept = make_article(workspace, members["agent"])
        make_feedback(kept, is_helpful=False, comment="<script>alert(1)</script> no picture")
        make_feedback(kept, comment="")
        Article.unscoped.filter(pk=kept.pk).update(helpful_count=1, unhelpful_count=1, view_count=40)
        page = client_of().get(edit(kept))
        assert "Views 40 Helpful 50 % Answers 2" in words(page)
        assert "&lt;script&gt;alert(1)&lt;/script&gt; no picture" in page.content.decode()
        assert page.content.decode().count("<li>") >= 1

    def test_is_only_read_by_light_agents(self, workspace, members, client_of):
        kept = make_article(workspace, members["agent"], body="Some **bold** <b>words</b>")
        page = client_of("light").get(edit(kept)).content.decode()
        assert "Some <strong>bold</strong> &lt;b&gt;words&lt;/b&gt;" in page
        assert "<textarea" not in page and "Unpublish" not in page and "Delete" not in page

    def test_opens_in_a_fixed_number_of_queries(self, workspace, members, client_of):
        kept, client = make_article(workspace, members["agent"], category_id=make_category(workspace).pk), client_of()
        client.get(edit(kept))
        with CaptureQueriesContext(connection) as asked:
            client.get(edit(kept))
        for number in range(5):
            make_feedback(kept, comment=f"{number}")
            make_category(workspace, f"More {number}")
        with CaptureQueriesContext(connection) as asked_later:
            client.get(edit(kept))
        assert len(asked) == len(asked_later) == 8, [query["sql"] for query in asked_later]

    def test_unpublishes(self, workspace, members, client_of):
        kept = make_article(workspace, members["agent"])
        client_of().post(reverse("portal:article-unpublish", args=[kept.pk]))
        kept.refresh_from_db()
        assert kept.status == "draft"

    def test_an_agent_deletes_only_what_they_began_and_nobody_saw(self, workspace, members, client_of):
        mine = make_article(workspace, members["agent"], publish=False)
        seen = make_article(workspace, members["agent"])
        articles.unpublish(article=seen, by=members["agent"], now=NOW)
        somebody_s = make_article(workspace, members["admin"], publish=False)

        def delete(article: Article, role: str = "agent") -> int:
            return client_of(role).post(reverse("portal:article-delete", args=[article.pk])).status_code

        assert [delete(one) for one in (mine, seen, somebody_s)] == [302, 403, 403]
        assert [delete(one, "admin") for one in (seen, somebody_s)] == [302, 302]
        assert not Article.objects.for_workspace(workspace).exists()

    def test_gives_the_text_of_published_articles_only(self, workspace, members, client_of):
        kept = make_article(workspace, members["agent"], body="Some **bold**")
        url = reverse("portal:article-text", args=[kept.pk])
        answer = client_of().get(url)
        assert answer.content == b"Some **bold**" and answer["Content-Type"].startswith("text/plain")
        articles.unpublish(article=kept, by=members["agent"], now=NOW)
        assert client_of().get(url).status_code == 404


class TestCategories:
    url = "/articles/categories"

    def test_are_made_changed_and_deleted(self, workspace, client_of):
        admin = client_of("admin")
        assert "No categories yet" in words(admin.get(self.url))
        admin.post(f"{self.url}/new", {"name": "Billing", "description": "What it costs"})
        made = ArticleCategory.objects.for_workspace(workspace).get()
        assert "What it costs" in words(admin.get(self.url))
        admin.post(f"{self.url}/{made.pk}", {"name": "Money", "description": ""})
        made.refresh_from_db()
        assert (made.name, made.description) == ("Money", "")
        refused = admin.post(f"{self.url}/new", {"name": "MONEY", "description": "typed"})
        assert refused.status_code == 400 and "with this name already" in words(refused)
        assert 'value="typed"' in refused.content.decode()
        admin.post(f"{self.url}/{made.pk}/delete")
        assert not ArticleCategory.objects.for_workspace(workspace).exists()

    def names(self, workspace: Any) -> list[str]:
        return [shelf.name for shelf in articles.categories(workspace.pk)]

    def test_are_moved_by_buttons_also_without_scripts(self, workspace, client_of):
        admin, made = client_of("admin"), [make_category(workspace, name) for name in ("One", "Two", "Three")]
        answer = admin.post(f"{self.url}/{made[2].pk}/move", {"direction": "up"})
        assert answer["Location"] == f"{self.url}#up-{made[2].pk.hex}"
        assert self.names(workspace) == ["One", "Three", "Two"]
        part = admin.post(f"{self.url}/{made[0].pk}/move", {"direction": "down"}, headers=HTMX).content.decode()
        assert part.strip().startswith('<section id="shelves"') and f'id="down-{made[0].pk.hex}" autofocus' in part
        admin.post(f"{self.url}/{made[2].pk}/move", {"direction": "up"})  # the first already
        assert self.names(workspace) == ["Three", "One", "Two"]

    def test_are_put_into_the_order_they_were_dragged_to(self, workspace, client_of):
        admin, made = client_of("admin"), [make_category(workspace, name) for name in ("One", "Two")]
        order = {"category_ids": [str(made[1].pk), str(made[0].pk)]}
        admin.post(f"{self.url}/order", order, headers=HTMX)
        assert self.names(workspace) == ["Two", "One"]
        for wrong in (["x"], [str(made[0].pk)], []):
            answer = admin.post(f"{self.url}/order", {"category_ids": wrong}, headers=HTMX)
            assert "Somebody else has just" in answer["HX-Trigger"]
        assert self.names(workspace) == ["Two", "One"]

    def test_are_listed_in_a_fixed_number_of_queries(self, workspace, client_of):
        admin = client_of("admin")
        counts = []
        for number in range(3):
            make_category(workspace, f"Number {number}")
            with CaptureQueriesContext(connection) as asked:
                admin.get(self.url)
            counts.append(len(asked))
        assert counts == [6, 6, 6]


class TestOnATicket:
    @pytest.fixture
    def ticket(self, workspace: Any) -> Any:
        return make_ticket(workspace, subject="My password is gone", description="How can I get into my account?")

    def url(self, ticket: Any) -> str:
        return reverse("portal:articles-for-ticket", args=[ticket.pk])

    def test_the_page_names_where_the_articles_come_from_and_asks_for_nothing_itself(self, ticket, client_of):
        page = client_of().get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert page.count(f'hx-get="{self.url(ticket)}"') == 1
        assert f'data-url="{self.url(ticket)}?part=menu"' in page

    def test_its_words_suggest_articles_with_absolute_links_for_the_reply(
        self, workspace, members, ticket, client_of, settings
    ):
        settings.SITE_URL = "https://help.example"
        made = make_article(workspace, members["agent"])
        make_article(workspace, members["agent"], title="Password draft", publish=False)
        make_article(WorkspaceFactory(), title="Foreign password")
        panel = client_of().get(self.url(ticket), headers=HTMX).content.decode()
        link = f"[How to reset your password](https://help.example/portal/acme/articles/{made.slug})"
        assert f'data-insert="{link}"' in panel
        assert "Foreign" not in panel and "Password draft" not in panel and "<html" not in panel
        menu = client_of().get(self.url(ticket), {"part": "menu"}, headers=HTMX).content.decode()
        assert f'data-article="{link}"' in menu

    def test_a_search_finds_others_and_drafts_which_cannot_be_inserted(self, workspace, members, ticket, client_of):
        make_article(workspace, members["agent"], title="Printing labels")
        draft = make_article(workspace, members["agent"], title="Labels for parcels", publish=False)
        make_article(WorkspaceFactory(), title="Foreign labels", publish=False)
        for part in ("found", "menu"):
            query = {"part": part, "q": " labels "}
            found = client_of().get(self.url(ticket), query, headers=HTMX).content.decode()
            assert "Printing labels" in found and "Labels for parcels" in found and "Draft" in found
            assert "Foreign" not in found
            assert draft.slug not in found and str(draft.pk) + "/text" not in found
        nothing = client_of().get(self.url(ticket), {"part": "found", "q": "<zzz>"}, headers=HTMX).content.decode()
        assert "&lt;zzz&gt;" in nothing
        odd = {"part": "found", "q": "' | & !( \\"}
        assert client_of().get(self.url(ticket), odd, headers=HTMX).status_code == 200

    def test_nothing_is_inserted_where_nobody_can_write(self, workspace, members, ticket, client_of):
        make_article(workspace, members["agent"])
        other = make_ticket(workspace, subject="My password is gone too")
        merging.merge(source=ticket, target_id=other.pk, actor=base.agent(members["agent"]), now=NOW)
        assert "data-insert" not in client_of().get(self.url(ticket), headers=HTMX).content.decode()
        assert "data-insert" in client_of("light").get(self.url(other), headers=HTMX).content.decode()

    def test_without_scripts_it_is_a_page(self, workspace, members, ticket, client_of):
        made = make_article(workspace, members["agent"])
        page = client_of().get(self.url(ticket)).content.decode()
        assert "<html" in page and made.title in page and "data-insert" not in page

    def test_costs_a_fixed_number_of_queries(self, workspace, members, ticket, client_of):
        client = client_of()
        counts = []
        for _ in range(3):
            make_article(workspace, members["agent"])
            make_article(workspace, members["agent"], publish=False)
            counts.append([])
            for query in ({}, {"part": "menu"}, {"part": "found", "q": "password"}):
                with CaptureQueriesContext(connection) as asked:
                    client.get(self.url(ticket), query, headers=HTMX)
                counts[-1].append(len(asked))
        # A search that finds fewer than three looks for what comes close, too.
        assert counts == [[7, 6, 10], [7, 6, 10], [7, 6, 7]]

    def test_becomes_a_draft_that_its_page_names(self, workspace, members, ticket, client_of):
        make_reply(ticket, members["agent"], body="Choose *Forgot password*.")
        answer = client_of().post(reverse("portal:article-from-ticket", args=[ticket.pk]))
        made = Article.objects.for_workspace(workspace).get()
        assert answer["Location"] == edit(made)
        assert (made.status, made.from_ticket, made.created_by) == ("draft", ticket, members["agent"].user)
        assert "Choose *Forgot password*." in made.body
        panel = words(client_of().get(self.url(ticket), headers=HTMX))
        assert "My password is gone Made of this ticket · Draft" in panel
        assert f"ticket #{ticket.number}" in words(client_of().get(edit(made)))


def test_every_member_finds_the_articles_in_the_sidebar(client_of):
    for role in ("light", "agent", "admin"):
        page = client_of(role).get("/articles").content.decode()
        assert re.search(r'href="/articles" title="Help articles" aria-current="page"', page)
