"""The tickets endpoint: list, create, read, update, delete."""

import datetime as dt
import json
import threading
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.utils import timezone

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.models import Activity, Assignment, Ticket
from tickets.services import base, editing, status
from tickets.tests.api import ROLES, UNKNOWN, Api, nothing_written, refused
from tickets.tests.factories import NOW, CategoryFactory, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

ITEM = {
    "id",
    "ticket_number",
    "subject",
    "status",
    "priority",
    "requester_email",
    "sla",
    "requester_name",
    "assignee_id",
    "created_at",
    "updated_at",
}
DETAIL = ITEM | {
    "description",
    "is_new",
    "category_id",
    "team_id",
    "tags",
    "cc",
    "watcher_ids",
    "channel",
    "first_response_at",
    "resolved_at",
    "closed_at",
    "next_deadline_at",
    "merged_into_id",
    "custom_fields",
    "version",
}
NEW_TICKET = {
    "subject": "Payment failed",
    "description": "My payment was declined",
    "requester_email": "customer@example.com",
    "requester_name": "Jane Smith",
    "priority": "high",
}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace)


@pytest.fixture
def api(maria: Membership) -> Api:
    return Api(maria)


class TestList:
    def test_the_answer_has_the_shape_of_the_specification(self, api: Api, workspace: Workspace) -> None:
        at = dt.datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=dt.UTC)
        ticket = make_ticket(workspace, priority="high", now=at)
        make_ticket(workspace, priority="low")
        assert api.get("/tickets?status=open,pending&priority=high&page=1&limit=20").json() == {
            "tickets": [
                {
                    "id": str(ticket.pk),
                    "ticket_number": "#1001",
                    "subject": "Cannot log in",
                    "status": "open",
                    "priority": "high",
                    "requester_email": "jane@customers.example",
                    "requester_name": "Jane Smith",
                    "assignee_id": None,
                    "created_at": "2024-01-15T10:30:00Z",
                    "updated_at": "2024-01-15T10:30:00Z",
                    "sla": None,  # beyond the printed example: how it stands with the service levels
                }
            ],
            "pagination": {"page": 1, "limit": 20, "total": 1, "totalPages": 1},
        }

    def test_pages_follow_each_other_and_know_the_total(self, api: Api, workspace: Workspace) -> None:
        for hour in range(7):
            make_ticket(workspace, subject=f"{hour}", now=NOW + dt.timedelta(hours=hour))
        pages = [api.get(f"/tickets?limit=3&page={page}").json() for page in (1, 2, 3)]
        assert [ticket["subject"] for page in pages for ticket in page["tickets"]] == list("6543210")
        assert [page["pagination"]["total"] for page in pages] == [7, 7, 7]
        assert pages[0]["pagination"]["totalPages"] == 3

    def test_filters_are_those_of_the_queue(self, api: Api, workspace: Workspace, maria: Membership) -> None:
        make_ticket(workspace, subject="mine", assignee_id=maria.user_id)
        make_ticket(workspace, subject="urgent", priority="urgent")
        answer = api.get("/tickets?assignee=me").json()
        assert [ticket["subject"] for ticket in answer["tickets"]] == ["mine"]
        assert answer["tickets"][0]["assignee_id"] == str(maria.user_id)
        answer = api.get("/tickets?priority=urgent,high&sort=created&search=urgent").json()
        assert [ticket["subject"] for ticket in answer["tickets"]] == ["urgent"]

    def test_other_workspaces_and_the_trash_are_not_there(
        self, api: Api, workspace: Workspace, maria: Membership
    ) -> None:
        make_ticket(WorkspaceFactory())
        editing.trash(ticket=make_ticket(workspace), actor=base.agent(maria), now=NOW)
        assert api.get("/tickets").json()["pagination"]["total"] == 0

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("page=0", "page"),
            ("page=1e9", "page"),
            ("page=99999999999999999999", "page"),
            ("page=-1", "page"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=all", "limit"),
            ("status=opne", "status"),
            ("state=open", "state"),
            ("view=mine", "view"),
            ("created_from=soon", "created_from"),
            ("sort=subject", "sort"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, api: Api, query: str, field: str) -> None:
        refused(api.get(f"/tickets?{query}"), 400, field)

    def test_a_page_behind_the_last_is_not_found(self, api: Api) -> None:
        refused(api.get("/tickets?page=2"), 404, "page")

    @pytest.mark.parametrize("role", ROLES)
    def test_every_member_may_read(self, workspace: Workspace, role: str) -> None:
        assert Api(make_agent(workspace, role)).get("/tickets").status_code == 200

    def test_strangers_and_those_who_left_may_not(self, workspace: Workspace) -> None:
        assert refused(Api().get("/tickets"), 401)
        assert refused(Api(token="nonsense").get("/tickets"), 401)
        gone = make_agent(workspace)
        api = Api(gone)
        gone.is_active = False
        gone.save()
        refused(api.get("/tickets"), 401)

    @pytest.mark.parametrize("query", ["", "status=open,pending&priority=medium", "assignee=none"])
    def test_a_page_costs_three_queries_for_any_number_of_rows(
        self, api: Api, workspace: Workspace, query: str, django_assert_num_queries: Any
    ) -> None:
        for number in range(6):
            make_ticket(workspace, requester_email=f"c{number}@customers.example", tags=["a", "b"])
        for limit in (1, 5):
            with django_assert_num_queries(3):  # who asks, the rows, the total
                assert len(api.get(f"/tickets?limit={limit}&{query}").json()["tickets"]) == limit

    def test_a_category_costs_one_more(self, api: Api, workspace: Workspace, django_assert_num_queries: Any) -> None:
        category = CategoryFactory(workspace=workspace)
        make_ticket(workspace, category_id=category.pk)
        make_ticket(workspace, category_id=category.pk)
        with django_assert_num_queries(4):
            assert api.get(f"/tickets?limit=1&category={category.pk}").json()["pagination"]["total"] == 2

    def test_all_filters_together_cost_four_at_most(
        self, api: Api, workspace: Workspace, maria: Membership, django_assert_max_num_queries: Any
    ) -> None:
        category = CategoryFactory(workspace=workspace)
        team = TeamFactory(workspace=workspace)
        make_ticket(
            workspace,
            category_id=category.pk,
            team_id=team.pk,
            assignee_id=maria.user_id,
            tags=["vip"],
            priority="high",
        )
        query = (
            f"status=open,pending&priority=high&assignee=me&category={category.pk}&team={team.pk}&tag=vip"
            "&requester=jane@customers.example&created_from=2026-01-01&updated_to=2026-12-31&search=locked"
            "&sort=priority&page=1&limit=20"
        )
        with django_assert_max_num_queries(4):
            assert api.get(f"/tickets?{query}").json()["pagination"]["total"] == 1


class TestCreate:
    def test_the_answer_has_the_shape_of_the_specification(self, api: Api) -> None:
        response = api.post("/tickets", NEW_TICKET)
        assert response.status_code == 201
        answer = response.json()
        ticket = Ticket.unscoped.get()
        assert answer == {
            "id": str(ticket.pk),
            "ticket_number": "#1001",
            "subject": "Payment failed",
            "status": "open",
            "priority": "high",
            "created_at": ticket.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        assert response["Location"] == f"/api/tickets/{ticket.pk}"
        assert response["ETag"] == '"1"'
        assert ticket.channel == "api"

    def test_every_field_is_kept(self, api: Api, workspace: Workspace, maria: Membership) -> None:
        category, team = CategoryFactory(workspace=workspace), TeamFactory(workspace=workspace)
        body = NEW_TICKET | {
            "category_id": str(category.pk),
            "team_id": str(team.pk),
            "assignee_id": str(maria.user_id),
            "tags": ["VIP", "refund"],
            "cc": ["Boss@example.com", "customer@example.com"],
        }
        created = api.post("/tickets", body).json()
        detail = api.get(f"/tickets/{created['id']}").json()
        assert set(detail) == DETAIL
        assert detail["category_id"] == str(category.pk)
        assert detail["team_id"] == str(team.pk)
        assert detail["assignee_id"] == str(maria.user_id)
        assert detail["tags"] == ["refund", "vip"]
        assert detail["cc"] == ["boss@example.com"]
        assert detail["description"] == "My payment was declined"
        assert not detail["is_new"]
        assert [a.event for a in Activity.unscoped.order_by("id")] == ["ticket.created", "ticket.assigned"]

    def test_the_least_that_is_needed(self, api: Api) -> None:
        body = {name: NEW_TICKET[name] for name in ("subject", "description", "requester_email")}
        assert api.post("/tickets", body | {"category_id": None}).json()["priority"] == "medium"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"subject": None}, "subject"),
            ({"subject": ""}, "subject"),
            ({"subject": "   "}, "subject"),
            ({"subject": "x" * 256}, "subject"),
            ({"subject": 7}, "subject"),
            ({"subject": ["a"]}, "subject"),
            ({"subject": "a\0b"}, "subject"),
            ({"subject": "\ud800"}, "subject"),
            ({"description": ""}, "description"),
            ({"description": "x" * 200_001}, "description"),
            ({"description": {"a": 1}}, "description"),
            ({"requester_email": "nobody"}, "requester_email"),
            ({"requester_email": "a@b.example\r\nBcc: c@d.example"}, "requester_email"),
            ({"requester_email": None}, "requester_email"),
            ({"requester_name": "x" * 121}, "requester_name"),
            ({"requester_name": False}, "requester_name"),
            ({"priority": "highest"}, "priority"),
            ({"priority": 1}, "priority"),
            ({"category_id": "billing"}, "category_id"),
            ({"category_id": 12}, "category_id"),
            ({"team_id": True}, "team_id"),
            ({"assignee_id": "me"}, "assignee_id"),
            ({"tags": "vip"}, "tags"),
            ({"tags": ["x" * 41]}, "tags.0"),
            ({"tags": [""]}, "tags.0"),
            ({"tags": [f"t{n}" for n in range(51)]}, "tags"),
            ({"cc": ["nobody"]}, "cc"),
            ({"cc": [1]}, "cc"),
            ({"status": "closed"}, "status"),
            ({"id": UNKNOWN}, "id"),
            ({"priorty": "high"}, "priorty"),
            ({"workspace_id": UNKNOWN}, "workspace_id"),
        ],
    )
    def test_a_wrong_field_is_named_and_nothing_is_written(self, api: Api, changes: dict[str, Any], field: str) -> None:
        with nothing_written():
            problem = refused(api.post("/tickets", NEW_TICKET | changes), 400)
        assert any(name == field or name.startswith(f"{field}.") for name in problem["errors"]), problem

    @pytest.mark.parametrize("field", ["subject", "description", "requester_email"])
    def test_a_missing_field_is_named(self, api: Api, field: str) -> None:
        with nothing_written():
            refused(api.post("/tickets", {k: v for k, v in NEW_TICKET.items() if k != field}), 400, field)

    @pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"subject": NaN}', b'{"a": 1e999}', b"null"])
    def test_a_body_that_is_no_object_is_refused(self, api: Api, raw: bytes) -> None:
        with nothing_written():
            problem = refused(api("POST", "/tickets", raw=raw), 400)
        assert problem["errors"]

    def test_a_body_of_ten_megabytes_is_refused(self, api: Api) -> None:
        with nothing_written():
            refused(api.post("/tickets", NEW_TICKET | {"description": "x" * 10_000_000}), 413)

    def test_a_form_is_not_read(self, api: Api) -> None:
        with nothing_written():
            refused(api.upload("/tickets", subject="x"), 415)

    @pytest.mark.parametrize("field", ["category_id", "team_id", "assignee_id"])
    @pytest.mark.parametrize("foreign", [True, False])
    def test_a_foreign_id_is_as_unknown_as_any(self, api: Api, field: str, foreign: bool) -> None:
        other = WorkspaceFactory()
        ids = {
            "category_id": CategoryFactory(workspace=other).pk,
            "team_id": TeamFactory(workspace=other).pk,
            "assignee_id": make_agent(other).user_id,
        }
        with nothing_written():
            refused(api.post("/tickets", NEW_TICKET | {field: str(ids[field]) if foreign else UNKNOWN}), 404, field)

    def test_a_light_agent_is_given_no_ticket(self, api: Api, workspace: Workspace) -> None:
        light = make_agent(workspace, "light")
        with nothing_written():
            refused(api.post("/tickets", NEW_TICKET | {"assignee_id": str(light.user_id)}), 400, "assignee_id")

    @pytest.mark.parametrize(("role", "status"), [("owner", 201), ("admin", 201), ("agent", 201), ("light", 403)])
    def test_roles(self, workspace: Workspace, role: str, status: int) -> None:
        assert Api(make_agent(workspace, role)).post("/tickets", NEW_TICKET).status_code == status
        assert Ticket.unscoped.count() == (status == 201)

    def test_a_key_that_may_only_read_creates_nothing(self, maria: Membership) -> None:
        _, plain = tokens.make_api_key(
            membership=maria, name="reports", scopes=["read"], expires_at=None, now=timezone.now()
        )
        api = Api(token=plain)
        assert api.get("/tickets").status_code == 200
        with nothing_written():
            refused(api.post("/tickets", NEW_TICKET), 403)

    def test_the_same_key_creates_once(self, api: Api) -> None:
        first = api.post("/tickets", NEW_TICKET, Idempotency_Key="abc")
        again = api.post("/tickets", NEW_TICKET, Idempotency_Key="abc")
        assert again.json() == first.json()
        assert again["Idempotency-Replayed"] == "true"
        assert again["Location"] == first["Location"]
        assert Ticket.unscoped.count() == 1
        with nothing_written():
            refused(api.post("/tickets", NEW_TICKET | {"priority": "low"}, Idempotency_Key="abc"), 422)

    def test_a_refused_create_leaves_its_key_and_number_free(self, api: Api) -> None:
        refused(api.post("/tickets", NEW_TICKET | {"category_id": UNKNOWN}, Idempotency_Key="abc"), 404)
        answer = api.post("/tickets", NEW_TICKET, Idempotency_Key="abc").json()
        assert answer["ticket_number"] == "#1001"


class TestGet:
    def test_a_ticket_says_everything_in_two_queries(
        self, api: Api, workspace: Workspace, maria: Membership, django_assert_num_queries: Any
    ) -> None:
        ticket = make_ticket(workspace, tags=["b", "a"], cc=["x@example.com", "b@example.com"])
        editing.watch(ticket=ticket, member=maria, watching=True, now=NOW)
        make_reply(ticket, maria)
        status.change_status(ticket=ticket, to="resolved", actor=base.agent(maria), now=NOW)
        with django_assert_num_queries(2):
            response = api.get(f"/tickets/{ticket.pk}")
        answer = response.json()
        assert set(answer) == DETAIL
        assert answer["tags"] == ["a", "b"]
        assert answer["cc"] == ["b@example.com", "x@example.com"]
        assert answer["watcher_ids"] == [str(maria.user_id)]
        assert answer["first_response_at"] == answer["resolved_at"] == "2026-03-02T09:00:00Z"
        assert answer["closed_at"] is None and answer["status"] == "resolved" and answer["is_new"] is False
        assert response["ETag"] == f'"{answer["version"]}"'

    def test_what_is_still_the_same_is_not_sent_again(self, api: Api, workspace: Workspace) -> None:
        path = f"/tickets/{make_ticket(workspace).pk}"
        etag = api.get(path)["ETag"]
        for known in (etag, f"W/{etag}", f'"99", {etag}', "*"):
            response = api.get(path, If_None_Match=known)
            assert response.status_code == 304
            assert response.content == b""
            assert response["ETag"] == etag
        assert api.get(path, If_None_Match='"99"').status_code == 200
        assert api.get(path, If_None_Match="nonsense").status_code == 200

    def test_one_trailing_slash_is_tolerated(self, api: Api, workspace: Workspace) -> None:
        assert api.get(f"/tickets/{make_ticket(workspace).pk}/").status_code == 200

    @pytest.mark.parametrize("role", ROLES)
    def test_every_member_may_read(self, workspace: Workspace, role: str) -> None:
        assert Api(make_agent(workspace, role)).get(f"/tickets/{make_ticket(workspace).pk}").status_code == 200

    def test_foreign_unknown_trashed_and_malformed_ids_are_not_found(
        self, api: Api, workspace: Workspace, maria: Membership
    ) -> None:
        trashed = make_ticket(workspace)
        editing.trash(ticket=trashed, actor=base.agent(maria), now=NOW)
        for pk in (make_ticket(WorkspaceFactory()).pk, UNKNOWN, trashed.pk, "12", "nonsense"):
            refused(api.get(f"/tickets/{pk}"), 404)


class TestUpdate:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_only_the_sent_fields_change(self, api: Api, workspace: Workspace, method: str) -> None:
        ticket = make_ticket(workspace, tags=["a"])
        response = api(method, f"/tickets/{ticket.pk}", {"priority": "urgent", "tags": ["b"]})
        assert response.status_code == 200
        answer = response.json()
        assert set(answer) == DETAIL
        assert answer["priority"] == "urgent" and answer["tags"] == ["b"]
        assert answer["subject"] == "Cannot log in"
        assert answer["version"] == 2 and response["ETag"] == '"2"'
        assert Activity.unscoped.filter(event="ticket.updated").count() == 1

    def test_every_field_can_change(self, api: Api, workspace: Workspace, maria: Membership) -> None:
        ticket = make_ticket(workspace)
        category, team = CategoryFactory(workspace=workspace), TeamFactory(workspace=workspace)
        wanted = {
            "subject": "New subject",
            "description": "New description",
            "requester_email": "other@example.com",
            "requester_name": "Other",
            "status": "pending",
            "priority": "low",
            "category_id": str(category.pk),
            "team_id": str(team.pk),
            "assignee_id": str(maria.user_id),
            "tags": ["x"],
            "cc": ["y@example.com"],
        }
        answer = api.put(f"/tickets/{ticket.pk}", wanted).json()
        assert {name: answer[name] for name in wanted} == wanted
        assert Assignment.unscoped.filter(ticket=ticket, ended_at=None).count() == 1
        nothing = {"category_id": None, "team_id": None, "assignee_id": None, "tags": [], "cc": []}
        answer = api.put(f"/tickets/{ticket.pk}", nothing).json()
        assert {name: answer[name] for name in nothing} == nothing

    def test_what_is_equal_already_writes_nothing(self, api: Api, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        with nothing_written():
            for body in ({}, {"subject": ticket.subject, "status": "open", "priority": "medium"}):
                assert api.put(f"/tickets/{ticket.pk}", body).status_code == 200

    def test_an_illegal_move_is_a_conflict_and_changes_nothing_else(self, api: Api, workspace: Workspace) -> None:
        ticket = make_ticket(workspace)
        with nothing_written():
            refused(api.put(f"/tickets/{ticket.pk}", {"priority": "low", "status": "closed"}), 409, "status")

    def test_a_lost_update_is_412(self, api: Api, workspace: Workspace) -> None:
        path = f"/tickets/{make_ticket(workspace).pk}"
        etag = api.get(path)["ETag"]
        assert api.put(path, {"priority": "low"}, If_Match=etag).status_code == 200
        with nothing_written():
            for old in (etag, 'W/"2"', '"x"', "nonsense", '"7", "8"', f'"{"9" * 30}"'):
                assert refused(api.put(path, {"priority": "high"}, If_Match=old), 412)["code"] == "lost_update"
                refused(api.delete(path, If_Match=old), 412)
        assert api.put(path, {"priority": "high"}, If_Match='"7", "2"').status_code == 200
        assert api.put(path, {"priority": "low"}, If_Match="*").status_code == 200

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"subject": ""}, "subject"),
            ({"subject": None}, "subject"),
            ({"description": 1}, "description"),
            ({"requester_email": "x"}, "requester_email"),
            ({"requester_name": None}, "requester_name"),
            ({"status": "new"}, "status"),
            ({"status": None}, "status"),
            ({"priority": "p1"}, "priority"),
            ({"tags": None}, "tags"),
            ({"cc": "x@example.com"}, "cc"),
            ({"assignee_id": 0}, "assignee_id"),
            ({"version": 7}, "version"),
            ({"number": 7}, "number"),
            ({"created_at": "2024-01-15T10:30:00Z"}, "created_at"),
        ],
    )
    def test_a_wrong_field_is_named(self, api: Api, workspace: Workspace, body: dict[str, Any], field: str) -> None:
        ticket = make_ticket(workspace)
        with nothing_written():
            refused(api.put(f"/tickets/{ticket.pk}", {"priority": "low", **body}), 400, field)

    @pytest.mark.parametrize("field", ["category_id", "team_id", "assignee_id"])
    def test_a_foreign_id_is_not_found(self, api: Api, workspace: Workspace, field: str) -> None:
        other = WorkspaceFactory()
        ids = {
            "category_id": CategoryFactory(workspace=other).pk,
            "team_id": TeamFactory(workspace=other).pk,
            "assignee_id": make_agent(other).user_id,
        }
        ticket = make_ticket(workspace)
        with nothing_written():
            refused(api.put(f"/tickets/{ticket.pk}", {"subject": "x", field: str(ids[field])}), 404, field)

    @pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("agent", 200), ("light", 403)])
    def test_roles(self, workspace: Workspace, role: str, status: int) -> None:
        path = f"/tickets/{make_ticket(workspace).pk}"
        assert Api(make_agent(workspace, role)).put(path, {"priority": "low"}).status_code == status


class TestDelete:
    def test_a_deleted_ticket_is_gone_but_in_the_trash(self, api: Api, workspace: Workspace) -> None:
        path = f"/tickets/{make_ticket(workspace).pk}"
        response = api.delete(path, If_Match='"1"')
        assert response.status_code == 204 and response.content == b""
        for method, suffix in [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/resolve"), ("GET", "/comments")]:
            refused(api(method, path + suffix, {} if method in ("PUT", "POST") else None), 404)
        trash = Api(make_agent(workspace, "admin")).get("/tickets/trash").json()
        assert set(trash["tickets"][0]) == ITEM | {"trashed_at"}

    @pytest.mark.parametrize(("role", "status"), [("owner", 204), ("admin", 204), ("agent", 204), ("light", 403)])
    def test_roles(self, workspace: Workspace, role: str, status: int) -> None:
        path = f"/tickets/{make_ticket(workspace).pk}"
        assert Api(make_agent(workspace, role)).delete(path).status_code == status
        assert Ticket.unscoped.live().count() == (status != 204)


@pytest.mark.django_db(transaction=True)
def test_fifty_creates_at_once_get_fifty_numbers(live_server: Any) -> None:
    member = make_agent(WorkspaceFactory())
    token = tokens.issue(membership=member, now=timezone.now()).access
    answers: list[httpx.Response] = []
    start = threading.Barrier(50)
    clients = [httpx.Client(base_url=live_server.url, trust_env=False, timeout=60) for _ in range(50)]
    for client in clients:
        # The test's server queues few new connections: open them before the rush.
        assert client.get("/healthz").status_code == 200

    def create(number: int) -> None:
        body = json.dumps(NEW_TICKET | {"requester_email": f"c{number}@example.com"})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        start.wait()
        answers.append(clients[number].post("/api/tickets", content=body, headers=headers))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    assert [answer.status_code for answer in answers] == [201] * 50
    numbers = {int(answer.json()["ticket_number"].removeprefix("#")) for answer in answers}
    assert numbers == set(range(1001, 1051))
    assert {UUID(answer.json()["id"]) for answer in answers} == set(Ticket.unscoped.values_list("id", flat=True))
