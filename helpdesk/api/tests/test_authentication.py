"""Tokens and keys: who gets in, and who does not any more."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from helpdesk.accounts import tokens
from helpdesk.accounts.models import ApiKey, Membership
from helpdesk.accounts.tests.factories import PASSWORD, MembershipFactory, UserFactory, WorkspaceFactory
from helpdesk.api.tests.problems import assert_refused
from helpdesk.errors import InvalidInput

pytestmark = pytest.mark.django_db


@pytest.fixture
def member() -> Membership:
    return MembershipFactory(user__email="maria@example.com", user__name="Maria")


def sign_in(**changes):
    body = {"email": "maria@example.com", "password": PASSWORD} | changes
    return APIClient().post("/api/auth/token", {name: value for name, value in body.items() if value is not None})


def me(token, client=None):
    return (client or APIClient()).get("/api/me", HTTP_AUTHORIZATION=f"Bearer {token}")


class TestSigningIn:
    def test_gives_two_tokens_the_person_and_the_workspace(self, member):
        answer = sign_in(email=" Maria@Example.com ")
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        body = answer.json()
        who = {
            "user": {"id": str(member.user_id), "email": "maria@example.com", "name": "Maria", "role": "agent"},
            "workspace": {
                "id": str(member.workspace_id),
                "name": member.workspace.name,
                "slug": member.workspace.slug,
            },
        }
        assert body == {"access": body["access"], "refresh": body["refresh"], **who}
        assert me(body["access"]).json() == who

    def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(self, member):
        wrong = sign_in(password="not the password")
        unknown = sign_in(email="nobody@example.com")
        assert_refused(wrong, 401, "wrong_credentials")
        assert wrong.content == unknown.content
        assert not OutstandingToken.objects.exists()

    def test_an_unknown_address_costs_a_password_hash_as_well(self, member, monkeypatch):
        from django.contrib.auth.hashers import MD5PasswordHasher

        hashed: list[str] = []
        real = MD5PasswordHasher.encode

        def counted(self, password, *args):
            hashed.append(password)
            return real(self, password, *args)

        monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
        sign_in(password="not the password")
        known = len(hashed)
        sign_in(email="nobody@example.com")
        assert len(hashed) - known == known == 1

    def test_a_workspace_can_be_chosen(self, member):
        second = MembershipFactory(user=member.user, role="admin")
        assert sign_in().json()["workspace"]["id"] == str(member.workspace_id)
        chosen = sign_in(workspace_id=str(second.workspace_id)).json()
        assert chosen["workspace"]["id"] == str(second.workspace_id)
        assert chosen["user"]["role"] == "admin"

    def test_a_foreign_and_an_unknown_workspace_are_the_same_404(self, member):
        foreign = sign_in(workspace_id=str(WorkspaceFactory().pk))
        unknown = sign_in(workspace_id="00000000-0000-7000-8000-000000000000")
        assert_refused(foreign, 404, "not_found", "workspace_id")
        assert foreign.content == unknown.content

    def test_an_inactive_person_is_refused_like_a_wrong_password(self, member):
        member.user.is_active = False
        member.user.save()
        assert_refused(sign_in(), 401, "wrong_credentials")

    def test_a_person_without_a_workspace_is_told(self, member):
        Membership.unscoped.update(is_active=False)
        assert_refused(sign_in(), 403, "not_allowed")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"email": None}, "email"),
            ({"email": "no address"}, "email"),
            ({"email": 5}, "email"),
            ({"email": "a" * 250 + "@example.com"}, "email"),
            ({"password": None}, "password"),
            ({"password": ""}, "password"),
            ({"password": ["x"]}, "password"),
            ({"password": "x" * 1001}, "password"),
            ({"workspace_id": "x"}, "workspace_id"),
            ({"workspace_id": 7}, "workspace_id"),
            ({"remember": True}, "remember"),
        ],
    )
    def test_what_is_wrong_is_named(self, member, changes, field):
        assert_refused(sign_in(**changes), 400, "invalid", field)
        assert not AccessAttempt.objects.exists()

    def test_ten_failures_lock_for_a_while_even_with_the_right_password(self, member, settings):
        settings.AXES_FAILURE_LIMIT = 3
        for _ in range(2):
            assert_refused(sign_in(password="wrong"), 401, "wrong_credentials")
        locked = sign_in(password="wrong")
        assert_refused(locked, 429, "locked_out")
        assert locked["Retry-After"] == "900"
        assert_refused(sign_in(), 429, "locked_out")
        assert not OutstandingToken.objects.exists()

    def test_a_success_forgets_earlier_failures(self, member, settings):
        settings.AXES_FAILURE_LIMIT = 3
        for _ in range(3):
            sign_in(password="wrong")
            assert sign_in().status_code == 200

    def test_only_posts_are_answered(self):
        answer = APIClient().get("/api/auth/token")
        assert_refused(answer, 405, "method_not_allowed")
        assert "POST" in answer["Allow"]


class TestAccessTokens:
    def test_no_token_is_401(self):
        assert_refused(APIClient().get("/api/me"), 401, "not_authenticated")

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "hdk_unknown", "hdk_", "eyJhbGciOiJub25lIn0.e30."])
    def test_what_is_no_token_is_401(self, token):
        assert APIClient().get("/api/me", HTTP_AUTHORIZATION=f"Bearer {token}").status_code == 401

    def test_another_scheme_is_401(self):
        assert APIClient().get("/api/me", HTTP_AUTHORIZATION="Basic dTpw").status_code == 401

    def test_a_browser_session_does_not_open_the_api(self, member, client):
        client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
        assert client.get("/api/me").status_code == 401

    def test_it_ends_after_fifteen_minutes(self, member):
        with time_machine.travel(timezone.now(), tick=False) as clock:
            access = sign_in().json()["access"]
            clock.shift(14 * 60)
            assert me(access).status_code == 200
            clock.shift(2 * 60)
            assert_refused(me(access), 401, "token_expired")

    def test_a_refresh_token_is_not_an_access_token(self, member):
        assert_refused(me(sign_in().json()["refresh"]), 401, "token_invalid")

    @pytest.mark.parametrize("change", ["member", "user", "password", "gone"])
    def test_it_ends_with_the_member_the_person_or_the_password(self, member, change):
        access, refresh = (sign_in().json()[name] for name in ("access", "refresh"))
        if change == "member":
            Membership.unscoped.update(is_active=False)
        elif change == "user":
            type(member.user).objects.update(is_active=False)
        elif change == "password":
            type(member.user).objects.update(password=make_password("a new password"))
        else:
            Membership.unscoped.all().delete()
        assert_refused(me(access), 401, "token_invalid")
        assert_refused(APIClient().post("/api/auth/refresh", {"refresh": refresh}), 401, "token_invalid")

    def test_the_role_is_the_one_of_now(self, member):
        access = sign_in().json()["access"]
        Membership.unscoped.update(role="light")
        assert me(access).json()["user"]["role"] == "light"

    def test_a_token_of_the_old_secret_works_while_it_is_a_fallback(self, member, settings):
        signed = sign_in().json()
        old, settings.SECRET_KEY = settings.SECRET_KEY, "another secret, long enough to sign tokens with 0123456789"
        assert_refused(me(signed["access"]), 401, "token_invalid")
        settings.SECRET_KEY_FALLBACKS = [old]
        assert me(signed["access"]).status_code == 200
        renewed = APIClient().post("/api/auth/refresh", {"refresh": signed["refresh"]}).json()
        settings.SECRET_KEY_FALLBACKS = []
        assert me(renewed["access"]).status_code == 200

    def test_reading_oneself_takes_one_query(self, member, django_assert_num_queries):
        access = sign_in().json()["access"]
        with django_assert_num_queries(1):
            assert me(access).status_code == 200


class TestRefreshing:
    def refresh(self, token):
        return APIClient().post("/api/auth/refresh", {"refresh": token})

    def test_gives_a_new_pair_and_ends_the_old_token(self, member):
        first = sign_in().json()
        second = self.refresh(first["refresh"])
        assert second.status_code == 200
        assert set(second.json()) == {"access", "refresh", "user", "workspace"}
        assert second.json()["refresh"] != first["refresh"]
        assert me(second.json()["access"]).status_code == 200
        assert_refused(self.refresh(first["refresh"]), 401, "token_invalid")
        assert self.refresh(second.json()["refresh"]).status_code == 200

    def test_an_access_token_or_rubbish_is_refused(self, member):
        assert_refused(self.refresh(sign_in().json()["access"]), 401, "token_invalid")
        assert_refused(self.refresh("rubbish"), 401, "token_invalid")

    @pytest.mark.parametrize("body", [{}, {"refresh": 5}, {"refresh": ""}, {"refresh": None}])
    def test_a_missing_or_wrong_field_is_named(self, body):
        for path in ("/api/auth/refresh", "/api/auth/revoke"):
            assert_refused(APIClient().post(path, body), 400, "invalid", "refresh")

    def test_the_database_keeps_no_token(self, member):
        sign_in()
        assert [row.token for row in OutstandingToken.objects.all()] == [""]

    def test_revoking_ends_a_token_and_may_be_repeated(self, member):
        token = sign_in().json()["refresh"]
        for given in (token, token, "rubbish"):
            assert APIClient().post("/api/auth/revoke", {"refresh": given}).status_code == 204
        assert_refused(self.refresh(token), 401, "token_invalid")


class TestApiKeys:
    def make(self, member, **fields) -> tuple[ApiKey, str]:
        given = {"name": "Script", "scopes": ["read"], "expires_at": None, "now": timezone.now()} | fields
        return tokens.make_api_key(membership=member, **given)

    def test_a_key_acts_for_its_member(self, member, django_assert_num_queries):
        _, plain = self.make(member)
        assert plain.startswith("hdk_") and len(plain) == 47
        assert plain not in str(ApiKey.unscoped.values().get())
        with django_assert_num_queries(2):  # the second notes the use
            assert me(plain).json()["user"]["email"] == "maria@example.com"
        with django_assert_num_queries(1):
            assert me(plain).status_code == 200

    def test_its_use_is_noted_to_the_minute(self, member):
        key, plain = self.make(member)
        with time_machine.travel(timezone.now(), tick=False) as clock:
            begun = timezone.now()
            for shift, expected in ((0, 0), (30, 0), (30, 60)):
                clock.shift(shift)
                me(plain)
                key.refresh_from_db()
                assert key.last_used_at == begun + dt.timedelta(seconds=expected)

    def test_a_revoked_or_expired_key_opens_nothing(self, member):
        key, plain = self.make(member)
        tokens.revoke_api_key(key=key, now=timezone.now())
        ended = key.revoked_at
        tokens.revoke_api_key(key=key, now=timezone.now())
        assert key.revoked_at == ended
        assert_refused(me(plain), 401, "key_invalid")
        _, short = self.make(member, expires_at=timezone.now() + dt.timedelta(hours=1))
        assert me(short).status_code == 200
        with time_machine.travel(timezone.now() + dt.timedelta(hours=2)):
            assert_refused(me(short), 401, "key_invalid")

    def test_it_ends_with_its_member(self, member):
        _, plain = self.make(member)
        Membership.unscoped.update(is_active=False)
        assert_refused(me(plain), 401, "key_invalid")

    @pytest.mark.urls("helpdesk.api.tests.urls")
    @pytest.mark.parametrize(
        ("role", "scopes", "status"),
        [
            ("admin", ["read"], 403),
            ("admin", ["write"], 403),
            ("admin", ["admin"], 201),
            ("admin", ["read", "admin"], 201),
            ("agent", ["admin"], 403),
        ],
    )
    def test_scopes_leave_a_part_of_the_role_and_add_nothing(self, member, role, scopes, status):
        Membership.unscoped.update(role=role)
        _, plain = self.make(member, scopes=scopes)
        answer = APIClient().post("/api/test/teams", {"name": "x"}, HTTP_AUTHORIZATION=f"Bearer {plain}")
        assert answer.status_code == status

    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"name": " "}, "name"),
            ({"name": "x" * 81}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["root"]}, "scopes"),
            ({"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "expires_at"),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_saved(self, member, fields, name):
        with pytest.raises(InvalidInput) as refused:
            self.make(member, **fields)
        assert list(refused.value.errors) == [name]
        assert not ApiKey.unscoped.exists()


@pytest.mark.urls("helpdesk.api.tests.urls")
@pytest.mark.parametrize(("role", "status"), [("owner", 201), ("admin", 201), ("agent", 403), ("light", 403)])
def test_a_view_says_what_each_method_needs(client_of, role, status):
    answer = client_of(MembershipFactory(role=role)).post("/api/test/teams", {"name": "x"})
    assert answer.status_code == status
    if status == 403:
        assert_refused(answer, 403, "not_allowed")


def test_two_refreshes_at_once_give_one_pair(member):
    token = tokens.issue(membership=member, now=timezone.now()).refresh
    given: Any = tokens.Refresh(token)
    assert given.blacklist()[1] is True
    assert given.blacklist()[1] is False  # what the slower of two gets, and is refused for


def test_a_user_without_memberships_has_no_token_claims():
    assert tokens.member_of({"user_id": str(UserFactory().pk), "workspace_id": "x"}) is None


def test_failures_are_counted_by_the_address_behind_our_proxy(member, settings):
    settings.TRUSTED_PROXIES = 1
    body = {"email": "maria@example.com", "password": "wrong"}
    APIClient().post("/api/auth/token", body, HTTP_X_FORWARDED_FOR="203.0.113.9, 198.51.100.7")
    assert AccessAttempt.objects.get().ip_address == "198.51.100.7"
