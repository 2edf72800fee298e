"""What webhooks say of a rating."""

import json

import pytest
from django.utils import timezone

from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.services import requests
from portal.tests.factories import finish, make_request
from tickets.models import CustomerToken
from tickets.webhooks import payloads
from tickets.webhooks.models import Delivery
from tickets.webhooks.services import fanout
from tickets.webhooks.tests.rows import NOW, make_endpoint

pytestmark = pytest.mark.django_db


def test_a_rating_is_told_and_no_message_gives_away_the_customers_link():
    workspace, now = WorkspaceFactory(), timezone.now()
    endpoint = make_endpoint(workspace, now=NOW)
    ticket, token = make_request(workspace, now=now)
    ticket = finish(ticket, "resolved", now=now)
    requests.rate_request(ticket=ticket, contact=ticket.requester, rating=4, feedback="Quick.", now=now)
    while fanout.follow(now=now):
        pass
    rows = Delivery.unscoped.filter(endpoint=endpoint).order_by("message_id")
    said = json.loads(rows.get(event="ticket.satisfaction.submitted").body)
    assert said["data"] == {
        "ticket_id": str(ticket.pk),
        "ticket_number": f"#{ticket.number}",
        "subject": ticket.subject,
        "priority": ticket.priority,
        "feedback": "Quick.",
        "rating": 4,
    }
    assert set(said["data"]) == set(payloads.CATALOGUE["ticket.satisfaction.submitted"].example)
    bodies = "".join(rows.values_list("body", flat=True))
    assert "ticket.created" in bodies
    assert token not in bodies
    assert CustomerToken.unscoped.get(ticket=ticket).token_hash not in bodies
