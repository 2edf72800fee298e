"""The hours that agents work: outside of them nobody gives them tickets."""

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from slas.models import BusinessHours, WorkingHours
from slas.services import setup, working
from slas.tests.factories import at, make_hours
from slas.tests.test_settings_pages import hours_sent
from tickets.automation.levels import service_levels
from tickets.automation.models import Waiting
from tickets.automation.services import pool
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import base
from tickets.tests.api import Api
from tickets.tests.factories import make_agent, make_ticket

pytestmark = pytest.mark.django_db

EVENINGS = {"monday": {"start": "18:00", "end": "22:00"}}


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def days(workspace: Workspace) -> BusinessHours:
    """Monday to Friday, 9 to 18; the default."""
    return make_hours(workspace, name="Days")


@pytest.fixture
def evenings(workspace: Workspace, days: BusinessHours) -> BusinessHours:
    return make_hours(workspace, name="Evenings", schedule=EVENINGS)


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace, user__name="Maria")


def works(hours: BusinessHours, *members: Membership) -> None:
    working.set_agents(hours=hours, user_ids=[one.user_id for one in members], now=at(0))


def rows() -> list[Any]:
    return list(WorkingHours.unscoped.order_by("pk").values())


def give(workspace: Workspace, now: dt.datetime) -> Ticket:
    """A new ticket for the least busy, as a rule gives it."""
    ticket = make_ticket(workspace, now=now)
    with transaction.atomic():
        pool.give(base.lock(ticket), rule=None, run_id=None, method="least_busy", team_id=None, actor=SYSTEM, now=now)
    return ticket


def has(ticket: Ticket) -> Any:
    ticket.refresh_from_db()
    return ticket.assignee_id


class TestThePool:
    def test_outside_their_hours_nobody_gives_them_tickets(
        self, workspace: Workspace, days: BusinessHours, evenings: BusinessHours, maria: Membership
    ) -> None:
        nils = make_agent(workspace)
        works(days, maria)
        works(evenings, nils)
        assert has(give(workspace, at(0, "10:00"))) == maria.user_id
        assert has(give(workspace, at(0, "19:00"))) == nils.user_id
        assert has(give(workspace, at(0, "23:00"))) is None

    def test_when_their_hours_begin_they_get_what_waits_oldest_first(
        self, workspace: Workspace, days: BusinessHours, maria: Membership
    ) -> None:
        works(days, maria)
        maria.capacity = 2
        maria.save(update_fields=["capacity"])
        waiting = [give(workspace, at(0, f"07:{minute:02}")) for minute in range(3)]
        assert pool.serve(workspace=workspace, now=at(0, "08:59")) == 0
        assert pool.serve(workspace=workspace, now=at(0, "09:00")) == 2
        assert [has(ticket) for ticket in waiting] == [maria.user_id, maria.user_id, None]
        assert Waiting.unscoped.get().ticket_id == waiting[2].pk

    def test_who_works_no_particular_hours_gets_them_whenever_they_are_available(
        self, workspace: Workspace, days: BusinessHours, maria: Membership
    ) -> None:
        assert has(give(workspace, at(0, "23:00"))) == maria.user_id

    def test_the_time_zone_of_the_hours_counts(self, workspace: Workspace, maria: Membership) -> None:
        works(make_hours(workspace, name="Tokyo", timezone="Asia/Tokyo"), maria)
        assert service_levels().off_duty(workspace.pk, at(0, "10:00")) == {maria.user_id}  # 19:00 there
        assert service_levels().off_duty(workspace.pk, at(0, "00:30")) == frozenset()

    def test_others_hours_are_no_concern(self, workspace: Workspace, days: BusinessHours, maria: Membership) -> None:
        works(days, maria)
        assert service_levels().off_duty(WorkspaceFactory().pk, at(0, "23:00")) == frozenset()

    def test_it_costs_one_query_for_any_number(self, workspace: Workspace, days: BusinessHours) -> None:
        def cost() -> int:
            with CaptureQueriesContext(connection) as seen:
                service_levels().off_duty(workspace.pk, at(0, "23:00"))
            return len(seen)

        assert cost() == 1
        works(days, *(make_agent(workspace) for _ in range(6)))
        works(make_hours(workspace, name="Evenings", schedule=EVENINGS), *(make_agent(workspace) for _ in range(6)))
        assert cost() == 1
        assert len(service_levels().off_duty(workspace.pk, at(0, "23:00"))) == 12


class TestSetting:
    def test_an_agent_works_by_one_calendar_at_most(
        self, days: BusinessHours, evenings: BusinessHours, maria: Membership
    ) -> None:
        works(days, maria)
        works(evenings, maria)
        assert (working.agents_of(days), working.agents_of(evenings)) == ([], [maria.user_id])
        works(evenings)
        assert not rows()

    def test_the_database_holds_that_too(self, days: BusinessHours, maria: Membership) -> None:
        works(days, maria)
        with pytest.raises(IntegrityError), transaction.atomic():
            WorkingHours.unscoped.create(workspace=days.workspace, membership=maria, business_hours=days)

    def test_those_who_cannot_be_given_tickets_are_refused(
        self, days: BusinessHours, maria: Membership, workspace: Workspace
    ) -> None:
        works(days, maria)
        before = rows()
        for stranger in (
            make_agent(workspace, role="light"),
            make_agent(workspace, is_active=False),
            make_agent(WorkspaceFactory()),
        ):
            with pytest.raises(InvalidInput) as caught:
                works(days, maria, stranger)
            assert list(caught.value.errors) == ["user_ids"]
        assert rows() == before

    def test_who_left_meanwhile_may_stay_and_may_go(self, days: BusinessHours, maria: Membership) -> None:
        works(days, maria)
        maria.is_active = False
        maria.save(update_fields=["is_active"])
        works(days, maria)
        assert working.agents_of(days) == [maria.user_id]
        works(days)
        assert not rows()

    def test_hours_that_somebody_works_are_not_deleted(self, evenings: BusinessHours, maria: Membership) -> None:
        works(evenings, maria)
        with pytest.raises(Conflict, match="Agents work these hours"):
            setup.delete_hours(hours=evenings, now=at(0))
        works(evenings)
        setup.delete_hours(hours=evenings, now=at(0))
        with pytest.raises(NotFound):
            works(evenings, maria)
        assert not rows()


class TestTheAPI:
    def test_tells_and_sets_them(self, days: BusinessHours, maria: Membership, workspace: Workspace) -> None:
        api, path = Api(make_agent(workspace, role="admin")), f"/tickets/business-hours/{days.pk}/agents"
        assert api.get(path).json() == {"user_ids": []}
        answer = api.put(path, {"user_ids": [str(maria.user_id)]})
        assert (answer.status_code, answer.json()) == (200, {"user_ids": [str(maria.user_id)]})
        assert Api(maria).get(path).json() == {"user_ids": [str(maria.user_id)]}

    @pytest.mark.parametrize("body", [{}, {"user_ids": None}, {"user_ids": ["x"]}, {"agents": []}])
    def test_names_what_is_wrong(
        self, days: BusinessHours, maria: Membership, workspace: Workspace, body: dict[str, Any]
    ) -> None:
        works(days, maria)
        before = rows()
        path = f"/tickets/business-hours/{days.pk}/agents"
        answer = Api(make_agent(workspace, role="admin")).put(path, body)
        assert answer.status_code == 400 and answer.json()["errors"]
        assert rows() == before


class TestThePage:
    def test_agents_are_ticked_and_saved_with_the_hours(
        self, client: Client, days: BusinessHours, evenings: BusinessHours, maria: Membership, workspace: Workspace
    ) -> None:
        works(evenings, maria)
        client.force_login(make_agent(workspace, role="admin", user__name="Adam").user)
        address = reverse("slas:hours-edit", args=[days.pk])
        page = client.get(address).content.decode()
        assert "Agents who work these hours" in page and "Maria (now Evenings)" in page
        sent = hours_sent(name="Days", user_ids=[str(maria.user_id)])
        assert client.post(address, sent).status_code == 302
        assert working.agents_of(days) == [maria.user_id]
        ticked = f'value="{maria.user_id}" id="id_user_ids_1" checked'
        assert ticked in client.get(address).content.decode()

    def test_somebody_unknown_is_refused_and_nothing_is_saved(
        self, client: Client, days: BusinessHours, workspace: Workspace
    ) -> None:
        client.force_login(make_agent(workspace, role="admin").user)
        sent = hours_sent(name="Renamed", user_ids=[str(make_agent(WorkspaceFactory()).user_id)])
        assert client.post(reverse("slas:hours-edit", args=[days.pk]), sent).status_code == 400
        days.refresh_from_db()
        assert days.name == "Days" and not rows()
