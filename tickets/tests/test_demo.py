"""The demo workspace: believable, the same for the same seed, and refused where strangers could reach it."""

import datetime as dt
import io
from collections import Counter
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from helpdesk.accounts.models import Contact, Membership, Organization, User, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets import search
from tickets.management import demo_bulk, demo_data, demo_texts
from tickets.models import (
    Activity,
    Assignment,
    CannedResponse,
    Category,
    Comment,
    Merge,
    SearchDocument,
    Sequence,
    Ticket,
    View,
)
from tickets.models.counting import Q, kept_counts, total
from tickets.services import opening

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 4, 15, 30, tzinfo=dt.UTC)


def demo(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("demo", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


@pytest.fixture(scope="class")
def workspace(class_transaction: Any) -> Workspace:
    with class_transaction():
        return demo_data.make_demo(slug="demo", tickets=70, seed=7, now=NOW)


@pytest.fixture(scope="class")
def bulk(class_transaction: Any) -> Workspace:
    with class_transaction():
        workspace = demo_data.make_demo(slug="demo", tickets=20, seed=7, now=NOW)
        demo_bulk.copy_tickets(workspace=workspace, count=TestInBulk.COUNT, seed=7, now=NOW)
        return workspace


def live(workspace: Workspace) -> Any:
    return Ticket.objects.for_workspace(workspace).live()


class TestTheStories:
    def test_are_told_with_names_that_the_generator_knows(self):
        known = dict.fromkeys(
            [*demo_texts.SLOTS, "invoice", "order", "amount", "n", "request", "first", "customer"], "x"
        )
        for story in demo_texts.STORIES:
            for words in (*story.subjects, story.description, *(words for _, words in story.turns)):
                words.format(**known)

    def test_stand_in_categories_and_teams_that_there_are(self):
        categories = {name for topic, _, _, below in demo_texts.CATEGORIES for name in (topic, *(b for b, _ in below))}
        assert {story.category for story in demo_texts.STORIES} <= categories | {""}
        assert {category for _, _, category, _, _ in demo_texts.CANNED} <= categories | {""}

    def test_come_from_customers_with_addresses_in_plain_letters(self):
        addresses = [demo_data._plain(name) for name, _ in demo_texts.PEOPLE]
        assert len(set(addresses)) == len(addresses)
        assert all(part.isascii() and part for address in addresses for part in address.split("."))
        assert demo_data._plain("Nguyễn Thị Lan") == "nguyen.thi.lan"


class TestTheWorkspace:
    def test_has_a_natural_mix_of_tickets(self, workspace):
        statuses = Counter(live(workspace).values_list("status", flat=True))
        active = statuses["open"] + statuses["pending"]
        assert 70 <= Ticket.objects.for_workspace(workspace).count() <= 75
        assert 0.2 < active / 70 < 0.45
        assert statuses["closed"] > statuses["resolved"] > 0 and statuses["pending"] > 1
        assert live(workspace).filter(is_new=True, assignee=None).count() >= 2
        assert Comment.objects.for_workspace(workspace).filter(is_internal=True).exists()
        assert Activity.objects.for_workspace(workspace).filter(event="ticket.reopened").exists()
        assert Merge.objects.for_workspace(workspace).exists()

    def test_is_furnished(self, workspace):
        roles = Counter(Membership.objects.for_workspace(workspace).values_list("role", flat=True))
        assert roles["owner"] == roles["admin"] == roles["light"] == 1 and roles["agent"] >= 4
        for name in ("owner", "admin", "maria", "sam"):
            assert User.objects.get(email=f"{name}@demo.example").check_password("demo-helpdesk")
        assert Category.objects.for_workspace(workspace).exclude(parent=None).count() >= 10
        assert CannedResponse.objects.for_workspace(workspace).filter(usage_count__gt=0).count() >= 10
        assert {"thanks", "closing"} <= set(
            CannedResponse.objects.for_workspace(workspace).values_list("shortcut", flat=True)
        )
        assert View.objects.for_workspace(workspace).count() >= 4
        plans = set(Organization.objects.for_workspace(workspace).values_list("attributes__plan", flat=True))
        assert plans == {"enterprise", "business", "starter"}

    def test_happened_in_the_ninety_days_before_now_and_in_order(self, workspace):
        tickets = list(Ticket.objects.for_workspace(workspace).order_by("number").values_list("created_at", flat=True))
        assert tickets == sorted(tickets)
        assert NOW - dt.timedelta(days=91) < tickets[0] and tickets[-1] < NOW
        activities = Activity.objects.for_workspace(workspace)
        assert not activities.filter(occurred_at__gte=NOW).exists()
        assert not activities.filter(occurred_at__lt=F("ticket__created_at")).exists()
        assert (
            not Comment.objects.for_workspace(workspace)
            .filter(created_at__lt=F("ticket__created_at"), is_transcript=False)
            .exists()
        )

    def test_has_chats_that_begin_with_what_was_said(self, workspace):
        chats = live(workspace).filter(channel="chat")
        assert chats.exists() and not chats.filter(chat=None).exists()
        assert Comment.objects.for_workspace(workspace).filter(ticket__in=chats, is_transcript=True).exists()

    def test_was_sent_to_nobody(self, workspace):
        assert not Activity.objects.for_workspace(workspace).filter(dispatched_at=None).exists()

    def test_leaves_no_unfilled_name_in_a_text(self, workspace):
        texts = [
            *live(workspace).values_list("subject", flat=True),
            *live(workspace).values_list("description", flat=True),
        ]
        texts += Comment.objects.for_workspace(workspace).values_list("body", flat=True)
        assert not [text for text in texts if "{first}" in text or "{agent}" in text or "{n}" in text]

    def test_is_the_same_for_the_same_seed(self):
        def told(which: Workspace) -> list[Any]:
            return list(
                Ticket.objects.for_workspace(which)
                .order_by("number")
                .values_list("number", "subject", "status", "priority", "requester_email", "created_at", "updated_at")
            )

        one, same, other = (
            told(demo_data.make_demo(slug=slug, tickets=25, seed=seed, now=NOW))
            for slug, seed in (("one", 7), ("same", 7), ("other", 8))
        )
        assert one == same != other


class TestTheCommand:
    def test_makes_demo_and_other(self):
        assert "20 tickets in the workspace demo" in demo(tickets=20)
        assert set(Workspace.objects.values_list("name", flat=True)) == {"Demo", "Other"}
        admin = Membership.unscoped.get(workspace__slug="other")
        assert (admin.user.email, admin.role) == ("admin@other.example", "admin")
        assert admin.user.check_password("demo-helpdesk")

    def test_if_empty_does_nothing_where_there_is_any_workspace(self):
        WorkspaceFactory(slug="acme")
        assert demo("--if-empty", tickets=20) == ""
        assert Workspace.objects.count() == 1 and not Ticket.unscoped.exists()

    def test_says_so_when_the_demo_exists(self):
        demo(tickets=20)
        with pytest.raises(CommandError, match="exists already"):
            demo()
        assert Ticket.unscoped.filter(workspace__slug="demo").count() <= 21

    def test_adds_nothing_to_a_workspace_that_is_no_demo(self):
        workspace = WorkspaceFactory(slug="acme")
        with pytest.raises(CommandError, match="is not a demo"):
            demo("--workspace", "acme", tickets=20)
        assert not Ticket.objects.for_workspace(workspace).exists()

    @pytest.mark.parametrize(
        ("setting", "value", "reason"),
        [("PRODUCTION", True, "production settings"), ("BIND_IS_LOOPBACK", False, "BIND is")],
    )
    def test_is_refused_in_the_open_and_writes_nothing(self, settings, setting, value, reason):
        setattr(settings, setting, value)
        with pytest.raises(CommandError, match=reason):
            demo(tickets=20)
        with pytest.raises(CommandError, match=reason):
            demo("--if-empty")
        assert not Workspace.objects.exists() and not User.objects.exists()

    def test_refuses_a_senseless_number(self):
        with pytest.raises(CommandError, match="1 or more"):
            demo(tickets=0)


class TestInBulk:
    COUNT = 600

    def test_the_kept_totals_and_the_numbers_are_right(self, bulk):
        counted = live(bulk).count()
        assert kept_counts(bulk.pk).filter(facet="assignee").aggregate(n=total(Q()))["n"] == counted
        assert kept_counts(bulk.pk).filter(facet="category").aggregate(n=total(Q()))["n"] == counted
        numbers = list(Ticket.objects.for_workspace(bulk).order_by("number").values_list("number", flat=True))
        assert numbers == list(range(1001, 1001 + len(numbers)))
        assert Sequence.unscoped.get(pk=bulk.pk).last_number == numbers[-1]

    def test_the_next_ticket_goes_on_from_there(self, bulk):
        last = Sequence.unscoped.get(pk=bulk.pk).last_number
        ticket = opening.open_ticket(
            workspace=bulk,
            subject="One more",
            description="Please.",
            requester_email="jane@customers.example",
            channel="web",
            actor=demo_data.SYSTEM,
            now=NOW,
        )
        assert ticket.number == last + 1

    def test_everything_can_be_found(self, bulk):
        found = search.search(live(bulk), workspace_id=bulk.pk, text=demo_bulk.COMMON_WORD).count()
        assert 0.14 < found / self.COUNT < 0.26
        assert search.search(live(bulk), workspace_id=bulk.pk, text=demo_bulk.RARE_WORD).count() == 5
        assert search.search(live(bulk), workspace_id=bulk.pk, text="nvoic").exists()  # a fragment of subjects
        assert SearchDocument.objects.for_workspace(bulk).count() == Ticket.objects.for_workspace(bulk).count()

    def test_what_belongs_to_a_ticket_is_there(self, bulk):
        contacts = Contact.objects.for_workspace(bulk)
        assert not live(bulk).exclude(requester__in=contacts).exists()
        activities, assignments = Activity.objects.for_workspace(bulk), Assignment.objects.for_workspace(bulk)
        assert activities.filter(event="ticket.created").count() == Ticket.objects.for_workspace(bulk).count()
        assert not activities.filter(dispatched_at=None).exists()
        assigned = live(bulk).exclude(assignee=None)
        assert assignments.filter(ticket__in=assigned, ended_at=None, assignee=F("ticket__assignee")).count() == (
            assigned.count()
        )
        assert not live(bulk).filter(status__in=["resolved", "closed"], resolved_at=None, merged_into=None).exists()
        answered = Comment.objects.for_workspace(bulk).filter(author_type="agent", is_internal=False)
        assert answered.count() > self.COUNT * 0.8

    def test_every_row_keeps_its_foreign_keys(self, bulk):
        from django.db import connection

        connection.check_constraints()
        keys = ["tickets", "ticket_comments", "ticket_search", "ticket_activities", "ticket_assignments", "ticket_tags"]
        with connection.cursor() as cursor:
            for table in keys[1:]:
                cursor.execute(
                    f"SELECT count(*) FROM {table} c LEFT JOIN tickets t ON t.id = c.ticket_id WHERE t.id IS NULL"
                )
                assert cursor.fetchone() == (0,)
            for column, of in (("author_user_id", "accounts_user"), ("author_contact_id", "accounts_contact")):
                cursor.execute(
                    f"SELECT count(*) FROM ticket_comments c LEFT JOIN {of} o ON o.id = c.{column} "
                    f"WHERE c.{column} IS NOT NULL AND o.id IS NULL"
                )
                assert cursor.fetchone() == (0,)

    def test_twice_is_possible(self, bulk):
        before = Ticket.objects.for_workspace(bulk).count()
        assert "50 tickets" in demo(tickets=50)
        assert Ticket.objects.for_workspace(bulk).count() == before + 50
