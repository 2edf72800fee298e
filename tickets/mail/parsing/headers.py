"""Header fields: the block (RFC 5322, 2.2), encoded words (RFC 2047), parameters (RFC 2231), ids, addresses, dates.

The standard library's own decoders raise on input that the Internet is full of (unknown charsets, torn multibyte
characters, broken base64) and take quadratic time on some; here every rule is one linear pass and has an answer for
anything. Its parser of dates is used, within bounds.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from tickets.mail.parsing import charsets

MAX_FIELDS: Final = 1_000  # fields of one header that are read
MAX_FIELD_LENGTH: Final = 65_536  # bytes of one field that are read
MAX_BLOCK_LENGTH: Final = 1_048_576  # bytes of one header block that are read
MAX_ADDRESSES: Final = 1_000  # addresses of one field
MAX_REFERENCES: Final = 50  # ids of a thread that are kept: the first and the newest
MAX_ID_LENGTH: Final = 998  # an id cannot be longer than a line (RFC 5322, 2.1.1)
MAX_PARAMETERS_LENGTH: Final = 8_192  # characters of a Content-Type or Content-Disposition that are read
MAX_EMAIL_LENGTH: Final = 254  # RFC 5321, 4.5.3.1.3

Fields = Sequence[tuple[str, str]]

_FIELD: Final = re.compile(rb"([!-9;-~\x80-\xff]{1,200})[ \t]*:")
_BLANK_LINE: Final = re.compile(rb"\n[ \t]*\r?\n")
# The payload may hold a bare "?", as some write it, but no beginning of another word.
_ENCODED_WORD: Final = re.compile(
    r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([BbQq])\?((?:[^?=]++|=(?!\?[^=])|\?(?!=))*+)\?="
)
_SPACES: Final = re.compile(r"\s+")
_ID: Final = re.compile(r"<([^<>]{1,2000})>")
_PARAMETER: Final = re.compile(r';\s*([^\s=;"]{1,100})\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)', re.DOTALL)
_SECTION: Final = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
# A quoted string, a comment (with two more levels in it), an address in brackets, a sign that parts, or words.
_ADDRESS_PIECE: Final = re.compile(
    r'"(?:[^"\\]|\\.)*+"|<[^<>]*+>|[,;:]|[^"<>(),;:]++'
    r"|\((?:[^()\\]|\\.|\((?:[^()\\]|\\.|\([^()]*+\))*+\))*+\)",
    re.DOTALL,
)
_REST_OF_NAME: Final = re.compile(r"[^\"<>(),;:@]{1,100}<")
_BETWEEN_EMAILS: Final = re.compile(r"[\s<>(),;:\"\[\]\\]+")
_EMAIL: Final = re.compile(r"[^\s@<>(),;:\"\[\]\\]+@[^\s@<>(),;:\"\[\]\\]+")
_QUOTED_LOCAL: Final = re.compile(r'"[^"\\\s<>]{1,64}"@[^\s@<>(),;:"\[\]\\]+')
_DOT_ATOM: Final = re.compile(r"[\w.+-]+")
_COMMENT: Final = re.compile(r"\([^()]*\)")
# Characters that turn the reading direction: a file "exe.gpj" must not show as a picture.
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Address:
    """A mailbox: `email` in lower case ("" when the field names none that can be written to), and a name."""

    email: str
    name: str


@dataclass(frozen=True)
class Block:
    """The header of a message or part: raw fields in their order, where the body starts, and what was wrong."""

    fields: tuple[tuple[str, bytes], ...]
    body_start: int
    problems: tuple[str, ...] = ()

    def raw(self, name: str) -> bytes:
        """The first field of that name (lower case), b"" when there is none."""
        return next((value for key, value in self.fields if key.lower() == name), b"")


def split(data: bytes, start: int, end: int, *, most: int = MAX_FIELDS) -> Block:
    """The header block that starts at `start`: its first `most` fields, and where the body begins. A line that is no
    field ends it, unless fields go on behind it."""
    limit = min(end, start + MAX_BLOCK_LENGTH)
    position, problems = start, []
    fields: list[tuple[str, list[bytes]]] = []
    body_start = end
    while position < end:
        if position >= limit or len(fields) > most:
            problems.append("a header too long to be read to its end")
            blank = _BLANK_LINE.search(data, position - 1 if position > start else position, end)
            body_start = blank.end() if blank else end
            break
        line_end = data.find(b"\n", position, end)
        next_position = end if line_end < 0 else line_end + 1
        line = data[position : min(next_position, position + MAX_FIELD_LENGTH)].rstrip(b"\r\n")
        if not line.strip(b" \t"):
            body_start = next_position
            break
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1][1].append(line)
        elif match := _FIELD.match(line):
            fields.append((match[1].decode("latin-1"), [line[match.end() :]]))
        elif not fields and line.startswith((b"From ", b">From ")):
            pass  # the separator of an mbox (RFC 4155)
        elif fields and _FIELD.match(data, next_position, min(end, next_position + 300)):
            problems.append("a line in the header that is no field: " + charsets.decode(line[:80])[0])
        else:
            problems.append("no blank line between header and text" if fields else "no header")
            body_start = position
            break
        position = next_position
    kept = tuple((name, b"".join(lines)[:MAX_FIELD_LENGTH]) for name, lines in fields[:most])
    return Block(fields=kept, body_start=body_start, problems=tuple(problems))


def text_of(value: bytes, *, hint: str = "") -> str:
    """A field's value as one line of text: bytes in any charset (RFC 6532 and worse), encoded words (RFC 2047).

    `hint` is the charset the message's text is declared in: raw 8-bit headers are mostly in the same one.
    """
    return one_line(decode_words(raw_text(value, hint=hint)))


def raw_text(value: bytes, *, hint: str = "") -> str:
    """A field's value as text, its encoded words not yet decoded: what addresses and parameters are cut from."""
    return charsets.decode(value, hint=hint)[0].replace("\n", " ").strip()


def one_line(text: str) -> str:
    """Text without line ends and control characters, each run of white space one space."""
    return _SPACES.sub(" ", charsets.clean(text)).strip()


def decode_words(value: str) -> str:
    """Encoded words read, the rest as it is (RFC 2047).

    The bytes of adjacent words in one charset are put together before they are decoded: many programs cut in the
    middle of a character, which the RFC forbids. A word that cannot be read stays as it stands.
    """
    if "=?" not in value:
        return value
    done: list[str] = []
    waiting, charset, position = b"", "", 0
    for match in _ENCODED_WORD.finditer(value):
        data = _word(match[2], match[3])
        if data is None:
            continue
        between = value[position : match.start()]
        adjacent = bool(charset) and not between.strip()
        if not adjacent or match[1].lower() != charset:
            if charset:
                done.append(charsets.decode(waiting, charset)[0])
            if not adjacent:
                done.append(between)
            waiting, charset = b"", match[1].lower()
        waiting += data
        position = match.end()
    if charset:
        done.append(charsets.decode(waiting, charset)[0])
    done.append(value[position:])
    return "".join(done)


def _word(encoding: str, payload: str) -> bytes | None:
    try:
        raw = payload.encode("ascii")
    except UnicodeEncodeError:
        raw = payload.encode()
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    raw = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    try:
        return base64.b64decode(raw[: len(raw) - (len(raw) % 4 == 1)] + b"==")
    except binascii.Error:
        return None


def ids(value: str) -> tuple[str, ...]:
    """The message ids of a field, without their brackets, in order, each once (RFC 5322, 3.6.4).

    White space that a careless folding left inside an id is taken out. Where no brackets stand at all (some clients
    write none), words with an @ are taken.
    """
    found = [_SPACES.sub("", match) for match in _ID.findall(value)]
    if not found and "<" not in value:
        found = [word.strip(",;\"'()") for word in value.split() if "@" in word.strip("@")]
    return tuple(dict.fromkeys(each for each in found if 0 < len(each) <= MAX_ID_LENGTH))


def capped(references: tuple[str, ...]) -> tuple[str, ...]:
    """At most `MAX_REFERENCES` ids: the one that began the thread, and the newest, which stand last."""
    if len(references) <= MAX_REFERENCES:
        return references
    return references[:1] + references[1 - MAX_REFERENCES :]


def message_id(value: str) -> str:
    """The id of a Message-ID field, "" when it has none."""
    found = ids(value)
    if found:
        return found[0]
    bare = value.strip().strip("<>").strip()
    return bare if 0 < len(bare) <= MAX_ID_LENGTH and " " not in bare else ""


def addresses(value: str) -> tuple[Address, ...]:
    """The addresses of a field (RFC 5322, 3.4), in order.

    Groups are flattened. Names are decoded after the field is cut up, so that a comma or an @ in an encoded word parts
    nothing. An address stands in angle brackets where there are any: in `boss@bank.test <eve@evil.test>` the first is a
    name. A name without an address is kept with an empty one; what has neither is left out.

    The library's parser takes that first one for the address, and reads nested comments by recursion.
    """
    value = value[:MAX_FIELD_LENGTH]
    mailboxes = _mailboxes(value)
    if mailboxes is not None:
        found = [address for mailbox in mailboxes for address in mailbox.addresses()]
        if any(address.email for address in found) or "@" not in decode_words(value):
            return tuple(found[:MAX_ADDRESSES])
    # Brackets or quotes that never close, or a whole field sent as one encoded word.
    for text in dict.fromkeys((value, decode_words(value))):
        words = [word for word in _BETWEEN_EMAILS.split(text) if "@" in word]
        loose = [email for email in map(normalised, words[:MAX_ADDRESSES]) if email]
        if len(loose) == 1:
            return (Address(email=loose[0], name=_name(text.partition("<")[0]) if "<" in text else ""),)
        if loose:
            return tuple(Address(email=email, name="") for email in loose)
    return ()


@dataclass
class _Mailbox:
    """What stands between two commas of an address list."""

    words: str = ""  # before the brackets, quotes taken off
    address: str = ""  # the same with its quotes
    comments: str = ""
    bracketed: list[str] = field(default_factory=list)

    def addresses(self) -> list[Address]:
        """Whom it names; more than one where commas were forgotten."""
        name = _name(self.words) or _name(self.comments)
        emails = [email for text in self.bracketed if (email := normalised(text.rpartition(":")[2]))]
        if self.bracketed and not emails:
            return [Address(email="", name=name)] if name and "@" not in name else []
        if not emails:
            emails = [email for word in self.address.split() if "@" in word and (email := normalised(word))]
            name = _name(self.comments) if emails else name
        if not emails:
            return [Address(email="", name=name)] if name and "@" not in name else []
        return [Address(email=emails[0], name=name), *(Address(email=email, name="") for email in emails[1:])]


_NOBODY: Final = _Mailbox()


def _mailboxes(value: str) -> list[_Mailbox] | None:
    """An address list cut at its commas and semicolons; None when a bracket or quote in it never closes."""
    found: list[_Mailbox] = []
    current = _Mailbox()
    position = 0
    for match in _ADDRESS_PIECE.finditer(value):
        if match.start() != position:
            return None
        position = match.end()
        piece = match[0]
        if piece[0] == '"':
            text = re.sub(r"\\(.)", r"\1", piece[1:-1], flags=re.DOTALL)
            if not current.bracketed:
                current.words += text
            current.address += piece
        elif piece[0] == "<":
            current.bracketed.append(piece[1:-1])
        elif piece[0] == "(":
            current.comments += piece[1:-1] + " "
        elif piece in ",;":
            if piece == "," and _is_half_a_name(current, value, position):
                current.words += ","
                current.address = ""
                continue
            if current != _NOBODY:
                found.append(current)
                current = _Mailbox()
            if len(found) >= MAX_ADDRESSES:
                return found
        elif piece == ":":
            # The name of a group, or "mailto".
            if "@" not in current.address and not current.bracketed:
                current = _Mailbox()
        else:
            if not current.bracketed:
                current.words += piece
            current.address += piece
    return [*found, current] if position == len(value) else None


def _is_half_a_name(current: _Mailbox, value: str, position: int) -> bool:
    """Whether the comma belongs to a name that should stand in quotes: `Example, Ann <ann@x.test>`."""
    if not current.words.strip() or "@" in current.address or current.bracketed:
        return False
    return bool(_REST_OF_NAME.match(value, position))


def normalised(email: str) -> str:
    """An address in lower case, "" when it is none. The local part, too: no host in use tells `Ann@` from `ann@`."""
    email = _INVISIBLE.sub("", charsets.clean(email)).strip().strip(".<>'").lower()
    if email.startswith('"') and _DOT_ATOM.fullmatch(email[1:].partition('"')[0]):
        email = email.replace('"', "")  # quotes that change nothing (RFC 5321, 4.1.2)
    if len(email) > MAX_EMAIL_LENGTH or not (_EMAIL.fullmatch(email) or _QUOTED_LOCAL.fullmatch(email)):
        return ""
    return "" if email.endswith(("@", ".")) or "@." in email or ".." in email.partition("@")[2] else email


def _name(name: str) -> str:
    text = _INVISIBLE.sub("", one_line(decode_words(name)))
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text[:200]


def date(value: str) -> datetime | None:
    """A Date field in UTC (RFC 5322, 3.3); None for what is none, and for years no mail was ever sent in."""
    value = value[:200]
    for _ in range(3):
        value, changed = _COMMENT.subn(" ", value)
        if not changed:
            break
    try:
        moment = parsedate_to_datetime(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    return moment if 1990 <= moment.year < 2100 else None


def parameters(value: str, *, hint: str = "") -> tuple[str, dict[str, str]]:
    """The value of a Content-Type or Content-Disposition (lower case), and its parameters by lower-case name.

    RFC 2231 continuations and charsets are put together, also when both ways are mixed; encoded words in a parameter
    are no standard, but usual, and are read.
    """
    value = value[:MAX_PARAMETERS_LENGTH]
    main, semicolon, rest = value.strip().partition(";")
    main, _, unparted = main.partition(" ")
    if "=" in unparted:  # the semicolon is missing
        semicolon, rest = ";", f"{unparted}{semicolon}{rest}"
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for key, given in _PARAMETER.findall(semicolon + rest):
        name = key.lower().strip("'")
        text = given.strip()
        if text.startswith('"'):
            text = re.sub(r"\\(.)", _unescaped, text[1:].removesuffix('"'), flags=re.DOTALL)
        section = _SECTION.fullmatch(name)
        if section and (section[2] is not None or section[3]):
            sections.setdefault(section[1], {}).setdefault(int(section[2] or 0), (text, bool(section[3])))
        else:
            plain.setdefault(name, one_line(decode_words(text)))
    for name, parts in sections.items():
        joined = _joined(parts, hint=hint)
        if joined:
            plain[name] = joined
    return main.strip().strip("\"'").lower(), plain


def _unescaped(match: re.Match[str]) -> str:
    # Programs of Windows write paths without doubling their backslashes.
    return match[1] if match[1] in '"\\' else match[0]


def _joined(parts: dict[int, tuple[str, bool]], *, hint: str) -> str:
    """The sections of one parameter in the order of their numbers, percent signs and charset read (RFC 2231, 4.1)."""
    charset, data, is_encoded = "", b"", False
    for position, number in enumerate(sorted(parts)):
        text, encoded = parts[number]
        is_encoded = is_encoded or encoded
        if encoded:
            if position == 0 and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            data += _unquoted(text)
        else:
            data += text.encode("utf-8", "replace")
    text, _ = charsets.decode(data, charset, hint=hint)
    return one_line(text if is_encoded else decode_words(text))


def _unquoted(text: str) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("utf-8", "replace"))


def all_of(fields: Fields, name: str) -> list[str]:
    """Every value of a field, by its name in lower case, in their order."""
    return [value for key, value in fields if key.lower() == name]


def first(fields: Fields, name: str) -> str:
    """The topmost value of a field, by its name in lower case; "" when it is missing."""
    return next((value for key, value in fields if key.lower() == name), "")


def emails(values: Iterable[str]) -> tuple[str, ...]:
    """The addresses some fields name, each once."""
    return tuple(dict.fromkeys(found.email for value in values for found in addresses(value) if found.email))
