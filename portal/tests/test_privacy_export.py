"""What a customer gets who asks what is stored about them."""

import datetime as dt
import json
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import InvalidInput, NotFound
from portal.models import PrivacyRequest
from portal.services import privacy, privacy_export, requests
from portal.tests.factories import make_request
from portal.tests.privacy_rows import ADDRESS, FILE, HIDDEN, OTHER, WORD, Planted, upload, work_off
from tickets.models import Attachment, CustomerToken
from tickets.tests.factories import make_agent, make_reply

NOW = timezone.now().replace(microsecond=0)
JANE = "jane@customers.example"


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme", slug="acme")


def export(workspace: Workspace, address: str, by: Any, at: dt.datetime = NOW) -> PrivacyRequest:
    return work_off(privacy.ask_export(workspace=workspace, address=address, by=by, now=at), at)


def opened(request: PrivacyRequest, at: dt.datetime = NOW) -> tuple[dict[str, Any], zipfile.ZipFile]:
    with privacy.open_file(request=request, now=at) as content:
        archive = zipfile.ZipFile(BytesIO(content.read()))
    assert archive.testzip() is None
    return json.loads(archive.read("export.json")), archive


@pytest.mark.django_db(transaction=True)
def test_everything_is_in_it_but_notes_of_agents_and_secrets(workspace):
    planted = Planted(workspace, NOW)
    stranger = make_request(WorkspaceFactory(), requester_email=ADDRESS, subject="yk8hidden elsewhere")
    request = export(workspace, ADDRESS, planted.admin, NOW + dt.timedelta(days=1))
    assert (request.status, request.error) == ("done", "")
    document, archive = opened(request, NOW + dt.timedelta(days=2))
    text = json.dumps(document)
    assert document["contact"]["email"] == ADDRESS and document["contact"]["attributes"] == {"plan": WORD}
    tickets = {ticket["number"]: ticket for ticket in document["tickets"]}
    own = [planted.ticket, planted.by_api, planted.mailed, planted.chat, planted.source, planted.trashed]
    assert {t.number for t in own} <= {n for n, ticket in tickets.items() if ticket["you_are"] == "requester"}
    assert tickets[planted.near.number]["you_are"] == "participant"
    assert planted.naming.number not in tickets, "who is named in a note takes no part"
    first = tickets[planted.ticket.number]
    assert first["custom_fields"] == {"a_text": WORD, "a_choice": "Red"}
    assert [rating["rating"] for rating in first["ratings"]] == [2] and WORD in first["ratings"][0]["feedback"]
    assert first["notes_left_out"] == 1 and document["notes_left_out"] == 1
    assert [message["is_yours"] for message in first["messages"]] == [True, False]
    assert tickets[planted.chat.number]["chat"]["context"]["account"]["note"] == WORD
    assert tickets[planted.trashed.number]["in_trash"] is True
    assert {mail["subject"] for mail in document["mails_received"]} >= {f"{WORD} by mail", f"Re: {WORD} by mail"}
    assert {mail["kind"] for mail in document["mails_sent"]} >= {"Answer", "Acknowledgement"}
    assert len(document["sign_in_links"]) == 1
    assert document["lists"]["blocked"] and document["lists"]["undeliverable"]
    # Each file that it names is there, and those of agents' own are not.
    holders = [*document["tickets"], *(message for t in document["tickets"] for message in t["messages"])]
    named = [file["path"] for holder in holders for file in holder.get("files", [])]
    mails = [mail["original"] for mail in document["mails_received"] if mail["original"]]
    assert sorted(archive.namelist()) == sorted(["export.json", *named, *mails])
    assert len(named) == 3 and len(mails) == 3
    assert all(archive.read(name) == FILE for name in named)
    # Nothing of agents among themselves, no secret, nothing of another workspace.
    everything = text + "".join(archive.namelist()) + "".join(archive.read(name).decode("latin-1") for name in named)
    for hidden in (HIDDEN, planted.token, planted.agent.user.email, "own/Zora"):
        assert hidden not in everything
    for row in CustomerToken.unscoped.filter(contact=planted.contact):
        assert row.token_hash not in everything and row.nonce.hex() not in everything
    assert str(stranger[0].pk) not in everything
    assert OTHER not in json.dumps(tickets[planted.ticket.number])


@pytest.mark.django_db
class TestTheFile:
    @pytest.fixture
    def admin(self, workspace):
        return make_agent(workspace, role="admin")

    def test_names_in_it_lead_nowhere_else(self, workspace, admin):
        ticket, _ = make_request(workspace, uploads=[upload("a.txt")])
        for name in ("../../etc/passwd", "/etc/passwd", "C:\\x\\..\\y.txt", "a\u202etxt.exe", "..", "con\x00.txt"):
            kept = Attachment.unscoped.get(ticket=ticket)
            Attachment.unscoped.filter(pk=kept.pk).update(name=name.replace("\x00", ""))
            _, archive = opened(export(workspace, JANE, admin))
            for inside in archive.namelist():
                path = PurePosixPath(inside)
                assert not path.is_absolute() and ".." not in path.parts and "\\" not in inside
                assert path.parts[0] in ("export.json", "files", "mails")

    def test_two_files_of_one_name_are_both_there(self, workspace, admin):
        make_request(workspace, uploads=[upload("a.txt"), upload("a.txt")])
        _, archive = opened(export(workspace, JANE, admin))
        assert len([name for name in archive.namelist() if name.endswith("-a.txt")]) == 2

    def test_a_file_that_is_lost_is_told_of_and_stops_nothing(self, workspace, admin):
        ticket, _ = make_request(workspace, uploads=[upload("a.txt"), upload("b.txt")])
        default_storage.delete(Attachment.unscoped.filter(ticket=ticket).first().file.name)
        request = export(workspace, JANE, admin)
        document, archive = opened(request)
        assert len(document["tickets"][0]["files"]) == 2
        assert len(archive.namelist()) == 2 and request.counts["files"] == 1

    def test_is_deleted_after_a_week_and_cannot_be_had_from_then_on(self, workspace, admin):
        make_request(workspace)
        request = export(workspace, JANE, admin)
        name, week = request.file.name, dt.timedelta(days=7)
        assert privacy.delete_old_files(now=NOW + week - dt.timedelta(seconds=1)) == 0
        with pytest.raises(NotFound):
            privacy.open_file(request=request, now=NOW + week)
        assert privacy.delete_old_files(now=NOW + week) == 1
        assert not default_storage.exists(name)
        request.refresh_from_db()
        assert not request.file and request.status == "done"

    def test_that_was_half_made_by_a_worker_who_was_killed_leaves_no_second_one(self, workspace, admin, monkeypatch):
        make_request(workspace)
        request = privacy.ask_export(workspace=workspace, address=JANE, by=admin, now=NOW)

        class Killed(BaseException):
            pass

        with monkeypatch.context() as killing, pytest.raises(Killed):
            killing.setattr(privacy_export.privacy_work, "end", mock.Mock(side_effect=Killed))
            privacy.run(request_id=request.pk, clock=lambda: NOW)
        assert work_off(request, NOW + dt.timedelta(minutes=10)).status == "done"
        folder = Path(default_storage.path(f"privacy/{workspace.pk}"))
        assert [str(path) for path in folder.iterdir()] == [default_storage.path(request.file.name)]

    def test_that_is_still_being_made_is_given_up_when_the_customer_is_erased(self, workspace, admin, monkeypatch):
        make_request(workspace)
        request = privacy.ask_export(workspace=workspace, address=JANE, by=admin, now=NOW)
        real = privacy_export.privacy_work.end

        def erased_meanwhile(*args: Any, **kwargs: Any) -> None:
            monkeypatch.setattr(privacy_export.privacy_work, "end", real)
            work_off(privacy.ask_erasure(workspace=workspace, address=JANE, typed=JANE, by=admin, now=NOW), NOW)
            real(*args, **kwargs)

        monkeypatch.setattr(privacy_export.privacy_work, "end", erased_meanwhile)
        assert not privacy.run(request_id=request.pk, clock=lambda: NOW)
        request.refresh_from_db()
        assert (request.status, request.address, request.file.name) == ("failed", "", "")
        assert not list(Path(default_storage.path(f"privacy/{workspace.pk}")).iterdir())

    def test_of_an_address_that_nobody_has_is_refused(self, workspace, admin):
        for address in ("nobody@customers.example", "no address"):
            with pytest.raises(InvalidInput) as refused:
                privacy.ask_export(workspace=workspace, address=address, by=admin, now=NOW)
            assert list(refused.value.errors) == ["address"]
        assert not PrivacyRequest.unscoped.exists()

    def test_tells_of_a_mail_that_became_no_request(self, workspace, admin):
        from tickets.mail.tests.factories import MailboxFactory
        from tickets.mail.tests.letters import receive

        receive(MailboxFactory(workspace=workspace, address="support@acme.example"), X_Spam_Flag="YES")
        document, _ = opened(export(workspace, JANE, admin))
        assert document["contact"] is None and len(document["mails_received"]) == 1

    def test_takes_the_same_queries_for_each_request_and_none_for_each_message(self, workspace, admin):
        def queries(messages: int) -> int:
            ticket, _ = make_request(workspace, requester_email=f"q{messages}@customers.example")
            for _ in range(messages):
                requests.answer_request(ticket=ticket, contact=ticket.requester, body="x", channel="portal", now=NOW)
            address = ticket.requester_email
            request = privacy.ask_export(workspace=workspace, address=address, by=admin, now=NOW)
            with CaptureQueriesContext(
                connection,
            ) as counted:
                privacy.run(request_id=request.pk, clock=lambda: NOW)
            return len(counted)

        assert queries(1) == queries(8)

    def test_stays_small_in_memory_while_it_grows_on_the_disk(self, workspace, admin):
        ticket, _ = make_request(workspace)
        for number in range(30):
            upload_of = upload(f"{number}.bin")
            upload_of.file.write(b"\x00" * 500_000)
            requests.answer_request(
                ticket=ticket, contact=ticket.requester, body="x", channel="portal", uploads=[upload_of], now=NOW
            )
        request = privacy.ask_export(workspace=workspace, address=JANE, by=admin, now=NOW)
        tracemalloc.start()
        privacy.run(request_id=request.pk, clock=lambda: NOW)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        request.refresh_from_db()
        assert request.status == "done" and request.counts["files"] == 30
        assert peak < 6_000_000, f"{peak / 1e6:.1f} MB"


@pytest.mark.django_db
def test_an_agents_answer_is_there_under_the_name_that_customers_see(workspace):
    admin = make_agent(workspace, role="admin")
    ticket, _ = make_request(workspace)
    make_reply(ticket, make_agent(workspace, user__name="", user__email="hidden@acme.example"))
    document, _ = opened(export(workspace, JANE, admin))
    assert document["tickets"][0]["messages"][0]["author"] == "Acme"
    assert "hidden@acme" not in json.dumps(document)
