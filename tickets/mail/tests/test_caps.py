"""What keeps mail from becoming a flood."""

import datetime as dt

import pytest
from django.core import mail

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.mail.models import Outgoing, Undeliverable
from tickets.mail.services import sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.out import make_incoming, queued, ticket_of_a_customer
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace():
    return WorkspaceFactory(name="Acme")


def send_all(now: dt.datetime) -> list[str]:
    """Send what is due; what became of each."""
    due = Outgoing.unscoped.filter(status="waiting", next_at__lte=now).order_by("created_at", "pk")
    return [sending.send(outgoing_id=pk, now=now) for pk in list(due.values_list("pk", flat=True))]


class TestAutomaticMail:
    def test_to_one_address_is_held_after_ten_in_ten_minutes_over_all_tickets(self, workspace):
        for _ in range(12):
            ticket_of_a_customer(workspace, channel="email")
        assert send_all(NOW) == ["sent"] * 10 + ["held"] * 2
        assert queued(status="held")[0].reason == "This address got 10 automatic mails within 10 minutes already."
        ticket_of_a_customer(workspace, channel="email", requester_email="else@customers.example")
        assert send_all(NOW) == ["sent"]
        later = NOW + dt.timedelta(minutes=10)
        ticket_of_a_customer(workspace, now=later, channel="email")
        assert send_all(later) == ["sent"]

    def test_to_one_address_is_held_after_twenty_in_an_hour_and_forty_in_a_day(self, workspace):
        results = []
        for minutes in [*range(0, 55, 6), *range(1, 56, 6), 58, 118, 119]:
            now = NOW + dt.timedelta(minutes=minutes)
            for _ in range(1):
                ticket_of_a_customer(workspace, now=now, channel="email")
        for row in queued():
            results.append(sending.send(outgoing_id=row.pk, now=row.created_at))
        assert results == ["sent"] * 20 + ["held"] + ["sent"] * 2
        day = NOW + dt.timedelta(hours=3)
        for number in range(30):
            ticket_of_a_customer(workspace, now=day + dt.timedelta(minutes=10 * number), channel="email")
        late = [sending.send(outgoing_id=row.pk, now=row.created_at) for row in queued(created_at__gte=day)]
        assert late == ["sent"] * 18 + ["held"] * 12

    def test_counts_nothing_of_another_workspace(self, workspace):
        for _ in range(10):
            ticket_of_a_customer(workspace, channel="email")
        ticket_of_a_customer(WorkspaceFactory(), channel="email")
        assert send_all(NOW) == ["sent"] * 11

    def test_of_a_form_is_held_after_three_acknowledgements_in_an_hour(self, workspace):
        for _ in range(4):
            ticket_of_a_customer(workspace, channel="portal")
        assert send_all(NOW) == ["sent"] * 3 + ["held"]

    def test_to_an_address_that_is_dead_is_held(self, workspace):
        Undeliverable.unscoped.create(
            workspace=workspace, address="jane@customers.example", reason="No such user.", bounced_at=NOW
        )
        ticket_of_a_customer(workspace)
        assert send_all(NOW) == ["held"]
        assert mail.outbox == []

    def test_does_not_answer_automatic_mail(self, workspace):
        mailbox = MailboxFactory(workspace=workspace)
        ticket = ticket_of_a_customer(workspace, channel="email")
        make_incoming(mailbox, ticket=ticket, is_automatic=True)
        assert send_all(NOW) == ["held"]
        assert mail.outbox == []

    def test_answers_a_person_whose_machine_answered_before(self, workspace):
        mailbox = MailboxFactory(workspace=workspace)
        ticket = ticket_of_a_customer(workspace, channel="email")
        make_incoming(mailbox, ticket=ticket, is_automatic=True)
        make_incoming(mailbox, ticket=ticket, received_at=NOW + dt.timedelta(minutes=1))
        assert send_all(NOW + dt.timedelta(minutes=1)) == ["sent"]

    @pytest.mark.parametrize("address", ["support@acme.example", "support+t123@acme.example"])
    def test_is_never_sent_to_a_mailbox_of_ours(self, workspace, address):
        MailboxFactory(workspace=WorkspaceFactory(), address="support@acme.example")
        ticket_of_a_customer(workspace, requester_email=address)
        assert send_all(NOW) == ["held"]
        assert mail.outbox == []

    @pytest.mark.parametrize(
        "address",
        ["noreply@x.example", "no-reply+1@x.example", "do_not_reply@x.example", "mailer-daemon@x.example"],
    )
    def test_is_not_sent_where_nobody_reads(self, workspace, address):
        ticket = ticket_of_a_customer(workspace, requester_email=address)
        assert send_all(NOW) == ["held"]
        assert "Nobody reads" in queued()[0].reason and mail.outbox == []
        # What an agent writes goes there all the same, and so do people whose name only looks like it.
        make_reply(ticket, make_agent(workspace))
        ticket_of_a_customer(workspace, requester_email="noreplyson@x.example")
        assert send_all(NOW + dt.timedelta(seconds=10)) == ["sent", "sent"]

    def test_notices_to_an_agent_are_counted_for_each_ticket(self, workspace):
        member = make_agent(workspace)
        for _ in range(12):
            make_ticket(workspace, assignee_id=member.user_id)
        assert send_all(NOW) == ["sent"] * 12


class TestAnAgentsAnswers:
    def test_over_a_cap_are_late_and_never_lost(self, workspace):
        ticket, agent = make_ticket(workspace), make_agent(workspace)
        for _ in range(12):
            make_reply(ticket, agent)
        now = NOW + dt.timedelta(seconds=10)
        assert send_all(now) == ["sent"] * 10 + ["waiting"] * 2
        waiting = queued(status="waiting")
        assert {(row.next_at, row.attempts) for row in waiting} == {(now + dt.timedelta(minutes=10), 0)}
        assert send_all(now + dt.timedelta(minutes=10)) == ["sent"] * 2

    def test_go_to_a_dead_address_and_answer_a_machine(self, workspace):
        Undeliverable.unscoped.create(workspace=workspace, address="jane@customers.example", bounced_at=NOW)
        mailbox = MailboxFactory(workspace=workspace)
        ticket = make_ticket(workspace)
        make_incoming(mailbox, ticket=ticket, is_automatic=True)
        make_reply(ticket, make_agent(workspace))
        assert send_all(NOW + dt.timedelta(seconds=10)) == ["sent"]

    def test_go_to_a_mailbox_of_another_workspace_but_not_of_the_same(self, workspace):
        MailboxFactory(workspace=workspace, address="support@acme.example")
        MailboxFactory(workspace=WorkspaceFactory(), address="help@partner.example")
        agent = make_agent(workspace)
        make_reply(make_ticket(workspace, requester_email="support@acme.example"), agent)
        make_reply(make_ticket(workspace, requester_email="help@partner.example"), agent)
        assert sorted(send_all(NOW + dt.timedelta(seconds=10))) == ["held", "sent"]
        assert [sent.to for sent in mail.outbox] == [["help@partner.example"]]
