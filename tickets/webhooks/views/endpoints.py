"""Webhooks in Settings: the list with how each is doing, the page of one, and what is done with it."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk import sealing
from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from tickets.webhooks import forms, payloads
from tickets.webhooks.models import Endpoint
from tickets.webhooks.services import deliveries, endpoints, health, pages
from tickets.webhooks.views import words

NEW_SECRET = "new_webhook_secret"  # noqa: S105 (its name in the session)
FEW_EVENTS = 3  # that the list names
_DAY = dt.timedelta(hours=24)


@require_safe
@member_required(Permission.MANAGE)
def endpoint_list(request: WorkspaceRequest) -> HttpResponse:
    """The endpoints, each with how it is doing."""
    rows = pages.endpoints(request.workspace.pk)
    healths = health.of(rows, now=timezone.now())
    rows_shown = [_shown(row, healths[row.pk]) for row in rows]
    context = {"section": "settings", "rows": rows_shown, "no_success": words.NO_SUCCESS}
    return render(request, "webhooks/endpoints.html", context)


def _shown(endpoint: Endpoint, known: health.Health) -> dict[str, Any]:
    """An endpoint with how it is doing, as the pages take it."""
    host, rest = words.place(endpoint.url)
    attempts = known.delivered + known.failed
    return {
        "endpoint": endpoint,
        "host": host,
        "rest": rest,
        "is_plain": endpoint.url.lower().startswith("http:"),
        "health": known,
        "state": words.state(endpoint, known.state),
        "attempts": attempts,
        "rate": _rate(known.delivered, attempts),
        "no_success": words.NO_SUCCESS,
        "has_most_waiting": known.waiting >= health.MOST_WAITING,
        "has_all_events": len(endpoint.events) == len(payloads.CATALOGUE),
        "few_events": endpoint.events[:FEW_EVENTS],
        "more_events": endpoint.events[FEW_EVENTS:],
    }


def _rate(delivered: int, attempts: int) -> str:
    """A share in percent that is 100 only where nothing failed, and 0 only where nothing arrived."""
    if not attempts:
        return ""
    tenths = 1000 * delivered // attempts or (1 if delivered else 0)
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


# --- Making and changing ------------------------------------------------------------------------


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def new(request: WorkspaceRequest) -> HttpResponse:
    """Make an endpoint; the next page shows its secret, once. A POST with `change` draws the form anew."""
    form = _form(request, None)
    if request.method == "POST" and "change" not in request.POST and form.is_valid():
        try:
            made, secret = endpoints.create(
                workspace=request.workspace, by=request.membership, now=timezone.now(), **form.changes()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            _keep_secret(request, made, secret)
            messages.success(request, "The webhook is made.")
            return redirect("webhooks:endpoint", made.pk)
    context = {"section": "settings", "form": form}
    return render(request, "webhooks/new.html", context, status=400 if form.is_bound and form.is_refused else 200)


def _form(request: WorkspaceRequest, chosen: Endpoint | None) -> forms.EndpointForm:
    if request.method != "POST":
        return forms.EndpointForm(endpoint=chosen)
    if "change" in request.POST:
        return forms.EndpointForm.drawn(request.POST, request.POST["change"], endpoint=chosen)
    return forms.EndpointForm(request.POST, endpoint=chosen)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def endpoint(request: WorkspaceRequest, endpoint_id: UUID) -> HttpResponse:
    """An endpoint: how it is doing, and the form that changes it. A POST with `change` draws the form anew."""
    chosen = _endpoint(request, endpoint_id)
    form = _form(request, chosen)
    if request.method == "POST" and "change" not in request.POST and form.is_valid():
        try:
            endpoints.change(endpoint=chosen, changes=form.changes(), now=timezone.now())
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, "Saved the webhook.")
            return redirect("webhooks:endpoint", chosen.pk)
    return _page(request, chosen, form=form)


def _page(
    request: WorkspaceRequest,
    chosen: Endpoint,
    *,
    form: forms.EndpointForm | None = None,
    range_form: forms.RangeForm | None = None,
) -> HttpResponse:
    now = timezone.now()
    form = form or forms.EndpointForm(endpoint=chosen)
    missed_since, came_back_after = pages.missed_since(chosen), _moment(request.GET.get("missed_since", ""))
    if range_form is None:
        begins = came_back_after or missed_since or now - _DAY
        # The minute that runs is part of it: what is later than now is cut off.
        ends = now.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
        range_form = forms.RangeForm(zone=request.workspace.timezone, initial={"from": begins, "to": ends})
    is_refused = (form.is_bound and form.is_refused) or range_form.is_bound
    context = {
        "section": "settings",
        "form": form,
        "range_form": range_form,
        "new_secret": _kept_secret(request, chosen),
        "missed_since": missed_since,
        "came_back_after": came_back_after if chosen.is_active else None,
        "has_old_secret": chosen.old_secret_until is not None and chosen.old_secret_until > now,
        "both_secrets": forms.BOTH_SECRETS,
        "groups": forms.grouped(),
        "tab": "endpoint",
        **_shown(chosen, health.of([chosen], now=now)[chosen.pk]),
    }
    return render(request, "webhooks/endpoint.html", context, status=400 if is_refused else 200)


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and moment.tzinfo and 2000 <= moment.year < 2200 else None


def _keep_secret(request: WorkspaceRequest, chosen: Endpoint, secret: str) -> None:
    """For the next page, which shows it once; nobody who reads the table of sessions can."""
    request.session[NEW_SECRET] = [str(chosen.pk), sealing.seal(secret)]


def _kept_secret(request: WorkspaceRequest, chosen: Endpoint) -> str:
    told = request.session.get(NEW_SECRET)
    if not isinstance(told, list) or told[0] != str(chosen.pk):
        return ""
    del request.session[NEW_SECRET]
    try:
        return sealing.unseal(told[1])
    except sealing.Unopenable:
        return ""


# --- What is done with one ----------------------------------------------------------------------


@require_POST
@member_required(Permission.MANAGE)
def switch(request: WorkspaceRequest, endpoint_id: UUID) -> HttpResponse:
    """Switch an endpoint on or off; with `send_missed`, send what it missed, too."""
    chosen, now = _endpoint(request, endpoint_id), timezone.now()
    host, _ = words.place(chosen.url)
    is_active, missed_since = request.POST.get("is_active") == "1", pages.missed_since(chosen)
    try:
        changed = endpoints.change(endpoint=chosen, changes={"is_active": is_active}, now=now)
    except DomainError as error:
        raise Http404(error.detail) from error  # somebody deleted it meanwhile
    if is_active and missed_since and "send_missed" in request.POST:
        try:
            sent = deliveries.replay_range(endpoint=changed, since=missed_since, until=now, now=now)
        except DomainError as error:
            messages.warning(request, f"{host} is on. What it missed is not sent yet: {error.detail}")
        else:
            messages.success(request, f"{host} is on. {_replayed(sent)}")
            return redirect("webhooks:deliveries", chosen.pk)
    else:
        messages.success(request, f"{host} is {'on' if is_active else 'off'}.")
    if request.POST.get("back") == "list" and not (is_active and missed_since):
        return redirect("webhooks:endpoints")
    asked = f"?{urlencode({'missed_since': missed_since.isoformat()})}" if is_active and missed_since else ""
    return redirect(f"{reverse('webhooks:endpoint', args=[chosen.pk])}{asked}")


def _replayed(sent: deliveries.Replayed) -> str:
    if not sent.again and not sent.missed:
        return "There is nothing to send: whatever happened then has arrived."
    parts = [f"{sent.again:,} again" if sent.again else "", f"{sent.missed:,} that it missed" if sent.missed else ""]
    return f"Being sent: {' and '.join(part for part in parts if part)}."


@require_POST
@member_required(Permission.MANAGE)
def rotate(request: WorkspaceRequest, endpoint_id: UUID) -> HttpResponse:
    """Make a new secret; the next page shows it, once."""
    chosen = _endpoint(request, endpoint_id)
    hours = request.POST.get("both_for_hours", "")
    both_for = dt.timedelta(hours=int(hours)) if hours.isascii() and hours.isdigit() and len(hours) < 6 else None
    try:
        _, secret = endpoints.rotate_secret(
            endpoint=chosen, now=timezone.now(), both_for=endpoints.BOTH_SECRETS if both_for is None else both_for
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        _keep_secret(request, chosen, secret)
    return redirect("webhooks:endpoint", chosen.pk)


@require_POST
@member_required(Permission.MANAGE)
def test(request: WorkspaceRequest, endpoint_id: UUID) -> HttpResponse:
    """Send the example of an event, and show how it fares."""
    chosen = _endpoint(request, endpoint_id)
    try:
        sent = deliveries.send_test(endpoint=chosen, event=request.POST.get("event", ""), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("webhooks:endpoint", chosen.pk)
    return redirect("webhooks:delivery", chosen.pk, sent.pk)


@require_POST
@member_required(Permission.MANAGE)
def replay_range(request: WorkspaceRequest, endpoint_id: UUID) -> HttpResponse:
    """Send what happened in a span of time; refused, the page of the endpoint comes back with what was typed."""
    chosen = _endpoint(request, endpoint_id)
    form = forms.RangeForm(request.POST, zone=request.workspace.timezone)
    if form.is_valid():
        given = form.cleaned_data
        try:
            sent = deliveries.replay_range(
                endpoint=chosen,
                since=given["from"],
                until=given["to"],
                now=timezone.now(),
                everything=given["everything"],
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _replayed(sent))
            return redirect("webhooks:deliveries", chosen.pk)
    return _page(request, chosen, range_form=form)


@require_POST
@member_required(Permission.MANAGE)
def delete(request: WorkspaceRequest, endpoint_id: UUID) -> HttpResponse:
    """Delete an endpoint with its log."""
    chosen = _endpoint(request, endpoint_id)
    try:
        endpoints.delete(endpoint=chosen)
    except DomainError as error:
        raise Http404(error.detail) from error
    messages.success(request, f"Deleted the webhook to {words.place(chosen.url)[0]}.")
    return redirect("webhooks:endpoints")


def _endpoint(request: WorkspaceRequest, endpoint_id: UUID) -> Endpoint:
    try:
        return endpoints.find(request.workspace.pk, endpoint_id)
    except DomainError as error:
        raise Http404(error.detail) from error
