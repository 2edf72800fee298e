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
# of nesting, of bare ampersands and of some signs, and libxml2 reads nothing that is deeper than 256.
MAX_COST: Final = 15_000  # see `cost`; about a fifth of a second
MAX_NESTING: Final = 150
MAX_QUOTES: Final = 20  # signs before a quoted line

# Those that make lines, columns and marks. The others would only cost time.
_TAGS: Final = {
    "a", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "q", "table", "td", "th", "tr", "ul",
}  # fmt: skip
_DROPPED: Final = {
    "script", "style", "head", "title", "template", "noscript", "svg", "math", "object", "select", "textarea",
}  # fmt: skip
_CONFIG: Final = ParserConfig(css=CSS_PROFILES["strict"], table_cell_separator="  ")

_HIDDEN_OPENS: Final = re.compile(r"<(?:(script|style|head|title|template|svg|math)\b|!--)", re.IGNORECASE)
_BREAKING: Final = re.compile(
    r"<(?:br|blockquote|/p|/div|/tr|/li|/h[1-6]|/table|/blockquote|/pre|hr)\b[^<>]*>", re.IGNORECASE
)
_TAG: Final = re.compile(r"<[a-zA-Z/!?][^<>]*>")
_NESTING: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_NEVER_NEST: Final = frozenset({
    "br", "hr", "img", "input", "meta", "link", "col", "area", "base", "wbr", "p", "li", "td", "th", "tr", "tbody",
    "thead", "tfoot", "option", "dt", "dd", "html", "body", "o",
})  # fmt: skip
_LINK: Final = re.compile(r'<a\b[^<>]*?\bhref="([^"<>]{1,2000})"[^<>]*>((?:[^<]|<(?!/?a\b))*)</a>', re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
_QUOTE: Final = re.compile(r"<(/?)blockquote\b[^<>]*>", re.IGNORECASE)
# Characters for private use mark where a quote begins and ends while the text is laid out.
_QUOTE_BEGINS: Final = "\ue000"
_QUOTE_ENDS: Final = "\ue001"
# And this one a no-break space: the sanitiser writes it as an entity, in time that grows with the square of them.
_NO_BREAK: Final = "\ue002"
_MARKS: Final = re.compile(f"[{_QUOTE_BEGINS}{_QUOTE_ENDS}]")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_META_CHARSET: Final = re.compile(
    rb"<meta\b[^<>]{0,300}?charset\s*+=\s*+[\"']?\s*+([A-Za-z0-9._:-]{2,40})", re.IGNORECASE
)


def declared_charset(data: bytes) -> str:
    """The charset that the HTML itself names in a `meta` element of its first 4 KB, "" when none."""
    match = _META_CHARSET.search(data[:4096])
    return match[1].decode("ascii") if match else ""


def cost(html: str) -> int:
    """How much work it is to lay HTML out: a tag or an entity counts one, and so do 200 characters.

    And so does a character of U+0080 to U+00BF, which the sanitiser looks at closely: in UTF-8 they begin like a
    no-break space. Those themselves are taken out before.
    """
    alike = html.encode("utf-8", "replace").count(b"\xc2") - html.count("\u00a0")
    return max(html.count("<"), html.count(">")) + html.count("&") + alike + len(html) // 200


def is_affordable(html: str, *, budget: int = MAX_COST) -> bool:
    """Whether HTML can be sanitised and laid out in a moment. What cannot is shown as its plain text."""
    return cost(html) <= budget and _nesting(html) <= MAX_NESTING


def to_text(html: str, *, budget: int = MAX_COST) -> str:
    """HTML as plain text: paragraphs, lists and tables laid out, quotes behind "> " as in plain mail, links as
    "words (address)" where the words are not the address.

    Scripts, styles, comments and pictures leave nothing, and neither do links that are not http(s), mailto or tel.
    HTML that costs more than `budget` keeps its words and lines, and loses its layout. Never raises.
    """
    if not is_affordable(html, budget=budget):
        return _stripped(html)
    safe = nh3.clean(
        html.replace("\u00a0", _NO_BREAK),
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel=None,
    )
    try:
        text = get_text(_with_marks(_LINK.sub(_link, safe.replace("&nbsp;", _NO_BREAK))), _CONFIG)
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
    if not shown or not _ABSOLUTE.match(address):
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
    text = _with_marks(_without_hidden(re.sub(r"\s+", " ", html)))
    text = _TAG.sub("", _BREAKING.sub("\n", text))
    return _tidy(entities.unescape(text))


def _without_hidden(html: str) -> str:
    """The HTML without its comments, scripts and the like; one that never ends stays."""
    kept: list[str] = []
    position = 0
    endless: set[str] = set()  # no end of these is to come: looking for it again would take the square of the time
    for opening in _HIDDEN_OPENS.finditer(html):
        if opening.start() < position:
            continue
        closing = f"</{opening[1].lower()}" if opening[1] else "-->"
        if closing in endless:
            continue
        end = re.compile(re.escape(closing), re.IGNORECASE).search(html, opening.end())
        if not end:
            endless.add(closing)
            continue
        kept.append(html[position : opening.start()])
        position = end.end() if closing == "-->" else end.start()
    return "".join(kept) + html[position:]


def _with_marks(html: str) -> str:
    return _QUOTE.sub(
        lambda match: f"{_QUOTE_ENDS}{match[0]}" if match[1] else f"{match[0]}{_QUOTE_BEGINS}", _MARKS.sub("", html)
    )


def _quoted(text: str) -> str:
    """The text with "> " before each line of a quote, and ">> " before one of a quote in it."""
    if not _MARKS.search(text):
        return text
    lines: list[str] = []
    depth = 0
    for line in text.split("\n"):
        begins = line.count(_QUOTE_BEGINS)
        words = _MARKS.sub("", line).rstrip()
        inside = min(depth + begins, MAX_QUOTES)
        depth = max(depth + begins - line.count(_QUOTE_ENDS), 0)
        if words or not (begins or _QUOTE_ENDS in line):
            lines.append(f"{'>' * inside} {words}".rstrip() if inside else words)
    return "\n".join(lines)


def _tidy(text: str) -> str:
    text = _quoted(text)
    text = (
        charsets.clean(text)
        .replace(_NO_BREAK, " ")
        .replace("\u00a0", " ")
        .replace("\u200b", "")
        .replace("\ufeff", "")
        .replace("\u00ad", "")
    )
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip("\n")
