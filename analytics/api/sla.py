"""How promises were kept."""

import datetime as dt
from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.base import REPORTS, PeriodOut, ReportView, parameters, period
from analytics.metrics import sla
from analytics.metrics.sla import ByGoal, Figures, Honesty, Late, Limits, Outcome, Seldom, Standing
from analytics.periods import Interval
from helpdesk.errors import InvalidInput
from tickets.api.schema import described
from tickets.api.serializers import iso
from tickets.api.views.base import EVERYONE
from tickets.deadlines import Goal
from tickets.lifecycle import Priority

_GOALS = [goal.value for goal in Goal]
_PRIORITIES = [priority.value for priority in Priority]
# Name, unit, usual value, most.
_PAUSE, _REOPEN = ("pause_minutes", "minutes", 10, 1440), ("reopen_hours", "hours", 24, 720)


def _limit(of: tuple[str, str, int, int], description: str) -> OpenApiParameter:
    name, unit, usual, most = of
    kind = {"type": "integer", "minimum": 1, "maximum": most, "default": usual}
    return OpenApiParameter(name, kind, description=f"{description}: from 1 to {most} {unit}. Without it: {usual}.")


PARAMETERS = [
    _limit(_PAUSE, "How long after a customer's message a pause counts as set right after it"),
    _limit(_REOPEN, "How long after a resolution a reopening counts as quick"),
]


class SlaOutcomeOut(serializers.Serializer[Any]):
    """What became of promises."""

    met = serializers.IntegerField(
        min_value=0, help_text="Promises that were kept in this time and had not been breached before."
    )
    breached = serializers.IntegerField(
        min_value=0,
        help_text="Promises that were breached in this time: when their deadline passed or, where it had passed when "
        "it came to hold (by a new priority or policy), then. Whether they were kept later makes no difference.",
    )
    running = serializers.IntegerField(
        min_value=0,
        help_text="Promises that began in this time and are neither kept nor breached now, and whose clock runs.",
    )
    paused = serializers.IntegerField(min_value=0, help_text="The same, whose clock stands still now.")
    met_rate = serializers.FloatField(
        allow_null=True,
        help_text="`met` per hundred `met` and `breached`, to one decimal; null where there are neither.",
    )
    narrow = serializers.IntegerField(
        min_value=0,
        help_text="Those of `met` for which more than 90 % of the target's business time had been used.",
    )


class SlaClockOut(SlaOutcomeOut):
    """What became of the promises of one kind."""

    clock = serializers.ChoiceField(choices=_GOALS)


class SlaGroupOut(SlaOutcomeOut):
    """What became of some promises, and by their kind."""

    by_clock = SlaClockOut(many=True, help_text="First response, next response and resolution, always all three.")


class SlaPolicyRefOut(serializers.Serializer[Any]):
    """A policy."""

    id = serializers.UUIDField()
    name = serializers.CharField(help_text="Its name today; of a deleted one its last.")


class SlaOfPolicyOut(SlaGroupOut):
    """Of one policy."""

    policy = SlaPolicyRefOut()


class SlaOfPriorityOut(SlaGroupOut):
    """Of one priority."""

    priority = serializers.ChoiceField(choices=_PRIORITIES)


class SlaPartOut(SlaGroupOut):
    """A day, week or month."""

    start = serializers.DateField(
        help_text="Its first date in the timezone; the first and the last week or month have only the days that are "
        "in the period."
    )


class SlaPauseOut(serializers.Serializer[Any]):
    """How long the clocks of one kind stood still."""

    clock = serializers.ChoiceField(choices=_GOALS)
    promises = serializers.IntegerField(
        min_value=0,
        help_text="Promises that waited to be kept at some time of the period, while their ticket was open or pending. "
        "Those that ended without having been needed are left out.",
    )
    active_seconds = serializers.IntegerField(
        min_value=0,
        help_text="How long they did, within the period, added up; in whole seconds of the wall clock.",
    )
    paused_seconds = serializers.IntegerField(
        min_value=0,
        help_text="For how much of it their ticket was pending and their policy let the clock stand still for that; in "
        "whole seconds of the wall clock, closed hours included.",
    )
    share = serializers.FloatField(
        allow_null=True,
        help_text="`paused_seconds` per hundred `active_seconds`, to one decimal; null when nothing waited.",
    )


class SlaSeldomOut(serializers.Serializer[Any]):
    """Something that should be seldom."""

    count = serializers.IntegerField(min_value=0, help_text="How often it was.")
    of = serializers.IntegerField(min_value=0, help_text="Of how many.")
    share = serializers.FloatField(allow_null=True, help_text="`count` per hundred `of`, to one decimal; null of none.")


class SlaHonestyOut(serializers.Serializer[Any]):
    """What makes figures look better than the service was. Only tickets on which something was promised count."""

    hasty_pauses = SlaSeldomOut(
        help_text="Of all times that a ticket was set to pending in the period, by anybody or a rule: how often that "
        "was at most `pause_minutes` after a public message of a customer that no agent had answered until then. An "
        "answer that sets the ticket to pending itself is none of them."
    )
    quick_reopens = SlaSeldomOut(
        help_text="Of all resolutions in the period: after how many the ticket was reopened, by anybody, at most "
        "`reopen_hours` later."
    )
    narrow_answers = SlaSeldomOut(
        help_text="Of all first and next responses that were `met` in the period: how many were `narrow`, given in the "
        "last tenth of the target's business time."
    )


class SlaFiguresOut(serializers.Serializer[Any]):
    """The figures of a period."""

    period = PeriodOut()
    total = SlaGroupOut(help_text="All promises.")
    by_policy = SlaOfPolicyOut(
        many=True,
        help_text="By the policy that made the promise, in the order of policies, deleted ones last; those without any "
        "are left out. Adds up to `total`.",
    )
    by_priority = SlaOfPriorityOut(
        many=True, help_text="By the priority that tickets have now, urgent first. Adds up to `total`."
    )
    by_period = SlaPartOut(many=True, help_text="Every day, week or month of the period, in order. Adds up to `total`.")
    pauses = SlaPauseOut(many=True, help_text="First response, next response and resolution.")
    honesty = SlaHonestyOut()


class SlaTicketOut(serializers.Serializer[Any]):
    """A ticket."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    subject = serializers.CharField()
    priority = serializers.ChoiceField(choices=_PRIORITIES)


class SlaLateOut(serializers.Serializer[Any]):
    """A promise that was breached."""

    ticket = SlaTicketOut()
    policy = SlaPolicyRefOut()
    clock = serializers.ChoiceField(choices=_GOALS)
    breached_at = serializers.DateTimeField(help_text="The moment of the breach.")
    overdue_seconds = serializers.IntegerField(
        min_value=0,
        help_text="From then until it was kept or ended, until now if it is open, in whole seconds of the wall clock.",
    )
    is_open = serializers.BooleanField(help_text="Whether it waits to be kept even now.")


class SlaDetailedOut(SlaFiguresOut):
    """The report."""

    interval = serializers.ChoiceField(choices=[one.value for one in Interval])
    pause_minutes = serializers.IntegerField(min_value=1, help_text="As asked for.")
    reopen_hours = serializers.IntegerField(min_value=1, help_text="As asked for.")
    worst = SlaLateOut(
        many=True,
        help_text=f"The {sla.WORST} tickets with a promise breached in the period that were longest overdue, the "
        "longest first; of each ticket its longest one.",
    )
    previous = SlaFiguresOut(allow_null=True, help_text="The period before, with `compare=previous`; else null.")


class SlaDetailed(ReportView):
    """How promises were kept."""

    @described(
        "analytics_sla_detailed",
        "Service levels in detail",
        answer=SlaDetailedOut,
        parameters=[*parameters("interval"), *PARAMETERS],
        needs=EVERYONE,
        description="Which promises were met and breached, by policy, priority, clock and time; which tickets were "
        "longest overdue; for how long clocks stood still; and what makes such figures look better than they are. Each "
        "promise on a ticket counts as what it is now: a resolution that was met, reopened and then breached is "
        "breached. What ended without being needed, like an answer to a ticket that was resolved without one, does not "
        "count. Filters look at the tickets as they are now; tickets in the trash and those that were merged into "
        "another one do not count.",
        tag=REPORTS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self.asked(_PAUSE[0], _REOPEN[0])
        given = self.limits()
        found = sla.report(
            workspace=self.workspace,
            tickets=asked.tickets,
            period=asked.period,
            interval=asked.interval,
            previous=asked.previous,
            now=self.now,
            limits=given,
        )
        return Response(
            {
                **figures(found.now),
                "interval": found.interval.value,
                "pause_minutes": given.pause // dt.timedelta(minutes=1),
                "reopen_hours": given.reopen // dt.timedelta(hours=1),
                "worst": [late(one) for one in found.worst],
                "previous": figures(found.before) if found.before else None,
            }
        )

    def limits(self) -> Limits:
        """What still is right after. Raises InvalidInput naming the parameter."""
        values: list[int] = []
        errors: dict[str, list[str]] = {}
        for name, unit, usual, most in (_PAUSE, _REOPEN):
            text = self.request.query_params.get(name, "").strip() or str(usual)
            # Only what ASCII calls digits; a number too long to read is too big as well.
            value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
            if not 1 <= value <= most:
                errors[name] = [f"Write a whole number of {unit} from 1 to {most}."]
            values.append(value)
        if errors:
            raise InvalidInput(
                f"These parameters are not possible: {', '.join(errors)}.", code="bad_parameter", errors=errors
            )
        pause, reopen = values
        return Limits(dt.timedelta(minutes=pause), dt.timedelta(hours=reopen))


def figures(of: Figures) -> dict[str, Any]:
    """The figures of a period."""
    return {
        "period": period(of.period),
        "total": group(of.by_goal),
        "by_policy": [
            {"policy": {"id": str(policy.id), "name": policy.name}, **group(their)} for policy, their in of.by_policy
        ],
        "by_priority": [{"priority": priority, **group(their)} for priority, their in of.by_priority],
        "by_period": [{"start": when.day.isoformat(), **group(their)} for when, their in of.by_part],
        "pauses": [{"clock": goal.value, **standing(of.standing[goal])} for goal in Goal],
        "honesty": honesty(of.honesty),
    }


def group(of: ByGoal) -> dict[str, Any]:
    """What became of promises, and by their kind."""
    return {
        **outcome(of.whole),
        "by_clock": [{"clock": goal.value, **outcome(of.of[goal])} for goal in Goal],
    }


def outcome(of: Outcome) -> dict[str, Any]:
    """What became of promises."""
    return {
        "met": of.met,
        "breached": of.missed,
        "running": of.running,
        "paused": of.paused,
        "met_rate": of.rate,
        "narrow": of.narrow,
    }


def standing(of: Standing) -> dict[str, Any]:
    """How long clocks stood still."""
    return {
        "promises": of.promises,
        "active_seconds": of.active_seconds,
        "paused_seconds": of.paused_seconds,
        "share": of.share,
    }


def honesty(of: Honesty) -> dict[str, Any]:
    """What should be seldom."""
    return {
        "hasty_pauses": seldom(of.hasty_pauses),
        "quick_reopens": seldom(of.quick_reopens),
        "narrow_answers": seldom(of.narrow_answers),
    }


def seldom(of: Seldom) -> dict[str, Any]:
    """How often, of how many."""
    return {"count": of.count, "of": of.of, "share": of.share}


def late(one: Late) -> dict[str, Any]:
    """A promise that was breached."""
    return {
        "ticket": {
            "id": str(one.ticket_id),
            "number": one.number,
            "subject": one.subject,
            "priority": one.priority,
        },
        "policy": {"id": str(one.policy.id), "name": one.policy.name},
        "clock": one.goal.value,
        "breached_at": iso(one.missed_at),
        "overdue_seconds": one.seconds,
        "is_open": one.is_open,
    }
