"""Pages of help articles: for everybody, without a session. Reading them changes nothing; a script reports the view."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from helpdesk.api.throttles import page_throttle
from helpdesk.errors import DomainError, NotFound
from portal.forms.reading import HelpfulForm
from portal.models import Article
from portal.services import portals, reading
from portal.views.base import again, network_of, of_portal, page, personal, too_often
from tickets.services.base import SUBJECT_LENGTH

RESULTS = 20
ON_A_PAGE = 50
PARTS = 3  # headings from which on an article shows what is in it
DESCRIPTION = 155  # characters, which is what search engines show
SAID = {"yes", "no", "comment"}


@personal
@require_safe
@of_portal
@page_throttle("reading", methods=("GET", "HEAD"))
def search(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """Articles that match `q`."""
    words = _one_line(request.GET.get("q", ""))[: reading.LONGEST_QUERY]
    found = reading.search(workspace=portal.workspace, words=words, limit=RESULTS)
    return _search_page(
        request,
        portal,
        {
            "words": words,
            "found": [one for one in found if not one.is_close],
            "close": [one for one in found if one.is_close],
            "popular": [] if found else reading.popular(portal.workspace),
            "ask_url": _ask(portal, words),
        },
    )


@personal
@require_safe
@of_portal
@page_throttle("reading", methods=("GET", "HEAD"))
def category(request: HttpRequest, portal: portals.Portal, category_slug: str) -> HttpResponse:
    """The articles of a category."""
    try:
        shown, articles = reading.find_category(portal.workspace, category_slug)
    except NotFound:
        return _gone(request, portal)
    page_obj = Paginator(articles, ON_A_PAGE).get_page(request.GET.get("page"))
    start = (page_obj.number - 1) * ON_A_PAGE
    context = {
        "category": shown,
        "articles": reading.listed(articles, start, start + ON_A_PAGE),
        "page_obj": page_obj,
        "ask_url": _ask(portal, ""),
    }
    response = page(request, portal, "portal/category.html", context)
    response["X-Robots-Tag"] = "noindex, follow"
    return response


@personal
@require_safe
@of_portal
@page_throttle("reading", methods=("GET", "HEAD"))
def article(request: HttpRequest, portal: portals.Portal, article_slug: str) -> HttpResponse:
    """An article. Drafts are not there, whoever asks."""
    try:
        shown = reading.find_article(portal.workspace, article_slug)
    except NotFound:
        return _gone(request, portal)
    said = request.GET.get("said", "")
    return _article_page(request, portal, shown, HelpfulForm(), said if said in SAID else "")


@require_POST
@of_portal
def feedback(request: HttpRequest, portal: portals.Portal, article_slug: str) -> HttpResponse:
    """A visitor says whether an article helped; after "no" they are asked what was missing."""
    try:
        shown = reading.find_article(portal.workspace, article_slug)
    except NotFound:
        return _gone(request, portal)
    form = HelpfulForm(request.POST)
    wait = too_often(request, form)
    if form.is_valid():
        given = form.cleaned_data
        try:
            reading.rate_article(
                article=shown,
                # Without a day, so that they can change it; with the article, so that nobody's reading is followed.
                visitor=_visitor(request, about=str(shown.pk)),
                is_helpful=given["helpful"] == "yes",
                comment=given["comment"] if "comment" in request.POST else None,
                now=timezone.now(),
            )
        except NotFound:
            return _gone(request, portal)
        except DomainError as error:
            form.refuse(error)
        else:
            said = "comment" if given["comment"] else given["helpful"]
            here = reverse("portal:article", args=[portal.workspace.slug, shown.slug])
            return HttpResponseRedirect(f"{here}?said={said}#helpful")
    asked = "no" if request.POST.get("helpful") == "no" else ""
    return again(_article_page(request, portal, shown, form, asked), wait)


@require_POST
@of_portal
@page_throttle("reading")
def viewed(request: HttpRequest, portal: portals.Portal, article_slug: str) -> HttpResponse:
    """A browser's script reports that somebody reads an article; counted once a day for each of them."""
    now = timezone.now()
    try:
        shown = reading.find_article(portal.workspace, article_slug)
    except NotFound:
        return HttpResponse(status=404)
    network = reading.visitor_of(network=network_of(request), agent="", about=f"{now.date()}")
    reading.count_view(article=shown, visitor=_visitor(request, about=f"{now.date()}"), network=network)
    return HttpResponse(status=204)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _visitor(request: HttpRequest, *, about: str) -> str:
    return reading.visitor_of(network=network_of(request), agent=request.headers.get("User-Agent", ""), about=about)


def _ask(portal: portals.Portal, subject: str) -> str:
    """The form for requests, with a subject in it."""
    query = f"?{urlencode({'subject': subject[:SUBJECT_LENGTH]})}" if subject else ""
    return reverse("portal:submit", args=[portal.workspace.slug]) + query


def _search_page(
    request: HttpRequest, portal: portals.Portal, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    response = page(request, portal, "portal/search.html", context, status=status)
    response["X-Robots-Tag"] = "noindex"
    return response


def _gone(request: HttpRequest, portal: portals.Portal) -> HttpResponse:
    """Nothing is published at this address: say so, and offer the search."""
    context = {"is_gone": True, "popular": reading.popular(portal.workspace), "ask_url": _ask(portal, "")}
    if request.method == "POST":
        context["here"] = reverse("portal:search", args=[portal.workspace.slug])
    return _search_page(request, portal, context, status=404)


def _article_page(
    request: HttpRequest, portal: portals.Portal, shown: Article, form: HelpfulForm, said: str
) -> HttpResponse:
    text_html, parts = reading.laid_out(shown.body_html)
    here = reverse("portal:article", args=[portal.workspace.slug, shown.slug])
    context = {
        "article": shown,
        "text_html": text_html,
        "parts": parts if len(parts) >= PARTS else [],
        "description": reading.beginning(reading.plain(shown.body_html[:2000]), DESCRIPTION),
        "canonical": f"{settings.SITE_URL}{here}",
        "related": reading.related(shown),
        "form": form,
        "said": said,
        "ask_url": _ask(portal, shown.title),
    }
    if request.method == "POST":
        context["here"] = here
    return page(request, portal, "portal/article.html", context)
