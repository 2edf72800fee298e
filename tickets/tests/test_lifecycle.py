"""The lifecycle: design.md's table of legal moves, and nothing besides."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.lifecycle import RANK, IllegalMove, Priority, Status, move, moves_from

LEGAL = {
    ("open", "pending"),
    ("pending", "open"),
    ("open", "resolved"),
    ("pending", "resolved"),
    ("resolved", "closed"),
    ("resolved", "open"),
    ("closed", "open"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product([s.value for s in Status], repeat=2)))
def test_a_move_is_legal_exactly_when_the_table_says_so(before, after):
    if (before, after) in LEGAL:
        assert move(before, after).after == after
    else:
        with pytest.raises(IllegalMove, match=f"{before} cannot become {after}"):
            move(before, after)


@given(st.lists(st.sampled_from(list(Status)), max_size=30))
def test_whatever_is_tried_a_ticket_is_closed_only_after_it_was_resolved(wishes):
    status, history = Status.OPEN, [Status.OPEN]
    for wish in wishes:
        try:
            status = move(status, wish).after
        except IllegalMove:
            assert wish not in moves_from(status)
            continue
        history.append(status)
    for before, after in itertools.pairwise(history):
        assert (before.value, after.value) in LEGAL
        if after is Status.CLOSED:
            assert before is Status.RESOLVED


def test_only_finished_tickets_reopen():
    assert move("resolved", "open").is_reopen
    assert move("closed", "open").is_reopen
    assert not move("pending", "open").is_reopen


def test_priorities_rank_from_urgent_to_low():
    assert sorted(Priority, key=RANK.__getitem__) == [Priority.URGENT, Priority.HIGH, Priority.MEDIUM, Priority.LOW]
