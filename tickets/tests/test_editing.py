"""Fields, assignment, status, trash: every change leaves who, when, from, to."""

import datetime as dt

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, LostUpdate, NotFound
from tickets.models import Activity, Assignment, Attachment, Ticket
from tickets.services import assignment, base, editing, files, merging, status
from tickets.tests.factories import NOW, CategoryFactory, make_agent, make_reply, make_ticket

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


def update(ticket, maria, now=NOW + HOUR, **changes):
    return editing.update_ticket(ticket=ticket, changes=changes, actor=base.agent(maria), now=now)


def test_every_change_leaves_who_when_from_to(workspace, ticket, maria):
    category = CategoryFactory(workspace=workspace, name="Billing")
    update(ticket, maria, subject="Wrong invoice", priority="high", category_id=category.pk, tags=["VIP", "refund"])
    activity = ticket.activities.get(event="ticket.updated")
    assert (activity.actor_name, activity.actor_user, activity.occurred_at) == ("Maria Rossi", maria.user, NOW + HOUR)
    assert activity.changes == [
        {"field": "subject", "from": "Cannot log in", "to": "Wrong invoice"},
        {"field": "priority", "from": "medium", "to": "high"},
        {"field": "category", "from": None, "to": "Billing"},
        {"field": "tags", "from": [], "to": ["refund", "vip"]},
    ]


@pytest.mark.parametrize(
    ("changes", "event", "logged"),
    [
        ({"description": "New words"}, "updated", ("description", "The page says my account is locked.", "New words")),
        (
            {"requester_email": "Bob@x.example"},
            "updated",
            ("requester", "jane@customers.example", "bob@x.example"),
        ),
        ({"requester_name": "Jane Doe"}, "updated", ("requester_name", "Jane Smith", "Jane Doe")),
        ({"cc": ["a@x.example"]}, "updated", ("cc", [], ["a@x.example"])),
        ({"status": "pending"}, "updated", ("status", "open", "pending")),
        ({"status": "resolved"}, "resolved", ("status", "open", "resolved")),
    ],
)
def test_each_kind_of_change_leaves_its_from_and_to(ticket, maria, changes, event, logged):
    update(ticket, maria, **changes)
    activity = ticket.activities.get(event=f"ticket.{event}")
    assert [(change["field"], change["from"], change["to"]) for change in activity.changes] == [logged]
    assert (activity.actor_user, activity.occurred_at) == (maria.user, NOW + HOUR)


def test_who_had_the_ticket_and_who_got_it_is_logged(workspace, ticket, maria):
    sam = make_agent(workspace, user__name="Sam Okafor")
    for hour, user_id in ((1, maria.user_id), (2, sam.user_id), (3, None)):
        update(ticket, maria, NOW + hour * HOUR, assignee_id=user_id)
    log = ticket.activities.filter(event__in=["ticket.assigned", "ticket.unassigned"]).order_by("occurred_at")
    assert [(a.event, a.changes[0]["from"], a.changes[0]["to"]) for a in log] == [
        ("ticket.assigned", None, "Maria Rossi"),
        ("ticket.assigned", "Maria Rossi", "Sam Okafor"),
        ("ticket.unassigned", "Sam Okafor", None),
    ]


def test_saying_what_is_already_so_records_nothing(ticket, maria):
    update(ticket, maria, subject="Cannot log in", priority="medium", tags=[], status="open", assignee_id=None)
    fresh = Ticket.unscoped.get(pk=ticket.pk)
    assert ticket.activities.count() == 1
    assert fresh.version == 1


def test_one_wrong_field_takes_everything_back(ticket, maria):
    before = Activity.unscoped.count()
    with pytest.raises(InvalidInput):
        update(ticket, maria, subject="New", priority="critical")
    with pytest.raises(Conflict):
        update(ticket, maria, subject="New", status="closed")
    with pytest.raises(InvalidInput) as caught:
        update(ticket, maria, subject="New", colour="red")
    assert caught.value.errors == {"colour": ["There is no such field."]}
    fresh = Ticket.unscoped.get(pk=ticket.pk)
    assert (fresh.subject, fresh.version) == ("Cannot log in", 1)
    assert Activity.unscoped.count() == before


def test_a_lost_update_is_refused(ticket, maria):
    update(ticket, maria, priority="high")
    with pytest.raises(LostUpdate):
        editing.update_ticket(
            ticket=ticket, changes={"priority": "low"}, actor=base.agent(maria), now=NOW, expected_version=1
        )
    assert Ticket.unscoped.get(pk=ticket.pk).priority == "high"


def test_a_new_requester_is_a_contact_and_logged(ticket, maria):
    fresh = update(ticket, maria, requester_email="Bob@customers.example")
    assert (fresh.requester.email, fresh.requester_email) == ("bob@customers.example",) * 2


def test_people_in_copy_are_set_as_a_list(ticket, maria):
    update(ticket, maria, cc=["a@x.example", "B@x.example", "jane@customers.example"])
    update(ticket, maria, cc=["b@x.example"])
    assert [p.contact.email for p in ticket.participants.all()] == ["b@x.example"]
    with pytest.raises(InvalidInput):
        update(ticket, maria, cc="b@x.example")


class TestAssignment:
    def test_the_history_of_assignments_has_no_gap(self, workspace, ticket, maria):
        sam = make_agent(workspace)
        for hour, member in ((1, maria), (2, sam)):
            assignment.assign(ticket=ticket, assignee_id=member.user_id, actor=base.agent(maria), now=NOW + hour * HOUR)
        assignment.unassign(ticket=ticket, actor=base.agent(maria), now=NOW + 3 * HOUR)
        spans = Assignment.unscoped.filter(ticket=ticket).order_by("assigned_at")
        assert [(s.assignee_id, s.assigned_at, s.ended_at) for s in spans] == [
            (maria.user_id, NOW + HOUR, NOW + 2 * HOUR),
            (sam.user_id, NOW + 2 * HOUR, NOW + 3 * HOUR),
        ]

    def test_of_two_agents_at_once_the_one_who_asked_first_may_come_last(self, workspace, ticket, maria):
        sam = make_agent(workspace)
        assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW + 2 * HOUR)
        assignment.assign(ticket=ticket, assignee_id=sam.user_id, actor=base.agent(sam), now=NOW + HOUR)
        first, second = ticket.assignments.order_by("-assigned_at")
        assert (first.assigned_at, first.ended_at) == (NOW + 2 * HOUR, NOW + 2 * HOUR)
        assert (second.assignee, second.ended_at) == (sam.user, None)

    def test_an_assigned_ticket_is_never_new_again(self, ticket, maria):
        assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW)
        assignment.unassign(ticket=ticket, actor=base.agent(maria), now=NOW)
        ticket.refresh_from_db()
        assert not ticket.is_new

    def test_doing_it_twice_changes_nothing(self, ticket, maria):
        for _ in range(2):
            assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW)
        assert ticket.activities.filter(event="ticket.assigned").count() == 1

    def test_a_closed_ticket_keeps_its_agent(self, ticket, maria):
        status.resolve_and_close(ticket=ticket, actor=base.agent(maria), now=NOW)
        with pytest.raises(Conflict):
            assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW)

    def test_inactive_and_foreign_people_cannot_be_given_tickets(self, workspace, ticket, maria):
        gone = make_agent(workspace, is_active=False)
        with pytest.raises(InvalidInput):
            assignment.assign(ticket=ticket, assignee_id=gone.user_id, actor=base.agent(maria), now=NOW)
        foreign = make_agent(WorkspaceFactory())
        with pytest.raises(NotFound):
            assignment.assign(ticket=ticket, assignee_id=foreign.user_id, actor=base.agent(maria), now=NOW)
        assert not Assignment.unscoped.exists()

    def test_a_team_is_a_recorded_change(self, workspace, ticket, maria):
        update(ticket, maria, team_id=TeamFactory(workspace=workspace, name="Billing").pk)
        assert ticket.activities.get(event="ticket.updated").changes == [
            {"field": "team", "from": None, "to": "Billing"}
        ]


class TestStatus:
    def test_resolving_and_closing_keep_their_times_and_reopening_forgets_them(self, ticket, maria):
        actor = base.agent(maria)
        status.change_status(ticket=ticket, to="resolved", actor=actor, now=NOW + HOUR)
        status.change_status(ticket=ticket, to="closed", actor=actor, now=NOW + 2 * HOUR)
        fresh = Ticket.unscoped.get(pk=ticket.pk)
        assert (fresh.resolved_at, fresh.closed_at) == (NOW + HOUR, NOW + 2 * HOUR)
        status.change_status(ticket=ticket, to="open", actor=actor, now=NOW + 3 * HOUR)
        fresh = Ticket.unscoped.get(pk=ticket.pk)
        assert (fresh.status, fresh.resolved_at, fresh.closed_at) == ("open", None, None)
        assert [a.event for a in ticket.activities.order_by("pk")][1:] == [
            "ticket.resolved",
            "ticket.closed",
            "ticket.reopened",
        ]

    def test_an_illegal_move_is_a_conflict_that_says_so(self, ticket, maria):
        with pytest.raises(Conflict, match="open cannot become closed"):
            status.change_status(ticket=ticket, to="closed", actor=base.agent(maria), now=NOW)
        with pytest.raises(InvalidInput):
            status.change_status(ticket=ticket, to="new", actor=base.agent(maria), now=NOW)

    def test_resolved_tickets_close_by_themselves_after_the_workspaces_days(self, workspace, ticket, maria):
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(maria), now=NOW)
        assert status.close_resolved(now=NOW + dt.timedelta(days=4)) == 0
        assert status.close_resolved(now=NOW + dt.timedelta(days=4, seconds=1)) == 1
        fresh = Ticket.unscoped.get(pk=ticket.pk)
        assert fresh.status == "closed"
        assert ticket.activities.get(event="ticket.closed").actor_kind == "system"

    def test_a_workspace_may_keep_them_resolved(self, workspace, ticket, maria):
        workspace.auto_close_days = 0
        workspace.save()
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(maria), now=NOW)
        assert status.close_resolved(now=NOW + dt.timedelta(days=400)) == 0


class TestTrash:
    def test_a_trashed_ticket_is_gone_and_can_be_restored(self, workspace, ticket, maria):
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        assert not Ticket.objects.for_workspace(workspace).live().exists()
        with pytest.raises(NotFound):
            update(ticket, maria, priority="low")
        restored = editing.restore(
            workspace_id=workspace.pk, ticket_id=ticket.pk, actor=base.agent(maria), now=NOW + HOUR
        )
        assert restored.trashed_at is None
        assert Ticket.objects.for_workspace(workspace).live().get() == ticket
        assert [a.event for a in ticket.activities.order_by("pk")][-2:] == ["ticket.trashed", "ticket.restored"]

    def test_only_what_is_in_this_workspaces_trash_is_restored(self, workspace, ticket, maria):
        with pytest.raises(NotFound):
            editing.restore(workspace_id=workspace.pk, ticket_id=ticket.pk, actor=base.agent(maria), now=NOW)
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        with pytest.raises(NotFound):
            editing.restore(workspace_id=WorkspaceFactory().pk, ticket_id=ticket.pk, actor=base.agent(maria), now=NOW)

    def test_its_files_go_with_it(self, workspace, ticket, maria, django_capture_on_commit_callbacks):
        upload = SimpleUploadedFile("a.txt", b"words")
        file = files.attach(ticket=ticket, upload=upload, uploaded_by=maria.user, actor=base.agent(maria), now=NOW).file
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        with django_capture_on_commit_callbacks(execute=True):
            editing.purge_trash(now=NOW + dt.timedelta(days=31))
        assert not file.storage.exists(file.name)

    def test_it_is_purged_with_everything_after_thirty_days(self, workspace, ticket, maria):
        make_reply(ticket, maria)
        other = make_ticket(workspace)
        merging.merge(source=other, target_id=ticket.pk, actor=base.agent(maria), now=NOW)
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        assert editing.purge_trash(now=NOW + dt.timedelta(days=30)) == 0
        assert editing.purge_trash(now=NOW + dt.timedelta(days=30, seconds=1)) == 1
        assert list(Ticket.unscoped.all()) == [other]
        assert not Attachment.unscoped.exists()
        assert set(Activity.unscoped.values_list("ticket_id", flat=True)) == {other.pk}
