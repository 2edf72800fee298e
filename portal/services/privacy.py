"""What a customer may ask about their own data: a copy of it, or that it is erased. A worker does it.

A row is the log of it and the work on it. A worker leases it, writes down how far it has come with every portion, and
ends it; when the worker is killed its lease ends, and the next one goes on where it stood.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from helpdesk.accounts.models import Contact, Membership, Workspace
from helpdesk.errors import Conflict, DomainError, InvalidInput, NotFound
from portal.models import PrivacyRequest
from portal.services import privacy_erasure, privacy_export
from portal.services.privacy_work import ATTEMPTS, LEASE, Superseded
from tickets import dispatch
from tickets.mail.models import Mailbox
from tickets.services import base

TASK = "portal.tasks.run_privacy_request"
FILE_DAYS = privacy_export.FILE_DAYS
WAITED = dt.timedelta(seconds=10)  # then the broker may have lost it
AGAIN = dt.timedelta(seconds=30)  # after something went wrong, longer each time
NOTHING = "Nothing is stored about this address."
WRONG = "Something went wrong on our side. Try it again."


def hash_of(workspace_id: UUID, address: str) -> str:
    """What the log keeps of an address: a keyed hash (HMAC-SHA256), useless to whoever reads the database alone."""
    key = hashlib.sha256(b"helpdesk privacy log:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, f"{workspace_id}:{address}".encode(), hashlib.sha256).hexdigest()


# --- Asking -----------------------------------------------------------------------------------


def found(*, workspace: Workspace, address: str) -> tuple[str, dict[str, int]]:
    """The address in the form that is kept, and how many rows of each kind are about it.

    Raises InvalidInput naming `address`: it is none, or nothing is stored about it.
    """
    cleaned = base.email_address("address", address)
    counts = privacy_erasure.counts_of(workspace_id=workspace.pk, address=cleaned)
    if not any(counts.values()):
        raise InvalidInput.of("address", NOTHING)
    return cleaned, counts


def check_erasable(*, workspace: Workspace, address: str) -> tuple[str, dict[str, int]]:
    """As `found`, for an erasure: also raises InvalidInput for the address of a member or a mailbox of ours."""
    cleaned = base.email_address("address", address)
    if Membership.objects.for_workspace(workspace).filter(user__email=cleaned, is_active=True).exists():
        raise InvalidInput.of("address", "This is a member of the workspace. Deactivate the member first.")
    if Mailbox.objects.for_workspace(workspace).filter(address=cleaned).exists():
        raise InvalidInput.of("address", "This is the address of one of your mailboxes.")
    return found(workspace=workspace, address=cleaned)


@transaction.atomic
def ask_export(*, workspace: Workspace, address: str, by: Membership, now: dt.datetime) -> PrivacyRequest:
    """Have all that is stored about an address packed into a file. Raises InvalidInput naming `address`."""
    cleaned, counts = found(workspace=workspace, address=address)
    return _ask("export", workspace, cleaned, counts, by, now)


@transaction.atomic
def ask_erasure(*, workspace: Workspace, address: str, typed: str, by: Membership, now: dt.datetime) -> PrivacyRequest:
    """Have a customer erased. There is no way back, so the address is typed once more.

    Raises InvalidInput naming `address` or `typed`.
    """
    cleaned, counts = check_erasable(workspace=workspace, address=address)
    if typed.strip().lower() != cleaned:
        raise InvalidInput.of("typed", f"Type {cleaned} to confirm.")
    return _ask("erasure", workspace, cleaned, counts, by, now)


def _ask(
    kind: str, workspace: Workspace, address: str, counts: dict[str, int], by: Membership, now: dt.datetime
) -> PrivacyRequest:
    # Two who ask at once come one after the other; rows that name the workspace are still written.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    hashed = hash_of(workspace.pk, address)
    rows = PrivacyRequest.objects.for_workspace(workspace).filter(kind=kind, address_hash=hashed)
    if rows.filter(next_at__isnull=False).exists():
        raise InvalidInput.of("address", "This was asked already and is under way.")
    request = PrivacyRequest.unscoped.create(
        workspace=workspace,
        kind=kind,
        address=address,
        address_hash=hashed,
        requested_by=by.user,
        counts=counts,
        created_at=now,
        next_at=now,
    )
    dispatch.queue_after_commit(TASK, str(request.pk))  # what the broker loses, the beat finds
    return request


@transaction.atomic
def try_again(*, request: PrivacyRequest, now: dt.datetime) -> PrivacyRequest:
    """Go on with a request that failed, where it stands. Raises Conflict for any other."""
    rows = PrivacyRequest.objects.for_workspace(request.workspace_id).select_for_update()
    fresh: PrivacyRequest = rows.get(pk=request.pk)
    if fresh.status != "failed" or not fresh.address:
        raise Conflict("Only a request that failed can be tried again.", code="not_failed")
    fresh.status, fresh.error, fresh.attempts, fresh.next_at, fresh.ended_at = "waiting", "", 0, now, None
    fresh.save(update_fields=["status", "error", "attempts", "next_at", "ended_at"])
    dispatch.queue_after_commit(TASK, str(fresh.pk))
    return fresh


# --- Looking ----------------------------------------------------------------------------------


def requests_of(workspace: Workspace) -> "QuerySet[PrivacyRequest]":
    """The log, newest first."""
    rows: QuerySet[PrivacyRequest] = PrivacyRequest.objects.for_workspace(workspace).select_related("requested_by")
    return rows.defer("work").order_by("-created_at", "-pk")


def find(workspace_id: UUID, request_id: UUID) -> PrivacyRequest:
    """A request of the workspace. Raises NotFound, also for a foreign id."""
    request: PrivacyRequest | None = PrivacyRequest.objects.for_workspace(workspace_id).filter(pk=request_id).first()
    if request is None:
        raise NotFound("There is no such request.")
    return request


def open_file(*, request: PrivacyRequest, now: dt.datetime) -> Any:
    """The file of an export, open for reading. Raises NotFound when there is none, or its time is over."""
    if not request.file or request.file_until is None or request.file_until <= now:
        raise NotFound("This export is not kept any more.")
    try:
        return request.file.open("rb")
    except FileNotFoundError:
        raise NotFound("This export is not kept any more.") from None


def address_of_contact(workspace: Workspace, contact_id: UUID) -> str:
    """The address of a customer, "" for an unknown or foreign id."""
    found_one: Contact | None = Contact.objects.for_workspace(workspace).filter(pk=contact_id).first()
    return found_one.email if found_one else ""


# --- The background ---------------------------------------------------------------------------


def run(*, request_id: UUID, clock: Callable[[], dt.datetime]) -> bool:
    """Do what was asked, or go on with it; False where it is over, not yet due, or somebody else does it.

    `clock()` tells the time. Any number of workers may be asked.
    """
    request = _take(request_id, clock())
    if request is None:
        return False
    try:
        (privacy_export if request.kind == "export" else privacy_erasure).go_on(request, clock=clock)
    except Superseded:
        return False
    except DomainError as error:
        _give_back(request, clock(), error.detail)
        return False
    except Exception:
        _give_back(request, clock(), WRONG)
        raise
    return True


def _take(request_id: UUID, now: dt.datetime) -> PrivacyRequest | None:
    rows = PrivacyRequest.unscoped.filter(pk=request_id, next_at__lte=now, attempts__lt=ATTEMPTS)
    if not rows.update(status="running", next_at=now + LEASE, attempts=F("attempts") + 1):
        return None
    return PrivacyRequest.unscoped.select_related("workspace").get(pk=request_id)


def _give_back(request: PrivacyRequest, now: dt.datetime, error: str) -> None:
    mine = PrivacyRequest.unscoped.filter(pk=request.pk, status="running", next_at=request.next_at)
    # As it stands now: whatever was committed meanwhile set the attempts back.
    attempts = PrivacyRequest.unscoped.filter(pk=request.pk).values_list("attempts", flat=True).first() or 0
    if attempts < ATTEMPTS:
        mine.update(status="waiting", next_at=now + AGAIN * max(attempts, 1))
    else:
        if mine.update(status="failed", next_at=None, ended_at=now, error=error[:300]) and request.kind == "export":
            privacy_export.discard(request)


def take_up(*, now: dt.datetime) -> list[UUID]:
    """The requests that nobody works on though it is time: the broker lost them, or their worker was killed.

    One whose workers were all killed is given up, and says so.
    """
    due = PrivacyRequest.unscoped.filter(next_at__lte=now - WAITED)
    given_up = due.filter(attempts__gte=ATTEMPTS)
    exports = list(given_up.filter(kind="export").defer("work"))
    given_up.update(status="failed", next_at=None, ended_at=now, error="It was begun several times and never finished.")
    for request in exports:
        privacy_export.discard(request)
    return list(due.order_by("next_at").values_list("pk", flat=True)[:100])


def delete_old_files(*, now: dt.datetime) -> int:
    """Delete the exports whose time is over; gives how many."""
    old = list(PrivacyRequest.unscoped.filter(file_until__lte=now).exclude(file="").defer("work")[:1000])
    for request in old:
        request.file.delete(save=False)
        PrivacyRequest.unscoped.filter(pk=request.pk).update(file="")
    return len(old)
