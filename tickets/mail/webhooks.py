"""Webhooks of mail providers, read by django-anymail: mail that came in, and what became of mail that went out.

One door for all of them, `/mail/providers/<provider>/<inbound or tracking>`. It is closed (404) until
ANYMAIL_WEBHOOK_SECRET is set, which every call must carry as HTTP basic authentication; where a provider signs
its calls, the signature is checked besides. anymail hands over what it read as signals. They are worked through
after it has answered, so that what is wrong with the call (400) is told apart from what is wrong here (5xx, and
the provider tries again).
"""

import json
import logging
from collections.abc import Iterable
from contextvars import ContextVar
from email import policy
from email.generator import BytesGenerator
from email.parser import BytesParser
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from anymail import urls as anymail_urls
from anymail.exceptions import AnymailConfigurationError, AnymailError
from anymail.signals import inbound, tracking
from anymail.utils import get_request_basic_auth
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.datastructures import MultiValueDict
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from helpdesk.api.errors import BodyTooBig
from helpdesk.api.parsing import read_limited
from tickets.mail import tokens
from tickets.mail.models import Mailbox
from tickets.mail.services import addressing, receiving
from tickets.mail.services import tracking as tracked

log = logging.getLogger(__name__)

# Bytes of a call: JSON has the files of a mail in base64, and some send parts of a mail twice.
LARGEST_CALL = 2
RAW_FIELDS = ("body-mime", "email")  # a whole mail, in Mailgun's and in SendGrid's forms
FAILURES = ("bounced", "rejected", "complained")
LONGEST_ADDRESS = 320

_events: ContextVar[list[Any] | None] = ContextVar("events", default=None)


def _doors() -> dict[str, Any]:
    """anymail's views by the end of their address. Those of Amazon SES need boto3."""
    doors = {
        str(pattern.pattern).removeprefix("^").removesuffix("$").replace("(_mime)?", "").strip("/"): pattern.callback
        for pattern in anymail_urls.urlpatterns
    }
    doors["mailgun/inbound_mime"] = doors["mailgun/inbound"]
    if find_spec("boto3") is None:
        doors = {name: view for name, view in doors.items() if not name.startswith("amazon_ses/")}
    return doors


DOORS = _doors()


@csrf_exempt
@require_http_methods(["POST", "HEAD"])
def provider(request: HttpRequest, name: str) -> HttpResponse:
    """A call of a provider.

    404 without a configured secret, 401 for a wrong one, 400 for a wrong signature or what cannot be read.
    """
    view = DOORS.get(name.strip("/"))
    if view is None or not settings.ANYMAIL.get("WEBHOOK_SECRET"):
        raise Http404
    if request.method == "POST":
        # Before the body is read: nobody else makes us hold a hundred megabytes.
        if not _knows_secret(request):
            return HttpResponse(status=401, headers={"WWW-Authenticate": 'Basic realm="webhooks"'})
        try:
            _read(request)
        except BodyTooBig:
            return HttpResponse(status=413)
    events: list[Any] = []
    token = _events.set(events)
    try:
        answer: HttpResponse = view(request)
    except (SuspiciousOperation, Http404):
        raise  # the signature is wrong: Django answers 400, and logs it
    except (ImproperlyConfigured, AnymailConfigurationError) as error:
        log.error("The webhook %s is not configured: %s", name, error)
        raise Http404 from None
    except (AnymailError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("A call of the webhook %s cannot be read: %s", name, type(error).__name__)
        return HttpResponse("This call cannot be read.", status=400, content_type="text/plain")
    finally:
        _events.reset(token)
    try:
        for event, kind in events:
            (_take if kind == "inbound" else _hear)(event)
    except OperationalError as error:
        log.error("The database did not answer: %s", type(error).__name__)
        return HttpResponse(status=503, headers={"Retry-After": "30"})
    return answer


def _knows_secret(request: HttpRequest) -> bool:
    given = get_request_basic_auth(request) or ""
    # Each is compared, so that the time tells nothing.
    return any([constant_time_compare(given, secret) for secret in settings.ANYMAIL["WEBHOOK_SECRET"]])  # noqa: C419


def _read(request: Any) -> None:
    """Read the body by the limit of mails; what reads the request later finds it there. Raises BodyTooBig."""
    most = settings.MAIL_MAX_BYTES * LARGEST_CALL
    request._body = read_limited(request, declared=request.META.get("CONTENT_LENGTH"), most=most)
    request._stream = BytesIO(request._body)
    request.upload_handlers = [_WholeForm(request)]


class _WholeForm(FileUploadHandler):
    """Reads a multipart form in which a field may be as large as a mail, and keeps the bytes of such a field."""

    def handle_raw_input(  # type: ignore[override]  # Django gives the boundary as bytes
        self,
        input_data: Any,
        META: Any,  # noqa: N803  the base's name
        content_length: int,
        boundary: bytes,
        encoding: str | None = None,
    ) -> tuple[QueryDict, MultiValueDict]:
        """Everything at once: RFC 7578, read as the MIME that it is."""
        head = f"Content-Type: {META['CONTENT_TYPE']}\r\n\r\n".encode("latin-1")
        form = BytesParser(policy=policy.HTTP).parsebytes(head + input_data.read())
        fields = QueryDict(mutable=True)
        files: MultiValueDict[str, Any] = MultiValueDict()
        fields.encoding = "utf-8"
        for number, part in enumerate(form.iter_parts()):
            if number >= settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:
                raise ValueError("too many fields")
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if not isinstance(name, str) or not isinstance(content, bytes):
                continue
            if filename := part.get_filename():
                files.appendlist(name, SimpleUploadedFile(_text(filename), content, part.get_content_type()))
            else:
                fields.appendlist(name, content.decode("utf-8", "replace"))
                if name in RAW_FIELDS and self.request is not None:
                    self.request.raw_mail = content  # type: ignore[attr-defined]
        return fields, files

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called: the form was read already."""

    def file_complete(self, file_size: int) -> None:
        """Never called."""


# --- What anymail read ------------------------------------------------------------------------


def listen() -> None:
    """Hear of what anymail reads."""
    inbound.connect(_keep_inbound, dispatch_uid="tickets.mail")
    tracking.connect(_keep_tracking, dispatch_uid="tickets.mail")


def _keep_inbound(sender: Any, event: Any, **_: Any) -> None:
    _keep(event, "inbound")


def _keep_tracking(sender: Any, event: Any, **_: Any) -> None:
    _keep(event, "tracking")


def _keep(event: Any, kind: str) -> None:
    events = _events.get()
    if events is not None:
        events.append((event, kind))


def _take(event: Any) -> None:
    """Store a mail for each of our mailboxes that it went to."""
    if event.message is None:
        return  # the provider could not read it itself
    recipients = _recipients(event)
    mailboxes: dict[Any, tuple[Mailbox, str]] = {}
    for address in recipients:
        mailbox = addressing.find_mailbox(address)
        # A signed address says which ticket is answered.
        if mailbox and (mailbox.pk not in mailboxes or tokens.read_address(address)):
            mailboxes[mailbox.pk] = (mailbox, address)
    if not mailboxes:
        log.warning("A mail of a provider is for no mailbox of ours")
        return
    raw = _raw(event.esp_event) or as_bytes(event.message)
    for mailbox, address in mailboxes.values():
        receiving.accept(
            raw=raw,
            mailbox=mailbox,
            way="provider",
            envelope_from=_clean(event.message.envelope_sender),
            envelope_to=_clean(address) or "",
            now=timezone.now(),
        )


def _raw(call: Any) -> bytes:
    """The mail as it came, where the provider hands it over whole; empty where it took it apart."""
    if isinstance(call, dict):
        given = call.get("RawEmail")  # Postmark
        return given.encode("utf-8", "replace") if isinstance(given, str) else b""
    kept: bytes = getattr(call, "raw_mail", b"")
    return kept


def _recipients(event: Any) -> list[str]:
    """Who it went to: the envelope, all of it where the provider tells; else whom the headers name."""
    found = [event.message.envelope_recipient or ""]
    form = getattr(event.esp_event, "POST", {})
    try:
        envelope = json.loads(form.get("envelope") or "{}")
        found += [to for to in envelope.get("to", []) if isinstance(to, str)]
    except (ValueError, AttributeError):
        pass
    found = [address for address in found if address]
    return found or [str(one.addr_spec) for header in ("to", "cc") for one in _addresses(event.message, header)]


def _addresses(message: Any, header: str) -> Iterable[Any]:
    try:
        return getattr(message, header) or []
    except (ValueError, LookupError, AttributeError):
        return []


def _clean(address: Any) -> str | None:
    """An address of the envelope; None where the provider tells none, empty for the null sender."""
    if address is None:
        return None
    text = str(address).strip().strip("<>").encode("utf-8", "replace").decode().replace("\0", "")
    return text[:LONGEST_ADDRESS]


def _text(value: str) -> str:
    """Text of a header that came as bytes in UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def as_bytes(message: Any) -> bytes:
    """A mail that a provider took apart, put together again, with the line ends of a mail."""
    for way in (policy.SMTP, policy.compat32.clone(linesep="\r\n")):
        written = BytesIO()
        try:
            BytesGenerator(written, mangle_from_=False, policy=way).flatten(message)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            log.info("A mail of a provider cannot be written as it is: %s", type(error).__name__)
        else:
            return written.getvalue()
    return str(message).encode("utf-8", "surrogateescape")


def _hear(event: Any) -> None:
    """A mail of ours did not arrive, or was not wanted."""
    if event.event_type not in FAILURES:
        return
    tracked.failed(
        provider_id=str(event.message_id or ""),
        recipient=str(event.recipient or ""),
        event=event.event_type,
        detail=str(event.mta_response or event.description or ""),
        now=timezone.now(),
    )
