"""What of a message is its writer's answer, and what is history or a signature: the decision, line by line. Pure.

Plain text and HTML are both read as lines with a depth of quotation; `visible` says of each whether it is shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from tickets.mail.parsing import languages
from tickets.mail.parsing.languages import AUTHOR, DATE, SUBJECT, TO, plain

REPLY_MARKER: Final = "##- Please type your reply above this line -##"


class Hint(Enum):
    """What the structure of an HTML message says of a line; plain text says nothing."""

    NONE = "none"
    # All from here on is history (Outlook's `divRplyFwdMsg`).
    HISTORY = "history"
    # The line above a quotation, in whatever language (`gmail_attr`).
    ATTRIBUTION = "attribution"
    # All from here on is somebody else's message, passed on (`moz-forward-container`).
    FORWARD = "forward"
    # A part of a signature (`gmail_signature`).
    SIGNATURE = "signature"


class Line(NamedTuple):
    """One line of a message: its text without the marks of quotation, and how deep it is quoted (0: not)."""

    text: str
    depth: int = 0
    hint: Hint = Hint.NONE


def storable(text: str) -> str:
    """`text` as PostgreSQL and UTF-8 can hold it, with "\\n" for every line end."""
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", text)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def split(lines: Sequence[str], shown: Sequence[bool]) -> tuple[str, str]:
    """The lines that are shown and those that are not, without blank lines around them."""
    above = "\n".join(line for line, is_shown in zip(lines, shown, strict=True) if is_shown)
    below = "\n".join(line for line, is_shown in zip(lines, shown, strict=True) if not is_shown)
    return above.strip("\n") if above.strip() else "", _trimmed(below)


def _trimmed(text: str) -> str:
    return text.strip("\n") if text.strip() else ""


def visible(lines: Sequence[Line], *, forwarded: bool = False) -> list[bool]:
    """For each line whether it is shown. At least one line with text is, when there is any."""
    return _Message(lines, forwarded=forwarded).visible()


# --- Lines ----------------------------------------------------------------------------------------

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# An attribution, a label, a rule: nothing that is looked for is longer.
_LONGEST: Final = 400
_QUOTE_MARKS: Final = "> \t\u00a0"


def quoted_line(raw: str) -> Line:
    """A line of plain text with the marks of RFC 3676 4.5 (and their spaced variants "> > ") read off."""
    if raw.lstrip(" \t\u00a0")[:1] != ">":
        return Line(raw)
    text = raw.lstrip(_QUOTE_MARKS)
    return Line(text, raw.count(">", 0, len(raw) - len(text)))


def ends_in_attribution(texts: Sequence[str]) -> bool:
    """Whether the last of these lines would introduce a quotation that follows it."""
    message = _Message([*(Line(text) for text in texts), Line(">", 1)], forwarded=False)
    for at in range(len(texts) - 1, -1, -1):
        if not message.blank[at]:
            return message.attribution_at(at, plain(texts[at][:_LONGEST]))[0] is not _Grade.NONE
    return False


# --- Attributions ---------------------------------------------------------------------------------


class _Grade(Enum):
    """How sure it is that words are an attribution."""

    NONE = 0
    # Somebody "wrote:" something. One only directly above a quotation.
    WEAK = 1
    # With a date or an address. The same.
    MEDIUM = 2
    # With a date, and a time or an address.
    STRONG = 3
    # So much an attribution that what follows is history even when it carries no marks of quotation.
    CERTAIN = 4


_DIGIT: Final = re.compile(r"\d")
_DIGIT_OR_AT: Final = re.compile(r"[\d@]")
_FULL_DATE: Final = re.compile(
    r"(?:^|\D)(?:19|20|25)\d\d(?!\d)|(?:^|\D)\d{1,2}[./-] ?\d{1,2}[./-] ?\d{2}(?!\d)|\d년|\d年"
)
_TIME: Final = re.compile(r"(?:^|\D)\d{1,2}(?:[:h時时点시]| uhr)\s?\d{0,2}|(?:^|[^\d.])\d{1,2}\.\d{2}(?![\d.])")
_STARTS_WITH_DATE: Final = re.compile(r"^(?:\S{1,12}[.,]? )?\d{1,4}[./年년 -]")
_MOST_LINES = 4


def _grade(words: str) -> _Grade:
    """How sure it is that `words` (plain) are one whole attribution."""
    words = words.strip(" *_|>")
    if words.startswith("---") and words.endswith("---"):  # Zoho: "---- On … wrote ----"
        words = words.strip("- ") + ":"
    words = words.replace(" :", ":")
    if not words.endswith(":"):
        return _Grade.NONE
    address = "@" in words
    date = bool(_FULL_DATE.search(words))
    time = bool(_TIME.search(words))
    at_end = languages.WROTE_AT_END.search(words)
    if not (at_end or languages.WROTE_INSIDE.search(words)):
        # Gmail in Russian, Japanese and Hebrew has no verb: the date, the name, the address and a colon.
        if address and date and time and words.endswith((">:", "):", "]:")):
            return _Grade.CERTAIN if _STARTS_WITH_DATE.search(words) else _Grade.STRONG
        return _Grade.MEDIUM if address and (date or time) else _Grade.NONE
    if date and (time or address):
        if not time:
            return _Grade.STRONG
        opens = bool(languages.OPENER.search(words) or _STARTS_WITH_DATE.search(words))
        named = at_end and opens and not languages.PRONOUN_WROTE.search(words)
        return _Grade.CERTAIN if address or named else _Grade.STRONG
    return _Grade.MEDIUM if date or time or address else _Grade.WEAK


# --- Signatures -----------------------------------------------------------------------------------

_RULE: Final = re.compile(r"^[\s_*=~–—‐‑─━-]{5,200}$")
_LONG_RULE: Final = re.compile(r"^\s{0,8}_{20,}\s{0,8}$")
_LIST_FOOTER: Final = re.compile("mailing list|listinfo|unsubscribe|mailman|to post to this group|google groups", re.I)
_VIRUS_FREE: Final = re.compile(r"virus.{0,80}(?:avast|avg\.com|avira|norton)|(?:avast|avg|avira).{0,80}vir[uie]", re.I)
_ONLY_LINK: Final = re.compile(r"^\s*[<\[(]?https?://\S{1,300}[>\])]?\s*$")
# "-Anna Muster" alone in the last paragraph. A first name alone could be an item of a list.
_DASH_NAME: Final = re.compile(r"^[-–—]{1,2}[^\W\d_a-z][^\W\d_]*\.?(?: [^\W\d_a-z][^\W\d_]*\.?){1,2}\s*$")
_STRONG_DELIMITER: Final = "-- "
_WEAK_DELIMITERS: Final = frozenset(["--", "—", "--\u00a0", "- --"])
# A delimiter of RFC 3676 4.3 has a space at its end. Where it got lost it may be a rule: then only a few short lines
# below it are a signature.
_MOST_STRONG, _MOST_WEAK = 30, 8
_PROSE: Final = re.compile(r"(?:\S+\s+){7,}\S*[.?!:]\s*$|\?\s*$")


# --- The message ----------------------------------------------------------------------------------


@dataclass
class _Block:
    """A run of lines: a quotation with its attribution, or text with what of it is a signature."""

    start: int
    end: int
    is_quote: bool
    attributed: bool = False
    # Where the signature of a text starts (its end when there is none).
    signature: int = 0


class _Message:
    """One reading of one message, from the top to where all the rest is history or a forward."""

    def __init__(self, lines: Sequence[Line], *, forwarded: bool) -> None:
        self.lines = lines
        self.count = len(lines)
        self.forwarded = forwarded
        self.blank = [not line.text.strip() for line in lines]
        # The next line with text after each line (the count when there is none).
        self.next_full = [self.count] * self.count
        following = self.count
        for at in range(self.count - 1, -1, -1):
            self.next_full[at] = following
            if not self.blank[at]:
                following = at
        self._plain: dict[int, str] = {}
        # Lines that belong to an attribution.
        self.attribution = [False] * self.count
        # Where everything after is history, or a forward.
        self.history = self.count
        self.forward = self.count

    def visible(self) -> list[bool]:
        self._read()
        body = min(self.history, self.forward)
        blocks = self._blocks(body)
        shown = [False] * self.count
        answers = self._answers(blocks)
        if not answers:
            return [True] * self.count
        last = answers[-1]
        first_shown = self._first_shown(blocks, answers)
        for n, block in enumerate(blocks):
            if first_shown <= n < last:
                self._show(shown, block.start, block.end)
            elif n == last:
                self._show(shown, block.start, block.signature)
        self._show_pasted(shown, blocks, last)
        if self.forward < self.count:
            self._show(shown, self.forward, self.count)
        return shown

    def _show(self, shown: list[bool], start: int, end: int) -> None:
        shown[start:end] = [True] * (end - start)

    def _plain_of(self, at: int) -> str:
        found = self._plain.get(at)
        if found is None:
            found = self._plain[at] = plain(self.lines[at].text[:_LONGEST])
        return found

    def _has_text(self, block: _Block) -> bool:
        return any(not self.blank[at] for at in range(block.start, block.signature))

    # --- From top to bottom ---

    def _read(self) -> None:
        after_label = False
        for at, line in enumerate(self.lines):
            if line.hint is Hint.HISTORY:
                return self._end_at(at)
            if self.blank[at]:
                continue
            if line.depth:
                after_label = False
                continue
            if line.hint is Hint.FORWARD:
                self.forward = at
                return None
            words = self._plain_of(at)
            if line.hint is Hint.ATTRIBUTION and self._heading(at, words) != "forward":
                self.attribution[at] = True
                continue
            if _MARKER in words:
                self.history = self._above_marker(at)
                return None
            kind = self._heading(at, words)
            if kind == "forward" or (kind == "original" and self.forwarded):
                self.forward = at
                return None
            if kind == "original":
                return self._end_at(at)
            label = _label(words)
            if label and not after_label and self._is_header_block(at):
                return self._end_at(at)
            after_label = bool(label)
            grade, start = self.attribution_at(at, words)
            if grade is _Grade.NONE:
                continue
            following = self.next_full[at]
            quoted = following < self.count and self.lines[following].depth > 0
            if quoted:
                self.attribution[start : at + 1] = [True] * (at + 1 - start)
            elif grade is _Grade.CERTAIN and following < self.count:
                return self._end_at(start)
        return None

    def _end_at(self, at: int) -> None:
        """All from the line on is history (or a forward, when the subject says so), with a rule above it."""
        above = at - 1
        while above >= 0 and self.blank[above]:
            above -= 1
        if above >= 0 and not self.lines[above].depth and _RULE.match(self.lines[above].text[:_LONGEST]):
            at = above
        if self.forwarded:
            self.forward = at
        else:
            self.history = at

    def _above_marker(self, at: int) -> int:
        """Where the history starts whose first words are our marker: with the attribution above, in any language."""
        top, above = at, at - 1
        while above >= 0 and self.blank[above] and at - above < 4:
            above -= 1
        if above < 0 or self.lines[above].depth:
            return top
        words = self._plain_of(above)
        grade, start = self.attribution_at(above, words)
        if grade is not _Grade.NONE:
            return start
        if words.endswith(":") and ("@" in words or _DIGIT.search(words)):
            return above
        return above if _RULE.match(words) else top

    def _heading(self, at: int, words: str) -> str:
        """ "original" or "forward" when the line is the heading of one, else ""."""
        if len(words) > 120:
            return ""
        bare = words.strip(" -‐‑–—_*=>~:")
        if bare in languages.FORWARD_BEGINS:
            return "forward"
        ruled = words[:2] != bare[:2] and words[0] in "-‐‑–—_*=~" and words[-1] in "-‐‑–—_*=~:"
        if bare in languages.FORWARDED and ruled:
            return "forward"
        if bare in languages.ORIGINAL:
            following = self.next_full[at]
            if ruled or (following < self.count and _label(self._plain_of(following))):
                return "original"
        return ""

    def _is_header_block(self, at: int) -> bool:
        """Whether the labels from here on are those of an older message: who, what about, and when or to whom.

        All three: a customer's list of "From: Rome, To: Paris, Date: 3 March" is no history.
        """
        kinds: set[str] = set()
        strange = 0
        for here in range(at, min(at + 16, self.count)):
            if self.blank[here]:
                if here + 1 < self.count and (self.blank[here + 1] or not _label(self._plain_of(here + 1))):
                    break
                continue
            if self.lines[here].depth:
                break
            found = _label(self._plain_of(here))
            if found:
                kinds |= found
                if AUTHOR in kinds and SUBJECT in kinds and (DATE in kinds or TO in kinds):
                    return True
            else:
                strange += 1
                if strange > 4:
                    break
        return False

    def attribution_at(self, at: int, words: str) -> tuple[_Grade, int]:
        """How sure it is that an attribution ends with this line, and the line it starts with."""
        if not words.rstrip(" *_|").endswith((":", "---")):
            return _Grade.NONE, at
        following = self.next_full[at]
        quoted = following < self.count and self.lines[following].depth > 0
        window = [at]
        while len(window) < _MOST_LINES and self._continues(window[-1] - 1):
            window.append(window[-1] - 1)
        evidence = [bool(_DIGIT_OR_AT.search(self.lines[here].text[:_LONGEST])) for here in window]
        if not any(evidence):
            return (_grade(words) if quoted else _Grade.NONE), at
        best, start, joined = _Grade.NONE, at, ""
        for n, here in enumerate(window):
            line = self._plain_of(here)
            joined = f"{line} {joined}" if joined else line
            if len(joined) > _LONGEST:
                break
            if not quoted and not (_FULL_DATE.search(joined) and any(evidence[: n + 1])):
                continue
            if n and not (languages.OPENER.search(line) or "@" in line or _FULL_DATE.search(line)):
                continue
            grade = _grade(joined)
            if grade.value > best.value:
                best, start = grade, here
                if grade is _Grade.CERTAIN or (grade is _Grade.STRONG and languages.OPENER.search(line)):
                    break
        if best is _Grade.NONE:
            return best, at
        if best is _Grade.WEAK and start != at:
            return _Grade.NONE, at
        return best, self._opened(start, at)

    def _continues(self, above: int) -> bool:
        """Whether an attribution may have this line above its others."""
        return above >= 0 and not (self.blank[above] or self.lines[above].depth or self.attribution[above])

    def _opened(self, start: int, at: int) -> int:
        """The start of an attribution, or the line above it when the client broke it after "On Tuesday,"."""
        above = start - 1
        if (
            start > at - _MOST_LINES + 1
            and self._continues(above)
            and not languages.OPENER.search(self._plain_of(start))
            and len(self._plain_of(above)) <= 90
            and self._plain_of(above)[-1] not in ".!?:"
            and languages.OPENER.search(self._plain_of(above))
            and _DIGIT.search(self._plain_of(above)) is not None
        ):
            return above
        return start

    # --- Blocks ---

    def _blocks(self, end: int) -> list[_Block]:
        """The lines before `end` as texts and quotations in turn. Blank lines go with what stands before them."""
        blocks: list[_Block] = []
        for at in range(end):
            if self.blank[at] and not self.lines[at].depth and blocks:
                blocks[-1].end = blocks[-1].signature = at + 1
                continue
            is_quote = self.lines[at].depth > 0 or self.attribution[at] or self._is_torn_off(at, end)
            if not blocks or blocks[-1].is_quote != is_quote:
                blocks.append(_Block(at, at + 1, is_quote))
            blocks[-1].end = at + 1
            if self.attribution[at]:
                blocks[-1].attributed = True
            blocks[-1].signature = blocks[-1].end
        return blocks

    def _answers(self, blocks: list[_Block]) -> list[int]:
        """Which blocks are texts with more in them than signatures. Only the outer ones are looked at for one:
        between quotations a name stays where it stands.
        """
        texts = [n for n, block in enumerate(blocks) if not block.is_quote]
        for outer in (texts, reversed(texts)):
            for n in outer:
                block = blocks[n]
                block.signature = self._signature(block.start, block.end)
                if self._has_text(block):
                    break
        return [n for n in texts if self._has_text(blocks[n])]

    def _is_torn_off(self, at: int, end: int) -> bool:
        """Whether a line is the end of the quoted line above it that a client broke without a mark of its own."""
        if at == 0 or at + 1 >= end or self.lines[at - 1].depth == 0 or self.lines[at + 1].depth == 0:
            return False
        above, here = self.lines[at - 1].text, self.lines[at].text
        return (
            len(above) >= 64
            and len(here) <= 30
            and above.rstrip()[-1:] not in ".!?:"
            and here[:1].islower()
            and not self.blank[at + 1]
        )

    def _first_shown(self, blocks: list[_Block], answers: list[int]) -> int:
        """The first block that is shown: 0, or the only answer when all above it is quoted history."""
        only = answers[0]
        if len(answers) > 1 or only == 0:
            return 0
        above = blocks[:only]
        if any(block.is_quote for block in blocks[only + 1 :]):
            return 0  # An answer inside a quotation: the part above is what it answers.
        long = sum(not self.blank[at] for block in above for at in range(block.start, block.end)) > 5
        return only if long or any(block.attributed for block in above) else 0

    def _show_pasted(self, shown: list[bool], blocks: list[_Block], last: int) -> None:
        """Show what the person pasted behind marks: "The error says:" and a few lines, or a Python prompt."""
        if last + 1 >= len(blocks) or blocks[last].signature != blocks[last].end:
            return
        quote = blocks[last + 1]
        if quote.attributed or not quote.is_quote:
            return
        above = next(at for at in range(blocks[last].end - 1, -1, -1) if not self.blank[at])
        full = [at for at in range(quote.start, quote.end) if not self.blank[at]]
        introduced = self._plain_of(above).endswith(":") and len(full) <= 6
        prompt = bool(full) and all(self.lines[at].depth == 3 for at in full)
        if introduced or prompt:
            self._show(shown, quote.start, quote.end)

    # --- Signatures ---

    def _signature(self, start: int, end: int) -> int:
        """Where in the text the signatures begin that end it: `end` when there are none."""
        while True:
            last = end - 1
            while last >= start and self.blank[last]:
                last -= 1
            if last < start:
                return end
            cut = self._cut(start, last)
            if cut > last:
                return end
            end = cut

    def _cut(self, start: int, last: int) -> int:
        """Where the one signature starts that ends with the line `last`; after it when there is none."""
        text = self.lines[last].text[:_LONGEST]
        if self.lines[last].hint is Hint.SIGNATURE:
            top = last
            while top > start and (self.lines[top - 1].hint is Hint.SIGNATURE or self.blank[top - 1]):
                top -= 1
            return top
        if languages.is_device_signature(text) or _VIRUS_FREE.search(text):
            return last
        if _ONLY_LINK.match(text) and last > start:
            above = self.lines[last - 1].text[:_LONGEST]
            if languages.is_device_signature(above) or _VIRUS_FREE.search(above):
                return last - 1
        if _DASH_NAME.match(text) and (last == start or self.blank[last - 1]):
            return last
        return self._delimiter(start, last)

    def _delimiter(self, start: int, last: int) -> int:
        full = 0
        strong = weak = last + 1
        weak_count = 0
        footer = False
        for at in range(last, start - 1, -1):
            if self.blank[at]:
                continue
            text = self.lines[at].text
            if full <= _MOST_STRONG and text.startswith(_STRONG_DELIMITER) and not text.strip("- \u00a0"):
                strong = at
            elif text.strip() in _WEAK_DELIMITERS:
                weak_count += 1
                weak = at if weak_count == 1 and 0 < full <= _MOST_WEAK else last + 1
            elif footer and _LONG_RULE.match(text[:_LONGEST]):
                return at
            footer = (footer or bool(_LIST_FOOTER.search(text[:_LONGEST]))) and full < 10
            full += 1
            if full > _MOST_STRONG:
                break
        if strong <= last:
            return strong
        if weak <= last and not any(_PROSE.search(self.lines[at].text[:_LONGEST]) for at in range(weak + 1, last + 1)):
            return weak
        return last + 1


_MARKER: Final = plain(REPLY_MARKER).strip("#- ")


def _label(words: str) -> frozenset[str] | None:
    """What a line of a block of headers tells ("From: …", "*Gesendet:* …"), None when it is no such line."""
    colon = words.find(":", 0, 40)
    if colon <= 0:
        return None
    return languages.LABELS.get(words[:colon].strip(" *_|"))
