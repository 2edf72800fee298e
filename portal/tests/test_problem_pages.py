"""What customers read when something is not there or does not work: their own words, not those of agents."""

import pytest
from django.test import Client

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.tests.factories import make_request

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(slug="acme")


@pytest.mark.parametrize("path", ["/portal/nobody", "/portal/acme/no/such/page"])
def test_an_address_that_leads_nowhere(client: Client, workspace: Workspace, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and "Please check the address" in answer.text
    assert 'class="portal"' in answer.text and "workspace that you" not in answer.text


def test_a_form_that_was_open_for_too_long(workspace: Workspace) -> None:
    answer = Client(enforce_csrf_checks=True).post("/portal/acme/new", {"subject": "Hello"})
    assert answer.status_code == 403 and "This page was open for too long" in answer.text
    assert "Your role" not in answer.text


def test_they_speak_the_language_that_was_chosen(client: Client, workspace: Workspace) -> None:
    client.post("/portal/acme/language", {"language": "de"})
    for answer in (
        client.get("/portal/acme/no/such/page"),
        client.get("/portal/tickets/no-uuid", HTTP_ACCEPT_LANGUAGE="fr"),
    ):
        assert answer.status_code == 404 and '<html lang="de"' in answer.text and "Hier ist nichts" in answer.text


def test_what_cannot_be_read(client: Client, workspace: Workspace) -> None:
    answer = client.post("/portal/acme/language", {"language": "xx"})
    assert answer.status_code == 400 and "Go back and try again" in answer.text


def test_a_link_that_opens_nothing_keeps_its_own_page(client: Client, workspace: Workspace) -> None:
    ticket, _ = make_request(workspace)
    answer = client.get(f"/portal/tickets/{ticket.pk}", {"token": "wrong"})
    assert answer.status_code == 404 and "This link opens nothing" in answer.text


def test_agents_keep_theirs(client: Client) -> None:
    answer = client.get("/no/such/page")
    assert answer.status_code == 404 and "workspace that you are not in" in answer.text
