"""Help articles as visitors read them. Stands in until the portal's pages of articles are there."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal.models import Article
from portal.services import portals
from portal.views.base import of_portal


@require_safe
@of_portal
def article(request: HttpRequest, portal: portals.Portal, article_slug: str) -> HttpResponse:
    """An article that is published."""
    rows = Article.objects.for_workspace(portal.workspace).filter(slug=article_slug, status="published")
    found = rows.first()
    if found is None:
        raise Http404
    return HttpResponse(found.title, content_type="text/plain; charset=utf-8")
