"""A ticket's page: reading, replying, changing, merging; opening a ticket."""

import datetime as dt
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Contact, Membership
from helpdesk.accounts.tests.factories import OrganizationFactory, TeamFactory, WorkspaceFactory
from tickets.models import Activity, Attachment, Comment, Ticket
from tickets.services import assignment, base, conversation, editing, files, merging, status
from tickets.tests.api import nothing_written
from tickets.tests.factories import NOW, CannedResponseFactory, CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"  # an id that nothing has
HTMX = {"HX-Request": "true"}
LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def maria() -> Membership:
    return make_agent(WorkspaceFactory(name="Demo"), user__name="Maria Rossi")


@pytest.fixture
def ticket(maria: Membership) -> Ticket:
    return make_ticket(maria.workspace)


@pytest.fixture(autouse=True)
def _files_of_their_own(settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    }


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def show(member: Membership, ticket: Ticket, **query: Any) -> Any:
    return signed_in(member).get(reverse("tickets:ticket", args=[ticket.pk]), query)


def post(member: Membership, name: str, row: Any, data: dict[str, Any] | None = None, **extra: Any) -> Any:
    return signed_in(member).post(reverse(f"tickets:{name}", args=[row.pk]), data or {}, **extra)


def said(member_client: Client, answer: Any) -> str:
    """The page that a redirect leads to, with its messages."""
    return member_client.get(answer.url).content.decode()


def comments(ticket: Ticket) -> list[tuple[str, bool]]:
    rows = Comment.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, deleted_at=None)
    return list(rows.order_by("created_at", "pk").values_list("body", "is_internal"))


def customer_writes(ticket: Ticket, body: str = "Any news?", now: dt.datetime = LATER) -> Comment:
    contact = Contact.objects.for_workspace(ticket.workspace_id).get(pk=ticket.requester_id)
    delivered = conversation.customer_reply(ticket=ticket, contact=contact, body=body, channel="portal", now=now)
    assert delivered.comment
    return delivered.comment


class TestReading:
    def test_the_page_shows_the_request_and_what_was_said_in_order(self, maria: Membership, ticket: Ticket) -> None:
        make_reply(ticket, maria, body="We **unlocked** it.")
        make_reply(ticket, maria, body="Old phone.", internal=True, now=NOW + dt.timedelta(minutes=1))
        customer_writes(ticket, "Works, thanks!")
        html = show(maria, ticket).content.decode()
        places = [
            html.index(words)
            for words in ("my account is locked", "<strong>unlocked</strong>", "Old phone.", "Works, thanks!")
        ]
        assert places == sorted(places)
        assert 'data-kind="note"' in html
        assert "Internal note" in html

    def test_what_happened_stands_between_the_messages_in_words(self, maria: Membership, ticket: Ticket) -> None:
        actor = base.agent(maria)
        assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=actor, now=NOW)
        editing.update_ticket(ticket=ticket, changes={"priority": "urgent", "tags": ["vip"]}, actor=actor, now=LATER)
        html = show(maria, ticket).content.decode()
        assert "<b>Maria Rossi</b> took this ticket" in html
        assert "changed the priority from <b>Medium</b> to <b>Urgent</b>" in html
        assert "added tags <b>vip</b>" in html

    def test_a_deleted_message_is_not_shown(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria, body="Sent to the wrong customer")
        conversation.delete_comment(comment=comment, editor=maria, now=LATER)
        html = show(maria, ticket).content.decode()
        assert "Sent to the wrong customer" not in html
        assert "deleted a message" in html

    def test_hostile_text_stays_text(self, maria: Membership) -> None:
        nasty = "<script>alert(1)</script>"
        contact = make_ticket(maria.workspace, subject=nasty, description=nasty, requester_name=nasty, tags=[nasty])
        make_reply(contact, maria, body=nasty)
        editing.update_ticket(ticket=contact, changes={"subject": nasty + "!"}, actor=base.agent(maria), now=LATER)
        assert "<script>alert" not in show(maria, contact).content.decode()

    def test_the_list_one_came_from_stands_beside_it_and_is_kept(self, maria: Membership, ticket: Ticket) -> None:
        assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW)
        other = make_ticket(maria.workspace, subject="Not mine")
        answer = show(maria, ticket, view="mine", sort="created")
        html = answer.content.decode()
        assert [row.id for row in answer.context["queue"].page.object_list] == [ticket.pk]
        assert other.subject not in html
        assert f'action="/tickets/{ticket.pk}/reply?view=mine&amp;sort=created"' in html
        assert 'aria-current="true"' in html
        sent = signed_in(maria).post(f"/tickets/{ticket.pk}/reply?view=mine", {"body": "Hello"})
        assert sent.url == f"/tickets/{ticket.pk}?view=mine"

    def test_the_requesters_other_tickets_and_attributes_are_told(self, maria: Membership, ticket: Ticket) -> None:
        make_ticket(maria.workspace, subject="Another matter")
        Contact.objects.for_workspace(maria.workspace).update(
            attributes={"plan": "Enterprise", "vip": True},
            organization=OrganizationFactory(workspace=maria.workspace, name="Acme"),
        )
        html = show(maria, ticket).content.decode()
        for words in ("All tickets (2)", "Enterprise", "Acme", "<dd>yes</dd>"):
            assert words in html

    def test_a_merged_ticket_points_to_where_it_went(self, maria: Membership, ticket: Ticket) -> None:
        target = make_ticket(maria.workspace, subject="The first one")
        merging.merge(source=ticket, target_id=target.pk, actor=base.agent(maria), now=LATER)
        html = show(maria, ticket).content.decode()
        assert f'Merged into <a href="/tickets/{target.pk}">#{target.number} The first one</a>' in html
        assert 'id="composer"' not in html
        assert (
            f'merged <a href="/tickets/{ticket.pk}">#{ticket.number}</a> into this ticket'
            in show(maria, target).content.decode()
        )

    @pytest.mark.parametrize("which", ["foreign", "unknown", "trashed"])
    def test_other_tickets_are_not_found(self, maria: Membership, ticket: Ticket, which: str) -> None:
        if which == "foreign":
            ticket = make_ticket(WorkspaceFactory())
        elif which == "unknown":
            ticket = Ticket(pk=uuid4())
        else:
            editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        assert show(maria, ticket).status_code == 404

    def test_a_light_agent_is_offered_a_note_and_nothing_else(self, maria: Membership, ticket: Ticket) -> None:
        light = make_agent(maria.workspace, role="light")
        html = show(light, ticket).content.decode()
        assert 'name="internal" value="1"' in html
        assert "Send and resolve" not in html
        assert f"/tickets/{ticket.pk}/assign" not in html
        assert f"/tickets/{ticket.pk}/status" not in html


class TestQueries:
    def ask(self, member: Membership, ticket: Ticket) -> int:
        client = signed_in(member)
        url = reverse("tickets:ticket", args=[ticket.pk])
        client.get(url)
        with CaptureQueriesContext(connection) as asked:
            assert client.get(url).status_code == 200
        return len(asked)

    def test_a_page_costs_the_same_queries_whatever_was_said(self, maria: Membership, ticket: Ticket) -> None:
        before = self.ask(maria, ticket)
        TeamFactory(workspace=maria.workspace)
        for number in range(8):
            sam = make_agent(maria.workspace)
            at = NOW + dt.timedelta(minutes=number)
            make_reply(ticket, sam, now=at, internal=bool(number % 2))
            customer_writes(ticket, now=at + dt.timedelta(seconds=30))
            assignment.assign(ticket=ticket, assignee_id=sam.user_id, actor=base.agent(maria), now=at)
            editing.watch(ticket=ticket, member=sam, watching=True, now=at)
            other = make_ticket(maria.workspace, subject=f"Cannot log in {number}", now=dt.datetime.now(dt.UTC))
            merging.link(ticket=ticket, other_id=other.pk, kind="related", actor=base.agent(maria), now=at)
            editing.update_ticket(
                ticket=ticket,
                changes={"tags": [f"tag{n}" for n in range(number)], "cc": [f"cc{number}@customers.example"]},
                actor=base.agent(maria),
                now=at,
            )
        make_ticket(maria.workspace, subject="Cannot log in", now=dt.datetime.now(dt.UTC))
        assert before == self.ask(maria, ticket) == 14


class TestTakenBack:
    """`?taken_back=<id>`: a message that was not sent after all is written anew."""

    def taken(self, maria: Membership, ticket: Ticket) -> Comment:
        comment = make_reply(ticket, maria, body="Dear <Jane>,\nno.")
        conversation.delete_comment(comment=comment, editor=maria, now=LATER)
        return comment

    def test_its_text_and_files_stand_in_the_composer(self, maria: Membership, ticket: Ticket) -> None:
        comment = self.taken(maria, ticket)
        upload = SimpleUploadedFile("plan.txt", b"words")
        file = files.attach(ticket=ticket, upload=upload, uploaded_by=maria.user, actor=base.agent(maria), now=LATER)
        other = SimpleUploadedFile("other.txt", b"words")
        files.attach(ticket=ticket, upload=other, uploaded_by=maria.user, actor=base.agent(maria), now=LATER)
        html = show(maria, ticket, taken_back=str(comment.pk), waiting=str(file.pk), view="all").content.decode()
        assert "Dear &lt;Jane&gt;,\nno.</textarea>" in html
        assert f'name="waiting" value="{file.pk}"' in html and "plan.txt" in html
        assert "other.txt" not in html.split('id="composer"')[1].split("</form>")[0]
        assert f'action="/tickets/{ticket.pk}/reply?view=all"' in html  # the next page begins empty again

    def test_only_ones_own_that_was_taken_out(self, maria: Membership, ticket: Ticket) -> None:
        comment = self.taken(maria, ticket)
        standing = make_reply(ticket, maria, body="Dear Sam, yes.")
        elsewhere = self.taken(maria, make_ticket(maria.workspace))
        sam = make_agent(maria.workspace, "admin")
        assert (
            "Dear &lt;Jane" not in show(sam, ticket, taken_back=str(comment.pk)).content.decode().split("composer")[-1]
        )
        for pk in (str(standing.pk), str(elsewhere.pk), UNKNOWN, "x"):
            assert ",\nno.</textarea>" not in show(maria, ticket, taken_back=pk).content.decode()
            assert "yes.</textarea>" not in show(maria, ticket, taken_back=pk).content.decode()


class TestReplying:
    def test_a_reply_is_sent_as_the_agent(self, maria: Membership, ticket: Ticket) -> None:
        answer = post(maria, "reply", ticket, {"body": "On it.", "internal": "0"})
        assert answer.status_code == 302
        assert comments(ticket) == [("On it.", False)]
        ticket.refresh_from_db()
        assert ticket.first_response_at is not None

    def test_a_note_is_internal_and_never_moves_the_ticket(self, maria: Membership, ticket: Ticket) -> None:
        post(maria, "reply", ticket, {"body": "Careful.", "internal": "1", "then": "resolved"})
        assert comments(ticket) == [("Careful.", True)]
        ticket.refresh_from_db()
        assert ticket.status == "open"

    @pytest.mark.parametrize("then", ["resolved", "pending"])
    def test_sending_can_move_the_ticket(self, maria: Membership, ticket: Ticket, then: str) -> None:
        post(maria, "reply", ticket, {"body": "Done.", "internal": "0", "then": then})
        ticket.refresh_from_db()
        assert ticket.status == then

    def test_an_empty_reply_comes_back_with_its_words_and_writes_nothing(
        self, maria: Membership, ticket: Ticket
    ) -> None:
        answer = post(maria, "reply", ticket, {"body": "  ", "internal": "0"})
        assert answer.status_code == 400
        assert "Write something first." in answer.content.decode()
        assert comments(ticket) == []

    def test_an_illegal_move_keeps_the_text_and_writes_nothing(self, maria: Membership, ticket: Ticket) -> None:
        answer = post(maria, "reply", ticket, {"body": "All done now.", "internal": "0", "then": "closed"})
        assert answer.status_code == 409
        assert "All done now." in answer.content.decode()
        assert comments(ticket) == []

    def test_a_reply_is_held_when_somebody_wrote_meanwhile(self, maria: Membership, ticket: Ticket) -> None:
        seen = show(maria, ticket).context["seen_until"]
        customer_writes(ticket, "Never mind, it works again!")
        held = post(maria, "reply", ticket, {"body": "Try this.", "internal": "0", "seen_until": seen})
        html = held.content.decode()
        assert held.status_code == 409
        assert "wrote while you were writing" in html
        assert "Never mind, it works again!" in html
        assert "Try this." in html
        assert "Send anyway" in html
        assert [body for body, _ in comments(ticket)] == ["Never mind, it works again!"]
        newest = held.context["new_seen_until"]
        sent = post(maria, "reply", ticket, {"body": "Try this.", "internal": "0", "seen_until": newest})
        assert sent.status_code == 302
        assert [body for body, _ in comments(ticket)] == ["Never mind, it works again!", "Try this."]

    def test_what_one_wrote_oneself_holds_nothing(self, maria: Membership, ticket: Ticket) -> None:
        seen = show(maria, ticket).context["seen_until"]
        make_reply(ticket, maria, now=LATER)
        assert post(maria, "reply", ticket, {"body": "And this.", "seen_until": seen}).status_code == 302

    def test_files_go_with_the_reply_and_come_back_as_downloads(self, maria: Membership, ticket: Ticket) -> None:
        upload = SimpleUploadedFile("../steps.txt", b"1. Restart", content_type="text/html")
        post(maria, "reply", ticket, {"body": "See the file.", "internal": "0", "files": [upload]})
        file = Attachment.objects.for_workspace(maria.workspace).get()
        assert (file.name, file.is_internal, file.comment is not None) == ("steps.txt", False, True)
        assert "steps.txt" in show(maria, ticket).content.decode()
        answer = signed_in(maria).get(reverse("tickets:attachment", args=[file.pk]))
        assert b"".join(answer.streaming_content) == b"1. Restart"
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["X-Content-Type-Options"] == "nosniff"

    def test_the_files_of_a_held_reply_wait_for_it(self, maria: Membership, ticket: Ticket) -> None:
        seen = show(maria, ticket).context["seen_until"]
        customer_writes(ticket)
        upload = SimpleUploadedFile("steps.txt", b"1. Restart")
        held = post(maria, "reply", ticket, {"body": "See.", "internal": "0", "seen_until": seen, "files": [upload]})
        waiting = [file.pk for file in held.context["waiting"]]
        assert str(waiting[0]) in held.content.decode()
        again = {"body": "See.", "internal": "0", "seen_until": held.context["new_seen_until"], "waiting": waiting}
        assert post(maria, "reply", ticket, again).status_code == 302
        assert Attachment.objects.for_workspace(maria.workspace).exclude(comment=None).count() == 1

    def test_a_light_agent_writes_notes_only(self, maria: Membership, ticket: Ticket) -> None:
        light = make_agent(maria.workspace, role="light")
        assert post(light, "reply", ticket, {"body": "Hello", "internal": "0"}).status_code == 403
        assert comments(ticket) == []
        assert post(light, "reply", ticket, {"body": "Hello", "internal": "1"}).status_code == 302
        assert comments(ticket) == [("Hello", True)]

    def test_a_merged_ticket_takes_no_reply(self, maria: Membership, ticket: Ticket) -> None:
        target = make_ticket(maria.workspace)
        merging.merge(source=ticket, target_id=target.pk, actor=base.agent(maria), now=LATER)
        assert post(maria, "reply", ticket, {"body": "Too late", "internal": "0"}).status_code == 409
        assert comments(target) == []

    def test_the_preview_is_what_will_be_sent(self, maria: Membership) -> None:
        answer = signed_in(maria).post(reverse("tickets:preview"), {"body": "**bold** <script>x</script>"})
        assert "<strong>bold</strong>" in answer.content.decode()
        assert "<script>" not in answer.content.decode()


class TestUnreadableInput:
    @pytest.mark.parametrize(
        ("name", "field"),
        [("reply", "body"), ("update", "subject"), ("update", "tags"), ("merge", "target"), ("link", "target")],
    )
    def test_what_is_no_text_is_refused_and_nothing_is_written(
        self, maria: Membership, ticket: Ticket, name: str, field: str
    ) -> None:
        with nothing_written():
            answer = post(maria, name, ticket, {field: "a\0b", "kind": "related", "internal": "0"})
        assert answer.status_code in (302, 400, 422), answer.status_code

    def test_an_address_that_is_no_text_is_refused(self, maria: Membership, ticket: Ticket) -> None:
        for path in (
            "/tickets/view/all?search=%00",
            "/tickets/view/all?search=%ED%A0%80",
            f"/tickets/{ticket.pk}?x=%FF",
        ):
            assert signed_in(maria).get(path).status_code == 400


class TestComments:
    def test_an_author_edits_their_message(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria, body="Teh answer")
        assert "Teh answer" in signed_in(maria).get(reverse("tickets:comment-edit", args=[comment.pk])).content.decode()
        assert post(maria, "comment-edit", comment, {"body": "The answer"}).status_code == 302
        assert comments(ticket) == [("The answer", False)]
        assert ">edited<" in show(maria, ticket).content.decode()

    def test_an_empty_edit_is_refused(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria, body="Kept")
        assert post(maria, "comment-edit", comment, {"body": " "}).status_code == 400
        assert comments(ticket) == [("Kept", False)]

    def test_another_agent_neither_edits_nor_deletes_it(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria, body="Kept")
        sam = make_agent(maria.workspace)
        assert post(sam, "comment-edit", comment, {"body": "Changed"}).status_code == 403
        assert post(sam, "comment-delete", comment).status_code == 403
        assert comments(ticket) == [("Kept", False)]

    def test_an_admin_deletes_it_and_the_log_keeps_it(self, maria: Membership, ticket: Ticket) -> None:
        comment = make_reply(ticket, maria, body="Regrettable")
        admin = make_agent(maria.workspace, role="admin")
        assert post(admin, "comment-delete", comment).status_code == 302
        assert comments(ticket) == []
        log = Activity.objects.for_workspace(maria.workspace).get(event="ticket.comment.deleted")
        assert log.changes[0]["from"] == "Regrettable"

    def test_a_customers_words_are_not_edited_by_anybody(self, maria: Membership, ticket: Ticket) -> None:
        comment = customer_writes(ticket, "My words")
        admin = make_agent(maria.workspace, role="admin")
        assert post(admin, "comment-edit", comment, {"body": "Others"}).status_code == 403
        assert comments(ticket) == [("My words", False)]

    def test_a_message_becomes_a_ticket_of_its_own(self, maria: Membership, ticket: Ticket) -> None:
        comment = customer_writes(ticket, "By the way, the invoice is wrong.")
        answer = post(maria, "comment-split", comment, {"subject": "Wrong invoice"})
        made = Ticket.objects.for_workspace(maria.workspace).get(subject="Wrong invoice")
        assert answer.url == f"/tickets/{made.pk}"
        assert made.description == "By the way, the invoice is wrong."
        assert f"#{made.number}" in show(maria, ticket).content.decode()

    def test_a_ticket_needs_a_subject(self, maria: Membership, ticket: Ticket) -> None:
        comment = customer_writes(ticket)
        assert post(maria, "comment-split", comment, {"subject": ""}).status_code == 400
        assert Ticket.objects.for_workspace(maria.workspace).count() == 1

    @pytest.mark.parametrize("name", ["comment-edit", "comment-delete", "comment-split"])
    def test_foreign_messages_are_not_found(self, maria: Membership, name: str) -> None:
        theirs = make_ticket(WorkspaceFactory())
        comment = customer_writes(theirs, "Theirs")
        assert post(maria, name, comment, {"body": "Mine", "subject": "Mine"}).status_code == 404
        assert comments(theirs) == [("Theirs", False)]


class TestProperties:
    def test_one_property_changes_and_no_other(self, maria: Membership) -> None:
        ticket = make_ticket(maria.workspace, tags=["vip"], cc=["boss@customers.example"])
        post(maria, "update", ticket, {"priority": "urgent"})
        ticket.refresh_from_db()
        assert ticket.priority == "urgent"
        assert list(ticket.tags.values_list("name", flat=True)) == ["vip"]
        assert ticket.participants.count() == 1

    def test_category_team_tags_cc_and_subject_change_in_place(self, maria: Membership, ticket: Ticket) -> None:
        category = CategoryFactory(workspace=maria.workspace)
        team = TeamFactory(workspace=maria.workspace)
        for data in (
            {"category_id": category.pk},
            {"team_id": team.pk},
            {"tags": "VIP, refund,"},
            {"cc": "a@customers.example; b@customers.example"},
            {"subject": "A better subject"},
        ):
            assert post(maria, "update", ticket, data).status_code == 302
        ticket.refresh_from_db()
        assert (ticket.category_id, ticket.team_id, ticket.subject) == (category.pk, team.pk, "A better subject")
        assert sorted(ticket.tags.values_list("name", flat=True)) == ["refund", "vip"]
        assert ticket.participants.count() == 2
        post(maria, "update", ticket, {"category_id": "", "tags": ""})
        ticket.refresh_from_db()
        assert ticket.category is None
        assert not ticket.tags.exists()

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"priority": "purple"}, "purple is not one of the available choices"),
            ({"subject": " "}, "must not be empty"),
            ({"cc": "nobody"}, "not a complete e-mail address"),
            ({"category_id": UNKNOWN}, "no such category"),
        ],
    )
    def test_wrong_values_are_refused_with_words_and_change_nothing(
        self, maria: Membership, ticket: Ticket, data: dict[str, str], words: str
    ) -> None:
        version = ticket.version
        client = signed_in(maria)
        answer = client.post(reverse("tickets:update", args=[ticket.pk]), data)
        assert words in said(client, answer)
        ticket.refresh_from_db()
        assert ticket.version == version

    def test_htmx_gets_the_parts_that_changed_and_leaves_the_composer(self, maria: Membership, ticket: Ticket) -> None:
        answer = post(maria, "update", ticket, {"priority": "urgent"}, headers=HTMX)
        html = answer.content.decode()
        assert answer.status_code == 200
        assert 'id="properties"' in html
        assert 'id="conversation"' in html
        assert f'id="row-{ticket.pk}" aria-current="true" hx-swap-oob="true"' in html
        assert 'id="composer"' not in html
        assert "Saved." in html

    def test_htmx_is_told_what_was_refused(self, maria: Membership, ticket: Ticket) -> None:
        answer = post(maria, "status", ticket, {"to": "closed"}, headers=HTMX)
        assert answer.status_code == 409
        assert "A ticket that is open cannot become closed." in answer.content.decode()

    def test_a_ticket_is_given_and_taken(self, maria: Membership, ticket: Ticket) -> None:
        sam = make_agent(maria.workspace)
        post(maria, "assign", ticket, {"assignee_id": sam.user_id})
        ticket.refresh_from_db()
        assert ticket.assignee == sam.user
        post(maria, "assign-to-me", ticket)
        ticket.refresh_from_db()
        assert ticket.assignee == maria.user
        post(maria, "assign", ticket, {"assignee_id": ""})
        ticket.refresh_from_db()
        assert ticket.assignee is None
        post(maria, "assign-to-me", ticket)
        post(maria, "unassign", ticket)
        ticket.refresh_from_db()
        assert ticket.assignee is None

    def test_nobody_is_given_a_ticket_who_may_not_work_here(self, maria: Membership, ticket: Ticket) -> None:
        for member in (make_agent(WorkspaceFactory()), make_agent(maria.workspace, role="light")):
            post(maria, "assign", ticket, {"assignee_id": member.user_id})
            ticket.refresh_from_db()
            assert ticket.assignee is None

    def test_a_ticket_walks_through_its_life(self, maria: Membership, ticket: Ticket) -> None:
        for to, expected in (
            ("pending", "pending"),
            ("open", "open"),
            ("resolved", "resolved"),
            ("closed", "closed"),
            ("open", "open"),
            ("resolve_and_close", "closed"),
        ):
            post(maria, "status", ticket, {"to": to})
            ticket.refresh_from_db()
            assert ticket.status == expected

    def test_an_illegal_move_is_said_and_changes_nothing(self, maria: Membership, ticket: Ticket) -> None:
        client = signed_in(maria)
        answer = client.post(reverse("tickets:status", args=[ticket.pk]), {"to": "closed"})
        assert "cannot become closed" in said(client, answer)
        ticket.refresh_from_db()
        assert ticket.status == "open"

    def test_watching_begins_and_ends(self, maria: Membership, ticket: Ticket) -> None:
        post(maria, "watch", ticket, {"watching": "1"})
        assert ticket.watchers.get().user == maria.user
        post(maria, "watch", ticket, {"watching": "0"})
        assert not ticket.watchers.exists()

    def test_an_admin_throws_a_ticket_away(self, maria: Membership, ticket: Ticket) -> None:
        admin = make_agent(maria.workspace, role="admin")
        client = signed_in(admin)
        answer = client.post(reverse("tickets:ticket-trash", args=[ticket.pk]) + "?view=mine")
        assert answer.url == "/tickets/view/mine"
        assert '<a href="/tickets/trash">Open the trash</a>' in said(client, answer)
        ticket.refresh_from_db()
        assert ticket.trashed_at is not None


class TestMerging:
    def test_tickets_are_merged_by_number_and_told_apart_again(self, maria: Membership, ticket: Ticket) -> None:
        make_reply(ticket, maria, body="Said before")
        target = make_ticket(maria.workspace, subject="The first one")
        answer = post(maria, "merge", ticket, {"target": f"#{target.number}"})
        assert answer.url == f"/tickets/{target.pk}"
        assert comments(target) == [("Said before", False)]
        assert f"/tickets/{ticket.pk}/unmerge" in show(maria, target).content.decode()
        post(maria, "unmerge", ticket)
        assert f"/tickets/{ticket.pk}/unmerge" not in show(maria, target).content.decode()
        ticket.refresh_from_db()
        assert ticket.merged_into is None
        assert comments(ticket) == [("Said before", False)]

    @pytest.mark.parametrize(
        ("target", "words"),
        [("", "required"), ("#999999", "no such ticket"), ("twelve", "no such ticket"), ("self", "into itself")],
    )
    def test_a_wrong_target_is_said_beside_the_field(
        self, maria: Membership, ticket: Ticket, target: str, words: str
    ) -> None:
        answer = post(maria, "merge", ticket, {"target": str(ticket.number) if target == "self" else target})
        assert answer.status_code == 400
        assert words in answer.content.decode()
        ticket.refresh_from_db()
        assert ticket.status == "open"

    def test_a_foreign_ticket_is_no_target(self, maria: Membership, ticket: Ticket) -> None:
        theirs = make_ticket(WorkspaceFactory())
        answer = post(maria, "merge", ticket, {"target": str(theirs.pk)})
        assert "There is no such ticket." in answer.content.decode()
        ticket.refresh_from_db()
        assert ticket.merged_into is None

    def test_likely_duplicates_are_offered(self, maria: Membership, ticket: Ticket) -> None:
        now = dt.datetime.now(dt.UTC)
        twin = make_ticket(maria.workspace, subject="Cannot log in at all", now=now)
        html = show(maria, ticket).content.decode()
        assert "Possibly the same" in html
        assert f'name="target" value="{twin.pk}"' in html

    def test_tickets_are_linked(self, maria: Membership, ticket: Ticket) -> None:
        other = make_ticket(maria.workspace, subject="The cause of it")
        post(maria, "link", ticket, {"target": str(other.number), "kind": "parent"})
        assert "The cause of it" in show(maria, ticket).content.decode()
        assert "Parent ·" in show(maria, other).content.decode()
        client = signed_in(maria)
        answer = client.post(reverse("tickets:link", args=[ticket.pk]), {"target": "#5", "kind": "related"})
        assert "There is no such ticket." in said(client, answer)
        assert ticket.links.count() == 1


class TestNewTicket:
    GIVEN = {
        "subject": "Printer on fire",
        "description": "It **burns**.",
        "requester_email": "Tom@Customers.example",
        "requester_name": "Tom Becker",
        "priority": "urgent",
        "tags": "hardware, fire",
        "cc": "boss@customers.example",
    }

    def send(self, member: Membership, **data: Any) -> Any:
        return signed_in(member).post(reverse("tickets:new"), self.GIVEN | data)

    def test_it_is_opened_with_everything_that_was_given(self, maria: Membership) -> None:
        category = CategoryFactory(workspace=maria.workspace)
        file = SimpleUploadedFile("photo.txt", b"smoke")
        answer = self.send(maria, category_id=category.pk, assignee_id=maria.user_id, files=[file])
        ticket = Ticket.objects.for_workspace(maria.workspace).get()
        assert answer.url == f"/tickets/{ticket.pk}"
        assert (ticket.requester_email, ticket.priority, ticket.category, ticket.assignee, ticket.channel) == (
            "tom@customers.example",
            "urgent",
            category,
            maria.user,
            "web",
        )
        assert sorted(ticket.tags.values_list("name", flat=True)) == ["fire", "hardware"]
        assert "photo.txt" in show(maria, ticket).content.decode()

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("subject", "", "This field is required."),
            ("subject", "x" * 256, "at most 255 characters"),
            ("description", " ", "This field is required."),
            ("requester_email", "nobody", "Enter a valid email address."),
            ("priority", "purple", "purple is not one of the available choices"),
            ("category_id", UNKNOWN, "not one of the available choices"),
            ("assignee_id", UNKNOWN, "not one of the available choices"),
            ("cc", "boss", "not a complete e-mail address"),
            ("tags", "x" * 41, "too long"),
        ],
    )
    def test_wrong_input_comes_back_filled_in_with_its_message(
        self, maria: Membership, field: str, value: str, words: str
    ) -> None:
        answer = self.send(maria, **{field: value})
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == [field]
        html = answer.content.decode()
        assert words in html
        assert "Tom Becker" in html
        assert not Ticket.objects.for_workspace(maria.workspace).exists()
        assert not Contact.objects.for_workspace(maria.workspace).exists()

    def test_an_empty_file_is_refused(self, maria: Membership) -> None:
        answer = self.send(maria, files=[SimpleUploadedFile("empty.txt", b"")])
        assert list(answer.context["form"].errors) == ["files"]
        assert not Ticket.objects.for_workspace(maria.workspace).exists()

    def test_what_the_customer_wrote_already_is_offered(self, maria: Membership) -> None:
        make_ticket(maria.workspace, subject="Printer is on fire", now=dt.datetime.now(dt.UTC))
        query = {"subject": "Printer on fire", "requester_email": "jane@customers.example"}
        html = signed_in(maria).get(reverse("tickets:similar"), query).content.decode()
        assert "Printer is on fire" in html
        nothing = signed_in(maria).get(reverse("tickets:similar"), query | {"requester_email": "x@y.example"})
        assert "Printer is on fire" not in nothing.content.decode()


class TestCannedInTheComposer:
    def test_one_is_put_into_the_composer_without_scripts(self, maria: Membership, ticket: Ticket) -> None:
        response = CannedResponseFactory(
            workspace=maria.workspace,
            content="Hi {{customer_name}}, about {{ticket_number}}: {{nonsense}} {{agent_name}}",
        )
        html = show(maria, ticket, canned=str(response.pk)).content.decode()
        assert f"Hi Jane Smith, about #{ticket.number}: {{{{nonsense}}}} Maria Rossi" in html

    def test_a_foreign_or_broken_one_is_passed_over(self, maria: Membership, ticket: Ticket) -> None:
        foreign = CannedResponseFactory(content="Secret of others")
        assert "Secret of others" not in show(maria, ticket, canned=str(foreign.pk)).content.decode()
        assert show(maria, ticket, canned="nonsense").status_code == 200


class TestFiles:
    def test_a_foreign_file_is_not_found(self, maria: Membership, ticket: Ticket) -> None:
        post(maria, "reply", ticket, {"body": "x", "files": [SimpleUploadedFile("a.txt", b"secret")]})
        file = Attachment.objects.for_workspace(maria.workspace).get()
        stranger = make_agent(WorkspaceFactory())
        assert signed_in(stranger).get(reverse("tickets:attachment", args=[file.pk])).status_code == 404

    def test_a_file_that_is_too_large_is_refused(self, maria: Membership, ticket: Ticket, settings: Any) -> None:
        settings.ATTACHMENT_MAX_BYTES = 4
        answer = post(maria, "reply", ticket, {"body": "x", "files": [SimpleUploadedFile("a.txt", b"12345")]})
        assert answer.status_code == 400
        assert "too large" in answer.content.decode()
        assert comments(ticket) == []


def test_resolving_from_the_queue_shows_on_the_page(maria: Membership, ticket: Ticket) -> None:
    status.change_status(ticket=ticket, to="resolved", actor=base.agent(maria), now=LATER)
    html = show(maria, ticket).content.decode()
    assert "Reopen" in html
    assert "resolved this ticket" in html
