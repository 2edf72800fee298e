"""Real-looking messages, written here, and what damage makes of them: for tests and measurements."""

import base64
import random
from collections.abc import Callable, Iterator

_NAMES = ("Jane Smith", "Jürgen Öztürk", "山田太郎", "Ольга Иванова", "O'Brien, Pat", 'Ann "AJ" Jones', "محمد علي", "")
_SUBJECTS = (
    "Printer on fire", "Re: [Acme #1001] Printer", "AW: Rechnung über 100 €", "Fwd: Fwd: ご質問", "Re:", "",
    "=?utf-8?B?w4TDlsOc?= and =?iso-8859-1?Q?=E9t=E9?=", "=?x-none?B?AAAA?=", "Automatic reply: away",
)  # fmt: skip
_TEXTS = (
    "Hello,\n\nthe printer on the second floor is on fire.\n\nKind regards\nJane\n",
    "Still burning.\n\nOn Mon, 2 Mar 2026 at 10:00, Acme Support <support@acme.example> wrote:\n> Is it off?\n> Bye\n",
    "Danke, geht wieder.\n\nAm 02.03.2026 um 10:00 schrieb Acme Support:\n> Bitte neu starten.\n\n-- \nJürgen\n",
    "Yes\n\n-----Original Message-----\nFrom: Acme\nSent: Monday\nTo: Jane\nSubject: Printer\n\nIs it off?\n",
    "https://example.com/a?b=c " * 30 + "\n", "> only\n> a quotation\n", "\n\n\n", "x" * 3000 + "\n",
)  # fmt: skip
_CHARSETS = ("utf-8", "iso-8859-1", "windows-1252", "koi8-r", "iso-2022-jp", "gb2312", "x-unknown", "")
_HEADERS = (
    "Auto-Submitted: auto-replied", "X-Spam-Flag: YES", "Precedence: bulk", "List-Id: <list.example.com>",
    "Return-Path: <>", "Reply-To: other@customers.example", "Cc: Bob <bob@customers.example>, support@acme.example",
    "In-Reply-To: <first@customers.example>", "References: " + " ".join(f"<{n}@x.example>" for n in range(200)),
    "Importance: high", "Date: Mon, 31 Feb 2026 25:61:00 +9999", "X-Long: " + "y" * 5000, "From: second@from.example",
)  # fmt: skip


def messages(count: int, *, seed: int) -> Iterator[bytes]:
    """So many messages, most of them damaged; the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        raw = _message(chance)
        for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
            raw = chance.choice(_DAMAGES)(raw, chance)
        yield raw


def _message(chance: random.Random) -> bytes:
    name = chance.choice(_NAMES)
    sender = chance.choice(("jane@customers.example", "j@x.example", "ann@example.com", "bob@customers.example"))
    if chance.random() < 0.15:
        sender = chance.choice(("JÜRGEN@münchen.example", "not an address", "", "support@acme.example"))
    lines = [
        f'From: "{name}" <{sender}>' if name else f"From: {sender}",
        "To: Acme <support@acme.example>",
        f"Subject: {chance.choice(_SUBJECTS)}",
        "Date: Mon, 2 Mar 2026 10:00:00 +0100",
        "MIME-Version: 1.0",
    ]
    if chance.random() < 0.8:
        number = chance.randrange(10**9) if chance.random() < 0.9 else 1
        lines.append(f"Message-ID: <m{number}@customers.example>")
    lines += chance.sample(_HEADERS, chance.choice((0, 0, 0, 1, 1, 3)))
    chance.shuffle(lines)
    head = "\n".join(lines).encode("utf-8")
    return head + b"\n" + _part(chance, depth=0)


def _part(chance: random.Random, *, depth: int) -> bytes:
    """The header fields and the body of a part, or of the whole message."""
    kind = chance.choice(("plain", "plain", "html", "base64", "quoted", "file", "multi", "multi", "report", "rfc822"))
    charset = chance.choice(_CHARSETS)
    text = chance.choice(_TEXTS)
    content = text.encode(charset if charset and charset[0] != "x" else "utf-8", "replace")
    said = f"; charset={charset}" if charset else ""
    if kind == "multi" and depth < 6:
        boundary = f"b{depth}{chance.randrange(100)}"
        sort = chance.choice(("mixed", "alternative", "related", "signed", "report", "digest"))
        parts = [_part(chance, depth=depth + 1) for _ in range(chance.randrange(1, 4))]
        body = b"".join(b"--" + boundary.encode() + b"\n" + part + b"\n" for part in parts)
        end = b"--" + boundary.encode() + b"--\n" if chance.random() < 0.9 else b""
        return f'Content-Type: multipart/{sort}; boundary="{boundary}"\n\n'.encode() + body + end
    if kind == "html":
        html = "<html><body><p>" + text.replace("\n", "<br>") + "</p><blockquote>old</blockquote><img src='cid:a@b'>"
        return f"Content-Type: text/html{said}\n\n".encode() + html.encode("utf-8")
    if kind == "base64":
        return f"Content-Type: text/plain{said}\nContent-Transfer-Encoding: base64\n\n".encode() + base64.encodebytes(
            content
        )
    if kind == "quoted":
        return f"Content-Type: text/plain{said}\nContent-Transfer-Encoding: quoted-printable\n\n".encode() + content
    if kind == "file":
        name = chance.choice(("a.pdf", "../../x", "ä.txt", "a\u202egpj.exe", "", "x" * 300, "winmail.dat"))
        size = chance.choice((0, 1, 100, 20_000))
        head = f'Content-Type: application/octet-stream; name="{name}"\nContent-Disposition: attachment\n'
        return (head + "Content-Transfer-Encoding: base64\n\n").encode() + base64.encodebytes(chance.randbytes(size))
    if kind == "report":
        return (
            b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            b"Final-Recipient: rfc822; jane@customers.example\nAction: failed\nStatus: 5.1.1\n"
        )
    if kind == "rfc822" and depth < 6:
        inner = b"From: old@customers.example\nSubject: Old\n" + _part(chance, depth=depth + 1)
        return b"Content-Type: message/rfc822\n\n" + inner
    return f"Content-Type: text/plain{said}\n\n".encode() + content


def _flip(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 3, 20))):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _drop(raw: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(raw) + 1)
    return raw[:start] + raw[start + chance.randrange(1, 200) :]


def _double(raw: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(raw) + 1)
    piece = raw[start : start + chance.randrange(1, 400)]
    return raw[:start] + piece * chance.choice((2, 3, 50)) + raw[start:]


def _shuffle(raw: bytes, chance: random.Random) -> bytes:
    lines = raw.split(b"\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _insert(raw: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(raw) + 1)
    bait = (
        b"\0", b"\r", b"\n\n", b"\xff\xfe", b"\xed\xa0\x80", b"<", b"(" * 200, b">" * 500, b"=?utf-8?B?", b"\x1b$B",
        b"--b0\n", b"\xe2\x80\xae", b"," * 1000, b'"', b"[" * 3000, b"<div>" * 2000, b"a@b " * 1000, b"&#0;", b"{{x}}",
    )  # fmt: skip
    return raw[:start] + chance.choice(bait) + raw[start:]


def _ends(raw: bytes, chance: random.Random) -> bytes:
    return raw.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\n\n", b"\n\r")))


def _noise(raw: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 50, 5000)))


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _drop, _drop, _double, _shuffle, _shuffle, _insert, _insert, _ends, _noise,
)  # fmt: skip
