"""Actions in words, as people read them before anything is done: "Give it to team Billing"."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import QuerySet

from helpdesk.accounts.models import Membership, Team
from tickets.automation.services import pool
from tickets.models import CannedResponse, Category

Action = Mapping[str, Any]
NOTE_LENGTH = 80  # of a text that is quoted

# What each action is called, for a refusal.
TITLES = {
    "assign": "Assign",
    "set_team": "Set the team",
    "set_priority": "Set the priority",
    "set_status": "Set the status",
    "set_category": "Set the category",
    "add_tags": "Add tags",
    "remove_tags": "Remove tags",
    "add_note": "Add a note",
    "add_watcher": "Add a watcher",
    "escalate": "Escalate",
    "set_sla_policy": "Set the SLA policy",
    "send_canned_response": "Send a canned response",
    "notify": "Notify by e-mail",
    "send_webhook": "Send to a webhook",
}


def title(action: Action) -> str:
    """What an action is called: "Set the status"."""
    what = str(action["do"])
    return TITLES.get(what) or what.replace("_", " ").capitalize()


def in_words(workspace_id: UUID, lists: Sequence[Sequence[Action]]) -> list[list[str]]:
    """Lists of actions, each action as a sentence without its full stop.

    What it names and is gone is said to be. Four queries at most, however many actions there are.
    """
    names = _names(workspace_id, [action for actions in lists for action in actions])
    return [
        [_WORDS[action["do"]](action, names) if action["do"] in _WORDS else title(action) for action in actions]
        for actions in lists
    ]


@dataclass(frozen=True)
class _Names:
    """The names of what actions name by an id."""

    users: Mapping[str, str]
    teams: Mapping[str, str]
    categories: Mapping[str, str]
    responses: Mapping[str, str]

    def user(self, action: Action) -> str:
        return self.users.get(action["user_id"], "somebody who has left")

    def team(self, pk: str) -> str:
        return f"team {self.teams[pk]}" if pk in self.teams else "a deleted team"


def _names(workspace_id: UUID, actions: Sequence[Action]) -> _Names:
    def known(rows: QuerySet[Any], key: str, name: str, wanted: Iterable[Any]) -> dict[str, str]:
        if not (ids := {pk for pk in wanted if pk}):
            return {}
        return {str(pk): str(said) for pk, said in rows.filter(**{f"{key}__in": ids}).values_list(key, name)}

    members = Membership.objects.for_workspace(workspace_id).filter(is_active=True)
    users = [a.get("user_id") for a in actions] + [pk for a in actions for pk in a.get("user_ids", ())]
    teams = [a.get("team_id") for a in actions] + [pk for a in actions for pk in a.get("team_ids", ())]
    categories = Category.objects.for_workspace(workspace_id).filter(archived_at=None)
    return _Names(
        users=known(members, "user_id", "user__name", users),
        teams=known(Team.objects.for_workspace(workspace_id), "pk", "name", teams),
        categories=known(categories, "pk", "name", [a.get("category_id") for a in actions]),
        responses=known(
            CannedResponse.objects.for_workspace(workspace_id),
            "pk",
            "title",
            [a.get("canned_response_id") for a in actions],
        ),
    )


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= NOTE_LENGTH else line[: NOTE_LENGTH - 1].rstrip() + '…'}”"


def _tags(names: Sequence[str]) -> str:
    return f"tag{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _assign(action: Action, names: _Names) -> str:
    if "user_id" in action:
        return f"Assign to {names.user(action)}"
    whom = names.team(action["team_id"]) if action.get("team_id") else "everybody"
    turn = {pool.LEAST_BUSY: "the least busy", pool.ROUND_ROBIN: "the next in turn"}
    return f"Assign to {turn.get(action['method'], 'somebody')} of {whom}"


def _set_category(action: Action, names: _Names) -> str:
    return f"Set the category to {names.categories.get(action['category_id'], 'one that was deleted')}"


def _send_canned_response(action: Action, names: _Names) -> str:
    found = names.responses.get(action["canned_response_id"])
    return f"Send the canned response {_quoted(found)}" if found else "Send a canned response that was deleted"


def _notify(action: Action, names: _Names) -> str:
    people = [names.users.get(pk, "somebody who has left") for pk in action.get("user_ids", ())]
    people += [names.team(pk) for pk in action.get("team_ids", ())]
    return f"Notify {', '.join(people)} by e-mail"


_WORDS: dict[str, Callable[[Action, _Names], str]] = {
    "assign": _assign,
    "set_team": lambda action, names: f"Give it to {names.team(action['team_id'])}",
    "set_priority": lambda action, _names: f"Set the priority to {action['priority']}",
    "set_status": lambda action, _names: f"Set the status to {action['status']}",
    "set_category": _set_category,
    "add_tags": lambda action, _names: f"Add the {_tags(action['tags'])}",
    "remove_tags": lambda action, _names: f"Remove the {_tags(action['tags'])}",
    "add_note": lambda action, _names: f"Add the note {_quoted(action['body'])}",
    "add_watcher": lambda action, names: f"Let {names.user(action)} watch it",
    "escalate": lambda _action, _names: "Escalate: the priority a step up",
    "send_canned_response": _send_canned_response,
    "notify": _notify,
    "send_webhook": lambda action, _names: f"Send it to {urlsplit(action['url']).hostname or 'a webhook'}",
}
