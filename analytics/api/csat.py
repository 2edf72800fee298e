"""How satisfied customers are."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import forms
from analytics.api.base import REPORTS, PeriodOut, ReportView, parameters, period
from analytics.metrics import csat
from analytics.metrics.csat import Figures, OfAgent, Score
from analytics.periods import Part
from helpdesk.api import pagination
from helpdesk.api.schema import PAGE_PARAMETERS, PaginationSerializer
from portal.models import Satisfaction
from tickets.api.schema import described
from tickets.api.serializers import iso
from tickets.api.views.base import EVERYONE, PAGING

_SATISFIED = "How many ratings of 4 and 5 there are per hundred ratings, to one decimal; null without ratings."
_AVERAGE = "The arithmetic mean of the ratings, from 1 (bad) to 5 (very good), to two decimals; null without ratings."

INTERVALS = [one.value for one in forms.LONG]


class ScoreOut(serializers.Serializer[Any]):
    """Ratings in three figures."""

    ratings = serializers.IntegerField(
        min_value=0,
        help_text="Ratings that were first given in this time, at most one for each resolution of a ticket. "
        "One that was changed later counts once, with its last value.",
    )
    average = serializers.FloatField(allow_null=True, help_text=_AVERAGE)
    csat = serializers.FloatField(allow_null=True, help_text=_SATISFIED)


class DistributionOut(serializers.Serializer[Any]):
    """How many gave one rating."""

    rating = serializers.IntegerField(min_value=1, max_value=5, help_text="From 5 to 1.")
    ratings = serializers.IntegerField(min_value=0, help_text="How many gave it.")
    share = serializers.FloatField(
        allow_null=True, help_text="Of all ratings, in percent, to one decimal; null without ratings."
    )


class ResponsesOut(serializers.Serializer[Any]):
    """How many resolutions were rated."""

    resolutions = serializers.IntegerField(
        min_value=0,
        help_text="How often a ticket was resolved in the period: each of these times its customer could rate it once. "
        "One that was reopened and resolved again counts again. Tickets that are in the trash, or merged into "
        "another one, are left out.",
    )
    rated = serializers.IntegerField(min_value=0, help_text="Those of them that were rated, whenever that was.")
    rate = serializers.FloatField(
        allow_null=True,
        help_text="The response rate: `rated` per hundred `resolutions`, to one decimal; null when nothing was "
        "resolved.",
    )


class CsatPartOut(ScoreOut):
    """A day, week or month."""

    start = serializers.DateField(
        help_text="Its first date in the timezone; the first and the last week or month have only the days that are "
        "in the period."
    )


class AgentOut(serializers.Serializer[Any]):
    """An agent."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class OfAgentOut(ScoreOut):
    """The ratings of an agent."""

    assignee = AgentOut(
        allow_null=True,
        help_text="Who had the ticket at the moment of the resolution that is rated, whoever has it now; null: nobody.",
    )


class CsatFiguresOut(ScoreOut):
    """The figures of a period."""

    period = PeriodOut()
    distribution = DistributionOut(many=True)
    responses = ResponsesOut()
    by_period = CsatPartOut(many=True, help_text="Every day, week or month of the period, in order.")


class RatedTicketOut(serializers.Serializer[Any]):
    """The ticket that was rated."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    subject = serializers.CharField()


class CsatCommentOut(serializers.Serializer[Any]):
    """A rating with words."""

    rating = serializers.IntegerField(min_value=1, max_value=5)
    feedback = serializers.CharField(help_text="What the customer wrote: plain text.")
    created_at = serializers.DateTimeField(help_text="When the rating was first given.")
    ticket = RatedTicketOut()


class CsatOut(CsatFiguresOut):
    """The report."""

    interval = serializers.ChoiceField(choices=INTERVALS)
    by_assignee = OfAgentOut(many=True, help_text="Most ratings first. Adds up to `ratings`.")
    previous = CsatFiguresOut(allow_null=True, help_text="The period before, with `compare=previous`; else null.")
    comments = CsatCommentOut(many=True, help_text="The ratings of the period that have words, newest first, by page.")
    pagination = PaginationSerializer(help_text="Of `comments`.")


class Csat(ReportView):
    """How satisfied customers are."""

    @described(
        "analytics_csat",
        "Customer satisfaction",
        answer=CsatOut,
        parameters=[*parameters("interval"), *PAGE_PARAMETERS],
        needs=EVERYONE,
        description="What customers answered when they were asked, from 1 to 5, how their ticket was resolved. "
        "Filters look at the tickets as they are now; tickets in the trash do not count.",
        tag=REPORTS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self.asked(*PAGING)
        page = pagination.page_asked(request)
        found = csat.report(
            workspace=self.workspace,
            tickets=asked.tickets,
            period=asked.period,
            interval=asked.interval,
            previous=asked.previous,
        )
        rows, total = pagination.rows_of(page, found.comments, lambda: found.now.comments)
        return Response(
            {
                **figures(found.now),
                "interval": asked.interval.value,
                "by_assignee": [of_agent(one) for one in found.by_agent],
                "previous": figures(found.before) if found.before else None,
                **pagination.envelope("comments", map(comment, rows), page=page, total=total),
            }
        )


def score(of: Score) -> dict[str, Any]:
    """Ratings in three figures."""
    return {"ratings": of.ratings, "average": of.average, "csat": of.csat}


def figures(of: Figures) -> dict[str, Any]:
    """The figures of a period."""
    return {
        "period": period(of.period),
        **score(of.score),
        "distribution": [
            {"rating": rating, "ratings": count, "share": share} for rating, count, share in of.score.distribution
        ],
        "responses": {
            "resolutions": of.responses.resolutions,
            "rated": of.responses.rated,
            "rate": of.responses.rate,
        },
        "by_period": [part(when, their) for when, their in of.by_part],
    }


def part(when: Part, of: Score) -> dict[str, Any]:
    """A day, week or month."""
    return {"start": when.day.isoformat(), **score(of)}


def of_agent(one: OfAgent) -> dict[str, Any]:
    """The ratings of an agent."""
    person = {"id": str(one.user_id), "name": one.name} if one.user_id else None
    return {"assignee": person, **score(one.score)}


def comment(row: Satisfaction) -> dict[str, Any]:
    """A rating with words."""
    return {
        "rating": row.rating,
        "feedback": row.feedback,
        "created_at": iso(row.created_at),
        "ticket": {"id": str(row.ticket_id), "number": row.ticket.number, "subject": row.ticket.subject},
    }
