"""The settings of webhooks in a real browser: an endpoint, its secret, a test, a message, and what is sent again.

Set SCREENSHOTS=folder to keep pictures of every page.
"""

import datetime as dt
import math

import pytest
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.tests.factories import make_agent, make_ticket
from tickets.webhooks import payloads
from tickets.webhooks.models import Delivery, Endpoint
from tickets.webhooks.tests.page_rows import make_attempt, make_delivery, make_endpoint, make_hours

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIZES = [(1440, 900, "light"), (1440, 900, "dark"), (390, 844, "light"), (390, 844, "dark")]
LONG_URL = (
    "https://integrations.a-subdomain.of-a-very-long-company-name.example/v2/organisations/7f3c0a/services/"
    "helpdesk/receivers/incoming?" + "&".join(f"parameter_{n}={'x' * 20}" for n in range(20))
)
HTML = "<!doctype html><html><body><h1>502 Bad Gateway</h1><script>alert(1)</script></body></html>\n" * 12


@pytest.fixture
def now():
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def workspace():
    made = WorkspaceFactory(name="Acme", slug="acme", timezone="Europe/Rome")
    make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    return made


def test_a_webhook_from_the_empty_page_to_a_message_that_is_replayed(live_server, open_browser, workspace):
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/webhooks")
    accessible(page)
    picture(page, "webhooks-empty")
    page.get_by_role("link", name="Add webhook").click()
    page.get_by_label("Address").fill("ftp://hooks.acme.example")
    page.get_by_role("button", name="Add a header").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Authorization")
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_text("Not saved yet.")).to_be_visible()
    expect(page.get_by_text("Type its value.")).to_be_visible()
    accessible(page)
    picture(page, "webhook-refused")
    page.get_by_label("Value", exact=True).fill("Bearer abc")
    page.get_by_label("Address").fill("https://hooks.acme.example/helpdesk")
    page.get_by_label("ticket.created").check()
    page.get_by_role("button", name="Add webhook").click()
    secret = page.get_by_role("textbox", name="Secret").input_value()
    assert secret.startswith("whsec_")
    accessible(page)
    picture(page, "webhook-secret")
    page.reload()
    assert secret not in page.content() and "Bearer abc" not in page.content()
    expect(page.get_by_role("heading", name="hooks.acme.example")).to_be_visible()
    # A test shows itself until it has ended.
    page.get_by_label("Event", exact=True).select_option("ticket.resolved")
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_text("Being sent")).to_be_visible()
    accessible(page)
    picture(page, "delivery-waiting")
    sent = Delivery.unscoped.get()
    assert (sent.event, sent.is_test, sent.status) == ("ticket.resolved", True, "waiting")
    now = dt.datetime.now(dt.UTC)
    make_attempt(sent, now, code=404, response_body="no such hook", error="The answer was 404.")
    Delivery.unscoped.filter(pk=sent.pk).update(
        status="failed", attempts=1, next_at=None, ended_at=now, last_code=404, last_ms=182,
        last_error="The answer was 404.",
    )  # fmt: skip
    expect(page.get_by_text("A test is sent once.", exact=True)).to_be_visible()
    expect(page.locator("#job-said")).to_contain_text("Failed.")
    expect(page.get_by_text("no such hook")).to_be_visible()
    accessible(page)
    picture(page, "delivery-failed")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Being sent")).to_be_visible()
    sent.refresh_from_db()
    assert (sent.status, sent.attempts) == ("waiting", 0)


def test_a_webhook_is_made_and_tested_by_keyboard_alone(live_server, open_browser, workspace):
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/webhooks/new")
    page.get_by_label("Address").focus()
    page.keyboard.type("https://hooks.acme.example/helpdesk")
    page.keyboard.press("Tab")
    page.keyboard.type("Billing")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # all events
    expect(page.get_by_label("ticket.created")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Secret")).to_be_visible()
    made = Endpoint.unscoped.get()
    assert (made.description, len(made.events)) == ("Billing", len(payloads.CATALOGUE))
    page.get_by_role("button", name="Send test").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Being sent")).to_be_visible()
    sent = Delivery.unscoped.get()
    Delivery.unscoped.update(status="delivered", attempts=1, next_at=None, ended_at=sent.created_at, last_code=204)
    page.get_by_role("button", name="Replay").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Being sent")).to_be_visible()
    page.goto(f"{live_server.url}/settings/webhooks")
    page.get_by_role("switch").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")


def test_without_scripts_headers_are_rows_that_buttons_add_and_remove(live_server, chromium, workspace):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/webhooks/new")
    page.get_by_label("Address").fill("https://hooks.acme.example/helpdesk")
    page.get_by_label("ticket.merged").check()
    for name, value in (("X-One", "1"), ("X-Two", "2"), ("X-Three", "3")):
        page.get_by_role("button", name="Add a header").click()
        row = page.get_by_role("group", name="Header").last
        row.get_by_label("Name").fill(name)
        row.get_by_label("Value").fill(value)
    page.get_by_role("button", name="Remove header 2").click()
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_role("textbox", name="Secret")).to_be_visible()
    assert Endpoint.unscoped.get().events == ["ticket.merged"]
    names = page.get_by_role("group", name="Header").get_by_label("Name")
    assert [names.nth(n).input_value() for n in range(names.count())] == ["X-One", "X-Three"]
    page.get_by_role("button", name="Send test").click()
    sent = Delivery.unscoped.get()
    Delivery.unscoped.update(status="delivered", attempts=1, next_at=None, ended_at=sent.created_at, last_code=204)
    page.get_by_role("link", name="See how far it is").click()
    expect(page.get_by_text("The answer was 204")).to_be_visible()
    context.close()


def test_the_pages_hold_much_and_fit_a_phone(live_server, open_browser, workspace, now):
    minute, hour = dt.timedelta(minutes=1), dt.timedelta(hours=1)
    busy = make_endpoint(
        workspace, now - 90 * 24 * hour, events=list(payloads.CATALOGUE)[:8], description="Billing and the warehouse",
        last_success_at=now - 2 * minute, last_failure_at=now - 3 * hour, last_error="It took longer than 15 seconds.",
    )  # fmt: skip
    make_hours(
        busy, now, [(round(60 + 50 * math.sin(n / 3.5)), 9 if n == 20 else (2 if n % 7 == 3 else 0)) for n in range(24)]
    )
    failing = make_endpoint(
        workspace, now - 9 * hour, url=LONG_URL, events=list(payloads.CATALOGUE), description="A description " * 14,
        failing_since=now - 7 * hour, last_failure_at=now, last_error="The name cannot be looked up: " + "long" * 60,
    )  # fmt: skip
    make_hours(failing, now, [(0, n % 5) for n in range(7)])
    make_endpoint(workspace, now - hour, url="https://new.acme.example/", events=["ticket.sla.breached"])
    gone = make_endpoint(
        workspace, now - 3 * 24 * hour, url="http://old.acme.example/hook", off_reason="gone", off_at=now - 5 * hour,
        last_failure_at=now - 5 * hour, last_error="It answered 410 Gone.",
    )  # fmt: skip
    make_endpoint(workspace, now, url="https://paused.acme.example/a", off_reason="member")
    ticket = make_ticket(workspace, now - hour, subject="Where is my order? " * 8)
    make_delivery(busy, now - hour, ticket=ticket, attempts=1, last_code=200, last_ms=182)
    make_delivery(
        busy, now - 2 * minute, status="waiting", attempts=3, next_at=now + 4 * minute, last_code=503, last_ms=15000,
        event="ticket.satisfaction.submitted", last_error="It answered 503 Service Unavailable.",
    )  # fmt: skip
    make_delivery(busy, now - minute, status="waiting", event="ticket.comment.added", next_at=now)
    make_delivery(busy, now - 3 * hour, status="cancelled", last_error="The webhook was switched off.")
    hurt = make_delivery(
        busy, now - 4 * hour, status="failed", attempts=10, last_code=502, last_ms=812,
        last_error="It answered 502 Bad Gateway, with a text that goes on and on " + "and on " * 25,
    )  # fmt: skip
    for number in range(10):
        make_attempt(
            hurt, now - (14 - number) * minute, duration_ms=812 + number, code=502 if number % 3 else None,
            response_headers={"content-type": "text/html", "x-" + "long" * 20: "value" * 60} if number % 3 else {},
            response_body=HTML if number % 3 else "", error=hurt.last_error[:300],
        )  # fmt: skip
    base = f"{live_server.url}/settings/webhooks"
    for width, height, theme in SIZES:
        page = open_browser(width, height, theme == "dark")
        sign_in(page, live_server.url)
        for name, path in (
            ("webhooks", ""),
            ("webhook-new", "/new"),
            ("webhook", f"/{busy.pk}"),
            ("webhook-failing", f"/{failing.pk}"),
            ("webhook-gone", f"/{gone.pk}"),
            ("deliveries", f"/{busy.pk}/deliveries"),
            ("deliveries-empty", f"/{gone.pk}/deliveries"),
            ("delivery", f"/{busy.pk}/deliveries/{hurt.pk}"),
        ):
            page.goto(base + path)
            accessible(page)
            main = page.locator("main")
            assert main.evaluate("(m) => m.scrollWidth - m.clientWidth") <= 0, (
                f"{name} at {width} is wider than its place"
            )
            picture(page, f"{name}-{width}-{theme}")
