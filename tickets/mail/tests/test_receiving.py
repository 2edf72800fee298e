"""A message comes in and becomes a ticket or a comment."""

import pytest

from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import receive, steps

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox():
    return MailboxFactory(address="support@acme.example")


def test_a_message_becomes_a_ticket(mailbox):
    incoming = receive(mailbox)
    assert incoming.outcome == "ticket_created", (incoming.reason, incoming.trace)
    ticket = incoming.ticket
    assert (ticket.subject, ticket.requester_email, ticket.requester_name, ticket.channel) == (
        "Printer on fire",
        "jane@customers.example",
        "Jane Smith",
        "email",
    )
    assert ticket.description == "The printer on the second floor is on fire."
    assert steps(incoming)["result"] == "ticket_created"
