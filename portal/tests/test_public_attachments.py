"""Files over the public API: with a request, with an answer, and back."""

from typing import Any

import pytest
from django.test import Client

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.services.requests import MAX_FILES
from portal.tests.factories import a_file, make_request
from tickets.models import Attachment, Comment, Ticket

pytestmark = pytest.mark.django_db

PATH = "/api/public/tickets"


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


def form(workspace: Workspace, *files: Any, **fields: Any) -> dict[str, Any]:
    return {
        "workspace_id": str(workspace.pk),
        "subject": "Cannot log in",
        "description": "See the picture",
        "requester_email": "jane@customers.example",
        **fields,
        "files": list(files),
    }


def test_come_with_a_request_and_can_be_read_again(client: Client, workspace: Workspace) -> None:
    answer = client.post(PATH, form(workspace, a_file("one.txt", b"first"), a_file("two.txt", b"second")))
    assert answer.status_code == 201, answer.text
    ticket, token = answer.json()["ticket"], answer.json()["accessToken"]
    shown = client.get(f"{PATH}/{ticket['id']}", headers={"X-Access-Token": token}).json()["ticket"]
    assert [file["name"] for file in shown["attachments"]] == ["one.txt", "two.txt"]
    for file, content in zip(shown["attachments"], (b"first", b"second"), strict=True):
        got = client.get(file["url"])
        assert b"".join(got.streaming_content) == content
        assert got["Content-Disposition"].startswith("attachment") and got["X-Content-Type-Options"] == "nosniff"
        assert token not in file["url"]


def test_come_with_an_answer(client: Client, workspace: Workspace) -> None:
    ticket, token = make_request(workspace)
    answer = client.post(
        f"{PATH}/{ticket.pk}/reply", {"access_token": token, "body": "Here it is", "files": [a_file("log.txt")]}
    )
    assert answer.status_code == 201, answer.text
    assert [file["name"] for file in answer.json()["comment"]["attachments"]] == ["log.txt"]
    assert Comment.unscoped.get().attachments.get().name == "log.txt"


def test_a_form_without_files_is_as_good_as_json(client: Client, workspace: Workspace) -> None:
    assert client.post(PATH, form(workspace)).status_code == 201
    assert Ticket.unscoped.count() == 1 and not Attachment.unscoped.exists()


class TestRefusals:
    def refused(self, answer: Any, field: str, word: str) -> None:
        assert answer.status_code == 400, answer.text
        assert list(answer.json()["errors"]) == [field] and word in str(answer.json()["errors"][field])
        assert not Ticket.unscoped.exists() and not Attachment.unscoped.exists()

    def test_names_which_file_is_refused(self, client: Client, workspace: Workspace, settings: Any) -> None:
        settings.ATTACHMENT_MAX_BYTES = 10
        given = form(workspace, a_file("good.txt", b"ok"), a_file("bad.txt", b"x" * 11))
        self.refused(client.post(PATH, given), "files", "bad.txt")

    def test_names_an_empty_file(self, client: Client, workspace: Workspace) -> None:
        self.refused(client.post(PATH, form(workspace, a_file("bad.txt", b""))), "files", "bad.txt")

    def test_counts_them(self, client: Client, workspace: Workspace) -> None:
        many = [a_file(f"bad{n}.txt") for n in range(MAX_FILES + 1)]
        self.refused(client.post(PATH, form(workspace, *many)), "files", str(MAX_FILES))

    def test_knows_no_other_field_with_files(self, client: Client, workspace: Workspace) -> None:
        self.refused(client.post(PATH, form(workspace) | {"file": a_file("bad.txt")}), "file", "no such field")
        self.refused(client.post(PATH, form(workspace) | {"subject": a_file("bad.txt")}), "subject", "")

    def test_does_not_take_the_name_of_a_file_for_one(self, client: Client, workspace: Workspace) -> None:
        given = form(workspace) | {"files": ["bad.txt"]}
        answer = client.post(PATH, given, content_type="application/json")
        assert answer.status_code == 400 and list(answer.json()["errors"]) == ["files"]
        answer = client.post(PATH, given)
        assert answer.status_code == 400 and list(answer.json()["errors"]) == ["files"]

    def test_with_a_wrong_token_is_the_404_that_it_always_is(self, client: Client, workspace: Workspace) -> None:
        ticket, _ = make_request(workspace)
        given = {"access_token": "wrong", "body": "x", "files": [a_file("bad.txt")]}
        assert client.post(f"{PATH}/{ticket.pk}/reply", given).status_code == 404
        assert not Attachment.unscoped.exists()


class TestTwiceWithOneKey:
    def test_happens_once(self, client: Client, workspace: Workspace) -> None:
        answers = [
            client.post(PATH, form(workspace, a_file("a.txt", b"same")), headers={"Idempotency-Key": "k1"})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json()["ticket"] == answers[1].json()["ticket"]
        assert answers[1]["Idempotency-Replayed"] == "true" and Attachment.unscoped.count() == 1

    def test_with_another_file_is_422(self, client: Client, workspace: Workspace) -> None:
        client.post(PATH, form(workspace, a_file("a.txt", b"one")), headers={"Idempotency-Key": "k1"})
        other = client.post(PATH, form(workspace, a_file("a.txt", b"two")), headers={"Idempotency-Key": "k1"})
        assert other.status_code == 422 and Attachment.unscoped.count() == 1
