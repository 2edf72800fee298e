"""Members: roles, leaving and coming back, teams, the workspace's settings, and switching between workspaces."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts import services, tokens
from helpdesk.accounts.models import ApiKey, Membership, Team
from helpdesk.accounts.tests.factories import MembershipFactory, TeamFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotAllowed

pytestmark = pytest.mark.django_db

Role = str


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory(role="owner")


@pytest.fixture
def admin(owner: Membership) -> Membership:
    return MembershipFactory(role="admin", workspace=owner.workspace)


@pytest.fixture
def agent(owner: Membership) -> Membership:
    return MembershipFactory(role="agent", workspace=owner.workspace)


@pytest.fixture
def heard(monkeypatch: Any) -> list[Any]:
    """What the listeners of leaving members hear."""
    calls: list[Any] = []
    monkeypatch.setattr(services, "_member_left", [lambda *given: calls.append(given)])
    return calls


def stored(member: Membership) -> Membership:
    return Membership.unscoped.get(pk=member.pk)


class TestRoles:
    def test_an_admin_gives_roles(self, admin: Membership, agent: Membership, now: dt.datetime) -> None:
        services.change_role(membership=agent, role="light", by=admin, now=now)
        assert stored(agent).role == "light"

    @pytest.mark.parametrize(
        ("by", "whom", "role", "error"),
        [
            ("agent", "admin", "light", NotAllowed),
            ("agent", "agent", "owner", NotAllowed),
            ("admin", "owner", "agent", NotAllowed),
            ("admin", "agent", "owner", NotAllowed),
            ("admin", "admin", "owner", NotAllowed),
            ("owner", "owner", "agent", Conflict),
            ("owner", "agent", "king", InvalidInput),
        ],
    )
    def test_nobody_gives_more_than_they_may(
        self,
        request: pytest.FixtureRequest,
        owner: Membership,
        by: Role,
        whom: Role,
        role: Role,
        error: Any,
        now: dt.datetime,
    ) -> None:
        actor, subject = request.getfixturevalue(by), request.getfixturevalue(whom)
        before = subject.role
        with pytest.raises(error):
            services.change_role(membership=subject, role=role, by=actor, now=now)
        assert stored(subject).role == before

    def test_one_of_two_owners_can_step_down(self, owner: Membership, agent: Membership, now: dt.datetime) -> None:
        services.change_role(membership=agent, role="owner", by=owner, now=now)
        services.change_role(membership=owner, role="agent", by=owner, now=now)
        assert stored(owner).role == "agent"

    def test_an_inactive_owner_does_not_count(self, owner: Membership, now: dt.datetime) -> None:
        MembershipFactory(role="owner", workspace=owner.workspace, is_active=False)
        with pytest.raises(Conflict):
            services.change_role(membership=owner, role="agent", by=owner, now=now)
        assert stored(owner).role == "owner"

    def test_an_admin_elsewhere_changes_nothing(self, agent: Membership, now: dt.datetime) -> None:
        with pytest.raises(NotAllowed):
            services.change_role(membership=agent, role="light", by=MembershipFactory(role="owner"), now=now)
        assert stored(agent).role == "agent"


class TestLeaving:
    def test_listeners_hear_it_and_keys_end(
        self, admin: Membership, agent: Membership, heard: list[Any], now: dt.datetime
    ) -> None:
        key, _ = tokens.make_api_key(membership=agent, name="script", scopes=["read"], expires_at=None, now=now)
        services.deactivate_member(membership=agent, by=admin, now=now)
        assert not stored(agent).is_active
        assert heard == [(agent, admin.user, now)]
        key.refresh_from_db()
        assert key.revoked_at == now

    def test_the_session_no_longer_opens_the_workspace(
        self, client: Client, admin: Membership, agent: Membership, now: dt.datetime
    ) -> None:
        client.force_login(agent.user)
        assert client.get("/profile").status_code == 200
        services.deactivate_member(membership=agent, by=admin, now=now)
        assert client.get("/profile").status_code == 403

    def test_twice_is_once(self, admin: Membership, agent: Membership, heard: list[Any], now: dt.datetime) -> None:
        for _ in range(2):
            services.deactivate_member(membership=agent, by=admin, now=now)
        assert len(heard) == 1

    @pytest.mark.parametrize(
        ("by", "whom", "error"),
        [
            ("agent", "admin", NotAllowed),
            ("admin", "owner", NotAllowed),
            ("owner", "owner", Conflict),
            ("admin", "admin", Conflict),
        ],
    )
    def test_what_is_refused_writes_nothing(
        self,
        request: pytest.FixtureRequest,
        by: Role,
        whom: Role,
        error: Any,
        heard: list[Any],
        now: dt.datetime,
    ) -> None:
        actor, subject = request.getfixturevalue(by), request.getfixturevalue(whom)
        with pytest.raises(error):
            services.deactivate_member(membership=subject, by=actor, now=now)
        assert stored(subject).is_active
        assert heard == []

    def test_the_last_owner_stays_even_for_a_superuser(
        self, owner: Membership, heard: list[Any], now: dt.datetime
    ) -> None:
        with pytest.raises(Conflict):
            services.deactivate_member(membership=owner, by=None, now=now)
        assert stored(owner).is_active and heard == []

    def test_a_listener_that_fails_keeps_the_member(
        self, admin: Membership, agent: Membership, monkeypatch: Any, now: dt.datetime
    ) -> None:
        def fail(*given: Any) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr(services, "_member_left", [fail])
        with pytest.raises(RuntimeError):
            services.deactivate_member(membership=agent, by=admin, now=now)
        assert stored(agent).is_active

    def test_coming_back_keeps_the_role_and_not_the_keys(
        self, admin: Membership, agent: Membership, now: dt.datetime
    ) -> None:
        tokens.make_api_key(membership=agent, name="script", scopes=["read"], expires_at=None, now=now)
        services.deactivate_member(membership=agent, by=admin, now=now)
        services.reactivate_member(membership=agent, by=admin, now=now)
        assert stored(agent).is_active and stored(agent).role == "agent"
        assert ApiKey.unscoped.get().revoked_at == now


class TestMembersPage:
    def test_shows_people_and_invitations(self, client: Client, admin: Membership, agent: Membership) -> None:
        services.invite_member(
            workspace=admin.workspace, email="nina@example.com", role="agent", invited_by=admin, now=timezone.now()
        )
        client.force_login(admin.user)
        page = client.get("/settings/members").content.decode()
        assert agent.user.email in page and "nina@example.com" in page

    def test_does_not_ask_per_member(
        self, client: Client, admin: Membership, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(20):
            MembershipFactory(workspace=admin.workspace)
        client.force_login(admin.user)
        with django_assert_max_num_queries(8):
            client.get("/settings/members")

    def test_its_buttons_work(self, client: Client, admin: Membership, agent: Membership) -> None:
        client.force_login(admin.user)
        client.post(reverse("accounts:member-role", args=[agent.pk]), {"role": "light"})
        assert stored(agent).role == "light"
        client.post(reverse("accounts:member-deactivate", args=[agent.pk]))
        assert not stored(agent).is_active
        client.post(reverse("accounts:member-reactivate", args=[agent.pk]))
        assert stored(agent).is_active

    def test_says_why_a_button_did_nothing(self, client: Client, owner: Membership) -> None:
        client.force_login(owner.user)
        url = reverse("accounts:member-role", args=[owner.pk])
        assert "last owner" in client.post(url, {"role": "agent"}, follow=True).content.decode()

    def test_refuses_an_admin_who_touches_an_owner(self, client: Client, admin: Membership, owner: Membership) -> None:
        client.force_login(admin.user)
        assert client.post(reverse("accounts:member-role", args=[owner.pk]), {"role": "agent"}).status_code == 403
        assert stored(owner).role == "owner"


MANAGED = [
    ("members", "get"),
    ("member-invite", "post"),
    ("member-role", "post"),
    ("member-deactivate", "post"),
    ("member-reactivate", "post"),
    ("invitation-revoke", "post"),
    ("workspace", "get"),
    ("workspace", "post"),
    ("teams", "get"),
    ("teams", "post"),
    ("team", "get"),
    ("team", "post"),
    ("team-delete", "post"),
]
ONLY_POSTS = sorted({name for name, _ in MANAGED} - {name for name, verb in MANAGED if verb == "get"})
ROWS = {"member-role", "member-deactivate", "member-reactivate", "team", "team-delete"}


class TestWhoMayManage:
    @pytest.fixture
    def foreign(self) -> dict[str, Any]:
        workspace = WorkspaceFactory()
        member, team = MembershipFactory(workspace=workspace), TeamFactory(workspace=workspace)
        return {name: (team if name.startswith("team") else member).pk for name in ROWS}

    def url(self, name: str, pk: Any) -> str:
        return reverse(f"accounts:{name}", args=[pk] if name in ROWS or name == "invitation-revoke" else [])

    @pytest.mark.parametrize(("name", "verb"), MANAGED)
    @pytest.mark.parametrize("role", ["agent", "light"])
    def test_not_agents(self, client: Client, name: str, verb: str, role: str) -> None:
        member = MembershipFactory(role=role)
        client.force_login(member.user)
        assert getattr(client, verb)(self.url(name, member.pk)).status_code == 403

    @pytest.mark.parametrize(("name", "verb"), MANAGED)
    def test_not_strangers(self, client: Client, name: str, verb: str, agent: Membership) -> None:
        answer = getattr(client, verb)(self.url(name, agent.pk))
        assert answer.status_code == 302 and answer.url.startswith("/sign-in")

    @pytest.mark.parametrize("name", sorted(ROWS))
    def test_nobody_from_elsewhere(self, client: Client, owner: Membership, foreign: Any, name: str) -> None:
        client.force_login(owner.user)
        url = self.url(name, foreign[name])
        assert client.post(url, {"role": "light", "name": "x"}).status_code == 404
        assert Membership.unscoped.filter(role="light").count() == 0
        assert Team.unscoped.filter(name="x").count() == 0 and Team.unscoped.count() == 1

    @pytest.mark.parametrize("name", ONLY_POSTS)
    def test_a_get_changes_nothing(self, client: Client, owner: Membership, name: str) -> None:
        client.force_login(owner.user)
        assert client.get(self.url(name, owner.pk)).status_code == 405


class TestTeams:
    def test_are_made_renamed_and_deleted(self, client: Client, admin: Membership, agent: Membership) -> None:
        client.force_login(admin.user)
        client.post("/settings/teams", {"name": "First  line", "members": [str(agent.pk)]})
        team = Team.unscoped.get()
        assert team.name == "First line" and list(team.members.all()) == [agent]
        page = client.get(reverse("accounts:team", args=[team.pk])).content.decode()
        assert f'value="{agent.pk}"' in page and "checked" in page
        client.post(reverse("accounts:team", args=[team.pk]), {"name": "Second line", "members": []})
        team.refresh_from_db()
        assert team.name == "Second line" and not team.members.exists()
        client.post(reverse("accounts:team-delete", args=[team.pk]))
        assert not Team.unscoped.exists()

    def test_one_of_the_members_leads(self, client: Client, admin: Membership, agent: Membership) -> None:
        client.force_login(admin.user)
        sent = {"name": "Billing", "members": [str(agent.pk)], "lead": str(agent.pk)}
        client.post("/settings/teams", sent)
        team = Team.unscoped.get()
        assert team.lead == agent
        page = client.get(reverse("accounts:team", args=[team.pk])).content.decode()
        assert "Lead</span>" in page and f'<option value="{agent.pk}" selected>' in page
        client.post(reverse("accounts:team", args=[team.pk]), sent | {"lead": ""})
        team.refresh_from_db()
        assert team.lead is None

    def test_nobody_else_leads(self, client: Client, admin: Membership, agent: Membership) -> None:
        client.force_login(admin.user)
        sent = {"name": "Billing", "members": [str(agent.pk)], "lead": str(admin.pk)}
        answer = client.post("/settings/teams", sent)
        assert answer.status_code == 422 and "The lead must be a member of the team." in answer.content.decode()
        assert client.post("/settings/teams", sent | {"lead": str(MembershipFactory().pk)}).status_code == 422
        assert not Team.unscoped.exists()

    def test_a_lead_who_is_taken_out_of_the_team_leads_no_more(
        self, admin: Membership, agent: Membership, now: dt.datetime
    ) -> None:
        given: dict[str, Any] = {"workspace": admin.workspace, "name": "Billing", "by": admin, "now": now}
        team = services.save_team(**given, member_ids=[agent.pk, admin.pk], lead_id=agent.pk)
        assert services.save_team(**given, team=team, member_ids=[agent.pk]).lead_id == agent.pk
        assert services.save_team(**given, team=team, member_ids=[admin.pk]).lead_id is None

    def test_the_team_outlives_its_lead(self, admin: Membership, agent: Membership, now: dt.datetime) -> None:
        team = services.save_team(
            workspace=admin.workspace, name="Billing", member_ids=[agent.pk], lead_id=agent.pk, by=admin, now=now
        )
        agent.delete()
        team.refresh_from_db()
        assert team.lead is None

    def test_two_have_not_the_same_name(self, client: Client, admin: Membership) -> None:
        TeamFactory(workspace=admin.workspace, name="First line")
        client.force_login(admin.user)
        assert client.post("/settings/teams", {"name": "FIRST LINE"}).status_code == 422
        assert Team.unscoped.count() == 1

    def test_foreign_members_are_refused(self, client: Client, admin: Membership) -> None:
        client.force_login(admin.user)
        answer = client.post("/settings/teams", {"name": "Team", "members": [str(MembershipFactory().pk)]})
        assert answer.status_code == 422
        assert not Team.unscoped.exists()


class TestWorkspaceSettings:
    form = {"name": "Acme Help", "timezone": "Europe/Rome", "auto_close_days": 7, "reopen_window_days": 30}

    def test_are_saved(self, client: Client, admin: Membership) -> None:
        client.force_login(admin.user)
        assert client.post("/settings/workspace", self.form | {"signature": "Your team\r\n"}).status_code == 302
        workspace = admin.workspace
        workspace.refresh_from_db()
        assert (workspace.name, workspace.timezone, workspace.auto_close_days) == ("Acme Help", "Europe/Rome", 7)
        assert workspace.signature == "Your team"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "x" * 121),
            ("timezone", "Mars/Olympus"),
            ("auto_close_days", -1),
            ("auto_close_days", 366),
            ("reopen_window_days", "soon"),
            ("signature", "x" * 2001),
            ("signature", "a\0b"),
        ],
    )
    def test_bad_values_are_named_and_nothing_is_saved(
        self, client: Client, admin: Membership, field: str, value: Any
    ) -> None:
        client.force_login(admin.user)
        answer = client.post("/settings/workspace", self.form | {field: value})
        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == [field]
        before = admin.workspace.name
        admin.workspace.refresh_from_db()
        assert admin.workspace.name == before


class TestSwitching:
    def test_goes_on_in_another_workspace_of_ones_own(self, client: Client, agent: Membership) -> None:
        second = MembershipFactory(user=agent.user)
        client.force_login(agent.user)
        client.post("/workspace", {"workspace_id": str(second.workspace_id)})
        assert second.workspace.name in client.get("/profile").content.decode()

    @pytest.mark.parametrize("wanted", ["foreign", "left", "", "nonsense"])
    def test_never_into_another(self, client: Client, agent: Membership, wanted: str) -> None:
        ids = {
            "foreign": WorkspaceFactory().pk,
            "left": MembershipFactory(user=agent.user, is_active=False).workspace_id,
        }
        client.force_login(agent.user)
        assert client.post("/workspace", {"workspace_id": str(ids.get(wanted, wanted))}).status_code == 404
        assert client.session.get("workspace_id") is None

    def test_a_get_does_not(self, client: Client, agent: Membership) -> None:
        client.force_login(agent.user)
        assert client.get("/workspace").status_code == 405
