"""The endpoints for chatbots."""

import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from portal.models import PortalSettings
from portal.services import portals, strangers
from portal.tests.factories import make_settings
from tickets.models import Activity, Chat, Comment, CustomerToken, Ticket
from tickets.services import chats

pytestmark = pytest.mark.django_db

FROM_CHAT = "/api/public/tickets/from-chat"
ESCALATE = "/api/public/tickets/escalate"
BOTH = pytest.mark.parametrize("path", [FROM_CHAT, ESCALATE])


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


def from_chat(workspace: Workspace, **fields: Any) -> dict[str, Any]:
    """The body as the specification prints it."""
    return {
        "workspace_id": str(workspace.pk),
        "conversation_id": "conv-uuid",
        "subject": "Escalated from chat",
        "description": "Customer needs human support",
        "customer_email": "customer@customers.example",
        "customer_name": "John Doe",
        "chat_history": [
            {"role": "user", "content": "I need help"},
            {"role": "bot", "content": "How can I assist?"},
        ],
    } | fields


def escalation(workspace: Workspace, **fields: Any) -> dict[str, Any]:
    """The body as the specification prints it."""
    return {
        "workspace_id": str(workspace.pk),
        "bot_id": "bot-uuid",
        "conversation_id": "conv-uuid",
        "reason": "complex_issue",
        "context": {"plan": "gold"},
    } | fields


def body_for(path: str, workspace: Workspace, **fields: Any) -> dict[str, Any]:
    return (from_chat if path == FROM_CHAT else escalation)(workspace, **fields)


def post(client: Client, path: str, body: Any, *, address: str = "192.0.2.1", **headers: str) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers, REMOTE_ADDR=address)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def nothing_was_written() -> bool:
    models = (Ticket, Contact, Comment, Activity, CustomerToken, IdempotencyKey, Chat)
    return not any(model.unscoped.exists() for model in models)


class TestFromChat:
    def test_gives_the_ticket_and_the_token_that_opens_it(self, client: Client, workspace: Workspace) -> None:
        answer = post(client, FROM_CHAT, from_chat(workspace))
        assert answer.status_code == 201
        given, ticket = answer.json(), Ticket.objects.for_workspace(workspace).get()
        assert set(given) == {"ticket", "accessToken"}
        assert given["ticket"] == {
            "id": str(ticket.pk),
            "ticket_number": f"#{ticket.number}",
            "subject": "Escalated from chat",
            "description": "Customer needs human support",
            "status": "open",
            "requester_name": "John Doe",
            "created_at": ticket.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        assert answer["Cache-Control"] == "no-store"
        read = client.get(f"/api/public/tickets/{ticket.pk}", {"access_token": given["accessToken"]}).json()
        assert [(one["author_type"], one["author_name"], one["body"]) for one in read["ticket"]["comments"]] == [
            ("customer", "John Doe", "I need help"),
            ("system", "Bot", "How can I assist?"),
        ]

    def test_answers_the_same_conversation_with_200_and_the_same(self, client: Client, workspace: Workspace) -> None:
        first, second = (post(client, FROM_CHAT, from_chat(workspace)) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        assert Ticket.unscoped.count() == 1 and Comment.unscoped.count() == 2

    @pytest.mark.parametrize(
        ("field", "value", "named"),
        [
            ("workspace_id", "x", "workspace_id"),
            ("conversation_id", "", "conversation_id"),
            ("conversation_id", "x" * 201, "conversation_id"),
            ("conversation_id", 7, "conversation_id"),
            ("subject", "", "subject"),
            ("subject", None, "subject"),
            ("description", "x" * 200_001, "description"),
            ("customer_email", "nobody", "customer_email"),
            ("customer_name", "x" * 121, "customer_name"),
            ("chat_history", {}, "chat_history"),
            ("chat_history", "x", "chat_history"),
            ("chat_history", None, "chat_history"),
            ("chat_history", ["x"], "chat_history.0"),
            (
                "chat_history",
                [{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}],
                "chat_history.1.role",
            ),
            ("chat_history", [{"role": "user", "content": 7}], "chat_history.0.content"),
            ("chat_history", [{"role": "user", "content": "a\0b"}], "chat_history.0.content"),
            ("chat_history", [{"role": "user", "content": "x" * 10_001}], "chat_history.0.content"),
            ("chat_history", [{"role": "user", "content": "x", "colour": 1}], "chat_history.0.colour"),
            ("chat_history", [{"role": "user", "content": "x", "timestamp": "now"}], "chat_history.0.timestamp"),
            ("chat_history", [{"role": "user", "content": f"line {n}"} for n in range(5000)], "chat_history"),
            ("chat_history", [{"role": "user", "content": "x" * 9000}] * 23, "chat_history"),
            ("bot_id", "x", "bot_id"),
        ],
    )
    def test_names_the_field_that_is_wrong(
        self, client: Client, workspace: Workspace, field: str, value: Any, named: str
    ) -> None:
        answer = post(client, FROM_CHAT, from_chat(workspace, **{field: value}))
        assert answer.status_code == 400 and set(answer.json()["errors"]) == {named}
        assert nothing_was_written()

    @pytest.mark.parametrize("at", ["2026-11-01T10:00:00Z", "2026-11-01T12:00:00+02:00", "2026-11-01T10:00:00"])
    def test_keeps_when_a_line_was_said(self, client: Client, workspace: Workspace, at: str) -> None:
        history = [{"role": "user", "content": "x", "timestamp": at}]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                timezone, "now", lambda: timezone.datetime(2026, 11, 2, tzinfo=timezone.get_fixed_timezone(0))
            )
            assert post(client, FROM_CHAT, from_chat(workspace, chat_history=history)).status_code == 201
        assert Comment.unscoped.get().created_at.isoformat() == "2026-11-01T10:00:00+00:00"

    @pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1970-01-01T00:00:00Z"])
    def test_survives_impossible_times(self, client: Client, workspace: Workspace, at: str) -> None:
        answer = post(
            client, FROM_CHAT, from_chat(workspace, chat_history=[{"role": "user", "content": "x", "timestamp": at}])
        )
        assert answer.status_code in (201, 400)

    def test_costs_the_same_queries_however_long_it_is(self, client: Client, workspace: Workspace) -> None:
        post(client, FROM_CHAT, from_chat(workspace, conversation_id="warm"))
        counts = []
        for number, length in enumerate((2, 500)):
            history = [{"role": "user", "content": f"line {n}"} for n in range(length)]
            body = from_chat(workspace, conversation_id=str(number), chat_history=history)
            with CaptureQueriesContext(connection) as seen:
                assert post(client, FROM_CHAT, body).status_code == 201
            counts.append(len(seen))
        assert counts[0] == counts[1]


class TestEscalate:
    def test_opens_a_ticket_for_an_unknown_conversation(self, client: Client, workspace: Workspace) -> None:
        answer = post(client, ESCALATE, escalation(workspace))
        assert answer.status_code == 201 and set(answer.json()) == {"ticket", "accessToken"}
        assert answer.json()["ticket"]["subject"] == "Chat handed over: complex issue"
        chat = Chat.unscoped.get()
        assert (chat.bot_id, chat.reason, chat.context) == ("bot-uuid", "complex_issue", {"plan": "gold"})

    def test_leaves_a_note_on_a_known_one_that_customers_do_not_see(self, client: Client, workspace: Workspace) -> None:
        first = post(client, FROM_CHAT, from_chat(workspace)).json()
        answers = [post(client, ESCALATE, escalation(workspace)) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert all(answer.json() == first for answer in answers)
        assert Comment.unscoped.filter(is_internal=True).count() == 1
        read = client.get(f"/api/public/tickets/{first['ticket']['id']}", {"token": first["accessToken"]})
        assert "complex" not in read.text and "gold" not in read.text

    @pytest.mark.parametrize(
        ("field", "value", "named"),
        [
            ("reason", "", "reason"),
            ("reason", "x" * 201, "reason"),
            ("bot_id", 7, "bot_id"),
            ("context", None, "context"),
            ("context", "x", "context"),
            ("context", [1], "context"),
            ("context", {"a": "x" * 17_000}, "context"),
            ("context", {"a": [[[[[[[[1]]]]]]]]}, "context"),
            ("context", {"a": {"b": "x\0"}}, "context.a.b"),
            ("colour", "red", "colour"),
        ],
    )
    def test_names_the_field_that_is_wrong(
        self, client: Client, workspace: Workspace, field: str, value: Any, named: str
    ) -> None:
        answer = post(client, ESCALATE, escalation(workspace, **{field: value}))
        assert answer.status_code == 400 and set(answer.json()["errors"]) == {named}
        assert nothing_was_written()


class TestWhoMay:
    @BOTH
    def test_a_workspace_that_is_not_there_is_named(self, client: Client, workspace: Workspace, path: str) -> None:
        answer = post(client, path, body_for(path, workspace, workspace_id=str(uuid4())))
        assert answer.status_code == 404 and set(answer.json()["errors"]) == {"workspace_id"}
        assert nothing_was_written()

    @BOTH
    def test_a_key_that_is_required_opens(self, client: Client, workspace: Workspace, path: str) -> None:
        key = chats.make_key(workspace=workspace, now=timezone.now())
        chats.set_mode(workspace=workspace, requires_key=True, now=timezone.now())
        body = body_for(path, workspace)
        for headers in ({}, bearer("hdc_wrong"), bearer("hdk_other"), {"Authorization": f"Basic {key}"}):
            refused = post(client, path, body, **headers)
            assert refused.status_code == 401 and "Bearer" in refused["WWW-Authenticate"]
            assert refused.json()["code"] in ("key_required", "key_invalid")
        assert nothing_was_written()
        assert post(client, path, body, **bearer(key)).status_code == 201
        assert Chat.unscoped.get().opened_by == "key"

    @BOTH
    def test_a_wrong_key_is_refused_where_none_is_needed(self, client: Client, workspace: Workspace, path: str) -> None:
        foreign = chats.make_key(workspace=WorkspaceFactory(), now=timezone.now())
        for key in ("hdc_wrong", foreign):
            assert post(client, path, body_for(path, workspace), **bearer(key)).status_code == 401
        assert nothing_was_written()

    @BOTH
    def test_a_stranger_learns_nothing_of_a_conversation(self, client: Client, workspace: Workspace, path: str) -> None:
        first = post(client, FROM_CHAT, from_chat(workspace)).json()
        comments = Comment.unscoped.count()
        body = body_for(path, workspace) | {"customer_email": "eve@evil.example"}
        refused = post(client, path, body, address="198.51.100.9")
        assert refused.status_code == 409 and refused.json()["code"] == "conversation_exists"
        assert first["ticket"]["ticket_number"] not in refused.text and first["ticket"]["id"] not in refused.text
        assert Comment.unscoped.count() == comments
        body["customer_email"] = "customer@customers.example"
        assert post(client, path, body, address="198.51.100.9").json()["accessToken"] == first["accessToken"]

    def test_one_household_of_ipv6_is_one_network(self, client: Client, workspace: Workspace) -> None:
        anonymous = from_chat(workspace, customer_email="")
        post(client, FROM_CHAT, anonymous, address="2001:db8::1")
        assert post(client, FROM_CHAT, anonymous, address="2001:db8::2").status_code == 200
        assert post(client, FROM_CHAT, anonymous, address="2001:db8:0:1::1").status_code == 409


class TestAnIdempotencyKey:
    @BOTH
    def test_gives_the_same_answer_again(self, client: Client, workspace: Workspace, path: str) -> None:
        body, headers = body_for(path, workspace), {"Idempotency-Key": "one"}
        first, second = (post(client, path, body, **headers) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 201)
        assert second["Idempotency-Replayed"] == "true" and second.json() == first.json()
        assert first.json()["accessToken"] not in json.dumps(list(IdempotencyKey.unscoped.values("body")), default=str)

    def test_is_not_shared_between_networks_and_never_goes_past_the_key(
        self, client: Client, workspace: Workspace
    ) -> None:
        headers = {"Idempotency-Key": "one"}
        post(client, FROM_CHAT, from_chat(workspace, customer_email=""), **headers)
        other = post(client, FROM_CHAT, from_chat(workspace, customer_email=""), address="198.51.100.9", **headers)
        assert other.status_code == 409
        wrong = post(client, FROM_CHAT, from_chat(workspace), **headers, **bearer("hdc_wrong"))
        assert wrong.status_code == 401


class TestHowOften:
    @pytest.fixture(autouse=True)
    def _rates(self, settings: Any) -> None:
        rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] | {"public": "2/min", "chat": "3/min"}
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}

    def statuses(self, client: Client, workspace: Workspace, count: int, address: str, **headers: str) -> list[int]:
        return [
            post(client, FROM_CHAT, from_chat(workspace), address=address, **headers).status_code for _ in range(count)
        ]

    def test_without_a_key_an_address_counts(self, client: Client, workspace: Workspace) -> None:
        assert self.statuses(client, workspace, 3, "203.0.113.71") == [201, 200, 429]
        assert self.statuses(client, workspace, 1, "203.0.113.72", **bearer("hdc_wrong")) == [401]

    def test_with_one_the_key_counts_from_wherever(self, client: Client, workspace: Workspace) -> None:
        key = bearer(chats.make_key(workspace=workspace, now=timezone.now()))
        assert self.statuses(client, workspace, 2, "203.0.113.81", **key) == [201, 200]
        assert self.statuses(client, workspace, 2, "203.0.113.82", **key) == [200, 429]
        other = WorkspaceFactory()
        assert self.statuses(client, other, 1, "203.0.113.82") == [201]


class TestTheLimitOfTheWorkspace:
    """What callers without a key open counts with the requests of all strangers."""

    @pytest.fixture
    def workspace(self) -> Workspace:
        workspace = WorkspaceFactory(name="Acme Help", slug="acme")
        make_settings(workspace, requests_per_hour=1, asks_proof=True)
        return workspace

    def fill(self, workspace: Workspace) -> None:
        strangers.count(portal=portals.of(workspace))

    @BOTH
    def test_refuses_a_new_ticket_and_keeps_nothing(self, client: Client, workspace: Workspace, path: str) -> None:
        self.fill(workspace)
        answer = post(client, path, body_for(path, workspace), **{"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
        assert 3500 < int(answer["Retry-After"]) <= 3600
        assert nothing_was_written() and not mail.outbox

    @BOTH
    def test_is_no_matter_with_the_key(self, client: Client, workspace: Workspace, path: str) -> None:
        key = bearer(chats.make_key(workspace=workspace, now=timezone.now()))
        assert post(client, path, body_for(path, workspace), **key).status_code == 201
        self.fill(workspace)  # nothing was counted so far
        other = body_for(path, workspace, conversation_id="another")
        assert post(client, path, other, **key).status_code == 201

    @BOTH
    def test_counts_each_new_ticket_once(self, client: Client, workspace: Workspace, path: str) -> None:
        body = body_for(path, workspace)
        assert post(client, path, body | {"conversation_id": ""}).status_code == 400
        answers = [post(client, path, body, **{"Idempotency-Key": "k"}).status_code for _ in range(2)]
        assert answers == [201, 201]
        assert post(client, path, body).status_code == 200  # the same conversation goes on
        assert post(client, path, body | {"conversation_id": "another"}).status_code == 429
        assert post(client, path, body_for(path, WorkspaceFactory())).status_code == 201
        assert Ticket.objects.for_workspace(workspace).count() == 1

    def test_counts_what_continues_a_ticket_that_was_closed_long_ago(
        self, client: Client, workspace: Workspace
    ) -> None:
        post(client, ESCALATE, escalation(workspace))
        long_ago = timezone.now() - dt.timedelta(days=400)
        Ticket.unscoped.update(status="closed", resolved_at=long_ago, closed_at=long_ago)
        before = Chat.unscoped.get().ticket_id
        assert post(client, ESCALATE, escalation(workspace, reason="again")).status_code == 429
        chat = Chat.unscoped.get()
        assert (chat.ticket_id, chat.reason) == (before, "complex_issue") and Ticket.unscoped.count() == 1
        PortalSettings.objects.for_workspace(workspace).update(requests_per_hour=9)
        assert post(client, ESCALATE, escalation(workspace, reason="again")).status_code == 201
        assert Ticket.unscoped.count() == 2
