"""A ticket begins: numbers, the requester, what is recorded, what is refused."""

import threading

import pytest
from django.db import connection, connections, transaction

from helpdesk.accounts.models import Contact
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import InvalidInput, NotFound
from tickets.models import Activity, Assignment, Sequence, Ticket
from tickets.tests.factories import NOW, CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db


def rows() -> tuple[int, int, int]:
    return Ticket.unscoped.count(), Activity.unscoped.count(), Contact.unscoped.count()


def test_a_new_ticket_is_open_shown_as_new_and_numbered():
    workspace = WorkspaceFactory()
    first, second = make_ticket(workspace), make_ticket(workspace)
    first.refresh_from_db()
    assert (first.status, first.display_status, first.is_new) == ("open", "new", True)
    assert first.ticket_number == "#1001"
    assert second.number == 1002
    assert first.created_at == NOW


def test_each_workspace_counts_for_itself():
    assert make_ticket(WorkspaceFactory()).number == 1001
    assert make_ticket(WorkspaceFactory()).number == 1001


def test_the_requester_becomes_a_contact_once_whatever_the_case_of_the_address():
    workspace = WorkspaceFactory()
    make_ticket(workspace, requester_email="Jane@Customers.Example", requester_name="Jane Smith")
    make_ticket(workspace, requester_email="jane@customers.example", requester_name="")
    contact = Contact.objects.for_workspace(workspace).get()
    assert (contact.email, contact.name) == ("jane@customers.example", "Jane Smith")
    assert contact.tickets.count() == 2


def test_the_same_address_in_two_workspaces_is_two_contacts():
    make_ticket(WorkspaceFactory())
    make_ticket(WorkspaceFactory())
    assert Contact.unscoped.count() == 2


def test_opening_records_who_and_what_for_webhooks():
    ticket = make_ticket(WorkspaceFactory(), priority="high")
    activity = ticket.activities.get()
    assert activity.event == "ticket.created"
    assert activity.actor_name == "Helpdesk"
    assert activity.payload == {
        "event": "ticket.created",
        "timestamp": "2026-03-02T09:00:00Z",
        "data": {
            "ticket_id": str(ticket.pk),
            "ticket_number": "#1001",
            "subject": "Cannot log in",
            "priority": "high",
        },
    }
    assert activity.dispatched_at is None


def test_opening_for_an_agent_begins_the_assignment_history_and_is_no_longer_new():
    workspace = WorkspaceFactory()
    maria = make_agent(workspace)
    ticket = make_ticket(workspace, assignee_id=maria.user_id, team_id=TeamFactory(workspace=workspace).pk)
    ticket.refresh_from_db()
    assert ticket.display_status == "open"
    assert not ticket.is_new
    span = Assignment.unscoped.get(ticket=ticket)
    assert (span.assignee, span.assigned_at, span.ended_at) == (maria.user, NOW, None)
    assert [a.event for a in ticket.activities.order_by("pk")] == ["ticket.created", "ticket.assigned"]


def test_markdown_becomes_sanitised_html():
    ticket = make_ticket(WorkspaceFactory(), description="**Help** <script>alert(1)</script> [x](javascript:alert(1))")
    assert "<strong>Help</strong>" in ticket.description_html
    assert "<script" not in ticket.description_html
    assert "javascript:" not in ticket.description_html.replace("[x](javascript:alert(1))", "")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("subject", "", "must not be empty"),
        ("subject", "   ", "must not be empty"),
        ("subject", "x" * 256, "too long"),
        ("subject", "a\0b", "not text"),
        ("subject", "a\ud800b", "not text"),
        ("subject", 12, "must be text"),
        ("description", "", "must not be empty"),
        ("description", "x" * 200_001, "too long"),
        ("requester_email", "jane@acme", "complete e-mail address"),
        ("requester_email", "", "must not be empty"),
        ("requester_email", "jane@example.com\nBcc: all@example.com", "complete e-mail address"),
        ("requester_name", "x" * 121, "too long"),
        ("priority", "critical", "must be one of"),
        ("channel", "pigeon", "must be one of"),
        ("tags", ["ok", ""], "must not be empty"),
        ("tags", "vip", "list of words"),
        ("cc", ["nobody"], "complete e-mail address"),
    ],
)
def test_a_wrong_value_names_its_field_and_writes_nothing(field, value, message):
    workspace = WorkspaceFactory()
    before = rows()
    with pytest.raises(InvalidInput) as caught:
        make_ticket(workspace, **{field: value})
    assert message in caught.value.errors[field][0]
    assert rows() == before


@pytest.mark.parametrize("field", ["category_id", "assignee_id", "team_id"])
def test_an_id_of_another_workspace_does_not_exist_here(field):
    other = WorkspaceFactory()
    foreign = {
        "category_id": CategoryFactory(workspace=other).pk,
        "assignee_id": make_agent(other).user_id,
        "team_id": TeamFactory(workspace=other).pk,
    }[field]
    workspace = WorkspaceFactory()
    before = rows()
    with pytest.raises(NotFound) as caught:
        make_ticket(workspace, **{field: foreign})
    assert field in caught.value.errors
    assert rows() == before


def test_a_light_agent_cannot_be_given_tickets():
    workspace = WorkspaceFactory()
    light = make_agent(workspace, role="light")
    with pytest.raises(InvalidInput) as caught:
        make_ticket(workspace, assignee_id=light.user_id)
    assert "assignee_id" in caught.value.errors


def test_a_line_break_in_the_subject_becomes_a_space():
    assert make_ticket(WorkspaceFactory(), subject="Cannot\r\nlog in").subject == "Cannot log in"


def test_a_rolled_back_create_leaves_no_ticket_and_never_a_duplicate_number():
    workspace = WorkspaceFactory()
    with pytest.raises(RuntimeError), transaction.atomic():
        make_ticket(workspace)
        raise RuntimeError
    assert Ticket.unscoped.count() == 0
    assert make_ticket(workspace).number == 1001


@pytest.mark.django_db(transaction=True)
def test_fifty_concurrent_creates_get_fifty_rising_numbers():
    workspace = WorkspaceFactory()
    failures: list[Exception] = []

    def create() -> None:
        try:
            for _ in range(5):
                make_ticket(workspace)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    numbers = sorted(Ticket.objects.for_workspace(workspace).values_list("number", flat=True))
    assert numbers == list(range(1001, 1051))
    assert Sequence.objects.for_workspace(workspace).get().last_number == 1050
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(tickets) FROM ticket_counts WHERE facet = 'assignee'")
        assert cursor.fetchone()[0] == 50


@pytest.mark.django_db(transaction=True)
def test_tickets_that_name_the_same_new_people_and_tags_do_not_wait_for_each_other_in_a_circle():
    workspace = WorkspaceFactory()
    failures: list[Exception] = []
    together = threading.Barrier(2)

    def create(turn: int) -> None:
        try:
            for n in range(30):
                together.wait(timeout=20)
                people = [f"{name}{n}@customers.example" for name in ("a", "b", "c")]
                tags = [f"{name}{n}" for name in ("x", "y", "z")]
                if turn:
                    people.reverse()
                    tags.reverse()
                make_ticket(workspace, requester_email=people[0], cc=people[1:], tags=tags)
        except Exception as error:
            failures.append(error)
            together.abort()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create, args=[turn]) for turn in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
