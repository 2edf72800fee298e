"""Mail in a real browser: what agents read, take back and mention, and how a customer rates, also on a phone.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from tickets import access
from tickets.events import SYSTEM
from tickets.mail.models import BlockedSender, MailSettings, NoticePreference, Outgoing, Undeliverable
from tickets.mail.tests.mails import GIF, keep, make_mail
from tickets.models import Comment, Ticket
from tickets.services import conversation, status
from tickets.services.base import Original
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HTML = """
<table width="560" align="center" cellpadding="8"><tr><td bgcolor="#1f3a8a"><font color="#ffffff" size="4">
<b>ACME Industries</b></font></td></tr><tr><td>
<p>Hello,</p><p>the <b>invoice of March</b> lists two charges for one order:</p>
<table border="1" cellpadding="6"><tr><th>Order</th><th align="right">Charged</th></tr><tr><td>2291</td>
<td align="right">49.00</td></tr><tr><td>2291</td><td align="right">49.00</td></tr></table>
<p><img src="https://pixel.customers.example/logo.png" alt="ACME logo"> <img src="cid:dot" alt="A dot" width="8"></p>
<p>See <a href="https://shop.customers.example/orders/2291">the order</a>.</p></td></tr></table>
"""
QUOTED = (
    "On Mon, 2 Mar 2026 at 09:12, Acme Support <help@acme.example> wrote:\n> Hello Jane,\n> which order is it?\n\n"
    "-- \nJane Smith\nHead of Finance"
)


@pytest.fixture(autouse=True)
def _files_of_their_own(settings: Any, tmp_path: Any) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    }


@pytest.fixture
def maria() -> Any:
    return make_agent(
        WorkspaceFactory(name="Acme", slug="acme"), user__name="Maria Rossi", user__email="maria@acme.example"
    )


def told(comment: Comment, state: str, *, reason: str = "", after: float = 0) -> None:
    at = timezone.now() + dt.timedelta(seconds=after)
    comment.delivery = {"state": state, "at": at.isoformat(), "to": ["jane@customers.example"], "reason": reason}
    comment.save(update_fields=["delivery"])


def a_conversation(maria: Any) -> Ticket:
    """A ticket that came by mail, with one of everything that mail brings."""
    now = timezone.now() - dt.timedelta(hours=2)
    ticket = make_ticket(
        maria.workspace,
        now,
        channel="email",
        subject="Two charges for one order",
        description="Hello,\n\nthe invoice of March lists two charges for one order.",
        original=Original(folded_text="-- \nJane Smith\nHead of Finance"),
    )
    keep(
        ticket, make_mail("Hello, the invoice of March lists two charges.", HTML, inline={"dot": GIF}), now,
        cc=["boss@customers.example", "a.very.long.address.of.a.colleague@accounting.customers.example"],
        subject="Two charges for one order",
    )  # fmt: skip
    first = make_reply(ticket, maria, now + dt.timedelta(minutes=10), body="Hello Jane, which order is it?")
    told(first, "sent", after=-6600)
    conversation.customer_reply(
        ticket=ticket, contact=ticket.requester, body="It is 2291.", channel="email",
        now=now + dt.timedelta(minutes=20), original=Original(folded_text=QUOTED),
    )  # fmt: skip
    guest = ContactFactory(workspace=maria.workspace, email="guest@elsewhere.example", name="Peter Stone")
    conversation.customer_reply(
        ticket=ticket, contact=guest, body="I see the same.", channel="email", now=now + dt.timedelta(minutes=30),
        vouched=True,
    )  # fmt: skip
    second = make_reply(ticket, maria, now + dt.timedelta(minutes=40), body="We are looking into it.")
    told(second, "bounced", reason="550 5.1.1 user unknown", after=-300)
    third = make_reply(ticket, maria, now + dt.timedelta(minutes=45), body="You get 49.00 back.")
    told(third, "held", reason="Too many mails to this address within ten minutes.", after=-200)
    return ticket


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_every_page_is_accessible_and_fits_the_screen(
    live_server: Any, open_browser: Any, maria: Any, size: tuple[int, int], dark: bool
) -> None:
    ticket = a_conversation(maria)
    last = make_reply(ticket, maria, timezone.now(), body="Anything else?")
    told(last, "waiting", after=90)
    Undeliverable.unscoped.create(
        workspace=maria.workspace, address="jane@customers.example", reason="user unknown", bounced_at=timezone.now()
    )
    page = open_browser(*size, dark=dark)
    name = f"mail-{size[0]}-{'dark' if dark else 'light'}"
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    expect(page.locator("[data-countdown]")).to_be_visible()
    page.locator(".delivery").last.scroll_into_view_if_needed()
    accessible(page)
    picture(page, f"{name}-0-ticket-end")
    quoted = page.locator(".quoted").nth(1)
    quoted.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(quoted.get_by_text("which order is it?")).to_be_visible()
    accessible(page)
    picture(page, f"{name}-1-ticket")
    page.locator("#conversation").evaluate("e => { e.scrollTop = 0 }")
    picture(page, f"{name}-2-ticket-top")
    for path, what in (
        (f"tickets/{ticket.pk}/original", "3-original"),
        (f"tickets/{ticket.pk}/original?as=text", "4-original-text"),
        (f"tickets/{ticket.pk}/not-a-ticket", "5-not-a-ticket"),
        ("profile/notices", "6-notices"),
    ):
        page.goto(f"{live_server.url}/{path}")
        accessible(page)
        picture(page, f"{name}-{what}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
def test_a_customer_rates_the_help(
    live_server: Any, open_browser: Any, maria: Any, size: tuple[int, int], dark: bool
) -> None:
    ticket = a_conversation(maria)
    status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=timezone.now())
    token = access.issue(ticket=ticket, contact=ticket.requester, now=timezone.now())
    page = open_browser(*size, dark=dark)
    name = f"rating-{size[0]}-{'dark' if dark else 'light'}"
    page.goto(f"{live_server.url}/portal/tickets/{ticket.pk}?token={token}&rating=4#rate")
    form = page.locator("#rate")
    expect(form.get_by_role("radio", name="Good", exact=True)).to_be_checked()
    page.locator(".quoted").nth(1).locator("summary").click()
    expect(page.get_by_text("user unknown")).to_have_count(0)
    accessible(page)
    picture(page, f"{name}-1")
    form.scroll_into_view_if_needed()
    picture(page, f"{name}-1-form")
    form.get_by_role("radio", name="Good", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(form.get_by_role("radio", name="Very good", exact=True)).to_be_checked()
    form.get_by_label("What could we do better").fill("Nothing, thank you!")
    form.get_by_role("button", name="Send rating").click()
    expect(page.get_by_text("Thank you, your rating was sent.")).to_be_visible()
    expect(page.get_by_role("heading", name="Your rating: Very good, 5 of 5")).to_be_visible()
    accessible(page)
    picture(page, f"{name}-2-sent")


def test_an_agent_reads_the_original_and_asks_for_its_images(live_server: Any, open_browser: Any, maria: Any) -> None:
    ticket = a_conversation(maria)
    page = open_browser()
    asked: list[str] = []

    def serve(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(body=GIF, content_type="image/gif")

    page.route("https://pixel.customers.example/**", serve)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    page.get_by_label("More about the request").click()
    page.get_by_role("link", name="Show original").first.click()
    expect(page.get_by_text("1 image of other servers is not shown.")).to_be_visible()
    expect(page.get_by_alt_text("A dot")).to_have_js_property("naturalWidth", 1)
    assert asked == []
    page.get_by_role("link", name="Show images").click()
    expect(page.get_by_text("Images of other servers are shown, this time only.")).to_be_visible()
    expect(page.get_by_alt_text("ACME logo")).to_have_js_property("naturalWidth", 1)
    assert asked == ["https://pixel.customers.example/logo.png"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download .eml").click()
    assert download.value.suggested_filename == "Two charges for one order.eml"


def test_the_countdown_ends_and_the_line_tells_what_became_of_it(
    live_server: Any, open_browser: Any, maria: Any
) -> None:
    ticket = make_ticket(maria.workspace, timezone.now(), channel="email")
    comment = make_reply(ticket, maria, timezone.now())
    told(comment, "waiting", after=4)
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    line = page.locator(f"#delivery-{comment.pk}")
    expect(line.get_by_role("button", name="Undo")).to_be_visible()
    expect(line).to_contain_text("Sending…")
    expect(line.get_by_role("button", name="Undo")).to_have_count(0)
    told(comment, "sent")
    expect(line).to_contain_text("Sent ")


def test_an_answer_is_taken_back_with_the_keyboard_and_nothing_typed_is_lost(
    live_server: Any, open_browser: Any, maria: Any
) -> None:
    ticket = make_ticket(maria.workspace, timezone.now(), channel="email")
    MailSettings.unscoped.create(workspace=maria.workspace, undo_seconds=60)
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}?view=unassigned")
    text = page.get_by_role("textbox", name="Message")
    text.fill("Dear Sam,")
    page.keyboard.press("Control+Enter")
    undo = page.locator(".delivery").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    expect(page.locator("[data-countdown]")).to_contain_text("s")
    text.press_sequentially("One more thing")
    undo.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Taken back: nothing was sent.")).to_be_visible()
    expect(text).to_have_value("Dear Sam,\n\nOne more thing")
    expect(text).to_be_focused()
    accessible(page)
    picture(page, "mail-taken-back")
    text.press_sequentially("!")
    page.reload()
    expect(text).to_have_value("Dear Sam,\n\nOne more thing!")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message[data-kind=agent]")).to_have_count(1)
    expect(text).to_have_value("")
    assert "taken_back" not in page.url
    assert list(Outgoing.unscoped.order_by("created_at").values_list("status", flat=True)) == ["cancelled", "waiting"]


def test_a_mention_is_chosen_with_the_keyboard_in_a_note_only(live_server: Any, open_browser: Any, maria: Any) -> None:
    for name in ("Sam Okafor", "Samira Haddad", "Lee Wong"):
        make_agent(maria.workspace, user__name=name, user__email=f"{name.split()[0].lower()}@acme.example")
    ticket = make_ticket(maria.workspace, timezone.now())
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    text = page.get_by_role("textbox", name="Message")
    offered = page.get_by_role("listbox", name="Mention somebody")
    text.press_sequentially("Hello @sa")
    page.wait_for_timeout(300)  # nothing is asked in a reply
    expect(offered).to_be_hidden()
    text.fill("")
    page.get_by_text("Internal note").first.click()
    text.press_sequentially("Please look, @sa")
    expect(offered.get_by_role("option")).to_have_count(2)
    expect(offered.get_by_role("option", selected=True)).to_contain_text("Sam Okafor")
    accessible(page)
    picture(page, "mail-mentions")
    page.keyboard.press("ArrowDown")
    expect(offered.get_by_role("option", selected=True)).to_contain_text("Samira Haddad")
    page.keyboard.press("Enter")
    expect(text).to_have_value("Please look, @samira ")
    expect(offered).to_be_hidden()
    text.press_sequentially("and @lee")
    expect(offered.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(offered).to_be_hidden()
    expect(text).to_have_value("Please look, @samira and @lee")
    text.press_sequentially("@")  # within a word it means nobody
    text.press_sequentially(" @")
    offered.get_by_text("Sam Okafor").click()
    expect(text).to_have_value("Please look, @samira and @lee@ @sam ")


def test_not_a_ticket_and_back_again(live_server: Any, open_browser: Any, maria: Any) -> None:
    ticket = a_conversation(maria)
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/tickets/{ticket.pk}")
    page.get_by_label("More actions").click()
    page.get_by_role("link", name="Not a ticket…").click()
    page.get_by_role("button", name="Not a ticket").click()
    expect(page.get_by_text("Mail from jane@customers.example is ignored from now on.")).to_be_visible()
    picture(page, "mail-not-a-ticket-done")
    accessible(page)
    assert BlockedSender.unscoped.count() == 1
    page.get_by_role("button", name="Unblock jane@customers.example").click()
    expect(page.get_by_text("comes in again")).to_be_visible()
    assert not BlockedSender.unscoped.exists()


def test_notices_are_chosen_without_a_mouse(live_server: Any, open_browser: Any, maria: Any) -> None:
    page = open_browser()
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/profile/notices")
    page.get_by_label("A customer writes on a ticket assigned to me").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert NoticePreference.unscoped.get().replied is False
