"""How it stands with a ticket's deadlines, in words, icons and tones; `static/js/sla.js` keeps them counting."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from helpdesk.accounts.templatetags.icons import markup
from tickets import deadlines
from tickets.deadlines import Deadline, Goal, Run, State

register = template.Library()

GOALS = {
    Goal.FIRST_RESPONSE: "First response",
    Goal.NEXT_RESPONSE: "Next response",
    Goal.RESOLUTION: "Resolution",
}
_GOAL_ICONS = {Goal.FIRST_RESPONSE: "reply", Goal.NEXT_RESPONSE: "reply", Goal.RESOLUTION: "circle-check"}
WORDS = {
    State.ON_TRACK: "On track",
    State.AT_RISK: "At risk",
    State.BREACHED: "Breached",
    State.PAUSED: "Paused",
    State.MET: "Met",
    State.STOPPED: "Not needed",
}
_TONES = {State.AT_RISK: "warn", State.BREACHED: "bad", State.MET: "ok"}
_ICONS = {
    State.ON_TRACK: "clock",
    State.AT_RISK: "clock-alert",
    State.BREACHED: "triangle-alert",
    State.PAUSED: "pause",
    State.MET: "check",
    State.STOPPED: "minus",
}
_DECORATION = (("aria_hidden", "true"),)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def duration(span: dt.timedelta) -> str:
    """A length of time in words: "<1 m", "20 m", "3 h 05 m", "2 d 4 h"."""
    minutes = int(abs(span).total_seconds() // 60)
    if minutes < 1:
        return "<1 m"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} m"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes:02} m"


@register.filter
def in_hours(span: dt.timedelta) -> str:
    """A target or a part of it, in hours and minutes however long: "72 h", "1 h 30 m", "45 s"."""
    seconds = round(span.total_seconds())
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    parts = [f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if count]
    return " ".join(parts) or "0 m"


def _short(one: Deadline, state: State, now: dt.datetime) -> str:
    """What a badge says: the state where it is not plain from the icon's neighbours, and the time."""
    left = one.left(now)
    if state is State.ON_TRACK:
        return "No deadline" if left is None else f"{duration(left)} left"
    if state is State.AT_RISK:
        return "At risk" if left is None else f"At risk, {duration(left)}"
    if state is State.BREACHED:
        return (
            "Breached"
            if left is None
            else f"Late by {duration(left)}"
            if one.satisfied_at
            else f"Breached {duration(left)}"
        )
    if state is State.PAUSED and left is not None:
        return f"Paused, {duration(left)}"
    return WORDS[state]


@register.filter
def absolute(at: dt.datetime | None) -> str:
    """A moment as people write it, in the current timezone: "Tue 12 Mar, 10:30"."""
    if at is None:
        return ""
    # Not by Django's date format, which takes ten times as long: a queue writes a hundred of these.
    local, now = timezone.localtime(at), timezone.now()
    year = "" if local.year == now.year else f" {local.year}"
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month]}{year}, {local.hour:02}:{local.minute:02}"


def _title(one: Deadline, state: State) -> str:
    due = f", due {absolute(one.due_at)}" if one.due_at and state not in (State.PAUSED, State.STOPPED) else ""
    return f"{GOALS[one.goal]}{due}"


def _live(one: Deadline) -> str:
    """What the browser needs to go on counting by itself."""
    if one.run is not Run.RUNNING or one.due_at is None:
        return ""
    risk = f' data-risk="{one.at_risk_at.isoformat()}"' if one.at_risk_at else ""
    return f' data-due="{one.due_at.isoformat()}"{risk}'


def badge(one: Deadline, now: dt.datetime, *, names_goal: bool = False) -> SafeString:
    """One deadline as a badge: icon, words, tone. `names_goal` puts the goal's own icon before it."""
    state = one.state(now)
    tone = f' data-tone="{_TONES[state]}"' if state in _TONES else ""
    goal = ""
    if names_goal:
        said = f'<span class="visually-hidden">{GOALS[one.goal]}: <span class="state">{WORDS[state]}</span>, </span>'
        goal = f'<span class="goal">{markup(_GOAL_ICONS[one.goal], 12, _DECORATION)}</span>{said}'
    icon, words = markup(_ICONS[state], 12, _DECORATION), escape(_short(one, state, now))
    more = _live(one)
    if not names_goal:
        more += " data-long"
        words = f"{WORDS[state]}, {words}" if state is State.ON_TRACK else words
    return mark_safe(  # noqa: S308  our own words
        f'<span class="promise" data-state="{state.value}"{tone}{more} title="{escape(_title(one, state))}">'
        f'{goal}{icon}<span class="left">{words}</span></span>'
    )


_URGENCY = {
    State.BREACHED: 0,
    State.AT_RISK: 1,
    State.ON_TRACK: 2,
    State.PAUSED: 3,
    State.MET: 4,
    State.STOPPED: 5,
}


def row_badges(document: Mapping[str, Any] | None, now: dt.datetime) -> str:
    """The deadlines of a row of the queue: the response that is waited for, and the resolution.

    The more pressing one is marked: where there is little room it stands alone.
    """
    told = deadlines.read(document)
    if not told:
        return '<span class="sla"></span>'
    shown = _response_and_resolution(told)
    missed = [one for one in told if one not in shown and one.is_breached(now)]
    first = min(shown, key=lambda one: _pressing(one, now))
    return (
        '<span class="sla">'
        + "".join(
            f"<span{' data-first' if one is first else ''}>{badge(one, now, names_goal=True)}"
            f"{_missed(missed, now) if one is shown[0] else ''}</span>"
            for one in shown
        )
        + "</span>"
    )


def _missed(missed: list[Deadline], now: dt.datetime) -> str:
    """A mark for a promise that was missed and that the row has no room for: the filter *breached* finds it."""
    if not missed:
        return ""
    said = escape("; ".join(f"{GOALS[one.goal]}: {_short(one, State.BREACHED, now).lower()}" for one in missed))
    icon = markup(_ICONS[State.BREACHED], 12, _DECORATION)
    return (
        f'<span class="promise" data-tone="bad" title="{said}">{icon}<span class="visually-hidden">{said}</span></span>'
    )


def _response_and_resolution(told: Iterable[Deadline]) -> list[Deadline]:
    """The response that counts now (the next one once the first was given), and the resolution."""
    by_goal = {one.goal: one for one in told}
    response = by_goal.get(Goal.NEXT_RESPONSE) or by_goal.get(Goal.FIRST_RESPONSE)
    first = by_goal.get(Goal.FIRST_RESPONSE)
    if first is not None and first.run is not Run.SATISFIED:
        response = first
    return [one for one in (response, by_goal.get(Goal.RESOLUTION)) if one is not None]


def _pressing(one: Deadline, now: dt.datetime) -> tuple[int, bool, dt.timedelta]:
    """What is still to be done comes before what was missed for good; then the nearer one."""
    is_over = one.run in (Run.SATISFIED, Run.STOPPED)
    return (_URGENCY[one.state(now)] + 10 * is_over, one.due_at is None, one.left(now) or dt.timedelta())


@dataclass(frozen=True)
class Shown:
    """A deadline on a ticket's page."""

    name: str
    badge: SafeString
    tone: str
    share: int  # percent of the target that is used
    one: Deadline
    is_running: bool
    note: str


@register.simple_tag
def promises(ticket: Any) -> list[Shown]:
    """The deadlines of a ticket, for its page: badge, how much is used, when it is due."""
    now = timezone.now()
    shown = []
    for one in deadlines.read(ticket.sla):
        state = one.state(now)
        shown.append(
            Shown(
                name=GOALS[one.goal],
                badge=badge(one, now),
                tone=_TONES.get(state, "ok" if state is State.ON_TRACK else ""),
                share=round(100 * one.share(now)),
                one=one,
                is_running=one.run is Run.RUNNING,
                note=_note(one, state),
            )
        )
    return shown


def _note(one: Deadline, state: State) -> str:
    target = in_hours(one.target)
    if one.satisfied_at is not None and one.due_at is not None:
        return f"{absolute(one.satisfied_at)}, was due {absolute(one.due_at)} · {target}"
    if state is State.PAUSED:
        return f"{in_hours(one.used)} of {target} used"
    if one.due_at is not None:
        return f"{'Was due' if state is State.BREACHED else 'Due'} {absolute(one.due_at)} · {target}"
    if one.run is Run.RUNNING:
        return "Its business hours never open: there is no deadline."
    return f"{in_hours(one.used)} of {target} used"


@register.simple_tag
def policy_name(ticket: Any) -> str:
    """The name of the policy that a ticket is under; empty for none."""
    return str(ticket.sla["policy"]["name"]) if ticket.sla else ""


@register.simple_tag
def state_badge(one: Deadline, now: dt.datetime) -> SafeString:
    """A deadline as a badge, as it stood at `now`."""
    return badge(one, now)


@register.simple_tag
def sla_icon(state: str) -> SafeString:
    """The icon of a state; the browser changes it when a deadline passes before its eyes."""
    return markup(_ICONS[State(state)], 12, _DECORATION)
