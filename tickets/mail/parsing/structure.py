"""A message as a tree of parts: places in the bytes, not copies of them (RFC 2045, RFC 2046).

The standard library's feed parser makes a string of every line and asks each one about every open boundary: a file of
25 MB costs it 190 MB of memory, and 10 MB of short lines within 24 parts ten seconds. Here a search for the boundary
finds the parts, and a body is copied once, when it is decoded: 18 MB, and a fifth of a second.
"""

import binascii
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tickets.mail.parsing import charsets, headers

MAX_SIZE: Final = 50 * 1024 * 1024  # bytes of a message
MAX_DEPTH: Final = 25  # parts within parts
MAX_PARTS: Final = 500  # parts of a message, all levels together
MAX_PART_FIELDS: Final = 100  # fields of one part's header that are read

_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+*-]{1,127}/[a-z0-9!#$&^_.+*-]{1,127}")  # RFC 6838, 4.2
_GUESSED_BOUNDARY: Final = re.compile(rb"\n--([^\r\n]{1,70}?)[ \t]{0,20}\r?\n(?=content-[a-z-]+:)", re.IGNORECASE)
_NOT_BASE64: Final = bytes(set(range(256)) - set(string.ascii_letters.encode() + string.digits.encode() + b"+/="))
_MAX_BASE64_PIECES: Final = 1_000
# A line of words behind base64: what lists and virus scanners add.
_WORDS: Final = re.compile(rb"(?m)^[^\r\n]*[^\s][ ][^\s][^\r\n]*$")


class Unreadable(Exception):
    """No message can be read from these bytes: too large, too deep, too many parts, or nothing at all. Says which."""


@dataclass
class Part:
    """One part: its header, and where its body stands in `data`. Multiparts have `children`."""

    data: bytes
    block: headers.Block
    start: int
    end: int
    header_start: int
    content_type: str  # lower case, a valid one
    declared_type: str  # lower case, as written
    parameters: dict[str, str]
    disposition: str  # "", "inline", "attachment" or another word
    filename: str  # as written, decoded
    content_id: str  # without its brackets
    location: str
    encoding: str  # Content-Transfer-Encoding, lower case
    children: list["Part"] = field(default_factory=list)

    @property
    def charset(self) -> str:
        """The charset the part is declared in, "" when in none."""
        return self.parameters.get("charset", "")

    def walk(self) -> Iterator["Part"]:
        """This part and all below it, in their order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def source(self) -> bytes:
        """The part as it was sent, with its header."""
        return self.data[self.header_start : self.end]

    def content(self, problems: list[str]) -> bytes:
        """The body, its transfer encoding undone (RFC 2045, 6); what is broken is read as far as it goes."""
        body = memoryview(self.data)[self.start : self.end]
        if self.encoding == "base64":
            return _base64(body, problems)
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(body)
        if self.encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
            found = next(uuencoded(bytes(body)), None)
            if found:
                return found.content
            problems.append("uuencode without a beginning")
        elif self.encoding not in ("", "7bit", "8bit", "binary"):
            problems.append(f"unknown transfer encoding {self.encoding[:40]!r}")
        return bytes(body)


@dataclass(frozen=True)
class Uuencoded:
    """A file between the lines of a text: its name, its bytes, and where it stands in the text."""

    name: str
    content: bytes
    start: int
    end: int


def parse(raw: bytes, problems: list[str]) -> Part:
    """The tree of a message.

    Raises Unreadable when it is larger than `MAX_SIZE` bytes, deeper than `MAX_DEPTH`, of more than `MAX_PARTS` parts,
    or blank.
    """
    if len(raw) > MAX_SIZE:
        raise Unreadable(f"The message has {len(raw)} bytes; {MAX_SIZE} are read.")
    data = _levelled(raw, problems)
    if not data[:1024].strip(b" \t\r\n\0") and not data.strip(b" \t\r\n\0"):
        raise Unreadable("The message is empty.")
    reader = _Reader(problems)
    return reader.part(data, 0, len(data), depth=0, default="text/plain")


def _levelled(raw: bytes, problems: list[str]) -> bytes:
    """The bytes with what stands before the header gone, and with LF in the line ends (CR LF stays as it is)."""
    data = raw
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        problems.append("the whole message is written in UTF-16")
        data = data[: len(data) & ~1].decode("utf-16", "replace").encode("utf-8", "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data[:1] in (b"\r", b"\n", b" ", b"\t", b"\0"):
        data = data[: 64 * 1024].lstrip(b"\r\n\0 \t") + data[64 * 1024 :]
    # Old Macs ended lines with CR alone. Where the header knows LF, a lone CR is no line end: it would let the sender
    # slip a field in that the servers on the way took for a part of another.
    header = data[: data.find(b"\n")] if b"\n" in data else data
    if b"\r" in header.rstrip(b"\r") and (b"\n" not in data or b"\r\r" in header):
        problems.append("lines that end with CR alone")
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


class _Reader:
    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self.count = 0

    def part(self, data: bytes, start: int, end: int, *, depth: int, default: str) -> Part:
        self.count += 1
        if self.count > MAX_PARTS:
            raise Unreadable(f"The message has more than {MAX_PARTS} parts.")
        if depth > MAX_DEPTH:
            raise Unreadable(f"The message has parts within parts, more than {MAX_DEPTH} deep.")
        block = headers.split(data, start, end, most=headers.MAX_FIELDS if depth == 0 else MAX_PART_FIELDS)
        if depth == 0 and not _is_header(block):
            block = headers.Block(fields=(), body_start=start, problems=("no header",))
        self.problems.extend(block.problems)
        declared, parameters = headers.parameters(headers.raw_text(block.raw("content-type")))
        disposition, of_disposition = headers.parameters(
            headers.raw_text(block.raw("content-disposition"), hint=parameters.get("charset", ""))
        )
        content_type = declared if _TYPE.fullmatch(declared) else default
        if declared and content_type != declared and declared != "text":
            self.problems.append(f"{declared[:60]!r} is no content type")
            if disposition == "attachment":
                content_type = "application/octet-stream"
        filename = of_disposition.get("filename") or parameters.get("name", "")
        encoding = headers.parameters(headers.raw_text(block.raw("content-transfer-encoding")))[0]
        part = Part(
            data=data,
            block=block,
            start=block.body_start,
            end=end,
            header_start=start,
            content_type=content_type,
            declared_type=declared,
            parameters=parameters,
            disposition=disposition,
            filename=filename,
            content_id=headers.text_of(block.raw("content-id")).strip().strip("<>").strip()[: headers.MAX_ID_LENGTH],
            location=headers.text_of(block.raw("content-location"))[:2000],
            encoding=encoding.split(" ")[0],
        )
        if content_type.startswith("multipart/"):
            self._children(part, depth)
        return part

    def _children(self, part: Part, depth: int) -> None:
        places = self._places(part, part.parameters.get("boundary", ""))
        if places is None and part.encoding in ("base64", "quoted-printable"):
            # The RFC forbids to encode a multipart; some gateways do.
            part.data = b"\n" + part.content([])
            part.start, part.end, part.header_start, part.encoding = 1, len(part.data), 1, ""
            places = self._places(part, part.parameters.get("boundary", ""))
        if places is None:
            guessed = _GUESSED_BOUNDARY.search(part.data, part.start - 1, min(part.end, part.start + 65_536))
            if guessed:
                self.problems.append("a multipart whose boundary is not the one it names")
                places = self._places(part, guessed[1].decode("latin-1"))
        if places is None:
            self.problems.append("a multipart whose boundary never comes")
            if part.data[part.start : min(part.end, part.start + 1024)].strip():
                part.content_type = "text/plain"
            return
        default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
        for start, end in places:
            part.children.append(self.part(part.data, start, end, depth=depth + 1, default=default))

    def _places(self, part: Part, boundary: str) -> list[tuple[int, int]] | None:
        """Where the parts between the boundary lines stand (RFC 2046, 5.1.1); None when there is no such line."""
        wanted = boundary.rstrip().encode("latin-1", "replace")
        if not wanted:
            return None
        # The pattern starts with a line end; the line before the body lends it when the body begins with a boundary.
        data, start, end = part.data, part.start, part.end
        pattern = re.compile(rb"\n--" + re.escape(wanted) + rb"(--)?[ \t]*(?=\r*\n|\r*\Z)")
        places: list[tuple[int, int]] = []
        opened = -1
        for match in pattern.finditer(data, start - 1, end):
            if opened >= 0:
                places.append((opened, max(opened, match.start() - (data[match.start() - 1 : match.start()] == b"\r"))))
                if len(places) > MAX_PARTS:
                    raise Unreadable(f"The message has more than {MAX_PARTS} parts.")
            if match[1]:
                return places
            line_end = data.find(b"\n", match.end(), end)
            opened = end if line_end < 0 else line_end + 1
        if opened < 0:
            return None
        self.problems.append("a multipart that is cut off")
        places.append((opened, end))
        return places


_USUAL_FIELDS: Final = frozenset({
    "from", "to", "cc", "subject", "date", "message-id", "received", "return-path", "sender", "reply-to",
    "mime-version", "content-type", "delivered-to", "in-reply-to", "references", "content-transfer-encoding",
    "x-mailer", "user-agent", "bcc", "envelope-to", "x-original-to", "dkim-signature", "authentication-results",
    "auto-submitted", "precedence", "list-id", "content-disposition", "importance", "thread-topic",
    "x-failed-recipients",
})  # fmt: skip


def _is_header(block: headers.Block) -> bool:
    """Whether the lines at the top are a header at all, and not a text whose first line has a colon in it."""
    return any(name.lower() in _USUAL_FIELDS for name, _ in block.fields)


def _base64(body: memoryview, problems: list[str]) -> bytes:
    try:
        content = binascii.a2b_base64(body)
    except binascii.Error:
        content = b""
    # Three bytes from four characters, and room for line ends. Less came out: the library stops at the first padding,
    # and some programs send padded pieces in a row, or something stands behind.
    if len(content) * 10 >= len(body) * 7:
        return content
    text = bytes(body)
    if b" " in text:
        text = _WORDS.sub(b"", text).strip() or text
    *pieces, last = re.split(rb"=+", text.translate(None, _NOT_BASE64), maxsplit=_MAX_BASE64_PIECES)
    decoded = []
    for piece in (*pieces, last.replace(b"=", b"")):
        usable = piece[: len(piece) - (len(piece) % 4 == 1)]
        if usable != piece:
            problems.append("broken base64")
        decoded.append(binascii.a2b_base64(usable + b"=" * (-len(usable) % 4)))
    return b"".join(decoded)


_BEGIN: Final = re.compile(rb"(?:\A|(?<=\n))begin [0-7]{3,4} ([^\r\n]{1,255})\r?\n")


def uuencoded(body: bytes) -> Iterator[Uuencoded]:
    """The files written between the lines of a text with uuencode. What only looks like one is left alone."""
    position = 0
    while begin := _BEGIN.search(body, position):
        position = begin.end()
        decoded, at = [], position
        while at < len(body):
            line_end = body.find(b"\n", at)
            line_end = len(body) if line_end < 0 else line_end
            line = body[at:line_end].rstrip(b"\r")
            if line == b"end" or len(line) > 100:
                break
            data = _uu_line(line)
            if data is None:
                break
            decoded.append(data)
            at = min(line_end + 1, len(body))
        else:
            line = b""
        if not any(decoded):
            continue
        if line == b"end":
            at = min(body.find(b"\n", at) + 1 or len(body), len(body))
        name = charsets.decode(begin[1])[0].strip()
        yield Uuencoded(name=name, content=b"".join(decoded), start=begin.start(), end=at)
        position = at


def _uu_line(line: bytes) -> bytes | None:
    if not line or line in (b"`", b" "):
        return b""
    count = (line[0] - 32) & 63
    needed = (count + 2) // 3 * 4
    # Trailing spaces get lost on the way; a line much longer or shorter is a text.
    if not 32 <= line[0] <= 96 or not count or len(line) - 1 > needed + 2 or len(line) - 1 < needed - 4:
        return None
    try:
        return binascii.a2b_uu(line[: needed + 1])
    except binascii.Error:
        return None
