"""Who calls the API: `Authorization: Bearer` with an access token (JWT) or an API key (`hdk_…`).

Either costs one query, which brings the user, the membership and the workspace. The role is
always the one in the database: a demotion or a deactivation works at once, whatever a token says.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from helpdesk.accounts import tokens
from helpdesk.accounts.models import ApiKey, Membership, User, Workspace
from helpdesk.accounts.roles import Permission, scopes_permit
from helpdesk.api.errors import BEARER

if TYPE_CHECKING:  # it imports us while it is being imported
    from rest_framework.views import APIView


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request (`request.auth`).

    `kind` is `token` or `key`; `scopes` are those of an API key, None for a person's token.
    """

    membership: Membership
    workspace: Workspace
    kind: str
    scopes: list[str] | None = None
    key_id: UUID | None = None

    def may(self, permission: Permission | str) -> bool:
        """Whether the member's role carries the permission, and an API key's scopes leave it."""
        wanted = Permission(permission)
        return self.membership.may(wanted) and (self.scopes is None or scopes_permit(self.scopes, wanted))

    @property
    def name(self) -> str:
        """A word for this caller that is unique in the workspace: for throttles and idempotency keys."""
        return f"key:{self.key_id}" if self.key_id else f"member:{self.membership.pk}"


class BearerAuthentication(BaseAuthentication):
    """Sets `request.user` (the person) and `request.auth` (the `Caller`).

    No header leaves the request anonymous; a header that opens nothing is 401.
    """

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if not header or scheme.lower() != "bearer":
            return None
        token = token.strip()
        caller = (
            self._by_key(token, timezone.now())
            if token.startswith(tokens.API_KEY_PREFIX)
            else self._by_access_token(token)
        )
        return caller.membership.user, caller

    def authenticate_header(self, request: Request) -> str:
        return BEARER

    def _by_access_token(self, token: str) -> Caller:
        try:
            claims = tokens.read_access_token(token)
        except tokens.Expired:
            raise AuthenticationFailed("The access token has expired. Refresh it.", code="token_expired") from None
        except tokens.Invalid:
            raise AuthenticationFailed("The access token is not valid.", code="token_invalid") from None
        membership = tokens.member_of(claims)
        if membership is None:
            raise AuthenticationFailed("The access token is not valid any more.", code="token_invalid")
        return Caller(membership, membership.workspace, "token")

    def _by_key(self, plain: str, now: dt.datetime) -> Caller:
        key: ApiKey | None = tokens.find_api_key(plain)
        if key is None or not key.is_live(now) or not tokens.is_active(key.membership):
            raise AuthenticationFailed("The API key is not valid.", code="key_invalid")
        tokens.note_use(key=key, now=now)
        return Caller(key.membership, key.workspace, "key", list(key.scopes), key.pk)


class RoleAllows(BasePermission):
    """Lets in whom the view's `permissions` allow.

    A view says `permissions = {"GET": Permission.READ, "POST": Permission.MANAGE}`; what it does
    not name needs READ for safe methods and WORK for the others.
    """

    message = "Your role, or the scopes of this key, do not allow this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller: Any = request.auth
        if not isinstance(caller, Caller):
            return False
        method = request.method or ""
        if method == "OPTIONS" or not hasattr(view, method.lower()):
            return True  # nothing to guard: the view answers 204, or 405
        wanted = getattr(view, "permissions", {}).get("GET" if method == "HEAD" else method)
        if wanted is None:
            wanted = Permission.READ if method in SAFE_METHODS else Permission.WORK
        return caller.may(wanted)
