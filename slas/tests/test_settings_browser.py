"""Service levels in a real browser: hours with a split day, a policy, and what a change would have done.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import datetime as dt
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from helpdesk.accounts.models import Organization
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from slas.models import BusinessHours, SLAPolicy
from slas.services import jobs
from slas.tasks import run_job
from slas.tests.factories import make_hours, make_policy
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def workspace():
    made = WorkspaceFactory(name="Acme", slug="acme", timezone="Europe/Berlin")
    make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    return made


def run_newest(workspace: Any, kind: str) -> None:
    job = jobs.latest(workspace.pk, kind)
    assert job is not None
    run_job(str(job.pk))


def test_from_hours_with_a_split_day_to_a_policy_that_is_tried(live_server, open_browser, workspace):
    Organization.unscoped.create(workspace=workspace, name="Northwind")
    CategoryFactory(workspace=workspace, name="Billing")
    week_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=7)
    for n in range(3):
        make_ticket(workspace, now=week_ago, subject=f"The invoice of month {n} is wrong", priority="urgent")
    page = open_browser()
    sign_in(page, live_server.url)

    # Business hours, from the empty state.
    page.goto(f"{live_server.url}/settings/business-hours")
    accessible(page)
    page.get_by_role("main").get_by_role("link", name="Add business hours").first.click()
    page.get_by_label("Name", exact=True).fill("Berlin office")
    accessible(page)
    # The first day is split with the keyboard alone.
    monday = page.get_by_role("group", name="Monday")
    monday.get_by_label("Monday, until").fill("12:00")
    add = monday.get_by_role("button", name="More hours on Monday")
    add.focus()
    page.keyboard.press("Enter")
    expect(monday.get_by_label("Monday, from").nth(1)).to_be_focused()
    monday.get_by_label("Monday, from").nth(1).fill("13:00")
    monday.get_by_label("Monday, until").nth(1).fill("18:30")
    assert monday.locator(".bar rect").count() == 2
    page.get_by_role("button", name="Copy Monday to Tue–Fri").click()
    assert page.get_by_role("group", name="Friday").locator(".bar rect").count() == 2
    # The preview follows; a day in which the end comes first is named; hours that never open are said to.
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Opened now, a 4 h target is due")
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"):
        page.get_by_role("group", name=day).get_by_role("checkbox").uncheck()
    expect(preview).to_contain_text("These hours never open: tickets under them get no deadline.")
    accessible(page)
    picture(page, "1-never-opens")
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"):
        page.get_by_role("group", name=day).get_by_role("checkbox").check()
    page.get_by_role("group", name="Saturday").get_by_role("checkbox").check()
    expect(page.get_by_label("Saturday, until").first).to_have_value("12:00")  # as on Friday
    page.get_by_label("Saturday, until").first.fill("08:00")
    expect(preview).to_contain_text("Saturday: The end 08:00 is not after the start 09:00.")
    page.get_by_role("group", name="Saturday").get_by_role("checkbox").uncheck()
    expect(preview).to_contain_text("Opened now, a 4 h target is due")
    # Holidays: one by hand, the others of the country.
    page.get_by_role("button", name="Add a date").click()
    page.get_by_label("Date", exact=True).fill("2030-12-24")
    page.get_by_label("Name of the day").fill("Christmas Eve")
    page.get_by_label("Hours of the day").fill("9-12")
    page.get_by_label("Country").select_option("DE")
    expect(page.locator("#region")).to_contain_text("Next in Germany:")
    expect(page.locator("#region")).not_to_have_class(re.compile("htmx-"))  # the new list listens once it has settled
    page.get_by_label("Region").select_option("BY")
    expect(page.locator("#region")).to_contain_text("Next in Germany, Bayern:")
    accessible(page)
    picture(page, "2-hours")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".job")).to_contain_text("The clocks of 3 open tickets are being reckoned anew.")
    made = BusinessHours.objects.for_workspace(workspace).get()
    assert made.schedule["friday"] == [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "18:30"}]
    assert made.holidays == [{"date": "2030-12-24", "name": "Christmas Eve", "start": "09:00", "end": "12:00"}]
    assert (made.country, made.region, made.is_default) == ("DE", "BY", True)
    accessible(page)
    picture(page, "3-hours-list")

    # A policy, from the empty state.
    page.goto(f"{live_server.url}/settings/sla-policies")
    accessible(page)
    picture(page, "4-no-policies")
    page.get_by_role("main").get_by_role("link", name="Add policy").first.click()
    page.get_by_label("Name", exact=True).fill("Standard")
    page.get_by_label("Default: first response").fill("4")
    expect(page.get_by_label("Urgent: first response")).to_have_attribute("placeholder", "4")
    page.get_by_label("Default: resolution").fill("24")
    page.get_by_label("Urgent: resolution").fill("0")
    page.get_by_label("Find an organisation").fill("Northwind")
    page.get_by_label("Find an organisation").press("Enter")
    expect(page.get_by_label("Organisations")).to_have_value("Northwind")
    accessible(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("A target must be more than zero hours.").wait_for()
    expect(page.get_by_label("Organisations")).to_have_value("Northwind")
    assert not SLAPolicy.objects.for_workspace(workspace).exists()
    accessible(page)
    picture(page, "5-policy-refused")
    page.get_by_label("Urgent: resolution").fill("8.5")
    page.get_by_text("Everybody else (the default)").click()
    expect(page.get_by_label("Organisations")).to_be_hidden()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile(r"/settings/sla-policies\?job="))

    # The clocks follow, and the panel says so at the end.
    expect(page.locator(".job")).to_contain_text("are being reckoned anew")
    accessible(page)
    picture(page, "6-reckoning")
    run_newest(workspace, "derive")
    expect(page.locator(".job")).to_contain_text("3 tickets got another deadline.")
    expect(page.locator("#job-said")).to_contain_text("3 tickets got another deadline.")
    assert page.locator(".job[hx-get]").count() == 0
    accessible(page)
    picture(page, "7-reckoned")

    # What if the first answer had more time?
    page.get_by_role("link", name="Standard").click()
    page.get_by_label("Default: first response").fill("0")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#tried")).to_contain_text("A target must be more than zero hours.")
    accessible(page)
    page.get_by_label("Default: first response").fill("900")
    page.get_by_label("Tickets of").select_option("90")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#tried")).to_contain_text("Trying it on the tickets of the last 90 days.")
    accessible(page)
    picture(page, "8-trying")
    run_newest(workspace, "what_if")
    expect(page.locator("#tried")).to_contain_text("3 promises would have been broken instead of 6: −3, fewer")
    expect(page.locator("#tried")).to_contain_text("The invoice of month 1 is wrong")
    accessible(page)
    picture(page, "9-tried")
    assert SLAPolicy.objects.for_workspace(workspace).get().first_response_hours == 4


def test_policies_change_places_with_the_keyboard(live_server, open_browser, workspace):
    make_policy(workspace, name="Standard")
    for name in "ABC":
        make_policy(workspace, name=name, is_default=False)
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/sla-policies")
    button = page.get_by_role("button", name="Ask C earlier")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#up-"))
    expect(page.get_by_role("button", name="Ask C earlier")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#down-"))
    expect(page.get_by_role("button", name="Ask C later")).to_be_focused()
    assert [page.locator(".asked h2 a").nth(n).inner_text() for n in range(4)] == ["C", "A", "B", "Standard"]
    # Deleting asks first.
    row = page.locator(".asked > li", has_text="Nobody by itself").nth(2)
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    row.get_by_text("Delete this policy?").wait_for()
    accessible(page)
    row.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("Deleted the policy “B”").wait_for()


def test_hours_are_edited_without_scripts(live_server, chromium, workspace):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/business-hours/new")
    page.get_by_label("Name", exact=True).fill("By hand")
    page.get_by_label("Monday, until").nth(0).fill("12:00")
    page.get_by_label("Monday, from").nth(1).fill("13:00")
    page.get_by_label("Monday, until").nth(1).fill("17:00")
    page.get_by_label("Date", exact=True).nth(0).fill("2030-12-25")
    page.get_by_label("Country").select_option("DE")
    page.get_by_role("button", name="More rows and regions").click()
    page.get_by_label("Region").select_option("BY")
    page.get_by_role("button", name="Save").click()
    made = BusinessHours.objects.for_workspace(workspace).get()
    assert made.schedule["monday"] == [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "17:00"}]
    assert (made.holidays, made.region) == (["2030-12-25"], "BY")
    page.get_by_role("link", name="See how far it is").click()
    page.get_by_text("Waiting to begin").wait_for()
    context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_every_page_is_accessible_and_fits_the_screen(live_server, open_browser, workspace, size, dark):
    acme = Organization.unscoped.create(workspace=workspace, name="Acme Manufacturing")
    categories = [
        CategoryFactory(workspace=workspace, name=name)
        for name in ("Billing", "Login", "Shipping", "Returns", "Hardware", "Feedback", "Security", "Other questions")
    ]
    split = [{"start": "09:00", "end": "12:30"}, {"start": "13:30", "end": "18:00"}]
    hours = make_hours(
        workspace,
        name="Berlin office",
        timezone="Europe/Berlin",
        schedule=dict.fromkeys(("monday", "tuesday", "wednesday", "thursday"), split)
        | {"friday": {"start": "09:00", "end": "16:00"}, "saturday": {"start": "10:00", "end": "14:00"}},
        holidays=[
            {"date": "2030-12-24", "name": "Christmas Eve", "start": "09:00", "end": "12:00"},
            {"date": "2030-08-15", "name": "A feast with a very long name that goes on and on"},
            "2031-01-02",
        ],
        country="DE",
        region="BY",
    )
    make_hours(workspace, name="Never", schedule={})
    make_hours(workspace, name="Round the clock, on all days, for customers everywhere in the world, " + "x" * 10)
    urgent = {"urgent": {"first_response_hours": 0.5, "resolution_hours": 4}, "high": {"resolution_hours": 8}}
    make_policy(workspace, name="Standard", business_hours_only=False, resolution_hours=24)
    gold = make_policy(
        workspace,
        name="Gold",
        is_default=False,
        priority_overrides=urgent,
        business_hours_id=hours.pk,
        conditions={
            "category_ids": [str(one.pk) for one in categories[:2]],
            "organization_ids": [str(acme.pk)],
            "attributes": {"plan": ["pro", "enterprise"]},
        },
    )
    make_policy(workspace, name="Internal requests", is_default=False, next_response_hours=None)
    make_policy(workspace, name="Very-long-without-any-space-" * 2 + "name", is_default=False)
    job = jobs.latest(workspace.pk, "derive")
    jobs.finish(job, result={"tickets": 1204, "moved": 37}, now=dt.datetime.now(dt.UTC))
    page = open_browser(*size, dark=dark)
    sign_in(page, live_server.url)
    name = f"{size[0]}-{'dark' if dark else 'light'}"
    for title, path in (
        ("policies", f"settings/sla-policies?job={job.pk}"),
        ("policy-new", "settings/sla-policies/new"),
        ("policy", f"settings/sla-policies/{gold.pk}"),
        ("hours-list", "settings/business-hours"),
        ("hours-new", "settings/business-hours/new"),
        ("hours", f"settings/business-hours/{hours.pk}"),
        ("job", f"settings/sla-jobs/{job.pk}"),
    ):
        page.goto(f"{live_server.url}/{path}")
        accessible(page)
        picture(page, f"{title}-{name}")
    # Refused.
    page.goto(f"{live_server.url}/settings/business-hours/{hours.pk}")
    page.get_by_label("Monday, until").first.fill("08:00")
    page.get_by_label("Date", exact=True).nth(0).fill("2030-12-24")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("is not after the start").first.wait_for()
    accessible(page)
    picture(page, f"hours-refused-{name}")
    page.goto(f"{live_server.url}/settings/sla-policies/{gold.pk}")
    page.get_by_label("Urgent: resolution").fill("0")
    page.get_by_label("Customer’s attributes").fill("plan")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Line 1: write it as").wait_for()
    accessible(page)
    picture(page, f"policy-refused-{name}")
