"""Lookup: which requests an address has."""

from typing import Any
from uuid import UUID

from django.utils import translation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.models import Workspace
from helpdesk.api import pagination
from helpdesk.api.schema import PAGE_PARAMETERS, PaginationSerializer
from helpdesk.errors import InvalidInput
from portal.api.base import TOKEN_PARAMETERS, CustomerView, ListedTicket, listed_json, token_of
from portal.services import lookups, requests
from tickets.models import Ticket

ON_THEIR_WAY = "If there are requests from this address, links to them are on their way."


class ListedTickets(serializers.Serializer[Any]):
    """A page of a customer's requests."""

    tickets = ListedTicket(many=True)
    pagination = PaginationSerializer()


class OnTheirWay(serializers.Serializer[Any]):
    """The same for every address."""

    detail = serializers.CharField()


class Lookup(CustomerView):
    """Find requests by address."""

    parameters = ("email", "workspace_id", "access_token", "token", "page", "limit")
    problems = {"GET": (403, 404)}
    token_comes_with = ()

    def target(self) -> Workspace | None:
        """The workspace that is named; a page of another site has to name one."""
        given = self.request.query_params.get("workspace_id")
        if given is None:
            if self.origin is not None:
                raise InvalidInput.of("workspace_id", "A page of another site names the workspace.")
            return None
        try:
            workspace_id = UUID(given)
        except ValueError:
            raise InvalidInput.of("workspace_id", "This must be the id of a workspace.") from None
        return self.admit(requests.find_workspace(workspace_id))

    @extend_schema(
        operation_id="public_tickets_lookup",
        summary="Find requests by address",
        description="With an address alone the answer is always the same 202, and takes as long, whether the address "
        "is known or not: links to its requests are mailed to it, if there are any, at most three mails in an hour. "
        "With the access token of a request of this address it is 200 and the requests, newest first. A token out of a "
        "mail shows all that its customer asked or takes part in, in the token's workspace. One that was given on the "
        "spot shows its own request, and those whose tokens were given to the same network, to which it was given and "
        "from which is asked: it proves nothing about the address. A token that does not fit the address is as none.",
        parameters=[
            OpenApiParameter("email", str, required=True, description="The customer's e-mail address."),
            OpenApiParameter("workspace_id", UUID, description="Without it: all workspaces, one mail for each."),
            *TOKEN_PARAMETERS,
            *PAGE_PARAMETERS,
        ],
        responses={200: ListedTickets, 202: OnTheirWay},
        tags=["Public"],
    )
    def get(self, request: Request) -> Response:
        """The requests that the token shows; else the promise of a mail."""
        pagination.page_asked(request)  # a wrong one is refused, whatever else is right
        address = lookups.clean_address(request.query_params.get("email", ""))
        workspace = self.target()
        found = lookups.find(
            address=address, token=token_of(request), workspace=workspace, network=self.network, now=self.now
        )
        if found is None:
            # Whether anybody has this address is for the task to find out: what it takes must not be seen here.
            lookups.ask_for_links(workspace=workspace, address=address, language=self._language())
            return Response({"detail": ON_THEIR_WAY}, status=202)

        def to_json(page: list[Ticket]) -> list[dict[str, Any]]:
            return [listed_json(ticket, opened_as=found.opened_as(ticket)) for ticket in page]

        return self.page(found.rows, plural="tickets", to_json=to_json)

    def _language(self) -> str:
        """What the mail is to speak, where the portal has no language of its own; empty where nothing is asked for."""
        if "Accept-Language" not in self.request.headers:
            return ""
        return translation.get_language_from_request(self.request._request)
