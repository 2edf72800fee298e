"""Macros in the console: from a ticket's page, and on the tickets that are selected in a list."""

import re
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.automation.models import Macro
from tickets.automation.tests.factories import make_macro
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import status
from tickets.tests.api import UNKNOWN, nothing_written, unchanged
from tickets.tests.factories import make_agent, make_ticket

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
NOTE: dict[str, Any] = {"do": "add_note", "body": "Call them."}
PENDING: dict[str, Any] = {"do": "set_status", "status": "pending"}


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def console(workspace: Workspace) -> Client:
    return signed_in(make_agent(workspace, user__name="Maria Rossi"))


@pytest.fixture
def macro(workspace: Workspace) -> Macro:
    return make_macro(workspace, NOTE, PENDING, name="Wait & see", description="When we asked them something")


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_ticket(workspace)


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def close(ticket: Ticket) -> None:
    status.resolve_and_close(ticket=ticket, actor=SYSTEM, now=ticket.created_at)


def run(client: Client, ticket: Ticket, macro: Any, query: str = "", **extra: Any) -> Any:
    return client.post(reverse("automation:macro-run", args=[ticket.pk, macro]) + query, **extra)


def run_on_many(client: Client, *tickets: Any, macro: Any = None, kept: str = "view=all&search=x") -> Any:
    data = {"ticket": [getattr(one, "pk", one) for one in tickets], "kept": kept}
    return client.post(reverse("automation:macros-run"), data | ({"macro": macro} if macro else {}))


def said(answer: Any) -> str:
    """The last message; those before it wait for a page that shows them."""
    return [str(message) for message in get_messages(answer.wsgi_request)][-1]


class TestOnATicket:
    def test_the_menu_says_what_each_will_do(
        self, console: Client, workspace: Workspace, macro: Macro, ticket: Ticket
    ) -> None:
        make_macro(workspace, NOTE, name="Off", is_active=False)
        make_macro(WorkspaceFactory(), NOTE, name="Foreign")
        for number in range(7):
            make_macro(workspace, NOTE, name=f"More {number}")
        url = reverse("automation:ticket-macros", args=[ticket.pk])
        part = console.get(f"{url}?view=mine", headers=HTMX).content.decode()
        assert "<html" not in part and "Wait &amp; see" in part
        assert "Add the note “Call them.” · Set the status to pending" in part
        assert 'title="When we asked them something"' in part
        assert f"/macros/{macro.pk}/run?view=mine" in part
        assert "Off" not in part and "Foreign" not in part
        assert "data-macro-search" in part
        page = console.get(url).content.decode()
        assert "<html" in page and "<li>Set the status to pending</li>" in page and "data-macro-search" not in page

    def test_without_macros_it_says_what_they_are(self, console: Client, ticket: Ticket) -> None:
        url = reverse("automation:ticket-macros", args=[ticket.pk])
        assert "No macros yet" in console.get(url, headers=HTMX).content.decode()
        assert "No macros yet" in console.get(url).content.decode()

    def test_the_menu_costs_the_same_for_any_number(
        self, console: Client, workspace: Workspace, ticket: Ticket, django_assert_num_queries: Any
    ) -> None:
        for _ in range(9):
            make_macro(workspace, {"do": "set_team", "team_id": str(TeamFactory(workspace=workspace).pk)})
        url = reverse("automation:ticket-macros", args=[ticket.pk])
        console.get(url)
        with django_assert_num_queries(6):  # session, user, places; ticket, macros, teams
            console.get(url, headers=HTMX)
        with django_assert_num_queries(8):  # choices and counts of the shell
            console.get(url)
        with django_assert_num_queries(5):
            console.get(reverse("automation:macros"), headers=HTMX)

    def test_running_it_says_what_was_done(self, console: Client, macro: Macro, ticket: Ticket) -> None:
        answer = run(console, ticket, macro.pk, "?view=unassigned")
        assert answer.status_code == 302
        assert answer.url == reverse("tickets:ticket", args=[ticket.pk]) + "?view=unassigned"
        assert said(answer) == "Wait & see: note added, status pending."
        ticket.refresh_from_db()
        assert ticket.status == "pending"

    def test_htmx_gets_the_parts_that_changed(self, console: Client, macro: Macro, ticket: Ticket) -> None:
        answer = run(console, ticket, macro.pk, headers=HTMX)
        parts = answer.content.decode()
        assert answer.status_code == 200 and "<html" not in parts
        assert 'id="ticket-header"' in parts and "Call them." in parts
        assert "Wait &amp; see: note added, status pending." in parts

    def test_a_refusal_names_the_action(self, console: Client, macro: Macro, ticket: Ticket) -> None:
        close(ticket)
        with nothing_written(), unchanged(Macro):
            answer = run(console, ticket, macro.pk, headers=HTMX)
        assert answer.status_code == 409
        assert "Set the status: A ticket that is closed cannot become pending." in answer.content.decode()

    def test_one_that_is_gone_is_said_to_be(self, console: Client, ticket: Ticket) -> None:
        foreign = make_macro(WorkspaceFactory(), NOTE)
        with nothing_written(), unchanged(Macro):
            for pk in (foreign.pk, UNKNOWN):
                assert said(run(console, ticket, pk)) == "There is no such macro."

    def test_light_agents_are_not_offered_any(self, workspace: Workspace, macro: Macro, ticket: Ticket) -> None:
        light = signed_in(make_agent(workspace, role="light"))
        page = light.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert reverse("automation:ticket-macros", args=[ticket.pk]) not in page
        with nothing_written(), unchanged(Macro):
            assert run(light, ticket, macro.pk).status_code == 403


class TestInAList:
    def test_rows_can_be_selected_by_who_may_work(self, console: Client, workspace: Workspace, ticket: Ticket) -> None:
        box = rf'<input type="checkbox" name="ticket" value="{ticket.pk}" form="bulk" aria-label="Select #1001">'
        url = reverse("tickets:queue", args=["all"])
        page = console.get(url).content.decode()
        assert box in page and 'id="bulk"' in page
        light = signed_in(make_agent(workspace, role="light")).get(url).content.decode()
        assert 'form="bulk"' not in light and 'id="bulk"' not in light
        beside = console.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert 'form="bulk"' not in beside and 'id="bulk"' not in beside

    def test_the_menu_submits_the_form_of_the_list(self, console: Client, macro: Macro) -> None:
        part = console.get(reverse("automation:macros"), headers=HTMX).content.decode()
        assert f'name="macro" value="{macro.pk}"' in part and "hx-post" not in part and "<form" not in part
        assert "No ticket is selected" in console.get(reverse("automation:macros")).content.decode()

    def test_all_done_leads_back_to_the_list(self, console: Client, workspace: Workspace, macro: Macro) -> None:
        tickets = [make_ticket(workspace) for _ in range(2)]
        answer = run_on_many(console, *tickets, macro=macro.pk, kept="view=unassigned&priority=high&page=2")
        assert answer.status_code == 302
        assert answer.url == reverse("tickets:queue", args=["unassigned"]) + "?view=unassigned&priority=high&page=2"
        assert said(answer) == "Wait & see: done on 2 tickets."
        macro.refresh_from_db()
        assert macro.usage_count == 2
        assert said(run_on_many(console, make_ticket(workspace), macro=macro.pk)) == "Wait & see: done on 1 ticket."

    def test_each_that_was_refused_is_named_with_the_reason(
        self, console: Client, workspace: Workspace, macro: Macro, ticket: Ticket
    ) -> None:
        finished = [make_ticket(workspace, subject=f"Finished <{n}>") for n in range(2)]
        for one in finished:
            close(one)
        foreign = make_ticket(WorkspaceFactory(), subject="Secret")
        answer = run_on_many(console, ticket, *finished, foreign, macro=macro.pk)
        page = answer.content.decode()
        assert answer.status_code == 200 and "done on 1 of 4 tickets" in page
        assert "Finished &lt;0&gt;" in page and "Finished &lt;1&gt;" in page and "Secret" not in page
        assert page.count("Set the status: A ticket that is closed cannot become pending.") == 2
        assert page.count("There is no such ticket.") == 1
        assert f"{reverse('tickets:ticket', args=[finished[0].pk])}?view=all&amp;search=x" in page
        ticket.refresh_from_db()
        assert ticket.status == "pending"

    def test_without_a_macro_it_asks_which(
        self, console: Client, workspace: Workspace, macro: Macro, ticket: Ticket
    ) -> None:
        other = make_ticket(workspace)
        with nothing_written(), unchanged(Macro):
            page = run_on_many(console, ticket, other).content.decode()
        assert "Run a macro on 2 tickets" in page and f'name="macro" value="{macro.pk}"' in page
        assert re.findall(r'name="ticket" value="([^"]+)"', page)[0] == str(ticket.pk)
        assert 'name="kept" value="view=all&amp;search=x"' in page

    def test_what_makes_no_sense_is_said_and_does_nothing(
        self, console: Client, workspace: Workspace, macro: Macro, ticket: Ticket
    ) -> None:
        off = make_macro(workspace, NOTE, name="Off", is_active=False)
        many = [ticket, *(UNKNOWN.replace("0000", f"{n:04}") for n in range(100))]
        with nothing_written(), unchanged(Macro):
            assert said(run_on_many(console, macro=macro.pk)) == "Select the tickets first, then choose a macro."
            assert said(run_on_many(console, "x", macro=macro.pk)) == "There is no such ticket or macro."
            assert said(run_on_many(console, ticket, macro="x")) == "There is no such ticket or macro."
            assert said(run_on_many(console, ticket, macro=UNKNOWN)) == "There is no such macro."
            assert said(run_on_many(console, ticket, macro=off.pk)) == "The macro “Off” is switched off."
            assert said(run_on_many(console, *many, macro=macro.pk)) == "Name 1 to 100 tickets."

    @pytest.mark.parametrize("kept", ["view=//evil.example", "view=trash", "", "=&%00", "next=https://evil.example"])
    def test_it_leads_back_to_our_own_lists_only(
        self, console: Client, ticket: Ticket, macro: Macro, kept: str
    ) -> None:
        answer = run_on_many(console, ticket, macro=macro.pk, kept=kept)
        assert answer.status_code == 302 and answer.url.startswith("/tickets/view/all")
