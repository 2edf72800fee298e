"""A mail handed over by HTTPS: its bytes as they are, with the secret of its mailbox."""

from collections.abc import Mapping
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.api.errors import BEARER
from helpdesk.api.parsing import read_limited, text_problem
from helpdesk.api.throttles import AddressThrottle
from helpdesk.api.views import ApiView
from helpdesk.errors import InvalidInput
from tickets.mail.models import Mailbox
from tickets.mail.services import receiving, secrets

LONGEST_ADDRESS = 320


class MailboxSecret(BaseAuthentication):
    """`Authorization: Bearer hdm_…`; `request.auth` is the mailbox. Whatever is wrong, the answer is the same 401."""

    def authenticate(self, request: Request) -> tuple[None, Mailbox]:
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        given = secret.strip() if scheme.lower() == "bearer" else ""
        mailbox_id: UUID = request.parser_context["kwargs"]["mailbox_id"]  # type: ignore[index]
        mailbox = secrets.find(mailbox_id, given)
        if mailbox is None:
            raise AuthenticationFailed("This is not the secret of this mailbox.", code="wrong_secret")
        return None, mailbox

    def authenticate_header(self, request: Request) -> str:
        return BEARER


class MessageParser(BaseParser):
    """Reads `message/rfc822`: the bytes, unchanged. Raises BodyTooBig (413)."""

    media_type = "message/rfc822"

    def parse(  # type: ignore[override]  # a body need not be a form
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        request = (parser_context or {}).get("request")
        declared = request.META.get("CONTENT_LENGTH") if request is not None else None
        return read_limited(stream, declared=declared, most=settings.MAIL_MAX_BYTES)


class InboundThrottle(AddressThrottle):
    """A mail server hands over more than a person asks for."""

    scope = "inbound"


class IncomingOut(serializers.Serializer[Any]):
    """A mail that was taken. What becomes of it is known later: see the mail trace of the mailbox."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(["waiting", "done"], help_text="`done` once it was worked through.")
    outcome = serializers.CharField(allow_null=True, help_text="What became of it; null while it waits.")
    size = serializers.IntegerField(help_text="Bytes.")


class Inbound(ApiView):
    """Mail for one mailbox."""

    authentication_classes = (MailboxSecret,)
    permission_classes = ()
    throttle_classes = (InboundThrottle,)
    parser_classes = (MessageParser,)
    parameters = ("sender", "recipient")

    @extend_schema(
        operation_id="mail_inbound",
        summary="Hand over a mail",
        description=(
            "The body is the mail as it came, at most `MAIL_MAX_BYTES` bytes. It needs the secret of the mailbox "
            "(`hdm_…`, Settings → Mailboxes) as bearer token. 202 is answered once the mail is stored; the same "
            "mail twice makes one ticket or message."
        ),
        tags=["Mail"],
        auth=[{"bearer": []}],  # type: ignore[list-item]
        request={"message/rfc822": OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter(
                "sender",
                {"type": "string", "maxLength": LONGEST_ADDRESS},
                description="The sender of the envelope (MAIL FROM), empty for the null sender; without it: unknown.",
            ),
            OpenApiParameter(
                "recipient",
                {"type": "string", "maxLength": LONGEST_ADDRESS},
                description="The recipient of the envelope (RCPT TO), if it is known.",
            ),
        ],
        responses={202: IncomingOut},
    )
    def post(self, request: Request, mailbox_id: UUID) -> Response:
        sender, recipient = self._address("sender"), self._address("recipient")
        # Without a Content-Type, or a body, there is nothing that a parser would read.
        raw = request.data if isinstance(request.data, bytes) else b""
        if not raw.strip():
            raise InvalidInput.of("body", "Send the mail as the body, as message/rfc822.")
        mailbox: Any = request.auth
        incoming = receiving.accept(
            raw=raw, mailbox=mailbox, way="http", envelope_from=sender, envelope_to=recipient or "", now=self.now
        )
        told = {
            "id": incoming.pk,
            "status": incoming.status,
            "outcome": incoming.outcome or None,
            "size": incoming.size,
        }
        return Response(IncomingOut(told).data, status=202)

    def _address(self, name: str) -> str | None:
        """An address of the envelope from the query. Raises InvalidInput."""
        value = self.request.query_params.get(name)
        if value is not None and (len(value) > LONGEST_ADDRESS or text_problem(value) or not value.isprintable()):
            raise InvalidInput.of(name, f"Give an address of at most {LONGEST_ADDRESS} characters.")
        return value
