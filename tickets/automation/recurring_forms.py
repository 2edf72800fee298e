"""A recurring ticket as people fill it in, translated for its service."""

import datetime as dt
from collections.abc import Mapping
from functools import cache
from typing import Any

from django import forms

from helpdesk.errors import DomainError
from tickets.automation import schedule as schedules
from tickets.automation.models import RecurringTicket
from tickets.automation.schedule import MONTH, WEEK, YEAR, Schedule
from tickets.automation.services import recurring
from tickets.forms import PRIORITIES, Choice, DayField, DomainForm, IdField, WordsField
from tickets.lifecycle import Priority

WEEKDAYS: list[Choice] = [(name, name.capitalize()) for name in schedules.WEEKDAYS]
BY_DAY, BY_WEEKDAY = "day", "weekday"


@cache
def timezones() -> tuple[str, ...]:
    """The time zones that are offered by name."""
    names = (name for name in schedules.timezones() if "/" in name and not name.startswith("Etc/"))
    return (*sorted(names), "UTC")


def _text(**attributes: str) -> forms.TextInput:
    return forms.TextInput(attrs={"autocomplete": "off", **attributes})


class UnitSelect(forms.Select):
    """Days, weeks, months or years; each option knows how it is called after a one and after more."""

    def create_option(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(*args, **kwargs)
        option["attrs"] |= {"data-one": option["value"], "data-many": f"{option['value']}s"}
        return option


class RecurringForm(DomainForm):
    """When a ticket opens, and what stands in it."""

    name = forms.CharField(max_length=80, widget=_text(), help_text="It stands in the log of its tickets.")

    interval = forms.IntegerField(
        label="Every how many",
        widget=forms.NumberInput(attrs={"min": "1", "inputmode": "numeric", "autocomplete": "off"}),
    )
    every = forms.ChoiceField(
        label="Days, weeks, months or years",
        choices=[(unit, f"{unit}s") for unit in schedules.EVERY],
        widget=UnitSelect,
    )
    weekdays = forms.MultipleChoiceField(
        label="On these days", choices=WEEKDAYS, required=False, widget=forms.CheckboxSelectMultiple
    )
    month = forms.TypedChoiceField(
        label="Month",
        choices=[(str(n), name) for n, name in enumerate(schedules.MONTHS, start=1)],
        coerce=int,
        required=False,
    )
    by = forms.ChoiceField(
        label="Which day",
        choices=[(BY_DAY, "On a day of the month"), (BY_WEEKDAY, "On a weekday of the month")],
        widget=forms.RadioSelect,
        required=False,
    )
    day = forms.TypedChoiceField(
        label="Day of the month",
        choices=[(str(n), str(n)) for n in range(1, 31)] + [("31", "31, or the last day")],
        coerce=int,
        required=False,
    )
    nth = forms.ChoiceField(
        label="Which one", choices=[(name, name.capitalize()) for name in schedules.NTH], required=False
    )
    weekday = forms.ChoiceField(label="Weekday", choices=WEEKDAYS, required=False)
    at = forms.CharField(label="At", max_length=8, widget=forms.TimeInput(attrs={"type": "time"}))
    timezone = forms.CharField(max_length=64, widget=_text(list="timezones", autocapitalize="none", spellcheck="false"))
    starts_on = DayField(label="First day")
    ends_on = DayField(label="Last day", required=False)

    subject = forms.CharField(max_length=255, widget=_text())
    description = forms.CharField(
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="Markdown works here. Here and in the subject, {{date}}, {{week}}, {{month}} and {{year}} become "
        "those of the day.",
    )
    requester_email = forms.EmailField(
        label="Requester’s e-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    requester_name = forms.CharField(label="Requester’s name", max_length=120, required=False, widget=_text())
    priority = forms.ChoiceField(choices=PRIORITIES, initial=Priority.MEDIUM.value)
    category_id = IdField(label="Category")
    team_id = IdField(label="Team")
    assignee_id = IdField(label="Assignee")
    tags = WordsField(required=False, max_length=1000, widget=_text(), help_text="Separate words with commas.")
    is_active = forms.BooleanField(
        label="On", required=False, help_text="While it is off, nothing is opened, and nothing is made up for later."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._said("interval") == "1":
            units: Any = self.fields["every"]
            units.choices = [(unit, unit) for unit in schedules.EVERY]

    @staticmethod
    def initial_of(row: RecurringTicket | None, schedule: Schedule) -> dict[str, Any]:
        """What the form shows of a recurring ticket, or of a new one with this schedule."""
        shown: dict[str, Any] = {
            "every": schedule.every,
            "interval": schedule.interval,
            "weekdays": list(schedule.weekdays) or [schedules.WEEKDAYS[schedule.starts_on.weekday()]],
            "month": str(schedule.month or schedule.starts_on.month),
            "by": BY_WEEKDAY if schedule.weekday else BY_DAY,
            "day": str(schedule.day or schedule.starts_on.day),
            "nth": schedule.nth or "first",
            "weekday": schedule.weekday or "monday",
            "at": f"{schedule.at:%H:%M}",
            "timezone": schedule.timezone,
            "starts_on": schedule.starts_on.isoformat(),
            "ends_on": schedule.ends_on.isoformat() if schedule.ends_on else "",
            "is_active": True,
        }
        if row is not None:
            shown |= {name: getattr(row, name) for name in recurring.FIELDS if name != "schedule"}
            shown |= {name: shown[name] or "" for name in ("category_id", "team_id", "assignee_id")}
        return shown

    def schedule(self) -> dict[str, Any]:
        """The schedule as it stands in the form, which need not be valid: the service reads it."""
        every = self._said("every")
        said: dict[str, Any] = {"every": every, "interval": self._number("interval")}
        if every == WEEK:
            said["weekdays"] = self["weekdays"].value() or []
        if every == YEAR:
            said["month"] = self._number("month")
        if every in (MONTH, YEAR):
            if self._said("by") == BY_WEEKDAY:
                said |= {"nth": self._said("nth"), "weekday": self._said("weekday")}
            else:
                said["day"] = self._number("day")
        return said | {
            "at": self._said("at")[:5],  # some browsers add the seconds
            "timezone": self._said("timezone"),
            "starts_on": self._said("starts_on"),
            "ends_on": self._said("ends_on") or None,
        }

    def _said(self, name: str) -> str:
        return str(self[name].value() or "").strip()

    def _number(self, name: str) -> Any:
        said = self._said(name)
        return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else said

    def changes(self) -> dict[str, Any]:
        """What the service takes."""
        fields = {name: self.cleaned_data[name] for name in recurring.FIELDS if name != "schedule"}
        return fields | {"schedule": self.schedule()}

    def refuse(self, error: DomainError) -> None:
        """Show the errors of the service beside the controls they are about."""
        renamed = {name.removeprefix("schedule."): texts for name, texts in error.errors.items()}
        super().refuse(type(error)(error.detail, errors=renamed))


def first_schedule(timezone: str, now: dt.datetime) -> Schedule:
    """What the form of a new one begins with: every Monday at nine."""
    document: Mapping[str, Any] = {
        "every": WEEK,
        "weekdays": ["monday"],
        "at": "09:00",
        "timezone": timezone if timezone in schedules.timezones() else "UTC",
        "starts_on": schedules.today(timezone if timezone in schedules.timezones() else "UTC", now).isoformat(),
    }
    return schedules.read(document)
