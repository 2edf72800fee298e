"""A customer reads their request by the link, and answers."""

import datetime as dt
import logging
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from portal.tests.factories import a_file, finish, make_request
from tickets import access
from tickets.models import Attachment, Comment, Participant, Ticket
from tickets.services import base, conversation, editing, files, merging
from tickets.tests.factories import make_agent, make_reply

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


def address(ticket: Ticket) -> str:
    return reverse("portal:ticket", args=[ticket.pk])


def opened(client: Client, ticket: Ticket, token: str) -> Client:
    """The client, with the cookie that the link gives."""
    assert client.get(address(ticket), {"token": token}).status_code == 302
    return client


class TestTheLink:
    def test_is_exchanged_for_a_cookie_and_leaves_the_address(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        answer = client.get(address(ticket), {"token": token})
        assert answer.status_code == 302 and answer["Location"] == address(ticket)
        cookie = answer.cookies["request_token"]
        assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == address(ticket)
        assert not cookie["secure"]  # on loopback; production says Secure
        assert token not in answer.text
        page = client.get(answer["Location"])
        assert page.status_code == 200 and token not in page.text

    def test_is_kept_nowhere_and_told_to_nobody(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        first = client.get(address(ticket), {"token": token})
        for answer in (first, client.get(address(ticket)), client.get(address(ticket), {"token": "wrong"})):
            assert answer["Cache-Control"] == "no-store"
            assert answer["Referrer-Policy"] == "no-referrer"

    def test_is_not_logged(self, client: Client, workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        ticket, token = make_request(workspace)
        opened(client, ticket, token).get(address(ticket))
        client.get(f"{address(ticket)}x", {"token": token})
        assert token not in caplog.text

    @pytest.mark.parametrize("case", ["wrong", "none", "empty", "expired", "revoked", "foreign", "trashed", "not text"])
    def test_that_opens_nothing_is_the_same_404_as_an_unknown_id(
        self, client: Client, workspace: Workspace, case: str
    ) -> None:
        now = timezone.now()
        ticket, token = make_request(workspace, now=now - 181 * DAY if case == "expired" else now)
        _, foreign = make_request(WorkspaceFactory())
        if case == "revoked":
            access.revoke(ticket=ticket, contact=ticket.requester, now=now)
        if case == "trashed":
            editing.trash(ticket=ticket, actor=base.agent(make_agent(workspace, "admin")), now=now)
        query = {
            "wrong": {"token": "x" * 43},
            "none": {},
            "empty": {"token": ""},
            "foreign": {"token": foreign},
            "not text": {"token": "é😀" * 200},
        }.get(case, {"token": token})
        answer = client.get(address(ticket), query)
        unknown = client.get(reverse("portal:ticket", args=[uuid4()]), {"token": token})
        assert answer.status_code == unknown.status_code == 404
        assert answer.text == unknown.text and "This link opens nothing" in answer.text
        assert "request_token" not in answer.cookies

    def test_costs_the_same_for_a_wrong_token_and_an_unknown_id(
        self, client: Client, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        ticket, _ = make_request(workspace)
        for pk in (ticket.pk, uuid4()):
            with django_assert_num_queries(1):
                client.get(reverse("portal:ticket", args=[pk]), {"token": "wrong"})

    def test_stops_working_the_moment_it_is_revoked_also_as_a_cookie(
        self, client: Client, workspace: Workspace
    ) -> None:
        ticket, token = make_request(workspace)
        opened(client, ticket, token)
        access.revoke(ticket=ticket, contact=ticket.requester, now=timezone.now())
        assert client.get(address(ticket)).status_code == 404
        assert client.post(address(ticket), {"body": "Hello?"}).status_code == 404
        assert not Comment.unscoped.exists()


class TestTheConversation:
    def test_is_shown_oldest_first(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace, description="First words")
        make_reply(ticket, make_agent(workspace, user__name="Maria Rossi"), now=timezone.now(), body="Second words")
        conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="Third words", channel="portal", now=timezone.now()
        )
        page = opened(client, ticket, token).get(address(ticket)).text
        assert page.index("First words") < page.index("Second words") < page.index("Third words")
        assert "Maria Rossi" in page and "Jane Smith" in page

    def test_has_nothing_that_only_agents_know(self, client: Client, workspace: Workspace) -> None:
        now = timezone.now()
        agent = make_agent(workspace, user__name="", user__email="insider@acme.example")
        ticket, token = make_request(workspace)
        ticket = editing.update_ticket(
            ticket=ticket,
            changes={"priority": "urgent", "tags": ["secret-tag"]},
            actor=base.agent(agent),
            now=now,
        )
        make_reply(ticket, agent, now=now, body="A secret note", internal=True)
        taken_back = make_reply(ticket, agent, now=now, body="A secret slip")
        conversation.delete_comment(comment=taken_back, editor=agent, now=now)
        make_reply(ticket, agent, now=now, body="A public word")
        waiting = files.attach(
            ticket=ticket,
            upload=SimpleUploadedFile("secret-draft.txt", b"x"),
            uploaded_by=agent.user,
            actor=base.agent(agent),
            now=now,
        )
        on_note = files.attach(
            ticket=ticket,
            upload=SimpleUploadedFile("secret-file.txt", b"x"),
            uploaded_by=agent.user,
            actor=base.agent(agent),
            now=now,
        )
        make_reply(ticket, agent, now=now, body="See secret file", internal=True, attachment_ids=[on_note.pk])
        page = opened(client, ticket, token).get(address(ticket)).text
        assert "A public word" in page and "Acme Help" in page
        for word in ("secret", "urgent", "Urgent", "insider@acme.example"):
            assert word not in page
        for hidden in (waiting, on_note):
            assert client.get(reverse("portal:file", args=[ticket.pk, hidden.pk])).status_code == 404

    @pytest.mark.parametrize(
        ("moves", "words", "form"),
        [
            ((), "We have received it", "Send answer"),
            (("pending",), "We wait for your answer", "Send answer"),
            (("pending", "open"), "We have received it", "Send answer"),
            (("resolved",), "Resolved", "Reopen request"),
            (("resolved", "closed"), "Closed", "Reopen request"),
        ],
    )
    def test_says_the_status_in_words(
        self, client: Client, workspace: Workspace, moves: tuple[str, ...], words: str, form: str
    ) -> None:
        ticket, token = make_request(workspace)
        finish(ticket, *moves, now=timezone.now())
        page = opened(client, ticket, token).get(address(ticket)).text
        assert words in page and form in page

    def test_says_that_we_work_on_it_once_an_agent_answered(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        make_reply(ticket, make_agent(workspace), now=timezone.now())
        assert "We are working on it" in opened(client, ticket, token).get(address(ticket)).text

    def test_is_read_with_few_queries_however_long_it_is(
        self, client: Client, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        ticket, token = make_request(workspace, uploads=[a_file()])
        agent = make_agent(workspace)
        opened(client, ticket, token)
        for number in range(12):
            with django_assert_num_queries(4):  # the link, the portal, the files, the messages
                client.get(address(ticket))
            make_reply(ticket, agent, now=timezone.now(), body=f"Word {number}")

    def test_shows_markup_but_runs_nothing(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(
            workspace,
            subject="<script>alert(1)</script>",
            description="**bold** <script>alert(2)</script> [x](javascript:alert(3)) {{ ticket.priority }}",
            requester_name="<img src=x onerror=alert(4)>",
        )
        page = opened(client, ticket, token).get(address(ticket)).text
        assert "<strong>bold</strong>" in page and "{{ ticket.priority }}" in page
        for trick in ("<script>alert", 'href="javascript', "<img src=x"):
            assert trick not in page


class TestFiles:
    def test_of_the_request_and_of_answers_can_be_downloaded(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace, uploads=[a_file("Überblick.html", b"<script>alert(1)</script>")])
        attachment = Attachment.objects.for_workspace(workspace).get()
        link = reverse("portal:file", args=[ticket.pk, attachment.pk])
        assert client.get(link).status_code == 404
        page = opened(client, ticket, token).get(address(ticket))
        assert link in page.text
        answer: Any = client.get(link)
        assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"
        assert answer["Content-Disposition"].startswith("attachment;")
        assert answer["X-Content-Type-Options"] == "nosniff" and "sandbox" in answer["Content-Security-Policy"]
        assert answer["Cache-Control"] == "no-store"

    def test_of_another_ticket_cannot(self, client: Client, workspace: Workspace) -> None:
        make_request(workspace, uploads=[a_file()], requester_email="other@customers.example")
        attachment = Attachment.objects.for_workspace(workspace).get()
        ticket, token = make_request(workspace)
        opened(client, ticket, token)
        assert client.get(reverse("portal:file", args=[ticket.pk, attachment.pk])).status_code == 404

    def test_of_a_comment_that_was_taken_back_cannot(self, client: Client, workspace: Workspace) -> None:
        now, agent = timezone.now(), make_agent(workspace)
        ticket, token = make_request(workspace)
        sent = files.attach(ticket=ticket, upload=a_file(), uploaded_by=agent.user, actor=base.agent(agent), now=now)
        comment = make_reply(ticket, agent, now=now, attachment_ids=[sent.pk])
        link = reverse("portal:file", args=[ticket.pk, sent.pk])
        opened(client, ticket, token)
        assert b"".join(client.get(link).streaming_content) == b"what I saw"
        conversation.delete_comment(comment=comment, editor=agent, now=now)
        assert client.get(link).status_code == 404


class TestAnAnswer:
    def test_is_added_with_its_files(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        answer = opened(client, ticket, token).post(
            address(ticket), {"body": "It is **still** locked.", "files": [a_file()]}
        )
        comment = Comment.objects.for_workspace(workspace).get()
        assert answer.status_code == 302
        assert answer["Location"] == f"{address(ticket)}?sent=answer#message-{comment.pk}"
        assert (comment.author_type, comment.channel, comment.is_internal) == ("customer", "portal", False)
        page = client.get(f"{address(ticket)}?sent=answer").text
        assert "<strong>still</strong>" in page and "screen.txt" in page and "Your answer was sent." in page

    @pytest.mark.parametrize("moves", [("pending",), ("resolved",), ("resolved", "closed")])
    def test_opens_the_ticket_again(self, client: Client, workspace: Workspace, moves: tuple[str, ...]) -> None:
        ticket, token = make_request(workspace)
        finish(ticket, *moves, now=timezone.now())
        opened(client, ticket, token).post(address(ticket), {"body": "Not solved."})
        ticket.refresh_from_db()
        assert ticket.status == "open"

    def test_long_after_the_close_begins_a_new_ticket_and_opens_it(self, client: Client, workspace: Workspace) -> None:
        then = timezone.now() - 40 * DAY
        ticket, token = make_request(workspace, now=then)
        finish(ticket, "resolved", "closed", now=then)
        page = opened(client, ticket, token).get(address(ticket))
        assert "Your answer opens a new one that continues it." in page.text
        answer = client.post(address(ticket), {"body": "It is back."})
        new = Ticket.objects.for_workspace(workspace).exclude(pk=ticket.pk).get()
        assert answer["Location"] == f"{address(new)}?sent=follow-up"
        assert answer.cookies["request_token"]["path"] == address(new)
        assert answer.cookies["request_token"].value not in answer["Location"]
        page = client.get(answer["Location"])
        assert page.status_code == 200 and "It is back." in page.text and "opened this new one" in page.text
        ticket.refresh_from_db()
        assert ticket.status == "closed" and new.requester_name == "Jane Smith"

    @pytest.mark.parametrize(
        ("fields", "field", "message"),
        [
            ({"body": " "}, "body", "Please write your answer first."),
            ({"body": "x" * 200_001}, "body", "at most 200000 characters"),
            ({"body": "a\0b"}, "body", "Null characters are not allowed."),
            ({"body": "Kept words", "files": [a_file("nothing.txt", b"")]}, "files", "The file is empty."),
        ],
    )
    def test_that_is_wrong_comes_back_and_nothing_is_written(
        self, client: Client, workspace: Workspace, fields: dict[str, Any], field: str, message: str
    ) -> None:
        ticket, token = make_request(workspace)
        page = opened(client, ticket, token).post(address(ticket), fields)
        assert page.status_code == 400
        assert message in page.context["form"].errors[field][0]
        assert "Kept words" not in fields["body"] or "Kept words" in page.text
        assert not Comment.unscoped.exists() and not Attachment.unscoped.exists()

    def test_without_the_cookie_is_404_and_nothing_is_written(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        assert client.post(address(ticket), {"body": "Hello"}).status_code == 404
        assert client.post(f"{address(ticket)}?token={token}", {"body": "Hello"}).status_code == 404
        assert not Comment.unscoped.exists()

    def test_needs_the_forms_own_token(self, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        strict = opened(Client(enforce_csrf_checks=True), ticket, token)
        assert strict.post(address(ticket), {"body": "Hello"}).status_code == 403
        assert not Comment.unscoped.exists()

    def test_too_often_is_429_with_the_words_kept(
        self, client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (1, 60))
        ticket, token = make_request(workspace)
        opened(client, ticket, token)
        assert client.post(address(ticket), {"body": "One"}).status_code == 302
        page = client.post(address(ticket), {"body": "Two words"})
        assert page.status_code == 429 and page["Retry-After"] and "Two words" in page.text
        assert Comment.unscoped.count() == 1


class TestAMergedTicket:
    @pytest.fixture
    def pair(self, workspace: Workspace) -> tuple[Ticket, str, Ticket]:
        source, token = make_request(workspace, subject="The duplicate")
        target, _ = make_request(
            workspace, subject="The real one", requester_email="boss@customers.example", requester_name="The Boss"
        )
        agent = base.agent(make_agent(workspace))
        merging.merge(source=source, target_id=target.pk, actor=agent, now=timezone.now())
        return source, token, target

    def test_leads_to_where_it_went_and_takes_answers_there(
        self, client: Client, pair: tuple[Ticket, str, Ticket]
    ) -> None:
        source, token, target = pair
        page = opened(client, source, token).get(address(source))
        assert "The real one" in page.text and "The Boss" in page.text
        answer = client.post(address(source), {"body": "Me too."})
        assert answer["Location"].startswith(address(source))
        assert target.comments.get().body == "Me too."
        assert client.get(address(target)).status_code == 404  # the cookie is the source's

    def test_opens_nothing_for_who_does_not_take_part_there(
        self, client: Client, pair: tuple[Ticket, str, Ticket]
    ) -> None:
        source, token, target = pair
        opened(client, source, token)
        Participant.unscoped.filter(ticket=target).delete()
        unknown = client.get(reverse("portal:ticket", args=[uuid4()])).content
        for answer in (client.get(address(source)), client.get(address(source), {"token": token})):
            assert answer.status_code == 404 and answer.content == unknown
        assert client.post(address(source), {"body": "Me too."}).status_code == 404
        assert not Comment.unscoped.exists()


def test_a_stored_name_is_shown_to_nobody_who_only_typed_the_address(client: Client, workspace: Workspace) -> None:
    owner: Any = ContactFactory(workspace=workspace, email="jane@customers.example", name="Jane Q. Secretname")
    then = timezone.now() - 40 * DAY
    ticket, token = make_request(workspace, now=then, requester_name="")
    conversation.customer_reply(ticket=ticket, contact=owner, body="By mail", channel="email", now=then)
    finish(ticket, "resolved", "closed", now=then)
    opened(client, ticket, token)
    assert "Secretname" not in client.get(address(ticket)).text
    answer = client.post(address(ticket), {"body": "It is back."})
    assert "Secretname" not in client.get(answer["Location"]).text
