"""The builder's form: every rule comes back from it as it went in, and its buttons do what they say."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk.errors import InvalidInput
from tickets.automation import conditions, forms
from tickets.automation.conditions import FIELDS, MAX_DEPTH, NONE, WORDS
from tickets.automation.forms import ActionRow, ConditionRow, Draft, Offers
from tickets.automation.models import OPTIONS, TRIGGERS
from tickets.automation.services import actions, wording
from tickets.markup import is_text

INPUTS = ["field", "was", "word", "name", "value", "lines", "add", "do", "tags", "body"]
IDS = st.uuids().map(str)
TEXTS = st.text(min_size=1, max_size=20).filter(lambda text: is_text(text) and conditions.plain(text) != NONE)
OFFERS = Offers(tags=[("vip", "vip"), ("a, b", "a, b")], agents=[("x", "X")])

# --- Any valid document -------------------------------------------------------------------------


def _test(name: str) -> st.SearchStrategy[dict[str, Any]]:
    if name in WORDS:
        value: st.SearchStrategy[Any] = st.sampled_from(WORDS[name])
    elif name == "business_hours":
        value = st.booleans()
    elif name in ("category", "team", "organization", "assignee"):
        value = IDS | st.just(NONE)
    elif name in ("subject", "body", "requester"):
        value = TEXTS
    else:
        value = TEXTS | st.sampled_from([NONE, "vip", "a, b", "line\nbreak"])
    values = st.lists(value, min_size=1, max_size=4)
    extra = {"name": TEXTS.map(str.strip).filter(bool)} if name == "attribute" else {}
    return st.one_of(*[st.fixed_dictionaries({"field": st.just(name), **extra, word: values}) for word in FIELDS[name]])


def _groups(parts: Any) -> Any:
    return st.one_of(*[st.fixed_dictionaries({word: st.lists(parts, max_size=3)}) for word in ("all", "any")])


TESTS = st.sampled_from(sorted(FIELDS)).flatmap(_test)
CONDITIONS = _groups(TESTS | _groups(TESTS | _groups(TESTS | _groups(TESTS | _groups(TESTS)))))

BODIES = st.text(min_size=1, max_size=40).map(lambda text: text.replace("\r", "").strip()).filter(bool)
TAGS = st.lists(TEXTS.map(lambda text: text.strip().lower()).filter(bool), min_size=1, max_size=4, unique=True)
ACTIONS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"do": st.just("assign"), "user_id": IDS}),
        st.fixed_dictionaries(
            {
                "do": st.just("assign"),
                "method": st.sampled_from(["least_busy", "round_robin"]),
                "team_id": st.none() | IDS,
            }
        ),
        st.fixed_dictionaries({"do": st.just("set_team"), "team_id": IDS}),
        st.fixed_dictionaries({"do": st.just("set_priority"), "priority": st.sampled_from(WORDS["priority"])}),
        st.fixed_dictionaries({"do": st.just("set_status"), "status": st.sampled_from(WORDS["status"][1:])}),
        st.fixed_dictionaries({"do": st.just("set_category"), "category_id": IDS}),
        st.fixed_dictionaries({"do": st.sampled_from(["add_tags", "remove_tags"]), "tags": TAGS}),
        st.fixed_dictionaries({"do": st.just("add_note"), "body": BODIES}),
        st.fixed_dictionaries({"do": st.just("add_watcher"), "user_id": IDS}),
        st.just({"do": "escalate"}),
        st.fixed_dictionaries({"do": st.just("set_sla_policy"), "policy_id": IDS}),
        st.fixed_dictionaries({"do": st.just("send_canned_response"), "canned_response_id": IDS}),
        st.fixed_dictionaries(
            {
                "do": st.just("notify"),
                "user_ids": st.lists(IDS, max_size=3, unique=True),
                "team_ids": st.lists(IDS, max_size=3, unique=True),
                "body": BODIES,
            }
        ),
        st.fixed_dictionaries({"do": st.just("send_webhook"), "url": st.just("https://example.com/hook?a=1,2")}),
    ),
    max_size=6,
)


def same(document: Any) -> Any:
    """A document in which the order of values, which are alternatives, makes no difference."""
    if isinstance(document, dict):
        return {
            key: sorted(map(str, set(value)))
            if key in FIELDS["subject"] + FIELDS["status"] + ("tags",)
            else same(value)
            for key, value in document.items()
        }
    return [same(one) for one in document] if isinstance(document, list) else document


class _Rule:
    """What the form reads of a rule."""

    def __init__(self, **given: Any) -> None:
        self.name, self.triggers, self.stops, self.is_active = "A rule", ["created"], False, True
        self.conditions: Any = {"all": []}
        self.actions: Any = []
        vars(self).update(given)


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, ACTIONS)
def test_any_rule_comes_back_from_its_form_as_it_was(written: Any, done: Any) -> None:
    kept = conditions.read(written).document()
    draft = forms.draft_of(_Rule(conditions=kept, actions=done))
    draft.offer(OFFERS)
    back = forms.read(draft.fields())
    assert same(back.conditions) == same(kept)
    assert conditions.read(back.conditions).document() == back.conditions  # nothing in it has to be cleaned
    assert [same(one) for one in back.actions] == [same(one) for one in done]
    assert (back.name, back.triggers, back.stops, back.is_active) == ("A rule", ["created"], False, True)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(rf"(if|then)(\.[0-9]{{1,4}}){{0,8}}\.({'|'.join(INPUTS)})", fullmatch=True)
        | st.sampled_from(["name", "when", "stops", "message_count", "idle_hours"]),
        st.lists(st.text(max_size=10) | st.sampled_from(sorted(FIELDS)) | st.sampled_from(forms.KINDS), max_size=3),
        max_size=12,
    ),
    st.text(max_size=10) | st.from_regex(r"(add-test|add-group|remove|up|down):(if|then)(\.[0-9])*", fullmatch=True),
)  # fmt: skip
def test_whatever_a_browser_sends_can_be_drawn_and_said(sent: dict[str, list[str]], button: str) -> None:
    draft = forms.read(sent)
    draft.change(button)
    draft.changes()
    assert str(wording.sentence_of(draft, {})).startswith("When ")
    draft.refuse(InvalidInput.of_all({"conditions.all.0.is": ["x"], "actions.9.do": ["x"], "x": ["x"]}))
    for row in [*draft.tests, *draft.rows]:
        assert row.label is not None
        assert row.error_texts is not None
    assert all(shown.label for row in draft.rows for shown in row.inputs)


# --- Reading ------------------------------------------------------------------------------------


def test_words_stand_between_commas_and_lines() -> None:
    sent = {
        "if.0.field": ["subject"],
        "if.0.word": ["contains"],
        "if.0.lines": [" refund,money back,\r\n chargeback ,"],
    }
    assert forms.read(sent).conditions == {
        "all": [{"field": "subject", "contains": ["refund", "money back", "chargeback"]}]
    }


def test_places_with_gaps_close_up_and_what_a_part_stands_in_is_a_group() -> None:
    sent = {"if.word": ["any"], "if.7.1.field": ["tag"], "if.7.1.lines": ["vip"], "if.2.field": ["status"]}
    draft = forms.read(sent)
    assert draft.conditions == {"any": [{"field": "status", "is": []}, {"all": [{"field": "tag", "is": ["vip"]}]}]}
    assert [test.path for test in draft.tests] == ["if.0", "if.1.0"]


def test_values_that_were_chosen_for_another_field_are_dropped() -> None:
    sent = {"if.0.field": ["priority"], "if.0.was": ["subject"], "if.0.word": ["contains"], "if.0.lines": ["refund"]}
    assert forms.read(sent).conditions == {"all": [{"field": "priority", "is": []}]}
    sent = {"then.0.do": ["add_note"], "then.0.was": ["notify"], "then.0.body": ["Hello"]}
    assert forms.read(sent).actions == [{"do": "add_note", "body": ""}]


def test_what_is_chosen_though_it_is_gone_stays_to_be_seen() -> None:
    gone = "01890a5d-ac96-774b-bcce-b302099a8057"
    row = ConditionRow(field="category", word="is", values=[gone, "none"], offers=Offers(names={}))
    assert [tuple(option) for option in row.options] == [("none", "No category", True), (gone, "Deleted", True)]
    assert row.summary == "No category or Deleted"
    action = ActionRow(kind="set_team", values={"team_id": [gone]}, offers=Offers(names={gone: "Billing"}))
    assert [option.label for option in action.inputs[0].options if option.is_chosen] == ["Billing"]


@pytest.mark.parametrize(
    ("trigger", "name", "written", "read"),
    [
        ("no_response", "no_response_hours", "1.5", "1.5"),
        ("no_response", "no_response_hours", " 0,5 ", "0.5"),
        ("idle", "idle_hours", "48", "48"),
        ("customer_messages", "message_count", "3", "3"),
    ],
)
def test_triggers_have_numbers_of_their_own(trigger: str, name: str, written: str, read: str) -> None:
    draft = forms.read({"when": [trigger], name: [written]})
    assert str(draft.changes()[name]) == read
    assert not draft.is_refused
    assert name not in forms.read({"when": ["created"], name: [written]}).changes()
    # A number that a rule had goes with its trigger.
    assert forms.read({"when": ["created"]}).changes(_Rule(**{name: 4}))[name] is None


@pytest.mark.parametrize("written", ["", "soon", "-1", "0", "NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_named(written: str) -> None:
    draft = forms.read({"when": ["idle", "customer_messages"], "idle_hours": [written], "message_count": ["2.5"]})
    changes = draft.changes()
    assert set(draft.errors) == {"idle_hours", "message_count"}
    assert not set(draft.errors) & set(changes)


# --- Buttons ------------------------------------------------------------------------------------


def pressed(draft: Draft, *buttons: str) -> Draft:
    """The form after buttons, each sent by a browser."""
    for button in buttons:
        draft = forms.read(draft.fields())
        draft.change(button)
    return draft


def test_conditions_and_groups_are_added_and_removed_where_the_button_stands() -> None:
    blank = {"field": "subject", "contains": []}
    draft = pressed(forms.starter(""), "add-test:if", "add-group:if", "add-test:if.1")
    assert draft.conditions == {"all": [blank, {"any": [blank, blank]}]}
    assert draft.focus == "if.1.1.field"
    draft = pressed(draft, "remove:if.1.0")
    assert (draft.conditions, draft.focus) == ({"all": [blank, {"any": [blank]}]}, "if.1.add-test")
    draft = pressed(draft, "remove:if.1", "remove:if.0", "remove:if.0", "remove:if")
    assert draft.conditions == {"all": []}


def test_groups_are_no_deeper_than_conditions_can_be() -> None:
    paths = [".".join(["if", *["0"] * depth]) for depth in range(MAX_DEPTH + 2)]
    draft = pressed(forms.starter(""), *(f"add-group:{path}" for path in paths))
    # Beside each group stands the condition it began with, so that only the outermost nests at 0.
    assert max(row.depth for row in draft.group.rows() if row.is_group) <= MAX_DEPTH  # type: ignore[union-attr]
    deepest = forms.group_of({"all": [{"all": [{"all": [{"all": [{"all": []}]}]}]}]})
    deepest.number("if")
    assert [row.may_nest for row in deepest.rows() if not isinstance(row, ConditionRow)] == [True] * 4 + [False]


def test_actions_move_and_the_focus_goes_with_them() -> None:
    draft = forms.draft_of(_Rule(actions=[{"do": "escalate"}, {"do": "add_note", "body": "x"}]))
    draft = pressed(draft, "add-action")
    assert (draft.rows[2].kind, draft.focus) == ("set_priority", "then.2.do")
    draft = pressed(draft, "up:then.2")
    assert ([row.kind for row in draft.rows], draft.focus) == (["escalate", "set_priority", "add_note"], "then.1.up")
    draft = pressed(draft, "up:then.1")
    assert ([row.kind for row in draft.rows], draft.focus) == (["set_priority", "escalate", "add_note"], "then.0.down")
    draft = pressed(draft, "up:then.0", "down:then.2", "down:then.9", "remove:then.1")
    assert [row.kind for row in draft.rows] == ["set_priority", "add_note"]


# --- Errors -------------------------------------------------------------------------------------


def test_what_the_service_refuses_stands_at_its_input() -> None:
    draft = forms.draft_of(
        _Rule(
            conditions={"all": [{"field": "subject", "contains": []}, {"any": [{"field": "status", "is": ["x"]}]}]},
            actions=[{"do": "escalate"}, {"do": "set_priority", "priority": ""}],
        )
    )
    draft.refuse(
        InvalidInput.of_all(
            {
                "conditions.all.0.contains": ["This must be a list."],
                "conditions.all.1.any.0.is": ["Each value must be one of: new."],
                "conditions": ["Up to 100 conditions are possible."],
                "actions.1.priority": ["This must be one of: low."],
                "actions.0.do": ["No such action."],
                "triggers": ["This must be a list."],
                "name": ["This must not be empty."],
            }
        )
    )
    first, second = draft.tests
    assert first.error_texts == ["Write at least one."]
    assert second.error_texts == ["Each value must be one of: new."]
    assert draft.group.error_texts == ["Up to 100 conditions are possible."]
    assert draft.rows[1].inputs[0].errors == ["Choose one."]
    assert draft.rows[0].error_texts == ["No such action."]
    assert draft.errors == {"triggers": ["This must be a list."], "name": ["This must not be empty."]}


# --- All the words ------------------------------------------------------------------------------


def test_the_form_has_every_word_of_the_automation() -> None:
    assert set(forms.FIELD_LABELS) == set(FIELDS)
    assert {word for word, _ in TRIGGERS} == set(forms.known_order()) == set(wording.TRIGGERS) == set(wording.HAPPENED)
    assert {number.trigger: number.name for number in forms.NUMBERS} == OPTIONS
    known = {"assign" if kind.startswith("assign_") else kind for kind in forms.KINDS}
    assert set(actions.ACTIONS) == known == set(wording._DO) == set(wording.TITLES)
    assert set(forms.KINDS) == set(forms.ASKED)


@pytest.mark.parametrize("word", forms.STARTERS)
def test_a_good_first_rule_is_one_that_can_be_saved(word: str) -> None:
    draft = forms.starter(word)
    assert conditions.read(draft.conditions).document() == draft.conditions
    assert draft.actions == forms.STARTERS[word]["actions"]
