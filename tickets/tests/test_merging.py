"""Merge by a ledger, unmerge, split, links."""

import datetime as dt

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets import access
from tickets.models import Activity, Merge, Ticket
from tickets.services import assignment, base, conversation, editing, files, merging, status
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def workspace():
    return WorkspaceFactory()


@pytest.fixture
def maria(workspace):
    return make_agent(workspace)


@pytest.fixture
def source(workspace):
    return make_ticket(workspace, requester_email="bob@customers.example", cc=["boss@customers.example"])


@pytest.fixture
def target(workspace):
    return make_ticket(workspace)


def merge(source, target, maria, now=NOW):
    return merging.merge(source=source, target_id=target.pk, actor=base.agent(maria), now=now)


def test_comments_and_files_move_in_order_of_time(source, target, maria):
    attachment = files.attach(
        ticket=source,
        upload=SimpleUploadedFile("locked.txt", b"locked"),
        uploaded_by=maria.user,
        actor=base.agent(maria),
        now=NOW,
    )
    first = make_reply(source, maria, now=NOW + HOUR, attachment_ids=[attachment.pk])
    second = make_reply(target, maria, now=NOW + 2 * HOUR)
    merge(source, target, maria, NOW + 3 * HOUR)
    assert [c.pk for c in target.comments.order_by("created_at")] == [first.pk, second.pk]
    attachment.refresh_from_db()
    assert attachment.ticket_id == target.pk


def test_watchers_move_once_each(workspace, source, target, maria):
    sam = make_agent(workspace)
    for ticket, member in ((source, maria), (source, sam), (target, maria)):
        editing.watch(ticket=ticket, member=member, watching=True, now=NOW)
    merge(source, target, maria)
    assert sorted(target.watchers.values_list("user_id", flat=True)) == sorted([maria.user_id, sam.user_id])


def test_the_requester_and_the_people_in_copy_become_participants(source, target, maria):
    merge(source, target, maria)
    assert set(target.participants.values_list("contact__email", flat=True)) == {
        "bob@customers.example",
        "boss@customers.example",
    }


def test_who_takes_part_in_the_target_already_is_not_added_to_it(workspace, source, maria):
    target = make_ticket(workspace, requester_email="bob@customers.example", cc=["boss@customers.example"])
    merge(source, target, maria)
    assert [p.contact.email for p in target.participants.all()] == ["boss@customers.example"]


def test_the_request_itself_and_its_files_stay_with_the_source(source, target, maria):
    request = files.prepare(workspace_id=source.workspace_id, upload=SimpleUploadedFile("a.txt", b"a"), now=NOW)
    request.ticket = source
    request.save()
    merge(source, target, maria)
    assert source.attachments.get().pk == request.pk
    assert not target.attachments.exists()


def test_the_source_is_closed_and_points_to_the_target(source, target, maria):
    merge(source, target, maria, NOW + HOUR)
    source.refresh_from_db()
    assert (source.merged_into_id, source.status, source.closed_at) == (target.pk, "closed", NOW + HOUR)


def test_both_sides_log_it(source, target, maria):
    merge(source, target, maria)
    for ticket in (source, target):
        data = ticket.activities.get(event="ticket.merged").payload["data"]
        assert (data["source_number"], data["target_number"]) == (f"#{source.number}", f"#{target.number}")


def test_the_log_of_the_source_says_from_which_status_it_was_closed_and_back_to_which_it_went(source, target, maria):
    status.change_status(ticket=source, to="pending", actor=base.agent(maria), now=NOW)
    merge(source, target, maria, NOW + HOUR)
    merging.unmerge(source=source, actor=base.agent(maria), now=NOW + 2 * HOUR)
    for event, at, change in (
        ("ticket.merged", NOW + HOUR, {"field": "status", "from": "pending", "to": "closed"}),
        ("ticket.unmerged", NOW + 2 * HOUR, {"field": "status", "from": "closed", "to": "pending"}),
    ):
        activity = source.activities.get(event=event)
        assert (activity.changes, activity.occurred_at, activity.actor_user) == ([change], at, maria.user)
        assert target.activities.get(event=event).changes == []


def test_nothing_can_be_done_to_a_merged_ticket(source, target, maria):
    merge(source, target, maria)
    with pytest.raises(Conflict):
        make_reply(source, maria)
    with pytest.raises(Conflict):
        editing.update_ticket(ticket=source, changes={"priority": "low"}, actor=base.agent(maria), now=NOW)


class TestRefusals:
    def refused(self, error, source, target_id, maria):
        before = Activity.unscoped.count()
        with pytest.raises(error):
            merging.merge(source=source, target_id=target_id, actor=base.agent(maria), now=NOW)
        assert Activity.unscoped.count() == before

    def test_itself(self, source, maria):
        self.refused(InvalidInput, source, source.pk, maria)

    def test_a_target_that_is_merged_already(self, workspace, source, target, maria):
        third = make_ticket(workspace)
        merge(target, third, maria)
        self.refused(Conflict, source, target.pk, maria)

    def test_a_source_that_is_merged_already(self, workspace, source, target, maria):
        merge(source, target, maria)
        self.refused(Conflict, Ticket.unscoped.get(pk=source.pk), make_ticket(workspace).pk, maria)

    def test_a_ticket_of_another_workspace(self, source, maria):
        self.refused(NotFound, source, make_ticket(WorkspaceFactory()).pk, maria)

    def test_a_circle(self, source, target, maria):
        merge(source, target, maria)
        self.refused(Conflict, Ticket.unscoped.get(pk=target.pk), source.pk, maria)


class TestUnmerge:
    def test_one_click_brings_back_what_moved_and_what_came_later_stays(self, workspace, source, target, maria):
        moved = make_reply(source, maria, now=NOW + HOUR)
        sam = make_agent(workspace)
        editing.watch(ticket=source, member=sam, watching=True, now=NOW)
        merge(source, target, maria, NOW + 2 * HOUR)
        later = conversation.customer_reply(
            ticket=source, contact=source.requester, body="And now?", channel="portal", now=NOW + 3 * HOUR
        ).comment
        back = merging.unmerge(source=source, actor=base.agent(maria), now=NOW + 4 * HOUR)
        assert (back.status, back.merged_into_id, back.closed_at) == ("open", None, None)
        assert list(source.comments.all()) == [moved]
        assert list(target.comments.all()) == [later]
        assert not target.watchers.exists()
        assert not target.participants.exists()
        assert source.watchers.get().user_id == sam.user_id
        ledger = Merge.unscoped.get()
        assert ledger.undone_at == NOW + 4 * HOUR

    def test_what_the_target_had_before_stays(self, workspace, source, target, maria):
        said = make_reply(target, maria)
        for ticket in (source, target):
            editing.watch(ticket=ticket, member=maria, watching=True, now=NOW)
            editing.update_ticket(ticket=ticket, changes={"cc": ["x@x.example"]}, actor=base.agent(maria), now=NOW)
        merge(source, target, maria)
        merging.unmerge(source=source, actor=base.agent(maria), now=NOW)
        for ticket in (source, target):
            assert ticket.watchers.get().user_id == maria.user_id
            assert ticket.participants.get().contact.email == "x@x.example"
        assert list(target.comments.all()) == [said]

    @pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
    def test_in_a_chain_everybody_gets_their_own_words_back_in_any_order(self, workspace, maria, order):
        tickets = {name: make_ticket(workspace) for name in ("first", "second", "third")}
        said = {name: make_reply(ticket, maria, body=name) for name, ticket in tickets.items()}
        merge(tickets["first"], tickets["second"], maria)
        merge(tickets["second"], tickets["third"], maria)
        assert tickets["third"].comments.count() == 3
        for name in order:
            merging.unmerge(source=Ticket.unscoped.get(pk=tickets[name].pk), actor=base.agent(maria), now=NOW)
        for name, ticket in tickets.items():
            assert list(ticket.comments.all()) == [said[name]], name

    def test_in_a_chain_nobody_is_left_behind_where_they_were_carried(self, workspace, source, target, maria):
        editing.watch(ticket=source, member=maria, watching=True, now=NOW)
        end = make_ticket(workspace, requester_email="eve@customers.example")
        merge(source, target, maria)
        merge(Ticket.unscoped.get(pk=target.pk), end, maria)
        assert end.watchers.count() == 1
        merging.unmerge(source=Ticket.unscoped.get(pk=source.pk), actor=base.agent(maria), now=NOW)
        assert [p.contact.email for p in end.participants.all()] == ["jane@customers.example"]
        assert not end.watchers.exists()

    def test_in_a_chain_the_later_merge_forgets_what_was_taken_out_of_it(self, workspace, source, target, maria):
        said = make_reply(source, maria, body="zebra")
        end = make_ticket(workspace)
        merge(source, target, maria)
        merge(Ticket.unscoped.get(pk=target.pk), end, maria)
        version = Ticket.unscoped.get(pk=end.pk).version
        merging.unmerge(source=Ticket.unscoped.get(pk=source.pk), actor=base.agent(maria), now=NOW)
        assert Ticket.unscoped.get(pk=end.pk).version == version + 1  # its Cc is another one
        merge(Ticket.unscoped.get(pk=source.pk), end, maria)
        merging.unmerge(source=Ticket.unscoped.get(pk=target.pk), actor=base.agent(maria), now=NOW)
        assert list(end.comments.all()) == [said]

    def test_a_target_in_the_trash_gives_back_what_is_not_its_own(self, source, target, maria):
        said = make_reply(source, maria)
        merge(source, target, maria)
        editing.trash(ticket=target, actor=base.agent(maria), now=NOW)
        merging.unmerge(source=Ticket.unscoped.get(pk=source.pk), actor=base.agent(maria), now=NOW)
        assert list(source.comments.all()) == [said]

    def test_the_agent_who_left_meanwhile_does_not_get_it_back(self, workspace, source, target, maria):
        assignment.assign(ticket=source, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW)
        merge(source, target, maria)
        maria.is_active = False
        maria.save()
        back = merging.unmerge(source=Ticket.unscoped.get(pk=source.pk), actor=base.agent(maria), now=NOW)
        assert (back.status, back.assignee_id) == ("open", None)

    def test_a_ticket_that_is_not_merged_is_refused(self, source, maria):
        with pytest.raises(Conflict):
            merging.unmerge(source=source, actor=base.agent(maria), now=NOW)

    def test_it_can_be_merged_again(self, source, target, maria):
        merge(source, target, maria)
        merging.unmerge(source=source, actor=base.agent(maria), now=NOW)
        merge(Ticket.unscoped.get(pk=source.pk), target, maria)
        assert Merge.unscoped.count() == 2


class TestCustomerTokens:
    def test_the_sources_token_opens_the_target_for_its_requester_who_takes_part_now(self, source, target, maria):
        token = access.issue(ticket=source, contact=source.requester, now=NOW)
        merge(source, target, maria)
        opened = access.open_with(ticket_id=source.pk, token=token, now=NOW)
        assert opened is not None
        assert (opened[0].pk, opened[1]) == (target.pk, source.requester)

    def test_it_opens_nothing_any_more_for_someone_who_takes_no_part_in_the_target(self, source, target, maria):
        token = access.issue(ticket=source, contact=source.requester, now=NOW)
        merge(source, target, maria)
        target.participants.filter(contact=source.requester).delete()
        assert access.open_with(ticket_id=source.pk, token=token, now=NOW) is None

    def test_the_targets_own_address_stays_closed_to_it(self, source, target, maria):
        token = access.issue(ticket=source, contact=source.requester, now=NOW)
        merge(source, target, maria)
        assert access.open_with(ticket_id=target.pk, token=token, now=NOW) is None


def test_a_comment_can_become_a_ticket_of_its_own(source, maria):
    comment = conversation.customer_reply(
        ticket=source, contact=source.requester, body="By the way, the invoice is wrong.", channel="email", now=NOW
    ).comment
    new = merging.split(comment=comment, subject="Wrong invoice", actor=base.agent(maria), now=NOW + HOUR)
    assert (new.subject, new.description, new.requester_email) == (
        "Wrong invoice",
        "By the way, the invoice is wrong.",
        "bob@customers.example",
    )
    assert source.links.get().other_id == new.pk
    assert source.activities.filter(event="ticket.split").count() == 1


def test_tickets_are_linked_once_per_kind(source, target, maria):
    for _ in range(2):
        merging.link(ticket=source, other_id=target.pk, kind="parent", actor=base.agent(maria), now=NOW)
    assert source.links.count() == 1
    assert source.activities.filter(event="ticket.linked").count() == 1
    with pytest.raises(InvalidInput):
        merging.link(ticket=source, other_id=target.pk, kind="cousin", actor=base.agent(maria), now=NOW)
    with pytest.raises(InvalidInput):
        merging.link(ticket=source, other_id=source.pk, kind="related", actor=base.agent(maria), now=NOW)
