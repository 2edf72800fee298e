"""Macros in the console: on a ticket's page, and on the tickets that were selected in a list."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.http.request import QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.automation.services import macros
from tickets.automation.services.macros import Result
from tickets.filters import VIEWS
from tickets.models import Ticket
from tickets.views.queue import console
from tickets.views.ticket import act, found, kept_query

# --- On a ticket ------------------------------------------------------------------------------


@require_safe
@member_required(Permission.WORK)
def choose_for_ticket(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """The macros for a ticket: a part of its page, or without htmx a page of their own."""
    ticket = found(request, pk)
    context = {"offered": macros.offered(request.workspace.pk), "ticket": ticket, "kept": kept_query(request)}
    if getattr(request, "htmx", False):
        return render(request, "automation/_macros.html", context)
    return render(request, "automation/macros.html", console(request, "all") | context)


@require_POST
@member_required(Permission.WORK)
def run(request: WorkspaceRequest, pk: UUID, macro_id: UUID) -> HttpResponse:
    """Run a macro on a ticket, and say what it did."""
    now = timezone.now()

    def do(ticket: Ticket, data: dict[str, Any]) -> str:
        macro = macros.find_macro(request.workspace.pk, macro_id)
        done = macros.run_macro(macro=macro, ticket=ticket, member=request.membership, now=now)
        return f"{macro}: {', '.join(done)}."

    return act(request, pk, None, do)


# --- On many ----------------------------------------------------------------------------------


@require_safe
@member_required(Permission.WORK)
def choose(request: WorkspaceRequest) -> HttpResponse:
    """The macros for the tickets that are selected in a list: a part of its page. Without htmx none is yet."""
    context = {"offered": macros.offered(request.workspace.pk)}
    if getattr(request, "htmx", False):
        return render(request, "automation/_macros.html", context)
    back = reverse("tickets:queue", args=["all"])
    return render(request, "automation/macros.html", console(request, "all") | context | {"back": back})


@require_POST
@member_required(Permission.WORK)
def run_on_many(request: WorkspaceRequest) -> HttpResponse:
    """Run a macro on the tickets that were selected, and say what became of each. Without a macro: ask which."""
    kept = QueryDict(request.POST.get("kept", "")[:2000])
    view = kept.get("view", "")
    back = reverse("tickets:queue", args=[view if view in VIEWS else "all"]) + (f"?{kept.urlencode()}" if kept else "")
    try:
        ticket_ids = [UUID(pk) for pk in request.POST.getlist("ticket")]
        macro_id = UUID(request.POST["macro"]) if "macro" in request.POST else None
    except ValueError:
        messages.error(request, "There is no such ticket or macro.")
        return redirect(back)
    if not ticket_ids:
        messages.error(request, "Select the tickets first, then choose a macro.")
        return redirect(back)
    if macro_id is None:
        context = {"offered": macros.offered(request.workspace.pk), "ticket_ids": ticket_ids}
        context |= {"kept": kept.urlencode(), "back": back}
        return render(request, "automation/macros.html", console(request, "all") | context)
    try:
        macro = macros.find_macro(request.workspace.pk, macro_id)
        results = macros.run_on_many(macro=macro, ticket_ids=ticket_ids, member=request.membership, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect(back)
    refused = [result for result in results if not result.is_done]
    if not refused:
        messages.success(request, f"{macro}: done on {_tickets(len(results))}.")
        return redirect(back)
    context = {"macro": macro, "done": len(results) - len(refused), "results": results, "back": back}
    context |= {"refused": _with_subjects(request, refused), "kept": f"?{kept.urlencode()}" if kept else ""}
    return render(request, "automation/ran.html", console(request, "all") | context)


def _tickets(number: int) -> str:
    return f"{number} ticket" if number == 1 else f"{number} tickets"


def _with_subjects(request: WorkspaceRequest, refused: list[Result]) -> list[dict[str, Any]]:
    """The refusals with what the page shows of their tickets. One query."""
    rows = Ticket.objects.for_workspace(request.workspace).live().filter(pk__in=[one.ticket_id for one in refused])
    subjects = dict(rows.values_list("pk", "subject"))
    return [{"result": one, "subject": subjects.get(one.ticket_id)} for one in refused]
