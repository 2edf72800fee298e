"""Rules and actions in words: "When a ticket is created, if the category is Billing, then set the priority to urgent."

Everything here takes documents as people are writing them: what is not said yet is an ellipsis.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from tickets.automation.conditions import CONTAINS_NOT, IS_NOT, NONE
from tickets.automation.levels import service_levels
from tickets.automation.models import OPTIONS
from tickets.models.ticket import CHANNELS

UNSAID = "…"
MANY = 4  # of more values only the first ones are said
NOTE_LENGTH = 80  # of a text that is quoted
GONE = "one that was deleted"
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

Names = Mapping[str, str]  # of what rules name by its id

# How a rule begins; a number of hours or messages stands for the braces.
TRIGGERS: dict[str, str] = {
    "created": "a ticket is created",
    "customer_replied": "the customer replies",
    "agent_replied": "an agent replies",
    "customer_messages": "the customer has written {message_count} messages in a row",
    "no_response": "nobody has answered for {no_response_hours}",
    "idle": "nothing has happened for {idle_hours}",
    "status_changed": "the status changes",
    "priority_changed": "the priority changes",
    "category_changed": "the category changes",
    "assignee_changed": "the assignee changes",
    "sla_at_risk": "an SLA target is at risk",
    "sla_breached": "an SLA target is breached",
    "satisfaction_rated": "the customer rates the ticket",
}

# The same, of what has happened.
HAPPENED: dict[str, str] = {
    "created": "the ticket was created",
    "customer_replied": "the customer replied",
    "agent_replied": "an agent replied",
    "customer_messages": "the customer wrote several messages in a row",
    "no_response": "nobody had answered in time",
    "idle": "nothing had happened for some time",
    "status_changed": "the status changed",
    "priority_changed": "the priority changed",
    "category_changed": "the category changed",
    "assignee_changed": "the assignee changed",
    "sla_at_risk": "an SLA target was at risk",
    "sla_breached": "an SLA target was breached",
    "satisfaction_rated": "the customer rated the ticket",
}

# --- Names ------------------------------------------------------------------------------------

_NAMES = """
SELECT id, name FROM ticket_categories WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
UNION ALL
SELECT id, name FROM accounts_team WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
UNION ALL
SELECT id, name FROM accounts_organization WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
UNION ALL
SELECT id, title FROM canned_responses WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
UNION ALL
SELECT u.id, coalesce(nullif(u.name, ''), u.email) FROM accounts_user u
JOIN accounts_membership m ON m.user_id = u.id WHERE m.workspace_id = %(workspace)s AND u.id = ANY(%(ids)s)
"""


def ids_in(*documents: Any) -> set[str]:
    """The ids that stand anywhere in some documents or sentences."""
    found: set[str] = set()
    for document in documents:
        if isinstance(document, str):
            found.update(_ID.findall(document))
        elif isinstance(document, Mapping):
            found |= ids_in(*document.values())
        elif isinstance(document, list | tuple):
            found |= ids_in(*document)
    return found


def names_of(workspace_id: UUID, *documents: Any) -> dict[str, str]:
    """The names of everything in the workspace that some conditions, actions or sentences name by its id.

    Two queries at most, however many they are. Archived things and members who left have names, too.
    """
    ids = ids_in(*documents)
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, {"workspace": workspace_id, "ids": [UUID(one) for one in ids]})
        found = {str(pk): str(name) for pk, name in cursor.fetchall()}
    if ids - set(found):
        found |= {str(pk): name for pk, name in service_levels().policies(workspace_id) if str(pk) in ids}
    return found


def named(text: str, names: Names) -> str:
    """A sentence of the log with names in the place of ids."""
    return _ID.sub(lambda found: names.get(found[0], found[0]), text)


# How the reasons in the log begin, and how people say it.
_REASONS = {"attribute ": "the customer’s ", "sla state ": "SLA state ", "organization ": "organisation "}


def reason_words(text: str, names: Names) -> str:
    """A condition that was met, as people say it: "category is Billing"."""
    for begins, said in _REASONS.items():
        if text.startswith(begins):
            text = said + text.removeprefix(begins)
            break
    if text.startswith("business hours is"):
        return "within business hours" if text.endswith("true") else "outside business hours"
    return named(text, names)


# --- Lists ------------------------------------------------------------------------------------


def joined(parts: Sequence[str], word: str = "and") -> str:
    """A, B and C."""
    return f" {word} ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def _choice(parts: Sequence[str]) -> str:
    """A, B or C; of many only the first."""
    if not parts:
        return UNSAID
    if len(parts) > MANY:
        parts = [*parts[: MANY - 1], f"{len(parts) - MANY + 1} more"]
    return joined(parts, "or")


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


# --- When -------------------------------------------------------------------------------------


def _number(given: Any) -> str:
    """A number without the zeros that a database adds."""
    text = str(given).strip() if given is not None else ""
    return (text.rstrip("0").rstrip(".") if "." in text else text) or UNSAID


def when_words(triggers: Iterable[str], numbers: Mapping[str, Any]) -> str:
    """What makes a rule look at a ticket: "a ticket is created or the customer replies".

    `numbers`: no_response_hours (business hours), idle_hours, message_count.
    """
    said = {
        "no_response_hours": _hours(numbers.get("no_response_hours"), "business hour"),
        "idle_hours": _hours(numbers.get("idle_hours"), "hour"),
        "message_count": _number(numbers.get("message_count")),
    }
    chosen = set(triggers)
    return joined([words.format(**said) for word, words in TRIGGERS.items() if word in chosen], "or") or UNSAID


def happened(trigger: str) -> str:
    """What made a rule look at a ticket, as its log says it."""
    return HAPPENED.get(trigger, trigger.replace("_", " "))


def _hours(given: Any, unit: str) -> str:
    number = _number(given)
    return f"{number} {unit if number == '1' else unit + 's'}"


# --- If ---------------------------------------------------------------------------------------

_PLAIN = {"priority": "the priority", "status": "the status", "language": "the language", "requester": "the requester"}
_NAMED = {"category": "category", "team": "team", "organization": "organisation", "assignee": "assignee"}
_QUOTED = {"subject": "the subject", "body": "the text"}
_CHANNELS = dict(CHANNELS)


def condition_words(test: Mapping[str, Any], names: Names) -> str:
    """One test: "the category is Billing"."""
    field = str(test.get("field") or "")
    word = next((one for one in test if one not in ("field", "name")), "is")
    values, is_not = _listed(test.get(word)), word in (IS_NOT, CONTAINS_NOT)
    verb = "is not" if is_not else "is"
    if field in _QUOTED:
        contains = "does not contain" if is_not else "contains"
        return f"{_QUOTED[field]} {contains} {_choice([f'“{value}”' for value in values])}"
    if field == "business_hours":
        within = {value.lower() for value in values}
        words = {"true": "it is within business hours", "false": "it is outside business hours"}
        return words[within.pop()] if len(within) == 1 and within <= set(words) else "it is any time"
    if field == "tag":
        if values == [NONE]:
            return "it has a tag" if is_not else "it has no tags"
        said = f"the tag {_choice([value for value in values if value != NONE])}"
        if is_not:
            return f"it has tags, but not {said}" if NONE in values else f"it does not have {said}"
        return f"it has no tags or {said}" if NONE in values else f"it has {said}"
    if field == "attribute":
        said = _choice([value if value != NONE else "empty" for value in values])
        return f"the customer’s {test.get('name') or UNSAID} {verb} {said}"
    if field in _NAMED:
        what = _NAMED[field]
        if values == [NONE]:
            return f"there is {'a' if what[0] not in 'ao' else 'an'} {what}" if is_not else f"there is no {what}"
        said = _choice([names.get(value, GONE) if value != NONE else "none" for value in values])
        return f"the {what} {verb} {said}"
    if field == "rating":
        return f"the rating {verb} {_choice([value if value != NONE else 'missing' for value in values])}"
    if field == "channel":
        return f"the channel {verb} {_choice([_CHANNELS.get(value, value) for value in values])}"
    if field == "sla_state":
        return f"the SLA state {verb} {_choice([value.replace('_', ' ') for value in values])}"
    return f"{_PLAIN.get(field, field or UNSAID)} {verb} {_choice(values)}"


def if_words(group: Mapping[str, Any], names: Names, *, inside: bool = False) -> str:
    """A group of conditions, inner groups in brackets; empty where it has none."""
    word, parts = next(iter(group.items()), ("all", []))
    said = [
        condition_words(part, names) if "field" in part else if_words(part, names, inside=True)
        for part in parts or []
        if isinstance(part, Mapping)
    ]
    said = [one for one in said if one]
    text = (" and " if word == "all" else " or ").join(said)
    return f"({text})" if inside and len(said) > 1 else text


# --- Then -------------------------------------------------------------------------------------

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


def title(action: Mapping[str, Any]) -> str:
    """What an action is called: "Set the status"."""
    what = str(action.get("do") or UNSAID)
    return TITLES.get(what) or what.replace("_", " ").capitalize()


def _name(key: str, gone: str = GONE, before: str = "") -> Callable[[Mapping[str, Any], Names], str]:
    """What an action names under `key`, with words before it; `gone` where it is not there any more."""
    return lambda action, names: _named_or(action.get(key), names, gone, before)


def _named_or(pk: Any, names: Names, gone: str, before: str = "") -> str:
    name = names.get(str(pk)) if pk else UNSAID
    return f"{before}{name}" if name else gone


_LEFT, _NO_TEAM = "somebody who has left", "a deleted team"
_user, _category = _name("user_id", _LEFT), _name("category_id")
_team = _name("team_id", _NO_TEAM, "team ")
_policy = _name("policy_id", "an SLA policy that was deleted", "the SLA policy ")
METHODS = {"least_busy": "the least busy", "round_robin": "the next in turn"}


def _assign(action: Mapping[str, Any], names: Names) -> str:
    if "method" not in action:
        return f"assign to {_user(action, names)}"
    whom = _team(action, names) if action.get("team_id") else "everybody"
    return f"assign to {METHODS.get(str(action['method']), UNSAID)} of {whom}"


def _tags(action: Mapping[str, Any]) -> str:
    tags = _listed(action.get("tags"))
    return f"{'tag' if len(tags) == 1 else 'tags'} {joined(tags) or UNSAID}"


def _response(action: Mapping[str, Any], names: Names) -> str:
    found = _named_or(action.get("canned_response_id"), names, "")
    return f"send the canned response “{found}”" if found else "send a canned response that was deleted"


def _notify(action: Mapping[str, Any], names: Names) -> str:
    people = [_named_or(pk, names, _LEFT) for pk in _listed(action.get("user_ids"))]
    teams = [_named_or(pk, names, _NO_TEAM, "team ") for pk in _listed(action.get("team_ids"))]
    return f"notify {joined([*people, *teams]) or UNSAID} by e-mail"


def _webhook(action: Mapping[str, Any], names: Names) -> str:
    host = re.sub(r"\A[a-z]+://", "", str(action.get("url") or "")).partition("/")[0]
    return f"send it to {host.rpartition('@')[2] or UNSAID}"


_DO: dict[str, Callable[[Mapping[str, Any], Names], str]] = {
    "assign": _assign,
    "set_team": lambda action, names: f"give it to {_team(action, names)}",
    "set_priority": lambda action, names: f"set the priority to {action.get('priority') or UNSAID}",
    "set_status": lambda action, names: f"set the status to {action.get('status') or UNSAID}",
    "set_category": lambda action, names: f"set the category to {_category(action, names)}",
    "set_sla_policy": lambda action, names: f"apply {_policy(action, names)}",
    "add_tags": lambda action, names: f"add the {_tags(action)}",
    "remove_tags": lambda action, names: f"remove the {_tags(action)}",
    "add_note": lambda action, names: "add a note",
    "send_canned_response": _response,
    "notify": _notify,
    "add_watcher": lambda action, names: f"let {_user(action, names)} watch it",
    "escalate": lambda action, names: "escalate it",
    "send_webhook": _webhook,
}
# The same where there is room for more.
_IN_FULL: dict[str, Callable[[Mapping[str, Any], Names], str]] = {
    "add_note": lambda action, names: f"add the note {quoted(str(action.get('body') or UNSAID))}",
    "escalate": lambda action, names: "escalate: the priority a step up, and the lead of its team is told",
}


def quoted(text: str) -> str:
    """A text on one line in quotation marks; of a long one the beginning."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= NOTE_LENGTH else line[: NOTE_LENGTH - 1].rstrip() + '…'}”"


def action_words(action: Mapping[str, Any], names: Names) -> str:
    """One action: "assign to the least busy of team Billing"."""
    do = _DO.get(str(action.get("do")))
    return do(action, names) if do else title(action)


def in_words(workspace_id: UUID, lists: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[str]]:
    """Lists of actions, each action as a sentence of its own, without its full stop. Two queries at most."""
    names = names_of(workspace_id, *lists)
    said = [
        [_IN_FULL.get(str(action.get("do")), action_words)(action, names) for action in actions] for actions in lists
    ]
    return [[words[:1].upper() + words[1:] for words in actions] for actions in said]


def then_words(actions: Sequence[Mapping[str, Any]], names: Names) -> str:
    """What is done, in its order."""
    return joined([action_words(action, names) for action in actions]) or UNSAID


# --- All of it --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sentence:
    """A rule in words; `if_` is empty where it is for every ticket."""

    when: str
    if_: str
    then: str
    stops: bool = False

    def __str__(self) -> str:
        condition = f"if {self.if_}, " if self.if_ else ""
        stop = " Then stop." if self.stops else ""
        return f"When {self.when}, {condition}then {self.then}.{stop}"


def sentence_of(rule: Any, names: Names) -> Sentence:
    """A rule, or what is being written of one, as a sentence.

    `rule` has triggers, conditions, actions and stops, and perhaps the numbers of its triggers. What
    cannot be read (it was written for another version) is left out.
    """
    numbers = {name: getattr(rule, name, None) for name in OPTIONS.values()}
    conditions = rule.conditions if isinstance(rule.conditions, Mapping) else {}
    actions = [one for one in rule.actions if isinstance(one, Mapping)] if isinstance(rule.actions, list) else []
    return Sentence(
        when=when_words(rule.triggers, numbers),
        if_=if_words(conditions, names),
        then=then_words(actions, names),
        stops=bool(rule.stops),
    )
