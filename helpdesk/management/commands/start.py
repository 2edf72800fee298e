"""`manage.py start`: everything the helpdesk needs under one supervisor, as `make run` starts it."""

import contextlib
import errno
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from helpdesk import embedded

STOP_SECONDS = 10
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60
WEB_ANSWERS_WITHIN = 60
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SIGN_INS = (
    ("owner@demo.example", "Demo, owner"),
    ("admin@demo.example", "Demo, admin"),
    ("maria@demo.example", "Demo, agent"),
    ("sam@demo.example", "Demo, agent"),
    ("admin@other.example", "Other, admin"),
)


class Stopped(BaseException):
    """Somebody asked us to stop; not an error, so nothing that catches errors may catch it."""


@dataclass
class Child:
    """One process of the product, in a process group of its own, started again when it dies."""

    name: str
    command: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    deaths: int = 0
    start_again_at: float = 0.0

    def start(self) -> None:
        """Start it. It is told to stop should the supervisor itself be killed."""
        self.process = subprocess.Popen(  # noqa: S603  our own commands
            self.command,
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            preexec_fn=embedded.dies_with_parent(signal.SIGTERM),
            process_group=0,
        )
        self.started = time.monotonic()

    def look_after(self) -> str:
        """Start it again where it died, after a pause that doubles; answers with what to tell, or ''."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.start_again_at:
                self.start()
            return ""
        if not self._ended():
            return ""
        self._end_group()
        code = self.process.wait()
        self.process = None
        self.deaths = 0 if now - self.started > STEADY_SECONDS else self.deaths + 1
        pause = min(LONGEST_PAUSE, 0.25 * 2**self.deaths)
        self.start_again_at = now + pause
        return f"{self.name} ended ({_how(code)}) and starts again in {pause:g} s."

    def ask_to_stop(self) -> None:
        """Ask for an orderly end: its leader tells its own workers."""
        if self.process and not self._ended():
            self.process.terminate()

    def wait_until_stopped(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic seconds), then kill whatever is left of its group."""
        if not self.process:
            return
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._end_group()
        self.process.wait()
        self.process = None

    def _ended(self) -> bool:
        # WNOWAIT leaves the dead leader unreaped, so that its number still names this group
        # and no other when the group is killed.
        assert self.process
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, flags) is not None

    def _end_group(self) -> None:
        assert self.process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Command(BaseCommand):
    """Start the web server, the worker and the scheduler, and the embedded servers they need."""

    help = "Start web, worker and scheduler, with PostgreSQL and Valkey where none are configured."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--without-demo", action="store_true", help="Start empty: load no demo workspace.")

    def handle(self, *args: object, without_demo: bool, **options: object) -> None:
        """Run until Ctrl-C or SIGTERM. Raises CommandError when it cannot start."""
        began = time.monotonic()
        try:
            embedded.make_data_dir(settings.DATA_DIR)
            with _only_one(settings.DATA_DIR):
                refuse_a_port_in_use(settings.BIND, settings.PORT)
                with_mail, why_not = takes_mail()
                if why_not:
                    self.stdout.write(why_not)
                with_demo = settings.ENVIRONMENT == "demo" and not without_demo
                self._run(with_demo=with_demo, with_mail=with_mail, began=began)
        except embedded.EmbeddedError as problem:
            raise CommandError(str(problem)) from None

    def _run(self, *, with_demo: bool, with_mail: bool, began: float) -> None:
        servers = embedded.Servers(
            settings.DATA_DIR, postgres=not os.environ.get("DATABASE_URL"), valkey=not os.environ.get("REDIS_URL")
        )
        children = [Child(name, command) for name, command in commands().items() if with_mail or name != "mail"]
        for number in STOPPING:
            signal.signal(number, _raise_stopped)
        try:
            servers.start()
            for note in servers.notes:
                self.stdout.write(note)
            self._prepare(with_demo=with_demo)
            for child in children:
                child.start()
            self._announce_when_it_answers(children, with_demo=with_demo, with_mail=with_mail, began=began)
            self._look_after(servers, children)
        except Stopped:
            pass
        finally:
            for number in STOPPING:
                signal.signal(number, signal.SIG_IGN)
            for child in children:
                child.ask_to_stop()
            deadline = time.monotonic() + STOP_SECONDS
            for child in children:
                child.wait_until_stopped(deadline)
            servers.stop()
        with contextlib.suppress(OSError):  # the terminal may be gone
            self.stdout.write("Stopped.")

    def _prepare(self, *, with_demo: bool) -> None:
        if waits_for_migrations():
            self.stdout.write("Preparing the database …")
            call_command("migrate", interactive=False, verbosity=0, stdout=self.stdout)
        fingerprint, stamp = fingerprint_of_static_files(), settings.DATA_DIR / "static.stamp"
        if not (stamp.exists() and stamp.read_text() == fingerprint):
            self.stdout.write("Collecting static files …")
            call_command("collectstatic", interactive=False, verbosity=0, clear=True, stdout=self.stdout)
            stamp.write_text(fingerprint)
        if with_demo:
            call_command("demo", "--if-empty", stdout=self.stdout)
        connection.close()

    def _announce_when_it_answers(
        self, children: list[Child], *, with_demo: bool, with_mail: bool, began: float
    ) -> None:
        deadline = time.monotonic() + WEB_ANSWERS_WITHIN
        while not _answers(settings.BIND, settings.PORT):
            if time.monotonic() > deadline:
                self.stderr.write("The web server does not answer yet; its messages above say why.")
                return
            for child in children:
                if said := child.look_after():
                    self.stderr.write(said)
            time.sleep(0.05)
        seconds = time.monotonic() - began
        self.stdout.write(announcement(with_demo=with_demo, with_mail=with_mail, seconds=seconds))
        self.stdout.flush()

    def _look_after(self, servers: embedded.Servers, children: list[Child]) -> None:
        pauses: dict[str, float] = {}
        while True:
            if time.monotonic() >= pauses.get("servers", 0.0):
                for name in servers.revive():
                    self.stderr.write(f"{name} ended and starts again.")
                    pauses["servers"] = time.monotonic() + 1
            for child in children:
                if said := child.look_after():
                    self.stderr.write(said)
            time.sleep(0.2)


def commands() -> dict[str, list[str]]:
    """The processes of the product by name. No access log: paths and queries may carry customers' tokens."""
    python = sys.executable
    address = f"[{settings.BIND.strip('[]')}]" if ":" in settings.BIND else settings.BIND
    web = [python, "-m", "gunicorn", "helpdesk.wsgi", "--bind", f"{address}:{settings.PORT}"]
    web += ["--worker-class", "gthread", "--workers", "2", "--threads", "8", "--keep-alive", "15"]
    web += ["--graceful-timeout", "5", "--log-level", "warning", "--no-control-socket"]
    # Celery warns whoever is root in a container, at every start; a newcomer takes it for an error.
    celery = [python, "-W", "ignore:You're running the worker", "-m", "celery", "-A", "helpdesk", "--quiet"]
    return {
        "web": web,
        "worker": [*celery, "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "-l", "WARNING"],
        "beat": [*celery, "beat", "-s", str(settings.DATA_DIR / "beat-schedule"), "--pidfile", "", "-l", "WARNING"],
        "mail": [python, "manage.py", "mailserver", "--verbosity", "0"],
        "webhooks": [python, "manage.py", "send_webhooks"],
    }


def takes_mail() -> tuple[bool, str]:
    """Whether the mail listener can be started, and in one line why not.

    The usual port may be taken by another helpdesk of this machine, which keeps nobody from starting. A port that
    somebody asked for is another matter: raises CommandError.
    """
    if not settings.MAIL_PORT:
        return False, ""
    try:
        refuse_a_port_in_use(settings.MAIL_BIND, settings.MAIL_PORT, variable="MAIL_PORT")
    except CommandError:
        if os.environ.get("MAIL_PORT"):
            raise
        return False, f"Starting without the mail listener: port {settings.MAIL_PORT} is in use (MAIL_PORT=…)."
    return True, ""


def refuse_a_port_in_use(host: str, port: int, *, variable: str = "PORT") -> None:
    """Raise CommandError, in one line, when nobody could listen on this address now. `variable` chooses another."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {port} of {host} is in use: stop what uses it, or choose {variable}=….") from None
        raise CommandError(f"Cannot listen on {host} port {port}: {problem.strerror}.") from None


def waits_for_migrations() -> bool:
    """Whether `migrate` has anything to do; asking is much faster than letting it find nothing."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def fingerprint_of_static_files() -> str:
    """A short text that changes when a static file of the project or of a package does."""
    seen = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            facts = Path(storage.path(name)).stat()
            seen.update(f"{name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def announcement(*, with_demo: bool, with_mail: bool, seconds: float) -> str:
    """What a person reads once the helpdesk answers: where it is, and how to sign in."""
    host = "localhost" if settings.BIND_IS_LOOPBACK else settings.BIND
    site = f"http://{host}:{settings.PORT}"
    lines = ["", f"The helpdesk answers after {seconds:.1f} s. Ctrl-C stops it.", ""]
    lines += [f"  Console     {site}/"]
    if with_demo:
        lines += [f"  Portal      {site}/portal/demo"]
    lines += [f"  API         {site}/api/docs", f"  Admin       {site}/admin/", f"  Health      {site}/readyz"]
    if with_mail:
        mail_host = "localhost" if settings.MAIL_BIND in ("127.0.0.1", "::1") else settings.MAIL_BIND
        lines += [f"  Mail        {mail_host}:{settings.MAIL_PORT}"]
    if settings.ENVIRONMENT == "demo":
        lines += [f"  Mail sent   {site}/dev/mail"]
    lines += [""]
    if with_demo:
        lines += [f"  Sign in as  {email:<22}({who})" for email, who in SIGN_INS]
        lines += ["  Password    demo-helpdesk", ""]
    lines += [f"  Data        {settings.DATA_DIR}", ""]
    return "\n".join(lines)


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    try:
        lock = embedded.hold_lock(data_dir / "run.lock")
    except embedded.AlreadyRunning as running:
        raise CommandError(f"The helpdesk already runs: {running} Stop it, or choose another DATA_DIR.") from None
    with lock:
        yield


def _answers(host: str, port: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104
    asked = http.client.HTTPConnection(host, port, timeout=5)
    try:
        asked.request("GET", "/healthz", headers={"Host": "localhost"})
        return asked.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def _raise_stopped(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
