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
{"do": "set_sla_policy", "policy_id": "…"}
{"do": "send_canned_response", "canned_response_id": "…"}          to the customer, in the workspace's name
{"do": "notify", "user_ids": ["…"], "team_ids": ["…"], "body": "…"}  by mail
{"do": "send_webhook", "url": "https://…"}                         what the ticket is now, as JSON
{"do": "escalate"}                                                 the priority a step up, and the team's lead is told
```
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from helpdesk import outbound
from helpdesk.accounts.models import Membership, User
from helpdesk.errors import InvalidInput, NotFound
from tickets.automation.levels import service_levels
from tickets.automation.models import Rule
from tickets.automation.services import effects, pool
from tickets.events import Actor
from tickets.lifecycle import ACTIVE, RANK, Priority, Status
from tickets.models import CannedResponse, Ticket
from tickets.services import base, conversation, editing, setup

MAX_ACTIONS = 20
MAX_TOLD = 50  # people, and teams, in one notice


@dataclass(frozen=True)
class Doing:
    """Who does it and when: a rule by itself, or a member who runs a macro."""

    actor: Actor
    now: dt.datetime
    rule: Rule | None = None
    member: Membership | None = None
    run_id: UUID | None = None  # of the log of a rule
    trigger: str = ""


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
    words = pool.WORDS[action["method"]]
    if ticket.assignee_id is not None:
        return "left with its agent"
    if ticket.status not in ACTIVE:
        return "left unassigned: it is not in work"
    chosen = pool.give(
        ticket,
        rule=doing.rule,
        run_id=doing.run_id,
        method=action["method"],
        team_id=team_id,
        actor=doing.actor,
        now=doing.now,
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


def _set_sla_policy(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    policy_id = UUID(action["policy_id"])
    name = service_levels().give_policy(ticket=ticket, policy_id=policy_id, actor=doing.actor, now=doing.now)
    return f"SLA policy {name}"


def _send_canned_response(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    response = _canned_response(ticket.workspace_id, UUID(action["canned_response_id"]), "canned_response_id")
    name = str(doing.member.user) if doing.member else str(ticket.assignee or ticket.workspace.name)
    body = setup.fill_canned_response(content=response.content, ticket=ticket, agent_name=name)
    if doing.member is None:
        conversation.automatic_reply(ticket=ticket, body=body, actor=doing.actor, now=doing.now)
    else:
        conversation.agent_reply(
            ticket=ticket, author=doing.member, body=body, internal=False, now=doing.now, actor=doing.actor
        )
    setup.use_canned_response(response=response)
    return f"sent {response.title}"


def _notify(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    workspace_id = ticket.workspace_id
    found = [_member(workspace_id, UUID(pk), "user_ids") for pk in action["user_ids"]]
    for pk in action["team_ids"]:
        base.find_team(workspace_id, UUID(pk), "team_ids")
    teams = Membership.objects.for_workspace(workspace_id).filter(is_active=True, teams__in=action["team_ids"])
    members = {member.pk: member for member in [*found, *teams.select_related("user")]}
    text = setup.fill_canned_response(content=action["body"], ticket=ticket, agent_name=str(ticket.assignee or ""))
    _tell(members.values(), ticket, doing, text)
    return f"told {', '.join(sorted(str(member.user) for member in members.values()))}" if members else "nobody to tell"


def _tell(members: Iterable[Membership], ticket: Ticket, doing: Doing, text: str) -> None:
    for member in members:
        if member.user.is_active:
            effects.queue_mail(
                ticket=ticket,
                to=member.user.email,
                subject=doing.actor.name,
                text=text,
                run_id=doing.run_id,
                now=doing.now,
            )


def _send_webhook(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    effects.queue_call(
        ticket=ticket, url=action["url"], payload=_snapshot(ticket, doing), run_id=doing.run_id, now=doing.now
    )
    return f"sent to {urlsplit(action['url']).hostname}"


def _snapshot(ticket: Ticket, doing: Doing) -> dict[str, Any]:
    """The ticket as a receiver gets it, in the frame that webhooks have."""
    return {
        "event": "automation.rule" if doing.rule else "automation.macro",
        "timestamp": doing.now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {
            "rule": {"id": str(doing.rule.pk), "name": doing.rule.name} if doing.rule else None,
            "trigger": doing.trigger or None,
            "ticket_id": str(ticket.pk),
            "ticket_number": f"#{ticket.number}",
            "subject": ticket.subject,
            "status": ticket.status,
            "priority": ticket.priority,
            "channel": ticket.channel,
            "category": str(ticket.category) if ticket.category else None,
            "team": str(ticket.team) if ticket.team else None,
            "assignee": str(ticket.assignee) if ticket.assignee else None,
            "tags": sorted(ticket.tags.values_list("name", flat=True)),
            "requester": {"email": ticket.requester_email, "name": ticket.requester_name},
            "created_at": ticket.created_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }


def _escalate(action: Mapping[str, Any], ticket: Ticket, doing: Doing) -> str:
    higher = [p for p, rank in RANK.items() if rank == RANK[Priority(ticket.priority)] - 1]
    if higher:
        _update(ticket, doing, priority=higher[0].value)
    done = f"escalated to {higher[0].value}" if higher else "urgent already"
    lead = ticket.team.lead if ticket.team else None
    if lead is None or not lead.is_active:
        return done
    _tell([lead], ticket, doing, f"{doing.actor.name}: this ticket needs your attention.")
    return f"{done}, {lead.user} was told"


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
    "set_sla_policy": _set_sla_policy,
    "send_canned_response": _send_canned_response,
    "notify": _notify,
    "send_webhook": _send_webhook,
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
    "set_sla_policy": ("policy_id",),
    "send_canned_response": ("canned_response_id",),
    "notify": ("user_ids", "team_ids", "body"),
    "send_webhook": ("url",),
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
    cleaned = {name: checks[name](workspace_id, action.get(name), f"{place}.{name}") for name in needs}
    if what == "notify" and not cleaned["user_ids"] and not cleaned["team_ids"]:
        raise InvalidInput.of(f"{place}.user_ids", "Name at least one agent or team.")
    return {"do": what, **cleaned}


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


def _policy_id(workspace_id: UUID, value: Any, place: str) -> str:
    policy_id = _id(value, place)
    if policy_id not in dict(service_levels().policies(workspace_id)):
        raise NotFound("There is no such SLA policy.", errors={place: ["There is no such SLA policy."]})
    return str(policy_id)


def _canned_response(workspace_id: UUID, response_id: UUID, place: str) -> CannedResponse:
    found: CannedResponse | None = CannedResponse.objects.for_workspace(workspace_id).filter(pk=response_id).first()
    if found is None:
        text = "There is no such canned response."
        raise NotFound(text, errors={place: [text]})
    return found


def _canned_response_id(workspace_id: UUID, value: Any, place: str) -> str:
    return str(_canned_response(workspace_id, _id(value, place), place).pk)


def _each(check: Callable[[UUID, Any, str], str]) -> Callable[[UUID, Any, str], list[str]]:
    """A list, each of it checked; nothing is an empty one."""

    def checked(workspace_id: UUID, value: Any, place: str) -> list[str]:
        if value is not None and (not isinstance(value, list) or len(value) > MAX_TOLD):
            raise InvalidInput.of(place, f"This must be a list of up to {MAX_TOLD} ids.")
        return list(dict.fromkeys(check(workspace_id, one, f"{place}.{n}") for n, one in enumerate(value or [])))

    return checked


def _url(workspace_id: UUID, value: Any, place: str) -> str:
    url = base.text(place, value, longest=outbound.MAX_URL, one_line=True)
    try:
        outbound.check_url(url)
    except outbound.Refused as error:
        raise InvalidInput.of(place, str(error)) from None
    return url


_CHECKS: dict[str, Callable[[UUID, Any, str], Any]] = {
    "user_id": _user_id,
    "team_id": _team_id,
    "category_id": _category_id,
    "tags": _tags,
    "policy_id": _policy_id,
    "canned_response_id": _canned_response_id,
    "user_ids": _each(_user_id),
    "team_ids": _each(_team_id),
    "url": _url,
    "method": lambda _workspace, value, place: base.choice(place, value, pool.METHODS),
    "priority": lambda _workspace, value, place: base.choice(place, value, [p.value for p in Priority]),
    "status": lambda _workspace, value, place: base.choice(place, value, [s.value for s in Status]),
    "body": lambda _workspace, value, place: base.text(place, value, longest=10_000),
}

_CHECKS_OF: dict[str, dict[str, Callable[[UUID, Any, str], Any]]] = {
    "assign": {"user_id": _assignee_id, "team_id": _team_or_everybody}
}
