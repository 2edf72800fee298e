"""A parsing rule in the form: its tests and actions as rows of inputs, and back. Without JSON and without scripts.

Every input is named by its place: `if.0.field` of the first test, `then.1.do` of the second action. The buttons of the
form are submit buttons that change the draft and draw it anew (`RuleDraft.change`). `was` beside a kind says for which
one the other inputs were drawn: what was given for another one is dropped.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from helpdesk.errors import DomainError
from tickets.forms import PRIORITIES, Choice, words
from tickets.mail.models import ParsingRule
from tickets.mail.services import rules

Data = Mapping[str, Sequence[str]]  # what a browser sends: every value of every name
Errors = dict[str, list[str]]

FIELDS: list[Choice] = [
    ("sender", "Sender"),
    ("recipient", "Recipient"),
    ("subject", "Subject"),
    ("body", "Text"),
    ("header", "Header"),
]
OPERATORS: list[Choice] = [
    ("contains", "contains"),
    ("contains_not", "does not contain"),
    ("is", "is"),
    ("is_not", "is not"),
    ("starts_with", "starts with"),
    ("ends_with", "ends with"),
    ("matches", "matches"),
]
DOINGS: list[Choice] = [
    ("set_priority", "Set the priority to"),
    ("set_category", "Set the category to"),
    ("add_tags", "Add tags"),
    ("set_team", "Give to team"),
    ("assign", "Assign to"),
    ("map", "Fill in a field"),
    ("drop", "Drop the message"),
]
SOURCES: list[Choice] = [
    ("subject", "the subject"),
    ("body", "the text"),
    ("sender", "the sender"),
    ("header", "a header"),
]
TARGETS: list[Choice] = [
    ("requester_email", "Requester’s address"),
    ("requester_name", "Requester’s name"),
    ("priority", "Priority"),
    ("category", "Category"),
    ("tags", "Tags"),
]
HINTS = {
    "sender": "@example.com",
    "recipient": "billing@example.com",
    "subject": "invoice",
    "body": "unsubscribe",
    "header": "bulk",
}
_PLACE = re.compile(r"(if|then)\.(\d{1,3})\.([a-z]{2,10})", re.ASCII)
_OFFERED = {"set_priority": "priorities", "set_category": "categories", "set_team": "teams", "assign": "agents"}


class Option(NamedTuple):
    """One value that can be chosen."""

    value: str
    label: str
    is_chosen: bool


def _options(offered: Sequence[Choice], chosen: str) -> list[Option]:
    known = [Option(value, label, value == chosen) for value, label in offered]
    # What is gone stays chosen, so that one sees it.
    return (
        known if not chosen or any(option.is_chosen for option in known) else [Option(chosen, "Deleted", True), *known]
    )


@dataclass
class Row:
    """One test or one action: what stands in its inputs, and what is wrong with them."""

    given: dict[str, str] = field(default_factory=dict)
    path: str = ""
    errors: Errors = field(default_factory=dict)
    offers: Mapping[str, Sequence[Choice]] = field(default_factory=dict, repr=False)

    def got(self, name: str) -> str:
        """What was given under a name; not `row[name]`, which templates would take for all their look-ups."""
        return self.given.get(name, "")

    @property
    def value(self) -> str:
        """What is written or chosen as the value."""
        return self.got("value")

    @property
    def header(self) -> str:
        """The name of a header."""
        return self.got("header")

    @property
    def pattern(self) -> str:
        """The expression of a mapping."""
        return self.got("pattern")

    @property
    def all_errors(self) -> list[tuple[str, list[str]]]:
        """What is wrong, each with the id of its input."""
        return [(f"{self.path}.{name}" if name else self.path, texts) for name, texts in self.errors.items()]

    def is_wrong(self, name: str) -> bool:
        return name in self.errors


@dataclass
class TestRow(Row):
    """A test."""

    __test__ = False  # no test of pytest's

    @property
    def kind(self) -> str:
        """What it looks at."""
        return self.got("field") or "subject"

    @property
    def field_options(self) -> list[Option]:
        """What it can look at."""
        return _options(FIELDS, self.kind)

    @property
    def operator_options(self) -> list[Option]:
        """How it can compare."""
        return _options(OPERATORS, self.got("operator") or "contains")

    @property
    def has_header(self) -> bool:
        """Whether a header's name is asked for."""
        return self.kind == "header"

    @property
    def hint(self) -> str:
        """An example."""
        return r"order #?\d+" if self.got("operator") == "matches" else HINTS.get(self.kind, "")

    def document(self) -> dict[str, Any]:
        """As rules keep it."""
        header = {"header": self.header} if self.has_header else {}
        return {"field": self.kind, "operator": self.got("operator") or "contains", "value": self.value, **header}


@dataclass
class ActionRow(Row):
    """An action."""

    @property
    def kind(self) -> str:
        """What it does."""
        return self.got("do") or "set_priority"

    @property
    def do_options(self) -> list[Option]:
        """What it can do."""
        return _options(DOINGS, self.kind)

    @property
    def label(self) -> str:
        """What it does, in words."""
        return dict(DOINGS).get(self.kind, self.kind)

    @property
    def choices(self) -> list[Option]:
        """From what its value is chosen; empty where it is written, or there is none."""
        if self.kind not in _OFFERED:
            return []
        return _options([("", "Choose …"), *self.offers.get(_OFFERED[self.kind], ())], self.value)

    @property
    def source_options(self) -> list[Option]:
        """Where a mapping can look."""
        return _options(SOURCES, self.got("source") or "subject")

    @property
    def has_header(self) -> bool:
        """Whether a header's name is asked for."""
        return self.kind == "map" and self.got("source") == "header"

    @property
    def target_options(self) -> list[Option]:
        """What a mapping can fill in."""
        return _options([("", "Choose …"), *TARGETS, *self.offers.get("fields", ())], self.got("target"))

    def document(self) -> dict[str, Any]:
        """As rules keep it."""
        if self.kind == "drop":
            return {"do": "drop"}
        if self.kind == "map":
            header = {"header": self.header} if self.has_header else {}
            source = self.got("source") or "subject"
            return {"do": "map", "source": source, "pattern": self.pattern, "target": self.got("target"), **header}
        return {"do": self.kind, "value": words(self.value) if self.kind == "add_tags" else self.value}


@dataclass
class RuleDraft:
    """A rule as it stands in the form, right or wrong. `focus` is the id of the input to go on with after a change."""

    name: str = ""
    mailbox_id: str = ""
    needs_all: bool = True
    stops: bool = False
    is_active: bool = True
    tests: list[TestRow] = dataclasses.field(default_factory=lambda: [TestRow()])
    actions: list[ActionRow] = dataclasses.field(default_factory=lambda: [ActionRow()])
    focus: str = ""
    errors: Errors = dataclasses.field(default_factory=dict)
    mailbox_options: list[Option] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self._number()

    @property
    def is_refused(self) -> bool:
        """Whether anything is wrong with it."""
        return bool(self.errors) or any(row.errors for row in (*self.tests, *self.actions))

    def _number(self) -> None:
        for name, rows in (("if", self.tests), ("then", self.actions)):
            for place, row in enumerate(rows):
                row.path = f"{name}.{place}"

    def change(self, wanted: str) -> None:
        """Do what a button says: `add-test`, `add-action`, `remove:if.0`, `remove:then.1`; anything else only draws."""
        what, _, path = wanted.partition(":")
        if what == "add-test" and len(self.tests) < rules.MAX_PARTS:
            self.tests.append(TestRow())
            self.focus = f"if.{len(self.tests) - 1}.field"
        elif what == "add-action" and len(self.actions) < rules.MAX_PARTS:
            self.actions.append(ActionRow())
            self.focus = f"then.{len(self.actions) - 1}.do"
        elif what == "remove":
            self.tests = [row for row in self.tests if row.path != path]
            self.actions = [row for row in self.actions if row.path != path]
            self.focus = "add-test" if path.startswith("if") else "add-action"
        elif what == "draw" and _PLACE.fullmatch(path):
            self.focus = path
        self._number()

    def offer(self, offers: Mapping[str, Sequence[Choice]]) -> None:
        """What the workspace has to choose from: mailboxes, categories, teams, agents, fields."""
        known = {**offers, "priorities": PRIORITIES}
        for row in self.actions:
            row.offers = known
        self.mailbox_options = _options([("", "Every mailbox"), *offers.get("mailboxes", ())], self.mailbox_id)

    def changes(self) -> dict[str, Any]:
        """What the service is told."""
        return {
            "name": self.name,
            "mailbox_id": _uuid(self.mailbox_id),
            "needs_all": self.needs_all,
            "stops": self.stops,
            "is_active": self.is_active,
            "tests": [row.document() for row in self.tests],
            "actions": [row.document() for row in self.actions],
        }

    def refuse(self, error: DomainError) -> None:
        """Put what a service refused beside the input that it names."""
        if not error.errors:
            self.errors.setdefault("", []).append(error.detail)
        for place, texts in error.errors.items():
            head, _, rest = place.partition(".")
            number, _, leaf = rest.partition(".")
            rows: Sequence[Row] = self.tests if head == "tests" else self.actions if head == "actions" else []
            if number.isdecimal() and int(number) < len(rows):
                rows[int(number)].errors.setdefault(leaf, []).extend(texts)
            else:
                self.errors.setdefault(place, []).extend(texts)


def _uuid(text: str) -> UUID | str | None:
    """An id, None for none; what is no id as it is, for the service to refuse."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return text


def draft_of(rule: ParsingRule | None) -> RuleDraft:
    """The form of a rule; of a new one with one row of each kind."""
    if rule is None:
        return RuleDraft()
    tests = [TestRow({name: str(value) for name, value in one.items()}) for one in rule.tests]
    actions = []
    for one in rule.actions:
        given = {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in one.items()}
        actions.append(ActionRow(given))
    return RuleDraft(
        name=rule.name,
        mailbox_id=str(rule.mailbox_id or ""),
        needs_all=rule.needs_all,
        stops=rule.stops,
        is_active=rule.is_active,
        tests=tests,
        actions=actions,
    )


def read(data: Data) -> RuleDraft:
    """The rule that a browser sent."""
    given: dict[tuple[str, int], dict[str, str]] = {}
    for key, values in data.items():
        if found := _PLACE.fullmatch(key):
            text = values[-1] if values else ""
            given.setdefault((found[1], int(found[2])), {})[found[3]] = text
    tests = [TestRow(given[place]) for place in sorted(given) if place[0] == "if"]
    actions = []
    for place in sorted(given):
        if place[0] == "then":
            sent = given[place]
            is_other = sent.get("was", "") not in ("", sent.get("do", ""))
            actions.append(ActionRow({"do": sent.get("do", "")} if is_other else sent))
    return RuleDraft(
        name=_first(data, "name"),
        mailbox_id=_first(data, "mailbox"),
        needs_all=_first(data, "needs") != "any",
        stops="stops" in data,
        is_active="is_active" in data,
        tests=tests[: rules.MAX_PARTS],
        actions=actions[: rules.MAX_PARTS],
    )


def _first(data: Data, name: str) -> str:
    values = data.get(name) or [""]
    return values[0]
