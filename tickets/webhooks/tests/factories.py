"""Test data of webhooks."""

import asyncio
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock
from uuid import UUID

from django.db import connection
from django.utils import timezone

from helpdesk import outbound
from helpdesk.accounts.models import Membership, Workspace, new_id
from helpdesk.accounts.roles import Role
from helpdesk.accounts.tests.factories import MembershipFactory
from tickets.webhooks import payloads
from tickets.webhooks.models import Delivery, Endpoint
from tickets.webhooks.services import endpoints
from tickets.webhooks.services.sender import Sender

LOOPBACK = ["127.0.0.0/8"]
EVENTS = tuple(payloads.CATALOGUE)


def make_endpoint(
    workspace: Workspace, now: dt.datetime, *, by: Membership | None = None, **fields: Any
) -> tuple[Endpoint, str]:
    """An endpoint made by the service, with its secret."""
    maker: Any = by or MembershipFactory(workspace=workspace, role=Role.ADMIN.value)
    given: dict[str, Any] = {"url": "https://hooks.example.com/in", "events": list(EVENTS)}
    with mock.patch.object(outbound, "check_url"):  # nobody is asked for the name
        return endpoints.create(workspace=workspace, by=maker, now=now, **(given | fields))


def make_delivery(endpoint: Endpoint, now: dt.datetime, **fields: Any) -> Delivery:
    """A message that is due at `now`."""
    return make_deliveries(endpoint, now, 1, **fields)[0]


def make_deliveries(endpoint: Endpoint, now: dt.datetime, count: int, **fields: Any) -> list[Delivery]:
    """Messages that are due at `now`."""
    body = payloads.body_of(payloads.CATALOGUE["ticket.created"].payload(now))
    given = {"event": "ticket.created", "body": body, "next_at": now, "created_at": now} | fields
    rows = [
        Delivery(workspace_id=endpoint.workspace_id, endpoint=endpoint, **({"message_id": new_id()} | given))
        for _ in range(count)
    ]
    made: list[Delivery] = Delivery.unscoped.bulk_create(rows, batch_size=5000)
    return made


def send_all(*, clock: Callable[[], dt.datetime] = timezone.now, seconds: float = 30.0) -> None:
    """Let a sender run until nothing is due. It has a database connection of its own: the test must commit."""

    async def run() -> None:
        await Sender(clock=clock).run(asyncio.Event(), until_empty=True, seconds=seconds)

    asyncio.run(run())


def fresh(delivery: Delivery | UUID) -> Delivery:
    """The message as the database has it."""
    pk = delivery.pk if isinstance(delivery, Delivery) else delivery
    row: Delivery = Delivery.unscoped.get(pk=pk)
    return row


def beside(*calls: Callable[[], Any]) -> list[Any]:
    """Do these at a time, each with a database connection of its own; gives what they gave."""

    def call(one: Callable[[], Any]) -> Any:
        try:
            return one()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as crew:
        return [done.result() for done in [crew.submit(call, one) for one in calls]]
