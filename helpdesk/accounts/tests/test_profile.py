"""The profile: name, time zone, password, and API keys that are shown once."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts import tokens
from helpdesk.accounts.models import ApiKey, Membership
from helpdesk.accounts.tests.factories import PASSWORD, MembershipFactory

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "staple tiger window"


@pytest.fixture
def maria() -> Membership:
    return MembershipFactory(role="light", user__name="Maria")


@pytest.fixture
def console(client: Client, maria: Membership) -> Client:
    client.force_login(maria.user)
    return client


class TestAboutYou:
    def test_is_saved(self, console: Client, maria: Membership) -> None:
        console.post("/profile", {"name": "  Maria   Rossi ", "timezone": "Europe/Rome"})
        maria.user.refresh_from_db()
        assert (maria.user.name, maria.user.timezone) == ("Maria Rossi", "Europe/Rome")

    @pytest.mark.parametrize(
        ("field", "value"),
        [("name", ""), ("name", "x" * 121), ("name", "a\0b"), ("timezone", "Mars"), ("timezone", "")],
    )
    def test_bad_values_are_named_and_nothing_is_saved(
        self, console: Client, maria: Membership, field: str, value: str
    ) -> None:
        answer = console.post("/profile", {"name": "M", "timezone": "UTC"} | {field: value})
        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == [field]
        maria.user.refresh_from_db()
        assert maria.user.name == "Maria"

    def test_nothing_else_can_be_changed_by_it(self, console: Client, maria: Membership) -> None:
        console.post("/profile", {"name": "M", "timezone": "UTC", "email": "x@example.com", "is_superuser": "1"})
        before = maria.user.email
        maria.user.refresh_from_db()
        assert maria.user.email == before and not maria.user.is_superuser


class TestPassword:
    def change(self, client: Client, old: str = PASSWORD, new: str = NEW_PASSWORD, again: str | None = None) -> Any:
        form = {"old_password": old, "new_password1": new, "new_password2": new if again is None else again}
        return client.post(reverse("accounts:password-change"), form)

    def test_is_changed_here_and_ends_the_other_sessions(self, console: Client, maria: Membership) -> None:
        elsewhere = Client()
        elsewhere.force_login(maria.user)
        assert self.change(console).status_code == 302
        assert console.get("/profile").status_code == 200
        assert elsewhere.get("/profile").status_code == 302
        maria.user.refresh_from_db()
        assert maria.user.check_password(NEW_PASSWORD)

    @pytest.mark.parametrize(
        ("old", "new", "again"),
        [("wrong wrong", NEW_PASSWORD, None), (PASSWORD, "short", None), (PASSWORD, NEW_PASSWORD, "another one")],
    )
    def test_is_not_changed_otherwise(
        self, console: Client, maria: Membership, old: str, new: str, again: str | None
    ) -> None:
        assert self.change(console, old, new, again).status_code == 422
        maria.user.refresh_from_db()
        assert maria.user.check_password(PASSWORD)


class TestApiKeys:
    form = {"name": "Nightly export", "scopes": ["read", "write"], "expires_in": "30"}

    def test_a_key_is_shown_once(self, console: Client, maria: Membership) -> None:
        assert console.post("/profile/api-keys", self.form).status_code == 302
        page = console.get("/profile")
        plain = page.context["new_api_key"]
        assert plain.startswith("hdk_")
        assert plain in page.content.decode()
        assert page["Cache-Control"] == "no-store"
        again = console.get("/profile").content.decode()
        assert plain not in again and "Nightly export" in again
        key = tokens.find_api_key(plain)
        assert key is not None and key.membership == maria and key.scopes == ["read", "write"]
        assert key.expires_at and dt.timedelta(days=29) < key.expires_at - timezone.now() < dt.timedelta(days=31)

    def test_a_key_without_an_end(self, console: Client) -> None:
        console.post("/profile/api-keys", self.form | {"expires_in": ""})
        assert ApiKey.unscoped.get().expires_at is None

    @pytest.mark.parametrize(
        ("field", "value"),
        [("name", ""), ("name", "x" * 81), ("scopes", []), ("scopes", ["root"]), ("expires_in", "7")],
    )
    def test_bad_values_are_named_and_make_no_key(self, console: Client, field: str, value: Any) -> None:
        answer = console.post("/profile/api-keys", self.form | {field: value})
        assert answer.status_code == 422
        assert list(answer.context["api_key_form"].errors) == [field]
        assert not ApiKey.unscoped.exists()

    def make(self, member: Membership) -> ApiKey:
        return tokens.make_api_key(membership=member, name="k", scopes=["read"], expires_at=None, now=timezone.now())[0]

    def test_ones_own_key_is_revoked(self, console: Client, maria: Membership) -> None:
        key = self.make(maria)
        console.post(reverse("accounts:api-key-revoke", args=[key.pk]))
        key.refresh_from_db()
        assert key.revoked_at
        assert "Revoked" in console.get("/profile").content.decode()

    def test_keys_of_others_are_not_there(self, console: Client, maria: Membership) -> None:
        colleague = self.make(MembershipFactory(workspace=maria.workspace))
        elsewhere = self.make(MembershipFactory(user=maria.user, workspace=MembershipFactory().workspace))
        for key in (colleague, elsewhere):
            assert console.post(reverse("accounts:api-key-revoke", args=[key.pk])).status_code == 404
            key.refresh_from_db()
            assert key.revoked_at is None

    def test_a_get_changes_nothing(self, console: Client, maria: Membership) -> None:
        key = self.make(maria)
        for url in (reverse("accounts:api-key-revoke", args=[key.pk]), reverse("accounts:api-key-create")):
            assert console.get(url).status_code == 405
        key.refresh_from_db()
        assert key.revoked_at is None and ApiKey.unscoped.count() == 1


@pytest.mark.parametrize(
    "path", ["/sign-in", "/password-reset", "/signed-out", "/password-reset/sent", "/password-reset/done"]
)
def test_pages_without_sign_in_have_nothing_inline(client: Client, path: str) -> None:
    page = client.get(path).content.decode()
    assert "style=" not in page and "<style" not in page and " onclick" not in page


@pytest.mark.parametrize("path", ["/profile", "/settings/members", "/settings/teams", "/settings/workspace"])
def test_console_pages_have_nothing_inline_and_few_queries(
    client: Client, path: str, django_assert_max_num_queries: Any
) -> None:
    client.force_login(MembershipFactory(role="owner").user)
    with django_assert_max_num_queries(10):
        page = client.get(path).content.decode()
    assert "style=" not in page and "<style" not in page and " onclick" not in page
