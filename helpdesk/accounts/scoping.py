"""Which workspace a request is about, and who asks: for console pages.

The API does the same from the token (`helpdesk.api.authentication`); both end in a `Membership`.
"""

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from helpdesk.accounts.models import Membership, User, Workspace
from helpdesk.accounts.roles import Permission

SESSION_KEY = "workspace_id"
P = ParamSpec("P")


class WorkspaceRequest(HttpRequest):
    """A request of a signed-in member, as console views get it."""

    user: User
    membership: Membership
    workspace: Workspace


def current_membership(user: Any, session: Any) -> Membership | None:
    """The member's place in the workspace that the session names, else in their oldest one."""
    if not user.is_authenticated:
        return None
    places = Membership.unscoped.filter(user=user, is_active=True).select_related("workspace").order_by("created_at")
    wanted = session.get(SESSION_KEY)
    chosen = None
    for place in places:
        if chosen is None or str(place.workspace_id) == wanted:
            chosen = place
    if chosen is not None:
        chosen.user = user
        # Already read: the sidebar offers them without another query.
        chosen.workspaces = [place.workspace for place in places]
    return chosen


def switch_workspace(request: HttpRequest, workspace_id: UUID) -> bool:
    """Remember another workspace of the person in the session; False when it is not theirs."""
    person = request.user.pk
    if person is None:
        return False
    if not Membership.unscoped.filter(user_id=person, workspace_id=workspace_id, is_active=True).exists():
        return False
    request.session[SESSION_KEY] = str(workspace_id)
    return True


def zone_of(user: User) -> dt.tzinfo:
    """The person's timezone; UTC where what they say is none."""
    try:
        return ZoneInfo(user.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


class WorkspaceMiddleware:
    """Puts `request.membership` and `request.workspace` within reach; both are looked up when used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        holder: Any = request
        holder.membership = SimpleLazyObject(lambda: current_membership(request.user, request.session))
        holder.workspace = SimpleLazyObject(lambda: holder.membership.workspace if holder.membership else None)
        return self.get_response(request)


def member_required(
    permission: Permission = Permission.READ,
) -> Callable[
    [Callable[Concatenate[WorkspaceRequest, P], HttpResponse]], Callable[Concatenate[HttpRequest, P], HttpResponse]
]:
    """Let only members with `permission` into a console view; others sign in, or see 403."""

    def decorate(
        view: Callable[Concatenate[WorkspaceRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            scoped: Any = request
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), redirect_field_name=REDIRECT_FIELD_NAME)
            if not scoped.membership:
                raise PermissionDenied("You are not a member of any workspace.")
            if not scoped.membership.may(permission):
                raise PermissionDenied("Your role does not allow this.")
            # Times are written in the reader's timezone.
            with timezone.override(zone_of(scoped.user)):
                return view(scoped, *args, **kwargs)

        return guarded

    return decorate
