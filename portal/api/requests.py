"""Requests of customers: submit one, read it, answer, rate how it was resolved."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.api.downloads import download
from helpdesk.api.idempotency import idempotent
from helpdesk.api.throttles import client_address
from helpdesk.api.views import StrictSerializer
from helpdesk.errors import NotFound
from portal.api.base import (
    TOKEN_PARAMETERS,
    AnswerOut,
    CustomerView,
    MessageView,
    Opened,
    Rated,
    Submitted,
    attachment_json,
    comment_json,
    satisfaction_json,
    ticket_json,
    token_of,
)
from portal.services import portals, requests, strangers
from tickets.api.serializers import Id
from tickets.models import Ticket
from tickets.services import base

RATING_WORDS = "This must be a whole number from 1 to 5."

# --- What comes in ----------------------------------------------------------------------------


def strangers_field(words: str) -> serializers.CharField:
    """A text that is empty for most; `portal.services.strangers` says what it must be."""
    return serializers.CharField(max_length=4000, required=False, allow_blank=True, default="", help_text=words)


class RequestIn(StrictSerializer):
    """A customer's request."""

    workspace_id = Id()
    subject = serializers.CharField(max_length=base.SUBJECT_LENGTH)
    description = serializers.CharField(max_length=base.TEXT_LENGTH, help_text="Markdown.")
    requester_email = serializers.CharField(max_length=254, help_text="The customer's e-mail address.")
    requester_name = serializers.CharField(max_length=base.NAME_LENGTH, required=False, allow_blank=True, default="")
    website = strangers_field("Leave this empty: only machines fill it in.")
    proof = strangers_field("The solved puzzle of `GET /api/public/challenge`, where the workspace asks for one.")


def files_field() -> serializers.ListField:
    """Files of a form, for the document: what they may be is said by `requests.submit_request` and `answer_request`."""
    return serializers.ListField(
        child=serializers.FileField(allow_empty_file=True),
        required=False,
        help_text=f"Up to {requests.MAX_FILES}, {settings.ATTACHMENT_MAX_BYTES // (1024 * 1024)} MB each.",
    )


class RequestForm(RequestIn):
    """A customer's request with files, as multipart/form-data."""

    files = files_field()


class AnswerIn(StrictSerializer):
    """A customer's answer."""

    access_token = serializers.CharField(max_length=200, help_text="What came with the ticket as `accessToken`.")
    body = serializers.CharField(max_length=base.TEXT_LENGTH, help_text="Markdown.")


class AnswerForm(AnswerIn):
    """A customer's answer with files, as multipart/form-data."""

    files = files_field()


class RatingIn(StrictSerializer):
    """A customer's rating."""

    access_token = serializers.CharField(max_length=200, help_text="What came with the ticket as `accessToken`.")
    rating = serializers.IntegerField(
        min_value=1,
        max_value=5,
        error_messages={"min_value": RATING_WORDS, "max_value": RATING_WORDS},
        help_text="From 1 (very bad) to 5 (very good).",
    )
    feedback = serializers.CharField(
        max_length=requests.FEEDBACK_LENGTH, required=False, allow_blank=True, default="", help_text="Plain text."
    )


# --- The endpoints ----------------------------------------------------------------------------


class PublicTickets(MessageView):
    """Submit a request."""

    problems = {"POST": (403, 404)}

    @cached_property
    def message(self) -> tuple[dict[str, Any], list[UploadedFile]]:
        """The checked body, and its files."""
        return self.read_message(RequestIn)

    @property
    def given(self) -> dict[str, Any]:
        """The checked body."""
        return self.message[0]

    @cached_property
    def target(self) -> Workspace:
        """The workspace that the body names."""
        return self.admit(requests.find_workspace(self.given["workspace_id"]))

    def idempotency_owner(self) -> tuple[Workspace, str]:
        """Strangers share nothing: the keys of one address are no keys of another."""
        return self.target, f"public:{client_address(self.request)}"[:80]

    @extend_schema(
        operation_id="public_tickets_create",
        summary="Submit a request",
        description="The access token opens this one ticket for its requester; it is shown here only. With files: as "
        "`multipart/form-data`, with a part `files` for each. One that is refused is named, and nothing is kept then.",
        request={"application/json": RequestIn, "multipart/form-data": RequestForm},
        responses={201: Submitted},
        tags=["Public"],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Open a ticket for a customer."""
        trap, proof = self.given["website"], self.given["proof"]
        strangers.let_in(portal=portals.of(self.target), trap=trap, proof=proof, is_proof_needed=True, now=self.now)
        ticket, self.token = requests.submit_request(
            workspace=self.target,
            subject=self.given["subject"],
            description=self.given["description"],
            requester_email=self.given["requester_email"],
            requester_name=self.given["requester_name"],
            channel="api",
            now=self.now,
            network=self.network,
            uploads=self.message[1],
        )
        name = requests.requester_name(ticket)
        return Response({"ticket": ticket_json(ticket, opened_as=ticket.pk, requester_name=name)}, status=201)


class PublicTicketDetail(CustomerView):
    """Read a request."""

    problems = {"GET": (403,)}

    @extend_schema(
        operation_id="public_tickets_get",
        summary="Read a request",
        description="An unknown id and a wrong token are the same 404, as is a token that was revoked, has expired, or "
        "whose ticket was deleted, given to somebody else, or merged into one that its customer takes no part in.",
        parameters=TOKEN_PARAMETERS,
        responses={200: Opened},
        tags=["Public"],
    )
    def get(self, request: Request, ticket_id: UUID) -> Response:
        """The ticket with its public comments."""
        view = requests.read_request(ticket_id=ticket_id, token=token_of(request), now=self.now)
        self.admit(view.ticket.workspace)
        first, *rest = view.messages
        ticket = ticket_json(view.ticket, opened_as=ticket_id, requester_name=view.requester_name)
        ticket["attachments"] = [attachment_json(file, ticket_id) for file in first.files]
        ticket["comments"] = [comment_json(message, ticket_id) for message in rest]
        return Response({"ticket": ticket})


class PublicFile(CustomerView):
    """Download a file of a request."""

    problems = {"GET": (403,)}

    @extend_schema(
        operation_id="public_tickets_attachment",
        summary="Download a file of a request",
        description="The `url` of an attachment. Always a download, never shown. A wrong id, token or file is the same "
        "404.",
        parameters=TOKEN_PARAMETERS,
        responses={(200, "*/*"): OpenApiTypes.BINARY},
        tags=["Public"],
    )
    def get(self, request: Request, ticket_id: UUID, file_id: UUID) -> HttpResponseBase:
        """The file's bytes."""
        ticket, _ = requests.open_request(ticket_id=ticket_id, token=token_of(request), now=self.now)
        self.admit(ticket.workspace)
        file = requests.file_of(ticket=ticket, file_id=file_id)
        try:
            content = file.file.open("rb")
        except FileNotFoundError:
            raise NotFound("The file is not there any more.") from None
        return download(content, name=file.name, content_type=file.content_type)


class ByTokenView(CustomerView):
    """What the customer does with one ticket; the body has the token that opens it."""

    problems = {"POST": (403,)}
    reads: type[serializers.Serializer[Any]]

    @cached_property
    def given(self) -> dict[str, Any]:
        """The checked body."""
        return self.read(self.reads)

    @cached_property
    def opened(self) -> tuple[Ticket, Contact]:
        """The ticket that the token opens, and for whom."""
        ticket, contact = requests.open_request(
            ticket_id=self.kwargs["ticket_id"], token=self.given["access_token"], now=self.now
        )
        self.admit(ticket.workspace)
        return ticket, contact

    def idempotency_owner(self) -> tuple[Workspace, str]:
        """The customer's own keys."""
        ticket, contact = self.opened
        return ticket.workspace, f"customer:{contact.pk}"


class PublicReply(ByTokenView, MessageView):
    """Answer on a request."""

    reads = AnswerIn

    @cached_property
    def message(self) -> tuple[dict[str, Any], list[UploadedFile]]:
        """The checked body, and its files."""
        return self.read_message(AnswerIn)

    @property
    def given(self) -> dict[str, Any]:  # type: ignore[override]  # kept with the files
        """The checked body."""
        return self.message[0]

    @extend_schema(
        operation_id="public_tickets_reply",
        summary="Answer on a request",
        description="A pending, resolved or lately closed ticket opens again; one that was closed too long ago is "
        "continued by a new ticket, which the answer gives with its own access token. With files: as "
        "`multipart/form-data`, with a part `files` for each. One that is refused is named, and nothing is kept then.",
        request={"application/json": AnswerIn, "multipart/form-data": AnswerForm},
        responses={201: AnswerOut},
        tags=["Public"],
    )
    @idempotent
    def post(self, request: Request, ticket_id: UUID) -> Response:
        """Add a customer's answer."""
        ticket, contact = self.opened
        answered = requests.answer_request(
            ticket=ticket,
            contact=contact,
            body=self.given["body"],
            channel="api",
            now=self.now,
            network=self.network,
            uploads=self.message[1],
        )
        self.token = answered.token
        opened_as = answered.ticket.pk if answered.is_follow_up else ticket_id
        comment = None
        if answered.comment is not None:
            attached = requests.files_of(answered.comment) if self.message[1] else []
            message = requests.message_of(answered.comment, ticket=answered.ticket, contact=contact, attached=attached)
            comment = comment_json(message, opened_as)
        name = requests.requester_name(answered.ticket)
        shown = ticket_json(answered.ticket, opened_as=opened_as, requester_name=name)
        return Response({"ticket": shown, "comment": comment}, status=201)


class PublicSatisfaction(ByTokenView):
    """Rate how a request was resolved."""

    reads = RatingIn
    problems = {"POST": (403, 409)}
    token_comes_with = ()  # whoever rates has the token

    @extend_schema(
        operation_id="public_tickets_satisfaction",
        summary="Rate how a request was resolved",
        description="Each resolution has one rating. Sent again it replaces the rating and its feedback, for "
        f"{requests.RATING_CHANGEABLE.days} days after the first; the same once more changes nothing. 201 for a first "
        "rating, 200 for one that was there. 409 with the code `not_resolved` while the ticket is in work, `too_late` "
        "for a change after those days. An unknown id and a wrong token are the same 404.",
        request=RatingIn,
        responses={200: Rated, 201: Rated},
        tags=["Public"],
    )
    @idempotent
    def post(self, request: Request, ticket_id: UUID) -> Response:
        """Keep a customer's rating."""
        ticket, contact = self.opened
        given = requests.rate_request(
            ticket=ticket,
            contact=contact,
            rating=self.given["rating"],
            feedback=self.given["feedback"],
            now=self.now,
        )
        # The service gives a rating that was there with the time of its first request.
        is_first = given.created_at == self.now
        return Response({"satisfaction": satisfaction_json(given)}, status=201 if is_first else 200)
