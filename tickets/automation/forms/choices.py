"""What the builder offers: fields, triggers and actions as people look for them, and what a workspace has."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tickets.automation.conditions import NONE, WORDS
from tickets.forms import PRIORITIES, STATUSES, Choice
from tickets.models.ticket import CHANNELS

Data = Mapping[str, Sequence[str]]  # what a browser sends: every value of every name
Labelled = list[tuple[str, list[Choice]]]  # choices under headings

MATCHES = {"is": "is", "is_not": "is not", "contains": "contains", "contains_not": "does not contain"}

# The fields as people look for them, and how their values are asked for: as words, as a few choices in
# sight, or as a menu of many.
FIELD_GROUPS: Labelled = [
    (
        "The ticket",
        [
            ("subject", "Subject"),
            ("body", "Text"),
            ("category", "Category"),
            ("priority", "Priority"),
            ("status", "Status"),
            ("tag", "Tag"),
            ("channel", "Channel"),
            ("language", "Language"),
        ],
    ),
    (
        "The customer",
        [
            ("requester", "Requester"),
            ("organization", "Organisation"),
            ("attribute", "Attribute"),
            ("rating", "Rating"),
        ],
    ),
    (
        "The work",
        [
            ("assignee", "Assignee"),
            ("team", "Team"),
            ("sla_state", "SLA state"),
            ("business_hours", "Business hours"),
        ],
    ),
]
FIELD_LABELS = {name: label for _, named in FIELD_GROUPS for name, label in named}
MENUS = frozenset({"category", "team", "assignee", "organization", "tag"})
FEW: dict[str, list[Choice]] = {
    "priority": PRIORITIES,
    "status": [(word, word.capitalize()) for word in WORDS["status"]],
    "channel": list(CHANNELS),
    "sla_state": [
        (word, "No deadline" if word == NONE else word.replace("_", " ").capitalize()) for word in WORDS["sla_state"]
    ],
    "rating": [(word, "Not rated" if word == NONE else word) for word in WORDS["rating"]],
    "business_hours": [("true", "Open"), ("false", "Closed")],
}
NOTHING = {
    "category": "No category",
    "team": "No team",
    "assignee": "Nobody",
    "organization": "No organisation",
    "tag": "No tags",
    "language": "Not known",
    "attribute": "Empty",
}
HINTS = {
    "subject": "refund, money back",
    "body": "refund, money back",
    "requester": "jane@example.com, @example.com",
    "language": "de, fr",
    "attribute": "pro, enterprise",
    "tag": "vip, refund",
}

# What can be done, as the beginning of a sentence that its inputs end.
ACTION_GROUPS: Labelled = [
    (
        "Who works on it",
        [
            ("assign_least_busy", "Assign to the least busy of"),
            ("assign_round_robin", "Assign to the next in turn of"),
            ("assign_user", "Assign to"),
            ("set_team", "Give to team"),
            ("add_watcher", "Add a watcher"),
        ],
    ),
    (
        "What it is",
        [
            ("set_priority", "Set the priority to"),
            ("set_status", "Set the status to"),
            ("set_category", "Set the category to"),
            ("set_sla_policy", "Apply the SLA policy"),
            ("add_tags", "Add tags"),
            ("remove_tags", "Remove tags"),
            ("escalate", "Escalate"),
        ],
    ),
    (
        "Who hears of it",
        [
            ("add_note", "Add a note"),
            ("send_canned_response", "Send the canned response"),
            ("notify", "Notify by e-mail"),
            ("send_webhook", "Send to a webhook"),
        ],
    ),
]
KINDS = [kind for _, named in ACTION_GROUPS for kind, _ in named]
ACTION_NOTES = {
    "escalate": "Raises the priority by a step and tells the team’s lead.",
    "assign_least_busy": "Of those who are available and have room. If nobody is free, the ticket waits and goes to "
    "the first who is. A ticket that has an agent stays with them.",
    "assign_round_robin": "Of those who are available and have room. If nobody is free, the ticket waits and goes to "
    "the first who is. A ticket that has an agent stays with them.",
}


class Asked(NamedTuple):
    """One input of an action: its name in the document, how it is asked for, its label, from what one chooses."""

    name: str
    control: str  # select, menu, words, text, line
    label: str
    offered: str = ""
    hint: str = ""


ASKED: dict[str, tuple[Asked, ...]] = {
    "assign_least_busy": (Asked("team_id", "select", "Team", "teams_or_all"),),
    "assign_round_robin": (Asked("team_id", "select", "Team", "teams_or_all"),),
    "assign_user": (Asked("user_id", "select", "Agent", "agents"),),
    "set_team": (Asked("team_id", "select", "Team", "teams"),),
    "add_watcher": (Asked("user_id", "select", "Member", "members"),),
    "set_priority": (Asked("priority", "select", "Priority", "priorities"),),
    "set_status": (Asked("status", "select", "Status", "statuses"),),
    "set_category": (Asked("category_id", "select", "Category", "categories"),),
    "set_sla_policy": (Asked("policy_id", "select", "SLA policy", "policies"),),
    "add_tags": (Asked("tags", "words", "Tags", hint="vip, refund"),),
    "remove_tags": (Asked("tags", "words", "Tags", hint="vip, refund"),),
    "escalate": (),
    "add_note": (Asked("body", "text", "Note", hint="What agents should know. Customers never see it."),),
    "send_canned_response": (Asked("canned_response_id", "select", "Canned response", "responses"),),
    "notify": (
        Asked("user_ids", "menu", "People", "members", "People …"),
        Asked("team_ids", "menu", "Teams", "teams", "Teams …"),
        Asked("body", "text", "Message", hint="What they should know. The mail also says which ticket it is."),
    ),
    "send_webhook": (Asked("url", "line", "Address", hint="https://example.com/hook"),),
}
MANY = {"user_ids", "team_ids", "tags"}  # lists in the document
METHODS = {"assign_least_busy": "least_busy", "assign_round_robin": "round_robin"}

# Triggers as the form groups them; three have a number of their own.
TRIGGER_GROUPS: Labelled = [
    (
        "Tickets and messages",
        [
            ("created", "A ticket is created"),
            ("customer_replied", "The customer replies"),
            ("agent_replied", "An agent replies"),
            ("customer_messages", "The customer writes several times"),
            ("satisfaction_rated", "The customer rates the ticket"),
        ],
    ),
    (
        "Changes",
        [
            ("status_changed", "The status changes"),
            ("priority_changed", "The priority changes"),
            ("category_changed", "The category changes"),
            ("assignee_changed", "The assignee changes"),
        ],
    ),
    (
        "Time",
        [
            ("sla_at_risk", "An SLA target is at risk"),
            ("sla_breached", "An SLA target is breached"),
            ("no_response", "Nobody answers for some time"),
            ("idle", "Nothing happens for some time"),
        ],
    ),
]


class Number(NamedTuple):
    """The number that a trigger needs."""

    name: str
    trigger: str
    label: str
    unit: str
    initial: str
    is_whole: bool


NUMBERS = (
    Number("message_count", "customer_messages", "How many messages", "messages", "3", True),
    Number("no_response_hours", "no_response", "Without an answer for", "business hours", "4", False),
    Number("idle_hours", "idle", "Nothing happened for", "hours", "48", False),
)
LARGEST = 10_000  # of such a number; the service knows what is too much for each
NUMBER_OF = {number.trigger: number for number in NUMBERS}

# Good first rules, by the word in the address that fills the form with one.
STARTERS: dict[str, dict[str, Any]] = {
    "share": {
        "name": "Share new tickets fairly",
        "triggers": ["created"],
        "conditions": {"all": [{"field": "assignee", "is": [NONE]}]},
        "actions": [{"do": "assign", "method": "least_busy", "team_id": None}],
    },
    "urgent": {
        "name": "Urgent words come first",
        "triggers": ["created"],
        "conditions": {
            "any": [
                {"field": "subject", "contains": ["urgent", "outage", "down"]},
                {"field": "body", "contains": ["outage", "cannot work"]},
            ]
        },
        "actions": [{"do": "set_priority", "priority": "urgent"}, {"do": "add_tags", "tags": ["outage"]}],
    },
    "late": {
        "name": "Escalate what is about to be late",
        "triggers": ["sla_at_risk"],
        "conditions": {"all": [{"field": "priority", "is_not": ["urgent"]}]},
        "actions": [{"do": "escalate"}, {"do": "add_note", "body": "An SLA target is at risk. Please answer soon."}],
    },
}


class Option(NamedTuple):
    """One value that can be chosen."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Offers:
    """What a workspace has to choose from, as (value, label), and the names of what else may be chosen already."""

    categories: Sequence[Choice] = ()
    teams: Sequence[Choice] = ()
    agents: Sequence[Choice] = ()  # who can be given tickets
    members: Sequence[Choice] = ()
    tags: Sequence[Choice] = ()
    policies: Sequence[Choice] = ()
    responses: Sequence[Choice] = ()
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def of(self, what: str) -> Sequence[Choice]:
        """The choices of an input."""
        fixed = {"priorities": PRIORITIES, "statuses": STATUSES, "teams_or_all": [("", "everybody"), *self.teams]}
        return fixed[what] if what in fixed else getattr(self, what)

    def for_field(self, name: str) -> Sequence[Choice]:
        """The choices of a condition."""
        menus = {"category": "categories", "team": "teams", "assignee": "agents", "tag": "tags"}
        return FEW[name] if name in FEW else self.of(menus[name]) if name in menus else ()

    def name_of(self, value: str) -> str:
        """What a value is called that is not among the choices."""
        return self.names.get(value) or ("Deleted" if _ID.fullmatch(value) else value)

    def options(self, offered: Sequence[Choice], chosen: Sequence[str]) -> list[Option]:
        """These choices, and what is chosen without being among them: archived things, people who left."""
        known = {value for value, _ in offered}
        others = [(value, self.name_of(value)) for value in chosen if value not in known]
        return [Option(value, label, value in chosen) for value, label in [*offered, *others]]


NO_OFFERS = Offers()

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BREAK = re.compile(r"[,\r\n]")


def split(text: str) -> list[str]:
    """What stands between commas and line ends, without empty ones."""
    return [part.strip() for part in _BREAK.split(text) if part.strip()]


def fits(value: str) -> bool:
    """Whether a value can stand among others in one input; others are shown one by one."""
    return bool(value.strip()) and not _BREAK.search(value)


def known_order() -> list[str]:
    """All triggers in the order of the form."""
    return [word for _, named in TRIGGER_GROUPS for word, _ in named]
