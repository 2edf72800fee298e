"""What people write, made safe to show: Markdown to sanitised HTML, and plain excerpts. Pure."""

import re
import threading
from html import escape
from typing import Any

import nh3
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

# An allow-list: nothing that runs, styles, loads or frames. Images come as attachments.
_TAGS = {
    "a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto", "tel"}
LONGEST_LINK = 2000
MOST_LINKS = 2000
_MAY_LINK = re.compile(r"[.:@]\S|//")


class _Linkify(LinkifyIt):  # type: ignore[misc]  # the library has no types
    """Finds bare addresses, and passes over words longer than any that people follow.

    The search takes time by the square of a word's length: a minute for one of 200,000 characters.
    """

    def test(self, text: str) -> bool:
        return bool(super().test(_without_long_words(text)))

    def match(self, text: str) -> list[Any] | None:
        found: list[Any] | None = super().match(_without_long_words(text))
        return found

    def match_at_start(self, text: str) -> Any:
        return super().match_at_start(_without_long_words(text[: LONGEST_LINK + 1]))


def _without_long_words(text: str) -> str:
    """Such words as white space of the same length, so that places stay."""
    return re.sub(rf"\S{{{LONGEST_LINK + 1},}}", lambda word: " " * len(word[0]), text)


class _Tools(threading.local):
    """The parsers of one thread: they are dear to make, and note on themselves where they are."""

    def __init__(self) -> None:
        self.linkify = _Linkify()
        self.markdown = {links: self._markdown(links) for links in (True, False)}

    def _markdown(self, links: bool) -> MarkdownIt:
        # No raw HTML; single line breaks count, as people who write mail expect.
        parser = MarkdownIt("commonmark", {"html": False, "linkify": links, "breaks": True, "maxNesting": 20})
        parser.linkify = self.linkify
        return parser.enable(["linkify", "table", "strikethrough"]).disable("image")


_tools = _Tools()


def sanitise(html: str) -> str:
    """HTML with everything removed that is not on the allow-list."""
    return nh3.clean(
        html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener noreferrer nofollow"
    )


def render(text: str) -> str:
    """Markdown as sanitised HTML."""
    # Each bare address that becomes a link copies the list of all: by the thousand they stay text.
    few = sum(1 for _ in re.finditer(r"[.:@]\S", text)) <= MOST_LINKS
    return sanitise(_tools.markdown[few].render(text)).strip()


def render_plain(text: str) -> str:
    """Plain text, as in a mail, as sanitised HTML: paragraphs, line breaks and links; nothing else is markup."""
    paragraphs = re.split(r"\n[ \t]*\n\s*", text.strip())
    return sanitise("".join(f"<p>{_linked(paragraph)}</p>" for paragraph in paragraphs if paragraph))


def _linked(text: str) -> str:
    """Text as HTML, its bare web and mail addresses as links."""
    # Most lines have no address in them, and to look for one takes longer than everything else.
    return "<br>".join(_linked_line(line) if _MAY_LINK.search(line) else escape(line) for line in text.split("\n"))


def _linked_line(line: str) -> str:
    pieces, end = [], 0
    for link in _tools.linkify.match(line) or []:
        pieces += [escape(line[end : link.index]), f'<a href="{escape(link.url)}">{escape(link.text)}</a>']
        end = link.last_index
    return "".join([*pieces, escape(line[end:])])


def fill(text: str, variables: dict[str, str]) -> str:
    """`{{name}}` replaced by its value, literally and once; unknown names stay as they are.

    User text is never run as a template: this knows names, nothing else.
    """
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: variables.get(match[1], match[0]), text)


def is_text(value: str) -> bool:
    """Whether a string can be stored and sent: no NUL, no lone surrogate."""
    if "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
