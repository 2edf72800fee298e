"""The portal's front door, the language it is read in, and what is offered while somebody types."""

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from helpdesk.api.throttles import page_throttle
from portal.services import portals, reading, suggestions
from portal.views.base import of_portal, page, personal
from portal.views.visits import visitor_of


@personal
@require_safe
@of_portal
@page_throttle("reading", methods=("GET", "HEAD"))
def home(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """Search, help articles, and the two doors: send a request, find mine."""
    shelves = reading.shelves(portal.workspace)
    popular = reading.popular(portal.workspace) if shelves else []
    return page(request, portal, "portal/home.html", {"shelves": shelves, "popular": popular})


@never_cache
@require_safe
@of_portal
@page_throttle("reading", methods=("GET", "HEAD"))
def suggest(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """What may answer a request whose subject is being typed: a part of the page with the form."""
    words = request.GET.get("q", "")
    found = suggestions.for_words(portal=portal, words=words, visitor=visitor_of(request, portal))
    return page(request, portal, "portal/_suggestions.html", {"suggestions": found})


@require_POST
@of_portal
def language(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """Remember in which language the visitor reads, and go back to the page they came from."""
    chosen = request.POST.get("language", "")
    if chosen not in dict(settings.LANGUAGES):
        raise BadRequest("language: there is no such language.")
    back = request.POST.get("next", "")
    if not back.startswith("/") or not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("portal:home", args=[portal.workspace.slug])
    response = HttpResponseRedirect(back)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        chosen,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=settings.LANGUAGE_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response
