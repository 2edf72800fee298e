"""Comments over the API."""

from typing import Any

import pytest

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import Activity, Comment, Ticket
from tickets.services import conversation
from tickets.tests.api import UNKNOWN, Api, nothing_written, refused
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

KEYS = {
    "id",
    "ticket_id",
    "body",
    "author_type",
    "author_name",
    "is_internal",
    "created_at",
    "body_html",
    "attachments",
    "edited_at",
    "channel",
    "folded_text",
    "delivery",
}


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
    return f"/tickets/{ticket.pk}/comments"


def upload(api: Api, ticket: Ticket, name: str = "log.txt") -> str:
    from django.core.files.uploadedfile import SimpleUploadedFile

    response = api.upload(f"/tickets/{ticket.pk}/attachments", file=SimpleUploadedFile(name, b"some text"))
    assert response.status_code == 201, response.content
    return str(response.json()["id"])


class TestCreate:
    def test_the_answer_has_the_shape_of_the_specification(
        self, api: Api, maria: Membership, ticket: Ticket, path: str
    ) -> None:
        response = api.post(path, {"body": "I'll look into **this** for you.", "is_internal": False})
        assert response.status_code == 201
        answer = response.json()
        assert set(answer) == KEYS
        assert answer["ticket_id"] == str(ticket.pk)
        assert answer["author_type"] == "agent" and answer["author_name"] == maria.user.name
        assert answer["is_internal"] is False and answer["channel"] == "api"
        assert "<strong>this</strong>" in answer["body_html"]
        assert answer["created_at"].endswith("Z") and len(answer["created_at"]) == 20
        assert answer["attachments"] == [] and answer["edited_at"] is None
        assert api.get(f"/tickets/{ticket.pk}").json()["first_response_at"] == answer["created_at"]

    def test_the_example_of_the_specification(self, workspace: Workspace, ticket: Ticket, path: str) -> None:
        api = Api(make_agent(workspace, user__name="Support Agent"))
        example = {"body": "I'll look into this for you.", "is_internal": False}
        answer = api.post(path, example).json()
        stored = Comment.unscoped.get()
        printed = {
            "id": str(stored.pk),
            "ticket_id": str(ticket.pk),
            "body": "I'll look into this for you.",
            "author_type": "agent",
            "author_name": "Support Agent",
            "is_internal": False,
            "created_at": stored.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        assert {name: answer.get(name) for name in printed} == printed

    def test_a_note_is_no_answer(self, api: Api, ticket: Ticket, path: str) -> None:
        assert api.post(path, {"body": "x", "is_internal": True}).json()["is_internal"] is True
        assert api.get(f"/tickets/{ticket.pk}").json()["first_response_at"] is None

    def test_uploaded_files_go_with_the_comment(self, api: Api, ticket: Ticket, path: str) -> None:
        file = upload(api, ticket)
        answer = api.post(path, {"body": "See the file.", "attachment_ids": [file]}).json()
        assert [(a["id"], a["name"], a["size"]) for a in answer["attachments"]] == [(file, "log.txt", 9)]
        with nothing_written():
            refused(api.post(path, {"body": "Again.", "attachment_ids": [file]}), 404, "attachment_ids")

    def test_a_file_of_somebody_else_is_not_found(
        self, api: Api, workspace: Workspace, ticket: Ticket, path: str
    ) -> None:
        theirs = upload(Api(make_agent(workspace)), ticket)
        elsewhere = upload(api, make_ticket(workspace))
        with nothing_written():
            for file in (theirs, elsewhere, UNKNOWN):
                refused(api.post(path, {"body": "x", "attachment_ids": [file]}), 404, "attachment_ids")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "body"),
            ({"body": ""}, "body"),
            ({"body": " \n "}, "body"),
            ({"body": None}, "body"),
            ({"body": 1}, "body"),
            ({"body": "a\0"}, "body"),
            ({"body": "\udfff"}, "body"),
            ({"body": "x" * 200_001}, "body"),
            ({"body": "x", "is_internal": "yes"}, "is_internal"),
            ({"body": "x", "is_internal": None}, "is_internal"),
            ({"body": "x", "attachment_ids": UNKNOWN}, "attachment_ids"),
            ({"body": "x", "attachment_ids": ["x"]}, "attachment_ids.0"),
            ({"body": "x", "author_type": "customer"}, "author_type"),
        ],
    )
    def test_a_wrong_field_is_named(self, api: Api, path: str, body: dict[str, Any], field: str) -> None:
        with nothing_written():
            refused(api.post(path, body), 400, field)

    def test_a_light_agent_writes_notes_and_no_answers(self, workspace: Workspace, path: str) -> None:
        light = Api(make_agent(workspace, "light"))
        assert light.post(path, {"body": "x", "is_internal": True}).status_code == 201
        with nothing_written():
            refused(light.post(path, {"body": "x"}), 403)

    def test_the_same_key_comments_once(self, api: Api, path: str) -> None:
        answers = [api.post(path, {"body": "x"}, Idempotency_Key="k").json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert Comment.unscoped.count() == 1


class TestList:
    def test_oldest_first_with_notes_and_without_deleted_ones(
        self, api: Api, maria: Membership, ticket: Ticket, path: str, django_assert_num_queries: Any
    ) -> None:
        make_reply(ticket, maria, body="one")
        make_reply(ticket, maria, body="two", internal=True)
        gone = make_reply(ticket, maria, body="gone")
        conversation.delete_comment(comment=gone, editor=maria, now=NOW)
        conversation.customer_reply(ticket=ticket, contact=ticket.requester, body="three", channel="portal", now=NOW)
        file = upload(api, ticket)
        api.post(path, {"body": "four", "attachment_ids": [file]})
        with django_assert_num_queries(4):  # who asks, the ticket, the comments, their files
            answer = api.get(path).json()
        assert [comment["body"] for comment in answer["comments"]] == ["one", "two", "three", "four"]
        assert [comment["author_type"] for comment in answer["comments"]] == ["agent", "agent", "customer", "agent"]
        assert answer["comments"][3]["attachments"][0]["id"] == file
        assert all(set(comment) == KEYS for comment in answer["comments"])
        assert answer["pagination"] == {"page": 1, "limit": 20, "total": 4, "totalPages": 1}
        assert [c["body"] for c in api.get(f"{path}?page=2&limit=3").json()["comments"]] == ["four"]

    def test_an_unknown_parameter_is_named(self, api: Api, path: str) -> None:
        refused(api.get(f"{path}?sort=new"), 400, "sort")


class TestChange:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_the_author_mends_what_they_wrote(
        self, api: Api, maria: Membership, ticket: Ticket, path: str, method: str
    ) -> None:
        comment = make_reply(ticket, maria, body="Helo")
        answer = api(method, f"{path}/{comment.pk}", {"body": "Hello"}).json()
        assert answer["body"] == "Hello" and answer["body_html"] == "<p>Hello</p>" and answer["edited_at"]
        log = Activity.unscoped.get(event="ticket.comment.edited")
        assert log.changes == [{"field": "body", "from": "Helo", "to": "Hello"}]

    def test_an_admin_may_another_agent_may_not(self, workspace: Workspace, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria)
        path = f"/tickets/{ticket.pk}/comments/{comment.pk}"
        other, admin = Api(make_agent(workspace)), Api(make_agent(workspace, "admin"))
        with nothing_written():
            refused(other.put(path, {"body": "x"}), 403)
            refused(other.delete(path), 403)
        assert admin.put(path, {"body": "x"}).status_code == 200
        assert admin.delete(path).status_code == 204

    def test_a_customer_s_words_stay(self, workspace: Workspace, ticket: Ticket, path: str) -> None:
        said = conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="Mine.", channel="portal", now=NOW
        ).comment
        assert said is not None
        owner = Api(make_agent(workspace, "owner"))
        with nothing_written():
            refused(owner.put(f"{path}/{said.pk}", {"body": "x"}), 403)

    def test_a_light_agent_changes_own_notes(self, workspace: Workspace, ticket: Ticket, path: str) -> None:
        member = make_agent(workspace)
        answer = make_reply(ticket, member)
        note = make_reply(ticket, member, internal=True)
        member.role = "light"
        member.save()
        light = Api(member)
        assert light.put(f"{path}/{note.pk}", {"body": "x"}).status_code == 200
        with nothing_written():
            refused(light.put(f"{path}/{answer.pk}", {"body": "x"}), 403)

    def test_a_deleted_comment_is_gone_and_the_log_keeps_it(
        self, api: Api, maria: Membership, ticket: Ticket, path: str
    ) -> None:
        comment = make_reply(ticket, maria, body="Secret")
        assert api.delete(f"{path}/{comment.pk}").status_code == 204
        assert api.get(path).json()["comments"] == []
        assert Activity.unscoped.get(event="ticket.comment.deleted").changes[0]["from"] == "Secret"
        with nothing_written():
            refused(api.delete(f"{path}/{comment.pk}"), 404)
            refused(api.put(f"{path}/{comment.pk}", {"body": "x"}), 404)

    def test_a_comment_is_found_only_under_its_ticket(
        self, api: Api, workspace: Workspace, maria: Membership, ticket: Ticket, path: str
    ) -> None:
        elsewhere = make_reply(make_ticket(workspace), maria)
        other = WorkspaceFactory()
        foreign = make_reply(make_ticket(other), make_agent(other))
        with nothing_written():
            for pk in (elsewhere.pk, foreign.pk, UNKNOWN):
                refused(api.put(f"{path}/{pk}", {"body": "x"}), 404)
                refused(api.delete(f"{path}/{pk}"), 404)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "body"),
            ({"body": ""}, "body"),
            ({"body": []}, "body"),
            ({"body": "x", "is_internal": True}, "is_internal"),
        ],
    )
    def test_a_wrong_field_is_named(
        self, api: Api, maria: Membership, ticket: Ticket, path: str, body: dict[str, Any], field: str
    ) -> None:
        comment = make_reply(ticket, maria)
        with nothing_written():
            refused(api.put(f"{path}/{comment.pk}", body), 400, field)


def test_the_answer_to_a_public_comment_says_that_its_mail_waits_and_a_note_is_not_mailed(api, path, ticket):
    delivery = api.post(path, {"body": "Hello", "is_internal": False}).json()["delivery"]
    assert (delivery["state"], delivery["to"], delivery["reason"]) == ("waiting", [ticket.requester_email], "")
    assert api.post(path, {"body": "Hm", "is_internal": True}).json()["delivery"] is None
