"""The HTML of a mail as plain text a person can read."""

import html as entities
import re
from typing import Final

import nh3
from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig

from tickets.mail.parsing import charsets

# Past these the layout is given up and only the tags are taken out: the parsers take time that grows with the square
# of nesting and of bare ampersands, and libxml2 reads nothing that is deeper than 256.
MAX_TAGS: Final = 20_000
MAX_NESTING: Final = 150
MAX_AMPERSANDS: Final = 20_000
MAX_LAID_OUT: Final = 500_000

_TAGS: Final = {
    "a", "b", "blockquote", "br", "center", "code", "dd", "del", "div", "dl", "dt", "em", "font", "h1", "h2", "h3",
    "h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "q", "s", "span", "strong", "table", "tbody", "td", "tfoot",
    "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_DROPPED: Final = {
    "script",
    "style",
    "head",
    "title",
    "template",
    "noscript",
    "svg",
    "math",
    "object",
    "select",
    "textarea",
}
_CONFIG: Final = ParserConfig(css=CSS_PROFILES["strict"], table_cell_separator="  ")

_HIDDEN: Final = re.compile(
    r"<(script|style|head|title|template|svg|math)\b[^>]*>.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE
)
_BREAKING: Final = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/table|/blockquote|/pre|hr)\b[^<>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[a-zA-Z/!?][^<>]*>")
_NESTING: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_NEVER_NEST: Final = frozenset({
    "br", "hr", "img", "input", "meta", "link", "col", "area", "base", "wbr", "p", "li", "td", "th", "tr", "tbody",
    "thead", "tfoot", "option", "dt", "dd", "html", "body", "o",
})  # fmt: skip
_LINK: Final = re.compile(r'<a\b[^<>]*?\bhref="([^"<>]{1,2000})"[^<>]*>((?:[^<]|<(?!/?a\b))*)</a>', re.IGNORECASE)
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_TRAILING: Final = re.compile(r"[ \t]+$", re.MULTILINE)
_META_CHARSET: Final = re.compile(rb"<meta\b[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{2,40})", re.IGNORECASE)


def declared_charset(data: bytes) -> str:
    """The charset that the HTML itself names in a `meta` element of its first 4 KB, "" when none."""
    match = _META_CHARSET.search(data[:4096])
    return match[1].decode("ascii") if match else ""


def to_text(html: str) -> str:
    """HTML as plain text: paragraphs, lists and tables laid out, links as "words (address)" where the words are not
    the address. Scripts, styles, comments and pictures leave nothing, and neither do links that are not http(s),
    mailto or tel. Never raises."""
    if (
        len(html) > MAX_LAID_OUT
        or html.count("<") > MAX_TAGS
        or html.count("&") > MAX_AMPERSANDS
        or _nesting(html) > MAX_NESTING
    ):
        return _stripped(html)
    safe = nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel=None,
    )
    try:
        text = get_text(_LINK.sub(_link, safe), _CONFIG)
    except Exception:  # the parser is not ours and the input is foreign: the words must survive whatever it raises
        return _stripped(html)
    return _tidy(text)


def from_text(text: str) -> str:
    """Plain text as HTML that shows the same."""
    return "<div>" + entities.escape(text, quote=False).replace("\n", "<br>\n") + "</div>"


def _link(match: re.Match[str]) -> str:
    """A link as its words, and its address behind them where that says more."""
    address, words = match[1], match[2]
    shown = entities.unescape(_TAG.sub("", words)).strip()
    bare = entities.unescape(address)
    bare = bare.removeprefix("mailto:").removeprefix("tel:")
    if not shown:
        return words
    if _essence(shown) == _essence(bare) or len(bare) > 300:
        # An address without end is one that counts clicks: nobody reads it.
        return words
    return f"{words} ({entities.escape(bare, quote=False)})"


def _essence(text: str) -> str:
    return re.sub(r"^https?://(?:www\.)?|[\s/]+|\?.*$", "", text.lower(), flags=re.DOTALL)


def _nesting(html: str) -> int:
    depth = deepest = 0
    for closing, name in _NESTING.findall(html):
        if name.lower() in _NEVER_NEST:
            continue
        depth = max(depth - 1, 0) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _stripped(html: str) -> str:
    text = _TAG.sub("", _BREAKING.sub("\n", _HIDDEN.sub("", re.sub(r"\s+", " ", html))))
    return _tidy(entities.unescape(text))


def _tidy(text: str) -> str:
    text = charsets.clean(text).replace("\u00a0", " ").replace("\u200b", "").replace("\ufeff", "").replace("\u00ad", "")
    return _BLANK_LINES.sub("\n\n", _TRAILING.sub("", text)).strip("\n")
