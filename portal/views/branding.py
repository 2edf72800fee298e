"""What gives a portal its looks: a small style sheet and the logo. Their addresses change with them."""

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from portal import branding
from portal.services import portals
from portal.views.base import of_portal

FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=300"


@require_safe
@of_portal
def brand(request: HttpRequest, portal: portals.Portal) -> HttpResponseBase:
    """The custom properties that the workspace's accent sets; an empty sheet where it has none."""
    accent = portal.settings.accent
    response = HttpResponse(branding.style_sheet(accent) if accent else "", content_type="text/css; charset=utf-8")
    return _kept(request, response, portal.brand_version)


@require_safe
@of_portal
def logo(request: HttpRequest, portal: portals.Portal) -> HttpResponseBase:
    """The workspace's logo, as the picture that it was recognised as and as nothing else."""
    if not portal.settings.logo:
        raise Http404
    try:
        content = portal.settings.logo.open("rb")
    except FileNotFoundError:
        raise Http404 from None
    response = FileResponse(content, content_type=portal.settings.logo_type)
    response["Content-Disposition"] = "inline"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return _kept(request, response, portal.logo_version)


def _kept(request: HttpRequest, response: HttpResponseBase, version: str) -> HttpResponseBase:
    """An address that carries the present version never shows anything else, so browsers need not ask again."""
    response["Cache-Control"] = FOR_EVER if version and request.GET.get("v") == version else BRIEFLY
    return response
