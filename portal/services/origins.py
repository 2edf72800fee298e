"""Which sites' pages may call the public API from a browser (CORS: Fetch standard, "CORS protocol").

A site is an origin as browsers write it (RFC 6454, 6.2): `https://www.example.com`, compared byte for byte.
"""

from django.core.cache import cache

from helpdesk.errors import DomainError
from portal.models import PortalSettings
from portal.services.portals import Portal

# How long a site that was just listed may be unknown. One that is taken off the list is refused at once, by `check`.
KEPT_SECONDS = 30
_KEPT_AS = "portal:origins"


class OriginNotAllowed(DomainError):
    """A page of a site that the workspace does not list asked (HTTP 403); nothing was read or written for it."""

    status = 403
    code = "origin_not_allowed"

    def __init__(self) -> None:
        super().__init__("Pages of this site may not call the public API of this workspace.")


def is_listed(*, origin: str) -> bool:
    """Whether any workspace lists this site. One query in half a minute; one for each call when Valkey is away."""
    known: set[str] | None = cache.get(_KEPT_AS)
    if known is None:
        known = _listed()
        cache.set(_KEPT_AS, known, KEPT_SECONDS)
    return origin in known


def check_anywhere(*, origin: str) -> None:
    """Raise OriginNotAllowed when no workspace lists this site."""
    if not is_listed(origin=origin):
        raise OriginNotAllowed


def check(*, portal: Portal, origin: str) -> None:
    """Raise OriginNotAllowed when this workspace does not list the site."""
    if origin not in portal.settings.allowed_origins:
        raise OriginNotAllowed


def _listed() -> set[str]:
    lists = PortalSettings.unscoped.exclude(allowed_origins=[]).values_list("allowed_origins", flat=True)
    return {origin for origins in lists for origin in origins}
