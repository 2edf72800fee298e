"""Endpoints: made, changed, switched on and off, deleted; their secrets and their own headers."""

import datetime as dt
import json
from functools import partial
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from helpdesk import sealing
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.tests.api import unchanged
from tickets.tests.factories import make_agent
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint, EndpointHour
from tickets.webhooks.services import endpoints, health
from tickets.webhooks.services.endpoints import HIDDEN
from tickets.webhooks.tests.rows import NOW, URL, make_attempt, make_delivery, make_endpoint

HOUR = dt.timedelta(hours=1)
nothing_written = partial(unchanged, Endpoint, Delivery)


@pytest.fixture
def workspace(db: None) -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def endpoint(workspace: Workspace) -> Endpoint:
    return make_endpoint(workspace, headers={"Authorization": "Bearer one", "X-Team": "blue"})


def fields_of(caught: Any) -> set[str]:
    return set(caught.value.errors)


class TestMaking:
    def test_one_begins_active_unused_and_hears_of_what_happens_from_now_on(self, workspace: Workspace) -> None:
        by = make_agent(workspace, role="admin")
        made, secret = endpoints.create(
            workspace=workspace, url=URL, events=["ticket.closed", "ticket.created"], by=by, now=NOW
        )
        made.refresh_from_db()
        assert (made.is_active, made.off_reason, made.active_since, made.created_by) == (True, "", NOW, by.user)
        assert made.events == ["ticket.created", "ticket.closed"]  # in the order of the catalogue
        assert health.state_of(made) == "unused"
        assert endpoints.keys_of(made, NOW) == [secret]

    def test_the_secret_begins_with_whsec_and_is_kept_sealed_only(self, workspace: Workspace) -> None:
        made, secret = endpoints.create(
            workspace=workspace, url=URL, events=["ticket.created"], by=make_agent(workspace), now=NOW
        )
        assert secret.startswith("whsec_")
        with connection.cursor() as cursor:
            cursor.execute("SELECT e::text FROM webhook_endpoints e WHERE id = %s", [made.pk])
            assert secret.removeprefix("whsec_") not in cursor.fetchone()[0]

    def test_one_can_be_made_switched_off(self, workspace: Workspace) -> None:
        made = make_endpoint(workspace, is_active=False)
        made.refresh_from_db()
        assert (made.is_active, made.off_reason, made.off_at) == (False, "member", NOW)

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"url": "ftp://93.184.215.14/"}, "url"),
            ({"url": "hook"}, "url"),
            ({"url": ""}, "url"),
            ({"url": "https://me:word@93.184.215.14/"}, "url"),
            ({"url": "http://93.184.215.14/" + "a" * 2000}, "url"),
            ({"events": []}, "events"),
            ({"events": ["ticket.exploded"]}, "events"),
            ({"events": "ticket.created"}, "events"),
            ({"events": [1]}, "events"),
            ({"description": "x" * 201}, "description"),
            ({"headers": []}, "headers"),
            ({"headers": {"A b": "x"}}, "headers"),
            ({"headers": {"X-A": "a\nb"}}, "headers.X-A"),
            ({"headers": {"X-A": "é"}}, "headers.X-A"),
            ({"headers": {"X-A": ""}}, "headers.X-A"),
            ({"headers": {"X-A": 5}}, "headers.X-A"),
            ({"headers": {"X-A": "a" * 1001}}, "headers.X-A"),
            ({"headers": {"X-A": "a", "x-a": "b"}}, "headers.x-a"),
            ({"headers": {"X-A": HIDDEN}}, "headers.X-A"),
            ({"headers": {f"X-{n}": "a" for n in range(21)}}, "headers"),
            ({"headers": {"Host": "inside"}}, "headers.Host"),
            ({"headers": {"Content-Type": "text/plain"}}, "headers.Content-Type"),
            ({"headers": {"Content-Encoding": "gzip"}}, "headers.Content-Encoding"),
            ({"headers": {"Transfer-Encoding": "chunked"}}, "headers.Transfer-Encoding"),
            ({"headers": {"Webhook-Signature": "v1,x"}}, "headers.Webhook-Signature"),
            ({"is_active": "yes"}, "is_active"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_named_and_nothing_is_written(
        self, workspace: Workspace, wrong: dict[str, Any], field: str
    ) -> None:
        by = make_agent(workspace, role="admin")
        given: dict[str, Any] = {"url": URL, "events": ["ticket.created"]} | wrong
        with nothing_written(), pytest.raises(InvalidInput) as caught:
            endpoints.create(workspace=workspace, by=by, now=NOW, **given)
        assert fields_of(caught) == {field}

    def test_all_that_is_wrong_is_named_at_once(self, workspace: Workspace) -> None:
        with nothing_written(), pytest.raises(InvalidInput) as caught:
            make_endpoint(workspace, url="hook", events=[], description="x" * 300, headers={"Host": "a"})
        assert fields_of(caught) == {"url", "events", "description", "headers.Host"}

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/",
            "http://localhost:8000/",
            "http://10.0.0.5/hook",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://0.0.0.0/",
        ],
    )
    def test_an_address_inside_a_private_network_is_refused_when_saved(self, workspace: Workspace, url: str) -> None:
        """Behaviours, webhooks: "the address is checked when saved"."""
        kept = make_endpoint(workspace)
        with nothing_written():
            with pytest.raises(InvalidInput) as made:
                make_endpoint(workspace, url=url)
            with pytest.raises(InvalidInput) as changed:
                endpoints.change(endpoint=kept, changes={"url": url}, now=NOW)
        assert fields_of(made) == fields_of(changed) == {"url"}

    def test_a_network_that_the_operator_allows_can_be_named(self, workspace: Workspace, settings: Any) -> None:
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
        assert make_endpoint(workspace, url="http://127.0.0.1:9000/hook").pk

    def test_a_workspace_has_fifty_at_most_and_another_one_its_own_fifty(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints, "MOST", 2)
        make_endpoint(workspace)
        make_endpoint(workspace)
        with nothing_written(), pytest.raises(Conflict) as caught:
            make_endpoint(workspace)
        assert caught.value.code == "too_many"
        assert make_endpoint(WorkspaceFactory()).pk

    @given(value=st.text(max_size=50))
    def test_a_header_that_is_taken_could_not_break_a_request(self, value: str) -> None:
        try:
            taken = endpoints._headers({"X-A": value}, Endpoint())["X-A"]
        except InvalidInput:
            return
        assert taken == value == value.strip()
        assert taken.isascii() and taken.isprintable()


class TestChanging:
    def test_only_what_is_sent_changes(self, endpoint: Endpoint) -> None:
        changed = endpoints.change(endpoint=endpoint, changes={"description": "Ours"}, now=NOW + HOUR)
        changed.refresh_from_db()
        assert (changed.description, changed.updated_at) == ("Ours", NOW + HOUR)
        assert (changed.url, changed.events) == (endpoint.url, endpoint.events)
        assert endpoints.headers_of(changed) == {"Authorization": "Bearer one", "X-Team": "blue"}
        assert endpoints.keys_of(changed, NOW) == endpoints.keys_of(endpoint, NOW)

    def test_an_unknown_field_is_refused_by_its_name(self, endpoint: Endpoint) -> None:
        with nothing_written(), pytest.raises(InvalidInput) as caught:
            endpoints.change(endpoint=endpoint, changes={"secret_sealed": "x", "description": "y"}, now=NOW)
        assert fields_of(caught) == {"secret_sealed"}

    def test_values_of_headers_are_shown_to_nobody_and_stay_where_they_are_sent_back_hidden(
        self, endpoint: Endpoint
    ) -> None:
        shown = endpoints.shown_headers(endpoint)
        assert shown == {"Authorization": HIDDEN, "X-Team": HIDDEN}
        changed = endpoints.change(endpoint=endpoint, changes={"headers": shown | {"X-Team": "red"}}, now=NOW)
        assert endpoints.headers_of(changed) == {"Authorization": "Bearer one", "X-Team": "red"}
        changed = endpoints.change(endpoint=endpoint, changes={"headers": {"authorization": HIDDEN}}, now=NOW)
        assert endpoints.headers_of(changed) == {"authorization": "Bearer one"}
        changed = endpoints.change(endpoint=endpoint, changes={"headers": {}}, now=NOW)
        assert (changed.headers_sealed, endpoints.shown_headers(changed)) == ("", {})

    def test_values_of_headers_are_kept_sealed(self, endpoint: Endpoint) -> None:
        assert "Bearer one" not in endpoint.headers_sealed
        assert json.loads(sealing.unseal(endpoint.headers_sealed))["Authorization"] == "Bearer one"

    @pytest.mark.parametrize("url", ["http://93.184.215.15/hook", "https://93.184.215.14/hook", f"{URL[:20]}:81/hook"])
    def test_what_was_typed_for_one_server_does_not_go_to_another_one(self, endpoint: Endpoint, url: str) -> None:
        assert endpoints.change(endpoint=endpoint, changes={"url": f"{URL}/elsewhere"}, now=NOW).headers_sealed
        for sent in ({"url": url}, {"url": url, "headers": {"Authorization": HIDDEN}}):
            with nothing_written(), pytest.raises(InvalidInput) as caught:
                endpoints.change(endpoint=endpoint, changes=sent, now=NOW)
            assert fields_of(caught) == {"headers"}
        changed = endpoints.change(
            endpoint=endpoint, changes={"url": url, "headers": {"Authorization": "Bearer two"}}, now=NOW
        )
        assert endpoints.headers_of(changed) == {"Authorization": "Bearer two"}

    def test_headers_that_another_key_sealed_have_to_be_typed_again(self, endpoint: Endpoint, settings: Any) -> None:
        settings.SECRET_KEY = "another key of the server"
        assert endpoints.shown_headers(endpoint) == {}
        with nothing_written(), pytest.raises(InvalidInput) as caught:
            endpoints.change(endpoint=endpoint, changes={"headers": {"Authorization": HIDDEN}}, now=NOW)
        assert fields_of(caught) == {"headers.Authorization"}
        changed = endpoints.change(endpoint=endpoint, changes={"headers": {"Authorization": "Bearer two"}}, now=NOW)
        assert endpoints.headers_of(changed) == {"Authorization": "Bearer two"}

    def test_one_that_was_deleted_meanwhile_is_not_there(self, endpoint: Endpoint) -> None:
        endpoints.delete(endpoint=Endpoint.unscoped.get(pk=endpoint.pk))
        for call in (
            partial(endpoints.change, changes={"description": "x"}, now=NOW),
            partial(endpoints.rotate_secret, now=NOW),
            endpoints.delete,
        ):
            with pytest.raises(NotFound):
                call(endpoint=endpoint)


class TestSwitching:
    def test_off_cancels_what_waits_and_on_begins_anew(self, endpoint: Endpoint) -> None:
        waiting, arrived = make_delivery(endpoint), make_delivery(endpoint, status="delivered")
        test = make_delivery(endpoint, is_test=True)
        off = endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW + HOUR)
        assert (off.is_active, off.off_reason, off.off_at) == (False, "member", NOW + HOUR)
        statuses = dict(Delivery.unscoped.values_list("pk", "status"))
        assert statuses == {waiting.pk: "cancelled", arrived.pk: "delivered", test.pk: "waiting"}
        on = endpoints.change(endpoint=off, changes={"is_active": True}, now=NOW + 2 * HOUR)
        assert (on.is_active, on.off_reason, on.off_at) == (True, "", None)
        assert on.active_since == NOW + 2 * HOUR
        assert Delivery.unscoped.get(pk=waiting.pk).status == "cancelled"

    def test_what_was_written_while_it_was_being_switched_off_is_not_sent_when_it_is_on_again(
        self, endpoint: Endpoint
    ) -> None:
        off = endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW)
        late = make_delivery(off)
        endpoints.change(endpoint=off, changes={"is_active": True}, now=NOW + HOUR)
        late.refresh_from_db()
        assert (late.status, late.next_at, late.ended_at) == ("cancelled", None, NOW + HOUR)

    def test_on_forgets_why_it_was_off(self, endpoint: Endpoint) -> None:
        Endpoint.unscoped.filter(pk=endpoint.pk).update(
            is_active=False, off_reason="failing", off_at=NOW, told_at=NOW, failing_since=NOW, last_error="Oh no"
        )
        on = endpoints.change(endpoint=endpoint, changes={"is_active": True}, now=NOW + HOUR)
        assert (on.failing_since, on.last_error, on.told_at, health.state_of(on)) == (None, "", None, "unused")

    def test_the_same_again_changes_nothing_of_what_waits(self, endpoint: Endpoint) -> None:
        waiting = make_delivery(endpoint)
        same = endpoints.change(endpoint=endpoint, changes={"is_active": True}, now=NOW + HOUR)
        waiting.refresh_from_db()
        assert (same.active_since, waiting.status) == (NOW, "waiting")


class TestSecrets:
    def test_a_rotated_secret_signs_beside_the_one_before_until_its_time_is_over(self, endpoint: Endpoint) -> None:
        """Behaviours, webhooks: "rotation signs with both"."""
        (old,) = endpoints.keys_of(endpoint, NOW)
        row, new = endpoints.rotate_secret(endpoint=endpoint, now=NOW)
        assert new != old
        row.refresh_from_db()
        assert endpoints.keys_of(row, NOW + 24 * HOUR - dt.timedelta(seconds=1)) == [new, old]
        assert endpoints.keys_of(row, NOW + 24 * HOUR) == [new]
        sent = payloads.signed_headers(message_id="x", body="{}", keys=endpoints.keys_of(row, NOW), at=NOW)
        assert [part[:3] for part in sent["webhook-signature"].split()] == ["v1,", "v1,"]

    def test_the_one_before_can_end_at_once(self, endpoint: Endpoint) -> None:
        row, new = endpoints.rotate_secret(endpoint=endpoint, now=NOW, both_for=dt.timedelta(0))
        assert (row.old_secret_sealed, row.old_secret_until) == ("", None)
        assert endpoints.keys_of(row, NOW) == [new]

    def test_rotated_twice_the_newest_two_sign(self, endpoint: Endpoint) -> None:
        row, second = endpoints.rotate_secret(endpoint=endpoint, now=NOW)
        row, third = endpoints.rotate_secret(endpoint=row, now=NOW + HOUR)
        assert endpoints.keys_of(row, NOW + HOUR) == [third, second]

    @pytest.mark.parametrize("hours", [-1, 169])
    def test_none_signs_for_less_than_nothing_or_longer_than_a_week(self, endpoint: Endpoint, hours: int) -> None:
        with nothing_written(), pytest.raises(InvalidInput) as caught:
            endpoints.rotate_secret(endpoint=endpoint, now=NOW, both_for=hours * HOUR)
        assert fields_of(caught) == {"both_for_hours"}


class TestDeleting:
    @pytest.mark.parametrize("batch", [2, 3, 5000])
    def test_takes_its_log_along_and_nothing_else(
        self, workspace: Workspace, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, batch: int
    ) -> None:
        monkeypatch.setattr(endpoints, "_BATCH", batch)
        other = make_endpoint(workspace)
        for row in (endpoint, other):
            for _ in range(3):
                make_attempt(make_delivery(row, status="failed"))
            EndpointHour.unscoped.create(workspace=workspace, endpoint=row, hour=NOW)
        endpoints.delete(endpoint=endpoint)
        assert [row.pk for row in Endpoint.unscoped.all()] == [other.pk]
        assert {row.endpoint_id for row in Delivery.unscoped.all()} == {other.pk}
        assert {row.delivery.endpoint_id for row in Attempt.unscoped.all()} == {other.pk}
        assert [row.endpoint_id for row in EndpointHour.unscoped.all()] == [other.pk]


class TestHealth:
    def test_counts_the_hour_that_runs_and_the_23_before(self, workspace: Workspace, endpoint: Endpoint) -> None:
        now = NOW + dt.timedelta(minutes=40)
        for back, delivered, failed, ms in ((0, 2, 1, 100), (23, 4, 0, 500), (24, 100, 100, 9000)):
            EndpointHour.unscoped.create(
                workspace=workspace,
                endpoint=endpoint,
                hour=NOW - back * HOUR,
                delivered=delivered,
                failed=failed,
                total_ms=ms,
            )
        found = health.of([endpoint], now=now)[endpoint.pk]
        assert (found.delivered, found.failed, found.average_ms) == (6, 1, 100)
        assert len(found.hours) == 24
        assert found.hours[0] == health.Hour(NOW - 23 * HOUR, 4, 0)
        assert found.hours[-1] == health.Hour(NOW, 2, 1)
        assert found.hours[5] == health.Hour(NOW - 18 * HOUR, 0, 0)

    @pytest.mark.parametrize(
        ("changes", "state"),
        [
            ({}, "unused"),
            ({"last_success_at": NOW}, "active"),
            ({"last_success_at": NOW, "last_failure_at": NOW, "failing_since": NOW}, "failing"),
            ({"is_active": False, "off_reason": "gone", "off_at": NOW, "failing_since": NOW}, "off"),
        ],
    )
    def test_has_one_word_for_the_state(self, endpoint: Endpoint, changes: dict[str, Any], state: str) -> None:
        for name, value in changes.items():
            setattr(endpoint, name, value)
        assert health.of([endpoint], now=NOW)[endpoint.pk].state == state

    def test_asks_two_queries_however_many_there_are(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
    ) -> None:
        monkeypatch.setattr(health, "MOST_WAITING", 2)
        rows = [make_endpoint(workspace) for _ in range(5)]
        for number, row in enumerate(rows):
            make_delivery(row, status="failed")
            for _ in range(number):
                make_delivery(row)
        with django_assert_num_queries(2):
            found = health.of(rows, now=NOW)
        assert [found[row.pk].waiting for row in rows] == [0, 1, 2, 2, 2]  # counted up to the cap
        with django_assert_num_queries(0):
            assert health.of([], now=NOW) == {}
