"""Canned responses over the API."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import CannedResponse
from tickets.tests.api import UNKNOWN, Api, nothing_written, refused
from tickets.tests.factories import CannedResponseFactory, CategoryFactory, make_agent

pytestmark = pytest.mark.django_db

PATH = "/tickets/canned-responses"
THANKS = {"title": "Thanks", "shortcut": "thanks", "content": "Thank you, {{customer_name}}."}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace)


@pytest.fixture
def api(maria: Membership) -> Api:
    return Api(maria)


def test_an_agent_makes_one(api: Api, workspace: Workspace, maria: Membership) -> None:
    category = CategoryFactory(workspace=workspace)
    response = api.post(PATH, THANKS | {"shortcut": "/Thanks", "category_id": str(category.pk)})
    assert response.status_code == 201
    made = response.json()
    assert made == THANKS | {
        "id": made["id"],
        "category_id": str(category.pk),
        "usage_count": 0,
        "created_by_id": str(maria.user_id),
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert response["Location"] == f"/api{PATH}/{made['id']}"
    assert api.get(f"{PATH}/{made['id']}").json() == made


def test_the_list_is_by_title_and_can_be_searched(api: Api, workspace: Workspace) -> None:
    CannedResponseFactory(workspace=workspace, title="Welcome", shortcut="hi")
    CannedResponseFactory(workspace=workspace, title="closing", shortcut="bye")
    CannedResponseFactory(title="Foreign")
    assert [row["title"] for row in api.get(PATH).json()["canned_responses"]] == ["closing", "Welcome"]
    assert [row["title"] for row in api.get(f"{PATH}?search=/by").json()["canned_responses"]] == ["closing"]
    assert [row["title"] for row in api.get(f"{PATH}?search=WEL").json()["canned_responses"]] == ["Welcome"]
    refused(api.get(f"{PATH}?q=x"), 400, "q")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_agents_change_their_own_and_admins_all(workspace: Workspace, maria: Membership, method: str) -> None:
    response = CannedResponseFactory(workspace=workspace, created_by=maria.user)
    path = f"{PATH}/{response.pk}"
    other, admin = Api(make_agent(workspace)), Api(make_agent(workspace, "admin"))
    answer = Api(maria)(method, path, {"title": "Mine"}).json()
    assert answer["title"] == "Mine" and answer["content"] == response.content
    with nothing_written():
        refused(other(method, path, {"title": "Theirs"}), 403)
        refused(other.delete(path), 403)
    assert admin(method, path, {"title": "Ours"}).json()["title"] == "Ours"
    assert admin.delete(path).status_code == 204
    refused(admin.get(path), 404)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"shortcut": ""}, "shortcut"),
        ({"shortcut": "two words"}, "shortcut"),
        ({"shortcut": "/"}, "shortcut"),
        ({"shortcut": "x" * 41}, "shortcut"),
        ({"shortcut": "TAKEN"}, "shortcut"),
        ({"shortcut": 3}, "shortcut"),
        ({"content": ""}, "content"),
        ({"content": "x" * 20_001}, "content"),
        ({"content": "\ud800"}, "content"),
        ({"category_id": "x"}, "category_id"),
        ({"usage_count": 5}, "usage_count"),
    ],
)
def test_a_wrong_field_is_named(
    api: Api, workspace: Workspace, maria: Membership, changes: dict[str, Any], field: str
) -> None:
    CannedResponseFactory(workspace=workspace, shortcut="taken")
    mine = CannedResponseFactory(workspace=workspace, created_by=maria.user)
    with nothing_written():
        refused(api.post(PATH, THANKS | changes), 400, field)
        refused(api.put(f"{PATH}/{mine.pk}", changes), 400, field)


@pytest.mark.parametrize("field", ["title", "shortcut", "content"])
def test_a_missing_field_is_named(api: Api, field: str) -> None:
    with nothing_written():
        refused(api.post(PATH, {name: value for name, value in THANKS.items() if name != field}), 400, field)


def test_a_foreign_category_is_not_found(api: Api) -> None:
    foreign = CategoryFactory()
    with nothing_written():
        for pk in (foreign.pk, UNKNOWN):
            refused(api.post(PATH, THANKS | {"category_id": str(pk)}), 404, "category_id")


def test_the_same_key_creates_once(api: Api) -> None:
    answers = [api.post(PATH, THANKS, Idempotency_Key="k").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert CannedResponse.unscoped.count() == 1


def test_a_use_is_counted_also_by_light_agents(api: Api, workspace: Workspace) -> None:
    response = CannedResponseFactory(workspace=workspace)
    light = Api(make_agent(workspace, "light"))
    assert api.post(f"{PATH}/{response.pk}/use").json()["usage_count"] == 1
    assert light.post(f"{PATH}/{response.pk}/use").json()["usage_count"] == 2


@pytest.mark.django_db(transaction=True)
def test_two_uses_at_once_are_both_counted() -> None:
    workspace = WorkspaceFactory()
    response = CannedResponseFactory(workspace=workspace)
    callers = [Api(make_agent(workspace)) for _ in range(6)]

    def use(api: Api) -> int:
        try:
            return int(api.post(f"{PATH}/{response.pk}/use").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(use, callers)) == [200] * 6
    assert CannedResponse.unscoped.get(pk=response.pk).usage_count == 6
