"""Why the deadlines of a ticket are what they are."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError, InvalidInput
from slas.services import explaining, giving
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
    may_choose = request.membership.may(Permission.WORK) and ticket.merged_into_id is None
    policies = giving.names(request.workspace.pk) if may_choose else []
    context = console(request, view_asked(request)) | {
        "ticket": ticket,
        "clocks": explaining.explain(ticket=ticket, now=now),
        "now": now,
        "kept": kept,
        "policies": policies,
        "given": next((pk for pk, _ in policies if pk == ticket.sla_policy_id), None),
    }
    return render(request, "slas/why.html", context)


@require_POST
@member_required(Permission.WORK)
def give_policy(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Give the ticket a policy, or let the conditions choose again."""
    try:
        ticket = base.find_ticket(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error
    try:
        name = giving.give_policy(
            ticket=ticket,
            policy_id=_policy_id(request.POST.get("policy_id", "")),
            actor=base.agent(request.membership),
            now=timezone.now(),
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        said = f"The policy of this ticket is “{name}”." if name else "The policies’ conditions choose for this ticket."
        messages.success(request, said)
    kept = f"?{request.GET.urlencode()}" if request.GET else ""
    return redirect(reverse("slas:why", args=[pk]) + kept)


def _policy_id(text: str) -> UUID | None:
    """The id that was chosen; None for the conditions. Raises InvalidInput."""
    try:
        return UUID(text) if text else None
    except ValueError:
        raise InvalidInput.of("policy_id", "There is no such SLA policy.") from None
