"""The page of the API in a real browser, under the content security policy."""

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_swagger_ui_reads_our_document_without_a_complaint_of_the_browser(live_server: Any, open_browser: Any) -> None:
    page = open_browser()
    page.goto(f"{live_server.url}/api/docs")
    page.get_by_role("heading", name="Helpdesk API").wait_for()
    page.locator("#operations-People-me button").first.click()
    page.locator("#operations-People-me").get_by_text("No token or key, or one that opens nothing.").wait_for()
    assert page.locator(".errors-wrapper").count() == 0
