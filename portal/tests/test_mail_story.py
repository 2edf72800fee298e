"""A conversation by mail from end to end, over real SMTP: our listener, a worker, and the customer's server.

What the customer's server gets is kept; what the customer writes goes to our listener as their mail program would
write it.
"""

import datetime as dt
import os
import smtplib
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import default as modern
from email.utils import make_msgid
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings
from django.core import mail as out
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.events import SYSTEM
from tickets.mail.models import Incoming, MailSettings, Outgoing, Undeliverable
from tickets.mail.services import receiving, sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.models import Comment, Ticket
from tickets.services import conversation
from tickets.tests.factories import make_agent
from tickets.tests.test_outbox_processes import environment, running, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="builds the children's address from the socket"),
]
SUPPORT, JANE = "support@acme.example", "jane@customers.example"


class CustomersServer:
    """The mail server of the customers: takes what we send, and keeps it."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        mail = BytesParser(policy=modern).parsebytes(envelope.content)
        mail.recipients = envelope.rcpt_tos
        self.mails.append(mail)
        return "250 taken"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail.recipients == [address]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def customers() -> Iterator[CustomersServer]:
    server = CustomersServer()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    server.port = controller.port
    yield server
    controller.stop()


@pytest.fixture
def listener_port(customers) -> Iterator[int]:
    """The port of our listener, with a worker behind it that sends to the customers' server."""
    port = free_port()
    env = environment(settings.REDIS_URL) | {
        "EMAIL_URL": f"smtp://127.0.0.1:{customers.port}",
        "MAIL_BIND": "127.0.0.1",
        "MAIL_PORT": str(port),
    }
    with (
        running("django", "mailserver", env=env),
        running("celery", "-A", "helpdesk", "worker", "--concurrency", "2", "--without-gossip", "--without-mingle",
                "-l", "WARNING", env=env),
    ):  # fmt: skip
        assert until(lambda: answers(port)), "the listener never began"
        yield port


def answers(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5):
            return True
    except OSError:
        return False


def write(subject: str, text: str, **headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = f"Jane Smith <{JANE}>"
    mail["To"] = headers.pop("to", SUPPORT)
    mail["Subject"] = subject
    mail["Message-ID"] = make_msgid(domain="customers.example")
    mail["Date"] = "Wed, 12 Mar 2025 10:00:00 +0100"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


def send(port: int, mail: Message, *, sender: str = JANE, to: str = SUPPORT) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as server:
        server.send_message(mail, from_addr=sender, to_addrs=[to])


def answer_to(mail: EmailMessage, text: str, **headers: str) -> EmailMessage:
    """What a mail program makes of *Reply*: the subject, the references, and the history below."""
    said = mail.get_body(("plain",)).get_content()
    quoted = "\n".join(f"> {line}" for line in said.splitlines())
    body = f"{text}\n\nOn Wed, 12 Mar 2025 at 10:05, {mail['From']} wrote:\n\n{quoted}\n" if text else quoted
    return write(
        f"Re: {mail['Subject']}",
        body,
        to=str(mail["Reply-To"] or mail["From"]),
        In_Reply_To=mail["Message-ID"],
        References=f"{mail['References'] or ''} {mail['Message-ID']}".strip(),
        **headers,
    )


def bounce_of(mail: EmailMessage) -> bytes:
    """What a server sends that knows no such user (RFC 3464), with the headers of the mail it returns."""
    return (
        f"From: Mail Delivery System <MAILER-DAEMON@customers.example>\r\nTo: {SUPPORT}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        f"Message-ID: {make_msgid(domain='customers.example')}\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nI'm sorry to have to inform you that your message could not be "
        "delivered.\r\n\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.customers.example\r\n\r\n"
        f"Final-Recipient: rfc822; {JANE}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 user unknown\r\n\r\n"
        "--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        f"From: {mail['From']}\r\nTo: {JANE}\r\nSubject: {mail['Subject']}\r\nMessage-ID: {mail['Message-ID']}\r\n\r\n"
        "--b--\r\n"
    ).encode()


def fares(comment: Comment) -> Any:
    """How the mail of a message fares now."""
    return Comment.unscoped.get(pk=comment.pk).delivery


class TestAConversation:
    def test_runs_by_mail_from_the_first_question_to_a_bounce_and_nothing_is_sent_twice(
        self, client, customers, listener_port
    ):
        workspace = WorkspaceFactory()
        MailboxFactory(workspace=workspace, address=SUPPORT)
        MailSettings.unscoped.create(workspace=workspace, undo_seconds=0)
        maria = make_agent(workspace)
        client.force_login(maria.user)

        # The customer asks; the ticket is there, and they hear so.
        send(listener_port, write("Cannot log in", "Hello,\n\nthe password is refused.\n\n-- \nJane Smith\nAcme Ltd."))
        assert until(lambda: len(customers.to(JANE)) == 1), "no acknowledgement"
        ticket = Ticket.objects.for_workspace(workspace).get()
        assert (ticket.subject, ticket.description) == ("Cannot log in", "Hello,\n\nthe password is refused.")
        assert "Acme Ltd." in ticket.folded_text
        acknowledged = customers.to(JANE)[0]
        assert acknowledged["Auto-Submitted"] == "auto-generated"

        # The agent answers in the console.
        def agent_writes(text: str, then: str = "") -> None:
            answer = client.post(
                reverse("tickets:reply", args=[ticket.pk]),
                {"body": text, "internal": "0", "then": then, "seen_until": timezone.now().isoformat()},
            )
            assert answer.status_code == 302

        agent_writes("Please try the **new** link.", then="pending")
        assert until(lambda: len(customers.to(JANE)) == 2), "the answer never came"
        answered = customers.to(JANE)[1]
        assert "Please try the" in answered.get_body(("plain",)).get_content()
        assert "<strong>new</strong>" in answered.get_body(("html",)).get_content()
        assert answered["Auto-Submitted"] is None
        comment = Comment.objects.for_workspace(workspace).get()
        assert until(lambda: fares(comment)["state"] == "sent")

        # Their own mail program answers, with the history below.
        send(listener_port, answer_to(answered, "It works now, thank you!"), to=str(answered["Reply-To"]))
        assert until(lambda: Comment.objects.for_workspace(workspace).count() == 2), "the answer did not thread"
        theirs = Comment.objects.for_workspace(workspace).get(author_type="customer")
        assert theirs.body == "It works now, thank you!"
        assert "Please try the" in theirs.folded_text
        ticket.refresh_from_db()
        assert ticket.status == "open"

        # They are away: kept with the conversation, and the ticket stays as it is.
        agent_writes("Good. Anything else?", then="pending")
        assert until(lambda: len(customers.to(JANE)) == 3)
        away = answer_to(customers.to(JANE)[2], "I am away until Monday.", Auto_Submitted="auto-replied")
        send(listener_port, away)
        assert until(lambda: Comment.objects.for_workspace(workspace).filter(is_automatic=True).count() == 1)
        ticket.refresh_from_db()
        assert ticket.status == "pending"

        # Their server gives up on one: its comment says so, and the ticket stays as it is.
        agent_writes("Then I close this.", then="pending")
        assert until(lambda: len(customers.to(JANE)) == 4)
        with smtplib.SMTP("127.0.0.1", listener_port, timeout=20) as server:
            server.sendmail("", [SUPPORT], bounce_of(customers.to(JANE)[3]))
        last = Comment.objects.for_workspace(workspace).filter(author_type="agent").latest("created_at")
        assert until(lambda: fares(last)["state"] == "bounced")
        assert "user unknown" in fares(last)["reason"]
        ticket.refresh_from_db()
        assert ticket.status == "pending"
        assert Undeliverable.objects.for_workspace(workspace).filter(address=JANE).exists()

        # Once more from the beginning: the same message again is none, and no mail went out twice.
        send(listener_port, away)
        assert until(lambda: Incoming.objects.for_workspace(workspace).filter(outcome="duplicate").count() == 1)
        assert Ticket.objects.for_workspace(workspace).count() == 1
        assert Comment.objects.for_workspace(workspace).count() == 5
        sent = [mail["Message-ID"] for mail in customers.mails]
        assert (
            len(sent)
            == len(set(sent))
            == Outgoing.objects.for_workspace(workspace).filter(status__in=["sent", "bounced"]).count()
        )
        assert not Incoming.objects.for_workspace(workspace).filter(outcome="quarantined").exists()


class TestTwoMachines:
    """A program that answers every mail at once, without saying that it is one: the worst there is."""

    @pytest.fixture
    def mailbox(self) -> Any:
        return MailboxFactory(address=SUPPORT)

    def go_on(
        self, mailbox: Any, answer: Callable[[EmailMessage], EmailMessage], *, pace: int = 60, by_rule: bool = False
    ) -> int:
        """Let the two talk, a round every `pace` seconds, until nobody says anything any more; how many mails we sent.
        With `by_rule` we answer each of their messages, as an automation rule may.
        """
        began = timezone.now()
        waiting, sent = [write("Hello", "Is anybody there?")], 0
        for number in range(200):
            now = began + dt.timedelta(seconds=pace * number)
            for letter in waiting:
                row = receiving.accept(
                    raw=letter.as_bytes(), mailbox=mailbox, way="smtp", envelope_from=JANE, envelope_to=SUPPORT, now=now
                )
                done = receiving.process(incoming_id=row.pk, now=now)
                if by_rule and done is not None and done.outcome == "comment_added":
                    conversation.automatic_reply(ticket=done.ticket, body="We have it.", actor=SYSTEM, now=now)
            out.outbox.clear()
            due = Outgoing.unscoped.filter(status="waiting", next_at__lte=now).order_by("pk")
            for pk in list(due.values_list("pk", flat=True)):
                sending.send(outgoing_id=pk, now=now)
            mails = [BytesParser(policy=modern).parsebytes(mail.message().as_bytes()) for mail in out.outbox]
            sent += len(mails)
            waiting = [answer(mail) for mail in mails]
            if not waiting:
                return sent
        pytest.fail("They never stopped.")

    # Ten mails in ten minutes, twenty in an hour, forty in a day: the slower they are, the more steps they reach.
    @pytest.mark.parametrize(("pace", "most"), [(1, 10), (60, 20), (600, 40)])
    def test_that_answer_each_other_stop_within_the_caps(self, mailbox, pace, most):
        sent = self.go_on(mailbox, lambda mail: answer_to(mail, "I am a machine, too."), pace=pace, by_rule=True)
        assert 1 <= sent <= most

    @pytest.mark.parametrize(("pace", "most"), [(1, 10), (60, 20), (600, 40)])
    def test_that_begin_anew_each_time_stop_within_the_caps(self, mailbox, pace, most):
        sent = self.go_on(mailbox, lambda mail: write("Anew", f"I am a machine, too: {mail['Subject']}"), pace=pace)
        assert 1 <= sent <= most
        assert Outgoing.unscoped.filter(status="held").count() == 1

    def test_end_after_an_acknowledgement_where_nobody_else_answers(self, mailbox):
        assert self.go_on(mailbox, lambda mail: answer_to(mail, "I am a machine, too.")) == 1

    def test_that_say_what_they_are_are_answered_by_nothing(self, mailbox):
        away = self.go_on(mailbox, lambda mail: answer_to(mail, "Away.", Auto_Submitted="auto-replied"), by_rule=True)
        assert away == 1  # the acknowledgement of what a person wrote
