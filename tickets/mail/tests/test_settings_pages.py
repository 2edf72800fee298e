"""The pages of mailboxes, of how a workspace writes and of parsing rules: what they show, take and refuse."""

import re
from typing import Any

import pytest
from django.core import mail
from django.urls import reverse

from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import DomainError
from tickets.mail.models import Incoming, Mailbox, MailSettings, Outgoing, ParsingRule
from tickets.mail.services import addressing, imap, mailboxes, receiving, rules
from tickets.mail.tests.factories import MailboxFactory
from tickets.models import Ticket
from tickets.tests.factories import NOW, CategoryFactory, FieldFactory, make_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace():
    return WorkspaceFactory()


@pytest.fixture
def admin(client, workspace):
    client.force_login(make_agent(workspace, role="admin", user__email="maria@acme.example").user)
    return client


def page(answer, status=200):
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


def form_of(answer):
    """What a browser would send of a form as it stands."""
    form = answer.context["form"]
    return {f.html_name: "" if f.value() is None else f.value() for f in form if f.value() is not False}


def new(admin, **changes):
    url = reverse("mail:mailbox-new")
    return admin.post(url, form_of(admin.get(url)) | {"address": "support@acme.example"} | changes)


# --- Mailboxes ----------------------------------------------------------------------------------


def test_the_list_says_how_each_mailbox_is(admin, workspace):
    assert "No mailbox yet" in page(admin.get(reverse("mail:mailboxes")))
    ready = MailboxFactory(workspace=workspace)
    MailboxFactory(
        workspace=workspace, is_default=False, imap_host="imap.acme.example", fetch_failures=2, fetched_at=NOW,
        fetch_error="The server refused the password.",
    )  # fmt: skip
    MailboxFactory(workspace=workspace, is_default=False, is_active=False)
    MailboxFactory(workspace=workspace, is_default=False, send_error="Nobody listens there.")
    MailboxFactory(workspace=workspace, is_default=False, imap_host="imap.acme.example")
    MailboxFactory(workspace=workspace, is_default=False, imap_host="imap.acme.example", fetched_at=NOW)
    for outcome in ("", "quarantined"):
        Incoming.unscoped.create(
            workspace=workspace, mailbox=ready, size=1, sha256="x", way="smtp", received_at=NOW,
            status="done" if outcome else "waiting", outcome=outcome,
        )  # fmt: skip
    shown = page(admin.get(reverse("mail:mailboxes")))
    for words in (
        "Ready", "Default", "Cannot fetch", "Fetching failed 2 times in a row: The server refused the password.",
        "Off", "Cannot send", "Sending: Nobody listens there.", "Not fetched yet", "Fetched late",
        "<b>1</b> waiting in", "<b>1</b> in quarantine",
    ):  # fmt: skip
        assert words in shown


def test_a_mailbox_is_made_and_leads_to_its_forwarding_address(admin, workspace):
    team: Any = TeamFactory(workspace=workspace)
    answer = new(admin, team_id=str(team.pk), priority="high", adds_cc="never")
    box = Mailbox.unscoped.get()
    assert answer["Location"] == reverse("mail:mailbox-edit", args=[box.pk])
    assert (box.team, box.priority, box.adds_cc, box.is_default) == (team, "high", "never", True)
    shown = page(admin.get(answer["Location"]))
    assert addressing.forwarding_address(box) in shown
    assert reverse("mail:api-inbound", args=[box.pk]) in shown


def test_a_refused_mailbox_comes_back_filled_in_but_for_its_password(admin):
    answer = new(admin, address="support", name="Acme Support", imap_host="127.0.0.1", imap_secret="s3cret")
    shown = page(answer, 400)
    assert "This is not a complete e-mail address" in shown and "inside a private network" in shown
    assert 'value="Acme Support"' in shown and "s3cret" not in shown
    assert not Mailbox.unscoped.exists()


def test_passwords_never_go_back_to_the_page_and_stay_when_left_empty(admin, workspace):
    box = mailboxes.save_mailbox(
        workspace=workspace,
        changes={"address": "a@b.example", "imap_host": "x.invalid", "imap_user": "u", "imap_secret": "s3cret"},
        now=NOW,
    )
    url = reverse("mail:mailbox-edit", args=[box.pk])
    answer = admin.get(url)
    shown = page(answer)
    assert "s3cret" not in shown and box.imap_secret not in shown and "(kept; type to replace it)" in shown
    assert admin.post(url, form_of(answer) | {"name": "New name"}).status_code == 302
    kept = Mailbox.unscoped.get()
    assert (kept.name, kept.imap_secret) == ("New name", box.imap_secret)


def test_the_secret_for_https_is_shown_once(admin, workspace):
    box = MailboxFactory(workspace=workspace)
    shown = page(admin.post(reverse("mail:mailbox-secret", args=[box.pk])))
    secret = re.findall(r"hdm_[\w-]{40,}", shown)[0]
    box.refresh_from_db()
    again = page(admin.get(reverse("mail:mailbox-edit", args=[box.pk])))
    assert secret not in again and box.secret_hint in again and box.secret_hash not in again


def test_the_way_in_is_tried_after_saving_and_the_result_is_said(admin, workspace, monkeypatch):
    box = MailboxFactory(workspace=workspace)
    url = reverse("mail:mailbox-edit", args=[box.pk])
    sent = form_of(admin.get(url)) | {"then": "try_in"}
    assert "There is no server to fetch mail from yet." in page(admin.post(url, sent, follow=True))
    more = {"imap_host": "x.invalid", "imap_user": "u", "imap_secret": "p"}
    monkeypatch.setattr(imap, "try_mailbox", lambda *, mailbox, now: f"Signed in at {mailbox.imap_host}.")
    assert "Signed in at x.invalid." in page(admin.post(url, sent | more, follow=True))

    def refuse(**_):
        raise DomainError("The server refused the password.")

    monkeypatch.setattr(imap, "try_mailbox", refuse)
    shown = page(admin.post(url, sent | more, follow=True))
    assert "Fetching does not work yet. The server refused the password." in shown


def test_the_way_out_is_tried_with_a_mail_to_the_admin(admin, workspace):
    box = MailboxFactory(workspace=workspace)
    url = reverse("mail:mailbox-edit", args=[box.pk])
    sent = form_of(admin.get(url)) | {"then": "try_out"}
    assert "A mail to maria@acme.example was taken" in page(admin.post(url, sent, follow=True))
    assert [letter.to for letter in mail.outbox] == [["maria@acme.example"]]


def test_a_mailbox_is_made_default_switched_and_deleted(admin, workspace):
    first = MailboxFactory(workspace=workspace)
    second = MailboxFactory(workspace=workspace, is_default=False)
    asked = page(admin.get(reverse("mail:mailbox-edit", args=[first.pk])))
    assert "Delete the default mailbox?" in asked
    admin.post(reverse("mail:mailbox-default", args=[second.pk]))
    second.refresh_from_db()
    assert second.is_default
    admin.post(reverse("mail:mailbox-switch", args=[first.pk]), {"is_active": "0"})
    first.refresh_from_db()
    assert not first.is_active
    assert "Delete your only mailbox?" in page(admin.get(reverse("mail:mailbox-edit", args=[second.pk])))
    admin.post(reverse("mail:mailbox-delete", args=[second.pk]))
    assert [box.pk for box in Mailbox.unscoped.all()] == [first.pk]


def test_a_mailbox_that_mail_waits_for_is_not_deleted(admin, workspace):
    box = MailboxFactory(workspace=workspace)
    receiving.accept(raw=b"x", mailbox=box, way="smtp", envelope_from="", envelope_to="", now=NOW)
    shown = page(admin.post(reverse("mail:mailbox-delete", args=[box.pk]), follow=True))
    assert "Messages still wait for this mailbox." in shown and Mailbox.unscoped.exists()


def test_names_are_shown_as_text(admin, workspace):
    MailboxFactory(workspace=workspace, name="<script>alert(1)</script>", fetch_error="<b>x</b>")
    shown = page(admin.get(reverse("mail:mailboxes")))
    assert "<script>alert" not in shown and "&lt;script&gt;" in shown and "<b>x</b>" not in shown


# --- How we write -------------------------------------------------------------------------------


def test_how_the_workspace_writes_is_shown_and_saved(admin, workspace):
    url = reverse("mail:writing")
    sent = form_of(admin.get(url))
    assert (sent["undo_seconds"], sent["link_files_over"], sent["history"]) == (10, "7", "last")
    sent.pop("acknowledges")
    more = {"undo_seconds": "0", "link_files_over": "1.5", "history": "none", "signature": "Regards\nAcme"}
    assert admin.post(url, sent | more).status_code == 302
    kept = MailSettings.unscoped.get()
    workspace.refresh_from_db()
    assert (kept.undo_seconds, kept.link_files_over, kept.history) == (0, 1536 * 1024, "none")
    assert not kept.acknowledges and kept.tells_resolution and workspace.signature == "Regards\nAcme"


def test_a_wrong_way_to_write_comes_back_with_the_reason(admin):
    url = reverse("mail:writing")
    sent = form_of(admin.get(url)) | {"undo_seconds": "500", "signature": "Still here"}
    shown = page(admin.post(url, sent), 400)
    assert "less than or equal to 120" in shown and "Still here" in shown
    assert not MailSettings.unscoped.exists()


# --- Parsing rules ------------------------------------------------------------------------------

FILLED = {
    "name": "Late orders",
    "mailbox": "",
    "needs": "any",
    "if.0.field": "subject",
    "if.0.operator": "contains",
    "if.0.value": "late",
    "if.1.field": "header",
    "if.1.header": "X-Shop",
    "if.1.operator": "matches",
    "if.1.value": r"lamp|chair",
    "then.0.do": "set_priority",
    "then.0.was": "set_priority",
    "then.0.value": "high",
    "then.1.do": "add_tags",
    "then.1.was": "add_tags",
    "then.1.value": "late, Order",
    "then.2.do": "map",
    "then.2.was": "map",
    "then.2.source": "subject",
    "then.2.pattern": r"#(\S+)",
    "then.2.target": "custom_fields.order",
    "stops": "1",
    "is_active": "1",
}
TESTS = [
    {"field": "subject", "operator": "contains", "value": "late"},
    {"field": "header", "operator": "matches", "header": "X-Shop", "value": "lamp|chair"},
]


def test_a_rule_is_made_from_its_inputs_and_read_as_a_sentence(admin, workspace):
    FieldFactory(workspace=workspace, key="order", label="Order number")
    assert "No parsing rules yet" in page(admin.get(reverse("mail:rules")))
    assert admin.post(reverse("mail:rule-new"), FILLED).status_code == 302
    rule = ParsingRule.unscoped.get()
    assert rule.tests == TESTS and not rule.needs_all and rule.stops and rule.is_active
    assert rule.actions == [
        {"do": "set_priority", "value": "high"},
        {"do": "add_tags", "value": ["late", "order"]},
        {"do": "map", "source": "subject", "pattern": r"#(\S+)", "target": "custom_fields.order"},
    ]
    shown = page(admin.get(reverse("mail:rules")))
    assert "Every message, when the subject contains “late” or the header X-Shop matches “lamp|chair”" in shown
    assert "take the field “Order number” from the subject, what matches #(\\S+)" in shown


def test_a_rule_comes_back_from_its_form_as_it_went_in(admin, workspace):
    FieldFactory(workspace=workspace, key="order")
    admin.post(reverse("mail:rule-new"), FILLED)
    rule = ParsingRule.unscoped.get()
    answer = admin.get(reverse("mail:rule-edit", args=[rule.pk]))
    draft = answer.context["draft"]
    changes = draft.changes()
    rules.save_rule(workspace=workspace, changes=changes, rule=rule, now=NOW)
    again = ParsingRule.unscoped.get()
    assert (again.tests, again.actions, again.needs_all, again.stops) == (
        rule.tests, rule.actions, rule.needs_all, rule.stops,
    )  # fmt: skip


def test_the_buttons_change_the_form_and_save_nothing(admin):
    url = reverse("mail:rule-new")
    draft = admin.post(url, FILLED | {"change": "add-test"}).context["draft"]
    assert [row.path for row in draft.tests] == ["if.0", "if.1", "if.2"] and draft.focus == "if.2.field"
    draft = admin.post(url, FILLED | {"change": "remove:if.0"}).context["draft"]
    assert [row.value for row in draft.tests] == ["lamp|chair"] and draft.tests[0].path == "if.0"
    draft = admin.post(url, FILLED | {"change": "add-action"}).context["draft"]
    assert len(draft.actions) == 4
    draft = admin.post(url, FILLED | {"change": "remove:then.1"}).context["draft"]
    assert [row.kind for row in draft.actions] == ["set_priority", "map"]
    # What was given for another kind is dropped.
    draft = admin.post(url, FILLED | {"then.0.do": "set_team", "change": "draw"}).context["draft"]
    assert (draft.actions[0].kind, draft.actions[0].value) == ("set_team", "")
    for nonsense in ("remove:if.99", "draw:../..", "explode", ""):
        assert len(admin.post(url, FILLED | {"change": nonsense}).context["draft"].tests) == 2
    assert not ParsingRule.unscoped.exists()


def test_what_is_wrong_stands_beside_its_input(admin):
    wrong = FILLED | {"name": "", "if.1.value": "(", "if.1.header": "X Shop", "then.0.value": "soon", "mailbox": "x"}
    answer = admin.post(reverse("mail:rule-new"), wrong)
    shown = page(answer, 400)
    assert "This is no regular expression: missing ) in “(”." in shown
    for place in ("name", "if.1.value", "if.1.header", "then.0.value", "then.2.target", "mailbox"):
        assert f'id="{place}_error"' in shown, place
    assert 'value="late"' in shown and not ParsingRule.unscoped.exists()


def test_a_thing_that_is_gone_stays_chosen_so_that_one_sees_it(admin, workspace):
    category = CategoryFactory(workspace=workspace)
    rule = rules.save_rule(
        workspace=workspace,
        changes={"name": "r", "actions": [{"do": "set_category", "value": str(category.pk)}]},
        now=NOW,
    )
    category.archived_at = NOW
    category.save()
    assert "Deleted" in page(admin.get(reverse("mail:rule-edit", args=[rule.pk])))
    assert "category what was deleted" in page(admin.get(reverse("mail:rules")))


def test_rules_are_moved_switched_and_deleted(admin, workspace):
    first, second = (
        rules.save_rule(workspace=workspace, changes={"name": name, "actions": [{"do": "drop"}]}, now=NOW)
        for name in ("First", "Second")
    )
    admin.post(reverse("mail:rule-move", args=[second.pk]), {"direction": "up"})
    assert [rule.name for rule in rules.rules(workspace.pk)] == ["Second", "First"]
    admin.post(reverse("mail:rule-switch", args=[first.pk]), {"is_active": "0"})
    first.refresh_from_db()
    assert not first.is_active
    admin.post(reverse("mail:rule-delete", args=[first.pk]))
    assert list(ParsingRule.unscoped.all()) == [second]


# --- Trying rules -------------------------------------------------------------------------------

RAW = "From: Jane <jane@shop.example>\nTo: support@acme.example\nSubject: Order #A-1 is late\n\nWhere is it?\n"


def test_a_pasted_message_is_tried_and_nothing_is_written(admin, workspace):
    url = reverse("mail:rules-try")
    assert "Add a mailbox first" in page(admin.post(url, {"raw": RAW}), 400)
    MailboxFactory(workspace=workspace)
    assert "Paste a message, or choose one that came." in page(admin.post(url, {"raw": " "}), 400)
    FieldFactory(workspace=workspace, key="order", label="Order number")
    admin.post(reverse("mail:rule-new"), FILLED)
    shown = page(admin.post(url, {"raw": RAW}))
    for words in ("Its ticket would get", "Order number", "A-1", "High", "The subject contains “late”", "Late orders"):
        assert words in shown
    assert "No rule matches." in page(admin.post(url, {"raw": RAW.replace("late", "early")}))
    rule = ParsingRule.unscoped.get()
    assert (rule.matched_count, Ticket.unscoped.count(), Incoming.unscoped.count()) == (0, 0, 0)


def test_a_message_that_came_is_tried(admin, workspace):
    box = MailboxFactory(workspace=workspace)
    came = receiving.accept(raw=RAW.encode(), mailbox=box, way="smtp", envelope_from="", envelope_to="", now=NOW)
    rules.save_rule(
        workspace=workspace, changes={"name": "Away", "mailbox_id": box.pk, "actions": [{"do": "drop"}]}, now=NOW
    )
    url = reverse("mail:rules-try")
    assert f'value="{came.pk}" selected' in page(admin.get(url, {"message": came.pk}))
    shown = page(admin.post(url, {"message": str(came.pk)}))
    assert "It would be dropped" in shown and "Away" in shown
    came.refresh_from_db()
    assert came.status == "waiting"
    came.raw.storage.delete(came.raw.name)
    assert "not kept any more" in page(admin.post(url, {"message": str(came.pk)}), 400)


def test_a_message_of_another_workspace_is_not_tried(admin, workspace):
    MailboxFactory(workspace=workspace)
    foreign = MailboxFactory()
    came = receiving.accept(raw=RAW.encode(), mailbox=foreign, way="smtp", envelope_from="", envelope_to="", now=NOW)
    for asked in (str(came.pk), "nonsense"):
        assert admin.post(reverse("mail:rules-try"), {"message": asked}).status_code == 404


# --- How many queries ---------------------------------------------------------------------------


def fill(workspace, number):
    for n in range(number):
        box = MailboxFactory(workspace=workspace, is_default=False, team=TeamFactory(workspace=workspace))
        CategoryFactory(workspace=workspace, parent=CategoryFactory(workspace=workspace))
        make_agent(workspace)
        rules.save_rule(
            workspace=workspace,
            changes={
                "name": f"r{n}",
                "mailbox_id": box.pk,
                "actions": [{"do": "set_team", "value": str(box.team_id)}],
            },
            now=NOW,
        )


@pytest.mark.parametrize(
    ("name", "most"),
    [("mailboxes", 10), ("mailbox-new", 8), ("writing", 7), ("rules", 11), ("rule-new", 11), ("rules-try", 8)],
)
def test_a_page_takes_as_many_queries_however_many_rows_there_are(admin, workspace, name, most):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries():
        with CaptureQueriesContext(connection) as seen:
            page(admin.get(reverse(f"mail:{name}")))
        return len(seen)

    fill(workspace, 1)
    queries()
    few = queries()
    fill(workspace, 4)
    assert queries() == few <= most


def test_mailboxes_stand_in_the_navigation_of_admins_only(client, workspace):
    client.force_login(make_agent(workspace).user)
    assert reverse("mail:mailboxes") not in page(client.get(reverse("tickets:settings-canned-responses")))
    client.force_login(make_agent(workspace, role="owner").user)
    assert reverse("mail:mailboxes") in page(client.get(reverse("tickets:settings-canned-responses")))
    assert Outgoing.unscoped.count() == 0
