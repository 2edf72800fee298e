"""The rule book of a workspace: its active rules, read once per process and again when one has changed.

The database counts the changes (a trigger on the rules), so a worker that has the right count has
the right rules. Whoever changes rules opens the book first (`open_book`), and one does at a time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from tickets.automation import conditions
from tickets.automation.conditions import ConditionError, Group
from tickets.automation.models import TIMED, Rule, RuleBook

# Rules in their order, each with its conditions, or with why they cannot be read.
Asking = list[tuple[Rule, Group | ConditionError]]
_ROOM = 256  # workspaces


@dataclass(frozen=True)
class Book:
    """The active rules of a workspace, in their order. The rules in it are shared: they are only read."""

    version: int
    rules: Asking

    def pulled_by(self, triggers: Collection[str]) -> Asking:
        """The rules that one of these triggers makes look at a ticket."""
        return [(rule, group) for rule, group in self.rules if not set(triggers).isdisjoint(rule.triggers)]

    @property
    def timed(self) -> list[Rule]:
        """The rules that wait for a time to come."""
        return [rule for rule, _ in self.pulled_by(TIMED)]


_EMPTY = Book(0, [])
_books: dict[UUID, Book] = {}


def book_of(workspace_id: UUID, version: int | None) -> Book:
    """The rule book, whose count of changes the caller has just read; None: there never was a rule."""
    if version is None:
        return _EMPTY
    book = _books.get(workspace_id)
    if book is None or book.version != version:
        rows = Rule.objects.for_workspace(workspace_id).filter(is_active=True, archived_at=None)
        book = Book(version, [(rule, group_or_error(rule)) for rule in rows.order_by("position", "created_at", "pk")])
        if len(_books) >= _ROOM:
            _books.clear()
        _books[workspace_id] = book
    return book


def open_book(workspace_id: UUID) -> RuleBook:
    """The book's row, locked until the transaction ends. Always before a rule is written, never after."""
    RuleBook.unscoped.bulk_create([RuleBook(workspace_id=workspace_id)], ignore_conflicts=True)
    row: RuleBook = RuleBook.objects.for_workspace(workspace_id).select_for_update().get()
    return row


def group_of(rule: Rule) -> Group:
    """The conditions of a rule. Raises ConditionError where they cannot be read."""
    return conditions.read(rule.conditions)


def group_or_error(rule: Rule) -> Group | ConditionError:
    """The conditions of a rule, or why they cannot be read."""
    try:
        return group_of(rule)
    except ConditionError as error:
        return error
