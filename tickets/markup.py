"""What people write, made safe to show: Markdown to sanitised HTML, and plain excerpts. Pure."""

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt

# An allow-list: nothing that runs, styles, loads or frames. Images come as attachments.
_TAGS = {
    "a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto", "tel"}


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    # No raw HTML; single line breaks count, as people who write mail expect.
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True, "maxNesting": 20})
    return parser.enable(["linkify", "table", "strikethrough"]).disable("image")


def sanitise(html: str) -> str:
    """HTML with everything removed that is not on the allow-list."""
    return nh3.clean(
        html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener noreferrer nofollow"
    )


def render(text: str) -> str:
    """Markdown as sanitised HTML."""
    return sanitise(_markdown().render(text)).strip()


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
