"""What the endpoints of tickets share."""

import contextlib
import re
from collections.abc import Iterator
from uuid import UUID

from django.db import transaction
from rest_framework.response import Response

from helpdesk.api.views import ApiView
from helpdesk.errors import InvalidInput, NotFound
from tickets.api import serializers as shapes
from tickets.events import Actor
from tickets.models import Comment, Ticket
from tickets.services import base

PAGING = frozenset({"page", "limit"})
_ETAG = re.compile(r'(W/)?"([^"]*)"')
_OURS = re.compile(r"[0-9]{1,9}(-[0-9])?")  # the version, and how many deadlines have come since

AGENTS = "agents"
EVERYONE = "all members"
ADMINS = "admins"


def versions_named(header: str, *, weak: bool) -> set[int] | None:
    """The versions that a list of ETags names; None for `*`. What we never gave names none."""
    if header.strip() == "*":
        return None
    return {int(tag.partition("-")[0]) for tag in tags_named(header, weak=weak) if _OURS.fullmatch(tag)}


def tags_named(header: str, *, weak: bool) -> set[str]:
    """The ETags of a header; `weak` takes the weak ones too."""
    return {tag for is_weak, tag in _ETAG.findall(header) if weak or not is_weak}


class TicketView(ApiView):
    """What the endpoints of tickets share."""

    problems = dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), (409,))

    @property
    def actor(self) -> Actor:
        """The member, as the log names them."""
        return base.agent(self.membership)

    def ticket(self, ticket_id: UUID) -> Ticket:
        """The ticket of the address. Raises NotFound, also for a foreign one."""
        return base.find_ticket(self.workspace.pk, ticket_id)

    def expected_version(self, ticket: Ticket) -> int | None:
        """The version that `If-Match` asks for, None without one.

        Of several it is the ticket's own if that is among them; an ETag that is no version of
        ours stands for one that no ticket has.
        """
        header = self.request.headers.get("If-Match")
        if header is None or (wanted := versions_named(header, weak=False)) is None:
            return None
        return ticket.version if ticket.version in wanted else next(iter(wanted), -1)

    @contextlib.contextmanager
    def as_expected(self, ticket: Ticket, *others: Ticket) -> Iterator[None]:
        """Hold the ticket at the version of `If-Match` while a service without that check works on it.

        `others` are what the service will lock besides: all are locked in the order of their ids.
        Raises LostUpdate.
        """
        version = self.expected_version(ticket)
        if version is None:
            yield
            return
        with transaction.atomic():
            for row in sorted({ticket, *others}, key=lambda row: row.pk):
                base.lock(row, expected_version=version if row == ticket else None, merged=True)
            yield

    def detail(self, ticket_id: UUID, *, status: int = 200) -> Response:
        """A ticket in full, with its ETag."""
        found = shapes.ticket_detail(self.workspace.pk, ticket_id, self.now)
        if found is None:
            raise NotFound("There is no such ticket.", errors={"id": ["There is no such ticket."]})
        detail, tag = found
        return Response(detail, status=status, headers={"ETag": f'"{tag}"'})

    def only_parameters(self, *names: str) -> None:
        """Raises InvalidInput naming the query parameters that are not among `names`, page and limit."""
        unknown = [name for name in self.request.query_params if name not in names and name not in PAGING]
        if unknown:
            errors = {name: ["There is no such parameter."] for name in unknown}
            raise InvalidInput(
                f"There is no such parameter: {', '.join(unknown)}.", code="bad_parameter", errors=errors
            )


def find_comment(ticket: Ticket, comment_id: UUID, field: str = "id") -> Comment:
    """A comment of the ticket that is not deleted. Raises NotFound naming `field`."""
    found: Comment | None = ticket.comments.filter(pk=comment_id, deleted_at=None).first()
    if found is None:
        raise NotFound("There is no such comment.", errors={field: ["There is no such comment."]})
    return found
