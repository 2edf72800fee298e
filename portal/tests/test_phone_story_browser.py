"""A customer's whole story on a phone, by the keyboard: ask with a file, follow the mailed links, answer, rate.

The links are taken from the mails as they lie in `DATA_DIR/mail`, as the demo writes them.
"""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from helpdesk import mail_files
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture, sign_in
from portal.models import Satisfaction
from tickets.mail.models import Outgoing
from tickets.mail.services import sending
from tickets.models import Attachment, Comment, Ticket
from tickets.services import base, status
from tickets.tests.factories import make_agent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = (390, 844)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace, user__name="Maria Rossi", user__email="maria@acme.example")


@pytest.fixture(autouse=True)
def _mail_lies_in_a_folder(settings: Any, tmp_path: Path, live_server: Any) -> None:
    settings.EMAIL_BACKEND = "helpdesk.mail_files.FileBackend"
    settings.DATA_DIR = tmp_path
    settings.SITE_URL = live_server.url


def newest_mail() -> mail_files.Letter:
    """What a worker sends now, as it lies in the folder."""
    before = len(mail_files.names())
    for row in Outgoing.unscoped.filter(status="waiting").order_by("pk"):
        sending.send(outgoing_id=row.pk, now=timezone.now() + dt.timedelta(hours=1))
    assert len(mail_files.names()) == before + 1
    letter = mail_files.read(mail_files.names()[0])
    assert letter is not None and letter.to == "jane@customers.example"
    return letter


def link_in(letter: mail_files.Letter, server: str, ending: str = "") -> str:
    """The address that the mail shows; `ending` is how the wanted one ends."""
    found = re.findall(rf"{re.escape(server)}/portal/tickets/\S+{ending}", letter.text)
    assert found, letter.text
    return str(found[0])


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Any, name: str) -> None:
    """Go on with the Tab key until what has this name or label has the focus."""
    said = """() => {
      const at = document.activeElement;
      if (at === document.body) return "";
      return [at.labels?.[0]?.textContent, at.getAttribute("aria-label"), at.textContent].join(" ");
    }"""
    for _ in range(60):
        if name in page.evaluate(said):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not get to “{name}”")


def write(page: Any, name: str, words: str) -> None:
    tab_to(page, name)
    page.keyboard.type(words)


def test_ask_with_a_file_follow_the_mail_answer_and_rate(
    live_server: Any, open_browser: Any, workspace: Workspace, maria: Membership, tmp_path: Path
) -> None:
    picture_of_it, more = tmp_path / "screen.txt", tmp_path / "log.txt"
    picture_of_it.write_text("what I saw")
    more.write_text("what it logged")

    # They ask, with a file.
    phone = open_browser(*PHONE)
    phone.goto(f"{live_server.url}/portal/acme/new")
    write(phone, "What is it about?", "Cannot log in")
    write(phone, "What happened?", "The page says that my account is locked.")
    write(phone, "Your name", "Jane Smith")
    write(phone, "Your e-mail", "jane@customers.example")
    phone.locator("input[type=file]").set_input_files(picture_of_it)
    tab_to(phone, "Send request")
    press(phone, "Enter")
    phone.get_by_text("We have your request").first.wait_for()
    picture(phone, "phone-1-sent")

    # The mail's link opens the request in a browser that knows nothing of it.
    link = link_in(newest_mail(), live_server.url)
    phone = open_browser(*PHONE)
    phone.goto(link)
    phone.get_by_text("my account is locked").wait_for()
    assert "token" not in phone.url
    assert phone.get_by_text("screen.txt").count()
    accessible(phone)
    write(phone, "Your answer", "It happens in every browser.")
    phone.locator("#answer input[type=file]").set_input_files(more)
    tab_to(phone, "Send answer")
    press(phone, "Enter")
    phone.get_by_text("Your answer was sent").first.wait_for()
    picture(phone, "phone-2-answered")
    ticket = Ticket.objects.for_workspace(workspace).get()
    answer = Comment.objects.for_workspace(workspace).get()
    assert answer.body == "It happens in every browser."
    names = Attachment.objects.for_workspace(workspace).values_list("name", "comment_id")
    assert set(names) == {("screen.txt", None), ("log.txt", answer.pk)}

    # It is resolved; the mail asks how it went, and its link leads to the question.
    status.change_status(ticket=ticket, to="resolved", actor=base.agent(maria), now=timezone.now())
    letter = newest_mail()
    phone = open_browser(*PHONE)
    phone.goto(link_in(letter, live_server.url, "#rate"))
    phone.get_by_text("Resolved").first.wait_for()
    assert not Satisfaction.unscoped.exists()  # following a link records nothing
    radio = phone.get_by_role("radio").first
    radio.focus()
    press(phone, *["ArrowRight"] * 4, *(["Space"] if not phone.get_by_role("radio").last.is_checked() else []))
    assert phone.get_by_role("radio").last.is_checked()
    press(phone, "Tab")
    phone.keyboard.type("Quick and friendly.")
    tab_to(phone, "Send rating")
    press(phone, "Enter")
    phone.get_by_text("Quick and friendly.").or_(phone.get_by_text("Thank you")).first.wait_for()
    accessible(phone)
    picture(phone, "phone-3-rated")
    given = Satisfaction.unscoped.get()
    assert (given.rating, given.feedback) == (5, "Quick and friendly.")

    # The agent sees it.
    desk = open_browser()
    sign_in(desk, live_server.url)
    desk.goto(f"{live_server.url}/tickets/{ticket.pk}")
    desk.get_by_text("Quick and friendly.").first.wait_for()
