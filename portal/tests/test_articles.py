"""Help articles as agents make them: what the services refuse, keep, and make of a ticket."""

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection, transaction

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from portal.models import Article, ArticleCategory
from portal.services import articles
from portal.tests.article_rows import make_article, make_category
from tickets.models import Comment
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def workspace() -> Any:
    return WorkspaceFactory(slug="acme")


@pytest.fixture
def maria(workspace: Any) -> Any:
    return make_agent(workspace, user__name="Maria Rossi")


def rows(workspace: Any) -> Any:
    return Article.objects.for_workspace(workspace)


class TestWriting:
    def test_a_new_article_is_a_draft_of_its_author(self, workspace, maria):
        made = articles.create(workspace=workspace, title="  First \n steps ", body="Hello **you**", by=maria, now=NOW)
        kept = rows(workspace).get()
        assert (kept.title, kept.slug, kept.status, kept.version) == ("First steps", "first-steps", "draft", 1)
        assert kept.body_html == "<p>Hello <strong>you</strong></p>"
        assert (kept.created_by, kept.updated_by, kept.published_at) == (maria.user, maria.user, None)
        assert kept.created_at == kept.updated_at == NOW and made.pk == kept.pk

    def test_html_and_scripts_in_it_are_text(self, workspace, maria):
        body = '<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) <b style="x">'
        made = make_article(workspace, maria, body=body)
        assert "<script" not in made.body_html and "<img" not in made.body_html
        assert 'href="javascript' not in made.body_html and "<b" not in made.body_html
        edited = articles.edit(article=made, changes={"body": body + "!"}, version=1, by=maria, now=LATER)
        assert "<script" not in edited.body_html and "<img" not in edited.body_html

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"title": ""}, {"title"}),
            ({"title": " \n "}, {"title"}),
            ({"title": "x" * 161}, {"title"}),
            ({"title": "a\0b"}, {"title"}),
            ({"title": 7}, {"title"}),
            ({"body": ""}, {"body"}),
            ({"body": "x" * 50_001}, {"body"}),
            ({"body": "\ud800"}, {"body"}),
            ({"body": None}, {"body"}),
            ({"title": "", "body": ""}, {"title", "body"}),
        ],
    )
    def test_what_is_refused_names_the_fields_and_writes_nothing(self, workspace, maria, fields, named):
        with pytest.raises(InvalidInput) as refused:
            make_article(workspace, maria, **fields)
        assert set(refused.value.errors) == named
        kept = make_article(workspace, maria)
        with pytest.raises(InvalidInput) as refused:
            articles.edit(article=kept, changes=fields, version=1, by=maria, now=LATER)
        assert set(refused.value.errors) == named
        after = rows(workspace).get()
        assert (after.title, after.body, after.version, after.updated_at) == (kept.title, kept.body, 1, NOW)

    def test_a_field_that_there_is_not_is_refused(self, workspace, maria):
        kept = make_article(workspace, maria)
        with pytest.raises(InvalidInput) as refused:
            articles.edit(article=kept, changes={"slug": "mine"}, version=1, by=maria, now=LATER)
        assert set(refused.value.errors) == {"slug"}

    def test_a_foreign_category_is_like_none_that_exists(self, workspace, maria):
        foreign = make_category(WorkspaceFactory())
        with pytest.raises(NotFound) as refused:
            make_article(workspace, maria, category_id=foreign.pk)
        assert set(refused.value.errors) == {"category_id"}
        kept = make_article(workspace, maria)
        with pytest.raises(NotFound):
            articles.edit(article=kept, changes={"category_id": foreign.pk}, version=1, by=maria, now=LATER)
        assert rows(workspace).get().category_id is None

    def test_a_change_counts_and_names_who_made_it(self, workspace, maria):
        kept, sam = make_article(workspace, maria), make_agent(workspace)
        shelf = make_category(workspace)
        changes = {"title": "Another", "body": "*new*", "category_id": shelf.pk}
        saved = articles.edit(article=kept, changes=changes, version=1, by=sam, now=LATER)
        assert (saved.version, saved.updated_by, saved.updated_at) == (2, sam.user, LATER)
        after = rows(workspace).get()
        assert (after.title, after.body_html, after.category_id) == ("Another", "<p><em>new</em></p>", shelf.pk)
        assert after.created_by == maria.user

    def test_what_changes_nothing_is_no_new_version(self, workspace, maria):
        kept = make_article(workspace, maria)
        changes = {"title": kept.title, "body": kept.body, "category_id": None}
        saved = articles.edit(article=kept, changes=changes, version=1, by=maria, now=LATER)
        assert (saved.version, saved.updated_at) == (1, NOW)

    def test_who_read_an_older_version_is_told_and_overwrites_nothing(self, workspace, maria):
        kept = make_article(workspace, maria)
        articles.edit(article=kept, changes={"body": "first"}, version=1, by=maria, now=LATER)
        for version in (1, 0, 3):
            with pytest.raises(Conflict) as refused:
                articles.edit(
                    article=kept, changes={"body": "second"}, version=version, by=maria, now=LATER, publish=True
                )
            assert refused.value.code == "changed"
        assert rows(workspace).get().body == "first"

    def test_one_that_is_gone_is_not_found(self, workspace, maria):
        kept = make_article(workspace, maria)
        articles.delete(article=kept)
        assert not rows(workspace).exists()
        with pytest.raises(NotFound):
            articles.edit(article=kept, changes={"body": "x"}, version=1, by=maria, now=LATER)
        with pytest.raises(NotFound):
            articles.publish(article=kept, by=maria, now=LATER)
        with pytest.raises(NotFound):
            articles.find_article(workspace.pk, kept.pk)

    def test_of_another_workspace_is_not_found(self, workspace, maria):
        with pytest.raises(NotFound):
            articles.find_article(WorkspaceFactory().pk, make_article(workspace, maria).pk)

    def test_the_words_of_the_title_weigh_more(self, workspace, maria):
        made = make_article(workspace, maria, title="Printing labels", body="Parcels are **weighed** first.")
        with connection.cursor() as cursor:
            cursor.execute("SELECT words::text FROM articles WHERE id = %s", [made.pk])
            assert cursor.fetchone()[0] == "'first':6B 'label':2A 'parcel':3B 'print':1A 'weigh':5B"
            articles.edit(article=made, changes={"title": "Boxes"}, version=1, by=maria, now=LATER)
            cursor.execute("SELECT words::text FROM articles WHERE id = %s", [made.pk])
            assert "'box':1A" in cursor.fetchone()[0]

    def test_more_words_than_a_search_document_holds_are_found_by_their_beginning(self, workspace, maria, monkeypatch):
        monkeypatch.setattr(articles, "BODY_LENGTH", 2_000_000)
        body = "beginning " + " ".join(f"{n:x}é漢{n * 7919:x}" for n in range(90_000))
        made = make_article(workspace, maria, body=body)
        assert rows(workspace).filter(pk=made.pk, words="beginning").exists()


class TestPublishing:
    def test_shows_it_and_counts_from_the_first_time(self, workspace, maria):
        draft = make_article(workspace, maria, publish=False)
        shown = articles.publish(article=draft, by=maria, now=LATER)
        assert (shown.status, shown.published_at, shown.version) == ("published", LATER, 1)
        hidden = articles.unpublish(article=draft, by=maria, now=LATER)
        assert (hidden.status, hidden.published_at) == ("draft", LATER)
        again = articles.publish(article=draft, by=maria, now=LATER + dt.timedelta(days=1))
        assert (again.status, again.published_at) == ("published", LATER)

    def test_twice_changes_nothing(self, workspace, maria):
        kept = make_article(workspace, maria)
        assert articles.publish(article=kept, by=maria, now=LATER).updated_at == NOW
        draft = make_article(workspace, maria, publish=False)
        assert articles.unpublish(article=draft, by=maria, now=LATER).updated_at == NOW

    def test_saving_can_publish_in_the_same_breath(self, workspace, maria):
        draft = make_article(workspace, maria, publish=False)
        saved = articles.edit(article=draft, changes={"body": "now"}, version=1, by=maria, now=LATER, publish=True)
        assert (saved.status, saved.body, saved.published_at) == ("published", "now", LATER)


class TestAddresses:
    @pytest.mark.parametrize(
        ("title", "slug"),
        [
            ("How do I change my invoice?", "how-do-i-change-my-invoice"),
            ("Über Größen & Maße", "uber-groen-mae"),
            ("パスワードを忘れた", "article"),
            ("!?", "article"),
            ("--- x ---", "x"),
            ("word " * 30, ("word-" * 15).strip("-")),
            ("x" * 160, "x" * 74),
        ],
    )
    def test_are_made_of_the_title(self, workspace, maria, title, slug):
        assert make_article(workspace, maria, title=title).slug == slug

    def test_are_numbered_where_they_are_taken(self, workspace, maria):
        made = [
            make_article(workspace, maria, title=title).slug for title in ("A b", "a  B!", "A b 2", "A b", "漢", "字")
        ]
        assert made == ["a-b", "a-b-2", "a-b-2-2", "a-b-3", "article", "article-2"]
        assert make_article(WorkspaceFactory(), title="A b").slug == "a-b"

    def test_follow_the_title_until_the_article_is_published_and_stay_then(self, workspace, maria):
        draft = make_article(workspace, maria, title="One", publish=False)
        draft = articles.edit(article=draft, changes={"title": "Two"}, version=1, by=maria, now=LATER)
        assert draft.slug == "two"
        shown = articles.publish(article=draft, by=maria, now=LATER)
        shown = articles.edit(article=shown, changes={"title": "Three"}, version=2, by=maria, now=LATER)
        assert shown.slug == "two"
        hidden = articles.unpublish(article=shown, by=maria, now=LATER)
        hidden = articles.edit(article=hidden, changes={"title": "Four"}, version=3, by=maria, now=LATER)
        assert hidden.slug == "two"

    def test_are_absolute_in_a_reply_with_the_title_as_words(self, workspace, maria, settings):
        settings.SITE_URL = "https://help.example"
        made = make_article(workspace, maria, title="Why [1] is *not* <here>")
        assert (
            articles.address_of(workspace=workspace, slug=made.slug)
            == f"https://help.example/portal/acme/articles/{made.slug}"
        )
        link = articles.link_to(workspace=workspace, slug=made.slug, title=made.title)
        assert link == rf"[Why \[1\] is \*not\* \<here\>](https://help.example/portal/acme/articles/{made.slug})"


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def together(self, *work: Any) -> list[Any]:
        """Run these on connections of their own, let go at the same moment; what each gave or raised."""
        barrier = threading.Barrier(len(work))
        outcomes: list[Any] = [None] * len(work)

        def run(place: int) -> None:
            try:
                connection.ensure_connection()
                barrier.wait(10)
                outcomes[place] = work[place]()
            except Exception as error:
                outcomes[place] = error
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(place,)) for place in range(len(work))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return outcomes

    def test_get_addresses_of_their_own(self, workspace, maria):
        def write() -> str:
            return make_article(workspace, maria, title="The same").slug

        assert sorted(self.together(write, write, write, write)) == [
            "the-same",
            "the-same-2",
            "the-same-3",
            "the-same-4",
        ]
        assert sorted(rows(workspace).values_list("position", flat=True)) == [1, 2, 3, 4]

    def test_of_two_who_save_the_same_version_one_is_told(self, workspace, maria):
        kept = make_article(workspace, maria)

        def save(words: str) -> Any:
            return lambda: articles.edit(article=kept, changes={"body": words}, version=1, by=maria, now=LATER)

        outcomes = self.together(save("one"), save("two"))
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Article", "Conflict"]
        saved = next(outcome for outcome in outcomes if isinstance(outcome, Article))
        after = rows(workspace).get()
        assert (after.version, after.body) == (2, saved.body)

    def test_categories_of_one_name_are_one(self, workspace):
        def make() -> Any:
            return make_category(workspace, "Billing")

        outcomes = self.together(make, make)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ArticleCategory", "InvalidInput"]

    def test_who_writes_an_article_does_not_hold_up_new_tickets(self, workspace, maria):
        with transaction.atomic():
            make_article(workspace, maria)
            [made] = self.together(lambda: make_ticket(workspace))
        assert made.number


class TestCategories:
    def test_are_made_at_the_end_with_an_address_that_stays(self, workspace):
        first, second = make_category(workspace, "Getting started"), make_category(workspace, "請求")
        assert (first.slug, first.position, second.slug, second.position) == ("getting-started", 1, "category", 2)
        changed = articles.save_category(
            workspace=workspace,
            changes={"name": "Billing", "description": " What it costs "},
            category=first,
            now=LATER,
        )
        assert (changed.name, changed.description, changed.slug) == ("Billing", "What it costs", "getting-started")
        assert (changed.created_at, changed.updated_at) == (NOW, LATER)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({}, {"name"}),
            ({"name": " "}, {"name"}),
            ({"name": "x" * 81}, {"name"}),
            ({"name": "BILLING"}, {"name"}),
            ({"name": "a\0"}, {"name"}),
            ({"name": "x", "description": "x" * 201}, {"description"}),
            ({"name": "x", "slug": "x"}, {"slug"}),
        ],
    )
    def test_what_is_refused_names_the_field(self, workspace, changes, named):
        make_category(workspace, "Billing")
        with pytest.raises(InvalidInput) as refused:
            articles.save_category(workspace=workspace, changes=changes, now=NOW)
        assert set(refused.value.errors) == named
        assert ArticleCategory.objects.for_workspace(workspace).count() == 1

    def test_are_a_hundred_at_most(self, workspace, monkeypatch):
        monkeypatch.setattr(articles, "MAX_CATEGORIES", 1)
        make_category(workspace, "One")
        with pytest.raises(Conflict):
            make_category(workspace, "Two")

    def test_are_put_into_an_order_that_names_each_once(self, workspace):
        made = [make_category(workspace, name) for name in ("One", "Two", "Three")]
        ids = [shelf.pk for shelf in made]
        foreign = make_category(WorkspaceFactory()).pk
        for wrong in (ids[:2], [*ids, ids[0]], [*ids[:2], foreign], [*ids, foreign], []):
            with pytest.raises(InvalidInput):
                articles.order_categories(workspace=workspace, category_ids=wrong, now=LATER)
        assert [shelf.name for shelf in articles.categories(workspace.pk)] == ["One", "Two", "Three"]
        articles.order_categories(workspace=workspace, category_ids=[ids[2], ids[0], ids[1]], now=LATER)
        assert [shelf.name for shelf in articles.categories(workspace.pk)] == ["Three", "One", "Two"]

    def test_leave_their_articles_when_they_are_deleted(self, workspace, maria):
        shelf = make_category(workspace)
        kept = make_article(workspace, maria, category_id=shelf.pk)
        articles.delete_category(category=shelf)
        after = rows(workspace).get()
        assert (after.pk, after.category_id, after.status) == (kept.pk, None, "published")
        assert articles.categories(workspace.pk) == []

    def test_count_their_articles_and_give_each_its_place(self, workspace, maria):
        shelf = make_category(workspace)
        made = [make_article(workspace, maria, category_id=shelf.pk) for _ in range(3)]
        loose = make_article(workspace, maria)
        assert [one.position for one in made] == [1, 2, 3] and loose.position == 1
        moved = articles.edit(article=loose, changes={"category_id": shelf.pk}, version=1, by=maria, now=LATER)
        assert moved.position == 4
        assert articles.categories(workspace.pk)[0].articles_count == 4


class TestOfATicket:
    def ticket(self, workspace: Any, **fields: Any) -> Any:
        given = {
            "subject": "Jane Smith cannot print",
            "description": (
                "Hello,\n\nthis is Jane Smith. My labels stay **empty**. Write to jane@customers.example, "
                "or to my boss: Boss@Customers.example.\n\nJane"
            ),
            "cc": ["carl.jones@partner.example"],
        }
        return make_ticket(workspace, **(given | fields))

    def test_the_question_and_the_public_answers_become_a_draft(self, workspace, maria):
        ticket = self.ticket(workspace)
        make_reply(ticket, maria, NOW, body="Hi Jane,\n\nplease choose *A6* in the settings.")
        make_reply(ticket, maria, LATER, body="Anything else, JANE  SMITH?")
        made = articles.draft_from_ticket(ticket=ticket, by=maria, now=LATER)
        assert (made.title, made.status, made.from_ticket, made.created_by) == (
            "[customer] cannot print", "draft", ticket, maria.user,
        )  # fmt: skip
        assert made.body == (
            "## Question\n\nHello,\n\nthis is [customer]. My labels stay **empty**. Write to [e-mail address], "
            "or to my boss: [e-mail address].\n\n[customer]\n\n## Answer\n\nHi [customer],\n\nplease choose *A6* in "
            "the settings.\n\nAnything else, [customer]?"
        )
        assert articles.made_from(ticket) == [made]

    def test_nothing_that_only_agents_know_and_nobody_s_address_gets_in(self, workspace, maria):
        ticket = self.ticket(workspace)
        make_reply(ticket, maria, NOW, body="SECRET-NOTE", internal=True)
        gone = make_reply(ticket, maria, NOW, body="SECRET-DELETED")
        Comment.unscoped.filter(pk=gone.pk).update(deleted_at=NOW)
        machine = make_reply(ticket, maria, NOW, body="SECRET-MACHINE")
        Comment.unscoped.filter(pk=machine.pk).update(is_automatic=True)
        line = make_reply(ticket, maria, NOW, body="SECRET-LINE")
        Comment.unscoped.filter(pk=line.pk).update(is_transcript=True)
        make_reply(ticket, maria, NOW, body="I wrote to <carl.jones@partner.example>, boss@customers.example, Jane.")
        made = articles.draft_from_ticket(ticket=ticket, by=maria, now=LATER)
        assert "SECRET" not in made.title + made.body
        for word in ("jane", "smith", "carl", "boss@", "@customers", "@partner"):
            assert word not in (made.title + made.body).lower(), word

    @pytest.mark.parametrize(
        ("name", "text", "hidden"),
        [
            ("Will Mark", "Will you mark it? I will. Mark", "[customer] you mark it? I will. [customer]"),
            ("Jan van der Berg", "Dear van Berg, van der", "Dear van [customer], van der"),
            ("李小龙", "李小龙 您好", "[customer] 您好"),
            ("Li", "Li likes lilies, LILI", "[customer] likes lilies, LILI"),
            ("J. O'Neil (ACME)", "Hi O'Neil! J is fine", "Hi [customer]! J is fine"),
            ("Anna-Lena", "Anna-Lena, Annabelle", "[customer], Annabelle"),
            ("a+b (c", "a+b (c is no pattern", "[customer] is no pattern"),
        ],
    )
    def test_names_are_taken_out_as_words(self, workspace, maria, name, text, hidden):
        ticket = self.ticket(workspace, subject="x", description=text, requester_name=name, cc=[])
        made = articles.draft_from_ticket(ticket=ticket, by=maria, now=LATER)
        assert made.body == f"## Question\n\n{hidden}\n\n## Answer"

    def test_a_customer_without_a_name_is_called_by_their_address(self, workspace, maria):
        ticket = self.ticket(
            workspace,
            subject="x",
            description="Hi",
            requester_name="",
            requester_email="jane.s@customers.example",
            cc=[],
        )
        make_reply(ticket, maria, NOW, body="Hello jane.s, see jane.s@customers.example.org")
        made = articles.draft_from_ticket(ticket=ticket, by=maria, now=LATER)
        assert "Hello [customer], see" in made.body

    def test_very_long_and_hostile_texts_end(self, workspace, maria):
        for text in ("a" * 199_000, "a@b.co " * 28_000, "@" * 100_000, "a." * 90_000):
            made = articles.draft_from_ticket(
                ticket=self.ticket(workspace, description=text, subject="Jo " * 80, requester_name="Jo"),
                by=maria,
                now=NOW,
            )
            assert len(made.body) <= 50_000 and len(made.title) <= 160
