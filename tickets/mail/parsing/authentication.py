"""Whether the receiving server vouches for the sender's address: Authentication-Results (RFC 8601)."""

import re
from dataclasses import dataclass, field
from typing import Final

from tickets.mail.parsing.headers import Fields, addresses

_NAME: Final = "authentication-results"
_MAX_LENGTH: Final = 10_000  # characters of one field that are read
_RESULT: Final = re.compile(r"([a-z0-9_-]+)\s*(?:/\s*[0-9]+\s*)?=\s*([a-z0-9_-]+)", re.IGNORECASE)
_PROPERTY: Final = re.compile(r'\b([a-z0-9-]+\.[a-z0-9-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]+)', re.IGNORECASE)


@dataclass
class _Result:
    method: str
    verdict: str
    properties: dict[str, str] = field(default_factory=dict)


def verified(headers: Fields, *, trusted_host: str, sender: str) -> bool:
    """Whether `trusted_host` found that `sender` (an e-mail address) really comes from its domain.

    That is `dmarc=pass` for the sender's domain, or `dkim=pass` or `spf=pass` of that domain or of one above it
    (RFC 7489, 3.1, strict about domains below it: whoever rents `shop.example.com` does not speak for `example.com`).

    Which fields count. Anybody can write an Authentication-Results field into a message before sending it, with our
    server's name in it; RFC 8601, 5 tells the server to take such out, and not every server does. Fields are added at
    the top. So what stands above the topmost Received was written by the last server, after the message had left the
    sender's hands: there every field of the trusted host counts. Where none stands there (deliveries inside the house
    put a Received above it), only the one topmost Authentication-Results of the whole header counts, and only if the
    trusted host wrote it: directly below it the sender's own fields may begin. A field of another host above them ends
    the search. A `dmarc=fail` among those that count outweighs everything.

    A message with several From fields, or several addresses in it, is never verified: which of them was checked is
    not known.
    """
    host = trusted_host.strip().rstrip(".").lower()
    domain = sender.rpartition("@")[2].strip().lower()
    if not host or not domain or not _has_one_sender(headers, sender):
        return False
    results = [result for value in _trusted(headers, host) for result in _results(value)]
    dmarc = [result for result in results if result.method == "dmarc"]
    if any(result.verdict == "fail" for result in dmarc):
        return False
    return any(_speaks_for(result, domain) for result in results)


def _has_one_sender(headers: Fields, sender: str) -> bool:
    values = [value for name, value in headers if name.lower() == "from"]
    if len(values) != 1:
        return False
    named = addresses(values[0])
    return len(named) == 1 and named[0].email == sender.strip().lower()


def _trusted(headers: Fields, host: str) -> list[str]:
    """The values, without their authserv-id, of the fields that count."""
    certain: list[str] = []
    above_received = True
    for name, value in headers:
        key = name.lower()
        if key == "received":
            if certain:
                break
            above_received = False
        elif key == _NAME:
            written_by, _, rest = _without_comments(value[:_MAX_LENGTH]).partition(";")
            words = written_by.split()
            if not words or words[0].strip('"').rstrip(".").lower() != host:
                break
            certain.append(rest)
            if not above_received:
                break
    return certain


def _without_comments(value: str) -> str:
    """The value without its comments, which may be nested (RFC 5322, 3.2.2); quoted strings are left alone."""
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for char in value:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif quoted:
            quoted = char != '"'
        elif char == '"' and not depth:
            quoted = True
        elif char == "(":
            depth += 1
            continue
        elif char == ")" and depth:
            depth -= 1
            kept.append(" ")
            continue
        if not depth:
            kept.append(char)
    return "".join(kept)


def _results(value: str) -> list[_Result]:
    found = []
    for statement in _statements(value):
        match = _RESULT.match(statement.strip())
        if match:
            properties = {
                key.lower(): given.strip('"').strip().lower()
                for key, given in _PROPERTY.findall(statement[match.end() :])
            }
            found.append(_Result(method=match[1].lower(), verdict=match[2].lower(), properties=properties))
    return found


def _statements(value: str) -> list[str]:
    """The value cut at its semicolons, but not at those inside quotes: a sender chooses what is quoted."""
    found, start, quoted, escaped = [], 0, False, False
    for position, char in enumerate(value):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == ";" and not quoted:
            found.append(value[start:position])
            start = position + 1
    return [*found, value[start:]]


def _speaks_for(result: _Result, domain: str) -> bool:
    if result.verdict != "pass":
        return False
    given = result.properties
    if result.method == "dmarc":
        checked = given.get("header.from", "").rpartition("@")[2]
        return not checked or checked == domain
    if result.method == "dkim":
        return _covers(given.get("header.d") or given.get("header.i", ""), domain)
    if result.method == "spf":
        return _covers(given.get("smtp.mailfrom") or given.get("smtp.mail", ""), domain)
    return False


def _covers(authenticated: str, domain: str) -> bool:
    found = authenticated.rpartition("@")[2].rstrip(".")
    return "." in found and (domain == found or domain.endswith("." + found))
