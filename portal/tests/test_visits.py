"""The mailed link to one's requests: who gets it, what it opens, and for how long."""

import datetime as dt
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core import mail
from django.db import connection
from django.test import override_settings
from django.utils.formats import date_format

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.errors import InvalidInput, NotFound
from portal import tasks
from portal.models import PortalSettings, SignInLink
from portal.services import visits
from portal.tests.factories import finish, make_request
from tickets import access
from tickets.mail.models import Outgoing, Undeliverable
from tickets.mail.services import receiving, sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.models import Comment, CustomerToken, Participant, Ticket
from tickets.services import base, editing, merging
from tickets.tests.factories import NOW, make_agent, make_reply

pytestmark = pytest.mark.django_db

JANE = "jane@customers.example"
SECOND, HOUR, DAY = dt.timedelta(seconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def jane(workspace: Workspace) -> Contact:
    make_request(workspace, NOW - DAY)
    return Contact.objects.for_workspace(workspace).get(email=JANE)


def ask(workspace: Workspace | None, address: str = JANE, now: dt.datetime = NOW, **more: Any) -> int:
    return visits.send_links(workspace_id=workspace.pk if workspace else None, address=address, now=now, **more)


def the_mail(now: dt.datetime = NOW) -> Any:
    """The one mail with a link, sent."""
    row = Outgoing.unscoped.filter(kind="sign_in").order_by("-created_at").first()
    assert row is not None
    assert sending.send(outgoing_id=row.pk, now=now) == "sent", Outgoing.unscoped.get(pk=row.pk).reason
    return mail.outbox[-1]


def link_of(contact: Contact, now: dt.datetime = NOW) -> tuple[SignInLink, str]:
    """A link that was mailed to somebody, and its secret."""
    assert ask(contact.workspace, contact.email, now) == 1
    link = SignInLink.objects.for_workspace(contact.workspace).get(contact=contact, created_at=now)
    return link, visits.token_of(link) or ""


class TestWhoGetsAMail:
    def test_the_owner_of_requests(self, workspace: Workspace, jane: Contact) -> None:
        assert ask(workspace, "  Jane@Customers.Example ") == 1
        link = SignInLink.objects.for_workspace(workspace).get()
        assert (link.contact, link.created_at, link.expires_at) == (jane, NOW, NOW + HOUR)
        row = Outgoing.unscoped.get(kind="sign_in")
        assert (row.recipient, row.contact, row.status, row.is_automatic) == (JANE, jane, "waiting", True)
        assert str(visits.token_of(link)) not in str(row.content)

    def test_who_only_takes_part(self, workspace: Workspace, jane: Contact) -> None:
        ticket = Ticket.objects.for_workspace(workspace).get()
        colleague = ContactFactory(workspace=workspace, email="tom@customers.example")
        Participant.unscoped.create(workspace=workspace, ticket=ticket, contact=colleague)
        assert ask(workspace, colleague.email) == 1

    @pytest.mark.parametrize("case", ["unknown", "without requests", "trashed", "other workspace", ".invalid"])
    def test_nobody_else(self, workspace: Workspace, case: str) -> None:
        address = JANE
        if case == "without requests":
            ContactFactory(workspace=workspace, email=address)
        if case == "trashed":
            ticket, _ = make_request(workspace, NOW)
            editing.trash(ticket=ticket, actor=base.agent(make_agent(workspace, "admin")), now=NOW)
        if case == "other workspace":
            make_request(WorkspaceFactory(), NOW)
        if case == ".invalid":
            address = "visitor@chat.invalid"
            make_request(workspace, NOW, requester_email=address)
        assert ask(workspace, address) == 0
        assert not SignInLink.unscoped.exists() and not Outgoing.unscoped.filter(kind="sign_in").exists()

    def test_what_is_no_address_is_refused(self, workspace: Workspace) -> None:
        with pytest.raises(InvalidInput) as refused:
            ask(workspace, "jane@customers.example\r\nBcc: x@y.example")
        assert set(refused.value.errors) == {"email"}

    def test_one_for_each_workspace_where_none_is_named(self, workspace: Workspace, jane: Contact) -> None:
        other = WorkspaceFactory()
        make_request(other, NOW - HOUR)
        assert ask(None) == 2
        rows = Outgoing.unscoped.filter(kind="sign_in")
        assert {row.workspace_id for row in rows} == {workspace.pk, other.pk}

    def test_a_test_workspace_sends_none(self) -> None:
        workspace = WorkspaceFactory(is_test=True)
        make_request(workspace, NOW - DAY)
        assert ask(workspace) == 1
        row = Outgoing.unscoped.get(kind="sign_in")
        assert (row.status, row.reason) == ("held", "This is a test workspace.")
        assert sending.send(outgoing_id=row.pk, now=NOW) == "" and not mail.outbox

    def test_an_address_that_bounced_gets_none(self, workspace: Workspace, jane: Contact) -> None:
        Undeliverable.unscoped.create(workspace=workspace, address=JANE, bounced_at=NOW - DAY)
        ask(workspace)
        assert sending.send(outgoing_id=Outgoing.unscoped.get(kind="sign_in").pk, now=NOW) == "held"
        assert not mail.outbox


class TestHowMany:
    def test_three_within_an_hour_and_one_more_after_it(self, workspace: Workspace, jane: Contact) -> None:
        assert [ask(workspace, now=NOW + minute * SECOND * 60) for minute in range(5)] == [1, 1, 1, 0, 0]
        assert ask(workspace, now=NOW + HOUR - SECOND) == 0
        assert ask(workspace, now=NOW + HOUR) == 1

    def test_are_counted_over_all_workspaces_those_of_the_newest_requests_first(
        self, workspace: Workspace, jane: Contact
    ) -> None:
        others = [WorkspaceFactory() for _ in range(3)]
        for number, other in enumerate(others):
            make_request(other, NOW - number * HOUR)
        assert ask(None) == 3
        assert set(SignInLink.unscoped.values_list("workspace_id", flat=True)) == {other.pk for other in others}
        assert ask(workspace) == 0

    def test_are_counted_for_each_address(self, workspace: Workspace, jane: Contact) -> None:
        make_request(workspace, NOW, requester_email="tom@customers.example")
        for minute in range(4):
            ask(workspace, now=NOW + minute * SECOND)
        assert ask(workspace, "tom@customers.example", NOW + 9 * SECOND) == 1

    def test_a_task_that_is_delivered_twice_mails_once(self, workspace: Workspace, jane: Contact) -> None:
        task = str(uuid4())
        first = tasks.mail_links.apply(args=[str(workspace.pk), JANE, "en"], task_id=task)
        assert first.get() == 1
        assert tasks.mail_links.apply(args=[str(workspace.pk), JANE, "en"], task_id=task).get() == 0
        assert Outgoing.unscoped.filter(kind="sign_in").count() == 1
        assert ask(workspace, now=SignInLink.unscoped.get().created_at + 3 * HOUR, cause=task) == 0

    @pytest.mark.django_db(transaction=True)
    def test_of_tasks_at_the_same_time_too(self, workspace: Workspace, jane: Contact) -> None:
        def one(number: int) -> int:
            try:
                return ask(workspace, now=NOW + number * SECOND)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(one, range(8))) == 3
        assert Outgoing.unscoped.filter(kind="sign_in").count() == 3

    def test_the_task_takes_no_workspace_for_all(self, workspace: Workspace, jane: Contact) -> None:
        assert tasks.mail_links.apply(args=[None, JANE]).get() == 1


class TestTheMail:
    def test_has_the_link_and_those_of_the_newest_requests(self, workspace: Workspace, jane: Contact) -> None:
        mailbox = MailboxFactory(workspace=workspace)
        agent = make_agent(workspace)
        for number in range(24):
            at = NOW - DAY + number * SECOND
            make_reply(make_request(workspace, at, subject=f"Question <{number}>")[0], agent, now=at)
        ask(workspace)
        sent = the_mail()
        assert sent.to == [JANE] and mailbox.address in sent.from_email
        assert sent.subject == "Your requests to Acme Help"
        html = sent.alternatives[0][0]
        link = SignInLink.unscoped.get()
        for body in (sent.body, html):
            assert f"/portal/acme/sign-in?token={visits.token_of(link)}" in body
            assert body.count("/portal/tickets/") == 20 and "5 more are in the list" in body
        assert "Question <23>" in sent.body and "Question <4>" in sent.body and "Question <3>" not in sent.body
        assert "Question &lt;23&gt;" in html and "<23>" not in html

    def test_its_links_open_the_requests_and_prove_the_address(self, workspace: Workspace, jane: Contact) -> None:
        ask(workspace)
        [(ticket_id, token)] = re.findall(r"/portal/tickets/([0-9a-f-]+)\?token=(\S+)", the_mail().body)
        opened = access.open_with(ticket_id=UUID(ticket_id), token=token, now=NOW)
        assert opened and opened[1] == jane and access.is_proven(token)

    def test_says_that_a_machine_wrote_it_and_belongs_to_no_conversation(
        self, workspace: Workspace, jane: Contact
    ) -> None:
        ask(workspace)
        sent = the_mail().message()
        assert sent["Auto-Submitted"] == "auto-generated" and sent["X-Auto-Response-Suppress"] == "All"
        assert "References" not in sent and "In-Reply-To" not in sent and "Reply-To" not in sent

    def test_an_answer_to_it_is_a_request_of_its_own(self, workspace: Workspace, jane: Contact) -> None:
        mailbox = MailboxFactory(workspace=workspace)
        ask(workspace)
        message_id = the_mail().extra_headers["Message-ID"]
        raw = (
            f"From: {JANE}\r\nTo: {mailbox.address}\r\nSubject: Re: Your requests\r\nMessage-ID: <a@b.example>\r\n"
            f"In-Reply-To: {message_id}\r\n\r\nI cannot see them.\r\n"
        ).encode()
        came = receiving.accept(
            raw=raw,
            way="smtp",
            mailbox=mailbox,
            envelope_from=JANE,
            envelope_to=mailbox.address,
            now=NOW,
            is_queued=False,
        )
        done = receiving.process(incoming_id=came.pk, now=NOW)
        assert done.outcome == "ticket_created" and not Comment.unscoped.exists()

    def test_is_no_relay_for_what_a_stranger_sent_under_the_address(self, workspace: Workspace) -> None:
        """Neither name, text nor subject, until an agent has answered: a note is no answer."""
        typed = {
            "requester_name": "Win a prize",
            "description": "Visit evil.example",
            "subject": "Visit prizes.example",
        }
        ticket, _ = make_request(workspace, NOW - DAY, **typed)
        make_reply(ticket, make_agent(workspace), internal=True)
        ask(workspace)
        sent = the_mail()
        for text in (sent.body, sent.alternatives[0][0]):
            assert "prize" not in text and "evil" not in text
            assert f"#{ticket.number}" in text and date_format(NOW - DAY, "DATETIME_FORMAT") in text

    def test_repeats_no_name_and_no_text_and_keeps_subjects_in_a_line(self, workspace: Workspace) -> None:
        ticket, _ = make_request(
            workspace,
            NOW - DAY,
            requester_name="Win a prize",
            description="Visit evil.example",
            subject="Odd" + "x" * 200,
        )
        make_reply(ticket, make_agent(workspace))
        ask(workspace)
        sent = the_mail()
        for text in (sent.body, sent.alternatives[0][0], str(sent.message()["To"])):
            assert "Win a prize" not in text and "evil.example" not in text and "x" * 120 not in text

    def test_a_workspace_whose_name_breaks_lines_adds_no_header(self, jane: Contact, workspace: Workspace) -> None:
        Workspace.objects.filter(pk=workspace.pk).update(name="Acme\r\nBcc: x@y.example")
        ask(workspace)
        sent = the_mail().message()
        assert "Bcc" not in sent and sent["Subject"] == "Your requests to Acme Bcc: x@y.example"

    def test_each_try_writes_the_same_link_even_under_a_new_secret_key(
        self, workspace: Workspace, jane: Contact, settings: Any
    ) -> None:
        link, token = link_of(jane)
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new" * 20
        assert visits.token_of(link) == token and token in the_mail().body
        settings.SECRET_KEY_FALLBACKS = []
        assert visits.token_of(link) is None

    @pytest.mark.parametrize("case", ["too old", "revoked", "trashed"])
    def test_is_not_sent_when_its_link_opens_nothing_any_more(
        self, workspace: Workspace, jane: Contact, case: str
    ) -> None:
        link, _ = link_of(jane)
        now = NOW + HOUR if case == "too old" else NOW + SECOND
        if case == "revoked":
            visits.sign_out(link=link, now=NOW)
        if case == "trashed":
            ticket = Ticket.objects.for_workspace(workspace).get()
            editing.trash(ticket=ticket, actor=base.agent(make_agent(workspace, "admin")), now=NOW)
        assert sending.send(outgoing_id=Outgoing.unscoped.get(kind="sign_in").pk, now=now) == "cancelled"
        assert not mail.outbox

    def test_is_in_the_visitors_language_or_the_portals_own(
        self, workspace: Workspace, jane: Contact, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spoken: list[str] = []

        def translated(text: str) -> str:
            spoken.append(visits.translation.get_language())
            return text

        monkeypatch.setattr(visits, "gettext", translated)
        ask(workspace, language="fr")
        assert '<html lang="fr">' in the_mail().alternatives[0][0]
        ask(workspace, language="xx", now=NOW + SECOND)
        assert '<html lang="en">' in the_mail(NOW + SECOND).alternatives[0][0]
        PortalSettings.unscoped.create(workspace=workspace, language="de", updated_at=NOW)
        ask(workspace, language="fr", now=NOW + 2 * SECOND)
        assert '<html lang="de">' in the_mail(NOW + 2 * SECOND).alternatives[0][0]
        assert spoken == ["fr", "en", "de"]

    def test_no_secret_is_logged(self, workspace: Workspace, jane: Contact, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        link, token = link_of(jane)
        the_mail()
        assert token and token not in caplog.text and link.token_hash not in caplog.text


class TestTheLink:
    def test_works_for_an_hour_to_the_second_and_signs_in_for_a_day(self, workspace: Workspace, jane: Contact) -> None:
        link, token = link_of(jane)
        opened = visits.open_link(workspace=workspace, token=token, now=NOW + HOUR - SECOND)
        assert opened == link and visits.ends_at(opened) == NOW + DAY
        with pytest.raises(NotFound):
            visits.open_link(workspace=workspace, token=token, now=NOW + HOUR)
        cookie = visits.cookie_of(link)
        assert visits.visitor(workspace=workspace, cookie=cookie, now=NOW + DAY - SECOND) == link
        assert visits.visitor(workspace=workspace, cookie=cookie, now=NOW + DAY) is None

    def test_opens_nothing_once_signed_out_and_ends_its_visits(self, workspace: Workspace, jane: Contact) -> None:
        link, token = link_of(jane)
        other, _ = link_of(jane, NOW + SECOND)
        visits.sign_out(link=link, now=NOW + SECOND)
        with pytest.raises(NotFound):
            visits.open_link(workspace=workspace, token=token, now=NOW + SECOND)
        assert visits.visitor(workspace=workspace, cookie=visits.cookie_of(link), now=NOW + SECOND) is None
        assert visits.visitor(workspace=workspace, cookie=visits.cookie_of(other), now=NOW + SECOND) == other

    @pytest.mark.parametrize("token", ["", "x", "\x00", "ü" * 50, "a" * 10_000, "\ud800"])
    def test_garbage_opens_nothing(self, workspace: Workspace, jane: Contact, token: str) -> None:
        link_of(jane)
        with pytest.raises(NotFound):
            visits.open_link(workspace=workspace, token=token, now=NOW)

    def test_opens_nothing_in_another_workspace(self, workspace: Workspace, jane: Contact) -> None:
        link, token = link_of(jane)
        other = WorkspaceFactory()
        with pytest.raises(NotFound):
            visits.open_link(workspace=other, token=token, now=NOW)
        assert visits.visitor(workspace=other, cookie=visits.cookie_of(link), now=NOW) is None

    def test_ends_with_its_contact(self, workspace: Workspace, jane: Contact) -> None:
        link, _ = link_of(jane)
        cookie = visits.cookie_of(link)
        Contact.objects.for_workspace(workspace).filter(pk=jane.pk).update(workspace=WorkspaceFactory())
        assert visits.visitor(workspace=workspace, cookie=cookie, now=NOW) is None

    def test_a_cookie_that_was_changed_is_nobodys(self, workspace: Workspace, jane: Contact) -> None:
        link, _ = link_of(jane)
        other, _ = link_of(jane, NOW + SECOND)
        good = visits.cookie_of(link)
        pk, _, signature = good.rpartition(":")
        for bad in ("", pk, link.pk.hex, f"{other.pk.hex}:{signature}", good[:-1], good + "x", "\x00", "ü:ü", ":"):
            assert visits.visitor(workspace=workspace, cookie=bad, now=NOW) is None, bad
        with override_settings(SECRET_KEY="another" * 10, SECRET_KEY_FALLBACKS=[]):
            assert visits.visitor(workspace=workspace, cookie=good, now=NOW) is None

    def test_old_ones_are_deleted_when_their_day_is_over(self, workspace: Workspace, jane: Contact) -> None:
        link_of(jane)
        late, _ = link_of(jane, NOW + 2 * SECOND)
        assert visits.forget_links(now=NOW + DAY - SECOND) == 0
        assert visits.forget_links(now=NOW + DAY) == 1
        assert list(SignInLink.unscoped.all()) == [late]
        assert tasks.forget_sign_in_links() == 1  # NOW is long ago


class TestTheList:
    def test_has_only_their_own_live_requests_the_latest_message_first(
        self, workspace: Workspace, jane: Contact
    ) -> None:
        first = Ticket.objects.for_workspace(workspace).get()
        second, _ = make_request(workspace, NOW - HOUR, subject="Second")
        foreign, _ = make_request(workspace, NOW, requester_email="tom@customers.example", subject="Tom's")
        make_request(WorkspaceFactory(), NOW, subject="Elsewhere")
        trashed, _ = make_request(workspace, NOW, subject="Gone")
        editing.trash(ticket=trashed, actor=base.agent(make_agent(workspace, "admin")), now=NOW)
        assert list(visits.requests_of(jane)) == [second, first]
        Participant.unscoped.create(workspace=workspace, ticket=foreign, contact=jane)
        assert list(visits.requests_of(jane)) == [foreign, second, first]

    def test_tells_a_merged_request_by_where_it_went(self, workspace: Workspace, jane: Contact) -> None:
        source = Ticket.objects.for_workspace(workspace).get()
        target, _ = make_request(workspace, NOW, requester_email="tom@customers.example", subject="Tom's")
        merging.merge(source=source, target_id=target.pk, actor=base.agent(make_agent(workspace)), now=NOW)
        assert list(visits.requests_of(jane)) == [target]

    def test_pages_and_counts(self, workspace: Workspace, jane: Contact, django_assert_num_queries: Any) -> None:
        for number in range(30):
            ticket, _ = make_request(workspace, NOW + number * SECOND)
            if number % 3 == 0:
                finish(ticket, "resolved", now=NOW + HOUR)
        with django_assert_num_queries(2):
            listing = visits.list_requests(contact=jane, in_work=False, page="2")
            assert (listing.total, listing.in_work, len(list(listing.page))) == (31, 21, 11)
        listing = visits.list_requests(contact=jane, in_work=True, page="nonsense")
        assert (listing.page.number, listing.page.paginator.count) == (1, 21)
        assert visits.list_requests(contact=jane, in_work=True, page="99").page.number == 2

    def test_similar_ones_are_their_own(
        self, workspace: Workspace, jane: Contact, django_assert_num_queries: Any
    ) -> None:
        colleague = ContactFactory(workspace=workspace, email="tom@customers.example")
        make_request(workspace, NOW, requester_email=colleague.email, subject="Cannot log in with my phone")
        make_request(workspace, NOW, subject="Where is the invoice of March?")
        with django_assert_num_queries(1):
            found = visits.similar_to(contact=jane, words="I cannot login")
        assert [ticket.subject for ticket in found] == ["Cannot log in"]
        assert [t.subject for t in visits.similar_to(contact=jane, words="invoce march")] == [
            "Where is the invoice of March?"
        ]
        assert visits.similar_to(contact=jane, words="ab") == [] == visits.similar_to(contact=jane, words="delivery")
        make_request(workspace, NOW, subject="Cannot log in again")
        assert len(visits.similar_to(contact=jane, words="Cannot log in", limit=1)) == 1


class TestOneRequest:
    def opened(self, ticket: Ticket, *links: SignInLink, token: str = "", now: dt.datetime = NOW) -> visits.Opened:
        cookies = [visits.cookie_of(link) for link in links]
        return visits.open_request_of(ticket_id=ticket.pk, token=token, visits=cookies, now=now)

    def test_opens_for_who_asked_and_who_takes_part(self, workspace: Workspace, jane: Contact) -> None:
        ticket = Ticket.objects.for_workspace(workspace).get()
        link, _ = link_of(jane)
        assert self.opened(ticket, link) == visits.Opened(ticket, jane, True)
        other, _ = make_request(workspace, NOW, requester_email="tom@customers.example")
        with pytest.raises(NotFound):
            self.opened(other, link)
        Participant.unscoped.create(workspace=workspace, ticket=other, contact=jane)
        assert self.opened(other, link).ticket == other

    def test_its_own_token_goes_first(self, workspace: Workspace, jane: Contact) -> None:
        link, _ = link_of(jane)
        ticket, token = make_request(workspace, NOW)
        assert self.opened(ticket, link, token=token) == visits.Opened(ticket, jane, False)
        assert self.opened(ticket, link, token="wrong").is_visit

    def test_one_browser_may_visit_several_workspaces(self, workspace: Workspace, jane: Contact) -> None:
        elsewhere, _ = make_request(WorkspaceFactory(), NOW)
        here, _ = link_of(jane)
        there, _ = link_of(elsewhere.requester)
        assert self.opened(elsewhere, here, there).contact == elsewhere.requester
        with pytest.raises(NotFound):
            self.opened(elsewhere, here)

    @pytest.mark.parametrize("case", ["trashed", "revoked", "a day later", "merged away"])
    def test_opens_no_more(self, workspace: Workspace, jane: Contact, case: str) -> None:
        ticket = Ticket.objects.for_workspace(workspace).get()
        link, _ = link_of(jane)
        admin = base.agent(make_agent(workspace, "admin"))
        if case == "trashed":
            editing.trash(ticket=ticket, actor=admin, now=NOW)
        if case == "revoked":
            visits.sign_out(link=link, now=NOW)
        if case == "merged away":
            target, _ = make_request(workspace, NOW, requester_email="tom@customers.example")
            merging.merge(source=ticket, target_id=target.pk, actor=admin, now=NOW)
            assert self.opened(ticket, link).ticket == target
            Participant.unscoped.filter(ticket=target).delete()
        with pytest.raises(NotFound):
            self.opened(ticket, link, now=NOW + DAY if case == "a day later" else NOW + SECOND)

    def test_an_unknown_id_and_one_of_somebody_else_cost_the_same_queries(
        self, workspace: Workspace, jane: Contact, django_assert_num_queries: Any
    ) -> None:
        link, _ = link_of(jane)
        foreign, token = make_request(workspace, NOW, requester_email="tom@customers.example")
        for ticket_id in (foreign.pk, uuid4()):
            with django_assert_num_queries(3), pytest.raises(NotFound):  # the token, the visit, the request
                visits.open_request_of(
                    ticket_id=ticket_id, token="x" * len(token), visits=[visits.cookie_of(link)], now=NOW
                )
            with django_assert_num_queries(1), pytest.raises(NotFound):
                visits.open_request_of(ticket_id=ticket_id, token="x" * len(token), visits=["x"], now=NOW)
        assert CustomerToken.unscoped.filter(contact=jane).count() == 1
