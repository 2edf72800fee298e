"""What webhooks say of service levels: the specification's payload."""

from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.services import sweep
from slas.tests.factories import SET_UP, at, make_policy
from tickets.tests.factories import make_ticket
from tickets.webhooks import payloads
from tickets.webhooks.models import Delivery
from tickets.webhooks.services import fanout
from tickets.webhooks.tests.rows import make_endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.mark.parametrize(("event", "time"), [("ticket.sla.at_risk", "10:30"), ("ticket.sla.breached", "11:00")])
def test_a_deadline_is_told_as_the_specification_prints_it_at_its_true_time(
    workspace: Workspace, event: str, time: str
) -> None:
    policy = make_policy(workspace)
    endpoint = make_endpoint(workspace, now=SET_UP, events=[event])
    ticket = make_ticket(workspace, now=at(0, "09:00"))
    sweep.sweep_all(now=at(0, "10:45"))
    sweep.sweep_all(now=at(0, "14:30"))
    while fanout.follow(now=at(0, "14:30")):
        pass
    row = Delivery.unscoped.get(endpoint=endpoint)
    assert row.body == (
        f'{{"event":"{event}","timestamp":"2024-03-04T{time}:00Z","data":{{'
        f'"ticket_id":"{ticket.pk}","ticket_number":"#{ticket.number}",'
        f'"breach_type":"first_response","sla_policy_id":"{policy.pk}"}}}}'
    )
    assert set(payloads.CATALOGUE[event].example) == {"ticket_id", "ticket_number", "breach_type", "sla_policy_id"}
