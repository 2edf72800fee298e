"""The one way out: where it may lead, and what comes back."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from helpdesk import outbound


class Receiver(ThreadingHTTPServer):
    """A server on loopback that keeps what it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Any = lambda handler: handler.reply(204)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        server.answer(self)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


def post(url: str) -> outbound.Answer:
    return outbound.post(url, body=b'{"a": 1}', headers={"Content-Type": "application/json", "webhook-id": "7"})


@pytest.mark.usefixtures("loopback")
class TestCalling:
    def test_the_bytes_and_headers_arrive_as_they_were_given(self, receiver: Receiver) -> None:
        answer = post(f"{receiver.url}/hooks?x=1")
        assert answer.is_success and answer.status == 204
        ((path, headers, body),) = receiver.got
        assert (path, body, headers["webhook-id"]) == ("/hooks?x=1", b'{"a": 1}', "7")
        assert headers["host"] == receiver.url.removeprefix("http://")

    @pytest.mark.parametrize("status", [302, 400, 410, 500])
    def test_only_2xx_is_success_and_a_redirect_is_not_followed(self, receiver: Receiver, status: int) -> None:
        receiver.answer = lambda handler: handler.reply(status, b"no", Location=receiver.url, **{"Retry-After": "7"})
        answer = post(receiver.url)
        assert not answer.is_success and (answer.status, answer.body) == (status, b"no")
        assert answer.headers["retry-after"] == "7" and len(receiver.got) == 1

    def test_of_a_long_answer_only_the_beginning_is_read(self, receiver: Receiver) -> None:
        receiver.answer = lambda handler: handler.reply(200, b"x" * 500_000)
        assert len(post(receiver.url).body) == outbound.LARGEST_ANSWER

    def test_one_that_does_not_answer_is_left_after_a_while(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.2)
        receiver.answer = lambda handler: time.sleep(1)
        with pytest.raises(outbound.OutboundError, match="no answer"):
            post(receiver.url)

    def test_one_that_drips_is_left_after_a_while(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.3)

        def drip(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            for _ in range(20):
                handler.wfile.write(b"x")
                time.sleep(0.05)

        receiver.answer = drip
        with pytest.raises(outbound.OutboundError, match="longer"):
            post(receiver.url)

    def test_where_nobody_listens_it_says_so(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(outbound.OutboundError, match="connection failed"):
            post(f"http://127.0.0.1:{port}")

    def test_what_is_no_http_is_no_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def speak() -> None:
                peer, _ = server.accept()
                with peer:
                    peer.recv(1000)
                    peer.sendall(b"220 mail ready\r\n\r\n")

            speaker = threading.Thread(target=speak)
            speaker.start()
            with pytest.raises(outbound.OutboundError, match="no HTTP"):
                post(f"http://127.0.0.1:{server.getsockname()[1]}")
            speaker.join()


INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "192.0.2.1",
    "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[2001:db8::1]",
    "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]",  # mapped
    "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]",  # NAT64
    "[2002:7f00:1::]", "[2002:a00:1::]",  # 6to4
    "2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1",  # decimal, hexadecimal, octal, short
    "localhost",
]  # fmt: skip


class TestWhereItMayLead:
    @pytest.mark.parametrize("host", INSIDE)
    def test_an_address_inside_is_refused_in_every_disguise(self, host: str) -> None:
        for scheme in ("http", "https"):
            with pytest.raises(outbound.Refused):
                outbound.check_url(f"{scheme}://{host}/x")
            with pytest.raises(outbound.OutboundError):
                post(f"{scheme}://{host}:9/x")

    @pytest.mark.parametrize(
        "url",
        [
            "", "hooks.example", "ftp://hooks.example", "file:///etc/passwd", "gopher://x", "//hooks.example",
            "http://", "http://:80", "https://user:secret@hooks.example", "https://hooks.example:port",
            "https://hooks.example:99999", "https://hooks.example/ä", "https://hooks.example/\r\nX: 1",
            "https://hooks.example/a b", "https://" + "a" * 2000, "http://[::1",
        ],
    )  # fmt: skip
    def test_what_is_no_web_address_is_refused(self, url: str) -> None:
        with pytest.raises(outbound.Refused):
            outbound.check_url(url)
        with pytest.raises(outbound.Refused):
            post(url)

    @pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::808:808"])
    def test_a_public_address_is_permitted(self, address: str) -> None:
        outbound.check_url(f"https://{f'[{address}]' if ':' in address else address}/")

    def test_one_private_address_among_public_ones_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer_with(monkeypatch, "93.184.215.14", "10.0.0.1")
        with pytest.raises(outbound.Refused):
            outbound.check_url("https://hooks.example")

    def test_a_name_that_cannot_be_looked_up_may_be_kept_and_is_not_called(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", self.nobody)
        outbound.check_url("https://hooks.example")
        with pytest.raises(outbound.OutboundError, match="no such host"):
            post("https://hooks.example")

    def test_a_name_that_changes_its_mind_after_the_check_gains_nothing(
        self, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
    ) -> None:
        self.answer_with(monkeypatch, "93.184.215.14")
        url = f"http://hooks.example:{receiver.server_address[1]}/"
        outbound.check_url(url)
        self.answer_with(monkeypatch, "127.0.0.1")
        with pytest.raises(outbound.Refused):
            post(url)
        assert receiver.got == []

    @pytest.mark.usefixtures("loopback")
    def test_the_connection_goes_to_the_address_that_was_checked(
        self, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
    ) -> None:
        asked: list[str] = []

        def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)
        # The library below would look the name up once more, and gets an address instead.
        assert post(f"http://hooks.example:{receiver.server_address[1]}/").is_success
        assert asked[0] == "hooks.example" and set(asked[1:]) <= {"127.0.0.1"}
        assert receiver.got[0][1]["host"].startswith("hooks.example")

    def test_the_setting_permits_networks(self, settings: Any) -> None:
        settings.OUTBOUND_ALLOW = ["10.1.0.0/16", "fd00::/8"]
        outbound.check_url("http://10.1.2.3/")
        outbound.check_url("http://[fd00::5]/")
        with pytest.raises(outbound.Refused):
            outbound.check_url("http://10.2.0.1/")

    @staticmethod
    def answer_with(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
            family = {4: socket.AF_INET, 6: socket.AF_INET6}
            return [(family[ipaddress.ip_address(a).version], socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

        monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)

    @staticmethod
    def nobody(*args: Any, **options: Any) -> Any:
        raise socket.gaierror


@pytest.mark.usefixtures("loopback")
def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(receiver.url).is_success


class TestAddressesForOtherProtocols:
    @pytest.mark.parametrize("host", INSIDE)
    def test_an_address_inside_is_refused_in_every_disguise(self, host: str) -> None:
        with pytest.raises(outbound.Refused):
            outbound.checked_addresses(host.strip("[]"), 993)

    def test_every_address_of_a_name_is_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def look_up(host: str, port: int, **_: Any) -> list[Any]:
            return [(2, 1, 6, "", (address, port)) for address in ("93.184.216.34", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with pytest.raises(outbound.Refused):
            outbound.checked_addresses("mail.example", 993)

    @pytest.mark.usefixtures("loopback")
    def test_networks_that_are_permitted(self) -> None:
        assert outbound.checked_addresses("127.0.0.1", 993) == [ipaddress.ip_address("127.0.0.1")]

    def test_a_name_without_an_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise socket.gaierror

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(outbound.OutboundError, match="no such host"):
            outbound.checked_addresses("mail.example", 993)
