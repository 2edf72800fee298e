"""Sign-in, sign-out, the lock after too many failures, and the password reset."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse

from helpdesk.accounts import services, tasks
from helpdesk.accounts.models import User
from helpdesk.accounts.tests.factories import PASSWORD, MembershipFactory, UserFactory
from helpdesk.celery import app as celery_app

pytestmark = pytest.mark.django_db

SIGN_IN = "/sign-in"
NEW_PASSWORD = "staple tiger window"


@pytest.fixture
def maria() -> User:
    return MembershipFactory(user__email="maria@example.com", user__name="Maria Rossi").user


@pytest.fixture
def tasks_run_at_once() -> Iterator[None]:
    celery_app.conf.task_always_eager = celery_app.conf.task_eager_propagates = True
    yield
    celery_app.conf.task_always_eager = celery_app.conf.task_eager_propagates = False


def sign_in(client: Client, email: str, password: str = PASSWORD, **extra: Any) -> Any:
    return client.post(SIGN_IN, {"username": email, "password": password, **extra})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


class TestSignIn:
    def test_the_page_shows_its_fields(self, client: Client) -> None:
        page = client.get(SIGN_IN).content.decode()
        assert 'name="username"' in page and 'name="password"' in page and "E-mail" in page

    def test_the_right_password_opens_the_console(self, client: Client, maria: User) -> None:
        answer = sign_in(client, "maria@example.com")
        assert answer.status_code == 302
        assert answer.url == reverse("front-door")
        assert is_signed_in(client)

    @pytest.mark.parametrize("email", ["MARIA@example.com", "  Maria@Example.COM "])
    def test_the_case_of_the_address_does_not_matter(self, client: Client, maria: User, email: str) -> None:
        assert sign_in(client, email).status_code == 302

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("maria@example.com", "wrong"),
            ("nobody@example.com", PASSWORD),
            ("maria@example.com", PASSWORD.upper()),
            ("maria@example.com", ""),
            ("", PASSWORD),
            ("no address", PASSWORD),
            ("maria@example.com\0", PASSWORD),
            ("maria@example.com", "x" * 2000),
        ],
    )
    def test_anything_else_does_not(self, client: Client, maria: User, email: str, password: str) -> None:
        answer = sign_in(client, email, password)
        assert answer.status_code == 200
        assert "_auth_user_id" not in client.session

    def test_the_answer_is_the_same_for_unknown_and_inactive_people(self, client: Client, maria: User) -> None:
        MembershipFactory(user__email="gone@example.com", user__is_active=False)
        pages = [
            re.sub(r'value="[^"]*"|nonce="[^"]*"', "", sign_in(client, email, password).content.decode())
            for email, password in [
                ("maria@example.com", "wrong wrong"),
                ("nobody@example.com", "wrong wrong"),
                ("gone@example.com", PASSWORD),
            ]
        ]
        assert pages[0] == pages[1] == pages[2]
        assert "do not belong together" in pages[0]

    def test_next_leads_to_our_own_pages(self, client: Client, maria: User) -> None:
        assert sign_in(client, maria.email, next="/profile").url == "/profile"

    @pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example", "javascript:x", "/\\evil.example"])
    def test_next_never_leads_elsewhere(self, client: Client, maria: User, address: str) -> None:
        assert sign_in(client, maria.email, next=address).url == reverse("front-door")

    def test_somebody_signed_in_does_not_see_the_form_again(self, client: Client, maria: User) -> None:
        client.force_login(maria)
        assert client.get(SIGN_IN).status_code == 302

    def test_a_superuser_without_a_workspace_starts_in_the_admin(self, client: Client) -> None:
        user = UserFactory(is_superuser=True)
        assert sign_in(client, user.email).url == reverse("admin:index")

    def test_the_form_needs_its_token(self, maria: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        assert sign_in(strict, maria.email).status_code == 403
        assert "_auth_user_id" not in strict.session

    def test_a_console_page_asks_to_sign_in_and_comes_back(self, client: Client) -> None:
        answer = client.get("/profile")
        assert answer.status_code == 302
        assert answer.url == "/sign-in?next=/profile"


class TestSignOut:
    def test_a_post_ends_the_session(self, client: Client, maria: User) -> None:
        client.force_login(maria)
        answer = client.post("/sign-out", follow=True)
        assert "signed out" in answer.content.decode()
        assert not is_signed_in(client)

    def test_a_get_does_not(self, client: Client, maria: User) -> None:
        client.force_login(maria)
        assert client.get("/sign-out").status_code == 405
        assert is_signed_in(client)


class TestTooManyFailures:
    def fail(self, client: Client, times: int, email: str = "maria@example.com") -> Any:
        for _ in range(times):
            answer = sign_in(client, email, "wrong wrong")
        return answer

    def test_ten_failures_lock_the_address_from_there(self, client: Client, maria: User) -> None:
        assert self.fail(client, settings.AXES_FAILURE_LIMIT - 1).status_code == 200
        answer = self.fail(client, 1)
        assert answer.status_code == 429
        assert answer["Retry-After"] == "900"
        assert "Too many attempts" in answer.content.decode()
        right = sign_in(client, maria.email)
        assert right.status_code == 429
        assert not is_signed_in(client)

    def test_writing_the_address_differently_does_not_help(self, client: Client, maria: User) -> None:
        for number in range(settings.AXES_FAILURE_LIMIT):
            answer = self.fail(client, 1, "maria@example.com" if number % 2 else "MARIA@Example.com")
        assert answer.status_code == 429

    def test_others_can_still_sign_in(self, client: Client, maria: User) -> None:
        self.fail(client, settings.AXES_FAILURE_LIMIT)
        other = MembershipFactory().user
        assert sign_in(client, other.email).status_code == 302

    def test_a_success_begins_the_count_again(self, client: Client, maria: User) -> None:
        self.fail(client, settings.AXES_FAILURE_LIMIT - 1)
        assert sign_in(client, maria.email).status_code == 302
        client.logout()
        assert self.fail(client, settings.AXES_FAILURE_LIMIT - 1).status_code == 200
        assert sign_in(client, maria.email).status_code == 302

    @pytest.mark.parametrize("path", ["/sign-in", "/password-reset", "/invitations/join"])
    def test_from_one_address_not_many_accounts_can_be_tried(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (3, 60))
        for number in range(3):
            name = f"p{number}@example.com"
            assert client.post(path, {"username": name, "email": name, "password": "wrong"}).status_code != 429
        client.get(path)
        refused = client.post(path, {"username": "p9@example.com", "email": "p9@example.com", "password": "wrong"})
        assert refused.status_code == 429 and 1 <= int(refused["Retry-After"]) <= 60

    def test_a_new_password_unlocks(self, client: Client, maria: User, now: Any) -> None:
        self.fail(client, settings.AXES_FAILURE_LIMIT)
        services.send_password_reset(email=maria.email, now=now)
        set_password(client, link_of(mail.outbox[0]))
        assert sign_in(client, maria.email, NEW_PASSWORD).status_code == 302


def link_of(letter: Any) -> str:
    found = re.search(re.escape(settings.SITE_URL) + r"(\S+)", letter.body)
    assert found
    return found[1]


def set_password(client: Client, path: str, password: str = NEW_PASSWORD) -> Any:
    form = client.get(path)
    address = form.url if form.status_code == 302 else path
    return client.post(address, {"new_password1": password, "new_password2": password})


@pytest.mark.usefixtures("tasks_run_at_once")
class TestPasswordReset:
    def test_the_mail_leads_to_a_new_password(self, client: Client, maria: User) -> None:
        answer = client.post("/password-reset", {"email": "Maria@Example.com"}, follow=True)
        assert "Check your mail" in answer.content.decode()
        letter = mail.outbox[0]
        assert letter.to == ["maria@example.com"]
        assert letter.subject == "Set a new password"
        assert set_password(client, link_of(letter)).url == reverse("accounts:password-reset-complete")
        assert not is_signed_in(client)
        assert sign_in(client, maria.email, NEW_PASSWORD).status_code == 302

    def test_an_unknown_address_gets_the_same_answer_and_no_mail(self, client: Client, maria: User) -> None:
        known = client.post("/password-reset", {"email": maria.email})
        unknown = client.post("/password-reset", {"email": "nobody@example.com"})
        assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
        assert len(mail.outbox) == 1

    def test_somebody_inactive_gets_no_mail(self, client: Client) -> None:
        UserFactory(email="gone@example.com", is_active=False)
        client.post("/password-reset", {"email": "gone@example.com"})
        assert mail.outbox == []

    def test_the_link_works_once(self, client: Client, maria: User) -> None:
        tasks.send_password_reset(maria.email)
        path = link_of(mail.outbox[0])
        set_password(client, path)
        again = Client().get(path)
        assert "no longer works" in again.content.decode()

    def test_the_token_leaves_the_address_before_the_form(self, client: Client, maria: User) -> None:
        tasks.send_password_reset(maria.email)
        path = link_of(mail.outbox[0])
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.url.endswith("/set-password")
        assert "no-store" in answer["Cache-Control"]

    def test_a_weak_password_is_refused_and_changes_nothing(self, client: Client, maria: User) -> None:
        tasks.send_password_reset(maria.email)
        answer = set_password(client, link_of(mail.outbox[0]), "short")
        assert answer.status_code == 200
        maria.refresh_from_db()
        assert maria.check_password(PASSWORD)

    def test_other_sessions_end(self, client: Client, maria: User) -> None:
        elsewhere = Client()
        sign_in(elsewhere, maria.email)
        assert elsewhere.get("/profile").status_code == 200
        tasks.send_password_reset(maria.email)
        set_password(client, link_of(mail.outbox[0]))
        assert elsewhere.get("/profile").status_code == 302

    def test_a_broker_that_is_away_fails_no_page(self, client: Client, maria: User, monkeypatch: Any) -> None:
        def away(*args: Any) -> None:
            raise ConnectionError("away")

        monkeypatch.setattr(tasks.send_password_reset, "delay", away)
        assert client.post("/password-reset", {"email": maria.email}).status_code == 302
        assert mail.outbox == []
