"""Files over the API: upload, list, signed download."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import Attachment, Ticket
from tickets.services import base, conversation, editing
from tickets.tests.api import UNKNOWN, Api, nothing_written, refused
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace)


@pytest.fixture
def api(maria: Membership) -> Api:
    return Api(maria)


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_ticket(workspace)


@pytest.fixture
def path(ticket: Ticket) -> str:
    return f"/tickets/{ticket.pk}/attachments"


def file(name: str = "log.txt", content: bytes = b"some text") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="application/x-claimed")


def download(url: str) -> Any:
    response = Api().get(url.removeprefix("/api"))
    if response.streaming:
        response.body = b"".join(response.streaming_content)
        response.close()
    return response


class TestUpload:
    def test_a_file_waits_for_its_comment(self, api: Api, ticket: Ticket, path: str) -> None:
        response = api.upload(path, file=file("screen.png", PNG))
        assert response.status_code == 201
        answer = response.json()
        assert set(answer) == {"id", "name", "size", "content_type", "url", "comment_id", "is_internal", "created_at"}
        assert answer["name"] == "screen.png" and answer["size"] == len(PNG)
        assert answer["content_type"] == "image/png"  # what it is, not what was claimed
        assert answer["comment_id"] is None and answer["is_internal"] is True
        listed = api.get(path).json()["attachments"]
        assert [row["id"] for row in listed] == [answer["id"]]
        api.post(f"/tickets/{ticket.pk}/comments", {"body": "Here.", "attachment_ids": [answer["id"]]})
        (sent,) = api.get(path).json()["attachments"]
        assert sent["comment_id"] and sent["is_internal"] is False

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("../../etc/passwd", "passwd"),
            ("a\u202egnp.exe", "agnp.exe"),
            ("x" * 200 + ".txt", "x" * 116 + ".txt"),
            ("a<b>;c.txt", "a_b_c.txt"),
        ],
    )
    def test_the_name_is_made_safe_and_the_place_is_ours(self, api: Api, path: str, given: str, kept: str) -> None:
        answer = api.upload(path, file=file(given)).json()
        assert answer["name"] == kept
        row = Attachment.unscoped.get()
        assert row.file.name == f"{row.workspace_id}/{row.pk.hex[:2]}/{row.pk.hex}"

    def test_refusals(self, api: Api, path: str, settings: Any) -> None:
        settings.ATTACHMENT_MAX_BYTES = 20
        with nothing_written():
            refused(api.upload(path), 400, "file")
            refused(api.upload(path, file="text"), 400, "file")
            refused(api.upload(path, file=file(content=b"")), 400, "file")
            refused(api.upload(path, file=file(content=b"x" * 21)), 400, "file")
            refused(api.upload(path, file=file(), surprise="1"), 400, "surprise")
            refused(api.post(path, {"file": "x"}), 415)
            broken = api.client.generic(
                "POST", f"/api{path}", b"--x\r\nnonsense", "multipart/form-data; boundary=x", headers=api.headers
            )
            refused(broken, 400)

    def test_where_one_may_upload(self, workspace: Workspace, maria: Membership, path: str) -> None:
        assert Api(make_agent(workspace, "light")).upload(path, file=file()).status_code == 201
        _, plain = tokens.make_api_key(
            membership=maria, name="reports", scopes=["read"], expires_at=None, now=timezone.now()
        )
        with nothing_written():
            refused(Api().upload(path, file=file()), 401)
            refused(Api(token=plain).upload(path, file=file()), 403)
            refused(Api(make_agent(WorkspaceFactory(), "owner")).upload(path, file=file()), 404)
            refused(Api(maria).upload(f"/tickets/{UNKNOWN}/attachments", file=file()), 404)

    def test_the_same_key_uploads_once(self, api: Api, path: str) -> None:
        api.headers["Idempotency-Key"] = "k"
        answers = [api.upload(path, file=file()).json() for _ in range(2)]
        assert answers[0] == answers[1]
        refused(api.upload(path, file=file(content=b"other")), 422)
        assert Attachment.unscoped.count() == 1


class TestDownload:
    def test_the_link_opens_the_file_without_a_token(self, api: Api, path: str) -> None:
        url = api.upload(path, file=file("r\u00e9sum\u00e9.txt")).json()["url"]
        response = download(url)
        assert response.status_code == 200
        assert response.body == b"some text"
        assert response["Content-Disposition"].startswith("attachment;")
        assert "r%C3%A9sum%C3%A9.txt" in response["Content-Disposition"]
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]

    @pytest.mark.parametrize(("name", "content"), [("a.html", HTML), ("a.svg", SVG), ("a.txt", HTML), ("a.png", SVG)])
    def test_what_could_run_is_only_ever_a_download(self, api: Api, path: str, name: str, content: bytes) -> None:
        response = download(api.upload(path, file=file(name, content)).json()["url"])
        assert response["Content-Disposition"].startswith("attachment;")
        assert not any(word in response["Content-Type"] for word in ("html", "svg", "xml", "script"))

    def test_the_link_lasts_fifteen_minutes(self, api: Api, path: str) -> None:
        start = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
        with time_machine.travel(start, tick=False) as clock:
            api = Api(make_agent(Ticket.unscoped.get().workspace))
            url = api.upload(path, file=file()).json()["url"]
            clock.shift(14 * 60)
            assert download(url).status_code == 200
            clock.shift(2 * 60)
            assert refused(download(url), 404)["code"] == "no_such_file"

    def test_wrong_signatures_and_unknown_files_answer_alike(self, api: Api, path: str) -> None:
        one = api.upload(path, file=file()).json()
        two = api.upload(path, file=file()).json()
        signature = one["url"].partition("?")[2]
        answers = [
            refused(download(f"/api/attachments/{two['id']}?{signature}"), 404),
            refused(download(f"/api/attachments/{one['id']}"), 404),
            refused(download(f"/api/attachments/{one['id']}?signature=x"), 404),
            refused(download(f"/api/attachments/{one['id']}?signature=%F0%9F%98%80:x"), 404),
            refused(download(f"/api/attachments/{UNKNOWN}?{signature}"), 404),
            # A member without the signature is told no more.
            refused(api.get(f"/attachments/{one['id']}"), 404),
        ]
        assert all(answer == answers[0] for answer in answers)

    def test_files_of_the_trash_and_of_deleted_comments_are_gone(
        self, api: Api, maria: Membership, ticket: Ticket, path: str
    ) -> None:
        sent, waiting = (api.upload(path, file=file()).json() for _ in range(2))
        comment = make_reply(ticket, maria, attachment_ids=[sent["id"]])
        conversation.delete_comment(comment=comment, editor=maria, now=NOW)
        refused(download(sent["url"]), 404)
        assert [row["id"] for row in api.get(path).json()["attachments"]] == [waiting["id"]]
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        refused(download(waiting["url"]), 404)

    def test_a_file_that_is_lost_on_disk_is_not_found(self, api: Api, path: str) -> None:
        url = api.upload(path, file=file()).json()["url"]
        row = Attachment.unscoped.get()
        row.file.storage.delete(row.file.name)
        refused(download(url), 404)
