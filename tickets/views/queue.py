"""The queue: lists of tickets, saved views, the trash. And what every page of the console shows around its content."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from helpdesk.accounts.roles import PERMISSIONS, Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.filters import DEFAULT_SORT, VIEWS, TicketFilter, exact_total
from tickets.forms import PRIORITIES, ViewForm
from tickets.models import Ticket, View
from tickets.models.counting import queue_counts
from tickets.services import base, editing, setup

PAGE_SIZE = 50
TITLES = {"mine": "My tickets", "unassigned": "Unassigned", "all": "All tickets"}
SORTS = [
    ("-created", "Newest first"),
    ("created", "Oldest first"),
    ("-updated", "Latest change"),
    ("priority", "Priority"),
    ("deadline", "Deadline"),
]
STATUSES = [("new", "New"), ("open", "Open"), ("pending", "Pending"), ("resolved", "Resolved"), ("closed", "Closed")]
SLA_STATES = [
    ("breached", "Breached"),
    ("at_risk", "At risk"),
    ("on_track", "On track"),
    ("paused", "Paused"),
    ("met", "Met"),
]
ANY = "any"  # the console's word for a status filter that asks for nothing
# Filters whose value people type or pick, under "More filters"; the others have chips of their own.
TYPED = {
    "team": "Team",
    "tag": "Tag",
    "requester": "Requester",
    "created_from": "Created from",
    "created_to": "Created until",
    "updated_from": "Changed from",
    "updated_to": "Changed until",
}
FILTERS = ("status", "priority", "assignee", "category", "sla", *TYPED, "search", "sort")
WORKERS = [role.value for role, permissions in PERMISSIONS.items() if Permission.WORK in permissions]

# What a row shows; the description and the other long texts stay in the database.
ROW = (
    "id", "number", "subject", "requester_name", "requester_email", "status", "is_new", "priority", "created_at",
    "updated_at", "category__name", "category__color", "assignee__name", "sla",
)  # fmt: skip


# --- What every page of the console shows -----------------------------------------------------


@dataclass
class Choices:
    """What the workspace has to choose from, by kind, as (id, label) pairs."""

    agents: list[tuple[str, str]] = field(default_factory=list)
    teams: list[tuple[str, str]] = field(default_factory=list)
    categories: list[tuple[str, str]] = field(default_factory=list)  # below its parent, set in
    views: list[dict[str, Any]] = field(default_factory=list)  # id, name, query, url, is_shared, is_mine


# Written by hand because it is part of every page: building and compiling the same union of four
# querysets took as long as all other queries of the page together.
_CHOICES = """
SELECT 'category', id, name, color, parent_id FROM ticket_categories
WHERE workspace_id = %(workspace)s AND archived_at IS NULL
UNION ALL
SELECT 'agent', u.id, u.name, u.email, NULL FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id
WHERE m.workspace_id = %(workspace)s AND m.is_active AND u.is_active AND m.role = ANY(%(workers)s)
UNION ALL
SELECT 'team', id, name, '', NULL FROM accounts_team WHERE workspace_id = %(workspace)s
UNION ALL
SELECT 'view', v.id, v.name, v.query, v.owner_id FROM ticket_views v
WHERE v.workspace_id = %(workspace)s AND (
    v.owner_id = %(user)s
    OR (v.owner_id IS NULL AND v.team_id IS NULL)
    OR EXISTS (SELECT FROM accounts_team_members t WHERE t.team_id = v.team_id AND t.membership_id = %(membership)s)
)
"""


def choices_of(request: WorkspaceRequest) -> Choices:
    """Agents, teams, categories and saved views of the workspace. One query, whatever their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CHOICES,
            {
                "workspace": request.workspace.pk,
                "user": request.user.pk,
                "membership": request.membership.pk,
                "workers": WORKERS,
            },
        )
        rows = cursor.fetchall()
    made = Choices()
    categories: dict[UUID | None, list[tuple[UUID, str]]] = {}
    known: set[UUID] = set()
    for kind, pk, name, extra, parent in sorted(rows, key=lambda row: str(row[2]).casefold()):
        if kind == "category":
            categories.setdefault(parent, []).append((pk, name))
            known.add(pk)
        elif kind == "agent":
            made.agents.append((str(pk), name or extra))
        elif kind == "team":
            made.teams.append((str(pk), name))
        else:
            url = reverse("tickets:queue", args=["all"]) + (f"?{extra}" if extra else "")
            made.views.append(
                {
                    "id": pk,
                    "name": name,
                    "query": extra,
                    "url": url,
                    "is_shared": parent is None,
                    "is_mine": parent == request.user.pk,
                }
            )

    def add(parent: UUID | None, depth: int) -> None:
        for pk, name in categories.get(parent, []):
            made.categories.append((str(pk), "\u2003" * depth + name))
            add(pk, depth + 1)

    add(None, 0)
    for orphaned in [parent for parent in categories if parent is not None and parent not in known]:
        add(orphaned, 0)  # its parent was archived
    return made


def console(request: WorkspaceRequest, section: str, choices: Choices | None = None) -> dict[str, Any]:
    """The context of the console's shell: which part is marked, the sidebar, what the reader may do."""
    choices = choices or choices_of(request)
    membership = request.membership
    return {
        "section": section,
        "choices": choices,
        "sidebar": {
            **queue_counts(request.workspace.pk, request.user.pk),
            "views": choices.views,
            "workspaces": getattr(membership, "workspaces", []),
        },
        "may_work": membership.may(Permission.WORK),
        "may_manage": membership.may(Permission.MANAGE),
    }


def shell(request: WorkspaceRequest) -> dict[str, Any]:
    """Context processor: the sidebar of console pages that other apps make, looked up when it is shown."""

    def sidebar() -> dict[str, Any]:
        return console(request, "")["sidebar"] if getattr(request, "membership", None) else {}

    return {"sidebar": SimpleLazyObject(sidebar)}


# --- The list ---------------------------------------------------------------------------------


@dataclass
class Queue:
    """A list as the page shows it."""

    view: str
    title: str
    page: "Page[Any]"
    kept: str  # the query string that leads back here
    shows: str  # the time in each row: what the list is sorted by, so that it runs one way
    values: dict[str, list[str]]  # the filters that are laid on, as words
    errors: dict[str, list[str]]
    is_filtered: bool
    saved: dict[str, Any] | None
    active: list[dict[str, str]]  # chips of typed filters: label, value, and the address without it


def asked(view: str, given: QueryDict) -> dict[str, str]:
    """The filters of a view with those of an address laid over them, several values joined by commas."""
    laid: dict[str, str] = dict(VIEWS[view])
    for name in FILTERS:
        if name == "assignee" and "assignee" in VIEWS[view]:
            continue  # that is what the view is
        value = ",".join(part for part in given.getlist(name) if part.strip())
        if value:
            laid[name] = value
    if ANY in laid.get("status", "").split(","):
        del laid["status"]
    return laid


def canonical(view: str, given: QueryDict) -> str:
    """The query string of a view and its filters, as a saved view keeps it: for the view of all tickets."""
    laid = asked(view, given)
    if "status" not in laid:
        laid["status"] = ANY
    elif laid["status"] == VIEWS["all"]["status"]:
        del laid["status"]
    if laid.get("sort") == DEFAULT_SORT:
        del laid["sort"]
    return urlencode(sorted(laid.items()))


def queue_of(request: WorkspaceRequest, view: str, context: Mapping[str, Any]) -> Queue:
    """The page of a view that the address asks for. Two queries, one when the total is known."""
    given = request.GET
    laid = asked(view, given)
    found = TicketFilter(laid, workspace=request.workspace, user=request.user, now=timezone.now())
    errors = {} if found.is_valid() else {name: list(map(str, texts)) for name, texts in found.errors.items()}
    is_plain = {name: value for name, value in laid.items() if name != "sort"} == VIEWS[view]
    rows = cast(QuerySet[Any], found.qs.values_list(*ROW, named=True))
    pages = Paginator(rows, PAGE_SIZE)
    total = 0 if errors else context["sidebar"][view] if is_plain else exact_total(found)
    vars(pages)["count"] = total
    page = pages.get_page(given.get("page"))
    page.object_list = list(page.object_list) if total else []

    kept = QueryDict(mutable=True)
    kept["view"] = view
    for name in (*FILTERS, "page"):
        if values := [value for value in given.getlist(name) if value.strip()]:
            kept.setlist(name, values)
    query = canonical(view, given)
    saved = next((one for one in context["choices"].views if one["query"] == query), None) if view == "all" else None
    return Queue(
        view=view,
        title=saved["name"] if saved else TITLES[view],
        page=page,
        kept=kept.urlencode(),
        shows="updated_at" if laid.get("sort", "").endswith("updated") else "created_at",
        values={name: value.split(",") for name, value in laid.items()},
        errors=errors,
        is_filtered=not is_plain,
        saved=saved,
        active=_active(given, laid, context["choices"]),
    )


def _active(given: QueryDict, laid: Mapping[str, str], choices: Choices) -> list[dict[str, str]]:
    """The chips of the typed filters, each with the query string that takes it away."""
    chips = []
    for name, label in TYPED.items():
        if name in laid:
            rest = given.copy()
            for gone in (name, "page"):
                rest.pop(gone, None)
            value = dict(choices.teams).get(laid[name], laid[name]) if name == "team" else laid[name]
            chips.append({"name": name, "label": label, "value": value, "rest": rest.urlencode()})
    return chips


def queue_context(request: WorkspaceRequest, view: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """What `tickets/_queue.html` needs."""
    queue = queue_of(request, view, context)
    section = queue.saved["url"] if queue.saved else view
    return {
        "queue": queue,
        "section": section,
        "status_choices": STATUSES,
        "priority_choices": PRIORITIES,
        "sla_choices": SLA_STATES,
        "sort_choices": SORTS,
    }


def view_asked(request: HttpRequest) -> str:
    """Which view a ticket's page stands beside: `?view=`, else all tickets."""
    name = request.GET.get("view", "")
    return name if name in VIEWS else "all"


@require_safe
def everything(request: HttpRequest) -> HttpResponse:
    """The short address of the queue."""
    return redirect("tickets:queue", view="mine")


@require_safe
@member_required(Permission.READ)
def queue(request: WorkspaceRequest, view: str) -> HttpResponse:
    """A list of tickets: mine, unassigned, or all, with filters, order and page from the address."""
    if view not in VIEWS:
        raise Http404("There is no such view.")
    context = console(request, view)
    context |= queue_context(request, view, context)
    return render(request, "tickets/queue.html", context, status=400 if context["queue"].errors else 200)


# --- Saved views ------------------------------------------------------------------------------


@require_POST
@member_required(Permission.READ)
def save_view(request: WorkspaceRequest, view: str) -> HttpResponse:
    """Keep the filters under a name, for oneself or (admins) for everybody."""
    if view not in VIEWS:
        raise Http404("There is no such view.")
    form = ViewForm(request.POST)
    given = QueryDict(request.POST.get("query", "")[:2000])
    back = reverse("tickets:queue", args=[view]) + (f"?{given.urlencode()}" if given else "")
    if form.is_valid():
        is_shared = form.cleaned_data["shared"] and request.membership.may(Permission.MANAGE)
        try:
            made = setup.save_view(
                workspace=request.workspace,
                owner=None if is_shared else request.user,
                name=form.cleaned_data["name"],
                query=canonical(view, given),
                now=timezone.now(),
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the view “{made.name}”.")
            return redirect(reverse("tickets:queue", args=["all"]) + f"?{made.query}")
    messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
    return redirect(back)


@require_POST
@member_required(Permission.READ)
def delete_view(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Forget a saved view: one's own, or (admins) one of everybody."""
    mine = Q(owner=request.user.pk)
    if request.membership.may(Permission.MANAGE):
        mine |= Q(owner=None)
    saved = View.objects.for_workspace(request.workspace).filter(mine, pk=pk).first()
    if saved is None:
        raise Http404("There is no such view.")
    setup.delete_view(view=saved)
    messages.success(request, f"Deleted the view “{saved.name}”.")
    return redirect("tickets:queue", view="all")


# --- The trash --------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def trash(request: WorkspaceRequest) -> HttpResponse:
    """What was thrown away in the last 30 days, newest first."""
    rows = (
        Ticket.objects.for_workspace(request.workspace)
        .trashed()
        .order_by("-trashed_at", "-id")
        .values("id", "number", "subject", "requester_name", "requester_email", "trashed_at", "trashed_by__name")
    )
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {**console(request, "trash"), "page": page, "days": editing.TRASH_DAYS}
    return render(request, "tickets/trash.html", context)


@require_POST
@member_required(Permission.MANAGE)
def restore(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Take a ticket out of the trash."""
    try:
        ticket = editing.restore(
            workspace_id=request.workspace.pk, ticket_id=pk, actor=base.agent(request.membership), now=timezone.now()
        )
    except DomainError as error:
        raise Http404(error.detail) from error
    messages.success(request, f"#{ticket.number} is back.")
    return redirect("tickets:ticket", pk=ticket.pk)
