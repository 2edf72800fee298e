"""What agents see and do about single mails: the original, how an answer fares, taking it back, not a ticket."""

from typing import Any, cast
from uuid import UUID

from csp.decorators import csp_update
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import content_disposition_header, urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError, NotAllowed, NotFound
from tickets.filters import VIEWS
from tickets.mail.forms.messages import NotATicketForm
from tickets.mail.models import Incoming
from tickets.mail.services import not_a_ticket as services
from tickets.mail.services import originals, sending
from tickets.models import Comment, Ticket
from tickets.services import base

NOTHING = "sandbox; default-src 'none'"  # what a message's own bytes may do on our address

# --- The message as it came -------------------------------------------------------------------


def _find(request: WorkspaceRequest, pk: UUID) -> Incoming:
    try:
        return originals.find(
            workspace_id=request.workspace.pk,
            incoming_id=pk,
            sees_everything=request.membership.may(Permission.MANAGE),
        )
    except NotFound as error:
        raise Http404(error.detail) from error


@require_safe
@member_required(Permission.READ)
def original(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """A message as it came; `?images=1` fetches its remote images, `?as=text` shows what was written as text."""
    return _show(request, _find(request, pk))


@require_safe
@member_required(Permission.READ)
def comment_original(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """The message that became this comment."""
    try:
        return _show(request, originals.of_comment(workspace_id=request.workspace.pk, comment_id=pk))
    except NotFound as error:
        return _gone(request, _comment(request, pk).ticket, error)


@require_safe
@member_required(Permission.READ)
def ticket_original(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """The message that became this ticket."""
    try:
        return _show(request, originals.of_ticket(workspace_id=request.workspace.pk, ticket_id=pk))
    except NotFound as error:
        return _gone(request, _ticket(request, pk), error)


def _gone(request: WorkspaceRequest, ticket: Ticket, error: NotFound) -> HttpResponse:
    return render(request, "mail/original.html", {"ticket": ticket, "gone": error.detail}, status=404)


def _show(request: WorkspaceRequest, incoming: Incoming) -> HttpResponse:
    wants_images = request.GET.get("images") == "1"
    shown = originals.show(
        incoming=incoming,
        with_images=wants_images,
        inline_address=lambda place: reverse("mail:original-inline", args=[incoming.pk, place]),
    )
    context = {
        "incoming": incoming,
        "ticket": incoming.ticket if incoming.ticket and incoming.ticket.trashed_at is None else None,
        "mail": shown.message,
        "html": shown.html,
        "headers": shown.headers,
        "remote_images": shown.remote_images,
        "with_images": wants_images,
        "is_too_heavy": shown.is_too_heavy,
        "as_text": not shown.html or request.GET.get("as") == "text",
    }

    def page(request: HttpRequest) -> HttpResponse:
        return render(request, "mail/original.html", context)

    # Only here, and only when somebody asked for it: images of other servers, over TLS.
    answer = csp_update({"img-src": ["https:"]})(page)(request) if wants_images else page(request)
    answer["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, answer)


@require_safe
@member_required(Permission.READ)
def inline(request: WorkspaceRequest, pk: UUID, place: int) -> HttpResponse:
    """A picture that came with the message and is shown within it."""
    try:
        content, kind = originals.inline_image(incoming=_find(request, pk), place=place)
    except NotFound as error:
        raise Http404(error.detail) from error
    answer = HttpResponse(content, content_type=kind)
    answer["Cache-Control"] = "private, max-age=3600"
    answer["Content-Security-Policy"] = NOTHING
    return answer


@require_safe
@member_required(Permission.READ)
def download(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """The bytes of the message, as they came."""
    incoming = _find(request, pk)
    try:
        content = originals.raw_of(incoming)
    except NotFound as error:
        raise Http404(error.detail) from error
    name = originals.download_name(incoming)
    return HttpResponse(
        content,
        # Not message/rfc822: no browser and no program shall open it by itself.
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or "attachment",
            "Cache-Control": "private, no-store",
            "Content-Security-Policy": NOTHING,
        },
    )


# --- How an answer fares ----------------------------------------------------------------------


def _ticket(request: WorkspaceRequest, pk: UUID) -> Ticket:
    try:
        return base.find_ticket(request.workspace.pk, pk)
    except NotFound as error:
        raise Http404(error.detail) from error


def _comment(request: WorkspaceRequest, pk: UUID) -> Comment:
    rows = Comment.objects.for_workspace(request.workspace).filter(deleted_at=None, ticket__trashed_at=None)
    comment: Comment | None = rows.select_related("ticket", "ticket__workspace").filter(pk=pk).first()
    if comment is None:
        raise Http404("There is no such message.")
    return comment


def _back(request: HttpRequest, ticket_id: UUID, at: str = "", **extra: Any) -> HttpResponse:
    """To the ticket's page, with the list it was opened from."""
    query = request.GET.copy()
    for name, value in extra.items():
        query.setlist(name, value if isinstance(value, list) else [value])
    kept = f"?{query.urlencode()}" if query else ""
    return redirect(f"{reverse('tickets:ticket', args=[ticket_id])}{kept}{at}")


@require_safe
@member_required(Permission.READ)
def delivery(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """How the mail of a message fares: the line below it, which a page asks for while it waits."""
    comment = _comment(request, pk)
    context = {
        "comment": comment,
        "may_work": request.membership.may(Permission.WORK) and comment.ticket.merged_into_id is None,
        "kept": f"?{request.GET.urlencode()}" if request.GET else "",
    }
    return render(request, "tickets/_delivery.html", context)


@require_POST
@member_required(Permission.WORK)
def resend(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Send the mails of a message again."""
    comment = _comment(request, pk)
    try:
        sending.resend(comment=comment, member=request.membership, now=timezone.now())
    except NotAllowed as error:
        raise PermissionDenied(error.detail) from error
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "It is sent again.")
    return _back(request, comment.ticket_id, f"#message-{comment.pk}")


@require_POST
@member_required(Permission.WORK)
def take_back(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Take an answer back that still waits to be sent; its text stands in the composer again."""
    comment = _comment(request, pk)
    files = [str(file) for file in comment.attachments.order_by("created_at", "pk").values_list("pk", flat=True)]
    try:
        sending.take_back(comment=comment, member=request.membership, now=timezone.now())
    except NotAllowed as error:
        raise PermissionDenied(error.detail) from error
    except DomainError as error:
        messages.error(request, error.detail)
        return _back(request, comment.ticket_id, f"#message-{comment.pk}")
    messages.success(request, "Taken back: nothing was sent. Your text stands in the message box again.")
    return _back(request, comment.ticket_id, "#body", taken_back=str(comment.pk), waiting=files)


# --- Not a ticket -----------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def not_a_ticket(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Ask, then move the ticket to the trash and ignore the mail of its sender."""
    ticket = _ticket(request, pk)
    form = NotATicketForm(request.POST if request.method == "POST" else None, ticket=ticket)
    if request.method == "POST" and form.is_valid():
        try:
            pattern = services.not_a_ticket(
                ticket=ticket,
                member=request.membership,
                whole_domain=form.cleaned_data["block"] == "domain",
                now=timezone.now(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _said(request, ticket, pattern))
            return redirect("tickets:queue", view=_view(request))
    kept = f"?{request.GET.urlencode()}" if request.GET else ""
    context = {"ticket": ticket, "form": form, "kept": kept}
    return render(request, "mail/not_a_ticket.html", context, status=400 if form.errors else 200)


def _view(request: HttpRequest) -> str:
    """The list one came from."""
    view = request.GET.get("view", "")
    return view if view in VIEWS else "mine"


def _said(request: WorkspaceRequest, ticket: Ticket, pattern: str) -> str:
    trash = "the trash, where an admin can restore it for 30 days"
    if request.membership.may(Permission.MANAGE):
        trash = format_html(
            '<a href="{}">the trash</a>, where you can restore it for 30 days', reverse("tickets:trash")
        )
    return format_html(
        "Moved #{} to {}. Mail from {} is ignored from now on. "
        '<button type="submit" class="link" form="toast-form" formaction="{}?{}">Unblock {}</button>',
        ticket.number, trash, pattern, reverse("mail:unblock"), urlencode({"pattern": pattern}), pattern,
    )  # fmt: skip


@require_POST
@member_required(Permission.WORK)
def unblock(request: WorkspaceRequest) -> HttpResponse:
    """Take the mail of an address or a domain again."""
    pattern = (request.POST.get("pattern") or request.GET.get("pattern", ""))[:320]
    services.unblock(pattern=pattern, member=request.membership)
    messages.success(request, f"Mail from {pattern} comes in again.")
    return redirect("tickets:queue", view="mine")
