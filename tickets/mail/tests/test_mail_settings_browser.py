"""The settings of mail in a real browser: a mailbox, a rule that is tried, and the trace of a message.

Set SCREENSHOTS=folder to keep pictures of every page.
"""

import datetime as dt
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.mail.models import Incoming, Mailbox, Outgoing, ParsingRule, Undeliverable
from tickets.mail.services import blocking, receiving, rules
from tickets.mail.tests.factories import MailboxFactory
from tickets.tests.factories import CategoryFactory, FieldFactory, make_agent, make_reply, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MAIL = b"""From: Jane Smith <jane@shop.example>
To: support@acme.example
Subject: Order #A-1234 is late
Message-ID: <%d@shop.example>
Date: Mon, 02 Mar 2026 09:00:00 +0000
Content-Type: text/plain; charset=utf-8

Hello,

where is my order A-1234? I ordered a desk lamp two weeks ago.

Jane
"""
SPAM = MAIL.replace(b"Subject: ", b"X-Spam-Flag: YES\nSubject: Cheap watches, ").replace(b"jane@", b"offers@")
LONG = "a.very.long.address.that.somebody.has.thought.of@a-subdomain.of-a-very-long-company-name.example"


@pytest.fixture
def now():
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def workspace():
    made = WorkspaceFactory(name="Acme", slug="acme")
    make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    CategoryFactory(workspace=made, name="Orders")
    TeamFactory(workspace=made, name="Logistics")
    FieldFactory(workspace=made, key="order", label="Order number")
    return made


def take(mailbox, raw, now):
    incoming = receiving.accept(
        raw=raw, mailbox=mailbox, way="smtp", envelope_from="a@b.example", envelope_to=mailbox.address, now=now
    )
    return receiving.process(incoming_id=incoming.pk, now=now)


def test_a_mailbox_from_the_empty_page_to_its_secret(live_server, open_browser, workspace):
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/mailboxes")
    accessible(page)
    picture(page, "mailboxes-empty")
    page.get_by_role("main").get_by_role("link", name="Add mailbox").first.click()
    page.get_by_label("Address", exact=True).fill("support")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("This is not a complete e-mail address")).to_be_visible()
    accessible(page)
    picture(page, "mailbox-refused")
    page.get_by_label("Address", exact=True).fill("support@acme.example")
    page.locator("#id_team_id").select_option("Logistics")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="support@acme.example")).to_be_visible()
    assert page.get_by_label("Forward mail to").input_value().startswith("m")
    accessible(page)
    picture(page, "mailbox-new")
    page.locator("summary", has_text="HTTPS").click()
    page.get_by_role("button", name="Make a secret").click()
    assert page.get_by_label("Secret", exact=True).input_value().startswith("hdm_")
    accessible(page)
    picture(page, "mailbox-secret")
    # The fields of OAuth are there when they are chosen.
    page.locator("summary", has_text="Fetching over IMAP").click()
    expect(page.get_by_label("Token address")).to_be_hidden()
    page.get_by_label("Sign in with").select_option("oauth2")
    expect(page.get_by_label("Token address")).to_be_visible()
    accessible(page)
    picture(page, "mailbox-oauth")


def test_the_pages_of_mailboxes_hold_much_and_fit_a_phone(live_server, open_browser, workspace, now):
    box = MailboxFactory(workspace=workspace, address="support@acme.example", name="Acme Support")
    MailboxFactory(
        workspace=workspace, address="billing@acme.example", is_default=False, imap_host="imap.acme.example",
        imap_user="billing", fetched_at=now - dt.timedelta(hours=2), fetch_failures=3,
        fetch_error="The server refused the password.", next_fetch_at=now + dt.timedelta(hours=1),
    )  # fmt: skip
    MailboxFactory(workspace=workspace, address=LONG, name="A name " * 15, is_default=False)
    MailboxFactory(workspace=workspace, address="old@acme.example", is_default=False, is_active=False)
    take(box, SPAM, now)
    receiving.accept(raw=MAIL, mailbox=box, way="smtp", envelope_from="", envelope_to="", now=now)
    for theme in ("light", "dark"):
        for width, height in ((1440, 900), (390, 844)):
            page = open_browser(width, height, theme == "dark")
            sign_in(page, live_server.url)
            for name, path in (
                ("mailboxes", "/settings/mailboxes"),
                ("mailbox", f"/settings/mailboxes/{box.pk}"),
                ("writing", "/settings/mail/writing"),
            ):
                page.goto(live_server.url + path)
                accessible(page)
                picture(page, f"{name}-{width}-{theme}")


def test_a_rule_is_made_tried_and_moved(live_server, open_browser, workspace, now):
    MailboxFactory(workspace=workspace, address="support@acme.example")
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/mail/rules")
    accessible(page)
    picture(page, "rules-empty")
    page.get_by_role("main").get_by_role("link", name="New rule").first.click()
    page.get_by_label("Name", exact=True).fill("Late orders")
    page.get_by_label("With what").fill("late")
    page.get_by_role("button", name="Add a test").click()
    expect(page.get_by_label("What to look at").nth(1)).to_be_focused()
    page.get_by_label("What to look at").nth(1).select_option("header")
    page.get_by_label("Name of the header").fill("X-Shop")
    page.get_by_label("How to compare").nth(1).select_option("matches")
    page.get_by_label("With what").nth(1).fill("(")
    page.get_by_label("All of these, or any").select_option("any")
    page.get_by_label("What to do").select_option("map")
    page.get_by_label("Which field").select_option("Order number")
    page.get_by_label("What matches this expression").fill(r"#(\S+)")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("This is no regular expression: missing )")).to_be_visible()
    accessible(page)
    picture(page, "rule-refused")
    page.get_by_label("With what").nth(1).fill("lamps?")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("take the field “Order number” from the subject")).to_be_visible()
    rule = ParsingRule.unscoped.get()
    assert [test["field"] for test in rule.tests] == ["subject", "header"] and not rule.needs_all
    page.goto(f"{live_server.url}/settings/mail/rules/try")
    accessible(page)
    page.get_by_label("Paste a message").fill(MAIL.decode())
    page.get_by_role("button", name="Try it").click()
    tried = page.get_by_role("status", name="What the rules say")
    expect(tried).to_contain_text("Order number")
    expect(tried).to_contain_text("A-1234")
    expect(tried).to_contain_text("The subject contains “late”")
    accessible(page)
    picture(page, "rules-try")
    rules.save_rule(
        workspace=workspace,
        changes={
            "name": "Newsletters " * 9,
            "tests": [{"field": "sender", "operator": "ends_with", "value": "@" + LONG.partition("@")[2]}],
            "actions": [{"do": "drop"}],
            "is_active": False,
            "stops": True,
        },
        now=now,
    )
    for theme, width, height in (("light", 1440, 900), ("dark", 390, 844)):
        page = open_browser(width, height, theme == "dark")
        sign_in(page, live_server.url)
        for name, path in (("rules", "/settings/mail/rules"), ("rule", f"/settings/mail/rules/{rule.pk}")):
            page.goto(live_server.url + path)
            accessible(page)
            picture(page, f"{name}-{width}-{theme}")


def test_without_scripts_a_rule_is_built_by_buttons(live_server, chromium, workspace):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/mail/rules/new")
    page.get_by_label("Name", exact=True).fill("Drop it")
    page.get_by_label("With what").fill("watches")
    page.get_by_label("What to do").select_option("drop")
    page.get_by_role("group", name="Action 1").get_by_role("button", name="Update").click()
    expect(page.get_by_text("It becomes no ticket and no message.")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("drop it", exact=True)).to_be_visible()
    assert ParsingRule.unscoped.get().actions == [{"do": "drop"}]
    context.close()


def test_the_trace_tells_what_became_of_a_message_and_releases_it(live_server, open_browser, workspace, now):
    box = MailboxFactory(workspace=workspace, address="support@acme.example")
    page = open_browser()
    sign_in(page, live_server.url)
    for name, path in (("trace-empty", "trace"), ("sent-empty", "sent"), ("addresses-empty", "addresses")):
        page.goto(f"{live_server.url}/settings/mail/{path}")
        accessible(page)
        picture(page, name)
    take(box, MAIL % 1, now - dt.timedelta(hours=2))
    take(box, MAIL % 1, now - dt.timedelta(hours=1))
    take(box, SPAM % 2, now)
    blocking.block(workspace_id=workspace.pk, pattern="@bad.example", by=None, reason="Advertising")
    take(box, (MAIL % 3).replace(b"@shop", b"@bad"), now)
    take(box, b"", now)
    receiving.accept(raw=MAIL % 4, mailbox=box, way="smtp", envelope_from=LONG, envelope_to="", now=now)
    Undeliverable.unscoped.create(
        workspace=workspace, address=LONG[-60:], reason="550 5.1.1 user unknown", bounced_at=now
    )
    ticket = make_ticket(workspace)
    reply = make_reply(ticket, make_agent(workspace))
    Outgoing.unscoped.filter(ticket=ticket).delete()
    for status, reason in (
        ("waiting", ""), ("sent", ""), ("failed", "The mail server refused the mail: 554 5.7.1 too many links"),
        ("bounced", "user unknown"), ("held", "This is a test workspace."), ("cancelled", ""),
    ):  # fmt: skip
        done = {"next_at": now} if status == "waiting" else {"ended_at": now}
        Outgoing.unscoped.create(
            workspace=workspace, mailbox=box, ticket=ticket, comment=reply, activity_id=uuid4(), kind="reply",
            recipient=f"{status}@{LONG.partition('@')[2]}", message_id=uuid4().hex, status=status, reason=reason,
            created_at=now, **done,
        )  # fmt: skip
    for theme, width, height in (("light", 1440, 900), ("dark", 1440, 900), ("light", 390, 844), ("dark", 390, 844)):
        page = open_browser(width, height, theme == "dark")
        sign_in(page, live_server.url)
        for name, path in (
            ("trace", "trace"),
            ("sent", "sent"),
            ("addresses", "addresses"),
            ("message", f"trace/{Incoming.unscoped.get(outcome='ticket_created').pk}"),
            ("message-unreadable", f"trace/{Incoming.unscoped.get(reason='unreadable').pk}"),
        ):
            page.goto(f"{live_server.url}/settings/mail/{path}")
            accessible(page)
            picture(page, f"{name}-{width}-{theme}")
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/mail/trace?outcome=quarantined")
    page.get_by_role("link", name="Cheap watches").click()
    expect(page.get_by_text("A spam filter on the way marked it.").first).to_be_visible()
    accessible(page)
    picture(page, "message-spam")
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_text("Run again: new ticket.")).to_be_visible()
    expect(page.get_by_role("main").get_by_text("New ticket").first).to_be_visible()
    page.goto(f"{live_server.url}/settings/mail/trace?q=nobody@nowhere.example")
    expect(page.get_by_text("No such message")).to_be_visible()
    accessible(page)
    picture(page, "trace-nothing")
    assert Mailbox.unscoped.count() == 1
