"""Finding help articles: as they were typed, misspelt, and by a whole ticket."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import ArticleCategory, ArticleWord
from portal.services import reading
from portal.tests.factories import make_article
from tickets.tests.factories import NOW

ARTICLES = {
    "Reset your password": "Open the sign-in page, choose **Forgotten** and follow the link that we mail to you.",
    "Create an account": "Choose a plan, then register with your e-mail address.",
    "Change the amount of seats": "Owners add seats on the page Plan. The price follows at once.",
    "You do not receive our mail": "Look into the spam folder. A filter may hold our message back.",
    "Download an invoice": "Every invoice is a PDF. Find them under Billing, sorted by month.",
    "Set up single sign-on": "For administrators: connect your identity provider by SAML.",
    "Log in on a new phone": "Install the app and scan the code. Notifications need permission.",
    "Connect a calendar": "Meetings of Outlook and Google appear beside your tickets.",
    "Cancel your subscription": "It ends with the month that is paid. Your data is kept for 60 days.",
    "Passwort zurücksetzen": "Öffnen Sie die Anmeldung und wählen Sie „Vergessen“.",
    "Rechnung herunterladen": "Alle Rechnungen liegen unter „Abrechnung“. Die Lieferung ist sofort.",
    "Kündigung des Vertrags": "Sie können monatlich kündigen. Überweisungen werden anteilig erstattet.",
    "Télécharger une facture": "Chaque facture est un PDF. L’adresse de l’entreprise se règle dans le profil.",
    "Réinitialiser le mot de passe": "Suivez le lien reçu par courriel. Créez un mot de passe plus long.",
    "Café und Öffnungszeiten": "Wir haben von neun bis fünf geöffnet.",
}


@pytest.fixture(scope="module")
def workspace(module_transaction: Any) -> Workspace:
    with module_transaction():
        workspace = WorkspaceFactory()
        for title, body in ARTICLES.items():
            make_article(workspace, title, body)
        make_article(workspace, "Secret password of the office", "A draft.", status="draft", published_at=None)
        make_article(WorkspaceFactory(), "Reset your password elsewhere", "Not ours, zebra.")
    return workspace


pytestmark = pytest.mark.django_db


def titles(workspace: Workspace, words: str, **options: Any) -> list[str]:
    return [one.title for one in reading.search(workspace=workspace, words=words, **options)]


MISSPELT = [
    ("pasword", "Reset your password"),
    ("passwrod", "Reset your password"),
    ("passowrd reset", "Reset your password"),
    ("reest pasword", "Reset your password"),
    ("forgoten", "Reset your password"),
    ("apssword", "Reset your password"),
    ("acount", "Create an account"),
    ("accuont", "Create an account"),
    ("craete acount", "Create an account"),
    ("recieve", "You do not receive our mail"),
    ("recieving mial", "You do not receive our mail"),
    ("spma folder", "You do not receive our mail"),
    ("invioce", "Download an invoice"),
    ("invoce pdf", "Download an invoice"),
    ("donwload invoice", "Download an invoice"),
    ("calender", "Connect a calendar"),
    ("outlok", "Connect a calendar"),
    ("subscribtion", "Cancel your subscription"),
    ("cancle subscripton", "Cancel your subscription"),
    ("administartors", "Set up single sign-on"),
    ("notifcation", "Log in on a new phone"),
    ("login", "Log in on a new phone"),
    ("singlesign", "Set up single sign-on"),
    ("signle sign on", "Set up single sign-on"),
    ("amonut of seats", "Change the amount of seats"),
    # German, French: with accents, without, and with slips
    ("Passwrot", "Passwort zurücksetzen"),
    ("zurucksetzen", "Passwort zurücksetzen"),
    ("zurücksetzten", "Passwort zurücksetzen"),
    ("Pasword zurücksetzen", "Passwort zurücksetzen"),
    ("Rechnungn", "Rechnung herunterladen"),
    ("Rechung", "Rechnung herunterladen"),
    ("Liefrung", "Rechnung herunterladen"),
    ("Kundigung", "Kündigung des Vertrags"),
    ("Kündigng", "Kündigung des Vertrags"),
    ("Überweisng", "Kündigung des Vertrags"),
    ("facture", "Télécharger une facture"),
    ("telecharger", "Télécharger une facture"),
    ("téléchager factrue", "Télécharger une facture"),
    ("entreprize", "Télécharger une facture"),
    ("reinitialiser", "Réinitialiser le mot de passe"),
    ("réinitialiser mot de pase", "Réinitialiser le mot de passe"),
    ("cafe", "Café und Öffnungszeiten"),
    ("Offnungszeiten", "Café und Öffnungszeiten"),
    ("Öfnungszeiten", "Café und Öffnungszeiten"),
]


class TestSearch:
    @pytest.mark.parametrize(("words", "title"), MISSPELT)
    def test_finds_the_article_of_misspelt_words_first(self, workspace: Workspace, words: str, title: str) -> None:
        assert titles(workspace, words)[:1] == [title]

    @pytest.mark.parametrize(
        ("words", "title"),
        [
            ("password", "Reset your password"),
            ("subscr", "Cancel your subscription"),  # while somebody types
            ("resetting passwords", "Reset your password"),
            ("PASSWORT ZURÜCKSETZEN", "Passwort zurücksetzen"),
            ('"find them under billing"', "Download an invoice"),
            ("saml or zebra", "Set up single sign-on"),
            ("How do I cancel my subscription, please?", "Cancel your subscription"),
            ("administrators", "Set up single sign-on"),
        ],
    )
    def test_finds_what_was_typed(self, workspace: Workspace, words: str, title: str) -> None:
        assert titles(workspace, words)[:1] == [title]

    def test_says_what_only_comes_close(self, workspace: Workspace) -> None:
        exact, *_ = reading.search(workspace=workspace, words="password")
        close, *_ = reading.search(workspace=workspace, words="pasword")
        assert (exact.title, exact.is_close) == ("Reset your password", False)
        assert (close.title, close.is_close) == ("Reset your password", True)

    def test_leaves_out_what_a_minus_refuses(self, workspace: Workspace) -> None:
        assert titles(workspace, "invoice -billing") == []
        assert "Download an invoice" not in titles(workspace, "pdf -invoice")

    def test_puts_a_word_in_the_title_before_any_number_in_the_body(self) -> None:
        workspace = WorkspaceFactory()
        make_article(workspace, "Something else", "export " * 60)
        make_article(workspace, "Export your data", "As a file.")
        assert titles(workspace, "export") == ["Export your data", "Something else"]

    def test_gives_what_is_read_more_first_among_equals(self) -> None:
        workspace = WorkspaceFactory()
        make_article(workspace, "Printers A", view_count=1)
        make_article(workspace, "Printers B", view_count=9)
        assert titles(workspace, "printers") == ["Printers B", "Printers A"]

    @pytest.mark.parametrize(
        "words", ["", "   ", "\0", "the", "!!!", "& | ! ( ) :*", "-", '"', "'", "\\", "xyzzyplugh"]
    )
    def test_finds_nothing_for_nothing(self, workspace: Workspace, words: str) -> None:
        assert titles(workspace, words) == []

    def test_never_finds_drafts_nor_tells_their_words(self, workspace: Workspace) -> None:
        assert ArticleWord.objects.for_workspace(workspace).filter(word="offic").exists()
        for words in ("secret", "office", "ofice", "secret password of the office", "draft", "draaft"):
            assert "Secret password of the office" not in titles(workspace, words)
        assert titles(workspace, "ofice") == titles(workspace, "draaft") == []

    def test_never_crosses_workspaces(self, workspace: Workspace) -> None:
        for words in ("zebra", "zebbra", "elsewhere", "elsewhree", "ours zebra"):
            assert titles(workspace, words) == []
        assert titles(WorkspaceFactory(), "password") == []

    def test_asks_the_database_five_times_at_most(
        self, workspace: Workspace, django_assert_max_num_queries: Any, django_assert_num_queries: Any
    ) -> None:
        with django_assert_max_num_queries(5):
            assert titles(workspace, "pasword xyzzy")
        make_article(workspace, "Invoices A")
        make_article(workspace, "Invoices B")
        with django_assert_num_queries(2):
            assert len(titles(workspace, "invoice")) == 3
        with django_assert_num_queries(0):
            assert not titles(workspace, " ")

    def test_gives_no_more_than_was_asked_for(self, workspace: Workspace) -> None:
        assert len(titles(workspace, "password or invoice or mail or account", limit=2)) == 2
        assert len(titles(workspace, "pasword or invioce or mial", limit=1)) == 1
        assert titles(workspace, "password", limit=0) == []

    def test_reads_only_the_beginning_of_a_long_query(self, workspace: Workspace) -> None:
        assert reading.search(workspace=workspace, words="password " + "x" * 100_000) is not None
        assert reading.search(workspace=workspace, words="qwxz " * 50_000) == []

    @settings(max_examples=60, deadline=None)
    @given(words=st.text(max_size=60))
    def test_takes_any_text(self, workspace: Workspace, words: str) -> None:
        for one in reading.search(workspace=workspace, words=words.encode(errors="ignore").decode()):
            assert not one.title.startswith("Secret")


class TestFound:
    def test_knows_its_category(self) -> None:
        workspace = WorkspaceFactory()
        category = ArticleCategory.unscoped.create(
            workspace=workspace, name="Billing", slug="billing", created_at=NOW, updated_at=NOW
        )
        make_article(workspace, "Refunds", category=category)
        (found,) = reading.search(workspace=workspace, words="refunds")
        assert (found.category_name, found.category_slug, found.slug) == ("Billing", "billing", "refunds-0")

    def test_marks_what_matched_also_what_was_misspelt(self, workspace: Workspace) -> None:
        for words in ("forgotten password", "forgoten pasword"):
            found, *_ = reading.search(workspace=workspace, words=words)
            assert found.title_html == "Reset your <mark>password</mark>"
            assert "choose <mark>Forgotten</mark> and follow" in found.excerpt_html
            assert "<" not in found.excerpt and "*" not in found.excerpt

    def test_shows_the_place_that_matched(self) -> None:
        workspace = WorkspaceFactory()
        make_article(workspace, "Long", "Words before. " * 200 + "The **lighthouse** keeps burning. " + "After. " * 200)
        (found,) = reading.search(workspace=workspace, words="lighthouse")
        assert "<mark>lighthouse</mark>" in found.excerpt_html and len(found.excerpt) < 400

    def test_has_dots_where_the_text_goes_on(self) -> None:
        workspace = WorkspaceFactory()
        make_article(workspace, "A", "Before. " * 60 + "The **lighthouse** keeps burning. " + "After. " * 60)
        make_article(workspace, "B", "A lighthouse burns.")
        make_article(workspace, "C", "# The lighthouse\n\nIt burns.\n\n# Why?\n\nFor ships.")
        excerpts = {one.title: one.excerpt for one in reading.search(workspace=workspace, words="lighthouse")}
        assert excerpts["A"].startswith("… ") and excerpts["A"].endswith(" …")
        assert excerpts["B"] == "A lighthouse burns."
        assert excerpts["C"] == "The lighthouse: It burns. Why? For ships."
        assert reading.beginning("漢字" * 100, 20) == "漢字" * 9 + "漢…"

    def test_begins_with_the_text_where_only_the_title_matched(self) -> None:
        workspace = WorkspaceFactory()
        make_article(workspace, "Lighthouses", "First sentence. " * 50)
        (found,) = reading.search(workspace=workspace, words="lighthouses")
        assert found.excerpt.startswith("First sentence.") and found.excerpt.endswith("…")

    def test_escapes_everything_but_its_marks(self) -> None:
        workspace = WorkspaceFactory()
        make_article(
            workspace,
            "<script>alert(1)</script> & lighthouse <mark>",
            "A lighthouse, `<img src=x onerror=alert(1)>`, <b>raw</b> &amp; \ue000mark\ue001 <mark>x</mark> lighthouse",
        )
        (found,) = reading.search(workspace=workspace, words="lighthouse")
        for html in (found.title_html, found.excerpt_html):
            assert "<mark>lighthouse</mark>" in html
            rest = html.replace("<mark>lighthouse</mark>", "")
            assert "<" not in rest and ">" not in rest and "\ue000" not in rest
        assert found.title_html.startswith("&lt;script&gt;alert(1)")
        assert "&lt;img src=x onerror=alert(1)&gt;" in found.excerpt_html


class TestSuggest:
    @pytest.mark.parametrize(
        ("text", "title"),
        [
            (
                "Cannot get into my account\n\nHello, I have forgotten my password. The link does not come.",
                "Reset your password",
            ),
            (
                "Where is my invoice?\n\nI need the PDF of last month for our accountant.",
                "Download an invoice",
            ),
            ("I want to leave\n\nPlease cancel the subscription, I paid for this month.", "Cancel your subscription"),
            (
                "No mail from you\n\nI never receive a message, not even in spam.",
                "You do not receive our mail",
            ),
            (
                "Ich brauche meine Rechnung\n\nGuten Tag, wo kann ich die Rechnung herunterladen? Vielen Dank!",
                "Rechnung herunterladen",
            ),
            ("Mot de passe perdu\n\nBonjour, comment le réinitialiser ? Merci.", "Réinitialiser le mot de passe"),
        ],
    )
    def test_names_the_article_that_a_request_is_about(self, workspace: Workspace, text: str, title: str) -> None:
        assert [one.title for one in reading.suggest(workspace=workspace, text=text)][:1] == [title]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "   \0 ",
            "Hello\n\nThank you for your help, have a nice day.",
            "The giraffe is sad\n\nIt rains and the zoo is closed today. What shall we do?",
            "Unser Drucker brennt\n\nEs raucht aus dem Gehäuse. Kommt bitte sofort jemand vorbei?",
            "& | ! () :* '",
        ],
    )
    def test_names_nothing_for_a_text_about_something_else(self, workspace: Workspace, text: str) -> None:
        assert reading.suggest(workspace=workspace, text=text) == []

    def test_reads_only_the_beginning(self, workspace: Workspace) -> None:
        text = "weather " * 1000
        assert reading.suggest(workspace=workspace, text=text + " forgotten password") == []

    def test_names_neither_drafts_nor_foreign_nor_known_articles(self, workspace: Workspace) -> None:
        found = reading.suggest(workspace=workspace, text="Reset your password")
        assert [one.title for one in found] == ["Reset your password"]
        assert reading.suggest(workspace=workspace, text="Reset your password", without=[found[0].id]) == []
        assert reading.suggest(workspace=workspace, text="Secret office zebra elsewhere draft") == []
        assert reading.suggest(workspace=WorkspaceFactory(), text="Reset your password") == []

    def test_gives_no_more_than_was_asked_for_in_two_queries(
        self, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        for name in "abc":
            make_article(workspace, f"Reset the password of {name}")
        with django_assert_num_queries(2):
            assert len(reading.suggest(workspace=workspace, text="Reset my password", limit=2)) == 2


class TestWords:
    def test_are_kept_once_whenever_an_article_is_written(self) -> None:
        workspace = WorkspaceFactory()
        for _ in range(2):
            make_article(workspace, "Lighthouse keepers", "A lighthouse, 42, jane@acme.example, wi-fi")
        words = ArticleWord.objects.for_workspace(workspace).values_list("word", flat=True)
        assert sorted(words) == ["keeper", "lighthous"]


def test_words_that_no_article_has_any_more_can_be_forgotten(workspace: Workspace) -> None:
    kept, gone = make_article(workspace, "Invoices"), make_article(workspace, "Ravensburger")
    other = WorkspaceFactory()
    make_article(other, "Ravensburger")
    words = ArticleWord.objects.for_workspace(workspace).values_list("word", flat=True)
    before = set(words)
    gone.delete()
    assert set(words.all()) == before
    assert reading.forget_words(workspace_id=workspace.pk) == 1
    assert before - set(words.all()) == {"ravensburg"} and kept.pk
    assert ArticleWord.objects.for_workspace(other).filter(word="ravensburg").exists()
