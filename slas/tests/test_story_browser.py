"""A weekend in the life of a deadline, in a real browser: Friday 17:45 to Monday.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import datetime as dt
import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from slas.services import sweep
from slas.tests.factories import make_hours, make_policy
from tickets.models import Ticket
from tickets.tests.factories import make_agent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Time:
    """What the server and the browser take for the present."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.friday = today + dt.timedelta(days=(4 - today.weekday()) % 7 + 7)
        self.now = self.friday
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def be(self, page: Any, day: int, time: str) -> None:
        """It is this time of Friday (day 0), or so many days later."""
        hour, minute = map(int, time.split(":"))
        self.now = self.friday + dt.timedelta(days=day, hours=hour, minutes=minute)
        page.clock.set_fixed_time(self.now)

    def words(self, day: int, time: str) -> str:
        """How pages write that moment."""
        moment = self.friday + dt.timedelta(days=day)
        year = f" {moment.year}" if moment.year != self.now.year else ""
        return f"{moment:%a} {moment.day} {moment:%b}{year}, {time}"


def test_a_weekend_and_a_pause_shift_a_deadline_by_business_time_only(
    live_server: Any, open_browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    workspace: Any = WorkspaceFactory(name="Acme", slug="acme")
    make_agent(workspace, user__name="Maria Rossi", user__email="maria@acme.example")
    make_hours(workspace, name="Nine to six")
    make_policy(
        workspace,
        name="Enterprise SLA",
        first_response_hours=4,
        resolution_hours=24,
        next_response_hours=None,
        priority_overrides={"urgent": {"first_response_hours": 1, "resolution_hours": 4}},
    )
    page = open_browser()
    time.be(page, 0, "17:40")
    sign_in(page, live_server.url)

    # Friday, 17:45: an urgent ticket. A quarter of an hour is left of the day, the rest is due on Monday.
    time.be(page, 0, "17:45")
    page.get_by_role("link", name="New ticket").click()
    page.get_by_label("Subject").fill("The shop is down")
    page.get_by_label("Description").fill("Nobody can order anything.")
    page.get_by_label("Requester’s e-mail").or_(page.get_by_label("E-mail", exact=False)).first.fill(
        "jane@shop.example"
    )
    page.get_by_label("Priority").select_option("urgent")
    page.get_by_role("button", name=re.compile("Open ticket|Create ticket|Create")).click()
    clocks = page.locator("#properties .clock")
    expect(clocks.nth(0)).to_contain_text(f"Due {time.words(3, '09:45')}")
    expect(clocks.nth(1)).to_contain_text(f"Due {time.words(3, '12:45')}")
    expect(clocks.nth(1)).to_contain_text("On track")
    accessible(page)
    picture(page, "sla-1-friday")

    # 17:50: it waits for the customer, and the resolution stands still; the first response does not.
    time.be(page, 0, "17:50")
    page.get_by_label("Status", exact=True).select_option("pending")
    expect(clocks.nth(1)).to_contain_text("Paused")
    expect(clocks.nth(1)).to_contain_text("5 m of 4 h used")
    expect(clocks.nth(0)).to_contain_text(f"Due {time.words(3, '09:45')}")
    picture(page, "sla-2-paused")
    page.goto(f"{live_server.url}/tickets/view/all")
    expect(page.locator(".row").first).to_contain_text("Paused")
    accessible(page)

    # Monday, 9:50: nobody has answered. The browser says so by itself, the sweep puts it on record.
    time.be(page, 3, "09:50")
    page.reload()
    expect(page.locator(".row .sla > span").first).to_contain_text("Breached 5 m")
    sweep.sweep_all(now=time.now)
    page.get_by_role("link", name="The shop is down").click()
    expect(page.locator("#conversation")).to_contain_text("noticed that the first response is overdue")

    # 10:00: back to work. 70 minutes of business time have passed, and by 70 minutes the deadline moves.
    time.be(page, 3, "10:00")
    page.get_by_label("Status", exact=True).select_option("open")
    expect(clocks.nth(1)).to_contain_text(f"Due {time.words(3, '13:55')}")
    page.get_by_role("link", name="Why?").click()
    resolution = page.get_by_role("region", name="Resolution")
    expect(resolution).to_contain_text("Waiting for the customer")
    rows = resolution.get_by_role("row")
    told = [re.sub(r"\s+", " ", text).strip() for text in rows.all_inner_texts()]
    assert told[1:] == [
        f"Counted {time.words(0, '17:45')} {time.words(0, '17:50')} 5 m 5 m",
        f"Paused Waiting for the customer {time.words(0, '17:50')} {time.words(3, '10:00')} 64 h 10 m –",
        f"Still to run {time.words(3, '10:00')} {time.words(3, '13:55')} 3 h 55 m 3 h 55 m",
        "Together 4 h of 4 h",
    ]
    first = page.get_by_role("region", name="First response")
    expect(first).to_contain_text("Outside business hours")
    expect(first).to_contain_text("1 h of 1 h")
    accessible(page)
    picture(page, "sla-3-why")
    assert Ticket.unscoped.get().sla_missed


def test_a_deadline_passes_before_the_eyes_of_the_reader(
    live_server: Any, open_browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a reload: the words, the tone and the icon change when the time has come."""
    from tickets.tests.factories import make_ticket

    time = Time(monkeypatch)
    workspace: Any = WorkspaceFactory(name="Acme", slug="acme")
    make_agent(workspace, user__name="Maria Rossi", user__email="maria@acme.example")
    make_policy(workspace, business_hours_only=False, first_response_hours=1)
    page = open_browser(dark=True)
    time.be(page, 0, "10:00")
    make_ticket(workspace, now=time.now)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/view/all")
    badge = page.locator(".row .promise").first
    expect(badge).to_contain_text("1 h 00 m left")
    for at, state, said in (("10:50", "at_risk", "At risk, 10 m"), ("11:03", "breached", "Breached 3 m")):
        time.be(page, 0, at)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(badge).to_contain_text(said)
        assert badge.get_attribute("data-state") == state
        assert badge.locator("svg").count() == 2
    accessible(page)
