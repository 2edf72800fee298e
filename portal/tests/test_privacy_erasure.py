"""A customer is erased: nothing of them is left anywhere, and everything that counts still counts."""

import datetime as dt
import hashlib
import json
from threading import Thread
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Sum
from django.utils import timezone

from helpdesk.accounts.models import Contact, Workspace, WorkspaceModel
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput
from portal.models import PrivacyRequest, Satisfaction
from portal.services import privacy, privacy_erasure
from portal.tests.factories import make_request
from portal.tests.privacy_rows import (
    ADDRESS,
    HIDDEN,
    MARKERS,
    OTHER,
    WORD,
    Planted,
    erase,
    files_with,
    rows_with,
    work_off,
)
from tickets import access
from tickets.mail.models import Outgoing
from tickets.mail.services import sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.letters import receive
from tickets.models import Activity, Comment, Ticket, TicketCount
from tickets.tests.factories import make_agent, make_reply, make_ticket
from tickets.webhooks.models import Attempt, Delivery

NOW = timezone.now().replace(microsecond=0)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme", slug="acme")


def figures(workspace: Workspace) -> dict[str, Any]:
    """What statistics are made of."""
    tickets = Ticket.unscoped.filter(workspace=workspace)
    facts = ("number", "status", "priority", "channel", "created_at", "resolved_at", "first_response_at", "sla_state")
    return {
        "tickets": sorted(tickets.values_list(*facts), key=str),
        "updated": sorted(tickets.values_list("number", "updated_at")),
        "choices": sorted(str(row.get("a_choice")) for row in tickets.values_list("custom_fields", flat=True)),
        "comments": sorted(
            Comment.unscoped.filter(workspace=workspace).values_list("id", "ticket_id", "author_type", "created_at")
        ),
        "ratings": sorted(Satisfaction.unscoped.filter(workspace=workspace).values_list("id", "rating", "created_at")),
        "activities": sorted(
            Activity.unscoped.filter(workspace=workspace).values_list(
                "id", "event", "occurred_at", "actor_kind", "actor_user_id", "actor_contact_id", "cause_id"
            ),
            key=str,
        ),
        "totals": sorted(
            TicketCount.unscoped.filter(workspace=workspace)
            .values_list("facet", "key", "status", "priority")
            .annotate(total=Sum("tickets"))
            .exclude(total=0),
            key=str,
        ),
        "customers": Contact.unscoped.filter(workspace=workspace).aggregate(n=Count("pk"))["n"],
    }


@pytest.mark.django_db(transaction=True)
class TestEverything:
    def test_no_trace_is_left_in_any_table_or_file_and_every_figure_stays(self, workspace):
        planted = Planted(workspace, NOW)
        before = figures(workspace)
        assert len({row.partition(":")[0] for row in rows_with(*MARKERS)}) >= 25, "too little was planted"
        assert len(files_with(workspace, WORD, ADDRESS)) >= 7
        request = erase(planted)
        assert (request.status, request.error) == ("done", "")
        assert rows_with(*MARKERS) == []
        assert files_with(workspace, *MARKERS) == []
        assert figures(workspace) == before
        assert rows_with(HIDDEN), "notes of agents stay"
        assert rows_with(OTHER), "other people stay"

    def test_the_same_address_in_another_workspace_stays(self, workspace):
        other = WorkspaceFactory(name="Other", slug="other")
        elsewhere = Planted(other, NOW)
        before = sorted(rows_with(*MARKERS, workspace=other))
        mine = Planted(workspace, NOW)
        assert erase(mine).status == "done"
        after = sorted(rows_with(*MARKERS, workspace=other))
        unscoped = [row for row in after if row not in before]
        assert unscoped == [] and before == after
        assert Ticket.unscoped.get(pk=elsewhere.ticket.pk).requester_email == ADDRESS
        assert files_with(other, WORD), "the files of the other workspace"

    def test_a_worker_that_dies_after_any_portion_is_followed_by_one_that_goes_on(self, workspace, monkeypatch):
        planted = Planted(workspace, NOW)
        before = figures(workspace)
        monkeypatch.setattr(privacy_erasure, "BATCH", 2)
        at = NOW + dt.timedelta(days=1)
        request = privacy.ask_erasure(workspace=workspace, address=ADDRESS, typed=ADDRESS, by=planted.admin, now=at)
        steps = {"count": 0, "dies_at": 0}

        class Killed(BaseException):
            """As SIGKILL: nobody cleans up behind it."""

        def dying(real: Any) -> Any:
            def step(*args: Any, **kwargs: Any) -> Any:
                steps["count"] += 1
                if steps["count"] == steps["dies_at"]:
                    raise Killed
                return real(*args, **kwargs)

            return step

        for module, name in (
            (privacy_erasure.tickets, "erase_tickets"),
            (privacy_erasure.mail, "erase_mail_of_tickets"),
            (privacy_erasure.automation, "erase_rules_of_tickets"),
            (privacy_erasure.webhooks, "erase_webhooks_of_tickets"),
            (privacy_erasure.mail, "erase_mail_of_address"),
            (privacy_erasure.privacy_work, "renew"),
            (privacy_erasure.privacy_work, "end"),
        ):
            monkeypatch.setattr(module, name, dying(getattr(module, name)))
        deaths = 0
        for turn in range(200):
            request.refresh_from_db()
            if request.is_over:
                break
            at = max(at, request.next_at or at)
            steps["count"], steps["dies_at"] = 0, 1 + 4 * turn
            try:
                privacy.run(request_id=request.pk, clock=lambda at=at: at)
            except Killed:
                deaths += 1
        assert (request.status, request.error) == ("done", "") and deaths > 5
        assert rows_with(*MARKERS) == [] and files_with(workspace, *MARKERS) == []
        assert figures(workspace) == before

    def test_the_log_keeps_who_and_how_many_and_a_hash_that_tells_the_address_to_nobody(self, workspace):
        planted = Planted(workspace, NOW)
        export = work_off(
            privacy.ask_export(workspace=workspace, address=ADDRESS, by=planted.admin, now=NOW),
            NOW + dt.timedelta(days=1),
        )
        request = erase(planted)
        assert PrivacyRequest.unscoped.filter(kind="erasure").count() == 1
        assert request.requested_by == planted.admin.user and request.address == "" and request.work == {}
        assert request.counts["tickets"] >= 7 and request.counts["ratings"] == 1 and request.counts["files"] == 3
        assert request.address_hash == privacy.hash_of(workspace.pk, ADDRESS)
        assert hashlib.sha256(ADDRESS.encode()).hexdigest() != request.address_hash
        assert privacy.hash_of(WorkspaceFactory().pk, ADDRESS) != request.address_hash
        export.refresh_from_db()
        assert (export.address, export.file.name) == ("", ""), "an export of the address goes, too"

    def test_what_waits_to_be_sent_goes_out_without_them_or_not_at_all(self, workspace):
        planted = Planted(workspace, NOW)
        waiting = Outgoing.unscoped.filter(recipient=ADDRESS, status="waiting")
        hooks = Delivery.unscoped.filter(status="waiting")
        assert waiting.exists() and hooks.exists()
        ids = list(waiting.values_list("pk", flat=True))
        count = hooks.count()
        erase(planted)
        assert set(Outgoing.unscoped.filter(pk__in=ids).values_list("status", flat=True)) == {"cancelled"}
        assert hooks.count() == count
        for delivery in hooks:
            assert json.loads(delivery.body)["data"]["ticket_id"], "still whole"
        with mock.patch("django.core.mail.EmailMultiAlternatives.send") as send:
            for pk in ids:
                sending.send(outgoing_id=pk, now=NOW + dt.timedelta(days=3))
        assert not send.called

    def test_what_was_in_a_senders_hands_is_erased_in_the_second_round(self, workspace):
        planted = Planted(workspace, NOW)
        at = NOW + dt.timedelta(days=1)
        request = privacy.ask_erasure(workspace=workspace, address=ADDRESS, typed=ADDRESS, by=planted.admin, now=at)
        privacy.run(request_id=request.pk, clock=lambda: at)
        request.refresh_from_db()
        assert (request.status, request.round) == ("waiting", 2)
        assert request.next_at and request.next_at > at + dt.timedelta(minutes=1)
        assert not privacy.run(request_id=request.pk, clock=lambda: at + dt.timedelta(seconds=30)), "not yet due"
        delivery = Delivery.unscoped.filter(activity__ticket=planted.ticket).first()
        Attempt.unscoped.create(
            workspace=workspace, delivery=delivery, started_at=at, duration_ms=1, url="https://x.example",
            request_headers={}, code=200, response_body=f"got {ADDRESS} {WORD}",
        )  # fmt: skip
        # Somebody who had the customer before them when they vanished.
        late = make_ticket(workspace, at, requester_email="late@customers.example", subject=f"{WORD} late")
        Ticket.unscoped.filter(pk=late.pk).update(requester=planted.contact, requester_email=ADDRESS)
        work_off(request, at)
        assert rows_with(*MARKERS) == []


@pytest.mark.django_db(transaction=True)
class TestAfterwards:
    def test_who_writes_from_the_address_again_is_somebody_new(self, workspace):
        admin, _ = make_agent(workspace, role="admin"), make_request(workspace, requester_email=ADDRESS)
        mailbox = MailboxFactory(workspace=workspace, address="support@acme.example")
        old = Contact.unscoped.get(email=ADDRESS)
        at = NOW + dt.timedelta(days=1)
        request = privacy.ask_erasure(workspace=workspace, address=ADDRESS, typed=ADDRESS, by=admin, now=at)
        privacy.run(request_id=request.pk, clock=lambda: at)
        incoming = receive(mailbox, now=at, From=f"Zora Quillon <{ADDRESS}>", body=f"{WORD} once more")
        work_off(request, at)
        assert incoming.ticket.requester_id != old.pk
        new = Ticket.unscoped.get(pk=incoming.ticket_id)
        assert (new.requester_email, new.description) == (ADDRESS, f"{WORD} once more"), "the second round spares it"
        assert Contact.unscoped.get(pk=old.pk).email.endswith("@erased.invalid")
        incoming.refresh_from_db()
        assert incoming.from_address == ADDRESS and incoming.raw

    def test_their_links_open_nothing_any_more(self, workspace):
        admin, (ticket, token) = make_agent(workspace, role="admin"), make_request(workspace, requester_email=ADDRESS)
        at = NOW + dt.timedelta(days=1)
        work_off(privacy.ask_erasure(workspace=workspace, address=ADDRESS, typed=ADDRESS, by=admin, now=at), at)
        assert access.open_with(ticket_id=ticket.pk, token=token, now=at) is None

    def test_an_agent_who_answers_at_the_same_time_never_waits_in_a_circle(self, workspace):
        admin = make_agent(workspace, role="admin")
        made = [make_request(workspace, requester_email=ADDRESS)[0] for _ in range(12)]
        agent = make_agent(workspace)
        at = NOW + dt.timedelta(days=1)
        request = privacy.ask_erasure(workspace=workspace, address=ADDRESS, typed=ADDRESS, by=admin, now=at)

        def answer(ticket: Ticket) -> None:
            make_reply(ticket, agent, at, body=f"Dear {ADDRESS}", then="pending")

        errors: list[BaseException] = []

        def all_of(tickets: list[Ticket]) -> None:
            try:
                for ticket in tickets:
                    answer(ticket)
            except BaseException as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [Thread(target=all_of, args=(order,)) for order in (made, made[::-1])]
        for thread in threads:
            thread.start()
        privacy.run(request_id=request.pk, clock=lambda: at)
        for thread in threads:
            thread.join()
        assert errors == []
        assert work_off(request, at).status == "done"
        assert rows_with("zora", "quillon") == []
        assert Comment.unscoped.filter(author_type="agent").count() == 24


@pytest.mark.django_db
class TestTheLogOfATicket:
    def test_changes_in_nothing_but_its_words_and_only_while_erasing(self, workspace):
        ticket, _ = make_request(workspace)
        rows = Activity.unscoped.filter(ticket=ticket)
        words: list[dict[str, Any]] = [{"payload": {"a": 1}}, {"changes": [1]}, {"actor_name": "x"}]
        facts: list[dict[str, Any]] = [
            {"event": "ticket.closed"}, {"occurred_at": NOW}, {"actor_contact": None}, {"recorded_at": NOW},
            {"actor_kind": "system"}, {"depth": 3},
        ]  # fmt: skip
        for changes in [*words, *facts]:
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                rows.update(**changes)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('helpdesk.erasing', 'on', true)")
            assert rows.update(actor_name="x") == 1
            for changes in facts:
                with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                    rows.update(**changes)
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                rows._raw_delete(rows.db)


@pytest.mark.django_db
class TestAsking:
    @pytest.fixture
    def admin(self, workspace):
        return make_agent(workspace, role="admin")

    def ask(self, workspace: Workspace, admin: Any, address: str = ADDRESS, typed: str | None = None) -> PrivacyRequest:
        return privacy.ask_erasure(
            workspace=workspace, address=address, typed=address if typed is None else typed, by=admin, now=NOW
        )

    def test_a_wrong_word_begins_nothing(self, workspace, admin):
        make_request(workspace, requester_email=ADDRESS)
        with pytest.raises(InvalidInput) as refused:
            self.ask(workspace, admin, typed="yes")
        assert list(refused.value.errors) == ["typed"]
        assert not PrivacyRequest.unscoped.exists() and Contact.unscoped.filter(email=ADDRESS).exists()

    def test_members_and_mailboxes_are_not_erased(self, workspace, admin):
        MailboxFactory(workspace=workspace, address="support@acme.example")
        for address in (admin.user.email, "support@acme.example"):
            make_request(workspace, requester_email=address)
            with pytest.raises(InvalidInput):
                self.ask(workspace, admin, address)
        assert not PrivacyRequest.unscoped.exists()

    def test_twice_is_once(self, workspace, admin):
        make_request(workspace, requester_email=ADDRESS)
        self.ask(workspace, admin)
        with pytest.raises(InvalidInput, match="under way"):
            self.ask(workspace, admin, ADDRESS.upper())

    def test_what_goes_wrong_again_and_again_says_so_and_can_be_gone_on_with(self, workspace, admin, monkeypatch):
        make_request(workspace, requester_email=ADDRESS)
        request = self.ask(workspace, admin)
        with monkeypatch.context() as broken:
            broken.setattr(privacy_erasure.mail, "erase_mail_of_tickets", mock.Mock(side_effect=RuntimeError))
            at = NOW
            while not request.is_over:
                with pytest.raises(RuntimeError):
                    privacy.run(request_id=request.pk, clock=lambda at=at: at)
                request.refresh_from_db()
                at = request.next_at or at
        assert request.status == "failed" and request.error and request.work
        privacy.try_again(request=request, now=at)
        assert work_off(request, at).status == "done"
        with pytest.raises(Conflict):
            privacy.try_again(request=request, now=at)

    def test_the_beat_finds_what_the_broker_lost_and_gives_up_what_kills_its_workers(self, workspace, admin):
        make_request(workspace, requester_email=ADDRESS)
        request = self.ask(workspace, admin)
        assert privacy.take_up(now=NOW) == []
        assert privacy.take_up(now=NOW + dt.timedelta(minutes=1)) == [request.pk]
        PrivacyRequest.unscoped.update(attempts=5)
        assert privacy.take_up(now=NOW + dt.timedelta(minutes=1)) == []
        request.refresh_from_db()
        assert request.status == "failed"

    def test_names_of_strangers_with_the_same_name_stay(self, workspace, admin):
        make_request(workspace, requester_email=ADDRESS, requester_name="Ann Other")
        other, _ = make_request(
            workspace, requester_email=OTHER, requester_name="Ann Other", description="I am Ann Other"
        )
        work_off(self.ask(workspace, admin), NOW)
        other.refresh_from_db()
        assert (other.requester_name, other.description) == ("Ann Other", "I am Ann Other")


def test_every_column_that_can_hold_words_is_looked_through():
    """A new model is looked through by itself, unless somebody leaves it alone on purpose."""
    known = {model._meta.label for model in apps.get_models()}
    assert known >= privacy_erasure.LEFT_ALONE
    for model in apps.get_models():
        has_workspace = any(field.name == "workspace" for field in model._meta.fields)
        if has_workspace and privacy_erasure.text_fields(model) and not issubclass(model, WorkspaceModel):
            # Settings and totals with one row for each workspace: no words of customers. And words of articles, of
            # which those are forgotten that no article has any more.
            assert model._meta.label in {
                "tickets.ChatSettings", "tickets.SearchDocument", "tickets.TicketCount", "mail.MailSettings",
                "portal.ArticleWord",
            }  # fmt: skip
