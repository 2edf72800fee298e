"""Many calls at once: connections that are kept, and hosts that hold nobody else up."""

import asyncio
import contextlib
import gzip
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from helpdesk import outbound
from helpdesk.tests.certificates import make_certificate

Speak = Callable[["Peer"], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number  # 1 for the first connection
        self.reader, self.writer = reader, writer

    async def request(self) -> bytes:
        """The next request with its body of one byte; nothing when the other side has closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            return head + await self.reader.readexactly(1)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()


async def answer_all(peer: Peer) -> None:
    while await peer.request():
        await peer.say(ANSWER)


@contextlib.asynccontextmanager
async def serving(speak: Speak, **options: Any) -> AsyncIterator["Server"]:
    """A server on loopback."""
    server = Server(speak)
    listening = await asyncio.start_server(server.meet, "127.0.0.1", 0, **options)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


class Server:
    def __init__(self, speak: Speak) -> None:
        self.speak = speak
        self.port = 0
        self.connections = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self.ended = 0  # connections that are over

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.tasks.append(task)
        self.connections += 1
        try:
            await self.speak(Peer(self.connections, reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            self.ended += 1
            writer.close()


async def call(client: outbound.Client, url: str, **headers: str) -> outbound.Answer:
    return await client.post(url, body=b"x", headers=headers)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.001)


def run(scene: Coroutine[Any, Any, None]) -> None:
    """Play it; what a task or a connection complains of when it is thrown away is a failure, too."""
    complaints: list[dict[str, Any]] = []

    async def played() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await scene

    asyncio.run(played())
    assert complaints == []


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


class TestConnectionsThatAreKept:
    def test_calls_one_after_the_other_share_one(self) -> None:
        async def scene() -> None:
            async with serving(answer_all) as server, outbound.Client() as client:
                for _ in range(5):
                    assert (await call(client, server.url)).body == b"ok"
                assert server.connections == 1

        run(scene())

    def test_one_that_was_closed_meanwhile_is_not_used(self) -> None:
        async def once(peer: Peer) -> None:
            await peer.request()
            await peer.say(ANSWER)

        async def scene() -> None:
            async with serving(once) as server, outbound.Client() as client:
                for count in range(1, 4):
                    assert (await call(client, server.url)).is_success
                    await until(lambda count=count: server.ended == count)  # type: ignore[misc]
                assert server.connections == 3

        run(scene())

    @pytest.mark.parametrize("is_encrypted", [False, True])
    @pytest.mark.parametrize("is_reset", [False, True])
    def test_one_that_closes_just_as_it_is_used_is_no_failure(
        self, is_reset: bool, is_encrypted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The request is sent once more on a new connection, with the same header fields."""
        got: list[bytes] = []
        made = make_certificate(tmp_path, "127.0.0.1")
        monkeypatch.setattr(outbound, "_tls", made.trusting)

        async def close_at_the_second(peer: Peer) -> None:
            got.append(await peer.request())
            await peer.say(ANSWER)
            if peer.number == 1:
                got.append(await peer.request())
                if is_reset:
                    # Without lingering, what is closed is reset.
                    link = peer.writer.get_extra_info("socket")
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    peer.writer.transport.abort()

        async def scene() -> None:
            options = {"ssl": made.serving()} if is_encrypted else {}
            async with serving(close_at_the_second, **options) as server, outbound.Client() as client:
                url = server.url.replace("http:", "https:") if is_encrypted else server.url
                for _ in range(2):
                    assert (await call(client, url, **{"webhook-id": "7"})).is_success
                assert server.connections == 2 and len(got) == 3 and got[1] == got[2] and b"webhook-id: 7" in got[2]

        run(scene())

    def test_a_new_connection_without_an_answer_is_a_failure_and_there_is_no_second_try(self) -> None:
        async def hang_up(peer: Peer) -> None:
            await peer.request()

        async def scene() -> None:
            async with serving(hang_up) as server, outbound.Client() as client:
                with pytest.raises(outbound.OutboundError):
                    await call(client, server.url)
                assert server.connections == 1

        run(scene())

    def test_once_a_byte_of_the_answer_is_there_nothing_is_sent_again(self) -> None:
        async def break_off(peer: Peer) -> None:
            await peer.request()
            await peer.say(ANSWER)
            await peer.request()
            await peer.say(b"H")

        async def scene() -> None:
            async with serving(break_off) as server, outbound.Client() as client:
                assert (await call(client, server.url)).is_success
                with pytest.raises(outbound.OutboundError):
                    await call(client, server.url)
                assert server.connections == 1

        run(scene())

    def test_after_a_long_answer_it_is_closed(self) -> None:
        async def long(peer: Peer) -> None:
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while True:
                await peer.say(b"x" * 10_000)

        async def scene() -> None:
            async with serving(long) as server, outbound.Client() as client:
                answer = await call(client, server.url)
                assert answer.is_success and len(answer.body) == outbound.LARGEST_ANSWER
                await until(lambda: server.ended == 1)

        run(scene())

    def test_when_it_has_no_work_for_long_it_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def scene() -> None:
            async with (
                serving(answer_all) as first,
                serving(answer_all) as second,
                outbound.Client() as client,
            ):
                await call(client, first.url)
                await call(client, second.url)
                assert first.ended == 0
                monkeypatch.setattr(outbound, "KEEP_SECONDS", 0.0)
                await call(client, second.url)
                await until(lambda: first.ended == 1)

        run(scene())

    def test_only_so_many_are_kept_and_at_the_end_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbound, "MOST_KEPT", 3)
        together = asyncio.Barrier(10)

        async def wait_for_all(peer: Peer) -> None:
            await peer.request()
            await together.wait()
            await peer.say(ANSWER)
            await peer.request()

        async def scene() -> None:
            async with serving(wait_for_all) as crowd, serving(answer_all) as other:
                async with outbound.Client() as client:
                    await asyncio.gather(*(call(client, crowd.url) for _ in range(10)))
                    await call(client, other.url)
                    await until(lambda: crowd.ended == 7)
                    assert other.ended == 0
                await until(lambda: (crowd.ended, other.ended) == (10, 1))

        run(scene())


class TestHoldingNobodyUp:
    def test_hundreds_of_calls_are_under_way_at_once(self) -> None:
        together = asyncio.Barrier(outbound.MOST_PER_ORIGIN * 3)

        async def wait_for_all(peer: Peer) -> None:
            await peer.request()
            await together.wait()
            await peer.say(ANSWER)

        async def scene() -> None:
            async with contextlib.AsyncExitStack() as stack:
                urls = [(await stack.enter_async_context(serving(wait_for_all))).url for _ in range(3)]
                client = await stack.enter_async_context(outbound.Client())
                answers = await asyncio.gather(*(call(client, url) for url in urls * outbound.MOST_PER_ORIGIN))
                assert all(answer.is_success for answer in answers)

        run(scene())

    def test_a_host_that_hangs_takes_its_own_places_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbound, "MOST_PER_ORIGIN", 2)
        monkeypatch.setattr(outbound, "MOST_CALLS", 3)

        async def hang(peer: Peer) -> None:
            await peer.request()
            await peer.reader.read()

        async def scene() -> None:
            async with serving(hang) as hanging, serving(answer_all) as other, outbound.Client() as client:
                stuck = [asyncio.create_task(call(client, hanging.url)) for _ in range(20)]
                await until(lambda: hanging.connections == 2)
                for _ in range(5):
                    assert (await call(client, other.url)).is_success
                assert hanging.connections == 2 and not any(task.done() for task in stuck)
                for task in stuck:
                    task.cancel()
                await asyncio.gather(*stuck, return_exceptions=True)
                # Whoever gave up has given the places back.
                await until(lambda: hanging.ended == 2)
                assert (await call(client, other.url)).is_success

        run(scene())

    def test_who_finds_no_place_has_sent_nothing_and_is_told_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbound, "MOST_PER_ORIGIN", 1)
        monkeypatch.setattr(outbound, "WAIT_SECONDS", 0.05)
        is_over = asyncio.Event()

        async def hang(peer: Peer) -> None:
            await peer.request()
            await is_over.wait()
            await peer.say(ANSWER)

        async def scene() -> None:
            async with serving(hang) as server, outbound.Client() as client:
                first = asyncio.create_task(call(client, server.url))
                await until(lambda: server.connections == 1)
                with pytest.raises(outbound.Busy):
                    await call(client, server.url)
                assert server.connections == 1
                is_over.set()
                assert (await first).is_success

        run(scene())

    def test_a_name_that_is_looked_up_for_ever_holds_one_thread_and_no_other_name_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "_LOOKUPS", 2)
        monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.5)
        is_over = threading.Event()
        asked: list[str] = []

        def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
            asked.append(host)
            if host == "slow.example":
                is_over.wait(10)
                raise socket.gaierror
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)

        async def scene() -> None:
            async with serving(answer_all) as server, outbound.Client() as client:
                slow = [asyncio.create_task(call(client, "http://slow.example/")) for _ in range(10)]
                await until(lambda: asked == ["slow.example"])
                assert (await call(client, f"http://quick.example:{server.port}/")).is_success
                for failed in await asyncio.gather(*slow, return_exceptions=True):
                    assert isinstance(failed, outbound.OutboundError) and "no answer" in str(failed)
            assert asked.count("slow.example") == 1

        try:
            run(scene())
        finally:
            is_over.set()


class TestAnswersWithoutAnEnd:
    def refused(self, *parts: bytes, then: bytes = b"", match: str) -> None:
        """What a server says that goes on for ever with the last of these."""

        async def speak(peer: Peer) -> None:
            await peer.request()
            await peer.say(*parts)
            while then:
                await peer.say(then)
            await peer.reader.read()

        async def scene() -> None:
            async with serving(speak) as server, outbound.Client() as client:
                with pytest.raises(outbound.OutboundError, match=match):
                    await call(client, server.url)
                await until(lambda: server.ended == 1)

        run(scene())

    def test_header_fields(self) -> None:
        self.refused(b"HTTP/1.1 200 OK\r\n", then=b"X: " + b"x" * 1000 + b"\r\n", match="no HTTP")
        self.refused(b"HTTP/1.1 200 OK\r\nX: ", then=b"x" * 1000, match="no HTTP")

    def test_informational_answers(self) -> None:
        self.refused(then=b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 1000 + b"\r\n\r\n", match="too large")

    def test_the_framing_of_chunks(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.refused(head, then=b"1;" + b"x" * 4000 + b"\r\nx\r\n", match="too large")
        self.refused(head, b"0\r\n", then=b"X: " + b"x" * 1000 + b"\r\n", match="no HTTP")

    def test_what_is_packed_is_not_unpacked(self) -> None:
        packed = gzip.compress(b"x" * 10_000_000)

        async def speak(peer: Peer) -> None:
            await peer.request()
            await peer.say(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed), packed
            )

        async def scene() -> None:
            async with serving(speak) as server, outbound.Client() as client:
                assert (await call(client, server.url)).body == packed[: outbound.LARGEST_ANSWER]

        run(scene())


class TestWhatIsSent:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "inside.example"}, {"content-length": "0"}, {"Transfer-Encoding": "chunked"},
            {"CONNECTION": "close"}, {"X": "a\r\nY: b"}, {"X\r\nY": "b"}, {"X": "a\0"}, {"X": "ä"}, {"Ä": "x"},
            {"": "x"}, {"a b": "x"},
        ],
    )  # fmt: skip
    def test_header_fields_that_may_not_be_sent_are_refused(self, headers: dict[str, str]) -> None:
        async def silent(peer: Peer) -> None:
            assert await peer.reader.read() == b""

        async def scene() -> None:
            async with serving(silent) as server, outbound.Client() as client:
                with pytest.raises(outbound.Refused):
                    await client.post(server.url, body=b"x", headers=headers)

        run(scene())

    def test_an_address_of_ipv6_stands_in_brackets_in_the_host_field(self) -> None:
        # RFC 9110, 7.2: the host as it stands in the address.
        assert outbound._fields({}, host="[::1]:8000") == [(b"Host", b"[::1]:8000")]

    def test_the_certificate_is_asked_for_the_name_and_not_for_the_address(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)
        made = make_certificate(tmp_path, "hooks.example")

        async def scene() -> None:
            async with serving(answer_all, ssl=made.serving()) as server:
                good, other = (f"https://{name}:{server.port}/" for name in ("hooks.example", "other.example"))
                async with outbound.Client() as client:
                    with pytest.raises(outbound.OutboundError, match="certificate is not good: self-signed"):
                        await call(client, good)
                monkeypatch.setattr(outbound, "_tls", made.trusting)
                async with outbound.Client() as client:
                    assert (await call(client, good)).is_success
                    before = server.connections
                    assert (await call(client, good)).is_success
                    assert server.connections == before  # kept, as without TLS
                    with pytest.raises(outbound.OutboundError, match="certificate is not good: Hostname mismatch"):
                        await call(client, other)

        run(scene())

    def test_a_server_that_never_finishes_the_greeting_of_tls_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def silent(peer: Peer) -> None:
            await peer.reader.read()
            while await peer.reader.read(1000):
                pass

        async def scene() -> None:
            async with serving(silent) as server, outbound.Client() as client:
                url = server.url.replace("http:", "https:")
                for limit, said in (("CONNECT_SECONDS", "connection failed"), ("TOTAL_SECONDS", "no answer")):
                    with monkeypatch.context() as patched:
                        patched.setattr(outbound, limit, 0.1)
                        with pytest.raises(outbound.OutboundError, match=said):
                            await call(client, url)
                await until(lambda: server.ended == 2)

        run(scene())


def test_code_that_waits_may_call_while_a_loop_runs_in_its_thread() -> None:
    async def scene() -> None:
        is_ready, is_over = threading.Event(), asyncio.Event()
        port: list[int] = []
        loops: list[asyncio.AbstractEventLoop] = []

        async def beside() -> None:
            async with serving(answer_all) as server:
                port.append(server.port)
                loops.append(asyncio.get_running_loop())
                is_ready.set()
                await is_over.wait()

        thread = threading.Thread(target=asyncio.run, args=(beside(),))
        thread.start()
        is_ready.wait(5)
        try:
            assert outbound.post(f"http://127.0.0.1:{port[0]}/", body=b"x", headers={}).body == b"ok"
        finally:
            loops[0].call_soon_threadsafe(is_over.set)
            thread.join()

    run(scene())
