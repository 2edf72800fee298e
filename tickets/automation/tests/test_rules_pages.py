"""Rules in Settings without scripts: the list, the builder, the logs."""

import datetime as dt
import re
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import OrganizationFactory, TeamFactory, WorkspaceFactory
from tickets.automation import forms
from tickets.automation.models import Rule, Run, Waiting
from tickets.automation.services import setup
from tickets.automation.tests.factories import make_rule, run_rules
from tickets.automation.views import rules as views
from tickets.services import base, editing
from tickets.tests.factories import NOW, CannedResponseFactory, CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
NOTE = {"do": "add_note", "body": "Seen."}


@pytest.fixture
def admin() -> Membership:
    return make_agent(WorkspaceFactory(name="Demo"), role="admin", user__name="Maria Rossi")


@pytest.fixture
def workspace(admin: Membership) -> Any:
    return admin.workspace


@pytest.fixture
def client(admin: Membership) -> Client:
    return signed_in(admin)


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"automation:{name}", args=args)


def words(answer: Any) -> str:
    """The text of a page as one reads it."""
    body = re.sub(r"<(script|template)\b.*?</\1>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r"\s+([.,)])", r"\1", re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


class _Inputs(HTMLParser):
    """What a browser sends of the builder, from its HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self.invalid: list[str] = []
        self.inside, self.select, self.text = False, "", ""
        self.first: str | None = None

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        self.inside |= tag == "form" and given.get("id") == "rule-form"
        if not self.inside:
            return
        if given.get("aria-invalid"):
            self.invalid.append(name)
        if tag == "select":
            self.select, self.first = name, None
        elif tag == "option" and self.select:
            self.first = given["value"] if self.first is None else self.first
            if "selected" in given:
                self.add(self.select, given["value"])
        elif tag == "textarea":
            self.text = name
            self.add(name, "")
        elif tag == "input" and name and (given.get("type") != "checkbox" or "checked" in given):
            self.add(name, given.get("value") or "")

    def handle_data(self, data: str) -> None:
        if self.text:
            self.sent[self.text][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self.select:
            if self.select not in self.sent and self.first is not None:
                self.add(self.select, self.first)
            self.select = ""
        elif tag == "textarea" and self.text:
            self.sent[self.text][-1] = self.sent[self.text][-1].removeprefix("\n")
            self.text = ""
        elif tag == "form":
            self.inside = False

    def add(self, name: str, value: str) -> None:
        self.sent.setdefault(name, []).append(value)


def inputs(answer: Any) -> _Inputs:
    read = _Inputs()
    read.feed(answer.content.decode())
    return read


def sent(answer: Any, **changes: Any) -> dict[str, list[str]]:
    """The builder as a browser sends it after some changes, which are named with __ for a dot."""
    given = inputs(answer).sent
    given.pop("csrfmiddlewaretoken", None)
    for name, value in changes.items():
        given[name.replace("__", ".")] = value if isinstance(value, list) else [value]
    return {name: values for name, values in given.items() if values}


def kept(workspace: Any) -> list[Any]:
    return list(Rule.objects.for_workspace(workspace).order_by("pk").values())


def order(workspace: Any) -> list[str]:
    return [rule.name for rule in setup.rules(workspace.pk)]


def queries(client: Client, address: str, **data: Any) -> int:
    with CaptureQueriesContext(connection) as asked:
        client.post(address, data) if data else client.get(address)
    return len(asked)


# --- The list -------------------------------------------------------------------------------------


class TestTheList:
    def test_says_each_rule_as_a_sentence_with_names(self, client: Client, workspace: Any) -> None:
        category = CategoryFactory(workspace=workspace, name="Billing")
        team = TeamFactory(workspace=workspace, name="Money")
        plan = {"field": "attribute", "name": "plan", "is": ["pro"]}
        make_rule(
            workspace,
            {"do": "assign", "method": "least_busy", "team_id": str(team.pk)},
            {"do": "set_priority", "priority": "urgent"},
            NOTE,
            name="Money first",
            triggers=["created", "customer_replied"],
            conditions={
                "all": [
                    {"field": "category", "is": [str(category.pk)]},
                    {"any": [{"field": "subject", "contains": ["refund"]}, plan]},
                ]
            },
        )
        page = words(client.get(url("rules")))
        assert (
            "When a ticket is created or the customer replies, if the category is Billing and (the subject contains "
            "“refund” or the customer’s plan is pro), then assign to the least busy of team Money, set the priority "
            "to urgent and add a note."
        ) in page
        assert str(category.pk) not in page
        assert "Never ran" in page

    def test_says_how_often_each_ran_what_stops_and_what_was_switched_off(self, client: Client, workspace: Any) -> None:
        now = timezone.now()
        busy, old = make_rule(workspace, NOTE, name="Busy", stops=True), make_rule(workspace, NOTE, name="Old")
        for n in range(3):
            run_rules(make_ticket(workspace), now=now - dt.timedelta(days=n))
        Run.unscoped.filter(rule=old).delete()
        run_rules(make_ticket(workspace), now=now)
        setup.save_rule(workspace=workspace, changes={"stops": False}, rule=busy, now=now)
        run_rules(make_ticket(workspace), now=now - dt.timedelta(days=8))
        Rule.unscoped.filter(pk=old.pk).update(is_active=False, notice="Switched off: There is no such team.")
        setup.save_rule(workspace=workspace, changes={"stops": True}, rule=busy, now=now)
        page = words(client.get(url("rules")))
        assert "Ran 4 times in 7 days, last just now" in page
        assert "Not in the last 7 days, last 8 d" in page
        assert page.count("Stops here") == 1
        assert "Switched off: There is no such team." in page

    def test_begins_with_good_first_rules(self, client: Client, workspace: Any) -> None:
        page = client.get(url("rules"))
        assert "No rules yet" in words(page)
        for word in forms.STARTERS:
            assert f"{url('rule-new')}?start={word}" in page.content.decode()
            filled = client.get(url("rule-new"), {"start": word})
            assert client.post(url("rule-new"), sent(filled)).status_code == 302
        assert sorted(order(workspace)) == sorted(given["name"] for given in forms.STARTERS.values())
        assert [(r["conditions"], r["actions"]) for r in kept(workspace)] == [
            (given["conditions"], given["actions"]) for given in forms.STARTERS.values()
        ]

    def test_costs_the_same_queries_for_forty_rules(self, client: Client, workspace: Any) -> None:
        team = TeamFactory(workspace=workspace)
        make_rule(workspace, {"do": "set_team", "team_id": str(team.pk)})
        queries(client, url("rules"))
        before = queries(client, url("rules"))
        for _ in range(40):
            one = CategoryFactory(workspace=workspace)
            make_rule(workspace, NOTE, conditions={"all": [{"field": "category", "is": [str(one.pk)]}]})
        run_rules(make_ticket(workspace))
        assert before == queries(client, url("rules")) <= 7

    def test_escapes_what_people_write(self, client: Client, workspace: Any) -> None:
        bad = "<script>alert(1)</script>"
        rule = make_rule(
            workspace, {"do": "add_tags", "tags": [bad]}, name=bad,
            conditions={"all": [{"field": "attribute", "name": bad, "is": [bad]}]},
        )  # fmt: skip
        for page in (url("rules"), url("rule-edit", rule.pk), url("rule-log", rule.pk)):
            assert "<script>alert" not in client.get(page).content.decode()

    def test_is_in_the_settings_of_admins_only(self, client: Client, workspace: Any) -> None:
        canned = reverse("tickets:settings-canned-responses")
        assert url("rules") in client.get(canned).content.decode()
        assert url("rules") not in signed_in(make_agent(workspace)).get(canned).content.decode()


class TestOrderAndSwitches:
    @pytest.fixture
    def three(self, workspace: Any) -> list[Rule]:
        return [make_rule(workspace, NOTE, name=name) for name in "ABC"]

    @pytest.mark.parametrize(
        ("moved", "direction", "became", "focus"),
        [(0, "down", "BAC", "down"), (1, "down", "ACB", "up"), (1, "up", "BAC", "down"), (0, "up", "ABC", "up")],
    )
    def test_a_rule_moves_by_a_place_and_its_button_keeps_the_focus(
        self, client: Client, workspace: Any, three: list[Rule], moved: int, direction: str, became: str, focus: str
    ) -> None:
        pk = three[moved].pk
        answer = client.post(url("rule-move", pk), {"direction": direction})
        assert answer["Location"] == f"{url('rules')}#{focus}-{pk}"
        assert "".join(order(workspace)) == became

    def test_htmx_gets_the_list_alone_with_the_focus(self, client: Client, three: list[Rule]) -> None:
        answer = client.post(url("rule-move", three[0].pk), {"direction": "down"}, headers=HTMX)
        assert answer.content.decode().lstrip().startswith("<section")
        assert re.findall(r'id="(\w+)-[\w-]+" autofocus', answer.content.decode()) == ["down"]

    def test_any_order_can_be_given_if_it_names_every_rule_once(
        self, client: Client, workspace: Any, three: list[Rule]
    ) -> None:
        a, b, c = (str(rule.pk) for rule in three)
        client.post(url("order"), {"rule_ids": [c, a, b]})
        assert "".join(order(workspace)) == "CAB"
        for wrong in ([a, b], [a, b, c, c], [a, b, str(uuid4())], ["x", b, c], []):
            answer = client.post(url("order"), {"rule_ids": wrong}, headers=HTMX)
            assert "Somebody else has just added or deleted a rule" in answer["HX-Trigger"]
            assert "".join(order(workspace)) == "CAB"
        answer = client.post(url("order"), {"rule_ids": [a]}, follow=True)
        assert "Somebody else has just added or deleted a rule" in words(answer)

    def test_a_switch_changes_nothing_else_and_takes_the_notice_away(
        self, client: Client, workspace: Any, three: list[Rule]
    ) -> None:
        pk = three[1].pk
        client.post(url("rule-switch", pk), {"is_active": "0"})
        assert [rule["is_active"] for rule in kept(workspace)] == [True, False, True]
        Rule.unscoped.filter(pk=pk).update(notice="Switched off: x")
        answer = client.post(url("rule-switch", pk), {"is_active": "1"}, headers=HTMX)
        assert [(rule["is_active"], rule["notice"]) for rule in kept(workspace)] == [(True, "")] * 3
        assert f'id="switch-{pk}" autofocus' in answer.content.decode()

    def test_a_deleted_rule_is_no_longer_there(self, client: Client, workspace: Any, three: list[Rule]) -> None:
        answer = client.post(url("rule-delete", three[0].pk), follow=True)
        assert "Deleted the rule “A”." in words(answer)
        assert "".join(order(workspace)) == "BC"
        assert client.get(url("rule-edit", three[0].pk)).status_code == 404


# --- The builder ----------------------------------------------------------------------------------


def everything(workspace: Any) -> dict[str, Any]:
    """A rule that asks about every field and does all that rules can do."""
    category, team = CategoryFactory(workspace=workspace), TeamFactory(workspace=workspace)
    company, agent = OrganizationFactory(workspace=workspace), make_agent(workspace)
    tests = [
        {"field": "category", "is": [str(category.pk), "none"]},
        {"field": "team", "is_not": [str(team.pk)]},
        {"field": "organization", "is": [str(company.pk)]},
        {"field": "assignee", "is": ["none", str(agent.user_id)]},
        {"field": "priority", "is": ["urgent", "low"]},
        {"field": "status", "is_not": ["new"]},
        {"field": "channel", "is": ["email"]},
        {"field": "tag", "is": ["none", "not, one", "vip"]},
        {"field": "sla_state", "is": ["at_risk", "none"]},
        {"field": "language", "is": ["none", "de", "fr"]},
        {"field": "requester", "is": ["jane@example.com", "@acme.example"]},
        {"field": "subject", "contains": ["refund", "money back"]},
        {"field": "body", "contains_not": ["newsletter"]},
        {"field": "business_hours", "is": [False]},
        {"field": "attribute", "name": "plan", "is": ["none", "pro"]},
        {"field": "rating", "is": ["1", "none"]},
    ]
    response = CannedResponseFactory(workspace=workspace)
    user, group = str(agent.user_id), str(team.pk)
    return {
        "triggers": ["created", "sla_breached", "no_response", "customer_messages", "idle"],
        "no_response_hours": 4,
        "idle_hours": 1.5,
        "message_count": 3,
        "conditions": {"any": [{"all": tests[:8]}, {"any": [{"all": tests[8:]}, {"all": []}]}]},
        "actions": [
            {"do": "assign", "user_id": user},
            {"do": "assign", "method": "least_busy", "team_id": group},
            {"do": "assign", "method": "round_robin", "team_id": None},
            {"do": "set_team", "team_id": group},
            {"do": "set_priority", "priority": "high"},
            {"do": "set_status", "status": "pending"},
            {"do": "set_category", "category_id": str(category.pk)},
            {"do": "add_tags", "tags": ["vip", "with, comma"]},
            {"do": "remove_tags", "tags": ["new"]},
            {"do": "add_note", "body": "One line.\n\nAnd another <b>one</b>."},
            {"do": "add_watcher", "user_id": user},
            {"do": "escalate"},
            {"do": "send_canned_response", "canned_response_id": str(response.pk)},
            {"do": "notify", "user_ids": [user], "team_ids": [group], "body": "Look, please."},
            {"do": "send_webhook", "url": "https://hooks.example.com/in?a=1,2"},
        ],
    }


class TestTheBuilder:
    def test_a_rule_that_is_saved_as_it_was_drawn_stays_what_it_was(self, client: Client, workspace: Any) -> None:
        given = everything(workspace)
        rule = make_rule(workspace, *given.pop("actions"), name="All of it", stops=True, is_active=False, **given)
        before = kept(workspace)
        answer = client.post(url("rule-edit", rule.pk), sent(client.get(url("rule-edit", rule.pk))))
        assert answer["Location"] == url("rules")
        after = kept(workspace)
        for row in (*before, *after):
            row.pop("updated_at")
            for part in row["conditions"]["any"][0]["all"]:
                part.update({word: sorted(part[word]) for word in ("is", "is_not") if word in part})
            for part in row["conditions"]["any"][1]["any"][0]["all"]:
                part.update({word: sorted(part[word]) for word in ("is", "is_not") if word in part})
            row["actions"] = [a | {"tags": sorted(a["tags"])} if "tags" in a else a for a in row["actions"]]
        assert after == before

    def test_is_built_step_by_step_without_scripts(self, client: Client, workspace: Any) -> None:
        address = url("rule-new")

        def press(page: Any, button: str, **changes: Any) -> Any:
            return client.post(address, sent(page, change=button, **changes))

        page = press(client.get(address), "add-test:if", name="VIPs")
        page = press(page, "draw", if__0__field="attribute")
        page = press(page, "add-group:if", if__0__name="plan", if__0__lines="VIP")
        page = press(page, "draw", if__1__0__field="priority")
        page = press(page, "add-action", if__1__0__value=["urgent", "high"])
        page = press(page, "draw", then__1__do="add_note")
        page = press(page, "up:then.1", then__1__body="Call them.")
        assert not kept(workspace)
        assert (
            "When a ticket is created, if the customer’s plan is VIP and the priority is urgent or high, then add a "
            "note and assign to the least busy of everybody."
        ) in words(page)
        assert client.post(address, sent(page)).status_code == 302
        (rule,) = kept(workspace)
        assert rule["conditions"] == {
            "all": [
                {"field": "attribute", "name": "plan", "is": ["vip"]},
                {"any": [{"field": "priority", "is": ["urgent", "high"]}]},
            ]
        }
        assert rule["actions"] == [
            {"do": "add_note", "body": "Call them."},
            {"do": "assign", "method": "least_busy", "team_id": None},
        ]

    def test_a_button_of_htmx_gets_the_form_alone_and_the_input_to_go_on_with(self, client: Client) -> None:
        answer = client.post(url("rule-new"), {"change": "add-test:if"}, headers=HTMX)
        page = answer.content.decode()
        assert answer.status_code == 200
        assert page.lstrip().startswith("<form") and "<main" not in page
        assert re.findall(r'id="([\w.]+)"[^<>]* autofocus', page) == ["if.0.field"]

    def test_what_is_wrong_stands_at_its_input_and_nothing_is_written(self, client: Client, workspace: Any) -> None:
        page = client.post(url("rule-new"), {"change": "add-test:if"})
        page = client.post(url("rule-new"), sent(page, change="add-action"))
        answer = client.post(url("rule-new"), sent(page, if__0__lines="", when=[], stops="1"))
        assert answer.status_code == 400
        assert not kept(workspace)
        said = words(answer)
        assert "This must not be empty." in said  # the name
        assert "Write at least one." in said
        assert said.count("Choose one.") == 1
        assert said.count("Choose at least one.") == 1
        read = inputs(answer)
        assert read.invalid == ["name", "if.0.lines", "then.0.priority"]
        assert read.sent["stops"] == ["1"]
        assert re.findall(r'id="([\w.]+)"[^<>]* autofocus', answer.content.decode()) == ["name"]
        again = client.post(url("rule-new"), sent(answer, name="x", when="created", then__1__priority="low"))
        assert re.findall(r'id="([\w.]+)"[^<>]* autofocus', again.content.decode()) == ["if.0.field"]

    def test_ids_of_another_workspace_are_refused_at_their_place(self, client: Client, workspace: Any) -> None:
        other = WorkspaceFactory()
        category, team = CategoryFactory(workspace=other, name="Secret"), TeamFactory(workspace=other)
        given = {
            "name": "x", "when": "created", "if.0.field": "category", "if.0.word": "is",
            "if.0.value": str(category.pk), "then.0.do": "set_team", "then.0.team_id": str(team.pk),
        }  # fmt: skip
        answer = client.post(url("rule-new"), given)
        assert answer.status_code == 400
        assert "There is no such category." in words(answer)
        assert "Secret" not in words(answer)
        answer = client.post(url("rule-new"), given | {"if.0.value": "none"})
        assert "There is no such team." in words(answer)
        assert not kept(workspace)

    def test_a_rule_that_is_refused_stays_as_it_was_and_keeps_its_name(self, client: Client, workspace: Any) -> None:
        rule = make_rule(workspace, NOTE, name="Old name")
        make_rule(workspace, NOTE, name="Taken")
        before = kept(workspace)
        page = client.get(url("rule-edit", rule.pk))
        answer = client.post(url("rule-edit", rule.pk), sent(page, name="taken"))
        assert answer.status_code == 400
        assert "There is a rule with this name already." in words(answer)
        assert "<h1>Old name</h1>" in answer.content.decode()
        assert kept(workspace) == before

    def test_organisations_are_found_by_their_name(self, client: Client, workspace: Any) -> None:
        company = OrganizationFactory(workspace=workspace, name="Northwind")
        OrganizationFactory(workspace=WorkspaceFactory(), name="Foreign")
        given = {"name": "x", "when": "created", "then.0.do": "escalate", "if.0.field": "organization"}
        page = client.post(url("rule-new"), given | {"if.0.add": "northWIND", "change": "add:if.0"})
        assert "the organisation is Northwind" in words(page)
        assert client.post(url("rule-new"), sent(page)).status_code == 302
        assert kept(workspace)[0]["conditions"] == {"all": [{"field": "organization", "is": [str(company.pk)]}]}
        for unknown in ("Foreign", "\x00"):
            answer = client.post(url("rule-new"), given | {"name": "y", "if.0.add": unknown})
            assert answer.status_code == 400
            assert "There is no organisation called" in words(answer)
        assert len(kept(workspace)) == 1

    def test_what_is_gone_is_shown_until_somebody_takes_it_away(self, client: Client, workspace: Any) -> None:
        category = CategoryFactory(workspace=workspace, name="Billing")
        rule = make_rule(workspace, NOTE, conditions={"all": [{"field": "category", "is": [str(category.pk)]}]})
        type(category).unscoped.filter(pk=category.pk).update(archived_at=NOW)
        page = client.get(url("rule-edit", rule.pk))
        assert "the category is Billing" in words(page)
        answer = client.post(url("rule-edit", rule.pk), sent(page))
        assert "There is no such category." in words(answer)

    @pytest.mark.parametrize(
        "given",
        [
            {"if.0.0.0.0.0.0.0.0.field": "tag"},
            {"if.0.field": "weather", "if.0.word": "is", "if.0.value": "rain"},
            {"if.0.field": "tag", "if.0.value": "\x00"},
            {"if.0.0.0.0.0.field": "tag", "if.0.0.0.0.0.lines": "x"},
            {"then.0.do": "dance"},
            {"then.0.do": "set_team", "then.0.team_id": "1"},
            {"then.0.do": "add_note", "then.0.body": "\x00"},
            {f"if.{n}.field": "tag" for n in range(120)},
            {"name": "\x00"},
            {"name": "x" * 500},
            {"when": "midnight"},
        ],
        ids=str,
    )
    def test_nonsense_is_refused_with_a_page(self, client: Client, workspace: Any, given: dict[str, str]) -> None:
        good = {"name": "x", "when": "created", "then.0.do": "escalate"}
        answer = client.post(url("rule-new"), good | given)
        if answer.status_code != 302:
            assert answer.status_code == 400
            assert "Not saved yet." in words(answer)
        assert len(kept(workspace)) == (answer.status_code == 302)

    def test_offers_every_word_of_the_automation(self, client: Client) -> None:
        page = client.get(url("rule-new"))
        for word in forms.known_order():
            assert f'name="when" value="{word}"' in page.content.decode()
        for kind in forms.KINDS:
            answer = client.post(url("rule-new"), {"then.0.do": kind, "change": "draw"})
            assert answer.status_code == 200
            assert f'<option value="{kind}" selected>' in answer.content.decode()

    def test_numbers_of_triggers_are_checked(self, client: Client, workspace: Any) -> None:
        page = client.get(url("rule-new"))
        answer = client.post(url("rule-new"), sent(page, name="x", when=["idle"], idle_hours="soon"))
        assert answer.status_code == 400
        assert "Write a number of hours, like 4 or 0.5." in words(answer)
        assert inputs(answer).sent["idle_hours"] == ["soon"]
        answer = client.post(url("rule-new"), sent(page, name="x", when=["customer_messages"], message_count="99"))
        assert "This must be a whole number from 2 to 50." in words(answer)
        assert inputs(answer).invalid == ["message_count"]
        assert not kept(workspace)
        answer = client.post(url("rule-new"), sent(page, name="x", when=["no_response"], no_response_hours="1,5"))
        (rule,) = kept(workspace)
        assert (str(rule["no_response_hours"]), rule["idle_hours"]) == ("1.50", None)
        assert "When nobody has answered for 1.5 business hours, then" in words(client.get(url("rules")))
        address = url("rule-edit", rule["id"])
        page = client.get(address)
        assert inputs(page).sent["no_response_hours"] == ["1.5"]
        client.post(address, sent(page, when=["created"]))
        assert kept(workspace)[0]["no_response_hours"] is None

    def test_costs_the_same_queries_for_any_number_of_conditions(self, client: Client, workspace: Any) -> None:
        given = everything(workspace)
        small = make_rule(workspace, NOTE, conditions={"all": [{"field": "organization", "is": ["none"]}]})
        large = make_rule(workspace, *given.pop("actions"), **given)
        addresses = [url("rule-edit", rule.pk) for rule in (small, large)]
        queries(client, addresses[0])
        before = queries(client, addresses[0])
        assert before <= queries(client, addresses[1]) <= before + 1 <= 14  # the names of what it names

    def test_leads_on_to_trying_it(self, client: Client, workspace: Any) -> None:
        page = client.get(url("rule-new"), {"start": "late"})
        assert "Save and try it" in words(page)
        answer = client.post(url("rule-new"), sent(page, then_do="try", is_active=[]))
        (rule,) = kept(workspace)
        assert (answer["Location"], rule["is_active"]) == (url("dry-run", rule["id"]), False)


# --- Logs -----------------------------------------------------------------------------------------


class TestLogs:
    @pytest.fixture
    def rule(self, workspace: Any) -> Rule:
        category = CategoryFactory(workspace=workspace, name="Billing")
        return make_rule(
            workspace,
            {"do": "set_priority", "priority": "urgent"},
            {"do": "assign", "method": "least_busy", "team_id": str(TeamFactory(workspace=workspace, name="Money").pk)},
            name="Money first",
            conditions={"all": [{"field": "category", "is": [str(category.pk)]}]},
        )

    def ticket(self, rule: Rule) -> Any:
        (category,) = rule.conditions["all"][0]["is"]
        made = make_ticket(rule.workspace, category_id=category, subject="The invoice is wrong")
        run_rules(made)
        return made

    def test_a_rule_tells_which_tickets_it_changed_why_and_how(self, client: Client, rule: Rule) -> None:
        assert "It has not run yet" in words(client.get(url("rule-log", rule.pk)))
        ticket = self.ticket(rule)
        page = words(client.get(url("rule-log", rule.pk)))
        assert f"#{ticket.number} The invoice is wrong" in page
        assert "Because the ticket was created, and category is Billing" in page
        assert "Priority urgent" in page
        assert "Waits: nobody of team Money is free" in page
        assert rule.conditions["all"][0]["is"][0] not in page

    def test_a_ticket_tells_every_member_what_rules_did_to_it(self, rule: Rule) -> None:
        ticket, other = self.ticket(rule), make_ticket(rule.workspace)
        reader = signed_in(make_agent(rule.workspace, role="light"))
        page = reader.get(url("why", ticket.pk))
        assert "Money first" in words(page)
        assert "Because the ticket was created, and category is Billing" in words(page)
        assert "It waits for an agent of team Money since" in words(page)
        assert url("rule-edit", rule.pk) not in page.content.decode()  # they may not change it
        assert url("why", ticket.pk) in reader.get(reverse("tickets:ticket", args=[ticket.pk])).content.decode()
        assert "No rule has touched this ticket" in words(reader.get(url("why", other.pk)))

    def test_a_rule_that_was_deleted_since_is_named_and_a_ticket_in_the_trash_is_no_link(
        self, client: Client, admin: Membership, rule: Rule
    ) -> None:
        ticket, trashed = self.ticket(rule), self.ticket(rule)
        Waiting.unscoped.all().delete()
        editing.trash(ticket=trashed, actor=base.agent(admin), now=NOW)
        page = client.get(url("rule-log", rule.pk)).content.decode()
        assert reverse("tickets:ticket", args=[ticket.pk]) in page
        assert reverse("tickets:ticket", args=[trashed.pk]) not in page
        setup.delete_rule(rule=rule, now=NOW)
        page = words(client.get(url("why", ticket.pk)))
        assert "Money first Deleted since" in page

    def test_their_pages_cost_the_same_queries_for_any_number(self, client: Client, rule: Rule) -> None:
        ticket = self.ticket(rule)
        addresses = [url("rule-log", rule.pk), url("why", ticket.pk)]
        for address in addresses:
            queries(client, address)
        before = [queries(client, address) for address in addresses]
        run = Run.unscoped.get()
        for _ in range(40):
            ticket.activities.model.unscoped.create(
                workspace=ticket.workspace, ticket=ticket, event="ticket.updated", occurred_at=NOW,
                actor_kind="system", actor_name="x",
            )  # fmt: skip
        used = set(Run.unscoped.values_list("activity", flat=True))
        Run.unscoped.bulk_create(
            Run(
                workspace=ticket.workspace, rule=rule, ticket=ticket, activity=activity, trigger="created",
                reasons=run.reasons, done=run.done, ran_at=NOW,
            )
            for activity in ticket.activities.exclude(pk__in=used)
        )  # fmt: skip
        assert before == [queries(client, address) for address in addresses]
        assert max(before) <= 10
        first, second = (client.get(addresses[1], {"page": n}) for n in (1, 2))
        assert first.content.decode().count('class="run"') == views.PAGE_SIZE
        assert 0 < second.content.decode().count('class="run"') < views.PAGE_SIZE
