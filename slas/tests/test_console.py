"""What agents see of the service levels: rows, the filter, the ticket, and why."""

import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.services import sweep, tracking
from slas.tests.factories import at, make_hours, make_policy
from tickets import deadlines
from tickets.events import SYSTEM
from tickets.filters import SLA_WORDS, TicketFilter
from tickets.models import Ticket
from tickets.services import editing, status
from tickets.templatetags.deadline_tags import badge, duration, in_hours, row_badges
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    make_policy(made, business_hours_only=False)
    return made


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace, user__name="Maria Rossi")


@pytest.fixture
def console(client: Client, maria: Membership) -> Client:
    client.force_login(maria.user)
    return client


def hours_ago(hours: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(hours=hours)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip().replace(" ,", ",")


def row_of(workspace: Workspace, ticket: Ticket, now: dt.datetime) -> str:
    ticket.refresh_from_db()
    return words(row_badges(ticket.sla, now))


class TestRow:
    def test_says_the_time_left_for_the_response_and_for_the_resolution(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        assert row_of(workspace, ticket, at(0, "10:00")) == (
            "First response: On track, 1 h 00 m left Resolution: On track, 7 h 00 m left"
        )

    @pytest.mark.parametrize(
        ("time", "said"),
        [
            ("10:40", "First response: At risk, At risk, 20 m"),
            ("11:14", "First response: Breached, Breached 14 m"),
        ],
    )
    def test_says_at_risk_and_breached_in_words(self, workspace: Workspace, time: str, said: str) -> None:
        assert row_of(workspace, make_ticket(workspace, now=at(0, "09:00")), at(0, time)).startswith(said)

    def test_says_paused_met_and_late(self, workspace: Workspace, maria: Membership) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(ticket, maria, now=at(0, "10:00"), then="pending")
        assert row_of(workspace, ticket, at(3)) == "First response: Met, Met Resolution: Paused, Paused, 7 h 00 m"
        late = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(late, maria, now=at(0, "11:20"))
        assert row_of(workspace, late, at(0, "12:00")).startswith("First response: Breached, Late by 20 m")

    def test_the_response_is_the_next_one_once_the_first_was_given(
        self, workspace: Workspace, maria: Membership
    ) -> None:
        from tickets.services import conversation

        ticket = make_ticket(workspace, now=at(0, "09:00"))
        make_reply(ticket, maria, now=at(0, "10:00"))
        conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="?", channel="portal", now=at(0, "11:00")
        )
        assert row_of(workspace, ticket, at(0, "12:00")).startswith("Next response: On track, 3 h 00 m left")

    def test_where_nothing_is_promised_nothing_is_said(self) -> None:
        ticket = make_ticket(WorkspaceFactory())
        assert words(row_badges(ticket.sla, at(0))) == ""

    @pytest.mark.parametrize(
        ("seconds", "said"), [(30, "<1 m"), (20 * 60, "20 m"), (11100, "3 h 05 m"), (187200, "2 d 4 h"), (-60, "1 m")]
    )
    def test_durations(self, seconds: int, said: str) -> None:
        assert duration(dt.timedelta(seconds=seconds)) == said

    @pytest.mark.parametrize(("seconds", "said"), [(0, "0 m"), (45, "45 s"), (5400, "1 h 30 m"), (259200, "72 h")])
    def test_targets(self, seconds: int, said: str) -> None:
        assert in_hours(dt.timedelta(seconds=seconds)) == said

    def test_the_browser_has_what_it_needs_to_go_on_counting(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        ticket.refresh_from_db()
        first = deadlines.read(ticket.sla)[0]
        html = badge(first, at(0, "09:30"))
        assert 'data-due="2024-03-04T11:00:00+00:00"' in html and 'data-risk="2024-03-04T10:30:00+00:00"' in html
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=at(0, "10:00"))
        ticket.refresh_from_db()
        assert "data-due" not in row_badges(ticket.sla, at(0, "10:00"))


class TestFilter:
    def found(self, maria: Membership, query: str, now: dt.datetime) -> set[str]:
        tickets = TicketFilter(QueryDict(query), workspace=maria.workspace, user=maria.user, now=now)
        assert tickets.is_valid(), tickets.errors
        return {ticket.subject for ticket in tickets.qs}

    @pytest.fixture
    def now(self, workspace: Workspace, maria: Membership) -> dt.datetime:
        """One ticket in every state at noon."""
        make_ticket(workspace, subject="on_track", now=at(0, "11:00"))
        make_ticket(workspace, subject="at_risk", now=at(0, "10:20"))
        make_ticket(workspace, subject="breached", now=at(0, "09:00"))
        late = make_ticket(workspace, subject="answered late", now=at(0, "08:00"))
        make_reply(late, maria, now=at(0, "11:00"))
        paused = make_ticket(workspace, subject="paused", now=at(0, "10:00"))
        make_reply(paused, maria, now=at(0, "10:30"), then="pending")
        met = make_ticket(workspace, subject="met", now=at(0, "10:00"))
        make_reply(met, maria, now=at(0, "10:30"), then="resolved")
        return at(0, "12:00")

    def test_finds_each_state_with_and_without_a_sweep(
        self, workspace: Workspace, maria: Membership, now: dt.datetime
    ) -> None:
        expected = {word: {word} for word in SLA_WORDS} | {
            "breached": {"breached", "answered late"},
            "on_track": {"on_track", "answered late"},  # its resolution is
        }
        for _ in range(2):
            assert {word: self.found(maria, f"sla={word}", now) for word in SLA_WORDS} == expected
            sweep.sweep_all(now=now)
        assert self.found(maria, "sla=paused,met&status=resolved", now) == {"met"}

    def test_says_what_the_tickets_themselves_say(self, maria: Membership, now: dt.datetime) -> None:
        for hours in (0, 1, 5, 30):
            later = now + dt.timedelta(hours=hours)
            for ticket in Ticket.unscoped.all():
                state = deadlines.state(deadlines.read(ticket.sla), later)
                assert state and ticket.subject in self.found(maria, f"sla={state.value}", later)

    def test_refuses_a_word_that_is_none(self, console: Client) -> None:
        answer = console.get("/tickets/view/all?sla=late")
        assert answer.status_code == 400 and "These filters cannot be used" in answer.content.decode()

    def test_stands_on_the_queue_and_in_a_saved_view(self, console: Client, workspace: Workspace) -> None:
        make_ticket(workspace, subject="Overdue", now=hours_ago(30))
        make_ticket(workspace, subject="Fresh", now=hours_ago(0.1))
        page = console.get("/tickets/view/all?sla=breached").content.decode()
        assert "Overdue" in page and "Fresh" not in page
        console.post("/tickets/view/all/save", {"name": "Burning", "query": "sla=breached"})
        assert "sla=breached" in console.get("/tickets/view/all").content.decode()

    def test_the_queue_can_be_in_the_order_of_the_deadlines(self, console: Client, workspace: Workspace) -> None:
        for subject, hours in (("second", 1), ("third", 0.5), ("first", 30)):
            make_ticket(workspace, subject=subject, now=hours_ago(hours))
        page = console.get("/tickets/view/all?sort=deadline").content.decode()
        assert sorted(("first", "second", "third"), key=page.index) == ["first", "second", "third"]


class TestPages:
    def queries(self, client: Client, url: str) -> int:
        client.get(url)
        with CaptureQueriesContext(connection) as seen:
            assert client.get(url).status_code == 200
        return len(seen)

    def test_keep_their_query_counts_with_service_levels_shown(
        self, console: Client, workspace: Workspace, maria: Membership
    ) -> None:
        from tickets.tests.api import Api

        ticket = make_ticket(workspace, now=hours_ago(1))
        page = reverse("tickets:ticket", args=[ticket.pk])
        for count in (1, 25):
            for _ in range(count):
                make_reply(make_ticket(workspace, now=hours_ago(3)), maria, now=hours_ago(2))
            assert self.queries(console, "/tickets/view/all?sla=breached,on_track&sort=deadline&search=log") <= 8
            assert self.queries(console, page) <= 14
            assert self.queries(console, reverse("slas:why", args=[ticket.pk])) <= 10
            with CaptureQueriesContext(connection) as seen:
                answer = Api(maria).get("/tickets?sla=breached,on_track").json()
            assert len(seen) <= 4 and answer["tickets"][0]["sla"]["state"]

    def test_a_ticket_says_its_clocks_its_policy_and_where_the_reasons_are(
        self, console: Client, workspace: Workspace
    ) -> None:
        ticket = make_ticket(workspace, now=hours_ago(1.6))
        page = console.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert "Time left" in page and "At risk, 23 m" in page and "Nine to six" in page
        assert reverse("slas:why", args=[ticket.pk]) in page

    def test_why_shows_spans_that_add_up(self, console: Client, workspace: Workspace) -> None:
        make_policy(workspace, name="Office", is_default=True)
        ticket = make_ticket(workspace, now=hours_ago(100))
        status.change_status(ticket=ticket, to="pending", actor=SYSTEM, now=hours_ago(90))
        status.change_status(ticket=ticket, to="open", actor=SYSTEM, now=hours_ago(50))
        page = words(console.get(reverse("slas:why", args=[ticket.pk])).content.decode())
        assert "Counted" in page and "Outside business hours" in page and "Waiting for the customer" in page
        assert page.count("Together") == 2
        assert "Together 2 h of 2 h" in page and "Together 8 h of 8 h" in page

    def test_why_of_another_workspace_is_not_there(self, console: Client) -> None:
        ticket = make_ticket(WorkspaceFactory())
        assert console.get(reverse("slas:why", args=[ticket.pk])).status_code == 404

    def test_why_of_a_ticket_without_a_policy_says_so(self, client: Client) -> None:
        member = make_agent(WorkspaceFactory())
        client.force_login(member.user)
        ticket = make_ticket(member.workspace)
        page = client.get(reverse("slas:why", args=[ticket.pk])).content.decode()
        assert "No SLA policy applies to this ticket." in page
        assert "Time left" not in client.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()

    def test_a_calendar_that_never_opens_is_said_and_nothing_hangs(self, console: Client, workspace: Workspace) -> None:
        hours = make_hours(workspace, name="Never", schedule={})
        make_policy(workspace, name="Never", business_hours_id=hours.pk)
        ticket = make_ticket(workspace, now=hours_ago(1))
        page = console.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert "No deadline" in page and "never open" in page
        assert "never open" in console.get(reverse("slas:why", args=[ticket.pk])).content.decode()

    def test_times_are_in_the_readers_timezone(self, console: Client, workspace: Workspace, maria: Membership) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        maria.user.timezone = "Asia/Kolkata"
        maria.user.save()
        page = console.get(reverse("slas:why", args=[ticket.pk])).content.decode()
        assert "4 Mar 2024, 16:30" in page  # 11:00 UTC

    def test_a_breach_stands_in_the_conversation_in_words(self, console: Client, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=hours_ago(30))
        sweep.sweep_all(now=timezone.now())
        page = words(console.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode())
        assert "noticed that the first response is overdue" in page


class TestEtag:
    def test_a_deadline_that_passes_gives_the_ticket_another_etag(
        self, workspace: Workspace, maria: Membership, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tickets.tests.api import Api

        api, ticket = Api(maria), make_ticket(workspace, now=hours_ago(0.5))
        path = f"/tickets/{ticket.pk}"
        fresh = api.get(path)
        assert api.get(path, If_None_Match=fresh["ETag"]).status_code == 304
        later = timezone.now() + dt.timedelta(hours=4)
        monkeypatch.setattr("helpdesk.api.views.timezone.now", lambda: later)
        passed = api.get(path, If_None_Match=fresh["ETag"])
        assert passed.status_code == 200 and passed.json()["sla"]["first_response"]["state"] == "breached"
        assert passed["ETag"] == '"1-2"'
        # The version alone decides whether a change is lost.
        assert api.put(path, {"priority": "low"}, If_Match=fresh["ETag"]).status_code == 200
        assert api.put(path, {"priority": "high"}, If_Match=passed["ETag"]).status_code == 412

    def test_reckoning_anew_in_the_background_counts_as_a_change(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=hours_ago(1))
        tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=timezone.now())
        ticket.refresh_from_db()
        assert ticket.version == 1
        make_policy(workspace, name="Other", first_response_hours=1, business_hours_only=False)
        tracking.retrack(workspace_id=workspace.pk, ticket_ids=[ticket.pk], now=timezone.now())
        before = ticket.updated_at
        ticket.refresh_from_db()
        assert (ticket.version, ticket.updated_at) == (2, before)

    def test_a_change_counts_once_though_it_moves_clocks(self, workspace: Workspace) -> None:
        ticket = make_ticket(workspace, now=hours_ago(1))
        editing.update_ticket(ticket=ticket, changes={"priority": "low"}, actor=SYSTEM, now=timezone.now())
        ticket.refresh_from_db()
        assert ticket.version == 2
