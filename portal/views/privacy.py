"""Settings → Privacy: what is stored about a customer, as a file or erased. For admins.

An address stands in no URL of ours: those are written into logs.
"""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from helpdesk.accounts.forms import show_errors
from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError, NotFound
from portal.forms.privacy import AddressForm, ErasureForm
from portal.models import PrivacyRequest
from portal.services import privacy

PAGE = 25
# The words of a count, for one and for more, in the order in which they are told.
WORDS = {
    "customers": ("customer", "customers"),
    "tickets": ("request", "requests"),
    "tickets_of_others": ("request of somebody else", "requests of others"),
    "messages": ("message", "messages"),
    "files": ("file", "files"),
    "ratings": ("rating", "ratings"),
    "mails": ("mail", "mails"),
    "mails_received": ("mail received", "mails received"),
    "mails_sent": ("mail sent", "mails sent"),
    "notes_left_out": ("note left out", "notes left out"),
}


@require_safe
@member_required(Permission.MANAGE)
def privacy_page(request: WorkspaceRequest) -> HttpResponse:
    """The form, and what was asked before. While something is under way, the list asks for itself again."""
    if request.headers.get("HX-Request"):
        return render(request, "portal/_privacy_requests.html", _log(request))
    return _page(request, AddressForm(initial={"address": _named_customer(request)}))


@require_POST
@member_required(Permission.MANAGE)
def export(request: WorkspaceRequest) -> HttpResponse:
    """Have a copy made."""
    form = AddressForm(request.POST)
    if form.is_valid():
        try:
            privacy.ask_export(
                workspace=request.workspace,
                address=form.cleaned_data["address"],
                by=request.membership,
                now=timezone.now(),
            )
        except DomainError as error:
            show_errors(form, error)
        else:
            messages.success(request, "The export is being made. You can download it below when it is ready.")
            return redirect("portal:privacy")
    return _page(request, form, status=400)


@require_POST
@member_required(Permission.MANAGE)
def erase(request: WorkspaceRequest) -> HttpResponse:
    """First say what would be erased and ask for the address once more; then have it erased."""
    first = AddressForm(request.POST)
    if not first.is_valid():
        return _page(request, first, status=400)
    try:
        address, counts = privacy.check_erasable(workspace=request.workspace, address=first.cleaned_data["address"])
    except DomainError as error:
        show_errors(first, error)
        return _page(request, first, status=400)
    if "typed" not in request.POST:
        return _confirmation(request, ErasureForm(initial={"address": address}), address, counts)
    form = ErasureForm(request.POST)
    if form.is_valid():
        try:
            privacy.ask_erasure(
                workspace=request.workspace,
                address=address,
                typed=form.cleaned_data["typed"],
                by=request.membership,
                now=timezone.now(),
            )
        except DomainError as error:
            show_errors(form, error)
        else:
            messages.success(request, "The customer is being erased. It goes on by itself; you can leave this page.")
            return redirect("portal:privacy")
    return _confirmation(request, form, address, counts, status=400)


@require_safe
@member_required(Permission.MANAGE)
def file(request: WorkspaceRequest, request_id: UUID) -> Any:
    """The file of an export."""
    try:
        asked = privacy.find(request.workspace.pk, request_id)
        content = privacy.open_file(request=asked, now=timezone.now())
    except NotFound:
        raise Http404 from None
    response = FileResponse(
        content, as_attachment=True, filename=f"customer-data-{asked.created_at:%Y-%m-%d}.zip"
    )  # its name says nothing of whom it is about
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@member_required(Permission.MANAGE)
def again(request: WorkspaceRequest, request_id: UUID) -> HttpResponse:
    """Go on with a request that failed."""
    try:
        privacy.try_again(request=privacy.find(request.workspace.pk, request_id), now=timezone.now())
    except NotFound:
        raise Http404 from None
    except DomainError as error:
        messages.error(request, error.detail)
    return redirect("portal:privacy")


def _named_customer(request: WorkspaceRequest) -> str:
    """The address of the customer from whose ticket somebody comes; the link names the customer's id."""
    try:
        contact_id = UUID(request.GET.get("customer", ""))
    except ValueError:
        return ""
    return privacy.address_of_contact(request.workspace, contact_id)


def _page(request: WorkspaceRequest, form: AddressForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "file_days": privacy.FILE_DAYS, **_log(request)}
    return render(request, "portal/privacy.html", context, status=status)


def _confirmation(
    request: WorkspaceRequest, form: ErasureForm, address: str, counts: dict[str, int], status: int = 200
) -> HttpResponse:
    context = {"form": form, "address": address, "counts": _in_words(counts)}
    return render(request, "portal/privacy_erase.html", context, status=status)


def _log(request: HttpRequest) -> dict[str, Any]:
    scoped: Any = request
    page = Paginator(privacy.requests_of(scoped.workspace), PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    rows = [_shown(row, now) for row in page.object_list]
    return {
        "rows": rows,
        "page_obj": page,
        "is_over": all(row["request"].is_over for row in rows),
        "page_number": page.number,
    }


def _shown(row: PrivacyRequest, now: Any) -> dict[str, Any]:
    return {
        "request": row,
        "counts": _in_words(row.counts),
        "can_download": bool(row.file) and row.file_until is not None and row.file_until > now,
        # Between its two rounds it waits for what is on its way.
        "settles": row.status == "waiting" and row.round > 1 and not row.last_ticket_id,
    }


def _in_words(counts: dict[str, int]) -> list[tuple[int, str]]:
    return [
        (counts[name], one if counts[name] == 1 else more) for name, (one, more) in WORDS.items() if counts.get(name)
    ]
