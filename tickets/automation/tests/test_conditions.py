"""If …: which facts meet which conditions, and what is no condition at all."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.automation import conditions
from tickets.automation.conditions import FIELDS, NONE, WORDS, ConditionError, Facts, Reason

CHOICES = [name for name, words in FIELDS.items() if "is_not" in words and name != "attribute"]
TEXTS = [name for name, words in FIELDS.items() if "contains" in words]


def facts(**given: Any) -> Facts:
    choices = {name: frozenset(given.pop(name)) for name in CHOICES if name in given}
    texts = {name: given.pop(name) for name in TEXTS if name in given}
    return Facts(choices=choices, texts=texts, **given)


def is_met(test: dict[str, Any], known: Facts) -> bool:
    return conditions.read({"all": [test]}).is_met(known)


def errors_of(document: Any) -> dict[str, list[str]]:
    with pytest.raises(ConditionError) as caught:
        conditions.read(document)
    return caught.value.errors


class TestFields:
    def test_the_fields_are_those_of_the_specification(self) -> None:
        assert set(FIELDS) == {
            "category", "priority", "status", "channel", "assignee", "team", "organization", "tag", "sla_state",
            "language", "requester", "subject", "body", "business_hours", "attribute", "rating",
        }  # fmt: skip

    @pytest.mark.parametrize("field", CHOICES)
    def test_a_choice_is_one_of_several_values_or_none_of_them(self, field: str) -> None:
        a, b, c = WORDS.get(field, ("a", "b", "c"))[:3]
        known = facts(**{field: {b}})
        assert is_met({"field": field, "is": [a, b]}, known)
        assert not is_met({"field": field, "is": [a, c]}, known)
        assert is_met({"field": field, "is_not": [a, c]}, known)
        assert not is_met({"field": field, "is_not": [a, b]}, known)

    @pytest.mark.parametrize("field", [name for name in CHOICES if NONE in WORDS.get(name, (NONE,))])
    def test_none_stands_for_no_value(self, field: str) -> None:
        x = WORDS.get(field, ("x",))[0]
        assert is_met({"field": field, "is": ["none"]}, facts())
        assert is_met({"field": field, "is": [x, "none"]}, facts())
        assert not is_met({"field": field, "is_not": ["none"]}, facts())
        assert is_met({"field": field, "is_not": [x]}, facts())
        assert not is_met({"field": field, "is": ["none"]}, facts(**{field: {x}}))
        assert is_met({"field": field, "is_not": ["none"]}, facts(**{field: {x}}))

    @pytest.mark.parametrize(
        ("field", "word"),
        [("priority", "urgnt"), ("priority", "none"), ("status", "waiting"), ("status", "none"), ("sla_state", "late")],
    )
    def test_a_word_that_no_ticket_can_have_is_refused_with_those_it_can(self, field: str, word: str) -> None:
        errors = errors_of({"all": [{"field": field, "is": [WORDS[field][0], word]}]})
        assert list(errors) == ["all.0.is"]
        assert all(known in errors["all.0.is"][0] for known in WORDS[field])

    def test_one_of_several_tags_is_enough_and_none_of_them_may_be_there(self) -> None:
        known = facts(tag={"vip", "billing"})
        assert is_met({"field": "tag", "is": ["vip"]}, known)
        assert not is_met({"field": "tag", "is_not": ["billing", "spam"]}, known)

    @pytest.mark.parametrize("opened", [True, False])
    def test_business_hours_are_yes_or_no(self, opened: bool) -> None:
        known = facts(in_business_hours=opened)
        assert is_met({"field": "business_hours", "is": [opened]}, known)
        assert not is_met({"field": "business_hours", "is": [not opened]}, known)
        assert is_met({"field": "business_hours", "is": [True, False]}, known)

    def test_values_are_compared_without_regard_to_case(self) -> None:
        assert is_met({"field": "requester", "is": ["@Example.COM"]}, facts(requester={"@example.com"}))
        assert is_met({"field": "tag", "is": ["  VIP "]}, facts(tag={"vip"}))


class TestAttributes:
    @pytest.mark.parametrize(
        ("kept", "asked"),
        [
            ("Pro", "pro"), (" Pro ", "PRO"), (True, "yes"), (True, True), (False, "no"), (5, "5"), (5, 5.0),
            (5.0, 5), (1.5, "1.5"), (None, "none"), ("", "none"), ("  ", "none"), ([], "none"),
            (["basic", "Pro"], "pro"), ("Straße", "STRASSE"), ({"a": 1}, "{'a': 1}"),
        ],
    )  # fmt: skip
    def test_a_value_is_found(self, kept: Any, asked: Any) -> None:
        known = facts(attributes={"plan": kept})
        assert is_met({"field": "attribute", "name": "plan", "is": [asked]}, known)
        assert not is_met({"field": "attribute", "name": "plan", "is_not": [asked]}, known)

    def test_what_nobody_has_said_is_none(self) -> None:
        assert is_met({"field": "attribute", "name": "plan", "is": ["none"]}, facts())
        assert is_met({"field": "attribute", "name": "plan", "is_not": ["pro"]}, facts())

    def test_the_word_false_is_no_and_not_nothing(self) -> None:
        assert not is_met({"field": "attribute", "name": "vip", "is": ["none"]}, facts(attributes={"vip": False}))


class TestKeywords:
    @pytest.mark.parametrize("field", TEXTS)
    def test_any_keyword_is_enough_and_the_opposite_wants_none(self, field: str) -> None:
        known = facts(**{field: "I want a refund"})
        assert is_met({"field": field, "contains": ["chargeback", "refund"]}, known)
        assert not is_met({"field": field, "contains": ["chargeback"]}, known)
        assert is_met({"field": field, "contains_not": ["chargeback"]}, known)
        assert not is_met({"field": field, "contains_not": ["refund"]}, known)

    @pytest.mark.parametrize(
        ("text", "keyword", "found"),
        [
            ("The bill is wrong", "bill", True),
            ("A billion reasons", "bill", False),
            ("refunds", "refund", False),
            ("REFUND!", "refund", True),
            ("(refund)", "refund", True),
            ("snake_case", "case", False),
            ("money\n  back please", "money back", True),
            ("moneyback", "money back", False),
            ("money-back", "money back", False),
            ("Die STRASSE ist zu", "Straße", True),
            ("Die Straße ist zu", "STRASSE", True),
            ("Ru\u0308ckgabe", "R\u00fcckgabe", True),  # composed, as no Mac writes it
            ("İstanbul", "i\u0307stanbul", True),
            ("I write C++ all day", "c++", True),
            ("Help!", "!", True),
            ("costs 50% more", "50%", True),
            ("costs 150% more", "50%", False),
            ("a.b", "a.b", True),
            ("axb", "a.b", False),
            ("", "refund", False),
            ("none at all", "none", True),
        ],
    )
    def test_a_keyword_is_found_as_whole_words(self, text: str, keyword: str, found: bool) -> None:
        assert is_met({"field": "body", "contains": [keyword]}, facts(body=text)) is found
        assert is_met({"field": "body", "contains_not": [keyword]}, facts(body=text)) is not found

    def test_a_text_that_is_not_there_contains_nothing(self) -> None:
        assert not is_met({"field": "subject", "contains": ["a"]}, facts())
        assert is_met({"field": "subject", "contains_not": ["a"]}, facts())


class TestGroups:
    YES = {"field": "priority", "is": ["high"]}
    NO = {"field": "priority", "is": ["low"]}
    known = facts(priority={"high"})

    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            ({"all": []}, True),
            ({"any": []}, True),
            ({"all": [YES, YES]}, True),
            ({"all": [YES, NO]}, False),
            ({"any": [NO, YES]}, True),
            ({"any": [NO, NO]}, False),
            ({"all": [YES, {"any": [NO, {"all": [YES, YES]}]}]}, True),
            ({"all": [YES, {"any": [NO, {"all": [YES, NO]}]}]}, False),
            ({"any": [NO, {"all": []}]}, True),
        ],
    )
    def test_all_or_any_however_deep(self, document: Any, expected: bool) -> None:
        group = conditions.read(document)
        assert group.is_met(self.known) is expected
        assert group.why(self.known).is_met is expected

    def test_why_says_which_test_failed(self) -> None:
        document = {
            "all": [self.YES, {"any": [self.NO, {"field": "attribute", "name": "plan", "is_not": ["pro", "basic"]}]}]
        }
        assert conditions.read(document).why(facts(priority={"high"}, attributes={"plan": "pro"})) == Reason(
            False,
            "all",
            (
                Reason(True, "priority is high"),
                Reason(
                    False,
                    "any",
                    (Reason(False, "priority is low"), Reason(False, "attribute plan is not pro or basic")),
                ),
            ),
        )

    def test_why_has_words_for_every_word(self) -> None:
        document = {
            "all": [
                {"field": "subject", "contains": ["a", "b"]},
                {"field": "body", "contains_not": ["c"]},
                {"field": "sla_state", "is_not": ["none"]},
                {"field": "business_hours", "is": [False]},
            ]
        }
        assert [part.text for part in conditions.read(document).why(facts()).parts] == [
            "subject contains a or b",
            "body does not contain c",
            "sla state is not none",
            "business hours is false",
        ]

    def test_every_test_can_be_listed(self) -> None:
        group = conditions.read({"all": [self.YES, {"any": [self.NO]}]})
        assert [test.values for test in group.tests()] == [("high",), ("low",)]


def nested(depth: int) -> dict[str, Any]:
    return {"all": [nested(depth - 1)] if depth > 1 else []}


class TestRefused:
    @pytest.mark.parametrize(
        ("document", "place", "text"),
        [
            (None, "", "This must be an object"),
            ([], "", "This must be an object"),
            ("all", "", "This must be an object"),
            ({}, "", "This must be an object"),
            ({"every": []}, "", "This must be an object"),
            ({1: []}, "", "This must be an object"),
            ({"all": [], "any": []}, "", "This must be an object"),
            ({"all": {}}, "all", "This must be a list"),
            ({"all": None}, "all", "This must be a list"),
            ({"all": [7]}, "all.0", "This must be an object"),
            ({"all": [{"field": "colour", "is": ["red"]}]}, "all.0.field", "There is no field 'colour'."),
            ({"all": [{"field": ["tag"], "is": ["red"]}]}, "all.0.field", "There is no field"),
            ({"all": [{"field": None, "is": ["red"]}]}, "all.0.field", "There is no field"),
            ({"all": [{"field": "tag", "contains": ["vip"]}]}, "all.0.contains", "There is no such word for tag."),
            ({"all": [{"field": "subject", "is": ["vip"]}]}, "all.0.is", "There is no such word for subject."),
            ({"all": [{"field": "tag", "is": ["a"], "name": "x"}]}, "all.0.name", "There is no such word for tag."),
            ({"all": [{"field": "tag"}]}, "all.0", "Say one of: is, is_not."),
            ({"all": [{"field": "tag", "is": ["a"], "is_not": ["b"]}]}, "all.0", "Say one of: is, is_not."),
            ({"all": [{"field": "business_hours", "is_not": [True]}]}, "all.0.is_not", "There is no such word"),
            ({"all": [{"field": "business_hours", "is": ["true"]}]}, "all.0.is", "This must be true or false."),
            ({"all": [{"field": "business_hours", "is": [1]}]}, "all.0.is", "This must be true or false."),
            ({"all": [{"field": "attribute", "is": ["x"]}]}, "all.0.name", "Say the name of the attribute."),
            ({"all": [{"field": "attribute", "name": " ", "is": ["x"]}]}, "all.0.name", "Say the name"),
            ({"all": [{"field": "attribute", "name": 1, "is": ["x"]}]}, "all.0.name", "Say the name"),
            ({"all": [{"field": "attribute", "name": "a\0", "is": ["x"]}]}, "all.0.name", "Say the name"),
            ({"all": [{"field": "attribute", "name": "\ud800", "is": ["x"]}]}, "all.0.name", "Say the name"),
            ({"all": [{"field": "attribute", "name": "n" * 201, "is": ["x"]}]}, "all.0.name", "Say the name"),
            ({"all": [{"field": "tag", "is": "vip"}]}, "all.0.is", "This must be a list of 1 to 100 values."),
            ({"all": [{"field": "tag", "is": []}]}, "all.0.is", "This must be a list of 1 to 100 values."),
            ({"all": [{"field": "tag", "is": ["a"] * 101}]}, "all.0.is", "This must be a list of 1 to 100 values."),
            ({"all": [{"field": "tag", "is": [None]}]}, "all.0.is", "Each value must be text"),
            ({"all": [{"field": "tag", "is": [["a"]]}]}, "all.0.is", "Each value must be text"),
            ({"all": [{"field": "tag", "is": [""]}]}, "all.0.is", "Each value must be text"),
            ({"all": [{"field": "subject", "contains": ["  "]}]}, "all.0.contains", "Each value must be text"),
            ({"all": [{"field": "tag", "is": ["a\0b"]}]}, "all.0.is", "Each value must be text"),
            ({"all": [{"field": "tag", "is": ["\udfff"]}]}, "all.0.is", "Each value must be text"),
            ({"all": [{"field": "tag", "is": ["n" * 201]}]}, "all.0.is", "Each value must be text"),
            ({"all": [{"any": [{"field": "x"}]}]}, "all.0.any.0.field", "There is no field 'x'."),
            (nested(6), "all.0.all.0.all.0.all.0.all.0.all", "Groups can be 5 levels deep."),
            ({"all": [{"field": "tag", "is": ["a"]}] * 101}, "", "Up to 100 conditions are possible."),
            ({"all": [{"all": []}] * 100}, "", "Up to 100 groups are possible."),
        ],
    )
    def test_what_is_wrong_is_said_by_its_place(self, document: Any, place: str, text: str) -> None:
        errors = errors_of(document)
        assert errors[place][0].startswith(text)
        assert all(other.startswith(place) or place.startswith(other) for other in errors)

    def test_everything_that_is_wrong_is_said_at_once(self) -> None:
        document = {"all": [{"field": "x"}, {"any": [{"field": "tag", "is": []}, 3]}]}
        assert list(errors_of(document)) == ["all.0.field", "all.1.any.0.is", "all.1.any.1"]

    def test_the_limits_themselves_are_possible(self) -> None:
        conditions.read(nested(5))
        conditions.read({"all": [{"field": "tag", "is": [str(n) for n in range(100)]}] * 100})
        conditions.read({"all": [{"field": "tag", "is": ["n" * 200]}]})

    def test_a_document_of_a_thousand_levels_is_refused_like_any_other(self) -> None:
        document: dict[str, Any] = {"all": []}
        for _ in range(1000):
            document = {"any": [document]}
        assert "Groups can be 5 levels deep." in next(iter(errors_of(document).values()))


# --- Anything that can be read can be asked, and is what was written -------------------------------

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30).filter(
    str.strip
)
values = st.lists(st.one_of(words, st.booleans(), st.integers(), st.floats()), min_size=1, max_size=4)


@st.composite
def one_test(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(sorted(FIELDS)))
    word = draw(st.sampled_from(FIELDS[field]))
    name = {"name": draw(words)} if field == "attribute" else {}
    given = values
    if field == "business_hours":
        given = st.lists(st.booleans(), min_size=1, max_size=2)
    elif field in WORDS:
        given = st.lists(st.sampled_from(WORDS[field]), min_size=1, max_size=4)
    return {"field": field, **name, word: draw(given)}


def groups(depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    parts = one_test() if depth == 0 else st.one_of(one_test(), groups(depth - 1))
    return st.dictionaries(st.sampled_from(["all", "any"]), st.lists(parts, max_size=4), min_size=1, max_size=1)


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
known_facts = st.builds(
    Facts,
    choices=st.dictionaries(st.sampled_from(CHOICES), st.frozensets(st.text(), max_size=3)),
    texts=st.dictionaries(st.sampled_from(TEXTS), st.text()),
    attributes=st.dictionaries(words, anything, max_size=3),
    in_business_hours=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(document=groups(), known=known_facts)
def test_what_can_be_read_can_be_asked_and_explained(document: Any, known: Facts) -> None:
    group = conditions.read(document)
    assert group.is_met(known) is group.why(known).is_met


@settings(max_examples=200, deadline=None)
@given(document=groups())
def test_a_document_that_was_read_once_stays_what_it_is(document: Any) -> None:
    group = conditions.read(document)
    kept = group.document()
    json.dumps(kept).encode()
    assert conditions.read(kept) == group
    assert conditions.read(kept).document() == kept


@settings(max_examples=200, deadline=None)
@given(document=groups(), known=known_facts)
def test_the_opposite_word_is_the_opposite(document: Any, known: Facts) -> None:
    other = {"is": "is_not", "is_not": "is", "contains": "contains_not", "contains_not": "contains"}
    for test in conditions.read(document).tests():
        if test.field != "business_hours":
            opposite = conditions.Test(test.field, other[test.word], test.values, test.name)
            assert opposite.is_met(known) is not test.is_met(known)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        anything,
        st.dictionaries(st.sampled_from(["all", "any", "field"]), anything, max_size=2),
        st.builds(lambda parts: {"all": parts}, st.lists(st.dictionaries(st.sampled_from(
            ["field", "is", "is_not", "contains", "name", "any"]), st.one_of(anything, st.sampled_from(sorted(FIELDS))))
        )),
    )
)  # fmt: skip
def test_anything_at_all_is_read_or_refused_with_places(document: Any) -> None:
    try:
        conditions.read(document)
    except ConditionError as error:
        errors = error.errors
    else:
        return
    assert errors and all(errors.values())
