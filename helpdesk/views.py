"""Health checks, the front door and the pages for what went wrong."""

from http import HTTPStatus
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

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


def csrf_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or old: say what to do."""
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
        return render(request, f"{status}.html", {"exception": str(exception or "")}, status=status)

    return handler


bad_request, forbidden, not_found, server_error = _page(400), _page(403), _page(404), _page(500)
