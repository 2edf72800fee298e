"""What a rule would have matched and changed in the last days: its past told again in the background, writing nothing.

The rule is asked alone: what other rules did before it in the same event is not counted in. Tickets
that were merged or thrown away since are left out, as the engine leaves them. Reading happens in
transactions that could not write; between them the progress is kept together with its rows, so that
a worker that is killed is followed by one that goes on after the last ticket that is written down.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q

from helpdesk.accounts.models import Membership
from helpdesk.errors import NotFound
from tickets import dispatch
from tickets.automation import conditions
from tickets.automation.conditions import ConditionError, Facts, Group
from tickets.automation.levels import service_levels
from tickets.automation.models import OPTIONS, TIMED, DryRun, DryRunRow, Rule
from tickets.automation.services import rewind
from tickets.automation.services.moments import QUIET, Moment, Triggers, moments_of
from tickets.automation.services.names import Names, names_of
from tickets.automation.services.preview import preview
from tickets.automation.services.reasons import Reasons
from tickets.automation.services.rewind import Past, Rewinder
from tickets.lifecycle import ACTIVE
from tickets.models import Activity, Ticket

TASK = "tickets.automation.tasks.run_dry_run"
DAYS = 30
BATCH = 500  # tickets
KEPT = 2000  # rows that matched, and rows that did not
KEPT_RUNS = 3  # of a rule
LOST_AFTER = dt.timedelta(minutes=2)  # without a sign of life somebody else takes it up
WAITED = dt.timedelta(seconds=30)  # then the broker may have lost it
ATTEMPTS = 5
WRONG = "Something went wrong on our side. Try it again."
_OLD = dt.timedelta(hours=1)  # how far a clock that gave an id may have been wrong

# --- Asking -----------------------------------------------------------------------------------


@transaction.atomic
def ask(*, rule: Rule, member: Membership | None, now: dt.datetime) -> DryRun:
    """Have a rule tried on the last 30 days, as it is now, and queue that after the commit.

    One that is still under way for the same rule, unchanged, serves this asking, too. The last three
    of a rule are kept. Raises NotFound for a rule that is deleted.
    """
    rows = Rule.objects.for_workspace(rule.workspace_id).filter(archived_at=None)
    # No key: rows that name the rule are still written. Two who ask at once come one after the other.
    fresh: Rule | None = rows.select_for_update(no_key=True).filter(pk=rule.pk).first()
    if fresh is None:
        raise NotFound("There is no such rule.", errors={"id": ["There is no such rule."]})
    asked = as_asked(fresh)
    before = list(of_rule(fresh))
    if before and not before[0].is_over and is_unchanged(before[0], fresh):
        return before[0]
    made = DryRun.unscoped.create(
        workspace_id=fresh.workspace_id,
        rule=fresh,
        asked=asked,
        since=now - dt.timedelta(days=DAYS),
        until=now,
        requested_by=member.user if member else None,
        created_at=now,
    )
    old = [one.pk for one in before[KEPT_RUNS - 1 :]]
    if old:
        DryRun.objects.for_workspace(fresh.workspace_id).filter(pk__in=old).delete()
    dispatch.queue_after_commit(TASK, str(made.pk))  # what the broker loses, the next beat finds
    return made


def as_asked(rule: Rule) -> dict[str, Any]:
    """A rule as a dry run keeps it."""
    hours = {OPTIONS[word]: getattr(rule, OPTIONS[word]) for word in TIMED}
    return {
        "name": rule.name,
        "triggers": list(rule.triggers),
        "conditions": rule.conditions,
        "actions": rule.actions,
        "message_count": rule.message_count,
        **{name: None if value is None else float(value) for name, value in hours.items()},
    }


def is_unchanged(dry_run: DryRun, rule: Rule) -> bool:
    """Whether the rule would still be asked the same; its name may be another one."""
    return bool({**dry_run.asked, "name": rule.name} == as_asked(rule))


def of_rule(rule: Rule) -> Any:
    """The dry runs of a rule, newest first."""
    return DryRun.objects.for_workspace(rule.workspace_id).filter(rule=rule).order_by("-created_at", "-pk")


def find(workspace_id: UUID, dry_run_id: UUID) -> DryRun:
    """A dry run of the workspace, with its rule. Raises NotFound, also for a foreign id and that of a deleted rule."""
    rows = DryRun.objects.for_workspace(workspace_id).filter(rule__archived_at=None).select_related("rule")
    found: DryRun | None = rows.filter(pk=dry_run_id).first()
    if found is None:
        raise NotFound("There is no such dry run.", errors={"id": ["There is no such dry run."]})
    return found


def rows_of(dry_run: DryRun, *, matched: bool | None = None) -> Any:
    """The rows of a dry run, newest moment first, all or only those that matched or did not."""
    rows = DryRunRow.objects.for_workspace(dry_run.workspace_id).filter(dry_run=dry_run)
    rows = rows if matched is None else rows.filter(is_matched=matched)
    return rows.order_by("-happened_at", "-pk")


# --- The background ---------------------------------------------------------------------------


def run(*, dry_run_id: UUID, clock: Callable[[], dt.datetime]) -> bool:
    """Do a dry run, or go on with one whose worker was killed; False where somebody else does it or it is over.

    `clock()` tells the time. Any number of workers may be asked: there is one result.
    """
    taken = _take(dry_run_id, clock())
    if taken is None:
        return False
    try:
        _walk(taken, clock)
    except _Superseded:
        return False
    except ConditionError as error:
        _end(taken, clock(), error=f"The conditions of the rule cannot be read. {error}"[:300])
    except Exception:
        _give_back(taken, clock())
        raise
    return True


def lost(*, now: dt.datetime) -> list[UUID]:
    """The dry runs that nobody works on: the broker lost them, or their worker was killed.

    One whose workers were all killed is given up, and says so.
    """
    waiting = Q(status="waiting", created_at__lt=now - WAITED)
    silent = Q(status="running", seen_at__lt=now - LOST_AFTER)
    rows = DryRun.unscoped.filter(waiting | silent)
    rows.filter(attempts__gte=ATTEMPTS).update(
        status="failed", error="It was begun several times and never finished.", finished_at=now
    )
    return list(rows.filter(attempts__lt=ATTEMPTS).order_by("pk").values_list("pk", flat=True)[:100])


def _take(dry_run_id: UUID, now: dt.datetime) -> DryRun | None:
    free = Q(status="waiting") | Q(status="running", seen_at__lt=now - LOST_AFTER)
    mine = DryRun.unscoped.filter(free, pk=dry_run_id, attempts__lt=ATTEMPTS)
    if not mine.update(status="running", seen_at=now, attempts=F("attempts") + 1):
        return None
    return DryRun.unscoped.filter(pk=dry_run_id).first()


class _Superseded(Exception):
    """Somebody else has taken it up, or it was deleted."""


def _mine(dry_run: DryRun) -> Any:
    return DryRun.unscoped.filter(pk=dry_run.pk, status="running", attempts=dry_run.attempts)


def _give_back(dry_run: DryRun, now: dt.datetime) -> None:
    """It went wrong: it waits to be taken up again, or has failed after the last of its attempts."""
    if dry_run.attempts < ATTEMPTS:
        _mine(dry_run).update(status="waiting", seen_at=now)
    else:
        _end(dry_run, now, error=WRONG)


def _end(dry_run: DryRun, now: dt.datetime, *, error: str = "") -> None:
    status = "failed" if error else "done"
    _mine(dry_run).update(status=status, error=error, finished_at=now, seen_at=now)


# --- Walking ----------------------------------------------------------------------------------


@contextmanager
def reading_only() -> Iterator[None]:
    """A transaction in which the database refuses to write."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        yield


@dataclass
class _Found:
    """What a batch of tickets gave."""

    events: int = 0
    tickets: int = 0
    matched_events: int = 0
    matched_tickets: int = 0
    rows: list[DryRunRow] = field(default_factory=list)


class _Question:
    """A rule as it was asked, ready for very many tickets."""

    def __init__(self, dry_run: DryRun) -> None:
        asked: Mapping[str, Any] = dry_run.asked
        self.dry_run = dry_run
        self.triggers = Triggers.of(asked)
        self.group: Group = conditions.read(asked["conditions"])
        self.actions: Sequence[Mapping[str, Any]] = asked["actions"]
        self.names: Names = names_of(dry_run.workspace_id, self.group, self.actions)
        self.reasons = Reasons(self.group, self.names)
        self.asked = rewind.Asked(dry_run.workspace_id, self.group.fields, self.names)
        self.business_time = service_levels().business_time(dry_run.workspace_id)
        # The preview of tags tells which ones the ticket had.
        tags = any(action["do"] in ("add_tags", "remove_tags") for action in self.actions)
        self.fields = self.group.fields | ({"tag"} if tags else set())

    def tickets(self) -> list[UUID]:
        """The tickets to look at, newest first: every one that may have pulled a trigger in these days."""
        dry_run, since = self.dry_run, self.dry_run.since
        workspace: UUID = dry_run.workspace_id
        rows = Ticket.objects.for_workspace(workspace).live().filter(merged_into=None, created_at__lte=dry_run.until)
        if self.triggers.only_created:
            parts = [rows.filter(created_at__gte=since)]
        else:
            parts = [rows.filter(updated_at__gte=since)]
            if self.triggers.is_timed:
                parts.append(rows.active())
            if quiet := (self.triggers.events or QUIET) & QUIET:
                # An activity is recorded when it happened or later, and ids rise with the time of recording.
                oldest = UUID(int=int((since - _OLD).timestamp() * 1000) << 80)
                told = Activity.objects.for_workspace(workspace).filter(
                    event__in=quiet, pk__gte=oldest, occurred_at__gte=since
                )
                parts.append(rows.filter(pk__in=told.values("ticket")))
        found = {pk for part in parts for pk in part.values_list("pk", flat=True).iterator(chunk_size=10_000)}
        last = dry_run.last_ticket_id
        return sorted((pk for pk in found if last is None or pk < last), reverse=True)

    def batch(self, ticket_ids: Sequence[UUID], room: "Counter[bool]") -> _Found:
        """Ask about these tickets; of the answers as many rows are made as there is room for."""
        with reading_only():
            pasts = rewind.read(
                self.dry_run.workspace_id,
                ticket_ids,
                since=None if self.triggers.needs_all else self.dry_run.since,
                events=self.triggers.events,
                asked=self.fields,
                names=self.names,
            )
            found = _Found()
            for past in pasts:
                self._ask(past, found, room)
        return found

    def _ask(self, past: Past, found: _Found, room: "Counter[bool]") -> None:
        dry_run, group = self.dry_run, self.group
        moments = moments_of(
            past.log, self.triggers, since=dry_run.since, until=dry_run.until, business_time=self.business_time
        )
        if not moments:
            return
        rewinder = Rewinder(past, self.names)
        events, matched = 0, 0
        for moment in moments:
            facts = self.asked.facts(rewinder, moment.about, moment.at)
            if moment.trigger in TIMED and rewinder.to(moment.at).status not in ACTIVE:
                continue  # nothing waited any more
            events += 1
            is_met = group.is_met(facts)
            matched += is_met
            if room[is_met] > 0:
                room[is_met] -= 1
                found.rows.append(self._row(past, rewinder, moment, facts, is_met))
        found.events += events
        found.tickets += events > 0
        found.matched_events += matched
        found.matched_tickets += matched > 0

    def _row(self, past: Past, rewinder: Rewinder, moment: Moment, facts: Facts, is_met: bool) -> DryRunRow:
        ticket = rewinder.to(moment.at)
        changes = preview(self.actions, ticket, self.names) if is_met else []
        return DryRunRow(
            workspace_id=self.dry_run.workspace_id,
            dry_run_id=self.dry_run.pk,
            ticket_id=past.ticket_id,
            activity_id=UUID(moment.about.activity_id),
            trigger=moment.trigger,
            happened_at=moment.at,
            is_matched=is_met,
            reasons=self.reasons.of(facts, rewinder, ticket),
            changes=[change.document() for change in changes],
        )


def _walk(dry_run: DryRun, clock: Callable[[], dt.datetime]) -> None:
    with reading_only():
        question = _Question(dry_run)
        waiting = question.tickets()
    if dry_run.last_ticket_id is None:
        _update(dry_run, total=len(waiting), seen_at=clock())
    room = Counter({True: KEPT, False: KEPT})
    room[True] -= dry_run.matched_events
    room[False] -= dry_run.events - dry_run.matched_events
    for first in range(0, len(waiting), BATCH):
        batch = waiting[first : first + BATCH]
        found = question.batch(batch, room)
        _keep(dry_run, batch, found, clock())
    _end(dry_run, clock())


@transaction.atomic
def _keep(dry_run: DryRun, batch: Sequence[UUID], found: _Found, now: dt.datetime) -> None:
    """How far it is, with what was found so far: both or neither."""
    _update(
        dry_run,
        seen_at=now,
        done=F("done") + len(batch),
        last_ticket_id=batch[-1],
        events=F("events") + found.events,
        tickets=F("tickets") + found.tickets,
        matched_events=F("matched_events") + found.matched_events,
        matched_tickets=F("matched_tickets") + found.matched_tickets,
    )
    # A ticket that was purged since it was read has no row.
    there = set(
        Ticket.objects.for_workspace(dry_run.workspace_id)
        .filter(pk__in={row.ticket_id for row in found.rows})
        .values_list("pk", flat=True)
    )
    DryRunRow.unscoped.bulk_create([row for row in found.rows if row.ticket_id in there], batch_size=500)


def _update(dry_run: DryRun, **values: Any) -> None:
    if not _mine(dry_run).update(**values):
        raise _Superseded
