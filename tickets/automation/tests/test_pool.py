"""Who gets a ticket, and who waits."""

import datetime as dt
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction

from helpdesk.accounts import services as accounts
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.automation import tasks
from tickets.automation.models import Rule, Waiting
from tickets.automation.services import engine, pool
from tickets.automation.tests.factories import NOW, make_rule, run_rules, runs_of
from tickets.events import SYSTEM
from tickets.models import Activity, Assignment, Ticket
from tickets.services import assignment, base, editing, status
from tickets.tests.factories import make_agent, make_ticket

LEAST_BUSY = {"do": "assign", "method": "least_busy", "team_id": None}
ROUND_ROBIN = {"do": "assign", "method": "round_robin", "team_id": None}


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory()
    return made


@pytest.fixture
def agents(workspace: Workspace) -> list[Membership]:
    return [make_agent(workspace) for _ in range(3)]


def given_to(ticket: Ticket) -> Any:
    """Who has a ticket once the rules were asked."""
    run_rules(ticket)
    ticket.refresh_from_db()
    return ticket.assignee_id


def new(workspace: Workspace, minutes: int = 0) -> Ticket:
    """A ticket that the rules were asked about."""
    ticket = make_ticket(workspace)
    run_rules(ticket, NOW + dt.timedelta(minutes=minutes))
    ticket.refresh_from_db()
    return ticket


def give_by_hand(workspace: Workspace, member: Membership, count: int = 1, **fields: Any) -> list[Ticket]:
    return [make_ticket(workspace, assignee_id=member.user_id, **fields) for _ in range(count)]


def change(member: Membership, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(member, name, value)
    member.save(update_fields=list(fields))


def waiting(workspace: Workspace) -> list[Any]:
    return list(Waiting.objects.for_workspace(workspace).order_by("since", "pk").values_list("ticket", flat=True))


@pytest.mark.django_db
class TestLeastBusy:
    def test_the_agent_with_the_fewest_open_tickets_gets_it(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        give_by_hand(workspace, agents[0], 2)
        give_by_hand(workspace, agents[2], 1)
        assert given_to(make_ticket(workspace)) == agents[1].user_id

    def test_pending_finished_and_trashed_tickets_are_no_work(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        pending, resolved, trashed = give_by_hand(workspace, agents[0], 3)
        status.change_status(ticket=pending, to="pending", actor=SYSTEM, now=NOW)
        status.change_status(ticket=resolved, to="resolved", actor=SYSTEM, now=NOW)
        editing.trash(ticket=trashed, actor=SYSTEM, now=NOW)
        for agent in agents[1:]:
            give_by_hand(workspace, agent, 1)
        assert given_to(make_ticket(workspace)) == agents[0].user_id

    def test_a_tie_goes_to_whoever_was_given_nothing_for_longest(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        for agent in (agents[1], agents[2], agents[0]):
            give_by_hand(workspace, agent)
        assert [given_to(make_ticket(workspace)) for _ in range(4)] == [
            agents[n].user_id for n in (1, 2, 0, 1)
        ]  # fmt: skip

    def test_who_was_never_given_anything_comes_first(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        for agent in agents[:2]:
            (ticket,) = give_by_hand(workspace, agent)
            status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)
        assert given_to(make_ticket(workspace)) == agents[2].user_id

    def test_tickets_of_another_workspace_do_not_count(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        other: Any = WorkspaceFactory()
        give_by_hand(other, make_agent(other, user=agents[0].user), 3)
        assert given_to(make_ticket(workspace)) == agents[0].user_id


@pytest.mark.django_db
class TestWhoIsAsked:
    def test_nobody_beyond_their_capacity(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        change(agents[0], capacity=1)
        change(agents[1], capacity=2)
        change(agents[2], capacity=0)
        given = [given_to(make_ticket(workspace)) for _ in range(4)]
        assert Counter(given) == {agents[0].user_id: 1, agents[1].user_id: 2, None: 1}

    def test_nobody_who_is_away(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        change(agents[0], is_available=False)
        change(agents[1], is_available=False)
        assert [given_to(make_ticket(workspace)) for _ in range(3)] == [agents[2].user_id] * 3

    def test_nobody_who_left_and_no_account_that_is_closed(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        accounts.deactivate_member(membership=agents[0], by=None, now=NOW)
        agents[1].user.is_active = False
        agents[1].user.save()
        assert [given_to(make_ticket(workspace)) for _ in range(2)] == [agents[2].user_id] * 2

    @pytest.mark.parametrize(
        ("role", "is_asked"), [("owner", True), ("admin", True), ("agent", True), ("light", False)]
    )
    def test_light_agents_never(self, workspace: Workspace, role: str, is_asked: bool) -> None:
        make_rule(workspace, LEAST_BUSY)
        member = make_agent(workspace, role)
        assert given_to(make_ticket(workspace)) == (member.user_id if is_asked else None)

    @pytest.mark.parametrize("method", pool.METHODS)
    def test_only_the_team_that_the_rule_names(self, workspace: Workspace, agents: list[Any], method: str) -> None:
        team: Any = TeamFactory(workspace=workspace)
        TeamFactory(workspace=workspace).members.set([agents[1]])
        team.members.set([agents[2]])
        make_rule(workspace, {"do": "assign", "method": method, "team_id": str(team.pk)})
        give_by_hand(workspace, agents[2], 2)
        assert [given_to(make_ticket(workspace)) for _ in range(2)] == [agents[2].user_id] * 2

    def test_nobody_of_another_workspace(self, workspace: Workspace) -> None:
        make_rule(workspace, LEAST_BUSY)
        make_agent(WorkspaceFactory())  # type: ignore[arg-type]
        assert given_to(make_ticket(workspace)) is None

    def test_a_ticket_that_has_an_agent_keeps_them(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY)
        (ticket,) = give_by_hand(workspace, agents[2])
        assert given_to(ticket) == agents[2].user_id
        assert [run.done[0]["text"] for run in runs_of(ticket)] == ["left with its agent"]

    def test_a_ticket_that_is_finished_is_given_to_nobody(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, LEAST_BUSY, triggers=["status_changed"])
        ticket = make_ticket(workspace)
        status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)
        assert given_to(ticket) is None
        assert [run.done[0]["text"] for run in runs_of(ticket)] == ["left unassigned: it is not in work"]

    def test_the_log_says_who_got_a_ticket_that_had_to_wait(self, workspace: Workspace, agents: list[Any]) -> None:
        team: Any = TeamFactory(workspace=workspace, name="Billing")
        team.members.set([agents[2]])
        change(agents[2], is_available=False)
        make_rule(workspace, {"do": "assign", "method": "least_busy", "team_id": str(team.pk)})
        ticket = make_ticket(workspace)
        assert given_to(ticket) is None
        change(agents[2], is_available=True)
        pool.serve(workspace=workspace, now=NOW + dt.timedelta(minutes=95))
        assert [one["text"] for one in runs_of(ticket)[0].done] == [
            "waits: nobody of team Billing is free",
            f"assigned to {agents[2].user}, the least busy of team Billing, after 95 min of waiting",
        ]


@pytest.mark.django_db
class TestRoundRobin:
    def test_everybody_gets_their_turn_however_busy(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, ROUND_ROBIN)
        give_by_hand(workspace, agents[0], 5)
        assert [given_to(make_ticket(workspace)) for _ in range(6)] == [
            agents[n].user_id for n in (1, 2, 0, 1, 2, 0)
        ]  # fmt: skip

    def test_who_is_away_or_full_is_left_out_of_the_round(self, workspace: Workspace, agents: list[Any]) -> None:
        make_rule(workspace, ROUND_ROBIN)
        change(agents[1], is_available=False)
        change(agents[0], capacity=2)
        assert [given_to(make_ticket(workspace)) for _ in range(5)] == [
            agents[n].user_id for n in (0, 2, 0, 2, 2)
        ]  # fmt: skip

    def test_a_late_worker_does_not_upset_the_turns(self, workspace: Workspace, agents: list[Any]) -> None:
        """`now` is read before the turn is waited for: the one who gets it later may have the older time."""
        make_rule(workspace, ROUND_ROBIN)
        given = [new(workspace, minutes).assignee_id for minutes in (9, 5, 1, 8, 2, 7)]
        assert given == [agents[n].user_id for n in (0, 1, 2, 0, 1, 2)]


@pytest.mark.django_db
class TestWaiting:
    @pytest.fixture
    def agent(self, workspace: Workspace) -> Membership:
        return make_agent(workspace, capacity=1)

    def test_nobody_free_and_the_ticket_waits_and_the_log_says_so(self, workspace: Workspace) -> None:
        rule = make_rule(workspace, LEAST_BUSY)
        ticket = new(workspace)
        assert ticket.assignee_id is None and waiting(workspace) == [ticket.pk]
        (run,) = runs_of(ticket)
        assert run.rule == rule and run.done == [
            {"action": "assign", "text": "waits: nobody of everybody is free", "is_done": True}
        ]

    def test_it_is_served_oldest_first_when_capacity_frees(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, LEAST_BUSY, name="Sharing")
        held, *others = [new(workspace, minutes) for minutes in (0, 3, 1, 2)]
        by_age = [others[1], others[2], others[0]]
        assert waiting(workspace) == [ticket.pk for ticket in by_age]
        assert pool.serve(workspace=workspace, now=NOW) == 0
        for ticket in by_age:
            status.change_status(ticket=held, to="resolved", actor=SYSTEM, now=NOW)
            assert pool.serve(workspace=workspace, now=NOW) == 1
            ticket.refresh_from_db()
            assert ticket.assignee_id == agent.user_id
            assert ticket.activities.get(event="ticket.assigned").actor_name == "Sharing"
            assert ticket.activities.get(event="ticket.assigned").actor_kind == "automation"
            held = ticket
        assert waiting(workspace) == []

    def test_it_is_served_when_somebody_comes_back(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, LEAST_BUSY)
        change(agent, is_available=False)
        ticket = new(workspace)
        assert tasks.serve_waiting() == 0
        change(agent, is_available=True)
        assert tasks.serve_waiting() == 1
        ticket.refresh_from_db()
        assert ticket.assignee_id == agent.user_id

    def test_the_event_that_frees_an_agent_serves_at_once(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, LEAST_BUSY)
        first, second = new(workspace), new(workspace)
        status.change_status(ticket=first, to="pending", actor=SYSTEM, now=NOW)
        tasks.apply_rules(str(first.activities.order_by("pk").last().pk))
        second.refresh_from_db()
        assert second.assignee_id == agent.user_id

    def test_a_new_ticket_does_not_overtake_one_that_waits(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, LEAST_BUSY)
        first, old = new(workspace), new(workspace)
        status.change_status(ticket=first, to="resolved", actor=SYSTEM, now=NOW)
        young = new(workspace, 1)
        assert young.assignee_id is None and waiting(workspace) == [old.pk, young.pk]
        pool.serve(workspace=workspace, now=NOW)
        old.refresh_from_db()
        assert old.assignee_id == agent.user_id and waiting(workspace) == [young.pk]

    def test_who_waits_for_another_team_holds_nobody_up(self, workspace: Workspace, agent: Membership) -> None:
        away: Any = TeamFactory(workspace=workspace)
        here: Any = TeamFactory(workspace=workspace)
        here.members.set([agent])
        for team, word in ((away, "low"), (here, "high")):
            make_rule(
                workspace,
                {"do": "assign", "method": "least_busy", "team_id": str(team.pk)},
                conditions={"all": [{"field": "priority", "is": [word]}]},
            )
        for _ in range(3):
            run_rules(make_ticket(workspace, priority="low"))
        assert given_to(make_ticket(workspace, priority="high")) == agent.user_id

    def test_however_many_wait_for_a_team_that_is_away_the_others_are_served(
        self, workspace: Workspace, agent: Membership
    ) -> None:
        away: Any = TeamFactory(workspace=workspace)
        rule = make_rule(workspace, LEAST_BUSY)
        rows = [(make_ticket(workspace), away) for _ in range(4)] + [(make_ticket(workspace), None)]
        for minute, (ticket, team) in enumerate(rows):
            since = NOW + dt.timedelta(minutes=minute)
            Waiting.unscoped.create(
                workspace=workspace, ticket=ticket, rule=rule, team=team, method="least_busy", since=since
            )
        assert pool.serve(workspace=workspace, now=NOW, limit=2) == 1
        rows[-1][0].refresh_from_db()
        assert rows[-1][0].assignee_id == agent.user_id

    @pytest.mark.parametrize("how", ["taken", "resolved", "trashed"])
    def test_a_ticket_that_needs_nobody_any_more_waits_no_more(self, workspace: Workspace, how: str) -> None:
        make_rule(workspace, LEAST_BUSY)
        ticket = new(workspace)
        agent, other = make_agent(workspace), make_agent(workspace)
        if how == "taken":
            assignment.assign(ticket=ticket, assignee_id=other.user_id, actor=SYSTEM, now=NOW)
        elif how == "resolved":
            status.change_status(ticket=ticket, to="resolved", actor=SYSTEM, now=NOW)
        else:
            editing.trash(ticket=ticket, actor=SYSTEM, now=NOW)
        log = Activity.unscoped.count()
        # What needs nobody holds nobody up, even before somebody has noticed.
        assert new(workspace).assignee_id == agent.user_id
        assert Activity.unscoped.count() == log + 2
        assert pool.serve(workspace=workspace, now=NOW) == 0
        assert waiting(workspace) == [] and Activity.unscoped.count() == log + 2

    def test_a_ticket_waits_once_by_the_last_rule_since_the_first(self, workspace: Workspace) -> None:
        team: Any = TeamFactory(workspace=workspace)
        make_rule(workspace, LEAST_BUSY)
        last = make_rule(workspace, {"do": "assign", "method": "round_robin", "team_id": str(team.pk)})
        ticket = new(workspace)
        row = Waiting.objects.for_workspace(workspace).get()
        assert (row.ticket, row.rule, row.team, row.method, row.since) == (ticket, last, team, "round_robin", NOW)

    def test_a_departed_agent_who_waited_for_work_gets_none(self, workspace: Workspace, agent: Membership) -> None:
        make_rule(workspace, LEAST_BUSY)
        new(workspace), new(workspace)
        accounts.deactivate_member(membership=agent, by=None, now=NOW)
        assert pool.serve(workspace=workspace, now=NOW) == 0


# --- Many at once ---------------------------------------------------------------------------------


def in_threads(count: int, work: Any) -> list[Any]:
    """Do `work(n)` in so many threads at once, each with a connection of its own."""
    together = Barrier(count)

    def one(number: int) -> Any:
        try:
            together.wait(30)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as crew:
        return [done.result(120) for done in [crew.submit(one, n) for n in range(count)]]


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    THREADS, TICKETS, AGENTS, CAPACITY = 8, 200, 7, 20

    def loads(self, workspace: Workspace) -> Counter[Any]:
        rows = Ticket.objects.for_workspace(workspace).filter(status="open").exclude(assignee=None)
        return Counter(rows.values_list("assignee", flat=True))

    @pytest.mark.parametrize("method", pool.METHODS)
    def test_nobody_is_over_capacity_the_spread_is_one_and_the_rest_waits_oldest_first(self, method: str) -> None:
        workspace: Any = WorkspaceFactory()
        agents = [make_agent(workspace, capacity=self.CAPACITY) for _ in range(self.AGENTS)]
        make_rule(workspace, {"do": "assign", "method": method, "team_id": None})
        spreads: list[int] = []

        def create(number: int) -> None:
            for n in range(self.TICKETS // self.THREADS):
                now = NOW + dt.timedelta(seconds=n * self.THREADS + number)
                ticket = make_ticket(workspace, now=now)
                activity = Activity.unscoped.get(ticket=ticket, event="ticket.created")
                engine.apply(activity_id=activity.pk, now=now)
                if number == 0:
                    loads = self.loads(workspace)
                    spreads.append(max(loads.values()) - min(loads[agent.user_id] for agent in agents))

        in_threads(self.THREADS, create)
        places = self.AGENTS * self.CAPACITY
        assert self.loads(workspace) == {agent.user_id: self.CAPACITY for agent in agents}
        assert max(spreads) <= 1
        line = waiting(workspace)
        assert len(line) == self.TICKETS - places == Ticket.unscoped.filter(assignee=None).count()
        assert Assignment.unscoped.count() == places

        served: list[Any] = []
        while line:
            batch = list(Ticket.unscoped.filter(status="open").exclude(assignee=None).order_by("?")[:8])

            def finish(number: int, batch: list[Ticket] = batch) -> int:
                if number < len(batch):
                    status.change_status(ticket=batch[number], to="resolved", actor=SYSTEM, now=NOW)
                return pool.serve(workspace=workspace, now=NOW)

            in_threads(self.THREADS, finish)
            pool.serve(workspace=workspace, now=NOW)
            left = waiting(workspace)
            served += line[: len(line) - len(left)]
            assert left == line[len(line) - len(left) :]  # the oldest went
            assert len(left) == max(0, len(line) - len(batch))
            assert max(self.loads(workspace).values()) <= self.CAPACITY
            line = left
        assert not Ticket.unscoped.filter(assignee=None).exists()

    def test_while_capacity_lasts_nobody_waits(self) -> None:
        workspace: Any = WorkspaceFactory()
        agents = [make_agent(workspace, capacity=30) for _ in range(self.AGENTS)]
        make_rule(workspace, LEAST_BUSY)

        def create(number: int) -> None:
            for n in range(self.TICKETS // self.THREADS):
                now = NOW + dt.timedelta(seconds=n * self.THREADS + number)
                created = Activity.unscoped.get(ticket=make_ticket(workspace, now=now), event="ticket.created")
                engine.apply(activity_id=created.pk, now=now)

        in_threads(self.THREADS, create)
        loads = self.loads(workspace)
        assert loads.total() == self.TICKETS and loads.keys() == {agent.user_id for agent in agents}
        assert set(loads.values()) == {28, 29}
        assert waiting(workspace) == []

    def test_who_gives_and_who_serves_never_wait_for_each_other(self) -> None:
        """A rule holds its ticket when it asks for the turn; so does whoever serves that very ticket."""
        workspace: Any = WorkspaceFactory()
        make_agent(workspace)
        rule: Rule = make_rule(workspace, LEAST_BUSY)
        for _ in range(15):
            ticket = make_ticket(workspace)
            Waiting.unscoped.create(workspace=workspace, ticket=ticket, rule=rule, method="least_busy", since=NOW)

            def give_or_serve(number: int, ticket: Ticket = ticket) -> None:
                if number:
                    pool.serve(workspace=workspace, now=NOW)
                    return
                with transaction.atomic():
                    locked = base.lock(ticket)
                    if locked.assignee_id is None:
                        pool.give(
                            locked, rule=rule, run_id=None, method="least_busy", team_id=None, actor=SYSTEM, now=NOW
                        )

            in_threads(2, give_or_serve)
            assert waiting(workspace) == [] and ticket.assignments.count() == 1
