"""Macros in a real browser: from a ticket, on several tickets of a list, and where no script runs.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.automation.models import Macro
from tickets.automation.tests.factories import make_macro
from tickets.events import SYSTEM
from tickets.models import Comment, Ticket
from tickets.services import status
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SUBJECTS = [
    "The invoice of March is wrong",
    "Cannot log in since the update",
    "Please delete my account",
    "Two charges for one order",
    "How do I add a colleague?",
]


@pytest.fixture
def workspace() -> Any:
    made = WorkspaceFactory(name="Acme", slug="acme")
    maria = make_agent(made, role="agent", user__name="Maria Rossi", user__email="maria@acme.example")
    billing = TeamFactory(workspace=made, name="Billing")
    now = timezone.now()
    for subject in SUBJECTS:
        make_ticket(made, now=now, subject=subject)
    make_reply(Ticket.objects.for_workspace(made).get(number=1001), maria, now, body="Let me look at it.")
    make_macro(
        made,
        {"do": "set_team", "team_id": str(billing.pk)},
        {"do": "set_priority", "priority": "high"},
        {"do": "add_tags", "tags": ["billing"]},
        {"do": "add_note", "body": "Handed to Billing. Please check the last two invoices before you answer."},
        name="Hand to Billing",
        description="Anything about invoices and charges",
    )
    make_macro(
        made, {"do": "set_status", "status": "pending"}, {"do": "add_watcher", "user_id": str(maria.user_id)},
        name="Wait for the customer",
    )  # fmt: skip
    make_macro(made, {"do": "escalate"}, {"do": "add_note", "body": "Escalated."}, name="Escalate")
    return made


def test_from_a_ticket(live_server: Any, open_browser: Any, workspace: Any) -> None:
    ticket = Ticket.objects.for_workspace(workspace).get(number=1001)
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}?view=unassigned")
    page.get_by_label("Message", exact=True).fill("I am just writing this")
    header = page.locator("#ticket-header")
    header.get_by_title("Macros").click()
    button = header.get_by_role("button", name="Hand to Billing")
    expect(button).to_be_focused()  # the first one
    expect(button).to_have_attribute("hx-post", re.compile(r"/run\?view=unassigned$"))
    accessible(page)
    picture(page, "macros-1-menu")
    page.keyboard.press("Enter")
    toast = page.get_by_text("Hand to Billing: given to team Billing, priority high, tags billing, note added.")
    expect(toast).to_be_visible()
    expect(page.locator("#conversation")).to_contain_text("Handed to Billing.")
    expect(header.get_by_text("High")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("I am just writing this")
    expect(header.get_by_title("Macros")).to_be_focused()
    accessible(page)
    picture(page, "macros-2-done")
    # The menu works again in the header that has come with the answer; a refusal says which action and why.
    status.resolve_and_close(ticket=ticket, actor=SYSTEM, now=timezone.now())
    header.get_by_title("Macros").click()
    header.get_by_role("button", name="Wait for the customer").click()
    expect(page.get_by_text("Set the status: A ticket that is closed cannot become pending.")).to_be_visible()
    picture(page, "macros-3-refused")

    # Many can be searched; Enter in the search leads to the first that matches and does not run it.
    for number in range(8):
        make_macro(workspace, {"do": "escalate"}, name=f"Other macro {number}")
    page.reload()
    header.get_by_title("Macros").click()
    search = header.get_by_label("Search macros")
    expect(search).to_be_focused()
    page.keyboard.type("watch")
    expect(header.locator("[data-macro]:visible")).to_have_count(1)
    accessible(page)
    page.keyboard.press("Enter")
    expect(header.get_by_role("button", name="Wait for the customer")).to_be_focused()
    picture(page, "macros-4-search")
    search.fill("nothing like this")
    expect(header.get_by_text("No macro matches.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(search).not_to_be_visible()


def test_on_several_tickets_of_a_list(live_server: Any, open_browser: Any, workspace: Any) -> None:
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/view/all")
    bar = page.get_by_role("form", name="Selected tickets")
    expect(bar).not_to_be_visible()
    accessible(page)
    picture(page, "macros-5-list")
    # With the keyboard: j moves, x selects.
    for key in "jxjx":
        page.keyboard.press(key)
    expect(bar.get_by_text("2 selected")).to_be_visible()
    page.get_by_label("Select #1004").focus()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Please delete my account")).to_be_focused()
    bar.get_by_text("Run a macro", exact=True).click()
    expect(bar.get_by_role("button", name="Hand to Billing")).to_be_visible()
    accessible(page)
    picture(page, "macros-6-bar")
    bar.get_by_role("button", name="Hand to Billing").click()
    expect(page.get_by_text("Hand to Billing: done on 2 tickets.")).to_be_visible()
    assert Ticket.objects.for_workspace(workspace).filter(team__name="Billing").count() == 2
    expect(bar).not_to_be_visible()

    # One of all cannot become pending: it is named, the others are done.
    finished = Ticket.objects.for_workspace(workspace).get(number=1003)
    page.get_by_label("Select #1001").check()
    bar.get_by_role("button", name="Select all 5").click()
    expect(bar.get_by_text("5 selected")).to_be_visible()
    bar.get_by_role("button", name="Clear").click()
    expect(bar).not_to_be_visible()
    page.get_by_label("Select #1001").check()
    bar.get_by_role("button", name="Select all 5").click()
    status.resolve_and_close(ticket=finished, actor=SYSTEM, now=timezone.now())  # meanwhile, by somebody else
    bar.get_by_text("Run a macro", exact=True).click()
    bar.get_by_role("button", name="Wait for the customer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Wait for the customer: done on 4 of 5 tickets")
    refused = page.get_by_role("row", name="#1003 Please delete my account")
    expect(refused).to_contain_text("Set the status: A ticket that is closed cannot become pending.")
    accessible(page)
    picture(page, "macros-7-some-refused")
    page.get_by_role("link", name="Back to the list").click()
    page.wait_for_url("**/tickets/view/all?view=all")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone(live_server: Any, open_browser: Any, workspace: Any, dark: bool) -> None:
    theme = "dark" if dark else "light"
    ticket = Ticket.objects.for_workspace(workspace).get(number=1001)
    page = open_browser(390, 844, dark=dark)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/view/all")
    page.get_by_label("Select #1002").check()
    page.get_by_label("Select #1004").check()
    bar = page.get_by_role("form", name="Selected tickets")
    bar.get_by_text("Run a macro", exact=True).click()
    expect(bar.get_by_role("button", name="Escalate")).to_be_visible()
    accessible(page)
    picture(page, f"macros-phone-{theme}-1-bar")
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    page.locator("#ticket-header").get_by_title("Macros").click()
    expect(page.get_by_role("button", name="Hand to Billing")).to_be_visible()
    accessible(page)
    picture(page, f"macros-phone-{theme}-2-ticket")
    page.goto(f"{live_server.url}/tickets/{ticket.pk}/macros")
    accessible(page)
    picture(page, f"macros-phone-{theme}-3-page")


def test_where_no_script_runs(live_server: Any, chromium: Any, workspace: Any) -> None:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/view/all")
    page.get_by_label("Select #1002").check()
    page.get_by_label("Select #1004").check()
    page.get_by_role("button", name="Run a macro…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Run a macro on 2 tickets")
    page.get_by_role("button", name="Run Escalate").click()
    expect(page.get_by_text("Escalate: done on 2 tickets.")).to_be_visible()
    page.get_by_role("link", name="Cannot log in since the update").click()
    page.get_by_role("link", name="Macros").click()
    page.get_by_role("button", name="Run Wait for the customer").click()
    expect(page.get_by_text("Wait for the customer: status pending, watched by Maria Rossi.")).to_be_visible()
    context.close()
    assert Comment.objects.for_workspace(workspace).filter(body="Escalated.").count() == 2


@pytest.mark.parametrize(("width", "height", "dark"), [(1440, 900, False), (390, 844, True)])
def test_an_admin_makes_a_macro(
    live_server: Any, open_browser: Any, workspace: Any, width: int, height: int, dark: bool
) -> None:
    make_agent(workspace, "admin", user__name="Ada Admin", user__email="ada@acme.example")
    page = open_browser(width, height, dark)
    sign_in(page, live_server.url, "ada@acme.example")
    page.goto(f"{live_server.url}/settings/macros")
    accessible(page)
    page.get_by_role("link", name="New macro").click()
    page.get_by_label("Name", exact=True).fill("Ask again")
    page.locator("[id='then.0.status']").select_option("pending")
    page.get_by_role("button", name="Add an action").click()
    expect(page.locator("[id='then.1.do']")).to_be_focused()  # drawn, and htmx has seen it
    page.locator("[id='then.1.do']").select_option("add_tags")
    page.locator("[id='then.1.tags']").fill("waiting")
    accessible(page)
    picture(page, f"macro-form-{width}")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("Saved the macro").wait_for()
    accessible(page)
    picture(page, f"macro-list-{width}")
    made = Macro.objects.for_workspace(workspace).get(name="Ask again")
    assert made.actions == [{"do": "set_status", "status": "pending"}, {"do": "add_tags", "tags": ["waiting"]}]
