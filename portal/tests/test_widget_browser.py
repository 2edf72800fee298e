"""The widget in a real browser: on a page of another site, under a strict policy, with a puzzle.

Set SCREENSHOTS=folder to keep pictures.
"""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture
from portal.models import PortalSettings
from portal.services import puzzles
from portal.tests.factories import make_settings
from tickets.models import Ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGE = """<!doctype html><html lang="en" dir="{dir}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Shop</title><link rel="stylesheet" href="/shop.css">
<main><h1>Our shop</h1><p>Parcels and more. <a href="/help" id="help">Get help</a></p></main>
<script src="{server}/portal/acme/widget.js" defer {attributes}></script></html>"""
# What a site may do to everything on its pages; none of it may reach the widget.
STYLES = """
html { font-size: 62.5%; background: #fff; color: #111 } body { font: 1.6rem Georgia, serif; margin: 2rem }
button, input, label, section, dialog { font-size: 5px; text-transform: uppercase; letter-spacing: 9px }
"""


class Site:
    """A site on another port of this machine: another origin, with a strict Content Security Policy."""

    def __init__(self, server: str) -> None:
        self.attributes, self.dir = "", "ltr"
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_style = self.path.endswith(".css")
                page = PAGE.format(server=server, attributes=site.attributes, dir=site.dir)
                body = (STYLES if is_style else page).encode()
                self.send_response(200 if self.path in ("/", "/shop.css") else 404)
                self.send_header("Content-Type", "text/css" if is_style else "text/html")
                self.send_header(
                    "Content-Security-Policy",
                    f"default-src 'none'; script-src {server}; connect-src {server}; style-src 'self'; "
                    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
                )
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: Any) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()


@pytest.fixture
def site(live_server: Any) -> Iterator[Site]:
    site = Site(live_server.url)
    yield site
    site.httpd.shutdown()
    site.httpd.server_close()


@pytest.fixture
def workspace(site: Site, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(puzzles, "COST", 100)
    monkeypatch.setattr(puzzles, "TRIES", 20)
    workspace = WorkspaceFactory(name="Acme", slug="acme")
    make_settings(workspace, allowed_origins=[site.origin], asks_proof=True)
    return workspace


def sent(workspace: Workspace) -> int:
    return int(Ticket.objects.for_workspace(workspace).count())


def lose(route: Any) -> None:
    """The server gets the request, and its answer gets lost."""
    route.fetch()
    route.abort()


def test_a_request_by_keyboard_only(live_server: Any, open_browser: Any, site: Site, workspace: Workspace) -> None:
    page = open_browser()
    page.goto(site.origin)
    opener = page.get_by_role("button", name="Help")
    opener.wait_for()
    accessible(page)
    picture(page, "1-closed")
    page.keyboard.press("Tab")  # the site's own link
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="How can we help?")
    expect(page.get_by_label("What is it about?")).to_be_focused()
    accessible(page)
    picture(page, "2-open")

    # Escape closes it, the focus goes back to where it came from, and what was typed stays.
    page.keyboard.type("Where is my parcel?")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("What is it about?")).to_have_value("Where is my parcel?")

    # What is missing is said at the field, which gets the focus; the focus never leaves for the page behind.
    page.keyboard.press("Enter")
    problem = page.get_by_label("What happened?")
    expect(problem).to_be_focused()
    expect(problem).to_have_attribute("aria-invalid", "true")
    expect(problem).to_have_accessible_description("Please tell us what happened.")
    expect(page.get_by_role("alert")).to_have_text("Nothing was sent yet. Please check the marked fields.")
    accessible(page)
    picture(page, "3-refused")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") != "help"
    problem.focus()
    page.keyboard.type("It was sent a week ago.")
    expect(problem).to_have_accessible_description("")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Your e-mail")).to_be_focused()
    page.keyboard.type("jane@customers")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your e-mail")).to_have_accessible_description(re.compile("not complete"))
    page.keyboard.type(".example")
    page.keyboard.press("Enter")
    thanks = page.get_by_role("heading", name="We have your request")
    expect(thanks).to_be_focused()
    accessible(page)
    picture(page, "4-thanks")
    ticket = Ticket.objects.for_workspace(workspace).get()
    assert (ticket.subject, ticket.description) == ("Where is my parcel?", "It was sent a week ago.")
    assert (ticket.requester_email, ticket.channel) == ("jane@customers.example", "api")
    expect(page.get_by_role("dialog", name="We have your request")).to_contain_text(f"#{ticket.number}")

    # Nothing was kept in the browser.
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0

    with page.context.expect_page() as opened:
        page.keyboard.press("Tab")  # Close
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    opened.value.get_by_role("heading", name="Where is my parcel?").wait_for()
    assert opened.value.url.startswith(live_server.url) and "token" not in opened.value.url


def test_on_a_dark_phone_whose_network_goes_away(open_browser: Any, site: Site, workspace: Workspace) -> None:
    site.attributes = 'data-name="Jane" data-email="jane@customers.example" data-label="Ask us"'
    page = open_browser(390, 844, dark=True)
    page.goto(site.origin)
    page.get_by_role("button", name="Ask us").click()
    dialog = page.get_by_role("dialog")
    assert dialog.bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 844}
    accessible(page)
    picture(page, "5-phone")
    page.set_viewport_size({"width": 320, "height": 422})  # zoomed in
    accessible(page)
    inside = dialog.evaluate("box => box.scrollWidth - box.clientWidth")
    assert inside <= 0 and dialog.bounding_box()["width"] == 320
    page.get_by_role("button", name="Send request").scroll_into_view_if_needed()
    picture(page, "5-phone-zoomed")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_label("Your e-mail")).to_have_value("jane@customers.example")
    page.get_by_label("What is it about?").fill("Lost")
    page.get_by_label("What happened?").fill("It is gone.")
    page.context.set_offline(True)
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_role("alert")).to_contain_text("You are offline. What you typed is kept")
    accessible(page)
    picture(page, "6-phone-offline")
    assert sent(workspace) == 0
    page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_have_text("")
    page.get_by_role("button", name="Send request").click()
    page.get_by_role("heading", name="We have your request").wait_for()
    accessible(page)
    picture(page, "7-phone-thanks")
    assert sent(workspace) == 1


def test_an_answer_that_gets_lost_makes_no_second_request(open_browser: Any, site: Site, workspace: Workspace) -> None:
    site.attributes = 'data-open-on="#help" data-theme="light"'
    site.dir = "rtl"
    page = open_browser(dark=True)
    page.goto(site.origin)
    expect(page.get_by_role("button", name="Help")).to_have_count(0)
    page.get_by_role("link", name="Get help").click()
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] < 100 and page.url == f"{site.origin}/"
    accessible(page)
    picture(page, "8-rtl")
    page.get_by_label("What is it about?").fill("Lost")
    page.get_by_label("What happened?").fill("It is gone.")
    page.get_by_label("Your e-mail").fill("jane@customers.example")

    page.route("**/api/public/tickets", lose, times=1)
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_role("alert")).to_contain_text("That did not work")
    accessible(page)
    picture(page, "9-failed")
    assert sent(workspace) == 1
    page.get_by_role("button", name="Send request").click()
    page.get_by_role("heading", name="We have your request").wait_for()
    assert sent(workspace) == 1
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Get help")).to_be_focused()


def test_what_the_server_refuses_is_said_and_kept(open_browser: Any, site: Site, workspace: Workspace) -> None:
    PortalSettings.objects.for_workspace(workspace).update(requests_per_hour=2)
    page = open_browser()
    page.goto(site.origin)
    page.get_by_role("button", name="Help").click()
    address, send = page.get_by_label("Your e-mail"), page.get_by_role("button", name="Send request")
    page.get_by_label("What is it about?").fill("First")
    page.get_by_label("What happened?").fill("It is gone.")
    address.fill("jane@customers..example")  # complete for the widget, not for the server
    send.click()
    expect(address).to_have_accessible_description("This is not a complete e-mail address, like jane@example.com.")
    expect(address).to_be_focused()
    address.fill("jane@customers.example")
    send.click()
    page.get_by_role("button", name="Send another request").click()
    page.get_by_label("What is it about?").fill("Second")
    page.get_by_label("What happened?").fill("It is gone.")
    address.fill("jane@customers.example")
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("please try again in 60 min.")
    expect(page.get_by_label("What is it about?")).to_have_value("Second")
    assert sent(workspace) == 1


def test_files_go_along_by_keyboard_too(
    open_browser: Any, site: Site, workspace: Workspace, settings: Any, tmp_path: Path
) -> None:
    settings.ATTACHMENT_MAX_BYTES = 1024 * 1024
    site.attributes = 'data-email="jane@customers.example"'
    for name, size in (("photo.png", 2048), ("notes.txt", 9), ("film.mp4", 1024 * 1024 + 1), ("empty.txt", 0)):
        (tmp_path / name).write_bytes(b"x" * size)
    posts: list[str] = []
    page = open_browser()
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.on("filechooser", lambda chooser: None)  # from the start: it takes the browser a moment to give choosers to us
    page.goto(site.origin)
    page.get_by_role("button", name="Help").click()
    page.get_by_label("What is it about?").fill("Damaged")
    page.get_by_label("What happened?").fill("See the picture.")
    adds = page.get_by_role("button", name="Add files")
    rows = page.get_by_role("list", name="Files").get_by_role("listitem")

    def choose(*names: str, key: str = "Enter") -> None:
        adds.focus()
        with page.expect_file_chooser() as chooser:
            page.keyboard.press(key)
        chooser.value.set_files([tmp_path / name for name in names])

    page.get_by_label("Your e-mail").focus()
    page.keyboard.press("Tab")
    expect(adds).to_be_focused()
    expect(adds).to_have_accessible_description("Up to 10 files, 1 MB each")
    choose("photo.png", "film.mp4")
    choose("empty.txt", "photo.png", key="Space")  # the same once more is the same
    expect(rows).to_have_count(3)
    expect(rows.first).to_have_text("photo.png2 kB")
    wrong = "film.mp4: The file is too large: up to 1 MB are possible. empty.txt: The file is empty."
    expect(adds).to_have_accessible_description(f"Up to 10 files, 1 MB each {wrong}")
    accessible(page)
    page.get_by_role("button", name="Send request").click()
    expect(adds).to_be_focused()
    expect(page.get_by_role("alert")).to_have_text("Nothing was sent yet. Please check the marked fields.")
    accessible(page)
    picture(page, "10-files-refused")
    assert not posts and sent(workspace) == 0

    # What does not fit is taken away; the focus stays in the list.
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove film.mp4")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove empty.txt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove photo.png")).to_be_focused()
    expect(adds).to_have_accessible_description("Up to 10 files, 1 MB each")
    choose("notes.txt")

    # The server has the last word; what it says stands at the field, and everything is kept.
    settings.ATTACHMENT_MAX_BYTES = 1024
    page.get_by_role("button", name="Send request").click()
    expect(adds).to_have_accessible_description(re.compile("photo.png: The file is too large: up to 0 MB"))
    expect(adds).to_be_focused()
    expect(rows).to_have_count(2)
    assert sent(workspace) == 0
    settings.ATTACHMENT_MAX_BYTES = 1024 * 1024
    accessible(page)
    picture(page, "11-files")

    # An answer that gets lost makes no second request of the same files.
    page.route("**/api/public/tickets", lose, times=1)
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_role("alert")).to_contain_text("That did not work")
    page.get_by_role("button", name="Send request").click()
    page.get_by_role("heading", name="We have your request").wait_for()
    ticket = Ticket.objects.for_workspace(workspace).get()
    assert sorted(ticket.attachments.values_list("name", "size")) == [("notes.txt", 9), ("photo.png", 2048)]
    page.get_by_role("button", name="Send another request").click()
    expect(rows).to_have_count(0)


def test_more_than_ten_files_are_said_at_once(open_browser: Any, site: Site, workspace: Workspace) -> None:
    page = open_browser(390, 844, dark=True)
    page.goto(site.origin)
    page.get_by_role("button", name="Help").click()
    adds = page.get_by_role("button", name="Add files")
    long = "a-very-long-name-of-a-screenshot-that-nobody-shortened-" * 2
    adds.set_input_files(
        [{"name": f"{long if n == 1 else n}.png", "mimeType": "image/png", "buffer": b"x"} for n in range(11)]
    )
    expect(adds).to_have_accessible_description(re.compile("too many files: up to 10 are possible at once"))
    accessible(page)
    picture(page, "12-files-phone")
    page.get_by_role("button", name="Remove 10.png").click()
    expect(adds).to_have_attribute("aria-invalid", "false")
    adds.scroll_into_view_if_needed()
    picture(page, "13-files-phone")


def test_the_portal_s_own_form_solves_the_puzzle(
    live_server: Any, open_browser: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    proofs, real = [], puzzles.check

    def check(**given: Any) -> None:
        real(**given)
        proofs.append(given["proof"])

    monkeypatch.setattr(puzzles, "check", check)
    page = open_browser()
    page.goto(live_server.url + reverse("portal:submit", args=["acme"]))
    page.get_by_label("What is it about?").fill("Lost")
    page.get_by_label("What happened?").fill("It is gone.")
    page.get_by_label("Your e-mail").fill("jane@customers.example")
    page.get_by_role("button", name="Send request").click()
    page.get_by_text("We have your request").wait_for()
    assert len(proofs) == 1 and proofs[0] and sent(workspace) == 1
