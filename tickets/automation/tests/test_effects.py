"""What leaves the helpdesk because of a rule: mail and calls, once each, again when that fails."""

import datetime as dt
import json
from typing import Any

import pytest
from django.core import mail

from helpdesk import outbound
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from helpdesk.errors import InvalidInput, NotFound
from tickets.automation import tasks
from tickets.automation.models import Effect, Rule, Run
from tickets.automation.services import effects
from tickets.automation.tests.factories import NOW, make_rule, run_rules, runs_of
from tickets.automation.tests.test_pool import in_threads
from tickets.models import Comment, Ticket
from tickets.tests.factories import CannedResponseFactory, make_agent, make_ticket

URL = "https://hooks.example/a"


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(name="Acme")
    return made


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace, user__name="Maria Rossi", user__email="maria@acme.example")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    """What was posted where; answered with 204."""
    seen: list[Any] = []

    def post(url: str, *, body: bytes, headers: dict[str, str]) -> outbound.Answer:
        seen.append((url, json.loads(body), headers))
        return outbound.Answer(204, {}, b"")

    monkeypatch.setattr(outbound, "post", post)
    return seen


def notify(*members: Membership, teams: Any = (), body: str = "Please look.") -> dict[str, Any]:
    people = [str(member.user_id) for member in members]
    return {"do": "notify", "user_ids": people, "team_ids": [str(team.pk) for team in teams], "body": body}


def run(workspace: Workspace, *wanted: dict[str, Any], **fields: Any) -> tuple[Ticket, Run]:
    """A ticket that the rule "VIP" met."""
    make_rule(workspace, *wanted, name="VIP")
    ticket = make_ticket(workspace, **fields)
    run_rules(ticket)
    return ticket, runs_of(ticket)[0]


def send_all(now: dt.datetime = NOW) -> list[bool]:
    return [effects.send(effect_id=pk, now=now) for pk in Effect.unscoped.order_by("pk").values_list("pk", flat=True)]


@pytest.mark.django_db
class TestMail:
    def test_people_and_teams_are_told_once_each(self, workspace: Workspace, maria: Membership) -> None:
        sam = make_agent(workspace, user__name="Sam Okafor")
        make_agent(workspace)
        team: Any = TeamFactory(workspace=workspace)
        team.members.add(maria, sam)
        ticket, log = run(workspace, notify(maria, teams=[team], body="Look at {{ticket_number}} of {{customer_name}}"))
        assert log.done[0]["text"] == "told Maria Rossi, Sam Okafor"
        assert mail.outbox == []  # not in the transaction
        assert send_all() == [True, True]
        assert sorted(letter.to[0] for letter in mail.outbox) == sorted([maria.user.email, sam.user.email])
        letter = mail.outbox[0]
        assert letter.subject == f"#{ticket.number}: VIP"
        assert f"Look at #{ticket.number} of Jane Smith" in str(letter.body)
        assert f"/tickets/{ticket.pk}" in str(letter.body) and "Auto-Submitted" in letter.extra_headers

    def test_what_people_wrote_is_no_markup(self, workspace: Workspace, maria: Membership) -> None:
        run(workspace, notify(maria, body="<b>{% now %}</b>"), subject="<script>alert(1)</script>")
        send_all()
        html = str(mail.outbox[0].alternatives[0][0])  # type: ignore[attr-defined]
        assert "&lt;b&gt;{% now %}&lt;/b&gt;" in html and "<script>" not in html

    def test_a_test_workspace_sends_nothing(self, workspace: Workspace, maria: Membership, called: list[Any]) -> None:
        workspace.is_test = True
        workspace.save()
        run(workspace, notify(maria), {"do": "send_webhook", "url": URL})
        assert set(Effect.unscoped.values_list("status", flat=True)) == {"held"}
        assert send_all() == [False, False] and mail.outbox == [] and called == []

    def test_a_member_who_left_switches_the_rule_off(self, workspace: Workspace, maria: Membership) -> None:
        rule = make_rule(workspace, notify(maria))
        maria.is_active = False
        maria.save()
        run_rules(make_ticket(workspace))
        rule.refresh_from_db()
        assert not rule.is_active and "no such agent" in rule.notice and not Effect.unscoped.exists()

    def test_escalation_tells_the_lead_of_the_team(self, workspace: Workspace, maria: Membership) -> None:
        team: Any = TeamFactory(workspace=workspace)
        team.members.add(maria)
        team.lead = maria
        team.save()
        _ticket, log = run(workspace, {"do": "escalate"}, team_id=team.pk, priority="high")
        assert log.done[0]["text"] == "escalated to urgent, Maria Rossi was told"
        send_all()
        assert mail.outbox[0].to == [maria.user.email]


@pytest.mark.django_db
class TestWebhook:
    def test_the_ticket_is_posted_as_it_was_then(
        self, workspace: Workspace, maria: Membership, called: list[Any]
    ) -> None:
        assign = {"do": "assign", "user_id": str(maria.user_id)}
        ticket, log = run(workspace, assign, {"do": "send_webhook", "url": URL}, tags=["vip"], subject="Refund")
        assert log.done[1]["text"] == "sent to hooks.example"
        assert called == []
        Ticket.unscoped.update(subject="Changed since")
        assert send_all() == [True]
        ((url, sent, headers),) = called
        assert url == URL and sent["event"] == "automation.rule" and sent["timestamp"] == "2026-03-02T09:00:00Z"
        data = sent["data"]
        assert (data["ticket_number"], data["subject"]) == (f"#{ticket.number}", "Refund")
        assert data["assignee"] == "Maria Rossi" and data["tags"] == ["vip"] and data["rule"]["name"] == "VIP"
        assert data["trigger"] == "created"
        assert headers["webhook-id"] == str(Effect.unscoped.get().pk)

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1/", "http://169.254.169.254/latest", "ftp://hooks.example", "", None, 5, "x" * 3000]
    )
    def test_where_it_may_not_lead_is_refused_when_it_is_saved(self, workspace: Workspace, url: Any) -> None:
        with pytest.raises(InvalidInput) as refused:
            make_rule(workspace, {"do": "send_webhook", "url": url})
        assert list(refused.value.errors) == ["actions.0.url"] and not Rule.unscoped.exists()


@pytest.mark.django_db
class TestAgain:
    @pytest.fixture
    def effect(self, workspace: Workspace) -> Effect:
        run(workspace, {"do": "send_webhook", "url": URL})
        return Effect.unscoped.get()

    def answer(self, monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[str]:
        ids: list[str] = []

        def post(url: str, *, body: bytes, headers: dict[str, str]) -> outbound.Answer:
            ids.append(headers["webhook-id"])
            if isinstance(answer, BaseException):
                raise answer
            return outbound.Answer(answer, {}, b"")

        monkeypatch.setattr(outbound, "post", post)
        return ids

    def test_it_is_tried_again_in_growing_waits_and_given_up_in_the_end(
        self, effect: Effect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids, now = self.answer(monkeypatch, 500), NOW
        for wait in effects.WAITS:
            assert not effects.send(effect_id=effect.pk, now=now)
            effect.refresh_from_db()
            assert (effect.status, effect.next_at) == ("waiting", now + wait)
            assert not effects.send(effect_id=effect.pk, now=now + wait - dt.timedelta(seconds=1))
            now += wait
        assert not effects.send(effect_id=effect.pk, now=now)
        effect.refresh_from_db()
        assert (effect.status, effect.error, effect.ended_at) == ("failed", "The answer was 500.", now)
        assert effect.attempts == len(ids) == len(effects.WAITS) + 1 and set(ids) == {str(effect.pk)}
        assert not effects.send(effect_id=effect.pk, now=now + dt.timedelta(days=9))

    def test_a_later_try_ends_it(self, effect: Effect, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer(monkeypatch, outbound.OutboundError("The connection failed: ConnectError."))
        effects.send(effect_id=effect.pk, now=NOW)
        self.answer(monkeypatch, 200)
        assert effects.send(effect_id=effect.pk, now=NOW + effects.WAITS[0])
        effect.refresh_from_db()
        assert (effect.status, effect.attempts, effect.error) == ("sent", 2, "")

    def test_an_address_that_may_never_be_called_is_not_tried_again(
        self, effect: Effect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.answer(monkeypatch, outbound.Refused("This leads inside."))
        effects.send(effect_id=effect.pk, now=NOW)
        effect.refresh_from_db()
        assert (effect.status, effect.error) == ("failed", "This leads inside.")

    def test_a_worker_that_is_killed_leaves_it_to_another_with_the_same_id(
        self, effect: Effect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = self.answer(monkeypatch, KeyboardInterrupt())  # no error that anybody handles
        with pytest.raises(KeyboardInterrupt):
            effects.send(effect_id=effect.pk, now=NOW)
        self.answer(monkeypatch, 200)
        assert not effects.send(effect_id=effect.pk, now=NOW + dt.timedelta(seconds=60))  # it may still be at it
        assert effects.send(effect_id=effect.pk, now=NOW + effects.LEASE)
        assert ids == [str(effect.pk)]

    def test_mail_that_the_server_refuses_waits_and_the_log_says_no_address(
        self, workspace: Workspace, maria: Membership, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(workspace, notify(maria))

        def refuse(self: Any, *args: Any) -> int:
            raise ConnectionRefusedError("maria@acme.example")

        monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        assert send_all() == [False]
        effect = Effect.unscoped.get()
        assert (effect.status, effect.error) == ("waiting", "ConnectionRefusedError")

    def test_a_mistake_of_ours_is_seen_and_does_not_go_on_for_ever(
        self, effect: Effect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.answer(monkeypatch, TypeError("secret"))
        assert effects.send(effect_id=effect.pk, now=NOW) is False
        effect.refresh_from_db()
        assert (effect.attempts, effect.error) == (1, "TypeError") and "could not be made" in caplog.text

    def test_what_the_broker_lost_is_queued_again(self, effect: Effect, monkeypatch: pytest.MonkeyPatch) -> None:
        queued: list[Any] = []
        monkeypatch.setattr(
            "tickets.automation.services.effects.dispatch.queue_after_commit", lambda *a: queued.append(a)
        )
        assert effects.queue_due(now=NOW - dt.timedelta(seconds=1)) == 0
        assert effects.queue_due(now=NOW) == 1
        assert queued == [(effects.SEND_TASK, str(effect.pk))]

    def test_the_tasks_are_thin_doors(self, effect: Effect, called: list[Any]) -> None:
        assert tasks.send_effect(str(effect.pk)) is True and len(called) == 1
        assert tasks.send_due_effects() == 0


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_it_once(workspace: Workspace, called: list[Any]) -> None:
    run(workspace, {"do": "send_webhook", "url": URL})
    effect = Effect.unscoped.get()
    sent = in_threads(4, lambda _: effects.send(effect_id=effect.pk, now=NOW))
    assert sorted(sent) == [False, False, False, True] and len(called) == 1


@pytest.mark.django_db
class TestCannedResponse:
    def test_the_customer_is_answered_in_the_name_of_the_workspace(self, workspace: Workspace) -> None:
        response: Any = CannedResponseFactory(
            workspace=workspace,
            title="Thanks",
            content="Hello {{customer_name}}, about {{ticket_number}}: {{agent_name}}",
        )
        ticket, log = run(workspace, {"do": "send_canned_response", "canned_response_id": str(response.pk)})
        assert log.done[0]["text"] == "sent Thanks"
        comment = Comment.unscoped.get(ticket=ticket)
        assert comment.body == f"Hello Jane Smith, about #{ticket.number}: Acme"
        # Nothing of the rule is seen by the customer, and no first response was given.
        assert (comment.author_name, comment.author_type, comment.is_automatic) == ("Acme", "system", True)
        assert comment.is_internal is False
        ticket.refresh_from_db()
        assert ticket.first_response_at is None
        response.refresh_from_db()
        assert response.usage_count == 1

    def test_one_that_is_gone_switches_the_rule_off(self, workspace: Workspace) -> None:
        response: Any = CannedResponseFactory(workspace=workspace)
        rule = make_rule(workspace, {"do": "send_canned_response", "canned_response_id": str(response.pk)})
        response.delete()
        ticket = make_ticket(workspace)
        run_rules(ticket)
        rule.refresh_from_db()
        assert not rule.is_active and "no such canned response" in rule.notice
        assert not Comment.unscoped.filter(ticket=ticket).exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("action", "place"),
    [
        ({"do": "notify", "user_ids": [], "team_ids": [], "body": "x"}, "actions.0.user_ids"),
        ({"do": "notify", "user_ids": "x", "body": "x"}, "actions.0.user_ids"),
        ({"do": "notify", "user_ids": ["x"], "body": "x"}, "actions.0.user_ids.0"),
        ({"do": "notify", "team_ids": ["0190b7a0-0000-7000-8000-000000000000"], "body": "x"}, "actions.0.team_ids.0"),
        ({"do": "notify", "user_ids": [], "body": ""}, "actions.0.body"),
        ({"do": "send_canned_response"}, "actions.0.canned_response_id"),
        (
            {"do": "send_canned_response", "canned_response_id": "0190b7a0-0000-7000-8000-000000000000"},
            "actions.0.canned_response_id",
        ),
        ({"do": "set_sla_policy", "policy_id": "0190b7a0-0000-7000-8000-000000000000"}, "actions.0.policy_id"),
        ({"do": "set_sla_policy", "policy_id": 5}, "actions.0.policy_id"),
        ({"do": "send_webhook", "url": URL, "secret": "x"}, "actions.0.secret"),
    ],
)
def test_a_wrong_action_is_refused_by_its_place(workspace: Workspace, action: dict[str, Any], place: str) -> None:
    with pytest.raises((InvalidInput, NotFound)) as refused:
        make_rule(workspace, action)
    assert list(refused.value.errors) == [place] and not Rule.unscoped.exists()
