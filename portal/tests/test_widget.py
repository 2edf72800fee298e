"""The script that other sites embed: what it tells, how it may be kept, and that no name breaks out of it."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.services import portals
from portal.tests.factories import make_settings

pytestmark = pytest.mark.django_db

EVIL = "</script><script>alert(1)</script>\"'\\\u2028\u2029${x}`*/ & <!--"


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


def widget(client: Client, slug: str = "acme", **headers: str) -> Any:
    return client.get(reverse("portal:widget", args=[slug]), headers=headers)


def config_of(answer: Any) -> dict[str, Any]:
    (found,) = re.findall(r"^startWidget\((.*)\);$", answer.text, re.MULTILINE)
    config: dict[str, Any] = json.loads(found)
    return config


def test_it_is_a_script_for_every_site_that_may_be_kept_for_five_minutes(client: Client, workspace: Workspace) -> None:
    answer = widget(client)
    assert answer.status_code == 200 and answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer["Cache-Control"] == "public, max-age=300"
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies and "Vary" not in answer


def test_what_a_browser_has_already_is_not_sent_again(client: Client, workspace: Workspace) -> None:
    etag = widget(client)["ETag"]
    again = widget(client, **{"If-None-Match": etag})
    assert again.status_code == 304 and not again.content and again["Cache-Control"] == "public, max-age=300"
    make_settings(workspace, accent="#ff0000")
    assert widget(client, **{"If-None-Match": etag}).status_code == 200


def test_it_says_what_the_portal_is(client: Client, workspace: Workspace, django_assert_num_queries: Any) -> None:
    make_settings(workspace, accent="#AA3300", language="de", asks_proof=True, allowed_origins=["https://a.example"])
    with django_assert_num_queries(1):
        answer = widget(client)
    config = config_of(answer)
    assert config["workspace_id"] == str(workspace.pk) and config["name"] == "Acme Help"
    assert (config["accent"], config["accent_text"], config["language"]) == ("#aa3300", "#ffffff", "de")
    assert config["asks_proof"] is True and config["portal"] == reverse("portal:submit", args=["acme"])
    assert set(config["texts"]) == {"en", "de", "fr", "es"}
    assert config["texts"]["en"]["title"] == "How can we help?"
    assert len({frozenset(texts) for texts in config["texts"].values()}) == 1
    assert "a.example" not in answer.text  # who else may is nobody's business


def test_it_says_which_files_it_takes(client: Client, workspace: Workspace, settings: Any) -> None:
    settings.ATTACHMENT_MAX_BYTES = 5 * 1024 * 1024
    config = config_of(widget(client))
    assert (config["files"], config["file_bytes"]) == (10, 5 * 1024 * 1024)
    assert config["texts"]["en"]["most_files"] == "Up to 10 files, 5 MB each"
    assert not any("%(" in text for texts in config["texts"].values() for text in texts.values())


def test_without_settings_it_has_our_own_looks(client: Client, workspace: Workspace) -> None:
    config = config_of(widget(client))
    assert (config["accent"], config["language"], config["asks_proof"]) == ("", "", False)


@pytest.mark.parametrize("accent", ["red", "#12345", "x;}*{y", "#12345g"])
def test_an_accent_that_is_no_colour_is_left_out(client: Client, workspace: Workspace, accent: str) -> None:
    make_settings(workspace, accent=accent)
    assert config_of(widget(client))["accent"] == ""


def test_no_name_breaks_out_of_the_script(client: Client, workspace: Workspace) -> None:
    workspace.name = EVIL
    workspace.save()
    answer = widget(client)
    assert config_of(answer)["name"] == EVIL
    (line,) = re.findall(r"^startWidget\(.*$", answer.text, re.MULTILINE)
    assert line.isascii() and not set("<>&") & set(line) and "\\u2028" in line


def test_an_unknown_portal_is_404_and_other_methods_are_405(client: Client, workspace: Workspace) -> None:
    assert widget(client, "nobody").status_code == 404
    assert client.post(reverse("portal:widget", args=["acme"])).status_code == 405


def test_it_is_small(client: Client, workspace: Workspace) -> None:
    assert len(gzip.compress(widget(client).content)) < 12_000


def test_it_makes_no_html_of_texts_and_keeps_nothing() -> None:
    sources = [(Path(settings.BASE_DIR) / "static/js" / name).read_text() for name in ("widget.js", "puzzle.js")]
    for word in (
        "innerHTML",
        "outerHTML",
        "AdjacentHTML",
        "document.write",
        "eval(",
        "cookie",
        "Storage",
        " style=",
    ):
        assert not any(word in source for source in sources), word


def test_the_snippet_to_copy_names_the_script_and_the_sites(workspace: Workspace, settings: Any) -> None:
    settings.SITE_URL = "https://help.example"
    page = render_to_string("portal/_embed.html", {"portal": portals.find(slug="acme")})
    assert '&lt;script src="https://help.example/portal/acme/widget.js" defer&gt;&lt;/script&gt;' in page
    assert "None yet" in page
    make_settings(workspace, allowed_origins=["https://shop.example"])
    page = render_to_string("portal/_embed.html", {"portal": portals.find(slug="acme")})
    assert "https://shop.example" in page and "None yet" not in page
