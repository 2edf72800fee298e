"""What the person wrote, and the files that came with it: the choice among the parts of a message."""

import html as entities
import mimetypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final
from urllib.parse import unquote

from tickets.mail.parsing import charsets, headers, html
from tickets.mail.parsing.structure import MAX_PARTS, Part, uuencoded

MAX_TEXT: Final = 2_000_000  # characters of text, and of HTML, that are kept
MAX_TEXT_BYTES: Final = 8_000_000  # bytes of all the texts together that are decoded
MAX_FILENAME: Final = 150  # characters

_TEXTS: Final = frozenset({"text/plain", "text/html", "text/markdown", "text/x-markdown", "application/xhtml+xml"})
_HTMLS: Final = frozenset({"text/html", "application/xhtml+xml"})
# The same text again for programs that know it; keeping it as a file would show it twice.
_COPIES: Final = frozenset({"text/x-amp-html", "text/watch-html"})
_MESSAGES: Final = frozenset(
    {"message/rfc822", "message/global", "message/partial", "message/external-body", "message/news"}
)
# A fixed table: the one of the machine may say anything.
_EXTENSIONS: Final = mimetypes.MimeTypes(filenames=())
_NAMES: Final = {
    "application/ms-tnef": "winmail.dat",
    "application/vnd.ms-tnef": "winmail.dat",
    "text/calendar": "invite.ics",
    "application/pgp-signature": "signature.asc",
    "application/pgp-encrypted": "version.asc",
    "application/pgp-keys": "key.asc",
    "application/pkcs7-signature": "smime.p7s",
    "application/x-pkcs7-signature": "smime.p7s",
    "application/pkcs7-mime": "smime.p7m",
    "application/x-pkcs7-mime": "smime.p7m",
    "message/delivery-status": "delivery-status.txt",
    "message/global-delivery-status": "delivery-status.txt",
    "message/disposition-notification": "read-receipt.txt",
    "message/feedback-report": "feedback-report.txt",
    "text/rfc822-headers": "headers.txt",
    "text/vcard": "contact.vcf",
    "text/x-vcard": "contact.vcf",
    "text/csv": "table.csv",
    "image/webp": "image.webp",
    "image/heic": "image.heic",
}
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f<>:\"|?*\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_CID: Final = re.compile(r"""cid:([^\s"'<>)]{1,998})""", re.IGNORECASE)
_SOURCE: Final = re.compile(r"""\bsrc\s{0,9}=\s{0,9}["']?([^\s"'<>]{1,2000})""", re.IGNORECASE)


@dataclass(frozen=True)
class File:
    """A file that came with a message."""

    name: str
    content_type: str  # as declared, lower case
    content: bytes
    content_id: str  # without its brackets, "" when it has none
    is_inline: bool  # the HTML shows it where it stands, by its content id or location


@dataclass
class _Piece:
    """A stretch of what was written, in one or both ways."""

    text: str | None = None
    html: str | None = None


@dataclass
class Content:
    """What a message says: its text, its HTML as sent, and its files."""

    text: str = ""
    html: str = ""
    files: tuple[File, ...] = ()


@dataclass
class _Chooser:
    problems: list[str]
    hint: str
    files: list[tuple[File, str]] = field(default_factory=list)  # with their Content-Location
    has_text: bool = False
    bytes_left: int = MAX_TEXT_BYTES
    text_left: int = MAX_TEXT
    html_left: int = MAX_TEXT


def read(root: Part, *, hint: str, problems: list[str]) -> Content:
    """What the parts of a message say. `hint`: the charset to try where none is declared."""
    chooser = _Chooser(problems=problems, hint=hint)
    pieces = _pieces(root, chooser)
    text = _joined(_texts(pieces))
    sent = ""
    if any(piece.html for piece in pieces):
        sent = "\n".join(piece.html if piece.html else html.from_text(piece.text or "") for piece in pieces)
    shown = {unquote(match) for match in _CID.findall(sent)}
    sources = {entities.unescape(match) for match in _SOURCE.findall(sent)}
    files = tuple(
        replace(file, is_inline=file.content_id in shown or place in sources) for file, place in chooser.files
    )
    return Content(text=_cut(text, MAX_TEXT, problems), html=_cut(sent, MAX_TEXT, problems), files=files)


def _texts(pieces: Iterable[_Piece]) -> Iterator[str]:
    """Each piece as plain text; all that is HTML alone shares one budget for its layout."""
    budget = html.MAX_COST
    for piece in pieces:
        if piece.text is not None:
            yield piece.text
        elif piece.html:
            text = html.to_text(piece.html, budget=budget)
            budget = max(budget - html.cost(piece.html), 0)
            yield text


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(kept for text in texts if (kept := _without_blank_ends(text)))


def _without_blank_ends(text: str) -> str:
    """Text without the blank lines around it; the first line's indent stays."""
    text = text.rstrip()
    start = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, start) + 1 :]


def _cut(text: str, most: int, problems: list[str]) -> str:
    if len(text) <= most:
        return text
    problems.append(f"a text of {len(text)} characters, of which {most} are kept")
    return text[:most]


def _pieces(part: Part, chooser: _Chooser) -> list[_Piece]:
    """What a part and those below it say, in their order; files go to the chooser."""
    kind = part.content_type
    if not kind.startswith("multipart/"):
        return _leaf(part, chooser)
    if kind == "multipart/alternative":
        return _alternative(part, chooser)
    if kind == "multipart/encrypted":
        for child in part.children:
            for leaf in child.walk():
                if not leaf.content_type.startswith("multipart/"):
                    _keep(leaf, chooser)
        return []
    if kind == "multipart/related" and part.children:
        return _related(part, chooser)
    return [piece for child in part.children for piece in _pieces(child, chooser)]


def _alternative(part: Part, chooser: _Chooser) -> list[_Piece]:
    """One piece from several ways to say the same (RFC 2046, 5.1.4): the plain text that says something, the best HTML.

    Ways without a text (a calendar, a picture) are files.
    """
    had_text = chooser.has_text
    text: str | None = None
    sent: str | None = None
    for child in part.children:
        chooser.has_text = had_text
        pieces = _pieces(child, chooser)
        if any(piece.html for piece in pieces):
            sent = "\n".join(piece.html if piece.html else html.from_text(piece.text or "") for piece in pieces)
        elif text is None or not text.strip():
            plain = _joined(piece.text or "" for piece in pieces)
            text = plain if plain.strip() else text
    chooser.has_text = had_text or text is not None or sent is not None
    return [_Piece(text=text, html=sent)] if chooser.has_text and (text is not None or sent is not None) else []


def _related(part: Part, chooser: _Chooser) -> list[_Piece]:
    """The root of a compound (RFC 2387) is what is read; the rest belongs to it as files, whatever it is.

    Broken programs put further texts there; those are read, too.
    """
    start = part.parameters.get("start", "").strip("<> ")
    root = next((child for child in part.children if start and child.content_id == start), part.children[0])
    pieces = _pieces(root, chooser)
    for child in part.children:
        if child is not root:
            pieces += _pieces(child, chooser)
    return pieces


def _leaf(part: Part, chooser: _Chooser) -> list[_Piece]:
    if part.content_type in _COPIES:
        return []
    if not _is_body(part, chooser):
        _keep(part, chooser)
        return []
    chooser.has_text = True
    data = part.content(chooser.problems)
    if len(data) > chooser.bytes_left:
        chooser.problems.append(f"a text of {len(data)} bytes, of which {chooser.bytes_left} are read")
        data = data[: chooser.bytes_left]
    chooser.bytes_left -= len(data)
    if part.content_type in _HTMLS:
        in_itself = html.declared_charset(data)
        text, problem = charsets.decode(data, part.charset or in_itself, hint=in_itself or chooser.hint)
        _note(problem, chooser)
        text = _cut(text, chooser.html_left, chooser.problems)
        chooser.html_left -= len(text)
        return [_Piece(html=text)]
    if b"begin " in data:
        data = _without_uuencoded(data, chooser)
    text, problem = charsets.decode(data, part.charset, hint=chooser.hint)
    _note(problem, chooser)
    if part.parameters.get("format", "").lower() == "flowed":
        text = unflowed(text, delsp=part.parameters.get("delsp", "").lower() == "yes")
    text = _cut(text, chooser.text_left, chooser.problems)
    chooser.text_left -= len(text)
    return [_Piece(text=text)]


def _note(problem: str, chooser: _Chooser) -> None:
    if problem:
        chooser.problems.append(problem)


def _is_body(part: Part, chooser: _Chooser) -> bool:
    """Whether a part is to be read, not kept as a file: a text that is neither called an attachment nor has a name.

    The first text of all may have a name: some programs give their bodies one.
    """
    if part.content_type not in _TEXTS or part.disposition == "attachment":
        return False
    return not part.filename or not chooser.has_text


def _without_uuencoded(data: bytes, chooser: _Chooser) -> bytes:
    kept, position = [], 0
    for found in islice(uuencoded(data), MAX_PARTS):
        kept.append(data[position : found.start])
        position = found.end
        name = safe_name(found.name) or "file"
        kind = _EXTENSIONS.guess_type(name)[0] or "application/octet-stream"
        chooser.files.append((File(name, kind, found.content, "", False), ""))
    return b"".join([*kept, data[position:]])


def _keep(part: Part, chooser: _Chooser) -> None:
    content_type = part.content_type
    # What an external body points to is nowhere in the message; its own header says where.
    external = content_type == "message/external-body"
    content = part.source() if external else part.content(chooser.problems)
    name = safe_name(part.filename) or _invented(part, content, len(chooser.files) + 1)
    if content_type in _MESSAGES and not name.lower().endswith(".eml"):
        name += ".eml"
    chooser.files.append((File(name, content_type, content, charsets.storable(part.content_id), False), part.location))


def _invented(part: Part, content: bytes, number: int) -> str:
    """A name for a file that has none, from what it is."""
    if part.content_type in _MESSAGES:
        inner = headers.split(content, 0, min(len(content), 16_384), most=200)
        subject = headers.text_of(inner.raw("subject"))[:80]
        return safe_name(subject.replace("/", "-").replace("\\", "-")) or "message"
    if part.content_type in _NAMES:
        return _NAMES[part.content_type]
    extension = _EXTENSIONS.guess_extension(part.content_type) or (
        ".txt" if part.content_type[:5] == "text/" else ".bin"
    )
    return f"{'image' if part.content_type.startswith('image/') else 'file'}-{number}{extension}"


def safe_name(name: str) -> str:
    """A file name without folders, control characters, direction marks and what no file system takes; "" when nothing
    is left. A long one is cut before its extension."""
    name = name.replace("\\", "/").rpartition("/")[2]
    name = headers.one_line(_UNFIT.sub(" ", charsets.storable(name))).strip(". ")
    if len(name) > MAX_FILENAME:
        stem, dot, extension = name.rpartition(".")
        if dot and len(extension) <= 12:
            name = stem[: MAX_FILENAME - len(extension) - 1].rstrip() + "." + extension
        else:
            name = name[:MAX_FILENAME].rstrip()
    return name


def unflowed(text: str, *, delsp: bool = False) -> str:
    """The paragraphs of `format=flowed` text put together again (RFC 3676, 4). `delsp`: the space that marks a flowed
    line belongs to the mark, not to the text."""
    lines: list[str] = []
    depth_before, flowing = 0, False
    current: list[str] = []
    for line in text.split("\n"):
        unquoted = line.lstrip(">")
        depth = len(line) - len(unquoted)
        unquoted = unquoted.removeprefix(" ")
        signature = unquoted == "-- "
        if flowing and (depth != depth_before or signature):
            lines.append("".join(current))
            flowing = False
        if not flowing:
            current = [">" * depth + " " if depth else ""]
        flowing = unquoted.endswith(" ") and not signature
        depth_before = depth
        current.append(unquoted[:-1] if flowing and delsp else unquoted)
        if not flowing:
            lines.append("".join(current))
    if flowing:
        lines.append("".join(current))
    return "\n".join(line if line.endswith("-- ") else line.rstrip(" ") for line in lines)
