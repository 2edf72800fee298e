"""The sender, with a receiver on loopback: what really arrives, and what is written of it."""

import asyncio
import datetime as dt
import logging
import time
from collections import Counter
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone
from standardwebhooks.webhooks import WebhookVerificationError

from helpdesk import outbound
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.tests.factories import make_ticket
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import deliveries, endpoints, fanout, sender, sending
from tickets.webhooks.services.sender import Sender
from tickets.webhooks.tests.factories import (
    LOOPBACK,
    beside,
    fresh,
    make_deliveries,
    make_delivery,
    make_endpoint,
    send_all,
)
from tickets.webhooks.tests.receiver import Received, Receiver, Reply, receiving

pytestmark = pytest.mark.django_db(transaction=True)
SECOND, MINUTE = dt.timedelta(seconds=1), dt.timedelta(minutes=1)


@pytest.fixture
def receiver(settings: Any):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def workspace() -> Any:
    return WorkspaceFactory()


def _changed(request: Received, **changes: Any) -> Received:
    headers = {**request.headers, **changes.pop("headers", {})}
    return replace(request, headers=headers, **changes)


class TestWhatArrives:
    def test_is_signed_as_the_bytes_that_are_kept(self, receiver: Receiver, workspace: Any) -> None:
        now = timezone.now()
        endpoint, secret = make_endpoint(workspace, now, url=receiver.url("/hook?key=1"), headers={"X-Key": "hush"})
        make_ticket(workspace, timezone.now(), subject="Überweisung „offen“ 🙂")
        send_all()
        [request] = receiver.wait_for(1)
        delivery = Delivery.unscoped.get()
        assert request.path == "/hook?key=1"
        assert request.body == delivery.body.encode()
        assert request.message_id == str(delivery.message_id) == str(delivery.activity_id)
        assert request.headers["x-key"] == "hush"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["user-agent"].startswith("Helpdesk-Webhooks/")
        assert request.verified(secret)["data"]["subject"] == "Überweisung „offen“ 🙂"
        assert (delivery.status, delivery.attempts, delivery.last_code) == ("delivered", 1, 204)
        assert Attempt.unscoped.get().request_headers["X-Key"] == endpoints.HIDDEN
        endpoint.refresh_from_db()
        assert endpoint.last_success_at and endpoint.failing_since is None

    def test_is_refused_by_the_library_when_anything_is_altered(self, receiver: Receiver, workspace: Any) -> None:
        endpoint, secret = make_endpoint(workspace, timezone.now(), url=receiver.url())
        make_delivery(endpoint, timezone.now())
        send_all()
        [request] = receiver.received
        assert request.verified(secret)
        old = str(int(request.headers["webhook-timestamp"]) - 301)
        _, other = make_endpoint(workspace, timezone.now(), url=receiver.url())
        for altered, key in [
            (_changed(request, body=request.body.replace(b"ticket", b"tickex", 1)), secret),
            (_changed(request, body=request.body + b" "), secret),
            (_changed(request, headers={"webhook-id": str(endpoint.pk)}), secret),
            (_changed(request, headers={"webhook-timestamp": old}), secret),
            (_changed(request, headers={"webhook-signature": "v1,AAAA"}), secret),
            (request, other),
        ]:
            with pytest.raises(WebhookVerificationError):
                altered.verified(key)

    def test_is_refused_by_the_library_when_it_is_old(self, receiver: Receiver, workspace: Any) -> None:
        endpoint, secret = make_endpoint(workspace, timezone.now(), url=receiver.url())
        make_delivery(endpoint, timezone.now() - 10 * MINUTE)
        send_all(clock=lambda: timezone.now() - 6 * MINUTE)
        [request] = receiver.received
        with pytest.raises(WebhookVerificationError, match="too old"):
            request.verified(secret)

    def test_is_signed_with_both_secrets_after_a_rotation_and_then_with_the_new_one(
        self, receiver: Receiver, workspace: Any
    ) -> None:
        now = timezone.now()
        endpoint, old = make_endpoint(workspace, now, url=receiver.url())
        _, new = endpoints.rotate_secret(endpoint=endpoint, now=now, both_for=MINUTE)
        make_delivery(endpoint, now)
        send_all()
        Endpoint.unscoped.update(old_secret_until=now - SECOND)
        make_delivery(endpoint, now)
        send_all()
        both, one = receiver.wait_for(2)
        assert both.verified(old) and both.verified(new) and one.verified(new)
        with pytest.raises(WebhookVerificationError):
            one.verified(old)

    def test_a_second_time_has_the_same_id_and_bytes_and_a_new_signature(
        self, receiver: Receiver, workspace: Any
    ) -> None:
        endpoint, secret = make_endpoint(workspace, timezone.now(), url=receiver.url())
        delivery = make_delivery(endpoint, timezone.now())
        send_all()
        deliveries.replay(delivery=delivery, now=timezone.now())
        with mock.patch.object(timezone, "now", return_value=timezone.now() + 2 * SECOND):
            send_all(clock=timezone.now)
        first, again = receiver.wait_for(2)
        assert first.verified(secret) and again.verified(secret)
        assert (first.message_id, first.body) == (again.message_id, again.body)
        assert int(again.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
        assert first.headers["webhook-signature"] != again.headers["webhook-signature"]

    def test_comes_again_under_its_id_after_a_failure(self, receiver: Receiver, workspace: Any) -> None:
        endpoint, _ = make_endpoint(workspace, timezone.now(), url=receiver.url())
        delivery = make_delivery(endpoint, timezone.now())
        receiver.answer = Reply(500, body=b"Oh no.")
        send_all()
        assert (fresh(delivery).status, fresh(delivery).last_code) == ("waiting", 500)
        receiver.answer = Reply()
        send_all(clock=lambda: timezone.now() + 10 * SECOND)
        assert fresh(delivery).status == "delivered"
        assert len({request.message_id for request in receiver.wait_for(2)}) == 1
        assert list(Attempt.unscoped.order_by("started_at").values_list("code", "response_body")) == [
            (500, "Oh no."),
            (204, ""),
        ]


class TestAnAnswer:
    def test_that_leads_elsewhere_is_not_followed(self, receiver: Receiver, workspace: Any) -> None:
        with receiving() as elsewhere:
            receiver.answer = Reply(307, {"Location": elsewhere.url()})
            delivery = make_delivery(make_endpoint(workspace, timezone.now(), url=receiver.url())[0], timezone.now())
            send_all()
            assert elsewhere.received == []
        assert fresh(delivery).last_error == "The answer was 307: redirects are not followed."

    def test_that_is_long_is_kept_in_part(self, receiver: Receiver, workspace: Any) -> None:
        receiver.answer = Reply(200, {"X-Long": "y" * 3000, "Set-Cookie": "a=b"}, b"z" * 200_000)
        make_delivery(make_endpoint(workspace, timezone.now(), url=receiver.url())[0], timezone.now())
        send_all()
        attempt = Attempt.unscoped.get()
        assert len(attempt.response_body) == 10_000
        assert len(attempt.response_headers["x-long"]) == 2000
        assert attempt.response_headers["set-cookie"] == endpoints.HIDDEN

    def test_that_does_not_come_is_a_failure_after_a_time(
        self, receiver: Receiver, workspace: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.3)
        receiver.answer = Reply(hang=30)
        delivery = make_delivery(make_endpoint(workspace, timezone.now(), url=receiver.url())[0], timezone.now())
        send_all()
        row = fresh(delivery)
        assert (row.status, row.attempts, row.last_code) == ("waiting", 1, None)
        assert "no answer" in row.last_error
        assert 300 <= Attempt.unscoped.get().duration_ms < 5000

    def test_that_says_gone_switches_off(self, receiver: Receiver, workspace: Any) -> None:
        receiver.answer = Reply(410)
        endpoint, _ = make_endpoint(workspace, timezone.now(), url=receiver.url())
        make_delivery(endpoint, timezone.now())
        send_all()
        endpoint.refresh_from_db()
        assert (endpoint.is_active, endpoint.off_reason) == (False, "gone")


def test_an_address_that_may_not_be_called_is_a_failure_that_is_tried_again(workspace: Any) -> None:
    with receiving() as receiver:  # loopback, which nobody permitted
        delivery = make_delivery(make_endpoint(workspace, timezone.now(), url=receiver.url())[0], timezone.now())
        send_all()
        assert receiver.received == []
    row = fresh(delivery)
    assert (row.status, row.attempts, row.last_code) == ("waiting", 1, None)
    assert "private network" in row.last_error


def test_a_secret_that_cannot_be_opened_is_a_failure_that_says_so(receiver: Receiver, workspace: Any) -> None:
    endpoint, _ = make_endpoint(workspace, timezone.now(), url=receiver.url())
    delivery = make_delivery(endpoint, timezone.now())
    Endpoint.unscoped.update(secret_sealed="nonsense")
    send_all()
    assert receiver.received == []
    assert "SECRET_KEY" in fresh(delivery).last_error
    assert fresh(delivery).status == "waiting"


def test_no_message_waits_for_an_endpoint_that_hangs(receiver: Receiver, workspace: Any) -> None:
    """A hundred messages for one that never answers, and a few for another one: these arrive at once."""
    with receiving(Reply(hang=60)) as hanging:
        make_deliveries(make_endpoint(workspace, timezone.now(), url=hanging.url())[0], timezone.now() - MINUTE, 100)
        make_deliveries(make_endpoint(workspace, timezone.now(), url=receiver.url())[0], timezone.now(), 30)

        async def run() -> None:
            stopping = asyncio.Event()
            running = asyncio.create_task(Sender().run(stopping))
            await asyncio.to_thread(receiver.wait_for, 30)
            stopping.set()
            with mock.patch.object(sender, "STOP_SECONDS", 0.1):
                await running

        asyncio.run(run())
        assert len(hanging.received) == sender.PER_ENDPOINT
    assert Delivery.unscoped.filter(status="delivered").count() == 30
    # What was under way has counted as nothing, and is due again at once.
    assert Delivery.unscoped.filter(status="waiting", attempts=0, next_at__lte=timezone.now()).count() == 100


def test_an_endpoint_that_let_us_wait_gets_one_attempt_at_a_time(
    receiver: Receiver, workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SLOW_MS", 50)
    monkeypatch.setattr(sender, "PER_ENDPOINT", 3)
    together: Counter[str] = Counter()
    most: list[int] = []

    def answer(request: Received) -> Reply:
        together["now"] += 1
        most.append(together["now"])
        time.sleep(0.1)
        together["now"] -= 1
        return Reply()

    receiver.answer = answer
    make_deliveries(make_endpoint(workspace, timezone.now(), url=receiver.url())[0], timezone.now(), 8)
    send_all()
    assert len(most) == 8
    assert max(most[3:]) <= 2  # three at first, and one more while these end
    assert most[-1] == 1


class TestTheDatabase:
    def test_may_be_away_at_any_time(self, receiver: Receiver, workspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every kind of work fails once, and connections break; each message arrives all the same."""
        make_endpoint(workspace, timezone.now(), url=receiver.url())
        for _ in range(3):
            make_ticket(workspace, timezone.now())
        failed: Counter[str] = Counter()

        def failing(module: Any, name: str) -> None:
            work = getattr(module, name)

            def once(*args: Any, **kwargs: Any) -> Any:
                failed[name] += 1
                if failed[name] == 1:
                    connection.close()
                    raise OperationalError("server closed the connection unexpectedly")
                return work(*args, **kwargs)

            monkeypatch.setattr(module, name, once)

        for module, name in [(sending, "peek"), (fanout, "follow"), (sending, "claim"), (sending, "record")]:
            failing(module, name)
        send_all()
        assert min(failed.values()) >= 2 and len(failed) == 4
        assert len(receiver.received) == 3
        assert Delivery.unscoped.filter(status="delivered", attempts=1).count() == 3
        assert Attempt.unscoped.count() == 3

    def test_in_which_an_endpoint_is_deleted_while_messages_are_made_for_it(
        self, receiver: Receiver, workspace: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        deleted, _ = make_endpoint(workspace, timezone.now(), url=receiver.url("/deleted"))
        make_endpoint(workspace, timezone.now(), url=receiver.url("/kept"))
        make_ticket(workspace, timezone.now())
        found = fanout._endpoints

        def late(workspace_ids: set[Any]) -> Any:
            known = found(workspace_ids)
            beside(lambda: Endpoint.unscoped.filter(pk=deleted.pk).delete())
            return known

        monkeypatch.setattr(fanout, "_endpoints", late)
        send_all()
        assert [request.path for request in receiver.received] == ["/kept"]
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

    def test_that_refuses_one_outcome_gets_the_others(
        self, receiver: Receiver, workspace: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        endpoint, secret = make_endpoint(workspace, timezone.now(), url=receiver.url("/in?key=hush"))
        poison, *_ = make_deliveries(endpoint, timezone.now(), 3)
        receiver.answer = Reply(200, body=b"Private answer.")
        attempt = sending._attempt

        def refusing(outcome: sending.Outcome) -> Attempt:
            if outcome.claimed.delivery_id == poison.pk and outcome.sent:
                raise ValueError("cannot be kept")
            return attempt(outcome)

        monkeypatch.setattr(sending, "_attempt", refusing)
        send_all()
        assert Delivery.unscoped.filter(status="delivered").count() == 3
        assert sorted(Attempt.unscoped.values_list("response_body", flat=True)) == [
            "",
            "Private answer.",
            "Private answer.",
        ]
        assert "hush" not in caplog.text and secret not in caplog.text and "Private" not in caplog.text


def test_the_command_ends_when_nothing_is_due(receiver: Receiver, workspace: Any) -> None:
    make_endpoint(workspace, timezone.now(), url=receiver.url())
    make_ticket(workspace, timezone.now())
    call_command("send_webhooks", "--until-empty")
    assert len(receiver.received) == 1
    began = time.monotonic()
    call_command("send_webhooks", "--seconds", "0.2")
    assert 0.2 <= time.monotonic() - began < 5


def test_nothing_secret_is_logged(receiver: Receiver, workspace: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint, secret = make_endpoint(
        workspace, timezone.now(), url=receiver.url("/in?key=hush"), headers={"X-Key": "quiet"}
    )
    make_deliveries(endpoint, timezone.now(), 2)
    receiver.answer = Reply(500, body=b"Private answer.")
    send_all()
    logged = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    for word in ("hush", "quiet", secret, "Private", "ticket.created", "v1,"):
        assert word not in logged
