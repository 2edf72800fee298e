"""Which pages of other sites may call the public API from a browser."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.cache import cache
from django.db import DatabaseError
from django.test import Client
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from portal.api.base import CustomerView
from portal.services import origins
from portal.tests.factories import finish, make_request, make_settings
from tickets.models import Activity, Comment, Ticket

pytestmark = pytest.mark.django_db

SHOP, BLOG, STRANGER = "https://shop.example", "https://blog.example:8443", "https://stranger.example"
SUBMIT = "/api/public/tickets"


@pytest.fixture
def shop() -> Workspace:
    workspace = WorkspaceFactory(slug="shop")
    make_settings(workspace, allowed_origins=[SHOP, "https://www.shop.example"])
    return workspace


@pytest.fixture
def blog() -> Workspace:
    workspace = WorkspaceFactory(slug="blog")
    make_settings(workspace, allowed_origins=[BLOG])
    return workspace


def preflight(client: Client, origin: str, path: str = SUBMIT, method: str = "POST", headers: str = "") -> Any:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return client.options(path, headers=asked)


def submit(client: Client, workspace: Workspace, origin: str | None = None, **headers: str) -> Any:
    body = {
        "workspace_id": str(workspace.pk),
        "subject": "Where is my parcel?",
        "description": "It was sent a week ago.",
        "requester_email": "jane@customers.example",
    }
    given = headers | ({} if origin is None else {"Origin": origin})
    return client.post(SUBMIT, json.dumps(body), content_type="application/json", headers=given)


def nothing_was_written() -> bool:
    return not any(model.unscoped.exists() for model in (Ticket, Contact, Activity, IdempotencyKey))


def is_refused(answer: Any) -> bool:
    return bool(answer.status_code == 403 and answer.json()["code"] == "origin_not_allowed")


class TestPreflight:
    @pytest.mark.parametrize(
        ("origin", "is_allowed"),
        [
            (SHOP, True),
            ("https://www.shop.example", True),
            (BLOG, True),  # a preflight does not say which workspace is meant
            (STRANGER, False),
            ("http://shop.example", False),
            ("https://shop.example:444", False),
            ("https://shop.example.evil.example", False),
            ("https://evil-shop.example", False),
            ("https://SHOP.example", False),  # no browser writes it so
            ("https://shop.example/", False),
            ("null", False),
            ("https://blog.example", False),  # its port is another
        ],
    )
    def test_says_yes_to_listed_sites_only(
        self, client: Client, shop: Workspace, blog: Workspace, origin: str, is_allowed: bool
    ) -> None:
        answer = preflight(client, origin)
        assert answer.status_code == 200 and "origin" in answer["Vary"].lower()
        assert answer.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
        assert "Access-Control-Allow-Credentials" not in answer

    def test_names_what_is_needed_and_no_more(self, client: Client, shop: Workspace) -> None:
        answer = preflight(client, SHOP, headers="content-type,authorization")
        assert answer["Access-Control-Allow-Methods"] == "GET, POST"
        assert answer["Access-Control-Allow-Headers"] == "content-type, idempotency-key, x-access-token"
        assert answer["Access-Control-Max-Age"] == "600"

    def test_null_is_a_site_where_somebody_lists_it(self, client: Client) -> None:
        make_settings(WorkspaceFactory(), allowed_origins=["null"])
        assert preflight(client, "null")["Access-Control-Allow-Origin"] == "null"

    @pytest.mark.parametrize("path", ["/api/tickets", "/api/auth/token", "/portal/shop", "/sign-in", "/api/publicly"])
    def test_nothing_but_the_public_api_can_be_called(self, client: Client, shop: Workspace, path: str) -> None:
        assert "Access-Control-Allow-Origin" not in preflight(client, SHOP, path)
        assert "Access-Control-Allow-Origin" not in client.get(path, headers={"Origin": SHOP})

    def test_costs_one_query_in_half_a_minute(
        self, client: Client, shop: Workspace, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(1):
            preflight(client, SHOP)
            preflight(client, STRANGER)
            preflight(client, BLOG)

    def test_without_a_database_the_answer_is_no(
        self, client: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(**asked: Any) -> bool:
            raise DatabaseError

        monkeypatch.setattr(origins, "is_listed", away)
        answer = preflight(client, SHOP)
        assert answer.status_code == 200 and "Access-Control-Allow-Origin" not in answer


class TestRequests:
    def test_a_listed_site_submits_and_may_read_the_answer(self, client: Client, shop: Workspace) -> None:
        answer = submit(client, shop, SHOP)
        assert answer.status_code == 201
        assert answer["Access-Control-Allow-Origin"] == SHOP and "origin" in answer["Vary"].lower()
        assert answer["Access-Control-Expose-Headers"] == "retry-after, idempotency-replayed"
        assert "Access-Control-Allow-Credentials" not in answer and not answer.cookies

    @pytest.mark.parametrize("origin", [STRANGER, BLOG, "null", "", "http://shop.example"])
    def test_any_other_site_is_refused_with_nothing_written(
        self, client: Client, shop: Workspace, blog: Workspace, origin: str
    ) -> None:
        answer = submit(client, shop, origin, **{"Idempotency-Key": "k"})
        assert is_refused(answer)
        assert nothing_was_written()

    def test_the_refusal_can_be_read_by_a_site_that_another_workspace_lists(
        self, client: Client, shop: Workspace, blog: Workspace
    ) -> None:
        assert submit(client, shop, BLOG)["Access-Control-Allow-Origin"] == BLOG
        assert "Access-Control-Allow-Origin" not in submit(client, shop, STRANGER)

    def test_a_server_names_no_site(self, client: Client, shop: Workspace) -> None:
        answer = submit(client, shop)
        assert answer.status_code == 201 and "Access-Control-Allow-Origin" not in answer

    @pytest.mark.parametrize("origin", ["http://testserver", "https://help.example"])
    def test_our_own_pages_are_no_other_site(self, client: Client, shop: Workspace, settings: Any, origin: str) -> None:
        settings.SITE_URL = "https://help.example/"
        assert submit(client, shop, origin).status_code == 201

    def test_a_workspace_without_settings_lists_nobody(self, client: Client, shop: Workspace) -> None:
        assert is_refused(submit(client, WorkspaceFactory(), SHOP))
        assert nothing_was_written()

    def test_a_site_that_is_taken_off_the_list_is_refused_at_once(self, client: Client, shop: Workspace) -> None:
        assert submit(client, shop, SHOP).status_code == 201
        shop.portal_settings.allowed_origins = []
        shop.portal_settings.save()
        assert is_refused(submit(client, shop, SHOP))
        assert Ticket.unscoped.count() == 1

    def test_the_kept_answer_of_a_key_is_not_given_to_a_site_that_was_taken_off(
        self, client: Client, shop: Workspace
    ) -> None:
        assert submit(client, shop, SHOP, **{"Idempotency-Key": "k"}).status_code == 201
        shop.portal_settings.allowed_origins = []
        shop.portal_settings.save()
        assert is_refused(submit(client, shop, SHOP, **{"Idempotency-Key": "k"}))

    def test_it_works_while_valkey_is_away(
        self, client: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "get", lambda key: None)
        monkeypatch.setattr(cache, "set", lambda key, value, seconds: None)
        assert submit(client, shop, SHOP).status_code == 201
        assert is_refused(submit(client, shop, STRANGER))


class TestATicket:
    """What the token opens belongs to a workspace, whose list counts."""

    @pytest.fixture
    def opened(self, shop: Workspace, blog: Workspace) -> tuple[UUID, str]:
        now = timezone.now()
        ticket, token = make_request(shop, now)
        finish(ticket, "resolved", now=now)
        return ticket.pk, token

    def call(self, client: Client, what: str, opened: tuple[UUID, str], origin: str) -> Any:
        path, headers = f"{SUBMIT}/{opened[0]}", {"Origin": origin, "X-Access-Token": opened[1]}
        if what == "read":
            return client.get(path, headers=headers)
        body = {"access_token": opened[1]} | ({"body": "Hello"} if what == "reply" else {"rating": 5})
        return client.post(f"{path}/{what}", json.dumps(body), content_type="application/json", headers=headers)

    @pytest.mark.parametrize("what", ["read", "reply", "satisfaction"])
    @pytest.mark.parametrize("origin", [BLOG, STRANGER, "null"])
    def test_is_closed_to_other_sites(self, client: Client, opened: tuple[UUID, str], what: str, origin: str) -> None:
        before = Activity.unscoped.count()
        assert is_refused(self.call(client, what, opened, origin))
        assert Activity.unscoped.count() == before and not Comment.unscoped.exists()

    @pytest.mark.parametrize("what", ["read", "reply", "satisfaction"])
    def test_is_open_to_its_own(self, client: Client, opened: tuple[UUID, str], what: str) -> None:
        answer = self.call(client, what, opened, SHOP)
        assert answer.status_code in (200, 201) and answer["Access-Control-Allow-Origin"] == SHOP

    def test_a_wrong_token_is_404_for_every_site_that_some_workspace_lists(
        self, client: Client, opened: tuple[UUID, str]
    ) -> None:
        for origin in (SHOP, BLOG):
            assert self.call(client, "read", (opened[0], "wrong"), origin).status_code == 404


def public_views() -> list[Any]:
    """Every endpoint of the public API with a method to call it by, as the addresses name them."""

    def walk(patterns: Any, before: str = "") -> Any:
        for pattern in patterns:
            path = before + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                if path.startswith("api/public/"):
                    view = pattern.callback.view_class  # type: ignore[attr-defined]
                    for method in ("get", "post"):
                        if hasattr(view, method):
                            yield pytest.param(path, method, view, id=f"{method} {path}")
            else:
                yield from walk(pattern.url_patterns, path)

    return list(walk(get_resolver().url_patterns))


@pytest.mark.parametrize(("path", "method", "view"), public_views())
def test_no_public_endpoint_answers_a_strange_site(
    client: Client, shop: Workspace, path: str, method: str, view: Any
) -> None:
    assert issubclass(view, CustomerView)
    address = "/" + path.replace("<uuid:ticket_id>", str(uuid4())).replace("<uuid:file_id>", str(uuid4()))
    assert is_refused(getattr(client, method)(address, headers={"Origin": STRANGER}))
    assert nothing_was_written()
