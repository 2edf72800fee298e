"""A policy that a ticket is given by hand or by a rule, whatever the policies' conditions say."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, LostUpdate, NotFound
from slas.models import Clock, SLAPolicy
from slas.services import giving, setup, tracking, what_if
from slas.services.what_if import Draft
from slas.tests.factories import at, clock_of, make_policy, sla_events
from tickets.automation.levels import service_levels
from tickets.events import SYSTEM
from tickets.models import Activity, Ticket
from tickets.services import base, conversation, editing, merging
from tickets.tests.api import UNKNOWN, Api
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db
HALF_PAST = at(0, "09:30")


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def standard(workspace: Workspace) -> SLAPolicy:
    return make_policy(workspace, name="Standard")


@pytest.fixture
def gold(workspace: Workspace, standard: SLAPolicy) -> SLAPolicy:
    """Twice as fast as the default; by its conditions it is for nobody."""
    return make_policy(workspace, name="Gold", first_response_hours=1, resolution_hours=4, is_default=False)


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace)


@pytest.fixture
def ticket(workspace: Workspace, gold: SLAPolicy) -> Ticket:
    return make_ticket(workspace, now=at(0, "09:00"))


def give(ticket: Ticket, policy: SLAPolicy | None, now: dt.datetime = HALF_PAST, **more: Any) -> str:
    return giving.give_policy(ticket=ticket, policy_id=policy.pk if policy else None, actor=SYSTEM, now=now, **more)


def name_of(ticket: Ticket) -> str:
    ticket.refresh_from_db()
    return ticket.sla["policy"]["name"] if ticket.sla else ""


def everything() -> list[Any]:
    return [list(model.unscoped.order_by("pk").values()) for model in (Ticket, Clock, Activity)]


class TestGiving:
    def test_its_clocks_follow_at_once_and_the_log_says_so(self, ticket: Ticket, gold: SLAPolicy) -> None:
        assert give(ticket, gold) == "Gold"
        assert clock_of(ticket, "first_response").due_at == at(0, "10:00")
        assert clock_of(ticket, "resolution").due_at == at(0, "13:00")
        assert name_of(ticket) == "Gold"
        change = {"field": "sla policy", "from": None, "to": "Gold"}
        assert [a.changes for a in ticket.activities.filter(event="ticket.updated")] == [[change]]

    def test_it_stays_when_what_conditions_ask_about_changes(self, ticket: Ticket, gold: SLAPolicy) -> None:
        category = CategoryFactory(workspace=ticket.workspace)
        make_policy(
            ticket.workspace,
            name="Bills",
            is_default=False,
            conditions={"category_ids": [str(category.pk)]},
            position=1,
        )
        give(ticket, gold)
        editing.update_ticket(ticket=ticket, changes={"category_id": category.pk}, actor=SYSTEM, now=at(0, "09:40"))
        assert name_of(ticket) == "Gold"
        give(ticket, None, at(0, "09:50"))
        assert name_of(ticket) == "Bills"

    def test_none_lets_the_conditions_choose_again(self, ticket: Ticket, gold: SLAPolicy) -> None:
        give(ticket, gold)
        assert give(ticket, None, at(0, "09:45")) == ""
        assert name_of(ticket) == "Standard"
        assert clock_of(ticket, "first_response").due_at == at(0, "11:00")

    def test_a_policy_that_is_deleted_gives_way_to_the_conditions(
        self, ticket: Ticket, gold: SLAPolicy, workspace: Workspace
    ) -> None:
        give(ticket, gold)
        setup.delete_policy(policy=gold, now=at(0, "09:40"))
        tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(0, "09:41"))
        assert name_of(ticket) == "Standard"
        give(ticket, None, at(0, "09:50"))
        last = ticket.activities.filter(event="ticket.updated").order_by("-pk")[0]
        assert last.changes == [{"field": "sla policy", "from": "Gold", "to": None}]

    def test_what_was_due_before_stays_missed(self, ticket: Ticket, gold: SLAPolicy, standard: SLAPolicy) -> None:
        give(ticket, gold)
        give(ticket, standard, at(0, "10:30"))  # the first answer was due at ten, and nobody has looked since
        assert sla_events(ticket) == [("ticket.sla.breached", "first_response", at(0, "10:00"))]

    def test_what_is_so_already_is_not_recorded(self, ticket: Ticket, gold: SLAPolicy) -> None:
        give(ticket, gold)
        before = everything()
        assert give(ticket, gold, at(0, "09:40")) == "Gold"
        assert everything() == before

    def test_foreign_deleted_and_unknown_policies_are_not_there(self, ticket: Ticket, gold: SLAPolicy) -> None:
        setup.delete_policy(policy=gold, now=at(0, "09:10"))
        before = everything()
        for policy in (gold, make_policy(name="Elsewhere")):
            with pytest.raises(NotFound) as caught:
                give(ticket, policy)
            assert list(caught.value.errors) == ["policy_id"]
        with pytest.raises(LostUpdate):
            give(ticket, None, expected_version=ticket.version + 5)
        assert everything() == before

    def test_the_automation_gives_it_through_its_port(self, ticket: Ticket, gold: SLAPolicy) -> None:
        levels = service_levels()
        assert [name for _, name in levels.policies(ticket.workspace_id)] == ["Gold", "Standard"]
        said = levels.give_policy(ticket=ticket, policy_id=gold.pk, actor=SYSTEM, now=at(0, "09:30"))
        assert (said, name_of(ticket)) == ("Gold", "Gold")
        with pytest.raises(NotFound):
            levels.give_policy(ticket=ticket, policy_id=ticket.pk, actor=SYSTEM, now=at(0, "09:31"))


class TestLivingOn:
    def test_a_merge_and_its_undoing_leave_each_ticket_its_own(
        self, ticket: Ticket, gold: SLAPolicy, workspace: Workspace, maria: Membership
    ) -> None:
        other = make_ticket(workspace, now=at(0, "09:05"))
        give(ticket, gold)
        merging.merge(source=other, target_id=ticket.pk, actor=base.agent(maria), now=at(0, "09:40"))
        assert name_of(ticket) == "Gold"
        with pytest.raises(Conflict):
            give(other, gold, at(0, "09:41"))
        merging.unmerge(source=other, actor=base.agent(maria), now=at(0, "09:45"))
        assert (name_of(ticket), name_of(other)) == ("Gold", "Standard")

    def test_a_past_that_is_told_again_honours_it(self, ticket: Ticket, gold: SLAPolicy, workspace: Workspace) -> None:
        give(ticket, gold)
        Clock.unscoped.all().delete()
        tracking.catch_up(workspace.pk, [ticket.pk], at(0, "09:50"))
        assert name_of(ticket) == "Gold"
        assert clock_of(ticket, "first_response").due_at == at(0, "10:00")

    def test_reckoning_everything_anew_honours_it(self, ticket: Ticket, gold: SLAPolicy, workspace: Workspace) -> None:
        give(ticket, gold)
        assert tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(0, "09:40")) == 0
        assert name_of(ticket) == "Gold"

    def test_what_if_tries_a_draft_on_the_tickets_that_were_given_the_policy(
        self, ticket: Ticket, gold: SLAPolicy, workspace: Workspace, maria: Membership
    ) -> None:
        give(ticket, gold)
        conversation.agent_reply(ticket=ticket, author=maria, body="Hello.", internal=False, now=at(0, "09:50"))
        draft = Draft(policy_id=gold.pk, changes={"first_response_hours": 0.5}, days=None)
        found = what_if.replay(workspace=workspace, draft=draft, now=at(0, "10:00"))
        assert (found["tickets"], found["gained"], found["changed"][0]["gained"]) == (1, 1, ["first_response"])

    def test_following_a_change_costs_as_many_queries_as_without(
        self, ticket: Ticket, gold: SLAPolicy, workspace: Workspace
    ) -> None:
        def cost() -> int:
            with CaptureQueriesContext(connection) as seen:
                tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=at(0, "09:40"))
            return len(seen)

        cost()
        before = cost()
        give(ticket, gold)
        assert cost() == before


class TestDoors:
    def address(self, ticket: Ticket) -> str:
        return f"/tickets/{ticket.pk}/sla"

    def test_the_api_gives_and_takes_it_back(self, ticket: Ticket, gold: SLAPolicy, maria: Membership) -> None:
        api = Api(maria)
        answer = api.put(self.address(ticket), {"policy_id": str(gold.pk)})
        assert answer.status_code == 200
        assert (answer.json()["policy"]["name"], answer.json()["is_given"]) == ("Gold", True)
        assert {clock["policy_name"] for clock in answer.json()["clocks"]} == {"Gold"}
        answer = api.put(self.address(ticket), {"policy_id": None})
        assert (answer.json()["policy"]["name"], answer.json()["is_given"]) == ("Standard", False)

    @pytest.mark.parametrize(
        ("body", "status"),
        [({}, 400), ({"policy_id": "gold"}, 400), ({"policy": None}, 400), ({"policy_id": UNKNOWN}, 404)],
    )
    def test_the_api_names_what_is_wrong(
        self, ticket: Ticket, maria: Membership, body: dict[str, Any], status: int
    ) -> None:
        before = everything()
        answer = Api(maria).put(self.address(ticket), body)
        assert answer.status_code == status and answer.json()["errors"]
        assert everything() == before

    def test_the_page_offers_it_to_those_who_work_on_tickets(
        self, client: Client, ticket: Ticket, gold: SLAPolicy, maria: Membership, workspace: Workspace
    ) -> None:
        page, door = reverse("slas:why", args=[ticket.pk]), reverse("slas:give-policy", args=[ticket.pk])
        client.force_login(make_agent(workspace, role="light").user)
        assert door not in client.get(page).content.decode()
        client.force_login(maria.user)
        assert f'<option value="{gold.pk}">Gold</option>' in client.get(page).content.decode()
        answer = client.post(f"{door}?view=mine", {"policy_id": str(gold.pk)}, follow=True)
        assert answer.redirect_chain[0][0] == f"{page}?view=mine"
        text = answer.content.decode()
        assert f'<option value="{gold.pk}" selected>Gold</option>' in text and "by hand or by a rule" in text
        assert name_of(ticket) == "Gold"
        client.post(door, {"policy_id": ""})
        assert name_of(ticket) == "Standard"

    @pytest.mark.parametrize("policy_id", ["gold", UNKNOWN])
    def test_the_page_says_what_is_wrong(
        self, client: Client, ticket: Ticket, maria: Membership, policy_id: str
    ) -> None:
        client.force_login(maria.user)
        before = everything()
        answer = client.post(reverse("slas:give-policy", args=[ticket.pk]), {"policy_id": policy_id}, follow=True)
        assert "There is no such SLA policy." in answer.content.decode()
        assert everything() == before

    def test_the_ticket_tells_it_in_words(
        self, client: Client, ticket: Ticket, gold: SLAPolicy, maria: Membership
    ) -> None:
        give(ticket, gold)
        client.force_login(maria.user)
        page = client.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert "set the SLA policy to <b>Gold</b>" in page
