"""Parsing rules in Settings: the list, the form of one, and what they would do with a message."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.mail.forms import rule as forms
from tickets.mail.models import Mailbox, ParsingRule
from tickets.mail.parsing import message as parsing
from tickets.mail.services import mailboxes, offers, records, rules

RECENT = 30  # received messages that are offered to be tried
MOST_TRIED = 1_000_000  # bytes of a message that is tried


@require_safe
@member_required(Permission.MANAGE)
def rule_list(request: WorkspaceRequest) -> HttpResponse:
    """The rules in the order in which they are asked, each as a sentence."""
    names, fields = _names(request), offers.fields(request.workspace.pk)
    rows = [
        {"rule": rule, "when": rules.when_words(rule), "then": rules.then_words(rule, names, fields)}
        for rule in rules.rules(request.workspace.pk)
    ]
    return render(request, "mail/rules.html", {"section": "settings", "rows": rows})


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def rule(request: WorkspaceRequest, rule_id: UUID | None = None) -> HttpResponse:
    """Make a rule, or change one. A POST with `change` draws the form anew and saves nothing."""
    chosen = _rule(request, rule_id) if rule_id else None
    if request.method != "POST":
        return _form(request, forms.draft_of(chosen), chosen)
    draft = forms.read(dict(request.POST.lists()))
    if "change" in request.POST:
        draft.change(request.POST["change"])
        return _form(request, draft, chosen)
    try:
        saved = rules.save_rule(workspace=request.workspace, changes=draft.changes(), rule=chosen, now=timezone.now())
    except DomainError as error:
        draft.refuse(error)
        return _form(request, draft, chosen, status=400)
    messages.success(request, f"Saved the parsing rule “{saved.name}”.")
    return redirect("mail:rules")


def _form(
    request: WorkspaceRequest, draft: forms.RuleDraft, chosen: ParsingRule | None, status: int = 200
) -> HttpResponse:
    workspace_id = request.workspace.pk
    draft.offer(
        {
            "mailboxes": [(str(one.pk), one.address) for one in mailboxes.mailboxes(workspace_id)],
            "categories": offers.categories(workspace_id),
            "teams": offers.teams(workspace_id),
            "agents": offers.agents(workspace_id),
            "fields": [(f"{rules.CUSTOM}{key}", label) for key, label in offers.fields(workspace_id).items()],
        }
    )
    return render(request, "mail/rule.html", {"section": "settings", "draft": draft, "rule": chosen}, status=status)


@require_POST
@member_required(Permission.MANAGE)
def rule_move(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Ask a rule one place earlier or later."""
    rules.move_rule(rule=_rule(request, rule_id), up=request.POST.get("direction") == "up")
    return redirect("mail:rules")


@require_POST
@member_required(Permission.MANAGE)
def rule_switch(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Switch a rule on or off."""
    chosen = _rule(request, rule_id)
    changes = {"is_active": request.POST.get("is_active") == "1"}
    rules.save_rule(workspace=request.workspace, changes=changes, rule=chosen, now=timezone.now())
    return redirect("mail:rules")


@require_POST
@member_required(Permission.MANAGE)
def rule_delete(request: WorkspaceRequest, rule_id: UUID) -> HttpResponse:
    """Delete a rule."""
    chosen = _rule(request, rule_id)
    rules.delete_rule(rule=chosen)
    messages.success(request, f"Deleted the parsing rule “{chosen.name}”.")
    return redirect("mail:rules")


# --- Try it -------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def rules_try(request: WorkspaceRequest) -> HttpResponse:
    """What the rules would do with a message that is pasted, or one that came. Writes nothing."""
    context: dict[str, Any] = {"section": "settings"}
    boxes = mailboxes.mailboxes(request.workspace.pk)
    recent = records.incoming(workspace_id=request.workspace.pk).rows[:RECENT]
    context |= {"mailboxes": boxes, "recent": recent, "raw": "", "asked": "", "chosen": "", "error": ""}
    status = 200
    if request.method == "POST":
        # Browsers send line ends as CRLF, which is what a mail has.
        context |= {"raw": request.POST.get("raw", ""), "asked": request.POST.get("message", "")}
        context["chosen"] = request.POST.get("mailbox", "")
        context |= _tried(request, boxes, recent, context)
        status = 400 if context["error"] else 200
    elif asked := request.GET.get("message"):
        context["asked"] = asked
    return render(request, "mail/rules_try.html", context, status=status)


def _tried(
    request: WorkspaceRequest, boxes: Sequence[Mailbox], recent: Sequence[Any], context: dict[str, Any]
) -> dict[str, Any]:
    """What came of a try: `tried` with the message and what the rules say, or an `error`."""
    envelope = ""
    mailbox = next((one for one in boxes if str(one.pk) == context["chosen"]), boxes[0] if boxes else None)
    if context["raw"].strip():
        raw = context["raw"].lstrip().encode("utf-8", "replace")
    elif context["asked"]:
        incoming = next((one for one in recent if str(one.pk) == context["asked"]), None)
        if incoming is None:
            incoming = _incoming(request, context["asked"])
        if not incoming.raw:
            return {"error": "The message itself is not kept any more. Paste it instead."}
        try:
            with incoming.raw.open("rb") as file:
                raw = file.read(MOST_TRIED)
        except FileNotFoundError:
            return {"error": "The message itself is not kept any more. Paste it instead."}
        mailbox, envelope = incoming.mailbox, incoming.envelope_to
    else:
        return {"error": "Paste a message, or choose one that came."}
    if mailbox is None:
        return {"error": "Add a mailbox first: rules are asked for mail that comes to one."}
    try:
        message = parsing.read(raw[:MOST_TRIED])
    except parsing.Unreadable as unreadable:
        return {"error": f"This cannot be read as a mail: {unreadable}"}
    decision = rules.decide(mailbox=mailbox, message=message, envelope_to=envelope)
    names, fields = _names(request), offers.fields(request.workspace.pk)
    said = rules.decision_words(decision, names, fields)
    return {"tried": {"message": message, "decision": decision, "said": said, "mailbox": mailbox}}


def _incoming(request: WorkspaceRequest, asked: str) -> Any:
    try:
        return records.find_incoming(request.workspace.pk, UUID(asked))
    except (DomainError, ValueError) as error:
        raise Http404("There is no such message.") from error


# --- Of the workspace ---------------------------------------------------------------------------


def _names(request: WorkspaceRequest) -> dict[str, str]:
    """What categories, teams and agents are called, by id. Three queries."""
    workspace_id = request.workspace.pk
    return offers.names(offers.categories(workspace_id), offers.teams(workspace_id), offers.agents(workspace_id))


def _rule(request: WorkspaceRequest, rule_id: UUID) -> ParsingRule:
    try:
        return rules.find_rule(request.workspace.pk, rule_id)
    except DomainError as error:
        raise Http404(error.detail) from error
