"""Macros in Settings: the list, and the form with the builder's actions. Without scripts."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.automation.models import Macro
from tickets.automation.tests.factories import make_macro
from tickets.tests.factories import make_agent

pytestmark = pytest.mark.django_db

LIST, NEW = reverse("automation:macro-list"), reverse("automation:macro-new")
SENT = {
    "name": "Hand to Billing",
    "description": "Invoices",
    "is_active": "1",
    "then.0.do": "set_priority",
    "then.0.was": "set_priority",
    "then.0.priority": "high",
    "then.1.do": "add_note",
    "then.1.was": "add_note",
    "then.1.body": "Call <them>.",
}


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Client:
    client = Client()
    client.force_login(make_agent(workspace, "admin").user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def live(workspace: Workspace) -> list[str]:
    rows = Macro.objects.for_workspace(workspace).filter(archived_at=None).order_by("position")
    return list(rows.values_list("name", flat=True))


def test_an_empty_list_says_what_macros_are(admin: Client) -> None:
    assert "Make the first one" in admin.get(LIST).content.decode()


def test_one_is_made_shown_and_changed(admin: Client, workspace: Workspace) -> None:
    assert admin.post(NEW, SENT).status_code == 302
    made = Macro.objects.for_workspace(workspace).get()
    note = {"do": "add_note", "body": "Call <them>."}
    assert made.actions == [{"do": "set_priority", "priority": "high"}, note]
    page = admin.get(LIST).content.decode()
    assert "Hand to Billing" in page and "Call &lt;them&gt;." in page and "Never used" in page
    edit = reverse("automation:macro-edit", args=[made.pk])
    assert "Call &lt;them&gt;." in admin.get(edit).content.decode()
    assert admin.post(edit, SENT | {"name": "Other", "is_active": ""}).status_code == 302
    less = {name: value for name, value in SENT.items() if name != "is_active"}
    assert admin.post(edit, less | {"name": "Other"}).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.is_active) == ("Other", False)


def test_a_button_of_the_actions_draws_the_form_and_saves_nothing(admin: Client, workspace: Workspace) -> None:
    answer = admin.post(NEW, SENT | {"change": "add-action"}).content.decode()
    assert 'name="then.2.do"' in answer and 'value="Hand to Billing"' in answer and live(workspace) == []


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": ""}, "name_error"),
        ({"then.1.body": ""}, "then.1.body_error"),
        ({"then.0.do": "set_team", "then.0.was": "set_team"}, "then.0.team_id_error"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_and_nothing_is_lost(
    admin: Client, workspace: Workspace, sent: dict[str, str], said: str
) -> None:
    answer = admin.post(NEW, SENT | sent)
    assert answer.status_code == 400 and said in answer.content.decode()
    assert 'value="Invoices"' in answer.content.decode() and live(workspace) == []


def test_without_an_action_it_is_refused(admin: Client, workspace: Workspace) -> None:
    answer = admin.post(NEW, {"name": "Nothing"})
    assert answer.status_code == 400 and "Add at least one action." in answer.content.decode()
    assert live(workspace) == []


def test_they_move_and_go(admin: Client, workspace: Workspace) -> None:
    first, second = (make_macro(workspace, {"do": "escalate"}, name=name) for name in ("One", "Two"))
    admin.post(reverse("automation:macro-move", args=[second.pk]), {"direction": "up"})
    assert live(workspace) == ["Two", "One"]
    admin.post(reverse("automation:macro-move", args=[second.pk]), {"direction": "up"})
    admin.post(reverse("automation:macro-move", args=[second.pk]), {"direction": "down"})
    assert live(workspace) == ["One", "Two"]
    admin.post(reverse("automation:macro-delete", args=[first.pk]))
    assert live(workspace) == ["Two"]
    assert admin.post(reverse("automation:macro-delete", args=[first.pk])).status_code == 404


def test_many_macros_take_as_many_queries_as_few(admin: Client, workspace: Workspace) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert admin.get(LIST).status_code == 200
        return len(caught)

    def more(number: int) -> None:
        for n in range(number):
            team: Any = TeamFactory(workspace=workspace)
            make_macro(workspace, {"do": "set_team", "team_id": str(team.pk)}, name=f"{number}-{n}")

    more(2)
    queries()
    few = queries()
    more(20)
    assert queries() == few <= 7
