"""Macros over the API: made by admins, run by agents."""

from functools import partial
from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from tickets.automation.models import Macro
from tickets.automation.tests.factories import make_macro
from tickets.events import SYSTEM
from tickets.models import Comment, Ticket
from tickets.services import status
from tickets.tests.api import ROLES, UNKNOWN, Api, nothing_written, refused, unchanged
from tickets.tests.factories import make_agent, make_ticket

pytestmark = pytest.mark.django_db

PATH = "/tickets/macros"
ACTIONS: list[dict[str, Any]] = [
    {"do": "add_note", "body": "Handed over."},
    {"do": "set_status", "status": "pending"},
]
MACRO: dict[str, Any] = {"name": "Hand over", "description": "At the end of the shift", "actions": ACTIONS}

no_macro_written = partial(unchanged, Macro, IdempotencyKey)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, "admin"))


@pytest.fixture
def agent(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, user__name="Maria Rossi"))


@pytest.fixture
def macro(workspace: Workspace) -> Macro:
    return make_macro(workspace, *ACTIONS, name="Hand over")


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_ticket(workspace)


class TestMaking:
    def test_a_macro_comes_back_as_it_was_sent(self, admin: Api) -> None:
        response = admin.post(PATH, MACRO)
        assert response.status_code == 201, response.content
        made = response.json()
        rest = {"position": 1, "is_active": True, "usage_count": 0, "last_used_at": None}
        assert made == MACRO | rest | {name: made[name] for name in ("id", "created_at", "updated_at")}
        assert response["Location"] == f"/api{PATH}/{made['id']}"
        assert admin.get(f"{PATH}/{made['id']}").json() == made
        assert admin.get(PATH).json()["macros"] == [made]

    def test_put_and_patch_change_what_is_sent(self, admin: Api, macro: Macro) -> None:
        path = f"{PATH}/{macro.pk}"
        before = admin.get(path).json()
        for method, changes in (
            ("PUT", {"is_active": False}),
            ("PATCH", {"name": "New", "description": ""}),
            ("PUT", {"actions": ACTIONS[:1]}),
        ):
            changed = admin(method, path, changes).json()
            assert changed == before | changes | {"updated_at": changed["updated_at"]}
            before = changed

    def test_the_list_is_in_order_and_has_pages(
        self, admin: Api, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        for name in "abc":
            make_macro(workspace, *ACTIONS, name=name, is_active=name != "b")
        make_macro(workspace, *ACTIONS, name="first", position=1)
        make_macro(WorkspaceFactory(), *ACTIONS, name="foreign")
        with django_assert_num_queries(2):
            found = admin.get(PATH).json()["macros"]
        assert [(row["name"], row["position"]) for row in found] == [("first", 1), ("a", 2), ("b", 3), ("c", 4)]
        page = admin.get(f"{PATH}?limit=3&page=2").json()
        assert [row["name"] for row in page["macros"]] == ["c"]
        assert page["pagination"] == {"page": 2, "limit": 3, "total": 4, "totalPages": 2}
        refused(admin.get(f"{PATH}?sort=name"), 400, "sort")

    def test_a_deleted_one_is_gone(self, admin: Api, macro: Macro, ticket: Ticket) -> None:
        assert admin.delete(f"{PATH}/{macro.pk}").status_code == 204
        assert admin.get(PATH).json()["macros"] == []
        with nothing_written(), no_macro_written():
            for method, body in (("GET", None), ("PUT", {"name": "x"}), ("PATCH", {"name": "x"}), ("DELETE", None)):
                refused(admin(method, f"{PATH}/{macro.pk}", body), 404, "id")
            refused(admin.post(f"{PATH}/{macro.pk}/run", {"ticket_ids": [str(ticket.pk)]}), 404, "id")

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({"name": None}, ["name"]),
            ({"name": "HAND over"}, ["name"]),
            ({"name": "a\0b"}, ["name"]),
            ({"description": 5}, ["description"]),
            ({"description": "x" * 201}, ["description"]),
            ({"actions": None}, ["actions"]),
            ({"actions": []}, ["actions"]),
            ({"actions": [{"do": "sing"}]}, ["actions.0.do"]),
            ({"actions": [{"do": "escalate", "by": 2}]}, ["actions.0.by"]),
            ({"position": 0}, ["position"]),
            ({"is_active": None}, ["is_active"]),
            ({"triggers": ["created"]}, ["triggers"]),
            ({"usage_count": 5}, ["usage_count"]),
        ],
    )
    def test_what_is_wrong_is_named(self, admin: Api, macro: Macro, body: dict[str, Any], fields: list[str]) -> None:
        with no_macro_written():
            refused(admin.post(PATH, {"name": "Other", "actions": ACTIONS} | body), 400, *fields)

    def test_name_and_actions_are_needed(self, admin: Api) -> None:
        with no_macro_written():
            refused(admin.post(PATH, {}), 400, "name", "actions")

    def test_what_an_action_names_must_be_here(self, admin: Api, macro: Macro) -> None:
        foreign = {"actions": [{"do": "set_team", "team_id": str(TeamFactory().pk)}]}
        with no_macro_written():
            refused(admin.post(PATH, MACRO | {"name": "x"} | foreign), 404, "actions.0.team_id")
            refused(admin.put(f"{PATH}/{macro.pk}", foreign), 404, "actions.0.team_id")

    def test_the_same_key_creates_once(self, admin: Api) -> None:
        answers = [admin.post(PATH, MACRO, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].json() == answers[1].json() and answers[1]["Idempotency-Replayed"] == "true"
        assert Macro.unscoped.count() == 1


class TestRunning:
    def test_each_ticket_has_its_result(
        self, agent: Api, admin: Api, macro: Macro, workspace: Workspace, ticket: Ticket
    ) -> None:
        finished = make_ticket(workspace)
        status.resolve_and_close(ticket=finished, actor=SYSTEM, now=finished.created_at)
        elsewhere = make_ticket(WorkspaceFactory())
        ids = [str(pk) for pk in (finished.pk, ticket.pk, elsewhere.pk, UNKNOWN)]
        response = agent.post(f"{PATH}/{macro.pk}/run", {"ticket_ids": ids})
        assert response.status_code == 200
        gone = {"ticket_number": "", "is_done": False, "done": [], "detail": "There is no such ticket."}
        assert response.json() == {
            "results": [
                {
                    "ticket_id": ids[0],
                    "ticket_number": finished.ticket_number,
                    "is_done": False,
                    "done": [],
                    "detail": "Set the status: A ticket that is closed cannot become pending.",
                },
                {
                    "ticket_id": ids[1],
                    "ticket_number": ticket.ticket_number,
                    "is_done": True,
                    "done": ["note added", "status pending"],
                    "detail": "",
                },
                {"ticket_id": ids[2], **gone},
                {"ticket_id": ids[3], **gone},
            ]
        }
        assert [c.author_name for c in Comment.objects.for_workspace(workspace).all()] == ["Maria Rossi"]
        used = admin.get(f"{PATH}/{macro.pk}").json()
        assert used["usage_count"] == 1 and used["last_used_at"]

    def test_the_same_key_runs_it_once(self, agent: Api, macro: Macro, ticket: Ticket) -> None:
        body = {"ticket_ids": [str(ticket.pk)]}
        answers = [agent.post(f"{PATH}/{macro.pk}/run", body, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].json() == answers[1].json() and answers[1]["Idempotency-Replayed"] == "true"
        assert ticket.comments.count() == 1

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "ticket_ids"),
            ({"ticket_ids": []}, "ticket_ids"),
            ({"ticket_ids": None}, "ticket_ids"),
            ({"ticket_ids": "x"}, "ticket_ids"),
            ({"ticket_ids": ["x"]}, "ticket_ids.0"),
            ({"ticket_ids": [UNKNOWN] * 101}, "ticket_ids"),
            ({"ticket_ids": [UNKNOWN], "now": True}, "now"),
        ],
    )
    def test_a_wrong_request_is_named(self, agent: Api, macro: Macro, body: dict[str, Any], field: str) -> None:
        with nothing_written(), no_macro_written():
            refused(agent.post(f"{PATH}/{macro.pk}/run", body), 400, field)

    def test_one_that_is_switched_off_is_refused(self, agent: Api, workspace: Workspace, ticket: Ticket) -> None:
        macro = make_macro(workspace, *ACTIONS, is_active=False)
        with nothing_written(), no_macro_written():
            problem = refused(agent.post(f"{PATH}/{macro.pk}/run", {"ticket_ids": [str(ticket.pk)]}), 409)
        assert problem["code"] == "switched_off"

    def test_a_foreign_macro_is_not_found(self, agent: Api, ticket: Ticket) -> None:
        foreign = make_macro(WorkspaceFactory(), *ACTIONS)
        with nothing_written(), no_macro_written():
            for pk in (foreign.pk, UNKNOWN):
                refused(agent.post(f"{PATH}/{pk}/run", {"ticket_ids": [str(ticket.pk)]}), 404, "id")
                refused(agent.get(f"{PATH}/{pk}"), 404, "id")

    @pytest.mark.parametrize("role", ROLES)
    def test_agents_run_what_admins_make(self, workspace: Workspace, macro: Macro, ticket: Ticket, role: str) -> None:
        member = Api(make_agent(workspace, role))
        assert member.get(PATH).status_code == 200
        run = member.post(f"{PATH}/{macro.pk}/run", {"ticket_ids": [str(ticket.pk)]})
        assert run.status_code == (403 if role == "light" else 200)
        made = member.post(PATH, MACRO | {"name": "Other"})
        assert made.status_code == (201 if role in ("owner", "admin") else 403)
