"""A stranger submits a request on the public page."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import ContactFactory, WorkspaceFactory
from portal.tests.factories import a_file
from tickets.models import Activity, Attachment, Ticket

pytestmark = pytest.mark.django_db

FILLED = {
    "subject": "Cannot log in",
    "description": "The page says my account is locked.",
    "name": "Jane Smith",
    "email": "Jane@Customers.example",
}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


def send(client: Client, **fields: Any) -> Any:
    return client.post(reverse("portal:submit", args=["acme"]), FILLED | fields)


def nothing_was_written() -> bool:
    return not any(model.unscoped.exists() for model in (Ticket, Contact, Attachment, Activity))


def test_the_form_is_public_and_names_the_workspace(client: Client, workspace: Workspace) -> None:
    page = client.get(reverse("portal:submit", args=["acme"]))
    assert page.status_code == 200
    assert "Acme Help" in page.text and "Send us a request" in page.text
    assert 'autocomplete="email"' in page.text and 'autocomplete="name"' in page.text


def test_a_subject_in_the_address_stands_in_the_form(client: Client, workspace: Workspace) -> None:
    page = client.get(reverse("portal:submit", args=["acme"]), {"subject": "<b>locked out</b> " + "x" * 300})
    value = str(page.context["form"]["subject"].value())
    assert value.startswith("<b>locked out</b> x") and len(value) == 255
    assert 'value="&lt;b&gt;locked out' in page.text and nothing_was_written()


def test_a_workspace_that_does_not_exist_is_404(client: Client) -> None:
    assert client.get(reverse("portal:submit", args=["nobody"])).status_code == 404
    assert client.post(reverse("portal:submit", args=["nobody"]), FILLED).status_code == 404


def test_other_methods_are_405(client: Client, workspace: Workspace) -> None:
    assert client.put(reverse("portal:submit", args=["acme"])).status_code == 405


def test_a_request_becomes_a_ticket_and_the_customer_stands_on_its_page(client: Client, workspace: Workspace) -> None:
    answer = send(client, files=[a_file(), a_file("second.txt")])
    ticket = Ticket.objects.for_workspace(workspace).get()
    address = reverse("portal:ticket", args=[ticket.pk])
    assert answer.status_code == 302 and answer["Location"] == f"{address}?sent=request"
    assert (ticket.subject, ticket.requester_email, ticket.requester_name, ticket.channel, ticket.status) == (
        "Cannot log in",
        "jane@customers.example",
        "Jane Smith",
        "portal",
        "open",
    )
    assert sorted(ticket.attachments.values_list("name", flat=True)) == ["screen.txt", "second.txt"]
    page = client.get(answer["Location"])
    assert page.status_code == 200
    assert "We have your request" in page.text and f"#{ticket.number}" in page.text
    assert "locked" in page.text and "second.txt" in page.text


def test_the_log_says_that_the_customer_did_it(client: Client, workspace: Workspace) -> None:
    send(client)
    activity = Activity.objects.for_workspace(workspace).get()
    assert (activity.event, activity.actor_kind, activity.actor_name) == ("ticket.created", "customer", "Jane Smith")
    assert activity.actor_contact.email == "jane@customers.example"


def test_the_cookie_opens_only_this_ticket_and_no_script_reads_it(
    client: Client, workspace: Workspace, settings: Any
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    answer = send(client)
    ticket = Ticket.objects.for_workspace(workspace).get()
    cookie = answer.cookies["request_token"]
    assert cookie["path"] == reverse("portal:ticket", args=[ticket.pk])
    assert cookie["httponly"] and cookie["secure"] and cookie["samesite"] == "Lax"
    assert cookie.value not in answer.text and cookie.value not in answer["Location"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("subject", "", "Please say in a few words what it is about."),
        ("subject", "x" * 256, "at most 255 characters"),
        ("subject", "a\0b", "Null characters are not allowed."),
        ("description", "  ", "Please tell us what happened."),
        ("description", "x" * 200_001, "at most 200000 characters"),
        ("description", "a\0b", "Null characters are not allowed."),
        ("name", "x" * 121, "at most 120 characters"),
        ("name", "a\0b", "Null characters are not allowed."),
        ("email", "", "Please give the address that we can answer to."),
        ("email", "jane@acme", "This address is not complete, for example jane@example.com."),
        ("email", "jane@customers.example\r\nBcc: all@customers.example", "This address is not complete"),
        ("email", f"{'x' * 250}@customers.example", "at most 254 characters"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_lost_or_written(
    client: Client, workspace: Workspace, field: str, value: str, message: str
) -> None:
    page = send(client, **{field: value})
    assert page.status_code == 400
    assert message in page.context["form"].errors[field][0]
    assert f'id="id_{field}_error"' in page.text
    for other, typed in FILLED.items():
        if other != field:
            assert typed in page.text
    assert nothing_was_written()


def test_line_breaks_in_subject_and_name_are_flattened(client: Client, workspace: Workspace) -> None:
    send(client, subject="Printer\r\nBcc: all@customers.example", name="Jane\r\nX-Evil: 1")
    ticket = Ticket.objects.for_workspace(workspace).get()
    assert ticket.subject == "Printer Bcc: all@customers.example"
    assert ticket.requester_name == "Jane X-Evil: 1"


def test_a_file_that_is_too_large_or_empty_is_named_and_all_must_be_chosen_again(
    client: Client, workspace: Workspace, settings: Any
) -> None:
    settings.ATTACHMENT_MAX_BYTES = 1024 * 1024
    for name, content, message in [
        ("big.bin", b"x" * (1024 * 1024 + 1), "big.bin: The file is too large: up to 1 MB are possible."),
        ("nothing.txt", b"", "nothing.txt: The file is empty."),
    ]:
        page = send(client, files=[a_file(), a_file(name, content)])
        assert page.status_code == 400
        assert message in page.text
        assert "please choose them again" in page.text
    assert nothing_was_written()


def test_more_than_ten_files_are_refused(client: Client, workspace: Workspace) -> None:
    page = send(client, files=[a_file(f"{n}.txt") for n in range(11)])
    assert page.status_code == 400 and "up to 10 are possible at once" in page.text
    assert nothing_was_written()


def test_a_machine_that_fills_in_every_field_is_refused_and_a_person_can_send_again(
    client: Client, workspace: Workspace
) -> None:
    page = send(client, website="https://spam.example")
    assert page.status_code == 400 and "just send it again" in page.text
    assert "spam.example" not in page.text
    assert nothing_was_written()


def test_too_much_from_one_network_is_429_with_the_form_kept(
    client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpdesk.api.throttles.rate_of", lambda scope: (1, 60))
    assert send(client).status_code == 302
    page = send(client, subject="Again")
    assert page.status_code == 429
    assert 0 < int(page["Retry-After"]) <= 60
    assert "Again" in page.text and "Too much was sent from your network" in page.text
    assert Ticket.objects.for_workspace(workspace).count() == 1


def test_a_form_without_its_token_is_refused(workspace: Workspace) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(reverse("portal:submit", args=["acme"]), FILLED).status_code == 403
    assert nothing_was_written()


def test_a_body_that_is_too_big_is_refused(client: Client, workspace: Workspace) -> None:
    page = send(client, description="x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    assert 400 <= page.status_code < 500
    assert nothing_was_written()


class TestSomebodyElsesAddress:
    """A stranger types an address that the helpdesk knows."""

    @pytest.fixture
    def owner(self, workspace: Workspace) -> Contact:
        return ContactFactory(workspace=workspace, email="jane@customers.example", name="Jane Q. Secretname")

    def test_they_do_not_learn_the_name_that_is_stored(
        self, client: Client, workspace: Workspace, owner: Contact
    ) -> None:
        answer = send(client, name="")
        page = client.get(answer["Location"])
        assert page.status_code == 200 and "Secretname" not in page.text
        client.post(answer["Location"], {"body": "And one more thing."})
        page = client.get(answer["Location"])
        assert "And one more thing." in page.text and "Secretname" not in page.text

    def test_they_do_not_change_it(self, client: Client, workspace: Workspace, owner: Contact) -> None:
        send(client, name="Mallory")
        owner.refresh_from_db()
        assert owner.name == "Jane Q. Secretname"
        assert Ticket.objects.for_workspace(workspace).get().requester == owner

    def test_their_cookie_opens_no_other_ticket_of_the_address(
        self, client: Client, workspace: Workspace, owner: Contact
    ) -> None:
        send(Client())
        first = Ticket.objects.for_workspace(workspace).get()
        answer = send(client)
        token = answer.cookies["request_token"].value
        assert client.get(reverse("portal:ticket", args=[first.pk])).status_code == 404
        assert client.get(reverse("portal:ticket", args=[first.pk]), {"token": token}).status_code == 404
