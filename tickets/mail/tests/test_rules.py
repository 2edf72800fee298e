"""Parsing rules: what they say of a message, and which are refused."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.mail.models import ParsingRule
from tickets.mail.parsing import message as messages
from tickets.mail.services import rules
from tickets.mail.tests.factories import MailboxFactory
from tickets.tests.factories import NOW, CategoryFactory, FieldFactory, make_agent

pytestmark = pytest.mark.django_db

MAIL = b"""From: Jane Smith <jane@shop.example>
To: Acme Support <support@acme.example>
Cc: Bob <bob@shop.example>
Subject: Order #A-1234 is late
X-Priority: 1 (Highest)
X-Product: Desk lamp
Message-ID: <one@shop.example>
Date: Mon, 02 Mar 2026 09:00:00 +0000

Hello,
Order: A-1234
Amount: 1,250.50
Paid: yes
"""


def read(raw=MAIL):
    return messages.read(raw)


@pytest.fixture
def mailbox():
    return MailboxFactory(address="support@acme.example")


def make(mailbox, tests=(), actions=({"do": "drop"},), **changes):
    given = {"name": f"Rule {uuid4().hex[:6]}", "tests": list(tests), "actions": list(actions), **changes}
    return rules.save_rule(workspace=mailbox.workspace, changes=given, now=NOW)


def test(field, operator, value, **more):
    return {"field": field, "operator": operator, "value": value, **more}


test.__test__ = False


def is_met(mailbox, *tests, raw=MAIL, **changes):
    ParsingRule.unscoped.all().delete()
    make(mailbox, tests, **changes)
    return rules.decide(mailbox=mailbox, message=read(raw)).is_dropped


@pytest.mark.parametrize(
    ("one", "met"),
    [
        (test("sender", "is", "JANE@shop.example"), True),
        (test("sender", "ends_with", "@shop.example"), True),
        (test("sender", "contains", "smith"), True),
        (test("sender", "is_not", "jane@shop.example"), False),
        (test("recipient", "is", "bob@shop.example"), True),
        (test("recipient", "contains_not", "acme"), False),
        (test("subject", "starts_with", "order"), True),
        (test("subject", "matches", r"#[a-z]-\d{4}"), True),
        (test("subject", "matches", r"^\d"), False),
        (test("header", "contains", "lamp", header="x-product"), True),
        (test("header", "is", "lamp", header="X-Missing"), False),
        (test("header", "is_not", "lamp", header="X-Missing"), True),
        (test("body", "contains", "amount: 1,250"), True),
        (test("body", "contains_not", "refund"), True),
    ],
)
def test_a_test_is_met_by_what_the_message_says(mailbox, one, met):
    assert is_met(mailbox, one) is met


def test_all_or_one_of_the_tests_must_be_met_and_none_is_every_message(mailbox):
    good, bad = test("subject", "contains", "late"), test("subject", "contains", "early")
    assert not is_met(mailbox, good, bad)
    assert is_met(mailbox, good, bad, needs_all=False)
    assert not is_met(mailbox, bad, needs_all=False)
    assert is_met(mailbox)


def test_the_envelope_names_a_recipient_too(mailbox):
    make(mailbox, [test("recipient", "is", "hidden@acme.example")])
    assert not rules.decide(mailbox=mailbox, message=read()).is_dropped
    assert rules.decide(mailbox=mailbox, message=read(), envelope_to="hidden@acme.example").is_dropped


def test_what_matches_is_set_and_the_reasons_are_told(mailbox):
    workspace = mailbox.workspace
    category, team, agent = (
        CategoryFactory(workspace=workspace),
        TeamFactory(workspace=workspace),
        make_agent(workspace),
    )
    make(
        mailbox,
        [test("subject", "contains", "late")],
        [
            {"do": "set_priority", "value": "high"},
            {"do": "set_category", "value": str(category.pk)},
            {"do": "set_team", "value": str(team.pk)},
            {"do": "assign", "value": str(agent.user_id)},
            {"do": "add_tags", "value": ["Late", "order"]},
        ],
        name="Late orders",
    )
    make(mailbox, [], [{"do": "set_priority", "value": "low"}, {"do": "add_tags", "value": ["order", "all"]}])
    decision = rules.decide(mailbox=mailbox, message=read())
    assert (decision.priority, decision.category_id, decision.team_id, decision.assignee_id) == (
        "low",
        category.pk,
        team.pk,
        agent.user_id,
    )
    assert decision.tags == ["late", "order", "all"]
    assert [match.why for match in decision.matched] == [
        "The subject contains “late”",
        "It is asked of every message",
    ]
    assert not decision.is_dropped


def test_fields_of_the_mail_become_fields_of_the_ticket(mailbox):
    workspace = mailbox.workspace
    lamps = CategoryFactory(workspace=workspace, name="Desk Lamp")
    for key, kind, more in (
        ("order", "text", {}),
        ("amount", "number", {}),
        ("paid", "checkbox", {}),
        ("product", "choice", {"options": ["Desk Lamp", "Chair"]}),
    ):
        FieldFactory(workspace=workspace, key=key, kind=kind, **more)
    mapped = [
        {"source": "body", "pattern": r"Order: (\S+)", "target": "custom_fields.order"},
        {"source": "body", "pattern": r"Amount: ([\d.,]+)", "target": "custom_fields.amount"},
        {"source": "body", "pattern": r"Paid: (\w+)", "target": "custom_fields.paid"},
        {"source": "header", "header": "X-Product", "target": "custom_fields.product"},
        {"source": "header", "header": "X-Product", "target": "category"},
        {"source": "header", "header": "X-Priority", "target": "priority"},
        {"source": "subject", "pattern": r"is (\w+)$", "target": "tags"},
        {"source": "sender", "pattern": r"<(.+)>", "target": "requester_email"},
        {"source": "sender", "pattern": r"^(\w+)", "target": "requester_name"},
    ]
    make(mailbox, [], [{"do": "map", **one} for one in mapped])
    decision = rules.decide(mailbox=mailbox, message=read())
    assert decision.custom_fields == {"order": "A-1234", "amount": 1250.5, "paid": True, "product": "Desk Lamp"}
    assert (decision.category_id, decision.priority, decision.tags) == (lamps.pk, "urgent", ["late"])
    assert (decision.requester_email, decision.requester_name) == ("jane@shop.example", "Jane")


def test_what_does_not_fit_is_left_out_and_said(mailbox):
    FieldFactory(workspace=mailbox.workspace, key="amount", kind="number")
    mapped = [
        {"source": "subject", "target": "custom_fields.amount"},
        {"source": "subject", "target": "requester_email"},
        {"source": "subject", "target": "category"},
        {"source": "subject", "target": "priority"},
        {"source": "header", "header": "X-None", "target": "requester_name"},
    ]
    make(mailbox, [], [{"do": "map", **one} for one in mapped])
    decision = rules.decide(mailbox=mailbox, message=read())
    assert (decision.custom_fields, decision.requester_email, decision.requester_name) == ({}, "", "")
    assert (decision.category_id, decision.priority) == (None, None)
    why = decision.matched[0].why
    for said in (
        "The field “amount” could not be “Order #A-1234 is late”: this must be a number",
        "The requester’s address could not be",
        "There is no category “Order #A-1234 is late”",
        "“Order #A-1234 is late” is no priority",
        "The requester’s name was not found in the header X-None",
    ):
        assert said in why


def test_what_is_gone_is_left_out_and_said(mailbox):
    workspace = mailbox.workspace
    category, team, agent = (
        CategoryFactory(workspace=workspace),
        TeamFactory(workspace=workspace),
        make_agent(workspace),
    )
    asked = FieldFactory(workspace=workspace, key="order")
    make(
        mailbox,
        [],
        [
            {"do": "set_category", "value": str(category.pk)},
            {"do": "set_team", "value": str(team.pk)},
            {"do": "assign", "value": str(agent.user_id)},
            {"do": "map", "source": "subject", "target": "custom_fields.order"},
        ],
    )
    category.archived_at = asked.archived_at = NOW
    category.save()
    asked.save()
    agent.is_active = False
    agent.save()
    team.delete()
    decision = rules.decide(mailbox=mailbox, message=read())
    assert (decision.category_id, decision.team_id, decision.assignee_id) == (None, None, None)
    assert decision.custom_fields == {}
    assert decision.matched[0].why == (
        "It is asked of every message. Its category is gone and was left out. Its team is gone and was left out. "
        "Its agent can no longer be given tickets and was left out. The field “order” is gone and was left out"
    )


def test_only_the_active_rules_of_the_mailbox_are_asked_in_their_order(mailbox):
    other = MailboxFactory(workspace=mailbox.workspace, is_default=False)
    foreign = MailboxFactory(workspace=WorkspaceFactory())
    tag = [{"do": "add_tags", "value": ["x"]}]
    names = ["everywhere", "here"]
    make(mailbox, [], tag, name="everywhere")
    make(mailbox, [], tag, name="there", mailbox_id=other.pk)
    make(mailbox, [], tag, name="off", is_active=False)
    make(mailbox, [], tag, name="here", mailbox_id=mailbox.pk)
    make(foreign, [], tag, name="foreign")
    decision = rules.decide(mailbox=mailbox, message=read())
    assert [match.rule.name for match in decision.matched] == names
    rules.move_rule(rule=decision.matched[1].rule, up=True)
    rules.move_rule(rule=decision.matched[1].rule, up=True)
    rules.move_rule(rule=decision.matched[1].rule, up=True)
    decision = rules.decide(mailbox=mailbox, message=read())
    assert [match.rule.name for match in decision.matched] == ["here", "everywhere"]
    rules.save_rule(workspace=mailbox.workspace, changes={"stops": True}, rule=decision.matched[0].rule, now=NOW)
    assert [m.rule.name for m in rules.decide(mailbox=mailbox, message=read()).matched] == ["here"]


def test_a_dropped_message_asks_no_later_rule_and_names_the_rule(mailbox):
    make(mailbox, [], [{"do": "drop"}], name="Away with it")
    make(mailbox, [], [{"do": "set_priority", "value": "high"}])
    decision = rules.decide(mailbox=mailbox, message=read())
    assert decision.is_dropped and decision.dropped_by == "Away with it" and decision.priority is None


def test_rules_that_match_are_counted_after_the_commit(mailbox, django_capture_on_commit_callbacks):
    rule = make(mailbox)
    with django_capture_on_commit_callbacks(execute=True):
        decision = rules.decide(mailbox=mailbox, message=read())
        rules.note_matches(decision=decision, now=NOW)
    rule.refresh_from_db()
    assert (rule.matched_count, rule.matched_at) == (1, NOW)


def test_deciding_takes_one_query_however_many_rules_there_are(mailbox, django_assert_num_queries):
    for number in range(20):
        make(mailbox, [test("subject", "matches", f"late|{number}")], [{"do": "add_tags", "value": [f"t{number}"]}])
    message = read()
    with django_assert_num_queries(1):
        rules.decide(mailbox=mailbox, message=message)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"tests": [test("subject", "matches", "(")]}, "tests.0.value"),
        ({"tests": [test("subject", "matches", r"(a)\1")]}, "tests.0.value"),
        ({"tests": [test("subject", "is", "")]}, "tests.0.value"),
        ({"tests": [test("subject", "is", "a\0")]}, "tests.0.value"),
        ({"tests": [test("date", "is", "x")]}, "tests.0.field"),
        ({"tests": [test("subject", "like", "x")]}, "tests.0.operator"),
        ({"tests": [test("header", "is", "x", header="X Order:")]}, "tests.0.header"),
        ({"tests": ["x"]}, "tests.0"),
        ({"tests": {}}, "tests"),
        ({"tests": [test("subject", "is", "x")] * 21}, "tests"),
        ({"actions": []}, "actions"),
        ({"actions": [{"do": "explode"}]}, "actions.0.do"),
        ({"actions": [{"do": "set_priority", "value": "soon"}]}, "actions.0.value"),
        ({"actions": [{"do": "set_category", "value": str(uuid4())}]}, "actions.0.value"),
        ({"actions": [{"do": "set_team", "value": None}]}, "actions.0.value"),
        ({"actions": [{"do": "assign", "value": "x"}]}, "actions.0.value"),
        ({"actions": [{"do": "add_tags", "value": []}]}, "actions.0.value"),
        ({"actions": [{"do": "map", "source": "body", "target": "tags"}]}, "actions.0.pattern"),
        ({"actions": [{"do": "map", "source": "to", "target": "tags"}]}, "actions.0.source"),
        ({"actions": [{"do": "map", "source": "subject", "target": "status"}]}, "actions.0.target"),
        ({"actions": [{"do": "map", "source": "subject", "target": "custom_fields.none"}]}, "actions.0.target"),
        ({"actions": [{"do": "map", "source": "body", "target": "tags", "pattern": "(a)(b)"}]}, "actions.0.pattern"),
        ({"actions": [{"do": "map", "source": "body", "target": "tags", "pattern": "[a"}]}, "actions.0.pattern"),
        ({"mailbox_id": uuid4()}, "mailbox_id"),
        ({"mailbox_id": "x"}, "mailbox_id"),
        ({"stops": "yes"}, "stops"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_with_a_rule_is_named_and_nothing_is_saved(mailbox, changes, place):
    given = {"name": "Rule", "tests": [], "actions": [{"do": "drop"}], **changes}
    with pytest.raises(InvalidInput) as refused:
        rules.save_rule(workspace=mailbox.workspace, changes=given, now=NOW)
    assert list(refused.value.errors) == [place]
    assert not ParsingRule.unscoped.exists()


def test_a_wrong_expression_says_what_is_wrong(mailbox):
    with pytest.raises(InvalidInput, match=r"no regular expression: missing \)"):
        make(mailbox, [test("subject", "matches", "(")])


def test_every_wrong_place_is_named_at_once(mailbox):
    with pytest.raises(InvalidInput) as refused:
        make(mailbox, [test("subject", "matches", "("), test("body", "is", "")], [{"do": "x"}], name="")
    assert set(refused.value.errors) == {"name", "tests.0.value", "tests.1.value", "actions.0.do"}


def test_rules_and_what_they_name_are_of_one_workspace(mailbox):
    foreign = MailboxFactory()
    rule = make(foreign)
    with pytest.raises(NotFound):
        rules.find_rule(mailbox.workspace_id, rule.pk)
    for changes in (
        {"mailbox_id": foreign.pk},
        {"actions": [{"do": "set_category", "value": str(CategoryFactory(workspace=foreign.workspace).pk)}]},
        {"actions": [{"do": "assign", "value": str(make_agent(foreign.workspace).user_id)}]},
    ):
        with pytest.raises(InvalidInput):
            make(mailbox, **changes)


def test_there_is_a_limit_to_rules(mailbox, monkeypatch):
    monkeypatch.setattr(rules, "MAX_RULES", 1)
    make(mailbox)
    with pytest.raises(Conflict):
        make(mailbox)
    assert ParsingRule.unscoped.count() == 1


ANYTHING = st.one_of(st.text(max_size=60), st.none(), st.integers(), st.lists(st.text(max_size=5), max_size=3))


@given(
    raw=st.binary(max_size=300),
    tests=st.lists(
        st.fixed_dictionaries(
            {
                "field": st.sampled_from(rules.FIELDS),
                "operator": st.sampled_from(rules.OPERATORS),
                "value": ANYTHING,
                "header": st.text(max_size=10),
            }
        ),
        max_size=3,
    ),
    actions=st.lists(
        st.fixed_dictionaries(
            {
                "do": st.just("map"),
                "source": st.sampled_from(rules.SOURCES),
                "header": st.text(max_size=10),
                "pattern": st.one_of(st.just(""), st.just("(.)"), st.text(max_size=10)),
                "target": st.sampled_from(["tags", "requester_email", "requester_name", "priority"]),
            }
        ),
        max_size=3,
    ),
)
def test_no_message_and_no_stored_rule_makes_deciding_fail(raw, tests, actions):
    message = messages.read(b"From: a@b.example\n" + raw)
    rule = ParsingRule(name="x", tests=tests, actions=actions, needs_all=False)
    decision = rules._decide(uuid4(), [rule], message, "a@b.example")
    for tag in decision.tags:
        assert 0 < len(tag) <= 40 and tag == tag.lower()
    assert len(decision.requester_name) <= 120
