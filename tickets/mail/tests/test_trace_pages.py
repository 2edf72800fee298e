"""The mail trace: every message is found, told in words, run again and deleted; so are mails and addresses."""

import datetime as dt
import re
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, NotFound
from tickets.mail.models import BlockedSender, Incoming, Outgoing, Undeliverable
from tickets.mail.models.incoming import OUTCOMES
from tickets.mail.models.outgoing import STATUSES
from tickets.mail.services import blocking, receiving, records
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.views import trace
from tickets.models import Comment, Ticket
from tickets.services import base, editing
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db

MAIL = "From: {name} <{sender}>\nTo: support@acme.example\nSubject: {subject}\nMessage-ID: <{id}>\n{more}\n{text}\n"


@pytest.fixture
def workspace():
    return WorkspaceFactory()


@pytest.fixture
def mailbox(workspace):
    return MailboxFactory(workspace=workspace, address="support@acme.example")


@pytest.fixture
def admin(client, workspace):
    client.force_login(make_agent(workspace, role="admin").user)
    return client


def came(mailbox, now=NOW, *, is_done=True, raw=None, **given):
    given = {"name": "Jane", "sender": "jane@shop.example", "subject": "Late", "id": f"{uuid4().hex}@x.example"} | given
    written = MAIL.format(**{"more": "", "text": "Where is it?"} | given).encode() if raw is None else raw
    row = receiving.accept(raw=written, mailbox=mailbox, way="smtp", envelope_from="", envelope_to="", now=now)
    return receiving.process(incoming_id=row.pk, now=now) if is_done else row


def page(answer, status=200):
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


def listed(admin, name="trace", **asked):
    answer = admin.get(reverse(f"mail:{name}"), asked)
    assert answer.status_code == 200
    return [row["mail"].pk for row in answer.context["rows"]]


# --- The list -----------------------------------------------------------------------------------


def test_every_message_is_listed_with_what_became_of_it_newest_first(admin, mailbox):
    assert "No mail yet" in page(admin.get(reverse("mail:trace")))
    minute = dt.timedelta(minutes=1)
    opened = came(mailbox, id="a@x.example")
    same = came(mailbox, NOW + minute, id="a@x.example")
    spam = came(mailbox, NOW + 2 * minute, more="X-Spam-Flag: YES\n")
    blocking.block(workspace_id=mailbox.workspace_id, pattern="@bad.example", by=None)
    blocked = came(mailbox, NOW + 3 * minute, sender="joe@bad.example")
    empty = came(mailbox, NOW + 4 * minute, raw=b"")
    waiting = came(mailbox, NOW + 5 * minute, is_done=False)
    assert listed(admin) == [row.pk for row in (waiting, empty, blocked, spam, same, opened)]
    shown = page(admin.get(reverse("mail:trace")))
    for words in (
        "New ticket", "Duplicate", "A spam filter on the way marked it.", "Its sender is on the block list.",
        "It cannot be read", "Waiting", f"#{opened.ticket.number}", "(no subject)",
    ):  # fmt: skip
        assert words in shown
    for outcome, rows in (
        ("ticket_created", [opened]), ("duplicate", [same]), ("quarantined", [empty, spam]), ("ignored", [blocked]),
        ("waiting", [waiting]), ("bounce", []), ("nonsense", [waiting, empty, blocked, spam, same, opened]),
    ):  # fmt: skip
        assert listed(admin, outcome=outcome) == [row.pk for row in rows], outcome


def test_messages_are_found_by_address_domain_message_id_and_subject(admin, mailbox):
    one = came(mailbox, sender="jane@shop.example", subject="A desk lamp is broken", id="One@mail.shop.example")
    two = came(mailbox, NOW + dt.timedelta(minutes=1), sender="joe@northwind.example", subject="Invoice 50%")
    for query, rows in (
        ("jane@shop.example", [one]),
        ("JANE@SHOP.example", [one]),
        ("@shop.example", [one]),
        ("<One@mail.shop.example>", [one]),
        ("DESK lamp", [one]),
        ("50%", [two]),
        ("%", [two]),
        ("nobody@shop.example", []),
        ("nothing", []),
        ("  ", [two, one]),
        ("x" * 5000, []),
    ):
        assert listed(admin, q=query) == [row.pk for row in rows], query


def test_messages_are_those_of_one_mailbox_and_never_of_another_workspace(admin, mailbox):
    other = MailboxFactory(workspace=mailbox.workspace, is_default=False)
    here, there = came(mailbox), came(other)
    foreign = MailboxFactory()
    came(foreign)
    assert listed(admin, mailbox=str(mailbox.pk)) == [here.pk]
    assert listed(admin, mailbox=str(foreign.pk)) == []
    assert set(listed(admin, mailbox="nonsense")) == {here.pk, there.pk}


def bulk(mailbox, number, moment=NOW, **fields):
    given = {"size": 1, "sha256": "x", "way": "smtp", "status": "done", "outcome": "ignored"} | fields
    return Incoming.unscoped.bulk_create(
        [Incoming(workspace=mailbox.workspace, mailbox=mailbox, received_at=moment, **given) for _ in range(number)]
    )


def test_older_pages_follow_each_other_without_gaps_also_at_one_moment(admin, mailbox):
    bulk(mailbox, 2 * records.PAGE + 7)
    seen, before = [], ""
    for size in (records.PAGE, records.PAGE, 7):
        answer = admin.get(reverse("mail:trace"), {"before": before})
        rows = [row["mail"].pk for row in answer.context["rows"]]
        assert len(rows) == size
        seen += rows
        before = parse_qs(answer.context["older"]).get("before", [""])[0]
    assert len(set(seen)) == 2 * records.PAGE + 7 and seen == sorted(seen, reverse=True)
    assert answer.context["older"] == "" and "Newest" in page(answer)


@pytest.mark.parametrize("before", ["x", "_", "2026-13-01T00:00:00Z_x", f"2026-01-01T00:00:00_{UUID(int=1)}"])
def test_a_place_that_is_none_is_an_empty_page(admin, mailbox, before):
    came(mailbox)
    assert listed(admin, before=before) == []


def test_the_list_takes_as_many_queries_however_many_rows_there_are(admin, mailbox):
    def queries(name):
        with CaptureQueriesContext(connection) as seen:
            admin.get(reverse(f"mail:{name}"))
        return len(seen)

    def fill(number):
        for _ in range(number):
            came(mailbox)
            sent(mailbox)
            pattern = f"{uuid4().hex}@x.example"
            by = make_agent(mailbox.workspace).user
            blocking.block(workspace_id=mailbox.workspace_id, pattern=pattern, by=by)
            Undeliverable.unscoped.create(workspace=mailbox.workspace, address=pattern, bounced_at=NOW)

    fill(1)
    few = {name: queries(name) for name in ("trace", "outgoing", "addresses")}
    few = {name: queries(name) for name in few}
    fill(4)
    assert {name: queries(name) for name in few} == few
    assert max(few.values()) <= 9


# --- One message --------------------------------------------------------------------------------


def test_a_message_tells_its_steps_its_headers_and_its_text(admin, mailbox):
    opened = came(mailbox, text="Where is <b>it</b>?", more="X-Shop: <script>\n")
    shown = page(admin.get(reverse("mail:incoming", args=[opened.pk])))
    for words in (
        "Came before?", "Known by its Message-ID.", "Which ticket it belongs to", "Opened", f"#{opened.ticket.number}",
        "Where is &lt;b&gt;it&lt;/b&gt;?", "X-Shop", "&lt;script&gt;",
        reverse("mail:original-download", args=[opened.pk]),
    ):  # fmt: skip
        assert words in shown
    assert "Run again" not in shown and "Release" not in shown


def test_a_message_takes_as_many_queries_whatever_stands_in_it(admin, mailbox):
    short, long = came(mailbox), came(mailbox, text="word " * 9000, more="X-A: b\n" * 200)

    def queries(row):
        with CaptureQueriesContext(connection) as seen:
            page(admin.get(reverse("mail:incoming", args=[row.pk])))
        return len(seen)

    queries(short)
    assert queries(short) == queries(long) <= 7


def test_a_message_that_cannot_be_read_or_is_not_kept_says_so(admin, mailbox):
    empty, gone, old = came(mailbox, raw=b""), came(mailbox), came(mailbox)
    gone.raw.storage.delete(gone.raw.name)
    Incoming.unscoped.filter(pk=old.pk).update(raw="")
    for row, words in ((empty, "It cannot be read"), (gone, "is gone"), (old, "is not kept any more")):
        assert words in page(admin.get(reverse("mail:incoming", args=[row.pk]))), words
    waiting = came(mailbox, is_done=False)
    assert "Waiting" in page(admin.get(reverse("mail:incoming", args=[waiting.pk])))


def test_any_trace_is_told(admin, mailbox):
    odd = [{"step": "new_step", "result": "so", "detail": "x"}, {"step": "result"}, {}, "text", None]
    (row,) = bulk(mailbox, 1, trace=odd, reason="some_new_code")
    shown = page(admin.get(reverse("mail:incoming", args=[row.pk])))
    assert "New step" in shown and "Some new code." in shown


def test_every_outcome_and_every_state_has_its_words():
    assert {word for word, _ in OUTCOMES} | {"waiting"} == set(trace.OUTCOMES)
    assert {word for word, _ in STATUSES} == set(trace.SENT)
    assert records.reason_words("rule: Away with it") == "The parsing rule “Away with it” dropped it."
    assert records.reason_words("") == ""


def test_spam_is_released_and_becomes_a_ticket(admin, mailbox):
    spam = came(mailbox, more="X-Spam-Flag: YES\n")
    shown = page(admin.get(reverse("mail:incoming", args=[spam.pk])))
    assert "Release" in shown and "the spam mark is overlooked" in shown
    shown = page(admin.post(reverse("mail:incoming-rerun", args=[spam.pk]), follow=True))
    spam.refresh_from_db()
    assert spam.outcome == "ticket_created" and "Run again: new ticket." in shown


def test_what_was_ignored_is_run_again_and_what_became_something_is_not(admin, mailbox):
    blocking.block(workspace_id=mailbox.workspace_id, pattern="@shop.example", by=None)
    ignored = came(mailbox)
    url = reverse("mail:incoming-rerun", args=[ignored.pk])
    assert "Run again: ignored. Its sender is on the block list." in page(admin.post(url, follow=True))
    blocking.unblock(workspace_id=mailbox.workspace_id, pattern="@shop.example")
    admin.post(url)
    ignored.refresh_from_db()
    assert ignored.outcome == "ticket_created"
    assert "Only what is in quarantine or was ignored" in page(admin.post(url, follow=True))
    assert Ticket.unscoped.count() == 1


def test_a_message_is_deleted_with_its_file_and_its_ticket_stays(admin, mailbox, django_capture_on_commit_callbacks):
    opened = came(mailbox)
    with django_capture_on_commit_callbacks(execute=True):
        answer = admin.post(reverse("mail:incoming-delete", args=[opened.pk]))
    assert answer["Location"] == reverse("mail:trace")
    assert not Incoming.unscoped.exists() and Ticket.unscoped.count() == 1
    assert not opened.raw.storage.exists(opened.raw.name)


def test_a_message_that_waits_is_not_deleted(admin, mailbox):
    waiting = came(mailbox, is_done=False)
    with pytest.raises(Conflict):
        records.delete_incoming(incoming=waiting)
    shown = page(admin.post(reverse("mail:incoming-delete", args=[waiting.pk]), follow=True))
    assert "still waits" in shown and Incoming.unscoped.exists()
    Incoming.unscoped.all().delete()
    with pytest.raises(NotFound):
        records.delete_incoming(incoming=waiting)


def test_a_ticket_in_the_trash_is_named_without_a_link(admin, mailbox, workspace):
    opened = came(mailbox)
    editing.trash(ticket=opened.ticket, actor=base.agent(make_agent(workspace)), now=NOW)
    for url in (reverse("mail:trace"), reverse("mail:incoming", args=[opened.pk])):
        shown = page(admin.get(url))
        assert "in the trash" in shown and reverse("tickets:ticket", args=[opened.ticket.pk]) not in shown


# --- What went out ------------------------------------------------------------------------------


def sent(mailbox, status="sent", **fields):
    workspace = mailbox.workspace
    ticket = fields.pop("ticket", None) or make_ticket(workspace)
    done = {"next_at": NOW} if status == "waiting" else {"ended_at": NOW}
    given = {"kind": "reply", "recipient": "jane@shop.example", "created_at": NOW} | done | fields
    return Outgoing.unscoped.create(
        workspace=workspace, mailbox=mailbox, ticket=ticket, activity_id=uuid4(), message_id=f"{uuid4().hex}@x.example",
        status=status, **given,
    )  # fmt: skip


def test_every_mail_is_listed_with_its_state_and_why(admin, mailbox):
    assert "Nothing was sent yet" in page(admin.get(reverse("mail:outgoing")))
    rows = {status: sent(mailbox, status, reason=f"Because of {status}") for status, _ in STATUSES}
    shown = page(admin.get(reverse("mail:outgoing")))
    for status, row in rows.items():
        assert trace.SENT[status][2] in shown and f"Because of {status}" in shown
        assert listed(admin, "outgoing", status=status) == [row.pk]
    failed = rows["failed"]
    assert listed(admin, "outgoing", q=failed.message_id) == [failed.pk]
    assert len(listed(admin, "outgoing", q="Cannot log in")) == len(rows)
    assert listed(admin, "outgoing", q="nobody@shop.example") == []
    assert "No such mail" in page(admin.get(reverse("mail:outgoing"), {"q": "nothing"}))


def test_an_answer_that_failed_is_sent_again(admin, mailbox, workspace):
    ticket = make_ticket(workspace)
    reply: Comment = make_reply(ticket, make_agent(workspace))
    Outgoing.unscoped.filter(comment=reply).delete()
    failed = sent(mailbox, "failed", ticket=ticket, comment=reply, recipient=ticket.requester_email)
    assert "Send again" in page(admin.get(reverse("mail:outgoing")))
    shown = page(admin.post(reverse("mail:outgoing-resend", args=[failed.pk]), follow=True))
    assert f"The answer on #{ticket.number} is sent again." in shown
    again = Outgoing.unscoped.get(comment=reply, status="waiting")
    assert (again.recipient, again.round) == (failed.recipient, failed.round + 1)


def test_what_is_no_answer_is_not_sent_again(admin, mailbox):
    notice = sent(mailbox, "failed", kind="notice")
    assert "Send again" not in page(admin.get(reverse("mail:outgoing")))
    shown = page(admin.post(reverse("mail:outgoing-resend", args=[notice.pk]), follow=True))
    assert "Only answers can be sent again." in shown


# --- Addresses ----------------------------------------------------------------------------------


def test_senders_are_blocked_and_taken_again(admin, workspace):
    url = reverse("mail:addresses")
    shown = page(admin.get(url))
    assert "Nobody is blocked." in shown and "Every mail has reached its address so far." in shown
    assert admin.post(url, {"pattern": "@Spam.example", "reason": "Advertising"}).status_code == 302
    row = BlockedSender.unscoped.get()
    assert (row.pattern, row.reason) == ("@spam.example", "Advertising") and row.created_by is not None
    assert "Advertising" in page(admin.get(url))
    admin.post(reverse("mail:sender-unblock"), {"pattern": "@spam.example"})
    assert not BlockedSender.unscoped.exists()


def test_a_sender_that_is_none_is_refused_and_comes_back(admin):
    shown = page(admin.post(reverse("mail:addresses"), {"pattern": "spam", "reason": "So"}), 400)
    assert "This must be an address like" in shown and 'value="spam"' in shown and 'value="So"' in shown
    assert not BlockedSender.unscoped.exists()


def test_a_dead_address_is_tried_again(admin, workspace):
    Undeliverable.unscoped.create(workspace=workspace, address="dead@x.example", reason="user unknown", bounced_at=NOW)
    foreign = Undeliverable.unscoped.create(workspace=WorkspaceFactory(), address="dead@x.example", bounced_at=NOW)
    assert "user unknown" in page(admin.get(reverse("mail:addresses")))
    shown = page(admin.post(reverse("mail:reachable"), {"address": "dead@x.example"}, follow=True))
    assert "Mail goes to dead@x.example again." in shown
    assert list(Undeliverable.unscoped.all()) == [foreign]
    for name, field in (("reachable", "address"), ("sender-unblock", "pattern")):
        assert admin.post(reverse(f"mail:{name}"), {field: "a\0b"}).status_code == 302
