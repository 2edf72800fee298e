"""Header fields: charsets, encoded words, addresses, ids, dates, and what is missing."""

from datetime import UTC, datetime

import pytest

from tickets.mail.parsing.headers import MAX_REFERENCES, Address, addresses
from tickets.mail.parsing.message import Message, read


def message(*fields: str | bytes, body: bytes = b"Text") -> Message:
    lines = [field.encode() if isinstance(field, str) else field for field in fields]
    return read(b"\n".join([b"MIME-Version: 1.0", *lines, b"", body]))


def subject(value: str | bytes, *more: str) -> str:
    return message(b"Subject: " + (value.encode() if isinstance(value, str) else value), *more).subject


# --- Encoded words (RFC 2047) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?ISO-8859-1?q?a_b=5Fc?=", "a b_c"),
        ("=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a?=\n =?iso-8859-1?Q?=FC?=", "aü"),
        ("=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü"),
        ("=?utf-8?B?w7zDvA==?=\n\t=?utf-8?B?w7w=?=", "üüü"),
        ("=?utf-8?B?44GC44G?= =?utf-8?B?E?=", "あ\ufffd"),
        ("=?utf-8*de?Q?=C3=BC?=", "ü"),
        ("=?utf-8?Q?Really??=", "Really?"),
        ("=?utf-8?Q?with spaces =C3=BC?=", "with spaces ü"),
        ("Re:=?utf-8?Q?=C3=BC?=!", "Re:ü!"),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        ("=?utf-8?B?R3LD!vMOfZQ==?=", "Grüße"),
        ("=?utf-8?B??=", ""),
        ("=?utf-8?Q??= x", "x"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("=?utf-8?Q?never closed", "=?utf-8?Q?never closed"),
        ("=?klingon?Q?=FC?=", "ü"),
        ("=?utf-7?Q?+ADw-?=", "+ADw-"),
        ("=?gb2312?B?udjT2reixrE=?=", "关于发票"),
        ("=?iso-2022-jp?B?GyRCJCIbKEI=?=", "あ"),
        ("=?utf-8?Q?two=0D=0ABcc:_evil@x.test?=", "two Bcc: evil@x.test"),
        ("=?utf-8?Q?a=00b?=", "ab"),
        ("=?utf-8?Q?=ED=A0=80?=", "\ufffd\ufffd\ufffd"),
        ("  plain \t and   spaced  ", "plain and spaced"),
        ("folded\n over\n\tlines", "folded over lines"),
        ("a = b? and =? so ?=", "a = b? and =? so ?="),
    ],
)
def test_subjects_are_read_however_they_are_encoded(written, meant):
    assert subject(written) == meant


@pytest.mark.parametrize(
    ("text", "charset", "declared"),
    [
        ("Grüße aus Köln", "utf-8", ""),
        ("Grüße aus Köln", "latin-1", ""),
        ("お問い合わせの件", "shift_jis", "shift_jis"),
        ("お問い合わせの件について", "shift_jis", ""),
        ("关于发票的问题", "gb18030", "gb18030"),
        ("关于发票的问题", "gb18030", ""),
        ("Вопрос о счёте", "koi8-r", "koi8-r"),
        ("Вопрос о счёте", "koi8-r", ""),
        ("Zażółć gęślą", "iso-8859-2", "iso-8859-2"),
        ("Ερώτηση", "iso-8859-7", "iso-8859-7"),
        ("お問い合わせ", "iso-2022-jp", ""),
    ],
)
def test_raw_bytes_in_a_header_are_read_as_the_text_of_the_message_is(text, charset, declared):
    content_type = f"Content-Type: text/plain; charset={declared}" if declared else "X-Nothing: 1"
    assert subject(text.encode(charset), content_type) == text


def test_of_several_subjects_the_first_counts():
    assert message("Subject: one", "Subject: two").subject == "one"


def test_field_names_are_known_in_any_case_and_with_a_space_before_the_colon():
    found = message("SUBJECT : Hi", "fRoM: a@x.test")
    assert (found.subject, found.sender.email) == ("Hi", "a@x.test")


def test_all_fields_are_kept_decoded_and_in_order():
    found = message("X-One: =?utf-8?Q?=C3=BC?=", "Subject: s", "X-One: 2")
    assert found.headers == (("MIME-Version", "1.0"), ("X-One", "ü"), ("Subject", "s"), ("X-One", "2"))


# --- Addresses (RFC 5322, 3.4) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("ann@x.test", [("ann@x.test", "")]),
        ("Ann@X.Test", [("ann@x.test", "")]),
        ("Ann Example <ann@x.test>", [("ann@x.test", "Ann Example")]),
        ('"Example, Ann" <ann@x.test>, bob@x.test', [("ann@x.test", "Example, Ann"), ("bob@x.test", "")]),
        ("ann@x.test (Ann Example)", [("ann@x.test", "Ann Example")]),
        ("Ann (at home (upstairs)) <ann@x.test>", [("ann@x.test", "Ann")]),
        ("=?utf-8?Q?J=C3=B6rg?= <j@x.test>", [("j@x.test", "Jörg")]),
        ("=?utf-8?Q?Example=2C_Ann?= <ann@x.test>", [("ann@x.test", "Example, Ann")]),
        ("=?utf-8?Q?boss=40bank.test?= <ann@x.test>", [("ann@x.test", "boss@bank.test")]),
        ('"=?utf-8?Q?J=C3=B6rg?=" <j@x.test>', [("j@x.test", "Jörg")]),
        ("'Ann' <ann@x.test>", [("ann@x.test", "Ann")]),
        ("Team: ann@x.test, Bob <bob@x.test>;", [("ann@x.test", ""), ("bob@x.test", "Bob")]),
        ("undisclosed-recipients:;", []),
        ("<@relay.test,@two.test:ann@x.test>", [("ann@x.test", "")]),
        ("=?utf-8?Q?Ann_<ann=40x.test>?=", [("ann@x.test", "Ann")]),
        ("<<ann@x.test>>", [("ann@x.test", "")]),
        ("ann@x.test>", [("ann@x.test", "")]),
        ("mailto:ann@x.test", [("ann@x.test", "")]),
        ("Ann Example", [("", "Ann Example")]),
        ("boss@bank.test <eve@evil.test>", [("eve@evil.test", "boss@bank.test")]),
        ("<ann@x.test> <eve@evil.test>", [("ann@x.test", ""), ("eve@evil.test", "")]),
        ("'ann@x.test' via Group <group@x.test>", [("group@x.test", "'ann@x.test' via Group")]),
        ("Ann [Support] <ann@x.test>", [("ann@x.test", "Ann [Support]")]),
        ("Ann <ann@x.test> via Desk", [("ann@x.test", "Ann")]),
        ("Ann <mailto:ann@x.test>", [("ann@x.test", "Ann")]),
        ("Ann :( <ann@x.test>", [("ann@x.test", "Ann :(")]),
        ("Example, Ann <ann@x.test>, Bob <bob@x.test>", [("ann@x.test", "Example, Ann"), ("bob@x.test", "Bob")]),
        ("Ann <ann@x.test>; Bob <bob@x.test>", [("ann@x.test", "Ann"), ("bob@x.test", "Bob")]),
        ('Ann "Annie <ann@x.test>', [("ann@x.test", 'Ann "Annie')]),
        ("Jörg @ Home <j@x.test>", [("j@x.test", "Jörg @ Home")]),
        ("Ann <>, <>", [("", "Ann")]),
        ("ann@x.test <ann@x.test>", [("ann@x.test", "ann@x.test")]),
        ("a b@x.test", [("b@x.test", "")]),
        ("ann@", []),
        ("@x.test", []),
        ("", []),
        ("<>", []),
        ("ann@x..test", []),
        ('"quoted.part"@x.test', [("quoted.part@x.test", "")]),
        ("jörg@bücher.test", [("jörg@bücher.test", "")]),
        ("Ann \u202eelpmaxE <ann@x.test>", [("ann@x.test", "Ann elpmaxE")]),
    ],
)
def test_addresses_are_read_in_all_their_forms(written, found):
    assert addresses(written) == tuple(Address(*each) for each in found)


@pytest.mark.parametrize(
    ("fields", "email"),
    [
        (["From: a@x.test", "Sender: b@x.test"], "a@x.test"),
        (["From: ", "Sender: b@x.test", "Reply-To: c@x.test"], "b@x.test"),
        (["Reply-To: c@x.test", "Return-Path: <d@x.test>"], "c@x.test"),
        (["Return-Path: <d@x.test>"], "d@x.test"),
        (["From: a@x.test, z@x.test"], "a@x.test"),
        (["From: a@x.test", "From: z@x.test"], "a@x.test"),
        ([], ""),
    ],
)
def test_who_sent_it_is_found_in_the_fields_that_may_say_so(fields, email):
    assert message(*fields).sender.email == email


def test_a_name_without_an_address_goes_with_the_address_that_stands_for_it():
    found = message("From: Ann Example", "Return-Path: <ann@x.test>")
    assert found.sender == Address("ann@x.test", "Ann Example")


def test_recipients_of_repeated_fields_are_put_together():
    found = message("To: a@x.test", "To: b@x.test, a@x.test", "Cc: c@x.test", "Reply-To: r@x.test")
    assert [each.email for each in found.to] == ["a@x.test", "b@x.test"]
    assert [each.email for each in found.cc] == ["c@x.test"]
    assert [each.email for each in found.reply_to] == ["r@x.test"]


def test_whom_it_was_delivered_to_is_read_from_the_servers_fields():
    found = message(
        "Delivered-To: Help+One@desk.test", "X-Original-To: help@desk.test", "Envelope-To: <h@desk.test>",
        "X-Forwarded-To: help@desk.test, sales@desk.test",
    )  # fmt: skip
    assert found.delivered_to == ("help+one@desk.test", "help@desk.test", "h@desk.test", "sales@desk.test")


# --- Ids and dates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("<one@x.test>", "one@x.test"),
        ("  < one@x.test >  ", "one@x.test"),
        ("one@x.test", "one@x.test"),
        ("<one@x\n .test>", "one@x.test"),
        ("=?utf-8?Q?=3Cone=40x.test=3E?=", "one@x.test"),
        ("<no-at>", "no-at"),
        ("<>", ""),
        ("two words", ""),
        ("<" + "a" * 2000 + "@x.test>", ""),
    ],
)
def test_message_ids_are_read(written, read_as):
    assert message(f"Message-ID: {written}").message_id == read_as


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("<1@x> <2@x>", ("1@x", "2@x")),
        ("<1@x>,<2@x>\n\t<1@x>", ("1@x", "2@x")),
        ("<1@x><2@x>", ("1@x", "2@x")),
        ("broken <1@x> <> <2@x", ("1@x",)),
        ("1@x 2@x", ("1@x", "2@x")),
        ("Message from Ann of Monday", ()),
    ],
)
def test_references_are_read_in_their_order_and_broken_ones_dropped(written, read_as):
    found = message(f"References: {written}", f"In-Reply-To: {written}")
    assert (found.references, found.in_reply_to) == (read_as, read_as)


def test_of_a_long_thread_the_first_and_the_newest_ids_are_kept():
    found = message("References: " + " ".join(f"<{number}@x>" for number in range(500))).references
    assert len(found) == MAX_REFERENCES
    assert (found[0], found[1], found[-1]) == ("0@x", "451@x", "499@x")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("Tue, 1 Apr 2025 10:00:00 +0200", datetime(2025, 4, 1, 8, tzinfo=UTC)),
        ("1 Apr 2025 10:00 -0500 (Eastern (daylight))", datetime(2025, 4, 1, 15, tzinfo=UTC)),
        ("Tue, 01 Apr 25 10:00:00 GMT", datetime(2025, 4, 1, 10, tzinfo=UTC)),
        ("Tue, 1 Apr 2025 10:00:00", datetime(2025, 4, 1, 10, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("Tue, 1 Apr 1825 10:00:00 +0000", None),
        ("Tue, 1 Apr 9025 10:00:00 +0000", None),
        ("Tue, 99 Apr 2025 10:00:00 +0000", None),
        ("Tue, 1 Apr 2025 10:00:00 +9999999", None),
        ("9" * 5000, None),
    ],
)
def test_dates_are_read_in_utc_and_absurd_ones_left_out(written, moment):
    assert message(f"Date: {written}").date == moment


def test_too_many_fields_are_cut_and_the_text_is_still_found():
    found = message("From: a@x.test", *(f"X-{number}: v" for number in range(5_000)), body=b"Text")
    assert (found.sender.email, found.text, len(found.headers)) == ("a@x.test", "Text", 1_000)
    assert "a header too long to be read to its end" in found.problems
