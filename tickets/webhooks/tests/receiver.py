"""A receiver of webhooks on loopback, for tests: keeps what arrives as it arrived, and answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True)
class Reply:
    """What the receiver answers. `hang`: seconds before it does; the end of the test ends that, too."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: float = 0.0


@dataclass(frozen=True)
class Received:
    """One request: path with query, header fields with names in lower case, and the bytes of the body."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float  # time.monotonic()

    @property
    def message_id(self) -> str:
        """Which message this is."""
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The payload, verified by the public library as a receiver does. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, dict(self.headers))


class Receiver:
    """Answers each request with what `answer` makes of it: a Reply, or a function of the request."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.answer: Reply | Callable[[Received], Reply] = Reply()
        self.released = threading.Event()
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.port: int = self._server.server_address[1]

    def url(self, path: str = "/hook") -> str:
        """An address that leads here."""
        return f"http://127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Listen, in a thread."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Answer what hangs, and end."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: Received) -> Reply:
        """Keep a request; gives the answer."""
        with self._arrived:
            self.received.append(request)
            self._arrived.notify_all()
        reply = self.answer if isinstance(self.answer, Reply) else self.answer(request)
        if reply.hang:
            self.released.wait(reply.hang)
        return reply

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Received]:
        """Wait until so many requests came; gives them. Raises TimeoutError."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.received) >= count, seconds):
                raise TimeoutError(f"{len(self.received)} of {count} requests came.")
            return list(self.received)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.take(Received(self.path, headers, body, time.monotonic()))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the sender has given up
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def receiving(answer: Reply | Callable[[Received], Reply] | None = None) -> Iterator[Receiver]:
    """A receiver that listens while the block runs. The test must permit loopback (OUTBOUND_ALLOW)."""
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
