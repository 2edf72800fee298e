"""What the pages of webhooks draw: the last 24 hours as bars, and short words."""

import datetime as dt
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_STEP = 10  # width of an hour
_BAR = 7


@register.filter
def milliseconds(value: int | None) -> str:
    """A length of time in milliseconds, for people: "182 ms", "1.2 s"; empty for None."""
    if value is None:
        return ""
    return f"{value} ms" if value < 1000 else f"{value / 1000:.1f} s"


@register.filter
def marked(text: str) -> SafeString:
    """A text of our own in which `backticks` mark code."""
    return mark_safe(re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False)))  # noqa: S308  escaped


@register.simple_tag
def hour_bars(hours: Sequence[Any], height: int = 40, tells: bool = False) -> SafeString:
    """Attempts by hour, oldest first: what arrived stands above a line, what failed hangs below it, to one scale.

    With `tells` each hour says on hover what it brought.
    """
    up, down = max((one.delivered for one in hours), default=0), max((one.failed for one in hours), default=0)
    room = height - 3
    scale = room / (up + down) if up + down else 0.0
    line = round(1 + up * scale, 1) if up + down else height - 2
    drawn = []
    for number, one in enumerate(hours):
        x = number * _STEP + (_STEP - _BAR) / 2
        for kind, count in (("delivered", one.delivered), ("failed", one.failed)):
            if count:
                tall = round(max(2.0, count * scale), 1)
                y = max(0.0, round(line - tall, 1)) if kind == "delivered" else line + 1
                drawn.append(f'<rect data-kind="{kind}" x="{x}" y="{y}" width="{_BAR}" height="{tall}"></rect>')
        if tells:
            drawn.append(
                f'<rect class="hover" x="{number * _STEP}" y="0" width="{_STEP}" height="{height}">'
                f"<title>{escape(_hour_words(one))}</title></rect>"
            )
    width = len(hours) * _STEP
    return mark_safe(  # noqa: S308  numbers and our own words
        f'<svg class="hour-bars" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(in_words(hours))}"><rect class="line" x="0" y="{line}" width="{width}" height="1"></rect>'
        f"{''.join(drawn)}</svg>"
    )


def _hour_words(one: Any) -> str:
    start = timezone.localtime(one.start)
    end = start + dt.timedelta(hours=1)
    return f"{start:%H:%M}–{end:%H:%M}: {one.delivered:,} arrived, {one.failed:,} failed"


def in_words(hours: Sequence[Any]) -> str:
    """The bars for those who do not see them."""
    delivered, failed = sum(one.delivered for one in hours), sum(one.failed for one in hours)
    if not delivered and not failed:
        return "Nothing was sent in the last 24 hours"
    words = f"Last 24 hours: {delivered:,} attempts arrived, {failed:,} failed"
    if failed:
        worst = max(hours, key=lambda one: one.failed)
        start = timezone.localtime(worst.start)
        words += f", most of them in the hour from {start:%H:%M}"
    return words
