"""Categories over the API."""

from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import Category
from tickets.tests.api import UNKNOWN, Api, nothing_written, refused
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db

PATH = "/tickets/categories"
BILLING = {"name": "Billing", "description": "Payment and subscription issues", "color": "#3B82F6"}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def admin(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, "admin"))


def test_an_admin_makes_a_tree(admin: Api) -> None:
    response = admin.post(PATH, BILLING)
    assert response.status_code == 201
    billing = response.json()
    assert set(billing) == {"id", "name", "description", "color", "parent_id", "created_at"}
    assert {name: billing[name] for name in BILLING} == BILLING and billing["parent_id"] is None
    assert response["Location"] == f"/api{PATH}/{billing['id']}"
    below = admin.post(PATH, {"name": "Refunds", "parent_id": billing["id"]}).json()
    assert below["parent_id"] == billing["id"]
    assert admin.get(f"{PATH}/{below['id']}").json() == below


def test_the_list_is_by_name_and_without_foreign_or_deleted_ones(admin: Api, workspace: Workspace) -> None:
    for name in ("b", "A", "c"):
        CategoryFactory(workspace=workspace, name=name)
    CategoryFactory()
    gone = CategoryFactory(workspace=workspace)
    assert admin.delete(f"{PATH}/{gone.pk}").status_code == 204
    answer = admin.get(PATH).json()
    assert [category["name"] for category in answer["categories"]] == ["A", "b", "c"]
    assert answer["pagination"]["total"] == 3
    refused(admin.get(f"{PATH}?parent=x"), 400, "parent")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_the_sent_fields_change(admin: Api, workspace: Workspace, method: str) -> None:
    category = CategoryFactory(workspace=workspace, name="Old", description="Kept")
    answer = admin(method, f"{PATH}/{category.pk}", {"name": "New"}).json()
    assert answer["name"] == "New" and answer["description"] == "Kept"
    parent = CategoryFactory(workspace=workspace)
    assert admin.put(f"{PATH}/{category.pk}", {"parent_id": str(parent.pk)}).json()["parent_id"] == str(parent.pk)
    assert admin.put(f"{PATH}/{category.pk}", {"parent_id": None}).json()["parent_id"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "TAKEN"}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"description": "x" * 2001}, "description"),
        ({"description": []}, "description"),
        ({"color": "blue"}, "color"),
        ({"color": "#12345"}, "color"),
        ({"color": "#GGGGGG"}, "color"),
        ({"parent_id": "x"}, "parent_id"),
        ({"parent": UNKNOWN}, "parent"),
        ({"archived_at": None}, "archived_at"),
    ],
)
def test_a_wrong_field_is_named(admin: Api, workspace: Workspace, changes: dict[str, Any], field: str) -> None:
    CategoryFactory(workspace=workspace, name="Taken")
    category = CategoryFactory(workspace=workspace)
    with nothing_written():
        refused(admin.post(PATH, BILLING | changes), 400, field)
        refused(admin.put(f"{PATH}/{category.pk}", changes), 400, field)


def test_a_name_is_needed(admin: Api) -> None:
    with nothing_written():
        refused(admin.post(PATH, {"color": "#000000"}), 400, "name")


def test_a_foreign_or_deleted_parent_is_not_found(admin: Api, workspace: Workspace) -> None:
    deleted = CategoryFactory(workspace=workspace)
    admin.delete(f"{PATH}/{deleted.pk}")
    foreign = CategoryFactory()
    with nothing_written():
        for parent in (foreign.pk, deleted.pk, UNKNOWN):
            refused(admin.post(PATH, BILLING | {"parent_id": str(parent)}), 404, "parent_id")


def test_circles_and_trees_too_deep_are_refused(admin: Api, workspace: Workspace) -> None:
    chain = [CategoryFactory(workspace=workspace)]
    for _ in range(4):
        chain.append(CategoryFactory(workspace=workspace, parent=chain[-1]))
    with nothing_written():
        for child in (chain[0], chain[3]):
            refused(admin.put(f"{PATH}/{chain[0].pk}", {"parent_id": str(child.pk)}), 400, "parent_id")
        refused(admin.post(PATH, BILLING | {"parent_id": str(chain[4].pk)}), 400, "parent_id")


def test_a_deleted_category_stays_with_its_tickets_but_cannot_be_chosen(admin: Api, workspace: Workspace) -> None:
    category = CategoryFactory(workspace=workspace)
    ticket = make_ticket(workspace, category_id=category.pk)
    assert admin.delete(f"{PATH}/{category.pk}").status_code == 204
    assert admin.get(f"/tickets/{ticket.pk}").json()["category_id"] == str(category.pk)
    assert admin.get(f"/tickets?category={category.pk}").json()["pagination"]["total"] == 1
    other = make_ticket(workspace)
    with nothing_written():
        refused(admin.put(f"/tickets/{other.pk}", {"category_id": str(category.pk)}), 404, "category_id")
        for method in ("GET", "PUT", "DELETE"):
            refused(admin(method, f"{PATH}/{category.pk}", {} if method == "PUT" else None), 404)


def test_a_category_with_others_below_stays(admin: Api, workspace: Workspace) -> None:
    parent = CategoryFactory(workspace=workspace)
    CategoryFactory(workspace=workspace, parent=parent)
    with nothing_written():
        assert refused(admin.delete(f"{PATH}/{parent.pk}"), 409)["code"] == "has_children"


def test_the_same_key_creates_once(admin: Api) -> None:
    answers = [admin.post(PATH, BILLING, Idempotency_Key="k").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert Category.unscoped.count() == 1
