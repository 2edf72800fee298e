"""Endpoints: made, changed, switched on and off, and taken away by admins; their secrets."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import connection, transaction

from helpdesk import outbound, sealing
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.services import base
from tickets.webhooks import payloads
from tickets.webhooks.models import Delivery, Endpoint

MOST = 50  # endpoints of a workspace
MOST_HEADERS = 20
LONGEST_VALUE = 1000  # characters of a header's value
BOTH_SECRETS = dt.timedelta(hours=24)  # for which the secret before still signs, unless asked otherwise
HIDDEN = "••••••"  # stands for the value of a header that is kept: it is shown to nobody
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token of RFC 9110, 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
# What the request itself says, and what would change how it is read.
_OURS = outbound.OWN_HEADERS | {
    "accept-encoding",
    "content-encoding",
    "content-type",
    "proxy-authorization",
    "user-agent",
}
_BATCH = 5000  # messages of a log that are deleted at once
# As statements: Django would load every message first.
_DELETE_MESSAGES = """
WITH batch AS MATERIALIZED (
    SELECT id FROM webhook_deliveries WHERE endpoint_id = %s LIMIT %s FOR UPDATE
), tries AS (
    DELETE FROM webhook_attempts USING batch WHERE webhook_attempts.delivery_id = batch.id
)
DELETE FROM webhook_deliveries USING batch WHERE webhook_deliveries.id = batch.id
"""
FIELDS = ("url", "description", "events", "headers", "is_active")


def find(workspace_id: UUID, endpoint_id: UUID) -> Endpoint:
    """An endpoint of the workspace. Raises NotFound, also for a foreign id."""
    found: Endpoint | None = Endpoint.objects.for_workspace(workspace_id).filter(pk=endpoint_id).first()
    if found is None:
        raise NotFound("There is no such webhook.", errors={"id": ["There is no such webhook."]})
    return found


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """The admin's own headers with their values: for the request only. Raises Unopenable."""
    return dict(json.loads(sealing.unseal(endpoint.headers_sealed) or "{}"))


def shown_headers(endpoint: Endpoint) -> dict[str, str]:
    """The admin's own headers, their values hidden."""
    try:
        return dict.fromkeys(headers_of(endpoint), HIDDEN)
    except sealing.Unopenable:
        return {}


def keys_of(endpoint: Endpoint, now: dt.datetime) -> list[str]:
    """The secrets that sign now: the newest first. Raises Unopenable."""
    keys = [sealing.unseal(endpoint.secret_sealed)]
    if old_secret_until(endpoint, now):
        keys.append(sealing.unseal(endpoint.old_secret_sealed))
    return keys


def old_secret_until(endpoint: Endpoint, now: dt.datetime) -> dt.datetime | None:
    """Until when the secret before signs, too; None when there is none any more."""
    until = endpoint.old_secret_until
    return until if until and until > now else None


# --- Making and changing ------------------------------------------------------------------------


@transaction.atomic
def create(
    *,
    workspace: Workspace,
    url: str,
    events: Any,
    by: Membership,
    now: dt.datetime,
    description: str = "",
    headers: Any = None,
    is_active: bool = True,
) -> tuple[Endpoint, str]:
    """Make an endpoint; gives it with its secret, which is shown this once.

    Raises InvalidInput naming each field that is wrong, Conflict beyond 50 endpoints.
    """
    headers = {} if headers is None else headers
    given = {"url": url, "events": events, "description": description, "headers": headers, "is_active": is_active}
    cleaned = _cleaned(given, Endpoint())
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    if Endpoint.objects.for_workspace(workspace).count() >= MOST:
        raise Conflict(f"A workspace can have up to {MOST} webhooks.", code="too_many")
    secret = payloads.new_secret()
    endpoint = Endpoint(
        workspace=workspace,
        secret_sealed=sealing.seal(secret),
        secret_changed_at=now,
        active_since=now,
        created_by=by.user,
        created_at=now,
        updated_at=now,
    )
    _put(endpoint, cleaned, now)
    endpoint.save(force_insert=True)
    return endpoint, secret


@transaction.atomic
def change(*, endpoint: Endpoint, changes: Mapping[str, Any], now: dt.datetime) -> Endpoint:
    """Change the given fields: url, description, events, headers, is_active.

    `headers` is whole; a value of `HIDDEN` keeps the one that is there. Switching off cancels what waits, switching
    on begins anew: what happened in between can be replayed. Raises InvalidInput naming each field, also `headers`
    when they would go to another server, and NotFound.
    """
    row = locked(endpoint)
    cleaned = _cleaned(changes, row)
    if row.headers_sealed and urlsplit(cleaned.get("url", row.url))[:2] != urlsplit(row.url)[:2]:
        # What was typed for one server must not go to another one.
        typed = changes.get("headers")
        if typed is None or HIDDEN in typed.values():
            raise InvalidInput.of("headers", "The server is another one than before: type the values again.")
    _put(row, cleaned, now)
    row.updated_at = now
    row.save()
    return row


def _put(row: Endpoint, cleaned: dict[str, Any], now: dt.datetime) -> None:
    if "headers" in cleaned:
        headers = cleaned.pop("headers")
        row.headers_sealed = sealing.seal(json.dumps(headers)) if headers else ""
    is_active = cleaned.pop("is_active", row.is_active)
    for name, value in cleaned.items():
        setattr(row, name, value)
    if is_active and not row.is_active:
        row.is_active, row.active_since = True, now
        row.off_reason, row.off_at, row.told_at = "", None, None
        row.failing_since, row.last_error = None, ""
        _cancel_waiting(row, now)  # what was written while it was being switched off
    elif row.is_active and not is_active:
        switch_off(row, reason="member", now=now)


def switch_off(row: Endpoint, *, reason: str, now: dt.datetime) -> None:
    """Set a locked endpoint to be off, and cancel what waits for it; the caller saves it."""
    row.is_active, row.off_reason, row.off_at = False, reason, now
    _cancel_waiting(row, now)


def _cancel_waiting(row: Endpoint, now: dt.datetime) -> None:
    waiting = Delivery.objects.for_workspace(row.workspace_id).filter(endpoint=row, status="waiting", is_test=False)
    waiting.update(status="cancelled", next_at=None, ended_at=now, last_error="The webhook was switched off.")


@transaction.atomic
def rotate_secret(
    *, endpoint: Endpoint, now: dt.datetime, both_for: dt.timedelta = BOTH_SECRETS
) -> tuple[Endpoint, str]:
    """A new secret, shown this once; messages are signed with the one before, too, until `both_for` is over.

    Raises InvalidInput naming `both_for_hours` for less than none or more than 7 days, NotFound.
    """
    if not dt.timedelta(0) <= both_for <= dt.timedelta(days=7):
        raise InvalidInput.of("both_for_hours", "Choose between 0 and 168 hours.")
    row = locked(endpoint)
    secret = payloads.new_secret()
    row.old_secret_sealed, row.old_secret_until = (row.secret_sealed, now + both_for) if both_for else ("", None)
    row.secret_sealed, row.secret_changed_at, row.updated_at = sealing.seal(secret), now, now
    row.save(
        update_fields=["old_secret_sealed", "old_secret_until", "secret_sealed", "secret_changed_at", "updated_at"]
    )
    return row, secret


def delete(*, endpoint: Endpoint) -> None:
    """Delete an endpoint with its log. Raises NotFound.

    A long log goes first, batch by batch, each a transaction of its own unless the caller has one: nobody waits for
    it, and where it breaks off the next call goes on. What comes meanwhile goes with the endpoint.
    """
    while _delete_messages(endpoint) == _BATCH:
        pass
    with transaction.atomic():
        row = locked(endpoint, whole=True)
        while _delete_messages(row):
            pass
        row.delete()


def _delete_messages(endpoint: Endpoint) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_DELETE_MESSAGES, [endpoint.pk, _BATCH])
        return int(cursor.rowcount)


def locked(endpoint: Endpoint, *, whole: bool = False) -> Endpoint:
    """The row as it is now. Raises NotFound.

    Unless it is locked as a whole, messages can be written for it meanwhile.
    """
    rows = Endpoint.objects.for_workspace(endpoint.workspace_id).select_for_update(no_key=not whole)
    row: Endpoint | None = rows.filter(pk=endpoint.pk).first()
    if row is None:
        raise NotFound("There is no such webhook.", errors={"id": ["There is no such webhook."]})
    return row


# --- Checking -----------------------------------------------------------------------------------


def _cleaned(given: Mapping[str, Any], row: Endpoint) -> dict[str, Any]:
    """The fields, checked. Raises InvalidInput naming each that is wrong."""
    errors: dict[str, list[str]] = {name: ["There is no such field."] for name in given if name not in FIELDS}
    cleaned: dict[str, Any] = {}
    for name, value in given.items():
        if name in errors:
            continue
        try:
            cleaned[name] = _CLEANERS[name](value, row)
        except InvalidInput as error:
            errors |= error.errors
    if errors:
        raise InvalidInput.of_all(errors)
    return cleaned


def _url(value: Any, row: Endpoint) -> str:
    url = base.text("url", value, longest=outbound.MAX_URL, one_line=True)
    if url != row.url:
        try:
            outbound.check_url(url)
        except outbound.Refused as refused:
            raise InvalidInput.of("url", str(refused)) from None
    return url


def _description(value: Any, row: Endpoint) -> str:
    return base.text("description", value, longest=200, required=False, one_line=True)


def _events(value: Any, row: Endpoint) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise InvalidInput.of("events", "This must be a list of event names.")
    if unknown := [name for name in value if name not in payloads.CATALOGUE]:
        raise InvalidInput.of("events", f"There is no such event: {unknown[0][:80]}.")
    if not value:
        raise InvalidInput.of("events", "Choose at least one event.")
    return [name for name in payloads.CATALOGUE if name in value]


def _headers(value: Any, row: Endpoint) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidInput.of("headers", "This must be an object: names and values.")
    if len(value) > MOST_HEADERS:
        raise InvalidInput.of("headers", f"Up to {MOST_HEADERS} headers are possible.")
    try:
        kept = headers_of(row) if HIDDEN in value.values() else {}
    except sealing.Unopenable:
        kept = {}  # the server's key is another one: the values have to be typed again
    known = {name.lower(): old for name, old in kept.items()}
    errors: dict[str, list[str]] = {}
    cleaned: dict[str, str] = {}
    for name, text in value.items():
        field = f"headers.{name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            errors["headers"] = [f"This is no name of a header: {str(name)[:80]}."]
        elif name.lower() in _OURS or name.lower().startswith("webhook-"):
            errors[field] = ["This header is set by the helpdesk itself."]
        elif name.lower() in {other.lower() for other in cleaned}:
            errors[field] = ["This header is there twice."]
        elif text == HIDDEN and name.lower() in known:
            cleaned[name] = known[name.lower()]
        elif text == HIDDEN:
            errors[field] = ["There is no value that could stay: type it."]
        elif not isinstance(text, str) or len(text) > LONGEST_VALUE or not _VALUE.fullmatch(text):
            errors[field] = [f"This must be up to {LONGEST_VALUE} plain characters."]
        else:
            cleaned[name] = text
    if errors:
        raise InvalidInput.of_all(errors)
    return cleaned


def _is_active(value: Any, row: Endpoint) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.of("is_active", "This must be true or false.")
    return value


_CLEANERS = {
    "url": _url,
    "description": _description,
    "events": _events,
    "headers": _headers,
    "is_active": _is_active,
}
