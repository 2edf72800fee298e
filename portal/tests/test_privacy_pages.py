"""Settings → Privacy: what its pages say and refuse, and what they ask of the database."""

import datetime as dt
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Contact
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal import tasks
from portal.models import PrivacyRequest
from portal.services import privacy
from portal.tests.factories import make_request
from portal.tests.privacy_rows import work_off
from tickets.tests.factories import make_agent

pytestmark = pytest.mark.django_db
JANE = "jane@customers.example"
PAGE, EXPORT, ERASE = (reverse(f"portal:privacy{name}") for name in ("", "-export", "-erase"))


@pytest.fixture
def workspace():
    return WorkspaceFactory(name="Acme", slug="acme")


@pytest.fixture
def admin(workspace):
    return make_agent(workspace, role="admin")


@pytest.fixture
def client(admin):
    signed_in = Client()
    signed_in.force_login(admin.user)
    return signed_in


class TestTheForm:
    def test_asks_for_an_export_and_comes_back_to_the_log(self, client, workspace, admin):
        make_request(workspace)
        answer = client.post(EXPORT, {"address": f" {JANE.upper()} "}, follow=True)
        assert answer.redirect_chain == [(PAGE, 302)]
        asked = PrivacyRequest.unscoped.get()
        assert (asked.kind, asked.address, asked.requested_by) == ("export", JANE, admin.user)
        assert JANE in answer.content.decode() and "Waiting" in answer.content.decode()

    @pytest.mark.parametrize("path", [EXPORT, ERASE])
    @pytest.mark.parametrize("address", ["", "nobody@customers.example", "no address", "x" * 300, "a\x00@b.example"])
    def test_comes_back_filled_in_with_what_is_wrong(self, client, workspace, path, address):
        make_request(workspace)
        answer = client.post(path, {"address": address})
        assert answer.status_code == 400 and answer.context["form"].errors["address"]
        assert not PrivacyRequest.unscoped.exists()

    def test_says_nothing_of_an_address_that_only_another_workspace_knows(self, client):
        make_request(WorkspaceFactory(), requester_email="other@customers.example")
        for path in (EXPORT, ERASE):
            assert (
                b"Nothing is stored about this address."
                in client.post(path, {"address": "other@customers.example"}).content
            )

    def test_is_filled_in_for_the_customer_of_a_ticket(self, client, workspace):
        ticket, _ = make_request(workspace)
        foreign, _ = make_request(WorkspaceFactory(), requester_email="other@customers.example")
        page = client.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        link = re.findall(r'href="(/settings/privacy\?customer=[^"]+)"', page)[0]
        assert f'value="{JANE}"' in client.get(link).content.decode() and JANE not in link
        for unknown in (foreign.requester_id, "nonsense"):
            assert b"other@customers" not in client.get(PAGE, {"customer": unknown}).content

    def test_is_not_offered_to_agents(self, workspace):
        ticket, _ = make_request(workspace)
        agent = Client()
        agent.force_login(make_agent(workspace).user)
        assert b"/settings/privacy" not in agent.get(reverse("tickets:ticket", args=[ticket.pk])).content


class TestErasing:
    def test_first_says_what_it_is_about_and_changes_nothing(self, client, workspace):
        make_request(workspace)
        answer = client.post(ERASE, {"address": JANE})
        page = answer.content.decode()
        assert answer.status_code == 200 and '<b class="num">1</b> request' in page
        assert not PrivacyRequest.unscoped.exists() and Contact.unscoped.get(workspace=workspace).email == JANE

    def test_begins_only_when_the_address_was_typed(self, client, workspace):
        make_request(workspace)
        for typed in ("", "yes", "jane"):
            answer = client.post(ERASE, {"address": JANE, "typed": typed})
            assert answer.status_code == 400 and answer.context["form"].errors["typed"]
        assert not PrivacyRequest.unscoped.exists()
        assert client.post(ERASE, {"address": JANE, "typed": "Jane@Customers.example "}).status_code == 302
        assert PrivacyRequest.unscoped.get().kind == "erasure"

    def test_leaves_pages_that_still_open(self, client, workspace, admin):
        ticket, _ = make_request(workspace)
        now = timezone.now()
        work_off(privacy.ask_erasure(workspace=workspace, address=JANE, typed=JANE, by=admin, now=now), now)
        for path in (reverse("tickets:ticket", args=[ticket.pk]), reverse("tickets:queue", args=["all"]), PAGE):
            page = client.get(path).content.decode()
            assert JANE not in page and "Jane Smith" not in page
        assert "Erased request" in client.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()


class TestTheLog:
    def done(self, workspace, admin, address=JANE):
        make_request(workspace, requester_email=address)
        now = timezone.now()
        return work_off(privacy.ask_export(workspace=workspace, address=address, by=admin, now=now), now)

    def test_gives_the_file_for_a_week_and_to_nobody_else(self, client, workspace, admin):
        path = reverse("portal:privacy-file", args=[self.done(workspace, admin).pk])
        answer = client.get(path)
        assert b"".join(answer).startswith(b"PK")
        assert answer["Content-Disposition"].startswith('attachment; filename="customer-data-')
        assert "jane" not in answer["Content-Disposition"] and answer["Cache-Control"] == "no-store"
        stranger = Client()
        stranger.force_login(make_agent(WorkspaceFactory(), role="owner").user)
        assert stranger.get(path).status_code == 404
        PrivacyRequest.unscoped.update(file_until=timezone.now() - dt.timedelta(seconds=1))
        assert client.get(path).status_code == 404
        assert tasks.delete_old_exports() == 1

    def test_asks_for_itself_only_while_something_is_under_way(self, client, workspace, admin):
        self.done(workspace, admin)
        part = client.get(PAGE, headers={"HX-Request": "true"}).content.decode()
        assert "hx-get" not in part and "data-over" in part and "<html" not in part
        privacy.ask_export(workspace=workspace, address=JANE, by=admin, now=timezone.now())
        assert "hx-get" in client.get(PAGE, headers={"HX-Request": "true"}).content.decode()

    def test_takes_the_same_queries_however_long_it_is(self, client, workspace, admin):
        def queries() -> int:
            with CaptureQueriesContext(connection) as counted:
                assert client.get(PAGE).status_code == 200
            return len(counted)

        self.done(workspace, admin)
        few = queries()
        for number in range(5):
            self.done(workspace, admin, f"c{number}@customers.example")
        assert queries() == few <= 7

    def test_tries_again_what_failed_and_nothing_else(self, client, workspace, admin):
        asked = self.done(workspace, admin)
        path = reverse("portal:privacy-again", args=[asked.pk])
        assert b"Only a request that failed" in client.post(path, follow=True).content
        PrivacyRequest.unscoped.update(status="failed")
        client.post(path)
        asked.refresh_from_db()
        assert asked.status == "waiting"


def test_the_beat_and_the_worker_do_what_was_asked(workspace, admin):
    make_request(workspace)
    asked = privacy.ask_export(
        workspace=workspace, address=JANE, by=admin, now=timezone.now() - dt.timedelta(minutes=1)
    )
    assert tasks.take_up_privacy_requests() == 1
    assert tasks.run_privacy_request(str(asked.pk)) is True
    assert tasks.run_privacy_request(str(asked.pk)) is False, "once"
    asked.refresh_from_db()
    assert asked.status == "done" and asked.file
