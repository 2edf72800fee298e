"""What is shown of a message and what is folded away: plain text."""

import pytest

from tickets.mail.parsing.quotes import REPLY_MARKER, fold

HISTORY = (
    "On Tue, Mar 3, 2026 at 10:04 AM Dana Reyes <dana@example.com> wrote:\n\n> Could you send the invoice?\n> Dana"
)


def test_an_answer_above_the_history_is_shown_alone():
    folded = fold(f"Here it is.\n\n{HISTORY}\n")
    assert folded.text == "Here it is."
    assert folded.folded_text == HISTORY


def test_all_below_the_reply_marker_is_history():
    folded = fold(f"Done, thanks!\n\n{REPLY_MARKER}\n\nYour ticket was answered.\nKind regards")
    assert folded.text == "Done, thanks!"
    assert folded.folded_text.startswith(REPLY_MARKER)


@pytest.mark.parametrize("line", ["-- \nDana Reyes\nAccounts", "Sent from my iPhone"])
def test_a_signature_is_folded(line):
    folded = fold(f"It works now.\n\n{line}")
    assert (folded.text, folded.folded_text) == ("It works now.", line)


def test_a_message_that_is_only_history_is_shown_whole():
    folded = fold(HISTORY)
    assert (folded.text, folded.folded_text) == (HISTORY, "")
