"""Coming and going: in the account menu, and on the members page."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import MembershipFactory, TeamFactory

pytestmark = pytest.mark.django_db
AWAY, HERE = {"is_available": "0"}, {"is_available": "1"}


@pytest.fixture
def admin() -> Membership:
    return MembershipFactory(role="admin")


@pytest.fixture
def agent(admin: Membership) -> Membership:
    return MembershipFactory(role="agent", workspace=admin.workspace)


def stored(member: Membership) -> tuple[bool, int | None]:
    member.refresh_from_db()
    return member.is_available, member.capacity


class TestTheAccountMenu:
    door = "/availability"

    @pytest.mark.parametrize("role", ["agent", "admin", "owner"])
    def test_whoever_works_on_tickets_comes_and_goes(self, client: Client, role: str) -> None:
        me = MembershipFactory(role=role)
        client.force_login(me.user)
        page = client.get("/profile").content.decode()
        assert "<small>Available</small>" in page and "Switch to away" in page
        client.post(self.door, AWAY)
        assert stored(me) == (False, None)
        page = client.get("/profile").content.decode()
        assert "<small>Away</small>" in page and "Switch to available" in page and "data-away" in page
        client.post(self.door, HERE)
        assert stored(me) == (True, None)

    def test_a_light_agent_is_given_no_tickets_and_not_asked(self, client: Client) -> None:
        me = MembershipFactory(role="light")
        client.force_login(me.user)
        page = client.get("/profile").content.decode()
        assert "<small>Light agent</small>" in page and self.door not in page
        assert client.post(self.door, AWAY).status_code == 403
        assert stored(me) == (True, None)

    def test_going_leaves_the_capacity_and_other_workspaces_alone(self, client: Client, agent: Membership) -> None:
        elsewhere = MembershipFactory(user=agent.user)
        agent.capacity = 5
        agent.save(update_fields=["capacity"])
        client.force_login(agent.user)
        client.post(self.door, AWAY)
        assert (stored(agent), stored(elsewhere)) == ((False, 5), (True, None))

    @pytest.mark.parametrize(
        ("referer", "sent", "to"),
        [
            ("http://testserver/settings/members?x=1", {"back": "1"}, "http://testserver/settings/members?x=1"),
            ("http://testserver/settings/members", {}, "/"),  # a page that only a POST gives
            ("https://evil.example/", {"back": "1"}, "/"),
            ("", {"back": "1"}, "/"),
        ],
    )
    def test_it_leads_back_to_our_own_pages(
        self, client: Client, agent: Membership, referer: str, sent: dict[str, str], to: str
    ) -> None:
        client.force_login(agent.user)
        assert client.post(self.door, AWAY | sent, headers={"Referer": referer})["Location"] == to

    @pytest.mark.parametrize("sent", [{}, {"is_available": "perhaps"}])
    def test_anything_else_changes_nothing(self, client: Client, agent: Membership, sent: dict[str, str]) -> None:
        client.force_login(agent.user)
        page = client.post(self.door, sent, follow=True).content.decode()
        assert "available or away" in page and stored(agent) == (True, None)


class TestTheMembersPage:
    def door(self, member: Membership) -> str:
        return reverse("accounts:member-availability", args=[member.pk])

    def test_an_admin_sees_and_changes_both(self, client: Client, admin: Membership, agent: Membership) -> None:
        client.force_login(admin.user)
        assert client.post(self.door(agent), AWAY | {"capacity": "30"}).status_code == 302
        assert stored(agent) == (False, 30)
        page = client.get("/settings/members").content.decode()
        assert f"Availability of {agent.user.name}" in page and 'value="30"' in page
        client.post(self.door(agent), HERE | {"capacity": ""})
        assert stored(agent) == (True, None)

    @pytest.mark.parametrize(
        "sent",
        [{"capacity": "0"}, {"capacity": "-1"}, {"capacity": "many"}, {"capacity": "10001"}, {"is_available": "x"}],
    )
    def test_wrong_input_comes_back_filled_in_and_nothing_is_written(
        self, client: Client, admin: Membership, agent: Membership, sent: dict[str, str]
    ) -> None:
        client.force_login(admin.user)
        answer = client.post(self.door(agent), AWAY | {"capacity": "7"} | sent)
        page = answer.content.decode()
        assert answer.status_code == 422 and 'class="error"' in page
        assert f'value="{(sent | {"capacity": sent.get("capacity", "7")})["capacity"]}"' in page
        assert stored(agent) == (True, None)

    def test_not_for_agents_and_not_from_elsewhere(self, client: Client, admin: Membership, agent: Membership) -> None:
        client.force_login(agent.user)
        assert client.post(self.door(agent), AWAY).status_code == 403
        client.force_login(MembershipFactory(role="owner").user)
        assert client.post(self.door(agent), AWAY).status_code == 404
        assert stored(agent) == (True, None)

    def test_it_asks_no_more_for_more_teams_and_members(
        self, client: Client, admin: Membership, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(10):
            member = MembershipFactory(workspace=admin.workspace, capacity=3)
            TeamFactory(workspace=admin.workspace, lead=member).members.add(member)
        client.force_login(admin.user)
        for address in ("/settings/members", "/settings/teams"):
            with django_assert_max_num_queries(9):
                assert client.get(address).status_code == 200
