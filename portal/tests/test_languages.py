"""The portal's translations are complete: every text that a page marks is there in every language, and compiled."""

import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation.template import templatize

Marked = tuple[str, object, str | None]  # where, what (singular and plural), in which context

BASE = Path(settings.BASE_DIR)
LOCALE = Path(settings.LOCALE_PATHS[0])
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]
KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%[sd]|\{\w*\}")
# Of what Django makes of a template for extraction only the calls are Python.
_STRING = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
CALL = re.compile(rf"\bn?p?gettext\({_STRING}(?:,\s*{_STRING})*(?:,\s*\w+)?\)")
TAG = re.compile(r"</?\w+[^>]*>")


@cache
def marked_texts() -> tuple[Marked, ...]:
    """Every text that templates and Python files mark for translation: where, what, in which context."""
    return tuple(_marked())


def _marked() -> Iterator[Marked]:
    for path in sorted((BASE / "templates").rglob("*")):
        if path.suffix in {".html", ".txt"} and re.search(r"trans|_\(", text := path.read_text()):
            yield from _texts(path, "\n".join(CALL.findall(templatize(text, origin=str(path)))))
    for root in ("helpdesk", "tickets", "slas", "portal"):
        for path in sorted((BASE / root).rglob("*.py")):
            if not {"tests", "migrations"} & set(path.parts) and "gettext" in (text := path.read_text()):
                yield from _texts(path, text)


def _texts(path: Path, source: str) -> Iterator[Marked]:
    for line, text, _, context in extract("python", io.BytesIO(source.encode()), KEYWORDS):
        if text:
            yield f"{path.relative_to(BASE)}:{line}", text, context


def catalog(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def strings(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, tuple | list) else [message.string or ""]


def sources(message: Message) -> list[str]:
    return list(message.id) if isinstance(message.id, tuple | list) else [message.id]


def context(message: Message) -> str | None:
    """Babel gives those of a compiled catalogue as bytes."""
    return message.context.decode() if isinstance(message.context, bytes) else message.context


def test_some_texts_are_marked() -> None:
    assert len({str(text) for _, text, _ in marked_texts()}) > 50


@pytest.mark.parametrize("language", LANGUAGES)
class TestALanguage:
    def test_has_every_text(self, language: str) -> None:
        known = catalog(language)
        missing = []
        for place, text, context in marked_texts():
            message = known.get(text, context)  # type: ignore[arg-type]
            if message is None or message.fuzzy or not all(strings(message)):
                missing.append((place, text))
        assert missing == []

    def test_has_no_text_that_nobody_uses(self, language: str) -> None:
        used = {(text[0] if isinstance(text, tuple) else text, context) for _, text, context in marked_texts()}
        unused = [
            message.id
            for message in catalog(language)
            if message.id and (sources(message)[0], message.context) not in used
        ]
        assert unused == [] and not catalog(language).obsolete

    def test_keeps_placeholders_and_markup(self, language: str) -> None:
        for message in catalog(language):
            if not message.id:
                continue
            singular, plural = sources(message)[0], sources(message)[-1]
            for text in strings(message):
                # The singular may say "one" where the source counts.
                assert set(PLACEHOLDER.findall(text)) <= set(PLACEHOLDER.findall(plural)), text
                assert sorted(TAG.findall(text)) == sorted(TAG.findall(singular)), text
            assert set(PLACEHOLDER.findall(strings(message)[-1])) == set(PLACEHOLDER.findall(plural)), message.id

    def test_is_compiled_as_it_is_written(self, language: str) -> None:
        with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
            compiled = read_mo(file)
        written = catalog(language)
        texts = {(sources(m)[0], m.context): strings(m) for m in written if m.id}
        assert {(sources(m)[0], context(m)): strings(m) for m in compiled if m.id} == texts
        assert written.plural_forms == compiled.plural_forms
