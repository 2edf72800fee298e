"""What people type into the settings of the service levels, and what they read there."""

import pytest
from django.core.exceptions import ValidationError

from slas.calendar import Interval
from slas.forms import read_attributes, read_hours, write_attributes, write_hours
from slas.views.settings import listed, span_words


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("", {}),
        ("plan = pro", {"plan": ["pro"]}),
        ("plan=pro,enterprise\r\n\r\n  VIP level = 1 , 2,", {"plan": ["pro", "enterprise"], "VIP level": ["1", "2"]}),
        ('size = 5" disk, "a, b"', {"size": ['5" disk', "a, b"]}),
        ('"a = b" = "say ""hi"""', {"a = b": ['say "hi"']}),
        ("plan = pro\nplan = max", {"plan": ["pro", "max"]}),
        ("sum = a=b", {"sum": ["a=b"]}),
    ],
)
def test_attributes_are_read(text, attributes):
    assert read_attributes(text) == attributes
    assert read_attributes(write_attributes(attributes)) == attributes


@pytest.mark.parametrize("text", ["plan", "= pro", "plan =", "plan = ,", 'plan = "pro', "plan = pro\nvip", '"x', '"'])
def test_lines_that_are_none_are_refused_with_their_number(text):
    with pytest.raises(ValidationError, match=r"Line [12]:"):
        read_attributes(text)


@pytest.mark.parametrize("value", ["two\nlines", " edges ", "a,b", 'q"q', "=", '"'])
def test_whatever_stands_in_a_condition_survives_the_form(value):
    assert read_attributes(write_attributes({value: [value, "x"]}))[value.strip()] == [value, "x"]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("", []),
        ("9-12", [{"start": "09:00", "end": "12:00"}]),
        ("09:30–12.15, 14 to 24:00", [{"start": "09:30", "end": "12:15"}, {"start": "14:00", "end": "24:00"}]),
        ("9-12 and 13-14;", [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "14:00"}]),
        ("later", [{"start": "later", "end": ""}]),
    ],
)
def test_hours_of_a_day_are_read(text, hours):
    assert read_hours(text) == hours


def test_hours_of_a_day_are_written_so_that_they_can_be_read():
    written = write_hours([Interval(540, 720), Interval(840, 1440)])
    assert written == "09:00–12:00, 14:00–24:00"
    assert read_hours(written)[1] == {"start": "14:00", "end": "24:00"}


@pytest.mark.parametrize(
    ("hours", "words"),
    [(4, "4 h"), (0.5, "30 min"), (1.25, "1 h 15 min"), (1000, "1,000 h"), (0.0003, "1 s"), (0.1, "6 min")],
)
def test_targets_are_said_as_people_say_them(hours, words):
    assert span_words(hours) == words


def test_long_choices_end_in_a_number():
    assert [listed(list("ABCDEFG"[:n])) for n in (1, 2, 4, 5)] == ["A", "A or B", "A, B, C or D", "A, B, C or 2 more"]
