"""The customers' pages. A ticket is opened by a token, which the browser keeps in a cookie for that page only, or by
the visit of somebody who signed in to see all of theirs (`portal.views.visits`).
"""

from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.api.downloads import download
from helpdesk.errors import Conflict, DomainError, NotAllowed, NotFound
from portal.forms.requests import RATINGS, AnswerForm, PlainForm, RatingForm, RequestForm
from portal.forms.visits import ReopenForm
from portal.services import closing, portals, requests, strangers, visits
from portal.views.base import COOKIE, address_of, again, network_of, of_portal, page, private, to_ticket, too_often
from portal.views.visits import cookies_of
from tickets.services.base import SUBJECT_LENGTH, is_reachable

LINES_AT_ONCE = 20  # of a chat
SENT = {"request", "answer", "follow-up", "rating", "solved", "reopened"}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@of_portal
def submit(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """The public form; after sending, the customer stands on the page of their own request."""
    if request.method == "POST":
        form = RequestForm(request.POST, request.FILES)
    else:
        form = RequestForm(initial={"subject": _subject(request)})
    if portal.settings.asks_proof:
        form.ask_for_proof(f"{reverse('portal:public-challenge')}?workspace_id={portal.workspace.pk}")
    if request.method != "POST":
        return page(request, portal, "portal/submit.html", {"form": form})
    wait = too_often(request, form)
    if form.is_valid():
        given, now = form.cleaned_data, timezone.now()
        try:
            strangers.let_in(portal=portal, proof=given["proof"], is_proof_needed=False, now=now)
            ticket, token = requests.submit_request(
                workspace=portal.workspace,
                subject=given["subject"],
                description=given["description"],
                requester_email=given["email"],
                requester_name=given["name"],
                uploads=given["files"],
                channel="portal",
                now=now,
                network=network_of(request),
            )
            return to_ticket(ticket.pk, token=token, sent="request")
        except DomainError as error:
            form.refuse(error)
            wait = getattr(error, "retry_after", None)
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
    opened = _opened(request, ticket_id)
    if request.method != "POST":
        return _page(request, ticket_id, opened)
    form = AnswerForm(request.POST, request.FILES)
    wait = too_often(request, form)
    if form.is_valid():
        try:
            answered = requests.answer_request(
                ticket=opened.ticket,
                contact=opened.contact,
                body=form.cleaned_data["body"],
                uploads=form.cleaned_data["files"],
                channel="portal",
                now=now,
                network=network_of(request),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            if answered.comment is None:
                return to_ticket(answered.ticket.pk, token=answered.token, sent="follow-up")
            return to_ticket(ticket_id, sent="answer", at=f"#message-{answered.comment.pk}")
    return again(_page(request, ticket_id, opened, answer=form), wait)


@private
@require_POST
def close(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """A customer says that their request is solved; then they are asked how it went."""
    opened = _opened(request, ticket_id)
    form = PlainForm(request.POST)
    wait = too_often(request, form)
    status = 429
    if wait is None:
        try:
            closing.close_request(ticket=opened.ticket, contact=opened.contact, now=timezone.now())
        except (Conflict, NotAllowed) as error:
            form.refuse(error)
            status = error.status
        else:
            return to_ticket(ticket_id, sent="solved")
    # Read anew: what was refused may have been done by somebody else meanwhile.
    response = again(_page(request, ticket_id, _opened(request, ticket_id), closing_form=form), wait)
    response.status_code = status
    return response


@private
@require_POST
def reopen(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """A customer takes a finished request up again, with a message or without."""
    opened = _opened(request, ticket_id)
    form = ReopenForm(request.POST, request.FILES)
    wait = too_often(request, form)
    status = 400
    if form.is_valid():
        try:
            answered = closing.reopen_request(
                ticket=opened.ticket,
                contact=opened.contact,
                body=form.cleaned_data["body"],
                uploads=form.cleaned_data["files"],
                now=timezone.now(),
            )
        except DomainError as error:
            if isinstance(error, NotFound):
                raise
            form.refuse(error)
            status = error.status
        else:
            at = f"#message-{answered.comment.pk}" if answered.comment else ""
            return to_ticket(ticket_id, sent="reopened", at=at)
    response = again(_page(request, ticket_id, _opened(request, ticket_id), answer=form), wait)
    response.status_code = 429 if wait is not None else status
    return response


def _opened(request: HttpRequest, ticket_id: UUID) -> visits.Opened:
    """The request that the browser's cookies open. Raises NotFound, the same for whatever is not there."""
    token = request.COOKIES.get(COOKIE, "")
    return visits.open_request_of(ticket_id=ticket_id, token=token, visits=cookies_of(request), now=timezone.now())


@private
@require_POST
def rate(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """A customer says how well their request was resolved."""
    now = timezone.now()
    opened = _opened(request, ticket_id)
    form = RatingForm(request.POST)
    wait = too_often(request, form)
    if form.is_valid():
        given = form.cleaned_data
        try:
            requests.rate_request(
                ticket=opened.ticket,
                contact=opened.contact,
                rating=given["rating"],
                feedback=given["feedback"],
                now=now,
            )
            return to_ticket(ticket_id, sent="rating", at="#rate")
        except DomainError as error:
            form.refuse(error)
    return again(_page(request, ticket_id, opened, rating_form=form), wait)


def _subject(request: HttpRequest) -> str:
    """What a visitor has searched for, on whose page of results the link to the form names it."""
    return request.GET.get("subject", "")[:SUBJECT_LENGTH]


def _preselected(request: HttpRequest) -> int | None:
    """The rating that a link in a mail names. It is chosen in the form, not recorded: scanners follow links."""
    asked = request.GET.get("rating", "")
    return next((rating for rating, _ in RATINGS if str(rating) == asked), None)


def _page(
    request: HttpRequest,
    ticket_id: UUID,
    opened: visits.Opened,
    *,
    answer: PlainForm | None = None,
    rating_form: RatingForm | None = None,
    closing_form: PlainForm | None = None,
) -> HttpResponse:
    now = timezone.now()
    view = requests.view_of(ticket=opened.ticket, contact=opened.contact, opened_as=ticket_id, now=now)
    given = requests.rating_of(view.ticket)
    may_reopen = closing.can_reopen(ticket=view.ticket, now=now)
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
        "form": answer or (ReopenForm() if may_reopen else AnswerForm()),
        "may_close": closing.can_close(ticket=view.ticket, contact=view.contact),
        "closing_form": closing_form,
        "may_reopen": may_reopen,
        "reopens_until": closing.reopens_until(view.ticket),
        # Whether an agent spoke last, so that "did this solve it?" has something to ask about.
        "is_answered": view.messages[-1].kind == "agent",
        "hears_by_mail": is_reachable(view.contact.email),
        "is_visit": opened.is_visit,
        "sent": sent if sent in SENT else "",
    }
    if request.method == "POST":
        context["here"] = address_of(ticket_id)
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
    attachment = requests.file_of(ticket=_opened(request, ticket_id).ticket, file_id=file_id)
    try:
        content = attachment.file.open("rb")
    except FileNotFoundError:
        raise NotFound("The file is not there any more.") from None
    return download(content, name=attachment.name, content_type=attachment.content_type)
