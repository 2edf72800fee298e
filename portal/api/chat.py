"""Chatbots hand conversations over: `from-chat` and `escalate`."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.models import Workspace
from helpdesk.api.idempotency import idempotent
from helpdesk.api.throttles import CallerThrottle, PublicThrottle, client_address, neighbourhood, seconds_to_wait
from helpdesk.api.views import StrictSerializer
from portal.api.base import CustomerView, Submitted, ticket_json
from portal.services import portals, requests, strangers
from tickets.api.serializers import Id
from tickets.services import base, chats


def key_of(request: Request) -> str:
    """The bearer token that came with the request; empty for none."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class ChatThrottle(CallerThrottle):
    """Per key for a bot with a key that opens some workspace; else as every public request, per address."""

    def allow_request(self, request: Request, view: Any) -> bool:
        found = chats.find_key(key_of(request))
        if found is None:
            address = neighbourhood(client_address(request))
            self.waiting = seconds_to_wait(PublicThrottle.scope, address)
        else:
            self.waiting = seconds_to_wait("chat", str(found.workspace_id))
        return self.waiting is None


# --- What comes in ----------------------------------------------------------------------------


ROLES = [(role, role) for role in chats.ROLES]


class LineIn(StrictSerializer):
    """A line of the conversation."""

    role = serializers.ChoiceField(
        choices=ROLES,
        help_text="`user` and `customer` are the customer, `bot` and `assistant` the bot, `agent` a person of yours.",
    )
    content = serializers.CharField(
        max_length=chats.LINE_LENGTH, allow_blank=True, help_text="Plain text. An empty line is left out."
    )
    name = serializers.CharField(max_length=base.NAME_LENGTH, required=False, allow_blank=True)
    timestamp = serializers.DateTimeField(required=False, help_text="When it was said (ISO 8601).")


@extend_schema_field({"type": "object", "additionalProperties": True})
class ContextField(serializers.JSONField):
    """Any JSON object."""


class ConversationIn(StrictSerializer):
    """What both requests have."""

    workspace_id = Id()
    conversation_id = serializers.CharField(
        max_length=chats.ID_LENGTH, help_text="Your id of the conversation: it has one ticket, however often it comes."
    )
    description = serializers.CharField(
        max_length=base.TEXT_LENGTH, required=False, allow_blank=True, default="", help_text="Markdown."
    )
    customer_email = serializers.CharField(
        max_length=254,
        required=False,
        allow_blank=True,
        default="",
        help_text="Without it the customer is a visitor who gets no mail; it can come later.",
    )
    customer_name = serializers.CharField(max_length=base.NAME_LENGTH, required=False, allow_blank=True, default="")
    chat_history = LineIn(  # type: ignore[call-arg]  # what a list takes
        many=True,
        required=False,
        default=list,
        max_length=chats.MOST_LINES,
        help_text=f"What was said so far: up to {chats.MOST_LINES} lines, {chats.TRANSCRIPT_LENGTH} characters in all.",
    )
    bot_name = serializers.CharField(
        max_length=base.NAME_LENGTH, required=False, allow_blank=True, default="", help_text="“Bot” unless told."
    )


class FromChatIn(ConversationIn):
    """A conversation that becomes a ticket."""

    subject = serializers.CharField(max_length=base.SUBJECT_LENGTH)


class EscalationIn(ConversationIn):
    """A bot asks for a person."""

    subject = serializers.CharField(max_length=base.SUBJECT_LENGTH, required=False, allow_blank=True, default="")
    bot_id = serializers.CharField(max_length=chats.ID_LENGTH, required=False, allow_blank=True, default="")
    reason = serializers.CharField(max_length=chats.ID_LENGTH, help_text="Like `complex_issue`.")
    context = ContextField(  # type: ignore[assignment]  # a field, whatever serializers call so
        required=False,
        default=dict,
        help_text="What the bot knew, shown to agents: any object of up to 16 kB and 8 levels. `customer_email`, "
        "`customer_name`, `subject` and `description` in it are used where the request does not say them.",
    )


# --- The endpoints ----------------------------------------------------------------------------


class ChatView(CustomerView):
    """An endpoint for chatbots."""

    throttle_classes: Sequence[Any] = (ChatThrottle,)
    problems = {"POST": (401, 403, 404, 409)}
    token_comes_with = (200, 201)
    reads: type[serializers.Serializer[Any]] = FromChatIn

    @cached_property
    def given(self) -> dict[str, Any]:
        """The checked body."""
        return self.read(self.reads)

    @cached_property
    def target(self) -> Workspace:
        """The workspace that the body names."""
        return self.admit(requests.find_workspace(self.given["workspace_id"]))

    @cached_property
    def sender(self) -> chats.Sender:
        """Who calls; raises KeyRefused (401)."""
        has_key = chats.authorize(workspace=self.target, key=key_of(self.request))
        return chats.Sender(has_key=has_key, network=self.network)

    def idempotency_owner(self) -> tuple[Workspace, str]:
        """The bots' own keys; of callers without the integration key, those of one network."""
        return self.target, f"chat:{self.sender.name}"[:80]

    def answer(self, handed: chats.Handed) -> Response:
        """The ticket and its secret: 201 for a new one, 200 for one that was there."""
        self.token = handed.token
        name = requests.requester_name(handed.ticket)
        shown = ticket_json(handed.ticket, opened_as=handed.opened_as, requester_name=name)
        return Response({"ticket": shown}, status=201 if handed.is_new else 200)

    def let_in(self) -> None:
        """Before a new ticket: one of a caller without the key counts as any stranger's. Raises TooManyRequests."""
        if not self.sender.has_key:
            strangers.count(portal=portals.of(self.target))

    def asked(self) -> chats.Request:
        """The body as the service takes it."""
        return chats.Request(**{name: value for name, value in self.given.items() if name != "workspace_id"})


class FromChat(ChatView):
    """Make a ticket from a chat."""

    reads = FromChatIn

    @extend_schema(
        operation_id="public_tickets_from_chat",
        summary="Make a ticket from a chat",
        description="The history becomes the beginning of the ticket's conversation. The same `conversation_id` again "
        "gives the same ticket with 200, and adds the lines that are new at the end. `Authorization: Bearer hdc_…` has "
        "the integration key, which the workspace may require. A caller without it gets a ticket that exists only from "
        "the network that opened it, or with the customer's address; otherwise the answer is 409 "
        "`conversation_exists`. Its new tickets count against the requests that the workspace takes from strangers in "
        "an hour (429).",
        request=FromChatIn,
        responses={200: Submitted, 201: Submitted},
        tags=["Chatbots"],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Open a conversation's ticket, or bring it up to date."""
        return self.answer(
            chats.open_from_chat(
                workspace=self.target, sender=self.sender, request=self.asked(), let_in=self.let_in, now=self.now
            )
        )


class Escalate(ChatView):
    """Hand a conversation over to a person."""

    reads = EscalationIn

    @extend_schema(
        operation_id="public_tickets_escalate",
        summary="Hand a conversation over to a person",
        description="Keeps the reason and the context on the conversation's ticket, leaves the agents a note, and "
        "opens the ticket again where it waits or is finished. A conversation without a ticket gets one. The key "
        "(`Authorization: Bearer hdc_…`), who may and how often are as with `from-chat`.",
        request=EscalationIn,
        responses={200: Submitted, 201: Submitted},
        tags=["Chatbots"],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask for a person."""
        return self.answer(
            chats.escalate(
                workspace=self.target, sender=self.sender, request=self.asked(), let_in=self.let_in, now=self.now
            )
        )
