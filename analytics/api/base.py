"""What the endpoints of all reports share."""

from collections.abc import Collection
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from analytics import forms
from analytics.periods import Interval, Period
from helpdesk.api.views import ApiView
from tickets.api.schema import ticket_filters
from tickets.api.serializers import iso

REPORTS = "Reports"


def parameters(*also: str, intervals: Collection[Interval] = forms.LONG) -> list[OpenApiParameter]:
    """The parameters of a report for the OpenAPI document: its period, `also` others of ours, filters of tickets."""
    enums = {"compare": [forms.PREVIOUS], "interval": [one.value for one in intervals]}
    help_texts = dict(forms.HELP)
    if Interval.HOUR in intervals:
        help_texts["interval"] += " " + help_texts["hours"]
    own = [
        OpenApiParameter(name, str, description=help_texts[name], enum=enums.get(name))
        for name in (*forms.PERIOD, *also)
    ]
    return own + [one for one in ticket_filters() if one.name in forms.FILTERS]


class PeriodOut(serializers.Serializer[Any]):
    """What a report is about: from a moment until another, which is not in it."""

    # `from` is no name that a class can give.
    def get_fields(self) -> dict[str, Any]:
        return {
            "from": serializers.DateTimeField(help_text="The first moment."),
            "to": serializers.DateTimeField(help_text="The moment at which it is over; it is not in it."),
            "timezone": serializers.CharField(help_text="The timezone whose days these are."),
        }


def period(of: Period) -> dict[str, str]:
    """A period as JSON."""
    return {"from": iso(of.start), "to": iso(of.end), "timezone": of.zone.key}


class ReportView(ApiView):
    """A report: every member may read those of their workspace."""

    intervals: Collection[Interval] = forms.LONG

    def asked(self, *also: str) -> forms.Asked:
        """The period, the comparison and the tickets that were asked for; `also` names further parameters.

        Raises InvalidInput naming what is unknown or wrong.
        """
        others: Collection[str] = {*also}
        return forms.read(
            self.request.query_params,
            workspace=self.workspace,
            user=self.membership.user,
            now=self.now,
            also=others,
            intervals=self.intervals,
        )
