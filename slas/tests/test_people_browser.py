"""People in a real browser: coming and going, who works which hours, who leads a team, and a policy given by hand.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import datetime as dt

import pytest
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from slas.services import working
from slas.tests.factories import make_hours, make_policy
from tickets.tests.factories import make_agent, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def workspace():
    made = WorkspaceFactory(name="Acme", slug="acme", timezone="Europe/Berlin")
    maria = make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    nils = make_agent(made, user__name="Nils Berg", capacity=30)
    make_agent(made, user__name="Okonkwo-Featherstonehaugh Adaeze", is_available=False)
    make_agent(made, user__name="Lena Light", role="light")
    team = TeamFactory(workspace=made, name="Billing", lead=maria)
    team.members.add(maria, nils)
    make_policy(made, name="Standard")
    make_policy(made, name="Gold", first_response_hours=1, resolution_hours=4, is_default=False)
    evenings = make_hours(made, name="Evenings", schedule={"monday": {"start": "18:00", "end": "22:00"}})
    working.set_agents(hours=evenings, user_ids=[nils.user_id], now=dt.datetime.now(dt.UTC))
    return made


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_people_come_and_go_and_policies_are_given(live_server, open_browser, workspace, size, dark):
    page = open_browser(*size, dark=dark)
    look = f"{size[0]}-{'dark' if dark else 'light'}"
    sign_in(page, live_server.url)
    account = page.locator("summary.account")

    account.click()
    page.get_by_role("button", name="Switch to away").wait_for()
    accessible(page)
    picture(page, f"{look}-account")
    page.get_by_role("button", name="Switch to away").click()
    expect(page.get_by_text("You are away")).to_be_visible()
    expect(account).to_contain_text("Away")
    picture(page, f"{look}-away")

    page.goto(f"{live_server.url}/settings/members")
    accessible(page)
    expect(page.get_by_label("Availability of Maria Rossi")).to_have_value("0")
    page.get_by_label("Availability of Maria Rossi").select_option("1")
    expect(page.get_by_text("What rules give to Maria Rossi is saved.")).to_be_visible()
    limit = page.get_by_label("Open tickets of Nils Berg, at most")
    limit.fill("25")
    limit.press("Enter")
    expect(page.get_by_text("What rules give to Nils Berg is saved.")).to_be_visible()
    expect(limit).to_have_value("25")
    accessible(page)
    picture(page, f"{look}-members")

    page.goto(f"{live_server.url}/settings/teams")
    page.get_by_role("link", name="Billing").click()
    page.get_by_label("Lead").select_option(label="Nils Berg")
    accessible(page)
    picture(page, f"{look}-team")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="Billing")).to_contain_text("Nils Berg Lead")

    page.goto(f"{live_server.url}/settings/business-hours")
    page.get_by_role("link", name="Nine to six").click()
    page.get_by_label("Nils Berg (now Evenings)").check()
    accessible(page)
    picture(page, f"{look}-hours")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="Nine to six").click()
    expect(page.get_by_label("Nils Berg", exact=True)).to_be_checked()

    ticket = make_ticket(workspace, now=dt.datetime.now(dt.UTC), subject="The invoice is wrong")
    page.goto(f"{live_server.url}/tickets/{ticket.pk}/sla")
    page.get_by_label("Policy").select_option(label="Gold")
    expect(page.get_by_text("Given to this ticket by hand or by a rule.")).to_be_visible()
    accessible(page)
    picture(page, f"{look}-why")
