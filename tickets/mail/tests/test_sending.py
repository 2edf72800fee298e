"""Queued mail leaves, is tried again, comes back, is sent once more, or is taken back."""

import datetime as dt
import smtplib
import socket
from contextlib import contextmanager

import pytest
from aiosmtpd.controller import Controller
from django.core import mail

from helpdesk import sealing
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, NotAllowed, NotFound
from tickets.events import SYSTEM
from tickets.mail import tasks
from tickets.mail.models import MailSettings, Outgoing, Undeliverable
from tickets.mail.services import sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.out import queued
from tickets.mail.tests.servers import free_port
from tickets.models import Activity
from tickets.services import base, conversation, editing, status
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

DUE = NOW + dt.timedelta(seconds=10)


@pytest.fixture
def workspace():
    return WorkspaceFactory(name="Acme")


@pytest.fixture
def agent(workspace):
    return make_agent(workspace)


@pytest.fixture
def mailbox(workspace):
    return MailboxFactory(workspace=workspace)


@pytest.fixture
def refuse(monkeypatch):
    """A function that makes the mail server refuse whatever comes, until it gets None."""

    def make(error):
        def hand_over(message, mailbox):
            if error:
                raise error
            return ""

        monkeypatch.setattr(sending, "_hand_over", hand_over)

    return make


def answer(workspace, agent, **fields):
    comment = make_reply(make_ticket(workspace), agent, **fields)
    return comment, queued(comment=comment)[0]


class TestOnce:
    def test_a_mail_is_sent_once_however_often_its_task_comes(self, workspace, agent, mailbox):
        comment, row = answer(workspace, agent)
        assert [sending.send(outgoing_id=row.pk, now=DUE) for _ in range(3)] == ["sent", "", ""]
        assert len(mail.outbox) == 1
        comment.refresh_from_db()
        assert (comment.delivery["state"], comment.delivery["at"]) == ("sent", DUE.isoformat())
        row.refresh_from_db()
        assert (row.sent_at, row.ended_at, row.next_at) == (DUE, DUE, None)
        mailbox.refresh_from_db()
        assert mailbox.sent_at == DUE

    def test_nothing_is_sent_before_it_is_due(self, workspace, agent):
        _, row = answer(workspace, agent)
        assert sending.send(outgoing_id=row.pk, now=DUE - dt.timedelta(seconds=1)) == ""
        assert mail.outbox == []

    def test_who_is_killed_while_sending_leaves_a_lease_and_the_next_has_the_same_message_id(
        self, workspace, agent, monkeypatch
    ):
        _, row = answer(workspace, agent)
        real = sending._end
        monkeypatch.setattr(sending, "_end", lambda *args, **given: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            sending.send(outgoing_id=row.pk, now=DUE)
        monkeypatch.setattr(sending, "_end", real)
        assert sending.send(outgoing_id=row.pk, now=DUE + dt.timedelta(seconds=30)) == ""
        assert sending.send(outgoing_id=row.pk, now=DUE + sending.LEASE) == "sent"
        assert {sent.extra_headers["Message-ID"] for sent in mail.outbox} == {f"<{row.message_id}>"}
        assert len(mail.outbox) == 2

    def test_a_mail_that_kills_its_worker_each_time_fails_in_the_end(self, workspace, agent, monkeypatch):
        comment, row = answer(workspace, agent)

        def die(message, mailbox):
            raise SystemExit

        monkeypatch.setattr(sending, "_hand_over", die)
        now, tries = DUE, 0
        while True:
            try:
                status = sending.send(outgoing_id=row.pk, now=now)
            except SystemExit:
                tries, now = tries + 1, now + sending.LEASE
                assert tries < 20
                continue
            break
        assert (status, tries) == ("failed", len(sending.WAITS) + 1)
        row.refresh_from_db()
        comment.refresh_from_db()
        assert (row.status, row.next_at) == ("failed", None)
        assert "cut off" in row.reason and comment.delivery["state"] == "failed"

    def test_the_mail_of_a_resolution_is_not_sent_once_the_ticket_is_open_again(self, workspace, agent):
        ticket = make_ticket(workspace)
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(agent), now=NOW)
        status.reopen(ticket=ticket, actor=base.agent(agent), now=NOW)
        (row,) = queued(kind="resolution")
        assert sending.send(outgoing_id=row.pk, now=NOW) == "cancelled"
        row.refresh_from_db()
        assert (row.reason, mail.outbox) == ("The ticket was opened again.", [])

    def test_the_sweep_queues_what_is_due_and_has_no_task(self, workspace, agent, monkeypatch):
        _, row = answer(workspace, agent)
        asked = []
        monkeypatch.setattr(sending.dispatch, "queue_after_commit", lambda *given, **options: asked.append(given))
        assert sending.queue_due(now=DUE) == 0
        assert sending.queue_due(now=DUE + dt.timedelta(seconds=10)) == 1
        assert asked == [("tickets.mail.tasks.send_outgoing", str(row.pk))]

    def test_the_tasks_are_doors_to_it(self, workspace, agent):
        _, row = answer(workspace, agent)
        Outgoing.unscoped.update(next_at=DUE)
        assert tasks.send_outgoing(str(row.pk)) == "sent"
        assert tasks.send_due() == 0


class TestCancelled:
    def test_the_mail_of_a_deleted_comment_is_not_sent(self, workspace, agent):
        comment, row = answer(workspace, agent)
        conversation.delete_comment(comment=comment, editor=agent, now=NOW)
        assert sending.send(outgoing_id=row.pk, now=DUE) == "cancelled"
        assert mail.outbox == []

    def test_the_mail_of_a_ticket_in_the_trash_is_not_sent(self, workspace, agent):
        comment, row = answer(workspace, agent)
        editing.trash(ticket=comment.ticket, actor=SYSTEM, now=NOW)
        assert sending.send(outgoing_id=row.pk, now=DUE) == "cancelled"
        assert mail.outbox == []


class TestTriedAgain:
    def test_for_eighteen_hours_and_then_it_has_failed(self, workspace, agent, mailbox, refuse):
        comment, row = answer(workspace, agent)
        refuse(ConnectionRefusedError())
        now, waits = DUE, []
        while sending.send(outgoing_id=row.pk, now=now) == "waiting":
            row.refresh_from_db()
            waits.append((row.next_at - now).total_seconds())
            now = row.next_at
        assert waits == [5, 300, 1800, 7200, 18000, 36000]
        row.refresh_from_db()
        assert (row.status, row.attempts) == ("failed", 7)
        assert row.reason == "Nothing answers at the mail server's address and port."
        comment.refresh_from_db()
        assert (comment.delivery["state"], comment.delivery["reason"]) == ("failed", row.reason)
        mailbox.refresh_from_db()
        assert mailbox.send_error == row.reason
        assert not Undeliverable.unscoped.exists()

    def test_one_recipient_to_be_tried_later_is_no_fault_of_the_mailbox(self, workspace, agent, mailbox, refuse):
        _, row = answer(workspace, agent)
        refuse(smtplib.SMTPRecipientsRefused({row.recipient: (450, b"4.7.1 Greylisted")}))
        assert sending.send(outgoing_id=row.pk, now=DUE) == "waiting"
        row.refresh_from_db()
        mailbox.refresh_from_db()
        assert "Greylisted" in row.reason and mailbox.send_error == ""

    def test_where_the_deployments_server_hangs(self, workspace, agent, settings):
        assert sending.LEASE.total_seconds() / 4 > settings.EMAIL_TIMEOUT
        _, row = answer(workspace, agent)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
            settings.EMAIL_TIMEOUT = 0.2
            assert sending.send(outgoing_id=row.pk, now=DUE) == "waiting"
        row.refresh_from_db()
        assert row.reason == "The mail server did not answer in time."

    def test_and_a_success_forgets_what_was_wrong(self, workspace, agent, mailbox, refuse):
        _, row = answer(workspace, agent)
        refuse(TimeoutError())
        sending.send(outgoing_id=row.pk, now=DUE)
        refuse(None)
        assert sending.send(outgoing_id=row.pk, now=DUE + dt.timedelta(seconds=5)) == "sent"
        row.refresh_from_db()
        mailbox.refresh_from_db()
        assert (row.reason, mailbox.send_error) == ("", "")

    def test_a_mistake_of_ours_does_not_go_on_for_ever(self, workspace, agent, monkeypatch):
        _, row = answer(workspace, agent)
        monkeypatch.setattr(sending.composing, "compose", lambda *given, **options: 1 / 0)
        assert sending.send(outgoing_id=row.pk, now=DUE) == "waiting"
        row.refresh_from_db()
        assert row.reason == "The mail could not be made; the server's log says why."


JANE = "jane@customers.example"


class TestRefused:
    def test_for_good_by_the_recipients_server_has_bounced(self, workspace, agent, refuse):
        comment, row = answer(workspace, agent)
        refuse(smtplib.SMTPRecipientsRefused({JANE: (550, b"5.1.1 No such user")}))
        assert sending.send(outgoing_id=row.pk, now=DUE) == "bounced"
        comment.refresh_from_db()
        assert comment.delivery["state"] == "bounced"
        assert comment.delivery["reason"] == "The mail server refused the recipient: 550 5.1.1 No such user"
        assert Undeliverable.unscoped.get().address == JANE

    @pytest.mark.parametrize(
        ("error", "result", "reason"),
        [
            (smtplib.SMTPRecipientsRefused({JANE: (451, b"4.7.1 Later")}), "waiting", "refused the recipient: 451"),
            (smtplib.SMTPRecipientsRefused({JANE: (554, b"5.7.1 Relay denied")}), "failed", "recipient: 554 5.7.1"),
            (smtplib.SMTPDataError(554, b"5.6.0 Spam"), "failed", "refused the mail: 554"),
            (smtplib.SMTPDataError(452, b"4.2.2 Full"), "waiting", "refused the mail: 452"),
            (smtplib.SMTPSenderRefused(550, b"Not yours", "a@b"), "waiting", "refused the sender: 550"),
            (
                smtplib.SMTPAuthenticationError(535, b"5.7.8 No"),
                "waiting",
                "user name and password",
            ),
            (smtplib.SMTPServerDisconnected("x"), "waiting", "closed the connection"),
            (smtplib.SMTPNotSupportedError("x"), "waiting", "does not offer what is set"),
            (sealing.Unopenable("The stored secret cannot be opened."), "waiting", "stored secret"),
        ],
    )
    def test_otherwise_says_nothing_about_the_address(self, workspace, agent, refuse, error, result, reason):
        _, row = answer(workspace, agent)
        refuse(error)
        assert sending.send(outgoing_id=row.pk, now=DUE) == result
        row.refresh_from_db()
        assert reason in row.reason
        assert not Undeliverable.unscoped.exists()

    def test_one_of_several_recipients_is_told_as_partly(self, workspace, agent, refuse):
        comment = make_reply(make_ticket(workspace, cc=["bob@customers.example"]), agent)
        first, second = queued()
        sending.send(outgoing_id=first.pk, now=DUE)
        refuse(smtplib.SMTPRecipientsRefused({JANE: (550, b"5.1.1 No such user")}))
        sending.send(outgoing_id=second.pk, now=DUE)
        comment.refresh_from_db()
        assert comment.delivery and comment.delivery["state"] == "partly"


class _Sink:
    """A mail server that remembers what it took, and refuses what a test wants it to."""

    def __init__(self):
        self.taken, self.refuses = [], {}

    async def handle_RCPT(self, server, session, envelope, address, options):  # aiosmtpd calls it so
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@contextmanager
def sink():
    handler = _Sink()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        handler.port = controller.port
        yield handler
    finally:
        controller.stop()


class TestAMailboxsOwnServer:
    @pytest.fixture
    def server(self, mailbox, settings):
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
        with sink() as server:
            mailbox.smtp_host, mailbox.smtp_port, mailbox.smtp_security = "localhost", server.port, "none"
            mailbox.save()
            yield server

    def test_sends_its_mail_each_recipient_with_an_envelope_of_their_own(self, workspace, agent, mailbox, server):
        make_reply(make_ticket(workspace, cc=["bob@customers.example"]), agent)
        assert [sending.send(outgoing_id=row.pk, now=DUE) for row in queued()] == ["sent", "sent"]
        assert [(sender, to) for sender, to, _ in server.taken] == [
            (mailbox.address, ["jane@customers.example"]),
            (mailbox.address, ["bob@customers.example"]),
        ]
        for _, _, content in server.taken:
            assert content.count(b"\r\nTo: ") == 1
            assert b"Cc: bob@customers.example" in content
        assert mail.outbox == []

    def test_that_refuses_the_recipient_is_heard(self, workspace, agent, server):
        server.refuses[JANE] = "550 5.1.1 No such user here"
        _, row = answer(workspace, agent)
        assert sending.send(outgoing_id=row.pk, now=DUE) == "bounced"
        assert server.taken == []

    def test_in_a_private_network_is_not_called(self, workspace, agent, server, settings):
        settings.OUTBOUND_ALLOW = []
        _, row = answer(workspace, agent)
        assert sending.send(outgoing_id=row.pk, now=DUE) == "failed"
        row.refresh_from_db()
        assert "private network" in row.reason
        assert server.taken == []

    def test_is_tried_and_what_is_wrong_said_in_words(self, mailbox, server, settings):
        assert sending.try_mailbox(mailbox=mailbox, to="me@acme.example", now=NOW) == ""
        (sender, to, content) = server.taken[0]
        assert (sender, to) == (mailbox.address, ["me@acme.example"])
        assert b"works" in content
        mailbox.refresh_from_db()
        assert mailbox.sent_at == NOW
        server.refuses["me@acme.example"] = "550 5.1.1 No"
        assert sending.try_mailbox(mailbox=mailbox, to="me@acme.example", now=NOW) == (
            "The mail server refused the recipient: 550 5.1.1 No"
        )
        mailbox.smtp_security = "starttls"
        assert "does not offer what is set" in sending.try_mailbox(mailbox=mailbox, to="me@acme.example", now=NOW)
        mailbox.smtp_security = "tls"
        assert "connection to the mail server failed" in sending.try_mailbox(
            mailbox=mailbox, to="me@acme.example", now=NOW
        )

    def test_of_a_test_workspace_is_not_tried(self):
        mailbox = MailboxFactory(workspace=WorkspaceFactory(is_test=True))
        assert "test workspace" in sending.try_mailbox(mailbox=mailbox, to="me@acme.example", now=NOW)
        assert mail.outbox == []


class TestSentAgain:
    @pytest.fixture
    def bounced(self, workspace, agent, mailbox, refuse):
        comment = make_reply(make_ticket(workspace, cc=["bob@customers.example"]), agent)
        first, second = queued()
        sending.send(outgoing_id=second.pk, now=DUE)
        refuse(smtplib.SMTPRecipientsRefused({JANE: (550, b"5.1.1 No such user")}))
        sending.send(outgoing_id=first.pk, now=DUE)
        refuse(None)
        return comment

    def test_goes_to_whom_it_did_not_reach_with_a_new_message_id(self, bounced, agent):
        (new,) = sending.resend(comment=bounced, member=agent, now=DUE)
        assert (new.recipient, new.round, new.next_at) == (JANE, 1, DUE)
        assert len({row.message_id for row in queued()}) == 3
        bounced.refresh_from_db()
        assert bounced.delivery["state"] == "waiting"
        assert sending.send(outgoing_id=new.pk, now=DUE) == "sent"
        bounced.refresh_from_db()
        assert bounced.delivery["state"] == "sent"

    def test_only_when_there_is_something_to_send_again(self, bounced, agent):
        sending.resend(comment=bounced, member=agent, now=DUE)
        with pytest.raises(Conflict):
            sending.resend(comment=bounced, member=agent, now=DUE)
        assert len(queued()) == 3

    def test_is_for_who_may_answer_and_for_the_own_workspace(self, bounced, workspace):
        with pytest.raises(NotAllowed):
            sending.resend(comment=bounced, member=make_agent(workspace, role="light"), now=DUE)
        with pytest.raises(NotFound):
            sending.resend(comment=bounced, member=make_agent(WorkspaceFactory()), now=DUE)
        assert len(queued()) == 2

    def test_not_in_a_test_workspace(self):
        workspace = WorkspaceFactory(is_test=True)
        agent = make_agent(workspace)
        comment = make_reply(make_ticket(workspace), agent)
        with pytest.raises(Conflict, match="test workspace"):
            sending.resend(comment=comment, member=agent, now=DUE)
        assert len(queued()) == 1

    def test_of_a_rules_answer_that_was_held_is_sent_because_a_person_wants_it(self, workspace, agent):
        Undeliverable.unscoped.create(workspace=workspace, address=JANE, bounced_at=NOW)
        comment = conversation.automatic_reply(ticket=make_ticket(workspace), body="Hello", actor=SYSTEM, now=NOW)
        assert sending.send(outgoing_id=queued()[0].pk, now=NOW) == "held"
        (new,) = sending.resend(comment=comment, member=agent, now=NOW)
        assert sending.send(outgoing_id=new.pk, now=NOW) == "sent"


class TestTakenBack:
    SOON = NOW + dt.timedelta(seconds=5)

    def test_is_never_sent_and_its_author_gets_the_text(self, workspace, agent):
        comment, row = answer(workspace, agent, body="Oops, wrong ticket.")
        assert sending.take_back(comment=comment, member=agent, now=self.SOON) == "Oops, wrong ticket."
        assert sending.send(outgoing_id=row.pk, now=DUE) == ""
        assert mail.outbox == []
        row.refresh_from_db()
        assert row.status == "cancelled"
        comment.refresh_from_db()
        assert comment.deleted_at == self.SOON
        assert comment.delivery["state"] == "cancelled"
        log = Activity.unscoped.filter(event="ticket.comment.deleted").get()
        assert log.changes == [{"field": "body", "from": "Oops, wrong ticket.", "to": None}]

    def test_was_no_first_response(self, workspace, agent):
        ticket = make_ticket(workspace)
        comment = make_reply(ticket, agent, now=NOW + dt.timedelta(minutes=1))
        sending.take_back(comment=comment, member=agent, now=NOW + dt.timedelta(minutes=1, seconds=5))
        ticket.refresh_from_db()
        assert (ticket.first_response_at, ticket.last_message_at) == (None, NOW)
        assert ticket.display_status == "new"

    def test_leaves_the_first_response_of_somebody_else(self, workspace, agent):
        ticket = make_ticket(workspace)
        comment = make_reply(ticket, agent, now=NOW)
        make_reply(ticket, make_agent(workspace), now=NOW + dt.timedelta(seconds=3))
        sending.take_back(comment=comment, member=agent, now=self.SOON)
        ticket.refresh_from_db()
        assert ticket.first_response_at == NOW + dt.timedelta(seconds=3)

    @pytest.mark.parametrize(
        ("before", "then"), [("open", "pending"), ("open", "resolved"), ("pending", "open"), ("pending", "resolved")]
    )
    def test_undoes_the_move_that_came_with_it(self, workspace, agent, before, then):
        ticket = make_ticket(workspace)
        if before != "open":
            status.change_status(ticket=ticket, to=before, actor=base.agent(agent), now=NOW - dt.timedelta(hours=1))
        comment = make_reply(ticket, agent, then=then)
        sending.take_back(comment=comment, member=agent, now=self.SOON)
        ticket.refresh_from_db()
        assert (ticket.status, ticket.resolved_at) == (before, None)
        assert {row.status for row in queued()} == {"cancelled"}

    def test_leaves_the_status_that_somebody_set_since(self, workspace, agent):
        ticket = make_ticket(workspace)
        comment = make_reply(ticket, agent, then="pending")
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW + dt.timedelta(seconds=2))
        sending.take_back(comment=comment, member=agent, now=self.SOON)
        ticket.refresh_from_db()
        assert ticket.status == "resolved"

    def test_only_in_time_only_unsent_only_by_its_author(self, workspace, agent):
        comment, row = answer(workspace, agent)
        with pytest.raises(NotAllowed):
            sending.take_back(comment=comment, member=make_agent(workspace, role="admin"), now=self.SOON)
        with pytest.raises(Conflict, match="too late"):
            sending.take_back(comment=comment, member=agent, now=DUE + dt.timedelta(seconds=1))
        sending.send(outgoing_id=row.pk, now=DUE)
        with pytest.raises(Conflict, match="too late"):
            sending.take_back(comment=comment, member=agent, now=DUE)
        comment.refresh_from_db()
        assert comment.deleted_at is None
        assert queued()[0].status == "sent"

    def test_not_while_somebody_sends_it(self, workspace, agent, refuse):
        comment, row = answer(workspace, agent)
        refuse(TimeoutError())
        MailSettings.unscoped.create(workspace=workspace, undo_seconds=60)
        sending.send(outgoing_id=row.pk, now=DUE)
        with pytest.raises(Conflict, match="too late"):
            sending.take_back(comment=comment, member=agent, now=DUE)

    def test_not_a_note_and_not_twice(self, workspace, agent):
        note = make_reply(make_ticket(workspace), agent, internal=True)
        with pytest.raises(Conflict):
            sending.take_back(comment=note, member=agent, now=self.SOON)
        comment, _ = answer(workspace, agent)
        sending.take_back(comment=comment, member=agent, now=self.SOON)
        with pytest.raises(Conflict):
            sending.take_back(comment=comment, member=agent, now=self.SOON)
