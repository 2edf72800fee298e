"""… then do: what rules can do to a ticket, as data. Each action is one call of the tickets' own services.

```
{"do": "assign", "user_id": "…"}                                   to one agent
{"do": "assign", "method": "least_busy", "team_id": "…"}           or round_robin; team_id may be null: everybody
{"do": "set_team", "team_id": "…"}
{"do": "set_priority", "priority": "urgent"}
{"do": "set_status", "status": "pending"}
{"do": "set_category", "category_id": "…"}
{"do": "add_tags", "tags": ["vip"]}     {"do": "remove_tags", "tags": ["vip"]}
{"do": "add_note", "body": "Call them."}
{"do": "add_watcher", "user_id": "…"}
{"do": "escalate"}                                                 the priority a step up
```
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from helpdesk.accounts.models import Membership, User
from helpdesk.errors import InvalidInput, NotFound
from tickets.automation.models import Rule
from tickets.automation.services import pool
from tickets.events import Actor
from tickets.lifecycle import RANK, Priority, Status
from tickets.models import Ticket
from tickets.services import base, conversation, editing

MAX_ACTIONS = 20


@dataclass(frozen=True)
class Doing:
    """Who does it and when: a rule by itself, or a member who runs a macro."""

    actor: Actor
    now: dt.datetime
    rule: Rule | None = None
    member: Membership | None = None


# --- Doing ------------------------------------------------------------------------------------


def perform(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    """Do one action to a (locked) ticket; gives what was done, in words.

    Raises DomainError where the ticket does not permit it, NotFound where what it names is gone.
    """
    return _DO[action["do"]](action, ticket, doing)


def _update(ticket: Ticket, doing: Doing, **changes: Any) -> None:
    editing.update_ticket(ticket=ticket, changes=changes, actor=doing.actor, now=doing.now)


def _assign(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    if "user_id" in action:
        user_id = UUID(action["user_id"])
        user = _worker(ticket.workspace_id, user_id, "assignee_id").user
        _update(ticket, doing, assignee_id=user_id)
        return f"assigned to {user}"
    team_id = UUID(action["team_id"]) if action.get("team_id") else None
    team = base.find_team(ticket.workspace_id, team_id)
    whom = f"of team {team}" if team else "of everybody"
    words = {pool.LEAST_BUSY: "the least busy", pool.ROUND_ROBIN: "the next"}[action["method"]]
    if ticket.assignee_id is not None:
        return "left with its agent"
    chosen = pool.give(
        ticket, rule=doing.rule, method=action["method"], team_id=team_id, actor=doing.actor, now=doing.now
    )
    if chosen is None:
        return f"waits: nobody {whom} is free"
    return f"assigned to {User.objects.get(pk=chosen)}, {words} {whom}"


def _set_team(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    team = base.find_team(ticket.workspace_id, UUID(action["team_id"]))
    _update(ticket, doing, team_id=UUID(action["team_id"]))
    return f"given to team {team}"


def _set_priority(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    _update(ticket, doing, priority=action["priority"])
    return f"priority {action['priority']}"


def _set_status(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    _update(ticket, doing, status=action["status"])
    return f"status {action['status']}"


def _set_category(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    category = base.find_category(ticket.workspace_id, UUID(action["category_id"]))
    _update(ticket, doing, category_id=UUID(action["category_id"]))
    return f"category {category}"


def _add_tags(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    names = set(ticket.tags.values_list("name", flat=True)) | set(action["tags"])
    _update(ticket, doing, tags=sorted(names))
    return f"tags {', '.join(action['tags'])}"


def _remove_tags(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    names = set(ticket.tags.values_list("name", flat=True)) - set(action["tags"])
    _update(ticket, doing, tags=sorted(names))
    return f"without the tags {', '.join(action['tags'])}"


def _add_note(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    if doing.member is None:
        conversation.system_note(ticket=ticket, body=action["body"], actor=doing.actor, now=doing.now)
    else:
        conversation.agent_reply(
            ticket=ticket, author=doing.member, body=action["body"], internal=True, now=doing.now, actor=doing.actor
        )
    return "note added"


def _add_watcher(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    member = _member(ticket.workspace_id, UUID(action["user_id"]), "user_id")
    editing.watch(ticket=ticket, member=member, watching=True, now=doing.now)
    return f"watched by {member.user}"


def _escalate(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    higher = [p for p, rank in RANK.items() if rank == RANK[Priority(ticket.priority)] - 1]
    if not higher:
        return "urgent already"
    _update(ticket, doing, priority=higher[0].value)
    return f"escalated to {higher[0].value}"


_DO: dict[str, Callable[[Mapping[str, Any], Ticket, Doing], str]] = {
    "assign": _assign,
    "set_team": _set_team,
    "set_priority": _set_priority,
    "set_status": _set_status,
    "set_category": _set_category,
    "add_tags": _add_tags,
    "remove_tags": _remove_tags,
    "add_note": _add_note,
    "add_watcher": _add_watcher,
    "escalate": _escalate,
}
ACTIONS = tuple(_DO)

# --- Checking ---------------------------------------------------------------------------------

# The words that an action needs; those of `assign` depend on each other.
_NEEDS: dict[str, tuple[str, ...]] = {
    "set_team": ("team_id",),
    "set_priority": ("priority",),
    "set_status": ("status",),
    "set_category": ("category_id",),
    "add_tags": ("tags",),
    "remove_tags": ("tags",),
    "add_note": ("body",),
    "add_watcher": ("user_id",),
    "escalate": (),
}


def clean(workspace_id: UUID, given: Any) -> list[dict[str, Any]]:
    """Actions as they are kept, each checked and everything it names found.

    Raises InvalidInput naming each place that is wrong (`actions.0.priority`), NotFound for foreign ids.
    """
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_ACTIONS:
        raise InvalidInput.of("actions", f"This must be a list of 1 to {MAX_ACTIONS} actions.")
    errors: dict[str, list[str]] = {}
    cleaned = []
    for number, action in enumerate(given):
        try:
            cleaned.append(_clean_one(workspace_id, action, f"actions.{number}"))
        except InvalidInput as error:
            errors |= error.errors
    if errors:
        raise InvalidInput.of_all(errors)
    return cleaned


def _clean_one(workspace_id: UUID, action: Any, place: str) -> dict[str, Any]:
    if not isinstance(action, Mapping) or not isinstance(action.get("do"), str) or action["do"] not in _DO:
        raise InvalidInput.of(f"{place}.do", f"This must be one of: {', '.join(_DO)}.")
    what = str(action["do"])
    needs = _NEEDS[what] if what != "assign" else ("user_id",) if "user_id" in action else ("method", "team_id")
    if unknown := sorted(set(map(str, action)) - {"do", *needs}):
        raise InvalidInput.of(f"{place}.{unknown[0][:40]}", "There is no such word for this action.")
    checks = _CHECKS | _CHECKS_OF.get(what, {})
    return {"do": what, **{name: checks[name](workspace_id, action.get(name), f"{place}.{name}") for name in needs}}


def _id(value: Any, place: str) -> UUID:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise InvalidInput.of(place, "This must be an id.") from None


def _member(workspace_id: UUID, user_id: UUID, place: str) -> Membership:
    rows = Membership.objects.for_workspace(workspace_id).filter(is_active=True).select_related("user")
    member: Membership | None = rows.filter(user_id=user_id).first()
    if member is None:
        raise NotFound("There is no such agent.", errors={place: ["There is no such agent."]})
    return member


def _user_id(workspace_id: UUID, value: Any, place: str) -> str:
    return str(_member(workspace_id, _id(value, place), place).user_id)


def _worker(workspace_id: UUID, user_id: UUID, place: str) -> Membership:
    """A member who can be given tickets. One who left, or only reads now, is gone for a rule: NotFound."""
    try:
        return base.find_assignee(workspace_id, user_id, place)
    except InvalidInput as error:
        raise NotFound(error.detail, errors=error.errors) from None


def _assignee_id(workspace_id: UUID, value: Any, place: str) -> str:
    return str(base.find_assignee(workspace_id, _id(value, place), place).user_id)


def _team_id(workspace_id: UUID, value: Any, place: str) -> str:
    team_id = _id(value, place)
    base.find_team(workspace_id, team_id, place)
    return str(team_id)


def _team_or_everybody(workspace_id: UUID, value: Any, place: str) -> str | None:
    return None if value is None else _team_id(workspace_id, value, place)


def _category_id(workspace_id: UUID, value: Any, place: str) -> str:
    category_id = _id(value, place)
    base.find_category(workspace_id, category_id, place)
    return str(category_id)


def _tags(workspace_id: UUID, value: Any, place: str) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= 20:
        raise InvalidInput.of(place, "This must be a list of 1 to 20 words.")
    return list(dict.fromkeys(base.text(place, name, longest=40, one_line=True).lower() for name in value))


_CHECKS: dict[str, Callable[[UUID, Any, str], Any]] = {
    "user_id": _user_id,
    "team_id": _team_id,
    "category_id": _category_id,
    "tags": _tags,
    "method": lambda _workspace, value, place: base.choice(place, value, pool.METHODS),
    "priority": lambda _workspace, value, place: base.choice(place, value, [p.value for p in Priority]),
    "status": lambda _workspace, value, place: base.choice(place, value, [s.value for s in Status]),
    "body": lambda _workspace, value, place: base.text(place, value, longest=10_000),
}

_CHECKS_OF: dict[str, dict[str, Callable[[UUID, Any, str], Any]]] = {
    "assign": {"user_id": _assignee_id, "team_id": _team_or_everybody}
}
