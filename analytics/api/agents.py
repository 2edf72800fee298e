"""What each agent did."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.base import REPORTS, PeriodOut, ReportView, parameters, period
from analytics.metrics import agents
from analytics.metrics.agents import Figures, Load, OfAgent, Team, Times
from tickets.api.schema import described
from tickets.api.views.base import EVERYONE

_ROUNDED = "in whole seconds of the wall clock, rounded half up; null without any."


class AgentTimesOut(serializers.Serializer[Any]):
    """How long something took."""

    count = serializers.IntegerField(min_value=0, help_text="Over how many these are.")
    average = serializers.IntegerField(allow_null=True, help_text=f"The arithmetic mean, {_ROUNDED}")
    median = serializers.IntegerField(
        allow_null=True,
        help_text=f"Half took no longer; between two values where their number is even; {_ROUNDED}",
    )
    p90 = serializers.IntegerField(
        allow_null=True,
        help_text="The 90th percentile: nine of ten took no longer; interpolated between neighbours "
        f"(`percentile_cont` of SQL); {_ROUNDED}",
    )


class AgentScoreOut(serializers.Serializer[Any]):
    """What customers said."""

    ratings = serializers.IntegerField(
        min_value=0,
        help_text="Ratings that were first given in the period, of resolutions at whose moment the agent had the "
        "ticket: as in the report on customer satisfaction.",
    )
    average = serializers.FloatField(
        allow_null=True, help_text="Their arithmetic mean, from 1 to 5, to two decimals; null without ratings."
    )
    csat = serializers.FloatField(
        allow_null=True, help_text="Ratings of 4 and 5 per hundred ratings, to one decimal; null without ratings."
    )


class AgentLoadOut(serializers.Serializer[Any]):
    """The tickets in work that somebody has now, whatever the period is."""

    open = serializers.IntegerField(min_value=0, help_text="Those that are open, new ones included.")
    pending = serializers.IntegerField(min_value=0, help_text="Those that wait for the customer.")
    total = serializers.IntegerField(min_value=0, help_text="Both together.")


class AgentFiguresOut(serializers.Serializer[Any]):
    """What was done in a period."""

    assigned = serializers.IntegerField(
        min_value=0,
        help_text="How often a ticket was given to the agent in the period, by anybody, a rule or themselves. One that "
        "came back to them counts again. Tickets that are merged into another one are left out.",
    )
    replies = serializers.IntegerField(
        min_value=0,
        help_text="Public answers that they wrote in the period. No notes, automatic messages or lines of chats with a "
        "bot, and none that were taken back before they were sent. Those on a ticket that was merged count with the "
        "ticket that they are on now.",
    )
    solved = serializers.IntegerField(
        min_value=0,
        help_text="Resolutions in the period: of tickets that the agent resolved, and of those that they had when a "
        "customer, a rule or the helpdesk itself resolved them. A ticket that is reopened and resolved again counts "
        "again. Tickets that are merged into another one are left out.",
    )
    reopened = serializers.IntegerField(
        min_value=0, help_text="Those of `solved` after which the ticket was reopened, by anybody, whenever that was."
    )
    reopen_rate = serializers.FloatField(
        allow_null=True,
        help_text="`reopened` per hundred `solved`, to one decimal; null when nothing was resolved.",
    )
    first_response = AgentTimesOut(
        help_text="Tickets whose first response, the first public answer of an agent, was given in the period by this "
        "one: from the creation of the ticket until then. Reopening changes nothing about it. Where the answer itself "
        "is not known any more, it is that of who had the ticket. Tickets merged into another one are left out."
    )
    resolution = AgentTimesOut(
        help_text="Those of `solved` that were not reopened: from the creation of the ticket until it was resolved, "
        "the time included that it waited for the customer or had been resolved before."
    )
    satisfaction = AgentScoreOut()


class AgentPersonOut(serializers.Serializer[Any]):
    """A person."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    is_active = serializers.BooleanField(
        help_text="Whether they are a member now to whom tickets can be given; false for those who left and for light "
        "agents."
    )


class AgentBeforeOut(AgentFiguresOut):
    """What one agent did."""

    agent = AgentPersonOut(
        allow_null=True,
        help_text="Null: what nobody can be named for, such as a ticket that a customer resolved while nobody had it.",
    )


class AgentRowOut(AgentBeforeOut):
    """What one agent did, and has to do."""

    load = AgentLoadOut()


class AgentTeamBeforeOut(serializers.Serializer[Any]):
    """What all agents did together."""

    period = PeriodOut()
    team = AgentFiguresOut(help_text="All together, those without a name and those who left included.")
    agents = AgentBeforeOut(many=True, help_text="As in the period that was asked for.")


class AgentTeamOut(AgentFiguresOut):
    """What all agents did together, and have to do."""

    load = AgentLoadOut(help_text="All tickets in work, those that nobody has included.")


class AgentsOut(serializers.Serializer[Any]):
    """The report."""

    period = PeriodOut()
    team = AgentTeamOut(
        help_text="All together, those without a name and those who left included. Its average, median and p90 are "
        "over all tickets, not over agents."
    )
    agents = AgentRowOut(
        many=True,
        help_text="Every member to whom tickets can be given, also where all is zero, and others who did or have "
        "something. Most `solved` first, then most `replies`, then most `assigned`, then by name; who has no name "
        "stands last. Counts add up to those of `team`.",
    )
    previous = AgentTeamBeforeOut(allow_null=True, help_text="The period before, with `compare=previous`; else null.")


class Agents(ReportView):
    """What each agent did."""

    @described(
        "analytics_agents",
        "Agents",
        answer=AgentsOut,
        parameters=parameters(),
        needs=EVERYONE,
        description="What each agent was given, answered and resolved, how long it took, what customers said, and what "
        "they have in work now. Filters look at the tickets as they are now (`assignee` at who has them now); tickets "
        "in the trash do not count.",
        tag=REPORTS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self.asked()
        found = agents.report(
            workspace=self.workspace, tickets=asked.tickets, period=asked.period, previous=asked.previous
        )
        return Response({**team(found.now), "previous": team(found.before) if found.before else None})


def team(of: Team) -> dict[str, Any]:
    """All agents in a period."""
    return {
        "period": period(of.period),
        "team": {**figures(of.whole), **load(of.load)},
        "agents": [agent(one) for one in of.agents],
    }


def agent(one: OfAgent) -> dict[str, Any]:
    """One agent."""
    person = {"id": str(one.user_id), "name": one.name, "is_active": one.is_active} if one.user_id else None
    return {"agent": person, **figures(one.figures), **load(one.load)}


def figures(of: Figures) -> dict[str, Any]:
    """What was done."""
    return {
        "assigned": of.assigned,
        "replies": of.replies,
        "solved": of.solved,
        "reopened": of.reopened,
        "reopen_rate": of.reopen_rate,
        "first_response": times(of.first_response),
        "resolution": times(of.resolution),
        "satisfaction": {"ratings": of.score.ratings, "average": of.score.average, "csat": of.score.csat},
    }


def times(of: Times) -> dict[str, Any]:
    """How long something took."""
    return {"count": of.count, "average": of.average, "median": of.median, "p90": of.p90}


def load(of: Load | None) -> dict[str, Any]:
    """What is in work now; nothing of a period before."""
    return {} if of is None else {"load": {"open": of.open, "pending": of.pending, "total": of.total}}
