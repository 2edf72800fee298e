"""Webhooks over the API."""

import datetime as dt
import json
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from tickets.tests.api import ROLES, UNKNOWN, Api, refused, unchanged
from tickets.tests.factories import make_agent, make_ticket
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint, EndpointHour
from tickets.webhooks.services import endpoints
from tickets.webhooks.services.endpoints import HIDDEN
from tickets.webhooks.tests.rows import NOW, URL, make_attempt, make_delivery, make_endpoint

pytestmark = pytest.mark.django_db

PATH = "/webhooks"
SPECIFICATION: dict[str, Any] = {
    "url": "http://93.184.215.14/webhooks",
    "events": [
        "ticket.created",
        "ticket.updated",
        "ticket.resolved",
        "ticket.closed",
        "ticket.comment.added",
        "ticket.assigned",
        "ticket.sla.breached",
    ],
}
IN_ORDER = [name for name in payloads.CATALOGUE if name in SPECIFICATION["events"]]
UNUSED: dict[str, Any] = {
    "state": "unused",
    "failing_since": None,
    "last_success_at": None,
    "last_failure_at": None,
    "last_error": "",
    "delivered_24h": 0,
    "failed_24h": 0,
    "average_ms_24h": None,
    "waiting": 0,
}
DEFAULTS: dict[str, Any] = {
    "description": "",
    "headers": {},
    "active": True,
    "off_reason": None,
    "off_at": None,
    "old_secret_until": None,
    "health": UNUSED,
}
MINUTE = dt.timedelta(minutes=1)
nothing_written = partial(unchanged, Endpoint, Delivery, Attempt, IdempotencyKey)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, "admin"))


@pytest.fixture
def row(workspace: Workspace) -> Endpoint:
    return make_endpoint(workspace, headers={"Authorization": "Bearer sesame"})


@pytest.fixture
def path(row: Endpoint) -> str:
    return f"{PATH}/{row.pk}"


def written(at: dt.datetime) -> str:
    """A time as the API writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class TestWebhooks:
    def test_the_request_that_the_specification_prints_makes_one(self, admin: Api) -> None:
        response = admin.post(PATH, SPECIFICATION)
        assert response.status_code == 201, response.content
        made = response.json()
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert set(made) == {*DEFAULTS, "id", "url", "events", "secret_changed_at", "created_at", "updated_at"}
        assert (made["url"], made["events"]) == (SPECIFICATION["url"], IN_ORDER)
        assert {name: made[name] for name in DEFAULTS} == DEFAULTS
        assert response["Location"] == f"/api{PATH}/{made['id']}"
        assert response["Cache-Control"] == "no-store"
        assert endpoints.keys_of(Endpoint.unscoped.get(), timezone.now()) == [secret]

    def test_the_secret_is_shown_this_once(self, admin: Api) -> None:
        made = admin.post(PATH, SPECIFICATION).json()
        secret = made.pop("secret")
        one, every = admin.get(f"{PATH}/{made['id']}"), admin.get(PATH)
        assert one.json() == made
        assert every.json()["webhooks"] == [made]
        for answer in (one, every, admin.patch(f"{PATH}/{made['id']}", {"description": "x"})):
            assert secret not in answer.content.decode()
            assert "secret" not in answer.json()

    def test_a_repeated_create_makes_one_and_keeps_no_secret(self, admin: Api) -> None:
        first = admin.post(PATH, SPECIFICATION, Idempotency_Key="k")
        again = admin.post(PATH, SPECIFICATION, Idempotency_Key="k")
        assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
        assert again.json() == first.json() | {"secret": None}
        assert again["Location"] == first["Location"]
        assert Endpoint.unscoped.count() == 1
        secret = first.json()["secret"]
        assert secret
        assert secret not in str(list(IdempotencyKey.unscoped.values()))
        with nothing_written():
            refused(admin.post(PATH, SPECIFICATION | {"description": "y"}, Idempotency_Key="k"), 422)

    def test_everything_makes_the_round_trip_with_hidden_values(self, admin: Api) -> None:
        sent = SPECIFICATION | {"description": "Billing", "active": False, "headers": {"X-Key": "sesame"}}
        made = admin.post(PATH, sent).json()
        assert made["headers"] == {"X-Key": HIDDEN}
        assert (made["description"], made["active"], made["off_reason"]) == ("Billing", False, "member")
        assert made["off_at"] == made["created_at"]
        assert made["health"]["state"] == "off"

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_put_and_patch_change_what_is_sent(self, admin: Api, path: str, method: str) -> None:
        before = admin.get(path).json()
        after = admin(method, path, {"events": ["ticket.closed"]}).json()
        assert after == before | {"events": ["ticket.closed"], "updated_at": after["updated_at"]}
        after = admin(method, path, {"headers": {"Authorization": HIDDEN, "X-More": "y"}, "active": False}).json()
        assert after["headers"] == {"Authorization": HIDDEN, "X-More": HIDDEN}
        assert endpoints.headers_of(Endpoint.unscoped.get()) == {"Authorization": "Bearer sesame", "X-More": "y"}
        assert after["off_reason"] == "member"
        assert admin(method, path, {"active": True}).json()["off_reason"] is None

    def test_delete_takes_it_away(self, admin: Api, row: Endpoint, path: str) -> None:
        make_attempt(make_delivery(row))
        assert admin.delete(path).status_code == 204
        refused(admin.get(path), 404)
        assert not Delivery.unscoped.exists()

    def test_health_says_how_it_is_doing(self, admin: Api, row: Endpoint, path: str) -> None:
        now = timezone.now()
        make_delivery(row)
        EndpointHour.unscoped.create(
            workspace=row.workspace,
            endpoint=row,
            hour=now.replace(minute=0, second=0, microsecond=0),
            delivered=4,
            failed=2,
            total_ms=400,
        )
        Endpoint.unscoped.update(failing_since=NOW, last_success_at=NOW, last_failure_at=NOW, last_error="It hung.")
        assert admin.get(path).json()["health"] == {
            "state": "failing",
            "failing_since": written(NOW),
            "last_success_at": written(NOW),
            "last_failure_at": written(NOW),
            "last_error": "It hung.",
            "delivered_24h": 4,
            "failed_24h": 2,
            "average_ms_24h": 100,
            "waiting": 1,
        }

    def test_the_list_is_in_pages_and_asks_as_many_queries_for_ten_as_for_one(
        self, admin: Api, workspace: Workspace
    ) -> None:
        def queries(many: int) -> int:
            with CaptureQueriesContext(connection) as seen:
                answer = admin.get(PATH)
            assert len(answer.json()["webhooks"]) == many
            return len(seen)

        make_endpoint(workspace)
        few = queries(1)
        for number in range(9):
            make_delivery(make_endpoint(workspace, headers={"X-A": "x"}, now=NOW + number * MINUTE))
        make_endpoint(WorkspaceFactory())
        assert queries(10) == few
        page = admin.get(f"{PATH}?page=2&limit=4").json()
        assert page["pagination"] == {"page": 2, "limit": 4, "total": 10, "totalPages": 3}

    @pytest.mark.parametrize(
        ("wrong", "fields"),
        [
            ({"url": "http://127.0.0.1/"}, ["url"]),
            ({"url": "http://169.254.169.254/latest"}, ["url"]),
            ({"url": None}, ["url"]),
            ({"url": 5, "events": "x"}, ["url", "events"]),
            ({"events": []}, ["events"]),
            ({"events": ["ticket.exploded"]}, ["events.0"]),
            ({"headers": {"Host": "x", "X-A": "a\r\nb"}}, ["headers.Host", "headers.X-A"]),
            ({"headers": "x"}, ["headers"]),
            ({"headers": {"X-A": ["x"]}}, ["headers.X-A"]),
            ({"active": "yes"}, ["active"]),
            ({"is_active": True}, ["is_active"]),
            ({"secret": "whsec_x"}, ["secret"]),
            ({"description": "x" * 201}, ["description"]),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_named_and_nothing_is_written(
        self, admin: Api, path: str, wrong: dict[str, Any], fields: list[str]
    ) -> None:
        with nothing_written():
            for answer in (admin.post(PATH, SPECIFICATION | wrong, Idempotency_Key="k"), admin.patch(path, wrong)):
                problem = refused(answer, 400)
                assert {name.partition(".")[0] for name in problem["errors"]} == {
                    name.partition(".")[0] for name in fields
                }

    def test_without_url_or_events_there_is_none(self, admin: Api) -> None:
        with nothing_written():
            refused(admin.post(PATH, {}), 400, "url", "events")

    def test_more_than_there_may_be_are_a_conflict(
        self, admin: Api, row: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints, "MOST", 1)
        with nothing_written():
            assert refused(admin.post(PATH, SPECIFICATION, Idempotency_Key="k"), 409)["code"] == "too_many"


class TestSecret:
    def test_a_new_one_is_shown_once_and_the_one_before_signs_for_a_day(
        self, admin: Api, row: Endpoint, path: str
    ) -> None:
        (old,) = endpoints.keys_of(row, NOW)
        response = admin.post(f"{path}/secret")
        assert response.status_code == 200, response.content
        answer = response.json()
        fresh = Endpoint.unscoped.get()
        assert answer == {
            "id": str(row.pk),
            "secret": answer["secret"],
            "secret_changed_at": written(fresh.secret_changed_at),
            "old_secret_until": written(fresh.secret_changed_at + 24 * 60 * MINUTE),
        }
        assert response["Cache-Control"] == "no-store"
        assert endpoints.keys_of(fresh, timezone.now()) == [answer["secret"], old]
        assert admin.get(path).json()["old_secret_until"] == answer["old_secret_until"]

    def test_the_one_before_can_end_at_once(self, admin: Api, row: Endpoint, path: str) -> None:
        answer = admin.post(f"{path}/secret", {"both_for_hours": 0}).json()
        assert answer["old_secret_until"] is None
        assert endpoints.keys_of(Endpoint.unscoped.get(), timezone.now()) == [answer["secret"]]

    def test_a_repeated_request_changes_it_once_and_keeps_no_secret(self, admin: Api, path: str) -> None:
        first = admin.post(f"{path}/secret", {}, Idempotency_Key="k").json()
        again = admin.post(f"{path}/secret", {}, Idempotency_Key="k")
        assert again.json() == first | {"secret": None}
        assert again["Idempotency-Replayed"] == "true"
        assert endpoints.keys_of(Endpoint.unscoped.get(), timezone.now())[0] == first["secret"]
        assert first["secret"] not in str(list(IdempotencyKey.unscoped.values()))

    @pytest.mark.parametrize("hours", [-1, 169, "24", 1.5, None])
    def test_hours_that_are_none_are_refused(self, admin: Api, path: str, hours: Any) -> None:
        with nothing_written():
            refused(admin.post(f"{path}/secret", {"both_for_hours": hours}), 400, "both_for_hours")


class TestEvents:
    def test_the_catalogue_has_twelve_with_an_example_each(self, workspace: Workspace) -> None:
        answer = Api(make_agent(workspace, "light")).get(f"{PATH}/events").json()
        assert answer["pagination"]["total"] == 12
        assert [event["name"] for event in answer["events"]] == list(payloads.CATALOGUE)
        for event in answer["events"]:
            assert set(event) == {"name", "description", "example"}
            assert list(event["example"]) == ["event", "timestamp", "data"]
            assert event["example"]["event"] == event["name"]
            assert event["description"]

    def test_the_openapi_document_has_an_example_of_every_message(self) -> None:
        document = SchemaGenerator().get_schema(request=None, public=True)
        assert list(document["webhooks"]) == list(payloads.CATALOGUE)
        for name, said in document["webhooks"].items():
            example = said["post"]["requestBody"]["content"]["application/json"]["example"]
            assert example["event"] == name
            assert example["data"] == payloads.CATALOGUE[name].example
        listed = document["paths"]["/api/webhooks/events"]["get"]["responses"]["200"]["content"]["application/json"]
        assert len(listed["examples"]) == 7


class TestLog:
    def test_is_newest_first_with_what_came_of_it(self, admin: Api, row: Endpoint, path: str) -> None:
        first = make_delivery(
            row, status="failed", attempts=10, last_code=500, last_error="It answered 500.", last_ms=9
        )
        second = make_delivery(row, NOW + MINUTE, event="ticket.closed")
        make_delivery(make_endpoint(row.workspace))
        found = admin.get(f"{path}/deliveries").json()
        assert found["pagination"]["total"] == 2
        assert [one["id"] for one in found["deliveries"]] == [str(second.pk), str(first.pk)]
        assert found["deliveries"][1] == {
            "id": str(first.pk),
            "message_id": str(first.message_id),
            "event": "ticket.created",
            "is_test": False,
            "status": "failed",
            "attempt_count": 10,
            "next_at": None,
            "last_code": 500,
            "last_error": "It answered 500.",
            "last_ms": 9,
            "created_at": written(NOW),
            "ended_at": written(NOW),
        }

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("status=failed", [0, 2]),
            ("event=ticket.closed", [1, 2]),
            ("status=failed&event=ticket.closed", [2]),
            ("from=2026-03-02T09:01:00Z", [1, 2]),
            ("from=2026-03-02T10:01:00%2B01:00&to=2026-03-02T09:02:00Z", [1]),
            ("to=2026-03-02T09:01Z&limit=1&page=1", [0]),
            ("status=cancelled", []),
        ],
    )
    def test_filters_by_status_event_and_time(
        self, admin: Api, row: Endpoint, path: str, query: str, found: list[int]
    ) -> None:
        rows = [
            make_delivery(row, NOW, status="failed"),
            make_delivery(row, NOW + MINUTE, status="delivered", event="ticket.closed"),
            make_delivery(row, NOW + 2 * MINUTE, status="failed", event="ticket.closed"),
        ]
        answer = admin.get(f"{path}/deliveries?{query}").json()
        assert [one["id"] for one in answer["deliveries"]] == [str(rows[n].pk) for n in reversed(found)]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("status=lost", "status"),
            ("event=ticket.exploded", "event"),
            ("from=yesterday", "from"),
            ("to=2026-13-01", "to"),
            ("since=2026-01-01T00:00Z", "since"),
            ("limit=101", "limit"),
            ("page=0", "page"),
        ],
    )
    def test_a_filter_that_is_none_is_refused_by_its_name(self, admin: Api, path: str, query: str, field: str) -> None:
        refused(admin.get(f"{path}/deliveries?{query}"), 400, field)

    def test_asks_as_many_queries_for_twenty_as_for_one(self, admin: Api, row: Endpoint, path: str) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as seen:
                assert admin.get(f"{path}/deliveries?limit=50").status_code == 200
            return len(seen)

        make_delivery(row)
        few = queries()
        for _ in range(19):
            make_attempt(make_delivery(row))
        assert queries() == few

    def test_one_has_the_request_and_what_came_back(self, admin: Api, row: Endpoint, path: str) -> None:
        delivery = make_delivery(row)
        where = f"{path}/deliveries/{delivery.pk}"
        assert admin.get(where).json()["request"] == {"url": URL, "headers": {}, "body": delivery.body}
        make_attempt(delivery, code=None, error="There was no answer.", response_headers={}, response_body="")
        make_attempt(delivery, NOW + MINUTE, url=f"{URL}/moved")
        found = admin.get(where).json()
        headers = {"webhook-id": str(delivery.message_id)}
        assert found["request"] == {"url": f"{URL}/moved", "headers": headers, "body": delivery.body}
        assert [one["code"] for one in found["attempts"]] == [None, 500]
        assert found["attempts"][1] == {
            "started_at": written(NOW + MINUTE),
            "duration_ms": 35,
            "code": 500,
            "error": "It answered 500.",
            "request_headers": headers,
            "response_headers": {"content-type": "text/plain"},
            "response_body": "Oh no",
        }

    def test_one_of_another_webhook_is_not_there(self, admin: Api, row: Endpoint, path: str) -> None:
        other = make_delivery(make_endpoint(row.workspace), status="failed")
        with nothing_written():
            for pk in (other.pk, UNKNOWN):
                refused(admin.get(f"{path}/deliveries/{pk}"), 404)
                refused(admin.post(f"{path}/deliveries/{pk}/replay", Idempotency_Key="k"), 404)


class TestTestsAndReplays:
    def test_a_test_is_on_its_way(self, admin: Api, path: str) -> None:
        response = admin.post(f"{path}/test")
        assert response.status_code == 202, response.content
        sent = response.json()
        assert (sent["event"], sent["is_test"], sent["status"]) == ("ticket.created", True, "waiting")
        assert response["Location"] == f"/api{path}/deliveries/{sent['id']}"
        sent = admin.post(f"{path}/test", {"event": "ticket.sla.breached"}).json()
        body = json.loads(admin.get(f"{path}/deliveries/{sent['id']}").json()["request"]["body"])
        assert body["data"] == payloads.CATALOGUE["ticket.sla.breached"].example
        with nothing_written():
            refused(admin.post(f"{path}/test", {"event": "ticket.exploded"}), 400, "event")

    def test_a_repeated_test_is_sent_once(self, admin: Api, path: str) -> None:
        answers = [admin.post(f"{path}/test", {}, Idempotency_Key="k").json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert Delivery.unscoped.count() == 1

    def test_an_eleventh_test_is_a_conflict(self, admin: Api, row: Endpoint, path: str) -> None:
        for _ in range(10):
            make_delivery(row, is_test=True)
        with nothing_written():
            assert refused(admin.post(f"{path}/test", Idempotency_Key="k"), 409)["code"] == "busy"

    def test_a_delivery_is_on_its_way_again(self, admin: Api, row: Endpoint, path: str) -> None:
        delivery = make_delivery(row, status="failed", attempts=10)
        response = admin.post(f"{path}/deliveries/{delivery.pk}/replay")
        assert response.status_code == 202, response.content
        sent = response.json()
        assert (sent["id"], sent["message_id"]) == (str(delivery.pk), str(delivery.message_id))
        assert (sent["status"], sent["attempt_count"], sent["ended_at"]) == ("waiting", 0, None)

    def test_a_span_of_time_is_on_its_way_again(self, admin: Api, row: Endpoint, path: str) -> None:
        make_ticket(row.workspace)  # recorded now, and in no log
        begins = timezone.now() - 60 * MINUTE
        span = {"from": written(begins), "to": written(begins + 120 * MINUTE)}
        response = admin.post(f"{path}/replay", span, Idempotency_Key="k")
        assert (response.status_code, response.json()) == (202, {"again": 0, "missed": 1})
        assert admin.post(f"{path}/replay", span, Idempotency_Key="k").json() == {"again": 0, "missed": 1}
        Delivery.unscoped.update(status="delivered", next_at=None, ended_at=NOW)
        assert admin.post(f"{path}/replay", span).json() == {"again": 0, "missed": 0}
        assert admin.post(f"{path}/replay", span | {"everything": True}).json() == {"again": 1, "missed": 0}

    @pytest.mark.parametrize(
        ("span", "fields"),
        [
            ({}, ["from", "to"]),
            ({"from": "2026-01-01T00:00:00Z"}, ["to"]),
            ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, ["to"]),
            ({"from": "9000-01-01T00:00:00Z", "to": "9000-01-02T00:00:00Z"}, ["from"]),
            ({"from": "x", "to": 5}, ["from", "to"]),
            (
                {"since": "2026-01-01T00:00:00Z", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
                ["since"],
            ),
        ],
        ids=str,
    )
    def test_a_span_that_is_none_is_refused(
        self, admin: Api, path: str, span: dict[str, Any], fields: list[str]
    ) -> None:
        with nothing_written():
            refused(admin.post(f"{path}/replay", span, Idempotency_Key="k"), 400, *fields)

    def test_one_that_is_off_is_sent_tests_only(self, admin: Api, row: Endpoint, path: str) -> None:
        delivery = make_delivery(row, status="failed")
        admin.patch(path, {"active": False})
        span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        with nothing_written():
            for answer in (
                admin.post(f"{path}/replay", span, Idempotency_Key="k"),
                admin.post(f"{path}/deliveries/{delivery.pk}/replay", Idempotency_Key="l"),
            ):
                assert refused(answer, 409)["code"] == "inactive"
        assert admin.post(f"{path}/test").status_code == 202


class TestWho:
    @pytest.mark.parametrize("role", ROLES)
    def test_admins_and_owners_only(self, workspace: Workspace, row: Endpoint, path: str, role: str) -> None:
        api = Api(make_agent(workspace, role))
        may = role in ("owner", "admin")
        assert api.get(PATH).status_code == api.get(path).status_code == (200 if may else 403)
        assert api.get(f"{path}/deliveries").status_code == (200 if may else 403)
        assert api.get(f"{PATH}/events").status_code == 200

    @pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 403), ("admin", 200)])
    def test_keys_of_the_scope_admin_only(self, workspace: Workspace, path: str, scope: str, status: int) -> None:
        owner = make_agent(workspace, "owner")
        _, key = tokens.make_api_key(membership=owner, name="k", scopes=[scope], expires_at=None, now=timezone.now())
        assert Api(token=key).get(path).status_code == status

    def test_one_of_another_workspace_is_like_none(self, path: str, row: Endpoint) -> None:
        delivery = make_delivery(row, status="failed")
        stranger = Api(make_agent(WorkspaceFactory(), "owner"))
        span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        with nothing_written():
            for answer in (
                stranger.get(path),
                stranger.patch(path, {"description": "x"}),
                stranger.delete(path),
                stranger.post(f"{path}/secret", Idempotency_Key="a"),
                stranger.post(f"{path}/test", Idempotency_Key="b"),
                stranger.post(f"{path}/replay", span, Idempotency_Key="c"),
                stranger.get(f"{path}/deliveries"),
                stranger.get(f"{path}/deliveries/{delivery.pk}"),
                stranger.post(f"{path}/deliveries/{delivery.pk}/replay", Idempotency_Key="d"),
            ):
                refused(answer, 404)
