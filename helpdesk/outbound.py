"""The one way out: connections to addresses that others have given us, and only to where those may lead.

A name is looked up once, every address that it has is checked, and the connection goes to a checked
address, so that a name which changes its mind between check and connect gains nothing. Private,
loopback, link-local and other special addresses are refused in every disguise (mapped, NAT64, 6to4,
decimal, octal); `OUTBOUND_ALLOW` names networks that are permitted nevertheless. Redirects are not
followed, no proxy of the environment is used, and nothing is unpacked (no answer grows while it is read).

`Client` makes many calls at once on one event loop; `post` makes a single one from ordinary code.
"""

import asyncio
import contextlib
import functools
import ipaddress
import re
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

CONNECT_SECONDS = 5.0  # for the connection to one address, and for its TLS
TOTAL_SECONDS = 15.0  # for the whole call: look-up, connection, request and answer
LARGEST_ANSWER = 64 * 1024  # bytes of an answer's body that are kept
MAX_URL = 2000

# The calls under way and the connections kept together stay below the 1,024 files that a process may usually open.
MOST_CALLS = 700
MOST_PER_ORIGIN = 100  # calls under way to one scheme, host and port: a host that hangs leaves the rest to the others
WAIT_SECONDS = 5.0  # for one of these places, before anything is sent
KEEP_SECONDS = 30.0  # a connection without work is kept so long
MOST_KEPT = 200  # connections without work
_LOOKUPS = 32  # names that are looked up at a time: the resolver of the system blocks
# Everything read in answer to one request, with the header fields (up to 100 KiB, httpcore's limit), informational
# answers and the framing of chunks: a server may not send for ever between the bytes that count.
_MOST_READ = 4 * LARGEST_ANSWER

# Header fields that frame the message or the connection (RFC 9110, 7.2 and 7.6.1; RFC 9112, 6): ours alone.
OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer",
     "upgrade", "expect"}
)  # fmt: skip

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME = re.compile(r"[A-Za-z0-9._-]+")  # or an IPv4 address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
# What IANA's registries of special addresses hold beyond what `ipaddress` of Python 3.11 knows. (NAT64 for local use,
# RFC 8215, and segment routing, RFC 9602, are among what it calls reserved.)
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.88.99.0/24",  # relays of 6to4, deprecated by RFC 7526
        "2001::/23",  # protocol assignments, RFC 2928, with Teredo, RFC 4380 (newer ones let parts of it pass)
        "3fff::/20",  # documentation, RFC 9637
        "fec0::/10",  # site-local, deprecated by RFC 3879
    )
)


class OutboundError(Exception):
    """The call did not come about; the text says why, without anything secret."""


class Refused(OutboundError):
    """This address may not be called."""


class Busy(OutboundError):
    """Too many calls are under way here: nothing was sent, which says nothing about the other side."""


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
    host = _target(url).host.decode()
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
    """Send `body`, from code that waits for the answer. Raises what `Client.post` raises.

    Works in any thread: where an event loop runs already, the call is made in a thread of its own.
    """

    async def call() -> Answer:
        async with Client() as client:
            return await client.post(url, body=body, headers=headers)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        is_inside = False
    else:
        is_inside = True
    if not is_inside:
        return asyncio.run(call())
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(asyncio.run, call()).result()


class Client:
    """Many calls at once, on one event loop: `async with Client() as client: await client.post(...)`.

    Connections are kept and used again, each of which leads to an address that was checked when it was made.
    Every origin (scheme, host, port) has a number of places of its own, so that one which hangs takes neither
    connections nor places from the others. (httpcore's pool has one queue for all hosts, and looks through all its
    connections at every request; so its connections are used here, and not its pool.)
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MOST_CALLS)
        # Not the loop's own threads: there are few, and the end of the loop would wait for them without a limit.
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="look-up")
        self._network = _CheckedNetwork(self._threads)
        self._lines: dict[str, _Line] = {}
        # Every connection without work, the one that has had none for longest first: its line, and since when.
        self._kept: OrderedDict[httpcore.AsyncHTTPConnection, tuple[_Line, float]] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections that are kept. No call may be under way any more."""
        await self._let_go(most=0)
        self._network.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body`.

        Raises Refused for an address that may not be called and for header fields that may not be sent; Busy when no
        place came free within `WAIT_SECONDS`; OutboundError when there is no whole answer within `TOTAL_SECONDS`
        from then on (or the first `LARGEST_ANSWER` bytes of it).

        A kept connection that the server closes without a byte of an answer says nothing about the server (RFC 9112,
        9.3.1): the request is sent once more, on a new one. So it may arrive twice, as any request may.
        """
        target = _target(url)
        call = _Call(target, _fields(headers, host=urlsplit(url).netloc), body)
        async with self._place(target.origin) as line:
            try:
                async with asyncio.timeout(TOTAL_SECONDS):
                    return await self._send(call, line)
            except TimeoutError:
                said = "The answer took longer than" if call.is_answered else "There was no answer within"
                raise OutboundError(f"{said} {TOTAL_SECONDS:.0f} seconds.") from None
            except httpcore.TimeoutException:
                raise OutboundError(
                    f"The connection failed: there was no answer within {CONNECT_SECONDS:.0f} seconds."
                ) from None
            except (httpcore.NetworkError, OSError) as error:
                raise OutboundError(f"The connection failed: {type(error).__name__}.") from None
            except httpcore.LocalProtocolError:
                raise Refused("A header has characters that may not be sent.") from None
            except (httpcore.ProtocolError, UnicodeError):
                raise OutboundError("The answer is no HTTP.") from None

    @contextlib.asynccontextmanager
    async def _place(self, origin: httpcore.Origin) -> AsyncIterator["_Line"]:
        """A place among the calls under way. Raises Busy."""
        line = self._lines.setdefault(str(origin), _Line(origin))
        line.calls += 1
        try:
            async with contextlib.AsyncExitStack() as places:
                try:
                    async with asyncio.timeout(WAIT_SECONDS):
                        # In this order: who waits for a busy host holds no place that others could use.
                        await places.enter_async_context(line.places)
                        await places.enter_async_context(self._places)
                except TimeoutError:
                    raise Busy("Too many calls are under way.") from None
                yield line
        finally:
            line.calls -= 1
            self._forget(line)

    async def _send(self, call: "_Call", line: "_Line") -> Answer:
        """Over a kept connection, or else over a new one."""
        await self._let_go(most=MOST_KEPT)
        while line.kept:
            connection = line.kept.pop()
            del self._kept[connection]
            if connection.has_expired():
                await connection.aclose()
                continue
            try:
                return await self._send_over(connection, call, line)
            except _Stale:
                break
        return await self._send_over(
            httpcore.AsyncHTTPConnection(
                line.origin, ssl_context=_tls(), keepalive_expiry=KEEP_SECONDS, network_backend=self._network
            ),
            call,
            line,
        )

    async def _send_over(self, connection: httpcore.AsyncHTTPConnection, call: "_Call", line: "_Line") -> Answer:
        try:
            return await call.through(connection)
        finally:
            if connection.is_available():
                line.kept.append(connection)
                self._kept[connection] = line, asyncio.get_running_loop().time()
            else:
                await connection.aclose()

    async def _let_go(self, *, most: int) -> None:
        """Close connections that have had no work for long, and those beyond `most`."""
        now = asyncio.get_running_loop().time()
        while self._kept:
            connection, (line, since) = next(iter(self._kept.items()))
            if len(self._kept) <= most and now - since < KEEP_SECONDS:
                break
            del self._kept[connection]
            line.kept.remove(connection)
            self._forget(line)
            await connection.aclose()

    def _forget(self, line: "_Line") -> None:
        if not line.calls and not line.kept:
            self._lines.pop(str(line.origin), None)


class _Line:
    """The calls to one origin."""

    def __init__(self, origin: httpcore.Origin) -> None:
        self.origin = origin
        self.places = asyncio.Semaphore(MOST_PER_ORIGIN)
        self.calls = 0  # under way or waiting for a place
        self.kept: list[httpcore.AsyncHTTPConnection] = []  # without work, the latest last


@dataclass
class _Call:
    """One request, and whether its answer has begun."""

    url: httpcore.URL
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_answered: bool = False

    async def through(self, connection: httpcore.AsyncHTTPConnection) -> Answer:
        """Send it, and read the beginning of the answer. Raises what httpcore raises, _Stale and OutboundError."""
        async with connection.stream(
            "POST",
            self.url,
            headers=self.headers,
            content=self.body,
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        ) as response:
            self.is_answered = True
            read = bytearray()
            async with contextlib.aclosing(response.aiter_stream()) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    read += chunk
                    if len(read) >= LARGEST_ANSWER:
                        break
            return Answer(
                status=response.status,
                headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers},
                body=bytes(read[:LARGEST_ANSWER]),
            )


def _target(url: str) -> httpcore.URL:
    """An address that has the right form. Raises Refused.

    It is taken apart once, here: no second reader can see another host in it.
    """
    if len(url) > MAX_URL or not url.isascii() or any(not "!" <= sign <= "~" for sign in url):
        raise Refused(f"This must be a web address of up to {MAX_URL:,} plain characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Refused("This is no web address.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("This must begin with http:// or https:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise Refused("A user name or a password may not stand in the address.")
    is_host = _is_ipv6(host) if "[" in parts.netloc else _NAME.fullmatch(host)
    if not is_host or "\\" in url:
        raise Refused("This is no web address.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(scheme=parts.scheme, host=host, port=port, target=target)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _fields(headers: Mapping[str, str], *, host: str) -> list[tuple[bytes, bytes]]:
    """The header fields as they are sent. Raises Refused."""
    fields = [(b"Host", host.encode())]
    for name, value in headers.items():
        if name.lower() in OWN_HEADERS:
            raise Refused(f"The header {name} may not be set.")
        if not (name + value).isascii():
            raise Refused("A header has characters that may not be sent.")
        fields.append((name.encode(), value.encode()))
    return fields


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
    is_special = plain.is_multicast or plain.is_reserved or any(plain in network for network in _SPECIAL)
    return plain.is_global and not is_special


def _undisguised(address: Address) -> Address:
    """The address that a mapped or translated one leads to in the end."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour:
            return address.sixtofour
    return address


@functools.cache
def _tls() -> ssl.SSLContext:
    """What every connection asks of a certificate. Reading those of the system takes long, so it is done once."""
    return ssl.create_default_context()


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only; TLS still asks for the certificate of the name."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._network = httpcore.AnyIOBackend()
        self._threads = threads
        self._lookups: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    def close(self) -> None:
        """Let go of the names that are still being looked up."""
        for lookup in list(self._lookups.values()):
            lookup.cancel()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look the host up, and connect to the first of its addresses that answers."""
        problem: Exception = OutboundError("There is no such host.")
        for address in await self._addresses(host, port):
            try:
                return _Stream(
                    await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def _addresses(self, host: str, port: int) -> list[Address]:
        """As `checked_addresses`, beside the loop. Calls that ask for the same host at the same time ask once: a name
        whose server does not answer holds one thread, however many calls wait for it."""
        lookup = self._lookups.get((host, port))
        if lookup is None:
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, checked_addresses, host, port)
            self._lookups[host, port] = lookup
            lookup.add_done_callback(lambda _: self._lookups.pop((host, port)))
        return await asyncio.shield(lookup)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """There are no sockets of this machine behind an address."""
        raise Refused("This may not be called.")

    async def sleep(self, seconds: float) -> None:
        """Between the tries of a pool that retries; ours does not."""
        await asyncio.sleep(seconds)


class _Stale(Exception):
    """The server has closed a kept connection, and has not answered a byte of this request."""


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that counts what comes back for each request."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._requests = 0
        self._is_writing = False
        self._read = 0  # bytes since the latest request

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Raises _Stale, and OutboundError when too much is sent."""
        self._is_writing = False
        is_used_again = self._requests > 1 and not self._read
        try:
            data = await self._stream.read(max_bytes, timeout)
        except httpcore.ReadError:
            if is_used_again:
                raise _Stale from None
            raise
        if is_used_again and not data:
            raise _Stale
        self._read += len(data)
        if self._read > _MOST_READ:
            raise OutboundError("The answer is too large.")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """The first write after a read begins another request."""
        if not self._is_writing:
            self._is_writing = True
            self._requests += 1
            self._read = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The same connection, encrypted. Raises OutboundError for a certificate that is not good."""
        try:
            return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise OutboundError(f"The certificate is not good: {error.__cause__.verify_message}.") from None
            raise
        except BaseException:
            await self._stream.aclose()  # httpcore closes it after a failure, and not when time is up
            raise

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks about the socket."""
        return self._stream.get_extra_info(info)
