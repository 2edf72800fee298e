"""Actions on a ticket over the API, and the permission matrix of all its endpoints."""

import datetime as dt
from typing import Any

import pytest
from django.urls import reverse

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets import feed
from tickets.api.urls import urlpatterns
from tickets.models import Activity, Assignment, Comment, Ticket, TicketLink, Watcher
from tickets.services import base, conversation, editing, merging, status
from tickets.tests.api import ROLES, UNKNOWN, Api, nothing_written, refused
from tickets.tests.factories import (
    NOW,
    CannedResponseFactory,
    CategoryFactory,
    FieldFactory,
    make_agent,
    make_reply,
    make_ticket,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace)


@pytest.fixture
def api(maria: Membership) -> Api:
    return Api(maria)


@pytest.fixture
def ticket(workspace: Workspace) -> Ticket:
    return make_ticket(workspace)


def events(ticket: Ticket) -> list[str]:
    return list(Activity.unscoped.filter(ticket=ticket).order_by("id").values_list("event", flat=True))


class TestStatus:
    def test_resolve_close_and_reopen(self, api: Api, ticket: Ticket) -> None:
        path = f"/tickets/{ticket.pk}"
        resolved = api.post(f"{path}/resolve").json()
        assert resolved["status"] == "resolved" and resolved["resolved_at"]
        closed = api.post(f"{path}/close", {}).json()
        assert closed["status"] == "closed" and closed["closed_at"]
        opened = api.post(f"{path}/reopen").json()
        assert opened["status"] == "open" and opened["resolved_at"] is opened["closed_at"] is None
        assert events(ticket) == ["ticket.created", "ticket.resolved", "ticket.closed", "ticket.reopened"]

    @pytest.mark.parametrize(
        ("before", "action"),
        [
            ("open", "close"),
            ("pending", "close"),
            ("open", "reopen"),
            ("pending", "reopen"),
            ("resolved", "resolve"),
            ("closed", "resolve"),
            ("closed", "close"),
        ],
    )
    def test_an_illegal_move_is_a_conflict(
        self, api: Api, maria: Membership, ticket: Ticket, before: str, action: str
    ) -> None:
        if before == "closed":
            status.resolve_and_close(ticket=ticket, actor=base.agent(maria), now=NOW)
        elif before != "open":
            status.change_status(ticket=ticket, to=before, actor=base.agent(maria), now=NOW)
        with nothing_written():
            assert refused(api.post(f"/tickets/{ticket.pk}/{action}"), 409, "status")["code"] == "illegal_move"


class TestAssign:
    def test_assign_again_and_unassign(self, api: Api, workspace: Workspace, maria: Membership, ticket: Ticket) -> None:
        path, sam = f"/tickets/{ticket.pk}", make_agent(workspace)
        for member in (maria, sam):
            answer = api.post(f"{path}/assign", {"assignee_id": str(member.user_id)}).json()
            assert answer["assignee_id"] == str(member.user_id)
        with nothing_written():
            assert api.post(f"{path}/assign", {"assignee_id": str(sam.user_id)}).status_code == 200
        assert api.post(f"{path}/unassign").json()["assignee_id"] is None
        assert Assignment.unscoped.filter(ticket=ticket).exclude(ended_at=None).count() == 2
        assert events(ticket)[1:] == ["ticket.assigned", "ticket.assigned", "ticket.unassigned"]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, 400),
            ({"assignee_id": None}, 400),
            ({"assignee_id": "me"}, 400),
            ({"assignee_id": 7}, 400),
            ({"assignee_id": "{light}"}, 400),
            ({"assignee_id": "{foreign}"}, 404),
            ({"assignee_id": UNKNOWN}, 404),
        ],
    )
    def test_refusals_name_the_field(
        self, api: Api, workspace: Workspace, ticket: Ticket, body: Any, code: int
    ) -> None:
        ids = {
            "{light}": str(make_agent(workspace, "light").user_id),
            "{foreign}": str(make_agent(WorkspaceFactory()).user_id),
        }
        body = {name: ids.get(value, value) for name, value in body.items()}
        with nothing_written():
            refused(api.post(f"/tickets/{ticket.pk}/assign", body), code, "assignee_id")

    def test_a_closed_ticket_keeps_its_agent(self, api: Api, maria: Membership, ticket: Ticket) -> None:
        status.resolve_and_close(ticket=ticket, actor=base.agent(maria), now=NOW)
        with nothing_written():
            refused(api.post(f"/tickets/{ticket.pk}/assign", {"assignee_id": str(maria.user_id)}), 409)


class TestMerge:
    def test_merge_answers_with_the_target_and_unmerge_with_the_source(
        self, api: Api, workspace: Workspace, maria: Membership, ticket: Ticket
    ) -> None:
        target = make_ticket(workspace, requester_email="bob@customers.example")
        comment = make_reply(ticket, maria)
        answer = api.post(f"/tickets/{ticket.pk}/merge", {"target_id": str(target.pk)}).json()
        assert answer["id"] == str(target.pk)
        assert answer["cc"] == ["jane@customers.example"]
        source = api.get(f"/tickets/{ticket.pk}").json()
        assert source["merged_into_id"] == str(target.pk) and source["status"] == "closed"
        assert api.get(f"/tickets/{target.pk}/comments").json()["comments"][0]["id"] == str(comment.pk)
        with nothing_written():
            refused(api.post(f"/tickets/{ticket.pk}/comments", {"body": "x"}), 409)
            refused(api.put(f"/tickets/{ticket.pk}", {"priority": "low"}), 409)
            refused(api.post(f"/tickets/{ticket.pk}/merge", {"target_id": str(target.pk)}), 409)
        back = api.post(f"/tickets/{ticket.pk}/unmerge").json()
        assert back["id"] == str(ticket.pk) and back["status"] == "open" and back["merged_into_id"] is None
        assert api.get(f"/tickets/{target.pk}").json()["cc"] == []
        with nothing_written():
            refused(api.post(f"/tickets/{ticket.pk}/unmerge"), 409)

    def test_refusals(self, api: Api, workspace: Workspace, maria: Membership, ticket: Ticket) -> None:
        target, final = make_ticket(workspace), make_ticket(workspace)
        merging.merge(source=target, target_id=final.pk, actor=base.agent(maria), now=NOW)
        foreign = make_ticket(WorkspaceFactory())
        path = f"/tickets/{ticket.pk}/merge"
        with nothing_written():
            refused(api.post(path, {"target_id": str(ticket.pk)}), 400, "target_id")
            refused(api.post(path, {"target_id": str(target.pk)}), 409, "target_id")
            refused(api.post(path, {"target_id": str(foreign.pk)}), 404, "target_id")
            refused(api.post(path, {"target_id": UNKNOWN}), 404, "target_id")
            refused(api.post(path, {"target_id": "x"}), 400, "target_id")
            refused(api.post(path, {}), 400, "target_id")


class TestSplitAndLink:
    def test_a_comment_becomes_a_ticket_of_its_own(self, api: Api, ticket: Ticket) -> None:
        said = conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="And my invoice is wrong.", channel="portal", now=NOW
        ).comment
        assert said is not None
        response = api.post(f"/tickets/{ticket.pk}/split", {"comment_id": str(said.pk), "subject": "Invoice"})
        assert response.status_code == 201
        new = response.json()
        assert new["description"] == "And my invoice is wrong." and new["ticket_number"] == "#1002"
        assert response["Location"] == f"/api/tickets/{new['id']}"
        (link,) = api.get(f"/tickets/{new['id']}/links").json()["links"]
        assert link["other_id"] == str(ticket.pk) and link["kind"] == "related" and link["other_number"] == "#1001"

    def test_split_refusals(self, api: Api, workspace: Workspace, maria: Membership, ticket: Ticket) -> None:
        path = f"/tickets/{ticket.pk}/split"
        elsewhere = make_reply(make_ticket(workspace), maria)
        note = make_reply(ticket, maria, internal=True)
        comment = make_reply(ticket, maria)
        with nothing_written():
            refused(api.post(path, {"comment_id": str(elsewhere.pk), "subject": "x"}), 404, "comment_id")
            refused(api.post(path, {"comment_id": UNKNOWN, "subject": "x"}), 404, "comment_id")
            refused(api.post(path, {"comment_id": str(note.pk), "subject": "x"}), 400, "comment_id")
            refused(api.post(path, {"comment_id": str(comment.pk), "subject": " "}), 400, "subject")
            refused(api.post(path, {}), 400, "comment_id", "subject")

    @pytest.mark.parametrize(("kind", "seen"), [("related", "related"), ("parent", "child"), ("follow_up", "follows")])
    def test_a_link_is_seen_from_both_sides(
        self, api: Api, workspace: Workspace, ticket: Ticket, kind: str, seen: str
    ) -> None:
        other = make_ticket(workspace)
        path = f"/tickets/{ticket.pk}/links"
        response = api.post(path, {"other_id": str(other.pk), "kind": kind})
        assert response.status_code == 201 and response.json()["kind"] == kind
        with nothing_written():
            assert api.post(path, {"other_id": str(other.pk), "kind": kind}).json() == response.json()
        assert [link["kind"] for link in api.get(path).json()["links"]] == [kind]
        (link,) = api.get(f"/tickets/{other.pk}/links").json()["links"]
        assert link["kind"] == seen and link["other_id"] == str(ticket.pk)

    def test_link_refusals(self, api: Api, ticket: Ticket) -> None:
        path = f"/tickets/{ticket.pk}/links"
        foreign = str(make_ticket(WorkspaceFactory()).pk)
        with nothing_written():
            refused(api.post(path, {"other_id": str(ticket.pk), "kind": "related"}), 400, "other_id")
            refused(api.post(path, {"other_id": foreign, "kind": "related"}), 404, "other_id")
            refused(api.post(path, {"other_id": foreign, "kind": "sibling"}), 400, "kind")
        assert TicketLink.unscoped.count() == 0


class TestWatchTrashAndLog:
    def test_watching_is_one_s_own(self, api: Api, maria: Membership, ticket: Ticket) -> None:
        path = f"/tickets/{ticket.pk}"
        for _ in range(2):
            assert api.post(f"{path}/watch").status_code == 204
        assert api.get(path).json()["watcher_ids"] == [str(maria.user_id)]
        for _ in range(2):
            assert api.delete(f"{path}/watch").status_code == 204
        assert Watcher.unscoped.count() == 0

    def test_what_one_has_is_not_the_same_any_more_once_somebody_watches(self, api: Api, ticket: Ticket) -> None:
        path = f"/tickets/{ticket.pk}"
        before = api.get(path)
        for change in (api.post, api.delete):
            tag = api.get(path)["ETag"]
            assert api.get(path, If_None_Match=tag).status_code == 304
            change(f"{path}/watch")
            assert api.get(path, If_None_Match=tag).status_code == 200
        assert api.get(path).json()["updated_at"] == before.json()["updated_at"]

    def test_an_admin_restores_from_the_trash(self, workspace: Workspace, maria: Membership, ticket: Ticket) -> None:
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        admin = Api(make_agent(workspace, "admin"))
        assert [row["id"] for row in admin.get("/tickets/trash").json()["tickets"]] == [str(ticket.pk)]
        assert admin.post(f"/tickets/{ticket.pk}/restore").json()["id"] == str(ticket.pk)
        assert admin.get("/tickets/trash").json()["tickets"] == []
        with nothing_written():
            refused(admin.post(f"/tickets/{ticket.pk}/restore"), 404)

    def test_the_log_says_who_what_and_when(self, api: Api, maria: Membership, ticket: Ticket) -> None:
        api.put(f"/tickets/{ticket.pk}", {"priority": "low"})
        lines = api.get(f"/tickets/{ticket.pk}/activities").json()["activities"]
        assert [line["event"] for line in lines] == ["ticket.created", "ticket.updated"]
        assert lines[0]["occurred_at"] == "2026-03-02T09:00:00Z" and lines[0]["actor_type"] == "system"
        assert lines[1]["actor_id"] == str(maria.user_id) and lines[1]["actor_name"] == str(maria.user)
        assert lines[1]["changes"] == [{"field": "priority", "from": "medium", "to": "low"}]

    def test_tags_are_listed_by_name(self, api: Api, workspace: Workspace) -> None:
        make_ticket(workspace, tags=["b", "a"])
        make_ticket(WorkspaceFactory(), tags=["foreign"])
        assert [tag["name"] for tag in api.get("/tags").json()["tags"]] == ["a", "b"]
        assert [tag["name"] for tag in api.get("/tags?search=B").json()["tags"]] == ["b"]
        refused(api.get("/tags?q=b"), 400, "q")


class TestIfMatch:
    def test_every_change_of_a_ticket_can_be_guarded(self, api: Api, workspace: Workspace, maria: Membership) -> None:
        ticket, other = make_ticket(workspace), make_ticket(workspace)
        comment = make_reply(ticket, maria)
        path = f"/tickets/{ticket.pk}"
        calls: list[tuple[str, str, Any]] = [
            ("POST", "/resolve", {}),
            ("POST", "/close", {}),
            ("POST", "/reopen", {}),
            ("POST", "/assign", {"assignee_id": str(maria.user_id)}),
            ("POST", "/unassign", {}),
            ("POST", "/merge", {"target_id": str(other.pk)}),
            ("POST", "/unmerge", {}),
            ("POST", "/split", {"comment_id": str(comment.pk), "subject": "x"}),
            ("POST", "/links", {"other_id": str(other.pk), "kind": "related"}),
            ("POST", "/comments", {"body": "x"}),
            ("PUT", f"/comments/{comment.pk}", {"body": "x"}),
            ("DELETE", f"/comments/{comment.pk}", None),
            ("DELETE", "", None),
        ]
        with nothing_written():
            for method, suffix, body in calls:
                problem = refused(api(method, path + suffix, body, If_Match='"1"'), 412)
                assert problem["code"] == "lost_update", suffix
        etag = api.get(path)["ETag"]
        assert api.post(f"{path}/merge", {"target_id": str(other.pk)}, If_Match=etag).status_code == 200
        assert api.post(f"{path}/unmerge", {}, If_Match=api.get(path)["ETag"]).status_code == 200


# --- The matrix: every address, verb and role -------------------------------------------------

READ, NOTE, WORK, MANAGE = set(ROLES), set(ROLES), set(ROLES) - {"light"}, {"owner", "admin"}
# name: (verb, who may, body, success)
MATRIX: list[tuple[str, str, set[str], Any, int]] = [
    ("tickets", "GET", READ, None, 200),
    ("tickets", "POST", WORK, {"subject": "s", "description": "d", "requester_email": "a@b.example"}, 201),
    ("trash", "GET", MANAGE, None, 200),
    ("ticket", "GET", READ, None, 200),
    ("ticket", "PUT", WORK, {"priority": "low"}, 200),
    ("ticket", "PATCH", WORK, {"priority": "low"}, 200),
    ("ticket", "DELETE", WORK, None, 204),
    ("resolve", "POST", WORK, {}, 200),
    ("close", "POST", WORK, {}, 409),
    ("reopen", "POST", WORK, {}, 409),
    ("assign", "POST", WORK, {"assignee_id": "{agent}"}, 200),
    ("unassign", "POST", WORK, {}, 200),
    ("merge", "POST", WORK, {"target_id": "{other}"}, 200),
    ("unmerge", "POST", WORK, {}, 409),
    ("split", "POST", WORK, {"comment_id": "{comment}", "subject": "s"}, 201),
    ("links", "GET", READ, None, 200),
    ("links", "POST", WORK, {"other_id": "{other}", "kind": "parent"}, 201),
    ("watch", "POST", NOTE, {}, 204),
    ("watch", "DELETE", NOTE, None, 204),
    ("restore", "POST", MANAGE, {}, 404),
    ("activities", "GET", READ, None, 200),
    ("feed", "GET", READ, None, 200),
    ("comments", "GET", READ, None, 200),
    ("comments", "POST", WORK, {"body": "b"}, 201),
    ("comments", "POST", NOTE, {"body": "b", "is_internal": True}, 201),
    ("comment", "PUT", MANAGE, {"body": "b"}, 200),
    ("comment", "PATCH", MANAGE, {"body": "b"}, 200),
    ("comment", "DELETE", MANAGE, None, 204),
    ("attachments", "GET", READ, None, 200),
    ("categories", "GET", READ, None, 200),
    ("categories", "POST", MANAGE, {"name": "n"}, 201),
    ("category", "GET", READ, None, 200),
    ("category", "PUT", MANAGE, {"name": "n"}, 200),
    ("category", "PATCH", MANAGE, {"name": "n"}, 200),
    ("category", "DELETE", MANAGE, None, 204),
    ("fields", "GET", READ, None, 200),
    ("fields", "POST", MANAGE, {"key": "k", "label": "l", "kind": "text"}, 201),
    ("field", "GET", READ, None, 200),
    ("field", "PUT", MANAGE, {"label": "l"}, 200),
    ("field", "PATCH", MANAGE, {"label": "l"}, 200),
    ("field", "DELETE", MANAGE, None, 204),
    ("canned-responses", "GET", READ, None, 200),
    ("canned-responses", "POST", WORK, {"title": "t", "shortcut": "s", "content": "c"}, 201),
    ("canned-response", "GET", READ, None, 200),
    ("canned-response", "PUT", MANAGE, {"title": "t"}, 200),
    ("canned-response", "PATCH", MANAGE, {"title": "t"}, 200),
    ("canned-response", "DELETE", MANAGE, None, 204),
    ("canned-response-use", "POST", NOTE, {}, 200),
    ("tags", "GET", READ, None, 200),
]
IDS = [f"{name}-{verb}{'-note' if body and 'is_internal' in body else ''}" for name, verb, _, body, _ in MATRIX]


class World:
    """A workspace with one of everything."""

    def __init__(self) -> None:
        self.workspace = WorkspaceFactory()
        self.agent = make_agent(self.workspace)
        self.ticket = make_ticket(self.workspace, now=NOW + dt.timedelta(minutes=1))
        self.other = make_ticket(self.workspace)
        self.comment: Comment = make_reply(self.ticket, self.agent)
        self.category = CategoryFactory(workspace=self.workspace)
        self.field = FieldFactory(workspace=self.workspace)
        self.canned = CannedResponseFactory(workspace=self.workspace)

    def path(self, name: str) -> str:
        route = next(pattern for pattern in urlpatterns if pattern.name == name)
        known = {
            "ticket_id": self.ticket.pk,
            "comment_id": self.comment.pk,
            "category_id": self.category.pk,
            "field_id": self.field.pk,
            "response_id": self.canned.pk,
            "attachment_id": UNKNOWN,
        }
        wanted = {key: known[key] for key in route.pattern.converters}
        return reverse(f"tickets_api:{name}", kwargs=wanted).removeprefix("/api")

    def body(self, body: Any) -> Any:
        ids = {"{agent}": self.agent.user_id, "{other}": self.other.pk, "{comment}": self.comment.pk}
        return body and {
            key: str(ids.get(value, value)) if isinstance(value, str) else value for key, value in body.items()
        }


class TestMatrix:
    @pytest.mark.parametrize(("name", "verb", "may", "body", "success"), MATRIX, ids=IDS)
    def test_each_role_may_what_it_may(self, name: str, verb: str, may: set[str], body: Any, success: int) -> None:
        for role in ROLES:
            world = World()
            api = Api(make_agent(world.workspace, role))
            path = world.path(name)
            if role in may:
                response = api(verb, path, world.body(body))
                assert response.status_code == success, (role, response.content)
            else:
                with nothing_written():
                    assert refused(api(verb, path, world.body(body)), 403)["code"] == "not_allowed"

    @pytest.mark.parametrize(("name", "verb", "may", "body", "success"), MATRIX, ids=IDS)
    def test_a_stranger_may_nothing(self, name: str, verb: str, may: set[str], body: Any, success: int) -> None:
        world = World()
        path = world.path(name)
        with nothing_written():
            assert refused(Api()(verb, path, world.body(body)), 401)["code"]
            refused(Api(token="hdk_unknown")(verb, path, world.body(body)), 401)

    @pytest.mark.parametrize(("name", "verb", "may", "body", "success"), MATRIX, ids=IDS)
    def test_what_is_of_another_workspace_does_not_exist(
        self, name: str, verb: str, may: set[str], body: Any, success: int
    ) -> None:
        world = World()
        path = world.path(name)
        things = (world.ticket.pk, world.category.pk, world.field.pk, world.canned.pk)
        if not any(str(pk) in path for pk in things):
            return  # lists: their own tests show that nothing foreign is in them
        owner = Api(make_agent(WorkspaceFactory(), "owner"))
        unknown = path
        for pk in things:
            unknown = unknown.replace(str(pk), UNKNOWN)
        with nothing_written():
            foreign = refused(owner(verb, path, world.body(body)), 404)
            assert foreign == refused(owner(verb, unknown, world.body(body)), 404)

    @pytest.mark.parametrize("name", sorted({str(pattern.name) for pattern in urlpatterns}))
    def test_a_verb_that_an_address_does_not_know_is_405(self, name: str) -> None:
        world = World()
        api = Api(make_agent(world.workspace, "owner"))
        known = {verb for other, verb, *_ in MATRIX if other == name}
        known |= {"attachments": {"POST"}, "attachment": {"GET"}}.get(name, set())
        path = world.path(name)
        with nothing_written():
            for verb in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
                response = api(verb, path, {})
                refused(response, 405)
                assert set(response["Allow"].split(", ")) >= known
            assert api("OPTIONS", path).status_code == 204

    @pytest.mark.parametrize(
        ("name", "verb", "body"),
        [(name, verb, body) for name, verb, _, body, _ in MATRIX if body is not None],
        ids=[id_ for id_, row in zip(IDS, MATRIX, strict=True) if row[3] is not None],
    )
    def test_an_unknown_field_is_named_and_nothing_is_written(self, name: str, verb: str, body: Any) -> None:
        world = World()
        api = Api(make_agent(world.workspace, "owner"))
        with nothing_written():
            refused(api(verb, world.path(name), world.body(body) | {"surprise": 1}), 400, "surprise")
            for raw in (b"{", b"[]", b'{"a\\ud800": 1}', b'{"surprise": "\\u0000"}'):
                assert refused(api(verb, world.path(name), raw=raw), 400)["errors"]

    @pytest.mark.parametrize("name", sorted({name for name, verb, *_ in MATRIX if verb == "GET"}))
    def test_lists_cost_the_same_for_any_number_of_rows(self, name: str, django_assert_max_num_queries: Any) -> None:
        world = World()
        api = Api(make_agent(world.workspace, "owner"))
        for number in range(4):
            make_reply(world.ticket, world.agent, body=f"{number}")
            merging.link(
                ticket=world.ticket,
                other_id=make_ticket(world.workspace, tags=[f"t{number}"]).pk,
                kind="related",
                actor=base.agent(world.agent),
                now=NOW,
            )
            editing.trash(ticket=make_ticket(world.workspace), actor=base.agent(world.agent), now=NOW)
            CategoryFactory(workspace=world.workspace)
            FieldFactory(workspace=world.workspace)
            CannedResponseFactory(workspace=world.workspace)
        feed.number()  # who reads first gives the places, for three queries more, whatever there is
        with django_assert_max_num_queries(4):
            assert api.get(world.path(name)).status_code == 200

    def test_every_address_is_in_the_matrix(self) -> None:
        assert {str(pattern.name) for pattern in urlpatterns} == {row[0] for row in MATRIX} | {"attachment"}
