"""A program that records events and never gives up: `python -m tickets.webhooks.tests.writer COUNT URL`."""

import sys
import time

import django

if __name__ == "__main__":
    django.setup()

from django.db import Error, connection, transaction
from django.utils import timezone

from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets import timeline
from tickets.events import SYSTEM, Event
from tickets.tests.factories import make_agent, make_ticket
from tickets.webhooks.services import endpoints

AT_ONCE = 20


def write(count: int, url: str) -> None:
    """Make an endpoint, then record `count` events for it, a few in each transaction, as long as it takes."""
    workspace = WorkspaceFactory()
    endpoints.create(
        workspace=workspace, url=url, events=["ticket.unassigned"], by=make_agent(workspace), now=timezone.now()
    )
    ticket = make_ticket(workspace)
    written = 0
    while written < count:
        try:
            with transaction.atomic(), timeline.together():
                for _ in range(AT_ONCE):
                    timeline.record(ticket=ticket, event=Event.UNASSIGNED, actor=SYSTEM, now=timezone.now())
        except Error:  # the database is away: what was not committed is written again
            connection.close()
            time.sleep(0.1)
            continue
        written += AT_ONCE
        time.sleep(0.02)


if __name__ == "__main__":
    write(int(sys.argv[1]), sys.argv[2])
