"""The customers' pages. A ticket is opened by a token, which the browser keeps in a cookie for that page only."""

from dataclasses import dataclass
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.errors import DomainError, NotFound
from portal.forms.requests import RATINGS, AnswerForm, PlainForm, RatingForm, RequestForm
from portal.services import portals, requests
from portal.views.base import COOKIE, again, of_portal, page, private, to_ticket, too_often
from tickets.services.base import SUBJECT_LENGTH

LINES_AT_ONCE = 20  # of a chat
SENT = {"request", "answer", "follow-up", "rating"}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@of_portal
def submit(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """The public form; after sending, the customer stands on the page of their own request."""
    if request.method != "POST":
        return page(
            request, portal, "portal/submit.html", {"form": RequestForm(initial={"subject": _subject(request)})}
        )
    form = RequestForm(request.POST, request.FILES)
    wait = too_often(request, form)
    if form.is_valid():
        given = form.cleaned_data
        try:
            ticket, token = requests.submit_request(
                workspace=portal.workspace,
                subject=given["subject"],
                description=given["description"],
                requester_email=given["email"],
                requester_name=given["name"],
                uploads=given["files"],
                channel="portal",
                now=timezone.now(),
            )
            return to_ticket(ticket.pk, token=token, sent="request")
        except DomainError as error:
            form.refuse(error)
    return again(page(request, portal, "portal/submit.html", {"form": form}), wait)


@private
@require_http_methods(["GET", "HEAD", "POST"])
def ticket(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """A customer's ticket: what was said, and the form to answer.

    The link's token is exchanged for the cookie, and is not part of any address afterwards.
    """
    now = timezone.now()
    if request.method != "POST" and "token" in request.GET:
        token = request.GET["token"]
        requests.open_request(ticket_id=ticket_id, token=token, now=now)
        chosen = _preselected(request)
        return to_ticket(ticket_id, token=token, **({"rating": str(chosen)} if chosen else {}))
    token = request.COOKIES.get(COOKIE, "")
    if request.method != "POST":
        return _page(request, ticket_id, token, AnswerForm())
    opened, contact = requests.open_request(ticket_id=ticket_id, token=token, now=now)
    form = AnswerForm(request.POST, request.FILES)
    wait = too_often(request, form)
    if form.is_valid():
        try:
            answered = requests.answer_request(
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
                return to_ticket(answered.ticket.pk, token=answered.token, sent="follow-up")
            return to_ticket(ticket_id, sent="answer", at=f"#message-{answered.comment.pk}")
    return again(_page(request, ticket_id, token, form), wait)


@private
@require_POST
def rate(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """A customer says how well their request was resolved."""
    now = timezone.now()
    token = request.COOKIES.get(COOKIE, "")
    opened, contact = requests.open_request(ticket_id=ticket_id, token=token, now=now)
    form = RatingForm(request.POST)
    wait = too_often(request, form)
    if form.is_valid():
        given = form.cleaned_data
        try:
            requests.rate_request(
                ticket=opened, contact=contact, rating=given["rating"], feedback=given["feedback"], now=now
            )
            return to_ticket(ticket_id, sent="rating", at="#rate")
        except DomainError as error:
            form.refuse(error)
    return again(_page(request, ticket_id, token, AnswerForm(), form), wait)


def _subject(request: HttpRequest) -> str:
    """What a visitor has searched for, on whose page of results the link to the form names it."""
    return request.GET.get("subject", "")[:SUBJECT_LENGTH]


def _preselected(request: HttpRequest) -> int | None:
    """The rating that a link in a mail names. It is chosen in the form, not recorded: scanners follow links."""
    asked = request.GET.get("rating", "")
    return next((rating for rating, _ in RATINGS if str(rating) == asked), None)


def _page(
    request: HttpRequest, ticket_id: UUID, token: str, form: PlainForm, rating_form: RatingForm | None = None
) -> HttpResponse:
    now = timezone.now()
    view = requests.read_request(ticket_id=ticket_id, token=token, now=now)
    given = requests.rating_of(view.ticket)
    if rating_form is None:
        before = {"rating": given.rating, "feedback": given.feedback} if given else {}
        chosen = _preselected(request)
        rating_form = RatingForm(initial=before | ({"rating": chosen} if chosen else {}))
    sent = request.GET.get("sent", "") if request.method != "POST" else ""
    context = {
        "rating": given,
        "rating_words": dict(RATINGS)[given.rating] if given else "",
        "may_rate": requests.can_rate(view.ticket, given, now),
        "rating_form": rating_form,
        "ticket": view.ticket,
        "view": view,
        "thread": _thread(view.messages),
        "form": form,
        "sent": sent if sent in SENT else "",
    }
    return page(request, portals.of(view.ticket.workspace), "portal/ticket.html", context)


@dataclass
class Lines:
    """Lines of the chat before the request that follow each other, shown as one; old ones when somebody asks."""

    lines: list[requests.Message]

    @property
    def earlier(self) -> list[requests.Message]:
        """Those that are shown on demand."""
        return self.lines[:-LINES_AT_ONCE]

    @property
    def latest(self) -> list[requests.Message]:
        """Those that are always shown."""
        return self.lines[-LINES_AT_ONCE:]


def _thread(said: list[requests.Message]) -> list[requests.Message | Lines]:
    """The messages in their order, with lines of the chat together."""
    shown: list[requests.Message | Lines] = []
    for message in said:
        last = shown[-1] if shown else None
        if not message.is_chat:
            shown.append(message)
        elif isinstance(last, Lines):
            last.lines.append(message)
        else:
            shown.append(Lines([message]))
    return shown


@private
@require_safe
def file(request: HttpRequest, ticket_id: UUID, file_id: UUID) -> HttpResponseBase:
    """A file of the ticket: always a download, never shown by the browser on our address."""
    attachment = requests.find_file(
        ticket_id=ticket_id, token=request.COOKIES.get(COOKIE, ""), file_id=file_id, now=timezone.now()
    )
    try:
        content = attachment.file.open("rb")
    except FileNotFoundError:
        raise NotFound("The file is not there any more.") from None
    response = FileResponse(content, as_attachment=True, filename=attachment.name, content_type=attachment.content_type)
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
