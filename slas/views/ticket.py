"""Why the deadlines of a ticket are what they are."""

from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from slas.services import explaining
from tickets.services import base
from tickets.views.queue import console, view_asked


@require_safe
@member_required(Permission.READ)
def why(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """The life of each clock in counted, closed and paused spans, which add up to its deadline."""
    try:
        ticket = base.find_ticket(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error
    now = timezone.now()
    kept = f"?{request.GET.urlencode()}" if request.GET else ""
    context = console(request, view_asked(request)) | {
        "ticket": ticket,
        "clocks": explaining.explain(ticket=ticket, now=now),
        "now": now,
        "kept": kept,
    }
    return render(request, "slas/why.html", context)
