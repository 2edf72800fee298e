"""The builder's form: rules as inputs that a browser sends, and back. Pure, and without JSON.

Every input is named by its place: `if.word` is all or any of the outermost group, `if.1.0.field` the
field of the first condition in its second part; what has a `field` is a condition, what has none a
group. `then.0.do` is the kind of the first action. `was` beside a field or a kind says for which one
the other inputs were drawn: what was chosen for another one is dropped.

A `Draft` is what stands in the form, right or wrong. The buttons of the form change it (`Draft.change`).
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from helpdesk.errors import DomainError
from tickets.automation.conditions import FIELDS, IS, MAX_DEPTH, NONE, WORDS
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
_MANY = {"user_ids", "team_ids", "tags"}  # lists in the document
_METHOD = {"assign_least_busy": "least_busy", "assign_round_robin": "round_robin"}

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
_NUMBER_OF = {number.trigger: number for number in NUMBERS}

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

# --- Words in one input -----------------------------------------------------------------------

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BREAK = re.compile(r"[,\r\n]")


def split(text: str) -> list[str]:
    """What stands between commas and line ends, without empty ones."""
    return [part.strip() for part in _BREAK.split(text) if part.strip()]


def _fits(value: str) -> bool:
    """Whether a value can stand among others in one input; others are shown one by one."""
    return bool(value.strip()) and not _BREAK.search(value)


# --- What stands in the form ------------------------------------------------------------------

Errors = dict[str, list[str]]


@dataclass
class ConditionRow:
    """One condition in the form."""

    field: str = "subject"
    word: str = "contains"
    values: list[str] = dataclasses.field(default_factory=list)
    name: str = ""  # of an attribute
    typed: str = ""  # the name of an organisation that is to be added
    path: str = ""
    offers: Offers = dataclasses.field(default=NO_OFFERS, repr=False)
    errors: Errors = dataclasses.field(default_factory=dict)

    is_group = False

    @property
    def label(self) -> str:
        """What it asks about."""
        return FIELD_LABELS.get(self.field, self.field)

    @property
    def control(self) -> str:
        """How its values are asked for: words, few or menu."""
        return "few" if self.field in FEW else "menu" if self.field in MENUS else "words"

    @property
    def field_options(self) -> list[tuple[str, list[Option]]]:
        """All fields under their headings."""
        return _chosen_among(FIELD_GROUPS, self.field)

    @property
    def word_options(self) -> list[Option]:
        """The words that its field knows."""
        return [Option(word, MATCHES[word], word == self.word) for word in FIELDS.get(self.field, ())]

    @property
    def is_written(self) -> bool:
        """Whether values can be written, instead of or besides being chosen."""
        return self.control == "words" or self.field == "tag"

    @property
    def lines(self) -> str:
        """The values that are written."""
        return ", ".join(self.values[n] for n in self._written())

    def _written(self) -> list[int]:
        if not self.is_written:
            return []
        offered = {value for value, _ in self.offers.for_field(self.field)} | ({NONE} & set(self.offered_none()))
        return [n for n, value in enumerate(self.values) if value not in offered and _fits(value)]

    def offered_none(self) -> list[str]:
        """The value `none` where the field can have no value and does not have it among its few."""
        return [NONE] if self.field in NOTHING else []

    @property
    def picked(self) -> list[str]:
        """The values that are chosen, not written."""
        written = set(self._written())
        return [value for n, value in enumerate(self.values) if n not in written]

    @property
    def options(self) -> list[Option]:
        """What can be chosen, `none` first."""
        none = [(value, NOTHING[self.field]) for value in self.offered_none()]
        return self.offers.options([*none, *self.offers.for_field(self.field)], self.picked)

    @property
    def summary(self) -> str:
        """What is chosen in a menu, in short."""
        return _summary(self.options, [self.values[n] for n in self._written()])

    @property
    def hint(self) -> str:
        """An example of what can be written."""
        return HINTS.get(self.field, "")

    @property
    def error_texts(self) -> list[str]:
        """Everything that is wrong with it."""
        return [text for texts in self.errors.values() for text in texts]

    def document(self) -> dict[str, Any]:
        """As conditions keep it."""
        name = {"name": self.name} if self.field == "attribute" else {}
        values: list[Any] = list(self.values)
        if self.field == "business_hours":
            values = [value == "true" for value in self.values if value in ("true", "false")]
        return {"field": self.field, **name, self.word: values}

    def fields(self) -> dict[str, list[str]]:
        """What a browser sends of it."""
        sent = {"field": [self.field], "was": [self.field], "word": [self.word], "value": self.picked}
        if self.field == "attribute":
            sent["name"] = [self.name]
        if self.is_written:
            sent["lines"] = [self.lines]
        return {f"{self.path}.{name}": values for name, values in sent.items() if values}


@dataclass
class GroupRow:
    """Conditions of which all, or any, must be met, in the form."""

    word: str = "all"
    parts: list["GroupRow | ConditionRow"] = dataclasses.field(default_factory=list)
    path: str = "if"
    errors: Errors = dataclasses.field(default_factory=dict)

    is_group = True

    @property
    def depth(self) -> int:
        """1 for the outermost."""
        return self.path.count(".") + 1

    @property
    def may_nest(self) -> bool:
        """Whether another group may stand in it."""
        return self.depth < MAX_DEPTH

    @property
    def error_texts(self) -> list[str]:
        """Everything that is wrong with it as a whole."""
        return [text for texts in self.errors.values() for text in texts]

    def document(self) -> dict[str, Any]:
        """As conditions keep it."""
        return {self.word: [part.document() for part in self.parts]}

    def fields(self) -> dict[str, list[str]]:
        """What a browser sends of it."""
        sent = {f"{self.path}.word": [self.word]}
        for part in self.parts:
            sent |= part.fields()
        return sent

    def rows(self) -> Iterator["GroupRow | ConditionRow"]:
        """Itself and everything in it, however deep."""
        yield self
        for part in self.parts:
            if isinstance(part, GroupRow):
                yield from part.rows()
            else:
                yield part

    def number(self, path: str) -> None:
        """Give everything in it the path where it stands."""
        self.path = path
        for n, part in enumerate(self.parts):
            if isinstance(part, GroupRow):
                part.number(f"{path}.{n}")
            else:
                part.path = f"{path}.{n}"


class Input(NamedTuple):
    """One input of an action as it is shown."""

    name: str
    path: str
    control: str
    label: str
    hint: str
    options: list[Option]
    text: str  # what is written
    summary: str
    errors: list[str]


@dataclass
class ActionRow:
    """One action in the form. `kind` is what it does; of `assign` there are three."""

    kind: str = "assign_least_busy"
    values: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    path: str = ""
    offers: Offers = dataclasses.field(default=NO_OFFERS, repr=False)
    errors: Errors = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        """What it does."""
        return next((label for _, named in ACTION_GROUPS for kind, label in named if kind == self.kind), self.kind)

    @property
    def note(self) -> str:
        """What one should know of it."""
        return ACTION_NOTES.get(self.kind, "")

    @property
    def kind_options(self) -> list[tuple[str, list[Option]]]:
        """All kinds under their headings; one that is not known is shown, too."""
        known = _chosen_among(ACTION_GROUPS, self.kind)
        return known if self.kind in ASKED else [*known, ("Not known", [Option(self.kind, self.kind, True)])]

    @property
    def inputs(self) -> list[Input]:
        """What it asks for."""
        return [self._input(asked) for asked in ASKED.get(self.kind, ())]

    def _input(self, asked: Asked) -> Input:
        given = self.values.get(asked.name, [])
        options, text = [], given[0] if given else ""
        if asked.control == "select":
            offered = list(self.offers.of(asked.offered))
            if asked.offered != "teams_or_all":
                offered.insert(0, ("", "Choose …"))
            options = self.offers.options(offered, given or [""])
        elif asked.control == "menu":
            options = self.offers.options(self.offers.of(asked.offered), given)
        elif asked.control == "words":
            options = [Option(value, value, True) for value in given if not _fits(value)]
            text = ", ".join(value for value in given if _fits(value))
        path, errors = f"{self.path}.{asked.name}", self.errors.get(asked.name, [])
        return Input(asked.name, path, asked.control, asked.label, asked.hint, options, text, _summary(options), errors)

    @property
    def error_texts(self) -> list[str]:
        """What is wrong with it as a whole, not with one of its inputs."""
        known = {asked.name for asked in ASKED.get(self.kind, ())}
        return [text for name, texts in self.errors.items() if name not in known for text in texts]

    def document(self) -> dict[str, Any]:
        """As rules keep it."""
        given: dict[str, Any] = {}
        for asked in ASKED.get(self.kind, ()):
            values = self.values.get(asked.name, [])
            first = values[0] if values else ""
            given[asked.name] = list(values) if asked.name in _MANY else first
        if self.kind in _METHOD:
            return {"do": "assign", "method": _METHOD[self.kind], "team_id": given["team_id"] or None}
        return {"do": "assign" if self.kind == "assign_user" else self.kind, **given}

    def fields(self) -> dict[str, list[str]]:
        """What a browser sends of it."""
        sent = {f"{self.path}.do": [self.kind], f"{self.path}.was": [self.kind]}
        for shown in self.inputs:
            if shown.control in ("text", "line", "words"):
                sent[shown.path] = [shown.text]
            chosen = [option.value for option in shown.options if option.is_chosen]
            if chosen and shown.control == "words":
                sent[f"{shown.path}.value"] = chosen
            elif chosen:
                sent[shown.path] = chosen
        return sent


def _chosen_among(groups: Labelled, chosen: str) -> list[tuple[str, list[Option]]]:
    return [(title, [Option(value, label, value == chosen) for value, label in named]) for title, named in groups]


def _summary(options: Sequence[Option], written: Sequence[str] = ()) -> str:
    """What is chosen, in a few words."""
    labels = [option.label.strip() for option in options if option.is_chosen] + list(written)
    if len(labels) > 3:
        labels = [*labels[:2], f"{len(labels) - 2} more"]
    return " or ".join(part for part in (", ".join(labels[:-1]), *labels[-1:]) if part)


# --- The whole form ---------------------------------------------------------------------------


@dataclass
class Draft:
    """A rule as it stands in the form. `focus` is the id of the input to go on with after a change."""

    name: str = ""
    triggers: list[str] = dataclasses.field(default_factory=list)
    no_response_hours: str = ""
    idle_hours: str = ""
    message_count: str = ""
    group: GroupRow = dataclasses.field(default_factory=GroupRow)
    rows: list[ActionRow] = dataclasses.field(default_factory=list)
    stops: bool = False
    is_active: bool = True
    focus: str = ""
    errors: Errors = dataclasses.field(default_factory=dict)

    # --- As the sentence reads it

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions as rules keep them."""
        return self.group.document()

    @property
    def actions(self) -> list[dict[str, Any]]:
        """The actions as rules keep them."""
        return [row.document() for row in self.rows]

    # --- As the page shows it

    @property
    def trigger_groups(self) -> list[dict[str, Any]]:
        """All triggers under their headings, each with its number where it has one."""
        return [
            {
                "title": title,
                "options": [
                    {"word": word, "label": label, "is_chosen": word in self.triggers, "number": self._number(word)}
                    for word, label in named
                ],
            }
            for title, named in TRIGGER_GROUPS
        ]

    def _number(self, trigger: str) -> dict[str, Any] | None:
        number = _NUMBER_OF.get(trigger)
        if number is None:
            return None
        value = getattr(self, number.name) or ("" if trigger in self.triggers else number.initial)
        return {**number._asdict(), "value": value, "errors": self.errors.get(number.name, [])}

    @property
    def is_refused(self) -> bool:
        """Whether anything in it is wrong."""
        return bool(self.errors) or any(row.errors for row in [*self.group.rows(), *self.rows])

    @property
    def first_wrong(self) -> str:
        """The id of the first input that is wrong, to go on with; empty where none can be pointed at."""
        wrong = [name for name in ("name", *(number.name for number in NUMBERS)) if self.errors.get(name)]
        wrong += [f"{test.path}.field" for test in self.tests if test.errors]
        wrong += [f"{row.path}.do" for row in self.rows if row.errors]
        return wrong[0] if wrong else ""

    @property
    def tests(self) -> list[ConditionRow]:
        """Every condition, however deep."""
        return [row for row in self.group.rows() if isinstance(row, ConditionRow)]

    def offer(self, offers: Offers) -> None:
        """What there is to choose from."""
        for test in self.tests:
            test.offers = offers
        for row in self.rows:
            row.offers = offers

    # --- What the buttons do

    def change(self, wanted: str) -> None:
        """Do what a button says: `add-test:if.1`, `add-group:if`, `remove:if.1.0`, `add-action`, `remove:then.1`,
        `up:then.1`, `down:then.1`. Everything else only draws the form anew.
        """
        what, _, path = wanted.partition(":")
        group = next((row for row in self.group.rows() if row.path == path and isinstance(row, GroupRow)), None)
        if what == "add-test" and group:
            group.parts.append(ConditionRow())
            self.focus = f"{path}.{len(group.parts) - 1}.field"
        elif what == "add-group" and group and group.may_nest:
            other = "any" if group.word == "all" else "all"
            group.parts.append(GroupRow(other, [ConditionRow()]))
            self.focus = f"{path}.{len(group.parts) - 1}.0.field"
        elif what == "remove" and path.startswith("if."):
            self._remove(path)
        elif what == "add":  # organisations: the next one may follow
            self.focus = "".join(f"{path}.add" for test in self.tests if test.path == path and not test.errors)
        else:
            self.focus = change_rows(self.rows, wanted)
        self.group.number("if")

    def _remove(self, path: str) -> None:
        for group in self.group.rows():
            if isinstance(group, GroupRow) and any(part.path == path for part in group.parts):
                group.parts = [part for part in group.parts if part.path != path]
                self.focus = f"{group.path}.add-test"
                return

    # --- Saving

    def changes(self, rule: Any = None) -> dict[str, Any]:
        """What the service is to save. Numbers that are none are named in `errors`, and left out."""
        given: dict[str, Any] = {
            "name": self.name,
            "triggers": list(self.triggers),
            "conditions": self.conditions,
            "actions": self.actions,
            "stops": self.stops,
            "is_active": self.is_active,
        }
        for number in NUMBERS:
            if number.trigger in self.triggers:
                read = _read_number(getattr(self, number.name), number)
                if isinstance(read, str):
                    self.errors[number.name] = [read]
                else:
                    given[number.name] = read
            elif getattr(rule, number.name, None) is not None:
                given[number.name] = None
        return given

    def refuse(self, error: DomainError) -> None:
        """Put what a service refused beside the inputs that it names, and the rest above the form."""
        for place, texts in error.errors.items():
            self._refuse(place, texts)
        if not error.errors:
            self.errors.setdefault("", []).append(error.detail)

    def _refuse(self, place: str, texts: list[str]) -> None:
        head, _, rest = place.partition(".")
        if head == "conditions":
            path, leaf = _path_in_form(rest)
            row = next((row for row in self.group.rows() if row.path == path), self.group)
            if isinstance(row, ConditionRow) and leaf in MATCHES and not row.values:
                texts = ["Choose at least one."] if row.control != "words" else ["Write at least one."]
            row.errors.setdefault(leaf, []).extend(texts)
        elif not refuse_row(self.rows, place, texts):
            if head == "triggers" and not self.triggers:
                texts = ["Choose at least one."]
            if head == "actions" and not self.rows:
                texts = ["Add at least one action."]
            self.errors.setdefault(head, []).extend(texts)

    def fields(self) -> dict[str, list[str]]:
        """What a browser sends of it."""
        sent = {"name": [self.name], "when": list(self.triggers)}
        sent |= {number.name: [getattr(self, number.name)] for number in NUMBERS}
        sent |= {name: ["1"] for name in ("stops", "is_active") if getattr(self, name)}
        sent |= self.group.fields()
        for row in self.rows:
            sent |= row.fields()
        return {name: values for name, values in sent.items() if values}


# --- Actions alone: what a macro's form needs, too ------------------------------------------------


def change_rows(rows: list[ActionRow], wanted: str) -> str:
    """Do what a button of the actions says: `add-action`, `remove:then.1`, `up:then.1`, `down:then.1`.

    Gives the id of the input to go on with. Everything else only gives each row its path.
    """
    what, _, path = wanted.partition(":")
    focus, place = "", _place(path, len(rows))
    if what == "add-action":
        rows.append(ActionRow(kind="set_priority"))
        focus = f"then.{len(rows) - 1}.do"
    elif what == "remove" and place is not None:
        del rows[place]
        focus = "add-action"
    elif what in ("up", "down") and place is not None:
        to = place + (-1 if what == "up" else 1)
        if 0 <= to < len(rows):
            rows.insert(to, rows.pop(place))
            # The button goes with its row; at the end it has nothing more to do.
            if to in (0, len(rows) - 1):
                what = "down" if to == 0 else "up"
            focus = f"then.{to}.{what}"
    for n, row in enumerate(rows):
        row.path = f"then.{n}"
    return focus


def refuse_row(rows: Sequence[ActionRow], place: str, texts: list[str]) -> bool:
    """Put what a service refused (`actions.1.priority`) beside the input it names; False where it names none."""
    head, _, rest = place.partition(".")
    number, _, leaf = rest.partition(".")
    if head != "actions" or (n := _place(f"then.{number}", len(rows))) is None:
        return False
    shown = next((one for one in rows[n].inputs if one.name == leaf), None)
    if shown and not any(rows[n].values.get(leaf, [])):
        texts = ["Choose one." if shown.control in ("select", "menu") else "Write something."]
    rows[n].errors.setdefault(leaf, []).extend(texts)
    return True


def _place(path: str, number: int) -> int | None:
    """The place of the action that a path names, of so many."""
    found = re.fullmatch(r"then\.(\d{1,3})", path, re.ASCII)
    return int(found[1]) if found and int(found[1]) < number else None


def _path_in_form(place: str) -> tuple[str, str]:
    """Where the form has what the service calls `all.1.any.0.is`: its path if.1.0, and the leaf `is`."""
    steps, path = place.split(".") if place else [], "if"
    while len(steps) >= 2 and steps[0] in ("all", "any") and steps[1].isdigit():
        path, steps = f"{path}.{steps[1]}", steps[2:]
    return path, ".".join(steps)


def _read_number(text: str, number: Number) -> Decimal | int | str:
    """The number that was written, or what is wrong with it."""
    try:
        read = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        read = Decimal("NaN")
    if not read.is_finite() or not 0 < read <= LARGEST or (number.is_whole and read % 1):
        return "Write a whole number, like 3." if number.is_whole else "Write a number of hours, like 4 or 0.5."
    return int(read) if number.is_whole else read


# --- Documents → form -------------------------------------------------------------------------


def draft_of(rule: Any) -> Draft:
    """A rule, or anything with a rule's attributes, as it stands in the form."""
    numbers: dict[str, Any] = {number.name: _shown(getattr(rule, number.name, None)) for number in NUMBERS}
    draft = Draft(
        name=rule.name,
        triggers=list(rule.triggers),
        group=group_of(rule.conditions),
        rows=rows_of(rule.actions),
        stops=rule.stops,
        is_active=rule.is_active,
        **numbers,
    )
    draft.change("")  # everything gets its place
    return draft


def starter(word: str) -> Draft:
    """What a new rule begins with: one of the good first ones, or nearly nothing."""
    given = STARTERS.get(word, {})
    draft = Draft(
        name=given.get("name", ""),
        triggers=list(given.get("triggers", ["created"])),
        group=group_of(given.get("conditions", {"all": []})),
        rows=rows_of(given["actions"]) if given else [ActionRow()],
    )
    draft.change("")
    return draft


def _shown(number: Any) -> str:
    """A number without the zeros that a database adds."""
    text = "" if number is None else str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def group_of(document: Any) -> GroupRow:
    """Conditions as they stand in the form. What is none (a rule of another version) is left out."""
    word, parts = next(iter(document.items()), ("all", [])) if isinstance(document, Mapping) else ("all", [])
    read: list[GroupRow | ConditionRow] = []
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, Mapping):
            read.append(_test_of(part) if "field" in part else group_of(part))
    return GroupRow(word if word in ("all", "any") else "all", read)


def _test_of(part: Mapping[str, Any]) -> ConditionRow:
    name = str(part["field"])
    words = FIELDS.get(name, ())
    word = next((one for one in words if one in part), words[0] if words else IS)
    given = part.get(word)
    values = [str(value).lower() if isinstance(value, bool) else str(value) for value in given or []]
    return ConditionRow(field=name, word=word, values=values, name=str(part.get("name") or ""))


def rows_of(actions: Any) -> list[ActionRow]:
    """Actions as they stand in the form."""
    rows: list[ActionRow] = []
    for action in actions if isinstance(actions, list) else []:
        do = str(action.get("do"))
        kind = f"assign_{action.get('method', 'user')}" if do == "assign" else do
        values = {
            asked.name: [str(one) for one in given] if isinstance(given, list) else [str(given)]
            for asked in ASKED.get(kind, ())
            if (given := action.get(asked.name)) is not None
        }
        rows.append(ActionRow(kind=kind, values=values, path=f"then.{len(rows)}"))
    return rows


# --- Form → documents -------------------------------------------------------------------------

_CONDITION = re.compile(r"if((?:\.\d{1,3}){0,20})\.(field|was|word|name|value|lines|add)", re.ASCII)
_ACTION = re.compile(r"then\.(\d{1,3})\.([a-z_]{1,40}(?:\.value)?)", re.ASCII)


def read(data: Data) -> Draft:
    """What a browser sent, right or wrong."""
    known = {word for _, named in TRIGGER_GROUPS for word, _ in named}
    numbers: dict[str, Any] = {number.name: _first(data, number.name)[:20] for number in NUMBERS}
    draft = Draft(
        name=_first(data, "name"),
        triggers=[word for word in known_order() if word in set(data.get("when", ())) & known],
        group=read_group(data),
        rows=read_rows(data),
        stops="stops" in data,
        is_active="is_active" in data,
        **numbers,
    )
    draft.change("")
    return draft


def known_order() -> list[str]:
    """All triggers in the order of the form."""
    return [word for _, named in TRIGGER_GROUPS for word, _ in named]


def _first(data: Data, name: str) -> str:
    given = data.get(name) or [""]
    return given[0].replace("\r\n", "\n")


def read_group(data: Data) -> GroupRow:
    """The conditions that a browser sent."""
    given: dict[tuple[int, ...], dict[str, Sequence[str]]] = {(): {}}
    for key, values in data.items():
        if found := _CONDITION.fullmatch(key):
            path = tuple(int(step) for step in found[1].split(".")[1:])
            for length in range(len(path)):
                given.setdefault(path[:length], {})  # whatever it stands in
            given.setdefault(path, {})[found[2]] = values
    return _read_group(given, ())


def _read_group(given: Mapping[tuple[int, ...], Mapping[str, Sequence[str]]], path: tuple[int, ...]) -> GroupRow:
    inner = sorted(other for other in given if len(other) == len(path) + 1 and other[:-1] == path)
    parts = [_read_test(given[one]) if "field" in given[one] else _read_group(given, one) for one in inner]
    word = _first(given[path], "word")
    return GroupRow(word if word in ("all", "any") else "all", parts)


def _read_test(given: Mapping[str, Sequence[str]]) -> ConditionRow:
    name = _first(given, "field")
    words = FIELDS.get(name, (IS,))
    word = _first(given, "word")
    row = ConditionRow(field=name, word=word if word in words else words[0])
    if _first(given, "was") in ("", name):  # else its values were meant for another field
        written = split(_first(given, "lines")) if row.is_written else []
        row.values = list(dict.fromkeys([*given.get("value", ()), *written]))
        row.name, row.typed = _first(given, "name").strip(), _first(given, "add").strip()
    return row


def read_rows(data: Data) -> list[ActionRow]:
    """The actions that a browser sent. Also a macro's."""
    given: dict[int, dict[str, Sequence[str]]] = {}
    for key, values in data.items():
        if found := _ACTION.fullmatch(key):
            given.setdefault(int(found[1]), {})[found[2]] = values
    rows: list[ActionRow] = []
    for n in sorted(given):
        sent = given[n]
        kind = _first(sent, "do")
        row = ActionRow(kind=kind, path=f"then.{len(rows)}")
        if _first(sent, "was") in ("", kind):
            row.values = {asked.name: _values(sent, asked) for asked in ASKED.get(kind, ())}
        rows.append(row)
    return rows


def _values(sent: Mapping[str, Sequence[str]], asked: Asked) -> list[str]:
    if asked.control == "words":
        return list(dict.fromkeys([*sent.get(f"{asked.name}.value", ()), *split(_first(sent, asked.name))]))
    if asked.control == "menu":
        return list(sent.get(asked.name, ()))
    return [text] if (text := _first(sent, asked.name)) else []
