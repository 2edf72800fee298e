"""Chatbots in the console: the settings, and what a ticket shows of its chat."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import ChatSettings, Ticket
from tickets.services import chats
from tickets.tests.factories import NOW, make_agent, make_ticket
from tickets.tests.test_chats import HISTORY, HOUR, escalate, from_chat

pytestmark = pytest.mark.django_db

PAGE = "/settings/chatbot"


@pytest.fixture
def admin() -> Membership:
    return make_agent(WorkspaceFactory(name="Acme", slug="acme"), role="admin", user__name="Ada Admin")


@pytest.fixture
def console(client: Client, admin: Membership) -> Client:
    client.force_login(admin.user)
    return client


def part(pattern: str, page: str, flags: int = 0, group: int = 0) -> str:
    """What of a page the pattern matches."""
    found = re.search(pattern, page, flags)
    assert found
    return found[group]


def ticket_page(console: Client, ticket: Ticket) -> str:
    answer = console.get(reverse("tickets:ticket", args=[ticket.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


class TestSettings:
    def test_tell_a_bot_what_to_call(self, console: Client, admin: Membership) -> None:
        page = console.get(PAGE).content.decode()
        assert "/api/public/tickets/from-chat" in page and "/api/public/tickets/escalate" in page
        assert str(admin.workspace_id) in page and "curl http" in page
        assert "Authorization" not in page and "Make a key" in page
        assert 'aria-current="page"' in page and not ChatSettings.unscoped.exists()

    def test_show_a_key_once(self, console: Client, admin: Membership) -> None:
        made = console.post(f"{PAGE}/key")
        key = part(r"hdc_[\w-]+", made.content.decode())
        assert made.status_code == 200 and "no-store" in made["Cache-Control"]
        assert f"Authorization: Bearer {key}" in made.content.decode().replace("&quot;", '"')
        assert chats.authorize(workspace=admin.workspace, key=key)
        page = console.get(PAGE).content.decode()
        assert key not in page and f"…{key[-4:]}" in page and "Make a new key" in page

    def test_require_the_key_only_once_there_is_one(self, console: Client, admin: Membership) -> None:
        refused = console.post(PAGE, {"requires_key": "1"})
        assert refused.status_code == 400 and "Make a key first" in refused.content.decode()
        assert re.search(r'value="1"[^>]*checked', refused.content.decode())
        assert not chats.settings_of(admin.workspace_id).requires_key
        chats.make_key(workspace=admin.workspace, now=NOW)
        assert console.post(PAGE, {"requires_key": "1"}).status_code == 302
        assert chats.settings_of(admin.workspace_id).requires_key
        assert console.post(PAGE, {"requires_key": "0"}).status_code == 302
        assert not chats.settings_of(admin.workspace_id).requires_key

    def test_refuse_what_cannot_be_chosen(self, console: Client) -> None:
        for value in ("", "2", "yes"):
            assert console.post(PAGE, {"requires_key": value}).status_code == 400

    def test_cost_few_queries(self, console: Client) -> None:
        console.get(PAGE)
        with CaptureQueriesContext(connection) as seen:
            console.get(PAGE)
        assert len(seen) == 6


class TestTheTicket:
    def test_shows_the_lines_as_a_chat(self, console: Client, admin: Membership) -> None:
        page = ticket_page(console, from_chat(admin.workspace).ticket)
        chat = part(r'<section class="chat".*?</section>', page, re.DOTALL)
        assert "3 messages" in chat and "How can I assist?" in chat and "My parcel is *lost*" in chat
        assert "Show all" not in chat and "Edit or delete" not in page

    def test_shows_text_as_text(self, console: Client, admin: Membership) -> None:
        nasty = "<script>alert(1)</script> {{ x }} **y**"
        history = [{"role": "bot", "content": nasty, "name": "<i>Bot</i>"}]
        escalate(admin.workspace, context={"<b>k</b>": nasty}, chat_history=history)
        page = ticket_page(console, Ticket.objects.for_workspace(admin.workspace).get())
        assert "<script>alert" not in page and "<i>Bot" not in page and "<b>k" not in page
        assert page.count("&lt;script&gt;alert(1)&lt;/script&gt; {{ x }} **y**") == 2

    def test_folds_the_beginning_of_a_long_chat(self, console: Client, admin: Membership) -> None:
        history = [{"role": "bot", "content": f"line {n}."} for n in range(45)]
        page = ticket_page(console, from_chat(admin.workspace, chat_history=history).ticket)
        folded = part(r'<details class="earlier">.*?</ol></details>', page, re.DOTALL)
        assert "Show all 45 messages" in folded and "line 24." in folded and "line 25." not in folded
        assert page.count("line 25.") == page.count("line 44.") == 1

    def test_shows_what_the_bot_told(self, console: Client, admin: Membership) -> None:
        context = {"plan": "gold", "order": {"id": 17, "items": [{"name": "Lamp"}]}} | {f"k{n}": n for n in range(20)}
        handed = escalate(admin.workspace, context=context)
        page = ticket_page(console, handed.ticket)
        panel = part(r'<section class="chat-panel">.*?</section>', page, re.DOTALL)
        for words in ("complex issue", "bot-7", "conv-1", "order › items › 1 › name", "Lamp", "15 more"):
            assert words in panel
        assert "chat.invalid" not in page.replace(f'value="{handed.ticket.requester_email}"', "")
        assert "No e-mail address" in page and "gave no e-mail address" in page

    def test_of_another_channel_costs_no_query_more_and_one_of_a_chat_costs_one(
        self, console: Client, admin: Membership
    ) -> None:
        def asked(ticket: Ticket) -> int:
            ticket_page(console, ticket)
            with CaptureQueriesContext(connection) as seen:
                ticket_page(console, ticket)
            return len(seen)

        assert asked(make_ticket(admin.workspace)) == 14
        short = from_chat(admin.workspace).ticket
        history = [{"role": "user", "content": str(n)} for n in range(100)]
        long = from_chat(admin.workspace, conversation_id="2", chat_history=history).ticket
        assert asked(short) == asked(long) == 15

    def test_holds_an_answer_back_when_the_chat_went_on(self, console: Client, admin: Membership) -> None:
        ticket = from_chat(admin.workspace).ticket
        seen = part(r'id="seen-until" value="([^"]+)"', ticket_page(console, ticket), group=1)
        from_chat(admin.workspace, chat_history=[*HISTORY, {"role": "user", "content": "Solved!"}], now=NOW + HOUR)
        answer = console.post(
            reverse("tickets:reply", args=[ticket.pk]), {"body": "Hello", "internal": "0", "seen_until": seen}
        )
        assert answer.status_code == 409 and "Solved!" in answer.content.decode()
