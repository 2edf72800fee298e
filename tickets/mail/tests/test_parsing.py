"""What a message says: its text, its HTML and its files, from all the ways mail programs pack them."""

import base64
import quopri

import pytest

from tickets.mail.parsing.bodies import unflowed
from tickets.mail.parsing.html import to_text
from tickets.mail.parsing.message import Message, Unreadable, read

HEADER = (
    "From: Ann Example <ann@customer.test>\nTo: help@desk.test\nSubject: A question\n"
    "Date: Tue, 1 Apr 2025 10:00:00 +0200\nMessage-ID: <one@customer.test>\nMIME-Version: 1.0\n"
)


def leaf(content_type: str, body: str | bytes, **fields: str) -> bytes:
    """One part: a Content-Type, further fields (`content_id="<a>"`), and its body as it goes over the wire."""
    lines = [f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in fields.items()]
    return "\n".join(lines).encode() + b"\n\n" + (body.encode() if isinstance(body, str) else body)


def multi(kind: str, *parts: bytes, boundary: str = "", close: bool = True, **parameters: str) -> bytes:
    boundary = boundary or f"b-{kind}-{len(parts)}"
    more = "".join(f'; {name}="{value}"' for name, value in parameters.items())
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"{more}\n\n'.encode()
    body = b"".join(b"--" + boundary.encode() + b"\n" + part + b"\n" for part in parts)
    return head + body + (b"--" + boundary.encode() + b"--\n" if close else b"")


def message(body: bytes) -> Message:
    return read(HEADER.encode() + body)


def file_of(content_type: str, content: bytes, name: str = "", **fields: str) -> bytes:
    disposition = f'attachment; filename="{name}"' if name else "attachment"
    fields.setdefault("content_disposition", disposition)
    return leaf(content_type, base64.encodebytes(content), content_transfer_encoding="base64", **fields)


PLAIN = leaf("text/plain; charset=utf-8", "Hello\n")
HTML = leaf("text/html; charset=utf-8", "<p>Hello <b>there</b></p>\n")


def test_a_plain_message_is_read():
    found = message(b"\nHello,\n\nmy printer is on fire.\n")
    assert found.text == "Hello,\n\nmy printer is on fire."
    assert (found.html, found.files, found.problems) == ("", (), ())
    assert (found.sender.email, found.sender.name, found.subject) == ("ann@customer.test", "Ann Example", "A question")
    assert found.message_id == "one@customer.test"


def test_of_two_ways_to_say_it_both_are_kept():
    found = message(multi("alternative", PLAIN, HTML))
    assert found.text == "Hello"
    assert found.html.strip() == "<p>Hello <b>there</b></p>"
    assert found.files == ()


def test_html_alone_is_read_as_text():
    assert message(HTML).text == "Hello there"


def test_a_blank_plain_way_gives_way_to_the_html():
    assert message(multi("alternative", leaf("text/plain", " \n\n"), HTML)).text == "Hello there"


def test_the_plain_text_counts_even_behind_the_html():
    assert message(multi("alternative", HTML, PLAIN)).text == "Hello"


def test_texts_between_files_are_read_in_their_order():
    found = message(
        multi(
            "mixed",
            leaf("text/plain", "Before"),
            file_of("application/pdf", b"%PDF", "bill.pdf"),
            leaf("text/plain", "After"),
        )
    )
    assert found.text == "Before\n\nAfter"
    assert [(file.name, file.content_type, file.content) for file in found.files] == [
        ("bill.pdf", "application/pdf", b"%PDF")
    ]


def test_html_with_a_plain_text_behind_it_shows_both():
    found = message(multi("mixed", multi("alternative", PLAIN, HTML), leaf("text/plain", "List <footer>")))
    assert found.text == "Hello\n\nList <footer>"
    assert "Hello <b>there</b>" in found.html and "List &lt;footer&gt;" in found.html


def test_images_of_the_html_are_inline_and_others_are_not():
    sent = leaf("text/html", '<p>Look: <img src="cid:shot@here"></p>')
    shown = file_of("image/png", b"PNG1", "a.png", content_id="<shot@here>", content_disposition="inline")
    unused = file_of("image/png", b"PNG2", "b.png", content_id="<other@here>")
    found = message(multi("related", sent, shown, unused))
    assert [(file.content_id, file.is_inline) for file in found.files] == [("shot@here", True), ("other@here", False)]


def test_an_image_can_be_named_by_its_location():
    sent = leaf("text/html", '<img src="http://x.test/logo.gif">Hi')
    found = message(
        multi("related", sent, file_of("image/gif", b"GIF", "logo.gif", content_location="http://x.test/logo.gif"))
    )
    assert found.files[0].is_inline


def test_the_root_of_a_compound_may_stand_last():
    picture = file_of("image/png", b"PNG", "a.png", content_id="<a>")
    found = message(multi("related", picture, leaf("text/html", "<p>Root</p>", content_id="<r>"), start="<r>"))
    assert found.text == "Root"


def test_nested_parts_are_read_to_the_bottom():
    inner = multi("alternative", PLAIN, multi("related", HTML, file_of("image/png", b"P", "p.png")))
    found = message(multi("mixed", inner, file_of("text/csv", b"a,b", "t.csv"), boundary="outer"))
    assert found.text == "Hello"
    assert [file.name for file in found.files] == ["p.png", "t.csv"]


@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_a_text_sent_as_an_attachment_is_a_file(kind):
    found = message(multi("mixed", PLAIN, file_of(kind, b"log line", "log.txt")))
    assert found.text == "Hello"
    assert found.files[0].content == b"log line"


def test_a_named_text_after_the_first_is_a_file():
    found = message(multi("mixed", PLAIN, leaf('text/plain; name="notes.txt"', "notes")))
    assert found.text == "Hello" and found.files[0].name == "notes.txt"


def test_a_body_that_has_a_name_is_still_the_body():
    assert message(leaf('text/plain; name="body.txt"', "Hello")).text == "Hello"


def test_an_attached_message_is_kept_whole_under_its_subject():
    inner = b"From: bob@x.test\nSubject: Inner: one/two\n\nSecret of the inner\n"
    found = message(multi("mixed", PLAIN, leaf("message/rfc822", inner)))
    assert found.text == "Hello"
    assert (found.files[0].name, found.files[0].content_type) == ("Inner one-two.eml", "message/rfc822")
    assert found.files[0].content.strip() == inner.strip()


def test_a_message_that_is_nothing_but_another_one_keeps_it_as_a_file():
    found = message(leaf("message/rfc822", "From: bob@x.test\nSubject: Old\n\nText\n"))
    assert found.text == "" and found.files[0].name == "Old.eml"


@pytest.mark.parametrize(
    "content_type",
    ['message/partial; id="a@b"; number=1; total=3', 'message/external-body; access-type=URL; URL="http://x.test/f"'],
)
def test_what_is_only_a_piece_of_a_message_is_kept_as_a_file(content_type):
    found = message(multi("mixed", PLAIN, leaf(content_type, "Content-Type: text/plain\n\nrest")))
    assert found.text == "Hello" and found.files[0].name.endswith(".eml")
    assert b"rest" in found.files[0].content


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/ms-tnef", "winmail.dat"),
        ("text/calendar; method=REQUEST", "invite.ics"),
        ("application/pkcs7-mime; smime-type=enveloped-data", "smime.p7m"),
    ],
)
def test_what_only_special_programs_read_is_kept_as_a_file(content_type, name):
    part = leaf(content_type, base64.encodebytes(b"raw"), content_transfer_encoding="base64")
    found = message(multi("mixed", PLAIN, part))
    assert [(file.name, file.content) for file in found.files] == [(name, b"raw")]


def test_an_invitation_among_the_ways_to_say_it_is_a_file():
    found = message(multi("alternative", PLAIN, HTML, leaf("text/calendar", "BEGIN:VCALENDAR")))
    assert found.text == "Hello" and found.files[0].name == "invite.ics"


def test_signed_mail_is_read_and_its_signature_kept():
    signature = leaf("application/pgp-signature", "-----BEGIN PGP SIGNATURE-----")
    found = message(multi("signed", PLAIN, signature, protocol="application/pgp-signature"))
    assert found.text == "Hello" and found.files[0].name == "signature.asc"


def test_encrypted_mail_is_kept_whole():
    found = message(
        multi(
            "encrypted",
            leaf("application/pgp-encrypted", "Version: 1"),
            leaf('application/octet-stream; name="encrypted.asc"', "-----BEGIN PGP MESSAGE-----"),
        )
    )
    assert found.text == ""
    assert [file.name for file in found.files] == ["version.asc", "encrypted.asc"]


def test_a_digest_holds_messages_unless_it_says_otherwise():
    found = message(multi("digest", b"\nFrom: a@x.test\nSubject: First\n\none"))
    assert found.files[0].content_type == "message/rfc822" and found.files[0].name == "First.eml"


def test_flowed_paragraphs_are_put_together():
    flowed = "This is one \nparagraph.\n>> quoted \n>> too\n> less\n-- \nAnn\n From stuffed\n"
    assert message(leaf("text/plain; format=flowed", flowed)).text == (
        "This is one paragraph.\n>> quoted too\n> less\n-- \nAnn\nFrom stuffed"
    )


def test_with_delsp_the_space_belongs_to_the_mark():
    assert unflowed("日本 \n語", delsp=True) == "日本語"


def test_uuencoded_files_in_a_text_are_taken_out():
    body = "Here it is:\n\nbegin 644 cat.txt\n#0V%T\n`\nend\n\nBye\n"
    found = message(leaf("text/plain", body))
    assert [(file.name, file.content) for file in found.files] == [("cat.txt", b"Cat")]
    assert found.text == "Here it is:\n\n\nBye"


def test_a_sentence_that_begins_with_begin_stays():
    text = "begin 644 things at once\nand never end"
    assert message(leaf("text/plain", text)).text == text


# --- Broken bodies ----------------------------------------------------------------------------------------------------


def test_broken_base64_is_read_as_far_as_it_goes():
    found = message(leaf("text/plain", "SGVsbG8gd29ybGQ\n", content_transfer_encoding="base64"))
    assert found.text == "Hello world"
    assert (
        message(leaf("text/plain", "SGVs*bG8!!gd29y\nbGQhA", content_transfer_encoding="base64")).text == "Hello world!"
    )


def test_padded_pieces_of_base64_in_a_row_are_all_read():
    pieces = b"\n".join(base64.b64encode(word) for word in (b"One ", b"two ", b"three"))
    found = message(multi("mixed", PLAIN, leaf("application/x", pieces, content_transfer_encoding="base64")))
    assert found.files[0].content == b"One two three"


def test_a_list_footer_behind_base64_does_not_spoil_it():
    body = base64.encodebytes(b"Hello there") + b"\n_____\nMailing list of the club\n"
    assert message(leaf("text/plain", body, content_transfer_encoding="base64")).text == "Hello there"


def test_broken_quoted_printable_is_read_as_far_as_it_goes():
    found = message(
        leaf("text/plain; charset=utf-8", "Gr=C3=BC=DF=ZZe=\n=", content_transfer_encoding="Quoted-Printable")
    )
    assert found.text.startswith("Grü") and found.text.endswith("=ZZe")


def test_an_unknown_transfer_encoding_leaves_the_text_as_it_is():
    found = message(leaf("text/plain", "Hello", content_transfer_encoding="x-strange"))
    assert found.text == "Hello" and "unknown transfer encoding 'x-strange'" in found.problems


def test_a_cut_multipart_keeps_what_came():
    found = message(multi("mixed", PLAIN, file_of("image/png", b"PNG", "a.png"), close=False))
    assert found.text == "Hello" and found.files[0].content == b"PNG"
    assert "a multipart that is cut off" in found.problems


def test_a_multipart_without_its_boundary_is_guessed():
    whole = multi("alternative", PLAIN, HTML, boundary="lost").replace(b'; boundary="lost"', b"")
    assert message(whole).text == "Hello"


def test_a_boundary_that_never_comes_leaves_a_text():
    found = message(b'Content-Type: multipart/mixed; boundary="x"\n\nJust a text\n')
    assert found.text == "Just a text" and "a multipart whose boundary never comes" in found.problems


def test_an_inner_boundary_that_begins_like_the_outer_one_is_told_apart():
    inner = multi("alternative", PLAIN, HTML, boundary="b1")
    found = message(multi("mixed", inner, file_of("text/csv", b"1", "t.csv"), boundary="b"))
    assert (found.text, len(found.files)) == ("Hello", 1)


def test_an_encoded_multipart_is_read_though_it_is_forbidden():
    head, _, body = multi("mixed", PLAIN, file_of("image/png", b"PNG", "a.png"), boundary="x").partition(b"\n\n")
    found = message(head + b"\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(body))
    assert found.text == "Hello" and found.files[0].content == b"PNG"


@pytest.mark.parametrize("declared", ["text", "plain", "garbage; x", "", "text/", '"text/plain"'])
def test_a_content_type_that_is_none_means_plain_text(declared):
    assert message(b"Content-Type: " + declared.encode() + b"\n\nHello").text == "Hello"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r", b"\r\r\n"])
def test_every_line_end_is_understood(line_end):
    raw = (HEADER.encode() + multi("mixed", PLAIN, leaf("text/plain", "More"))).replace(b"\n", line_end)
    found = read(raw)
    assert found.text.replace("\n\n\n", "\n\n") == "Hello\n\nMore"
    assert found.subject == "A question"


def test_mixed_line_ends_are_understood():
    found = read(b"From: a@x.test\r\nSubject: Mixed\n\r\nOne\rTwo\r\nThree\n")
    assert (found.subject, found.text) == ("Mixed", "One\nTwo\nThree")


def test_a_lone_cr_cannot_slip_a_field_in():
    found = read(b"From: a@x.test\r\nSubject: Hi\rAuto-Submitted: no\rBcc: evil@x.test\r\n\r\nText")
    assert found.subject == "Hi Auto-Submitted: no Bcc: evil@x.test"
    assert [name for name, _ in found.headers] == ["From", "Subject"]


@pytest.mark.parametrize(
    "before", [b"From ann@x.test Tue Apr  1 10:00:00 2025\n", b"\xef\xbb\xbf", b"\r\n\n", b"\0\0", b">From x\n"]
)
def test_what_stands_before_the_header_is_passed_over(before):
    assert message(b"\nHello").text == read(before + HEADER.encode() + b"\nHello").text
    assert read(before + HEADER.encode() + b"\nHello").subject == "A question"


@pytest.mark.parametrize("order", ["utf-16", "utf-16-be"])
def test_a_whole_message_in_utf_16_is_read(order):
    text = HEADER + "\nGrüße"
    raw = ("\ufeff" + text).encode(order) if order == "utf-16-be" else text.encode(order)
    assert read(raw).text == "Grüße"


@pytest.mark.parametrize(
    "text", ["Just some words\nwithout any header", "Hello: this is a text\n\nwith a colon", "http://x.test/"]
)
def test_bytes_without_a_header_are_a_text(text):
    found = read(text.encode())
    assert found.text == text
    assert (found.sender.email, found.message_id, found.subject, found.date) == ("", "", "", None)
    assert {"no header", "no Message-ID", "no Date", "no sender's address"} <= set(found.problems)


def test_a_missing_blank_line_loses_no_text():
    found = read(HEADER.encode() + b"Hello there\nmy printer is on fire\n")
    assert found.text == "Hello there\nmy printer is on fire"


def test_a_broken_line_in_the_header_does_not_end_it():
    found = read(b"From: a@x.test\nthis is no field\nSubject: Still here\n\nText")
    assert (found.subject, found.text) == ("Still here", "Text")
    assert any("this is no field" in problem for problem in found.problems)


def test_a_header_without_a_body_is_a_message():
    assert read(HEADER.encode()).text == ""


@pytest.mark.parametrize("raw", [b"", b"\n\n", b" \t\r\n", b"\0\0\0"])
def test_nothing_is_no_message(raw):
    with pytest.raises(Unreadable, match="empty"):
        read(raw)


def test_nul_bytes_and_control_characters_never_reach_the_result():
    found = read(b"From: a\0b@x.test\nSubject: a\0b\x07c\x1b\n\nT\0e\x08xt\x0c\n")
    assert (found.subject, found.text) == ("abc", "Text")


# --- Charsets of bodies -----------------------------------------------------------------------------------------------

GREETINGS = {
    "iso-8859-1": "Grüße aus Köln",
    "ISO-8859-15": "Preis: 5 €",
    "windows-1252": "“Curly” – dash",
    "iso-8859-2": "Zażółć gęślą jaźń",
    "koi8-r": "Привет, вопрос о счёте",
    "windows-1251": "Привет",
    "iso-8859-7": "Καλημέρα",
    "iso-8859-8-i": "שלום",
    "windows-1256": "مرحبا",
    "shift_jis": "お問い合わせ",
    "x-sjis": "①お問い合わせ",
    "iso-2022-jp": "お問い合わせ",
    "euc-jp": "お問い合わせ",
    "gb2312": "关于发票的问题",
    "gb18030": "关于发票的问题",
    "big5": "請問發票",
    "euc-kr": "견적 문의",
    "ks_c_5601-1987": "견적 문의 똠방",
    "windows-874": "สวัสดี",
    "tis-620": "สวัสดี",
    "cp-850": "Grüße",
    "utf8mb4": "Grüße 😀",
    "utf-16": "Grüße",
    "utf-16-le": "Grüße",
    "UTF-8": "Grüße 😀",
    "'utf-8'": "Grüße",
    "macintosh": "Grüße",
}
_PYTHON = {
    "iso-8859-8-i": "iso8859-8", "x-sjis": "cp932", "ks_c_5601-1987": "cp949", "windows-874": "cp874",
    "cp-850": "cp850", "utf8mb4": "utf-8", "'utf-8'": "utf-8", "macintosh": "mac-roman",
}  # fmt: skip


@pytest.mark.parametrize("charset", GREETINGS)
def test_texts_in_every_declared_charset_are_read(charset):
    text = GREETINGS[charset]
    data = base64.encodebytes(text.encode(_PYTHON.get(charset, charset)))
    found = message(leaf(f'text/plain; charset="{charset}"', data, content_transfer_encoding="base64"))
    assert found.text == text
    assert found.problems == ()


@pytest.mark.parametrize(
    ("declared", "written", "text"),
    [
        ("us-ascii", "utf-8", "Grüße"),
        ("us-ascii", "latin-1", "Grüße aus Köln"),
        ("iso-8859-1", "utf-8", "Grüße"),
        ("utf-8", "latin-1", "Grüße aus Köln"),
        ("utf-8", "koi8-r", "Привет, вопрос о счёте"),
        ("klingon-5", "utf-8", "Grüße"),
        ("", "utf-8", "Grüße"),
        ("", "cp1252", "Grüße – 5 €"),
        ("", "cp932", "お問い合わせの件について"),
        ("", "gb18030", "关于发票的问题"),
        ("", "koi8-r", "Вопрос о счёте"),
        ("", "cp1251", "Вопрос о счёте"),
        ("", "cp949", "견적 문의 드립니다"),
        ("", "iso2022_jp", "お問い合わせ"),
        ("utf-16", "ascii", "Hello"),
        ("utf-16", "utf-16-be", "日本語"),
    ],
)
def test_a_wrong_or_missing_charset_is_guessed(declared, written, text):
    parameter = f"; charset={declared}" if declared else ""
    assert message(leaf(f"text/plain{parameter}", text.encode(written))).text == text


def test_a_few_foreign_bytes_do_not_change_how_the_rest_is_read():
    found = message(leaf("text/plain; charset=utf-8", "Grüße, schöne Straße ".encode() + b"\xff"))
    assert found.text == "Grüße, schöne Straße \ufffd"


@pytest.mark.parametrize(
    "charset", ["utf-7", "unicode-1-1-utf-7", "idna", "punycode", "unicode_escape", "rot13", "hex", "zlib"]
)
def test_codecs_that_are_no_charsets_are_refused(charset):
    text = "+ADw-script+AD4- \\u003c 68656c6c6f"
    found = message(leaf(f"text/plain; charset={charset}", text))
    assert found.text == text
    assert any("unknown charset" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html (a comment)",
        "text/html charset=koi8-r",
        "text/html; charset=koi8-r (Russian)",
        "TEXT/HTML;Charset=KOI8-R;",
    ],
)
def test_a_carelessly_written_content_type_is_read(content_type):
    body = "<meta charset=koi8-r><p>Привет</p>".encode("koi8-r")
    assert message(leaf(content_type, body)).text == "Привет"


def test_html_that_is_no_ascii_as_it_says_is_read_in_the_charset_it_names():
    body = "<meta charset=koi8-r><p>Привет</p>".encode("koi8-r")
    assert message(leaf("text/html; charset=us-ascii", body)).text == "Привет"


def test_html_may_declare_its_charset_itself():
    page = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=koi8-r"></head><p>Привет</p>'
    assert message(leaf("text/html", page.encode("koi8-r"))).text == "Привет"


def test_quoted_printable_of_another_charset_is_read():
    body = quopri.encodestring("Grüße".encode("cp1252"))
    assert (
        message(leaf("text/plain; charset=cp1252", body, content_transfer_encoding="quoted-printable")).text == "Grüße"
    )


# --- HTML as text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>Two", "One\nTwo"),
        ("<ul><li>One<li>Two</ul>", "* One\n  * Two"),
        ("<table><tr><td>Item<td>Price<tr><td>Tea<td>5</table>", "Item  Price\nTea   5"),
        ('<a href="https://x.test/a">the manual</a>', "the manual (https://x.test/a)"),
        ('<a href="https://www.x.test/">x.test</a>', "x.test"),
        ('<a href="mailto:ann@x.test">ann@x.test</a>', "ann@x.test"),
        ('<a href="https://x.test/?a=1&amp;b=2">this</a>', "this (https://x.test/?a=1&b=2)"),
        ('<a href="javascript:alert(1)">click</a>', "click"),
        ('<a href="java\nscript:alert(1)">click</a>', "click"),
        ("a&nbsp;b &lt;c&gt; &amp;", "a b <c> &"),
        ("<div>One</div><div>&nbsp;</div><div>\u00a0\u00a0Two</div>", "One\n\n  Two"),
        ("<style>p{}</style><script>alert(1)</script><title>T</title><p>Text</p><!-- no -->", "Text"),
        ('Text<img src="http://tracker.test/x.gif" width=1 height=1 alt="pixel">', "Text"),
        ("<div>One</div><div>Two</div><div><br></div><div>Three</div>", "One\nTwo\n\nThree"),
        ("<blockquote>quoted</blockquote>", "> quoted"),
        (
            "<p>Thanks</p><div>On Monday Desk wrote:</div><blockquote>One<p>Two</p><blockquote>Old</blockquote>"
            "</blockquote>After",
            "Thanks\n\nOn Monday Desk wrote:\n> One\n>\n> Two\n>\n>> Old\nAfter",
        ),
        ("\ue000private\ue001", "private"),
        ('<a href="#top">top</a> <a href="/a/b">here</a>', "top here"),
        ("<p>&#0;&#xD800;x</p>", "\ufffd\ufffdx"),
        ("not <b>closed", "not closed"),
        ("", ""),
    ],
)
def test_html_reads_as_a_person_would_see_it(html, text):
    assert to_text(html).strip() == text


def test_quotes_are_marked_even_where_the_layout_is_given_up():
    html = "<p>New" + "<b></b>" * 30_000 + "</p><blockquote type=cite>Old<br>words</blockquote>"
    assert to_text(html) == "New\n\n> Old\n> words"


@pytest.mark.parametrize("html", ["<div>" * 400 + "<p>Deep words</p>", "<p>" + "<b>x</b>" * 30_000 + "Deep words"])
def test_html_too_intricate_to_lay_out_keeps_its_words(html):
    assert "Deep words" in to_text("<style>no</style><!-- no -->" + html)
    assert "no" not in to_text("<style>no</style><!-- no -->" + html)


# --- Names of files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ('filename="a.pdf"', "a.pdf"),
        ("filename=a.pdf", "a.pdf"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\Users\\ann\\bill.pdf"', "bill.pdf"),
        ('filename="bill\u202efdp.exe"', "bill fdp.exe"),
        ('filename="a\x01b.txt"', "ab.txt"),
        ("filename*=UTF-8''%E2%82%AC%20rates.pdf", "€ rates.pdf"),
        ("filename*=iso-8859-1'en'%A3%20rates.pdf", "£ rates.pdf"),
        ("filename*0*=UTF-8''%e2%82; filename*1*=%ac.pdf", "€.pdf"),
        ('filename*0="long "; filename*1="name"; filename*2=.txt', "long name.txt"),
        ("filename*1=b.txt; filename*0=a", "ab.txt"),
        ("filename*0*=utf-8''%C3%A4; filename*1=\" b.txt\"", "ä b.txt"),
        ("filename=\"plain.txt\"; filename*=utf-8''b%C3%A4r.txt", "bär.txt"),
        ('filename="=?utf-8?Q?=C3=A4.txt?="', "ä.txt"),
        ('filename="=?utf-8?B?w6Q=?= =?utf-8?B?w6QudHh0?="', "ää.txt"),
        ("filename*=klingon''%E4.txt", "ä.txt"),
        ("filename*=utf-8''%", "%"),
        ('filename="a;b.txt"', "a;b.txt"),
        ('filename="say \\"hi\\".txt"', "say hi .txt"),
        ('filename="', ""),
        ('filename="..."', ""),
    ],
)
def test_file_names_are_read_however_they_are_written(parameter, name):
    part = leaf("application/pdf", "x", content_disposition="attachment; " + parameter)
    assert message(multi("mixed", PLAIN, part)).files[0].name == (name or "file-1.pdf")


def test_raw_bytes_in_a_file_name_are_read():
    part = b'Content-Type: image/png; name="b\xc3\xa4r.png"\n\nPNG'
    assert message(multi("mixed", PLAIN, part)).files[0].name == "bär.png"


def test_a_long_file_name_keeps_its_extension():
    part = leaf("application/pdf", "x", content_disposition=f'attachment; filename="{"a" * 400}.pdf"')
    name = message(multi("mixed", PLAIN, part)).files[0].name
    assert len(name) == 150 and name.endswith("a.pdf")


def test_files_without_names_get_one_from_their_type():
    found = message(
        multi("mixed", leaf("image/jpeg", "x"), leaf("application/pdf", "x"), leaf("application/x-odd", "x"))
    )
    assert [file.name for file in found.files] == ["image-1.jpg", "file-2.pdf", "file-3.bin"]
