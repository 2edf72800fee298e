"""Who gets into the admin, and what a workspace admin can do to people there."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Invitation, Membership, User, Workspace
from helpdesk.accounts.tests.factories import PASSWORD, MembershipFactory, UserFactory, WorkspaceFactory

pytestmark = pytest.mark.django_db

INDEX = "/admin/"
INLINE = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory(role="owner")


@pytest.fixture
def admin(owner: Membership) -> Membership:
    return MembershipFactory(role="admin", workspace=owner.workspace)


@pytest.fixture
def agent(owner: Membership) -> Membership:
    return MembershipFactory(role="agent", workspace=owner.workspace, user__name="Sam")


@pytest.fixture
def as_admin(client: Client, admin: Membership) -> Client:
    client.force_login(admin.user)
    return client


@pytest.fixture
def as_root() -> Client:
    client = Client()
    client.force_login(UserFactory(is_superuser=True))
    return client


def page_of(row: Any, view: str = "change") -> str:
    return reverse(f"admin:accounts_{row._meta.model_name}_{view}", args=[row.pk])


class TestWhoGetsIn:
    @pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("agent", 403), ("light", 403)])
    def test_admins_and_owners(self, client: Client, role: str, status: int) -> None:
        client.force_login(MembershipFactory(role=role).user)
        assert client.get(INDEX, follow=True).status_code == status

    def test_superusers_without_a_workspace(self, as_root: Client) -> None:
        assert as_root.get(INDEX).status_code == 200

    def test_strangers_sign_in_on_the_one_page(self, client: Client) -> None:
        answer = client.get(INDEX, follow=True)
        assert answer.redirect_chain[-1][0] == "/sign-in?next=/admin/"

    def test_not_an_admin_who_left(self, client: Client) -> None:
        client.force_login(MembershipFactory(role="admin", is_active=False).user)
        assert client.get(INDEX, follow=True).status_code == 403

    def test_not_an_admin_of_elsewhere_while_an_agent_here(self, client: Client) -> None:
        here = MembershipFactory(role="agent")
        there = MembershipFactory(role="admin", user=here.user)
        client.force_login(here.user)
        client.post("/workspace", {"workspace_id": str(here.workspace_id)})
        assert client.get(INDEX, follow=True).status_code == 403
        client.post("/workspace", {"workspace_id": str(there.workspace_id)})
        assert client.get(INDEX).status_code == 200

    def test_the_address_without_its_slash_works(self, as_root: Client) -> None:
        assert as_root.get("/admin").url == INDEX

    def test_signing_out_is_a_post(self, as_root: Client) -> None:
        assert as_root.get("/admin/logout/").status_code == 405
        assert as_root.post("/admin/logout/").url == "/signed-out"

    def test_the_page_keeps_the_strict_policy(self, as_admin: Client, agent: Membership) -> None:
        for url in (INDEX, reverse("admin:accounts_user_changelist"), page_of(agent.user)):
            answer = as_admin.get(url)
            page = answer.content.decode()
            assert "unsafe" not in answer["Content-Security-Policy"]
            assert "<style" not in page and " onclick" not in page and "style=" not in page
            assert "Helpdesk administration" in page


class TestPeople:
    def test_are_those_of_ones_workspaces(self, as_admin: Client, agent: Membership) -> None:
        stranger = MembershipFactory().user
        page = as_admin.get(reverse("admin:accounts_user_changelist")).content.decode()
        assert agent.user.email in page and stranger.email not in page
        assert as_admin.get(page_of(stranger)).status_code == 404

    def test_a_name_can_be_changed(self, as_admin: Client, agent: Membership) -> None:
        answer = as_admin.post(page_of(agent.user), INLINE | {"name": "Samuel", "timezone": "UTC"})
        assert answer.status_code == 302, answer.context["adminform"].form.errors
        agent.user.refresh_from_db()
        assert agent.user.name == "Samuel"

    def test_nobody_makes_superusers_or_takes_accounts(self, as_admin: Client, agent: Membership) -> None:
        form = {"name": "Sam", "timezone": "UTC", "email": "mallory@example.com", "is_superuser": "on", "password": "x"}
        as_admin.post(page_of(agent.user), INLINE | form)
        before = agent.user.email
        agent.user.refresh_from_db()
        assert agent.user.email == before and not agent.user.is_superuser and agent.user.check_password(PASSWORD)

    def test_passwords_are_a_superusers_business(self, as_admin: Client, as_root: Client, agent: Membership) -> None:
        url = reverse("admin:auth_user_password_change", args=[agent.user.pk])
        form = {"password1": "staple tiger window", "password2": "staple tiger window", "usable_password": "true"}
        assert as_admin.get(url).status_code == 403
        assert as_admin.post(url, form).status_code == 403
        agent.user.refresh_from_db()
        assert agent.user.check_password(PASSWORD)
        assert as_root.post(url, form).status_code == 302
        agent.user.refresh_from_db()
        assert agent.user.check_password("staple tiger window")

    def test_somebody_who_is_also_elsewhere_is_only_shown(self, as_admin: Client, agent: Membership) -> None:
        elsewhere = MembershipFactory(user=agent.user, workspace__name="Secret project")
        page = as_admin.get(page_of(agent.user))
        assert page.status_code == 200
        assert elsewhere.workspace.name not in page.content.decode()
        assert as_admin.post(page_of(agent.user), INLINE | {"name": "X", "timezone": "UTC"}).status_code == 403
        agent.user.refresh_from_db()
        assert agent.user.name == "Sam"

    def test_a_superuser_is_only_shown(self, as_admin: Client, owner: Membership) -> None:
        root = MembershipFactory(workspace=owner.workspace, user__is_superuser=True).user
        assert as_admin.post(page_of(root), INLINE | {"name": "X", "timezone": "UTC"}).status_code == 403

    def test_workspace_admins_add_nobody(self, as_admin: Client) -> None:
        before = User.objects.count()
        for model in ("user", "membership", "workspace"):
            assert as_admin.get(reverse(f"admin:accounts_{model}_add")).status_code == 403
            assert as_admin.post(reverse(f"admin:accounts_{model}_add"), {}).status_code == 403
        assert User.objects.count() == before

    def test_a_superuser_makes_people_workspaces_and_owners(self, as_root: Client) -> None:
        password = "staple tiger window"
        person = {"email": "New@Example.com", "name": "New", "password1": password, "password2": password}
        as_root.post(reverse("admin:accounts_user_add"), INLINE | person | {"usable_password": "true"})
        user = User.objects.get(email="new@example.com")
        form: dict[str, Any] = {
            "name": "Acme",
            "slug": "acme",
            "timezone": "UTC",
            "auto_close_days": 4,
            "reopen_window_days": 14,
        }
        as_root.post(reverse("admin:accounts_workspace_add"), form)
        workspace = Workspace.objects.get(slug="acme")
        form = {"workspace": workspace.pk, "user": user.pk, "role": "owner", "is_active": "on"}
        as_root.post(reverse("admin:accounts_membership_add"), form)
        assert Membership.objects.for_workspace(workspace).get().role == "owner"

    def test_deactivating_an_account_ends_its_memberships(self, as_root: Client, agent: Membership) -> None:
        form = {"email": agent.user.email, "name": "Sam", "timezone": "UTC"}
        assert as_root.post(page_of(agent.user), INLINE | form).status_code == 302
        agent.refresh_from_db()
        assert not agent.is_active and not agent.user.is_active

    def test_deactivating_the_account_of_a_last_owner_is_refused(self, as_root: Client, owner: Membership) -> None:
        form = {"email": owner.user.email, "name": "Olga", "timezone": "UTC"}
        assert "last owner" in as_root.post(page_of(owner.user), INLINE | form, follow=True).content.decode()
        owner.refresh_from_db()
        assert owner.is_active and owner.user.is_active and owner.user.name != "Olga"


class TestMemberships:
    def test_roles_go_through_the_service(self, as_admin: Client, agent: Membership) -> None:
        assert as_admin.post(page_of(agent), {"role": "light", "is_active": "on"}).status_code == 302
        agent.refresh_from_db()
        assert agent.role == "light"

    @pytest.mark.parametrize("form", [{"role": "owner", "is_active": "on"}])
    def test_admins_make_no_owners(self, as_admin: Client, agent: Membership, form: dict[str, str]) -> None:
        assert "Only owners" in as_admin.post(page_of(agent), form, follow=True).content.decode()
        agent.refresh_from_db()
        assert agent.role == "agent"

    def test_admins_touch_no_owner(self, as_admin: Client, owner: Membership) -> None:
        assert "Only owners" in as_admin.post(page_of(owner), {"role": "owner"}, follow=True).content.decode()
        owner.refresh_from_db()
        assert owner.is_active

    def test_leaving_goes_through_the_service(self, as_root: Client, agent: Membership) -> None:
        as_root.post(page_of(agent), {"role": "agent"})
        agent.refresh_from_db()
        assert not agent.is_active

    def test_not_in_another_workspace(self, as_admin: Client) -> None:
        other = MembershipFactory(workspace=WorkspaceFactory())
        assert as_admin.post(page_of(other), {"role": "light", "is_active": "on"}).status_code == 404
        other.refresh_from_db()
        assert other.role == "agent"


class TestInvitationsAndWorkspaces:
    def test_an_invitation_is_withdrawn_by_an_action(self, as_root: Client, owner: Membership, now: Any) -> None:
        invitation = Invitation.unscoped.create(
            workspace=owner.workspace, email="a@example.com", role="owner", invited_by=owner.user, expires_at=now
        )
        url = reverse("admin:accounts_invitation_changelist")
        as_root.post(url, {"action": "withdraw", "_selected_action": [str(invitation.pk)]})
        invitation.refresh_from_db()
        assert invitation.revoked_at

    def test_an_admin_changes_the_settings_but_not_what_it_is(self, as_admin: Client, admin: Membership) -> None:
        form = {"name": "Better", "timezone": "UTC", "auto_close_days": 5, "reopen_window_days": 14}
        answer = as_admin.post(page_of(admin.workspace), form | {"slug": "taken", "is_test": "on"})
        assert answer.status_code == 302
        before = admin.workspace.slug
        admin.workspace.refresh_from_db()
        assert (admin.workspace.name, admin.workspace.slug, admin.workspace.is_test) == ("Better", before, False)
