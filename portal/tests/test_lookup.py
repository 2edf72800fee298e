"""Lookup: whoever shows a token hears of requests; everybody else is told that a mail is on its way, or is not."""

import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_redis import get_redis_connection

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal import tasks
from portal.models import SignInLink
from portal.services import lookups
from portal.tests.factories import finish, make_request, make_settings
from portal.tests.timing import indistinguishable, the_same, unlimited
from tickets import access
from tickets.api.serializers import iso
from tickets.events import SYSTEM
from tickets.mail.models import Outgoing
from tickets.models import Participant, Ticket
from tickets.services import base, chats, conversation, editing, merging
from tickets.tests.factories import make_agent, make_reply

pytestmark = pytest.mark.django_db

LOOKUP = "/api/public/tickets/lookup"
JANE, NOBODY = "jane@customers.example", "nobody@customers.example"
HOME, OFFICE = "127.0.0.1", "203.0.113.9"
UNKNOWN = uuid4()
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
Queued = list[tuple[Any, ...]]


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> Queued:
    """What is handed to workers."""
    found: Queued = []
    monkeypatch.setattr("tickets.dispatch._queue", lambda task, arguments, delay=0: found.append((task, *arguments)))
    return found


@pytest.fixture
def ask(client: Client, queued: Queued, django_capture_on_commit_callbacks: Any) -> Any:
    """A function that asks, and lets what waits for the commit happen."""

    def get(email: str | None = JANE, client: Client = client, headers: Any = None, **query: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return client.get(LOOKUP, ({} if email is None else {"email": email}) | query, headers=headers or {})

    return get


def mailed(ticket: Ticket) -> str:
    """The token as it stands in a mail to the requester."""
    return access.mailed(access.issue(ticket=ticket, contact=ticket.requester, now=timezone.now()))


def numbers(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [ticket["ticket_number"] for ticket in answer.json()["tickets"]]


def number(ticket: Ticket) -> str:
    return f"#{ticket.number}"


# --- Without a token --------------------------------------------------------------------------


class TestWithAnAddressAlone:
    def test_the_answer_is_the_same_for_every_address(self, workspace: Workspace, ask: Any) -> None:
        make_request(workspace)
        answer = the_same({"known": lambda: ask(JANE), "unknown": lambda: ask(NOBODY), "odd": lambda: ask("X@Y.ORG")})
        assert answer.status_code == 202
        assert answer.json() == {"detail": "If there are requests from this address, links to them are on their way."}
        assert answer["Cache-Control"] == "no-store" and answer["Referrer-Policy"] == "no-referrer"

    @pytest.mark.clock
    def test_the_answer_takes_the_same_time_for_every_address(
        self, client: Client, workspace: Workspace, queued: Queued
    ) -> None:
        for _ in range(20):
            make_request(workspace)
        here = {"workspace_id": str(workspace.pk)}
        with unlimited():
            indistinguishable(
                {
                    "known": lambda: client.get(LOOKUP, {"email": JANE}),
                    "unknown": lambda: client.get(LOOKUP, {"email": "gone@customers.example"}),
                }
            )
            indistinguishable(
                {
                    "known here": lambda: client.get(LOOKUP, {"email": JANE} | here),
                    "unknown here": lambda: client.get(LOOKUP, {"email": "gone@customers.example"} | here),
                }
            )
            assert not Outgoing.unscoped.filter(kind="sign_in").exists()

    def test_nothing_is_looked_up_before_the_answer(
        self, workspace: Workspace, ask: Any, queued: Queued, django_assert_num_queries: Any
    ) -> None:
        make_request(workspace)
        queued.clear()
        for address in (JANE, NOBODY):
            with django_assert_num_queries(0):
                ask(address)
            with CaptureQueriesContext(connection) as asked:
                ask(address, workspace_id=str(workspace.pk))
            assert len(asked) == 1 and "accounts_contact" not in asked[0]["sql"]
        assert queued == [
            (lookups.MAIL_TASK, where, address, "") for address in (JANE, NOBODY) for where in (None, str(workspace.pk))
        ]

    def test_the_mail_is_in_the_language_that_is_asked_for(
        self, workspace: Workspace, ask: Any, queued: Queued
    ) -> None:
        ask(headers={"Accept-Language": "fr-FR,fr;q=0.9"})
        assert queued == [(lookups.MAIL_TASK, None, JANE, "fr")]

    def test_white_space_and_capitals_are_the_same_address(self, ask: Any, queued: Queued) -> None:
        assert ask("  Jane@Customers.Example ").status_code == 202
        assert queued == [(lookups.MAIL_TASK, None, JANE, "")]

    @pytest.mark.parametrize(
        "email",
        [None, "", "  ", "jane", "jane@", "jane@acme", "a@b.example\nBcc: c@d.example", "x" * 300],
    )
    def test_what_is_no_address_is_named(self, ask: Any, queued: Queued, email: str | None) -> None:
        answer = ask(email)
        assert answer.status_code == 400 and set(answer.json()["errors"]) == {"email"}
        assert queued == []

    def test_an_unknown_workspace_is_named_whatever_the_address(
        self, workspace: Workspace, ask: Any, queued: Queued
    ) -> None:
        make_request(workspace)
        answer = the_same({name: lambda name=name: ask(name, workspace_id=str(UNKNOWN)) for name in (JANE, NOBODY)})
        assert answer.status_code == 404 and set(answer.json()["errors"]) == {"workspace_id"}
        assert ask(workspace_id="acme").json()["errors"].keys() == {"workspace_id"}
        assert queued == []

    @pytest.mark.parametrize("query", [{"page": "0"}, {"limit": "101"}, {"limit": "x"}, {"mail": JANE}])
    def test_what_is_wrong_otherwise_is_named(self, ask: Any, queued: Queued, query: dict[str, str]) -> None:
        answer = ask(**query)
        assert answer.status_code == 400 and set(answer.json()["errors"]) == set(query)
        assert queued == []

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_is_a_get(self, client: Client, method: str) -> None:
        assert getattr(client, method)(LOOKUP).status_code == 405

    def test_a_page_of_another_site_names_a_workspace_that_lists_it(
        self, workspace: Workspace, ask: Any, queued: Queued
    ) -> None:
        make_settings(workspace, allowed_origins=["https://shop.example"])
        other = WorkspaceFactory()
        site = {"Origin": "https://shop.example"}
        assert set(ask(headers=site).json()["errors"]) == {"workspace_id"}
        assert ask(workspace_id=str(other.pk), headers=site).status_code == 403
        assert queued == []
        assert ask(workspace_id=str(workspace.pk), headers=site).status_code == 202


class TestTheMail:
    def run(self, queued: Queued) -> int:
        """Do what the workers would."""
        todo = [arguments for task, *arguments in queued if task == lookups.MAIL_TASK]
        queued.clear()
        return sum(tasks.mail_links.apply(args=arguments).get() for arguments in todo)

    def mails(self) -> list[str]:
        return list(Outgoing.unscoped.filter(kind="sign_in").values_list("recipient", flat=True))

    def test_goes_to_an_address_with_requests_and_to_no_other(
        self, workspace: Workspace, ask: Any, queued: Queued
    ) -> None:
        make_request(workspace)
        ask(JANE, workspace_id=str(workspace.pk))
        ask(NOBODY, workspace_id=str(workspace.pk))
        assert self.run(queued) == 1
        assert self.mails() == [JANE]
        assert not Contact.unscoped.filter(email=NOBODY).exists()

    def test_goes_out_once_for_each_workspace_that_knows_the_address(
        self, workspace: Workspace, ask: Any, queued: Queued
    ) -> None:
        other = WorkspaceFactory()
        for each in (workspace, workspace, other):
            make_request(each)
        make_request(WorkspaceFactory(), requester_email="bob@customers.example")
        ask(JANE)
        assert self.run(queued) == 2
        assert set(Outgoing.unscoped.filter(kind="sign_in").values_list("workspace_id", flat=True)) == {
            workspace.pk,
            other.pk,
        }

    def test_is_one_of_three_in_an_hour_and_the_answer_does_not_say_so(
        self, workspace: Workspace, ask: Any, queued: Queued
    ) -> None:
        make_request(workspace)
        answers = [ask(JANE) for _ in range(5)]
        assert self.run(queued) == 3
        assert len({answer.content for answer in answers}) == 1 and {answer.status_code for answer in answers} == {202}
        assert {name for answer in answers for name in answer.headers} == set(answers[0].headers)
        SignInLink.unscoped.update(created_at=timezone.now() - HOUR - MINUTE)
        ask(JANE)
        assert self.run(queued) == 1

    def test_is_not_sent_for_a_request_in_the_trash(self, workspace: Workspace, ask: Any, queued: Queued) -> None:
        ticket, _ = make_request(workspace)
        editing.trash(ticket=ticket, actor=SYSTEM, now=timezone.now())
        ask(JANE)
        assert self.run(queued) == 0

    def test_counts_leave_no_address_in_valkey(self, workspace: Workspace, ask: Any, queued: Queued) -> None:
        make_request(workspace)
        ask(JANE)
        self.run(queued)
        valkey = get_redis_connection("default")
        keys = [key.decode() for key in valkey.keys("*")]
        assert any("throttle:public" in key for key in keys) and not any("jane" in key.lower() for key in keys)


class TestLimits:
    def test_of_a_workspace_are_the_same_for_every_address(
        self, workspace: Workspace, ask: Any, queued: Queued, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_request(workspace)
        queued.clear()
        monkeypatch.setattr(
            "helpdesk.api.throttles.rate_of", lambda scope: (1, 3600) if scope == "lookup" else (100, 60)
        )
        here = {"workspace_id": str(workspace.pk)}
        assert ask(NOBODY, **here).status_code == 202
        for address in (JANE, NOBODY):
            answer = ask(address, **here)
            assert answer.status_code == 429 and 0 < int(answer["Retry-After"]) <= 3600
            assert answer.json()["code"] == "throttled"
        assert len(queued) == 1
        assert ask(JANE, workspace_id=str(WorkspaceFactory().pk)).status_code == 202

    def test_do_not_keep_a_token_from_showing_requests(
        self, workspace: Workspace, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ticket, token = make_request(workspace)
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (0 if scope == "lookup" else 100, 60))
        assert numbers(ask(JANE, access_token=token)) == [number(ticket)]

    def test_hold_for_a_network(self, ask: Any, queued: Queued, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (1, 60))
        assert ask(JANE).status_code == 202
        answer = ask(NOBODY)
        assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
        assert len(queued) == 1
        assert (
            ask(NOBODY, client=Client(REMOTE_ADDR=OFFICE), workspace_id=str(WorkspaceFactory().pk)).status_code == 202
        )


# --- With a token -----------------------------------------------------------------------------


class TestWithATokenOutOfAMail:
    def test_shows_all_requests_newest_first(self, workspace: Workspace, ask: Any, queued: Queued) -> None:
        now = timezone.now()
        first, _ = make_request(workspace, now=now - 2 * HOUR, subject="First")
        second, _ = make_request(workspace, now=now - HOUR, network=OFFICE)
        third, _ = make_request(workspace, now=now)
        make_reply(first, make_agent(workspace), now=now, body="Hello")
        make_request(workspace, requester_email="bob@customers.example")
        make_request(WorkspaceFactory())
        queued.clear()
        answer = ask(JANE, access_token=mailed(second))
        assert numbers(answer) == [number(third), number(second), number(first)]
        assert answer.json()["pagination"] == {"page": 1, "limit": 20, "total": 3, "totalPages": 1}
        assert answer.json()["tickets"][2] == {
            "id": str(first.pk),
            "ticket_number": number(first),
            "subject": "First",
            "description": "The page says my account is **locked**.",
            "status": "open",
            "requester_name": "Jane Smith",
            "created_at": iso(first.created_at),
            "updated_at": answer.json()["tickets"][0]["created_at"],
        }
        assert queued == []

    @pytest.mark.parametrize("way", ["access_token", "token", "header"])
    def test_takes_the_token_in_three_ways(self, workspace: Workspace, ask: Any, way: str) -> None:
        ticket, _ = make_request(workspace)
        token = mailed(ticket)
        answer = ask(headers={"X-Access-Token": token}) if way == "header" else ask(**{way: token})
        assert numbers(answer) == [number(ticket)]
        assert token.partition(".")[0] not in answer.text
        assert answer["Cache-Control"] == "no-store"

    def test_shows_what_its_customer_takes_part_in(self, workspace: Workspace, ask: Any) -> None:
        ticket, _ = make_request(workspace)
        other, _ = make_request(workspace, requester_email="bob@customers.example")
        Participant.unscoped.create(workspace=workspace, ticket=other, contact=ticket.requester)
        assert numbers(ask(access_token=mailed(ticket))) == [number(other), number(ticket)]

    def test_shows_nothing_of_the_trash(self, workspace: Workspace, ask: Any) -> None:
        ticket, _ = make_request(workspace)
        gone, token = make_request(workspace)
        editing.trash(ticket=gone, actor=SYSTEM, now=timezone.now())
        assert numbers(ask(access_token=mailed(ticket))) == [number(ticket)]
        assert ask(access_token=access.mailed(token)).status_code == 202

    def test_shows_a_merged_request_as_what_it_was_merged_into_once(self, workspace: Workspace, ask: Any) -> None:
        merged, _ = make_request(workspace)
        target, _ = make_request(workspace, requester_email="bob@customers.example")
        own, _ = make_request(workspace)
        also, _ = make_request(workspace)
        token = mailed(merged)
        for source in (merged, also):
            merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=timezone.now())
        answer = ask(access_token=token)
        assert numbers(answer) == [number(own), number(target)]
        # The token opens it by the id that it was made for; whose own link there is, by its own.
        assert [ticket["id"] for ticket in answer.json()["tickets"]] == [str(own.pk), str(merged.pk)]
        assert [ticket["id"] for ticket in ask(access_token=mailed(own)).json()["tickets"]] == [
            str(own.pk),
            str(target.pk),
        ]

    def test_shows_nothing_of_a_request_that_was_merged_where_its_customer_has_no_part(
        self, workspace: Workspace, ask: Any
    ) -> None:
        merged, _ = make_request(workspace)
        own, _ = make_request(workspace)
        target, _ = make_request(workspace, requester_email="bob@customers.example")
        token = mailed(merged)
        merging.merge(source=merged, target_id=target.pk, actor=SYSTEM, now=timezone.now())
        Participant.objects.for_workspace(workspace).filter(ticket=target).delete()
        assert numbers(ask(access_token=mailed(own))) == [number(own)]
        assert ask(access_token=token).status_code == 202

    def test_comes_in_pages(self, workspace: Workspace, ask: Any) -> None:
        made = [make_request(workspace)[0] for _ in range(5)]
        token = mailed(made[0])
        answer = ask(access_token=token, page="2", limit="2")
        assert numbers(answer) == [number(made[2]), number(made[1])]
        assert answer.json()["pagination"] == {"page": 2, "limit": 2, "total": 5, "totalPages": 3}
        beyond = ask(access_token=token, page="4", limit="2")
        assert beyond.status_code == 404 and set(beyond.json()["errors"]) == {"page"}

    def test_tells_no_time_of_work_behind_the_scenes(self, workspace: Workspace, ask: Any) -> None:
        then = timezone.now() - HOUR
        ticket, _ = make_request(workspace, now=then)
        agent = make_agent(workspace)
        make_reply(ticket, agent, now=then + MINUTE, body="A secret note", internal=True)
        editing.update_ticket(
            ticket=ticket, changes={"priority": "urgent"}, actor=base.agent(agent), now=then + 2 * MINUTE
        )
        before = ask(access_token=mailed(ticket))
        assert before.json()["tickets"][0]["updated_at"] == before.json()["tickets"][0]["created_at"]
        for word in ("secret", "priority", "urgent", "assignee", "tags", "requester_email", str(workspace.pk)):
            assert word not in before.text
        finish(ticket, "resolved", now=then + 3 * MINUTE, by=agent)
        after = ask(access_token=mailed(ticket)).json()["tickets"][0]
        assert after["status"] == "resolved" and after["updated_at"] > after["created_at"]


class TestWithATokenThatWasGivenOnTheSpot:
    def test_shows_what_was_given_to_the_same_network(self, workspace: Workspace, ask: Any) -> None:
        one, token = make_request(workspace, network=HOME)
        two, _ = make_request(workspace, network=HOME)
        make_request(workspace, network=OFFICE)
        make_request(workspace)  # by mail
        make_request(workspace, network=HOME, requester_email="bob@customers.example")
        assert numbers(ask(access_token=token)) == [number(two), number(one)]

    def test_shows_only_its_own_request_elsewhere(self, workspace: Workspace, ask: Any) -> None:
        one, token = make_request(workspace, network=HOME)
        make_request(workspace, network=HOME)
        make_request(workspace, network=OFFICE)
        assert numbers(ask(access_token=token, client=Client(REMOTE_ADDR=OFFICE))) == [number(one)]

    def test_shows_only_its_own_request_where_nobody_knows_to_whom_it_was_given(
        self, workspace: Workspace, ask: Any
    ) -> None:
        one, token = make_request(workspace)
        make_request(workspace, network=HOME)
        make_request(workspace)
        assert numbers(ask(access_token=token)) == [number(one)]

    def test_shows_a_stranger_nothing_of_the_owner_of_an_address(self, workspace: Workspace, ask: Any) -> None:
        make_request(workspace, subject="The owner's secret", network=OFFICE)
        stranger = Client(REMOTE_ADDR="198.51.100.7")
        body = {
            "workspace_id": str(workspace.pk),
            "subject": "I say that I am Jane",
            "description": "x",
            "requester_email": JANE,
        }
        given = stranger.post("/api/public/tickets", body, content_type="application/json").json()
        answer = ask(client=stranger, access_token=given["accessToken"])
        assert numbers(answer) == [given["ticket"]["ticket_number"]] and "secret" not in answer.text

    def test_of_the_api_remembers_the_network(self, workspace: Workspace, ask: Any) -> None:
        caller = Client(REMOTE_ADDR="2001:db8::1")
        body = {"workspace_id": str(workspace.pk), "subject": "x", "description": "x", "requester_email": JANE}
        path = "/api/public/tickets"
        one, two = (caller.post(path, body, content_type="application/json").json() for _ in range(2))
        neighbour = Client(REMOTE_ADDR="2001:db8::2")  # the same /64
        assert numbers(ask(client=neighbour, access_token=one["accessToken"])) == [
            two["ticket"]["ticket_number"],
            one["ticket"]["ticket_number"],
        ]
        away = Client(REMOTE_ADDR="2001:db8:0:1::1")
        assert len(numbers(ask(client=away, access_token=one["accessToken"]))) == 1

    def test_of_the_form_of_an_answer_and_of_a_chat_remembers_the_network(self, workspace: Workspace, ask: Any) -> None:
        caller = Client(REMOTE_ADDR=OFFICE)
        asked = {"subject": "x", "description": "x", "email": JANE, "name": ""}
        assert caller.post("/portal/acme/new", asked).status_code == 302
        chat = {
            "workspace_id": str(workspace.pk),
            "conversation_id": "c1",
            "subject": "x",
            "description": "x",
            "customer_email": JANE,
        }
        caller.post("/api/public/tickets/from-chat", chat, content_type="application/json")
        then = timezone.now() - dt.timedelta(days=40)
        old, token = make_request(workspace, now=then)
        finish(old, "resolved", "closed", now=then)
        reply = {"access_token": token, "body": "It is back."}
        given = caller.post(f"/api/public/tickets/{old.pk}/reply", reply, content_type="application/json").json()
        found = numbers(ask(client=caller, access_token=given["accessToken"]))
        assert len(found) == 3 and number(old) not in found

    def test_of_a_bot_with_a_key_remembers_none(self, workspace: Workspace, ask: Any) -> None:
        key = chats.make_key(workspace=workspace, now=timezone.now())
        body = {"workspace_id": str(workspace.pk), "subject": "x", "description": "x", "customer_email": JANE}
        bot = Client(REMOTE_ADDR=OFFICE, headers={"Authorization": f"Bearer {key}"})
        tokens = [
            bot.post(
                "/api/public/tickets/from-chat", body | {"conversation_id": name}, content_type="application/json"
            ).json()["accessToken"]
            for name in ("one", "two")
        ]
        assert len(numbers(ask(client=Client(REMOTE_ADDR=OFFICE), access_token=tokens[0]))) == 1

    def test_follows_merges(self, workspace: Workspace, ask: Any) -> None:
        one, token = make_request(workspace, network=HOME)
        two, _ = make_request(workspace, network=HOME)
        middle, _ = make_request(workspace, requester_email="bob@customers.example")
        end, _ = make_request(workspace, requester_email="bob@customers.example")
        merging.merge(source=two, target_id=middle.pk, actor=SYSTEM, now=timezone.now())
        merging.merge(source=middle, target_id=end.pk, actor=SYSTEM, now=timezone.now())
        assert numbers(ask(access_token=token)) == [number(end), number(one)]

    def test_shows_nothing_that_was_given_to_somebody_else_since_or_was_revoked_or_trashed(
        self, workspace: Workspace, ask: Any
    ) -> None:
        now = timezone.now()
        one, token = make_request(workspace, network=HOME)
        given, _ = make_request(workspace, network=HOME)
        revoked, _ = make_request(workspace, network=HOME)
        trashed, _ = make_request(workspace, network=HOME)
        make_request(workspace, network=HOME, now=now - access.LIFETIME - HOUR)  # its token is too old
        editing.update_ticket(ticket=given, changes={"requester_email": "bob@customers.example"}, actor=SYSTEM, now=now)
        access.revoke(ticket=revoked, contact=revoked.requester, now=now)
        editing.trash(ticket=trashed, actor=SYSTEM, now=now)
        assert numbers(ask(access_token=token)) == [number(one)]


class TestATokenThatDoesNotFit:
    def test_is_as_none(self, workspace: Workspace, ask: Any, queued: Queued) -> None:
        now = timezone.now()
        other = WorkspaceFactory()
        ticket, token = make_request(workspace)
        revoked, gone = make_request(workspace)
        access.revoke(ticket=revoked, contact=revoked.requester, now=now)
        _, expired = make_request(workspace, now=now - access.LIFETIME - HOUR)
        queued.clear()
        here, proof = {"workspace_id": str(workspace.pk)}, access.mailed("another").partition(".")[2]
        answer = the_same(
            {
                "none": lambda: ask(JANE),
                "empty": lambda: ask(JANE, access_token=""),
                "wrong": lambda: ask(JANE, access_token="wrong"),
                "no text": lambda: ask(JANE, access_token="ß" * 300),
                "revoked": lambda: ask(JANE, access_token=gone),
                "expired": lambda: ask(JANE, access_token=expired),
                "with another's proof": lambda: ask(JANE, access_token=f"{token}.{proof}"),
                "of a known address": lambda: ask("bob@customers.example", access_token=token),
                "of an unknown address": lambda: ask(NOBODY, access_token=access.mailed(token)),
                "of another workspace": lambda: ask(JANE, access_token=token, workspace_id=str(other.pk)),
            }
        )
        assert answer.status_code == 202 and len(queued) == 10
        assert numbers(ask(JANE, access_token=token, **here)) == [number(ticket)]

    @pytest.mark.clock
    def test_takes_the_same_time_for_every_address(self, client: Client, workspace: Workspace, queued: Queued) -> None:
        for _ in range(20):
            make_request(workspace, requester_email="bob@customers.example")
        _, token = make_request(workspace)
        with unlimited():
            indistinguishable(
                {
                    "known": lambda: client.get(LOOKUP, {"email": "bob@customers.example", "token": token}),
                    "unknown": lambda: client.get(LOOKUP, {"email": "nil@customers.example", "token": token}),
                }
            )


# --- What it costs ----------------------------------------------------------------------------


class TestQueries:
    def test_do_not_grow(self, workspace: Workspace, ask: Any, django_assert_num_queries: Any) -> None:
        _, token = make_request(workspace, network=HOME)
        target, _ = make_request(workspace, requester_email="bob@customers.example")
        for _ in range(2):
            with django_assert_num_queries(2):  # the token, the rows
                ask(access_token=access.mailed(token))
            with django_assert_num_queries(4):  # what was given to the network, and where that is now
                ask(access_token=token)
            for _ in range(4):
                made, _ = make_request(workspace, network=HOME)
        with django_assert_num_queries(3):  # and a count, for a page that is full
            ask(access_token=access.mailed(token), limit="2")
        merging.merge(source=made, target_id=target.pk, actor=SYSTEM, now=timezone.now())
        with django_assert_num_queries(5):  # one more for the chain
            ask(access_token=token)
        assert conversation.end_of_merges(made) == target

    def test_read_the_requester_and_not_the_workspace(self, workspace: Workspace) -> None:
        _, token = make_request(workspace, network=HOME)
        make_request(workspace, network=HOME)
        among_strangers(workspace, 3000)
        for given in (token, access.mailed(token)):
            found = lookups.find(
                address=JANE, token=given, workspace=None, network=HOME, now=timezone.now() + dt.timedelta(days=1)
            )
            assert found is not None and found.rows.count() == 2
            plan = json.loads(found.rows[:20].explain(format="json", analyze=True))
            assert rows_read(plan[0]["Plan"]) < 20, plan
        assert "tickets_requester" in json.dumps(plan)


def among_strangers(workspace: Workspace, count: int) -> None:
    """Put so many tickets of a hundred other customers into the workspace, and let the planner know."""
    template, _ = make_request(workspace, requester_email="0@strangers.example")
    strangers = Contact.unscoped.bulk_create(
        [Contact(workspace=workspace, email=f"{n}@strangers.example") for n in range(1, 100)]
    )
    mine = ("id", "number", "requester_id")
    names = ", ".join(f.column for f in Ticket._meta.concrete_fields if not f.generated and f.column not in mine)
    with connection.cursor() as cursor:
        # The rows of a real ticket, many times over: opening them takes minutes and shows nothing more.
        cursor.execute(
            f"INSERT INTO tickets (id, number, requester_id, {names}) "
            f"SELECT gen_random_uuid(), number + n, (%s::uuid[])[1 + n %% 99], {names} "
            "FROM tickets, generate_series(1, %s) n WHERE tickets.id = %s",
            [[contact.pk for contact in strangers], count, template.pk],
        )
        cursor.execute("ANALYZE tickets, ticket_participants, ticket_customer_tokens")


def rows_read(plan: dict[str, Any]) -> int:
    """How many rows a plan took from tables, those included that it threw away."""
    taken = 0
    if "Relation Name" in plan:
        taken = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return int(taken) + sum(rows_read(below) for below in plan.get("Plans", []))
