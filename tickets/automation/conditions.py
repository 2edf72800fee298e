"""If … : whether a ticket meets the conditions of a rule, and why. Pure.

Conditions are data: groups that want `all` or `any` of what stands in them, and tests of one field:

```
{"all": [
    {"field": "category", "is": ["0190…"]},
    {"any": [
        {"field": "subject", "contains": ["refund", "chargeback"]},
        {"field": "attribute", "name": "plan", "is": ["pro"]},
    ]},
    {"field": "business_hours", "is": [false]},
]}
```

A list of values means any of them; the opposite words `is_not` and `contains_not` mean none of them.
The word `none` stands for having no value. An empty group is met. Text is compared without regard
to case; a keyword is found as whole words, so that "bill" is not in "billion". An attribute that is
a list has each of its values.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from tickets.deadlines import STATES
from tickets.lifecycle import Priority, Status
from tickets.markup import is_text

NONE = "none"
MAX_DEPTH = 5
MAX_TESTS = 100
MAX_VALUES = 100
MAX_TEXT = 200  # characters of a value

IS, IS_NOT, CONTAINS, CONTAINS_NOT = "is", "is_not", "contains", "contains_not"
_OPPOSITES = frozenset({IS_NOT, CONTAINS_NOT})

# What can be asked for: the field, and with which words.
_CHOICES = (
    "category", "priority", "status", "channel", "assignee", "team", "organization", "tag", "sla_state", "language",
    "requester", "rating",
)  # fmt: skip
# Fields that have only a few values; another one would never be met.
WORDS: dict[str, tuple[str, ...]] = {
    "priority": tuple(priority.value for priority in Priority),
    "status": ("new", *(status.value for status in Status)),
    "sla_state": (*(state.value for state in STATES), NONE),
    "rating": ("1", "2", "3", "4", "5", NONE),
}
_TEXTS = ("subject", "body")
_FLAGS = ("business_hours",)
FIELDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_CHOICES, (IS, IS_NOT)),
    **dict.fromkeys(_TEXTS, (CONTAINS, CONTAINS_NOT)),
    **dict.fromkeys(_FLAGS, (IS,)),
    "attribute": (IS, IS_NOT),
}


class ConditionError(ValueError):
    """A document is no condition. `errors` says why, by the place in it: {"all.1.any.0.field": ["…"]}."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(next(iter(errors.values()))[0])
        self.errors = {place: list(texts) for place, texts in errors.items()}


@dataclass(frozen=True)
class Facts:
    """What a ticket is at the moment of the event.

    The choices are sets, because a ticket has several tags, and because its category is also every
    category above it; an empty one is `none`. `attributes` are the customer's, the contact's own
    before those of the organisation.
    """

    choices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    in_business_hours: bool = True

    @cached_property
    def folded(self) -> dict[str, str]:
        """The texts as keywords are looked for, made once for all rules: a message can be long."""
        return {name: fold(text) for name, text in self.texts.items()}


@dataclass(frozen=True)
class Reason:
    """Whether one test or group was met, and of a group what was in it."""

    is_met: bool
    text: str
    parts: tuple["Reason", ...] = ()


@dataclass(frozen=True)
class Test:
    """One field that must, or must not, have one of some values."""

    field: str
    word: str
    values: tuple[str, ...]
    name: str = ""  # of an attribute

    def is_met(self, facts: Facts) -> bool:
        """Whether the ticket has it."""
        return self._found(facts) != (self.word in _OPPOSITES)

    def _found(self, facts: Facts) -> bool:
        if self.field in _TEXTS:
            return _has_any(facts.folded.get(self.field, ""), self.values)
        if self.field == "business_hours":
            return ("true" if facts.in_business_hours else "false") in self.values
        if self.field == "attribute":
            value = facts.attributes.get(self.name)
            return any(plain(one) in self.values for one in (value if isinstance(value, list) and value else [value]))
        has = facts.choices.get(self.field, frozenset())
        if not has:
            return NONE in self.values
        return any(value in has for value in self.values)

    def why(self, facts: Facts) -> Reason:
        """The same, in words."""
        label = f"{self.field} {self.name}".strip().replace("_", " ")
        word = {IS: "is", IS_NOT: "is not", CONTAINS: "contains", CONTAINS_NOT: "does not contain"}[self.word]
        return Reason(self.is_met(facts), f"{label} {word} {' or '.join(self.values)}")

    def document(self) -> dict[str, Any]:
        """As it was written."""
        values: list[Any] = [value == "true" for value in self.values] if self.field in _FLAGS else list(self.values)
        name = {"name": self.name} if self.field == "attribute" else {}
        return {"field": self.field, **name, self.word: values}


@dataclass(frozen=True)
class Group:
    """Conditions of which all, or any, must be met."""

    word: str  # all or any
    parts: tuple["Group | Test", ...] = ()

    def is_met(self, facts: Facts) -> bool:
        """Whether the ticket meets them; an empty group is met."""
        if not self.parts:
            return True
        return (all if self.word == "all" else any)(part.is_met(facts) for part in self.parts)

    def why(self, facts: Facts) -> Reason:
        """The same, with every part in words."""
        return Reason(self.is_met(facts), self.word, tuple(part.why(facts) for part in self.parts))

    def document(self) -> dict[str, Any]:
        """As it was written."""
        return {self.word: [part.document() for part in self.parts]}

    def tests(self) -> Iterable[Test]:
        """Every test in it, however deep."""
        for part in self.parts:
            yield from part.tests() if isinstance(part, Group) else (part,)

    @cached_property
    def fields(self) -> frozenset[str]:
        """What it asks about."""
        return frozenset(test.field for test in self.tests())


def fold(text: str) -> str:
    """Text as it is compared: without regard to case, and to how a letter and its accent are put together."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def plain(value: Any) -> str:
    """A value as tests compare it: text in lower case; yes and no for true and false, `none` for nothing."""
    if value is None or value == []:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # 5.0 is 5
    return fold(str(value)).strip() or NONE


def _has_any(text: str, keywords: tuple[str, ...]) -> bool:
    """Whether any of these words or phrases stands in the (folded) text, whole.

    Most are nowhere in it, which is told ten times faster than where a word begins.
    """
    return any(
        all(part in text for part in parts) and pattern.search(text) is not None
        for parts, pattern in _compiled(keywords)
    )


@lru_cache(maxsize=4096)
def _compiled(keywords: tuple[str, ...]) -> list[tuple[list[str], re.Pattern[str]]]:
    """Each keyword's words, and what finds it; white space in a phrase stands for any white space."""
    return [(keyword.split(), re.compile(_whole(keyword))) for keyword in keywords]


def _whole(phrase: str) -> str:
    """Where a keyword begins or ends with a letter or digit, no other one goes on: "c++" ends by itself."""
    before, after = r"(?<!\w)" if re.match(r"\w", phrase) else "", r"(?!\w)" if re.search(r"\w\Z", phrase) else ""
    return before + r"\s+".join(map(re.escape, phrase.split())) + after


# --- Reading ----------------------------------------------------------------------------------


def read(document: Any) -> Group:
    """A condition from its document. Raises ConditionError with everything that is wrong, by its place."""
    reader = _Reader()
    group = reader.group(document, "", 1)
    if reader.tests > MAX_TESTS:
        reader.refuse("", f"Up to {MAX_TESTS} conditions are possible.")
    if reader.groups > MAX_TESTS:
        reader.refuse("", f"Up to {MAX_TESTS} groups are possible.")
    if reader.errors:
        raise ConditionError(reader.errors)
    return group


class _Reader:
    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}
        self.tests = self.groups = 0

    def refuse(self, place: str, text: str) -> None:
        self.errors.setdefault(place, []).append(text)

    def group(self, given: Any, place: str, depth: int) -> Group:
        self.groups += 1
        if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in ("all", "any"):
            self.refuse(place, "This must be an object with one of the words all and any.")
            return Group("all")
        word, parts = next(iter(given.items()))
        inside = f"{place}.{word}".lstrip(".")
        if not isinstance(parts, list):
            self.refuse(inside, "This must be a list of conditions.")
            return Group("all")
        if depth > MAX_DEPTH:
            self.refuse(inside, f"Groups can be {MAX_DEPTH} levels deep.")
            return Group("all")
        return Group(str(word), tuple(self.part(part, f"{inside}.{n}", depth) for n, part in enumerate(parts)))

    def part(self, given: Any, place: str, depth: int) -> Group | Test:
        if isinstance(given, Mapping) and "field" in given:
            return self.test(given, place)
        return self.group(given, place, depth + 1)

    def test(self, given: Mapping[str, Any], place: str) -> Test:
        self.tests += 1
        name = given["field"]
        if not isinstance(name, str) or name not in FIELDS:
            self.refuse(f"{place}.field", f"There is no field {str(name)[:40]!r}.")
            return Test("subject", CONTAINS, ())
        words = [word for word in FIELDS[name] if word in given]
        known = {"field", *FIELDS[name], *(("name",) if name == "attribute" else ())}
        for other in sorted(set(map(str, given)) - known):
            self.refuse(f"{place}.{other[:40]}", f"There is no such word for {name}.")
        if len(words) != 1:
            self.refuse(place, f"Say one of: {', '.join(FIELDS[name])}.")
            return Test(name, FIELDS[name][0], ())
        return Test(name, words[0], self.values(name, given[words[0]], f"{place}.{words[0]}"), self.name(given, place))

    def name(self, given: Mapping[str, Any], place: str) -> str:
        if given["field"] != "attribute":
            return ""
        name = given.get("name")
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_TEXT or not is_text(name):
            self.refuse(f"{place}.name", "Say the name of the attribute.")
            return ""
        return name.strip()

    def values(self, name: str, given: Any, place: str) -> tuple[str, ...]:
        if not isinstance(given, list) or not 1 <= len(given) <= MAX_VALUES:
            self.refuse(place, f"This must be a list of 1 to {MAX_VALUES} values.")
            return ()
        if name in _FLAGS:
            if not all(isinstance(value, bool) for value in given):
                self.refuse(place, "This must be true or false.")
            return tuple(str(bool(value)).lower() for value in given)
        read = []
        for value in given:
            text = plain(value) if isinstance(value, str | int | float) and str(value).strip() else ""
            if not text or len(text) > MAX_TEXT or not is_text(text):
                self.refuse(place, f"Each value must be text of 1 to {MAX_TEXT} characters.")
            elif name in WORDS and text not in WORDS[name]:
                self.refuse(place, f"Each value must be one of: {', '.join(WORDS[name])}.")
            else:
                read.append(text)
        return tuple(dict.fromkeys(read))
