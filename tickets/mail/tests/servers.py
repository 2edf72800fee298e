"""Servers that the tests of mail start, as processes of their own."""

import socket
import time


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def until_it_listens(port: int, seconds: float = 30) -> None:
    """Wait for another process to listen."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)
        else:
            return
