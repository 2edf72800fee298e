"""A receiver of webhooks for measurements: `python receiver.py PORT FILE` writes a line per message, "time id path".

`/hang…` is read and never answered, `/fail…` answered with 500, anything else with 204. It verifies nothing and costs
little: what is measured is the sender.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO

_ANSWERS = {
    b"/fail": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    b"": b"HTTP/1.1 204 No Content\r\n\r\n",
}


class Receiver(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, log: TextIO) -> None:
        self.log = log
        self.read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connects."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what TCP servers get)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """A part of a request, or more than one."""
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            head = self.read[:end].split(b"\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head[1:])
            whole = end + 4 + int(fields.get(b"content-length", b"0"))
            if len(self.read) < whole:
                return
            self.read = self.read[whole:]
            path = head[0].split(b" ")[1]
            self.log.write(f"{time.time():.6f} {fields[b'webhook-id'].decode()} {path.decode()}\n")
            if not path.startswith(b"/hang"):
                self.transport.write(_ANSWERS[b"/fail" if path.startswith(b"/fail") else b""])


async def receive(port: int, file: Path) -> None:
    """Listen on loopback until somebody ends the process."""
    with file.open("a", buffering=1) as log:
        server = await asyncio.get_running_loop().create_server(lambda: Receiver(log), "127.0.0.1", port)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(receive(int(sys.argv[1]), Path(sys.argv[2])))
