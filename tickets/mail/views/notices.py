"""What a member wants to hear by mail, and whom one can mention."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.mail.forms.messages import NoticesForm
from tickets.mail.services import mentionable
from tickets.mail.services import preferences as services


@require_http_methods(["GET", "POST"])
@member_required(Permission.READ)
def preferences(request: WorkspaceRequest) -> HttpResponse:
    """The mails that the reader gets from this workspace."""
    kept = services.preferences_of(request.membership)
    if request.method == "POST":
        form = NoticesForm(request.POST)
        if form.is_valid():
            try:
                services.save_preferences(membership=request.membership, wanted=form.wanted(), now=timezone.now())
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, "Saved.")
                return redirect("mail:notices")
    else:
        form = NoticesForm(initial={topic: getattr(kept, topic) for topic in services.TOPICS})
    context = {"form": form, "section": "notices"}
    return render(request, "mail/notices.html", context, status=400 if form.errors else 200)


@require_safe
@member_required(Permission.NOTE)
def mentions(request: WorkspaceRequest) -> HttpResponse:
    """The members that `?q=` may mean, as options of the list below an @ in the composer."""
    found = mentionable.mentionable(workspace_id=request.workspace.pk, text=request.GET.get("q", ""))
    return render(request, "mail/_mentions.html", {"found": found})
