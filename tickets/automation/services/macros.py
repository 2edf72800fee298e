"""Macros: making them, and running them by hand on one ticket or on many."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.roles import Permission
from helpdesk.errors import Conflict, DomainError, InvalidInput, NotAllowed, NotFound
from tickets.automation.models import Macro
from tickets.automation.services import actions, wording
from tickets.automation.services.actions import Doing
from tickets.models import Ticket
from tickets.services import base

FIELDS = ("name", "description", "actions", "is_active")
MAX_MACROS = 200
MAX_TICKETS = 100  # that one macro is run on at once

# --- Making -----------------------------------------------------------------------------------


def find_macro(workspace_id: UUID, macro_id: UUID) -> Macro:
    """A macro of the workspace. Raises NotFound, also for a foreign id and an archived one."""
    found: Macro | None = Macro.objects.for_workspace(workspace_id).filter(pk=macro_id, archived_at=None).first()
    if found is None:
        raise NotFound("There is no such macro.", errors={"id": ["There is no such macro."]})
    return found


def macros(workspace_id: UUID) -> list[Macro]:
    """The macros of a workspace in their order."""
    rows = Macro.objects.for_workspace(workspace_id).filter(archived_at=None)
    return list(rows.order_by("position", "created_at", "pk"))


@dataclass(frozen=True)
class Offered:
    """A macro that can be run, and what it will do in words."""

    macro: Macro
    words: list[str]


def offered(workspace_id: UUID) -> list[Offered]:
    """The macros that can be run, in their order, each with what it will do. Five queries at most."""
    active = [macro for macro in macros(workspace_id) if macro.is_active]
    said = wording.in_words(workspace_id, [macro.actions for macro in active])
    return [Offered(macro, words) for macro, words in zip(active, said, strict=True)]


@transaction.atomic
def save_macro(
    *, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, macro: Macro | None = None
) -> Macro:
    """Make a macro, or change the given fields: name, description, actions, is_active, position.

    `position` is its place from 1; the others make room. Raises InvalidInput naming every place that
    is wrong, NotFound for what an action names and is not there, Conflict beyond 200 macros.
    """
    if unknown := sorted(set(changes) - {*FIELDS, "position"}):
        raise InvalidInput("There is no such field.", errors={name: ["There is no such field."] for name in unknown})
    # One order of macros, whoever saves meanwhile; rows that name the workspace are still written.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    others = [other for other in macros(workspace.pk) if macro is None or other.pk != macro.pk]
    if macro is None:
        if len(others) >= MAX_MACROS:
            raise Conflict(f"A workspace can have up to {MAX_MACROS} macros.", code="too_many")
        macro = Macro(workspace=workspace, position=len(others) + 1, created_at=now)
        changes = {"name": "", "actions": [], **changes}
    else:
        macro = find_macro(workspace.pk, macro.pk)
    errors: dict[str, list[str]] = {}
    for name in FIELDS:
        if name in changes:
            try:
                setattr(macro, name, _clean(workspace.pk, name, changes[name]))
            except InvalidInput as error:
                errors |= error.errors
    place = changes.get("position", macro.position)
    if isinstance(place, bool) or not isinstance(place, int) or not 1 <= place <= 10_000:
        errors["position"] = ["This must be a whole number from 1."]
    if errors:
        raise InvalidInput.of_all(errors)
    macro.updated_at = now
    try:
        with transaction.atomic():
            # Not what running it writes: somebody may run it now.
            macro.save(update_fields=None if macro._state.adding else [*FIELDS, "updated_at"])
    except IntegrityError:
        raise InvalidInput.of("name", "There is a macro with this name already.") from None
    _order([*others[: place - 1], macro, *others[place - 1 :]])
    return macro


def _clean(workspace_id: UUID, name: str, value: Any) -> Any:
    if name == "name":
        return base.text("name", value, longest=80, one_line=True)
    if name == "description":
        return base.text("description", value, longest=200, required=False, one_line=True)
    if name == "actions":
        return actions.clean(workspace_id, value)
    if not isinstance(value, bool):
        raise InvalidInput.of(name, "This must be true or false.")
    return value


def _order(wanted: Sequence[Macro]) -> None:
    moved = []
    for number, macro in enumerate(wanted, start=1):
        if macro.position != number:
            macro.position = number
            moved.append(macro)
    Macro.unscoped.bulk_update(moved, ["position"])


@transaction.atomic
def delete_macro(*, macro: Macro, now: dt.datetime) -> None:
    """Archive a macro: it can no longer be run. Raises NotFound when it was archived before."""
    fresh = find_macro(macro.workspace_id, macro.pk)
    fresh.archived_at, fresh.is_active = now, False
    fresh.save(update_fields=["archived_at", "is_active"])


# --- Running ----------------------------------------------------------------------------------


class Refused(DomainError):
    """An action of a macro was refused: which one and why; `status` and `code` are those of the cause."""

    def __init__(self, action: Mapping[str, Any], number: int, cause: DomainError) -> None:
        detail = f"{wording.title(action)}: {cause.detail}"
        super().__init__(detail, code=cause.code, errors={f"actions.{number}": [detail]})
        self.status = cause.status


@dataclass(frozen=True)
class Result:
    """What became of one ticket: what was done in words, or why nothing was."""

    ticket_id: UUID
    ticket_number: str  # empty where there is no such ticket
    done: list[str] = field(default_factory=list)
    refused: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the macro was run on it."""
        return not self.refused


@transaction.atomic
def run_macro(*, macro: Macro, ticket: Ticket, member: Membership, now: dt.datetime) -> list[str]:
    """Do all actions of a macro to a ticket as this member, or none; gives what was done, in words.

    Raises NotAllowed for a role that may not work on tickets, Conflict for a macro that is switched
    off, Refused naming the action that the ticket does not permit or that names what is gone, and what
    `base.lock` raises.
    """
    _may_run(macro, member)
    done = _run(macro, ticket, member, now)
    _count(macro, 1, now)
    return done


def run_on_many(
    *, macro: Macro, ticket_ids: Sequence[UUID], member: Membership, now: dt.datetime, together: bool = False
) -> list[Result]:
    """Run a macro on up to 100 tickets, each in a transaction of its own; gives what became of each, in this order.

    One that is refused does not keep the others from being done; an id that is no ticket of the
    workspace is refused, too. `together` is for a caller that keeps all of it in one transaction.

    Raises InvalidInput naming `ticket_ids` for none and for too many, NotAllowed and Conflict as `run_macro`.
    """
    wanted = list(dict.fromkeys(ticket_ids))
    if not 1 <= len(wanted) <= MAX_TICKETS:
        raise InvalidInput.of("ticket_ids", f"Name 1 to {MAX_TICKETS} tickets.")
    _may_run(macro, member)
    rows = Ticket.objects.for_workspace(macro.workspace_id).live().filter(pk__in=wanted)
    if together:
        # Held until the end: in one order for everybody, and before anything else that others may wait for.
        rows = rows.select_for_update().order_by("pk")
    found = {ticket.pk: ticket for ticket in rows}
    results = [_result(macro, pk, found.get(pk), member, now) for pk in wanted]
    if times := sum(result.is_done for result in results):
        _count(macro, times, now)
    return results


def _result(macro: Macro, pk: UUID, ticket: Ticket | None, member: Membership, now: dt.datetime) -> Result:
    if ticket is None:
        return Result(pk, "", refused="There is no such ticket.")
    try:
        with transaction.atomic():
            return Result(pk, ticket.ticket_number, _run(macro, ticket, member, now))
    except DomainError as error:
        return Result(pk, ticket.ticket_number, refused=error.detail)


def _may_run(macro: Macro, member: Membership) -> None:
    if member.workspace_id != macro.workspace_id:
        raise NotFound("There is no such macro.", errors={"id": ["There is no such macro."]})
    if not member.may(Permission.WORK):
        raise NotAllowed("Your role may not run macros.")
    if not macro.is_active:
        raise Conflict(f"The macro “{macro}” is switched off.", code="switched_off")


def _run(macro: Macro, ticket: Ticket, member: Membership, now: dt.datetime) -> list[str]:
    """Each action sees what the one before it did. The caller has begun a transaction."""
    if ticket.workspace_id != macro.workspace_id:
        raise NotFound("There is no such ticket.", errors={"id": ["There is no such ticket."]})
    doing = Doing(base.agent(member), now, member=member)
    fresh = base.lock(ticket)
    done = []
    for number, action in enumerate(macro.actions):
        try:
            done.append(actions.perform(action, base.lock(fresh) if number else fresh, doing))
        except DomainError as error:
            raise Refused(action, number, error) from error
    return done


def _count(macro: Macro, times: int, now: dt.datetime) -> None:
    """Remember that it was used. Last of all: who runs the same macro meanwhile waits for this row."""
    rows = Macro.objects.for_workspace(macro.workspace_id).filter(pk=macro.pk)
    rows.update(usage_count=F("usage_count") + times, last_used_at=now)
