"""The customers' pages. A ticket is opened by a token, which the browser keeps in a cookie for that page only."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.models import Workspace
from helpdesk.api.throttles import PublicThrottle
from helpdesk.errors import DomainError, NotFound
from portal import services
from portal.forms import RATINGS, AnswerForm, PlainForm, RatingForm, RequestForm
from tickets import access

COOKIE = "request_token"
LINES_AT_ONCE = 20  # of a chat
SENT = {"request", "answer", "follow-up", "rating"}
P = ParamSpec("P")


def _private(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """For pages that a secret opens: kept nowhere, told to nobody, and one answer for whatever is not there."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except NotFound:
            response = render(request, "portal/not_found.html", status=404)
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex"
        return response

    return guarded


def _address(ticket_id: UUID) -> str:
    return reverse("portal:ticket", args=[ticket_id])


def _to_ticket(ticket_id: UUID, *, token: str | None = None, at: str = "", **query_of: str) -> HttpResponse:
    """To the ticket's clean address; with a token, the browser gets the cookie that opens it."""
    query = f"?{urlencode(query_of)}" if query_of else ""
    response = HttpResponseRedirect(f"{_address(ticket_id)}{query}{at}")
    if token is not None:
        response.set_cookie(
            COOKIE,
            token,
            max_age=access.LIFETIME,
            path=_address(ticket_id),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def _too_often(request: HttpRequest, form: PlainForm) -> int | None:
    """Count what this address sends; too much is refused in the form, so that nothing typed is lost."""
    throttle = PublicThrottle()
    if throttle.allow_request(cast(Any, request), cast(Any, None)):
        return None
    wait = math.ceil(throttle.wait() or 1)
    form.add_error(None, f"Too much was sent from your network. Please try again in {wait} seconds.")
    return wait


def _again(page: HttpResponse, wait: int | None) -> HttpResponse:
    """The page with the form that came back."""
    page.status_code = 400 if wait is None else 429
    if wait is not None:
        page["Retry-After"] = str(wait)
    return page


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    """The public form; after sending, the customer stands on the page of their own request."""
    workspace = get_object_or_404(Workspace, slug=slug)
    if request.method != "POST":
        return render(request, "portal/submit.html", {"workspace": workspace, "form": RequestForm()})
    form = RequestForm(request.POST, request.FILES)
    wait = _too_often(request, form)
    if form.is_valid():
        given = form.cleaned_data
        try:
            ticket, token = services.submit_request(
                workspace=workspace,
                subject=given["subject"],
                description=given["description"],
                requester_email=given["email"],
                requester_name=given["name"],
                uploads=given["files"],
                channel="portal",
                now=timezone.now(),
            )
            return _to_ticket(ticket.pk, token=token, sent="request")
        except DomainError as error:
            form.refuse(error)
    return _again(render(request, "portal/submit.html", {"workspace": workspace, "form": form}), wait)


@_private
@require_http_methods(["GET", "HEAD", "POST"])
def ticket(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """A customer's ticket: what was said, and the form to answer.

    The link's token is exchanged for the cookie, and is not part of any address afterwards.
    """
    now = timezone.now()
    if request.method != "POST" and "token" in request.GET:
        token = request.GET["token"]
        services.open_request(ticket_id=ticket_id, token=token, now=now)
        chosen = _preselected(request)
        return _to_ticket(ticket_id, token=token, **({"rating": str(chosen)} if chosen else {}))
    token = request.COOKIES.get(COOKIE, "")
    if request.method != "POST":
        return _page(request, ticket_id, token, AnswerForm())
    opened, contact = services.open_request(ticket_id=ticket_id, token=token, now=now)
    form = AnswerForm(request.POST, request.FILES)
    wait = _too_often(request, form)
    if form.is_valid():
        try:
            answered = services.answer_request(
                ticket=opened,
                contact=contact,
                body=form.cleaned_data["body"],
                uploads=form.cleaned_data["files"],
                channel="portal",
                now=now,
            )
        except DomainError as error:
            form.refuse(error)
        else:
            if answered.comment is None:
                return _to_ticket(answered.ticket.pk, token=answered.token, sent="follow-up")
            return _to_ticket(ticket_id, sent="answer", at=f"#message-{answered.comment.pk}")
    return _again(_page(request, ticket_id, token, form), wait)


@_private
@require_POST
def rate(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """A customer says how well their request was resolved."""
    now = timezone.now()
    token = request.COOKIES.get(COOKIE, "")
    opened, contact = services.open_request(ticket_id=ticket_id, token=token, now=now)
    form = RatingForm(request.POST)
    wait = _too_often(request, form)
    if form.is_valid():
        given = form.cleaned_data
        try:
            services.rate_request(
                ticket=opened, contact=contact, rating=given["rating"], feedback=given["feedback"], now=now
            )
            return _to_ticket(ticket_id, sent="rating", at="#rate")
        except DomainError as error:
            form.refuse(error)
    return _again(_page(request, ticket_id, token, AnswerForm(), form), wait)


def _preselected(request: HttpRequest) -> int | None:
    """The rating that a link in a mail names. It is chosen in the form, not recorded: scanners follow links."""
    asked = request.GET.get("rating", "")
    return next((rating for rating, _ in RATINGS if str(rating) == asked), None)


def _page(
    request: HttpRequest, ticket_id: UUID, token: str, form: PlainForm, rating_form: RatingForm | None = None
) -> HttpResponse:
    now = timezone.now()
    view = services.read_request(ticket_id=ticket_id, token=token, now=now)
    given = services.rating_of(view.ticket)
    if rating_form is None:
        before = {"rating": given.rating, "feedback": given.feedback} if given else {}
        chosen = _preselected(request)
        rating_form = RatingForm(initial=before | ({"rating": chosen} if chosen else {}))
    sent = request.GET.get("sent", "") if request.method != "POST" else ""
    context = {
        "rating": given,
        "rating_words": dict(RATINGS)[given.rating] if given else "",
        "may_rate": services.can_rate(view.ticket, given, now),
        "rating_form": rating_form,
        "workspace": view.ticket.workspace,
        "ticket": view.ticket,
        "view": view,
        "thread": _thread(view.messages),
        "form": form,
        "sent": sent if sent in SENT else "",
    }
    return render(request, "portal/ticket.html", context)


@dataclass
class Lines:
    """Lines of the chat before the request that follow each other, shown as one; old ones when somebody asks."""

    lines: list[services.Message]

    @property
    def earlier(self) -> list[services.Message]:
        """Those that are shown on demand."""
        return self.lines[:-LINES_AT_ONCE]

    @property
    def latest(self) -> list[services.Message]:
        """Those that are always shown."""
        return self.lines[-LINES_AT_ONCE:]


def _thread(said: list[services.Message]) -> list[services.Message | Lines]:
    """The messages in their order, with lines of the chat together."""
    shown: list[services.Message | Lines] = []
    for message in said:
        last = shown[-1] if shown else None
        if not message.is_chat:
            shown.append(message)
        elif isinstance(last, Lines):
            last.lines.append(message)
        else:
            shown.append(Lines([message]))
    return shown


@_private
@require_safe
def file(request: HttpRequest, ticket_id: UUID, file_id: UUID) -> HttpResponseBase:
    """A file of the ticket: always a download, never shown by the browser on our address."""
    attachment = services.find_file(
        ticket_id=ticket_id, token=request.COOKIES.get(COOKIE, ""), file_id=file_id, now=timezone.now()
    )
    try:
        content = attachment.file.open("rb")
    except FileNotFoundError:
        raise NotFound("The file is not there any more.") from None
    response = FileResponse(content, as_attachment=True, filename=attachment.name, content_type=attachment.content_type)
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
