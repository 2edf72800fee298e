"""Health checks, the front door and the pages for what went wrong."""

import ipaddress
from http import HTTPStatus
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace, csp_update
from django.conf import settings
from django.core.cache import cache
from django.core.paginator import Paginator
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from helpdesk import mail_files
from helpdesk.api.errors import CONTENT_TYPE, NOTHING_HERE, problem_body
from helpdesk.celery import app as celery_app
from helpdesk.tasks import WORKER_SEEN


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return True
    except DatabaseError:
        return False


def _broker_answers() -> bool:
    try:
        with celery_app.connection_for_write(connect_timeout=1) as broker:
            broker.ensure_connection(max_retries=1, timeout=1)
        return True
    except (KombuError, OperationalError, RedisError, OSError):
        return False


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Everything that a request or its after-work needs: database, broker, a worker seen in the last minute."""
    seen = cache.get(WORKER_SEEN)
    checks = {
        "database": "ok" if _database_answers() else "away",
        "broker": "ok" if _broker_answers() else "away",
        "worker": "ok" if seen else "not seen in the last minute",
    }
    ready = all(state == "ok" for state in checks.values())
    return JsonResponse(
        {"status": "ok" if ready else "not ready", "checks": checks, "worker_seen_at": seen},
        status=200 if ready else 503,
    )


def front_door(request: HttpRequest) -> HttpResponse:
    """Agents start at their own tickets."""
    return redirect("tickets:queue", view="mine")


# --- The demo's mail --------------------------------------------------------------------------

LETTERS_ON_A_PAGE = 50


def _only_here(request: HttpRequest) -> None:
    """Raise Http404 unless this is the demo and the caller sits at this machine, with no proxy between."""
    try:
        is_here = ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        is_here = False
    forwarded = "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META
    if settings.ENVIRONMENT != "demo" or not is_here or forwarded:
        raise Http404


@require_safe
def dev_mail(request: HttpRequest) -> HttpResponse:
    """The mails that the demo wrote instead of sending them, newest first."""
    _only_here(request)
    page = Paginator(mail_files.names(), LETTERS_ON_A_PAGE).get_page(request.GET.get("page"))
    letters = mail_files.lines(list(page.object_list))
    return render(request, "dev/mail.html", {"page_obj": page, "letters": letters, "folder": mail_files.folder()})


@require_safe
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # it takes views with arguments, too
def dev_mail_letter(request: HttpRequest, name: str) -> HttpResponse:
    """One of them."""
    _only_here(request)
    letter = mail_files.read(name)
    if letter is None:
        raise Http404
    return render(request, "dev/letter.html", {"letter": letter})


@require_safe
@xframe_options_sameorigin
@csp_replace(  # type: ignore[arg-type]
    {
        **{f"{kind}-src": [NONE] for kind in ("default", "script", "font", "connect", "manifest")},
        "form-action": [NONE],
        "style-src": [UNSAFE_INLINE],  # mails carry their styles in attributes
        "img-src": ["data:"],
        "frame-ancestors": [SELF],
        "sandbox": ["allow-popups", "allow-popups-to-escape-sandbox"],
    }
)
def dev_mail_html(request: HttpRequest, name: str) -> HttpResponse:
    """The HTML of a mail for the frame in its page: no script runs, nothing is loaded, links open a new window."""
    _only_here(request)
    letter = mail_files.read(name)
    if letter is None or not letter.html:
        raise Http404
    return HttpResponse(f'<base target="_blank">{letter.html}')


@require_safe
def dev_mail_raw(request: HttpRequest, name: str) -> HttpResponse:
    """The file of a mail."""
    _only_here(request)
    content = mail_files.raw(name)
    if content is None:
        raise Http404
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type="message/rfc822", headers=disposition)


def csrf_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or old: say what to do."""
    if _is_for_customers(request):
        return _to_customers(request, 403)
    return render(
        request,
        "403.html",
        {"exception": "This page was open for too long. Go back, reload it and try again."},
        status=403,
    )


def _page(status: int) -> Any:
    def handler(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        if request.path.startswith("/api/") or request.path == "/api":
            title = HTTPStatus(status).phrase
            detail = {404: NOTHING_HERE}.get(status, title)
            body = problem_body(status, detail, code=title.lower().replace(" ", "_"))
            return JsonResponse(body, status=status, content_type=CONTENT_TYPE)
        if status != 500 and _is_for_customers(request):  # what broke may break the portal's shell, too
            return _to_customers(request, status)
        return render(request, f"{status}.html", {"exception": str(exception or "")}, status=status)

    return handler


def _is_for_customers(request: HttpRequest) -> bool:
    return request.path.startswith("/portal/")


def _to_customers(request: HttpRequest, status: int) -> HttpResponse:
    """What went wrong, in the customer's language and words: nothing of workspaces and roles."""
    with translation.override(translation.get_language_from_request(request)):
        return render(request, "portal/problem.html", {"status": status}, status=status)


bad_request, forbidden, not_found, server_error = _page(400), _page(403), _page(404), _page(500)
