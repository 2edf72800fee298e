"""Mailboxes in Settings, and how the workspace writes."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.forms import Choice
from tickets.mail.forms.mailbox import MailboxForm, WritingForm
from tickets.mail.models import Mailbox
from tickets.mail.services import addressing, imap, mailboxes, offers, sending

LATE = dt.timedelta(minutes=30)  # a mailbox that was not fetched for so long is not well


@require_safe
@member_required(Permission.MANAGE)
def mailbox_list(request: WorkspaceRequest) -> HttpResponse:
    """The mailboxes, each with how it fares."""
    now = timezone.now()
    rows = [{"state": state, "health": health(state.mailbox, now)} for state in mailboxes.states(request.workspace.pk)]
    return render(request, "mail/mailboxes.html", {"section": "settings", "rows": rows})


def health(mailbox: Mailbox, now: dt.datetime) -> tuple[str, str, str]:
    """How a mailbox is, at a glance: tone, icon and words."""
    if not mailbox.is_active:
        return "", "pause", "Off"
    if mailbox.fetch_failures and mailbox.fetch_error:
        return "bad", "circle-alert", "Cannot fetch"
    if mailbox.send_error:
        return "bad", "circle-alert", "Cannot send"
    if mailbox.imap_host and mailbox.fetched_at is None:
        return "warn", "hourglass", "Not fetched yet"
    if mailbox.imap_host and mailbox.fetched_at and mailbox.fetched_at < now - LATE:
        return "warn", "clock-alert", "Fetched late"
    if not mailbox.fetched_at and not mailbox.sent_at:
        return "", "circle-dashed", "Ready"
    return "ok", "circle-check", "Works"


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def mailbox(request: WorkspaceRequest, mailbox_id: UUID | None = None) -> HttpResponse:
    """Make a mailbox, or change one. `then` asks to try the way in or out once it is saved."""
    chosen = _mailbox(request, mailbox_id) if mailbox_id else None
    form = MailboxForm(request.POST if request.method == "POST" else None, mailbox=chosen, choices=_choices(request))
    if request.method == "POST" and form.is_valid():
        try:
            saved = mailboxes.save_mailbox(
                workspace=request.workspace, changes=form.changes(), mailbox=chosen, now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the mailbox {saved.address}.")
            if then := _TRIES.get(request.POST.get("then", "")):
                then(request, saved)
            if chosen is None or "then" in request.POST:
                return redirect("mail:mailbox-edit", saved.pk)
            return redirect("mail:mailboxes")
    return _page(request, form, chosen, status=400 if form.errors else 200)


def _choices(request: WorkspaceRequest) -> dict[str, list[Choice]]:
    workspace_id = request.workspace.pk
    return {
        "team_id": [("", "No team"), *offers.teams(workspace_id)],
        "category_id": [("", "No category"), *offers.categories(workspace_id)],
    }


def _page(
    request: WorkspaceRequest, form: MailboxForm, chosen: Mailbox | None, *, status: int = 200, secret: str = ""
) -> HttpResponse:
    context: dict[str, Any] = {"section": "settings", "form": form, "mailbox": chosen, "new_secret": secret}
    if chosen:
        path = reverse("mail:api-inbound", args=[chosen.pk])
        context |= {
            "forwarding_address": addressing.forwarding_address(chosen),
            "inbound_url": f"{settings.SITE_URL.rstrip('/')}{path}",
            "health": health(chosen, timezone.now()),
            "is_alone": mailboxes.alone(chosen),
        }
    return render(request, "mail/mailbox.html", context, status=status)


def _try_in(request: WorkspaceRequest, mailbox: Mailbox) -> None:
    if not mailbox.imap_host:
        messages.warning(request, "There is no server to fetch mail from yet.")
        return
    try:
        said = imap.try_mailbox(mailbox=mailbox, now=timezone.now())
    except DomainError as error:
        messages.error(request, f"Fetching does not work yet. {error.detail}")
    else:
        messages.success(request, said)


def _try_out(request: WorkspaceRequest, mailbox: Mailbox) -> None:
    if problem := sending.try_mailbox(mailbox=mailbox, to=request.user.email, now=timezone.now()):
        messages.error(request, f"Sending does not work yet. {problem}")
    else:
        messages.success(request, f"A mail to {request.user.email} was taken. Look whether it comes.")


_TRIES = {"try_in": _try_in, "try_out": _try_out}


@never_cache
@require_POST
@member_required(Permission.MANAGE)
def mailbox_secret(request: WorkspaceRequest, mailbox_id: UUID) -> HttpResponse:
    """Make the secret for mail by HTTPS, or a new one; it is shown in this answer only."""
    chosen = _mailbox(request, mailbox_id)
    secret = mailboxes.renew_secret(mailbox=chosen)
    return _page(request, MailboxForm(mailbox=chosen, choices=_choices(request)), chosen, secret=secret)


@require_POST
@member_required(Permission.MANAGE)
def mailbox_default(request: WorkspaceRequest, mailbox_id: UUID) -> HttpResponse:
    """Let answers on tickets of other channels come from this mailbox."""
    chosen = _mailbox(request, mailbox_id)
    try:
        mailboxes.make_default(mailbox=chosen)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"{chosen.address} is the default mailbox now.")
    return redirect("mail:mailboxes")


@require_POST
@member_required(Permission.MANAGE)
def mailbox_switch(request: WorkspaceRequest, mailbox_id: UUID) -> HttpResponse:
    """Switch a mailbox on or off."""
    chosen = _mailbox(request, mailbox_id)
    is_active = request.POST.get("is_active") == "1"
    mailboxes.switch_mailbox(mailbox=chosen, is_active=is_active)
    messages.success(request, f"{chosen.address} is {'on' if is_active else 'off'}.")
    return redirect("mail:mailboxes")


@require_POST
@member_required(Permission.MANAGE)
def mailbox_delete(request: WorkspaceRequest, mailbox_id: UUID) -> HttpResponse:
    """Delete a mailbox with its trace."""
    chosen = _mailbox(request, mailbox_id)
    try:
        mailboxes.delete_mailbox(mailbox=chosen)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"Deleted the mailbox {chosen.address}.")
    return redirect("mail:mailboxes")


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def writing(request: WorkspaceRequest) -> HttpResponse:
    """How the workspace writes to people."""
    form = WritingForm.of(mailboxes.writing(request.workspace.pk), request.workspace.signature)
    if request.method == "POST":
        form = WritingForm(request.POST)
        if form.is_valid():
            try:
                mailboxes.save_writing(
                    workspace=request.workspace, changes=form.changes(), by=request.membership, now=timezone.now()
                )
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, "Saved how you write.")
                return redirect("mail:writing")
    context = {"section": "settings", "form": form}
    return render(request, "mail/writing.html", context, status=400 if form.errors else 200)


def _mailbox(request: WorkspaceRequest, mailbox_id: UUID) -> Mailbox:
    try:
        return mailboxes.find_mailbox(request.workspace.pk, mailbox_id)
    except DomainError as error:
        raise Http404(error.detail) from error
