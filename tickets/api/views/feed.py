"""The live feed: what happens in a workspace, for programs that follow it."""

import re

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.errors import InvalidInput
from tickets import feed
from tickets.api import serializers as shapes
from tickets.api.schema import described
from tickets.api.views.base import EVERYONE, TicketView
from tickets.events import Event

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
LATEST = "latest"
_NAMES = [event.value for event in Event]


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidInput.of("limit", f"Give a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def _events(text: str | None) -> set[str]:
    if text is None:
        return set()
    given = {name.strip() for name in text.split(",")}
    if unknown := sorted(given - set(_NAMES)):
        raise InvalidInput.of("events", f"There is no such event: {', '.join(unknown)[:200]}.")
    return given


class Feed(TicketView):
    """Everything that happens to the tickets of a workspace, in one order."""

    parameters = ("after", "limit", "events")

    @described(
        "tickets_events",
        "Follow what happens",
        answer=inline_serializer(
            "Feed",
            {
                "events": shapes.FeedEventOut(many=True),
                "next": serializers.CharField(help_text="Send it as `after` the next time."),
                "has_more": serializers.BooleanField(help_text="More is there already: ask again at once."),
            },
        ),
        parameters=[
            OpenApiParameter(
                "after",
                {"type": "string", "examples": ["1-2s", LATEST]},
                description="The `next` or a `cursor` of an earlier answer. Without it the feed begins with the first "
                "activity there is; `latest` gives no events and the cursor of what happens from now on.",
            ),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                description="Events per answer at most.",
            ),
            OpenApiParameter(
                "events",
                {"type": "array", "items": {"type": "string", "enum": _NAMES}},
                explode=False,
                description="Only these, separated by commas. `next` goes past the others; as one request looks at "
                f"no more than {feed.SCANNED:,} activities, an answer may be empty although `has_more` is true.",
            ),
        ],
        needs=EVERYONE,
        description=(
            "Every activity of the workspace once, in the order in which they became visible: what happens to one "
            "ticket in its order, and nothing ever appears before a cursor that was given. So whoever keeps `next` "
            "and asks again misses nothing, however long they were away. Cursors do not expire; "
            "one that was never given is a 400. "
            "Like the activities of a ticket, the feed tells every member of everything, notes among agents included "
            "(by their ids, not their words). Activities of tickets in the trash stay; those of tickets that were "
            "deleted for good are gone, and cursors stay valid. `is_replay` marks the past that an import has told: "
            "webhooks are not sent it."
        ),
    )
    def get(self, request: Request) -> HttpResponseBase:
        given = request.query_params
        limit, events, after = _limit(given.get("limit")), _events(given.get("events")), given.get("after")
        if after == LATEST:
            page = feed.Page([], feed.latest(workspace_id=self.workspace.pk), False)
        else:
            position = 0 if after is None else feed.position_of(after)
            page = feed.page(workspace_id=self.workspace.pk, after=position, limit=limit, events=events)
        return Response(
            {
                "events": [shapes.feed_event(entry) for entry in page.entries],
                "next": feed.cursor_of(page.next),
                "has_more": page.has_more,
            }
        )
