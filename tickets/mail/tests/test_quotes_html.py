"""What is shown of a message in HTML and what is folded away."""

import re
import time
from collections import Counter
from html import unescape

import nh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.mail.parsing.html_quotes import fold_html
from tickets.mail.parsing.quotes import REPLY_MARKER, fold

WROTE = "On Tue, Mar 3, 2026 at 10:04 AM Help Desk &lt;help@example.com&gt; wrote:"
GMAIL_BAR = "margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex"

# (client, the answer as it stands in the HTML, the history as it stands there)
REPLIES = [
    ("Gmail", '<div dir="ltr">It <b>works</b> now.</div><br>',
     f'<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">{WROTE}<br></div>'
     f'<blockquote class="gmail_quote" style="{GMAIL_BAR}"><p>OLD one</p><p>OLD two</p></blockquote></div>'),
    ("Gmail, a language we do not know", '<div dir="ltr">It <b>works</b> now.</div><br>',
     '<div class="gmail_quote"><div dir="ltr" class="gmail_attr">Qillqasqa OLD:<br></div>'
     f'<blockquote class="gmail_quote" style="{GMAIL_BAR}">OLD</blockquote></div>'),
    ("Gmail of 2014", '<div dir="ltr">It <b>works</b> now.</div>',
     f'<div class="gmail_extra"><br><br><div class="gmail_quote">{WROTE}<br>'
     f'<blockquote class="gmail_quote" style="{GMAIL_BAR}">OLD</blockquote></div><br></div>'),
    ("Gmail with a signature", '<div dir="ltr">It <b>works</b> now.</div>',
     '<br><span class="gmail_signature_prefix">-- </span><br><div dir="ltr" class="gmail_signature" '
     'data-smartmail="gmail_signature">Kim OLD<br>Director of OLD</div>'
     f'<div class="gmail_quote"><div class="gmail_attr">{WROTE}</div><blockquote>OLD</blockquote></div>'),
    ("Apple Mail", '<html><body style="word-wrap: break-word;">It <b>works</b> now.',
     '<br id="lineBreakAtBeginningOfMessage"><div><br><blockquote type="cite"><div>On 3 Mar 2026, at 10:04, Help OLD '
     '&lt;help@example.com&gt; wrote:</div><br><div>OLD</div></blockquote></div></body></html>'),
    ("Apple Mail, older", "<body>It <b>works</b> now.<div>",
     "<br><div><div>On 3 Mar 2026, at 10:04, Help OLD &lt;help@example.com&gt; wrote:</div><br>"
     '<blockquote type="cite"><div>OLD</div></blockquote></div></div></body>'),
    ("iPhone", '<html><body dir="auto">It <b>works</b> now.',
     '<br id="lineBreakAtBeginningOfSignature"><div dir="ltr" id="AppleMailSignature">Sent from my OLD iPhone</div>'
     '<div dir="ltr"><br><blockquote type="cite">On 3 Mar 2026, at 10:04, OLD wrote:<br><br></blockquote></div>'
     '<blockquote type="cite"><div dir="ltr">OLD</div></blockquote></body></html>'),
    ("Outlook", '<div class="WordSection1"><p class="MsoNormal">It <b>works</b> now.<o:p></o:p></p>',
     '<p class="MsoNormal"><o:p>&nbsp;</o:p></p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt;'
     'padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal"><b>From:</b> OLD &lt;help@example.com&gt;<br><b>Sent:</b> '
     "Tuesday, March 3, 2026 10:04 AM<br><b>To:</b> OLD<br><b>Subject:</b> OLD<o:p></o:p></p></div></div>"
     '<p class="MsoNormal">OLD</p></div>'),
    ("Outlook, a language we do not know", '<div class="WordSection1"><p class="MsoNormal">It <b>works</b> now.</p>',
     '<div style="border:none;border-top:solid #B5C4DF 1.0pt;padding:3.0pt 0in 0in 0in"><p class="MsoNormal">'
     "<b><span>Qan:</span></b><span> OLD<br><b>Pacha:</b> OLD<br><b>Man:</b> OLD</span></p></div>OLD</div>"),
    ("Outlook on the web", "<div>It <b>works</b> now.</div>",
     '<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" '
     'dir="ltr"><font face="Calibri"><b>Qan:</b> OLD<br><b>Pacha:</b> OLD</font><div>&nbsp;</div></div><div>OLD</div>'),
    ("Outlook for iOS", "<div>It <b>works</b> now.</div>",
     '<div id="ms-outlook-mobile-signature">Get <a href="https://aka.ms/o0ukef">Outlook for iOS</a> OLD</div>'
     '<hr><div id="divRplyFwdMsg"><b>From:</b> OLD</div><p>OLD</p>'),
    ("Outlook for Mac", "<p>It <b>works</b> now.</p>",
     '<div id="mail-editor-reference-message-container"><div><div><p><b>From: </b>OLD</p><p>OLD</p></div></div></div>'),
    ("Thunderbird", "<body><p>It <b>works</b> now.</p>",
     '<div class="moz-cite-prefix">Qillqasqa OLD 03.03.26:<br></div><blockquote type="cite" cite="mid:a@b">OLD'
     '</blockquote><pre class="moz-signature" cols="72">-- \nKim OLD\n</pre></body>'),
    ("Yahoo", '<div class="ydp1yahoo-style-wrap"><div>It <b>works</b> now.</div>',
     '</div><div id="ydp2yahoo_quoted_1" class="ydp2 yahoo_quoted"><div>On Tuesday, March 3, 2026 OLD wrote:</div>'
     "<div>OLD</div></div>"),
    ("Proton", '<div style="font-family: Arial">It <b>works</b> now.</div>',
     '<div class="protonmail_signature_block"><div>Sent with Proton Mail OLD.</div></div><br>'
     f'<div class="protonmail_quote">{WROTE}<br><br><blockquote class="protonmail_quote" type="cite">OLD</blockquote>'
     "</div>"),
    ("Zoho", "<div>It <b>works</b> now.</div>",
     '<div class="zmail_extra"><div><br>---- On Tue, 03 Mar 2026 10:04:11 +0100 <b>OLD</b> &lt;help@example.com&gt; '
     'wrote ----</div><br><blockquote id="blockquote_zmail"><div>OLD</div></blockquote></div>'),
    ("Tutanota", "<div>It <b>works</b> now.</div>",
     '<div>3. März 2026, 10:04 von help@example.com:<br></div><blockquote class="tutanota_quote">OLD</blockquote>'),
    ("Roundcube", "<p>It <b>works</b> now.</p>",
     '<p id="reply-intro">Qillqasqa OLD 2026-03-03 10:04:</p><blockquote type="cite" style="padding: 0 0.4em">'
     '<div id="replybody1">OLD</div></blockquote>'),
    ("163", "<div>It <b>works</b> now.</div>",
     '<div id="isReplyContent"><p>At 2026-03-03 10:04:11, "OLD" &lt;help@example.com&gt; wrote:</p>OLD</div>'),
    ("a plain blockquote", "<p>It <b>works</b> now.</p>",
     f"<p>{WROTE}</p><blockquote><p>OLD</p></blockquote>"),
    ("text in HTML", "<pre>It <b>works</b> now.</pre>",
     f"<pre>\n{WROTE}\n&gt; OLD\n&gt; OLD again\n\n-- \nKim OLD</pre>"),
    ("our marker", "<div>It <b>works</b> now.</div>",
     f"<div>{REPLY_MARKER}</div><table><tr><td>OLD</td><td><img src='https://example.com/logo.png'></td></tr></table>"),
    ("our marker, quoted", "<div>It <b>works</b> now.</div>",
     f"<div>Qillqasqa OLD, help@example.com, 2026:</div><blockquote><div>{REPLY_MARKER}</div><p>OLD</p></blockquote>"),
]  # fmt: skip
_NAMED = [pytest.param(answer, history, id=client) for client, answer, history in REPLIES]


def _words(html):
    return Counter(re.findall(r"\w+", unescape(re.sub(r"<[^>]*>", " ", html))))


@pytest.mark.parametrize(("answer", "history"), _NAMED)
def test_the_answer_is_shown_and_the_history_folded(answer, history):
    folded = fold("", answer + history)
    assert "It <b>works</b> now." in folded.html
    assert "OLD" not in folded.html
    assert folded.text == "It works now."
    assert folded.folded_html.count("OLD") == history.count("OLD")
    assert folded.folded_text.count("OLD") == history.count("OLD")
    assert _words(folded.html) + _words(folded.folded_html) == _words(answer + history)


@pytest.mark.parametrize(("answer", "history"), _NAMED)
def test_history_alone_is_shown_whole(answer, history):
    folded = fold("", history)
    assert (folded.html != "", folded.folded_html, folded.folded_text) == (True, "", "")
    assert folded.html.count("OLD") == history.count("OLD")


@pytest.mark.parametrize(("answer", "history"), _NAMED)
def test_both_parts_survive_the_sanitiser(answer, history):
    folded = fold("", answer + history)
    assert "It <b>works</b> now." in nh3.clean(folded.html)
    assert nh3.clean(folded.folded_html).count("OLD") == history.count("OLD")


def test_the_structure_of_html_folds_the_plain_text_in_a_language_nobody_knows():
    html = REPLIES[1][1] + REPLIES[1][2]
    folded = fold("It works\nnow.\n\nQillqasqa OLD:\n\nOLD\n", html)
    assert (folded.text, folded.folded_text) == ("It works\nnow.", "Qillqasqa OLD:\n\nOLD")


# --- Answers between and below --------------------------------------------------------------------


def _quote(words):
    return f'<blockquote class="gmail_quote" style="{GMAIL_BAR}"><div>{words}</div></blockquote>'


def test_answers_between_quotations_are_shown_with_what_they_answer():
    html = (
        f'<div dir="ltr"><div class="gmail_quote"><div class="gmail_attr">{WROTE}</div>{_quote("Question 1?")}'
        f"<div>Answer 1</div>{_quote('Question 2?')}<div>Answer 2</div>{_quote('OLD')}</div></div>"
    )
    folded = fold("", html)
    assert re.findall(r"(?:Question|Answer) \d", folded.html) == ["Question 1", "Answer 1", "Question 2", "Answer 2"]
    assert ("OLD" in folded.html, "OLD" in folded.folded_html) == (False, True)


def test_an_answer_below_the_history_is_shown_alone():
    html = f'<div class="moz-cite-prefix">{WROTE}</div><blockquote type="cite">OLD</blockquote><p>Below it.</p>'
    folded = fold("", html)
    assert folded.html == "<p>Below it.</p>"
    assert "OLD" in folded.folded_html


def test_what_the_person_indented_or_quoted_from_elsewhere_is_shown():
    indented = '<div>See:</div><blockquote style="margin:0 0 0 40px;border:none;padding:0px">chapter 2</blockquote>'
    assert fold("", indented).folded_html == ""
    assert fold("", "<p>As the manual says</p><blockquote>Switch it off.</blockquote>").folded_html == ""


def test_a_screenshot_is_an_answer_and_a_tracking_pixel_is_none():
    shot = '<div><img src="cid:shot@example.com"></div>'
    assert fold("", f"{shot}<div>{WROTE}</div>{_quote('OLD')}").html == shot
    pixel = f'<p>Yes.</p><div>{WROTE}</div>{_quote("OLD")}<img src="https://example.com/pixel.gif">'
    assert fold("", pixel).html == "<p>Yes.</p>"


# --- Forwards -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forward",
    [
        '<div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>From: <b>Dana</b>'
        "<br>Date: Tue<br>Subject: Invoice<br>To: help<br></div><br>CONTENT</div>",
        '<div class="gmail_quote"><div class="gmail_attr">---------- Qillqa apachisqa ---------<br>Qan: <b>Dana</b>'
        "<br></div><br>CONTENT</div>",
        '<div class="moz-forward-container">-------- Qillqa --------<table><tr><th>Qan: </th><td>Dana</td></tr></table>'
        "<br>CONTENT</div>",
        "<div>Begin forwarded message:</div><br><blockquote type='cite'><div>From: Dana</div>CONTENT</blockquote>",
        '<div id="isForwardContent">CONTENT</div>',
    ],
)
@pytest.mark.parametrize("note", ["", "<div>Please handle this.</div>"])
def test_a_forward_is_shown_with_its_note(forward, note):
    folded = fold("", note + forward)
    assert "CONTENT" in folded.html
    assert folded.folded_html == ""


def test_a_forward_from_outlook_is_told_by_its_subject():
    html = '<p>Please handle this.</p><hr><div id="divRplyFwdMsg"><b>From:</b> Dana</div><p>CONTENT</p>'
    assert "CONTENT" in fold("", html).folded_html
    assert "CONTENT" in fold("", html, forwarded=True).html


# --- Both parts together --------------------------------------------------------------------------


def test_html_that_says_something_else_than_the_text_is_not_shown():
    folded = fold("Please cancel my order of Monday.", "<p>Please pay the attached invoice at once, dear friend.</p>")
    assert (folded.text, folded.html, folded.folded_html) == ("Please cancel my order of Monday.", "", "")


def test_html_that_folds_what_the_text_shows_is_not_shown():
    folded = fold(
        "First part.\n\nSecond part, which is the longer one.", "<p>Hello.</p><hr id=appendonsend><p>First</p>"
    )
    assert (folded.html, folded.folded_html) == ("", "")


def test_a_text_that_only_points_at_the_html_does_not_hide_it():
    html = "<p>Dear customer, " + " ".join(f"word{n}" for n in range(60)) + "</p>"
    assert fold("This is an HTML message. Please use a program that shows HTML.", html).html == html


def test_links_pictures_and_addresses_are_no_difference():
    folded = fold(
        "See our page <https://example.com/a/very/long/path?with=everything> [image: logo] [cid:logo@x]\nKim",
        '<p>See <a href="https://example.com">our page</a> <img src="cid:logo@x" alt="logo"></p><p>Kim</p>',
    )
    assert "our page" in folded.html


def test_without_plain_text_the_text_is_that_of_the_html():
    folded = fold(
        " \n", "<style>p {color: red}</style><h1>Hello</h1><ul><li>one<li>two</ul><table><tr><td>a<td>b</table>"
    )
    assert folded.text.split("\n") == ["Hello", "one", "two", "a b "]
    assert "color" not in folded.html + folded.text


@pytest.mark.parametrize(
    "nothing", ["", " ", "<p></p>", "<!-- x -->", "<", "<html", "\x00", "<br><br>", "<script>x()</script>"]
)
def test_html_without_words_is_none(nothing):
    assert fold("Hello", nothing) == fold("Hello")


def test_html_nested_beyond_reason_is_read_as_text():
    html = "<blockquote>" * 10_000 + "deep words" + "</blockquote>" * 10_000
    assert (fold("Hello", html).html, fold("Hello", html).text) == ("", "Hello")
    assert (fold("", html).html, fold("", html).text) == ("", "deep words")


# --- What holds for every message -----------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        "<div>", "</div>", "<p>", "</p>", "<br>", "<hr>", "word ", "other", "&gt; quoted", WROTE, "wrote:", "&nbsp;",
        "<blockquote>", "</blockquote>",
        '<blockquote type="cite">', '<div class="gmail_quote">', "<b>", "</b>", "<i>",
        '<div class="gmail_attr">', '<div id="appendonsend">', '<div id="divRplyFwdMsg">',
        '<div class="gmail_signature">',
        '<div class="yahoo_quoted">', "<table>", "<tr>", "<td>", "</table>", "<pre>", "</pre>", "-- ", "\n", " ",
        REPLY_MARKER, "From: Dana", "Sent: now", "To: you", "Subject: it", "<script>", "</script>",
        "<!--", "-->", "<",
        '<img src="cid:x">', "\x00", "\ud800", "&#0;", "&#xD800;", "&", "<o:p>", "</o:p>", "<svg>",
        "<math>", "<title>",
        "<textarea>", "<select>", "<plaintext>", "<frameset>", "</html>", "<body class=x>", "<a href='", "Forwarded",
        "---------- Forwarded message ---------", "Sent from my iPhone", '<div style="border-top:solid 1px">', "<?x",
    ]
)  # fmt: skip
_HTML = st.lists(_PIECES, max_size=30).map("".join)


def _letters(text):
    return Counter(letter for letter in text if not letter.isspace() and letter != ">")


@given(_HTML, st.sampled_from(["", "word other", "something else entirely"]), st.booleans())
def test_no_html_raises_and_what_comes_back_can_be_stored(html, text, forwarded):
    folded = fold(text, html, forwarded=forwarded)
    for part in (folded.text, folded.folded_text, folded.html, folded.folded_html):
        assert "\x00" not in part
        part.encode("utf-8")
    assert folded.text or not text
    assert folded.html or not folded.folded_html


@given(_HTML)
def test_no_word_of_the_html_is_lost_between_its_parts(html):
    folded = fold_html(html)
    if folded is None:
        return
    whole = fold_html(folded.html + folded.folded_html)
    assert whole is not None
    assert _letters(whole.text + whole.folded_text) == _letters(folded.text + folded.folded_text)
    assert folded.text.strip()


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=1, max_size=30), st.randoms())
def test_every_word_is_in_just_one_of_the_two_parts(words, chance):
    names = [f"{word}{n}" for n, word in enumerate(words)]
    tags = ["<p>%s</p>", "%s<br>", '<blockquote type="cite">%s</blockquote>', "<div><b>%s</b></div>", "<td>%s</td>"]
    html = "".join(chance.choice(tags) % name for name in names)
    folded = fold_html(html)
    assert folded is not None
    assert _words(folded.html) + _words(folded.folded_html) == Counter(names)
    assert _words(folded.text) + _words(folded.folded_text) == Counter(names)


_LENGTH = 100_000


@pytest.mark.parametrize(
    "unit",
    [
        "<blockquote>", "<blockquote type=cite>x", "x:<blockquote>a</blockquote>",
        "1@ wrote:<blockquote>a</blockquote>",
        "a<br>", "<br>", "<b>a", "<div>a", "<p>a", "x", "<", "&", "&gt;", "<!--", "<pre>a\n", "a\n", "<hr>",
        "<td>a</td>", "<div class=gmail_quote>",
        "<div class=gmail_quote><blockquote>a</blockquote></div>b", "<b><p></b>", "<a b='",
        '<div style="border-top:solid">', '<div style="border-top:solid"><b>a:</b></div>', "<img src=cid:a>",
        "<svg><a>", "<div class=gmail_signature>a</div>", "<table><tr><td>a", "&nbsp;",
        "<a><table>", "<script>", "<style>a",
        "<title>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", ["", "Hello there"])
def test_hostile_html_takes_no_more_time_than_its_length(unit, text):
    html = (unit * (_LENGTH // len(unit) + 1))[:_LENGTH]
    started = time.process_time()
    fold(text, f"Hi {html}")
    # Less than a quarter of a second of one core; what is quadratic takes a minute.
    assert time.process_time() - started < 1


def test_a_text_of_which_the_html_shows_nothing_is_not_hidden():
    folded = fold("word other", '--&gt;<blockquote type="cite">word </blockquote>')
    assert (folded.text, folded.folded_text, folded.html) == ("word other", "", "")
