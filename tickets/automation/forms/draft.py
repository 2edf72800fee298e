"""A whole rule in the form."""

import dataclasses
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from helpdesk.errors import DomainError
from tickets.automation.forms.choices import (
    LARGEST,
    MATCHES,
    NUMBER_OF,
    NUMBERS,
    STARTERS,
    TRIGGER_GROUPS,
    Data,
    Number,
    Offers,
    known_order,
)
from tickets.automation.forms.rows import (
    ActionRow,
    ConditionRow,
    Errors,
    GroupRow,
    change_rows,
    first,
    group_of,
    read_group,
    read_rows,
    refuse_row,
    rows_of,
)


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
        number = NUMBER_OF.get(trigger)
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


def read(data: Data) -> Draft:
    """What a browser sent, right or wrong."""
    known = {word for _, named in TRIGGER_GROUPS for word, _ in named}
    numbers: dict[str, Any] = {number.name: first(data, number.name)[:20] for number in NUMBERS}
    draft = Draft(
        name=first(data, "name"),
        triggers=[word for word in known_order() if word in set(data.get("when", ())) & known],
        group=read_group(data),
        rows=read_rows(data),
        stops="stops" in data,
        is_active="is_active" in data,
        **numbers,
    )
    draft.change("")
    return draft
