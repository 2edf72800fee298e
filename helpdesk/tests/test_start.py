"""`manage.py start`: the supervisor, alone with small children and as a whole with the real ones."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpdesk.management.commands.start import Child, takes_mail

REPOSITORY = Path(__file__).resolve().parents[2]
FROM_THE_RUN = (
    "ENVIRONMENT",
    "DATABASE_URL",
    "REDIS_URL",
    "DATA_DIR",
    "SECRET_KEY",
    "DJANGO_SETTINGS_MODULE",
    "MAIL_PORT",
)


def environment(**given: str) -> dict[str, str]:
    """A newcomer's environment: nothing of this test run's, but what is given."""
    return {name: value for name, value in os.environ.items() if name not in FROM_THE_RUN} | given


def eventually(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Wait for other processes to get there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def start_and_end(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py start` where it is expected to refuse."""
    command = [sys.executable, "manage.py", "start", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment(**given), capture_output=True, text=True, timeout=60, check=False
    )


def command_lines() -> dict[int, str]:
    """Every live process and its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return {pid: line for pid, line in found.items() if line}


def children_of(parent: int) -> dict[int, str]:
    """The direct children of a process."""
    found = {}
    for pid, line in command_lines().items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found[pid] = line
    return found


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def healthy(port: int) -> bool:
    """Whether the web server answers."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        asked.request("GET", "/healthz")
        return asked.getresponse().status == 200
    except OSError:
        return False
    finally:
        asked.close()


def greets(port: int) -> bool:
    """Whether the mail listener does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            return peer.recv(100).startswith(b"220 ")
    except OSError:
        return False


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A DATA_DIR of its own, which PostgreSQL can reach when root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="helpdesk-start-") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "var"


class TestOneChild:
    """The supervisor's care for one process."""

    def test_one_that_died_starts_again_after_a_pause_that_grows(self) -> None:
        child = Child("short", [sys.executable, "-c", "raise SystemExit(3)"])
        child.start()
        told: list[str] = []

        def told_twice() -> bool:
            told.append(child.look_after())
            return len([said for said in told if said]) == 2

        assert eventually(told_twice)
        child.wait_until_stopped(time.monotonic())
        assert [said for said in told if said] == [
            "short ended (exit code 3) and starts again in 0.5 s.",
            "short ended (exit code 3) and starts again in 1 s.",
        ]

    def test_a_leader_that_was_killed_takes_its_workers_with_it(self) -> None:
        script = "import subprocess, time; subprocess.Popen(['sleep', '4242']); time.sleep(60)"
        child = Child("leader", [sys.executable, "-c", script])
        child.start()
        assert child.process
        leader = child.process.pid
        assert eventually(lambda: "sleep 4242 " in children_of(leader).values())
        (worker,) = children_of(leader)
        os.kill(leader, signal.SIGKILL)
        assert eventually(lambda: child.look_after().startswith("leader ended (signal SIGKILL)"))
        assert eventually(lambda: worker not in command_lines())

    def test_one_that_ignores_the_signal_is_killed_at_the_deadline(self) -> None:
        script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
        child = Child("deaf", [sys.executable, "-c", script])
        child.start()
        assert child.process
        process = child.process
        child.ask_to_stop()
        child.wait_until_stopped(time.monotonic() + 0.3)
        assert process.returncode in {-signal.SIGKILL, -signal.SIGTERM}
        assert child.process is None


class TestMail:
    """Whether the listener for mail is started."""

    def test_the_usual_port_in_use_keeps_nobody_from_starting(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MAIL_PORT", raising=False)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            settings.MAIL_PORT = taken.getsockname()[1]
            said = f"Starting without the mail listener: port {settings.MAIL_PORT} is in use (MAIL_PORT=…)."
            assert takes_mail() == (False, said)
        assert takes_mail() == (True, "")

    def test_no_port_is_no_listener(self, settings: Any) -> None:
        settings.MAIL_PORT = 0
        assert takes_mail() == (False, "")


class TestRefusals:
    """What must not start, says so in one line and leaves nothing behind."""

    def test_a_port_in_use(self, data_dir: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            refused = start_and_end(DATA_DIR=str(data_dir), PORT=str(port))
        assert refused.returncode == 1
        said = f"CommandError: Port {port} of 127.0.0.1 is in use: stop what uses it, or choose PORT=….\n"
        assert refused.stderr == said
        assert not (data_dir / "postgres").exists()

    def test_a_port_for_mail_that_was_asked_for_and_is_in_use(self, data_dir: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            refused = start_and_end(DATA_DIR=str(data_dir), PORT=str(free_port()), MAIL_PORT=str(port))
        assert refused.returncode == 1
        said = f"CommandError: Port {port} of 127.0.0.1 is in use: stop what uses it, or choose MAIL_PORT=….\n"
        assert refused.stderr == said
        assert not (data_dir / "postgres").exists()

    @pytest.mark.parametrize("secret", ["", "short", "django-insecure-" + "x1y2z3" * 12, "a" * 80])
    def test_a_weak_secret_in_production(self, secret: str, data_dir: Path) -> None:
        refused = start_and_end(ENVIRONMENT="production", SECRET_KEY=secret, DATA_DIR=str(data_dir))
        assert refused.returncode == 1
        assert refused.stderr.startswith("Refused: SECRET_KEY is missing or weak")
        assert refused.stderr.count("\n") == 1
        assert not data_dir.exists()

    def test_the_demo_on_an_address_that_others_reach(self, data_dir: Path) -> None:
        refused = start_and_end(ENVIRONMENT="demo", BIND="0.0.0.0", DATA_DIR=str(data_dir))
        assert refused.returncode == 1
        assert refused.stderr.startswith("Refused: The demo answers on loopback only")
        assert not data_dir.exists()

    def test_an_open_address_without_a_secret_is_production_and_refused(self, data_dir: Path) -> None:
        refused = start_and_end(BIND="0.0.0.0", DATA_DIR=str(data_dir))
        assert refused.returncode == 1
        assert refused.stderr.startswith("Refused: SECRET_KEY is missing or weak")


def test_a_whole_run_starts_mends_itself_refuses_a_second_and_stops_without_a_trace(data_dir: Path) -> None:
    port = free_port()
    mail_port = free_port()
    given = environment(DATA_DIR=str(data_dir), PORT=str(port), MAIL_PORT=str(mail_port))
    data_dir.parent.mkdir(exist_ok=True)
    log = data_dir.parent / "output"
    with log.open("w") as output:
        command = [sys.executable, "-u", "manage.py", "start", "--without-demo"]
        run = subprocess.Popen(command, cwd=REPOSITORY, env=given, stdout=output, stderr=output)
    try:
        assert eventually(lambda: "The helpdesk answers after" in log.read_text() or run.poll() is not None, 120)
        assert healthy(port), log.read_text()
        words = {"web": "gunicorn", "worker": " worker --", "beat": " beat -s", "postgres": "postgres -D"}
        words |= {"valkey": "valkey-server", "mail": "manage.py mailserver", "webhooks": "manage.py send_webhooks"}
        names = {}
        for name, word in words.items():
            (names[name],) = (pid for pid, line in children_of(run.pid).items() if word in line)

        second = start_and_end("--without-demo", DATA_DIR=str(data_dir), PORT=str(free_port()))
        assert second.returncode == 1
        assert second.stderr == (
            f"CommandError: The helpdesk already runs: {data_dir} is in use by process {run.pid}. "
            "Stop it, or choose another DATA_DIR.\n"
        )

        assert f"  Mail        localhost:{mail_port}\n" in log.read_text()
        assert f"  Mail sent   http://localhost:{port}/dev/mail\n" in log.read_text()
        assert eventually(lambda: greets(mail_port))

        for name in ("worker", "valkey", "web", "mail", "webhooks"):
            os.kill(names[name], signal.SIGKILL)
        assert eventually(lambda: sum(said in log.read_text() for said in ("worker ended", "valkey ended")) == 2)
        assert eventually(lambda: healthy(port))
        assert eventually(lambda: greets(mail_port))
        assert eventually(lambda: len(children_of(run.pid)) == len(names))
        assert not set(names.values()) <= set(children_of(run.pid))
        everybody = {pid for child in children_of(run.pid) for pid in [child, *children_of(child)]}

        run.send_signal(signal.SIGTERM)
        assert run.wait(30) == 0
        assert not everybody & set(command_lines())
        assert log.read_text().endswith("Stopped.\n")
    finally:
        run.kill()
        run.wait()
