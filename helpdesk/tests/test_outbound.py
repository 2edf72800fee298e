"""The one way out: where it may lead, and what comes back."""

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
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


Post = Callable[[str], outbound.Answer]
HEADERS = {"Content-Type": "application/json", "webhook-id": "7"}


def call_and_wait(url: str) -> outbound.Answer:
    return outbound.post(url, body=b'{"a": 1}', headers=HEADERS)


def call_on_a_loop(url: str) -> outbound.Answer:
    async def call() -> outbound.Answer:
        async with outbound.Client() as client:
            return await client.post(url, body=b'{"a": 1}', headers=HEADERS)

    return asyncio.run(call())


@pytest.fixture(params=[call_and_wait, call_on_a_loop])
def post(request: pytest.FixtureRequest) -> Any:
    """Both ways to call: what is refused to one is refused to the other."""
    return request.param


@pytest.mark.usefixtures("loopback")
class TestCalling:
    def test_the_bytes_and_headers_arrive_as_they_were_given(self, post: Post, receiver: Receiver) -> None:
        answer = post(f"{receiver.url}/hooks?x=1")
        assert answer.is_success and answer.status == 204
        ((path, headers, body),) = receiver.got
        assert (path, body, headers["webhook-id"]) == ("/hooks?x=1", b'{"a": 1}', "7")
        assert headers["host"] == receiver.url.removeprefix("http://")

    @pytest.mark.parametrize("status", [302, 303, 307, 308, 400, 410, 500])
    def test_only_2xx_is_success_and_a_redirect_is_not_followed(
        self, post: Post, receiver: Receiver, status: int, settings: Any
    ) -> None:
        settings.OUTBOUND_ALLOW = ["127.0.0.1/32"]
        with socket.create_server(("127.0.0.2", 0)) as inside:
            there = f"http://127.0.0.2:{inside.getsockname()[1]}/"
            receiver.answer = lambda handler: handler.reply(status, b"no", Location=there, **{"Retry-After": "7"})
            answer = post(receiver.url)
            assert not answer.is_success and (answer.status, answer.body) == (status, b"no")
            assert answer.headers["retry-after"] == "7" and len(receiver.got) == 1
            assert nobody_came(inside)

    def test_a_path_arrives_with_all_its_parts(self, post: Post, receiver: Receiver) -> None:
        post(f"{receiver.url}/a;b=1/%2e%2e/c;d?x=1&y=%20#there")
        assert receiver.got[0][0] == "/a;b=1/%2e%2e/c;d?x=1&y=%20"

    def test_of_a_long_answer_only_the_beginning_is_read(self, post: Post, receiver: Receiver) -> None:
        receiver.answer = lambda handler: handler.reply(200, b"x" * 500_000)
        assert len(post(receiver.url).body) == outbound.LARGEST_ANSWER

    def test_one_that_does_not_answer_is_left_after_a_while(
        self, post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.2)
        receiver.answer = lambda handler: time.sleep(1)
        with pytest.raises(outbound.OutboundError, match="no answer"):
            post(receiver.url)

    def test_one_that_sends_header_fields_a_byte_at_a_time_is_left_after_a_while(
        self, post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.3)
        is_left = threading.Event()

        def drip(handler: Any) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(100):  # every byte well within the time, all of them far beyond it
                handler.wfile.write(b"x")
                if is_left.wait(0.05):
                    break

        receiver.answer = drip
        before = time.monotonic()
        with pytest.raises(outbound.OutboundError, match="no answer"):
            post(receiver.url)
        is_left.set()
        assert time.monotonic() - before < 2

    def test_one_that_drips_is_left_after_a_while(
        self, post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

    def test_where_nobody_listens_it_says_so(self, post: Post) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(outbound.OutboundError, match="connection failed"):
            post(f"http://127.0.0.1:{port}")

    def test_what_is_no_http_is_no_answer(self, post: Post) -> None:
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


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A real port of this machine, on all its addresses, which nobody may reach."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.setblocking(False)
        yield server


def nobody_came(server: socket.socket) -> bool:
    """The system completes a connection before anybody accepts it: one that was made waits here."""
    server.setblocking(False)
    try:
        server.accept()
    except BlockingIOError:
        return True
    return False


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which a connection was tried. Only 127.0.0.1 can be reached."""
    tried: list[str] = []
    connect = asyncio.selector_events.BaseSelectorEventLoop.sock_connect  # type: ignore[attr-defined]

    async def record(loop: Any, sock: socket.socket, address: Any) -> None:
        tried.append(address[0])
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError
        await connect(loop, sock, address)

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", record)
    return tried


def is_plain(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host.strip("[]"), 80)
    except OSError:
        return False
    return True


INSIDE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.5.5", "172.31.255.255", "192.168.1.1", "169.254.0.1",
    "169.254.169.254", "100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250",
    "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.1",
    "192.0.0.8", "192.0.0.192", "192.88.99.1",
    "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[ff0e::1]",
    "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[100::1]", "[2001:2::1]", "[2001:10::1]", "[2001:20::1]",
    "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::FFFF:7F00:1]", "[0:0:0:0:0:ffff:0a00:0001]",  # mapped
    "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]",  # compatible, translated
    "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]", "[64:ff9b:1::808:808]",  # NAT64
    "[2002:7f00:1::]", "[2002:a00:1::]",  # 6to4
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[2001::f7f7:f7f7]",  # Teredo, to 127.0.0.1 and to a public address
    "2130706433", "0x7f000001", "017700000001", "127.1", "127.0.1", "0177.0.0.1", "0x7f.1", "0X7F.0.0.1", "0",
    "localhost", "LOCALHOST", "LocalHost", "localhost.", "127.0.0.1.",
]  # fmt: skip


class TestWhereItMayLead:
    @pytest.mark.parametrize("host", INSIDE)
    def test_an_address_inside_is_refused_in_every_disguise(
        self, post: Post, host: str, listening: socket.socket, connects: list[str]
    ) -> None:
        for scheme in ("http", "https", "HTTP"):
            url = f"{scheme}://{host}:{listening.getsockname()[1]}/x"
            # Not every resolver takes every spelling: what it does not know leads nowhere.
            with pytest.raises(outbound.Refused if is_known(host) else outbound.OutboundError):
                post(url)
            if is_known(host):
                with pytest.raises(outbound.Refused):
                    outbound.check_url(url)
        assert connects == [] and nobody_came(listening)

    @pytest.mark.parametrize("address", [host.strip("[]") for host in INSIDE if is_plain(host.strip("[]"))])
    def test_a_name_that_leads_there_is_refused(
        self, post: Post, address: str, monkeypatch: pytest.MonkeyPatch, connects: list[str], listening: socket.socket
    ) -> None:
        self.answer_with(monkeypatch, address)
        with pytest.raises(outbound.Refused):
            outbound.check_url("https://hooks.example")
        with pytest.raises(outbound.Refused):
            post(f"http://hooks.example:{listening.getsockname()[1]}")
        assert connects == [] and nobody_came(listening)

    @pytest.mark.parametrize(
        "url",
        [
            "", "hooks.example", "ftp://hooks.example", "file:///etc/passwd", "gopher://x", "//hooks.example",
            "http://", "http://:80", "https://user:secret@hooks.example", "https://hooks.example:port",
            "https://hooks.example:99999", "https://hooks.example/ä", "https://hooks.example/\r\nX: 1",
            "https://hooks.example/a b", "https://" + "a" * 2000, "http://[::1", "ws://hooks.example",
            "wss://hooks.example", "gopher://127.0.0.1:70/_x", "ftp://127.0.0.1/", "file://127.0.0.1/etc/passwd",
            "data:text/plain,x", "javascript:x", "HTTP+UNIX://127.0.0.1/", "http:127.0.0.1", "http:/127.0.0.1/",
            "http:///127.0.0.1/", " http://127.0.0.1/", "http://127.0.0.1 /", "http://127.0.0.1\t/", "http://127.0.0.1\0/",
            "http://good@127.0.0.1/", "http://good:x@127.0.0.1/", "http://good.example@127.0.0.1/",
            "http://@127.0.0.1/", "http://good\\@127.0.0.1/", "http://127.0.0.1\\@good.example/",
            "http://127.0.0.1\\.good.example/", "http://good.example\\127.0.0.1/", "http:\\\\127.0.0.1/",
            "http://127.0.0.%31/", "http://127.0.0.1%00.good.example/", "http://[::1%25lo]/", "http://[fe80::1%25eth0]/",
            "http://[v1.x]/", "http://a,127.0.0.1/", "http://good.example&@127.0.0.1#@good.example/",
            "http://１２７.0.0.1/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
            "http://bücher.example/",
        ],
    )  # fmt: skip
    def test_what_is_no_web_address_is_refused(self, post: Post, url: str, connects: list[str]) -> None:
        with pytest.raises(outbound.Refused):
            outbound.check_url(url)
        with pytest.raises(outbound.Refused):
            post(url)
        assert connects == []

    @pytest.mark.parametrize(
        "address",
        [
            "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::808:808", "2002:808:808::1",
            "::ffff:8.8.8.8",
            # Just outside of what is special:
            "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
            "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0",
            "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
            "2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "3ffe:ffff::", "3fff:1000::", "2620:4f:8000::1",
        ],
    )  # fmt: skip
    def test_a_public_address_is_permitted(self, address: str) -> None:
        outbound.check_url(f"https://{f'[{address}]' if ':' in address else address}/")

    @pytest.mark.parametrize("inside", ["10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1"])
    def test_one_private_address_among_public_ones_is_enough(
        self, post: Post, inside: str, monkeypatch: pytest.MonkeyPatch, connects: list[str]
    ) -> None:
        for answers in (("93.184.215.14", inside), (inside, "93.184.215.14")):
            self.answer_with(monkeypatch, *answers)
            with pytest.raises(outbound.Refused):
                outbound.check_url("https://hooks.example")
            with pytest.raises(outbound.Refused):
                post("https://hooks.example")
        assert connects == []

    def test_a_name_that_changes_its_mind_between_look_up_and_connection_gains_nothing(
        self, post: Post, monkeypatch: pytest.MonkeyPatch, listening: socket.socket, connects: list[str]
    ) -> None:
        answers = iter(["93.184.215.14"])

        def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
            # Public when it is asked for the first time, and this machine ever after.
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), port))]

        monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)
        url = f"http://hooks.example:{listening.getsockname()[1]}/"
        with pytest.raises(outbound.OutboundError, match="connection failed"):
            post(url)
        assert connects == ["93.184.215.14"] and nobody_came(listening)
        with pytest.raises(outbound.Refused):
            post(url)
        assert connects == ["93.184.215.14"] and nobody_came(listening)

    def test_each_address_is_tried_in_turn(
        self, post: Post, monkeypatch: pytest.MonkeyPatch, receiver: Receiver, connects: list[str], settings: Any
    ) -> None:
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
        self.answer_with(monkeypatch, "93.184.215.14", "93.184.215.15", "127.0.0.1")
        assert post(f"http://hooks.example:{receiver.server_address[1]}/").is_success
        assert connects == ["93.184.215.14", "93.184.215.15", "127.0.0.1"]

    def test_a_name_that_cannot_be_looked_up_may_be_kept_and_is_not_called(
        self, post: Post, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", self.nobody)
        outbound.check_url("https://hooks.example")
        with pytest.raises(outbound.OutboundError, match="no such host"):
            post("https://hooks.example")

    def test_a_name_whose_server_does_not_answer_is_left_after_a_while(
        self, post: Post, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.1)
        is_left = threading.Event()

        def look_up(*args: Any, **options: Any) -> Any:
            is_left.wait(10)
            raise socket.gaierror

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        before = time.monotonic()
        with pytest.raises(outbound.OutboundError, match="no answer"):
            post("https://hooks.example")
        is_left.set()
        assert time.monotonic() - before < 5

    def test_a_name_that_changes_its_mind_after_the_check_gains_nothing(
        self, post: Post, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
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
        self, post: Post, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
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

    @pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "localhost"])
    def test_where_loopback_is_permitted_it_is_called(
        self, post: Post, receiver: Receiver, host: str, settings: Any
    ) -> None:
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
        assert post(f"{receiver.url.replace('127.0.0.1', host)}/").is_success

    @pytest.mark.usefixtures("loopback")
    def test_where_loopback_is_permitted_its_mapped_form_is_as_well(
        self, post: Post, connects: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for host in ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"):
            outbound.check_url(f"http://{host}/")
            with pytest.raises(outbound.OutboundError, match="connection failed"):
                post(f"http://{host}:9/")
        assert connects == ["::ffff:7f00:1"] * 2
        with pytest.raises(outbound.Refused):
            outbound.check_url("http://[::1]/")

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
def test_a_proxy_of_the_environment_is_not_used(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(receiver.url).is_success


class TestAddressesForOtherProtocols:
    @pytest.mark.parametrize("host", INSIDE)
    def test_an_address_inside_is_refused_in_every_disguise(self, host: str) -> None:
        with pytest.raises(outbound.Refused if is_known(host) else outbound.OutboundError):
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
