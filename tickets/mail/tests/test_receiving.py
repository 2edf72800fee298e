"""A message comes in and becomes a ticket or a comment: what its parts become, and what is left alone."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from helpdesk.accounts.models import Contact, User
from helpdesk.accounts.tests.factories import ContactFactory, TeamFactory, WorkspaceFactory
from helpdesk.errors import Conflict, NotFound
from tickets.mail import tasks, tokens
from tickets.mail.models import Incoming, Mailbox, Undeliverable
from tickets.mail.services import blocking, receiving, rules
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import NOW, letter, receive, steps
from tickets.models import Attachment, Comment, Participant, Ticket
from tickets.services import editing, status
from tickets.tests.factories import CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox():
    return MailboxFactory(address="support@acme.example")


def results(mailbox) -> tuple[int, int]:
    """How many tickets and comments there are."""
    return (
        Ticket.objects.for_workspace(mailbox.workspace_id).count(),
        Comment.objects.for_workspace(mailbox.workspace_id).count(),
    )


def reply_address(ticket, mailbox) -> str:
    return tokens.reply_address(ticket_id=ticket.pk, address=mailbox.address)


class TestANewTicket:
    def test_a_message_becomes_a_ticket(self, mailbox):
        incoming = receive(mailbox)
        ticket = incoming.ticket
        assert (incoming.outcome, incoming.status, incoming.next_at) == ("ticket_created", "done", None)
        assert (ticket.subject, ticket.description) == (
            "Printer on fire",
            "The printer on the second floor is on fire.",
        )
        assert (ticket.requester_email, ticket.requester_name) == ("jane@customers.example", "Jane Smith")
        assert (ticket.channel, ticket.status, ticket.workspace_id) == ("email", "open", mailbox.workspace_id)

    def test_it_gets_what_the_mailbox_says(self, mailbox):
        mailbox.team = TeamFactory(workspace=mailbox.workspace)
        mailbox.category = CategoryFactory(workspace=mailbox.workspace)
        mailbox.priority = "high"
        mailbox.save()
        ticket = receive(mailbox).ticket
        assert (ticket.team, ticket.category, ticket.priority) == (mailbox.team, mailbox.category, "high")

    def test_an_archived_category_of_the_mailbox_is_left_out(self, mailbox):
        mailbox.category = CategoryFactory(workspace=mailbox.workspace, archived_at=NOW)
        mailbox.save()
        incoming = receive(mailbox)
        assert incoming.outcome == "ticket_created" and incoming.ticket.category is None

    def test_the_name_of_a_known_contact_stays_and_a_missing_one_is_learnt(self, mailbox):
        known: Any = ContactFactory(workspace=mailbox.workspace, email="jane@customers.example", name="Dr Jane Smith")
        nameless: Any = ContactFactory(workspace=mailbox.workspace, email="joe@customers.example", name="")
        receive(mailbox, From="Mallory <jane@customers.example>")
        receive(mailbox, From="Joe Bloggs <joe@customers.example>")
        known.refresh_from_db()
        nameless.refresh_from_db()
        assert (known.name, nameless.name) == ("Dr Jane Smith", "Joe Bloggs")

    def test_the_requester_is_from_and_a_reply_to_that_differs_is_in_the_trace(self, mailbox):
        incoming = receive(mailbox, reply_to="somebody@else.example")
        assert incoming.ticket.requester_email == "jane@customers.example"
        assert any(step["step"] == "sender" and "somebody@else.example" in step["detail"] for step in incoming.trace)

    def test_a_form_that_writes_in_our_own_name_is_from_whom_reply_to_names(self, mailbox):
        incoming = receive(mailbox, From="support@acme.example", reply_to="Ann <ann@customers.example>")
        assert (incoming.ticket.requester_email, incoming.ticket.requester_name) == ("ann@customers.example", "Ann")

    def test_our_own_address_alone_is_nobody(self, mailbox):
        assert receive(mailbox, From="support@acme.example").reason == "own_address"
        automatic = receive(mailbox, From="support@acme.example", auto_submitted="auto-replied")
        assert (automatic.outcome, automatic.reason) == ("ignored", "own_address")
        assert results(mailbox) == (0, 0)

    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ("Re: Printer", "Printer"),
            ("RE: AW: Fwd: Printer", "Printer"),
            ("SV: [EXT] Printer", "[EXT] Printer"),
            ("Re[2]: Printer", "Printer"),
            ("回复：Printer", "Printer"),
            ("Red: a colour", "Red: a colour"),
            ("Review: my order", "Review: my order"),
            ("Re:", "(no subject)"),
            ("", "(no subject)"),
            (None, "(no subject)"),
        ],
    )
    def test_its_subject_is_without_what_mail_clients_put_before_it(self, mailbox, written, kept):
        assert receive(mailbox, subject=written).ticket.subject == kept

    def test_a_long_subject_is_cut(self, mailbox):
        subject = receive(mailbox, subject="x" * 900).ticket.subject
        assert len(subject) == 255 and subject.endswith("…")

    def test_history_and_signature_are_folded_and_kept(self, mailbox):
        body = "It burns again.\n\n-- \nJane Smith\nCustomers Ltd\n"
        ticket = receive(mailbox, body=body).ticket
        assert ticket.description == "It burns again." and "Customers Ltd" in ticket.folded_text

    def test_html_is_kept_sanitised(self, mailbox):
        ticket = receive(mailbox, body="Hello", html="<p onclick='x()'>Hello <b>you</b><script>x()</script></p>").ticket
        assert "<b>you</b>" in ticket.description_html
        assert "onclick" not in ticket.description_html and "script" not in ticket.description_html

    def test_html_that_takes_long_to_make_safe_is_shown_as_its_text(self, mailbox):
        html = "<p>Hello there</p>" + "\u00ad" * 300_000  # the sanitiser would take seconds
        incoming = receive(mailbox, body="Hello there", html=html)
        assert incoming.ticket.description_html == "<p>Hello there</p>" and steps(incoming)["html"] == "left out"

    def test_plain_text_is_no_markdown(self, mailbox):
        assert "<h1>" not in receive(mailbox, body="# not a heading").ticket.description_html

    def test_without_any_text_it_says_so(self, mailbox):
        assert receive(mailbox, body="").ticket.description == "(This message has no text.)"

    def test_a_text_that_is_too_long_is_cut_and_attached_whole(self, mailbox):
        ticket = receive(mailbox, body="A line of words.\n" * 20_000).ticket
        assert len(ticket.description) <= 200_000 and "message.txt" in ticket.description
        attachment = ticket.attachments.get()
        assert attachment.name == "message.txt" and attachment.size >= 17 * 20_000 - 2

    def test_a_row_tells_who_wrote_what(self, mailbox):
        raw = letter(message_id="<one@customers.example>")
        incoming = receive(mailbox, raw, envelope_from="bounces@customers.example", envelope_to="support@acme.example")
        assert (incoming.message_id, incoming.from_address, incoming.from_name, incoming.subject) == (
            "one@customers.example", "jane@customers.example", "Jane Smith", "Printer on fire",
        )  # fmt: skip
        assert (incoming.size, incoming.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
        with incoming.raw.open("rb") as file:
            assert file.read() == raw
        assert (incoming.envelope_from, incoming.envelope_to) == ("bounces@customers.example", "support@acme.example")

    def test_the_trace_has_every_step(self, mailbox):
        assert list(dict.fromkeys(step["step"] for step in receive(mailbox).trace)) == [
            "read", "duplicate", "loop", "blocked", "spam", "thread", "ticket", "result",
        ]  # fmt: skip


class TestFiles:
    def test_come_with_the_first_message(self, mailbox):
        ticket = receive(mailbox, files=[("a.txt", b"hello"), ("b.bin", b"\0\1")]).ticket
        kept = {each.name: each for each in ticket.attachments.all()}
        assert set(kept) == {"a.txt", "b.bin"} and kept["a.txt"].comment_id is None
        with kept["a.txt"].file.open("rb") as file:
            assert file.read() == b"hello"

    def test_come_with_a_comment(self, mailbox):
        ticket = make_ticket(mailbox.workspace)
        incoming = receive(mailbox, to=reply_address(ticket, mailbox), files=[("a.txt", b"hello")])
        attachment = incoming.comment.attachments.get()
        assert (attachment.name, attachment.is_internal, attachment.ticket_id) == ("a.txt", False, ticket.pk)

    def test_have_clean_names(self, mailbox):
        ticket = receive(mailbox, files=[("../../etc/pass\u202ewd.txt", b"x")]).ticket
        assert ticket.attachments.get().name == "pass wd.txt"

    def test_empty_ones_are_left_out_and_the_trace_says_so(self, mailbox):
        incoming = receive(mailbox, files=[("empty.txt", b""), ("full.txt", b"x")])
        assert [each.name for each in incoming.ticket.attachments.all()] == ["full.txt"]
        assert steps(incoming)["file"] == "left out"

    def test_too_large_ones_are_left_out_and_the_message_says_so(self, mailbox, settings):
        settings.ATTACHMENT_MAX_BYTES = 10
        incoming = receive(mailbox, files=[("big.bin", b"x" * 11), ("small.bin", b"x")])
        assert [each.name for each in incoming.ticket.attachments.all()] == ["small.bin"]
        assert steps(incoming)["file"] == "left out"
        assert "big.bin" in incoming.ticket.folded_text

    def test_of_very_many_fifty_are_kept(self, mailbox):
        incoming = receive(mailbox, files=[(f"{n}.txt", b"x") for n in range(60)])
        assert incoming.ticket.attachments.count() == 50 and "60 files" in incoming.ticket.folded_text


class TestCopies:
    def test_the_same_message_id_twice_is_one_ticket(self, mailbox):
        first = receive(mailbox, message_id="<same@customers.example>")
        second = receive(mailbox, message_id="<same@customers.example>", body="Other words")
        assert (second.outcome, second.ticket, second.comment) == ("duplicate", first.ticket, None)
        assert results(mailbox) == (1, 0)

    def test_the_same_message_id_twice_is_one_comment(self, mailbox):
        ticket = make_ticket(mailbox.workspace)
        raw = letter(to=reply_address(ticket, mailbox))
        first, second = receive(mailbox, raw), receive(mailbox, raw)
        assert (second.outcome, second.comment) == ("duplicate", first.comment) and results(mailbox) == (1, 1)

    def test_without_a_message_id_the_bytes_tell(self, mailbox):
        raw = letter(message_id=None)
        assert receive(mailbox, raw).outcome == "ticket_created"
        assert receive(mailbox, raw).outcome == "duplicate"
        assert receive(mailbox, message_id=None, body="Other words").outcome == "ticket_created"

    def test_a_message_to_two_mailboxes_of_a_workspace_is_one(self, mailbox):
        other = MailboxFactory(workspace=mailbox.workspace, address="sales@acme.example", is_default=False)
        raw = letter()
        assert (receive(mailbox, raw).outcome, receive(other, raw).outcome) == ("ticket_created", "duplicate")

    def test_two_workspaces_have_one_each(self, mailbox):
        raw = letter()
        assert (receive(mailbox, raw).outcome, receive(MailboxFactory(), raw).outcome) == ("ticket_created",) * 2

    def test_a_copy_of_what_is_in_quarantine_is_worked_through_by_itself(self, mailbox):
        spam = receive(mailbox, letter(message_id="<x@y.example>", x_spam_flag="YES"))
        assert receive(mailbox, letter(message_id="<x@y.example>")).outcome == "ticket_created"
        assert receiving.rerun(incoming=spam, now=NOW).outcome == "duplicate"


class TestWhatIsNotTaken:
    def test_our_own_mail_that_comes_back_is_ignored(self, mailbox):
        ticket = make_ticket(mailbox.workspace)
        own = tokens.message_id(kind="reply", ticket_id=ticket.pk, outgoing_id=ticket.pk, domain="help.example")
        for fields in ({"message_id": f"<{own}>"}, {"x_helpdesk": str(mailbox.workspace_id)}):
            incoming = receive(mailbox, **fields)
            assert (incoming.outcome, incoming.reason) == ("ignored", "loop")
        assert results(mailbox) == (1, 0)

    def test_mail_of_another_workspace_of_ours_is_mail_but_gets_no_automatic_answer(self, mailbox):
        other = make_ticket(WorkspaceFactory())
        own = tokens.message_id(kind="reply", ticket_id=other.pk, outgoing_id=other.pk, domain="help.example")
        incoming = receive(mailbox, message_id=f"<{own}>")
        assert incoming.outcome == "ticket_created" and incoming.is_automatic

    def test_anybody_can_write_x_helpdesk(self, mailbox):
        for written in ("yes", str(WorkspaceFactory().pk)):
            assert receive(mailbox, x_helpdesk=written).outcome == "ticket_created"

    @pytest.mark.parametrize("pattern", ["jane@customers.example", "@customers.example"])
    def test_a_blocked_sender_is_ignored(self, mailbox, pattern):
        blocking.block(workspace_id=mailbox.workspace_id, pattern=pattern, by=None)
        incoming = receive(mailbox)
        assert (incoming.outcome, incoming.reason) == ("ignored", "blocked") and results(mailbox) == (0, 0)
        assert any(pattern in step["detail"] for step in incoming.trace)

    def test_what_a_filter_calls_spam_is_in_quarantine(self, mailbox):
        incoming = receive(mailbox, x_spam_flag="YES")
        assert (incoming.outcome, incoming.reason) == ("quarantined", "spam") and results(mailbox) == (0, 0)
        assert any("X-Spam-Flag" in step["detail"] for step in incoming.trace)

    @pytest.mark.parametrize("written", [None, "Undisclosed", "<>"])
    def test_nobody_to_answer_is_in_quarantine(self, mailbox, written):
        raw = letter(From=None).replace(b"To:", f"From: {written}\nTo:".encode() if written else b"To:", 1)
        assert receive(mailbox, raw).reason == "no_sender"

    def test_an_address_that_cannot_be_written_to_is_in_quarantine(self, mailbox):
        raw = letter(From=None).replace(b"To:", "From: jäne@customers.example\nTo:".encode(), 1)
        assert receive(mailbox, raw).reason == "bad_sender"

    @pytest.mark.parametrize("raw", [b"", b"   \r\n", b"\0\0"])
    def test_no_message_at_all_is_in_quarantine(self, mailbox, raw):
        incoming = receive(mailbox, raw)
        assert (incoming.outcome, incoming.reason) == ("quarantined", "unreadable")

    def test_a_rule_can_drop_it(self, mailbox):
        drop = {
            "name": "No printers",
            "tests": [{"field": "subject", "operator": "contains", "value": "printer"}],
            "actions": [{"do": "drop"}],
        }
        rules.save_rule(workspace=mailbox.workspace, changes=drop, now=NOW)
        incoming = receive(mailbox)
        assert (incoming.outcome, incoming.reason) == ("ignored", "rule: No printers") and results(mailbox) == (0, 0)

    def test_from_never_makes_anyone_an_agent(self, mailbox):
        agent = make_agent(mailbox.workspace)
        ticket = make_ticket(mailbox.workspace)
        incoming = receive(mailbox, From=agent.user.email, to=reply_address(ticket, mailbox))
        comment = incoming.comment
        assert (comment.author_type, comment.author_user_id, comment.is_internal) == ("customer", None, False)
        ticket.refresh_from_db()
        assert ticket.first_response_at is None and User.objects.count() == 1


class TestRules:
    def test_say_what_a_new_ticket_gets(self, mailbox):
        team = TeamFactory(workspace=mailbox.workspace)
        changes = {
            "name": "Fire",
            "tests": [{"field": "subject", "operator": "contains", "value": "fire"}],
            "actions": [
                {"do": "set_priority", "value": "urgent"},
                {"do": "set_team", "value": str(team.pk)},
                {"do": "add_tags", "value": ["fire"]},
            ],
        }
        rules.save_rule(workspace=mailbox.workspace, changes=changes, now=NOW)
        incoming = receive(mailbox)
        ticket = incoming.ticket
        assert (ticket.priority, ticket.team, [tag.name for tag in ticket.tags.all()]) == ("urgent", team, ["fire"])
        assert steps(incoming)["rule"] == "Fire"

    def test_what_cannot_be_done_is_left_out_and_the_ticket_is_opened(self, mailbox, monkeypatch):
        decision = rules.Decision(priority="very", tags=["good"], requester_email="nobody")
        monkeypatch.setattr(rules, "decide", lambda **_: decision)
        incoming = receive(mailbox)
        ticket = incoming.ticket
        assert (ticket.priority, ticket.requester_email) == ("medium", "jane@customers.example")
        assert [tag.name for tag in ticket.tags.all()] == ["good"] and steps(incoming)["rule"] == "refused"

    def test_can_name_another_requester(self, mailbox, monkeypatch):
        decision = rules.Decision(requester_email="ann@customers.example", requester_name="Ann")
        monkeypatch.setattr(rules, "decide", lambda **_: decision)
        ticket = receive(mailbox).ticket
        assert (ticket.requester_email, ticket.requester_name) == ("ann@customers.example", "Ann")


VERIFIED = "mx.acme.example; dmarc=pass header.from=customers.example"
CC = "Bob <bob@customers.example>, support@acme.example, SUPPORT+x@acme.example, jane@customers.example"


class TestPeopleInCopy:
    def people(self, ticket) -> list[str]:
        return sorted(ticket.participants.values_list("contact__email", flat=True))

    def test_are_noted_but_never_we_or_the_sender(self, mailbox):
        assert receive(mailbox, cc=CC).cc == ["bob@customers.example"]

    def test_of_an_unverified_sender_take_no_part(self, mailbox):
        incoming = receive(mailbox, cc=CC, authentication_results=VERIFIED)
        assert self.people(incoming.ticket) == [] and steps(incoming)["cc"] == "nobody added"
        assert not Contact.objects.for_workspace(mailbox.workspace_id).filter(email="bob@customers.example").exists()

    def test_of_a_verified_sender_take_part(self, mailbox):
        Mailbox.unscoped.update(trusted_host="mx.acme.example")
        incoming = receive(mailbox, cc=CC, authentication_results=VERIFIED)
        assert incoming.is_verified and self.people(incoming.ticket) == ["bob@customers.example"]

    def test_only_the_trusted_host_verifies(self, mailbox):
        Mailbox.unscoped.update(trusted_host="mx.acme.example")
        evil = VERIFIED.replace("mx.acme", "mx.evil")
        incoming = receive(mailbox, cc=CC, authentication_results=evil)
        assert not incoming.is_verified and self.people(incoming.ticket) == []

    @pytest.mark.parametrize(("adds_cc", "people"), [("always", ["bob@customers.example"]), ("never", [])])
    def test_as_the_mailbox_says(self, mailbox, adds_cc, people):
        Mailbox.unscoped.update(adds_cc=adds_cc)
        assert self.people(receive(mailbox, cc=CC).ticket) == people

    def test_of_an_automatic_message_take_no_part(self, mailbox):
        Mailbox.unscoped.update(adds_cc="always")
        assert self.people(receive(mailbox, cc=CC, auto_submitted="auto-generated").ticket) == []

    def test_of_an_answer_take_part_when_its_sender_does(self, mailbox):
        Mailbox.unscoped.update(adds_cc="always")
        ticket = make_ticket(mailbox.workspace, cc=["carl@customers.example"])
        receive(mailbox, cc=CC, to=reply_address(ticket, mailbox))
        assert self.people(ticket) == ["bob@customers.example", "carl@customers.example"]

    def test_a_spoofed_sender_with_an_attacker_in_copy_adds_nobody(self, mailbox):
        ticket = make_ticket(mailbox.workspace)
        incoming = receive(mailbox, cc="evil@evil.example", subject=f"Re: #{ticket.number}")
        assert incoming.ticket == ticket and self.people(ticket) == []

    def test_a_stranger_with_the_address_adds_nobody(self, mailbox):
        Mailbox.unscoped.update(adds_cc="always")
        ticket = make_ticket(mailbox.workspace)
        receive(mailbox, From="eve@evil.example", cc=CC, to=reply_address(ticket, mailbox))
        assert self.people(ticket) == []


class TestAutomaticMail:
    OUT_OF_OFFICE = {"subject": "Automatic reply: Printer", "auto_submitted": "auto-replied"}

    def test_makes_a_ticket_that_is_known_as_automatic(self, mailbox):
        incoming = receive(mailbox, **self.OUT_OF_OFFICE)
        assert incoming.outcome == "ticket_created" and incoming.is_automatic and steps(incoming)["answers"] == "none"

    @pytest.mark.parametrize("before", ["pending", "resolved", "closed"])
    def test_an_out_of_office_threads_and_does_not_reopen(self, mailbox, before):
        ticket = make_ticket(mailbox.workspace)
        make_reply(ticket, make_agent(mailbox.workspace), then="resolved" if before == "closed" else before)
        if before == "closed":
            status.change_status(ticket=ticket, to="closed", actor=receiving.SYSTEM, now=NOW)
        incoming = receive(mailbox, to=reply_address(ticket, mailbox), **self.OUT_OF_OFFICE)
        ticket.refresh_from_db()
        assert (incoming.outcome, incoming.ticket, ticket.status) == ("comment_added", ticket, before)
        assert incoming.comment.is_automatic

    def test_says_nothing_of_whether_mail_arrives(self, mailbox):
        dead = {"workspace": mailbox.workspace, "address": "jane@customers.example", "bounced_at": NOW}
        Undeliverable.unscoped.create(**dead)
        receive(mailbox, **self.OUT_OF_OFFICE)
        assert Undeliverable.unscoped.exists()
        receive(mailbox)
        assert not Undeliverable.unscoped.exists()


class TestAnAnswer:
    @pytest.mark.parametrize("before", ["pending", "resolved"])
    def test_opens_a_ticket_again(self, mailbox, before):
        ticket = make_ticket(mailbox.workspace)
        make_reply(ticket, make_agent(mailbox.workspace), then=before)
        incoming = receive(mailbox, to=reply_address(ticket, mailbox), body="Still burning.")
        ticket.refresh_from_db()
        assert (incoming.outcome, ticket.status, incoming.comment.body) == ("comment_added", "open", "Still burning.")
        assert (incoming.comment.channel, incoming.comment.author_type) == ("email", "customer")

    def test_to_a_ticket_closed_long_ago_begins_a_follow_up(self, mailbox):
        ticket = make_ticket(mailbox.workspace)
        status.resolve_and_close(ticket=ticket, actor=receiving.SYSTEM, now=NOW)
        incoming = receive(mailbox, to=reply_address(ticket, mailbox), now=NOW + dt.timedelta(days=60))
        assert (incoming.outcome, incoming.reason, incoming.comment) == ("ticket_created", "follow_up", None)
        assert incoming.ticket != ticket and steps(incoming)["ticket"] == "follow-up"

    def test_to_a_notice_becomes_an_unverified_note(self, mailbox):
        ticket = make_ticket(mailbox.workspace)
        notice = tokens.message_id(kind="notice", ticket_id=ticket.pk, outgoing_id=ticket.pk, domain="help.example")
        raw = {"in_reply_to": f"<{notice}>", "From": "Maria <maria@acme.example>", "files": [("a.txt", b"x")]}
        note = receive(mailbox, body="Close it, please.", **raw).comment
        assert note.is_internal and note.author_type == "system" and "not verified" in note.body
        assert "Close it, please." in note.body and "maria@acme.example" in note.body_html
        assert note.attachments.get().is_internal


class TestStoring:
    def test_a_message_waits_until_it_is_worked_through(self, mailbox):
        incoming = receiving.accept(
            raw=letter(), mailbox=mailbox, way="http", envelope_from="", envelope_to="<SUPPORT@acme.example>", now=NOW
        )
        assert (incoming.status, incoming.outcome, incoming.envelope_from) == ("waiting", "", "")
        assert incoming.envelope_to == "SUPPORT@acme.example"
        assert incoming.way == "http" and results(mailbox) == (0, 0)

    def test_a_row_that_cannot_be_written_leaves_no_file(self, mailbox, monkeypatch):
        paths = []

        def refuse(self, **kwargs):
            paths.append(Path(self.raw.path))
            raise OperationalError

        monkeypatch.setattr(Incoming, "save", refuse)
        with pytest.raises(OperationalError):
            receiving.accept(
                raw=b"x", mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=NOW, is_queued=False
            )
        assert paths and not paths[0].exists() and not Incoming.unscoped.exists()

    def test_one_that_is_done_is_not_worked_through_again(self, mailbox):
        incoming = receive(mailbox)
        again = receiving.process(incoming_id=incoming.pk, now=NOW + dt.timedelta(days=1))
        assert again.attempts == 1 and results(mailbox) == (1, 0)

    def test_no_row_is_not_found(self, mailbox):
        with pytest.raises(NotFound):
            receiving.process(incoming_id=mailbox.pk, now=NOW)

    def test_a_message_that_breaks_something_is_in_quarantine_and_nothing_else_is_kept(self, mailbox, monkeypatch):
        def fail(**kwargs):
            raise ZeroDivisionError

        monkeypatch.setattr(receiving.delivery, "reachable_again", fail)
        incoming = receive(mailbox, files=[("a.txt", b"x")])
        assert (incoming.outcome, incoming.reason) == ("quarantined", "error") and results(mailbox) == (0, 0)
        assert steps(incoming)["error"] == "ZeroDivisionError"
        assert (incoming.from_address, incoming.ticket_id, incoming.dedup_key) == ("jane@customers.example", None, None)
        assert not Attachment.unscoped.exists()
        folder = Path(incoming.raw.path).parents[2]
        assert [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".eml"] == []

    def test_bytes_that_are_gone_are_in_quarantine(self, mailbox):
        incoming = receiving.accept(
            raw=letter(), mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=NOW, is_queued=False
        )
        Path(incoming.raw.path).unlink()
        assert receiving.process(incoming_id=incoming.pk, now=NOW).reason == "no_bytes"

    @pytest.mark.parametrize("error", [OperationalError("the connection is closed"), OSError(28, "No space left")])
    def test_what_passes_leaves_it_waiting(self, mailbox, monkeypatch, error):
        def fail(**kwargs):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(receiving.opening, "open_ticket", fail)
            incoming = receive(mailbox)
        assert (incoming.status, incoming.attempts) == ("waiting", 0) and results(mailbox) == (0, 0)
        later = NOW + dt.timedelta(minutes=1)
        assert receiving.queue_due(now=later) == 1
        assert receiving.process(incoming_id=incoming.pk, now=later).outcome == "ticket_created"

    def test_a_lease_keeps_others_away_and_ends(self, mailbox):
        incoming = receiving.accept(
            raw=letter(), mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=NOW, is_queued=False
        )
        Incoming.unscoped.update(attempts=1, next_at=NOW + receiving.LEASE)  # a worker began, and was killed
        assert receiving.process(incoming_id=incoming.pk, now=NOW).status == "waiting"
        assert receiving.queue_due(now=NOW) == 0
        later = NOW + receiving.LEASE
        assert receiving.queue_due(now=later) == 1
        assert receiving.process(incoming_id=incoming.pk, now=later).outcome == "ticket_created"

    def test_the_fourth_try_of_one_that_kills_workers_is_quarantine(self, mailbox):
        incoming = receiving.accept(
            raw=letter(), mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=NOW, is_queued=False
        )
        Incoming.unscoped.update(attempts=3, next_at=NOW)
        assert receiving.process(incoming_id=incoming.pk, now=NOW).reason == "killed_worker"
        assert receiving.rerun(incoming=incoming, now=NOW).outcome == "ticket_created"

    def test_the_sweep_asks_for_what_the_broker_lost_and_not_all_the_time(self, mailbox, monkeypatch):
        sent = []
        monkeypatch.setattr(receiving.dispatch, "queue_after_commit", lambda task, pk: sent.append((task, pk)))
        incoming = receiving.accept(
            raw=letter(), mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=NOW
        )
        assert sent.pop() == ("tickets.mail.tasks.process_incoming", str(incoming.pk))
        later = NOW + receiving.GRACE
        assert (receiving.queue_due(now=NOW), receiving.queue_due(now=later), receiving.queue_due(now=later)) == (
            0,
            1,
            0,
        )
        assert sent == [("tickets.mail.tasks.process_incoming", str(incoming.pk))]

    def test_bytes_are_deleted_when_they_are_old_but_not_in_quarantine(self, mailbox, settings):
        done, kept = receive(mailbox), receive(mailbox, x_spam_flag="YES")
        path = Path(done.raw.path)
        settings.MAIL_KEEP_DAYS = 0
        assert receiving.purge_raw(now=NOW + dt.timedelta(days=1000)) == 0
        settings.MAIL_KEEP_DAYS = 90
        assert receiving.purge_raw(now=NOW + dt.timedelta(days=90)) == 0
        assert receiving.purge_raw(now=NOW + dt.timedelta(days=91)) == 1
        done.refresh_from_db()
        assert not path.exists() and not done.raw and done.trace and Path(kept.raw.path).exists()
        assert receiving.purge_raw(now=NOW + dt.timedelta(days=91)) == 0


class TestAnAnswerThatOvertakes:
    """Two workers: one has the message, the other the answer to it."""

    @pytest.fixture
    def both(self, mailbox):
        raws = [letter(message_id="<first@x.example>"), letter(in_reply_to="<first@x.example>", body="More.")]
        return [
            receiving.accept(
                raw=raw, mailbox=mailbox, way="imap", envelope_from=None, envelope_to="", now=NOW, is_queued=False
            )
            for raw in raws
        ]

    def test_waits_for_the_message_that_it_answers(self, both, monkeypatch):
        sent = []
        monkeypatch.setattr(receiving.dispatch, "queue_after_commit", lambda *a, **k: sent.append((a, k)))
        put_off = receiving.process(incoming_id=both[1].pk, now=NOW)
        assert (put_off.status, put_off.attempts, put_off.next_at) == ("waiting", 0, NOW + receiving.BEHIND)
        assert sent == [((receiving.TASK, str(put_off.pk)), {"delay": 3.0})]
        first = receiving.process(incoming_id=both[0].pk, now=NOW)
        answer = receiving.process(incoming_id=both[1].pk, now=NOW)
        assert (answer.outcome, answer.ticket_id) == ("comment_added", first.ticket_id)

    def test_does_not_wait_for_ever(self, both):
        late = NOW + receiving.LONGEST_BEHIND + dt.timedelta(seconds=1)
        assert receiving.process(incoming_id=both[1].pk, now=late).outcome == "ticket_created"


class TestTasks:
    def test_work_a_message_through_and_find_what_waits(self, mailbox):
        before = timezone.now() - dt.timedelta(minutes=2)
        incoming = receiving.accept(
            raw=letter(), mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=before, is_queued=False
        )
        assert tasks.sweep_incoming() == 1
        assert tasks.process_incoming(str(incoming.pk)) == "ticket_created"
        assert tasks.sweep_incoming() == 0 and tasks.purge_incoming() == 0

    @pytest.mark.parametrize("name", ["sweep_incoming", "purge_incoming"])
    def test_that_look_for_something_are_in_the_schedule(self, name, settings):
        planned = [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]
        assert planned.count(f"tickets.mail.tasks.{name}") == 1


class TestRunningAgain:
    def test_what_a_filter_called_spam_is_believed_to_be_none(self, mailbox):
        spam = receive(mailbox, x_spam_flag="YES")
        again = receiving.rerun(incoming=spam, now=NOW)
        assert again.outcome == "ticket_created" and steps(again)["spam"] == "overlooked"

    def test_a_sender_who_is_blocked_no_more_gets_through(self, mailbox):
        blocking.block(workspace_id=mailbox.workspace_id, pattern="@customers.example", by=None)
        blocked = receive(mailbox)
        assert receiving.rerun(incoming=blocked, now=NOW).outcome == "ignored"
        blocking.unblock(workspace_id=mailbox.workspace_id, pattern="@customers.example")
        assert receiving.rerun(incoming=blocked, now=NOW).outcome == "ticket_created"

    def test_what_became_a_ticket_is_not_run_again(self, mailbox):
        incoming = receive(mailbox)
        with pytest.raises(Conflict):
            receiving.rerun(incoming=incoming, now=NOW)
        assert results(mailbox) == (1, 0)

    def test_what_is_not_kept_cannot_be_run_again(self, mailbox):
        incoming = receive(mailbox, x_spam_flag="YES")
        Incoming.unscoped.update(raw="")
        with pytest.raises(Conflict):
            receiving.rerun(incoming=incoming, now=NOW)

    def test_in_another_workspace_there_is_no_such_message(self, mailbox):
        incoming = receive(mailbox, x_spam_flag="YES")
        incoming.workspace_id = WorkspaceFactory().pk
        with pytest.raises(NotFound):
            receiving.rerun(incoming=incoming, now=NOW)


class TestQueries:
    """A change here is a change of how many messages a worker does in a second."""

    def test_of_a_new_ticket(self, mailbox, django_assert_num_queries):
        receive(mailbox)  # reads what a process keeps
        incoming = receiving.accept(
            raw=letter(), mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=NOW, is_queued=False
        )
        with django_assert_num_queries(20):
            receiving.process(incoming_id=incoming.pk, now=NOW)

    def test_of_a_comment(self, mailbox, django_assert_num_queries):
        ticket = make_ticket(mailbox.workspace)
        incoming = receiving.accept(
            raw=letter(to=reply_address(ticket, mailbox)), mailbox=mailbox, way="smtp", envelope_from=None,
            envelope_to="", now=NOW, is_queued=False,
        )  # fmt: skip
        with django_assert_num_queries(25):
            receiving.process(incoming_id=incoming.pk, now=NOW)


def test_participants_of_a_trashed_ticket_begin_a_new_one(mailbox):
    ticket = make_ticket(mailbox.workspace)
    editing.trash(ticket=ticket, actor=receiving.SYSTEM, now=NOW)
    with transaction.atomic():
        incoming = receive(mailbox, to=reply_address(ticket, mailbox))
    assert incoming.outcome == "ticket_created" and incoming.ticket != ticket
    assert not Participant.unscoped.exists()
