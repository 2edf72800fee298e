"""Broken, mutated and random messages: none raises, each is stored and accounted for, each in time.

`manage.py bench_mail --fuzz 10000` does very many; here are a few hundred.
"""

import pytest

from tickets.mail.management.fuzz import messages
from tickets.mail.models import Incoming
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import receive

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_is_stored_and_accounted_for(seed):
    mailbox = MailboxFactory(address="support@acme.example")
    count = 75
    for raw in messages(count, seed=seed):
        incoming = receive(mailbox, raw)
        assert incoming.status == "done" and incoming.outcome and incoming.trace
        assert incoming.reason != "error", (incoming.trace, raw)
        with incoming.raw.open("rb") as file:
            assert file.read() == raw
        if incoming.outcome in ("ticket_created", "comment_added"):
            assert incoming.ticket is not None and (incoming.outcome == "ticket_created") is (incoming.comment is None)
    assert Incoming.unscoped.filter(status="done").count() == count


def test_the_same_seed_gives_the_same_messages():
    assert list(messages(20, seed=3)) == list(messages(20, seed=3)) != list(messages(20, seed=4))
