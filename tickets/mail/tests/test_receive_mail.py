"""`manage.py receive_mail` and `demo_mail`, as an operator runs them."""

import hashlib
import io
import json
import sys
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tickets.mail.models import Incoming, Mailbox
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import letter
from tickets.management import demo_data
from tickets.models import Comment, Ticket
from tickets.tests.factories import NOW

pytestmark = pytest.mark.django_db
KEYS = ["file", "outcome", "reason", "ticket_number", "from", "from_name", "subject", "body", "attachments"]


@pytest.fixture
def mailbox():
    return MailboxFactory(address="support@acme.example")


@pytest.fixture
def run(tmp_path):
    """Run the command on messages given as bytes; gives its lines."""

    def go(*messages: bytes, **options):
        names = []
        for number, raw in enumerate(messages):
            path = tmp_path / f"{number}.eml"
            path.write_bytes(raw)
            names.append(str(path))
        out = io.StringIO()
        call_command("receive_mail", *names, stdout=out, stderr=io.StringIO(), **options)
        return [json.loads(line) for line in out.getvalue().splitlines()]

    return go


def test_a_message_is_one_line_of_json(mailbox, run):
    body = "It burns.\n\n-- \nJane\n"
    (line,) = run(letter(body, subject="Printer", files=[("a.txt", b"hello")]))
    assert list(line) == KEYS and line["file"].endswith("0.eml")
    assert (line["outcome"], line["reason"], line["ticket_number"]) == ("ticket_created", "", "#1001")
    assert (line["from"], line["from_name"]) == ("jane@customers.example", "Jane Smith")
    assert (line["subject"], line["body"]) == ("Printer", "It burns.")
    digest = hashlib.md5(b"hello", usedforsecurity=False).hexdigest()
    assert line["attachments"] == [{"name": "a.txt", "size": 5, "md5": digest}]


def test_every_outcome_has_its_line(mailbox, run):
    raw = letter(message_id="<one@customers.example>")
    lines = run(
        raw,
        raw,
        letter(in_reply_to="<one@customers.example>", body="More."),
        letter(x_spam_flag="YES", body="Buy!\n\n-- \nSpammer"),
        b"",
    )
    assert [(line["outcome"], line["ticket_number"]) for line in lines] == [
        ("ticket_created", "#1001"),
        ("duplicate", "#1001"),
        ("comment_added", "#1001"),
        ("quarantined", None),
        ("quarantined", None),
    ]
    assert [list(line) for line in lines] == [KEYS] * 5
    assert lines[3]["body"].splitlines()[-1] == "Spammer" and lines[4]["body"] == ""
    assert (Ticket.unscoped.count(), Comment.unscoped.count(), Incoming.unscoped.count()) == (1, 1, 5)


def test_standard_input_is_a_message(mailbox, run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(letter())))
    call_command("receive_mail", "-")
    line = json.loads(capsys.readouterr().out)
    assert (line["file"], line["outcome"]) == ("-", "ticket_created")


def test_a_file_that_cannot_be_read_does_not_keep_the_others_away(mailbox, run, tmp_path):
    good = tmp_path / "good.eml"
    good.write_bytes(letter())
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match="1 of 3 files"):
        call_command("receive_mail", str(good), str(tmp_path / "none.eml"), str(good), stdout=out, stderr=err)
    assert [json.loads(line)["outcome"] for line in out.getvalue().splitlines()] == ["ticket_created", "duplicate"]
    assert "none.eml: cannot be read: No such file or directory." in err.getvalue()


def test_a_file_that_is_too_large_is_not_taken(mailbox, run, settings):
    settings.MAIL_MAX_BYTES = 100
    with pytest.raises(CommandError, match="too large"):
        run(letter())
    assert not Incoming.unscoped.exists()


class TestTheMailbox:
    def test_is_the_one_that_is_given(self, mailbox, run):
        sales: Any = MailboxFactory(address="sales@acme.example")
        run(letter(), mailbox="sales@acme.example")
        assert Incoming.unscoped.get().mailbox == sales

    def test_that_is_given_must_be_there(self, mailbox, run):
        with pytest.raises(CommandError, match="--mailbox"):
            run(letter(), mailbox="nobody@acme.example")
        assert not Incoming.unscoped.exists()

    @pytest.mark.parametrize("field", ["to", "cc", "delivered_to", "x_original_to"])
    def test_is_the_one_the_message_went_to(self, mailbox, run, field):
        sales: Any = MailboxFactory(address="sales@acme.example")
        run(letter(**({"to": "x@y.example"} | {field: "sales@acme.example"})))
        assert Incoming.unscoped.get().mailbox == sales

    def test_else_the_one_by_setting(self, mailbox, run, settings):
        sales: Any = MailboxFactory(address="sales@acme.example")
        settings.MAIL_DEFAULT_MAILBOX = "sales@acme.example"
        run(letter(to="x@y.example"))
        assert Incoming.unscoped.get().mailbox == sales

    def test_else_the_default_one_of_the_only_workspace(self, mailbox, run):
        MailboxFactory(workspace=mailbox.workspace, address="a@acme.example", is_default=False)
        run(letter(to="x@y.example"))
        assert Incoming.unscoped.get().mailbox == mailbox

    def test_else_must_be_given(self, mailbox, run):
        MailboxFactory()
        with pytest.raises(CommandError, match="--mailbox"):
            run(letter(to="x@y.example"))
        assert not Incoming.unscoped.exists()


@pytest.mark.parametrize(("field", "sender"), [("<>", ""), ("<b@c.example>", "b@c.example"), (None, None)])
def test_the_envelope_is_from_return_path(mailbox, run, field, sender):
    head = f"Return-Path: {field}\n".encode() if field else b""
    run(head + letter())
    assert Incoming.unscoped.get().envelope_from == sender


def test_the_demo_has_its_mailboxes():
    workspace = demo_data.make_demo(slug="demo", tickets=1, seed=1, now=NOW)
    demo_data.make_other(now=NOW)
    for _ in range(2):
        call_command("demo_mail")
    mailboxes = {mailbox.address: mailbox for mailbox in Mailbox.unscoped.all()}
    assert set(mailboxes) == {"support@demo.example", "support@other.example"}
    assert all(mailbox.is_default for mailbox in mailboxes.values())
    demo = mailboxes["support@demo.example"]
    assert (demo.workspace, demo.name) == (workspace, "Demo Support")
