"""Work over many tickets: derived anew after a change of terms, and told what a draft would have changed."""

import datetime as dt
from typing import Any

import pytest
from django.db import DatabaseError, connection

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import InvalidInput
from slas.models import BusinessHours, Clock, Job, SLAPolicy, SLATerms
from slas.services import jobs, setup, sweep, what_if
from slas.services.what_if import Draft
from slas.tasks import run_job, take_up_lost_jobs
from slas.tests.factories import WEEK, at, clock_of, make_hours, make_policy, sla_events
from tickets.events import SYSTEM
from tickets.models import Activity, Ticket
from tickets.services import status
from tickets.tests.factories import make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def policy(workspace: Workspace) -> SLAPolicy:
    return make_policy(workspace)


@pytest.fixture
def maria(workspace: Workspace) -> Membership:
    return make_agent(workspace)


def run_newest(workspace: Workspace, now: dt.datetime, kind: str = "derive") -> dict[str, Any]:
    newest = jobs.latest(workspace.pk, kind)
    assert newest is not None
    job = jobs.take(job_id=newest.pk, now=now)
    assert job is not None
    (jobs.derive if kind == "derive" else what_if.run)(job, clock=lambda: now)
    job.refresh_from_db()
    assert job.state == "done" and job.percent == 100
    result: dict[str, Any] = job.result or {}
    return result


class TestDeriving:
    def test_a_changed_policy_moves_the_clocks_of_tickets_in_work_and_says_how_many(
        self, workspace: Workspace, policy: SLAPolicy, maria: Membership
    ) -> None:
        """Editing a policy re-derives the clocks of open tickets in the background, and says how many it moved."""
        running, answered, done = (make_ticket(workspace, now=at(0, "09:00")) for _ in range(3))
        make_reply(answered, maria, now=at(0, "10:00"))
        status.change_status(ticket=done, to="resolved", actor=SYSTEM, now=at(0, "10:00"))
        setup.save_policy(workspace=workspace, policy=policy, changes={"first_response_hours": 4}, now=at(0, "10:30"))
        assert run_newest(workspace, at(0, "10:31")) == {"tickets": 2, "moved": 1}
        assert clock_of(running, "first_response").due_at == at(0, "13:00")
        assert clock_of(answered, "first_response").due_at == at(0, "11:00")  # judged by the terms of its time
        assert clock_of(done, "first_response").target == dt.timedelta(hours=2)

    def test_changed_business_hours_move_them_too(self, workspace: Workspace, policy: SLAPolicy) -> None:
        ticket = make_ticket(workspace, now=at(0, "17:00"))
        hours = BusinessHours.objects.for_workspace(workspace).get()
        setup.save_hours(
            workspace=workspace, hours=hours, changes={"holidays": [at(1).date().isoformat()]}, now=at(0, "17:10")
        )
        assert run_newest(workspace, at(0, "17:11")) == {"tickets": 1, "moved": 1}
        assert clock_of(ticket, "first_response").due_at == at(2, "10:00")

    def test_a_shorter_target_may_breach_at_once_and_not_before_it_held(
        self, workspace: Workspace, policy: SLAPolicy
    ) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        setup.save_policy(
            workspace=workspace, policy=policy, changes={"first_response_hours": 0.25}, now=at(0, "10:00")
        )
        run_newest(workspace, at(0, "10:00:30"))
        sweep.sweep_all(now=at(0, "10:01"))
        assert sla_events(ticket) == [("ticket.sla.breached", "first_response", at(0, "10:00:30"))]

    def test_a_deleted_policys_tickets_get_the_next_one(self, workspace: Workspace, policy: SLAPolicy) -> None:
        from tickets.tests.factories import CategoryFactory

        category = CategoryFactory(workspace=workspace)
        asked = {"category_ids": [str(category.pk)]}
        vip = make_policy(workspace, name="VIP", is_default=False, conditions=asked, first_response_hours=1)
        ticket = make_ticket(workspace, category_id=category.pk, now=at(0, "09:00"))
        setup.delete_policy(policy=vip, now=at(0, "09:10"))
        run_newest(workspace, at(0, "09:11"))
        clock = clock_of(ticket, "first_response")
        assert (clock.policy_id, clock.due_at) == (policy.pk, at(0, "11:00"))

    def test_a_new_name_moves_nothing(self, workspace: Workspace, policy: SLAPolicy) -> None:
        ticket = make_ticket(workspace, now=at(0, "09:00"))
        setup.save_policy(workspace=workspace, policy=policy, changes={"name": "Renamed"}, now=at(0, "10:00"))
        assert run_newest(workspace, at(0, "10:01")) == {"tickets": 1, "moved": 0}
        ticket.refresh_from_db()
        assert (ticket.sla or {})["policy"]["name"] == "Renamed"
        assert clock_of(ticket, "resolution").deadline_set_at == at(0, "09:00")

    def test_saving_twice_before_it_began_asks_once(self, workspace: Workspace, policy: SLAPolicy) -> None:
        before = Job.unscoped.count()
        for hours in (3, 4, 5):
            setup.save_policy(workspace=workspace, policy=policy, changes={"resolution_hours": hours}, now=at(0))
        assert Job.unscoped.count() == before

    def test_a_job_is_done_once_though_it_is_queued_twice(self, workspace: Workspace, policy: SLAPolicy) -> None:
        job = jobs.start(workspace=workspace, kind="derive", now=at(0))
        assert jobs.take(job_id=job.pk, now=at(0)) is not None
        assert jobs.take(job_id=job.pk, now=at(0, "00:01")) is None

    def test_a_job_whose_worker_died_is_taken_up_again(self, workspace: Workspace, policy: SLAPolicy) -> None:
        job = jobs.start(workspace=workspace, kind="derive", now=at(0))
        jobs.take(job_id=job.pk, now=at(0))
        assert job.pk not in jobs.lost(now=at(0, "00:01"))
        assert job.pk in jobs.lost(now=at(0, "00:03"))
        assert jobs.take(job_id=job.pk, now=at(0, "00:03")) is not None

    def test_a_job_that_the_broker_lost_is_queued_again(
        self, workspace: Workspace, policy: SLAPolicy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queued: list[str] = []
        monkeypatch.setattr(run_job, "delay", queued.append)
        job = jobs.start(workspace=workspace, kind="derive", now=at(0))
        take_up_lost_jobs()
        assert str(job.pk) in queued

    def test_a_job_that_goes_wrong_is_tried_again_and_says_so_after_the_last_time(
        self, workspace: Workspace, policy: SLAPolicy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError

        job = jobs.start(workspace=workspace, kind="derive", now=at(0))
        monkeypatch.setattr(jobs, "derive", fail)
        for attempt in range(jobs.ATTEMPTS):
            assert job.state == "waiting", attempt
            with pytest.raises(RuntimeError):
                run_job(str(job.pk))
            job.refresh_from_db()
        assert (job.state, job.result) == ("failed", {"error": "Something went wrong on our side."})

    def test_a_job_whose_workers_all_die_is_given_up(self, workspace: Workspace, policy: SLAPolicy) -> None:
        job = jobs.start(workspace=workspace, kind="derive", now=at(0))
        for day in range(jobs.ATTEMPTS):
            assert job.pk in jobs.lost(now=at(day, "12:00"))
            assert jobs.take(job_id=job.pk, now=at(day, "12:00"))
        assert job.pk not in jobs.lost(now=at(9))
        job.refresh_from_db()
        assert job.state == "failed"

    @pytest.mark.parametrize("count", [1, 40])
    def test_saving_a_policy_costs_the_same_however_many_there_are(
        self, workspace: Workspace, policy: SLAPolicy, count: int, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(count):
            make_policy(workspace, name=f"Policy {number}", is_default=False)
        with django_assert_max_num_queries(22):
            setup.save_policy(workspace=workspace, policy=policy, changes={"resolution_hours": 9}, now=at(0))


class TestWhatIf:
    def ask(self, workspace: Workspace, now: dt.datetime, **draft: Any) -> dict[str, Any]:
        what_if.ask(workspace=workspace, draft=Draft(**draft), now=now)
        return run_newest(workspace, now, "what_if")

    def test_shows_breaches_gained_and_lost_per_priority_and_which_tickets_change(
        self, workspace: Workspace, policy: SLAPolicy, maria: Membership
    ) -> None:
        quick = make_ticket(workspace, subject="Quick", priority="high", now=at(0, "09:00"))
        make_reply(quick, maria, now=at(0, "10:30"), then="resolved")
        late = make_ticket(workspace, subject="Late", priority="low", now=at(0, "09:00"))
        make_reply(late, maria, now=at(0, "12:00"), then="resolved")
        result = self.ask(workspace, at(2), policy_id=policy.pk, changes={"first_response_hours": 1}, days=30)
        assert (result["tickets"], result["now"], result["then"]) == (2, 1, 2)
        assert (result["gained"], result["lost"]) == (1, 0)
        assert result["by_priority"]["high"] == {"tickets": 1, "now": 0, "then": 1}
        assert result["by_priority"]["low"] == {"tickets": 1, "now": 1, "then": 1}
        assert [(row["subject"], row["gained"], row["lost"]) for row in result["changed"]] == [
            ("Quick", ["first_response"], [])
        ]
        longer = self.ask(workspace, at(2), policy_id=policy.pk, changes={"first_response_hours": 8}, days=30)
        assert (longer["gained"], longer["lost"]) == (0, 1)

    def test_of_business_hours_tries_them_on_every_policy_that_counts_by_them(
        self, workspace: Workspace, policy: SLAPolicy, maria: Membership
    ) -> None:
        ticket = make_ticket(workspace, now=at(0, "17:00"))
        make_reply(ticket, maria, now=at(1, "09:30"), then="resolved")
        hours = BusinessHours.objects.for_workspace(workspace).get()
        longer = {"schedule": {**WEEK, "monday": {"start": "09:00", "end": "22:00"}}}
        result = self.ask(workspace, at(2), hours_id=hours.pk, changes=longer, days=30)
        assert (result["now"], result["then"]) == (0, 1)

    def test_writes_nothing_but_its_own_result(
        self, workspace: Workspace, policy: SLAPolicy, maria: Membership
    ) -> None:
        make_reply(make_ticket(workspace, now=at(0, "09:00")), maria, now=at(0, "12:00"))

        def everything() -> list[Any]:
            models = (Clock, SLATerms, SLAPolicy, BusinessHours, Ticket, Activity)
            return [list(model.unscoped.order_by("pk").values()) for model in models]  # type: ignore[attr-defined]

        before = everything()
        self.ask(workspace, at(2), policy_id=policy.pk, changes={"resolution_hours": 1}, days=None)
        assert everything() == before

    def test_could_not_write_if_it_wanted_to(self, workspace: Workspace) -> None:
        with pytest.raises(DatabaseError, match="read-only"), what_if._reading_only():
            Job.unscoped.create(workspace=workspace, kind="derive")
        assert not connection.needs_rollback

    def test_only_the_days_that_are_asked_for_are_told(self, workspace: Workspace, policy: SLAPolicy) -> None:
        make_ticket(workspace, now=at(0))
        make_ticket(workspace, now=at(20))
        counts = {
            days: self.ask(workspace, at(22), policy_id=policy.pk, changes={}, days=days)["tickets"]
            for days in (7, 30, None)
        }
        assert counts == {7: 1, 30: 2, None: 2}

    def test_a_draft_that_is_wrong_is_refused_and_nothing_is_queued(
        self, workspace: Workspace, policy: SLAPolicy
    ) -> None:
        before = Job.unscoped.count()
        with pytest.raises(InvalidInput) as refused:
            what_if.ask(
                workspace=workspace, draft=Draft(policy_id=policy.pk, changes={"resolution_hours": 0}), now=at(0)
            )
        assert list(refused.value.errors) == ["resolution_hours"]
        assert Job.unscoped.count() == before


class TestFurnishing:
    def test_a_workspace_begins_with_the_targets_of_the_specifications_table(self, workspace: Workspace) -> None:
        setup.furnish(workspace, at(0))
        due = {}
        for priority in ("urgent", "high", "medium", "low"):
            ticket = make_ticket(workspace, priority=priority, now=at(5, "12:00"))  # round the clock, on a Saturday
            due[priority] = tuple(
                (due_at - at(5, "12:00")) / dt.timedelta(hours=1)
                for goal in ("first_response", "resolution")
                if (due_at := clock_of(ticket, goal).due_at)
            )
        assert due == {"urgent": (1, 4), "high": (4, 8), "medium": (8, 24), "low": (24, 72)}

    def test_happens_once_and_never_beside_policies_of_ones_own(self, workspace: Workspace) -> None:
        make_policy(workspace, name="Ours")
        setup.furnish(workspace, at(0))
        setup.furnish(workspace, at(0))
        assert [policy.name for policy in setup.policies(workspace.pk)] == ["Ours"]

    def test_a_workspace_that_is_made_in_the_admin_is_furnished(self, client: Any) -> None:
        from django.urls import reverse

        from helpdesk.accounts.tests.factories import UserFactory

        client.force_login(UserFactory(is_superuser=True))
        form = {"name": "New", "slug": "new", "timezone": "Asia/Tokyo", "auto_close_days": 4, "reopen_window_days": 14}
        assert client.post(reverse("admin:accounts_workspace_add"), form).status_code == 302
        made = Workspace.objects.get(slug="new")
        assert setup.policies(made.pk)[0].name == "Standard"
        assert BusinessHours.objects.for_workspace(made).get().timezone == "Asia/Tokyo"


def test_terms_stay_what_they_were_when_a_policy_changes(workspace: Workspace, policy: SLAPolicy) -> None:
    make_hours(workspace, name="Other")
    ticket = make_ticket(workspace, now=at(0, "09:00"))
    before = clock_of(ticket, "first_response").terms
    setup.save_policy(workspace=workspace, policy=policy, changes={"first_response_hours": 1}, now=at(0, "09:10"))
    setup.save_policy(workspace=workspace, policy=policy, changes={"first_response_hours": 2}, now=at(0, "09:20"))
    before.refresh_from_db()
    assert before.document["targets"]["low"]["first_response"] == 7200
    assert SLAPolicy.unscoped.get(pk=policy.pk).terms_id == before.pk  # the same terms are the same row
