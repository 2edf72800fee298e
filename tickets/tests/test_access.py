"""Customer tokens: one secret, one ticket, one customer."""

import datetime as dt
import hashlib
from typing import Any

import pytest

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets import access
from tickets.models import CustomerToken, Ticket
from tickets.services import base, editing
from tickets.tests.factories import NOW, make_agent, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket():
    return make_ticket(WorkspaceFactory())


def issue(ticket, now=NOW):
    return access.issue(ticket=ticket, contact=ticket.requester, now=now)


def opens(ticket, token, now=NOW):
    return access.open_with(ticket_id=ticket.pk, token=token, now=now) is not None


def test_a_token_is_256_bits_and_stored_as_a_hash_only(ticket):
    token = issue(ticket)
    row = CustomerToken.unscoped.get()
    assert len(token) == 43
    assert row.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(row.__dict__)


def test_there_is_one_per_ticket_and_customer_and_it_stays_the_same(ticket):
    assert issue(ticket) == issue(ticket, NOW + dt.timedelta(days=30))
    assert CustomerToken.unscoped.count() == 1
    other = make_ticket(ticket.workspace)
    assert issue(other) != issue(ticket)


def test_it_opens_its_ticket_and_no_other(ticket):
    token = issue(ticket)
    assert opens(ticket, token)
    assert not opens(make_ticket(ticket.workspace), token)


@pytest.mark.parametrize("wrong", ["", "x", "\ud800", "a" * 10_000])
def test_anything_else_opens_nothing(ticket, wrong):
    issue(ticket)
    assert not opens(ticket, wrong)


def test_it_expires_and_a_new_one_is_made(ticket):
    token = issue(ticket)
    late = NOW + access.LIFETIME + dt.timedelta(seconds=1)
    assert not opens(ticket, token, late)
    again = issue(ticket, late)
    assert again != token
    assert opens(ticket, again, late)


def test_a_revoked_one_is_dead_and_is_not_made_again(ticket):
    token = issue(ticket)
    access.revoke(ticket=ticket, contact=ticket.requester, now=NOW)
    assert not opens(ticket, token)
    assert issue(ticket) != token


def test_links_that_were_sent_survive_a_rotation_of_the_secret_key(ticket, settings):
    token = issue(ticket)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-" * 6
    assert opens(ticket, token)
    assert issue(ticket) == token
    settings.SECRET_KEY_FALLBACKS = []
    assert issue(ticket) != token


def test_it_does_not_open_a_trashed_ticket(ticket):
    token = issue(ticket)
    editing.trash(ticket=ticket, actor=base.agent(make_agent(ticket.workspace)), now=NOW)
    assert not opens(ticket, token)


def test_a_former_requester_is_locked_out(ticket):
    token = issue(ticket)
    actor = base.agent(make_agent(ticket.workspace))
    editing.update_ticket(ticket=ticket, changes={"requester_email": "bob@x.example"}, actor=actor, now=NOW)
    assert not opens(ticket, token)
    editing.update_ticket(ticket=ticket, changes={"cc": ["jane@customers.example"]}, actor=actor, now=NOW)
    assert opens(ticket, token)


class TestATokenInAMail:
    def test_opens_the_same_and_is_proven(self, ticket: Ticket) -> None:
        token = access.issue(ticket=ticket, contact=ticket.requester, now=NOW)
        mailed = access.mailed(token)
        for given in (token, mailed):
            opened = access.open_with(ticket_id=ticket.pk, token=given, now=NOW)
            assert opened is not None and opened[0] == ticket
        assert access.is_proven(mailed) and not access.is_proven(token)

    def test_with_another_proof_opens_nothing(self, ticket: Ticket) -> None:
        token = access.issue(ticket=ticket, contact=ticket.requester, now=NOW)
        for proof in ("", ".", "x", "ä", access.mailed("another").partition(".")[2], access.mailed(token)[44:] + "="):
            given = f"{token}.{proof}"
            assert access.open_with(ticket_id=ticket.pk, token=given, now=NOW) is None
            assert not access.is_proven(given)

    def test_stays_proven_when_the_secret_key_is_rotated(self, ticket: Ticket, settings: Any) -> None:
        mailed = access.mailed(access.issue(ticket=ticket, contact=ticket.requester, now=NOW))
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key"
        assert access.is_proven(mailed) and access.open_with(ticket_id=ticket.pk, token=mailed, now=NOW)
        settings.SECRET_KEY_FALLBACKS = []
        assert not access.is_proven(mailed)


class TestTheNetworkThatATokenWasGivenTo:
    def test_is_found_again_and_no_other(self, ticket: Ticket) -> None:
        access.issue(ticket=ticket, contact=ticket.requester, now=NOW, network="203.0.113.7")
        given = access.given_to(contact=ticket.requester, network="203.0.113.7", now=NOW).get()
        assert given.ticket_id == ticket.pk and "203.0.113.7" not in given.network_hash
        assert not access.given_to(contact=ticket.requester, network="203.0.113.8", now=NOW)
        assert not access.given_to(contact=ticket.requester, network="", now=NOW)
        assert not access.given_to(contact=ticket.requester, network="203.0.113.7", now=NOW + access.LIFETIME)

    def test_is_none_of_a_token_that_is_mailed(self, ticket: Ticket) -> None:
        access.issue(ticket=ticket, contact=ticket.requester, now=NOW)
        assert not access.given_to(contact=ticket.requester, network="", now=NOW)
