"""Limits, and what happens to them when Valkey is away."""

import pytest
import redis
from django.test import Client
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.test import APIClient

from helpdesk.accounts import tokens
from helpdesk.accounts.tests.factories import PASSWORD, MembershipFactory, WorkspaceFactory
from helpdesk.api import throttles
from helpdesk.api.tests.problems import assert_refused

pytestmark = [pytest.mark.django_db, pytest.mark.urls("helpdesk.api.tests.urls")]


@pytest.fixture
def rates(settings):
    def limit(**given):
        framework = settings.REST_FRAMEWORK
        settings.REST_FRAMEWORK = framework | {"DEFAULT_THROTTLE_RATES": framework["DEFAULT_THROTTLE_RATES"] | given}

    return limit


@pytest.fixture
def _valkey_is_away(monkeypatch):
    def away(alias):
        raise redis.ConnectionError("nobody answers")

    monkeypatch.setattr(throttles, "get_redis_connection", away)
    yield
    throttles._away_until = 0.0


class TestCallers:
    def test_too_many_are_429_and_told_when_to_come_again(self, rates, client_of):
        rates(caller="3/min")
        api = client_of(MembershipFactory())
        assert [api.get("/api/me").status_code for _ in range(3)] == [200] * 3
        refused = api.get("/api/me")
        assert_refused(refused, 429, "throttled")
        assert 1 <= int(refused["Retry-After"]) <= 60

    def test_each_member_has_their_own_count(self, rates, client_of):
        rates(caller="1/min")
        for _ in range(2):
            assert client_of(MembershipFactory()).get("/api/me").status_code == 200

    def test_each_api_key_has_its_own_count_and_no_other_address_gets_it_more(self, rates):
        rates(caller="1/min")
        member = MembershipFactory()
        keys = [
            tokens.make_api_key(membership=member, name=name, scopes=["read"], expires_at=None, now=timezone.now())[1]
            for name in ("one", "two")
        ]

        def ask(key, address):
            return Client(REMOTE_ADDR=address).get("/api/me", headers={"Authorization": f"Bearer {key}"}).status_code

        assert [ask(key, "203.0.113.1") for key in keys] == [200, 200]
        assert [ask(key, "203.0.113.2") for key in keys] == [429, 429]

    def test_the_window_ends(self, rates, client_of):
        from django_redis import get_redis_connection

        rates(caller="1/min")
        member = MembershipFactory()
        api = client_of(member)
        assert [api.get("/api/me").status_code for _ in range(2)] == [200, 429]
        key = f"throttle:caller:member:{member.pk}"
        assert 0 < get_redis_connection("default").ttl(key) <= 60
        get_redis_connection("default").delete(key)  # what time does
        assert api.get("/api/me").status_code == 200

    def test_it_costs_one_round_trip(self, client_of, monkeypatch):
        sent: list[int] = []
        real = redis.connection.AbstractConnection.send_packed_command

        def counted(self, *args, **kwargs):
            sent.append(1)
            return real(self, *args, **kwargs)

        monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)
        api = client_of(MembershipFactory())
        api.get("/api/me")
        sent.clear()
        assert api.get("/api/me").status_code == 200
        assert len(sent) == 1


class TestAddresses:
    def test_signing_in_is_limited_by_address(self, rates):
        rates(sign_in="2/min")
        MembershipFactory(user__email="maria@example.com")
        body = {"email": "maria@example.com", "password": PASSWORD}
        statuses = [APIClient().post("/api/auth/token", body).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert APIClient().post("/api/auth/token", body, REMOTE_ADDR="192.0.2.9").status_code == 200

    def test_what_is_public_is_limited_by_address(self, rates):
        rates(public="1/min")
        WorkspaceFactory()
        statuses = [APIClient().post("/api/test/form", {"name": f"n{n}"}).status_code for n in range(2)]
        assert statuses == [201, 429]

    def test_a_page_is_limited_too_but_not_its_reading(self, rates):
        rates(public="1/min")
        assert [Client().get("/test/page").status_code for _ in range(3)] == [200] * 3
        assert Client().post("/test/page").status_code == 200
        refused = Client().post("/test/page")
        assert refused.status_code == 429
        assert 1 <= int(refused["Retry-After"]) <= 60

    @pytest.mark.parametrize(
        ("proxies", "forwarded", "address"),
        [
            (0, "198.51.100.1", "127.0.0.1"),
            (1, "", "127.0.0.1"),
            (1, "198.51.100.1", "198.51.100.1"),
            (1, "203.0.113.5, 198.51.100.1", "198.51.100.1"),
            (2, "203.0.113.5, 198.51.100.1", "203.0.113.5"),
            (2, "198.51.100.1", "198.51.100.1"),
            (1, "rubbish", "127.0.0.1"),
        ],
    )
    def test_only_our_own_proxies_are_believed(self, rf, settings, proxies, forwarded, address):
        settings.TRUSTED_PROXIES = proxies
        request = rf.get("/", HTTP_X_FORWARDED_FOR=forwarded)
        assert throttles.client_address(request) == address
        assert throttles.client_address(Request(request)) == address

    def test_a_household_of_ipv6_addresses_has_one_count(self):
        assert throttles.neighbourhood("2001:db8::1") == throttles.neighbourhood("2001:db8::ffff")
        assert throttles.neighbourhood("2001:db8:0:1::1") != throttles.neighbourhood("2001:db8::1")
        assert throttles.neighbourhood("192.0.2.1") != throttles.neighbourhood("192.0.2.2")


@pytest.mark.usefixtures("_valkey_is_away")
class TestWithoutValkey:
    def test_nobody_is_refused(self, rates, client_of):
        rates(caller="1/min")
        api = client_of(MembershipFactory())
        assert [api.get("/api/me").status_code for _ in range(3)] == [200] * 3

    def test_it_is_left_alone_for_a_while(self, client_of, monkeypatch):
        api = client_of(MembershipFactory())
        api.get("/api/me")

        def asked(alias):
            raise AssertionError("asked again at once")

        monkeypatch.setattr(throttles, "get_redis_connection", asked)
        assert api.get("/api/me").status_code == 200


def test_a_port_where_nothing_listens_fails_no_request(settings, client_of):
    nowhere = {"default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}
    api = client_of(MembershipFactory())
    settings.CACHES = nowhere
    try:
        assert api.get("/api/me").status_code == 200
    finally:
        throttles._away_until = 0.0
