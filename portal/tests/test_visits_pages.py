"""Find my requests in the browser: the form, the mailed link, the list, and what the visit opens."""

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.models import SignInLink
from portal.services import visits
from portal.tests.factories import a_file, finish, make_request
from tickets import dispatch
from tickets.models import Attachment, Comment, Participant, Ticket
from tickets.services import base, conversation, editing
from tickets.tests.factories import make_agent, make_reply

pytestmark = pytest.mark.django_db

JANE = "jane@customers.example"
FORM, SIGN_OUT = "/portal/acme/requests", "/portal/acme/sign-out"
SECOND, HOUR, DAY = dt.timedelta(seconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The tasks that were queued, instead of a broker."""
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(dispatch, "queue_after_commit", lambda *given, **_: asked.append(given))
    return asked


def mailed_link(workspace: Workspace, address: str = JANE, now: dt.datetime | None = None) -> tuple[SignInLink, str]:
    """A link that was mailed just now, and its address."""
    now = now or timezone.now()
    assert visits.send_links(workspace_id=workspace.pk, address=address, now=now) == 1
    link = SignInLink.objects.for_workspace(workspace).get(contact__email=address, created_at=now)
    return link, f"{reverse('portal:sign-in', args=[workspace.slug])}?token={visits.token_of(link)}"


def signed_in(client: Client, workspace: Workspace, address: str = JANE) -> Client:
    _, url = mailed_link(workspace, address)
    assert client.get(url).status_code == 302
    return client


def is_private(answer: Any) -> bool:
    """Whether the answer is kept nowhere, told to nobody and found by no search engine."""
    headers = (answer["Cache-Control"], answer["Referrer-Policy"], answer["X-Robots-Tag"])
    return headers == ("no-store", "no-referrer", "noindex")


def without_csrf(text: str) -> str:
    """A page without what differs each time it is drawn."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


def test_no_page_tells_an_address_that_holds_a_link(client: Client, workspace: Workspace) -> None:
    """As Referer (RFC 9110, 10.1.3), with which styles, scripts and forms are asked for. The last policy counts."""
    ticket, token = make_request(workspace)
    _, url = mailed_link(workspace)
    elsewhere = url.replace("/acme/", f"/{WorkspaceFactory().slug}/")  # good, but not for this portal
    for address in (elsewhere, f"/portal/tickets/{ticket.pk}?token={token}x"):
        answer = client.get(address)
        assert answer.status_code == 404 and answer["Referrer-Policy"] == "no-referrer"
        assert re.findall(r'<meta name="referrer" content="([^"]*)"', answer.text) == ["strict-origin"]


class TestAskingForTheLink:
    def test_queues_a_task_and_nothing_else(
        self, client: Client, workspace: Workspace, queued: list[Any], django_assert_num_queries: Any
    ) -> None:
        make_request(workspace)
        queued.clear()
        with django_assert_num_queries(1):  # the portal
            answer = client.post(FORM, {"email": " Jane@Customers.example"}, headers={"Accept-Language": "fr"})
        assert answer.status_code == 200 and is_private(answer)
        assert queued == [("portal.tasks.mail_links", str(workspace.pk), JANE, "fr")]
        assert not SignInLink.unscoped.exists()

    def test_is_answered_alike_for_every_address(self, client: Client, workspace: Workspace, queued: list[Any]) -> None:
        make_request(workspace)
        known, unknown = (client.post(FORM, {"email": to}) for to in (JANE, "jyne@customers.example"))
        assert without_csrf(known.text).replace(JANE, "") == without_csrf(unknown.text).replace(
            "jyne@customers.example", ""
        )
        assert dict(known.items()).keys() == dict(unknown.items()).keys() and known.status_code == unknown.status_code
        assert "If there are requests from" in known.text and not known.cookies.keys() ^ unknown.cookies.keys()

    @pytest.mark.parametrize("address", ["", "jane", "jane@customers.example\r\nBcc: x@y.example", "a@b..c", "x" * 300])
    def test_a_wrong_address_comes_back_with_the_form(
        self, client: Client, workspace: Workspace, queued: list[Any], address: str
    ) -> None:
        answer = client.post(FORM, {"email": address})
        assert answer.status_code == 400 and 'aria-invalid="true"' in answer.text
        assert not queued

    def test_is_limited_for_each_network(
        self, client: Client, workspace: Workspace, queued: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (2, 60))
        answers = [client.post(FORM, {"email": JANE}, REMOTE_ADDR="192.0.2.77") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429] and len(queued) == 2
        assert int(answers[-1]["Retry-After"]) > 0

    def test_needs_the_pages_own_form(self, workspace: Workspace, queued: list[Any]) -> None:
        assert Client(enforce_csrf_checks=True).post(FORM, {"email": JANE}).status_code == 403
        assert not queued

    def test_the_form_is_private(self, client: Client, workspace: Workspace) -> None:
        answer = client.get(FORM)
        assert answer.status_code == 200 and is_private(answer) and "Mail me a link" in answer.text
        assert client.get("/portal/nobody/requests").status_code == 404


class TestTheLink:
    def test_is_exchanged_for_a_cookie_of_a_day_and_writes_nothing(
        self, client: Client, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        make_request(workspace)
        link, url = mailed_link(workspace)
        before = SignInLink.unscoped.values().get()
        assert client.head(url).status_code == 302
        for _ in range(2):  # a scanner follows it first
            with django_assert_num_queries(2):  # the portal, the link
                answer = client.get(url)
            assert answer.status_code == 302 and answer["Location"] == FORM and is_private(answer)
        cookie = answer.cookies[visits.cookie_name(workspace.pk)]
        assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/portal"
        assert DAY.total_seconds() - 60 < cookie["max-age"] <= DAY.total_seconds()
        assert not cookie["secure"]  # on loopback; production says Secure
        assert str(visits.token_of(link)) not in answer.text + cookie.value
        assert SignInLink.unscoped.values().get() == before

    def test_is_secure_in_production(self, client: Client, workspace: Workspace, settings: Any) -> None:
        settings.SESSION_COOKIE_SECURE = True
        make_request(workspace)
        answer = client.get(mailed_link(workspace)[1])
        assert answer.cookies[visits.cookie_name(workspace.pk)]["secure"]

    @pytest.mark.parametrize("case", ["garbage", "none", "too old", "signed out", "foreign"])
    def test_that_opens_nothing_is_one_friendly_page(self, client: Client, workspace: Workspace, case: str) -> None:
        make_request(workspace)
        now = timezone.now()
        link, url = mailed_link(workspace, now=now - HOUR - SECOND if case == "too old" else now)
        if case == "garbage":
            url = f"{url}x"
        if case == "none":
            url = url.partition("?")[0]
        if case == "signed out":
            visits.sign_out(link=link, now=now)
        if case == "foreign":
            other = WorkspaceFactory()
            make_request(other)
            url = f"{url.partition('?')[0]}?token={visits.token_of(mailed_link(other)[0])}"
        answer = client.get(url)
        assert (
            answer.status_code == 404
            and is_private(answer)
            and not answer.cookies.get(visits.cookie_name(workspace.pk))
        )
        assert "This link has ended" in answer.text and f'action="{FORM}"' in answer.text
        reference = client.get("/portal/acme/sign-in?token=no")
        shown = [re.sub(r'name="next" value="[^"]*"', "", without_csrf(each.text)) for each in (answer, reference)]
        assert shown[0] == shown[1]

    def test_only_gets(self, client: Client, workspace: Workspace) -> None:
        assert client.post("/portal/acme/sign-in?token=x").status_code == 405
        assert client.get(SIGN_OUT).status_code == 405


class TestTheList:
    def test_shows_the_visitors_requests_in_a_customers_words(self, client: Client, workspace: Workspace) -> None:
        ticket, _ = make_request(workspace, subject="Cannot <b>log</b> in")
        resolved, _ = make_request(workspace, subject="Invoice")
        finish(resolved, "resolved", now=timezone.now())
        copied, _ = make_request(workspace, requester_email="tom@customers.example", subject="Toms question")
        make_request(workspace, requester_email="tom@customers.example", subject="Another of Tom")
        Participant.unscoped.create(
            workspace=workspace, ticket=copied, contact=Contact.objects.for_workspace(workspace).get(email=JANE)
        )
        answer = signed_in(client, workspace).get(FORM)
        page = answer.text
        assert answer.status_code == 200 and is_private(answer)
        assert "Cannot &lt;b&gt;log&lt;/b&gt; in" in page and "We have received it" in page and "Resolved" in page
        assert "Toms question" in page and "you are in copy" in page and "Another of Tom" not in page
        assert JANE in page and reverse("portal:ticket", args=[ticket.pk]) in page
        only_open = client.get(FORM, {"show": "open"}).text
        assert "Toms question" in only_open and "Invoice" not in only_open

    def test_takes_few_queries_however_long_it_is(
        self, client: Client, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        make_request(workspace)
        signed_in(client, workspace)
        for number in (0, 44):
            for _ in range(number):
                make_request(workspace)
            with django_assert_num_queries(4):  # the portal, the visit, the counts, the page
                page = client.get(FORM).text
        assert "1–20 of 45" in page and "?page=2" in page
        assert "41–45 of 45" in client.get(FORM, {"page": "3"}).text
        assert "41–45 of 45" in client.get(FORM, {"page": "99"}).text

    def test_says_so_when_nothing_is_there(self, client: Client, workspace: Workspace) -> None:
        ticket, _ = make_request(workspace)
        signed_in(client, workspace)
        finish(ticket, "resolved", now=timezone.now())
        assert "All your requests are resolved." in client.get(FORM, {"show": "open"}).text
        editing.trash(ticket=ticket, actor=base.agent(make_agent(workspace, "admin")), now=timezone.now())
        page = client.get(FORM).text
        assert "There are no requests" in page and ticket.subject not in page

    def test_is_of_this_workspace_only(self, client: Client, workspace: Workspace) -> None:
        other = WorkspaceFactory(slug="other")
        make_request(workspace, subject="Here")
        make_request(other, subject="There")
        signed_in(client, workspace)
        assert "Mail me a link" in client.get("/portal/other/requests").text
        signed_in(client, other)
        here, there = client.get(FORM).text, client.get("/portal/other/requests").text
        assert "Here" in here and "There" not in here and "There" in there and "Here" not in there

    @pytest.mark.parametrize("case", ["changed", "of another workspace", "a day old"])
    def test_a_cookie_that_is_not_good_leads_to_the_form(self, client: Client, workspace: Workspace, case: str) -> None:
        make_request(workspace)
        _, url = mailed_link(workspace)
        client.get(url)
        name = visits.cookie_name(workspace.pk)
        if case == "changed":
            client.cookies[name] = client.cookies[name].value[:-1] + "!"
        if case == "of another workspace":
            other = WorkspaceFactory()
            make_request(other)
            client.cookies[name] = visits.cookie_of(mailed_link(other)[0])
        if case == "a day old":
            SignInLink.unscoped.update(created_at=timezone.now() - DAY)
        page = client.get(FORM)
        assert page.status_code == 200 and "Mail me a link" in page.text and "Cannot log in" not in page.text

    def test_signing_out_ends_it_in_every_browser(self, workspace: Workspace) -> None:
        make_request(workspace)
        _, url = mailed_link(workspace)
        first, second = Client(), Client(enforce_csrf_checks=True)
        first.get(url)
        second.get(url)
        assert second.post(SIGN_OUT).status_code == 403 and "Sign out" in second.get(FORM).text
        answer = first.post(SIGN_OUT)
        assert answer.status_code == 302 and answer.cookies[visits.cookie_name(workspace.pk)]["max-age"] == 0
        assert "You are signed out" in first.get(answer["Location"]).text
        assert "Mail me a link" in second.get(FORM).text
        assert first.get(url).status_code == 404
        assert first.post(SIGN_OUT).status_code == 302  # again changes nothing


class TestARequestOfTheList:
    @pytest.fixture
    def ticket(self, workspace: Workspace) -> Ticket:
        ticket, _ = make_request(workspace, uploads=[a_file()])
        return ticket

    def test_opens_without_a_token_with_all_that_a_token_opens(
        self, client: Client, workspace: Workspace, ticket: Ticket, django_assert_num_queries: Any
    ) -> None:
        signed_in(client, workspace)
        url = reverse("portal:ticket", args=[ticket.pk])
        with django_assert_num_queries(5):  # no token, the visit, the request with its portal, files, messages
            page = client.get(url)
        assert page.status_code == 200 and is_private(page) and "All my requests" in page.text
        assert "request_token" not in page.cookies
        file = client.get(reverse("portal:file", args=[ticket.pk, Attachment.unscoped.get().pk]))
        assert b"".join(file) == b"what I saw"
        answer = client.post(url, {"body": "Still locked."})
        assert answer.status_code == 302 and "Still locked." in client.get(url).text
        assert Comment.unscoped.get().author_contact == ticket.requester
        assert client.post(reverse("portal:close", args=[ticket.pk])).status_code == 302
        assert client.post(reverse("portal:rate", args=[ticket.pk]), {"rating": "5"}).status_code == 302
        assert client.post(reverse("portal:reopen", args=[ticket.pk])).status_code == 302
        ticket.refresh_from_db()
        assert ticket.status == "open"

    def test_of_somebody_else_is_the_404_of_an_unknown_one(
        self, client: Client, workspace: Workspace, ticket: Ticket
    ) -> None:
        make_request(workspace, requester_email="tom@customers.example")
        signed_in(client, workspace, "tom@customers.example")
        file = Attachment.unscoped.get()
        for name, args in (("ticket", []), ("rate", []), ("close", []), ("reopen", []), ("file", [file.pk])):
            url = reverse(f"portal:{name}", args=[ticket.pk, *args])
            send = client.get if name in ("ticket", "file") else client.post
            found = send(url)
            unknown = send(url.replace(str(ticket.pk), "00000000-0000-7000-8000-000000000000"))
            assert found.status_code == unknown.status_code == 404
            assert without_csrf(found.text) == without_csrf(unknown.text)
        ticket.refresh_from_db()
        assert ticket.status == "open" and not Comment.unscoped.exists()

    def test_shows_nothing_after_signing_out(self, client: Client, workspace: Workspace, ticket: Ticket) -> None:
        signed_in(client, workspace).post(SIGN_OUT)
        assert client.get(reverse("portal:ticket", args=[ticket.pk])).status_code == 404

    def test_its_page_by_token_alone_leads_to_no_list(self, client: Client, workspace: Workspace) -> None:
        ticket, token = make_request(workspace)
        page = client.get(reverse("portal:ticket", args=[ticket.pk]), {"token": token}, follow=True)
        assert page.status_code == 200 and "All my requests" not in page.text
        assert "Mail me a link" in client.get(FORM).text

    def test_shows_no_note(self, client: Client, workspace: Workspace, ticket: Ticket) -> None:
        agent = make_agent(workspace)
        make_reply(ticket, agent, body="Look at the logs, secretly", internal=True)
        conversation.agent_reply(ticket=ticket, author=agent, body="Try now", internal=False, now=timezone.now())
        signed_in(client, workspace)
        page = client.get(reverse("portal:ticket", args=[ticket.pk])).text + client.get(FORM).text
        assert "Try now" in page and "secretly" not in page
