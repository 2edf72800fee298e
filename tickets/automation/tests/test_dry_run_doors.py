"""Dry runs through their doors: the REST API and the page."""

import datetime as dt
import re
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from tickets.automation.models import DryRun, DryRunRow, Rule
from tickets.automation.services import dry_run, setup
from tickets.automation.tests.factories import make_rule
from tickets.tests.api import UNKNOWN, Api, refused, unchanged
from tickets.tests.factories import make_agent, make_ticket

pytestmark = pytest.mark.django_db
URGENT = {"do": "set_priority", "priority": "urgent"}
LOW = {"all": [{"field": "priority", "is": ["low"]}, {"any": [{"field": "subject", "contains": ["refund"]}]}]}
HTMX = {"HX-Request": "true"}

nothing_written = partial(unchanged, DryRun, DryRunRow, IdempotencyKey)


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def admin(workspace: Workspace) -> Membership:
    return make_agent(workspace, "admin")


@pytest.fixture
def api(admin: Membership) -> Api:
    return Api(admin)


@pytest.fixture
def client(admin: Membership) -> Client:
    client = Client()
    client.force_login(admin.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def rule(workspace: Workspace) -> Rule:
    return make_rule(workspace, URGENT, name="Refunds first", conditions=LOW)


def tickets(workspace: Workspace, count: int = 3) -> None:
    """One of them matches."""
    at = timezone.now() - dt.timedelta(days=2)
    for n in range(count):
        words = {"priority": "low", "subject": "My refund <b>please</b>"} if n == 0 else {}
        make_ticket(workspace, now=at + dt.timedelta(minutes=n), **words)


def done(rule: Rule) -> DryRun:
    asked = dry_run.ask(rule=rule, member=None, now=timezone.now())
    dry_run.run(dry_run_id=asked.pk, clock=timezone.now)
    asked.refresh_from_db()
    return asked


def path(rule: Rule) -> str:
    return f"/tickets/automation-rules/{rule.pk}/dry-runs"


def page(rule: Rule) -> str:
    return reverse("automation:dry-run", args=[rule.pk])


def words(answer: Any) -> str:
    """The text of a page as one reads it."""
    body = re.sub(r"<(script|template)\b.*?</\1>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


class TestApi:
    def test_asking_answers_with_what_waits_and_where_it_is(self, api: Api, rule: Rule, admin: Membership) -> None:
        answer = api.post(path(rule), {})
        assert answer.status_code == 202, answer.content
        asked = answer.json()
        assert answer["Location"] == f"/api/tickets/dry-runs/{asked['id']}"
        assert (asked["status"], asked["rule_id"], asked["requested_by_id"], asked["error"]) == (
            "waiting", str(rule.pk), str(admin.user_id), "",
        )  # fmt: skip
        assert asked["asked"]["conditions"] == rule.conditions and asked["asked"]["actions"] == [URGENT]
        assert api.get(f"/tickets/dry-runs/{asked['id']}").json() == asked
        assert api.get(path(rule)).json()["dry_runs"] == [asked]
        assert api.post(path(rule), {}).json() == asked  # still under way

    def test_the_same_key_asks_once(self, api: Api, rule: Rule) -> None:
        first = api.post(path(rule), {}, Idempotency_Key="k")
        DryRun.unscoped.update(status="done")
        second = api.post(path(rule), {}, Idempotency_Key="k")
        assert second.json() == first.json() and second["Idempotency-Replayed"] == "true"
        assert DryRun.unscoped.count() == 1

    def test_rows_are_those_that_matched_or_those_that_did_not(
        self, api: Api, rule: Rule, workspace: Workspace
    ) -> None:
        tickets(workspace)
        asked = done(rule)
        told = api.get(f"/tickets/dry-runs/{asked.pk}").json()
        assert (told["status"], told["events"], told["tickets"], told["matched_events"], told["matched_tickets"]) == (
            "done", 3, 3, 1, 1,
        )  # fmt: skip
        where = f"/tickets/dry-runs/{asked.pk}/rows"
        assert api.get(where).json()["pagination"]["total"] == 3
        (row,) = api.get(f"{where}?matched=true").json()["dry_run_rows"]
        assert row["subject"] == "My refund <b>please</b>" and row["trigger"] == "created"
        assert row["changes"] == [{"action": "set_priority", "text": "priority low → urgent", "is_change": True}]
        others = api.get(f"{where}?matched=false&limit=1").json()
        assert others["pagination"]["total"] == 2 and not others["dry_run_rows"][0]["reasons"][0]["is_met"]
        refused(api.get(f"{where}?matched=maybe"), 400, "matched")
        refused(api.get(f"{where}?match=true"), 400, "match")

    def test_members_read_and_admins_ask(self, rule: Rule, workspace: Workspace) -> None:
        asked = done(rule)
        for role in ("light", "agent"):
            member = Api(make_agent(workspace, role))
            assert member.get(path(rule)).status_code == 200
            assert member.get(f"/tickets/dry-runs/{asked.pk}/rows").status_code == 200
            with nothing_written():
                refused(member.post(path(rule), {}), 403)

    def test_what_is_not_there_is_said(self, api: Api, rule: Rule) -> None:
        foreign = done(make_rule(WorkspaceFactory(), URGENT))
        with nothing_written():
            for pk in (UNKNOWN, foreign.rule_id):
                refused(api.post(f"/tickets/automation-rules/{pk}/dry-runs", {}), 404, "id")
                refused(api.get(f"/tickets/automation-rules/{pk}/dry-runs"), 404, "id")
            for pk in (UNKNOWN, foreign.pk):
                refused(api.get(f"/tickets/dry-runs/{pk}"), 404, "id")
                refused(api.get(f"/tickets/dry-runs/{pk}/rows"), 404, "id")

    def test_lists_cost_the_same_for_any_number(self, api: Api, rule: Rule, workspace: Workspace) -> None:
        def cost(where: str) -> int:
            with CaptureQueriesContext(connection) as queries:
                assert api.get(where).status_code == 200
            return len(queries)

        tickets(workspace, 2)
        asked = done(rule)
        few = cost(f"/tickets/dry-runs/{asked.pk}/rows"), cost(path(rule))
        tickets(workspace, 10)
        asked = done(rule)
        assert (cost(f"/tickets/dry-runs/{asked.pk}/rows"), cost(path(rule))) == few == (3, 3)


class TestPage:
    def test_it_begins_empty_and_asks_with_a_button(self, client: Client, rule: Rule, admin: Membership) -> None:
        assert "Not tried yet" in words(client.get(page(rule)))
        assert not DryRun.unscoped.exists()
        answer = client.post(page(rule))
        assert (answer.status_code, answer["Location"]) == (302, page(rule))
        asked = DryRun.unscoped.get()
        assert (asked.rule, asked.requested_by) == (rule, admin.user)

    def test_it_shows_how_far_it_is_and_asks_again_until_it_is_over(self, client: Client, rule: Rule) -> None:
        client.post(page(rule))
        assert "Waiting to begin" in words(client.get(page(rule)))
        now = timezone.now()
        DryRun.unscoped.update(created_at=now - dt.timedelta(minutes=1))
        assert "Nobody has begun yet" in words(client.get(page(rule)))
        DryRun.unscoped.update(status="running", total=1204, done=500, matched_tickets=7, tickets=400, seen_at=now)
        part = client.get(page(rule), headers=HTMX)
        assert "500 of 1,204 tickets" in words(part) and "7 matched so far" in words(part)
        assert "<html" not in part.content.decode() and 'value="41"' in part.content.decode()
        assert f'hx-get="{page(rule)}"' in part.content.decode()
        DryRun.unscoped.update(status="failed", error="It was begun several times and never finished.")
        part = client.get(page(rule), headers=HTMX)
        assert "never finished" in words(part) and "hx-get" not in part.content.decode()

    def test_the_numbers_come_first_and_then_what_would_have_changed_and_why(
        self, client: Client, rule: Rule, workspace: Workspace
    ) -> None:
        tickets(workspace)
        done(rule)
        matched = client.get(page(rule))
        assert "Would have matched 1 of 3 tickets" in words(matched)
        assert "Priority low → urgent" in words(matched) and "Met: Priority is low" in words(matched)
        assert "My refund &lt;b&gt;please&lt;/b&gt;" in matched.content.decode()
        others = words(client.get(f"{page(rule)}?matched=false"))
        assert "Not met: Priority is low : it was medium" in others and "→ urgent" not in others

    def test_what_was_found_nothing_for_is_said(self, client: Client, rule: Rule, workspace: Workspace) -> None:
        done(rule)
        assert "It would never have been asked" in words(client.get(page(rule)))
        make_ticket(workspace, now=timezone.now())
        done(rule)
        assert "Nothing would have matched" in words(client.get(page(rule)))
        setup.save_rule(workspace=workspace, rule=rule, changes={"name": "Another name"}, now=timezone.now())
        assert "The rule has been changed since" not in words(client.get(page(rule)))
        rule = setup.save_rule(workspace=workspace, rule=rule, changes={"conditions": {"all": []}}, now=timezone.now())
        assert "The rule has been changed since" in words(client.get(page(rule)))
        done(rule)
        everything = words(client.get(f"{page(rule)}?matched=false"))
        assert "Everything matched" in everything and "changed since" not in everything
        assert "It has no conditions" in words(client.get(page(rule)))

    def test_of_very_many_it_says_how_many_are_kept(
        self, client: Client, rule: Rule, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dry_run, "KEPT", 2)
        tickets(workspace, 6)
        done(rule)
        assert "These are 2 of 5" in words(client.get(f"{page(rule)}?matched=false"))
        assert "These are" not in words(client.get(page(rule)))

    def test_it_says_which_wait_was_over(self, client: Client, workspace: Workspace) -> None:
        rule = make_rule(workspace, URGENT, triggers=["no_response", "idle"], no_response_hours=1, idle_hours=2.5)
        tickets(workspace, 1)
        done(rule)
        said = words(client.get(page(rule)))
        assert "No answer for 1 business hour ·" in said and "Nobody did anything for 2.5 hours" in said

    def test_a_rule_that_is_off_can_be_switched_on(self, client: Client, rule: Rule, workspace: Workspace) -> None:
        done(rule)
        assert "Switch on" not in words(client.get(page(rule)))
        rule = setup.save_rule(workspace=workspace, rule=rule, changes={"is_active": False}, now=timezone.now())
        assert "Switch on" in words(client.get(page(rule)))
        where = reverse("automation:dry-run-switch-on", args=[rule.pk])
        answer = client.post(where, follow=True)
        rule.refresh_from_db()
        assert rule.is_active and "“Refunds first” is on" in words(answer)

    def test_one_that_cannot_be_switched_on_says_why(
        self, client: Client, rule: Rule, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from helpdesk.errors import Conflict

        def refuse(**_: Any) -> None:
            raise Conflict("Not now.")

        Rule.unscoped.filter(pk=rule.pk).update(is_active=False)
        monkeypatch.setattr(setup, "save_rule", refuse)
        answer = client.post(reverse("automation:dry-run-switch-on", args=[rule.pk]), follow=True)
        assert "was not switched on. Not now." in words(answer)

    def test_only_admins_see_it_and_foreign_rules_are_not_there(
        self, client: Client, rule: Rule, workspace: Workspace
    ) -> None:
        foreign = make_rule(WorkspaceFactory(), URGENT)
        assert client.get(page(foreign)).status_code == client.post(page(foreign)).status_code == 404
        agent = Client()
        agent.force_login(make_agent(workspace).user, backend="django.contrib.auth.backends.ModelBackend")
        assert agent.get(page(rule)).status_code == agent.post(page(rule)).status_code == 403
        assert not DryRun.unscoped.exists()

    def test_it_costs_the_same_for_any_number_of_rows(self, client: Client, rule: Rule, workspace: Workspace) -> None:
        def cost() -> int:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(f"{page(rule)}?matched=false").status_code == 200
            return len(queries)

        tickets(workspace, 3)
        done(rule)
        client.get(page(rule))
        few = cost()
        tickets(workspace, 20)
        done(rule)
        assert cost() == few <= 12
