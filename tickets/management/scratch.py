"""Databases of its own for a measurement: made, used by this process for a while, and dropped."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import environ
import psycopg
from django.db import connection
from psycopg import sql

from helpdesk import embedded


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[str]:
    """The configured servers, or ones in `folder` that live as long as this; gives the address of Valkey."""
    given = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    with embedded.running(folder, postgres=not given[0], valkey=not given[1]):
        if not given[0]:
            address = environ.Env.db_url_config(embedded.database_url(folder))
            connection.settings_dict |= {"HOST": unquote(str(address["HOST"])), "USER": address["USER"]}
        yield given[1] or embedded.redis_url(folder)


@contextlib.contextmanager
def database(label: str) -> Iterator[str]:
    """An empty database, used by this process for now, and dropped in the end; gives its address."""
    name, before = f"bench_{os.getpid()}_{label}", connection.settings_dict["NAME"]
    connection.close()
    with _maintenance() as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connection.settings_dict["NAME"] = name
    try:
        yield _url(name)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        with _maintenance() as maintenance:
            maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _maintenance() -> "psycopg.Connection[Any]":
    known = connection.settings_dict
    wanted = {"host": known["HOST"], "port": known["PORT"], "user": known["USER"], "password": known["PASSWORD"]}
    return psycopg.connect(dbname="postgres", autocommit=True, **{k: v for k, v in wanted.items() if v})


def _url(name: str) -> str:
    known = connection.settings_dict
    password = f":{quote(known['PASSWORD'], safe='')}" if known["PASSWORD"] else ""
    port = f":{known['PORT']}" if known["PORT"] else ""
    return f"postgres://{quote(known['USER'], safe='')}{password}@{quote(known['HOST'], safe='')}{port}/{name}"
