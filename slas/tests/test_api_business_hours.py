"""Business hours over the API."""

from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.models import BusinessHours, Job
from slas.services import setup
from slas.tests.factories import SET_UP, WEEK, make_hours, make_policy
from slas.tests.test_api_policies import nothing_written
from tickets.tests.api import ROLES, UNKNOWN, Api, refused
from tickets.tests.factories import make_agent

pytestmark = pytest.mark.django_db

PATH = "/tickets/business-hours"
# The specification's example, word for word.
NEW_YORK: dict[str, Any] = {
    "timezone": "America/New_York",
    "schedule": {
        "monday": {"start": "09:00", "end": "18:00"},
        "tuesday": {"start": "09:00", "end": "18:00"},
        "wednesday": {"start": "09:00", "end": "18:00"},
        "thursday": {"start": "09:00", "end": "18:00"},
        "friday": {"start": "09:00", "end": "17:00"},
    },
    "holidays": ["2024-12-25", "2024-01-01"],
}
FIELDS = {
    "id",
    "name",
    "timezone",
    "schedule",
    "holidays",
    "country",
    "region",
    "is_default",
    "has_open_time",
    "warning",
    "created_at",
    "updated_at",
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


@pytest.fixture
def standard(workspace: Workspace) -> BusinessHours:
    found: BusinessHours = BusinessHours.objects.for_workspace(workspace).get(is_default=True)
    return found


def named(api: Api) -> list[str]:
    return [row["name"] for row in api.get(PATH).json()["business_hours"]]


class TestSuccess:
    def test_the_example_of_the_specification_comes_back_as_it_was_sent(self, admin: Api) -> None:
        response = admin.post(PATH, NEW_YORK)
        assert response.status_code == 201, response.content
        made = response.json()
        assert set(made) == FIELDS
        assert {name: made[name] for name in NEW_YORK} == NEW_YORK
        assert made["country"] == made["region"] == "" and made["is_default"] is False
        assert made["has_open_time"] is True and made["warning"] is None
        assert response["Location"] == f"/api{PATH}/{made['id']}"
        assert admin.get(f"{PATH}/{made['id']}").json() == made
        assert made in admin.get(PATH).json()["business_hours"]
        shape = {name: made[name] for name in NEW_YORK}
        assert admin.put(f"{PATH}/{made['id']}", shape).json() | {"updated_at": ""} == made | {"updated_at": ""}

    def test_those_without_a_name_are_numbered(self, admin: Api) -> None:
        assert [admin.post(PATH, NEW_YORK).json()["name"] for _ in range(2)] == ["Business hours 2", "Business hours 3"]
        first = Api(make_agent(WorkspaceFactory(), "admin")).post(PATH, NEW_YORK).json()
        assert first["name"] == "Business hours" and first["is_default"] is True

    def test_every_shape_of_a_day_and_a_date(self, admin: Api) -> None:
        body = {
            "name": "Shop",
            "timezone": "Europe/Berlin",
            "schedule": {
                "monday": [{"start": "08:00", "end": "12:00"}, {"start": "13:00", "end": "17:00"}],
                "saturday": {"start": "20:00", "end": "24:00"},
            },
            "holidays": [
                "2026-01-02",
                {"date": "2026-05-02", "name": "Works outing"},
                {"date": "2026-12-24", "name": "Christmas Eve", "start": "09:00", "end": "12:00"},
            ],
            "country": "DE",
            "region": "BY",
        }
        made = admin.post(PATH, body).json()
        assert {name: made[name] for name in body} == body
        cleared = admin.put(f"{PATH}/{made['id']}", {"country": "", "region": "", "holidays": []}).json()
        assert cleared["country"] == cleared["region"] == "" and cleared["holidays"] == []
        assert cleared["schedule"] == body["schedule"]

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_only_the_sent_fields_change(self, admin: Api, standard: BusinessHours, method: str) -> None:
        answer = admin(method, f"{PATH}/{standard.pk}", {"timezone": "Asia/Tokyo"})
        assert answer.status_code == 200
        assert answer.json()["timezone"] == "Asia/Tokyo" and answer.json()["schedule"] == WEEK
        answer = admin(method, f"{PATH}/{standard.pk}", {"schedule": {"sunday": {"start": "10:00", "end": "11:00"}}})
        assert list(answer.json()["schedule"]) == ["sunday"] and answer.json()["timezone"] == "Asia/Tokyo"

    def test_what_is_never_open_is_kept_with_a_warning(self, admin: Api) -> None:
        made = admin.post(PATH, {"schedule": {}}).json()
        assert made["has_open_time"] is False and "no deadline" in made["warning"]
        opened = admin.put(f"{PATH}/{made['id']}", {"schedule": WEEK}).json()
        assert opened["has_open_time"] is True and opened["warning"] is None

    def test_a_change_has_the_clocks_of_tickets_in_work_reckoned_anew(
        self, admin: Api, standard: BusinessHours
    ) -> None:
        Job.unscoped.update(state="done")
        admin.put(f"{PATH}/{standard.pk}", {"timezone": "Asia/Tokyo"})
        assert admin.get("/tickets/sla-jobs?kind=derive").json()["sla_jobs"][0]["state"] == "waiting"

    def test_the_list_is_by_name_and_without_foreign_or_deleted_ones(self, admin: Api, workspace: Workspace) -> None:
        for name in ("c", "B"):
            make_hours(workspace, name=name)
        make_hours()
        gone = make_hours(workspace, name="a")
        assert admin.delete(f"{PATH}/{gone.pk}").status_code == 204
        assert named(admin) == ["B", "Business hours", "c"]
        assert admin.get(f"{PATH}?limit=1").json()["pagination"]["total"] == 3
        refused(admin.get(f"{PATH}?name=B"), 400, "name")

    def test_the_list_costs_the_same_for_any_number(
        self, admin: Api, workspace: Workspace, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(5):
            make_hours(workspace, name=f"{number}")
        with django_assert_max_num_queries(2):
            assert len(named(admin)) == 6

    def test_the_same_key_creates_once(self, admin: Api, workspace: Workspace) -> None:
        answers = [admin.post(PATH, NEW_YORK, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].json() == answers[1].json() and answers[1]["Idempotency-Replayed"] == "true"
        assert BusinessHours.objects.for_workspace(workspace).count() == 2


class TestTheDefault:
    def test_making_others_the_default_moves_it(self, admin: Api, standard: BusinessHours) -> None:
        made = admin.post(PATH, NEW_YORK | {"is_default": True}).json()
        assert made["is_default"] is True
        assert admin.get(f"{PATH}/{standard.pk}").json()["is_default"] is False
        admin.put(f"{PATH}/{standard.pk}", {"is_default": True})
        assert [row["is_default"] for row in admin.get(PATH).json()["business_hours"]] == [True, False]

    def test_the_default_cannot_be_unmade_or_deleted(self, admin: Api, standard: BusinessHours) -> None:
        with nothing_written():
            refused(admin.put(f"{PATH}/{standard.pk}", {"is_default": False}), 400, "is_default")
            assert refused(admin.delete(f"{PATH}/{standard.pk}"), 409)["code"] == "is_default"


class TestDeleting:
    def test_those_that_a_policy_counts_by_stay(self, admin: Api, workspace: Workspace) -> None:
        hours = make_hours(workspace)
        policy = make_policy(workspace, name="VIP", is_default=False, business_hours_id=hours.pk)
        with nothing_written():
            problem = refused(admin.delete(f"{PATH}/{hours.pk}"), 409)
        assert problem["code"] == "in_use" and "VIP" in problem["detail"]
        assert admin.delete(f"/tickets/sla-policies/{policy.pk}").status_code == 204
        assert admin.delete(f"{PATH}/{hours.pk}").status_code == 204
        with nothing_written():
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                refused(admin(method, f"{PATH}/{hours.pk}", {"name": "x"} if method[0] == "P" else None), 404, "id")


def on(day: Any, name: str = "monday") -> dict[str, Any]:
    return {"schedule": {name: day}}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": None}, "name"),
    ({"name": 5}, "name"),
    ({"name": "x" * 81}, "name"),
    ({"name": "BUSINESS HOURS"}, "name"),
    ({"timezone": "Europe/Atlantis"}, "timezone"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"timezone": ""}, "timezone"),
    ({"timezone": None}, "timezone"),
    ({"timezone": 1}, "timezone"),
    ({"schedule": None}, "schedule"),
    ({"schedule": []}, "schedule"),
    ({"schedule": "always"}, "schedule"),
    (on({"start": "09:00", "end": "18:00"}, "funday"), "schedule.funday"),
    (on({"start": "18:00", "end": "09:00"}), "schedule.monday"),
    (on({"start": "09:00", "end": "09:00"}), "schedule.monday"),
    (on({"start": "9", "end": "18:00"}), "schedule.monday"),
    (on({"start": "09:00", "end": "24:30"}), "schedule.monday"),
    (on({"start": 9, "end": 18}), "schedule.monday"),
    (on({"start": "09:00"}), "schedule.monday"),
    (on("09:00-18:00"), "schedule.monday"),
    (on([{"start": "09:00", "end": "12:00"}, {"start": "11:00", "end": "18:00"}]), "schedule.monday"),
    (on([{"start": "00:00", "end": "00:01"}] * 25), "schedule.monday"),
    (on({"start": "09:00", "end": "18:00", "break": "12:00"}), "schedule.monday.break"),
    ({"holidays": "2024-12-25"}, "holidays"),
    ({"holidays": {}}, "holidays"),
    ({"holidays": None}, "holidays"),
    ({"holidays": ["25.12.2024"]}, "holidays.0"),
    ({"holidays": ["2024-12-25", "2024-02-30"]}, "holidays.1"),
    ({"holidays": ["2024-12-25", "2024-12-25"]}, "holidays.1"),
    ({"holidays": [5]}, "holidays.0"),
    ({"holidays": [{"date": "2024-12-24", "start": "12:00", "end": "09:00"}]}, "holidays.0"),
    ({"holidays": ["2024-12-25"] * 1001}, "holidays"),
    ({"country": "XX"}, "country"),
    ({"country": "Germany"}, "country"),
    ({"country": None}, "country"),
    ({"country": "DE", "region": "TEXAS"}, "region"),
    ({"region": "BY"}, "region"),
    ({"is_default": None}, "is_default"),
    ({"is_default": 1}, "is_default"),
    ({"has_open_time": True}, "has_open_time"),
    ({"warning": None}, "warning"),
    ({"surprise": 1}, "surprise"),
]


class TestRefusals:
    def test_a_wrong_field_is_named(self, admin: Api, workspace: Workspace) -> None:
        hours = make_hours(workspace)
        with nothing_written():
            for changes, field in WRONG:
                refused(admin.post(PATH, NEW_YORK | changes), 400, field)
                refused(admin.put(f"{PATH}/{hours.pk}", changes), 400, field)

    def test_a_schedule_is_needed_and_all_mistakes_are_told_at_once(self, admin: Api) -> None:
        with nothing_written():
            refused(admin.post(PATH, {"timezone": "UTC"}), 400, "schedule")
            body = on({"start": "18:00", "end": "09:00"}) | {"timezone": "Mars", "holidays": ["x"], "country": "XX"}
            refused(admin.post(PATH, body), 400, "schedule.monday", "timezone", "holidays.0", "country")

    @pytest.mark.parametrize(
        "raw", [b"{", b"[]", b'{"schedule": {"a\\ud800": 1}}', b'{"schedule": ' + b'{"a":' * 30 + b"1" + b"}" * 31]
    )
    def test_what_cannot_be_read_is_refused(self, admin: Api, standard: BusinessHours, raw: bytes) -> None:
        with nothing_written():
            for method, path in (("POST", PATH), ("PUT", f"{PATH}/{standard.pk}"), ("PATCH", f"{PATH}/{standard.pk}")):
                assert refused(admin(method, path, raw=raw), 400)["errors"]

    def test_foreign_business_hours_are_like_unknown_ones(self, admin: Api) -> None:
        foreign = make_hours()
        with nothing_written():
            for pk in (foreign.pk, UNKNOWN):
                for method in ("GET", "PUT", "PATCH", "DELETE"):
                    refused(admin(method, f"{PATH}/{pk}", {"name": "x"} if method[0] == "P" else None), 404, "id")

    @pytest.mark.parametrize("role", ROLES)
    def test_every_member_reads_and_admins_write(self, workspace: Workspace, role: str) -> None:
        api, path = Api(make_agent(workspace, role)), f"{PATH}/{make_hours(workspace).pk}"
        assert api.get(PATH).status_code == api.get(path).status_code == 200
        if role in ("owner", "admin"):
            assert api.post(PATH, NEW_YORK).status_code == 201
            assert api.put(path, {"name": "y"}).status_code == api.patch(path, {"name": "z"}).status_code == 200
            assert api.delete(path).status_code == 204
        else:
            with nothing_written():
                refused(api.post(PATH, NEW_YORK), 403)
                for method in ("PUT", "PATCH", "DELETE"):
                    refused(api(method, path, {"name": "y"}), 403)

    def test_wrong_methods_and_no_token(self, admin: Api, standard: BusinessHours) -> None:
        with nothing_written():
            for method, path in (("PUT", PATH), ("DELETE", PATH), ("POST", f"{PATH}/{standard.pk}")):
                refused(admin(method, path, {}), 405)
            refused(Api().get(PATH), 401)
            refused(Api().post(PATH, NEW_YORK), 401)

    def test_there_is_an_end_to_business_hours(self, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "MAX_CALENDARS", 1)
        with nothing_written():
            assert refused(admin.post(PATH, NEW_YORK), 409)["code"] == "too_many"
