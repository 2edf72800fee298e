"""What is shown of a message in plain text and what is folded away."""

import time
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickets.mail.parsing.quotes import REPLY_MARKER, fold

WROTE = "On Tue, Mar 3, 2026 at 10:04 AM Dana Reyes <dana@example.com> wrote:"
HISTORY = f"{WROTE}\n\n> Could you send the invoice?\n> And the delivery note?\n>\n> Dana"
OUTLOOK = (
    "From: Dana Reyes <dana@example.com>\nSent: Tuesday, March 3, 2026 10:04 AM\nTo: Help\nSubject: Invoice\n\nHi!"
)


def test_an_answer_above_the_history_is_shown_alone():
    folded = fold(f"Here it is.\n\n{HISTORY}\n")
    assert (folded.text, folded.folded_text) == ("Here it is.", HISTORY)


def test_line_ends_of_every_kind_are_line_ends():
    folded = fold("Here it is.\r\n\r\n" + HISTORY.replace("\n", "\r\n"))
    assert (folded.text, folded.folded_text) == ("Here it is.", HISTORY)
    assert fold("One\rTwo").text == "One\nTwo"


def test_a_message_without_history_is_untouched():
    message = "Hello,\n\n  - first\n  - second\n\n\tcode();\n\nThanks\nKim"
    assert (fold(message).text, fold(message).folded_text) == (message, "")


@pytest.mark.parametrize("nothing", ["", " ", "\n\n", "\r\n\t \r\n", "\u00a0"])
def test_nothing_is_nothing(nothing):
    assert (fold(nothing).text, fold(nothing).folded_text) == ("", "")


# --- History --------------------------------------------------------------------------------------


@pytest.mark.parametrize("only", [HISTORY, OUTLOOK, "> a\n> b", "-- \nKim", "Sent from my iPhone", WROTE])
def test_a_message_that_is_only_history_or_signature_is_shown_whole(only):
    assert (fold(only).text, fold(only).folded_text) == (only, "")


def test_history_without_marks_is_folded_when_its_attribution_leaves_no_doubt():
    history = f"{WROTE}\n\nCould you send the invoice?\n\nDana\n\n{OUTLOOK}"
    assert fold(f"Here it is.\n\n{history}").folded_text == history


@pytest.mark.parametrize(
    "sentence",
    [
        "My colleague wrote:\n\nThe printer is broken again.",
        "On 3 March 2026 at 10:04 I wrote:\n\nThe printer is broken, and nobody answered.",
        "On Tuesday we could print. Then the display wrote:\n\nPC LOAD LETTER",
        "From: Rome\nTo: Paris\nDate: 3 March 2026\nSeats: 2\n\nPlease book this.",
        "From: Kim\nSubject: Broken printer\n\nMessage body:\nIt does not print.",
        "On your machine you can run:\n\n  telnet 127.0.0.1\n\nand see.",
        "Subject: x\nFrom: the field is called like that in your form.\nWhat does it mean?",
        "The log says\n--------------------\nFrom: a\nTo: b\n--------------------\nand stops.",
        "Am 3. März 2026 um 10:04 schrieb ich Ihnen:\n\nDer Drucker ist kaputt.",
        "Original message\n\nWe sold 40 of those cards.",
    ],
)
def test_words_that_only_look_like_the_start_of_history_are_shown(sentence):
    message = f"Hello,\n\n{sentence}"
    assert (fold(message).text, fold(message).folded_text) == (message, "")


def test_a_wrapped_attribution_takes_no_line_of_the_answer():
    folded = fold("See you at 10:00\nDana Reyes wrote:\n> When?")
    assert (folded.text, folded.folded_text) == ("See you at 10:00", "Dana Reyes wrote:\n> When?")


def test_a_quotation_at_the_end_without_an_attribution_is_folded():
    folded = fold("Yes, please.\n\n> Shall we?\n> Dana")
    assert (folded.text, folded.folded_text) == ("Yes, please.", "> Shall we?\n> Dana")


@pytest.mark.parametrize(
    "message",
    [
        "The screen says:\n\n> Error 404\n> Not found",
        "It happens at the prompt\n\n>>> import invoice\n>>> invoice.send()",
        "I tried\n\n>>> 1 + 1\n2\n\nand it works.",
    ],
)
def test_what_the_person_pasted_behind_marks_is_shown(message):
    assert (fold(message).text, fold(message).folded_text) == (message, "")


# --- Answers between and below --------------------------------------------------------------------

INLINE = f"""Hi Dana,
{WROTE}
> Could you send the invoice?

Attached.

> And the delivery note?

That one is with the driver.
"""


def test_answers_between_quotations_are_shown_with_what_they_answer():
    folded = fold(f"{INLINE}\n> Dana\n> -- \n> Reyes Ltd\n\n-- \nKim")
    assert folded.text == INLINE.strip()
    assert folded.folded_text == "> Dana\n> -- \n> Reyes Ltd\n\n-- \nKim"


def test_one_answer_inside_a_quotation_keeps_the_part_it_answers():
    folded = fold(f"{WROTE}\n> Which colour?\n\nRed.\n\n> Best\n> Dana")
    assert folded.text == f"{WROTE}\n> Which colour?\n\nRed."
    assert folded.folded_text == "> Best\n> Dana"


def test_an_answer_below_the_history_is_shown_and_the_history_above_it_folded():
    folded = fold(f"{HISTORY}\n\nHere it is.\n\nKim\n\n-- \nKim Ltd")
    assert folded.text == "Here it is.\n\nKim"
    assert folded.folded_text == f"{HISTORY}\n\n-- \nKim Ltd"


def test_a_line_quoted_by_hand_above_its_answer_is_shown():
    message = "> Which colour?\n\nRed."
    assert (fold(message).text, fold(message).folded_text) == (message, "")


def test_a_quoted_line_that_a_client_tore_off_is_no_answer():
    torn = (
        f"{WROTE}\n> This line was so long that the program of the sender had to break\nit once more\n> and it went on."
    )
    folded = fold(f"I see.\n\n{torn}")
    assert (folded.text, folded.folded_text) == ("I see.", torn)


# --- The reply marker -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "history",
    [
        f"{REPLY_MARKER}\n\nYour ticket was answered.\nKind regards",
        f"> {REPLY_MARKER}\n>\n> Your ticket was answered.",
        f"> > {REPLY_MARKER}\n> >\n> > Your ticket was answered.",
        f"{WROTE}\n\n{REPLY_MARKER}\n\nYour ticket was answered.",
        f"{WROTE}\n\n> {REPLY_MARKER}\n> Your ticket was answered.",
        f"Qillqasqa 3/3/26 Help Desk:\n\n{REPLY_MARKER}\nYour ticket was answered.",
        f"<help@example.com> qillqan:\n{REPLY_MARKER}\nYour ticket was answered.",
        f"________________________________\n{OUTLOOK}\n\n{REPLY_MARKER}\nYour ticket was answered.",
        f"*{REPLY_MARKER}*\nYour ticket was answered.",
    ],
)
def test_all_below_the_reply_marker_is_history(history):
    folded = fold(f"Done, thanks!\n\n{history}")
    assert (folded.text, folded.folded_text) == ("Done, thanks!", history)


# --- Forwards -------------------------------------------------------------------------------------


def test_a_forward_from_outlook_is_told_by_its_subject():
    message = f"Please handle this.\n\n{OUTLOOK}"
    assert fold(message).folded_text == OUTLOOK
    assert fold(message, forwarded=True).text == message


def test_the_signature_of_who_forwards_is_folded_and_the_forward_shown():
    forward = "---------- Forwarded message ---------\nFrom: Dana\nSubject: Invoice\n\nHello\n-- \nDana"
    folded = fold(f"Please handle this.\n\n-- \nKim\n\n{forward}")
    assert (folded.text, folded.folded_text) == (f"Please handle this.\n\n{forward}", "-- \nKim")


def test_a_forward_inside_the_history_is_history():
    history = f"{OUTLOOK}\n\n---------- Forwarded message ---------\nFrom: Lee\n\nOld"
    assert fold(f"Thanks.\n\n{history}").text == "Thanks."


# --- Signatures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nKim Larsen\nAccounts, Example Ltd\n+45 1234",
        "--\nKim Larsen",
        "—\nKim Larsen",
        "-- \nKim\n\nThis message is confidential. If it is not for you, please delete it and tell us.",
        "Sent from my iPhone",
        "Sent from my iPhone\n\n-- \nKim",
        "Get Outlook for iOS\n<https://aka.ms/o0ukef>",
        "-Kim Larsen",
        "_______________________________________________\nusers mailing list\nusers@lists.example.com",
        "-Kim Larsen\n\n_______________________________________________\nusers mailing list\nusers@lists.example.com",
        "Virus-free. www.avast.com",
    ],
)
@pytest.mark.parametrize("history", ["", f"\n\n{HISTORY}", f"\n\n{OUTLOOK}"])
def test_a_signature_is_folded_with_and_without_history_below(signature, history):
    folded = fold(f"It works now -- thanks!\n\n{signature}{history}")
    assert (folded.text, folded.folded_text) == ("It works now -- thanks!", f"{signature}{history}")


@pytest.mark.parametrize(
    "message",
    [
        "It works -- thanks!\n\nKim",
        "First part\n\n--\n\nThe second part of the message goes on after a rule as in Markdown.\n\nAnd on.",
        "Choose:\n--\nred\n--\ngreen\n--\nblue",
        "-- is how a comment starts in SQL\n-- and so is this",
        "Head\n----\nText\n====\nMore",
        "Best regards,\nKim Larsen",
        "- first\n- second",
        "These fields are wrong:\n\n-name",
        "It works.\n\nIs this the right one?\n--\nOr do you want the other one?",
    ],
)
def test_dashes_and_names_that_are_no_signature_are_shown(message):
    assert (fold(message).text, fold(message).folded_text) == (message, "")


def test_text_after_the_signature_of_a_phone_is_shown():
    message = "One thing.\n\nSent from my iPhone\n\nAnd another thing: it is urgent."
    assert fold(message).text == message


# --- What holds for every message -----------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        "", " ", "Hello there", "Could you?", "> quoted", ">> twice", ">", "> ", WROTE, "wrote:", "Dana Reyes wrote:",
        "On Tue, Mar 3, 2026 at 10:04 AM Dana", "<dana@example.com> wrote:", "From: Dana <dana@example.com>", "To: x",
        "Sent: Tuesday, March 3, 2026", "Subject: y", "-- ", "--", "Kim", "-Kim Larsen", "Sent from my iPhone",
        "_" * 40, "a mailing list", "---------- Forwarded message ---------", "-----Original Message-----",
        REPLY_MARKER, f"> {REPLY_MARKER}", "Am 03.03.26 um 10:04 schrieb Dana:", "2026年3月3日(火) 10:04 D <d@e.com>:",
        "\u202b\u200f:", "\x00", "\ud800", "\u2028", "\x0c", "x" * 500, "the error says:", "https://example.com",
    ]
)  # fmt: skip
_MESSAGES = st.one_of(
    st.lists(_PIECES, max_size=25).map("\n".join),
    st.lists(st.one_of(_PIECES, st.text(max_size=20)), max_size=15).map("\r\n".join),
    st.text(st.characters(), max_size=200),
)


def _lines(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")
    text = "".join("\ufffd" if "\ud800" <= ch <= "\udfff" else ch for ch in text)
    return Counter(line.strip() for line in text.split("\n") if line.strip())


@given(_MESSAGES, st.booleans())
@example("-- \nKim\n> a\nb", False)
def test_no_line_is_lost_and_none_is_added(message, forwarded):
    folded = fold(message, forwarded=forwarded)
    assert _lines(folded.text) + _lines(folded.folded_text) == _lines(message)
    assert bool(folded.text) == bool(message.replace("\x00", "x").strip())
    for part in (folded.text, folded.folded_text):
        assert "\x00" not in part
        part.encode("utf-8")


@given(_MESSAGES)
def test_what_is_shown_is_shown_again(message):
    """Folding what is shown hides no word of the person's own: at most the quotation an answer was shown with."""
    once = fold(message).text
    twice = fold(once)
    own = {line for line in twice.folded_text.split("\n") if line.strip() and not line.lstrip().startswith(">")}
    assert twice.text == once or not own or once.startswith(twice.text) or once.endswith(twice.text)


@pytest.mark.parametrize("message", [f"Here it is.\n\n{HISTORY}", INLINE, f"{HISTORY}\n\nHere.", f"A.\n\n{OUTLOOK}"])
def test_folding_twice_folds_no_more(message):
    once = fold(message).text
    assert (fold(once).text, fold(once).folded_text) == (once, "")


_LENGTH = 100_000


@pytest.mark.parametrize(
    "unit",
    [
        "On ", "On \n", ">", ">\n", "> ", "wrote", "wrote:\n", "On 1 wrote:\n", "a\n>\n",
        f"{WROTE}\n> a\n", ":", ":\n",
        "From: a\n", "From: a\n\n", "To: a\nx\n", "-- \n", "--\n", "-- \na\n> b\n", "_", "-", f"{'_' * 30}\n",
        "\n", " ", "Sent from my iPhone\n", "sent from my ", "virus ", "https://a",
        "\u0301", "\u202b", "a b c ",
        "mailing list\n",
        "---- Forwarded mess ----\n", "在2026年3月3日，写道\n", "a@b 2026 10:00:\n", "1 a@b 2026>\n> x\n", "1", "x",
    ],
)  # fmt: skip
def test_hostile_input_takes_no_more_time_than_its_length(unit):
    message = (unit * (_LENGTH // len(unit) + 1))[:_LENGTH]
    started = time.process_time()
    fold(f"Hi\n{message}")
    # An eighth of a second of one core; what is quadratic takes a minute.
    assert time.process_time() - started < 0.75
