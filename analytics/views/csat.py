"""How satisfied customers are."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required


@require_safe
@member_required(Permission.READ)
def page(request: WorkspaceRequest) -> HttpResponse:
    """The report."""
    return render(request, "analytics/csat.html", {"section": "reports"})
