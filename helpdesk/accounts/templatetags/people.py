"""Template filters for people and moments: initials, and "2 h" instead of a date."""

import datetime as dt

from django import forms, template
from django.forms import BoundField
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

register = template.Library()

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_RELATIVE_FOR = 30 * _DAY  # after that a date says more than a number of days


@register.filter
def initials(name: object) -> str:
    """One or two letters that stand for a person: "Maria Rossi" is MR, "jane@acme.example" is J."""
    words = [word for word in str(name or "").split("@")[0].split() if word[0].isalnum()]
    if not words:
        return "?"
    picked = words[:1] if len(words) == 1 else [words[0], words[-1]]
    return "".join(word[0] for word in picked).upper()


@register.filter
def ago(moment: dt.datetime | None, now: dt.datetime | None = None) -> str:
    """How far away a moment is, in words: "just now", "5 min", "2 h", "3 d", "in 2 h"; a date beyond 30 days.

    `moment` and `now` (the current time unless given) must be aware datetimes. The date is in Django's
    current timezone and leaves the year away when it is this one.
    """
    if not isinstance(moment, dt.datetime):
        return ""
    now = now or timezone.now()
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < _MINUTE:
        return _("just now") if seconds >= 0 else _("in a moment")
    if distance >= _RELATIVE_FOR:
        local = timezone.localtime(moment)
        # Django's codes of date formats: a language may say "j. M".
        short, long = pgettext("date format", "j M"), pgettext("date format", "j M Y")
        return format_date(local, short if local.year == timezone.localtime(now).year else long)
    if distance < _HOUR:
        words = _("%(number)s min") % {"number": int(distance // _MINUTE)}
    elif distance < _DAY:
        words = _("%(number)s h") % {"number": int(distance // _HOUR)}
    else:
        words = _("%(number)s d") % {"number": int(distance // _DAY)}
    return words if seconds >= 0 else _("in %(distance)s") % {"distance": words}


@register.filter
def field_kind(field: BoundField) -> str:
    """How components/field.html lays a bound field out: "checkbox", "choices" (a group of them) or "input"."""
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        return "checkbox"
    if isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        return "choices"
    return "input"


@register.filter
def described_by(field: BoundField) -> str:
    """The ids of a field's help and errors, for aria-describedby; empty when it has neither."""
    ids = []
    if field.help_text:
        ids.append(f"{field.auto_id}_help")
    if field.errors:
        ids.append(f"{field.auto_id}_error")
    return " ".join(ids)


@register.filter
def control(field: BoundField) -> SafeString:
    """The field's widget with our class and with what a screen reader needs to find its help and errors."""
    given = str(field.field.widget.attrs.get("class", ""))
    attributes: dict[str, str | bool] = {}
    if field_kind(field) == "input":
        attributes["class"] = f"{given} input".strip()
    if field.errors:
        attributes["aria-invalid"] = "true"
    if ids := described_by(field):
        attributes["aria-describedby"] = ids
    return field.as_widget(attrs=attributes)
