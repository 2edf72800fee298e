"""The filters of the queue page and of the API's list: one FilterSet, so that the same parameter means the same.

Orders and conditions are written so that the partial indexes of `Ticket.Meta` serve them.
"""

import datetime as dt
import re
from collections.abc import Collection, Mapping
from typing import Any, cast
from uuid import UUID

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Exists, F, OrderBy, OuterRef, Q, QuerySet
from django.http import QueryDict

from helpdesk.accounts.models import Contact, User, Workspace
from helpdesk.errors import InvalidInput
from tickets import search
from tickets.deadlines import STATES, State
from tickets.lifecycle import Priority, Status
from tickets.markup import is_text
from tickets.models import Ticket, TicketTag
from tickets.models.counting import kept_counts, total
from tickets.services import setup

NEW = "new"  # open, and no agent has been assigned or has answered: a filter word, not a status
ME, NONE = "me", "none"
STATUS_WORDS = (NEW, *(status.value for status in Status))
PRIORITY_WORDS = tuple(priority.value for priority in Priority)
SLA_WORDS = tuple(state.value for state in STATES)
MAX_VALUES = 50

IN_WORK = f"{Status.OPEN.value},{Status.PENDING.value}"
# What the three views of the queue ask for; other parameters are laid over it.
VIEWS: dict[str, dict[str, str]] = {
    "mine": {"assignee": ME, "status": IN_WORK},
    "unassigned": {"assignee": NONE, "status": IN_WORK},
    "all": {"status": IN_WORK},
}
# Parameters that are no filters: which page, and which view of the console.
NO_FILTERS = frozenset({"page", "limit", "view"})

# Each order has an index (the last two only among tickets in work), read backwards for its opposite.
SORTS: dict[str, tuple[str | OrderBy, ...]] = {
    "-created": ("-created_at", "-id"),
    "created": ("created_at", "id"),
    "-updated": ("-updated_at", "-id"),
    "updated": ("updated_at", "id"),
    "number": ("number",),
    "-number": ("-number",),
    "priority": ("priority_rank", "-created_at", "-id"),
    "-priority": ("-priority_rank", "created_at", "id"),
    "deadline": (F("next_deadline_at").asc(nulls_last=True), "-created_at", "-id"),
    "-deadline": (F("next_deadline_at").desc(nulls_first=True), "created_at", "id"),
}
DEFAULT_SORT = "-created"

_LOST_PLUS = re.compile(r"(?<=[\d]) (?=\d\d:\d\d\Z)")  # a + that was not escaped in the address


# --- Fields -----------------------------------------------------------------------------------


class CommaListWidget(forms.TextInput):
    """Reads `a,b` and `a&…=b` alike."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        values = data.getlist(name) if isinstance(data, QueryDict) else [data.get(name) or ""]
        return ",".join(str(value) for value in values)


class CommaListField(forms.Field):
    """Several words; `words` are the possible ones, and with `ids` an id is possible too."""

    widget = CommaListWidget

    def __init__(self, *, words: Collection[str] = (), ids: bool = False, free: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words, self.ids, self.free = tuple(words), ids, free

    def to_python(self, value: Any) -> tuple[str | UUID, ...]:
        given = list(dict.fromkeys(word for part in str(value or "").split(",") if (word := part.strip())))
        if len(given) > MAX_VALUES:
            raise ValidationError(f"Up to {MAX_VALUES} values are possible.")
        return tuple(self._one(word) for word in given)

    def _one(self, word: str) -> str | UUID:
        if self.free:
            return word.lower()
        if word in self.words:
            return word
        if self.ids:
            try:
                return UUID(word)
            except ValueError:
                pass
        possible = ", ".join([*self.words, *(["an id"] if self.ids else [])])
        raise ValidationError(f"“{word[:40]}” is not possible here. Possible: {possible}.")


class MomentField(forms.CharField):
    """An ISO 8601 date or time as the aware UTC moment where it begins, or, with `end`, where it is over.

    A date is a whole day of UTC; a time without fraction is a whole second, as the API shows times.
    """

    def __init__(self, *, end: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.end = end

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            moment = dt.datetime.fromisoformat(_LOST_PLUS.sub("+", text))
            moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
            if self.end:
                is_day = _is_day(text)
                moment += dt.timedelta(days=1) if is_day else dt.timedelta(seconds=0 if moment.microsecond else 1)
        except (ValueError, OverflowError):
            raise ValidationError("Write a date like 2024-01-15 or a time like 2024-01-15T10:30:00Z.") from None
        return moment


def _is_day(text: str) -> bool:
    """Whether an ISO 8601 text says no time; 20240115 and 2024-W03-1 are days, too."""
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


class WordField(forms.CharField):
    """One of a few words."""

    def __init__(self, *, words: Collection[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = tuple(words)

    def clean(self, value: Any) -> str:
        word = str(super().clean(value) or "")
        if word and word not in self.words:
            raise ValidationError(f"“{word[:40]}” is not possible here. Possible: {', '.join(self.words)}.")
        return word


class TextField(forms.CharField):
    """Free text; what is no text (a lone surrogate) is refused."""

    def clean(self, value: Any) -> str:
        text = str(super().clean(value) or "")
        if not is_text(text):
            raise ValidationError("This has characters that are not text.")
        return text


class StrictForm(forms.Form):
    """Refuses parameters that it does not know: a mistyped filter must not show everything."""

    known: Collection[str] = NO_FILTERS

    def clean(self) -> dict[str, Any]:
        for name in self.data:
            if name not in self.fields and name not in self.known:
                self.errors[name] = self.error_class(["There is no such parameter."])
        return self.cleaned_data


def _filter(field: type[forms.Field], method: str, help_text: str, **options: Any) -> django_filters.Filter:
    """A filter whose condition is a method of the FilterSet; `help_text` is shown in the API's schema."""
    made = django_filters.Filter(method=method, required=False, help_text=help_text, **options)
    made.field_class = field
    return made


# --- The filters ------------------------------------------------------------------------------


_form_classes: dict[frozenset[str], type[StrictForm]] = {}


class TicketFilter(django_filters.FilterSet):
    """Live tickets of a workspace as the parameters ask for them, in the order they ask for.

    `queryset` is by default all live tickets of `workspace`; `user` is whom `me` means, `now` what
    deadlines are compared with. Both `qs` and `exact_total` leave out parameters that are wrong:
    doors that must not do that call `check` first. `also` names parameters that are no filters (by
    default those of the page).
    """

    status = _filter(
        CommaListField,
        "by_status",
        "Any of open, pending, resolved, closed, and new (open, and no agent has been assigned or has answered).",
        words=STATUS_WORDS,
    )
    priority = _filter(CommaListField, "by_priority", "Any of urgent, high, medium, low.", words=PRIORITY_WORDS)
    assignee = _filter(
        CommaListField,
        "by_assignee",
        "`me`, `none`, or the id of a user; several are possible.",
        words=(ME, NONE),
        ids=True,
    )
    team = _filter(
        CommaListField, "by_team", "The id of a team, or `none`; several are possible.", words=(NONE,), ids=True
    )
    category = _filter(
        CommaListField,
        "by_category",
        "The id of a category (with those below it), or `none`; several are possible.",
        words=(NONE,),
        ids=True,
    )
    tag = _filter(CommaListField, "by_tag", "Any of these tags.", free=True)
    requester = _filter(TextField, "by_requester", "The e-mail address or the id of a customer.", max_length=254)
    sla = _filter(
        CommaListField,
        "by_sla",
        "How it stands with the service levels: any of on_track, at_risk, breached, paused, met. Breached is a "
        "ticket that has missed any target; it may be on track, at risk or paused with the others as well.",
        words=SLA_WORDS,
    )
    created_from = _filter(MomentField, "by_moment", "Created on this day (UTC) or at this time, or later.")
    created_to = _filter(MomentField, "by_moment", "Created on this day (UTC) or at this time, or earlier.", end=True)
    updated_from = _filter(MomentField, "by_moment", "Changed on this day (UTC) or at this time, or later.")
    updated_to = _filter(MomentField, "by_moment", "Changed on this day (UTC) or at this time, or earlier.", end=True)
    search = _filter(
        TextField,
        "by_search",
        "Words of subject, description and comments, the beginning of a number, or a part of the subject or requester.",
        max_length=200,
    )
    sort = _filter(
        WordField,
        "keep",
        "The order. `priority`: most urgent first; `deadline`: nearest first; a minus turns the order round.",
        words=tuple(SORTS),
    )

    class Meta:
        model = Ticket
        fields: list[str] = []
        form = StrictForm

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        queryset: "QuerySet[Ticket] | None" = None,
        *,
        workspace: Workspace,
        user: User,
        now: dt.datetime,
        also: Collection[str] = NO_FILTERS,
    ) -> None:
        # In place of the parent's, which copies every filter for every request. Ours keep nothing:
        # their conditions are methods of this class.
        self.filters = self.base_filters
        self.is_bound, self.data, self.request, self.form_prefix = True, data or QueryDict(), None, None
        self.workspace, self.user, self.now, self.also = workspace, user, now, frozenset(also)
        everything = Ticket.objects.for_workspace(workspace).live()
        self.queryset = everything if queryset is None else queryset
        # The kept totals count all live tickets; a narrower queryset has to be counted itself.
        self._is_everything = queryset is None or queryset.query.where == everything.query.where
        self._category_ids: dict[UUID, list[UUID]] = {}

    def get_form_class(self) -> type[forms.Form]:
        made = _form_classes.get(self.also)
        if made is None:
            made = _form_classes[self.also] = cast(type[StrictForm], super().get_form_class())
            made.known = self.also
        return made

    def check(self) -> None:
        """Raises InvalidInput naming the parameters that are unknown or wrong."""
        if not self.is_valid():
            errors = {name: [str(text) for text in texts] for name, texts in self.errors.items()}
            raise InvalidInput(
                f"These parameters are not possible: {', '.join(errors)}.", code="bad_parameter", errors=errors
            )

    @property
    def values(self) -> dict[str, Any]:
        """The parameters that are given and right."""
        self.is_valid()
        return {name: value for name, value in self.form.cleaned_data.items() if value not in ("", None, ())}

    @property
    def sort_word(self) -> str:
        """The order, as a key of SORTS."""
        return self.values.get("sort", DEFAULT_SORT)

    def filter_queryset(self, queryset: "QuerySet[Ticket]") -> "QuerySet[Ticket]":
        for name, value in self.values.items():
            queryset = getattr(self, self.filters[name].method)(queryset, name, value)
        return queryset.order_by(*SORTS[self.sort_word])

    # Conditions; those of status, priority, assignee and category hold for the kept totals too.

    def status_is(self, words: Collection[str]) -> Q:
        """The condition of a list of status words."""
        stored = [word for word in words if word != NEW]
        if NEW not in words:
            # A single value as `=`: the index on the status then gives the order as well.
            return Q(status=stored[0]) if len(stored) == 1 else Q(status__in=stored)
        new = Q(status=Status.OPEN.value, is_new=True)
        return (new | Q(status__in=stored)) if stored else new

    def assignee_is(self, values: Collection[str | UUID], column: str = "assignee") -> Q:
        """The condition of a list of assignees."""
        return _one_of(column, [self.user.pk if value == ME else value for value in values])

    def category_is(self, values: Collection[str | UUID], column: str = "category") -> Q:
        """The condition of a list of categories, each with those below it."""
        wanted: list[str | UUID] = []
        for value in values:
            if isinstance(value, UUID):
                if value not in self._category_ids:
                    self._category_ids[value] = setup.descendants(self.workspace.pk, value)
                wanted += self._category_ids[value]
            else:
                wanted.append(value)
        return _one_of(column, wanted)

    def by_status(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        return tickets.filter(self.status_is(value))

    def by_priority(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        return tickets.filter(_one_of("priority", value))

    def by_assignee(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        return tickets.filter(self.assignee_is(value))

    def by_team(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        return tickets.filter(_one_of("team", value))

    def by_category(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        return tickets.filter(self.category_is(value))

    def by_tag(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        labels = TicketTag.objects.filter(ticket=OuterRef("pk"), tag__workspace=self.workspace, tag__name__in=value)
        return tickets.filter(Exists(labels))

    def by_requester(self, tickets: "QuerySet[Ticket]", name: str, value: str) -> "QuerySet[Ticket]":
        try:
            return tickets.filter(requester=UUID(value))
        except ValueError:
            people = Contact.objects.for_workspace(self.workspace).filter(email=value.lower())
            return tickets.filter(requester__in=people.values("pk"))

    def by_moment(self, tickets: "QuerySet[Ticket]", name: str, value: dt.datetime) -> "QuerySet[Ticket]":
        column, _, side = name.partition("_")
        return tickets.filter(**{f"{column}_at__{'gte' if side == 'from' else 'lt'}": value})

    def by_sla(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        condition = Q()
        for word in value:
            condition |= self.sla_is(State(word))
        return tickets.filter(condition)

    def sla_is(self, state: State) -> Q:
        """The condition of what `tickets.deadlines.state` tells of a ticket's deadlines at this moment."""
        running, overdue, at_risk = (
            Q(sla_state="running"),
            Q(next_deadline_at__lt=self.now),
            Q(next_risk_at__lte=self.now),
        )
        return {
            State.BREACHED: Q(sla_missed=True) | (running & overdue),
            State.AT_RISK: running & at_risk & ~overdue,
            State.ON_TRACK: running & ~at_risk & ~overdue,
            State.PAUSED: Q(sla_state="paused"),
            State.MET: Q(sla_state="met", sla_missed=False),
        }[state]

    def by_search(self, tickets: "QuerySet[Ticket]", name: str, value: str) -> "QuerySet[Ticket]":
        return search.search(tickets, workspace_id=self.workspace.pk, text=value)

    def keep(self, tickets: "QuerySet[Ticket]", name: str, value: Any) -> "QuerySet[Ticket]":
        """The order is laid on at the end."""
        return tickets

    def kept_total(self) -> int | None:
        """The exact total from the kept counts; None when they cannot tell."""
        values = self.values
        asked = set(values) - {"sort"}
        facet = "category" if "category" in asked else "assignee"
        if not self._is_everything or asked - {"status", "priority", facet}:
            return None
        condition = Q()
        if "status" in asked:
            condition &= self.status_is(values["status"])
        if "priority" in asked:
            condition &= _one_of("priority", values["priority"])
        if facet in asked:
            condition &= (self.category_is if facet == "category" else self.assignee_is)(values[facet], "key")
        return int(kept_counts(self.workspace.pk).filter(facet=facet).aggregate(n=total(condition))["n"])


def _one_of(column: str, values: Collection[Any]) -> Q:
    """The column has one of these values; the word `none` stands for having none."""
    some = [value for value in values if value != NONE]
    if len(some) == len(values):
        return Q(**{column: some[0]}) if len(some) == 1 else Q(**{f"{column}__in": some})
    nothing = Q(**{f"{column}__isnull": True})
    return (nothing | Q(**{f"{column}__in": some})) if some else nothing


def exact_total(tickets: TicketFilter) -> int:
    """How many tickets the filter finds, exactly: from the kept totals where they can tell, else counted."""
    kept = tickets.kept_total()
    return tickets.qs.order_by().count() if kept is None else kept
