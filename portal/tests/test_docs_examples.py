"""What docs/api.md shows, run as it stands there: a client, a receiver of our webhooks, and calls for customers."""

import datetime as dt
import http.client
import json
import os
import queue
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from helpdesk.accounts import tokens
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.events import SYSTEM
from tickets.models import Ticket
from tickets.services import status
from tickets.tests.factories import make_agent, make_ticket
from tickets.webhooks import payloads

CLIENT, RECEIVER = "A small client in Python", "A receiver in Python"
SECONDS = 60  # for what another process does on a busy machine


def program(section: str) -> str:
    """The Python program of a section of docs/api.md."""
    text = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text()
    (found,) = re.findall(rf"^## {re.escape(section)}\n.*?^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


class Running:
    """A program of the documentation in a process and a folder of its own, and what it prints."""

    def __init__(self, section: str, folder: Path, **environment: str) -> None:
        self.script = folder / "program.py"
        self.script.write_text(program(section))
        # Nothing of ours is on its path or in its environment: it has to run anywhere.
        known = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-I", self.script.name],
            cwd=folder, env=known | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())

    def says(self) -> str:
        """The next line it prints."""
        return self._lines.get(timeout=SECONDS)

    def says_nothing_more(self) -> bool:
        return self._lines.empty()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """A function that starts the program of a section, in one folder for all of a test."""
    started: list[Running] = []

    def start(section: str, **environment: str) -> Running:
        started.append(Running(section, tmp_path, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


# --- The client -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_client_opens_a_ticket_once_lists_and_goes_on_where_it_was(live_server: Any, run: Any) -> None:
    agent = make_agent(WorkspaceFactory())
    earlier = make_ticket(agent.workspace, subject="Earlier")
    _, key = tokens.make_api_key(membership=agent, name="k", scopes=["write"], expires_at=None, now=timezone.now())
    environment = {"HELPDESK": live_server.url, "HELPDESK_KEY": key}

    client = run(CLIENT, **environment)
    assert client.says() == "Opened #1002"
    assert [client.says(), client.says()] == ["Waiting #1001 Earlier", "Waiting #1002 The parcel is damaged"]
    assert client.says() == "News ticket.created #1002"
    make_ticket(agent.workspace, subject="While it runs")
    assert client.says() == "News ticket.created #1003"
    client.kill()

    for n in (1, 2, 3):
        make_ticket(agent.workspace, subject=f"While it is away {n}")
    status.change_status(ticket=earlier, to="resolved", actor=SYSTEM, now=timezone.now())
    client = run(CLIENT, **environment)
    assert client.says() == "Opened #1002"  # the same one again
    assert Ticket.unscoped.filter(subject="The parcel is damaged").count() == 1
    waiting = ["The parcel is damaged", "While it runs", *(f"While it is away {n}" for n in (1, 2, 3))]
    assert [client.says() for _ in waiting] == [f"Waiting #{1002 + n} {words}" for n, words in enumerate(waiting)]
    news = [client.says()]
    while news[-1] != "News ticket.resolved #1001":
        news.append(client.says())
    assert [line for line in news if line.startswith("News ticket.created")] in (
        [f"News ticket.created #{n}" for n in (1004, 1005, 1006)],
        [f"News ticket.created #{n}" for n in (1003, 1004, 1005, 1006)],  # killed with the first one in its hands
    )


@pytest.fixture
def client() -> Any:
    """The names of the client's program, without its waits: what it would wait is in `waits`."""
    names: dict[str, Any] = {"__name__": "client", "waits": []}
    exec(compile(program(CLIENT), "docs/api.md", "exec"), names)  # noqa: S102 (our own documentation)
    names["time"] = SimpleNamespace(sleep=names["waits"].append)
    return SimpleNamespace(**names)


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that answers with what it is given, and keeps what it was asked; None closes the connection."""
    monkeypatch.setenv("no_proxy", "*")

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append((self.path, dict(self.headers), body))
            answer = server.answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            code, headers, given = answer
            text = json.dumps(given).encode()
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST  # noqa: N815 (the library's name)

        def log_message(self, *_: Any) -> None:
            pass

    server: Any = HTTPServer(("127.0.0.1", 0), Answers)
    server.asked, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_client_waits_as_it_is_told_and_asks_again_under_the_same_key(client: Any, moody: Any) -> None:
    moody.answers = [(429, {"Retry-After": "7"}, {}), (503, {}, {}), None, (201, {}, {"ticket_number": "#1"})]
    helpdesk = client.Helpdesk(f"http://127.0.0.1:{moody.server_port}", "hdk_x")
    assert helpdesk.create_ticket("order-1", subject="s") == {"ticket_number": "#1"}
    assert client.waits == [7.0, 4.0, 8.0]
    assert {headers["Idempotency-Key"] for _, headers, _ in moody.asked} == {"order-1"}
    assert {body for _, _, body in moody.asked} == {b'{"subject": "s"}'}


def test_the_client_does_not_insist_where_it_is_refused_nor_for_ever(client: Any, moody: Any) -> None:
    helpdesk = client.Helpdesk(f"http://127.0.0.1:{moody.server_port}", "hdk_x", tries=3)
    moody.answers = [(400, {}, {})]
    with pytest.raises(HTTPError, match="400"):
        helpdesk.call("GET", "/tickets")
    assert client.waits == []
    moody.answers = [(500, {}, {})] * 3
    with pytest.raises(HTTPError, match="500"):
        helpdesk.call("GET", "/tickets")
    assert client.waits == [2.0, 4.0]


def test_the_client_reads_every_page_of_a_list(client: Any, moody: Any) -> None:
    helpdesk = client.Helpdesk(f"http://127.0.0.1:{moody.server_port}", "hdk_x")
    moody.answers = [(200, {}, {"tickets": [n], "pagination": {"totalPages": 3}}) for n in range(3)]
    assert list(helpdesk.tickets(status="open")) == [0, 1, 2]
    assert [path.rpartition("&")[2] for path, _, _ in moody.asked] == ["page=1", "page=2", "page=3"]


def test_the_client_keeps_its_place_only_when_it_is_done_with_an_event(client: Any, moody: Any, tmp_path: Path) -> None:
    helpdesk, place = client.Helpdesk(f"http://127.0.0.1:{moody.server_port}", "hdk_x"), tmp_path / "place"
    two = {"events": [{"cursor": "1-1"}, {"cursor": "1-2"}], "next": "1-3", "has_more": False}
    moody.answers = [(200, {}, {"next": "1-0"}), (200, {}, two), (200, {}, two)]
    helpdesk.begin(place)
    helpdesk.begin(place)  # it knows its place already
    events = helpdesk.events(place)
    assert (next(events)["cursor"], place.read_text()) == ("1-1", "1-0")
    assert (next(events)["cursor"], place.read_text()) == ("1-2", "1-1")
    next(events)
    assert (place.read_text(), client.waits) == ("1-3", [5.0])
    assert [path for path, _, _ in moody.asked] == [
        f"/api/tickets/events?after={cursor}" for cursor in ("latest", "1-0", "1-3")
    ]


# --- The receiver -----------------------------------------------------------------------------


class Receiver:
    """The receiver of the documentation as it runs, and a sender of messages as ours signs them."""

    def __init__(self, run: Callable[..., Running]) -> None:
        self.secret = payloads.new_secret()
        self._run = run
        self.start()

    def start(self) -> None:
        self.process = self._run(RECEIVER, WEBHOOK_SECRET=self.secret, PORT="0")
        self.port = int(self.process.says().removeprefix("Listening on port "))

    def is_done(self) -> None:
        """Wait until it has noted that all it took is done."""
        until = time.monotonic() + SECONDS
        with closing(sqlite3.connect(self.process.script.parent / "webhooks.db", timeout=SECONDS)) as file:
            while file.execute("SELECT count(*) FROM messages WHERE NOT is_done").fetchone()[0]:
                assert time.monotonic() < until

    @property
    def url(self) -> str:
        """Where it takes messages."""
        return f"http://127.0.0.1:{self.port}/"

    def post(
        self,
        body: str | bytes,
        *,
        message_id: str = "",
        keys: Sequence[str] = (),
        at: dt.datetime | None = None,
        signed: str | None = None,
        **headers: str,
    ) -> int:
        """Send a message signed with `keys` (its secret) at a time (now); gives the status of the answer.

        `signed` is what the signature is made of, where that is another body.
        """
        given = payloads.signed_headers(
            message_id=message_id or str(uuid4()),
            body=signed if signed is not None else str(body),
            keys=keys or [self.secret],
            at=at or timezone.now(),
        )
        sent = {name: value for name, value in (given | headers).items() if value}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request("POST", "/", body if isinstance(body, bytes) else body.encode(), sent)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture
def receiver(run: Callable[..., Running]) -> Receiver:
    """The receiver, listening."""
    return Receiver(run)


def message(event: str = "ticket.created", number: str = "#1001") -> str:
    """A message of ours."""
    payload = payloads.CATALOGUE[event].payload(timezone.now())
    return payloads.body_of(payload | {"data": payload["data"] | {"ticket_number": number, "subject": "Größe “9”"}})


def test_the_receiver_takes_what_is_signed_and_does_it_once(receiver: Receiver) -> None:
    twice = str(uuid4())
    assert receiver.post(message(number="#1"), message_id=twice) == 204
    assert receiver.process.says() == "ticket.created #1"
    assert receiver.post(message(number="#1"), message_id=twice) == 204
    assert receiver.post(message("ticket.resolved", "#2")) == 204
    assert receiver.process.says() == "ticket.resolved #2"  # and not the first one again
    receiver.is_done()
    receiver.process.kill()
    receiver.start()
    assert receiver.post(message(number="#1"), message_id=twice) == 204  # it remembers over its own end
    assert receiver.post(message(number="#3")) == 204
    assert receiver.process.says() == "ticket.created #3"
    assert receiver.process.says_nothing_more()


def test_the_receiver_takes_either_signature_while_a_secret_is_replaced(receiver: Receiver) -> None:
    other = payloads.new_secret()
    assert receiver.post(message(number="#1"), keys=[other, receiver.secret]) == 204
    assert receiver.post(message(number="#2"), keys=[receiver.secret, other]) == 204
    assert receiver.post(message(number="#3"), keys=[other]) == 401
    assert [receiver.process.says(), receiver.process.says()] == ["ticket.created #1", "ticket.created #2"]


def test_the_receiver_refuses_what_is_not_from_us_and_does_nothing(receiver: Receiver) -> None:
    good, now = message(), timezone.now()
    minutes = dt.timedelta(minutes=6)
    refused = {
        "altered": receiver.post(good.replace("#1001", "#1002"), signed=good),
        "one byte more": receiver.post(good + " ", signed=good),
        "too old": receiver.post(good, at=now - minutes),
        "of the future": receiver.post(good, at=now + minutes),
        "under another id": receiver.post(good, **{"webhook-id": str(uuid4())}),
        "at another time": receiver.post(good, **{"webhook-timestamp": str(int(now.timestamp()) - 1)}),
        "without a signature": receiver.post(good, **{"webhook-signature": ""}),
        "with half a signature": receiver.post(good, **{"webhook-signature": "v1"}),
        "with nonsense": receiver.post(good, **{"webhook-signature": "v1,???"}),
        "of another version": receiver.post(good, **{"webhook-signature": "v2,AAAA"}),
        "no text": receiver.post(b"\xff\xfe", signed=good),
        "nothing": receiver.post("", signed=good),
    }
    assert set(refused.values()) == {401}, refused
    assert receiver.post("x" * 1_000_001) == 413
    assert receiver.post(message(number="#9")) == 204
    assert receiver.process.says() == "ticket.created #9"
    assert receiver.process.says_nothing_more()


# --- What customers do ------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are calls of curl")
@pytest.mark.django_db(transaction=True)
def test_the_calls_for_customers_do_what_the_page_says(live_server: Any, tmp_path: Path) -> None:
    agent = make_agent(WorkspaceFactory())
    picture = b"\xff\xd8\xff\xe0 a picture"
    (tmp_path / "parcel.jpg").write_bytes(picture)
    text = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text()
    section = text.partition("## For customers\n")[2].partition("\n## ")[0]
    names = {"HELPDESK": live_server.url, "WORKSPACE": str(agent.workspace_id), "PATH": os.environ["PATH"]}

    def call(example: str) -> Any:
        shown = subprocess.run(
            ["bash", "-euc", example.replace("curl ", "curl --silent --show-error --noproxy '*' ")],
            cwd=tmp_path, env=names, capture_output=True, check=True, timeout=SECONDS,
        ).stdout  # fmt: skip
        return json.loads(shown) if shown else None

    submit, read, load, reply, rate, ask, look = re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    given = call(submit)
    names |= {"TICKET": given["ticket"]["id"], "TOKEN": given["accessToken"]}
    assert call(submit) == given  # under the same key
    names["URL"] = call(read)["ticket"]["attachments"][0]["url"]
    call(load)
    assert (tmp_path / "copy.jpg").read_bytes() == picture
    assert call(reply)["comment"]["body"] == "It rattles, too."
    assert call(rate)["code"] == "not_resolved"
    status.change_status(ticket=Ticket.unscoped.get(), to="resolved", actor=SYSTEM, now=timezone.now())
    assert call(rate)["satisfaction"]["rating"] == 5
    assert set(call(ask)) == {"detail"}
    assert [ticket["id"] for ticket in call(look)["tickets"]] == [names["TICKET"]]
