"""The dry run of a rule in the console: what it would have done in the last 30 days."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.automation.models import TRIGGERS, DryRun, DryRunRow, Rule
from tickets.automation.services import dry_run, setup
from tickets.views.queue import console

PAGE_SIZE = 25
PATIENCE = dt.timedelta(seconds=20)  # one that waits for longer says why it may
_BECAUSE = dict(TRIGGERS)


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def page(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Ask for a dry run (POST), or see how far the newest is and what it found; for htmx the part that changes."""
    rule = _rule(request, rule_id)
    if request.method == "POST":
        try:
            dry_run.ask(rule=rule, member=request.membership, now=timezone.now())
        except DomainError as error:  # deleted just now
            raise Http404(error.detail) from error
        return redirect("automation:dry-run", rule.pk)
    newest: DryRun | None = dry_run.of_rule(rule).first()
    context = {"rule": rule, "run": _shown(newest, rule, request) if newest else None, "days": dry_run.DAYS}
    if getattr(request, "htmx", False) and newest is not None:
        return render(request, "automation/_dry_run.html", context)
    return render(request, "automation/dry_run.html", console(request, "settings") | context)


@require_POST
@member_required(Permission.MANAGE)
def switch_on(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Switch on the rule that was tried."""
    rule = _rule(request, rule_id)
    try:
        setup.save_rule(workspace=request.workspace, rule=rule, changes={"is_active": True}, now=timezone.now())
    except DomainError as error:
        messages.error(request, f"“{rule.name}” was not switched on. {error.detail}")
    else:
        messages.success(request, f"“{rule.name}” is on: it looks at what happens from now on.")
    return redirect("automation:dry-run", rule.pk)


def _rule(request: WorkspaceRequest, rule_id: UUID) -> Rule:
    try:
        return setup.find_rule(request.workspace.pk, rule_id)
    except DomainError as error:
        raise Http404(error.detail) from error


def _shown(found: DryRun, rule: Rule, request: WorkspaceRequest) -> dict[str, Any]:
    """A dry run as its part of the page shows it."""
    shown: dict[str, Any] = {
        "row": found,
        "is_slow": found.status == "waiting" and timezone.now() - found.created_at > PATIENCE,
        "is_of_today": dry_run.is_unchanged(found, rule),
    }
    if found.status == "done":
        matched = request.GET.get("matched") != "false"
        unmatched_events = found.events - found.matched_events
        of_all = found.matched_events if matched else unmatched_events
        rows = _page(found, matched, request.GET.get("page"))
        shown |= {
            "matched": matched,
            "unmatched_events": unmatched_events,
            "page": rows,
            "answers": [_answer(row, found.asked) for row in rows],
            "of_all": of_all if of_all > rows.paginator.count else 0,
        }
    return shown


def _page(found: DryRun, matched: bool, number: str | None) -> "Page[DryRunRow]":
    rows = dry_run.rows_of(found, matched=matched).select_related("ticket")
    return Paginator(rows, PAGE_SIZE).get_page(number)


def _answer(row: DryRunRow, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ticket": row.ticket,
        "because": _because(row.trigger, asked),
        "at": row.happened_at,
        "changes": row.changes,
        "reasons": row.reasons,
    }


def _because(trigger: str, asked: Mapping[str, Any]) -> str:
    """What made the rule look, with the number that the rule has for it."""
    if trigger == "no_response":
        return f"No answer for {_hours(asked['no_response_hours'], 'business hour')}"
    if trigger == "idle":
        return f"Nobody did anything for {_hours(asked['idle_hours'], 'hour')}"
    if trigger == "customer_messages":
        return f"The customer wrote {asked['message_count']} messages in a row"
    return _BECAUSE.get(trigger, trigger)


def _hours(number: float, unit: str) -> str:
    return f"{number:g} {unit if number == 1 else unit + 's'}"
