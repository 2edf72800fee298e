"""The queue: what it lists, counts and keeps; the trash; who may see what."""

import datetime as dt
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import MembershipFactory, TeamFactory, WorkspaceFactory
from tickets.models import Ticket, View
from tickets.services import assignment, base, editing, status
from tickets.tests.factories import NOW, CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def maria() -> Membership:
    return make_agent(WorkspaceFactory(name="Demo"), user__name="Maria Rossi")


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def give(ticket: Ticket, member: Membership) -> Ticket:
    return assignment.assign(ticket=ticket, assignee_id=member.user_id, actor=base.agent(member), now=NOW)


def page(member: Membership, view: str = "all", **query: Any) -> Any:
    return signed_in(member).get(reverse("tickets:queue", args=[view]), query)


def subjects(answer: Any) -> list[str]:
    return [row.subject for row in answer.context["queue"].page.object_list]


class TestViews:
    def test_the_short_address_leads_to_my_tickets(self, maria: Membership) -> None:
        assert signed_in(maria).get("/tickets").url == "/tickets/view/mine"

    def test_my_tickets_are_those_in_work_that_are_assigned_to_me(self, maria: Membership) -> None:
        sam = make_agent(maria.workspace)
        give(make_ticket(maria.workspace, subject="Mine"), maria)
        give(make_ticket(maria.workspace, subject="Sam has it"), sam)
        make_ticket(maria.workspace, subject="Nobody has it")
        done = give(make_ticket(maria.workspace, subject="Done"), maria)
        status.change_status(ticket=done, to="resolved", actor=base.agent(maria), now=NOW)
        assert subjects(page(maria, "mine")) == ["Mine"]
        assert subjects(page(maria, "unassigned")) == ["Nobody has it"]
        assert set(subjects(page(maria))) == {"Mine", "Sam has it", "Nobody has it"}
        assert page(maria, "mine").context["sidebar"]["mine"] == 1

    def test_a_status_in_the_address_overrides_the_one_of_the_view(self, maria: Membership) -> None:
        done = give(make_ticket(maria.workspace, subject="Done"), maria)
        status.change_status(ticket=done, to="resolved", actor=base.agent(maria), now=NOW)
        make_ticket(maria.workspace, subject="Still open")
        assert subjects(page(maria, "mine", status="resolved")) == ["Done"]
        assert set(subjects(page(maria, status="any"))) == {"Done", "Still open"}

    def test_the_assignee_of_a_view_cannot_be_overridden(self, maria: Membership) -> None:
        make_ticket(maria.workspace, subject="Nobody has it")
        assert subjects(page(maria, "mine", assignee="none")) == []

    def test_a_row_shows_number_requester_status_priority_and_assignee(self, maria: Membership) -> None:
        category = CategoryFactory(workspace=maria.workspace, name="Login", color="#AB12CD")
        ticket = make_ticket(maria.workspace, priority="urgent", category_id=category.pk)
        html = page(maria).content.decode()
        for words in (f"#{ticket.number}", "Jane Smith", "Login", "#AB12CD", "New", "Urgent", "Nobody"):
            assert words in html
        give(ticket, maria)
        assert "Maria Rossi" in page(maria, "mine").content.decode()

    def test_what_people_wrote_is_shown_as_text(self, maria: Membership) -> None:
        make_ticket(maria.workspace, subject="<script>alert(1)</script>", requester_name='"><img src=x>')
        html = page(maria).content.decode()
        assert "<script>alert" not in html
        assert "<img src=x>" not in html
        assert "&lt;script&gt;" in html

    def test_a_foreign_ticket_is_in_no_list_and_no_count(self, maria: Membership) -> None:
        make_ticket(WorkspaceFactory(), subject="Theirs")
        answer = page(maria)
        assert subjects(answer) == []
        assert answer.context["sidebar"]["all"] == 0

    def test_the_trash_is_in_no_list(self, maria: Membership) -> None:
        ticket = make_ticket(maria.workspace)
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        assert subjects(page(maria, status="any")) == []


class TestFilters:
    def test_filters_narrow_the_list_and_the_total(self, maria: Membership) -> None:
        billing = CategoryFactory(workspace=maria.workspace, name="Billing")
        invoices = CategoryFactory(workspace=maria.workspace, name="Invoices", parent=billing)
        make_ticket(maria.workspace, subject="Wrong VAT", priority="high", category_id=invoices.pk, tags=["vip"])
        make_ticket(maria.workspace, subject="Cannot log in", requester_email="tom@customers.example")
        for query in (
            {"priority": "high"},
            {"category": str(billing.pk)},
            {"tag": "vip"},
            {"search": "VAT"},
            {"requester": "jane@customers.example"},
        ):
            answer = page(maria, **query)
            assert subjects(answer) == ["Wrong VAT"], query
            assert answer.context["queue"].page.paginator.count == 1

    def test_several_values_mean_any_of_them(self, maria: Membership) -> None:
        for priority in ("urgent", "high", "low"):
            make_ticket(maria.workspace, subject=priority, priority=priority)
        assert set(subjects(page(maria, priority=["urgent", "high"]))) == {"urgent", "high"}
        assert set(subjects(page(maria, priority="urgent,high"))) == {"urgent", "high"}

    def test_the_order_can_be_chosen(self, maria: Membership) -> None:
        make_ticket(maria.workspace, subject="low", priority="low", now=NOW + dt.timedelta(hours=1))
        make_ticket(maria.workspace, subject="urgent", priority="urgent")
        assert subjects(page(maria)) == ["low", "urgent"]
        assert subjects(page(maria, sort="priority")) == ["urgent", "low"]
        assert subjects(page(maria, sort="created")) == ["urgent", "low"]

    def test_a_filter_that_cannot_be_used_is_named_and_shows_nothing(self, maria: Membership) -> None:
        make_ticket(maria.workspace)
        answer = page(maria, priority="purple")
        assert answer.status_code == 400
        assert "These filters cannot be used" in answer.content.decode()
        assert "Cannot log in" not in answer.content.decode()

    def test_empty_lists_say_what_to_do_next(self, maria: Membership) -> None:
        assert "Nothing waits for you" in page(maria, "mine").content.decode()
        assert "Every ticket has somebody" in page(maria, "unassigned").content.decode()
        assert "No tickets in work" in page(maria).content.decode()
        assert "No ticket matches" in page(maria, search="nothing like it").content.decode()


class TestPages:
    def test_fifty_a_page_and_an_exact_total(self, maria: Membership) -> None:
        for number in range(53):
            make_ticket(maria.workspace, subject=f"Ticket {number}", now=NOW + dt.timedelta(minutes=number))
        first, second = page(maria), page(maria, page="2")
        assert "1–50 of 53" in first.content.decode()
        assert "51–53 of 53" in second.content.decode()
        assert subjects(second) == ["Ticket 2", "Ticket 1", "Ticket 0"]

    @pytest.mark.parametrize("asked", ["0", "-1", "99999999999999999999", "two"])
    def test_an_absurd_page_shows_one_that_exists(self, maria: Membership, asked: str) -> None:
        make_ticket(maria.workspace)
        answer = page(maria, page=asked)
        assert answer.status_code == 200
        assert len(subjects(answer)) == 1

    def test_rows_lead_back_to_the_list_they_were_opened_from(self, maria: Membership) -> None:
        ticket = give(make_ticket(maria.workspace), maria)
        html = page(maria, "mine", search="log in").content.decode()
        assert f'/tickets/{ticket.pk}?view=mine&amp;search=log+in"' in html


class TestQueries:
    def ask(self, member: Membership, view: str, **query: Any) -> int:
        client = signed_in(member)
        client.get(reverse("tickets:queue", args=[view]), query)  # what is looked up once per process
        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse("tickets:queue", args=[view]), query).status_code == 200
        return len(asked)

    @pytest.mark.parametrize(
        ("view", "query", "most"),
        [
            ("mine", {}, 6),
            ("unassigned", {}, 6),
            ("all", {}, 6),
            ("all", {"priority": "medium", "sort": "priority"}, 7),
            ("all", {"tag": "vip", "page": "1"}, 7),
            ("all", {"created_from": "2026-01-01"}, 7),
            ("all", {"search": "locked"}, 8),
            ("all", {"search": "locked", "tag": "vip", "status": "open,pending", "requester": "jane"}, 8),
        ],
    )
    def test_a_list_costs_the_same_few_queries_whatever_is_in_it(
        self, maria: Membership, view: str, query: dict[str, str], most: int
    ) -> None:
        give(make_ticket(maria.workspace, tags=["vip"]), maria)
        make_ticket(maria.workspace)
        before = self.ask(maria, view, **query)
        team = TeamFactory(workspace=maria.workspace)
        for number in range(12):
            other = make_agent(maria.workspace)
            category = CategoryFactory(workspace=maria.workspace)
            ticket = make_ticket(
                maria.workspace,
                requester_email=f"customer{number}@customers.example",
                category_id=category.pk,
                team_id=team.pk,
                tags=["vip"],
            )
            give(ticket, maria if number % 2 else other)
            make_ticket(maria.workspace)
        after = self.ask(maria, view, **query)
        assert before == after <= most <= 8


class TestSavedViews:
    def save(self, member: Membership, view: str, query: str, **fields: Any) -> Any:
        url = reverse("tickets:view-save", args=[view])
        return signed_in(member).post(url, {"name": "Urgent", "query": query} | fields)

    def test_a_view_keeps_the_filters_under_a_name(self, maria: Membership) -> None:
        answer = self.save(maria, "all", "priority=urgent")
        saved = View.objects.for_workspace(maria.workspace).get()
        assert (saved.name, saved.query, saved.owner) == ("Urgent", "priority=urgent", maria.user)
        shown = signed_in(maria).get(answer.url)
        assert shown.context["queue"].title == "Urgent"
        assert shown.context["section"] == answer.url

    def test_a_view_of_my_tickets_says_so_itself(self, maria: Membership) -> None:
        self.save(maria, "mine", "priority=urgent&status=open")
        assert View.objects.for_workspace(maria.workspace).get().query == "assignee=me&priority=urgent&status=open"

    def test_only_admins_save_for_everybody(self, maria: Membership) -> None:
        self.save(maria, "all", "priority=low", shared="on")
        admin = make_agent(maria.workspace, role="admin")
        self.save(admin, "all", "priority=high", shared="on")
        owners = dict(View.objects.for_workspace(maria.workspace).values_list("query", "owner"))
        assert owners == {"priority=low": maria.user_id, "priority=high": None}

    def test_a_view_without_a_name_is_refused(self, maria: Membership) -> None:
        answer = self.save(maria, "all", "priority=urgent", name=" ")
        assert answer.url == "/tickets/view/all?priority=urgent"
        assert not View.objects.for_workspace(maria.workspace).exists()

    def test_others_see_shared_views_only_and_delete_none(self, maria: Membership) -> None:
        self.save(maria, "all", "priority=urgent")
        admin = make_agent(maria.workspace, role="admin")
        self.save(admin, "all", "priority=high", name="High", shared="on")
        sam = make_agent(maria.workspace)
        assert [view["name"] for view in page(sam).context["sidebar"]["views"]] == ["High"]
        for view in View.objects.for_workspace(maria.workspace):
            assert signed_in(sam).post(reverse("tickets:view-delete", args=[view.pk])).status_code == 404
        assert View.objects.for_workspace(maria.workspace).count() == 2

    def test_a_teams_view_is_seen_by_its_members(self, maria: Membership) -> None:
        team = TeamFactory(workspace=maria.workspace)
        View.unscoped.create(workspace=maria.workspace, team=team, name="Our queue", query="")
        assert page(maria).context["sidebar"]["views"] == []
        team.members.add(maria)
        assert [view["name"] for view in page(maria).context["sidebar"]["views"]] == ["Our queue"]

    def test_what_was_archived_or_left_is_not_offered(self, maria: Membership) -> None:
        CategoryFactory(workspace=maria.workspace, name="Old", archived_at=NOW)
        make_agent(maria.workspace, is_active=False)
        make_agent(maria.workspace, role="light")
        make_agent(WorkspaceFactory())
        choices = page(maria).context["choices"]
        assert choices.categories == []
        assert choices.agents == [(str(maria.user_id), "Maria Rossi")]

    def test_ones_own_view_can_be_deleted(self, maria: Membership) -> None:
        self.save(maria, "all", "priority=urgent")
        saved = View.objects.for_workspace(maria.workspace).get()
        signed_in(maria).post(reverse("tickets:view-delete", args=[saved.pk]))
        assert not View.objects.for_workspace(maria.workspace).exists()


class TestTrash:
    def test_an_admin_restores_what_was_thrown_away(self, maria: Membership) -> None:
        admin = make_agent(maria.workspace, role="admin")
        ticket = make_ticket(maria.workspace, subject="Thrown away")
        editing.trash(ticket=ticket, actor=base.agent(admin), now=NOW)
        client = signed_in(admin)
        assert "Thrown away" in client.get(reverse("tickets:trash")).content.decode()
        answer = client.post(reverse("tickets:restore", args=[ticket.pk]))
        assert answer.url == reverse("tickets:ticket", args=[ticket.pk])
        ticket.refresh_from_db()
        assert ticket.trashed_at is None

    def test_a_foreign_ticket_cannot_be_restored(self, maria: Membership) -> None:
        theirs = make_ticket(WorkspaceFactory())
        admin = make_agent(maria.workspace, role="admin")
        editing.trash(ticket=theirs, actor=base.agent(admin), now=NOW)
        assert signed_in(admin).post(reverse("tickets:restore", args=[theirs.pk])).status_code == 404
        theirs.refresh_from_db()
        assert theirs.trashed_at is not None


class TestWhoMay:
    def test_signed_out_people_are_sent_to_sign_in(self) -> None:
        for name, args in (("queue", ["all"]), ("trash", []), ("all", [])):
            answer = Client().get(reverse(f"tickets:{name}", args=args))
            assert answer.status_code == 302

    def test_a_view_that_does_not_exist_is_not_found(self, maria: Membership) -> None:
        assert page(maria, "everything").status_code == 404

    def test_a_light_agent_reads_and_is_offered_nothing_to_do(self, maria: Membership) -> None:
        light = make_agent(maria.workspace, role="light")
        html = page(light).content.decode()
        assert "New ticket" not in html

    def test_a_member_of_no_workspace_is_refused(self) -> None:
        stranger = MembershipFactory(is_active=False)
        assert page(stranger).status_code == 403

    def test_lists_are_changed_by_post_only(self, maria: Membership) -> None:
        client = signed_in(maria)
        for name, args in (("view-save", ["all"]), ("view-delete", [uuid4()]), ("restore", [uuid4()])):
            assert client.get(reverse(f"tickets:{name}", args=args)).status_code == 405

    def test_answering_moves_a_ticket_out_of_new(self, maria: Membership) -> None:
        ticket = make_ticket(maria.workspace)
        assert subjects(page(maria, status="new")) == ["Cannot log in"]
        make_reply(ticket, maria)
        assert subjects(page(maria, status="new")) == []
