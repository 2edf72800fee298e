"""What is old goes, and owners are told of webhooks that were switched off by themselves."""

import datetime as dt
import smtplib
from typing import Any

import pytest
from django.conf import settings as project
from django.core import mail

from helpdesk.accounts.models import Membership
from helpdesk.accounts.roles import Role
from helpdesk.accounts.tests.factories import MembershipFactory, WorkspaceFactory
from tickets.tests.factories import NOW
from tickets.webhooks import tasks
from tickets.webhooks.models import Attempt, Delivery, Endpoint, EndpointHour
from tickets.webhooks.services import keeping, notices
from tickets.webhooks.tests.factories import fresh, make_deliveries, make_delivery, make_endpoint

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def endpoint() -> Endpoint:
    return make_endpoint(WorkspaceFactory(), NOW)[0]  # type: ignore[arg-type]


def attempt(delivery: Delivery) -> Attempt:
    made: Attempt = Attempt.unscoped.create(
        workspace_id=delivery.workspace_id,
        delivery=delivery,
        started_at=NOW,
        duration_ms=1,
        url="https://hooks.example.com/in",
        request_headers={},
    )
    return made


def ended(at: dt.datetime, status: str = "delivered", **fields: Any) -> dict[str, Any]:
    return {"status": status, "next_at": None, "ended_at": at, "created_at": at} | fields


class TestPurging:
    def test_deletes_messages_that_ended_long_ago_with_their_attempts(self, endpoint: Endpoint, settings: Any) -> None:
        settings.WEBHOOK_KEEP_DAYS = 30
        old = NOW - 31 * DAY
        for status in ("delivered", "failed", "cancelled"):
            attempt(make_delivery(endpoint, NOW, **ended(old, status)))
        kept = [
            make_delivery(endpoint, NOW, created_at=old),  # it waits
            make_delivery(endpoint, NOW, **ended(NOW - 29 * DAY)),
            make_delivery(endpoint, NOW, **ended(NOW - DAY, created_at=old)),  # it was replayed yesterday
        ]
        attempts = {attempt(row).pk for row in kept}
        assert keeping.purge(now=NOW) == 3
        assert set(Delivery.unscoped.values_list("pk", flat=True)) == {row.pk for row in kept}
        assert set(Attempt.unscoped.values_list("pk", flat=True)) == attempts

    def test_goes_batch_by_batch_up_to_a_bound(
        self, endpoint: Endpoint, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.WEBHOOK_KEEP_DAYS = 30
        monkeypatch.setattr(keeping, "BATCH", 10)
        make_deliveries(endpoint, NOW, 45, **ended(NOW - 31 * DAY))
        assert keeping.purge(now=NOW, most=25) == 25
        assert keeping.purge(now=NOW) == 20
        assert keeping.purge(now=NOW) == 0

    def test_of_0_days_keeps_messages_for_ever(self, endpoint: Endpoint, settings: Any) -> None:
        settings.WEBHOOK_KEEP_DAYS = 0
        make_delivery(endpoint, NOW, **ended(NOW - 3000 * DAY))
        assert keeping.purge(now=NOW) == 0
        assert Delivery.unscoped.count() == 1

    def test_deletes_old_hours(self, endpoint: Endpoint) -> None:
        for age in (29, 31):
            EndpointHour.unscoped.create(
                workspace_id=endpoint.workspace_id, endpoint=endpoint, hour=NOW - age * DAY, delivered=1
            )
        keeping.purge(now=NOW)
        assert EndpointHour.unscoped.get().hour == NOW - 29 * DAY

    def test_ends_what_was_written_while_its_endpoint_was_switched_off(self, endpoint: Endpoint) -> None:
        Endpoint.unscoped.update(is_active=False, off_reason="member", off_at=NOW)
        lost, test = make_delivery(endpoint, NOW), make_delivery(endpoint, NOW, is_test=True)
        keeping.purge(now=NOW)
        assert (fresh(lost).status, fresh(lost).ended_at) == ("cancelled", NOW)
        assert fresh(test).status == "waiting"


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    monkeypatch.setattr(notices, "reverse", lambda name, args: f"/settings/webhooks/{args[0]}")
    workspace: Any = WorkspaceFactory(name="Acme & Sons")
    for role in (Role.OWNER, Role.OWNER, Role.ADMIN, Role.AGENT):
        MembershipFactory(workspace=workspace, role=role.value)
    MembershipFactory(workspace=workspace, role=Role.OWNER.value, is_active=False)
    maker: Any = MembershipFactory(workspace=workspace, role=Role.ADMIN.value, user__email="maker@acme.example")
    endpoint, _ = make_endpoint(
        workspace, NOW, by=maker, description="The <shop>", url="https://shop.example.com/in?key=hush"
    )
    Endpoint.unscoped.update(
        is_active=False, off_reason="failing", off_at=NOW, last_error="The answer was 500.", told_at=None
    )
    return endpoint


class TestTelling:
    def test_goes_once_to_whoever_made_the_webhook(self, off: Endpoint) -> None:
        assert notices.tell_owners(now=NOW) == 1
        [sent] = mail.outbox
        assert sent.to == ["maker@acme.example"]
        assert sent.subject == "The webhook The <shop> in Acme & Sons was switched off"
        assert f"{project.SITE_URL}/settings/webhooks/{off.pk}" in sent.body
        assert "The answer was 500." in sent.body and "https://shop.example.com/in" in sent.body
        assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
        [(html, _)] = sent.alternatives  # type: ignore[attr-defined]
        assert "The &lt;shop&gt;" in html and "Acme &amp; Sons" in html
        assert "hush" not in sent.body + html
        off.refresh_from_db()
        assert off.told_at == NOW
        assert notices.tell_owners(now=NOW + DAY) == 0
        assert len(mail.outbox) == 1

    def test_says_that_a_receiver_is_gone(self, off: Endpoint) -> None:
        Endpoint.unscoped.update(off_reason="gone")
        notices.tell_owners(now=NOW)
        assert "the receiver answered that it is gone (410)" in mail.outbox[0].body

    @pytest.mark.parametrize("change", [{"is_active": False}, {"role": Role.AGENT.value}])
    def test_goes_to_all_owners_when_the_maker_is_none_any_more(self, off: Endpoint, change: dict[str, Any]) -> None:
        Membership.unscoped.filter(user__email="maker@acme.example").update(**change)
        notices.tell_owners(now=NOW)
        owners = Membership.unscoped.filter(role=Role.OWNER.value, is_active=True, workspace=off.workspace)
        assert sorted(sent.to[0] for sent in mail.outbox) == sorted(owners.values_list("user__email", flat=True))
        assert len(mail.outbox) == 2

    def test_sends_no_mail_from_a_test_workspace(self, off: Endpoint) -> None:
        off.workspace.is_test = True
        off.workspace.save()
        notices.tell_owners(now=NOW)
        off.refresh_from_db()
        assert off.told_at == NOW and mail.outbox == []

    def test_is_not_of_what_an_admin_switched_off(self, off: Endpoint) -> None:
        Endpoint.unscoped.update(off_reason="member")
        assert notices.tell_owners(now=NOW) == 0
        assert mail.outbox == []

    def test_comes_later_where_the_mail_server_is_away(self, off: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as away:
            away.setattr(mail.EmailMultiAlternatives, "send", _refuse)
            assert notices.tell_owners(now=NOW) == 0
        off.refresh_from_db()
        assert off.told_at is None
        assert notices.tell_owners(now=NOW) == 1
        assert len(mail.outbox) == 1


def _refuse(*_: Any, **__: Any) -> None:
    raise smtplib.SMTPServerDisconnected("gone")


def test_the_beat_knows_the_tasks() -> None:
    planned = {entry["task"] for entry in project.CELERY_BEAT_SCHEDULE.values()}
    assert {tasks.purge_deliveries.name, tasks.tell_owners.name} <= planned
    assert tasks.purge_deliveries() == tasks.tell_owners() == 0
