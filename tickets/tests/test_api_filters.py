"""The filters that the queue page and the API's list share."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import InvalidInput
from tickets.filters import SORTS, VIEWS, TicketFilter, exact_total
from tickets.models import Ticket
from tickets.services import assignment, base, editing, status
from tickets.tests.factories import NOW, CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace)


def filtered(query: str, member: Membership, **kwargs: Any) -> TicketFilter:
    return TicketFilter(QueryDict(query), workspace=member.workspace, user=member.user, **({"now": NOW} | kwargs))


def found(query: str, member: Membership) -> list[str]:
    """The subjects that a query finds, in order; the total is checked on the way."""
    tickets = filtered(query, member)
    tickets.check()
    subjects = [ticket.subject for ticket in tickets.qs]
    assert exact_total(tickets) == len(subjects)
    return subjects


def resolved(ticket: Ticket, member: Membership) -> Ticket:
    return status.change_status(ticket=ticket, to="resolved", actor=base.agent(member), now=NOW)


class TestStatus:
    @pytest.fixture(autouse=True)
    def tickets(self, workspace: Workspace, maria: Membership) -> None:
        make_ticket(workspace, subject="new")
        make_reply(make_ticket(workspace, subject="open"), maria)
        make_reply(make_ticket(workspace, subject="pending"), maria, then="pending")
        resolved(make_ticket(workspace, subject="resolved"), maria)
        status.resolve_and_close(ticket=make_ticket(workspace, subject="closed"), actor=base.agent(maria), now=NOW)
        make_ticket(WorkspaceFactory(), subject="foreign")

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", {"new", "open", "pending", "resolved", "closed"}),
            ("status=", {"new", "open", "pending", "resolved", "closed"}),
            ("status=open", {"new", "open"}),
            ("status=new", {"new"}),
            ("status=new,pending", {"new", "pending"}),
            ("status=new,open", {"new", "open"}),
            ("status=open,pending", {"new", "open", "pending"}),
            ("status=open&status=pending", {"new", "open", "pending"}),
            ("status=resolved,+closed", {"resolved", "closed"}),
        ],
    )
    def test_words_mean_either(self, maria: Membership, query: str, expected: set[str]) -> None:
        assert set(found(query, maria)) == expected

    def test_what_is_in_the_trash_is_neither_found_nor_counted(self, workspace: Workspace, maria: Membership) -> None:
        ticket = make_ticket(workspace, subject="trashed")
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        assert "trashed" not in found("", maria)


class TestPeopleAndTopics:
    def test_assignee_me_none_and_an_id(self, workspace: Workspace, maria: Membership) -> None:
        sam = make_agent(workspace)
        make_ticket(workspace, subject="hers", assignee_id=maria.user_id)
        make_ticket(workspace, subject="his", assignee_id=sam.user_id)
        make_ticket(workspace, subject="nobody's")
        assert found("assignee=me", maria) == ["hers"]
        assert found("assignee=none", maria) == ["nobody's"]
        assert found(f"assignee={sam.user_id}", maria) == ["his"]
        assert set(found(f"assignee=none,{sam.user_id}", maria)) == {"his", "nobody's"}
        assert found(f"assignee={make_agent(WorkspaceFactory()).user_id}", maria) == []

    def test_a_category_includes_those_below_it(self, workspace: Workspace, maria: Membership) -> None:
        top = CategoryFactory(workspace=workspace)
        below = CategoryFactory(workspace=workspace, parent=CategoryFactory(workspace=workspace, parent=top))
        make_ticket(workspace, subject="top", category_id=top.pk)
        make_ticket(workspace, subject="below", category_id=below.pk)
        make_ticket(workspace, subject="none")
        assert set(found(f"category={top.pk}", maria)) == {"top", "below"}
        assert found(f"category={below.pk}", maria) == ["below"]
        assert found("category=none", maria) == ["none"]
        assert set(found(f"category=none,{below.pk}", maria)) == {"none", "below"}
        assert found(f"category={top.pk}&assignee=me", maria) == []

    def test_team_tag_and_requester(self, workspace: Workspace, maria: Membership) -> None:
        team = TeamFactory(workspace=workspace)
        one = make_ticket(workspace, subject="one", team_id=team.pk, tags=["VIP", "x"])
        make_ticket(workspace, subject="two", tags=["y"], requester_email="bob@customers.example")
        assert found(f"team={team.pk}", maria) == ["one"]
        assert found("team=none", maria) == ["two"]
        assert found("tag=vip", maria) == ["one"]
        assert set(found("tag=vip,Y", maria)) == {"one", "two"}
        assert found("tag=unknown", maria) == []
        assert found("requester=Bob@customers.example", maria) == ["two"]
        assert found(f"requester={one.requester_id}", maria) == ["one"]
        assert found("requester=nobody@customers.example", maria) == []


class TestTimes:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("created_from=2026-03-02", ["second", "first"]),
            ("created_from=2026-03-03", ["second"]),
            ("created_to=2026-03-02", ["first"]),
            ("created_from=2026-03-02&created_to=2026-03-02", ["first"]),
            ("created_from=20260302&created_to=20260302", ["first"]),
            ("created_from=2026-03-02T09:00:00Z&created_to=2026-03-02T09:00:00Z", ["first"]),
            ("created_to=2026-03-02T08:59:59Z", []),
            ("created_from=2026-03-02T10:00:00%2B01:00&created_to=2026-03-02T10:00:00+01:00", ["first"]),
            ("updated_from=2026-03-03&updated_to=2026-03-04", ["second"]),
            ("created_to=9999-12-30", ["second", "first"]),
        ],
    )
    def test_days_are_whole_and_times_inclusive(
        self, workspace: Workspace, maria: Membership, query: str, expected: list[str]
    ) -> None:
        make_ticket(workspace, subject="first", now=NOW + dt.timedelta(milliseconds=300))
        make_ticket(workspace, subject="second", now=NOW + dt.timedelta(days=1))
        assert found(query, maria) == expected


class TestOrder:
    @pytest.fixture(autouse=True)
    def tickets(self, workspace: Workspace) -> None:
        for number, priority in enumerate(["low", "urgent", "medium", "urgent"]):
            ticket = make_ticket(
                workspace, subject=f"{number}", priority=priority, now=NOW + dt.timedelta(hours=number)
            )
            if number in (1, 2):
                deadline = NOW + dt.timedelta(days=3 - number)
                Ticket.objects.for_workspace(workspace).filter(pk=ticket.pk).update(next_deadline_at=deadline)

    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            ("", "3210"),
            ("created", "0123"),
            ("-created", "3210"),
            ("updated", "0123"),
            ("number", "0123"),
            ("-number", "3210"),
            ("priority", "3120"),
            ("-priority", "0213"),
            ("deadline", "2130"),
            ("-deadline", "0312"),
        ],
    )
    def test_every_order_and_its_opposite(self, maria: Membership, sort: str, expected: str) -> None:
        assert "".join(found(f"sort={sort}", maria)) == expected

    def test_no_order_leaves_a_tie_to_chance(self) -> None:
        assert all("id" in str(columns[-1]) or "number" in str(columns[-1]) for columns in SORTS.values())


class TestSearch:
    def test_search_goes_together_with_other_filters(self, workspace: Workspace, maria: Membership) -> None:
        make_ticket(workspace, subject="Invoice is wrong", priority="high")
        make_ticket(workspace, subject="Invoice is missing")
        assert found("search=invoices&priority=high", maria) == ["Invoice is wrong"]
        assert found("search=%231002", maria) == ["Invoice is missing"]
        assert found("search=nothing-like-it", maria) == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("query", "name"),
        [
            ("state=open", "state"),
            ("status=opne", "status"),
            ("priority=highest", "priority"),
            ("assignee=maria", "assignee"),
            ("team=me", "team"),
            ("category=Billing", "category"),
            ("sort=random", "sort"),
            ("created_from=yesterday", "created_from"),
            ("created_to=2024-13-01", "created_to"),
            ("updated_from=0001-01-01T00:00:00%2B10:00", "updated_from"),
            ("updated_to=9999-12-31", "updated_to"),
            ("search=" + "x" * 201, "search"),
            ("search=%00", "search"),
            ("status=" + ",".join(f"s{n}" for n in range(60)), "status"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, maria: Membership, query: str, name: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            filtered(query, maria).check()
        assert list(refused.value.errors) == [name]

    def test_the_page_leaves_out_what_is_wrong(self, workspace: Workspace, maria: Membership) -> None:
        make_ticket(workspace)
        tickets = filtered("status=opne&view=all&page=2", maria)
        assert set(tickets.errors) == {"status"}
        assert tickets.qs.count() == exact_total(tickets) == 1


class TestTotals:
    def test_the_usual_totals_are_read_not_counted(
        self, workspace: Workspace, maria: Membership, django_assert_num_queries: Any
    ) -> None:
        make_ticket(workspace, priority="high")
        for query in ["", "status=open,pending&priority=high", "assignee=me&status=new", *VIEWS]:
            query = "&".join(f"{k}={v}" for k, v in VIEWS[query].items()) if query in VIEWS else query
            with django_assert_num_queries(1) as queries:
                exact_total(filtered(query, maria))
            assert "ticket_counts" in queries[0]["sql"], query

    def test_a_narrower_queryset_is_counted_itself(self, workspace: Workspace, maria: Membership) -> None:
        make_ticket(workspace)
        live = Ticket.objects.for_workspace(workspace).live()
        assert filtered("", maria, queryset=live.select_related("assignee")).kept_total() == 1
        narrow = filtered("", maria, queryset=live.filter(priority="urgent"))
        assert narrow.kept_total() is None
        assert exact_total(narrow) == 0

    def test_totals_follow_every_change(self, workspace: Workspace, maria: Membership) -> None:
        ticket = make_ticket(workspace, subject="it")
        assignment.assign(ticket=ticket, assignee_id=maria.user_id, actor=base.agent(maria), now=NOW)
        assert found("assignee=me&status=open", maria) == ["it"]
        resolved(ticket, maria)
        assert found("assignee=me&status=open", maria) == []
        assert found("assignee=me&status=resolved", maria) == ["it"]


class TestIndexes:
    @pytest.mark.parametrize(
        "query",
        [
            "",
            "status=open",
            "status=open&priority=high",
            "assignee=me",
            "assignee=me&status=open,pending",
            "assignee=none&status=open,pending",
            "status=open,pending",
            "sort=updated",
            "sort=priority&status=open,pending",
            "sort=-priority&status=open,pending",
            "sort=deadline&status=open,pending",
            "sort=-deadline&status=open,pending",
            "sort=number",
        ],
    )
    def test_the_usual_orders_come_from_an_index_unsorted(self, maria: Membership, query: str) -> None:
        page = filtered(query, maria).qs.values("id")[:20]
        with connection.cursor() as cursor:
            # The test's table is tiny: ask what the planner can do, not what is worth it here.
            cursor.execute(
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off"
            )
        plan = page.explain()
        assert "Index" in plan and "Sort" not in plan, plan
