"""What happens on tickets becomes mail, in the transaction of the change."""

import datetime as dt

import pytest
from django.core import mail
from django.db import transaction

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.mail.models import Outgoing
from tickets.mail.services import sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

LATER = NOW + dt.timedelta(seconds=11)


def queued(**fields):
    return list(Outgoing.unscoped.filter(**fields).order_by("created_at", "pk"))


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
