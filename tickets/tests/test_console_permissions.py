"""Who may open and do what in the console: every address, every role, a foreign workspace, and nobody."""

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import Activity, Attachment, CannedResponse, Category, Comment, Ticket, View
from tickets.services import editing
from tickets.services.base import agent
from tickets.tests.factories import NOW, CannedResponseFactory, CategoryFactory, make_agent, make_reply, make_ticket
from tickets.urls import urlpatterns

pytestmark = pytest.mark.django_db

ROLES = ["light", "agent", "admin", "owner"]
# Address name: what it is about, verb, who may. What is not named here fails the test of completeness.
ALL, WORK, MANAGE = {"light", "agent", "admin", "owner"}, {"agent", "admin", "owner"}, {"admin", "owner"}
MATRIX: dict[str, tuple[str, str, set[str]]] = {
    "queue": ("view", "get", ALL),
    "view-save": ("view", "post", ALL),
    "view-delete": ("saved", "post", MANAGE),
    "trash": ("", "get", MANAGE),
    "restore": ("trashed", "post", MANAGE),
    "new": ("", "get", WORK),
    "similar": ("", "get", WORK),
    "preview": ("", "post", ALL),
    "attachment": ("file", "get", ALL),
    "comment-edit": ("comment", "post", MANAGE),
    "comment-delete": ("comment", "post", MANAGE),
    "comment-split": ("comment", "post", WORK),
    "ticket": ("ticket", "get", ALL),
    "reply": ("ticket", "post", WORK),
    "assign": ("ticket", "post", WORK),
    "unassign": ("ticket", "post", WORK),
    "assign-to-me": ("ticket", "post", WORK),
    "status": ("ticket", "post", WORK),
    "update": ("ticket", "post", WORK),
    "merge": ("ticket", "post", WORK),
    "unmerge": ("ticket", "post", WORK),
    "link": ("ticket", "post", WORK),
    "watch": ("ticket", "post", ALL),
    "ticket-trash": ("ticket", "post", MANAGE),
    "canned-search": ("", "get", WORK),
    "canned-use": ("response", "post", WORK),
    "settings-categories": ("", "get", MANAGE),
    "category-new": ("", "post", MANAGE),
    "category-edit": ("category", "post", MANAGE),
    "category-delete": ("category", "post", MANAGE),
    "settings-canned-responses": ("", "get", ALL),
    "canned-response-new": ("", "post", WORK),
    "canned-response-edit": ("response", "post", MANAGE),
    "canned-response-delete": ("response", "post", MANAGE),
}
BODY = {"body": "Words", "internal": "0", "to": "pending", "priority": "high", "name": "Name", "subject": "Subject"}
KEPT: list[type[Model]] = [Ticket, Comment, Category, CannedResponse, View, Activity]


def things(author: Membership) -> dict[str, Any]:
    """One of each thing that an address can be about."""
    ticket = make_ticket(author.workspace)
    trashed = make_ticket(author.workspace)
    editing.trash(ticket=trashed, actor=agent(author), now=NOW)
    file = Attachment(
        workspace=author.workspace, ticket=ticket, name="a.txt", size=1, content_type="text/plain", sha256=""
    )
    file.file.save("a.txt", ContentFile(b"x"), save=False)
    file.save()
    return {
        "view": "all",
        "ticket": ticket.pk,
        "trashed": trashed.pk,
        "comment": make_reply(ticket, author).pk,
        "file": file.pk,
        "category": CategoryFactory(workspace=author.workspace).pk,
        "response": CannedResponseFactory(workspace=author.workspace).pk,
        "saved": View.unscoped.create(workspace=author.workspace, name="Everybody's", query="").pk,
    }


@pytest.fixture
def author(settings: Any, tmp_path: Any) -> Membership:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    }
    return make_agent(WorkspaceFactory())


def ask(client: Client, name: str, made: dict[str, Any]) -> Any:
    about, verb, _ = MATRIX[name]
    address = reverse(f"tickets:{name}", args=[made[about]] if about else [])
    data = {"ticket": made["ticket"]} if name == "canned-search" else BODY if verb == "post" else {}
    answer = getattr(client, verb)(address, data)
    if answer.streaming:
        b"".join(answer)  # a file that nobody reads stays open
    return answer


def state() -> list[Any]:
    return [list(model.unscoped.order_by("pk").values()) for model in KEPT]  # type: ignore[attr-defined]


def client_of(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_address_is_in_the_matrix() -> None:
    assert {pattern.name for pattern in urlpatterns} == {*MATRIX, "all"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", MATRIX)
def test_a_role_may_exactly_what_the_matrix_says(author: Membership, name: str, role: str) -> None:
    made = things(author)
    client = client_of(make_agent(author.workspace, role=role))
    before = state()
    status = ask(client, name, made).status_code
    if role in MATRIX[name][2]:
        assert status < 500
        assert status not in (401, 403, 404, 405)
    else:
        assert status in (403, 404)
        assert state() == before


@pytest.mark.parametrize("name", MATRIX)
def test_nobody_gets_in_without_signing_in(author: Membership, name: str) -> None:
    made = things(author)
    before = state()
    answer = ask(Client(), name, made)
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("accounts:sign-in"))
    assert state() == before


@pytest.mark.parametrize("name", [name for name, (about, _, _) in MATRIX.items() if about not in ("", "view")])
def test_what_is_of_another_workspace_is_not_found(author: Membership, name: str) -> None:
    made = things(author)
    before = state()
    assert ask(client_of(make_agent(WorkspaceFactory(), role="owner")), name, made).status_code == 404
    assert state() == before


@pytest.mark.parametrize("name", [name for name, (_, verb, _) in MATRIX.items() if verb == "post"])
def test_reading_an_address_never_changes_anything(author: Membership, name: str) -> None:
    made = things(author)
    client = client_of(make_agent(author.workspace, role="owner"))
    before = state()
    about = MATRIX[name][0]
    status = client.get(reverse(f"tickets:{name}", args=[made[about]] if about else [])).status_code
    assert status in (200, 405)
    assert state() == before
