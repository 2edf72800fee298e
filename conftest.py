"""The tests' own PostgreSQL and Valkey, one migrated template database, and shared fixtures.

One server of each kind serves the whole run: the process that starts pytest starts them, its
xdist workers inherit their addresses. Every worker copies the migrated template database (a
copy takes a tenth of a second, the migrations take many) and has a Valkey database of its own.

TEST_DATABASE_URL and TEST_REDIS_URL point the run at other servers; the role in the first must
be allowed to create databases.
"""

import contextlib
import gc
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Before anything reads the settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "helpdesk.settings"
os.environ["ENVIRONMENT"] = "test"
for production_only in (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "ALLOWED_HOSTS",
    "EMAIL_URL",
    "OUTBOUND_ALLOW",
    "BIND",
    "PORT",
    "MAIL_BIND",
    "MAIL_PORT",
    "MAIL_DOMAIN",
    "MAIL_DEFAULT_MAILBOX",
):
    os.environ.pop(production_only, None)

import psycopg
import pytest
from psycopg import sql

from helpdesk import embedded

# Importing and collecting make some 700,000 objects, all of which stay: looking through them again and again for
# garbage takes a third of that time. `pytest_collection_finish` begins to look.
gc.disable()

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
RUN_VARIABLE = "HELPDESK_TEST_RUN"
_closing = contextlib.ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once per run, then settle what the settings of this process read."""
    if WORKER == "main":
        _begin_run(only_looking=bool(config.option.collectonly or config.option.help))
    _use_own_corner()

    from django.conf import settings

    # A busy machine that answers late is not a broker that is away.
    settings.CACHES["default"]["OPTIONS"] |= {"SOCKET_CONNECT_TIMEOUT": 10, "SOCKET_TIMEOUT": 10}
    # Tests sign in thousands of times, and read pages without `collectstatic`.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    if WORKER == "main" and getattr(config.option, "numprocesses", None):
        # Workers inherit the environment, and pytest-django reads the settings at once where it finds this
        # name: before `_use_own_corner` has given the worker its own Valkey database. They set it themselves.
        del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_collection_finish() -> None:
    """Look for garbage from here on, but only among what the tests make, and for more of it at a time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


def pytest_unconfigure() -> None:
    """Stop what `pytest_configure` started."""
    _closing.close()


def _begin_run(*, only_looking: bool) -> None:
    os.environ[RUN_VARIABLE] = f"helpdesk_test_{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix="helpdesk-test-"))
    folder.chmod(0o711)  # where root runs the tests, PostgreSQL runs as nobody and must get in
    _closing.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ["DATA_DIR"] = str(folder)
    given_database, given_redis = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_REDIS_URL")
    if not only_looking and not (given_database and given_redis):
        _closing.enter_context(
            embedded.running(folder, postgres=not given_database, valkey=not given_redis, durable=False)
        )
    os.environ["DATABASE_URL"] = given_database or embedded.database_url(folder)
    os.environ["REDIS_URL"] = given_redis or embedded.redis_url(folder)
    if given_database and not only_looking:
        _closing.callback(_drop_database, f"{os.environ[RUN_VARIABLE]}_template")


def _use_own_corner() -> None:
    """Give this process its own folder and its own Valkey database."""
    if WORKER != "main":
        folder = Path(os.environ["DATA_DIR"]) / WORKER
        folder.mkdir(exist_ok=True)
        os.environ["DATA_DIR"] = str(folder)
    number = 1 + int(WORKER.removeprefix("gw")) if WORKER != "main" else 0
    url = os.environ["REDIS_URL"]
    if url.startswith("unix://"):
        os.environ["REDIS_URL"] = url.partition("?")[0] + f"?db={number}"
    else:
        os.environ["REDIS_URL"] = re.sub(r"(?<=[^/])/\d*$", "", url.rstrip("/")) + f"/{number}"
    (Path(os.environ["DATA_DIR"]) / "static").mkdir(exist_ok=True)


# --- One template database, one copy for each worker ------------------------------------------


@contextlib.contextmanager
def _maintenance() -> "Iterator[psycopg.Connection[Any]]":
    from django.db import connection

    parameters = {
        "host": connection.settings_dict["HOST"],
        "port": connection.settings_dict["PORT"] or None,
        "user": connection.settings_dict["USER"],
        "password": connection.settings_dict["PASSWORD"] or None,
    }
    with psycopg.connect(
        dbname="postgres", autocommit=True, **{name: value for name, value in parameters.items() if value}
    ) as maintenance:
        yield maintenance


def _drop_database(name: str) -> None:
    with _maintenance() as maintenance:
        maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """A database of this worker's own, copied from the template that the first worker migrates."""
    from django.core.management import call_command
    from django.db import connection

    run = os.environ[RUN_VARIABLE]
    template, mine = f"{run}_template", f"{run}_{WORKER}"
    with django_db_blocker.unblock(), _maintenance() as maintenance:
        # One worker migrates, the others wait here; the lock goes with the connection.
        maintenance.execute("SELECT pg_advisory_lock(hashtext(%s))", [run])
        known = maintenance.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template]).fetchone()
        if not known:
            unfinished = f"{run}_unfinished"
            maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(unfinished)))
            maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unfinished)))
            connection.close()
            connection.settings_dict["NAME"] = unfinished
            call_command("migrate", verbosity=0, interactive=False)
            connection.close()
            maintenance.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(unfinished), sql.Identifier(template))
            )
        maintenance.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(mine), sql.Identifier(template))
        )
        maintenance.execute("SELECT pg_advisory_unlock(hashtext(%s))", [run])
        connection.close()
        connection.settings_dict["NAME"] = mine
    yield
    with django_db_blocker.unblock():
        connection.close()
        _drop_database(mine)


# --- Fixtures ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _empty_valkey() -> Iterator[None]:
    """No throttle count, cached page or queued task outlives its test."""
    yield
    from django.core.cache import cache

    cache.clear()


@contextlib.contextmanager
def _transaction_around(blocker: Any) -> Iterator[Any]:
    from django.db import connection, transaction

    @contextlib.contextmanager
    def writing() -> Iterator[None]:
        with blocker.unblock():
            yield
            # The end of each test looks at foreign keys that nobody has looked at yet: let it find its own only.
            connection.check_constraints()

    with blocker.unblock():
        outer = transaction.atomic()
        outer.__enter__()
    yield writing
    with blocker.unblock():
        transaction.set_rollback(True)
        outer.__exit__(None, None, None)


@pytest.fixture(scope="module")
def module_transaction(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """Keep what the module's own fixtures write for all tests of the module, and take it back after the last.

    For test data that takes long to make: once instead of for each test. A fixture of the module writes inside
    `with module_transaction():`. Each test runs in a savepoint and is taken back as ever; a test that is marked with
    `django_db(transaction=True)` has no place in such a module.
    """
    with _transaction_around(django_db_blocker) as writing:
        yield writing


@pytest.fixture(scope="class")
def class_transaction(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """The same for the tests of one class."""
    with _transaction_around(django_db_blocker) as writing:
        yield writing


@pytest.fixture
def now() -> datetime:
    """A Wednesday morning: the fixed time that tests pass into services."""
    return datetime(2025, 3, 12, 10, 0, tzinfo=UTC)


# --- The browser (make test-browser) ----------------------------------------------------------

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    # Playwright runs an event loop in this thread, which Django takes for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def open_browser(chromium: Any) -> Iterator[Any]:
    """A function that opens a window of its own (`width`, `height`, `dark`) for one more person.

    Fails the test when a page wrote an error to the console: a refused script or style, too.
    """
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(width: int = 1440, height: int = 900, dark: bool = False) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
            reduced_motion="reduce",  # axe would read the colours of what still fades in
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    # A refused form or a missing page is said by the browser as well; only the tests know whether it should be.
    assert [text for text in complaints if "Failed to load resource" not in text] == []
