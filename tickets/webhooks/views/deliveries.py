"""The log of an endpoint, and the page of a message: what was sent, each attempt, and what came back."""

import datetime as dt
import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Delivery, Endpoint
from tickets.webhooks.services import deliveries, endpoints, pages
from tickets.webhooks.views import words

MOST_SHOWN = 10_000  # characters of an answer; the sender keeps no more
SOON = dt.timedelta(minutes=1)  # a message whose turn comes within it is watched
SLOW = dt.timedelta(seconds=10)  # after so long it is said that nobody has begun
SECONDS, SECONDS_WHEN_SLOW = 1, 10  # between two looks at a message that waits


@require_safe
@member_required(Permission.MANAGE)
def delivery_list(request: WorkspaceRequest, endpoint_id: UUID) -> HttpResponse:
    """The log of an endpoint, newest first, by status and event, page by page."""
    chosen = _endpoint(request, endpoint_id)
    asked = {name: request.GET.get(name, "") for name in ("status", "event")}
    if asked["status"] not in words.STATUSES:
        asked["status"] = ""
    if asked["event"] not in payloads.CATALOGUE:
        asked["event"] = ""
    page = pages.log(chosen, **asked, before=request.GET.get("before", ""))
    now = timezone.now()
    kept = {name: value for name, value in asked.items() if value}
    context = {
        **_about(chosen),
        "rows": [{"delivery": row, "status": words.STATUSES[row.status], **_turn(row, now)} for row in page.rows],
        "asked": asked,
        "is_filtered": bool(kept),
        "is_first": page.is_first,
        "statuses": [(word, label) for word, (_, _, label) in words.STATUSES.items()],
        "events": list(payloads.CATALOGUE),
        "older": urlencode({**kept, "before": page.older}) if page.older else "",
        "newest": urlencode(kept),
        "tab": "deliveries",
    }
    return render(request, "webhooks/deliveries.html", context)


@require_safe
@member_required(Permission.MANAGE)
def delivery(request: WorkspaceRequest, endpoint_id: UUID, pk: UUID) -> HttpResponse:
    """A message: what is sent, and every attempt. While its turn is near the page asks for itself again."""
    chosen = _endpoint(request, endpoint_id)
    row = _delivery(chosen, pk)
    found, has_more = pages.tries(row)
    context = {
        **_about(chosen),
        "delivery": row,
        "status": words.STATUSES[row.status],
        "tries": [_try(attempt) for attempt in found],
        "has_more_tries": has_more,
        "sent_headers": sorted(found[0].request_headers.items()) if found else [],
        "sent_to": found[0].url if found else chosen.url,
        "pretty": _pretty(row.body),
        "size": len(row.body.encode()),
        "may_replay": chosen.is_active or row.is_test,
        **_turn(row, timezone.now()),
    }
    return render(request, "webhooks/delivery.html", context)


def _turn(row: Delivery, now: dt.datetime) -> dict[str, Any]:
    """When a message is tried: whether its turn is now or near, is overdue, and after how long to look again."""
    if row.status != "waiting" or row.next_at is None:
        return {"is_now": False, "is_slow": False, "ask_again": 0}
    is_near = not row.attempts or row.next_at <= now + SOON
    is_slow = not row.attempts and row.next_at < now - SLOW
    return {
        "is_now": not row.attempts or row.next_at <= now,
        "is_slow": is_slow,
        "ask_again": (SECONDS_WHEN_SLOW if is_slow else SECONDS) if is_near else 0,
    }


def _try(attempt: Attempt) -> dict[str, Any]:
    is_good = attempt.code is not None and 200 <= attempt.code < 300
    return {
        "attempt": attempt,
        "is_good": is_good,
        "code": words.code(attempt.code),
        "headers": sorted(attempt.response_headers.items()),
        "body": attempt.response_body[:MOST_SHOWN],
        "is_cut": len(attempt.response_body) >= MOST_SHOWN,
        "error": "" if attempt.error == f"The answer was {attempt.code}." else attempt.error,  # said by the code
    }


def _pretty(body: str) -> str:
    """JSON with its lines and indents; any other text as it is."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        return body


@require_POST
@member_required(Permission.MANAGE)
def replay(request: WorkspaceRequest, endpoint_id: UUID, pk: UUID) -> HttpResponse:
    """Send a message once more, unchanged and under its id."""
    chosen = _endpoint(request, endpoint_id)
    try:
        deliveries.replay(delivery=_delivery(chosen, pk), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    return redirect("webhooks:delivery", chosen.pk, pk)


def _about(chosen: Endpoint) -> dict[str, Any]:
    host, rest = words.place(chosen.url)
    return {"section": "settings", "endpoint": chosen, "host": host, "rest": rest}


def _endpoint(request: WorkspaceRequest, endpoint_id: UUID) -> Endpoint:
    try:
        return endpoints.find(request.workspace.pk, endpoint_id)
    except DomainError as error:
        raise Http404(error.detail) from error


def _delivery(chosen: Endpoint, pk: UUID) -> Delivery:
    try:
        return pages.find(chosen, pk)
    except DomainError as error:
        raise Http404(error.detail) from error
