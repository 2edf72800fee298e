"""Settings → Portal in the console."""

from typing import Any

from django.conf import settings as configured
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError, InvalidInput
from portal import branding
from portal.forms.settings import PortalSettingsForm
from portal.services import portals


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Permission.MANAGE)
def settings(request: WorkspaceRequest) -> HttpResponse:
    """How the portal looks, what it speaks, and who may use it from where."""
    portal = portals.of(request.workspace)
    form = PortalSettingsForm.of(portal.settings)
    if request.method == "POST":
        form = PortalSettingsForm(request.POST, request.FILES)
        if form.is_valid():
            try:
                portals.change_settings(
                    workspace=request.workspace, by=request.membership, changes=form.changes(), now=timezone.now()
                )
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, "The portal is saved.")
                return redirect("portal:settings")
    typed = str(form["accent"].value() or "")
    address = configured.SITE_URL + reverse("portal:home", args=[request.workspace.slug])
    context = {"section": "settings", "form": form, "portal": portal, "portal_address": address, **_shown(typed)}
    return render(request, "portal/settings.html", context, status=400 if form.errors else 200)


@require_safe
@member_required(Permission.MANAGE)
def preview(request: WorkspaceRequest) -> HttpResponse:
    """How a colour comes out, while it is being chosen: a part of the page above."""
    return render(request, "portal/_settings_accent.html", _shown(request.GET.get("accent", "")))


def _shown(typed: str) -> dict[str, Any]:
    """The shades of a colour that was typed; those of ours where it is none."""
    try:
        accent = portals.colour(typed)
    except InvalidInput:
        return {"accent": ""}
    if not accent:
        return {"accent": ""}
    themes = [("Light", branding.light_shades(accent)), ("Dark", branding.dark_shades(accent))]
    return {"accent": accent, "themes": themes, "is_changed": branding.is_changed(accent)}
