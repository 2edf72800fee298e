"""The past of another help desk, told again: an event log becomes tickets with their histories.

A log has the columns `case`, `activity`, `resource` and `at`. Each row is one call of the domain
services at the row's own time, by the agent that the resource stands for. What an activity means:

- The first row of a case, whatever it is, opens the ticket (`external_id` is the case); then the
  row's own meaning follows.
- *Insert ticket*: nothing besides the opening; later in a case an internal note.
- *Assign seriousness*: the priority. The log does not say which, so a ticket that nobody assessed
  is low, the first assessment makes it medium, and each further one raises it by a step; a note
  where it is urgent already.
- *Take in charge ticket*: assigned to the agent. A ticket that waited, was resolved or closed opens
  again, for somebody works on it. A note where the agent has it open already.
- *Wait*: pending. *Resolve ticket*: resolved. *Closed*: closed.
- *Require upgrade*, *Create SW anomaly*, *Resolve SW anomaly*, *Schedule intervention*, *VERIFIED*,
  *RESOLVED*, *INVALID*, *DUPLICATE*: an internal note; they speak of the software, not of the request.

A row that the lifecycle refuses (Closed while not resolved, Wait while waiting already, …) changes
nothing and is reported with its line and the reason. So is a row that cannot be read.

**Who keeps up with tickets** (`tickets.events.Subscriptions.loaded`) hears of the touched ones after every few hundred
cases, and in the end, once, of the workspace as a whole: an import that was killed told nobody.

**Again.** A case is one transaction: whole or absent. In a case that is there already, a row up to
the newest thing in the ticket's own log is known and passed over; later rows go on from there. So
a second run adds nothing, an interrupted one is completed, and a log that has grown is continued.
"""

import csv
import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TextIO
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from helpdesk import crew
from helpdesk.accounts.models import Contact, Membership, User, Workspace
from helpdesk.accounts.roles import Permission, Role
from helpdesk.errors import Conflict, DomainError, InvalidInput
from tickets import timeline
from tickets.events import Actor, subscriptions
from tickets.lifecycle import Priority, Status
from tickets.models import Activity, Ticket
from tickets.services import assignment, base, conversation, editing, opening, status

COLUMNS = ("case", "activity", "resource", "at")
DOMAIN = "import.example"
_STEPS = (Priority.LOW.value, Priority.MEDIUM.value, Priority.HIGH.value, Priority.URGENT.value)
_NOTES = frozenset(
    {
        "Require upgrade",
        "Create SW anomaly",
        "Resolve SW anomaly",
        "Schedule intervention",
        "VERIFIED",
        "RESOLVED",
        "INVALID",
        "DUPLICATE",
    }
)
INSERT, ASSESS, TAKE, WAIT, RESOLVE, CLOSE = (
    "Insert ticket",
    "Assign seriousness",
    "Take in charge ticket",
    "Wait",
    "Resolve ticket",
    "Closed",
)
_MOVES = {WAIT: Status.PENDING.value, RESOLVE: Status.RESOLVED.value, CLOSE: Status.CLOSED.value}
_KNOWN = _NOTES | {INSERT, ASSESS, TAKE} | set(_MOVES)
_LOCK = 7_310_442  # any constant of our own: one import at a time
EARLIEST = 1970  # a year; no help desk kept a log before
BATCH = 500  # cases: as many numbers an import that breaks off may leave unused


@dataclass(frozen=True)
class Row:
    """One event of the log. `line` counts from 1, the heading included; `at` is aware UTC."""

    line: int
    case: str
    activity: str
    resource: str
    at: dt.datetime


@dataclass(frozen=True)
class Refusal:
    """A row that changed nothing, and why."""

    line: int
    case: str
    activity: str
    reason: str


@dataclass
class _Case:
    """What is not known yet of a case, and its ticket, or the number that it will get."""

    rows: list[Row]
    ticket_id: UUID | None
    number: int | None = None


Agents = dict[str, tuple[Membership, Actor]]
Done = Callable[[_Case, Ticket | None, list[Refusal]], None]


@dataclass
class Report:
    """What became of the rows: each is applied, known from an earlier run, or refused."""

    rows: int = 0
    applied: int = 0
    known: int = 0
    tickets: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def reasons(self) -> "Counter[tuple[str, str]]":
        """How often each (activity, reason) was refused."""
        return Counter((refusal.activity, refusal.reason) for refusal in self.refused)


def read_log(file: TextIO) -> tuple[list[Row], list[Refusal]]:
    """The rows of a log, and those that cannot be read. Raises InvalidInput when it is no such log at all."""
    reader = csv.DictReader(file)
    try:
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or [])]:
            raise InvalidInput(f"This is not an event log: the column {missing[0]} is missing.")
        rows: list[Row] = []
        unreadable: list[Refusal] = []
        for record in reader:
            row = _read_row(reader.line_num, {name: (record[name] or "").strip() for name in COLUMNS})
            if isinstance(row, Row):
                rows.append(row)
            else:
                unreadable.append(row)
    except csv.Error as error:
        raise InvalidInput(f"This is not a CSV file: line {reader.line_num}: {error}.") from None
    except UnicodeDecodeError:
        raise InvalidInput("This file is not text in UTF-8.") from None
    return rows, unreadable


def _read_row(line: int, record: dict[str, str]) -> Row | Refusal:
    def refuse(reason: str) -> Refusal:
        return Refusal(line, record["case"], record["activity"], reason)

    for name in COLUMNS:
        if not record[name]:
            return refuse(f"The column {name} is empty.")
        if "\0" in record[name] or len(record[name]) > 100:
            return refuse(f"The column {name} is not a word of a log.")
    if record["activity"] not in _KNOWN:
        return refuse("There is no such activity.")
    try:
        at = dt.datetime.fromisoformat(record["at"])
    except ValueError:
        return refuse("The time cannot be read.")
    if at.tzinfo is None:
        return refuse("The time says no zone.")
    if at.year < EARLIEST:
        return refuse(f"The time is before {EARLIEST}.")
    return Row(line, record["case"], record["activity"], record["resource"], at.astimezone(dt.UTC))


def import_log(
    *,
    workspace: Workspace,
    rows: Iterable[Row],
    now: dt.datetime,
    progress: Callable[[int], object] = lambda _rows: None,
) -> Report:
    """Tell the rows again in the workspace: case by case, oldest first, each in its own transaction.

    Outside a transaction two connections share the cases, so that the database works while Python
    does. The tickets' numbers rise with the cases; one that was reserved for a case that then fails
    stays unused. The agents that the resources stand for become members with no password.
    `progress` is called with the number of rows of what is known already, and then of each finished
    case, in a thread that may be another. Raises Conflict when another import runs, and
    InvalidInput, before anything is written, for a row of the future.
    """
    cases: dict[str, list[Row]] = {}
    for row in rows:
        if row.at > now:
            raise InvalidInput(f"Line {row.line} is in the future.")
        cases.setdefault(row.case, []).append(row)
    for events in cases.values():
        events.sort(key=lambda row: (row.at, row.line))
    report = Report(rows=sum(map(len, cases.values())))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            raise Conflict("Another import is running; wait until it is done.", code="import_runs")
        try:
            _import_cases(workspace, sorted(cases.values(), key=lambda e: (e[0].at, e[0].line)), now, report, progress)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    report.refused.sort(key=lambda refusal: refusal.line)
    return report


def _import_cases(
    workspace: Workspace,
    cases: list[list[Row]],
    now: dt.datetime,
    report: Report,
    progress: Callable[[int], object],
) -> None:
    there: dict[str, UUID] = dict(
        Ticket.objects.for_workspace(workspace).exclude(external_id=None).values_list("external_id", "pk")
    )
    newest: dict[UUID, dt.datetime] = dict(
        Activity.objects.for_workspace(workspace)
        .filter(ticket__external_id__isnull=False)
        .values_list("ticket")
        .annotate(Max("occurred_at"))
    )
    work: list[_Case] = []
    for events in cases:
        ticket_id = there.get(events[0].case)
        seen = newest.get(ticket_id) if ticket_id else None
        if fresh := [row for row in events if seen is None or row.at > seen]:
            work.append(_Case(fresh, ticket_id))
        report.known += len(events) - len(fresh)
    progress(report.known)

    new = {_address(case.rows[0].case): case.rows[0].case for case in work if case.ticket_id is None}
    # All at once: one by one they would take as long as the tickets.
    Contact.unscoped.bulk_create(
        [Contact(workspace=workspace, email=address, name=name) for address, name in new.items()],
        ignore_conflicts=True,
        batch_size=1000,
    )
    agents = _agents(workspace, (row.resource for case in work for row in case.rows), now)

    touched: list[UUID] = []

    def done(case: _Case, ticket: Ticket | None, refused: list[Refusal]) -> None:
        report.tickets += case.ticket_id is None and ticket is not None
        report.applied += len(case.rows) - len(refused)
        report.refused += refused
        if ticket is not None and len(refused) < len(case.rows):
            touched.append(ticket.pk)
        progress(len(case.rows))

    for start in range(0, len(work), BATCH):
        batch = work[start : start + BATCH]
        # All at once: otherwise one connection would wait for the other's transaction, which holds the sequence.
        numbers = iter(opening.reserve_numbers(workspace.pk, sum(case.ticket_id is None for case in batch)))
        for case in batch:
            if case.ticket_id is None:
                case.number = next(numbers)
        try:
            _tell_cases(workspace, batch, agents, done)
        finally:
            # Also of a batch that broke off: what it committed stays, and the next run passes over it.
            if touched:
                subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=list(touched), now=now)
                touched.clear()
    subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=None, now=now)


def _agents(workspace: Workspace, resources: Iterable[str], now: dt.datetime) -> Agents:
    """The members that the log's resources stand for, made where they are missing, and each as an actor of the past."""
    agents: Agents = {}
    for resource in dict.fromkeys(resources):
        email = _address(resource)
        user = User.objects.filter(email=email).first() or User.objects.create_user(email, None, name=resource)
        member, _ = Membership.unscoped.get_or_create(
            workspace=workspace, user=user, defaults={"role": Role.AGENT.value, "created_at": now}
        )
        member.user = user
        agents[resource] = member, replace(base.agent(member), is_replay=True)
    return agents


def _tell_cases(workspace: Workspace, cases: list[_Case], agents: Agents, done: Done) -> None:
    """Tell each case in its own transaction; `done` hears of each that is committed, one at a time.

    Inside a transaction they are told in it, one after the other; otherwise by two connections at a
    time. A case that fails (not a row that is refused) is the end: the others in hand are finished.
    """
    crew.side_by_side(
        cases,
        lambda case: _tell_case(workspace, case, agents),
        lambda case, outcome: done(case, *outcome),
        # A crash may lose the last cases: running it again brings them, so nobody has to wait for the disk.
        setting="SET synchronous_commit = off",
    )


def _tell_case(workspace: Workspace, case: _Case, agents: Agents) -> tuple[Ticket | None, list[Refusal]]:
    """Tell one case in one transaction: its ticket, if it has one then, and the rows that were refused."""
    refused: list[Refusal] = []
    with transaction.atomic(), timeline.together(inform=False) as recorded:
        ticket = None
        for row in case.rows:
            so_far = len(recorded)
            try:
                if ticket is None and case.ticket_id:
                    ticket = base.lock(Ticket(pk=case.ticket_id, workspace=workspace))
                ticket = _tell(workspace, ticket, row, *agents[row.resource], number=case.number)
            except DomainError as error:
                del recorded[so_far:]
                refused.append(Refusal(row.line, row.case, row.activity, error.detail))
    return ticket, refused


def _tell(
    workspace: Workspace, ticket: Ticket | None, row: Row, member: Membership, actor: Actor, *, number: int | None
) -> Ticket:
    """Do what the row says, at its time; gives the ticket as it is then, which is opened with `number`.

    The ticket is locked by this transaction, or was made in it: one lock serves the whole case.
    Raises DomainError, and then nothing is written.
    """
    if ticket is None:
        if row.activity in (INSERT, ASSESS):
            return _begin(workspace, row, actor, number)
        with transaction.atomic():
            return _tell(workspace, _begin(workspace, row, actor, number), row, member, actor, number=None)
    if to := _MOVES.get(row.activity):
        status.move_locked(ticket, to, actor=actor, now=row.at)
        return ticket
    if row.activity == TAKE:
        if not member.user.is_active or not member.may(Permission.WORK):
            raise InvalidInput.of("resource", f"{member.user} cannot be given tickets.")
        waits = ticket.status != Status.OPEN.value
        if waits:
            status.move_locked(ticket, Status.OPEN.value, actor=actor, now=row.at)
        if assignment.assign_locked(ticket, member.user, actor=actor, now=row.at) or waits:
            return ticket
    elif row.activity == ASSESS and ticket.priority != _STEPS[-1]:
        higher = _STEPS[_STEPS.index(ticket.priority) + 1]
        return editing.update_ticket(ticket=ticket, changes={"priority": higher}, actor=actor, now=row.at)
    note = conversation.agent_reply(
        ticket=ticket, author=member, body=row.activity, internal=True, channel="import", actor=actor, now=row.at
    )
    noted: Ticket = note.ticket
    return noted


def _address(name: str) -> str:
    """The address in the import's own domain that stands for a case or a resource."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')[:60] or 'unknown'}@{DOMAIN}"


def _begin(workspace: Workspace, row: Row, actor: Actor, number: int | None) -> Ticket:
    return opening.open_ticket(
        workspace=workspace,
        subject=f"Case {row.case.removeprefix('Case')}",
        description=f"Imported from an event log. It begins with “{row.activity}” by {row.resource}.",
        requester_email=_address(row.case),
        requester_name=row.case,
        priority=_STEPS[1] if row.activity == ASSESS else _STEPS[0],
        channel="import",
        actor=actor,
        external_id=row.case,
        number=number,
        now=row.at,
    )
