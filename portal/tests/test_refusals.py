"""Whoever has no link that works learns nothing: not that a ticket is there, nor why the link does not work.

Each address that a ticket's secret opens is asked with every kind of wrong one. The answers are the same byte for byte,
cost the same queries, and take the same time within the bound that `portal.tests.timing` states.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import Satisfaction, SignInLink
from portal.services import visits
from portal.tests.factories import a_file, finish, make_request
from portal.tests.timing import indistinguishable, the_same, unlimited
from tickets import access
from tickets.events import SYSTEM
from tickets.models import Activity, Attachment, Comment, Participant, Ticket
from tickets.services import editing, merging

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Key:
    """What somebody has: the id in an address, the secret, and a file's id."""

    ticket: UUID
    token: str
    file: UUID


def _a_page(client: Client, key: Key, name: str, body: Any = None, file: UUID | None = None) -> Any:
    """A page for the browser that has the ticket's cookie; a POST where there is a body."""
    client.cookies["request_token"] = key.token
    address = reverse(name, args=[key.ticket, *([file] if file else [])])
    return client.get(address) if body is None else client.post(address, body)


def _an_endpoint(client: Client, key: Key, name: str, **body: Any) -> Any:
    address = reverse(name, args=[key.ticket])
    return client.post(address, {"access_token": key.token, **body}, content_type="application/json")


# Every address with a ticket's id, and what is asked of it; a new one without a row fails the first test.
DOORS: dict[str, Callable[[Client, Key], Any]] = {
    "GET portal:ticket by the link": lambda client, key: client.get(
        reverse("portal:ticket", args=[key.ticket]), {"token": key.token}
    ),
    "GET portal:ticket": lambda client, key: _a_page(client, key, "portal:ticket"),
    "POST portal:ticket": lambda client, key: _a_page(client, key, "portal:ticket", {"body": "Hello"}),
    "POST portal:close": lambda client, key: _a_page(client, key, "portal:close", {}),
    "POST portal:reopen": lambda client, key: _a_page(
        client, key, "portal:reopen", {"body": "Again", "reason": "Again"}
    ),
    "POST portal:rate": lambda client, key: _a_page(client, key, "portal:rate", {"rating": "5"}),
    "GET portal:file": lambda client, key: _a_page(client, key, "portal:file", file=key.file),
    "GET portal:public-ticket": lambda client, key: client.get(
        reverse("portal:public-ticket", args=[key.ticket]), {"access_token": key.token}
    ),
    "GET portal:public-ticket by the header": lambda client, key: client.get(
        reverse("portal:public-ticket", args=[key.ticket]), headers={"X-Access-Token": key.token}
    ),
    "GET portal:public-attachment": lambda client, key: client.get(
        reverse("portal:public-attachment", args=[key.ticket, key.file]), {"access_token": key.token}
    ),
    "POST portal:public-reply": lambda client, key: _an_endpoint(client, key, "portal:public-reply", body="Hello"),
    "POST portal:public-satisfaction": lambda client, key: _an_endpoint(
        client, key, "portal:public-satisfaction", rating=5
    ),
}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(slug="acme")


def a_key(workspace: Workspace, now: dt.datetime | None = None, **fields: Any) -> Key:
    """The key to a resolved ticket with a file."""
    now = now or timezone.now()
    ticket, token = make_request(workspace, now=now, uploads=[a_file()], **fields)
    finish(ticket, "resolved", now=now)
    return Key(ticket.pk, token, Attachment.objects.for_workspace(workspace).get(ticket=ticket).pk)


def ticket_of(key: Key) -> Ticket:
    return Ticket.unscoped.get(pk=key.ticket)


def visit_of(workspace: Workspace, address: str, now: dt.datetime) -> dict[str, str]:
    """The cookie of somebody who followed a sign-in link."""
    visits.send_links(workspace_id=workspace.pk, address=address, now=now)
    link = SignInLink.unscoped.filter(contact__email=address, contact__workspace=workspace).latest("pk")
    return {visits.cookie_name(workspace.pk): visits.cookie_of(link)}


def with_wrong_proof(token: str) -> str:
    return f"{token}.{access.mailed('another').partition('.')[2]}"


def wrong_keys(workspace: Workspace) -> dict[str, Key]:
    """Every way in which a key can be wrong."""
    now = timezone.now()
    right, revoked, trashed, given, merged = (a_key(workspace) for _ in range(5))
    other = a_key(workspace, requester_email="bob@customers.example")
    foreign = a_key(WorkspaceFactory())
    access.revoke(ticket=ticket_of(revoked), contact=ticket_of(revoked).requester, now=now)
    editing.trash(ticket=ticket_of(trashed), actor=SYSTEM, now=now)
    editing.update_ticket(
        ticket=ticket_of(given), changes={"requester_email": "bob@customers.example"}, actor=SYSTEM, now=now
    )
    merging.merge(source=ticket_of(merged), target_id=other.ticket, actor=SYSTEM, now=now)
    Participant.objects.for_workspace(workspace).filter(ticket_id=other.ticket).delete()
    return {
        "unknown id": Key(uuid4(), right.token, right.file),
        "wrong token": Key(right.ticket, "x" * 43, right.file),
        "no token": Key(right.ticket, "none", right.file),
        "expired": a_key(workspace, now - access.LIFETIME - DAY),
        "revoked": revoked,
        "trashed": trashed,
        "given away": given,
        "another customer's": Key(other.ticket, right.token, other.file),
        "another workspace's": Key(foreign.ticket, right.token, foreign.file),
        "proof of another": Key(
            right.ticket, f"{right.token}.{access.mailed('another').partition('.')[2]}", right.file
        ),
        "merged away": merged,
    }


def asking(door: str, keys: dict[str, Key], client: Client) -> dict[str, Callable[[], Any]]:
    ask = DOORS[door]
    return {name: lambda key=key: ask(client, key) for name, key in keys.items()}  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _nobody_waits() -> Iterator[None]:
    with unlimited():
        yield


def test_every_address_of_a_ticket_has_its_door() -> None:
    routes = get_resolver("portal.urls").url_patterns
    public = {route for route in routes if str(route.pattern).startswith(("portal/", "api/public/"))}
    with_ticket = {f"portal:{route.name}" for route in public if "<uuid:ticket_id>" in str(route.pattern)}
    assert with_ticket == {door.split()[1] for door in DOORS}


@pytest.mark.parametrize("door", DOORS)
class TestEveryDoor:
    def test_opens_to_the_right_key(self, door: str, client: Client, workspace: Workspace) -> None:
        answer = DOORS[door](client, a_key(workspace))
        assert answer.status_code in (200, 201, 302, 409)  # 409: it is closed already, says the page
        answer.close()

    def test_says_the_same_whatever_is_wrong_and_writes_nothing(
        self, door: str, client: Client, workspace: Workspace
    ) -> None:
        keys = wrong_keys(workspace)
        before = [(model, model.unscoped.count()) for model in (Comment, Satisfaction, Activity, Ticket)]
        answer = the_same(asking(door, keys, client))
        assert answer.status_code == 404
        assert [(model, model.unscoped.count()) for model, _ in before] == before

    def test_asks_the_database_the_same_whatever_is_wrong(
        self, door: str, client: Client, workspace: Workspace
    ) -> None:
        asked = {}
        for name, ask in asking(door, wrong_keys(workspace), client).items():
            with CaptureQueriesContext(
                connection,
            ) as queries:
                ask()
            asked[name] = len(queries)
        # The holder of a link that did work could learn from the clock where it leads; nobody else has one.
        assert asked.pop("merged away") == 3
        assert set(asked.values()) == {1}, asked

    @pytest.mark.clock
    def test_takes_the_same_time_whatever_is_wrong(self, door: str, client: Client, workspace: Workspace) -> None:
        keys = wrong_keys(workspace)
        del keys["merged away"], keys["no token"]
        indistinguishable(asking(door, keys, client))


PAGES = [door for door in DOORS if not door.split()[1].startswith("portal:public") and "by the link" not in door]


@pytest.mark.parametrize("door", PAGES)
class TestSomebodyWhoIsSignedIn:
    """They see their own requests, and of those of others not even that they are there."""

    @pytest.fixture
    def asked(self, door: str, client: Client, workspace: Workspace) -> dict[str, Callable[[], Any]]:
        now = timezone.now()
        theirs, others = a_key(workspace), a_key(workspace, requester_email="bob@customers.example")
        trashed = a_key(workspace)
        foreign = a_key(WorkspaceFactory(), requester_email="bob@customers.example")
        client.cookies.load(visit_of(workspace, "jane@customers.example", now))
        editing.trash(ticket=ticket_of(trashed), actor=SYSTEM, now=now)
        keys = {
            "unknown": Key(uuid4(), "", theirs.file),
            "another's": Key(others.ticket, "", others.file),
            "trashed": Key(trashed.ticket, "", trashed.file),
            "in another workspace": Key(foreign.ticket, "", foreign.file),
            "another's with their own token": Key(others.ticket, theirs.token, others.file),
        }
        assert DOORS[door](client, Key(theirs.ticket, "", theirs.file)).status_code != 404
        return asking(door, keys, client)

    def test_is_told_the_same_of_whatever_is_not_theirs(self, asked: dict[str, Callable[[], Any]]) -> None:
        assert the_same(asked).status_code == 404

    def test_costs_the_same_queries_for_it(self, asked: dict[str, Callable[[], Any]]) -> None:
        counts = {}
        for name, ask in asked.items():
            with CaptureQueriesContext(connection) as queries:
                ask()
            counts[name] = len(queries)
        assert set(counts.values()) == {3}, counts


class TestFindMyRequests:
    """Whether an address is known is told neither by the answer nor by the clock."""

    @pytest.fixture
    def asked(self, client: Client, workspace: Workspace) -> dict[str, Callable[[], Any]]:
        a_key(workspace)
        address = reverse("portal:requests", args=["acme"])
        # As long as each other: the page says the address that was typed.
        typed = {
            "known": "jane@customers.example",
            "unknown": "june@customers.example",
            "bad": "jane@customers.invalid",
        }
        return {name: lambda email=email: client.post(address, {"email": email}) for name, email in typed.items()}  # type: ignore[misc]

    def test_is_answered_the_same(self, asked: dict[str, Callable[[], Any]]) -> None:
        pages = {name: ask() for name, ask in asked.items()}
        assert {page.status_code for page in pages.values()} == {200}
        said = {
            re.sub(r"j[au]ne@customers\.\w+|name=\"csrfmiddlewaretoken\"[^>]*", "", page.text)
            for page in pages.values()
        }
        assert len(said) == 1
        assert len({tuple(sorted(page.headers.items())) for page in pages.values()}) == 1

    @pytest.mark.clock
    def test_takes_the_same_time(self, asked: dict[str, Callable[[], Any]]) -> None:
        indistinguishable(asked)
