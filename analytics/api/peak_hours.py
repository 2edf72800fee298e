"""At which hours of the week customers come."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.base import REPORTS, PeriodOut, ReportView, parameters, period
from analytics.metrics import peak_hours
from analytics.metrics.peak_hours import BUSIEST, Cell, Figures
from tickets.api.schema import described
from tickets.api.views.base import EVERYONE

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CREATED = (
    "Tickets that were created, on any channel and by anybody. One that was merged into another one later is counted, "
    "too."
)
_MESSAGES = (
    "Messages that customers wrote on tickets. What opened a ticket is not among them, it is the ticket; nor are "
    "automatic replies of mail programs, lines of a chat from before its ticket, and what was deleted since."
)
_PER_HOUR = "on average in one such hour of the period (the count by `hours`), to two decimals; null without any."


class HourOfWeekOut(serializers.Serializer[Any]):
    """An hour of the week."""

    weekday = serializers.IntegerField(min_value=1, max_value=7, help_text="From 1 (Monday) to 7 (Sunday); ISO 8601.")
    weekday_name = serializers.ChoiceField(choices=_WEEKDAYS)
    hour = serializers.IntegerField(
        min_value=0, max_value=23, help_text="By the clock of the timezone: 9 is from 9:00 until 10:00."
    )
    hours = serializers.FloatField(
        min_value=0,
        help_text="How many such hours the period has, to two decimals. A day on which clocks are put forward has none "
        "of the hour that is left out, one on which they are put back has two of the hour that comes twice; where the "
        "period begins or ends within an hour, only that part of it counts.",
    )
    created = serializers.IntegerField(min_value=0, help_text=_CREATED)
    created_per_hour = serializers.FloatField(allow_null=True, help_text=f"Tickets created {_PER_HOUR}")
    messages = serializers.IntegerField(min_value=0, help_text=_MESSAGES)
    messages_per_hour = serializers.FloatField(allow_null=True, help_text=f"Messages of customers {_PER_HOUR}")


class BusiestHoursOut(serializers.Serializer[Any]):
    """The hours of the week with most to do."""

    _which = (
        f"Up to {BUSIEST} hours of the week, most on average first; of equal ones the earlier in the week. "
        "Hours without any, and those of which the period has less than one, are left out."
    )
    created = HourOfWeekOut(many=True, help_text=f"By `created` in an hour. {_which}")
    messages = HourOfWeekOut(many=True, help_text=f"By `messages` in an hour. {_which}")


class PeakFiguresOut(serializers.Serializer[Any]):
    """The figures of a period."""

    period = PeriodOut()
    created = serializers.IntegerField(min_value=0, help_text=_CREATED)
    messages = serializers.IntegerField(min_value=0, help_text=_MESSAGES)
    cells = HourOfWeekOut(many=True, help_text="All 168 hours of the week, from Monday, 0 o'clock, in order.")
    busiest = BusiestHoursOut()


class PeakHoursOut(PeakFiguresOut):
    """The report."""

    previous = PeakFiguresOut(allow_null=True, help_text="The period before, with `compare=previous`; else null.")


class PeakHours(ReportView):
    """At which hours of the week customers come."""

    intervals = ()

    @described(
        "analytics_peak_hours",
        "Peak hours",
        answer=PeakHoursOut,
        parameters=parameters(),
        needs=EVERYONE,
        description="How many tickets were created, and how many messages customers wrote, in each hour of the week "
        "by the clock of the timezone. Tickets that are in the trash, with their messages, do not count. Messages of a "
        "merged ticket are counted with the ticket that has them now. Filters look at the tickets as they are now.",
        tag=REPORTS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self.asked()
        found = peak_hours.report(
            workspace=self.workspace, tickets=asked.tickets, period=asked.period, previous=asked.previous
        )
        return Response({**figures(found.now), "previous": figures(found.before) if found.before else None})


def figures(of: Figures) -> dict[str, Any]:
    """The figures of a period."""
    return {
        "period": period(of.period),
        "created": of.created,
        "messages": of.messages,
        "cells": [cell(one) for one in of.cells],
        "busiest": {
            "created": [cell(one) for one in of.busiest_by_created],
            "messages": [cell(one) for one in of.busiest_by_messages],
        },
    }


def cell(of: Cell) -> dict[str, Any]:
    """An hour of the week."""
    return {
        "weekday": of.weekday,
        "weekday_name": _WEEKDAYS[of.weekday - 1],
        "hour": of.hour,
        "hours": of.hours,
        "created": of.created,
        "created_per_hour": of.created_per_hour,
        "messages": of.messages,
        "messages_per_hour": of.messages_per_hour,
    }
