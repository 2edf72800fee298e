"""What the customers' pages share: the portal they belong to, its language, secrets in cookies, and limits."""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control

from helpdesk.api.throttles import PublicThrottle, client_address, neighbourhood
from helpdesk.errors import NotFound
from portal.forms.requests import PlainForm
from portal.services import portals
from tickets import access

COOKIE = "request_token"
# Each page has a form's token in it, so it is nobody else's; going back in the browser may show it again.
personal = cache_control(private=True, no_cache=True)
P = ParamSpec("P")


def of_portal(
    view: Callable[Concatenate[HttpRequest, portals.Portal, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]:
    """For pages of one workspace's portal, which the address names: the view gets the portal, in its language."""

    @wraps(view)
    def guarded(request: HttpRequest, /, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            portal = portals.find(slug=slug)
        except NotFound:
            raise Http404 from None
        with translation.override(language_of(request, portal)):
            return view(request, portal, *args, **kwargs)

    return guarded


def language_of(request: HttpRequest, portal: portals.Portal | None = None) -> str:
    """The language of a page: the portal's own, else what the visitor chose, else what the browser asks for."""
    if portal is not None and portal.settings.language in dict(settings.LANGUAGES):
        return portal.settings.language
    return translation.get_language_from_request(request)


def page(
    request: HttpRequest,
    portal: portals.Portal,
    template: str,
    context: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """A page of the portal, in its language; templates/portal.html says what it shows of the portal itself.

    `here` in the context is where who chooses a language comes back to, for what is shown at an address that only takes
    forms; else the page's own address.
    """
    shown = {"workspace": portal.workspace, "portal": portal, "here": request.get_full_path(), **(context or {})}
    with translation.override(language_of(request, portal)):
        return render(request, template, shown, status=status)


def private(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """For pages that a secret opens: kept nowhere, told to nobody, and one answer for whatever is not there."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        # Which portal it is comes to light with the ticket; until then the visitor's own language is spoken.
        with translation.override(language_of(request)):
            try:
                response = view(request, *args, **kwargs)
            except NotFound:
                response = render(request, "portal/not_found.html", status=404)
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex"
        return response

    return guarded


def address_of(ticket_id: UUID) -> str:
    return reverse("portal:ticket", args=[ticket_id])


def to_ticket(ticket_id: UUID, *, token: str | None = None, at: str = "", **query_of: str) -> HttpResponse:
    """To the ticket's clean address; with a token, the browser gets the cookie that opens it."""
    query = f"?{urlencode(query_of)}" if query_of else ""
    response = HttpResponseRedirect(f"{address_of(ticket_id)}{query}{at}")
    if token is not None:
        response.set_cookie(
            COOKIE,
            token,
            max_age=access.LIFETIME,
            path=address_of(ticket_id),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def network_of(request: HttpRequest) -> str:
    """Where the visitor is, as far as tokens remember it: an IPv4 address, or the /64 of an IPv6 one."""
    return neighbourhood(client_address(request))


def too_often(request: HttpRequest, form: PlainForm) -> int | None:
    """Count what this address sends; too much is refused in the form, so that nothing typed is lost."""
    throttle = PublicThrottle()
    if throttle.allow_request(cast(Any, request), cast(Any, None)):
        return None
    wait = math.ceil(throttle.wait() or 1)
    form.add_error(
        None, _("Too much was sent from your network. Please try again in %(wait)s seconds.") % {"wait": wait}
    )
    return wait


def again(page: HttpResponse, wait: int | None) -> HttpResponse:
    """The page with the form that came back."""
    page.status_code = 400 if wait is None else 429
    if wait is not None:
        page["Retry-After"] = str(wait)
    return page
