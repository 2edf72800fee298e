"""Rules in words: what each condition and action is called, with names in the place of ids."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from helpdesk.accounts.tests.factories import OrganizationFactory, TeamFactory, WorkspaceFactory
from tickets.automation import forms, levels
from tickets.automation.models import Rule
from tickets.automation.services import wording
from tickets.tests.factories import CannedResponseFactory, CategoryFactory, make_agent

CATEGORY, TEAM, COMPANY, MARIA, BEN, POLICY, THANKS = (f"01890a5d-ac96-774b-bcce-b302099a800{n}" for n in range(7))
NAMES = {
    CATEGORY: "Billing", TEAM: "Support", COMPANY: "Northwind", MARIA: "Maria Rossi", BEN: "Ben Okafor",
    POLICY: "Gold", THANKS: "Thanks",
}  # fmt: skip


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"field": "category", "is": [CATEGORY]}, "the category is Billing"),
        (
            {"field": "category", "is": ["01890a5d-ac96-774b-bcce-b302099a8009"]},
            "the category is one that was deleted",
        ),
        ({"field": "category", "is": [CATEGORY, "none"]}, "the category is Billing or none"),
        ({"field": "assignee", "is": ["none"]}, "there is no assignee"),
        ({"field": "organization", "is_not": ["none"]}, "there is an organisation"),
        ({"field": "team", "is_not": [TEAM]}, "the team is not Support"),
        ({"field": "priority", "is": ["urgent", "high"]}, "the priority is urgent or high"),
        ({"field": "channel", "is": ["email", "api"]}, "the channel is E-mail or API"),
        ({"field": "sla_state", "is": ["at_risk"]}, "the SLA state is at risk"),
        ({"field": "tag", "is": ["vip"]}, "it has the tag vip"),
        ({"field": "tag", "is_not": ["vip", "spam"]}, "it does not have the tag vip or spam"),
        ({"field": "tag", "is": ["none"]}, "it has no tags"),
        ({"field": "tag", "is": ["vip", "none"]}, "it has no tags or the tag vip"),
        ({"field": "tag", "is_not": ["none", "vip"]}, "it has tags, but not the tag vip"),
        ({"field": "subject", "contains": ["refund"]}, "the subject contains “refund”"),
        ({"field": "body", "contains_not": ["a", "b"]}, "the text does not contain “a” or “b”"),
        ({"field": "attribute", "name": "plan", "is": ["pro", "none"]}, "the customer’s plan is pro or empty"),
        ({"field": "requester", "is": ["@example.com"]}, "the requester is @example.com"),
        ({"field": "language", "is_not": ["de"]}, "the language is not de"),
        ({"field": "business_hours", "is": [True]}, "it is within business hours"),
        ({"field": "business_hours", "is": [False]}, "it is outside business hours"),
        ({"field": "business_hours", "is": [True, False]}, "it is any time"),
        ({"field": "rating", "is": ["1", "2"]}, "the rating is 1 or 2"),
        ({"field": "status", "is": []}, "the status is …"),
        ({"field": "tag", "is": list("abcdef")}, "it has the tag a, b, c or 3 more"),
        ({"field": "weather", "is": ["rain"]}, "weather is rain"),
    ],
)
def test_a_condition(test: dict[str, Any], said: str) -> None:
    assert wording.condition_words(test, NAMES) == said


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"do": "assign", "user_id": MARIA}, "assign to Maria Rossi"),
        ({"do": "assign", "method": "least_busy", "team_id": TEAM}, "assign to the least busy of team Support"),
        ({"do": "assign", "method": "round_robin", "team_id": None}, "assign to the next in turn of everybody"),
        ({"do": "set_team", "team_id": TEAM}, "give it to team Support"),
        ({"do": "set_team", "team_id": ""}, "give it to team …"),
        ({"do": "set_priority", "priority": "low"}, "set the priority to low"),
        ({"do": "set_status", "status": "pending"}, "set the status to pending"),
        ({"do": "set_category", "category_id": CATEGORY}, "set the category to Billing"),
        ({"do": "set_sla_policy", "policy_id": POLICY}, "apply the SLA policy Gold"),
        ({"do": "add_tags", "tags": ["vip", "new"]}, "add the tags vip and new"),
        ({"do": "remove_tags", "tags": ["vip"]}, "remove the tag vip"),
        ({"do": "add_note", "body": "Call."}, "add a note"),
        ({"do": "send_canned_response", "canned_response_id": THANKS}, "send the canned response “Thanks”"),
        (
            {"do": "notify", "user_ids": [MARIA, BEN], "team_ids": [TEAM], "body": "x"},
            "notify Maria Rossi, Ben Okafor and team Support by e-mail",
        ),
        ({"do": "add_watcher", "user_id": BEN}, "let Ben Okafor watch it"),
        ({"do": "escalate"}, "escalate it"),
        ({"do": "send_webhook", "url": "https://key:secret@example.com/hook?token=1"}, "send it to example.com"),
        ({"do": "dance"}, "Dance"),
        ({"do": ""}, "…"),
    ],
)
def test_an_action(action: dict[str, Any], said: str) -> None:
    assert wording.action_words(action, NAMES) == said


def test_a_rule_with_groups_reads_like_a_sentence() -> None:
    inner = {
        "any": [{"field": "subject", "contains": ["refund"]}, {"field": "attribute", "name": "plan", "is": ["pro"]}]
    }
    rule = Rule(
        triggers=["customer_replied", "created"],
        conditions={"all": [{"field": "category", "is": [CATEGORY]}, inner, {"all": []}]},
        actions=[
            {"do": "assign", "method": "least_busy", "team_id": TEAM},
            {"do": "set_priority", "priority": "urgent"},
            {"do": "add_note", "body": "Call."},
        ],
        stops=True,
    )
    assert str(wording.sentence_of(rule, NAMES)) == (
        "When a ticket is created or the customer replies, if the category is Billing and (the subject contains "
        "“refund” or the customer’s plan is pro), then assign to the least busy of team Support, set the priority to "
        "urgent and add a note. Then stop."
    )


def test_a_rule_that_cannot_be_read_has_a_sentence_all_the_same() -> None:
    rule = Rule(triggers=[], conditions=["x"], actions={"x": 1})
    assert str(wording.sentence_of(rule, {})) == "When …, then …."


def test_numbers_of_triggers_are_said_without_idle_zeros() -> None:
    numbers = {"no_response_hours": "4.50", "idle_hours": "1.00", "message_count": 3}
    assert wording.when_words(["idle", "no_response", "customer_messages"], numbers) == (
        "the customer has written 3 messages in a row, nobody has answered for 4.5 business hours or nothing has "
        "happened for 1 hour"
    )
    assert wording.when_words(["idle"], {}) == "nothing has happened for … hours"


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        (f"category is {CATEGORY}", "category is Billing"),
        ("attribute plan is pro", "the customer’s plan is pro"),
        ("sla state is at_risk", "SLA state is at_risk"),
        ("organization is none", "organisation is none"),
        ("business hours is false", "outside business hours"),
        ("subject contains attribute", "subject contains attribute"),
    ],
)
def test_the_log_speaks_like_people(logged: str, said: str) -> None:
    assert wording.reason_words(logged, NAMES) == said


@pytest.mark.django_db
class TestNames:
    def test_everything_that_rules_name_has_its_name_and_strangers_have_none(self, monkeypatch: Any) -> None:
        workspace, other = WorkspaceFactory(), WorkspaceFactory()
        policy = uuid4()
        monkeypatch.setattr(levels.ServiceLevels, "policies", lambda self, workspace_id: [(policy, "Gold")])
        monkeypatch.setattr(levels, "_told_by", [levels.ServiceLevels()])
        maria = make_agent(workspace, user__name="Maria Rossi")
        left = make_agent(workspace, user__name="", user__email="left@example.com", is_active=False)
        mine: list[Any] = [
            CategoryFactory(workspace=workspace, name="Billing"), TeamFactory(workspace=workspace, name="Support"),
            OrganizationFactory(workspace=workspace, name="Northwind"),
            CannedResponseFactory(workspace=workspace, title="Thanks"), maria.user, left.user,
        ]  # fmt: skip
        foreign: list[Any] = [CategoryFactory(workspace=other), TeamFactory(workspace=other), make_agent(other).user]
        documents = [{"x": [str(row.pk)]} for row in [*mine, *foreign]]
        with CaptureQueriesContext(connection) as asked:
            found = wording.names_of(workspace.pk, documents, f"policy {policy}, and nobody: {uuid4()}")
        assert sorted(found.values()) == [
            "Billing", "Gold", "Maria Rossi", "Northwind", "Support", "Thanks", "left@example.com",
        ]  # fmt: skip
        assert len(asked) == 1
        assert wording.names_of(workspace.pk, {"field": "priority"}) == {}


def test_the_good_first_rules_read_well() -> None:
    said = [str(wording.sentence_of(forms.starter(word), {})) for word in forms.STARTERS]
    assert said == [
        "When a ticket is created, if there is no assignee, then assign to the least busy of everybody.",
        "When a ticket is created, if the subject contains “urgent”, “outage” or “down” or the text contains “outage” "
        "or “cannot work”, then set the priority to urgent and add the tag outage.",
        "When an SLA target is at risk, if the priority is not urgent, then escalate it and add a note.",
    ]
