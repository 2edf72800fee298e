"""Invitations: who may invite whom, the letter, and joining."""

import datetime as dt
import re
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts import services
from helpdesk.accounts.models import Invitation, Membership, User
from helpdesk.accounts.tests.factories import PASSWORD, MembershipFactory, UserFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound

pytestmark = pytest.mark.django_db

EMAIL = "nina@example.com"
NEW_PASSWORD = "staple tiger window"


@pytest.fixture
def admin() -> Membership:
    return MembershipFactory(role="admin", user__name="Ada Admin", workspace__name="Acme")


@pytest.fixture
def owner(admin: Membership) -> Membership:
    return MembershipFactory(role="owner", workspace=admin.workspace)


def invite(by: Membership, email: str = EMAIL, role: str = "agent", now: dt.datetime | None = None) -> Any:
    return services.invite_member(
        workspace=by.workspace, email=email, role=role, invited_by=by, now=now or timezone.now()
    )


class TestInviting:
    def test_sends_a_letter_with_a_link_after_the_commit(
        self, admin: Membership, now: dt.datetime, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            invitation, token = invite(admin, "Nina@Example.com", now=now)
            assert mail.outbox == []
        letter = mail.outbox[0]
        assert letter.to == [EMAIL]
        assert "Ada Admin invites you to Acme" in letter.subject
        assert f"{settings.SITE_URL}/invitations/{token}" in letter.body
        assert invitation.expires_at == now + dt.timedelta(days=7)
        assert token not in str(Invitation.unscoped.values().get())

    def test_a_test_workspace_sends_nothing_and_shows_the_link(
        self, client: Client, django_capture_on_commit_callbacks: Any
    ) -> None:
        admin = MembershipFactory(role="admin", workspace__is_test=True)
        client.force_login(admin.user)
        with django_capture_on_commit_callbacks(execute=True):
            client.post(reverse("accounts:member-invite"), {"email": EMAIL, "role": "agent"})
        assert mail.outbox == []
        link = f"{settings.SITE_URL}/invitations/"
        assert link in client.get("/settings/members").content.decode()
        assert link not in client.get("/settings/members").content.decode()

    def test_a_mail_server_that_is_away_loses_no_invitation(
        self, admin: Membership, monkeypatch: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        def away(*args: Any) -> None:
            raise OSError("away")

        monkeypatch.setattr(services, "_send", away)
        with django_capture_on_commit_callbacks(execute=True):
            invite(admin)
        assert Invitation.unscoped.count() == 1

    def test_again_replaces_the_open_one(self, admin: Membership, now: dt.datetime) -> None:
        _, old = invite(admin, now=now)
        _, new = invite(admin, role="light", now=now)
        with pytest.raises(NotFound):
            services.find_invitation(token=old, now=now)
        assert services.find_invitation(token=new, now=now).role == "light"

    @pytest.mark.parametrize("role", ["agent", "light"])
    def test_is_not_for_agents(self, admin: Membership, role: str) -> None:
        agent = MembershipFactory(role=role, workspace=admin.workspace)
        self.refused(NotAllowed, agent)

    def test_is_not_for_admins_of_another_workspace(self, admin: Membership) -> None:
        other = MembershipFactory(role="owner")
        with pytest.raises(NotAllowed):
            services.invite_member(
                workspace=admin.workspace, email=EMAIL, role="agent", invited_by=other, now=timezone.now()
            )
        assert not Invitation.unscoped.exists()

    def test_is_not_for_somebody_deactivated(self, admin: Membership) -> None:
        admin.is_active = False
        self.refused(NotAllowed, admin)

    def test_only_owners_invite_owners(self, admin: Membership, owner: Membership) -> None:
        self.refused(NotAllowed, admin, role="owner")
        invitation, _ = invite(owner, role="owner")
        assert invitation.role == "owner"

    @pytest.mark.parametrize("active", [True, False])
    def test_refuses_members_and_former_members(self, admin: Membership, active: bool) -> None:
        MembershipFactory(workspace=admin.workspace, user__email=EMAIL, is_active=active)
        self.refused(Conflict, admin)

    def test_refuses_what_is_no_address_or_no_role(self, admin: Membership) -> None:
        assert "email" in self.refused(InvalidInput, admin, email="nina")
        assert "email" in self.refused(InvalidInput, admin, email="a\0b@example.com")
        assert "role" in self.refused(InvalidInput, admin, role="king")

    def refused(self, error: Any, by: Membership, **values: str) -> dict[str, list[str]]:
        with pytest.raises(error) as raised:
            invite(by, **values)
        assert not Invitation.unscoped.exists()
        assert mail.outbox == []
        errors: dict[str, list[str]] = raised.value.errors
        return errors


class TestJoining:
    def follow(self, client: Client, token: str) -> Any:
        return client.get(reverse("accounts:invitation", args=[token]), follow=True)

    def test_the_link_leaves_the_address_before_the_form(self, client: Client, admin: Membership) -> None:
        _, token = invite(admin)
        answer = client.get(f"/invitations/{token}")
        assert answer.status_code == 302
        assert token not in answer.url
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "no-store" in answer["Cache-Control"]

    def test_following_the_link_joins_nothing(self, client: Client, admin: Membership) -> None:
        _, token = invite(admin)
        page = self.follow(client, token)
        assert "Join Acme" in page.content.decode()
        assert "no-store" in page["Cache-Control"]
        assert not User.objects.filter(email=EMAIL).exists()

    def test_a_new_person_gets_an_account_and_is_signed_in(self, client: Client, admin: Membership) -> None:
        _, token = invite(admin, role="light")
        self.follow(client, token)
        answer = client.post("/invitations/join", {"name": " Nina  Nowak ", "password": NEW_PASSWORD})
        assert answer.status_code == 302
        member = Membership.unscoped.get(user__email=EMAIL)
        assert (member.workspace, member.role, member.user.name) == (admin.workspace, "light", "Nina Nowak")
        assert client.session["_auth_user_id"] == str(member.user_id)
        assert client.get("/profile").status_code == 200

    def test_a_link_works_once(self, client: Client, admin: Membership) -> None:
        _, token = invite(admin)
        self.follow(client, token)
        client.post("/invitations/join", {"name": "Nina", "password": NEW_PASSWORD})
        assert self.follow(Client(), token).status_code == 404

    @pytest.mark.parametrize(
        ("name", "password", "field"),
        [("Nina", "short", "password"), ("Nina", "password123", "password"), ("", NEW_PASSWORD, "name")],
    )
    def test_a_weak_password_or_no_name_joins_nothing(
        self, client: Client, admin: Membership, name: str, password: str, field: str
    ) -> None:
        _, token = invite(admin)
        self.follow(client, token)
        answer = client.post("/invitations/join", {"name": name, "password": password})
        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == [field]
        assert not User.objects.filter(email=EMAIL).exists()
        assert Invitation.unscoped.get().accepted_at is None

    def test_an_old_withdrawn_or_wrong_link_is_said_to_be_so(self, client: Client, admin: Membership) -> None:
        _, old = invite(admin, now=timezone.now() - dt.timedelta(days=7, minutes=1))
        invitation, withdrawn = invite(admin, email="other@example.com")
        services.revoke_invitation(invitation=invitation, by=admin, now=timezone.now())
        for token in (old, withdrawn, "nonsense", "%00"):
            page = self.follow(client, token)
            assert page.status_code in (400, 404)
            assert client.post("/invitations/join", {"name": "x", "password": NEW_PASSWORD}).status_code == 404
        assert Membership.unscoped.count() == 1

    def test_nobody_without_a_link_joins(self, client: Client) -> None:
        assert client.post("/invitations/join", {"name": "x", "password": NEW_PASSWORD}).status_code == 404

    def test_somebody_with_an_account_proves_it_and_keeps_it(self, client: Client, admin: Membership) -> None:
        nina: Any = UserFactory(email=EMAIL, name="Nina Nowak")
        _, token = invite(admin)
        page = self.follow(client, token).content.decode()
        assert 'name="name"' not in page
        assert client.post("/invitations/join", {"password": "wrong wrong"}).status_code == 422
        assert not Membership.unscoped.filter(user=nina).exists()
        assert client.post("/invitations/join", {"password": PASSWORD, "name": "Mallory"}).status_code == 302
        nina.refresh_from_db()
        assert nina.name == "Nina Nowak" and nina.check_password(PASSWORD)
        assert Membership.unscoped.filter(user=nina, workspace=admin.workspace).exists()

    def test_guessing_that_password_is_locked_like_signing_in(self, client: Client, admin: Membership) -> None:
        UserFactory(email=EMAIL)
        _, token = invite(admin)
        self.follow(client, token)
        for _ in range(settings.AXES_FAILURE_LIMIT):
            answer = client.post("/invitations/join", {"password": "wrong wrong"})
        assert answer.status_code == 429
        assert client.post("/invitations/join", {"password": PASSWORD}).status_code == 429
        assert not Membership.unscoped.filter(user__email=EMAIL).exists()

    def test_somebody_signed_in_as_that_address_just_joins(self, client: Client, admin: Membership) -> None:
        nina = MembershipFactory(user__email=EMAIL).user
        client.force_login(nina)
        _, token = invite(admin)
        page = self.follow(client, token).content.decode()
        assert not re.search(r'type="password"', page)
        client.post("/invitations/join")
        assert Membership.unscoped.filter(user=nina, workspace=admin.workspace).exists()
        assert client.session["workspace_id"] == str(admin.workspace_id)

    def test_somebody_signed_in_as_another_does_not(self, client: Client, admin: Membership) -> None:
        UserFactory(email=EMAIL)
        client.force_login(MembershipFactory().user)
        _, token = invite(admin)
        self.follow(client, token)
        assert client.post("/invitations/join").status_code == 422
        assert not Membership.unscoped.filter(user__email=EMAIL).exists()

    def test_an_inactive_account_joins_nothing(self, client: Client, admin: Membership) -> None:
        nina = UserFactory(email=EMAIL, is_active=False)
        _, token = invite(admin)
        with pytest.raises(NotFound):
            services.accept_invitation(token=token, name="", password=PASSWORD, now=timezone.now(), signed_in=nina)
        assert not Membership.unscoped.filter(user=nina).exists()


class TestWithdrawing:
    def test_a_page_withdraws(self, client: Client, admin: Membership) -> None:
        invitation, _ = invite(admin)
        client.force_login(admin.user)
        client.post(reverse("accounts:invitation-revoke", args=[invitation.pk]))
        invitation.refresh_from_db()
        assert invitation.revoked_at

    def test_a_foreign_one_is_not_there(self, client: Client, admin: Membership) -> None:
        invitation, _ = invite(MembershipFactory(role="admin", workspace=WorkspaceFactory()))
        client.force_login(admin.user)
        assert client.post(reverse("accounts:invitation-revoke", args=[invitation.pk])).status_code == 404
        invitation.refresh_from_db()
        assert invitation.revoked_at is None

    def test_an_accepted_one_stays(self, admin: Membership) -> None:
        invitation, token = invite(admin)
        services.accept_invitation(token=token, name="Nina", password=NEW_PASSWORD, now=timezone.now())
        with pytest.raises(Conflict):
            services.revoke_invitation(invitation=invitation, by=admin, now=timezone.now())
        invitation.refresh_from_db()
        assert invitation.revoked_at is None
