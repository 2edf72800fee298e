"""Rules, their order and their logs over the API."""

from functools import partial
from typing import Any

import pytest

from helpdesk.accounts import tokens
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import OrganizationFactory, TeamFactory, WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from tickets.automation import conditions
from tickets.automation.models import TRIGGERS, Rule, Run
from tickets.automation.services import actions, setup
from tickets.automation.tests.factories import NOW, make_rule, run_rules
from tickets.tests.api import ROLES, UNKNOWN, Api, refused, unchanged
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db

PATH = "/tickets/automation-rules"
RULE: dict[str, Any] = {
    "name": "VIP billing",
    "triggers": ["created", "customer_replied"],
    "actions": [{"do": "set_priority", "priority": "urgent"}, {"do": "add_note", "body": "Call them."}],
}
NESTED: dict[str, Any] = {
    "all": [
        {"field": "priority", "is": ["high", "urgent"]},
        {
            "any": [
                {"field": "subject", "contains": ["refund", "charge back"]},
                {"field": "attribute", "name": "plan", "is_not": ["free", "none"]},
                {"all": [{"field": "business_hours", "is": [False]}, {"any": []}]},
            ]
        },
    ]
}
FIELDS = {
    "id",
    "name",
    "position",
    "is_active",
    "triggers",
    "no_response_hours",
    "idle_hours",
    "message_count",
    "conditions",
    "actions",
    "stops",
    "notice",
    "created_at",
    "updated_at",
}


# Whatever happens inside leaves no trace: no rule, no run, no kept answer.
nothing_written = partial(unchanged, Rule, Run, IdempotencyKey)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Api:
    return Api(make_agent(workspace, "admin"))


@pytest.fixture
def rule(workspace: Workspace) -> Rule:
    return make_rule(workspace, {"do": "escalate"}, name="Escalate")


def names(api: Api) -> list[str]:
    return [rule["name"] for rule in api.get(PATH).json()["automation_rules"]]


class TestSuccess:
    def test_a_rule_comes_back_as_it_was_sent(self, admin: Api) -> None:
        response = admin.post(PATH, RULE)
        assert response.status_code == 201, response.content
        made = response.json()
        assert set(made) == FIELDS
        assert {name: made[name] for name in RULE} == RULE
        assert made["conditions"] == {"all": []} and made["is_active"] is True and made["stops"] is False
        assert made["position"] == 1 and made["notice"] == ""
        assert response["Location"] == f"/api{PATH}/{made['id']}"
        assert admin.get(f"{PATH}/{made['id']}").json() == made
        assert admin.get(PATH).json()["automation_rules"] == [made]

    def test_a_nested_condition_makes_the_round_trip(self, admin: Api) -> None:
        made = admin.post(PATH, RULE | {"conditions": NESTED}).json()
        assert made["conditions"] == NESTED
        assert admin.put(f"{PATH}/{made['id']}", {"conditions": made["conditions"]}).json()["conditions"] == NESTED

    def test_every_action_makes_the_round_trip(self, admin: Api, workspace: Workspace) -> None:
        user_id, team_id = str(make_agent(workspace).user_id), str(TeamFactory(workspace=workspace).pk)
        wanted: list[dict[str, Any]] = [
            {"do": "assign", "user_id": user_id},
            {"do": "assign", "method": "least_busy", "team_id": team_id},
            {"do": "assign", "method": "round_robin", "team_id": None},
            {"do": "set_team", "team_id": team_id},
            {"do": "set_priority", "priority": "low"},
            {"do": "set_status", "status": "pending"},
            {"do": "set_category", "category_id": str(CategoryFactory(workspace=workspace).pk)},
            {"do": "add_tags", "tags": ["vip"]},
            {"do": "remove_tags", "tags": ["new", "cold"]},
            {"do": "add_note", "body": "Call them.\n\nToday."},
            {"do": "add_watcher", "user_id": user_id},
            {"do": "escalate"},
        ]
        assert {action["do"] for action in wanted} <= set(actions.ACTIONS)
        assert admin.post(PATH, RULE | {"actions": wanted}).json()["actions"] == wanted

    def test_what_triggers_need_makes_the_round_trip(self, admin: Api) -> None:
        wanted = {
            "triggers": ["no_response", "customer_messages", "idle"],
            "no_response_hours": 1.5,
            "idle_hours": 72.0,
            "message_count": 3,
        }
        # In the order in which triggers are listed.
        wanted["triggers"] = sorted(wanted["triggers"], key=[word for word, _ in TRIGGERS].index)  # type: ignore[call-overload]
        made = admin.post(PATH, RULE | wanted).json()
        assert {name: made[name] for name in wanted} == wanted
        less = admin.patch(f"{PATH}/{made['id']}", {"triggers": ["idle"]}).json()
        assert (less["no_response_hours"], less["idle_hours"], less["message_count"]) == (None, 72.0, None)

    @pytest.mark.parametrize(
        ("given", "place"),
        [
            ({"triggers": ["no_response"]}, "no_response_hours"),
            ({"triggers": ["no_response"], "no_response_hours": 0}, "no_response_hours"),
            ({"triggers": ["no_response"], "no_response_hours": 9000}, "no_response_hours"),
            ({"triggers": ["idle"], "idle_hours": None}, "idle_hours"),
            ({"triggers": ["idle"], "idle_hours": 0.001}, "idle_hours"),
            ({"triggers": ["customer_messages"]}, "message_count"),
            ({"triggers": ["customer_messages"], "message_count": 1}, "message_count"),
            ({"triggers": ["customer_messages"], "message_count": 51}, "message_count"),
        ],
    )
    def test_what_a_trigger_needs_is_asked_for(self, admin: Api, given: dict[str, Any], place: str) -> None:
        with nothing_written():
            response = admin.post(PATH, RULE | given)
        assert response.status_code == 400 and list(response.json()["errors"]) == [place]

    def test_put_and_patch_change_what_is_sent(self, admin: Api, rule: Rule) -> None:
        path = f"{PATH}/{rule.pk}"
        before = admin.get(path).json()
        for method in ("PUT", "PATCH"):
            for name, value in (
                ("stops", True),
                ("is_active", False),
                ("name", method),
                ("triggers", ["sla_breached"]),
            ):
                changed = admin(method, path, {name: value}).json()
                assert changed == before | {name: value, "updated_at": changed["updated_at"]}
                before = changed
        assert admin.put(path, {}).json()["name"] == "PATCH"

    def test_switching_it_on_takes_the_notice_away(self, admin: Api, rule: Rule) -> None:
        Rule.unscoped.filter(pk=rule.pk).update(is_active=False, notice="Switched off: there is no such team.")
        path = f"{PATH}/{rule.pk}"
        assert admin.get(path).json()["notice"].startswith("Switched off")
        assert admin.put(path, {"is_active": True}).json()["notice"] == ""

    def test_the_list_is_in_order_and_has_pages(self, admin: Api, workspace: Workspace) -> None:
        for name in ("a", "b", "c"):
            make_rule(workspace, {"do": "escalate"}, name=name)
        make_rule(WorkspaceFactory(), {"do": "escalate"}, name="foreign")
        assert names(admin) == ["a", "b", "c"]
        page = admin.get(f"{PATH}?limit=2&page=2").json()
        assert [row["name"] for row in page["automation_rules"]] == ["c"]
        assert page["pagination"] == {"page": 2, "limit": 2, "total": 3, "totalPages": 2}
        refused(admin.get(f"{PATH}?sort=name"), 400, "sort")

    def test_lists_cost_the_same_for_any_number(
        self, admin: Api, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        for number in range(5):
            make_rule(workspace, {"do": "escalate"}, name=f"{number}")
        rule, ticket = setup.rules(workspace.pk)[0], make_ticket(workspace, priority="low")
        run_rules(ticket)
        with django_assert_num_queries(2):
            assert len(admin.get(PATH).json()["automation_rules"]) == 5
        with django_assert_num_queries(3):
            assert len(admin.get(f"/tickets/{ticket.pk}/automation-log").json()["runs"]) == 5
        with django_assert_num_queries(3):
            assert len(admin.get(f"{PATH}/{rule.pk}/log").json()["runs"]) == 1

    def test_the_same_key_creates_once(self, admin: Api, workspace: Workspace) -> None:
        answers = [admin.post(PATH, RULE, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[1]["Idempotency-Replayed"] == "true" and answers[1]["Location"] == answers[0]["Location"]
        assert Rule.objects.for_workspace(workspace).count() == 1
        with nothing_written():
            refused(admin.post(PATH, RULE | {"name": "Other"}, Idempotency_Key="k"), 422)


class TestOrder:
    def test_rules_are_put_in_order(self, admin: Api, workspace: Workspace) -> None:
        made = {name: str(make_rule(workspace, {"do": "escalate"}, name=name).pk) for name in ("a", "b", "c")}
        wanted = [made["c"], made["a"], made["b"]]
        response = admin.put(f"{PATH}/order", {"rule_ids": wanted})
        assert response.status_code == 200 and response.json() == {"rule_ids": wanted}
        assert names(admin) == ["c", "a", "b"]
        assert [row["position"] for row in admin.get(PATH).json()["automation_rules"]] == [1, 2, 3]

    def test_a_position_makes_room(self, admin: Api, workspace: Workspace) -> None:
        for name in ("a", "b", "c"):
            make_rule(workspace, {"do": "escalate"}, name=name)
        assert admin.post(PATH, RULE | {"name": "d", "position": 2}).json()["position"] == 2
        assert names(admin) == ["a", "d", "b", "c"]
        last = admin.get(PATH).json()["automation_rules"][0]["id"]
        assert admin.put(f"{PATH}/{last}", {"position": 10_000}).json()["position"] == 4
        assert names(admin) == ["d", "b", "c", "a"]

    def test_every_rule_is_named_once(self, admin: Api, workspace: Workspace) -> None:
        one, two, gone = (str(make_rule(workspace, {"do": "escalate"}, name=name).pk) for name in "abc")
        assert admin.delete(f"{PATH}/{gone}").status_code == 204
        foreign = str(make_rule(WorkspaceFactory(), {"do": "escalate"}).pk)
        wrong: list[list[str]] = [[], [one], [one, one], [one, two, two], [one, two, gone]]
        wrong += [[one, foreign], [one, two, foreign], [one, two, UNKNOWN]]
        with nothing_written():
            for ids in wrong:
                refused(admin.put(f"{PATH}/order", {"rule_ids": ids}), 400, "rule_ids")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "rule_ids"),
            ({"rule_ids": None}, "rule_ids"),
            ({"rule_ids": "x"}, "rule_ids"),
            ({"rule_ids": ["x"]}, "rule_ids.0"),
            ({"rule_ids": [5]}, "rule_ids"),
            ({"rule_ids": [UNKNOWN] * 501}, "rule_ids"),
        ],
    )
    def test_a_wrong_order_is_named(self, admin: Api, rule: Rule, body: dict[str, Any], field: str) -> None:
        with nothing_written():
            refused(admin.put(f"{PATH}/order", body), 400, field)
            refused(admin.put(f"{PATH}/order", {"rule_ids": [str(rule.pk)], "by": "name"}), 400, "by")


class TestDeleting:
    def test_it_leaves_the_list_and_its_address_and_stays_in_the_log(
        self, admin: Api, workspace: Workspace, rule: Rule
    ) -> None:
        ticket = make_ticket(workspace, priority="low")
        run_rules(ticket)
        assert admin.delete(f"{PATH}/{rule.pk}").status_code == 204
        assert names(admin) == []
        with nothing_written():
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                refused(admin(method, f"{PATH}/{rule.pk}", {"name": "x"} if method[0] == "P" else None), 404, "id")
            refused(admin.get(f"{PATH}/{rule.pk}/log"), 404, "id")
        assert [run["rule_name"] for run in admin.get(f"/tickets/{ticket.pk}/automation-log").json()["runs"]] == [
            "Escalate"
        ]
        assert admin.post(PATH, RULE | {"name": "Escalate"}).status_code == 201  # its name is free again


class TestLogs:
    def test_they_say_what_was_done_and_why(self, admin: Api, workspace: Workspace) -> None:
        category = CategoryFactory(workspace=workspace)
        rule = make_rule(
            workspace,
            {"do": "set_priority", "priority": "urgent"},
            {"do": "set_category", "category_id": str(category.pk)},
            name="Urgent",
            conditions={"all": [{"field": "priority", "is": ["low"]}]},
        )
        ticket = make_ticket(workspace, priority="low")
        run_rules(ticket)
        page = admin.get(f"/tickets/{ticket.pk}/automation-log").json()
        assert page["pagination"]["total"] == 1
        (run,) = page["runs"]
        assert run == {
            "id": run["id"],
            "rule_id": str(rule.pk),
            "rule_name": "Urgent",
            "ticket_id": str(ticket.pk),
            "ticket_number": ticket.ticket_number,
            "trigger": "created",
            "reasons": ["priority is low"],
            "done": run["done"],
            "ran_at": "2026-03-02T09:00:00Z",
        }
        assert [(one["action"], one["is_done"]) for one in run["done"]] == [
            ("set_priority", True),
            ("set_category", True),
        ]
        assert set(run["done"][0]) == {"action", "text", "is_done"}
        assert admin.get(f"{PATH}/{rule.pk}/log").json() == page

    def test_reasons_name_what_the_conditions_keep_by_its_id(self, admin: Api, workspace: Workspace) -> None:
        category = CategoryFactory(workspace=workspace, name="Billing")
        test = {"field": "category", "is": [str(category.pk)]}
        rule = make_rule(workspace, {"do": "escalate"}, name="Billing first", conditions={"all": [test]})
        run_rules(make_ticket(workspace, category_id=category.pk))
        (run,) = admin.get(f"{PATH}/{rule.pk}/log").json()["runs"]
        assert run["reasons"] == ["category is Billing"]

    def test_they_are_newest_first_and_only_their_own(self, admin: Api, workspace: Workspace, rule: Rule) -> None:
        other = make_rule(workspace, {"do": "add_note", "body": "x"}, name="Note")
        tickets = [make_ticket(workspace, priority="low") for _ in range(3)]
        for minute, ticket in enumerate(tickets):
            run_rules(ticket, NOW.replace(minute=minute))
        runs = admin.get(f"{PATH}/{rule.pk}/log").json()["runs"]
        assert [run["ticket_id"] for run in runs] == [str(ticket.pk) for ticket in reversed(tickets)]
        assert {run["rule_id"] for run in runs} == {str(rule.pk)}
        page = admin.get(f"{PATH}/{rule.pk}/log?limit=2&page=2").json()
        assert page["runs"] == runs[2:] and page["pagination"]["totalPages"] == 2
        of_ticket = admin.get(f"/tickets/{tickets[0].pk}/automation-log").json()["runs"]
        assert {run["rule_id"] for run in of_ticket} == {str(rule.pk), str(other.pk)}
        assert {run["ticket_id"] for run in of_ticket} == {str(tickets[0].pk)}

    def test_foreign_and_unknown_ones_are_not_found(self, admin: Api) -> None:
        elsewhere: Any = WorkspaceFactory()
        foreign, ticket = make_rule(elsewhere, {"do": "escalate"}), make_ticket(elsewhere)
        for pk in (foreign.pk, UNKNOWN):
            refused(admin.get(f"{PATH}/{pk}/log"), 404, "id")
        for pk in (ticket.pk, UNKNOWN):
            refused(admin.get(f"/tickets/{pk}/automation-log"), 404, "id")

    def test_unknown_parameters_are_refused(self, admin: Api, workspace: Workspace, rule: Rule) -> None:
        refused(admin.get(f"{PATH}/{rule.pk}/log?trigger=created"), 400, "trigger")
        refused(admin.get(f"/tickets/{make_ticket(workspace).pk}/automation-log?sort=x"), 400, "sort")


def deep(levels: int) -> dict[str, Any]:
    """A group in a group in a group …"""
    found: dict[str, Any] = {"all": []}
    for _ in range(levels - 1):
        found = {"any": [found]}
    return found


SUBJECT = {"field": "subject", "contains": ["x"]}
ESCALATE = {"do": "escalate"}


def if_all(*tests: Any) -> dict[str, Any]:
    return {"conditions": {"all": list(tests)}}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "  "}, "name"),
    ({"name": None}, "name"),
    ({"name": 5}, "name"),
    ({"name": "x" * 81}, "name"),
    ({"name": "ESCALATE"}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"name": "a\ud800"}, "name"),
    ({"position": 0}, "position"),
    ({"position": 10_001}, "position"),
    ({"position": 1.5}, "position"),
    ({"position": True}, "position"),
    ({"position": None}, "position"),
    ({"is_active": None}, "is_active"),
    ({"is_active": "true"}, "is_active"),
    ({"stops": None}, "stops"),
    ({"stops": 1}, "stops"),
    ({"triggers": []}, "triggers"),
    ({"triggers": None}, "triggers"),
    ({"triggers": "created"}, "triggers"),
    ({"triggers": ["sneezed"]}, "triggers.0"),
    ({"triggers": ["created", "sneezed"]}, "triggers.1"),
    ({"triggers": [5]}, "triggers"),
    ({"triggers": ["created"] * 51}, "triggers"),
    # Conditions
    ({"conditions": None}, "conditions"),
    ({"conditions": []}, "conditions"),
    ({"conditions": {}}, "conditions"),
    ({"conditions": "all"}, "conditions"),
    ({"conditions": {"all": [], "any": []}}, "conditions"),
    ({"conditions": {"none": []}}, "conditions"),
    ({"conditions": SUBJECT}, "conditions"),
    ({"conditions": {"all": {}}}, "conditions.all"),
    ({"conditions": {"all": None}}, "conditions.all"),
    (if_all(5), "conditions.all.0"),
    (if_all(None), "conditions.all.0"),
    (if_all({}), "conditions.all.0"),
    (if_all({"field": "colour", "is": ["x"]}), "conditions.all.0.field"),
    (if_all({"field": ["subject"], "is": ["x"]}), "conditions.all.0.field"),
    (if_all({"field": {}, "is": ["x"]}), "conditions.all.0.field"),
    (if_all({"field": None}), "conditions.all.0.field"),
    (if_all({"field": "subject"}), "conditions.all.0"),
    (if_all({"field": "priority", "is": ["low"], "is_not": ["high"]}), "conditions.all.0"),
    (if_all(SUBJECT | {"is": ["x"]}), "conditions.all.0.is"),
    (if_all(SUBJECT | {"name": "x"}), "conditions.all.0.name"),
    (if_all(SUBJECT, SUBJECT | {"contains": "x"}), "conditions.all.1.contains"),
    (if_all(SUBJECT | {"contains": []}), "conditions.all.0.contains"),
    (if_all(SUBJECT | {"contains": ["x"] * 101}), "conditions.all.0.contains"),
    (if_all(SUBJECT | {"contains": ["x" * 201]}), "conditions.all.0.contains"),
    (if_all(SUBJECT | {"contains": [""]}), "conditions.all.0.contains"),
    (if_all(SUBJECT | {"contains": ["  "]}), "conditions.all.0.contains"),
    (if_all(SUBJECT | {"contains": [None]}), "conditions.all.0.contains"),
    (if_all(SUBJECT | {"contains": [{}]}), "conditions.all.0.contains"),
    (if_all(SUBJECT | {"contains": ["\0"]}), "conditions.all.0.contains.0"),
    (if_all(SUBJECT | {"contains": ["\udfff"]}), "conditions.all.0.contains.0"),
    (if_all({"field": "business_hours", "is": ["yes"]}), "conditions.all.0.is"),
    (if_all({"field": "attribute", "is": ["x"]}), "conditions.all.0.name"),
    (if_all({"field": "attribute", "name": "", "is": ["x"]}), "conditions.all.0.name"),
    (if_all({"field": "attribute", "name": 5, "is": ["x"]}), "conditions.all.0.name"),
    (if_all({"field": "attribute", "name": "x" * 201, "is": ["x"]}), "conditions.all.0.name"),
    (if_all({"any": [SUBJECT, {"all": [{"field": "x"}]}]}), "conditions.all.0.any.1.all.0.field"),
    (if_all(*[SUBJECT] * (conditions.MAX_TESTS + 1)), "conditions"),
    ({"conditions": deep(conditions.MAX_DEPTH + 1)}, "conditions" + ".any.0" * conditions.MAX_DEPTH + ".all"),
    ({"conditions": deep(40)}, "conditions" + ".any.0" * 9 + ".any"),
    # Actions
    ({"actions": []}, "actions"),
    ({"actions": None}, "actions"),
    ({"actions": {}}, "actions"),
    ({"actions": "escalate"}, "actions"),
    ({"actions": [ESCALATE] * 21}, "actions"),
    ({"actions": [5]}, "actions.0.do"),
    ({"actions": [None]}, "actions.0.do"),
    ({"actions": [{}]}, "actions.0.do"),
    ({"actions": [{"do": "dance"}]}, "actions.0.do"),
    ({"actions": [{"do": ["escalate"]}]}, "actions.0.do"),
    ({"actions": [{"do": {}}]}, "actions.0.do"),
    ({"actions": [{"do": None}]}, "actions.0.do"),
    ({"actions": [ESCALATE, ESCALATE | {"to": "boss"}]}, "actions.1.to"),
    ({"actions": [{"do": "set_priority"}]}, "actions.0.priority"),
    ({"actions": [ESCALATE, {"do": "set_priority", "priority": "huge"}]}, "actions.1.priority"),
    ({"actions": [{"do": "set_priority", "priority": ["low"]}]}, "actions.0.priority"),
    ({"actions": [{"do": "set_status", "status": "new"}]}, "actions.0.status"),
    ({"actions": [{"do": "set_status", "status": {}}]}, "actions.0.status"),
    ({"actions": [{"do": "set_team"}]}, "actions.0.team_id"),
    ({"actions": [{"do": "set_team", "team_id": None}]}, "actions.0.team_id"),
    ({"actions": [{"do": "set_team", "team_id": "x"}]}, "actions.0.team_id"),
    ({"actions": [{"do": "set_team", "team_id": 5}]}, "actions.0.team_id"),
    ({"actions": [{"do": "set_category"}]}, "actions.0.category_id"),
    ({"actions": [{"do": "set_category", "category_id": []}]}, "actions.0.category_id"),
    ({"actions": [{"do": "assign"}]}, "actions.0.method"),
    ({"actions": [{"do": "assign", "user_id": None}]}, "actions.0.user_id"),
    ({"actions": [{"do": "assign", "user_id": UNKNOWN, "method": "least_busy"}]}, "actions.0.method"),
    ({"actions": [{"do": "assign", "method": "dice", "team_id": None}]}, "actions.0.method"),
    ({"actions": [{"do": "assign", "method": "least_busy", "team_id": "x"}]}, "actions.0.team_id"),
    ({"actions": [{"do": "add_tags", "tags": "vip"}]}, "actions.0.tags"),
    ({"actions": [{"do": "add_tags", "tags": []}]}, "actions.0.tags"),
    ({"actions": [{"do": "add_tags", "tags": [5]}]}, "actions.0.tags"),
    ({"actions": [{"do": "add_tags", "tags": ["x" * 41]}]}, "actions.0.tags"),
    ({"actions": [{"do": "remove_tags", "tags": ["x"] * 21}]}, "actions.0.tags"),
    ({"actions": [{"do": "add_note"}]}, "actions.0.body"),
    ({"actions": [{"do": "add_note", "body": " "}]}, "actions.0.body"),
    ({"actions": [{"do": "add_note", "body": "x" * 10_001}]}, "actions.0.body"),
    ({"actions": [{"do": "add_note", "body": "\0"}]}, "actions.0.body"),
    ({"actions": [{"do": "add_watcher", "user_id": "x"}]}, "actions.0.user_id"),
    # What there is not
    ({"notice": ""}, "notice"),
    ({"archived_at": None}, "archived_at"),
    ({"workspace_id": UNKNOWN}, "workspace_id"),
    ({"created_at": "2024-01-01T00:00:00Z"}, "created_at"),
]


class TestRefusals:
    @pytest.mark.parametrize(("changes", "field"), WRONG, ids=[f"{n}-{field}" for n, (_, field) in enumerate(WRONG)])
    def test_a_wrong_field_is_named(self, admin: Api, rule: Rule, changes: dict[str, Any], field: str) -> None:
        other = make_rule(rule.workspace, ESCALATE, name="Other")
        with nothing_written():
            refused(admin.post(PATH, RULE | changes), 400, field)
            refused(admin.put(f"{PATH}/{other.pk}", changes), 400, field)

    def test_all_mistakes_are_told_at_once(self, admin: Api) -> None:
        with nothing_written():
            refused(
                admin.post(PATH, {"triggers": ["x"], "stops": 1, "surprise": 1}),
                400,
                "name",
                "triggers.0",
                "stops",
                "actions",
                "surprise",
            )
            refused(
                admin.post(
                    PATH,
                    RULE
                    | if_all({"field": "x"}, SUBJECT | {"contains": []})
                    | {"actions": [{"do": "x"}, {"do": "add_note"}]},
                ),
                400,
                "conditions.all.0.field",
                "conditions.all.1.contains",
                "actions.0.do",
                "actions.1.body",
            )

    @pytest.mark.parametrize(
        "raw",
        [
            b"{",
            b"[]",
            b'"x"',
            b"\xff",
            b'{"a\\ud800": 1}',
            b'{"conditions": ' + b'{"all": [' * 5000,
            b'{"actions": ' + b"[" * 200_000,
            b'{"conditions": {"all": [{"field": "subject", "contains": [NaN]}]}}',
            b'{"conditions": {"all": [{"field": "subject", "contains": [' + b"9" * 5000 + b"]}]}}",
            b'{"actions": [{"do": "escalate", "do": "escalate"}]}',
        ],
    )
    def test_what_cannot_be_read_is_refused(self, admin: Api, rule: Rule, raw: bytes) -> None:
        with nothing_written():
            for method, path in (("POST", PATH), ("PUT", f"{PATH}/{rule.pk}"), ("PUT", f"{PATH}/order")):
                assert refused(admin(method, path, raw=raw), 400)["errors"]

    def test_huge_lists_are_refused(self, admin: Api) -> None:
        with nothing_written():
            refused(admin.post(PATH, RULE | if_all(*[SUBJECT] * 10_000)), 400, "conditions")
            refused(admin.post(PATH, RULE | if_all(SUBJECT | {"contains": ["x"] * 100_000})), 400)
            refused(admin.post(PATH, RULE | {"actions": [ESCALATE] * 50_000}), 400, "actions")
            assert admin.post(PATH, RULE | if_all(*[{"any": []}] * 50_000)).status_code == 400

    def test_foreign_and_unknown_things_are_not_found_in_the_actions(
        self, admin: Api, workspace: Workspace, rule: Rule
    ) -> None:
        elsewhere: Any = WorkspaceFactory()
        user_id, team_id = make_agent(elsewhere).user_id, TeamFactory(workspace=elsewhere).pk
        category_id = CategoryFactory(workspace=elsewhere).pk
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"do": "assign", "user_id": user_id}, "user_id"),
            ({"do": "assign", "method": "least_busy", "team_id": team_id}, "team_id"),
            ({"do": "set_team", "team_id": team_id}, "team_id"),
            ({"do": "set_category", "category_id": category_id}, "category_id"),
            ({"do": "add_watcher", "user_id": user_id}, "user_id"),
        ]
        with nothing_written():
            for action, field in wrong:
                for pk in (str(action[field]), UNKNOWN):
                    body = {"actions": [ESCALATE, action | {field: pk}]}
                    refused(admin.post(PATH, RULE | body), 404, f"actions.1.{field}")
                    refused(admin.put(f"{PATH}/{rule.pk}", body), 404, f"actions.1.{field}")

    def test_foreign_and_unknown_things_are_not_found_in_the_conditions(
        self, admin: Api, workspace: Workspace, rule: Rule
    ) -> None:
        elsewhere: Any = WorkspaceFactory()
        foreign = {
            "category": CategoryFactory(workspace=elsewhere).pk,
            "team": TeamFactory(workspace=elsewhere).pk,
            "organization": OrganizationFactory(workspace=elsewhere).pk,
            "assignee": make_agent(elsewhere).user_id,
        }
        own = {
            "category": CategoryFactory(workspace=workspace).pk,
            "team": TeamFactory(workspace=workspace).pk,
            "organization": OrganizationFactory(workspace=workspace).pk,
            "assignee": make_agent(workspace).user_id,
        }
        with nothing_written():
            for field, pk in foreign.items():
                for unknown in (str(pk), UNKNOWN):
                    body = if_all(SUBJECT, {"any": [{"field": field, "is_not": [str(own[field]), unknown]}]})
                    refused(admin.post(PATH, RULE | body), 404, "conditions.all.1.any.0.is_not")
                    refused(admin.put(f"{PATH}/{rule.pk}", body), 404, "conditions.all.1.any.0.is_not")
                refused(admin.post(PATH, RULE | if_all({"field": field, "is": ["x"]})), 400, "conditions.all.0.is")
        body = if_all(*[{"field": field, "is": [str(pk), "none"]} for field, pk in own.items()])
        assert admin.post(PATH, RULE | body).json()["conditions"] == body["conditions"]

    def test_a_foreign_rule_is_like_an_unknown_one(self, admin: Api) -> None:
        foreign = make_rule(WorkspaceFactory(), ESCALATE)
        with nothing_written():
            for pk in (foreign.pk, UNKNOWN):
                for method in ("GET", "PUT", "PATCH", "DELETE"):
                    refused(admin(method, f"{PATH}/{pk}", {"name": "x"} if method[0] == "P" else None), 404, "id")

    @pytest.mark.parametrize("role", ROLES)
    def test_every_member_reads_and_admins_write(self, workspace: Workspace, rule: Rule, role: str) -> None:
        api, path = Api(make_agent(workspace, role)), f"{PATH}/{rule.pk}"
        ticket = make_ticket(workspace)
        for address in (PATH, path, f"{path}/log", f"/tickets/{ticket.pk}/automation-log"):
            assert api.get(address).status_code == 200
        if role in ("owner", "admin"):
            assert api.put(f"{PATH}/order", {"rule_ids": [str(rule.pk)]}).status_code == 200
            assert api.post(PATH, RULE).status_code == 201
            assert api.put(path, {"name": "y"}).status_code == api.patch(path, {"name": "z"}).status_code == 200
            assert api.delete(path).status_code == 204
        else:
            with nothing_written():
                refused(api.post(PATH, RULE), 403)
                refused(api.put(f"{PATH}/order", {"rule_ids": [str(rule.pk)]}), 403)
                for method in ("PUT", "PATCH", "DELETE"):
                    refused(api(method, path, {"name": "y"}), 403)

    def test_a_key_does_no_more_than_its_scopes(self, workspace: Workspace) -> None:
        owner = make_agent(workspace, "owner")
        with nothing_written():
            for scopes in (["read"], ["read", "write"]):
                _, key = tokens.make_api_key(membership=owner, name="k", scopes=scopes, expires_at=None, now=NOW)
                assert Api(token=key).get(PATH).status_code == 200
                refused(Api(token=key).post(PATH, RULE), 403)

    def test_nobody_gets_in_without_a_token(self, workspace: Workspace, rule: Rule) -> None:
        with nothing_written():
            refused(Api().get(PATH), 401)
            refused(Api().post(PATH, RULE), 401)
            refused(Api().put(f"{PATH}/order", {"rule_ids": [str(rule.pk)]}), 401)
            refused(Api().delete(f"{PATH}/{rule.pk}"), 401)
            refused(Api().get(f"{PATH}/{rule.pk}/log"), 401)
            refused(Api().get(f"/tickets/{make_ticket(workspace).pk}/automation-log"), 401)

    def test_wrong_methods(self, admin: Api, workspace: Workspace, rule: Rule) -> None:
        wrong = [
            ("PUT", PATH),
            ("DELETE", PATH),
            ("POST", f"{PATH}/{rule.pk}"),
            ("GET", f"{PATH}/order"),
            ("POST", f"{PATH}/order"),
            ("PATCH", f"{PATH}/order"),
            ("POST", f"{PATH}/{rule.pk}/log"),
            ("DELETE", f"/tickets/{make_ticket(workspace).pk}/automation-log"),
        ]
        with nothing_written():
            for method, path in wrong:
                refused(admin(method, path, {}), 405)

    def test_there_is_an_end_to_rules(self, admin: Api, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "MAX_RULES", 1)
        with nothing_written():
            assert refused(admin.post(PATH, RULE), 409)["code"] == "too_many"
        assert admin.put(f"{PATH}/{rule.pk}", {"name": "Still"}).json()["name"] == "Still"
