"""The whole story in a real browser: a customer asks, an agent answers, the customer reads, it is resolved.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import re

import pytest
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.models import CannedResponse, Ticket
from tickets.tests.factories import NOW, CannedResponseFactory, CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def workspace():
    return WorkspaceFactory(name="Acme", slug="acme")


@pytest.fixture
def maria(workspace):
    return make_agent(workspace, user__name="Maria Rossi", user__email="maria@acme.example")


def test_from_a_customers_request_to_an_agents_answer(live_server, open_browser, workspace, maria):
    CannedResponseFactory(
        workspace=workspace,
        title="Thanks",
        shortcut="thanks",
        content="Hello {{customer_name}}, thank you for writing. {{agent_name}} looks into {{ticket_number}}.",
    )
    customer, agent = open_browser(390, 844), open_browser(1440, 900)

    # The customer sends a request, first with a wrong address.
    customer.goto(f"{live_server.url}/portal/acme")
    customer.get_by_role("link", name="Send a request").click()
    accessible(customer)
    picture(customer, "1-portal")
    customer.get_by_label("What is it about?").fill("Cannot log in after the password reset")
    customer.get_by_label("What happened?").fill("The page says **account locked**.\nI need it at eleven.")
    customer.get_by_label("Your name").fill("Jane Smith")
    customer.get_by_label("Your e-mail").fill("jane@acme")
    customer.get_by_role("button", name="Send request").click()
    assert customer.get_by_label("Your e-mail").get_attribute("aria-invalid") == "true"
    assert customer.get_by_label("What is it about?").input_value() == "Cannot log in after the password reset"
    accessible(customer)
    picture(customer, "2-portal-refused")
    customer.get_by_label("Your e-mail").fill("jane@acme.example")
    customer.get_by_role("button", name="Send request").click()
    customer.get_by_text("We have your request").wait_for()
    assert "token" not in customer.url
    accessible(customer)
    picture(customer, "3-portal-sent")
    ticket = Ticket.objects.for_workspace(workspace).get()
    assert (ticket.display_status, ticket.requester_name) == ("new", "Jane Smith")

    # The agent finds it, takes it and answers with a canned response.
    sign_in(agent, live_server.url)
    accessible(agent)
    agent.get_by_role("link", name=re.compile("^Unassigned")).first.click()
    agent.get_by_role("link", name="Cannot log in after the password reset").click()
    agent.get_by_role("button", name="Take it").click()
    agent.get_by_role("button", name="Take it").wait_for(state="detached")
    accessible(agent)
    picture(agent, "4-console-ticket")
    composer = agent.get_by_role("textbox", name="Message")
    composer.click()
    composer.press_sequentially("/thanks ")
    expect(composer).to_have_value(
        re.compile(r"^Hello Jane Smith, thank you for writing\. Maria Rossi looks into #1001\.")
    )
    picture(agent, "5-console-canned")
    agent.get_by_role("button", name="Send", exact=True).click()
    agent.locator(".message[data-kind=agent]").get_by_text("thank you for writing").wait_for()
    ticket.refresh_from_db()
    assert ticket.assignee == maria.user
    assert ticket.first_response_at is not None
    assert CannedResponse.objects.for_workspace(workspace).get().usage_count == 1

    # A note stays inside.
    agent.get_by_text("Internal note").first.click()
    agent.get_by_role("textbox", name="Message").fill("The old phone is the cause.")
    agent.get_by_role("button", name="Add note").click()
    agent.locator(".message[data-kind=note]").get_by_text("old phone").wait_for()

    # The customer reads the answer and writes back.
    customer.reload()
    customer.get_by_text("Maria Rossi looks into #1001").wait_for()
    assert customer.get_by_text("old phone").count() == 0
    customer.get_by_label("Your answer").or_(customer.locator("#id_body")).first.fill("It works again, thank you!")
    customer.get_by_role("button", name="Send answer").click()
    customer.get_by_text("Your answer was sent").wait_for()
    picture(customer, "6-portal-answered")

    # The agent resolves it.
    agent.reload()
    agent.get_by_text("It works again").first.wait_for()
    agent.get_by_role("textbox", name="Message").fill("Glad to hear it.")
    agent.get_by_label("More ways to send").click()
    agent.get_by_role("button", name="Send and resolve").click()
    agent.get_by_text("Glad to hear it.").wait_for()
    ticket.refresh_from_db()
    assert (ticket.status, ticket.comments.count()) == ("resolved", 4)
    picture(agent, "7-console-resolved")
    customer.reload()
    customer.get_by_text("Glad to hear it.").wait_for()
    accessible(customer)
    picture(customer, "8-portal-resolved")


def test_a_reply_is_held_when_the_customer_wrote_meanwhile(live_server, open_browser, workspace, maria):
    ticket = make_ticket(workspace)
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    page.get_by_role("textbox", name="Message").fill("Try again tomorrow.")
    make_reply(
        ticket, make_agent(workspace, user__name="Sam Okafor"), body="I unlocked it.", now=NOW.replace(year=2027)
    )
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("wrote while you were writing").wait_for()
    assert ticket.comments.count() == 1
    assert page.get_by_role("textbox", name="Message").input_value().strip() == "Try again tomorrow."
    accessible(page)
    page.get_by_role("button", name="Send anyway").click()
    page.locator(".message[data-kind=agent]").get_by_text("Try again tomorrow.").wait_for()
    assert ticket.comments.count() == 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)], ids=["wide", "middle", "phone"])
def test_every_page_is_accessible_and_fits_the_screen(live_server, open_browser, workspace, maria, size, dark):
    admin = make_agent(workspace, role="admin", user__email="admin@acme.example")
    category = CategoryFactory(workspace=workspace, name="Billing", color="#3B82F6")
    CannedResponseFactory(workspace=workspace)
    ticket = make_ticket(workspace, category_id=category.pk, assignee_id=admin.user_id, tags=["vip"], priority="urgent")
    make_ticket(workspace, subject="A very long subject " * 12, requester_name="A name that goes on and on " * 4)
    make_reply(ticket, maria)
    make_reply(ticket, maria, internal=True, body="A note with `code` and a [link](https://example.com)")
    page = open_browser(*size, dark=dark)
    name = f"{size[0]}-{'dark' if dark else 'light'}"
    page.goto(f"{live_server.url}/sign-in")
    accessible(page)
    picture(page, f"sign-in-{name}")
    sign_in(page, live_server.url, "admin@acme.example")
    for path in (
        "tickets/view/mine",
        "tickets/view/all?search=long",
        "tickets/view/all?search=nothing+at+all",
        "tickets/new",
        f"tickets/{ticket.pk}",
        "tickets/trash",
        "settings/categories",
        "settings/categories/new",
        f"settings/categories/{category.pk}",
        "settings/canned-responses",
        "settings/canned-responses/new",
        "settings/members",
        "settings/teams",
        "settings/workspace",
        "profile",
        "portal/acme",
        "portal/acme/new",
        "there-is-no-such-page",
    ):
        page.goto(f"{live_server.url}/{path}")
        accessible(page)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{path} is {wider} px wider than the screen"
        picture(page, f"{re.sub(r'[^a-z]+', '-', path.replace(str(ticket.pk), 'one'))}-{name}")
