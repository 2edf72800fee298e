"""The one way out: connections to addresses that others have given us, and only to where those may lead.

A name is looked up once, every address that it has is checked, and the connection goes to a checked
address, so that a name which changes its mind between check and connect gains nothing. Private,
loopback, link-local and other special addresses are refused in every disguise (mapped, NAT64, 6to4,
decimal, octal); `OUTBOUND_ALLOW` names networks that are permitted nevertheless. Redirects are not
followed and no proxy of the environment is used.
"""

import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
LARGEST_ANSWER = 64 * 1024  # bytes that are read of an answer
MAX_URL = 2000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215


class OutboundError(Exception):
    """The call did not come about; the text says why, without anything secret."""


class Refused(OutboundError):
    """This address may not be called."""


@dataclass(frozen=True)
class Answer:
    """What came back: at most `LARGEST_ANSWER` bytes of it."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def is_success(self) -> bool:
        """Only 2xx is success; a redirect is none."""
        return 200 <= self.status < 300


def check_url(url: str) -> None:
    """Whether this may be called, as far as can be said beforehand. Raises Refused.

    A name that cannot be looked up now is let through: it is checked again at each call.
    """
    host = _host(url)
    with contextlib.suppress(OSError, UnicodeError):
        _checked(_look_up(host, 443))


def checked_addresses(host: str, port: int) -> list[Address]:
    """The addresses of a host, each of which may be called: connect to these, never to the name again.

    For what is no HTTP (IMAP, SMTP); TLS still asks for the certificate of the name. Raises Refused, and
    OutboundError for a name that has no address.
    """
    try:
        return _checked(_look_up(host, port))
    except (OSError, UnicodeError):
        raise OutboundError("There is no such host.") from None


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send `body`. Raises Refused, and OutboundError when there is no answer within 15 seconds."""
    _host(url)
    timeouts = {"connect": CONNECT_SECONDS, "pool": CONNECT_SECONDS, "read": TOTAL_SECONDS, "write": TOTAL_SECONDS}
    ends_at = time.monotonic() + TOTAL_SECONDS
    try:
        with (
            httpcore.ConnectionPool(
                network_backend=_CheckedNetwork(), ssl_context=ssl.create_default_context()
            ) as pool,
            pool.stream(
                "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeouts}
            ) as response,
        ):
            return Answer(
                status=response.status,
                headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers},
                body=_read(response.iter_stream(), ends_at),
            )
    except httpcore.TimeoutException:
        raise OutboundError(f"There was no answer within {TOTAL_SECONDS:.0f} seconds.") from None
    except (httpcore.NetworkError, OSError) as error:
        raise OutboundError(f"The connection failed: {type(error).__name__}.") from None
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, UnicodeError):
        raise OutboundError("The answer is no HTTP.") from None


def _read(chunks: Iterable[bytes], ends_at: float) -> bytes:
    """The beginning of the answer, from a server that may send for ever or a byte at a time."""
    read = b""
    for chunk in chunks:
        read += chunk
        if len(read) >= LARGEST_ANSWER:
            break
        if time.monotonic() > ends_at:
            raise OutboundError(f"The answer took longer than {TOTAL_SECONDS:.0f} seconds.")
    return read[:LARGEST_ANSWER]


def _host(url: str) -> str:
    """The host of an address that has the right form. Raises Refused."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Refused("This is no web address.") from None
    if len(url) > MAX_URL or not url.isascii() or any(character <= " " for character in url):
        raise Refused(f"This must be a web address of up to {MAX_URL:,} plain characters.")
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("This must begin with http:// or https:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise Refused("A user name or a password may not stand in the address.")
    return host


def _look_up(host: str, port: int) -> list[Address]:
    """Every address of a host. Raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _checked(addresses: Iterable[Address]) -> list[Address]:
    """The addresses, if each of them may be called. Raises Refused."""
    checked = list(dict.fromkeys(addresses))
    for address in checked:
        if not _is_permitted(address):
            raise Refused("This leads to an address inside a private network, which may not be called.")
    return checked


def _is_permitted(address: Address) -> bool:
    plain = _undisguised(address)
    if any(plain in ipaddress.ip_network(network) for network in settings.OUTBOUND_ALLOW):
        return True
    return plain.is_global and not plain.is_multicast and not plain.is_reserved


def _undisguised(address: Address) -> Address:
    """The address that a mapped, translated or tunnelled one leads to in the end."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if any(address in network for network in _NAT64):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour:
            return address.sixtofour
        if address.teredo:
            return address.teredo[1]
    return address


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to checked addresses only; TLS still asks for the certificate of the name."""

    def __init__(self) -> None:
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Look the host up, and connect to the first of its addresses that answers."""
        addresses = checked_addresses(host, port)
        problem: Exception = OutboundError("There is no such host.")
        for address in addresses:
            try:
                return self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """There are no sockets of this machine behind an address."""
        raise Refused("This may not be called.")

    def sleep(self, seconds: float) -> None:
        """Between the tries of a pool that retries; ours does not."""
        time.sleep(seconds)
