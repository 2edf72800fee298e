"""What kind of tickets come."""

from typing import Any

from django import forms as fields
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.base import REPORTS, PeriodOut, ReportView, parameters, period
from analytics.metrics import distribution
from analytics.metrics.distribution import Branch, By, Figures, Slice
from helpdesk.errors import InvalidInput
from tickets.api.schema import described
from tickets.api.views.base import EVERYONE
from tickets.filters import CommaListField
from tickets.lifecycle import Priority, Status
from tickets.models.ticket import CHANNELS

_BY = CommaListField(words=[one.value for one in By], required=False)
_ORDER = "Most tickets first, those that have none last."


class SliceOut(serializers.Serializer[Any]):
    """Some of the tickets."""

    tickets = serializers.IntegerField(min_value=0, help_text="How many of the tickets created in the period they are.")
    share = serializers.FloatField(
        allow_null=True,
        help_text="Of all tickets created in the period, in percent, to one decimal; null when there are none.",
    )


class OfStatusOut(SliceOut):
    """The tickets of a status."""

    status = serializers.ChoiceField(choices=[one.value for one in Status])


class OfPriorityOut(SliceOut):
    """The tickets of a priority."""

    priority = serializers.ChoiceField(choices=[one.value for one in Priority])


class OfChannelOut(SliceOut):
    """The tickets of a channel."""

    channel = serializers.ChoiceField(choices=[word for word, _ in CHANNELS])


class NamedOut(serializers.Serializer[Any]):
    """What the tickets have in common."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class CategoryNodeOut(NamedOut):
    """A category in the tree."""

    parent_id = serializers.UUIDField(allow_null=True)
    depth = serializers.IntegerField(min_value=0, help_text="How many categories stand above it.")
    is_archived = serializers.BooleanField(
        help_text="It was deleted; it is here because it, or one below it, still counts."
    )


class OfCategoryOut(serializers.Serializer[Any]):
    """The tickets of a category."""

    category = CategoryNodeOut(allow_null=True, help_text="null: tickets without a category.")
    tickets = serializers.IntegerField(
        min_value=0, help_text="How many tickets it has together with all categories below it."
    )
    own = serializers.IntegerField(min_value=0, help_text="Those of them that are of this very category.")
    share = serializers.FloatField(
        allow_null=True,
        help_text="`tickets` of all tickets created in the period, in percent, to one decimal; null when there are "
        "none.",
    )


class OfTagOut(SliceOut):
    """The tickets with a tag."""

    tag = serializers.CharField(allow_null=True, help_text="null: tickets without a tag.")


class OfTeamOut(SliceOut):
    """The tickets of a team."""

    team = NamedOut(allow_null=True, help_text="null: tickets without a team.")


class OfAssigneeOut(SliceOut):
    """The tickets of an agent."""

    assignee = NamedOut(allow_null=True, help_text="Who has them now; null: nobody.")


class DistributionFiguresOut(serializers.Serializer[Any]):
    """The figures of a period; those that were not asked for with `by` are left out."""

    period = PeriodOut()
    tickets = serializers.IntegerField(
        min_value=0,
        help_text="Tickets that were created in the period, also those that were merged into another one since.",
    )
    by_status = OfStatusOut(
        many=True, required=False, help_text="Every status that a ticket can have now; open includes new. Adds up."
    )
    by_priority = OfPriorityOut(many=True, required=False, help_text="Every priority, most urgent first. Adds up.")
    by_channel = OfChannelOut(many=True, required=False, help_text="Every way by which tickets come in. Adds up.")
    by_category = OfCategoryOut(
        many=True,
        required=False,
        help_text="The tree of categories: each right before those below it, by name; what has none last. `own` adds "
        "up to all tickets, `tickets` counts them in each category above, too.",
    )
    by_tag = OfTagOut(
        many=True,
        required=False,
        help_text="A ticket counts for each of its tags, so the shares can add up to more than 100. " + _ORDER,
    )
    by_team = OfTeamOut(many=True, required=False, help_text="Adds up. " + _ORDER)
    by_assignee = OfAssigneeOut(many=True, required=False, help_text="Adds up. " + _ORDER)


class TicketDistributionOut(DistributionFiguresOut):
    """The report."""

    previous = DistributionFiguresOut(
        allow_null=True, help_text="The period before, with `compare=previous`; else null."
    )


class Distribution(ReportView):
    """What kind of tickets come."""

    @described(
        "analytics_distribution",
        "Distribution of tickets",
        answer=TicketDistributionOut,
        parameters=[
            OpenApiParameter(
                "by",
                str,
                description=f"Only some of the figures: any of {', '.join(By)}, separated by commas. Without it: all.",
            ),
            *parameters(),
        ],
        needs=EVERYONE,
        description="The tickets that were created in the period, by what they are now: whatever status, category or "
        "team they had before does not matter. Filters look at the tickets as they are now, too. Tickets in the trash "
        "do not count.",
        tag=REPORTS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self.asked("by")
        found = distribution.report(
            workspace=self.workspace,
            tickets=asked.tickets,
            period=asked.period,
            previous=asked.previous,
            by=_by(request.query_params.getlist("by")),
        )
        return Response({**figures(found.now), "previous": figures(found.before) if found.before else None})


def _by(given: list[str]) -> tuple[By, ...]:
    """What was asked for, in our order; all of it without a word. Raises InvalidInput for a word that is unknown."""
    try:
        words = _BY.clean(",".join(given))
    except fields.ValidationError as refused:
        raise InvalidInput.of("by", refused.messages[0]) from None
    return tuple(one for one in By if one.value in words or not words)


def figures(of: Figures) -> dict[str, Any]:
    """The figures of a period."""
    return {
        "period": period(of.period),
        "tickets": of.tickets,
        **{f"by_{by.value}": [{**value(by, one), **counts(one)} for one in some] for by, some in of.slices.items()},
    }


def counts(of: Slice) -> dict[str, Any]:
    """How many tickets there are in a slice."""
    own = {"own": of.own} if isinstance(of, Branch) else {}
    return {"tickets": of.tickets, **own, "share": of.share}


def value(by: By, of: Slice) -> dict[str, Any]:
    """What the tickets of a slice have in common."""
    if by in (By.STATUS, By.PRIORITY, By.CHANNEL):
        return {by.value: of.name}
    if of.id is None:
        return {by.value: None}
    if by is By.TAG:
        return {by.value: of.name}
    named: dict[str, Any] = {"id": str(of.id), "name": of.name}
    if isinstance(of, Branch):
        parent = str(of.parent_id) if of.parent_id else None
        named |= {"parent_id": parent, "depth": of.depth, "is_archived": of.is_archived}
    return {by.value: named}
