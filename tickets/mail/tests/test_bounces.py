"""What other servers tell of our mail: a comment that did not arrive, and nothing else."""

import pytest

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.mail import tokens
from tickets.mail.models import Outgoing, Undeliverable
from tickets.mail.parsing.report import Report
from tickets.mail.services import bounces
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import NOW, receive, steps
from tickets.models import Comment, Ticket
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
WORDS = "550 5.1.1 User unknown"


@pytest.fixture
def mailbox():
    return MailboxFactory(address="support@acme.example")


@pytest.fixture
def sent(mailbox):
    """An agent's answer that was sent; the ticket is resolved."""
    ticket = make_ticket(mailbox.workspace)
    comment = make_reply(ticket, make_agent(mailbox.workspace), then="resolved")
    outgoing = Outgoing(
        workspace=mailbox.workspace,
        mailbox=mailbox,
        ticket=ticket,
        comment=comment,
        activity_id=ticket.activities.first().pk,
        kind="reply",
        recipient="jane@customers.example",
        status="sent",
        sent_at=NOW,
        ended_at=NOW,
        created_at=NOW,
    )
    outgoing.message_id = tokens.message_id(
        kind="reply", ticket_id=ticket.pk, outgoing_id=outgoing.pk, domain="help.example"
    )
    outgoing.save(force_insert=True)
    return outgoing


def report(
    original: str, action="failed", status="5.1.1", words=WORDS, to="support@acme.example", returned=True
) -> bytes:
    """A delivery status notification (RFC 3464)."""
    back = f"Message-ID: <{original}>\nSubject: Re: Printer\n" if returned else "Subject: Re: Printer\n"
    return f"""Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.customers.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <report@mx.customers.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your mail could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.customers.example

Final-Recipient: rfc822; jane@customers.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {words}

--b
Content-Type: text/rfc822-headers

{back}
--b--
""".encode()


def nothing_happened(sent) -> None:
    ticket = Ticket.unscoped.get()
    assert ticket.status == "resolved" and Comment.unscoped.count() == 1


class TestABounce:
    def test_marks_the_comment_and_never_reopens_or_opens_a_ticket(self, mailbox, sent):
        incoming = receive(mailbox, report(sent.message_id), envelope_from="")
        assert (incoming.outcome, incoming.reason) == ("bounce", "failed")
        assert (incoming.ticket, incoming.comment) == (sent.ticket, sent.comment)
        sent.comment.refresh_from_db()
        assert sent.comment.delivery["state"] == "bounced" and "User unknown" in sent.comment.delivery["reason"]
        nothing_happened(sent)

    def test_of_an_address_that_does_not_work_ends_automatic_mail_to_it(self, mailbox, sent):
        receive(mailbox, report(sent.message_id), envelope_from="")
        assert Undeliverable.unscoped.get().address == "jane@customers.example"

    def test_of_a_full_mailbox_marks_the_comment_and_leaves_the_address(self, mailbox, sent):
        receive(mailbox, report(sent.message_id, status="5.2.2", words="552 5.2.2 Mailbox full"), envelope_from="")
        sent.comment.refresh_from_db()
        assert sent.comment.delivery["state"] == "bounced" and not Undeliverable.unscoped.exists()
        nothing_happened(sent)

    def test_ends_until_the_person_writes_again(self, mailbox, sent):
        receive(mailbox, report(sent.message_id), envelope_from="")
        receive(mailbox)
        assert not Undeliverable.unscoped.exists()

    @pytest.mark.parametrize("action", ["delayed", "delivered", "relayed"])
    def test_that_tells_of_no_failure_changes_nothing(self, mailbox, sent, action):
        status = "4.4.7" if action == "delayed" else "2.0.0"
        incoming = receive(mailbox, report(sent.message_id, action=action, status=status), envelope_from="")
        outcome = "bounce" if action == "delayed" else "ignored"
        assert (incoming.outcome, incoming.reason) == (outcome, action) and steps(incoming)["bounce"] == action
        sent.refresh_from_db()
        assert sent.status == "sent" and not Undeliverable.unscoped.exists()
        nothing_happened(sent)

    def test_twice_is_one(self, mailbox, sent):
        raw = report(sent.message_id)
        receive(mailbox, raw, envelope_from="")
        assert receive(mailbox, raw, envelope_from="").outcome == "duplicate"

    def test_without_the_returned_header_is_known_by_the_signed_address(self, mailbox, sent):
        to = tokens.reply_address(ticket_id=sent.ticket_id, address=mailbox.address)
        incoming = receive(mailbox, report("", to=to, returned=False), envelope_from="")
        assert (incoming.reason, incoming.comment) == ("failed", sent.comment)


class TestABounceThatMatchesNothing:
    @pytest.mark.parametrize("known", ["somebody@else.example", "forged"])
    def test_changes_nothing_and_makes_no_ticket(self, mailbox, sent, known):
        head, _, domain = sent.message_id.partition("@")
        original = known if known != "forged" else f"{head[:-1]}{'a' if head[-1] != 'a' else 'b'}@{domain}"
        incoming = receive(mailbox, report(original), envelope_from="")
        assert (incoming.outcome, incoming.reason, incoming.ticket) == ("bounce", "unmatched", None)
        sent.refresh_from_db()
        assert sent.status == "sent"
        nothing_happened(sent)

    def test_as_does_one_to_another_workspace(self, mailbox, sent):
        other = MailboxFactory(workspace=WorkspaceFactory())
        assert receive(other, report(sent.message_id), envelope_from="").reason == "unmatched"
        sent.refresh_from_db()
        assert sent.status == "sent"


@pytest.mark.parametrize(
    ("recipients", "words"),
    [
        ((("a@x.example", "5.1.1", "failed", "550 5.1.1 No such user"),), "550 5.1.1 No such user"),
        ((("a@x.example", "5.1.1", "failed", "No such user"),), "No such user (5.1.1)"),
        ((("a@x.example", "5.2.2", "failed", ""),), "The mailbox is full (5.2.2)"),
        ((("a@x.example", "5.9.9", "failed", ""),), "The server refused it (5.9.9)"),
        ((("b@x.example", "5.1.1", "failed", "B"), ("a@x.example", "", "failed", "A")), "A"),
        ((), "The server gave no reason."),
    ],
)
def test_why_a_mail_did_not_arrive_is_told_in_words(recipients, words):
    told = Report(kind="failed", recipients=recipients, original_message_ids=(), is_permanent=True)
    assert bounces.in_words(told, "a@x.example") == words
