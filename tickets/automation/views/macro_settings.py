"""Macros in Settings: the list, and the form of one."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.automation.forms.macro import MacroDraft, macro_draft, read_macro
from tickets.automation.models import Macro
from tickets.automation.services import macros, wording
from tickets.automation.views.rules import offers_of
from tickets.views.queue import console


@require_safe
@member_required(Permission.MANAGE)
def macro_list(request: WorkspaceRequest) -> HttpResponse:
    """The macros in their order, each with what it does."""
    known = macros.macros(request.workspace.pk)
    said = wording.in_words(request.workspace.pk, [macro.actions for macro in known])
    rows = [{"macro": macro, "words": words} for macro, words in zip(known, said, strict=True)]
    return render(request, "automation/macro_list.html", console(request, "settings") | {"rows": rows})


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def macro_form(request: WorkspaceRequest, macro_id: UUID | None = None) -> HttpResponse:
    """Make a macro, or change one. A POST with `change` draws the form anew and saves nothing."""
    macro = _macro(request, macro_id) if macro_id else None
    if request.method != "POST":
        return _form(request, macro_draft(macro), macro)
    draft = read_macro(dict(request.POST.lists()))
    if "change" in request.POST:
        draft.change(request.POST["change"])
        return _form(request, draft, macro)
    try:
        saved = macros.save_macro(workspace=request.workspace, changes=draft.changes(), macro=macro, now=timezone.now())
    except DomainError as error:
        draft.refuse(error)
        return _form(request, draft, macro, status=400)
    messages.success(request, f"Saved the macro “{saved.name}”.")
    return redirect("automation:macro-list")


def _form(request: WorkspaceRequest, draft: MacroDraft, macro: Macro | None, status: int = 200) -> HttpResponse:
    context = console(request, "settings")
    names = wording.names_of(request.workspace.pk, [row.document() for row in draft.rows])
    draft.offer(offers_of(request, context["choices"], names))
    context |= {"draft": draft, "macro": macro}
    return render(request, "automation/macro.html", context, status=status)


@require_POST
@member_required(Permission.MANAGE)
def macro_move(request: WorkspaceRequest, macro_id: UUID) -> HttpResponse:
    """Offer a macro one place earlier or later."""
    macro = _macro(request, macro_id)
    to = macro.position + (-1 if request.POST.get("direction") == "up" else 1)
    if to >= 1:
        macros.save_macro(workspace=request.workspace, changes={"position": to}, macro=macro, now=timezone.now())
    return redirect("automation:macro-list")


@require_POST
@member_required(Permission.MANAGE)
def macro_delete(request: WorkspaceRequest, macro_id: UUID) -> HttpResponse:
    """Archive a macro."""
    macro = _macro(request, macro_id)
    macros.delete_macro(macro=macro, now=timezone.now())
    messages.success(request, f"Deleted the macro “{macro.name}”.")
    return redirect("automation:macro-list")


def _macro(request: WorkspaceRequest, macro_id: UUID) -> Macro:
    try:
        return macros.find_macro(request.workspace.pk, macro_id)
    except DomainError as error:
        raise Http404(error.detail) from error
