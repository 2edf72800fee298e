"""Which ticket a message goes on with: only what we signed, what we know, or what its sender may name."""

import pytest

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.events import SYSTEM
from tickets.mail import tokens
from tickets.mail.models import Outgoing
from tickets.mail.services.receiving import clean_subject
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import NOW, receive
from tickets.models import Comment, Participant, Ticket
from tickets.services import editing, merging
from tickets.tests.factories import make_ticket

pytestmark = pytest.mark.django_db
STRANGER = {"From": "Eve <eve@elsewhere.example>"}


@pytest.fixture
def mailbox():
    return MailboxFactory(address="support@acme.example")


@pytest.fixture
def ticket(mailbox):
    return make_ticket(mailbox.workspace)


def signed(ticket, kind="reply") -> str:
    return tokens.message_id(kind=kind, ticket_id=ticket.pk, outgoing_id=ticket.pk, domain="help.example")


def forged(ticket) -> str:
    """A Message-ID with the right ids and a wrong signature."""
    letter, ticket_id, row, mac = signed(ticket).partition("@")[0].split(".")
    wrong = ("a" if mac[0] != "a" else "b") + mac[1:]
    return f"{letter}.{ticket_id}.{row}.{wrong}@help.example"


def why(incoming) -> list[str]:
    return [step["result"] for step in incoming.trace if step["step"] == "thread"]


class TestASignedMessageId:
    @pytest.mark.parametrize("field", ["in_reply_to", "references"])
    @pytest.mark.parametrize("kind", ["reply", "acknowledgement", "resolution"])
    def test_leads_to_its_ticket(self, mailbox, ticket, field, kind):
        incoming = receive(mailbox, **{field: f"<{signed(ticket, kind)}>"})
        assert (incoming.outcome, incoming.ticket) == ("comment_added", ticket)
        assert why(incoming) == ["signed Message-ID"]

    def test_in_any_case(self, mailbox, ticket):
        assert receive(mailbox, in_reply_to=f"<{signed(ticket).upper()}>").ticket == ticket

    def test_of_several_the_newest_counts(self, mailbox, ticket):
        newer = make_ticket(mailbox.workspace)
        references = f"<a@b.example> <{signed(ticket)}> <{signed(newer)}> <c@d.example>"
        assert receive(mailbox, references=references).ticket == newer

    def test_what_it_answers_counts_before_older_references(self, mailbox, ticket):
        other = make_ticket(mailbox.workspace)
        incoming = receive(mailbox, in_reply_to=f"<{signed(ticket)}>", references=f"<{signed(other)}>")
        assert incoming.ticket == ticket

    def test_a_wrong_signature_with_the_right_ids_leads_nowhere(self, mailbox, ticket):
        incoming = receive(mailbox, in_reply_to=f"<{forged(ticket)}>", references=f"<{forged(ticket)}>")
        assert incoming.outcome == "ticket_created" and incoming.ticket != ticket
        assert why(incoming) == ["wrong signature", "none"]

    def test_a_wrong_signature_leads_nowhere_even_where_the_id_is_known(self, mailbox, ticket):
        receive(mailbox, message_id=f"<{forged(ticket)}>")
        incoming = receive(mailbox, in_reply_to=f"<{forged(ticket)}>")
        assert incoming.outcome == "ticket_created" and why(incoming) == ["wrong signature", "none"]

    def test_of_another_workspace_leads_nowhere(self, mailbox):
        foreign = make_ticket(WorkspaceFactory())
        incoming = receive(mailbox, in_reply_to=f"<{signed(foreign)}>")
        assert incoming.outcome == "ticket_created" and incoming.ticket.workspace == mailbox.workspace
        assert not Comment.unscoped.exists()

    def test_a_stranger_who_has_one_is_heard_but_does_not_take_part(self, mailbox, ticket):
        incoming = receive(mailbox, in_reply_to=f"<{signed(ticket)}>", **STRANGER)
        assert incoming.ticket == ticket and incoming.comment.author_name == "Eve"
        assert not Participant.unscoped.exists()

    def test_of_a_ticket_in_the_trash_begins_a_new_one(self, mailbox, ticket):
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        incoming = receive(mailbox, in_reply_to=f"<{signed(ticket)}>")
        assert incoming.outcome == "ticket_created" and why(incoming) == ["no ticket", "none"]

    def test_of_a_merged_ticket_leads_to_where_it_went(self, mailbox, ticket):
        target = make_ticket(mailbox.workspace)
        merging.merge(source=ticket, target_id=target.pk, actor=SYSTEM, now=NOW)
        assert receive(mailbox, in_reply_to=f"<{signed(ticket)}>").ticket == target
        assert Ticket.unscoped.count() == 2


class TestASignedReplyAddress:
    @pytest.mark.parametrize("field", ["to", "cc", "delivered_to"])
    def test_leads_to_its_ticket_in_any_recipient(self, mailbox, ticket, field):
        address = tokens.reply_address(ticket_id=ticket.pk, address=mailbox.address)
        incoming = receive(mailbox, **{field: address})
        assert incoming.ticket == ticket and why(incoming) == ["signed reply address"]

    def test_in_the_envelope(self, mailbox, ticket):
        address = tokens.reply_address(ticket_id=ticket.pk, address=mailbox.address).upper()
        assert receive(mailbox, envelope_to=address).ticket == ticket

    def test_with_a_wrong_signature_leads_nowhere(self, mailbox, ticket):
        address = tokens.reply_address(ticket_id=ticket.pk, address=mailbox.address)
        local, _, domain = address.partition("@")
        wrong = f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{domain}"
        assert receive(mailbox, to=wrong).outcome == "ticket_created"

    def test_a_signed_message_id_counts_before_it(self, mailbox, ticket):
        other = make_ticket(mailbox.workspace)
        address = tokens.reply_address(ticket_id=other.pk, address=mailbox.address)
        assert receive(mailbox, to=address, in_reply_to=f"<{signed(ticket)}>").ticket == ticket

    def test_is_never_kept_as_somebody_in_copy(self, mailbox, ticket):
        address = tokens.reply_address(ticket_id=ticket.pk, address=mailbox.address)
        assert receive(mailbox, cc=f"{address}, bob@customers.example").cc == ["bob@customers.example"]


class TestAKnownMessageId:
    def test_of_mail_that_came_leads_to_its_ticket(self, mailbox):
        first = receive(mailbox, message_id="<first@customers.example>")
        second = receive(mailbox, in_reply_to="<first@customers.example>", From="bob@customers.example")
        assert (second.outcome, second.ticket) == ("comment_added", first.ticket)
        assert why(second) == ["known Message-ID"]

    def test_of_several_the_newest_counts(self, mailbox):
        one = receive(mailbox, message_id="<one@customers.example>")
        two = receive(mailbox, message_id="<two@customers.example>")
        answer = receive(mailbox, references="<one@customers.example> <two@customers.example> <x@y.example>")
        assert answer.ticket == two.ticket != one.ticket

    def test_of_another_workspace_leads_nowhere(self, mailbox):
        receive(MailboxFactory(), message_id="<first@customers.example>")
        assert receive(mailbox, in_reply_to="<first@customers.example>").outcome == "ticket_created"

    def test_of_what_became_no_ticket_leads_nowhere(self, mailbox):
        receive(mailbox, message_id="<first@customers.example>", x_spam_flag="YES")
        assert receive(mailbox, in_reply_to="<first@customers.example>").outcome == "ticket_created"

    def test_that_the_mail_provider_gave_leads_to_its_ticket(self, mailbox, ticket):
        mail(ticket, provider_id="0102018f-55", kind="reply")
        mail(ticket, provider_id="0102018f-66", kind="notice")
        assert receive(mailbox, in_reply_to="<0102018f-55@email.amazonses.example>").ticket == ticket
        assert receive(mailbox, in_reply_to="<0102018f-66@email.amazonses.example>").outcome == "ticket_created"


def mail(ticket, **fields) -> Outgoing:
    """A mail of the ticket that was sent."""
    given = {
        "workspace_id": ticket.workspace_id,
        "ticket": ticket,
        "activity_id": ticket.activities.first().pk,
        "kind": "reply",
        "recipient": "jane@customers.example",
        "message_id": f"{Outgoing.unscoped.count()}@help.example",
        "status": "sent",
        "sent_at": NOW,
        "ended_at": NOW,
        "created_at": NOW,
    }
    return Outgoing.unscoped.create(**(given | fields))


class TestANumberInTheSubject:
    def test_leads_to_the_ticket_of_one_who_takes_part(self, mailbox, ticket):
        incoming = receive(mailbox, subject=f"Re: [Acme #{ticket.number}] Printer")
        assert incoming.ticket == ticket and why(incoming) == ["number in the subject"]

    def test_also_of_a_participant(self, mailbox):
        ticket = make_ticket(mailbox.workspace, cc=["bob@customers.example"])
        assert receive(mailbox, subject=f"#{ticket.number}", From="bob@customers.example").ticket == ticket

    def test_does_not_of_a_stranger(self, mailbox, ticket):
        incoming = receive(mailbox, subject=f"Re: #{ticket.number}", **STRANGER)
        assert incoming.outcome == "ticket_created" and why(incoming) == ["not theirs", "none"]

    def test_does_not_where_it_is_part_of_a_word(self, mailbox, ticket):
        for subject in (f"PO#{ticket.number}", f"#{ticket.number}a", f"{ticket.number}", f"&#{ticket.number};"):
            assert receive(mailbox, subject=subject).outcome == "ticket_created"

    def test_of_another_workspace_leads_nowhere(self, mailbox, ticket):
        number = make_ticket(WorkspaceFactory(), number=77_777).number
        assert receive(mailbox, subject=f"#{number}").outcome == "ticket_created"

    def test_of_a_ticket_in_the_trash_begins_a_new_one(self, mailbox, ticket):
        editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        assert receive(mailbox, subject=f"#{ticket.number}").outcome == "ticket_created"

    def test_a_number_too_large_for_the_database_is_nobodys(self, mailbox):
        assert receive(mailbox, subject="#999999999999999 #99999999999999999999").outcome == "ticket_created"


def test_a_subject_of_prefixes_only_takes_no_time():
    assert clean_subject("Re: " * 10_000) == "(no subject)"
    assert clean_subject("Re" * 10_000).startswith("ReRe")
