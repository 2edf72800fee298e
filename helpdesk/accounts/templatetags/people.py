"""Template filters for people and moments: initials, and "2 h" instead of a date."""

import datetime as dt

from django import template
from django.utils import timezone
from django.utils.dateformat import format as format_date

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
        return "just now" if seconds >= 0 else "in a moment"
    if distance >= _RELATIVE_FOR:
        local = timezone.localtime(moment)
        return format_date(local, "j M" if local.year == timezone.localtime(now).year else "j M Y")
    if distance < _HOUR:
        words = f"{int(distance // _MINUTE)} min"
    elif distance < _DAY:
        words = f"{int(distance // _HOUR)} h"
    else:
        words = f"{int(distance // _DAY)} d"
    return words if seconds >= 0 else f"in {words}"
