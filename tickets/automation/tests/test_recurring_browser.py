"""Recurring tickets in a real browser. Set SCREENSHOTS=folder to keep pictures of every step."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts import services as accounts
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.automation.models import RecurringTicket
from tickets.automation.services import recurring
from tickets.automation.tests.factories import make_recurring
from tickets.models import Ticket
from tickets.tests.factories import CategoryFactory, make_agent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BERLIN = {"at": "09:00", "timezone": "Europe/Berlin", "starts_on": "2026-01-01"}


@pytest.fixture
def workspace() -> Any:
    made: Any = WorkspaceFactory(name="Acme", slug="acme", timezone="Europe/Berlin")
    make_agent(made, role="owner", user__name="Maria Rossi", user__email="maria@acme.example")
    return made


def test_every_first_monday_at_nine_a_ticket_for_team_it(live_server: Any, open_browser: Any, workspace: Any) -> None:
    team = TeamFactory(workspace=workspace, name="IT")
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/recurring-tickets")
    accessible(page)
    picture(page, "1-empty")
    page.get_by_role("main").get_by_role("link", name="Add recurring ticket").first.click()
    accessible(page)
    # Only what belongs to the chosen unit is there, and the preview follows.
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Every Monday at 09:00 (Europe/Berlin)")
    expect(preview.locator("li")).to_have_count(5)
    expect(page.get_by_label("Day of the month")).to_be_hidden()
    unit = page.get_by_label("Days, weeks, months or years")
    assert unit.locator("option:checked").inner_text() == "week"
    page.get_by_label("Every how many").fill("2")
    assert unit.locator("option:checked").inner_text() == "weeks"
    page.get_by_label("Friday").check()
    expect(preview).to_contain_text("Every 2 weeks on Monday and Friday at 09:00")
    page.get_by_label("Every how many").fill("1")
    unit.select_option("month")
    expect(page.get_by_label("Friday")).to_be_hidden()
    page.get_by_label("On the", exact=True).check()
    expect(preview).to_contain_text("Every first Monday of the month at 09:00 (Europe/Berlin)")
    accessible(page)
    # A wrong timezone is said while it is typed.
    page.get_by_label("Timezone").fill("Berlin")
    expect(preview).to_contain_text("This must be the name of a timezone, like Europe/Berlin.")
    accessible(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This must be the name of a timezone, like Europe/Berlin.").first).to_be_visible()
    expect(page.get_by_label("Timezone")).to_have_value("Berlin")
    assert page.get_by_text("This field is required.").count() == 4  # name, subject, description, requester
    assert not RecurringTicket.objects.for_workspace(workspace).exists()
    accessible(page)
    picture(page, "2-refused")
    page.get_by_label("Timezone").fill("Europe/Berlin")
    page.get_by_label("Name", exact=True).fill("Backups")
    page.get_by_label("Subject").fill("Check the backups of {{month}}")
    expect(preview).to_contain_text("Check the backups of ")
    assert "{{" not in preview.inner_text()
    page.get_by_label("Description").fill("Restore **one** of them.")
    page.get_by_label("Requester’s e-mail").fill("it@acme.example")
    page.get_by_label("Team").select_option("IT")
    accessible(page)
    picture(page, "3-form")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved the recurring ticket “Backups”.").wait_for()
    expect(page.get_by_role("table")).to_contain_text("Every first Monday of the month at 09:00 (Europe/Berlin)")
    accessible(page)
    picture(page, "4-saved")

    # Its time comes.
    made = RecurringTicket.objects.for_workspace(workspace).get()
    assert made.next_at is not None
    assert recurring.open_due(now=made.next_at) == 1
    ticket = Ticket.objects.for_workspace(workspace).get()
    assert ticket.team_id == team.pk and ticket.subject.startswith("Check the backups of ")
    page.reload()
    page.get_by_role("link", name=f"#{ticket.number}").click()
    page.get_by_role("heading", name=ticket.subject).wait_for()
    picture(page, "5-ticket")
    page.go_back()
    page.get_by_role("link", name="Log of Backups").click()
    expect(page.get_by_role("table")).to_contain_text(f"#{ticket.number} {ticket.subject}")
    accessible(page)
    picture(page, "6-log")

    # Off with the keyboard, on again, and gone.
    page.goto(f"{live_server.url}/settings/recurring-tickets")
    page.get_by_role("button", name="Switch Backups off").focus()
    page.keyboard.press("Enter")
    page.get_by_text("“Backups” is off.").wait_for()
    accessible(page)
    expect(page.get_by_role("button", name="Switch Backups on")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_text("“Backups” is on.").wait_for()
    page.get_by_role("main").locator("summary", has_text="Delete").click()
    page.get_by_text("Delete this recurring ticket?").wait_for()
    accessible(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("Deleted the recurring ticket “Backups”.").wait_for()


def test_it_is_made_without_scripts(live_server: Any, chromium: Any, workspace: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/recurring-tickets/new")
    page.get_by_label("Name", exact=True).fill("Year end")
    page.get_by_label("Days, weeks, months or years").select_option("year")
    page.locator("#id_month").select_option("December")
    page.get_by_label("Day of the month").select_option("31")
    page.get_by_label("Subject").fill("Close {{year}}")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("Every year on 31 December at 09:00 (Europe/Berlin)")
    expect(page.locator("#preview")).to_contain_text(f"Close {timezone.now().year}")
    assert not RecurringTicket.objects.for_workspace(workspace).exists()
    page.get_by_label("Description").fill("Everything.")
    page.get_by_label("Requester’s e-mail").fill("it@acme.example")
    page.get_by_role("button", name="Save").click()
    made = RecurringTicket.objects.for_workspace(workspace).get()
    assert (made.schedule["month"], made.schedule["day"]) == (12, 31)
    context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_every_page_is_accessible_and_fits_the_screen(
    live_server: Any, open_browser: Any, workspace: Any, size: tuple[int, int], dark: bool
) -> None:
    now = dt.datetime.now(dt.UTC)
    owner = workspace.memberships.get()
    team = TeamFactory(workspace=workspace, name="Second line and infrastructure")
    category = CategoryFactory(workspace=workspace, name="Hardware")
    agent = make_agent(workspace, user__name="Jane Smith")
    backups = make_recurring(
        workspace,
        now=now - dt.timedelta(days=70),
        schedule={"every": "week", "weekdays": ["monday", "thursday"], **BERLIN},
        team_id=team.pk,
        category_id=category.pk,
        assignee_id=agent.user_id,
        subject="Check the backups of {{date}}",
    )
    for days in (66, 63, 59, 35):
        recurring.open_due(now=now - dt.timedelta(days=days))
    accounts.delete_team(team=team, by=owner, now=now)
    recurring.open_due(now=now - dt.timedelta(days=2))
    year = make_recurring(
        workspace,
        now=now,
        name="Very-long-without-any-space-" * 2 + "name",
        schedule={"every": "year", "month": 2, "nth": "last", "weekday": "friday", **BERLIN},
    )
    make_recurring(
        workspace,
        now=now,
        name="Certificates",
        is_active=False,
        schedule={
            "every": "month",
            "interval": 3,
            "day": 31,
            **BERLIN | {"timezone": "America/Argentina/Buenos_Aires"},
        },
    )
    ended = make_recurring(
        workspace,
        now=now - dt.timedelta(days=9),
        name="Migration checks",
        schedule={"every": "day", **BERLIN, "ends_on": (now - dt.timedelta(days=3)).date().isoformat()},
    )
    recurring.open_due(now=now)
    assert RecurringTicket.unscoped.get(pk=ended.pk).next_at is None
    page = open_browser(*size, dark=dark)
    sign_in(page, live_server.url)
    name = f"{size[0]}-{'dark' if dark else 'light'}"
    for title, path in (
        ("list", ""),
        ("new", "/new"),
        ("week", f"/{backups.pk}"),
        ("year", f"/{year.pk}"),
        ("log", f"/{backups.pk}/log"),
        ("log-empty", f"/{year.pk}/log"),
    ):
        page.goto(f"{live_server.url}/settings/recurring-tickets{path}")
        accessible(page)
        picture(page, f"{title}-{name}")
    page.goto(f"{live_server.url}/settings/recurring-tickets/{backups.pk}")
    page.get_by_label("Every how many").fill("0")
    page.get_by_label("At", exact=True).fill("")
    page.get_by_label("Monday", exact=True).uncheck()
    page.get_by_label("Thursday", exact=True).uncheck()
    page.get_by_label("Last day").fill("2025-01-01")
    page.get_by_label("Subject").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Choose one or more days of the week.").first.wait_for()
    accessible(page)
    picture(page, f"refused-{name}")
