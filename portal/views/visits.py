"""Find my requests: the form that mails a link, the link, and the list of a visitor who followed it."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.errors import DomainError, NotFound
from portal.forms.visits import FindForm
from portal.models import SignInLink
from portal.services import lookups, portals, visits
from portal.views.base import again, of_portal, page, private, too_often

COOKIE_PATH = "/portal"


def visitor_of(request: HttpRequest, portal: portals.Portal) -> Contact | None:
    """Who is signed in to this portal; None for anybody else. One query, and none without the cookie."""
    link = _link_of(request, portal.workspace)
    return link.contact if link else None


def cookies_of(request: HttpRequest) -> list[str]:
    """What the browser shows of its visits, to whichever workspaces."""
    return [value for name, value in sorted(request.COOKIES.items()) if name.startswith("visit_")]


def _link_of(request: HttpRequest, workspace: Workspace) -> SignInLink | None:
    cookie = request.COOKIES.get(visits.cookie_name(workspace.pk), "")
    return visits.visitor(workspace=workspace, cookie=cookie, now=timezone.now()) if cookie else None


@private
@require_http_methods(["GET", "HEAD", "POST"])
@of_portal
def requests(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """The visitor's list. For others the form that mails the link, whose answer says the same for every address."""
    if request.method == "POST":
        return _ask(request, portal)
    link = _link_of(request, portal.workspace)
    if link is None:
        context = {"form": FindForm(), "is_signed_out": request.GET.get("signed-out") == "yes"}
        return page(request, portal, "portal/sign_in_form.html", context)
    in_work = request.GET.get("show") == "open"
    listing = visits.list_requests(contact=link.contact, in_work=in_work, page=request.GET.get("page", "1"))
    context = {"visitor": link.contact, "listing": listing, "page_obj": listing.page, "in_work": in_work}
    return page(request, portal, "portal/requests.html", context)


def _ask(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    form = FindForm(request.POST)
    wait = too_often(request, form)
    if form.is_valid():
        try:
            address = lookups.clean_address(form.cleaned_data["email"])
            language = translation.get_language() or ""
            lookups.ask_for_links(workspace=portal.workspace, address=address, language=language)
            return page(request, portal, "portal/sign_in_mailed.html", {"address": address})
        except DomainError as error:
            form.refuse(error)
            wait = getattr(error, "retry_after", None)
    return again(page(request, portal, "portal/sign_in_form.html", {"form": form}), wait)


@private
@require_safe
@of_portal
def sign_in(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """The mailed link: the browser gets a cookie for a day, and the secret leaves the address. Nothing is written."""
    now = timezone.now()
    try:
        link = visits.open_link(workspace=portal.workspace, token=request.GET.get("token", ""), now=now)
    except NotFound:
        return page(request, portal, "portal/sign_in_gone.html", {"form": FindForm()}, status=404)
    response = HttpResponseRedirect(reverse("portal:requests", args=[portal.workspace.slug]))
    response.set_cookie(
        visits.cookie_name(portal.workspace.pk),
        visits.cookie_of(link),
        max_age=visits.ends_at(link) - now,
        path=COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@private
@require_POST
@of_portal
def sign_out(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """End the visit, in every browser that used the same link."""
    link = _link_of(request, portal.workspace)
    if link is not None:
        visits.sign_out(link=link, now=timezone.now())
    response = HttpResponseRedirect(f"{reverse('portal:requests', args=[portal.workspace.slug])}?signed-out=yes")
    response.delete_cookie(visits.cookie_name(portal.workspace.pk), path=COOKIE_PATH, samesite="Lax")
    return response
