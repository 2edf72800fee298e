"""What the public endpoints share: what a customer may know of a ticket, and how its secret is given."""

import json
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponseBase
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.models import Workspace
from helpdesk.api.parsing import StrictJSONParser
from helpdesk.api.throttles import client_address, neighbourhood
from helpdesk.api.views import PublicApiView
from portal.models import Satisfaction
from portal.services import origins, portals, requests
from tickets.api.serializers import STATUSES, AttachmentOut, plain
from tickets.models import Attachment, Ticket

# --- What goes out ----------------------------------------------------------------------------


class PublicAttachment(AttachmentOut):
    """A file of a public message."""

    url = serializers.CharField(help_text="Where to download it, with the ticket's access token.")


class PublicComment(serializers.Serializer[Any]):
    """A public message."""

    id = serializers.UUIDField()
    ticket_id = serializers.UUIDField()
    body = serializers.CharField(help_text="Markdown, as it was written.")
    body_html = serializers.CharField(help_text="Sanitised.")
    author_type = serializers.ChoiceField(choices=["agent", "customer", "system"])
    author_name = serializers.CharField()
    created_at = serializers.DateTimeField()
    edited_at = serializers.DateTimeField(allow_null=True)
    folded_text = serializers.CharField(help_text="Quoted history and signature of a mail; else empty.")
    attachments = PublicAttachment(many=True)


class PublicTicket(serializers.Serializer[Any]):
    """What a customer may know of a ticket."""

    id = serializers.UUIDField(help_text="The id that the access token opens.")
    ticket_number = serializers.CharField()
    subject = serializers.CharField()
    description = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    requester_name = serializers.CharField(help_text="As it was given with the request; else from the address.")
    created_at = serializers.DateTimeField()


class ListedTicket(PublicTicket):
    """A ticket in a list of its customer's."""

    updated_at = serializers.DateTimeField(help_text="When something happened last that its customer can see.")


class PublicTicketWithComments(PublicTicket):
    """A ticket with its public conversation, oldest first."""

    attachments = PublicAttachment(many=True)
    comments = PublicComment(many=True)


class Submitted(serializers.Serializer[Any]):
    """The new ticket, and the secret that opens it."""

    ticket = PublicTicket()
    accessToken = serializers.CharField(allow_null=True)  # noqa: N815 (the specification's name)


class Opened(serializers.Serializer[Any]):
    """A ticket that the token opened."""

    ticket = PublicTicketWithComments()


class AnswerOut(serializers.Serializer[Any]):
    """Where the answer went. A follow-up is a new ticket, with an access token of its own."""

    ticket = PublicTicket()
    comment = PublicComment(allow_null=True, help_text="null for a follow-up, whose description is the answer.")
    accessToken = serializers.CharField(  # noqa: N815
        required=False, allow_null=True, help_text="For a follow-up only."
    )


class SatisfactionOut(serializers.Serializer[Any]):
    """How the customer rated the last resolution."""

    rating = serializers.IntegerField(min_value=1, max_value=5)
    feedback = serializers.CharField(help_text="Plain text; empty for none.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(help_text="When it was changed last; the same as `created_at` until then.")


class Rated(serializers.Serializer[Any]):
    """The rating as it stands."""

    satisfaction = SatisfactionOut()


def ticket_json(ticket: Ticket, *, opened_as: UUID, requester_name: str) -> dict[str, Any]:
    return plain(
        {
            "id": opened_as,
            "ticket_number": f"#{ticket.number}",
            "subject": ticket.subject,
            "description": ticket.description,
            "status": ticket.status,
            "requester_name": requester_name,
            "created_at": ticket.created_at,
        }
    )


def attachment_json(file: Attachment, opened_as: UUID) -> dict[str, Any]:
    """A file of a public message, with the address at which the ticket's token opens it."""
    url = reverse("portal:public-attachment", args=[opened_as, file.pk])
    return plain({"id": file.pk, "name": file.name, "size": file.size, "content_type": file.content_type, "url": url})


def listed_json(ticket: Ticket, *, opened_as: UUID) -> dict[str, Any]:
    """A ticket in a list of its customer's. Its time is none that work behind the scenes has moved."""
    seen = [ticket.created_at, ticket.last_message_at, ticket.resolved_at, ticket.closed_at]
    shown = ticket_json(ticket, opened_as=opened_as, requester_name=requests.requester_name(ticket))
    return shown | plain({"updated_at": max(at for at in seen if at is not None)})


def comment_json(message: requests.Message, opened_as: UUID) -> dict[str, Any]:
    return plain(
        {
            "id": message.id,
            "ticket_id": opened_as,
            "body": message.body,
            "body_html": message.html,
            "author_type": message.kind,
            "author_name": message.author,
            "created_at": message.created_at,
            "edited_at": message.edited_at,
            "folded_text": message.folded_text,
            "attachments": [attachment_json(file, opened_as) for file in message.files],
        }
    )


def satisfaction_json(given: Satisfaction) -> dict[str, Any]:
    return plain(
        {
            "rating": given.rating,
            "feedback": given.feedback,
            "created_at": given.created_at,
            "updated_at": given.updated_at,
        }
    )


TOKEN_HEADER = "X-Access-Token"  # noqa: S105 (a name)
TOKEN_PARAMETERS = [
    OpenApiParameter("access_token", str, description="The ticket's access token; `token` is the same."),
    OpenApiParameter("token", str, description="The same as `access_token`."),
    OpenApiParameter(TOKEN_HEADER, str, OpenApiParameter.HEADER, description="The same, kept out of addresses."),
]


def token_of(request: Request) -> str:
    """The access token of a GET: from the header, or from the address; empty for none."""
    query = request.query_params
    return request.headers.get(TOKEN_HEADER) or query.get("access_token") or query.get("token") or ""


class CustomerView(PublicApiView):
    """An endpoint that gives away what only one customer may see."""

    token: str | None = None
    token_comes_with: tuple[int, ...] = (201,)

    @cached_property
    def origin(self) -> str | None:
        """The foreign site whose page asks, as its browser names it; None for our own pages and for servers."""
        given = self.request.headers.get("Origin")
        site = urlsplit(settings.SITE_URL)
        own = (f"{self.request.scheme}://{self.request.get_host()}", f"{site.scheme}://{site.netloc}")
        return None if given in own else given

    @property
    def network(self) -> str:
        """Where the caller is, as far as tokens remember it: an IPv4 address, or the /64 of an IPv6 one."""
        return neighbourhood(client_address(self.request))

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """What no workspace lists goes no further."""
        super().initial(request, *args, **kwargs)
        if self.origin is not None:
            origins.check_anywhere(origin=self.origin)

    def admit(self, workspace: Workspace) -> Workspace:
        """The workspace, once it is sure that the page which asks may talk to it. Every endpoint passes here."""
        if self.origin is not None:
            origins.check(portal=portals.of(workspace), origin=self.origin)
        return workspace

    def finalize_response(  # type: ignore[override]  # an Idempotency-Key repeats plain answers
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        final: Any = super().finalize_response(request, response, *args, **kwargs)
        final["Cache-Control"] = "no-store"
        final["Referrer-Policy"] = "no-referrer"
        if final.status_code in self.token_comes_with:
            self._add_token(final)
        return final

    def _add_token(self, response: Any) -> None:
        """Put the token into the answer only now: the one that an Idempotency-Key keeps has none.

        The database holds no token from which a link could be made; a repeated answer gets it anew.
        """
        if isinstance(response, Response):
            if self.token is not None:
                response.data["accessToken"] = self.token
            return
        body = json.loads(response.content)
        if body.get("comment") is None:
            workspace, _ = self.idempotency_owner()
            body["accessToken"] = requests.token_again(
                ticket_id=UUID(body["ticket"]["id"]), workspace=workspace, now=self.now, network=self.network
            )
            response.content = JSONRenderer().render(body)


class MessageView(CustomerView):
    """An endpoint that takes a message: as JSON, or as a form with `files` (multipart/form-data, RFC 7578)."""

    parser_classes = (StrictJSONParser, MultiPartParser)

    def read_message(self, shape: type[serializers.Serializer[Any]]) -> tuple[dict[str, Any], list[UploadedFile]]:
        """The checked fields and the files; raises ValidationError naming what is wrong. Files are not looked at."""
        sent = self.request.data
        if not isinstance(sent, MultiValueDict):
            return self.read(shape), []
        fields: dict[str, Any] = {}
        errors: dict[str, list[str]] = {}
        uploads: list[UploadedFile] = []
        for name, values in sent.lists():
            if name == "files":
                uploads = [value for value in values if isinstance(value, UploadedFile)]
                if len(uploads) != len(values):
                    errors[name] = ["These must be files."]
            else:
                fields[name] = values[-1]
                if len(values) > 1:
                    errors[name] = ["This is given twice."]
        checked = shape(data=fields, context={"view": self, "request": self.request})
        if not checked.is_valid() or errors:
            raise serializers.ValidationError({**checked.errors, **errors})
        return dict(checked.validated_data), uploads
