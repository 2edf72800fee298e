"""Whoever has no link that works learns nothing: not that a ticket is there, nor why the link does not work.

Each address that a ticket's secret opens is asked with every kind of wrong one. The answers are the same byte for byte,
cost the same queries, and take the same time within the bound that `portal.tests.timing` states.
"""

import datetime as dt
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
from portal.models import Satisfaction
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
    patterns = get_resolver().url_patterns
    names = [name for name in _names(patterns) if name.startswith("portal:")]
    with_ticket = {name for name in names if "ticket_id" in _arguments(name)}
    assert with_ticket == {door.split()[1] for door in DOORS}


def _names(patterns: Any, within: str = "") -> Iterator[str]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            space = f"{within}{pattern.namespace}:" if pattern.namespace else within
            yield from _names(pattern.url_patterns, space)
        elif pattern.name:
            yield f"{within}{pattern.name}"


def _arguments(name: str) -> set[str]:
    space, _, own = name.partition(":")
    _, known = get_resolver().namespace_dict[space]
    return {argument for possible, *_ in known.reverse_dict.getlist(own) for _, names in possible for argument in names}


@pytest.mark.parametrize("door", DOORS)
class TestEveryDoor:
    def test_opens_to_the_right_key(self, door: str, client: Client, workspace: Workspace) -> None:
        answer = DOORS[door](client, a_key(workspace))
        assert answer.status_code in (200, 201, 302)
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

    def test_takes_the_same_time_whatever_is_wrong(self, door: str, client: Client, workspace: Workspace) -> None:
        keys = wrong_keys(workspace)
        del keys["merged away"], keys["no token"]
        indistinguishable(asking(door, keys, client))
