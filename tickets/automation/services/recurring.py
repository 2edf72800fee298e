"""Tickets that open by themselves on a schedule: kept by admins, opened when their time has come, each time once."""

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower

from helpdesk.accounts.models import Workspace
from helpdesk.errors import Conflict, DomainError, InvalidInput, NotFound
from tickets import markup
from tickets.automation import schedule as schedules
from tickets.automation.models import RecurringRun, RecurringTicket
from tickets.automation.schedule import Schedule, ScheduleError
from tickets.events import Actor, ActorKind
from tickets.lifecycle import Priority
from tickets.models import Ticket
from tickets.services import base, opening

logger = logging.getLogger(__name__)

MAX_RECURRING = 200
MAX_TAGS = 20
CHANNEL = "schedule"
FIELDS = (
    "name",
    "schedule",
    "subject",
    "description",
    "requester_email",
    "requester_name",
    "priority",
    "category_id",
    "team_id",
    "assignee_id",
    "tags",
    "is_active",
)
_NEW: dict[str, Any] = {"name": "", "schedule": {}, "subject": "", "description": "", "requester_email": ""}

CHANGED = "Left out: the schedule was changed before it was opened."
PAUSED = "Left out: it was paused before it was opened."
MISSED = "Missed: several were due at once, and only the newest was opened."


def _long(path: str) -> list[str]:
    """The long texts of a ticket, which no list shows."""
    return [f"{path}__{name}" for name in ("description", "description_html")]


# --- Keeping ----------------------------------------------------------------------------------


def recurring_tickets(workspace_id: UUID) -> "QuerySet[RecurringTicket]":
    """The recurring tickets of a workspace by their names, with what they name."""
    rows: QuerySet[RecurringTicket] = RecurringTicket.objects.for_workspace(workspace_id).filter(archived_at=None)
    rows = rows.select_related("category", "team", "assignee", "last_ticket").defer(*_long("last_ticket"))
    return rows.order_by(Lower("name"), "pk")


def find_recurring(workspace_id: UUID, recurring_id: UUID) -> RecurringTicket:
    """A recurring ticket of the workspace. Raises NotFound, also for a foreign id and a deleted one."""
    found = recurring_tickets(workspace_id).filter(pk=recurring_id).first()
    if found is None:
        text = "There is no such recurring ticket."
        raise NotFound(text, errors={"id": [text]})
    return found


def runs_of(recurring: RecurringTicket) -> "QuerySet[RecurringRun]":
    """What became of its occurrences, the newest first."""
    rows: QuerySet[RecurringRun] = RecurringRun.objects.for_workspace(recurring.workspace_id).filter(
        recurring=recurring
    )
    return rows.select_related("ticket").defer(*_long("ticket")).order_by("-occurrence_at")


def words_of(recurring: RecurringTicket) -> str:
    """Its schedule in words; says so where it cannot be read."""
    try:
        return schedules.in_words(schedules.read(recurring.schedule))
    except ScheduleError:
        return "a schedule that cannot be read"


@transaction.atomic
def save_recurring(
    *, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, recurring: RecurringTicket | None = None
) -> RecurringTicket:
    """Make a recurring ticket, or change the given fields of one (see `FIELDS`).

    A schedule is whole; its timezone is the workspace's and its first day is today unless it says so. One that
    is changed, paused or resumed counts from `now`: what was due and is not opened yet is left out, and the log
    says so. Texts may hold {{date}}, {{week}}, {{month}} and {{year}}, which are replaced literally.

    Raises InvalidInput naming every field that is wrong, NotFound for a category, team or agent that is not of
    the workspace, Conflict beyond 200 recurring tickets.
    """
    if unknown := sorted(set(changes) - set(FIELDS)):
        raise InvalidInput.of_all({name: ["There is no such field."] for name in unknown})
    is_new = recurring is None
    row = _new(workspace, now) if recurring is None else _lock(workspace.pk, recurring.pk)
    row.workspace = workspace
    old_schedule, was_active = row.schedule, row.is_active
    given = {**_NEW, **changes} if is_new else changes
    errors: dict[str, list[str]] = {}
    for name in FIELDS:
        if name in given:
            try:
                _SET[name](row, given[name], now)
            except InvalidInput as error:
                errors |= error.errors
    is_changed = is_new or row.schedule != old_schedule
    if errors:
        raise InvalidInput.of_all(errors)
    if is_changed or row.is_active != was_active:
        coming = schedules.next_after(_stored(row), now) if is_changed or row.is_active else None
        if is_changed and coming is None:
            raise InvalidInput.of("schedule.ends_on", "It would never happen: it ends before its next time.")
        if not is_new:
            _leave_out(row, old_schedule, PAUSED if not row.is_active else CHANGED, now)
        row.next_at = coming if row.is_active else None
    row.notice = _notice(_gone(row))
    row.updated_at = now
    try:
        with transaction.atomic():
            row.save(force_insert=is_new)
    except IntegrityError:
        raise InvalidInput.of("name", "There is a recurring ticket with this name already.") from None
    return row


@transaction.atomic
def delete_recurring(*, recurring: RecurringTicket, now: dt.datetime) -> None:
    """Archive a recurring ticket: it opens no more tickets, those that it opened stay. Raises NotFound."""
    row = _lock(recurring.workspace_id, recurring.pk)
    row.archived_at, row.is_active, row.next_at = now, False, None
    row.save(update_fields=["archived_at", "is_active", "next_at"])


def read_schedule(workspace: Workspace, document: Any, now: dt.datetime) -> Schedule:
    """A schedule as people give it, with what goes without saying. Raises InvalidInput naming `schedule.<field>`."""
    if isinstance(document, Mapping):
        document = {"timezone": workspace.timezone, **document}
        zone = document["timezone"]
        if "starts_on" not in document and isinstance(zone, str) and zone in schedules.timezones():
            document["starts_on"] = schedules.today(zone, now).isoformat()
    try:
        return schedules.read(document)
    except ScheduleError as error:
        places = {f"schedule.{name}".rstrip("."): texts for name, texts in error.errors.items()}
        raise InvalidInput.of_all(places) from None


def _new(workspace: Workspace, now: dt.datetime) -> RecurringTicket:
    # One at a time, so that the number holds. No key: rows that name the workspace are still written.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    if RecurringTicket.objects.for_workspace(workspace).filter(archived_at=None).count() >= MAX_RECURRING:
        raise Conflict(f"A workspace can have up to {MAX_RECURRING} recurring tickets.", code="too_many")
    return RecurringTicket(workspace=workspace, created_at=now)


def _lock(workspace_id: UUID, recurring_id: UUID) -> RecurringTicket:
    """A row as it stands now, locked until the transaction ends. Raises NotFound where it was deleted."""
    RecurringTicket.objects.for_workspace(workspace_id).select_for_update().filter(pk=recurring_id).first()
    return find_recurring(workspace_id, recurring_id)


def _set_text(name: str, **limits: Any) -> Callable[[RecurringTicket, Any, dt.datetime], None]:
    """Sets a text; one that has variables in it must also fit when they are filled in."""

    def set_text(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
        text = base.text(name, value, **limits)
        longest = len(markup.fill(text, schedules.longest_variables()))
        if longest > limits["longest"]:
            raise InvalidInput.of(
                name, f"This can become too long: {longest} characters, {limits['longest']} are possible."
            )
        setattr(row, name, text)

    return set_text


def _set_name(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    row.name = base.text("name", value, longest=80, one_line=True)


def _set_schedule(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    row.schedule = read_schedule(row.workspace, value, now).document()


def _set_email(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    row.requester_email = base.email_address("requester_email", value)


def _set_requester_name(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    row.requester_name = base.text("requester_name", value, longest=base.NAME_LENGTH, required=False, one_line=True)


def _set_priority(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    row.priority = base.choice("priority", value, [p.value for p in Priority])


def _set_category(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    if value != row.category_id:  # one that was archived meanwhile may stay
        row.category = base.find_category(row.workspace_id, value)


def _set_team(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    row.team = base.find_team(row.workspace_id, value)
    row.team_name = row.team.name if row.team else ""


def _set_assignee(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    if value != row.assignee_id:
        row.assignee = base.find_assignee(row.workspace_id, value).user if value else None


def _set_tags(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    if not isinstance(value, list | tuple) or len(value) > MAX_TAGS:
        raise InvalidInput.of("tags", f"This must be a list of up to {MAX_TAGS} words.")
    row.tags = list(dict.fromkeys(base.text("tags", name, longest=40, one_line=True).lower() for name in value))


def _set_active(row: RecurringTicket, value: Any, now: dt.datetime) -> None:
    if not isinstance(value, bool):
        raise InvalidInput.of("is_active", "This must be true or false.")
    row.is_active = value


_SET: dict[str, Callable[[RecurringTicket, Any, dt.datetime], None]] = {
    "name": _set_name,
    "schedule": _set_schedule,
    "subject": _set_text("subject", longest=base.SUBJECT_LENGTH, one_line=True),
    "description": _set_text("description", longest=base.TEXT_LENGTH),
    "requester_email": _set_email,
    "requester_name": _set_requester_name,
    "priority": _set_priority,
    "category_id": _set_category,
    "team_id": _set_team,
    "assignee_id": _set_assignee,
    "tags": _set_tags,
    "is_active": _set_active,
}


def _gone(row: RecurringTicket) -> dict[str, str]:
    """What it names that a ticket can no longer have: the field, and what it was, in words."""
    gone = {}
    if row.category is not None and row.category.archived_at is not None:
        gone["category_id"] = f"the category “{row.category.name}”, which was deleted"
    if row.team_name and row.team_id is None:
        gone["team_id"] = f"the team “{row.team_name}”, which was deleted"
    if row.assignee_id is not None and not _may_be_given(row.workspace_id, row.assignee_id):
        gone["assignee_id"] = f"the assignee {row.assignee}, who can no longer be given tickets"
    return gone


def _may_be_given(workspace_id: UUID, user_id: UUID) -> bool:
    try:
        base.find_assignee(workspace_id, user_id)
    except DomainError:
        return False
    return True


def _notice(gone: Mapping[str, str]) -> str:
    return f"Opened without {', and without '.join(gone.values())}." if gone else ""


def _stored(row: RecurringTicket) -> Schedule:
    try:
        return schedules.read(row.schedule)
    except ScheduleError:  # written for another version
        raise InvalidInput.of("schedule", "It cannot be read. Please set it again.") from None


def _leave_out(row: RecurringTicket, document: Any, why: str, now: dt.datetime) -> None:
    """Log what is due and will not be opened, by the schedule that held so far."""
    if row.next_at is not None and row.next_at <= now:
        due = [row.next_at]
        with contextlib.suppress(ScheduleError):
            due += schedules.between(schedules.read(document), row.next_at, now)
        _log_skipped(row, due, why, now)


def _log_skipped(row: RecurringTicket, occurrences: Sequence[dt.datetime], why: str, now: dt.datetime) -> None:
    skipped = [
        RecurringRun(
            workspace_id=row.workspace_id, recurring=row, occurrence_at=at, is_opened=False, text=why, ran_at=now
        )
        for at in occurrences
    ]
    RecurringRun.unscoped.bulk_create(skipped, ignore_conflicts=True)


# --- Opening ----------------------------------------------------------------------------------


def open_due(*, now: dt.datetime, limit: int = 1000) -> int:
    """Open the tickets whose time has come at `now` (aware UTC), of `limit` recurring ones at most; gives how many.

    Each is one transaction: the ticket, the row that says so, and the next time. So an occurrence opens one ticket,
    however many do this at once, and also where one of them is killed. Where several occurrences were missed, the
    newest opens a ticket, and the log names the others. One that fails keeps no other from being opened; it is tried
    again the next time.
    """
    opened, passed = 0, list[UUID]()
    for _ in range(limit):
        with transaction.atomic():
            row = _claim(now, passed)
            if row is None:
                break
            is_opened = False
            try:
                with transaction.atomic():
                    is_opened = _open(row, now)
            except OperationalError:
                raise
            except Exception:
                logger.exception("The recurring ticket %s could not be opened.", row.pk)
            opened += is_opened
            if not is_opened:
                passed.append(row.pk)
    return opened


def _claim(now: dt.datetime, passed: Sequence[UUID]) -> RecurringTicket | None:
    """The one that has been due for longest and that nobody else is at, locked."""
    due = RecurringTicket.unscoped.filter(is_active=True, archived_at=None, next_at__lte=now).exclude(pk__in=passed)
    due = due.select_related("workspace", "category", "assignee").order_by("next_at", "pk")
    return due.select_for_update(skip_locked=True, of=("self",)).first()


def _open(row: RecurringTicket, now: dt.datetime) -> bool:
    """Open the newest occurrence of a (locked) row that is due, and go on to the next; whether there is a ticket."""
    try:
        schedule = schedules.read(row.schedule)
    except ScheduleError as error:  # written for another version
        row.is_active, row.next_at, row.notice = False, None, f"Switched off: its schedule cannot be read. {error}"
        row.save(update_fields=["is_active", "next_at", "notice"])
        return False
    since = row.next_at or now  # it is due: it has one
    *missed, occurrence = [since, *schedules.between(schedule, since, now)]
    _log_skipped(row, missed, MISSED, now)
    if _is_done(row, occurrence):  # a clock was put back
        row.next_at = schedules.next_after(schedule, now)
        row.save(update_fields=["next_at"])
        return False
    gone = _gone(row)
    run = RecurringRun(
        workspace_id=row.workspace_id, recurring=row, occurrence_at=occurrence, text=_notice(gone), ran_at=now
    )
    try:
        with transaction.atomic():
            run.ticket = _ticket(row, schedule, occurrence, gone, now)
    except DomainError as error:
        if _gone(find_recurring(row.workspace_id, row.pk)) != gone:
            return False  # it lost something in this very moment: the next time it is opened without
        run.text = f"Not opened: {error.detail}"
    run.is_opened = run.ticket is not None
    run.save(force_insert=True)
    row.notice, row.next_at = run.text, schedules.next_after(schedule, now)
    if run.is_opened:
        row.last_at, row.last_ticket = occurrence, run.ticket
    row.save(update_fields=["last_at", "last_ticket", "notice", "next_at"])
    return run.is_opened


def _is_done(row: RecurringTicket, occurrence: dt.datetime) -> bool:
    runs = RecurringRun.objects.for_workspace(row.workspace_id).filter(recurring=row, occurrence_at=occurrence)
    return bool(runs.exists())


def _ticket(
    row: RecurringTicket, schedule: Schedule, occurrence: dt.datetime, gone: Mapping[str, str], now: dt.datetime
) -> Ticket:
    said = schedules.variables(schedule, occurrence)
    named = {name: getattr(row, name) for name in ("category_id", "team_id", "assignee_id") if name not in gone}
    return opening.open_ticket(
        workspace=row.workspace,
        subject=markup.fill(row.subject, said),
        description=markup.fill(row.description, said),
        requester_email=row.requester_email,
        requester_name=row.requester_name,
        channel=CHANNEL,
        actor=Actor(ActorKind.AUTOMATION, row.name),
        now=now,
        priority=row.priority,
        tags=row.tags,
        **named,
    )
