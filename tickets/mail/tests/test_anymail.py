"""Webhooks of mail providers: calls as each of them makes them, with the right secret and with a wrong one."""

import base64
import hashlib
import hmac
import json
from email import message_from_bytes, policy
from typing import Any
from uuid import uuid4

import pytest
from anymail.inbound import AnymailInboundMessage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client

from tickets.mail import tokens, webhooks
from tickets.mail.models import Incoming, Mailbox, Outgoing, Undeliverable
from tickets.mail.services import receiving
from tickets.mail.tests.factories import MailboxFactory
from tickets.tests.factories import NOW, make_ticket

pytestmark = pytest.mark.django_db
SECRET, KEY = "hook:long-and-secret", "signing-key"
TO = "support@acme.example"
RAW = (
    b"From: J\xc3\xbcrgen <jurgen@customer.example>\r\nTo: support@acme.example\r\nSubject: Caf\xe9\r\n"
    b"Message-ID: <1@customer.example>\r\nContent-Type: text/plain; charset=latin-1\r\n\r\n"
    b"Gr\xfc\xdfe\r\n.\r\n--x\r\nend\r\n"
)


@pytest.fixture(autouse=True)
def configured(settings: Any) -> None:
    settings.ANYMAIL = {
        "WEBHOOK_SECRET": [SECRET],
        "MAILGUN_WEBHOOK_SIGNING_KEY": KEY,
        "BREVO_API_KEY": "key",
    }


@pytest.fixture
def mailbox() -> Mailbox:
    return MailboxFactory(address=TO)


def call(name: str, data: Any, secret: str = SECRET, **more: Any) -> Any:
    """A call of a provider: JSON, unless `data` is a form."""
    if secret:
        more["headers"] = {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
    if not isinstance(data, dict) or more.pop("is_json", False):
        more |= {"content_type": "application/json"}
        data = json.dumps(data)
    return Client().post(f"/mail/providers/{name}", data, **more)


def signed(key: str = KEY) -> dict[str, str]:
    """Mailgun's signature."""
    stamp, token = "1741773600", "t" * 50
    return {
        "timestamp": stamp,
        "token": token,
        "signature": hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest(),
    }


def form_of(fields: dict[str, bytes]) -> dict[str, Any]:
    """A multipart form with fields that are no text, as providers send them."""
    parts = b"".join(
        b'--b0undary\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value + b"\r\n"
        for name, value in fields.items()
    )
    return {"data": parts + b"--b0undary--\r\n", "content_type": "multipart/form-data; boundary=b0undary"}


def post_form(name: str, fields: dict[str, bytes]) -> Any:
    headers = {"Authorization": f"Basic {base64.b64encode(SECRET.encode()).decode()}"}
    return Client().post(f"/mail/providers/{name}", headers=headers, **form_of(fields))


def mailgun_raw(raw: bytes = RAW, key: str = KEY, recipient: str = TO) -> Any:
    given = {name: value.encode() for name, value in signed(key).items()}
    given |= {"recipient": recipient.encode(), "sender": b"jurgen@customer.example", "body-mime": raw}
    return post_form("mailgun/inbound_mime", given)


def stored() -> tuple[Incoming, bytes]:
    incoming = Incoming.unscoped.get()
    with incoming.raw.open() as file:
        return incoming, file.read()


def read(raw: bytes) -> Any:
    return message_from_bytes(raw, policy=policy.default)


class TestMailThatComesIn:
    def test_mailgun_hands_over_the_bytes(self, mailbox: Mailbox) -> None:
        assert mailgun_raw().status_code == 200
        incoming, raw = stored()
        assert raw == RAW.removesuffix(b"\r\n") or raw == RAW
        assert (incoming.mailbox, incoming.way) == (mailbox, "provider")
        assert (incoming.envelope_from, incoming.envelope_to) == ("jurgen@customer.example", TO)

    def test_a_mail_is_larger_than_other_forms_may_be(self, mailbox: Mailbox) -> None:
        assert mailgun_raw(RAW + b"x" * 70 * 1000 * 60).status_code == 200
        assert len(stored()[1]) > 4_000_000

    def test_what_is_larger_than_a_mail_may_be_is_413(self, mailbox: Mailbox, settings: Any) -> None:
        settings.MAIL_MAX_BYTES = 10_000
        assert mailgun_raw(b"x" * 30_000).status_code == 413
        assert not Incoming.unscoped.exists()

    def test_mailgun_parsed(self, mailbox: Mailbox) -> None:
        headers = [["From", "Jane <jane@customer.example>"], ["To", TO], ["Subject", "Cannot log in"]]
        given = signed() | {
            "recipient": TO,
            "sender": "jane@customer.example",
            "message-headers": json.dumps([*headers, ["Message-Id", "<7@c.example>"]]),
            "body-plain": "Grüße ☕",
            "body-html": "<p>Grüße ☕</p>",
            "attachment-count": "1",
            "attachment-1": SimpleUploadedFile("plän.pdf", b"%PDF-\0\xff", "application/pdf"),
        }
        assert call("mailgun/inbound", given).status_code == 200
        message = read(stored()[1])
        assert message["Message-Id"] == "<7@c.example>" and message["Subject"] == "Cannot log in"
        assert message.get_body(("plain",)).get_content().strip() == "Grüße ☕"
        (file,) = message.iter_attachments()
        assert (file.get_filename(), file.get_content()) == ("plän.pdf", b"%PDF-\0\xff")

    def test_sendgrid_raw_to_several_of_our_mailboxes(self, mailbox: Mailbox) -> None:
        MailboxFactory(address="billing@acme.example")
        signed_to = tokens.reply_address(ticket_id=make_ticket(mailbox.workspace).pk, address=TO)
        envelope = {"from": "jane@c.example", "to": [TO, "billing@acme.example", "else@acme.example", signed_to]}
        given = {"email": RAW, "envelope": json.dumps(envelope).encode(), "charsets": b"{}"}
        assert post_form("sendgrid/inbound", given).status_code == 200
        assert {(one.mailbox.address, one.envelope_to) for one in Incoming.unscoped.select_related("mailbox")} == {
            (TO, signed_to),
            ("billing@acme.example", "billing@acme.example"),
        }

    def test_sendgrid_parsed(self, mailbox: Mailbox) -> None:
        given = {
            "headers": b"From: Jane <jane@c.example>\nSubject: Help\nMessage-ID: <8@c.example>\n",
            "text": "Grüße".encode("latin-1"),
            "charsets": b'{"text": "iso-8859-1"}',
            "envelope": json.dumps({"from": "", "to": [TO]}).encode(),
        }
        assert post_form("sendgrid/inbound", given).status_code == 200
        incoming, raw = stored()
        assert incoming.envelope_from == ""
        assert read(raw).get_body(("plain",)).get_content().strip() == "Grüße"

    def test_postmark_parsed_and_raw(self, mailbox: Mailbox) -> None:
        given: dict[str, Any] = {
            "From": "jane@c.example",
            "FromFull": {"Email": "jane@c.example", "Name": "Jane, Doe"},
            "To": TO,
            "ToFull": [{"Email": TO, "Name": ""}],
            "OriginalRecipient": TO,
            "Subject": "Pläne",
            "MessageID": str(uuid4()),
            "Headers": [
                {"Name": "Return-Path", "Value": "<bounce@c.example>"},
                {"Name": "Message-ID", "Value": "<9@c.example>"},
            ],
            "TextBody": "Help ☕",
            "HtmlBody": "",
            "Attachments": [
                {"Name": "a.txt", "ContentType": "text/plain", "Content": base64.b64encode(b"\xff\0").decode()}
            ],
        }
        assert call("postmark/inbound", given, is_json=True).status_code == 200
        incoming, raw = stored()
        message = read(raw)
        assert (message["Message-ID"], message["Subject"]) == ("<9@c.example>", "Pläne")
        assert message["From"].addresses[0].display_name == "Jane, Doe"
        assert [file.get_payload(decode=True) for file in message.iter_attachments()] == [b"\xff\0"]
        assert incoming.envelope_from in ("bounce@c.example", "<bounce@c.example>")
        incoming.delete()
        assert (
            call("postmark/inbound", given | {"RawEmail": "Subject: raw ☕\r\n\r\nx"}, is_json=True).status_code == 200
        )
        assert stored()[1] == "Subject: raw ☕\r\n\r\nx".encode()

    def test_mailjet(self, mailbox: Mailbox) -> None:
        given = {
            "Sender": "jane@c.example",
            "Recipient": TO,
            "Headers": {
                "From": "Jane <jane@c.example>",
                "Message-ID": "<10@c.example>",
                "Subject": "Help",
                "Received": ["one", "two"],
            },
            "Text-part": "Help ☕",
            "Parts": [{"Headers": {"Content-Type": 'image/png; name="a.png"'}, "ContentRef": "Attachment1"}],
            "Attachment1": base64.b64encode(b"\x89PNG").decode(),
        }
        assert call("mailjet/inbound", given, is_json=True).status_code == 200
        incoming, raw = stored()
        assert (incoming.envelope_from, incoming.envelope_to) == ("jane@c.example", TO)
        assert read(raw)["Message-ID"] == "<10@c.example>" and read(raw).get_all("Received") == ["one", "two"]
        assert [file.get_filename() for file in read(raw).iter_attachments()] == ["a.png"]

    def test_brevo(self, mailbox: Mailbox) -> None:
        item = {
            "Uuid": [str(uuid4())],
            "MessageId": "<11@c.example>",
            "Headers": {"From": "jane@c.example", "To": TO, "Message-ID": "<11@c.example>", "Subject": "Help"},
            "RawTextBody": "Help",
            "RawHtmlBody": "<p>Help</p>",
            "Attachments": [],
        }
        assert call("brevo/inbound", {"items": [item]}, is_json=True).status_code == 200
        incoming, raw = stored()
        assert incoming.envelope_to == TO, "without an envelope the headers say whom it was for"
        assert incoming.envelope_from is None and read(raw)["Message-ID"] == "<11@c.example>"

    def test_mail_for_nobody_of_us_is_taken_and_dropped(self, mailbox: Mailbox) -> None:
        assert mailgun_raw(recipient="nobody@acme.example").status_code == 200
        assert not Incoming.unscoped.exists()

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\0\xff",
            b"Subject: \xff\xfe\r\n\r\n\xff",
            b"From: =?utf-8?b?!!?= <a@b\r\nTo: @@@\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xe9\r\n",
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\xe9\r\n",
            b"Subject: " + b"x" * 5000 + b"\r\n y\r\n\r\n",
        ],
    )
    def test_whatever_a_provider_read_can_be_written_again(self, raw: bytes) -> None:
        written = webhooks.as_bytes(AnymailInboundMessage.parse_raw_mime_bytes(raw))
        assert isinstance(written, bytes) and read(written) is not None


CALLS: list[tuple[str, Any]] = [
    ("sendgrid/inbound", {"email": "Subject: x\r\n\r\nx", "envelope": json.dumps({"from": "", "to": [TO]})}),
    ("postmark/inbound", [{"OriginalRecipient": TO}]),
    ("mailjet/inbound", [{"Recipient": TO}]),
    ("brevo/inbound", [{"items": []}]),
    ("postmark/tracking", [{"RecordType": "Bounce"}]),
    ("mailgun/inbound", signed() | {"recipient": TO, "body-mime": "Subject: x\r\n\r\nx"}),
]


class TestWhoMayCall:
    @pytest.mark.parametrize(("name", "given"), CALLS, ids=[name for name, _ in CALLS])
    @pytest.mark.parametrize("secret", ["", "hook:wrong", "wrong"])
    def test_a_wrong_secret_is_refused(self, mailbox: Mailbox, name: str, given: Any, secret: str) -> None:
        refused = call(name, given, secret=secret)
        assert refused.status_code == 401 and refused["WWW-Authenticate"].startswith("Basic")
        assert not Incoming.unscoped.exists()

    def test_the_right_secret_with_a_wrong_signature_is_refused(self, mailbox: Mailbox) -> None:
        assert mailgun_raw(key="another").status_code == 400
        assert not Incoming.unscoped.exists()
        assert mailgun_raw().status_code == 200

    def test_several_secrets_while_it_is_changed(self, mailbox: Mailbox, settings: Any) -> None:
        settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": ["hook:newer", SECRET]}
        assert mailgun_raw().status_code == 200

    @pytest.mark.parametrize("secret", [[], ""])
    def test_without_a_configured_secret_there_are_no_such_addresses(
        self, mailbox: Mailbox, settings: Any, secret: Any
    ) -> None:
        settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": secret}
        assert mailgun_raw().status_code == 404
        for name, given in CALLS:
            assert call(name, given, secret="").status_code == 404
        assert not Incoming.unscoped.exists()

    def test_without_a_configured_signing_key_mailgun_has_none(self, mailbox: Mailbox, settings: Any) -> None:
        settings.ANYMAIL = {"WEBHOOK_SECRET": [SECRET]}
        assert mailgun_raw().status_code == 404
        assert not Incoming.unscoped.exists()

    def test_other_addresses_and_methods(self) -> None:
        assert call("nobody/inbound", [{}]).status_code == 404
        assert Client().get("/mail/providers/postmark/inbound").status_code == 405
        assert Client().head("/mail/providers/postmark/inbound").status_code == 200


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        "given", [[], [1], {}, {"Headers": 7}, "text", None, {"Recipient": {"a": 1}, "Headers": []}]
    )
    def test_a_call_that_cannot_be_read_is_400(self, mailbox: Mailbox, given: Any) -> None:
        answers = [call(name, given, is_json=True).status_code for name in ("postmark/inbound", "mailjet/inbound")]
        assert set(answers) <= {200, 400}
        assert Incoming.unscoped.count() == 0

    def test_what_is_no_json(self, mailbox: Mailbox) -> None:
        headers = {"Authorization": f"Basic {base64.b64encode(SECRET.encode()).decode()}"}
        for body in (b"", b"{", b"\xff"):
            answer = Client().post("/mail/providers/mailjet/inbound", body, "application/json", headers=headers)
            assert answer.status_code == 400

    def test_when_the_database_is_away_the_provider_is_told_to_try_again(
        self, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(**_: Any) -> None:
            raise OperationalError

        monkeypatch.setattr(receiving, "accept", fail)
        assert mailgun_raw().status_code == 503

    def test_what_is_wrong_here_is_500_so_that_it_comes_again(
        self, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(**_: Any) -> None:
            raise KeyError("a mistake of ours")

        monkeypatch.setattr(receiving, "accept", fail)
        with pytest.raises(KeyError):
            mailgun_raw()


def make_outgoing(mailbox: Mailbox, recipient: str = "jane@c.example", **more: Any) -> Outgoing:
    ticket = make_ticket(mailbox.workspace)
    given: dict[str, Any] = {
        "workspace": mailbox.workspace,
        "mailbox": mailbox,
        "ticket": ticket,
        "activity_id": uuid4(),
        "kind": "acknowledgement",
        "recipient": recipient,
        "message_id": f"{uuid4().hex}@acme.example",
        "status": "sent",
        "sent_at": NOW,
        "ended_at": NOW,
        "created_at": NOW,
    }
    made: Outgoing = Outgoing.unscoped.create(**given | more)
    return made


def mailgun_event(event: str, message_id: str, recipient: str = "jane@c.example", **more: Any) -> dict[str, Any]:
    data = {
        "event": event,
        "id": "x",
        "timestamp": 1741773600.5,
        "recipient": recipient,
        "message": {"headers": {"message-id": message_id}},
    }
    return {"signature": signed(), "event-data": data | more}


class TestMailThatWentOut:
    def test_a_bounce_that_mailgun_tells_marks_the_mail_and_the_address(self, mailbox: Mailbox) -> None:
        mail, other = make_outgoing(mailbox), make_outgoing(mailbox)
        status = {"delivery-status": {"code": 550, "message": "No such user", "description": ""}}
        given = mailgun_event("failed", mail.message_id, severity="permanent", reason="bounce", **status)
        assert call("mailgun/tracking", given, is_json=True).status_code == 200
        mail.refresh_from_db()
        other.refresh_from_db()
        assert (mail.status, other.status) == ("bounced", "sent")
        assert mail.reason.startswith("The server of the recipient refused it.") and "No such user" in mail.reason
        assert Undeliverable.unscoped.get().address == "jane@c.example"

    def test_one_that_may_pass_changes_nothing(self, mailbox: Mailbox) -> None:
        mail = make_outgoing(mailbox)
        given = mailgun_event("failed", mail.message_id, severity="temporary")
        assert call("mailgun/tracking", given, is_json=True).status_code == 200
        mail.refresh_from_db()
        assert mail.status == "sent" and not Undeliverable.unscoped.exists()

    def test_postmark_names_mails_by_its_own_id(self, mailbox: Mailbox) -> None:
        mail = make_outgoing(mailbox, provider_id="883953f4-6105-42a2-a16a-77a8eac79483")
        given = {
            "RecordType": "Bounce",
            "Type": "HardBounce",
            "ID": 42,
            "MessageID": mail.provider_id,
            "Email": "Jane@C.example",
            "BouncedAt": "2025-03-12T10:00:00Z",
            "Details": "smtp;550 5.1.1\r\n\0 unknown user",
        }
        assert call("postmark/tracking", given, is_json=True).status_code == 200
        mail.refresh_from_db()
        assert mail.status == "bounced" and "550 5.1.1 unknown user" in mail.reason

    def test_complaints_and_refusals_of_others(self, mailbox: Mailbox) -> None:
        complained, refused = make_outgoing(mailbox, provider_id="77"), make_outgoing(mailbox, provider_id="78")
        events = [
            {"event": "spam", "MessageID": 77, "email": "jane@c.example", "time": 1741773600},
            {"event": "blocked", "MessageID": 78, "email": "jane@c.example", "error": "preblocked", "time": 1},
        ]
        assert call("mailjet/tracking", events).status_code == 200
        complained.refresh_from_db()
        refused.refresh_from_db()
        assert complained.reason == "The recipient marked it as spam."
        assert refused.reason.startswith("The mail provider refused to send it.")

    def test_somebody_elses_mail_is_none_of_ours(self, mailbox: Mailbox) -> None:
        mail = make_outgoing(mailbox, provider_id="77")
        events: list[dict[str, Any]] = [
            {"event": "bounce", "MessageID": 77, "email": "somebody@else.example", "time": 1},
            {"event": "bounce", "MessageID": 99, "email": "jane@c.example", "time": 1},
            {"event": "bounce", "email": "jane@c.example", "time": 1},
            {"event": "open", "MessageID": 77, "email": "jane@c.example", "time": 1},
        ]
        assert call("mailjet/tracking", events).status_code == 200
        mail.refresh_from_db()
        assert mail.status == "sent" and not Undeliverable.unscoped.exists()
