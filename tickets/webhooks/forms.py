"""An endpoint, and a span of time that is sent again, as people type them.

The headers of an endpoint are rows of inputs named by their place: `header.0.name`, `header.0.value`. The buttons that
add and remove a row are submit buttons: they draw the form anew (`EndpointForm.drawn`), so it works without scripts.
A value that is stored never goes back to the page: `header.0.kept` says for which name it is kept.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms

from helpdesk.errors import DomainError
from tickets.forms import DomainForm
from tickets.webhooks import payloads
from tickets.webhooks.models import Endpoint
from tickets.webhooks.services import endpoints

GROUPS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "Tickets",
        ("ticket.created", "ticket.updated", "ticket.resolved", "ticket.closed", "ticket.reopened", "ticket.merged"),
    ),
    ("Assignment", ("ticket.assigned", "ticket.unassigned")),
    ("Conversation", ("ticket.comment.added", "ticket.satisfaction.submitted")),
    ("Deadlines", ("ticket.sla.at_risk", "ticket.sla.breached")),
)
BOTH_SECRETS = (
    (24, "For 24 hours more"),
    (72, "For 3 days more"),
    (168, "For 7 days more"),
    (0, "Not at all: it ends at once"),
)
_PLACE = re.compile(r"header\.(\d{1,2})\.(name|value|kept)", re.ASCII)
_OFF = {"autocomplete": "off", "spellcheck": "false"}
_FIRST, _LAST = 2000, 2200  # years that a moment may have


def grouped() -> list[tuple[str, list[payloads.Kind]]]:
    """The events in groups; an event that no group names comes last."""
    named = {name for _, names in GROUPS for name in names}
    groups = [(title, [payloads.CATALOGUE[name] for name in names]) for title, names in GROUPS]
    others = [kind for name, kind in payloads.CATALOGUE.items() if name not in named]
    return [*groups, ("More", others)] if others else groups


@dataclass
class Header:
    """A header in the form: what is typed, and for which name a value is kept."""

    place: int = 0
    name: str = ""
    value: str = ""
    kept: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The beginning of the names of its inputs."""
        return f"header.{self.place}"

    @property
    def is_kept(self) -> bool:
        """Whether the value that is stored stays."""
        return bool(self.kept) and not self.value and self.kept.lower() == self.name.lower()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not self.name and not self.value


class EndpointForm(DomainForm):
    """An address, what it wants to hear of, and the headers that it asks for."""

    url = forms.CharField(
        label="Address",
        max_length=2000,
        widget=forms.URLInput(attrs={**_OFF, "placeholder": "https://example.com/hooks/helpdesk", "inputmode": "url"}),
        help_text="Your program’s address. We POST each event to it as JSON.",
    )
    description = forms.CharField(
        label="Description",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Billing system"}),
        help_text="What it is for, in your words.",
    )
    events = forms.MultipleChoiceField(
        choices=[(name, name) for name in payloads.CATALOGUE], required=False, widget=forms.CheckboxSelectMultiple
    )
    all_events = forms.BooleanField(required=False)
    is_active = forms.BooleanField(label="Switched on", required=False)

    def __init__(self, data: Any = None, *, endpoint: Endpoint | None = None, **kwargs: Any) -> None:
        self.endpoint = endpoint
        self.focus = ""
        self.header_errors: list[str] = []
        kept = endpoints.shown_headers(endpoint) if endpoint else {}
        if data is not None:
            self.headers = _read_headers(data)
        else:
            self.headers = [Header(place, name, "", name) for place, name in enumerate(kept)]
        self.has_lost_headers = bool(endpoint and endpoint.headers_sealed and not kept)
        initial = {"is_active": True}
        if endpoint:
            initial = {name: getattr(endpoint, name) for name in ("url", "description", "events", "is_active")}
            initial["all_events"] = len(endpoint.events) == len(payloads.CATALOGUE)
        super().__init__(data, initial=initial | kwargs.pop("initial", {}), **kwargs)

    @classmethod
    def drawn(cls, data: Any, change: str, *, endpoint: Endpoint | None) -> "EndpointForm":
        """The form as it was typed, after "add-header" or "remove-header:2". Nothing is checked."""
        initial = {
            "url": data.get("url", ""),
            "description": data.get("description", ""),
            "events": data.getlist("events"),
            "all_events": "all_events" in data,
            "is_active": "is_active" in data,
        }
        form = cls(endpoint=endpoint, initial=initial)
        form.headers = _read_headers(data)
        what, _, place = change.partition(":")
        if what == "add-header" and len(form.headers) < endpoints.MOST_HEADERS:
            form.headers.append(Header(len(form.headers)))
            form.focus = f"header.{len(form.headers) - 1}.name"
        elif what == "remove-header":
            form.headers = [row for row in form.headers if str(row.place) != place]
            form.focus = "add-header"
        for number, row in enumerate(form.headers):
            row.place = number
        return form

    @property
    def groups(self) -> list[tuple[str, list[tuple[payloads.Kind, bool]]]]:
        """The events in groups, each with whether it is chosen."""
        chosen = set(self["events"].value() or ())
        return [(title, [(kind, kind.name in chosen) for kind in kinds]) for title, kinds in grouped()]

    @property
    def is_refused(self) -> bool:
        """Whether something is wrong with it."""
        return bool(self.errors or self.header_errors or any(row.errors for row in self.headers))

    @property
    def may_add(self) -> bool:
        """Whether there is room for one more header."""
        return len(self.headers) < endpoints.MOST_HEADERS

    def is_valid(self) -> bool:
        return super().is_valid() and not self.is_refused

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("events") and not cleaned.get("all_events") and "events" not in self.errors:
            self.add_error("events", "Choose at least one event.")
        names: set[str] = set()
        for row in self.headers:
            if row.is_empty:
                continue
            if not row.name:
                row.errors = ["Give the header a name."]
            elif row.name.lower() in names:
                row.errors = ["This header is there twice."]
            elif not row.value and not row.is_kept:
                row.errors = ["Type its value." if not row.kept else "The name is another one: type the value again."]
            names.add(row.name.lower())
        return cleaned

    def changes(self) -> dict[str, Any]:
        """What the service is told: an endpoint that is there is switched on and off by a button of its own."""
        given = self.cleaned_data
        changes = {
            "url": given["url"],
            "description": given["description"],
            "events": list(payloads.CATALOGUE) if given["all_events"] else given["events"],
            "headers": {
                row.name: endpoints.HIDDEN if row.is_kept else row.value for row in self.headers if not row.is_empty
            },
        }
        return changes if self.endpoint else {**changes, "is_active": given["is_active"]}

    def refuse(self, error: DomainError) -> None:
        """Show the errors of a service beside the fields and the headers that they name."""
        others: dict[str, list[str]] = {}
        for name, texts in error.errors.items():
            if name != "headers" and not name.startswith("headers."):
                others[name] = texts
                continue
            row = next((row for row in self.headers if name == f"headers.{row.name}"), None)
            (row.errors if row else self.header_errors).extend(texts)
        if others or not error.errors:
            super().refuse(DomainError(error.detail, errors=others))


def _read_headers(data: Mapping[str, Any]) -> list[Header]:
    """The rows that a browser sends, in their order; those that were left empty as well."""
    rows: dict[int, Header] = {}
    for name in data:
        if found := _PLACE.fullmatch(name):
            place = int(found[1])
            setattr(rows.setdefault(place, Header(place)), found[2], str(data[name]).strip()[:4000])
    return [rows[place] for place in sorted(rows)]


def zone_named(name: str) -> dt.tzinfo:
    """A timezone by its name; UTC for one that is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


class MomentField(forms.CharField):
    """A moment as a browser's `datetime-local` gives it, read in `zone`; cleans to an aware datetime.

    An hour that comes twice (the end of summer time) is the first one.
    """

    zone: dt.tzinfo = dt.UTC
    widget = forms.TextInput(attrs={"type": "datetime-local", "step": "60", "autocomplete": "off"})

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value))
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            raise forms.ValidationError("Give a day and a time.") from None
        if not _FIRST <= moment.year < _LAST:
            raise forms.ValidationError("Give a day and a time.")
        return moment.replace(tzinfo=self.zone)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dt.datetime):
            return value.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M")
        return value


class RangeForm(DomainForm):
    """A span of time, in the workspace's timezone, whose events are sent again."""

    everything = forms.BooleanField(
        label="Also what has arrived",
        required=False,
        help_text="Otherwise only what failed, was cancelled or missed is sent.",
    )

    def __init__(self, data: Any = None, *, zone: str, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        for name, label in (("from", "From"), ("to", "To")):
            asked = MomentField(label=label, error_messages={"required": "Give a day and a time."})
            asked.zone = zone_named(zone)
            self.fields[name] = asked
        self.zone = zone if zone_named(zone) is not dt.UTC else "UTC"
