"""Taking messages that are due: the oldest first, fair between endpoints, and each by one sender."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk import outbound, sealing
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.tests.factories import NOW, make_ticket
from tickets.webhooks.models import Delivery, Endpoint
from tickets.webhooks.services import endpoints, fanout, sending
from tickets.webhooks.tests.factories import beside, fresh, make_deliveries, make_delivery, make_endpoint

pytestmark = pytest.mark.django_db
SECOND = dt.timedelta(seconds=1)


def claim(now: dt.datetime = NOW, **fields: Any) -> list[sending.Claimed]:
    return sending.claim(**({"busy": {}, "room": 500, "per_endpoint": 10, "now": now} | fields))


@pytest.fixture
def workspace() -> Any:
    return WorkspaceFactory()


@pytest.fixture
def endpoint(workspace: Any) -> Endpoint:
    return make_endpoint(workspace, NOW)[0]


class TestWhatIsTaken:
    def test_is_due_and_waits_for_an_endpoint_that_is_on(self, endpoint: Endpoint) -> None:
        due = make_delivery(endpoint, NOW - SECOND)
        make_delivery(endpoint, NOW + SECOND)
        make_delivery(endpoint, NOW, status="delivered", next_at=None, ended_at=NOW)
        make_delivery(endpoint, NOW, status="cancelled", next_at=None, ended_at=NOW)
        assert [one.delivery_id for one in claim()] == [due.pk]

    def test_comes_with_all_that_the_attempt_needs(self, workspace: Any) -> None:
        endpoint, secret = make_endpoint(workspace, NOW, headers={"X-Key": "hush"})
        delivery = make_delivery(endpoint, NOW)
        [one] = claim()
        assert (one.url, one.body, one.message_id) == (endpoint.url, delivery.body, delivery.message_id)
        assert (one.headers, one.keys, one.problem) == ({"X-Key": "hush"}, [secret], "")
        assert "hush" not in repr(one) and secret not in repr(one)

    def test_has_both_secrets_while_one_takes_the_place_of_the_other(self, workspace: Any) -> None:
        endpoint, old = make_endpoint(workspace, NOW)
        _, new = endpoints.rotate_secret(endpoint=endpoint, now=NOW, both_for=dt.timedelta(hours=1))
        make_deliveries(endpoint, NOW, 2)
        assert [one.keys for one in claim(room=1)] == [[new, old]]
        assert [one.keys for one in claim(NOW + dt.timedelta(hours=1), room=1)] == [[new]]

    def test_is_of_an_endpoint_that_is_off_only_when_it_is_a_test(self, endpoint: Endpoint) -> None:
        endpoints.change(endpoint=endpoint, changes={"is_active": False}, now=NOW)
        make_delivery(endpoint, NOW)
        test = make_delivery(endpoint, NOW, is_test=True)
        assert [one.delivery_id for one in claim()] == [test.pk]

    def test_says_so_where_the_secret_cannot_be_opened(self, endpoint: Endpoint) -> None:
        make_delivery(endpoint, NOW)
        Endpoint.unscoped.update(secret_sealed="nonsense")
        with pytest.raises(sealing.Unopenable):
            sealing.unseal("nonsense")
        [one] = claim()
        assert one.keys == [] and "SECRET_KEY" in one.problem


class TestALease:
    def test_keeps_a_message_for_one_sender_until_it_ends(self, endpoint: Endpoint) -> None:
        delivery = make_delivery(endpoint, NOW)
        [one] = claim()
        assert one.leased_until == NOW + sending.LEASE == fresh(delivery).next_at
        assert claim(NOW + sending.LEASE - SECOND) == []
        [again] = claim(NOW + sending.LEASE)
        assert again.message_id == one.message_id

    def test_is_longer_than_any_attempt(self) -> None:
        assert sending.LEASE.total_seconds() > 2 * (outbound.TOTAL_SECONDS + outbound.WAIT_SECONDS)


class TestFairness:
    def test_an_endpoint_gets_so_many_at_a_time_its_oldest_first(self, endpoint: Endpoint) -> None:
        made = [make_delivery(endpoint, NOW - SECOND * age) for age in range(15)]
        first = claim()
        assert [one.delivery_id for one in first] == [row.pk for row in reversed(made[5:])]
        assert claim(busy={endpoint.pk: 10}) == []
        assert [one.delivery_id for one in claim(busy={endpoint.pk: 8})] == [made[4].pk, made[3].pk]

    def test_a_long_list_of_one_leaves_room_for_the_others(self, workspace: Any, endpoint: Endpoint) -> None:
        make_deliveries(endpoint, NOW - SECOND, 50)
        others = [make_endpoint(workspace, NOW)[0] for _ in range(3)]
        for other in others:
            make_deliveries(other, NOW, 2)
        taken = claim(room=8)
        assert len(taken) == 8
        assert sorted(str(one.endpoint_id) for one in taken) == sorted(
            str(row.pk) for row in [endpoint, endpoint, *others, *others]
        )

    def test_one_that_lets_us_wait_gets_one_attempt_at_a_time(self, endpoint: Endpoint) -> None:
        make_deliveries(endpoint, NOW, 5)
        assert len(claim(slow={endpoint.pk})) == 1
        assert claim(slow={endpoint.pk}, busy={endpoint.pk: 1}) == []

    def test_one_that_is_failing_gets_two(self, endpoint: Endpoint) -> None:
        Endpoint.unscoped.update(failing_since=NOW - SECOND)
        make_deliveries(endpoint, NOW, 5)
        assert len(claim()) == 2
        assert claim(busy={endpoint.pk: 2}) == []

    def test_those_that_let_us_wait_get_a_part_of_the_room_and_come_last(self, workspace: Any) -> None:
        slow = [make_endpoint(workspace, NOW)[0] for _ in range(4)]
        quick = make_endpoint(workspace, NOW)[0]
        for row in slow:
            make_delivery(row, NOW - SECOND)
        make_deliveries(quick, NOW, 2)
        ids = {row.pk for row in slow}
        assert sorted(one.endpoint_id in ids for one in claim(slow=ids, room=3, slow_room=2)) == [False, False, True]
        assert len(claim(slow=ids, slow_room=2)) == 2

    def test_taking_is_one_statement_however_many_there_are(self, workspace: Any) -> None:
        for count in (1, 40):
            for _ in range(3):
                make_deliveries(make_endpoint(workspace, NOW)[0], NOW, count)
            with CaptureQueriesContext(
                connection,
            ) as queries:
                assert claim()
            assert len(queries) == 1

    def test_who_has_nothing_due_is_not_looked_at(self, workspace: Any, endpoint: Endpoint) -> None:
        """The list of an endpoint that hangs is not walked: of its rows only those are read that may be taken."""
        make_deliveries(endpoint, NOW - SECOND, 3000)
        other = make_endpoint(workspace, NOW)[0]
        make_delivery(other, NOW)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE webhook_deliveries, webhook_endpoints")
            cursor.execute(
                "EXPLAIN (ANALYZE, FORMAT JSON) " + sending._CLAIM,
                {
                    "ids": [endpoint.pk],
                    "busy": [10],
                    "slow": [False],
                    "slow_slots": 1,
                    "failing_slots": 2,
                    "per_endpoint": 10,
                    "room": 500,
                    "slow_room": 250,
                    "now": NOW,
                    "leased_until": NOW + sending.LEASE,
                },
            )
            [[[plan]]] = [cursor.fetchone()]
        assert max(_rows_read(plan["Plan"])) < 100


def _rows_read(node: dict[str, Any]) -> list[float]:
    read = [node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)]
    return read + [rows for child in node.get("Plans", []) for rows in _rows_read(child)]


class TestLooking:
    def test_tells_what_waits_in_one_query(self, workspace: Any, endpoint: Endpoint) -> None:
        fanout.follow(now=NOW)
        with CaptureQueriesContext(connection) as queries:
            assert sending.peek(now=NOW) == (False, False)
        assert len(queries) == 1
        make_ticket(workspace, NOW)
        assert sending.peek(now=NOW) == (True, False)
        Endpoint.unscoped.update(active_since=NOW - SECOND)
        fanout.follow(now=NOW)
        assert sending.peek(now=NOW) == (False, True)
        assert sending.peek(now=NOW - SECOND) == (False, False)
        claim()
        assert sending.peek(now=NOW) == (False, False)


@pytest.mark.django_db(transaction=True)
class TestTwoSenders:
    def test_never_take_the_same_message(self) -> None:
        endpoint = make_endpoint(WorkspaceFactory(), NOW)[0]  # type: ignore[arg-type]
        make_deliveries(endpoint, NOW, 40)
        taken = [*beside(claim, claim), *beside(claim, claim), claim()]
        together = [one.delivery_id for batch in taken for one in batch]
        assert len(together) == len(set(together)) == 40

    def test_wait_for_nobody(self) -> None:
        endpoint = make_endpoint(WorkspaceFactory(), NOW)[0]  # type: ignore[arg-type]
        held, free = make_deliveries(endpoint, NOW, 2)
        with transaction.atomic():
            Delivery.unscoped.select_for_update().get(pk=held.pk)
            [taken] = beside(claim)
        assert [one.delivery_id for one in taken] == [free.pk]
