"""Text made safe: whatever is written, what is shown runs, styles and loads nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.markup import fill, is_text, render, sanitise

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](https://tracker.example/pixel.png)",
    '<a href="https://x" style="position:fixed">x</a>',
    "<iframe src=//evil.example></iframe>",
    "<svg/onload=alert(1)>",
    '<a href="&#106;avascript:alert(1)">x</a>',
    "<math><mtext></mtext><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "```\n</code><script>alert(1)</script>\n```",
]
FORBIDDEN = re.compile(
    r"<(script|img|iframe|svg|style|object|form|math)|\son\w+\s*=[^<]*>|<a[^>]*href=\"(javascript|data):", re.I
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_dangerous_survives(attack):
    assert not FORBIDDEN.search(render(attack))
    assert not FORBIDDEN.search(sanitise(attack))


@given(st.text(max_size=200))
def test_any_text_renders_and_is_clean_already(text):
    text = text.replace("\0", "")
    html = render(text)
    assert sanitise(html).strip() == html
    assert not re.search(r"<(script|img|iframe|style)", html, re.I)


def test_markdown_that_people_write():
    html = render("Hi **Jane**,\nline two\n\n- one\n- two\n\nsee https://example.com and ~~not~~ `this`")
    for part in ("<strong>Jane</strong>", "<br>", "<li>one</li>", 'href="https://example.com"', "<s>not</s>", "<code>"):
        assert part in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_deep_nesting_ends():
    assert len(render("> " * 5000 + "x")) < 100_000


class TestVariables:
    def test_known_names_are_filled_literally_and_once(self):
        assert (
            fill("Hi {{customer_name}}", {"customer_name": "{{agent_name}}", "agent_name": "x"}) == "Hi {{agent_name}}"
        )

    def test_unknown_names_and_template_tags_stay_as_they_are(self):
        text = "{% load x %} {{ settings.SECRET_KEY }} {{unknown}}"
        assert fill(text, {"customer_name": "Jane"}) == text

    def test_spaces_inside_are_fine(self):
        assert fill("{{ ticket_number }}", {"ticket_number": "#1"}) == "#1"


@pytest.mark.parametrize(("value", "expected"), [("ok é 漢", True), ("a\0b", False), ("\ud800", False)])
def test_what_can_be_stored(value, expected):
    assert is_text(value) is expected
