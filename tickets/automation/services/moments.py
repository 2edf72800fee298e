"""When a rule would have been asked about a ticket: the moments of its log that pull the rule's triggers.

The same as what `engine` and `timed` do as things happen, told from a log that is over.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from tickets.automation.levels import Reckoner
from tickets.automation.models import OPTIONS, TIMED
from tickets.automation.services.facts import triggers_of
from tickets.automation.services.rewind import Happening
from tickets.events import ActorKind, Event
from tickets.models import Activity

_OF_EVENTS: dict[str, Event] = {
    "created": Event.CREATED,
    "customer_replied": Event.COMMENT_ADDED,
    "agent_replied": Event.COMMENT_ADDED,
    "customer_messages": Event.COMMENT_ADDED,
    "sla_at_risk": Event.SLA_AT_RISK,
    "sla_breached": Event.SLA_BREACHED,
    "satisfaction_rated": Event.SATISFACTION_SUBMITTED,
}
# Recorded without the ticket itself being written: its `updated_at` may be older.
QUIET = frozenset({Event.SLA_AT_RISK.value, Event.SLA_BREACHED.value, Event.SATISFACTION_SUBMITTED.value})
_ENDS = frozenset({Event.RESOLVED.value, Event.CLOSED.value})
_PEOPLE = frozenset({ActorKind.AGENT.value, ActorKind.CUSTOMER.value})


class Moment(NamedTuple):
    """As of when a rule is asked, because of what, and by which of its triggers."""

    at: dt.datetime
    about: Happening
    trigger: str


@dataclass(frozen=True)
class Triggers:
    """What makes a rule look at a ticket, with what its triggers need besides."""

    words: frozenset[str]
    message_count: int | None = None
    no_response: dt.timedelta | None = None  # business time
    idle: dt.timedelta | None = None  # clock time

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> "Triggers":
        """From a rule as a dry run keeps it; hours are numbers."""
        hours = {word: asked.get(OPTIONS[word]) for word in TIMED}
        lengths = {word: dt.timedelta(hours=float(value)) for word, value in hours.items() if value is not None}
        return cls(frozenset(asked["triggers"]), asked.get("message_count"), **lengths)

    @property
    def events(self) -> frozenset[str] | None:
        """The events that the log must be read for, besides everything that changed something; None: all of them."""
        if "idle" in self.words:
            return None
        found = {_OF_EVENTS[word].value for word in self.words if word in _OF_EVENTS}
        return frozenset(found | ({Event.CREATED.value, Event.COMMENT_ADDED.value} if self.is_timed else set()))

    @property
    def is_timed(self) -> bool:
        """Whether it waits for a time."""
        return not self.words.isdisjoint(TIMED)

    @property
    def needs_all(self) -> bool:
        """Whether what happened before the days that are asked about matters."""
        return self.is_timed or "customer_messages" in self.words

    @property
    def only_created(self) -> bool:
        """Whether nothing but the creation makes it look."""
        return self.words == {"created"}


def moments_of(
    log: Sequence[Happening],
    triggers: Triggers,
    *,
    since: dt.datetime,
    until: dt.datetime,
    business_time: Reckoner,
) -> list[Moment]:
    """The moments from `since` to `until`, newest first. The log is in order, oldest first.

    Whether a ticket was in work when a time came, the caller looks at: it knows the ticket then.
    """
    found = [
        *_events(log, triggers, since, until),
        *(_no_response(log, triggers.no_response, business_time) if triggers.no_response else ()),
        *(_idle(log, triggers.idle) if triggers.idle else ()),
    ]
    return sorted((one for one in found if since <= one.at <= until), key=lambda one: one.at, reverse=True)


def _events(log: Sequence[Happening], triggers: Triggers, since: dt.datetime, until: dt.datetime) -> Iterator[Moment]:
    """What happened, once for each rule as rules are asked: by the first of its triggers."""
    in_a_row = 0
    for one in log:
        pulled = triggers_of(cast(Activity, one))
        if "agent_replied" in pulled:
            in_a_row = 0
        elif "customer_replied" in pulled:
            in_a_row += 1
        if one.at < since or one.at > until:
            continue
        for word in pulled:
            if word in triggers.words and (word != "customer_messages" or in_a_row == triggers.message_count):
                yield Moment(one.at, one, word)
                break


def _no_response(log: Iterable[Happening], length: dt.timedelta, business_time: Reckoner) -> Iterator[Moment]:
    """Since the first message that nobody answered; resolving a ticket answers it, too."""

    def waited(since: Happening, ended: dt.datetime | None) -> Iterator[Moment]:
        # Business time is never shorter than the clock's.
        if ended is None or since.at + length < ended:
            due_at = business_time(since.at, length)
            if due_at is not None and (ended is None or due_at < ended):
                yield Moment(due_at, since, "no_response")

    waiting: Happening | None = None
    for one in log:
        pulled = triggers_of(cast(Activity, one)) if one.event == Event.COMMENT_ADDED else ()
        if "agent_replied" in pulled or one.event in _ENDS:
            if waiting is not None:
                yield from waited(waiting, one.at)
            waiting = None
        elif waiting is None and (one.event == Event.CREATED or "customer_replied" in pulled):
            waiting = one
    if waiting is not None:
        yield from waited(waiting, None)


def _idle(log: Iterable[Happening], length: dt.timedelta) -> Iterator[Moment]:
    """Since an agent or a customer last did anything."""
    last: Happening | None = None
    for one in log:
        if one.actor_kind in _PEOPLE or one.event == Event.CREATED:
            if last is not None and last.at + length < one.at:
                yield Moment(last.at + length, last, "idle")
            last = one
    if last is not None:
        yield Moment(last.at + length, last, "idle")
