"""Service level policies and business hours as people type them, translated for the services."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.db.models.functions import Lower

from helpdesk.accounts.models import Organization, Workspace
from helpdesk.errors import DomainError
from slas import calendar
from slas.calendar import WEEKDAYS, Calendar, Exceptional, Interval
from slas.models import SLAPolicy
from slas.services import rules, setup
from slas.services.what_if import SPANS
from tickets.deadlines import Goal
from tickets.forms import PRIORITIES, Choice, DomainForm, IdField, LinesField, NumberField

GOAL_WORDS = {goal: goal.value.replace("_", " ").capitalize() for goal in Goal}

# --- Attributes: one on each line -------------------------------------------------------------

_NAME = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^="\n]+?))[ \t]*=')
_VALUE = re.compile(r'[ \t]*(?:"((?:[^"]|"")*)"|(?![ \t"])([^,\n]*)|)[ \t]*(,|\n|$)')
_HARD = re.compile(r'[,="\n]|^\s|\s$')


def read_attributes(text: str) -> dict[str, list[str]]:
    """Lines like `plan = pro, enterprise`; quotes around what has commas itself. Raises ValidationError."""
    text = text.replace("\r\n", "\n").rstrip()
    found: dict[str, list[str]] = {}
    at = 0
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        name = _NAME.match(text, at)
        if name is None:
            raise ValidationError(f"Line {line}: write it as plan = pro, enterprise.")
        values = found.setdefault((name[1] or name[2]).replace('""', '"').strip(), [])
        at = name.end()
        while True:
            value = _VALUE.match(text, at)
            if value is None:
                raise ValidationError(f"Line {line}: a quotation mark is missing.")
            said = (value[1] or "").replace('""', '"') if value[1] is not None else (value[2] or "").strip()
            if said:
                values.append(said)
            at = value.end()
            if value[3] != ",":
                break
        if not values:
            raise ValidationError(f"Line {line}: say at least one value after the =.")
    return found


def write_attributes(attributes: Mapping[str, Sequence[str]]) -> str:
    """What `read_attributes` reads."""
    return "\n".join(f"{_quoted(name)} = {', '.join(map(_quoted, values))}" for name, values in attributes.items())


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _HARD.search(text) else text


class AttributesField(forms.CharField):
    """Conditions on the customer's attributes; cleans to names with their values."""

    widget = forms.Textarea

    def clean(self, value: Any) -> Any:
        return read_attributes(str(super().clean(value) or ""))

    def prepare_value(self, value: Any) -> Any:
        return write_attributes(value) if isinstance(value, Mapping) else value


# --- Policies ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class TargetRow:
    """A row of the table of targets: its name, and a control for each goal."""

    label: str
    cells: list[forms.BoundField]

    @property
    def mistakes(self) -> list[forms.BoundField]:
        """The controls that have something wrong with them."""
        return [cell for cell in self.cells if cell.errors]


def _target(label: str, *, required: bool) -> NumberField:
    attributes = {"step": "any", "min": "0", "inputmode": "decimal", "autocomplete": "off"}
    return NumberField(label=label, required=required, widget=forms.NumberInput(attrs=attributes))


class PolicyForm(DomainForm):
    """A policy: its targets, when its clocks run, and for whom it is."""

    name = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    business_hours_only = forms.BooleanField(label="Only during business hours", required=False)
    business_hours_id = IdField(label="Which business hours")
    pending_pauses = forms.MultipleChoiceField(
        label="While a ticket waits for its customer, these clocks stand still",
        choices=[(goal.value, words) for goal, words in GOAL_WORDS.items()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    at_risk_percent = forms.IntegerField(
        label="At risk from",
        min_value=1,
        max_value=99,
        help_text="Percent of the target that have passed.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    is_default = forms.TypedChoiceField(
        label="It is for",
        choices=[("0", "Tickets that meet the conditions below"), ("1", "Everybody else (the default)")],
        coerce=lambda value: value == "1",
        widget=forms.RadioSelect,
    )
    category_ids = forms.TypedMultipleChoiceField(
        label="Categories",
        coerce=UUID,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="With those below them.",
    )
    organizations = LinesField(
        label="Organisations",
        required=False,
        max_length=40_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One name on each line.",
    )
    attributes = AttributesField(
        label="Customer’s attributes",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(
            attrs={"rows": 3, "placeholder": "plan = pro, enterprise", "autocapitalize": "none", "spellcheck": "false"}
        ),
        help_text="One on each line: a name, = and the values that count, with commas between them. "
        "A customer’s own attribute comes before that of the organisation; upper and lower case are the same.",
    )

    def __init__(self, *args: Any, workspace: Workspace, existing: SLAPolicy | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._workspace = workspace
        self.is_already_default = existing is not None and existing.is_default
        self.organization_ids: list[str] = []
        for priority, label in [("", "Default"), *PRIORITIES]:
            for goal, words in GOAL_WORDS.items():
                required = not priority and goal is not Goal.NEXT_RESPONSE
                self.fields[_cell(priority, goal)] = _target(f"{label}: {words.lower()} in hours", required=required)
        if self.is_already_default:
            for name in ("is_default", "category_ids", "organizations", "attributes"):
                del self.fields[name]
        for goal in Goal:
            inherited = self[_cell("", goal)].value()
            for priority, _ in PRIORITIES:
                attributes = self.fields[_cell(priority, goal)].widget.attrs
                attributes["placeholder"] = _plain(inherited) or "none"
                attributes["data-inherits"] = f"id_{_cell('', goal)}"
        self.fields[_cell("", Goal.NEXT_RESPONSE)].widget.attrs["placeholder"] = "none"

    @staticmethod
    def initial_of(policy: SLAPolicy, organizations: Sequence[str]) -> dict[str, Any]:
        """What the form shows of a policy; `organizations` are the names of those in its conditions."""
        shown: dict[str, Any] = {
            "name": policy.name,
            "business_hours_only": policy.business_hours_only,
            "business_hours_id": policy.business_hours_id or "",
            "pending_pauses": policy.pending_pauses,
            "at_risk_percent": policy.at_risk_percent,
            "is_default": "1" if policy.is_default else "0",
            "category_ids": policy.conditions.get("category_ids", []),
            "organizations": list(organizations),
            "attributes": policy.conditions.get("attributes", {}),
        }
        for goal in Goal:
            name = rules.hours_field(goal)
            shown[_cell("", goal)] = _plain(getattr(policy, name))
            for priority, _ in PRIORITIES:
                shown[_cell(priority, goal)] = _plain(policy.priority_overrides.get(priority, {}).get(name))
        return shown

    @property
    def targets(self) -> list[TargetRow]:
        """The table of targets."""
        return [
            TargetRow(label, [self[_cell(priority, goal)] for goal in Goal])
            for priority, label in [("", "Default"), *PRIORITIES]
        ]

    def clean_organizations(self) -> list[str]:
        """The names as they are, each an organisation of the workspace."""
        names: list[str] = self.cleaned_data["organizations"]
        rows = Organization.objects.for_workspace(self._workspace).annotate(lower=Lower("name"))
        known = {row.lower: row for row in rows.filter(lower__in=[name.lower() for name in names])}
        if unknown := [name for name in names if name.lower() not in known]:
            raise ValidationError([f"There is no organisation “{name[:80]}”." for name in unknown[:5]])
        self.organization_ids = [str(known[name.lower()].pk) for name in names]
        return names

    def changes(self) -> dict[str, Any]:
        """What the service takes, as JSON keeps it."""
        cleaned = self.cleaned_data
        pauses = set(cleaned["pending_pauses"])
        changes: dict[str, Any] = {
            "name": cleaned["name"],
            **{rules.hours_field(goal): cleaned[_cell("", goal)] for goal in Goal},
            "priority_overrides": {
                priority: given
                for priority, _ in PRIORITIES
                if (
                    given := {
                        rules.hours_field(goal): hours
                        for goal in Goal
                        if (hours := cleaned[_cell(priority, goal)]) is not None
                    }
                )
            },
            "business_hours_only": cleaned["business_hours_only"],
            "business_hours_id": str(pk) if (pk := cleaned["business_hours_id"]) else None,
            "pending_pauses": [goal.value for goal in Goal if goal.value in pauses],
            "at_risk_percent": cleaned["at_risk_percent"],
        }
        if not self.is_already_default:
            changes["is_default"] = cleaned["is_default"]
            changes["conditions"] = {} if cleaned["is_default"] else self._conditions()
        return changes

    def _conditions(self) -> dict[str, Any]:
        conditions = {
            "category_ids": [str(pk) for pk in self.cleaned_data["category_ids"]],
            "organization_ids": self.organization_ids,
            "attributes": self.cleaned_data["attributes"],
        }
        return {name: value for name, value in conditions.items() if value}

    def refuse(self, error: DomainError) -> None:
        """Show the errors of the service beside the controls they are about."""
        renamed: dict[str, list[str]] = {}
        for path, texts in error.errors.items():
            renamed.setdefault(self._control(path), []).extend(texts)
        super().refuse(type(error)(error.detail, errors=renamed))

    @staticmethod
    def _control(path: str) -> str:
        """The control that a path of the service's errors is about."""
        if path.startswith("priority_overrides."):
            return path.removeprefix("priority_overrides.").replace(".", "_")
        if path.startswith("conditions.attributes"):
            return "attributes"
        return {
            "conditions.category_ids": "category_ids",
            "conditions.organization_ids": "organizations",
            "conditions": "is_default",
        }.get(path, path)


def _cell(priority: str, goal: Goal) -> str:
    return f"{priority}_{rules.hours_field(goal)}".lstrip("_")


def _plain(hours: Any) -> Any:
    """Hours as one types them: 4, not 4.0000. Anything else as it is."""
    try:
        return "" if hours in (None, "") else setup.plain_hours(hours if not isinstance(hours, str) else float(hours))
    except (ValueError, OverflowError):
        return hours


# --- Business hours ---------------------------------------------------------------------------

DAYS = [(name, name.capitalize()) for name in WEEKDAYS]
SPARE_PAIRS, SPARE_DATES = 3, 3  # empty ones, for those who cannot add any without scripts
SHOWN_DATES = 150  # as rows; the others stand in one text, and a request has up to a thousand fields

MIDNIGHT = 24 * 60
_HOURS = re.compile(r"\s*(\d{1,2})(?:[:.](\d\d))?\s*(?:-|–|—|to)\s*(\d{1,2})(?:[:.](\d\d))?\s*")


@lru_cache(maxsize=1)
def timezones() -> tuple[str, ...]:
    """The time zones that are offered by name."""
    names = (name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return (*sorted(names), "UTC")


def read_hours(text: str) -> list[dict[str, str]]:
    """Hours of a day such as `09:00–12:00, 14–16`; what cannot be read is left for the service to refuse."""
    found = []
    for part in filter(str.strip, re.split(r"[,;]|\band\b", text)):
        match = _HOURS.fullmatch(part)
        if match:
            found.append({"start": f"{match[1]:0>2}:{match[2] or '00'}", "end": f"{match[3]:0>2}:{match[4] or '00'}"})
        else:
            found.append({"start": part.strip()[:40], "end": ""})
    return found


def write_hours(intervals: Sequence[Interval]) -> str:
    """Hours of a day in words: `09:00–12:00, 14:00–16:00`."""
    return ", ".join(f"{clock(interval.start)}–{clock(interval.end)}" for interval in intervals)


def clock(minute: int) -> str:
    """Minutes after midnight as a clock tells them."""
    return f"{minute // 60:02}:{minute % 60:02}"


@dataclass
class DayRow:
    """A weekday in the grid: pairs of times as they were typed, and the bar that shows them."""

    name: str
    label: str
    is_open: bool
    pairs: list[tuple[str, str]]
    errors: list[str] = field(default_factory=list)

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The pairs, or an empty one to begin with."""
        return self.pairs or [("", "")]

    @property
    def spare(self) -> range:
        """Further empty pairs, for those without scripts."""
        return range(max(1, SPARE_PAIRS - len(self.shown)))

    @property
    def bar(self) -> list[tuple[int, int]]:
        """Where the bar is filled: start and length in minutes."""
        if not self.is_open:
            return []
        times = [(_minute(start), _minute(end) or MIDNIGHT) for start, end in self.pairs if start and end]
        return [(start, end - start) for start, end in times if start is not None and end > start]


def _minute(text: str) -> int | None:
    match = re.fullmatch(r"(\d\d):(\d\d)", text)
    return int(match[1]) * 60 + int(match[2]) if match else None


@dataclass
class DateRow:
    """A date with hours of its own, as it was typed."""

    date: str
    name: str
    hours: str
    errors: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not (self.date or self.name or self.hours)

    def entry(self) -> dict[str, Any]:
        """What the service takes."""
        made: dict[str, Any] = {"date": self.date}
        if self.name:
            made["name"] = self.name
        if self.hours and self.hours.casefold() != "closed":
            made["intervals"] = read_hours(self.hours)
        return made

    @classmethod
    def of(cls, entry: Exceptional) -> "DateRow":
        """A date of a calendar."""
        return cls(entry.date.isoformat(), entry.name, write_hours(entry.intervals))

    @classmethod
    def of_line(cls, line: str) -> "DateRow":
        """A line such as `2026-12-24 | 09:00–12:00 | Christmas Eve`."""
        date, hours, name, *_ = [*(part.strip() for part in line.split("|", 2)), "", ""]
        return cls(date, name, hours)

    @property
    def line(self) -> str:
        """What `of_line` reads."""
        return f"{self.date} | {self.hours or 'closed'}" + (f" | {self.name}" if self.name else "")


class HoursForm(DomainForm):
    """Business hours: the week as a grid, dates with hours of their own, a country's public holidays.

    The grid and the dates have as many controls as they need, so they are read from what was sent.
    """

    name = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    timezone = forms.CharField(
        label="Time zone",
        max_length=64,
        widget=forms.TextInput(attrs={"list": "timezones", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Begin to type a city, like Berlin.",
    )
    country = forms.ChoiceField(label="Public holidays of", required=False)
    region = forms.CharField(required=False, max_length=40, widget=forms.Select)
    other_dates = forms.CharField(
        required=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "2026-12-24 | 09:00–12:00 | Christmas Eve"}),
        label="Other dates",
        help_text="One on each line: date | hours or the word closed | name.",
    )
    is_default = forms.BooleanField(
        label="The workspace’s default",
        required=False,
        help_text="For policies that name no business hours of their own.",
    )
    user_ids = forms.TypedMultipleChoiceField(
        label="Agents who work these hours",
        coerce=UUID,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Outside of these hours no rule gives them tickets. Agents who work no particular hours get them "
        "whenever they are available.",
    )

    def __init__(
        self,
        data: Any = None,
        *,
        hours: Calendar,
        today: dt.date,
        is_already_default: bool = False,
        agents: Sequence[tuple[str, str]] = (),
        **kwargs: Any,
    ) -> None:
        initial = {"timezone": hours.timezone, "country": hours.country, "region": hours.region}
        super().__init__(data, initial=initial | kwargs.pop("initial", {}), **kwargs)
        self.week = self._week(hours)
        self.dates, others = self._dates(hours, today)
        typed = self._typed("other_dates") if self.is_bound else ""
        self._lines = [DateRow.of_line(line) for line in typed.splitlines() if line.strip()]
        # In the order in which they are kept, and by which the service numbers its errors.
        self._all_dates = sorted([*self.dates, *self._lines], key=lambda row: row.date)
        if data is None:
            self.initial["other_dates"] = "\n".join(row.line for row in others)
        country: Any = self.fields["country"]
        country.choices = [("", "No country"), *((known.code, known.name) for known in calendar.countries())]
        self.regions = regions_of(self._typed("country"))
        region: Any = self.fields["region"]
        region.widget.choices = [("", "The whole country"), *self.regions]
        if is_already_default:
            del self.fields["is_default"]
        user_ids: Any = self.fields["user_ids"]
        user_ids.choices = agents
        if not agents:
            del self.fields["user_ids"]

    def _week(self, hours: Calendar) -> list[DayRow]:
        rows = []
        for (name, label), intervals in zip(DAYS, hours.week, strict=True):
            if self.is_bound:
                starts, ends = (self._sent(f"{name}_{end}") for end in ("start", "end"))
                pairs = [pair for pair in zip_longest(starts, ends, fillvalue="") if any(pair)]
                rows.append(DayRow(name, label, f"{name}_open" in self.data, pairs))
            else:
                # The midnight at a day's end is 00:00: a control for times knows no 24:00.
                pairs = [(clock(one.start), clock(one.end % MIDNIGHT)) for one in intervals]
                rows.append(DayRow(name, label, bool(intervals), pairs))
        return rows

    def _dates(self, hours: Calendar, today: dt.date) -> tuple[list[DateRow], list[DateRow]]:
        """The rows of dates, and those that stand in the text: earlier years, and what is too much for rows."""
        if self.is_bound:
            columns = [self._sent(f"holiday_{name}") for name in ("date", "name", "hours")]
            rows = [DateRow(day, name, times) for day, name, times in zip_longest(*columns, fillvalue="")]
            return [row for row in rows if not row.is_empty], []
        current = [entry for entry in hours.exceptions if entry.date.year >= today.year]
        earlier = [entry for entry in hours.exceptions if entry.date.year < today.year]
        others = [*earlier, *current[SHOWN_DATES:]]
        return [DateRow.of(entry) for entry in current[:SHOWN_DATES]], [DateRow.of(entry) for entry in others]

    def _sent(self, name: str) -> list[str]:
        data: Any = self.data
        return [value.strip() for value in data.getlist(name)] if hasattr(data, "getlist") else []

    def _typed(self, name: str) -> str:
        return str(self[name].value() or "").strip()

    @property
    def spare_dates(self) -> range:
        """Empty rows, for those without scripts."""
        return range(SPARE_DATES)

    def clean_region(self) -> str:
        """A region of the country that was chosen; another country's is forgotten."""
        given = self.cleaned_data["region"]
        return given if given in dict(self.regions) else ""

    def document(self) -> dict[str, Any]:
        """The calendar as the service takes it, for a form that was sent; wrong times are for the service to refuse."""
        schedule: dict[str, Any] = {}
        for row in self.week:
            if row.is_open:
                # Open without any hours is a mistake that the service can only see in one way.
                pairs = row.pairs or [("", "")]
                schedule[row.name] = [{"start": start, "end": end} for start, end in pairs]
        region = self._typed("region")
        return {
            "timezone": self._typed("timezone"),
            "schedule": schedule,
            "holidays": [row.entry() for row in self._all_dates],
            "country": self._typed("country"),
            "region": region if region in dict(self.regions) else "",
        }

    def changes(self) -> dict[str, Any]:
        """What the service takes."""
        changes = self.document() | {"name": self.cleaned_data["name"]}
        if "is_default" in self.fields:
            changes["is_default"] = self.cleaned_data["is_default"]
        return changes

    def refuse(self, error: DomainError) -> None:
        """Show the errors of the service at the day, the date or the control they are about."""
        rest: dict[str, list[str]] = {}
        for path, texts in error.errors.items():
            where, _, which = path.partition(".")
            key = which.partition(".")[0]
            if where == "schedule" and key in WEEKDAYS:
                row = self.week[WEEKDAYS.index(key)]
                row.errors += self._said(row, texts)
                rest.setdefault("", []).extend(f"{row.label}: {text}" for text in self._said(row, texts))
            elif where == "holidays" and key.isdigit():
                self._refuse_date(self._all_dates[int(key)], texts, rest)
            else:
                rest.setdefault(path, []).extend(texts)
        super().refuse(type(error)(error.detail, errors=rest))

    def _refuse_date(self, row: DateRow, texts: list[str], rest: dict[str, list[str]]) -> None:
        for number, line in enumerate(self._lines, start=1):
            if line is row:
                rest.setdefault("other_dates", []).extend(f"Line {number}: {text}" for text in texts)
                return
        row.errors += texts
        name = row.date or row.name or "A date"
        rest.setdefault("", []).extend(text if text.startswith(name) else f"{name}: {text}" for text in texts)

    @staticmethod
    def _said(row: DayRow, texts: list[str]) -> list[str]:
        return texts if row.pairs else ["Say from when until when, or untick the day: it is then closed."]


def regions_of(code: str) -> list[Choice]:
    """The regions of a country that have public holidays of their own."""
    for country in calendar.countries():
        if country.code == code:
            return [(region.code, region.name) for region in country.regions]
    return []


class TryForm(forms.Form):
    """How far back a draft is tried."""

    days = forms.TypedChoiceField(
        label="Tickets of",
        coerce=int,
        empty_value=None,
        required=False,
        initial="30",
        choices=[*((str(days), f"The last {days} days") for days in SPANS), ("", "All time")],
    )
