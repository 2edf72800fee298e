"""Chats in a real browser: the settings of the bot, a ticket that came from one, and what its customer sees.

Set SCREENSHOTS=folder to keep pictures of every page.
"""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.services import chats
from tickets.tests.factories import make_agent, make_reply

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SAID = [
    ("user", "Hi, my parcel has not come"),
    ("bot", "I am sorry to hear that. What is your order number?"),
    ("user", "It is A-1234, a desk lamp. I ordered it two weeks ago."),
    ("bot", "Thank you. Your parcel left our house on Monday. It should arrive within three working days."),
    ("user", "That was last week's Monday.\n\nI need it on Friday, it is a present!"),
    ("bot", "I will ask a colleague to help you."),
]
CONTEXT = {
    "plan": "gold",
    "language": "en",
    "order": {"number": "A-1234", "paid": True, "items": [{"name": "Desk lamp", "count": 1}]},
    "intents": ["where_is_my_parcel", "complaint"],
    "confidence": 0.31,
    "page": "https://shop.example/orders/A-1234?from=a-very-long-address-that-does-not-end-before-the-line-does",
    "attempts": 3,
    "browser": "Firefox 140",
    "customer_name": "Jane Smith",
}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme", slug="acme")


@pytest.fixture
def maria(workspace: Workspace) -> Any:
    return make_agent(workspace, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")


def handed_over(workspace: Workspace, count: int = 1) -> chats.Handed:
    """A conversation with a bot of a customer without an address, `count` times what was said."""
    now = timezone.now() - dt.timedelta(hours=1)
    history = [
        {"role": role, "content": text, "timestamp": now - dt.timedelta(minutes=30 - n)}
        for n, (role, text) in enumerate(SAID * count)
    ]
    request = chats.Request(
        conversation_id="9f1b6c1e-6a1f-4d0e-9a63-0e8a0f1f7c11",
        chat_history=history,
        bot_name="Robby",
        bot_id="shop-assistant-3",
        reason="complex_issue",
        context=CONTEXT,
        subject="Parcel A-1234 has not come",
    )
    return chats.escalate(workspace=workspace, sender=chats.Sender(has_key=True, network=""), request=request, now=now)


def test_an_admin_lets_a_bot_in(live_server: Any, open_browser: Any, maria: Any) -> None:
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/chatbot")
    accessible(page)
    picture(page, "chatbot-empty")
    page.get_by_label("Only bots with the integration key").check()
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_text("Make a key first")).to_be_visible()
    accessible(page)
    picture(page, "chatbot-refused")
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_role("textbox", name="Integration key").input_value()
    assert key.startswith(chats.KEY_PREFIX)
    accessible(page)
    picture(page, "chatbot-key")
    page.get_by_label("Only bots with the integration key").check()
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_text("Saved who may hand conversations over.")).to_be_visible()
    expect(page.get_by_text(f"…{key[-4:]}")).to_be_visible()
    for width, height, dark in ((390, 844, False), (1440, 900, True)):
        other = open_browser(width, height, dark)
        sign_in(other, live_server.url)
        other.goto(f"{live_server.url}/settings/chatbot")
        accessible(other)
        picture(other, f"chatbot-{width}{'-dark' if dark else ''}")


def test_an_agent_reads_the_chat_and_answers(live_server: Any, open_browser: Any, maria: Any) -> None:
    handed = handed_over(maria.workspace, count=5)
    make_reply(handed.ticket, maria, timezone.now() - dt.timedelta(minutes=20), body="I am looking for your parcel.")
    for width, height, dark in ((1440, 900, False), (1440, 900, True), (390, 844, False)):
        page = open_browser(width, height, dark)
        sign_in(page, live_server.url)
        page.goto(f"{live_server.url}/tickets/{handed.ticket.pk}")
        expect(page.get_by_text("Show all 30 messages")).to_be_visible()
        accessible(page)
        name = f"chat-ticket-{width}{'-dark' if dark else ''}"
        picture(page, name)
        page.get_by_text("Show all 30 messages").click()
        expect(page.get_by_text("Show only the last 20")).to_be_visible()
        accessible(page)
        picture(page, f"{name}-all")


def test_a_customer_reads_on_where_the_chat_ended(live_server: Any, open_browser: Any, maria: Any) -> None:
    handed = handed_over(maria.workspace, count=5)
    make_reply(handed.ticket, maria, timezone.now() - dt.timedelta(minutes=20), body="I am looking for your parcel.")
    for width, height, dark in ((1440, 900, False), (390, 844, True)):
        page = open_browser(width, height, dark)
        page.goto(f"{live_server.url}/portal/tickets/{handed.ticket.pk}?token={handed.token}")
        expect(page.get_by_text("I am looking for your parcel.")).to_be_visible()
        expect(page.get_by_text("shop-assistant-3")).to_have_count(0)
        accessible(page)
        picture(page, f"chat-portal-{width}{'-dark' if dark else ''}")
        page.get_by_text("Show all 30 messages").click()
        accessible(page)
