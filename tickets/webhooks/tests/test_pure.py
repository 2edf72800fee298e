"""When messages are tried again, and how they are signed: properties of the pure modules."""

import datetime as dt
import json
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tickets.webhooks import payloads, retrying

AT = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
UNHURRIED = settings(deadline=None)  # a busy machine is no failure
moments = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))
chances = st.floats(0, 1)
asked = st.one_of(st.none(), st.timedeltas(dt.timedelta(0), dt.timedelta(days=400)))
# What JSON can hold and PostgreSQL keeps.
words = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=10,
)


class TestRetrying:
    @UNHURRIED
    @given(failed=st.integers(1, 9), at=moments, chance=chances, asked=asked)
    def test_waits_within_the_jitter_or_as_long_as_is_asked(
        self, failed: int, at: dt.datetime, chance: float, asked: dt.timedelta | None
    ) -> None:
        wait = retrying.WAITS[failed - 1]
        due = retrying.next_attempt(failed=failed, at=at, chance=chance, asked=asked)
        assert due is not None
        longest = max(wait * 1.1, min(asked or dt.timedelta(0), retrying.LONGEST_ASKED))
        assert wait * 0.9 - SECOND <= due - at <= longest + SECOND
        if asked:
            assert due - at >= min(asked, retrying.LONGEST_ASKED)

    @UNHURRIED
    @given(failed=st.integers(10, 1000), at=moments, chance=chances, asked=asked)
    def test_ends_after_ten(self, failed: int, at: dt.datetime, chance: float, asked: dt.timedelta | None) -> None:
        assert retrying.next_attempt(failed=failed, at=at, chance=chance, asked=asked) is None

    @UNHURRIED
    @given(chances=st.lists(chances, min_size=9, max_size=9))
    def test_takes_a_little_more_than_three_days(self, chances: list[float]) -> None:
        now = AT
        for failed, chance in enumerate(chances, start=1):
            due = retrying.next_attempt(failed=failed, at=now, chance=chance)
            assert due is not None
            now = due
        assert 0.9 * 75.58 <= (now - AT).total_seconds() / 3600 <= 1.1 * 75.6

    @UNHURRIED
    @given(header=st.one_of(st.none(), st.text(), st.integers().map(str), moments.map(format_datetime)), at=moments)
    def test_reads_any_header(self, header: str | None, at: dt.datetime) -> None:
        wait = retrying.retry_after(header, at=at)
        assert wait is None or wait >= dt.timedelta(0)

    @UNHURRIED
    @given(seconds=st.integers(0, 10**12))
    def test_reads_seconds(self, seconds: int) -> None:
        assert retrying.retry_after(f" {seconds} ", at=AT) == min(seconds * SECOND, retrying.LONGEST_ASKED)

    @UNHURRIED
    @given(seconds=st.integers(1, 10**6))
    def test_reads_dates(self, seconds: int) -> None:
        header = format_datetime(AT + seconds * SECOND, usegmt=True)
        assert retrying.retry_after(header, at=AT) == seconds * SECOND
        assert retrying.retry_after(header, at=AT + seconds * SECOND) is None


class TestPayloads:
    @UNHURRIED
    @given(body=words, number=st.integers(1, 3), age=st.integers(-290, 290))
    def test_are_verified_by_the_library_with_each_secret(self, body: str, number: int, age: int) -> None:
        keys = [payloads.new_secret() for _ in range(number)]
        text = json.dumps(body, ensure_ascii=False)
        at = dt.datetime.now(dt.UTC) - age * SECOND
        headers = payloads.signed_headers(message_id="message", body=text, keys=keys, at=at)
        for key in keys:
            assert Webhook(key).verify(text.encode(), headers) == body
        with pytest.raises(WebhookVerificationError):
            Webhook(payloads.new_secret()).verify(text.encode(), headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(keys[0]).verify(text.encode() + b" ", headers)

    @UNHURRIED
    @given(data=st.dictionaries(words, values, max_size=6))
    def test_keep_what_they_say_in_the_order_that_people_read(self, data: dict[str, Any]) -> None:
        given = {"data": {"subject": "s", **data, "ticket_id": "t"}, "timestamp": "now", "event": "ticket.created"}
        text = payloads.body_of(given)
        assert json.loads(text) == given
        assert list(json.loads(text)) == ["event", "timestamp", "data"]
        assert next(iter(json.loads(text)["data"])) == "ticket_id"
        assert payloads.body_of(json.loads(text)) == text

    @UNHURRIED
    @given(at=moments)
    def test_write_times_in_utc(self, at: dt.datetime) -> None:
        assert dt.datetime.fromisoformat(payloads.timestamp(at)) == at.replace(microsecond=0)

    def test_have_an_example_of_every_event(self) -> None:
        assert len(payloads.CATALOGUE) == 12
        for name, kind in payloads.CATALOGUE.items():
            assert kind.payload(AT)["event"] == name
            assert json.loads(payloads.body_of(kind.payload(AT))) == kind.payload(AT)

    def test_secrets_are_long_and_never_the_same(self) -> None:
        secrets = {payloads.new_secret() for _ in range(100)}
        assert len(secrets) == 100
        assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)
