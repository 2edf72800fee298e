"""Chatbots hand conversations over: what becomes of them, and what does not happen because of them."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput
from tickets import access, search
from tickets.events import SYSTEM
from tickets.models import Activity, Chat, ChatSettings, Comment, Ticket, TicketLink
from tickets.services import base, chats, conversation, editing, merging, status
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
BOT = chats.Sender(has_key=True, network="192.0.2.1")
HERE = chats.Sender(has_key=False, network="192.0.2.1")
ELSEWHERE = chats.Sender(has_key=False, network="198.51.100.7")
HISTORY = [
    {"role": "user", "content": "I need help"},
    {"role": "bot", "content": "How can I assist?"},
    {"role": "customer", "content": "My parcel is *lost*"},
]


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


def asked(**fields: Any) -> chats.Request:
    defaults: dict[str, Any] = {
        "conversation_id": "conv-1",
        "subject": "Escalated from chat",
        "description": "Customer needs human support",
        "customer_email": "john@customers.example",
        "customer_name": "John Doe",
        "chat_history": HISTORY,
    }
    return chats.Request(**(defaults | fields))


def from_chat(workspace: Workspace, sender: chats.Sender = BOT, now: dt.datetime = NOW, **fields: Any) -> chats.Handed:
    return chats.open_from_chat(workspace=workspace, sender=sender, request=asked(**fields), now=now)


def escalate(workspace: Workspace, sender: chats.Sender = BOT, now: dt.datetime = NOW, **fields: Any) -> chats.Handed:
    bare = {"subject": "", "description": "", "customer_email": "", "customer_name": "", "chat_history": ()}
    given = {"reason": "complex_issue", "bot_id": "bot-7"} | fields
    return chats.escalate(workspace=workspace, sender=sender, request=asked(**(bare | given)), now=now)


def lines(ticket: Ticket) -> list[tuple[str, str, str]]:
    rows = Comment.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, is_transcript=True)
    return list(rows.order_by("created_at", "pk").values_list("author_type", "author_name", "body"))


def written() -> tuple[int, ...]:
    return tuple(model.unscoped.count() for model in (Ticket, Chat, Comment, Activity, Contact))


class TestFromChat:
    def test_the_conversation_becomes_a_ticket_that_begins_with_its_lines(self, workspace: Workspace) -> None:
        handed = from_chat(workspace)
        ticket = Ticket.objects.for_workspace(workspace).get()
        assert handed.is_new and handed.opened_as == ticket.pk
        assert (ticket.channel, ticket.subject, ticket.requester_email) == (
            "chat",
            "Escalated from chat",
            "john@customers.example",
        )
        assert lines(ticket) == [
            ("customer", "John Doe", "I need help"),
            ("system", "Bot", "How can I assist?"),
            ("customer", "John Doe", "My parcel is *lost*"),
        ]
        first = ticket.comments.order_by("created_at").first()
        assert first.author_contact == ticket.requester and first.channel == "chat" and first.created_at < NOW
        assert ticket.comments.last().body_html == "<p>My parcel is *lost*</p>"  # no Markdown
        opened = access.open_with(ticket_id=ticket.pk, token=handed.token, now=NOW)
        assert opened and opened[1].email == "john@customers.example"

    def test_only_the_opening_is_recorded(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace).ticket
        assert [activity.event for activity in ticket.activities.all()] == ["ticket.created"]
        assert ticket.last_message_at == NOW and ticket.first_response_at is None and ticket.is_new

    def test_the_words_of_the_lines_are_found(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace).ticket
        rows = Ticket.objects.for_workspace(workspace)
        found = search.search(rows, workspace_id=workspace.pk, text="parcel")
        assert list(found) == [ticket]

    def test_roles_and_names_are_kept(self, workspace: Workspace) -> None:
        ticket = from_chat(
            workspace,
            bot_name="Robby",
            chat_history=[
                {"role": "assistant", "content": "a"},
                {"role": "agent", "content": "b"},
                {"role": "agent", "content": "c", "name": "Maria"},
                {"role": "system", "content": "d"},
                {"role": "user", "content": "e", "name": "Johnny"},
                {"role": "user", "content": "  "},
            ],
        ).ticket
        assert lines(ticket) == [
            ("system", "Robby", "a"),
            ("system", "Agent", "b"),
            ("system", "Maria", "c"),
            ("system", "System", "d"),
            ("customer", "Johnny", "e"),
        ]

    def test_times_are_kept_as_far_as_they_are_in_order_and_past(self, workspace: Workspace) -> None:
        times = [NOW - HOUR, NOW - 2 * HOUR, None, NOW + DAY]
        history = [{"role": "user", "content": str(n), "timestamp": at} for n, at in enumerate(times)]
        ticket = from_chat(workspace, chat_history=history).ticket
        kept = list(ticket.comments.order_by("created_at").values_list("body", "created_at"))
        assert [body for body, _ in kept] == ["0", "1", "2", "3"]
        assert kept[0][1] == NOW - HOUR and kept[1][1] - kept[0][1] == dt.timedelta(microseconds=1)
        assert NOW - dt.timedelta(microseconds=2) < kept[3][1] < NOW

    def test_a_history_makes_the_description_where_there_is_none(self, workspace: Workspace) -> None:
        assert from_chat(workspace, description="").ticket.description == "The conversation so far is below."
        before = written()
        with pytest.raises(InvalidInput) as refused:
            from_chat(workspace, conversation_id="other", description="", chat_history=[])
        assert set(refused.value.errors) == {"description"} and written() == before

    @pytest.mark.parametrize(
        ("history", "field"),
        [
            ([*HISTORY, {"role": "robot", "content": "x"}], "chat_history.3.role"),
            ([{"role": None, "content": "x"}], "chat_history.0.role"),
            ([{"role": "user", "content": "x" * 10_001}], "chat_history.0.content"),
            ([{"role": "user"}], "chat_history.0.content"),
            ([{"role": "user", "content": "x", "name": "n" * 121}], "chat_history.0.name"),
            ([{"role": "user", "content": "x"}] * 501, "chat_history"),
            ([{"role": "user", "content": "x"}] * 5000, "chat_history"),
            ([{"role": "user", "content": "x" * 9000}] * 23, "chat_history"),
        ],
    )
    def test_a_history_that_is_wrong_is_refused_by_name(
        self, workspace: Workspace, history: list[Any], field: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            from_chat(workspace, chat_history=history)
        assert set(refused.value.errors) == {field}
        assert written() == (0,) * 5

    def test_five_hundred_lines_are_possible(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace, chat_history=[{"role": "bot", "content": f"line {n}"} for n in range(500)]).ticket
        assert [body for _, _, body in lines(ticket)] == [f"line {n}" for n in range(500)]


class TestTheSameConversation:
    def test_leads_to_the_same_ticket_and_adds_nothing(self, workspace: Workspace) -> None:
        first = from_chat(workspace)
        before = written()
        again = from_chat(workspace, subject="Another", description="Another", now=NOW + HOUR)
        assert not again.is_new and (again.opened_as, again.token) == (first.opened_as, first.token)
        assert written() == before
        assert again.ticket.subject == "Escalated from chat"

    def test_gets_the_lines_that_are_new_at_the_end(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace).ticket
        more = [*HISTORY, {"role": "bot", "content": "One moment"}, {"role": "user", "content": "Thanks"}]
        for _ in range(2):
            from_chat(workspace, chat_history=more, now=NOW + HOUR)
        assert [body for _, _, body in lines(ticket)] == [line["content"] for line in more]
        log = list(ticket.activities.order_by("occurred_at").values_list("event", "changes"))
        assert log[1:] == [("ticket.updated", [{"field": "chat", "from": "3 messages", "to": "5 messages"}])]
        ticket.refresh_from_db()
        assert ticket.updated_at == NOW + HOUR and ticket.last_message_at == NOW

    @pytest.mark.parametrize(
        "history", [HISTORY[:2], HISTORY[1:], [*HISTORY[:2], {"role": "bot", "content": "Oh"}] * 2]
    )
    def test_that_tells_another_past_adds_nothing(self, workspace: Workspace, history: list[Any]) -> None:
        from_chat(workspace)
        before = written()
        from_chat(workspace, chat_history=history, now=NOW + HOUR)
        assert written() == before

    def test_in_another_workspace_is_another_one(self, workspace: Workspace) -> None:
        from_chat(workspace)
        assert from_chat(WorkspaceFactory(), ELSEWHERE).is_new

    def test_is_not_reopened_by_its_history(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace).ticket
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)
        more = [*HISTORY, {"role": "user", "content": "Thanks"}]
        assert from_chat(workspace, chat_history=more, now=NOW + HOUR).ticket.status == "resolved"

    def test_goes_on_where_its_ticket_was_merged_to(self, workspace: Workspace) -> None:
        ticket, target = from_chat(workspace).ticket, make_ticket(workspace)
        merging.merge(source=ticket, target_id=target.pk, actor=SYSTEM, now=NOW + HOUR)
        more = [*HISTORY, {"role": "user", "content": "Thanks"}]
        again = from_chat(workspace, chat_history=more, now=NOW + 2 * HOUR)
        assert again.ticket == target and again.opened_as == ticket.pk
        assert [body for _, _, body in lines(target)] == [line["content"] for line in more]

    def test_whose_ticket_is_in_the_trash_says_so(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace).ticket
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        before = written()
        with pytest.raises(Conflict) as refused:
            from_chat(workspace)
        assert refused.value.code == "conversation_deleted" and written() == before


class TestWhoSeesIt:
    @pytest.mark.parametrize("opener", [BOT, HERE])
    def test_a_stranger_learns_nothing(self, workspace: Workspace, opener: chats.Sender) -> None:
        ticket = from_chat(workspace, opener).ticket
        before = written()
        for call in (from_chat, escalate):
            for address in ("", "eve@evil.example"):
                with pytest.raises(chats.ConversationExists) as refused:
                    call(workspace, ELSEWHERE, customer_email=address)
                assert ticket.ticket_number not in refused.value.detail and not refused.value.errors
        assert written() == before

    def test_the_key_the_same_network_and_the_customers_address_do(self, workspace: Workspace) -> None:
        token = from_chat(workspace, HERE).token
        for sender, address in ((BOT, ""), (HERE, ""), (ELSEWHERE, "John@Customers.example")):
            assert from_chat(workspace, sender, customer_email=address).token == token
            assert escalate(workspace, sender, customer_email=address).token == token

    def test_the_made_up_address_of_a_visitor_shows_nothing(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace, customer_email="").ticket
        with pytest.raises(chats.ConversationExists):
            from_chat(workspace, ELSEWHERE, customer_email=ticket.requester_email)

    def test_callers_without_an_address_are_not_the_same_one(self, workspace: Workspace) -> None:
        nobody = chats.Sender(has_key=False, network="")
        from_chat(workspace, nobody)
        with pytest.raises(chats.ConversationExists):
            from_chat(workspace, nobody, customer_email="")


class TestVisitors:
    def test_have_a_ticket_without_an_address(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace, customer_email="", customer_name="").ticket
        assert ticket.requester_email.endswith("@chat.invalid") and ticket.requester_name == "Chat visitor"
        assert not base.is_reachable(ticket.requester_email)

    def test_become_the_person_whose_address_comes_later(self, workspace: Workspace) -> None:
        first = from_chat(workspace, customer_email="", customer_name="")
        ContactFactory(workspace=workspace, email="john@customers.example", name="Secret Name")
        again = from_chat(workspace, customer_name="John", now=NOW + HOUR)
        ticket = Ticket.objects.for_workspace(workspace).get()
        assert (ticket.requester_email, ticket.requester_name) == ("john@customers.example", "John")
        assert again.token == first.token  # the visitor's link still opens it
        said = ticket.comments.filter(author_type="customer")
        assert {(comment.author_contact_id, comment.author_name) for comment in said} == {(ticket.requester_id, "John")}
        assert [a.event for a in ticket.activities.order_by("occurred_at")] == ["ticket.created", "ticket.updated"]

    def test_a_person_is_not_replaced_by_another(self, workspace: Workspace) -> None:
        from_chat(workspace)
        from_chat(workspace, customer_email="jane@customers.example")
        assert Ticket.objects.for_workspace(workspace).get().requester_email == "john@customers.example"


class TestEscalating:
    def test_an_unknown_conversation_opens_a_ticket(self, workspace: Workspace) -> None:
        handed = escalate(workspace, context={"plan": "gold"})
        chat = Chat.objects.for_workspace(workspace).get()
        assert handed.is_new and chat.ticket == handed.ticket
        assert (chat.reason, chat.bot_id, chat.context, chat.escalated_at) == (
            "complex_issue",
            "bot-7",
            {"plan": "gold"},
            NOW,
        )
        assert handed.ticket.subject == "Chat handed over: complex issue"
        assert handed.ticket.requester_name == "Chat visitor"
        assert not handed.ticket.comments.exists()

    def test_takes_the_customer_from_the_context(self, workspace: Workspace) -> None:
        context = {"customer_email": "Jane@customers.example", "customer_name": "Jane", "subject": 7}
        ticket = escalate(workspace, context=context).ticket
        assert (ticket.requester_email, ticket.requester_name) == ("jane@customers.example", "Jane")
        assert ticket.subject == "Chat handed over: complex issue"
        other = escalate(workspace, conversation_id="2", context={"customer_email": "no address"}).ticket
        assert other.requester_name == "Chat visitor"

    def test_a_known_conversation_gets_one_note(self, workspace: Workspace) -> None:
        ticket = from_chat(workspace).ticket
        context = {"order": {"id": 17, "paid": True}, "tags": ["a", "b"], "text": "<b>{{ x }}</b> *y*"}
        for _ in range(2):
            handed = escalate(workspace, context=context, now=NOW + HOUR)
        assert not handed.is_new
        note = ticket.comments.get(is_internal=True)
        assert (note.author_type, note.author_name) == ("system", "Bot")
        assert note.body == (
            "Escalated by the bot: complex issue\n\n"
            "order › id: 17\norder › paid: yes\ntags: a, b\ntext: <b>{{ x }}</b> *y*"
        )
        assert "&lt;b&gt;{{ x }}&lt;/b&gt; *y*" in note.body_html
        escalate(workspace, reason="angry", now=NOW + 2 * HOUR)
        assert ticket.comments.filter(is_internal=True).count() == 2

    @pytest.mark.parametrize("moves", [["pending"], ["resolved"], ["resolved", "closed"]])
    def test_a_ticket_that_waits_or_is_finished_opens_again(self, workspace: Workspace, moves: list[str]) -> None:
        ticket = from_chat(workspace).ticket
        for move in moves:
            status.change_status(ticket=ticket, to=move, actor=SYSTEM, now=NOW + HOUR)
        assert escalate(workspace, now=NOW + DAY).ticket.status == "open"

    def test_the_same_again_after_it_was_finished_is_a_new_one(self, workspace: Workspace) -> None:
        ticket = escalate(workspace).ticket
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW + HOUR)
        assert escalate(workspace, now=NOW + DAY).ticket.status == "open"
        assert ticket.comments.filter(is_internal=True).count() == 1

    def test_what_was_closed_too_long_ago_is_continued_by_a_new_ticket(self, workspace: Workspace) -> None:
        old = from_chat(workspace).ticket
        for move in ("resolved", "closed"):
            status.change_status(ticket=old, to=move, actor=SYSTEM, now=NOW)
        later = NOW + (workspace.reopen_window_days + 1) * DAY
        more = [*HISTORY, {"role": "user", "content": "It broke again"}]
        handed = escalate(workspace, chat_history=more, now=later)
        assert handed.is_new and handed.ticket != old and handed.opened_as == handed.ticket.pk
        assert TicketLink.objects.for_workspace(workspace).get().kind == "follow_up"
        assert lines(handed.ticket) == [("customer", "John Doe", "It broke again")]
        assert escalate(workspace, now=later + HOUR).ticket == handed.ticket
        old.refresh_from_db()
        assert old.status == "closed"

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"reason": ""}, "reason"),
            ({"reason": "x" * 201}, "reason"),
            ({"bot_id": "x" * 201}, "bot_id"),
            ({"context": {"a": "x" * 16_384}}, "context"),
            ({"context": {"a": [[[[[[[[1]]]]]]]]}}, "context"),
            ({"context": ["a"]}, "context"),
            ({"customer_email": "nobody"}, "customer_email"),
            ({"conversation_id": " "}, "conversation_id"),
        ],
    )
    def test_what_is_wrong_is_refused_by_name(self, workspace: Workspace, fields: Any, field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            escalate(workspace, **fields)
        assert set(refused.value.errors) == {field} and written() == (0,) * 5

    def test_eight_levels_are_possible(self, workspace: Workspace) -> None:
        escalate(workspace, context={"a": [[[[[[[1]]]]]]]})
        assert Chat.objects.for_workspace(workspace).get().context == {"a": [[[[[[[1]]]]]]]}


class TestLinesOfATranscript:
    """They were said before the ticket: nobody waits for an answer to them, and they answer nothing."""

    def test_are_not_quoted_for_who_takes_an_answer_back(self, workspace: Workspace) -> None:
        ticket, maria = from_chat(workspace).ticket, make_agent(workspace)
        answer = make_reply(ticket, maria, now=NOW + HOUR)
        conversation.take_back(comment=answer, author=maria, now=NOW + HOUR)
        ticket.refresh_from_db()
        assert ticket.last_message_at == NOW and ticket.first_response_at is None

    def test_hold_back_an_answer_that_was_written_without_them(self, workspace: Workspace) -> None:
        ticket, maria = from_chat(workspace).ticket, make_agent(workspace)
        from_chat(workspace, chat_history=[*HISTORY, {"role": "user", "content": "Never mind"}], now=NOW + HOUR)
        with pytest.raises(conversation.StaleReply):
            make_reply(ticket, maria, now=NOW + HOUR, seen_until=NOW)

    def test_are_nobodys_to_change(self, workspace: Workspace) -> None:
        line = from_chat(workspace).ticket.comments.order_by("created_at").first()
        admin = make_agent(workspace, role="admin")
        with pytest.raises(Exception, match="stay as they were"):
            conversation.edit_comment(comment=line, editor=admin, body="x", now=NOW)


class TestKeys:
    def test_a_key_is_shown_once_and_kept_as_a_hash(self, workspace: Workspace) -> None:
        key = chats.make_key(workspace=workspace, now=NOW)
        own = chats.settings_of(workspace.pk)
        assert key.startswith("hdc_") and key.endswith(own.key_hint) and len(own.key_hint) == 4
        assert key not in repr(ChatSettings.unscoped.values().get())
        assert chats.find_key(key) == own and chats.authorize(workspace=workspace, key=key)

    def test_a_new_key_ends_the_one_before(self, workspace: Workspace) -> None:
        old, new = (chats.make_key(workspace=workspace, now=NOW) for _ in range(2))
        assert chats.authorize(workspace=workspace, key=new)
        with pytest.raises(chats.KeyRefused):
            chats.authorize(workspace=workspace, key=old)

    def test_a_wrong_key_is_refused_even_where_none_is_needed(self, workspace: Workspace) -> None:
        foreign = chats.make_key(workspace=WorkspaceFactory(), now=NOW)
        for key in (foreign, "hdc_", "hdc_wrong\ud800"):
            with pytest.raises(chats.KeyRefused):
                chats.authorize(workspace=workspace, key=key)
        assert not chats.authorize(workspace=workspace, key="")
        assert not chats.authorize(workspace=workspace, key="hdk_another_kind")

    def test_a_key_can_be_required_once_there_is_one(self, workspace: Workspace) -> None:
        with pytest.raises(Conflict):
            chats.set_mode(workspace=workspace, requires_key=True, now=NOW)
        assert not chats.settings_of(workspace.pk).requires_key
        key = chats.make_key(workspace=workspace, now=NOW)
        chats.set_mode(workspace=workspace, requires_key=True, now=NOW)
        for wrong in ("", "hdk_x", key + "x"):
            with pytest.raises(chats.KeyRefused):
                chats.authorize(workspace=workspace, key=wrong)
        assert chats.authorize(workspace=workspace, key=key)
        chats.set_mode(workspace=workspace, requires_key=False, now=NOW)
        assert not chats.authorize(workspace=workspace, key="")


class TestContexts:
    def test_are_read_as_pairs(self) -> None:
        given = {"a": None, "b": {"c": [{"d": 1}, "x"], "e": []}, "f": False, "g": {}, "h": 1.5}
        assert chats.readable(given) == [
            ("a", "–"),
            ("b › c › 1 › d", "1"),
            ("b › c › 2", "x"),
            ("b › e", "–"),
            ("f", "no"),
            ("g", "–"),
            ("h", "1.5"),
        ]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=20,
        )
    )
    def test_of_any_kind_can_be_read(self, value: Any) -> None:
        for name, words in chats.readable({"x": value}):
            assert name.startswith("x") and words


@given(
    st.lists(st.none() | st.integers(-5000, 5000).map(lambda m: NOW + dt.timedelta(minutes=m)), max_size=20),
    st.none() | st.integers(-5000, -1).map(lambda m: NOW + dt.timedelta(minutes=m)),
)
def test_the_times_of_lines_always_rise_and_are_before_now(told: list[Any], last: Any) -> None:
    times = list(chats._times([chats.Line("bot", "x", at=at) for at in told], last, NOW))
    assert len(times) == len(told) and all(at < NOW for at in times)
    assert all(a < b for a, b in pairwise([last, *times] if last else times))


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_open_one_ticket() -> None:
    workspace = WorkspaceFactory()
    barrier = threading.Barrier(6)

    def ask(number: int) -> chats.Handed:
        try:
            barrier.wait()
            call = escalate if number % 2 else from_chat
            return call(workspace, chat_history=HISTORY)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as crew:
        handed = list(crew.map(ask, range(6)))
    assert len({one.opened_as for one in handed}) == 1 and sum(one.is_new for one in handed) == 1
    assert len({one.token for one in handed}) == 1
    ticket = Ticket.objects.for_workspace(workspace).get()
    assert len(lines(ticket)) == 3 and Chat.unscoped.count() == 1
    assert ticket.comments.filter(is_internal=True).count() <= 1
