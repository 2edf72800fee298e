"""Why a rule matched a ticket or did not: each of its tests in words with names, and what the ticket had instead."""

from collections.abc import Iterator
from typing import Any

from tickets.automation.conditions import CONTAINS_NOT, IS_NOT, NONE, Facts, Group, Test
from tickets.automation.services.names import Names
from tickets.automation.services.rewind import Rewinder, Ticket

LONGEST = 120  # characters of what a ticket had
_TEXTS = ("subject", "body")
_LABELS = {"organization": "organisation", "sla_state": "SLA state", "body": "text"}
_GROUPS = {"all": "all of these", "any": "any of these"}


class Reasons:
    """The conditions of a rule, ready to say why of very many tickets."""

    def __init__(self, group: Group, names: Names) -> None:
        self._names = names
        self._lines = list(self._flat(group, 0 if group.word == "all" else 1))
        if group.word == "any" and group.parts:
            self._lines.insert(0, (group, 0, _GROUPS["any"]))

    def _flat(self, group: Group, depth: int) -> Iterator[tuple[Group | Test, int, str]]:
        for part in group.parts:
            if isinstance(part, Test):
                yield part, depth, self._words(part)
            else:
                yield part, depth, _GROUPS[part.word]
                yield from self._flat(part, depth + 1)

    def _words(self, test: Test) -> str:
        if test.field == "business_hours":
            within = set(test.values)
            return "at any time" if len(within) > 1 else f"{'within' if 'true' in within else 'outside'} business hours"
        if test.field in _TEXTS:
            verb = "does not contain" if test.word == CONTAINS_NOT else "contains"
            return f"{_label(test)} {verb} {' or '.join(f'“{value}”' for value in test.values)}"
        verb = "is not" if test.word == IS_NOT else "is"
        return f"{_label(test)} {verb} {' or '.join(self._name(test.field, value) for value in test.values)}"

    def _name(self, field: str, value: str) -> str:
        return value.replace("_", " ") if field == "sla_state" else self._names.of(field, value)

    def of(self, facts: Facts, rewinder: Rewinder, ticket: Ticket) -> list[dict[str, Any]]:
        """Every test and inner group in its order: its words, whether it was met, how deep it stands.

        `was` is what the ticket had, where that is not long.
        """
        return [
            {
                "text": text,
                "is_met": part.is_met(facts),
                "was": self._was(part, facts, rewinder, ticket) if isinstance(part, Test) else "",
                "depth": depth,
            }
            for part, depth, text in self._lines
        ]

    def _was(self, test: Test, facts: Facts, rewinder: Rewinder, ticket: Ticket) -> str:
        field = test.field
        if field in _TEXTS:
            return ""
        if field == "business_hours":
            return "within" if facts.in_business_hours else "outside"
        if field == "status":
            return ticket.shown_status
        if field == "requester":
            return ticket.requester
        if field == "category":  # itself, without those above it
            return self._names.of(field, ticket.category) if ticket.category else NONE
        if field == "attribute":
            value = facts.attributes.get(test.name)
            values = [str(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
        else:
            values = sorted(self._name(field, value) for value in facts.choices.get(field, ()))
        said = ", ".join(values) or NONE
        return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def _label(test: Test) -> str:
    if test.field == "attribute":
        return f"the customer’s {test.name}"
    return _LABELS.get(test.field, test.field)
