"""A macro as it stands in its form: a name, when to use it, and the same actions as in the builder."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from helpdesk.errors import DomainError
from tickets.automation.forms.choices import Data, Offers
from tickets.automation.forms.rows import ActionRow, change_rows, first, read_rows, refuse_row, rows_of


@dataclass
class MacroDraft:
    """What stands in the form, right or wrong."""

    name: str = ""
    description: str = ""
    is_active: bool = True
    rows: list[ActionRow] = dataclasses.field(default_factory=list)
    errors: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    focus: str = ""

    def change(self, wanted: str) -> None:
        """Do what a button of the actions says."""
        self.focus = change_rows(self.rows, wanted)

    def offer(self, offers: Offers) -> None:
        """Let the actions choose from these."""
        for row in self.rows:
            row.offers = offers

    def changes(self) -> dict[str, Any]:
        """As the service takes it."""
        return {
            "name": self.name,
            "description": self.description,
            "is_active": self.is_active,
            "actions": [row.document() for row in self.rows],
        }

    @property
    def is_refused(self) -> bool:
        """Whether anything in it is wrong."""
        return bool(self.errors) or any(row.errors for row in self.rows)

    def refuse(self, error: DomainError) -> None:
        """Put what a service refused beside the inputs that it names, and the rest above the form."""
        for place, texts in error.errors.items():
            if not refuse_row(self.rows, place, texts):
                given = ["Add at least one action."] if place == "actions" and not self.rows else texts
                self.errors.setdefault(place, []).extend(given)
        if not error.errors:
            self.errors.setdefault("", []).append(error.detail)


def macro_draft(macro: Any = None) -> MacroDraft:
    """A macro as it stands in the form; a new one begins with one action."""
    if macro is None:
        draft = MacroDraft(rows=[ActionRow(kind="set_status")], focus="name")
    else:
        draft = MacroDraft(macro.name, macro.description, macro.is_active, rows_of(macro.actions))
    change_rows(draft.rows, "")
    return draft


def read_macro(data: Data) -> MacroDraft:
    """What a browser sent, right or wrong."""
    draft = MacroDraft(first(data, "name"), first(data, "description"), "is_active" in data, read_rows(data))
    change_rows(draft.rows, "")
    return draft
