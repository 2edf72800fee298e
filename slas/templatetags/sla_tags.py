"""The explanation of a clock as a picture: its spans in a bar, drawn in SVG."""

import datetime as dt
from collections.abc import Sequence

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from slas.clocks import Kind, Piece
from tickets.templatetags.deadline_tags import GOALS, absolute, in_hours

register = template.Library()

KINDS = {
    Kind.COUNTED: ("Counted", "circle-check"),
    Kind.CLOSED: ("Closed", "moon"),
    Kind.PAUSED: ("Paused", "pause"),
    Kind.AHEAD: ("Still to run", "clock"),
    Kind.LATE: ("Late", "triangle-alert"),
}
_WIDTH = 1000


@register.filter
def goal_name(goal: object) -> str:
    """The name of a goal: "First response"."""
    return next(name for known, name in GOALS.items() if known == goal)


@register.filter
def kind_name(kind: Kind) -> str:
    """What a span was, in a word or two."""
    return KINDS[kind][0]


@register.filter
def kind_icon(kind: Kind) -> str:
    """The icon of a kind of span."""
    return KINDS[kind][1]


@register.simple_tag
def span_bar(pieces: Sequence[Piece], due_at: dt.datetime | None) -> SafeString:
    """The spans from left to right, each as wide as it was long, with a mark at the deadline."""
    if not pieces:
        return SafeString("")
    start, end = pieces[0].start, pieces[-1].end
    whole = (end - start) / dt.timedelta(seconds=1) or 1.0

    def at(moment: dt.datetime) -> float:
        return round(_WIDTH * ((moment - start) / dt.timedelta(seconds=1)) / whole, 2)

    drawn = "".join(
        f'<rect class="span" data-kind="{piece.kind.value}" x="{at(piece.start)}" y="4" '
        f'width="{max(1.0, at(piece.end) - at(piece.start))}" height="20">'
        f"<title>{escape(f'{KINDS[piece.kind][0]}: {absolute(piece.start)} – {absolute(piece.end)}')}</title></rect>"
        for piece in pieces
    )
    mark = ""
    if due_at is not None and start <= due_at <= end:
        mark = f'<rect class="due" x="{min(_WIDTH - 3, at(due_at))}" y="0" width="3" height="28"></rect>'
    counted = in_hours(sum((piece.business for piece in pieces), dt.timedelta()))
    return format_html(
        '<svg class="span-bar" viewBox="0 0 {} 28" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        _WIDTH,
        f"{absolute(start)} to {absolute(end)}, {counted} counted",
        mark_safe(drawn + mark),  # noqa: S308  numbers and our own words
    )


@register.filter
def length(piece: Piece) -> str:
    """How long a span was, by the clock on the wall."""
    return in_hours(piece.end - piece.start)
