"""The dry run of a rule in a real browser: asked, watched, read, switched on.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.automation.models import DryRun, Rule
from tickets.automation.services import dry_run
from tickets.automation.tests.factories import make_rule
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def workspace() -> Any:
    made = WorkspaceFactory(name="Acme Support")
    make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    return made


@pytest.fixture
def rule(workspace: Workspace) -> Rule:
    billing = CategoryFactory(workspace=workspace, name="Billing")
    team = TeamFactory(workspace=workspace, name="Billing")
    at = timezone.now() - dt.timedelta(days=6)
    for n, (subject, priority) in enumerate(
        [
            ("Refund for order 1042 has not arrived", "high"),
            ("Cannot log in", "medium"),
            ("I was charged back twice, please refund the second one", "urgent"),
            ("Where is my parcel?", "high"),
            ("Chargeback notice from the bank about an order with a very long subject " + "that goes on " * 8, "low"),
            ("Invoice of March", "high"),
        ]
    ):
        category_id = billing.pk if n % 2 == 0 else None
        make_ticket(
            workspace, now=at + dt.timedelta(hours=n), subject=subject, priority=priority, category_id=category_id
        )
    asked = {
        "all": [
            {"field": "category", "is": [str(billing.pk)]},
            {"any": [{"field": "subject", "contains": ["refund"]}, {"field": "priority", "is": ["urgent"]}]},
            {"field": "business_hours", "is": [True, False]},
        ]
    }
    return make_rule(
        workspace,
        {"do": "set_priority", "priority": "urgent"},
        {"do": "set_team", "team_id": str(team.pk)},
        {"do": "assign", "method": "least_busy", "team_id": str(team.pk)},
        {"do": "add_note", "body": "Check the payment first, then call them."},
        name="Refunds go first",
        conditions=asked,
        is_active=False,
    )


def test_asked_watched_read_and_switched_on(live_server, open_browser, workspace, rule):
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/automation/{rule.pk}/dry-run")
    page.get_by_text("Not tried yet").wait_for()
    accessible(page)
    picture(page, "1-not-tried")
    button = page.get_by_role("button", name="Try it on the last 30 days")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".job")).to_contain_text("Waiting to begin")
    accessible(page)
    # Half done, told without a reload.
    DryRun.unscoped.update(
        status="running", total=1204, done=602, tickets=500, matched_tickets=12, seen_at=timezone.now()
    )
    expect(page.locator(".job")).to_contain_text("602 of 1,204 tickets")
    assert page.locator(".job progress").get_attribute("value") == "50"
    accessible(page)
    picture(page, "2-running")
    DryRun.unscoped.update(status="waiting", done=0, tickets=0, matched_tickets=0)
    dry_run.run(dry_run_id=DryRun.unscoped.get().pk, clock=timezone.now)
    expect(page.locator(".verdict")).to_have_text("Would have matched 2 of 6 tickets")
    expect(page.locator("#job-said")).to_contain_text("Would have matched 2 of 6 tickets")
    assert page.locator(".job[hx-get]").count() == 0
    accessible(page)
    picture(page, "3-matched")
    page.get_by_role("link", name="Not matched").click()
    expect(page.get_by_role("link", name="Not matched")).to_have_attribute("aria-current", "page")
    expect(page.locator(".answers > li")).to_have_count(4)
    accessible(page)
    picture(page, "4-not-matched")
    page.get_by_role("button", name="Switch on").click()
    page.get_by_text("“Refunds go first” is on").wait_for()
    rule.refresh_from_db()
    assert rule.is_active
    accessible(page)


def test_without_scripts_a_reload_shows_how_far_it_is(live_server, chromium, workspace, rule):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/settings/automation/{rule.pk}/dry-run")
    page.get_by_role("button", name="Try it on the last 30 days").click()
    page.get_by_text("Waiting to begin").wait_for()
    dry_run.run(dry_run_id=DryRun.unscoped.get().pk, clock=timezone.now)
    page.get_by_role("link", name="See how far it is").click()
    page.get_by_text("Would have matched").wait_for()
    context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_every_state_is_accessible_and_fits_the_screen(live_server, open_browser, workspace, rule, size, dark):
    page = open_browser(*size, dark=dark)
    sign_in(page, live_server.url)
    name = f"{size[0]}-{'dark' if dark else 'light'}"
    where = f"{live_server.url}/settings/automation/{rule.pk}/dry-run"

    def see(state: str, query: str = "") -> None:
        page.goto(f"{where}{query}")
        accessible(page)
        picture(page, f"{state}-{name}")

    see("empty")
    asked = dry_run.ask(rule=rule, member=None, now=timezone.now())
    see("waiting")
    dry_run.run(dry_run_id=asked.pk, clock=timezone.now)
    see("matched")
    see("unmatched", "?matched=false")
    Rule.unscoped.update(conditions={"all": [{"field": "status", "is": ["closed"]}]}, notice="Switched off: gone.")
    see("changed")
    asked = dry_run.ask(rule=Rule.unscoped.get(), member=None, now=timezone.now())
    dry_run.run(dry_run_id=asked.pk, clock=timezone.now)
    see("nothing")
    DryRun.unscoped.update(status="failed", error=dry_run.WRONG)
    see("failed")
