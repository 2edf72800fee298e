"""Customer tokens: one secret, one ticket, one customer."""

import datetime as dt
import hashlib
from typing import Any
from uuid import uuid4

import pytest

from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from tickets import access
from tickets.events import SYSTEM
from tickets.models import CustomerToken, Participant, Ticket
from tickets.services import base, editing, merging
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


class TestATokenOfAMergedTicket:
    """It leads to where the conversation goes on, as long as its customer takes part there."""

    def merged(self, source: Ticket, **fields: Any) -> Ticket:
        target = make_ticket(source.workspace, requester_email="boss@customers.example", **fields)
        return merging.merge(source=source, target_id=target.pk, actor=SYSTEM, now=NOW)

    def opened(self, ticket: Ticket, token: str) -> Ticket | None:
        opened = access.open_with(ticket_id=ticket.pk, token=token, now=NOW)
        return opened[0] if opened else None

    def test_leads_to_the_end_of_the_chain(self, ticket: Ticket) -> None:
        token = issue(ticket)
        middle = self.merged(ticket)
        assert self.opened(ticket, token) == middle
        end = self.merged(middle)
        assert self.opened(ticket, token) == end

    def test_opens_nothing_once_they_are_taken_off_there(self, ticket: Ticket) -> None:
        token = issue(ticket)
        middle = self.merged(ticket)
        end = self.merged(middle)
        Participant.objects.for_workspace(end.workspace_id).filter(ticket=end, contact=ticket.requester).delete()
        assert self.opened(ticket, token) is None

    def test_opens_nothing_while_that_is_in_the_trash(self, ticket: Ticket) -> None:
        token, agent = issue(ticket), base.agent(make_agent(ticket.workspace, "admin"))
        end = self.merged(ticket)
        editing.trash(ticket=end, actor=agent, now=NOW)
        assert self.opened(ticket, token) is None
        editing.restore(workspace_id=end.workspace_id, ticket_id=end.pk, actor=agent, now=NOW)
        assert self.opened(ticket, token) == end

    def test_opens_its_own_ticket_again_when_the_merge_is_undone_or_the_target_is_gone_for_good(
        self, ticket: Ticket
    ) -> None:
        token, agent = issue(ticket), base.agent(make_agent(ticket.workspace, "admin"))
        self.merged(ticket)
        ticket.refresh_from_db()
        merging.unmerge(source=ticket, actor=agent, now=NOW)
        assert self.opened(ticket, token) == ticket
        ticket.refresh_from_db()
        editing.trash(ticket=self.merged(ticket), actor=agent, now=NOW - dt.timedelta(days=31))
        assert self.opened(ticket, token) is None
        editing.purge_trash(now=NOW)
        assert self.opened(ticket, token) == ticket

    def test_opens_nothing_for_who_had_no_part_in_it_any_more_before(self, ticket: Ticket) -> None:
        token = issue(ticket)
        change = {"requester_email": "bob@x.example"}
        ticket = editing.update_ticket(ticket=ticket, changes=change, actor=SYSTEM, now=NOW)
        self.merged(ticket)
        assert self.opened(ticket, token) is None


@pytest.mark.parametrize("case", ["wrong", "unknown", "expired", "revoked", "trashed", "given away", "right", "cc"])
def test_whatever_is_wrong_costs_one_query_as_does_what_is_right(
    ticket: Ticket, case: str, django_assert_num_queries: Any
) -> None:
    contact: Any = ticket.requester
    if case == "cc":
        contact = ContactFactory(workspace=ticket.workspace)
        Participant.unscoped.create(workspace=ticket.workspace, ticket=ticket, contact=contact, created_at=NOW)
    token = access.issue(ticket=ticket, contact=contact, now=NOW)
    if case == "revoked":
        access.revoke(ticket=ticket, contact=contact, now=NOW)
    if case == "trashed":
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
    if case == "given away":
        editing.update_ticket(ticket=ticket, changes={"requester_email": "bob@x.example"}, actor=SYSTEM, now=NOW)
    token = "x" * 43 if case == "wrong" else token
    ticket_id = uuid4() if case == "unknown" else ticket.pk
    when = NOW + (access.LIFETIME if case == "expired" else dt.timedelta(0))
    with django_assert_num_queries(1):
        opened = access.open_with(ticket_id=ticket_id, token=token, now=when)
    assert (opened is not None) == (case in ("right", "cc"))


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
