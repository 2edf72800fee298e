"""Settings of tickets in the console: categories, custom fields, canned responses; these for the composer, too."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, IntegerField, Q, Value, When
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.forms import CannedResponseForm, CategoryForm, FieldForm
from tickets.markup import is_text
from tickets.models import CannedResponse, Category, Field
from tickets.models.counting import kept_counts, total
from tickets.services import base, setup
from tickets.views.queue import console

OFFERED = 12  # canned responses that the composer lists at once


# --- Categories -------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def categories(request: WorkspaceRequest) -> HttpResponse:
    """The tree of categories, each with how many tickets it has."""
    context = console(request, "settings")
    rows = Category.objects.for_workspace(request.workspace).filter(archived_at=None)
    by_id = {str(row.pk): row for row in rows}
    counts = {
        row["key"]: row["n"]
        for row in kept_counts(request.workspace.pk)
        .filter(facet="category")
        .exclude(key=None)
        .values("key")
        .annotate(n=total(Q()))
    }
    tree = []
    above: list[dict[str, Any]] = []  # the row and those it stands below
    for pk, label in context["choices"].categories:
        if pk not in by_id:
            continue
        depth = len(label) - len(label.lstrip("\u2003"))
        row = {"category": by_id[pk], "depth": min(depth, 4), "tickets": 0}
        above = [*above[:depth], row]
        for counted in above:  # a list of a category shows the tickets of those below it
            counted["tickets"] += counts.get(by_id[pk].pk, 0)
        tree.append(row)
    return render(request, "tickets/categories.html", context | {"tree": tree})


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def category(request: WorkspaceRequest, pk: UUID | None = None) -> HttpResponse:
    """Make a category, or change one."""
    chosen = _category(request, pk) if pk else None
    context = console(request, "settings")
    below = set(map(str, setup.descendants(request.workspace.pk, pk))) if pk else set()
    parents = [(key, label) for key, label in context["choices"].categories if key not in below]
    initial: dict[str, Any] = {"parent_id": request.GET.get("below", "")}
    if chosen:
        initial = {
            "name": chosen.name,
            "description": chosen.description,
            "color": chosen.color,
            "parent_id": chosen.parent_id or "",
        }
    form = CategoryForm(
        request.POST if request.method == "POST" else None,
        initial=initial,
        choices={"parent_id": [("", "None: at the top"), *parents]},
    )
    if request.method == "POST" and form.is_valid():
        try:
            saved = setup.save_category(
                workspace=request.workspace, changes=form.cleaned_data, category=chosen, now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the category “{saved.name}”.")
            return redirect("tickets:settings-categories")
    context |= {"form": form, "category": _category(request, pk) if pk and form.errors else chosen}
    return render(request, "tickets/category.html", context, status=400 if form.errors else 200)


@require_POST
@member_required(Permission.MANAGE)
def category_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Archive a category: it can no longer be chosen, its tickets keep it."""
    chosen = _category(request, pk)
    try:
        setup.delete_category(category=chosen, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"Deleted the category “{chosen.name}”. Its tickets keep it.")
    return redirect("tickets:settings-categories")


def _category(request: WorkspaceRequest, pk: UUID) -> Category:
    found: Category | None = Category.objects.for_workspace(request.workspace).filter(pk=pk, archived_at=None).first()
    if found is None:
        raise Http404("There is no such category.")
    return found


# --- Custom fields ----------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def fields(request: WorkspaceRequest) -> HttpResponse:
    """What the workspace asks of its tickets, in order."""
    context = console(request, "settings")
    return render(request, "tickets/fields.html", context | {"fields": base.live_fields(request.workspace.pk)})


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def field(request: WorkspaceRequest, pk: UUID | None = None) -> HttpResponse:
    """Make a custom field, or change one."""
    chosen = _field(request, pk) if pk else None
    others = [other for other in base.live_fields(request.workspace.pk) if other.pk != pk]
    places = [("1", "First"), *((str(n), f"After {other.label}") for n, other in enumerate(others, start=2))]
    initial: dict[str, Any] = {"position": len(places)}
    if chosen:
        names = ("label", "options", "position", "is_required")
        initial = {name: getattr(chosen, name) for name in names}
    form = FieldForm(
        request.POST if request.method == "POST" else None,
        initial=initial,
        choices={"position": places},
        existing=chosen,
    )
    if request.method == "POST" and form.is_valid():
        try:
            saved = setup.save_field(
                workspace=request.workspace, changes=form.cleaned_data, field=chosen, now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the field “{saved.label}”.")
            return redirect("tickets:settings-fields")
    context = console(request, "settings") | {"form": form, "field": chosen}
    return render(request, "tickets/field.html", context, status=400 if form.errors else 200)


@require_POST
@member_required(Permission.MANAGE)
def field_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Archive a custom field: it is no longer asked or shown."""
    chosen = _field(request, pk)
    setup.delete_field(field=chosen, now=timezone.now())
    messages.success(request, f"Deleted the field “{chosen.label}”.")
    return redirect("tickets:settings-fields")


def _field(request: WorkspaceRequest, pk: UUID) -> Field:
    try:
        return base.find_field(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error


# --- Canned responses -------------------------------------------------------------------------


@require_safe
@member_required(Permission.READ)
def canned_responses(request: WorkspaceRequest) -> HttpResponse:
    """All canned responses, most used first."""
    rows = list(
        CannedResponse.objects.for_workspace(request.workspace)
        .select_related("category", "created_by")
        .order_by("-usage_count", "title", "pk")
    )
    context = console(request, "settings")
    for row in rows:
        row.may_change = _may_change(request, row)
    return render(request, "tickets/canned_responses.html", context | {"responses": rows})


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def canned_response(request: WorkspaceRequest, pk: UUID | None = None) -> HttpResponse:
    """Make a canned response, or change one: agents their own, admins all."""
    chosen = _response(request, pk) if pk else None
    if chosen and not _may_change(request, chosen):
        raise PermissionDenied("Only its author or an admin may change a canned response.")
    context = console(request, "settings")
    initial: dict[str, Any] = {}
    if chosen:
        initial = {
            "title": chosen.title,
            "shortcut": chosen.shortcut,
            "content": chosen.content,
            "category_id": chosen.category_id or "",
        }
    form = CannedResponseForm(
        request.POST if request.method == "POST" else None,
        initial=initial,
        choices={"category_id": [("", "None"), *context["choices"].categories]},
    )
    if request.method == "POST" and form.is_valid():
        try:
            saved = setup.save_canned_response(
                workspace=request.workspace,
                changes=form.cleaned_data,
                response=chosen,
                author=request.user,
                now=timezone.now(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved “{saved.title}”: type /{saved.shortcut} in a reply.")
            return redirect("tickets:settings-canned-responses")
    context |= {"form": form, "response": _response(request, pk) if pk and form.errors else chosen}
    return render(request, "tickets/canned_response.html", context, status=400 if form.errors else 200)


@require_POST
@member_required(Permission.WORK)
def canned_response_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Forget a canned response: agents their own, admins all."""
    chosen = _response(request, pk)
    if not _may_change(request, chosen):
        raise PermissionDenied("Only its author or an admin may delete a canned response.")
    setup.delete_canned_response(response=chosen)
    messages.success(request, f"Deleted “{chosen.title}”.")
    return redirect("tickets:settings-canned-responses")


def _may_change(request: WorkspaceRequest, response: CannedResponse) -> bool:
    if request.membership.may(Permission.MANAGE):
        return True
    return request.membership.may(Permission.WORK) and response.created_by_id == request.user.pk


def _response(request: WorkspaceRequest, pk: UUID) -> CannedResponse:
    found: CannedResponse | None = CannedResponse.objects.for_workspace(request.workspace).filter(pk=pk).first()
    if found is None:
        raise Http404("There is no such canned response.")
    return found


# --- For the composer -------------------------------------------------------------------------


@require_safe
@member_required(Permission.WORK)
def canned_search(request: WorkspaceRequest) -> HttpResponse:
    """Canned responses that match `q` (shortcut first), filled in for `ticket`; a part of the composer's menu.

    Without htmx it is a page of links that open the ticket with the text in its composer.
    """
    try:
        ticket = base.find_ticket(request.workspace.pk, UUID(request.GET.get("ticket", "")))
    except (ValueError, DomainError) as error:
        raise Http404("There is no such ticket.") from error
    text = request.GET.get("q", "").strip().removeprefix("/")[:60]
    rows = CannedResponse.objects.for_workspace(request.workspace).order_by("-usage_count", "title", "pk")
    if text and is_text(text):
        rows = (
            rows.filter(Q(shortcut__icontains=text) | Q(title__icontains=text) | Q(content__icontains=text))
            .annotate(
                nearness=Case(
                    When(shortcut=text.lower(), then=Value(0)),
                    When(shortcut__istartswith=text, then=Value(1)),
                    When(title__icontains=text, then=Value(2)),
                    default=Value(3),
                    output_field=IntegerField(),
                )
            )
            .order_by("nearness", "-usage_count", "title", "pk")
        )
    agent_name = str(request.user)
    offered = [
        {"response": row, "text": setup.fill_canned_response(content=row.content, ticket=ticket, agent_name=agent_name)}
        for row in rows[:OFFERED]
    ]
    context = {"offered": offered, "ticket": ticket, "q": text}
    if getattr(request, "htmx", False):
        return render(request, "tickets/_canned.html", context)
    return render(request, "tickets/canned_pick.html", console(request, "all") | context)


@require_POST
@member_required(Permission.WORK)
def canned_use(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Count that a canned response was inserted."""
    setup.use_canned_response(response=_response(request, pk))
    return HttpResponse(status=204)
