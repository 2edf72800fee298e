"""How a customer rates the help that they got."""

import datetime as dt
from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from portal.models import Satisfaction
from portal.services.requests import rate_request
from tickets.automation.tests.factories import make_rule, run_rules, runs_of
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import status
from tickets.tests.factories import NOW, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def resolved(workspace: Workspace) -> Ticket:
    ticket = make_ticket(workspace)
    return status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)


def rate(ticket: Ticket, rating: Any = 4, now: dt.datetime = NOW, **given: Any) -> Satisfaction:
    return rate_request(**{"ticket": ticket, "contact": ticket.requester, "rating": rating, "now": now} | given)


def events(ticket: Ticket) -> list[Any]:
    rows = ticket.activities.filter(event="ticket.satisfaction.submitted").order_by("pk")
    return [activity.payload["data"] for activity in rows]


def test_a_rating_is_kept_and_told(resolved: Ticket) -> None:
    given = rate(resolved, 2, feedback="Too slow")
    assert (given.rating, given.feedback, given.resolved_at, given.created_at) == (2, "Too slow", NOW, NOW)
    (told,) = events(resolved)
    assert (told["rating"], told["feedback"], told["ticket_id"]) == (2, "Too slow", str(resolved.pk))


def test_there_is_one_for_each_resolution_changeable_for_14_days(resolved: Ticket) -> None:
    rate(resolved, 2)
    rate(resolved, 2)  # the same once more
    assert rate(resolved, 5, NOW + dt.timedelta(days=14)).rating == 5
    with pytest.raises(Conflict):
        rate(resolved, 1, NOW + dt.timedelta(days=14, seconds=1))
    assert [told["rating"] for told in events(resolved)] == [2, 5] and Satisfaction.unscoped.count() == 1
    later = NOW + dt.timedelta(days=1)
    for word in ("open", "resolved"):
        status.change_status(ticket=resolved, to=word, actor=SYSTEM, now=later)
    rate(resolved, 3, later)
    assert sorted(Satisfaction.unscoped.values_list("rating", flat=True)) == [3, 5]


@pytest.mark.parametrize("rating", [0, 6, 2.5, True, "5", None])
def test_only_whole_numbers_from_1_to_5(resolved: Ticket, rating: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        rate(resolved, rating)
    assert list(refused.value.errors) == ["rating"] and not Satisfaction.unscoped.exists() and not events(resolved)


def test_neither_what_is_in_work_nor_by_a_stranger(workspace: Workspace, resolved: Ticket) -> None:
    with pytest.raises(Conflict):
        rate(make_ticket(workspace))
    with pytest.raises(NotFound):
        rate(resolved, contact=ContactFactory(workspace=workspace))
    assert not Satisfaction.unscoped.exists()


def test_a_bad_rating_pulls_the_rule_that_waits_for_it(workspace: Workspace, resolved: Ticket) -> None:
    bad = {"all": [{"field": "rating", "is": [1, 2]}]}
    make_rule(workspace, {"do": "escalate"}, triggers=["satisfaction_rated"], conditions=bad)
    rate(resolved, 5)
    assert run_rules(resolved) == 0
    rate(resolved, 1)
    assert run_rules(resolved) == 1 and runs_of(resolved)[0].reasons == ["rating is 1 or 2"]
