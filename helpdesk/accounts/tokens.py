"""What opens the API: access and refresh tokens (JWT), and API keys.

**Rotating the secret.** Tokens are signed with a key derived from `SECRET_KEY`. To change it, put
the old value into `SECRET_KEY_FALLBACKS` and start again: what was signed with it is still
accepted, everything new is signed with the new one. After 14 days (the life of a refresh token)
nothing old is left and the fallback can go. Leaving the fallback out signs everybody out at once.

A refresh token works once: refreshing gives a new pair and ends the old one. A changed password,
a deactivated member or a lost membership ends all of a person's tokens. Only a refresh token's id
is kept in the database, never the token.
"""

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import (
    ExpiredTokenError,
    TokenBackendError,
    TokenBackendExpiredToken,
    TokenError,
)
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from helpdesk.accounts.models import ApiKey, Membership, User
from helpdesk.accounts.roles import SCOPES
from helpdesk.errors import DomainError, InvalidInput, NotAllowed, NotFound

API_KEY_PREFIX = "hdk_"
LAST_USED_EVERY = dt.timedelta(minutes=1)


class Invalid(Exception):
    """The token opens nothing."""


class Expired(Invalid):
    """The token was good once."""


class WrongCredentials(DomainError):
    """The address or the password is wrong, or a refresh token is spent (HTTP 401)."""

    status = 401
    code = "wrong_credentials"


class LockedOut(DomainError):
    """Too many failures from this address for this account (HTTP 429); `retry_after` is in seconds."""

    status = 429
    code = "locked_out"

    def __init__(self, detail: str, *, seconds: int) -> None:
        super().__init__(detail)
        self.retry_after = seconds


# --- Signing ----------------------------------------------------------------------------------


def _derived(secret: str) -> str:
    """A key for tokens alone, so that nothing signed elsewhere with the secret passes as one."""
    return hashlib.sha256(b"helpdesk.tokens:" + secret.encode()).hexdigest()


class KeyRing(TokenBackend):
    """Signs with `SECRET_KEY`; accepts what `SECRET_KEY_FALLBACKS` signed."""

    def __init__(self) -> None:
        super().__init__("HS256")

    def encode(self, payload: dict[str, Any]) -> str:
        return jwt.encode(payload, _derived(settings.SECRET_KEY), algorithm=self.algorithm)

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
            try:
                return jwt.decode(token, _derived(secret), algorithms=[self.algorithm])
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError as error:
                raise TokenBackendExpiredToken("Token is expired") from error
            except (jwt.InvalidTokenError, ValueError, TypeError) as error:
                raise TokenBackendError("Token is invalid") from error
        raise TokenBackendError("Token is invalid")


_ring = KeyRing()


class Access(AccessToken):
    """Opens the API for 15 minutes."""

    _token_backend = _ring


class Refresh(RefreshToken):
    """Gives the next pair of tokens, once."""

    _token_backend = _ring
    access_token_class = Access


# --- People: access and refresh ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new pair of tokens and whose it is."""

    access: str
    refresh: str
    membership: Membership


def _password_mark(user: User) -> str:
    """Changes with the password; says nothing about it (it is a hash of a salted hash)."""
    return hashlib.sha256(user.password.encode()).hexdigest()[:16]


def is_active(membership: Membership) -> bool:
    """Whether both the membership and the person are."""
    return membership.is_active and membership.user.is_active


def read_access_token(token: str) -> dict[str, Any]:
    """The claims of an access token; raises Expired or Invalid. No query."""
    try:
        return Access(token).payload  # type: ignore[arg-type]
    except ExpiredTokenError as error:
        raise Expired from error
    except (TokenError, TokenBackendError) as error:
        raise Invalid from error


def member_of(claims: dict[str, Any]) -> Membership | None:
    """The active member that the claims name, with user and workspace: one query."""
    try:
        user_id, workspace_id = UUID(claims["user_id"]), UUID(claims["workspace_id"])
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    membership = (
        Membership.unscoped.select_related("user", "workspace")
        .filter(user_id=user_id, workspace_id=workspace_id)
        .first()
    )
    if membership is None or not is_active(membership) or claims.get("pwd") != _password_mark(membership.user):
        return None
    return membership


def issue(*, membership: Membership, now: dt.datetime) -> SignedIn:
    """A new pair of tokens for a member."""
    refresh = Refresh()
    refresh.current_time = now
    refresh.set_exp(from_time=now)
    refresh.set_iat(at_time=now)
    refresh["user_id"] = str(membership.user_id)
    refresh["workspace_id"] = str(membership.workspace_id)
    refresh["role"] = membership.role
    refresh["pwd"] = _password_mark(membership.user)
    access = refresh.access_token
    access.set_iat(at_time=now)
    OutstandingToken.objects.create(
        user_id=membership.user_id,
        jti=refresh["jti"],
        token="",
        created_at=now,
        expires_at=dt.datetime.fromtimestamp(refresh["exp"], tz=dt.UTC),
    )
    return SignedIn(str(access), str(refresh), membership)


def sign_in(
    *, request: HttpRequest, email: str, password: str, workspace_id: UUID | None, now: dt.datetime
) -> SignedIn:
    """Tokens for an address and a password, in the given workspace or in the person's oldest.

    Raises WrongCredentials (the same for an unknown address, in body and time), LockedOut,
    NotFound for a workspace that is not theirs, NotAllowed for a person without any.
    `request` is Django's own: failures are counted by its address.
    """
    address = email.strip().lower()
    marked: Any = request
    user = authenticate(request, username=address, password=password)
    if getattr(marked, "axes_locked_out", False):
        # We answer ourselves; the middleware would put its page in place of our answer.
        marked.axes_locked_out = False
        wait = get_cool_off(request) or dt.timedelta(minutes=15)
        raise LockedOut("Too many failed attempts. Try again later.", seconds=int(wait.total_seconds()))
    if not isinstance(user, User):
        raise WrongCredentials("The e-mail address or the password is wrong.")
    AxesProxyHandler.reset_attempts(username=address, ip_address=marked.axes_ip_address)
    places = Membership.unscoped.filter(user=user, is_active=True).select_related("workspace").order_by("created_at")
    membership = (places.filter(workspace_id=workspace_id) if workspace_id else places).first()
    if membership is None:
        if workspace_id:
            raise NotFound("There is no such workspace.", errors={"workspace_id": ["There is no such workspace."]})
        raise NotAllowed("You are not a member of any workspace.")
    membership.user = user
    return issue(membership=membership, now=now)


@transaction.atomic
def refresh(*, token: str, now: dt.datetime) -> SignedIn:
    """The next pair; ends the given refresh token. Raises WrongCredentials for a spent or dead one."""
    dead = WrongCredentials("The refresh token is not valid.", code="token_invalid")
    try:
        given = Refresh(token)  # type: ignore[arg-type]
    except (TokenError, TokenBackendError):
        raise dead from None
    membership = member_of(given.payload)
    if membership is None:
        raise dead
    # Two requests may both have found it alive: the unique row lets only one go on.
    ended: Any = given.blacklist()
    if not ended[1]:
        raise dead
    return issue(membership=membership, now=now)


def revoke(*, token: str) -> None:
    """End a refresh token. One that is dead already, or never was one, is no error (RFC 7009)."""
    with suppress(TokenError, TokenBackendError):
        Refresh(token).blacklist()  # type: ignore[arg-type]


# --- Programs: API keys -----------------------------------------------------------------------


def _hashed(plain: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()


def make_api_key(
    *, membership: Membership, name: str, scopes: Sequence[str], expires_at: dt.datetime | None, now: dt.datetime
) -> tuple[ApiKey, str]:
    """Make a key that acts for the member, and its plain text, which is never seen again.

    `scopes` are some of read, write and admin. Raises InvalidInput naming the field.
    """
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise InvalidInput.of("name", "Give the key a name of at most 80 characters.")
    chosen = [scope for scope in SCOPES if scope in scopes]
    if not chosen or set(scopes) - set(SCOPES):
        raise InvalidInput.of("scopes", f"Choose at least one of {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput.of("expires_at", "This is in the past.")
    plain = API_KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        workspace_id=membership.workspace_id,
        membership=membership,
        name=name,
        prefix=plain[:12],
        key_hash=_hashed(plain),
        scopes=chosen,
        created_at=now,
        expires_at=expires_at,
    )
    key.save(force_insert=True)
    return key, plain


def revoke_api_key(*, key: ApiKey, now: dt.datetime) -> None:
    """End a key for good; a second time changes nothing."""
    ApiKey.unscoped.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    key.refresh_from_db(fields=["revoked_at"])


def find_api_key(plain: str) -> ApiKey | None:
    """The key with this plain text, dead or alive, with member, person and workspace: one query."""
    key = (
        ApiKey.unscoped.select_related("membership__user", "workspace")
        .filter(key_hash=_hashed(plain), membership__workspace_id=F("workspace_id"))
        .first()
    )
    if key is not None:
        key.membership.workspace = key.workspace
    return key


def note_use(*, key: ApiKey, now: dt.datetime) -> None:
    """Remember when the key was last used, to the minute: not a write for every request."""
    if key.last_used_at is None or now - key.last_used_at >= LAST_USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_EVERY)
        ApiKey.unscoped.filter(stale, pk=key.pk).update(last_used_at=now)
