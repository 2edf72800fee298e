"""The portal's first pages and its settings in a real browser: what moves, and what axe finds, in both themes."""

from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from portal.services import suggestions
from portal.tests.factories import make_request
from portal.views import home
from tickets.tests.factories import make_agent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# All that moves, also what moves with a key, which browsers leave out of CLS.
WATCH = """
window.moved = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.moved += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def offered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests are offered for what holds "lock", nothing for anything else."""
    found = [make_request(workspace, subject=subject)[0] for subject in ("Account locked <b>again</b>", "Locked out")]

    def for_words(*, words: str, **_: Any) -> suggestions.Suggestions:
        return suggestions.Suggestions(requests=found if "lock" in words else ())

    monkeypatch.setattr(home.suggestions, "for_words", for_words)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_pages_are_accessible_and_nothing_moves(
    live_server: Any, open_browser: Any, workspace: Workspace, offered: None, size: tuple[int, int], dark: bool
) -> None:
    make_agent(workspace, role="admin", user__email="admin@acme.example")
    page, name = open_browser(*size, dark=dark), f"{size[0]}-{'dark' if dark else 'light'}"
    page.add_init_script(WATCH)
    page.goto(f"{live_server.url}/portal/acme")
    accessible(page)
    picture(page, f"portal-home-{name}")
    assert page.evaluate("window.moved") < 0.01
    page.get_by_role("link", name="Send a request").click()
    page.get_by_label("What is it about?").press_sequentially("I am locked out", delay=5)
    page.get_by_role("link", name="Account locked <b>again</b>").wait_for()
    assert page.get_by_role("status").filter(has_text="2 things may answer it.").count() == 1
    accessible(page)
    picture(page, f"portal-suggestions-{name}")
    page.get_by_label("What is it about?").fill("Something else")
    page.get_by_text("Answers that may help appear here").wait_for()
    assert page.get_by_role("link", name="Locked out").count() == 0
    assert page.evaluate("window.moved") < 0.01
    sign_in(page, live_server.url, "admin@acme.example")
    page.goto(f"{live_server.url}/settings/portal")
    page.get_by_label("Accent", exact=True).fill("#ffd43b")
    page.get_by_text("too pale to read").wait_for()
    assert page.get_by_label("Choose the accent").input_value() == "#ffd43b"
    accessible(page)
    picture(page, f"portal-settings-{name}")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The portal is saved.").wait_for()
    page.goto(f"{live_server.url}/portal/acme")  # in the accent that was saved
    accessible(page)
    picture(page, f"portal-accent-{name}")


def test_a_phone_shows_the_first_answer_and_the_others_on_demand(
    live_server: Any, open_browser: Any, workspace: Workspace, offered: None
) -> None:
    page = open_browser(390, 844)
    page.goto(f"{live_server.url}/portal/acme/new?subject=locked")  # as a search leads here
    page.get_by_role("link", name="Account locked").wait_for()
    assert not page.get_by_role("link", name="Locked out").is_visible()
    page.get_by_role("button", name="Show all").click()
    assert page.get_by_role("link", name="Locked out").is_visible()
    assert page.get_by_role("button", name="Show all").get_attribute("aria-expanded") == "true"
    accessible(page)


def test_the_language_is_changed_where_somebody_reads(
    live_server: Any, open_browser: Any, workspace: Workspace
) -> None:
    page = open_browser(390, 844)
    page.goto(f"{live_server.url}/portal/acme/new?subject=x")
    page.get_by_role("button", name="Deutsch").click()
    page.wait_for_function("document.documentElement.lang === 'de'")
    assert page.url.endswith("/portal/acme/new?subject=x")
