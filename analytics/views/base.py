"""What the pages of all reports share: period, presets, comparison and filters, read as the API reads them."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateformat import format as format_date

from analytics import forms
from analytics.forms import Asked
from analytics.periods import Period
from helpdesk.accounts.scoping import WorkspaceRequest
from helpdesk.errors import InvalidInput
from tickets.filters import NONE
from tickets.forms import PRIORITIES
from tickets.views.queue import console

PRESETS = (7, 30, 90)  # days up to today
DAYS = "days"  # the page's word for a preset: a link to the last 30 days stays one tomorrow
KEPT = ("timezone", "status", "requester", "tag", "interval")  # parameters that the form has no field for


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter that the form offers: its name and label, and what can be chosen."""

    name: str
    label: str
    options: list[tuple[str, str]]
    value: str


def report_page(request: WorkspaceRequest, *, also: Collection[str] = ()) -> tuple[Asked | None, dict[str, Any]]:
    """What the address asks for, None where that is not possible, and the context of `analytics/_asked.html`.

    `also` names further parameters of the page.
    """
    now = timezone.now()
    given = request.GET.copy()
    errors: dict[str, list[str]] = {}
    days = given.pop(DAYS, [""])[-1]
    if days in map(str, PRESETS) and not (given.get("from") or given.get("to")):
        given["from"] = _days_ago(int(days) - 1, given.get("timezone") or request.workspace.timezone, now)
    elif days:
        errors[DAYS] = [f"Possible, without from and to: {', '.join(map(str, PRESETS))}."]
    asked = None
    try:
        asked = forms.read(given, workspace=request.workspace, user=request.user, now=now, also=also)
    except InvalidInput as refused:
        errors |= refused.errors
    context = console(request, "reports")
    context |= {
        "asked": None if errors else asked,
        "errors": errors,
        "values": _values(given, asked),
        "presets": _presets(request.GET, None if errors else asked, now),
        "filters": _filters(given, context["choices"]),
        "kept": [
            (name, value)
            for name in ("timezone", "status", "requester", "tag", "interval")
            for value in given.getlist(name)
            if value
        ],
        "is_filtered": any(given.get(name) for name in forms.FILTERS),
        "unfiltered": _without(request.GET, *forms.FILTERS),
    }
    if asked and not errors:
        context["period_words"] = period_words(asked.period)
        context["previous_words"] = period_words(asked.previous) if asked.previous else ""
    return context["asked"], context


def _days_ago(days: int, timezone_name: str, now: dt.datetime) -> str:
    """The date of so many days ago; of no timezone, which is refused elsewhere, that of UTC."""
    name = timezone_name if timezone_name in available_timezones() else "UTC"
    return (now.astimezone(ZoneInfo(name)).date() - dt.timedelta(days=days)).isoformat()


def _values(given: QueryDict, asked: Asked | None) -> dict[str, str]:
    """What the form shows: what was typed, or else the days that the period has."""
    typed = [given.get("from", ""), given.get("to", "")]
    return {
        # A field for dates would not show a time, nor what is no date.
        "type": "date" if all(not text or _is_date(text) for text in typed) else "text",
        "from": given.get("from") or (asked.period.first_day.isoformat() if asked else ""),
        "to": given.get("to") or (asked.period.last_day.isoformat() if asked else ""),
        "compare": given.get("compare", ""),
    }


def _is_date(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _without(given: QueryDict, *names: str, **instead: str) -> str:
    """The query string without some parameters and the page, with others in their place."""
    kept = given.copy()
    for name in (*names, "page"):
        kept.pop(name, None)
    for name, value in instead.items():
        kept[name] = value
    return kept.urlencode()


def _presets(given: QueryDict, asked: Asked | None, now: dt.datetime) -> list[dict[str, Any]]:
    """The links to the last days; the one that the page is about is marked, however it was asked for."""
    current = 0
    if asked and asked.period.is_of_whole_days and asked.period.last_day == now.astimezone(asked.period.zone).date():
        current = asked.period.days
    return [
        {
            "label": f"{number} days",
            "query": _without(given, "from", "to", **{DAYS: str(number)}),
            "is_current": number == current,
        }
        for number in PRESETS
    ]


def _filters(given: QueryDict, choices: Any) -> list[Choice]:
    """The filters of tickets that the form offers; the others are kept as the address has them."""
    offered: Mapping[str, tuple[str, list[tuple[str, str]]]] = {
        "priority": ("Priority", list(PRIORITIES)),
        "category": ("Category", [(NONE, "No category"), *choices.categories]),
        "team": ("Team", [(NONE, "No team"), *choices.teams]),
        "assignee": ("Assignee now", [("me", "Me"), (NONE, "Nobody"), *choices.agents]),
    }
    made = []
    for name, (label, options) in offered.items():
        value = ",".join(filter(None, given.getlist(name)))
        if value and value not in dict(options):
            options = [*options, (value, "As in the address")]
        made.append(Choice(name, label, options, value))
    return made


def period_words(period: Period) -> str:
    """A period in words: “3 – 9 Mar 2026”, “1 Mar 2026, 10:00 – 2 Mar 2026, 12:00”."""
    first, last = period.first_day, period.last_day
    if not period.is_of_whole_days:
        ends = (format_date(at.astimezone(period.zone), "j M Y, H:i") for at in (period.start, period.end))
        return " – ".join(ends)
    if first == last:
        return format_date(first, "j M Y")
    if first.year != last.year:
        return f"{format_date(first, 'j M Y')} – {format_date(last, 'j M Y')}"
    return f"{format_date(first, 'j' if first.month == last.month else 'j M')} – {format_date(last, 'j M Y')}"
