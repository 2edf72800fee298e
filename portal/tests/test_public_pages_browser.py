"""Every page of the portal on a phone: nothing jumps while it loads or is used, and everybody can use it."""

from typing import Any

import pytest

from helpdesk.tests.browser import accessible, picture
from portal.tests.public_pages import PAGES, Page, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = (390, 844)
MOST_SHIFT = 0.01
# The standard's own sum (Layout Instability): what follows a key or a tap within half a second is expected.
WATCH = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.shifts.push([entry.value, entry.sources.map((one) => one.node?.outerHTML?.slice(0, 120))]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""  # noqa: E501


def visited(page: Any, shown: Page, world: World, server: str) -> None:
    """Open the page with its cookies, and no others."""
    page.context.clear_cookies()
    jar = [{"name": name, "value": value, "url": server} for name, value in shown.cookies(world).items()]
    page.context.add_cookies(jar)
    page.goto(server + shown.address(world))
    page.wait_for_load_state("networkidle")


def shifted(page: Any) -> float:
    page.wait_for_load_state("networkidle")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = page.evaluate("window.shifts")
    total = sum(value for value, _ in found)
    assert total < MOST_SHIFT, f"{page.url} jumps: {found}"
    return float(total)


def test_nothing_jumps(live_server: Any, open_browser: Any) -> None:
    world, page = World(), open_browser(*PHONE)
    page.add_init_script(WATCH)
    for shown in PAGES:
        visited(page, shown, world, live_server.url)
        shifted(page)
        typed = page.locator(
            "main input[type=text]:visible, main input[type=search]:visible, main input[type=email]:visible"
        )
        if typed.count():
            typed.first.press_sequentially("Cannot log in", delay=20)
            shifted(page)
        for summary in page.locator("main summary:visible").all():
            summary.click()
            shifted(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_them(live_server: Any, open_browser: Any, dark: bool) -> None:
    world, page = World(), open_browser(*PHONE, dark=dark)
    for shown in PAGES:
        visited(page, shown, world, live_server.url)
        accessible(page)
        picture(page, f"portal-{shown.title.replace(' ', '-')}-{'dark' if dark else 'light'}")
