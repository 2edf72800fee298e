"""Find my requests in a real browser, on a phone, with the keyboard alone.

Set SCREENSHOTS=folder to keep pictures of every step.
"""

import datetime as dt
import re
from typing import Any

import pytest
from django.utils import timezone

from helpdesk import mail_files
from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.tests.browser import accessible, picture
from portal import tasks
from portal.models import Satisfaction
from portal.services import visits
from portal.tests.factories import finish, make_request
from tickets import dispatch
from tickets.mail import tasks as mail_tasks
from tickets.models import Participant
from tickets.tests.factories import make_agent, make_reply

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

JANE = "jane@customers.example"
TASKS = {"portal.tasks.mail_links": tasks.mail_links, "tickets.mail.tasks.send_outgoing": mail_tasks.send_outgoing}


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The tasks that were queued; the tests work them off themselves."""
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(dispatch, "queue_after_commit", lambda *given, **_: asked.append(given))
    return asked


@pytest.fixture
def mail_folder(settings: Any, tmp_path: Any, live_server: Any) -> None:
    """Mail becomes files, and its links lead to the test's own server."""
    settings.EMAIL_BACKEND = "helpdesk.mail_files.FileBackend"
    settings.DATA_DIR, settings.SITE_URL = tmp_path, live_server.url


@pytest.fixture
def workspace() -> Workspace:
    """A desk that knows Jane: one request is answered, one resolved, one of a colleague with her in copy."""
    workspace = WorkspaceFactory(name="Acme", slug="acme")
    now = timezone.now()
    agent = make_agent(workspace, user__name="Maria Rossi")
    first, _ = make_request(
        workspace,
        now - dt.timedelta(days=9),
        subject="Invoice of March lists a seat that we cancelled in January, and the one of April does again",
    )
    finish(first, "resolved", now=now - dt.timedelta(days=8), by=agent)
    copied, _ = make_request(
        workspace, now - dt.timedelta(days=2), requester_email="tom@customers.example", subject="Two seats more"
    )
    jane = Contact.objects.for_workspace(workspace).get(email=JANE)
    Participant.unscoped.create(workspace=workspace, ticket=copied, contact=jane)
    asked, _ = make_request(workspace, now - dt.timedelta(hours=5), subject="Cannot log in after the password reset")
    make_reply(asked, agent, body="Please try **once more**: we have unlocked it.", now=now - dt.timedelta(hours=4))
    finish(asked, "pending", now=now - dt.timedelta(hours=4), by=agent)
    return workspace


def work_off(queued: list[tuple[Any, ...]]) -> None:
    """Do what was queued, and what that queues."""
    while queued:
        name, *arguments = queued.pop(0)
        if name in TASKS:
            TASKS[name].apply(args=arguments).get()


def reach(page: Any, words: str) -> None:
    """Press Tab until the control with these words has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const at = document.activeElement; return [at.innerText, at.getAttribute('aria-label'),"
            " ...[...(at.labels ?? [])].map((label) => label.innerText)].join(' ') })()"
        )
        if words in focused:
            return
    raise AssertionError(f"the keyboard does not reach {words!r}")


def test_from_the_mailed_link_to_a_rating_with_the_keyboard(
    live_server: Any, open_browser: Any, workspace: Workspace, queued: list[Any], mail_folder: None
) -> None:
    page = open_browser(390, 844)
    page.goto(f"{live_server.url}/portal/acme/requests")
    reach(page, "Your e-mail")
    page.keyboard.type(JANE)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Check your mail").wait_for()
    assert [task for task in queued if task[0] == "portal.tasks.mail_links"]
    work_off(queued)

    [name] = [line.name for line in mail_files.lines(mail_files.names()) if line.subject == "Your requests to Acme"]
    letter = mail_files.read(name)
    assert letter is not None and letter.to == JANE
    [link] = re.findall(r"\S+/sign-in\?token=\S+", letter.text)
    page.goto(link)
    assert page.url == f"{live_server.url}/portal/acme/requests"
    reach(page, "Cannot log in after")
    page.keyboard.press("Enter")
    page.get_by_text("once more").wait_for()
    reach(page, "This solved it")
    page.keyboard.press("Enter")
    page.get_by_text("Glad that it is solved").wait_for()
    reach(page, "Rate our help")
    page.keyboard.press("Enter")
    reach(page, "Very bad")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    reach(page, "What could we do better?")
    page.keyboard.type("Nothing!")
    reach(page, "Send rating")
    page.keyboard.press("Enter")
    page.get_by_text("Thank you, your rating was sent.").wait_for()
    rating = Satisfaction.unscoped.get()
    assert (rating.rating, rating.feedback, rating.ticket.status) == (5, "Nothing!", "resolved")
    page.goto(f"{live_server.url}/portal/acme/requests")
    reach(page, "Sign out")
    page.keyboard.press("Enter")
    page.get_by_text("You are signed out").wait_for()


@pytest.mark.parametrize(
    ("name", "width", "height", "dark"),
    [
        ("phone", 390, 844, False),
        ("phone-dark", 390, 844, True),
        ("desk", 1440, 900, False),
        ("desk-dark", 1440, 900, True),
    ],
)
def test_its_pages_are_accessible(
    live_server: Any,
    open_browser: Any,
    workspace: Workspace,
    queued: list[Any],
    name: str,
    width: int,
    height: int,
    dark: bool,
) -> None:
    page = open_browser(width, height, dark)

    def look(step: str) -> None:
        accessible(page)
        picture(page, f"{step}-{name}")

    page.goto(f"{live_server.url}/portal/acme/requests")
    look("1-form")
    page.get_by_label("Your e-mail").fill("jane@customers")
    page.get_by_role("button", name="Mail me a link").click()
    look("2-refused")
    page.get_by_label("Your e-mail").fill(JANE)
    page.get_by_role("button", name="Mail me a link").click()
    page.get_by_role("heading", name="Check your mail").wait_for()
    look("3-mailed")
    page.goto(f"{live_server.url}/portal/acme/sign-in?token=old")
    look("4-gone")
    page.get_by_label("Your e-mail").fill(JANE)
    page.get_by_role("button", name="Mail me a link").click()  # this form is taken, although its address holds a link
    page.get_by_role("heading", name="Check your mail").wait_for()

    visits.send_links(workspace_id=workspace.pk, address=JANE, now=timezone.now())
    link = visits.SignInLink.unscoped.get()
    page.goto(f"{live_server.url}/portal/acme/sign-in?token={visits.token_of(link)}")
    look("5-list")
    page.get_by_role("link", name="Not resolved yet").click()
    page.get_by_role("link", name=re.compile("Cannot log in after")).click()
    look("6-request")
    page.get_by_role("button", name="This solved it").click()
    page.get_by_text("Glad that it is solved").wait_for()
    look("7-solved")
    page.get_by_label("What is still open?").fill("It is locked again.")
    page.get_by_role("button", name="Reopen request").click()
    page.get_by_text("Your request is open again").wait_for()
    look("8-reopened")
    if name == "desk":
        for number in range(45):
            make_request(workspace, timezone.now(), subject=f"Question {number}")
        page.goto(f"{live_server.url}/portal/acme/requests?page=2")
        look("9-pages")
