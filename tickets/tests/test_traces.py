"""What a text says of a person, and what stands there after the person is erased. No database."""

import json
from html import escape
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.traces import NAME, TEXT, Traces

JANE = Traces("jane.o'neil@customers.example", "erased-1@erased.invalid", ("Jane O'Neil", "J. O'Neil"))


class TestAnAddress:
    @pytest.mark.parametrize(
        "text",
        [
            "jane.o'neil@customers.example",
            "Write to JANE.O'NEIL@Customers.example.",
            "<jane.o'neil@customers.example>, Bob",
            "mailto:jane.o'neil@customers.example?subject=x",
            escape("a jane.o'neil@customers.example b"),
            quote("q=jane.o'neil@customers.example", safe=""),
            json.dumps({"a": "jane.o'neil@customers.example"}),
        ],
    )
    def test_is_found_however_it_is_written(self, text):
        cleaned = JANE.without_address(text).lower()
        assert "neil" not in cleaned and "erased-1@erased.invalid" in cleaned

    @pytest.mark.parametrize(
        "text",
        [
            "mary-jane.o'neil@customers.example",
            "jane.o'neil@customers.example.org",
            "jane.o'neil@customers.examples",
            "a.jane.o'neil@customers.example",
        ],
    )
    def test_is_not_a_part_of_a_longer_one(self, text):
        assert JANE.without_address(text) == text


class TestAName:
    def test_is_found_as_whole_words_in_any_case_and_over_line_breaks(self):
        assert JANE.clean("Dear jane\n o'neil, hello") == f"Dear {NAME}, hello"
        assert JANE.clean("Jane O'Neills") == "Jane O'Neills"

    def test_is_found_in_parts_only_where_that_is_asked_for(self):
        assert JANE.clean("Hello Jane!") == "Hello Jane!"
        assert JANE.clean("Hello Jane!", parts=True) == f"Hello {TEXT}!"

    def test_that_is_also_a_word_leaves_the_word(self):
        will = Traces("w@x.example", "e@erased.invalid", ("Will May",))
        assert will.clean("Will you? I will, Will. Maybe in May.", parts=True).count("will") == 1

    def test_of_a_mailbox_of_a_role_is_a_word_like_any_other(self):
        support = Traces("support@x.example", "e@erased.invalid", ())
        assert support.clean("Ask our support", parts=True) == "Ask our support"


@given(st.text(), st.text(), st.booleans())
def test_no_trace_is_left_and_what_is_cleaned_twice_is_cleaned_once(before, after, parts):
    text = f"{before} {JANE.address} Jane O'Neil {after}"
    cleaned = JANE.clean(text, parts=parts)
    assert not JANE.are_in(cleaned)
    assert JANE.clean(cleaned, parts=parts) == cleaned


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_value_keeps_its_shape(value):
    def shape(one):
        if isinstance(one, dict):
            return {name: shape(inner) for name, inner in one.items()}
        return [shape(inner) for inner in one] if isinstance(one, list) else type(one)

    assert shape(JANE.clean_value(value)) == shape(value)


@given(st.text())
def test_what_does_not_name_them_stays_as_it_is(text):
    if not JANE.are_in(text):
        assert JANE.clean(text) == text
