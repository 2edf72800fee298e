"""Whether somebody can tell by the clock, or by the answer, which of several cases they hit.

`indistinguishable` measures cases within one run, interleaved, so that whatever else the machine does meets all of them
alike; no speed is asserted. `the_same` compares answers byte for byte. Used like this:

    answer = the_same({"known": lambda: ask(KNOWN), "unknown": lambda: ask(UNKNOWN)})
    indistinguishable({"known": lambda: ask(KNOWN), "unknown": lambda: ask(UNKNOWN)})

The functions are called with nothing and ask once each. They must not change what they ask about: take back what they
write, and keep throttles out of the way (`unlimited` does).
"""

import gc
import random
import statistics
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from unittest.mock import patch

SAMPLES = 120  # of each case, in one round
ROUNDS = 3
BOUND = 0.10  # of the difference of two medians, as a part of the smaller one
OVERLAP = 0.15  # of the distance from an even chance
CHANGES_BY_ITSELF = {"date", "x-request-id"}

Case = Callable[[], Any]


@dataclass(frozen=True)
class Difference:
    """How far two cases are apart.

    `medians`: the difference of their medians, as a part of the smaller one. `chance`: that a sample of the second
    takes longer than one of the first (Mann and Whitney's U as a part of all pairs): 0.5 for the same distribution,
    0 or 1 when one look at the clock is enough.
    """

    first: str
    second: str
    medians: float
    chance: float

    def is_within(self, bound: float, overlap: float) -> bool:
        """Whether both figures are within their bounds."""
        return self.medians <= bound and abs(self.chance - 0.5) <= overlap

    def __str__(self) -> str:
        return f"{self.first} / {self.second}: medians {self.medians:.1%} apart, slower with {self.chance:.0%}"


def indistinguishable(
    cases: Mapping[str, Case],
    *,
    samples: int = SAMPLES,
    rounds: int = ROUNDS,
    bound: float = BOUND,
    overlap: float = OVERLAP,
    seed: int = 1,
) -> list[Difference]:
    """Assert that the cases take the same time; gives how far each two were apart in the round that showed it.

    The statistic: a round asks every case `samples` times, each time all of them once in a random order. It shows
    that they are the same when for each two of them the medians differ by at most `bound` (10 %), and the chance that
    one takes longer than the other is within 0.5 ± `overlap` (0.15). With 120 samples the standard error of that
    chance is 0.037 for the same distribution, so mere luck fails a pair in one round of 20,000; what makes a round
    fail is other work on the machine. So up to `rounds` (3) rounds are tried, and the best one counts: a difference
    that is real is there in each of them. One query more, or a row that is found instead of none, is seen.
    """
    dice, best = random.Random(seed), None
    for _ in range(rounds):
        found = apart(_measured(cases, samples, dice))
        best = found if best is None else min(best, found, key=_worst)
        if all(one.is_within(bound, overlap) for one in found):
            return found
    told = "\n".join(str(one) for one in best or () if not one.is_within(bound, overlap))
    raise AssertionError(f"can be told apart by the clock, in the best of {rounds} rounds:\n{told}")


def apart(times: Mapping[str, Sequence[float]]) -> list[Difference]:
    """How far each two of the cases are apart, whose samples (in seconds) these are."""
    found = []
    for (first, one), (second, other) in combinations(times.items(), 2):
        medians = sorted((statistics.median(one), statistics.median(other)))
        found.append(Difference(first, second, medians[1] / medians[0] - 1, _chance(one, other)))
    return found


def the_same(cases: Mapping[str, Case], *, but: Sequence[str] = ()) -> Any:
    """Assert that the answers are the same in status, headers, cookies and body, byte for byte; gives one of them.

    Only `Date` and the request's own id may differ, and the headers that `but` names.
    """
    may_differ = CHANGES_BY_ITSELF | {name.lower() for name in but}
    answers = {name: ask() for name, ask in cases.items()}
    first_name, *others = answers
    first = _seen(answers[first_name], may_differ)
    for name in others:
        seen = _seen(answers[name], may_differ)
        for part, value in seen.items():
            assert value == first[part], f"{part} tells {name!r} from {first_name!r}: {value!r}, {first[part]!r}"
    return answers[first_name]


@contextmanager
def unlimited() -> Iterator[None]:
    """Nobody is asked to wait, however often they ask; asking costs what it costs."""
    with patch("helpdesk.api.throttles.rate_of", lambda scope: (10**9, 60)):
        yield


def _seen(answer: Any, may_differ: set[str]) -> dict[str, Any]:
    body = b"".join(answer.streaming_content) if getattr(answer, "streaming", False) else answer.content
    headers = sorted((name, value) for name, value in answer.items() if name.lower() not in may_differ)
    cookies = sorted((name, morsel.OutputString()) for name, morsel in answer.cookies.items())
    return {"status": answer.status_code, "headers": headers, "cookies": cookies, "body": body}


def _measured(cases: Mapping[str, Case], samples: int, dice: random.Random) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in cases}
    names, was_on = list(cases), gc.isenabled()
    gc.collect()
    gc.disable()  # it would stop for whoever comes after a round number of objects
    try:
        for number in range(-5, samples):  # the first ones warm up
            dice.shuffle(names)
            for name in names:
                began = time.perf_counter()
                cases[name]()
                took = time.perf_counter() - began
                if number >= 0:
                    times[name].append(took)
            if number % 20 == 0:
                gc.collect()
    finally:
        if was_on:
            gc.enable()
    return times


def _chance(one: Sequence[float], other: Sequence[float]) -> float:
    """That a sample of `other` is larger than one of `one`; equal ones count half."""
    ranked = sorted(one)
    smaller = sum(bisect_left(ranked, sample) + bisect_right(ranked, sample) for sample in other)
    return smaller / (2 * len(one) * len(other))


def _worst(found: Sequence[Difference]) -> float:
    return max((max(one.medians, abs(one.chance - 0.5)) for one in found), default=0.0)
