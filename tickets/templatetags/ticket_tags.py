"""Rows of the queue, icons, and what happened in words.

A queue shows fifty rows, and agents open it all day: the rows are made by one function that
joins strings, because fifty passes through a template would cost more than everything else on the page.
"""

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django import template
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.html import conditional_escape, escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from helpdesk.accounts.templatetags.icons import markup
from helpdesk.accounts.templatetags.people import ago, initials
from tickets.deadlines import Goal
from tickets.events import Event
from tickets.models import Activity, Attachment, Comment
from tickets.services.base import is_reachable
from tickets.templatetags.deadline_tags import GOALS, row_badges

register = template.Library()


@register.simple_tag
def icon(name: str, size: int = 16) -> SafeString:
    """An icon as decoration: the words stand beside it."""
    return markup(name, size, _DECORATION)


_DECORATION = (("aria_hidden", "true"),)


# --- The queue --------------------------------------------------------------------------------

_STATUS = {
    "new": ("accent", "sparkles", "New"),
    "open": ("accent", "circle-dot", "Open"),
    "pending": ("warn", "hourglass", "Pending"),
    "resolved": ("ok", "circle-check", "Resolved"),
    "closed": ("", "archive", "Closed"),
}
_PRIORITY = {
    "urgent": ("bad", "flame", "Urgent"),
    "high": ("warn", "chevron-up", "High"),
    "medium": ("", "minus", "Medium"),
    "low": ("", "chevron-down", "Low"),
}


@register.simple_tag
@lru_cache(maxsize=16)
def status_badge(status: str) -> SafeString:
    """A status as a badge: icon, word and tone."""
    tone, name, word = _STATUS.get(status, ("", "circle", status.capitalize()))
    said = f' data-tone="{tone}"' if tone else ""
    return mark_safe(f'<span class="badge"{said}>{icon(name, 12)}{escape(word)}</span>')  # noqa: S308  our own words


@register.simple_tag
@lru_cache(maxsize=16)
def priority_mark(priority: str) -> SafeString:
    """A priority: icon, word and tone."""
    tone, name, word = _PRIORITY.get(priority, ("", "minus", priority.capitalize()))
    said = f' data-tone="{tone}"' if tone else ""
    return mark_safe(f'<span class="prio"{said}>{icon(name, 13)}{escape(word)}</span>')  # noqa: S308  our own words


@lru_cache(maxsize=512)
def _dot(colour: str) -> str:
    return (
        '<svg class="dot" width="8" height="8" viewBox="0 0 8 8" aria-hidden="true">'
        f'<circle cx="4" cy="4" r="4" fill="{escape(colour)}"/></svg>'
    )


@lru_cache(maxsize=512)
def _assignee(name: str | None) -> str:
    if not name:
        return '<span class="assignee" data-nobody><span class="avatar" data-size="small" data-nobody aria-hidden="true">–</span><span>Nobody</span></span>'  # noqa: E501
    return (
        f'<span class="assignee" title="{escape(name)}"><span class="avatar" data-size="small" aria-hidden="true">'
        f"{escape(initials(name))}</span><span>{escape(name)}</span></span>"
    )


def _time(moment: dt.datetime, now: dt.datetime) -> str:
    return (
        f'<time datetime="{moment.isoformat()}" title="{moment:%-d %b %Y, %H:%M} UTC">{escape(ago(moment, now))}</time>'
    )


@register.simple_tag
def queue_row(
    row: Any,
    kept: str = "",
    current: Any = None,
    oob: bool = False,
    shows: str = "created_at",
    now: dt.datetime | None = None,
    form: str = "",
) -> SafeString:
    """One row of the queue. `kept` is the query string that leads back to this list, `shows` the time it tells.

    With `form`, the id of a form that does something to several tickets, the row can be selected for it.
    """
    now = now or timezone.now()
    here = ' aria-current="true"' if row.id == current else ""
    swap = ' hx-swap-oob="true"' if oob else ""
    address = _ticket_address(row.id) + (f"?{escape(kept)}" if kept else "")
    category = f"{_dot(row.category__color)}<span>{escape(row.category__name)}</span>" if row.category__name else ""
    status = "new" if row.is_new else row.status
    box = (
        f'<input type="checkbox" name="ticket" value="{row.id}" form="{form}" aria-label="Select #{row.number}">'
        if form
        else ""
    )
    return mark_safe(  # noqa: S308  everything that people wrote is escaped here
        f'<li class="row" id="row-{row.id}"{here}{swap}>{box}'
        f'<a class="subject" href="{address}">{escape(row.subject)}</a>'
        f'<span class="who"><span class="num">#{row.number}</span>'
        f"<span>{escape(row.requester_name or row.requester_email)}</span>{category}</span>"
        f'<span class="end">{row_badges(row.sla, now)}{priority_mark(row.priority)}{status_badge(status)}'
        f"{_assignee(row.assignee__name)}"
        f"{_time(getattr(row, shows), now)}</span></li>"
    )


@register.simple_tag
def queue_rows(
    rows: Iterable[Any], kept: str = "", current: Any = None, shows: str = "created_at", form: str = ""
) -> SafeString:
    """The rows of the queue, as `queue_row`."""
    now = timezone.now()
    return mark_safe("".join(queue_row(row, kept, current, shows=shows, now=now, form=form) for row in rows))  # noqa: S308  made of safe rows


_ADDRESS = ""


def _ticket_address(pk: Any) -> str:
    """The address of a ticket's page; resolved once, because reversing fifty is slow."""
    global _ADDRESS
    if not _ADDRESS:
        _ADDRESS = reverse("tickets:all").rstrip("/")
    return f"{_ADDRESS}/{pk}"


@register.simple_tag
def kept_query(kept: str, **changes: Any) -> str:
    """`kept` with further parameters, for the end of an address; with its question mark."""
    extra = urlencode({name: value for name, value in changes.items() if value not in (None, "")})
    both = "&".join(part for part in (kept, extra) if part)
    return f"?{both}" if both else ""


# --- What happened, in words ------------------------------------------------------------------

_EVENT_ICONS = {
    Event.CREATED: "circle-plus",
    Event.ASSIGNED: "user-check",
    Event.UNASSIGNED: "user-x",
    Event.RESOLVED: "circle-check",
    Event.CLOSED: "archive",
    Event.REOPENED: "rotate-ccw",
    Event.COMMENT_ADDED: "message-square",
    Event.COMMENT_EDITED: "pencil",
    Event.COMMENT_DELETED: "trash-2",
    Event.ATTACHMENT_ADDED: "paperclip",
    Event.MERGED: "git-merge",
    Event.UNMERGED: "undo-2",
    Event.SPLIT: "split",
    Event.LINKED: "link",
    Event.TRASHED: "trash-2",
    Event.RESTORED: "undo-2",
    Event.SLA_AT_RISK: "clock-alert",
    Event.SLA_BREACHED: "triangle-alert",
    Event.SATISFACTION_SUBMITTED: "star",
}
_LINK_WORDS = {
    "related": "linked {} as related",
    "parent": "made {} a child of this ticket",
    "follow_up": "followed this up with {}",
}
_FIELDS = {"cc": "Cc", "sla policy": "SLA policy", "requester_name": "requester’s name"}


@register.filter
def event_icon(activity: Activity, size: int = 13) -> SafeString:
    """The icon of an event."""
    return icon(_EVENT_ICONS.get(Event(activity.event), "pencil"), size)


def _bold(value: Any) -> SafeString:
    return format_html("<b>{}</b>", value)


def _list_change(field: str, before: list[Any], after: list[Any]) -> SafeString:
    gone, come = [x for x in before if x not in after], [x for x in after if x not in before]
    name = _FIELDS.get(field, field)
    parts = []
    if come:
        parts.append(format_html("added {} {}", name, _bold(", ".join(map(str, come)))))
    if gone:
        parts.append(format_html("removed {} {}", name, _bold(", ".join(map(str, gone)))))
    return format_html_join(" and ", "{}", ((part,) for part in parts))


def _change(change: dict[str, Any]) -> SafeString:
    """One change of a field: "changed priority from High to Urgent"."""
    field, before, after = change.get("field", ""), change.get("from"), change.get("to")
    if field in ("tags", "cc") and (isinstance(before, list) or isinstance(after, list)):
        return _list_change(field, before or [], after or [])
    name = _FIELDS.get(field, field.replace("_", " "))
    if field == "description":
        return SafeString("changed the description")
    if field in ("status", "priority"):
        before, after = str(before or "").capitalize(), str(after or "").capitalize()
    # No and 0 are values, too: a custom field can say them.
    before, after = ("" if value is None else plain(value) for value in (before, after))
    if not after:
        return format_html("removed the {} {}", name, _bold(before))
    if not before:
        return format_html("set the {} to {}", name, _bold(after))
    return format_html("changed the {} from {} to {}", name, _bold(before), _bold(after))


@register.filter
def in_words(activity: Activity) -> SafeString:
    """What somebody did, as the rest of a sentence that begins with their name."""
    event = Event(activity.event)
    changes: list[dict[str, Any]] = activity.changes or []
    data: dict[str, Any] = (activity.payload or {}).get("data", {})
    if event is Event.ASSIGNED:
        name = changes[0].get("to") if changes else ""
        if activity.actor_user_id and str(activity.actor_user_id) == str(data.get("assignee_id")):
            return SafeString("took this ticket")
        return format_html("assigned this ticket to {}", _bold(name))
    if event is Event.UNASSIGNED:
        return format_html("took this ticket from {}", _bold(changes[0].get("from") if changes else ""))
    if event is Event.ATTACHMENT_ADDED:
        return format_html("added the file {}", _bold(data.get("name", "")))
    if event is Event.COMMENT_ADDED:
        return SafeString("left an internal note") if data.get("is_internal") else SafeString("wrote a message")
    if event in (Event.MERGED, Event.UNMERGED):
        return _merge_words(event, activity, data)
    if event is Event.SPLIT:
        return format_html("made {} from a message", _ticket_link(data.get("other_id"), data.get("other_number")))
    if event is Event.LINKED:
        sentence = _LINK_WORDS.get(str(data.get("kind")), "linked {}")
        return format_html(sentence, _ticket_link(data.get("other_id"), data.get("other_number")))
    if event in (Event.SLA_AT_RISK, Event.SLA_BREACHED):
        goal = GOALS[Goal(data["breach_type"])].lower()
        sentence = "noticed that the {} is at risk" if event is Event.SLA_AT_RISK else "noticed that the {} is overdue"
        return format_html(sentence, _bold(goal))
    if event is Event.SATISFACTION_SUBMITTED:
        rated = format_html("rated the help with {} of 5", _bold(data["rating"]))
        words = data.get("feedback")
        return format_html('{}: <q dir="auto">{}</q>', rated, words) if words else rated
    if event is Event.UPDATED and changes:
        return format_html_join(", ", "{}", ((_change(change),) for change in changes))
    plain = {
        Event.CREATED: "opened this ticket",
        Event.RESOLVED: "resolved this ticket",
        Event.CLOSED: "closed this ticket",
        Event.REOPENED: "reopened this ticket",
        Event.COMMENT_EDITED: "edited a message",
        Event.COMMENT_DELETED: "deleted a message",
        Event.TRASHED: "moved this ticket to the trash",
        Event.RESTORED: "took this ticket out of the trash",
    }
    return conditional_escape(plain.get(event, "changed this ticket"))


def _merge_words(event: Event, activity: Activity, data: dict[str, Any]) -> SafeString:
    is_source = str(activity.ticket_id) == str(data.get("source_id"))
    source = _ticket_link(data.get("source_id"), data.get("source_number"))
    target = _ticket_link(data.get("target_id"), data.get("target_number"))
    if event is Event.MERGED:
        return (
            format_html("merged this ticket into {}", target)
            if is_source
            else format_html("merged {} into this ticket", source)
        )
    return (
        format_html("took this ticket apart from {}", target)
        if is_source
        else format_html("took {} apart from this ticket", source)
    )


def _ticket_link(pk: Any, number: Any) -> SafeString:
    if not pk:
        return conditional_escape(number or "a ticket")
    return format_html('<a href="{}">{}</a>', _ticket_address(pk), number)


@register.filter
def plain(value: Any) -> str:
    """A value of a customer's attributes as people say it: yes and no, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return "–" if value is None else str(value)


@register.filter
def size_in_words(size: int) -> str:
    """A number of bytes for people: "84 kB"."""
    return filesizeformat(size).replace("\xa0", " ")


# --- The conversation -------------------------------------------------------------------------

_CHANNELS = {
    "web": "by an agent",
    "portal": "in the portal",
    "email": "by e-mail",
    "api": "through the API",
    "chat": "in a chat",
    "import": "imported",
    "schedule": "on a schedule",
}


@register.filter
def has_mail(address: str) -> bool:
    """Whether an address is one, and does not only stand for somebody who gave none."""
    return is_reachable(address)


@register.simple_tag
def channel_words(channel: str) -> str:
    """How something came to us: "by e-mail"."""
    return _CHANNELS.get(channel, channel)


@register.simple_tag
def moment(at: dt.datetime | None) -> SafeString:
    """A moment, relative, with the absolute on hover, as `components/time.html` but without a template."""
    return mark_safe(_time(at, timezone.now())) if at else SafeString("")  # noqa: S308  our own words


@dataclass(frozen=True)
class Told:
    """How the mail of a message fares, in words, an icon and a tone."""

    words: str
    icon: str
    tone: str = ""
    reason: str = ""
    at: dt.datetime | None = None  # since when; None where the words say it or nobody asks
    to: str = ""
    seconds: int = 0  # how long it still waits and can be taken back
    ask_again: int = 0  # in how many seconds there is more to tell; 0: not by itself
    may_resend: bool = False


# State: words, icon, tone, whether it can be sent again by hand.
_DELIVERY = {
    "sent": ("Sent", "check", "", False),
    "partly": ("Some did not get it", "triangle-alert", "warn", True),
    "failed": ("Not sent", "circle-alert", "bad", True),
    "bounced": ("Bounced", "circle-x", "bad", True),
    "held": ("Held", "circle-pause", "warn", True),
    "cancelled": ("Not mailed", "undo-2", "", False),
}
_ASK_FOR = dt.timedelta(minutes=1)  # a page that stays open asks so long how a mail fares that is due


@register.simple_tag
def delivery_of(comment: Comment) -> Told | None:
    """How the mail of a message fares; None where none was to be sent."""
    told = comment.delivery
    if comment.is_internal or not told:
        return None
    at, now, to = dt.datetime.fromisoformat(told["at"]), timezone.now(), ", ".join(told["to"])
    if told["state"] != "waiting":
        words, name, tone, may_resend = _DELIVERY.get(told["state"], (str(told["state"]), "mail", "", False))
        return Told(words, name, tone, told["reason"], at, to, may_resend=may_resend)
    wait = math.ceil((at - now).total_seconds())
    if told["reason"]:
        return Told("Not sent yet", "clock-alert", "warn", told["reason"], at if wait > 0 else None, to)
    if wait > 0:
        return Told("Sends in", "clock", "", at=at, to=to, seconds=wait, ask_again=wait + 2)
    return Told("Sending…", "clock", "", to=to, ask_again=3 if now - at < _ASK_FOR else 0)


@register.simple_tag
def clock_time(at: dt.datetime) -> SafeString:
    """A moment as people say it on the same day, "10:02", else with its day; in the reader's timezone."""
    local, today = timezone.localtime(at), timezone.localdate()
    words = date_format(local, "H:i" if local.date() == today else "j M, H:i" if local.year == today.year else "j M Y")
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), words)


@register.simple_tag
def file_link(file: Attachment) -> SafeString:
    """A file of a message, to download."""
    name = "image" if file.content_type.startswith("image/") else "file-text"
    return format_html(
        '<li><a class="attachment" href="{}" download>{}<span>{}</span> <small class="num">{}</small></a></li>',
        reverse("tickets:attachment", args=[file.pk]),
        icon(name, 14),
        file.name,
        size_in_words(file.size),
    )
