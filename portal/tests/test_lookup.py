"""Finding the requests of an address over the public API: strangers learn nothing, tokens list what they prove."""

import datetime as dt
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import SignInLink
from portal.tests.factories import make_request, make_settings
from portal.tests.timing import indistinguishable, the_same, unlimited
from tickets import access
from tickets.mail.models import Outgoing
from tickets.services import base, editing, merging
from tickets.tests.factories import make_agent

pytestmark = pytest.mark.django_db

PATH = "/api/public/tickets/lookup"
JANE = "jane@customers.example"
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
MAIL_TASK = "portal.tasks.mail_links"


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def queued() -> Any:
    with patch("tickets.dispatch._queue") as queue:
        yield queue


def look(client: Client, email: str = JANE, *, at: str = HERE, **more: Any) -> Any:
    return client.get(PATH, {"email": email} | more, REMOTE_ADDR=at)


def numbers(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [ticket["ticket_number"] for ticket in answer.json()["tickets"]]


def mails(queued: Any) -> list[Any]:
    return [list(call.args[1]) for call in queued.call_args_list if call.args[0] == MAIL_TASK]


class TestAnAddressAlone:
    def test_is_answered_the_same_whether_it_is_known_or_not(
        self, client: Client, workspace: Workspace, queued: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        make_request(workspace)
        with django_capture_on_commit_callbacks(execute=True):
            answer = the_same(
                {"known": lambda: look(client), "unknown": lambda: look(client, "nobody@elsewhere.example")}
            )
        assert answer.status_code == 202 and list(answer.json()) == ["detail"]
        assert mails(queued) == [[None, JANE, ""], [None, "nobody@elsewhere.example", ""]]
        assert not SignInLink.unscoped.exists() and not Outgoing.unscoped.filter(kind="sign_in").exists()

    def test_takes_the_same_time_whether_it_is_known_or_not(
        self, client: Client, workspace: Workspace, queued: Any, django_assert_num_queries: Any
    ) -> None:
        """Bound: `timing.BOUND` of the medians and `timing.OVERLAP`, in one of three rounds of interleaved samples."""
        for _ in range(5):
            make_request(workspace)
        with unlimited():
            for email in (JANE, "nobody@elsewhere.example"):
                with django_assert_num_queries(0):
                    look(client, email)
            indistinguishable(
                {"known": lambda: look(client), "unknown": lambda: look(client, "nobody@elsewhere.example")}
            )

    def test_is_cleaned(
        self, client: Client, workspace: Workspace, queued: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            assert look(client, " Jane@Customers.Example ", workspace_id=str(workspace.pk)).status_code == 202
        assert mails(queued) == [[str(workspace.pk), JANE, ""]]

    def test_mails_links_through_the_task(self, workspace: Workspace) -> None:
        from portal.tasks import mail_links

        make_request(workspace)
        assert mail_links(str(workspace.pk), JANE, "") == 1
        assert Outgoing.unscoped.filter(kind="sign_in").get().recipient == JANE

    @pytest.mark.parametrize("email", ["", "jane", "jane@", "a@b\r\nBcc: c@d.example", "x" * 300])
    def test_that_is_none_is_named(self, client: Client, queued: Any, email: str) -> None:
        answer = look(client, email)
        assert answer.status_code == 400 and list(answer.json()["errors"]) == ["email"]
        assert not mails(queued)

    def test_names_a_workspace_that_does_not_exist(self, client: Client, queued: Any) -> None:
        for given, status in (("nonsense", 400), (str(uuid4()), 404)):
            answer = look(client, workspace_id=given)
            assert answer.status_code == status and list(answer.json()["errors"]) == ["workspace_id"]
        assert not mails(queued)

    def test_too_often_is_429(self, client: Client, queued: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (2, 60))
        assert [look(client).status_code for _ in range(3)] == [202, 202, 429]

    def test_is_not_for_pages_of_sites_that_the_workspace_does_not_list(
        self, client: Client, workspace: Workspace, queued: Any
    ) -> None:
        make_settings(WorkspaceFactory(), allowed_origins=["https://shop.example"])
        answer = client.get(
            PATH, {"email": JANE, "workspace_id": str(workspace.pk)}, headers={"Origin": "https://shop.example"}
        )
        assert answer.status_code == 403 and not mails(queued)


class TestATokenOutOfAMail:
    def test_lists_all_requests_of_its_customer(self, client: Client, workspace: Workspace) -> None:
        first, token = make_request(workspace, network=ELSEWHERE)
        second, _ = make_request(workspace, network="")
        make_request(workspace, requester_email="john@customers.example")
        make_request(WorkspaceFactory())
        answer = look(client, access_token=access.mailed(token))
        assert set(numbers(answer)) == {f"#{first.number}", f"#{second.number}"}
        assert answer.json()["pagination"] == {"page": 1, "limit": 20, "total": 2, "totalPages": 1}
        assert answer["Cache-Control"] == "no-store" and answer["Referrer-Policy"] == "no-referrer"
        assert set(answer.json()["tickets"][0]) == {
            "id",
            "ticket_number",
            "subject",
            "description",
            "status",
            "requester_name",
            "created_at",
            "updated_at",
        }

    @pytest.mark.parametrize("way", ["access_token", "token", "header"])
    def test_comes_in_three_ways(self, client: Client, workspace: Workspace, way: str) -> None:
        ticket, token = make_request(workspace)
        mailed = access.mailed(token)
        if way == "header":
            answer = client.get(PATH, {"email": JANE}, headers={"X-Access-Token": mailed})
        else:
            answer = look(client, **{way: mailed})
        assert numbers(answer) == [f"#{ticket.number}"]

    def test_pages(self, client: Client, workspace: Workspace, django_assert_max_num_queries: Any) -> None:
        made = [make_request(workspace, now=timezone.now() - dt.timedelta(hours=n)) for n in range(5)]
        token = access.mailed(made[0][1])
        with django_assert_max_num_queries(3):
            first = look(client, access_token=token, limit=2)
        rest = [look(client, access_token=token, limit=2, page=page) for page in (2, 3)]
        assert numbers(first) + numbers(rest[0]) + numbers(rest[1]) == [f"#{ticket.number}" for ticket, _ in made]
        assert look(client, access_token=token, page=9).status_code == 404

    def test_leaves_out_what_was_deleted_and_tells_merged_ones_once(self, client: Client, workspace: Workspace) -> None:
        kept, token = make_request(workspace)
        deleted, _ = make_request(workspace)
        merged, _ = make_request(workspace)
        actor = base.agent(make_agent(workspace))
        editing.trash(ticket=deleted, actor=actor, now=timezone.now())
        merging.merge(source=merged, target_id=kept.pk, actor=actor, now=timezone.now())
        assert numbers(look(client, access_token=access.mailed(token))) == [f"#{kept.number}"]


class TestATokenThatWasGivenOnTheSpot:
    def test_lists_what_the_same_network_submitted(self, client: Client, workspace: Workspace) -> None:
        first, token = make_request(workspace, network=HERE)
        second, _ = make_request(workspace, network=HERE)
        make_request(workspace, network=ELSEWHERE)
        make_request(workspace, network="")
        assert set(numbers(look(client, access_token=token))) == {f"#{first.number}", f"#{second.number}"}

    def test_lists_its_own_ticket_alone_to_another_network(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace, network=HERE)
        make_request(workspace, network=HERE)
        assert numbers(look(client, access_token=token, at=ELSEWHERE)) == [f"#{ticket.number}"]

    def test_tells_who_borrows_an_address_nothing_of_its_owner(self, client: Client, workspace: Workspace) -> None:
        make_request(workspace, network=HERE, subject="My divorce")
        body = {"workspace_id": str(workspace.pk), "subject": "Hi", "description": "x", "requester_email": JANE}
        submitted = client.post("/api/public/tickets", body, content_type="application/json", REMOTE_ADDR=ELSEWHERE)
        answer = look(client, access_token=submitted.json()["accessToken"], at=ELSEWHERE)
        assert [ticket["subject"] for ticket in answer.json()["tickets"]] == ["Hi"]


class TestATokenThatDoesNotFit:
    def test_is_as_good_as_none(self, client: Client, workspace: Workspace, queued: Any) -> None:
        ticket, token = make_request(workspace)
        mailed = access.mailed(token)
        gone, old = make_request(workspace, requester_email="gone@customers.example")
        access.revoke(ticket=gone, contact=gone.requester, now=timezone.now())
        without = look(client)
        for given in (
            {"email": "john@customers.example", "access_token": mailed},
            {"email": JANE, "access_token": "wrong"},
            {"email": JANE, "access_token": f"{token}.wrong"},
            {"email": JANE, "access_token": mailed, "workspace_id": str(WorkspaceFactory().pk)},
            {"email": "gone@customers.example", "access_token": access.mailed(old)},
        ):
            answer = client.get(PATH, given)
            assert (answer.status_code, answer.content) == (202, without.content)
        editing.trash(ticket=ticket, actor=base.agent(make_agent(workspace)), now=timezone.now())
        assert look(client, access_token=mailed).status_code == 202

    def test_is_refused_beside_a_parameter_that_there_is_not(self, client: Client) -> None:
        assert look(client, colour="red").status_code == 400
