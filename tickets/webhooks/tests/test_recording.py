"""What came of attempts is written: messages, the log, the hours and the health of endpoints."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.outbound import Answer
from tickets.tests.factories import NOW
from tickets.webhooks import retrying
from tickets.webhooks.models import Attempt, Delivery, Endpoint, EndpointHour
from tickets.webhooks.services import deliveries, endpoints, sending
from tickets.webhooks.services.sending import Claimed, Outcome
from tickets.webhooks.tests.factories import beside, fresh, make_deliveries, make_delivery, make_endpoint

pytestmark = pytest.mark.django_db
SECOND, HOUR = dt.timedelta(seconds=1), dt.timedelta(hours=1)


def claim(now: dt.datetime = NOW, per_endpoint: int = 500) -> list[Claimed]:
    return sending.claim(busy={}, room=500, per_endpoint=per_endpoint, now=now)


def answered(claimed: Claimed, status: int = 204, at: dt.datetime = NOW, **fields: Any) -> Outcome:
    """An attempt that brought an answer after 40 ms."""
    answer = Answer(status, fields.pop("headers", {}), fields.pop("body", b""))
    sent = claimed.shown(claimed.request_headers(at))
    return Outcome(claimed, at, **({"ms": 40, "sent": sent, "answer": answer} | fields))


def failed(claimed: Claimed, at: dt.datetime = NOW, **fields: Any) -> Outcome:
    """An attempt without an answer."""
    return Outcome(claimed, at, **({"ms": 5000, "error": "The connection failed: ConnectError."} | fields))


def record(*outcomes: Outcome, now: dt.datetime = NOW, chance: float = 0.5) -> list[Outcome]:
    return sending.record(outcomes, now=now, chance=lambda: chance)


@pytest.fixture
def endpoint() -> Endpoint:
    return make_endpoint(WorkspaceFactory(), NOW, headers={"X-Key": "hush"})[0]  # type: ignore[arg-type]


class TestSuccess:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_ends_a_message(self, endpoint: Endpoint, status: int) -> None:
        delivery = make_delivery(endpoint, NOW)
        assert record(answered(claim()[0], status)) == []
        row = fresh(delivery)
        assert (row.status, row.attempts, row.next_at, row.ended_at) == ("delivered", 1, None, NOW)
        assert (row.last_code, row.last_error, row.last_ms) == (status, "", 40)

    def test_makes_an_endpoint_well(self, endpoint: Endpoint) -> None:
        Endpoint.unscoped.update(failing_since=NOW - HOUR, last_error="It failed.", last_failure_at=NOW - HOUR)
        make_delivery(endpoint, NOW)
        record(answered(claim()[0]))
        endpoint.refresh_from_db()
        assert (endpoint.failing_since, endpoint.last_error) == (None, "")
        assert endpoint.last_success_at == NOW + dt.timedelta(milliseconds=40)
        assert endpoint.last_failure_at == NOW - HOUR


class TestFailure:
    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (302, "The answer was 302: redirects are not followed."),
            (400, "The answer was 400."),
            (500, "The answer was 500."),
        ],
    )
    def test_is_every_answer_but_2xx(self, endpoint: Endpoint, status: int, reason: str) -> None:
        delivery = make_delivery(endpoint, NOW)
        record(answered(claim()[0], status))
        row = fresh(delivery)
        assert (row.status, row.attempts, row.ended_at) == ("waiting", 1, None)
        assert row.next_at == NOW + dt.timedelta(milliseconds=40) + 5 * SECOND
        assert (row.last_code, row.last_error) == (status, reason)
        assert Attempt.unscoped.get().error == reason

    def test_without_an_answer_says_why(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        record(failed(claim()[0]))
        row = fresh(delivery)
        assert (row.last_code, row.last_error, row.last_ms) == (None, "The connection failed: ConnectError.", 5000)
        endpoint.refresh_from_db()
        assert endpoint.failing_since == endpoint.last_failure_at == NOW + 5 * SECOND
        assert endpoint.last_error == row.last_error

    def test_keeps_the_time_of_the_first_one(self, endpoint: Endpoint) -> None:
        make_deliveries(endpoint, NOW, 2)
        one, two = claim()
        record(failed(one), failed(two, NOW + SECOND))
        endpoint.refresh_from_db()
        assert endpoint.failing_since == NOW + 5 * SECOND
        assert endpoint.last_failure_at == NOW + 6 * SECOND

    def test_of_a_test_is_not_tried_again_and_makes_nobody_ill(self, endpoint: Endpoint) -> None:
        test = deliveries.send_test(endpoint=endpoint, event="ticket.created", now=NOW)
        record(answered(claim()[0], 500))
        row = fresh(test)
        assert (row.status, row.attempts, row.ended_at) == ("failed", 1, NOW)
        endpoint.refresh_from_db()
        assert endpoint.failing_since is None and endpoint.last_error == "The answer was 500."


class TestTheSchedule:
    @pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
    def test_is_ten_attempts_in_a_little_more_than_three_days(self, endpoint: Endpoint, chance: float) -> None:
        delivery = make_delivery(endpoint, NOW)
        now, waits = NOW, []
        while fresh(delivery).status == "waiting":
            [one] = claim(now)
            record(failed(one, now, ms=0), now=now, chance=chance)
            due = fresh(delivery).next_at
            if due:
                assert claim(due - SECOND / 100) == []
                waits.append((due - now).total_seconds())
                now = due
        row = fresh(delivery)
        assert (row.status, row.attempts, row.ended_at) == ("failed", 10, now)
        assert Attempt.unscoped.count() == 10
        wanted = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
        assert waits == pytest.approx([wait * (0.9 + 0.2 * chance) for wait in wanted])
        assert (now - NOW).total_seconds() == pytest.approx(75.59 * 3600 * (0.9 + 0.2 * chance), rel=0.001)
        endpoint.refresh_from_db()
        assert endpoint.is_active  # it is not yet 120 hours

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("120", 120),
            ("1", 5),  # never sooner than we would
            ("9999999", 24 * 3600),
            ((NOW + HOUR).strftime("%a, %d %b %Y %H:%M:%S GMT"), 3600),
            ("Wed, 01 Jan 2020 00:00:00 GMT", 5),
            ("soon", 5),
        ],
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_waits_as_long_as_the_receiver_asks(
        self, endpoint: Endpoint, status: int, header: str, seconds: int
    ) -> None:
        delivery = make_delivery(endpoint, NOW)
        record(answered(claim()[0], status, headers={"retry-after": header}, ms=0))
        assert fresh(delivery).next_at == NOW + seconds * SECOND

    def test_begins_anew_with_a_replay(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW, attempts=9)
        record(failed(claim()[0]))
        assert fresh(delivery).status == "failed"
        deliveries.replay(delivery=delivery, now=NOW)
        record(failed(claim()[0]))
        row = fresh(delivery)
        assert (row.status, row.attempts) == ("waiting", 1)


class TestWhatCannotBeTried:
    def test_is_due_again_and_counts_as_nothing(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        record(failed(claim()[0], error="Too many calls are under way.", is_tried=False))
        row = fresh(delivery)
        assert (row.status, row.attempts, row.next_at) == ("waiting", 0, NOW + sending.NOT_TRIED)
        assert not Attempt.unscoped.exists() and not EndpointHour.unscoped.exists()
        endpoint.refresh_from_db()
        assert endpoint.failing_since is None

    def test_because_we_stop_is_due_at_once(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        record(Outcome(claim()[0], NOW, is_tried=False), now=NOW + SECOND)
        assert fresh(delivery).next_at == NOW + SECOND


class TestSwitchingOff:
    def test_one_that_says_that_it_is_gone(self, endpoint: Endpoint) -> None:
        told, waiting = make_deliveries(endpoint, NOW, 2)
        test = deliveries.send_test(endpoint=endpoint, event="ticket.created", now=NOW)
        one = next(one for one in claim() if one.delivery_id == told.pk)
        record(answered(one, 410))
        endpoint.refresh_from_db()
        assert (endpoint.is_active, endpoint.off_reason, endpoint.off_at, endpoint.told_at) == (
            False,
            "gone",
            NOW,
            None,
        )
        assert (fresh(told).status, fresh(told).attempts) == ("failed", 1)
        assert fresh(waiting).status == "cancelled"
        assert fresh(test).status == "waiting"

    def test_not_one_that_has_another_address_by_now(self, endpoint: Endpoint) -> None:
        make_delivery(endpoint, NOW)
        [one] = claim()
        Endpoint.unscoped.update(url="https://new.example.com/")
        record(answered(one, 410))
        endpoint.refresh_from_db()
        assert endpoint.is_active

    @pytest.mark.parametrize(("hours", "is_active"), [(119, True), (121, False)])
    def test_one_that_had_no_success_for_120_hours(self, endpoint: Endpoint, hours: int, is_active: bool) -> None:
        Endpoint.unscoped.update(failing_since=NOW - hours * HOUR)
        delivery = make_delivery(endpoint, NOW)
        record(failed(claim()[0]))
        endpoint.refresh_from_db()
        assert endpoint.is_active is is_active
        assert endpoint.off_reason == ("" if is_active else "failing")
        assert endpoint.told_at is None
        assert fresh(delivery).status == ("waiting" if is_active else "cancelled")
        assert Attempt.unscoped.count() == 1

    def test_not_one_that_had_a_success_meanwhile(self, endpoint: Endpoint) -> None:
        make_deliveries(endpoint, NOW, 3)
        one, two, three = claim()
        Endpoint.unscoped.update(failing_since=NOW - 121 * HOUR)
        record(answered(two, at=NOW + 2 * SECOND), failed(one, ms=0), failed(three, NOW + 4 * SECOND))
        endpoint.refresh_from_db()
        assert endpoint.is_active
        assert endpoint.failing_since == NOW + 9 * SECOND

    def test_not_because_of_a_test(self, endpoint: Endpoint) -> None:
        Endpoint.unscoped.update(failing_since=NOW - 121 * HOUR)
        deliveries.send_test(endpoint=endpoint, event="ticket.created", now=NOW)
        record(failed(claim()[0]))
        endpoint.refresh_from_db()
        assert endpoint.is_active


class TestTheLog:
    def test_keeps_request_and_answer_without_what_is_secret(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        record(answered(claim()[0], 500, headers={"set-cookie": "session=1", "server": "x"}, body=b"no\0 \xff"))
        attempt = Attempt.unscoped.get()
        assert (attempt.delivery_id, attempt.workspace_id) == (delivery.pk, endpoint.workspace_id)
        assert (attempt.started_at, attempt.duration_ms, attempt.code) == (NOW, 40, 500)
        assert attempt.url == endpoint.url
        assert attempt.request_headers["X-Key"] == endpoints.HIDDEN
        assert attempt.request_headers["webhook-id"] == str(delivery.message_id)
        assert attempt.request_headers["webhook-timestamp"] == str(int(NOW.timestamp()))
        assert attempt.response_headers == {"set-cookie": endpoints.HIDDEN, "server": "x"}
        assert attempt.response_body == "no� �"

    def test_keeps_so_much_of_an_answer(self, endpoint: Endpoint) -> None:
        make_delivery(endpoint, NOW)
        headers = {f"x-{number}": "y" * 5000 for number in range(80)}
        record(answered(claim()[0], headers=headers, body=b"z" * 60_000))
        attempt = Attempt.unscoped.get()
        assert len(attempt.response_headers) == 50
        assert {len(value) for value in attempt.response_headers.values()} == {2000}
        assert len(attempt.response_body) == 10_000

    def test_counts_hours(self, endpoint: Endpoint) -> None:
        make_deliveries(endpoint, NOW, 4)
        one, two, three, four = claim()
        record(answered(one), failed(two), answered(three, at=NOW + HOUR, ms=20))
        record(answered(four, ms=60))
        rows = EndpointHour.unscoped.order_by("hour").values_list("hour", "delivered", "failed", "total_ms")
        assert list(rows) == [(NOW, 2, 1, 100), (NOW + HOUR, 1, 0, 20)]


class TestMeanwhile:
    def test_a_message_that_was_cancelled_stays_so_and_the_attempt_is_logged(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        [one] = claim()
        endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW)
        record(answered(one))
        assert fresh(delivery).status == "cancelled"
        assert Attempt.unscoped.get().code == 204

    def test_a_failure_does_not_take_back_a_replay(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        [one] = claim()
        deliveries.replay(delivery=delivery, now=NOW + SECOND)
        record(failed(one))
        row = fresh(delivery)
        assert (row.status, row.attempts, row.next_at) == ("waiting", 0, NOW + SECOND)
        assert Attempt.unscoped.count() == 1

    def test_what_another_sender_delivered_stays_delivered(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        [late] = claim()
        [soon] = claim(NOW + sending.LEASE)
        record(answered(soon), now=NOW + HOUR)
        record(failed(late), now=NOW + 2 * HOUR)
        row = fresh(delivery)
        assert (row.status, row.attempts, row.ended_at, row.last_code) == ("delivered", 1, NOW + HOUR, 204)
        assert Attempt.unscoped.count() == 2

    def test_a_late_success_counts_though_another_sender_has_the_lease(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        [late] = claim()
        [soon] = claim(NOW + sending.LEASE)
        record(answered(late))
        record(failed(soon))
        row = fresh(delivery)
        assert (row.status, row.next_at) == ("delivered", None)

    def test_a_message_that_was_deleted_is_forgotten(self, endpoint: Endpoint) -> None:
        make_deliveries(endpoint, NOW, 2)
        one, two = claim()
        Delivery.unscoped.filter(pk=one.delivery_id).delete()
        assert record(answered(one), answered(two)) == []
        assert Attempt.unscoped.count() == 1

    def test_an_endpoint_that_was_deleted_is_forgotten(self, endpoint: Endpoint) -> None:
        make_delivery(endpoint, NOW)
        [one] = claim()
        endpoints.delete(endpoint=endpoint)
        assert record(answered(one)) == []
        assert not Attempt.unscoped.exists()

    def test_an_outcome_that_is_written_twice_counts_once(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        outcome = failed(claim()[0])
        record(outcome)
        before = fresh(delivery).next_at
        record(outcome, now=NOW + HOUR)
        row = fresh(delivery)
        assert (row.attempts, row.next_at) == (1, before)
        assert Attempt.unscoped.count() == EndpointHour.unscoped.get().failed == 1


class TestStatements:
    def test_are_as_many_however_many_outcomes_there_are(self) -> None:
        workspace: Any = WorkspaceFactory()
        counts = []
        for count in (1, 30):
            for _ in range(count):
                make_deliveries(make_endpoint(workspace, NOW)[0], NOW, 2)
            claimed = claim()
            assert len(claimed) == 2 * count
            outcomes = [answered(one) if number % 2 else failed(one) for number, one in enumerate(claimed)]
            with CaptureQueriesContext(connection) as queries:
                record(*outcomes)
            counts.append(len([q for q in queries if "SAVEPOINT" not in q["sql"]]))
            Endpoint.unscoped.all().delete()
        assert counts == [7, 7]

    def test_are_none_for_nothing(self) -> None:
        with CaptureQueriesContext(connection) as queries:
            assert record() == []
        assert not [q for q in queries if "SAVEPOINT" not in q["sql"]]


@pytest.mark.django_db(transaction=True)
class TestLocks:
    def test_what_somebody_holds_is_written_later_and_delays_nobody(self) -> None:
        workspace: Any = WorkspaceFactory()
        held, free = make_endpoint(workspace, NOW)[0], make_endpoint(workspace, NOW)[0]
        busy = make_deliveries(held, NOW, 1) + make_deliveries(free, NOW, 2)
        claimed = {one.delivery_id: one for one in claim()}
        outcomes = [answered(claimed[row.pk]) for row in busy]
        with transaction.atomic():
            Endpoint.unscoped.select_for_update().get(pk=held.pk)
            Delivery.unscoped.select_for_update().get(pk=busy[1].pk)
            [later] = beside(lambda: record(*outcomes))
        assert {one.claimed.delivery_id for one in later} == {busy[0].pk, busy[1].pk}
        assert [fresh(row).status for row in busy] == ["waiting", "waiting", "delivered"]
        assert record(*later) == []
        assert [fresh(row).status for row in busy] == ["delivered"] * 3
        assert Attempt.unscoped.count() == 3

    def test_two_senders_do_not_wait_for_each_other_in_a_circle(self) -> None:
        workspace: Any = WorkspaceFactory()
        rows = [make_endpoint(workspace, NOW)[0] for _ in range(6)]
        for row in rows:
            make_deliveries(row, NOW, 20)
        claimed = claim()

        def write(mine: list[Claimed]) -> None:
            left = [answered(one) for one in mine]
            while left:
                left = record(*left)

        beside(lambda: write(claimed[::2]), lambda: write(claimed[1::2][::-1]))
        assert Delivery.unscoped.filter(status="delivered").count() == 120
        assert sum(EndpointHour.unscoped.values_list("delivered", flat=True)) == 120


def test_the_schedule_has_ten_attempts() -> None:
    assert retrying.ATTEMPTS == 10
