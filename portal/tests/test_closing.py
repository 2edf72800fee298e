"""Customers say that a request is solved, and take it up again."""

import datetime as dt
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.accounts.tokens import issue
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound
from portal.services import closing, requests
from portal.tests.factories import a_file, finish, make_request
from tickets.mail.models import Outgoing
from tickets.models import Activity, Comment, Participant, Ticket
from tickets.services import base, merging
from tickets.tests.factories import NOW, make_agent, make_reply

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme", reopen_window_days=14)


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_request(workspace, NOW)[0]


def close(ticket: Ticket, now: dt.datetime = NOW + HOUR) -> Ticket:
    return closing.close_request(ticket=ticket, contact=ticket.requester, now=now)


def reopen(ticket: Ticket, now: dt.datetime = NOW + DAY, **more: Any) -> requests.Answered:
    return closing.reopen_request(ticket=ticket, contact=ticket.requester, now=now, **more)


def log_of(ticket: Ticket) -> list[tuple[str, str, str]]:
    rows = Activity.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket).order_by("pk")
    return [(row.event, row.actor_kind, row.actor_name) for row in rows]


class TestSolved:
    @pytest.mark.parametrize("moves", [(), ("pending",)])
    def test_resolves_the_request_in_the_customers_name(self, ticket: Ticket, moves: tuple[str, ...]) -> None:
        finish(ticket, *moves, now=NOW)
        closed = close(ticket)
        assert (closed.status, closed.resolved_at, closed.closed_at) == ("resolved", NOW + HOUR, None)
        assert log_of(ticket)[-1] == ("ticket.resolved", "customer", "Jane Smith")
        assert requests.can_rate(closed, None, NOW + HOUR)

    def test_tells_nobody_by_mail_who_said_it_themselves(self, ticket: Ticket) -> None:
        before = Outgoing.unscoped.count()
        close(ticket)
        assert Outgoing.unscoped.count() == before and not mail.outbox

    def test_keeps_the_promise_of_a_resolution(self, workspace: Workspace) -> None:
        policy = {"name": "All", "first_response_hours": 4, "resolution_hours": 24, "business_hours_only": False}
        token = issue(membership=make_agent(workspace, "admin"), now=timezone.now()).access
        answer = Client().post(
            "/api/tickets/sla-policies",
            policy | {"is_default": True},
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 201, answer.text
        ticket, _ = make_request(workspace, timezone.now())
        clocks = apps.get_model("slas", "Clock").objects.for_workspace(workspace).filter(ticket=ticket)
        assert clocks.get(goal="resolution").satisfied_at is None
        now = timezone.now()
        close(ticket, now)
        assert clocks.get(goal="resolution").satisfied_at == now
        ticket.refresh_from_db()
        assert ticket.next_deadline_at is None

    @pytest.mark.parametrize("moves", [("resolved",), ("resolved", "closed")])
    def test_is_refused_for_what_is_finished(self, ticket: Ticket, moves: tuple[str, ...]) -> None:
        before = finish(ticket, *moves, now=NOW)
        with pytest.raises(Conflict) as refused:
            close(ticket)
        assert refused.value.code == "already_resolved"
        after = Ticket.objects.for_workspace(ticket.workspace_id).get()
        assert (after.status, after.version) == (before.status, before.version)

    def test_is_for_who_asked_not_for_who_is_in_copy(self, workspace: Workspace, ticket: Ticket) -> None:
        tom = ContactFactory(workspace=workspace)
        with pytest.raises(NotFound):
            closing.close_request(ticket=ticket, contact=tom, now=NOW)
        Participant.unscoped.create(workspace=workspace, ticket=ticket, contact=tom)
        assert not closing.can_close(ticket=ticket, contact=tom)
        with pytest.raises(NotAllowed):
            closing.close_request(ticket=ticket, contact=tom, now=NOW)
        assert Ticket.objects.for_workspace(workspace).get().status == "open"

    def test_is_refused_for_a_merged_one(self, workspace: Workspace, ticket: Ticket) -> None:
        target, _ = make_request(workspace, NOW)
        merging.merge(source=ticket, target_id=target.pk, actor=base.agent(make_agent(workspace)), now=NOW)
        with pytest.raises(Conflict):
            close(ticket)
        with pytest.raises(Conflict):
            reopen(ticket)


class TestReopened:
    @pytest.mark.parametrize("moves", [("resolved",), ("resolved", "closed")])
    def test_without_a_word(self, ticket: Ticket, moves: tuple[str, ...]) -> None:
        finish(ticket, *moves, now=NOW)
        answered = reopen(ticket)
        assert (answered.ticket.status, answered.comment) == ("open", None)
        assert log_of(ticket)[-1] == ("ticket.reopened", "customer", "Jane Smith")

    def test_with_a_message_and_files(self, ticket: Ticket) -> None:
        finish(ticket, "resolved", now=NOW)
        answered = reopen(ticket, body="It came back.", uploads=[a_file()])
        comment = Comment.unscoped.get()
        assert answered.comment == comment and comment.body == "It came back." and comment.attachments.count() == 1
        assert (answered.ticket.status, comment.author_type) == ("open", "customer")

    def test_files_need_a_line(self, ticket: Ticket) -> None:
        finish(ticket, "resolved", now=NOW)
        with pytest.raises(InvalidInput) as refused:
            reopen(ticket, body="  ", uploads=[a_file()])
        assert set(refused.value.errors) == {"body"}
        assert Ticket.objects.for_workspace(ticket.workspace_id).get().status == "resolved"

    def test_within_the_workspaces_window_to_the_second(self, ticket: Ticket) -> None:
        closed = finish(ticket, "resolved", "closed", now=NOW)
        ends = NOW + 14 * DAY
        assert closing.reopens_until(closed) == ends
        assert closing.can_reopen(ticket=closed, now=ends)
        late = ends + dt.timedelta(seconds=1)
        assert not closing.can_reopen(ticket=closed, now=late)
        with pytest.raises(Conflict) as refused:
            reopen(ticket, now=late, body="Again.")
        assert refused.value.code == "too_late" and Ticket.unscoped.count() == 1
        assert reopen(ticket, now=ends).ticket.status == "open"

    @pytest.mark.parametrize("moves", [(), ("pending",)])
    def test_is_refused_for_what_is_in_work(self, ticket: Ticket, moves: tuple[str, ...]) -> None:
        finish(ticket, *moves, now=NOW)
        with pytest.raises(Conflict) as refused:
            reopen(ticket, body="Hello?")
        assert refused.value.code == "already_open" and not Comment.unscoped.exists()

    def test_who_is_in_copy_may_and_strangers_may_not(self, workspace: Workspace, ticket: Ticket) -> None:
        finish(ticket, "resolved", now=NOW)
        tom = ContactFactory(workspace=workspace)
        with pytest.raises(NotFound):
            closing.reopen_request(ticket=ticket, contact=tom, now=NOW)
        Participant.unscoped.create(workspace=workspace, ticket=ticket, contact=tom)
        assert closing.reopen_request(ticket=ticket, contact=tom, now=NOW).ticket.status == "open"


class TestThePage:
    @pytest.fixture
    def opened(self, client: Client, workspace: Workspace) -> Ticket:
        """A request of today whose page the client has opened, and that an agent has answered."""
        ticket, token = make_request(workspace)
        client.get(reverse("portal:ticket", args=[ticket.pk]), {"token": token})
        make_reply(ticket, make_agent(workspace), body="Try the other door.", now=timezone.now())
        return ticket

    def url(self, name: str, ticket: Ticket) -> str:
        return reverse(f"portal:{name}", args=[ticket.pk])

    def test_leads_from_solved_to_the_rating_and_back(self, client: Client, opened: Ticket) -> None:
        page = client.get(self.url("ticket", opened)).text
        assert "Did this solve it?" in page and "This solved it" in page and "Reopen" not in page
        page = client.post(self.url("close", opened), follow=True).text
        assert "Glad that it is solved" in page and 'href="#rate"' in page and "How was our help?" in page
        assert "Reopen request" in page and "This solved it" not in page
        page = client.post(self.url("reopen", opened), {"body": "It is not."}, follow=True).text
        assert "Your request is open again" in page
        assert "I need no more help" in page and "This solved it" not in page  # nobody has answered that yet
        opened.refresh_from_db()
        assert opened.status == "open"

    def test_says_what_happens_next(self, client: Client, workspace: Workspace, opened: Ticket) -> None:
        agent = make_agent(workspace)
        now = timezone.now()
        said = [client.get(self.url("ticket", opened)).text]
        for move in ("pending", "resolved", "closed"):
            finish(opened, move, now=now, by=agent)
            said.append(client.get(self.url("ticket", opened)).text)
        finish(opened, "open", "resolved", "closed", now=now - 15 * DAY, by=agent)
        said.append(client.get(self.url("ticket", opened)).text)
        words = ["It is our turn", "It is your turn", "This is done.", "below until", "opens a new request"]
        assert all(word in page for word, page in zip(words, said, strict=True))
        assert "Send answer" in said[-1] and "Reopen request" not in said[-1]

    def test_a_request_without_an_answer_is_ended_in_other_words(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        page = client.get(self.url("ticket", ticket), {"token": token}, follow=True).text
        assert "Solved in the meantime?" in page and "I need no more help" in page and "This solved it" not in page

    def test_tells_a_refusal_in_the_page(self, client: Client, workspace: Workspace, opened: Ticket) -> None:
        client.post(self.url("close", opened))
        answer = client.post(self.url("close", opened))
        assert answer.status_code == 409 and "This request is resolved already." in answer.text
        client.post(self.url("reopen", opened), {"body": ""})
        answer = client.post(self.url("reopen", opened), {"body": "Keep these words"})
        assert answer.status_code == 409 and "This request is open already." in answer.text
        assert "Keep these words" in answer.text
        assert log_of(opened)[-1][0] == "ticket.reopened"

    def test_a_form_that_is_refused_comes_back_filled_in(self, client: Client, opened: Ticket) -> None:
        client.post(self.url("close", opened))
        answer = client.post(self.url("reopen", opened), {"body": "Look", "files": a_file("a.txt", b"")})
        assert answer.status_code == 400 and ">\nLook</textarea>" in answer.text and "Reopen request" in answer.text

    def test_reading_changes_nothing_and_forms_need_their_token(self, client: Client, opened: Ticket) -> None:
        for name in ("close", "reopen"):
            assert client.get(self.url(name, opened)).status_code == 405
            assert client.head(self.url(name, opened)).status_code == 405
            strict = Client(enforce_csrf_checks=True)
            strict.cookies = client.cookies
            assert strict.post(self.url(name, opened)).status_code == 403
            assert Client().post(self.url(name, opened)).status_code == 404
        opened.refresh_from_db()
        assert opened.status == "open"

    def test_is_limited_for_each_network(self, client: Client, opened: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (0, 60))
        for name in ("close", "reopen"):
            answer = client.post(self.url(name, opened), REMOTE_ADDR="192.0.2.78")
            assert answer.status_code == 429 and "Too much was sent" in answer.text
        opened.refresh_from_db()
        assert opened.status == "open"
