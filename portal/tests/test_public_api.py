"""The public endpoints: submit, read, answer."""

import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from portal.tests.factories import a_file, finish, make_request
from tickets import access
from tickets.models import Activity, Comment, CustomerToken, Ticket
from tickets.tests.factories import make_agent, make_reply

pytestmark = pytest.mark.django_db

TICKETS = "/api/public/tickets"
DAY = dt.timedelta(days=1)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


def body_for(workspace: Workspace, **fields: Any) -> dict[str, Any]:
    return {
        "workspace_id": str(workspace.pk),
        "subject": "Question about billing",
        "description": "I have a question…",
        "requester_email": "customer@customers.example",
        "requester_name": "John Doe",
    } | fields


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    raw = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post(path, raw, content_type="application/json", headers=headers)


def nothing_was_written() -> bool:
    models = (Ticket, Contact, Comment, Activity, CustomerToken, IdempotencyKey)
    return not any(model.unscoped.exists() for model in models)


class TestSubmit:
    def test_gives_the_ticket_and_the_token_that_opens_it(self, client: Client, workspace: Workspace) -> None:
        answer = post(client, TICKETS, body_for(workspace))
        assert answer.status_code == 201
        ticket = Ticket.objects.for_workspace(workspace).get()
        given = answer.json()
        assert set(given) == {"ticket", "accessToken"}
        assert given["ticket"] == {
            "id": str(ticket.pk),
            "ticket_number": f"#{ticket.number}",
            "subject": "Question about billing",
            "description": "I have a question…",
            "status": "open",
            "requester_name": "John Doe",
            "created_at": ticket.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        assert ticket.channel == "api"
        assert answer["Cache-Control"] == "no-store" and answer["Referrer-Policy"] == "no-referrer"
        assert len(given["accessToken"]) >= 22  # 128 bits or more
        read = client.get(f"{TICKETS}/{ticket.pk}", {"access_token": given["accessToken"]})
        assert read.status_code == 200

    def test_needs_no_name(self, client: Client, workspace: Workspace) -> None:
        body = body_for(workspace)
        del body["requester_name"]
        assert post(client, TICKETS, body).json()["ticket"]["requester_name"] == "customer"

    @pytest.mark.parametrize("field", ["workspace_id", "subject", "description", "requester_email"])
    def test_names_the_field_that_is_missing(self, client: Client, workspace: Workspace, field: str) -> None:
        body = body_for(workspace)
        del body[field]
        answer = post(client, TICKETS, body)
        assert answer.status_code == 400 and set(answer.json()["errors"]) == {field}
        assert nothing_was_written()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("workspace_id", "not-an-id"),
            ("workspace_id", 7),
            ("workspace_id", None),
            ("subject", ""),
            ("subject", 12),
            ("subject", ["a"]),
            ("subject", "x" * 256),
            ("subject", "a\0b"),
            ("subject", "\ud800"),
            ("description", ""),
            ("description", "x" * 200_001),
            ("description", {"a": 1}),
            ("requester_email", "jane@acme"),
            ("requester_email", "jane@acme.example\r\nBcc: all@acme.example"),
            ("requester_email", True),
            ("requester_name", "x" * 121),
            ("requester_name", None),
            ("requester_name", "\udfff"),
            ("priority", "urgent"),
            ("assignee_id", "x"),
            ("access_token", "x"),
        ],
    )
    def test_names_the_field_that_is_wrong(self, client: Client, workspace: Workspace, field: str, value: Any) -> None:
        answer = post(client, TICKETS, body_for(workspace, **{field: value}))
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert set(answer.json()["errors"]) == {field}
        assert nothing_was_written()

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"subject": NaN}'])
    def test_refuses_a_body_that_is_no_object(self, client: Client, workspace: Workspace, raw: bytes) -> None:
        assert post(client, TICKETS, raw).status_code == 400
        assert nothing_was_written()

    def test_refuses_ten_megabytes(self, client: Client, workspace: Workspace) -> None:
        answer = post(client, TICKETS, body_for(workspace, description="x" * 10_000_000))
        assert answer.status_code == 413
        assert nothing_was_written()

    def test_names_a_workspace_that_does_not_exist(self, client: Client, workspace: Workspace) -> None:
        answer = post(client, TICKETS, body_for(workspace, workspace_id=str(uuid4())))
        assert answer.status_code == 404 and set(answer.json()["errors"]) == {"workspace_id"}
        assert nothing_was_written()

    def test_flattens_line_breaks(self, client: Client, workspace: Workspace) -> None:
        answer = post(client, TICKETS, body_for(workspace, subject="a\r\nBcc: b", requester_name="J\nD"))
        assert answer.json()["ticket"]["subject"] == "a Bcc: b"
        assert answer.json()["ticket"]["requester_name"] == "J D"

    def test_tells_nobody_the_name_that_is_stored_and_does_not_change_it(
        self, client: Client, workspace: Workspace
    ) -> None:
        owner: Any = ContactFactory(workspace=workspace, email="customer@customers.example", name="Jane Q. Secretname")
        unnamed = post(client, TICKETS, body_for(workspace, requester_name=""))
        assert "Secretname" not in unnamed.text
        token, pk = unnamed.json()["accessToken"], unnamed.json()["ticket"]["id"]
        replied = post(client, f"{TICKETS}/{pk}/reply", {"access_token": token, "body": "Hello"})
        assert "Secretname" not in replied.text
        assert "Secretname" not in client.get(f"{TICKETS}/{pk}", {"token": token}).text
        post(client, TICKETS, body_for(workspace, requester_name="Mallory"))
        owner.refresh_from_db()
        assert owner.name == "Jane Q. Secretname"

    @pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
    def test_is_a_post(self, client: Client, method: str) -> None:
        assert getattr(client, method)(TICKETS).status_code == 405

    def test_too_often_is_429(self, client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (1, 60))
        assert post(client, TICKETS, body_for(workspace)).status_code == 201
        answer = post(client, TICKETS, body_for(workspace))
        assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
        assert Ticket.objects.for_workspace(workspace).count() == 1


class TestSubmitTwice:
    def test_with_one_key_happens_once_and_answers_the_same(self, client: Client, workspace: Workspace) -> None:
        first = post(client, TICKETS, body_for(workspace), **{"Idempotency-Key": "abc"})
        again = post(client, TICKETS, body_for(workspace), **{"Idempotency-Key": "abc"})
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json() and again["Idempotency-Replayed"] == "true"
        assert Ticket.objects.for_workspace(workspace).count() == 1

    def test_keeps_no_token_in_the_database(self, client: Client, workspace: Workspace) -> None:
        token = post(client, TICKETS, body_for(workspace), **{"Idempotency-Key": "abc"}).json()["accessToken"]
        assert token not in json.dumps(IdempotencyKey.unscoped.get().body)

    def test_gives_no_token_again_once_it_was_revoked(self, client: Client, workspace: Workspace) -> None:
        post(client, TICKETS, body_for(workspace), **{"Idempotency-Key": "abc"})
        ticket = Ticket.objects.for_workspace(workspace).get()
        access.revoke(ticket=ticket, contact=ticket.requester, now=timezone.now())
        again = post(client, TICKETS, body_for(workspace), **{"Idempotency-Key": "abc"})
        assert again.json()["accessToken"] is None

    def test_with_another_body_is_422(self, client: Client, workspace: Workspace) -> None:
        post(client, TICKETS, body_for(workspace), **{"Idempotency-Key": "abc"})
        answer = post(client, TICKETS, body_for(workspace, subject="Other"), **{"Idempotency-Key": "abc"})
        assert answer.status_code == 422
        assert Ticket.objects.for_workspace(workspace).count() == 1

    def test_strangers_share_no_keys(self, client: Client, workspace: Workspace) -> None:
        post(client, TICKETS, body_for(workspace), **{"Idempotency-Key": "1"})
        other = Client(REMOTE_ADDR="203.0.113.9")
        answer = post(other, TICKETS, body_for(workspace), **{"Idempotency-Key": "1"})
        assert "Idempotency-Replayed" not in answer.headers
        assert Ticket.objects.for_workspace(workspace).count() == 2


class TestRead:
    @pytest.mark.parametrize("way", ["access_token", "token", "header"])
    def test_takes_the_token_in_three_ways(self, client: Client, workspace: Workspace, way: str) -> None:
        ticket, token = make_request(workspace)
        path = f"{TICKETS}/{ticket.pk}"
        answer = (
            client.get(path, headers={"X-Access-Token": token}) if way == "header" else client.get(path, {way: token})
        )
        assert answer.status_code == 200
        assert answer.json()["ticket"]["ticket_number"] == f"#{ticket.number}"
        assert token not in answer.text

    def test_gives_public_comments_only_oldest_first(self, client: Client, workspace: Workspace) -> None:
        agent = make_agent(workspace, user__name="Maria Rossi")
        ticket, token = make_request(workspace, uploads=[a_file()])
        make_reply(ticket, agent, now=timezone.now(), body="A secret note", internal=True)
        make_reply(ticket, agent, now=timezone.now(), body="First")
        make_reply(ticket, agent, now=timezone.now(), body="Second")
        answer = client.get(f"{TICKETS}/{ticket.pk}", {"access_token": token})
        given = answer.json()["ticket"]
        assert [comment["body"] for comment in given["comments"]] == ["First", "Second"]
        assert given["comments"][0]["author_name"] == "Maria Rossi"
        assert set(given["comments"][0]) == {
            "id",
            "ticket_id",
            "body",
            "body_html",
            "author_type",
            "author_name",
            "created_at",
            "edited_at",
            "folded_text",
            "attachments",
        }
        assert [file["name"] for file in given["attachments"]] == ["screen.txt"]
        for word in ("secret", "priority", "assignee", "is_internal", "tags", "requester_email"):
            assert word not in answer.text

    def test_the_same_404_for_a_wrong_id_and_for_a_wrong_token(self, client: Client, workspace: Workspace) -> None:
        now = timezone.now()
        ticket, token = make_request(workspace)
        old, expired = make_request(workspace, now=now - 181 * DAY, requester_email="old@customers.example")
        gone, revoked = make_request(workspace, requester_email="gone@customers.example")
        access.revoke(ticket=gone, contact=gone.requester, now=now)
        answers = [
            client.get(f"{TICKETS}/{uuid4()}", {"access_token": token}),
            client.get(f"{TICKETS}/{ticket.pk}", {"access_token": "wrong"}),
            client.get(f"{TICKETS}/{ticket.pk}"),
            client.get(f"{TICKETS}/{old.pk}", {"access_token": expired}),
            client.get(f"{TICKETS}/{gone.pk}", {"access_token": revoked}),
            client.get(f"{TICKETS}/{gone.pk}", {"access_token": token}),
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1

    def test_the_404_costs_the_same_for_a_wrong_id_and_for_a_wrong_token(
        self, client: Client, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        ticket, token = make_request(workspace)
        for pk, tried in ((uuid4(), token), (ticket.pk, "wrong"), (uuid4(), "wrong")):
            with django_assert_num_queries(1):
                assert client.get(f"{TICKETS}/{pk}", {"access_token": tried}).status_code == 404
            with django_assert_num_queries(1):
                body = {"access_token": tried, "body": "Hello"}
                assert post(client, f"{TICKETS}/{pk}/reply", body).status_code == 404

    def test_costs_few_queries(self, client: Client, workspace: Workspace, django_assert_num_queries: Any) -> None:
        ticket, token = make_request(workspace, uploads=[a_file()])
        agent = make_agent(workspace)
        for number in range(5):
            with django_assert_num_queries(3):
                client.get(f"{TICKETS}/{ticket.pk}", {"access_token": token})
            make_reply(ticket, agent, now=timezone.now(), body=f"Word {number}")


class TestReply:
    def test_adds_a_comment_and_opens_the_ticket_again(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        finish(ticket, "resolved", now=timezone.now())
        answer = post(client, f"{TICKETS}/{ticket.pk}/reply", {"access_token": token, "body": "Not *solved*."})
        assert answer.status_code == 201
        given = answer.json()
        assert set(given) == {"ticket", "comment"}
        assert given["ticket"]["status"] == "open" and given["ticket"]["id"] == str(ticket.pk)
        assert given["comment"]["body"] == "Not *solved*." and given["comment"]["author_name"] == "Jane Smith"
        assert given["comment"]["author_type"] == "customer"
        assert Comment.objects.for_workspace(workspace).get().channel == "api"

    def test_long_after_the_close_begins_a_new_ticket_with_its_own_token(
        self, client: Client, workspace: Workspace
    ) -> None:
        then = timezone.now() - 40 * DAY
        ticket, token = make_request(workspace, now=then)
        finish(ticket, "resolved", "closed", now=then)
        body = {"access_token": token, "body": "It is back."}
        answer = post(client, f"{TICKETS}/{ticket.pk}/reply", body, **{"Idempotency-Key": "k"})
        given = answer.json()
        new = Ticket.objects.for_workspace(workspace).exclude(pk=ticket.pk).get()
        assert answer.status_code == 201 and given["comment"] is None
        assert given["ticket"]["id"] == str(new.pk) and given["ticket"]["description"] == "It is back."
        assert given["accessToken"] != token
        read = client.get(f"{TICKETS}/{new.pk}", {"access_token": given["accessToken"]})
        assert read.status_code == 200
        again = post(client, f"{TICKETS}/{ticket.pk}/reply", body, **{"Idempotency-Key": "k"})
        assert again.json() == given and Ticket.objects.for_workspace(workspace).count() == 2

    def test_with_one_key_happens_once(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        body = {"access_token": token, "body": "Hello"}
        first = post(client, f"{TICKETS}/{ticket.pk}/reply", body, **{"Idempotency-Key": "k"})
        again = post(client, f"{TICKETS}/{ticket.pk}/reply", body, **{"Idempotency-Key": "k"})
        assert first.json() == again.json() and Comment.unscoped.count() == 1

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"body": ""}, "body"),
            ({"body": None}, "body"),
            ({"body": 5}, "body"),
            ({"body": "a\0b"}, "body"),
            ({"body": "\ud83d"}, "body"),
            ({"body": "x" * 200_001}, "body"),
            ({"access_token": ""}, "access_token"),
            ({"access_token": 5}, "access_token"),
            ({"is_internal": True}, "is_internal"),
            ({"author_name": "Maria"}, "author_name"),
        ],
    )
    def test_names_the_field_that_is_wrong(
        self, client: Client, workspace: Workspace, fields: dict[str, Any], wrong: str
    ) -> None:
        ticket, token = make_request(workspace)
        answer = post(client, f"{TICKETS}/{ticket.pk}/reply", {"access_token": token, "body": "Hello"} | fields)
        assert answer.status_code == 400 and set(answer.json()["errors"]) == {wrong}
        assert not Comment.unscoped.exists()

    def test_with_a_wrong_token_is_the_same_404_as_for_an_unknown_id(
        self, client: Client, workspace: Workspace
    ) -> None:
        ticket, token = make_request(workspace)
        wrong = post(client, f"{TICKETS}/{ticket.pk}/reply", {"access_token": "wrong", "body": "Hello"})
        unknown = post(client, f"{TICKETS}/{uuid4()}/reply", {"access_token": token, "body": "Hello"})
        assert wrong.status_code == unknown.status_code == 404 and wrong.content == unknown.content
        assert not Comment.unscoped.exists()

    def test_is_a_post(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        assert client.get(f"{TICKETS}/{ticket.pk}/reply", {"access_token": token}).status_code == 405
