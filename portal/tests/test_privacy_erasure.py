"""A customer is erased: nothing of them is left anywhere, and everything that counts still counts."""

from typing import Any

import pytest
from django.db.models import Count, Sum
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import Satisfaction
from portal.tests.privacy_rows import (
    ADDRESS,
    HIDDEN,
    MARKERS,
    OTHER,
    WORD,
    Planted,
    erase,
    files_with,
    rows_with,
)
from tickets.models import Activity, Comment, Ticket, TicketCount

NOW = timezone.now().replace(microsecond=0)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme", slug="acme")


def figures(workspace: Workspace) -> dict[str, Any]:
    """What statistics are made of."""
    tickets = Ticket.unscoped.filter(workspace=workspace)
    facts = ("number", "status", "priority", "channel", "created_at", "resolved_at", "first_response_at", "sla_state")
    return {
        "tickets": sorted(tickets.values_list(*facts), key=str),
        "updated": sorted(tickets.values_list("number", "updated_at")),
        "choices": sorted(str(row.get("a_choice")) for row in tickets.values_list("custom_fields", flat=True)),
        "comments": sorted(
            Comment.unscoped.filter(workspace=workspace).values_list("id", "ticket_id", "author_type", "created_at")
        ),
        "ratings": sorted(Satisfaction.unscoped.filter(workspace=workspace).values_list("id", "rating", "created_at")),
        "activities": sorted(
            Activity.unscoped.filter(workspace=workspace).values_list(
                "id", "event", "occurred_at", "actor_kind", "actor_user_id", "actor_contact_id", "cause_id"
            ),
            key=str,
        ),
        "totals": sorted(
            TicketCount.unscoped.filter(workspace=workspace)
            .values_list("facet", "key", "status", "priority")
            .annotate(total=Sum("tickets"))
            .exclude(total=0),
            key=str,
        ),
        "customers": Contact.unscoped.filter(workspace=workspace).aggregate(n=Count("pk"))["n"],
    }


@pytest.mark.django_db(transaction=True)
class TestEverything:
    def test_no_trace_is_left_in_any_table_or_file_and_every_figure_stays(self, workspace):
        planted = Planted(workspace, NOW)
        before = figures(workspace)
        assert len({row.partition(":")[0] for row in rows_with(*MARKERS)}) >= 25, "too little was planted"
        assert len(files_with(WORD, ADDRESS)) >= 8
        request = erase(planted)
        assert (request.status, request.error) == ("done", "")
        assert rows_with(*MARKERS) == []
        assert files_with(*MARKERS) == []
        assert figures(workspace) == before
        assert rows_with(HIDDEN), "notes of agents stay"
        assert rows_with(OTHER), "other people stay"
