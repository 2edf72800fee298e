"""Custom fields: what a workspace asks of its tickets, by service, API and console."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.events import SYSTEM
from tickets.models import Activity, Field, Ticket
from tickets.services import base, editing, setup
from tickets.tests.api import UNKNOWN, Api, nothing_written, refused
from tickets.tests.factories import NOW, FieldFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db

PATH = "/tickets/fields"
PLAN = {"key": "plan", "label": "Plan", "kind": "choice", "options": ["Free", "Pro"]}
NEW = {"subject": "s", "description": "d", "requester_email": "jane@customers.example"}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


def save(workspace: Workspace, field: Field | None = None, **changes: Any) -> Field:
    return setup.save_field(workspace=workspace, changes=changes, field=field, now=NOW)


def answered(ticket: Ticket, **values: Any) -> Ticket:
    return editing.update_ticket(ticket=ticket, changes={"custom_fields": values}, actor=SYSTEM, now=NOW)


def one_of_each(workspace: Workspace) -> None:
    save(workspace, **PLAN)
    for kind in ("text", "number", "checkbox", "date"):
        save(workspace, key=kind, label=kind.capitalize(), kind=kind)


def keys(workspace: Workspace) -> list[str]:
    return [field.key for field in base.live_fields(workspace.pk)]


class TestAField:
    def test_it_has_a_key_a_label_and_a_kind(self, workspace: Workspace) -> None:
        field = save(workspace, **PLAN, is_required=True)
        field.refresh_from_db()
        assert (field.key, field.label, field.kind, field.options) == ("plan", "Plan", "choice", ["Free", "Pro"])
        assert field.is_required and field.position == 1 and field.created_at == NOW

    @pytest.mark.parametrize(
        ("changes", "at_fault"),
        [
            ({"key": ""}, "key"),
            ({"key": "Plan"}, "key"),
            ({"key": "1st"}, "key"),
            ({"key": "x" * 41}, "key"),
            ({"key": "taken"}, "key"),
            ({"key": "plan\n"}, None),  # white space around it is not part of it
            ({"label": ""}, "label"),
            ({"label": "x" * 61}, "label"),
            ({"label": "a\0b"}, "label"),
            ({"kind": "colour"}, "kind"),
            ({"kind": ["text"]}, "kind"),
            ({"kind": "text"}, "options"),
            ({"options": []}, "options"),
            ({"options": "Free"}, "options"),
            ({"options": ["Free", "Free"]}, "options"),
            ({"options": [""]}, "options"),
            ({"options": [1]}, "options"),
            ({"options": ["x" * 81]}, "options"),
            ({"options": [str(n) for n in range(101)]}, "options"),
            ({"is_required": "yes"}, "is_required"),
            ({"position": 0}, "position"),
            ({"position": True}, "position"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_a_wrong_value_names_its_property(
        self, workspace: Workspace, changes: dict[str, Any], at_fault: str | None
    ) -> None:
        FieldFactory(workspace=workspace, key="taken")
        if at_fault is None:
            assert save(workspace, **PLAN | changes).key == "plan"
            return
        with pytest.raises(InvalidInput) as caught:
            save(workspace, **PLAN | changes)
        assert set(caught.value.errors) == {at_fault}
        assert Field.unscoped.count() == 1

    def test_the_database_refuses_them_too(self, workspace: Workspace) -> None:
        for wrong in ({"kind": "colour"}, {"kind": "choice"}, {"kind": "text", "options": ["Free"]}):
            with pytest.raises(IntegrityError), transaction.atomic():
                FieldFactory(workspace=workspace, **wrong)

    def test_only_the_given_properties_change_and_the_key_and_kind_stay(self, workspace: Workspace) -> None:
        field = save(workspace, **PLAN)
        changed = save(workspace, field, label="Tariff", key="plan", kind="choice")
        assert (changed.label, changed.options) == ("Tariff", ["Free", "Pro"])
        for name, value in (("key", "tariff"), ("kind", "text")):
            with pytest.raises(InvalidInput) as caught:
                save(workspace, field, **{name: value})
            assert set(caught.value.errors) == {name}

    def test_fields_have_places_and_make_room(self, workspace: Workspace) -> None:
        made = {key: save(workspace, key=key, label=key, kind="text") for key in "abc"}
        save(workspace, made["c"], position=1)
        assert keys(workspace) == ["c", "a", "b"]
        save(workspace, made["c"], position=99)
        save(workspace, key="d", label="d", kind="text", position=2)
        assert keys(workspace) == ["a", "d", "b", "c"]
        setup.delete_field(field=made["a"], now=NOW)
        assert [(field.key, field.position) for field in base.live_fields(workspace.pk)] == [
            ("d", 1),
            ("b", 2),
            ("c", 3),
        ]

    def test_a_workspace_has_up_to_fifty(self, workspace: Workspace) -> None:
        for n in range(setup.MAX_FIELDS):
            FieldFactory(workspace=workspace, position=n + 1)
        with pytest.raises(Conflict):
            save(workspace, **PLAN)

    def test_workspaces_do_not_share_them(self, workspace: Workspace) -> None:
        foreign = save(WorkspaceFactory(), **PLAN)
        assert save(workspace, **PLAN).pk != foreign.pk
        with pytest.raises(NotFound):
            save(workspace, foreign, label="x")

    def test_a_deleted_one_is_not_asked_and_its_answers_come_back_with_its_key(self, workspace: Workspace) -> None:
        field = save(workspace, key="order", label="Order", kind="text")
        ticket = answered(make_ticket(workspace), order="A-1")
        setup.delete_field(field=field, now=NOW)
        with pytest.raises(InvalidInput) as caught:
            answered(ticket, order="A-2")
        assert set(caught.value.errors) == {"custom_fields.order"}
        with pytest.raises(NotFound):
            save(workspace, field, label="x")
        with pytest.raises(InvalidInput) as caught:  # else "A-1" would be shown as a number
            save(workspace, key="order", label="Order", kind="number")
        assert set(caught.value.errors) == {"key"}
        assert save(workspace, key="order", label="Order", kind="text").pk != field.pk
        ticket.refresh_from_db()
        assert ticket.custom_fields == {"order": "A-1"}


class TestAnswers:
    @pytest.mark.parametrize(
        ("key", "given", "kept"),
        [
            ("text", "  A-1 \r\n b ", "A-1 b"),
            ("text", "", None),
            ("number", 3, 3),
            ("number", -2.5, -2.5),
            ("number", 0, 0),
            ("number", 10**15, 10**15),
            ("plan", "Pro", "Pro"),
            ("checkbox", True, True),
            ("checkbox", False, False),
            ("date", "2028-02-29", "2028-02-29"),
            ("date", None, None),
        ],
    )
    def test_are_kept_as_their_kind_says(self, workspace: Workspace, key: str, given: Any, kept: Any) -> None:
        one_of_each(workspace)
        ticket = answered(make_ticket(workspace), **{key: given})
        ticket.refresh_from_db()
        assert ticket.custom_fields == ({} if kept is None else {key: kept})
        assert make_ticket(workspace, custom_fields={key: given}).custom_fields == ticket.custom_fields

    @pytest.mark.parametrize(
        ("key", "given"),
        [
            ("text", 5),
            ("text", "x" * 1001),
            ("text", "a\0b"),
            ("text", "\ud800"),
            ("text", {"a": 1}),
            ("number", "5"),
            ("number", True),
            ("number", float("nan")),
            ("number", float("inf")),
            ("number", 10**400),
            ("number", [1]),
            ("plan", "Gold"),
            ("plan", "pro"),
            ("plan", ["Pro"]),
            ("checkbox", "true"),
            ("checkbox", 1),
            ("date", "2027-02-29"),
            ("date", "20270228"),
            ("date", "2027-02-28T10:00"),
            ("date", 20270228),
            ("colour", "red"),
        ],
    )
    def test_a_wrong_one_names_its_field_and_nothing_is_written(
        self, workspace: Workspace, key: str, given: Any
    ) -> None:
        one_of_each(workspace)
        ticket = make_ticket(workspace)
        with nothing_written():
            for attempt in (
                lambda: answered(ticket, **{key: given}),
                lambda: make_ticket(workspace, custom_fields={key: given}),
            ):
                with pytest.raises(InvalidInput) as caught:
                    attempt()
                assert set(caught.value.errors) == {f"custom_fields.{key}"}

    def test_all_errors_are_told_at_once(self, workspace: Workspace) -> None:
        one_of_each(workspace)
        with pytest.raises(InvalidInput) as caught:
            answered(make_ticket(workspace), number="x", date="y", nothing=1)
        assert set(caught.value.errors) == {f"custom_fields.{key}" for key in ("number", "date", "nothing")}

    def test_only_the_given_keys_change_and_the_log_says_what(self, workspace: Workspace) -> None:
        one_of_each(workspace)
        ticket = make_ticket(workspace, custom_fields={"plan": "Free", "number": 1, "text": "x"})
        answered(ticket, plan="Pro", number=1, text=None, checkbox=False)
        ticket.refresh_from_db()
        assert ticket.custom_fields == {"plan": "Pro", "number": 1, "checkbox": False}
        said = Activity.unscoped.get(event="ticket.updated")
        assert said.changes == [
            {"field": "Plan", "from": "Free", "to": "Pro", "key": "plan"},
            {"field": "Text", "from": "x", "to": None, "key": "text"},
            {"field": "Checkbox", "from": None, "to": False, "key": "checkbox"},
        ]
        version = ticket.version
        answered(ticket, plan="Pro")
        ticket.refresh_from_db()
        assert ticket.version == version

    def test_an_option_that_is_no_longer_offered_stays_where_it_was_chosen(self, workspace: Workspace) -> None:
        field = save(workspace, **PLAN)
        ticket = make_ticket(workspace, custom_fields={"plan": "Pro"})
        save(workspace, field, options=["Free"])
        assert answered(ticket, plan="Pro").custom_fields == {"plan": "Pro"}
        with pytest.raises(InvalidInput):
            answered(make_ticket(workspace), plan="Pro")

    def test_a_required_field_is_asked_of_agents_and_never_refuses_what_comes_in(self, workspace: Workspace) -> None:
        save(workspace, **PLAN, is_required=True)
        for channel in ("portal", "email", "api", "import"):
            ticket = make_ticket(workspace, channel=channel)
        for attempt in (
            lambda: make_ticket(workspace, is_complete=True),
            lambda: make_ticket(workspace, is_complete=True, custom_fields={}),
            lambda: answered(ticket, plan=None),
        ):
            with pytest.raises(InvalidInput) as caught:
                attempt()
            assert caught.value.errors == {"custom_fields.plan": ["This field is required."]}
        assert make_ticket(workspace, is_complete=True, custom_fields={"plan": "Pro"}).custom_fields == {"plan": "Pro"}

    def test_a_ticket_that_bare_sql_makes_has_none(self, workspace: Workspace) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_default, is_nullable FROM information_schema.columns "
                "WHERE table_name = 'tickets' AND column_name = 'custom_fields'"
            )
            # A constant: PostgreSQL adds the column to a big table without writing its rows anew.
            assert cursor.fetchone() == ("'{}'::jsonb", "NO")


class TestApi:
    @pytest.fixture
    def admin(self, workspace: Workspace) -> Api:
        return Api(make_agent(workspace, "admin"))

    def test_an_admin_makes_changes_and_deletes_one(self, admin: Api) -> None:
        response = admin.post(PATH, PLAN)
        assert response.status_code == 201
        made = response.json()
        assert response["Location"] == f"/api{PATH}/{made['id']}"
        given = {"id": made["id"], "created_at": made["created_at"], "is_required": False, "position": 1}
        assert made == PLAN | given
        assert admin.get(f"{PATH}/{made['id']}").json() == made
        changed = admin.patch(f"{PATH}/{made['id']}", {"label": "Tariff", "is_required": True}).json()
        assert changed == made | {"label": "Tariff", "is_required": True}
        assert admin.put(f"{PATH}/{made['id']}", {"key": "plan", "options": ["Pro"]}).json()["options"] == ["Pro"]
        assert admin.delete(f"{PATH}/{made['id']}").status_code == 204
        refused(admin.get(f"{PATH}/{made['id']}"), 404, "id")

    def test_the_list_is_in_order_without_foreign_or_deleted_ones_in_four_queries(
        self, admin: Api, workspace: Workspace
    ) -> None:
        FieldFactory(workspace=workspace, key="second", position=2)
        FieldFactory(workspace=workspace, key="first", position=1)
        FieldFactory()
        FieldFactory(workspace=workspace, archived_at=NOW)
        with CaptureQueriesContext(connection) as queries:
            answer = admin.get(PATH).json()
        assert [field["key"] for field in answer["fields"]] == ["first", "second"]
        assert answer["pagination"]["total"] == 2
        assert len(queries) <= 4
        refused(admin.get(f"{PATH}?kind=text"), 400, "kind")

    @pytest.mark.parametrize(
        ("changes", "at_fault"),
        [
            ({"key": "Not a key"}, "key"),
            ({"key": 5}, "key"),
            ({"key": "taken"}, "key"),
            ({"label": None}, "label"),
            ({"kind": "colour"}, "kind"),
            ({"options": []}, "options"),
            ({"options": ["a", "a"]}, "options"),
            ({"options": "a"}, "options"),
            ({"is_required": "yes"}, "is_required"),
            ({"position": 0}, "position"),
            ({"position": 1.5}, "position"),
            ({"archived_at": None}, "archived_at"),
        ],
    )
    def test_a_wrong_value_names_its_property_and_nothing_is_written(
        self, admin: Api, workspace: Workspace, changes: dict[str, Any], at_fault: str
    ) -> None:
        FieldFactory(workspace=workspace, key="taken")
        with nothing_written():
            refused(admin.post(PATH, PLAN | changes), 400, at_fault)

    def test_only_admins_change_them_and_everybody_reads_them(self, workspace: Workspace) -> None:
        field = FieldFactory(workspace=workspace)
        for role in ("light", "agent"):
            api = Api(make_agent(workspace, role))
            assert api.get(PATH).status_code == api.get(f"{PATH}/{field.pk}").status_code == 200
            with nothing_written():
                refused(api.post(PATH, PLAN), 403)
                for method in ("PUT", "PATCH", "DELETE"):
                    refused(api(method, f"{PATH}/{field.pk}", None if method == "DELETE" else {"label": "x"}), 403)
        assert Api(make_agent(workspace, "owner")).post(PATH, PLAN).status_code == 201
        refused(Api().get(PATH), 401)

    def test_a_foreign_one_is_like_an_unknown_one(self, admin: Api) -> None:
        for pk in (FieldFactory().pk, UNKNOWN):
            with nothing_written():
                refused(admin.get(f"{PATH}/{pk}"), 404, "id")
                refused(admin.put(f"{PATH}/{pk}", {"label": "x"}), 404, "id")
                refused(admin.delete(f"{PATH}/{pk}"), 404, "id")

    def test_the_same_key_creates_once(self, admin: Api) -> None:
        answers = [admin.post(PATH, PLAN, Idempotency_Key="k").json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert Field.unscoped.count() == 1

    def test_a_ticket_is_made_and_changed_with_its_answers(self, workspace: Workspace) -> None:
        api = Api(make_agent(workspace))
        one_of_each(workspace)
        created = api.post("/tickets", NEW | {"custom_fields": {"plan": "Pro", "number": 2.5}})
        assert created.status_code == 201
        path = f"/tickets/{created.json()['id']}"
        nothing = {"plan": None, "text": None, "number": None, "checkbox": None, "date": None}
        assert api.get(path).json()["custom_fields"] == nothing | {"plan": "Pro", "number": 2.5}
        assert list(api.get(path).json()["custom_fields"]) == keys(workspace)
        changed = api.patch(path, {"custom_fields": {"number": None, "checkbox": True, "date": "2026-03-31"}})
        after = nothing | {"plan": "Pro", "checkbox": True, "date": "2026-03-31"}
        assert changed.json()["custom_fields"] == after
        # What was read can be sent back as it is.
        version = api.get(path).json()["version"]
        assert api.put(path, {"custom_fields": after}).json()["version"] == version

    @pytest.mark.parametrize(
        ("sent", "at_fault"),
        [
            ({"plan": "Gold"}, "custom_fields.plan"),
            ({"number": "5"}, "custom_fields.number"),
            ({"nothing": 1}, "custom_fields.nothing"),
            ({"text": {"deep": [1]}}, "custom_fields.text"),
            ([], "custom_fields"),
            ("x", "custom_fields"),
            (None, "custom_fields"),
        ],
    )
    def test_a_wrong_answer_names_its_field(self, workspace: Workspace, sent: Any, at_fault: str) -> None:
        api = Api(make_agent(workspace))
        one_of_each(workspace)
        ticket = make_ticket(workspace)
        with nothing_written():
            refused(api.post("/tickets", NEW | {"custom_fields": sent}), 400, at_fault)
            refused(api.put(f"/tickets/{ticket.pk}", {"priority": "low", "custom_fields": sent}), 400, at_fault)

    def test_numbers_that_json_can_write_but_nobody_can_keep_are_refused(self, workspace: Workspace) -> None:
        api = Api(make_agent(workspace))
        one_of_each(workspace)
        ticket = make_ticket(workspace)
        for number in (b"1e400", b"-1e400", b"1" + b"0" * 400, b"NaN", b"Infinity"):
            with nothing_written():
                raw = b'{"custom_fields": {"number": ' + number + b"}}"
                assert api("PUT", f"/tickets/{ticket.pk}", raw=raw).status_code == 400

    def test_a_light_agent_reads_answers_and_sets_none(self, workspace: Workspace) -> None:
        api = Api(make_agent(workspace, "light"))
        save(workspace, **PLAN)
        ticket = make_ticket(workspace, custom_fields={"plan": "Pro"})
        assert api.get(f"/tickets/{ticket.pk}").json()["custom_fields"] == {"plan": "Pro"}
        with nothing_written():
            refused(api.put(f"/tickets/{ticket.pk}", {"custom_fields": {"plan": "Free"}}), 403)

    def test_required_fields_are_not_asked_of_programs(self, workspace: Workspace) -> None:
        save(workspace, **PLAN, is_required=True)
        api = Api(make_agent(workspace))
        assert api.post("/tickets", NEW).status_code == 201
        refused(api.post("/tickets", NEW | {"custom_fields": {"plan": None}}), 400, "custom_fields.plan")

    def test_the_list_has_no_answers_and_the_detail_costs_four_queries(self, workspace: Workspace) -> None:
        api = Api(make_agent(workspace))
        one_of_each(workspace)
        ticket = make_ticket(workspace, custom_fields={"plan": "Pro"})
        assert "custom_fields" not in api.get("/tickets").json()["tickets"][0]
        with CaptureQueriesContext(connection) as queries:
            api.get(f"/tickets/{ticket.pk}")
        assert len(queries) <= 4


def console(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


class TestSettingsPage:
    GIVEN = {"label": "Plan", "key": "plan", "kind": "choice", "options": "Free\r\nPro\r\n", "position": "1"}

    @pytest.fixture
    def client(self, workspace: Workspace) -> Client:
        return console(make_agent(workspace, "admin"))

    def test_fields_are_listed_in_order_without_foreign_or_deleted_ones(
        self, client: Client, workspace: Workspace
    ) -> None:
        FieldFactory(workspace=workspace, label="Second", position=2)
        FieldFactory(workspace=workspace, label="First", position=1)
        FieldFactory(label="Foreign")
        FieldFactory(workspace=workspace, label="Gone", archived_at=NOW)
        shown = client.get(reverse("tickets:settings-fields")).context["fields"]
        assert [field.label for field in shown] == ["First", "Second"]

    def test_nothing_yet_says_what_fields_are_for(self, client: Client) -> None:
        assert b"No custom fields yet" in client.get(reverse("tickets:settings-fields")).content

    def test_one_is_made_changed_moved_and_deleted(self, client: Client, workspace: Workspace) -> None:
        FieldFactory(workspace=workspace, key="other", label="Other", position=1)
        assert client.post(reverse("tickets:field-new"), self.GIVEN).status_code == 302
        made = Field.unscoped.get(key="plan")
        assert (made.label, made.kind, made.options, made.is_required) == ("Plan", "choice", ["Free", "Pro"], False)
        assert keys(workspace) == ["plan", "other"]
        page = client.get(reverse("tickets:field-edit", args=[made.pk])).content.decode()
        assert "Free\nPro" in page and 'name="key"' not in page
        changed = {"label": "Tariff", "options": "Pro", "position": "2", "is_required": "on"}
        assert client.post(reverse("tickets:field-edit", args=[made.pk]), changed).status_code == 302
        made.refresh_from_db()
        assert (made.label, made.options, made.is_required, made.key) == ("Tariff", ["Pro"], True, "plan")
        assert keys(workspace) == ["other", "plan"]
        assert client.post(reverse("tickets:field-delete", args=[made.pk])).status_code == 302
        assert keys(workspace) == ["other"]
        assert client.get(reverse("tickets:field-edit", args=[made.pk])).status_code == 404

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("label", ""),
            ("key", "Not a key"),
            ("key", "taken"),
            ("kind", "colour"),
            ("options", ""),
            ("options", "a\na"),
            ("position", "9"),
            ("position", ""),
        ],
    )
    def test_wrong_input_comes_back_filled_in_with_its_message(
        self, client: Client, workspace: Workspace, name: str, value: str
    ) -> None:
        FieldFactory(workspace=workspace, key="taken")
        with nothing_written():
            answer = client.post(reverse("tickets:field-new"), self.GIVEN | {name: value})
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == [name]


class TestTicketPages:
    NEW = {"subject": "s", "description": "d", "requester_email": "jane@customers.example", "priority": "medium"}

    @pytest.fixture
    def agent(self, workspace: Workspace) -> Membership:
        return make_agent(workspace)

    def test_a_new_ticket_is_asked_for_them(self, agent: Membership, workspace: Workspace) -> None:
        one_of_each(workspace)
        given = {"plan": "Pro", "text": "A-1", "number": "2", "checkbox": "on", "date": "2026-03-31"}
        form = self.NEW | {f"custom_fields.{key}": value for key, value in given.items()}
        page = console(agent).get(reverse("tickets:new")).content.decode()
        assert all(f'name="custom_fields.{key}"' in page for key in given)
        assert console(agent).post(reverse("tickets:new"), form).status_code == 302
        assert Ticket.unscoped.get().custom_fields == given | {"number": 2, "checkbox": True}

    def test_what_is_not_answered_is_not_kept(self, agent: Membership, workspace: Workspace) -> None:
        one_of_each(workspace)
        assert console(agent).post(reverse("tickets:new"), self.NEW).status_code == 302
        assert Ticket.unscoped.get().custom_fields == {"checkbox": False}

    @pytest.mark.parametrize(
        ("key", "value"),
        [("plan", ""), ("plan", "Gold"), ("number", "many"), ("number", "1e400"), ("number", "1e30"), ("date", "soon")],
    )
    def test_a_wrong_answer_comes_back_at_its_field(
        self, agent: Membership, workspace: Workspace, key: str, value: str
    ) -> None:
        one_of_each(workspace)
        save(workspace, Field.unscoped.get(key="plan"), is_required=True)
        form = self.NEW | {"custom_fields.plan": "Pro", f"custom_fields.{key}": value}
        with nothing_written():
            answer = console(agent).post(reverse("tickets:new"), form)
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == [f"custom_fields.{key}"]

    @pytest.mark.parametrize(
        ("key", "sent", "kept"),
        [
            ("plan", "Pro", "Pro"),
            ("plan", "", None),
            ("text", "A-2", "A-2"),
            ("text", " ", None),
            ("number", "2.5", 2.5),
            ("number", "", None),
            ("checkbox", ["false", "true"], True),
            ("checkbox", ["false"], False),
            ("date", "2026-04-01", "2026-04-01"),
            ("date", "", None),
        ],
    )
    def test_each_is_changed_in_place_without_touching_the_others(
        self, agent: Membership, workspace: Workspace, key: str, sent: Any, kept: Any
    ) -> None:
        one_of_each(workspace)
        before = {"plan": "Free", "text": "A-1", "number": 1, "checkbox": kept is False, "date": "2026-03-31"}
        ticket = make_ticket(workspace, custom_fields=before)
        address = reverse("tickets:update", args=[ticket.pk])
        answer = console(agent).post(address, {f"custom_fields.{key}": sent}, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        ticket.refresh_from_db()
        assert ticket.custom_fields == {
            name: value for name, value in (before | {key: kept}).items() if value is not None
        }
        assert ticket.version == 2

    def test_the_page_shows_them_as_people_read_them(self, agent: Membership, workspace: Workspace) -> None:
        one_of_each(workspace)
        ticket = make_ticket(
            workspace,
            custom_fields={"plan": "Pro", "text": "<b>A</b>", "number": 1234.5, "checkbox": True, "date": "2026-03-31"},
        )
        page = console(agent).get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        for part in ("<option selected>Pro</option>", "&lt;b&gt;A&lt;/b&gt;", 'value="1234.5"', "31 Mar 2026"):
            assert part in page
        assert "<b>A</b>" not in page

    def test_a_light_agent_reads_them(self, workspace: Workspace) -> None:
        one_of_each(workspace)
        ticket = make_ticket(workspace, custom_fields={"plan": "Pro", "checkbox": False})
        client = console(make_agent(workspace, "light"))
        page = client.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert "<dt>Plan</dt><dd>Pro</dd>" in page and "<dt>Checkbox</dt><dd>No</dd>" in page
        assert "<dt>Date</dt><dd>–</dd>" in page
        assert 'name="custom_fields.' not in page
        with nothing_written():
            address = reverse("tickets:update", args=[ticket.pk])
            assert client.post(address, {"custom_fields.plan": "Free"}).status_code == 403

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("plan", "", "Plan: This field is required."),
            ("plan", "Gold", "Plan: Select a valid choice."),
            ("number", "many", "Number: Enter a number."),
            ("gone", "x", "There is no such field."),
        ],
    )
    def test_a_wrong_answer_is_said_and_not_written(
        self, agent: Membership, workspace: Workspace, key: str, value: str, said: str
    ) -> None:
        one_of_each(workspace)
        save(workspace, Field.unscoped.get(key="plan"), is_required=True)
        ticket = make_ticket(workspace, custom_fields={"plan": "Pro"})
        address = reverse("tickets:update", args=[ticket.pk])
        with nothing_written():
            answer = console(agent).post(
                address, {f"custom_fields.{key}": value, "priority": "low"}, headers={"HX-Request": "true"}
            )
        assert answer.status_code == 400
        assert said in answer.content.decode()

    def test_a_choice_that_is_no_longer_offered_is_shown(self, agent: Membership, workspace: Workspace) -> None:
        field = save(workspace, **PLAN)
        ticket = make_ticket(workspace, custom_fields={"plan": "Pro"})
        save(workspace, field, options=["Free"])
        page = console(agent).get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert "<option selected>Pro</option>" in page

    def test_they_cost_no_query(self, agent: Membership, workspace: Workspace) -> None:
        client, ticket = console(agent), make_ticket(workspace)
        address = reverse("tickets:ticket", args=[ticket.pk])
        client.get(address)
        with CaptureQueriesContext(connection) as before:
            client.get(address)
        one_of_each(workspace)
        answered(ticket, plan="Pro", number=1)
        with CaptureQueriesContext(connection) as after:
            client.get(address)
        assert len(after) == len(before)

    def test_the_log_says_yes_and_no_and_zero(self, agent: Membership, workspace: Workspace) -> None:
        one_of_each(workspace)
        ticket = make_ticket(workspace, custom_fields={"checkbox": True, "number": 0})
        answered(ticket, checkbox=False, number=5)
        page = console(agent).get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert "changed the Checkbox from <b>yes</b> to <b>no</b>" in page
        assert "changed the Number from <b>0</b> to <b>5</b>" in page
