"""Help articles in a real browser. Set SCREENSHOTS=folder to keep pictures."""

import re

import pytest
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture
from portal.models import ArticleCategory, ArticleFeedback
from portal.tests.factories import make_article
from tickets.tests.factories import NOW

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BODY = """Forgot your password, or **locked out** after too many tries? You set a new one yourself in two minutes.

# Ask for a link

1. Open the sign-in page and choose *Forgotten*.
2. Type the address that you sign in with.
   - It must be the address of your account, not another one.
3. Look into your mail. The link works for one hour.

> No mail after five minutes? Look into the spam folder first.

# Choose a new password

It needs at least ten characters. We refuse words that everybody knows, such as `password123`.

| Rule | Why |
| --- | --- |
| Ten characters | Short ones are guessed within hours |
| Not used before | Old ones may be known |

## For administrators

```
helpdesk reset-password --address jane@customers.example --with-a-very-long-option-that-does-not-fit
```

# When nothing helps

Write to us. We [answer within a day](https://example.com) and check who you are first.
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["phone", "wide"])
def test_a_visitor_searches_reads_and_says_whether_it_helped(live_server, open_browser, size, dark):
    workspace = WorkspaceFactory(name="Acme", slug="acme")
    category = ArticleCategory.unscoped.create(
        workspace=workspace,
        name="Signing in",
        slug="signing-in",
        description="Passwords, links and phones.",
        created_at=NOW,
        updated_at=NOW,
    )
    article = make_article(workspace, "Reset a forgotten password", BODY, category=category, slug="reset", view_count=4)
    make_article(workspace, "Why accounts are locked", "After ten wrong passwords, for an hour.", category=category)
    make_article(workspace, "Set up single sign-on", "For administrators: connect by SAML.", category=category)
    make_article(workspace, "Download an invoice", "Each is a PDF under Billing.", view_count=2)
    name = f"{size[0]}-{'dark' if dark else 'light'}"
    page = open_browser(*size, dark=dark)

    page.goto(f"{live_server.url}/portal/acme/search?q=forgoten+pasword")
    accessible(page)
    picture(page, f"search-close-{name}")
    page.goto(f"{live_server.url}/portal/acme/search?q=giraffe")
    accessible(page)
    picture(page, f"search-nothing-{name}")
    page.get_by_role("searchbox").fill("password")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("heading", name="2 articles")).to_be_visible()
    accessible(page)
    picture(page, f"search-{name}")

    with page.expect_response(re.compile("/view$")) as counted:
        page.get_by_role("link", name=re.compile("Reset a forgotten password")).click()
    assert counted.value.status == 204
    page.reload()
    accessible(page)
    picture(page, f"article-{name}")
    article.refresh_from_db()
    assert article.view_count == 5

    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_label("What was missing or wrong?").fill("The picture is old.")
    accessible(page)
    picture(page, f"article-no-{name}")
    page.get_by_role("button", name="Tell us").click()
    expect(page.get_by_text("We will look into it")).to_be_visible()
    accessible(page)
    feedback = ArticleFeedback.objects.for_workspace(workspace).get()
    assert (feedback.is_helpful, feedback.comment) == (False, "The picture is old.")

    page.get_by_role("link", name="Signing in").click()
    expect(page.get_by_role("heading", level=1, name="Signing in")).to_be_visible()
    accessible(page)
    picture(page, f"category-{name}")
    page.goto(f"{live_server.url}/portal/acme/articles/there-is-none")
    accessible(page)
    picture(page, f"gone-{name}")
