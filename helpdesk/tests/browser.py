"""What the tests in a real browser share."""

import os
import re
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe

from helpdesk.accounts.tests.factories import PASSWORD


def picture(page: Any, name: str) -> None:
    """Keep a picture of the page, where SCREENSHOTS names a folder for them."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")
        # The page scrolls inside the shell: once more with all of it in sight.
        size = page.viewport_size
        higher = page.evaluate(
            "(() => { const m = document.querySelector('main'); return m.scrollHeight - m.clientHeight })()"
        )
        if higher > 0:
            page.set_viewport_size({"width": size["width"], "height": size["height"] + higher})
            page.screenshot(path=f"{folder}/{name}-whole.png")
            page.set_viewport_size(size)


def accessible(page: Any) -> None:
    """axe-core finds nothing on the page as it stands, and it is no wider than the screen."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{page.url} is {wider} px wider than the screen"


def sign_in(page: Any, server: str, email: str = "maria@acme.example") -> None:
    """Through the page for it, as Maria unless told otherwise."""
    page.goto(f"{server}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/tickets/view/mine"))
