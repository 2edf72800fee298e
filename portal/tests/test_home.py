"""The portal's home, and the language it is read in."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import PortalSettings
from portal.services.suggestions import Suggestions
from portal.tests.factories import finish, make_article, make_request
from tickets.tests.factories import NOW, make_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def home(workspace: Workspace) -> str:
    return reverse("portal:home", args=["acme"])


def settle(workspace: Workspace, **fields: Any) -> PortalSettings:
    return PortalSettings.unscoped.create(workspace=workspace, updated_at=NOW, **fields)


def tongue(page: Any) -> str:
    """The language and direction that the page says it is in."""
    found = re.search(r'<html lang="([^"]+)" dir="([^"]+)"', page.text)
    assert found
    return " ".join(found.groups())


class TestHome:
    def test_greets_and_leads_to_the_form(self, client: Client, home: str) -> None:
        page = client.get(home)
        assert page.status_code == 200
        assert "How can we help?" in page.text and "Acme Help" in page.text
        assert f'href="{reverse("portal:submit", args=["acme"])}"' in page.text
        assert home == "/portal/acme"

    def test_greets_as_the_workspace_wants(self, client: Client, workspace: Workspace, home: str) -> None:
        settle(workspace, welcome_title="Hello & <b>welcome</b>", welcome_text="One\nTwo")
        html = client.get(home).text
        assert "Hello &amp; &lt;b&gt;welcome&lt;/b&gt;" in html and "One<br>Two" in html
        assert "How can we help?" not in html

    def test_tells_nothing_of_those_who_work_there(self, client: Client, workspace: Workspace, home: str) -> None:
        make_agent(workspace, user__name="Maria Rossi", user__email="maria@acme.example")
        html = client.get(home).text
        assert "Maria" not in html and str(workspace.pk) not in html

    def test_of_a_workspace_that_does_not_exist_is_404(self, client: Client) -> None:
        assert client.get(reverse("portal:home", args=["nobody"])).status_code == 404

    def test_is_only_read(self, client: Client, home: str) -> None:
        assert client.post(home).status_code == 405

    def test_is_linked_from_the_console(self, client: Client, workspace: Workspace, home: str) -> None:
        client.force_login(make_agent(workspace).user)
        assert f'href="{home}" title="Customer portal"' in client.get(reverse("tickets:queue", args=["mine"])).text

    @pytest.mark.parametrize("name", ["home", "submit"])
    def test_takes_few_queries(
        self, client: Client, workspace: Workspace, django_assert_max_num_queries: Any, name: str
    ) -> None:
        with django_assert_max_num_queries(6):
            client.get(reverse(f"portal:{name}", args=["acme"]))


class TestLanguage:
    def test_is_what_the_browser_asks_for(self, client: Client, home: str) -> None:
        assert tongue(client.get(home)) == "en ltr"
        assert tongue(client.get(home, headers={"accept-language": "fr-CH, fr;q=0.9, en;q=0.8"})) == "fr ltr"
        assert tongue(client.get(home, headers={"accept-language": "xx"})) == "en ltr"

    def test_that_was_chosen_comes_before_what_the_browser_asks_for(self, client: Client, home: str) -> None:
        answer = client.post(reverse("portal:language", args=["acme"]), {"language": "de", "next": f"{home}/new?a=1"})
        assert answer.status_code == 302 and answer["Location"] == f"{home}/new?a=1"
        cookie = answer.cookies["portal_language"]
        assert (cookie.value, cookie["path"], cookie["samesite"]) == ("de", "/portal", "Lax") and cookie["httponly"]
        assert tongue(client.get(home, headers={"accept-language": "fr"})) == "de ltr"

    def test_that_the_workspace_has_fixed_comes_before_all_and_nothing_else_is_offered(
        self, client: Client, workspace: Workspace, home: str
    ) -> None:
        assert 'name="language"' in client.get(home).text
        settle(workspace, language="es")
        client.cookies["portal_language"] = "de"
        page = client.get(home, headers={"accept-language": "fr"})
        assert tongue(page) == "es ltr" and 'name="language"' not in page.text

    def test_is_offered_by_the_names_of_those_who_speak_it(self, client: Client, home: str) -> None:
        html = client.get(home).text
        for code, name in (("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")):
            assert re.search(rf'value="{code}" lang="{code}"[^>]*>{name}<', html)
        assert re.search(r'value="en" lang="en" aria-current="true"', html)

    @pytest.mark.parametrize(
        "back",
        [
            "",
            "https://elsewhere.example/",
            "//elsewhere.example/",
            "/\\elsewhere.example",
            "javascript:alert(1)",
            "http:///elsewhere.example",
            "portal/acme",
            "\x08//elsewhere.example",
        ],
    )
    def test_choosing_one_never_leads_away(self, client: Client, home: str, back: str) -> None:
        answer = client.post(reverse("portal:language", args=["acme"]), {"language": "de", "next": back})
        assert answer.status_code == 302 and answer["Location"] == home

    def test_is_chosen_on_a_page_that_came_back_with_a_form_and_leads_to_one(
        self, client: Client, workspace: Workspace, home: str
    ) -> None:
        ticket, token = make_request(workspace)
        finish(ticket, "resolved", now=timezone.now())
        here = reverse("portal:ticket", args=[ticket.pk])
        client.get(here, {"token": token})
        article = reverse("portal:article", args=["acme", make_article(workspace).slug])
        gone = reverse("portal:article", args=["acme", "gone"])
        search = reverse("portal:search", args=["acme"])
        for refused, back in [
            (f"{here}/rating", here),
            (f"{here}/reopen", here),
            (f"{article}/feedback", article),
            (f"{gone}/feedback", search),
        ]:
            answer = client.post(refused, {"rating": "9", "helpful": "maybe", "body": "x" * 300_000})
            assert answer.status_code in (400, 404), refused
            assert f'name="next" value="{back}"' in answer.text, refused
            assert client.get(back).status_code == 200

    @pytest.mark.parametrize("chosen", ["", "xx", "de-AT", "../de"])
    def test_that_is_not_offered_is_refused_and_nothing_is_kept(self, client: Client, home: str, chosen: str) -> None:
        answer = client.post(reverse("portal:language", args=["acme"]), {"language": chosen, "next": home})
        assert answer.status_code == 400 and not answer.cookies

    def test_is_chosen_by_a_post_with_a_token_only(self, home: str) -> None:
        strict = Client(enforce_csrf_checks=True)
        assert strict.get(reverse("portal:language", args=["acme"])).status_code == 405
        refused = strict.post(reverse("portal:language", args=["acme"]), {"language": "de"})
        assert refused.status_code == 403 and "portal_language" not in refused.cookies

    def test_that_is_written_from_the_right_turns_the_page(
        self, client: Client, workspace: Workspace, home: str, settings: Any
    ) -> None:
        settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]
        settle(workspace, language="ar")
        for name in ("home", "submit"):
            assert tongue(client.get(reverse(f"portal:{name}", args=["acme"]))) == "ar rtl"

    def test_does_not_reach_the_console_or_the_next_request(
        self, client: Client, workspace: Workspace, home: str
    ) -> None:
        client.cookies["portal_language"] = "de"
        client.get(home)
        assert translation.get_language() == "en"
        client.force_login(make_agent(workspace).user)
        console = client.get(reverse("tickets:queue", args=["mine"]), headers={"accept-language": "de"})
        assert '<html lang="en"' in console.text

    def test_of_what_the_public_api_answers_is_english(self, client: Client, workspace: Workspace) -> None:
        client.cookies["portal_language"] = "de"
        answer = client.post(
            "/api/public/tickets",
            {"workspace_id": str(workspace.pk), "subject": ""},
            content_type="application/json",
            headers={"accept-language": "de"},
        )
        assert answer.status_code == 400 and "required" in answer.text


class TestWeight:
    @pytest.mark.parametrize("name", ["home", "submit"])
    def test_a_page_with_its_styles_and_scripts_is_below_60_kb(
        self, client: Client, workspace: Workspace, name: str
    ) -> None:
        html = client.get(reverse(f"portal:{name}", args=["acme"])).text
        named = re.findall(r'(?:href|src)="/static/([^"?]+)"', html)
        assert any(path.startswith("css/tokens") for path in named)
        parts = [html.encode()] + [Path(str(finders.find(path))).read_bytes() for path in named]
        assert sum(len(gzip.compress(part, 6)) for part in parts) < 60_000


class TestSuggestions:
    def test_of_few_letters_are_none_and_of_none_is_nothing(self, client: Client, workspace: Workspace) -> None:
        address = reverse("portal:suggestions", args=["acme"])
        for words in ("", "  a ", "ab", "xyzzy"):
            answer = client.get(address, {"q": words})
            assert answer.status_code == 200 and answer.text.strip() == ""
        assert "no-store" in client.get(address)["Cache-Control"]
        assert client.get(reverse("portal:suggestions", args=["nobody"])).status_code == 404

    def test_of_a_strangers_words_never_name_a_request(self, client: Client, workspace: Workspace) -> None:
        make_request(workspace, subject="Cannot log in at all")
        assert client.get(reverse("portal:suggestions", args=["acme"]), {"q": "Cannot log in"}).text.strip() == ""

    def test_are_shown_with_what_people_wrote_escaped(self, workspace: Workspace) -> None:
        ticket, _ = make_request(workspace, subject="<script>alert(1)</script>")
        found = Suggestions(requests=[ticket])
        html = render_to_string("portal/_suggestions.html", {"suggestions": found, "workspace": workspace})
        assert "&lt;script&gt;" in html and "<script>" not in html
        assert f"Your request {ticket.ticket_number}" in html and 'data-said="1 thing may answer it."' in html

    def test_have_their_place_in_the_form(self, client: Client, workspace: Workspace) -> None:
        html = client.get(reverse("portal:submit", args=["acme"])).text
        assert f'data-suggestions="{reverse("portal:suggestions", args=["acme"])}"' in html
