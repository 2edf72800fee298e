"""What kind of tickets come: those created in a period by what they are now.

Tickets that were merged into another one since came in, too, and count. What lies in the trash does not.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, QuerySet

from analytics.metrics.csat import share
from analytics.periods import Period
from helpdesk.accounts.models import Team, User, Workspace
from tickets.lifecycle import Priority, Status
from tickets.models import Category, Ticket
from tickets.models.ticket import CHANNELS


class By(StrEnum):
    """What tickets are told apart by."""

    STATUS = "status"
    PRIORITY = "priority"
    CHANNEL = "channel"
    CATEGORY = "category"
    TAG = "tag"
    TEAM = "team"
    ASSIGNEE = "assignee"


# What a ticket has one of, in its own row. The status is always counted: it adds up to all tickets.
_COLUMNS = {
    By.STATUS: "status",
    By.PRIORITY: "priority",
    By.CHANNEL: "channel",
    By.CATEGORY: "category_id",
    By.TEAM: "team_id",
    By.ASSIGNEE: "assignee_id",
}
_WORDS: dict[By, Sequence[str]] = {
    By.STATUS: [one.value for one in Status],
    By.PRIORITY: [one.value for one in Priority],
    By.CHANNEL: [word for word, _ in CHANNELS],
}


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the tickets. `id` is None for words and for the tickets that have none; `share` is in percent."""

    id: UUID | None
    name: str
    tickets: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Branch(Slice):
    """The tickets of a category and of all below it; `own` are those of the category itself."""

    own: int
    parent_id: UUID | None
    depth: int  # 0 for one without a parent
    is_archived: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one period, by what was asked for."""

    period: Period
    tickets: int
    slices: Mapping[By, Sequence[Slice]]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period, and those of the one before if they were asked for."""

    now: Figures
    before: Figures | None


@dataclass(frozen=True, slots=True)
class _Counts:
    """What was counted, still without names: for every `By`, tickets by word or id; None for having none."""

    period: Period
    by: dict[By, dict[Any, int]]
    tags: dict[UUID, str]

    @property
    def tickets(self) -> int:
        return sum(self.by[By.STATUS].values())


def report(
    *,
    workspace: Workspace,
    tickets: "QuerySet[Ticket]",
    period: Period,
    previous: Period | None = None,
    by: Collection[By] = tuple(By),
) -> Report:
    """The tickets (live ones of the workspace) that were created in a period, by what was asked for.

    Two queries, four with `previous`, and one each for the names of categories, teams and agents.
    """
    counted = [_count(tickets, one, by) for one in (period, previous) if one]
    seen = {which: {pk for one in counted for pk in one.by.get(which, {}) if pk} for which in (By.TEAM, By.ASSIGNEE)}
    names: dict[By, dict[UUID, str]] = {}
    if seen[By.TEAM]:
        teams = Team.objects.for_workspace(workspace).filter(pk__in=seen[By.TEAM])
        names[By.TEAM] = dict(teams.values_list("pk", "name"))
    if seen[By.ASSIGNEE]:
        people = User.objects.filter(pk__in=seen[By.ASSIGNEE]).values_list("pk", "name", "email")
        names[By.ASSIGNEE] = {pk: name or email for pk, name, email in people}
    categories = list(Category.objects.for_workspace(workspace)) if By.CATEGORY in by else []

    def figures(of: _Counts) -> Figures:
        made: dict[By, Sequence[Slice]] = {}
        for which in by:
            counts = of.by[which]
            if which is By.CATEGORY:
                made[which] = tree(categories, counts, of.tickets)
            elif which in _WORDS:
                made[which] = [
                    Slice(None, word, counts.get(word, 0), share(counts.get(word, 0), of.tickets))
                    for word in _WORDS[which]
                ]
            else:
                made[which] = _named(counts, of.tags if which is By.TAG else names.get(which, {}), of.tickets)
        return Figures(of.period, of.tickets, made)

    now, *before = map(figures, counted)
    return Report(now, before[0] if before else None)


def _count(tickets: "QuerySet[Ticket]", period: Period, by: Collection[By]) -> _Counts:
    """The tickets of one period by what was asked for. One query, two with tags."""
    created = tickets.order_by().filter(created_at__gte=period.start, created_at__lt=period.end)
    asked = [one for one in _COLUMNS if one in by or one is By.STATUS]
    columns = [_COLUMNS[one] for one in asked]
    inner, values = created.values(*columns).query.sql_with_params()
    # All at once, in one pass over the tickets: the ORM has no grouping sets.
    names = ", ".join(columns)
    sets = ", ".join(f"({column})" for column in columns)
    counts: dict[By, dict[Any, int]] = {one: {} for one in asked}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT grouping({names}), {names}, count(*) FROM ({inner}) AS created GROUP BY GROUPING SETS ({sets})",  # noqa: S608 - names of columns, and what the ORM wrote
            values,
        )
        for mask, *row, n in cursor.fetchall():
            # A bit for each column, the first one highest, is 1 where the row is not about it.
            place = next(i for i in range(len(columns)) if not mask >> (len(columns) - 1 - i) & 1)
            counts[asked[place]][row[place]] = n
    tags: dict[UUID, str] = {}
    if By.TAG in by:
        counted = list(created.values_list("tags", "tags__name").annotate(n=Count("pk")))
        counts[By.TAG] = {pk: n for pk, _, n in counted}
        tags = {pk: name for pk, name, _ in counted if pk}
    return _Counts(period, counts, tags)


def _named(counts: Mapping[UUID | None, int], names: Mapping[UUID, str], whole: int) -> list[Slice]:
    """Most tickets first, then by name; what has none is the last, and always there."""
    found = [Slice(pk, names.get(pk, ""), n, share(n, whole)) for pk, n in counts.items() if pk is not None]
    found.sort(key=lambda one: (-one.tickets, one.name.casefold(), str(one.id)))
    none = counts.get(None, 0)
    return [*found, Slice(None, "", none, share(none, whole))]


def tree(categories: Collection[Category], counts: Mapping[UUID | None, int], whole: int) -> list[Slice]:
    """Every category with the tickets of those below it, each parent right before its children, by name.

    An archived one is there as long as it has tickets, or another one below it is there. Tickets without a category
    come last.
    """
    children: dict[UUID | None, list[Category]] = {}
    for one in sorted(categories, key=lambda one: (one.name.casefold(), str(one.pk))):
        children.setdefault(one.parent_id, []).append(one)

    def below(parent_id: UUID | None, depth: int) -> list[Branch]:
        found: list[Branch] = []
        for one in children.get(parent_id, []):
            under = below(one.pk, depth + 1)
            own = counts.get(one.pk, 0)
            total = own + sum(branch.own for branch in under)
            is_archived = one.archived_at is not None
            if total or not is_archived or under:
                of = (one.pk, one.name, total, share(total, whole))
                found += [Branch(*of, own=own, parent_id=parent_id, depth=depth, is_archived=is_archived), *under]
        return found

    none = counts.get(None, 0)
    nothing = Branch(None, "", none, share(none, whole), own=none, parent_id=None, depth=0, is_archived=False)
    return [*below(None, 0), nothing]
