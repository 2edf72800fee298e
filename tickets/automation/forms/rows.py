"""Conditions and actions in the form, one row each: from documents and what a browser sends, and back."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tickets.automation.conditions import FIELDS, IS, MAX_DEPTH, NONE
from tickets.automation.forms.choices import (
    ACTION_GROUPS,
    ACTION_NOTES,
    ASKED,
    FEW,
    FIELD_GROUPS,
    FIELD_LABELS,
    HINTS,
    MANY,
    MATCHES,
    MENUS,
    METHODS,
    NO_OFFERS,
    NOTHING,
    Asked,
    Data,
    Labelled,
    Offers,
    Option,
    fits,
    split,
)

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
        return [n for n, value in enumerate(self.values) if value not in offered and fits(value)]

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
            options = [Option(value, value, True) for value in given if not fits(value)]
            text = ", ".join(value for value in given if fits(value))
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
            given[asked.name] = list(values) if asked.name in MANY else first
        if self.kind in METHODS:
            return {"do": "assign", "method": METHODS[self.kind], "team_id": given["team_id"] or None}
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


# --- Documents → form -------------------------------------------------------------------------


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


def first(data: Data, name: str) -> str:
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
    word = first(given[path], "word")
    return GroupRow(word if word in ("all", "any") else "all", parts)


def _read_test(given: Mapping[str, Sequence[str]]) -> ConditionRow:
    name = first(given, "field")
    words = FIELDS.get(name, (IS,))
    word = first(given, "word")
    row = ConditionRow(field=name, word=word if word in words else words[0])
    if first(given, "was") in ("", name):  # else its values were meant for another field
        written = split(first(given, "lines")) if row.is_written else []
        row.values = list(dict.fromkeys([*given.get("value", ()), *written]))
        row.name, row.typed = first(given, "name").strip(), first(given, "add").strip()
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
        kind = first(sent, "do")
        row = ActionRow(kind=kind, path=f"then.{len(rows)}")
        if first(sent, "was") in ("", kind):
            row.values = {asked.name: _values(sent, asked) for asked in ASKED.get(kind, ())}
        rows.append(row)
    return rows


def _values(sent: Mapping[str, Sequence[str]], asked: Asked) -> list[str]:
    if asked.control == "words":
        return list(dict.fromkeys([*sent.get(f"{asked.name}.value", ()), *split(first(sent, asked.name))]))
    if asked.control == "menu":
        return list(sent.get(asked.name, ()))
    return [text] if (text := first(sent, asked.name)) else []
