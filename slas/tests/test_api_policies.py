"""SLA policies over the API."""

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import OrganizationFactory, WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from slas.api import serializers as shapes
from slas.models import BusinessHours, Clock, Job, SLAPolicy, SLATerms
from slas.services import setup
from slas.tests.factories import SET_UP, make_hours, make_policy
from tickets.lifecycle import Priority
from tickets.tests.api import ROLES, UNKNOWN, Api, refused, unchanged
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db

PATH = "/tickets/sla-policies"
# The specification's example, word for word.
ENTERPRISE: dict[str, Any] = {
    "name": "Enterprise SLA",
    "first_response_hours": 4,
    "resolution_hours": 24,
    "priority_overrides": {
        "urgent": {"first_response_hours": 1, "resolution_hours": 4},
        "high": {"first_response_hours": 2, "resolution_hours": 8},
    },
    "business_hours_only": True,
    "is_default": False,
}
FIELDS = {
    "id",
    "name",
    "first_response_hours",
    "next_response_hours",
    "resolution_hours",
    "priority_overrides",
    "business_hours_only",
    "business_hours_id",
    "pending_pauses",
    "at_risk_percent",
    "conditions",
    "position",
    "is_default",
    "created_at",
    "updated_at",
}


# Whatever happens inside leaves no trace: no rule, no clock, no job.
nothing_written = partial(unchanged, BusinessHours, SLAPolicy, SLATerms, Clock, Job, IdempotencyKey)


@pytest.fixture
def workspace() -> Workspace:
    """A workspace with what every one begins with: the policy Standard and business hours."""
    made: Any = WorkspaceFactory()
    setup.furnish(made, SET_UP)
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, "admin"))


@pytest.fixture
def standard(workspace: Workspace) -> SLAPolicy:
    found: SLAPolicy = SLAPolicy.objects.for_workspace(workspace).get(is_default=True)
    return found


def names(api: Api) -> list[str]:
    return [policy["name"] for policy in api.get(PATH).json()["sla_policies"]]


class TestSuccess:
    def test_the_example_of_the_specification_comes_back_as_it_was_sent(self, admin: Api) -> None:
        response = admin.post(PATH, ENTERPRISE)
        assert response.status_code == 201, response.content
        made = response.json()
        assert set(made) == FIELDS
        assert {name: made[name] for name in ENTERPRISE} == ENTERPRISE
        assert made["next_response_hours"] is None and made["business_hours_id"] is None
        assert made["pending_pauses"] == ["resolution"] and made["at_risk_percent"] == 75 and made["position"] == 1
        assert made["conditions"] == {"category_ids": [], "organization_ids": [], "attributes": {}}
        assert response["Location"] == f"/api{PATH}/{made['id']}"
        assert admin.get(f"{PATH}/{made['id']}").json() == made
        assert admin.get(PATH).json()["sla_policies"][0] == made

    def test_hours_are_numbers_and_may_be_fractions(self, admin: Api) -> None:
        body = ENTERPRISE | {
            "first_response_hours": 0.25,
            "next_response_hours": 1.5,
            "resolution_hours": 8.0,
            "priority_overrides": {"low": {"next_response_hours": 0.0003, "resolution_hours": 72}},
        }
        response = admin.post(PATH, body)
        assert b'"first_response_hours":0.25,' in response.content and b'"resolution_hours":8,' in response.content
        made = admin.get(f"{PATH}/{response.json()['id']}").json()
        assert made["first_response_hours"] == 0.25 and made["next_response_hours"] == 1.5
        assert isinstance(made["resolution_hours"], int) and made["resolution_hours"] == 8
        assert made["priority_overrides"] == body["priority_overrides"]

    def test_every_other_field_is_kept(self, admin: Api, workspace: Workspace) -> None:
        hours = make_hours(workspace, name="Night shift")
        category, organization = CategoryFactory(workspace=workspace), OrganizationFactory(workspace=workspace)
        body = ENTERPRISE | {
            "business_hours_id": str(hours.pk),
            "pending_pauses": ["first_response", "next_response", "resolution"],
            "at_risk_percent": 50,
            "conditions": {
                "category_ids": [str(category.pk)],
                "organization_ids": [str(organization.pk)],
                "attributes": {"plan": ["pro", "enterprise"]},
            },
            "position": 1,
        }
        made = admin.post(PATH, body).json()
        assert {name: made[name] for name in body} == body
        assert admin.put(f"{PATH}/{made['id']}", {"business_hours_id": None}).json()["business_hours_id"] is None
        given = {"attributes": {"vip": [True, 1]}}
        conditions = admin.put(f"{PATH}/{made['id']}", {"conditions": given}).json()["conditions"]
        assert conditions == {"category_ids": [], "organization_ids": [], "attributes": {"vip": ["yes", "1"]}}

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_only_the_sent_fields_change(self, admin: Api, method: str) -> None:
        made = admin.post(PATH, ENTERPRISE).json()
        answer = admin(method, f"{PATH}/{made['id']}", {"resolution_hours": 12})
        assert answer.status_code == 200
        changed = answer.json()
        assert changed.pop("updated_at") and made.pop("updated_at")
        assert changed == made | {"resolution_hours": 12}
        overrides = {"low": {"resolution_hours": 100}}
        path = f"{PATH}/{made['id']}"
        assert admin(method, path, {"priority_overrides": overrides}).json()["priority_overrides"] == overrides
        assert admin(method, path, {"next_response_hours": 3}).json()["next_response_hours"] == 3
        assert admin(method, path, {"next_response_hours": None}).json()["next_response_hours"] is None

    def test_a_change_has_the_clocks_of_tickets_in_work_reckoned_anew(self, admin: Api, workspace: Workspace) -> None:
        Job.unscoped.update(state="done")
        made = admin.post(PATH, ENTERPRISE).json()
        admin.put(f"{PATH}/{made['id']}", {"resolution_hours": 12})
        jobs = admin.get("/tickets/sla-jobs?kind=derive").json()["sla_jobs"]
        assert jobs[0]["state"] == "waiting" and jobs[0]["created_by_id"] is not None
        assert jobs[0]["policy_id"] is None and jobs[0]["result"] is None

    def test_the_list_is_in_the_order_in_which_policies_are_asked(self, admin: Api, workspace: Workspace) -> None:
        for name in ("a", "b", "c"):
            admin.post(PATH, ENTERPRISE | {"name": name})
        make_policy(WorkspaceFactory())
        assert names(admin) == ["a", "b", "c", "Standard"]
        last = admin.get(PATH).json()["sla_policies"][2]["id"]
        assert admin.put(f"{PATH}/{last}", {"position": 1}).json()["position"] == 1
        assert names(admin) == ["c", "a", "b", "Standard"]
        assert [row["position"] for row in admin.get(PATH).json()["sla_policies"]] == [1, 2, 3, 4]
        page = admin.get(f"{PATH}?page=2&limit=3").json()
        assert [row["name"] for row in page["sla_policies"]] == ["Standard"]
        assert page["pagination"] == {"page": 2, "limit": 3, "total": 4, "totalPages": 2}
        refused(admin.get(f"{PATH}?sort=name"), 400, "sort")

    def test_the_list_costs_the_same_for_any_number(
        self, admin: Api, workspace: Workspace, django_assert_max_num_queries: Any
    ) -> None:
        hours = make_hours(workspace)
        for number in range(5):
            make_policy(workspace, name=f"{number}", is_default=False, business_hours_id=hours.pk)
        with django_assert_max_num_queries(2):
            assert len(admin.get(PATH).json()["sla_policies"]) == 6

    def test_the_same_key_creates_once(self, admin: Api, workspace: Workspace) -> None:
        answers = [admin.post(PATH, ENTERPRISE, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[1]["Idempotency-Replayed"] == "true" and answers[1]["Location"] == answers[0]["Location"]
        assert SLAPolicy.objects.for_workspace(workspace).count() == 2
        with nothing_written():
            refused(admin.post(PATH, ENTERPRISE | {"name": "Other"}, Idempotency_Key="k"), 422)

    def test_the_inputs_name_the_priorities_there_are(self) -> None:
        assert set(shapes.PriorityOverrides().fields) == {priority.value for priority in Priority}


class TestTheDefault:
    def test_making_another_the_default_moves_it(self, admin: Api, standard: SLAPolicy) -> None:
        made = admin.post(PATH, ENTERPRISE | {"is_default": True}).json()
        assert made["is_default"] is True
        assert admin.get(f"{PATH}/{standard.pk}").json()["is_default"] is False
        assert admin.put(f"{PATH}/{standard.pk}", {"is_default": True}).json()["is_default"] is True
        assert [row["is_default"] for row in admin.get(PATH).json()["sla_policies"]] == [False, True]

    def test_the_default_cannot_be_unmade_or_deleted(self, admin: Api, standard: SLAPolicy) -> None:
        with nothing_written():
            refused(admin.put(f"{PATH}/{standard.pk}", {"is_default": False}), 400, "is_default")
            assert refused(admin.delete(f"{PATH}/{standard.pk}"), 409)["code"] == "is_default"

    def test_the_default_has_no_conditions(self, admin: Api, workspace: Workspace, standard: SLAPolicy) -> None:
        conditions = {"category_ids": [str(CategoryFactory(workspace=workspace).pk)]}
        with nothing_written():
            refused(admin.put(f"{PATH}/{standard.pk}", {"conditions": conditions}), 400, "conditions")
            refused(admin.post(PATH, ENTERPRISE | {"is_default": True, "conditions": conditions}), 400, "conditions")


class TestDeleting:
    def test_it_leaves_the_list_and_its_address(self, admin: Api) -> None:
        made = admin.post(PATH, ENTERPRISE).json()
        assert admin.delete(f"{PATH}/{made['id']}").status_code == 204
        assert names(admin) == ["Standard"]
        with nothing_written():
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                refused(admin(method, f"{PATH}/{made['id']}", {"name": "x"} if method[0] == "P" else None), 404, "id")
        assert admin.post(PATH, ENTERPRISE).status_code == 201  # its name is free again

    def test_a_ticket_that_ended_under_it_keeps_it(self, admin: Api, workspace: Workspace) -> None:
        category = CategoryFactory(workspace=workspace)
        made = admin.post(PATH, ENTERPRISE | {"conditions": {"category_ids": [str(category.pk)]}}).json()
        ticket = make_ticket(workspace, category_id=category.pk)
        assert admin.post(f"/tickets/{ticket.pk}/resolve").status_code == 200
        assert admin.post(f"/tickets/{ticket.pk}/close").status_code == 200
        before = admin.get(f"/tickets/{ticket.pk}/sla").json()
        assert before["policy"] == {"id": made["id"], "name": "Enterprise SLA"}
        assert admin.delete(f"{PATH}/{made['id']}").status_code == 204
        assert admin.get(f"/tickets/{ticket.pk}/sla").json() == before
        assert {clock["policy_id"] for clock in before["clocks"]} == {made["id"]}
        assert {clock["policy_name"] for clock in before["clocks"]} == {"Enterprise SLA"}
        assert admin.get(f"/tickets/{ticket.pk}").json()["sla"]["policy_id"] == made["id"]


NUMBERS = ("first_response_hours", "resolution_hours", "next_response_hours")
WRONG_HOURS: list[Any] = [
    0,
    -1,
    -0.5,
    1e-9,
    99_999.99999,
    100_000,
    1e300,
    10**15,
    True,
    False,
    "4",
    "",
    [4],
    {"hours": 4},
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "  "}, "name"),
    ({"name": None}, "name"),
    ({"name": 5}, "name"),
    ({"name": "x" * 81}, "name"),
    ({"name": "STANDARD"}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"name": "a\ud800"}, "name"),
    ({"first_response_hours": None}, "first_response_hours"),
    ({"resolution_hours": None}, "resolution_hours"),
    ({"priority_overrides": None}, "priority_overrides"),
    ({"priority_overrides": []}, "priority_overrides"),
    ({"priority_overrides": "urgent"}, "priority_overrides"),
    ({"priority_overrides": {"huge": {}}}, "priority_overrides.huge"),
    ({"priority_overrides": {"urgent": 4}}, "priority_overrides.urgent"),
    ({"priority_overrides": {"urgent": {"hours": 4}}}, "priority_overrides.urgent.hours"),
    *[
        (
            {"priority_overrides": {"urgent": {"first_response_hours": hours}}},
            "priority_overrides.urgent.first_response_hours",
        )
        for hours in WRONG_HOURS
    ],
    *[({name: hours}, name) for name in NUMBERS for hours in WRONG_HOURS],
    ({"business_hours_only": None}, "business_hours_only"),
    ({"business_hours_only": 1}, "business_hours_only"),
    ({"business_hours_only": "true"}, "business_hours_only"),
    ({"business_hours_id": "x"}, "business_hours_id"),
    ({"business_hours_id": 5}, "business_hours_id"),
    ({"pending_pauses": "resolution"}, "pending_pauses"),
    ({"pending_pauses": None}, "pending_pauses"),
    ({"pending_pauses": ["lunch"]}, "pending_pauses.0"),
    ({"pending_pauses": [5]}, "pending_pauses"),
    ({"at_risk_percent": 0}, "at_risk_percent"),
    ({"at_risk_percent": 100}, "at_risk_percent"),
    ({"at_risk_percent": 7.5}, "at_risk_percent"),
    ({"at_risk_percent": True}, "at_risk_percent"),
    ({"at_risk_percent": None}, "at_risk_percent"),
    ({"conditions": []}, "conditions"),
    ({"conditions": None}, "conditions"),
    ({"conditions": {"tags": []}}, "conditions.tags"),
    ({"conditions": {"category_ids": UNKNOWN}}, "conditions.category_ids"),
    ({"conditions": {"category_ids": ["x"]}}, "conditions.category_ids.0"),
    ({"conditions": {"organization_ids": [5]}}, "conditions.organization_ids"),
    ({"conditions": {"category_ids": [UNKNOWN] * 201}}, "conditions.category_ids"),
    ({"conditions": {"attributes": []}}, "conditions.attributes"),
    ({"conditions": {"attributes": {"plan": "pro"}}}, "conditions.attributes.plan"),
    ({"conditions": {"attributes": {"plan": []}}}, "conditions.attributes.plan"),
    ({"conditions": {"attributes": {"plan": [{}]}}}, "conditions.attributes.plan.0"),
    ({"conditions": {"attributes": {"plan": [""]}}}, "conditions.attributes.plan"),
    ({"conditions": {"attributes": {"plan": ["x" * 201]}}}, "conditions.attributes.plan"),
    ({"conditions": {"attributes": {"x" * 81: ["pro"]}}}, "conditions.attributes"),
    ({"conditions": {"attributes": {f"a{n}": ["x"] for n in range(21)}}}, "conditions.attributes"),
    ({"position": 0}, "position"),
    ({"position": 1001}, "position"),
    ({"position": 1.5}, "position"),
    ({"position": True}, "position"),
    ({"is_default": None}, "is_default"),
    ({"is_default": "no"}, "is_default"),
    ({"terms": UNKNOWN}, "terms"),
    ({"archived_at": None}, "archived_at"),
    ({"workspace_id": UNKNOWN}, "workspace_id"),
    ({"created_at": "2024-01-01T00:00:00Z"}, "created_at"),
]


class TestRefusals:
    def test_a_wrong_field_is_named(self, admin: Api, workspace: Workspace) -> None:
        policy = make_policy(workspace, is_default=False)
        with nothing_written():
            for changes, field in WRONG:
                refused(admin.post(PATH, ENTERPRISE | changes), 400, field)
                refused(admin.put(f"{PATH}/{policy.pk}", changes), 400, field)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_what_is_no_number_of_json_is_named(self, admin: Api, number: str) -> None:
        raw = f'{{"name": "x", "first_response_hours": {number}, "resolution_hours": 1}}'.encode()
        nested = f'{{"priority_overrides": {{"urgent": {{"resolution_hours": {number}}}}}}}'.encode()
        with nothing_written():
            refused(admin("POST", PATH, raw=raw), 400, "first_response_hours")
            refused(admin("POST", PATH, raw=nested), 400, "priority_overrides.urgent.resolution_hours")

    def test_all_mistakes_are_told_at_once(self, admin: Api) -> None:
        body = {
            "first_response_hours": 0,
            "priority_overrides": {"urgent": {"resolution_hours": "4"}, "tiny": {}},
            "surprise": 1,
        }
        with nothing_written():
            refused(
                admin.post(PATH, body),
                400,
                "name",
                "first_response_hours",
                "resolution_hours",
                "priority_overrides.urgent.resolution_hours",
                "priority_overrides.tiny",
                "surprise",
            )

    @pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b"\xff", b'{"a\\ud800": 1}', b'{"name": ' + b"[" * 50])
    def test_what_is_no_object_is_refused(self, admin: Api, standard: SLAPolicy, raw: bytes) -> None:
        with nothing_written():
            for method, path in (("POST", PATH), ("PUT", f"{PATH}/{standard.pk}"), ("PATCH", f"{PATH}/{standard.pk}")):
                assert refused(admin(method, path, raw=raw), 400)["errors"]

    def test_foreign_and_unknown_things_are_not_found_in_the_body(self, admin: Api, workspace: Workspace) -> None:
        policy, elsewhere = make_policy(workspace, is_default=False), WorkspaceFactory()
        gone = make_hours(workspace, name="Gone")
        setup.delete_hours(hours=gone, now=SET_UP)
        wrong: list[tuple[dict[str, Any], str]] = [
            *[
                ({"business_hours_id": str(pk)}, "business_hours_id")
                for pk in (make_hours(elsewhere).pk, gone.pk, UNKNOWN)
            ],
            *[
                ({"conditions": {name: [str(pk)]}}, f"conditions.{name}")
                for name, pk in (
                    ("category_ids", CategoryFactory(workspace=elsewhere).pk),
                    ("category_ids", UNKNOWN),
                    ("organization_ids", OrganizationFactory(workspace=elsewhere).pk),
                    ("organization_ids", UNKNOWN),
                )
            ],
        ]
        with nothing_written():
            for changes, field in wrong:
                refused(admin.post(PATH, ENTERPRISE | changes), 404, field)
                refused(admin.put(f"{PATH}/{policy.pk}", changes), 404, field)

    def test_a_foreign_policy_is_like_an_unknown_one(self, admin: Api) -> None:
        foreign = make_policy()
        with nothing_written():
            for pk in (foreign.pk, UNKNOWN):
                for method in ("GET", "PUT", "PATCH", "DELETE"):
                    refused(admin(method, f"{PATH}/{pk}", {"name": "x"} if method[0] == "P" else None), 404, "id")

    @pytest.mark.parametrize("role", ROLES)
    def test_every_member_reads_and_admins_write(self, workspace: Workspace, role: str) -> None:
        api, policy = Api(make_agent(workspace, role)), make_policy(workspace, is_default=False)
        path = f"{PATH}/{policy.pk}"
        assert api.get(PATH).status_code == api.get(path).status_code == 200
        if role in ("owner", "admin"):
            assert api.post(PATH, ENTERPRISE).status_code == 201
            assert api.put(path, {"name": "y"}).status_code == api.patch(path, {"name": "z"}).status_code == 200
            assert api.delete(path).status_code == 204
        else:
            with nothing_written():
                refused(api.post(PATH, ENTERPRISE), 403)
                for method in ("PUT", "PATCH", "DELETE"):
                    refused(api(method, path, {"name": "y"}), 403)

    def test_a_key_does_no_more_than_its_scopes(self, workspace: Workspace) -> None:
        owner, now = make_agent(workspace, "owner"), dt.datetime.now(dt.UTC)
        with nothing_written():
            for scopes in (["read"], ["read", "write"]):
                _, key = tokens.make_api_key(membership=owner, name="k", scopes=scopes, expires_at=None, now=now)
                assert Api(token=key).get(PATH).status_code == 200
                refused(Api(token=key).post(PATH, ENTERPRISE), 403)

    def test_nobody_gets_in_without_a_token(self, standard: SLAPolicy) -> None:
        with nothing_written():
            refused(Api().get(PATH), 401)
            refused(Api().post(PATH, ENTERPRISE), 401)
            refused(Api().delete(f"{PATH}/{standard.pk}"), 401)

    def test_wrong_methods(self, admin: Api, standard: SLAPolicy) -> None:
        with nothing_written():
            for method, path in (("PUT", PATH), ("DELETE", PATH), ("POST", f"{PATH}/{standard.pk}")):
                refused(admin(method, path, {}), 405)

    def test_a_workspace_without_business_hours_makes_them_first(self) -> None:
        api = Api(make_agent(WorkspaceFactory(), "owner"))
        with nothing_written():
            refused(api.post(PATH, ENTERPRISE), 400, "business_hours_only")
        assert api.post(PATH, ENTERPRISE | {"business_hours_only": False}).status_code == 201

    def test_there_is_an_end_to_policies(
        self, admin: Api, workspace: Workspace, standard: SLAPolicy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(setup, "MAX_POLICIES", 1)
        with nothing_written():
            assert refused(admin.post(PATH, ENTERPRISE), 409)["code"] == "too_many"
        assert UUID(admin.put(f"{PATH}/{standard.pk}", {"name": "Still"}).json()["id"]) == standard.pk
