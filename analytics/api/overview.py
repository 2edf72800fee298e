"""How the helpdesk does, in one look."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.base import REPORTS, PeriodOut, ReportView, parameters, period
from analytics.metrics import overview
from analytics.metrics.overview import Figures, Promises
from analytics.metrics.times import Times
from tickets.api.schema import described
from tickets.api.views.base import EVERYONE
from tickets.deadlines import Goal

_SECONDS = "in seconds of the calendar, rounded half up to whole ones; null without tickets."


class QueueFiguresOut(serializers.Serializer[Any]):
    """What is to be done at this moment, whatever the period."""

    open = serializers.IntegerField(min_value=0, help_text="Tickets that are open at this moment, new ones included.")
    pending = serializers.IntegerField(min_value=0, help_text="Tickets that are pending at this moment.")
    unassigned = serializers.IntegerField(
        min_value=0, help_text="Tickets that are open or pending at this moment and have no assignee."
    )


class TimesOut(serializers.Serializer[Any]):
    """How long something took."""

    tickets = serializers.IntegerField(min_value=0, help_text="How many tickets these times are of.")
    average_seconds = serializers.IntegerField(allow_null=True, help_text=f"The arithmetic mean, {_SECONDS}")
    median_seconds = serializers.IntegerField(
        allow_null=True,
        help_text=f"Half of the tickets took no longer (of an even number: the middle of the two middle ones), "
        f"{_SECONDS}",
    )
    p90_seconds = serializers.IntegerField(
        allow_null=True,
        help_text="Nine of ten tickets took no longer (the 90th percentile, between two tickets in proportion), "
        f"{_SECONDS}",
    )


class PromisesOut(serializers.Serializer[Any]):
    """What was promised and judged."""

    judged = serializers.IntegerField(
        min_value=0, help_text="How many were judged in the period: `met` and `breached`."
    )
    met = serializers.IntegerField(
        min_value=0,
        help_text="Promises that were kept in the period, in time. A resolution that was reopened is not kept, until "
        "the ticket is resolved again.",
    )
    breached = serializers.IntegerField(
        min_value=0,
        help_text="Promises whose deadline passed in the period before they were kept, also those that were kept late "
        "or are not kept yet. A breach that was recorded stays one, whatever became of the deadline later.",
    )
    share = serializers.FloatField(
        allow_null=True, help_text="`met` per hundred `judged`, to one decimal; null when nothing was judged."
    )


class PromisesOfGoalOut(PromisesOut):
    """What was promised of one kind."""

    goal = serializers.ChoiceField(choices=[one.value for one in Goal])


class SlaOut(PromisesOut):
    """What was promised of all kinds together."""

    by_goal = PromisesOfGoalOut(many=True, help_text="First response, next response, resolution. Adds up to the whole.")


class SatisfactionFiguresOut(serializers.Serializer[Any]):
    """How customers liked it, as the report on customer satisfaction tells it."""

    ratings = serializers.IntegerField(min_value=0, help_text="Ratings that were first given in the period.")
    average = serializers.FloatField(
        allow_null=True, help_text="Their arithmetic mean, from 1 to 5, to two decimals; null without ratings."
    )
    csat = serializers.FloatField(
        allow_null=True, help_text="Ratings of 4 and 5 per hundred ratings, to one decimal; null without ratings."
    )
    response_rate = serializers.FloatField(
        allow_null=True,
        help_text="How many of the resolutions in the period (`resolved`) were rated, whenever that was: per hundred, "
        "to one decimal; null when nothing was resolved.",
    )


class OverviewFiguresOut(serializers.Serializer[Any]):
    """The figures of a period."""

    period = PeriodOut()
    created = serializers.IntegerField(
        min_value=0,
        help_text="Tickets that were created in the period, also those that were merged into another one since.",
    )
    resolved = serializers.IntegerField(
        min_value=0,
        help_text="How often a ticket was resolved in the period. One that was reopened and resolved again counts "
        "again.",
    )
    closed = serializers.IntegerField(
        min_value=0,
        help_text="How often a ticket was closed in the period, by somebody or by time; a merge is no closing.",
    )
    reopened = serializers.IntegerField(
        min_value=0, help_text="How often a ticket that was resolved or closed was opened again in the period."
    )
    resolved_and_reopened = serializers.IntegerField(
        min_value=0,
        help_text="How many of the resolutions in the period (`resolved`) were undone by a reopening since, also after "
        "the period.",
    )
    reopen_rate = serializers.FloatField(
        allow_null=True,
        help_text="`resolved_and_reopened` per hundred `resolved`, to one decimal; null when nothing was resolved. "
        "It can still rise while customers may answer.",
    )
    first_response = TimesOut(
        help_text="From the creation of a ticket to the first public answer of an agent, of the tickets whose first "
        "answer was in the period. Reopening a ticket changes nothing in it; an automatic answer is none."
    )
    resolution = TimesOut(
        help_text="From the creation of a ticket to its resolution, of the tickets whose last resolution was in the "
        "period. One that was reopened counts once it is resolved again, with all the time since its creation."
    )
    sla = SlaOut(
        help_text="What the service levels promised and was judged in the period, by each promise: a ticket has one "
        "of a first response, one of a resolution, and one for each further answer that its customer waited for."
    )
    satisfaction = SatisfactionFiguresOut()


class OverviewOut(OverviewFiguresOut):
    """The report."""

    now = QueueFiguresOut()
    previous = OverviewFiguresOut(allow_null=True, help_text="The period before, with `compare=previous`; else null.")


class Overview(ReportView):
    """How the helpdesk does, in one look."""

    @described(
        "analytics_overview",
        "Overview",
        answer=OverviewOut,
        parameters=parameters(),
        needs=EVERYONE,
        description="What came, what was finished, how fast, what was promised, and how it was liked. What happened is "
        "told of the period in which it happened, so a ticket may be created in one and answered in the next. Filters "
        "look at the tickets as they are now. Tickets in the trash do not count; tickets that were merged into another "
        "one count as created and for their ratings, and are left out of all else.",
        tag=REPORTS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self.asked()
        found = overview.report(
            workspace=self.workspace, tickets=asked.tickets, period=asked.period, previous=asked.previous
        )
        return Response(
            {
                **figures(found.figures),
                "now": {
                    "open": found.queue.open,
                    "pending": found.queue.pending,
                    "unassigned": found.queue.unassigned,
                },
                "previous": figures(found.before) if found.before else None,
            }
        )


def figures(of: Figures) -> dict[str, Any]:
    """The figures of a period."""
    return {
        "period": period(of.period),
        "created": of.created,
        "resolved": of.moves.resolved,
        "closed": of.moves.closed,
        "reopened": of.moves.reopened,
        "resolved_and_reopened": of.moves.undone,
        "reopen_rate": of.moves.reopen_rate,
        "first_response": times(of.first_response),
        "resolution": times(of.resolution),
        "sla": {
            **promises(of.sla),
            "by_goal": [{"goal": goal.value, **promises(one)} for goal, one in of.sla_by_goal.items()],
        },
        "satisfaction": {
            "ratings": of.satisfaction.ratings,
            "average": of.satisfaction.average,
            "csat": of.satisfaction.csat,
            "response_rate": of.responses.rate,
        },
    }


def times(of: Times) -> dict[str, Any]:
    """How long something took."""
    return {
        "tickets": of.count,
        "average_seconds": of.average,
        "median_seconds": of.median,
        "p90_seconds": of.p90,
    }


def promises(of: Promises) -> dict[str, Any]:
    """What was promised and judged."""
    return {"judged": of.judged, "met": of.met, "breached": of.breached, "share": of.share}
