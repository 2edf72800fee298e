"""Mail that is handed over by HTTPS, and the secret that it needs."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client

from tickets.mail.models import Incoming, Mailbox
from tickets.mail.services import receiving, secrets
from tickets.mail.tests.factories import MailboxFactory

pytestmark = pytest.mark.django_db
MESSAGE = b"From: Jane <jane@customer.example>\r\nSubject: \xff\xfe\r\n\r\nHelp\x00!\r\n"


@pytest.fixture
def mailbox() -> Mailbox:
    return MailboxFactory(address="support@acme.example")


@pytest.fixture
def secret(mailbox: Mailbox) -> str:
    return secrets.make_secret(mailbox)


def post(mailbox_id: Any, secret: str = "", body: bytes = MESSAGE, query: str = "", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    given = {"data": body, "content_type": "message/rfc822", "headers": headers} | more
    return Client().post(f"/api/mail/inbound/{mailbox_id}{query}", **given)


def refused(answer: Any, status: int, code: str, *fields: str) -> None:
    """A problem of the right kind, and nothing was stored."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code and set(answer.json()["errors"]) == set(fields)
    assert not Incoming.unscoped.exists()


class TestHandingOver:
    def test_the_bytes_are_stored_and_202_says_so(self, mailbox: Mailbox, secret: str) -> None:
        answer = post(mailbox.pk, secret)
        assert answer.status_code == 202
        incoming = Incoming.unscoped.get()
        assert answer.json() == {
            "id": str(incoming.pk),
            "status": "waiting",
            "outcome": None,
            "size": len(MESSAGE),
        }
        with incoming.raw.open() as file:
            assert file.read() == MESSAGE
        assert (incoming.mailbox, incoming.way) == (mailbox, "http")
        assert (incoming.envelope_from, incoming.envelope_to) == (None, "")

    def test_the_envelope_may_be_told(self, mailbox: Mailbox, secret: str) -> None:
        assert post(mailbox.pk, secret, query="?sender=&recipient=support%2Bt1@acme.example").status_code == 202
        incoming = Incoming.unscoped.get()
        assert (incoming.envelope_from, incoming.envelope_to) == ("", "support+t1@acme.example")

    def test_a_mail_larger_than_other_bodies(self, mailbox: Mailbox, secret: str) -> None:
        assert post(mailbox.pk, secret, b"Subject: x\r\n\r\n" + b"x" * 3_000_000).status_code == 202

    def test_the_secret_is_told_once_and_a_new_one_ends_it(self, mailbox: Mailbox, secret: str) -> None:
        assert secret.startswith("hdm_") and len(secret) > 40
        mailbox.refresh_from_db()
        assert mailbox.secret_hint == secret[:12] and secret not in mailbox.secret_hash
        newer = secrets.make_secret(mailbox)
        assert post(mailbox.pk, newer).status_code == 202
        assert post(mailbox.pk, secret).status_code == 401


class TestRefusals:
    def test_whatever_is_wrong_with_the_secret_is_the_same_401(self, mailbox: Mailbox, secret: str) -> None:
        other = MailboxFactory(address="other@acme.example", is_default=False)
        without = MailboxFactory(address="none@acme.example")
        switched_off = MailboxFactory(address="off@acme.example", is_active=False)
        answers = [
            post(mailbox.pk),
            post(mailbox.pk, "hdm_" + "x" * 43),
            post(mailbox.pk, secret + "x"),
            post(mailbox.pk, mailbox.secret_hash),
            post(other.pk, secret),
            post(uuid4(), secret),
            post(without.pk, ""),
            post(without.pk, "0"),
            post(switched_off.pk, secrets.make_secret(switched_off)),
            post(mailbox.pk, headers={"Authorization": f"Basic {secret}"}),
            post(mailbox.pk, "sécret"),
        ]
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        for answer in answers:
            refused(answer, 401, "wrong_secret")
            assert answer["WWW-Authenticate"].startswith("Bearer")

    def test_secrets_are_compared_in_constant_time(self, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
        compared: list[tuple[str, str]] = []

        def compare(one: str, other: str) -> bool:
            compared.append((one, other))
            return one == other

        monkeypatch.setattr(secrets.hmac, "compare_digest", compare)
        for given in (mailbox, None):
            assert not secrets.opens(given, "hdm_x")
        assert {len(part) for pair in compared for part in pair} == {64} and len(compared) == 2

    def test_what_is_too_large(self, mailbox: Mailbox, secret: str, settings: Any) -> None:
        settings.MAIL_MAX_BYTES = 1000
        refused(post(mailbox.pk, secret, b"x" * 1001), 413, "too_big", "body")
        assert post(mailbox.pk, secret, b"x" * 1000).status_code == 202

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
    def test_what_is_no_mail_by_its_type(self, mailbox: Mailbox, secret: str, content_type: str) -> None:
        refused(post(mailbox.pk, secret, content_type=content_type), 415, "unsupported_media_type")

    @pytest.mark.parametrize("body", [b"", b" \r\n"])
    def test_nothing(self, mailbox: Mailbox, secret: str, body: bytes) -> None:
        refused(post(mailbox.pk, secret, body), 400, "invalid", "body")

    @pytest.mark.parametrize(
        ("query", "field"),
        [("?sender=" + "x" * 321, "sender"), ("?recipient=a%0Ab", "recipient"), ("?from=a@b.example", "from")],
    )
    def test_an_envelope_that_cannot_be(self, mailbox: Mailbox, secret: str, query: str, field: str) -> None:
        refused(post(mailbox.pk, secret, query=query), 400, "invalid", field)

    def test_other_methods(self, mailbox: Mailbox, secret: str) -> None:
        answer = Client().get(f"/api/mail/inbound/{mailbox.pk}", headers={"Authorization": f"Bearer {secret}"})
        refused(answer, 405, "method_not_allowed")

    def test_too_many(self, mailbox: Mailbox, secret: str, settings: Any) -> None:
        framework = settings.REST_FRAMEWORK
        rates = framework["DEFAULT_THROTTLE_RATES"] | {"inbound": "2/min"}
        settings.REST_FRAMEWORK = framework | {"DEFAULT_THROTTLE_RATES": rates}
        assert [post(mailbox.pk, secret).status_code for _ in range(3)] == [202, 202, 429]

    def test_when_the_database_is_away_the_sender_is_told_to_try_again(
        self, mailbox: Mailbox, secret: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(**_: Any) -> None:
            raise OperationalError("away")

        monkeypatch.setattr(receiving, "accept", fail)
        answer = post(mailbox.pk, secret)
        refused(answer, 503, "unavailable")
        assert answer["Retry-After"]
