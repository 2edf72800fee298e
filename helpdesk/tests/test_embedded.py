"""The embedded PostgreSQL and Valkey, run for real in a folder of their own."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis

from helpdesk import embedded

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A short-lived DATA_DIR that PostgreSQL can reach when root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="helpdesk-embedded-") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "var"


def processes_of(data_dir: Path) -> list[int]:
    """Live processes that name this data folder, or its sockets, in their command line."""
    names = [str(data_dir).encode(), embedded.redis_url(data_dir).partition("?")[0].removeprefix("unix://").encode()]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if any(name in command for name in names):
                found.append(int(entry.name))
    return found


def eventually(condition: object, seconds: float = 10) -> bool:
    """Wait for another process to get there; tests of our own code need no such thing."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_both_servers_answer_while_the_block_runs_and_are_gone_after_it(data_dir: Path) -> None:
    with embedded.running(data_dir) as servers:
        assert servers.database_url
        assert servers.redis_url
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            row = connection.execute("SELECT current_user, current_database(), current_setting('server_version_num')")
            user, database, version = row.fetchone() or ("", "", "0")
            assert (user, database, int(version) // 10000) == ("helpdesk", "helpdesk", 18)
            connection.execute("CREATE EXTENSION pg_trgm")
            connection.execute("CREATE EXTENSION unaccent")
        assert redis.from_url(servers.redis_url).ping()
    assert processes_of(data_dir) == []


def test_data_is_still_there_at_the_next_start(data_dir: Path) -> None:
    with embedded.running(data_dir) as servers:
        with psycopg.connect(servers.database_url or "") as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'Zoë' AS name")
        redis.from_url(servers.redis_url or "").set("kept", "yes")
    with embedded.running(data_dir) as servers:
        with psycopg.connect(servers.database_url or "") as connection:
            assert connection.execute("SELECT name FROM kept").fetchone() == ("Zoë",)
        assert redis.from_url(servers.redis_url or "").get("kept") == b"yes"


def test_a_second_start_on_the_same_folder_is_refused(data_dir: Path) -> None:
    with embedded.running(data_dir, postgres=False):
        script = (
            f"from helpdesk import embedded; embedded.Servers(__import__('pathlib').Path({str(data_dir)!r})).start()"
        )
        second = subprocess.run(
            [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert second.returncode != 0
        assert f"AlreadyRunning: {data_dir} is in use by process {os.getpid()}." in second.stderr


def test_servers_end_when_their_parent_is_killed_and_start_again_after_it(data_dir: Path) -> None:
    script = (
        "import pathlib, time; from helpdesk import embedded;"
        f"embedded.Servers(pathlib.Path({str(data_dir)!r})).start(); print('up', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert parent.stdout
    assert parent.stdout.readline() == b"up\n"
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert eventually(lambda: processes_of(data_dir) == [])
    with embedded.running(data_dir) as servers, psycopg.connect(servers.database_url or "") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_was_killed_is_revived(data_dir: Path) -> None:
    with embedded.running(data_dir, postgres=False) as servers:
        valkey = servers.children["valkey"]
        assert valkey.process
        valkey.process.kill()
        valkey.process.wait()
        assert servers.revive() == ["valkey"]
        valkey.wait_until_ready()
        assert servers.revive() == []


def test_an_orphan_of_a_killed_parent_is_stopped_before_a_new_server_starts(data_dir: Path) -> None:
    servers = embedded.Servers(data_dir, postgres=False)
    servers.start()
    valkey = servers.children["valkey"]
    orphan = valkey.process
    assert orphan
    try:
        valkey.begin()  # as a new parent would, knowing only the pid file
        assert orphan.wait(10) == 0
        valkey.wait_until_ready()
    finally:
        servers.stop()


def test_the_secret_is_made_once_even_by_many_at_a_time_and_is_private(data_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: embedded.kept_secret(data_dir), range(32)))
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 64
    assert stat.S_IMODE((data_dir / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in data_dir.iterdir()] == ["secret_key"]


def test_socket_paths_fit_the_kernel_limit_however_deep_the_data_folder() -> None:
    deep = Path("/srv") / "/".join(["a-rather-long-folder-name"] * 12)
    address = embedded.redis_url(deep).removeprefix("unix://").partition("?")[0]
    assert len(address) < 100
    assert embedded.redis_url(deep) != embedded.redis_url(deep / "other")


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("unix:///tmp/x/valkey.sock?db=3", "redis+socket:///tmp/x/valkey.sock?virtual_host=3"),
        ("unix:///tmp/x/valkey.sock", "redis+socket:///tmp/x/valkey.sock?virtual_host=0"),
        ("redis://cache.example:6379/1", "redis://cache.example:6379/1"),
        ("rediss://:pw@cache.example:6380/0", "rediss://:pw@cache.example:6380/0"),
    ],
)
def test_broker_address_is_the_same_server_in_celerys_words(url: str, broker: str) -> None:
    assert embedded.broker_url(url) == broker


@pytest.mark.parametrize(
    ("command", "given", "chosen"),
    [
        ("start", {}, "demo"),
        ("start", {"BIND": "::1"}, "demo"),
        ("start", {"BIND": "0.0.0.0"}, None),
        ("start", {"SECRET_KEY": ""}, None),
        ("start", {"ENVIRONMENT": "production"}, "production"),
        ("migrate", {}, None),
    ],
)
def test_the_demo_is_chosen_only_when_nothing_speaks_of_production(
    command: str, given: dict[str, str], chosen: str | None, data_dir: Path
) -> None:
    environ = {"DATA_DIR": str(data_dir)} | given
    embedded.choose_environment(["manage.py", command], environ)
    assert environ.get("ENVIRONMENT") == chosen


def test_other_commands_follow_a_data_folder_of_the_demo_unless_a_database_is_given(data_dir: Path) -> None:
    embedded.kept_secret(data_dir)
    beside, production = {"DATA_DIR": str(data_dir)}, {"DATA_DIR": str(data_dir), "DATABASE_URL": "postgres://db/x"}
    embedded.choose_environment(["manage.py", "import_log"], beside)
    embedded.choose_environment(["manage.py", "import_log"], production)
    assert beside["ENVIRONMENT"] == "demo"
    assert "ENVIRONMENT" not in production
