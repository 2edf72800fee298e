"""What people say: first response, status, stale replies, follow-ups, edits."""

import datetime as dt

import pytest

from helpdesk.accounts import services as accounts
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound
from tickets.models import Activity, Comment, Ticket, TicketLink
from tickets.services import assignment, base, conversation, editing, merging, status
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def workspace():
    return WorkspaceFactory()


@pytest.fixture
def maria(workspace):
    return make_agent(workspace, user__name="Maria Rossi")


@pytest.fixture
def ticket(workspace):
    return make_ticket(workspace)


def written() -> tuple[int, int]:
    return Comment.unscoped.count(), Activity.unscoped.count()


class TestFirstResponse:
    def test_it_is_the_first_public_message_of_an_agent(self, ticket, maria):
        make_reply(ticket, maria, now=NOW + HOUR)
        make_reply(ticket, maria, now=NOW + 2 * HOUR)
        ticket.refresh_from_db()
        assert ticket.first_response_at == NOW + HOUR
        assert not ticket.is_new

    def test_a_note_is_not_a_response(self, ticket, maria):
        make_reply(ticket, maria, internal=True)
        ticket.refresh_from_db()
        assert ticket.first_response_at is None
        assert ticket.is_new

    def test_a_status_change_is_not_a_response(self, ticket, maria):
        status.change_status(ticket=ticket, to="pending", actor=base.agent(maria), now=NOW)
        ticket.refresh_from_db()
        assert ticket.first_response_at is None

    def test_a_customer_message_is_not_a_response(self, ticket):
        conversation.customer_reply(ticket=ticket, contact=ticket.requester, body="Hello?", channel="portal", now=NOW)
        ticket.refresh_from_db()
        assert ticket.first_response_at is None

    def test_automatic_mail_is_not_a_response(self, ticket, maria):
        conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="Out of office", channel="email", automatic=True, now=NOW
        )
        ticket.refresh_from_db()
        assert ticket.first_response_at is None


class TestAgentReply:
    def test_sending_and_resolving_is_one_action(self, ticket, maria):
        make_reply(ticket, maria, then="resolved")
        ticket.refresh_from_db()
        assert (ticket.status, ticket.resolved_at) == ("resolved", NOW)
        assert [a.event for a in ticket.activities.order_by("pk")] == [
            "ticket.created",
            "ticket.comment.added",
            "ticket.resolved",
        ]

    def test_an_illegal_move_takes_the_reply_back(self, ticket, maria):
        before = written()
        with pytest.raises(Conflict):
            make_reply(ticket, maria, then="closed")
        assert written() == before

    def test_a_light_agent_writes_notes_only(self, workspace, ticket):
        light = make_agent(workspace, role="light")
        make_reply(ticket, light, internal=True)
        before = written()
        with pytest.raises(NotAllowed):
            make_reply(ticket, light)
        with pytest.raises(NotAllowed):
            make_reply(ticket, light, internal=True, then="resolved")
        assert written() == before

    @pytest.mark.parametrize("body", ["", "  \n ", "a\0b", "\ud800", "x" * 200_001, None, 7])
    def test_a_wrong_body_is_named_and_nothing_is_written(self, ticket, maria, body):
        before = written()
        with pytest.raises(InvalidInput) as caught:
            make_reply(ticket, maria, body=body)
        assert "body" in caught.value.errors
        assert written() == before

    def test_a_reply_to_a_trashed_ticket_finds_nothing(self, ticket, maria):
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        with pytest.raises(NotFound):
            make_reply(ticket, maria)


class TestStaleReplyGuard:
    def test_a_reply_is_held_when_somebody_wrote_since_the_page_was_loaded(self, workspace, ticket, maria):
        sam = make_agent(workspace, user__name="Sam Okafor")
        make_reply(ticket, sam, now=NOW + HOUR, body="I have it.")
        before = written()
        with pytest.raises(conversation.StaleReply) as caught:
            make_reply(ticket, maria, seen_until=NOW, now=NOW + 2 * HOUR)
        assert [comment.body for comment in caught.value.comments] == ["I have it."]
        assert "Sam Okafor" in caught.value.detail
        assert written() == before

    def test_a_customer_message_holds_it_too(self, ticket, maria):
        conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="Solved!", channel="portal", now=NOW + HOUR
        )
        with pytest.raises(conversation.StaleReply):
            make_reply(ticket, maria, seen_until=NOW)

    def test_a_colleagues_note_holds_it_too(self, workspace, ticket, maria):
        make_reply(ticket, make_agent(workspace), now=NOW + HOUR, internal=True, body="Do not refund.")
        before = written()
        with pytest.raises(conversation.StaleReply) as caught:
            make_reply(ticket, maria, seen_until=NOW, now=NOW + 2 * HOUR)
        assert [comment.body for comment in caught.value.comments] == ["Do not refund."]
        assert written() == before

    def test_what_the_agent_has_seen_or_written_themselves_does_not_hold_it(self, workspace, ticket, maria):
        make_reply(ticket, make_agent(workspace), now=NOW + HOUR)
        make_reply(ticket, maria, now=NOW + 2 * HOUR, seen_until=NOW + HOUR)
        make_reply(ticket, maria, now=NOW + 3 * HOUR, seen_until=NOW + HOUR)
        assert ticket.comments.count() == 3

    def test_sending_anyway_is_possible(self, workspace, ticket, maria):
        make_reply(ticket, make_agent(workspace), now=NOW + HOUR)
        make_reply(ticket, maria, now=NOW + 2 * HOUR, seen_until=None)
        assert ticket.comments.count() == 2


class TestCustomerAnswers:
    def answer(self, ticket, now=NOW, **fields):
        return conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="Any news?", channel="portal", now=now, **fields
        )

    @pytest.mark.parametrize("before", ["pending", "resolved"])
    def test_pending_and_resolved_tickets_open_again(self, ticket, maria, before):
        status.change_status(ticket=ticket, to=before, actor=base.agent(maria), now=NOW)
        delivered = self.answer(ticket, NOW + HOUR)
        assert delivered.ticket.status == "open"
        assert delivered.ticket.resolved_at is None

    def close(self, ticket, maria, now=NOW):
        status.resolve_and_close(ticket=ticket, actor=base.agent(maria), now=now)

    def test_a_closed_ticket_reopens_within_the_window_since_the_last_close(self, ticket, maria):
        self.close(ticket, maria)
        ticket = self.answer(ticket, NOW + dt.timedelta(days=10)).ticket
        self.close(ticket, maria, NOW + dt.timedelta(days=11))
        delivered = self.answer(ticket, NOW + dt.timedelta(days=24))  # 13 days since the last close
        assert (delivered.ticket.pk, delivered.ticket.status) == (ticket.pk, "open")

    def test_later_it_becomes_a_new_ticket_linked_as_follow_up(self, ticket, maria):
        self.close(ticket, maria)
        delivered = self.answer(ticket, NOW + dt.timedelta(days=14, seconds=1))
        assert delivered.is_follow_up
        assert delivered.ticket.pk != ticket.pk
        assert delivered.ticket.description == "Any news?"
        link = TicketLink.unscoped.get()
        assert (link.ticket_id, link.other_id, link.kind) == (ticket.pk, delivered.ticket.pk, "follow_up")
        ticket.refresh_from_db()
        assert ticket.status == "closed"

    @pytest.mark.parametrize("before", ["pending", "resolved"])
    def test_automatic_mail_threads_but_never_reopens(self, ticket, maria, before):
        status.change_status(ticket=ticket, to=before, actor=base.agent(maria), now=NOW)
        delivered = self.answer(ticket, NOW + HOUR, automatic=True)
        assert delivered.ticket.status == before
        assert delivered.comment is not None

    def test_automatic_mail_to_a_long_closed_ticket_opens_nothing(self, ticket, maria):
        self.close(ticket, maria)
        self.answer(ticket, NOW + dt.timedelta(days=100), automatic=True)
        assert Ticket.unscoped.count() == 1

    def test_a_stranger_cannot_answer(self, workspace, ticket):
        before = written()
        with pytest.raises(NotFound):
            conversation.customer_reply(
                ticket=ticket, contact=ContactFactory(workspace=workspace), body="Hi", channel="portal", now=NOW
            )
        assert written() == before

    def test_mail_to_a_merged_ticket_lands_on_the_final_target_through_chains(self, workspace, maria):
        first, second, third = (make_ticket(workspace) for _ in range(3))
        merging.merge(source=first, target_id=second.pk, actor=base.agent(maria), now=NOW)
        merging.merge(source=second, target_id=third.pk, actor=base.agent(maria), now=NOW)
        delivered = self.answer(Ticket.unscoped.get(pk=first.pk))
        assert delivered.ticket.pk == third.pk
        assert delivered.comment.ticket_id == third.pk


class TestEditing:
    def test_the_author_may_change_their_words_and_the_log_keeps_the_old_ones(self, ticket, maria):
        comment = make_reply(ticket, maria, body="It is the chache.")
        edited = conversation.edit_comment(comment=comment, editor=maria, body="It is the cache.", now=NOW + HOUR)
        assert (edited.body, edited.edited_at) == ("It is the cache.", NOW + HOUR)
        assert ticket.activities.get(event="ticket.comment.edited").changes == [
            {"field": "body", "from": "It is the chache.", "to": "It is the cache."}
        ]

    def test_another_agent_may_not_an_admin_may(self, workspace, ticket, maria):
        comment = make_reply(ticket, maria)
        before = written()
        with pytest.raises(NotAllowed):
            conversation.edit_comment(comment=comment, editor=make_agent(workspace), body="x", now=NOW)
        with pytest.raises(NotAllowed):
            conversation.delete_comment(comment=comment, editor=make_agent(workspace), now=NOW)
        assert written() == before
        conversation.edit_comment(comment=comment, editor=make_agent(workspace, role="admin"), body="x", now=NOW)

    def test_an_agent_who_became_a_light_agent_changes_their_notes_only(self, ticket, maria):
        answer, note = make_reply(ticket, maria), make_reply(ticket, maria, internal=True)
        maria.role = "light"
        maria.save()
        with pytest.raises(NotAllowed):
            conversation.edit_comment(comment=answer, editor=maria, body="Changed", now=NOW + HOUR)
        with pytest.raises(NotAllowed):
            conversation.delete_comment(comment=answer, editor=maria, now=NOW + HOUR)
        assert conversation.edit_comment(comment=note, editor=maria, body="Changed", now=NOW + HOUR).body == "Changed"

    def test_a_customers_words_stay_as_they_are_even_for_admins(self, workspace, ticket):
        comment = conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="My words", channel="portal", now=NOW
        ).comment
        with pytest.raises(NotAllowed):
            conversation.edit_comment(comment=comment, editor=make_agent(workspace, role="owner"), body="x", now=NOW)

    def test_a_deleted_comment_is_gone_once_and_kept_in_the_log(self, ticket, maria):
        comment = make_reply(ticket, maria, body="Wrong ticket, sorry.")
        conversation.delete_comment(comment=comment, editor=maria, now=NOW)
        with pytest.raises(NotFound):
            conversation.delete_comment(comment=comment, editor=maria, now=NOW)
        assert ticket.activities.get(event="ticket.comment.deleted").changes[0]["from"] == "Wrong ticket, sorry."


def test_the_deactivated_agent_is_unassigned_from_open_tickets_not_from_closed_ones(workspace, maria):
    open_one, closed_one = make_ticket(workspace), make_ticket(workspace)
    for one in (open_one, closed_one):
        assignment.assign(ticket=one, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW)
    status.resolve_and_close(ticket=closed_one, actor=base.agent(maria), now=NOW)
    assert assignment.release_member(membership=maria, actor=base.agent(maria), now=NOW + HOUR) == 1
    open_one.refresh_from_db()
    closed_one.refresh_from_db()
    assert (open_one.assignee_id, closed_one.assignee_id) == (None, maria.user_id)
    assert open_one.assignments.get().ended_at == NOW + HOUR


@pytest.mark.parametrize("how", ["reopened", "answered", "restored"])
def test_a_ticket_that_comes_back_after_its_agent_left_is_unassigned(workspace, maria, how):
    ticket, owner = make_ticket(workspace), make_agent(workspace, role="owner")
    assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=base.agent(owner), now=NOW)
    if how == "restored":
        editing.trash(ticket=ticket, actor=base.agent(owner), now=NOW)
    else:
        status.resolve_and_close(ticket=ticket, actor=base.agent(owner), now=NOW)
    accounts.deactivate_member(membership=maria, by=owner, now=NOW)
    ticket.refresh_from_db()
    assert ticket.assignee_id == maria.user_id
    if how == "reopened":
        status.reopen(ticket=ticket, actor=base.agent(owner), now=NOW + HOUR)
    elif how == "answered":
        conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="Still broken", channel="portal", now=NOW + HOUR
        )
    else:
        editing.restore(workspace_id=workspace.pk, ticket_id=ticket.pk, actor=base.agent(owner), now=NOW + HOUR)
    fresh = Ticket.unscoped.get(pk=ticket.pk)
    assert (fresh.status, fresh.assignee_id) == ("open", None)
    assert ticket.assignments.get().ended_at == NOW + HOUR


def test_whoever_leaves_the_workspace_is_unassigned_there_and_in_no_other(workspace, maria):
    elsewhere = make_agent(WorkspaceFactory(), user=maria.user)
    here, there = make_ticket(workspace), make_ticket(elsewhere.workspace)
    for one, member in ((here, maria), (there, elsewhere)):
        assignment.assign(ticket=one, assignee_id=maria.user_id, actor=base.agent(member), now=NOW)
    owner = make_agent(workspace, role="owner")
    accounts.deactivate_member(membership=maria, by=owner, now=NOW + HOUR)
    here.refresh_from_db()
    there.refresh_from_db()
    assert (here.assignee_id, there.assignee_id) == (None, maria.user_id)
    logged = here.activities.get(event="ticket.unassigned")
    assert (logged.actor_user, logged.occurred_at) == (owner.user, NOW + HOUR)
