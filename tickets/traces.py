"""What a text says of a person who is erased, and what stands there afterwards. Pure.

An address is found wherever it stands alone, in any case, also as HTML, JSON and web addresses write it; not as a
part of a longer one. A name is found as whole words. Nothing but what literally occurs is found: a text that
describes somebody without naming them stays what it is.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any
from urllib.parse import quote

TEXT = "[erased]"
SUBJECT = "Erased request"
NAME = "Erased customer"
FILE = "erased"
SHORTEST_PART = 3  # characters of a part of a name that is looked for by itself
# Mailboxes of roles (RFC 2142), whose names are words like any other.
ROLES = frozenset(
    {
        "abuse", "contact", "ftp", "hello", "help", "hostmaster", "info", "mail", "marketing", "news", "noc", "office",
        "postmaster", "sales", "security", "support", "team", "usenet", "uucp", "webmaster", "www",
    }
)  # fmt: skip


def _variants(text: str) -> set[str]:
    """The text as itself, in HTML, in JSON and in a web address."""
    encoded = json.dumps(text)[1:-1]
    return {text, escape(text), escape(text, quote=False), encoded, quote(text), quote(text, safe="")}


def _any_of(texts: Iterable[str]) -> str:
    """One expression for all of them, the longest first."""
    return "|".join(re.escape(text) for text in sorted(set(texts), key=lambda text: (-len(text), text)))


@dataclass(frozen=True)
class Traces:
    """The address (lower case), the names under which the person wrote, and the address that takes its place."""

    address: str
    stand_in: str
    names: tuple[str, ...] = field(default=())

    @cached_property
    def _address(self) -> re.Pattern[str]:
        before = r"(?:(?<=%[0-9A-Fa-f]{2})|(?<![\w.+-]))"
        return re.compile(rf"{before}(?:{_any_of(_variants(self.address))})(?![\w-]|\.\w)", re.IGNORECASE)

    @cached_property
    def _names(self) -> re.Pattern[str] | None:
        texts: set[str] = set()
        for name in self.names:
            if len(words := name.split()) and len(name.strip()) >= SHORTEST_PART:
                texts |= _variants(" ".join(words))
        if not texts:
            return None
        # However many spaces or line breaks stand between its words.
        return re.compile(rf"(?<!\w)(?:{_any_of(texts)})(?!\w)".replace(r"\ ", r"\s+"), re.IGNORECASE)

    @cached_property
    def _parts(self) -> re.Pattern[str] | None:
        parts = {part for name in self.names for part in re.findall(r"\w+", name)}
        local = self.address.partition("@")[0]
        if local not in ROLES:
            parts |= {local, local.capitalize()}  # how somebody is called who gave no name
        parts = {part for part in parts if len(part) >= SHORTEST_PART}
        # As it is written: “Will” is a name, “will” a word.
        return re.compile(rf"(?<!\w)(?:{_any_of(parts)})(?!\w)") if parts else None

    @property
    def spellings(self) -> list[str]:
        """How the address may be written, for those who look for it before they read."""
        return sorted(_variants(self.address))

    def without_address(self, text: str) -> str:
        """The text, in which the other address stands."""
        return self._address.sub(lambda _: self.stand_in, text)

    def clean(self, text: str, *, parts: bool = False) -> str:
        """The text without address and names; with `parts` also without single words of the names."""
        # Names inside the address must not take it apart, and an address inside a name neither.
        text = self.without_address(text)
        if self._names is not None:
            text = self._names.sub(lambda _: NAME, text)
        if parts and self._parts is not None:
            text = self._parts.sub(lambda _: TEXT, text)
        return text

    def clean_value(self, value: Any, *, parts: bool = False) -> Any:
        """A value as JSON has it: every text in it cleaned, its names of things left as they are."""
        if isinstance(value, str):
            return self.clean(value, parts=parts)
        if isinstance(value, Mapping):
            return {name: self.clean_value(one, parts=parts) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean_value(one, parts=parts) for one in value]
        return value

    def are_in(self, text: str) -> bool:
        """Whether the address or a whole name occurs."""
        return bool(self._address.search(text) or (self._names is not None and self._names.search(text)))
