"""Trying changes of the rules on past tickets, and the work in the background, over the API."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.models import BusinessHours, Job, SLAPolicy
from slas.services import jobs, setup
from slas.tasks import run_job
from slas.tests.factories import SET_UP, WEEK, make_hours, make_policy
from slas.tests.test_api_policies import nothing_written
from tickets.tests.api import ROLES, UNKNOWN, Api, refused
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db

JOBS = "/tickets/sla-jobs"
FIELDS = {
    "id",
    "kind",
    "state",
    "percent",
    "done",
    "total",
    "policy_id",
    "business_hours_id",
    "days",
    "changes",
    "result",
    "created_by_id",
    "created_at",
    "finished_at",
}


@pytest.fixture
def workspace() -> Workspace:
    """A workspace with what every one begins with: the policy Standard and business hours."""
    made: Any = WorkspaceFactory()
    setup.furnish(made, SET_UP)
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, "admin"))


def paths(workspace: Workspace) -> dict[str, str]:
    """Where to ask about the workspace's default policy and business hours."""
    policy = SLAPolicy.objects.for_workspace(workspace).get(is_default=True)
    hours = BusinessHours.objects.for_workspace(workspace).get(is_default=True)
    return {
        "policy": f"/tickets/sla-policies/{policy.pk}/what-if",
        "hours": f"/tickets/business-hours/{hours.pk}/what-if",
    }


CHANGES: dict[str, dict[str, Any]] = {"policy": {"resolution_hours": 1}, "hours": {"schedule": {}}}


@pytest.mark.parametrize("about", ["policy", "hours"])
class TestAsking:
    def test_the_answer_is_a_job_and_where_to_find_it(self, admin: Api, workspace: Workspace, about: str) -> None:
        before = [list(model.unscoped.values()) for model in (SLAPolicy, BusinessHours)]
        response = admin.post(paths(workspace)[about], {"days": 7, "changes": CHANGES[about]})
        assert response.status_code == 202, response.content
        job = response.json()
        assert set(job) == FIELDS
        assert (job["kind"], job["state"], job["percent"], job["result"]) == ("what_if", "waiting", 0, None)
        assert job["days"] == 7 and job["changes"] == CHANGES[about]
        asked = "policy_id" if about == "policy" else "business_hours_id"
        assert {name for name in ("policy_id", "business_hours_id") if job[name]} == {asked}
        assert job[asked] in paths(workspace)[about]
        assert response["Location"] == f"/api{JOBS}/{job['id']}"
        assert admin.get(f"{JOBS}/{job['id']}").json() == job
        assert [list(model.unscoped.values()) for model in (SLAPolicy, BusinessHours)] == before

    def test_the_days_are_thirty_unless_given_and_null_means_all(
        self, admin: Api, workspace: Workspace, about: str
    ) -> None:
        path = paths(workspace)[about]
        assert admin.post(path, {"changes": {}}).json()["days"] == 30
        assert admin.post(path, {"days": None, "changes": {}}).json()["days"] is None

    def test_the_same_key_asks_once(self, admin: Api, workspace: Workspace, about: str) -> None:
        body = {"changes": CHANGES[about]}
        answers = [admin.post(paths(workspace)[about], body, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].json() == answers[1].json() and answers[0]["Location"] == answers[1]["Location"]
        assert Job.unscoped.filter(kind="what_if").count() == 1

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "changes"),
            ({"changes": None}, "changes"),
            ({"changes": []}, "changes"),
            ({"changes": {}, "days": 0}, "days"),
            ({"changes": {}, "days": 36_501}, "days"),
            ({"changes": {}, "days": 1.5}, "days"),
            ({"changes": {}, "days": "30"}, "days"),
            ({"changes": {}, "days": True}, "days"),
            ({"changes": {}, "years": 1}, "years"),
            ({"changes": {"surprise": 1}}, "changes.surprise"),
            ({"changes": {"name": 5}}, "changes.name"),
        ],
    )
    def test_a_wrong_field_is_named(
        self, admin: Api, workspace: Workspace, about: str, body: dict[str, Any], field: str
    ) -> None:
        with nothing_written():
            refused(admin.post(paths(workspace)[about], body), 400, field)

    @pytest.mark.parametrize("role", ROLES)
    def test_admins_ask(self, workspace: Workspace, about: str, role: str) -> None:
        api, path = Api(make_agent(workspace, role)), paths(workspace)[about]
        if role in ("owner", "admin"):
            assert api.post(path, {"changes": {}}).status_code == 202
        else:
            with nothing_written():
                refused(api.post(path, {"changes": {}}), 403)

    def test_foreign_and_unknown_ones_are_not_found(self, admin: Api, about: str) -> None:
        elsewhere = WorkspaceFactory()
        setup.furnish(elsewhere, SET_UP)
        foreign = paths(elsewhere)[about]
        unknown = foreign.replace(foreign.split("/")[3], UNKNOWN)
        with nothing_written():
            for path in (foreign, unknown):
                refused(admin.post(path, {"changes": {}}), 404, "id")
            refused(Api().post(foreign, {"changes": {}}), 401)
            refused(admin.get(foreign), 405)


def test_a_wrong_draft_is_named_under_changes(admin: Api, workspace: Workspace) -> None:
    where, foreign = paths(workspace), make_hours().pk
    wrong: list[tuple[str, dict[str, Any], int, str]] = [
        ("policy", {"resolution_hours": 0}, 400, "resolution_hours"),
        (
            "policy",
            {"priority_overrides": {"low": {"resolution_hours": "4"}}},
            400,
            "priority_overrides.low.resolution_hours",
        ),
        ("policy", {"conditions": {"attributes": {"plan": [""]}}}, 400, "conditions.attributes.plan"),
        ("policy", {"business_hours_id": str(foreign)}, 404, "business_hours_id"),
        ("policy", {"conditions": {"category_ids": [UNKNOWN]}}, 404, "conditions.category_ids"),
        ("hours", {"timezone": "Mars"}, 400, "timezone"),
        ("hours", {"schedule": {"monday": {"start": "18:00", "end": "09:00"}}}, 400, "schedule.monday"),
        ("hours", {"holidays": ["x"]}, 400, "holidays.0"),
    ]
    with nothing_written():
        for about, changes, status, field in wrong:
            refused(admin.post(where[about], {"changes": changes}), status, f"changes.{field}")


def test_every_field_of_a_draft_is_kept_with_the_job(admin: Api, workspace: Workspace) -> None:
    hours, category = make_hours(workspace), CategoryFactory(workspace=workspace)
    changes = {
        "business_hours_id": str(hours.pk),
        "business_hours_only": True,
        "conditions": {"category_ids": [str(category.pk)], "attributes": {"vip": [True]}},
        "priority_overrides": {"low": {"resolution_hours": 0.5}},
    }
    policy = make_policy(workspace, is_default=False)
    response = admin.post(f"/tickets/sla-policies/{policy.pk}/what-if", {"days": 90, "changes": changes})
    assert response.status_code == 202, response.content
    assert admin.get(f"{JOBS}/{response.json()['id']}").json()["changes"] == changes


@pytest.mark.django_db(transaction=True)
def test_the_job_ends_with_what_would_have_been_different(admin: Api, workspace: Workspace) -> None:
    opened = dt.datetime.now(dt.UTC) - dt.timedelta(hours=5)
    ticket = make_ticket(workspace, now=opened)  # medium: 8 hours to the answer, 24 to the resolution
    asked = admin.post(paths(workspace)["policy"], {"changes": {"first_response_hours": 4}}).json()
    run_job(asked["id"])
    job = admin.get(f"{JOBS}/{asked['id']}").json()
    assert (job["state"], job["percent"]) == ("done", 100) and job["finished_at"]
    result = job["result"]
    assert (result["tickets"], result["now"], result["then"], result["gained"]) == (1, 0, 1, 1)
    assert [(row["id"], row["gained"]) for row in result["changed"]] == [(str(ticket.pk), ["first_response"])]
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_what_is_gone_when_its_turn_comes_fails_with_a_reason(admin: Api, workspace: Workspace) -> None:
    policy = make_policy(workspace, is_default=False)
    asked = admin.post(f"/tickets/sla-policies/{policy.pk}/what-if", {"changes": {}}).json()
    admin.delete(f"/tickets/sla-policies/{policy.pk}")
    run_job(asked["id"])
    job = admin.get(f"{JOBS}/{asked['id']}").json()
    assert job["state"] == "failed" and job["result"] == {"error": "There is no such policy."}


class TestJobs:
    def test_the_list_is_newest_first_and_of_one_kind_when_asked(self, admin: Api, workspace: Workspace) -> None:
        where = paths(workspace)
        ids = [admin.post(where["hours"], {"changes": {"schedule": WEEK}}).json()["id"] for _ in range(2)]
        jobs.start(workspace=WorkspaceFactory(), kind="derive", now=SET_UP)
        listed = admin.get(JOBS).json()
        assert [job["kind"] for job in listed["sla_jobs"]] == ["what_if", "what_if", "derive"]
        assert [job["id"] for job in listed["sla_jobs"][:2]] == ids[::-1]
        assert listed["pagination"]["total"] == 3
        assert {job["kind"] for job in admin.get(f"{JOBS}?kind=derive").json()["sla_jobs"]} == {"derive"}
        assert admin.get(f"{JOBS}?kind=what_if&limit=1").json()["pagination"]["total"] == 2

    def test_the_list_costs_the_same_for_any_number(
        self, admin: Api, workspace: Workspace, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(4):
            jobs.start(workspace=workspace, kind="what_if", now=SET_UP)
        with django_assert_max_num_queries(2):
            assert len(admin.get(JOBS).json()["sla_jobs"]) == 5

    @pytest.mark.parametrize(("query", "field"), [("kind=x", "kind"), ("kind=", "kind"), ("state=done", "state")])
    def test_a_wrong_parameter_is_named(self, admin: Api, query: str, field: str) -> None:
        refused(admin.get(f"{JOBS}?{query}"), 400, field)

    @pytest.mark.parametrize("role", ROLES)
    def test_admins_read(self, workspace: Workspace, role: str) -> None:
        api, job = Api(make_agent(workspace, role)), jobs.start(workspace=workspace, kind="derive", now=SET_UP)
        for path in (JOBS, f"{JOBS}/{job.pk}"):
            if role in ("owner", "admin"):
                assert api.get(path).status_code == 200
            else:
                refused(api.get(path), 403)

    def test_foreign_and_unknown_ones_are_not_found_and_nothing_else_is_possible(self, admin: Api) -> None:
        foreign = jobs.start(workspace=WorkspaceFactory(), kind="derive", now=SET_UP)
        with nothing_written():
            for pk in (foreign.pk, UNKNOWN):
                refused(admin.get(f"{JOBS}/{pk}"), 404, "id")
            for method, path in (("POST", JOBS), ("PUT", f"{JOBS}/{foreign.pk}"), ("DELETE", f"{JOBS}/{foreign.pk}")):
                refused(admin(method, path), 405)
            refused(Api().get(JOBS), 401)
