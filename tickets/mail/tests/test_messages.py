"""What a ticket's page tells of its mail, and what agents do about it."""

import datetime as dt
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound
from tickets.mail.models import BlockedSender, Outgoing, Undeliverable
from tickets.mail.services import blocking, delivery, not_a_ticket, sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.mails import keep, make_mail
from tickets.models import Activity, Comment, Ticket
from tickets.services import base, conversation, editing
from tickets.services.base import Original
from tickets.tests.api import Api
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _files_of_their_own(settings: Any, tmp_path: Any) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    }


@pytest.fixture
def maria() -> Membership:
    return make_agent(WorkspaceFactory(name="Acme"), user__name="Maria Rossi")


@pytest.fixture
def ticket(maria: Membership) -> Ticket:
    return make_ticket(maria.workspace, channel="email")


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user)
    return client


def page(member: Membership, ticket: Ticket) -> str:
    return str(signed_in(member).get(reverse("tickets:ticket", args=[ticket.pk])).content.decode())


def writes(ticket: Ticket, body: str = "Any news?", contact: Any = None, **given: Any) -> Comment:
    """A customer's message that came by mail."""
    delivered = conversation.customer_reply(
        ticket=ticket, contact=contact or ticket.requester, body=body, channel="email", now=NOW, vouched=True, **given
    )
    assert delivered.comment
    return delivered.comment


def told(
    comment: Comment, state: str, *, reason: str = "", after: float = 0, to: str = "jane@customers.example"
) -> None:
    """Let the comment tell how its mail fares."""
    at = timezone.now() + dt.timedelta(seconds=after)
    comment.delivery = {"state": state, "at": at.isoformat(), "to": [to], "reason": reason}
    comment.save(update_fields=["delivery"])


class TestFolding:
    def test_quoted_text_is_there_on_demand_as_html_or_as_text(self, maria: Membership) -> None:
        ticket = make_ticket(
            maria.workspace, channel="email", original=Original(folded_text="On Monday\n> we <wrote>", folded_html="")
        )
        writes(ticket, original=Original(folded_text="old", folded_html="<blockquote>As it <b>was</b></blockquote>"))
        html = page(maria, ticket)
        assert html.count("<summary>") and html.count("Show quoted text") == 2
        assert '<div class="plain-text">On Monday\n&gt; we &lt;wrote&gt;</div>' in html
        assert "<blockquote>As it <b>was</b></blockquote>" in html and ">old<" not in html

    def test_a_message_without_any_has_nothing_to_open(self, maria: Membership, ticket: Ticket) -> None:
        writes(ticket)
        assert "Show quoted text" not in page(maria, ticket)

    def test_the_api_gives_it_and_how_the_mail_fares(self, maria: Membership, ticket: Ticket) -> None:
        writes(ticket, original=Original(folded_text="> before"))
        answer = make_reply(ticket, maria, NOW + dt.timedelta(minutes=1))
        comment = Comment.objects.for_workspace(ticket.workspace_id).get(pk=answer.pk)
        comment.delivery = {
            "state": "bounced", "at": "2026-03-02T09:05:06.789+00:00", "to": ["jane@customers.example"],
            "reason": "user unknown",
        }  # fmt: skip
        comment.save()
        first, second = Api(maria).get(f"/tickets/{ticket.pk}/comments").json()["comments"]
        assert (first["folded_text"], first["delivery"]) == ("> before", None)
        assert second["folded_text"] == ""
        assert second["delivery"] == comment.delivery | {"at": "2026-03-02T09:05:06Z"}


class TestDelivery:
    @pytest.mark.parametrize(
        ("state", "reason", "words", "tone", "resend"),
        [
            ("sent", "", "Sent", "", False),
            ("bounced", "user unknown", "Bounced: user unknown", "bad", True),
            ("failed", "refused", "Not sent: refused", "bad", True),
            ("held", "Too many mails.", "Held: Too many mails.", "warn", True),
            ("partly", "sam@x.example bounced", "Some did not get it: sam@x.example bounced", "warn", True),
            ("cancelled", "", "Not mailed", "", False),
            ("waiting", "", "Sending…", "", False),
            ("waiting", "The server is busy.", "Not sent yet: The server is busy.", "warn", False),
        ],
    )
    def test_is_said_in_words_below_the_message(
        self, maria: Membership, ticket: Ticket, state: str, reason: str, words: str, tone: str, resend: bool
    ) -> None:
        comment = make_reply(ticket, maria)
        told(comment, state, reason=reason, after=-120)
        html = page(maria, ticket)
        line = html[html.index(f'id="delivery-{comment.pk}"') :].split("</div>")[0]
        assert words in line
        assert (f'data-tone="{tone}"' in line) is bool(tone)
        assert (reverse("mail:resend", args=[comment.pk]) in line) is resend
        assert "Undo" not in line

    def test_without_a_mail_nothing_is_said(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria)
        Comment.objects.for_workspace(ticket.workspace_id).filter(pk=comment.pk).update(delivery=None)
        note = make_reply(ticket, maria, internal=True)
        told(note, "sent")
        html = page(maria, ticket)
        assert f"delivery-{comment.pk}" not in html and f"delivery-{note.pk}" not in html

    def test_a_message_that_waits_can_be_taken_back_by_who_wrote_it(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria)
        told(comment, "waiting", after=9.5)
        undo = reverse("mail:take-back", args=[comment.pk])
        assert "Sends in" in page(maria, ticket) and undo in page(maria, ticket)
        for role in ("light", "agent", "admin"):
            assert undo not in page(make_agent(maria.workspace, role), ticket)

    def test_the_line_is_asked_for_alone_while_it_waits(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria)
        told(comment, "waiting", after=9.5)
        address = reverse("mail:delivery", args=[comment.pk])
        line = signed_in(maria).get(address, {"view": "mine"}).content.decode()
        assert f'hx-get="{address}?view=mine"' in line and "delay:12s" in line and "Undo" in line
        told(comment, "sent")
        line = signed_in(maria).get(address).content.decode()
        assert "Sent" in line and "hx-get" not in line and "<html" not in line

    def test_a_test_workspace_offers_no_resend(self, ticket: Ticket, maria: Membership) -> None:
        comment = make_reply(ticket, maria)
        told(comment, "held", reason="This is a test workspace.")
        assert "Resend" in page(maria, ticket)
        maria.workspace.is_test = True
        maria.workspace.save()
        html = page(maria, ticket)
        assert "Held: This is a test workspace." in html and "Resend" not in html


class TestSendingAgainAndTakingBack:
    """The doors; what they lead to has tests of its own."""

    def post(self, member: Membership, name: str, comment: Comment, query: str = "?view=mine") -> Any:
        return signed_in(member).post(reverse(f"mail:{name}", args=[comment.pk]) + query)

    @pytest.mark.parametrize("name", ["resend", "take-back"])
    def test_a_refusal_is_said_on_the_tickets_page(
        self, maria: Membership, ticket: Ticket, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**given: Any) -> None:
            raise Conflict("It is on its way already.")

        monkeypatch.setattr(sending, name.replace("-", "_"), refuse)
        comment = make_reply(ticket, maria)
        client = signed_in(maria)
        answer = client.post(reverse(f"mail:{name}", args=[comment.pk]) + "?view=mine")
        assert answer.url == f"/tickets/{ticket.pk}?view=mine#message-{comment.pk}"
        assert "It is on its way already." in client.get(answer.url).content.decode()

    @pytest.mark.parametrize("name", ["resend", "take-back"])
    def test_who_may_not_is_refused(
        self, maria: Membership, ticket: Ticket, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**given: Any) -> None:
            raise NotAllowed("Only its author or an admin.")

        monkeypatch.setattr(sending, name.replace("-", "_"), refuse)
        assert self.post(maria, name, make_reply(ticket, maria)).status_code == 403

    def test_what_is_taken_back_stands_in_the_composer_with_its_files(self, maria: Membership, ticket: Ticket) -> None:
        MailboxFactory(workspace=maria.workspace)
        client, now = signed_in(maria), timezone.now()
        reply = reverse("tickets:reply", args=[ticket.pk]) + "?view=mine"
        sent = {"body": "Dear Sam,", "internal": "0", "files": [SimpleUploadedFile("plan.txt", b"the plan")]}
        assert client.post(reply, sent).status_code == 302
        comment = ticket.comments.get()
        assert comment.delivery and comment.delivery["state"] == "waiting"
        assert "Sends in" in page(maria, ticket)
        answer = client.post(reverse("mail:take-back", args=[comment.pk]) + "?view=mine")
        html = client.get(answer.url).content.decode()
        assert "Taken back: nothing was sent." in html and "Dear Sam,</textarea>" in html
        file = ticket.attachments.get()
        assert file.comment is None and file.is_internal
        assert f'name="waiting" value="{file.pk}"' in html and f'action="{reply}"' in html
        assert not Outgoing.unscoped.exclude(status="cancelled").exists()
        # Written anew, it goes out once, with the file.
        client.post(reply, {"body": "Dear Jane,", "internal": "0", "waiting": str(file.pk)})
        again = ticket.comments.get(deleted_at=None)
        assert (again.body, again.attachments.get().name) == ("Dear Jane,", "plan.txt")
        assert [mail.comment for mail in Outgoing.unscoped.filter(status="waiting", created_at__gt=now)] == [again]

    def test_too_late_is_said_and_nothing_changes(self, maria: Membership, ticket: Ticket) -> None:
        MailboxFactory(workspace=maria.workspace)
        comment = make_reply(ticket, maria, timezone.now() - dt.timedelta(minutes=5))
        client = signed_in(maria)
        answer = client.post(reverse("mail:take-back", args=[comment.pk]))
        html = client.get(answer.url).content.decode()
        assert "It is too late to take this back." in html and comment.body in html
        comment.refresh_from_db()
        assert comment.deleted_at is None

    def test_what_bounced_is_sent_again_with_one_click(self, maria: Membership, ticket: Ticket) -> None:
        MailboxFactory(workspace=maria.workspace)
        comment = make_reply(ticket, maria, timezone.now() - dt.timedelta(minutes=5))
        (mail,) = Outgoing.unscoped.filter(comment=comment)
        delivery.bounced(outgoing=mail, reason="user unknown", is_permanent=True, now=timezone.now())
        assert "Bounced: user unknown" in page(maria, ticket)
        client = signed_in(maria)
        html = client.get(client.post(reverse("mail:resend", args=[comment.pk])).url).content.decode()
        assert "It is sent again." in html and "Sending…" in html and "Bounced" not in html.split("composer")[0]
        assert Outgoing.unscoped.filter(comment=comment, status="waiting", round=1).count() == 1

    def test_of_a_deleted_message_or_a_trashed_ticket_nothing_is_done(
        self, maria: Membership, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []
        for name in ("resend", "take_back"):
            monkeypatch.setattr(sending, name, lambda **given: asked.append(given))
        gone, left = make_reply(ticket, maria), make_reply(ticket, maria)
        conversation.delete_comment(comment=gone, editor=maria, now=NOW)
        assert {self.post(maria, name, gone).status_code for name in ("resend", "take-back")} == {404}
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        assert {self.post(maria, name, left).status_code for name in ("resend", "take-back")} == {404}
        assert asked == []


class TestGuests:
    def test_who_does_not_take_part_is_marked_and_added_with_one_click(self, maria: Membership, ticket: Ticket) -> None:
        editing.update_ticket(
            ticket=ticket, changes={"cc": ["sam@customers.example"]}, actor=base.agent(maria), now=NOW
        )
        guest = ContactFactory(workspace=maria.workspace, email="guest@elsewhere.example")
        writes(ticket, contact=guest)
        html = page(maria, ticket)
        assert html.count("Not on this ticket") == 1 and "guest@elsewhere.example" in html
        answer = signed_in(maria).post(
            reverse("tickets:cc-add", args=[ticket.pk]), {"address": "Guest@elsewhere.example"}, headers=HTMX
        )
        assert answer.status_code == 200 and "gets a copy from now on" in answer.content.decode()
        people = ticket.participants.order_by("contact__email").values_list("contact__email", flat=True)
        assert list(people) == ["guest@elsewhere.example", "sam@customers.example"]
        assert "Not on this ticket" not in page(maria, ticket)

    def test_the_requester_and_people_in_copy_are_no_guests(self, maria: Membership, ticket: Ticket) -> None:
        editing.update_ticket(
            ticket=ticket, changes={"cc": ["sam@customers.example"]}, actor=base.agent(maria), now=NOW
        )
        writes(ticket)
        writes(ticket, contact=ticket.participants.get().contact)
        make_reply(ticket, maria)
        assert "Not on this ticket" not in page(maria, ticket)

    @pytest.mark.parametrize("address", ["", "no address", "a@b.example, c@d.example"])
    def test_what_is_no_address_adds_nobody(self, maria: Membership, ticket: Ticket, address: str) -> None:
        answer = signed_in(maria).post(reverse("tickets:cc-add", args=[ticket.pk]), {"address": address}, headers=HTMX)
        assert answer.status_code == 400 and not ticket.participants.exists()

    def test_light_agents_see_it_and_cannot_add(self, maria: Membership, ticket: Ticket) -> None:
        writes(ticket, contact=ContactFactory(workspace=maria.workspace, email="guest@elsewhere.example"))
        html = page(make_agent(maria.workspace, "light"), ticket)
        assert "Not on this ticket" in html and reverse("tickets:cc-add", args=[ticket.pk]) not in html


class TestAlsoAddressed:
    def test_people_a_mail_named_who_do_not_take_part_are_offered(self, maria: Membership, ticket: Ticket) -> None:
        keep(ticket, make_mail(), cc=["boss@customers.example", "jane@customers.example"])
        keep(ticket, make_mail(), cc=["Boss@customers.example", "sam@customers.example"], outcome="duplicate")
        editing.update_ticket(
            ticket=ticket, changes={"cc": ["sam@customers.example"]}, actor=base.agent(maria), now=NOW
        )
        html = page(maria, ticket)
        assert "Also addressed" in html and html.count('aria-label="Add boss@customers.example to Cc"') == 1
        for known in ("jane", "sam"):
            assert f"Add {known}@customers.example to Cc" not in html
        answer = signed_in(maria).post(
            reverse("tickets:cc-add", args=[ticket.pk]), {"address": "boss@customers.example"}, headers=HTMX
        )
        assert "Also addressed" not in answer.content.decode()

    def test_the_composer_warns_of_an_address_that_mail_does_not_reach(self, maria: Membership, ticket: Ticket) -> None:
        assert "came back lately" not in page(maria, ticket)
        Undeliverable.unscoped.create(
            workspace=maria.workspace, address=ticket.requester_email, reason="user unknown", bounced_at=NOW
        )
        assert "came back lately: user unknown" in page(maria, ticket)
        other = make_ticket(WorkspaceFactory(), channel="email")
        assert "came back lately" not in page(make_agent(other.workspace), other)

    def test_all_of_it_costs_one_query_however_much_mail_there_is(self, maria: Membership, ticket: Ticket) -> None:
        def ask() -> list[str]:
            client, url = signed_in(maria), reverse("tickets:ticket", args=[ticket.pk])
            client.get(url)
            with CaptureQueriesContext(connection) as asked:
                client.get(url)
            return [query["sql"] for query in asked.captured_queries]

        before = ask()
        for number in range(6):
            guest = ContactFactory(workspace=maria.workspace, email=f"guest{number}@elsewhere.example")
            comment = writes(ticket, contact=guest, original=Original(folded_text="> before"))
            keep(ticket, make_mail(), comment=comment, cc=[f"cc{number}@customers.example"])
            told(make_reply(ticket, maria), "bounced", reason="user unknown")
        Undeliverable.unscoped.create(workspace=maria.workspace, address=ticket.requester_email, bounced_at=NOW)
        after = ask()
        assert len(after) == len(before)
        assert len([sql for sql in after if "mail_" in sql]) == 1


class TestNotATicket:
    def test_goes_to_the_trash_and_its_sender_is_ignored(self, maria: Membership, ticket: Ticket) -> None:
        pattern = not_a_ticket.not_a_ticket(ticket=ticket, member=maria, whole_domain=False, now=NOW)
        assert pattern == "jane@customers.example"
        assert blocking.blocks(workspace_id=maria.workspace_id, address="jane@customers.example")
        assert not blocking.blocks(workspace_id=maria.workspace_id, address="sam@customers.example")
        ticket.refresh_from_db()
        assert ticket.trashed_at == NOW
        assert "trashed" in ticket.activities.latest("pk").event
        row = BlockedSender.objects.for_workspace(maria.workspace_id).get()
        assert (row.created_by, row.reason) == (maria.user, "#1001 was not a ticket")

    def test_with_the_whole_domain_and_taken_back(self, maria: Membership, ticket: Ticket) -> None:
        not_a_ticket.not_a_ticket(ticket=ticket, member=maria, whole_domain=True, now=NOW)
        assert blocking.blocks(workspace_id=maria.workspace_id, address="sam@mail.customers.example")
        not_a_ticket.unblock(pattern="@Customers.example", member=maria)
        assert not BlockedSender.unscoped.exists()

    def refused(self, error: type[Exception], ticket: Ticket, member: Membership, whole_domain: bool = False) -> Any:
        before = Activity.unscoped.count()
        with pytest.raises(error) as refusal:
            not_a_ticket.not_a_ticket(ticket=ticket, member=member, whole_domain=whole_domain, now=NOW)
        assert not BlockedSender.unscoped.exists() and Activity.unscoped.count() == before
        assert not Ticket.objects.for_workspace(ticket.workspace_id).trashed().filter(trashed_at=NOW).exists()
        return refusal.value

    def test_only_what_came_by_mail(self, maria: Membership) -> None:
        self.refused(Conflict, make_ticket(maria.workspace), maria)
        assert "Not a ticket" not in page(maria, make_ticket(maria.workspace))

    def test_light_agents_may_not(self, maria: Membership, ticket: Ticket) -> None:
        light = make_agent(maria.workspace, "light")
        self.refused(NotAllowed, ticket, light)
        assert "Not a ticket" not in page(light, ticket)
        assert "Not a ticket" in page(maria, ticket)
        with pytest.raises(NotAllowed):
            not_a_ticket.unblock(pattern="@x.example", member=light)

    def test_our_own_mailboxes_cannot_be_blocked(self, maria: Membership) -> None:
        box = MailboxFactory(workspace=maria.workspace)
        own = make_ticket(maria.workspace, channel="email", requester_email=box.address)
        assert "requester" in self.refused(InvalidInput, own, maria).errors
        near = make_ticket(maria.workspace, channel="email", requester_email="colleague@acme.example")
        assert "whole_domain" in self.refused(InvalidInput, near, maria, whole_domain=True).errors

    def test_one_in_the_trash_already_is_not_there(self, maria: Membership, ticket: Ticket) -> None:
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW - dt.timedelta(days=1))
        self.refused(NotFound, ticket, maria)

    def test_the_page_asks_first_and_then_says_how_to_undo_it(self, maria: Membership, ticket: Ticket) -> None:
        client = signed_in(maria)
        url = reverse("mail:not-a-ticket", args=[ticket.pk])
        asked = client.get(url).content.decode()
        assert "Only jane@customers.example" in asked and "Everybody at @customers.example" in asked
        assert not BlockedSender.unscoped.exists()
        wrong = client.post(url, {"block": "everything"})
        assert wrong.status_code == 400 and not BlockedSender.unscoped.exists()
        answer = client.post(f"{url}?view=unassigned", {"block": "domain"})
        assert answer.url == reverse("tickets:queue", args=["unassigned"])
        html = client.get(answer.url).content.decode()
        undo = reverse("mail:unblock") + "?pattern=%40customers.example"
        assert "where an admin can restore it for 30 days." in html and undo in html and 'id="toast-form"' in html
        client.post(undo)
        assert not BlockedSender.unscoped.exists()

    def test_a_refusal_comes_back_at_the_choice(self, maria: Membership) -> None:
        MailboxFactory(workspace=maria.workspace)
        near = make_ticket(maria.workspace, channel="email", requester_email="colleague@acme.example")
        answer = signed_in(maria).post(reverse("mail:not-a-ticket", args=[near.pk]), {"block": "domain"})
        html = answer.content.decode()
        assert answer.status_code == 400 and "is the domain of your own mailboxes" in html
        assert 'value="domain"' in html and "checked" in html

    def test_unblocking_reaches_only_the_own_workspace(self, maria: Membership) -> None:
        other = make_agent(WorkspaceFactory())
        blocking.block(workspace_id=other.workspace_id, pattern="@spam.example", by=None)
        signed_in(maria).post(reverse("mail:unblock"), {"pattern": "@spam.example"})
        assert BlockedSender.unscoped.count() == 1
