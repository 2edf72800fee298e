"""The measure that the other tests stand on sees what there is to see."""

import itertools
import time

import pytest
from django.http import HttpResponse

from portal.tests.timing import apart, indistinguishable, the_same


def busy(seconds):
    def work():
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass

    return work


class TestTheClock:
    @pytest.mark.clock
    def test_does_not_tell_the_same_work_apart(self):
        found = indistinguishable({"one": busy(0.001), "other": busy(0.001), "third": busy(0.001)})
        assert len(found) == 3

    @pytest.mark.clock
    def test_sees_an_eighth_more_work(self):
        with pytest.raises(AssertionError, match="known / unknown: medians 1"):
            indistinguishable({"known": busy(0.001), "unknown": busy(0.001125)}, samples=100)

    @pytest.mark.clock
    def test_sees_work_that_only_some_of_the_answers_have(self):
        turns = itertools.count()
        one, more = busy(0.001), busy(0.0015)

        def sometimes():
            return (more if next(turns) % 10 < 4 else one)()

        with pytest.raises(AssertionError, match="known / unknown"):
            indistinguishable({"known": one, "unknown": sometimes}, samples=100)

    def test_is_reckoned_as_the_field_does(self):
        (one,) = apart({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0]})
        assert one.medians == 0.5 and one.chance == 7 / 9  # U of 7 among 9 pairs, equal ones half
        (same,) = apart({"a": [1.0, 2.0], "b": [1.0, 2.0]})
        assert (same.medians, same.chance) == (0.0, 0.5)


class TestTheAnswers:
    def answers(self, **headers):
        return {
            "one": lambda: HttpResponse("x", headers={"X-Request-Id": "1"}),
            "other": lambda: HttpResponse("x", headers={"X-Request-Id": "2"} | headers),
        }

    def test_are_the_same_but_for_the_requests_own_id(self):
        assert the_same(self.answers()).content == b"x"

    def test_are_told_apart_by_a_header(self):
        with pytest.raises(AssertionError, match="headers tells 'other' from 'one'"):
            the_same(self.answers(ETag="y"))

    def test_are_told_apart_by_a_body(self):
        with pytest.raises(AssertionError, match="body tells"):
            the_same({"one": lambda: HttpResponse("x"), "other": lambda: HttpResponse("y")})

    def test_are_told_apart_by_a_cookie(self):
        def other():
            answer = HttpResponse("x")
            answer.set_cookie("known", "1")
            return answer

        with pytest.raises(AssertionError, match="cookies tells"):
            the_same({"one": lambda: HttpResponse("x"), "other": other})
