"""How much of a channel's queue a worker takes into its hands."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.delivery.pace import MOST_IN_HAND, Pace
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt

OK = Receipt(AttemptOutcome.DELIVERED, 204)
FAILED = Receipt(AttemptOutcome.RETRY, 503)
UNSURE = Receipt(AttemptOutcome.AMBIGUOUS)
REFUSED = Receipt(AttemptOutcome.REFUSED, 404)
TOO_MANY = Receipt(AttemptOutcome.RETRY, 429)
LATER = Receipt(AttemptOutcome.RETRY, 503, retry_after=timedelta(seconds=5))


def after(*receipts: Receipt, concurrency: int = 8) -> int:
    pace = Pace(concurrency)
    for receipt in receipts:
        pace.note(receipt)
    return pace.in_hand


def test_at_first_it_is_no_more_than_what_is_sent_at_one_time() -> None:
    assert 8 == after()


def test_it_is_a_quarter_of_what_went_well_up_to_a_bound() -> None:
    assert [25, MOST_IN_HAND] == [after(*[OK] * 100), after(*[OK] * 100_000)]


def test_a_high_concurrency_is_never_cut() -> None:
    assert 256 == after(*[OK] * 10, concurrency=256)


def test_a_message_that_is_refused_says_nothing_against_the_far_side() -> None:
    assert 25 == after(*[OK] * 100, REFUSED)


@pytest.mark.parametrize("failure", [FAILED, UNSURE])
def test_failures_bring_it_down_before_the_breaker_opens(failure: Receipt) -> None:
    assert 8 == after(*[OK] * 100_000, *[failure] * 3)


@pytest.mark.parametrize("receipt", [TOO_MANY, LATER])
def test_a_far_side_that_asks_for_a_pause_gets_no_more_at_once(receipt: Receipt) -> None:
    assert 8 == after(*[OK] * 10_000, receipt)


@given(
    st.lists(st.sampled_from([OK, FAILED, UNSURE, REFUSED, TOO_MANY])),
    st.integers(min_value=1, max_value=256),
)
def test_it_stays_between_the_concurrency_and_the_bound(
    receipts: list[Receipt], concurrency: int
) -> None:
    assert concurrency <= after(*receipts, concurrency=concurrency) <= MOST_IN_HAND
