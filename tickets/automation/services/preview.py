"""What a rule would have done to a ticket as it was, in words: one function for each action of `actions`.

Each changes the ticket it is given, which is a copy: the next action sees what the one before it
would have done. Who would have been free cannot be told for the past. What an action names is looked
up today; where it is gone, the rule would be switched off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from tickets.automation.services.names import Names
from tickets.automation.services.rewind import Ticket
from tickets.automation.services.wording import METHODS, quoted
from tickets.lifecycle import ACTIVE, RANK, IllegalMove, Priority, Status, move

Action = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What one action would have done; not `is_change` where it would have left everything as it was."""

    action: str
    text: str
    is_change: bool = True

    def document(self) -> dict[str, Any]:
        """As a row keeps it."""
        return {"action": self.action, "text": self.text, "is_change": self.is_change}


class _Nothing(Exception):
    """The action would have changed nothing; says why."""


def preview(actions: Sequence[Action], ticket: Ticket, names: Names) -> list[Change]:
    """What these actions would have done to the ticket, one after the other. The ticket itself stays as it is."""
    then = replace(ticket)
    return [_change(action, then, names) for action in actions]


def _change(action: Action, ticket: Ticket, names: Names) -> Change:
    do = PREVIEWS.get(action["do"])
    if do is None:  # written for another version
        return Change(str(action["do"]), "not possible: there is no such action", is_change=False)
    try:
        return Change(action["do"], do(action, ticket, names))
    except _Nothing as why:
        return Change(action["do"], str(why), is_change=False)


def _named(known: Mapping[str, str], pk: Any, what: str) -> str:
    if pk not in known:
        raise _Nothing(f"not possible: the {what} is gone")
    return known[pk]


def _moved(what: str, before: str | None, after: str) -> str:
    return f"{what} {before} → {after}" if before else f"{what} {after}"


def _assign(action: Action, ticket: Ticket, names: Names) -> str:
    agent = names.users.get(ticket.assignee or "", ticket.assignee)
    if "user_id" not in action:
        return _choose(action, ticket, names, agent)
    user_id = action["user_id"]
    if user_id not in names.workers:
        raise _Nothing("not possible: the agent is gone")
    if ticket.assignee == user_id:
        raise _Nothing(f"no change: assigned to {agent} already")
    if ticket.status == Status.CLOSED:
        raise _Nothing("not possible: the ticket was closed")
    ticket.assignee = user_id
    return f"assigned {agent} → {names.users[user_id]}" if agent else f"assigned to {names.users[user_id]}"


def _choose(action: Action, ticket: Ticket, names: Names, agent: str | None) -> str:
    whom = f"team {_named(names.teams, action['team_id'], 'team')}" if action.get("team_id") else "everybody"
    if agent:
        raise _Nothing(f"left with its agent: {agent}")
    if ticket.status not in ACTIVE:
        raise _Nothing("left unassigned: it was not in work")
    return f"assigned to {METHODS[action['method']]} of {whom} (who that was then is not known)"


def _set_team(action: Action, ticket: Ticket, names: Names) -> str:
    name = _named(names.teams, action["team_id"], "team")
    if ticket.team == action["team_id"]:
        raise _Nothing(f"no change: with team {name} already")
    before, ticket.team = names.of("team", ticket.team) if ticket.team else None, action["team_id"]
    return _moved("team", before, name) if before else f"given to team {name}"


def _set_priority(action: Action, ticket: Ticket, names: Names) -> str:
    if ticket.priority == action["priority"]:
        raise _Nothing(f"no change: {ticket.priority} already")
    before, ticket.priority = ticket.priority, action["priority"]
    return _moved("priority", before, ticket.priority)


def _set_status(action: Action, ticket: Ticket, names: Names) -> str:
    before, after = ticket.shown_status, action["status"]
    if ticket.status == after:
        raise _Nothing(f"no change: {after} already")
    try:
        move(ticket.status, after)
    except IllegalMove:
        raise _Nothing(f"not possible: a ticket that is {ticket.status} cannot become {after}") from None
    ticket.status, ticket.is_new = after, False
    return _moved("status", before, after)


def _set_category(action: Action, ticket: Ticket, names: Names) -> str:
    pk = action["category_id"]
    if pk not in names.live_categories:
        raise _Nothing("not possible: the category is gone")
    if ticket.category == pk:
        raise _Nothing(f"no change: in {names.categories[pk]} already")
    before, ticket.category = names.of("category", ticket.category) if ticket.category else None, pk
    return _moved("category", before, names.categories[pk])


def _listed(tags: Sequence[str]) -> str:
    return f"tag{'' if len(tags) == 1 else 's'} {', '.join(tags)}"


def _add_tags(action: Action, ticket: Ticket, names: Names) -> str:
    added = [tag for tag in action["tags"] if tag not in ticket.tags]
    if not added:
        raise _Nothing(f"no change: it has the {_listed(action['tags'])} already")
    ticket.tags |= set(added)
    return f"{_listed(added)} added"


def _remove_tags(action: Action, ticket: Ticket, names: Names) -> str:
    gone = [tag for tag in action["tags"] if tag in ticket.tags]
    if not gone:
        raise _Nothing(f"no change: it does not have the {_listed(action['tags'])}")
    ticket.tags -= set(gone)
    return f"{_listed(gone)} taken away"


def _add_note(action: Action, ticket: Ticket, names: Names) -> str:
    return f"note added: {quoted(action['body'])}"


def _member(pk: str, names: Names) -> str:
    if pk not in names.members:
        raise _Nothing("not possible: the agent is gone")
    return names.users[pk]


def _add_watcher(action: Action, ticket: Ticket, names: Names) -> str:
    return f"{_member(action['user_id'], names)} watches it"


def _set_sla_policy(action: Action, ticket: Ticket, names: Names) -> str:
    return f"SLA policy {_named(names.policies, action['policy_id'], 'SLA policy')}"


def _send_canned_response(action: Action, ticket: Ticket, names: Names) -> str:
    title = _named(names.responses, action["canned_response_id"], "canned response")
    return f"canned response {quoted(title)} sent to the customer"


def _notify(action: Action, ticket: Ticket, names: Names) -> str:
    told = [_member(pk, names) for pk in action["user_ids"]]
    told += [f"team {_named(names.teams, pk, 'team')}" for pk in action["team_ids"]]
    return f"mail to {', '.join(told)}"


def _send_webhook(action: Action, ticket: Ticket, names: Names) -> str:
    return f"sent to {urlsplit(action['url']).hostname}"


def _escalate(action: Action, ticket: Ticket, names: Names) -> str:
    told = ticket.team in names.led_teams
    lead = f"the lead of team {names.teams[ticket.team or '']} told" if told else ""
    higher = [one for one, rank in RANK.items() if rank == RANK[Priority(ticket.priority)] - 1]
    if not higher:
        if told:
            return f"urgent already, {lead}"
        raise _Nothing("no change: urgent already")
    before, ticket.priority = ticket.priority, higher[0].value
    return f"escalated: {_moved('priority', before, ticket.priority)}{', ' + lead if lead else ''}"


PREVIEWS: dict[str, Callable[[Action, Ticket, Names], str]] = {
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
