"""The mail trace: what came and what became of it, what went out, and the addresses that get or send none."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.mail.models import Incoming
from tickets.mail.parsing import message as parsing
from tickets.mail.services import blocking, delivery, mailboxes, receiving, records, sending

MOST_READ = 1_000_000  # bytes of a message that are read to be shown
MOST_SHOWN = 20_000  # characters of its text

# How outcomes are said: tone, icon, words.
OUTCOMES: Mapping[str, tuple[str, str, str]] = {
    "ticket_created": ("ok", "ticket-plus", "New ticket"),
    "comment_added": ("ok", "message-square-reply", "Added to a ticket"),
    "duplicate": ("", "copy", "Duplicate"),
    "ignored": ("", "circle-slash", "Ignored"),
    "bounce": ("warn", "mail-x", "Bounce"),
    "quarantined": ("bad", "shield-alert", "In quarantine"),
    "waiting": ("accent", "hourglass", "Waiting"),
}
SENT: Mapping[str, tuple[str, str, str]] = {
    "waiting": ("accent", "hourglass", "Waiting"),
    "sent": ("ok", "check", "Sent"),
    "failed": ("bad", "circle-alert", "Failed"),
    "bounced": ("bad", "mail-x", "Bounced"),
    "held": ("warn", "hand", "Held back"),
    "cancelled": ("", "undo-2", "Taken back"),
}
_RESENDABLE = ("failed", "bounced", "held")
_GOOD, _BAD = ("ok", "check"), ("bad", "x")


# --- What came ----------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def incoming_list(request: WorkspaceRequest) -> HttpResponse:
    """What came, newest first: searched, filtered, page by page."""
    asked = _asked(request, "outcome", OUTCOMES)
    page = records.incoming(
        workspace_id=request.workspace.pk,
        query=asked["q"],
        outcome=asked["outcome"],
        mailbox_id=_id(asked["mailbox"]),
        before=request.GET.get("before", ""),
    )
    rows = [
        {"mail": mail, "outcome": OUTCOMES.get(mail.outcome or "waiting"), "reason": records.reason_words(mail.reason)}
        for mail in page.rows
    ]
    return _list(request, "mail/incoming.html", asked, page, rows, OUTCOMES)


@require_safe
@member_required(Permission.MANAGE)
def incoming(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """A message: each step of what was done with it, its headers and its text."""
    mail = _incoming(request, pk)
    context = {
        "section": "settings",
        "mail": mail,
        "outcome": OUTCOMES.get(mail.outcome or "waiting"),
        "reason": records.reason_words(mail.reason),
        "steps": [_step(step) for step in mail.trace if isinstance(step, Mapping)],
        "is_rerunnable": mail.outcome in ("quarantined", "ignored") and bool(mail.raw),
    }
    return render(request, "mail/message.html", context | _read(mail))


def _step(step: Mapping[str, Any]) -> dict[str, str]:
    """A step as it is shown: heading, words, and how it went."""
    name, result, detail = (str(step.get(key, "")) for key in ("step", "result", "detail"))
    tone, icon = "", "minus"
    if name == "result":
        tone, icon, result = OUTCOMES.get(result, ("", "flag", result))
        detail = records.reason_words(detail)
    elif name == "error" or result in ("unreadable", "too many", "refused", "left out"):
        tone, icon = _BAD
    elif name == "rule" or result in ("opened", "comment added", "note added", "follow-up", "added"):
        tone, icon = _GOOD
    elif result in ("yes", "wrong signature"):
        tone, icon = "warn", "circle-alert"
    return {
        "heading": records.step_words(name),
        "result": {"ok": "Readable"}.get(result) or (result if name == "rule" else result[:1].upper() + result[1:]),
        "detail": detail,
        "tone": tone,
        "icon": icon,
    }


def _read(mail: Incoming) -> dict[str, Any]:
    """The message as it reads: its headers and its text, or why not."""
    if not mail.raw:
        return {"unread": "The message itself is not kept any more; what was done with it is."}
    try:
        with mail.raw.open("rb") as file:
            raw = file.read(MOST_READ)
        message = parsing.read(raw, envelope_from=mail.envelope_from)
    except FileNotFoundError:
        return {"unread": "The file of this message is gone."}
    except parsing.Unreadable as unreadable:
        return {"unread": f"It cannot be read: {unreadable}"}
    text = message.text or message.html
    return {
        "message": message,
        "text": text[:MOST_SHOWN],
        "is_cut": len(text) > MOST_SHOWN or mail.size > MOST_READ,
    }


@require_POST
@member_required(Permission.MANAGE)
def incoming_rerun(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Work a message through once more that is in quarantine or was ignored."""
    mail = _incoming(request, pk)
    try:
        done = receiving.rerun(incoming=mail, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        tone, _, words = OUTCOMES.get(done.outcome or "waiting", ("", "", done.outcome))
        say = messages.success if tone == "ok" else messages.warning
        why = records.reason_words(done.reason)
        say(request, f"Run again: {words[:1].lower()}{words[1:]}.{f' {why}' if why else ''}")
    return redirect("mail:incoming", pk)


@require_POST
@member_required(Permission.MANAGE)
def incoming_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Delete a message and its trace."""
    try:
        records.delete_incoming(incoming=_incoming(request, pk))
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("mail:incoming", pk)
    messages.success(request, "Deleted the message.")
    return redirect("mail:trace")


# --- What went ----------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def outgoing_list(request: WorkspaceRequest) -> HttpResponse:
    """What was to go out, newest first."""
    asked = _asked(request, "status", SENT)
    page = records.outgoing(
        workspace_id=request.workspace.pk,
        query=asked["q"],
        status=asked["status"],
        mailbox_id=_id(asked["mailbox"]),
        before=request.GET.get("before", ""),
    )
    rows = [
        {
            "mail": mail,
            "status": SENT.get(mail.status),
            "is_resendable": mail.kind == "reply" and mail.comment_id and mail.status in _RESENDABLE,
        }
        for mail in page.rows
    ]
    return _list(request, "mail/outgoing.html", asked, page, rows, SENT)


@require_POST
@member_required(Permission.MANAGE)
def outgoing_resend(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Send an answer again whose mail failed."""
    try:
        mail = records.find_outgoing(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error
    if mail.comment is None:
        messages.error(request, "Only answers can be sent again.")
        return redirect("mail:outgoing")
    try:
        sending.resend(comment=mail.comment, member=request.membership, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"The answer on #{mail.ticket.number} is sent again.")
    return redirect("mail:outgoing")


# --- Addresses ----------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def addresses(request: WorkspaceRequest) -> HttpResponse:
    """The senders whose mail is ignored, and the addresses that mail does not reach. A POST blocks a sender."""
    error, pattern, reason = "", request.POST.get("pattern", ""), request.POST.get("reason", "")
    if request.method == "POST":
        try:
            made = blocking.block(workspace_id=request.workspace.pk, pattern=pattern, by=request.user, reason=reason)
        except DomainError as refused:
            error = refused.detail
        else:
            messages.success(request, f"Mail of {made.pattern} is ignored from now on.")
            return redirect("mail:addresses")
    workspace_id = request.workspace.pk
    context = {
        "section": "settings",
        "blocked": records.blocked(workspace_id=workspace_id, before=request.GET.get("blocked_before", "")),
        "undeliverable": records.undeliverable(workspace_id=workspace_id, before=request.GET.get("dead_before", "")),
        "pattern": pattern,
        "reason": reason,
        "error": error,
    }
    return render(request, "mail/addresses.html", context, status=400 if error else 200)


@require_POST
@member_required(Permission.MANAGE)
def unblock(request: WorkspaceRequest) -> HttpResponse:
    """Take mail of a sender again."""
    pattern = request.POST.get("pattern", "")
    if "\0" not in pattern:
        blocking.unblock(workspace_id=request.workspace.pk, pattern=pattern)
        messages.success(request, f"Mail of {pattern} is taken again.")
    return redirect("mail:addresses")


@require_POST
@member_required(Permission.MANAGE)
def reachable(request: WorkspaceRequest) -> HttpResponse:
    """Write to an address again that mail did not reach."""
    address = request.POST.get("address", "")
    if "\0" not in address:
        delivery.reachable_again(workspace_id=request.workspace.pk, address=address)
        messages.success(request, f"Mail goes to {address} again.")
    return redirect("mail:addresses")


# --- What the lists share -----------------------------------------------------------------------


def _asked(request: WorkspaceRequest, filtered: str, known: Mapping[str, Any]) -> dict[str, str]:
    """What the address asks for; a filter that is not known is none."""
    asked = {name: request.GET.get(name, "") for name in ("q", filtered, "mailbox")}
    if asked[filtered] not in known:
        asked[filtered] = ""
    if _id(asked["mailbox"]) is None:
        asked["mailbox"] = ""
    return asked


def _list(
    request: WorkspaceRequest,
    template: str,
    asked: dict[str, str],
    page: records.Page,
    rows: list[dict[str, Any]],
    known: Mapping[str, tuple[str, str, str]],
) -> HttpResponse:
    kept = {name: value for name, value in asked.items() if value}
    context = {
        "section": "settings",
        "rows": rows,
        "asked": asked,
        "is_filtered": bool(kept),
        "is_first": page.is_first,
        "options": [(word, label) for word, (_, _, label) in known.items()],
        "mailboxes": [(str(one.pk), one.address) for one in mailboxes.mailboxes(request.workspace.pk)],
        "older": urlencode({**kept, "before": page.older}) if page.older else "",
        "newest": urlencode(kept),
    }
    return render(request, template, context)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _incoming(request: WorkspaceRequest, pk: UUID) -> Incoming:
    try:
        return records.find_incoming(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error
