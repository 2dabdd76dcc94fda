"""A far side that is down is asked rarely, and one that answers is trusted again at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import NOW
from tocsin.notify.delivery.breaker import BreakerRule, after, probing, room
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt
from tocsin.notify.domain.health import Breaker, BreakerState

SECONDS = timedelta(seconds=1)
RULE = BreakerRule(failures=5)
OK = Receipt(AttemptOutcome.DELIVERED, 200)
DOWN = Receipt(AttemptOutcome.RETRY, 503, "503 Service Unavailable")
UNSURE = Receipt(AttemptOutcome.AMBIGUOUS, 0, "connection reset")
REFUSED = Receipt(AttemptOutcome.REFUSED, 404, "404 Not Found")
SLOWLY = Receipt(AttemptOutcome.RETRY, 429, "429 Too Many Requests")
CLOSED = Breaker()
OPENED = after(CLOSED, [DOWN] * 5, NOW, RULE)


def test_it_opens_after_five_failures_in_a_row_and_not_before() -> None:
    almost = after(CLOSED, [DOWN, UNSURE, DOWN, UNSURE], NOW, RULE)

    assert (BreakerState.CLOSED, 4, NOW) == (
        almost.state,
        almost.failure_count,
        almost.failing_since,
    )
    assert (BreakerState.OPEN, NOW, NOW + 5 * SECONDS) == (
        OPENED.state,
        OPENED.since_time,
        OPENED.probe_time,
    )
    assert ("503 Service Unavailable", NOW) == (OPENED.last_error, OPENED.last_error_time)


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = after(CLOSED, [*[DOWN] * 4, OK, *[DOWN] * 4], NOW, RULE)

    assert (BreakerState.CLOSED, 4) == (breaker.state, breaker.failure_count)


def test_while_it_is_open_nothing_is_sent_and_then_one_message() -> None:
    assert 8 == room(CLOSED, 8, NOW)
    assert 0 == room(OPENED, 8, NOW + 4.9 * SECONDS)
    assert 1 == room(OPENED, 8, NOW + 5 * SECONDS)


def test_while_one_is_tried_no_other_is_until_its_lease_has_ended() -> None:
    then = NOW + 5 * SECONDS
    trying = probing(OPENED, then, then + 30 * SECONDS)

    assert (BreakerState.HALF_OPEN, then) == (trying.state, trying.since_time)
    assert 0 == room(trying, 8, then + 29 * SECONDS)
    assert 1 == room(trying, 8, then + 30 * SECONDS)
    assert CLOSED == probing(CLOSED, NOW, then)


def test_a_change_of_the_channel_since_the_last_failure_lets_one_message_go_at_once() -> None:
    then = NOW + SECONDS

    assert 1 == room(OPENED, 8, then, update_time=then)
    assert 0 == room(OPENED, 8, then, update_time=NOW - SECONDS)
    trying = probing(OPENED, then, then + 30 * SECONDS)
    assert 0 == room(trying, 8, then, update_time=then)


@pytest.mark.parametrize("receipt", [OK, REFUSED, SLOWLY])
def test_any_answer_closes_it_also_a_refusal_and_too_many_requests(receipt: Receipt) -> None:
    trying = probing(OPENED, NOW, NOW + 30 * SECONDS)
    closed = after(trying, [receipt], NOW + SECONDS, RULE)

    assert (BreakerState.CLOSED, NOW + SECONDS, 0, None, None) == (
        closed.state,
        closed.since_time,
        closed.failure_count,
        closed.probe_time,
        closed.failing_since,
    )


def test_too_many_requests_and_refusals_never_open_it() -> None:
    breaker = after(CLOSED, [SLOWLY, REFUSED] * 100, NOW, RULE)

    assert (BreakerState.CLOSED, 0, "404 Not Found") == (
        breaker.state,
        breaker.failure_count,
        breaker.last_error,
    )


def test_the_longer_it_fails_the_longer_are_the_pauses_up_to_five_minutes() -> None:
    breaker, now, pauses = OPENED, NOW, []
    for _ in range(16):
        assert breaker.probe_time is not None
        pauses.append((breaker.probe_time - now).total_seconds())
        now = breaker.probe_time
        breaker = after(probing(breaker, now, now + 30 * SECONDS), [DOWN], now, RULE)

    assert [5, 5, 5, 7.5] == pauses[:4]
    assert sorted(pauses) == pauses
    assert [300, 300] == pauses[-2:]


def test_what_was_under_way_when_it_opened_prolongs_nothing() -> None:
    later = after(OPENED, [DOWN, UNSURE, DOWN], NOW + 4 * SECONDS, RULE)

    assert (OPENED.probe_time, 8) == (later.probe_time, later.failure_count)


def test_it_never_opens_where_the_rule_says_so() -> None:
    assert BreakerState.CLOSED is after(CLOSED, [DOWN] * 100, NOW, BreakerRule(0)).state


def test_the_last_success_and_the_last_error_are_remembered() -> None:
    breaker = after(CLOSED, [OK], NOW, RULE)
    breaker = after(breaker, [DOWN], NOW + SECONDS, RULE)

    assert (NOW, NOW + SECONDS) == (breaker.last_success_time, breaker.last_error_time)


@given(
    receipts=st.lists(
        st.tuples(st.sampled_from([OK, DOWN, UNSURE, REFUSED, SLOWLY]), st.floats(0, 400)),
        max_size=40,
    )
)
def test_every_breaker_lets_something_through_within_five_minutes_or_a_lease(
    receipts: list[tuple[Receipt, float]],
) -> None:
    breaker, now = CLOSED, NOW
    for receipt, pause in receipts:
        now += pause * SECONDS
        if room(breaker, 8, now):
            breaker = probing(breaker, now, now + 30 * SECONDS)
        breaker = after(breaker, [receipt], now, RULE)

        assert room(breaker, 8, now + RULE.longest_pause) >= 1
        assert (breaker.state is BreakerState.CLOSED) == (breaker.probe_time is None)
        assert (breaker.failure_count == 0) == (breaker.failing_since is None)
