"""Settings → Privacy in a real browser: an export is made and downloaded, a customer is erased, without a mouse.

Set SCREENSHOTS=folder to keep pictures of every page.
"""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from portal.models import PrivacyRequest
from portal.services import privacy
from portal.tests.factories import make_request
from portal.tests.privacy_rows import work_off
from tickets.tests.factories import make_agent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
JANE = "jane@customers.example"


@pytest.fixture
def workspace():
    made = WorkspaceFactory(name="Acme", slug="acme", timezone="Europe/Rome")
    make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    return made


def test_a_customer_is_exported_and_erased_with_the_keyboard(live_server, open_browser, workspace):
    ticket, _ = make_request(workspace)
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    page.get_by_role("link", name="Export or erase their data…").click()
    expect(page.get_by_label("E-mail address of the customer")).to_have_value(JANE)
    accessible(page)
    picture(page, "privacy-empty")
    page.get_by_label("E-mail address of the customer").press("Enter")  # exports: what Enter does is harmless
    expect(page.get_by_text("Waiting", exact=True)).to_be_visible()
    work_off(PrivacyRequest.unscoped.get(), timezone.now())
    with page.expect_download() as download:  # the list has asked for itself again
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.startswith("customer-data-")
    accessible(page)
    page.get_by_label("E-mail address of the customer").fill(JANE)
    page.get_by_role("button", name="Erase…").press("Enter")
    accessible(page)
    picture(page, "privacy-confirm")
    page.get_by_label("Type the address to confirm").fill("jane@")
    page.get_by_role("button", name="Erase this customer").press("Enter")
    expect(page.get_by_text(f"Type {JANE} to confirm.")).to_be_visible()
    accessible(page)
    page.get_by_label("Type the address to confirm").fill(JANE)
    page.get_by_role("button", name="Erase this customer").press("Enter")
    expect(page.get_by_text("The customer is being erased.")).to_be_visible()
    request = PrivacyRequest.unscoped.get(kind="erasure")
    privacy.run(request_id=request.pk, clock=timezone.now)
    expect(page.get_by_text("Nearly done")).to_be_visible()
    work_off(request, timezone.now())
    expect(page.get_by_text("Nearly done")).not_to_be_visible()
    accessible(page)
    page.get_by_label("E-mail address of the customer").fill(JANE)
    page.get_by_role("button", name="Make an export").press("Enter")
    expect(page.get_by_text("Nothing is stored about this address.")).to_be_visible()
    accessible(page)
    page.close()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_are_accessible_on_every_screen(live_server, open_browser, workspace, width, height, theme):
    now = timezone.now()
    long = "a.very.long.address.with.many.parts.and.no.end@a-subdomain.of-a-very-long-company-name.example"
    admin = workspace.memberships.get()
    for address in (JANE, long, "lou@customers.example", "kim@customers.example"):
        make_request(workspace, requester_email=address)
    work_off(privacy.ask_export(workspace=workspace, address=JANE, by=admin, now=now), now)
    one = privacy.ask_export(workspace=workspace, address=long, by=admin, now=now)
    PrivacyRequest.unscoped.filter(pk=one.pk).update(
        status="failed", next_at=None, ended_at=now, error="Something went wrong on our side. Try it again."
    )
    lou, kim = "lou@customers.example", "kim@customers.example"
    gone = privacy.ask_erasure(workspace=workspace, address=kim, typed=kim, by=admin, now=now)
    work_off(gone, now)
    running = privacy.ask_erasure(workspace=workspace, address=lou, typed=lou, by=admin, now=now)
    PrivacyRequest.unscoped.filter(pk=running.pk).update(status="running", total=200, done=84)
    page = open_browser(width, height, theme == "dark")
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/privacy")
    accessible(page)
    picture(page, f"privacy-{width}-{theme}")
    page.get_by_label("E-mail address of the customer").fill(long)
    page.get_by_role("button", name="Erase…").click()
    accessible(page)
    picture(page, f"privacy-erase-{width}-{theme}")
    page.close()
