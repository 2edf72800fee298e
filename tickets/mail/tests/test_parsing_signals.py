"""What a message is besides its words: automatic, a delivery report, spam, vouched for."""

import time

import pytest

from tickets.mail.parsing.authentication import verified
from tickets.mail.parsing.message import Message, read


def message(*fields: str, body: str = "Text", envelope_from: str | None = None) -> Message:
    header = [*([] if any(each.startswith("From:") for each in fields) else ["From: ann@customer.test"]), *fields]
    return read("\n".join([*header, "", body]).encode(), envelope_from=envelope_from)


# --- Automatic mail (RFC 3834) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("Auto-Submitted: auto-replied", "auto_submitted"),
        ("Auto-Submitted: auto-generated; owner-email=x@x.test", "auto_submitted"),
        ("auto-submitted: AUTO-NOTIFIED", "auto_submitted"),
        ("Auto-Submitted: no", ""),
        ("Auto-Submitted: No (a person wrote this)", ""),
        ("Precedence: bulk", "precedence"),
        ("Precedence: Junk", "precedence"),
        ("Precedence: list", "precedence"),
        ("Precedence: auto_reply", "precedence"),
        ("Precedence: normal", ""),
        ("X-Auto-Response-Suppress: All", "x_auto_response_suppress"),
        ("X-Auto-Response-Suppress: DR, OOF, AutoReply", "x_auto_response_suppress"),
        ("X-Auto-Response-Suppress: None", ""),
        ("X-Auto-Response-Suppress: DR, RN, NRN", ""),
        ("List-Id: <news.x.test>", "list_id"),
        ("List-Unsubscribe: <mailto:off@x.test>", "list_unsubscribe"),
        ("X-Autoreply: yes", "autoreply_header"),
        ("X-Autorespond: vacation", "autoreply_header"),
        ("X-Autoreply: no", ""),
        ("X-Loop: help@desk.test", "x_loop"),
        ("Return-Path: <>", "empty_return_path"),
        ("Return-Path: <ann@customer.test>", ""),
        ("Content-Type: multipart/report; report-type=disposition-notification; boundary=x", "report"),
        ("From: MAILER-DAEMON@x.test", "mailer_daemon"),
        ("Subject: Automatic reply: your ticket", "absence_subject"),
        ("Subject: Abwesenheitsnotiz: Urlaub", "absence_subject"),
        ("Subject: Automatische Antwort: Urlaub", "absence_subject"),
        ("Subject: =?utf-8?Q?R=C3=A9ponse_automatique_:_absent?=", "absence_subject"),
        ("Subject: 自动答复: 休假", "absence_subject"),
        ("Subject: Re: Automatic reply: your ticket", ""),
        ("Subject: Out of office hours, whom do I call?", ""),
        ("Subject: Automatic replies do not work", ""),
    ],
)
def test_automatic_mail_is_told_by_its_fields(field, code):
    assert message(field).automatic == code


@pytest.mark.parametrize(
    ("envelope_from", "code"), [("", "empty_return_path"), ("<>", "empty_return_path"), ("a@x.test", ""), (None, "")]
)
def test_the_null_sender_of_the_envelope_makes_it_automatic(envelope_from, code):
    assert message(envelope_from=envelope_from).automatic == code


# --- Delivery reports (RFC 3464) --------------------------------------------------------------------------------------

STANDARD = """\
--x
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test
Arrival-Date: Tue, 1 Apr 2025 10:00:00 +0000

{recipients}
--x
Content-Type: {returned}

From: help@desk.test
To: ann@customer.test
Subject: Re: A question
Message-ID: <t1.c2@desk.test>

Our answer
--x--
"""


def report_of(recipients: str, returned: str = "message/rfc822"):
    return message(
        "From: MAILER-DAEMON@mx.test",
        "Return-Path: <>",
        "Subject: Undelivered Mail Returned to Sender",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"',
        body=STANDARD.format(recipients=recipients, returned=returned),
    ).report


FAILED = (
    "Final-Recipient: rfc822; Ann@customer.test\nAction: failed\nStatus: 5.1.1\n"
    "Diagnostic-Code: smtp; 550 5.1.1\n User unknown"
)


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers"])
def test_a_standard_report_names_recipient_status_and_message(returned):
    found = report_of(FAILED, returned)
    assert found.kind == "failed" and found.is_permanent
    assert found.recipients == (("ann@customer.test", "5.1.1", "failed", "550 5.1.1 User unknown"),)
    assert found.original_message_ids == ("t1.c2@desk.test",)


def test_the_original_recipient_counts_before_the_one_it_was_forwarded_to():
    found = report_of(FAILED.replace("Final-", "Original-Recipient: rfc822; sales@customer.test\nFinal-"))
    assert found.recipients[0][0] == "sales@customer.test"


@pytest.mark.parametrize(
    ("action", "status", "kind", "is_permanent"),
    [
        ("failed", "5.1.1", "failed", True),
        ("failed", "5.0.0", "failed", True),
        ("failed", "5.2.2", "failed", False),
        ("failed", "5.7.1", "failed", False),
        ("failed", "4.4.7", "failed", False),
        ("delayed", "4.4.1", "delayed", False),
        ("delivered", "2.0.0", "delivered", False),
        ("relayed", "2.0.0", "relayed", False),
        ("", "5.1.2", "failed", True),
    ],
)
def test_reports_say_what_became_of_it_and_whether_it_will_stay_so(action, status, kind, is_permanent):
    found = report_of(f"Final-Recipient: rfc822; a@x.test\nAction: {action}\nStatus: {status} (words)")
    assert (found.kind, found.is_permanent) == (kind, is_permanent)


def test_a_report_about_several_recipients_names_them_all():
    found = report_of(FAILED + "\n\nFinal-Recipient: rfc822; bob@x.test\nAction: delivered\nStatus: 2.1.5")
    assert [(address, action) for address, _, action, _ in found.recipients] == [
        ("ann@customer.test", "failed"),
        ("bob@x.test", "delivered"),
    ]
    assert found.kind == "failed"


FREE_FORM = {
    "of qmail": (
        ["From: MAILER-DAEMON@mx.test", "Subject: failure notice"],
        "Hi. This is the qmail-send program at mx.test.\n\n<ann@customer.test>:\n"
        "Sorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n"
        "Message-ID: <t1.c2@desk.test>\nTo: ann@customer.test\n",
    ),
    "of Exim": (
        ["From: Mailer-Daemon@mx.test", "Subject: Mail delivery failed: returning message to sender",
         "X-Failed-Recipients: ann@customer.test"],
        "A message that you sent could not be delivered.\n\n  ann@customer.test\n"
        "    host mx2.test: 550 No such user here\n\n"
        "------ This is a copy of the message, including all the headers. ------\n\nMessage-Id: <t1.c2@desk.test>\n",
    ),
    "of an old Exchange": (
        ["From: postmaster@customer.test", "Subject: Undeliverable: Re: A question"],
        "Your message did not reach some or all of the intended recipients.\n\n"
        "The following recipient could not be reached:\n\n"
        "'Ann' <ann@customer.test>\n  #550 5.1.1 RESOLVER.ADR.RecipNotFound ##\n\nMessage-ID: <t1.c2@desk.test>\n",
    ),
    "in German": (
        ["From: postmaster@customer.test", "Subject: Unzustellbar: Re: A question"],
        "<ann@customer.test>: 550 User unknown\n\nMessage-ID: <t1.c2@desk.test>\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FREE_FORM)
def test_reports_of_no_standard_are_known_by_their_words(kind):
    fields, body = FREE_FORM[kind]
    found = message(*fields, body=body).report
    assert found.kind == "failed" and found.is_permanent
    assert [(address, status) for address, status, _, _ in found.recipients] == [("ann@customer.test", "5.1.1")]
    assert found.original_message_ids[0] == "t1.c2@desk.test"


def test_a_report_whose_machine_readable_part_is_missing_is_read_by_its_words():
    found = message(
        "From: system@mx.test",
        "Subject: Problem",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"',
        body="--x\n\n<ann@customer.test>: 550 5.1.1 User unknown\n--x--\n",
    ).report
    assert [(address, status) for address, status, _, _ in found.recipients] == [("ann@customer.test", "5.1.1")]


def test_a_warning_that_it_takes_longer_is_no_failure():
    found = message(
        "From: MAILER-DAEMON@mx.test",
        "Subject: Warning: message 1abc delayed 24 hours",
        body="A message could not be delivered yet. It will be retried.\n\n  ann@customer.test\n",
    ).report
    assert (found.kind, found.is_permanent) == ("delayed", False)


@pytest.mark.parametrize(
    "fields",
    [
        ["Subject: Undeliverable: my parcel"],
        ["Subject: Returned mail in my inbox", "From: ann@customer.test"],
        ["From: postmaster@customer.test", "Subject: Our server moves"],
    ],
)
def test_a_person_who_writes_about_mail_is_no_report(fields):
    assert message(*fields, body="550 5.1.1 <ann@customer.test>").report is None


# --- Spam -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("X-Spam-Flag: YES", "X-Spam-Flag"),
        ("X-Spam-Status: Yes, score=7.1 required=5.0", "X-Spam-Status"),
        ("X-Spam-Status: No, score=-1.0", ""),
        ("X-Spam-Flag: NO", ""),
        ("x-spam: Yes", "X-Spam"),
        ("X-Spamd-Result: default: True [16.00 / 15.00]", "X-Spamd-Result"),
        ("X-Spamd-Result: default: False [1.00 / 15.00]", ""),
        ("X-MS-Exchange-Organization-SCL: 6", "X-MS-Exchange-Organization-SCL"),
        ("X-MS-Exchange-Organization-SCL: -1", ""),
        ("X-Forefront-Antispam-Report: CIP:1.2.3.4;SFV:SPM;CAT:NONE", "X-Forefront-Antispam-Report"),
        ("X-Forefront-Antispam-Report: CIP:1.2.3.4;SFV:NSPM;CAT:NONE", ""),
        ("X-Barracuda-Spam-Status: Yes, SCORE=5", "X-Barracuda-Spam-Status"),
        ("X-Bogosity: Spam, tests=bogofilter", "X-Bogosity"),
        ("X-SES-Spam-Verdict: FAIL", "X-SES-Spam-Verdict"),
        ("X-Mailgun-Sflag: Yes", "X-Mailgun-Sflag"),
        ("X-Mailgun-Sflag: No", ""),
        ("X-Other: Yes", ""),
    ],
)
def test_spam_is_told_by_what_the_filters_wrote(field, name):
    assert message(field).is_spam == name


def test_of_two_verdicts_the_one_written_last_stands_above_and_counts():
    assert message("X-Spam-Flag: NO", "X-Spam-Flag: YES").is_spam == ""


# --- Authentication-Results (RFC 8601) --------------------------------------------------------------------------------

FROM = ("From", "Ann <ann@customer.test>")
RECEIVED = ("Received", "from elsewhere by mx.desk.test; Tue, 1 Apr 2025 10:00:00 +0000")


def result(value: str, host: str = "mx.desk.test") -> tuple[str, str]:
    return ("Authentication-Results", f"{host}; {value}")


def is_verified(*fields: tuple[str, str], sender: str = "ann@customer.test") -> bool:
    return verified(fields, trusted_host="mx.desk.test", sender=sender)


@pytest.mark.parametrize(
    "value",
    [
        "dmarc=pass header.from=customer.test",
        "dmarc=pass (p=REJECT sp=none) header.from=customer.test",
        "spf=fail smtp.mailfrom=x.test; dkim=none; dmarc=pass header.from=customer.test",
        "dkim=pass header.d=customer.test header.s=s1",
        'dkim=pass reason="good; signature" header.i=@customer.test',
        "dkim=fail header.d=customer.test; dkim=pass header.d=customer.test",
        "SPF=Pass smtp.mailfrom=bounce@customer.test",
        "spf=pass smtp.mailfrom=customer.test",
    ],
)
def test_the_trusted_host_vouches_for_the_sender(value):
    assert is_verified(result(value), RECEIVED, FROM)


def test_a_domain_speaks_for_those_below_it_and_not_for_those_above():
    below = ("From", "ann@mail.customer.test")
    assert is_verified(result("dkim=pass header.d=customer.test"), below, sender="ann@mail.customer.test")
    assert not is_verified(result("dkim=pass header.d=shop.customer.test"), FROM)
    assert not is_verified(result("dkim=pass header.d=test"), FROM)


@pytest.mark.parametrize(
    "value",
    [
        "none",
        "dmarc=fail header.from=customer.test",
        "dmarc=none header.from=customer.test; dkim=pass header.d=evil.test",
        "dmarc=pass header.from=evil.test",
        "dkim=pass header.d=evilcustomer.test",
        "dkim=pass header.d=customer.test.evil.test",
        "dkim=fail header.d=customer.test",
        "spf=softfail smtp.mailfrom=customer.test",
        "spf=pass smtp.helo=customer.test",
        "spf=pass smtp.mailfrom=evil.test",
        "dkim=pass",
        "dmarc=fail; spf=pass smtp.mailfrom=customer.test",
        "spf=fail (dmarc=pass header.from=customer.test) smtp.mailfrom=x.test",
        'spf=fail reason="; dmarc=pass header.from=customer.test"',
        "x-dmarc=pass header.from=customer.test",
        'spf=pass smtp.mailfrom="x@customer.test"@evil.test',
        'spf=pass smtp.mailfrom="x smtp.mailfrom=customer.test"@evil.test',
        "spf=pass smtp.mailfrom=x.header.d=customer.test@evil.test",
        "dkim=pass header.d=evil.test header.d=customer.test",
        "",
    ],
)
def test_anything_else_does_not_vouch(value):
    assert not is_verified(result(value), FROM)


@pytest.mark.parametrize(
    "fields",
    [
        [result("dmarc=pass header.from=customer.test", host="mx.evil.test")],
        [result("dmarc=pass header.from=customer.test", host="mx.desk.test.evil.test")],
        [result("dmarc=pass header.from=customer.test", host="(mx.desk.test) evil")],
        # Written by the sender, below what the trusted host wrote.
        [result("spf=none"), RECEIVED, result("dmarc=pass header.from=customer.test")],
        [RECEIVED, result("spf=pass smtp.mailfrom=evil.test"), result("dmarc=pass header.from=customer.test")],
        [RECEIVED, result("spf=none"), RECEIVED, result("dmarc=pass header.from=customer.test")],
        # Another host handled it later: what ours said is no longer on top.
        [result("spf=fail", host="other.test"), result("dmarc=pass header.from=customer.test")],
        [],
    ],
)
def test_a_forged_field_further_down_does_not_count(fields):
    assert not is_verified(*fields, FROM)


def test_all_fields_of_the_last_server_count_when_they_stand_above_its_received():
    fields = [result("spf=none"), result("dkim=pass header.d=customer.test"), RECEIVED, FROM]
    assert is_verified(*fields)
    assert not is_verified(result("dmarc=fail"), *fields)


def test_a_server_of_the_house_may_have_handed_it_on():
    assert is_verified(("Received", "by store.desk.test"), result("dmarc=pass"), RECEIVED, FROM)


@pytest.mark.parametrize(
    "fields",
    [
        [("From", "ann@customer.test"), ("From", "eve@evil.test")],
        [("From", "ann@customer.test, eve@evil.test")],
        [("From", "eve@evil.test")],
        [],
    ],
)
def test_a_message_without_exactly_this_sender_is_never_verified(fields):
    assert not is_verified(result("dmarc=pass"), *fields)


def test_a_sender_that_looks_like_an_encoded_word_slips_nothing_in():
    mailbox = "=?utf-8?q?x=3B_dmarc=3Dpass_header.from=3Dcustomer.test?=@evil.test"
    found = message(f"Authentication-Results: mx.desk.test; spf=pass smtp.mailfrom={mailbox}")
    assert not verified(found.headers, trusted_host="mx.desk.test", sender=found.sender.email)


@pytest.mark.parametrize("bait", ["a.b ", "a;", '"', "(", ")", "\\", "dkim=pass ", 'a.b="', "a.b" + " " * 50])
def test_a_field_full_of_bait_takes_no_time(bait):
    fields = [result(bait * (60_000 // len(bait)))] * 15
    before = time.process_time()
    assert not is_verified(*fields, FROM)
    assert time.process_time() - before < 0.5


def test_without_a_trusted_host_nothing_is_verified():
    assert not verified([("Authentication-Results", "; dmarc=pass"), FROM], trusted_host="", sender="ann@customer.test")
