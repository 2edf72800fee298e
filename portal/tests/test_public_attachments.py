"""Files over the public API: sent with a request or an answer, and downloaded with the token."""

import datetime as dt
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from portal.services.requests import MAX_FILES
from portal.tests.factories import a_file, finish, make_request, make_settings
from tickets import access
from tickets.models import Activity, Attachment, Comment, CustomerToken, Ticket
from tickets.services import conversation
from tickets.tests.factories import make_agent, make_reply

pytestmark = pytest.mark.django_db

TICKETS = "/api/public/tickets"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


def form_for(workspace: Workspace, *files: SimpleUploadedFile, **fields: Any) -> dict[str, Any]:
    return {
        "workspace_id": str(workspace.pk),
        "subject": "The parcel is damaged",
        "description": "See the pictures.",
        "requester_email": "jane@customers.example",
        "files": list(files),
    } | fields


def kept_files() -> set[Path]:
    return {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}


def nothing_was_written() -> bool:
    models = (Ticket, Contact, Comment, Activity, CustomerToken, Attachment, IdempotencyKey)
    return not any(model.unscoped.exists() for model in models)


def content_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


class TestARequestWithFiles:
    def test_keeps_them_and_gives_them_back_with_the_token(self, client: Client, workspace: Workspace) -> None:
        answer = client.post(
            TICKETS, form_for(workspace, a_file("one.txt", b"first"), a_file("two.png", PICTURE), requester_name="Jane")
        )
        assert answer.status_code == 201, answer.text
        token, pk = answer.json()["accessToken"], answer.json()["ticket"]["id"]
        ticket = Ticket.objects.for_workspace(workspace).get()
        assert (ticket.subject, ticket.requester_name, ticket.channel) == ("The parcel is damaged", "Jane", "api")
        read = client.get(f"{TICKETS}/{pk}", {"access_token": token}).json()["ticket"]
        assert [(file["name"], file["size"], file["content_type"]) for file in read["attachments"]] == [
            ("one.txt", 5, "text/plain"),
            ("two.png", 48, "image/png"),
        ]
        for file, content in zip(read["attachments"], (b"first", PICTURE), strict=True):
            assert set(file) == {"id", "name", "size", "content_type", "url"}
            assert file["url"] == f"{TICKETS}/{pk}/attachments/{file['id']}"
            assert content_of(client.get(file["url"], {"access_token": token})) == content

    def test_needs_none(self, client: Client, workspace: Workspace) -> None:
        body = form_for(workspace)
        del body["files"]
        assert client.post(TICKETS, body).status_code == 201
        assert not Attachment.unscoped.exists()

    def test_is_refused_whole_when_one_is_refused(self, client: Client, workspace: Workspace, settings: Any) -> None:
        settings.ATTACHMENT_MAX_BYTES = 1024 * 1024
        before = kept_files()
        for bad, words in ((a_file("empty.txt", b""), "empty"), (a_file("big.txt", b"x" * 1_048_577), "too large")):
            answer = client.post(
                TICKETS, form_for(workspace, a_file(), bad), headers={"Idempotency-Key": bad.name or ""}
            )
            assert answer.status_code == 400 and answer["Content-Type"] == "application/problem+json"
            assert set(answer.json()["errors"]) == {"files"}
            (told,) = answer.json()["errors"]["files"]
            assert told.startswith(f"{bad.name}: ") and words in told
        too_many = client.post(TICKETS, form_for(workspace, *(a_file(f"{n}.txt") for n in range(MAX_FILES + 1))))
        assert too_many.status_code == 400 and set(too_many.json()["errors"]) == {"files"}
        assert nothing_was_written() and kept_files() == before

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"subject": ""}, "subject"),
            ({"subject": "a\0b"}, "subject"),
            ({"subject": ["one", "two"]}, "subject"),
            ({"subject": a_file()}, "subject"),
            ({"requester_email": "jane"}, "requester_email"),
            ({"workspace_id": "acme"}, "workspace_id"),
            ({"workspace_id": str(uuid4())}, "workspace_id"),
            ({"files": "text"}, "files"),
            ({"file": a_file()}, "file"),
            ({"priority": "urgent"}, "priority"),
            ({"website": "https://spam.example"}, "website"),
        ],
    )
    def test_names_the_field_that_is_wrong(
        self, client: Client, workspace: Workspace, fields: dict[str, Any], wrong: str
    ) -> None:
        answer = client.post(TICKETS, form_for(workspace, a_file()) | fields)
        assert answer.status_code in (400, 404), answer.text
        assert set(answer.json()["errors"]) == {wrong}
        assert nothing_was_written()

    def test_is_no_json(self, client: Client, workspace: Workspace) -> None:
        body = form_for(workspace)
        for files in ([], ["screen.txt"], "x"):
            answer = client.post(TICKETS, json.dumps(body | {"files": files}), content_type="application/json")
            assert answer.status_code == 400 and set(answer.json()["errors"]) == {"files"}
        assert nothing_was_written()

    @pytest.mark.parametrize(
        "kind", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "image/png"]
    )
    def test_has_to_be_a_form_that_can_be_read(self, client: Client, workspace: Workspace, kind: str) -> None:
        answer = client.post(TICKETS, b"--y\r\nnonsense", content_type=kind)
        assert answer.status_code == (400 if kind.startswith("multipart") else 415)
        assert nothing_was_written()

    def test_gets_a_name_that_is_safe(self, client: Client, workspace: Workspace) -> None:
        client.post(TICKETS, form_for(workspace, a_file("../../etc/pass\u202ewd\r\n.txt")))
        name = Attachment.objects.for_workspace(workspace).get().name
        assert "/" not in name and "\u202e" not in name and "\n" not in name

    def test_may_come_from_a_page_of_a_site_that_is_listed(self, client: Client, workspace: Workspace) -> None:
        make_settings(workspace, allowed_origins=["https://shop.example"])
        refused = client.post(TICKETS, form_for(workspace, a_file()), headers={"Origin": "https://other.example"})
        assert refused.status_code == 403 and not Ticket.unscoped.exists()
        given = client.post(TICKETS, form_for(workspace, a_file()), headers={"Origin": "https://shop.example"})
        assert given.status_code == 201


class TestTheSameKeyAgain:
    def test_with_the_same_files_answers_the_same_and_keeps_them_once(
        self, client: Client, workspace: Workspace
    ) -> None:
        key = {"Idempotency-Key": "k"}
        first, again = (client.post(TICKETS, form_for(workspace, a_file()), headers=key) for _ in range(2))
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json() and again["Idempotency-Replayed"] == "true"
        assert Ticket.unscoped.count() == Attachment.unscoped.count() == 1

    @pytest.mark.parametrize(
        "others",
        [
            [],
            [a_file("screen.txt", b"what I saX")],
            [a_file("other.txt")],
            [a_file(), a_file()],
            [a_file("screen.txt", b"what I "), a_file("screen.txt", b"saw")],
        ],
        ids=["none", "another content", "another name", "one more", "cut in two"],
    )
    def test_with_other_files_is_refused(
        self, client: Client, workspace: Workspace, others: list[SimpleUploadedFile]
    ) -> None:
        key = {"Idempotency-Key": "k"}
        client.post(TICKETS, form_for(workspace, a_file()), headers=key)
        answer = client.post(TICKETS, form_for(workspace, *others), headers=key)
        assert answer.status_code == 422
        assert Ticket.unscoped.count() == Attachment.unscoped.count() == 1


class TestAnAnswerWithFiles:
    def test_keeps_them_with_its_comment(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        answer = client.post(
            f"{TICKETS}/{ticket.pk}/reply",
            {"access_token": token, "body": "Here it is.", "files": [a_file("a.txt"), a_file("b.txt")]},
        )
        assert answer.status_code == 201, answer.text
        comment = answer.json()["comment"]
        assert [file["name"] for file in comment["attachments"]] == ["a.txt", "b.txt"]
        url = comment["attachments"][0]["url"]
        assert content_of(client.get(url, headers={"X-Access-Token": token})) == b"what I saw"
        read = client.get(f"{TICKETS}/{ticket.pk}", {"access_token": token}).json()["ticket"]
        assert read["comments"] == [comment] and read["attachments"] == []

    def test_takes_them_along_into_a_follow_up(self, client: Client, workspace: Workspace) -> None:
        then = timezone.now() - dt.timedelta(days=40)
        ticket, token = make_request(workspace, now=then)
        finish(ticket, "resolved", "closed", now=then)
        body = {"access_token": token, "body": "It is back.", "files": [a_file()]}
        given = client.post(f"{TICKETS}/{ticket.pk}/reply", body).json()
        assert given["comment"] is None
        new = client.get(f"{TICKETS}/{given['ticket']['id']}", {"access_token": given["accessToken"]}).json()["ticket"]
        (file,) = new["attachments"]
        assert content_of(client.get(file["url"], {"token": given["accessToken"]})) == b"what I saw"
        assert client.get(file["url"], {"token": token}).status_code == 404

    def test_is_refused_whole_when_one_is_refused(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        before = kept_files()
        body = {"access_token": token, "body": "Here it is.", "files": [a_file(), a_file("empty.txt", b"")]}
        answer = client.post(f"{TICKETS}/{ticket.pk}/reply", body)
        assert answer.status_code == 400
        assert answer.json()["errors"]["files"][0].startswith("empty.txt: ")
        assert not Comment.unscoped.exists() and not Attachment.unscoped.exists() and kept_files() == before

    def test_with_a_wrong_token_keeps_nothing(self, client: Client, workspace: Workspace) -> None:
        ticket, _ = make_request(workspace)
        before = kept_files()
        body = {"access_token": "wrong", "body": "Hello", "files": [a_file()]}
        assert client.post(f"{TICKETS}/{ticket.pk}/reply", body).status_code == 404
        assert not Attachment.unscoped.exists() and kept_files() == before


class TestADownload:
    @pytest.fixture
    def key(self, workspace: Workspace) -> tuple[Ticket, str, Attachment]:
        ticket, token = make_request(
            workspace, uploads=[a_file("page.html", b"<html><script>alert(1)</script></html>")]
        )
        return ticket, token, Attachment.objects.for_workspace(workspace).get()

    def path(self, ticket: Ticket, file: Attachment) -> str:
        return f"{TICKETS}/{ticket.pk}/attachments/{file.pk}"

    @pytest.mark.parametrize("way", ["access_token", "token", "header"])
    def test_takes_the_token_in_three_ways(self, client: Client, key: tuple[Ticket, str, Attachment], way: str) -> None:
        ticket, token, file = key
        path = self.path(ticket, file)
        for given in (token, access.mailed(token)):
            if way == "header":
                answer = client.get(path, headers={"X-Access-Token": given})
            else:
                answer = client.get(path, {way: given})
            assert answer.status_code == 200 and b"alert" in content_of(answer)

    def test_is_never_shown_on_our_address(self, client: Client, key: tuple[Ticket, str, Attachment]) -> None:
        ticket, token, file = key
        client.cookies["request_token"] = token
        for answer in (
            client.get(self.path(ticket, file), {"access_token": token}),
            client.get(f"/portal/tickets/{ticket.pk}/files/{file.pk}"),
        ):
            assert answer["Content-Disposition"] == 'attachment; filename="page.html"'
            assert answer["Content-Type"] == "application/octet-stream"
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
            assert "no-store" in answer["Cache-Control"] and answer["Referrer-Policy"] == "no-referrer"
            answer.close()

    def test_is_the_same_404_for_whatever_is_wrong(
        self, client: Client, workspace: Workspace, key: tuple[Ticket, str, Attachment]
    ) -> None:
        ticket, token, file = key
        other, others_token = make_request(workspace, uploads=[a_file()])
        others = Attachment.objects.for_workspace(workspace).exclude(pk=file.pk).get()
        answers = [
            client.get(self.path(ticket, file)),
            client.get(self.path(ticket, file), {"access_token": "wrong"}),
            client.get(self.path(ticket, file), {"access_token": others_token}),
            client.get(self.path(other, file), {"access_token": others_token}),
            client.get(self.path(ticket, others), {"access_token": token}),
            client.get(f"{TICKETS}/{ticket.pk}/attachments/{uuid4()}", {"access_token": token}),
            client.get(f"{TICKETS}/{uuid4()}/attachments/{file.pk}", {"access_token": token}),
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1

    def test_never_gives_what_agents_keep_to_themselves(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        agent = make_agent(workspace)
        note = make_reply(ticket, agent, now=timezone.now(), body="A note", internal=True)
        taken_back = make_reply(ticket, agent, now=timezone.now(), body="Oops")
        hidden = []
        for comment, is_internal in ((note, True), (taken_back, False), (None, True)):
            file = Attachment(
                workspace=workspace, ticket=ticket, comment=comment, name="a.txt", size=1, is_internal=is_internal
            )
            file.file = a_file()
            file.save()
            hidden.append(file)
        conversation.delete_comment(comment=taken_back, editor=agent, now=timezone.now())
        for file in hidden:
            assert client.get(self.path(ticket, file), {"access_token": token}).status_code == 404
        read = client.get(f"{TICKETS}/{ticket.pk}", {"access_token": token})
        assert not any(str(file.pk) in read.text for file in hidden)

    def test_that_is_lost_is_404(self, client: Client, key: tuple[Ticket, str, Attachment]) -> None:
        ticket, token, file = key
        file.file.delete(save=False)
        assert client.get(self.path(ticket, file), {"access_token": token}).status_code == 404

    def test_ends_with_the_token(self, client: Client, key: tuple[Ticket, str, Attachment]) -> None:
        ticket, token, file = key
        access.revoke(ticket=ticket, contact=ticket.requester, now=timezone.now())
        assert client.get(self.path(ticket, file), {"access_token": token}).status_code == 404

    def test_is_refused_to_a_page_of_a_foreign_site(
        self, client: Client, workspace: Workspace, key: tuple[Ticket, str, Attachment]
    ) -> None:
        make_settings(WorkspaceFactory(), allowed_origins=["https://shop.example"])
        ticket, token, file = key
        answer = client.get(
            self.path(ticket, file), {"access_token": token}, headers={"Origin": "https://shop.example"}
        )
        assert answer.status_code == 403

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_is_a_get(self, client: Client, key: tuple[Ticket, str, Attachment], method: str) -> None:
        ticket, token, file = key
        assert getattr(client, method)(self.path(ticket, file), {"access_token": token}).status_code == 405
