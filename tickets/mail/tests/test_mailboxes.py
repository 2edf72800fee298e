"""Mailboxes and how a workspace writes: what may be saved, what is kept secret, and what follows."""

import datetime as dt

import pytest

from helpdesk import outbound, sealing
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound
from tickets.mail.models import Incoming, Mailbox, MailSettings, ParsingRule
from tickets.mail.services import mailboxes, receiving
from tickets.mail.tests.factories import MailboxFactory
from tickets.tests.factories import NOW, CategoryFactory, make_agent

pytestmark = pytest.mark.django_db
IMAP = {"imap_host": "imap.acme.example", "imap_user": "support", "imap_secret": "pass word "}


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """What the names of servers lead to: nothing of ours asks a real name server."""
    known = {"imap.acme.example": "93.184.216.34", "other.example": "93.184.216.35", "inside.example": "10.0.0.5"}

    def look_up(host, port):
        if host not in known:
            raise OSError
        return [outbound.ipaddress.ip_address(known[host])]

    monkeypatch.setattr(outbound, "_look_up", look_up)


@pytest.fixture
def workspace():
    return WorkspaceFactory()


def save(workspace, mailbox=None, **changes):
    return mailboxes.save_mailbox(workspace=workspace, changes=changes, mailbox=mailbox, now=NOW)


def test_the_first_mailbox_is_the_default_and_the_next_is_not(workspace):
    first = save(workspace, address="Support@Acme.example")
    second = save(workspace, address="billing@acme.example")
    assert (first.address, first.is_default, second.is_default) == ("support@acme.example", True, False)


def test_what_a_new_ticket_gets_is_kept(workspace):
    team, category = TeamFactory(workspace=workspace), CategoryFactory(workspace=workspace)
    box = save(workspace, address="a@b.example", team_id=team.pk, category_id=category.pk, priority="high")
    box.refresh_from_db()
    assert (box.team, box.category, box.priority) == (team, category, "high")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"address": ""}, "address"),
        ({"address": "support"}, "address"),
        ({"address": "sup+port@acme.example"}, "address"),
        ({"address": "sup\0port@acme.example"}, "address"),
        ({"address": "süpport@acme.example"}, "address"),
        ({"name": "x" * 121}, "name"),
        ({"priority": "soon"}, "priority"),
        ({"adds_cc": "sometimes"}, "adds_cc"),
        ({"trusted_host": "no host"}, "trusted_host"),
        ({"imap_host": "http://x.example"}, "imap_host"),
        ({"imap_host": "inside.example"}, "imap_host"),
        ({"imap_host": "127.0.0.1"}, "imap_host"),
        ({"smtp_host": "inside.example"}, "smtp_host"),
        ({"imap_port": 0}, "imap_port"),
        ({"smtp_port": 65536}, "smtp_port"),
        ({"smtp_port": True}, "smtp_port"),
        ({"imap_security": "ssl"}, "imap_security"),
        ({"imap_folder": " "}, "imap_folder"),
        ({**IMAP, "imap_user": ""}, "imap_user"),
        ({**IMAP, "imap_secret": ""}, "imap_secret"),
        ({**IMAP, "imap_secret": "a\r\nb"}, "imap_secret"),
        ({**IMAP, "imap_after": "move"}, "imap_move_to"),
        ({**IMAP, "imap_auth": "oauth2", "oauth_token_url": "https://other.example/"}, "oauth_client_id"),
        ({**IMAP, "imap_auth": "oauth2", "oauth_client_id": "x"}, "oauth_token_url"),
        ({"oauth_token_url": "http://other.example/"}, "oauth_token_url"),
        ({"oauth_token_url": "https://inside.example/"}, "oauth_token_url"),
        ({"smtp_host": "other.example", "smtp_secret": "x"}, "smtp_user"),
        ({"uses_plus_address": "yes"}, "uses_plus_address"),
        ({"is_active": False}, "is_active"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_saved(workspace, settings, monkeypatch, changes, field):
    monkeypatch.setattr(outbound, "_look_up", lambda host, port: [_address(host)])
    settings.OUTBOUND_ALLOW = []
    with pytest.raises(InvalidInput) as refused:
        save(workspace, **{"address": "support@acme.example", **changes})
    assert list(refused.value.errors) == [field]
    assert not Mailbox.unscoped.exists()


def _address(host):
    known = {"inside.example": "10.0.0.5", "127.0.0.1": "127.0.0.1"}
    return outbound.ipaddress.ip_address(known.get(host, "93.184.216.34"))


def test_every_wrong_field_is_named_at_once(workspace):
    with pytest.raises(InvalidInput) as refused:
        save(workspace, address="x", imap_port=0, priority="soon")
    assert set(refused.value.errors) == {"address", "imap_port", "priority"}


def test_an_address_belongs_to_one_mailbox_of_the_installation(workspace):
    MailboxFactory(address="support@acme.example")
    with pytest.raises(InvalidInput) as refused:
        save(workspace, address="SUPPORT@acme.example")
    assert refused.value.errors == {"address": ["There is a mailbox with this address already."]}


def test_our_own_forwarding_domain_is_no_address_of_a_mailbox(workspace, settings):
    settings.MAIL_DOMAIN = "in.help.example"
    with pytest.raises(InvalidInput) as refused:
        save(workspace, address="support@in.help.example")
    assert "for forwarding to us" in refused.value.errors["address"][0]


def test_a_team_or_category_of_another_workspace_is_refused(workspace):
    for changes in ({"team_id": TeamFactory().pk}, {"category_id": CategoryFactory().pk}):
        with pytest.raises(InvalidInput) as refused:
            save(workspace, address="a@b.example", **changes)
        assert list(refused.value.errors) == list(changes)


def test_a_name_that_cannot_be_looked_up_now_is_taken(workspace):
    assert save(workspace, address="a@b.example", smtp_host="not-yet.example").smtp_host == "not-yet.example"


# --- Secrets ------------------------------------------------------------------------------------


def test_passwords_are_sealed_kept_when_left_empty_and_replaced_when_given(workspace):
    box = save(workspace, address="a@b.example", **IMAP)
    assert "pass word" not in box.imap_secret and sealing.unseal(box.imap_secret) == "pass word "
    box = save(workspace, box, imap_secret="", imap_folder="Support")
    assert sealing.unseal(box.imap_secret) == "pass word "
    box = save(workspace, box, imap_secret="new")
    assert sealing.unseal(box.imap_secret) == "new"


def test_a_password_does_not_go_to_another_server_than_it_was_given_for(workspace):
    box = save(workspace, address="a@b.example", **IMAP)
    with pytest.raises(InvalidInput) as refused:
        save(workspace, box, imap_host="other.example")
    assert list(refused.value.errors) == ["imap_secret"]
    box.refresh_from_db()
    assert box.imap_host == "imap.acme.example"
    assert save(workspace, box, imap_host="other.example", imap_secret="again").imap_host == "other.example"


def test_without_a_server_its_password_is_forgotten(workspace):
    box = save(workspace, address="a@b.example", **IMAP)
    save(workspace, box, imap_host="")
    box.refresh_from_db()
    assert (box.imap_host, box.imap_secret) == ("", "")


def test_a_change_of_the_way_in_lets_it_be_fetched_at_once_and_forgets_old_errors(workspace):
    box = save(workspace, address="a@b.example", **IMAP)
    later = NOW + dt.timedelta(hours=1)
    Mailbox.unscoped.update(fetch_error="x", fetch_failures=9, next_fetch_at=later, fetched_at=NOW, send_error="y")
    save(workspace, box, name="Other")
    box.refresh_from_db()
    assert (box.fetch_error, box.fetch_failures, box.next_fetch_at, box.send_error) == ("x", 9, later, "y")
    save(workspace, box, imap_folder="Support", smtp_port=25)
    box.refresh_from_db()
    assert (box.fetch_error, box.fetch_failures, box.next_fetch_at, box.send_error) == ("", 0, None, "")
    assert box.fetched_at == NOW


def test_a_new_secret_for_https_ends_the_one_before(workspace):
    box = MailboxFactory(workspace=workspace)
    first = mailboxes.renew_secret(mailbox=box)
    before = box.secret_hash
    second = mailboxes.renew_secret(mailbox=box)
    box.refresh_from_db()
    assert first != second and box.secret_hash != before and second not in (box.secret_hash, box.secret_hint)


# --- Default, off, deleted ----------------------------------------------------------------------


def boxes(workspace, count=2):
    return [MailboxFactory(workspace=workspace, is_default=n == 0) for n in range(count)]


def default_of(workspace):
    return Mailbox.objects.for_workspace(workspace).get(is_default=True)


def test_another_mailbox_can_be_the_default_but_none_that_is_off(workspace):
    first, second = boxes(workspace)
    mailboxes.make_default(mailbox=second)
    assert default_of(workspace) == second
    mailboxes.switch_mailbox(mailbox=first, is_active=False)
    with pytest.raises(Conflict):
        mailboxes.make_default(mailbox=first)
    assert default_of(workspace) == second


def test_the_default_passes_on_when_it_is_switched_off_or_deleted(workspace):
    first, second, third = boxes(workspace, 3)
    mailboxes.switch_mailbox(mailbox=first, is_active=False)
    assert default_of(workspace) == second
    mailboxes.delete_mailbox(mailbox=second)
    assert default_of(workspace) == third
    mailboxes.switch_mailbox(mailbox=third, is_active=False)  # the only one keeps it
    assert default_of(workspace) == third
    mailboxes.switch_mailbox(mailbox=first, is_active=True)
    assert default_of(workspace) == first


def test_a_mailbox_goes_with_its_trace_its_files_and_its_rules(workspace, django_capture_on_commit_callbacks):
    box = MailboxFactory(workspace=workspace)
    ParsingRule.unscoped.create(workspace=workspace, mailbox=box, name="r", position=1)
    incoming = receiving.accept(
        raw=b"From: a@b.example\n\nx", mailbox=box, way="http", envelope_from=None, envelope_to="", now=NOW
    )
    with pytest.raises(Conflict, match="still wait"):
        mailboxes.delete_mailbox(mailbox=box)
    assert Mailbox.unscoped.exists()
    receiving.process(incoming_id=incoming.pk, now=NOW)
    assert incoming.raw.storage.exists(incoming.raw.name)
    with django_capture_on_commit_callbacks(execute=True):
        mailboxes.delete_mailbox(mailbox=box)
    assert not (Mailbox.unscoped.exists() or Incoming.unscoped.exists() or ParsingRule.unscoped.exists())
    assert not incoming.raw.storage.exists(incoming.raw.name)


def test_a_mailbox_with_very_many_messages_is_not_deleted(workspace, monkeypatch):
    box = MailboxFactory(workspace=workspace)
    monkeypatch.setattr(mailboxes, "MOST_DELETED", 0)
    Incoming.unscoped.create(
        workspace=workspace, mailbox=box, size=1, sha256="x", way="smtp", received_at=NOW, status="done",
        outcome="ignored",
    )  # fmt: skip
    with pytest.raises(Conflict, match="switch it off"):
        mailboxes.delete_mailbox(mailbox=box)
    assert Mailbox.unscoped.exists()


def test_a_mailbox_of_another_workspace_is_not_there(workspace):
    box = MailboxFactory()
    with pytest.raises(NotFound):
        mailboxes.find_mailbox(workspace.pk, box.pk)
    with pytest.raises(NotFound):
        save(workspace, box, name="Mine now")


def test_there_is_a_limit_to_mailboxes(workspace, monkeypatch):
    monkeypatch.setattr(mailboxes, "MAX_MAILBOXES", 1)
    save(workspace, address="a@b.example")
    with pytest.raises(Conflict):
        save(workspace, address="c@b.example")


def test_the_states_of_all_mailboxes_take_four_queries(workspace, django_assert_num_queries):
    first, *_ = boxes(workspace, 5)
    for outcome in ("", "quarantined", "ignored"):
        Incoming.unscoped.create(
            workspace=workspace, mailbox=first, size=1, sha256="x", way="smtp", received_at=NOW,
            status="done" if outcome else "waiting", outcome=outcome,
        )  # fmt: skip
    with django_assert_num_queries(4):
        states = mailboxes.states(workspace.pk)
    assert [(s.waiting_in, s.waiting_out, s.quarantined) for s in states if s.mailbox == first] == [(1, 0, 1)]


# --- How we write -------------------------------------------------------------------------------


def write(workspace, by=None, **changes):
    by = by or make_agent(workspace, role="admin")
    mailboxes.save_writing(workspace=workspace, changes=changes, by=by, now=NOW)


def test_how_a_workspace_writes_has_defaults_and_is_kept(workspace):
    assert mailboxes.writing(workspace.pk).undo_seconds == 10
    write(
        workspace, undo_seconds=0, acknowledges=False, history="all", link_files_over=0, signature="Kind regards\nAcme"
    )
    kept = mailboxes.writing(workspace.pk)
    workspace.refresh_from_db()
    assert (kept.undo_seconds, kept.acknowledges, kept.history, kept.link_files_over) == (0, False, "all", 0)
    assert kept.tells_resolution and workspace.signature == "Kind regards\nAcme"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"undo_seconds": 121}, "undo_seconds"),
        ({"undo_seconds": -1}, "undo_seconds"),
        ({"undo_seconds": "9"}, "undo_seconds"),
        ({"history": "some"}, "history"),
        ({"acknowledges": 1}, "acknowledges"),
        ({"link_files_over": 26 * 1024 * 1024}, "link_files_over"),
        ({"signature": "x" * 2001}, "signature"),
        ({"signature": "a\0"}, "signature"),
    ],
)
def test_a_wrong_way_to_write_is_named_and_nothing_is_saved(workspace, changes, field):
    with pytest.raises(InvalidInput) as refused:
        write(workspace, **changes)
    assert list(refused.value.errors) == [field]
    assert not MailSettings.unscoped.exists()


def test_who_may_not_manage_does_not_change_the_signature(workspace):
    with pytest.raises(NotAllowed):
        write(workspace, by=make_agent(workspace), signature="Mine")
    assert not MailSettings.unscoped.exists()
