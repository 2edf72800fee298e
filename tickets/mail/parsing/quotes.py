"""What a person wrote now, apart from the history and the signatures their mail program hung below it. Pure.

`fold` cuts a message into the part that is shown and the part that is folded away; it never throws anything away.
The same reading (`history`) serves plain text and HTML (`html_quotes`): both are lines with a depth of quotation.

How it decides, as a careful person would:

* What stands above the history is the answer; history at the end is folded.
* Answers between quotations are shown with the quotations they answer, in order.
* An answer below one long quotation is shown, the quotation above it is folded.
* A forward is content: it is shown. So is a message that is nothing but quotation or signature.
* In doubt it shows: history on view is a nuisance, an answer out of view is a lost answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tickets.mail.parsing.history import REPLY_MARKER, quoted_line, split, storable, visible
from tickets.mail.parsing.html_quotes import FoldedHtml, fold_html, words_of

__all__ = ["REPLY_MARKER", "Folded", "fold"]


@dataclass(frozen=True)
class Folded:
    """A message in two parts. Every line of the message is in one of the two."""

    # What the person wrote now; never empty when the message has any text at all.
    text: str
    # Quoted history and signatures in their order, "" when there are none.
    folded_text: str
    # The same two of an HTML alternative, not sanitised; "" when there is none, or when plain text is safer to show.
    html: str
    folded_html: str


def fold(text: str, html: str = "", *, forwarded: bool = False) -> Folded:
    """`text` (and its `html` alternative) with history and signatures apart. Never raises; linear in its input.

    `forwarded`: the subject says so (`languages.is_forward_subject`). Outlook writes the same block of headers into
    replies and forwards; in a forward it is content. NUL and lone surrogates come back as U+FFFD, line ends as "\\n".
    """
    lines = storable(text).split("\n")
    shown = visible([quoted_line(raw) for raw in lines], forwarded=forwarded)
    above, below = split(lines, shown)
    if not html.strip():
        return Folded(above, below, "", "")
    rich = fold_html(html, forwarded=forwarded)
    if not above:
        return _without_text(html, rich, forwarded=forwarded)
    if rich is None:
        return Folded(above, below, "", "")
    if not below and rich.folded_text:
        # A language we do not know, or a signature only HTML marks: what the structure says holds for the text.
        cut = _cut_after(lines, rich.text)
        parted = split(lines, [at < cut for at in range(len(lines))])
        # A text of which the HTML shows nothing says something else: it is not hidden.
        above, below = parted if parted[0] else (above, below)
    if not _agree(above, rich):
        return Folded(above, below, "", "")
    return Folded(above, below, rich.html, rich.folded_html)


def _without_text(html: str, rich: FoldedHtml | None, *, forwarded: bool) -> Folded:
    """The parts of a message that has nothing but HTML, or nothing in its plain text."""
    if rich is not None:
        return Folded(rich.text, rich.folded_text, rich.html, rich.folded_html)
    words = words_of(html)
    return fold(words, forwarded=forwarded) if words.strip() else Folded("", "", "", "")


def _words(text: str) -> set[str]:
    return set(_WORD.findall(_NOT_SAID.sub(" ", text.casefold())))


def _agree(text: str, rich: FoldedHtml) -> bool:
    """Whether the HTML that would be shown says what the plain text says (RFC 2046 5.1.4: alternatives do).

    Else the plain text is safer. A plain text that only points at the HTML is the exception.
    """
    said = _words(text)
    if not said:
        return True
    seen = _words(rich.text)
    share = len(said & seen) / len(said)
    return share >= _SAME_SHARE or (len(said) <= 40 and "html" in said and len(seen) > len(said))


def _cut_after(lines: Sequence[str], shown: str) -> int:
    """The number of `lines` that say just what `shown` says, line breaks apart; all of them when they differ."""
    wanted = "".join(_LETTERS.findall(shown))
    said = 0
    for at, line in enumerate(lines):
        letters = "".join(_LETTERS.findall(line))
        if letters and said == len(wanted):
            return at
        if not wanted.startswith(letters, said):
            return len(lines)
        said += len(letters)
    return len(lines)


# How much of the words of the plain text must be in the HTML that is shown instead.
_SAME_SHARE: Final = 0.7
_WORD: Final = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\\w+")
_NOT_SAID: Final = re.compile(r"<?https?://\S+|\[cid:[^\]]{0,200}\]|\[image: [^\]]{0,200}\]|\S{1,200}@\S{1,200}")
_LETTERS: Final = re.compile(r"[^\W_]+")
