"""Rules in the console: the list of sentences, the builder, and what rules did."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Lower
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from helpdesk.accounts.models import Membership, Organization
from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.automation import forms
from tickets.automation.forms import Draft, Offers
from tickets.automation.levels import service_levels
from tickets.automation.models import Rule, Run, Waiting
from tickets.automation.services import setup, wording
from tickets.markup import is_text
from tickets.models import CannedResponse, Tag
from tickets.views.ordering import moved
from tickets.views.queue import console, view_asked
from tickets.views.ticket import found, kept_query

PAGE_SIZE = 25
COUNTED = dt.timedelta(days=7)  # the list says how often a rule ran in this time
SUGGESTED = 500  # organisations, canned responses and tags that are offered by name
STARTERS = [
    ("share", "users-round", "Share new tickets fairly", "Each goes to the least busy agent who is available."),
    ("urgent", "siren", "Urgent words come first", "Outages and the like get their priority and a tag."),
    ("late", "timer", "Escalate what is about to be late", "Before an SLA target is missed, not after."),
]

# --- The list ---------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def rules(request: WorkspaceRequest) -> HttpResponse:
    """The rules in the order in which they are asked, each as a sentence."""
    return render(request, "automation/rules.html", console(request, "settings") | _list(request))


def _list(request: WorkspaceRequest, focus: str = "") -> dict[str, Any]:
    """The rules with their sentences and how often each ran. Two queries, one more where policies are named."""
    now = timezone.now()
    runs = Run.objects.for_workspace(request.workspace).filter(rule=OuterRef("pk"))
    lately = runs.filter(ran_at__gt=now - COUNTED).order_by().values("rule").annotate(n=Count("pk")).values("n")
    rows = list(
        Rule.objects.for_workspace(request.workspace)
        .filter(archived_at=None)
        .annotate(
            ran=Coalesce(Subquery(lately), 0), last_ran_at=Subquery(runs.order_by("-ran_at").values("ran_at")[:1])
        )
        .order_by("position", "created_at", "pk")
    )
    names = wording.names_of(request.workspace.pk, *((rule.conditions, rule.actions) for rule in rows))
    return {
        "rows": [
            {
                "rule": rule,
                "sentence": wording.sentence_of(rule, names),
                "focus": focus.removesuffix(f"-{rule.pk}") if focus.endswith(str(rule.pk)) else "",
            }
            for rule in rows
        ],
        "starters": STARTERS,
    }


def _changed_list(request: WorkspaceRequest, focus: str, refused: str = "") -> HttpResponse:
    """The list after a change: the part alone for htmx, else the way back to it. The focus stays where it was."""
    if getattr(request, "htmx", False):
        answer = render(request, "automation/_rules.html", _list(request, focus))
        return trigger_client_event(answer, "toast", {"message": refused, "tone": "bad"}) if refused else answer
    if refused:
        messages.error(request, refused)
    return redirect(reverse("automation:rules") + (f"#{focus}" if focus else ""))


@require_POST
@member_required(Permission.MANAGE)
def rule_move(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Ask a rule one place earlier or later."""
    chosen = _rule(request, rule_id)
    rows = [rule.pk for rule in setup.rules(request.workspace.pk)]
    order, direction = moved(rows, chosen.pk, request.POST.get("direction", ""))
    refused = ""
    if order is not None:
        try:
            setup.order_rules(workspace=request.workspace, rule_ids=order, now=timezone.now())
        except DomainError:
            refused = CHANGED_MEANWHILE
    return _changed_list(request, f"{direction}-{chosen.pk}", refused)


CHANGED_MEANWHILE = "Somebody else has just added or deleted a rule. This is the list as it is now."


@require_POST
@member_required(Permission.MANAGE)
def rules_order(request: WorkspaceRequest) -> HttpResponse:
    """Put the rules into the order in which somebody has dragged them."""
    try:
        wanted = [UUID(one) for one in request.POST.getlist("rule_ids")]
        setup.order_rules(workspace=request.workspace, rule_ids=wanted, now=timezone.now())
    except (DomainError, ValueError):
        return _changed_list(request, "", CHANGED_MEANWHILE)
    return _changed_list(request, "")


@require_POST
@member_required(Permission.MANAGE)
def rule_switch(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Switch a rule on or off."""
    chosen = _rule(request, rule_id)
    is_active = request.POST.get("is_active") == "1"
    try:
        setup.save_rule(workspace=request.workspace, changes={"is_active": is_active}, rule=chosen, now=timezone.now())
    except DomainError as error:
        return _changed_list(request, f"switch-{chosen.pk}", error.detail)
    return _changed_list(request, f"switch-{chosen.pk}")


@require_POST
@member_required(Permission.MANAGE)
def rule_delete(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Archive a rule."""
    chosen = _rule(request, rule_id)
    setup.delete_rule(rule=chosen, now=timezone.now())
    messages.success(request, f"Deleted the rule “{chosen.name}”.")
    return redirect("automation:rules")


def _rule(request: WorkspaceRequest, rule_id: UUID) -> Rule:
    try:
        return setup.find_rule(request.workspace.pk, rule_id)
    except DomainError as error:
        raise Http404(error.detail) from error


# --- The builder ------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def rule(request: WorkspaceRequest, rule_id: UUID | None = None) -> HttpResponse:
    """Make a rule, or change one. A POST with `change` draws the form anew and saves nothing."""
    chosen = _rule(request, rule_id) if rule_id else None
    if request.method != "POST":
        draft = forms.draft_of(chosen) if chosen else forms.starter(request.GET.get("start", ""))
        draft.focus = "" if draft.name else "name"
        return _builder(request, draft, chosen)
    draft = forms.read(dict(request.POST.lists()))
    _add_organizations(request, draft)
    if "change" in request.POST:
        draft.change(request.POST["change"])
        return _builder(request, draft, chosen)
    changes = draft.changes(chosen)
    if not draft.is_refused:
        try:
            saved = setup.save_rule(workspace=request.workspace, changes=changes, rule=chosen, now=timezone.now())
        except DomainError as error:
            draft.refuse(error)
        else:
            messages.success(request, f"Saved the rule “{saved.name}”.")
            if request.POST.get("then_do") == "try":
                return redirect("automation:dry-run", saved.pk)
            return redirect("automation:rules")
    draft.focus = draft.first_wrong
    return _builder(request, draft, chosen, status=400)


def _builder(request: WorkspaceRequest, draft: Draft, chosen: Rule | None, status: int = 200) -> HttpResponse:
    """The page of the form; for htmx the form alone, which is what changes."""
    context = console(request, "settings")
    names = wording.names_of(request.workspace.pk, draft.conditions, draft.actions)
    draft.offer(offers_of(request, context["choices"], names))
    organizations: list[str] = []
    if any(test.field == "organization" for test in draft.tests):
        rows = Organization.objects.for_workspace(request.workspace).order_by("name")
        organizations = list(rows.values_list("name", flat=True)[:SUGGESTED])
    context |= {
        "draft": draft,
        "rule": chosen,
        "sentence": wording.sentence_of(draft, names),
        "organizations": organizations,
    }
    template = "automation/_rule_form.html" if getattr(request, "htmx", False) else "automation/rule.html"
    return render(request, template, context, status=status)


def offers_of(request: WorkspaceRequest, choices: Any, names: dict[str, str]) -> Offers:
    """What conditions and actions can choose from."""
    workspace = request.workspace
    members = Membership.objects.for_workspace(workspace).filter(is_active=True, user__is_active=True)
    people = members.order_by("user__name", "pk").values_list("user_id", "user__name", "user__email")
    tags = Tag.objects.for_workspace(workspace).order_by("name").values_list("name", flat=True)[:SUGGESTED]
    responses = CannedResponse.objects.for_workspace(workspace).order_by("title", "pk").values_list("pk", "title")
    return Offers(
        categories=choices.categories,
        teams=choices.teams,
        agents=choices.agents,
        members=[(str(pk), name or email) for pk, name, email in people],
        tags=[(name, name) for name in tags],
        policies=[(str(pk), name) for pk, name in service_levels().policies(workspace.pk)],
        responses=[(str(pk), title) for pk, title in responses[:SUGGESTED]],
        names=names,
    )


def _add_organizations(request: WorkspaceRequest, draft: Draft) -> None:
    """Put the organisations whose names were written among the values; one query where there are any."""
    asked = [test for test in draft.tests if test.field == "organization" and test.typed]
    if not asked:
        return
    wanted = [test.typed.lower() for test in asked if is_text(test.typed)]
    rows = Organization.objects.for_workspace(request.workspace).annotate(folded=Lower("name"))
    known = {name: str(pk) for pk, name in rows.filter(folded__in=wanted).values_list("pk", "folded")}
    for test in asked:
        if pk := known.get(test.typed.lower()):
            test.values = list(dict.fromkeys([*test.values, pk]))
            test.typed = ""
        else:
            test.errors["add"] = [f"There is no organisation called “{test.typed}”."]


# --- Logs -------------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def rule_log(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """What a rule did, to which tickets, and why."""
    chosen = _rule(request, rule_id)
    rows = Run.objects.for_workspace(request.workspace).filter(rule=chosen)
    names = wording.names_of(request.workspace.pk, chosen.conditions, chosen.actions)
    context = console(request, "settings") | {"rule": chosen, "sentence": wording.sentence_of(chosen, names)}
    return render(request, "automation/log.html", context | _page_of(request, rows))


@require_safe
@member_required(Permission.READ)
def why(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """What rules did to a ticket and why, newest first: why was this assigned?"""
    ticket = found(request, pk)
    rows = Run.objects.for_workspace(request.workspace).filter(ticket=ticket)
    waiting = Waiting.objects.for_workspace(request.workspace).filter(ticket=ticket).select_related("team")
    context = console(request, view_asked(request)) | {
        "ticket": ticket,
        "waiting": waiting.first(),
        "kept": kept_query(request),
    }
    return render(request, "automation/why.html", context | _page_of(request, rows))


def _page_of(request: WorkspaceRequest, rows: QuerySet[Run]) -> dict[str, Any]:
    """A page of runs, newest first, with names in the place of ids. Three queries."""
    wanted = rows.order_by("-ran_at", "-pk").values(
        "pk", "trigger", "reasons", "done", "ran_at", "ticket_id", "rule_id",
        number=F("ticket__number"), subject=F("ticket__subject"), is_trashed=F("ticket__trashed_at"),
        rule_name=F("rule__name"), is_deleted=F("rule__archived_at"),
    )  # fmt: skip
    page = Paginator(wanted, PAGE_SIZE).get_page(request.GET.get("page"))
    runs: list[Any] = list(page.object_list)
    names = wording.names_of(request.workspace.pk, *((run["reasons"], run["done"]) for run in runs))
    for run in runs:
        run["because"] = wording.happened(run["trigger"])
        run["reasons"] = [wording.reason_words(text, names) for text in run["reasons"]]
        run["done"] = [one | {"text": wording.named(one["text"], names)} for one in run["done"]]
    page.object_list = runs
    return {"page_obj": page}
