"""Finding tickets by words, fragments, numbers and people; likely duplicates."""

import datetime as dt
import importlib
from types import SimpleNamespace

import pytest
from django.db import connection

from helpdesk.accounts.models import Contact
from helpdesk.accounts.tests.factories import OrganizationFactory, WorkspaceFactory
from tickets import search
from tickets.models import SearchDocument, Ticket
from tickets.services import base, conversation, editing, status
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace():
    return WorkspaceFactory()


def found(workspace, text):
    rows = Ticket.objects.for_workspace(workspace).live()
    return list(search.search(rows, workspace_id=workspace.pk, text=text))


@pytest.mark.parametrize(
    "text",
    [
        "invoice",
        "invoices",  # endings do not matter
        "INVOICE vat",  # words in any order and place
        "inv",  # a beginning
        "voic",  # a fragment of the subject
        "résumé",
        "resume",  # accents do not matter
        '"wrong invoice"',  # a phrase
        "invoice -refund",
        "#1001",
        "1001",
        "100",
        "jane sm",
        "customers.example",
    ],
)
def test_a_ticket_is_found(workspace, text):
    ticket = make_ticket(workspace, subject="Wrong invoice", description="The VAT number on my résumé is old.")
    make_ticket(workspace, subject="Other", description="Nothing", requester_email="x@y.example", requester_name="X")
    assert ticket in found(workspace, text)


@pytest.mark.parametrize(
    "text",
    [
        "elephant",
        "99",
        '"invoice wrong"',
        "invoice -wrong",
        "the",
        "!!",
        "'",
        "a:*b & |",
        "\\",
        "elephant -wrong-invoice",  # a refused compound
        "--a-b wrong -it's-x",
        "999999999999999",  # a number whose continuations no column holds
        "#999999999999999",
    ],
)
def test_what_does_not_match_finds_nothing_and_never_fails(workspace, text):
    make_ticket(workspace, subject="Wrong invoice", description="No")
    assert found(workspace, text) == []


@pytest.mark.parametrize("text", ["%%%", "___", "a%t", "\\\\\\"])
def test_wildcards_are_ordinary_characters(workspace, text):
    make_ticket(workspace, subject="about the cat")
    assert found(workspace, text) == []
    percent = make_ticket(workspace, subject=f"sale {text} now")
    assert found(workspace, text) == [percent]


def test_a_search_is_one_query_and_one_for_the_rows(workspace, django_assert_num_queries):
    make_ticket(workspace, subject="Zebra")
    with django_assert_num_queries(2):
        assert len(found(workspace, "zebra")) == 1
    with django_assert_num_queries(2):
        assert len(found(workspace, "ebr")) == 1
    with django_assert_num_queries(2):
        assert found(workspace, "1001")


def test_an_empty_search_is_no_filter(workspace):
    ticket = make_ticket(workspace)
    assert found(workspace, "  ") == [ticket]


def test_comments_are_searched_also_after_edits_and_not_after_deletion(workspace):
    maria = make_agent(workspace)
    ticket = make_ticket(workspace)
    comment = make_reply(ticket, maria, body="Please clear the zebra cache.")
    assert found(workspace, "zebra") == [ticket]
    conversation.edit_comment(comment=comment, editor=maria, body="Please clear the giraffe cache.", now=NOW)
    assert found(workspace, "zebra") == []
    assert found(workspace, "giraffe login") == []
    assert found(workspace, "giraffe account") == [ticket]  # a word of the comment, one of the description
    conversation.delete_comment(comment=comment, editor=maria, now=NOW)
    assert found(workspace, "giraffe") == []


def test_a_changed_subject_is_found_by_its_new_words(workspace):
    ticket = make_ticket(workspace)
    editing.update_ticket(
        ticket=ticket, changes={"subject": "Zebra crossing"}, actor=base.agent(make_agent(workspace)), now=NOW
    )
    assert found(workspace, "zebra") == [ticket]


def test_a_fragment_is_one_of_the_subject_as_it_is_now(workspace):
    maria = make_agent(workspace)
    ticket = make_ticket(workspace, subject="Wrong invoice")
    editing.update_ticket(ticket=ticket, changes={"subject": "Zebra crossing"}, actor=base.agent(maria), now=NOW)
    assert found(workspace, "nvoic") == []
    assert found(workspace, "ebra cro") == [ticket]
    comment = make_reply(ticket, maria, body="A giraffe.")
    assert found(workspace, "ebra cro") == [ticket]
    assert found(workspace, "iraff") == []  # fragments of subjects only
    conversation.delete_comment(comment=comment, editor=maria, now=NOW)
    assert found(workspace, "ebra cro") == [ticket]


def test_a_fragment_finds_as_many_as_count_as_common_at_most(workspace, monkeypatch):
    monkeypatch.setattr(search, "COMMON", 3)
    for n in range(5):
        make_ticket(workspace, subject=f"Printer {n}")
    assert len(found(workspace, "rinte")) == 3


def test_another_workspace_is_never_searched(workspace):
    make_ticket(WorkspaceFactory(), subject="Secret zebra")
    assert found(workspace, "zebra") == []
    assert found(workspace, "ebra") == []
    assert found(workspace, "1001") == []
    assert found(workspace, "jane") == []


def test_the_trash_is_not_found(workspace):
    ticket = make_ticket(workspace, subject="Zebra")
    editing.trash(ticket=ticket, actor=base.agent(make_agent(workspace)), now=NOW)
    assert found(workspace, "zebra") == []
    assert found(workspace, "ebra") == []


def test_a_common_word_finds_every_ticket(workspace, monkeypatch):
    monkeypatch.setattr(search, "COMMON", 3)
    tickets = {make_ticket(workspace, subject=f"Printer {n}") for n in range(7)}
    make_ticket(workspace, subject="Other")
    assert set(found(workspace, "printer")) == tickets


def test_a_conversation_with_more_words_than_a_document_holds_is_kept_all_the_same(workspace):
    def words(first: int) -> str:
        return " ".join(chr(0x20000 + first + n // 200) + chr(0x20000 + n % 200) for n in range(60_000))

    ticket = make_ticket(workspace, subject="Zebra", description=words(0))
    maria = make_agent(workspace)
    for first in (300, 600, 900, 1200):
        make_reply(ticket, maria, body=words(first))
    assert ticket.comments.count() == 4
    assert found(workspace, "zebra") == [ticket]
    editing.update_ticket(ticket=ticket, changes={"subject": "Giraffe"}, actor=base.agent(maria), now=NOW)
    assert ticket.activities.filter(event="ticket.updated").exists()
    assert found(workspace, "iraff") == [ticket]  # the subject is kept whatever becomes of the words
    assert found(workspace, "ebra") == []


def test_the_migration_fills_in_the_subjects_batch_by_batch(workspace, monkeypatch):
    migration = importlib.import_module("tickets.migrations.0008_subject_trigrams")
    monkeypatch.setattr(migration, "BATCH", 2)
    tickets = {make_ticket(workspace, subject=f"Printer {n}") for n in range(5)}
    SearchDocument.unscoped.update(subject="")
    assert found(workspace, "rinte") == []
    migration.fill(None, SimpleNamespace(connection=connection))
    assert set(found(workspace, "rinte")) == tickets


class TestDuplicateRadar:
    def similar(self, workspace, subject, email="jane@customers.example", now=NOW):
        return search.similar(workspace_id=workspace.pk, subject=subject, requester_email=email, now=now)

    def test_a_resembling_subject_of_the_same_requester_is_offered_likest_first(self, workspace):
        near = make_ticket(workspace, subject="Cannot log in to my account")
        nearest = make_ticket(workspace, subject="Cannot log in anymore")
        make_ticket(workspace, subject="Invoice is wrong")
        assert self.similar(workspace, "Cannot log in any more") == [nearest, near]

    def test_colleagues_of_the_same_organisation_count(self, workspace):
        ticket = make_ticket(workspace, subject="VPN is down", requester_email="bob@acme.example")
        make_ticket(workspace, subject="x", requester_email="ann@acme.example")
        Contact.objects.for_workspace(workspace).filter(email__endswith="acme.example").update(
            organization=OrganizationFactory(workspace=workspace)
        )
        assert self.similar(workspace, "The VPN is down", "ann@acme.example") == [ticket]

    def test_strangers_finished_and_old_tickets_do_not(self, workspace):
        make_ticket(workspace, subject="Cannot log in", requester_email="other@x.example")
        done = make_ticket(workspace, subject="Cannot log in")
        status.change_status(ticket=done, to="resolved", actor=base.agent(make_agent(workspace)), now=NOW)
        make_ticket(workspace, subject="Cannot log in", now=NOW - dt.timedelta(days=31))
        assert self.similar(workspace, "Cannot log in") == []
