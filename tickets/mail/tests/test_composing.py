"""What stands in a mail."""

import datetime as dt
import email
import email.policy
from email.utils import getaddresses
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.accounts.tests.factories import ContactFactory, UserFactory, WorkspaceFactory
from tickets import access
from tickets.events import SYSTEM
from tickets.mail import tokens
from tickets.mail.models import MailSettings, Outgoing
from tickets.mail.parsing.quotes import REPLY_MARKER, fold
from tickets.mail.services import composing, sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.out import make_incoming, queued, ticket_of_a_customer
from tickets.services import base, conversation, files, status
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

DUE = NOW + dt.timedelta(seconds=10)


@pytest.fixture
def workspace():
    return WorkspaceFactory(name="Acme", signature="Acme Support\nOpen 9 to 5", timezone="Europe/Berlin")


@pytest.fixture
def agent(workspace):
    return make_agent(workspace, user=UserFactory(name="Ann Miller"))


@pytest.fixture
def mailbox(workspace):
    return MailboxFactory(workspace=workspace, address="support@acme.example")


def made(row: Outgoing, now: dt.datetime = DUE):
    """The mail of a row, as the bytes that leave are read by a mail program."""
    row = Outgoing.unscoped.select_related(*sending._WITH).get(pk=row.pk)
    message: Any = composing.compose(row, now=now).message()
    raw = message.as_bytes(linesep="\r\n")
    return email.message_from_bytes(raw, policy=email.policy.default)


def text(message) -> str:
    return message.get_body(("plain",)).get_content().replace("\r\n", "\n")


def html(message) -> str:
    return message.get_body(("html",)).get_content()


class TestHeader:
    def test_names_the_agent_the_workspace_and_the_ticket(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace)
        make_reply(ticket, agent)
        message = made(queued()[0])
        assert getaddresses([message["From"]]) == [("Ann Miller (Acme)", "support@acme.example")]
        assert getaddresses([message["To"]]) == [("Jane Smith", "jane@customers.example")]
        assert message["Subject"] == f"Re: Cannot log in [#{ticket.number}]"
        assert message["Message-ID"] == f"<{queued()[0].message_id}>"
        assert message["X-Helpdesk"] == str(workspace.pk)
        assert message["Auto-Submitted"] is None

    def test_answers_reach_the_signed_address_of_the_ticket(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace)
        make_reply(ticket, agent)
        ((_, address),) = getaddresses([made(queued()[0])["Reply-To"]])
        assert tokens.read_address(address) == ticket.pk

    def test_a_mailbox_without_plus_addresses_has_no_reply_to(self, workspace, agent):
        MailboxFactory(workspace=workspace, uses_plus_address=False)
        make_reply(make_ticket(workspace), agent)
        assert made(queued()[0])["Reply-To"] is None

    def test_without_a_mailbox_it_comes_from_the_deployment(self, workspace, agent, settings):
        settings.DEFAULT_FROM_EMAIL = "Helpdesk <help@example.org>"
        make_reply(make_ticket(workspace), agent)
        assert getaddresses([made(queued()[0])["From"]]) == [("Ann Miller (Acme)", "help@example.org")]

    def test_shows_who_takes_part_and_has_one_recipient(self, workspace, agent, mailbox):
        make_reply(make_ticket(workspace, cc=["bob@customers.example", "cleo@customers.example"]), agent)
        for row in queued():
            loaded = Outgoing.unscoped.select_related(*sending._WITH).get(pk=row.pk)
            assert composing.compose(loaded, now=DUE).recipients() == [row.recipient]
            message = made(row)
            assert [address for _, address in getaddresses(message.get_all("To"))] == ["jane@customers.example"]
            assert [address for _, address in getaddresses(message.get_all("Cc"))] == [
                "bob@customers.example",
                "cleo@customers.example",
            ]

    def test_tells_nobody_which_name_the_helpdesk_knows_of_an_address_in_cc(self, workspace, agent, mailbox):
        ContactFactory(workspace=workspace, email="bob@customers.example", name="Robert Secret")
        make_reply(make_ticket(workspace, cc=["bob@customers.example"]), agent)
        for row in queued():
            message = made(row)
            assert getaddresses([message["To"]]) == [("Jane Smith", "jane@customers.example")]
            assert getaddresses([message["Cc"]]) == [("", "bob@customers.example")]
            assert "Secret" not in message.as_string()

    def test_an_agent_without_a_name_is_not_shown_by_their_own_address(self, workspace, mailbox):
        nameless = make_agent(workspace, user=UserFactory(name="", email="private@home.example"))
        ticket = make_ticket(workspace)
        make_reply(ticket, nameless)
        make_reply(ticket, nameless, now=NOW + dt.timedelta(minutes=1))
        message = made(queued()[1], now=NOW + dt.timedelta(minutes=2))
        assert getaddresses([message["From"]]) == [("Acme", "support@acme.example")]
        assert "private@home.example" not in message.as_string()
        assert "Acme wrote:" in text(message)

    def test_a_providers_interface_is_given_the_one_recipient_only(self, workspace, agent, mailbox, settings):
        settings.EMAIL_BACKEND = "anymail.backends.mailgun.EmailBackend"
        make_reply(make_ticket(workspace, cc=["bob@customers.example"]), agent)
        row = Outgoing.unscoped.select_related(*sending._WITH).get(recipient="bob@customers.example")
        message = composing.compose(row, now=DUE)
        assert message.to == ["bob@customers.example"]
        assert not {"To", "Cc"} & set(message.extra_headers)

    @pytest.mark.parametrize("name", ["Ann\r\nBcc: evil@x.example", 'Ann "The" <a@b>, Müller', "名前", "a" * 120])
    def test_a_name_is_a_name_whatever_stands_in_it(self, workspace, mailbox, name):
        member = make_agent(workspace, user=UserFactory(name=name))
        ticket = make_ticket(workspace, subject="Häß\u2028lich")
        make_reply(ticket, member)
        message = made(queued()[0])
        ((shown, address),) = getaddresses([message["From"]])
        assert (shown, address) == (f"{composing.one_line(name)} (Acme)", "support@acme.example")
        assert message["Bcc"] is None
        assert message["Subject"].endswith(f"[#{ticket.number}]")

    @given(st.text(max_size=300))
    def test_one_line_is_one_line(self, value):
        line = composing.one_line(value)
        assert line.splitlines() in ([line], [])
        assert line == line.strip()

    @pytest.mark.parametrize("kind", ["acknowledgement", "resolution", "reply"])
    def test_automatic_mail_says_so(self, workspace, mailbox, kind):
        ticket = ticket_of_a_customer(workspace)
        conversation.automatic_reply(ticket=ticket, body="Hello", actor=SYSTEM, now=NOW)
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=DUE)
        (row,) = queued(kind=kind)
        message = made(row)
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["X-Auto-Response-Suppress"] == "All"
        assert message["Precedence"] == "bulk"
        assert getaddresses([message["From"]])[0][0] == "Acme Support"


class TestTheThread:
    def test_no_message_id_is_broken_from_the_name_of_its_header(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace, channel="email")
        make_incoming(mailbox, ticket=ticket, message_id=f"{'a' * 150}@customers.example")
        make_incoming(mailbox, ticket=ticket, message_id="b@customers.example")
        make_reply(ticket, agent, now=DUE)
        row = Outgoing.unscoped.select_related(*sending._WITH).get()
        message: Any = composing.compose(row, now=DUE).message()
        raw = message.as_bytes(linesep="\r\n")
        head = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
        assert f"Message-ID: <{row.message_id}>\r\n".encode() in head
        assert f"References: <{'a' * 150}@customers.example>\r\n <b@customers.example>\r\n".encode() in head
        assert max(map(len, raw.split(b"\r\n"))) <= 998

    def test_names_what_came_and_what_was_sent_in_the_order_of_time(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace, channel="email")
        make_incoming(mailbox, ticket=ticket, message_id="first@customers.example")
        make_reply(ticket, agent, now=NOW + dt.timedelta(minutes=1))
        first = queued()[0]
        sending.send(outgoing_id=first.pk, now=NOW + dt.timedelta(minutes=2))
        make_incoming(
            mailbox,
            ticket=ticket,
            message_id="second@customers.example",
            received_at=NOW + dt.timedelta(minutes=3),
            outcome="comment_added",
        )
        make_reply(ticket, agent, now=NOW + dt.timedelta(minutes=4))
        message = made(queued()[1], NOW + dt.timedelta(minutes=5))
        named = ["first@customers.example", first.message_id, "second@customers.example"]
        assert message["References"].split() == [f"<{one}>" for one in named]
        assert message["In-Reply-To"] == "<second@customers.example>"

    def test_of_a_long_one_the_first_and_the_last_are_kept(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace, channel="email")
        for number in range(100):
            make_incoming(
                mailbox,
                ticket=ticket,
                message_id=f"{number}@customers.example",
                received_at=NOW + dt.timedelta(seconds=number),
            )
        make_reply(ticket, agent, now=NOW + dt.timedelta(minutes=5))
        kept = made(queued()[0])["References"].split()
        assert kept == [f"<{number}@customers.example>" for number in [*range(20), *range(80, 100)]]

    def test_never_names_a_notice_to_an_agent_nor_what_is_no_message_id(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace, assignee_id=agent.user_id)
        sending.send(outgoing_id=queued(kind="notice")[0].pk, now=NOW)
        make_incoming(mailbox, ticket=ticket, message_id="a b>\r\n evil")
        make_reply(ticket, agent, now=DUE)
        assert made(queued(kind="reply")[0])["References"] is None

    def test_a_tried_again_mail_is_the_same(self, workspace, agent, mailbox):
        make_reply(make_ticket(workspace), agent)
        (row,) = queued()
        first, again = made(row), made(row)
        assert (first["Message-ID"], first["References"]) == (again["Message-ID"], again["References"])


class TestTheText:
    def test_is_beside_the_html_and_both_have_the_marker_the_answer_the_signature_and_the_link(
        self, workspace, agent, mailbox, settings
    ):
        ticket = make_ticket(workspace)
        make_reply(ticket, agent, body="Please **restart**, then <b>tell</b> us.")
        message = made(queued()[0])
        assert message.get_content_type() == "multipart/alternative"
        token = access.issue(ticket=ticket, contact=ticket.requester, now=DUE)
        url = f"{settings.SITE_URL}/portal/tickets/{ticket.pk}?token={token}"
        plain, rich = text(message), html(message)
        assert plain.startswith(f"{REPLY_MARKER}\n\nPlease **restart**")
        assert "-- \nAcme Support\nOpen 9 to 5" in plain
        assert url in plain
        assert rich.index(REPLY_MARKER) < rich.index("<strong>restart</strong>")
        assert "&lt;b&gt;tell&lt;/b&gt;" in rich
        assert "Acme Support<br>Open 9 to 5" in rich
        assert url in rich

    def test_loads_and_runs_nothing(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace, description="![x](https://evil.example/x.png) <script>alert(1)</script>")
        make_reply(ticket, agent, body="<img src=https://evil.example/y.png> [a](javascript:alert(1))")
        rich = html(made(queued()[0]))
        for forbidden in ("<img", "<script", "<link", 'href="javascript', "@import", "url("):
            assert forbidden not in rich

    def test_names_are_text_and_no_template(self, mailbox):
        workspace = WorkspaceFactory(name="<b>{{ ticket }}</b>", signature="{% now 'Y' %}<i>x</i>")
        make_reply(make_ticket(workspace), make_agent(workspace), body="{{ ticket.requester_email }}")
        message = made(queued()[0])
        assert "{{ ticket.requester_email }}" in text(message)
        assert "{% now &#x27;Y&#x27; %}&lt;i&gt;" in html(message) or "{% now 'Y' %}&lt;i&gt;" in html(message)

    def test_the_answer_to_it_is_folded_to_what_was_written(self, workspace, agent, mailbox):
        make_reply(make_ticket(workspace), agent, body="Did it help?")
        plain = text(made(queued()[0]))
        quoted = "\n".join(f"> {line}" for line in plain.splitlines())
        folded = fold(f"Yes, thank you.\n\nOn 2 March 2026 at 10:00, Ann Miller wrote:\n{quoted}")
        assert folded.text.strip() == "Yes, thank you."

    def test_an_answer_that_resolves_asks_for_a_rating(self, workspace, agent, mailbox):
        make_reply(make_ticket(workspace), agent, then="resolved")
        message = made(queued()[0])
        assert "#rate" in text(message) and "#rate" in html(message)
        assert "it opens again" in text(message)

    def test_an_acknowledgement_repeats_nothing_that_was_typed_in(self, workspace, mailbox):
        ticket = ticket_of_a_customer(
            workspace, subject="BUY PILLS", description="http://spam.example", requester_name="Rich Prince"
        )
        message = made(queued()[0], NOW)
        assert message["Subject"] == f"We have received your request [#{ticket.number}]"
        for typed in ("PILLS", "spam.example", "Prince"):
            assert typed not in str(message) + text(message) + html(message)

    def test_an_edited_answer_is_sent_as_it_is_then(self, workspace, agent, mailbox):
        comment = make_reply(make_ticket(workspace), agent, body="Wrogn")
        conversation.edit_comment(comment=comment, editor=agent, body="Right", now=NOW)
        assert "Right" in text(made(queued()[0]))


class TestHistory:
    @pytest.fixture
    def ticket(self, workspace, agent):
        ticket = make_ticket(workspace, description="The very first words.")
        make_reply(ticket, agent, body="An internal secret.", internal=True, now=NOW + dt.timedelta(minutes=1))
        make_reply(ticket, agent, body="The first answer.", now=NOW + dt.timedelta(minutes=2))
        gone = make_reply(ticket, agent, body="A deleted one.", now=NOW + dt.timedelta(minutes=3))
        conversation.delete_comment(comment=gone, editor=agent, now=NOW + dt.timedelta(minutes=3))
        return ticket

    @pytest.mark.parametrize(
        ("history", "quoted"),
        [
            ("none", []),
            ("last", ["The first answer."]),
            ("all", ["The first answer.", "The very first words."]),
        ],
    )
    def test_is_what_the_workspace_wants_and_never_a_note(self, workspace, agent, mailbox, ticket, history, quoted):
        MailSettings.unscoped.create(workspace=workspace, history=history)
        comment = make_reply(ticket, agent, body="Now this.", now=NOW + dt.timedelta(minutes=4))
        message = made(queued(comment=comment)[0])
        for said in ("The very first words.", "The first answer.", "An internal secret.", "A deleted one."):
            assert (f"> {said}" in text(message)) is (said in quoted)
            assert (said in html(message)) is (said in quoted)
        places = [text(message).index(said) for said in quoted]
        assert places == sorted(places)

    def test_names_the_requester_as_they_named_themselves_here(self, workspace, agent, mailbox):
        ContactFactory(workspace=workspace, email="jane@customers.example", name="Jane Secret")
        ticket = ticket_of_a_customer(workspace, requester_name="JS")
        conversation.customer_reply(ticket=ticket, contact=ticket.requester, body="And now?", channel="portal", now=NOW)
        make_reply(ticket, agent)
        message = made(queued(kind="reply")[0])
        assert "JS wrote:" in text(message)
        assert "Secret" not in message.as_string()

    def test_says_when_in_the_workspaces_time(self, workspace, agent, mailbox, ticket):
        comment = make_reply(ticket, agent, body="Now this.", now=NOW + dt.timedelta(minutes=4))
        assert "On 2 March 2026, 10:02, Ann Miller wrote:" in text(made(queued(comment=comment)[0]))

    def test_of_a_very_long_conversation_the_newest_is_kept(self, workspace, agent, mailbox):
        MailSettings.unscoped.create(workspace=workspace, history="all")
        ticket = make_ticket(workspace)
        for number in range(5):
            make_reply(ticket, agent, body=f"{number} " + "x" * 20_000, now=NOW + dt.timedelta(minutes=number))
        comment = make_reply(ticket, agent, body="Now this.", now=NOW + dt.timedelta(minutes=9))
        plain = text(made(queued(comment=comment)[0]))
        assert "> 4 xxx" in plain and "> 3 xxx" in plain and "> 0 xxx" not in plain


class TestFiles:
    def upload(self, ticket, agent, content: bytes, name: str):
        return files.attach(
            ticket=ticket,
            upload=SimpleUploadedFile(name, content),
            uploaded_by=agent.user,
            actor=base.agent(agent),
            now=NOW,
        )

    def test_small_ones_are_attached(self, workspace, agent, mailbox):
        ticket = make_ticket(workspace)
        kept = self.upload(ticket, agent, b"hello, this is text", "Grüße.txt")
        make_reply(ticket, agent, attachment_ids=[kept.pk])
        message = made(queued()[0])
        (part,) = list(message.iter_attachments())
        assert part.get_filename() == "Grüße.txt"
        assert part.get_content().strip() == "hello, this is text"
        assert "too large" not in text(message)

    @pytest.mark.parametrize("name", ["table.csv", "page.html", "invite.eml", "notes.txt"])
    def test_arrive_as_the_bytes_they_are(self, workspace, agent, mailbox, name):
        ticket = make_ticket(workspace)
        content = "a;b\n1;2\nGrüße\r\nlast\rline\n".encode()
        kept = self.upload(ticket, agent, content, name)
        make_reply(ticket, agent, attachment_ids=[kept.pk])
        (part,) = list(made(queued()[0]).iter_attachments())
        assert part.get_filename() == name
        assert part.get_payload(decode=True) == content
        assert part.get_content_disposition() == "attachment"

    def test_large_ones_are_links_to_the_customers_page(self, workspace, agent, mailbox):
        MailSettings.unscoped.create(workspace=workspace, link_files_over=10)
        ticket = make_ticket(workspace)
        kept = self.upload(ticket, agent, b"hello, this is text", "long.txt")
        comment = make_reply(ticket, agent, attachment_ids=[kept.pk])
        message = made(queued()[0])
        assert list(message.iter_attachments()) == []
        assert "long.txt" in text(message) and "long.txt" in html(message)
        assert f"#message-{comment.pk}" in text(message)
