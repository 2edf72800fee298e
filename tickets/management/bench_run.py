"""Measuring: two servers on loopback, the same questions to both, in turns, and once more in bare SQL."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import connection

from helpdesk import embedded
from tickets.management import demo_bulk, demo_data

HOST = "127.0.0.1"
AGENT = f"maria@{demo_data.DOMAIN}"
WARM_UP = 8
LONGEST = 12.0  # seconds for one line of the table


class BenchError(RuntimeError):
    """The benchmark cannot go on; the message says why."""


# --- A client that costs little ---------------------------------------------------------------


class Client:
    """One kept-alive connection to one server, with its cookies and headers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http = http.client.HTTPConnection(HOST, port, timeout=120)
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: Any = None, *, form: bool = False, expect: tuple[int, ...] = (200, 201)
    ) -> bytes:
        """The body of the answer. Raises BenchError for a status that was not expected."""
        headers = dict(self.headers)
        data = None
        if body is not None:
            data = urlencode(body).encode() if form else json.dumps(body).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.http.request(method, path, data, headers)
        answer = self.http.getresponse()
        text = answer.read()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        if answer.status not in expect:
            raise BenchError(f"{method} {path} answered {answer.status}: {text[:300].decode(errors='replace')}")
        return text

    def sign_in_to_api(self, email: str) -> None:
        """Get a token, and send it from now on."""
        said = json.loads(self.ask("POST", "/api/auth/token", {"email": email, "password": demo_data.PASSWORD}))
        self.headers["Authorization"] = f"Bearer {said['access']}"

    def sign_in_to_console(self, email: str) -> None:
        """Fill in the sign-in form, and keep the session."""
        page = self.ask("GET", "/sign-in").decode()
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if not found:
            raise BenchError("The sign-in form has no token.")
        fields = {"csrfmiddlewaretoken": found[1], "username": email, "password": demo_data.PASSWORD}
        self.ask("POST", "/sign-in", fields, form=True, expect=(302,))


@contextlib.contextmanager
def serving(module: str, environment: dict[str, str], log: Path) -> Iterator[int]:
    """Run gunicorn with this WSGI module on a free port of loopback; gives the port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", module, "--bind", f"{HOST}:{port}", "--worker-class", "gthread"]
    command += [
        "--workers",
        "1",
        "--threads",
        "4",
        "--keep-alive",
        "3600",
        "--log-level",
        "warning",
        "--no-control-socket",
    ]
    with log.open("w") as out:
        server = subprocess.Popen(  # noqa: S603  our own command
            command,
            env=environment,
            cwd=settings.BASE_DIR,
            stdout=out,
            stderr=out,
            preexec_fn=embedded.dies_with_parent(signal.SIGTERM),
        )
        try:
            _wait_for(port, server, log)
            yield port
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.1)
    raise BenchError(f"The server did not start: {log.read_text()[-600:]}")


# --- What is measured -------------------------------------------------------------------------


@dataclass
class Timing:
    """The times of one kind of request, in milliseconds."""

    times: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p90(self) -> float:
        return sorted(self.times)[int(len(self.times) * 0.9)]

    @property
    def rate(self) -> float:
        """Requests per second, one after the other."""
        return 1000 / statistics.fmean(self.times)


@dataclass
class Line:
    """One line of the table: ours, the yardstick's and bare SQL's, and the mark that ours must keep."""

    name: str
    ours: Timing
    minimal: Timing
    sql: Timing
    limit: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours.median / self.minimal.median

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return f"{'pass' if self.ratio <= self.limit else 'FAIL'} (≤ {self.limit:g}×)"


def measure(count: int, *asking: Callable[[], Any]) -> list[Timing]:
    """Ask in turns, so that whatever disturbs one disturbs all; stops early after some seconds."""
    timings = [Timing() for _ in asking]
    for _ in range(WARM_UP):
        for ask in asking:
            ask()
    began = time.monotonic()
    for turn in range(count):
        for ask, timing in zip(asking, timings, strict=True):
            start = time.perf_counter()
            ask()
            timing.times.append((time.perf_counter() - start) * 1000)
        if turn >= 5 and time.monotonic() - began > LONGEST:
            break
    return timings


_COLUMNS = (
    "id, ticket_number, subject, status, priority, requester_email, requester_name, assignee_id, created_at, updated_at"
)
_NEWEST = f"SELECT {_COLUMNS} FROM tickets WHERE workspace_id = %s AND trashed_at IS NULL"  # noqa: S608
_ORDER = " ORDER BY created_at DESC, id DESC LIMIT 20"
_FOUND = (
    f"WITH found AS MATERIALIZED (SELECT ticket_id FROM ticket_search WHERE workspace_id = %s AND words @@ "  # noqa: S608
    f"websearch_to_tsquery('helpdesk', %s) LIMIT 2000) SELECT {_COLUMNS} FROM tickets WHERE id IN (SELECT ticket_id "
    f"FROM found) AND trashed_at IS NULL{_ORDER}"
)


@dataclass
class Bench:
    """The questions, and whom to ask."""

    api: Client
    page: Client
    minimal: Client
    workspace_id: uuid.UUID
    count: int

    def sql(self, statement: str, *values: Any) -> Callable[[], Any]:
        """Ask the database itself."""

        def ask() -> Any:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall()

        return ask

    def any_ticket(self) -> uuid.UUID:
        """A ticket with a conversation, not merged."""
        ask = self.sql(
            _NEWEST + " AND merged_into_id IS NULL AND first_response_at IS NOT NULL" + _ORDER, self.workspace_id
        )
        found: uuid.UUID = ask()[7][0]
        return found

    def lines(self) -> Iterator[Line]:
        """The table, line by line."""
        ticket = self.any_ticket()
        newest = self.sql(_NEWEST + _ORDER, self.workspace_id)
        one = self.sql("SELECT * FROM tickets WHERE id = %s", ticket)

        def get(client: Client, path: str) -> Callable[[], Any]:
            return lambda: client.ask("GET", path)

        few, detail = get(self.minimal, "/tickets"), get(self.minimal, f"/tickets/{ticket}")
        yield self._line("list, API", get(self.api, "/api/tickets?limit=20"), few, newest, 2)
        yield self._line("list, page (all)", get(self.page, "/tickets/view/all"), few, newest, 4)
        yield self._line("detail, API", get(self.api, f"/api/tickets/{ticket}"), detail, one, 2)
        yield self._line("detail, page", get(self.page, f"/tickets/{ticket}"), detail, one)
        for kind, word in (("rare", demo_bulk.RARE_WORD), ("common", demo_bulk.COMMON_WORD)):
            yield self._line(
                f"search, {kind} word",
                get(self.api, f"/api/tickets?limit=20&search={word}"),
                get(self.minimal, f"/tickets?search={word}"),
                self.sql(_FOUND, self.workspace_id, word),
            )
        body = {"subject": "Bench", "description": "One more.", "requester_email": "bench@mail.example"}
        yield self._line(
            "create, API",
            lambda: self.api.ask("POST", "/api/tickets", body),
            lambda: self.minimal.ask("POST", "/tickets", body),
            self._insert,
        )

    def _line(
        self,
        name: str,
        ours: Callable[[], Any],
        minimal: Callable[[], Any],
        sql: Callable[[], Any],
        limit: float | None = None,
    ) -> Line:
        first, second, third = measure(self.count, ours, minimal, sql)
        return Line(name, first, second, third, limit)

    def _insert(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tickets (id, workspace_id, number, subject, description, description_html, status, "
                "priority, channel, requester_id, requester_email, requester_name, created_at, updated_at, version) "
                "SELECT %s, workspace_id, %s, 'Bench', 'One more.', '', 'open', 'medium', 'api', id, email, '', "
                "now(), now(), 1 FROM accounts_contact WHERE workspace_id = %s LIMIT 1",
                [uuid.uuid4(), time.time_ns(), self.workspace_id],
            )

    def first_pages(self) -> dict[str, Callable[[], Any]]:
        """Ways to ask for the first page of every view, total included."""
        asking = {
            "page, mine": (self.page, "/tickets/view/mine"),
            "page, unassigned": (self.page, "/tickets/view/unassigned"),
            "page, all": (self.page, "/tickets/view/all"),
            "API, all": (self.api, "/api/tickets?limit=20"),
            "API, status and priority": (self.api, "/api/tickets?status=open,pending&priority=high&limit=20"),
        }
        return {name: partial(client.ask, "GET", path) for name, (client, path) in asking.items()}


def environment_for(database_url: str, redis_url: str, data_dir: Path) -> dict[str, str]:
    """The environment of the benchmark's servers: the demo's, with no limits of rate."""
    endless = "1000000/min"
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "ENVIRONMENT": "demo",
        "BIND": HOST,
        "SECRET_KEY": settings.SECRET_KEY,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(data_dir),
        "API_RATE": endless,
        "API_SIGN_IN_RATE": endless,
        "PUBLIC_RATE": endless,
        "LOG_LEVEL": "WARNING",
    }
