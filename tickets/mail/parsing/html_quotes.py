"""The same reading for the HTML of a message: its lines, their depth of quotation, and the two parts as HTML. Pure.

Mail programs mark what they quote (Gmail's `gmail_quote`, Thunderbird's `moz-cite-prefix`, Outlook's `divRplyFwdMsg`),
so HTML tells in any language what plain text tells only in the languages of `languages`. The structure becomes the
lines of `history`, the decision is made there, and each leaf of the document goes with its line.
"""

import html as entities
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import re2
from lxml import etree

from tickets.mail.parsing.history import Hint, Line, ends_in_attribution, quoted_line, split, storable, visible


@dataclass(frozen=True)
class FoldedHtml:
    """An HTML message in two parts, each as HTML (not sanitised) and as the plain text of its lines."""

    html: str
    folded_html: str
    text: str
    folded_text: str


def fold_html(html: str, *, forwarded: bool = False) -> FoldedHtml | None:
    """`html` with history and signatures apart; None when there is nothing in it or it is nested beyond reason.

    Never raises; linear in its input. Scripts, styles and the head are left out.
    """
    document = _parse(storable(html))
    if document is None:
        return None
    reading = _Reading()
    reading.read(document)
    lines = reading.lines()
    if all(not line.text.strip() for line in lines):
        return None
    shown = visible(lines, forwarded=forwarded)
    _blanks_go_with_the_fold(lines, shown)
    texts = ["> " * line.depth + line.text for line in lines]
    text, folded_text = split(texts, shown)
    if not folded_text.strip("> \n"):
        return FoldedHtml(reading.html([True] * len(lines)), "", text, "")
    return FoldedHtml(reading.html(shown), reading.html([not is_shown for is_shown in shown]), text, folded_text)


def words_of(html: str) -> str:
    """All the text of any HTML, however broken or deep, with little of its structure: for what nothing else reads."""
    return storable(entities.unescape(_TAGS.sub("", _LINE_ENDS.sub("\n", _UNREAD.sub("", storable(html))))))


# RE2 reads these in linear time where `re` would start again at every "<".
_UNREAD: Final = re2.compile(r"(?is)<(?:script|style|title)\b.*?</(?:script|style|title)\s*>|<!--.*?-->")
_LINE_ENDS: Final = re2.compile(r"(?i)<(?:br|/?(?:p|div|li|tr|table|blockquote|h[1-6]|pre))\b[^>]*>")
_TAGS: Final = re2.compile(r"<[a-zA-Z/!?][^>]*>")

# --- The document ---------------------------------------------------------------------------------

# libxml2 drops what is nested deeper than this, so such a document is not read at all.
_DEEPEST: Final = 2000


def _parse(html: str) -> etree._Element | None:
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = etree.fromstring(html.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, etree.ParserError, ValueError):
        return None
    if root is None or any("depth" in entry.message for entry in parser.error_log.filter_from_fatals()):
        return None
    return root


_SKIPPED: Final = frozenset(
    [
        "head",
        "script",
        "style",
        "title",
        "meta",
        "link",
        "base",
        "template",
        "noscript",
        "object",
        "iframe",
        "noembed",
        "noframes",
    ]
)
_BLOCKS: Final = frozenset(
    [
        "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dir", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "html",
        "li", "main", "menu", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr",
        "ul", "caption", "plaintext", "xmp", "listing",
    ]
)  # fmt: skip
_VOID: Final = frozenset(["area", "br", "col", "embed", "hr", "img", "input", "param", "source", "track", "wbr"])

# --- What mail programs call things ---------------------------------------------------------------

# Around a quotation with what leads in to it. Where there is a blockquote in it, answers may stand in it, too.
# (`gmail_extra` is none: people write in it. Its history is in the `gmail_quote` inside.)
_CONTAINERS: Final = frozenset(
    [
        "gmail_quote", "gmail_quote_container", "yahoo_quoted", "protonmail_quote", "zmail_extra",
        "tutanota_quote", "isreplycontent", "olk_src_body_section", "mail-editor-reference-message-container",
        "ms-outlook-mobile-reference-message", "reference-message", "yahoo-quoted-text", "aolmail_quoted",
        "fastmail-quote", "hs_reply", "front-blockquote", "missive_quote", "skiff-mail-quote", "wordpress-quote",
        "ymail_android_quote", "replied-message",
    ]
)  # fmt: skip
_QUOTATIONS: Final = frozenset(["gmail_quote", "tutanota_quote", "protonmail_quote", "front-blockquote", "moz-cite"])
_ATTRIBUTIONS: Final = frozenset(["gmail_attr", "moz-cite-prefix", "reply-intro", "mcntgmail_attr", "hs_reply_header"])
# From here on all is history, without any mark of its end.
_HISTORY: Final = frozenset(["divrplyfwdmsg", "appendonsend", "replysplit", "x_appendonsend"])
_FORWARDS: Final = frozenset(["isforwardcontent", "moz-forward-container"])
_SIGNATURES: Final = frozenset(
    [
        "gmail_signature", "moz-signature", "applemailsignature", "signature", "protonmail_signature_block",
        "ms-outlook-mobile-signature", "x_signature", "ymail_android_signature", "applemailsignature-wrapper",
        "lineBreakAtBeginningOfSignature".lower(), "pp-signature", "zmail_signature", "tutanota_signature",
    ]
)  # fmt: skip
_FORWARD_HEADING: Final = re.compile(r"^\W{0,40}-{2,}\s{0,3}[^\d:@]{4,60}-{2,}")
_RULE_ABOVE: Final = re.compile(r"border-top(?:-style)?\s*:\s*[^;]{0,60}solid", re.I)
_BAR_AT_LEFT: Final = re.compile(r"border-left(?:-style|-width)?\s*:\s*(?!\s*(?:none|0|medium none|initial))", re.I)
_BAR_OTHERWISE: Final = re.compile(
    r"border-inline-start(?:-style)?\s*:\s*[^;]{0,60}solid|border-width\s*:\s*(?:0(?:px)?\s+){3}[1-9]", re.I
)
_PREFORMATTED_TAGS: Final = frozenset(["pre", "plaintext", "xmp", "listing"])
_PREFORMATTED: Final = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)", re.I)
_GAPS: Final = re.compile(r"[ \t\n\f]+")
# A picture the person sent is something they said; one fetched from elsewhere is a pixel or a logo.
_PICTURE: Final = "\ufffc"


def _names(attributes: dict[str, str]) -> frozenset[str]:
    """The classes and the id of an element, as the tables have them."""
    if not attributes:
        return _NO_NAMES
    return frozenset(f"{attributes.get('class', '')} {attributes.get('id', '')}".lower().split())


_NO_NAMES: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class _Node:
    """An element with what is in it: other elements, and words with the number of their line."""

    tag: str
    opening: str
    items: "list[_Node | tuple[str, int]]" = field(default_factory=list)
    # The line of an element with nothing in it (a picture, a line break, an empty cell).
    line: int = 0


@dataclass(slots=True)
class _Frame:
    """What an element on the way down changed, to be changed back on the way up."""

    node: _Node | None
    depth: int = 0
    signature: int = 0
    attribution: int = 0
    preformatted: int = 0
    container: int = 0


class _Reading:
    """One walk through a document: its lines, and a light copy of it whose leaves know their line."""

    def __init__(self) -> None:
        self.root = _Node("", "")
        self._texts: list[list[str]] = [[]]
        self._depths = [0]
        self._hints = [Hint.NONE]
        self._has_words = False
        self._depth = 0
        self._signature = 0
        self._attribution = 0
        self._preformatted = 0
        self._container = 0
        # In a container, before its first quotation: whatever stands there leads in to it.
        self._leading_in = False
        self._hint: Hint | None = None
        self._quotation_style: str | None = None

    def lines(self) -> list[Line]:
        lines = []
        for words, depth, hint in zip(self._texts, self._depths, self._hints, strict=True):
            line = quoted_line("".join(words).strip("\n"))
            lines.append(Line(line.text, line.depth + depth, hint))
        return lines

    # --- Reading ---

    def read(self, document: etree._Element) -> None:
        frames: list[_Frame] = [_Frame(self.root)]
        skipped = 0
        for event, element in etree.iterwalk(document, events=("start", "end")):
            tag = element.tag if isinstance(element.tag, str) else "head"
            if event == "start":
                if skipped or tag in _SKIPPED:
                    skipped += 1
                    continue
                parent = frames[-1].node or self.root
                attributes = dict(element.items())
                node = _node(tag, attributes)
                parent.items.append(node)
                frames.append(self._enter(element, tag, attributes, node))
                if element.text:
                    self._say(node, element.text)
                continue
            if skipped:
                skipped -= 1
            else:
                self._leave(frames.pop(), tag)
            if not skipped and element.tail:
                self._say(frames[-1].node or self.root, element.tail)

    def _enter(self, element: etree._Element, tag: str, attributes: dict[str, str], node: _Node) -> _Frame:
        frame = _Frame(node)
        if tag in _BLOCKS or tag == "hr":
            self._break(forced=False)
        names = _names(attributes)
        style = attributes.get("style", "")
        if attributes:
            self._read_names(element, tag, attributes, names, frame)
        if tag == "blockquote" and (self._depth or self._is_quotation(attributes, names, style)):
            frame.depth = 1
            self._leading_in = False
            if not self._depth:
                self._quotation_style = style
        if tag in _PREFORMATTED_TAGS or (style and _PREFORMATTED.search(style)):
            frame.preformatted = 1
        self._depth += frame.depth
        self._signature += frame.signature
        self._attribution += frame.attribution
        self._container += frame.container
        self._preformatted += frame.preformatted
        node.line = len(self._texts) - 1
        self._mark()
        if tag == "br" or tag == "hr":
            self._break(forced=True)
        elif tag == "img" and not self._signature and attributes.get("src", "").startswith(("cid:", "data:")):
            self._texts[-1].append(_PICTURE)
            self._has_words = True
        return frame

    def _read_names(
        self, element: etree._Element, tag: str, attributes: dict[str, str], names: frozenset[str], frame: _Frame
    ) -> None:
        """What the class, the id and the style of an element say of the lines in it and after it."""
        if names & _HISTORY or (tag == "div" and self._is_outlook_separator(element, attributes.get("style", ""))):
            self._hint = Hint.HISTORY
        elif names & _FORWARDS and not self._depth:
            self._hint = Hint.FORWARD
        if names & _SIGNATURES or attributes.get("data-smartmail") == "gmail_signature":
            frame.signature = 1
        if names & _ATTRIBUTIONS:
            frame.attribution = 1
        if not names & _CONTAINERS or self._container or self._depth or tag == "blockquote":
            return
        frame.container = 1
        if "gmail_quote" in names and _FORWARD_HEADING.match(_first_words(element)):
            self._hint = Hint.FORWARD  # Gmail writes dashes above nothing else.
        elif next(element.iter("blockquote"), None) is not None:
            self._leading_in = True
        elif not _FORWARD_HEADING.match(_first_words(element)):
            frame.depth = 1

    def _leave(self, frame: _Frame, tag: str) -> None:
        if tag in _BLOCKS:
            self._break(forced=False)
        elif tag in ("td", "th") and self._has_words:
            self._texts[-1].append(" ")
        self._depth -= frame.depth
        self._signature -= frame.signature
        self._attribution -= frame.attribution
        self._preformatted -= frame.preformatted
        self._container -= frame.container
        if frame.container:
            self._leading_in = False
        self._mark()

    def _say(self, node: _Node, words: str) -> None:
        """Words at the place where the walk is. In preformatted text every line of them is a line."""
        if not self._preformatted:
            self._put(node, words, _GAPS.sub(" ", words))
            return
        first, *others = words.split("\n")
        self._put(node, first, first)
        for line in others:
            node.items.append(("\n", len(self._texts) - 1))
            self._break(forced=True)
            self._put(node, line, line)

    def _put(self, node: _Node, source: str, words: str) -> None:
        node.items.append((source, len(self._texts) - 1))
        if not self._has_words and not self._preformatted:
            words = words.lstrip(" ")
        if words:
            self._texts[-1].append(words)
        if not self._has_words and words.strip():
            self._has_words = True
            self._mark(hint=True)

    def _mark(self, *, hint: bool = False) -> None:
        """Write what is known here to the line that is being filled, until it has words of its own."""
        if self._has_words and not hint:
            return
        self._depths[-1] = self._depth
        if self._hint is not None:
            self._hints[-1], self._hint = self._hint, None
        elif self._hints[-1] in (Hint.HISTORY, Hint.FORWARD):
            return
        elif self._signature and not self._depth:
            self._hints[-1] = Hint.SIGNATURE
        elif (self._attribution or self._leading_in) and not self._depth:
            self._hints[-1] = Hint.ATTRIBUTION
        else:
            self._hints[-1] = Hint.NONE

    def _break(self, *, forced: bool) -> None:
        if not (forced or self._texts[-1]):
            return
        self._texts.append([])
        self._depths.append(self._depth)
        self._hints.append(Hint.NONE)
        self._has_words = False
        self._mark()

    def _is_quotation(self, attributes: dict[str, str], names: frozenset[str], style: str) -> bool:
        """Whether a blockquote quotes an older message. Gmail and Outlook indent with the same element."""
        if (
            attributes.get("type", "").lower() == "cite"
            or attributes.get("cite")
            or names & (_QUOTATIONS | _CONTAINERS)
        ):
            return True
        if self._quotation_style is not None and style == self._quotation_style:
            return True
        if _BAR_AT_LEFT.search(style) or _BAR_OTHERWISE.search(style):
            return True
        last = [n for n in range(max(0, len(self._texts) - 8), len(self._texts)) if not self._depths[n]]
        return ends_in_attribution(["".join(self._texts[n]) for n in last][-8:])

    @staticmethod
    def _is_outlook_separator(element: etree._Element, style: str) -> bool:
        """Outlook's rule above an older message, in any language: a border above three or more bold labels."""
        if "border-top" not in style.lower() or not _RULE_ABOVE.search(style):
            return False
        labels = 0
        for n, inner in enumerate(element.iter()):
            if n > 60:
                break
            if inner.tag in ("b", "strong") and _first_words(inner).rstrip().endswith((":", "：")):
                labels += 1
        return labels >= 3

    # --- Writing ---

    def html(self, wanted: Sequence[bool]) -> str:
        """The document with only the lines that are wanted, and the elements around them."""
        kept = None if all(wanted) else _kept(self.root, wanted)
        written: list[str] = []
        stack: list[_Node | str | tuple[str, int]] = [self.root]
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                written.append(item)
            elif isinstance(item, tuple):
                if wanted[item[1]]:
                    written.append(entities.escape(item[0], quote=False))
            elif kept is None or id(item) in kept:
                written.append(item.opening)
                if item.tag in _VOID:
                    continue
                if item.opening:
                    stack.append(f"</{item.tag}>")
                stack.extend(reversed(item.items))
        return "".join(written).strip()


def _kept(root: _Node, wanted: Sequence[bool]) -> set[int]:
    """The (ids of the) elements with something wanted in them."""
    kept: set[int] = set()
    stack: list[tuple[_Node, _Node | None, bool]] = [(root, None, False)]
    while stack:
        node, parent, is_left = stack.pop()
        if not is_left:
            if not node.items:
                if wanted[node.line]:
                    kept.add(id(node))
            else:
                for item in node.items:
                    if isinstance(item, tuple) and wanted[item[1]] and item[0].strip():
                        kept.add(id(node))
                        break
            stack.append((node, parent, True))
            stack.extend((item, node, False) for item in node.items if isinstance(item, _Node))
        elif parent is not None and id(node) in kept:
            kept.add(id(parent))
    return kept


def _node(tag: str, attributes: dict[str, str]) -> _Node:
    if tag == "html" or (tag == "body" and not attributes):
        return _Node(tag, "")
    tag = _WRITTEN_AS.get(tag, tag)
    if not attributes:
        return _Node(tag, f"<{tag}>") if _TAG.match(tag) else _Node("span", "<span>")
    if not _TAG.match(tag):
        tag = "span"
    said = "".join(
        f' {name}="{entities.escape(value)}"' for name, value in attributes.items() if _ATTRIBUTE.match(name)
    )
    return _Node(tag, f"<{tag}{said}>")


# What reads all that follows as text would swallow our end tags.
_WRITTEN_AS: Final = {"body": "div", "plaintext": "pre", "xmp": "pre", "listing": "pre"}
_TAG: Final = re.compile(r"^[a-zA-Z][a-zA-Z0-9]{0,30}$")
_ATTRIBUTE: Final = re.compile(r"^[a-zA-Z][a-zA-Z0-9_-]{0,60}$")


def _first_words(element: etree._Element) -> str:
    """The first few hundred characters of an element's text."""
    found: list[str] = []
    length = 0
    for n, words in enumerate(element.itertext()):
        found.append(words[:300])
        length += len(words)
        if length > 300 or n > 40:
            break
    return "".join(found)[:300].strip()


def _blanks_go_with_the_fold(lines: Sequence[Line], shown: list[bool]) -> None:
    """Fold the blank lines above a fold and at the end: they were the gap above what is now out of view."""
    below = False
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].text.strip():
            below = shown[at]
        elif not below:
            shown[at] = False
