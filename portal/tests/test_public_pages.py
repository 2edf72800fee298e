"""The portal is quick on a phone: each page is small and asks the database little."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from whitenoise.compress import Compressor

from portal.tests.public_pages import NO_PAGES, PAGES, Page, World

pytestmark = pytest.mark.django_db

MOST_BYTES = 60_000  # of the page, its styles and its scripts, as they are served
MOST_QUERIES = 6
REFERENCES = re.compile(r'<link[^>]*rel="stylesheet"[^>]*href="([^"]+)"|<script[^>]*src="([^"]+)"')
WITHIN = re.compile(r"""(?:@import\s+(?:url\()?|\bfrom\s*|\bimport\s*\(?)\s*["']([^"']+)["']""")


@pytest.fixture(scope="module")
def made(module_transaction: Any) -> World:
    with module_transaction():
        return World()


@pytest.fixture
def world(made: World, db: None) -> World:
    return made


def opened(page: Page, world: World) -> Any:
    client = Client()
    for name, value in page.cookies(world).items():
        client.cookies[name] = value
    return client.get(page.address(world))


def weight_of(address: str, client: Client, seen: set[str]) -> int:
    """The bytes of a style or a script with those that it loads itself: static ones as WhiteNoise compresses them."""
    address = address.replace("&amp;", "&")
    if address in seen:
        return 0
    seen.add(address)
    if not address.startswith(settings.STATIC_URL):
        assert address.startswith("/"), f"{address} is on another server"
        answer = client.get(address)
        assert answer.status_code == 200, address
        return len(answer.content)
    path = Path(str(finders.find(address.removeprefix(settings.STATIC_URL).partition("?")[0])))
    content = path.read_bytes()
    compressed = Compressor.compress_gzip(content) if Compressor().should_compress(path.name) else content
    loaded = [str(Path(address).parent / one) for one in WITHIN.findall(content.decode()) if one.startswith(".")]
    return min(len(content), len(compressed)) + sum(weight_of(one, client, seen) for one in loaded)


def test_every_page_of_the_portal_is_among_them() -> None:
    names = {
        f"portal:{route.name}"
        for route in get_resolver("portal.urls").url_patterns
        if str(route.pattern).startswith("portal/")
    }
    assert names == {page.name for page in PAGES} | NO_PAGES


@pytest.mark.parametrize("page", PAGES, ids=str)
class TestEveryPage:
    def test_is_small(self, page: Page, world: World) -> None:
        answer = opened(page, world)
        assert answer.status_code == page.status
        references = [style or script for style, script in REFERENCES.findall(answer.text)]
        assert references
        seen: set[str] = set()
        weights = {one: weight_of(one, Client(), seen) for one in references}
        # Pages have secrets in them (CSRF) and are sent as they are: compression would tell them (BREACH).
        assert answer.get("Content-Encoding") is None
        assert len(answer.content) + sum(weights.values()) <= MOST_BYTES, (len(answer.content), weights)

    def test_asks_the_database_little(self, page: Page, world: World) -> None:
        with CaptureQueriesContext(connection) as queries:
            opened(page, world)
        assert len(queries) <= MOST_QUERIES, [query["sql"][:120] for query in queries]
