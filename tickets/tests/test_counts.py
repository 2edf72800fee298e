"""Kept totals are exact whatever happens, and have no hidden cap."""

import random
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import DomainError
from tickets.models import Ticket, TicketCount
from tickets.models.counting import fold, kept_counts, queue_counts, total
from tickets.services import base, editing, merging
from tickets.tests.factories import NOW, CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


def compare(workspace):
    """Every cell of both facets against a count of the tickets themselves."""
    rows = list(
        Ticket.objects.for_workspace(workspace)
        .live()
        .values_list("status", "priority", "is_new", "assignee_id", "category_id")
    )
    for facet, index in (("assignee", 3), ("category", 4)):
        kept = kept_counts(workspace.pk).filter(facet=facet)
        assert kept.aggregate(n=total(Q()))["n"] == len(rows)
        for status in ("open", "pending", "resolved", "closed"):
            for key in {row[index] for row in rows} | {None}:
                expected = sum(1 for row in rows if row[0] == status and row[index] == key)
                assert kept.aggregate(n=total(Q(status=status, key=key)))["n"] == expected
        expected_new = sum(1 for row in rows if row[2])
        assert kept.aggregate(n=total(Q(is_new=True)))["n"] == expected_new


def test_totals_stay_exact_through_two_hundred_random_changes():
    workspace, chance = WorkspaceFactory(), random.Random(7)
    agents = [make_agent(workspace) for _ in range(3)]
    categories = [CategoryFactory(workspace=workspace) for _ in range(3)]
    tickets = [make_ticket(workspace) for _ in range(12)]
    changes: dict[str, Any]
    for step in range(200):
        ticket, member = chance.choice(tickets), chance.choice(agents)
        actor = base.agent(member)
        try:
            match chance.randrange(6):
                case 0:
                    tickets.append(make_ticket(workspace))
                case 1:
                    changes = {"status": chance.choice(["open", "pending", "resolved", "closed"])}
                    editing.update_ticket(ticket=ticket, changes=changes, actor=actor, now=NOW)
                case 2:
                    changes = {
                        "assignee_id": chance.choice([None, member.user_id]),
                        "category_id": chance.choice([None, *[c.pk for c in categories]]),
                        "priority": chance.choice(["low", "urgent"]),
                    }
                    editing.update_ticket(ticket=ticket, changes=changes, actor=actor, now=NOW)
                case 3:
                    make_reply(ticket, member)
                case 4:
                    if chance.random() < 0.3:
                        editing.trash(ticket=ticket, actor=actor, now=NOW)
                    else:
                        editing.restore(workspace_id=workspace.pk, ticket_id=ticket.pk, actor=actor, now=NOW)
                case 5:
                    merging.merge(source=ticket, target_id=chance.choice(tickets).pk, actor=actor, now=NOW)
        except DomainError:
            pass  # a refused step changes nothing, which is checked all the same
        if step % 50 == 49:
            compare(workspace)
    before = TicketCount.unscoped.count()
    assert fold() > 0
    assert TicketCount.unscoped.count() < before
    compare(workspace)


def test_the_sidebar_counts_tickets_in_work():
    workspace = WorkspaceFactory()
    maria = make_agent(workspace)
    make_ticket(workspace, assignee_id=maria.user_id)
    make_ticket(workspace)
    make_reply(make_ticket(workspace), maria, then="resolved")
    make_ticket(WorkspaceFactory())
    assert queue_counts(workspace.pk, maria.user_id) == {"mine": 1, "unassigned": 1, "all": 2}


def test_rows_that_were_written_by_other_means_are_counted_too():
    workspace = WorkspaceFactory()
    make_ticket(workspace)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets SET priority = 'low'")
    compare(workspace)
