"""What happens on tickets becomes mail, in the transaction of the change."""

import datetime as dt
from dataclasses import replace

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk.accounts.models import Workspace, new_id
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from tickets import dispatch
from tickets.events import SYSTEM, Event, subscriptions
from tickets.mail import handlers, tokens
from tickets.mail.models import MailSettings
from tickets.mail.services import sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.out import make_incoming, queued, ticket_of_a_customer
from tickets.models import Participant
from tickets.services import base, conversation, status
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

LATER = NOW + dt.timedelta(seconds=11)


@pytest.fixture
def workspace():
    return WorkspaceFactory(name="Acme")


@pytest.fixture
def mailbox(workspace):
    return MailboxFactory(workspace=workspace)


@pytest.fixture
def agent(workspace):
    return make_agent(workspace)


class TestAnAgentsAnswer:
    def test_is_queued_in_its_transaction_and_sent_by_send(self, workspace, mailbox, agent):
        ticket = make_ticket(workspace)
        comment = make_reply(ticket, agent)
        (row,) = queued(kind="reply")
        assert (row.recipient, row.mailbox, row.comment_id) == ("jane@customers.example", mailbox, comment.pk)
        assert (row.status, row.is_automatic, row.next_at) == ("waiting", False, NOW + dt.timedelta(seconds=10))
        assert mail.outbox == []
        assert sending.send(outgoing_id=row.pk, now=LATER) == "sent"
        (sent,) = mail.outbox
        assert sent.recipients() == ["jane@customers.example"]
        assert "On it." in sent.body

    def test_that_is_rolled_back_takes_its_mail_with_it(self, workspace, agent):
        ticket = make_ticket(workspace)
        with pytest.raises(RuntimeError), transaction.atomic():
            make_reply(ticket, agent)
            raise RuntimeError
        assert queued() == []

    def test_goes_once_to_the_requester_and_to_each_who_takes_part(self, workspace, mailbox, agent):
        ticket = make_ticket(workspace, cc=["bob@customers.example", "cleo@customers.example"])
        comment = make_reply(ticket, agent)
        rows = queued(kind="reply")
        assert [row.recipient for row in rows] == [
            "jane@customers.example",
            "bob@customers.example",
            "cleo@customers.example",
        ]
        comment.refresh_from_db()
        assert comment.delivery == {
            "state": "waiting",
            "at": (NOW + dt.timedelta(seconds=10)).isoformat(),
            "to": [row.recipient for row in rows],
            "reason": "",
        }
        with pytest.raises(IntegrityError), transaction.atomic():
            again = rows[0]
            again.pk, again.message_id = new_id(), "another@acme.example"
            again.save(force_insert=True)

    def test_has_a_message_id_that_names_its_ticket_and_row(self, workspace, mailbox, agent):
        ticket = make_ticket(workspace)
        make_reply(ticket, agent)
        (row,) = queued()
        assert tokens.read_message_id(row.message_id) == tokens.Signed("reply", ticket.pk, row.pk)
        assert row.message_id.endswith("@acme.example")

    def test_without_a_mailbox_has_the_deployments_domain(self, workspace, agent, settings):
        make_reply(make_ticket(workspace), agent)
        (row,) = queued()
        assert row.mailbox is None and row.message_id.endswith(f"@{settings.MAIL_DOMAIN}")

    def test_goes_out_by_the_mailbox_that_the_ticket_came_to(self, workspace, mailbox, agent):
        billing = MailboxFactory(workspace=workspace, address="billing@acme.example", is_default=False)
        ticket = make_ticket(workspace, channel="email")
        make_incoming(billing, ticket=ticket)
        make_reply(ticket, agent)
        assert queued()[0].mailbox_id == billing.pk

    def test_waits_as_long_as_the_workspace_lets_it_be_taken_back(self, workspace, agent):
        MailSettings.unscoped.create(workspace=workspace, undo_seconds=30)
        make_reply(make_ticket(workspace), agent)
        assert queued()[0].next_at == NOW + dt.timedelta(seconds=30)

    def test_is_given_to_a_task_after_the_commit_that_waits_as_long(
        self, workspace, agent, monkeypatch, django_capture_on_commit_callbacks
    ):
        sent = []
        monkeypatch.setattr(dispatch.celery_app, "send_task", lambda name, **given: sent.append((name, given)))
        ticket = make_ticket(workspace)
        with django_capture_on_commit_callbacks(execute=True):
            make_reply(ticket, agent)
            assert sent == []
        (row,) = queued()
        assert ("tickets.mail.tasks.send_outgoing", {"args": [str(row.pk)], "countdown": 10.0}) in sent

    def test_of_a_rule_is_automatic_and_does_not_wait(self, workspace):
        conversation.automatic_reply(ticket=make_ticket(workspace), body="We are on it.", actor=SYSTEM, now=NOW)
        (row,) = queued()
        assert (row.kind, row.is_automatic, row.next_at) == ("reply", True, NOW)

    def test_costs_four_queries_more_than_the_answer(self, workspace, mailbox, agent, monkeypatch):
        ticket = make_ticket(workspace, cc=["bob@customers.example"])
        with CaptureQueriesContext(connection) as with_mail:
            make_reply(ticket, agent)
        others = [heard for heard in subscriptions.inside[Event.COMMENT_ADDED] if heard is not handlers.queue_mail]
        monkeypatch.setitem(subscriptions.inside, Event.COMMENT_ADDED, others)
        with CaptureQueriesContext(connection) as without:
            make_reply(ticket, agent, now=LATER)
        # Whom it may concern, who watches, the rows, and how the comment's mail fares; the first response besides.
        assert len(with_mail) - len(without) == 4

    def test_goes_once_to_a_requester_who_takes_part_besides(self, workspace, agent):
        ticket = make_ticket(workspace, cc=["bob@customers.example"])
        Participant.unscoped.create(workspace=workspace, ticket=ticket, contact=ticket.requester)
        make_reply(ticket, agent)
        assert [row.recipient for row in queued()] == ["jane@customers.example", "bob@customers.example"]


class TestNothingIsQueuedFor:
    def test_a_note(self, workspace, agent):
        make_reply(make_ticket(workspace), agent, internal=True)
        assert queued() == []

    def test_a_replay_of_the_past(self, workspace, agent):
        past = replace(base.customer(ContactFactory(workspace=workspace)), is_replay=True)
        ticket = make_ticket(workspace, channel="email", actor=past)
        make_reply(ticket, agent, actor=replace(base.agent(agent), is_replay=True), then="resolved")
        assert queued() == []

    def test_a_ticket_that_an_agent_or_the_helpdesk_opens(self, workspace, agent):
        make_ticket(workspace, actor=base.agent(agent))
        make_ticket(workspace, actor=SYSTEM, channel="email")
        assert queued() == []


class TestATestWorkspace:
    def test_sends_nothing(self):
        workspace = WorkspaceFactory(is_test=True)
        agent = make_agent(workspace)
        ticket = ticket_of_a_customer(workspace)
        comment = make_reply(ticket, agent, then="resolved")
        status.reopen(ticket=ticket, actor=SYSTEM, now=NOW)
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=LATER)
        rows = queued()
        assert {row.kind for row in rows} == {"acknowledgement", "reply", "resolution"}
        assert {(row.status, row.reason) for row in rows} == {("held", "This is a test workspace.")}
        for row in rows:
            assert sending.send(outgoing_id=row.pk, now=LATER) == ""
        assert mail.outbox == []
        comment.refresh_from_db()
        assert comment.delivery and comment.delivery["state"] == "held"

    def test_that_became_one_after_the_mail_was_queued_sends_it_not(self, workspace, agent):
        make_reply(make_ticket(workspace), agent)
        Workspace.objects.filter(pk=workspace.pk).update(is_test=True)
        assert sending.send(outgoing_id=queued()[0].pk, now=LATER) == "held"
        assert mail.outbox == []


class TestAcknowledgements:
    @pytest.mark.parametrize("channel", ["email", "portal", "chat", "api"])
    def test_go_to_customers_who_opened_a_ticket_themselves(self, workspace, channel):
        ticket_of_a_customer(workspace, channel=channel, cc=["bob@customers.example"])
        assert [(row.kind, row.recipient, row.is_automatic) for row in queued()] == [
            ("acknowledgement", "jane@customers.example", True)
        ]

    def test_can_be_switched_off(self, workspace):
        MailSettings.unscoped.create(workspace=workspace, acknowledges=False)
        ticket_of_a_customer(workspace)
        assert queued() == []


class TestResolutions:
    def test_are_told_to_everybody_who_takes_part(self, workspace, agent):
        ticket = make_ticket(workspace, cc=["bob@customers.example"])
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(agent), now=NOW)
        assert [(row.kind, row.recipient) for row in queued()] == [
            ("resolution", "jane@customers.example"),
            ("resolution", "bob@customers.example"),
        ]

    def test_come_with_the_answer_when_both_happen_at_once(self, workspace, agent):
        make_reply(make_ticket(workspace), agent, then="resolved")
        (row,) = queued()
        assert (row.kind, row.content) == ("reply", {"is_resolved": True})

    def test_can_be_switched_off(self, workspace, agent):
        MailSettings.unscoped.create(workspace=workspace, tells_resolution=False)
        make_reply(make_ticket(workspace), agent, then="resolved")
        (row,) = queued()
        assert (row.kind, row.content) == ("reply", {})
