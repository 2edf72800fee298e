"""Help articles in a real browser: written, seen, published, and put into a reply with the keyboard.

Set SCREENSHOTS=folder to keep pictures of every page.
"""

import datetime as dt
import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from portal.management import demo_articles
from portal.models import Article, ArticleCategory
from portal.services import articles
from portal.tests.article_rows import make_article, make_category, make_feedback
from tickets.models import Comment
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIZES = [(1440, 900, "light"), (1440, 900, "dark"), (390, 844, "light"), (390, 844, "dark")]


@pytest.fixture
def workspace() -> Any:
    made = WorkspaceFactory(name="Acme", slug="acme")
    make_agent(made, role="admin", user__name="Maria Rossi", user__email="maria@acme.example")
    return made


@pytest.fixture
def ticket(workspace: Any) -> Any:
    return make_ticket(
        workspace,
        now=timezone.now(),
        subject="Labels come out rotated",
        description="The labels are printed rotated by 90 degrees. Our printer is a label printer.",
    )


def test_written_seen_published_and_put_into_a_reply_by_keyboard(
    live_server: Any, open_browser: Any, workspace: Any, ticket: Any, settings: Any
) -> None:
    settings.SITE_URL = "https://help.acme.example"
    make_category(workspace, "Printing", now=timezone.now())
    page = open_browser()
    sign_in(page, live_server.url)
    page.get_by_role("link", name="Help articles").click()
    page.get_by_role("link", name="Write the first one").click()
    page.get_by_label("Title").focus()
    page.keyboard.type("Labels [A6] are rotated")
    page.keyboard.press("Tab")
    page.keyboard.type("Pri")  # the category
    preview = page.get_by_role("button", name="Preview")
    page.keyboard.press("Tab")
    expect(preview).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("Choose **100 x 150 mm** under <b>Settings</b>.")
    preview.focus()
    page.keyboard.press("Enter")
    shown = page.get_by_role("region", name="Preview")
    expect(shown.locator("strong")).to_have_text("100 x 150 mm")
    expect(shown).to_contain_text("<b>Settings</b>")
    accessible(page)
    preview.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Text")).to_be_focused()
    page.get_by_role("button", name="Save and publish").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is in the portal.")).to_be_visible()
    made = Article.unscoped.get()
    assert (made.status, made.slug, made.category.name) == ("published", "labels-a6-are-rotated", "Printing")
    link = rf"[Labels \[A6\] are rotated](https://help.acme.example/portal/acme/articles/{made.slug})"

    # From the composer's menu: its words suggest it.
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    body = page.get_by_label("Message", exact=True)
    body.focus()
    page.keyboard.type("Please see")
    page.locator(".article-menu > summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#article-search")).to_be_focused()
    option = page.locator("#article-list").get_by_role("button", name="Labels [A6] are rotated")
    expect(option).to_be_visible()
    accessible(page)
    picture(page, "articles-composer")
    page.keyboard.type("rotated")
    page.keyboard.press("Enter")
    expect(body).to_be_focused()
    expect(body).to_have_value(f"Please see {link}")
    # From the panel: the text, in paragraphs of its own.
    panel = page.locator(".help-articles")
    panel.scroll_into_view_if_needed()
    expect(panel.get_by_role("link", name="Labels [A6] are rotated", exact=True)).to_be_visible()
    text = panel.get_by_role("button", name="Insert the text of Labels [A6] are rotated")
    text.focus()
    page.keyboard.press("Enter")
    expect(body).to_be_focused()
    expect(body).to_have_value(f"Please see {link}\n\nChoose **100 x 150 mm** under <b>Settings</b>.")
    page.keyboard.press("Control+Enter")
    sent = page.locator("#conversation .message[data-kind=agent]")
    expect(sent.get_by_role("link", name="Labels [A6] are rotated")).to_have_attribute(
        "href", f"https://help.acme.example/portal/acme/articles/{made.slug}"
    )
    assert Comment.unscoped.get().body.startswith(f"Please see {link}")


def test_the_panel_searches_stays_when_the_ticket_changes_and_makes_an_article(
    live_server: Any, open_browser: Any, workspace: Any, ticket: Any
) -> None:
    now = timezone.now()
    maria = workspace.memberships.get()
    make_article(workspace, maria, now, title="Printing customs forms")
    make_article(workspace, maria, now, title="Forms for returns", publish=False)
    # Long sent: how a mail fares that is on its way is asked again and again.
    make_reply(ticket, maria, now - dt.timedelta(hours=1), body="Hi Jane, please choose **ZPL**.")
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    panel = page.locator(".help-articles")
    panel.scroll_into_view_if_needed()
    search = panel.get_by_role("searchbox")
    search.fill("forms")
    expect(panel.get_by_role("link", name="Printing customs forms", exact=True)).to_be_visible()
    expect(panel.get_by_role("link", name="Forms for returns", exact=True)).to_be_visible()
    expect(panel.get_by_role("button", name="Insert a link")).to_have_count(1)
    accessible(page)
    page.get_by_label("Priority").select_option("urgent")
    expect(page.locator("#ticket-header").get_by_text("Urgent")).to_be_visible()
    expect(search).to_have_value("forms")
    expect(panel.get_by_role("link", name="Printing customs forms", exact=True)).to_be_visible()
    picture(page, "articles-panel")
    panel.get_by_role("button", name="Make an article of this ticket").click()
    expect(page.get_by_label("Title")).to_have_value("Labels come out rotated")
    expect(page.get_by_label("Text")).to_have_value(re.compile("Hi \\[customer\\], please choose"))
    accessible(page)


def test_categories_are_dragged_and_moved(live_server: Any, open_browser: Any, workspace: Any) -> None:
    for name in ("One", "Two", "Three"):
        make_category(workspace, name, now=timezone.now())
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/articles/categories")
    grips = page.locator("#shelves .grip")
    start, target = grips.nth(0).bounding_box(), grips.nth(2).bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(target["x"] + 5, target["y"] + 40, steps=8)
    page.mouse.up()
    expect(page.locator("#order-said")).to_have_text("One is now number 3.")
    assert [shelf.name for shelf in articles.categories(workspace.pk)] == ["Two", "Three", "One"]
    page.get_by_role("button", name="Show One earlier").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#order-said")).to_have_text("One is now number 2.")
    expect(page.get_by_role("button", name="Show One earlier")).to_be_focused()
    assert [shelf.name for shelf in articles.categories(workspace.pk)] == ["Two", "One", "Three"]


@pytest.mark.parametrize(("width", "height", "theme"), SIZES)
def test_every_page_looks_right_and_can_be_used_by_everybody(
    live_server: Any, open_browser: Any, workspace: Any, ticket: Any, width: int, height: int, theme: str
) -> None:
    now = timezone.now()
    maria = workspace.memberships.get()
    for name, description in demo_articles.CATEGORIES:
        articles.save_category(workspace=workspace, changes={"name": name, "description": description}, now=now)
    shelves = {shelf.name: shelf.pk for shelf in ArticleCategory.objects.for_workspace(workspace)}
    for text in demo_articles.ARTICLES:
        made = make_article(
            workspace, maria, now, title=text.title, body=text.body, publish=text.days is not None,
            category_id=shelves[text.category],
        )  # fmt: skip
        Article.unscoped.filter(pk=made.pk).update(
            view_count=text.views, helpful_count=text.yes, unhelpful_count=text.no
        )
        for is_helpful, words in text.said:
            make_feedback(made, now, is_helpful=is_helpful, comment=words)
    first = Article.objects.for_workspace(workspace).get(title__startswith="I cannot sign in")
    page = open_browser(width=width, height=height, dark=theme == "dark")
    sign_in(page, live_server.url)
    tail = f"{width}-{theme}"
    for path, name in (
        ("/articles", "list"),
        ("/articles?q=zzz", "none"),
        ("/articles/new", "new"),
        (f"/articles/{first.pk}", "article"),
        ("/articles/categories", "categories"),
        ("/articles/categories/new", "category"),
        (f"/articles/for-ticket/{ticket.pk}", "for-ticket"),
        (f"/tickets/{ticket.pk}", "ticket"),
    ):
        page.goto(live_server.url + path)
        if name == "ticket":
            page.locator(".help-articles").scroll_into_view_if_needed()
            expect(page.locator("#offered li").first).to_be_visible()
        accessible(page)
        picture(page, f"articles-{name}-{tail}")
    page.locator(".article-menu > summary").click()
    expect(page.locator("#article-list [data-article]").first).to_be_visible()
    accessible(page)
    picture(page, f"articles-menu-{tail}")
    # Somebody else saved meanwhile.
    page.goto(f"{live_server.url}/articles/{first.pk}")
    articles.edit(article=first, changes={"title": "I cannot get in"}, version=1, by=maria, now=now)
    page.get_by_label("Title").fill("Locked out")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("saved this article while you were writing")).to_be_visible()
    accessible(page)
    picture(page, f"articles-conflict-{tail}")
