"""Recurring tickets over the API."""

import datetime as dt
import json
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from tickets.automation.models import RecurringRun, RecurringTicket
from tickets.automation.services import recurring
from tickets.automation.tests.factories import make_recurring
from tickets.models import Ticket
from tickets.tests.api import ROLES, UNKNOWN, Api, refused, unchanged
from tickets.tests.factories import CategoryFactory, make_agent

pytestmark = pytest.mark.django_db

PATH = "/tickets/recurring-tickets"
SCHEDULE: dict[str, Any] = {
    "every": "month",
    "interval": 1,
    "nth": "first",
    "weekday": "monday",
    "at": "09:00",
    "timezone": "Europe/Berlin",
    "starts_on": "2026-01-01",
    "ends_on": None,
}
RECURRING: dict[str, Any] = {
    "name": "Backups",
    "schedule": SCHEDULE,
    "subject": "Check the backups of {{month}}",
    "description": "Restore one of them.",
    "requester_email": "it@acme.example",
}
DEFAULTS: dict[str, Any] = {
    "requester_name": "",
    "priority": "medium",
    "category_id": None,
    "team_id": None,
    "assignee_id": None,
    "tags": [],
    "is_active": True,
    "last_at": None,
    "last_ticket_id": None,
    "notice": "",
    "schedule_text": "every first Monday of the month at 09:00 (Europe/Berlin)",
}
DAY = dt.timedelta(days=1)
nothing_written = partial(unchanged, RecurringTicket, RecurringRun, Ticket, IdempotencyKey)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(timezone="Europe/Berlin")
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, "admin"))


@pytest.fixture
def row(workspace: Workspace) -> RecurringTicket:
    return make_recurring(workspace)


class TestSuccess:
    def test_one_comes_back_as_it_was_sent(self, admin: Api) -> None:
        response = admin.post(PATH, RECURRING)
        assert response.status_code == 201, response.content
        made = response.json()
        assert set(made) == {*RECURRING, *DEFAULTS, "id", "next_at", "created_at", "updated_at"}
        assert {name: made[name] for name in RECURRING} == RECURRING
        assert {name: made[name] for name in DEFAULTS} == DEFAULTS
        assert made["next_at"] > made["created_at"]
        assert response["Location"] == f"/api{PATH}/{made['id']}"
        assert admin.get(f"{PATH}/{made['id']}").json() == made
        assert admin.get(PATH).json()["recurring_tickets"] == [made]

    def test_everything_makes_the_round_trip(self, admin: Api, workspace: Workspace) -> None:
        sent = RECURRING | {
            "requester_name": "IT",
            "priority": "urgent",
            "category_id": str(CategoryFactory(workspace=workspace).pk),
            "team_id": str(TeamFactory(workspace=workspace).pk),
            "assignee_id": str(make_agent(workspace).user_id),
            "tags": ["backup", "it"],
            "is_active": False,
        }
        made = admin.post(PATH, sent).json()
        assert {name: made[name] for name in sent} == sent
        assert made["next_at"] is None

    @pytest.mark.parametrize(
        "said",
        [
            {"every": "day", "interval": 3},
            {"every": "week", "weekdays": ["monday", "friday"]},
            {"every": "month", "day": 31},
            {"every": "year", "month": 2, "day": 29},
            {"every": "year", "month": 10, "nth": "last", "weekday": "sunday", "interval": 2},
        ],
    )
    def test_what_goes_without_saying_is_filled_in(self, admin: Api, said: dict[str, Any]) -> None:
        made = admin.post(PATH, RECURRING | {"schedule": said | {"at": "09:00"}}).json()["schedule"]
        assert made.pop("starts_on")
        assert made == {"interval": 1, "at": "09:00", "timezone": "Europe/Berlin", "ends_on": None} | said

    def test_put_and_patch_change_what_is_sent(self, admin: Api, row: RecurringTicket) -> None:
        path = f"{PATH}/{row.pk}"
        before = admin.get(path).json()
        for method in ("PUT", "PATCH"):
            for name, value in (("name", method), ("priority", "low"), ("tags", ["x"]), ("requester_name", "Jane")):
                changed = admin(method, path, {name: value}).json()
                assert changed == before | {name: value, "updated_at": changed["updated_at"]}
                before = changed
        changed = admin.patch(path, {"is_active": False}).json()
        assert (changed["is_active"], changed["next_at"]) == (False, None)
        changed = admin.patch(path, {"is_active": True, "schedule": SCHEDULE}).json()
        assert changed["schedule"] == SCHEDULE and changed["next_at"] is not None
        assert admin.put(path, {}).json()["name"] == "PATCH"

    def test_the_list_is_by_name_has_pages_and_costs_the_same(
        self, admin: Api, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        for name in ("b", "C", "a"):
            make_recurring(workspace, name=name)
        elsewhere: Any = WorkspaceFactory()
        make_recurring(elsewhere, name="foreign")
        with django_assert_num_queries(2):
            page = admin.get(PATH).json()
        assert [one["name"] for one in page["recurring_tickets"]] == ["a", "b", "C"]
        page = admin.get(f"{PATH}?limit=2&page=2").json()
        assert [one["name"] for one in page["recurring_tickets"]] == ["C"]
        assert page["pagination"] == {"page": 2, "limit": 2, "total": 3, "totalPages": 2}
        refused(admin.get(f"{PATH}?sort=name"), 400, "sort")

    def test_the_same_key_creates_once(self, admin: Api, workspace: Workspace) -> None:
        answers = [admin.post(PATH, RECURRING, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[1]["Idempotency-Replayed"] == "true"
        assert RecurringTicket.objects.for_workspace(workspace).count() == 1
        with nothing_written():
            refused(admin.post(PATH, RECURRING | {"name": "Other"}, Idempotency_Key="k"), 422)

    def test_a_deleted_one_is_gone_and_its_name_is_free(self, admin: Api, row: RecurringTicket) -> None:
        assert admin.delete(f"{PATH}/{row.pk}").status_code == 204
        assert admin.get(PATH).json()["recurring_tickets"] == []
        with nothing_written():
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                refused(admin(method, f"{PATH}/{row.pk}", {"name": "x"} if method[0] == "P" else None), 404, "id")
            refused(admin.get(f"{PATH}/{row.pk}/runs"), 404, "id")
        assert admin.post(PATH, RECURRING).status_code == 201


class TestRuns:
    def test_they_say_what_became_of_each_time_the_newest_first(
        self, admin: Api, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        now = timezone.now()
        row = make_recurring(workspace, now=now - 4 * DAY)
        recurring.open_due(now=now)
        ticket = Ticket.objects.for_workspace(workspace).get()
        with django_assert_num_queries(3):
            page = admin.get(f"{PATH}/{row.pk}/runs").json()
        newest, *missed = page["recurring_runs"]
        assert newest == {
            "id": newest["id"],
            "occurrence_at": newest["occurrence_at"],
            "is_opened": True,
            "text": "",
            "ticket_id": str(ticket.pk),
            "ticket_number": ticket.ticket_number,
            "ran_at": newest["ran_at"],
        }
        assert len(missed) == 3
        assert {(run["is_opened"], run["ticket_id"], run["text"]) for run in missed} == {
            (False, None, recurring.MISSED)
        }
        times = [run["occurrence_at"] for run in page["recurring_runs"]]
        assert times == sorted(times, reverse=True)
        shown = admin.get(f"{PATH}/{row.pk}").json()
        assert (shown["last_at"], shown["last_ticket_id"]) == (newest["occurrence_at"], str(ticket.pk))
        assert len(admin.get(f"{PATH}/{row.pk}/runs?limit=2").json()["recurring_runs"]) == 2
        refused(admin.get(f"{PATH}/{row.pk}/runs?sort=x"), 400, "sort")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": None}, "name"),
    ({"name": "x" * 81}, "name"),
    ({"name": "backUPS"}, "name"),
    ({"subject": ""}, "subject"),
    ({"subject": 5}, "subject"),
    ({"subject": "x" * 247 + "{{date}}"}, "subject"),
    ({"description": " "}, "description"),
    ({"description": "a\0b"}, "description"),
    ({"requester_email": "it"}, "requester_email"),
    ({"requester_name": "x" * 121}, "requester_name"),
    ({"priority": "asap"}, "priority"),
    ({"category_id": "x"}, "category_id"),
    ({"tags": "x"}, "tags"),
    ({"tags": ["x"] * 21}, "tags"),
    ({"tags": ["x" * 41]}, "tags.0"),
    ({"is_active": "yes"}, "is_active"),
    ({"schedule": None}, "schedule"),
    ({"schedule": "daily"}, "schedule"),
    ({"schedule": []}, "schedule"),
    ({"schedule": SCHEDULE | {"every": "hour"}}, "schedule.every"),
    ({"schedule": SCHEDULE | {"at": "9"}}, "schedule.at"),
    ({"schedule": SCHEDULE | {"interval": 25}}, "schedule.interval"),
    ({"schedule": SCHEDULE | {"nth": "fifth"}}, "schedule.nth"),
    ({"schedule": SCHEDULE | {"weekday": 1}}, "schedule.weekday"),
    ({"schedule": SCHEDULE | {"timezone": ["UTC"]}}, "schedule.timezone"),
    ({"schedule": SCHEDULE | {"starts_on": 5}}, "schedule.starts_on"),
    ({"schedule": SCHEDULE | {"ends_on": "2025-01-01"}}, "schedule.ends_on"),
    ({"schedule": SCHEDULE | {"ends_on": "2026-01-02"}}, "schedule.ends_on"),  # it would never happen
    ({"schedule": SCHEDULE | {"cron": "* * * * *"}}, "schedule.cron"),
    ({"schedule": SCHEDULE | {"x" * 90: 1}}, f"schedule.{'x' * 40}"),
    ({"next_at": "2026-01-01T00:00:00Z"}, "next_at"),
]


class TestRefusals:
    @pytest.mark.parametrize(("changes", "field"), WRONG)
    def test_a_wrong_value_is_named_and_nothing_is_written(
        self, admin: Api, workspace: Workspace, changes: dict[str, Any], field: str
    ) -> None:
        make_recurring(workspace)
        other = make_recurring(workspace, name="Other")
        with nothing_written():
            refused(admin.post(PATH, RECURRING | {"name": "Third"} | changes), 400, field)
            for method in ("PUT", "PATCH"):
                refused(admin(method, f"{PATH}/{other.pk}", changes), 400, field)

    def test_a_schedule_with_what_is_no_text_is_refused(self, admin: Api) -> None:
        with nothing_written():
            for wrong in ('"\\ud800": 1', '"at": "\\u0000"', '"timezone": "\\udfff"', '"every": NaN', '"x": 1e999'):
                body = json.dumps(RECURRING).replace(json.dumps(SCHEDULE), f"{{{wrong}}}")
                assert refused(admin("POST", PATH, raw=body.encode()), 400)["errors"]

    def test_what_is_missing_is_named(self, admin: Api) -> None:
        with nothing_written():
            refused(admin.post(PATH, {}), 400, *RECURRING)

    def test_foreign_things_are_not_found(self, admin: Api, workspace: Workspace, row: RecurringTicket) -> None:
        elsewhere: Any = WorkspaceFactory()
        foreign = make_recurring(elsewhere)
        with nothing_written():
            for changes in (
                {"category_id": str(CategoryFactory(workspace=elsewhere).pk)},
                {"team_id": str(TeamFactory(workspace=elsewhere).pk)},
                {"assignee_id": str(make_agent(elsewhere).user_id)},
                {"assignee_id": UNKNOWN},
            ):
                refused(admin.post(PATH, RECURRING | {"name": "x"} | changes), 404, *changes)
                refused(admin.patch(f"{PATH}/{row.pk}", changes), 404, *changes)
            for pk in (foreign.pk, UNKNOWN):
                for method in ("GET", "PUT", "PATCH", "DELETE"):
                    refused(admin(method, f"{PATH}/{pk}", {"name": "x"} if method[0] == "P" else None), 404, "id")
                refused(admin.get(f"{PATH}/{pk}/runs"), 404, "id")
            light = make_agent(workspace, "light")
            refused(admin.patch(f"{PATH}/{row.pk}", {"assignee_id": str(light.user_id)}), 400, "assignee_id")

    def test_only_admins_change_them_and_everybody_reads(self, workspace: Workspace, row: RecurringTicket) -> None:
        for role in ROLES:
            api = Api(make_agent(workspace, role))
            assert api.get(PATH).status_code == api.get(f"{PATH}/{row.pk}/runs").status_code == 200
            if role in ("agent", "light"):
                with nothing_written():
                    refused(api.post(PATH, RECURRING | {"name": role}), 403)
                    for method in ("PUT", "PATCH", "DELETE"):
                        refused(api(method, f"{PATH}/{row.pk}", {} if method[0] == "P" else None), 403)
        with nothing_written():
            refused(Api().get(PATH), 401)

    def test_beyond_the_limit_it_is_a_conflict(
        self, admin: Api, row: RecurringTicket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recurring, "MAX_RECURRING", 1)
        with nothing_written():
            assert refused(admin.post(PATH, RECURRING | {"name": "x"}), 409)["code"] == "too_many"
