"""How often somebody may ask. Counts live in Valkey; when it is away, nobody is refused.

One round trip for each request. A window begins with its first request and lasts as long as the
rate says (`1200/min`); what is refused does not make it longer.
"""

import ipaddress
import logging
import math
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django_redis import get_redis_connection
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from helpdesk.api.authentication import Caller

if TYPE_CHECKING:  # it imports us while it is being imported
    from rest_framework.views import APIView

log = logging.getLogger(__name__)

PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# After a failure Valkey is left alone for so long: one request in a while waits for its timeout, not all.
PAUSE_SECONDS = 5.0
_away_until = 0.0


def client_address(request: HttpRequest | Request) -> str:
    """The caller's address: the connection's, or what the last of our TRUSTED_PROXIES saw.

    Anything further left in `X-Forwarded-For` is the caller's own word and not believed.
    """
    own = str(request.META.get("REMOTE_ADDR") or "")
    proxies = settings.TRUSTED_PROXIES
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if proxies and forwarded:
        seen = forwarded[-min(proxies, len(forwarded))]
        try:
            return str(ipaddress.ip_address(seen))
        except ValueError:
            return own
    return own


def neighbourhood(address: str) -> str:
    """One household: an IPv4 address, or the /64 of an IPv6 one, which a single customer owns."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6 and not (parsed.ipv4_mapped):  # type: ignore[union-attr]
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)


def rate_of(scope: str) -> tuple[int, int]:
    """The rate of a scope as (requests, seconds), read from the settings."""
    number, _, period = str(api_settings.DEFAULT_THROTTLE_RATES[scope]).partition("/")
    return int(number), PERIODS[period.strip()[0]]


def seconds_to_wait(scope: str, who: str, rate: tuple[int, int] | None = None) -> int | None:
    """Count a request of `who`; None when it may pass, else the seconds until the window ends.

    `rate` is (requests, seconds) where the settings do not say it.
    """
    global _away_until
    limit, period = rate or rate_of(scope)
    if time.monotonic() < _away_until:
        return None
    key = f"throttle:{scope}:{who}"
    try:
        with get_redis_connection("default").pipeline(transaction=True) as pipe:
            pipe.set(key, 0, ex=period, nx=True)
            pipe.incr(key)
            pipe.pttl(key)
            _, count, left = pipe.execute()
    except (RedisError, OSError):
        _away_until = time.monotonic() + PAUSE_SECONDS
        log.warning("Valkey is away: requests are not counted for a while")
        return None
    return None if count <= limit else max(1, math.ceil(left / 1000))


class CallerThrottle(BaseThrottle):
    """Per API key, per member, or per address when nobody is signed in."""

    scope = "caller"
    waiting: int | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        self.waiting = seconds_to_wait(self.scope, self.who(request))
        return self.waiting is None

    def who(self, request: Request) -> str:
        """Whose count this is."""
        caller: Any = request.auth
        return caller.name if isinstance(caller, Caller) else neighbourhood(client_address(request))

    def wait(self) -> float | None:
        return self.waiting


class AddressThrottle(CallerThrottle):
    """Per address, whoever is signed in."""

    def who(self, request: Request) -> str:
        return neighbourhood(client_address(request))


class SignInThrottle(AddressThrottle):
    """For what takes a password or a refresh token."""

    scope = "sign_in"


class PublicThrottle(AddressThrottle):
    """For what anybody may call."""

    scope = "public"


PageView = Callable[..., HttpResponse]


def page_throttle(scope: str, methods: tuple[str, ...] = ("POST",)) -> Callable[[PageView], PageView]:
    """Limit a page by address: `@page_throttle("public")`. Counts POSTs unless told otherwise."""

    def decorate(view: PageView) -> PageView:
        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method in methods:
                wait = seconds_to_wait(scope, neighbourhood(client_address(request)))
                if wait is not None:
                    words = gettext("Too much was sent from your network. Please try again in %(wait)s seconds.")
                    return HttpResponse(
                        words % {"wait": wait},
                        status=429,
                        content_type="text/plain; charset=utf-8",
                        headers={"Retry-After": str(wait)},
                    )
            return view(request, *args, **kwargs)

        return limited

    return decorate
