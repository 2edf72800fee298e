"""How endpoints and messages are said: tone, icon, words."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from tickets.webhooks import retrying
from tickets.webhooks.models import Endpoint

Said = tuple[str, str, str]  # tone, icon, words

STATES: Mapping[str, Said] = {
    "active": ("ok", "circle-check", "Works"),
    "failing": ("bad", "circle-alert", "Failing"),
    "off": ("", "pause", "Off"),
    "unused": ("", "circle-dashed", "Not used yet"),
}
STATUSES: Mapping[str, Said] = {
    "waiting": ("accent", "hourglass", "Waiting"),
    "delivered": ("ok", "check", "Delivered"),
    "failed": ("bad", "circle-alert", "Failed"),
    "cancelled": ("", "circle-slash", "Cancelled"),
}


NO_SUCCESS = f"{retrying.NO_SUCCESS.days} days"  # without one success, and an endpoint is switched off


def state(endpoint: Endpoint, known: str) -> Said:
    """The state of an endpoint; one that was switched off by itself is louder than one that an admin switched off."""
    if known == "off" and endpoint.off_reason in ("gone", "failing"):
        return "bad", "power-off", "Switched off"
    return STATES[known]


def place(url: str) -> tuple[str, str]:
    """The server of an address, and the rest of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    rest = parts.path if parts.path != "/" else ""
    return parts.netloc or url, f"{rest}?{parts.query}" if parts.query else rest


def code(status: int | None) -> str:
    """A status of HTTP with its name: "404 Not Found" (RFC 9110, 15); empty for none."""
    if status is None:
        return ""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
