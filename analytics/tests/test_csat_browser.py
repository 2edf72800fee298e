"""The report on satisfaction in a real browser: readable in both themes, on a desk and on a phone, without scripts.

Set SCREENSHOTS=folder to keep pictures of every page.
"""

import datetime as dt
import random
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from analytics.tests.factories import HOUR, give, make_rated, resolve
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets.tests.factories import make_agent, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WORDS = {
    5: "Fast and friendly, thank you!",
    3: "The answer was good. It only took three days until somebody read what I had written.\nCould that be quicker?",
    1: "Nobody answered my question.",
}


def test_the_report_can_be_read_by_everybody(live_server: Any, open_browser: Any) -> None:
    workspace: Any = WorkspaceFactory(name="Acme", slug="acme", timezone="Europe/Rome")
    make_agent(workspace, user__name="Maria Rossi", user__email="maria@acme.example")
    agents = [make_agent(workspace, user__name=name) for name in ("Aisha Khan", "Ben Okafor")]
    draw, now = random.Random(3), timezone.now()
    for _ in range(24):
        at = now - dt.timedelta(days=draw.randrange(50), hours=2)
        rating = draw.choice([5, 5, 4, 4, 3, 1])
        make_rated(workspace, rating, at, agent=draw.choice(agents), feedback=WORDS.get(rating, ""))
    for _ in range(5):
        resolve(give(make_ticket(workspace, now - 9 * HOUR), agents[0], now - 8 * HOUR), now - 7 * HOUR)
    for width, height, dark in ((1440, 900, False), (1440, 900, True), (390, 844, False), (390, 844, True)):
        page = open_browser(width, height, dark)
        sign_in(page, live_server.url)
        page.goto(f"{live_server.url}/reports")
        expect(page.get_by_role("heading", name="Customer satisfaction")).to_be_visible()
        page.get_by_label("Compare with the period before").check()
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("compared with")).to_be_visible()
        name = f"csat-{width}-{'dark' if dark else 'light'}"
        accessible(page)
        picture(page, name)
        for closed in page.locator("main details:not(.menu) > summary").all():
            closed.press("Enter")
        accessible(page)
        picture(page, f"{name}-tables")
        if not dark:
            page.get_by_text("Filters", exact=True).click()
            accessible(page)
            picture(page, f"{name}-filters")
            page.goto(f"{live_server.url}/reports/csat?from=2020-01-01&to=2020-01-31")
            accessible(page)
            picture(page, f"{name}-empty")
            page.goto(f"{live_server.url}/reports/csat?from=soon")
            accessible(page)
            picture(page, f"{name}-refused")
        page.close()
