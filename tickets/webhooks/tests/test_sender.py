"""The sender, with a receiver on loopback: what really arrives, and what is written of it."""

from typing import Any

import pytest
from django.utils import timezone

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.tests.factories import make_ticket
from tickets.webhooks.models import Attempt, Delivery
from tickets.webhooks.tests.factories import LOOPBACK, make_endpoint, send_all
from tickets.webhooks.tests.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(settings: Any):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with receiving() as receiver:
        yield receiver


def test_what_happens_arrives_signed_as_the_bytes_that_are_kept(receiver: Receiver) -> None:
    now = timezone.now()
    workspace: Any = WorkspaceFactory()
    endpoint, secret = make_endpoint(workspace, now, url=receiver.url("/hook?key=1"), headers={"X-Key": "hush"})
    make_ticket(workspace, timezone.now())
    send_all()
    [request] = receiver.wait_for(1)
    delivery = Delivery.unscoped.get()
    assert request.path == "/hook?key=1"
    assert request.body.decode() == delivery.body
    assert request.message_id == str(delivery.message_id) == str(delivery.activity_id)
    assert request.headers["x-key"] == "hush"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Helpdesk-Webhooks/")
    payload = request.verified(secret)
    assert payload["event"] == "ticket.created"
    assert (delivery.status, delivery.attempts, delivery.last_code, delivery.last_error) == ("delivered", 1, 204, "")
    attempt = Attempt.unscoped.get()
    assert attempt.request_headers["X-Key"] == "••••••"
    endpoint.refresh_from_db()
    assert endpoint.last_success_at and endpoint.failing_since is None
