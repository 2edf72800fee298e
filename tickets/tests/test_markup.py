"""Text made safe: whatever is written, what is shown runs, styles and loads nothing."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from tickets.markup import LONGEST_LINK, fill, is_text, render, render_plain, sanitise

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


@pytest.mark.parametrize(
    "html",
    [
        '<p style="position:fixed">x</p>',
        '<a href="https://x.example" style="color:red" class="button" id="x" onclick="y()">x</a>',
        '<table style="x"><tr><td style="background:url(https://x.example)">x</td></tr></table>',
        '<form action="https://x.example"><input name="password"><button formaction="//x">x</button></form>',
        '<p hx-post="/tickets/1/trash" hx-trigger="load" data-x="1">x</p>',
        '<link rel="stylesheet" href="//x"><base href="//x"><meta http-equiv="refresh" content="0;//x">',
        '<video src="//x" poster="//x"></video><audio src="//x"></audio><picture><source srcset="//x"></picture>',
    ],
)
def test_nothing_is_styled_wired_or_loaded(html):
    clean = sanitise(html)
    names = set(re.findall(r"\s([\w-]+)=", clean))
    assert names <= {"href", "rel"}, clean
    assert set(re.findall(r"<(\w+)", clean)) <= {"a", "p", "table", "tbody", "tr", "td"}, clean


@pytest.mark.parametrize("scheme", ["javascript", "data", "vbscript", "file", "blob", "ftp"])
def test_links_lead_to_the_web_to_mail_and_to_phones_only(scheme):
    for text in (f'<a href="{scheme}:x">x</a>', f'<a href=" {scheme.upper()}:x">x</a>'):
        assert "href" not in sanitise(text)
    assert f'href="{scheme}' not in render(f"[x]({scheme}:x)")
    for good in ("https://x.example", "http://x.example", "mailto:x@x.example", "tel:+391"):
        assert f'href="{good}"' in render(f"[x]({good})")


def test_only_html_that_was_sanitised_is_written_into_a_page_as_it_is():
    """What a template writes without escaping; a new one is written down here, in sight of the reviewer."""
    written = {
        said
        for template in Path(settings.BASE_DIR, "templates").rglob("*.html")
        for said in re.findall(r"\{\{\s*([^}]*?)\s*\|\s*safe\b|\{%\s*(autoescape off)", template.read_text())
    }
    assert {"".join(said) for said in written} == {
        "ticket.description_html",
        "comment.body_html",
        "message.html",  # a comment's or the request's, for the customer
        "text_html",  # of a help article, for visitors
        "line.html",  # the same of a chat's line
        "article.body_html",
        "html",  # the preview of a reply
        "field.help_text",  # our own words
        "body_html",  # of a mail: a comment's, sanitised again
        "one.html",  # of a mail: the messages before
    }


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


def test_plain_text_keeps_its_lines_and_shows_markup_as_it_was_written():
    html = render_plain("# One & <b>two</b>\nthree\n\n* four")
    assert html == "<p># One &amp; &lt;b&gt;two&lt;/b&gt;<br>three</p><p>* four</p>"


def test_bare_addresses_in_plain_text_become_links():
    html = render_plain('See "https://a.example.com/?x=1&y=2", or write to jo@example.com.')
    assert 'href="https://a.example.com/?x=1&amp;y=2"' in html
    assert 'href="mailto:jo@example.com"' in html
    assert html.endswith(".</p>")


@given(st.text())
def test_plain_text_is_never_more_than_text_and_links(text):
    assert not re.search(r"<(?!/?(p|a|br)\b)", render_plain(text))


@pytest.mark.parametrize("bait", ["a.com/(" * 28_000, "a.com/(\n" * 22_000, "http://" * 28_000, "a@b.co " * 28_000])
def test_links_are_looked_for_in_bounded_time(bait):
    assert render(bait) and render_plain(bait)  # minutes, when the time grew by the square


def test_an_address_too_long_to_follow_stays_text():
    long = "https://a.example.com/" + "x" * LONGEST_LINK
    assert "href" not in render(long) and "href" not in render_plain(long)
