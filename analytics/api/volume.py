"""How many tickets come and go, and how many are in work."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.base import REPORTS, PeriodOut, ReportView, parameters, period
from analytics.metrics import volume
from analytics.metrics.volume import Figures, Volume
from analytics.periods import Interval, Part
from tickets.api.schema import described
from tickets.api.serializers import iso
from tickets.api.views.base import EVERYONE

INTERVALS = [one.value for one in Interval]


class VolumeOut(serializers.Serializer[Any]):
    """What happened in a span of time."""

    created = serializers.IntegerField(
        min_value=0,
        help_text="Tickets that were created, on any channel and by anybody. One that was merged into another one "
        "later is counted, too.",
    )
    resolved = serializers.IntegerField(
        min_value=0,
        help_text="How often a ticket was resolved. One that was reopened and resolved again counts each time, also "
        "in the same span.",
    )
    closed = serializers.IntegerField(
        min_value=0,
        help_text="How often a resolved ticket was closed, by an agent, a customer, a rule or after its time. "
        "A merge is not a close.",
    )
    reopened = serializers.IntegerField(
        min_value=0, help_text="How often a resolved or closed ticket was opened again, by whomever."
    )
    merged = serializers.IntegerField(
        min_value=0,
        help_text="How often an open or pending ticket ended because it was merged into another one. "
        "One that was resolved or closed already is not counted.",
    )
    unmerged = serializers.IntegerField(
        min_value=0, help_text="How often a merge was undone and its ticket is open or pending again by that."
    )
    # Negative only in a history that was told past the log: said, not hidden.
    backlog = serializers.IntegerField(
        help_text="How many tickets were in work, which is open or pending, at the end of the span (what happens at "
        "that very moment is the next one's); where the span is not over yet, how many are now. It is the backlog "
        "before plus `created`, `reopened` and `unmerged`, less `resolved` and `merged`."
    )


class VolumePartOut(VolumeOut):
    """An hour, day, week or month."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "start": serializers.DateField(help_text="The date in the timezone on which it begins."),
            "from": serializers.DateTimeField(help_text="Its first moment."),
            "to": serializers.DateTimeField(
                help_text="The moment at which it is over; it is not in it. The first and the last part reach only "
                "as far as the period."
            ),
            **super().get_fields(),
        }


class VolumeFiguresOut(VolumeOut):
    """The figures of a period."""

    period = PeriodOut()
    backlog_before = serializers.IntegerField(
        help_text="How many tickets were open or pending just before the first moment of the period."
    )
    by_period = VolumePartOut(
        many=True, help_text="Every hour, day, week or month of the period, in order; also those without tickets."
    )


class VolumeReportOut(VolumeFiguresOut):
    """The report."""

    interval = serializers.ChoiceField(choices=INTERVALS)
    previous = VolumeFiguresOut(allow_null=True, help_text="The period before, with `compare=previous`; else null.")


class TicketVolume(ReportView):
    """How many tickets come and go."""

    intervals = tuple(Interval)

    @described(
        "analytics_volume",
        "Volume and backlog",
        answer=VolumeReportOut,
        parameters=parameters("interval", intervals=intervals),
        needs=EVERYONE,
        description="How many tickets were created, resolved, closed and reopened, and how many were in work at the "
        "end of each part of the period. Tickets that are in the trash now do not count, also not for the time "
        "before; one that was restored counts as if it had never been there. A merged ticket counts for the time "
        "until it was merged. Filters look at the tickets as they are now: with `assignee`, for example, the "
        "backlog is that of the tickets that this agent has now.",
        tag=REPORTS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self.asked()
        found = volume.report(
            workspace=self.workspace,
            tickets=asked.tickets,
            period=asked.period,
            interval=asked.interval,
            previous=asked.previous,
        )
        return Response(
            {
                **figures(found.now),
                "interval": found.interval.value,
                "previous": figures(found.before) if found.before else None,
            }
        )


def counts(of: Volume) -> dict[str, int]:
    """What happened in a span of time."""
    return {
        "created": of.created,
        "resolved": of.resolved,
        "closed": of.closed,
        "reopened": of.reopened,
        "merged": of.merged,
        "unmerged": of.unmerged,
        "backlog": of.backlog,
    }


def figures(of: Figures) -> dict[str, Any]:
    """The figures of a period."""
    return {
        "period": period(of.period),
        "backlog_before": of.backlog_before,
        **counts(of.whole),
        "by_period": [part(when, their) for when, their in of.by_part],
    }


def part(when: Part, of: Volume) -> dict[str, Any]:
    """An hour, day, week or month."""
    return {"start": when.day.isoformat(), "from": iso(when.start), "to": iso(when.end), **counts(of)}
