"""Bytes of a declared, wrongly declared or undeclared charset, read as text that can be stored."""

import codecs
import re
from functools import lru_cache
from typing import Final

REPLACEMENT: Final = "\ufffd"

# Python's registry also holds codecs that are no charsets, and some that are slow or dangerous on foreign bytes
# (`idna`, `punycode`, `unicode_escape`, `utf_7`). So an allow-list, by the name the codec itself goes by.
_ALLOWED: Final = frozenset({
    "ascii", "big5", "big5hkscs", "cp037", "cp1006", "cp1026", "cp1125", "cp1140", "cp1250", "cp1251", "cp1252",
    "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp437", "cp500", "cp720", "cp737", "cp775", "cp850",
    "cp852", "cp855", "cp856", "cp857", "cp858", "cp860", "cp861", "cp862", "cp863", "cp864", "cp865", "cp866",
    "cp869", "cp874", "cp932", "cp949", "cp950", "euc_jis_2004", "euc_jisx0213", "euc_jp", "euc_kr", "gb18030",
    "gb2312", "gbk", "hp-roman8", "hz", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004",
    "iso2022_jp_3", "iso2022_jp_ext", "iso2022_kr", "iso8859-10", "iso8859-11", "iso8859-13", "iso8859-14",
    "iso8859-15", "iso8859-16", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-7",
    "iso8859-8", "johab", "koi8-r", "koi8-t", "koi8-u", "kz1048", "mac-cyrillic", "mac-greek", "mac-iceland",
    "mac-latin2", "mac-roman", "mac-turkish", "ptcp154", "shift_jis", "shift_jis_2004", "shift_jisx0213", "tis-620",
    "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le", "utf-8", "utf-8-sig",
})  # fmt: skip

# What mail programs write, and what they mean. Where a name has a superset that is what is really sent, the superset
# is taken, as browsers do (https://encoding.spec.whatwg.org/#names-and-labels).
_ALIASES: Final = {
    "big5": "big5hkscs", "big5-eten": "big5hkscs", "cn-big5": "big5hkscs", "x-x-big5": "big5hkscs", "ansi": "cp1252",
    "iso-8859": "cp1252", "iso-8859-1-windows-1252": "cp1252", "iso8859-1": "cp1252", "western": "cp1252",
    "windows-1252http-equivcontent-type": "cp1252", "x-ansi": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874",
    "tis-620": "cp874", "cswindows31j": "cp932", "shift_jis": "cp932", "windows-31j": "cp932", "euc_kr": "cp949",
    "iso-ir-149": "cp949", "ks_c_5601-1989": "cp949", "ksc_5601": "cp949", "x-windows-949": "cp949",
    "x-euc": "euc_jp", "gb2312": "gb18030", "gb_2312-80": "gb18030", "gbk": "gb18030", "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext", "iso-2022-jp-ms": "iso2022_jp_ext", "iso2022_jp": "iso2022_jp_ext",
    "iso-8859-6-e": "iso8859-6", "iso-8859-6-i": "iso8859-6", "iso-8859-8-e": "iso8859-8",
    "iso-8859-8-i": "iso8859-8", "logical": "iso8859-8", "visual": "iso8859-8", "koi": "koi8-r", "koi8": "koi8-r",
    "koi8-ru": "koi8-u", "x-mac-ce": "mac-latin2", "x-mac-centraleurroman": "mac-latin2", "iso-10646-ucs-2": "utf-16",
    "ucs-2": "utf-16", "unicode": "utf-16", "ucs-4": "utf-32", "7bit": "utf-8", "8bit": "utf-8", "ascii": "utf-8",
    "default": "utf-8", "default_charset": "utf-8", "unicode-1-1-utf-8": "utf-8", "unknown": "utf-8",
    "unknown-8bit": "utf-8", "utf-8mb4": "utf-8", "utf8mb3": "utf-8", "utf8mb4": "utf-8", "x-unknown": "utf-8",
}  # fmt: skip

# Where bytes below 80 are no ASCII.
_NOT_ASCII: Final = frozenset(["hz", "cp037", "cp500", "cp1026", "cp1140"])

# Control characters have no place in a text, except TAB and LF. C1 ones are what a wrong charset leaves.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_UTF8_SEQUENCE: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._:+-]*")

# How many bytes of undeclared text are looked at to guess their charset.
_GUESS_SAMPLE: Final = 4096


@lru_cache(maxsize=512)
def codec(name: str) -> str:
    """The codec for the name of a charset as mail programs write it; "" when it is unknown or refused (UTF-7)."""
    match = _LABEL.search(name.strip().lower()[:80])
    if not match:
        return ""
    label = match[0].rstrip(".:+-")
    if label in _ALIASES:
        return _ALIASES[label]
    for attempt in (label, label.removeprefix("x-"), re.sub(r"^(?:cp|ibm|windows|win|dos)[-_]?", "cp", label)):
        try:
            found = codecs.lookup(attempt).name
        except (LookupError, ValueError):
            continue
        found = _ALIASES.get(found, found)
        if found in _ALLOWED:
            return "utf-8" if found == "utf-8-sig" else found
    return ""


def decode(data: bytes, declared: str = "", *, hint: str = "") -> tuple[str, str]:
    """The text of some bytes, and in words what was wrong with their charset ("" when nothing).

    `declared` is the charset the sender named for them, `hint` one that the rest of the message uses: it is asked
    only when nothing is declared or the declared one cannot be right. Never raises; the text holds no NUL, no lone
    surrogate and no control characters but TAB and LF; CR LF and CR have become LF.
    """
    text, problem = _decode(data, declared, hint)
    return clean(text), problem


def clean(text: str) -> str:
    """Text as it can be stored and shown: LF as line end, no byte order mark, no control characters but TAB and LF."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    return _CONTROLS.sub("", text)


def storable(text: str) -> str:
    """Text without the two things PostgreSQL refuses, NUL and lone surrogates, and otherwise as it is."""
    return _SURROGATES.sub(REPLACEMENT, text).replace("\0", "")


def _decode(data: bytes, declared: str, hint: str) -> tuple[str, str]:
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-16"
        try:
            return data.decode(name), ""
        except UnicodeDecodeError:
            pass
    found = codec(declared)
    problem = ""
    if declared and not found:
        problem = f"unknown charset {declared[:40]!r}"
    if found.startswith(("utf-16", "utf-32")):
        if b"\0" in data or not data.isascii():
            return _wide(data, found), ""
        found, problem = "", f"not written in {declared[:40]}, as it says"
    data = data.replace(b"\0", b"")
    shifts = b"\x1b$" in data or (b"\x1b" in data and found.startswith("iso2022"))  # letters hidden in ASCII
    if data.isascii() and not shifts and found not in _NOT_ASCII:
        return data.decode("ascii"), problem
    if (found == "cp1252" or not found) and not shifts:
        # Bytes that are valid UTF-8 by chance are next to none: many programs write UTF-8 and call it Latin-1.
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return text, problem or (f"UTF-8, declared as {declared[:40]}" if found else "")
    if found:
        try:
            return data.decode(found), problem
        except UnicodeDecodeError:
            problem = f"bytes that are not {declared[:40]}"
            if found == "utf-8" and _mostly_utf8(data):
                return data.decode("utf-8", "replace"), problem
            if found not in ("utf-8", "cp1252"):
                text = data.decode(found, "replace")
                if text.count(REPLACEMENT) * 20 < len(text):
                    return text, problem
    return data.decode(guess(data, hint=hint), "replace"), problem


def guess(data: bytes, *, hint: str = "") -> str:
    """The codec that undeclared bytes are most likely written in. UTF-8 is tried first, `hint` (a charset) next."""
    if b"\x1b$)C" in data:
        return "iso2022_kr"
    if b"\x1b$" in data or b"\x1b(" in data:
        return "iso2022_jp_ext"
    if _fits(data, "utf-8") or _mostly_utf8(data):
        return "utf-8"
    hinted = codec(hint) if hint else ""
    if hinted and hinted not in ("utf-8", "utf-16", "utf-32") and _fits(data, hinted):
        return hinted
    return _by_script(data[:_GUESS_SAMPLE])


def _by_script(data: bytes) -> str:
    """Which of the usual charsets reads the high bytes as one language's letters; Windows-1252 when none does."""
    high = b"".join(_HIGH.findall(data))
    runs = [len(run) for run in _HIGH.findall(data)]
    if not runs:
        return "cp1252"
    # Latin text has its accents one by one between plain letters; other scripts come in runs.
    if _japanese(data):
        return "cp932"
    if sum(runs) / len(runs) < 2:
        return "cp1252"
    pairs = len(high) // 2
    if all(length % 2 == 0 for length in runs):
        leads = [high[index] for index in range(0, 2 * pairs, 2)]
        trails = [high[index] for index in range(1, 2 * pairs, 2)]
        if all(0xA1 <= byte <= 0xFE for byte in trails) and all(0xA1 <= byte <= 0xFE for byte in leads):
            if sum(byte in (0xA4, 0xA5) for byte in leads) * 3 > pairs:
                return "euc_jp"
            # Hangul fills B0–C8; the commoner Chinese characters run from B0 to D7. A1 and A3 are signs of both.
            if pairs > 3 and all(0xB0 <= byte <= 0xC8 or byte in (0xA1, 0xA3) for byte in leads):
                return "cp949"
            common = sum(0xB0 <= byte <= 0xD7 or byte in (0xA1, 0xA3) for byte in leads)
            if common * 10 >= pairs * 8 and not _cyrillic(data):
                return "gb18030"
    return _cyrillic(data) or ("gb18030" if _fits(data, "gb18030") and len(high) > 8 else "cp1252")


def _japanese(data: bytes) -> bool:
    if not _fits(data, "cp932"):
        return False
    text = data.decode("cp932")
    letters = [char for char in text if ord(char) > 0x7F]
    kana = sum("\u3041" <= char <= "\u30fe" for char in letters)
    return kana > 0 and kana * 6 >= len(letters)


def _cyrillic(data: bytes) -> str:
    """KOI8-R, Windows-1251 or ISO 8859-5, when one of them reads the bytes as Russian-looking words."""
    best, best_score = "", 0.0
    for name in ("cp1251", "koi8-r", "iso8859-5"):
        if not _fits(data, name):
            continue
        text = data.decode(name)
        letters = [char for char in text if ord(char) > 0x7F]
        # A wrong one of the three swaps capitals and small letters, or hits signs.
        common = sum(char in "оеаинтсрвлкмдпуяыьгзбчй" for char in letters)
        strange = sum(not "\u0400" <= char <= "\u04ff" for char in letters)
        score = (common - 2 * strange) / max(len(letters), 1)
        if score > best_score:
            best, best_score = name, score
    return best if best_score > 0.5 else ""


def _fits(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _mostly_utf8(data: bytes) -> bool:
    """Whether broken UTF-8 still is UTF-8: cut in the middle, or with a few foreign bytes in it."""
    sample = data[:65536]
    good = sum(map(len, _UTF8_SEQUENCE.findall(sample)))
    high = sum(map(len, _HIGH.findall(sample)))
    return good * 2 > high > 0


def _wide(data: bytes, name: str) -> str:
    """UTF-16 and UTF-32; without a byte order mark the order in which the zero bytes stand decides (RFC 2781, 4.3)."""
    if name == "utf-16" and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16-le" if data[1::2].count(0) > data[0::2].count(0) else "utf-16-be"
    return data.decode(name, "replace")
